"""Both engines against brute force, filters and changes, files that were cut or altered."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lineament.errors import IndexFileError, MissingExtraError, OptionError
from lineament.search import KINDS, Index, open_index, rows, turbo
from lineament.search import index_files as files
from lineament.search.exact import ExactIndex
from lineament.search.turbo import Projection, TurboIndex

DIMENSION = 64
Vectors = npt.NDArray[np.float32]
Make = Callable[[], Index]


def unit(vectors: npt.NDArray[np.float64]) -> Vectors:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def people(count: int, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    """Around a common mean, as SFace's are; every fifth has a near-duplicate right after it."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.standard_normal((count, dimension)) + 0.3)
    vectors[1::5] = like(vectors[: len(vectors[1::5]) * 5 : 5], 0.6, rng)
    return vectors


def like(vectors: Vectors, cosine: float, rng: np.random.Generator) -> Vectors:
    other = rng.standard_normal(vectors.shape)
    other -= np.sum(other * vectors, axis=1, keepdims=True) * vectors
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    return unit(cosine * vectors + np.sqrt(1 - cosine**2) * other)


def brute(
    known: dict[int, Vectors], queries: Vectors, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Independent of the package: everything in float64, sorted by score and then by id."""
    numbers = np.array(sorted(known), np.int64)
    ids = np.full((len(queries), k), -1)
    scores = np.full((len(queries), k), -np.inf)
    if len(numbers):
        table = np.stack([known[int(i)] for i in numbers]).astype(np.float64)
        for q, query in enumerate(queries):
            all_scores = (table @ query.astype(np.float64)).astype(np.float32)
            order = sorted(range(len(numbers)), key=lambda i: (-all_scores[i], numbers[i]))[:k]
            ids[q, : len(order)] = numbers[order]
            scores[q, : len(order)] = all_scores[order]
    return ids, scores


def agree(index: Index, known: dict[int, Vectors], queries: Vectors, k: int = 10) -> None:
    ids, scores = index.search(queries, k)
    expected_ids, expected_scores = brute(known, queries, k)
    assert ids.dtype == np.int64
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)


@pytest.fixture(params=["exact", "turbo"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    """An empty index; the compressed one compresses from the first vector on."""
    if request.param == "exact":
        return lambda: ExactIndex(DIMENSION, contract="c")
    pytest.importorskip("turbovec")
    monkeypatch.setattr(turbo, "FEW", 0)
    return lambda: TurboIndex(DIMENSION, contract="c", codes_from=1)


@pytest.fixture
def filled(make: Make) -> tuple[Index, Vectors]:
    index, vectors = make(), people(2000)
    index.add(np.arange(2000), vectors)
    return index, vectors


def test_finds_what_brute_force_finds(filled: tuple[Index, Vectors]) -> None:
    index, vectors = filled
    rng = np.random.default_rng(1)
    queries = np.concatenate([like(vectors[:40], 0.71, rng), like(vectors[1:200:5], 0.71, rng)])
    agree(index, dict(enumerate(vectors)), queries)
    assert (index.search(queries[:40], 1)[0][:, 0] == np.arange(40)).mean() > 0.9  # mates


def test_the_compressed_scan_is_what_is_tested(
    filled: tuple[Index, Vectors], monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors = filled
    used: list[int] = []
    scan = turbo.scan
    monkeypatch.setattr(turbo, "scan", lambda *a: (used.append(1), scan(*a))[1])
    index.search(vectors[:3], 10)
    index.search(vectors[:3], 10, allowed=np.arange(1500))
    assert used == []


@pytest.mark.parametrize("count", [0, 1, 7, 300, 1500, 2000])
def test_filters(filled: tuple[Index, Vectors], count: int) -> None:
    index, vectors = filled
    allowed = np.random.default_rng(count).permutation(2000)[:count]
    known = {int(i): vectors[i] for i in allowed}
    queries = like(vectors[:20], 0.71, np.random.default_rng(2))
    asked = np.concatenate([allowed, [5000, 2**40], allowed[:3]])  # strangers, and some twice
    ids, scores = index.search(queries, 10, allowed=asked.astype(np.int64))
    expected, _ = brute(known, queries, 10)
    np.testing.assert_array_equal(ids, expected)
    assert np.isneginf(scores[ids == -1]).all()


def test_few_allowed_are_compared_plainly(
    filled: tuple[Index, Vectors], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turbo, "FEW", 4096)
    index, vectors = filled
    ids, _ = index.search(vectors[:1], 3, allowed=[1999, 4, 0])
    assert ids[0, 0] == 0
    assert set(ids[0].tolist()) == {0, 4, 1999}


def test_many_changes(make: Make, tmp_path: Path) -> None:
    """A thousand changes, saved and opened again now and then, against a dictionary."""
    rng = np.random.default_rng(3)
    index, known, folder = make(), dict[int, Vectors](), tmp_path / "index"
    stock = people(3000, seed=4)
    for step in range(60):
        some = rng.choice(2500, rng.integers(1, 120), replace=False)
        if rng.random() < 0.65:
            vectors = stock[rng.integers(0, len(stock), len(some))]
            index.add(some, vectors)
            known.update(zip(some.tolist(), vectors, strict=True))
        else:
            removed = index.remove(some)
            assert removed == sum(known.pop(int(i), None) is not None for i in some)
        assert len(index) == len(known)
        if step % 7 == 3:
            index.save(folder, f"step {step}")
        if step % 14 == 3:
            index = make()
            assert index.load(folder, writer=True) == f"step {step}"
        if step % 5 == 0:
            agree(index, known, stock[rng.integers(0, len(stock), 5)])
    assert len(known) > 700  # the compressed scan had something to do
    agree(index, known, stock[:20])
    index.verify()
    assert 3 not in known or 3 in index
    assert "3" not in index
    assert -1 not in index


def test_adding_again_replaces(filled: tuple[Index, Vectors]) -> None:
    index, vectors = filled
    index.add([7], -vectors[7:8])
    assert len(index) == 2000
    ids, scores = index.search(-vectors[7:8], 1)
    assert (ids[0, 0], scores[0, 0]) == (7, pytest.approx(1))
    assert index.search(vectors[7:8], 1)[0][0, 0] != 7


def test_empty_and_fewer_than_k(make: Make) -> None:
    index, vectors = make(), people(3)
    ids, scores = index.search(vectors, 4)
    assert (ids == -1).all()
    assert np.isneginf(scores).all()
    assert index.remove([1]) == 0
    index.add([], np.empty((0, DIMENSION), np.float32))
    index.add([5, 2, 9], vectors)
    agree(index, {5: vectors[0], 2: vectors[1], 9: vectors[2]}, vectors, 4)
    assert index.search(vectors[:0], 4)[0].shape == (0, 4)


def test_equal_scores_go_by_id(make: Make) -> None:
    index = make()
    same = np.repeat(people(1), 40, axis=0)
    index.add(np.arange(40)[::-1] + 100, same)
    assert index.search(same[:1], 6)[0].tolist() == [[100, 101, 102, 103, 104, 105]]


def test_ids_far_apart(make: Make) -> None:
    index, vectors = make(), people(700)
    ids = np.arange(700) * 10**13 + 5
    index.add(ids[:50], vectors[:50])
    index.add(ids[50:], vectors[50:])
    index.remove(ids[:10])
    agree(index, {int(i): v for i, v in zip(ids[10:], vectors[10:], strict=True)}, vectors[:20])
    assert index.search(vectors[20:21], 1, allowed=ids[20:30])[0][0, 0] == ids[20]


@pytest.mark.parametrize(
    ("ids", "vectors", "words"),
    [
        ([1], people(1)[:, :-8], "shape"),
        ([1], people(1)[0], "shape"),
        ([1], people(1) * np.nan, "length 1, got nan"),
        ([1], people(1) * 2, "length 1, got 2"),
        ([1], np.zeros((1, DIMENSION)), "length 1, got 0"),
        ([1], [["a"] * DIMENSION], "numbers"),
        ([1, 2], people(1), "as many"),
        ([4, 4], people(2), "twice"),
        ([-1], people(1), "0 or more"),
        ([1.0], people(1), "whole"),
        ([[1]], people(1), "whole"),
    ],
)
def test_refuses_what_makes_no_sense(make: Make, ids: object, vectors: object, words: str) -> None:
    index = make()
    index.add([1], people(1))
    with pytest.raises(OptionError, match=words):
        index.add(ids, vectors)  # type: ignore[arg-type]
    agree(index, {1: people(1)[0]}, people(2), 2)


def test_refuses_queries_that_make_no_sense(filled: tuple[Index, Vectors]) -> None:
    index, vectors = filled
    with pytest.raises(OptionError, match="k: expected 1 or more"):
        index.search(vectors[:1], 0)
    with pytest.raises(OptionError, match="queries: expected vectors of length 1, got nan"):
        index.search(vectors[:1] * np.nan, 1)
    with pytest.raises(OptionError, match="queries: expected shape"):
        index.search(vectors[:1, :8], 1)
    with pytest.raises(OptionError, match="allowed"):
        index.search(vectors[:1], 1, allowed=[0.5])


def test_each_kind_reads_the_others_files(make: Make, tmp_path: Path) -> None:
    index, vectors = make(), people(900)
    index.add(np.arange(900), vectors)
    index.save(tmp_path, "here")
    pytest.importorskip("turbovec")
    for other in (
        ExactIndex(DIMENSION, contract="c"),
        TurboIndex(DIMENSION, contract="c", codes_from=1),
        TurboIndex(DIMENSION, contract="c"),
    ):
        assert other.load(tmp_path) == "here"
        agree(other, dict(enumerate(vectors)), vectors[:10])


@pytest.mark.parametrize("share", [0.01, 0.6], ids=["overwritten", "written anew"])
def test_removed_vectors_are_gone_from_the_files(make: Make, tmp_path: Path, share: float) -> None:
    index, vectors = make(), people(1000)
    index.add(np.arange(1000), vectors)
    index.save(tmp_path, "1")
    removed = np.arange(int(1000 * share)) + 300
    assert all(vectors[i].tobytes() in everything(tmp_path) for i in removed[:10])
    index.remove(removed)
    index.save(tmp_path, "2")
    content = everything(tmp_path)
    assert not any(vectors[i].tobytes() in content for i in removed)
    assert vectors[0].tobytes() in content
    named = {part.name for part in files.read_header(tmp_path).parts.values()}
    assert {path.name for path in tmp_path.iterdir()} == {"index.json", *named}


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


@pytest.mark.parametrize(
    ("where", "state"),
    [("write_header", "1"), ("write_part", "1"), ("clear", "2")],
)
def test_a_save_that_fails_leaves_old_or_new(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, state: str
) -> None:
    index, vectors = make(), people(800)
    index.add(np.arange(700), vectors[:700])
    index.save(tmp_path, "1")
    index.remove([5])
    index.add(np.arange(700, 800), vectors[700:])

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files, where, fail)
        with pytest.raises(OptionError, match="No space left"):
            index.save(tmp_path, "2")
    old, new = dict(enumerate(vectors[:700])), dict(enumerate(vectors))
    del new[5]
    agree(index, new, vectors[:10])
    again = make()
    assert again.load(tmp_path, writer=True) == state
    agree(again, new if state == "2" else old, vectors[:10])
    named = {part.name for part in files.read_header(tmp_path).parts.values()}
    assert {path.name for path in tmp_path.iterdir()} == {"index.json", *named}
    index.save(tmp_path, "3")
    again.load(tmp_path)
    agree(again, new, vectors[:10])


def test_overwriting_is_finished_by_the_next_writer(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, vectors = make(), people(700)
    index.add(np.arange(700), vectors)
    index.save(tmp_path, "1")
    index.remove([3])
    with monkeypatch.context() as patched:
        patched.setattr(rows.Rows, "_wipe", lambda *_: None)  # as if the power had gone here
        index.save(tmp_path, "2")
    assert vectors[3].tobytes() in everything(tmp_path)
    make().load(tmp_path)
    assert vectors[3].tobytes() in everything(tmp_path)  # a reader writes nothing
    make().load(tmp_path, writer=True)
    assert vectors[3].tobytes() not in everything(tmp_path)


def test_readers_beside_a_writer(make: Make, tmp_path: Path) -> None:
    writer, reader, vectors = make(), make(), people(1000)
    writer.add(np.arange(1000), vectors)
    writer.save(tmp_path, "1")
    reader.load(tmp_path)
    known = dict(enumerate(vectors))
    for start in range(0, 900, 150):  # some saves overwrite, some write anew
        writer.remove(np.arange(start, start + 150))
        writer.save(tmp_path, str(start))
        with contextlib.suppress(IndexFileError):  # "was replaced": never a wrong answer
            agree(reader, known, vectors[:5])
        reader.load(tmp_path)
        known = dict(enumerate(vectors[start + 150 :], start + 150))
        agree(reader, known, vectors[:5])


def test_large_additions_go_to_the_file_early(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "SPILL_BYTES", 100 * DIMENSION * 4)
    index, reader, vectors = make(), make(), people(1200)
    index.save(tmp_path, "empty")
    size = lambda: next(tmp_path.glob("vectors-*")).stat().st_size  # noqa: E731
    for start in range(0, 1200, 150):
        index.add(np.arange(start, start + 150), vectors[start : start + 150])
    assert size() == 1200 * DIMENSION * 4
    assert reader.load(tmp_path) == "empty"
    reader.add(np.arange(600), vectors[:600])
    assert size() == 1200 * DIMENSION * 4
    assert len(reader) == 600
    agree(index, dict(enumerate(vectors)), vectors[:10])
    index.save(tmp_path, "full")
    reader.load(tmp_path)
    agree(reader, dict(enumerate(vectors)), vectors[:10])


def test_refuses_files_of_others(make: Make, tmp_path: Path) -> None:
    index = make()
    folder = tmp_path / "index"
    with pytest.raises(IndexFileError, match="cannot be read"):
        index.load(folder)
    index.add([1], people(1))
    index.save(folder, "x")
    for other in (ExactIndex(DIMENSION, contract="d"), ExactIndex(DIMENSION + 8, contract="c")):
        with pytest.raises(IndexFileError, match="expected vectors of"):
            other.load(folder)
    header = folder / "index.json"
    good = json.loads(header.read_text())
    for change, words in (
        ({"version": 2}, "version 1, got 2"),
        ({"magic": "something"}, "not the header"),
        ({"count": 2}, "checksum differs"),
    ):
        header.write_text(json.dumps({**good, **change}))
        with pytest.raises(IndexFileError, match=words):
            make().load(folder)
    header.write_text("[1]")
    with pytest.raises(IndexFileError, match="not the header"):
        make().load(folder)
    agree(index, {1: people(1)[0]}, people(1), 1)
    with pytest.raises(OptionError, match="cannot be written"):
        index.save(header / "below a file", "x")


DAMAGE = """
import sys
from pathlib import Path
import numpy as np
from lineament.errors import IndexFileError
from lineament.search.exact import ExactIndex
from lineament.search.turbo import TurboIndex

folder, kind = Path(sys.argv[1]), sys.argv[2]
def check():
    index = ExactIndex(64) if kind == "exact" else TurboIndex(64, codes_from=1)
    try:
        index.load(folder)
        index.verify()
    except IndexFileError:
        return 1
    return 0
assert check() == 0
rng = np.random.default_rng(0)
tried = found = 0
for path in sorted(folder.iterdir()):
    good = path.read_bytes()
    spots = {0, len(good) - 1, *range(0, min(len(good), 96), 7), *rng.integers(0, len(good), 25)}
    for spot in spots if good else ():
        for mask in (0xFF, 1):
            bad = bytearray(good)
            bad[spot] ^= mask
            path.write_bytes(bad)
            tried, found = tried + 1, found + check()
            if not found == tried: raise SystemExit(f"{path.name}: byte {spot} mask {mask}")
    for length in {0, 1, len(good) // 2, len(good) - 1} if good else ():
        path.write_bytes(good[:length])
        tried, found = tried + 1, found + check()
        if not found == tried: raise SystemExit(f"{path.name}: cut to {length}")
    path.unlink()
    tried, found = tried + 1, found + check()
    path.write_bytes(good)
assert check() == 0
print(tried, found)
"""


@pytest.mark.parametrize("kind", ["exact", "turbo"])
def test_damage_is_found_and_crashes_nothing(tmp_path: Path, kind: str) -> None:
    if kind == "turbo":
        pytest.importorskip("turbovec")
    index = ExactIndex(64) if kind == "exact" else TurboIndex(64, codes_from=1)
    index.add(np.arange(300), people(300))
    index.save(tmp_path, "x")
    index.remove([4])
    index.save(tmp_path, "y")
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE, str(tmp_path), kind],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    tried, found = map(int, done.stdout.split())
    assert tried == found > 100


def test_threads_search_while_others_change(filled: tuple[Index, Vectors]) -> None:
    index, vectors = filled
    extra = people(400, seed=9)
    everyone = np.concatenate([vectors, extra])
    wrong: list[str] = []
    stop = threading.Event()
    searches = [0, 0]

    def search(number: int) -> None:
        rng = np.random.default_rng(number)
        while not stop.is_set():
            queries = everyone[rng.integers(0, 1000, 3)]
            ids, scores = index.search(queries, 5)
            exact = np.einsum("qd,qkd->qk", queries, everyone[ids])
            if not np.allclose(scores, exact, atol=1e-5) or not (ids[:, 0] >= 0).all():
                wrong.append(f"{ids} {scores} {exact}")
            searches[number] += 1

    threads = [threading.Thread(target=search, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for i in range(0, 400, 8):
        index.add(np.arange(2000 + i, 2008 + i), extra[i : i + 8])
        index.remove(np.arange(1000 + i, 1008 + i))
    stop.set()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert min(searches) > 0
    assert len(index) == 2000
    known = {i: everyone[i] for i in range(2400) if not 1000 <= i < 1400}
    agree(index, known, everyone[1990:2010])


def test_compresses_when_it_has_grown(tmp_path: Path) -> None:
    pytest.importorskip("turbovec")
    index, vectors = TurboIndex(DIMENSION, codes_from=1000), people(1400)
    index.add(np.arange(999), vectors[:999])
    index.save(tmp_path, "small")
    assert not list(tmp_path.glob("codes-*"))
    index.add(np.arange(999, 1400), vectors[999:])
    index.save(tmp_path, "large")
    assert len(list(tmp_path.glob("codes-*"))) == 1
    agree(index, dict(enumerate(vectors)), vectors[:10])


def test_projection_cuts_what_is_empty_and_keeps_what_is_not() -> None:
    rng = np.random.default_rng(5)
    flat = unit(rng.standard_normal((1600, 100)) @ rng.standard_normal((100, 384)) + 1)
    full = unit(rng.standard_normal((1600, 384)))
    small = people(1600)
    for vectors, width in ((flat, 256), (full, 384), (small, 256)):
        projection = Projection.fit(vectors, len(vectors))
        assert projection.width == width
        scores = projection.asked(vectors[:50]) @ projection.stored(vectors[50:150]).T
        lost = vectors[:50] @ vectors[50:150].T - scores
        # The same for all that a query is compared with, but for what was cut off.
        assert (lost - lost.mean(axis=1, keepdims=True)).std() < turbo.LOST
    again = Projection.from_bytes(projection.to_bytes(), DIMENSION, 1600)
    np.testing.assert_array_equal(again.axes, projection.axes)
    np.testing.assert_array_equal(again.mean, projection.mean)
    assert Projection.fit(small[:100], 100).fitted == 0


@pytest.mark.parametrize("kind", KINDS)
def test_open_index(kind: str) -> None:
    if kind == "turbo":
        pytest.importorskip("turbovec")
    index, vectors = open_index(kind, dimension=DIMENSION, contract="c"), people(20)
    assert index.dimension == DIMENSION
    index.add(np.arange(20), vectors)
    agree(index, dict(enumerate(vectors)), vectors[:3])


def test_open_index_without_turbovec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "turbovec", None)
    assert type(open_index(dimension=8)) is ExactIndex
    with pytest.raises(MissingExtraError, match=r"lineament\[index\]"):
        open_index("turbo", dimension=8)
    with pytest.raises(OptionError, match="expected one of auto, exact, turbo"):
        open_index("faiss", dimension=8)
    with pytest.raises(OptionError, match="dimension"):
        open_index("exact", dimension=0)

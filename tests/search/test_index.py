"""Both engines against brute force, filters and changes, files that were cut or altered."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from index_contract import DIMENSION, IndexContract, Make, Vectors, agree, people, unit
from index_contract import filled as filled

from lineament.errors import IndexFileError, MissingExtraError, OptionError
from lineament.search import KINDS, Index, open_index, turbo
from lineament.search import _index_files as files
from lineament.search import _rows as rows
from lineament.search.engines import PACKAGES
from lineament.search.exact import ExactIndex
from lineament.search.turbo import Projection, TurboIndex


@pytest.fixture(params=["exact", "turbo"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    """An empty index; the compressed one compresses from the first vector on."""
    if request.param == "exact":
        return lambda: ExactIndex(DIMENSION, contract="c")
    pytest.importorskip("turbovec")
    monkeypatch.setattr(turbo, "FEW", 0)
    return lambda: TurboIndex(DIMENSION, contract="c", codes_from=1)


class TestContract(IndexContract):
    """Of both engines."""


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
        index.check()
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
    packages = {"turbo": "turbovec"} | {name: name for name in PACKAGES}
    pytest.importorskip(packages.get(kind.partition("-")[0], "numpy"))
    index, vectors = open_index(kind, dimension=DIMENSION, contract="c"), people(20)
    assert index.dimension == DIMENSION
    index.add(np.arange(20), vectors)
    agree(index, dict(enumerate(vectors)), vectors[:3])


def test_open_index_without_turbovec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "turbovec", None)
    assert type(open_index(dimension=8)) is ExactIndex
    with pytest.raises(MissingExtraError, match=r"pip install .*turbovec"):
        open_index("turbo", dimension=8)
    with pytest.raises(OptionError, match="expected one of auto, exact, turbo"):
        open_index("lucene", dimension=8)
    with pytest.raises(OptionError, match="dimension"):
        open_index("exact", dimension=0)

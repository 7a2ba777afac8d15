"""The protocols of pairs: their files in the published layout, and figures computed once more.

Embeddings come from a table here; tests/test_cli_protocols.py runs the real pipeline.
"""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as PILImage

from lineament.datasets.agedb import read_agedb
from lineament.datasets.cfp import read_cfp
from lineament.datasets.insightface_bin import read_bin
from lineament.datasets.pair_lists import (
    PairList,
    folds_by_kind,
    folds_in_order,
    read_two_line_pairs,
)
from lineament.datasets.pairs_csv import read_pairs
from lineament.datasets.source import Embedded
from lineament.datasets.ytf import read_ytf
from lineament.errors import DataError, OptionError
from lineament.evaluate.metrics import best_threshold
from lineament.evaluate.protocols.pairs import person_folds, run_pairs
from lineament.evaluate.protocols.verification import (
    fold_accuracy,
    run_bin,
    run_cfp,
    run_pair_list,
    tar_by_rate,
)
from lineament.evaluate.protocols.videos import run_ytf
from lineament.evaluate.result import Part
from lineament.types import Threshold

sklearn_metrics = pytest.importorskip("sklearn.metrics")
model_selection = pytest.importorskip("sklearn.model_selection")
scipy_io = pytest.importorskip("scipy.io")

D = 24


def vector_of(person: str, key: str, noise: float = 0.3) -> npt.NDArray[np.float32]:
    """A person's direction with noise that the photo decides."""
    seed = np.random.default_rng(list(person.encode())).normal(size=D)
    vector = seed / np.linalg.norm(seed)
    vector = vector + noise * np.random.default_rng(list(key.encode())).normal(size=D)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class TableSource:
    """A FaceSource that makes vectors of names; some have no face."""

    def __init__(
        self, person: Callable[[Path], str], *, without: Sequence[str] = (), noise: float = 0.25
    ) -> None:
        self.person = person
        self.without = without
        self.noise = noise
        self.boxes: Any = None
        self.given: list[Path] = []

    def vector(self, path: Path) -> npt.NDArray[np.float32]:
        return vector_of(self.person(path), str(path.name) + self.person(path), self.noise)

    def photos(self, paths: Sequence[Path], *, boxes_xyxy: npt.ArrayLike | None = None) -> Embedded:
        self.boxes, self.given = boxes_xyxy, list(paths)
        found = np.array([path.name not in self.without for path in paths])
        vectors = np.stack([self.vector(path) for path in paths]) * found[:, None]
        norms = np.array([1 + len(p.name) + p.name.encode()[-5] % 7 for p in paths], np.float32)
        return Embedded(vectors, norms * found, found)

    def crops(self, images: Sequence[bytes]) -> Embedded:
        vectors = np.stack([vector_of(data[:1].decode("latin1"), repr(data)) for data in images])
        return Embedded(vectors, np.ones(len(images), np.float32), np.ones(len(images), bool))


def check_part(part: Part, scores: Any, same: Any, folds: Any) -> None:
    """AUC by scikit-learn, TAR by counting, accuracy by trying every threshold."""
    scores, same, folds = np.asarray(scores, np.float32), np.asarray(same), np.asarray(folds)
    measures = part.measures
    assert measures["n_pairs"] == len(same)
    assert measures["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(same, scores), abs=1e-9)
    shares = []
    for fold in sorted(set(folds.tolist())):
        rest, mine = folds != fold, folds == fold
        cuts = [*sorted({float(s) for s in scores[rest]}), 2.0]
        share = [((scores[rest] >= cut) == same[rest]).mean() for cut in cuts]
        best = max(i for i, value in enumerate(share) if value == max(share))
        low = cuts[best - 1] if best else cuts[0]
        cut = (low + cuts[best]) / 2 if best and cuts[best] < 2 else cuts[best]
        shares.append(((scores[mine] >= cut) == same[mine]).mean())
    np.testing.assert_allclose(measures["accuracies"], shares, atol=1e-9)
    assert measures["accuracy_mean"] == pytest.approx(np.mean(shares), abs=1e-9)
    error = np.std(shares, ddof=1) / np.sqrt(len(shares))
    assert measures["accuracy_se"] == pytest.approx(error, abs=1e-9)
    impostor = np.sort(scores[~same])[::-1]
    for text, tar in measures["tar_at_fmr"].items():
        allowed = int(float(text) * len(impostor) + 1e-9)
        if allowed < 1:
            assert tar is None
        else:
            assert tar == pytest.approx((scores[same] > impostor[allowed]).mean(), abs=1e-9)


# --- folds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [10, 12, 35, 600])
def test_folds_are_those_of_insightface(count: int) -> None:
    expected = np.zeros(count, int)
    for number, (_, test) in enumerate(model_selection.KFold(10).split(np.zeros(count))):
        expected[test] = number
    assert folds_in_order(count).tolist() == expected.tolist()


def test_folds_by_kind_are_those_of_the_published_order() -> None:
    published = np.array([([True] * 3 + [False] * 3) for _ in range(10)]).ravel()
    assert folds_by_kind(published).tolist() == np.repeat(range(10), 6).tolist()
    one_kind_first = np.array([True] * 30 + [False] * 30)
    assert np.bincount(folds_by_kind(one_kind_first)[:30]).tolist() == [3] * 10


def test_rates_that_the_count_cannot_tell() -> None:
    scores = np.linspace(0, 1, 120, dtype=np.float32)
    same = np.arange(120) >= 20
    found = tar_by_rate(scores, same, (1e-1, 5e-2, 4e-2, 1e-3))
    assert found["4e-2"] is found["1e-3"] is None
    assert found["1e-1"] == 1.0
    assert found["5e-2"] == 1.0


# --- InsightFace's files -------------------------------------------------------------------------


def bin_photos(pairs: int) -> tuple[list[bytes], list[bool]]:
    photos, answers = [], []
    for i in range(pairs):
        same = i % 6 < 3
        a = chr(65 + i % 11)
        b = a if same else chr(65 + (i + 4) % 11)
        photos += [f"{a}{i % 9}".encode(), f"{b}x{i % 7}".encode()]
        answers.append(same)
    return photos, answers


@pytest.mark.parametrize("arrays", [False, True])
def test_bin(tmp_path: Path, arrays: bool) -> None:
    photos, answers = bin_photos(65)
    file = tmp_path / "tiny.bin"
    stored = [np.frombuffer(p, np.uint8) for p in photos] if arrays else photos
    file.write_bytes(pickle.dumps((stored, answers), protocol=4 if arrays else 2))
    data = read_bin(file)
    assert [data.photos[i] for i in data.pairs.ravel()] == photos
    assert len(data.photos) == len(set(photos))
    result, _ = run_bin(data, TableSource(str))
    vectors = [vector_of(p[:1].decode(), repr(p)) for p in photos]
    scores = [float(a @ b) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
    folds = np.zeros(65, int)
    for number, (_, test) in enumerate(model_selection.KFold(10).split(np.zeros(65))):
        folds[test] = number
    check_part(result.part("pairs"), scores, answers, folds)
    worst = result.part("pairs").worst
    assert len(worst) >= 1
    for shown in worst:
        number = int(shown.a.split()[1])
        assert shown.picture_a == photos[number]
        assert shown.picture_b == photos[number + 1]
        assert answers[number // 2] == shown.same


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([b"a", b"b"], "photos, got bytes"),
        (([b"a"], [True]), "two photos for each of 1"),
        (([b"a", b"b"], [True]), "at least 2 pairs"),
        (([b"a", "b", b"c", b"d"], [True, False]), "photo 1 as bytes, got str"),
        (([b"a", b"b", b"c", b"d"], [True, 2]), "answer 1"),
        (([b"a", b"b", b"c", b"d"], [True, None]), "answer 1"),
        (([b"a", b"b"] * 2, (True, False)), "list of answers"),
        (([np.zeros((2, 2, 3), np.uint8)] * 4, [True, False]), "in one row of uint8"),
        (([np.zeros(3, bool)] * 4, [True, False]), "in one row of uint8"),
        ((1, 2, 3), "two lists"),
        (7, "two lists"),
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, content: Any, words: str) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=words) as caught:
        read_bin(file)
    assert str(file) in str(caught.value)


def test_a_missing_bin(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="readable file"):
        read_bin(tmp_path / "none.bin")


def test_a_photo_of_a_bin_that_is_none(tmp_path: Path) -> None:
    class Strict(TableSource):
        def crops(self, images: Sequence[bytes]) -> Embedded:
            raise DataError("face 1: wrong")

    def png(side: int) -> bytes:
        out = io.BytesIO()
        PILImage.new("RGB", (side, side), (side, 9, 9)).save(out, "PNG")
        return out.getvalue()

    for photos, words in (
        ([png(112), png(112), png(112), b"broken"], "photo 3: expected an encoded"),
        ([png(112), png(112), png(100), png(112)], "photo 2: expected 112x112.*100x100"),
    ):
        (tmp_path / "x.bin").write_bytes(pickle.dumps((photos, [True, False])))
        with pytest.raises(DataError, match=words):
            run_bin(read_bin(tmp_path / "x.bin"), Strict(str))


# --- CALFW, CPLFW, AgeDB-30 ----------------------------------------------------------------------


def two_line_set(
    root: Path, *, numbered: bool, folder: str = "images"
) -> list[tuple[str, str, int]]:
    """10 folds of 3 + 3 pairs: first all of one person, then all of two, as published."""
    (root / folder).mkdir(parents=True)
    people = [f"Ann_Lee-{i}" for i in range(30)]
    rows = []
    for i in range(30):
        fold = i // 3 + 1 if numbered else 1
        rows.append((f"{people[i]}_0001.jpg", f"{people[i]}_0002.jpg", fold))
    rows += [(f"{people[i]}_0001.jpg", f"{people[(i + 7) % 30]}_0002.jpg", 0) for i in range(30)]
    for a, b, _ in rows:
        (root / folder / a).touch()
        (root / folder / b).touch()
    return rows


def write_two_lines(root: Path, name: str, rows: list[tuple[str, str, int]]) -> Path:
    file = root / f"pairs_{name}.txt"
    file.write_text("".join(f"{a} {fold}\n{b} {fold}\n" for a, b, fold in rows))
    return file


def person_of(path: Path) -> str:
    return path.name.rpartition("_")[0]


@pytest.mark.parametrize(
    ("name", "numbered", "folder"), [("CALFW", True, "aligned images"), ("CPLFW", False, "images")]
)
def test_two_line_lists(tmp_path: Path, name: str, numbered: bool, folder: str) -> None:
    rows = two_line_set(tmp_path, numbered=numbered, folder=folder)
    write_two_lines(tmp_path, name, rows)
    pairs = read_two_line_pairs(tmp_path, name.lower())
    assert not pairs.aligned
    for (a, b, fold), (i, j), same in zip(rows, pairs.pairs, pairs.same, strict=True):
        assert (pairs.photos[i].name, pairs.photos[j].name, same) == (a, b, fold != 0)
    folds = [i // 3 for i in range(30)] * 2
    assert pairs.folds.tolist() == folds
    source = TableSource(person_of, without=["Ann_Lee-3_0002.jpg"])
    result, _ = run_pair_list(pairs, source, protocol="x", title="X", data="d")
    scores = []
    for a, b, _ in rows:
        gone = "Ann_Lee-3_0002.jpg" in (a, b)
        scores.append(-1 if gone else float(source.vector(Path(a)) @ source.vector(Path(b))))
    check_part(result.part("pairs"), scores, [f != 0 for _, _, f in rows], folds)
    assert result.part("pairs").measures["n_pairs_without_face"] == 2
    assert result.faces_found == len(pairs.photos) - 1
    assert "6,000" in result.notes[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "line 119: expected two lines"),
        (lambda lines: [*lines[:3], *lines[4:], lines[3]], "line 6: expected the same fold"),
        (lambda lines: ["Ann_Lee-0_0001.jpg", *lines[1:]], 'line 1: expected "NAME'),
        (lambda lines: [lines[0], "Ann_Lee-0_0009.jpg 1", *lines[2:]], "line 2: .*Lee-0_0009.jpg"),
        (lambda lines: [lines[0], lines[0], *lines[2:]], "line 2: expected two photos"),
        (lambda lines: lines[:60], "only one person"),
        (lambda lines: [], "empty file"),
        (lambda lines: ["nobody.jpg 1", *lines[1:]], "line 1: expected the photo nobody"),
        (lambda lines: [f"{'x' * 5000} 1", *lines[1:]], "line 1: expected the photo x"),
        (lambda lines: [lines[0], f"{'x' * 5000} 1", *lines[2:]], "line 2: expected the photo"),
    ],
)
def test_two_line_lists_that_are_wrong(
    tmp_path: Path, change: Callable[[list[str]], list[str]], words: str
) -> None:
    file = write_two_lines(tmp_path, "CALFW", two_line_set(tmp_path, numbered=True))
    file.write_text("\n".join(change(file.read_text().splitlines())))
    with pytest.raises(DataError, match=words) as caught:
        read_two_line_pairs(tmp_path, "calfw")
    assert str(file) in str(caught.value)


def test_lists_of_aligned_photos(tmp_path: Path) -> None:
    folder = tmp_path / "agedb_30_112x112"
    folder.mkdir()
    lines = []
    for i in range(24):
        same = i % 4 < 2
        a, b = f"{chr(65 + i)}1", f"{chr(65 + (i if same else i + 1))}2"
        for name in (a, b):
            (folder / f"{name}.jpg").write_bytes(name.encode())
        prefix = "agedb_30_112x112/" if i % 2 else ""
        lines.append(f"{int(same)} {prefix}{a}.jpg {prefix}{b}.jpg")
    (tmp_path / "agedb_30_ann.txt").write_text("\n".join(lines))
    pairs = read_agedb(tmp_path)
    assert pairs.aligned
    result, _ = run_pair_list(pairs, TableSource(str), protocol="agedb", title="A", data="d")
    scores = []
    for line in lines:
        a, b = (Path(name).stem for name in line.split()[1:])
        first, second = (vector_of(n[:1], repr(n.encode())) for n in (a, b))
        scores.append(float(first @ second))
    same = np.array([line[0] == "1" for line in lines])
    check_part(result.part("pairs"), scores, same, folds_by_kind(same))
    (tmp_path / "agedb_30_ann.txt").write_text("2 a b\n")
    with pytest.raises(DataError, match=r"agedb_30_ann\.txt, line 1"):
        read_agedb(tmp_path)


def agedb_matlab(file: Path, folds: list[list[tuple[str, str, bool]]]) -> None:
    """In the published nesting: a cell a fold; a struct; a 2 x P cell of structs; P answers."""
    splits = np.empty((len(folds), 1), object)
    for number, pairs in enumerate(folds):
        names = np.empty((2, len(pairs)), object)
        for place, (a, b, _) in enumerate(pairs):
            names[0, place] = {"name": a, "age": 35.0}
            names[1, place] = {"name": b, "age": 65.0}
        answers = np.array([[1.0 if same else -1.0 for _, _, same in pairs]])
        splits[number, 0] = {"pairs": names, "labels": answers}
    scipy_io.savemat(file, {"splits": splits}, do_compression=True)


def agedb_set(root: Path) -> list[list[tuple[str, str, bool]]]:
    (root / "03_Protocol_Images").mkdir()
    folds = []
    for fold in range(4):
        pairs = []
        for i in range(6):
            a = f"Person{fold}{i}_0_Person{fold}{i}_35_f"
            other = (fold, i) if i < 3 else (fold, i - 3)
            b = f"Person{other[0]}{other[1]}_1_Person{other[0]}{other[1]}_65_f"
            pairs.append((a, b, i < 3))
            for name in (a, b):
                (root / "03_Protocol_Images" / f"{name}.jpg").touch()
        folds.append(pairs)
    return folds


def test_agedb_as_published(tmp_path: Path) -> None:
    folds = agedb_set(tmp_path)
    (tmp_path / "AgeDB_FINAL_protocol").mkdir()
    file = tmp_path / "AgeDB_FINAL_protocol" / "04_FINAL_protocol_30_years.mat"
    agedb_matlab(file, folds)
    # As FaceX-Zoo and InsightFace index it.
    split = scipy_io.loadmat(file)["splits"][1][0][0][0]
    assert split[0][0][2][0][0][0][0] == folds[1][2][0]
    assert split[1][0].tolist() == [1, 1, 1, -1, -1, -1]
    pairs = read_agedb(tmp_path)
    flat = [(a, b, same, k) for k, fold in enumerate(folds) for a, b, same in fold]
    assert [
        (pairs.photos[i].stem, pairs.photos[j].stem, bool(same), int(fold))
        for (i, j), same, fold in zip(pairs.pairs, pairs.same, pairs.folds, strict=True)
    ] == flat
    for bad, words in (
        ([[("a", "b", True)], folds[1]], "fold 1, pair 1: .*a.jpg"),
        ([folds[0]], "a cell for each fold"),
    ):
        agedb_matlab(file, bad)
        with pytest.raises(DataError, match=words):
            read_agedb(tmp_path)
    scipy_io.savemat(file, {"splits": np.array([["x", 2], [3, 4]], object)})
    with pytest.raises(DataError, match="fold 1: expected a struct"):
        read_agedb(tmp_path)


def test_agedb_as_text(tmp_path: Path) -> None:
    folds = agedb_set(tmp_path)
    rows = [(f"{a}.jpg", f"{b}.jpg", same, k) for k, f in enumerate(folds) for a, b, same in f]
    file = tmp_path / "agedb_30_pairs.txt"
    file.write_text("".join(f"{a} {b} {int(same)} {k + 1}\n" for a, b, same, k in rows))
    pairs = read_agedb(tmp_path)
    assert (pairs.folds - 1).tolist() == [k for *_, k in rows]
    assert pairs.same.tolist() == [same for _, _, same, _ in rows]
    for text, words in (
        ("a.jpg b.jpg", "line 1: expected"),
        (f"{rows[0][0]} b.jpg 1", "line 1: .*b.jpg"),
        (f"{rows[0][0]} {'b' * 5000}.jpg 1", "line 1: expected the photo"),
        (f"{rows[0][0]} {rows[0][0]} 1", "line 1: expected two"),
        (f"{rows[0][0]} {rows[0][1]} 1 x", "line 1: .*fold"),
        (f"{rows[0][0]} {rows[0][1]} 1 1\n{rows[1][0]} {rows[1][1]} 1", "all lines or in none"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=words):
            read_agedb(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match="lineament eval bin"):
        read_agedb(tmp_path)


# --- CFP ----------------------------------------------------------------------------------------


def cfp_set(root: Path, people: int = 6, folds: int = 3) -> dict[str, list[list[Any]]]:
    """Returns for "FF" and "FP" the folds' (name a, name b, same)."""
    lists: dict[str, list[str]] = {"F": [], "P": []}
    for person in range(1, people + 1):
        for kind, letter, count in (("frontal", "F", 3), ("profile", "P", 2)):
            folder = root / "Data" / "Images" / f"{person:03d}" / kind
            folder.mkdir(parents=True)
            for number in range(1, count + 1):
                (folder / f"{number:02d}.jpg").touch()
                path = f"../Data/Images/{person:03d}/{kind}/{number:02d}.jpg"
                lists[letter].append(path)
    (root / "Protocol").mkdir()
    for letter, paths in lists.items():
        text = "".join(f"{i} {path}\n" for i, path in enumerate(paths, 1))
        (root / "Protocol" / f"Pair_list_{letter}.txt").write_text(text)
    random = np.random.default_rng(0)
    made: dict[str, list[list[Any]]] = {"FF": [], "FP": []}
    for name, second in (("FF", "F"), ("FP", "P")):
        for fold in range(1, folds + 1):
            folder = root / "Protocol" / "Split" / name / f"{fold:02d}"
            folder.mkdir(parents=True)
            rows = []
            for file, same in (("same.txt", True), ("diff.txt", False)):
                lines = []
                while len(lines) < 5:
                    i = int(random.integers(len(lists["F"])))
                    j = int(random.integers(len(lists[second])))
                    a, b = lists["F"][i], lists[second][j]
                    if a != b and (a.split("/")[3] == b.split("/")[3]) == same:
                        lines.append(f"{i + 1},{j + 1}")
                        rows.append((a, b, same))
                (folder / file).write_text("\n".join(lines) + "\n")
            made[name].append(rows)
    return made


def cfp_person(path: Path) -> str:
    return path.parts[-3]


class CfpSource(TableSource):
    def vector(self, path: Path) -> npt.NDArray[np.float32]:
        return vector_of(path.parts[-3], "/".join(path.parts[-3:]), 0.3)


def test_cfp(tmp_path: Path) -> None:
    made = cfp_set(tmp_path)
    source = CfpSource(cfp_person)
    result, _ = run_cfp(tmp_path, source)
    assert [part.key for part in result.parts] == ["ff", "fp"]
    for key, folds in made.items():
        rows = [(a, b, same, k) for k, fold in enumerate(folds) for a, b, same in fold]
        scores = [float(source.vector(Path(a)) @ source.vector(Path(b))) for a, b, _, _ in rows]
        part = result.part(key.lower())
        check_part(part, scores, [same for _, _, same, _ in rows], [k for *_, k in rows])
    assert len(source.given) == len(set(source.given)) == result.images
    only, _ = run_cfp(tmp_path, source, protocols=("fp",))
    assert [part.key for part in only.parts] == ["fp"]
    assert only.part("fp").measures == result.part("fp").measures
    with pytest.raises(OptionError, match="ff, fp"):
        run_cfp(tmp_path, source, protocols=())


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("Pair_list_F.txt", "x ../a.jpg", "line 1: expected a number"),
        ("Pair_list_F.txt", "1 ../a.jpg\n1 ../b.jpg", "line 2: .*once"),
        ("Split/FP/02/same.txt", "1,2\n3", "line 2: expected two numbers"),
        ("Split/FP/02/diff.txt", "1,999", "line 1: .*1 to 12, got 999"),
        ("Split/FP/03/diff.txt", "", "empty file"),
        ("Split/FP/03/diff.txt", None, "no such file"),
        ("Pair_list_P.txt", None, "Pair_list_P"),
    ],
)
def test_cfp_that_is_wrong(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    cfp_set(tmp_path)
    file = tmp_path / "Protocol" / name
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_cfp(tmp_path, "fp")
    assert file.name in str(caught.value)


def test_cfp_without_a_photo_or_folds(tmp_path: Path) -> None:
    cfp_set(tmp_path, folds=2)
    for file in (tmp_path / "Data/Images").glob("*/profile/*.jpg"):
        file.unlink()
    with pytest.raises(DataError, match=r"same.txt, line 1: expected the photo .*profile"):
        read_cfp(tmp_path, "fp")
    assert len(read_cfp(tmp_path, "ff")) == 20
    for file in (tmp_path / "Protocol/Split/FF").glob("*/*.txt"):
        file.unlink()
    for folder in (tmp_path / "Protocol/Split/FF").iterdir():
        folder.rmdir()
    with pytest.raises(DataError, match="folders 01 to 10"):
        read_cfp(tmp_path, "ff")


# --- pairs of one's own -------------------------------------------------------------------------

THRESHOLD = Threshold(0.4, "cosine", 1e-4, "a table", 100)


def csv_set(root: Path, people: int = 40) -> list[tuple[str, str, bool]]:
    random = np.random.default_rng(3)
    rows = []
    for i in range(people):
        for k in range(2):
            rows.append((f"p{i}/{k}.jpg", f"p{i}/{k + 1}.jpg", True))
            other = int(random.integers(people - 1))
            other += other >= i
            rows.append((f"p{i}/{k}.jpg", f"p{other}/{k}.jpg", False))
    for a, b, _ in rows:
        for name in (a, b):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
    return rows


def write_csv(file: Path, rows: list[tuple[str, str, bool]], words: tuple[str, str]) -> None:
    with file.open("w", newline="", encoding="utf-8-sig") as out:
        writer = csv.writer(out)
        writer.writerow(["same", "file_b", "comment", "file_a"])
        writer.writerows([words[same], b, "a, b", a] for a, b, same in rows)


class CsvSource(TableSource):
    def vector(self, path: Path) -> npt.NDArray[np.float32]:
        return vector_of(path.parent.name, "/".join(path.parts[-2:]), 0.3)


@pytest.mark.parametrize("words", [("0", "1"), ("False", "TRUE"), ("different", "same")])
def test_pairs_by_person(tmp_path: Path, words: tuple[str, str]) -> None:
    rows = csv_set(tmp_path / "photos")
    write_csv(tmp_path / "pairs.csv", rows, words)
    data = read_pairs(tmp_path / "pairs.csv", root=tmp_path / "photos")
    assert data.people is not None
    names = [(a.split("/")[0], b.split("/")[0]) for a, b, _ in rows]
    folds, usable = person_folds(data.people)
    for fold in range(10):
        mine = {name for k, pair in zip(folds, names, strict=True) if k == fold for name in pair}
        chosen = [set(names[i]) for i in np.flatnonzero(usable[fold])]
        assert len(chosen) >= 20
        assert all(not people & mine for people in chosen)
        firsts = {a for k, (a, _) in zip(folds, names, strict=True) if k == fold}
        others = {a for k, (a, _) in zip(folds, names, strict=True) if k != fold}
        assert not firsts & others
    source = CsvSource(str)
    result, _ = run_pairs(data, source, threshold=THRESHOLD)
    assert "share no person" in result.notes[0]
    scores = np.array(
        [float(source.vector(Path(a)) @ source.vector(Path(b))) for a, b, _ in rows], np.float32
    )
    same = np.array([s for _, _, s in rows])
    shares = []
    for fold in range(10):
        cut = best_threshold(scores[usable[fold]], same[usable[fold]])
        mine = folds == fold
        shares.append(np.mean((scores[mine] >= cut) == same[mine]))
    measures = result.part("pairs").measures
    np.testing.assert_allclose(measures["accuracies"], shares, atol=1e-9)
    assert measures["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(same, scores), abs=1e-9)
    assert measures["tar_at_fmr"]["1e-3"] is None
    assert "1e-5" not in measures["tar_at_fmr"]
    decided = result.part("at_threshold").measures
    said = scores >= 0.4
    truth = sklearn_metrics.confusion_matrix(same, said)
    assert decided["confusion"] == {
        "different_called_different": truth[0, 0],
        "different_called_same": truth[0, 1],
        "same_called_different": truth[1, 0],
        "same_called_same": truth[1, 1],
    }
    assert decided["precision"] == pytest.approx(sklearn_metrics.precision_score(same, said))
    assert decided["f1"] == pytest.approx(sklearn_metrics.f1_score(same, said))
    low, high = decided["intervals"]["fnmr"]
    assert low <= decided["fnmr"] <= high
    assert result.to_dict()["at_threshold"]["accuracy"] == pytest.approx(np.mean(said == same))
    assert any("not measurable" in value for _, value in result.rows())


def test_pairs_without_names_are_split_by_pairs(tmp_path: Path) -> None:
    rows = [(a.replace("/", "-"), b.replace("/", "-"), s) for a, b, s in csv_set(tmp_path)]
    for a, b, _ in rows:
        (tmp_path / a).touch()
        (tmp_path / b).touch()
    write_csv(tmp_path / "pairs.csv", rows, ("0", "1"))
    data = read_pairs(tmp_path / "pairs.csv")
    assert data.people is None
    source = TableSource(lambda path: path.name.split("-")[0], noise=0.3)
    result, _ = run_pairs(data, source)
    assert "nothing tells who is shown" in result.notes[0]
    scores = [float(source.vector(Path(a)) @ source.vector(Path(b))) for a, b, _ in rows]
    same = np.array([s for *_, s in rows])
    check_part(result.part("pairs"), scores, same, folds_by_kind(same))
    assert len(result.parts) == 1


def test_few_pairs_have_no_accuracy_by_folds(tmp_path: Path) -> None:
    rows = csv_set(tmp_path)[:3]
    write_csv(tmp_path / "pairs.csv", rows, ("no", "yes"))
    result, _ = run_pairs(read_pairs(tmp_path / "pairs.csv"), CsvSource(str), threshold=THRESHOLD)
    assert "at least 10 pairs of each kind" in result.notes[0]
    assert "accuracy_mean" not in result.part("pairs").measures
    assert result.part("pairs").measures["tar_at_fmr"]["1e-1"] is None
    assert result.part("at_threshold").measures["accuracy"] >= 0


def test_pairs_of_one_kind_only(tmp_path: Path) -> None:
    rows = [row for row in csv_set(tmp_path) if row[2]]
    write_csv(tmp_path / "pairs.csv", rows, ("no", "yes"))
    result, _ = run_pairs(read_pairs(tmp_path / "pairs.csv"), CsvSource(str), threshold=THRESHOLD)
    assert result.part("pairs").measures["auc"] is None
    assert result.part("at_threshold").measures["fmr"] is None
    assert result.part("at_threshold").measures["intervals"]["fmr"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: .*no file_a"),
        ("file_a,file_b\na,b", "line 1: .*no same"),
        ("file_a,file_b,same\n", "found none"),
        ("file_a,file_b,same\na.jpg,b.jpg,1\na.jpg,b.jpg,maybe", "line 3: .*'maybe'"),
        ("file_a,file_b,same\na.jpg,c.jpg,1", "line 2: .*c.jpg"),
        ("file_a,file_b,same\na.jpg,,1", "line 2: .*file_b"),
        ("file_a,file_b,same\na.jpg", "line 2: "),
        ("file_a,file_b,same\na.jpg,a.jpg,1", "line 2: .*twice"),
        ('file_a,file_b,same\n"a.jpg,b.jpg,1', "line 2: expected a CSV"),
        ("file_a,file_b,same,person_a,person_b\na.jpg,b.jpg,1,x,y", "line 2: .*agree"),
        ("file_a,file_b,same,person_a,person_b\na.jpg,b.jpg,1,x,", "line 2: .*who"),
    ],
)
def test_csv_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_pairs(tmp_path / "pairs.csv")
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="UTF-8"):
        read_pairs(tmp_path / "pairs.csv")


# --- YouTube Faces ------------------------------------------------------------------------------


def ytf_set(root: Path, *, aligned: bool = False) -> list[tuple[int, str, str, bool]]:
    base = root / ("aligned_images_DB" if aligned else "frame_images_DB")
    people = [f"Ann_Lee{i}" for i in range(12)]
    for i, person in enumerate(people):
        labels = []
        for video in range(2):
            folder = base / person / str(video)
            folder.mkdir(parents=True)
            for frame in range(95, 95 + 9 + i):
                name = f"{video}.{frame}.jpg"
                (folder / (f"aligned_detect_{name}" if aligned else name)).touch()
                labels.append(f"{person}\\{video}\\{name},0,{100 + frame},80,40,60,0.0,1\n")
        if not aligned:
            (base / f"{person}.labeled_faces.txt").write_text("".join(labels))
    rows = []
    for i, person in enumerate(people):
        fold = i % 4 + 1
        rows.append((fold, f"{person}/0", f"{person}/1", True))
        rows.append((fold, f"{person}/0", f"{people[(i + 5) % 12]}/1", False))
    text = "split number, pair number in split, first name, second name, is same:\n"
    for number, (fold, a, b, same) in enumerate(rows):
        text += f"{fold}, {number + 1}, {a}, {b}, {int(same)}\n"
    (root / "splits.txt").write_text(text)
    return rows


class YtfSource(TableSource):
    def vector(self, path: Path) -> npt.NDArray[np.float32]:
        return vector_of(path.parts[-3], "/".join(path.parts[-3:]), 0.5)


@pytest.mark.parametrize("aligned", [False, True])
def test_ytf(tmp_path: Path, aligned: bool) -> None:
    rows = ytf_set(tmp_path, aligned=aligned)
    videos = read_ytf(tmp_path, frames=4)
    frames = dict(zip(videos.names, videos.frames, strict=True))
    numbers = [int(path.name.split(".")[1]) for path in frames["Ann_Lee3/1"]]
    assert numbers == [96, 99, 102, 105]  # of 95 to 106: the middles of four quarters
    without = {path.name for path in frames["Ann_Lee2/0"]} if aligned else set()
    source = YtfSource(str)
    original = source.photos

    def photos(paths: Sequence[Path], *, boxes_xyxy: Any = None) -> Embedded:
        embedded = original(paths, boxes_xyxy=boxes_xyxy)
        gone = np.array(["Ann_Lee2/0" in str(path) for path in paths]) & bool(without)
        return Embedded(
            embedded.vectors * ~gone[:, None], embedded.norms * ~gone, embedded.found & ~gone
        )

    source.photos = photos  # type: ignore[method-assign]
    result, _ = run_ytf(videos, source)
    if aligned:
        assert source.boxes is None
    else:
        place = source.given.index(frames["Ann_Lee3/1"][0])
        assert source.boxes[place].tolist() == [196 - 20, 80 - 30, 196 + 20, 80 + 30]
    norm = dict(zip(source.given, original(source.given).norms, strict=True))

    def scores(kind: str) -> list[float]:
        found = []
        for _, a, b, _ in rows:
            if without and "Ann_Lee2/0" in (a, b):
                found.append(-1.0)
                continue
            sides = []
            for name in (a, b):
                vectors = np.stack([source.vector(p) for p in frames[name]]).astype(np.float64)
                weights = [float(norm[p]) ** 4 if kind == "weighted" else 1.0 for p in frames[name]]
                mean = sum(w * v for w, v in zip(weights, vectors, strict=True))
                sides.append((vectors, mean / np.linalg.norm(mean)))
            if kind == "best_pair":
                found.append(float((sides[0][0] @ sides[1][0].T).max()))
            else:
                found.append(float(sides[0][1] @ sides[1][1]))
        return found

    same, folds = [s for *_, s in rows], [k for k, *_ in rows]
    assert [part.key for part in result.parts] == ["mean", "weighted", "best_pair"]
    for part in result.parts:
        check_part(part, scores(part.key), same, folds)
        assert part.measures["n_pairs_without_face"] == (2 if without else 0)
    other, _ = run_ytf(videos, source, weight=lambda embedded: np.ones(len(embedded.norms)))
    assert other.part("weighted").measures == other.part("mean").measures
    published = {row.name: row.value for row in result.published}
    assert published["FaceNet"] == pytest.approx(0.9510)
    assert len(published) == 10
    assert any(name == "lineament, this run" for name, _, _ in result.published_rows())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1, 1, Ann_Lee0/0, Ann_Lee0/1", "line 2: expected split"),
        ("1, 1, Ann_Lee0/0, Ann_Lee0/1, 2", "line 2: expected split"),
        ("1, 1, Ann_Lee0, Ann_Lee0/1, 1", "line 2: expected split"),
        ("1, 1, Ann_Lee0/0, Ann_Lee0/0, 1", "line 2: expected two videos"),
        ("1, 1, Ann_Lee0/0, Nobody/1, 0", "line 2: .*Nobody"),
        ("", "headings alone"),
    ],
)
def test_ytf_that_is_wrong(tmp_path: Path, line: str, words: str) -> None:
    ytf_set(tmp_path)
    file = tmp_path / "splits.txt"
    file.write_text(file.read_text().split("\n")[0] + "\n" + line + "\n")
    with pytest.raises(DataError, match=words):
        read_ytf(tmp_path)


def test_ytf_without_frames_or_with_wrong_boxes(tmp_path: Path) -> None:
    ytf_set(tmp_path)
    with pytest.raises(OptionError, match="frames"):
        read_ytf(tmp_path, frames=0)
    labels = tmp_path / "frame_images_DB" / "Ann_Lee0.labeled_faces.txt"
    labels.write_text("Ann_Lee0\\0\\0.95.jpg,0,wide,1,2\n")
    with pytest.raises(DataError, match=r"labeled_faces\.txt, line 1"):
        read_ytf(tmp_path)
    labels.unlink()
    assert np.isnan(read_ytf(tmp_path).boxes_xyxy).any()
    for file in (tmp_path / "frame_images_DB/Ann_Lee0/1").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"line 2: expected frames"):
        read_ytf(tmp_path)
    with pytest.raises(DataError, match=r"splits\.txt"):
        read_ytf(tmp_path / "frame_images_DB")
    with pytest.raises(DataError, match="folder of YouTube Faces, found nothing"):
        read_ytf(tmp_path / "none")


def test_pairs_in_one_fold_are_refused(tmp_path: Path) -> None:
    pairs = PairList(
        (Path("a.jpg"), Path("b.jpg")),
        np.array([[0, 1], [1, 0]]),
        np.array([True, False]),
        np.zeros(2, np.int64),
    )
    with pytest.raises(DataError, match="at least 2 folds"):
        run_pair_list(pairs, TableSource(str), protocol="x", title="X", data="d")


def test_folds_of_different_lengths() -> None:
    scores = np.array([0.9, 0.1, 0.8, 0.2, 0.5], np.float32)
    same = np.array([True, False, True, False, False])
    found = fold_accuracy(scores, same, np.array([0, 0, 1, 1, 1]))
    assert found.thresholds.tolist() == pytest.approx([0.65, 0.5])
    assert found.accuracies.tolist() == pytest.approx([1.0, 2 / 3])

"""IJB-B and IJB-C in their published file formats: parsers, pooling and rates by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from builders import TableSource
from lineament.datasets.ijb import TemplatePairs, TemplateSearches, read_ijb
from lineament.errors import DataError, OptionError
from lineament.evaluate.protocols.templates import run_ijb

HEADING = (
    "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,FRAME_NUM,"
    "FACIAL_HAIR,AGE,INDOOR_OUTDOOR,SKINTONE,GENDER,YAW,ROLL\n"
)
REST = ",,0,3,1,2,1,-12.5,0.0\n"

Face = tuple[int, int, str, int]
"""Template, subject, file, sighting."""

G1: list[Face] = [(1, 10, "img/1.jpg", 1), (1, 10, "img/2.png", 2), (2, 20, "img/3.jpg", 3)]
G2: list[Face] = [(3, 30, "img/4.jpg", 4), (4, 40, "frames/5.png", 5), (4, 40, "img/6.jpg", 6)]
PROBES: list[Face] = [
    (5, 10, "frames/7_1.png", 7),
    (5, 10, "frames/7_2.png", 7),
    (5, 10, "frames/7_3.png", 7),
    (5, 10, "img/8.jpg", 8),
    (6, 20, "img/9.jpg", 9),
    (7, 30, "img/4.jpg", 10),
    (8, 40, "img/11.jpg", 11),
    (9, 40, "img/12.jpg", 12),
]
PAIRS = "1,5\n1,6\n2,6\n3,7\n4,8\n4,5\n3,9\n2,8\n"


def rows(faces: list[Face], rest: str = REST) -> str:
    return "".join(f"{t},{s},{f},{m},{10 + t},20,30,40{rest}" for t, s, f, m in faces)


def nist(root: Path, *, name: str = "ijbc", splits: str = "G", folder: str = "protocols") -> Path:
    """The layout of NIST's archive."""
    where = root / folder
    where.mkdir(parents=True)
    heading, rest = HEADING, REST
    if name == "ijbb":  # the older tables have FILE, and the points of eyes and nose
        heading = (
            "TEMPLATE_ID,SUBJECT_ID,FILE,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,"
            "RIGHT_EYE_X,RIGHT_EYE_Y,LEFT_EYE_X,LEFT_EYE_Y,NOSE_BASE_X,NOSE_BASE_Y,FRAME\n"
        )
        rest = ",1,2,3,4,,,\n"
    for number, faces in ((1, G1), (2, G2)):
        file = where / f"{name}_1N_gallery_{splits}{number}.csv"
        file.write_text(heading + rows(faces, rest))
    (where / f"{name}_1N_probe_mixed.csv").write_text(heading + rows(PROBES, rest))
    (where / f"{name}_11_{splits}1_{splits}2_matches.csv").write_text(PAIRS)
    photos(root / "images", [f for _, _, f, _ in G1 + G2 + PROBES])
    return root


def photos(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


POINTS = "30 40 50 40 40 50 32 62 48 62"


def insightface(root: Path) -> Path:
    meta = root / "meta"
    meta.mkdir(parents=True)
    faces = G1 + G2 + PROBES
    names = [f"{i + 1}.jpg" for i in range(len(faces))]
    lines = [f"{n} {t} {m}\n" for n, (t, _, _, m) in zip(names, faces, strict=True)]
    (meta / "ijbc_face_tid_mid.txt").write_text("".join(lines))
    points = [f"{n} {POINTS} 0.99\n" for n in names]
    (meta / "ijbc_name_5pts_score.txt").write_text("".join(points))
    subject = {t: s for t, s, _, _ in faces}
    pairs = [tuple(map(int, line.split(","))) for line in PAIRS.split()]
    labels = [f"{a} {b} {int(subject[a] == subject[b])}\n" for a, b in pairs]
    (meta / "ijbc_template_pair_label.txt").write_text("".join(labels))
    photos(root / "loose_crop", names)
    return root


def source_of(paths: tuple[Path, ...], missing: tuple[int, ...] = ()) -> TableSource:
    rng = np.random.default_rng(5)
    table = {path: rng.normal(size=6) * rng.uniform(1, 9) for path in dict.fromkeys(paths)}
    return TableSource({p: None if i in missing else v for i, (p, v) in enumerate(table.items())})


def template(source: TableSource, files: dict[int, list[Path]], weighted: bool) -> np.ndarray:
    """Mean within each medium, then over the media."""
    media = []
    for paths in files.values():
        known = [v for p in paths if (v := source.table[str(p)]) is not None]
        if known:
            media.append(np.mean([v if weighted else v / np.linalg.norm(v) for v in known], axis=0))
    total = np.mean(media, axis=0)
    return total / np.linalg.norm(total)


def by_hand(source: TableSource, paths: list[Path], weighted: bool) -> dict[int, np.ndarray]:
    files: dict[int, dict[int, list[Path]]] = {}
    for (tid, _, _, medium), path in zip(G1 + G2 + PROBES, paths, strict=True):
        files.setdefault(tid, {}).setdefault(medium, []).append(path)
    return {tid: template(source, media, weighted) for tid, media in files.items()}


@pytest.mark.parametrize("layout", ["c", "b", "insightface", "nested"])
def test_verification(tmp_path: Path, layout: str) -> None:
    if layout in ("insightface", "nested"):
        inner = tmp_path if layout == "insightface" else tmp_path / "IJBC"
        insightface(inner)
        paths = [inner / "loose_crop" / f"{i + 1}.jpg" for i in range(14)]
    else:
        if layout == "c":
            nist(tmp_path)
        else:
            nist(tmp_path, name="ijbb", splits="S", folder="protocol")
        paths = [tmp_path / "images" / f for _, _, f, _ in G1 + G2 + PROBES]
    which = "b" if layout == "b" else "c"
    data = read_ijb(tmp_path, which, "1:1")  # type: ignore[arg-type]
    assert isinstance(data, TemplatePairs)
    assert data.templates.ids.tolist() == list(range(1, 10))
    assert data.templates.media_known
    assert data.same.tolist() == [True, False, True, True, True, False, False, False]
    assert list(data.templates.paths) == paths
    source = source_of(data.templates.paths)
    result, _ = run_ijb(data, source, which)  # type: ignore[arg-type]
    assert source.boxes_xyxy[0].tolist() == pytest.approx(
        [11, 20, 41, 60] if layout in "cb" else [15.8, 26.6, 64.2, 75.0], abs=0.5
    )
    for key, weighted in (("mean", False), ("norm", True)):
        part = result.part(f"verification_{key}")
        templates = by_hand(source, paths, weighted)
        pairs = [tuple(map(int, line.split(","))) for line in PAIRS.split()]
        scores = np.array([templates[a] @ templates[b] for a, b in pairs])
        assert part.scores is not None
        found = (part.scores.genuine.tolist(), part.scores.impostor.tolist())  # type: ignore[union-attr]
        assert found[0] == pytest.approx(scores[data.same].tolist(), abs=1e-6)
        assert found[1] == pytest.approx(scores[~data.same].tolist(), abs=1e-6)
        tar = (scores[data.same] > scores[~data.same].max()).mean()
        assert list(part.measures["tar_at_fmr"]) == ["1e-6", "1e-5", "1e-4", "1e-3", "1e-2", "1e-1"]
        assert part.measures["tar_at_fmr"]["1e-6"] == pytest.approx(tar, abs=1e-9)
    assert any("fewer than 30 errors stand behind TAR" in note for note in result.notes)
    assert result.images == 14


@pytest.mark.parametrize("layout", ["nist", "insightface"])
def test_identification(tmp_path: Path, layout: str) -> None:
    nist(tmp_path)
    if layout == "insightface":
        insightface(tmp_path)
        for file in (tmp_path / "protocols").glob("*1N*.csv"):
            file.rename(tmp_path / "meta" / file.name)
    data = read_ijb(tmp_path, "c", "1:N")
    assert isinstance(data, TemplateSearches)
    assert [(n, data.templates.ids[g].tolist()) for n, g in data.galleries] == [
        ("G1", [1, 2]),
        ("G2", [3, 4]),
    ]
    assert data.templates.ids[data.probes].tolist() == [5, 6, 7, 8, 9]
    source = source_of(data.templates.paths)
    result, _ = run_ijb(data, source, "c")
    subject = {t: s for t, s, _, _ in G1 + G2 + PROBES}
    firsts: dict[bool, list[float]] = {False: [], True: []}
    for key, weighted in (("mean", False), ("norm", True)):
        templates = by_hand(source, list(data.templates.paths), weighted)
        for name, gallery in (("g1", (1, 2)), ("g2", (3, 4))):
            mated, tops = [], []
            for probe in (5, 6, 7, 8, 9):
                scores = {g: templates[probe] @ templates[g] for g in gallery}
                mate = next((g for g in gallery if subject[g] == subject[probe]), None)
                if mate is None:
                    tops.append(max(scores.values()))
                else:
                    mated.append((scores[mate], scores[mate] == max(scores.values())))
            part = result.part(f"gallery_{name}_{key}")
            first = np.mean([best for _, best in mated])
            open_set = np.mean([best and score > max(tops) for score, best in mated])
            assert part.measures["rank"]["1"] == pytest.approx(first, abs=1e-9)
            assert part.measures["rank"]["5"] == 1
            assert part.measures["dir_at_fpir"]["1e-2"] == pytest.approx(open_set, abs=1e-9)
            assert (part.measures["n_mated_searches"], part.measures["n_nonmated_searches"]) == (
                len(mated),
                len(tops),
            )
            assert list(part.curves["cmc"]) == ["1", "2"]
            firsts[weighted].append(first)
        average = result.part(f"average_{key}").measures["rank"]["1"]
        assert average == pytest.approx(np.mean(firsts[weighted]), abs=1e-9)


def test_a_template_without_a_face_stays_in(tmp_path: Path) -> None:
    data = read_ijb(nist(tmp_path), "c", "1:1")
    assert isinstance(data, TemplatePairs)
    probe = str(tmp_path / "images" / "img/9.jpg")
    source = source_of(data.templates.paths)
    source.table[probe] = None
    del source.table[str(tmp_path / "images" / "img/2.png")]  # cannot be read; its template can
    result, embedded = run_ijb(data, source, "c")
    part = result.part("verification_mean")
    assert part.measures["n_pairs_without_face"] == 2
    assert (part.measures["n_genuine_pairs"], part.measures["n_impostor_pairs"]) == (4, 4)
    assert part.scores is not None
    assert part.scores.genuine[1] == part.scores.impostor[0] == -1  # type: ignore[union-attr]
    assert result.errors == len(embedded.unreadable) == 1
    assert any("without a face: 1 template;" in note for note in result.notes)


def test_a_face_without_a_box_may_be_anywhere(tmp_path: Path) -> None:
    change(G1_FILE, "11,20,30,40", ",,,")(nist(tmp_path))
    boxes = read_ijb(tmp_path, "c", "1:1").templates.boxes_xyxy
    assert np.isnan(boxes).all(axis=1).tolist() == [True] + [False] * 13


def test_the_newer_release_has_no_media(tmp_path: Path) -> None:
    heading = "TEMPLATE_ID,SUBJECT_ID,FILENAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT\n"

    def plain(faces: list[Face]) -> str:
        return heading + "".join(f"{t},{s},{f},1,2,30,40\n" for t, s, f, _ in faces)

    one, four = (tmp_path / "protocols" / k for k in ("test1", "test4"))
    one.mkdir(parents=True)
    four.mkdir()
    (one / "enroll_templates.csv").write_text(plain(G1 + G2))
    (one / "verif_templates.csv").write_text(plain(PROBES))
    (one / "match.csv").write_text(PAIRS.replace("\n", "\r\n"))
    for name, faces in (("gallery_G1", G1), ("gallery_G2", G2), ("probes", PROBES)):
        (four / f"{name}.csv").write_text("\ufeff" + plain(faces), encoding="utf-8")
    photos(tmp_path / "images", [f for _, _, f, _ in G1 + G2 + PROBES])
    data = read_ijb(tmp_path, "c", "1:1")
    assert isinstance(data, TemplatePairs)
    assert len(data.pairs) == 8
    assert not data.templates.media_known
    fifth = data.templates.template == 4
    assert len(set(data.templates.medium[fifth].tolist())) == 4
    result, _ = run_ijb(data, source_of(data.templates.paths), "c")
    assert any("each photo is a medium of its own" in note for note in result.notes)
    assert isinstance(read_ijb(tmp_path, "c", "1:N"), TemplateSearches)


def change(file: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = root / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return spoil


G1_FILE = "protocols/ijbc_1N_gallery_G1.csv"
PROBE_FILE = "protocols/ijbc_1N_probe_mixed.csv"
MATCH_FILE = "protocols/ijbc_11_G1_G2_matches.csv"


@pytest.mark.parametrize(
    ("spoil", "protocol", "message"),
    [
        (lambda root: (root / MATCH_FILE).unlink(), "1:1", "found no complete set; --set says"),
        (change(G1_FILE, "FACE_X", "X"), "1:1", r"G1.csv, line 1: .* found none of FACE_X"),
        (
            change(G1_FILE, "img/2.png,2,11,20,", "img/2.png,2"),
            "1:1",
            "line 3: expected 16 columns",
        ),
        (change(G1_FILE, "2,20,img", "x,20,img"), "1:1", "line 4: expected TEMPLATE_ID as a whole"),
        (change(G1_FILE, "1,10,img/2", "1,11,img/2"), "1:N", "line 3: expected one subject a temp"),
        (change(G1_FILE, "2,20,", "2,10,"), "1:N", "line 4: expected one template of subject 10"),
        (change(G1_FILE, ",20,30,40", ",20,0,40"), "1:1", "line 2: expected FACE_WIDTH and"),
        (change(G1_FILE, ",20,30,40", ",nan,30,40"), "1:1", "line 2: expected FACE_Y in pixels"),
        (change(G1_FILE, "img/1.jpg", "../1.jpg"), "1:1", "line 2: expected the path of a photo"),
        (change(G1_FILE, "img/1.jpg", "img/x.jpg"), "1:1", "line 2: expected the photo img/x"),
        (
            change(PROBE_FILE, "5,10,", "1,10,"),
            "1:1",
            "template 1 has other faces here than in ijb",
        ),
        (
            lambda root: (root / PROBE_FILE).write_text(HEADING),
            "1:N",
            "expected lines of faces bel",
        ),
        (
            lambda root: (root / PROBE_FILE).write_bytes(b"\xff\xfe"),
            "1:N",
            "expected text in UTF-8",
        ),
        (lambda root: (root / G1_FILE).write_text("\n"), "1:N", "found an empty file"),
        (lambda root: (root / MATCH_FILE).write_text(" \n"), "1:1", "lines of pairs, found an emp"),
        (change(MATCH_FILE, "2,6", "2,6,1"), "1:1", 'line 3: expected "ID,ID" in whole numbers'),
        (change(MATCH_FILE, "2,6", "2"), "1:1", "line 3: expected"),
        (change(MATCH_FILE, "2,6", "2,six"), "1:1", "line 3: expected"),
        (change(MATCH_FILE, "2,6", "2,99999999999999999999"), "1:1", "G1_G2_matches.csv"),
        (change(MATCH_FILE, "2,6", "2,77"), "1:1", "line 3: expected a template of .* got 77"),
        (lambda root: (root / MATCH_FILE).write_text("1,5\n"), "1:1", "found 1 of one person only"),
    ],
)
def test_spoiled_files(
    tmp_path: Path, spoil: Callable[[Path], None], protocol: str, message: str
) -> None:
    spoil(nist(tmp_path))
    with pytest.raises(DataError, match=message):
        read_ijb(tmp_path, "c", protocol)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("face_tid_mid", "2.jpg 1 2", "2.jpg 1", 'mid.txt, line 2: expected "NAME TEMPLATE MEDI'),
        ("face_tid_mid", "2.jpg 1 2", "2.jpg 1 x", "line 2: expected medium as a whole number"),
        ("name_5pts_score", "2.jpg", "7.jpg", "score.txt, line 2: expected 2.jpg as in"),
        ("name_5pts_score", "2.jpg 30", "2.jpg", "line 2: .* 12 columns, got 11"),
        ("name_5pts_score", "2.jpg 30", "2.jpg inf", "line 2: expected a coordinate in pixels"),
        ("name_5pts_score", f"14.jpg {POINTS} 0.99\n", "", "expected 14 lines, .* found 13"),
        ("template_pair_label", "2 6 1", "2 6 2", "line 3: expected the label 0 or 1, got 2"),
        ("template_pair_label", "2 6 1", "2 6", "line 3: expected"),
        ("template_pair_label", "2 6 1", "2 60 1", "line 3: expected a template of the other"),
    ],
)
def test_spoiled_files_of_insightface(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    change(f"meta/ijbc_{file}.txt", old, new)(insightface(tmp_path))
    with pytest.raises(DataError, match=message):
        read_ijb(tmp_path, "c", "1:1")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing of that name"):
        read_ijb(tmp_path / "no", "c", "1:1")
    with pytest.raises(OptionError, match="set: expected b or c"):
        read_ijb(tmp_path, "d", "1:1")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="protocol: expected"):
        read_ijb(tmp_path, "c", "1:2")  # type: ignore[arg-type]
    insightface(tmp_path)
    with pytest.raises(DataError, match=r"expected ijbc_1N_gallery_G1\.csv in this folder"):
        read_ijb(tmp_path, "c", "1:N")
    (tmp_path / "loose_crop" / "1.jpg").unlink()
    with pytest.raises(DataError, match="unpack loose_crop beside meta"):
        read_ijb(tmp_path, "c", "1:1")
    (tmp_path / "meta" / "ijbc_name_5pts_score.txt").unlink()
    with pytest.raises(DataError, match=r"expected ijbc_name_5pts_score\.txt"):
        read_ijb(tmp_path, "c", "1:1")

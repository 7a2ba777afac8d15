"""LFW: the parser on small trees in the published form and broken ones; the report by hand."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lineament.datasets.lfw import LFW, read_lfw
from lineament.decide.metrics import get_metric
from lineament.decide.siamese import SiameseHead
from lineament.errors import DataError, OptionError
from lineament.evaluate.metrics import best_threshold
from lineament.evaluate.protocols.lfw import images_of, lfw_report
from lineament.types import Contract

PEOPLE = {"Ann_Lee": 3, "Bob_Ray": 3, "Cid_\u014ce": 2, "De la Cruz": 2, "Eve": 1}

TRAIN = "Ann_Lee\t1\t2\nBob_Ray\t1\t3\nAnn_Lee\t1\tBob_Ray\t2\nCid_\u014ce\t2\tEve\t1\n"
TEST = "Bob_Ray\t2\t3\nDe la Cruz\t1\tEve\t1\n"
FOLDS = (
    "Ann_Lee\t1\t3\n"
    "Ann_Lee\t1\tEve\t1\n"
    "Cid_\u014ce\t1\t2\n"
    "Cid_\u014ce\t1\tDe la Cruz\t2\n"
    "De la Cruz\t1\t2\n"
    "Bob_Ray\t3\tDe la Cruz\t1\n"
)


def tree(
    root: Path,
    *,
    at: str = "images",
    train: str = TRAIN,
    test: str = TEST,
    pairs: str = "3\t1\n" + FOLDS,
) -> Path:
    for name, count in PEOPLE.items():
        folder = root / at / name
        folder.mkdir(parents=True)
        for k in range(1, count + 1):
            (folder / f"{name}_{k:04d}.jpg").write_bytes(b"not opened")
    (root / "pairsDevTrain.txt").write_text(train, encoding="utf-8")
    (root / "pairsDevTest.txt").write_text(test, encoding="utf-8")
    (root / "pairs.txt").write_text(pairs, encoding="utf-8")
    return root


def named(lfw: LFW, pairs: np.ndarray) -> list[tuple[str, str]]:
    return [
        (Path(lfw.images[a]).stem, Path(lfw.images[b]).stem)
        for a, b in pairs.reshape(-1, 2).tolist()
    ]


@pytest.mark.parametrize(
    "at", ["images", "lfw", "lfw-deepfunneled", "lfw_funneled", "lfw-deepfunneled/lfw-deepfunneled"]
)
def test_reads_the_published_form(tmp_path: Path, at: str) -> None:
    lfw = read_lfw(tree(tmp_path, at=at))
    assert lfw.images == tuple(
        f"{at}/{name}/{name}_{k:04d}.jpg"
        for name in sorted(PEOPLE)
        for k in range(1, PEOPLE[name] + 1)
    )
    assert lfw.people == tuple(sorted(PEOPLE))
    assert [lfw.people[p] for p in lfw.person] == [Path(i).parent.name for i in lfw.images]
    assert lfw.path(0).is_file()
    assert named(lfw, lfw.view1_train.indices) == [
        ("Ann_Lee_0001", "Ann_Lee_0002"),
        ("Bob_Ray_0001", "Bob_Ray_0003"),
        ("Ann_Lee_0001", "Bob_Ray_0002"),
        ("Cid_\u014ce_0002", "Eve_0001"),
    ]
    assert lfw.view1_train.same.tolist() == [True, True, False, False]
    assert named(lfw, lfw.view1_pairs.indices)[4:] == [
        ("Bob_Ray_0002", "Bob_Ray_0003"),
        ("De la Cruz_0001", "Eve_0001"),
    ]
    assert lfw.view2_folds.indices.shape == (3, 2, 2)
    assert lfw.view2_folds.same.tolist() == [[True, False]] * 3
    assert named(lfw, lfw.view2_folds.indices[1]) == [
        ("Cid_\u014ce_0001", "Cid_\u014ce_0002"),
        ("Cid_\u014ce_0001", "De la Cruz_0002"),
    ]
    assert (len(lfw.view1_pairs), len(lfw.view2_folds)) == (6, 6)


def test_photos_may_lie_right_in_the_folder(tmp_path: Path) -> None:
    lfw = read_lfw(tree(tmp_path, at="."))
    assert lfw.images[0] == "Ann_Lee/Ann_Lee_0001.jpg"
    assert len(lfw.images) == 11


def test_headers_line_ends_and_byte_order_marks_change_nothing(tmp_path: Path) -> None:
    plain = read_lfw(tree(tmp_path / "a"))
    other = read_lfw(
        tree(
            tmp_path / "b",
            train="\ufeff2\n" + TRAIN.replace("\n", "\r\n") + "\r\n",
            test="1\n" + TEST.rstrip("\n"),
            pairs="3 1\n" + FOLDS,
        )
    )
    for ours, theirs in (
        (plain.view1_pairs, other.view1_pairs),
        (plain.view2_folds, other.view2_folds),
    ):
        np.testing.assert_array_equal(ours.indices, theirs.indices)
        np.testing.assert_array_equal(ours.same, theirs.same)


def test_spaces_separate_where_there_are_no_tabs(tmp_path: Path) -> None:
    lfw = read_lfw(tree(tmp_path, test="Bob_Ray 2 3\nAnn_Lee 1 Eve 1\n"))
    assert named(lfw, lfw.view1_test.indices)[1] == ("Ann_Lee_0001", "Eve_0001")


def test_accents_may_be_written_apart(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", TRAIN)
    assert apart != TRAIN
    lfw = read_lfw(tree(tmp_path, train=apart))
    assert named(lfw, lfw.view1_train.indices)[3] == ("Cid_\u014ce_0002", "Eve_0001")


def test_files_of_other_systems_are_passed_over(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "images" / ".DS_Store").write_bytes(b"")
    (root / "images" / "Eve" / "._Eve_0001.jpg").write_bytes(b"")
    (root / "images" / "Eve" / "Thumbs.db").write_bytes(b"")
    (root / "images" / "readme.txt").write_text("")
    assert len(read_lfw(root).images) == 11


def without(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def change(name: str, text: str | bytes) -> Callable[[Path], None]:
    data = text.encode() if isinstance(text, str) else text
    return lambda root: (root / name).write_bytes(data) and None


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (without("pairs.txt"), r"expected LFW's pairs\.txt in this folder, found none; put"),
        (without("pairsDevTest.txt"), r"expected LFW's pairsDevTest\.txt"),
        (without("images/Eve/Eve_0001.jpg"), r"line 4: expected the photo Eve/Eve_0001\.jpg"),
        (
            lambda root: (root / "images").rename(root / "pictures"),
            "found none; unpack the archive",
        ),
        (change("images/Eve/holiday.jpg", "x"), r"found images/Eve/holiday\.jpg; remove or rename"),
        (change("images/Eve/Eve_0001.png", "x"), "with number 1, found"),
        (change("pairs.txt", ""), "found an empty file; download"),
        (
            change("pairs.txt", FOLDS),
            "line 1: expected the number of folds .* got \"?'?Ann_Lee 1 3",
        ),
        (change("pairs.txt", "3\tx\n" + FOLDS), "line 1: expected the count .* got 'x'"),
        (change("pairs.txt", "1\t3\n" + FOLDS), "at least 2 folds"),
        (
            change("pairs.txt", "4\t1\n" + FOLDS),
            r"expected 8 pairs .* found 6; the file is cut short",
        ),
        (
            change("pairs.txt", "3\t1\n" + FOLDS[: FOLDS.rindex("Bob")]),
            "expected 6 pairs .* found 5",
        ),
        (
            change("pairs.txt", "3\t1\n" + FOLDS.replace("Ann_Lee\t1\tEve\t1", "Ann_Lee\t1\t2")),
            "line 3: expected a pair of two people .* got one of one person",
        ),
        (change("pairs.txt", b"3\t1\n\xff\xfe"), "expected text in UTF-8, got byte 0xff at 4"),
        (
            change("pairsDevTrain.txt", "Ann_Lee\t1\n" + TRAIN),
            "line 1: .* got 2 columns: 'Ann_Lee 1'",
        ),
        (change("pairsDevTrain.txt", TRAIN + "\n7\n"), "line 6: .* got 1 columns: '7'"),
        (change("pairsDevTrain.txt", "1\n" + TRAIN), "expected 1 pairs of one .* found 2 and 2"),
        (change("pairsDevTrain.txt", "2\n"), "expected 2 pairs .* found 0 and 0"),
        (change("pairsDevTrain.txt", "two\n" + TRAIN), "line 1: expected the count .* got 'two'"),
        (change("pairsDevTrain.txt", TRAIN[: TRAIN.rindex("Cid")]), "expected 2 pairs .* 2 and 1"),
        (
            change("pairsDevTest.txt", "Ann_Lee\t1\t9\n" + TEST),
            r"line 1: .* Ann_Lee/Ann_Lee_0009\.jpg",
        ),
        (
            change("pairsDevTest.txt", "Ann_Lee\t1\tx\n" + TEST),
            "line 1: expected the number .* 'x'",
        ),
        (
            change("pairsDevTest.txt", "Ann_Lee\t1\t-1\n" + TEST),
            "line 1: expected the number .* '-1'",
        ),
        (change("pairsDevTest.txt", "Ann_Lee\t1\t1\n" + TEST), "line 1: .* got the same one twice"),
        (change("pairsDevTest.txt", "Eve\t1\n"), "pairsDevTest.txt, line 1"),
        (
            change("pairsDevTest.txt", TEST + "Bob_Ray\t1\tBob_Ray\t2\n"),
            "line 3: .* got Bob_Ray twice",
        ),
    ],
)
def test_what_is_malformed_is_named(
    tmp_path: Path, breaks: Callable[[Path], None], message: str
) -> None:
    root = tree(tmp_path)
    breaks(root)
    with pytest.raises(DataError, match=message) as caught:
        read_lfw(root)
    assert str(root) in str(caught.value)


def test_a_folder_that_is_not_lfw(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing"):
        read_lfw(tmp_path / "absent")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(DataError, match="found a file"):
        read_lfw(file)
    with pytest.raises(DataError, match=r"expected LFW's pairs\.txt"):
        read_lfw(tmp_path)


def at_angles(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


# Ann 1-3, Bob 1-3, Cid 1-2, De la Cruz 1-2, Eve 1; the third of Ann is like Eve.
VECTORS = at_angles(0, 5, 170, 60, 62, 64, 100, 104, 140, 141, 168)


def cosine(a: float, b: float) -> float:
    return float(np.cos(np.radians(a - b)))


def test_report_by_hand(tmp_path: Path) -> None:
    report = lfw_report(read_lfw(tree(tmp_path)), VECTORS, view2_fmrs=(0.5, 1e-3))
    assert (report.images, report.faces_found) == (11, 11)

    # Train: same 5 and 4 degrees apart, different 62 and 64. Test: same 2, different 28.
    assert report.view1 is not None
    middle = (cosine(5, 0) + cosine(62, 0)) / 2
    assert report.view1.threshold == pytest.approx(middle, abs=1e-6)
    assert (report.view1.accuracy_train, report.view1.accuracy_test) == (1.0, 0.5)
    assert report.view1.auc_test == 1.0
    assert (report.view1.pairs, report.view1.pairs_without_face) == (6, 0)

    # Degrees apart in the folds (same, different): (170, 168), (4, 41), (1, 76). The thresholds lie
    # between 4 and 41, 1 and 76 (at 51), 4 and 41 (at 29), since cosines are halved, not angles.
    assert report.view2 is not None
    assert report.view2.accuracies.tolist() == [0.5, 0.5, 1.0]
    assert report.view2.accuracy_mean == pytest.approx(2 / 3)
    assert report.view2.accuracy_se == pytest.approx(np.sqrt(1 / 12) / np.sqrt(3))
    # genuine 4, 1, 170 degrees against impostors 168, 41, 76: 6 of 9 pairs in order
    assert report.view2.auc == pytest.approx(6 / 9)
    assert report.view2.eer == pytest.approx(1 / 3)
    assert report.view2.tar_at_fmr == {0.5: pytest.approx(2 / 3), 1e-3: pytest.approx(2 / 3)}
    assert report.view2.pairs == 6

    # Genuine: 3 + 3 + 1 + 1 = 8 pairs of 55; Ann 3 with 1 and 2 is as far as 170 and 165 degrees.
    # The nearest impostors are Ann 3 and Eve, 2 degrees apart; genuine below that: 1 degree only,
    # and the ties at 2 degrees (Bob 1-2, 2-3) do not count.
    assert report.all_pairs is not None
    assert (report.all_pairs.genuine_pairs, report.all_pairs.impostor_pairs) == (8, 47)
    assert list(report.all_pairs.tar_at_fmr) == [1e-3, 1e-4, 1e-5, 1e-6]
    assert report.all_pairs.threshold_at_fmr[1e-6] == pytest.approx(cosine(2, 0), abs=1e-6)


def test_report_as_json(tmp_path: Path) -> None:
    report = json.loads(
        json.dumps(lfw_report(read_lfw(tree(tmp_path)), VECTORS).to_dict(), allow_nan=False)
    )
    assert set(report) == {"n_photos", "n_faces_found", "view1", "view2", "all_pairs"}
    assert list(report["view2"]["tar_at_fmr"]) == ["1e-1", "1e-2", "1e-3", "1e-4"]
    assert list(report["all_pairs"]["tar_at_fmr"]) == ["1e-3", "1e-4", "1e-5", "1e-6"]
    assert {"accuracy_mean", "accuracy_se", "auc", "eer"} <= set(report["view2"])
    assert len(report["view2"]["accuracies"]) == 3


def test_a_missing_face_makes_its_pairs_different(tmp_path: Path) -> None:
    lfw = read_lfw(tree(tmp_path))
    found = np.ones(11, bool)
    found[[7, 10]] = False  # Cid 2 and Eve
    vectors = VECTORS.copy()
    vectors[~found] = np.nan
    report = lfw_report(lfw, vectors, found)
    assert (report.images, report.faces_found) == (11, 9)
    assert report.view1 is not None
    assert report.view2 is not None
    assert report.all_pairs is not None
    assert report.view1.pairs_without_face == 2
    assert report.view2.pairs_without_face == 2
    assert report.all_pairs.pairs_without_face == 10 + 9
    # Nothing is dropped: Cid's two photos are a genuine pair that is missed.
    assert report.all_pairs.genuine_pairs == 8
    assert report.view2.tar_at_fmr[1e-3] == pytest.approx(1 / 3)


def test_views_that_were_not_asked_for_are_left_out(tmp_path: Path) -> None:
    lfw = read_lfw(tree(tmp_path))
    rows = images_of(lfw, ["2"])
    assert rows.tolist() == [0, 2, 5, 6, 7, 8, 9, 10]
    vectors = np.zeros_like(VECTORS)  # the others were never embedded
    vectors[rows] = VECTORS[rows]
    report = lfw_report(lfw, vectors, views=["2"])
    assert (report.images, report.faces_found) == (8, 8)
    assert set(report.to_dict()) == {"n_photos", "n_faces_found", "view2"}
    assert report.view2 is not None
    assert report.view2.auc == pytest.approx(6 / 9)
    assert images_of(lfw, ["1", "2", "all-pairs"]).tolist() == list(range(11))


def test_other_metrics_are_turned_so_that_higher_is_more_alike(tmp_path: Path) -> None:
    lfw = read_lfw(tree(tmp_path))
    cosines = lfw_report(lfw, VECTORS, views=["1", "2"])
    for name in ("euclidean_l2", "angular"):  # they order all pairs alike
        report = lfw_report(lfw, VECTORS, views=["1", "2"], metric=get_metric(name))
        assert report.view1 is not None
        assert cosines.view1 is not None
        assert report.view1.accuracy_test == cosines.view1.accuracy_test
        assert report.view1.threshold < 0
        assert report.view2 is not None
        assert report.view2.auc == pytest.approx(6 / 9)
    # Half of the photos' embeddings are longer: only the metric of raw vectors sees that.
    norms = np.where(np.arange(11) % 2, 1.0, 5.0)
    report = lfw_report(
        lfw, VECTORS, views=["2"], metric=get_metric("euclidean"), norms=norms.astype(np.float32)
    )
    apart = [
        float(np.linalg.norm(VECTORS[a] * norms[a] - VECTORS[b] * norms[b]))
        for a, b in lfw.view2_folds.indices.reshape(-1, 2)
    ]
    same = lfw.view2_folds.same.ravel()
    pairs = [(g, i) for g in np.array(apart)[same] for i in np.array(apart)[~same]]
    assert report.view2 is not None
    assert report.view2.auc == pytest.approx(np.mean([g < i for g, i in pairs]))


def test_a_learned_similarity_is_measured(tmp_path: Path) -> None:
    lfw = read_lfw(tree(tmp_path))
    contract = Contract("toy", "0" * 64, "arcface-112", "rgb", False, 2)
    head = SiameseHead(contract, "absolute", "unit", np.array([-1, 0]), 0.0, "toys")
    report = lfw_report(lfw, VECTORS, views=["1"], metric=head.metric)
    left, right = VECTORS[lfw.view1_train.indices].transpose(1, 0, 2)
    scores = -np.abs(left[:, 0] - right[:, 0])
    assert report.view1 is not None
    assert report.view1.threshold == pytest.approx(best_threshold(scores, lfw.view1_train.same))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embeddings": VECTORS, "metric": get_metric("angular")}, "views 1 and 2 with the metric"),
        (
            {"embeddings": VECTORS, "metric": get_metric("euclidean"), "views": ["1"]},
            "expected the lengths",
        ),
        ({"embeddings": VECTORS[:-1]}, r"expected \(11, D\)"),
        ({"embeddings": VECTORS * 2}, "unit vectors, got length 2"),
        ({"embeddings": VECTORS, "found": np.ones(3, bool)}, "found"),
        ({"embeddings": VECTORS, "views": ["3"]}, "expected some of 1, 2, all-pairs"),
        ({"embeddings": VECTORS, "views": "all-pairs"}, "expected some of"),
        ({"embeddings": VECTORS, "views": []}, "expected some of"),
    ],
)
def test_options_that_make_no_sense(
    tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        lfw_report(read_lfw(tree(tmp_path)), **arguments)  # type: ignore[arg-type]


def data_folder() -> Path:
    given = os.environ.get("LINEAMENT_DATA")
    return Path(given) if given is not None else Path(__file__).parents[3].parent / "shared"


def test_the_real_data_set() -> None:
    folder = data_folder() / "lfw"
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set LINEAMENT_DATA to the folder that holds lfw/")
    lfw = read_lfw(folder)
    assert (len(lfw.images), len(lfw.people)) == (13233, 5749)
    assert (len(lfw.view1_train), len(lfw.view1_test)) == (2200, 1000)
    assert lfw.view2_folds.indices.shape == (10, 600, 2)
    assert lfw.view2_folds.same.sum(axis=1).tolist() == [300] * 10
    # Both sides of every pair against the names, by another way than the parser's.
    for pairs in (lfw.view1_pairs, lfw.view2_folds):
        people = lfw.person[pairs.indices]
        np.testing.assert_array_equal(people[..., 0] == people[..., 1], pairs.same)
    assert named(lfw, lfw.view2_folds.indices)[:2] == [
        ("Abel_Pacheco_0001", "Abel_Pacheco_0004"),
        ("Akhmed_Zakayev_0001", "Akhmed_Zakayev_0003"),
    ]
    assert lfw.people[int(np.bincount(lfw.person).argmax())] == "George_W_Bush"
    assert int(np.bincount(lfw.person).max()) == 530

"""Grouping: planted people, average linkage against SciPy, photos, and what comes later."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from builders import make_contract, make_face
from lineament.decide.calibration import Calibration
from lineament.errors import ContractError, DataError, OptionError
from lineament.evaluate.clustering import clustering_report
from lineament.gallery.grouping import (
    GroupFace,
    Grouping,
    GroupPhoto,
    assign_new,
    group_faces,
    grouping_prior,
    grouping_threshold,
    link,
)
from lineament.gallery.grouping import _linking as linking
from lineament.types import Embedding, Threshold

DIMENSION = 32
THRESHOLD = Threshold(0.5, "cosine", None, "set by hand", None)
Vectors = npt.NDArray[np.float32]


def planted(
    sizes: list[int], *, spread: float = 0.09, seed: int = 0, dimension: int = DIMENSION
) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """So many faces about as many directions: cosines of about 0.8 within a person."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(len(sizes), dimension))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    people = np.repeat(np.arange(len(sizes)), sizes)
    rows = centers[people] + spread * random.normal(size=(len(people), dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), people


def partition(labels: Any) -> set[frozenset[int]]:
    values = np.asarray(labels)
    return {frozenset(np.flatnonzero(values == value).tolist()) for value in np.unique(values)}


def at(*cosines: float) -> Vectors:
    """Unit vectors in the plane with these cosines to (1, 0)."""
    angles = np.arccos(np.array(cosines))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def face(source: str, vector: Any, number: int = 0, **changes: Any) -> GroupFace:
    values = np.asarray(vector, np.float32)
    contract = make_contract(dimension=len(values), **changes)
    return GroupFace(source, number, make_face(), Embedding(values, 5.0, contract))


def faces_of(vectors: Vectors, prefix: str = "photo") -> list[GroupFace]:
    return [face(f"{prefix}{i}.jpg", row) for i, row in enumerate(vectors)]


def grouped(vectors: Vectors, threshold: Threshold = THRESHOLD) -> Grouping:
    return group_faces(faces_of(vectors), make_contract(dimension=vectors.shape[1]), threshold)


# --- link -----------------------------------------------------------------------------------------


def test_planted_people_are_found() -> None:
    vectors, people = planted([1, 2, 3, 40, 200, 1, 7])
    order = np.random.default_rng(1).permutation(len(people))
    found = link(vectors[order], np.arange(len(people)), 0.5)
    assert partition(found.first) == partition(people[order])
    assert (found.first <= np.arange(len(people))).all()
    assert (found.first[found.first] == found.first).all()
    assert found.apart == ()


@pytest.mark.parametrize("threshold", [0.2, 0.35, 0.5, 0.65])
def test_it_is_average_linkage(threshold: float) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    vectors, people = planted([4, 9, 1, 30, 2, 5, 14, 1, 1, 20], spread=0.17, seed=3)
    distances = 1 - vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    pairs = np.triu_indices(len(vectors), 1)
    tree = hierarchy.linkage(distances[pairs], "average")
    expected = hierarchy.fcluster(tree, 1 - threshold, "distance")
    assert 1 < len(partition(expected)) < len(people)
    photos = np.arange(len(vectors))
    assert partition(link(vectors, photos, threshold).first) == partition(expected)
    few = link(vectors, photos, threshold, neighbors=3)
    assert clustering_report(expected, few.first).pairwise_f1 > 0.9


def test_an_index_finds_the_same_neighbors(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = planted([40, 40, 3, 1, 1], spread=0.17, seed=5)
    photos = np.arange(len(vectors))
    found = link(vectors, photos, 0.4, neighbors=6).first
    assert np.array_equal(link(vectors, photos, 0.4, neighbors=6, index="exact").first, found)
    monkeypatch.setattr(linking, "BLOCK_SCORES", 100)  # a query at a time
    assert np.array_equal(link(vectors, photos, 0.4, neighbors=6).first, found)
    monkeypatch.setattr(linking, "COMPARED_UP_TO", 10)
    assert partition(link(vectors, photos, 0.4, neighbors=6).first) == partition(found)
    with pytest.raises(OptionError, match="index: expected one of"):
        link(vectors, photos, 0.4, index="tree")


def test_more_faces_than_edges_are_still_one_person() -> None:
    # Two tight parts of one person: every face's nearest are in its own part.
    near, far = planted([60], spread=0.002, seed=1)[0], planted([60], spread=0.002, seed=2)[0]
    both = np.concatenate([near, near[0] * 0.6 + far * 0.55])
    both = (both / np.linalg.norm(both, axis=1, keepdims=True)).astype(np.float32)
    across = both[:60] @ both[60:].T
    assert across.min() > 0.5
    assert across.max() < min((both[:60] @ both[:60].T).min(), (both[60:] @ both[60:].T).min())
    assert len(partition(link(both, np.arange(120), 0.5, neighbors=8).first)) == 1


def test_faces_of_one_photo_stay_apart() -> None:
    vectors, people = planted([10, 10], seed=4)
    photos = np.tile(np.arange(10), 2)  # both people in each photo
    assert partition(link(vectors, photos, -1.0).first) == partition(people)
    same = np.repeat(vectors[:1], 6, axis=0)
    photos = np.array([0, 0, 1, 1, 2, 2])  # a mirror: twice the same face in each
    first = link(same, photos, 0.9).first
    assert sorted(len(part) for part in partition(first)) == [3, 3]
    for part in partition(first):
        assert len({int(photos[i]) for i in part}) == len(part)


@pytest.mark.parametrize("seed", range(4))
def test_no_photo_is_twice_in_a_group_however_alike(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors, _ = planted([30, 30, 30], spread=0.2, seed=seed)
    photos = random.integers(0, 25, len(vectors))
    first = link(vectors, photos, 0.1, neighbors=5).first
    pairs = {(int(a), int(b)) for a, b in zip(first, photos, strict=True)}
    assert len(pairs) == len(vectors)
    assert len(partition(first)) < 60


def test_nothing_one_and_duplicates() -> None:
    assert link(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), 0.5).first.tolist() == []
    assert link(at(1.0), [0], 0.5).first.tolist() == [0]
    assert link(at(1, 1, 1, -1), np.arange(4), 0.99).first.tolist() == [0, 0, 0, 3]


def test_a_mean_on_the_threshold_is_enough() -> None:
    vectors = np.eye(2, dtype=np.float32)
    assert link(vectors, [0, 1], 0.0).first.tolist() == [0, 0]
    assert link(vectors, [0, 1], 1e-6).first.tolist() == [0, 1]


def test_the_same_again_and_in_another_order() -> None:
    vectors, _ = planted([5, 8, 3, 20, 1, 1], spread=0.2, seed=6)
    once = link(vectors, np.arange(len(vectors)), 0.4).first
    assert np.array_equal(once, link(vectors, np.arange(len(vectors)), 0.4).first)
    order = np.random.default_rng(0).permutation(len(vectors))
    other = link(vectors[order], np.arange(len(vectors)), 0.4).first
    back = np.empty_like(other)
    back[order] = other
    assert partition(back) == partition(once)


@pytest.mark.slow
def test_twenty_thousand_without_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [1] * 5000 + [3] * 4000 + [30] * 100
    vectors, people = planted(sizes, spread=0.05, seed=7, dimension=64)
    assert len(vectors) == 20_000
    peaks: list[int] = []
    compare = linking._compared

    def watched(*arguments: Any) -> Any:
        tracemalloc.start()
        edges = compare(*arguments)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        return edges

    monkeypatch.setattr(linking, "_compared", watched)
    found = link(vectors, np.arange(len(vectors)), 0.62)
    assert len(peaks) >= 2
    assert max(peaks) < 100e6  # all pairs would be 1.6e9
    assert clustering_report(people, found.first).pairwise_f1 > 0.99


def test_groups_that_stay() -> None:
    # 0 and 1 are a group, 2 and 3 another: 4 lies between them and could join both to one.
    vectors = at(1.0, 0.99, 0.6, 0.55, 0.88)
    start, kept = np.array([0, 0, 2, 2, 4]), np.array([True] * 4 + [False])
    assert len(partition(link(vectors, np.arange(5), 0.7).first)) == 1
    found = link(vectors, np.arange(5), 0.7, start=start, kept=kept)
    assert found.first.tolist() == [0, 0, 2, 2, 0]
    assert found.apart == ((0, 2),)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 1.5}, "threshold: expected"),
        ({"threshold": float("nan")}, "threshold: expected"),
        ({"neighbors": 0}, "neighbors: expected 1 or more"),
        ({"photos": [0]}, "a photo for each"),
        ({"vectors": np.ones((2, 2), np.float32)}, "length"),
        ({"start": [1, 0]}, "start: expected"),
        ({"kept": [True]}, "start, kept and weak of shape"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    values = {"vectors": at(1.0, 0.5), "photos": [0, 1], "threshold": 0.5} | change
    positional = [values.pop(name) for name in ("vectors", "photos", "threshold")]
    with pytest.raises(OptionError, match=message):
        link(*positional, **values)


# --- the threshold --------------------------------------------------------------------------------


def calibration(dimension: int = DIMENSION) -> Calibration:
    """LLR 20 times the cosine less 0.3, between -1 and 1."""
    score = np.linspace(-1, 1, 201)
    llr = 20 * (score - 0.3)
    return Calibration(
        contract=make_contract(dimension=dimension),
        metric="cosine",
        method="logistic",
        score=score,
        llr=llr,
        llr_low=llr,
        llr_high=llr,
        data="a straight line",
        n_people=100,
        n_photos=300,
        n_genuine_pairs=300,
        n_impostor_pairs=40_000,
        cllr=0.1,
        min_cllr=0.1,
        ece=0.01,
    )


@pytest.mark.parametrize("n", [40, 1000, 100_000])
def test_the_threshold_is_where_one_person_is_as_probable_as_two(n: int) -> None:
    threshold = grouping_threshold(calibration(), n)
    prior = 4 / n
    ratio = np.exp(20 * (threshold.value - 0.3))
    assert ratio * prior / (ratio * prior + 1 - prior) == pytest.approx(0.5, abs=0.01)
    assert "a straight line" in threshold.origin


def test_the_threshold_of_few_and_of_too_many() -> None:
    values = [grouping_threshold(calibration(), n).value for n in (0, 1, 20, 21, 10**5, 10**9)]
    assert values[0] == values[1] == values[2] < values[3] < values[4] <= values[5] <= 1
    assert grouping_prior(0) == grouping_prior(20) == 0.2


def test_a_calibration_that_ends_early_gives_its_strictest() -> None:
    ends = np.array([-9.0, 2.0])
    short = replace(
        calibration(), score=np.array([-1.0, 0.8]), llr=ends, llr_low=ends, llr_high=ends
    )
    assert grouping_threshold(short, 10**6).value == 0.8


# --- groupings ------------------------------------------------------------------------------------


def test_groups_are_numbered_and_described() -> None:
    vectors, people = planted([1, 4, 2], seed=8)
    found = grouped(vectors)
    assert found.group.tolist() == [3, 1, 1, 1, 1, 2, 2]
    first, second, third = found.groups(calibration())
    assert [g.id for g in (first, second, third)] == [1, 2, 3]
    rows = vectors[people == 1].astype(float)
    cosines = rows @ rows.T
    others = (cosines.sum(1) - 1) / 3
    order = np.argsort(-others)
    assert [m.place for m in first.members] == (1 + order).tolist()
    assert [m.support for m in first.members] == pytest.approx(others[order], abs=1e-6)
    off = cosines[~np.eye(4, dtype=bool)]
    assert first.cohesion == pytest.approx(off.mean(), abs=1e-6)
    assert first.weakest == pytest.approx(others.min(), abs=1e-6)
    assert first.llr == pytest.approx(20 * (off.mean() - 0.3), abs=1e-3)
    odds = np.exp(20 * (others[order[0]] - 0.3)) * 0.2 / 0.8  # seven faces: the greatest prior
    assert first.members[0].probability == pytest.approx(odds / (1 + odds), abs=1e-6)
    assert (third.cohesion, third.llr, third.weakest, third.members[0].support) == (None,) * 4
    assert [g.id for g in found.groups(min_size=2)] == [1, 2]
    assert found.groups()[0].llr is None
    with pytest.raises(ContractError):
        found.groups(calibration(5))


def test_doubtful_members_are_flagged() -> None:
    vectors = at(1, 0.995, 0.99, 0.42)  # the last one resembles the others by 0.47
    found = grouped(vectors, Threshold(0.45, "cosine", None, "set by hand", None))
    assert found.group.tolist() == [1, 1, 1, 1]
    stricter = replace(found, threshold=Threshold(0.6, "cosine", None, "set by hand", None))
    (group,) = stricter.groups()
    assert [bool(m.doubts) for m in group.members] == [False, False, False, True]
    assert group.members[-1].place == 3
    assert "less than the threshold 0.600" in group.members[-1].doubts[0]
    assert group.doubtful == 1
    (sure,) = found.groups(calibration(2))  # 0.47 is 20 * 0.17 = 3.4 over odds of 1 to 4: 88 %
    assert sure.doubtful == 0
    spread = grouped(at(1, 0.995, 0.99, 0.36), Threshold(0.3, "cosine", None, "set by hand", None))
    (unsure,) = spread.groups(calibration(2))
    assert [bool(m.doubts) for m in unsure.members] == [False, False, False, True]
    last = unsure.members[-1]
    assert last.support is not None
    odds = np.exp(20 * (last.support - 0.3)) / 4
    assert last.doubts[0].endswith(f"only {100 * odds / (1 + odds):.0f} % probable")
    blurred = replace(face("x.jpg", at(1)[0]), problems=("the face is blurred",))
    (alone,) = group_faces([blurred], make_contract(dimension=2), THRESHOLD).groups()
    assert alone.doubtful == 0  # nobody asks whether a single face belongs to itself
    both = group_faces([blurred, face("y.jpg", at(1)[0])], make_contract(dimension=2), THRESHOLD)
    assert both.groups()[0].doubtful == 1


def test_blurred_faces_join_others_but_are_no_group() -> None:
    contract = make_contract(dimension=2)
    rows = at(1.0, 0.999, 0.998)
    poor = [replace(f, problems=("blurred",)) for f in faces_of(rows, "poor")]
    assert group_faces(poor, contract, THRESHOLD).group.tolist() == [1, 2, 3]
    good = face("good.jpg", at(0.9)[0])  # farther from all of them than they from each other
    assert group_faces([*poor, good], contract, THRESHOLD).group.tolist() == [1, 1, 1, 1]
    later = assign_new(group_faces(poor, contract, THRESHOLD), [good])
    assert len(set(later.group.tolist())) == 1


def test_poor_faces_do_not_draw_each_other_into_a_group() -> None:
    """Poor faces of strangers are 0.99 alike; one of them shows the good face's person."""
    contract = make_contract(dimension=3)
    good = np.array([[1.0, 0.0, 0.0]])
    mine = np.array([[0.6, 0.8, 0.0]])
    strangers = np.array([[0.45, 0.89, 0.05], [0.44, 0.89, -0.05], [0.45, 0.88, 0.1]])
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    rows = np.concatenate([good, mine, strangers]).astype(np.float32)
    faces = faces_of(rows)
    poor = [faces[0], *(replace(f, problems=("coarse",)) for f in faces[1:])]
    assert group_faces(faces, contract, THRESHOLD).group.tolist() != [1, 1, 2, 3, 4]
    found = group_faces(poor, contract, THRESHOLD)
    assert found.group.tolist() == [1, 1, 2, 3, 4]
    later = assign_new(group_faces(poor[:2], contract, THRESHOLD), poor[2:])
    assert later.group.tolist() == [1, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(4))
def test_means_are_those_of_the_pairs_that_count(seed: int) -> None:
    """Average linkage step by step, over all pairs of two groups but those of two weak faces."""
    vectors, _ = planted([5, 5, 4, 4], spread=0.22, seed=seed)
    weak = np.random.default_rng(seed).random(len(vectors)) < 0.4
    scores = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    counts = ~(weak[:, None] & weak[None])
    groups = [{i} for i in range(len(vectors))]

    def mean(a: set[int], b: set[int]) -> float:
        place = np.ix_(sorted(a), sorted(b))
        return float(scores[place][counts[place]].mean()) if counts[place].any() else -np.inf

    while len(groups) > 1:
        value, i, j = max(
            (mean(a, b), i, j) for i, a in enumerate(groups) for j, b in enumerate(groups[:i])
        )
        if value < 0.5:
            break
        groups[j] |= groups.pop(i)
    found = link(vectors, np.arange(len(vectors)), 0.5, weak=weak)
    assert partition(found.first) == {frozenset(group) for group in groups}


def test_later_photos_join_and_groups_keep_their_numbers() -> None:
    vectors, people = planted([6, 4, 1, 1, 5], seed=9)
    late = np.array([5, 9, 11])  # one of the first two people each, and a stranger
    late = np.concatenate([late, np.flatnonzero(people == 4)])
    early = np.setdiff1d(np.arange(len(people)), late)
    everyone = faces_of(vectors)
    contract = make_contract(dimension=DIMENSION)
    before = group_faces([everyone[i] for i in early], contract, THRESHOLD)
    after = assign_new(before, [everyone[i] for i in late])
    assert after.group[: len(early)].tolist() == before.group.tolist()
    assert partition(after.group) == partition(people[[*early, *late]])
    assert after.next_id == before.next_id + 2
    assert after.group[len(early)] == before.group[0]
    assert [p.source for p in after.photos] == [everyone[i].source for i in [*early, *late]]
    again = assign_new(after, [])
    assert again.group.tolist() == after.group.tolist()


def test_a_single_face_joins_a_newer_one_under_its_own_number() -> None:
    before = grouped(at(1.0, -1.0))
    assert before.group.tolist() == [1, 2]
    after = assign_new(before, faces_of(at(-0.99, -0.98), "new"))
    assert after.group.tolist() == [1, 2, 2, 2]
    assert after.next_id == 3


def test_two_older_groups_are_not_made_one_but_named() -> None:
    before = grouped(at(1.0, 0.99, 0.6, 0.55), Threshold(0.8, "cosine", None, "by hand", None))
    assert before.group.tolist() == [1, 1, 2, 2]
    after = assign_new(before, faces_of(at(0.88), "new"), replace(THRESHOLD, value=0.7))
    assert after.group.tolist() == [1, 1, 2, 2, 1]
    assert after.apart == ((1, 2),)
    assert after.threshold.value == 0.7


def test_a_named_group_of_one_keeps_its_number() -> None:
    before = grouped(at(1.0, 0.0)).named(2, " Ada ")
    after = assign_new(before, faces_of(at(0.05, 0.1), "new"))
    assert after.group.tolist() == [1, 2, 2, 2]
    assert after.groups()[0].title == "Ada"
    assert after.groups(min_size=4)[0].title == "Ada"
    assert after.groups()[1].title == "person 1"
    with pytest.raises(OptionError, match="there is none of the number 9"):
        after.named(9, "Ada")
    with pytest.raises(OptionError, match="name: expected at least one"):
        after.named(2, " ")


def test_photos_in_common_keep_apart_later_too() -> None:
    contract = make_contract(dimension=2)
    before = group_faces([face("a.jpg", at(1)[0])], contract, THRESHOLD)
    new = [face("b.jpg", at(1)[0], 0), face("b.jpg", at(0.999)[0], 1)]
    after = assign_new(before, new)
    assert after.group.tolist() == [1, 1, 2]


def test_what_does_not_fit_is_refused() -> None:
    found = grouped(at(1.0, 0.5))
    other = face("z.jpg", at(1.0)[0], weights_sha256="cd" * 32)
    with pytest.raises(ContractError):
        assign_new(found, [other])
    with pytest.raises(OptionError, match="each once"):
        assign_new(found, [found.faces[0]])
    with pytest.raises(OptionError, match="expected one for cosine"):
        assign_new(found, [], replace(THRESHOLD, metric="angular"))
    pair = (face("a.jpg", at(1)[0], 0), face("a.jpg", at(1)[0], 1))
    photos = (GroupPhoto("a.jpg", 2),)
    with pytest.raises(OptionError, match="in different groups"):
        Grouping(found.contract, THRESHOLD, photos, pair, np.array([1, 1]), 2)


# --- the file -------------------------------------------------------------------------------------


def test_a_file_holds_everything(tmp_path: Path) -> None:
    before = replace(
        group_faces(
            [
                replace(face("a.jpg", at(1.0)[0]), problems=("blurred",)),
                face("b \udcff.jpg", at(0.9)[0]),
                replace(face("c.jpg", at(-1.0)[0]), face=make_face(landmarks=False)),
            ],
            make_contract(dimension=2),
            THRESHOLD,
            photos=[GroupPhoto("bad.jpg", 0, "no image"), GroupPhoto("empty.jpg", 0)],
        ),
        names={1: "김구"},
        apart=((1, 2),),
    )
    before.save(tmp_path / "g.json", calibration=calibration(2))
    after = Grouping.load(tmp_path / "g.json")
    assert np.array_equal(after.vectors, before.vectors)
    assert after.group.tolist() == before.group.tolist()
    assert (after.contract, after.threshold) == (before.contract, before.threshold)
    assert (after.photos, after.names, after.apart) == (before.photos, before.names, before.apart)
    assert after.next_id == before.next_id
    assert after.to_dict(calibration(2)) == before.to_dict(calibration(2))
    assert after.faces[2].face.landmarks_xy is None
    assert after.faces[0].problems == ("blurred",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lineament": "embeddings"}, "expected groups that"),
        ({"format": 2}, "of format 1, got 2"),
        ({"next_id": 1}, "damaged"),
        ({"contract": {}}, "damaged"),
        ({"faces": [{"source": "a"}]}, "damaged"),
        ({"photos": []}, "damaged"),
        ({"groups": None}, "damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    values = grouped(at(1.0, 0.5)).to_dict() | change
    path = tmp_path / "g.json"
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match=message):
        Grouping.load(path)


def test_a_damaged_vector_is_refused(tmp_path: Path) -> None:
    values = grouped(at(1.0, 0.5)).to_dict()
    values["faces"][0]["vector"] = "AAAA"
    with pytest.raises(DataError, match="damaged"):
        Grouping.from_dict(values)
    (tmp_path / "g.json").write_text("{")
    with pytest.raises(DataError, match="expected a file of groups"):
        Grouping.load(tmp_path / "g.json")
    with pytest.raises(DataError, match="expected a file of groups"):
        Grouping.load(tmp_path / "none.json")

"""The benchmark of hard pairs: what is spoilt, who is compared with whom, what is counted."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament.evaluate.metrics import threshold_at_fmr

pytestmark = pytest.mark.usefixtures("benchmark_parts")

KINDS = (
    *("small", "compressed", "blurred", "dark", "covered", "aged", "misaligned"),
    *("one of these", "mixed"),
)


def hard(name: str) -> Any:
    return importlib.import_module(f"hard_pairs.{name}")


def smooth(seed: int) -> Any:
    """A crop with a light that changes slowly, and some shapes."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(40, 220, (8, 8, 3))
    return np.kron(coarse, np.ones((14, 14, 1))).astype(np.uint8)


def faces(set_name: str, names: list[str], people: list[str], groups: list[str]) -> Any:
    listed = hard("faces").Listed(
        set_name, tuple(names), tuple(people), tuple(groups), tuple(map(Path, names))
    )
    n = len(names)
    crops = np.stack([smooth(i) for i in range(n)])
    return hard("faces").Faces(listed, crops, np.zeros((n, 5, 2), np.float32), np.ones(n, bool))


def lfw(people: int = 6) -> Any:
    names = [f"P{p}_{number:04d}" for p in range(people) for number in (1, 2, 7)]
    return faces("lfw", names, [name[:-5] for name in names], [""] * len(names))


# ---- spoiling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_changes_the_crop_and_the_same_draw_gives_the_same(kind: str) -> None:
    spoil = hard("spoiling").ALL_KINDS[kind]
    crop = smooth(0)
    one, two, other = (spoil(crop, 0.5, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.shape == crop.shape
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    assert (one != crop).any()
    np.testing.assert_array_equal(crop, smooth(0))  # the photo itself is left alone


@pytest.mark.parametrize("kind", ["small", "compressed", "dark", "aged"])
def test_the_strength_spoils_more(kind: str) -> None:
    spoil = hard("spoiling").KINDS[kind]
    off = [
        np.mean(
            [
                np.abs(
                    spoil(smooth(seed), strength, np.random.default_rng(seed)).astype(float)
                    - smooth(seed)
                ).mean()
                for seed in range(12)
            ]
        )
        for strength in (0.0, 1.0)
    ]
    assert off[0] < off[1]


def test_a_cover_leaves_the_rest_alone() -> None:
    crop = smooth(1)
    for seed in range(20):
        made = hard("spoiling").covered(crop, 0.5, np.random.default_rng(seed))
        same = (made == crop).all(axis=2)
        assert 0.4 < same.mean() < 0.97


# ---- pairs ---------------------------------------------------------------------------------------


def test_parts_of_lfw() -> None:
    parts = hard("pairs").parts_of([lfw()])
    names = [part.name for part in parts]
    assert names == [*hard("pairs").STRENGTHS, "apart"]
    for part in parts:
        assert part.left_person == part.right_person
        assert len(set(part.left_person)) == 6  # one pair a person
        assert all(a.row != b.row for a, b in zip(part.left, part.right, strict=True))
        assert all(sample.kind is not None for sample in part.left)
        spoilt = [sample.kind is not None for sample in part.right]
        assert spoilt == [False, True] * 3
        genuine, impostor = part.masks()
        assert genuine.sum() == 6
        assert impostor.sum() == 30
    rows = {(a.row % 3, b.row % 3) for a, b in zip(parts[-1].left, parts[-1].right, strict=True)}
    assert rows == {(0, 2)}  # the first and the last


def test_people_with_one_photo_or_no_face_have_no_pair() -> None:
    names = ["A_0001", "A_0002", "B_0001", "C_0001", "C_0005"]
    made = faces("lfw", names, ["A", "A", "B", "C", "C"], [""] * 5)
    made.found[0] = False
    parts = hard("pairs").parts_of([made])
    assert {part.left_person for part in parts} == {("C",)}


def test_lists_do_not_change_with_the_order_of_photos() -> None:
    one, two = lfw(), lfw()
    digest = hard("pairs").digest_of
    parts = hard("pairs").parts_of([one])
    assert digest(parts, [one]) == digest(hard("pairs").parts_of([two]), [two])
    more = lfw(7)
    assert digest(hard("pairs").parts_of([more]), [more]) != digest(parts, [one])
    kept = {p.name: set(zip(p.left_person, p.left, strict=True)) for p in parts}
    for part in hard("pairs").parts_of([more]):
        assert kept[part.name] <= set(zip(part.left_person, part.left, strict=True))


def test_parts_of_cfp_and_att() -> None:
    names = [f"{p}/{kind}/0{i}" for p in "ab" for kind in ("frontal", "profile") for i in (1, 2)]
    cfp = faces("cfp", names, [n[0] for n in names], [n.split("/")[1] for n in names])
    att = faces("att", ["a/1", "a/2", "b/1"], ["a", "a", "b"], [""] * 3)
    parts = {part.name: part for part in hard("pairs").parts_of([cfp, att])}
    counts = {name: tuple(int(m.sum()) for m in part.masks()) for name, part in parts.items()}
    assert counts == {
        "frontal-frontal": (2, 4),
        "frontal-profile": (8, 8),
        "profile-profile": (2, 4),
        "att": (1, 2),
    }
    assert {s.kind for s in parts["profile-profile"].left} == {None}
    assert {s.kind for s in parts["att"].left} == {"one of these"}


# ---- judging -------------------------------------------------------------------------------------


def test_misses_by_hand() -> None:
    made = lfw(40)
    parts = hard("pairs").parts_of([made])[:2]
    prepared = hard("judging").prepare(parts, [made])
    assert len(prepared.crops) == len(prepared.found)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(len(prepared.crops), 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    misses = hard("judging").judge(prepared, vectors)
    for part, left, right in zip(parts, prepared.left, prepared.right, strict=True):
        scores = [[float(vectors[a] @ vectors[b]) for b in right] for a in left]
        genuine = [scores[i][i] for i in range(40)]
        impostor = [scores[i][j] for i in range(40) for j in range(40) if i != j]
        least = threshold_at_fmr(impostor, 1e-3)
        assert misses.by_part[part.name] == np.mean([score < least for score in genuine])
    assert misses.mean == np.mean(list(misses.by_part.values()))


def test_one_threshold_lets_a_thousandth_pass_on_average() -> None:
    impostor = [
        np.linspace(0, 1, 5000, dtype=np.float32),
        np.linspace(0, 0.5, 500, dtype=np.float32),
    ]
    least = hard("judging")._shared_threshold(impostor)
    rates = [float((scores >= least).mean()) for scores in impostor]
    assert np.mean(rates) <= 1e-3
    looser = np.nextafter(least, -1) - 3e-4
    assert np.mean([float((scores >= looser).mean()) for scores in impostor]) > 1e-3


def test_a_face_that_was_not_found_is_missed() -> None:
    made = faces("att", ["a/1", "a/2", "b/1", "b/2"], list("aabb"), [""] * 4)
    made.found[0] = False
    parts = hard("pairs").parts_of([made])
    prepared = hard("judging").prepare(parts, [made])
    vectors = np.eye(4, 8, dtype=np.float32)
    vectors[1], vectors[3] = vectors[0], vectors[2]
    assert hard("judging").judge(prepared, vectors).mean == 0.5


def test_equal_crops_are_embedded_once() -> None:
    made = faces("cfp", ["a/frontal/1", "a/profile/1"], ["a", "a"], ["frontal", "profile"])
    prepared = hard("judging").prepare(hard("pairs").parts_of([made]), [made])
    # A spoilt frontal photo, a plain one, and a profile that two parts share.
    assert len(prepared.crops) == 3

"""Photos spoilt for the benchmarks: always the same, of the same size, and spoilt at the face."""

from __future__ import annotations

import importlib
from typing import Any

import cv2
import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.types import Image

pytestmark = pytest.mark.usefixtures("benchmark_parts")

FIVE = np.array([[80.0, 92], [120, 90], [101, 113], [84, 135], [117, 134]], np.float32)


def part(name: str) -> Any:
    return importlib.import_module(f"spoiling.{name}")


def photo(seed: int = 0) -> Image:
    """Something with detail and color at every place, neither black nor white."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(120, 40, (26, 24, 3)).astype(np.float32)
    fine = rng.normal(0, 12, (210, 190, 3))
    whole = cv2.resize(coarse, (190, 210), interpolation=cv2.INTER_CUBIC) + fine
    return np.clip(whole, 5, 250).astype(np.uint8)


def every_spoiler(draws: int = 3) -> dict[str, Any]:
    kinds = part("kinds")
    drawn = {
        f"{family} {seed}": kinds.drawn(family, np.random.default_rng(seed))
        for family in kinds.FAMILIES
        for seed in range(draws)
    }
    return {**kinds.NAMED, **kinds.UNSEEN, **kinds.MILD, **drawn}


def around_the_face(image: Image) -> Image:
    return image[40:170, 45:155]


def test_every_spoiler_spoils_the_face_and_keeps_size_and_type() -> None:
    image, five = photo(), FIVE.copy()
    identity = part("pixels").channels
    for name, spoiler in every_spoiler().items():
        spoilt = spoiler(image, five)
        assert spoilt.dtype == np.uint8, name
        assert spoilt.shape == image.shape, name
        if name.startswith("false color"):  # an order of channels may be drawn that is none
            continue
        assert (around_the_face(spoilt) != around_the_face(image)).any(), name
    assert (image == photo()).all()
    assert (five == FIVE).all()
    assert (identity((0, 1, 2))(image, five) == image).all()


@pytest.mark.slow
def test_the_result_depends_on_photo_and_drawing_alone() -> None:
    image = photo()
    first, second = every_spoiler(), every_spoiler()
    for name in reversed(first):
        second[name](photo(1), FIVE)  # what was spoilt before changes nothing
        assert (second[name](image, FIVE) == first[name](image, FIVE)).all(), name


def test_noise_differs_from_photo_to_photo() -> None:
    noise = part("pixels").noise(20)
    one, other = (noise(image, FIVE) - image.astype(np.float32) for image in (photo(), photo(1)))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < 0.05
    assert one.std() == pytest.approx(20, rel=0.1)


def test_what_lies_far_from_the_face_is_left_alone() -> None:
    image = np.tile(photo(), (3, 3, 1))
    small = (FIVE - FIVE.mean(axis=0)) / 2 + 300
    for name, spoiler in every_spoiler().items():
        spoilt = spoiler(image, small)
        assert (spoilt[:200] == image[:200]).all(), name
        assert (spoilt[:, 420:] == image[:, 420:]).all(), name
        assert spoilt.shape == image.shape, name


def test_the_size_of_the_face_does_not_matter() -> None:
    image = cv2.GaussianBlur(photo(), (0, 0), 3)
    large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    kinds = part("kinds")
    for name in ("eyes under a bar", "tartan scarf", "mosaic 12", "glass blocks"):
        kind = {**kinds.NAMED, **kinds.UNSEEN}[name]
        spoilt = cv2.resize(kind(large, 2 * FIVE + 0.5), (190, 210), interpolation=cv2.INTER_AREA)
        difference = np.abs(spoilt.astype(float) - kind(image, FIVE))
        assert np.median(difference) < 6, name


@pytest.mark.slow
def test_faces_of_any_place_and_size_are_taken() -> None:
    image = photo()
    middle = FIVE.mean(axis=0)
    odd = {
        "at the border": FIVE - np.array([75, 85]),
        "outside": FIVE + np.array([600, 0]),
        "tiny": (FIVE - middle) / 40 + middle,
        "huge": (FIVE - middle) * 8 + middle,
        "in profile": FIVE * [0, 1] + [100, 0],
        "upside down": 2 * middle - FIVE,
    }
    for where, five in odd.items():
        for name, spoiler in every_spoiler(2).items():
            spoilt = spoiler(image, five)
            assert spoilt.shape == image.shape, (where, name)
            assert spoilt.dtype == np.uint8, (where, name)


def test_covers_hide_what_lies_below_them() -> None:
    covers = part("covers")
    bar = covers.cover(covers.bar(0.25), covers.solid((0, 0, 0)))
    spoilt = bar(photo(), FIVE)
    assert spoilt[91, 65:136].max() == 0  # from temple to temple
    assert (spoilt[120:] == photo()[120:]).all()
    around = covers.cover(covers.hijab(), covers.solid((0, 200, 0)))(photo(), FIVE)
    assert (around[105, 85:115] == photo()[105, 85:115]).all()  # the face in its oval
    assert (around[10:30, 25:175] == (0, 200, 0)).all()


def test_no_kind_is_named_twice_and_each_says_whether_it_was_seen() -> None:
    kinds = part("kinds")
    assert not set(kinds.NAMED) & set(kinds.UNSEEN)
    assert all(kind.seen_family for kind in kinds.NAMED.values())
    assert {kind.seen_family for kind in kinds.UNSEEN.values()} == {True, False}
    with pytest.raises(OptionError, match="expected one of low resolution"):
        kinds.drawn("hail", np.random.default_rng(0))


def test_unseen_kinds_differ_from_one_another_on_a_photo() -> None:
    kinds = part("kinds")
    image = photo()
    results = {kind(image, FIVE).tobytes() for kind in {**kinds.NAMED, **kinds.UNSEEN}.values()}
    assert len(results) == len(kinds.NAMED) + len(kinds.UNSEEN)


def test_the_sheet_shows_all_of_them() -> None:
    kinds = part("kinds")
    many = len(kinds.NAMED) + len(kinds.UNSEEN) + len(kinds.MILD) + len(kinds.FAMILIES)
    made = kinds.sheet(photo(), FIVE, columns=10, side=60)
    assert made.shape == (-(-many // 10) * 74, 600, 3)

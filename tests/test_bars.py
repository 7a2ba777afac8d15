"""Bars in a file: found to a pixel at any turn and side, and not where there are none."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from lineament.bars import picture_in
from lineament.geometry import turned_squares, warp
from lineament.types import Image

SIZE_WH = (300, 260)
CENTER_XY = (150.0, 130.0)
SIDE = 140.0  # of the square that the crop shows


def texture(seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(rng.normal(0, 1, (SIZE_WH[1], SIZE_WH[0], 3)), (0, 0), 1.5)
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def seen(image: Image, roll_deg: float) -> tuple[Image, np.ndarray]:
    squares = turned_squares(np.array([CENTER_XY]), np.array([SIDE]), np.array([roll_deg]), 112)
    return warp(image, squares, 112)[0], squares[0]


def black(image: Image) -> Image:
    return np.zeros_like(image)


def white(image: Image) -> Image:
    return np.full_like(image, 250)


def blurred(image: Image) -> Image:
    wide = cv2.GaussianBlur(image, (0, 0), 15).astype(np.float32)
    return np.clip(wide - 60, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("roll_deg", [0, 7, -20, 45, 90, 170])
@pytest.mark.parametrize("side", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", [black, white, blurred])
def test_a_bar_is_found_to_a_pixel(
    kind: Callable[[Image], Image], side: int, roll_deg: float
) -> None:
    image = texture()
    at = (115, 100, 190, 165)[side]
    part: list[slice] = [slice(None), slice(None)]
    part[1 - side % 2] = slice(0, at) if side < 2 else slice(at, None)
    image[tuple(part)] = kind(image)[tuple(part)]
    first, last = picture_in(*seen(image, roll_deg), SIZE_WH)
    found = [*first.tolist(), *last.tolist()]
    expected = [-0.5, -0.5, 299.5, 259.5]
    expected[side] = at - 0.5
    assert found == pytest.approx(expected, abs=1.5)


def test_two_bars_are_two() -> None:
    image = texture()
    image[:, :110] = 0
    image[:, 190:] = 0
    first, last = picture_in(*seen(image, 4), SIZE_WH)
    assert [*first.tolist(), *last.tolist()] == pytest.approx([109.5, -0.5, 189.5, 259.5], abs=1.5)


def disc(image: Image) -> Image:
    """A head before a plain wall."""
    head = cv2.ellipse(np.zeros(image.shape[:2], np.uint8), (150, 140), (45, 65), 0, 0, 360, 1, -1)
    return np.where(head[..., None] > 0, image, 220).astype(np.uint8)


def gradual(image: Image) -> Image:
    """Detail that fades out."""
    share = np.clip((np.arange(SIZE_WH[0]) - 90) / 60, 0, 1)[None, :, None]
    return (share * image + (1 - share) * 128).astype(np.uint8)


@pytest.mark.parametrize("roll_deg", [0, 12, 90])
@pytest.mark.parametrize("kind", [lambda image: image, disc, gradual, white, blurred])
def test_without_a_bar_the_border_is_the_files(
    kind: Callable[[Image], Image], roll_deg: float
) -> None:
    first, last = picture_in(*seen(kind(texture()), roll_deg), SIZE_WH)
    assert [*first.tolist(), *last.tolist()] == [-0.5, -0.5, 299.5, 259.5]


@pytest.mark.parametrize("roll_deg", [0, 33])
def test_what_lies_outside_of_the_file_is_no_bar(roll_deg: float) -> None:
    image = texture()[90:, 120:]
    squares = turned_squares(np.array([[30.0, 40]]), np.array([SIDE]), np.array([roll_deg]), 112)
    crop = warp(image, squares, 112)[0]
    size_wh = (image.shape[1], image.shape[0])
    first, last = picture_in(crop, squares[0], size_wh)
    assert [*first, *last] == [-0.5, -0.5, size_wh[0] - 0.5, size_wh[1] - 0.5]
    far = turned_squares(np.array([[9000.0, 40]]), np.array([SIDE]), np.array([roll_deg]), 112)
    first, last = picture_in(np.zeros_like(crop), far[0], size_wh)
    assert [*first, *last] == [-0.5, -0.5, size_wh[0] - 0.5, size_wh[1] - 0.5]

"""Printed rasters, drawn here: measured, smoothed away, and left alone where there is none."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from lineament.geometry import warp
from lineament.raster import IN_PART, RASTER_LEVELS, SMOOTHINGS_PX, smoothing_of, without_raster
from lineament.types import Image


def gray(image: Image) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def shown(black_or_white: np.ndarray) -> Image:
    return np.repeat((black_or_white * 255).astype(np.uint8)[..., None], 3, axis=2)


def halftone(image: Image, period: float) -> Image:
    """Dots that grow with darkness, in rows at 45 degrees, ``period`` pixels apart."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] * (2 * np.pi / period / np.sqrt(2))
    return shown(gray(image) > (np.cos(x + y) + np.cos(x - y) + 2) / 4 * 255)


def ordered(image: Image) -> Image:
    """One bit a pixel, by Bayer's matrix."""
    matrix = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) * 16 + 8
    height, width = image.shape[:2]
    return shown(gray(image) > np.tile(matrix, (height // 4 + 1, width // 4 + 1))[:height, :width])


def lines(image: Image) -> Image:
    """Every third row is black."""
    lined = image.copy()
    lined[::3] = 0
    return lined


RASTERS: dict[str, Callable[[Image], Image]] = {
    "halftone 4": lambda image: halftone(image, 4),
    "halftone 6": lambda image: halftone(image, 6),
    "one bit": ordered,
    "lines": lines,
}


@pytest.fixture(scope="module")
def face(astronaut: Image) -> Image:
    return np.ascontiguousarray(astronaut[20:220, 120:320])


@pytest.mark.parametrize("name", RASTERS)
def test_smoothing_brings_the_picture_back(face: Image, name: str) -> None:
    printed = RASTERS[name](face)
    assert SMOOTHINGS_PX[0] <= smoothing_of(printed) <= SMOOTHINGS_PX[-1]
    calm = without_raster(printed)
    wanted = cv2.GaussianBlur(gray(face), (0, 0), 3)

    def likeness(image: Image) -> float:
        return float(np.corrcoef(gray(image).ravel(), wanted.ravel())[0, 1])

    assert likeness(calm) > 0.9
    assert likeness(calm) > likeness(printed) + 0.05
    assert without_raster(calm) is calm


def test_coarser_dots_are_smoothed_more(face: Image) -> None:
    assert smoothing_of(halftone(face, 3)) < smoothing_of(halftone(face, 6))
    assert smoothing_of(halftone(face, 6)) < smoothing_of(halftone(face, 8))


def test_what_has_no_raster_is_the_same_object(astronaut: Image, face: Image) -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(astronaut + rng.normal(0, 25, astronaut.shape), 0, 255).astype(np.uint8)
    enlarged = np.asarray(cv2.resize(face, None, fx=4, fy=4), np.uint8)
    blocks = np.repeat(np.repeat(face[::16, ::16], 16, axis=0), 16, axis=1)
    for image in (astronaut, face, noisy, enlarged, blocks, np.zeros((300, 400, 3), np.uint8)):
        assert smoothing_of(image) == 0
        assert without_raster(image) is image


@pytest.mark.parametrize("shape", [(1, 1), (39, 500), (500, 39), (0, 0), (0, 50)])
def test_too_little_to_tell(shape: tuple[int, int]) -> None:
    pattern = np.indices(shape).sum(axis=0) % 2
    assert smoothing_of(shown(pattern)) == 0


def test_a_printed_picture_on_a_white_page(face: Image) -> None:
    page = np.full((900, 700, 3), 250, np.uint8)
    page[100:300, 400:600] = halftone(face, 4)
    assert smoothing_of(page) > 0
    page[100:300, 400:600] = face
    assert smoothing_of(page) == 0


def test_a_checkerboard_is_the_most_that_there_is() -> None:
    board = shown(np.indices((200, 200)).sum(axis=0) % 2)
    assert RASTER_LEVELS < 127
    assert np.ptp(without_raster(board)[20:-20, 20:-20].astype(int)) <= 6


@pytest.mark.parametrize("name", RASTERS)
def test_crops_are_cut_out_of_smoothed_pixels(face: Image, name: str) -> None:
    move = np.array([[[0.7, 0.1, -10], [-0.1, 0.7, 5]]])
    printed = RASTERS[name](face)
    (crop,) = warp(printed, move, 112)
    part = without_raster(printed, IN_PART)
    assert part is not printed
    (expected,) = warp(part, move, 112)
    np.testing.assert_allclose(crop.astype(int), expected.astype(int), atol=12)  # only at the edge
    assert np.abs(crop[8:-8, 8:-8].astype(int) - expected[8:-8, 8:-8]).mean() < 1

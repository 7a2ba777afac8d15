"""What is left of a face: so few numbers that nothing brings it back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lineament.anonymize.covering import CELLS, METHODS, cover, drawn, mean_colors
from lineament.anonymize.regions import MARGIN, SHAPES, region_of
from lineament.errors import OptionError
from lineament.types import Image

BOX = (10, 20, 74, 68)


@pytest.fixture(scope="module")
def noise() -> Image:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)


def covered(pixels: Image, method: str, box: tuple[int, int, int, int] = BOX) -> Image:
    out = pixels.copy()
    mask = np.ones((box[3] - box[1], box[2] - box[0]), bool)
    cover(out, mask, box, method)  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize("method", METHODS)
def test_only_the_region_changes(noise: Image, method: str) -> None:
    out = covered(noise, method)
    changed = (out != noise).any(axis=2)
    assert changed[20:68, 10:74].mean() > 0.99
    changed[20:68, 10:74] = False
    assert not changed.any()


@pytest.mark.parametrize("method", METHODS)
def test_all_of_the_region_follows_from_a_few_numbers(noise: Image, method: str) -> None:
    # Two faces of the same mean colors are the same afterwards, however they differ.
    other = noise.copy()
    part = other[20:68, 10:74]
    cells = part.reshape(3, 16, 4, 16, 3)  # of 3 by 4 cells: each turned by itself
    part[:] = cells[:, ::-1, :, ::-1].reshape(48, 64, 3)
    assert (other[20:68, 10:74] != noise[20:68, 10:74]).mean() > 0.9
    assert np.array_equal(covered(other, method), covered(noise, method))


def test_cells_do_not_grow_with_the_face(noise: Image) -> None:
    large = cv2.resize(noise, (1200, 900))
    assert mean_colors(large, (0, 0, 1200, 900)).shape == (3, CELLS, 3)
    assert mean_colors(noise, (0, 0, 30, 90)).shape == (CELLS, 1, 3)
    assert mean_colors(noise, (0, 0, 3, 3)).shape == (1, 1, 3)


def test_solid_says_nothing_of_the_face(noise: Image) -> None:
    dark, bright = covered(noise // 4, "solid"), covered(255 - noise // 4, "solid")
    assert np.array_equal(dark[20:68, 10:74], bright[20:68, 10:74])


def test_squares_and_smooth(noise: Image) -> None:
    colors = mean_colors(noise, BOX)
    squares, smooth = (drawn(colors, (64, 48), method) for method in ("pixelate", "blur"))
    assert len(np.unique(squares.reshape(-1, 3), axis=0)) <= CELLS * CELLS
    assert np.abs(np.diff(smooth.astype(int), axis=1)).max() <= 4


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_hold_the_face(shape: str) -> None:
    face = np.array([100.0, 80.0, 180.0, 180.0])
    region = region_of(face, (400, 300), shape)  # type: ignore[arg-type]
    left, top, right, _ = region.box
    assert (left, top) == (70, 50)
    assert right - left == 80 + 2 * MARGIN * 100 + 1
    assert region.mask[80 - top : 180 - top + 1, 100 - left : 180 - left + 1].all()
    assert region.mask.all() == (shape == "box")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "face", [(-30, -20, 20, 40), (380, 290, 460, 380), (-500, 0, -400, 90), (-50, -50, 500, 400)]
)
def test_faces_at_the_border(shape: str, face: tuple[float, ...]) -> None:
    region = region_of(np.array(face), (400, 300), shape)  # type: ignore[arg-type]
    left, top, right, bottom = region.box
    assert region.mask.shape == (bottom - top, right - left)
    assert 0 <= left <= right <= 400
    assert 0 <= top <= bottom <= 300
    inside = (max(face[0], 0), max(face[1], 0), min(face[2], 399), min(face[3], 299))
    if inside[0] <= inside[2] and inside[1] <= inside[3]:
        x, y = round((inside[0] + inside[2]) / 2), round((inside[1] + inside[3]) / 2)
        assert region.mask[y - top, x - left]
    pixels = np.zeros((300, 400, 3), np.uint8)
    cover(pixels, region.mask, region.box, "blur")  # nothing to do is no error


def test_a_mesh_that_lies_elsewhere_is_not_believed() -> None:
    face = np.array([100.0, 80.0, 180.0, 180.0])
    drawn_mesh = np.random.default_rng(0).uniform(0, 1, (478, 2)).astype(np.float32)
    there = drawn_mesh * [70, 90] + [105, 85]
    ellipse = region_of(face, (400, 300), "ellipse")
    for mesh in (drawn_mesh * 50 + 300, there * np.nan, there[:468]):
        found = region_of(face, (400, 300), "mesh", mesh_xy=mesh.astype(np.float32))
        assert np.array_equal(found.mask, ellipse.mask)
    believed = region_of(face, (400, 300), "mesh", mesh_xy=there.astype(np.float32))
    assert believed.mask.shape != ellipse.mask.shape


@pytest.mark.parametrize("wrong", ["mosaic", "", "BLUR"])
def test_unknown_words(wrong: str) -> None:
    from lineament.anonymize.covering import check_method
    from lineament.anonymize.regions import check_shape

    with pytest.raises(OptionError, match="expected one of blur, pixelate, solid, got"):
        check_method(wrong)
    with pytest.raises(OptionError, match="expected one of ellipse, box, mesh, got"):
        check_shape(wrong)

"""68 points: on the demo photo against MTCNN, turned or not; the hull against geometry."""

from __future__ import annotations

import numpy as np
import pytest
from astronaut_face import BOX, EYE_DISTANCE, FIVE

from lineament import models
from lineament.align.alignment import face_transforms
from lineament.align.landmarks68 import (
    FOREHEAD,
    cut_out,
    face_hull_mask,
    five_of_68,
    landmarks68,
)
from lineament.errors import OptionError
from lineament.geometry import to_crop_xy, warp
from lineament.models.runtime import Model, load_model
from lineament.types import Face, FloatArray, Image


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(models.get("landmarks68"))


def oval() -> FloatArray:
    """68 points of a made-up face in a picture of 100 x 100; only the outline is sensible."""
    points = np.full((68, 2), 50.0, np.float32)
    t = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([50 + 30 * np.cos(t), 50 + 40 * np.sin(t)], 1)  # chin at (50, 90)
    points[17:27] = np.stack([np.linspace(25, 75, 10), np.full(10, 40.0)], 1)
    return points


def turned_clockwise(xy: np.ndarray, height: int) -> np.ndarray:
    return np.stack([height - 1 - xy[..., 1], xy[..., 0]], axis=-1)


def test_no_faces(astronaut: Image) -> None:
    def never(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        raise AssertionError("no faces, and the network runs")

    assert landmarks68(never, astronaut, []).shape == (0, 68, 2)
    assert five_of_68(np.zeros((0, 68, 2))).shape == (0, 5, 2)


@pytest.mark.parametrize("five", [FIVE, None], ids=["landmarks", "box only"])
def test_points_agree_with_mtcnn(model: Model, astronaut: Image, five: np.ndarray | None) -> None:
    points = landmarks68(model, astronaut, [Face(BOX, 0.99, five)])
    assert points.shape == (1, 68, 2)
    assert points.dtype == np.float32
    error = np.linalg.norm(five_of_68(points)[0] - FIVE, axis=1) / EYE_DISTANCE
    assert error.max() < 0.08
    assert error.mean() < 0.05


def test_points_are_those_of_the_scheme(model: Model, astronaut: Image) -> None:
    p = landmarks68(model, astronaut, [Face(BOX, 0.99, FIVE)])[0]
    x, y = p[:, 0], p[:, 1]
    assert x[36:42].max() < x[30] < x[42:48].min()  # eyes left and right of the nose's tip
    assert x[17:22].max() < x[22:27].min()
    assert y[17:27].max() < y[36:48].min()  # brows, eyes, nose's tip, lips, chin
    assert y[36:48].max() < y[30] < y[48:68].min()
    assert y[48:68].max() < y[8]
    assert (np.diff(y[27:31]) > 0).all()
    assert x[0] < x[17]
    assert x[26] < x[16]
    assert x[0] < x[8] < x[16]
    assert x[48] == x[48:60].min()
    assert x[54] == x[48:60].max()


def test_mirrored_photo_gives_mirrored_points(model: Model, astronaut: Image) -> None:
    width = astronaut.shape[1]
    points = landmarks68(model, astronaut, [Face(BOX, 0.9, FIVE)])
    order = [1, 0, 2, 4, 3]
    other = np.stack([width - 1 - FIVE[order, 0], FIVE[order, 1]], 1)
    box = np.array([width - 1 - BOX[2], BOX[1], width - 1 - BOX[0], BOX[3]])
    mirrored = landmarks68(model, astronaut[:, ::-1], [Face(box, 0.9, other)])
    back = five_of_68(mirrored)[0][order]
    back[:, 0] = width - 1 - back[:, 0]
    # The network is not symmetric, but a crop that were off by a pixel would show.
    difference = (back - five_of_68(points)[0]) / EYE_DISTANCE
    assert np.abs(difference).max() < 0.06
    assert np.abs(difference.mean(axis=0)).max() < 0.02


@pytest.mark.parametrize("has_five", [True, False], ids=["landmarks", "box only"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_photos(model: Model, astronaut: Image, turns: int, has_five: bool) -> None:
    upright = Face(BOX, 0.9, FIVE if has_five else None)
    wanted = landmarks68(model, astronaut, [upright])[0]
    photo, corners, five = astronaut, BOX.reshape(2, 2), FIVE
    for _ in range(turns):
        wanted = turned_clockwise(wanted, photo.shape[0])
        corners = turned_clockwise(corners, photo.shape[0])
        five = turned_clockwise(five, photo.shape[0])
        photo = np.rot90(photo, -1)
    box = np.concatenate([corners.min(0), corners.max(0)])
    turned = Face(box, 0.9, five if has_five else None, turned_deg=90 * turns)
    points = landmarks68(model, np.ascontiguousarray(photo), [turned])[0]
    assert np.linalg.norm(points - wanted, axis=1).max() / EYE_DISTANCE < 0.02


def test_mixed_faces_keep_their_order(model: Model, astronaut: Image) -> None:
    elsewhere = Face(BOX + 40, 0.5)
    faces = [Face(BOX, 0.9), Face(BOX, 0.9, FIVE), elsewhere]
    together = landmarks68(model, astronaut, faces)
    apart = np.concatenate([landmarks68(model, astronaut, [each]) for each in faces])
    np.testing.assert_allclose(together, apart, atol=0.05)
    assert np.abs(together[2] - together[0]).mean() > 3


def test_size_of_the_photo_does_not_matter(model: Model, astronaut: Image) -> None:
    """Twice as large by repeated pixels: the crop is averaged down to the same input."""
    double = astronaut.repeat(2, axis=0).repeat(2, axis=1)
    small = landmarks68(model, astronaut, [Face(BOX, 0.9, FIVE)])[0]
    large = landmarks68(model, double, [Face(BOX * 2 + 0.5, 0.9, FIVE * 2 + 0.5)])[0]
    assert np.linalg.norm((large - 0.5) / 2 - small, axis=1).max() / EYE_DISTANCE < 0.02


def test_five_of_68_takes_the_right_points() -> None:
    points = np.zeros((2, 68, 2), np.float32)
    points[1, :, 0] = np.arange(68)
    found = five_of_68(points)
    np.testing.assert_allclose(found[1, :, 0], [38.5, 44.5, 30, 48, 54])
    assert not found[0].any()
    with pytest.raises(OptionError, match=r"expected shape \(N, 68, 2\), got \(68, 2\)"):
        five_of_68(points[0])


def test_hull_covers_jaw_brows_and_half_the_forehead() -> None:
    mask = face_hull_mask(oval(), (100, 100))
    assert mask.shape == (100, 100)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    top = 40 - FOREHEAD * 50  # brows at 40, chin at 90
    rows = np.flatnonzero(mask.any(axis=1))
    assert abs(rows[0] - top) <= 1
    assert abs(rows[-1] - 90) <= 1
    columns = np.flatnonzero(mask[50])
    assert abs(columns[0] - 20) <= 1
    assert abs(columns[-1] - 80) <= 1
    # Half an ellipse below y = 50, and above it two trapezia: 60 wide at 50, 50 wide from 40 up.
    area = np.pi / 2 * 30 * 40 + (60 + 50) / 2 * 10 + 50 * FOREHEAD * 50
    assert (mask > 0).sum() == pytest.approx(area, rel=0.04)


def test_hull_of_a_mesh_is_that_of_its_skin() -> None:
    points = np.full((478, 2), 50.0)
    points[:4] = (20, 10), (80, 10), (80, 90), (20, 90)
    points[468:] = (5, 5)  # irises that lie elsewhere do not count
    mask = face_hull_mask(points, (100, 100)) > 0
    assert mask[10:91, 20:81].all()
    assert mask.sum() == 81 * 61


def test_hull_turns_with_the_face() -> None:
    upright = face_hull_mask(oval(), (100, 100))
    lying = face_hull_mask(turned_clockwise(oval(), 100), (100, 100))
    differs = (np.rot90(upright, -1) != lying).mean()
    assert differs < 0.02
    assert (upright != lying).mean() > 0.1


def test_hull_may_leave_the_picture() -> None:
    assert (face_hull_mask(oval() * 1e6 - [5e7, 5e7], (40, 30)) == 255).all()
    assert not face_hull_mask(oval() + 1e7, (40, 30)).any()
    assert face_hull_mask(oval() - [0, 50], (100, 20)).shape == (20, 100)


def test_cut_out_keeps_the_face(model: Model, astronaut: Image) -> None:
    found = Face(BOX, 0.9, FIVE)
    transforms = face_transforms([found])
    crop = warp(astronaut, transforms, 112)[0]
    before = crop.copy()
    points = to_crop_xy(landmarks68(model, astronaut, [found]), transforms)[0]
    cut = cut_out(crop, points)
    inside = face_hull_mask(points, (112, 112)) > 0
    assert 0.3 < inside.mean() < 0.8
    np.testing.assert_array_equal(cut[inside], crop[inside])
    assert not cut[~inside].any()
    np.testing.assert_array_equal(crop, before)
    assert inside[
        np.round(points[36:68, 1]).astype(int), np.round(points[36:68, 0]).astype(int)
    ].all()
    painted = cut_out(crop, points, (1, 2, 255))
    assert (painted[~inside] == [1, 2, 255]).all()
    np.testing.assert_array_equal(painted[inside], crop[inside])


@pytest.mark.parametrize("background", [-1, 256, (0, 0, 300), (0, 0)])
def test_cut_out_checks_the_paint(background: object) -> None:
    with pytest.raises(OptionError, match="expected one number or three from 0 to 255"):
        cut_out(np.zeros((100, 100, 3), np.uint8), oval(), background)


def test_hull_checks_its_arguments() -> None:
    with pytest.raises(OptionError, match=r"expected shape \(68, 2\) or \(478, 2\), got \(5, 2\)"):
        face_hull_mask(FIVE, (10, 10))
    with pytest.raises(OptionError, match="finite"):
        face_hull_mask(np.full((68, 2), np.nan), (10, 10))
    with pytest.raises(OptionError, match="at least one pixel"):
        face_hull_mask(oval(), (0, 10))

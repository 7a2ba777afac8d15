"""The head's pose from its mesh: turned average faces, five points, photos turned and mirrored."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from astronaut_face import BOX, FIVE

from lineament import models
from lineament.align.mesh import Mesh, mesh
from lineament.align.mesh_pose import (
    MESH_POINTS,
    RIGID_POINTS,
    RIGID_XYZ,
    pose_of_mesh,
    rotations_of_meshes,
    true_yaw_deg,
)
from lineament.errors import OptionError
from lineament.models.runtime import Model, load_model
from lineament.pose import FACE_XYZ, head_pose, pose_of_five
from lineament.types import Face, Image


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(models.get("facemesh"))


def turn(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """The rotation (3, 3); x to the viewer's right, y down, z towards the viewer."""
    y, p, r = (math.radians(each) for each in (yaw_deg, pitch_deg, roll_deg))
    yaw = [[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]]
    pitch = [[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]]
    roll = [[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]]
    return np.array(roll) @ np.array(pitch) @ np.array(yaw)


def made(rotation: np.ndarray, eyes_px: float = 80.0) -> np.ndarray:
    """A mesh (478, 3) whose rigid points are the average face's; the others lie at the origin."""
    points = np.zeros((MESH_POINTS, 3))
    # What comes towards the viewer has a smaller depth in a mesh.
    points[RIGID_POINTS] = RIGID_XYZ @ rotation.T * eyes_px * [1, 1, -1] + [300, 200, 5]
    return points


@pytest.mark.parametrize("yaw", [-88, -45, 0, 30, 75, 90])
@pytest.mark.parametrize("pitch", [-40, 0, 25])
@pytest.mark.parametrize("roll", [-170, -30, 0, 60, 180])
def test_turned_average_faces(yaw: float, pitch: float, roll: float) -> None:
    pose = pose_of_mesh(made(turn(yaw, pitch, roll)))
    assert pose.eyes_px == pytest.approx(80, rel=1e-6)
    assert pose.yaw_deg == pytest.approx(yaw, abs=1e-3)
    assert pose.pitch_deg == pytest.approx(pitch, abs=1e-3)
    assert math.cos(math.radians(pose.roll_deg - roll)) == pytest.approx(1, abs=1e-6)
    assert -180 < pose.roll_deg <= 180


@pytest.mark.parametrize("angles", [(40, 0, 0), (-25, 15, 0), (10, -20, 35), (0, 0, -120)])
def test_signs_are_those_of_five_points(angles: tuple[float, float, float]) -> None:
    rotation = turn(*angles)
    five = pose_of_five((FACE_XYZ @ rotation.T)[:, :2] * 80)
    pose = pose_of_mesh(made(rotation))
    for name in ("eyes_px", "yaw_deg", "pitch_deg", "roll_deg"):
        assert getattr(pose, name) == pytest.approx(getattr(five, name), abs=1e-3), name


def test_the_average_face_is_that_of_five_points() -> None:
    place = {int(point): xyz for point, xyz in zip(RIGID_POINTS, RIGID_XYZ, strict=True)}
    np.testing.assert_allclose((place[33] + place[133]) / 2, FACE_XYZ[0], atol=1e-3)
    np.testing.assert_allclose((place[263] + place[362]) / 2, FACE_XYZ[1], atol=1e-3)
    assert len(place) == 33
    mirrored = RIGID_XYZ * [-1, 1, 1]
    apart = np.linalg.norm(mirrored[:, None] - RIGID_XYZ[None], axis=2).min(axis=1)
    assert apart.max() < 1e-9


def test_several_at_once_and_noise() -> None:
    rng = np.random.default_rng(3)
    angles = [(20.0, 5.0, 0.0), (-60.0, -10.0, 30.0)]
    points = np.stack([made(turn(*each)) for each in angles])
    rotations, sizes = rotations_of_meshes(points + rng.normal(0, 1.0, points.shape))
    for rotation, each in zip(rotations, angles, strict=True):
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1)
        np.testing.assert_allclose(rotation, turn(*each), atol=0.03)
    np.testing.assert_allclose(sizes, 80, rtol=0.02)


def test_a_face_seen_from_inside_is_still_a_rotation() -> None:
    points = made(turn(0, 0, 0)) * [1, 1, -1]
    assert np.linalg.det(rotations_of_meshes(points[None])[0][0]) == pytest.approx(1)


def test_photo_agrees_with_five_points_and_with_its_mirror_image(
    model: Model, astronaut: Image
) -> None:
    pose = pose_of_mesh(mesh(model, astronaut, [Face(BOX, 0.9, FIVE)]).points_xyz[0])
    five = head_pose(FIVE)
    assert pose.yaw_deg == pytest.approx(five.yaw_deg, abs=8)
    assert pose.roll_deg == pytest.approx(five.roll_deg, abs=3)
    assert pose.eyes_px == pytest.approx(five.eyes_px, rel=0.12)

    width = astronaut.shape[1]
    other = FIVE[[1, 0, 2, 4, 3]] * [-1, 1] + [width - 1, 0]
    box = np.array([width - 1 - BOX[2], BOX[1], width - 1 - BOX[0], BOX[3]])
    face = Face(box, 0.9, other)
    back = pose_of_mesh(mesh(model, np.ascontiguousarray(astronaut[:, ::-1]), [face]).points_xyz[0])
    assert back.yaw_deg == pytest.approx(-pose.yaw_deg, abs=3)
    assert back.pitch_deg == pytest.approx(pose.pitch_deg, abs=3)
    assert back.roll_deg == pytest.approx(-pose.roll_deg, abs=2)


@pytest.mark.parametrize("angle", [50, -100, 180])
def test_turned_photo_changes_the_roll_alone(model: Model, astronaut: Image, angle: float) -> None:
    height, width = astronaut.shape[:2]
    upright = pose_of_mesh(mesh(model, astronaut, [Face(BOX, 0.9, FIVE)]).points_xyz[0])
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1.0)
    tilted = cv2.warpAffine(astronaut, matrix, (width, height), flags=cv2.INTER_CUBIC)
    five = FIVE @ matrix[:, :2].T + matrix[:, 2]
    box = np.concatenate([five.min(axis=0) - 20, five.max(axis=0) + 20])
    pose = pose_of_mesh(mesh(model, tilted, [Face(box, 0.9, five)]).points_xyz[0])
    assert math.remainder(pose.roll_deg - upright.roll_deg - angle, 360) == pytest.approx(0, abs=1)
    assert pose.yaw_deg == pytest.approx(upright.yaw_deg, abs=1.5)
    assert pose.pitch_deg == pytest.approx(upright.pitch_deg, abs=1.5)


def test_what_is_no_mesh_is_refused() -> None:
    with pytest.raises(OptionError, match=r"\(478, 3\), all finite, got \(68, 2\)"):
        pose_of_mesh(np.zeros((68, 2)))
    with pytest.raises(OptionError, match="all finite"):
        pose_of_mesh(np.full((478, 3), np.nan))
    with pytest.raises(OptionError, match="expected points in different places"):
        pose_of_mesh(np.full((478, 3), 7.0))


def test_yaw_of_profiles_is_more_than_the_mesh_shows() -> None:
    assert [true_yaw_deg(yaw) for yaw in (0, 10, -25)] == [0, 10, -25]
    assert true_yaw_deg(54) == pytest.approx(54 + 0.45 * 29)
    assert true_yaw_deg(-54) == -true_yaw_deg(54)
    assert [true_yaw_deg(yaw) for yaw in (80, 90, -88, 120)] == [90, 90, -90, 120]
    turned = [true_yaw_deg(yaw) for yaw in range(-180, 181)]
    assert turned == sorted(turned)


def test_poses_of_several_faces_are_corrected() -> None:
    points = np.stack([made(turn(-60, 5, 10)), made(turn(12, 0, -90))]).astype(np.float32)
    far, near = Mesh(points, np.ones(2, np.float32)).poses()
    assert far.yaw_deg == pytest.approx(true_yaw_deg(-60), abs=0.01)
    assert (far.pitch_deg, far.roll_deg) == pytest.approx((5, 10), abs=0.01)
    assert (near.yaw_deg, near.roll_deg) == pytest.approx((12, -90), abs=0.01)

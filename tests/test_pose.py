"""The pose of a head: that of the model is found again, and its signs are those documented."""

from __future__ import annotations

from dataclasses import astuple, replace

import cv2
import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.geometry import ARCFACE_TEMPLATE_XY
from lineament.pose import FACE_XYZ, head_pose, pose_of_five, true_yaw_deg, wrapped_deg


def rotation(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    """By Euler's angles about the axes of the photo: nod, turn, tilt."""

    def about(axis: list[float], degrees: float) -> np.ndarray:
        return cv2.Rodrigues(np.radians(degrees) * np.array(axis, dtype=float))[0]

    return about([0, 0, 1], roll_deg) @ about([1, 0, 0], pitch_deg) @ about([0, 1, 0], yaw_deg)


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll", "size"),
    [(0, 0, 0, 40), (30, 0, 0, 12), (-50, 20, 10, 100), (20, -35, 80, 40), (75, 5, -170, 9)],
)
def test_the_pose_of_the_model_is_found_again(
    yaw: float, pitch: float, roll: float, size: float
) -> None:
    points = size * (FACE_XYZ @ rotation(yaw, pitch, roll).T)[:, :2] + [310, 95]
    shown = pose_of_five(points)
    assert astuple(shown) == pytest.approx((size, yaw, pitch, roll), abs=1e-6)
    assert head_pose(points) == replace(shown, yaw_deg=true_yaw_deg(shown.yaw_deg))


def test_yaw_of_profiles_is_more_than_five_points_show() -> None:
    assert [true_yaw_deg(yaw) for yaw in (0, 10, -25)] == [0, 10, -25]
    assert true_yaw_deg(35) == pytest.approx(35 + 0.02 * 10**2)
    assert true_yaw_deg(-53.6) == pytest.approx(-70, abs=0.1)  # the median of CFP's profiles
    assert [true_yaw_deg(yaw) for yaw in (66, 90, -88, 120)] == [90, 90, -90, 120]
    heads = np.array([true_yaw_deg(yaw) for yaw in np.arange(-180, 180, 0.1)])
    assert (np.diff(heads) >= 0).all()
    assert np.diff(heads).max() < 0.3  # no leap


def test_the_template_is_frontal() -> None:
    size, yaw, pitch, roll = astuple(head_pose(ARCFACE_TEMPLATE_XY))
    assert size == pytest.approx(35.24, rel=0.05)
    assert abs(yaw) < 0.1
    assert abs(pitch) < 1
    assert abs(roll) < 0.5


def test_a_nose_to_the_right_is_a_turn_to_the_right_and_one_further_up_looks_up() -> None:
    nose_right, nose_up = (ARCFACE_TEMPLATE_XY.copy() for _ in range(2))
    nose_right[2, 0] += 5
    nose_up[2, 1] -= 5
    assert head_pose(nose_right).yaw_deg > 10
    assert head_pose(nose_up).pitch_deg > 10


@pytest.mark.parametrize(
    "points",
    [np.zeros((4, 2)), np.full((5, 2), np.nan), np.ones((5, 2)), np.outer(np.arange(5), [1, 2])],
    ids=["four", "nan", "coincide", "line"],
)
def test_landmarks_that_are_none_are_refused(points: np.ndarray) -> None:
    with pytest.raises(OptionError, match="landmarks: expected"):
        head_pose(points)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0, 0), (180, 180), (-180, 180), (181, -179), (270, -90), (-45, -45), (540, 180), (-1, -1)],
)
def test_angles_are_wrapped(given: float, expected: float) -> None:
    assert wrapped_deg(given) == expected

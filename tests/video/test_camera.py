"""Whether the camera moved."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lineament.types import Image
from lineament.video._camera import STILL, Camera


@pytest.fixture(scope="module")
def room() -> Image:
    coarse = np.random.default_rng(4).integers(0, 255, (24, 40, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (800, 480), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_a_still_camera_and_somebody_who_walks(room: Image) -> None:
    camera, frame = Camera(), room[60:420, 80:720].copy()
    assert camera.step(frame) == STILL
    assert camera.step(frame) == STILL
    for x in range(0, 300, 60):
        walked = frame.copy()
        walked[100:, x : x + 80] = 40
        assert camera.step(walked) == STILL


def test_a_jump_is_measured(room: Image) -> None:
    camera = Camera()
    camera.step(room[60:420, 80:720])
    jumped = camera.step(room[80:440, 30:670])
    assert not jumped.is_cut
    assert jumped.shift_xy == pytest.approx((50, -20), abs=3)
    assert camera.step(room[80:440, 30:670]) == STILL


def test_another_scene_is_a_cut(room: Image) -> None:
    camera = Camera()
    camera.step(room[60:420, 80:720])
    other = np.random.default_rng(5).integers(0, 255, (12, 20, 3), np.uint8)
    cut = camera.step(np.asarray(cv2.resize(other, (640, 360)), np.uint8))
    assert cut.is_cut
    camera.forget()
    assert camera.step(room[60:420, 80:720]) == STILL


def test_tiny_frames() -> None:
    camera = Camera()
    for _ in range(2):
        assert camera.step(np.zeros((3, 5, 3), np.uint8)) == STILL

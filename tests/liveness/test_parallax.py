"""Depth from two views: heads that turn, and sheets that are tilted and bent in many ways."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.liveness._parallax import FOLLOWED, PATCH_PX, Follower, fitted
from lineament.types import Float64Array

RNG = np.random.default_rng(16)
PLACES = RNG.uniform(-1, 1, (300, 2)) * [0.8, 1.1] + [0, 0.4]


def nose(places: Float64Array) -> Float64Array:
    """Depth (P,) of a face: a shallow bowl, and a bump in its middle; smaller is nearer."""
    x, y = places.T
    return 0.25 * x * x + 0.1 * y * y - 0.6 * np.exp(-((x / 0.2) ** 2) - ((y - 0.5) / 0.35) ** 2)


def seen(xyz: Float64Array, yaw_deg: float, pitch_deg: float = 0.0) -> Float64Array:
    """Points (P, 3), z away from the camera, turned and seen from 8 away: (P, 2)."""
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    x = xyz[:, 0] * np.cos(yaw) - xyz[:, 2] * np.sin(yaw)
    z = xyz[:, 0] * np.sin(yaw) + xyz[:, 2] * np.cos(yaw)
    y = xyz[:, 1] * np.cos(pitch) + z * np.sin(pitch)
    z = z * np.cos(pitch) - xyz[:, 1] * np.sin(pitch)
    return 8 * np.stack([x, y], axis=1) / (8 + z)[:, None]


@pytest.mark.parametrize("yaw_deg", [-35, -20, 20, 28])
def test_a_head_has_the_sine_of_its_turn(yaw_deg: float) -> None:
    depth = nose(PLACES)
    head = np.concatenate([PLACES, depth[:, None]], axis=1)
    noise = RNG.normal(0, 0.01, PLACES.shape)
    slope, correlation = fitted(seen(head, 0), seen(head, yaw_deg) + noise, depth)
    assert slope == pytest.approx(np.sin(np.radians(yaw_deg)), abs=0.04)
    assert correlation * np.sign(yaw_deg) > 0.9


@pytest.mark.parametrize("bend", [0.0, 0.2, -0.4])
@pytest.mark.parametrize("axis_deg", [0, 30, 90])
@pytest.mark.parametrize(("yaw_deg", "pitch_deg"), [(45, 0), (-30, 15), (0, 25)])
def test_a_sheet_has_none(bend: float, axis_deg: float, yaw_deg: float, pitch_deg: float) -> None:
    """Flat, or a cylinder about any axis; ``depth`` is what the mesh believes the photo has."""
    axis = np.radians(axis_deg)
    across = PLACES @ [np.cos(axis), np.sin(axis)]
    along = PLACES @ [-np.sin(axis), np.cos(axis)]
    flat = across if bend == 0 else np.sin(across * bend) / bend
    deep = np.zeros(len(across)) if bend == 0 else (1 - np.cos(across * bend)) / bend
    x = flat * np.cos(axis) - along * np.sin(axis)
    y = flat * np.sin(axis) + along * np.cos(axis)
    sheet = np.stack([x, y, deep], axis=1)
    noise = RNG.normal(0, 0.01, PLACES.shape)
    slope, _ = fitted(PLACES, seen(sheet, yaw_deg, pitch_deg) + noise, nose(PLACES))
    assert abs(slope) < 0.04


def test_points_that_went_astray_count_little() -> None:
    depth = nose(PLACES)
    head = np.concatenate([PLACES, depth[:, None]], axis=1)
    now = seen(head, 25)
    now[::8] += RNG.normal(0, 0.5, now[::8].shape)
    slope, _ = fitted(seen(head, 0), now, depth)
    assert slope == pytest.approx(np.sin(np.radians(25)), abs=0.05)


def test_a_picture_is_followed_where_it_goes() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (48, 48)).astype(np.uint8)
    whole = coarse.repeat(6, axis=0).repeat(6, axis=1)
    patches = [np.ascontiguousarray(whole[40 : 40 + PATCH_PX, 40 - s : 40 - s + PATCH_PX])
               for s in (0, 2, 4, 6)]  # fmt: skip
    places = rng.uniform(40, 150, (200, 2))
    depth = rng.normal(size=200)
    follower = Follower(patches[0], places, depth, 60.0)
    for patch in patches[1:]:
        follower.step(patch)
    swing = follower.swing()
    assert swing is not None
    assert swing.n_points > 150
    assert abs(swing.slope) < 0.01  # all went by the same 6 pixels
    lost = Follower(patches[0], places, depth, 60.0)
    lost.step(rng.integers(0, 256, (PATCH_PX, PATCH_PX)).astype(np.uint8))
    assert lost.swing() is None


def test_what_is_followed_does_not_move_by_itself() -> None:
    assert len(FOLLOWED) > 300
    assert not set(FOLLOWED.tolist()) & {13, 14, 159, 145, 386, 374, 10, 152, 468}
    assert {4, 6, 50, 280} <= set(FOLLOWED.tolist())  # nose, its bridge, both cheeks

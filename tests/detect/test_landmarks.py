"""Landmarks of faces that are turned far to a side."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lineament import load_image, models
from lineament.detect import DetectOptions, landmarks, load_detector
from lineament.detect.landmarks import (
    FRAME_PX,
    SWAPPED,
    TEMPLATE_XY,
    Maps,
    ProfileLandmarks,
    asymmetry,
    bundled_maps,
    frames_of,
    geometric_median,
    needs_look,
    spread,
    tipped,
)
from lineament.detect.mtcnn import onet_landmarks
from lineament.errors import DataError, OptionError
from lineament.geometry import ARCFACE_TEMPLATE_XY, similarity_transforms, to_crop_xy
from lineament.models.runtime import load_model
from lineament.types import Face, FloatArray, Image

DATA = os.environ.get("LINEAMENT_DATA")
SAMPLE = (Path(DATA) if DATA else Path(__file__).parents[3] / "shared") / "cfp_sample"

PROFILE = np.array([[50.0, 52.0], [70.0, 51.0], [40.0, 72.0], [50.0, 92.0], [68.0, 92.0]])
"""Of a face that looks to the viewer's left."""


def mirrored(points: np.ndarray, width: int) -> np.ndarray:
    return (points * [-1, 1] + [width - 1, 0])[..., SWAPPED, :]


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]])


@pytest.fixture(scope="module")
def finder() -> ProfileLandmarks:
    names = ("mtcnn-o", "landmarks68", "facemesh")
    return ProfileLandmarks(*(load_model(models.get(name)) for name in names))


# --- asymmetry ------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -135])
@pytest.mark.parametrize("nose", [-0.5, -0.1, 0.0, 0.3])
def test_asymmetry_is_the_place_of_the_nose(nose: float, degrees: float) -> None:
    points = np.array([[-1, 0], [1, 0], [4 * nose, 1.7], [-1, 4], [1, 4]], np.float64)
    assert asymmetry(turned(points, degrees) * 7 + 5) == pytest.approx(nose)
    assert asymmetry(mirrored(points, 50)) == pytest.approx(-nose)


def test_asymmetry_of_many_and_of_points_that_coincide() -> None:
    many = np.stack([PROFILE, mirrored(PROFILE, 112), np.zeros((5, 2))])
    left, right, nothing = asymmetry(many)
    assert left == pytest.approx(-right)
    assert left < -0.2
    assert nothing == 0


# --- frames ---------------------------------------------------------------------------------------


def test_the_frame_is_that_of_the_template() -> None:
    np.testing.assert_array_equal(TEMPLATE_XY, ARCFACE_TEMPLATE_XY)


@pytest.mark.parametrize("degrees", [0, 20, 170])
def test_frames_show_all_faces_looking_to_the_left(degrees: float) -> None:
    left = turned(PROFILE, degrees) * 3 + 11
    width = 640
    right = mirrored(left, width)
    both = frames_of(np.stack([left, right]), np.array([True, False]))
    # The place of the same pixel in both is the same.
    pixels = np.array([[3.0, 5.0], [200.0, 7.0], [50.0, 300.0]])
    there = pixels * [-1, 1] + [width - 1, 0]
    np.testing.assert_allclose(
        to_crop_xy(pixels[None], both[:1]), to_crop_xy(there[None], both[1:]), atol=1e-9
    )
    assert np.linalg.det(both[0, :, :2]) > 0 > np.linalg.det(both[1, :, :2])
    np.testing.assert_allclose(both[:1], similarity_transforms(left[None], TEMPLATE_XY))


# --- many answers ---------------------------------------------------------------------------------


def test_one_wild_answer_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    answers = PROFILE + rng.normal(0, 0.5, (1, 6, 5, 2))
    answers[0, 4] += 60
    middle = geometric_median(answers)
    assert np.abs(middle - PROFILE).max() < 1
    assert np.abs(answers.mean(axis=1) - PROFILE).max() > 9


def test_the_median_has_the_least_sum_of_distances() -> None:
    rng = np.random.default_rng(1)
    answers = PROFILE + rng.normal(0, 12, (1, 6, 5, 2))

    def total(middle: np.ndarray) -> float:
        return float(np.sqrt(((answers[0] - middle) ** 2).mean(axis=(1, 2)) + 1).sum())

    middle = geometric_median(answers)[0]
    for _ in range(50):
        assert total(middle) <= total(middle + rng.normal(0, 1, (5, 2)))


def test_the_spread_leaves_the_farthest_out() -> None:
    answers = np.stack([PROFILE] * 6)[None]
    assert spread(answers, PROFILE[None]) == pytest.approx(0)
    answers[0, 2] += [100, 0]
    assert spread(answers, PROFILE[None]) == pytest.approx(0)
    answers[0, 3] += [0, 40.7]
    assert spread(answers, PROFILE[None]) == pytest.approx(1 / 5)


@pytest.mark.parametrize("degrees", [0, 25])
@pytest.mark.parametrize("left", [True, False])
def test_a_nose_goes_to_its_tip_and_the_crop_stays(left: bool, degrees: float) -> None:
    points = turned(PROFILE if left else mirrored(PROFILE, FRAME_PX), degrees) * 4
    result = tipped(points)
    before, after = (similarity_transforms(p[None], TEMPLATE_XY) for p in (points, result))
    np.testing.assert_allclose(before, after, atol=1e-4)  # the template is not quite symmetric
    assert abs(asymmetry(result)) > abs(asymmetry(points)) + 0.03
    assert np.linalg.norm(result - points, axis=1).argmax() == 2


def test_the_nose_of_a_frontal_face_stays() -> None:
    np.testing.assert_allclose(tipped(ARCFACE_TEMPLATE_XY * 2), ARCFACE_TEMPLATE_XY * 2)


# --- which faces are looked at --------------------------------------------------------------------

FRONTAL = np.array(ARCFACE_TEMPLATE_XY)


@pytest.mark.parametrize(
    ("onet", "own", "certainty", "needed"),
    [
        (FRONTAL, FRONTAL, 1.0, False),
        (FRONTAL, None, 1.0, False),
        (PROFILE, PROFILE, 1.0, True),
        (mirrored(PROFILE, 112), None, 1.0, True),
        (FRONTAL, PROFILE, 1.0, True),
        (FRONTAL, FRONTAL + 20, 1.0, True),
        (FRONTAL, FRONTAL + 3, 1.0, False),
        (FRONTAL, FRONTAL, 0.5, True),
    ],
)
def test_which_faces_are_looked_at(
    onet: np.ndarray, own: np.ndarray | None, certainty: float, needed: bool
) -> None:
    box = np.array([0, 0, 100, 112], np.float32)
    face = Face(box, 0.9, None if own is None else own.astype(np.float32))
    found = needs_look([face], onet[None], np.array([certainty], np.float32))
    np.testing.assert_array_equal(found, [needed])


def refuse(batch: FloatArray) -> tuple[FloatArray, ...]:
    raise AssertionError("a network was asked")


def test_ordinary_faces_cost_nothing_and_stay(astronaut: Image) -> None:
    finder = ProfileLandmarks(refuse, refuse, refuse)
    given = np.stack([FRONTAL, FRONTAL + 50]).astype(np.float32)
    faces = [Face(np.array([0, 0, 112, 112], np.float32) + 50 * i, 0.9, given[i]) for i in (0, 1)]
    found = finder.refine(astronaut, faces, given, np.ones(2, np.float32))
    np.testing.assert_array_equal(found.landmarks_xy, given)
    assert not found.looked.any()
    assert np.isnan(found.costs).all()
    none = finder.refine(astronaut, [], np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))
    assert none.landmarks_xy.shape == (0, 5, 2)
    with pytest.raises(OptionError, match=r"expected shape \(2, 5, 2\), got \(1, 5, 2\)"):
        finder.refine(astronaut, faces, given[:1], np.ones(2, np.float32))


# --- looks ----------------------------------------------------------------------------------------


def test_looks_are_in_the_frame_and_mirror_images_are_brought_back(
    astronaut: Image, finder: ProfileLandmarks
) -> None:
    (face,) = load_detector(turning=False).detect(astronaut, DetectOptions())
    assert face.landmarks_xy is not None
    frame = frames_of(face.landmarks_xy[None].astype(np.float64), np.array([True]))
    seen = finder.look(astronaut, frame)
    here = to_crop_xy(face.landmarks_xy[None], frame)[0]
    onet, _, mesh, onet_mirrored, _, mesh_mirrored = (points[0] for points in seen.points)
    for points in (
        onet,
        onet_mirrored[SWAPPED],
        mesh[[468, 473, 4, 61, 291]],
        mesh_mirrored[[473, 468, 4, 291, 61]],
    ):
        assert np.linalg.norm(points - here, axis=1).max() < 5
    assert seen.probability[0] > 0.9


def test_a_mirrored_photo_has_mirrored_landmarks(
    astronaut: Image, finder: ProfileLandmarks
) -> None:
    (face,) = load_detector("yunet").detect(astronaut, DetectOptions())
    assert face.landmarks_xy is not None
    width = astronaut.shape[1]
    box = face.box_xyxy
    other = Face(
        np.array([width - 1 - box[2], box[1], width - 1 - box[0], box[3]], np.float32),
        0.9,
        mirrored(face.landmarks_xy, width).astype(np.float32),
    )
    given = face.landmarks_xy + np.array([[0, 0]] * 2 + [[-15, 0]] + [[0, 0]] * 2, np.float32)
    sure = np.ones(1, np.float32)
    found = finder.refine(astronaut, [face], given[None], sure)
    flipped = np.ascontiguousarray(astronaut[:, ::-1])
    again = finder.refine(flipped, [other], mirrored(given, width)[None].astype(np.float32), sure)
    assert found.looked.all()
    np.testing.assert_allclose(
        mirrored(found.landmarks_xy[0], width), again.landmarks_xy[0], atol=0.3
    )


def test_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "maps.npz"
    np.savez(path, biases=np.zeros((6, 10)))
    monkeypatch.setattr(landmarks, "FILE", path)
    bundled_maps.cache_clear()
    with pytest.raises(DataError, match="reinstall the package"):
        bundled_maps()
    bundled_maps.cache_clear()


def test_maps_are_linear() -> None:
    rng = np.random.default_rng(2)
    points = tuple(rng.normal(size=(3, p, 2)) for p in (5, 68, 478) * 2)
    maps = Maps(tuple(rng.normal(size=(2 * p.shape[1], 10)) for p in points), np.ones((6, 10)))
    got = maps.read(landmarks.Look(points, np.ones(3)))
    assert got.shape == (3, 6, 5, 2)
    flat = [
        [p @ w for p in rows.reshape(3, -1)] for rows, w in zip(points, maps.weights, strict=True)
    ]
    np.testing.assert_allclose(got, np.array(flat).transpose(1, 0, 2).reshape(3, 6, 5, 2) + 1)


# --- profiles -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_profiles(finder: ProfileLandmarks) -> None:
    """What is seen of CFP's profiles lies where people set it; nearly all are looked at."""
    if not SAMPLE.is_dir():
        pytest.skip(f"no {SAMPLE}; set LINEAMENT_DATA to the folder that holds it")
    onet = load_model(models.get("mtcnn-o"))
    detector = load_detector("yunet", turning=False)
    before, after, looked = [], [], []
    for path in sorted((SAMPLE / "Images").glob("*/profile/*.jpg"))[::10]:
        fiducials = np.loadtxt(
            SAMPLE / "Fiducials" / path.parents[1].name / "profile" / f"{path.stem}.txt",
            delimiter=",",
        )
        image = load_image(path)
        faces = detector.detect(image, DetectOptions())
        face = max(faces, key=lambda face: float(np.prod(face.size_wh)))
        center, half = np.array(face.center_xy), np.array(face.size_wh) * 0.85 / 2
        box = np.concatenate([center - half, center + half]).astype(np.float32)
        points, _, certainty = onet_landmarks(onet, image, box[None])
        found = finder.refine(image, [face], points, certainty)
        looked.append(found.looked[0])
        seen = np.stack([fiducials[12:18].mean(axis=0), fiducials[21], fiducials[25]])
        left = fiducials[21, 0] < fiducials[:9, 0].mean()
        numbers = [1, 2, 4] if left else [0, 2, 3]
        unit = np.linalg.norm(seen[0] - seen[2])
        before.append(np.linalg.norm(points[0, numbers] - seen, axis=1) / unit)
        after.append(np.linalg.norm(found.landmarks_xy[0, numbers] - seen, axis=1) / unit)
    assert len(after) == 50
    assert np.mean(looked) > 0.9
    assert np.median(after) < 0.06 < np.median(before)
    assert np.percentile(after, 95) < 0.16 < np.percentile(before, 95)

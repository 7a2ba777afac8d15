"""Faces at any roll, each found by itself."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from builders import make_face
from lineament import models
from lineament.detect import DetectOptions, load_detector
from lineament.detect import turning as t
from lineament.detect.detector import Detector, Seen, see
from lineament.detect.turning import Turning, Turns, smoothed
from lineament.errors import LicenseError
from lineament.models import LicensePolicy
from lineament.models.runtime import load_model
from lineament.pose import wrapped_deg
from lineament.types import Face, Image

OPTIONS = DetectOptions()


def turned(image: Image, angle: float, fill: int = 127) -> tuple[Image, np.ndarray]:
    """The whole photo turned clockwise on plain ground, and the matrix (2, 3) to it."""
    height, width = image.shape[:2]
    side = int(np.ceil(np.hypot(height, width)))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
    matrix[:, 2] += (side - np.array([width, height])) / 2
    ground = (fill, fill, fill)
    return np.asarray(
        cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderValue=ground),
        np.uint8,
    ), np.asarray(matrix)


def head(image: Image) -> Image:
    return image[:400]  # no square, or width and height could be taken for one another


ANGLES = (-150, -90, -60, 0, 75, 135, 180)
LOOKED_AT = [
    pytest.param(
        name, angle, marks=[] if name == "yunet+onet" or angle == 75 else [pytest.mark.slow]
    )
    for name in ("yunet+onet", "yunet", "blazeface+onet", "mtcnn")
    for angle in ANGLES
]
"""Not slow: all angles of the default, and one of each other, which is turned as the default is."""


@pytest.mark.parametrize(("name", "angle"), LOOKED_AT)
def test_a_turned_photo(astronaut: Image, name: str, angle: int) -> None:
    detector = load_detector(name)
    (upright,) = detector.detect(head(astronaut), OPTIONS)
    assert upright.turned_deg == 0
    picture, matrix = turned(head(astronaut), angle)
    faces = detector.detect(picture, OPTIONS)
    face = max(faces, key=lambda face: max(face.size_wh))
    assert len(faces) == 1 or name == "mtcnn"  # which sees a face in the ground, too
    assert face.landmarks_xy is not None
    assert upright.landmarks_xy is not None
    moved = upright.landmarks_xy @ matrix[:, :2].T + matrix[:, 2]
    eyes = np.linalg.norm(np.subtract(*upright.landmarks_xy[:2]))
    apart = np.linalg.norm(face.landmarks_xy - moved, axis=1) / eyes
    assert apart.mean() < (0.1 if "onet" in name else 0.25)
    off = wrapped_deg(face.roll_deg - upright.roll_deg - angle)
    assert abs(off) < 12
    if face.turned_deg:
        assert abs(wrapped_deg(face.turned_deg - angle)) < 25
    center = matrix[:, :2] @ np.array(upright.center_xy) + matrix[:, 2]
    assert np.linalg.norm(np.array(face.center_xy) - center) < 0.2 * max(upright.size_wh)


@pytest.mark.parametrize("angle", range(-165, 181, 15))
def test_two_faces_at_different_turns(astronaut: Image, angle: int) -> None:
    picture, _ = turned(astronaut[:256, 100:356], angle)
    side = picture.shape[0]
    ground = np.full((side, 256, 3), 127, np.uint8)
    ground[:256] = astronaut[:256, 100:356]
    both = np.concatenate([ground, picture], axis=1)
    faces = load_detector().detect(both, OPTIONS)
    assert len(faces) == 2
    left, right = sorted(faces, key=lambda face: face.center_xy[0])
    assert abs(wrapped_deg(right.roll_deg - left.roll_deg - angle)) < 15


def test_without_turning(astronaut: Image) -> None:
    on_its_side = np.ascontiguousarray(np.rot90(astronaut))
    faces = load_detector("mtcnn", turning=False).detect(on_its_side, OPTIONS)
    assert all(face.turned_deg == 0 for face in faces)
    assert len(load_detector("mtcnn").detect(on_its_side, OPTIONS)) == 1


def test_turning_asks_for_the_license_of_what_it_looks_with() -> None:
    policy = LicensePolicy(deny=frozenset({"yunet"}))
    with pytest.raises(LicenseError):
        load_detector("mtcnn", policy=policy)
    load_detector("mtcnn", policy=policy, turning=False)


# --- which looks there are ------------------------------------------------------------------------


class Says:
    """Sees what it is given, whatever it looks at, and counts."""

    def __init__(self, *faces: Face, upright: float = 1.0, weak: list[Face] | None = None) -> None:
        self.faces, self.upright, self.weak, self.looks = list(faces), upright, weak, 0

    def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
        return self.see(image, options).faces

    def see(self, image: Image, options: DetectOptions, /) -> Seen:
        self.looks += 1
        certainty = np.full(len(self.faces), self.upright, np.float32)
        return Seen(list(self.faces), certainty, self.weak)


@pytest.fixture
def yunet() -> Any:
    return load_model(models.get("yunet"))


PLAIN = np.full((200, 300, 3), 90, np.uint8)


def test_a_certain_face_needs_one_look() -> None:
    def never(batch: Any, /) -> Any:
        raise AssertionError("a crop was looked at")

    detector = Says(make_face((20, 20, 80, 90), t.CERTAIN_SCORE), weak=[])
    faces = Turning(detector, lambda: never).detect(PLAIN, OPTIONS)
    assert [face.score for face in faces] == [t.CERTAIN_SCORE]
    assert detector.looks == 1


@pytest.mark.parametrize(
    ("score", "upright", "looked"),
    [(0.95, 0.9, False), (0.95, 0.5, True), (0.8, 0.9, True), (0.8, 0.1, True)],
)
def test_what_is_unsure_is_looked_at_again(
    yunet: Any, score: float, upright: float, looked: bool
) -> None:
    counted = []

    def model(batch: Any, /) -> Any:
        counted.append(len(batch))
        return yunet(batch)

    detector = Says(make_face((20, 20, 80, 90), score), upright=upright, weak=[])
    Turning(detector, lambda: model).detect(PLAIN, OPTIONS)
    assert bool(counted) == looked


def test_a_weak_candidate_of_plain_ground_is_no_face(yunet: Any) -> None:
    detector = Says(weak=[make_face((20, 20, 80, 90), 0.3), make_face((120, 20, 180, 90), 0.2)])
    assert Turning(detector, lambda: yunet).detect(PLAIN, OPTIONS) == []
    assert detector.looks == 1  # the crops had the say


@pytest.mark.parametrize(("asked", "kept"), [(None, []), (0.5, []), (0.2, [0.35])])
def test_a_face_for_which_nothing_speaks_is_doubted(
    yunet: Any, asked: float | None, kept: list[float]
) -> None:
    detector = Says(make_face((20, 20, 80, 90), 0.7), upright=0.2, weak=[])
    faces = Turning(detector, lambda: yunet).detect(PLAIN, DetectOptions(min_score=asked))
    assert [face.score for face in faces] == pytest.approx(kept)


@pytest.mark.parametrize("beside", [False, True])
def test_small_ones_are_not_doubted_beside_others(yunet: Any, beside: bool) -> None:
    certain = [make_face((20, 20, 80, 90), 0.95)] if beside else []
    small, large = make_face((200, 20, 230, 60), 0.7), make_face((120, 110, 160, 170), 0.6)
    assert max(small.size_wh) < t.DOUBTED_PX < max(large.size_wh)
    detector = Says(*certain, small, large, upright=0.9, weak=[])
    faces = Turning(detector, lambda: yunet).detect(PLAIN, OPTIONS)
    assert [face.score for face in faces] == ([0.95, 0.7] if beside else [])


def test_small_ones_beside_a_certain_face_stay_as_they_were_found(yunet: Any) -> None:
    large, small = make_face((20, 20, 120, 140), 0.95), make_face((200, 20, 230, 60), 0.7)
    detector = Says(large, small, upright=0.9, weak=[make_face((200, 100, 230, 140), 0.3)])
    faces = Turning(detector, lambda: yunet).detect(PLAIN, OPTIONS)
    assert [face.score for face in faces] == [0.95, 0.7]
    assert detector.looks == 1


def test_a_detector_that_cannot_say_looks_at_the_turned_photo(yunet: Any) -> None:
    detector = Says()
    assert Turning(detector, lambda: yunet).detect(PLAIN, OPTIONS) == []
    assert detector.looks == 4


def test_most_faces_counts_what_is_returned(astronaut: Image) -> None:
    both = np.concatenate([astronaut[:256], astronaut[:256]], axis=1)
    assert len(load_detector().detect(both, DetectOptions(max_faces=1))) == 1


# --- the scores over the angle --------------------------------------------------------------------


@pytest.mark.parametrize("angle", [0, 15, 90, 105, 195, 345])
@pytest.mark.parametrize("how", [t.FINE, t.ROUGH])
def test_the_scores_have_their_peak_where_the_face_is_upright(
    astronaut: Image, yunet: Any, angle: int, how: tuple[int, float]
) -> None:
    (face,) = load_detector(turning=False).detect(astronaut, OPTIONS)
    picture, matrix = turned(astronaut, angle)
    center = matrix[:, :2] @ np.array(face.center_xy) + matrix[:, 2]
    scores = Turns(yunet).scores(picture, center, max(face.size_wh), how=how)
    assert scores.shape == (4, 6)
    best = t.TURNS[smoothed(scores.ravel()).argmax()]
    assert abs(wrapped_deg(float(best) - angle)) <= 15
    quarters = Turns(yunet).scores(picture, center, max(face.size_wh), t.QUARTERS, how)
    np.testing.assert_allclose(quarters[:, 0], scores[:, 0], atol=1e-5)


def test_the_mean_of_neighbors_goes_round() -> None:
    scores = np.zeros(24, np.float32)
    scores[0] = 1
    smooth = smoothed(scores)
    assert smooth[[23, 0, 1]].tolist() == [0.25, 0.5, 0.25]
    assert smooth[2:23].max() == 0


def test_any_detector_can_be_asked_what_it_sees() -> None:
    class Plain:
        def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
            return [make_face(score=0.7)]

    detector: Detector = Plain()
    seen = see(detector, PLAIN, OPTIONS)
    assert [face.score for face in seen.faces] == [0.7]
    assert seen.upright.tolist() == [1.0]
    assert seen.weak is None

"""Ages: the network against a second reading of its package, the same face seen in several ways."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from astronaut_face import BOX, FIVE

from lineament import Recognizer, models
from lineament.align.alignment import align_faces
from lineament.attributes import AgeEstimator, age, crop_ages, estimate_ages, load_age_estimator
from lineament.decide.judge import YOUTH_YEARS
from lineament.demo import demo_photos
from lineament.errors import LicenseError, OptionError
from lineament.finder import FaceFinder
from lineament.models import LicensePolicy
from lineament.models.runtime import Runtime, load_model
from lineament.types import Decision, Face, FloatArray, Image, Photo

GOLDEN = Path(__file__).parents[1] / "golden" / "age_gender.npz"  # scripts.build.faceapi --golden
FACE = Face(BOX, 0.99, FIVE)


@pytest.fixture(scope="module")
def estimator() -> AgeEstimator:
    return load_age_estimator()


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_network_computes_what_the_package_computes(engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    golden = np.load(GOLDEN)
    image = golden["coarse"].repeat(8, axis=2).repeat(8, axis=3).astype(np.float32)
    run = load_model(models.get("age-gender"), runtime=Runtime(engine=engine))
    for batch in (slice(None), slice(2, 3)):
        years, male = run(image[batch])
        np.testing.assert_allclose(years, golden["age"][batch], atol=1e-3)
        np.testing.assert_allclose(male, golden["male"][batch], atol=1e-4)


def test_the_aligned_crop_shows_what_the_photo_shows(
    estimator: AgeEstimator, astronaut: Image
) -> None:
    seen = estimator.read(astronaut, [FACE, FACE])
    assert seen.years.shape == seen.male.shape == (2,)
    assert seen.years[0] == pytest.approx(seen.years[1], abs=0.01)
    assert 20 < seen.years[0] < 50
    assert seen.male[0] < 0.1
    for alignment in ("arcface-112", "arcface-224", "arcface-96x112", "dlib-150"):
        crops = align_faces(astronaut, [FACE], alignment)
        assert estimator.read_crops(crops, alignment).years[0] == pytest.approx(
            seen.years[0], abs=6
        )


def test_a_turned_photo_changes_nothing(estimator: AgeEstimator, astronaut: Image) -> None:
    height, width = astronaut.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 40, 1.0)
    turned = np.asarray(cv2.warpAffine(astronaut, matrix, (width, height)), np.uint8)
    five = FIVE @ matrix[:, :2].T + matrix[:, 2]
    found = estimator.read(turned, [Face(BOX, 0.9, five.astype(np.float32))])
    assert found.years[0] == pytest.approx(estimator.read(astronaut, [FACE]).years[0], abs=4)


def test_a_face_without_landmarks_is_seen_by_its_box(
    estimator: AgeEstimator, astronaut: Image
) -> None:
    alone = estimator.read(astronaut, [Face(BOX, 0.9)]).years[0]
    assert alone == pytest.approx(estimator.read(astronaut, [FACE]).years[0], abs=12)


def test_the_demo_photos_show_no_children(estimator: AgeEstimator) -> None:
    finder = FaceFinder()
    for path in demo_photos().values():
        photo = finder.find(path)
        assert (estimate_ages(photo) > YOUTH_YEARS).all(), path


def test_no_faces() -> None:
    def never(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        raise AssertionError("no faces, and the network runs")

    estimator = AgeEstimator(never)
    assert len(estimator.read(np.zeros((20, 20, 3), np.uint8), [])) == 0
    assert len(estimator.read_crops(np.zeros((0, 112, 112, 3), np.uint8))) == 0


def test_years_are_not_negative() -> None:
    def below(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        return np.full(len(batch), -1.5, np.float32), np.full(len(batch), 0.5, np.float32)

    found = AgeEstimator(below).read_crops(np.zeros((70, 112, 112, 3), np.uint8))
    assert found.years.tolist() == [0.0] * 70  # more than one batch


def test_what_cannot_be_seen_is_refused(estimator: AgeEstimator, astronaut: Image) -> None:
    crop = np.zeros((1, 112, 112, 3), np.uint8)
    with pytest.raises(OptionError, match="crops by a template"):
        estimator.read_crops(crop, "eyes-112")
    with pytest.raises(OptionError, match="name such as arcface-112"):
        estimator.read_crops(crop, "mine")
    for wrong in (crop[0], crop.astype(np.float32), crop[..., :1]):
        with pytest.raises(OptionError, match="crops: expected uint8 of shape"):
            estimator.read_crops(wrong)
    with pytest.raises(OptionError, match="faces: expected the faces"):
        estimate_ages(astronaut)
    with pytest.raises(OptionError, match="with its pixels"):
        estimate_ages(Photo("a.jpg", (10, 10), (FACE,)))
    with pytest.raises(LicenseError):
        load_age_estimator(policy=LicensePolicy.parse("spdx:Apache-2.0"))


# --- where decisions ask for it -------------------------------------------------------------------


@pytest.fixture
def everybody_is_three(monkeypatch: pytest.MonkeyPatch) -> list[Image]:
    """The crops that are looked at; each face looks 3 years old."""
    seen: list[Image] = []

    def years(crops: Image, **_: object) -> FloatArray:
        seen.extend(crops)
        return np.full(len(crops), 3, np.float32)

    monkeypatch.setattr(age, "_years_of_crops", years)
    return seen


def test_verify_shows_both_crops(astronaut: Image, everybody_is_three: list[Image]) -> None:
    recognizer = Recognizer()
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    decision = recognizer.verify(astronaut, mirrored)
    assert decision.same
    assert decision.verdict == "undecided"
    assert "those of children (about 3 and 3 years)" in decision.reasons[0]
    assert len(everybody_is_three) == 2
    for crop, seen in zip((decision.crop_a, decision.crop_b), everybody_is_three, strict=True):
        assert np.array_equal(crop, seen)
    (listed,) = recognizer.verify([astronaut], [mirrored])
    assert isinstance(listed, Decision)
    assert listed.reasons == decision.reasons


def test_adults_are_the_same_person_still(astronaut: Image) -> None:
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    assert Recognizer().verify(astronaut, mirrored).verdict == "same"


def test_without_a_template_or_leave_nobody_is_asked() -> None:
    assert crop_ages("eyes-112") is None
    assert crop_ages("arcface-112", policy=LicensePolicy.parse("spdx:Apache-2.0")) is None
    found = crop_ages("arcface-112")
    assert found is not None
    assert found(np.zeros((2, 112, 112, 3), np.uint8)).shape == (2,)

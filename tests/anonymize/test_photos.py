"""Photos: nobody is recognized afterwards, whatever filter is tried; some may be left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lineament import Gallery, Recognizer, load_image
from lineament.anonymize import anonymize
from lineament.anonymize.covering import METHODS
from lineament.anonymize.finding import LEAST_SCORE, Thorough, mirrored, thorough_finder
from lineament.anonymize.photos import render
from lineament.anonymize.plan import PlannedFace
from lineament.anonymize.regions import SHAPES
from lineament.demo import demo_photos
from lineament.errors import ImageNotFoundError, OptionError, UnknownPersonError
from lineament.finder import FaceFinder
from lineament.types import Face, Image, Photo

DEMO = demo_photos()


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return thorough_finder()


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer("balanced")


@pytest.fixture(scope="module")
def obama() -> Image:
    """A smaller one, so that the test is quick."""
    image = load_image(DEMO["obama"])
    return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def gallery(recognizer: Recognizer) -> Gallery:
    made = Gallery.in_memory(recognizer=recognizer)
    for name, photo in (("Obama", "obama2"), ("Biden", "biden"), ("Collins", "astronaut")):
        made.enroll(name, DEMO[photo])
    return made


def sharpened(image: Image) -> Image:
    soft = cv2.GaussianBlur(image, (0, 0), 6).astype(float)
    return np.clip(image + 2.0 * (image - soft), 0, 255).astype(np.uint8)


def deconvolved(image: Image) -> Image:
    """Wiener's filter for the blur of a cell."""
    size = 24
    kernel = np.zeros(image.shape[:2])
    kernel[:size, :size] = 1 / size**2
    blur = np.fft.fft2(np.roll(kernel, (-size // 2, -size // 2), (0, 1)))
    inverse = np.conj(blur) / (np.abs(blur) ** 2 + 0.01)
    planes = [np.fft.ifft2(np.fft.fft2(image[:, :, c]) * inverse).real for c in range(3)]
    return np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)


def again(how: int) -> Callable[[Image], Image]:
    """Down to the cells, and up again by a filter: what undoes a mosaic's edges."""

    def filtered(image: Image) -> Image:
        size = image.shape[1], image.shape[0]
        small = cv2.resize(image, None, fx=1 / 24, fy=1 / 24, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, size, interpolation=how))

    return filtered


FILTERS: dict[str, Callable[[Image], Image]] = {
    "none": lambda image: image,
    "bicubic": again(cv2.INTER_CUBIC),
    "lanczos": again(cv2.INTER_LANCZOS4),
    "sharpened": sharpened,
    "deconvolved": deconvolved,
}


@pytest.mark.parametrize("method", METHODS)
def test_nobody_is_recognized_afterwards(
    obama: Image, method: str, finder: FaceFinder, recognizer: Recognizer, gallery: Gallery
) -> None:
    # The hardest case for us: the very same photo, and somebody who knows where the face was.
    (face,) = recognizer.detect(obama).faces
    out = anonymize(obama, method=method, finder=finder).pixels  # type: ignore[arg-type]
    photos = [
        Photo(name, (out.shape[1], out.shape[0]), (face,), 0, filtered(out), detector="known")
        for name, filtered in FILTERS.items()
    ]
    same = recognizer.verify(obama, Photo("a", None, (face,), 0, obama, detector="known"))
    assert same.verdict == "same"
    for decision in recognizer.verify([obama] * len(photos), photos):
        assert decision.verdict != "same", decision
        assert decision.similarity < 0.3, decision
    for photo in gallery.identify(photos):
        for candidate in photo[0].candidates:  # no more probable than before anybody looked
            assert candidate.probability is not None
            assert candidate.probability < 0.2
    assert recognizer.detect(out).faces == ()


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(obama: Image, shape: str, finder: FaceFinder, recognizer: Recognizer) -> None:
    found = anonymize(obama, method="solid", shape=shape, finder=finder)  # type: ignore[arg-type]
    assert found.n_hidden == len(found.faces) >= 1
    assert recognizer.detect(found.pixels).faces == ()
    changed = (found.pixels != obama).any(axis=2).mean()
    assert 0.02 < changed < 0.4


@pytest.mark.slow
def test_low_scores_turned_and_small_faces_are_covered(obama: Image, finder: FaceFinder) -> None:
    assert finder.options.min_score == LEAST_SCORE
    width, height = obama.shape[1], obama.shape[0]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 140, 0.9)
    small = cv2.resize(obama, None, fx=0.14, fy=0.14, interpolation=cv2.INTER_AREA)
    page = np.full((200, 260, 3), 120, np.uint8)
    page[60 : 60 + small.shape[0], 90 : 90 + small.shape[1]] = small
    half = obama.copy()
    (face,) = FaceFinder().find(obama).faces
    left, top, right, bottom = face.box_xyxy.astype(int)
    half[top:bottom, left : (left + right) // 2] = (90, 70, 60)
    for picture in (cv2.warpAffine(obama, turn, (width, height)), page, half):
        assert anonymize(picture, finder=finder).n_hidden >= 1


def test_mirrored_twice_is_the_same() -> None:
    points = np.array([[30, 40], [60, 42], [44, 55], [33, 70], [58, 71]], np.float32)
    face = Face(np.array([20, 25, 70, 85]), 0.5, points, turned_deg=30)
    once = mirrored(face, 200)
    assert once.turned_deg == 330
    assert once.landmarks_xy is not None
    assert once.landmarks_xy[0, 0] < once.landmarks_xy[1, 0]
    assert once.box_xyxy.tolist() == [129, 25, 179, 85]
    twice = mirrored(once, 200)
    assert np.array_equal(twice.box_xyxy, face.box_xyxy)
    assert np.array_equal(twice.landmarks_xy, points)


def test_two_looks_find_what_one_of_them_sees() -> None:
    class OneSided:
        """Sees faces in the left half only."""

        def detect(self, image: Image, _: object) -> list[Face]:
            xs = np.flatnonzero(image[:, : image.shape[1] // 2].any(axis=(0, 2)))
            return [Face(np.array([xs[0], 0, xs[-1] + 1, 9]), 0.7)] if len(xs) else []

    image = np.zeros((10, 100, 3), np.uint8)
    image[:, 80:90] = 255
    (face,) = Thorough(OneSided()).detect(image, finder_options())
    assert face.box_xyxy.tolist() == [79, 0, 89, 9]


def finder_options() -> object:
    from lineament.detect import DetectOptions

    return DetectOptions()


def test_whom_to_cover(gallery: Gallery, finder: FaceFinder) -> None:
    pair = np.concatenate(
        [cv2.resize(load_image(DEMO[name]), (360, 460)) for name in ("obama", "biden")], axis=1
    )

    def hidden(**who: object) -> set[str | None]:
        found = anonymize(pair, gallery=gallery, finder=finder, **who)  # type: ignore[arg-type]
        strong = [face for face in found.faces if face.score is not None and face.score > 0.8]
        assert len(strong) == 2
        return {face.name for face in strong if face.hide}

    assert hidden() == set()  # both are enrolled
    assert hidden(keep="Obama") == {"Biden"}
    assert hidden(keep=["Collins"]) == {"Obama", "Biden"}
    assert hidden(only=["Biden"]) == {"Biden"}
    assert hidden(only="Collins") == set()


def test_strangers_are_covered_where_the_enrolled_are_left_out(
    gallery: Gallery, finder: FaceFinder
) -> None:
    found = anonymize(DEMO["group"], gallery=gallery, finder=finder)
    shown = [face.name for face in found.faces if not face.hide]
    assert {"Collins", "Obama", "Biden"} >= set(shown) - {None}
    assert all(face.reason for face in found.faces)
    without = anonymize(DEMO["group"], gallery=gallery, keep="Collins", finder=finder)
    assert without.n_hidden > found.n_hidden


def test_wrong_arguments(gallery: Gallery, obama: Image, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="expected a gallery that knows these names, got none"):
        anonymize(obama, keep="Obama")
    with pytest.raises(OptionError, match="expected keep or only, got both"):
        anonymize(obama, keep="Obama", only="Biden", gallery=gallery)
    with pytest.raises(UnknownPersonError):
        anonymize(obama, only="Nobody", gallery=gallery)
    with pytest.raises(OptionError, match="method"):
        anonymize(obama, method="mosaic")  # type: ignore[arg-type]
    with pytest.raises(ImageNotFoundError):
        anonymize(tmp_path / "none.jpg")


def test_a_photo_without_faces_comes_back_as_it_is(finder: FaceFinder) -> None:
    gray = np.full((120, 160, 3), 90, np.uint8)
    found = anonymize(gray, finder=finder)
    assert found.n_hidden == 0
    assert np.array_equal(found.pixels, gray)
    assert found.to_dict()["n_faces"] == 0


def test_each_face_may_have_its_own_method(obama: Image, finder: FaceFinder) -> None:
    boxes = [(50.0, 50.0, 90.0, 90.0), (200.0, 50.0, 240.0, 90.0)]
    faces = [
        PlannedFace(box_xyxy=boxes[0], method="solid", shape="box"),
        PlannedFace(box_xyxy=boxes[1], hide=False),
    ]
    out = render(obama, faces, "blur", "ellipse", finder)
    assert len(np.unique(out[45:95, 45:95].reshape(-1, 3), axis=0)) == 1
    assert np.array_equal(out[50:90, 200:240], obama[50:90, 200:240])

"""Finding faces: what a ``Photo`` keeps, what is made of it, and that nothing is done twice."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_threads import note_threads, threads_left
from PIL import Image as PILImage

import lineament.finder
from builders import FakeDetector, make_contract, make_embedding, make_face
from lineament import FaceFinder, Photo, Recognizer
from lineament.align.alignment import Alignment, align_faces, face_transforms
from lineament.align.frontal import frontalize
from lineament.align.landmarks68 import cut_out
from lineament.detect import DetectOptions
from lineament.errors import (
    ImageNotFoundError,
    LicenseError,
    NoFaceError,
    OptionError,
)
from lineament.geometry import to_crop_xy
from lineament.models.runtime import Runtime
from lineament.quality import measure, quality_of
from lineament.types import Face, Image

LIGHT = "mobilefacenet"


@pytest.fixture(autouse=True)
def _only_own_threads() -> None:
    note_threads()


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def photo(finder: FaceFinder, astronaut_path: Path) -> Photo:
    return finder.find(astronaut_path)


def policy(text: str) -> Any:
    from lineament.models import LicensePolicy

    return LicensePolicy.parse(text)


def pictures(n: int, side: int = 100) -> list[Image]:
    return [np.full((side, side, 3), i, np.uint8) for i in range(n)]


# --- Photo ----------------------------------------------------------------------------------------


def test_what_a_photo_keeps(photo: Photo, astronaut_path: Path, astronaut: Image) -> None:
    assert photo.source == str(astronaut_path)
    assert photo.pixels is not None
    np.testing.assert_array_equal(photo.pixels, astronaut)
    assert photo.size_wh == (512, 512)
    assert photo.index == photo.require() == 0
    assert photo.face is photo.faces[0]
    assert (photo.embedding, photo.crop, photo.problem, photo.sha256) == (None, None, None, None)
    assert (photo.time_s, photo.frame) == (None, None)
    assert photo.detector == "yunet+onet"
    assert list(photo.to_dict()) == ["source", "size_wh", "faces", "error"]


def test_pixels_are_kept_of_one_photo_and_not_of_a_list(astronaut_path: Path) -> None:
    finder = FaceFinder(FakeDetector(make_face()))
    assert finder.find(astronaut_path, keep_pixels=False).pixels is None
    assert [one.pixels for one in finder.find([astronaut_path] * 3)] == [None] * 3
    kept = finder.find([astronaut_path] * 3, keep_pixels=True)
    assert all(one.pixels is not None for one in kept)
    assert all(one.pixels is None for one in finder.stream([astronaut_path] * 3))


def test_a_digest_is_that_of_the_file(astronaut_path: Path, astronaut: Image) -> None:
    finder = FaceFinder(FakeDetector())
    expected = hashlib.sha256(astronaut_path.read_bytes()).digest()
    found = finder.find(astronaut_path, digest=True)
    assert found.sha256 == finder.find(astronaut_path.read_bytes(), digest=True).sha256 == expected
    assert found.pixels is not None
    np.testing.assert_array_equal(found.pixels, astronaut)
    of_array = finder.find(astronaut, digest=True).sha256
    assert of_array == finder.find(astronaut.copy(), digest=True).sha256
    assert of_array != finder.find(astronaut[:-1], digest=True).sha256
    with pytest.raises(ImageNotFoundError, match=r"nothing\.jpg"):
        finder.find("nothing.jpg", digest=True)


def test_no_face_is_said_once_for_all(finder: FaceFinder, tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    PILImage.new("RGB", (80, 60), (90, 90, 90)).save(path)
    found = finder.find(path)
    assert found.faces == ()
    assert found.error is None
    with pytest.raises(NoFaceError, match=r"wall\.png: no face was found with the detector yunet"):
        found.require()
    (missing,) = finder.find([tmp_path / "missing.png"])
    assert missing.problem is missing.error
    with pytest.raises(ImageNotFoundError):
        missing.require()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"index": 1}, "numbers of 1 faces"),
        ({"selected": (0, 1)}, "numbers of 1 faces"),
        ({"embeddings": (make_embedding([1, 0, 0, 0]),)}, "expected 0 embeddings, crops"),
        ({"selected": (0,), "crops": np.zeros((2, 8, 8, 3), np.uint8)}, "expected 1 embeddings"),
    ],
)
def test_a_photo_that_contradicts_itself_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Photo("p", (100, 100), (make_face(),), **values)


def test_a_frame_is_searched_and_keeps_its_time() -> None:
    detector = FakeDetector(make_face())
    frame = Photo.from_pixels(pictures(1)[0], "camera", time_s=1.5, frame=45)
    found = FaceFinder(detector).find(frame)
    assert (found.source, found.time_s, found.frame, found.index) == ("camera", 1.5, 45, 0)
    assert found.to_dict()["time_s"] == 1.5
    assert len(detector.seen) == 1
    assert FaceFinder(detector).find(found) is found  # not again
    assert len(detector.seen) == 1
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(OptionError, match="expected RGB pixels"):
            Photo.from_pixels(wrong, "x")  # type: ignore[arg-type]


# --- options --------------------------------------------------------------------------------------


def test_a_finder_pays_for_no_recognizer(astronaut_path: Path) -> None:
    FaceFinder(
        policy=policy("any;deny:sface-mobilefacenet-int8")
    )  # the default recognizer's weights
    with pytest.raises(LicenseError, match="yunet"):
        FaceFinder(policy=policy("any;deny:yunet"))
    code = (
        f"import sys, lineament; print(lineament.FaceFinder().find({str(astronaut_path)!r}).index, "
        "[m for m in sys.modules if m.startswith(('lineament.pipeline', 'lineament.embed', "
        "'lineament.decide'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"


def test_largest_or_central() -> None:
    faces = (make_face((48, 40, 58, 52)), make_face((0, 0, 40, 50)))
    for choose, index in (("largest", 1), ("central", 0)):
        found = FaceFinder(FakeDetector(*faces), choose=choose).find(pictures(1)[0])  # type: ignore[arg-type]
        assert found.index == index
        assert found.face is faces[index]
    with pytest.raises(OptionError, match='choose: expected "largest", "central" or "only"'):
        FaceFinder(choose="best")  # type: ignore[arg-type]


# --- crops and landmarks --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alignment", "method", "size_px", "template"),
    [
        ("arcface-112", "five-points", 112, "arcface"),
        ("arcface-160", "five-points", 160, "arcface"),
        ("dlib-150", "five-points", 150, "dlib"),
        ("eyes-96", "eyes", 96, "arcface"),
        ("crop-224", "crop", 224, "arcface"),
    ],
)
def test_crops_of_any_alignment(
    finder: FaceFinder, photo: Photo, alignment: str, method: Any, size_px: int, template: Any
) -> None:
    crops = finder.crops(photo, alignment=alignment)
    assert photo.pixels is not None
    value = Alignment(method, (size_px, size_px), template)
    expected = align_faces(photo.pixels, photo.faces, value)
    np.testing.assert_array_equal(crops, expected)
    assert finder.crops(photo, [], alignment=alignment).shape == (0, size_px, size_px, 3)
    points = finder.landmarks(photo)
    transforms = face_transforms(photo.faces, value)
    hull = finder.crops(photo, [0], alignment=alignment, cut_out=True)
    np.testing.assert_array_equal(hull[0], cut_out(crops[0], to_crop_xy(points, transforms)[0]))


def test_frontal_crops_and_68_points(finder: FaceFinder, photo: Photo) -> None:
    assert photo.pixels is not None
    points = finder.landmarker.locate(photo.pixels, photo.faces)
    np.testing.assert_array_equal(finder.landmarks(photo), points)
    (crop,) = finder.crops(photo, alignment="frontal-152")
    np.testing.assert_array_equal(crop, frontalize(photo.pixels, points[0], size_px=152))
    with pytest.raises(OptionError, match="cut_out"):
        finder.crops(photo, alignment="frontal-152", cut_out=True)


def test_crops_that_cannot_be_made(finder: FaceFinder, photo: Photo) -> None:
    with pytest.raises(OptionError, match="alignment"):
        finder.crops(photo, alignment="round-112")
    with pytest.raises(OptionError, match="faces: expected numbers from 0 to 0"):
        finder.crops(photo, [1])
    bare = finder.find(photo, keep_pixels=False)
    with pytest.raises(OptionError, match="keep_pixels=True"):
        finder.crops(bare)
    (missing,) = finder.find(["nothing.jpg"])
    with pytest.raises(ImageNotFoundError):
        finder.landmarks(missing)


def test_the_landmarks_license_is_the_finders_policy(astronaut_path: Path) -> None:
    strict = FaceFinder(policy=policy("any;deny:landmarks68"))
    found = strict.find(astronaut_path)
    assert strict.crops(found).shape == (1, 112, 112, 3)
    for make in (strict.landmarks, lambda photo: strict.crops(photo, cut_out=True)):
        with pytest.raises(LicenseError, match="landmarks68"):
            make(found)


# --- streams --------------------------------------------------------------------------------------


def test_then_is_called_with_the_pixels_and_they_go_afterwards() -> None:
    threads = set()

    def then(photo: Photo) -> Photo:
        threads.add(threading.current_thread().name.partition("_")[0])
        assert photo.pixels is not None
        if photo.pixels[0, 0, 0] == 3:
            raise OptionError("three")
        return Photo(
            f"seen {photo.pixels[0, 0, 0]}", photo.size_wh, photo.faces, pixels=photo.pixels
        )

    finder = FaceFinder(FakeDetector())
    found = list(finder.stream(iter(pictures(5)), then=then))
    assert [one.source for one in found if one.error is None] == [f"seen {i}" for i in (0, 1, 2, 4)]
    assert str(found[3].error) == "three"
    assert all(one.pixels is None for one in found)
    assert threads == {"lineament"}
    kept = list(finder.stream(iter(pictures(3)), then=then, keep_pixels=True))
    assert all(one.pixels is not None for one in kept)


def test_pixels_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However slow the consumer: the bound, what threads work on, and the one that it holds."""
    monkeypatch.setattr(lineament.finder, "MOST_KEPT_BYTES", 4 * 100 * 100 * 3)
    for i, image in enumerate(pictures(8)):
        PILImage.fromarray(image).save(tmp_path / f"{i}.png")
    alive: list[weakref.ref[Image]] = []
    lock = threading.Lock()
    most = 0

    class Counting(FakeDetector):
        def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
            nonlocal most
            with lock:
                alive.append(weakref.ref(image))
                most = max(most, sum(ref() is not None for ref in alive))
            return []

    def paths() -> Iterator[Path]:
        for i in range(60):
            yield tmp_path / f"{i % 8}.png"

    finder = FaceFinder(Counting(), runtime=Runtime(threads=2))
    stream = finder.stream(paths(), keep_pixels=True)
    values = []
    for found in stream:
        assert found.pixels is not None
        values.append(int(found.pixels[0, 0, 0]))
        threading.Event().wait(0.01)
    assert values == [i % 8 for i in range(60)]
    gc.collect()
    assert 4 <= most <= 4 + 2 + 2


def test_a_stream_that_keeps_pixels_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineament.finder, "MOST_KEPT_BYTES", 1)  # so that threads wait
    finder = FaceFinder(FakeDetector(), runtime=Runtime(threads=3))
    stream = finder.stream(iter(pictures(50)), keep_pixels=True)
    next(stream)
    stream.close()
    assert not threads_left()


# --- a recognizer on photos that were found -------------------------------------------------------


def test_some_faces_of_a_photo() -> None:
    faces = [make_face((i * 20, 10, i * 20 + 18, 32)) for i in range(4)]
    detector = FakeDetector(*faces)
    one = Recognizer(LIGHT, detector=detector)
    image = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
    photo = one.detect(image)
    every = one.analyze(photo, keep_crops=True)
    some = one.embed(photo, faces=[3, 1])
    assert len(detector.seen) == 1
    for embedding, i in zip(some, (3, 1), strict=True):
        np.testing.assert_array_equal(embedding.vector, every.embeddings[i].vector)
    again = one.analyze(photo, faces=[2], keep_crops=True)
    assert again.selected == (2,)
    assert again.crops is not None
    assert every.crops is not None
    np.testing.assert_array_equal(again.crops[0], every.crops[2])
    assert again.embedding is None  # it is not of that face
    assert one.embed(photo, faces=[]) == ()
    with pytest.raises(OptionError, match="faces: expected numbers from 0 to 3"):
        one.embed(photo, faces=[4])
    with pytest.raises(OptionError, match="faces: expected one photo"):
        one.embed([photo], faces=[0])  # type: ignore[call-overload]


def test_nothing_is_done_twice_for_photos(
    astronaut_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Recognizer(LIGHT)
    (a,) = one.stream_chosen([astronaut_path])
    b = one.analyze(astronaut_path, keep_crops=True)
    expected = one.verify(astronaut_path, astronaut_path).to_dict()

    def fail(*_: object, **__: object) -> Any:
        raise AssertionError("done again")

    monkeypatch.setattr(lineament.finder, "open_image", fail)
    monkeypatch.setattr(type(one.finder.detector), "detect", fail)
    monkeypatch.setattr(type(one.embedder), "embed", fail)
    assert one.verify(a, b).to_dict() == expected
    assert one.verify([a], [b])[0].to_dict() == expected  # type: ignore[union-attr]
    assert one.embed(a) is a.embedding
    assert one.detect(b) is b


def test_another_recognizers_embeddings_are_made_anew(astronaut_path: Path) -> None:
    light = Recognizer(LIGHT)
    other = Recognizer("dlib-resnet", finder=light.finder)
    photo = light.analyze(astronaut_path, keep_crops=True)
    assert other.embed(photo).contract.weights == "dlib-resnet"
    np.testing.assert_array_equal(other.embed(photo).vector, other.embed(astronaut_path).vector)
    bare = light.analyze([astronaut_path], keep_crops=True)[0]
    assert light.embed(bare) is bare.embedding
    with pytest.raises(OptionError, match="keep_pixels=True"):
        other.embed(bare)


def test_a_finder_is_shared() -> None:
    finder = FaceFinder(FakeDetector(make_face()), policy=policy("any"), runtime=Runtime(threads=1))
    one = Recognizer(LIGHT, finder=finder)
    assert one.finder is finder
    assert one.policy is finder.policy
    assert one.runtime is finder.runtime


# --- quality --------------------------------------------------------------------------------------


def test_quality_is_measured_where_its_limits_were_fitted() -> None:
    face, crop = make_face(), np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    arcface = make_embedding([1, 0, 0, 0], norm=3.0)
    assert quality_of(face, crop, arcface, None) == measure(face, crop, 3.0)
    assert quality_of(face, crop, arcface, (90, 80)) == measure(face, crop, 3.0, (90, 80))
    assert quality_of(face, None, arcface, (90, 80)) is None
    for alignment in ("dlib-150", "eyes-112", "crop-112"):
        other = make_embedding([1, 0, 0, 0], alignment=alignment)
        assert make_contract(alignment=alignment) == other.contract
        assert quality_of(face, crop, other, (90, 80)) is None

"""The pipeline as its users call it: one photo, lists, endless streams, failures."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_threads import note_threads, threads_left
from PIL import Image as PILImage

import lineament
import lineament.pipeline
from builders import FakeDetector, make_face, tiny_recognizer
from lineament import models
from lineament.align.alignment import align_faces
from lineament.decide.thresholds import own_threshold
from lineament.detect import DetectOptions
from lineament.embed import BATCH
from lineament.errors import (
    ImageFormatError,
    ImageNotFoundError,
    LicenseError,
    NoFaceError,
    OptionError,
)
from lineament.images import ImageLimits
from lineament.models import LicensePolicy
from lineament.models.cards import StatedThreshold as FittedThreshold
from lineament.models.runtime import Runtime
from lineament.pipeline import Recognizer
from lineament.types import Embedding, Face, Image, Photo

LIGHT = "mobilefacenet"
HALF = own_threshold(0.5, "cosine")


@pytest.fixture(autouse=True)
def _only_own_threads() -> None:
    note_threads()


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(LIGHT)


@pytest.fixture(scope="module")
def blank() -> Image:
    return np.full((120, 160, 3), 90, np.uint8)


def fake(*faces: Face, **options: Any) -> tuple[Recognizer, FakeDetector]:
    detector = FakeDetector(*faces)
    return Recognizer(LIGHT, detector=detector, **options), detector


def pictures(n: int) -> list[Image]:
    """Photos of 100 by 90 pixels that all differ."""
    rng = np.random.default_rng(0)
    return [
        np.repeat(rng.integers(0, 256, (9, 10, 3), np.uint8), 10, 0).repeat(10, 1) for _ in range(n)
    ]


def no_threads_left() -> bool:
    return not threads_left()


# --- the real thing -------------------------------------------------------------------------------


def test_one_person_twice_and_a_mirror(recognizer: Recognizer, astronaut_path: Path) -> None:
    mirrored = np.asarray(PILImage.open(astronaut_path).convert("RGB"))[:, ::-1]
    decision = recognizer.verify(astronaut_path, mirrored, threshold=HALF)
    assert decision.same
    assert 0.8 < decision.similarity < 1
    assert decision.source_a.endswith("astronaut.jpg")
    assert (decision.others_a, decision.others_b) == (0, 0)
    assert decision.face_a is not None
    np.testing.assert_allclose(decision.face_a.center_xy, (223, 119), atol=4)
    assert recognizer.verify(astronaut_path, astronaut_path, threshold=HALF).score > 0.9999


def test_the_default_recognizer(astronaut: Image) -> None:
    one = Recognizer()
    embedding = one.embed(astronaut)
    assert embedding.contract.weights == "sface-mobilefacenet-int8"
    assert embedding.contract.alignment == "arcface-112"
    assert one.finder.detector_name == "yunet+onet"
    assert one.verify(astronaut, np.ascontiguousarray(astronaut[:-3, 3:]), threshold=HALF).same


def test_stages_by_hand_give_the_same(recognizer: Recognizer, astronaut: Image) -> None:
    (photo,) = recognizer.analyze([astronaut], keep_crops=True)
    faces = recognizer.finder.detector.detect(astronaut, recognizer.finder.options)
    crops = align_faces(astronaut, faces)
    vectors, norms = recognizer.embedder.embed(crops)
    assert [face.to_dict() for face in photo.faces] == [face.to_dict() for face in faces]
    np.testing.assert_array_equal(photo.crops, crops)
    np.testing.assert_allclose(photo.embeddings[0].vector, vectors[0], atol=1e-5)
    assert photo.embeddings[0].norm == pytest.approx(float(norms[0]), rel=1e-5)
    assert photo.size_wh == (512, 512)
    np.testing.assert_allclose(recognizer.embed(astronaut).vector, vectors[0], atol=1e-5)


def test_verify_at_module_level(astronaut_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineament.pipeline, "_default", None)
    decision = lineament.verify(astronaut_path, astronaut_path, threshold=HALF)
    assert decision.same
    kept = lineament.pipeline._default
    assert isinstance(kept, Recognizer)
    lineament.verify(astronaut_path, astronaut_path, threshold=HALF)
    assert lineament.pipeline._default is kept


def test_bgr(recognizer: Recognizer, astronaut: Image) -> None:
    bgr = np.ascontiguousarray(astronaut[:, :, ::-1])
    rgb = recognizer.embed(astronaut).vector
    told = recognizer.embed(bgr, color_order="bgr").vector
    np.testing.assert_allclose(told, rgb, atol=1e-5)
    assert recognizer.embed(bgr).vector @ rgb < 0.99
    same = recognizer.verify(bgr, bgr, threshold=HALF, color_order="bgr")
    assert same.face_a is not None
    (found,) = recognizer.detect(bgr, color_order="bgr").faces
    assert found.to_dict() == recognizer.detect(astronaut).faces[0].to_dict()


def test_flip_is_another_contract(astronaut: Image) -> None:
    plain, both = Recognizer(LIGHT, flip=False), Recognizer(LIGHT, flip=True)
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    assert plain.embed(astronaut).contract != both.embed(astronaut).contract
    alike = both.verify(astronaut, mirrored, threshold=HALF).score
    assert alike > plain.verify(astronaut, mirrored, threshold=HALF).score


# --- one or many ----------------------------------------------------------------------------------


def test_single_and_list() -> None:
    one, _ = fake(make_face())
    images = pictures(3)
    assert isinstance(one.detect(images[0]), Photo)
    assert isinstance(one.analyze(images[0]), Photo)
    assert isinstance(one.embed(images[0]), Embedding)
    for many in (images, tuple(images)):
        assert [len(photo.faces) for photo in one.detect(many)] == [1, 1, 1]
        assert [len(photo.embeddings) for photo in one.analyze(many)] == [1, 1, 1]
        assert len(one.embed(many)) == 3
    assert one.detect([]) == one.analyze([]) == one.embed([]) == []
    assert one.verify([], [], threshold=HALF) == []


def test_order_is_kept_over_several_batches() -> None:
    class Slow(FakeDetector):
        def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
            threading.Event().wait(0.002 * (int(image[0, 0, 0]) % 3))
            return super().detect(image, options)

    one = Recognizer(LIGHT, detector=Slow(make_face(), make_face((10, 10, 50, 60))))
    images = pictures(2 * BATCH + 5)
    photos = one.analyze(images, keep_crops=True)
    assert len(photos) == len(images)
    for image, photo in zip(images, photos, strict=True):
        crops = align_faces(image, photo.faces)
        np.testing.assert_array_equal(photo.crops, crops)
        vectors, _ = one.embedder.embed(crops)
        got = np.stack([item.vector for item in photo.embeddings])
        np.testing.assert_allclose(got, vectors, atol=1e-4)


def test_detect_embeds_nothing_and_analyze_keeps_crops_on_demand() -> None:
    one, _ = fake(make_face())
    image = pictures(1)[0]
    assert one.detect(image).embeddings == ()
    assert one.detect(image).crops is None
    assert one._embedder is None
    assert one.analyze(image).crops is None
    crops = one.analyze(image, keep_crops=True).crops
    assert crops is not None
    assert crops.shape == (1, 112, 112, 3)
    (only_crops,) = one.stream([image], embed=False, keep_crops=True)
    assert only_crops.embeddings == ()
    np.testing.assert_array_equal(only_crops.crops, crops)


def test_one_bad_photo_does_not_lose_the_rest(
    recognizer: Recognizer, astronaut_path: Path, blank: Image, tmp_path: Path
) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a photo")
    sources = [astronaut_path, tmp_path / "missing.jpg", blank, text, b"", astronaut_path]
    photos = recognizer.analyze(sources)
    assert [type(photo.error) for photo in photos] == [
        type(None),
        ImageNotFoundError,
        type(None),
        ImageFormatError,
        ImageFormatError,
        type(None),
    ]
    assert [len(photo.embeddings) for photo in photos] == [1, 0, 0, 0, 0, 1]
    assert photos[1].source.endswith("missing.jpg")
    assert photos[1].size_wh is None
    embeddings = recognizer.embed(sources)
    assert [type(item) for item in embeddings] == [
        Embedding,
        ImageNotFoundError,
        NoFaceError,
        ImageFormatError,
        ImageFormatError,
        Embedding,
    ]
    decisions = recognizer.verify(sources, [astronaut_path] * 6, threshold=HALF)
    assert [type(item).__name__ for item in decisions] == [
        "Decision",
        "ImageNotFoundError",
        "NoFaceError",
        "ImageFormatError",
        "ImageFormatError",
        "Decision",
    ]


def test_one_source_raises_its_error(recognizer: Recognizer, blank: Image, tmp_path: Path) -> None:
    missing = tmp_path / "missing.jpg"
    for call in (recognizer.detect, recognizer.analyze, recognizer.embed):
        with pytest.raises(ImageNotFoundError, match=r"missing\.jpg"):
            call(missing)
    with pytest.raises(ImageNotFoundError, match=r"missing\.jpg"):
        recognizer.verify(missing, blank, threshold=HALF)
    with pytest.raises(NoFaceError):
        recognizer.verify(blank, missing, threshold=HALF)
    assert recognizer.detect(blank).faces == ()
    assert recognizer.analyze(blank).embeddings == ()


def test_no_face_says_what_to_do(recognizer: Recognizer, blank: Image, tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    PILImage.fromarray(blank).save(path)
    with pytest.raises(NoFaceError) as caught:
        recognizer.embed(path)
    message = str(caught.value)
    assert "wall.png: no face was found with the detector yunet+onet" in message
    assert "lower min_score and min_face_px of DetectOptions" in message
    own, _ = fake()
    with pytest.raises(NoFaceError, match="with the detector FakeDetector"):
        own.embed(path)


def test_a_detector_that_returns_nonsense_spoils_one_photo() -> None:
    class Broken(FakeDetector):
        def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
            if len(self.seen) == 1:
                self.seen.append(image)
                return [Face([5, 5, 5, 5], 0.5)]
            return super().detect(image, options)

    one = Recognizer(LIGHT, detector=Broken(make_face()), runtime=Runtime(threads=1))
    photos = one.analyze(pictures(3))
    assert [len(photo.embeddings) for photo in photos] == [1, 0, 1]
    assert isinstance(photos[1].error, OptionError)


def test_limits_and_options_are_passed_on(astronaut_path: Path) -> None:
    small = Recognizer(LIGHT, limits=ImageLimits(max_pixels=1000))
    with pytest.raises(lineament.LineamentError, match="pixels"):
        small.detect(astronaut_path)
    picky = Recognizer(LIGHT, options=DetectOptions(min_face_px=200))
    assert picky.detect(astronaut_path).faces == ()


# --- streams --------------------------------------------------------------------------------------


def endless(images: list[Image], taken: list[int]) -> Iterator[Image]:
    for i in itertools.count():
        taken.append(i)
        yield images[i % len(images)]


@pytest.mark.parametrize("embed", [True, False])
@pytest.mark.parametrize("faces", [0, 1])
def test_an_endless_source(embed: bool, faces: int) -> None:
    one, detector = fake(*[make_face()] * faces, runtime=Runtime(threads=2))
    taken: list[int] = []
    stream = one.stream(endless(pictures(4), taken), embed=embed)
    assert taken == []  # nothing happens before the first result is asked for
    assert len(list(itertools.islice(stream, 50))) == 50
    bound = 4 * (BATCH + 2)  # twice what may be under way: waiting for a thread, and for a batch
    assert 50 <= len(taken) <= 50 + bound
    assert len(detector.seen) <= len(taken)
    stream.close()  # type: ignore[attr-defined]
    seen = len(detector.seen)
    assert no_threads_left()
    assert len(detector.seen) == seen


def test_closing_a_stream_cancels_what_has_not_begun() -> None:
    class SlowLater(FakeDetector):
        def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
            threading.Event().wait(0.02 if len(self.seen) >= 4 else 0)
            return super().detect(image, options)

    detector = SlowLater()
    taken: list[int] = []
    one = Recognizer(LIGHT, detector=detector, runtime=Runtime(threads=2))
    stream = one.stream(endless(pictures(4), taken), embed=False)
    assert next(stream).error is None
    assert len(detector.seen) < 10  # without embeddings there is no batch to wait for
    stream.close()  # type: ignore[attr-defined]
    assert len(detector.seen) < 12 < len(taken)
    assert no_threads_left()


def test_a_stream_that_is_dropped_leaves_no_threads() -> None:
    one, _ = fake(make_face(), runtime=Runtime(threads=2))
    for analysis in one.stream(endless(pictures(4), [])):
        assert len(analysis.faces) == 1
        break
    del analysis
    import gc

    gc.collect()
    assert no_threads_left()


def test_an_error_of_the_source_comes_through() -> None:
    def failing() -> Iterator[Image]:
        yield from pictures(3)
        raise RuntimeError("the camera is gone")

    one, _ = fake(make_face())
    with pytest.raises(RuntimeError, match="the camera is gone"):
        list(one.stream(failing()))
    assert no_threads_left()


def test_a_bug_in_a_detector_comes_through() -> None:
    class Buggy:
        def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
            raise ZeroDivisionError("bug")

    with pytest.raises(ZeroDivisionError, match="bug"):
        Recognizer(LIGHT, detector=Buggy()).detect(pictures(5))
    assert no_threads_left()


def test_four_threads_use_one_recognizer(recognizer: Recognizer, astronaut: Image) -> None:
    fresh = Recognizer(LIGHT)
    shifted = [np.ascontiguousarray(astronaut[i * 5 :, i * 7 :]) for i in range(4)]
    expected = [recognizer.embed(image).vector for image in shifted]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(fresh.embed, shifted * 2))
    for a, b in zip(got, expected * 2, strict=True):
        np.testing.assert_allclose(a.vector, b, atol=1e-4)


# --- who is compared ------------------------------------------------------------------------------


@pytest.fixture
def two_faces() -> list[Face]:
    return [make_face((48, 40, 58, 52)), make_face((0, 0, 40, 50))]  # in a picture of 100 by 90


def test_largest_or_central(two_faces: list[Face]) -> None:
    image = pictures(1)[0]
    for choose, index in (("largest", 1), ("central", 0)):
        one, _ = fake(*two_faces, choose=choose)
        (chosen,) = one.stream_chosen([image])
        assert chosen.index == index
        assert chosen.problem is None
        assert chosen.selected == (index,)
        assert chosen.embeddings == (chosen.embedding,)
        expected = align_faces(image, [two_faces[index]])[0]
        np.testing.assert_array_equal(chosen.crop, expected)
        decision = one.verify(image, image, threshold=HALF)
        assert decision.face_a is two_faces[index]
        assert (decision.others_a, decision.others_b) == (1, 1)
    with pytest.raises(
        OptionError, match='choose: expected "largest", "central" or "only", got \'best\''
    ):
        fake(choose="best")


def test_chosen_of_a_photo_without_a_face(blank: Image, tmp_path: Path) -> None:
    one, _ = fake()
    nobody, unreadable = one.stream_chosen([blank, tmp_path / "missing.jpg"])
    assert (nobody.index, nobody.embedding, nobody.crop) == (None, None, None)
    assert isinstance(nobody.problem, NoFaceError)
    assert nobody.error is None
    assert unreadable.problem is unreadable.error
    assert isinstance(unreadable.error, ImageNotFoundError)


# --- verify ---------------------------------------------------------------------------------------


def test_pairs_of_lists() -> None:
    one, _ = fake(make_face())
    a, b, c = pictures(3)
    decisions = one.verify([a, a, b], [a, b, c], threshold=HALF)
    scores = [item.score for item in decisions if not isinstance(item, Exception)]
    vectors = {i: one.embed(image).vector for i, image in enumerate((a, b, c))}
    expected = [vectors[0] @ vectors[0], vectors[0] @ vectors[1], vectors[1] @ vectors[2]]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert len(set(np.round(scores, 4))) == 3


def test_a_path_is_analysed_once(tmp_path: Path) -> None:
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    for path, image in zip((a, b), pictures(2), strict=True):
        PILImage.fromarray(image).save(path)
    one, detector = fake(make_face())
    decisions = one.verify([a, str(a), b, a], [b, b, os.fspath(b), a], threshold=HALF)
    assert len(decisions) == 4
    assert len(detector.seen) == 2
    image = pictures(1)[0]
    one.verify([image, image], [image, image.copy()], threshold=HALF)
    assert len(detector.seen) == 4  # one array, and its copy


def test_lists_that_do_not_pair_up() -> None:
    one, detector = fake(make_face())
    image = pictures(1)[0]
    with pytest.raises(OptionError, match="lists of equal length, got 2 and 1"):
        one.verify([image, image], [image], threshold=HALF)
    for pair in (([image], image), (image, (image,))):
        with pytest.raises(OptionError, match="two photos or two lists, got one of each"):
            one.verify(*pair, threshold=HALF)
    assert detector.seen == []


FITTED = (
    FittedThreshold("cosine", 0.3, 1e-4, False, "a fit", 10),
    FittedThreshold("cosine", 0.2, 1e-3, False, "a fit", 10),
    FittedThreshold("euclidean", 9.0, 1e-4, False, "a fit", 10),
)


def test_threshold_of_the_weights(astronaut: Image) -> None:
    entry = models.get(LIGHT).replace(thresholds=FITTED)
    one = Recognizer(entry)
    assert one.threshold().value == 0.3
    assert one.threshold(fmr=1e-3).value == 0.2
    assert one.threshold("euclidean").value == 9.0
    assert one.threshold(value=0.0).value == 0.0
    decision = one.verify(astronaut, astronaut)
    assert (decision.threshold.value, decision.threshold.fmr) == (0.3, 1e-4)
    by_length = one.verify(astronaut, astronaut, threshold=one.threshold("euclidean"))
    assert by_length.metric == "euclidean"
    assert by_length.score == pytest.approx(0, abs=1e-3)
    with pytest.raises(OptionError, match="a false match rate or a threshold, got both"):
        one.threshold(fmr=1e-3, value=0.5)
    with pytest.raises(OptionError, match=r"1\.25 false matches would stand behind it"):
        one.threshold(fmr=1e-7)
    with pytest.raises(OptionError, match=r"there are some for 1e-05, 0\.0001"):
        one.threshold("euclidean", fmr=2e-2)


@pytest.mark.parametrize("changes", [{"alignment": "eyes"}, {"alignment": "crop"}])
def test_a_threshold_holds_for_what_it_was_fitted_on(
    astronaut: Image, changes: dict[str, Any]
) -> None:
    one = Recognizer(models.get(LIGHT).replace(thresholds=FITTED), **changes)
    with pytest.raises(OptionError, match="there is none for these weights, this alignment"):
        one.verify(astronaut, astronaut)
    decision = one.verify(astronaut, astronaut, threshold=one.threshold(value=0.4))
    assert decision.same
    expected = {"eyes": "eyes-112", "crop": "crop-112"}.get(one.alignment, "arcface-112")
    assert decision.contract.alignment == expected


# --- parts of your own ----------------------------------------------------------------------------


def test_a_network_of_your_own(tmp_path: Path, astronaut: Image) -> None:
    entry = tiny_recognizer(tmp_path / "mine.onnx", side=16, mean=127.5, scale=1 / 128)
    one = Recognizer(entry)
    embedding = one.embed(astronaut)
    assert embedding.contract.weights == "mine"
    assert embedding.contract.alignment == "arcface-16"
    assert embedding.contract.dimension == 16 * 16 * 3
    (photo,) = one.stream([astronaut], keep_crops=True)
    assert photo.crops is not None
    assert photo.crops.shape == (1, 16, 16, 3)
    crop = (photo.crops[0].transpose(2, 0, 1).astype(np.float64).ravel() - 127.5) / 128
    np.testing.assert_allclose(embedding.vector, crop / np.linalg.norm(crop), atol=1e-5)
    with pytest.raises(OptionError, match="no threshold of mine was fitted"):
        one.verify(astronaut, astronaut)


def test_the_policy_refuses_at_once(tmp_path: Path) -> None:
    entry = tiny_recognizer(tmp_path / "mine.onnx")
    with pytest.raises(LicenseError, match='refuses the weights "mine"'):
        Recognizer(entry, policy=LicensePolicy.parse("commercial"))
    with pytest.raises(LicenseError, match='refuses the weights "yunet"'):
        Recognizer(policy=LicensePolicy.parse("any;deny:yunet"))
    with pytest.raises(LicenseError, match='refuses the weights "mtcnn-o"'):
        Recognizer(policy=LicensePolicy.parse("any;deny:mtcnn-o"))
    Recognizer(detector="yunet", policy=LicensePolicy.parse("any;deny:mtcnn-o"))


def test_parts_that_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(lineament.LineamentError, match="Did you mean"):
        Recognizer("sfaces")
    with pytest.raises(OptionError, match=r"detector: expected one of yunet\+onet, .* got 'lbp'"):
        Recognizer(detector="lbp")
    with pytest.raises(OptionError, match="alignment: expected"):
        Recognizer(alignment="affine")  # type: ignore[arg-type]
    monkeypatch.setenv("LINEAMENT_ENGINE", "tensorrt")
    with pytest.raises(OptionError, match="engine: expected one of"):
        Recognizer()


def test_a_detector_without_landmarks(astronaut: Image) -> None:
    one = Recognizer(LIGHT, detector="ultralight")
    assert len(one.detect(astronaut).faces) == 1
    with pytest.raises(OptionError, match="needs five landmarks, face 0 has none"):
        one.embed(astronaut)
    cropped = Recognizer(LIGHT, detector="ultralight", alignment="crop")
    assert cropped.embed(astronaut).contract.alignment == "crop-112"


def test_nothing_is_loaded_before_it_is_needed() -> None:
    one = Recognizer()
    assert (one.finder._detector, one._embedder) == (None, None)


# --- one or many ----------------------------------------------------------------------------------


MANY: dict[str, Any] = {
    "folder": lambda folder: folder,
    "folder as text": str,
    "pattern": lambda folder: f"{folder}/*.png",
    "generator": lambda folder: (path for path in sorted(folder.glob("*.png"))),
    "Path.glob": lambda folder: iter(sorted(folder.glob("*.png"))),
    "entries": lambda folder: sorted(os.scandir(folder), key=lambda entry: entry.name),
    "array of texts": lambda folder: np.array([str(path) for path in sorted(folder.glob("*.png"))]),
    "batch (N, H, W, C)": lambda folder: np.stack(pictures(3)),
    "batch (N, C, H, W)": lambda folder: np.stack(pictures(3)).transpose(0, 3, 1, 2) / 255,
}


@pytest.mark.parametrize("name", MANY)
def test_what_stands_for_many_gives_a_list(name: str, tmp_path: Path) -> None:
    for i, pixels in enumerate(pictures(3)):
        PILImage.fromarray(pixels).save(tmp_path / f"{i}.png")
    make = MANY[name]
    one, detector = fake(make_face())
    photos = one.detect(make(tmp_path))
    assert [type(photo) for photo in photos] == [Photo] * 3
    expected = sorted(int(each[0, 0, 0]) for each in pictures(3))
    assert sorted(int(each[0, 0, 0]) for each in detector.seen) == expected
    assert len(one.finder.find(make(tmp_path))) == 3
    assert len(list(one.finder.stream(make(tmp_path)))) == 3
    assert [len(photo.embeddings) for photo in one.analyze(make(tmp_path))] == [1, 1, 1]
    assert [type(each) for each in one.embed(make(tmp_path))] == [Embedding] * 3
    decisions = one.verify(make(tmp_path), make(tmp_path), threshold=own_threshold(0.5, "cosine"))
    assert [type(each).__name__ for each in decisions] == ["Decision"] * 3


def test_errors_among_many_stand_in_their_places(tmp_path: Path) -> None:
    PILImage.fromarray(pictures(1)[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no photo")
    one, _ = fake(make_face())
    good, bad = one.detect(tmp_path)
    assert good.error is None
    assert bad.error is not None
    assert bad.source == str(tmp_path / "b.png")
    (folder_in_a_list,) = one.detect([tmp_path])
    assert "got a folder" in str(folder_in_a_list.error)

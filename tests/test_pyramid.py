"""Photos at the scales that readers need: the same places, the same faces, the same refusals."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PILImage

from builders import FakeDetector
from lineament import DetectOptions, FaceFinder, Recognizer, load_detector
from lineament.errors import ImageFormatError, ImageTooLargeError
from lineament.geometry import turned_squares, warp
from lineament.images import ImageLimits, load_image, open_image
from lineament.images.decode import before_decoding
from lineament.pyramid import Level, Pyramid
from lineament.types import Image, Photo

LARGE_WH = 2050, 1537  # no multiples of 2, 4 or 8 across or down


def textured(width: int, height: int, seed: int = 0) -> Image:
    """Blots of all sizes."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for cell in (6, 20, 70, 250):
        small = rng.standard_normal((height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 25 * total, 0, 255).astype(np.uint8)


def jpeg(pixels: Image, orientation: int = 1, mode: str = "RGB", **options: object) -> bytes:
    """As a file, stored so that this orientation shows it as it is."""
    stored = PILImage.fromarray(pixels).convert(mode)
    turns = {
        2: [PILImage.Transpose.FLIP_LEFT_RIGHT],
        3: [PILImage.Transpose.ROTATE_180],
        4: [PILImage.Transpose.FLIP_TOP_BOTTOM],
        5: [PILImage.Transpose.TRANSPOSE],
        6: [PILImage.Transpose.ROTATE_90],
        7: [PILImage.Transpose.TRANSVERSE],
        8: [PILImage.Transpose.ROTATE_270],
    }
    for turn in turns.get(orientation, []):
        stored = stored.transpose(turn)
    exif = PILImage.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    stored.save(out, "JPEG", exif=exif, **{"quality": 92, **options})
    return out.getvalue()


@pytest.fixture(scope="module")
def large() -> Image:
    return textured(*LARGE_WH)


@pytest.fixture(scope="module")
def group(astronaut_path: Path) -> Image:
    """12 megapixels with three faces of about 400, 200 and 60 pixels."""
    picture = textured(4001, 2999, 1)
    with PILImage.open(astronaut_path) as opened:
        person = opened.convert("RGB")
    for left, side in ((200, 1400), (1900, 700), (2900, 210)):
        small = np.asarray(person.resize((side, side), PILImage.Resampling.LANCZOS))
        picture[1000 : 1000 + side, left : left + side] = small
    return picture


# --- levels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_level_of_a_jpeg_shows_the_same_places(
    large: Image, orientation: int, reduction: int
) -> None:
    pyramid = open_image(jpeg(large, orientation))[0]
    assert pyramid.size_wh == LARGE_WH
    assert pyramid.reductions == ()
    level = pyramid.smallest(1 / reduction)
    assert pyramid.reductions == (level.reduction,) == (reduction,)
    assert pyramid.pixels_there is None
    middle = np.array([[LARGE_WH[0] * 0.6, LARGE_WH[1] * 0.3], [40, 1400], [1990, 60]])
    np.testing.assert_allclose(level.to_photo_xy(level.to_level_xy(middle)), middle)
    # The same crop out of the level and out of the photo: off by a pixel of the level, it differs.
    squares = turned_squares(middle, np.full(3, 600.0), np.zeros(3), 64)
    expected, found = warp(large, squares, 64), warp(pyramid, squares, 64, slack=100)
    assert pyramid.reductions == (reduction,)
    apart = np.abs(found.astype(int) - expected).mean()
    assert apart < 4
    for axis, pixels in ((0, reduction), (0, -reduction), (1, reduction), (1, -reduction)):
        moved = squares.copy()
        moved[:, axis, 2] += pixels * 64 / 600
        assert apart < 0.8 * np.abs(found.astype(int) - warp(large, moved, 64)).mean()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_levels_of_odd_jpegs(large: Image, mode: str, progressive: bool) -> None:
    data = jpeg(large, mode=mode, progressive=progressive)
    full, half = load_image(data), open_image(data)[0].smallest(0.5).pixels
    assert half.shape == (769, 1025, 3)
    mean = cv2.resize(full[:1536, :2050], (1025, 768), interpolation=cv2.INTER_AREA)
    assert np.abs(mean.astype(int) - half[:768]).mean() < 2


def test_levels_of_pixels_are_means(large: Image) -> None:
    pyramid = Pyramid.of(large)
    assert pyramid.pixels is large
    assert Pyramid.of(pyramid) is pyramid
    assert pyramid.shape == large.shape
    half = pyramid.smallest(0.5)
    assert half.pixels.shape == (769, 1025, 3)
    blocks = large[:1536].astype(float).reshape(768, 2, 1025, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(half.pixels[:768], blocks, atol=0.51)
    last = large[1536].astype(float).reshape(1025, 2, 3).mean(axis=1)  # repeated below
    np.testing.assert_allclose(half.pixels[768], last, atol=0.51)
    assert pyramid.nbytes == large.nbytes + half.pixels.nbytes


@pytest.mark.parametrize(
    ("there", "scale", "expected"),
    [
        ([], 1.0, 1),
        ([], 3.0, 1),
        ([], 0.51, 1),
        ([], 0.5, 2),
        ([], 0.2, 4),
        ([], 0.001, 8),
        ([1], 0.2, 1),  # what is there and serves is taken
        ([1, 2], 0.2, 2),
        ([1, 2, 8], 0.2, 2),
        ([2], 0.6, 1),  # what does not serve is not
        ([4], 0.5, 2),
    ],
)
def test_which_level_is_taken(there: list[int], scale: float, expected: int) -> None:
    made: list[int] = []

    def decode(reduction: int) -> Level:
        made.append(reduction)
        return Level(np.zeros((8 // reduction, 8 // reduction, 3), np.uint8), reduction)

    pyramid = Pyramid((8, 8), decode)
    for reduction in sorted(there, reverse=True):
        pyramid.smallest(1 / reduction)
    made.clear()
    assert pyramid.level(scale).reduction == expected
    assert made == ([] if expected in there else [expected])
    pyramid.level(scale)
    assert len(made) <= 1  # once


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_is_cut_short_or_broken_is_refused_at_any_scale(
    large: Image, progressive: bool
) -> None:
    data = jpeg(large, progressive=progressive)
    cut = data[: len(data) * 6 // 10]
    with pytest.raises(ImageFormatError, match="broken or cut short"):
        open_image(cut)
    table = data.index(b"\xff\xc4")  # of codes, more of which have one bit than there can be
    broken = data[: table + 5] + b"\xf0" + data[table + 6 :]
    pyramid = open_image(broken)[0]
    for _ in range(2):
        with pytest.raises(ImageFormatError, match="broken or cut short"):
            pyramid.smallest(0.5)
    for data in (cut, broken):
        photo = next(iter(FaceFinder().stream([data])))
        assert isinstance(photo.error, ImageFormatError)
        assert (photo.pixels, photo.pyramid, photo.faces) == (None, None, ())


def test_what_a_photo_costs_is_counted_in_full_and_once(large: Image) -> None:
    counted: list[tuple[int, int]] = []
    token = before_decoding.set(lambda pixels, n_bytes: counted.append((pixels, n_bytes)))
    try:
        pyramid = open_image(jpeg(large))[0]
        assert len(counted) == 1
        pyramid.smallest(0.25)
        assert pyramid.pixels.shape == large.shape
    finally:
        before_decoding.reset(token)
    pixels = LARGE_WH[0] * LARGE_WH[1]
    assert counted == [(pixels, 7 * pixels)]
    for limits in (ImageLimits(max_pixels=pixels - 1), ImageLimits(max_memory=7 * pixels - 1)):
        with pytest.raises(ImageTooLargeError):
            open_image(jpeg(large), limits=limits)


# --- detectors and the finder ---------------------------------------------------------------------


def test_faces_of_a_large_photo_are_found_in_a_level(group: Image) -> None:
    data = jpeg(group)
    pyramid = open_image(data)[0]
    found = load_detector("yunet", turning=False).detect(pyramid, DetectOptions())  # type: ignore[arg-type]
    assert pyramid.reductions == (2,)
    plain = load_detector("yunet", turning=False).detect(load_image(data), DetectOptions())
    assert len(found) == len(plain) == 3
    for one in plain:
        other = min(found, key=lambda face: np.abs(face.box_xyxy - one.box_xyxy).sum())
        np.testing.assert_allclose(other.box_xyxy, one.box_xyxy, atol=0.05 * max(one.size_wh))


def test_small_faces_are_read_from_all_pixels(group: Image) -> None:
    finder = FaceFinder()
    photo = finder.find(jpeg(group), keep_pixels=True)
    assert photo.pyramid is not None
    assert photo.pyramid.reductions == (2, 1)
    sides = sorted(max(face.size_wh) for face in photo)
    assert len(sides) == 3
    assert sides[0] < 75 < 140 < sides[1] < 250 < sides[2]
    alone = FaceFinder(options=DetectOptions(min_face_px=120))
    large = next(iter(alone.stream([jpeg(group)], then=lambda seen: seen)))
    assert len(large.faces) == 2


@pytest.mark.slow
def test_embeddings_are_those_of_all_pixels_nearly(group: Image) -> None:
    """And the same whether pixels are kept or not."""
    recognizer, data = Recognizer(), jpeg(group)
    photo = recognizer.analyze(data, keep_pixels=True)
    (bare,) = recognizer.analyze([data])
    assert bare.pyramid is bare.pixels is None
    assert photo.pixels is not None
    np.testing.assert_array_equal(photo.pixels, load_image(data))
    assert len(photo.embeddings) == len(bare.embeddings) == 3
    for one, other in zip(photo.embeddings, bare.embeddings, strict=True):
        np.testing.assert_array_equal(one.vector, other.vector)
    crops = recognizer.finder.crops(photo)
    full = warp(load_image(data), np.concatenate([_transform(photo, i) for i in range(3)]), 112)
    assert np.abs(crops.astype(int) - full).mean(axis=(1, 2, 3)).max() < 4
    vectors, _ = recognizer.embedder.embed(full)
    assert [float(v @ e.vector) for v, e in zip(vectors, photo.embeddings, strict=True)] == (
        pytest.approx([1, 1, 1], abs=0.01)
    )
    again = recognizer.analyze(photo)
    np.testing.assert_array_equal(again.embeddings[0].vector, photo.embeddings[0].vector)


def _transform(photo: Photo, number: int) -> np.ndarray:
    from lineament.align.alignment import face_transforms

    return face_transforms([photo.faces[number]], "arcface-112")


def test_detectors_of_others_get_arrays(large: Image) -> None:
    seen: list[object] = []

    class Curious(FakeDetector):
        def detect(self, image: Image, options: DetectOptions, /) -> list[object]:  # type: ignore[override]
            seen.append(image)
            return []

    photo = FaceFinder(Curious()).find(jpeg(large))  # type: ignore[arg-type]
    assert isinstance(seen[0], np.ndarray)
    assert photo.pixels is seen[0]

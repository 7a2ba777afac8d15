"""YuNet: the decoding of its cells, its scales and tiles, and what it finds."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from lineament import models
from lineament.detect import yunet
from lineament.detect.detector import DetectOptions
from lineament.detect.yunet import TILE_PX, YuNet
from lineament.models.runtime import load_model
from lineament.types import Face, FloatArray, Image

GOLDEN = Path(__file__).parent.parent / "golden" / "yunet.npz"
"""By OpenCV's FaceDetectorYN 5.0 with the package's own file (scripts/golden/yunet.py)."""


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(load_model(models.get("yunet")))


def resized(image: Image, scale: float) -> Image:
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=method), np.uint8)


def side(face: Face) -> float:
    return max(face.size_wh)


# --- against OpenCV -------------------------------------------------------------------------------


def test_finds_what_opencv_finds(detector: YuNet, astronaut: Image) -> None:
    (face,) = detector.detect(astronaut, DetectOptions())
    with np.load(GOLDEN) as golden:
        row = golden["astronaut"]  # x, y, width, height, five points, score
    assert face.landmarks_xy is not None
    # Ours is the mean of the overlapping boxes, OpenCV's the best of them.
    expected = np.concatenate([row[:2], row[:2] + row[2:4]])
    np.testing.assert_allclose(face.box_xyxy, expected, atol=4)
    # OpenCV numbers from the person's right eye, which is on the viewer's left
    np.testing.assert_allclose(face.landmarks_xy, row[4:14].reshape(5, 2), atol=1)
    assert face.score == pytest.approx(row[14], abs=2e-3)
    assert face.turned_deg == 0


# --- decoding -------------------------------------------------------------------------------------


def slow_decode(cells: np.ndarray, height: int, width: int) -> list[list[float]]:
    """Row by row as the paper's priors say: strides 8, 16, 32; rows, then columns."""
    rows, number = [], 0
    for stride in (8, 16, 32):
        for y in range(height // stride):
            for x in range(width // stride):
                c = [float(v) for v in cells[number]]
                number += 1
                center = (x + c[2]) * stride, (y + c[3]) * stride
                half = math.exp(c[4]) * stride / 2, math.exp(c[5]) * stride / 2
                points = [(c[6 + i] + (x, y)[i % 2]) * stride for i in range(10)]
                rows.append(
                    [
                        math.sqrt(c[0] * c[1]),
                        *(center[0] - half[0], center[1] - half[1]),
                        *(center[0] + half[0], center[1] + half[1]),
                        *points,
                    ]
                )
    assert number == len(cells)
    return rows


@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 31), (1, 1), (32, 128)])
def test_decoding(height: int, width: int) -> None:
    high, wide = -(-height // 32) * 32, -(-width // 32) * 32
    rng = np.random.default_rng(0)
    shown: list[FloatArray] = []

    def fake(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        shown.append(batch)
        count = high * wide // 64 + high * wide // 256 + high * wide // 1024
        return (rng.uniform(0, 1, (1, count, 16)).astype(np.float32),)

    image = rng.integers(1, 256, (height, width, 3), dtype=np.uint8)
    rows = YuNet(fake)._run(image, 0.0)
    assert shown[0].shape == (1, 3, high, wide)
    np.testing.assert_array_equal(shown[0][0, :, :height, :width], image.transpose(2, 0, 1))
    assert shown[0][0, :, height:].sum() + shown[0][0, :, :, width:].sum() == 0
    rng = np.random.default_rng(0)
    rng.integers(1, 256, (height, width, 3), dtype=np.uint8)
    (cells,) = fake(shown[0])
    np.testing.assert_allclose(rows, slow_decode(cells[0], high, wide), rtol=1e-5, atol=1e-3)
    some = YuNet(lambda _: (cells,))._run(image, 0.6)
    expected = [row for row in slow_decode(cells[0], high, wide) if row[0] >= 0.6]
    assert len(expected) < len(rows)
    np.testing.assert_allclose(some, np.reshape(expected, (-1, 15)), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("scale", "size_wh"), [(0.5, (128, 64)), (1, (256, 128)), (1.5, (384, 192))]
)
def test_pixels_of_a_scaled_look(scale: float, size_wh: tuple[int, int]) -> None:
    """A pixel's edges scale, its center does not: x -> (x + 0.5) / scale - 0.5."""

    def fake(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        high, wide = batch.shape[2:]
        assert (wide, high) == size_wh
        cells = np.zeros((1, high * wide // 64 + high * wide // 256 + high * wide // 1024, 16))
        cells[0, 3, :6] = 1, 1, 0.5, 0.5, 0, 0  # x 28, y 4, eight pixels wide and high
        return (cells.astype(np.float32),)

    look = YuNet(fake)._look(np.zeros((128, 256, 3), np.uint8), (256, 128), scale, 0.5)
    (row,) = look.rows
    assert look.scale == scale
    edges = np.array([24, 0, 32, 8, *[24, 0] * 5])
    np.testing.assert_allclose(row[1:15], (edges + 0.5) / scale - 0.5, atol=1e-4)
    assert row[15] == 0


def test_a_smaller_copy_stands_for_the_photo(detector: YuNet, astronaut: Image) -> None:
    whole = detector._look(astronaut, (512, 512), 0.5, 0.6)
    copy = detector._look(resized(astronaut, 0.5), (512, 512), 0.5, 0.6)
    np.testing.assert_array_equal(copy.rows, whole.rows)
    coarse = detector._look(resized(astronaut, 0.5), (512, 512), 0.25, 0.6)
    np.testing.assert_allclose(coarse.rows[0, 1:5], whole.rows[0, 1:5], atol=6)


@pytest.mark.parametrize("length", [1, 1919, 1920, 1921, 2250, 3520, 3521, 5000, 20_000])
def test_tiles_cover_everything_and_overlap(length: int) -> None:
    starts, tile = yunet._tile_starts(length)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert starts[-1] + tile == length
    assert tile <= TILE_PX
    if length <= TILE_PX:
        assert starts == [0]
    else:
        assert (np.diff(starts) <= tile - yunet.TILE_OVERLAP_PX + 1).all()  # rounded
        assert len(starts) == math.ceil((length - 320) / (1920 - 320))
        assert len(starts) * tile <= length + len(starts) * (yunet.TILE_OVERLAP_PX + 32)


def test_what_is_no_larger_than_a_tile_is_one() -> None:
    assert yunet._tiles((2400, 1500)) == (([0], 2400), ([0], 1500))
    (lefts, wide), (tops, high) = yunet._tiles((2400, 1600))
    assert (lefts, wide, tops, high) == ([0, 1024], 1376, [0], 1600)


# --- faces of all sizes ---------------------------------------------------------------------------


def test_a_face_that_fills_the_frame(detector: YuNet, astronaut: Image) -> None:
    (face,) = detector.detect(astronaut, DetectOptions())
    left, top, right, bottom = (int(v) for v in face.box_xyxy)
    for scale in (1, 3, 8):
        filled = resized(astronaut[top:bottom, left:right], scale)
        (found,) = detector.detect(filled, DetectOptions())
        height, width = filled.shape[:2]
        np.testing.assert_allclose(found.center_xy, (width / 2, height / 2), atol=0.1 * height)
        assert 0.8 * height < side(found) < 1.2 * height


@pytest.mark.parametrize("scale", [1 / 8, 0.2, 0.5, 2, 4])
def test_small_and_huge(detector: YuNet, astronaut: Image, scale: float) -> None:
    (face,) = detector.detect(astronaut, DetectOptions())  # 112 pixels high
    found = detector.detect(resized(astronaut, scale), DetectOptions())[0]
    expected = (face.box_xyxy + 0.5) * scale - 0.5
    np.testing.assert_allclose(found.box_xyxy, expected, atol=max(1.5, 0.08 * 112 * scale))


# --- one box a face -------------------------------------------------------------------------------


@pytest.mark.parametrize("side_px", [300, 500, 800, 1300, 2000])
def test_a_large_face_is_one_face(detector: YuNet, astronaut: Image, side_px: int) -> None:
    large = resized(astronaut[10:246, 95:351], side_px / 112)
    (face,) = detector.detect(large, DetectOptions())
    assert side(face) == pytest.approx(side_px, rel=0.1)


@pytest.mark.parametrize("scale", [1, 4, 8])
def test_neighbors_that_overlap_stay_two(detector: YuNet, astronaut: Image, scale: float) -> None:
    """The right one covers the left one's cheek: their boxes share 0.3 of their union."""
    (face,) = detector.detect(astronaut, DetectOptions())
    left, top, right, bottom = (int(v) for v in face.box_xyxy)
    picture = np.full((260, 420, 3), 128, np.uint8)
    picture[:250, :300] = astronaut[:250, 50:350]
    shift = round(0.54 * (right - left))
    across = slice(left - 50 + shift, right - 50 + shift)
    picture[top:bottom, across] = astronaut[top:bottom, left:right]
    found = detector.detect(resized(picture, scale), DetectOptions())
    assert len(found) == 2
    middles = sorted(face.center_xy[0] / scale for face in found)
    assert middles[1] - middles[0] == pytest.approx(shift, rel=0.25)


def mosaic(astronaut: Image, columns: int, rows: int, step: int) -> tuple[Image, np.ndarray]:
    """Faces of 28 to 90 pixels on gray, and their centers (N, 2)."""
    cut = astronaut[20:240, 110:330]  # 220 pixels, the face's center at (113, 99)
    picture = np.full((rows * step, columns * step, 3), 128, np.uint8)
    centers = []
    for i in range(columns * rows):
        size = 56 + (i * 37) % (step - 60)
        x, y = (i % columns) * step, (i // columns) * step
        small = cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA)
        picture[y : y + size, x : x + size] = small
        centers.append((x + 113 * size / 220, y + 99 * size / 220))
    return picture, np.array(centers)


def matches(faces: list[Face], centers: np.ndarray) -> list[int]:
    """How many faces lie about each of the centers."""
    found = np.array([face.center_xy for face in faces])
    apart = np.linalg.norm(found[None] - centers[:, None], axis=2)
    return (apart < 15).sum(axis=1).tolist()


def test_thirty_faces_over_several_tiles(
    detector: YuNet, astronaut: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, centers = mosaic(astronaut, 10, 3, 220)  # 2200 by 660
    monkeypatch.setattr(yunet, "TILE_PX", 960)
    (lefts, _), (tops, _) = yunet._tiles((2200, 660))
    assert (len(lefts), len(tops)) == (3, 1)
    faces = detector.detect(picture, DetectOptions())
    assert matches(faces, centers) == [1] * 30
    assert len(faces) == 30


@pytest.mark.parametrize("border", [1128, 1472])  # where one tile begins and the other ends
@pytest.mark.parametrize("height", [40, 110, 180, 250])
def test_a_face_on_the_border_of_a_tile_is_one_face(
    detector: YuNet,
    astronaut: Image,
    border: int,
    height: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yunet, "TILE_PX", 1500)  # shorter than the picture, whose area it is
    assert yunet._tile_starts(2600) == ([0, 1128], 1472)
    monkeypatch.setattr(yunet, "_tiles", lambda wh: (yunet._tile_starts(wh[0]), ([0], wh[1])))
    scale = height / 112
    cut = resized(astronaut[20:276, 95:351], scale)
    picture = np.full((620, 2600, 3), 128, np.uint8)
    x = border - round((223 - 95) * scale)  # its nose is on the border
    picture[10 : 10 + len(cut), x : x + cut.shape[1]] = cut
    (face,) = detector.detect(picture, DetectOptions(min_face_px=15))
    assert face.center_xy[0] == pytest.approx(border, abs=0.1 * height)
    assert side(face) == pytest.approx(height, rel=0.1)


def test_parts_go_only_where_the_whole_is() -> None:
    def row(score: float, box: tuple[float, ...], cut: int) -> list[float]:
        return [score, *box, *[0.0] * 10, cut]

    whole, part = row(0.9, (0, 0, 10, 10), 0), row(0.95, (5, 0, 10, 10), 1)
    alone, doubtful = row(0.8, (50, 0, 60, 10), 1), row(0.3, (48, 0, 62, 12), 0)
    rows = np.array([part, whole, alone, doubtful], np.float32)
    kept = yunet._without_cut(rows, 0.6)
    assert sorted(kept[:, 0].tolist()) == pytest.approx([0.3, 0.8, 0.9])
    assert len(yunet._without_cut(rows, 0.2)) == 2
    assert len(yunet._without_cut(rows[[0, 2]], 0.6)) == 2


# --- printed rasters ------------------------------------------------------------------------------


def in_dots(image: Image, period: float) -> Image:
    """Halftone: dots that grow with darkness, ``period`` pixels apart."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] * (2 * np.pi / period / math.sqrt(2))
    dots = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) > (np.cos(x + y) + np.cos(x - y) + 2) / 4 * 255
    return np.repeat((dots * 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("period", [4, 6])
def test_a_face_in_halftone(detector: YuNet, astronaut: Image, period: float) -> None:
    (face,) = detector.detect(astronaut, DetectOptions())
    printed = in_dots(astronaut, period)
    assert (detector._look(printed, (512, 512), 1.0, 0.6).rows[:, 0] < 0.6).all()
    found = detector.detect(printed, DetectOptions())[0]
    np.testing.assert_allclose(found.box_xyxy, face.box_xyxy, atol=16)


@pytest.mark.parametrize("share", [0.07, 0.03])
def test_a_face_in_the_dark(detector: YuNet, astronaut: Image, share: float) -> None:
    (face,) = detector.detect(astronaut, DetectOptions())
    (found,) = detector.detect((astronaut * share).astype(np.uint8), DetectOptions())
    np.testing.assert_allclose(found.box_xyxy, face.box_xyxy, atol=6)


def test_photos_without_a_raster_are_looked_at_as_before(astronaut: Image) -> None:
    """A fake finds nothing: three looks, and a fourth and smoothed one of what is printed."""
    sizes: list[tuple[int, ...]] = []

    def fake(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        sizes.append(batch.shape)
        high, wide = batch.shape[2:]
        count = high * wide // 64 + high * wide // 256 + high * wide // 1024
        return (np.zeros((1, count, 16), np.float32),)

    assert YuNet(fake).detect(astronaut, DetectOptions()) == []
    assert len(sizes) == 3
    assert YuNet(fake).detect(in_dots(astronaut, 4), DetectOptions()) == []
    assert sizes[3:] == [sizes[0], *sizes[:3]]


# --- options --------------------------------------------------------------------------------------


def test_options(detector: YuNet, astronaut: Image) -> None:
    picture, _ = mosaic(astronaut, 4, 1, 220)
    every = detector.detect(picture, DetectOptions())
    assert len(every) == 4
    scores = [face.score for face in every]
    assert scores == sorted(scores, reverse=True)
    two = detector.detect(picture, DetectOptions(max_faces=2))
    assert [face.to_dict() for face in two] == [face.to_dict() for face in every[:2]]
    least = sorted(side(face) for face in every)[2] - 1
    large = detector.detect(picture, DetectOptions(min_face_px=least))
    assert len(large) == 2
    assert min(side(face) for face in large) >= least
    middle = sum(sorted(scores)[1:3]) / 2
    sure = detector.detect(picture, DetectOptions(min_score=middle))
    assert [face.score for face in sure] == [score for score in scores if score >= middle]
    assert detector.detect(picture, DetectOptions(min_score=1)) == []


def test_a_score_of_zero_is_not_the_default_and_stays_bounded(
    detector: YuNet, astronaut: Image
) -> None:
    faces = detector.detect(astronaut, DetectOptions(min_score=0))
    assert 50 < len(faces) <= yunet.MOST_CANDIDATES
    assert faces[0].score > 0.9
    assert faces[-1].score < 0.3


def test_voting_in_blocks_is_voting(
    monkeypatch: pytest.MonkeyPatch, detector: YuNet, astronaut: Image
) -> None:
    options = DetectOptions(min_score=0.02)
    whole = detector.detect(astronaut, options)
    assert len(whole) > 5
    monkeypatch.setattr(yunet, "VOTES_AT_ONCE", 1)
    blocks = detector.detect(astronaut, options)
    np.testing.assert_allclose(
        [face.box_xyxy for face in blocks], [face.box_xyxy for face in whole], atol=1e-3
    )


# --- pictures without faces -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (3, 500), (500, 3), (1, 4000), (2, 2), (31, 33)]
)
def test_odd_shapes(detector: YuNet, astronaut: Image, height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    for picture in (np.zeros((height, width, 3)), rng.integers(0, 256, (height, width, 3))):
        assert detector.detect(picture.astype(np.uint8), DetectOptions()) == []


def test_a_face_in_a_strip(detector: YuNet, astronaut: Image) -> None:
    strip = np.zeros((260, 5000, 3), np.uint8)
    strip[:256, 4600:4856] = astronaut[:256, 100:356]
    (face,) = detector.detect(strip, DetectOptions())
    np.testing.assert_allclose(face.center_xy, (4723, 119), atol=5)


@pytest.mark.parametrize("size_wh", [(1080, 30_000), (30_000, 700), (8000, 400), (300, 9000)])
def test_faces_of_100_pixels_in_long_pictures(
    detector: YuNet, astronaut: Image, size_wh: tuple[int, int]
) -> None:
    width, height = size_wh
    picture = np.full((height, width, 3), 200, np.uint8)
    cut = astronaut[:256, 100:356]
    places = [(round(at * (width - 256)), round(at * (height - 256))) for at in (0.01, 0.5, 0.98)]
    for x, y in places:
        picture[y : y + 256, x : x + 256] = cut
    faces = detector.detect(picture, DetectOptions())
    assert len(faces) == 3
    expected = np.array([(x + 123, y + 119) for x, y in places])
    assert matches(faces, expected) == [1, 1, 1]


def test_a_face_that_fills_a_long_picture(detector: YuNet, astronaut: Image) -> None:
    picture = np.full((12_000, 700, 3), 60, np.uint8)
    large = resized(astronaut[10:186, 130:306], 4)
    picture[8000 : 8000 + len(large), : large.shape[1]] = large[:, :700]
    (face,) = detector.detect(picture, DetectOptions())
    assert 380 < side(face) < 520


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_plain_colors(detector: YuNet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert detector.detect(noise, DetectOptions()) == []
    plain = np.full((200, 300, 3), rng.integers(0, 256, 3), np.uint8)
    assert detector.detect(plain, DetectOptions()) == []

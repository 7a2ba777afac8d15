"""MTCNN: the networks against PyTorch's outputs, the cascade against facenet-pytorch's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament import models as catalog
from lineament.detect import mtcnn
from lineament.detect.boxes import nms
from lineament.detect.detector import DetectOptions
from lineament.detect.mtcnn import MTCNN, onet_landmarks
from lineament.errors import OptionError
from lineament.models.runtime import Model, load_model
from lineament.types import FloatArray, Image

GOLDEN = Path(__file__).parent.parent / "golden" / "mtcnn.npz"  # scripts/build/mtcnn.py --golden
DEMO = Path(lineament.__file__).parent / "data" / "demo" / "astronaut.jpg"

# What facenet-pytorch 2.6.0's own MTCNN(min_face_size=20) finds in the photo.
REFERENCE_BOX = [180.04, 59.68, 268.83, 173.30]
REFERENCE_POINTS = [
    [205.09, 101.09],
    [248.03, 103.45],
    [224.94, 129.21],
    [202.13, 139.82],
    [245.92, 142.45],
]


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    return {name: load_model(catalog.get(f"mtcnn-{name}")) for name in "pro"}


@pytest.fixture(scope="module")
def detector(models: dict[str, Model]) -> MTCNN:
    return MTCNN(models["p"], models["r"], models["o"])


@pytest.fixture(scope="module")
def astronaut() -> Image:
    return np.asarray(PILImage.open(DEMO).convert("RGB"))


def black(height: int, width: int) -> Image:
    return np.zeros((height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("p", ["boxes", "probability"]),
        ("r", ["boxes", "probability"]),
        ("o", ["boxes", "landmarks", "probability"]),
    ],
)
def test_network_computes_what_pytorch_computed(
    models: dict[str, Model], name: str, outputs: list[str]
) -> None:
    with np.load(GOLDEN) as golden:
        got = models[name](golden[f"{name}_image"].astype(np.float32))
        assert len(got) == len(outputs)
        for value, output in zip(got, outputs, strict=True):
            atol = 2e-5 if name == "p" else 1e-4  # their dense layers are kept in float16
            np.testing.assert_allclose(value, golden[f"{name}_{output}"], atol=atol)


def test_finds_what_the_reference_finds(detector: MTCNN, astronaut: Image) -> None:
    (face,) = detector.detect(astronaut, DetectOptions(min_face_px=20))
    assert face.score > 0.99
    assert face.landmarks_xy is not None
    # The eyes are 43 pixels apart. The windows of the two differ, see the module's docstring;
    # its points lie about one pixel to the lower right of ours, from its mixed counting.
    np.testing.assert_allclose(face.landmarks_xy, np.array(REFERENCE_POINTS) - 1, atol=1.6)
    np.testing.assert_allclose(face.box_xyxy, REFERENCE_BOX, atol=4)


def test_a_mirrored_photo_has_mirrored_faces(detector: MTCNN, astronaut: Image) -> None:
    options = DetectOptions(min_face_px=20)
    (face,) = detector.detect(astronaut, options)
    (mirrored,) = detector.detect(np.ascontiguousarray(astronaut[:, ::-1]), options)
    assert face.landmarks_xy is not None
    assert mirrored.landmarks_xy is not None
    expected = face.landmarks_xy[[1, 0, 2, 4, 3]]
    expected[:, 0] = astronaut.shape[1] - 1 - expected[:, 0]
    np.testing.assert_allclose(mirrored.landmarks_xy, expected, atol=3)


def group(astronaut: Image) -> Image:
    """Three faces of three sizes in one picture; the sharpest is not the first."""
    large, picture = astronaut[:256, 100:356], black(256, 640)
    picture[:128, :128] = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
    picture[:256, 128:384] = large
    picture[:192, 384:576] = cv2.resize(large, (192, 192), interpolation=cv2.INTER_AREA)
    return picture


def test_faces_come_sorted_and_no_more_than_asked(detector: MTCNN, astronaut: Image) -> None:
    picture = group(astronaut)
    faces = detector.detect(picture, DetectOptions())
    assert len(faces) == 3
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True)
    assert sorted(round(face.center_xy[0] / 64) for face in faces) == [1, 4, 7]
    first_two = detector.detect(picture, DetectOptions(max_faces=2))
    assert [face.to_dict() for face in first_two] == [face.to_dict() for face in faces[:2]]


def test_min_score_zero_is_not_the_default(models: dict[str, Model], astronaut: Image) -> None:
    def doubtful(batch: FloatArray) -> tuple[FloatArray, ...]:
        boxes, points, probability = models["o"](batch)
        return boxes, points, probability / 2

    detector = MTCNN(models["p"], models["r"], doubtful)
    assert detector.detect(astronaut, DetectOptions(min_face_px=40)) == []
    faces = detector.detect(astronaut, DetectOptions(min_face_px=40, min_score=0.0))
    assert 0.49 < faces[0].score <= 0.5


def test_the_least_face_bounds_the_pyramid(detector: MTCNN, astronaut: Image) -> None:
    # The face is about 100 pixels long.
    assert len(detector.detect(astronaut, DetectOptions(min_face_px=60))) == 1
    assert detector.detect(astronaut, DetectOptions(min_face_px=250)) == []


def test_a_face_at_the_edge_keeps_its_place(detector: MTCNN, astronaut: Image) -> None:
    whole = detector.detect(astronaut, DetectOptions())[0].landmarks_xy
    cut = detector.detect(np.ascontiguousarray(astronaut[80:, 195:]), DetectOptions())
    assert whole is not None
    assert len(cut) == 1
    assert cut[0].landmarks_xy is not None
    np.testing.assert_allclose(cut[0].landmarks_xy, whole - np.float32([195, 80]), atol=6)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (11, 11), (11, 4000), (12, 12), (4000, 13), (300, 400)]
)
def test_no_face_in_a_black_picture_of_any_shape(detector: MTCNN, height: int, width: int) -> None:
    assert detector.detect(black(height, width), DetectOptions()) == []


def test_read_only_and_non_contiguous_pictures(detector: MTCNN, astronaut: Image) -> None:
    view = astronaut[::1, 40:440]
    view.flags.writeable = False
    expected = detector.detect(np.ascontiguousarray(view), DetectOptions())
    assert [f.to_dict() for f in detector.detect(view, DetectOptions())] == [
        f.to_dict() for f in expected
    ]
    assert len(expected) == 1


def test_landmarks_of_no_boxes(models: dict[str, Model], astronaut: Image) -> None:
    results = onet_landmarks(models["o"], astronaut, np.zeros((0, 4), np.float32))
    assert [value.shape for value in results] == [(0, 5, 2), (0, 4), (0,)]


def test_landmarks_near_the_reference_from_a_rough_box(
    models: dict[str, Model], astronaut: Image
) -> None:
    rough = np.array([[176, 66, 276, 170]], np.float32)
    points, boxes, scores = onet_landmarks(models["o"], astronaut, rough)
    np.testing.assert_allclose(points[0], REFERENCE_POINTS, atol=3)
    np.testing.assert_allclose(boxes[0], REFERENCE_BOX, atol=8)
    assert scores[0] > 0.99


def test_landmarks_follow_the_photo(models: dict[str, Model], astronaut: Image) -> None:
    box = np.array([[176, 66, 276, 170]], np.float32)
    shifted = black(600, 700)
    shifted[50:562, 90:602] = astronaut
    expected = onet_landmarks(models["o"], astronaut, box)
    got = onet_landmarks(models["o"], shifted, box + np.float32([90, 50, 90, 50]))
    np.testing.assert_allclose(got[0], expected[0] + np.float32([90, 50]), atol=1e-3)
    np.testing.assert_allclose(got[1], expected[1] + np.float32([90, 50, 90, 50]), atol=1e-3)
    np.testing.assert_allclose(got[2], expected[2], atol=1e-6)


def test_black_margin_is_what_lies_past_the_photo(
    models: dict[str, Model], astronaut: Image
) -> None:
    corner = np.ascontiguousarray(astronaut[90:, 190:])
    box = np.array([[-14, -24, 86, 80]], np.float32)
    padded = black(corner.shape[0] + 100, corner.shape[1] + 100)
    padded[100:, 100:] = corner
    expected = onet_landmarks(models["o"], padded, box + 100)
    got = onet_landmarks(models["o"], corner, box)
    np.testing.assert_allclose(got[0], expected[0] - 100, atol=1e-3)
    np.testing.assert_allclose(got[2], expected[2], atol=1e-6)


def test_a_box_outside_the_photo_is_no_face(models: dict[str, Model], astronaut: Image) -> None:
    outside = np.array([[-300, -300, -200, -200], [700, 10, 800, 110]], np.float32)
    assert (onet_landmarks(models["o"], astronaut, outside)[2] < 0.5).all()


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (np.zeros((4,), np.float32), r"expected shape \(N, 4\), got \(4,\)"),
        (np.zeros((2, 5), np.float32), r"expected shape \(N, 4\), got \(2, 5\)"),
        (np.array([[0, 0, np.nan, 9]], np.float32), "got nan"),
        (np.array([[0, 0, 1e9, 9]], np.float32), "512x512"),
    ],
)
def test_boxes_that_cannot_be_of_this_photo(
    models: dict[str, Model], astronaut: Image, boxes: FloatArray, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        onet_landmarks(models["o"], astronaut, boxes)


class Counting:
    """A model that notes the sizes of its batches and answers with the mean of each picture."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        self.sizes.append(len(batch))
        means = batch.mean(axis=(1, 2, 3))
        return np.zeros((len(batch), 4), np.float32), np.zeros((len(batch), 10), np.float32), means


def test_many_boxes_go_in_several_batches() -> None:
    count = 600
    picture = black(20, count)
    picture[:] = (np.arange(count) % 251)[None, :, None]
    # Pixel n alone, whose center is n and whose edges are n - .5 and n + .5.
    left = np.arange(count, dtype=np.float32) - 0.5
    zero = np.zeros_like(left)
    boxes = np.stack([left, zero - 0.5, left + 1, zero + 0.5], axis=1)
    model = Counting()
    _, refined, scores = onet_landmarks(model, picture, boxes)
    assert model.sizes == [256, 256, 88]
    np.testing.assert_array_equal(scores, np.arange(count) % 251)
    np.testing.assert_array_equal(refined, boxes)


def test_shrinking_takes_the_mean_of_the_area(astronaut: Image) -> None:
    model = Counting()
    seen: list[FloatArray] = []

    def spy(batch: FloatArray) -> tuple[FloatArray, ...]:
        seen.append(batch)
        return model(batch)

    onet_landmarks(spy, astronaut, np.array([[99.5, 49.5, 291.5, 241.5]]))
    window = astronaut[50:242, 100:292].astype(np.float64)
    expected = window.reshape(48, 4, 48, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    np.testing.assert_allclose(seen[0][0], expected, atol=0.51)  # whole numbers


@pytest.mark.parametrize("overlap", ["union", "min"])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_nms_against_the_definition(overlap: str, count: int) -> None:
    rng = np.random.default_rng(count)
    corner = rng.uniform(0, 60, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (count, 2))], axis=1)
    scores = rng.uniform(size=count)

    def shared(a: list[float], b: list[float]) -> float:
        wide = min(a[2], b[2]) - max(a[0], b[0])
        high = min(a[3], b[3]) - max(a[1], b[1])
        if wide <= 0 or high <= 0:
            return 0.0
        areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
        whole = min(areas) if overlap == "min" else sum(areas) - wide * high
        return wide * high / whole

    expected: list[int] = []
    for i in sorted(range(count), key=lambda i: -scores[i]):
        if all(shared(boxes[i].tolist(), boxes[j].tolist()) <= 0.4 for j in expected):
            expected.append(i)
    got = nms(boxes.astype(np.float32), scores.astype(np.float32), 0.4, overlap)  # type: ignore[arg-type]
    assert got.tolist() == expected


def test_points_count_from_the_center_of_the_first_pixel() -> None:
    # Landmarks in the middle and at the lower right end of the window [96, 192) x [48, 144).
    relative = np.array([[0.5, 1, 0, 0, 0, 0.5, 1, 0, 0, 0]], np.float32)

    def model(batch: FloatArray) -> tuple[FloatArray, ...]:
        return np.zeros((1, 4), np.float32), relative, np.ones(1, np.float32)

    box = np.array([[95.5, 47.5, 191.5, 143.5]], np.float32)
    points, refined, _ = onet_landmarks(model, black(300, 300), box)
    np.testing.assert_array_equal(points[0, :3], [[143.5, 95.5], [191.5, 143.5], [95.5, 47.5]])
    np.testing.assert_array_equal(refined, box)


def test_nms_of_equal_and_empty_boxes() -> None:
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9], [5, 5, 5, 5], [5, 5, 5, 5]], np.float32)
    scores = np.array([0.5, 0.5, 0.9, 0.9], np.float32)
    assert nms(boxes, scores, 0.5).tolist() == [2, 3, 0]


def test_the_pyramid_reaches_from_the_least_face_to_the_photo() -> None:
    levels = mtcnn._pyramid(480, 640, 24)
    assert levels[0] == (240, 320)
    assert min(levels[-1]) >= 12
    assert min(levels[-1]) * mtcnn.PYRAMID_STEP < 13
    np.testing.assert_allclose(
        [a[1] / b[1] for a, b in zip(levels[1:], levels, strict=False)], 0.709, atol=0.05
    )

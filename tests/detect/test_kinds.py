"""Detectors from files of the user's, on networks with known answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import detector_networks as made
import numpy as np
import pytest
from detector_networks import Known

from lineament import FaceFinder, Recognizer, models
from lineament.detect import (
    DETECTORS,
    KINDS,
    DetectOptions,
    check_detector,
    load_detector,
    recognize_detector,
)
from lineament.errors import LicenseError, OptionError, WeightsError
from lineament.models import LicensePolicy, catalog
from lineament.types import Image

OPTIONS = DetectOptions(min_face_px=10)
Encode = Callable[..., list[Any]]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_registered", {})
    monkeypatch.setattr(catalog, "_added", [])


def face(score: float, left: float, top: float, width: float, height: float) -> Known:
    shares = ((0.3, 0.4), (0.7, 0.38), (0.52, 0.6), (0.35, 0.8), (0.66, 0.79))
    points = tuple((left + x * width, top + y * height) for x, y in shares)
    return Known(score, (left, top, left + width, top + height), points)


# In pixels of the input, counted from its edge; the second overlaps the first, the last is tiny.
FACES = (
    face(0.95, 40.3, 60.7, 60, 75),
    face(0.90, 56.3, 62.7, 60, 75),
    face(0.80, 150.2, 101.9, 130, 150),
    face(0.55, 210.6, 20.4, 31, 38),
    face(0.30, 20.2, 200.2, 40, 44),
)
KEPT = (0, 2, 3)
SIZE = (320, 320)

FORMS: dict[str, tuple[str, Encode, dict[str, Any], bool, str]] = {
    # name: kind, encoder, its options, whether it has landmarks, how the photo lies in the input
    "scrfd-9": ("scrfd", made.scrfd, {}, True, "corner"),
    "scrfd-6": ("scrfd", made.scrfd, {"points": False, "batch": True}, False, "corner"),
    "scrfd-15": (
        "scrfd",
        made.scrfd,
        {"strides": (8, 16, 32, 64, 128), "anchors": 1},
        True,
        "corner",
    ),
    "retinaface": ("retinaface", made.retinaface, {}, True, "corner"),
    "retinaface-logits": ("retinaface", made.retinaface, {"logits": True}, True, "corner"),
    "centerface": ("centerface", made.centerface, {}, True, "corner"),
    "yolov5": ("yolo", made.yolo_anchors, {}, True, "center"),
    "yolov8": ("yolo", made.yolo_columns, {"channels": 5}, False, "center"),
    "yolov8-points": ("yolo", made.yolo_columns, {"channels": 20}, True, "center"),
    "yolov8-pairs": ("yolo", made.yolo_columns, {"channels": 15}, True, "center"),
    "yolov8-p6": ("yolo", made.yolo_columns, {"strides": (8, 16, 32, 64)}, True, "center"),
    "yolov8-maps": ("yolo", made.yolo_maps, {}, True, "center"),
    "yolov8-plain-maps": ("yolo", made.yolo_maps, {"points": False}, False, "center"),
    "yolo11-nms": ("yolo", made.yolo_suppressed, {"columns": 6}, False, "center"),
    "yolo11-nms-points": ("yolo", made.yolo_suppressed, {"columns": 21}, True, "center"),
    "yolov3": ("yolov3", made.yolov3, {}, False, "center"),
    "yolov3-last": ("yolov3", made.yolov3, {"last": True}, False, "center"),
    "ssd": ("ssd", made.ssd, {}, False, "stretch"),
    "ssd-mobilenet": ("ssd-mobilenet", made.ssd_lists, {}, False, "corner"),
}


def network(folder: Path, form: str, faces: Sequence[Known] = FACES) -> Path:
    _, encode, options, _, _ = FORMS[form]
    outputs = encode(faces, SIZE, **options)
    return made.write(folder / f"{form}.onnx", outputs, SIZE, last=options.get("last", False))


def in_photo(values: Any, photo_wh: tuple[int, int], placing: str) -> np.ndarray:
    """Pixels of the input, from its edge -> pixels of the photo, from its first pixel's center."""
    photo, size = np.array(photo_wh, float), np.array(SIZE, float)
    scale = size / photo if placing == "stretch" else np.full(2, (size / photo).min())
    start = (size - np.rint(photo * scale)) // 2 if placing == "center" else np.zeros(2)
    if placing != "stretch":
        scale = np.rint(photo * scale) / photo
    points = np.asarray(values, float).reshape(-1, 2)
    return (points - start) / scale - 0.5


@pytest.mark.parametrize("form", FORMS)
def test_known_faces_are_found(tmp_path: Path, form: str) -> None:
    kind, _, _, has_points, placing = FORMS[form]
    path = network(tmp_path, form)
    assert recognize_detector(path) == kind
    detector = load_detector(f"{kind}:{path}", turning=False)
    for photo_wh in ((320, 320), (640, 400), (150, 300)):
        image = np.full((photo_wh[1], photo_wh[0], 3), 90, np.uint8)
        found = detector.detect(image, DetectOptions(min_face_px=10, min_score=0.5))
        assert [each.score for each in found] == pytest.approx([0.95, 0.80, 0.55], abs=1e-4)
        for each, number in zip(found, KEPT, strict=True):
            known = FACES[number]
            box = in_photo(known.box, photo_wh, placing).reshape(4)
            np.testing.assert_allclose(each.box_xyxy, box, atol=0.02)
            assert (each.landmarks_xy is not None) == has_points
            if each.landmarks_xy is not None:
                points = in_photo(known.points, photo_wh, placing)
                np.testing.assert_allclose(each.landmarks_xy, points, atol=0.02)


def test_options_hold(tmp_path: Path) -> None:
    detector = load_detector(f"scrfd:{network(tmp_path, 'scrfd-9')}", turning=False)
    image = np.zeros((*SIZE[::-1], 3), np.uint8)

    def scores(**options: Any) -> list[float]:
        return [round(each.score, 2) for each in detector.detect(image, DetectOptions(**options))]

    assert scores() == [0.95, 0.8, 0.55]
    assert scores(min_score=0.2) == [0.95, 0.8, 0.55, 0.3]
    assert scores(min_score=0.9) == [0.95]
    assert scores(max_faces=2) == [0.95, 0.8]
    assert scores(min_face_px=100) == [0.8]


def test_networks_of_any_size_see_what_is_there(tmp_path: Path) -> None:
    path = made.write_spots(tmp_path / "spots.onnx")
    detector = load_detector(f"file:{path}", turning=False)
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:104, 200:204] = 255  # one cell of the input, which has the photo's size
    (found,) = detector.detect(image, DetectOptions(min_score=0.9))
    assert found.score == 1
    np.testing.assert_allclose(found.box_xyxy, [181.5, 77.5, 221.5, 125.5], atol=1e-3)
    assert found.landmarks_xy is not None
    np.testing.assert_allclose(found.landmarks_xy[0], [181.5 + 12, 77.5 + 19.2], atol=1e-3)
    # Enlarged by two since faces of 8 pixels are asked for: the input is 1280x960.
    image[100:104, 200:204] = 0
    image[100:102, 200:202] = 255
    found, *_ = detector.detect(image, DetectOptions(min_face_px=8, min_score=0.2))
    np.testing.assert_allclose(found.box_xyxy, [190.5, 88.5, 210.5, 112.5], atol=0.51)
    np.testing.assert_allclose(found.size_wh, [20, 24], atol=1e-3)


@pytest.mark.parametrize(("order", "channel"), [("rgb", 0), ("bgr", 2)])
def test_a_file_beside_says_what_the_network_is_fed(
    tmp_path: Path, order: str, channel: int
) -> None:
    path = made.write_spots(tmp_path / "spots.onnx", channel=channel)
    path.with_suffix(".toml").write_text(
        f'color_order = "{order}"\nmean = 51\nscale = {1 / 204}\nsize_wh = [320, 320]\n'
        'license_weights = "MIT"\ncommercial_use = "yes"\n'
    )
    name = f"centerface:{path}"
    image = np.zeros((320, 320, 3), np.uint8)
    image[100:104, 200:204] = (204, 0, 0)  # red alone
    policy = LicensePolicy.parse("commercial")
    (found,) = load_detector(name, turning=False, policy=policy).detect(image, OPTIONS)
    assert found.score == pytest.approx((204 - 51) / 204, abs=1e-5)
    card = models.get(DETECTORS[name][0])
    assert (card.license_weights, card.task, card.builder) == ("MIT", "detector", "centerface")


def test_a_name_is_good_everywhere(tmp_path: Path, astronaut: Image) -> None:
    """The face of the demo photo, by a network that knows where it is."""
    size = (512, 512)
    known = face(0.9, 179.5, 63.5, 90, 112)
    path = made.write(tmp_path / "known.onnx", made.yolo_columns([known], size, channels=5), size)
    name = f"yolo:{path}"
    assert name in DETECTORS
    assert name not in list(DETECTORS)
    photo = FaceFinder(name).find(astronaut)
    assert photo.detector == name
    np.testing.assert_allclose(photo.faces[0].box_xyxy, [179, 63, 269, 175], atol=1e-3)
    assert photo.faces[0].landmarks_xy is None
    refined = Recognizer(detector=f"{name}+onet")
    (one,) = refined.finder.find(astronaut).faces
    assert one.landmarks_xy is not None
    np.testing.assert_allclose(one.landmarks_xy[0], [204, 100], atol=3)


def test_cards_of_manifests_are_detectors_by_name(tmp_path: Path) -> None:
    path = network(tmp_path, "scrfd-9")
    name = f"scrfd:{path}"
    card = models.get(DETECTORS[name][0]).replace(name="my-scrfd", file=path.name)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"schema": 1, "weights": [card.to_dict()]}))
    models.add_manifest(manifest)
    assert {"my-scrfd", "my-scrfd+onet"} <= set(DETECTORS)
    image = np.zeros((*SIZE[::-1], 3), np.uint8)
    assert len(load_detector("my-scrfd", turning=False).detect(image, OPTIONS)) == 3


def test_deepfaces_names_stand_for_files_that_were_added(tmp_path: Path) -> None:
    from lineament.compat.deepface import _models as compat

    path = network(tmp_path, "scrfd-9")
    compat.detector_of.cache_clear()
    with pytest.warns(UserWarning, match=r"models add FILE.onnx --as retinaface"):
        assert compat.detector_of("retinaface") == "yunet+onet"
    compat.detector_of.cache_clear()
    models.add(models.get(DETECTORS[f"scrfd:{path}"][0]).replace(name="retinaface"))
    assert compat.detector_of("retinaface") == "retinaface"
    compat.detector_of.cache_clear()


def test_licenses_are_asked_for(tmp_path: Path) -> None:
    name = f"scrfd:{network(tmp_path, 'scrfd-9')}"
    check_detector(name, LicensePolicy.parse("any"))
    with pytest.raises(LicenseError, match="scrfd-scrfd-9"):
        load_detector(name, policy=LicensePolicy.parse("commercial"))


# --- what is refused ------------------------------------------------------------------------------


def test_a_network_of_another_kind(tmp_path: Path) -> None:
    path = network(tmp_path, "scrfd-9")
    with pytest.raises(WeightsError) as caught:
        load_detector(f"retinaface:{path}")
    assert "expected a network of the kind retinaface with offsets (1, N, 4)" in str(caught.value)
    assert "got outputs of 3200x1, 800x1" in str(caught.value)
    assert caught.value.hint == "its outputs are those of the kind scrfd"


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.is_network])
def test_a_network_of_no_kind(tmp_path: Path, kind: str) -> None:
    path = made.write(tmp_path / "other.onnx", [np.zeros((1, 7, 7)), np.zeros((1, 3))], SIZE)
    assert recognize_detector(path) is None
    with pytest.raises(WeightsError, match=f"the kind {kind} with .* got outputs of 1x7x7, 1x3"):
        load_detector(f"{kind}:{path}")


# Of the others any number of rows is right.
@pytest.mark.parametrize(
    "form", [form for form in FORMS if "ssd" not in form and "nms" not in form]
)
def test_outputs_that_lack_a_cell(tmp_path: Path, form: str) -> None:
    kind, encode, options, _, _ = FORMS[form]
    outputs = encode(FACES, SIZE, **options)
    long = int(np.argmax(np.array(outputs[0].shape)))
    outputs[0] = np.delete(outputs[0], 0, axis=long)
    path = made.write(tmp_path / "short.onnx", outputs, SIZE, last=options.get("last", False))
    with pytest.raises(WeightsError, match="expected a network of the kind"):
        load_detector(f"{kind}:{path}")
    with pytest.raises(WeightsError, match="expected a detector of a known kind"):
        load_detector(f"file:{path}")


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "face.onnx"
    with pytest.raises(WeightsError, match=r"expected a file of the kind yolo, got: no such file"):
        load_detector(f"yolo:{path}")
    path.write_bytes(b"not a network")
    for name in (f"yolo:{path}", f"file:{path}"):
        with pytest.raises(WeightsError, match="expected"):
            load_detector(name)
    assert recognize_detector(path) is None
    with pytest.raises(OptionError, match="expected one of yunet") as caught:
        load_detector(f"yolov99:{path}")
    assert "KIND:FILE" in str(caught.value.hint)


def test_inputs_that_are_none(tmp_path: Path) -> None:
    import onnx

    path = network(tmp_path, "scrfd-9")
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 10
    onnx.save(model, str(path))
    with pytest.raises(WeightsError, match="expected a batch of 1, or a free one, got one of 10"):
        load_detector(f"scrfd:{path}")
    assert recognize_detector(path) is None


def test_numbers_that_are_none_are_no_faces(tmp_path: Path) -> None:
    outputs = made.yolo_columns(FACES, SIZE, channels=20)
    outputs[0][0, 0, 3] = np.nan
    outputs[0][0, 2, 17] = np.inf
    outputs[0][0, 3, 24] = -5
    path = made.write(tmp_path / "nan.onnx", outputs, SIZE)
    image = np.zeros((*SIZE[::-1], 3), np.uint8)
    found = load_detector(f"yolo:{path}", turning=False).detect(image, OPTIONS)
    assert [round(each.score, 2) for each in found] == [0.9]


def test_a_changed_file_is_another_detector(tmp_path: Path) -> None:
    path = network(tmp_path, "scrfd-9")
    before = DETECTORS[f"scrfd:{path}"]
    made.write(path, made.scrfd(FACES[:1], SIZE), SIZE)
    assert DETECTORS[f"scrfd:{path}"] != before
    image = np.zeros((*SIZE[::-1], 3), np.uint8)
    assert len(load_detector(f"scrfd:{path}", turning=False).detect(image, OPTIONS)) == 1

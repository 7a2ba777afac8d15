"""insightface's FaceAnalysis and Face."""

from __future__ import annotations

import inspect
from typing import Any

import cv2
import numpy as np
import pytest

import lineament.compat.insightface as insightface
from lineament.compat.insightface.app import FaceAnalysis
from lineament.compat.insightface.app.common import KNOWN, Face
from lineament.compat.insightface.data import get_image as ins_get_image
from lineament.compat.insightface.model_zoo import DetectionModel, RecognitionModel
from lineament.compat.insightface.utils import face_align
from lineament.errors import WeightsError
from lineament.pipeline import Recognizer
from lineament.types import Image


@pytest.fixture(scope="module")
def app() -> FaceAnalysis:
    app = FaceAnalysis(providers=["CUDAExecutionProvider", "CPUExecutionProvider"])
    app.prepare(ctx_id=0, det_size=(640, 640))
    return app


@pytest.fixture(scope="module")
def group() -> Image:
    return ins_get_image("t1")


@pytest.fixture(scope="module")
def faces(app: FaceAnalysis, group: Image) -> list[Face]:
    return app.get(group)


def test_the_readme_example(app: FaceAnalysis, group: Image, faces: list[Face]) -> None:
    assert isinstance(app, insightface.FaceAnalysis)
    assert len(faces) >= 5
    drawn = app.draw_on(group, faces)
    assert drawn.shape == group.shape
    assert (drawn != group).any()
    assert cv2.imencode(".jpg", drawn)[0]


def test_signatures() -> None:
    def bare(function: Any) -> str:
        found = inspect.signature(function).parameters.values()
        return str(inspect.Signature([each.replace(annotation=each.empty) for each in found]))

    assert bare(FaceAnalysis) == (
        "(name='buffalo_l', root='~/.insightface', allowed_modules=None, *, addons=None, "
        "liveness_mode='normal', liveness_threshold=0.8, **kwargs)"
    )
    assert bare(FaceAnalysis.prepare) == "(self, ctx_id=0, det_thresh=0.5, det_size=None)"
    assert bare(FaceAnalysis.get) == "(self, img, max_num=0, det_metric='default')"
    assert bare(Face) == "(d=None, **kwargs)"


def test_what_a_face_has(faces: list[Face]) -> None:
    face = faces[0]
    assert (face.bbox.dtype, face.bbox.shape) == (np.float32, (4,))
    assert (face.kps.dtype, face.kps.shape) == (np.float32, (5, 2))
    assert face.kps[0, 0] < face.kps[1, 0]  # the viewer's left first
    assert isinstance(face.det_score, np.float32)
    assert face["embedding"] is face.embedding
    assert face.embedding.dtype == np.float32
    assert np.linalg.norm(face.normed_embedding) == pytest.approx(1, abs=1e-5)
    assert face.embedding_norm == pytest.approx(float(np.linalg.norm(face.embedding)))
    assert isinstance(face.age, int)
    assert isinstance(face.gender, np.int64)
    assert face.sex in ("M", "F")
    assert (face.pose.dtype, face.pose.shape) == (np.float32, (3,))
    scores = [each.det_score for each in faces]
    assert scores == sorted(scores, reverse=True)


def test_what_was_not_computed_is_none(faces: list[Face]) -> None:
    for name in ("landmark_2d_106", "landmark_3d_68", "liveness"):
        assert getattr(faces[0], name) is None
    with pytest.raises(KeyError):
        faces[0]["liveness"]
    empty = Face()
    for name in (*KNOWN, "normed_embedding", "embedding_norm", "sex"):
        assert getattr(empty, name) is None


def test_a_misspelt_attribute_is_found(faces: list[Face]) -> None:
    with pytest.raises(AttributeError, match="no attribute 'embeding'"):
        faces[0].embeding  # noqa: B018
    assert not hasattr(faces[0], "landmarks")


def test_faces_are_dicts() -> None:
    face = Face({"bbox": np.arange(4), "liveness": {"is_live": True}}, gender=0)
    assert face.sex == "F"
    assert face.liveness.is_live is None or face.liveness["is_live"] is True
    face.age = 7
    assert face["age"] == 7
    assert Face(gender=1).sex == "M"
    assert set(face) == {"bbox", "liveness", "gender", "age"}


def test_embeddings_are_those_of_lineament(app: FaceAnalysis) -> None:
    image = ins_get_image("obama")
    (face,) = app.get(image)
    expected = Recognizer().embed(np.ascontiguousarray(image[..., ::-1]))
    assert face.normed_embedding @ expected.vector > 0.9999
    assert len(face.embedding) == expected.contract.dimension
    (other,) = app.get(ins_get_image("obama2"))
    assert face.normed_embedding @ other.normed_embedding > Recognizer().threshold().value


def test_fewer_faces(app: FaceAnalysis, group: Image, faces: list[Face]) -> None:
    def area(face: Face) -> float:
        left, top, right, bottom = face.bbox.tolist()
        return (right - left) * (bottom - top)

    (largest,) = app.get(group, max_num=1, det_metric="max")
    assert area(largest) == max(map(area, faces))
    (central,) = app.get(group, max_num=1)
    height, width = group.shape[:2]
    middle = np.array([width, height]) / 2

    def worth(face: Face) -> float:
        center = face.bbox.reshape(2, 2).mean(axis=0)
        return area(face) - 2 * float(((center - middle) ** 2).sum())

    assert worth(central) == pytest.approx(max(map(worth, faces)))
    assert app.get(np.zeros((60, 60, 3), np.uint8)) == []


def test_modules_and_thresholds(group: Image) -> None:
    app = FaceAnalysis(allowed_modules=["detection"])
    app.prepare(ctx_id=-1, det_thresh=0.99)
    assert set(app.models) == {"detection"}
    found = app.get(group)
    assert all(face.det_score >= 0.99 for face in found)
    assert all(face.embedding is None and face.age is None for face in found)
    assert (app.det_thresh, app.det_size) == (0.99, None)


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"allowed_modules": ["recognition"]}, AssertionError, "expected detection"),
        ({"addons": "liveness"}, TypeError, "expected a sequence"),
        ({"addons": ["liveness"]}, ValueError, "not available"),
        ({"addons": ["x", "x"]}, ValueError, "expected each once"),
        ({"liveness_mode": "strict"}, ValueError, "normal or observe"),
        ({"liveness_threshold": True}, TypeError, "expected a number"),
        ({"liveness_threshold": 2}, ValueError, "expected 0 to 1"),
        ({"name": "buffalo_l"}, WeightsError, "license forbids commercial use"),
        ({"name": "nobody"}, WeightsError, "no weights are called"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        FaceAnalysis(**arguments)


def test_photos_that_are_none(app: FaceAnalysis) -> None:
    with pytest.raises(ValueError, match="uint8 of shape"):
        app.get(np.zeros((5, 5), np.uint8))
    with pytest.raises(ValueError, match="uint8 of shape"):
        app.get(None)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="expected one of t1"):
        ins_get_image("../secret")
    rgb = ins_get_image("obama", to_rgb=True)
    np.testing.assert_array_equal(rgb[..., ::-1], ins_get_image("obama"))


# --- model_zoo, face_align ------------------------------------------------------------------------


def test_a_recognition_model(app: FaceAnalysis, faces: list[Face], group: Image) -> None:
    model = insightface.model_zoo.get_model("recognition", providers=["CPUExecutionProvider"])
    assert isinstance(model, RecognitionModel)
    model.prepare(ctx_id=0)
    assert (model.taskname, model.input_size) == ("recognition", (112, 112))
    face = Face(bbox=faces[0].bbox, kps=faces[0].kps)
    embedding = model.get(group, face)
    assert face.embedding is embedding
    assert model.output_shape == (1, len(embedding))
    assert model.compute_sim(embedding, faces[0].embedding) > 0.9999
    chip = face_align.norm_crop(group, faces[0].kps)
    features = model.get_feat([chip, chip])
    assert features.shape == (2, len(embedding))
    assert model.compute_sim(features[0], embedding) > 0.98
    np.testing.assert_allclose(model.get_feat(chip), features[:1], rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="crops of 112 x 112"):
        model.get_feat(group)
    with pytest.raises(ValueError, match="with bbox and kps"):
        model.get(group, Face())
    with pytest.raises(ValueError, match="of one length"):
        model.compute_sim(np.ones(3), np.ones(4))


def test_a_detection_model(faces: list[Face], group: Image) -> None:
    model = insightface.model_zoo.get_model("detection")
    assert isinstance(model, DetectionModel)
    model.prepare(ctx_id=-1, input_size=(640, 640))
    boxes, points = model.detect(group)
    assert points is not None
    assert (boxes.dtype, points.dtype) == (np.float32, np.float32)
    np.testing.assert_array_equal(boxes[:, :4], [face.bbox for face in faces])
    np.testing.assert_array_equal(boxes[:, 4], [face.det_score for face in faces])
    np.testing.assert_array_equal(points, [face.kps for face in faces])
    largest, _ = model.detect(group, max_num=1, metric="max")
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    np.testing.assert_array_equal(largest[0], boxes[np.argmax(sizes)])
    none, no_points = model.detect(np.zeros((80, 80, 3), np.uint8), det_thresh=0.9)
    assert none.shape == (0, 5)
    assert no_points is not None
    assert no_points.shape == (0, 5, 2)


@pytest.mark.parametrize("name", ["buffalo_l", "no-such-model"])
def test_models_that_are_not_here(name: str) -> None:
    with pytest.raises(WeightsError):
        insightface.model_zoo.get_model(name)


@pytest.mark.parametrize(("size", "shift"), [(112, 0), (224, 0), (128, 8), (256, 16)])
def test_crops_by_five_points(size: int, shift: float) -> None:
    """Points that are the template, turned, scaled and moved, come back to it."""
    side = 112 if size % 112 == 0 else 128
    places = np.array(face_align.ARCFACE) * size / side + [shift, 0]
    turned = (places @ [1, 1j]) * (0.5 + 0.3j) + (20 - 7j)
    points = np.stack([turned.real, turned.imag], 1)
    transform = face_align.estimate_norm(points, size)
    np.testing.assert_allclose(points @ transform[:, :2].T + transform[:, 2], places, atol=1e-6)
    image = np.full((300, 300, 3), 9, np.uint8)
    crop = face_align.norm_crop(image, points, size)
    assert crop.shape == (size, size, 3)
    assert crop.max() == 9
    assert crop.min() == 0  # black outside


@pytest.mark.parametrize("size", [0, 100, -112])
def test_sizes_that_crops_do_not_have(size: int) -> None:
    with pytest.raises(AssertionError, match="a multiple of 112 or 128"):
        face_align.norm_crop(np.zeros((9, 9, 3), np.uint8), np.eye(5, 2), size)
    with pytest.raises(AssertionError, match=r"expected \(5, 2\) numbers"):
        face_align.estimate_norm(np.eye(4))


def test_modules_are_where_insightface_has_them() -> None:
    assert insightface.app.Face is Face
    assert insightface.app.FaceAnalysis is FaceAnalysis
    assert insightface.utils.face_align is face_align

    def bare(function: Any) -> str:
        found = inspect.signature(function).parameters.values()
        return str(inspect.Signature([each.replace(annotation=each.empty) for each in found]))

    assert bare(face_align.norm_crop) == "(img, landmark, image_size=112, mode='arcface')"
    assert bare(DetectionModel.detect) == (
        "(self, img, input_size=None, max_num=0, metric='default', det_thresh=None)"
    )
    assert bare(insightface.model_zoo.get_model) == "(name, **kwargs)"

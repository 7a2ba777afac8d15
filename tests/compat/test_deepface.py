"""deepface's interface: names, defaults, keys, types, exceptions, and what means another thing."""

from __future__ import annotations

import base64
import inspect
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.compat import DeepFace
from lineament.compat.deepface import _faces as deepface_faces
from lineament.compat.deepface import _models as known
from lineament.compat.deepface import _store as store
from lineament.compat.deepface import _stream as streaming
from lineament.compat.deepface.commons import image_utils
from lineament.compat.deepface.commons.logger import Logger
from lineament.compat.deepface.config.threshold import thresholds
from lineament.compat.deepface.modules import exceptions, verification
from lineament.errors import LineamentError
from lineament.files import DATA
from lineament.gallery import Gallery
from lineament.pipeline import DEFAULT_RECOGNIZER, Recognizer
from lineament.types import Liveness

DEMO = DATA / "demo"
OBAMA, OBAMA2, BIDEN, GROUP = (
    str(DEMO / f"{name}.jpg") for name in ("obama", "obama2", "biden", "group")
)

SIGNATURES = {
    "build_model": "(model_name, task='facial_recognition')",
    "verify": "(img1_path, img2_path, model_name='VGG-Face', detector_backend='opencv', "
    "distance_metric='cosine', enforce_detection=True, align=True, expand_percentage=0, "
    "normalization='base', silent=False, threshold=None, anti_spoofing=False)",
    "analyze": "(img_path, actions=('emotion', 'age', 'gender', 'race'), enforce_detection=True, "
    "detector_backend='opencv', align=True, expand_percentage=0, silent=False, "
    "anti_spoofing=False)",
    "find": "(img_path, db_path, model_name='VGG-Face', distance_metric='cosine', "
    "enforce_detection=True, detector_backend='opencv', align=True, similarity_search=False, "
    "k=None, expand_percentage=0, threshold=None, normalization='base', silent=False, "
    "refresh_database=True, anti_spoofing=False, datastore_format='npz', return_type=None, "
    "**older)",
    "represent": "(img_path, model_name='VGG-Face', enforce_detection=True, "
    "detector_backend='opencv', align=True, expand_percentage=0, normalization='base', "
    "anti_spoofing=False, max_faces=None, l2_normalize=False, minmax_normalize=False, "
    "return_face=False)",
    "extract_faces": "(img_path, detector_backend='opencv', enforce_detection=True, align=True, "
    "expand_percentage=0, grayscale=False, color_face='rgb', normalize_face=True, "
    "anti_spoofing=False)",
    "detectFace": "(img_path, target_size=(224, 224), detector_backend='opencv', "
    "enforce_detection=True, align=True)",
    "register": "(img, img_name=None, model_name='VGG-Face', detector_backend='opencv', "
    "enforce_detection=True, align=True, l2_normalize=False, expand_percentage=0, "
    "normalization='base', anti_spoofing=False, database_type='postgres', "
    "connection_details=None, connection=None)",
    "search": "(img, model_name='VGG-Face', detector_backend='opencv', distance_metric='cosine', "
    "enforce_detection=True, align=True, l2_normalize=False, expand_percentage=0, "
    "normalization='base', anti_spoofing=False, similarity_search=False, k=None, "
    "database_type='postgres', connection_details=None, connection=None, search_method='exact', "
    "return_type=None)",
    "identify": "(img, identity_id, model_name='VGG-Face', detector_backend='opencv', "
    "distance_metric='cosine', enforce_detection=True, align=True, l2_normalize=False, "
    "expand_percentage=0, normalization='base', anti_spoofing=False, database_type='postgres', "
    "connection_details=None, connection=None)",
    "stream": "(db_path='', model_name='VGG-Face', detector_backend='opencv', "
    "distance_metric='cosine', enable_face_analysis=True, source=0, time_threshold=5, "
    "frame_threshold=5, anti_spoofing=False, output_path=None, debug=False)",
    "build_index": "(model_name='VGG-Face', detector_backend='opencv', align=True, "
    "l2_normalize=False, database_type='postgres', connection=None, connection_details=None, "
    "max_neighbors_per_node=32)",
}
"""Those of deepface 0.0.103; ``older`` is ours."""

EXCEPTIONS = (
    *("ImgNotFound", "PathNotFound", "FaceNotDetected", "SpoofDetected", "EmptyDatasource"),
    *("DimensionMismatchError", "InvalidEmbeddingsShapeError", "DataTypeError"),
    *("UnimplementedError", "DuplicateEntryError"),
)

VERIFY_KEYS = [
    *("verified", "distance", "threshold", "confidence", "model", "detector_backend"),
    *("similarity_metric", "facial_areas", "time"),
]
FIND_COLUMNS = [
    *("identity", "hash", "target_x", "target_y", "target_w", "target_h", "threshold"),
    *("source_x", "source_y", "source_w", "source_h", "distance", "confidence"),
]
SEARCH_COLUMNS = [
    *("id", "img_name", "model_name", "detector_backend", "aligned", "l2_normalized"),
    *("search_method", "target_x", "target_y", "target_w", "target_h", "threshold"),
    *("distance_metric", "distance", "confidence"),
]


@pytest.fixture(autouse=True)
def _own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(store, "_stores", {})
    known.detector_of.cache_clear()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photos, as the README of deepface names them; the home folder is in it."""
    for number, path in enumerate((OBAMA, OBAMA2, BIDEN), 1):
        shutil.copy(path, tmp_path / f"img{number}.jpg")
    shutil.copy(OBAMA, tmp_path / "img.jpg")
    (tmp_path / "my_db" / "Alice").mkdir(parents=True)
    shutil.copy(OBAMA2, tmp_path / "my_db" / "Alice" / "1.jpg")
    shutil.copy(BIDEN, tmp_path / "my_db" / "b.JPG")
    PILImage.new("RGB", (40, 40)).save(tmp_path / "my_db" / "empty.png")
    (tmp_path / "my_db" / "broken.jpg").write_bytes(b"no photo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    return tmp_path


def bgr(path: str) -> Any:
    return np.asarray(PILImage.open(path).convert("RGB"))[..., ::-1]


# --- what there is --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    found = inspect.signature(getattr(DeepFace, name))
    bare = [each.replace(annotation=each.empty) for each in found.parameters.values()]
    assert str(inspect.Signature(bare)) == SIGNATURES[name]


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions(name: str) -> None:
    kind = getattr(exceptions, name)
    assert issubclass(kind, ValueError)
    assert issubclass(kind, LineamentError)
    assert str(kind("words")) == "words"


def test_what_is_not_here_says_what_to_do() -> None:
    for name, words in (("cli", "lineament"), ("verfy", "verfy")):
        with pytest.raises(AttributeError, match=words):
            getattr(DeepFace, name)


def test_importing_changes_nothing(tmp_path: Path) -> None:
    code = (
        "import os, warnings, cv2, numpy; before = list(warnings.filters), dict(os.environ)\n"
        "from lineament.compat.deepface import DeepFace\n"
        "assert (list(warnings.filters), dict(os.environ)) == before"
    )
    environment = os.environ | {"HOME": str(tmp_path), "LINEAMENT_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


# --- the README -----------------------------------------------------------------------------------


def test_the_readme_verifies(here: Path) -> None:
    result = DeepFace.verify(img1_path="img1.jpg", img2_path="img2.jpg")
    assert list(result)[:9] == VERIFY_KEYS
    assert list(result)[9:] == ["probability", "interval"]
    assert result["verified"] is True
    assert {type(result[key]) for key in ("distance", "threshold", "confidence", "time")} == {float}
    assert result["distance"] <= result["threshold"]
    assert 51 <= result["confidence"] <= 100
    assert result["similarity_metric"] == "cosine"
    assert (result["model"], result["detector_backend"]) == (
        Recognizer(DEFAULT_RECOGNIZER).weights.name,
        "yunet+onet",
    )
    other = DeepFace.verify(img1_path="img1.jpg", img2_path="img3.jpg")
    assert other["verified"] is False
    assert other["confidence"] <= 49


@pytest.mark.slow
def test_the_readme_finds_registers_and_searches(here: Path) -> None:
    dfs = DeepFace.find(img_path="img1.jpg", db_path="my_db")
    assert [list(df["identity"]) for df in dfs] == [[str(Path("my_db", "Alice", "1.jpg"))]]
    assert DeepFace.register(img="img1.jpg") == {"inserted": 1}
    assert DeepFace.register(img=["img2.jpg", "img3.jpg"]) == {"inserted": 2}
    dfs = DeepFace.search(img="img1.jpg")
    assert list(dfs[0]["img_name"]) == ["img1.jpg", "img2.jpg"]
    DeepFace.build_index()
    approximate = DeepFace.search(img="img1.jpg", search_method="ann")
    assert list(approximate[0]["img_name"]) == ["img1.jpg", "img2.jpg"]
    identity_id = str(dfs[0]["id"][1])
    result = DeepFace.identify(img="img.jpg", identity_id=identity_id)
    assert result["verified"] is True
    assert (result["id"], result["img_name"]) == (int(identity_id), "img2.jpg")
    assert result["facial_areas"]["img2"] is None


def test_the_readme_analyzes(here: Path) -> None:
    with pytest.warns(UserWarning, match="race is not offered"):
        objs = DeepFace.analyze(img_path="img.jpg", actions=["age", "gender", "race", "emotion"])
    (face,) = objs
    assert set(face) == {
        *("age", "gender", "dominant_gender", "emotion", "dominant_emotion"),
        *("region", "face_confidence"),
    }
    assert isinstance(face["age"], int)
    assert 20 < face["age"] < 70
    assert set(face["gender"]) == {"Woman", "Man"}
    assert face["gender"]["Man"] > 80
    assert sum(face["gender"].values()) == pytest.approx(100)
    assert face["dominant_gender"] == "Man"
    assert list(face["emotion"]) == [
        *("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    ]
    assert sum(face["emotion"].values()) == pytest.approx(100)
    assert face["dominant_emotion"] == "happy"
    assert isinstance(face["emotion"]["happy"], float)
    with pytest.raises(KeyError, match="race is not offered"):
        face["dominant_race"]


def test_a_picture_that_is_a_face_is_analyzed_as_a_whole() -> None:
    (face,) = DeepFace.analyze(
        OBAMA,
        actions=["age", "gender", "emotion"],
        enforce_detection=False,
        detector_backend="skip",
    )
    assert face["face_confidence"] == 0
    assert 0 <= face["age"] < 100
    assert sum(face["emotion"].values()) == pytest.approx(100)
    for name, shape in (("Gender", (2,)), ("Emotion", (7,))):
        client = DeepFace.build_model(name, "facial_attribute")
        assert client.predict(bgr(OBAMA)).shape == shape
        assert client.predict([bgr(OBAMA)]).sum() == pytest.approx(1)


def test_the_readme_represents(here: Path) -> None:
    embedding_objs = DeepFace.represent(img_path="img.jpg")
    for embedding_obj in embedding_objs:
        embedding = embedding_obj["embedding"]
        assert isinstance(embedding, list)
        assert isinstance(embedding[0], float)
    assert set(embedding_objs[0]) == {"embedding", "facial_area", "face_confidence"}


@pytest.mark.parametrize("model_name", ["SFace", pytest.param("Dlib", marks=pytest.mark.slow)])
def test_the_readmes_models(here: Path, model_name: str) -> None:
    result = DeepFace.verify("img1.jpg", "img2.jpg", model_name=model_name)
    assert result["verified"] is True
    assert result["model"] == known.OWN[model_name]
    dfs = DeepFace.find(img_path="img1.jpg", db_path="my_db", model_name=model_name)
    assert len(dfs[0]) == 1
    embeddings = DeepFace.represent(img_path="img.jpg", model_name=model_name)
    assert len(embeddings[0]["embedding"]) == known.PUBLISHED[model_name][1]


@pytest.mark.parametrize("model_name", sorted(set(known.PUBLISHED) - set(known.OWN)))
def test_models_that_are_not_here(model_name: str) -> None:
    with pytest.raises(exceptions.UnimplementedError, match=r"no weights of .*models add"):
        DeepFace.build_model(model_name)


@pytest.mark.parametrize(
    "detector",
    [
        *("opencv", "yunet", "skip"),
        pytest.param("mtcnn", marks=pytest.mark.slow),
        pytest.param("mediapipe", marks=pytest.mark.slow),
    ],
)
def test_the_readmes_detectors(here: Path, detector: str) -> None:
    for align in (True, False):
        objs = DeepFace.extract_faces("img.jpg", detector_backend=detector, align=align)
        assert len(objs) == 1
        assert objs[0]["face"].max() <= 1.0


@pytest.mark.parametrize("detector", known.REPLACED)
def test_detectors_that_others_stand_for(detector: str) -> None:
    with pytest.warns(UserWarning, match=f"the detector {detector} is not part"):
        assert known.detector_of(detector) == "yunet+onet"
    assert known.detector_of(detector) == "yunet+onet"  # said once
    empty = np.zeros((40, 40, 3), np.uint8)
    result = DeepFace.verify(empty, empty, detector_backend=detector, enforce_detection=False)
    assert result["detector_backend"] == "yunet+onet"


@pytest.mark.parametrize(
    "metric",
    ["cosine", "euclidean", *(pytest.param(m, marks=pytest.mark.slow) for m in known.METRICS[2:])],
)
def test_the_readmes_metrics(here: Path, metric: str) -> None:
    same = DeepFace.verify("img1.jpg", "img2.jpg", distance_metric=metric)
    other = DeepFace.verify("img1.jpg", "img3.jpg", distance_metric=metric)
    assert (same["verified"], other["verified"]) == (True, False)
    assert same["threshold"] == pytest.approx(verification.find_threshold(known.VGG_FACE, metric))
    dfs = DeepFace.find("img1.jpg", "my_db", distance_metric=metric, similarity_search=True)
    assert list(dfs[0]["distance"]) == sorted(dfs[0]["distance"])
    assert dfs[0]["distance"][0] == pytest.approx(same["distance"], abs=2e-2)


# --- photos ---------------------------------------------------------------------------------------


def test_what_counts_as_a_photo(here: Path) -> None:
    data = Path("img1.jpg").read_bytes()
    text = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    file = io.BytesIO(data)
    file.read(10)  # is rewound
    expected = DeepFace.represent("img1.jpg")[0]["embedding"]
    for source in (Path("img1.jpg"), text, file, bgr("img1.jpg")):
        found = DeepFace.represent(source)[0]["embedding"]
        assert verification.find_cosine_distance(found, expected) < 1e-3
    wrong = DeepFace.represent(np.ascontiguousarray(bgr("img1.jpg")[..., ::-1]))[0]["embedding"]
    assert verification.find_cosine_distance(wrong, expected) > 0.005


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("none.jpg", exceptions.ImgNotFound, r"Confirm that none\.jpg exists"),
        (7, exceptions.DataTypeError, "img must be numpy array or str but it is <class 'int'>"),
        (io.StringIO("text"), exceptions.DataTypeError, "must give bytes"),
        (np.zeros((5, 5), np.uint8), exceptions.DataTypeError, "Input img must be 3 dimensional"),
        ("data:image/jpeg;base64,????", ValueError, "format error in base64"),
        (io.BytesIO(b"no photo"), ValueError, "Failed to decode image"),
    ],
)
def test_what_is_no_photo(source: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        DeepFace.represent(source)


def test_names_in_any_script(tmp_path: Path) -> None:
    """deepface refuses paths that are not ASCII."""
    path = tmp_path / "Ünïcode-顔.jpg"
    shutil.copy(OBAMA, path)
    assert len(DeepFace.extract_faces(str(path))) == 1


# --- faces ----------------------------------------------------------------------------------------


def test_facial_areas() -> None:
    (face,) = DeepFace.extract_faces(OBAMA)
    area = face["facial_area"]
    assert list(area)[:6] == ["x", "y", "w", "h", "left_eye", "right_eye"]
    assert {type(area[key]) for key in "xywh"} == {int}
    assert area["left_eye"][0] > area["right_eye"][0]  # the person's own left
    assert area["mouth_left"][0] > area["mouth_right"][0]
    assert face["face"].shape == (area["h"], area["w"], 3)
    assert face["face"].dtype == np.float64
    assert 0.5 < face["face"].max() <= 1
    assert face["confidence"] == round(face["confidence"], 2)
    pixels = np.asarray(PILImage.open(OBAMA).convert("RGB"))
    middle = pixels[area["y"] + area["h"] // 2, area["x"] + area["w"] // 2]
    shown = face["face"][area["h"] // 2, area["w"] // 2] * 255
    assert np.abs(shown - middle).max() < 30  # RGB


def test_cut_outs() -> None:
    (plain,) = DeepFace.extract_faces(OBAMA, normalize_face=False)
    (wide,) = DeepFace.extract_faces(OBAMA, normalize_face=False, expand_percentage=50)
    (swapped,) = DeepFace.extract_faces(OBAMA, normalize_face=False, color_face="bgr")
    (gray,) = DeepFace.extract_faces(OBAMA, normalize_face=False, color_face="gray")
    height, width = plain["face"].shape[:2]
    assert plain["face"].dtype == np.uint8
    np.testing.assert_allclose(wide["face"].shape[:2], (1.5 * height, 1.5 * width), atol=1.5)
    np.testing.assert_array_equal(swapped["face"], plain["face"][..., ::-1])
    assert gray["face"].shape == (height, width)
    with pytest.warns(UserWarning, match="grayscale is deprecated"):
        (older,) = DeepFace.extract_faces(OBAMA, normalize_face=False, grayscale=True)
    np.testing.assert_array_equal(older["face"], gray["face"])
    with pytest.warns(UserWarning, match="expand_percentage must be 0 or more"):
        DeepFace.extract_faces(OBAMA, expand_percentage=-5)
    with pytest.warns(DeprecationWarning, match="call extract_faces"):
        shown = DeepFace.detectFace(OBAMA)
    assert (shown.shape, shown.dtype) == ((1, 224, 224, 3), np.float32)


@pytest.mark.slow
def test_eyes_are_level_in_cut_outs(tmp_path: Path) -> None:
    path = tmp_path / "turned.png"
    PILImage.open(OBAMA).rotate(25, expand=True).save(path)
    for align, least, most in ((True, 0, 6), (False, 15, 35)):
        (face,) = DeepFace.extract_faces(str(path), align=align, expand_percentage=40)
        pixels = (face["face"] * 255).astype(np.uint8)[..., ::-1]
        (again,) = DeepFace.extract_faces(np.ascontiguousarray(pixels))
        (x1, y1), (x2, y2) = (again["facial_area"][f"{side}_eye"] for side in ("right", "left"))
        assert least <= abs(np.degrees(np.arctan2(y2 - y1, x2 - x1))) <= most


def test_a_photo_without_a_face() -> None:
    empty = np.zeros((40, 50, 3), np.uint8)
    with pytest.raises(
        exceptions.FaceNotDetected, match="Face could not be detected in numpy array"
    ):
        DeepFace.extract_faces(empty)
    (whole,) = DeepFace.extract_faces(empty, enforce_detection=False)
    assert whole["face"].shape == (40, 50, 3)
    assert whole["confidence"] == 0.0
    assert whole["facial_area"] == {
        "x": 0,
        "y": 0,
        "w": 49,
        "h": 39,
        "left_eye": None,
        "right_eye": None,
    }
    (row,) = DeepFace.represent(bgr(OBAMA), detector_backend="skip")
    height, width = bgr(OBAMA).shape[:2]
    assert row["facial_area"] == {"x": 0, "y": 0, "w": width, "h": height}
    assert row["face_confidence"] == 0


def test_embeddings() -> None:
    (row,) = DeepFace.represent(OBAMA, return_face=True)
    length = np.linalg.norm(row["embedding"])
    assert abs(length - 1) > 0.05
    (unit,) = DeepFace.represent(OBAMA, l2_normalize=True)
    np.testing.assert_allclose(unit["embedding"], np.array(row["embedding"]) / length, atol=1e-6)
    expected = Recognizer().embed(OBAMA)
    assert np.dot(unit["embedding"], expected.vector) > 0.9999
    assert row["face"].dtype == np.float32
    assert row["face"].shape[2] == 3
    assert 0.3 < row["face"].max() <= 1
    everybody = DeepFace.represent(GROUP)
    largest = DeepFace.represent(GROUP, max_faces=2)
    areas = sorted((r["facial_area"]["w"] * r["facial_area"]["h"] for r in everybody), reverse=True)
    assert [r["facial_area"]["w"] * r["facial_area"]["h"] for r in largest] == areas[:2]


@pytest.mark.slow
def test_batches() -> None:
    single = DeepFace.represent(OBAMA)
    both = DeepFace.represent([OBAMA, GROUP])
    assert [len(rows) for rows in both] == [1, len(DeepFace.represent(GROUP))]
    assert both[0][0]["facial_area"] == single[0]["facial_area"]
    assert DeepFace.represent([OBAMA])[0]["facial_area"] == single[0]["facial_area"]  # flat
    assert len(DeepFace.extract_faces([OBAMA])) == 1
    assert isinstance(DeepFace.extract_faces([OBAMA])[0], list)
    pixels = bgr(OBAMA)
    assert [len(rows) for rows in DeepFace.extract_faces(np.stack([pixels, pixels]))] == [1, 1]
    assert isinstance(DeepFace.analyze([OBAMA], actions="age")[0], list)


# --- verify ---------------------------------------------------------------------------------------


def test_errors_of_verify_are_wrapped() -> None:
    empty = np.zeros((40, 50, 3), np.uint8)
    with pytest.raises(ValueError, match="Exception while processing img1_path") as caught:
        DeepFace.verify(empty, OBAMA)
    assert not isinstance(caught.value, exceptions.FaceNotDetected)
    assert isinstance(caught.value.__cause__, exceptions.FaceNotDetected)
    with pytest.raises(ValueError, match="Exception while processing img2_path") as caught:
        DeepFace.verify(OBAMA, "none.jpg")
    assert isinstance(caught.value.__cause__, exceptions.ImgNotFound)


def test_a_photo_without_a_face_is_never_verified() -> None:
    """deepface embeds the photo as a whole, and two of a wall are one person."""
    empty = np.zeros((40, 50, 3), np.uint8)
    result = DeepFace.verify(empty, empty.copy(), enforce_detection=False)
    assert result["distance"] == pytest.approx(0, abs=1e-5)
    assert result["verified"] is False
    assert result["confidence"] <= 49
    assert result["probability"] is None


def test_embeddings_in_the_place_of_photos() -> None:
    vector = DeepFace.represent(OBAMA)[0]["embedding"]
    with pytest.warns(UserWarning, match="img1_path is an embedding"):
        result = DeepFace.verify(vector, OBAMA2)
    assert result["verified"] is True
    assert set(result["facial_areas"]["img1"].values()) == {None}
    assert DeepFace.verify(vector, vector, silent=True)["distance"] == 0
    with pytest.raises(exceptions.DimensionMismatchError, match="dimensions, got 3"):
        DeepFace.verify([1.0, 2.0, 3.0], OBAMA)
    with pytest.raises(exceptions.DataTypeError, match="all its items are of type float"):
        DeepFace.verify(["a"], OBAMA)


def test_a_threshold_of_zero_is_one() -> None:
    result = DeepFace.verify(OBAMA, OBAMA2, threshold=0)
    assert (result["verified"], result["threshold"]) == (False, 0)
    assert result["confidence"] <= 49


def test_a_function_for_a_metric() -> None:
    def city_block(a: Any, b: Any) -> float:
        return float(np.abs(np.subtract(a, b)).sum())

    with pytest.raises(ValueError, match="Threshold must be specified when using custom"):
        DeepFace.verify(OBAMA, OBAMA2, distance_metric=city_block)
    result = DeepFace.verify(OBAMA, OBAMA2, distance_metric=city_block, threshold=1e6)
    assert result["verified"] is True
    assert result["similarity_metric"] is city_block


@pytest.mark.slow
def test_many_pairs_take_a_closer_one() -> None:
    """Of all pairs the closest counts; more pairs do not make a false match likelier."""
    one = DeepFace.verify(OBAMA, OBAMA2)["threshold"]
    many = DeepFace.verify(OBAMA, GROUP)
    assert many["threshold"] < one
    assert many["verified"] is True


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: DeepFace.verify(OBAMA, BIDEN, distance_metric="x"), "Invalid distance_metric"),
        (lambda: DeepFace.verify(OBAMA, BIDEN, normalization="x"), "unimplemented normalization"),
        (lambda: DeepFace.verify(OBAMA, BIDEN, model_name="x"), "facial_recognition/x"),
        (lambda: DeepFace.verify(OBAMA, BIDEN, detector_backend="x"), "face_detector/x"),
        (lambda: DeepFace.extract_faces(OBAMA, color_face="x"), "can be rgb, bgr or gray"),
        (lambda: DeepFace.represent(OBAMA, max_faces=0), "max_faces"),
        (lambda: DeepFace.analyze(OBAMA, actions=()), "`actions` must be a list of strings"),
        (lambda: DeepFace.analyze(OBAMA, actions=("x",)), "Invalid action passed"),
        (lambda: DeepFace.analyze(OBAMA, actions="race"), "race is not offered"),
        (lambda: DeepFace.analyze(OBAMA, actions=["race"]), "there is emotion, age, gender"),
        (lambda: DeepFace.find(OBAMA, "none"), "Passed path none does not exist"),
        (lambda: DeepFace.find(OBAMA, ".", return_type="x"), "Unsupported return_type: x"),
        (lambda: DeepFace.find(OBAMA, ".", datastore_format="x"), "npz, feather or parquet"),
        (lambda: DeepFace.find(OBAMA, ".", k=0), "expected 1 or more"),
        (lambda: DeepFace.search(OBAMA, search_method="x"), "Unsupported search method"),
        (lambda: DeepFace.search(OBAMA, database_type="x"), "Unsupported database type"),
        (lambda: DeepFace.search(OBAMA, database_type="mongo"), "'mongo' is not here"),
        (lambda: DeepFace.search(OBAMA, connection_details="a://b"), "address of a database"),
        (lambda: DeepFace.search(OBAMA, connection=7), "expected a lineament.Gallery"),
        (lambda: DeepFace.identify([OBAMA], 1), "expected one photo"),
        (lambda: DeepFace.build_model("Age", "x"), "unimplemented task - x"),
        (lambda: DeepFace.build_model("Race", "facial_attribute"), "race is not offered"),
    ],
)
def test_what_is_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_another_argument() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'modle_name'"):
        DeepFace.find(OBAMA, ".", modle_name="SFace")


# --- find -----------------------------------------------------------------------------------------


def test_what_find_returns(here: Path) -> None:
    (table,) = DeepFace.find("img1.jpg", "my_db")
    assert list(table.columns) == FIND_COLUMNS
    assert list(table.index) == [0]
    row = table.iloc[0]
    assert row["distance"] <= row["threshold"]
    assert 51 <= row["confidence"] <= 100
    assert len(row["hash"]) == 40
    (rows,) = DeepFace.find("img1.jpg", "my_db", return_type="dict")
    assert [list(each) for each in rows] == [FIND_COLUMNS]
    for key in FIND_COLUMNS:
        assert rows[0][key] == row[key]
    target = DeepFace.extract_faces(OBAMA2)[0]["facial_area"]
    assert [row[f"target_{key}"] for key in "xywh"] == [target[key] for key in "xywh"]
    (nobody,) = DeepFace.find("img1.jpg", "my_db", threshold=0.0)
    assert list(nobody.columns) == FIND_COLUMNS
    assert len(nobody) == 0
    assert sorted(path.name for path in (here / "my_db").iterdir()) == [
        *("Alice", "b.JPG", "broken.jpg", "empty.png")  # nothing is written there
    ]


@pytest.mark.slow
def test_similarity_search_and_k(here: Path) -> None:
    (table,) = DeepFace.find("img1.jpg", "my_db", similarity_search=True)
    assert list(table["identity"]) == [str(Path("my_db", "Alice", "1.jpg")), "my_db/b.JPG"]
    assert table["confidence"][0] >= 51
    assert table["confidence"][1] <= 49  # deepface's dict verifies every row
    (first,) = DeepFace.find("img1.jpg", "my_db", similarity_search=True, k=1)
    assert len(first) == 1
    tables = DeepFace.find(GROUP, "my_db")
    assert len(tables) == len(DeepFace.extract_faces(GROUP))


@pytest.mark.slow
def test_find_sees_what_changed(here: Path) -> None:
    folder = here / "my_db"
    assert len(DeepFace.find("img1.jpg", "my_db")[0]) == 1
    shutil.copy(OBAMA, folder / "new.png")
    assert len(DeepFace.find("img1.jpg", "my_db", refresh_database=False)[0]) == 1
    assert len(DeepFace.find("img1.jpg", "my_db")[0]) == 2
    (folder / "new.png").unlink()
    assert len(DeepFace.find("img1.jpg", "my_db")[0]) == 1
    shutil.copy(BIDEN, folder / "Alice" / "1.jpg")
    assert len(DeepFace.find("img1.jpg", "my_db")[0]) == 0


def test_what_find_keeps(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (before,) = DeepFace.find("img1.jpg", "my_db", similarity_search=True)
    (file,) = Path(os.environ["LINEAMENT_CACHE"]).rglob("deepface-*.npz")
    with np.load(file, allow_pickle=False) as stored:
        assert sorted(stored.files) == ["boxes", "counts", "norms", "paths", "states", "vectors"]
    monkeypatch.setattr(store, "_stores", {})  # as another process would have it
    monkeypatch.setattr(
        store.Store, "_looked_at", lambda self, paths: pytest.fail(f"looked at {paths}")
    )
    (after,) = DeepFace.find("img1.jpg", "my_db", similarity_search=True)
    assert after.equals(before)
    elsewhere = str(here / "my_db")  # the same folder by another name: nothing is looked at again
    (after,) = DeepFace.find("img1.jpg", elsewhere, similarity_search=True)
    assert list(after["identity"]) == [str(here / each) for each in before["identity"]]
    assert list(after["distance"]) == list(before["distance"])
    file.write_bytes(b"damaged")
    monkeypatch.undo()
    monkeypatch.chdir(here)
    monkeypatch.setattr(store, "_stores", {})
    (again,) = DeepFace.find("img1.jpg", "my_db", similarity_search=True)
    assert again.equals(before)


def test_folders_without_photos(here: Path) -> None:
    (here / "none").mkdir()
    with pytest.raises(exceptions.EmptyDatasource, match="No item found in none"):
        DeepFace.find("img1.jpg", "none")
    with pytest.raises(exceptions.EmptyDatasource, match="Nothing is found in none"):
        DeepFace.find("img1.jpg", "none", refresh_database=False)
    PILImage.new("RGB", (40, 40)).save(here / "none" / "wall.png")
    assert DeepFace.find("img1.jpg", "none") == []
    with pytest.raises(exceptions.FaceNotDetected):
        DeepFace.find(np.zeros((40, 40, 3), np.uint8), "my_db")
    empty = np.zeros((40, 40, 3), np.uint8)
    (table,) = DeepFace.find(empty, "my_db", enforce_detection=False, threshold=9)
    assert len(table) == 0


def test_arguments_of_earlier_versions(here: Path) -> None:
    with pytest.warns(DeprecationWarning, match="batched of earlier versions"):
        (rows,) = DeepFace.find("img1.jpg", "my_db", batched=True)
    assert isinstance(rows, list)


@pytest.mark.slow
def test_without_pandas(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineament.compat.deepface._tables.find_spec", lambda name: None)
    (rows,) = DeepFace.find("img1.jpg", "my_db")
    assert isinstance(rows, list)
    with pytest.raises(ImportError, match="pip install pandas"):
        DeepFace.find("img1.jpg", "my_db", return_type="pandas")


# --- rows -----------------------------------------------------------------------------------------


def test_rows(here: Path) -> None:
    with pytest.raises(ValueError, match="No embeddings found in the database for the criteria"):
        DeepFace.search("img1.jpg", connection_details="rows")
    assert DeepFace.register("img1.jpg", connection_details="rows") == {"inserted": 1}
    with pytest.warns(UserWarning, match="registered already"):
        assert DeepFace.register("img1.jpg", connection_details="rows") == {"inserted": 0}
    with pytest.raises(exceptions.DuplicateEntryError):
        DeepFace.register(["img1.jpg", "img3.jpg"], connection_details="rows")
    (nobody,) = DeepFace.search("img3.jpg", connection_details="rows", return_type="dict")
    assert nobody == []
    n_faces = len(DeepFace.extract_faces(GROUP))
    done = DeepFace.register(bgr(GROUP), img_name="group", connection_details={"path": "rows"})
    assert done == {"inserted": n_faces}
    (table,) = DeepFace.search("img2.jpg", connection_details="rows", similarity_search=True)
    assert list(table.columns) == SEARCH_COLUMNS
    assert len(table) == 1 + n_faces
    assert set(table["img_name"]) == {"img1.jpg", "group"}
    assert list(table["distance"]) == sorted(table["distance"])
    (few,) = DeepFace.search("img2.jpg", connection_details="rows", similarity_search=True, k=2)
    assert list(few["id"]) == list(table["id"][:2])
    box = DeepFace.extract_faces("img2.jpg")[0]["facial_area"]
    assert [table[f"target_{key}"][0] for key in "xywh"] == [box[key] for key in "xywh"]


@pytest.mark.slow
def test_rows_of_another_way_are_not_searched(here: Path) -> None:
    DeepFace.register("img1.jpg", connection_details="rows")
    with pytest.raises(ValueError, match="l2_normalized=True"):
        DeepFace.search("img1.jpg", l2_normalize=True, connection_details="rows")
    with pytest.raises(ValueError, match="identity_id=1: its l2_normalized is False"):
        DeepFace.identify("img1.jpg", 1, l2_normalize=True, connection_details="rows")
    with pytest.raises(ValueError, match="No embedding found in the database for identity_id=99"):
        DeepFace.identify("img1.jpg", "99", connection_details="rows")
    with pytest.raises(ValueError, match="identity_id=x"):
        DeepFace.identify("img1.jpg", "x", connection_details="rows")
    with pytest.warns(UserWarning, match="the row has aligned True"):
        found = DeepFace.identify("img2.jpg", 1, align=False, connection_details="rows")
    assert found["verified"] is True
    assert list(found)[-2:] == ["probability", "interval"]
    with pytest.raises(ValueError, match="No embeddings found"):
        DeepFace.build_index(connection_details="elsewhere")


def test_a_gallery_that_is_open(here: Path) -> None:
    model = known.model(known.VGG_FACE)
    with Gallery.create("mine", recognizer=model.recognizer) as gallery:
        assert DeepFace.register("img1.jpg", connection=gallery) == {"inserted": 1}
        (table,) = DeepFace.search("img2.jpg", connection=gallery)
        assert list(table["img_name"]) == ["img1.jpg"]
        assert gallery.n_people == 1  # it is open still


# --- models and helpers ---------------------------------------------------------------------------


def test_build_model() -> None:
    client = DeepFace.build_model("SFace")
    assert client is DeepFace.build_model("SFace")
    assert (client.model_name, client.input_shape, client.output_shape) == (
        "sface",
        (112, 112),
        128,
    )
    chip = DeepFace.represent(OBAMA, model_name="SFace", return_face=True)[0]
    found = client.forward(chip["face"][None])
    assert isinstance(found[0], float)
    assert verification.find_cosine_distance(found, chip["embedding"]) < 1e-3
    assert np.shape(client.forward(np.stack([chip["face"]] * 2))) == (2, 128)
    detector = DeepFace.build_model("yunet", task="face_detector")
    (region,) = detector.detect_faces(bgr(OBAMA))
    assert region.left_eye[0] > region.right_eye[0]
    assert 0 <= region.confidence <= 1
    age = DeepFace.build_model("Age", task="facial_attribute")
    assert 15 < age.predict(bgr(OBAMA)) < 90
    assert len(age.predict([bgr(OBAMA), bgr(BIDEN)])) == 2


def test_distances() -> None:
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=(3, 8)), draw.normal(size=(5, 8))
    for metric in known.METRICS:
        table = verification.find_distance(a, b, metric)
        assert table.shape == (5, 3)
        for row in range(5):
            for column in range(3):
                single = verification.find_distance(a[column].tolist(), b[row], metric)
                assert np.ndim(single) == 0
                assert table[row, column] == pytest.approx(single, abs=2e-6)
    assert verification.find_distance([1, 0], [0, 1], "cosine") == 1
    assert verification.find_distance([3, 0], [0, 4], "euclidean") == 5
    assert verification.find_distance([3, 0], [0, 4], "angular") == 0.5
    assert verification.find_distance([3, 0], [0, 4], "euclidean_l2") == 1.414214
    assert verification.find_distance([3, 0], [0, 4], lambda x, y: 7) == 7
    with pytest.raises(exceptions.DimensionMismatchError):
        verification.find_cosine_distance([1, 2], [1, 2, 3])
    with pytest.raises(exceptions.InvalidEmbeddingsShapeError):
        verification.find_cosine_distance([1, 2], [[1, 2]])


def test_thresholds_and_confidences() -> None:
    cosine = Recognizer("sface").threshold("cosine").value
    assert verification.find_threshold("SFace") == pytest.approx(1 - cosine)
    assert verification.find_threshold("SFace", "euclidean_l2") == pytest.approx(
        np.sqrt(2 - 2 * cosine), abs=2e-3
    )
    assert verification.find_threshold("SFace", lambda a, b: 0.0) == 0.0
    with pytest.raises(ValueError, match=r"Model Nobody is not supported\."):
        verification.find_threshold("Nobody")
    with pytest.raises(ValueError, match="Distance metric x is not available for model SFace"):
        verification.find_threshold("SFace", "x")
    near, far = (
        [verification.find_confidence(d, "SFace", verified) for d in (0.1, 0.5, 0.9, 1.2)]
        for verified in (True, False)
    )
    assert near == sorted(near, reverse=True)
    assert min(near) >= 51
    assert max(far) <= 49
    assert verification.find_confidence(5, "SFace", True, "euclidean") == 51
    assert verification.find_confidence(0.3, "Buffalo_L", True) == 51
    assert verification.find_confidence(0.3, "Buffalo_L", False) == 49
    probability = Recognizer("sface").calibration.probability(1 - 0.5).value
    assert near[1] == pytest.approx(100 * probability, abs=0.01)


def test_thresholds_as_a_table() -> None:
    assert {"SFace", "Dlib"} <= set(thresholds)
    assert thresholds["SFace"]["cosine"] == verification.find_threshold("SFace")
    assert list(thresholds["Dlib"]) == ["cosine", "euclidean", "euclidean_l2", "angular"]
    with pytest.raises(KeyError):
        thresholds["Nobody"]
    with pytest.raises(KeyError):
        thresholds["SFace"]["x"]


def test_photos_as_scripts_read_and_list_them(here: Path) -> None:
    pixels, name = image_utils.load_image("img1.jpg")
    assert name == "img1.jpg"
    assert np.abs(pixels.astype(int) - bgr("img1.jpg").astype(int)).mean() < 1
    listed = image_utils.list_images("my_db")
    expected = {str(Path("my_db") / each) for each in ("Alice/1.jpg", "b.JPG", "empty.png")}
    assert set(listed) == expected  # broken.jpg has no photo's first bytes
    assert list(image_utils.yield_images("my_db")) == listed
    with pytest.raises(exceptions.PathNotFound):
        image_utils.list_images("nowhere")
    Logger().info("is heard by nobody unless it is asked for")


def test_folders_are_listed_again_when_they_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SETTLED_NS", -1)  # all are settled
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("1.jpg", "a/2.PNG", "a/b/3.jpeg", "a/4.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    tree, listed = store.Tree(str(tmp_path)), []
    original = store.Tree._listed
    monkeypatch.setattr(
        store.Tree, "_listed", lambda self, here: listed.append(here) or original(self, here)
    )
    assert sorted(tree.files()) == ["1.jpg", "a/2.PNG", "a/b/3.jpeg"]
    assert sorted(listed) == ["", "a/", "a/b/"]
    listed.clear()
    assert sorted(tree.files()) == ["1.jpg", "a/2.PNG", "a/b/3.jpeg"]
    assert listed == []
    (tmp_path / "a" / "b" / "5.jpg").write_bytes(b"")
    os.utime(tmp_path / "a" / "b", ns=(1, 1))
    assert sorted(tree.files()) == ["1.jpg", "a/2.PNG", "a/b/3.jpeg", "a/b/5.jpg"]
    assert listed == ["a/b/"]
    shutil.rmtree(tmp_path / "a")
    os.utime(tmp_path, ns=(1, 1))
    assert tree.files() == ["1.jpg"]


# --- pictures of faces ----------------------------------------------------------------------------


class Passive:
    """A passive check that says what it is told."""

    def __init__(self, outcome: str, score: float | None) -> None:
        self.said = Liveness(
            outcome,  # type: ignore[arg-type]
            score,
            "passive",
            reasons=() if outcome == "live" else ("why",),
        )
        self.asked = 0

    def check(self, pixels: Any, face: Any) -> Liveness:
        self.asked += 1
        assert pixels.ndim == 3
        assert face.box_xyxy.shape == (4,)
        return self.said


@pytest.mark.parametrize(
    ("outcome", "score", "expected"),
    [("live", 0.9, (True, 0.9)), ("attack", 0.2, (False, 0.8)), ("unsure", None, (False, 0.0))],
)
def test_real_faces(
    monkeypatch: pytest.MonkeyPatch, outcome: str, score: float | None, expected: Any
) -> None:
    check = Passive(outcome, score)
    monkeypatch.setattr(deepface_faces, "passive", lambda: check)
    (row,) = DeepFace.extract_faces(img_path=OBAMA, anti_spoofing=True)
    assert list(row)[-2:] == ["is_real", "antispoof_score"]
    assert (row["is_real"], row["antispoof_score"]) == (expected[0], pytest.approx(expected[1]))
    assert isinstance(row["is_real"], bool)
    assert isinstance(row["antispoof_score"], float)
    (plain,) = DeepFace.extract_faces(img_path=OBAMA)
    assert "is_real" not in plain
    area = row["facial_area"]
    place = (area["x"], area["y"], area["w"], area["h"])
    said = DeepFace.build_model("Fasnet", "spoofing").analyze(bgr(OBAMA), place)
    assert said == (expected[0], pytest.approx(expected[1]))
    assert DeepFace.build_model("Fasnet", "spoofing") is DeepFace.build_model("Fasnet", "spoofing")


def test_spoofs_are_errors(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepface_faces, "passive", lambda: Passive("attack", 0.1))
    with pytest.raises(ValueError, match="Exception while processing img1_path") as caught:
        DeepFace.verify("img1.jpg", "img2.jpg", anti_spoofing=True)
    assert isinstance(caught.value.__cause__, exceptions.SpoofDetected)
    assert str(caught.value.__cause__) == "Spoof detected in given image."
    words = r"^Spoof detected in the given image\.$"
    for call in (
        lambda: DeepFace.represent("img1.jpg", anti_spoofing=True),
        lambda: DeepFace.find("img1.jpg", "my_db", anti_spoofing=True),
        lambda: DeepFace.analyze("img1.jpg", actions=["age"], anti_spoofing=True),
        lambda: DeepFace.register("img1.jpg", anti_spoofing=True),
    ):
        with pytest.raises(exceptions.SpoofDetected, match=words):
            call()
    whole = np.zeros((40, 40, 3), np.uint8)
    (row,) = DeepFace.extract_faces(whole, enforce_detection=False, anti_spoofing=True)
    assert (row["is_real"], row["antispoof_score"]) == (False, 0.0)
    monkeypatch.setattr(deepface_faces, "passive", lambda: Passive("live", 0.9))
    assert DeepFace.verify("img1.jpg", "img2.jpg", anti_spoofing=True)["verified"] is True


@pytest.mark.slow
def test_the_readme_tests_for_spoofs(here: Path) -> None:
    deepface_faces.passive.cache_clear()
    face_objs = DeepFace.extract_faces(img_path="img1.jpg", anti_spoofing=True)
    assert {type(one["is_real"]) for one in face_objs} == {bool}
    assert all(0 <= one["antispoof_score"] <= 1 for one in face_objs)


# --- films ----------------------------------------------------------------------------------------


def film(path: Path, photo: str, n: int = 12) -> Path:
    """A folder of frames: a photo that does not move."""
    path.mkdir()
    for number in range(n):
        shutil.copy(photo, path / f"{number:03}.jpg")
    return path


def test_streams_that_cannot_be(here: Path) -> None:
    for folder in ("", "none"):
        with pytest.raises(exceptions.PathNotFound, match="does not exist"):
            DeepFace.stream(db_path=folder)
    with pytest.raises(ValueError, match="Invalid distance_metric"):
        DeepFace.stream("my_db", distance_metric="x")
    with pytest.warns(UserWarning, match="the source is not watched"):
        assert DeepFace.stream("my_db", source="no-such-film.mp4") is None


@pytest.mark.slow
def test_a_stream(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    shown: list[list[tuple[str | None, str]]] = []
    original = streaming.tracked_picture

    def drawn(frame: Any) -> Any:
        shown.append([(track.name, track.status) for track in frame.tracks])
        return original(frame)

    monkeypatch.setattr(streaming, "tracked_picture", drawn)
    monkeypatch.setattr(streaming, "_has_windows", lambda: False)
    source = film(here / "frames", OBAMA)
    done = DeepFace.stream(
        db_path="my_db", source=str(source), frame_threshold=4, output_path="new/out.mp4",
        debug=True,
    )  # fmt: skip
    assert done is None
    assert len(shown) == 12
    assert shown[0] == shown[2] == []  # before the fourth frame with a face
    name = shown[-1][0][0]
    assert name is not None
    person, _, age = name.partition(", ")
    assert person == "Alice"
    assert 20 < int(age) < 80
    assert Path("new/out.mp4").stat().st_size > 1000
    assert [path.name for path in Path().glob("freezed_*.jpg")] == ["freezed_1_0.jpg"]


@pytest.mark.slow
def test_a_stream_ends_by_q(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(streaming, "_has_windows", lambda: True)
    monkeypatch.setattr(
        streaming.cv2, "imshow", lambda name, image: seen.append(image.shape), raising=False
    )
    monkeypatch.setattr(
        streaming.cv2, "waitKey", lambda _: ord("q") if len(seen) == 3 else -1, raising=False
    )
    monkeypatch.setattr(streaming.cv2, "destroyAllWindows", lambda: None, raising=False)
    DeepFace.stream("my_db", source=str(film(here / "frames", OBAMA)), enable_face_analysis=False)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("path", "person"),
    [("Alice/Alice1.jpg", "Alice"), ("Bob.jpg", "Bob"), ("C/d/e.jpg", "C"), ("7.jpg", "7")],
)
def test_who_is_in_the_folder_of_a_stream(path: str, person: str) -> None:
    assert streaming._person(path) == person

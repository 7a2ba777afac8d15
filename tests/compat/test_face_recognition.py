"""face_recognition's interface: names, types, exceptions, values, both command lines."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest
from dlib_files import DLIBS_FIVE_XY
from PIL import Image as PILImage

import lineament.compat.face_recognition as face_recognition
from lineament.compat.face_recognition import face_detection_cli, face_recognition_cli
from lineament.compat.face_recognition._engine import SQUARE_SIDE, square_of
from lineament.errors import ContractError, OptionError, WeightsError
from lineament.files import DATA
from lineament.finder import FaceFinder

DEMO = DATA / "demo"
GOLDEN = Path(__file__).parent.parent / "golden" / "dlib.npz"
OBAMA, OBAMA2, BIDEN = (str(DEMO / f"{name}.jpg") for name in ("obama", "obama2", "biden"))
BOX = (94, 433, 273, 254)
"""Top, right, bottom, left: dlib's."""

SIGNATURES = {
    "load_image_file": "(file, mode='RGB')",
    "face_locations": "(img, number_of_times_to_upsample=1, model='hog')",
    "batch_face_locations": "(images, number_of_times_to_upsample=1, batch_size=128)",
    "face_landmarks": "(face_image, face_locations=None, model='large')",
    "face_encodings": "(face_image, known_face_locations=None, num_jitters=1, model='small')",
    "face_distance": "(face_encodings, face_to_compare)",
    "compare_faces": "(known_face_encodings, face_encoding_to_check, tolerance=0.6)",
}
"""Those of face_recognition 1.3.0."""


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    for module in (face_recognition, face_recognition.api):
        found = inspect.signature(getattr(module, name))
        bare = [each.replace(annotation=each.empty) for each in found.parameters.values()]
        assert str(inspect.Signature(bare)) == SIGNATURES[name]


def test_every_public_function_is_there() -> None:
    assert {*SIGNATURES, "configure"} == set(face_recognition.__all__)
    assert face_recognition.__version__ == "1.2.3"


# --- photos ---------------------------------------------------------------------------------------


def test_load_image_file(tmp_path: Path) -> None:
    image = face_recognition.load_image_file(OBAMA)
    expected = np.asarray(PILImage.open(OBAMA).convert("RGB"))
    np.testing.assert_array_equal(image, expected)
    image[0, 0] = 7  # may be written to
    gray = face_recognition.load_image_file(OBAMA, mode="L")
    np.testing.assert_array_equal(gray, np.asarray(PILImage.open(OBAMA).convert("L")))
    with Path(OBAMA).open("rb") as file:
        np.testing.assert_array_equal(face_recognition.load_image_file(file), expected)


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    exif = PILImage.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    PILImage.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path, exif=exif)
    assert face_recognition.load_image_file(path).shape == (30, 20, 3)


def test_photos_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        face_recognition.load_image_file(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(OSError, match=r"text\.jpg"):  # Pillow's is one, too
        face_recognition.load_image_file(tmp_path / "text.jpg")
    with pytest.raises(ValueError, match="expected RGB or L"):
        face_recognition.load_image_file(OBAMA, mode="nonsense")


# --- finding --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_detector")
@pytest.mark.parametrize("model", ["hog", "cnn", "anything"])
def test_face_locations(model: str) -> None:
    image = face_recognition.load_image_file(OBAMA)
    (box,) = face_recognition.face_locations(image, model=model)
    assert isinstance(box, tuple)
    assert {type(value) for value in box} == {int}
    assert np.abs(np.subtract(box, BOX)).max() < 25  # as near as dlib's two detectors are
    gray = face_recognition.load_image_file(OBAMA, "L")
    (other,) = face_recognition.face_locations(gray)
    assert np.abs(np.subtract(box, other)).max() < 12


@pytest.mark.usefixtures("own_detector")
def test_boxes_lie_within_the_photo() -> None:
    image = face_recognition.load_image_file(OBAMA)[130:, 300:].copy()
    ((top, right, bottom, left),) = face_recognition.face_locations(image)
    assert (top, left) == (0, 0)
    assert right <= image.shape[1]
    assert bottom <= image.shape[0]


@pytest.mark.usefixtures("own_detector")
def test_no_face() -> None:
    image = np.zeros((80, 90, 3), np.uint8)
    assert face_recognition.face_locations(image) == []
    assert face_recognition.face_landmarks(image) == []
    assert face_recognition.face_encodings(image) == []
    assert face_recognition.face_encodings(image, []) == []


@pytest.mark.usefixtures("own_detector")
@pytest.mark.slow
def test_batches() -> None:
    images = [face_recognition.load_image_file(path) for path in (OBAMA, BIDEN)]
    images.append(np.zeros((60, 50, 3), np.uint8))  # another size is no error here
    found = face_recognition.batch_face_locations(images, number_of_times_to_upsample=0)
    assert found == [face_recognition.face_locations(image) for image in images]
    assert [len(boxes) for boxes in found] == [1, 1, 0]


@pytest.mark.slow
def test_dlibs_own_detector_where_it_is_installed() -> None:
    dlib = pytest.importorskip("dlib")
    image = face_recognition.load_image_file(OBAMA)[:300, 200:480].copy()
    expected = dlib.get_frontal_face_detector()(image, 0)
    boxes = [(box.top(), box.right(), box.bottom(), box.left()) for box in expected]
    assert len(boxes) == 1
    for detector in ("dlib", "auto"):
        face_recognition.configure(detector=detector)
        assert face_recognition.face_locations(image, 0) == boxes
    face_recognition.configure()


def test_squares_follow_the_landmarks() -> None:
    face = FaceFinder().find(DEMO / "biden.jpg").faces[0]
    left, top, right, bottom = square_of(face)
    assert right - left == bottom - top
    theirs = (194, 95, 344, 244)
    assert np.abs(np.subtract((left, top, right, bottom), theirs)).max() < 0.15 * 150
    assert 1.0 < SQUARE_SIDE < 1.5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda image: face_recognition.face_locations(image, -1), "number_of_times_to_upsample"),
        (lambda image: face_recognition.face_locations(image / 255), "expected uint8"),
        (lambda image: face_recognition.face_locations(OBAMA), "expected uint8"),
        (lambda image: face_recognition.face_encodings(image, [(1, 2, 3)]), "top, right, bottom"),
        (lambda image: face_recognition.face_encodings(image, [(9, 1, 3, 7)]), "left < right"),
        (lambda image: face_recognition.face_encodings(image, [], -1), "num_jitters"),
        (lambda image: face_recognition.batch_face_locations([image], 1, 0), "batch_size"),
        (lambda image: face_recognition.face_landmarks(image, [], "tiny"), "Invalid landmarks"),
    ],
)
def test_what_is_refused(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        call(np.zeros((40, 40, 3), np.uint8))


# --- landmarks ------------------------------------------------------------------------------------

COUNTS = {
    "chin": 17,
    "left_eyebrow": 5,
    "right_eyebrow": 5,
    "nose_bridge": 4,
    "nose_tip": 5,
    "left_eye": 6,
    "right_eye": 6,
    "top_lip": 12,
    "bottom_lip": 12,
}


@pytest.mark.usefixtures("own_detector")
def test_landmarks() -> None:
    image = face_recognition.load_image_file(OBAMA)
    (large,) = face_recognition.face_landmarks(image, [BOX])
    assert {part: len(points) for part, points in large.items()} == COUNTS
    assert list(large) == list(COUNTS)
    assert all(type(value) is int for points in large.values() for xy in points for value in xy)
    # The lips meet in the corners of the mouth, in the order of the original.
    assert large["top_lip"][0] == large["bottom_lip"][6]
    assert large["top_lip"][6] == large["bottom_lip"][0]
    assert large["left_eye"][0][0] < large["right_eye"][0][0]  # left as the viewer sees it
    (small,) = face_recognition.face_landmarks(image, [BOX], model="small")
    assert {part: len(points) for part, points in small.items()} == {
        "nose_tip": 1,
        "left_eye": 2,
        "right_eye": 2,
    }
    expected = dict(
        zip(("right", "left"), (DLIBS_FIVE_XY["obama.jpg"][i] for i in (0, 2)), strict=True)
    )
    for side, point in expected.items():
        assert np.hypot(*np.subtract(small[f"{side}_eye"][-2 if side == "left" else 0], point)) < 15


def test_landmarks_by_dlibs_file(dlib_models: Path) -> None:
    five = [tuple(point) for point in DLIBS_FIVE_XY["obama.jpg"]]
    image = face_recognition.load_image_file(OBAMA)
    for detector in ("lineament", "auto"):
        face_recognition.configure(detector=detector, dlib_models=dlib_models)
        (small,) = face_recognition.face_landmarks(image, [BOX], "small")
        face_recognition.configure()
        assert small == {
            "nose_tip": [five[4]],
            "left_eye": [five[2], five[3]],
            "right_eye": [five[0], five[1]],
        }


# --- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("detector", ["lineament", "auto"])
def test_encodings_are_those_of_dlib(dlib_models: Path, detector: str) -> None:
    with np.load(GOLDEN) as golden:
        expected = golden["vector"][golden["photo"].tolist().index("obama.jpg")]
    face_recognition.configure(detector=detector, exact=True, dlib_models=dlib_models)
    image = face_recognition.load_image_file(OBAMA)
    (found,) = face_recognition.face_encodings(image, [BOX])
    face_recognition.configure()
    assert found.dtype == np.float64
    assert found.shape == (128,)
    np.testing.assert_allclose(found, expected, atol=5e-4)


@pytest.mark.usefixtures("own_detector")
def test_without_dlibs_file_they_are_nearly_those() -> None:
    with np.load(GOLDEN) as golden:
        expected = dict(zip(golden["photo"].tolist(), golden["vector"], strict=True))
    for path, name in ((OBAMA, "obama.jpg"), (BIDEN, "biden.jpg")):
        (found,) = face_recognition.face_encodings(face_recognition.load_image_file(path))
        assert np.linalg.norm(found - expected[name]) < 0.25


def test_without_dlibs_file_one_is_warned_once(tmp_path: Path) -> None:
    image = face_recognition.load_image_file(OBAMA)
    face_recognition.configure(dlib_models=tmp_path)
    with pytest.warns(UserWarning, match=r"shape_predictor_5_face_landmarks\.dat is not there"):
        face_recognition.face_encodings(image, [BOX])
    face_recognition.face_encodings(image, [BOX])
    face_recognition.configure(exact=True, dlib_models=tmp_path)
    with pytest.raises(WeightsError, match="need its file shape_predictor_5"):
        face_recognition.face_encodings(image, [BOX])
    face_recognition.configure()


@pytest.mark.slow
def test_jitters(dlib_models: Path) -> None:
    image = face_recognition.load_image_file(OBAMA)
    face_recognition.configure(dlib_models=dlib_models)
    plain, once, jittered, again = (
        face_recognition.face_encodings(image, [BOX], n)[0] for n in (0, 1, 6, 6)
    )
    face_recognition.configure()
    np.testing.assert_array_equal(plain, once)
    np.testing.assert_array_equal(jittered, again)
    assert 0.01 < np.linalg.norm(jittered - once) < 0.3


@pytest.mark.usefixtures("own_detector")
def test_the_readme_example() -> None:
    """README of face_recognition: "Recognize faces in images and identify who they are"."""
    known_image = face_recognition.load_image_file(BIDEN)
    unknown_image = face_recognition.load_image_file(OBAMA2)

    biden_encoding = face_recognition.face_encodings(known_image)[0]
    unknown_encoding = face_recognition.face_encodings(unknown_image)[0]

    results = face_recognition.compare_faces([biden_encoding], unknown_encoding)
    assert results == [False]
    other = face_recognition.face_encodings(face_recognition.load_image_file(OBAMA))[0]
    results = face_recognition.compare_faces([biden_encoding, other], unknown_encoding)
    assert results == [False, True]
    assert isinstance(results, list)
    assert isinstance(results[0], np.bool_)


# --- distances ------------------------------------------------------------------------------------


def test_distances() -> None:
    known = np.array([[0.0, 0.0, 1.0], [3.0, 4.0, 0.0]])
    distances = face_recognition.face_distance(known, np.zeros(3))
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, [1, 5])
    np.testing.assert_allclose(face_recognition.face_distance(list(known), np.zeros(3)), [1, 5])
    assert face_recognition.compare_faces(known, np.zeros(3), tolerance=1.0) == [True, False]
    assert face_recognition.compare_faces(known, np.zeros(3), tolerance=0) == [False, False]


@pytest.mark.parametrize("empty", [[], np.array([])])
def test_distances_to_nobody(empty: object) -> None:
    found = face_recognition.face_distance(empty, np.zeros(128))  # type: ignore[arg-type]
    assert found.shape == (0,)
    assert face_recognition.compare_faces(empty, np.zeros(128)) == []  # type: ignore[arg-type]


def test_lengths_that_differ() -> None:
    with pytest.raises(ValueError, match="expected encodings of one length"):
        face_recognition.face_distance([np.zeros(128)], np.zeros(512))


# --- another network ------------------------------------------------------------------------------


@pytest.mark.slow
def test_another_network(dlib_models: Path) -> None:
    images = [face_recognition.load_image_file(path) for path in (OBAMA, OBAMA2, BIDEN)]
    face_recognition.configure(detector="lineament", dlib_models=dlib_models)
    (dlibs,) = face_recognition.face_encodings(images[0], [BOX])
    try:
        face_recognition.configure(model="sface", detector="lineament")
        found = [face_recognition.face_encodings(image)[0] for image in images]
        assert face_recognition.compare_faces(found[1:], found[0]) == [True, False]
        lengths = np.linalg.norm(found, axis=1)
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-6)
        with pytest.raises(ContractError, match="some of another network"):
            face_recognition.face_distance([dlibs], found[0])
        # The tolerance is the calibrated threshold of that network.
        threshold = face_recognition.api.engine().recognizer.threshold("euclidean_l2").value
        assert lengths[0] * threshold == pytest.approx(0.6)
    finally:
        face_recognition.configure()


def test_configurations_that_there_are_not(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="detector: expected auto, dlib or lineament"):
        face_recognition.configure(detector="hog")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="dlib_models: expected a folder"):
        face_recognition.configure(dlib_models=tmp_path / "none")
    with pytest.raises(OptionError, match="model: expected dlib-resnet where exact"):
        face_recognition.configure(model="sface", exact=True)
    with pytest.raises(WeightsError, match="no weights are called"):
        face_recognition.configure(model="facenet")


# --- command lines --------------------------------------------------------------------------------


@pytest.fixture
def known(tmp_path: Path) -> Path:
    folder = tmp_path / "known"
    folder.mkdir()
    shutil.copy(OBAMA, folder / "Barack Obama.jpg")
    shutil.copy(BIDEN, folder / "biden.JPG")
    PILImage.new("RGB", (50, 50)).save(folder / "empty.png")
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.mark.usefixtures("own_detector")
def test_face_recognition_cli(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert face_recognition_cli.main([str(known), OBAMA2]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"WARNING: No faces found in {known / 'empty.png'}. Ignoring file.",
        f"{OBAMA2},Barack Obama",
    ]
    assert face_recognition_cli.main([str(known), OBAMA2, "--show-distance", "true"]) == 0
    path, name, distance = capsys.readouterr().out.splitlines()[-1].split(",")
    assert (path, name) == (OBAMA2, "Barack Obama")
    assert 0 < float(distance) < 0.6
    assert face_recognition_cli.main([str(known), OBAMA2, "--tolerance", "0.01"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{OBAMA2},unknown_person"
    empty = str(known / "empty.png")
    assert face_recognition_cli.main([str(known), empty, "--show-distance", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{empty},no_persons_found,None"


@pytest.mark.usefixtures("own_detector")
def test_face_detection_cli(known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert face_detection_cli.main([str(known), "--cpus", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = [
        f"{path},{','.join(map(str, box))}"
        for path in face_recognition_cli.image_files_in_folder(str(known))
        for box in face_recognition.face_locations(face_recognition.load_image_file(path), 0)
    ]
    assert lines == expected
    assert len(lines) == 2


def test_what_the_command_lines_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert face_recognition_cli.main([str(tmp_path / "none"), OBAMA]) == 2
    assert "known_people_folder: expected a folder" in capsys.readouterr().err
    assert face_detection_cli.main([str(tmp_path / "none.jpg")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert face_detection_cli.main([OBAMA, "--cpus", "0"]) == 2
    assert "--cpus: expected -1, or 1 or more" in capsys.readouterr().err

"""Gender, expression, eyes, mouth, gaze: against numbers computed by hand, and photos turned."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astronaut_face import BOX, FIVE

from lineament import Recognizer, models
from lineament.align.blendshapes import BLENDSHAPES
from lineament.align.mesh import Mesh
from lineament.align.mesh_pose import RIGID_POINTS, RIGID_XYZ
from lineament.attributes import LIMITS, NAMES, AttributeReader, PhotoAttributes, words
from lineament.attributes.age import ERRORS, age_of
from lineament.attributes.expression import EXPRESSIONS, expression_of, joined
from lineament.attributes.gaze import ASIDE, EYE_RADIUS, LIDS, RAISED, find_gaze
from lineament.attributes.gender import GenderUnit, bundled_unit, gender_of, log_odds
from lineament.attributes.openings import eyes_of, mouth_of
from lineament.attributes.results import Gaze
from lineament.demo import demo_photos
from lineament.errors import OptionError, WeightsError
from lineament.models.runtime import Runtime, load_model
from lineament.types import Face, Image, Photo

GOLDEN = Path(__file__).parents[1] / "golden" / "age_gender.npz"  # scripts.build.faceapi --golden


@pytest.fixture(scope="module")
def reader() -> AttributeReader:
    return AttributeReader()


@pytest.fixture(scope="module")
def photo(astronaut: Image) -> Photo:
    return replace(Photo.from_pixels(astronaut, "astronaut"), faces=(Face(BOX, 0.99, FIVE),))


@pytest.fixture(scope="module")
def looks(reader: AttributeReader, photo: Photo) -> PhotoAttributes:
    return reader.read(photo)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_network_of_expressions_computes_what_the_package_computes(engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    golden = np.load(GOLDEN)
    image = golden["coarse"].repeat(8, axis=2).repeat(8, axis=3).astype(np.float32)
    run = load_model(models.get("expression"), runtime=Runtime(engine=engine))
    for batch in (slice(None), slice(1, 2)):
        np.testing.assert_allclose(run(image[batch])[0], golden["shares"][batch], atol=1e-4)


def test_a_woman_who_smiles_at_the_camera(looks: PhotoAttributes) -> None:
    (face,) = looks
    assert face.gender is not None
    assert face.gender.verdict == "woman"
    assert face.gender.woman > 0.9
    assert face.expression is not None
    assert face.expression.verdict == "happy"
    assert face.eyes is not None
    assert [eye.state for eye in face.eyes] == ["open", "open"]
    assert all(0.1 < eye.opening < 0.6 for eye in face.eyes)
    assert face.mouth is not None
    assert face.mouth.state in ("shut", "undecided")  # she shows her teeth
    assert face.age is not None
    assert face.age.low < face.age.years < face.age.high
    assert face.pose is not None
    assert abs(face.pose.yaw_deg) < 10
    assert face.gaze is not None
    assert abs(face.gaze.camera_right_deg) < 15
    assert face.presence is not None
    assert face.presence > 0.9


def test_the_mirror_image_turns_the_sides(
    reader: AttributeReader, photo: Photo, looks: PhotoAttributes
) -> None:
    pixels = photo.needed_pixels()
    width = pixels.shape[1]
    five = FIVE[[1, 0, 2, 4, 3]] * [-1, 1] + [width - 1, 0]
    box = np.array([width - 1 - BOX[2], BOX[1], width - 1 - BOX[0], BOX[3]], np.float32)
    face = Face(box, 0.99, five.astype(np.float32))
    other = Photo.from_pixels(np.ascontiguousarray(pixels[:, ::-1]), "mirror")
    (seen,) = reader.read(replace(other, faces=(face,)), only=["pose", "gaze", "gender"])
    (first,) = looks
    assert seen.age is None
    assert seen.pose is not None
    assert first.pose is not None
    assert seen.pose.yaw_deg == pytest.approx(-first.pose.yaw_deg, abs=4)
    assert seen.pose.pitch_deg == pytest.approx(first.pose.pitch_deg, abs=4)
    assert seen.pose.roll_deg == pytest.approx(-first.pose.roll_deg, abs=3)
    assert seen.gaze is not None
    assert first.gaze is not None
    assert seen.gaze.camera_right_deg == pytest.approx(-first.gaze.camera_right_deg, abs=6)
    assert seen.gender is not None
    assert first.gender is not None
    assert seen.gender.man == pytest.approx(first.gender.man, abs=0.03)


def test_what_is_asked_for_is_said(reader: AttributeReader, photo: Photo) -> None:
    (face,) = reader.read(photo, only=["age"])
    assert face.age is not None
    assert (face.gender, face.expression, face.pose, face.presence) == (None,) * 4
    assert face.to_dict()["gender"] is None
    assert len(reader.read(photo, faces=[])) == 0
    for only, words_ in (
        (["race"], "race is not offered"),
        (["ages"], "did you mean age"),
        ([], "expected some of age"),
    ):
        with pytest.raises(OptionError, match=words_):
            reader.read(photo, only=only)
    with pytest.raises(OptionError, match="numbers of 1 faces"):
        reader.read(photo, faces=[1])
    with pytest.raises(OptionError, match="pixels"):
        reader.read(replace(photo, pixels=None))


def test_results_are_plain_values(looks: PhotoAttributes) -> None:
    values = looks.to_dict()
    assert set(values["limits"]) == {*NAMES, "race"}
    (face,) = values["faces"]
    assert {*NAMES, "presence", "doubts", "box_xyxy"} <= face.keys()
    assert sum(face["expression"]["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert face["gender"]["woman"] + face["gender"]["man"] == pytest.approx(1, abs=1e-3)
    assert looks.picture().shape[2] == 3
    assert "woman" in looks._repr_html_()


def test_limits_say_what_was_measured() -> None:
    assert set(LIMITS) == {*NAMES, "race"}
    assert all(len(said) > 40 for said in LIMITS.values())
    assert "young" in LIMITS["age"]
    assert "old" in LIMITS["age"]
    assert "women" in LIMITS["gender"]


def test_the_recognizer_takes_one_photo_or_many() -> None:
    recognizer = Recognizer()
    path = demo_photos()["obama"]
    one = recognizer.attributes(path, only=["age", "gender"])
    listed = recognizer.attributes([path, path.with_name("nothing.jpg")], only=["age", "gender"])
    assert isinstance(listed[0], PhotoAttributes)
    assert listed[0].faces == one.faces or listed[0].to_dict() == one.to_dict()
    assert not isinstance(listed[1], PhotoAttributes)
    assert one.photo.pixels is not None
    assert listed[0].photo.pixels is None
    with pytest.raises(OptionError, match="race is not offered"):
        recognizer.attributes(path, only=["race"])
    with pytest.raises(OptionError, match="faces: expected one photo"):
        recognizer.attributes([path], faces=[0])  # type: ignore[call-overload]


# --- age, gender, expression ----------------------------------------------------------------------


def test_intervals_are_those_of_their_range() -> None:
    assert ERRORS[0] == (30.0, -7.0, 11.0)
    young, middle, old = age_of(25.0), age_of(40.0), age_of(130.0)
    assert (young.low, young.high) == (18.0, 36.0)
    assert (middle.low, middle.high) == (16.0, 51.0)
    assert (old.low, old.high) == (122.0, 142.0)
    assert age_of(2.0).low == 0


def test_the_unit_is_a_logistic_one() -> None:
    rng = np.random.default_rng(4)
    unit = GenderUnit(rng.normal(size=128), 0.7, -0.3)
    odds, vectors = rng.normal(size=(3, 2)), rng.normal(size=(3, 128)) / 30
    expected = [
        1 / (1 + math.exp(-(-0.3 + 0.7 * (o[0] + o[1]) / 2 + float(np.dot(v, unit.vector)))))
        for o, v in zip(odds, vectors, strict=True)
    ]
    np.testing.assert_allclose(unit.man(odds, vectors), expected, rtol=1e-9)
    np.testing.assert_allclose(
        log_odds(np.array([0.5, 0.9, 1.0], np.float32)),
        [0, math.log(9), math.log(0.9999 / 0.0001)],
        rtol=1e-5,
        atol=1e-6,
    )
    assert bundled_unit().vector.shape == (512,)


def test_a_damaged_unit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "gender.npz"
    damaged.write_bytes(b"PK nothing")
    monkeypatch.setattr("lineament.attributes.gender.FILE", damaged)
    bundled_unit.cache_clear()
    try:
        with pytest.raises(WeightsError, match=r"gender\.npz: expected vector"):
            bundled_unit()
    finally:
        bundled_unit.cache_clear()


@pytest.mark.parametrize(
    ("man", "verdict"), [(0.8, "man"), (0.79, "undecided"), (0.5, "undecided"), (0.1, "woman")]
)
def test_between_the_two_nothing_is_said(man: float, verdict: str) -> None:
    gender = gender_of(man)
    assert gender.verdict == verdict
    assert gender.woman + gender.man == pytest.approx(1)
    if verdict == "undecided":
        assert words.gender_words(gender).startswith("undecided (")


def test_the_smile_of_the_mesh_is_a_second_opinion() -> None:
    shares = np.full((2, 7), 0.1, np.float32)
    shares[:, 0] = 0.4
    blendshapes = np.zeros((2, 52), np.float32)
    smile = [BLENDSHAPES.index(f"mouthSmile{side}") for side in ("Left", "Right")]
    blendshapes[1, smile] = (0.8, 1.0)
    both = joined(shares, blendshapes)
    np.testing.assert_allclose(both.sum(axis=1), 1)
    assert both[:, 1] == pytest.approx([0.05, 0.5])
    assert both[0, 0] / both[0, 2] == pytest.approx(4, rel=1e-5)
    assert expression_of(both[0]).verdict == "undecided"
    said = expression_of(np.array([0.1, 0.7, 0.2, 0, 0, 0, 0]))
    assert (said.verdict, tuple(said.probabilities)) == ("happy", EXPRESSIONS)


# --- eyes, mouth, gaze ----------------------------------------------------------------------------


def face_of_points() -> np.ndarray:
    """An average frontal face with eyes and mouth, 100 pixels between the eyes: (478, 3)."""
    points = np.zeros((478, 3), np.float32)
    points[RIGID_POINTS] = RIGID_XYZ * [1, 1, -1]
    for corners, middle in (((33, 133), -0.5), ((362, 263), 0.5)):
        points[corners[0]], points[corners[1]] = (middle - 0.2, 0, 0), (middle + 0.2, 0, 0)
    for iris, middle, lids in ((468, -0.5, LIDS[0]), (473, 0.5, LIDS[1])):
        points[iris : iris + 5] = (middle + ASIDE, -RAISED["mesh"], 0)
        for k, lid in enumerate(lids):
            angle = 2 * math.pi * k / len(lids)
            points[lid] = (middle - 0.2 * math.cos(angle), 0.08 * math.sin(angle), 0)
    points[61], points[291] = (-0.4, 1.1, 0), (0.4, 1.1, 0)
    for upper, lower, gap in ((82, 87, 0.2), (13, 14, 0.2), (312, 317, 0.2)):
        points[upper], points[lower] = (0, 1.0, 0), (0, 1.0 + gap, 0)
    return (points * 100 + [300, 200, 0]).astype(np.float32)


@pytest.mark.parametrize(("right", "up"), [(0, 0), (20, 0), (-15, 0), (0, 10)])
def test_an_iris_that_moves_is_a_gaze_that_turns(right: float, up: float) -> None:
    points = face_of_points()
    for iris in (468, 473):
        points[iris : iris + 5, 0] += 100 * EYE_RADIUS * math.sin(math.radians(right))
        points[iris : iris + 5, 1] -= 100 * EYE_RADIUS * math.sin(math.radians(up))
    flat = np.full((500, 600, 3), 90, np.uint8)
    gaze = find_gaze(flat, points)
    assert gaze is not None
    assert gaze.sources == 1  # nothing is darker than anything else
    assert gaze.camera_right_deg == pytest.approx(right, abs=1.5)
    assert gaze.camera_up_deg == pytest.approx(up, abs=1.5)
    assert gaze.head_right_deg == pytest.approx(gaze.camera_right_deg, abs=1.5)


def test_the_pixels_have_a_say() -> None:
    points = face_of_points()
    y, x = np.mgrid[:500, :600]
    image = np.full((500, 600, 3), 220, np.uint8)
    shift = 100 * EYE_RADIUS * math.sin(math.radians(20))
    for middle in (-0.5, 0.5):
        place = 300 + 100 * (middle + ASIDE) + shift, 200 - 100 * RAISED["pixels"]
        image[np.hypot(x - place[0], y - place[1]) < 9] = 30
    gaze = find_gaze(image, points)
    assert gaze is not None
    assert gaze.sources == 2
    assert 5 < gaze.camera_right_deg < 15  # the mean of 0 and, as far as the lids let see, 20


def test_openings_are_shares_of_the_width() -> None:
    points, scores = face_of_points(), np.zeros(52, np.float32)
    scores[BLENDSHAPES.index("eyeBlinkLeft")] = 0.7  # the person's left: the viewer's right
    scores[BLENDSHAPES.index("eyeBlinkRight")] = 0.45
    scores[BLENDSHAPES.index("jawOpen")] = 0.3
    left, right = eyes_of(points, scores)
    assert (left.state, right.state) == ("undecided", "shut")
    assert left.opening == pytest.approx(right.opening, abs=0.02)
    mouth = mouth_of(points, scores)
    assert mouth.state == "open"
    assert mouth.opening == pytest.approx(0.25, abs=1e-3)
    scores[BLENDSHAPES.index("jawOpen")] = 0.1
    assert mouth_of(points, scores).state == "undecided"  # the lips are apart
    points[[87, 14, 317], 1] -= 12
    assert mouth_of(points, scores).state == "shut"
    points[[87, 14, 317], 1] += 30
    assert mouth_of(points, scores).state == "open"


def test_no_gaze_of_shut_eyes_or_a_profile(reader: AttributeReader, photo: Photo) -> None:
    mesh = reader.meshes.read(photo.needed_pixels(), photo.faces)
    assert mesh.blendshapes is not None
    scores = mesh.blendshapes.copy()
    scores[:, BLENDSHAPES.index("eyeBlinkLeft")] = 0.9

    class Shut(AttributeReader):
        class _Meshes:
            def read(self, _image: Image, _faces: object) -> Mesh:
                return replace(mesh, blendshapes=scores)

        meshes = _Meshes()  # type: ignore[assignment]

    (face,) = Shut().read(photo, only=["gaze", "eyes"])
    assert face.gaze is None
    assert face.eyes is not None
    assert face.eyes[1].state == "shut"


def test_words() -> None:
    at = Gaze(0, 0, 4.0, -6.0, 2)
    assert words.gaze_words(at) == "the camera"
    assert words.gaze_words(replace(at, camera_right_deg=-21.4)) == "21 left, 6 down"
    assert words.gaze_words(replace(at, camera_up_deg=12.0, camera_right_deg=0.2)) == "12 up"
    assert words.age_words(age_of(40.0)) == "40 (16 to 51)"
    assert words.percent(1.0) == "99 %"

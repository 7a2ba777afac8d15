"""The benchmark of poses: pictures are what they are said to be, and its figures can be trusted."""

from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lineament
from lineament import DetectOptions, Recognizer, load_detector, load_image
from lineament.errors import DataError
from lineament.types import Face

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.usefixtures("benchmark_parts")

ROOT = Path(__file__).resolve().parents[1]
DEMO = Path(lineament.__file__).parent / "data" / "demo"


def posing(name: str) -> Any:
    return importlib.import_module(f"posing.{name}")


def checkered(height: int, width: int) -> Any:
    """A picture of which every pixel is another one."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x % 256, y % 256, (3 * x + 5 * y) % 256], axis=2).astype(np.uint8)


# ---- what is done to a photo ---------------------------------------------------------------------


@pytest.mark.parametrize("quarters", range(-1, 5))
def test_quarter_turns_move_pixels_alone(quarters: int) -> None:
    image = checkered(40, 70)
    made = posing("pictures").turned(image, 90 * quarters)
    np.testing.assert_array_equal(made, np.rot90(image, quarters))


@pytest.mark.parametrize("angle", [15, 45, 100, 225, 330])
@pytest.mark.parametrize(("fill", "corner"), [("grey", 128), ("black", 0), ("edge", 200)])
def test_a_turned_photo_keeps_all_of_it(angle: float, fill: str, corner: int) -> None:
    image = np.full((60, 100, 3), 200, np.uint8)
    image[10:14, 20:24] = (255, 0, 0)  # its middle lies at (21.5, 11.5)
    made = posing("pictures").turned(image, angle, fill)
    a = math.radians(angle)
    height, width = made.shape[:2]
    assert abs(width - (100 * abs(math.cos(a)) + 60 * abs(math.sin(a)))) <= 1
    assert abs(height - (100 * abs(math.sin(a)) + 60 * abs(math.cos(a)))) <= 1
    assert np.abs(made[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int) - corner).max() <= 40
    red = np.argwhere((made[..., 0] > 200) & (made[..., 1] < 100) & (made[..., 2] < 100))
    # Counter-clockwise with y down: (dx, dy) -> (dx cos + dy sin, -dx sin + dy cos).
    dx, dy = 21.5 - 49.5, 11.5 - 29.5
    x = (width - 1) / 2 + dx * math.cos(a) + dy * math.sin(a)
    y = (height - 1) / 2 - dx * math.sin(a) + dy * math.cos(a)
    np.testing.assert_allclose(red.mean(axis=0), (y, x), atol=1)


def test_a_square_is_cut_about_the_middle_of_the_box_and_turned() -> None:
    pictures = posing("pictures")
    image = checkered(100, 120)
    box, share = (40, 30, 60, 70), 39 / 40  # an odd side, so that pixels fall on pixels
    plain = pictures.square(image, box, share)
    np.testing.assert_array_equal(plain, image[31:70, 31:70])
    np.testing.assert_array_equal(pictures.square(image, box, share, 90), np.rot90(plain))
    outside = pictures.square(image, (0, 0, 10, 10), 4.1)
    np.testing.assert_array_equal(outside[:10, :10], np.broadcast_to(image[0, 0], (10, 10, 3)))


def test_two_squares_stand_side_by_side() -> None:
    left, right = np.full((30, 30, 3), 10, np.uint8), np.full((90, 90, 3), 200, np.uint8)
    made = posing("pictures").beside(left, right, 60)
    assert made.shape == (60, 120, 3)
    assert (made[:, :60] == 10).all()
    assert (made[:, 60:] == 200).all()


@pytest.mark.parametrize(
    ("margin", "shape"), [(None, (400, 600)), (0.0, (160, 80)), (0.5, (320, 240)), (9, (400, 600))]
)
def test_a_face_is_enlarged_to_its_size(margin: float | None, shape: tuple[int, int]) -> None:
    image = checkered(100, 150)
    made = posing("pictures").enlarged(image, (50, 30, 70, 70), 160, margin)  # 40 -> 160
    assert made.shape == (*shape, 3)


@pytest.mark.parametrize(
    ("side", "share", "rows", "columns"),
    [
        ("above", 0.25, slice(40, None), slice(None)),
        ("below", 0.5, slice(None, 50), slice(None)),
        ("left", 0.4, slice(None), slice(62, None)),
        ("right", 0.4, slice(None), slice(None, 68)),
    ],
)
def test_the_border_takes_a_share_of_the_face(
    side: str, share: float, rows: slice, columns: slice
) -> None:
    image = checkered(100, 150)
    made = posing("pictures").cut(image, (50, 30, 80, 70), side, share)
    np.testing.assert_array_equal(made, image[rows, columns])


@pytest.mark.parametrize("how", ["inpaint", "grey", "noise"])
def test_a_face_is_painted_over_and_nothing_else(how: str) -> None:
    image = np.full((100, 100, 3), 77, np.uint8)
    image[40:60, 40:60] = (255, 0, 0)
    before = image.copy()
    made = posing("pictures").painted_over(image, (38, 35, 62, 65), how, np.random.default_rng(0))
    np.testing.assert_array_equal(image, before)
    assert (made[:10] == 77).all()
    assert not ((made[40:60, 40:60] == (255, 0, 0)).all(axis=2)).any()
    if how != "noise":
        assert np.abs(made[50, 50].astype(int) - (128 if how == "grey" else 77)).max() <= 1
    else:
        assert made[45:55, 45:55].std() > 50


# ---- demo photos through it ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def test_a_turned_face_is_compared_with_its_upright_one(recognizer: Recognizer) -> None:
    pictures, setting = posing("pictures"), posing("setting")
    upright = recognizer.finder.find(DEMO / "obama.jpg")
    photos = [upright.needed_pixels(), pictures.turned(upright.needed_pixels(), 90)]
    photos.append(np.zeros_like(photos[0]))
    first, turned, nobody = recognizer.stream_chosen(photos)
    assert setting.cosine(first, first) == pytest.approx(1, abs=1e-5)
    assert setting.cosine(first, turned) > 0.9
    assert setting.cosine(first, nobody) == -1


def test_two_people_are_told_apart_by_their_halves(recognizer: Recognizer) -> None:
    pictures, turns = posing("pictures"), posing("turns")
    photos = recognizer.finder.find([DEMO / "obama.jpg", DEMO / "biden.jpg"], keep_pixels=True)
    halves = [
        pictures.square(p.needed_pixels(), p.face.box_xyxy, turns.SQUARE)  # type: ignore[union-attr]
        for p in photos
    ]
    found = recognizer.finder.find(pictures.beside(*halves, turns.PAIR_PX))
    places = [turns._in_half(found.faces, half) for half in (0, 1)]
    assert None not in places
    assert len(set(places)) == 2
    assert turns._in_half(found.faces[:0], 0) is None


def test_enrolment_takes_a_portrait_and_no_group(recognizer: Recognizer) -> None:
    passes = posing("nobody").passes
    one, group = recognizer.stream_chosen([DEMO / "obama.jpg", DEMO / "group.jpg"])
    assert passes(recognizer, one)
    assert not passes(recognizer, group)


# ---- CFP -----------------------------------------------------------------------------------------


def photo_of(person: int, *, right: bool = True, profile: bool = True, seed: int = 0) -> Any:
    """Thirty points of a face that looks to the right, or to the left, somewhere in a photo."""
    rng = np.random.default_rng(1000 * person + seed)
    points = 100 + rng.normal(0, 8, (30, 2))
    points[12:18] += (20, -40)
    points[21] = (150, 100)
    points[25] = (125, 145)
    if not right:
        points[:, 0] = 300 - points[:, 0]
    return posing("fiducials").Photo(f"{person:03}", Path("x.jpg"), profile, points)


@pytest.mark.parametrize(("right", "seen"), [(True, [0, 2, 3]), (False, [1, 2, 4])])
def test_the_points_of_the_side_that_is_seen_are_judged(right: bool, seen: list[int]) -> None:
    photo = photo_of(1, right=right)
    assert photo.seen == seen
    five = np.full((5, 2), 1e6)  # what is not seen may lie anywhere
    five[seen] = photo.visible
    assert photo.errors(five) == pytest.approx([0, 0, 0])
    five[seen[1]] += (0, 2 * photo.unit_px)
    assert photo.errors(five) == pytest.approx([0, 2, 0])


def test_landmarks_are_learned_from_the_points_in_spite_of_wild_ones() -> None:
    """A map is recovered that is linear in the points of a face that looks to the right."""
    fiducials = posing("fiducials")
    photos = [photo_of(p, right=bool(s % 2), seed=s) for p in range(40) for s in range(4)]
    true = []
    for photo in photos:
        eye, nose, mouth = photo.visible
        far = 2 * nose - eye
        five = np.stack([eye, far, nose, mouth, 0.5 * (nose + mouth)])
        true.append(five if photo.faces_right else five[[1, 0, 2, 4, 3]])
    said: list[Any] = [five.copy() for five in true]
    for i in range(0, len(said), 9):
        said[i] += 300
    said[5] = None
    right = [True] * len(said)
    made = fiducials.from_fiducials(photos, said, right)
    apart = [
        np.linalg.norm(a - b, axis=1).max() / photo.unit_px
        for a, b, photo in zip(made, true, photos, strict=True)
    ]
    assert np.median(apart) < 0.1  # least squares: 0.3
    assert max(apart) < 0.3
    with pytest.raises(lineament.LineamentError, match="30 profiles"):
        fiducials.from_fiducials(photos, said, [False] * len(said))


def test_a_photo_without_a_face_matches_nobody() -> None:
    photos = [photo_of(p, profile=profile) for p in (1, 2) for profile in (False, True)]
    vectors = np.float32([[1, 0], [1, 0], [0, 1], [0, 0]])
    genuine, impostor = posing("profiles").frontal_profile_scores(photos, vectors)
    assert sorted(genuine) == [-1, 1]
    assert sorted(impostor) == [-1, 0]


def test_a_sample_of_another_layout_is_refused(tmp_path: Path) -> None:
    read_sample = posing("fiducials").read_sample
    with pytest.raises(DataError, match="Images/PERSON"):
        read_sample(tmp_path)
    for part in ("Images", "Fiducials"):
        (tmp_path / part / "1" / "profile").mkdir(parents=True)
    (tmp_path / "Images/1/profile/01.jpg").touch()
    listed = tmp_path / "Fiducials/1/profile/01.txt"
    for text in (None, "1,2\n", "1,2\n" * 29 + "1\n", "1,nan\n" * 30):
        if text is not None:
            listed.write_text(text)
        with pytest.raises(DataError, match="30 points"):
            read_sample(tmp_path)
    listed.write_text("1,2\n" * 30)
    (photo,) = read_sample(tmp_path)
    assert photo.profile
    assert photo.person == "1"


@pytest.mark.parametrize("turn", [0, 45, 90, 180, 270])
def test_a_roll_is_that_of_the_face(turn: int) -> None:
    image = load_image(DEMO / "obama.jpg")
    made = posing("pictures").turned(image, turn)
    upright = load_detector().detect(image, DetectOptions())[0]
    points = np.float64(upright.landmarks_xy)
    a, middle = math.radians(turn), (np.array(image.shape[1::-1]) - 1) / 2
    back = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
    points = (points - middle) @ back + (np.array(made.shape[1::-1]) - 1) / 2
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    roll = posing("profiles").roll_of(Face(np.float32(box), 1.0, np.float32(points)))
    off = (abs(roll) - min(turn, 360 - turn) + 180) % 360 - 180
    assert abs(off) < 10


def shared(name: str) -> Path:
    given = os.environ.get("LINEAMENT_DATA")
    folder = Path(given) if given else ROOT.parent / "shared"
    if not (folder / name).is_dir():
        pytest.skip(f"no {folder / name}; set LINEAMENT_DATA to the folder that holds it")
    return folder / name


@pytest.mark.slow
def test_all_parts_of_lfw_run() -> None:
    lfw, parts = shared("lfw"), ("angles", "two", "cut", "nobody")
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "poses.py"),
        "nowhere",
        "--lfw",
        str(lfw),
        "--json",
    ]
    command += ["--people", "4", *(word for part in parts for word in ("--part", part))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert set(printed["angles"]) == {str(angle) for angle in range(0, 360, 15)}
    assert printed["angles"]["0"] == 1
    assert printed["two_people"]["0"] == 1
    for by_share in printed["cut"].values():
        assert all(sum(cell.values()) == pytest.approx(1) for cell in by_share.values())
    assert printed["pictures_of_nobody"] == 20


# ---- errors by yaw -------------------------------------------------------------------------------


def ranges(*missed: float, pairs: int = 20) -> list[dict[str, Any]]:
    """Of ``turned.py``, from 25 degrees on, in steps of five."""
    return [
        {"from_deg": 25 + 5 * i, "n_genuine": pairs, "fnmr": share}
        for i, share in enumerate(missed)
    ]


@pytest.mark.parametrize(
    ("sets", "limit"),
    [
        ([ranges(0, 0, 0.1, 0.05)], None),
        ([ranges(1, 1, 0, 0.15, 0)], 40),
        ([ranges(0, 0, 0.15, 0.3), ranges(0, 0, 0.0, 0.0)], 40),
        ([ranges(0, 0, 0.15, 0.3), ranges(0, 0, 0.0, 0.0, pairs=80)], None),
    ],
)
def test_a_limit_stands_where_too_many_of_all_pairs_are_missed(
    sets: list[list[dict[str, Any]]], limit: int | None
) -> None:
    assert importlib.import_module("turned").limit_of(*sets) == limit


def test_pairs_are_counted_by_yaw_and_kind() -> None:
    turned = importlib.import_module("turned")
    seen = turned.Seen.__new__(turned.Seen)
    seen.person = np.array([0, 0, 1, 1, 0])
    seen.profile = np.array([False, True, False, True, True])
    seen.yaws = np.array([2.0, 52.0, -7.0, 70.0, -47.0])
    seen.vectors = np.eye(5, dtype=np.float32)
    seen.vectors[1] = seen.vectors[0]  # recognized
    seen.vectors[3] = seen.vectors[4]  # taken for one another

    def found(kind: str) -> list[tuple[int, int, float | None, int, float | None]]:
        return [
            (r["from_deg"], r["n_genuine"], r["fnmr"], r["n_impostor"], r["fmr"])
            for r in turned.count(seen, 0.5, kind)
            if r["n_genuine"] or r["n_impostor"]
        ]

    assert found("one turned") == [(45, 1, 1.0, 1, 0.0), (50, 1, 0.0, 1, 0.0), (65, 1, 1.0, 1, 0.0)]
    assert found("two turned") == [(45, 1, 1.0, 1, 1.0), (50, 0, None, 1, 0.0)]
    assert found("one side") == [(50, 0, None, 1, 0.0)]
    assert found("two sides") == [(45, 1, 1.0, 1, 1.0)]
    few = turned.count(seen, 0.5, "two sides", seen.person == 0)
    assert sum(r["n_genuine"] for r in few) == 1
    assert sum(r["n_impostor"] for r in few) == 0

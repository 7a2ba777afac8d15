"""Quality: what each measure follows and what leaves it alone, the limits, the norm's limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import lineament
from builders import make_face
from lineament import Recognizer, models
from lineament.align.alignment import align_faces
from lineament.errors import OptionError
from lineament.models import PRESETS
from lineament.pose import FACE_XYZ
from lineament.quality import DEFAULT_LIMITS, QualityLimits, limits_of, measure
from lineament.types import Face, Image, Quality

DEMO = Path(lineament.__file__).parent / "data" / "demo"
PHOTOS = ("astronaut.jpg", "biden.jpg", "obama.jpg", "obama2.jpg")

Seen = tuple[Image, Face, Image, float]


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    """For each demonstration photo: itself, its largest face, the crop, the norm."""
    recognizer = Recognizer()
    found = {}
    for name in PHOTOS:
        image = lineament.load_image(DEMO / name)
        (chosen,) = recognizer.stream_chosen([image])
        assert chosen.embedding is not None
        assert chosen.crop is not None
        assert chosen.index is not None
        face = chosen.faces[chosen.index]
        found[name] = (image, face, chosen.crop, chosen.embedding.norm)
    return found


def make_quality(**changes: Any) -> Quality:
    values: dict[str, Any] = {
        "size_px": 40.0,
        "sharpness": 0.14,
        "yaw_deg": 0.0,
        "pitch_deg": 0.0,
        "brightness": 0.5,
        "contrast": 0.15,
        "norm": 12.0,
    }
    return Quality(**values | changes)


def noise_crop(seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(rng.normal(0, 1, (112, 112, 3)), (0, 0), 1.5)
    return np.clip(128 + 60 * smooth / smooth.std(), 60, 200).astype(np.uint8)


# --- measures, on photos ---------------------------------------------------------------------


@pytest.mark.parametrize("name", PHOTOS)
def test_good_photos_have_no_problems(name: str, seen: dict[str, Seen]) -> None:
    _, face, crop, norm = seen[name]
    quality = measure(face, crop, norm)
    assert DEFAULT_LIMITS.problems(quality) == ()
    assert quality.norm == norm
    assert quality.turn_deg == abs(quality.yaw_deg)  # type: ignore[arg-type]
    assert 0.3 * max(face.size_wh) < quality.size_px < 0.42 * max(face.size_wh)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_mirror_image_turns_the_other_way_and_nothing_else(
    name: str, seen: dict[str, Seen]
) -> None:
    image, face, crop, _ = seen[name]
    assert face.landmarks_xy is not None
    wide = image.shape[1] - 1
    box = np.array([wide - face.box_xyxy[2], 0, wide - face.box_xyxy[0], 0])
    box[[1, 3]] = face.box_xyxy[[1, 3]]
    points = face.landmarks_xy[[1, 0, 2, 4, 3]] * [-1, 1] + [wide, 0]
    mirrored = Face(box, face.score, points)
    plain = measure(face, crop, 3.0)
    other = measure(mirrored, np.ascontiguousarray(crop[:, ::-1]), 3.0)
    assert other.yaw_deg == pytest.approx(-plain.yaw_deg, abs=0.01)  # type: ignore[operator]
    assert other.size_px == pytest.approx(plain.size_px, rel=1e-4)
    assert other.pitch_deg == pytest.approx(plain.pitch_deg, abs=0.01)
    # What is measured of the crop lies half a pixel off in the mirror image.
    for key in ("sharpness", "brightness", "contrast"):
        assert getattr(other, key) == pytest.approx(getattr(plain, key), rel=0.05), key


def blurred(crop: Image, amount: int) -> Image:
    return cv2.GaussianBlur(crop, (0, 0), amount)


def moved(crop: Image, amount: int) -> Image:
    return cv2.blur(crop, (4 * amount + 1, 1))


def moved_down(crop: Image, amount: int) -> Image:
    return cv2.blur(crop, (1, 4 * amount + 1))


def darkened(crop: Image, amount: int) -> Image:
    return (crop * 0.6**amount).astype(np.uint8)


def flattened(crop: Image, amount: int) -> Image:
    return (128 + (crop.astype(float) - 128) * 0.6**amount).astype(np.uint8)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("sharpness", blurred),
        ("sharpness", moved),
        ("sharpness", moved_down),
        ("brightness", darkened),
        ("contrast", flattened),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("name", PHOTOS)
def test_worse_is_less(
    key: str, change: Callable[[Image, int], Image], name: str, seen: dict[str, Seen]
) -> None:
    _, face, crop, _ = seen[name]
    crops = [crop, *(change(crop, amount) for amount in (1, 2, 3))]
    values = [getattr(measure(face, c), key) for c in crops]
    assert values[0] > values[1] > values[2] > values[3]


@pytest.mark.parametrize("name", PHOTOS)
def test_sharpness_is_not_brightness(name: str, seen: dict[str, Seen]) -> None:
    _, face, crop, _ = seen[name]
    sharpness = measure(face, crop).sharpness
    halved = np.rint(crop * 0.5 + 20).astype(np.uint8)
    assert measure(face, halved).sharpness == pytest.approx(sharpness, rel=0.03)


def test_a_smaller_photo_has_a_smaller_face(seen: dict[str, Seen]) -> None:
    recognizer = Recognizer()
    image, face, crop, _ = seen["astronaut.jpg"]
    whole = measure(face, crop)
    sizes, sharpnesses = [whole.size_px], [whole.sharpness]
    for share in (0.5, 0.25):
        small = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        found = recognizer.detect(small)
        index = found.largest()
        assert index is not None
        crop_small = align_faces(small, [found.faces[index]])[0]
        quality = measure(found.faces[index], crop_small)
        sizes.append(quality.size_px / share)
        sharpnesses.append(quality.sharpness)
    assert sizes == pytest.approx([sizes[0]] * 3, rel=0.1)
    assert sharpnesses[0] > sharpnesses[1] > sharpnesses[2]  # type: ignore[operator]


# --- measures, made up ----------------------------------------------------------------------------


def test_without_landmarks_there_is_no_turn() -> None:
    quality = measure(make_face(landmarks=False), noise_crop())
    assert quality.size_px == pytest.approx(50 / 3)
    assert quality.yaw_deg is quality.pitch_deg is quality.turn_deg is quality.norm is None
    assert quality.sharpness is not None
    assert QualityLimits(greatest_turn_deg=1, least_norm=100).problems(quality) == ()


def test_a_crop_of_one_color() -> None:
    quality = measure(make_face(), np.full((112, 112, 3), 51, np.uint8))
    assert quality.sharpness is None
    assert quality.brightness == pytest.approx(0.2)
    assert quality.contrast == 0
    assert "blurred: sharpness 0," in QualityLimits(least_sharpness=0.01).problems(quality)[0]


def test_brightness_and_contrast_are_those_of_the_gray_levels() -> None:
    crop = noise_crop()
    inner = crop[28:104, 20:92].astype(float) @ [0.299, 0.587, 0.114] / 255
    quality = measure(make_face(), crop)
    assert quality.brightness == pytest.approx(inner.mean(), abs=1e-3)
    assert quality.contrast == pytest.approx(inner.std(), abs=1e-3)


def test_sharpness_recomputed_in_another_way() -> None:
    crop = noise_crop(3)
    gray = cv2.cvtColor(crop[28:104, 20:92], cv2.COLOR_RGB2GRAY).astype(float)
    band = cv2.GaussianBlur(gray, (0, 0), 1) - cv2.GaussianBlur(gray, (0, 0), 2)
    slopes = np.stack(
        [(band[1:-1, 2:] - band[1:-1, :-2]).ravel(), (band[2:, 1:-1] - band[:-2, 1:-1]).ravel()]
    )
    least = np.linalg.eigvalsh(slopes @ slopes.T / slopes.shape[1])[0]
    expected = np.sqrt(least) / gray.std()
    assert measure(make_face(), crop).sharpness == pytest.approx(expected, rel=1e-4)


def test_stripes_are_sharp_in_one_direction_only() -> None:
    stripes = np.zeros((112, 112, 3), np.uint8)
    stripes[:, ::6] = stripes[:, 1::6] = stripes[:, 2::6] = 200
    assert measure(make_face(), stripes).sharpness == pytest.approx(0, abs=1e-3)


def test_what_lies_outside_of_the_face_does_not_count() -> None:
    crop = noise_crop()
    framed = crop.copy()
    framed[:28] = framed[104:] = 0
    framed[:, :20] = framed[:, 92:] = 0
    assert measure(make_face(), framed) == measure(make_face(), crop)


@pytest.mark.parametrize("side", [56, 224])
def test_crops_of_another_size_measure_alike(side: int) -> None:
    crop = cv2.GaussianBlur(noise_crop(), (0, 0), 3)
    other = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    plain, scaled = measure(make_face(), crop), measure(make_face(), other)
    for key in ("brightness", "contrast", "sharpness"):
        assert getattr(scaled, key) == pytest.approx(getattr(plain, key), rel=0.1), key


@pytest.mark.parametrize(
    "crop",
    [np.zeros((112, 112), np.uint8), np.zeros((112, 112, 3), np.float32)],
    ids=["gray", "float"],
)
def test_another_crop_is_refused(crop: Any) -> None:
    with pytest.raises(OptionError, match="expected RGB, uint8"):
        measure(make_face(), crop)


def test_to_dict_is_json() -> None:
    values = json.loads(json.dumps(make_quality(sharpness=None, size_px=1 / 3).to_dict()))
    assert values == {
        "size_px": 0.3333,
        "sharpness": None,
        "yaw_deg": 0.0,
        "pitch_deg": 0.0,
        "brightness": 0.5,
        "contrast": 0.15,
        "norm": 12.0,
        "roll_deg": None,
        "visible_share": None,
        "recognizability": None,
    }


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "quality", "words"),
    [
        ({"least_size_px": 20}, {"size_px": 14.2}, "is 14 px between the eyes, below 20 px: use a"),
        ({"least_sharpness": 0.055}, {"sharpness": 0.031}, "sharpness 0.031, below 0.055: use"),
        ({"greatest_turn_deg": 45}, {"yaw_deg": -52.4}, "turned by 52 degrees, above 45: use"),
        ({"least_brightness": 0.08}, {"brightness": 0.03}, "dark: brightness 0.03, below 0.08"),
        ({"greatest_brightness": 0.85}, {"brightness": 0.9}, "brightness 0.9, above 0.85: use"),
        ({"least_contrast": 0.03}, {"contrast": 0.01}, "flat: contrast 0.01, below 0.03: use"),
        ({"least_norm": 10}, {"norm": 9.961}, "embedding norm 9.96, below 10: use"),
        (
            {"least_visible_share": 0.86},
            {"visible_share": 0.64},
            "border cuts the face: 0.64 of it is visible, below 0.86: use a photo that shows",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_a_problem_has_its_number_the_limit_and_a_remedy(
    limits: dict[str, float], quality: dict[str, float], words: str
) -> None:
    (problem,) = QualityLimits(**limits).problems(make_quality(**quality))
    assert words in problem
    assert QualityLimits(**limits).problems(make_quality()) == ()


def test_at_the_limit_is_no_problem_and_no_limit_finds_none() -> None:
    at = make_quality(
        size_px=12, sharpness=0.07, yaw_deg=-40, brightness=0.1, contrast=0.035, norm=10,
        visible_share=0.86,
    )  # fmt: skip
    bad = make_quality(
        size_px=1, sharpness=0.0, yaw_deg=90, brightness=0.0, contrast=0.0, norm=0.1,
        visible_share=0.0,
    )  # fmt: skip
    every = QualityLimits(**DEFAULT_LIMITS.to_dict() | {"least_norm": 10})
    assert every.problems(at) == ()
    assert len(every.problems(bad)) == 7
    assert QualityLimits().problems(bad) == ()


def test_limits_go_through_json() -> None:
    assert QualityLimits(**json.loads(json.dumps(DEFAULT_LIMITS.to_dict()))) == DEFAULT_LIMITS


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_limits_that_make_no_sense_are_refused(value: float) -> None:
    with pytest.raises(OptionError, match="least_norm: expected None or a finite number"):
        QualityLimits(least_norm=value)


@pytest.mark.parametrize(("preset", "limit"), [("fast", 45), ("balanced", 45), ("accurate", 50)])
def test_how_far_a_face_may_be_turned_depends_on_the_recognizer(preset: str, limit: float) -> None:
    limits = limits_of(models.get(PRESETS[preset].recognizer))
    assert limits.problems(make_quality(yaw_deg=limit)) == ()
    (problem,) = limits.problems(make_quality(yaw_deg=-limit - 1))
    assert f"turned by {limit + 1:g} degrees, above {limit:g}: use a photo from" in problem
    assert DEFAULT_LIMITS.greatest_turn_deg <= limit  # type: ignore[operator]


def test_the_landmarks_of_a_profile_are_beyond_the_limits() -> None:
    """Those that a detector gives of a head turned by 70 degrees look like 54."""
    yaw = np.radians(54)
    points = 60 * (FACE_XYZ @ np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0]]).T) + 150
    rng = np.random.default_rng(0)
    crop = rng.integers(60, 200, (112, 112, 3)).astype(np.uint8)
    face = Face(np.array([90, 120, 210, 260], np.float32), 0.9, points.astype(np.float32))
    quality = measure(face, crop)
    assert quality.yaw_deg == pytest.approx(70.8, abs=0.1)
    assert quality.size_px == pytest.approx(60, abs=0.1)
    assert quality.pitch_deg == pytest.approx(0, abs=0.1)
    assert quality.roll_deg == pytest.approx(0, abs=0.1)
    (problem,) = QualityLimits(greatest_turn_deg=50).problems(quality)
    assert "turned by 71 degrees" in problem

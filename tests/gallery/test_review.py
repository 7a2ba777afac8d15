"""How closely photos are looked at before they are enrolled: off, standard, strict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, turned, vectors
from PIL import Image as PILImage

import lineament
from lineament import Recognizer
from lineament.errors import OptionError
from lineament.gallery import Gallery, NewSample, Settings, enroll_folder
from lineament.gallery._types import RefusalReason
from lineament.gallery.review import STRICT, rules_of
from lineament.quality import DEFAULT_LIMITS, ProblemCode, QualityLimits, quality_of
from lineament.types import Quality

DEMO = Path(lineament.__file__).parent / "data" / "demo"
DOCS = Path(__file__).parents[2] / "docs"
GOOD = Quality(40.0, 0.14, 0.0, 0.0, 0.5, 0.15, 12.0, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture
def gallery(tmp_path: Path, recognizer: Recognizer) -> Iterator[Gallery]:
    with Gallery.create(tmp_path / "g", recognizer=recognizer) as opened:
        yield opened


@pytest.fixture
def toys(tmp_path: Path) -> Iterator[Gallery]:
    settings = Settings(threshold=0.6, review="strict")
    with Gallery.create(tmp_path / "g", CONTRACT, settings=settings) as opened:
        yield opened


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"size_px": 5.0}, "too_small"),
        ({"sharpness": None}, "blurred"),
        ({"visible_share": 0.5}, "cut_off"),
        ({"yaw_deg": -60.0}, "turned"),
        ({"brightness": 0.01}, "dark"),
        ({"brightness": 0.99}, "overexposed"),
        ({"contrast": 0.01}, "flat"),
        ({"norm": 1.0}, "low_norm"),
        ({"recognizability": 0.1}, "low_recognizability"),
    ],
)
def test_what_is_wrong_has_a_code(change: dict[str, Any], code: str) -> None:
    limits = replace(DEFAULT_LIMITS, least_norm=2.0, least_recognizability=0.5)
    assert limits.beyond(GOOD) == ()
    (problem,) = limits.beyond(replace(GOOD, **change))
    assert problem.code == code
    assert limits.problems(replace(GOOD, **change)) == (problem.message,)


def test_every_code_is_documented() -> None:
    page = (DOCS / "reference" / "reasons.md").read_text(encoding="utf-8")
    for code in (*get_args(RefusalReason), *get_args(ProblemCode)):
        assert f"| `{code}` |" in page, code


def test_the_stricter_of_two_limits() -> None:
    one = QualityLimits(least_size_px=10, greatest_turn_deg=40, least_norm=3)
    other = QualityLimits(least_size_px=14, greatest_turn_deg=50, least_contrast=0.1)
    both = one.stricter(other)
    assert both == QualityLimits(
        least_size_px=14, greatest_turn_deg=40, least_norm=3, least_contrast=0.1
    )
    assert STRICT.stricter(DEFAULT_LIMITS).least_size_px == STRICT.least_size_px


def test_strict_has_no_exceptions_and_there_are_three_modes() -> None:
    for given in ({"choose": True}, {"on_low_quality": "accept"}, {"force": True}):
        with pytest.raises(OptionError, match="review: expected the review"):
            rules_of("strict", None, **given)  # type: ignore[arg-type]
        rules_of("strict", "standard", **given)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="review: expected one of off, standard, strict"):
        rules_of("standard", "severe")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="review: expected one of"):
        Settings(review="severe")  # type: ignore[arg-type]


def softened(recognizer: Recognizer, source: Path, target: Path) -> str:
    """A photo blurred so far that only a strict review minds."""
    photo = cv2.imread(str(source))
    for sigma in np.arange(1, 12, 0.5):
        cv2.imwrite(str(target), cv2.GaussianBlur(photo, (0, 0), float(sigma)))
        (seen,) = recognizer.stream_chosen([target])
        assert seen.face is not None
        assert seen.embedding is not None
        quality = quality_of(seen.face, seen.crop, seen.embedding, seen.size_wh)
        assert quality is not None
        assert quality.sharpness is not None
        if 0.06 < quality.sharpness < 0.078:
            return str(target)
    raise AssertionError("no blur between the limits")


def test_a_photo_in_each_mode(gallery: Gallery, tmp_path: Path) -> None:
    soft = softened(gallery.recognizer, DEMO / "obama.jpg", tmp_path / "soft.png")
    (refusal,) = gallery.enroll("Barack", [soft], review="strict").refused
    assert refusal.reason == "low quality"
    assert refusal.problems == ("blurred",)
    assert refusal.to_dict()["problems"] == ["blurred"]
    assert len(gallery.enroll("Barack", [soft], review="standard").enrolled) == 1

    group = str(DEMO / "group.jpg")
    (refusal,) = gallery.enroll("Group", [group], review="strict").refused
    assert (refusal.reason, refusal.problems) == ("several faces", ())
    assert "largest" not in refusal.message  # there is no exception in this mode
    assert len(gallery.enroll("Group", [group, group], review="off").enrolled) == 2
    gray = PILImage.new("RGB", (300, 300), (128, 128, 128))
    (refusal,) = gallery.enroll("Nobody", [gray], review="off").refused
    assert refusal.reason == "no face"
    # Neither duplicates nor look-alikes are asked about.
    assert len(gallery.enroll("Double", [soft], review="off").enrolled) == 1


def test_strict_wants_agreement(toys: Gallery) -> None:
    first = vectors(1)[0]
    toys.enroll_embeddings("Ada", [NewSample(embed(first), "1.jpg")])
    near = NewSample(embed(turned(first, 0.65)), "2.jpg")
    far = NewSample(embed(turned(first, 0.55, seed=3)), "3.jpg")
    report = toys.enroll_embeddings("Ada", [near, far])
    assert [one.source for one in report.enrolled] == ["2.jpg"]
    (refusal,) = report.refused
    assert refusal.reason == "unlike the others"
    assert refusal.similarity is not None
    assert refusal.similarity < 0.6
    # What another call asks for goes before the setting.
    assert len(toys.enroll_embeddings("Ada", [far], review="standard").enrolled) == 1
    with pytest.raises(OptionError, match="review"):
        toys.enroll_embeddings("Ada", [far], force=True)


def test_strict_needs_to_know_what_agrees(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", CONTRACT) as gallery:
        one, other = (NewSample(embed(v)) for v in vectors(2))
        with pytest.raises(OptionError, match="expected a calibration"):
            gallery.enroll_embeddings("Ada", [one, other], review="strict")
        assert gallery.n_samples == 0


def test_a_folder_and_its_setting(gallery: Gallery, tmp_path: Path) -> None:
    folder = tmp_path / "staff" / "Group"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes((DEMO / "group.jpg").read_bytes())
    gallery.configure(review="off")
    with pytest.raises(OptionError, match="without exceptions"):
        enroll_folder(gallery, tmp_path / "staff", review="strict", force=True)
    assert enroll_folder(gallery, tmp_path / "staff", review="strict").by_reason == {
        "several faces": 1
    }
    assert enroll_folder(gallery, tmp_path / "staff").enrolled == 1


def test_a_mask_is_covered(recognizer: Recognizer) -> None:
    (photo,) = recognizer.stream_chosen([DEMO / "obama.jpg"])
    assert photo.crop is not None
    masked = photo.crop.copy()
    masked[66:, 14:98] = (225, 230, 235)
    rules = rules_of("strict", None)
    assert rules.problems(recognizer, GOOD, photo.crop) == ()
    assert [one.code for one in rules.problems(recognizer, GOOD, masked)] == ["covered"]
    assert rules_of("standard", None).problems(recognizer, GOOD, masked) == ()
    assert rules_of("off", None).problems(recognizer, replace(GOOD, size_px=1.0), masked) == ()
    assert np.any(masked != photo.crop)

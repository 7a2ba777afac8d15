"""A face whose box somebody drew: found there, found weakly, or cut out by the box alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament import Recognizer
from lineament.boxed import checked_box, landmarks_of
from lineament.errors import OptionError
from lineament.finder import FaceFinder
from lineament.gallery import Gallery, Settings
from lineament.quality import measure
from lineament.types import Face

DEMO = Path(lineament.__file__).parent / "data" / "demo"
GROUP = DEMO / "group.jpg"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def around(face: Face, more: float = 0.2) -> tuple[float, float, float, float]:
    """A box drawn loosely around a face."""
    left, top, right, bottom = (float(v) for v in face.box_xyxy)
    x, y = more * (right - left), more * (bottom - top)
    return max(0.0, left - x), max(0.0, top - y), right + x, bottom + y


def test_each_face_of_a_group_is_found_in_its_box(recognizer: Recognizer) -> None:
    group = recognizer.detect(GROUP)
    assert len(group.faces) > 3
    for number, face in enumerate(group.faces[:4]):
        photo = recognizer.detect(GROUP, box=around(face))
        (one,) = photo.faces
        assert (one.boxed, photo.index) == ("found", 0)
        np.testing.assert_allclose(one.box_xyxy, face.box_xyxy, atol=0.01)
        assert one.to_dict()["boxed"] == "found"
        own = recognizer.embed(GROUP, box=around(face))
        (same,) = recognizer.embed(GROUP, faces=[number])
        np.testing.assert_allclose(own.vector, same.vector, atol=1e-5)
    assert "boxed" not in group.faces[0].to_dict()


def test_a_photo_that_is_shown_turned_is_boxed_as_it_is_shown(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    photo = PILImage.open(DEMO / "obama.jpg").convert("RGB")
    exif = PILImage.Exif()
    exif[0x0112] = 6  # to be turned clockwise when it is shown
    photo.transpose(PILImage.Transpose.ROTATE_90).save(tmp_path / "turned.jpg", exif=exif)
    upright = recognizer.detect(photo)
    assert upright.face is not None
    found = recognizer.detect(tmp_path / "turned.jpg", box=around(upright.face))
    assert found.size_wh == photo.size
    assert found.face is not None
    assert found.face.boxed == "found"


def test_without_a_face_the_box_is_cut_out(recognizer: Recognizer) -> None:
    gray = np.full((200, 300, 3), 128, np.uint8)
    photo = recognizer.detect(gray, box=(50, 40, 150, 160))
    (face,) = photo.faces
    assert (face.boxed, face.score) == ("box", 0.0)
    assert face.landmarks_xy is not None
    np.testing.assert_array_equal(face.box_xyxy, [50, 40, 150, 160])
    crop = recognizer.finder.crops(photo)[0]
    quality = measure(face, crop)
    assert quality.yaw_deg is None  # nobody has seen how it is turned
    assert quality.size_px == pytest.approx(40)


def test_the_box_alone_puts_a_face_where_the_template_has_it(recognizer: Recognizer) -> None:
    """Against a crop by the landmarks that were found: nearly the same embedding."""
    found = recognizer.detect(DEMO / "obama.jpg").face
    assert found is not None
    assert found.landmarks_xy is not None
    guessed = landmarks_of(found.box_xyxy)
    eyes = float(np.linalg.norm(found.landmarks_xy[1] - found.landmarks_xy[0]))
    assert np.linalg.norm(guessed - found.landmarks_xy, axis=1).max() < 0.45 * eyes


def test_a_face_too_blurred_to_be_detected_is_enrolled_with_a_note(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    PILImage.fromarray(noise).save(tmp_path / "noise.png")
    box = (40, 40, 200, 200)
    with Gallery.create(tmp_path / "g", recognizer=recognizer) as gallery:
        report = gallery.enroll("Ada", [tmp_path / "noise.png"], review="off")
        assert report.refused[0].reason == "no face"
        one = gallery.recognizer.finder.boxed(tmp_path / "noise.png", box)
        report = gallery.enroll("Ada", [one], review="off")
        (sample,) = report.enrolled
        assert sample.boxed == "box"
        assert sample.box_xyxy == box
        assert "no face was found in the box" in " ".join(report.notes)
        assert gallery.sample(sample.id).to_dict()["boxed"] == "box"
        (refusal,) = gallery.enroll("Bea", [one], review="strict").refused
        assert "not_detected" in refusal.problems
        decision = gallery.verify("Ada", tmp_path / "noise.png", box=box, threshold=0.5)
        assert decision.verdict == "undecided"
        assert any("by the box alone" in reason for reason in decision.reasons)
        assert gallery.check() == []


def test_one_of_a_group_is_enrolled(recognizer: Recognizer, tmp_path: Path) -> None:
    face = recognizer.detect(GROUP).faces[1]
    settings = Settings(keep_crops=True)
    with Gallery.create(tmp_path / "g", recognizer=recognizer, settings=settings) as gallery:
        report = gallery.enroll("Ada", GROUP, box=around(face), on_low_quality="accept")
        (sample,) = report.enrolled
        assert (sample.source, sample.boxed) == (str(GROUP), "found")
        assert sample.sha256 is not None
        assert gallery.verify("Ada", GROUP, box=around(face)).same
        other = recognizer.detect(GROUP).faces[0]
        assert not gallery.verify("Ada", GROUP, box=around(other)).same
        rejected = gallery.reject(GROUP, "Ada", box=around(other))
        assert rejected.source == str(GROUP)
        path = tmp_path / "all.jsonl"
        gallery.export(path)
    with Gallery.create(tmp_path / "h", recognizer=recognizer) as gallery:
        gallery.import_(path)
        assert gallery.person("Ada").samples[0].boxed == "found"


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((10, 10, 400, 100), "within the photo, which is 300 x 200"),
        ((-30, 10, 40, 100), "within the photo"),
        ((100, 10, 50, 100), "left before right"),
        ((10, 10, 15, 100), "10 pixels or more a side"),
        ((10, 10, 50), "left, top, right and bottom"),
        ((10, 10, 50, float("nan")), "left, top, right and bottom"),
    ],
)
def test_boxes_that_are_none(box: tuple[float, ...], message: str) -> None:
    with pytest.raises(OptionError, match=f"box: expected .*{message}"):
        checked_box(box, (300, 200))


def test_one_photo_only(recognizer: Recognizer) -> None:
    finder: FaceFinder = recognizer.finder
    with pytest.raises(OptionError, match="box: expected one photo with it"):
        finder.find([GROUP, GROUP], box=(1, 1, 50, 50))  # type: ignore[call-overload]
    with pytest.raises(OptionError, match="box: expected without faces"):
        recognizer.embed(GROUP, faces=[0], box=(1, 1, 50, 50))  # type: ignore[call-overload]
    face = recognizer.detect(GROUP).faces[0]
    decision = recognizer.verify(GROUP, GROUP, box_a=around(face), box_b=around(face))
    assert decision.same

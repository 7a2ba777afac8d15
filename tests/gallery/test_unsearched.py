"""Which faces of a photo were not searched for, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image as PILImage

import lineament
from lineament import Recognizer
from lineament.errors import OptionError
from lineament.gallery import Gallery
from lineament.gallery._types import UnknownReason

DEMO = Path(lineament.__file__).parent / "data" / "demo"
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def gallery() -> Iterator[Gallery]:
    with Gallery.in_memory(recognizer=Recognizer()) as opened:
        opened.enroll("Barack Obama", DEMO / "obama.jpg")
        yield opened


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that is good, and beside it one that is small."""
    obama = PILImage.open(DEMO / "obama2.jpg").convert("RGB")
    biden = PILImage.open(DEMO / "biden.jpg").convert("RGB")
    small = biden.resize((biden.width // 9, biden.height // 9))
    both = PILImage.new("RGB", (obama.width + 300, obama.height), (90, 90, 90))
    both.paste(obama, (0, 0))
    both.paste(small, (obama.width + 60, 200))
    path = tmp_path_factory.mktemp("mixed") / "mixed.png"
    both.save(path)
    return path


def test_without_options_every_face_is_searched_for(gallery: Gallery, mixed: Path) -> None:
    photo = gallery.identify(mixed)
    assert len(photo.faces) == 2
    assert photo.unsearched == ()
    assert photo.to_dict()["unsearched"] == []
    assert all(face.n_searched == 1 for face in photo.faces)


def test_a_poor_face_is_left_out_and_the_report_says_so(gallery: Gallery, mixed: Path) -> None:
    everything = gallery.identify(mixed)
    photo = gallery.identify(mixed, review="strict")
    assert photo.names == ("Barack Obama",)
    (left,) = photo.unsearched
    assert (left.name, left.reason, left.n_searched) == (None, "not_searched", 0)
    assert "too_small" in left.problems
    assert "px between the eyes" in left.reason_in_words
    assert left.face is not None
    assert left.candidates == ()
    # The faces keep their places.
    number = photo.faces.index(left)
    other = everything.faces[number].face
    assert other is not None
    np.testing.assert_allclose(left.face.box_xyxy, other.box_xyxy)
    (entry,) = photo.to_dict()["unsearched"]
    assert entry == {
        "face": number,
        "problems": list(left.problems),
        "message": left.reason_in_words,
    }
    assert photo.to_dict()["faces"][number]["problems"] == list(left.problems)


def test_only_the_largest_faces(gallery: Gallery) -> None:
    photo = gallery.identify(DEMO / "group.jpg", most_faces=2)
    sizes = [float(np.prod(face.face.size_wh)) for face in photo.faces if face.face is not None]
    left = [face.reason == "not_searched" for face in photo.faces]
    assert sum(left) == len(photo.faces) - 2
    assert {face.problems for face in photo.unsearched} == {("over_limit",)}
    kept = [size for size, out in zip(sizes, left, strict=True) if not out]
    assert min(kept) >= max(size for size, out in zip(sizes, left, strict=True) if out)


def test_options_that_are_none(gallery: Gallery) -> None:
    with pytest.raises(OptionError, match="most_faces: expected 1 or more"):
        gallery.identify(DEMO / "obama.jpg", most_faces=0)
    with pytest.raises(OptionError, match="review: expected"):
        gallery.identify(DEMO / "obama.jpg", review="severe")  # type: ignore[call-overload]


def test_every_reason_is_documented() -> None:
    page = (DOCS / "reference" / "reasons.md").read_text(encoding="utf-8")
    for code in (*get_args(UnknownReason), "over_limit"):
        assert f"`{code}`" in page, code

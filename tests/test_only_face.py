"""The choice "only": a photo has to have one face, and no other is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

import lineament
from lineament import FaceFinder, Recognizer
from lineament.errors import OptionError, SeveralFacesError
from lineament.gallery import Gallery

DEMO = Path(lineament.__file__).parent / "data" / "demo"


def test_only_one_face_may_be_there() -> None:
    group = DEMO / "group.jpg"
    finder = FaceFinder(choose="only")
    photo = finder.find(group)
    assert len(photo.faces) > 1
    assert photo.index is None
    with pytest.raises(SeveralFacesError, match=f"expected one face, found {len(photo.faces)}"):
        photo.require()
    assert finder.find(DEMO / "obama.jpg").index == 0
    recognizer = Recognizer(finder=finder)
    with pytest.raises(SeveralFacesError):
        recognizer.embed(group)
    with pytest.raises(SeveralFacesError):
        recognizer.verify(DEMO / "obama.jpg", group)
    box = photo.faces[0].box_xyxy.tolist()
    assert recognizer.embed(group, box=box).contract == recognizer.embedder.contract
    with Gallery.in_memory(recognizer=recognizer) as gallery:
        (refusal,) = gallery.enroll("Ada", [group], choose=True).refused
        assert refusal.reason == "several faces"
        (refusal,) = gallery.enroll("Ada", [group], review="off").refused
        assert refusal.reason == "several faces"
    with pytest.raises(OptionError, match='"largest"'):
        FaceFinder(choose="best")  # type: ignore[arg-type]

"""Galleries and grouping take folders, patterns and generators as the recognizer does."""

from __future__ import annotations

from pathlib import Path

import lineament
from lineament.gallery import Gallery
from lineament.gallery.grouping import group
from lineament.pipeline import Recognizer

DEMO = Path(lineament.__file__).parent / "data" / "demo"
OBAMA = ("obama.jpg", "obama2.jpg")


def test_folders_patterns_and_generators(tmp_path: Path) -> None:
    recognizer = Recognizer()
    gallery = Gallery.create(tmp_path / "g", recognizer=recognizer)
    with gallery:
        report = gallery.enroll("Barack Obama", (DEMO / name for name in OBAMA))
        assert len(report.enrolled) == 2
        found = gallery.identify(str(DEMO / "o*.jpg"))
        assert [Path(photo.source).name for photo in found] == list(OBAMA)
        assert len(gallery.identify(path for path in found[0:0])) == 0
        assert len(gallery.verify("Barack Obama", DEMO)) == len(list(DEMO.glob("*.jpg")))
    assert len(group(DEMO, recognizer).photos) == len(list(DEMO.glob("*.jpg")))

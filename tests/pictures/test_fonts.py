"""Names of any script in pictures: in a font that has them, or said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from lineament.pictures import fonts
from lineament.pictures.identified import person_sheet
from lineament.pictures.photos import _wrapped

CHINESE = "張偉"


@pytest.fixture
def _no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_installed", tuple)
    fonts._path_for.cache_clear()
    yield  # type: ignore[misc]
    fonts._path_for.cache_clear()


def drawn(text: str, size_px: float = 40) -> np.ndarray:  # type: ignore[type-arg]
    picture = PILImage.new("L", (600, 60), 0)
    fonts.put(ImageDraw.Draw(picture), (5, 5), text, "white", size_px)
    return np.asarray(picture)


@pytest.mark.usefixtures("_no_system_fonts")
def test_latin_needs_no_font_of_the_system() -> None:
    assert fonts.undrawable(["Ada Lovelace 0.91"]) == ""
    assert drawn("Ada").any()


@pytest.mark.usefixtures("_no_system_fonts")
def test_letters_without_a_font_are_boxes_and_said() -> None:
    assert fonts.undrawable(["Ada", f"{CHINESE}偉"]) == CHINESE
    assert fonts.shown(CHINESE) == "□□"
    note = fonts.note_on([CHINESE])
    assert note is not None
    assert CHINESE in note
    assert fonts.note_on(["Ada"]) is None


def test_a_font_of_the_system_is_found() -> None:
    if fonts.undrawable([CHINESE]):
        pytest.skip("no font for Chinese is installed")
    assert fonts.shown(CHINESE) == CHINESE
    assert (drawn("張") != drawn("偉")).any()  # not one box twice
    font = fonts.font_for("Ada 張偉", 20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert Path(str(font.path)).is_file()


def test_the_order_of_the_candidates() -> None:
    names = ["NotoSansCJK-Bold.ttc", "NotoSansCJK-Regular.ttc", "arial.ttf", "Zapf.ttf"]
    ordered = sorted((name.lower() for name in names), key=fonts._order)
    assert ordered == [
        "notosanscjk-regular.ttc", "notosanscjk-bold.ttc", "arial.ttf", "zapf.ttf"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("Ada", "Ada"),
        ("שלום", "םולש"),
        ("a שלום b", "a םולש b"),
        ("שלום עולם", "םלוע םולש"),
        ("שלום 12", "םולש 12"),
        ("", ""),
    ],
)
def test_runs_from_right_to_left_are_turned_where_nothing_shapes_them(
    text: str, turned: str
) -> None:
    assert fonts.in_visual_order(text) == turned


def test_a_damaged_font_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "NotoSansCJK.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_folders", lambda: iter([tmp_path]))
    fonts._installed.cache_clear()
    fonts._path_for.cache_clear()
    assert fonts.undrawable([CHINESE]) == CHINESE
    fonts._installed.cache_clear()
    fonts._path_for.cache_clear()


@pytest.mark.parametrize("evil", ["a\nb", "a\u2028b\u2029c", "\r\x1b[31m", "Zoë\n" * 40])
def test_several_lines_are_drawn_as_one(evil: str) -> None:
    """Raqm fails at them, when it measures, too."""
    face = np.zeros((64, 64, 3), np.uint8)
    assert person_sheet(evil, [(face, evil), (face, evil)], 4).ndim == 3
    assert _wrapped(evil, 12, 60, most=50)

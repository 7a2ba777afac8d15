"""Text in pictures: names in any script, wrapped; percentages and counts."""

from __future__ import annotations

import math
import textwrap
from functools import lru_cache
from unicodedata import east_asian_width

from lineament.pictures.charts.files import load_matplotlib
from lineament.text import per_cent

TITLE_WIDTH = 62
"""Characters of a title in a line of a picture that is ``panels.SIZE_IN`` wide."""


def percent(share: float, digits: int = 3) -> str:
    """0.0001 is "0.01 %": per cent with so many digits that say something."""
    return per_cent(share, digits=digits)


def count_text(value: float) -> str:
    """ "1,200"; below 1, where only an axis has something, as few digits as will do."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def wrapped(text: str, width: int = TITLE_WIDTH) -> str:
    """In at most three lines of ``width`` characters, and in letters that can be drawn."""
    # Capitals and the letters of East Asia are wider than the others.
    wide = sum(1.25 if c.isupper() else 1.6 if east_asian_width(c) in "WF" else 1.0 for c in text)
    fits = math.floor(width * len(text) / max(wide, 1.0))
    lines = textwrap.wrap(text, max(8, fits), max_lines=3, placeholder=" …")
    return drawable("\n".join(lines))[0]


FALLBACK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR",
    "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei",
    "Yu Gothic", "MS Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans",
    "Apple SD Gothic Neo", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil",
    "Noto Sans Thai", "Noto Sans Ethiopic", "Nirmala UI", "Leelawadee UI", "Ebrima",
    "Arial Unicode MS", "FreeSans", "Unifont",
)  # fmt: skip
"""Tried in this order, as far as they are installed, for letters that DejaVu Sans has not."""


def drawable(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with "□" for letters that no font here has, and the fonts that it takes."""
    families = ["DejaVu Sans"]
    missing = {letter for letter in text if letter != "\n" and not _has("DejaVu Sans", letter)}
    for family in FALLBACK_FONTS if missing else ():
        helps = {letter for letter in missing if _has(family, letter)}
        if helps:
            families.append(family)
            missing -= helps
    return "".join("□" if letter in missing else letter for letter in text), tuple(families)


def _has(family: str, letter: str) -> bool:
    path = _font_file(family)
    if path is None or not letter.isprintable():
        return False
    load_matplotlib()
    from matplotlib.font_manager import get_font

    return bool(get_font(path).get_char_index(ord(letter)))


@lru_cache(maxsize=64)
def _font_file(family: str) -> str | None:
    load_matplotlib()
    from matplotlib.font_manager import fontManager

    for entry in fontManager.ttflist:
        if entry.name == family and entry.style == "normal" and entry.weight in (400, "normal"):
            return str(entry.fname)
    return None

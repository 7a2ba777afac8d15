"""Fonts for text that is drawn with Pillow: names in any script, as far as the system has a font.

Pillow brings one font, for Latin letters. For other letters the fonts that are installed are looked
through, the well-known ones first, and a line is set in the first font that has all its letters.
What no font has is drawn as "□", and ``undrawable`` says which letters these are. Arabic and other
scripts that join letters or run from right to left are shaped by Raqm, which Pillow's wheels bring;
without it runs from right to left are turned around, so that they read in the right order.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from unicodedata import bidirectional

from PIL import ImageDraw, ImageFont, features

from lineament.text import printable

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

BOX = "□"
"""Stands for a letter that no font has."""

PREFERRED = (
    "notosanscjk", "notosanssc", "notosansjp", "notosanskr", "sourcehansans", "wqy-microhei",
    "wqy-zenhei", "droidsansfallback", "pingfang", "hiraginosans", "applesdgothic", "applegothic",
    "arialunicode", "msyh", "yugoth", "msgothic", "malgun", "simsun", "notosansarabic",
    "notosanshebrew", "notosansdevanagari", "notosansbengali", "notosanstamil", "notosansthai",
    "notosansethiopic", "notosans-regular", "dejavusans.", "arial.", "tahoma.", "segoeui.",
    "nirmala", "leelaw", "ebrima", "geezapro", "arialhb", "freesans.", "unifont",
)  # fmt: skip
"""How the files of fonts for plain text begin, in small letters, in the order they are tried."""

MOST_FILES = 400
"""So many further fonts are tried, since a system may have thousands."""

_SUFFIXES = (".ttf", ".ttc", ".otf")
_ABSENT = "\U0010ffff"
"""No font has it: it is drawn as a font draws what it has not."""
_TRIED_PX = 24


def font_for(text: str, size_px: float) -> Font:
    """The first font that has all letters of the text, or else the one that has most of them."""
    path = _path_for("".join(sorted(set(printable(text)))))
    if path is None:
        return ImageFont.load_default(size=size_px)
    return ImageFont.truetype(path, size_px)


def put(
    draw: ImageDraw.ImageDraw,
    xy: tuple[float, float],
    text: str,
    color: str | tuple[int, int, int],
    size_px: float,
    *,
    anchor: str | None = None,
) -> None:
    """Draw a line of text in a font that has its letters.

    Args:
        draw: on a picture.
        xy: where, in pixels; by ``anchor`` its upper left corner or, for "mm", its middle.
        text: one line; control characters are shown, as ``text.printable`` does it.
        color: RGB, or as Pillow names it.
        size_px: of the font.
        anchor: as Pillow has it.
    """
    draw.text(xy, shown(text), fill=color, font=font_for(text, size_px), anchor=anchor)


def shown(text: str) -> str:
    """The text as it is drawn: "□" for letters that no font has, and in the order of reading."""
    text = printable(text)  # Raqm fails at several paragraphs
    missing = set(undrawable([text]))
    plain = "".join(BOX if letter in missing else letter for letter in text)
    return plain if features.check("raqm") else in_visual_order(plain)


def undrawable(texts: Iterable[str]) -> str:
    """The letters of these texts that the font of their line has not, each once."""
    found: dict[str, None] = {}
    for text in map(printable, texts):
        letters = "".join(sorted(set(text)))
        path = _path_for(letters)
        found.update(dict.fromkeys(c for c in text if not _has(path, c)))
    return "".join(found)


def note_on(texts: Iterable[str]) -> str | None:
    """Say which letters of these texts are drawn as boxes; None when all are drawn."""
    missing = undrawable(texts)
    if not missing:
        return None
    some = missing if len(missing) <= 20 else f"{missing[:20]}…"
    return f"drawn as {BOX}, since no font of this system has them: {some}"


def in_visual_order(text: str) -> str:
    """Turn runs from right to left around, for drawing from left to right, letter by letter.

    Letters are not joined, and numbers inside of a run keep their order.
    """
    pieces: list[tuple[bool, str]] = []
    for letter in text:
        kind = bidirectional(letter)
        rightward = kind in ("R", "AL") or (
            bool(pieces) and pieces[-1][0] and kind in ("NSM", "WS", "CS", "ON")
        )
        if pieces and pieces[-1][0] == rightward:
            pieces[-1] = (rightward, pieces[-1][1] + letter)
        else:
            pieces.append((rightward, letter))
    words = []
    for rightward, piece in pieces:
        inner = piece.rstrip() if rightward else piece
        words.append((inner[::-1] if rightward else inner) + piece[len(inner) :])
    return "".join(words)


# --- which font -----------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _path_for(letters: str) -> str | None:
    """The file of the font for these letters; None: the one that Pillow brings."""
    least = sum(not _has(None, letter) for letter in letters)
    best: str | None = None
    if least == 0:
        return None
    for path in _installed():
        missing = sum(not _has(path, letter) for letter in letters)
        if missing < least:
            best, least = path, missing
        if least == 0:
            break
    return best


@lru_cache(maxsize=1 << 16)
def _has(path: str | None, letter: str) -> bool:
    if letter.isspace():
        return True
    opened = _opened(path)
    if opened is None:
        return False
    font, absent = opened
    return _drawn(font, letter) != absent


@lru_cache(maxsize=64)
def _opened(path: str | None) -> tuple[Font, bytes] | None:
    try:
        font: Font = (
            ImageFont.load_default(size=_TRIED_PX)
            if path is None
            else ImageFont.truetype(path, _TRIED_PX)
        )
        return font, _drawn(font, _ABSENT)
    except (OSError, ValueError):  # no font, or one that cannot be scaled
        return None


def _drawn(font: Font, letter: str) -> bytes:
    mask = font.getmask(letter)
    return bytes(str(mask.size), "ascii") + bytes(mask)


@lru_cache(maxsize=1)
def _installed() -> tuple[str, ...]:
    """Files of fonts, those for plain text first."""
    found: dict[str, str] = {}
    for folder in _folders():
        for root, _, names in os.walk(folder):
            for name in names:
                if name.lower().endswith(_SUFFIXES):
                    found.setdefault(name.lower(), str(Path(root) / name))
    plain = {name: _rank(name) for name in found}
    known = sorted((name for name in found if plain[name] < len(PREFERRED)), key=_order)
    others = sorted(name for name in found if plain[name] == len(PREFERRED))
    return tuple(found[name] for name in [*known, *others[:MOST_FILES]])


def _order(name: str) -> tuple[int, bool, int, str]:
    slanted = any(word in name for word in ("bold", "italic", "oblique", "light", "black", "mono"))
    return _rank(name), slanted, len(name), name


def _rank(name: str) -> int:
    plain = name.replace("_", "").replace(" ", "")
    return next((k for k, word in enumerate(PREFERRED) if plain.startswith(word)), len(PREFERRED))


def _folders() -> Iterator[Path]:
    home = Path.home()
    if sys.platform == "win32":
        yield Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"
        yield home / "AppData" / "Local" / "Microsoft" / "Windows" / "Fonts"
        return
    if sys.platform == "darwin":
        yield from map(Path, ("/System/Library/Fonts", "/Library/Fonts"))
        yield home / "Library" / "Fonts"
        return
    data = os.environ.get("XDG_DATA_HOME", "")
    yield (Path(data) if data else home / ".local" / "share") / "fonts"
    yield home / ".fonts"
    yield from map(Path, ("/usr/local/share/fonts", "/usr/share/fonts"))

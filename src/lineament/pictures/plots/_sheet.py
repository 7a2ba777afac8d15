"""A figure laid out in inches from the top left, as tall as what is put on it.

    sheet = Sheet("title", 8.0)
    sheet.down += sheet.text(0.2, sheet.down, 7.6, "words, wrapped")
    sheet.picture(crop, 0.2, sheet.down, 1.0)
    figure = sheet.finished()

Faces with words beneath them have to keep their places: an automatic layout moves axes, and words
then lie on faces. Words are measured before they are set, so a sheet knows how much room they take.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lineament.pictures.charts.colors import GRAY, INK, LIGHT, SHADE
from lineament.pictures.charts.files import check_extra, load_matplotlib
from lineament.pictures.charts.text import drawable
from lineament.types import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EDGE = 0.22
"""Inches that stay clear all round."""

LINE = 1.32
"""Distance of two lines over the size of the letters."""

TITLE_PT, SMALL_PT, TEXT_PT = 12.5, 8.5, 9.5


class Sheet:
    """See the module. ``down`` is how far from the top the next thing may stand, in inches."""

    def __init__(self, title: str, width_in: float, *, subtitle: str = "") -> None:
        """Begin with the title, and smaller words beneath it."""
        check_extra()
        from matplotlib.figure import Figure

        self.figure: Figure = Figure(figsize=(width_in, 4.0), facecolor="white")
        self.width_in = width_in
        self.down = EDGE
        self._axes: list[tuple[Axes, tuple[float, float, float, float]]] = []
        self._texts: list[tuple[Any, float, float]] = []
        inner = width_in - 2 * EDGE
        self.down += self.text(EDGE, self.down, inner, title, TITLE_PT, bold=True)
        if subtitle:
            self.down += 0.04
            self.down += self.text(EDGE, self.down, inner, subtitle, TEXT_PT, color=GRAY)
        self.down += 0.12

    def text(
        self,
        left: float,
        top: float,
        width: float,
        words: str,
        size_pt: float = TEXT_PT,
        *,
        bold: bool = False,
        color: str = INK,
        centered: bool = False,
        most: int | None = None,
    ) -> float:
        """Set words, wrapped to ``width`` inches, in at most ``most`` lines; returns the height."""
        lines = wrapped(words, width, size_pt, bold=bold, most=most)
        # Line by line: each may need other fonts, and the distance is ours.
        for number, line in enumerate(lines):
            shown, families = drawable(line)
            place = left + width / 2 if centered else left
            artist = self.figure.text(
                0, 0, shown, fontsize=size_pt, color=color, ha="center" if centered else "left",
                va="top", fontweight="bold" if bold else "normal", parse_math=False,
                fontfamily=list(families),
            )  # fmt: skip
            self._texts.append((artist, place, top + number * size_pt * LINE / 72))
        return height_of(lines, size_pt)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add a chart in the look of all of them; the place is that of its frame."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.append((axes, (left, top, width, height)))
        axes.set_facecolor("white")
        axes.grid(True, color=LIGHT, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=SMALL_PT, labelcolor=INK, color=GRAY, length=3)
        axes.xaxis.label.set(size=TEXT_PT, color=INK)
        axes.yaxis.label.set(size=TEXT_PT, color=INK)
        for side, spine in axes.spines.items():
            spine.set(visible=side in ("left", "bottom"), color=GRAY)
        return axes

    def picture(
        self,
        image: Image | None,
        left: float,
        top: float,
        width: float,
        height: float | None = None,
        *,
        frame: str | None = None,
        dashed: bool = False,
        missing: str = "",
    ) -> Axes:
        """Show pixels, whole, without axes; ``missing`` says why there are none."""
        axes = self.axes(left, top, width, width if height is None else height)
        axes.grid(False)
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(
                visible=frame is not None or image is None, color=GRAY if frame is None else frame,
                linewidth=2.2 if frame else 0.8, linestyle=(0, (3, 1.6)) if dashed else "-",
            )  # fmt: skip
        if image is None:
            axes.set_facecolor(SHADE)
            lines = wrapped(missing, width * 0.9, SMALL_PT, most=5)
            axes.text(
                0.5, 0.5, drawable("\n".join(lines))[0], ha="center", va="center", color=GRAY,
                fontsize=SMALL_PT, transform=axes.transAxes, parse_math=False,
                fontfamily=list(drawable("\n".join(lines))[1]),
            )  # fmt: skip
        else:
            axes.imshow(np.asarray(image), interpolation="bilinear", aspect="equal")
        return axes

    def finished(self, down: float | None = None) -> Figure:
        """Return the figure, as tall as what is on it."""
        from matplotlib.text import Text

        width, height = self.width_in, (self.down if down is None else down) + EDGE
        self.figure.set_size_inches(width, height)
        for axes, (left, top, wide, high) in self._axes:
            axes.set_position((left / width, 1 - (top + high) / height, wide / width,
                               high / height))  # fmt: skip
        for artist, left, top in self._texts:
            artist.set_position((left / width, 1 - top / height))
        for text in self.figure.findobj(Text):
            assert isinstance(text, Text)
            text.set_parse_math(False)  # a name may hold "$"
            text.set_usetex(False)
        return self.figure


def height_of(lines: list[str], size_pt: float) -> float:
    """How tall so many lines are, in inches."""
    return len(lines) * size_pt * LINE / 72


def wrapped(
    words: str, width_in: float, size_pt: float, *, bold: bool = False, most: int | None = None
) -> list[str]:
    """Break words into lines that fit; a word that is too long is broken, too."""
    lines: list[str] = []
    for paragraph in words.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and text_width_in(longer, size_pt, bold=bold) > width_in:
                lines.append(line)
                longer = word
            while text_width_in(longer, size_pt, bold=bold) > width_in and len(longer) > 1:
                fits = _how_many(longer, width_in, size_pt, bold=bold)
                lines.append(longer[:fits])
                longer = longer[fits:]
            line = longer
        lines.append(line)
    if most is not None and len(lines) > most:
        lines = lines[:most]
        last = lines[-1]
        while last and text_width_in(last + "…", size_pt, bold=bold) > width_in:
            last = last[:-1]
        lines[-1] = last + "…"
    return lines


def _how_many(text: str, width_in: float, size_pt: float, *, bold: bool) -> int:
    """How many letters fit, at least one; after a mark if there is one not far back."""
    fits = 1
    while fits < len(text) and text_width_in(text[: fits + 1], size_pt, bold=bold) <= width_in:
        fits += 1
    for place in range(fits, max(1, fits // 2), -1):
        if text[place - 1] in "_/\\-.":
            return place
    return fits


def text_width_in(text: str, size_pt: float, *, bold: bool = False) -> float:
    """How wide a line of text is, in inches."""
    return sum(_advance(letter, bold) for letter in text) * size_pt / 72


@lru_cache(maxsize=4096)
def _advance(letter: str, bold: bool) -> float:
    """Width of a letter over its size; letters of other fonts as wide as they are tall."""
    load_matplotlib()
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.ft2font import LoadFlags

    weight = "bold" if bold else "normal"
    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight=weight)))
    number = font.get_char_index(ord(letter))
    if not number:
        return 1.0
    font.set_size(64, 72)
    glyph = font.load_glyph(number, flags=LoadFlags.NO_HINTING)
    return float(glyph.linearHoriAdvance) / 65536 / 64

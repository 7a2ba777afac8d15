"""The colors of pictures, as matplotlib takes them: those of ``pictures.photos`` and a few more.

They are those of Okabe and Ito ("Color Universal Design", 2008), which people with any kind of
color vision tell apart. Nothing is said by color alone: curves differ in their dashes and
markers, too.
"""

from __future__ import annotations

from lineament.pictures import photos as draw

INK, GRAY, BLUE, SKY, ORANGE, VERMILLION = (
    f"#{red:02x}{green:02x}{blue:02x}"
    for red, green, blue in (
        draw.INK,
        draw.GRAY,
        draw.BLUE,
        draw.SKY,
        draw.ORANGE,
        draw.VERMILLION,
    )
)
GREEN, PURPLE, YELLOW = "#009e73", "#cc79a7", "#f0e442"
LIGHT, SHADE = "#dddddd", "#eeeeec"
"""Of grids, and of grounds."""

STYLES = (
    (BLUE, "-", "o"),
    (VERMILLION, "--", "s"),
    (GREEN, "-.", "^"),
    (ORANGE, ":", "D"),
    (PURPLE, (0, (6, 1, 1, 1, 1, 1)), "v"),
    (SKY, (0, (3, 1)), "P"),
    (INK, (0, (1, 1)), "X"),
)
"""Color, dashes and marker of each curve of a picture; after the last they come again."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""Of points on one curve."""

"""What every picture of this package is: a figure, and the numbers behind it.

Plot    figure, numbers, and for some pictures a page
save()  any of them, into a PNG, JPEG, SVG, PDF or HTML file
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.errors import OptionError
from lineament.files import write_atomically
from lineament.pictures.charts import files
from lineament.pictures.fonts import BOX

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (*files.FORMATS, "html")


@dataclass(frozen=True, eq=False, slots=True)
class Plot:
    """A picture.

    Attributes:
        figure: belongs to the caller; needs no screen.
        numbers: what is shown, as plain values ready for JSON.
        html: the same as a page that refers to nothing outside itself, for pictures that gain by
            moving and pointing; None for the others.
    """

    figure: Figure
    numbers: Mapping[str, Any]
    html: bytes | None = None

    @property
    def has_boxes(self) -> bool:
        """Whether letters are drawn as boxes, since no font of this system has them."""
        from matplotlib.text import Text

        drawn: list[Any] = self.figure.findobj(Text)
        return any(BOX in text.get_text() for text in drawn)


def check_path(path: str | os.PathLike[str], *, html: bool = True) -> str:
    """Return the kind of file that a name asks for, before the long work starts.

    Args:
        path: ends in .png, .jpg, .svg, .pdf or, if ``html``, .html; its folder must exist.
        html: whether the picture has a page.

    Raises:
        OptionError: another ending, or no such folder.
    """
    file = Path(path)
    kind = file.suffix.lower().removeprefix(".")
    known = FORMATS if html else files.FORMATS
    if kind not in known:
        wanted = ", ".join(f".{each}" for each in known)
        raise OptionError(f"expected a file whose name ends in {wanted}, got {file}", option="path")
    if not file.parent.is_dir():
        raise OptionError(
            f"there is no folder {file.parent}", option="path", hint="; make it first"
        )
    return kind


def save(plot: Plot, path: str | os.PathLike[str]) -> None:
    """Write a picture at once or not at all; a file that exists is replaced.

    Raises:
        OptionError: the name has another ending, the picture has no page, or the file cannot be
            written.
    """
    kind = check_path(path, html=plot.html is not None)
    if kind == "html":
        assert plot.html is not None
        write_atomically(path, plot.html)
    else:
        files.save(plot.figure, path)

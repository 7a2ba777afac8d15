"""A figure -> a file: undated, so that the same figure is the same file."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.errors import MissingExtraError, OptionError, WeightsError
from lineament.files import write_atomically
from lineament.models import cache_folder
from lineament.offline import quiet_import

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "jpg", "jpeg", "svg", "pdf")
DPI = 160
JPEG_QUALITY = 92


def check_extra(what: str = "drawing pictures", extra: str = "plot") -> None:
    """Raise MissingExtraError, saying for what and from which extra, unless matplotlib is there."""
    try:
        load_matplotlib()
    except ImportError as error:
        raise MissingExtraError(what, extra) from error


def load_matplotlib() -> None:
    """Import matplotlib before anybody else does: its list of fonts goes into our own cache."""
    parts = ("matplotlib.figure", "matplotlib.font_manager")
    if not all(map(sys.modules.get, parts)):
        try:
            folder = cache_folder() / "matplotlib"
        except WeightsError:  # no home folder
            folder = None
        with quiet_import("matplotlib", folder=folder):
            import matplotlib.figure
            import matplotlib.font_manager  # noqa: F401


def to_bytes(figure: Figure, kind: str = "svg") -> bytes:
    """Return the figure as a file of that kind: "png", "jpg", "svg" or "pdf".

    Raises:
        OptionError: another kind.
    """
    if kind not in FORMATS:
        raise OptionError(f"expected one of {', '.join(FORMATS)}, got {kind!r}", option="kind")
    undated: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": "lineament"},
        "pdf": {"CreationDate": None, "Creator": "lineament"},
        "png": {"Software": "lineament"},
    }
    more: dict[str, Any] = {"metadata": undated.get(kind)}
    if kind in ("jpg", "jpeg"):
        more = {"pil_kwargs": {"quality": JPEG_QUALITY, "subsampling": 0}}
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=DPI, facecolor="white", **more)
    return file.getvalue()


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure at once or not at all; a file that exists is replaced.

    Args:
        figure: any of matplotlib's.
        path: ends in .png, .jpg, .svg or .pdf; its folder must exist.

    Raises:
        OptionError: another ending, or the file cannot be written.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise OptionError(f"expected a name that ends in .png, .jpg, .svg or .pdf, got {path}")
    write_atomically(path, to_bytes(figure, kind))

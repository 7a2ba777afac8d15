"""What all pictures that matplotlib draws share, whoever draws them (the extra "plot").

    colors  of Okabe and Ito, as matplotlib takes them; dashes and markers for curves
    text     any name in letters that some font has; percentages and counts in words
    panels   a figure with its title, its panels, their ticks, its legend
    files    a figure -> a PNG, SVG or PDF file

Figures are ``matplotlib.figure.Figure`` and belong to the caller; pyplot and the global state of
matplotlib are left alone, and no screen is needed. matplotlib is loaded by what draws, not before.
"""

from __future__ import annotations

from lineament.errors import MissingExtraError


def check_extra(what: str = "drawing pictures of a run", extra: str = "plot") -> None:
    """Raise MissingExtraError, saying for what and from which extra, unless matplotlib is there."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(what, extra) from error

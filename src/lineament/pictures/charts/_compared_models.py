"""Models beside one another: what each gets right, with intervals, time and size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lineament.errors import OptionError
from lineament.pictures.charts._panels import finished, new_figure, share_ticks
from lineament.pictures.charts.colors import BLUE, GRAY, INK, LIGHT
from lineament.pictures.charts.text import wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 40
"""More would be too small to read: the least accurate are left out, and that is said."""

_ALIKE = ("cosine", "euclidean_l2", "angular")
"""Metrics that order all pairs alike share a bar."""


def compared_models(rows: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Draw what ``compare_models`` found, the best on top, the ensemble below.

    A row is a dot and its interval.

    Args:
        rows: plain values, as ``ModelComparison.to_rows`` has them.
        title: what was compared.

    Raises:
        OptionError: nothing to draw.
        MissingExtraError: matplotlib is missing.
    """
    bars = _merged(rows)
    if not bars:
        raise OptionError("expected rows to draw, got none", option="rows")
    left_out = len(bars) - MOST_BARS
    if left_out > 0:
        bars = [*bars[: MOST_BARS - 1], bars[-1]]
        title = f"{title or 'Models'} (the {left_out} least accurate are left out)"
    figure, _ = new_figure(
        title or "Models", size_in=(12.5, min(15.0, 1.9 + 0.34 * len(bars))), columns=2
    )
    accuracies, tars = figure.axes
    _panel(
        accuracies, bars, "accuracy", "accuracy_interval", "accuracy (thresholds of other people)"
    )
    _panel(tars, bars, "tar_at_fmr_1e-3", "tar_interval", "true accept rate at FMR 1e-3")
    places = range(len(bars))[::-1]
    names = [wrapped(f"{bar['model']}, {bar['metric']}, {bar['alignment']}", 64) for bar in bars]
    accuracies.set_yticks(list(places), names)
    tars.set_yticks(list(places), [""] * len(bars))
    for place, bar in zip(places, bars, strict=True):
        tars.annotate(
            f"{bar['ms']:.1f} ms, {bar['megabytes']:.1f} MB", (1.02, place),
            xycoords=("axes fraction", "data"), va="center", fontsize=8.5, color=INK,
            annotation_clip=False,
        )  # fmt: skip
    return finished(figure)


def _merged(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows that differ in a metric that orders pairs alike as one, named by all of them."""
    bars: list[dict[str, Any]] = []
    at: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        kind = "cosine" if row["metric"] in _ALIKE else row["metric"]
        key = (row["model"], row["alignment"], kind)
        if key in at:
            continue
        at[key] = {**row, "metric": kind}
        bars.append(at[key])
    return bars


def _panel(
    axes: Axes, bars: Sequence[Mapping[str, Any]], key: str, interval: str, label: str
) -> None:
    ends = [end for bar in bars if bar[interval] is not None for end in bar[interval]]
    least = math.floor(20 * min(ends, default=0.0)) / 20  # to a whole 5 per cent
    least = min(least, 0.95)
    for place, bar in zip(range(len(bars))[::-1], bars, strict=True):
        if bar[key] is None:
            axes.annotate(
                "too few pairs", (0.02, place), xycoords=("axes fraction", "data"), va="center",
                fontsize=8, color=GRAY,
            )  # fmt: skip
            continue
        # A dot, no bar: a bar's length would say too much where the axis begins at 95 per cent.
        axes.axhline(place, color=LIGHT, linewidth=0.8, zorder=0)
        axes.plot(bar[interval], [place] * 2, color=BLUE, linewidth=1.8)
        axes.plot(bar[key], place, marker="o", color=BLUE, markersize=4.5, clip_on=False)
    axes.set_xlim(least, 1.0)
    axes.set_ylim(-0.7, len(bars) - 0.3)
    axes.grid(False, axis="y")
    share_ticks(axes, "x")
    axes.set_xlabel(wrapped(label, 44))

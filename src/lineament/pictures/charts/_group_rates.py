"""Rates of groups of people, and of pairs of groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.pictures.charts._panels import (
    finished,
    log_marks,
    log_ticks,
    map_of_colors,
    new_figure,
    share_ticks,
)
from lineament.pictures.charts.colors import (
    BLUE,
    GRAY,
    INK,
    LIGHT,
)
from lineament.pictures.charts.text import percent, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def group_matrix(
    groups: Sequence[str],
    rates: npt.ArrayLike,
    *,
    too_few: npt.ArrayLike | None = None,
    title: str = "",
    measure: str = "FMR",
) -> Figure:
    """Draw a rate for each pair of groups, numbers in cells, colors on a logarithmic scale.

    Args:
        groups: K names.
        rates: (K, K) shares 0 to 1; nan where there are no pairs.
        too_few: (K, K) bool: hatched, since there are too few pairs to say anything.
        title: what was compared.
        measure: what the rates are called.

    Raises:
        OptionError: other shapes, or no groups.
        MissingExtraError: matplotlib is missing.
    """
    k = len(groups)
    values = np.asarray(rates, np.float64)
    few = np.zeros((k, k), bool) if too_few is None else np.asarray(too_few, bool)
    if k == 0 or values.shape != (k, k) or few.shape != (k, k):
        raise OptionError(
            f"rates and too_few: expected ({k}, {k}), a row and a column for each of at least one "
            f"group, got {values.shape} and {few.shape}"
        )
    side = min(16.0, max(3.8, 2.6 + 0.72 * k))
    figure, axes = new_figure(title or f"{measure} by pair of groups", size_in=(side + 1.4, side))
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    seen = values[np.isfinite(values) & (values > 0) & ~few]
    least, most = (float(seen.min()), float(seen.max())) if seen.size else (1e-4, 1e-3)
    # At least two decades from white to black: rates that hardly differ get hardly another color.
    middle, half = math.sqrt(least * most), max(math.sqrt(most / least), 10.0)
    norm = LogNorm(middle / half, middle * half)
    shown = np.where(few | ~np.isfinite(values), np.nan, np.clip(values, norm.vmin, None))
    colors = map_of_colors()
    picture = axes.imshow(np.ma.masked_invalid(shown), cmap=colors, norm=norm)
    for i in range(k):
        for j in range(k):
            missing = not math.isfinite(values[i, j])
            if few[i, j] or missing:
                axes.add_patch(
                    Rectangle(
                        (j - 0.5, i - 0.5), 1, 1, facecolor="white", edgecolor=LIGHT,
                        hatch="xxx" if few[i, j] else None, linewidth=0,
                    )
                )  # fmt: skip
            text = "too few" if few[i, j] else "none" if missing else percent(values[i, j], 2)
            dark = not (few[i, j] or missing) and float(norm(shown[i, j])) > 0.55
            axes.text(
                j, i, text, ha="center", va="center", fontsize=9 if k <= 12 else 7,
                color="white" if dark else INK,
            )  # fmt: skip
    names = [wrapped(name, 16) for name in groups]
    upright = max(len(line) for name in names for line in name.split("\n")) <= 8
    axes.set_xticks(range(k), names, rotation=0 if upright else 45,
                    ha="center" if upright else "right", rotation_mode="anchor")  # fmt: skip
    axes.set_yticks(range(k), names)
    axes.grid(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8)
    bar.outline.set_visible(False)
    low, high = float(norm.vmin or 0), float(norm.vmax or 1)
    marks = log_marks(low, high)
    bar.set_ticks(marks, labels=[percent(mark) for mark in marks])
    bar.ax.minorticks_off()
    bar.set_label(wrapped(measure, 40), color=INK)
    return finished(figure)


def group_rates(
    groups: Sequence[str],
    rates: Mapping[str, npt.ArrayLike],
    *,
    intervals: Mapping[str, npt.ArrayLike] | None = None,
    too_few: Mapping[str, npt.ArrayLike] | None = None,
    title: str = "",
    log: bool = True,
) -> Figure:
    """Draw each group's rates as points with intervals, a panel for each rate.

    Args:
        groups: K names.
        rates: for example {"FMR": (K,), "FNMR": (K,)}, shares 0 to 1; nan where there is none.
        intervals: (K, 2) for the rates that have some: low and high.
        too_few: (K,) bool for the rates that have some: groups with too few pairs to judge by. A
            point of theirs is hollow, and where there is none the panel says why.
        title: what was compared.
        log: rates on a logarithmic axis; those that are 0 stand at its left end.

    Raises:
        OptionError: other shapes, or nothing to draw.
        MissingExtraError: matplotlib is missing.
    """
    k = len(groups)
    few = {name: np.asarray(values, bool) for name, values in (too_few or {}).items()}
    table = {name: np.asarray(values, np.float64) for name, values in rates.items()}
    spans = {name: np.asarray(v, np.float64) for name, v in (intervals or {}).items()}
    good = all(values.shape == (k,) for values in [*table.values(), *few.values()])
    if not (k and table and good and all(v.shape == (k, 2) for v in spans.values())):
        raise OptionError(
            f"rates, intervals and too_few: expected ({k},), ({k}, 2) and ({k},) for "
            f"{k} groups, at least one, got other shapes"
        )
    figure, _ = new_figure(
        title or "Rates by group",
        size_in=(max(6.4, 3.3 * len(table)), min(20.0, 1.9 + 0.42 * k)),
        columns=len(table),
    )
    places = np.arange(k)[::-1]
    for c, (axes, (name, values)) in enumerate(zip(figure.axes, table.items(), strict=True)):
        span = spans.get(name, np.stack([values, values], 1))
        positive = np.concatenate([values, span.ravel()])
        positive = positive[np.isfinite(positive) & (positive > 0)]
        least = float(positive.min()) / 2 if log and positive.size else 0.0
        scarce = few.get(name, np.zeros(k, bool))
        for i in range(k):
            if not math.isfinite(values[i]):
                axes.annotate(
                    "too few pairs" if scarce[i] else "no pairs", (0.02, places[i]),
                    xycoords=("axes fraction", "data"), va="center", fontsize=8, color=GRAY,
                )  # fmt: skip
                continue
            low, high = np.maximum(span[i], least)
            axes.plot([low, high], [places[i]] * 2, color=BLUE, linewidth=1.6)
            axes.plot(
                max(values[i], least), places[i], marker="o", color=BLUE, clip_on=False,
                markerfacecolor="white" if scarce[i] else BLUE, markersize=6.5,
            )  # fmt: skip
        axes.set_ylim(-0.6, k - 0.4)
        shown = [wrapped(name_, 24) for name_ in groups]
        axes.set_yticks(places, shown if c == 0 else [""] * k)
        if log and positive.size:
            axes.set_xscale("log")
            axes.set_xlim(least, min(1.0, float(positive.max()) * 1.6))
            log_ticks(axes, "x", percent, most=4)
        else:
            share_ticks(axes, "x")
        axes.set_xlabel(wrapped(name, 40))
        if (scarce & np.isfinite(values)).any():
            axes.plot(
                [], [], marker="o", linestyle="none", color=BLUE, markerfacecolor="white",
                label="too few pairs to judge by",
            )  # fmt: skip
    return finished(figure)

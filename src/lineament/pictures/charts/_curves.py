"""Any curves, such as accuracy against references a person."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lineament.errors import OptionError
from lineament.pictures.charts._panels import (
    finished,
    log_ticks,
    name_ticks,
    new_figure,
    share_ticks,
)
from lineament.pictures.charts.colors import (
    STYLES,
)
from lineament.pictures.charts.text import count_text, percent, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def lines(
    curves: Mapping[str, Mapping[str, float]],
    *,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    share: bool | None = None,
) -> Figure:
    """Draw one or more curves, such as accuracy against the number of references a person.

    Args:
        curves: name -> {place: value}. Where all places are numbers, the axis is one of numbers
            (logarithmic when they span more than a factor of 50); otherwise they are names and
            stand in the order given, not joined by a line.
        title: what was measured.
        xlabel: what the places are.
        ylabel: what the values are.
        share: whether the values are shares, shown as per cent. None: when all lie in 0 to 1.

    Raises:
        OptionError: there is nothing to draw.
        MissingExtraError: matplotlib is missing.
    """
    drawn = {
        name: {key: float(value) for key, value in curve.items() if _is_finite(value)}
        for name, curve in curves.items()
    }
    drawn = {name: curve for name, curve in drawn.items() if curve}
    if not drawn:
        raise OptionError("expected at least one with a finite value, got none", option="curves")
    places = list(dict.fromkeys(key for curve in drawn.values() for key in curve))
    values = [value for curve in drawn.values() for value in curve.values()]
    numbers = _numbers(places)
    figure, axes = new_figure(title or next(iter(drawn)))
    for k, (name, curve) in enumerate(drawn.items()):
        color, dash, marker = STYLES[k % len(STYLES)]
        x = [places.index(key) if numbers is None else float(key) for key in curve]
        order = np.argsort(x, kind="stable")
        axes.plot(
            np.array(x)[order], np.array(list(curve.values()))[order], color=color,
            linestyle=dash if numbers is not None else "none", markersize=6,
            marker=marker if len(curve) <= 40 or numbers is None else None,
            linewidth=1.8, label=name if len(drawn) > 1 else None,
        )  # fmt: skip
    if numbers is None:
        name_ticks(axes, places)
    elif min(numbers) > 0 and max(numbers) / min(numbers) > 50:
        axes.set_xscale("log")
        log_ticks(axes, "x", count_text if min(numbers) >= 1 else percent)
    elif len(numbers) <= 12:
        axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
    if share is None:
        share = min(values) >= 0 and max(values) <= 1
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) if high > low else 0.1 * (abs(high) if high else 1.0)
    if share:
        axes.set_ylim(max(0.0, low - margin), min(1.0, high + margin) + 0.002 * (high - low))
        share_ticks(axes, "y")
    else:
        axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel(wrapped(xlabel))
    axes.set_ylabel(wrapped(ylabel))
    return finished(figure)


def _numbers(texts: Iterable[str]) -> list[float] | None:
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value)

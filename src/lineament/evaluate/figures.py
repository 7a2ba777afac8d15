"""Pictures of a run, with matplotlib (the extra "plot").

    roc(), det()          error curves on logarithmic axes, operating points marked
    score_distribution()  how genuine and impostor pairs score, with the threshold
    lines()               any curves, such as accuracy against references a person
    reliability()         are probabilities what they claim to be?
    group_matrix()        a rate for each pair of groups, for example FMR
    group_rates()         rates of each group, with intervals
    save()                any of them, into a PNG, SVG or PDF file

Each returns a ``matplotlib.figure.Figure`` that belongs to the caller; pyplot and the global state
of matplotlib are left alone, and no screen is needed. The numbers come from ``curves``. Colours are
those of Okabe and Ito ("Color Universal Design", 2008); nothing is said by colour alone.
"""

from __future__ import annotations

import io
import math
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

import numpy as np
import numpy.typing as npt

from lineament.atomic import write_atomically
from lineament.draw import BLUE, GREY, INK, ORANGE, SKY, VERMILLION
from lineament.errors import MissingExtraError, OptionError
from lineament.evaluate.curves import (
    FMRS_MARKED,
    LEAST_ERRORS,
    ReliabilityBin,
    det_points,
    eer_point,
    operating_points,
    rates_at,
    score_histogram,
    sizes,
    thinned,
)
from lineament.evaluate.metrics import PairCounts
from lineament.evaluate.result import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Data = Scores | PairCounts

FORMATS = ("png", "svg", "pdf")
DPI = 160
SIZE_IN = (6.4, 4.8)
TITLE_WIDTH = 62
"""Characters of a title in a line of a picture that is ``SIZE_IN`` wide."""

_INK, _GREY, _BLUE, _SKY, _ORANGE, _VERMILLION = (
    f"#{red:02x}{green:02x}{blue:02x}"
    for red, green, blue in (INK, GREY, BLUE, SKY, ORANGE, VERMILLION)
)
_GREEN, _PURPLE = "#009e73", "#cc79a7"
_LIGHT, _SHADE = "#dddddd", "#eeeeec"
_STYLES = (
    (_BLUE, "-", "o"),
    (_VERMILLION, "--", "s"),
    (_GREEN, "-.", "^"),
    (_ORANGE, ":", "D"),
    (_PURPLE, (0, (6, 1, 1, 1, 1, 1)), "v"),
    (_SKY, (0, (3, 1)), "P"),
    (_INK, (0, (1, 1)), "X"),
)
_MARKERS = ("o", "s", "^", "D", "v", "P")


def check_extra() -> None:
    """Raise MissingExtraError unless matplotlib is there."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("drawing pictures of a run", "plot") from error


def roc(
    scores: Data | Mapping[str, Data],
    *,
    title: str = "",
    threshold: float | None = None,
    fmrs: Sequence[float] = FMRS_MARKED,
) -> Figure:
    """Draw TAR against FMR on a logarithmic axis.

    Where fewer than 30 impostor pairs match, the ground is grey: rates there are uncertain.

    Args:
        scores: of one run; or of several by their names, and then no points are marked.
        title: what was compared.
        threshold: in use; marked.
        fmrs: wanted rates to mark, as far as there are pairs enough to measure them.

    Raises:
        OptionError: genuine or impostor pairs are missing.
        MissingExtraError: matplotlib is missing.
    """
    return _error_curve(scores, title or "ROC", threshold, fmrs, tar=True)


def det(
    scores: Data | Mapping[str, Data],
    *,
    title: str = "",
    threshold: float | None = None,
    fmrs: Sequence[float] = FMRS_MARKED,
) -> Figure:
    """Draw FNMR against FMR, both axes logarithmic; arguments and errors as for ``roc``."""
    return _error_curve(scores, title or "DET", threshold, fmrs, tar=False)


def score_distribution(
    scores: Data,
    *,
    title: str = "",
    threshold: float | None = None,
    log: bool = True,
    xlabel: str = "similarity",
) -> Figure:
    """Draw histograms of genuine and impostor scores, one over the other.

    Args:
        scores: of pairs, or the counts of all pairs.
        title: what was compared.
        threshold: in use; marked by a line.
        log: count pairs on a logarithmic axis, so that both tails are seen; otherwise the share of
            each kind on a linear one.
        xlabel: what the scores are.

    Raises:
        OptionError: there are no scores.
        MissingExtraError: matplotlib is missing.
    """
    counted = score_histogram(scores)
    figure, axes = _new(title or "Scores")
    kinds = (
        ("genuine pairs", counted.genuine, _BLUE, "-"),
        ("impostor pairs", counted.impostor, _VERMILLION, "--"),
    )
    highest = 0.0
    for name, counts, colour, dash in kinds:
        total = int(counts.sum())
        if not total:
            continue
        values = counts.astype(np.float64) if log else counts / total
        highest = max(highest, float(values.max()))
        axes.stairs(values, counted.edges, fill=True, color=colour, alpha=0.18, linewidth=0)
        axes.stairs(
            values, counted.edges, color=colour, linestyle=dash, linewidth=1.8,
            label=f"{total:,} {name}",
        )  # fmt: skip
    axes.set_xlabel(_wrapped(xlabel))
    _span(axes, "x", [float(counted.edges[0]), float(counted.edges[-1])], threshold)
    if log:
        axes.set_yscale("log")
        # A single pair is a bar too, and the top stays clear.
        axes.set_ylim(0.6, max(highest, 1.0) * 2)
        _log_ticks(axes, "y", _count_text)
        axes.set_ylabel("pairs in a bin")
    else:
        axes.set_ylim(0, highest * 1.06)
        _share_ticks(axes, "y")
        axes.set_ylabel("share of the pairs of a kind in a bin")
    if threshold is not None:
        axes.axvline(
            threshold, color=_INK, linewidth=1.6, linestyle=(0, (5, 2)),
            label=f"threshold {threshold:.4g}",
        )  # fmt: skip
    if counted.without_face:
        _nothing(axes, f"not shown: {counted.without_face:,} pairs without a face")
    return _finished(figure)


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
        raise OptionError("curves: expected at least one with a finite value, got none")
    places = list(dict.fromkeys(key for curve in drawn.values() for key in curve))
    values = [value for curve in drawn.values() for value in curve.values()]
    numbers = _numbers(places)
    figure, axes = _new(title or next(iter(drawn)))
    for k, (name, curve) in enumerate(drawn.items()):
        colour, dash, marker = _STYLES[k % len(_STYLES)]
        x = [places.index(key) if numbers is None else float(key) for key in curve]
        order = np.argsort(x, kind="stable")
        axes.plot(
            np.array(x)[order], np.array(list(curve.values()))[order], color=colour,
            linestyle=dash if numbers is not None else "none", markersize=6,
            marker=marker if len(curve) <= 40 or numbers is None else None,
            linewidth=1.8, label=name if len(drawn) > 1 else None,
        )  # fmt: skip
    if numbers is None:
        _name_ticks(axes, places)
    elif min(numbers) > 0 and max(numbers) / min(numbers) > 50:
        axes.set_xscale("log")
        _log_ticks(axes, "x", _count_text if min(numbers) >= 1 else percent)
    elif len(numbers) <= 12:
        axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
    if share is None:
        share = min(values) >= 0 and max(values) <= 1
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) if high > low else 0.1 * (abs(high) if high else 1.0)
    if share:
        axes.set_ylim(max(0.0, low - margin), min(1.0, high + margin) + 0.002 * (high - low))
        _share_ticks(axes, "y")
    else:
        axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel(_wrapped(xlabel))
    axes.set_ylabel(_wrapped(ylabel))
    return _finished(figure)


def reliability(
    bins: Sequence[ReliabilityBin] | Mapping[str, Sequence[ReliabilityBin]], *, title: str = ""
) -> Figure:
    """Draw a reliability diagram: the share observed against the probability predicted.

    A calibrated probability lies on the diagonal. Beneath stands how many pairs each bin has.

    Args:
        bins: of one calibration; or of several by their names.
        title: what was judged.

    Raises:
        OptionError: there is nothing to draw.
        MissingExtraError: matplotlib is missing.
    """
    several = bins if isinstance(bins, Mapping) else {"pairs": bins}
    if not any(several.values()):
        raise OptionError("bins: expected at least one, got none")
    counted = all(each.count is not None for kind in several.values() for each in kind)
    figure, axes = _new(
        title or "Reliability", size_in=(6.4, 5.9), rows=(3.4, 1) if counted else (1,)
    )
    top = figure.axes[0]
    top.plot([0, 1], [0, 1], color=_GREY, linewidth=1.2, linestyle=(0, (4, 3)), label="calibrated")
    for k, (name, kind) in enumerate(several.items()):
        colour, dash, marker = _STYLES[k % len(_STYLES)]
        for each in kind:
            interval = each.interval()
            if interval is not None:
                top.plot([each.predicted] * 2, interval, color=colour, linewidth=1.2, alpha=0.7)
        label = name if len(several) > 1 else "observed, with 95% interval"
        x = [each.predicted for each in kind]
        top.plot(
            x, [each.observed for each in kind], color=colour, linestyle=dash, linewidth=1.4,
            marker=marker, markersize=6, label=label,
        )  # fmt: skip
        if counted:
            axes.vlines(x, 0.6, [max(each.count or 0, 0.6) for each in kind], color=colour)
            axes.plot(
                x, [max(each.count or 0, 0.6) for each in kind], color=colour, linestyle="none",
                marker=marker, markersize=5,
            )  # fmt: skip
    for part in figure.axes:
        part.set_xlim(-0.02, 1.02)
        _share_ticks(part, "x")
    top.set_ylim(-0.02, 1.02)
    _share_ticks(top, "y")
    top.set_ylabel("share that shows one person")
    if counted:
        axes.set_yscale("log")
        axes.set_ylim(0.6, 2 * max(each.count or 1 for kind in several.values() for each in kind))
        _log_ticks(axes, "y", _count_text)
        axes.set_ylabel("pairs")
        top.tick_params(axis="x", labelbottom=False)
    figure.axes[-1].set_xlabel("probability predicted")
    return _finished(figure)


def group_matrix(
    groups: Sequence[str],
    rates: npt.ArrayLike,
    *,
    too_few: npt.ArrayLike | None = None,
    title: str = "",
    measure: str = "FMR",
) -> Figure:
    """Draw a rate for each pair of groups, numbers in cells, colours on a logarithmic scale.

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
    figure, axes = _new(title or f"{measure} by pair of groups", size_in=(side + 1.4, side))
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    seen = values[np.isfinite(values) & (values > 0) & ~few]
    least, most = (float(seen.min()), float(seen.max())) if seen.size else (1e-4, 1e-3)
    norm = LogNorm(least / 1.01 if least < most else least / 3, most if least < most else most * 3)
    shown = np.where(few | ~np.isfinite(values), np.nan, np.clip(values, norm.vmin, None))
    colours = _map_of_colours()
    picture = axes.imshow(np.ma.masked_invalid(shown), cmap=colours, norm=norm)
    for i in range(k):
        for j in range(k):
            missing = not math.isfinite(values[i, j])
            if few[i, j] or missing:
                axes.add_patch(
                    Rectangle(
                        (j - 0.5, i - 0.5), 1, 1, facecolor="white", edgecolor=_LIGHT,
                        hatch="xxx" if few[i, j] else None, linewidth=0,
                    )
                )  # fmt: skip
            text = "too few" if few[i, j] else "none" if missing else percent(values[i, j], 2)
            dark = not (few[i, j] or missing) and float(norm(shown[i, j])) > 0.55
            axes.text(
                j, i, text, ha="center", va="center", fontsize=9 if k <= 12 else 7,
                color="white" if dark else _INK,
            )  # fmt: skip
    names = [_wrapped(name, 16) for name in groups]
    upright = max(len(line) for name in names for line in name.split("\n")) <= 8
    axes.set_xticks(range(k), names, rotation=0 if upright else 45,
                    ha="center" if upright else "right", rotation_mode="anchor")  # fmt: skip
    axes.set_yticks(range(k), names)
    axes.grid(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(picture, ax=axes, shrink=0.8)
    bar.outline.set_visible(False)
    low, high = float(norm.vmin or 0), float(norm.vmax or 1)
    marks = _log_marks(low, high)
    bar.set_ticks(marks, labels=[percent(mark) for mark in marks])
    bar.ax.minorticks_off()
    bar.set_label(_wrapped(measure, 40), color=_INK)
    return _finished(figure)


def group_rates(
    groups: Sequence[str],
    rates: Mapping[str, npt.ArrayLike],
    *,
    intervals: Mapping[str, npt.ArrayLike] | None = None,
    too_few: npt.ArrayLike | None = None,
    title: str = "",
    log: bool = True,
) -> Figure:
    """Draw each group's rates as points with intervals, a panel for each rate.

    Args:
        groups: K names.
        rates: for example {"FMR": (K,), "FNMR": (K,)}, shares 0 to 1; nan where there is none.
        intervals: (K, 2) for the rates that have some: low and high.
        too_few: (K,) bool: drawn hollow, and said so.
        title: what was compared.
        log: rates on a logarithmic axis; those that are 0 stand at its left end.

    Raises:
        OptionError: other shapes, or nothing to draw.
        MissingExtraError: matplotlib is missing.
    """
    k = len(groups)
    few = np.zeros(k, bool) if too_few is None else np.asarray(too_few, bool)
    table = {name: np.asarray(values, np.float64) for name, values in rates.items()}
    spans = {name: np.asarray(v, np.float64) for name, v in (intervals or {}).items()}
    good = all(values.shape == (k,) for values in table.values()) and few.shape == (k,)
    if not (k and table and good and all(v.shape == (k, 2) for v in spans.values())):
        raise OptionError(
            f"rates, intervals and too_few: expected ({k},), ({k}, 2) and ({k},) for "
            f"{k} groups, at least one, got other shapes"
        )
    figure, _ = _new(
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
        for i in range(k):
            if not math.isfinite(values[i]):
                continue
            low, high = np.maximum(span[i], least)
            axes.plot([low, high], [places[i]] * 2, color=_BLUE, linewidth=1.6)
            axes.plot(
                max(values[i], least), places[i], marker="o", color=_BLUE, clip_on=False,
                markerfacecolor="white" if few[i] else _BLUE, markersize=6.5,
            )  # fmt: skip
        axes.set_ylim(-0.6, k - 0.4)
        shown = [_wrapped(name_, 24) for name_ in groups]
        axes.set_yticks(places, shown if c == 0 else [""] * k)
        if log and positive.size:
            axes.set_xscale("log")
            axes.set_xlim(least, min(1.0, float(positive.max()) * 1.6))
            _log_ticks(axes, "x", percent, most=4)
        else:
            _share_ticks(axes, "x")
        axes.set_xlabel(_wrapped(name, 40))
    if few.any():
        figure.axes[0].plot(
            [], [], marker="o", linestyle="none", color=_BLUE, markerfacecolor="white",
            label="too few pairs to judge by",
        )  # fmt: skip
    return _finished(figure)


def to_bytes(figure: Figure, kind: str = "svg") -> bytes:
    """Return the figure as a file of that kind: "png", "svg" or "pdf".

    Raises:
        OptionError: another kind.
    """
    if kind not in FORMATS:
        raise OptionError(f"kind: expected one of {', '.join(FORMATS)}, got {kind!r}")
    undated: dict[str, dict[str, Any]] = {
        "svg": {"Date": None, "Creator": "lineament"},
        "pdf": {"CreationDate": None, "Creator": "lineament"},
        "png": {"Software": "lineament"},
    }
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=DPI, facecolor="white", metadata=undated[kind])
    return file.getvalue()


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure at once or not at all; a file that exists is replaced.

    Args:
        figure: any of matplotlib's.
        path: ends in .png, .svg or .pdf; its folder must exist.

    Raises:
        OptionError: another ending, or the file cannot be written.
    """
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise OptionError(f"expected a name that ends in .png, .svg or .pdf, got {path}")
    write_atomically(path, to_bytes(figure, kind))


# --- error curves ---------------------------------------------------------------------------------


def _error_curve(
    scores: Data | Mapping[str, Data],
    title: str,
    threshold: float | None,
    fmrs: Sequence[float],
    *,
    tar: bool,
) -> Figure:
    several = scores if isinstance(scores, Mapping) else {"": scores}
    if not several:
        raise OptionError("scores: expected those of at least one run, got none")
    full = {name: det_points(each, most=None) for name, each in several.items()}
    figure, axes = _new(title)
    n_genuine = max(sizes(each)[0] for each in several.values())
    n_impostor = max(sizes(each)[1] for each in several.values())
    left = 10.0 ** math.floor(math.log10(1 / n_impostor))
    if tar:
        told = [1 - p.fnmr for each in several.values() for p in operating_points(each, fmrs)]
        if threshold is not None:
            told += [1 - rates_at(each, threshold)[1] for each in several.values()]
        if not told:
            told = [float(1 - points.fnmr[points.fmr > 0][0]) for points in full.values()]
        bottom = _floor_of_tar(min(told))
    else:
        bottom = 10.0 ** math.floor(math.log10(1 / n_genuine))
    for k, (name, points) in enumerate(full.items()):
        colour, dash, _ = _STYLES[k % len(_STYLES)]
        fmr, fnmr, _ = thinned(points, 500)
        # Zero is nowhere on a logarithmic axis: the line leaves the picture straight.
        x = np.maximum(fmr, left / 100)
        y = 1 - fnmr if tar else np.maximum(fnmr, bottom / 100)
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=2, label=name or None)
    if len(full) == 1:
        (one,), (points,) = several.values(), full.values()
        _mark_points(axes, one, eer_point(points), threshold, fmrs, corner=(left, bottom), tar=tar)
        uncertain = f"fewer than {LEAST_ERRORS} errors seen: uncertain"
        if n_impostor * left < LEAST_ERRORS:
            axes.axvspan(left / 100, min(LEAST_ERRORS / n_impostor, 1), color=_SHADE, zorder=0,
                         linewidth=0, label=uncertain)  # fmt: skip
        if not tar:
            axes.axhspan(bottom / 100, min(LEAST_ERRORS / n_genuine, 1), color=_SHADE, zorder=0,
                         linewidth=0)  # fmt: skip
    if not tar:
        axes.plot([1e-12, 1], [1e-12, 1], color=_LIGHT, linewidth=1, zorder=1)
    axes.set_xscale("log")
    axes.set_xlim(left, 1)
    _log_ticks(axes, "x", percent)
    axes.set_xlabel("false match rate (FMR)")
    if tar:
        axes.set_ylim(bottom, 1 + 0.015 * (1 - bottom))
        _share_ticks(axes, "y")
        axes.set_ylabel("true accept rate (TAR)")
    else:
        axes.set_yscale("log")
        axes.set_ylim(min(bottom, 0.5), 1)  # without errors the curve lies on the frame
        _log_ticks(axes, "y", percent)
        axes.set_ylabel("false non-match rate (FNMR)")
    return _finished(figure)


def _mark_points(
    axes: Axes,
    scores: Data,
    eer: float,
    threshold: float | None,
    fmrs: Sequence[float],
    *,
    corner: tuple[float, float],
    tar: bool,
) -> None:
    """Points on the curve, told apart by shape; the legend says what they obtain.

    A rate of zero stands at the edge: ``corner`` is the least of both axes.
    """
    said = "TAR" if tar else "FNMR"

    def mark(fmr: float, fnmr: float, label: str, **look: Any) -> None:
        x, y = max(fmr, corner[0]), max(1 - fnmr if tar else fnmr, corner[1])
        axes.plot(x, y, linestyle="none", clip_on=False, label=label, **look)

    for marker, point in zip(_MARKERS, operating_points(scores, fmrs), strict=False):
        value = percent(1 - point.fnmr if tar else point.fnmr, 4 if tar else 3)
        mark(
            point.fmr, point.fnmr, f"FMR {percent(point.wanted)}: {said} {value}", marker=marker,
            color=_VERMILLION, markersize=7, markeredgecolor="white", zorder=4,
        )  # fmt: skip
    mark(
        eer, eer, f"EER {percent(eer, 3)}", marker="*", color=_ORANGE, markersize=15,
        markeredgecolor=_INK, zorder=3.5,
    )  # fmt: skip
    if threshold is not None:
        fmr, fnmr = rates_at(scores, threshold)
        label = f"threshold {threshold:.4g}: FMR {percent(fmr, 2)}"
        mark(
            fmr, fnmr, label, marker="o", color="white", markersize=14, markeredgecolor=_INK,
            markeredgewidth=1.8, zorder=3,
        )  # fmt: skip


def _floor_of_tar(tar: float) -> float:
    """Where the axis begins, so that the curve fills it."""
    for room in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        if tar >= 1 - 0.96 * room:
            return 1 - room
    return 0.0


# --- axes -----------------------------------------------------------------------------------------


def _new(
    title: str,
    *,
    size_in: tuple[float, float] = SIZE_IN,
    rows: Sequence[float] = (1,),
    columns: int = 1,
) -> tuple[Figure, Axes]:
    """A figure with a title and panels in the look of all of them; returns the last panel too."""
    check_extra()
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_in, layout="constrained", facecolor="white")
    figure.suptitle(
        _wrapped(title, round(TITLE_WIDTH * size_in[0] / SIZE_IN[0])), fontsize=12,
        fontweight="bold", color=_INK, x=0.02, ha="left",
    )  # fmt: skip
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=list(rows))
    for axes in grid.ravel():
        axes.set_facecolor("white")
        axes.grid(True, color=_LIGHT, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9.5, labelcolor=_INK, color=_GREY, length=3)
        axes.xaxis.label.set(size=10.5, color=_INK)
        axes.yaxis.label.set(size=10.5, color=_INK)
        for side, spine in axes.spines.items():
            spine.set(visible=side in ("left", "bottom"), color=_GREY)
    last: Axes = grid[-1, -1]
    return figure, last


def _finished(figure: Figure) -> Figure:
    """Put the legend beneath, and see that every text is drawn as it is."""
    from matplotlib.text import Text

    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(_wrapped(label, 44), handle)
    if found:
        longest = max(len(label) for label in found)
        columns = 1 if longest > 44 * figure.get_figwidth() / SIZE_IN[0] else 2
        figure.legend(
            list(found.values()), list(found), loc="outside lower left", ncols=columns,
            fontsize=9.5, frameon=False, labelcolor=_INK, handlelength=2.2,
        )  # fmt: skip
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)  # a name may hold "$"
        text.set_usetex(False)
        text.set_fontfamily(list(_drawable(text.get_text())[1]))
    return figure


def _span(axes: Axes, which: str, ends: list[float], also: float | None) -> None:
    if also is not None and math.isfinite(also):
        ends = [min(ends[0], also), max(ends[1], also)]
    margin = 0.02 * (ends[1] - ends[0])
    axes.set(**{f"{which}lim": (ends[0] - margin, ends[1] + margin)})


def _nothing(axes: Axes, text: str) -> None:
    """A line of the legend that stands for nothing in the picture."""
    axes.plot([], [], linestyle="none", label=text)


def _share_ticks(axes: Axes, which: str) -> None:
    from matplotlib.ticker import FuncFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: percent(value, 6)))


def _log_ticks(axes: Axes, which: str, text: Any, most: int = 6) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(FixedLocator(_log_marks(low, high, most)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def _log_marks(low: float, high: float, most: int = 6) -> list[float]:
    """Two to ``most`` round numbers from ``low`` to ``high``."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    for digits in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        marks = [d * 10.0**k for k in range(first, last + 1) for d in digits]
        marks = [m for m in marks if low * (1 - 1e-9) <= m <= high * (1 + 1e-9)]
        if len(marks) <= most:
            break
    if len(marks) > most:
        step = math.ceil(len(marks) / most)
        marks = marks[::-1][::step][::-1]
    return marks if len(marks) >= 2 else [low, high]


def _name_ticks(axes: Axes, names: Sequence[str]) -> None:
    shown = [_wrapped(name, 18) for name in names]
    flat = sum(max(map(len, name.split("\n"))) for name in shown) <= 56
    axes.set_xticks(range(len(names)), shown, rotation=0 if flat else 40,
                    ha="center" if flat else "right", rotation_mode="anchor")  # fmt: skip


def _map_of_colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("paper to blue", ["#f4f8fb", _SKY, _BLUE, "#00293f"])


# --- text -----------------------------------------------------------------------------------------


def percent(share: float, digits: int = 3) -> str:
    """0.0001 is "0.01%": per cent with so many digits that say something."""
    if not math.isfinite(share):
        return "not measurable"
    value = round(share * 100, 12)
    text = np.format_float_positional(value, precision=digits, fractional=False, trim="-")
    return f"{text}%"


def _count_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _wrapped(text: str, width: int = TITLE_WIDTH) -> str:
    """In at most three lines of ``width`` characters, and in letters that can be drawn."""
    # Capitals and the letters of East Asia are wider than the others.
    wide = sum(1.25 if c.isupper() else 1.6 if east_asian_width(c) in "WF" else 1.0 for c in text)
    fits = math.floor(width * len(text) / max(wide, 1.0))
    lines = textwrap.wrap(text, max(8, fits), max_lines=3, placeholder=" …")
    return _drawable("\n".join(lines))[0]


def _numbers(texts: Iterable[str]) -> list[float] | None:
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and math.isfinite(value)


FALLBACK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR",
    "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Microsoft YaHei",
    "Yu Gothic", "MS Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans",
    "Apple SD Gothic Neo", "Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil",
    "Noto Sans Thai", "Noto Sans Ethiopic", "Nirmala UI", "Leelawadee UI", "Ebrima",
    "Arial Unicode MS", "FreeSans", "Unifont",
)  # fmt: skip
"""Tried in this order, as far as they are installed, for letters that DejaVu Sans has not."""


def _drawable(text: str) -> tuple[str, tuple[str, ...]]:
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
    from matplotlib.font_manager import get_font

    return bool(get_font(path).get_char_index(ord(letter)))


@lru_cache(maxsize=64)
def _font_file(family: str) -> str | None:
    from matplotlib.font_manager import fontManager

    for entry in fontManager.ttflist:
        if entry.name == family and entry.style == "normal" and entry.weight in (400, "normal"):
            return str(entry.fname)
    return None

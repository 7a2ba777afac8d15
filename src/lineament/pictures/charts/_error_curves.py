"""ROC and DET: error rates on logarithmic axes, operating points marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lineament.errors import OptionError
from lineament.evaluate.curves import (
    FMRS_MARKED,
    LEAST_ERRORS,
    Data,
    det_points,
    eer_point,
    operating_points,
    rates_at,
    sizes,
    thinned,
)
from lineament.pictures.charts._panels import (
    finished,
    log_ticks,
    new_figure,
    share_ticks,
)
from lineament.pictures.charts.colors import (
    INK,
    LIGHT,
    MARKERS,
    ORANGE,
    SHADE,
    STYLES,
    VERMILLION,
)
from lineament.pictures.charts.text import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def roc(
    scores: Data | Mapping[str, Data],
    *,
    title: str = "",
    threshold: float | None = None,
    fmrs: Sequence[float] = FMRS_MARKED,
) -> Figure:
    """Draw TAR against FMR on a logarithmic axis.

    Where fewer than 30 impostor pairs match, the ground is gray: rates there are uncertain.

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
        raise OptionError("expected those of at least one run, got none", option="scores")
    full = {name: det_points(each, most=None) for name, each in several.items()}
    figure, axes = new_figure(title)
    n_genuine = max(sizes(each)[0] for each in several.values())
    n_impostor = max(sizes(each)[1] for each in several.values())
    # At least a decade: of a single pair there is one rate only.
    left = min(0.1, 10.0 ** math.floor(math.log10(1 / n_impostor)))
    if tar:
        told = [1 - p.fnmr for each in several.values() for p in operating_points(each, fmrs)]
        if threshold is not None:
            told += [1 - rates_at(each, threshold)[1] for each in several.values()]
        if not told:
            told = [float(1 - points.fnmr[points.fmr > 0][0]) for points in full.values()]
        bottom = _floor_of_tar(min(told))
    else:
        bottom = min(0.1, 10.0 ** math.floor(math.log10(1 / n_genuine)))
    for k, (name, points) in enumerate(full.items()):
        color, dash, _ = STYLES[k % len(STYLES)]
        fmr, fnmr, _ = thinned(points, 500)
        # Zero is nowhere on a logarithmic axis: the line leaves the picture straight.
        x = np.maximum(fmr, left / 100)
        y = 1 - fnmr if tar else np.maximum(fnmr, bottom / 100)
        axes.plot(x, y, color=color, linestyle=dash, linewidth=2, label=name or None)
    if len(full) == 1:
        (one,), (points,) = several.values(), full.values()
        _mark_points(axes, one, eer_point(points), threshold, fmrs, corner=(left, bottom), tar=tar)
        uncertain = f"fewer than {LEAST_ERRORS} errors seen: uncertain"
        if n_impostor * left < LEAST_ERRORS:
            axes.axvspan(left / 100, min(LEAST_ERRORS / n_impostor, 1), color=SHADE, zorder=0,
                         linewidth=0, label=uncertain)  # fmt: skip
        if not tar:
            axes.axhspan(bottom / 100, min(LEAST_ERRORS / n_genuine, 1), color=SHADE, zorder=0,
                         linewidth=0)  # fmt: skip
    if not tar:
        axes.plot([1e-12, 1], [1e-12, 1], color=LIGHT, linewidth=1, zorder=1)
    axes.set_xscale("log")
    axes.set_xlim(left, 1)
    log_ticks(axes, "x", percent)
    axes.set_xlabel("false match rate (FMR)")
    if tar:
        axes.set_ylim(bottom, 1 + 0.015 * (1 - bottom))
        share_ticks(axes, "y")
        axes.set_ylabel("true accept rate (TAR)")
    else:
        axes.set_yscale("log")
        axes.set_ylim(min(bottom, 0.5), 1)  # without errors the curve lies on the frame
        log_ticks(axes, "y", percent)
        axes.set_ylabel("false non-match rate (FNMR)")
    return finished(figure)


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

    for marker, point in zip(MARKERS, operating_points(scores, fmrs), strict=False):
        value = percent(1 - point.fnmr if tar else point.fnmr, 4 if tar else 3)
        mark(
            point.fmr, point.fnmr, f"FMR {percent(point.wanted)}: {said} {value}", marker=marker,
            color=VERMILLION, markersize=7, markeredgecolor="white", zorder=4,
        )  # fmt: skip
    mark(
        eer, eer, f"EER {percent(eer, 3)}", marker="*", color=ORANGE, markersize=15,
        markeredgecolor=INK, zorder=3.5,
    )  # fmt: skip
    if threshold is not None:
        fmr, fnmr = rates_at(scores, threshold)
        label = f"threshold {threshold:.4g}: FMR {percent(fmr, 2)}"
        mark(
            fmr, fnmr, label, marker="o", color="white", markersize=14, markeredgecolor=INK,
            markeredgewidth=1.8, zorder=3,
        )  # fmt: skip


def _floor_of_tar(tar: float) -> float:
    """Where the axis begins, so that the curve fills it."""
    for room in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        if tar >= 1 - 0.96 * room:
            return 1 - room
    return 0.0

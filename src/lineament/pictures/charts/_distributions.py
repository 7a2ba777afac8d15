"""How genuine and impostor pairs score, with the threshold; and what probabilities are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lineament.errors import OptionError
from lineament.evaluate.curves import (
    Data,
    ReliabilityBin,
    score_histogram,
)
from lineament.pictures.charts._panels import (
    add_remark,
    finished,
    log_ticks,
    new_figure,
    set_span,
    share_ticks,
)
from lineament.pictures.charts.colors import (
    BLUE,
    GRAY,
    INK,
    STYLES,
    VERMILLION,
)
from lineament.pictures.charts.text import count_text, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    figure, axes = new_figure(title or "Scores")
    kinds = (
        ("genuine pairs", counted.genuine, BLUE, "-"),
        ("impostor pairs", counted.impostor, VERMILLION, "--"),
    )
    highest = 0.0
    for name, counts, color, dash in kinds:
        total = int(counts.sum())
        if not total:
            continue
        values = counts.astype(np.float64) if log else counts / total
        highest = max(highest, float(values.max()))
        axes.stairs(values, counted.edges, fill=True, color=color, alpha=0.18, linewidth=0)
        axes.stairs(
            values, counted.edges, color=color, linestyle=dash, linewidth=1.8,
            label=f"{total:,} {name}",
        )  # fmt: skip
    axes.set_xlabel(wrapped(xlabel))
    set_span(axes, "x", [float(counted.edges[0]), float(counted.edges[-1])], threshold)
    if log:
        axes.set_yscale("log")
        # A single pair is a bar too, and the top stays clear.
        axes.set_ylim(0.6, max(highest, 1.0) * 2)
        log_ticks(axes, "y", count_text)
        axes.set_ylabel("pairs in a bin")
    else:
        axes.set_ylim(0, highest * 1.06)
        share_ticks(axes, "y")
        axes.set_ylabel("share of the pairs of a kind in a bin")
    if threshold is not None:
        axes.axvline(
            threshold, color=INK, linewidth=1.6, linestyle=(0, (5, 2)),
            label=f"threshold {threshold:.4g}",
        )  # fmt: skip
    if counted.without_face:
        pairs = "pair" if counted.without_face == 1 else "pairs"
        add_remark(axes, f"not shown: {counted.without_face:,} {pairs} without a face")
    return finished(figure)


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
        raise OptionError("expected at least one, got none", option="bins")
    counted = all(each.count is not None for kind in several.values() for each in kind)
    figure, axes = new_figure(
        title or "Reliability", size_in=(6.4, 5.9), rows=(3.4, 1) if counted else (1,)
    )
    top = figure.axes[0]
    top.plot([0, 1], [0, 1], color=GRAY, linewidth=1.2, linestyle=(0, (4, 3)), label="calibrated")
    for k, (name, kind) in enumerate(several.items()):
        color, dash, marker = STYLES[k % len(STYLES)]
        for each in kind:
            interval = each.interval()
            if interval is not None:
                top.plot([each.predicted] * 2, interval, color=color, linewidth=1.2, alpha=0.7)
        label = name if len(several) > 1 else "observed, with 95% interval"
        x = [each.predicted for each in kind]
        top.plot(
            x, [each.observed for each in kind], color=color, linestyle=dash, linewidth=1.4,
            marker=marker, markersize=6, label=label,
        )  # fmt: skip
        if counted:
            axes.vlines(x, 0.6, [max(each.count or 0, 0.6) for each in kind], color=color)
            axes.plot(
                x, [max(each.count or 0, 0.6) for each in kind], color=color, linestyle="none",
                marker=marker, markersize=5,
            )  # fmt: skip
    for part in figure.axes:
        part.set_xlim(-0.02, 1.02)
        share_ticks(part, "x")
    top.set_ylim(-0.02, 1.02)
    share_ticks(top, "y")
    top.set_ylabel("share that shows one person")
    if counted:
        axes.set_yscale("log")
        axes.set_ylim(0.6, 2 * max(each.count or 1 for kind in several.values() for each in kind))
        log_ticks(axes, "y", count_text)
        axes.set_ylabel("pairs")
        top.tick_params(axis="x", labelbottom=False)
    figure.axes[-1].set_xlabel("probability predicted")
    return finished(figure)

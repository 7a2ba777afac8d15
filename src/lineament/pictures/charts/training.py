"""Pictures of training, with matplotlib (the extra "train").

    curves()    loss, accuracy on verification pairs and learning rate over steps
    triplets()  numbers of easy, semi-hard and hard triplets over steps
    circles()   two-dimensional embeddings of a few people, a panel for each loss

The first two take the rows of a run's ``log.csv``. Each returns a ``matplotlib.figure.Figure`` that
belongs to the caller, in the look of ``lineament.pictures.charts``, whose ``files.save`` writes it.
Nothing is said by color alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.pictures.charts import files
from lineament.pictures.charts._panels import finished, log_ticks, new_figure, share_ticks
from lineament.pictures.charts.colors import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    LIGHT,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
)
from lineament.pictures.charts.text import count_text, wrapped
from lineament.text import per_cent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, object]

PEOPLE_STYLES = (
    (BLUE, "o"),
    (VERMILLION, "s"),
    (GREEN, "^"),
    (ORANGE, "D"),
    (PURPLE, "v"),
    (SKY, "P"),
    (YELLOW, "*"),
    (INK, "X"),
)
"""Color and marker of each person; after eight, colors come again with other markers."""

_MORE_MARKERS = ("<", ">", "p", "h", "d", "8")
SMOOTHED_SHARE = 0.05
"""The thick line is the mean over this share of the steps, around each."""


def check_extra() -> None:
    """Raise MissingExtraError unless matplotlib is there."""
    files.check_extra("drawing pictures of training", "train")


# --- over training --------------------------------------------------------------------------------


def curves(rows: Sequence[Row], *, title: str = "") -> Figure:
    """Draw loss, accuracy on verification pairs and learning rate, panels over the same steps.

    Args:
        rows: of ``log.csv``: ``step`` and ``loss``, and where they are known ``lr``,
            ``verify_accuracy`` and ``verify_auc`` (0 to 1); numbers or their text, "" where a row
            has none.
        title: what was trained.

    Raises:
        OptionError: no row has a step and a loss that is a number.
        MissingExtraError: matplotlib is missing.
    """
    check_extra()
    step, loss = _series(rows, "loss")
    if not len(step):
        raise OptionError(
            "expected at least one with a step and a finite loss, got none; a run writes "
            "them into log.csv",
            option="rows",
        )
    checks = {
        name: _series(rows, key)
        for key, name in (("verify_accuracy", "accuracy"), ("verify_auc", "area under the ROC"))
    }
    checks = {name: (x, y) for name, (x, y) in checks.items() if len(x)}
    rate_step, rate = _series(rows, "lr")
    heights = [2.2] + [1.6] * bool(checks) + [1.0] * bool(len(rate))
    figure, _ = new_figure(
        title or "Training", size_in=(6.4, 1.5 + 0.95 * sum(heights)), rows=heights
    )  # fmt: skip
    panels = iter(figure.axes)
    axes = next(panels)
    smooth = _running_mean(loss)
    axes.plot(step, loss, color=SKY, linewidth=0.8, marker=_dot(step), label="loss of a step")
    axes.plot(step, smooth, color=BLUE, linewidth=2, label="loss, running mean")
    positive = loss[loss > 0]
    if len(positive) == len(loss) and loss.max() / loss.min() > 20:
        axes.set_yscale("log")
        axes.set_ylim(loss.min() / 1.15, loss.max() * 1.15)
        log_ticks(axes, "y", lambda value: f"{value:g}", most=5)
    elif loss.min() >= 0:
        axes.set_ylim(0, loss.max() * 1.06 if loss.max() > 0 else 1)
    axes.set_ylabel("loss")
    if checks:
        axes = next(panels)
        looks = ((VERMILLION, "-", "o"), (GREEN, "--", "s"))
        for (name, (x, y)), (color, dash, marker) in zip(checks.items(), looks, strict=False):
            axes.plot(
                x, y, color=color, linestyle=dash, linewidth=1.8, markersize=5,
                marker=marker if len(x) <= 40 else None,
                label=f"{name}, last {per_cent(float(y[-1]), 2)}",
            )  # fmt: skip
        low = min(float(y.min()) for _, y in checks.values())
        axes.set_ylim(low - 0.08 * (1 - low) - 0.001, 1.0 + 0.03 * (1 - low) + 0.0005)
        share_ticks(axes, "y")
        axes.set_ylabel("verification")
    if len(rate):
        axes = next(panels)
        axes.plot(rate_step, rate, color=INK, linewidth=1.5)
        axes.set_ylim(0, float(rate.max()) * 1.12 if rate.max() > 0 else 1)
        axes.set_ylabel("learning rate")
    return _over_steps(figure, step)


def triplets(rows: Sequence[Row], *, title: str = "") -> Figure:
    """Draw how many triplets of a batch are easy, semi-hard and hard, over training.

    Args:
        rows: of ``log.csv``: ``step``, ``triplets_easy``, ``triplets_semi_hard`` and
            ``triplets_hard``.
        title: what was trained.

    Raises:
        OptionError: no row has all of them: another loss was trained.
        MissingExtraError: matplotlib is missing.
    """
    check_extra()
    keys = ("triplets_easy", "triplets_semi_hard", "triplets_hard")
    whole = [row for row in rows if all(math.isfinite(_number(row, k)) for k in ("step", *keys))]
    if not whole:
        raise OptionError(
            f"expected at least one with {', '.join(keys)}, got none; the triplet loss logs them",
            option="rows",
        )
    figure, axes = new_figure(title or "Triplets of a batch over training", size_in=(6.4, 4.4))
    looks = (
        ("easy: the negative is far enough", GREEN, "-"),
        ("semi-hard: within the margin", ORANGE, "--"),
        ("hard: the negative is the nearer one", VERMILLION, "-."),
    )
    step, _ = _series(whole, "step")
    highest = 0.0
    for key, (label, color, dash) in zip(keys, looks, strict=True):
        _, count = _series(whole, key)
        highest = max(highest, float(count.max()))
        axes.plot(step, count, color=color, linewidth=0.7, alpha=0.45, marker=_dot(step))
        axes.plot(step, _running_mean(count), color=color, linewidth=2, linestyle=dash,
                  label=label)  # fmt: skip
    # None at all is common and must be seen: linear up to one triplet, logarithmic from there.
    axes.set_yscale("symlog", linthresh=1, linscale=0.4)
    top = max(10.0, 10 ** math.ceil(math.log10(max(highest, 1) * 1.05)))
    axes.set_ylim(-0.08, top)
    marks = [0.0] + [10.0**k for k in range(round(math.log10(top)) + 1)]
    axes.set_yticks(marks, [count_text(mark) for mark in marks])
    axes.minorticks_off()
    axes.set_ylabel("triplets in a batch")
    return _over_steps(figure, step)


def _over_steps(figure: Figure, step: npt.NDArray[np.float64]) -> Figure:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = float(step.min()), float(step.max())
    margin = 0.02 * (high - low) if high > low else 1.0
    for place, axes in enumerate(figure.axes):
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if place < len(figure.axes) - 1:
            axes.tick_params(axis="x", labelbottom=False)
    figure.axes[-1].set_xlabel("step")
    figure.align_ylabels()
    return finished(figure)


def _series(
    rows: Sequence[Row], key: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Steps and values of the rows that have both, in the order of the steps."""
    pairs = [(_number(row, "step"), _number(row, key)) for row in rows]
    pairs = sorted(p for p in pairs if all(map(math.isfinite, p)))
    table = np.array(pairs, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _number(row: Row, key: str) -> float:
    try:
        return float(str(row[key]))
    except (KeyError, ValueError):
        return math.nan


def _running_mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    half = round(SMOOTHED_SHARE * len(values) / 2)
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    # Narrower towards both ends, so that it stays in the middle.
    half_here = np.minimum(half, np.minimum(place, len(values) - 1 - place))
    start, end = place - half_here, place + half_here + 1
    mean: npt.NDArray[np.float64] = (total[end] - total[start]) / (end - start)
    return mean


def _dot(step: npt.NDArray[np.float64]) -> str | None:
    """A line of one point is not seen."""
    return "." if len(step) == 1 else None


# --- embeddings in the plane ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class Circle:
    """What one panel of ``circles`` shows.

    Attributes:
        name: of the loss.
        points_xy: (N, 2) embeddings, of any length.
        labels: (N,) whose they are, places in the people's names.
        centers_xy: (C, 2) directions of the class centers.
        note: a line or two beneath the panel's name, such as its angles.
        on_circle: draw the points at their angle on the unit circle, not where they lie.
    """

    name: str
    points_xy: npt.NDArray[np.floating]
    labels: npt.NDArray[np.integer]
    centers_xy: npt.NDArray[np.floating]
    note: str = ""
    on_circle: bool = True


def circles(panels: Sequence[Circle], people: Sequence[str], *, title: str = "") -> Figure:
    """Draw two-dimensional embeddings, a color and marker a person, with rays to the centers.

    On the circle, points are spread a little along the radius, in the order they are given, so that
    they do not hide each other: the angle is what counts.

    Args:
        panels: one for each loss.
        people: C names.
        title: what is seen.

    Raises:
        OptionError: no panels, or arrays of other shapes.
        MissingExtraError: matplotlib is missing.
    """
    check_extra()
    if not panels:
        raise OptionError("expected at least one, got none", option="panels")
    for panel in panels:
        n, c = len(panel.labels), len(people)
        if panel.points_xy.shape != (n, 2) or panel.centers_xy.shape != (c, 2):
            raise OptionError(
                f"{panel.name}: expected ({n}, 2) points and ({c}, 2) centers, got "
                f"{panel.points_xy.shape} and {panel.centers_xy.shape}"
            )
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, _ = new_figure(
        title or "Two-dimensional embeddings",
        size_in=(max(6.4, 3.9 * columns), 1.5 + 4.25 * rows),
        rows=[1] * rows,
        columns=columns,
    )
    # The panels have titles of their own: keep them off the figure's.
    figure.set_layout_engine("constrained", h_pad=0.2)
    for axes, panel in zip(figure.axes, panels, strict=False):
        _circle(axes, panel, people)
    for axes in figure.axes[len(panels) :]:
        axes.set_visible(False)
    return _with_people(figure, people)


def _circle(axes: Axes, panel: Circle, people: Sequence[str]) -> None:
    points = np.asarray(panel.points_xy, np.float64)
    centers = np.asarray(panel.centers_xy, np.float64)
    centers = centers / np.maximum(np.linalg.norm(centers, axis=1, keepdims=True), 1e-12)
    if panel.on_circle:
        points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
        # Five rings, a twentieth apart: near enough to the circle, and points do not pile up.
        spread = 1 + 0.045 * ((np.arange(len(points)) * 2) % 5 - 2)
        points = points * spread[:, None]
        reach, ray = 1.16, 0.86
        turn = np.linspace(0, 2 * np.pi, 361)
        axes.plot(np.cos(turn), np.sin(turn), color=GRAY, linewidth=0.9, zorder=1)
    else:
        longest = float(np.linalg.norm(points, axis=1).max()) if len(points) else 1.0
        reach = 1.12 * max(longest, 1e-12)
        ray = reach
    for k in range(len(people)):
        color, marker = person_style(k)
        end = centers[k] * ray
        axes.plot([0, end[0]], [0, end[1]], color=INK, linewidth=2.6, zorder=2, alpha=0.85)
        axes.plot([0, end[0]], [0, end[1]], color=color, linewidth=1.5, zorder=2.1)
        own = points[np.asarray(panel.labels) == k]
        axes.plot(
            own[:, 0], own[:, 1], linestyle="none", color=color, marker=marker,
            markersize=6.2 if marker == "*" else 4.2, markeredgecolor="#3a3a3c",
            markeredgewidth=0.35, alpha=0.8, zorder=3,
        )  # fmt: skip
    axes.plot(0, 0, marker="o", markersize=3.5, color=INK, zorder=4)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    if panel.on_circle:
        axes.grid(False)
    if panel.on_circle:
        axes.set_xticks([])
        axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=not panel.on_circle, color=LIGHT)
    head = wrapped(panel.name, 34)
    axes.set_title(head, fontsize=11.5, fontweight="bold", color=INK, loc="left", pad=34)
    axes.text(
        0, 1.015, panel.note, transform=axes.transAxes, fontsize=9, color=INK, va="bottom",
        linespacing=1.35,
    )  # fmt: skip


def person_style(k: int) -> tuple[str, str]:
    """Color and marker of the ``k``-th person."""
    color, marker = PEOPLE_STYLES[k % len(PEOPLE_STYLES)]
    if k >= len(PEOPLE_STYLES):
        marker = _MORE_MARKERS[(k // len(PEOPLE_STYLES) - 1) % len(_MORE_MARKERS)]
    return color, marker


def _with_people(figure: Figure, people: Sequence[str]) -> Figure:
    """The legend of names, beneath all panels."""
    from matplotlib.lines import Line2D

    handles, names = [], []
    for k, name in enumerate(people):
        color, marker = person_style(k)
        handles.append(
            Line2D(
                [], [], linestyle="none", color=color, marker=marker, markersize=8,
                markeredgecolor="#3a3a3c", markeredgewidth=0.4,
            )
        )  # fmt: skip
        names.append(wrapped(name, 24).replace("\n", " "))
    finished(figure)
    legend = figure.legend(
        handles, names, loc="outside lower left", frameon=False, labelcolor=INK, fontsize=10,
        ncols=max(1, min(len(people), int(figure.get_figwidth() // 2.6))), handletextpad=0.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure

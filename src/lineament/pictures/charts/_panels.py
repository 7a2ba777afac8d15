"""A figure with its title and panels in the look of all of them: opened, marked, finished."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lineament.pictures.charts.colors import BLUE, GRAY, INK, LIGHT, SKY
from lineament.pictures.charts.files import check_extra
from lineament.pictures.charts.text import TITLE_WIDTH, drawable, percent, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_IN = (6.4, 4.8)


def new_figure(
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
        wrapped(title, round(TITLE_WIDTH * size_in[0] / SIZE_IN[0])), fontsize=12,
        fontweight="bold", color=INK, x=0.02, ha="left",
    )  # fmt: skip
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=list(rows))
    for axes in grid.ravel():
        axes.set_facecolor("white")
        axes.grid(True, color=LIGHT, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9.5, labelcolor=INK, color=GRAY, length=3)
        axes.xaxis.label.set(size=10.5, color=INK)
        axes.yaxis.label.set(size=10.5, color=INK)
        for side, spine in axes.spines.items():
            spine.set(visible=side in ("left", "bottom"), color=GRAY)
    last: Axes = grid[-1, -1]
    return figure, last


def finished(figure: Figure) -> Figure:
    """Put the legend beneath, and see that every text is drawn as it is."""
    from matplotlib.text import Text

    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(wrapped(label, 44), handle)
    if found:
        longest = max(len(label) for label in found)
        columns = 1 if longest > 44 * figure.get_figwidth() / SIZE_IN[0] else 2
        figure.legend(
            list(found.values()), list(found), loc="outside lower left", ncols=columns,
            fontsize=9.5, frameon=False, labelcolor=INK, handlelength=2.2,
        )  # fmt: skip
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)  # a name may hold "$"
        text.set_usetex(False)
        text.set_fontfamily(list(drawable(text.get_text())[1]))
    return figure


def set_span(axes: Axes, which: str, ends: list[float], also: float | None) -> None:
    """Let the axis "x" or "y" reach from end to end, to ``also`` too, and a little further."""
    if also is not None and math.isfinite(also):
        ends = [min(ends[0], also), max(ends[1], also)]
    margin = 0.02 * (ends[1] - ends[0])
    axes.set(**{f"{which}lim": (ends[0] - margin, ends[1] + margin)})


def add_remark(axes: Axes, text: str) -> None:
    """A line of the legend that stands for nothing in the picture."""
    axes.plot([], [], linestyle="none", label=text)


def share_ticks(axes: Axes, which: str) -> None:
    """Mark the axis "x" or "y" in per cent."""
    from matplotlib.ticker import FuncFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: percent(round(value, 9), 6)))


def log_ticks(axes: Axes, which: str, text: Callable[[float], str], most: int = 6) -> None:
    """Mark a logarithmic axis, "x" or "y", at up to ``most`` round numbers, said by ``text``."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = sorted(axis.get_view_interval())
    axis.set_major_locator(FixedLocator(log_marks(low, high, most)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))


def log_marks(low: float, high: float, most: int = 6) -> list[float]:
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


def name_ticks(axes: Axes, names: Sequence[str]) -> None:
    """Mark the axis "x" with names, at 0, 1, 2 ...; slanted where they are long."""
    shown = [wrapped(name, 18) for name in names]
    flat = sum(max(map(len, name.split("\n"))) for name in shown) <= 56
    axes.set_xticks(range(len(names)), shown, rotation=0 if flat else 40,
                    ha="center" if flat else "right", rotation_mode="anchor")  # fmt: skip


def map_of_colors() -> Any:
    """From paper to blue, for rates in cells."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("paper to blue", ["#f4f8fb", SKY, BLUE, "#00293f"])

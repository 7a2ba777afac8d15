"""A photo made worse in steps, drawn: each version, its similarity, and where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lineament.explain.degrade import MEANT, Degraded, Kind, Step, Subject, fails_at
from lineament.pictures.charts.colors import BLUE, GRAY, INK, VERMILLION
from lineament.pictures.charts.text import percent
from lineament.pictures.plots._sheet import EDGE, SMALL_PT, TEXT_PT, Sheet, height_of
from lineament.pictures.plots.plot import Plot
from lineament.text import per_cent
from lineament.types import Image, Threshold


def occlusion(degraded: Degraded, *, title: str = "") -> Plot:
    """Draw how similarity falls as a photo is made worse.

    Args:
        degraded: from ``lineament.explain.degrade``.
        title: "" is the photo's name.

    Raises:
        MissingExtraError: matplotlib is missing.
    """
    return Plot(_draw(degraded, title), degraded.to_dict())


# --- the picture ----------------------------------------------------------------------------------

FACE_IN, GAP_IN, AXIS_IN, CHART_IN = 0.8, 0.1, 0.52, 1.15
BLOCK_IN = AXIS_IN + 6 * FACE_IN + 5 * GAP_IN
BETWEEN_IN = 0.35


def _draw(degraded: Degraded, title: str) -> Any:
    series, threshold = degraded.series, degraded.threshold
    subject, reference = degraded.subject, degraded.reference
    short = degraded.source.replace("\\", "/").rsplit("/", 1)[-1]
    columns = min(2, len(series))
    width = 2 * EDGE + columns * BLOCK_IN + (columns - 1) * BETWEEN_IN
    against = (
        "the photo as it is"
        if reference is None
        else f"another one, {reference.replace(chr(92), '/').rsplit('/', 1)[-1]}"
    )
    origin = threshold.origin if threshold.fmr is None else f"for a {threshold.origin}"
    sheet = Sheet(
        title if title else f"{short}, made worse in steps", width,
        subtitle=f"Each version goes through the whole pipeline and is compared with {against}. "
        f"Threshold {threshold.value:.3f} (dashed line) {origin}. {frames_in_words(series)}",
    )  # fmt: skip
    low = min([0.0, threshold.value] + [s.similarity for own in series.values() for s in own
                                        if s.similarity is not None])  # fmt: skip
    kinds = list(series)
    for start in range(0, len(kinds), columns):
        tallest = 0.0
        for column, kind in enumerate(kinds[start : start + columns]):
            left = EDGE + column * (BLOCK_IN + BETWEEN_IN)
            tallest = max(tallest, _block(sheet, left, kind, series[kind], subject, threshold, low))
        sheet.down += tallest + 0.3
    return sheet.finished(sheet.down - 0.25)


def frames_in_words(series: Mapping[Kind, Sequence[Step]]) -> str:
    """What the frames mean that are there."""
    steps = [step for own in series.values() for step in own]
    short = any(not step.same and step.similarity is not None for step in steps)
    faceless = any(step.similarity is None for step in steps)
    said = ["Blue frame: reaches it"] if any(step.same for step in steps) else []
    if short or faceless:
        why = (("falls short",) * short) + (("no face is found",) * faceless)
        said.append(f"vermillion, dashed: {', or '.join(why)}")
    words = "; ".join(said)
    return f"{words[:1].upper()}{words[1:]}."


def _block(
    sheet: Sheet,
    left: float,
    kind: Kind,
    steps: Sequence[Step],
    subject: Subject,
    threshold: Threshold,
    low: float,
) -> float:
    head, unit = MEANT[kind]
    top = sheet.down
    top += sheet.text(left, top, BLOCK_IN, head, 10.5, bold=True)
    end = fails_at(steps)
    fails = "no step here fails" if end is None else f"fails first at {_level(kind, end)}"
    if any(step.level is None and not step.same for step in steps):
        fails = "fails as it is, without a step"
    top += sheet.text(left, top, BLOCK_IN, f"{unit}; {fails}", SMALL_PT, color=GRAY) + 0.06
    first = left + AXIS_IN
    tallest = 0.0
    for k, step in enumerate(steps):
        x = first + k * (FACE_IN + GAP_IN)
        sheet.picture(shown(step.image, subject), x, top, FACE_IN,
                      frame=BLUE if step.same else VERMILLION, dashed=not step.same)  # fmt: skip
        lines = ["as it is" if step.level is None else _level(kind, step.level)]
        if step.similarity is None:
            lines += ["no face", "found"]
        else:
            lines.append(f"sim. {step.similarity:.3f}")
            if step.probability is not None:
                lines.append(f"p {_short(step.probability)}")
        sheet.text(x - 0.05, top + FACE_IN + 0.06, FACE_IN + 0.1, "\n".join(lines), SMALL_PT,
                   color=INK if step.same else VERMILLION, centered=True)  # fmt: skip
        tallest = max(tallest, height_of(lines, SMALL_PT))
    chart = top + FACE_IN + 0.06 + tallest + 0.1
    axes = sheet.axes(first, chart, 6 * FACE_IN + 5 * GAP_IN, CHART_IN)
    # Each point stands right under its face.
    pitch = FACE_IN + GAP_IN
    places = np.arange(len(steps)) * pitch + FACE_IN / 2
    values = {k: step.similarity for k, step in enumerate(steps) if step.similarity is not None}
    axes.plot(places[list(values)], list(values.values()), color=GRAY, linewidth=1.4, zorder=2)
    for same, color, marker in ((True, BLUE, "o"), (False, VERMILLION, "X")):
        some = [k for k in values if steps[k].same == same]
        axes.plot(places[some], [values[k] for k in some], linestyle="none",
                  marker=marker, color=color, markersize=6.5, zorder=3)  # fmt: skip
    axes.axhline(threshold.value, color=INK, linewidth=1.3, linestyle=(0, (5, 2)), zorder=1)
    axes.set_xlim(0, 6 * FACE_IN + 5 * GAP_IN)
    axes.set_ylim(low - (0.05 if low < 0 else 0), 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_xticks(places, [""] * len(steps))
    axes.set_ylabel("similarity", fontsize=TEXT_PT)
    return chart + CHART_IN - sheet.down


SHOWN = 1.45
"""Side of what is shown, over the face's longer side."""


def shown(picture: Image, subject: Subject) -> Image:
    """The middle of a version: the face with some room, its pixels as coarse as they are."""
    share = min(1.0, SHOWN * subject.side_px / len(subject.image))
    size = len(picture)
    cut = round((1 - share) / 2 * size)
    part = picture[cut : size - cut, cut : size - cut]
    if len(part) < 120:
        times = -(-120 // len(part))
        part = part.repeat(times, axis=0).repeat(times, axis=1)
    return part


def _level(kind: Kind, level: float) -> str:
    if kind in ("mask", "darkness"):
        return percent(level, 2)
    return {"rotation": f"{level:g}°", "resolution": f"{level:g} px"}.get(kind, f"{level:g}")


def _short(probability: float) -> str:
    """Under a face there is room for a few letters only."""
    return per_cent(probability, most=1)

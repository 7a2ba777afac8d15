"""Why two photos are called the same person or not, drawn: occlusion maps and the verdict."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from lineament.explain.occlusion_map import STEPS, Explanation
from lineament.pictures.charts.colors import BLUE, GRAY, VERMILLION
from lineament.pictures.plots._sheet import EDGE, SMALL_PT, TEXT_PT, Sheet
from lineament.pictures.plots.plot import Plot
from lineament.types import Decision, Float64Array, Image, Quality

LEAST_SCALE = 0.02
"""The colors reach at least so far: on two equal photos nothing matters much."""


def explain(explanation: Explanation, *, title: str = "") -> Plot:
    """Draw which regions carry the decision on two photos, and what it rests on.

    Args:
        explanation: from ``lineament.explain.explain``.
        title: "" is the verdict.

    Raises:
        MissingExtraError: matplotlib is missing.
    """
    return Plot(_draw(explanation, title), explanation.to_dict())


# --- the picture ----------------------------------------------------------------------------------

FACE_IN, GAP_IN = 2.02, 0.16
WIDTH_IN = 2 * EDGE + 4 * FACE_IN + 3 * GAP_IN


def diverging() -> Any:
    """From vermillion (covering raises the similarity) over white to blue (lowers it)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "against and for", ["#7a3500", VERMILLION, "#f2b48a", "#ffffff", "#8cc4e6", BLUE, "#003a5c"]
    )


def overlay(crop: Image, importance: Float64Array, reach: float) -> Image:
    """The face in light gray, tinted by what covering it does; white stands for no change."""
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float64)[:, :, None] / 255
    colors = diverging()(np.clip(importance / reach, -1, 1) / 2 + 0.5)[:, :, :3]
    tinted: Image = np.rint(255 * colors * (0.5 + 0.5 * gray)).astype(np.uint8)
    return tinted


def _draw(explanation: Explanation, title: str) -> Any:
    crops, maps, decision = explanation.crops, explanation.maps, explanation.decision
    smooth = [-found.smooth(len(crop)) for found, crop in zip(maps, crops, strict=True)]
    reach = max(LEAST_SCALE, *(float(np.abs(each).max()) for each in smooth))
    verdict = decision.verdict_in_words
    head = f"{verdict[:1].upper()}{verdict[1:]}: similarity {decision.similarity:.3f}, threshold "
    head += f"{decision.threshold.value:.3f}"
    sheet = Sheet(title if title else head, WIDTH_IN, subtitle=head if title else "")
    top = sheet.down
    sources = (decision.source_a, decision.source_b)
    tallest = 0.0
    for k, source in enumerate(sources):
        name = os.path.basename(source)  # noqa: PTH119 - may be an address
        left = EDGE + 2 * k * (FACE_IN + GAP_IN)
        tallest = max(tallest, sheet.text(left, top, 2 * FACE_IN + GAP_IN, f"{'AB'[k]}: {name}",
                                          TEXT_PT, bold=True, most=2))  # fmt: skip
    top += tallest + 0.08
    for k in (0, 1):
        left = EDGE + 2 * k * (FACE_IN + GAP_IN)
        sheet.picture(crops[k], left, top, FACE_IN)
        sheet.picture(overlay(crops[k], smooth[k], reach), left + FACE_IN + GAP_IN, top, FACE_IN)
    sheet.down = top + FACE_IN + 0.14
    axes = sheet.axes(EDGE + 2.2, sheet.down, WIDTH_IN - 2 * EDGE - 4.4, 0.16)
    axes.grid(False)
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=diverging(), aspect="auto",
                extent=(-reach, reach, 0, 1))  # fmt: skip
    axes.set(yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("similarity lost when this place is covered", fontsize=SMALL_PT)
    sheet.text(EDGE, sheet.down, 2.0, "vermillion: covering raises it, so this place speaks for "
               "two people", SMALL_PT, color=GRAY)  # fmt: skip
    sheet.text(WIDTH_IN - EDGE - 2.0, sheet.down, 2.0, "blue: covering lowers it, so this place "
               "speaks for one person", SMALL_PT, color=GRAY)  # fmt: skip
    sheet.down += 0.72
    column = (WIDTH_IN - 2 * EDGE - 0.4) / 2
    starts = (EDGE, EDGE + column + 0.4)
    facts = _facts(decision)
    rows = _quality_rows(decision.quality_a, decision.quality_b)
    heights = []
    down = (
        sheet.down + sheet.text(starts[0], sheet.down, column, "The verdict", 11, bold=True) + 0.06
    )
    for name, value in facts:
        sheet.text(starts[0], down, 1.05, name, color=GRAY)
        down += sheet.text(starts[0] + 1.1, down, column - 1.1, value) + 0.04
    if rows:
        down += 0.08
        for place, words in ((2.15, "A"), (3.1, "B")):
            sheet.text(starts[0] + place, down, 0.9, words, bold=True)
        down += 0.19
        for name, first, second in rows:
            sheet.text(starts[0], down, 2.1, name, color=GRAY)
            sheet.text(starts[0] + 2.15, down, 0.9, first)
            down += sheet.text(starts[0] + 3.1, down, 0.9, second) + 0.02
    heights.append(down)
    down = sheet.down + sheet.text(starts[1], sheet.down, column, "What would change it", 11,
                                   bold=True) + 0.06  # fmt: skip
    for words in explanation.changes:
        sheet.text(starts[1], down, 0.15, "•")
        down += sheet.text(starts[1] + 0.15, down, column - 0.15, words) + 0.07
    down += 0.02
    down += sheet.text(
        starts[1], down, column,
        f"Patches of {maps[0].patch_px} pixels of the aligned face of {len(crops[0])}, blurred or "
        f"painted, at {STEPS} × {STEPS} places; left and right are the viewer's.",
        SMALL_PT, color=GRAY,
    )  # fmt: skip
    heights.append(down)
    return sheet.finished(max(heights))


def _facts(decision: Decision) -> list[tuple[str, str]]:
    threshold, certainty = decision.threshold, decision.certainty
    interval = (
        f", 95 % interval {threshold.low:.3f} to {threshold.high:.3f}"
        if threshold.low is not None and threshold.high is not None
        else ""
    )
    facts = [
        ("answer", decision.verdict_in_words),
        ("similarity", f"{decision.similarity:.3f} (cosine)"),
        ("threshold", f"{threshold.value:.3f}{interval}: {threshold.origin}"),
        ("margin", f"{decision.margin:+.3f}".replace("-", "−")),
    ]
    if certainty is not None:
        facts.append(
            (
                "probability",
                f"{certainty.in_words} that it is one person, prior {certainty.prior:g}",
            )
        )
    else:
        weights = decision.contract.weights
        words = f"not known: there is no calibration for {weights} as it is used here"
        facts.append(("probability", words))
    facts += [("open since" if i == 0 else "", each) for i, each in enumerate(decision.reasons)]
    facts.append(("recognizer", decision.contract.weights))
    return facts


_MEASURES = (
    ("size_px", "between the eyes, pixels", ".0f"),
    ("sharpness", "sharpness", ".3f"),
    ("yaw_deg", "yaw, degrees", "+.0f"),
    ("pitch_deg", "pitch, degrees", "+.0f"),
    ("roll_deg", "roll, degrees", "+.0f"),
    ("visible_share", "in the photo, 0 to 1", ".2f"),
    ("recognizability", "recognizability, 0 to 1", ".2f"),
    ("brightness", "brightness, 0 to 1", ".2f"),
    ("contrast", "contrast, 0 to 0.5", ".2f"),
    ("norm", "embedding norm", ".1f"),
)


def _quality_rows(a: Quality | None, b: Quality | None) -> list[tuple[str, str, str]]:
    if a is None or b is None:
        return []
    first, second = asdict(a), asdict(b)

    def shown(value: float | None, digits: str) -> str:
        return "unknown" if value is None else format(value, digits).replace("-", "−")

    return [(words, shown(first[key], d), shown(second[key], d)) for key, words, d in _MEASURES]

"""A person's photos by the turn of the head or what is seen of the face, drawn: where it fails.

Above stand faces, sampled over the whole range, and below all photos: similarity against yaw or
the embedding's length, with the threshold.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from lineament.errors import OptionError
from lineament.explain.pose import Poses, Turned, degrees
from lineament.pictures.charts.colors import BLUE, GRAY, INK, VERMILLION
from lineament.pictures.plots._sheet import EDGE, SMALL_PT, Sheet, height_of, wrapped
from lineament.pictures.plots.plot import Plot
from lineament.text import per_cent

MOST_FACES = 24
"""Faces shown; more are sampled, evenly over their order."""

A_ROW = 8
FACE_IN, GAP_IN = 0.98, 0.14
WIDTH_IN = 2 * EDGE + A_ROW * FACE_IN + (A_ROW - 1) * GAP_IN


def pose(poses: Poses, *, title: str = "", most: int = MOST_FACES) -> Plot:
    """Draw a person's photos in order, each compared with a reference.

    Args:
        poses: from ``lineament.explain.compare_poses``.
        title: of the picture, usually the person's name.
        most: faces to show, at least 2; the chart has all photos.

    Raises:
        OptionError: ``most`` is below 2.
        MissingExtraError: matplotlib is missing.
    """
    if most < 2:
        raise OptionError(f"expected 2 faces or more, got {most}", option="most")
    shown = _sampled(poses.turned, most)
    return Plot(_draw(poses, shown, title), poses.to_dict() | {"n_faces_shown": len(shown)})


def frames_in_words(shown: Sequence[Turned]) -> str:
    """What the frames mean that are there."""
    same = {each.decision.same for each in shown}
    kinds = ((True, "blue frame: reaches the threshold"),
             (False, "vermillion, dashed: falls short of it"))  # fmt: skip
    said = ";  ".join(words for kind, words in kinds if kind in same)
    return said if len(same) == 2 else f"{said}, as all here do"


def _sampled(turned: Sequence[Turned], most: int) -> Sequence[Turned]:
    """Evenly over the order, both ends among them."""
    if len(turned) <= most:
        return turned
    places = np.unique(np.rint(np.linspace(0, len(turned) - 1, most)).astype(int))
    return [turned[i] for i in places.tolist()]


def _draw(poses: Poses, shown: Sequence[Turned], title: str) -> Any:
    photos, reference, turned = poses.photos, poses.reference, poses.turned
    pose, threshold, by = poses.pose_of_reference, poses.threshold, poses.by
    sampled = (
        f" {len(shown)} of {len(turned):,} faces are shown." if len(shown) < len(turned) else ""
    )
    what = "the turn of the head" if by == "yaw" else "how much is seen of the face"
    head = f"Similarity against {what}"
    sheet = Sheet(f"{title}: {head[0].lower()}{head[1:]}" if title else head, WIDTH_IN,
                  subtitle=poses.summary + sampled)  # fmt: skip
    name = os.path.basename(reference.source)  # noqa: PTH119 - may be an address
    sheet.picture(reference.crop, EDGE, sheet.down, FACE_IN, frame=INK)
    beside = EDGE + FACE_IN + GAP_IN
    sheet.text(
        beside, sheet.down + 0.05, WIDTH_IN - beside - EDGE,
        f"The reference\n{name}\nyaw {degrees(pose.yaw_deg)}, pitch {degrees(pose.pitch_deg)}, "
        f"roll {degrees(pose.roll_deg)}", most=4,
    )  # fmt: skip
    key = frames_in_words(shown)
    sheet.text(beside, sheet.down + FACE_IN - 0.17, WIDTH_IN - beside - EDGE, key, SMALL_PT,
               color=GRAY)  # fmt: skip
    sheet.down += FACE_IN + 0.2
    for start in range(0, len(shown), A_ROW):
        row = shown[start : start + A_ROW]
        tallest = 0.0
        for place, each in enumerate(row):
            left = EDGE + place * (FACE_IN + GAP_IN)
            good = each.decision.same
            sheet.picture(photos[each.index].crop, left, sheet.down, FACE_IN,
                          frame=BLUE if good else VERMILLION, dashed=not good)  # fmt: skip
            probability = each.decision.probability
            under = f"yaw {degrees(each.yaw_deg)}" if by == "yaw" else f"norm {each.norm:.1f}"
            lines = [under, f"sim. {each.decision.similarity:.3f}"]
            if probability is not None:
                lines.append(f"prob. {_short(probability)}")
            if not good:
                lines.append("short of it")
            sheet.text(left, sheet.down + FACE_IN + 0.06, FACE_IN, "\n".join(lines), SMALL_PT,
                       color=INK if good else VERMILLION, centered=True)  # fmt: skip
            tallest = max(tallest, height_of(lines, SMALL_PT))
        sheet.down += FACE_IN + tallest + 0.2
    sheet.down += 0.05
    axes = sheet.axes(EDGE + 0.5, sheet.down, WIDTH_IN - 2 * EDGE - 0.6, 2.4)
    for good, color, marker, label in (
        (True, BLUE, "o", "reaches the threshold"),
        (False, VERMILLION, "X", "falls short of it"),
    ):
        some = [each for each in turned if each.decision.same == good]
        if some:
            axes.plot(
                [each.value(by) for each in some], [each.decision.similarity for each in some],
                linestyle="none", marker=marker, color=color, markersize=5.5 if len(turned) < 80
                else 3.5, alpha=0.8, markeredgewidth=0, label=label,
            )  # fmt: skip
    axes.axhline(threshold.value, color=INK, linewidth=1.4, linestyle=(0, (5, 2)),
                 label=f"threshold {threshold.value:.3f}")  # fmt: skip
    assert reference.embedding is not None
    own = pose.yaw_deg if by == "yaw" else reference.embedding.norm
    axes.axvline(own, color=GRAY, linewidth=1, linestyle=":",
                 label="the reference's yaw" if by == "yaw" else "the reference")  # fmt: skip
    values = [each.value(by) for each in turned] + [own]
    if by == "yaw":
        reach = max(15.0, 1.08 * max(map(abs, values)))
        axes.set_xlim(-reach, reach)
    else:
        beyond = max(0.5, 0.05 * (max(values) - min(values)))
        axes.set_xlim(max(values) + beyond, min(values) - beyond)
    similarities = [each.decision.similarity for each in turned]
    low = min(0.0, *similarities, threshold.value)
    axes.set_ylim(low - (0.04 if low < 0 else 0), 1.02)
    axes.set_xlabel(
        "yaw in degrees; positive: turned to the viewer's right"
        if by == "yaw"
        else "length of the embedding; short: covered, turned, dark, blurred"
    )
    axes.set_ylabel("similarity (cosine)")
    sheet.down += 2.4 + 0.55
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=4, fontsize=SMALL_PT,
                frameon=False, labelcolor=INK, borderaxespad=0, handletextpad=0.5)  # fmt: skip
    sheet.down += 0.2
    origin = threshold.origin if threshold.fmr is None else f"for a {threshold.origin}"
    lines = wrapped(f"Threshold {origin}.", WIDTH_IN - 2 * EDGE, SMALL_PT)
    sheet.text(EDGE, sheet.down, WIDTH_IN - 2 * EDGE, " ".join(lines), SMALL_PT, color=GRAY)
    return sheet.finished(sheet.down + height_of(lines, SMALL_PT))


def _short(probability: float) -> str:
    """Under a face there is room for a few letters only."""
    return per_cent(probability, most=1)

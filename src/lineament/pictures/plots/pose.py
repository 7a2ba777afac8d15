"""A person's photos by the turn of the head or what is seen of the face: where it fails.

Nothing in a photo says how much of a face is covered. What tells of it is the length of its
embedding before scaling: the recognizer sees less of a face behind glasses, hands or hair, and in
the dark (``docs/concepts/quality.md``: of all measures it predicts misses best).

Each is held against one reference, by default of those turned least the one with the longest
embedding. Above stand faces, sampled over the whole range, and below all photos: similarity
against yaw or that length, with the threshold.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from lineament.decide.judge import Judge
from lineament.errors import NoFaceError, OptionError
from lineament.pictures.charts.colors import BLUE, GRAY, INK, VERMILLION
from lineament.pictures.charts.text import percent
from lineament.pictures.plots.plot import Plot
from lineament.pictures.plots.sheet import EDGE, SMALL_PT, Sheet, height_of, wrapped
from lineament.pipeline import compare_photos
from lineament.quality import head_pose
from lineament.types import Decision, Photo, Threshold

By = Literal["yaw", "norm"]
"""What the photos are ordered by."""

MOST_FACES = 24
"""Faces shown; more are sampled, evenly over their order."""

FRONTAL_DEG = 5.0
"""Differences of yaw smaller than this are not told apart when a reference is chosen: of these
photos the one whose embedding is longest, since a covered face has a short one."""

A_ROW = 8
FACE_IN, GAP_IN = 0.98, 0.14
WIDTH_IN = 2 * EDGE + A_ROW * FACE_IN + (A_ROW - 1) * GAP_IN


@dataclass(frozen=True, slots=True)
class Turned:
    """One photo against the reference.

    Attributes:
        index: its place among those given.
        yaw_deg, pitch_deg, norm: as in ``Quality``.
        decision: reference against this photo.
    """

    index: int
    yaw_deg: float
    pitch_deg: float
    norm: float
    decision: Decision

    def value(self, by: By) -> float:
        """What it is ordered by."""
        return self.yaw_deg if by == "yaw" else self.norm

    def in_words(self, by: By) -> str:
        """The same, under its face."""
        return f"yaw {degrees(self.yaw_deg)}" if by == "yaw" else f"norm {self.norm:.1f}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "photograph": self.decision.source_b,
            "yaw_deg": round(self.yaw_deg, 2),
            "pitch_deg": round(self.pitch_deg, 2),
            "norm": round(self.norm, 4),
            "similarity": round(self.decision.similarity, 6),
            "probability": self.decision.probability,
            "same": self.decision.same,
            "verdict": self.decision.verdict,
        }


def pose(
    photos: Sequence[Photo],
    threshold: Threshold,
    judge: Judge,
    *,
    by: By = "yaw",
    reference: Photo | None = None,
    title: str = "",
    most: int = MOST_FACES,
) -> Plot:
    """Draw a person's photos in order, each compared with a reference.

    Args:
        photos: of one person, from ``Recognizer.stream_chosen``. Those without a face, or whose
            face has no landmarks, are counted and named in the numbers.
        threshold: from ``Recognizer.threshold``, of the metric "cosine".
        judge: ``Recognizer.judge``.
        by: "yaw", or "norm": from the most to the least that the recognizer sees of the face.
        reference: what the others are held against; None: of those turned least, the one
            with the longest embedding.
        title: of the picture, usually the person's name.
        most: faces to show, at least 2; the chart has all photos.

    Raises:
        NoFaceError: the reference has no face, or fewer than two photos are left.
        OptionError: another metric, or a face without landmarks as the reference.
        MissingExtraError: matplotlib is missing.
    """
    if threshold.metric != "cosine":
        raise OptionError(
            f"expected one for cosine, got one for {threshold.metric}", option="threshold"
        )
    if by not in get_args(By):
        raise OptionError(f'expected "yaw" or "norm", got {by!r}', option="by")
    if most < 2:
        raise OptionError(f"expected 2 faces or more, got {most}", option="most")
    poses = {i: yaw_and_pitch(photo) for i, photo in enumerate(photos) if photo.problem is None}
    seen = {i: pose for i, pose in poses.items() if pose is not None}
    left_out = [
        {"photograph": photo.source, "reason": _reason(photo)}
        for i, photo in enumerate(photos)
        if i not in seen
    ]
    own: int | None = None
    if reference is None:
        if len(seen) < 2:
            raise NoFaceError(
                f"expected two photos or more in which a face is found, got {len(seen)} of "
                f"{len(photos)}: add photos of the person, or name a reference"
            )
        own = _most_frontal(photos, seen)
        reference = photos[own]
    reference.require()
    pose_of_reference = yaw_and_pitch(reference)
    if pose_of_reference is None:
        raise OptionError(
            f"{reference.source}: expected a face with landmarks as the reference, got "
            "one without: choose a detector that gives them, such as yunet"
        )
    others = [i for i in seen if i != own]
    if not others:
        raise NoFaceError(
            f"expected a photo with a face beside the reference, got none of {len(photos)}: "
            "add photos of the person"
        )
    turned = []
    for i in others:
        decision = compare_photos(reference, photos[i], threshold, judge)
        turned.append(Turned(i, *seen[i], decision.norm_b, decision))
    sign = 1 if by == "yaw" else -1  # the longest embedding first
    turned.sort(key=lambda each: (sign * each.value(by), each.index))
    shown = _sampled(turned, most)
    words = _in_words(turned, threshold) if by == "yaw" else _by_norm(turned, threshold)
    figure = _draw(photos, reference, pose_of_reference, turned, shown, threshold, title, words, by)
    numbers = {
        "reference": {
            "photograph": reference.source,
            "yaw_deg": round(pose_of_reference[0], 2),
            "pitch_deg": round(pose_of_reference[1], 2),
        },
        "by": by,
        "threshold": threshold.value,
        "fmr": threshold.fmr,
        "photographs": [each.to_dict() for each in turned],
        "faces_shown": len(shown),
        "without_face": left_out,
        "summary": words,
    }
    return Plot(figure, numbers)


def yaw_and_pitch(photo: Photo) -> tuple[float, float] | None:
    """In degrees, as in ``Quality``; None without landmarks."""
    if photo.index is None:
        return None
    landmarks = photo.faces[photo.index].landmarks_xy
    if landmarks is None:
        return None
    try:
        _, yaw, pitch = head_pose(landmarks)
    except OptionError:  # they coincide
        return None
    return yaw, pitch


def _most_frontal(photos: Sequence[Photo], seen: dict[int, tuple[float, float]]) -> int:
    """Of those turned hardly more than the least turned one, that with the longest embedding."""
    least = min(abs(yaw) for yaw, _ in seen.values())

    def norm(i: int) -> float:
        embedding = photos[i].embedding
        return 0.0 if embedding is None else embedding.norm

    near = [i for i, (yaw, _) in seen.items() if abs(yaw) <= least + FRONTAL_DEG]
    return max(near, key=lambda i: (norm(i), -i))


def degrees(value: float) -> str:
    """ "+4°", "−12°", "0°"."""
    whole = round(value)
    return f"{whole:+d}°".replace("-", "−") if whole else "0°"


def _reason(photo: Photo) -> str:
    if photo.error is not None:
        return str(photo.error)
    if photo.index is None:
        return "no face was found"
    return "the face has no landmarks to tell its turn by"


def _sampled(turned: list[Turned], most: int) -> list[Turned]:
    """Evenly over the order, both ends among them."""
    if len(turned) <= most:
        return turned
    places = np.unique(np.rint(np.linspace(0, len(turned) - 1, most)).astype(int))
    return [turned[i] for i in places.tolist()]


def _in_words(turned: list[Turned], threshold: Threshold) -> str:
    """Where it starts to fail."""
    missed = [each for each in turned if not each.decision.same]
    least, most = turned[0].yaw_deg, turned[-1].yaw_deg
    n = len(turned)
    spread = f"yaw from {degrees(least)} to {degrees(most)}"
    if not missed:
        verb = "photo reaches" if n == 1 else "photos reach"
        every = "The only" if n == 1 else f"All {n:,}"
        return f"{every} {verb} the threshold {threshold.value:.3f}, {spread}: no turn fails here."
    first = min(missed, key=lambda each: abs(each.yaw_deg))
    return (
        f"{len(missed):,} of {n:,} photos {'falls' if len(missed) == 1 else 'fall'} short of "
        f"the threshold {threshold.value:.3f}, {spread}; the least turned of them at "
        f"{degrees(first.yaw_deg)}."
    )


def _by_norm(turned: list[Turned], threshold: Threshold) -> str:
    missed = [each for each in turned if not each.decision.same]
    n, most, least = len(turned), turned[0].norm, turned[-1].norm
    spread = f"embeddings of length {most:.1f} down to {least:.1f}"
    if not missed:
        return (
            f"{n:,} of {n:,} photos reach the threshold {threshold.value:.3f}, {spread}: "
            "none fails here."
        )
    return (
        f"{len(missed):,} of {n:,} photos {'falls' if len(missed) == 1 else 'fall'} short of "
        f"the threshold {threshold.value:.3f}, {spread}; the longest of them {missed[0].norm:.1f}."
    )


def _draw(
    photos: Sequence[Photo],
    reference: Photo,
    pose_of_reference: tuple[float, float],
    turned: list[Turned],
    shown: list[Turned],
    threshold: Threshold,
    title: str,
    words: str,
    by: By,
) -> Any:
    sampled = (
        f" {len(shown)} of {len(turned):,} faces are shown." if len(shown) < len(turned) else ""
    )
    what = "the turn of the head" if by == "yaw" else "how much is seen of the face"
    head = f"Similarity against {what}"
    sheet = Sheet(f"{title}: {head[0].lower()}{head[1:]}" if title else head, WIDTH_IN,
                  subtitle=words + sampled)  # fmt: skip
    name = os.path.basename(reference.source)  # noqa: PTH119 - may be an address
    sheet.picture(reference.crop, EDGE, sheet.down, FACE_IN, frame=INK)
    beside = EDGE + FACE_IN + GAP_IN
    sheet.text(
        beside, sheet.down + 0.05, WIDTH_IN - beside - EDGE,
        f"The reference\n{name}\nyaw {degrees(pose_of_reference[0])}, pitch "
        f"{degrees(pose_of_reference[1])}", most=4,
    )  # fmt: skip
    key = "blue frame: reaches the threshold;  vermillion, dashed: falls short"
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
            lines = [each.in_words(by), f"sim. {each.decision.similarity:.3f}"]
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
    own = pose_of_reference[0] if by == "yaw" else reference.embedding.norm
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
    if probability > 0.9995:
        return ">99.9%"
    if probability < 0.0005:
        return "<0.1%"
    return percent(probability, 3)

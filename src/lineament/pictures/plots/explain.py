"""Why two photos are called the same person or not: occlusion maps and the verdict in words.

A patch slides over one aligned face while the other stays as it is. Where covering lowers the
similarity, what is there speaks for one person; where it raises it, for two. After Zeiler and
Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (arXiv:1311.2901),
section 4.2, with a cosine in place of a class. What is covered is blurred rather than painted gray:
an edge that no face has would be seen as well.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np

from lineament.align.alignment import face_transforms, template_of, to_crop_xy
from lineament.errors import OptionError
from lineament.finder import Source
from lineament.pictures.charts.colors import BLUE, GRAY, VERMILLION
from lineament.pictures.plots.plot import Plot
from lineament.pictures.plots.sheet import EDGE, SMALL_PT, TEXT_PT, Sheet
from lineament.pipeline import Recognizer, compare_photos
from lineament.types import Decision, Float64Array, FloatArray, Image, Photo, Quality, Threshold

Fill = Literal["blur", "gray"]

PATCH = 0.22
"""Side of the patch over the crop's: an eye with its brow, or half of the mouth."""

STEPS = 12
"""Places of the patch each way."""

BLUR = 0.1
"""Standard deviation of the blur over the crop's side: nothing is left of an eye."""

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""False match rates whose thresholds are tried."""

LEAST_SCALE = 0.02
"""The colors reach at least so far: on two equal photos nothing matters much."""


@dataclass(frozen=True, eq=False, slots=True)
class OcclusionMap:
    """What covering one face does to the similarity with the other.

    Attributes:
        change: (STEPS, STEPS) float64, similarity when covered less that when not; row by row.
        centers_px: (STEPS,) where the patches' middles lie, from the left and from the top.
        patch_px: their side.
    """

    change: Float64Array
    centers_px: Float64Array
    patch_px: int

    def smooth(self, size_px: int) -> Float64Array:
        """(size_px, size_px): the change spread over the pixels, Gaussian weights."""
        step = float(self.centers_px[1] - self.centers_px[0])
        apart = np.arange(size_px)[:, None] - self.centers_px[None, :]
        weights = np.exp(-0.5 * (apart / (0.8 * step)) ** 2)  # (size_px, STEPS)
        weights /= weights.sum(axis=1, keepdims=True)
        spread: Float64Array = weights @ self.change @ weights.T
        return spread


def occlusion_map(
    recognizer: Recognizer, crop: Image, other: FloatArray, *, fill: Fill = "blur"
) -> OcclusionMap:
    """Cover an aligned face step by step and compare it with the other's embedding.

    Args:
        recognizer: what embeds.
        crop: (S, S, 3) uint8, aligned.
        other: (D,) unit vector.
        fill: what the patch is filled with: the blurred face, or its mean color.

    Raises:
        OptionError: another fill, or a crop of another shape.
    """
    if fill not in ("blur", "gray"):
        raise OptionError(f'expected "blur" or "gray", got {fill!r}', option="fill")
    covered, centers, patch = covered_crops(crop, fill)
    vectors, _ = recognizer.embedder.embed(np.concatenate([crop[None], covered]))
    similarity = vectors.astype(np.float64) @ np.asarray(other, np.float64)
    change = (similarity[1:] - similarity[0]).reshape(STEPS, STEPS)
    return OcclusionMap(change, centers, patch)


def covered_crops(crop: Image, fill: Fill) -> tuple[Image, Float64Array, int]:
    """(STEPS^2, S, S, 3) uint8, the places of the patches' middles, and their side in pixels."""
    if crop.ndim != 3 or crop.shape[0] != crop.shape[1] or crop.shape[2] != 3:
        raise OptionError(f"expected RGB, uint8, (S, S, 3), got {crop.shape}", option="crop")
    size = len(crop)
    patch = max(3, round(PATCH * size))
    centers = (np.arange(STEPS) + 0.5) * size / STEPS - 0.5
    if fill == "blur":
        paint = cv2.GaussianBlur(crop, (0, 0), BLUR * size).astype(np.float32)
    else:
        paint = np.broadcast_to(crop.mean(axis=(0, 1)), crop.shape).astype(np.float32)
    # Soft edges: a step at the patch's side would be a feature of its own.
    ramp = (patch / 2 + 0.5 - np.abs(np.arange(size)[None, :] - centers[:, None])) / 3 + 0.5
    share = np.clip(ramp, 0, 1).astype(np.float32)  # (STEPS, S)
    away = paint - crop
    covered = np.empty((STEPS * STEPS, size, size, 3), np.uint8)
    for row in range(STEPS):
        for column in range(STEPS):
            mask = share[row][:, None, None] * share[column][None, :, None]
            covered[row * STEPS + column] = np.rint(crop + mask * away)
    return covered, centers, patch


def explain(
    recognizer: Recognizer,
    a: Source,
    b: Source,
    *,
    threshold: Threshold | None = None,
    fill: Fill = "blur",
    title: str = "",
) -> Plot:
    """Draw which regions carry the decision on two photos, and say what it rests on.

    Args:
        recognizer: what compares them.
        a, b: photos.
        threshold: from ``Recognizer.threshold``, of the metric "cosine"; None: the default one.
        fill: see ``occlusion_map``.
        title: None is the verdict.

    Raises:
        NoFaceError, ImageError: a photo has no face, or cannot be read.
        OptionError: a threshold of another metric.
        MissingExtraError: matplotlib is missing.
    """
    if threshold is None:
        threshold = recognizer.threshold()
    if threshold.metric != "cosine":
        raise OptionError(
            f"expected one for cosine, got one for {threshold.metric}", option="threshold"
        )
    photos = list(recognizer.stream_chosen([a, b]))
    decision = compare_photos(photos[0], photos[1], threshold, recognizer.judge)
    crops, vectors = [], []
    for photo in photos:
        assert photo.crop is not None
        assert photo.embedding is not None
        crops.append(photo.crop)
        vectors.append(photo.embedding.vector)
    maps = (
        occlusion_map(recognizer, crops[0], vectors[1], fill=fill),
        occlusion_map(recognizer, crops[1], vectors[0], fill=fill),
    )
    regions = tuple(
        _regions(recognizer, photo, each) for photo, each in zip(photos, maps, strict=True)
    )
    passes = _rates(recognizer, decision)
    changes = what_would_change(decision, maps, regions, passes, recognizer)
    figure = _draw(recognizer, crops, maps, decision, changes, title)
    numbers = {
        "decision": decision.to_dict(),
        "what_would_change": changes,
        "thresholds": passes,
        "patch_px": maps[0].patch_px,
        "centers_px": maps[0].centers_px.tolist(),
        "change_a": maps[0].change.tolist(),
        "change_b": maps[1].change.tolist(),
        "regions_a": regions[0],
        "regions_b": regions[1],
        "fill": fill,
    }
    return Plot(figure, numbers)


# --- regions --------------------------------------------------------------------------------------


def _regions(recognizer: Recognizer, photo: Photo, found: OcclusionMap) -> dict[str, float]:
    """Mean change of the similarity by the part of the face that is covered; {} without landmarks.

    Parts are those nearest to a patch's middle: of eyes, nose and mouth as the landmarks say, and
    of places that lie between and around them. Left and right are the viewer's.
    """
    assert photo.index is not None
    assert photo.crop is not None
    face = photo.faces[photo.index]
    if face.landmarks_xy is None:
        return {}
    transforms = face_transforms(
        [face], method=recognizer.alignment, size_px=len(photo.crop),
        template=template_of(recognizer.weights.alignment),
    )  # fmt: skip
    points = to_crop_xy(np.asarray(face.landmarks_xy, np.float64)[None], transforms)[0]
    eye_l, eye_r, nose, mouth_l, mouth_r = points
    eyes, mouth = (eye_l + eye_r) / 2, (mouth_l + mouth_r) / 2
    down, across = mouth - eyes, eye_r - eye_l
    places = {
        "left eye": eye_l,
        "right eye": eye_r,
        "bridge of the nose": eyes,
        "nose": nose,
        "mouth": mouth,
        "forehead": eyes - 0.65 * down,
        "left cheek": nose - 0.75 * across,
        "right cheek": nose + 0.75 * across,
        "chin": mouth + 0.5 * down,
        "hair, left": eye_l - 0.6 * down - 0.5 * across,
        "hair, right": eye_r - 0.6 * down + 0.5 * across,
        "outside, left": mouth_l + 0.3 * down - 0.9 * across,
        "outside, right": mouth_r + 0.3 * down + 0.9 * across,
    }
    names = list(places)
    y, x = np.meshgrid(found.centers_px, found.centers_px, indexing="ij")
    middles = np.stack([x, y], axis=-1)[:, :, None]  # (STEPS, STEPS, 1, 2)
    nearest = np.linalg.norm(middles - np.stack(list(places.values())), axis=-1).argmin(axis=-1)
    return {
        name: round(float(found.change[nearest == k].mean()), 6)
        for k, name in enumerate(names)
        if (nearest == k).any()
    }


def _rates(recognizer: Recognizer, decision: Decision) -> list[dict[str, Any]]:
    """The thresholds for other false match rates, and whether the score reaches them."""
    found = []
    for fmr in RATES:
        try:
            threshold = recognizer.threshold("cosine", fmr=fmr)
        except OptionError:  # the data support no such rate
            continue
        found.append(
            {
                "fmr": fmr,
                "threshold": round(threshold.value, 6),
                "reached": decision.similarity >= threshold.value,
            }
        )
    return found


def what_would_change(
    decision: Decision,
    maps: tuple[OcclusionMap, ...],
    regions: tuple[dict[str, float], ...],
    rates: list[dict[str, Any]],
    recognizer: Recognizer,
) -> list[str]:
    """Say in sentences what would turn the answer or make it surer."""
    words: list[str] = []
    reached = [each for each in rates if each["reached"]]
    missed = [each for each in rates if not each["reached"]]
    if reached:
        words.append(
            f"The similarity reaches the thresholds for false match rates down to "
            f"{reached[-1]['fmr']:g} ({reached[-1]['threshold']:.3f})"
            + (
                f", not the one for {missed[0]['fmr']:g} ({missed[0]['threshold']:.3f})."
                if missed
                else ", the lowest that is known here."
            )
        )
    elif missed:
        words.append(
            f"The similarity reaches no threshold that is known here, not even that for a false "
            f"match rate of {missed[0]['fmr']:g} ({missed[0]['threshold']:.3f})."
        )
    limits = recognizer.judge.all_limits
    for name, quality in (("A", decision.quality_a), ("B", decision.quality_b)):
        if quality is not None:
            words += [f"{name}: {problem}." for problem in limits.problems(quality)]
    cut, score = decision.threshold.value, decision.similarity
    for name, found, parts in zip("AB", maps, regions, strict=True):
        extreme = float(found.change.min() if decision.same else found.change.max())
        turned = int(((score + found.change >= cut) != decision.same).sum())
        where = ""
        if parts:
            part = (min if decision.same else max)(parts, key=lambda k: parts[k])
            where = f", and matters most at the {part}"
        share = f"{turned} of {found.change.size} places" if turned else "no place"
        verb, far = ("lowers", "little") if decision.same else ("raises", "much")
        words.append(
            f"Covering part of {name} {verb} the similarity to as {far} as "
            f"{score + extreme:.3f}{where}; {share} alone would turn the answer."
        )
    return words


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


def _draw(
    recognizer: Recognizer,
    crops: list[Image],
    maps: tuple[OcclusionMap, ...],
    decision: Decision,
    changes: list[str],
    title: str,
) -> Any:
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
    for words in changes:
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
    facts += [("open since" if i == 0 else "", each) for i, each in enumerate(decision.reasons)]
    facts.append(("recognizer", decision.contract.weights))
    return facts


_MEASURES = (
    ("size_px", "between the eyes, pixels", ".0f"),
    ("sharpness", "sharpness", ".3f"),
    ("yaw_deg", "yaw, degrees", "+.0f"),
    ("pitch_deg", "pitch, degrees", "+.0f"),
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

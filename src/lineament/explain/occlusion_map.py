"""Why two photos are called the same person or not: occlusion maps and the verdict in words.

A patch slides over one aligned face while the other stays as it is. Where covering lowers the
similarity, what is there speaks for one person; where it raises it, for two. After Zeiler and
Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014 (arXiv:1311.2901),
section 4.2, with a cosine in place of a class. What is covered is blurred rather than painted gray:
an edge that no face has would be seen as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from lineament.align.alignment import face_transforms
from lineament.errors import OptionError
from lineament.explain.degrade import check_cosine
from lineament.finder import Source
from lineament.geometry import to_crop_xy
from lineament.pipeline import Recognizer
from lineament.results import Outcome
from lineament.types import Decision, Float64Array, FloatArray, Image, Photo, Threshold

Fill = Literal["blur", "gray"]

PATCH = 0.22
"""Side of the patch over the crop's: an eye with its brow, or half of the mouth."""

STEPS = 12
"""Places of the patch each way."""

BLUR = 0.1
"""Standard deviation of the blur over the crop's side: nothing is left of an eye."""

RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""False match rates whose thresholds are tried."""


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


@dataclass(frozen=True, eq=False, slots=True)
class Explanation(Outcome):
    """What a decision on two photos rests on.

    Attributes:
        decision: on the faces that the photos are of.
        crops: (S, S, 3) uint8 each: the two aligned faces.
        maps: what covering each face does to the similarity with the other.
        regions: mean change by the part of the face that is covered; {} without landmarks.
        rates: thresholds for other false match rates, and whether the similarity reaches them.
        changes: in sentences, what would turn the answer or make it surer.
        fill: what faces were covered with.
    """

    decision: Decision
    crops: tuple[Image, Image]
    maps: tuple[OcclusionMap, OcclusionMap]
    regions: tuple[dict[str, float], dict[str, float]]
    rates: Sequence[dict[str, Any]]
    changes: Sequence[str]
    fill: Fill

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "decision": self.decision.to_dict(),
            "what_would_change": list(self.changes),
            "thresholds": list(self.rates),
            "patch_px": self.maps[0].patch_px,
            "centers_px": self.maps[0].centers_px.tolist(),
            "change_a": self.maps[0].change.tolist(),
            "change_b": self.maps[1].change.tolist(),
            "regions_a": self.regions[0],
            "regions_b": self.regions[1],
            "fill": self.fill,
        }


def explain(
    recognizer: Recognizer,
    a: Source,
    b: Source,
    *,
    threshold: Threshold | None = None,
    fill: Fill = "blur",
) -> Explanation:
    """Find which regions carry the decision on two photos, and what it rests on.

    Args:
        recognizer: what compares them.
        a, b: photos.
        threshold: from ``Recognizer.threshold``, of the metric "cosine"; None: the default one.
        fill: see ``occlusion_map``.

    Raises:
        NoFaceError, ImageError: a photo has no face, or cannot be read.
        OptionError: a threshold of another metric.
    """
    if threshold is None:
        threshold = recognizer.threshold()
    check_cosine(threshold)
    first, second = recognizer.stream_chosen([a, b])
    decision = recognizer.judge.compare(first, second, threshold)
    assert first.crop is not None
    assert second.crop is not None
    assert first.embedding is not None
    assert second.embedding is not None
    maps = (
        occlusion_map(recognizer, first.crop, second.embedding.vector, fill=fill),
        occlusion_map(recognizer, second.crop, first.embedding.vector, fill=fill),
    )
    regions = (_regions(recognizer, first, maps[0]), _regions(recognizer, second, maps[1]))
    rates = _rates(recognizer, decision)
    changes = what_would_change(decision, maps, regions, rates, recognizer)
    return Explanation(decision, (first.crop, second.crop), maps, regions, rates, changes, fill)


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
    transforms = face_transforms([face], recognizer.alignment_name)
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
                "value": round(threshold.value, 6),
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
            f"{reached[-1]['fmr']:g} ({reached[-1]['value']:.3f})"
            + (
                f", not the one for {missed[0]['fmr']:g} ({missed[0]['value']:.3f})."
                if missed
                else ", the lowest that is known here."
            )
        )
    elif missed:
        words.append(
            f"The similarity reaches no threshold that is known here, not even that for a false "
            f"match rate of {missed[0]['fmr']:g} ({missed[0]['value']:.3f})."
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

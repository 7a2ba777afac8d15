"""From what quality on a face can be recognized, on LFW's View 1, made worse in steps.

    python benchmarks/accuracy/quality.py DIR [--people 150] [--only cut] [--recognizer NAME]

One row a step: the photos' median of what ``lineament.quality`` measures, and how often the
default threshold errs: FNMR and FMR of a worse photo against others as they are (``one``), and
of two that are equally bad (``both``); and how many genuine pairs of the first kind are missed
although the limits find nothing (``unflagged``). "small" makes the photo smaller, "cut" ends it
within the face, and both go through the whole pipeline; the others change the aligned crop.

Then the photos as they are: how many fall under the default limits, and how much more often the
pairs with one of them are missed; what the norm of the embedding tells, and which measure tells
most (area under the curve of the misses).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lineament import Recognizer, load_image, models
from lineament.datasets.lfw import read_lfw
from lineament.detect.boxes import intersection_over_union
from lineament.embed.pooling import pooling_weights
from lineament.evaluate.metrics import auc, threshold_at_fmr
from lineament.evaluate.protocols.lfw import images_of
from lineament.fit.norm_limit import least_norm
from lineament.pipeline import DEFAULT_RECOGNIZER
from lineament.quality import (
    QualityLimits,
    limits_of,
    measure,
)
from lineament.types import Face, Image, Quality

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track

Change = Callable[[Image, np.random.Generator], Image]
Vectors = npt.NDArray[np.float32]

MEASURES = ("size_px", "sharpness", "brightness", "contrast", "norm")
SHOWN = (*MEASURES, "visible_share")
TURNS_DEG = (0, 10, 20, 25, 30, 35, 40, 90)
BELOW = (0.5, 1, 2, 5, 10)
NOISE = 3  # standard deviation of the gray levels, of a dark photo: what a sensor leaves


def blur(sigma_px: float) -> Change:
    return lambda crop, _: cv2.GaussianBlur(crop, (0, 0), sigma_px)  # type: ignore[return-value]


def motion(length_px: int) -> Change:
    """A straight stroke in any direction."""

    def apply(crop: Image, rng: np.random.Generator) -> Image:
        angle, middle = rng.uniform(0, np.pi), (length_px - 1) / 2
        step = middle * np.array([np.cos(angle), np.sin(angle)])
        first, last = np.rint(middle - step).astype(int), np.rint(middle + step).astype(int)
        kernel = np.zeros((length_px, length_px), np.uint8)
        cv2.line(kernel, tuple(first.tolist()), tuple(last.tolist()), 1)
        return cv2.filter2D(crop, -1, kernel / np.float32(kernel.sum()))  # type: ignore[return-value]

    return apply


def levels(gain: float, noise: float = 0.0, about: float = 0.0) -> Change:
    """Gray levels times ``gain`` about one of them, and noise."""

    def apply(crop: Image, rng: np.random.Generator) -> Image:
        values = (crop.astype(np.float32) - about) * gain + about
        return np.clip(np.rint(values + rng.normal(0, noise, crop.shape)), 0, 255).astype(np.uint8)

    return apply


def jpeg(quality: int) -> Change:
    def apply(crop: Image, _: np.random.Generator) -> Image:
        data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])  # type: ignore[index]

    return apply


CHANGES: dict[str, Change] = {
    "as it is": lambda crop, _: crop,
    **{f"blur {s} px": blur(s) for s in (1, 1.5, 2, 2.5, 3, 4)},
    **{f"motion {n} px": motion(n) for n in (5, 9, 13, 17)},
    **{f"dark x{g}": levels(g, NOISE) for g in (0.5, 0.25, 0.12, 0.06)},
    **{f"light x{g}": levels(g) for g in (1.6, 2.2, 3)},
    **{f"flat x{g}": levels(g, about=128) for g in (0.3, 0.1, 0.05)},
    **{f"noise {n}": levels(1, n) for n in (20, 40)},
    **{f"JPEG {q}": jpeg(q) for q in (20, 10, 5)},
}
SPOILED = ("as it is", "blur 3 px", "dark x0.06")
POWERS = (0, 1, 2, 4, 8)
SMALL_PX = (16, 12, 10, 8, 6, 5)
"""Distances of the eyes, on average, that "small" aims at."""
CUT = (0.1, 0.2, 0.3, 0.35, 0.45, 0.55)
"""Shares of the box that "cut" takes away."""
SIDES = ("top", "bottom", "left", "right")
SAME_FACE = 0.15  # of the intersection over the union with what is left of the box

Seen = tuple[Face, Image, tuple[int, int]]
"""A face, its crop, and width and height of its photo."""


@dataclass(frozen=True, eq=False)
class Photos:
    """What is known of V photos: ``vectors`` (V, D) of length 1."""

    person: npt.NDArray[np.int64]
    faces: list[Face]
    sizes_wh: list[tuple[int, int]]
    crops: Image
    vectors: Vectors
    norms: Vectors

    def __post_init__(self) -> None:
        """Measure them."""
        rows = zip(self.faces, self.crops, self.norms, self.sizes_wh, strict=True)
        self.__dict__["qualities"] = [measure(f, crop, float(n), wh) for f, crop, n, wh in rows]

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """One measure of all; NaN where there is none."""
        qualities: list[Quality] = self.__dict__["qualities"]
        return np.array([getattr(q, name) for q in qualities], dtype=np.float64)

    def pairs(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """All genuine pairs."""
        first, second = np.nonzero(np.triu(self.person[:, None] == self.person[None], 1))
        return first, second


def rates(
    vectors: Vectors,
    rows: npt.NDArray[np.int64],
    all_: Photos,
    threshold: float,
    flagged: npt.NDArray[np.bool_],
) -> dict[str, float | None]:
    """FNMR and FMR of ``vectors``, worse versions of the photos ``rows``."""
    person = all_.person[rows]
    result: dict[str, float | None] = {}
    for label, others, whose, own in (
        ("one", all_.vectors, all_.person, rows),
        ("both", vectors, person, np.arange(len(rows))),
    ):
        above = vectors @ others.T >= threshold  # (R, D) @ (D, V) -> (R, V)
        same = person[:, None] == whose[None]
        genuine = same.copy()
        genuine[np.arange(len(rows)), own] = False
        result[f"fnmr_{label}"] = float(1 - above[genuine].mean()) if genuine.any() else None
        result[f"fmr_{label}"] = float(above[~same].mean()) if not same.all() else None
        if label == "one":
            unflagged = ~above & ~flagged[:, None]
            result["unflagged"] = float(unflagged[genuine].mean()) if genuine.any() else None
    return result


def steps(
    all_: Photos,
    rows: npt.NDArray[np.int64],
    recognizer: Recognizer,
    limits: QualityLimits,
    again: Callable[[int, str], Seen | None],
    only: str = "",
) -> list[dict[str, Any]]:
    """Make the photos ``rows`` worse, a step at a time: those whose names begin with ``only``."""
    threshold = recognizer.threshold().value
    found = []
    names = [*CHANGES, *(f"small {px} px" for px in SMALL_PX)]
    names += [f"cut {share} {side}" for side in SIDES for share in CUT]
    for name in track([name for name in names if name.startswith(only)], "steps"):
        rng = np.random.default_rng(0)
        kept, faces, crops, sizes = [], [], [], []
        for row in rows:
            if name in CHANGES:
                crop = CHANGES[name](all_.crops[row], rng)
                one: Seen = (all_.faces[row], crop, all_.sizes_wh[row])
            else:
                seen = again(int(row), name)
                if seen is None:
                    continue
                one = seen
            kept.append(row)
            faces.append(one[0])
            crops.append(one[1])
            sizes.append(one[2])
        if not kept:
            continue
        kept_rows = np.array(kept)
        vectors, norms = recognizer.embedder.embed(np.stack(crops))
        worse = Photos(all_.person[kept_rows], faces, sizes, np.stack(crops), vectors, norms)
        flagged = np.array([bool(limits.problems(q)) for q in worse.__dict__["qualities"]])
        found.append(
            {
                "step": name,
                "not_found": len(rows) - len(kept),
                **{key: float(np.nanmedian(worse.column(key))) for key in SHOWN},
                "flagged": float(flagged.mean()),
                **rates(vectors, kept_rows, all_, threshold, flagged),
            }
        )
    return found


def as_they_are(all_: Photos, threshold: float, limits: QualityLimits) -> dict[str, Any]:
    """What the measures tell of photos that nothing was done to."""
    first, second = all_.pairs()
    scores = np.einsum("nd,nd->n", all_.vectors[first], all_.vectors[second])
    missed = scores < threshold
    qualities: list[Quality] = all_.__dict__["qualities"]
    norm = least_norm(all_.norms[first], all_.norms[second], scores, threshold)
    groups = {
        "limits": np.array([bool(limits.problems(q)) for q in qualities]),
        "norm": all_.norms < (0 if norm is None else norm),
    }
    groups["either"] = groups["limits"] | groups["norm"]
    result: dict[str, Any] = {"photographs": len(qualities), "least_norm": norm, "under": {}}
    for name, flagged in groups.items():
        pairs = flagged[first] | flagged[second]
        result["under"][name] = {
            "photographs": int(flagged.sum()),
            "share": float(flagged.mean()),
            "pairs": int(pairs.sum()),
            "missed": int(missed[pairs].sum()),
            "fnmr": float(missed[pairs].mean()) if pairs.any() else None,
            "fnmr_others": float(missed[~pairs].mean()),
        }
    result["fnmr"] = float(missed.mean())
    turned = np.maximum(all_.column("turn_deg")[first], all_.column("turn_deg")[second])
    result["turn"] = []
    for low, high in pairwise(TURNS_DEG):
        inside = (turned >= low) & (turned < high)
        result["turn"].append([low, high, int(inside.sum()), int(missed[inside].sum())])
    lesser = np.minimum(all_.norms[first], all_.norms[second])
    result["norms"] = []
    for share in BELOW:
        limit = float(np.percentile(all_.norms, share))
        inside = lesser < limit
        result["norms"].append([share, limit, int(inside.sum()), int(missed[inside].sum())])
    result["auc"] = {}
    for name in (*MEASURES, "turn_deg"):
        values = all_.column(name) * (-1 if name == "turn_deg" else 1)
        result["auc"][name] = auc(-np.minimum(values[first], values[second]), missed)
    return result


def pooling(all_: Photos, recognizer: Recognizer) -> list[dict[str, Any]]:
    """Templates of two and three photos, the first of them spoiled, against single ones.

    Of people with four photos or more. ``fnmr`` at a false match rate of 1e-4 over the
    templates and all photos; ``margin`` is what the worst twentieth of the genuine scores lies
    above that threshold.
    """
    names, counts = np.unique(all_.person, return_counts=True)
    rows = np.flatnonzero(np.isin(all_.person, names[counts >= 4]))
    impostor = all_.person[rows][:, None] != all_.person[None]
    found = []
    for step in SPOILED:
        rng = np.random.default_rng(0)
        crops = np.stack([CHANGES[step](all_.crops[row], rng) for row in rows])
        vectors, norms = recognizer.embedder.embed(crops)
        for size in (2, 3):
            mates = [
                rng.permutation(rows[(all_.person[rows] == all_.person[row]) & (rows != row)])[
                    :size
                ]
                for row in rows
            ]
            spoiled = np.searchsorted(rows, [mate[0] for mate in mates])
            for power in POWERS:
                templates = []
                for mate, bad in zip(mates, spoiled, strict=True):
                    rest = all_.vectors[mate[1:]], all_.norms[mate[1:]]
                    weights = pooling_weights(np.append(norms[bad], rest[1]), power=power)
                    pooled = weights @ np.vstack([vectors[bad], rest[0]])  # (S,) @ (S, D) -> (D,)
                    templates.append(pooled / np.linalg.norm(pooled))
                scores = np.stack(templates) @ all_.vectors.T
                threshold = threshold_at_fmr(scores[impostor], 1e-4)
                genuine = scores[np.arange(len(rows)), rows]
                found.append(
                    {
                        "step": step,
                        "photographs": size,
                        "power": power,
                        "fnmr": float((genuine < threshold).mean()),
                        "margin": float(np.percentile(genuine, 5) - threshold),
                    }
                )
    return found


def cut(image: Image, box_xyxy: Vectors, side: str, share: float) -> tuple[Image, Vectors]:
    """End the photo within the face, and what is then left of its box, in the new pixels."""
    (left, top, right, bottom), (height, width) = box_xyxy.tolist(), image.shape[:2]
    x, y = share * (right - left), share * (bottom - top)
    first = (
        max(0, round(left + x) if side == "left" else 0),
        (max(0, round(top + y) if side == "top" else 0)),
    )
    last = (
        min(width, round(right - x) if side == "right" else width),
        min(height, round(bottom - y) if side == "bottom" else height),
    )
    rest = np.concatenate(
        [np.maximum(box_xyxy[:2], first), np.minimum(box_xyxy[2:], last)], dtype=np.float32
    )
    worse = image[first[1] : last[1], first[0] : last[0]]
    return np.ascontiguousarray(worse), rest - np.tile(np.array(first, np.float32), 2)


def overlap(a: Vectors, b: Vectors) -> float:
    """Intersection over union of two boxes."""
    return float(intersection_over_union(a[None], b[None])[0, 0])


def chosen_rows(person: npt.NDArray[np.int64], people: int) -> npt.NDArray[np.int64]:
    """Two photos each of so many people, by chance."""
    rng = np.random.default_rng(1)
    some = chosen_people(person, people, rng)
    return np.concatenate([rng.permutation(np.flatnonzero(person == p))[:2] for p in some])


def chosen_people(
    person: npt.NDArray[np.int64], people: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """So many people with two photos or more, by chance."""
    names, counts = np.unique(person, return_counts=True)
    return np.asarray(rng.permutation(names[counts >= 2])[:people])


def run(folder: Path, people: int, name: str, only: str) -> dict[str, Any]:
    lfw = read_lfw(folder)
    recognizer = Recognizer(name, choose="central")
    recognizer.load()
    wanted = images_of(lfw, ("1",))
    if only:
        some = chosen_people(lfw.person[wanted], people, np.random.default_rng(1))
        wanted = wanted[np.isin(lfw.person[wanted], some)]
    stream = recognizer.stream_chosen(lfw.path(int(i)) for i in wanted)
    seen = list(track(stream, "View 1", len(wanted)))
    found = [(i, c) for i, c in zip(wanted, seen, strict=True) if c.embedding is not None]
    images = [int(i) for i, _ in found]
    all_ = Photos(
        lfw.person[np.array(images)],
        [c.faces[c.index] for _, c in found],  # type: ignore[index]
        [c.size_wh for _, c in found],  # type: ignore[misc]
        np.stack([c.crop for _, c in found]),  # type: ignore[misc]
        np.stack([c.embedding.vector for _, c in found]),  # type: ignore[union-attr]
        np.array([c.embedding.norm for _, c in found], np.float32),  # type: ignore[union-attr]
    )
    usual_px = float(np.median(all_.column("size_px")))

    def again(row: int, step: str) -> Seen | None:
        image = load_image(lfw.path(images[row]))
        how, amount, side = step.split()
        if how == "small":
            wh = [max(1, round(side * float(amount) / usual_px)) for side in image.shape[1::-1]]
            worse = cv2.resize(image, wh, interpolation=cv2.INTER_AREA)
            (one,) = recognizer.stream_chosen([worse])
            at = one.index
        else:
            worse, left = cut(image, all_.faces[row].box_xyxy, side, float(amount))
            (one,) = recognizer.stream([worse], keep_crops=True)
            overlaps = [overlap(face.box_xyxy, left) for face in one.faces]
            at = int(np.argmax(overlaps)) if max(overlaps, default=0) > SAME_FACE else None
        if at is None or one.crops is None:
            return None
        crop = one.crops[one.selected.index(at)]
        return one.faces[at], crop, (worse.shape[1], worse.shape[0])

    rows = chosen_rows(all_.person, people)
    limits = recognizer.judge.all_limits
    figures = {
        "recognizer": name,
        "threshold": recognizer.threshold().value,
        "steps": steps(all_, rows, recognizer, limits, again, only),
    }
    if only:
        return figures
    return {
        **figures,
        "pooling": pooling(all_, recognizer),
        "as_they_are": as_they_are(
            all_,
            recognizer.threshold().value,
            limits_of(models.get(name)),
        ),
    }


def show(figures: dict[str, Any]) -> None:
    def share(value: float | None, times: float, digits: int) -> str:
        return "" if value is None else f"{times * value:.{digits}f}"

    table(
        (
            *("step", "not found", *SHOWN, "flagged, %", "unflagged, %"),
            *("FNMR one, %", "both", "FMR one, 1e-4", "both"),
        ),
        (
            (
                row["step"],
                row["not_found"],
                *(f"{row[key]:.3g}" for key in SHOWN),
                *(share(row[key], 100, 1) for key in ("flagged", "unflagged")),
                *(share(row[key], 100, 1) for key in ("fnmr_one", "fnmr_both")),
                *(share(row[key], 1e4, 2) for key in ("fmr_one", "fmr_both")),
            )
            for row in figures["steps"]
        ),
    )
    if "as_they_are" not in figures:
        return
    print(json.dumps(figures["as_they_are"], indent=2))
    table(
        ("spoiled", "photos", "power", "FNMR, %", "margin"),
        (
            (
                row["step"],
                row["photographs"],
                row["power"],
                f"{100 * row['fnmr']:.2f}",
                f"{row['margin']:.3f}",
            )
            for row in figures["pooling"]
        ),
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--people", type=at_least(2), default=150, metavar="N", help="two photos each"
    )
    parser.add_argument("--recognizer", default=DEFAULT_RECOGNIZER, metavar="NAME")
    parser.add_argument(
        "--only",
        default="",
        metavar="WORD",
        help="the steps whose names begin with it, on the photos of these people, and no more",
    )
    options = parser.parse_args()
    report(
        options,
        lambda: run(options.folder, options.people, options.recognizer, options.only),
        show,
    )


if __name__ == "__main__":
    main()

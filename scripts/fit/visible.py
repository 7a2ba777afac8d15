"""Print what the constants of lineament.visible rest on, and its limit: cut faces of LFW View 1.

Two photos each of some people; the border of the second is moved into the face, or a bar is drawn
over it, at each side. Printed are: how near to the border the box of a face that is then missed is;
the shape of the boxes of whole faces; and for each limit of ``visible_share`` the share of the
genuine pairs that are missed without being flagged, beside the whole photos and close-ups (cut
out at the box, with a margin) that would be flagged. Other faces of the photo that were taken
instead do not count.

Run:  python -m scripts.fit.visible ../shared/lfw [--people 120] [--cfp ../shared/cfp_sample]
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.progress import track

from lineament.datasets.lfw import read_lfw
from lineament.detect.boxes import intersection_over_union
from lineament.evaluate.protocols.lfw import images_of
from lineament.images import load_image
from lineament.pipeline import Recognizer
from lineament.types import Embedding, Face, FloatArray, Image
from lineament.visible import visible_share

SIDES = ("left", "top", "right", "bottom")
CUTS = (0.2, 0.35, 0.45, 0.55)
BARS = ("border", "black", "white", "blurred")
MARGINS = (0.3, 0.2, 0.1, 0.05, 0.0)
LIMITS = (0.78, 0.82, 0.84, 0.86, 0.88, 0.9)
SAME_FACE = 0.15  # intersection over union with what is left of the box


@dataclass(frozen=True, eq=False)
class Seen:
    """A face that was found in one picture."""

    face: Face
    size_wh: tuple[int, int]
    share: float
    embedding: Embedding


def look(recognizer: Recognizer, image: Image) -> Seen | None:
    (photo,) = recognizer.stream_chosen([np.ascontiguousarray(image)])
    if photo.face is None or photo.embedding is None or photo.size_wh is None:
        return None
    share = visible_share(photo.face, photo.size_wh, photo.crop)
    return Seen(photo.face, photo.size_wh, share, photo.embedding)


def cut(
    image: Image, box: FloatArray, side: str, share: float, bar: str
) -> tuple[Image, FloatArray]:
    """The picture, and what is left of the box in its pixels."""
    axis, upper = SIDES.index(side) % 2, side in ("right", "bottom")
    size = image.shape[1 - axis]
    length = float(box[axis + 2] - box[axis])
    at = round(float(box[axis + 2] - share * length if upper else box[axis] + share * length))
    at = min(max(at, 1), size - 1)
    rest = np.array(box, np.float32)
    rest[axis + 2 if upper else axis] = at
    part: list[slice] = [slice(None), slice(None)]
    part[1 - axis] = slice(at, None) if upper else slice(0, at)
    kept = list(part)
    kept[1 - axis] = slice(0, at) if upper else slice(at, None)
    if bar == "border":
        if not upper:
            rest[[axis, axis + 2]] -= at
        return image[tuple(kept)], rest
    picture = image.copy()
    wide = cv2.resize(image[tuple(kept)], image.shape[1::-1])
    blurred = cv2.GaussianBlur(wide, (0, 0), 0.05 * max(image.shape))
    fill = {"black": np.zeros_like(image), "white": np.full_like(image, 255)}
    picture[tuple(part)] = fill.get(bar, blurred)[tuple(part)]
    return picture, rest


def lfw_pairs(folder: Path, people: int) -> Iterator[tuple[Path, Path]]:
    lfw = read_lfw(folder)
    images = images_of(lfw, ("1",))
    person = lfw.person[images]
    names, counts = np.unique(person, return_counts=True)
    rng = np.random.default_rng(5)
    for name in rng.permutation(names[counts >= 2])[:people]:
        two = rng.permutation(images[person == name])[:2]
        yield lfw.path(int(two[0])), lfw.path(int(two[1]))


def cfp_pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    for person in sorted((folder / "Images").iterdir()):
        first, second, *_ = sorted((person / "frontal").iterdir())
        yield first, second


def measure(name: str, pairs: list[tuple[Path, Path]]) -> None:
    recognizer = Recognizer("balanced")
    threshold = recognizer.threshold().value
    cells: dict[tuple[str, str], list[tuple[float, bool]]] = defaultdict(list)
    whole: dict[str, list[float]] = defaultdict(list)
    gaps, shapes = [], []
    for first, second in track(pairs, name):
        image = load_image(second)
        one, other = look(recognizer, load_image(first)), look(recognizer, image)
        if one is None or other is None or one.embedding @ other.embedding < threshold:
            continue
        box = other.face.box_xyxy
        width, height = other.face.size_wh
        shapes.append(height / width)
        whole["as they are"] += [one.share, other.share]
        for margin in MARGINS:
            close = look(recognizer, other.face.crop(image, margin=margin))
            if close is not None:
                whole[f"margin {margin:g}"].append(close.share)
        for bar in BARS:
            for side in SIDES:
                for share in CUTS:
                    picture, rest = cut(image, box, side, share, bar)
                    seen = look(recognizer, picture)
                    if seen is None:
                        continue
                    found = seen.face.box_xyxy
                    size = np.array(seen.size_wh, np.float32)
                    clipped = np.concatenate(
                        [np.maximum(found[:2], 0), np.minimum(found[2:], size)]
                    )
                    if intersection_over_union(clipped[None], rest[None])[0, 0] < SAME_FACE:
                        continue
                    missed = one.embedding @ seen.embedding < threshold
                    cells[bar, "20 %" if share == CUTS[0] else "35 to 55 %"].append(
                        (seen.share, missed)
                    )
                    if missed and bar == "border" and share > CUTS[0]:
                        axis = SIDES.index(side) % 2
                        gap = found[axis] if side in SIDES[:2] else size[axis] - found[axis + 2]
                        gaps.append(float(gap) / max(seen.face.size_wh))
    print(f"\n{name}: {len(shapes)} pairs of photos")
    shown = (1, 5, 50, 95, 99)
    print(f"height over width of whole boxes, {shown} %:", np.percentile(shapes, shown).round(2))
    print("box to border, in its longer sides, of missed faces, 50, 95, 99 %:",
          np.percentile(gaps, (50, 95, 99)).round(3))  # fmt: skip
    print("limit of visible_share:", *LIMITS)
    for (bar, share), rows in cells.items():
        shares, missed = np.array(rows).T
        rates = [f"{((shares >= limit) & (missed > 0)).mean():.2%}" for limit in LIMITS]
        print(
            f"{bar}, {share}: {len(rows)} pairs, {missed.mean():.1%} missed, not flagged:", *rates
        )
    for kind, values in whole.items():
        rates = [f"{(np.array(values) < limit).mean():.2%}" for limit in LIMITS]
        print(f"{kind}: {len(values)} photos, flagged:", *rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--people", type=int, default=120)
    parser.add_argument("--cfp", type=Path, help="the sample of CFP, to report on")
    options = parser.parse_args()
    measure("LFW View 1", list(lfw_pairs(options.lfw, options.people)))
    if options.cfp is not None:
        measure("CFP, frontal", list(cfp_pairs(options.cfp)))


if __name__ == "__main__":
    main()

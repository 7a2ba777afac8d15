"""Faces that fill the picture, and faces that its border cuts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from _harness import track
from lineament import load_image
from lineament.datasets.wider import read_wider_csv
from lineament.types import Image, Photo
from posing.pictures import SIDES, cut, enlarged
from posing.setting import Setting

FACE_PX = (300, 390, 585, 845, 1300, 2000, 4000)
MARGINS = (1.0, 0.5)
CLOSE_PX = 2000
"""What is left around a face on each side, in sides of its box; of faces from 2,000 pixels on, half
as much, so that the pictures stay below 64 megapixels."""
LEAST_WIDER_PX = 60
CUT_SHARES = (0.35, 0.45, 0.55)


def of_boxes(setting: Setting) -> dict[str, Any]:
    every_size = 1 if setting.options.all else 3
    plan: list[tuple[Image, npt.ArrayLike, int, str]] = []

    def add(pixels: Image, box: npt.ArrayLike, number: int, where: str) -> None:
        """Each size of face, or, since the large ones take long, each third by turns."""
        sizes = FACE_PX[number % every_size :: every_size]
        plan.extend((pixels, box, px, where) for px in sizes)

    for i, photo in enumerate(setting.upright([own[0] for own in setting.people(36)])):
        if len(photo.faces) == 1:
            add(photo.needed_pixels(), photo.faces[0].box_xyxy, i, "LFW")
    if setting.options.wider is not None:
        for i, image in enumerate(read_wider_csv(setting.options.wider)):
            sides = np.max(image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2], axis=1, initial=0)
            if len(image.boxes_xyxy) == 1 and sides[0] >= LEAST_WIDER_PX:
                add(load_image(image.path), image.boxes_xyxy[0], i, "WIDER")

    def look(planned: tuple[Image, npt.ArrayLike, int, str]) -> int:
        """How many faces are found; the picture, which may be large, is made here and goes."""
        pixels, box, px, where = planned
        made = enlarged(pixels, box, px, MARGINS[px >= CLOSE_PX])
        photo = setting.recognizer.finder.find(Photo.from_pixels(made, where), keep_pixels=False)
        return len(photo.faces)

    several: dict[str, list[bool]] = defaultdict(list)
    missed = 0
    with ThreadPoolExecutor(setting.recognizer.finder.workers) as pool:
        counts = track(pool.map(look, plan), "boxes", len(plan))
        for (_, _, px, where), count in zip(plan, counts, strict=True):
            several[f"{where} {px}"].append(count > 1)
            missed += not count
    every = [one for row in several.values() for one in row]
    by = {
        name: {"pictures": len(row), "share": float(np.mean(row))} for name, row in several.items()
    }
    return {
        "more_than_one_box": float(np.mean(every)),
        "more_than_one_box_by": dict(sorted(by.items(), key=lambda item: _size_of(item[0]))),
        "large_not_found": missed / len(every),
    }


def _size_of(name: str) -> tuple[str, int]:
    where, px = name.split()
    return where, int(px)


def of_cut(setting: Setting) -> dict[str, Any]:
    recognizer = setting.recognizer
    people = setting.people(40, 2)
    photos = setting.upright([path for own in people for path in own])
    pairs = [(a, b) for a, b in zip(photos[::2], photos[1::2], strict=True) if a.faces and b.faces]
    threshold = recognizer.threshold()
    plan = [(i, side, share) for i in range(len(pairs)) for side in SIDES for share in CUT_SHARES]

    def pictures() -> Iterator[Image]:
        for i, side, share in plan:
            photo = pairs[i][0]
            assert photo.face is not None
            yield cut(photo.needed_pixels(), photo.face.box_xyxy, side, share)

    verdicts: dict[str, dict[str, list[str]]] = {side: defaultdict(list) for side in SIDES}
    for (i, side, share), seen in zip(
        plan, setting.look(pictures(), len(plan), "cut"), strict=True
    ):
        verdict = "not_found"
        if seen.faces:
            verdict = recognizer.judge.compare(seen, pairs[i][1], threshold).verdict
        verdicts[side][f"{share:g}"].append(verdict)
    shares = {
        side: {
            share: {
                kind: row.count(kind) / len(row)
                for kind in ("different", "undecided", "same", "not_found")
            }
            for share, row in by_share.items()
        }
        for side, by_share in verdicts.items()
    }
    different = [cell["different"] for row in shares.values() for cell in row.values()]
    return {
        "cut": shares,
        "cut_different": float(np.mean(different)),
        "cut_different_worst": max(different),
    }

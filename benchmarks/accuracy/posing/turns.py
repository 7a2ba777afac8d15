"""Photos turned by any angle, and an upright face beside a turned one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from _harness import track
from lineament.types import Face, Image, Photo
from posing.pictures import FILLS, beside, square, turned
from posing.setting import Setting, cosine, summary

ANGLES = tuple(range(0, 360, 15))
SIMILAR = 0.9
CLEAR = 0.1
"""How far the photos of a person lie above the threshold: smaller pictures cost a few points."""
SQUARE = 2.2
PAIR_PX = 300
"""Two people: each square has 2.2 sides of the face's box, and is 300 pixels high."""


def of_angles(setting: Setting) -> dict[str, Any]:
    photos = [p for p in setting.upright([own[0] for own in setting.people(60)]) if p.faces]
    plan = [(i, angle) for i in range(len(photos)) for angle in ANGLES]

    def pictures() -> Iterator[Image]:
        for i, angle in plan:
            fill = FILLS[(i + angle // 15) % len(FILLS)]
            yield turned(photos[i].needed_pixels(), angle, fill)

    good: dict[str, list[bool]] = defaultdict(list)
    for (i, angle), seen in zip(plan, setting.look(pictures(), len(plan), "angles"), strict=True):
        good[str(angle)].append(cosine(seen, photos[i]) >= SIMILAR)
    return summary("angles", {angle: float(np.mean(row)) for angle, row in good.items()})


def of_two(setting: Setting) -> dict[str, Any]:
    recognizer = setting.recognizer
    people = setting.people(64, 2)
    photos = setting.upright([path for own in people for path in own])
    threshold = recognizer.threshold().value
    # Only people who are alone and clearly recognized upright: others say nothing of the turn.
    known = [
        (a, b)
        for a, b in zip(photos[::2], photos[1::2], strict=True)
        if len(a.faces) == 1 and cosine(a, b) >= threshold + CLEAR
    ]
    couples = list(zip(known[::2], known[1::2], strict=False))
    plan = [(i, angle) for i in range(len(couples)) for angle in ANGLES]

    def pictures() -> Iterator[Photo]:
        for i, angle in plan:
            (left, _), (right, _) = couples[i]
            halves = [_square_of(left, 0), _square_of(right, angle)]
            yield Photo.from_pixels(beside(*halves, PAIR_PX), f"{i} {angle}")

    found: dict[str, list[bool]] = defaultdict(list)
    good: dict[str, list[bool]] = defaultdict(list)
    stream = recognizer.stream(pictures(), faces="all")
    for (i, angle), seen in zip(plan, track(stream, "two people", len(plan)), strict=True):
        places = [_in_half(seen.faces, half) for half in (0, 1)]
        found[str(angle)].append(None not in places)
        good[str(angle)].append(
            all(
                place is not None
                and other.embedding is not None
                and float(seen.embeddings[place].vector @ other.embedding.vector) >= threshold
                for place, (_, other) in zip(places, couples[i], strict=True)
            )
        )
    return {
        "couples": len(couples),
        **summary("two_people", {angle: float(np.mean(row)) for angle, row in good.items()}),
        "two_people_found": {angle: float(np.mean(row)) for angle, row in found.items()},
    }


def _square_of(photo: Photo, angle: float) -> Image:
    assert photo.face is not None
    return square(photo.needed_pixels(), photo.face.box_xyxy, SQUARE, angle)


def _in_half(faces: Sequence[Face], half: int) -> int | None:
    """Number of the face nearest to the middle of the left half (0) or the right one (1)."""
    middle = np.array([PAIR_PX * (half + 0.5), PAIR_PX / 2])
    away = {
        i: float(np.linalg.norm(face.center_xy - middle))
        for i, face in enumerate(faces)
        if (face.center_xy[0] >= PAIR_PX) == bool(half)
    }
    return min(away, key=away.__getitem__, default=None)

"""A script and cut-out heads -> frames, and the truth of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from filming.cast import Cutout
from filming.script import Script, Visit
from lineament.types import FloatArray, IntArray
from lineament.video import VideoFrame

TURN_S = 0.8
"""A person with several photos turns from one to the next in so many seconds."""

MASK = 0.42
"""Half axes of the ellipse in a face's box of which it is asked how much is visible, in sides."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Who is in one frame.

    Attributes:
        people: (N,) numbers in the film.
        visits: (N,) numbers of the visits.
        boxes_xyxy: (N, 4).
        visible: (N,) share of the face that can be seen, 0 to 1.
    """

    people: IntArray
    visits: IntArray
    boxes_xyxy: FloatArray
    visible: FloatArray


Looks = Sequence[Sequence[Sequence[Cutout]]]
"""Of each person of each visit the cut-outs."""


def render(script: Script, looks: Looks, seed: int) -> Iterator[tuple[VideoFrame, Truth]]:
    """Yield the frames with their truth."""
    rng = np.random.default_rng(seed)
    width, height = script.size_wh
    stage = _stage(rng, width, height)
    grain = rng.normal(0, script.noise, (height + 64, width + 64, 3)).astype(np.float32)
    for number in range(round(script.seconds * script.rate)):
        if number and rng.random() < script.dropped:
            continue
        time_s = number / script.rate
        shift = np.zeros(2)
        if script.jump and time_s >= script.jump[0]:
            shift = np.array(script.jump[1:])
        shift = shift + rng.normal(0, 0.4, 2)
        frame, truth = _frame(script, looks, stage, time_s, shift)
        if script.soft[0] <= time_s <= script.soft[1]:
            frame = cv2.GaussianBlur(frame, (0, 0), script.soft[2])
        down, across = rng.integers(0, 64, 2)
        frame = frame + grain[down : down + height, across : across + width]
        yield VideoFrame(number, time_s, np.clip(frame, 0, 255).astype(np.uint8)), truth


def _frame(
    script: Script, looks: Looks, stage: FloatArray, time_s: float, shift: FloatArray
) -> tuple[FloatArray, Truth]:
    width, height = script.size_wh
    x, y = np.rint(64 + np.clip(shift, -64, 64)).astype(int)
    frame = stage[y : y + height, x : x + width].astype(np.float32)
    owner = np.zeros((height, width), np.int16)
    seen: list[tuple[int, int, FloatArray]] = []
    for number, visit in enumerate(script.visits):
        place = visit.at(time_s)
        before = visit.at(max(visit.from_s, time_s - script.shutter_s))
        if place is None or before is None:
            continue
        cutout = _look(looks, visit, time_s)
        x, y, side, roll = place
        x, y = x - shift[0], y - shift[1]
        _dress(frame, owner, number + 1, visit.color, (x, y, side))
        moved = place[0] - before[0], place[1] - before[1]
        box = _draw(frame, owner, number + 1, cutout, (x, y, side, roll), moved)
        if visit.hand and visit.hand[0] <= time_s <= visit.hand[1]:
            _hide(frame, owner, (x, y, side))
        seen.append((number, visit.person, box))
    for left, right in script.pillars - shift[0]:
        inside = slice(max(0, round(left)), max(0, round(right)))
        frame[:, inside], owner[:, inside] = (70, 66, 60), -1
    boxes = np.array([box for *_, box in seen], np.float32).reshape(-1, 4)
    visible = np.array([_visible(owner, number + 1, box) for number, _, box in seen], np.float32)
    numbers = np.array([number for number, *_ in seen], np.int64)
    people = np.array([person for _, person, _ in seen], np.int64)
    return frame, Truth(people, numbers, boxes, visible)


def _look(looks: Looks, visit: Visit, time_s: float) -> Cutout:
    cutouts = looks[visit.person][visit.look]
    turn = int((time_s - visit.from_s) / TURN_S) % (2 * len(cutouts))
    return cutouts[min(turn, 2 * len(cutouts) - 1 - turn)]  # there and back


def _dress(
    frame: FloatArray,
    owner: IntArray,
    number: int,
    color: tuple[int, int, int],
    place: tuple[float, float, float],
) -> None:
    """Draw shoulders and clothes below a face, in place."""
    x, y, side = place
    body = np.array([[-1.3, 3.6], [-1.1, 1.0], [-0.35, 0.62], [0.35, 0.62], [1.1, 1.0], [1.3, 3.6]])
    outline = np.rint(body * side + [x, y]).astype(np.int32)
    cv2.fillPoly(frame, [outline], color)
    cv2.fillPoly(owner, [outline], number)


def _hide(frame: FloatArray, owner: IntArray, place: tuple[float, float, float]) -> None:
    """Draw a hand before a face, in place."""
    x, y, side = place
    center = round(x + 0.1 * side), round(y + 0.2 * side)
    axes = round(0.45 * side), round(0.3 * side)
    cv2.ellipse(frame, center, axes, 30, 0, 360, (196, 150, 125), -1)
    cv2.ellipse(owner, center, axes, 30, 0, 360, -1, -1)


def _draw(
    frame: FloatArray,
    owner: IntArray,
    number: int,
    cutout: Cutout,
    place: tuple[float, float, float, float],
    moved: tuple[float, float],
) -> FloatArray:
    """Draw a head that moves by so many pixels while the shutter is open; return the face's box."""
    x, y, side, roll = place
    box = cutout.box_xyxy
    scale = side / float((box[2:] - box[:2]).max())
    matrix = cv2.getRotationMatrix2D([float(v) for v in (box[:2] + box[2:]) / 2], -roll, scale)
    matrix[:, 2] += [x, y] - (box[:2] + box[2:]) / 2
    shrink = max(1, int(0.5 / scale + 0.5))
    source = cutout.pixels
    if shrink > 1:  # fine patterns would alias
        source = np.asarray(cv2.blur(source, (shrink, shrink)), np.uint8)
    reach = 2.2 * side
    left, top = (int(max(0, v - reach)) for v in (x, y))
    right, bottom = (int(max(0, v + reach)) for v in (x, y))
    part = frame[top:bottom, left:right]
    if part.size:
        matrix[:, 2] -= [left, top]
        size = part.shape[1], part.shape[0]
        head = cv2.warpAffine(source, matrix, size, flags=cv2.INTER_LINEAR).astype(np.float32)
        cover = cv2.warpAffine(cutout.alpha, matrix, size, flags=cv2.INTER_LINEAR)
        head, cover = _moved(head, cover, *moved)
        part += cover[..., None] * (head - part)
        owner[top:bottom, left:right][cover > 0.5] = number
    half = (box[2:] - box[:2]) * scale / 2
    half = half + 0.3 * abs(np.sin(np.radians(roll))) * half[::-1]
    return np.array([x - half[0], y - half[1], x + half[0], y + half[1]], np.float32)


def _moved(
    head: FloatArray, cover: FloatArray, across: float, down: float
) -> tuple[FloatArray, FloatArray]:
    """Blurred by a motion of so many pixels."""
    length = round(float(np.hypot(across, down)))
    if length < 2:
        return head, cover
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    end = round(length + across / 2), round(length + down / 2)
    begin = round(length - across / 2), round(length - down / 2)
    cv2.line(kernel, begin, end, 1.0)
    kernel /= kernel.sum()
    return cv2.filter2D(head, -1, kernel), cv2.filter2D(cover, -1, kernel)


def _visible(owner: IntArray, number: int, box: FloatArray) -> float:
    """The share of an ellipse in a face's box that shows that visit."""
    height, width = owner.shape
    (x, y), side = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    rows, columns = np.mgrid[
        int(np.floor(box[1])) : int(np.ceil(box[3])), int(np.floor(box[0])) : int(np.ceil(box[2]))
    ]
    inside = ((columns - x) / (MASK * side[0])) ** 2 + ((rows - y) / (MASK * side[1])) ** 2 <= 1
    rows, columns = rows[inside], columns[inside]
    there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    mine = owner[rows[there], columns[there]] == number
    return float(mine.sum()) / max(1, len(rows))


def _stage(rng: np.random.Generator, width: int, height: int) -> FloatArray:
    """A room without people: soft light, furniture, lines; larger than the picture by 64 a side."""
    size = width + 128, height + 128
    light = rng.uniform(60, 190, (4, 6, 3)).astype(np.float32)
    stage = cv2.resize(light, size, interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(8, 20))):
        corner = rng.uniform(0, 1, 2) * size
        opposite = corner + rng.uniform(0.03, 0.35, 2) * size
        color = rng.uniform(20, 230, 3).tolist()
        cv2.rectangle(
            stage,
            [round(v) for v in corner.tolist()],
            [round(v) for v in opposite.tolist()],
            color,
            -1 if rng.random() < 0.6 else 3,
        )
    texture = rng.normal(0, 6, (size[1] // 2, size[0] // 2, 3)).astype(np.float32)
    stage += cv2.resize(texture, size, interpolation=cv2.INTER_LINEAR)
    return np.clip(stage, 0, 255)

"""A frame of a film with the people marked in it, at the frame's own size.

Somebody with a name has a blue box, somebody without an orange one, both with dark edges and words,
so that they show on light and dark and that nothing is said by color alone. Of whom it is not clear
yet who it is, the box is thin and white; where a face is expected but not seen, only the corners of
its box are drawn.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from lineament.pictures.fonts import font_for, put, shown
from lineament.pictures.photos import INK, ORANGE, PAPER, SKY, VERMILLION, Color
from lineament.text import per_cent
from lineament.types import Image

if TYPE_CHECKING:
    from lineament.video.tracks import Track
    from lineament.video.watching import WatchedFrame

LEAST_TEXT_PX, MOST_TEXT_PX = 12.0, 30.0
"""Height of letters, between a frame of 320 rows and one of 1,080."""

MOST_LETTERS = 32
"""Of a name; the rest of longer ones is left out."""

_Place = tuple[int, int, int, int]


def tracked_picture(frame: WatchedFrame) -> Image:
    """Mark the people in a frame: a box, the name or number, how probable the name is.

    Returns:
        (H, W, 3) uint8: the frame's pixels are not changed.
    """
    pixels = frame.pixels.copy()
    tracks = sorted(frame.tracks, key=_rank)  # who has a name stands above the others
    thick = max(2, round(min(pixels.shape[:2]) / 240))
    for track in tracks:
        _mark(pixels, track, thick)
    taken = [_box_of(track) for track in tracks]
    for track in reversed(tracks):  # and has first choice of where the label stands
        words = label_of(track)
        if words:
            _label(pixels, _box_of(track), words, color_of(track), taken, thick)
    return pixels


def label_of(track: Track) -> str:
    """The words at a face: name, probability and number; "" while it is not clear who it is."""
    if track.id < 0 or track.status == "new":
        return ""
    liveness = track.liveness
    if liveness is not None and liveness.outcome != "live":
        return f"{liveness.outcome if liveness.outcome == 'unsure' else 'not live'}  #{track.id}"
    if track.name is None:
        is_said = track.status == "unknown" and bool(track.candidates)
        return f"unknown  #{track.id}" if is_said else f"person {track.id}"
    name = track.name if len(track.name) <= MOST_LETTERS else f"{track.name[: MOST_LETTERS - 1]}…"
    sure = "" if track.probability is None else f"  {per_cent(track.probability, most=1)}"
    return f"{name}{sure}  #{track.id}"


def color_of(track: Track) -> Color:
    """Of the box, by what is known."""
    if track.liveness is not None and track.liveness.outcome == "attack":
        return VERMILLION
    if track.name is not None:
        return SKY
    return ORANGE if track.status == "unknown" else PAPER


def png_of(picture: Image) -> bytes:
    """A picture as the bytes of a PNG."""
    file = io.BytesIO()
    PILImage.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def jpeg_of(picture: Image, quality: int = 80) -> bytes:
    """A picture as the bytes of a JPEG."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done
    return data.tobytes()


def _rank(track: Track) -> tuple[int, float]:
    """Named last, and the larger ones after the smaller."""
    box = track.box_xyxy
    return int(track.name is not None), float((box[2] - box[0]) * (box[3] - box[1]))


def _box_of(track: Track) -> _Place:
    left, top, right, bottom = (round(float(v)) for v in track.box_xyxy)
    return left, top, right, bottom


# --- boxes ----------------------------------------------------------------------------------------


def _mark(pixels: Image, track: Track, thick: int) -> None:
    left, top, right, bottom = _box_of(track)
    if right <= left or bottom <= top:
        return
    settled = track.id > 0 and track.status != "new"
    line = thick if settled else max(1, thick // 2)
    line = max(1, min(line, (right - left) // 12 + 1))
    edge = line + 2 * max(1, line // 3)
    if not track.seen:
        _corners(pixels, (left, top, right, bottom), INK, edge)
        _corners(pixels, (left, top, right, bottom), color_of(track), line)
        return
    for color, width in ((INK, edge), (color_of(track), line)):
        cv2.rectangle(pixels, (left, top), (right, bottom), color, width)


def _corners(pixels: Image, box: _Place, color: Color, line: int) -> None:
    left, top, right, bottom = box
    reach = max(2, min(right - left, bottom - top) // 4)
    for x, inward in ((left, reach), (right, -reach)):
        for y, downward in ((top, reach), (bottom, -reach)):
            cv2.line(pixels, (x, y), (x + inward, y), color, line)
            cv2.line(pixels, (x, y), (x, y + downward), color, line)


# --- labels ---------------------------------------------------------------------------------------


def _label(
    pixels: Image, box: _Place, words: str, color: Color, taken: list[_Place], thick: int
) -> None:
    """Draw a label where it hides nothing: above the face, below it, or beside it."""
    height, width = pixels.shape[:2]
    size_px = min(MOST_TEXT_PX, max(LEAST_TEXT_PX, min(height, width) / 36))
    drawn = _drawn(words, size_px, color)
    place = _place(drawn.shape[1], drawn.shape[0], box, (width, height), taken, 2 * thick)
    if place is None:
        return
    taken.append(place)
    left, top, right, bottom = place
    pixels[top:bottom, left:right] = drawn


def _place(
    width: int,
    height: int,
    box: _Place,
    size_wh: tuple[int, int],
    taken: Sequence[_Place],
    away: int,
) -> _Place | None:
    """Where a label fits: in the picture, on no other face and on no label."""
    most_x, most_y = size_wh[0] - width, size_wh[1] - height
    if most_x < 0 or most_y < 0:
        return None
    left, top, right, bottom = box
    x = min(max(left - away // 2, 0), most_x)
    y = min(max(top, 0), most_y)
    tries = (
        (x, top - away - height),
        (x, bottom + away),
        (right + away, y),
        (left - away - width, y),
    )
    for at in tries:
        place = (at[0], at[1], at[0] + width, at[1] + height)
        inside = 0 <= at[0] <= most_x and 0 <= at[1] <= most_y
        if inside and not any(_overlap(place, other) for other in taken):
            return place
    return None


def _overlap(a: _Place, b: _Place) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@lru_cache(maxsize=256)
def _drawn(words: str, size_px: float, color: Color) -> Image:
    """A label, (h, w, 3): light letters on dark, with a bar in the color of its box."""
    font = font_for(words, size_px)
    left, _, right, _ = font.getbbox(shown(words))
    line_px = round(1.5 * size_px)
    bar = max(3, round(size_px / 4))
    width = bar + round(right - left) + round(size_px)
    picture = PILImage.new("RGB", (width, line_px), INK)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, bar - 1, line_px), fill=color)
    put(draw, (bar + size_px / 2, line_px / 2), words, PAPER, size_px, anchor="lm")
    drawn = np.array(picture)
    drawn.flags.writeable = False  # others get the same one
    return drawn

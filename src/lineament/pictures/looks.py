"""A picture of how faces look: the photo with where they look, and a card for each face.

    attributes_picture()

An arrow at each eye points to where it looks, in the photo's plane; its length is the sine of the
angle between that direction and the camera's, so that who looks into the camera has a dot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from lineament.attributes import words
from lineament.attributes.results import FaceAttributes, PhotoAttributes
from lineament.pictures.fonts import font_for, put
from lineament.pictures.identified import cut_out
from lineament.pictures.photos import GRAY, INK, LEAST_SIDE_PX, ORANGE, PAPER, Color, annotate
from lineament.types import Face, Float64Array, Image

CARD_PX, CARD_WIDTH_PX = 128, 470
LEAST_WIDTH_PX = 500
ARROW = 1.6
"""Length of an arrow to the side, in distances between the eyes."""

BAR_PX = 96
MOST_BARS = 2
"""Expressions that a card shows, and how long the bar of a certain one is."""

_BITS = 4


def attributes_picture(looks: PhotoAttributes) -> Image:
    """Draw what is said of the faces of a photo.

    Args:
        looks: with the photo's pixels.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        OptionError: the pixels were not kept.
    """
    pixels = looks.photo.needed_pixels()
    faces = [each.face for each in looks.faces]
    labels = [str(number) for number in range(1, len(faces) + 1)] if len(faces) > 1 else None
    drawn = annotate(pixels, [_bare(each) for each in looks.faces], labels=labels).copy()
    times = max(1, -(-LEAST_SIDE_PX // max(pixels.shape[:2])))
    for each in looks.faces:
        _arrows(drawn, each, times)
    marked = PILImage.fromarray(drawn)
    gap = 14
    width = max(marked.width, LEAST_WIDTH_PX)
    columns = max(1, min((width - gap) // (CARD_WIDTH_PX + gap), len(faces) or 1))
    rows = -(-len(faces) // columns)
    height = marked.height + (rows * (CARD_PX + gap) + gap if rows else 0)
    canvas = PILImage.new("RGB", (width, height), PAPER)
    canvas.paste(marked, ((width - marked.width) // 2, 0))
    for i, each in enumerate(looks.faces):
        left = gap + i % columns * (CARD_WIDTH_PX + gap)
        top = marked.height + gap + i // columns * (CARD_PX + gap)
        canvas.paste(_card(pixels, each, i + 1 if labels else None), (left, top))
    return np.asarray(canvas, np.uint8)


def _bare(each: FaceAttributes) -> Face:
    """The face without its landmarks: arrows stand there."""
    return each.face if each.gaze is None else replace(each.face, landmarks_xy=None)


def _arrows(image: Image, each: FaceAttributes, times: int) -> None:
    """Draw where both eyes look."""
    if each.gaze is None or each.face.landmarks_xy is None:
        return
    eyes = (np.asarray(each.face.landmarks_xy[:2], np.float64) + 0.5) * times - 0.5
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    right, up = (math.radians(a) for a in (each.gaze.camera_right_deg, each.gaze.camera_up_deg))
    step = ARROW * apart * np.array([math.sin(right) * math.cos(up), -math.sin(up)])
    thick = max(1, round(apart / 45))
    for eye in eyes:
        begin, end = _fixed(eye), _fixed(eye + step)
        for color, line in ((INK, thick + 2), (ORANGE, thick)):
            cv2.circle(
                image, begin, (thick + 1 + (line > thick)) << _BITS, color, -1, cv2.LINE_AA, _BITS
            )
            if np.hypot(*step) > 2:
                cv2.line(image, begin, end, color, line, cv2.LINE_AA, _BITS)
                _head(image, eye, step, color, line)


def _fixed(point: Float64Array) -> tuple[int, int]:
    """A point as OpenCV draws it, with ``_BITS`` of a pixel's fraction."""
    x, y = np.round(point * 2**_BITS).astype(int).tolist()
    return x, y


def _head(image: Image, eye: Float64Array, step: Float64Array, color: Color, line: int) -> None:
    """The two strokes at the end of an arrow."""
    length = float(np.hypot(*step))
    barb = min(0.35 * length, 4.0 * line + 4)
    end = eye + step
    angle = math.atan2(step[1], step[0])
    for side in (-0.5, 0.5):
        back = end - barb * np.array([math.cos(angle + side), math.sin(angle + side)])
        cv2.line(image, _fixed(end), _fixed(back), color, line, cv2.LINE_AA, _BITS)


def _card(pixels: Image, each: FaceAttributes, number: int | None) -> PILImage.Image:
    """The face, and what is said of it."""
    card = PILImage.new("RGB", (CARD_WIDTH_PX, CARD_PX), PAPER)
    draw = ImageDraw.Draw(card)
    card.paste(PILImage.fromarray(cut_out(pixels, each.face.box_xyxy.tolist(), CARD_PX)), (0, 0))
    left, top = CARD_PX + 14, 0
    for title in _titles(each, number):
        put(draw, (left, top), title, INK, 18)
        top += 25
    if each.expression is not None:
        ranked = sorted(each.expression.probabilities.items(), key=lambda pair: -pair[1])
        for name, share in ranked[:MOST_BARS]:
            put(draw, (left, top), name, INK if share >= 0.5 else GRAY, 13)
            x = left + 84
            draw.rectangle((x, top + 4, x + BAR_PX, top + 12), outline=GRAY)
            draw.rectangle((x, top + 4, x + round(BAR_PX * share), top + 12), fill=ORANGE)
            put(draw, (x + BAR_PX + 8, top), words.percent(share), GRAY, 13)
            top += 18
    top += 3
    for line in _lines(each):
        if top > CARD_PX - 16:
            break
        put(draw, (left, top), _fitting(line, CARD_WIDTH_PX - left), GRAY, 13)
        top += 18
    return card


def _titles(each: FaceAttributes, number: int | None) -> list[str]:
    """The first line: who it looks like."""
    parts = [] if number is None else [f"{number}"]
    parts += [said for said in (words.gender_words(each.gender),) if said]
    if each.age is not None:
        parts.append(f"looks {words.age_words(each.age)}")
    return ["  ".join(parts)] if parts else []


def _lines(each: FaceAttributes) -> list[str]:
    """Eyes and mouth; head and gaze; what speaks against it."""
    lines = []
    state = [
        f"{name} {said}"
        for name, said in (
            ("eyes", words.eyes_words(each.eyes)),
            ("mouth", words.mouth_words(each.mouth)),
        )
        if said
    ]
    if each.pose is not None:
        yaw, pitch = each.pose.yaw_deg, each.pose.pitch_deg
        state.append(
            f"head {abs(yaw):.0f}° {'right' if yaw > 0 else 'left'}, "
            f"{abs(pitch):.0f}° {'up' if pitch > 0 else 'down'}"
        )
    if state:
        lines.append("; ".join(state))
    if each.gaze is not None:
        lines.append(f"looks {_looking(words.gaze_words(each.gaze))}")
    return [*lines, *each.doubts]


def _looking(said: str) -> str:
    return "at the camera" if said == "the camera" else f"past the camera: {said} (degrees)"


def _fitting(text: str, room: float) -> str:
    """As much of a line as there is room for."""
    font = font_for(text, 13)
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text}…"


def rows_of(faces: Sequence[FaceAttributes]) -> list[dict[str, str]]:
    """A table of faces, for notebooks: what is said of each in words."""
    return [
        {
            "face": str(each.number),
            "age": words.age_words(each.age),
            "gender": words.gender_words(each.gender),
            "expression": words.expression_words(each.expression),
            "yaw, pitch, roll": ", ".join(words.head_words(each.pose)),
            "eyes": words.eyes_words(each.eyes),
            "mouth": words.mouth_words(each.mouth),
            "looks at": words.gaze_words(each.gaze),
        }
        for each in faces
    ]

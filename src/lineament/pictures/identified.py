"""Pictures for people: an enrolled face, and a photo with the names of those in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw

from lineament.detect.boxes import square_around
from lineament.errors import ImageError, LineamentError
from lineament.images import decode_crop, load_image
from lineament.pictures.fonts import Font, font_for, put
from lineament.pictures.photos import GRAY, INK, ORANGE, PAPER, annotate
from lineament.text import printable
from lineament.types import Image

if TYPE_CHECKING:
    from lineament.gallery import Gallery, Identification, IdentifiedPhoto, SampleInfo

CARD_PX = 112
CARD_WIDTH_PX = 560
LEAST_WIDTH_PX = 640


def sample_picture(gallery: Gallery, sample: SampleInfo, size_px: int) -> Image | None:
    """An enrolled face, (S, S, 3): its crop, else cut out of its photo; None without both.

    A crop that is no crop - it may come from anybody - is taken for none.
    """
    png = gallery.crop(sample.id)
    if png is not None:
        try:
            return _resized(decode_crop(png, "its crop"), size_px)
        except ImageError:
            pass  # its photo may be there
    if sample.box_xyxy is None or not sample.source:
        return None
    try:
        image = load_image(Path(sample.source))
    except (LineamentError, OSError, ValueError):
        return None
    return cut_out(image, sample.box_xyxy, size_px)


def cut_out(image: Image, box_xyxy: Sequence[float], size_px: int) -> Image:
    """The square around a box, (S, S, 3); gray where it reaches out of the photo."""
    return _resized(square_around(image, box_xyxy), size_px)


def _resized(image: Image, size_px: int) -> Image:
    picture = PILImage.fromarray(image)
    return np.asarray(
        picture.resize((size_px, size_px), PILImage.Resampling.LANCZOS), np.uint8
    ).copy()


def identified_picture(
    image: Image, photo: IdentifiedPhoto, best: Sequence[Image | None], words: Sequence[list[str]]
) -> Image:
    """The photo with names at the faces; beneath, each face beside its best match.

    Args:
        image: (H, W, 3) uint8, the photo.
        photo: who is in it.
        best: for each face the enrolled face of its best candidate, or None.
        words: for each face what is said beside the two: the first line stands out.

    Returns:
        (H', W', 3) uint8.
    """
    faces = [one.face for one in photo.faces if one.face is not None]
    labels = [_label(i, one) for i, one in enumerate(photo.faces, 1) if one.face is not None]
    known = [one.known for one in photo.faces if one.face is not None]
    marked = PILImage.fromarray(annotate(image, faces, labels=labels, chosen=known))
    gap = 12
    width = max(marked.width, LEAST_WIDTH_PX)
    columns = max(1, (width - gap) // (CARD_WIDTH_PX + gap))
    rows = -(-len(photo.faces) // columns)
    height = marked.height + rows * (CARD_PX + gap) + (gap if rows else 0)
    canvas = PILImage.new("RGB", (width, height), PAPER)
    canvas.paste(marked, ((width - marked.width) // 2, 0))
    for i, (one, match, lines) in enumerate(zip(photo.faces, best, words, strict=True)):
        left = gap + i % columns * (CARD_WIDTH_PX + gap)
        top = marked.height + gap + i // columns * (CARD_PX + gap)
        card = _card(image, one, match, lines)
        canvas.paste(card, (left, top))
    return np.asarray(canvas, np.uint8)


def found_picture(face: Image, found: Sequence[tuple[Image | None, bool, Sequence[str]]]) -> Image:
    """A face beside each of those that are most alike, as cards.

    Args:
        face: (S, S, 3) uint8, who was looked for.
        found: for each the face (None: it cannot be shown), whether it is the same person, and what
            is said beside the two: the first line stands out.

    Returns:
        (H, W, 3) uint8.
    """
    gap, columns = 12, 2 if len(found) > 1 else 1
    rows = -(-len(found) // columns)
    size = (columns * (CARD_WIDTH_PX + gap) + gap, rows * (CARD_PX + gap) + gap)
    canvas = PILImage.new("RGB", size, PAPER)
    for i, (other, same, lines) in enumerate(found):
        card = _two_faces(face, other, lines, same)
        left = gap + i % columns * (CARD_WIDTH_PX + gap)
        canvas.paste(card, (left, gap + i // columns * (CARD_PX + gap)))
    return np.asarray(canvas, np.uint8)


def person_sheet(title: str, faces: Sequence[tuple[Image, str]], columns: int) -> Image:
    """Enrolled faces of one person with the name above, and what is said of each below it.

    Args:
        title: above all of them.
        faces: (S, S, 3) uint8 of one size, and a few words each.
        columns: how many in a row at most.

    Returns:
        (H, W, 3) uint8.
    """
    gap, line, heading = 12, 20, 40
    side = faces[0][0].shape[0]
    across = min(columns, len(faces))
    down = -(-len(faces) // across)
    font = font_for(title, 20)
    width = max(gap + across * (side + gap), round(font.getlength(printable(title))) + 2 * gap)
    height = heading + down * (side + line + gap)
    canvas = PILImage.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    put(draw, (gap, 8), title, INK, 20)
    for i, (face, words) in enumerate(faces):
        left, top = gap + i % across * (side + gap), heading + i // across * (side + line + gap)
        canvas.paste(PILImage.fromarray(face), (left, top))
        room = width - left - gap if across == 1 else side
        short = _shortened(words, font_for(words, 12), room)
        put(draw, (left, top + side + 3), short, GRAY, 12)
    return np.asarray(canvas, np.uint8)


def _shortened(text: str, font: Font, room: int) -> str:
    """As much of a text, as it is drawn, as there is room for."""
    text = printable(text)  # Raqm measures no line breaks, and draws none
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text}…"


def _label(number: int, one: Identification) -> str:
    return f"{number}  {'unknown' if one.name is None else one.name}"


def _card(
    image: Image, one: Identification, match: Image | None, lines: Sequence[str]
) -> PILImage.Image:
    """The face, the best match, and the words."""
    face = None
    if one.face is not None:
        face = cut_out(image, one.face.box_xyxy.tolist(), CARD_PX)
    return _two_faces(face, match, lines, one.name is not None)


def _two_faces(
    face: Image | None, match: Image | None, lines: Sequence[str], same: bool
) -> PILImage.Image:
    """Two faces and words; framed when they are the same person, else kept apart by a line."""
    card = PILImage.new("RGB", (CARD_WIDTH_PX, CARD_PX), PAPER)
    draw = ImageDraw.Draw(card)
    if face is not None:
        card.paste(PILImage.fromarray(face), (0, 0))
    left = CARD_PX + 6
    if match is None:
        draw.rectangle((left, 0, left + CARD_PX - 1, CARD_PX - 1), outline=GRAY)
        put(draw, (left + CARD_PX / 2, CARD_PX / 2), "no picture", GRAY, 13, anchor="mm")
    else:
        card.paste(PILImage.fromarray(match), (left, 0))
    if same:
        draw.rectangle((0, 0, left + CARD_PX - 1, CARD_PX - 1), outline=ORANGE, width=2)
    else:  # not by color alone: the two are kept apart
        draw.line((left - 3, 0, left - 3, CARD_PX - 1), fill=INK, width=2)
    left += CARD_PX + 12
    for i, line in enumerate(lines):
        place, color, size_px = (2, INK, 18) if i == 0 else (8 + 20 * i, GRAY, 14)
        put(draw, (left, place), line, color, size_px)
    return card

"""Pictures for people: faces marked in a photo, a verdict, a sheet of crops.

    annotate()         a photo with boxes, landmarks and labels
    verdict_picture()  two photos, the aligned faces, the decision in words
    decision_picture() the aligned faces and the decision, without the photos
    contact_sheet()    many crops in rows
    save_png()         any of them, into a file

Pure functions on arrays; no argument is changed. The colors are those of Okabe and Ito ("Color
Universal Design", 2008), which people with any kind of color vision tell apart; besides, nothing
is said by color alone. Lines have a dark edge, so that they show on any photo.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageDraw

from lineament.errors import OptionError
from lineament.files import write_atomically
from lineament.pictures.fonts import Font, font_for, put, shown
from lineament.pictures.points import draw_points
from lineament.types import Decision, Face, Image

Color = tuple[int, int, int]
_Box = tuple[float, float, float, float]

BLUE: Color = (0, 114, 178)
SKY: Color = (86, 180, 233)
ORANGE: Color = (230, 159, 0)
VERMILLION: Color = (213, 94, 0)
INK: Color = (28, 28, 30)
GRAY: Color = (105, 105, 110)
PAPER: Color = (250, 250, 248)

LEAST_SIDE_PX = 320
"""Photos whose longer side is shorter are enlarged by a whole number first: lines and letters
as thick as they must be to be seen would hide the faces."""

LEAST_MARKED_PX = 24
"""Landmarks are not drawn on faces smaller than this in the picture: they would cover them."""

PANEL_PX = 460
"""Height of the photos in ``verdict_picture``."""

JPEG_QUALITY = 92

MOST_ASPECT = 2.0
"""Of a photo that is wider or taller than this, ``verdict_picture`` shows the part around the
face: shrunk until it fits, nobody would see the face."""

CROP_PX = 168
"""Side of the aligned faces in ``verdict_picture``."""


def annotate(
    image: Image,
    faces: Sequence[Face],
    *,
    labels: Sequence[str] | None = None,
    chosen: Sequence[bool] | None = None,
    points: Sequence[npt.ArrayLike] | None = None,
) -> Image:
    """Mark faces in a photo.

    Labels stand beside their boxes, never on a face. Where a crowd leaves no room, a label is left
    out; when there are three faces or fewer, it stands in a strip beneath the photo instead.

    Args:
        image: (H, W, 3) uint8.
        faces: as a detector returns them.
        labels: one for each face; None draws none.
        chosen: for each face whether it stands out; the others are drawn thin and white, without
            landmarks. None: all of them do.
        points: of each face what a landmarker finds, (P, 2), pixels of the photo: drawn in place of
            its five landmarks.

    Returns:
        (H', W', 3) uint8: the photo at its size, or enlarged by a whole number if it is
        smaller than ``LEAST_SIDE_PX``, and the strip, if there is one.

    Raises:
        OptionError: an image of another shape or type, or another number of labels or points.
    """
    _check(image)
    for name, given in (("labels", labels), ("points", points)):
        if given is not None and len(given) != len(faces):
            raise OptionError(
                f"expected one for each of {len(faces)} faces, got {len(given)}", option=name
            )
    times = max(1, -(-LEAST_SIDE_PX // max(image.shape[:2])))
    picture = PILImage.fromarray(image)
    if times > 1:
        size = (picture.width * times, picture.height * times)
        picture = picture.resize(size, PILImage.Resampling.BICUBIC)
    plain = faces if points is None else [replace(face, landmarks_xy=None) for face in faces]
    _mark(picture, plain, times, [True] * len(faces) if chosen is None else chosen)
    if points is not None:
        drawn = np.array(picture)
        draw_points(drawn, points, times, line=PAPER, dot=SKY)
        picture = PILImage.fromarray(drawn)
    if labels is not None:
        picture = _label(picture, faces, labels, times)
    return np.asarray(picture, np.uint8)


def verdict_picture(
    image_a: Image,
    image_b: Image,
    decision: Decision,
    crop_a: Image,
    crop_b: Image,
    *,
    faces_a: Sequence[Face] = (),
    faces_b: Sequence[Face] = (),
) -> Image:
    """Draw what a decision rests on: photos, faces, aligned crops, score and threshold.

    Args:
        image_a, image_b: (H, W, 3) uint8, the photos that the decision is about.
        decision: the decision; the faces that were compared are highlighted.
        crop_a, crop_b: (S, S, 3) uint8, the aligned faces.
        faces_a, faces_b: all faces found in the photos; the others are drawn thin.

    Returns:
        (H', W', 3) uint8, some 600 to 1,400 pixels wide whatever the photos' sizes.

    Raises:
        OptionError: an image of another shape or type.
    """
    for picture in (image_a, image_b, crop_a, crop_b):
        _check(picture)
    gap = 16
    panels = [
        _panel(image_a, decision.face_a, faces_a, _captions(decision)[0]),
        _panel(image_b, decision.face_b, faces_b, _captions(decision)[1]),
    ]
    name_lines = max(len(panel.names) for panel in panels)
    columns = [
        _column(panels[0], crop_a, _facts(decision.face_a, decision.others_a), name_lines),
        _column(panels[1], crop_b, _facts(decision.face_b, decision.others_b), name_lines),
    ]
    width = sum(column.width for column in columns) + 3 * gap
    verdict = _verdict(decision, width - 2 * gap)
    height = max(column.height for column in columns)
    canvas = PILImage.new("RGB", (width, gap + height + gap + verdict.height), PAPER)
    left = gap
    for column in columns:
        canvas.paste(column, (left, gap))
        left += column.width + gap
    canvas.paste(_color(decision), (0, height + 2 * gap, width, canvas.height))
    canvas.paste(verdict, (gap, height + 2 * gap))
    return np.asarray(canvas, np.uint8)


def decision_picture(decision: Decision) -> Image:
    """Draw a decision without its photos: both aligned faces, names, score and threshold.

    Returns:
        (H', W', 3) uint8.

    Raises:
        OptionError: the decision has no crops: it is one of a list, or of two embeddings.
    """
    crops = [decision.crop_a, decision.crop_b]
    if any(crop is None for crop in crops):
        raise OptionError(
            "expected a decision with both aligned faces, they were not kept",
            hint="verify one pair, not a list",
        )
    gap, side = 16, 2 * CROP_PX
    names = [_wrapped(source, 17, side, most=2) for source in _captions(decision)]
    lines = max(map(len, names))
    verdict = _verdict(decision, 2 * side + gap)
    top = gap + side + 10 + 23 * lines + 10
    canvas = PILImage.new("RGB", (2 * side + 3 * gap, top + verdict.height), PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, (crop, rows) in enumerate(zip(crops, names, strict=True)):
        assert crop is not None
        left = gap + i * (side + gap)
        aligned = PILImage.fromarray(crop).resize((side, side), PILImage.Resampling.BICUBIC)
        canvas.paste(aligned, (left, gap))
        for k, row in enumerate(rows):
            put(draw, (left, gap + side + 10 + 23 * k), row, INK, 17)
    canvas.paste(_color(decision), (0, top, canvas.width, canvas.height))
    canvas.paste(verdict, (gap, top))
    return np.asarray(canvas, np.uint8)


def contact_sheet(crops: Image, columns: int) -> Image:
    """Lay crops out in rows, from the left and from the top.

    Args:
        crops: (N, H, W, 3) uint8, N at least 1.
        columns: how many in a row; a sheet of fewer crops is narrower.

    Returns:
        (H', W', 3) uint8, with 4 pixels of light paper around each crop.

    Raises:
        OptionError: crops of another shape or type, none of them, or less than one column.
    """
    if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[3] != 3 or not crops.size:
        raise OptionError(
            f"expected uint8 of shape (N, H, W, 3), got {crops.dtype} of shape {crops.shape}",
            option="crops",
        )
    if columns < 1:
        raise OptionError(f"expected 1 or more, got {columns}", option="columns")
    gap = 4
    count, height, width = crops.shape[:3]
    across = min(columns, count)
    down = -(-count // across)
    sheet = np.empty((gap + down * (height + gap), gap + across * (width + gap), 3), np.uint8)
    sheet[:] = PAPER
    for i, crop in enumerate(crops):
        top, left = gap + i // across * (height + gap), gap + i % across * (width + gap)
        sheet[top : top + height, left : left + width] = crop
    return sheet


def save_png(image: Image, path: str | os.PathLike[str]) -> None:
    """Write a picture as PNG, at once or not at all; a file that exists is replaced.

    Args:
        image: (H, W, 3) uint8.
        path: of the file; its folder must exist.

    Raises:
        OptionError: an image of another shape or type, or the file cannot be written.
    """
    _check(image)
    file = io.BytesIO()
    PILImage.fromarray(image).save(file, "PNG")
    write_atomically(Path(path), file.getvalue())


def save_picture(image: Image, path: str | os.PathLike[str]) -> None:
    """Write a picture as the name says, .png or .jpg; a file that exists is replaced.

    Args:
        image: (H, W, 3) uint8.
        path: of the file; its folder must exist.

    Raises:
        OptionError: another ending, an image of another shape or type, or the file cannot be
            written.
    """
    ending = Path(path).suffix.lower()
    if ending == ".png":
        save_png(image, path)
        return
    if ending not in (".jpg", ".jpeg"):
        raise OptionError(f"expected a name that ends in .png or .jpg, got {path}", option="path")
    _check(image)
    file = io.BytesIO()
    PILImage.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    write_atomically(Path(path), file.getvalue())


def _check(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise OptionError(
            f"expected RGB, uint8, (H, W, 3), got {image.dtype} of shape {image.shape}",
            option="image",
        )


# --- marks ----------------------------------------------------------------------------------------


def _mark(
    picture: PILImage.Image, faces: Sequence[Face], scale: float, chosen: Sequence[bool]
) -> None:
    """Draw boxes and landmarks, those of chosen faces thick and in color."""
    draw = ImageDraw.Draw(picture)
    thick = max(2, round(min(picture.size) / 240))
    # The chosen ones last, so that nobody's thin box runs across them.
    for face, is_chosen in sorted(zip(faces, chosen, strict=True), key=lambda pair: pair[1]):
        box = _scaled(face, scale)
        side = min(box[2] - box[0], box[3] - box[1])
        least = 1 if all(chosen) else 2  # thicker than those that are not chosen, however small
        line = max(least, min(thick, round(side / 16))) if is_chosen else max(1, thick // 3)
        edge = max(1, line // 3)
        color = ORANGE if is_chosen else PAPER
        draw.rectangle(_grown(box, line // 2 + edge), outline=INK, width=line + 2 * edge)
        draw.rectangle(_grown(box, line // 2), outline=color, width=line)
        if face.landmarks_xy is None or side < LEAST_MARKED_PX or not is_chosen:
            continue
        radius = max(1.0, min(1.4 * thick, side / 32))
        rings = [(radius, SKY)]
        if side >= 2 * LEAST_MARKED_PX:
            rings.insert(0, (radius + edge, INK))
        for x, y in (face.landmarks_xy + 0.5) * scale - 0.5:
            for grown, paint in rings:
                draw.ellipse((x - grown, y - grown, x + grown, y + grown), fill=paint)


def _scaled(face: Face, scale: float) -> _Box:
    """The box in a picture that is ``scale`` times as large; pixels' centers are whole numbers."""
    left, top, right, bottom = ((face.box_xyxy + 0.5) * scale - 0.5).tolist()
    return left, top, right, bottom


def _grown(box: _Box, by: float) -> _Box:
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def _label(
    picture: PILImage.Image, faces: Sequence[Face], labels: Sequence[str], scale: float
) -> PILImage.Image:
    boxes = [_scaled(face, scale) for face in faces]
    taken: list[_Box] = list(boxes)
    draw = ImageDraw.Draw(picture)
    largest = max(13.0, min(picture.size) / 32)
    homeless = []
    for box, text in zip(boxes, labels, strict=True):
        # In a crowd a label about as wide as its face finds room; less than 11 px nobody reads.
        size_px = max(11.0, min(largest, (box[2] - box[0]) / 4))
        place = _place(draw, text, size_px, box, picture.size, taken)
        if place is None:
            homeless.append(text)
            continue
        taken.append(place)
        draw.rectangle(place, fill=INK)
        middle = ((place[0] + place[2]) / 2, (place[1] + place[3]) / 2)
        put(draw, middle, text, PAPER, size_px, anchor="mm")
    if not homeless or len(faces) > 3:
        return picture
    return _with_strip(picture, "   ".join(homeless), largest)


def _place(
    draw: ImageDraw.ImageDraw,
    text: str,
    size_px: float,
    box: _Box,
    size_wh: tuple[int, int],
    taken: Sequence[_Box],
) -> _Box | None:
    """Where a label fits beside a box: in the picture, on no face and on no other label."""
    left, top, right, bottom = draw.textbbox((0, 0), shown(text), font=font_for(text, size_px))
    pad = 0.25 * (bottom - top) + 2
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    away = max(4.0, min(size_wh) / 160)  # clear of the line
    limit_x, limit_y = size_wh[0] - width - 1, size_wh[1] - height - 1
    xs = [min(max(x, 0), limit_x) for x in (box[0], box[2] - width)]
    ys = [min(max(y, 0), limit_y) for y in (box[1], box[3] - height)]
    above, below = box[1] - away - height, box[3] + away
    beside = (box[2] + away, box[0] - away - width)
    corners = [(x, y) for y in (above, below) for x in xs] + [(x, y) for x in beside for y in ys]
    for x, y in corners:
        place = (x, y, x + width, y + height)
        inside = 0 <= x <= limit_x and 0 <= y <= limit_y
        if inside and not any(_overlap(place, other) for other in taken):
            return place
    return None


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _with_strip(picture: PILImage.Image, text: str, size_px: float) -> PILImage.Image:
    lines = _wrapped(text, size_px, picture.width - size_px, most=3)
    step = round(size_px * 1.35)
    strip = round(size_px * 0.6) + step * len(lines)
    canvas = PILImage.new("RGB", (picture.width, picture.height + strip), INK)
    canvas.paste(picture, (0, 0))
    draw = ImageDraw.Draw(canvas)
    for i, line in enumerate(lines):
        y = picture.height + round(size_px * 0.3) + i * step
        put(draw, (size_px / 2, y), line, PAPER, size_px)
    return canvas


# --- the verdict ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Panel:
    """A photo as it is shown, and its name broken into lines."""

    photo: PILImage.Image
    width: int
    names: list[str]


def _captions(decision: Decision) -> tuple[str, str]:
    """The photos' names; their whole paths where the names are the same."""
    sources = (decision.source_a, decision.source_b)
    a, b = (s if "://" in s or s.startswith("data:") else PurePath(s).name for s in sources)
    return (a, b) if a != b else sources


def _panel(image: Image, face: Face | None, faces: Sequence[Face], source: str) -> _Panel:
    left, top, width, height = _window(image, face)
    scale = PANEL_PX / height
    size = max(1, round(width * scale)), PANEL_PX
    part = np.ascontiguousarray(image[top : top + height, left : left + width])
    photo = PILImage.fromarray(part).resize(size, PILImage.Resampling.LANCZOS)
    chosen = [] if face is None else [face]
    thin = [other for other in faces if face is None or not _same_face(other, face)]
    shown = [_moved(other, left, top) for other in (*thin, *chosen)]
    _mark(photo, shown, scale, [False] * len(thin) + [True] * len(chosen))
    panel_width = max(size[0], 2 * CROP_PX)
    name = source if (width, height) == image.shape[1::-1] else f"{source} (a part)"
    return _Panel(photo, panel_width, _wrapped(name, 17, panel_width, most=2))


def _window(image: Image, face: Face | None) -> tuple[int, int, int, int]:
    """What is shown of a photo: left, top, width and height in its pixels."""
    height, width = image.shape[:2]
    shown_width = min(width, max(1, round(MOST_ASPECT * height)))
    shown_height = min(height, max(1, round(MOST_ASPECT * width)))
    x, y = ((width - 1) / 2, (height - 1) / 2) if face is None else face.center_xy
    left = min(max(round(x - shown_width / 2), 0), width - shown_width)
    top = min(max(round(y - shown_height / 2), 0), height - shown_height)
    return left, top, shown_width, shown_height


def _moved(face: Face, left: int, top: int) -> Face:
    """The face in a part of the photo that begins at ``left``, ``top``."""
    points = (
        None if face.landmarks_xy is None else face.landmarks_xy - np.array([left, top], np.float32)
    )
    box = face.box_xyxy - np.array([left, top, left, top], np.float32)
    return replace(face, box_xyxy=box, landmarks_xy=points)


def _column(panel: _Panel, crop: Image, facts: Sequence[str], name_lines: int) -> PILImage.Image:
    """One photo, its name, its aligned face and what is known of it."""
    crop_top = PANEL_PX + 10 + 23 * name_lines + 10
    column = PILImage.new("RGB", (panel.width, crop_top + CROP_PX), PAPER)
    column.paste(panel.photo, ((panel.width - panel.photo.width) // 2, 0))
    draw = ImageDraw.Draw(column)
    for i, line in enumerate(panel.names):
        put(draw, (0, PANEL_PX + 10 + 23 * i), line, INK, 17)
    aligned = PILImage.fromarray(crop).resize((CROP_PX, CROP_PX), PILImage.Resampling.BICUBIC)
    column.paste(aligned, (0, crop_top))
    room = panel.width - CROP_PX - 14
    lines = [line for fact in facts for line in _wrapped(fact, 15, room, most=3)]
    for i, line in enumerate(lines):
        put(draw, (CROP_PX + 14, crop_top + 22 * i), line, GRAY, 15)
    return column


def _same_face(a: Face, b: Face) -> bool:
    return a is b or bool(np.array_equal(a.box_xyxy, b.box_xyxy))


def _facts(face: Face | None, others: int) -> list[str]:
    facts = ["aligned face"]
    if face is not None:
        width, height = face.size_wh
        facts += [f"{width:.0f} x {height:.0f} pixels", f"detected with {face.score:.2f}"]
        if face.turned_deg:
            facts.append(f"turned by {face.turned_deg} degrees")
    return [*facts, {0: "no other face", 1: "1 other face"}.get(others, f"{others} other faces")]


def _color(decision: Decision) -> Color:
    return {"same": BLUE, "different": VERMILLION, "undecided": GRAY}[decision.verdict]


def _verdict(decision: Decision, width: int) -> PILImage.Image:
    threshold = decision.threshold
    comparison = "past" if decision.same else "short of"
    text = (
        f"{decision.metric} {decision.score:.3f} is {abs(decision.margin):.3f} {comparison} the "
        f"threshold {threshold}"
    )
    lines: list[str] = []
    if decision.certainty is not None:
        certainty = decision.certainty
        told = f"One person: {certainty.in_words} probable, by {certainty.origin}"
        lines += _wrapped(told, 17, width, most=4)
    lines += _wrapped(text, 17, width, most=5)
    for reason in decision.reasons:
        lines += _wrapped(f"Undecided because {reason}", 17, width, most=4)
    height = 14 + 44 + 24 * len(lines) + 14
    band = PILImage.new("RGB", (width, height), _color(decision))
    draw = ImageDraw.Draw(band)
    head = decision.verdict_in_words
    put(draw, (0, 10), head, PAPER, 34 if len(head) < 40 else 24)
    for i, line in enumerate(lines):
        put(draw, (0, 58 + 24 * i), line, PAPER, 17)
    return band


# --- text -----------------------------------------------------------------------------------------


def _wrapped(text: str, size_px: float, width: float, *, most: int) -> list[str]:
    """Break text into lines of ``width`` pixels, at spaces and slashes where there are some.

    More than ``most`` lines lose their middle: beginning and end of a path say most.
    """
    font = font_for(text, size_px)
    lines = _broken(text, font, width)
    if len(lines) <= most:
        return lines
    keep = len(text) - 1
    while keep > 2 and len(lines) > most:
        keep -= max(1, keep // 20)
        lines = _broken(f"{text[: keep // 2]}…{text[len(text) - keep // 2 :]}", font, width)
    return lines[:most]


def _broken(text: str, font: Font, width: float) -> list[str]:
    lines = []
    rest = " ".join(text.split())
    while rest:
        fits = _how_many_fit(rest, font, width)
        if fits < len(rest):
            at = max(rest.rfind(mark, 0, fits) for mark in (" ", "/", "\\"))
            if at > fits // 2:
                fits = at + 1
        lines.append(rest[:fits].rstrip())
        rest = rest[fits:].lstrip()
    return lines


def _how_many_fit(text: str, font: Font, width: float) -> int:
    """How many characters, at least one, are no wider than ``width``; by bisection."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "□" for c in text)  # Raqm measures no line breaks
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low

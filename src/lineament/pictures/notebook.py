"""How results look in a notebook, on the screen and as a picture file.

    picture_of()   a photo with its faces marked; a decision with both faces and the verdict
    html_of()      for ``_repr_html_``: a small picture, and what is known as text
    show(), save() the picture, below a notebook's cell or in the system's viewer; into a file

Names of files and whatever else comes from outside is escaped.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from lineament.attributes.results import PhotoAttributes
from lineament.errors import LineamentError, OptionError
from lineament.files import write_atomically
from lineament.pictures.looks import attributes_picture, rows_of
from lineament.pictures.photos import annotate, contact_sheet, decision_picture
from lineament.pictures.tracked import tracked_picture
from lineament.results import Outcome, Pictured, in_notebook
from lineament.text import printable
from lineament.types import Decision, Image, Photo

WIDTH_PX = 640
"""Of a picture in a notebook, at the most: some 60 kB as JPEG."""

JPEG_QUALITY = 80
MOST_ROWS = 20
"""Faces that the text below a photo lists."""

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def picture_of(result: Outcome) -> Image:
    """Draw a result: (H, W, 3) uint8, RGB.

    Of a photo whose pixels were not kept its aligned faces are drawn, where it has them.

    Raises:
        OptionError: there are no pixels, or no picture of such a result.
    """
    if isinstance(result, Decision):
        return decision_picture(result)
    watching = sys.modules.get("lineament.video.watching")  # else nobody has such a frame
    if watching is not None and isinstance(result, watching.WatchedFrame):
        return tracked_picture(result)
    if isinstance(result, PhotoAttributes):
        return attributes_picture(result)
    if not isinstance(result, Photo):
        raise OptionError(f"there is no picture of a result of the type {type(result).__name__}")
    if result.pixels is None and result.crops is not None and len(result.crops):
        return contact_sheet(result.crops, 8)
    pixels = result.needed_pixels()
    labels = [str(number) for number in range(len(result.faces))]
    return annotate(pixels, result.faces, labels=labels if len(labels) > 1 else None)


def html_of(result: Outcome) -> str:
    """A fragment of HTML, with the picture in it where there is one; never raises."""
    try:
        picture = picture_of(result) if isinstance(result, Pictured) else None
    except LineamentError:  # not kept, or not read: the text says so
        picture = None
    parts = [] if picture is None else [_image(picture)]
    if isinstance(result, Photo):
        parts.append(_photo_text(result, picture is not None))
    elif isinstance(result, Decision):
        parts.append(_decision_text(result))
    elif isinstance(result, PhotoAttributes):
        parts.append(f"<div><b>{_told(result.source)}</b></div>")
        parts.append(_table(rows_of(result.faces[:MOST_ROWS])))
    else:
        parts.append(f"<div>{_told(repr(result))}</div>")
    return f'<div style="line-height:1.4">{"".join(parts)}</div>'


def show(result: Outcome) -> None:
    """Show the picture; raises as ``picture_of``."""
    picture = PILImage.fromarray(picture_of(result))
    if in_notebook():
        from importlib import import_module

        import_module("IPython.display").display(picture)
        return
    picture.show()


def save(result: Outcome, path: Path) -> None:
    """Write the picture; raises as ``picture_of``, and OptionError as ``Pictured.save`` says."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OptionError(
            f"expected a name that ends in {', '.join(FORMATS)}, got {path.name!r}", option="path"
        )
    sources = [result.source] if isinstance(result, (Photo, PhotoAttributes)) else []
    if isinstance(result, Decision):
        sources = [result.source_a, result.source_b]
    if any(_same_file(path, source) for source in sources):
        raise OptionError(f"{path} is the photo itself: name another file", option="path")
    picture = PILImage.fromarray(picture_of(result))
    data = io.BytesIO()
    picture.save(data, kind, **({} if kind == "PNG" else {"quality": 92}))
    write_atomically(path, data.getvalue())


def _same_file(path: Path, source: str) -> bool:
    try:
        return path.samefile(source)
    except (OSError, ValueError):
        return False


def _image(picture: Image) -> str:
    drawn = PILImage.fromarray(picture)
    drawn.thumbnail((WIDTH_PX, WIDTH_PX), PILImage.Resampling.LANCZOS)
    data = io.BytesIO()
    drawn.save(data, "JPEG", quality=JPEG_QUALITY)
    text = base64.b64encode(data.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{text}" style="max-width:100%" alt="">'


def _photo_text(photo: Photo, drawn: bool) -> str:
    size = "" if photo.size_wh is None else f", {photo.size_wh[0]} x {photo.size_wh[1]} pixels"
    head = f"<b>{_told(photo.source)}</b>{size}"
    if photo.error is not None:
        return f"<div>{head}</div><div>{_told(str(photo.error))}</div>"
    if photo.detector is None and not photo.faces:
        return f"<div>{head}; nobody has looked for faces yet</div>"
    count = {0: "no face was found", 1: "1 face"}.get(len(photo.faces), f"{len(photo.faces)} faces")
    if photo.faces and not drawn:
        count += "; not drawn, since the pixels were not kept (keep_pixels=True)"
    rows = [
        {
            "face": f"{number}{' (the photo is of it)' if number == photo.index else ''}",
            "size, px": "{:.0f} x {:.0f}".format(*face.size_wh),
            "score": f"{face.score:.3f}",
            "roll": f"{round(face.roll_deg)}°",
        }
        for number, face in enumerate(photo.faces[:MOST_ROWS])
    ]
    more = len(photo.faces) - len(rows)
    rest = f"<div>and {more} more</div>" if more else ""
    return f"<div>{head}; {count}</div>{_table(rows)}{rest}"


def _decision_text(decision: Decision) -> str:
    lines = str(decision).splitlines()
    names = f"{_told(decision.source_a)} and {_told(decision.source_b)}"
    head = f"<div><b>{escape(decision.verdict_in_words)}</b>: {names}</div>"
    lines[0] = lines[0].partition(": ")[2]
    return head + "".join(f"<div>{_told(line)}</div>" for line in lines)


def _table(rows: Iterable[Mapping[str, Any]]) -> str:
    listed = list(rows)
    if not listed:
        return ""
    heads = "".join(f"<th>{_told(key)}</th>" for key in listed[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{_told(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in listed
    )
    return f"<table><tr>{heads}</tr>{body}</table>"


def _told(text: str) -> str:
    return escape(printable(text))

"""An enrolled face as a picture, and a gallery's people as HTML for notebooks."""

from __future__ import annotations

import base64
import html
from pathlib import Path

import cv2
import numpy as np

from lineament.detect.boxes import square_around
from lineament.errors import ImageError, LineamentError
from lineament.files import sha256_of_file
from lineament.gallery import lookup
from lineament.gallery._state import GalleryState
from lineament.gallery._types import PersonInfo, SampleInfo
from lineament.images import decode_crop, load_image
from lineament.text import counted
from lineament.types import Image

MOST_SHOWN = 24
"""People in a notebook; of the others it is said how many they are."""

PORTRAIT_PX = 80
JPEG_QUALITY = 85


def portrait(state: GalleryState, sample: SampleInfo, size_px: int) -> Image | None:
    """An enrolled face, (S, S, 3): its crop, else cut out of its photo; None without both.

    A photo that was changed since it was enrolled is not shown: the box may be about somebody else.
    """
    crop = kept_crop(state, sample.id)
    if crop is not None:
        return _resized(crop, size_px)
    if sample.box_xyxy is None or not sample.source or sample.sha256 is None:
        return None
    path = Path(sample.source)
    try:
        if not path.is_file() or sha256_of_file(path) != sample.sha256:
            return None
        return square(load_image(path), sample.box_xyxy, size_px)
    except (LineamentError, OSError, ValueError):
        return None


def kept_crop(state: GalleryState, sample: int) -> Image | None:
    """The aligned face that was kept of a sample; None: none was, or it cannot be read."""
    png = lookup.crop(state.store, sample)
    try:
        return None if png is None else decode_crop(png, "its crop")
    except ImageError:
        return None


def square(image: Image, box_xyxy: tuple[float, float, float, float], size_px: int) -> Image:
    """The square around a box, (S, S, 3); gray where it reaches out of the photo."""
    return _resized(square_around(image, box_xyxy), size_px)


def _resized(image: Image, size_px: int) -> Image:
    smaller = image.shape[0] > size_px
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    contiguous = np.ascontiguousarray(image)
    return np.asarray(cv2.resize(contiguous, (size_px, size_px), interpolation=method), np.uint8)


def data_uri(image: Image) -> str:
    """RGB (H, W, 3) as a JPEG that stands in the page itself."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), options)[1]
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def gallery_html(state: GalleryState, title: str) -> str:
    """The first people of a gallery with a portrait each."""
    heading = f"<div>{html.escape(title)}</div>"
    if state.is_closed:
        return heading
    people = lookup.people(state.store, where=None, after=None, limit=MOST_SHOWN + 1)
    if not people:
        return f"{heading}<div>nobody is enrolled</div>"
    cards = "".join(_card(state, person) for person in people[:MOST_SHOWN])
    rest = ""
    if len(people) > MOST_SHOWN:
        more = lookup.totals(state.store)[0] - MOST_SHOWN
        rest = f"<div>and {more:,} more</div>"
    return f'{heading}<div style="display:flex;flex-wrap:wrap;gap:8px">{cards}</div>{rest}'


def _card(state: GalleryState, person: PersonInfo) -> str:
    image = None
    first = lookup.first_sample(state.store, person.id)
    if first is not None:
        image = portrait(state, first, PORTRAIT_PX)
    box = f"width:{PORTRAIT_PX}px;height:{PORTRAIT_PX}px"
    name = html.escape(person.name)
    if image is None:
        picture = f'<div style="{box};border:1px dashed;box-sizing:border-box">no picture</div>'
    else:
        picture = f'<img src="{data_uri(image)}" alt="{name}" style="{box}">'
    return (
        f'<div style="width:{PORTRAIT_PX + 24}px">{picture}<div><b>{name}</b></div>'
        f"<div>{counted(person.n_samples, 'photo')}</div></div>"
    )

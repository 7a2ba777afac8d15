"""A page with a point for each photo, which shows itself beneath the mouse.

The page refers to nothing outside itself. Photos stand in it as sheets of small pictures, JPEG
in data URIs; names come as JSON and are only ever set as text, so they may hold anything.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import ImageOps

from lineament.errors import LineamentError
from lineament.explain.faces import Faces
from lineament.images import load_image
from lineament.machine import processors
from lineament.pictures.pages.page import escaped, filled, part_of_page
from lineament.types import Float64Array, Image

TILES = ((1_500, 64), (5_000, 48), (20_000, 40))
"""Up to so many photos, the side of a small picture in pixels: the page has 10 MB or so."""

COLUMNS = 64
ROWS = 32
"""Of a sheet: browsers decode pictures of 4,096 pixels everywhere."""

QUALITY = 72


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Small pictures, row by row in sheets of ``COLUMNS`` by ``ROWS``.

    Attributes:
        side_px: of each; 0 when there are none.
        sheets: encoded, JPEG.
        of_faces: they are the aligned faces; otherwise the middle of each photo.
    """

    side_px: int
    sheets: tuple[bytes, ...]
    of_faces: bool

    @classmethod
    def of(cls, faces: Faces) -> Thumbnails:
        """Make them from the crops, or else from the photos; one that is gone stays gray."""
        side = next((px for most, px in TILES if len(faces) <= most), TILES[-1][1])
        tiles: list[Image | None]
        with ThreadPoolExecutor(processors()) as pool:
            if faces.crops is not None:
                tiles = list(pool.map(lambda crop: _small(crop, side), faces.crops))
            else:
                tiles = list(pool.map(lambda path: _middle(path, side), faces.paths))
        if all(tile is None for tile in tiles):
            return cls(0, (), False)
        each = COLUMNS * ROWS
        sheets = tuple(
            _sheet(tiles[start : start + each], side) for start in range(0, len(tiles), each)
        )
        return cls(side, sheets, faces.crops is not None)


def _small(crop: Image, side: int) -> Image:
    return np.asarray(PILImage.fromarray(crop).resize((side, side), PILImage.Resampling.BOX))


def _middle(path: Path, side: int) -> Image | None:
    """The middle of a photo; None when it cannot be read (any more)."""
    try:
        photo = PILImage.fromarray(load_image(path))
    except LineamentError:
        return None
    return np.asarray(ImageOps.fit(photo, (side, side)))


def _sheet(tiles: Sequence[Image | None], side: int) -> bytes:
    columns = min(COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * side, columns * side, 3), 200, np.uint8)
    for k, tile in enumerate(tiles):
        if tile is not None:
            y, x = k // columns * side, k % columns * side
            sheet[y : y + side, x : x + side] = tile
    file = io.BytesIO()
    PILImage.fromarray(sheet).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def hover_page(
    title: str, words: str, xy: Float64Array, faces: Faces, thumbnails: Thumbnails
) -> bytes:
    """Return the page, encoded in UTF-8.

    Args:
        title: of the page.
        words: beneath it.
        xy: (N, 2), -1 to 1, y upwards.
        faces: N.
        thumbnails: of them.
    """
    data: dict[str, Any] = {
        "xy": np.round(xy * 10_000).astype(int).ravel().tolist(),
        "person": faces.person.tolist(),
        "names": list(faces.names),
        "files": list(faces.relative),
        "counts": faces.counts.tolist(),
        "named": faces.named,
        "side": thumbnails.side_px,
        "columns": min(COLUMNS, len(faces)),
        "each": COLUMNS * ROWS,
        "sheets": [
            "data:image/jpeg;base64," + base64.b64encode(sheet).decode("ascii")
            for sheet in thumbnails.sheets
        ],
    }
    if thumbnails.sheets and not thumbnails.of_faces:
        words += " Pointing shows the middle of the photo."
    # Escaped so that no name ends the script, whatever it is.
    script = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return filled(
        "hover.html",
        title=escaped(title),
        words=escaped(words),
        data=script,
        style=part_of_page("hover.css"),
        script=part_of_page("hover.js"),
    )

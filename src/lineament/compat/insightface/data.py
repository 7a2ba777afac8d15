"""The photos that come with the package."""

from __future__ import annotations

import numpy as np

from lineament.errors import OptionError
from lineament.files import DATA
from lineament.images import load_image
from lineament.types import Image

PHOTOS = {"t1": "group"}
"""insightface's own sample shows a group, too; it is not part of this package."""


class NoSuchPhotoError(OptionError, AssertionError):
    """There is no photo of that name: insightface has an assertion fail."""


def get_image(name: str, to_rgb: bool = False) -> Image:
    """One of the photos of ``lineament.demo_photos``: (H, W, 3) uint8, BGR.

    Args:
        name: "t1", "group", "obama", "obama2", "biden" or "astronaut".
        to_rgb: RGB instead.

    Raises:
        AssertionError: there is none.
    """
    path = DATA / "demo" / f"{PHOTOS.get(name, name)}.jpg"
    if not name.isidentifier() or not path.is_file():
        there = ", ".join([*PHOTOS, *sorted(each.stem for each in path.parent.glob("*.jpg"))])
        raise NoSuchPhotoError(f"expected one of {there}, got {name!r}", option="name")
    pixels = load_image(path)
    return np.ascontiguousarray(pixels if to_rgb else pixels[..., ::-1])

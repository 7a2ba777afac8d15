"""Photos as arrays, and the photos of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lineament.compat.deepface import _photos as photos
from lineament.compat.deepface import _store as store
from lineament.compat.deepface.modules.exceptions import PathNotFound


def load_image(img: photos.Source) -> tuple[npt.NDArray[np.uint8], str]:
    """Read one photo.

    Args:
        img: a path, an address, base64 that begins with ``data:image/``, a binary file object, or
            an array (H, W, 3), BGR.

    Returns:
        Pixels (H, W, 3) uint8, BGR, upright; and what it is: the path, "numpy array", "base64
        encoded string" or "io object".

    Raises:
        ImgNotFound, DataTypeError, ValueError: as ``DeepFace.represent``.
    """
    loaded = photos.load(img)
    return np.ascontiguousarray(loaded.pixels[..., ::-1]), loaded.name


def yield_images(path: str) -> Iterator[str]:
    """Paths of the photos below a folder: JPEG and PNG by name and by their first bytes.

    Raises:
        PathNotFound: there is no such folder.
    """
    if not Path(path).is_dir():
        raise PathNotFound(f"Passed path {path} does not exist!")
    for found in store.Tree(path).files():
        whole = str(Path(path) / found)
        with Path(whole).open("rb") as file:
            if file.read(8).startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
                yield whole


def list_images(path: str) -> list[str]:
    """The same as a list."""
    return list(yield_images(path))

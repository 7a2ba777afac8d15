"""What deepface takes for a photo, read by ``lineament.images``."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lineament.compat.deepface.modules.exceptions import DataTypeError, ImgNotFound
from lineament.errors import ImageError, ImageNotFoundError
from lineament.images import load_image
from lineament.text import printable
from lineament.types import Image

Source: TypeAlias = Any
"""A path, an address, base64 that begins with ``data:image/``, a binary file object, or pixels."""


@dataclass(frozen=True, eq=False, slots=True)
class Loaded:
    """A photo.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        name: for messages, as deepface has it.
    """

    pixels: Image
    name: str


def load(source: Source) -> Loaded:
    """Read one photo.

    Pixels are BGR, as deepface has them: (H, W, 3) uint8, or floats of 0 to 1 or to 255.

    Raises:
        ImgNotFound: there is no such file.
        DataTypeError: something else.
        ValueError: it cannot be read.
    """
    if isinstance(source, np.ndarray):
        return Loaded(_from_bgr(source), "numpy array")
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if isinstance(source, io.TextIOBase):
        raise DataTypeError("img can be an io object, but it must give bytes, not text")
    if callable(getattr(source, "read", None)):
        if getattr(source, "seekable", lambda: False)():
            source.seek(0)
        return Loaded(_read(source, "io object"), "io object")
    if not isinstance(source, str):
        raise DataTypeError(f"img must be numpy array or str but it is {type(source)}")
    if source.startswith("data:image/"):
        return Loaded(_read(source, "base64 encoded string"), "base64 encoded string")
    return Loaded(_read(source, source), source)


_WORDS = {
    "io object": "Failed to decode image",
    "base64 encoded string": "format error in base64 encoded string",
}
"""How deepface's messages begin, by what was given; others name the path."""


def _read(source: Any, name: str) -> Image:
    try:
        return load_image(source)
    except ImageNotFoundError as error:
        raise ImgNotFound(f"Confirm that {printable(name)} exists: {error}") from error
    except ImageError as error:
        words = _WORDS.get(name, f"Exception while loading {printable(name)}")
        raise ImageError(f"{words}: {error}") from error


def _from_bgr(array: npt.NDArray[Any]) -> Image:
    if array.ndim != 3 or array.shape[2] != 3:
        raise DataTypeError(f"Input img must be 3 dimensional but it is {array.shape}")
    if array.dtype != np.uint8:
        values = array.astype(np.float64)
        if not np.isfinite(values).all():
            raise DataTypeError("expected finite pixels, got NaN or infinity")
        scale = 255 if values.max(initial=0) <= 1 else 1
        array = np.clip(np.round(values * scale), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(array[..., ::-1])


def many(source: Source) -> list[Source] | None:
    """The photos of a batch: a list, or pixels (N, H, W, 3); None: it is one photo."""
    if isinstance(source, np.ndarray) and source.ndim == 4:
        return list(source)
    return list(source) if isinstance(source, list) else None


def embedding_in(source: Source) -> Sequence[Any] | None:
    """The numbers of an embedding that stands in the place of a photo; None: it is a photo."""
    if not isinstance(source, list):
        return None
    number = (int, float, np.integer, np.floating)
    if not source or not all(isinstance(v, number) and not isinstance(v, bool) for v in source):
        raise DataTypeError(
            "When passing img1_path as a list, ensure that all its items are of type float."
        )
    return source

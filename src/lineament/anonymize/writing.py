"""Photos written anew from their pixels: nothing of the old file gets into the new one.

No EXIF (place, time, camera, thumbnail), XMP, IPTC, comment, color profile, preview, second
picture, earlier version or what stands behind a file's end: the encoder is given pixels and nothing
else.
"""

from __future__ import annotations

import io
from pathlib import PurePath

from PIL import Image as PILImage

from lineament.errors import OptionError
from lineament.types import Image

_KINDS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
}
"""What is written, by the ending of the name."""

WRITTEN_SUFFIXES = tuple(_KINDS)

_LOSSLESS = {".apng", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"}
"""Endings of other photos without loss; they become PNG, all that remain JPEG."""

_HOW: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0, "optimize": True},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_lzw"},
}


def photo_name(name: str) -> str:
    """Return the name for an anonymized photo: the same, or with .jpg or .png behind it."""
    suffix = PurePath(name).suffix.lower()
    if suffix in _KINDS:
        return name
    return name + (".png" if suffix in _LOSSLESS else ".jpg")


def encode_photo(pixels: Image, name: str) -> bytes:
    """Encode pixels as the ending of a name says.

    Args:
        pixels: (H, W, 3) uint8, RGB, upright.
        name: one of ``WRITTEN_SUFFIXES`` is its ending.

    Raises:
        OptionError: another ending, or a picture that is too large for the format.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in _KINDS:
        raise OptionError(
            f"expected a name that ends in {', '.join(WRITTEN_SUFFIXES)}, got {name}", option="out"
        )
    file = io.BytesIO()
    kind = _KINDS[suffix]
    try:
        PILImage.fromarray(pixels).save(file, kind, **_HOW.get(kind, {}))
    except (OSError, ValueError) as error:  # WebP has at most 16,383 pixels a side
        raise OptionError(
            f"{name}: {pixels.shape[1]} x {pixels.shape[0]} pixels cannot be written as {kind}; "
            "name it .png",
            option="out",
        ) from error
    return file.getvalue()

"""Stage 1: a photo in any shape -> RGB, uint8, (H, W, 3), upright.

``load_image`` takes a path, an http(s) URL, a ``data:`` URI, bytes, a binary file object, a Pillow
image or a NumPy array. What every photo goes through:

- **Formats.** Only JPEG (with MPO), PNG, WebP, GIF, BMP, TIFF, binary PNM (PBM, PGM, PPM), AVIF and
  HEIC are decoded: a short list, since each decoder is code that strangers' bytes reach. The bytes
  decide, never the name. Of an animation or of several pages the first is taken.
- **EXIF.** The photo is turned and mirrored as its EXIF orientation says.
- **Transparency.** Pixels are laid over white, as a viewer shows them. Dropping the alpha channel
  instead would uncover pixels that no person sees (often black, sometimes another picture), and a
  cut-out head on white resembles the passport photos that recognizers know.
- **More than 8 bits.** Values are scaled, never clipped: 65535 becomes 255.
- **Color profiles** are not applied: neither are they in the pictures recognizers learn from.
- **Limits** are checked on the header, before pixels are decoded.

NumPy arrays of three or four channels are RGB unless ``color_order="bgr"`` says otherwise: pictures
from ``cv2.imread`` need it.

``sources`` turns anything into bytes, ``decode`` turns bytes into pixels.
"""

from __future__ import annotations

import os
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from lineament.errors import OptionError
from lineament.images.decode import decode_bytes, from_array, from_pillow
from lineament.images.sources import (
    DEFAULT_LIMITS,
    IMAGE_SUFFIXES,
    ImageLimits,
    describe_source,
    find_images,
    read_bytes,
)
from lineament.types import ColorOrder, Image

__all__ = [
    "DEFAULT_LIMITS",
    "IMAGE_SUFFIXES",
    "ImageLimits",
    "ImageSource",
    "describe_source",
    "find_images",
    "load_image",
]

ImageSource: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | PILImage.Image
    | npt.NDArray[Any]
)
"""Everything that ``load_image`` reads."""


def load_image(
    source: ImageSource,
    *,
    color_order: ColorOrder | None = None,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> Image:
    """Read one photo: RGB, uint8, (H, W, 3), contiguous, upright.

    A ``str`` that begins with ``http://``, ``https://`` or ``data:`` is a URL, any other a path. A
    file object is read from where it stands and left open.

    A NumPy array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, uint16 (0 to 65535) or float
    (0 to 1); the limits do not apply to it. One that is already contiguous RGB uint8 comes back as
    it is, not copied.

    Args:
        source: the photo.
        color_order: of a NumPy array's channels; None means "rgb". Other sources ignore it.
        limits: on bytes, pixels and seconds.

    Raises:
        ImageNotFoundError: no such file, or the server says so.
        ImageFormatError: empty, not a photo, of another format, broken or cut short.
        ImageTooLargeError: over the limits.
        ImageError: a folder, permission denied, a network failure, an unfit array or object.
        MissingExtraError: HEIC without pillow-heif.
        OptionError: an unknown ``color_order``.
    """
    if color_order not in (None, "rgb", "bgr"):
        raise OptionError(f'expected "rgb" or "bgr", got {color_order!r}', option="color_order")
    name = describe_source(source)
    if isinstance(source, np.ndarray):
        return from_array(source, color_order, name)
    if isinstance(source, PILImage.Image):
        return from_pillow(source, name, limits)
    return decode_bytes(read_bytes(source, name, limits), name, limits)

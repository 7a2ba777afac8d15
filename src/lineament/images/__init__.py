"""Stage 1: a photo in any shape -> RGB, uint8, (H, W, 3), upright.

``load_image`` takes a path, an http(s) or file URL, a ``data:`` URI, base64, bytes, a binary file
object, a Pillow image, or an array or tensor of any library. What every photo goes through:

- **Formats.** Only JPEG (with MPO), PNG, WebP, GIF, BMP, TIFF, binary PNM (PBM, PGM, PPM), AVIF and
  HEIC are decoded: a short list, since each decoder is code that strangers' bytes reach. The bytes
  decide, never the name, and other formats are refused by name.
- **Pages.** Of an animation, or of several pages, the first full-size one is taken: the first frame
  of a GIF, WebP or PNG, the first picture of an MPO, the primary one of a HEIC or AVIF. A TIFF's
  pages that are marked as reduced copies or masks are passed over; one that has no other, and raw
  files without a full-size preview, are refused.
- **EXIF.** The photo is turned and mirrored as its EXIF orientation says.
- **Transparency.** Pixels are laid over white, as a viewer shows them. Dropping the alpha channel
  instead would uncover pixels that no person sees (often black, sometimes another picture), and a
  cut-out head on white resembles the passport photos that recognizers know.
- **More than 8 bits.** Values are scaled, never clipped, by the smallest of 8, 10, 12, 14 and 16
  bits that holds the largest of them (``arrays``): both 1023 and 65535 can become 255.
- **Color profiles** are not applied: neither are they in the pictures recognizers learn from.
- **Limits** are checked on the header, before pixels are decoded: bytes, pixels, the memory that
  this kind of picture takes, and the parts of a file that are walked over one by one.

Arrays of three or four channels are RGB unless ``color_order="bgr"`` says otherwise: pictures from
``cv2.imread`` need it.

``names`` says what a text stands for and what sources are called, ``many`` whether a source is one
photo or many; ``find`` searches folders, ``sources`` turns anything into bytes, ``formats`` knows
what they are, ``plain`` and ``tiff`` leave nothing in them but what makes pixels, and ``decode``,
``pnm``, ``pixels`` and ``arrays`` turn them into pixels.
"""

from __future__ import annotations

import hashlib
import os
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from lineament.arguments import checked
from lineament.errors import ImageError, LineamentError, OptionError
from lineament.images.arrays import as_array, is_array
from lineament.images.decode import decode_crop, from_array, from_pillow, open_bytes
from lineament.images.find import (
    IMAGE_SUFFIXES,
    ImageList,
    PassedOver,
    find_images,
    list_images,
    passed_over_in,
)
from lineament.images.formats import PLUGINS, sniff
from lineament.images.limits import DEFAULT_LIMITS, ImageLimits
from lineament.images.many import Many, check_one, expand, is_many
from lineament.images.names import describe_source, path_of, source_name
from lineament.images.sources import read_bytes
from lineament.machine import raise_if_short
from lineament.pyramid import Pyramid
from lineament.text import reason_of
from lineament.types import ColorOrder, Image

__all__ = [
    "DEFAULT_LIMITS",
    "IMAGE_SUFFIXES",
    "ImageLimits",
    "ImageList",
    "ImageSource",
    "Many",
    "PassedOver",
    "check_one",
    "decode_crop",
    "describe_source",
    "expand",
    "find_images",
    "is_many",
    "list_images",
    "load_image",
    "open_image",
    "passed_over_in",
    "path_of",
    "source_name",
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
"""What ``load_image`` reads, apart from tensors and other objects with ``__array__``."""


@checked
def load_image(
    source: ImageSource,
    *,
    color_order: ColorOrder | None = None,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> Image:
    """Read one photo: RGB, uint8, (H, W, 3), contiguous, upright.

    What a ``str`` stands for, path, address or data, is said in ``names``. A file object is read
    from where it stands and left open. A Pillow image is taken at the page where it stands.

    An array or tensor (NumPy, PyTorch, whatever has ``__array__``) is (H, W), (H, W, C) or
    (C, H, W) with 1, 3 or 4 channels, of integers, floats or truth values as ``arrays`` says. One
    that is already contiguous RGB uint8 comes back as it is, not copied. An array of bytes
    (``np.fromfile``, ``cv2.imencode``) is a file.

    Args:
        source: the photo.
        color_order: of an array's channels; None means "rgb". Other sources ignore it.
        limits: on bytes, pixels, memory and seconds.

    Raises:
        ImageNotFoundError: no such file, or the server says so.
        ImageFormatError: empty, not a photo, of another format, broken or cut short.
        ImageTooLargeError: over the limits.
        ImageError: a folder, permission denied, a network failure, an unfit array or object.
        MissingExtraError: HEIC without pillow-heif.
        OptionError: an unknown ``color_order``.
    """
    return open_image(source, color_order=color_order, limits=limits)[0].pixels


def open_image(
    source: ImageSource,
    *,
    color_order: ColorOrder | None = None,
    limits: ImageLimits = DEFAULT_LIMITS,
    digest: bool = False,
) -> tuple[Pyramid, bytes | None]:
    """``load_image``, but a JPEG is not decoded yet: what is broken in its scans shows later.

    Returns:
        The photo's levels (``lineament.pyramid``), and the SHA-256 of the file's bytes, or of the
        array, if ``digest`` asks for it.

    Raises:
        LineamentError: as ``load_image``.
    """
    if color_order not in (None, "rgb", "bgr"):
        raise OptionError(f'expected "rgb" or "bgr", got {color_order!r}', option="color_order")
    name = describe_source(source)
    if isinstance(source, PILImage.Image):
        pixels = from_pillow(source, name, limits)
        return Pyramid.of(pixels), _sha256(np.asarray(source)) if digest else None
    try:
        if is_array(source):
            array = as_array(source)
            if not _is_file(array):
                pixels = from_array(array, color_order, name, limits)
                return Pyramid.of(pixels), _sha256(array) if digest else None
            source = np.ascontiguousarray(array).data
        data = read_bytes(source, name, limits)
    except LineamentError:
        raise
    except Exception as error:  # an object's own
        raise_if_short(error, f"to read {name}")
        raise ImageError(f"{name}: cannot be read ({reason_of(error)}); convert it") from error
    return open_bytes(data, name, limits), hashlib.sha256(data).digest() if digest else None


def _is_file(array: npt.NDArray[Any]) -> bool:
    """Whether these are the bytes of a file."""
    is_row = array.ndim in (1, 2) and array.size == array.shape[0]
    return is_row and array.dtype == np.uint8 and sniff(array[:512].tobytes()) in PLUGINS


def _sha256(array: npt.NDArray[Any]) -> bytes:
    sha256 = hashlib.sha256(f"{array.shape} {array.dtype}".encode())
    step = max(1, (1 << 20) * len(array) // max(1, array.nbytes))
    for top in range(0, len(array), step):
        sha256.update(np.ascontiguousarray(array[top : top + step]).data)
    return sha256.digest()

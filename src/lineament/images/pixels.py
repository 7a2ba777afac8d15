"""Stage 1: decoded pictures and arrays -> RGB, uint8, (H, W, 3), a few rows at a time.

Whatever has to be done to pixels - scaled to 8 bits, looked up in a palette, laid over white,
turned - is done to strips that stay in the processor's cache: faster than one step after the other
over the whole picture, and no copy of it is made but the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from lineament.images.arrays import bits_in, bits_of, to_uint8
from lineament.types import ColorOrder, Image

STRIP_PIXELS = 2**16

TURNED_ROWS = 256
"""Rows of a strip that becomes columns: so many pixels are written one beside the other."""

_Strip = Callable[[PILImage.Image], npt.NDArray[np.uint8]]


def rows_at_once(width: int) -> int:
    """How many rows of that width are a strip."""
    return max(1, STRIP_PIXELS // width)


def from_decoded(image: PILImage.Image, orientation: int = 1) -> Image:
    """The pixels of a Pillow image that is loaded, the right way up.

    Args:
        image: of any mode.
        orientation: EXIF's, 1 to 8; others are taken for 1.

    Raises:
        ImageFormatError: values of more than 8 bits that mean nothing known.
    """
    width, height = image.size
    convert = _conversion(image)
    upright = (width, height, 3) if 5 <= orientation <= 8 else (height, width, 3)
    pixels = np.empty(upright, np.uint8)
    rows = as_stored(pixels, orientation)
    top = 0
    for strip in _strips(
        image, at_least=min(TURNED_ROWS, 2**22 // width) if 5 <= orientation <= 8 else 1
    ):
        rows[top : top + strip.height] = convert(strip)
        top += strip.height
    return pixels


def as_stored(pixels: Image, orientation: int) -> npt.NDArray[np.uint8]:
    """A view of upright pixels in which they lie as they do in a file (EXIF 2.32, tag 0x0112).

    Args:
        pixels: (H, W, ...), upright.
        orientation: EXIF's, 1 to 8; others are taken for 1.
    """
    if 5 <= orientation <= 8:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels


def _strips(image: PILImage.Image, at_least: int = 1) -> Iterator[PILImage.Image]:
    width, height = image.size
    step = max(rows_at_once(width), at_least)
    if step >= height:
        yield image
        return
    for top in range(0, height, step):
        yield image.crop((0, top, width, min(top + step, height)))


def _conversion(image: PILImage.Image) -> _Strip:
    """What makes strips of an image RGB, or gray of one channel."""
    mode, clear = image.mode, "transparency" in image.info
    if mode in ("RGB", "L") and not clear:
        return _plain
    if mode[0] in "IF":  # 16 or 32 bits, which Pillow's own conversion clips at 255
        ends = [_ends(strip) for strip in _strips(image)]
        kind = np.asarray(image.crop((0, 0, 1, 1))).dtype
        lows, highs = zip(*ends, strict=True)
        bits = bits_of(kind, float(np.min(lows)), float(np.max(highs)))  # of NaN: NaN
        return lambda strip: to_uint8(np.asarray(strip), bits)[..., None]
    if mode == "LAB":
        return _from_lab()
    return over_white if mode[-1] in "Aa" or clear else _converted


def _ends(strip: PILImage.Image) -> tuple[float, float]:
    values = np.asarray(strip)
    return float(values.min()), float(values.max())


def _plain(strip: PILImage.Image) -> Image:
    values = np.asarray(strip)
    return values[..., None] if values.ndim == 2 else values


def _converted(strip: PILImage.Image) -> Image:
    return np.asarray(strip.convert("RGB"))


def over_white(strip: PILImage.Image) -> Image:
    """A picture with clear pixels as RGB, as a viewer shows it."""
    clear = (strip.convert("LA") if strip.mode == "La" else strip).convert("RGBA")
    if clear.getchannel("A").getextrema() != (255, 255):
        white = PILImage.new("RGBA", clear.size, "white")
        clear = PILImage.alpha_composite(white, clear)
    return np.asarray(clear.convert("RGB"))


def _from_lab() -> _Strip:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")

    def convert(strip: PILImage.Image) -> Image:
        converted = ImageCms.applyTransform(strip, transform)
        assert converted is not None
        return np.asarray(converted)

    return convert


def from_values(array: npt.NDArray[Any], color_order: ColorOrder | None) -> Image:
    """The pixels of an array of channels last, (H, W) or (H, W, 1, 3 or 4), at least one.

    RGB of uint8 comes back as it is where it is contiguous.

    Raises:
        ImageFormatError: values that mean nothing known.
    """
    height, width = array.shape[:2]
    channels = 1 if array.ndim == 2 else array.shape[2]
    bits = None if array.dtype == np.uint8 else bits_in(array)
    order = [2, 1, 0, 3][:channels] if color_order == "bgr" and channels > 1 else None
    if bits is None and channels == 3 and order is None:
        return cast("Image", np.ascontiguousarray(array))
    pixels = np.empty((height, width, 3), np.uint8)
    step = rows_at_once(width)
    for top in range(0, height, step):
        strip = to_uint8(array[top : top + step], bits).reshape(-1, width, channels)
        if order is not None:
            strip = strip[:, :, order]
        if channels == 4:
            strip = over_white(PILImage.fromarray(np.ascontiguousarray(strip)))
        pixels[top : top + step] = strip
    return pixels

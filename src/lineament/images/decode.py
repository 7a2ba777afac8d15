"""Stage 1, second half: bytes, Pillow images and arrays -> RGB, uint8, (H, W, 3).

Pillow alone decodes. For a 250 x 250 JPEG OpenCV needs about 0.1 ms less and gives the same pixels,
but it accepts a JPEG that was cut short and writes about it to stderr.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
    LineamentError,
    MissingExtraError,
)
from lineament.images.arrays import CHANNELS, to_uint8
from lineament.images.formats import PLUGINS, sniff
from lineament.images.limits import ImageLimits
from lineament.images.tiff import photo_in
from lineament.machine import memory_error
from lineament.text import reason_of
from lineament.types import ColorOrder, Image

_PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}

_TURNS = {  # EXIF orientation: what makes it upright
    2: PILImage.Transpose.FLIP_LEFT_RIGHT,
    3: PILImage.Transpose.ROTATE_180,
    4: PILImage.Transpose.FLIP_TOP_BOTTOM,
    5: PILImage.Transpose.TRANSPOSE,
    6: PILImage.Transpose.ROTATE_270,
    7: PILImage.Transpose.TRANSVERSE,
    8: PILImage.Transpose.ROTATE_90,
}


before_decoding: ContextVar[Callable[[int], None] | None] = ContextVar(
    "before_decoding", default=None
)
"""Called with the number of a photo's pixels before they are decoded; may wait until there is room
for them. A GIF calls it twice."""


def decode_bytes(data: bytes, name: str, limits: ImageLimits) -> Image:
    """Decode a file's bytes; ``name`` is for messages."""
    if not data:
        raise ImageFormatError(f"{name}: expected a photo, got nothing (0 bytes); copy it anew")
    kind = sniff(data)
    if kind not in PLUGINS:
        raise ImageFormatError(
            f"{name}: expected a photo ({', '.join(PLUGINS)}), got {kind}; save it as JPEG or PNG"
        )
    if kind == "GIF":
        _check_pixels(_gif_size_wh(data), kind, name, limits)
    try:
        plugin = _plugin(kind)
    except ImportError as error:
        if kind == "HEIC":
            raise MissingExtraError("reading HEIC photos", "heif") from error
        raise ImageFormatError(f"{name}: this Pillow reads no {kind}; update Pillow") from error
    with _translated(kind, name):
        orientation = None
        if kind == "TIFF":
            data, orientation = photo_in(data)
        elif kind == "PNG":
            data = _plain_png(data)
        image = plugin(io.BytesIO(data))
        _check_pixels(image.size, kind, name, limits)
        if kind == "JPEG":
            _refuse_damaged_jpeg(image, data)
        return _upright(image, orientation, data)


def from_pillow(image: PILImage.Image, name: str, limits: ImageLimits) -> Image:
    """Check and convert a Pillow image, which may be a file that is not decoded yet."""
    kind = "Pillow" if image.format is None else image.format
    with _translated(kind, name):
        _check_pixels(image.size, kind, name, limits)
        return _upright(image)


@contextlib.contextmanager
def _translated(kind: str, name: str) -> Iterator[None]:
    """Everything that Pillow raises, as ours."""
    try:
        yield
    except ImageFormatError as error:  # of the values, or of the pages
        raise ImageFormatError(f"{name}: {error}") from error
    except LineamentError:
        raise
    except (PILImage.DecompressionBombError, PILImage.DecompressionBombWarning) as e:
        raise ImageTooLargeError(
            f"{name}: decoding needs too much memory ({e}); make the photo smaller"
        ) from e
    except Exception as error:  # decoders raise anything: SyntaxError, KeyError, struct.error, ...
        short = memory_error(error, f"to decode {name}")
        if short is not None:
            raise short from error
        raise ImageFormatError(
            f"{name}: the {kind} image is broken or cut short ({reason_of(error)}); copy, download "
            "or export it again"
        ) from error


@functools.cache
def _plugin(kind: str) -> Callable[[io.BytesIO], PILImage.Image]:
    module, class_name = PLUGINS[kind]
    plugin = getattr(importlib.import_module(module), class_name)
    if kind == "JPEG":
        # Pillow parses the EXIF for the resolution as it opens the file, and warns of any damage.
        plugin = type(class_name, (plugin,), {"_read_dpi_from_exif": lambda self: None})
    return cast("Callable[[io.BytesIO], PILImage.Image]", plugin)


def _plain_png(data: bytes) -> bytes:
    """Only the chunks that make pixels, their checksums checked.

    Pillow loads pixels whose checksum is wrong, and inflates every text and profile (2 s a MiB).
    """
    view = memoryview(data)
    parts, at, kind = [view[:8]], 8, b""
    while kind != b"IEND":
        if at + 12 > len(data):
            raise ValueError("it has no end")
        end = at + 12 + int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        if kind in _PNG_CHUNKS:
            if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
                raise ValueError(f"wrong checksum of {kind.decode()}")
            parts.append(view[at:end])
        at = end
    return b"".join(parts)


def _refuse_damaged_jpeg(image: Any, data: bytes) -> None:
    """Damage for which libjpeg would fill in gray without a word."""
    if data.find(b"\xff\xd9", image.fp.tell()) < 0:  # a partial download, padded with zeros
        raise ValueError("it has no end")
    if image.width * image.height > 512 * len(data):  # a Huffman code per 8 x 8 pixels: >= 1 bit
        raise ValueError(f"{image.width} x {image.height} pixels cannot come from so few bytes")


def _gif_size_wh(data: bytes) -> tuple[int, int]:
    """The canvas, grown to hold the first frame.

    Pillow allocates the frame, and warns of its size, while it opens the file: too early for the
    check that ``from_pillow`` makes.
    """
    try:
        width, height, flags = struct.unpack_from("<HHB", data, 6)
        at = 13 + (6 << (flags & 7) if flags & 0x80 else 0)
        while data[at] not in b",;":
            if data[at] == 0x21:  # an extension: its label, then blocks until an empty one
                at += 2
                while data[at]:
                    at += 1 + data[at]
            at += 1
        x, y, frame_width, frame_height = struct.unpack_from("<4H", data, at + 1)
        return max(width, x + frame_width), max(height, y + frame_height)
    except (IndexError, struct.error):
        return 0, 0  # cut short: the decoder will say so


def _check_pixels(size_wh: tuple[int, int], kind: str, name: str, limits: ImageLimits) -> None:
    limit = limits.max_pixels
    if kind in ("GIF", "TIFF") and PILImage.MAX_IMAGE_PIXELS is not None:
        limit = min(limit, PILImage.MAX_IMAGE_PIXELS)
    if size_wh[0] * size_wh[1] > limit:
        raise ImageTooLargeError(
            f"{name}: expected at most {limit:,} pixels, got {size_wh[0]} x {size_wh[1]}",
            hint="; make the photo smaller{or_max_pixels}",
        )
    wait = before_decoding.get()
    if wait is not None:
        wait(size_wh[0] * size_wh[1])


def _upright(
    image: PILImage.Image, orientation: int | None = None, data: bytes | None = None
) -> Image:
    """RGB pixels, turned as EXIF says.

    Args:
        image: not loaded yet, if it is a file's.
        orientation: in place of the image's own.
        data: the file's bytes, for what Pillow cannot decode in full.
    """
    is_deep = _has_deep_colors(image)
    stated = _orientation(image) if orientation is None else orientation
    image.load()
    turn = _TURNS.get(_orientation(image) if orientation is None else orientation)
    if is_deep and max(high for _, high in _extrema(image)) < _DARK:
        image = _deep_colors(image, data)
        turn = _TURNS.get(stated)
    image = _to_rgb(image)
    return _pixels(image if turn is None else image.transpose(turn))


_DARK = 65
"""Of 255: brighter pixels of 16-bit colors need all 16 bits."""


def _has_deep_colors(image: Any) -> bool:
    """Whether Pillow would keep the high byte of colors of 16 bits, and no more."""
    if len(image.mode) < 2 or image.mode[0] in "IF":  # gray, which it decodes in full
        return False
    tiles = [str(tile[3]) for tile in getattr(image, "tile", ())]
    return any(";16" in tile or tile.endswith(" 65535)") for tile in tiles)


def _extrema(image: PILImage.Image) -> list[tuple[int, int]]:
    return cast("list[tuple[int, int]]", list(image.getextrema()))


def _deep_colors(image: PILImage.Image, data: bytes | None) -> PILImage.Image:
    """Colors of 8 to 14 bits in 16, whose high byte is next to black: decoded by OpenCV."""
    import cv2

    decoded = None
    if data is not None:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    sizes = (image.size[::-1], image.size)  # Pillow may have turned it
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        raise ImageFormatError("got colors of 16 bits that use fewer of them; save it with 8 bits")
    assert decoded.shape[:2] in sizes
    values = to_uint8(decoded)
    order = [2, 1, 0, 3][: values.shape[2]]
    return PILImage.fromarray(np.ascontiguousarray(values[:, :, order]))


def _orientation(image: PILImage.Image) -> int:
    """EXIF's orientation, 1 to 8 (EXIF 2.32, tag 0x0112, in the first directory).

    Read here because Pillow's ``getexif`` warns about, and fails on, damage elsewhere in the EXIF.
    """
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        tags = getattr(image, "tag_v2", {})  # of a TIFF; the tag is gone if Pillow has turned it
        return cast(int, tags.get(0x0112, 1))
    exif = exif.removeprefix(b"Exif\0\0")
    order = ">" if exif.startswith(b"MM") else "<"
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for at in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, at)
            if tag == 0x0112:
                return int(struct.unpack_from(order + ("I" if kind == 4 else "H"), exif, at + 8)[0])
    except struct.error:
        pass  # damaged EXIF is no reason to refuse the photo
    return 1


def _to_rgb(image: PILImage.Image) -> PILImage.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode[0] in "IF":  # 16 or 32 bits, which Pillow's own conversion clips at 255
        image = PILImage.fromarray(to_uint8(np.asarray(image)))
    elif image.mode == "LAB":
        return _from_lab(image)
    elif image.mode[-1] in "Aa" or "transparency" in image.info:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            white = PILImage.new("RGBA", image.size, "white")
            image = PILImage.alpha_composite(white, image)
    return image.convert("RGB")


def _from_lab(image: PILImage.Image) -> PILImage.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def _pixels(image: PILImage.Image) -> Image:
    """By strips that stay in the cache: np.array needs four times as long for 12 megapixels."""
    width, height = image.size
    rows = max(1, 2**16 // width)
    if rows >= height:
        return np.array(image)
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return pixels


def from_array(array: npt.NDArray[Any], color_order: ColorOrder | None, name: str) -> Image:
    """Check and convert an array of channels last, as ``load_image`` describes."""
    shape = array.shape
    if array.ndim == 4:
        raise ImageError(
            f"{name}: expected one photo, got a batch; give it to a method that takes many, such "
            "as detect, or take one of it"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in CHANNELS):
        raise ImageError(
            f"{name}: expected (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels; give one "
            "gray, RGB or RGBA photo"
        )
    if array.size == 0:
        raise ImageError(f"{name}: expected at least one pixel; check the crop that made it")
    try:
        pixels = to_uint8(array)
    except ImageFormatError as error:
        raise ImageError(f"{name}: {error}") from error
    channels = 1 if array.ndim == 2 else shape[2]
    if channels == 1:
        return np.repeat(pixels.reshape(*shape[:2], 1), 3, axis=2)
    if color_order == "bgr":
        pixels = pixels[:, :, [2, 1, 0, 3][:channels]]
    if channels == 4:
        return _pixels(_to_rgb(PILImage.fromarray(np.ascontiguousarray(pixels))))
    return np.ascontiguousarray(pixels)

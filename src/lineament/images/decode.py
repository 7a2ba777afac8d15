"""Stage 1, second half: bytes, Pillow images and arrays -> RGB, uint8, (H, W, 3).

Nothing else in the package opens the bytes of a picture. What they cost is known before pixels are
decoded: ``plain`` and ``tiff`` count the parts of a file and leave out those that make no pixels,
and ``_check_cost`` counts the bytes that its kind of pixels will take.

JPEGs are not decoded until somebody asks for pixels, and then at the scale that serves: see
``lineament.pyramid``.

Pillow alone decodes. For a 250 x 250 JPEG OpenCV needs about 0.1 ms less and gives the same pixels,
but it accepts a JPEG that was cut short and writes about it to stderr. PNM files are read here.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import ImageFile

from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
    LineamentError,
    MissingExtraError,
)
from lineament.images.arrays import CHANNELS, bits_in, to_uint8
from lineament.images.boxes import Boxes
from lineament.images.formats import PLUGINS, sniff
from lineament.images.limits import DEFAULT_LIMITS, ImageLimits
from lineament.images.pixels import (
    as_stored,
    from_decoded,
    from_values,
    over_white,
    rows_at_once,
)
from lineament.images.plain import (
    Plain,
    exif_orientation,
    plain_gif,
    plain_jpeg,
    plain_png,
    plain_webp,
)
from lineament.images.pnm import Pnm
from lineament.images.tiff import photo_in
from lineament.machine import memory_error, raise_if_short
from lineament.pyramid import Level, Pyramid
from lineament.text import reason_of
from lineament.types import ColorOrder, Image

MOST_SIDE_PX = 65_535
"""Width and height: of a picture 1 pixel wide and 120 million high the rows alone, which Pillow
keeps a pointer to and rounds up, take gigabytes."""

MOST_CROP_PX = 1024
"""Width and height of a crop; the largest that an alignment here makes is 224."""

MOST_RLE_PIXELS = 16_000_000
MOST_RLE_BYTES = 4 << 20
"""Of a BMP whose rows are run lengths, which Pillow reads in Python: 0.1 us a pixel."""

_PREPARE: dict[str, Callable[[bytes], Plain]] = {
    "JPEG": plain_jpeg,
    "PNG": plain_png,
    "GIF": plain_gif,
    "WebP": plain_webp,
    "TIFF": photo_in,
}

_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
"""Bytes of a pixel in Pillow's memory, by its mode; of all others 4."""

_RESULT = 3
"""Bytes of a pixel that is returned."""

_WEBP = 12.0
"""Bytes of a pixel that libwebp holds beside Pillow's picture: two canvases and a frame."""

_PLANES = {"HEIC": 2, "AVIF": 4}
"""How many times decoders hold each value of a pixel beside Pillow's picture, as measured: planes,
and the colors that are made of them."""

_AV1_FLAGS = re.compile(rb"av1C..(.)", re.DOTALL)

_OURS = frozenset({"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF"}) | {
    "HEIF"
}
"""What Pillow calls the formats that are read."""

before_decoding: ContextVar[Callable[[int, int], None] | None] = ContextVar(
    "before_decoding", default=None
)
"""Called before a photo is decoded with the number of its pixels and of the bytes that decoding
takes; may wait until there is room for them."""


def decode_bytes(data: bytes, name: str, limits: ImageLimits) -> Image:
    """Decode a file's bytes; ``name`` is for messages."""
    return open_bytes(data, name, limits).pixels


def open_bytes(data: bytes, name: str, limits: ImageLimits) -> Pyramid:
    """Check a file's bytes against the limits; JPEGs are decoded later, as far as they are needed.

    What decoding costs is counted for the photo in full, whatever is decoded of it.
    """
    if not data:
        raise ImageFormatError(f"{name}: expected a photo, got nothing (0 bytes); copy it anew")
    kind = sniff(data)
    if kind not in PLUGINS:
        raise ImageFormatError(
            f"{name}: expected a photo ({', '.join(PLUGINS)}), got {kind}; save it as JPEG or PNG"
        )
    with _translated(kind, name):
        if kind == "PNM":
            pnm = Pnm(data)
            _check_cost(pnm.size_wh, kind, _RESULT, limits)
            return Pyramid.of(pnm.pixels())
        plain = _PREPARE[kind](data) if kind in _PREPARE else Plain(data)
        frames_wh = Boxes(data).frames_wh if kind in _PLANES else ()
        if plain.size_wh is not None:  # before Pillow is asked, which may take the memory at once
            _check_size(plain.size_wh, kind, limits)
        if plain.flaw:
            raise ValueError(plain.flaw)
        try:
            plugin = _plugin(kind)
        except ImportError as error:
            if kind == "HEIC":
                raise MissingExtraError("reading HEIC photos", "heif") from error
            raise ImageFormatError(f"this Pillow reads no {kind}; update Pillow") from error
        if kind == "WebP":
            assert plain.size_wh is not None
            _check_cost(plain.size_wh, kind, _WEBP + 4, limits)
        with plugin(io.BytesIO(plain.data)) as image:
            if kind == "BMP":
                _check_run_lengths(image, data)
            held = _held(kind, image, data) if kind in _PLANES else plain.held_bytes
            for size_wh in frames_wh:
                _check_cost(size_wh, kind, _needed(image.mode, held), limits, wait=False)
            if kind != "WebP":
                _check_cost(image.size, kind, _needed(image.mode, held), limits)
            if kind == "JPEG":
                return _jpeg(image.size, plain, name, limits)
            return Pyramid.of(_upright(image, plain, limits))


def to_srgb(pixels: Image, data: bytes) -> Image:
    """Apply the color profile of a file, so that its colors hold without it.

    Args:
        pixels: (H, W, 3) uint8, decoded from ``data``.
        data: the file's bytes, which ``open_bytes`` has taken.

    Returns:
        The pixels in sRGB. They come back as they are where the file has no profile of RGB colors,
        one that is damaged, or that of sRGB itself.
    """
    from PIL import ImageCms

    kind = sniff(data)
    if kind not in PLUGINS or kind == "PNM":
        return pixels
    try:
        with _plugin(kind)(io.BytesIO(data)) as image:
            held = image.info.get("icc_profile")
        if not isinstance(held, bytes) or held[16:20] != b"RGB ":
            return pixels
        profile = ImageCms.ImageCmsProfile(io.BytesIO(held))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return pixels
        turned = ImageCms.profileToProfile(
            PILImage.fromarray(pixels), profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except Exception as error:  # of Pillow's readers and of LittleCMS
        raise_if_short(error, "to apply a color profile")
        return pixels
    return pixels if turned is None else np.asarray(turned, np.uint8)


def _jpeg(size_wh: tuple[int, int], plain: Plain, name: str, limits: ImageLimits) -> Pyramid:
    """A JPEG that is decoded when pixels are asked for; ``size_wh``: as it is stored."""
    turn = 1 if plain.orientation is None else plain.orientation
    width, height = size_wh

    def decode(reduction: int) -> Level:
        with _translated("JPEG", name), _plugin("JPEG")(io.BytesIO(plain.data)) as image:
            if reduction > 1:
                wanted_wh = max(1, width // reduction), max(1, height // reduction)
                cast("ImageFile.ImageFile", image).draft(None, wanted_wh)
                if image.size != (-(-width // reduction), -(-height // reduction)):
                    raise ValueError(f"its decoder does not reduce it by {reduction}")
            pixels = _upright(image, plain, limits)
        # Blocks that reach past the photo do so at the right and below as it is stored.
        past_x, past_y = -width % reduction, -height % reduction
        across = -past_x if turn in (2, 3, 7, 8) else 0
        down = -past_y if turn in (3, 4, 6, 7) else 0
        return Level(pixels, reduction, (down, across) if 5 <= turn <= 8 else (across, down))

    return Pyramid((height, width) if 5 <= turn <= 8 else (width, height), decode)


def decode_crop(png: bytes, name: str, size_wh: tuple[int, int] | None = None) -> Image:
    """Decode the crop of a face that a gallery or an export holds: a PNG and nothing else.

    Args:
        png: the file's bytes; they may come from anybody.
        name: what to call it in messages.
        size_wh: width and height that it has to have; None takes up to ``MOST_CROP_PX``.

    Returns:
        RGB (H, W, 3).

    Raises:
        ImageFormatError: no PNG, a damaged one, or of another size.
    """
    kind = sniff(png) if png else "nothing"
    if kind != "PNG":
        raise ImageFormatError(f"{name}: expected the crop of a face as PNG, got {kind}")
    with _translated(kind, name):
        width, height = plain_png(png).size_wh or (0, 0)
        if size_wh is not None and (width, height) != tuple(size_wh):
            raise ImageFormatError(
                f"expected a crop of {size_wh[0]} x {size_wh[1]} pixels, got {width} x {height}"
            )
        if not 0 < max(width, height) <= MOST_CROP_PX:
            raise ImageFormatError(
                f"expected a crop of at most {MOST_CROP_PX} x {MOST_CROP_PX} pixels, got "
                f"{width} x {height}"
            )
    return decode_bytes(png, name, DEFAULT_LIMITS)


def from_pillow(image: PILImage.Image, name: str, limits: ImageLimits) -> Image:
    """Check and convert a Pillow image, which may be a file that is not decoded yet.

    Such a file is taken only if it is of the formats that are read: Pillow starts programs for
    some of the others.
    """
    kind = "Pillow" if image.format is None else image.format
    with _translated(kind, name):
        held = 0.0
        if isinstance(image, ImageFile.ImageFile) and (image.tile or image._im is None):
            if kind not in _OURS or type(image).__module__ not in _MODULES:
                raise ImageFormatError(
                    f"expected a photo ({', '.join(PLUGINS)}), got a file of Pillow's kind {kind} "
                    "that is not decoded yet; decode it first if you trust it"
                )
            held = _check_file(image, limits)
        _check_cost(image.size, kind, _needed(image.mode, held), limits)
        return _upright(image, Plain(b""), limits)


_MODULES = {module for module, _ in PLUGINS.values()} | {
    "PIL.MpoImagePlugin",
    "pillow_heif.as_plugin",
}


def _check_file(image: ImageFile.ImageFile, limits: ImageLimits) -> float:
    """Look at the file behind a Pillow image as ``decode_bytes`` would; what its decoder holds."""
    file = image.fp
    if file is None:
        return _held("HEIC", image, b"")
    place = file.tell()
    file.seek(0)
    try:
        data = file.read(limits.max_bytes + 1)
    finally:
        file.seek(place)
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(
            f"expected at most {limits.max_bytes:,} bytes, got more",
            hint="; make the photo smaller{or_max_bytes}",
        )
    kind = sniff(data)
    if kind in _PLANES:
        for size_wh in Boxes(data).frames_wh:
            _check_cost(size_wh, kind, 4, limits, wait=False)
    if kind == "BMP":
        _check_run_lengths(image, data)
    elif kind == "PNM" and image.tile and "ppm" in image.tile[0][0]:
        _check_rle(image.size, len(data))
    plain = _PREPARE[kind](data) if kind in _PREPARE else Plain(b"")
    if kind in _PLANES:
        return _held(kind, image, data)
    return _WEBP if kind == "WebP" else plain.held_bytes


@contextlib.contextmanager
def _translated(kind: str, name: str) -> Iterator[None]:
    """Everything that Pillow raises, as ours."""
    try:
        yield
    except (ImageFormatError, ImageTooLargeError) as error:
        raise type(error)(f"{name}: {error.message}", hint=error._hint) from error
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


def _held(kind: str, image: Any, data: bytes) -> float:
    """Bytes of a pixel that the decoder of a HEIC or AVIF holds beside Pillow's picture."""
    bits = image.info.get("bit_depth")  # pillow-heif says it
    if bits is None:  # of AVIF: in its configuration (AV1 in ISOBMFF, 2.3.3)
        flags = _AV1_FLAGS.findall(data, 0, 1 << 20)
        bits = 12 if not flags or any(flag[0] & 0x40 for flag in flags) else 8
    each = _PLANES[kind] * (1 if bits <= 8 else 2)
    return float(each * (4 if image.mode in ("RGBA", "RGBa", "LA") else 3) + 1)


def _needed(mode: str, held: float) -> float:
    """Bytes of a pixel: while it is decoded, or while the result is made."""
    stored = _STORED.get(mode, 4)
    return stored + max(held, _RESULT)


def _check_size(size_wh: tuple[int, int], kind: str, limits: ImageLimits) -> None:
    limit = limits.max_pixels
    if kind in ("GIF", "TIFF") and PILImage.MAX_IMAGE_PIXELS is not None:
        limit = min(limit, PILImage.MAX_IMAGE_PIXELS)
    if size_wh[0] * size_wh[1] > limit:
        raise ImageTooLargeError(
            f"expected at most {limit:,} pixels, got {size_wh[0]} x {size_wh[1]}",
            hint="; make the photo smaller{or_max_pixels}",
        )
    if max(size_wh) > MOST_SIDE_PX:
        raise ImageTooLargeError(
            f"expected at most {MOST_SIDE_PX:,} pixels wide and high, got {size_wh[0]} x "
            f"{size_wh[1]}",
            hint="; cut it into parts",
        )


def _check_cost(
    size_wh: tuple[int, int],
    kind: str,
    bytes_per_pixel: float,
    limits: ImageLimits,
    *,
    wait: bool = True,
) -> None:
    """Refuse what takes too many pixels or too much memory; then wait for one's turn."""
    _check_size(size_wh, kind, limits)
    pixels = size_wh[0] * size_wh[1]
    needed = round(pixels * bytes_per_pixel)
    if needed > limits.max_memory:
        most = int(limits.max_memory / bytes_per_pixel)
        raise ImageTooLargeError(
            f"expected at most {most:,} pixels of this kind ({bytes_per_pixel:.3g} bytes each "
            f"while they are decoded), got {size_wh[0]} x {size_wh[1]}",
            hint="; make the photo smaller, save it as an ordinary JPEG{or_max_memory}",
        )
    called = before_decoding.get()
    if wait and called is not None:
        called(pixels, needed)


def _check_run_lengths(image: Any, data: bytes) -> None:
    if any(str(tile[0]) == "bmp_rle" for tile in image.tile):
        _check_rle(image.size, len(data))


def _check_rle(size_wh: tuple[int, int], n_bytes: int) -> None:
    if size_wh[0] * size_wh[1] > MOST_RLE_PIXELS or n_bytes > MOST_RLE_BYTES:
        raise ImageTooLargeError(
            f"expected at most {MOST_RLE_PIXELS:,} pixels and {MOST_RLE_BYTES:,} bytes of this "
            f"kind, got {size_wh[0]} x {size_wh[1]} in {n_bytes:,} bytes",
            hint="; save it as PNG",
        )


def _upright(image: PILImage.Image, plain: Plain, limits: ImageLimits) -> Image:
    """RGB pixels, turned as EXIF says.

    Args:
        image: not loaded yet, if it is a file's.
        plain: the file, for its orientation, and for what Pillow cannot decode in full.
        limits: on memory.
    """
    is_deep = _has_deep_colors(image)
    image.load()
    orientation = _orientation(image) if plain.orientation is None else plain.orientation
    if plain.data:
        _let_go(image)
    if is_deep and max(high for _, high in _extrema(image)) < _DARK:
        size_wh, bands = image.size, len(image.getbands())
        if plain.data:
            image.close()
            _check_cost(
                size_wh, "colors of 16 bits", 2 * bands + max(_RESULT, plain.held_bytes), limits
            )
        return _deep_colors(plain.data, size_wh, orientation)
    return from_decoded(image, orientation)


def _let_go(image: Any) -> None:
    """Drop what a decoder holds beside the picture: of libwebp twice as much as that."""
    for held in ("_decoder", "_heif_file", "fp"):
        if getattr(image, held, None) is not None:
            setattr(image, held, None)


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


def _deep_colors(data: bytes, size_wh: tuple[int, int], orientation: int) -> Image:
    """Colors of 8 to 14 bits in 16, whose high byte is next to black: decoded by OpenCV.

    Args:
        data: a file that Pillow has decoded; empty when there is none.
        size_wh: of its pixels.
        orientation: EXIF's.
    """
    import cv2

    decoded = None
    if data:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.dtype != np.uint16 or decoded.ndim != 3:
        raise ImageFormatError("got colors of 16 bits that use fewer of them; save it with 8 bits")
    assert decoded.shape[:2] == size_wh[::-1]
    bits = bits_in(decoded)
    height, width, bands = decoded.shape
    sideways = 5 <= orientation <= 8
    pixels = np.empty((width, height, 3) if sideways else (height, width, 3), np.uint8)
    rows = as_stored(pixels, orientation)
    step = rows_at_once(width)
    for top in range(0, height, step):
        strip = to_uint8(decoded[top : top + step], bits)[:, :, [2, 1, 0, 3][:bands]]
        if bands == 4:
            strip = over_white(PILImage.fromarray(np.ascontiguousarray(strip)))
        rows[top : top + step] = strip
    return pixels


def _orientation(image: PILImage.Image) -> int:
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        return exif_orientation(exif)
    tags = getattr(image, "tag_v2", {})  # of a TIFF; the tag is gone if Pillow has turned it
    return cast(int, tags.get(0x0112, 1))


def from_array(
    array: npt.NDArray[Any], color_order: ColorOrder | None, name: str, limits: ImageLimits
) -> Image:
    """Check and convert an array of channels last, as ``load_image`` describes."""
    if array.ndim == 4:
        raise ImageError(
            f"{name}: expected one photo, got a batch; give it to a method that takes many, such "
            "as detect, or take one of it"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in CHANNELS):
        raise ImageError(
            f"{name}: expected (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels; give one "
            "gray, RGB or RGBA photo"
        )
    if array.size == 0:
        raise ImageError(f"{name}: expected at least one pixel; check the crop that made it")
    with _translated("array", name):
        try:
            if array.dtype.kind not in "uifb":
                bits_in(array)  # says what it is
            _check_cost((array.shape[1], array.shape[0]), "array", _RESULT, limits)
            return from_values(array, color_order)
        except ImageFormatError as error:
            raise ImageError(f"{name}: {error.message}") from error

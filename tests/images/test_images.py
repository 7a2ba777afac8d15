from __future__ import annotations

import base64
import glob
import importlib.util
import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    ImageTooLargeError,
    LineamentError,
    MissingExtraError,
    OptionError,
    OutOfMemoryError,
)
from lineament.images import (
    DEFAULT_LIMITS,
    IMAGE_SUFFIXES,
    ImageLimits,
    describe_source,
    expand,
    find_images,
    is_many,
    list_images,
    load_image,
    source_name,
)
from lineament.images import decode as decode_module

ROOT = Path(__file__).parents[2]
needs_avif = pytest.mark.skipif(
    importlib.util.find_spec("PIL._avif") is None, reason="this Pillow reads no AVIF"
)
needs_heif = pytest.mark.skipif(
    importlib.util.find_spec("pillow_heif") is None, reason="needs pillow-heif"
)

WIDTH, HEIGHT = 48, 32
_rows, _columns = np.mgrid[0:HEIGHT, 0:WIDTH]
PIXELS = np.stack([_columns * 5, _rows * 8, (_rows * 3 + _columns * 2) % 256], axis=2).astype(
    np.uint8
)  # smooth, and different under every turn and mirroring
ALPHA = np.clip(_columns * 6, 0, 255).astype(np.uint8)  # from clear to opaque
GRAY16 = (_rows * 2000 + _columns * 70).astype(np.uint16)


def encode(picture: PILImage.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = PILImage.fromarray(picture)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def encode_heic(picture: np.ndarray, **options: Any) -> bytes:
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(PILImage.fromarray(picture)).save(file, quality=95, **options)
    return file.getvalue()


def data_uri(data: bytes, media: str = "image/png") -> str:
    return f"data:{media};base64,{base64.b64encode(data).decode()}"


def png(width: int, height: int, depth: int, color: int, raw: bytes) -> bytes:
    """A PNG made by hand: Pillow cannot write 16-bit RGB, nor lie about the size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b""))
    )


def exif_with(orientation: int, order: str = ">", kind: int = 3, entries: int = 1) -> bytes:
    """An EXIF block made by hand, as cameras write it; ``entries`` may lie."""
    mark = b"MM" if order == ">" else b"II"
    value = struct.pack(order + ("I" if kind == 4 else "Hxx"), orientation)
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return b"Exif\0\0" + mark + struct.pack(order + "HIH", 42, 8, entries) + entry + bytes(4)


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255.0
    return rgb * share + 255.0 * (1 - share)


PNG = encode(PIXELS, "PNG")


# ---- the same photo from every kind of source -----------------------------------------------


def _as_path(folder: Path) -> Path:
    path = folder / "Ünïcode name.png"
    path.write_bytes(PNG)
    return path


def _named(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PNG)
    return path


class WithArray:
    """What arrays of other libraries are."""

    shape, dtype = PIXELS.shape, PIXELS.dtype

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return PIXELS


def _as_file_that_stands_behind_a_header(folder: Path) -> io.BytesIO:
    file = io.BytesIO(b"header" + PNG)
    file.seek(6)
    return file


class Dribble:
    """A raw stream that gives seven bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self.file.read(min(size, 7))


SOURCES: dict[str, Callable[[Path], Any]] = {
    "Path": _as_path,
    "str path": lambda folder: str(_as_path(folder)),
    "path without a suffix": lambda folder: _as_path(folder).rename(folder / "plain"),
    "path with a wrong suffix": lambda folder: _as_path(folder).rename(folder / "a.jpg"),
    "bytes": lambda folder: PNG,
    "bytearray": lambda folder: bytearray(PNG),
    "memoryview": lambda folder: memoryview(b"xx" + PNG)[2:],
    "BytesIO": lambda folder: io.BytesIO(PNG),
    "file that stands behind a header": _as_file_that_stands_behind_a_header,
    "raw stream": lambda folder: Dribble(PNG),
    "data URI": lambda folder: data_uri(PNG),
    "data URI, upper case and lines": lambda folder: (
        "DATA:image/png;BASE64," + base64.encodebytes(PNG).decode()
    ),
    "data URI, percent-encoded": lambda folder: (
        data_uri(PNG).replace("+", "%2B").replace("=", "%3D").replace("/", "%2F")
    ).replace("image%2Fpng", "image/png"),
    "Pillow image": lambda folder: PILImage.fromarray(PIXELS),
    "Pillow file": lambda folder: PILImage.open(io.BytesIO(PNG)),
    "array": lambda folder: PIXELS.copy(),
    "array (C, H, W)": lambda folder: np.ascontiguousarray(PIXELS.transpose(2, 0, 1)),
    "array of int64": lambda folder: PIXELS.astype(np.int64),
    "array of floats from 0 to 255": lambda folder: PIXELS.astype(np.float32),
    "array of the file's bytes": lambda folder: np.frombuffer(PNG, np.uint8),
    "array of the file's bytes, a column": lambda folder: np.frombuffer(PNG, np.uint8)[:, None],
    "object with __array__": lambda folder: WithArray(),
    "base64": lambda folder: base64.b64encode(PNG).decode(),
    "base64 in lines": lambda folder: base64.encodebytes(PNG).decode(),
    "base64 of JPEG's letters": lambda folder: base64.urlsafe_b64encode(PNG).decode(),
    "file URL": lambda folder: _as_path(folder).as_uri(),
    "file URL of localhost": lambda folder: (
        _as_path(folder).as_uri().replace("file://", "FILE://localhost")
    ),
    "file URL that is not encoded": lambda folder: f"file://{_named(folder, 'a%20b?c#d.png')}",
    "DirEntry": lambda folder: [*os.scandir(_as_path(folder).parent)].pop(),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_pixels(name: str, tmp_path: Path) -> None:
    image = load_image(SOURCES[name](tmp_path))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    np.testing.assert_array_equal(image, PIXELS)


LIKE_ADDRESSES = [
    *("C:/photos/a.png", "C://photos/a.png", "c:\\photos\\a.png", "http:/a.png", "http://h/a.png"),
    *("https://h/a.png?b=c", "data:a.png", "data:image/png;base64,AAAA", "file:a.png"),
    *("file:///a.png", "ftp://h/a.png", "~", "~root/a.png", "-", "a*.png", "a%20b.png", "[a].png"),
    *("/9j/4AAQSkZJRg", " a .png ", "-a.png", "name:with:colons.png", "#?&.png"),
]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", LIKE_ADDRESSES)
def test_a_file_of_exactly_that_name_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("." + name if name.startswith("/") else name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PNG)
    source = "." + name if name.startswith("/") else name
    np.testing.assert_array_equal(load_image(source), PIXELS)
    assert source_name(source) == source
    assert not is_many(source)
    assert find_images([source]) == [path]


def test_a_file_object_stays_open(tmp_path: Path) -> None:
    with _as_path(tmp_path).open("rb") as file:
        load_image(file)
        assert not file.closed


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no /dev/fd here")
def test_a_pipe_of_the_shell_is_read() -> None:
    reader, writer = os.pipe()
    thread = threading.Thread(target=lambda: (os.write(writer, PNG), os.close(writer)))
    thread.start()
    image = load_image(f"/dev/fd/{reader}")
    thread.join()
    os.close(reader)
    np.testing.assert_array_equal(image, PIXELS)


def test_a_large_photo_has_all_its_strips() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 401, 3), np.uint8)
    np.testing.assert_array_equal(load_image(encode(pixels, "BMP")), pixels)


def test_a_pillow_image_is_not_changed() -> None:
    picture = PILImage.open(io.BytesIO(encode(PIXELS, "PNG", exif=exif_with(6))))
    load_image(picture)
    assert picture.size == (WIDTH, HEIGHT)
    np.testing.assert_array_equal(np.asarray(picture), PIXELS)


# ---- formats and modes ---------------------------------------------------------------------------

LOSSLESS = {
    "PNG": PNG,
    "BMP": encode(PIXELS, "BMP"),
    "TIFF": encode(PIXELS, "TIFF"),
    "TIFF LZW": encode(PIXELS, "TIFF", compression="tiff_lzw"),
    "TIFF big": encode(PIXELS, "TIFF", big_tiff=True),
    "PPM": encode(PIXELS, "PPM"),
    "WebP": encode(PIXELS, "WEBP", lossless=True),
}
LOSSY = {
    "JPEG": lambda: encode(PIXELS, "JPEG", quality=95, subsampling=0),
    "JPEG progressive": lambda: encode(PIXELS, "JPEG", quality=95, subsampling=0, progressive=True),
    "WebP": lambda: encode(PIXELS, "WEBP", quality=95),
    "AVIF": lambda: encode(PIXELS, "AVIF", quality=95, subsampling="4:4:4"),
    "HEIC": lambda: encode_heic(PIXELS, chroma=444),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_formats(name: str) -> None:
    np.testing.assert_array_equal(load_image(LOSSLESS[name]), PIXELS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks={"AVIF": [needs_avif], "HEIC": [needs_heif]}.get(name, []))
        for name in LOSSY
    ],
)
def test_lossy_formats(name: str) -> None:
    image = load_image(LOSSY[name]())
    assert image.shape == PIXELS.shape
    assert np.abs(image.astype(int) - PIXELS).mean() < 4


_palette = PILImage.fromarray(PIXELS).quantize(32)
_palette_rgb = np.asarray(_palette.getpalette(), np.uint8).reshape(-1, 3)[np.asarray(_palette)]
_clear = np.asarray(_palette) == 5
_cmyk = np.dstack([PIXELS, np.full((HEIGHT, WIDTH), 40, np.uint8)])
_ink_free = 255.0 - _cmyk
_gray = PIXELS[..., 0]
_gray3 = np.repeat(_gray[..., None], 3, axis=2)
_key = tuple(int(v) for v in PIXELS[10, 10])
_16bit_rgb = PIXELS.astype(np.uint16) * 257 + np.array([0, 100, -100], np.int64)
_16bit_rgb = np.clip(_16bit_rgb, 0, 65535).astype(">u2")
_rgb16_png = png(WIDTH, HEIGHT, 16, 2, b"".join(b"\0" + row.tobytes() for row in _16bit_rgb))
_gray16_3 = np.repeat(np.rint(GRAY16 / 257)[..., None], 3, axis=2)

MODES: dict[str, tuple[bytes, np.ndarray, float]] = {
    # the file, the pixels expected (computed without Pillow), the largest difference allowed
    "gray PNG": (encode(_gray, "PNG"), _gray3, 0),
    "gray JPEG": (encode(_gray, "JPEG", quality=100), _gray3, 3),
    "PGM": (encode(_gray, "PPM"), _gray3, 0),
    "black and white": (
        encode(_gray > 100, "PNG"),
        np.repeat(((_gray > 100) * 255)[..., None], 3, axis=2),
        0,
    ),
    "gray with alpha": (encode(np.dstack([_gray, ALPHA]), "PNG"), over_white(_gray3, ALPHA), 1),
    "RGBA": (encode(np.dstack([PIXELS, ALPHA]), "PNG"), over_white(PIXELS, ALPHA), 1),
    "RGBA, opaque": (
        encode(np.dstack([PIXELS, np.full_like(ALPHA, 255)]), "PNG"),
        PIXELS,
        0,
    ),
    "RGBA, clear over black": (
        encode(np.zeros((HEIGHT, WIDTH, 4), np.uint8), "PNG"),
        np.full(PIXELS.shape, 255),
        0,
    ),
    "RGBA WebP": (
        encode(np.dstack([PIXELS, ALPHA]), "WEBP", lossless=True, exact=True),
        over_white(PIXELS, ALPHA),
        1,
    ),
    "palette": (encode(_palette, "PNG"), _palette_rgb, 0),
    "palette with a clear entry": (
        encode(_palette, "PNG", transparency=5),
        np.where(_clear[..., None], 255, _palette_rgb),
        0,
    ),
    "palette with many alphas": (
        encode(_palette, "PNG", transparency=bytes(range(0, 256, 8))),
        over_white(_palette_rgb, np.asarray(_palette) * 8),
        1,
    ),
    "GIF": (encode(_palette, "GIF"), _palette_rgb, 0),
    "GIF with a clear entry": (
        encode(_palette, "GIF", transparency=5),
        np.where(_clear[..., None], 255, _palette_rgb),
        0,
    ),
    "RGB with a clear color": (
        encode(PIXELS, "PNG", transparency=_key),
        np.where((_key == PIXELS).all(axis=2)[..., None], 255, PIXELS),
        0,
    ),
    "16-bit gray PNG": (encode(GRAY16, "PNG"), _gray16_3, 0),
    "16-bit gray TIFF": (encode(GRAY16, "TIFF"), _gray16_3, 0),
    "16-bit gray TIFF, big-endian": (
        encode(
            PILImage.frombytes("I;16B", (WIDTH, HEIGHT), GRAY16.astype(">u2").tobytes()), "TIFF"
        ),
        _gray16_3,
        0,
    ),
    "16-bit PGM": (
        b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + GRAY16.astype(">u2").tobytes(),
        _gray16_3,
        0,
    ),
    # Pillow keeps the high byte of 16-bit colors: up to one less than rounding gives
    "16-bit RGB PNG": (_rgb16_png, np.rint(_16bit_rgb / 257), 1),
    "32-bit integer TIFF": (encode(GRAY16.astype(np.int32), "TIFF"), _gray16_3, 0),
    "float TIFF": (
        encode((_gray / 255).astype(np.float32), "TIFF"),
        _gray3,
        0,
    ),
    # Pillow writes CMYK JPEG as Adobe does: inverted, with an Adobe marker
    "CMYK JPEG": (
        encode(PILImage.fromarray(_cmyk, "CMYK"), "JPEG", quality=100, subsampling=0),
        _ink_free[..., :3] * _ink_free[..., 3:] / 255,
        6,
    ),
    "CMYK TIFF": (
        encode(PILImage.fromarray(_cmyk, "CMYK"), "TIFF"),
        _ink_free[..., :3] * _ink_free[..., 3:] / 255,
        1,
    ),
}


@pytest.mark.parametrize("name", MODES)
def test_modes(name: str) -> None:
    data, expected, tolerance = MODES[name]
    image = load_image(data)
    assert image.shape == PIXELS.shape
    assert np.abs(image.astype(float) - expected).max() <= tolerance


def test_16_bit_extremes_reach_black_and_white() -> None:
    raw = b"\0" + np.array([0, 0, 0, 65535, 65535, 65535], ">u2").tobytes()
    assert load_image(png(2, 1, 16, 2, raw)).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("PNG", {}),
        ("TIFF", {}),
        ("MPO", {"quality": 95, "subsampling": 0}),
    ],
)
def test_the_first_of_several_pictures(kind: str, options: dict[str, Any]) -> None:
    second = PILImage.new("RGB", (WIDTH, HEIGHT), "red")
    first = _palette if kind == "GIF" else PILImage.fromarray(PIXELS)
    data = encode(first, kind, save_all=True, append_images=[second], **options)
    with PILImage.open(io.BytesIO(data)) as reread:
        assert reread.n_frames == 2
    expected = _palette_rgb if kind == "GIF" else PIXELS
    tolerance = 12 if kind == "MPO" else 0
    assert np.abs(load_image(data).astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize(
    "kind", ["PCX", "ICO", "TGA", "SGI", "EPS", "PDF", "JPEG2000", "DDS", "XBM"]
)
def test_other_formats_of_pillow_stay_shut(kind: str) -> None:
    picture = PILImage.fromarray(PIXELS)
    data = encode(picture.convert("1") if kind == "XBM" else picture, kind)
    with pytest.raises(ImageFormatError, match="expected a photo"):
        load_image(data)


# ---- EXIF ----------------------------------------------------------------------------------------

UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    # EXIF 2.32, table 6: where the stored row 0 and column 0 belong
    1: lambda stored: stored,  # top, left
    2: lambda stored: stored[:, ::-1],  # top, right
    3: lambda stored: stored[::-1, ::-1],  # bottom, right
    4: lambda stored: stored[::-1],  # bottom, left
    5: lambda stored: stored.transpose(1, 0, 2),  # left, top
    6: lambda stored: np.rot90(stored, -1),  # right, top
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),  # right, bottom
    8: lambda stored: np.rot90(stored, 1),  # left, bottom
}
EXIF_CARRIERS: dict[str, Callable[[bytes], bytes]] = {
    "JPEG": lambda exif: encode(PIXELS, "JPEG", exif=exif),
    "PNG": lambda exif: encode(PIXELS, "PNG", exif=exif),
    "WebP": lambda exif: encode(PIXELS, "WEBP", lossless=True, exif=exif),
    "AVIF": lambda exif: encode(PIXELS, "AVIF", exif=exif),
    "HEIC": lambda exif: encode_heic(PIXELS, exif=exif),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks={"AVIF": [needs_avif], "HEIC": [needs_heif]}.get(name, []))
        for name in EXIF_CARRIERS
    ],
)
def test_exif_orientation(name: str, orientation: int) -> None:
    plain = load_image(EXIF_CARRIERS[name](exif_with(1)))
    assert plain.shape == PIXELS.shape
    turned = load_image(EXIF_CARRIERS[name](exif_with(orientation)))
    # The encoder of HEIC may store the turned pixels anew.
    tolerance = 8 if name == "HEIC" else 0
    expected = UPRIGHT[orientation](plain)
    assert turned.shape == expected.shape
    assert np.abs(turned.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_tiff_orientation(orientation: int, compression: str | None) -> None:
    data = encode(PIXELS, "TIFF", compression=compression, tiffinfo={0x0112: orientation})
    np.testing.assert_array_equal(load_image(data), UPRIGHT[orientation](PIXELS))
    with PILImage.open(io.BytesIO(data)) as picture:
        np.testing.assert_array_equal(load_image(picture), UPRIGHT[orientation](PIXELS))


@pytest.mark.parametrize(
    ("exif", "orientation"),
    [
        (exif_with(6, order=">"), 6),
        (exif_with(6, order="<"), 6),
        (exif_with(6, order="<", kind=4), 6),
        (exif_with(6, order=">", kind=4), 6),
        (exif_with(6, entries=60_000), 6),  # the rest is damaged, the orientation is not
        (exif_with(0), 1),
        (exif_with(9), 1),
        (exif_with(6, entries=0), 1),
        (exif_with(6)[:20], 1),
        (b"Exif\0\0", 1),
        (b"Exif\0\0MM\0\x2a\xff\xff\xff\xff", 1),
        (b"Exif\0\0not EXIF at all", 1),
    ],
)
def test_odd_and_damaged_exif(exif: bytes, orientation: int) -> None:
    data = encode(PIXELS, "JPEG")
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    plain = load_image(encode(PIXELS, "JPEG"))
    np.testing.assert_array_equal(load_image(data), UPRIGHT[orientation](plain))


def test_a_pillow_file_is_turned_too() -> None:
    with PILImage.open(io.BytesIO(encode(PIXELS, "PNG", exif=exif_with(8)))) as picture:
        np.testing.assert_array_equal(load_image(picture), np.rot90(PIXELS, 1))


# ---- arrays --------------------------------------------------------------------------------------

RGBA = np.dstack([PIXELS, ALPHA])
ARRAYS: dict[str, tuple[np.ndarray, Any, np.ndarray, float]] = {
    "RGB": (PIXELS, None, PIXELS, 0),
    "RGB, stated": (PIXELS, "rgb", PIXELS, 0),
    "BGR": (PIXELS, "bgr", PIXELS[..., ::-1], 0),
    "not contiguous": (PIXELS[::2, ::-1], None, PIXELS[::2, ::-1], 0),
    "gray": (_gray, None, _gray3, 0),
    "gray, stated BGR": (_gray, "bgr", _gray3, 0),
    "gray (H, W, 1)": (_gray[..., None], None, _gray3, 0),
    "RGBA": (RGBA, None, over_white(PIXELS, ALPHA), 1),
    "BGRA": (RGBA, "bgr", over_white(PIXELS[..., ::-1], ALPHA), 1),
    "uint16": (PIXELS.astype(np.uint16) * 257, None, PIXELS, 0),
    "uint16, big-endian": (PIXELS.astype(">u2") * np.uint16(257), None, PIXELS, 0),
    "float64": (PIXELS / 255, None, PIXELS, 0),
    "float32": ((PIXELS / 255).astype(np.float32), None, PIXELS, 0),
    "float16": ((PIXELS / 255).astype(np.float16), None, PIXELS, 0),
    "float32, BGR": ((PIXELS / 255).astype(np.float32), "bgr", PIXELS[..., ::-1], 0),
    "float with rounding": (np.full((2, 2), 1 + 1e-7), None, np.full((2, 2, 3), 255), 0),
    "float with alpha": (RGBA / 255, None, over_white(PIXELS, ALPHA), 1),
    "one pixel": (np.zeros((1, 1, 3), np.uint8), None, np.zeros((1, 1, 3)), 0),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str) -> None:
    array, color_order, expected, tolerance = ARRAYS[name]
    before = array.copy()
    image = load_image(array, color_order=color_order)
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(float) - expected).max() <= tolerance
    np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64, np.float32, ">u2"])
def test_values_are_scaled_by_the_bits_that_hold_the_largest(bits: int, kind: Any) -> None:
    largest = 2**bits - 1
    values = np.array([[0, largest // 3, largest]]).astype(kind)
    assert load_image(values)[0, :, 0].tolist() == [0, 85, 255]
    half = np.array([[0, largest // 2 + 1]]).astype(kind)  # needs all the bits, but not all of them
    assert load_image(half)[0, :, 0].tolist() == [0, 128]


def test_truth_values_are_black_and_white() -> None:
    assert load_image(np.array([[False, True]]))[0, :, 0].tolist() == [0, 255]


def test_every_16_bit_value_is_rounded() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(load_image(values)[..., 1], np.rint(values / 257))


def test_a_ready_array_is_not_copied() -> None:
    assert load_image(PIXELS) is PIXELS


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(12, np.uint8), r"expected \(H, W\)"),
        (np.zeros((), np.uint8), r"expected \(H, W\)"),
        (np.zeros((4, 4, 2), np.uint8), r"expected \(H, W\)"),
        (np.zeros((4, 4, 5), np.uint8), r"expected \(H, W\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"got a batch"),
        (np.zeros((5, 8, 9), np.uint8), r"with 1, 3 or 4 channels"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
        (np.zeros((4, 0), np.uint8), "at least one pixel"),
        (np.full((4, 4, 3), -1, np.int64), "integers from 0 to 65535, got -1"),
        (np.full((4, 4, 3), 65536, np.uint32), "integers from 0 to 65535, got 65536"),
        (np.zeros((4, 4, 3), complex), "got complex128"),
        (np.array([["a", "b"]]), "got <U1"),
        (np.array([[None, 1]], object), "got object"),
        (np.full((4, 4, 3), 1.1), "got 1.1 to 1.1; clip"),
        (np.full((4, 4, 3), 65537.0), "got 65537 to 65537"),
        (np.full((4, 4, 3), -0.1), "from 0 to 255, got -0.1"),
        (np.array([[-3.0, 200.0]]), "from 0 to 255, got -3"),
        (np.array([[0.5, np.nan]]), "got nan to nan"),
        (np.array([[0.5, np.inf]]), "got 0.5 to inf"),
    ],
)
def test_unfit_arrays(array: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        load_image(array)
    assert str(caught.value).startswith(f"array {array.shape} {array.dtype}: ")


def test_unknown_color_order() -> None:
    with pytest.raises(OptionError, match="got 'RGB'"):
        load_image(PIXELS, color_order="RGB")  # type: ignore[arg-type]


# ---- what is no photo -----------------------------------------------------------------------

NOT_IMAGES = {
    "text": (b"hello, this is a text file\n" * 9, "got text"),
    "HTML": (b"\n <!DOCTYPE html><title>404</title>", "got an HTML page"),
    "SVG": (b"<?xml version='1.0'?><svg></svg>", "got an SVG drawing"),
    "PDF": (b"%PDF-1.7\n\0", "got a PDF document"),
    "ZIP": (b"PK\3\4" + bytes(40), "got a ZIP archive"),
    "PSD": (b"8BPS\0\1" + bytes(40), "got a Photoshop document"),
    "MP4": (b"\0\0\0\x18ftypmp42" + bytes(40), "got a video"),
    "zeros": (bytes(1000), "got unknown bytes"),
    "one byte": (b"\xff", "got unknown bytes"),
}


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_not_a_photo(name: str, tmp_path: Path) -> None:
    data, message = NOT_IMAGES[name]
    path = tmp_path / "face.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageFormatError, match=message) as caught:
        load_image(path)
    assert str(caught.value).startswith(f"{path}: expected a photo (JPEG, ")
    with pytest.raises(ImageFormatError, match=message) as caught:
        load_image(data)
    assert str(caught.value).startswith(f"{len(data):,} bytes: ")


@pytest.mark.parametrize("source", [b"", bytearray(), io.BytesIO(), "data:image/png;base64,"])
def test_empty(source: Any) -> None:
    with pytest.raises(ImageFormatError, match="0 bytes"):
        load_image(source)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(ImageFormatError, match=r"a\.png: .*0 bytes"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("source", [tuple, list, dict, int, object])
def test_unfit_objects(source: type) -> None:
    with pytest.raises(ImageError, match=f"expected a path, .* got {source.__name__}"):
        load_image(source())


def test_paths_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _as_path(tmp_path)
    cases: list[tuple[Any, type[ImageError], str]] = [
        (tmp_path / "no.jpg", ImageNotFoundError, "no such file"),
        (str(tmp_path / "no.jpg"), ImageNotFoundError, "no such file"),
        (file / "below a file", ImageNotFoundError, "no such file"),
        (tmp_path, ImageError, "got a folder"),
        (str(tmp_path) + "\0", ImageError, "cannot be read"),
        ("x" * 5000, ImageError, "cannot be read"),
        ("", ImageNotFoundError, "got an empty text"),
        ("ftp://example.org/a.jpg", ImageError, r"or an http\(s\) address"),
        ("s3+ssl://bucket/a.jpg", ImageError, r"or an http\(s\) address"),
        ("file:///etc/no%20such.jpg", ImageNotFoundError, "^/etc/no such.jpg: no such file"),
        ("file://server/share/a.jpg", ImageNotFoundError, "^//server/share/a.jpg: no such file"),
        ("C:\\photos\\a.jpg", ImageNotFoundError, "no such file"),
        ("C://photos/a.jpg", ImageNotFoundError, "no such file"),
        ("c:/photos/a.jpg", ImageNotFoundError, "no such file"),
        ("~/a.jpg", ImageNotFoundError, "no such file.*expanduser"),
        ("~nobody/a.jpg", ImageNotFoundError, "no such file.*expanduser"),
        ("-", ImageNotFoundError, "no such file.*standard input"),
        (f"{file}/", ImageNotFoundError, "without the slash at its end there is one"),
        ("party/*.jpg", ImageNotFoundError, "a pattern"),
    ]
    for source, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            load_image(source)
        assert type(caught.value) is error
        assert len(str(caught.value)) < 500
        assert str(caught.value).isprintable()


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _as_path(tmp_path)
    path.chmod(0)
    if os.access(path, os.R_OK):  # the administrator may read it all the same

        def refuse(*args: Any, **options: Any) -> Any:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("os.open", refuse)
    with pytest.raises(ImageError, match=r"permission denied.*rights"):
        load_image(path)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (io.StringIO("text"), "it gives str; open it with mode"),
        (type("Idle", (), {"read": lambda self, size: None})(), "it gives NoneType"),
    ],
)
def test_file_objects_without_bytes(file: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        load_image(file)


def test_a_closed_file_object() -> None:
    file = io.BytesIO(PNG)
    file.close()
    with pytest.raises(ImageError, match="closed file"):
        load_image(file)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("data:image/png;base64,@@@@", "is not base64"),
        ("data:image/png;base64,AAA", "is not base64"),
        ("data:image/png;base64,ÄÄÄÄ", "is not base64"),
        ("data:image/png,%89PNG", "got another encoding"),
        ("data:image/png;base64", "got another encoding"),
        ("data:", "got another encoding"),
    ],
)
def test_bad_data_uris(uri: str, message: str) -> None:
    with pytest.raises(ImageFormatError, match=f"^data URI: .*{message}") as caught:
        load_image(uri)
    assert "@@@@" not in str(caught.value)


def _single_files() -> dict[str, Callable[[], bytes]]:
    files: dict[str, Callable[[], bytes]] = {
        name: (lambda data=data: data) for name, data in LOSSLESS.items()
    }
    files |= {f"lossy {name}": make for name, make in LOSSY.items()}
    files["GIF"] = lambda: MODES["GIF"][0]
    files["CMYK JPEG"] = lambda: MODES["CMYK JPEG"][0]
    files["16-bit PNG"] = lambda: MODES["16-bit gray PNG"][0]
    return files


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks={"lossy AVIF": [needs_avif], "lossy HEIC": [needs_heif]}.get(name, [])
        )
        for name in _single_files()
    ],
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_cut_short(name: str) -> None:
    """Every cut is an error, except where all pixels are there (a GIF without its last byte)."""
    data = _single_files()[name]()
    whole = load_image(data)
    cuts = sorted({*range(1, len(data), max(1, len(data) // 60)), *range(len(data) - 8, len(data))})
    refused = 0
    for cut in cuts:
        try:
            image = load_image(data[:cut])
        except ImageFormatError:
            refused += 1
        else:
            assert len(data) - cut <= 4, f"{cut} of {len(data)} bytes were enough"
            np.testing.assert_array_equal(image, whole)
    assert refused >= len(cuts) - 4


@pytest.mark.parametrize("name", ["JPEG", "JPEG progressive", "PNG"])
def test_padded_with_zeros(name: str) -> None:
    """What partial downloads leave: Pillow alone loads some of them, with gray or noise below."""
    data = PNG if name == "PNG" else LOSSY[name]()
    assert load_image(data + bytes(2000)).shape == PIXELS.shape  # behind the end they are harmless
    for cut in range(len(data) // 3, len(data) - 12, max(1, len(data) // 25)):
        for zeros in (len(data) - cut, 20 * len(data)):
            with pytest.raises(ImageFormatError, match="broken or cut short"):
                load_image(data[:cut] + bytes(zeros))


def test_needless_parts_of_a_png_are_skipped() -> None:
    """Texts that inflate to 2 GB, and an animation that Pillow warns about."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20))) * 2000
    animation = chunk(b"acTL", bytes(8))
    np.testing.assert_array_equal(load_image(PNG[:33] + bomb + animation + PNG[33:]), PIXELS)


def test_flipped_bits_in_a_png_are_noticed() -> None:
    mutable = bytearray(png(2, 2, 8, 2, bytes(14)))
    mutable[mutable.index(b"IDAT") + 8] ^= 1
    with pytest.raises(ImageFormatError, match="checksum"):
        load_image(bytes(mutable))


# ---- limits --------------------------------------------------------------------------------------


def test_limits_are_inclusive() -> None:
    exactly = ImageLimits(max_bytes=len(PNG), max_pixels=WIDTH * HEIGHT)
    np.testing.assert_array_equal(load_image(PNG, limits=exactly), PIXELS)
    for source in (PNG, PILImage.fromarray(PIXELS)):
        with pytest.raises(ImageTooLargeError, match=r"got 48 x 32.*max_pixels"):
            load_image(source, limits=ImageLimits(max_pixels=WIDTH * HEIGHT - 1))


@pytest.mark.parametrize(
    "name", ["Path", "bytes", "memoryview", "BytesIO", "raw stream", "data URI"]
)
def test_too_many_bytes(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageTooLargeError, match=f"at most {len(PNG) - 1:,} bytes.*max_bytes"):
        load_image(SOURCES[name](tmp_path), limits=ImageLimits(max_bytes=len(PNG) - 1))


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(DEFAULT_LIMITS.max_bytes + 1)  # sparse
    with pytest.raises(ImageTooLargeError, match=r"huge\.jpg: expected at most 67,108,864 bytes"):
        load_image(path)


def test_an_endless_stream_is_left_at_the_limit() -> None:
    class Endless:
        given = 0

        def read(self, size: int) -> bytes:
            self.given += size
            return bytes(size)

    stream = Endless()
    with pytest.raises(ImageTooLargeError):
        load_image(stream, limits=ImageLimits(max_bytes=3_000_000))  # type: ignore[arg-type]
    assert stream.given == 3_000_001


@pytest.mark.parametrize("options", [{"max_bytes": 0}, {"max_pixels": -1}, {"url_timeout_s": 0.0}])
def test_unfit_limits(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(options))}: expected more than 0"):
        ImageLimits(**options)


def _gif(canvas_wh: tuple[int, int], frame_wh: tuple[int, int], extension: bytes = b"") -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", *canvas_wh, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, *frame_wh, 0) + b"\x02\x02\x44\x01\0"
    return screen + extension + frame + b";"


def _jpeg(width: int, height: int) -> bytes:
    data = bytearray(encode(PIXELS, "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _bmp(width: int, height: int) -> bytes:
    data = bytearray(LOSSLESS["BMP"])
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def _tiff(width: int, height: int) -> bytes:
    entries = ((256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (279, 100))
    body = struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + body + bytes(40)


def _webp(width: int, height: int) -> bytes:
    """An animation, whose frames may be smaller than its canvas."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack("<I", len(content)) + content

    def less_one(*values: int) -> bytes:
        return b"".join(struct.pack("<I", value - 1)[:3] for value in values)

    frame = bytes(6) + less_one(WIDTH, HEIGHT) + bytes(4) + LOSSLESS["WebP"][12:]
    body = b"WEBP" + chunk(b"VP8X", b"\x02\0\0\0" + less_one(width, height))
    body += chunk(b"ANIM", bytes(6)) + chunk(b"ANMF", frame)
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {
    "PNG": png(60_000, 60_000, 8, 2, bytes(100_000)),
    "PNG, 2 ** 31": png(2**31 - 1, 2**31 - 1, 1, 0, bytes(100)),
    "PNG, one line": png(2**31 - 1, 1, 8, 6, bytes(100)),
    "PNG above Pillow's warning": png(12_000, 12_000, 8, 0, bytes(100)),
    "JPEG": _jpeg(65_500, 65_500),
    "BMP": _bmp(100_000, 100_000),
    "TIFF": _tiff(100_000, 100_000),
    "TIFF above Pillow's warning": _tiff(10_000, 9_000),
    "WebP above Pillow's warning": _webp(11_000, 11_000),
    "PPM": b"P6 99999 99999 255\n" + bytes(100),
    "GIF": _gif((65_535, 65_535), (2, 2)),
    "GIF, frame": _gif((2, 2), (65_535, 65_535)),
    "GIF, frame above Pillow's warning": _gif((2, 2), (10_000, 9_000)),
    "GIF, frame behind an extension": _gif(
        (2, 2), (10_000, 9_000), b"!\xf9\x04\x09\0\0\0\0" + b"!\xfe\x03,,,\x01,\0"
    ),
    "GIF, cut short": _gif((65_535, 65_535), (65_535, 65_535))[:-6],
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_by_their_header(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load_prepare", lambda self: pytest.fail("decoded"))
    before = PILImage.MAX_IMAGE_PIXELS
    with pytest.raises(ImageTooLargeError, match=r"expected at most .* pixels, got"):
        load_image(BOMBS[name])  # pytest makes Pillow's DecompressionBombWarning an error
    assert before == PILImage.MAX_IMAGE_PIXELS


def test_the_bombs_are_well_formed_but_for_their_size() -> None:
    """The helpers' files load when they promise what they hold: it was the size that failed."""
    small = {
        "GIF": _gif((1, 1), (1, 1), b"!\xfe\x03,,,\x28" + b"," * 40 + b"\0"),
        "TIFF": _tiff(10, 10),
        "JPEG": _jpeg(WIDTH, HEIGHT),
        "BMP": _bmp(WIDTH, HEIGHT),
        "WebP": _webp(WIDTH, HEIGHT),
        "PNG": png(2, 2, 8, 0, bytes(6)),
    }
    sizes = {name: load_image(data).shape[1::-1] for name, data in small.items()}
    whole = (WIDTH, HEIGHT)
    assert sizes == {
        "GIF": (1, 1),
        "TIFF": (10, 10),
        "JPEG": whole,
        "BMP": whole,
        "WebP": whole,
        "PNG": (2, 2),
    }


def test_a_jpeg_cannot_hold_more_pixels_than_bits() -> None:
    with pytest.raises(ImageFormatError, match="cannot come from so few bytes"):
        load_image(_jpeg(10_000, 9_000))


def test_pillows_global_limit_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PILImage, "MAX_IMAGE_PIXELS", 100)  # would raise, even for this picture
    np.testing.assert_array_equal(load_image(PNG), PIXELS)
    with pytest.raises(ImageTooLargeError):
        load_image(LOSSLESS["TIFF"])  # Pillow checks these while it decodes: see ImageLimits
    monkeypatch.setattr(PILImage, "MAX_IMAGE_PIXELS", None)
    np.testing.assert_array_equal(load_image(LOSSLESS["TIFF"]), PIXELS)


def test_out_of_memory_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(OutOfMemoryError, match="not enough memory to decode"):
        load_image(PNG)


def test_threads() -> None:
    files = [*LOSSLESS.values(), MODES["RGBA"][0], MODES["GIF"][0]] * 20
    alone = [load_image(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(load_image, files))
    assert len(together) == len(files)
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


# ---- optional decoders ---------------------------------------------------------------------------


@pytest.fixture
def fresh_plugins() -> Iterator[None]:
    decode_module._plugin.cache_clear()
    yield
    decode_module._plugin.cache_clear()


@pytest.mark.usefixtures("fresh_plugins")
@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"hevc"])
def test_heic_without_pillow_heif(brand: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(100)
    with pytest.raises(MissingExtraError, match=r"pip install .*pillow-heif"):
        load_image(data)


@pytest.mark.usefixtures("fresh_plugins")
def test_avif_without_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.AvifImagePlugin", None)
    data = b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(100)  # the brand stands second
    with pytest.raises(ImageFormatError, match="this Pillow reads no AVIF; update Pillow"):
        load_image(data)


def test_importing_and_reading_a_jpeg_loads_little(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(LOSSY["JPEG"]())
    code = (
        "import sys, lineament.images\n"
        f"shape = lineament.images.load_image({str(path)!r}).shape\n"
        "print(shape, sorted(m for m in sys.modules if m.startswith("
        "('urllib.request', 'http', 'ssl', 'pillow_heif')) or m.endswith('ImagePlugin')))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{PIXELS.shape} ['PIL.JpegImagePlugin']"


# ---- names and lists -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/b.jpg", "a/b.jpg"),
        (Path("a") / "b.jpg", str(Path("a") / "b.jpg")),
        ("https://me:pw@host.org/a.jpg?key=1", "https://host.org/a.jpg?…"),
        ("https://host.org?q=a@b/c", "https://host.org?…"),
        (data_uri(PNG), "data URI"),
        (b"1234", "4 bytes"),
        (bytearray(1234), "1,234 bytes"),
        (memoryview(np.zeros(5)), "40 bytes"),
        (io.BytesIO(), "file object"),
        (np.zeros((2, 3)), "array (2, 3) float64"),
        (PILImage.new("L", (4, 3)), "Pillow image 4 x 3 L"),
        ("a\nb\0", r"a\nb\x00"),
        ("caf\udce9 \u202f\u200d.jpg", "caf\\udce9 \u202f\\u200d.jpg"),
        ("file:///tmp/a%20b.jpg", "/tmp/a b.jpg"),
        ("C://me:pw@host/a.jpg?b", "C://me:pw@host/a.jpg?b"),
        (base64.b64encode(PNG).decode(), "base64 text"),
        ("x" * 500, "x" * 99 + "…" + "x" * 100),
        (None, "NoneType object"),
    ],
)
def test_describe_source(source: Any, name: str) -> None:
    assert describe_source(source) == name


def test_describe_files(tmp_path: Path) -> None:
    path = _as_path(tmp_path)
    with path.open("rb") as file, PILImage.open(path) as picture:
        assert describe_source(file) == str(path)
        assert describe_source(picture) == str(path)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for name in (
        "b.JPG",
        "a.png",
        "notes.txt",
        ".hidden.png",
        "sub/c.webp",
        "sub/deep/d.heic",
        ".git/e.png",
        "empty/readme.md",
        "with [brackets].gif",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


ALL = ["a.png", "b.JPG", "sub/c.webp", "sub/deep/d.heic", "with [brackets].gif"]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], []),
        ([""], ALL),
        (["a.png"], ["a.png"]),
        (["notes.txt", "a.png"], ["notes.txt", "a.png"]),  # named, thus taken
        ([".hidden.png"], [".hidden.png"]),
        (["b.JPG", ""], ["b.JPG", *(name for name in ALL if name != "b.JPG")]),
        (["sub", "sub/deep"], ["sub/c.webp", "sub/deep/d.heic"]),
        (["*.png"], ["a.png"]),
        (["*"], ALL),
        (["**/*.heic"], ["sub/deep/d.heic"]),
        (["?.*"], ["a.png", "b.JPG"]),
        (["with [brackets].gif"], ["with [brackets].gif"]),
        (["s*"], ["sub/c.webp", "sub/deep/d.heic"]),
    ],
)
def test_find_images(album: Path, entries: list[str], expected: list[str]) -> None:
    found = find_images([album / entry for entry in entries])
    assert [path.relative_to(album).as_posix() for path in found] == expected


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ("no.jpg", ImageNotFoundError, "no such file or folder"),
        ("*.tiff", ImageNotFoundError, "matches nothing"),
        ("empty", ImageError, "found none"),
        ("*.txt", ImageError, "found none"),
        ("x" * 5000, ImageNotFoundError, "no such file or folder"),
    ],
)
def test_find_images_errors(album: Path, entry: str, error: type[ImageError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        find_images([album / "a.png", album / entry])
    assert type(caught.value) is error


def test_find_images_takes_one_path_and_relative_ones(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(album)
    assert find_images("a.png") == [Path("a.png")]
    assert find_images(Path("sub")) == [Path("sub/c.webp"), Path("sub/deep/d.heic")]


def test_find_images_survives_links_in_circles(album: Path) -> None:
    (album / "sub" / "loop").symlink_to(album, target_is_directory=True)
    (album / "sub" / "broken.png").symlink_to(album / "nowhere.png")
    assert [path.name for path in find_images([album / "sub"])] == ["c.webp", "d.heic"]


def test_what_is_passed_over_is_counted(album: Path) -> None:
    (album / "sub" / "loop").symlink_to(album, target_is_directory=True)
    (album / "sub" / "broken.png").symlink_to(album / "nowhere.png")
    (album / "b.txt").touch()
    (album / "plain").touch()
    found = list_images([album, album / "sub"])
    assert [path.relative_to(album).as_posix() for path in found.paths] == ALL
    left_out = found.passed_over
    assert left_out.to_dict() == {
        "other_files": 4,
        "suffixes": {"": 1, ".md": 1, ".txt": 2},
        "hidden": 2,
        "not_files": 0,
        "links": 4,  # of the two in sub each time that sub is named
        "unreadable": [],
    }
    assert left_out.in_words == (
        "4 files that are no photos by the suffix (.txt 2, none 1, .md 1), 2 hidden, "
        "4 links not followed"
    )
    assert not list_images([album / "sub" / "deep"]).passed_over
    with pytest.raises(ImageError, match=r"found none: 1 file .* \(\.md 1\); name"):
        list_images(album / "empty")


def test_a_folder_that_cannot_be_listed_stops_no_others(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def refuse(path: Any) -> Any:
        if os.fspath(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list_images([album])
    assert [path.relative_to(album).as_posix() for path in found.paths] == [*ALL[:3], ALL[4]]
    assert found.passed_over.unreadable == ((str(album / "sub" / "deep"), "Permission denied"),)
    assert "sub/deep, which cannot be listed (Permission denied)" in found.passed_over.in_words
    with pytest.raises(ImageError, match=r"deep: the folder cannot be listed"):
        find_images([album])


def test_find_images_reports_a_folder_that_cannot_be_listed(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageError, match=r"cannot be listed \(Permission denied\)"):
        find_images([album])


def test_suffixes_are_those_that_load() -> None:
    assert {suffix.lower() for suffix in IMAGE_SUFFIXES} == set(IMAGE_SUFFIXES)
    pillow = PILImage.registered_extensions()
    readable = {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "HEIF"}
    assert {suffix for suffix, kind in pillow.items() if kind in readable} - IMAGE_SUFFIXES <= {
        ".pfm"  # floats without a range
    }


# ---- one or many -------------------------------------------------------------------------------


def test_what_stands_for_many(album: Path) -> None:
    arrays = np.stack([PIXELS, PIXELS[::-1]])
    paths = [album / name for name in ALL]
    for many, expected in [
        (paths, paths),
        (tuple(paths), paths),
        ({paths[0]}, paths[:1]),
        (iter(paths), paths),
        ((path for path in paths), paths),
        (map(Path, paths), paths),
        (dict.fromkeys(paths).keys(), paths),
        (np.array([str(path) for path in paths]), [str(path) for path in paths]),
        (np.array(paths, object), paths),
        (album, paths),
        (str(album), paths),
        (album.as_uri(), paths),
        (str(album / "*"), paths),
        (album / "**" / "*.png", paths[:1]),
        ([], []),
    ]:
        assert is_many(many), many
        assert list(expand(many)) == expected
    for batch in (arrays, np.ascontiguousarray(arrays.transpose(0, 3, 1, 2)), arrays / 255):
        assert is_many(batch)
        for one, pixels in zip(expand(batch), arrays, strict=True):
            np.testing.assert_array_equal(load_image(one), pixels)
    assert list(expand(arrays[:0])) == []


def test_what_stands_for_one(tmp_path: Path) -> None:
    for name, make in SOURCES.items():
        (tmp_path / name.replace("/", "")).mkdir()
        source = make(tmp_path / name.replace("/", ""))
        assert not is_many(source), name
        assert [each is source for each in expand(source)] == [True], name
    for one in (
        "no.jpg",
        "",
        "http://h/*.jpg",
        data_uri(PNG),
        {},
        None,
        7,
        np.zeros((2, 3)),
        np.zeros(3),
    ):
        assert not is_many(one), one


def test_an_endless_generator_is_walked_over_as_needed() -> None:
    def endless() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    each = iter(expand(endless()))
    assert [next(each) for _ in range(3)] == [0, 1, 2]


def test_an_empty_folder_is_no_list_of_none(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="expected at least one photo"):
        list(expand(tmp_path))


def test_tensors_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    chw = torch.from_numpy(np.ascontiguousarray(PIXELS.transpose(2, 0, 1)))
    for tensor in (
        chw,
        torch.from_numpy(PIXELS),
        chw.double() / 255,
        (chw.float() / 255).requires_grad_(),
        chw.float(),
        chw.to(torch.bfloat16),
    ):
        image = load_image(tensor)
        assert np.abs(image.astype(int) - PIXELS).max() <= (tensor.dtype == torch.bfloat16)
        assert not is_many(tensor)
    np.testing.assert_array_equal(load_image(chw.flip(0), color_order="bgr"), PIXELS)
    np.testing.assert_array_equal(load_image(chw[:1])[..., 0], PIXELS[..., 0])
    batch = torch.stack([chw, chw.flip(1)])
    first, second = expand(batch)
    np.testing.assert_array_equal(load_image(second), PIXELS[::-1])
    assert source_name(first) == f"array ({HEIGHT}, {WIDTH}, 3) uint8"
    assert source_name(chw) == f"Tensor (3, {HEIGHT}, {WIDTH}) torch.uint8"


def test_a_series_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(["a.jpg", "b.jpg"])
    assert is_many(series)
    assert list(expand(series)) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    "pattern", ["**", "**/*.jpg", "x/**", "x/**/*.jpg", "**/y/*.jpg", "**/**/*.jpg", "*/**/*.jpg"]
)
def test_two_stars_are_every_folder_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    for name in ("a.jpg", "x/b.jpg", "x/y/c.jpg", "x/y/.h/d.jpg", ".hidden/e.jpg", "x/.g.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    matches = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207
    wanted = {path for path in matches if path.is_file()}
    assert set(find_images(pattern)) == wanted
    absolute = find_images(f"{tmp_path}/{pattern}")
    assert set(absolute) == {tmp_path / path for path in wanted}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_two_stars_end_where_links_lead_in_circles(tmp_path: Path) -> None:
    for name in ("x", "x/y", "z"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
        (tmp_path / name / "circle").symlink_to(tmp_path, target_is_directory=True)
    found = find_images(f"{tmp_path}/{'**/' * 12}*.jpg")
    assert found == [tmp_path / name / "a.jpg" for name in ("x", "x/y", "z")]


@pytest.mark.skipif(os.name == "nt", reason="paths are shorter there")
def test_folders_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(100):
            Path("d" * 50).mkdir()
            os.chdir("d" * 50)
    finally:
        os.chdir(here)
    found = list_images([tmp_path])
    assert list(found.paths) == [tmp_path / "a.jpg"]
    assert len(found.passed_over.unreadable) == 1
    assert "too long" in found.passed_over.unreadable[0][1]


# ---- hostile files -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile() -> Any:
    folder = str(ROOT / "benchmarks" / "robustness")
    sys.path.insert(0, folder)
    yield importlib.import_module("doors.pictures")
    sys.path.remove(folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:UserWarning:PIL")
def test_hostile_files_load_or_are_refused(hostile: Any) -> None:
    seeds = hostile.draw_seeds(np.random.default_rng(7))
    count = {"loaded": 0, "refused": 0}
    limits = ImageLimits(max_pixels=1_000_000)
    for number in range(len(hostile.DAMAGE) * len(seeds)):
        name, data = hostile.make_case(seeds, np.random.default_rng([7, number]), number)
        try:
            image = load_image(data, limits=limits)
        except LineamentError:
            count["refused"] += 1
        else:
            assert image.dtype == np.uint8, name
            assert image.ndim == 3, name
            count["loaded"] += 1
    assert min(count.values()) > 50

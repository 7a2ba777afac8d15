"""What pictures may cost: parts of files, bytes of pixels; and objects of others as sources."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import socket
import stat
import struct
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament import FaceFinder
from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    ImageTooLargeError,
)
from lineament.images import (
    ImageLimits,
    decode_crop,
    describe_source,
    is_many,
    list_images,
    load_image,
    source_name,
)
from lineament.images import decode as decode_module
from lineament.images import pixels as pixels_module
from lineament.images import plain as plain_module
from lineament.images.boxes import Boxes
from tests.images.test_formats import COLORS16
from tests.images.test_formats import test_colors_of_few_bits_in_16 as check_few_bits
from tests.images.test_images import (
    ALPHA,
    GRAY16,
    HEIGHT,
    LOSSLESS,
    MODES,
    PIXELS,
    PNG,
    WIDTH,
    data_uri,
    encode,
    exif_with,
    needs_avif,
    png,
)

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "robustness"))
import costly  # noqa: E402

# ---- the worst files -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", costly.FILES)
def test_no_file_costs_more_than_is_promised(name: str) -> None:
    if name.startswith(("avif", "heic")):
        pytest.importorskip("pillow_heif" if name.startswith("heic") else "PIL._avif")
    data = costly.FILES[name]()
    seen = costly.measure(data)
    assert seen["said"].startswith("image_") or "x" in seen["said"], seen
    assert seen["mb"] <= 1_000 + 2 * len(data) / 1e6 + 30, seen  # and what libraries allocate once
    assert seen["cpu_s"] < 30, seen  # it was minutes; a limit of seconds would measure the machine
    assert "stderr" not in seen, seen


def _gif(before: bytes) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    return screen + before + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0;"


def _webp(chunks: int) -> bytes:
    picture = LOSSLESS["WebP"][12:]
    flags = struct.pack("<I", 0) + struct.pack("<I", WIDTH - 1)[:3]
    flags += struct.pack("<I", HEIGHT - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + flags + b"ABCD\0\0\0\0" * chunks + picture
    return b"RIFF" + struct.pack("<I", len(body)) + body


PARTS: dict[str, tuple[Callable[[int], bytes], str]] = {
    # a file with so many parts, and what they are called; one part is too many where there are most
    "comments of a JPEG": (
        lambda n: costly.jpeg(8, 8, before=costly.segment(0xFE, b"") * n),
        "segments",
    ),
    "tables of a JPEG": (
        lambda n: costly.jpeg(8, 8, before=costly.segment(0xDD, b"\0\0") * n),
        "segments",
    ),
    "segments behind a scan": (
        lambda n: costly.jpeg(8, 8, sof=0xC2, after=costly.segment(0xFE, b"") * n),
        "segments",
    ),
    "chunks of a PNG": (
        lambda n: costly.png(4, 4, 8, 0, before=costly.chunk(b"abCd", b"") * n),
        "chunks",
    ),
    "empty data of a PNG": (
        lambda n: costly.png(4, 4, 8, 0, before=costly.chunk(b"IDAT", b"") * n),
        "chunks",
    ),
    "comments of a GIF": (lambda n: _gif(b"!\xfe\x01a\0" * n), "blocks"),
    "a comment of a GIF": (lambda n: _gif(b"!\xfe" + b"\x01a" * n + b"\0"), "blocks"),
    "nothing in a GIF": (lambda n: _gif(bytes(n)), "blocks"),
    "chunks of a WebP": (_webp, "chunks"),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_counted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, what = PARTS[name]
    monkeypatch.setattr(plain_module, "MOST_PARTS", 50)
    assert load_image(make(20)).ndim == 3
    with pytest.raises(ImageTooLargeError, match=f"expected at most 50 {what}"):
        load_image(make(60))


def test_scans_of_a_jpeg_are_counted() -> None:
    scans = costly._scans
    assert load_image(costly.jpeg(16, 16, sof=0xC2, after=scans(80))).shape == (16, 16, 3)
    with pytest.raises(ImageTooLargeError, match="at most 100 scans"):
        load_image(costly.jpeg(16, 16, sof=0xC2, after=scans(100)))
    with pytest.raises(ImageTooLargeError, match="at most 24 scans of 10000 x 10000 pixels"):
        load_image(costly.jpeg(10_000, 10_000, sof=0xC2, after=scans(30)))


def test_padding_of_a_jpeg_is_left_out() -> None:
    plain = encode(PIXELS, "JPEG", quality=90)
    at = plain.index(b"\xff\xdb")
    scan = plain.index(b"\xff\xda")
    expected = load_image(plain)
    padding = b"\xff" * 5_000_000
    for data in (
        plain[:at] + padding + plain[at:],
        plain[:scan] + padding + plain[scan:],
        plain[:-2] + padding + plain[-2:],
        plain[:at] + b"\0junk" + plain[at:],
        plain + padding,
    ):
        np.testing.assert_array_equal(load_image(data), expected)
    with pytest.raises(ImageFormatError, match="padding between its pixels"):
        load_image(plain[:-2] + padding + b"\0" + plain[-2:])


def test_the_end_of_a_scan_is_where_the_pattern_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the regular expression alone, on bytes that are full of marks."""
    monkeypatch.setattr(plain_module, "_BLOCK", (16, 64))
    rng = np.random.default_rng(0)
    marks = np.frombuffer(bytes.fromhex("ffffff00d0d7d8d9c0c4cfdae0fef001bf07"), np.uint8)
    ends = 0
    for turn in range(4000):
        values = rng.choice(marks, 90) if turn % 2 else rng.integers(0, 256, 400)
        values = np.where(rng.random(len(values)) < turn / 4000, 0, values)
        data = values.astype(np.uint8).tobytes()
        expected, found = plain_module._SCAN_END.search(data, 3), plain_module._scan_end(data, 3)
        assert (found and found.span()) == (expected and expected.span())
        ends += expected is not None
    assert 1000 < ends < 3900


@pytest.mark.parametrize("kind", [0xC3, 0xC5, 0xC9, 0xCA])
def test_kinds_of_jpeg_that_nobody_writes_are_refused(kind: int) -> None:
    with pytest.raises(ImageFormatError, match=r"got a JPEG that is .*, which few programs read"):
        load_image(costly.jpeg(16, 16, sof=kind))


def test_what_makes_no_pixels_is_not_seen_by_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither texts nor profiles nor further tags: what they hold cannot matter."""
    seen: list[bytes] = []
    real = decode_module._plugin

    def plugin(kind: str) -> Any:
        made = real(kind)

        def opened(file: io.BytesIO) -> Any:
            seen.append(file.getvalue())
            return made(file)

        return opened

    monkeypatch.setattr(decode_module, "_plugin", plugin)
    secret = b"SECRET" * 10
    tags = PILImage.Exif()
    tags[0x010E] = secret.decode()
    files = {
        "JPEG": encode(PIXELS, "JPEG", comment=secret, exif=tags, icc_profile=secret),
        "PNG": encode(PIXELS, "PNG", exif=tags, icc_profile=secret),
        "GIF": encode(PILImage.fromarray(PIXELS).quantize(8), "GIF", comment=secret),
        "TIFF": encode(PIXELS, "TIFF", description=secret.decode(), icc_profile=secret),
    }
    for kind, data in files.items():
        expected = np.asarray(PILImage.open(io.BytesIO(data)).convert("RGB"))
        np.testing.assert_array_equal(load_image(data), expected)
        file = seen.pop()
        if kind == "TIFF":  # the file is there as it was, behind a directory without those tags
            with PILImage.open(io.BytesIO(file)) as picture:
                assert not {270, 34675} & set(picture.tag_v2)  # type: ignore[attr-defined]
        else:
            assert secret not in file, kind


# ---- pixels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "bytes_per_pixel"),
    [
        ("JPEG", encode(PIXELS, "JPEG"), 7),
        ("gray JPEG", encode(PIXELS[..., 0], "JPEG"), 4),
        ("progressive", encode(PIXELS, "JPEG", progressive=True, subsampling=0), 10),
        ("progressive 4:2:0", encode(PIXELS, "JPEG", progressive=True, subsampling=2), 7),
        ("PNG", PNG, 7),
        ("RGBA", encode(np.dstack([PIXELS, ALPHA]), "PNG"), 7),
        ("16 bits", encode(GRAY16, "PNG"), 5),
        ("WebP", LOSSLESS["WebP"], 16),
        ("compressed TIFF", encode(PIXELS, "TIFF", compression="tiff_lzw"), 7),
        ("float TIFF", encode(PIXELS[..., 0] / np.float32(255), "TIFF"), 7),
        ("PPM", encode(PIXELS, "PPM"), 3),
        ("array", PIXELS, 3),
    ],
)
def test_memory_is_counted_before_decoding(
    name: str, data: Any, bytes_per_pixel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed: list[int] = []
    token = decode_module.before_decoding.set(lambda pixels, n: needed.append(n // pixels))
    try:
        load_image(data)
    finally:
        decode_module.before_decoding.reset(token)
    assert needed == [bytes_per_pixel]
    exactly = ImageLimits(max_memory=bytes_per_pixel * WIDTH * HEIGHT)
    load_image(data, limits=exactly)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load_prepare", lambda self: pytest.fail("decoded"))
    less = ImageLimits(max_memory=bytes_per_pixel * WIDTH * HEIGHT - 1)
    with pytest.raises(ImageTooLargeError, match=r"pixels of this kind.*max_memory of the limits"):
        load_image(data, limits=less)


def test_sides_are_bounded() -> None:
    for width, height in ((1, 70_000), (70_000, 1)):
        with pytest.raises(ImageTooLargeError, match="65,535 pixels wide and high"):
            load_image(costly.png(width, height, 1, 0))


@pytest.mark.parametrize("strip", [1, 100, 1000])
@pytest.mark.parametrize("name", MODES)
def test_strips_give_the_same_pixels(
    name: str, strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, expected, tolerance = MODES[name]
    monkeypatch.setattr(pixels_module, "STRIP_PIXELS", strip)
    assert np.abs(load_image(data).astype(float) - expected).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16"])
def test_strips_are_turned(mode: str, orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels_module, "STRIP_PIXELS", 3 * WIDTH)
    monkeypatch.setattr(pixels_module, "TURNED_ROWS", 5)
    pixels = {"RGB": PIXELS, "L": PIXELS[..., 0], "I;16": GRAY16}.get(
        mode, np.dstack([PIXELS, ALPHA])
    )
    upright = load_image(encode(pixels, "PNG"))
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, -1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright),
    }[orientation]
    image = load_image(encode(pixels, "PNG", exif=exif_with(orientation)))
    np.testing.assert_array_equal(image, turned)


@pytest.mark.parametrize("name", COLORS16)
@pytest.mark.parametrize("bits", [8, 10, 16])
def test_deep_colors_by_strips(name: str, bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels_module, "STRIP_PIXELS", 100)
    check_few_bits(name, bits)


def test_arrays_by_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [
        PIXELS.astype(np.float64) / 255,
        PIXELS.astype(np.int64) * 257,
        np.dstack([PIXELS, ALPHA]),
        np.dstack([PIXELS, ALPHA]).astype(np.float32) / 255,
        PIXELS[..., 0],
        PIXELS[..., :1] > 99,
        GRAY16,
        PIXELS[::-1, ::-2],
    ]
    whole = [load_image(array, color_order=order) for array in arrays for order in ("rgb", "bgr")]
    monkeypatch.setattr(pixels_module, "STRIP_PIXELS", 100)
    parts = [load_image(array, color_order=order) for array in arrays for order in ("rgb", "bgr")]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- PNM -----------------------------------------------------------------------------------------


def _pnm(kind: int, largest: int, values: np.ndarray, between: bytes = b"\n") -> bytes:
    head = [b"P%d" % kind, b"%d" % WIDTH, b"%d" % HEIGHT, *([b"%d" % largest] * (kind > 4))]
    return between.join(head) + b"\n" + values.tobytes()


@pytest.mark.parametrize("largest", [1, 7, 100, 255, 256, 1000, 1023, 40_000, 65_535])
@pytest.mark.parametrize("kind", [5, 6])
def test_pnm_of_any_largest_value(kind: int, largest: int) -> None:
    share = (PIXELS if kind == 6 else PIXELS[..., :1]) / 255
    share = share / share.max()
    values = np.rint(share * largest).astype(np.uint8 if largest < 256 else ">u2")
    expected = np.floor(values.astype(float) * 255 / largest + 0.5)
    image = load_image(_pnm(kind, largest, values))
    assert np.abs(image - np.broadcast_to(expected, image.shape)).max() == 0


@pytest.mark.parametrize(
    "between", [b" ", b"\r\n", b" # a comment\n", b"\n#\n#\n\t", b"\n#" + b"a" * 900 + b"\n"]
)
def test_headers_of_pnm(between: bytes) -> None:
    np.testing.assert_array_equal(load_image(_pnm(6, 255, PIXELS, between)), PIXELS)
    bits = np.packbits(PIXELS[..., 0] > 99, axis=1)
    expected = np.where(PIXELS[..., :1] > 99, 0, 255).repeat(3, axis=2)
    np.testing.assert_array_equal(load_image(_pnm(4, 1, bits, between)), expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_pnm(6, 255, PIXELS)[:-1], "cut short"),
        (_pnm(6, 255, PIXELS, b"\n#" + b"a" * 9000 + b"\n"), "without a plain header"),
        (b"P6 3 3 70000\n" + bytes(54), "without a plain header|up to 1 to 65535"),
        (b"P6 3 3 0\n" + bytes(54), "up to 1 to 65535"),
        (b"P5 0 3 255\n", "without pixels"),
        (b"P5 2 1 7\n\x07\x08", "values up to 7, as its header says, got 8"),
        (b"P6 -3 3 255\n" + bytes(54), "without a plain header"),
    ],
)
def test_bad_pnm(data: bytes, message: str) -> None:
    with pytest.raises(ImageFormatError, match=message):
        load_image(data)


# ---- crops ---------------------------------------------------------------------------------------


def test_a_crop_is_a_png_of_its_size() -> None:
    np.testing.assert_array_equal(decode_crop(PNG, "its crop", (WIDTH, HEIGHT)), PIXELS)
    np.testing.assert_array_equal(decode_crop(PNG, "its crop"), PIXELS)


@pytest.mark.parametrize(
    ("data", "size_wh", "message"),
    [
        (encode(PIXELS, "JPEG"), None, "the crop of a face as PNG, got JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", None, "got an EPS"),
        (b"", None, "got nothing"),
        (b"crop", None, "got text"),
        (PNG, (112, 112), "a crop of 112 x 112 pixels, got 48 x 32"),
        (costly.png(2000, 10, 8, 0), None, "at most 1024 x 1024 pixels, got 2000 x 10"),
        (png(0, 0, 8, 0, b""), None, "got 0 x 0"),
        (PNG[:-20], (WIDTH, HEIGHT), "broken or cut short"),
        (PNG[:60] + bytes(20) + PNG[80:], None, "broken or cut short"),
    ],
)
def test_what_is_no_crop(data: bytes, size_wh: Any, message: str) -> None:
    with pytest.raises(ImageFormatError, match=message):
        decode_crop(data, "its crop", size_wh)


# ---- Pillow images -------------------------------------------------------------------------------

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


def test_a_pillow_file_that_would_start_a_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with (
        PILImage.open(io.BytesIO(EPS)) as picture,
        pytest.raises(ImageFormatError, match="Pillow's kind EPS that is not decoded yet"),
    ):
        load_image(picture)
    assert not (tmp_path / "started").exists()


def test_a_pillow_file_is_looked_at_as_its_bytes_are() -> None:
    data = costly.jpeg(16, 16, sof=0xC2, after=costly._scans(100))
    with (
        PILImage.open(io.BytesIO(data)) as picture,
        pytest.raises(ImageTooLargeError, match="at most 100 scans"),
    ):
        load_image(picture)
    with PILImage.open(io.BytesIO(LOSSLESS["WebP"])) as picture:
        np.testing.assert_array_equal(load_image(picture), PIXELS)
    with PILImage.open(io.BytesIO(PNG)) as picture:
        picture.load()
        np.testing.assert_array_equal(load_image(picture), PIXELS)


# ---- paths ---------------------------------------------------------------------------------------


def _socket(folder: Path) -> Path:
    path = folder / "socket"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.close()
    return path


def _fifo(folder: Path) -> Path:
    path = folder / "pipe.jpg"
    os.mkfifo(path)
    return path


NO_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "pipe": (_fifo, "a pipe"),
    "socket": (_socket, "a socket"),
    "zero": (lambda folder: Path("/dev/zero"), "a device"),
    "random": (lambda folder: Path("/dev/random"), "a device"),
    "null": (lambda folder: Path("/dev/null"), "a device"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", NO_FILES)
@pytest.mark.parametrize("by_link", [False, True])
def test_what_is_no_file_is_refused_at_once(name: str, by_link: bool, tmp_path: Path) -> None:
    make, what = NO_FILES[name]
    path = make(tmp_path)
    if not path.exists():
        pytest.skip(f"no {path} here")
    if by_link:
        link = tmp_path / "link.jpg"
        link.symlink_to(path)
        path = link
    handles = Path("/proc/self/fd")
    before = len(list(handles.iterdir())) if handles.is_dir() else 0
    with pytest.raises(ImageError, match=f"expected a file, got {what}"):
        load_image(path)
    assert before in (0, len(list(handles.iterdir())))
    found = FaceFinder().find([path, PNG])
    assert [photo.error is None for photo in found] == [False, True]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_folders_name_pipes_and_devices(tmp_path: Path) -> None:
    _fifo(tmp_path)
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "a.png").write_bytes(PNG)
    found = list_images(tmp_path)
    assert [path.name for path in found.paths] == ["a.png"]
    assert found.passed_over.to_dict()["not_files"] == 2
    assert found.passed_over.in_words == "2 pipes, sockets or devices"
    assert (found.passed_over + found.passed_over).not_files == 4


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no /dev/fd here")
def test_a_pipe_that_says_nothing_is_left() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(ImageError, match=r"not all of it came within 0\.2 s.*url_timeout_s"):
            load_image(f"/dev/fd/{reader}", limits=ImageLimits(url_timeout_s=0.2))
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                os.write(writer, bytes(4096))

        thread = threading.Thread(target=write)
        thread.start()
        with pytest.raises(ImageTooLargeError):
            load_image(f"/dev/fd/{reader}", limits=ImageLimits(max_bytes=100_000))
        stop.set()
        os.read(reader, 1 << 20)
        thread.join()
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no /dev/fd here")
def test_a_file_that_a_shell_hands_over(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_image(f"/dev/fd/{file.fileno()}"), PIXELS)
    handle = os.open("/dev/zero", os.O_RDONLY)
    try:
        with pytest.raises(ImageError, match="got a device"):
            load_image(f"/dev/fd/{handle}")
    finally:
        os.close(handle)


# ---- objects of others ---------------------------------------------------------------------------


class _Raises:
    """A file object that raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def read(self, n_bytes: int = -1) -> bytes:
        raise self.error


class _RaisingPath(os.PathLike[str]):
    def __fspath__(self) -> str:
        raise RuntimeError("no path today")


class _RaisingArray:
    def __array__(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("no array today")


class _RaisingInterface:
    @property
    def __array_interface__(self) -> Any:
        raise RuntimeError("no interface today")


class _RaisingEverything:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} today")


class _Shapeless:
    shape = dtype = property(lambda self: 1 / 0)

    def __array__(self, *args: Any, **options: Any) -> Any:
        return PIXELS


class _Trickle:
    """A byte at a time, for ever, as a generator would give them."""

    def read(self, n_bytes: int = -1) -> bytes:
        return b"a"


OBJECTS: dict[str, Callable[[], Any]] = {
    "BadZipFile": lambda: _Raises(zipfile.BadZipFile("a bad zip")),
    "RuntimeError": lambda: _Raises(RuntimeError("no")),
    "zlib": lambda: _Raises(zlib.error("no")),
    "KeyError": lambda: _Raises(KeyError("no")),
    "StopIteration": lambda: _Raises(StopIteration()),
    "path": _RaisingPath,
    "array": _RaisingArray,
    "interface": _RaisingInterface,
    "everything": _RaisingEverything,
    "objects": lambda: np.array([[object()] * 3] * 3),
    "texts": lambda: np.array([["a"] * 3] * 3),
    "complex": lambda: np.ones((3, 3), np.complex128),
    "times": lambda: np.zeros((3, 3), "datetime64[s]"),
    "records": lambda: np.zeros((3, 3), [("a", "u1")]),
    "not a number": lambda: np.full((3, 3), np.nan),
    "infinite": lambda: np.full((3, 3, 3), np.inf),
    "one NaN": lambda: np.where(np.arange(900).reshape(30, 30) == 777, np.nan, 0.5),
    "huge by strides": lambda: np.broadcast_to(np.uint8(7), (100_000, 100_000)),
    "huge floats": lambda: np.broadcast_to(np.float64(0.5), (100_000, 100_000, 3)),
    "huge colors": lambda: np.broadcast_to(np.zeros(3, np.uint8), (200_000, 90_000, 3)),
    "huge bytes": lambda: np.broadcast_to(np.uint8(255), (10**11,)),
    "endless": _Trickle,
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_of_others_are_errors_in_their_place(name: str) -> None:
    limits = ImageLimits(max_bytes=300_000)
    with pytest.raises(ImageError):
        load_image(OBJECTS[name](), limits=limits)
    assert source_name(OBJECTS[name]())
    assert describe_source(OBJECTS[name]())
    assert not is_many(OBJECTS[name]()) or name in ("huge bytes",)
    photos = FaceFinder(limits=limits).find([OBJECTS[name](), PNG, OBJECTS[name](), PNG])
    assert [photo.error is None for photo in photos] == [False, True, False, True]


def test_an_array_that_hides_what_it_is_can_be_read() -> None:
    np.testing.assert_array_equal(load_image(_Shapeless()), PIXELS)  # type: ignore[arg-type]


def test_masked_and_mapped_arrays(tmp_path: Path) -> None:
    masked = np.ma.masked_array(PIXELS, PIXELS > 100)
    image = load_image(masked)
    assert type(image) is np.ndarray
    np.testing.assert_array_equal(image, PIXELS)
    mapped = np.memmap(tmp_path / "pixels", np.uint16, "w+", shape=(HEIGHT, WIDTH))
    mapped[:] = GRAY16
    np.testing.assert_array_equal(load_image(mapped), load_image(GRAY16))
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(10**11)
    with pytest.raises(ImageTooLargeError):
        load_image(np.memmap(sparse, np.uint8, "r", shape=(10**5, 10**5, 10)[:2]))


# ---- texts ---------------------------------------------------------------------------------------


def test_percent_encoded_and_blanks_in_base64() -> None:
    plain = data_uri(PNG)
    head, comma, payload = plain.partition(",")
    for encoded in (
        "".join(f"%{ord(letter):02x}" for letter in payload),
        payload.replace("=", "%3D").replace("/", "%2F").replace("+", "%2b"),
        payload.replace("+", "-").replace("/", "_"),
        "\n".join(payload[i : i + 3] for i in range(0, len(payload), 3)),
        "%20 ".join(payload[i : i + 70] for i in range(0, len(payload), 70)),
    ):
        np.testing.assert_array_equal(load_image(head + comma + encoded), PIXELS)


@pytest.mark.parametrize(
    "text",
    [
        "data:image/png;base64," + "%41" * 2_000_000,
        "data:image/png;base64," + " " * 5_000_000,
        "data:image/png;base64," + "é" * 5_000_000,
        "data:" + "a" * 5_000_000,
        base64.b64encode(PNG).decode() + "A" * 5_000_000,
        "a" * 5_000_000,
        "\x1b" * 5_000_000,
        "a:" * 2_000_000,
        "file:///" + "%41" * 1_000_000,
        "http" * 1_000_000,
        "/" * 5_000_000,
        "*" * 5_000_000,
    ],
)
def test_long_texts_are_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises((ImageTooLargeError, ImageFormatError, ImageNotFoundError)) as caught:
        load_image(text, limits=ImageLimits(max_bytes=100_000))
    assert len(str(caught.value)) < 1000
    assert not is_many(text)
    assert time.process_time() - start < 5  # it was seconds a megabyte


# ---- AVIF, HEIC ----------------------------------------------------------------------------------


@pytest.mark.parametrize("brand", [b"avif", b"heic"])
@pytest.mark.parametrize("part", ["infe", "iloc", "ipma", "iref", "dimg"])
def test_items_are_counted(part: str, brand: bytes) -> None:
    with pytest.raises(ImageTooLargeError, match=r"at most 5,000 (items|references|boxes)"):
        load_image(costly.avif_items(brand, **{part: 6_000}))


@pytest.mark.parametrize("part", ["ipco", "free"])
def test_boxes_are_counted(part: str) -> None:
    with pytest.raises(ImageTooLargeError, match=r"at most 100,000 boxes"):
        load_image(costly.avif_items(**{part: 110_000}))


@needs_avif
@pytest.mark.parametrize("options", [{}, {"subsampling": "4:4:4"}, {"tile_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_av1_decodes_is_read_from_its_own_header(mode: str, options: dict[str, Any]) -> None:
    data = costly._encoded("AVIF", (500, 300), mode, speed=10, **options)
    frames = [(500, 300)] * (2 if mode == "RGBA" else 1)
    assert list(Boxes(data).frames_wh) == frames
    assert load_image(data).shape == (300, 500, 3)
    where, there = b"ispe\0\0\0\0", struct.pack(">II", 500, 300)
    liar = data.replace(where + there, where + struct.pack(">II", 20, 20))
    assert list(Boxes(liar).frames_wh) == frames
    with pytest.raises(ImageTooLargeError, match="got 500 x 300"):
        load_image(liar, limits=ImageLimits(max_pixels=1000))


@needs_avif
def test_an_animation_has_a_header_in_its_track() -> None:
    pictures = [PILImage.new("RGB", (320, 200), color) for color in ("red", "blue", "green")]
    data = encode(pictures[0], "AVIF", save_all=True, append_images=pictures[1:])
    assert set(Boxes(data).frames_wh) == {(320, 200)}
    assert load_image(data).shape == (200, 320, 3)


def test_damaged_boxes_are_damage() -> None:
    data = costly.avif_items(infe=3, iloc=3, ipma=3, dimg=3)
    random = np.random.default_rng(5)
    for _ in range(2000):
        broken = bytearray(data[: random.integers(40, len(data) + 1)])
        broken[random.integers(12, len(broken))] = random.integers(256)
        with contextlib.suppress(ValueError, ImageTooLargeError):
            Boxes(bytes(broken))


# ---- TIFF ----------------------------------------------------------------------------------------

TIFFS = {
    "overlapping strips": (
        costly.tiff(64, 640, rows=1, strip=costly.deflated([bytes(64), os.urandom(3000)])),
        ImageFormatError,
        "lie in one another",
    ),
    "too many tiles": (costly.tiff(5000, 5000, tile=16), ImageTooLargeError, "strips or tiles"),
    "a huge tile": (
        costly.tiff(16, 16, tile=65_536, strip=b"x"),
        ImageTooLargeError,
        "of this kind",
    ),
    "scans": (
        costly.tiff(
            16, 16, compression=7, strip=costly.jpeg(16, 16, sof=0xC2, after=costly._scans(30))
        ),
        ImageTooLargeError,
        "20 scans in a strip",
    ),
    "old JPEG": (
        costly.tiff(16, 16, compression=6, strip=costly.jpeg(16, 16)),
        ImageFormatError,
        r"compression \(6\) is not read",
    ),
    "unknown": (costly.tiff(16, 16, compression=77), ImageFormatError, "compression"),
}


@pytest.mark.parametrize("name", TIFFS)
def test_costly_tiffs(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, kind, message = TIFFS[name]
    with pytest.raises(kind, match=message):
        load_image(data)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "data",
    [
        costly.tiff(10, 10, more=[(270, 2, 10**8, 8)]),
        costly.tiff(10, 10, more=[(40_000 + i, 1, 10**6, 8) for i in range(400)]),
        costly.tiff(10, 10, more=[(274, 3, 5, 8), (296, 3, 7, 8), (700, 1, 2**31, 2**31)]),
        costly.tiff(10, 10, more=[(34665, 4, 1, 2**31), (34853, 4, 1, 9), (330, 4, 1, 2**30)]),
    ],
)
def test_tags_that_make_no_pixels_do_not_matter(
    data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert load_image(data).shape == (10, 10, 3)  # pytest makes Pillow's warnings errors
    assert capfd.readouterr() == ("", "")


def test_padding_without_an_end_is_read_once() -> None:
    """Looked at from each of its bytes, it would take days."""
    with pytest.raises(ImageFormatError, match="it has no end"):
        load_image(b"\xff\xd8" + b"\xff" * 5_000_000)

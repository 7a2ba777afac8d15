"""Stage 1: the parts of a JPEG, PNG, GIF or WebP file that make its pixels, and no others.

Decoders walk over texts, profiles, previews, padding and unknown parts one by one: some in Python,
some again and again for each block of the file, so that 60 MB of padding take minutes and four
million empty parts a gigabyte. What is handed to them here has none of it. Parts are counted, and
too many refused: photographs have a few dozen, or a few thousand where they are large.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lineament.errors import ImageFormatError, ImageTooLargeError

MOST_PARTS = 100_000
"""Segments of a JPEG, chunks of a PNG, blocks of a GIF before its picture. A PNG of 64 MiB whose
data come in chunks of 8 KiB, as libpng writes them, has 8,192."""

MOST_SCANS = 100
"""Of a JPEG. Progressive ones have about 10; libjpeg-turbo advises to refuse those with hundreds:
https://libjpeg-turbo.org/pmwiki/uploads/About/TwoIssueswiththeJPEGStandard.pdf"""

MOST_SCANNED_PIXELS = 2_400_000_000
"""Scans times pixels of a JPEG: 20 scans of 120 megapixels, 100 of 24. A scan takes about 1 ns a
pixel even if it is empty."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A file with what makes its pixels.

    Attributes:
        data: the file.
        size_wh: width and height in pixels, as they are stored; None where only the decoder knows.
        orientation: EXIF's, 1 to 8; None where the decoder is asked.
        held_bytes: a pixel, that the decoder holds beside the picture that it makes.
        flaw: what is wrong with it apart from its size; "" where nothing is seen.
    """

    data: bytes
    size_wh: tuple[int, int] | None = None
    orientation: int | None = None
    held_bytes: float = 0.0
    flaw: str = ""


def too_many(what: str, most: int) -> ImageTooLargeError:
    """The error for parts that take longer than a photo may."""
    return ImageTooLargeError(
        f"expected at most {most:,} {what}, got more", hint="save the photo anew"
    )


# --- JPEG -----------------------------------------------------------------------------------------

_MARK = re.compile(rb"\xff([\x01-\xfe])")
"""A marker's last two bytes: padding before it is passed over without a look at every start of it,
which takes the square of its length."""

_SCAN_END = re.compile(rb"\xff+[\xc0-\xcf\xd9-\xdf\xe0-\xef\xfe]|\xff{16}")
"""The next marker that is none of a scan's own (restarts, stuffing); or padding, which libjpeg
walks over again and again."""

_MAY_END = np.zeros(256, bool)
"""Which bytes after 0xFF ``_SCAN_END`` looks at: all but stuffing, restarts and what is no
marker."""
_MAY_END[[*range(0xC0, 0xD0), *range(0xD9, 0xF0), 0xFE, 0xFF]] = True

_BLOCK = 1 << 16, 1 << 22
"""Bytes of a scan that are looked at together: the first, and the most."""

_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {
    **dict.fromkeys((0xC3,), "lossless"),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB), "arithmetic-coded"),
}
_TABLES = {0xC4, 0xDB, 0xDD}
_END, _SCAN, _EXIF, _JFIF, _ADOBE = 0xD9, 0xDA, 0xE1, 0xE0, 0xEE


def plain_jpeg(data: bytes) -> Plain:
    """Frame, tables and scans, and the two segments that say which colors they are.

    Raises:
        ValueError: it is damaged.
        ImageFormatError: of a kind that cameras do not write.
        ImageTooLargeError: too many segments or scans.
    """
    view, at = memoryview(data), 2
    parts: list[bytes | memoryview] = [b"\xff\xd8"]
    scans, segments, first, exif = 0, 0, 0, b""
    frame: tuple[int, bytes] | None = None
    seen: set[int] = set()
    while True:
        mark = _MARK.search(data, at)
        if mark is None:
            raise ValueError("it has no end")
        kind, at = mark[1][0], mark.end()
        if kind == _END and frame is not None and scans:
            break
        if kind in (_END, 0xD8, 0x01) or 0xD0 <= kind <= 0xD7:
            continue
        segments += 1
        if segments > MOST_PARTS:
            raise too_many("segments", MOST_PARTS)
        length = int.from_bytes(view[at : at + 2], "big")
        end = at + length
        if length < 2 or end > len(data):
            raise ValueError("it has no end")
        if kind in _OTHER_FRAMES:
            raise ImageFormatError(
                f"got a JPEG that is {_OTHER_FRAMES[kind]}, which few programs read; save it as an "
                "ordinary one"
            )
        if kind == _EXIF:
            if not exif and data.startswith(b"Exif\0", at + 2):
                exif = bytes(view[at + 2 : end])
        elif kind in _FRAMES:
            if frame is not None:
                raise ValueError("it has two frames")
            frame = kind, bytes(view[at + 2 : end])
        once = kind in (_JFIF, _ADOBE) and kind not in seen
        seen.add(kind)
        if once or kind in _TABLES or kind in _FRAMES or kind == _SCAN:
            parts.append(bytes(b"\xff" + view[at - 1 : end]))
        at = end
        if kind == _SCAN:
            if frame is None:
                raise ValueError("it has no frame")
            first = first or parts[-1][4]
            scans += 1
            if scans > MOST_SCANS:
                raise too_many("scans", MOST_SCANS)
            found = _scan_end(data, at)
            if found is None:
                raise ValueError("it has no end")
            if found[0][-1] == 0xFF:
                raise ValueError("padding between its pixels")
            parts.append(view[at : found.start()])
            at = found.start()
    assert frame is not None
    parts.append(b"\xff\xd9")
    size_wh, held = _frame(*frame, scans, first)
    plain = b"".join(parts)
    flaw = ""
    if size_wh[0] * size_wh[1] > 512 * len(plain):  # a Huffman code per 8 x 8 pixels: >= 1 bit
        flaw = f"{size_wh[0]} x {size_wh[1]} pixels cannot come from so few bytes"
    return Plain(plain, size_wh, exif_orientation(exif), held, flaw)


def _scan_end(data: bytes, at: int) -> re.Match[bytes] | None:
    """``_SCAN_END`` from a place on, without a look at each byte by itself: a tenth of the time."""
    values, step = np.frombuffer(data, np.uint8), _BLOCK[0]
    while at < len(data):
        marks = np.flatnonzero(values[at : at + step] == 0xFF) + at
        marks = marks[: np.searchsorted(marks, len(data) - 1)]  # all have a byte behind them
        ends = marks[_MAY_END[values[marks + 1]]]
        if len(ends):
            return _SCAN_END.search(data, int(ends[0]))
        at, step = at + step, min(4 * step, _BLOCK[1])
    return None


def _frame(kind: int, frame: bytes, scans: int, first: int) -> tuple[tuple[int, int], float]:
    """Width and height, and the bytes a pixel of coefficients that are kept between scans.

    Args:
        kind: its marker.
        frame: what it holds.
        scans: how many there are.
        first: components of the first one.
    """
    height, width, components = struct.unpack_from(">HHB", frame, 1)
    factors = [(hv >> 4, hv & 15) for hv in frame[7 : 6 + 3 * components : 3]]
    if not factors or len(factors) != components or not all(h and v for h, v in factors):
        raise ValueError("its frame is damaged")
    if scans > 1 and scans * width * height > MOST_SCANNED_PIXELS:
        raise too_many(
            f"scans of {width} x {height} pixels", MOST_SCANNED_PIXELS // (width * height)
        )
    if kind != 0xC2 and first == components:
        return (width, height), 0.0
    widest, tallest = max(h for h, _ in factors), max(v for _, v in factors)
    return (width, height), 2 * sum(h * v for h, v in factors) / (widest * tallest)


def exif_orientation(exif: bytes) -> int:
    """EXIF's orientation, 1 to 8 (EXIF 2.32, tag 0x0112, in the first directory).

    Read here because Pillow's ``getexif`` warns about, and fails on, damage elsewhere in the EXIF.
    """
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


# --- PNG ------------------------------------------------------------------------------------------

_PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}
_MOST_OF_A_CHUNK = {b"IHDR": 13, b"PLTE": 768, b"tRNS": 256}


def plain_png(data: bytes) -> Plain:
    """Header, palette and pixels, with their checksums checked, the pixels in one chunk.

    Pillow loads pixels whose checksum is wrong, and inflates every text and profile (2 s a MiB).

    Raises:
        ValueError: it is damaged.
        ImageTooLargeError: too many chunks.
    """
    view, at, kind, chunks = memoryview(data), 8, b"", 0
    found: dict[bytes, bytes] = {}
    pixels: list[memoryview] = []
    while kind != b"IEND":
        chunks += 1
        if chunks > MOST_PARTS:
            raise too_many("chunks", MOST_PARTS)
        if at + 12 > len(data):
            raise ValueError("it has no end")
        end = at + 12 + int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        if kind in _PNG_CHUNKS:
            if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
                raise ValueError(f"wrong checksum of {kind.decode()}")
            if kind == b"IDAT":
                pixels.append(view[at + 8 : end - 4])
            else:
                found.setdefault(kind, bytes(view[at + 8 : end - 4]))
        at = end
    head = found.get(b"IHDR", b"")
    if len(head) != 13:
        raise ValueError("it has no header")
    parts: list[bytes | memoryview] = [data[:8]]
    for name, most in _MOST_OF_A_CHUNK.items():
        if name in found:
            parts += _chunk(name, [found[name][:most]])
    plain = b"".join([*parts, *_chunk(b"IDAT", pixels), *_chunk(b"IEND", [])])
    width, height = struct.unpack_from(">II", head)
    return Plain(plain, (width, height), exif_orientation(found.get(b"eXIf", b"")))


def _chunk(kind: bytes, content: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    checksum = zlib.crc32(kind)
    for part in content:
        checksum = zlib.crc32(part, checksum)
    length = sum(map(len, content))
    return [struct.pack(">I", length), kind, *content, struct.pack(">I", checksum)]


# --- GIF ------------------------------------------------------------------------------------------


def plain_gif(data: bytes) -> Plain:
    """The screen, its palette, and the file from the first picture on.

    The size is the screen's, grown to hold the first frame, as Pillow does.

    Raises:
        ValueError: it is damaged.
        ImageTooLargeError: too many blocks before the picture.
    """
    try:
        width, height, flags = struct.unpack_from("<HHB", data, 6)
        start = at = 13 + (6 << (flags & 7) if flags & 0x80 else 0)
        control, blocks = b"", 0
        while data[at] != 0x2C:
            begin = at
            if data[at] == 0x3B:
                raise ValueError("it has no picture")
            if data[at] == 0x21:  # an extension: its label, then blocks until an empty one
                at += 2
                while data[at]:
                    at += 1 + data[at]
                    blocks += 1
                    if blocks > MOST_PARTS:
                        raise too_many("blocks before the picture", MOST_PARTS)
                if data[begin + 1] == 0xF9:
                    control = data[begin : at + 1]
            at += 1
            blocks += 1
            if blocks > MOST_PARTS:
                raise too_many("blocks before the picture", MOST_PARTS)
        x, y, frame_width, frame_height = struct.unpack_from("<4H", data, at + 1)
    except (IndexError, struct.error) as error:
        raise ValueError("it is cut short") from error
    size_wh = max(width, x + frame_width), max(height, y + frame_height)
    return Plain(data[:start] + control + data[at:], size_wh, 1)


# --- WebP -----------------------------------------------------------------------------------------


def plain_webp(data: bytes) -> Plain:
    """The file as it is, and its size: libwebp takes the memory for it before Pillow is asked.

    Raises:
        ValueError: it is damaged.
        ImageTooLargeError: too many chunks.
    """
    kind = data[12:16]
    size_wh = None
    if kind == b"VP8X" and len(data) >= 30:
        size_wh = (
            int.from_bytes(data[24:27], "little") + 1,
            int.from_bytes(data[27:30], "little") + 1,
        )
    elif kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        size_wh = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        size_wh = width & 0x3FFF, height & 0x3FFF
    if size_wh is None:
        raise ValueError("its header is damaged")
    at, chunks = 12, 0
    while at + 8 <= len(data):
        at += 8 + (int.from_bytes(data[at + 4 : at + 8], "little") + 1) // 2 * 2
        chunks += 1
        if chunks > MOST_PARTS:
            raise too_many("chunks", MOST_PARTS)
    return Plain(data, size_wh)

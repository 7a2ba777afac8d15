"""Memory and seconds of the pictures that cost the most for their size, each in its own process.

    python benchmarks/robustness/costly.py [--only TEXT] [--json]

    COSTLY["webp lossless"]()        the bytes of a file, for other scripts

Each function makes one file. Most are small (a few bytes to a megabyte) and promise many pixels, or
many parts that a decoder walks over one by one; those marked ``BULKY`` use the 64 MiB that a photo
may have. Whoever decodes them must refuse them, or stay within what ``ImageLimits`` promises.
"""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, report, table, track

SIDE = 10_900
"""SIDE x SIDE is a little less than 120 megapixels."""

TIFF_SIDE = 9_400
"""Squared it is a little less than what Pillow warns of."""

MIB = 2**20


# --- JPEG -----------------------------------------------------------------------------------------


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


_DC = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1] + [0] * 7) + bytes(range(12))
"""The standard's table for luminance: a difference of 0 is 00."""
_AC_ZERO = bytes([1, 1] + [0] * 14) + bytes([0x00, 0x01])
"""The end of a block is 0, and the coefficient 1 behind no zeros 10 and its sign."""


def jpeg(
    width: int,
    height: int,
    *,
    sampling: Sequence[int] = (0x11,),
    sof: int = 0xC0,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A gray picture, or one of several components: three bits a block, in one scan."""
    n = len(sampling)
    head = b"\xff\xd8" + before + segment(0xDB, b"\0" + bytes([1] * 64))
    frame = struct.pack(">BHHB", 8, height, width, n)
    frame += b"".join(bytes([i + 1, hv, 0]) for i, hv in enumerate(sampling))
    head += segment(sof, frame) + segment(0xC4, b"\0" + _DC) + segment(0xC4, b"\x10" + _AC_ZERO)
    wide = max(hv >> 4 for hv in sampling)
    tall = max(hv & 15 for hv in sampling)
    if n == 1:
        wide = tall = 1
    blocks = -(-width // (8 * wide)) * -(-height // (8 * tall))
    blocks *= 1 if n == 1 else sum((hv >> 4) * (hv & 15) for hv in sampling)
    if sof == 0xC0:
        end = b"\0\x3f\0"
        data = bytes(-(-blocks * 3 // 8))  # 00 0, again and again
    else:
        end, data = b"\0\0\0", bytes(-(-blocks * 2 // 8))
    scan = segment(0xDA, bytes([n, *chain(*((i + 1, 0) for i in range(n)))]) + end)
    return head + scan + data + after + b"\xff\xd9"


def _scans(count: int, component: int = 1, first: int = 1, last: int = 63) -> bytes:
    """Scans of a progressive picture, without data: libjpeg fills in zeros."""
    return segment(0xDA, bytes([1, component, 0, first, last, 0])) * count


def _full_blocks(width: int, height: int) -> bytes:
    """Every coefficient of every block is 1: 63 of 3 bits each."""
    blocks = -(-width // 8) * -(-height // 8)
    bits = "00" + "101" * 63
    unit = int(bits * 8, 2).to_bytes(len(bits), "big").replace(b"\xff", b"\xff\0")
    base = jpeg(width, height)
    at = base.index(segment(0xDA, b"\1\1\0\0\x3f\0")) + 10
    return base[:at] + unit * (blocks // 8) + b"\xff\xd9"


# --- PNG ------------------------------------------------------------------------------------------


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def deflated(parts: Iterable[bytes], level: int = 1) -> bytes:
    press = zlib.compressobj(level)
    return b"".join(press.compress(part) for part in parts) + press.flush()


def zeros(n_bytes: int) -> Iterable[bytes]:
    block = bytes(MIB)
    for _ in range(n_bytes // MIB):
        yield block
    yield bytes(n_bytes % MIB)


def png(
    width: int,
    height: int,
    bits: int,
    color: int,
    *,
    before: bytes = b"",
    interlaced: bool = False,
    pixels: bytes | None = None,
    filter_type: int = 0,
) -> bytes:
    """One of zeros, or of one row again and again. ``color``: 0 L, 2 RGB, 3 P, 4 LA, 6 RGBA."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = -(-width * channels * bits // 8) + 1
    extra = 16 * (-(-width * channels // 8 * bits // 8) + 2) * height // 8 if interlaced else 0
    if pixels is None and not filter_type:
        data = deflated(zeros(row * height + extra))
    else:
        line = bytes([filter_type]) + (bytes(row - 1) if pixels is None else pixels)
        data = deflated(line for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + before
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


# --- TIFF -----------------------------------------------------------------------------------------


def tiff(
    width: int,
    height: int,
    *,
    bits: Sequence[int] = (8,),
    photometric: int = 1,
    sample_format: int = 1,
    compression: int = 8,
    rows: int | None = None,
    tile: int | None = None,
    strip: bytes | None = None,
    more: Sequence[tuple[int, int, int, int]] = (),
    extra: int | None = None,
    planar: int = 1,
    last: bytes = b"",
) -> bytes:
    """Strips (or tiles) that are all the same bytes, of zeros where none are given."""
    rows = height if rows is None else rows
    samples = len(bits)
    if tile is None:
        count = -(-height // rows)
        size = rows * -(-width * sum(bits) // 8)
    else:
        count = -(-height // tile) * -(-width // tile)
        size = tile * tile * sum(bits) // 8
    if planar == 2:
        count, size = count * samples, size // samples
    if strip is None:
        strip = deflated(zeros(size)) if compression == 8 else bytes(min(size, MIB))
    at = 8
    offsets_at = at + len(strip)
    counts_at = offsets_at + 4 * count
    bits_at = counts_at + 4 * count
    formats_at = bits_at + 2 * samples
    directory = formats_at + 2 * samples

    def listed(place: int, size: int, value: int) -> int:
        return value if count == 1 else place

    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, bits_at if samples > 2 else bits[0] | bits[-1] << 16),
        (259, 3, 1, compression),
        (262, 3, 1, photometric),
        (277, 3, 1, samples),
        (284, 3, 1, planar),
        (
            339,
            3,
            samples,
            formats_at if samples > 2 else sample_format | (sample_format << 16) * (samples - 1),
        ),
        *more,
    ]
    if extra is not None:
        entries.append((338, 3, 1, extra))
    if tile is None:
        entries += [
            (273, 4, count, listed(offsets_at, 4, at)),
            (278, 4, 1, rows),
            (279, 4, count, listed(counts_at, 4, len(strip))),
        ]
    else:
        entries += [
            (322, 4, 1, tile),
            (323, 4, 1, tile),
            (324, 4, count, listed(offsets_at, 4, at)),
            (325, 4, count, listed(counts_at, 4, len(strip))),
        ]
    entries.sort()
    body = strip + struct.pack("<I", at) * count + struct.pack("<I", len(strip)) * count
    body += struct.pack(f"<{samples}H", *bits) + struct.pack("<H", sample_format) * samples
    body += struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", directory) + body + last


# --- GIF, BMP, PNM, WebP --------------------------------------------------------------------------


def gif(
    width: int,
    height: int,
    *,
    before: bytes = b"",
    frame_wh: tuple[int, int] | None = None,
    blocks_of: int = 255,
) -> bytes:
    """Of one color: each code stands for the longest run that is there, as LZW has it."""
    wide, tall = (width, height) if frame_wh is None else frame_wh
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, wide, tall, 0) + b"\x02"
    size, following, length = 3, 6, 12
    bits, n_bits, out = 0, 0, bytearray()

    def put(code: int) -> None:
        nonlocal bits, n_bits
        bits |= code << n_bits
        n_bits += size
        while n_bits >= 8:
            out.append(bits & 255)
            bits >>= 8
            n_bits -= 8

    put(4)
    put(0)
    n, run = 1, 1
    while n < wide * tall:
        if following < 4096:
            run += 1
            put(following)
            n += run
            following += 1
            if following == 1 << size and size < length:
                size += 1
        else:
            put(4095)
            n += run
    put(5)
    out.append(bits & 255)
    data = b"".join(
        bytes([len(out[i : i + blocks_of])]) + out[i : i + blocks_of]
        for i in range(0, len(out), blocks_of)
    )
    return screen + before + frame + data + b"\0;"


def bmp(width: int, height: int, bits: int, compression: int, data: bytes) -> bytes:
    colors = 1 << bits if bits <= 8 else 0
    at = 54 + 4 * colors
    head = b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at)
    head += struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colors, 0
    )
    return head + bytes(4 * colors) + data


def webp_lossless(width: int, height: int, alpha: bool = True) -> bytes:
    """Five codes of one symbol each: no bits for pixels, however many there are."""
    bits = (width - 1) | (height - 1) << 14 | int(alpha) << 28
    # no transform, no color cache, no meta codes; each of five codes: simple, one symbol, 8 bits: 0
    text = "0" + "0" + "0"
    for _ in range(5):
        text += "1" + "0" + "0" + "0"  # simple; one symbol; symbol of one bit: 0
    value = int(text[::-1], 2)
    body = b"\x2f" + struct.pack("<I", bits) + value.to_bytes(8, "little")
    body += bytes(len(body) % 2)
    riff = b"WEBPVP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(riff)) + riff


def _webp_frames(count: int) -> bytes:
    inner = webp_lossless(1, 1)[12:]
    frame = bytes(6) + bytes(6) + bytes(4) + inner
    one = b"ANMF" + struct.pack("<I", len(frame)) + frame
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + bytes(6)
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6) + one * count
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_chunks(count: int) -> bytes:
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(10)
    body += b"ABCD\0\0\0\0" * count + webp_lossless(1, 1)[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _encoded(kind: str, size_wh: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    import io

    from PIL import Image

    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    file = io.BytesIO()
    Image.new(mode, size_wh, 77).save(file, kind, **options)
    return file.getvalue()


def _avif_that_lies() -> bytes:
    """Its header says 64 x 64."""
    data = _encoded("AVIF", (8000, 8000), speed=10)
    return data.replace(
        b"ispe\0\0\0\0" + struct.pack(">II", 8000, 8000),
        b"ispe\0\0\0\0" + struct.pack(">II", 64, 64),
    )


def _heic_that_lies() -> bytes:
    data = _encoded("HEIF", (8000, 8000), quality=10)
    return data.replace(
        b"ispe\0\0\0\0" + struct.pack(">II", 8000, 8000),
        b"ispe\0\0\0\0" + struct.pack(">II", 64, 64),
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _full(kind: bytes, version: int, content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24) + content)


def avif_items(brand: bytes = b"avif", **counts: int) -> bytes:
    """A file with so many of one of its parts.

    Items (infe), places (iloc), uses of properties (ipma), properties (ipco), references between
    items (iref: one a box; dimg: all in one), or free boxes (free).
    """
    n = {"infe": 1, "iloc": 1, "ipma": 1, "ipco": 1, "iref": 0, "dimg": 0, "free": 0} | counts
    ids = [struct.pack(">I", i + 1) for i in range(max(n.values()))]
    infe = b"".join(_full(b"infe", 3, i + b"\0\0av01\0") for i in ids[: n["infe"]])
    iloc = b"".join(i + struct.pack(">HHHII", 0, 0, 1, 100, 10) for i in ids[: n["iloc"]])
    ipma = b"".join(i + b"\1\1" for i in ids[: n["ipma"]])
    iref = b"".join(_box(b"dimg", i + b"\0\1\0\0\0\1") for i in ids[: n["iref"]])
    for at in range(0, n["dimg"], 65_535):
        some = ids[at : min(n["dimg"], at + 65_535)]
        iref += _box(b"dimg", ids[0] + struct.pack(">H", len(some)) + b"".join(some))
    size = _full(b"ispe", 0, struct.pack(">II", 64, 64))
    meta = _full(b"hdlr", 0, bytes(4) + b"pict" + bytes(13)) + _full(b"pitm", 1, ids[0])
    meta += _full(b"iloc", 2, b"\x44\0" + struct.pack(">I", n["iloc"]) + iloc)
    meta += _full(b"iinf", 1, struct.pack(">I", n["infe"]) + infe) + _full(b"iref", 1, iref)
    uses = _full(b"ipma", 1, struct.pack(">I", n["ipma"]) + ipma)
    meta += _box(b"iprp", _box(b"ipco", size * n["ipco"]) + uses)
    head = _box(b"ftyp", brand + bytes(4) + brand + b"mif1miaf")
    return head + _box(b"free", b"") * n["free"] + _full(b"meta", 0, meta)


_EXIF = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + bytes(60_000))

COSTLY: dict[str, Callable[[], bytes]] = {
    # many pixels from few bytes
    "jpeg gray": lambda: jpeg(SIDE, SIDE),
    "jpeg color": lambda: jpeg(SIDE, SIDE, sampling=(0x22, 0x11, 0x11)),
    "jpeg color 4:4:4": lambda: jpeg(SIDE, SIDE, sampling=(0x11, 0x11, 0x11)),
    "jpeg color odd sampling": lambda: jpeg(SIDE, SIDE, sampling=(0x31, 0x13, 0x11)),
    "jpeg cmyk": lambda: jpeg(SIDE, SIDE, sampling=(0x11,) * 4),
    "jpeg turned": lambda: jpeg(SIDE, SIDE, sampling=(0x22, 0x11, 0x11), before=_EXIF_TURNED),
    "jpeg progressive": lambda: jpeg(SIDE, SIDE, sampling=(0x22, 0x11, 0x11), sof=0xC2),
    "jpeg progressive 4:4:4": lambda: jpeg(SIDE, SIDE, sampling=(0x11,) * 3, sof=0xC2),
    "jpeg progressive cmyk": lambda: jpeg(SIDE, SIDE, sampling=(0x11,) * 4, sof=0xC2),
    "jpeg all coefficients": lambda: _full_blocks(SIDE, SIDE),
    "jpeg narrow": lambda: jpeg(1, 65_500),
    "png narrow": lambda: png(1, 119_999_999, 8, 0),
    "png wide": lambda: png(119_999_999, 1, 8, 0),
    "png gray": lambda: png(SIDE, SIDE, 8, 0),
    "png rgb": lambda: png(SIDE, SIDE, 8, 2),
    "png rgb paeth": lambda: png(SIDE, SIDE, 8, 2, filter_type=4),
    "png rgba": lambda: png(SIDE, SIDE, 8, 6),
    "png rgba 48 MP": lambda: png(8000, 6000, 8, 6),
    "png la": lambda: png(SIDE, SIDE, 8, 4),
    "png gray 16": lambda: png(SIDE, SIDE, 16, 0),
    "png rgb 16": lambda: png(SIDE, SIDE, 16, 2),
    "png rgba 16": lambda: png(SIDE, SIDE, 16, 6),
    "png interlaced": lambda: png(SIDE, SIDE, 8, 6, interlaced=True),
    "png interlaced 1 bit": lambda: png(SIDE, SIDE, 1, 0, interlaced=True),
    "png palette, transparent": lambda: png(
        SIDE, SIDE, 8, 3, before=chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(256))
    ),
    "png rgb, transparent": lambda: png(SIDE, SIDE, 8, 2, before=chunk(b"tRNS", bytes(6))),
    "tiff float": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(32,), sample_format=3),
    "tiff int32": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(32,), sample_format=2),
    "tiff rgba": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(8,) * 4, photometric=2, extra=2),
    "tiff rgb 16": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(16,) * 3, photometric=2),
    "tiff rgba 16": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(16,) * 4, photometric=2, extra=2),
    "tiff rgba 16 by rows": lambda: tiff(
        TIFF_SIDE, TIFF_SIDE, bits=(16,) * 4, photometric=2, extra=2, rows=1
    ),
    "tiff cmyk": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(8,) * 4, photometric=5),
    "tiff lab": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(8,) * 3, photometric=8),
    "tiff planes": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(8,) * 3, photometric=2, planar=2),
    "tiff one bit": lambda: tiff(TIFF_SIDE, TIFF_SIDE, bits=(1,)),
    "tiff small tiles": lambda: tiff(TIFF_SIDE, TIFF_SIDE, tile=16),
    "tiff huge tile": lambda: tiff(16, 16, tile=65_536),
    "tiff raw small tiles": lambda: tiff(TIFF_SIDE, TIFF_SIDE, tile=16, compression=1),
    "tiff raw rows": lambda: tiff(
        TIFF_SIDE, TIFF_SIDE, rows=1, compression=1, strip=bytes(TIFF_SIDE)
    ),
    "tiff raw pixels": lambda: tiff(2000, 2000, tile=1, compression=1, strip=b"\0"),
    "tiff narrow": lambda: tiff(1, TIFF_SIDE**2, rows=2**16),
    "tiff jpeg of many scans": lambda: tiff(
        4000,
        4000,
        compression=7,
        strip=jpeg(4000, 4000, sof=0xC2, after=_scans(2_000)),
    ),
    "tiff jpeg again and again": lambda: tiff(
        8000, 8000, compression=7, rows=8, strip=jpeg(8000, 8)
    ),
    "tiff old jpeg": lambda: tiff(
        4000, 4000, compression=6, strip=jpeg(4000, 4000, sof=0xC2, after=_scans(2_000))
    ),
    "tiff tags of the whole file": lambda: tiff(
        10,
        10,
        last=bytes(4 * MIB),
        more=[(40_000 + i, 1, 4 * MIB, 8) for i in range(10_000)],
    ),
    "tiff text larger than the file": lambda: tiff(10, 10, more=[(270, 2, 10**8, 8)]),
    "webp lossless": lambda: webp_lossless(SIDE, SIDE),
    "webp lossless opaque": lambda: webp_lossless(SIDE, SIDE, alpha=False),
    "webp lossless 60 MP": lambda: webp_lossless(7_700, 7_700),
    "webp wide": lambda: webp_lossless(16_383, 7_000),
    "gif": lambda: gif(TIFF_SIDE, TIFF_SIDE),
    "gif small frame": lambda: gif(TIFF_SIDE, TIFF_SIDE, frame_wh=(2, 2)),
    "gif transparent": lambda: gif(
        TIFF_SIDE, TIFF_SIDE, before=b"!\xf9\x04\x09\0\0\0\0", frame_wh=(2, 2)
    ),
    "gif in blocks of a byte": lambda: gif(TIFF_SIDE, TIFF_SIDE, blocks_of=1),
    "bmp rle8": lambda: bmp(TIFF_SIDE, TIFF_SIDE, 8, 1, b"\xff\0" * (TIFF_SIDE**2 // 255)),
    "bmp rle4": lambda: bmp(TIFF_SIDE, TIFF_SIDE, 4, 2, b"\xff\0" * (TIFF_SIDE**2 // 255)),
    "bmp rle8 ends of lines": lambda: bmp(65_535, 1_800, 8, 1, b"\0\0" * 1_800 + b"\0\1"),
    "bmp 1 bit": lambda: bmp(SIDE, SIDE, 1, 0, bytes(-(-SIDE // 32) * 4 * SIDE)),
    "pbm": lambda: b"P4 %d %d\n" % (SIDE, SIDE) + bytes(-(-SIDE // 8) * SIDE),
    "avif": lambda: _encoded("AVIF", (SIDE, SIDE), speed=10),
    "avif 4:4:4": lambda: _encoded("AVIF", (7_000, 7_000), "RGBA", speed=10, subsampling="4:4:4"),
    "avif that lies": _avif_that_lies,
    "avif items": lambda: avif_items(infe=40_000),
    "avif places": lambda: avif_items(iloc=40_000),
    "avif uses of properties": lambda: avif_items(ipma=100_000),
    "avif references": lambda: avif_items(dimg=200_000),
    "avif properties": lambda: avif_items(ipco=50_000),
    "heic items": lambda: avif_items(b"heic", infe=40_000),
    "heic references": lambda: avif_items(b"heic", dimg=200_000),
    "heic": lambda: _encoded("HEIF", (7_000, 7_000), quality=10),
    "heic that lies": _heic_that_lies,
    # many parts
    "jpeg 2,000 scans": lambda: jpeg(4000, 4000, sof=0xC2, after=_scans(2_000)),
    "jpeg 200 scans of 119 MP": lambda: jpeg(SIDE, SIDE, sof=0xC2, after=_scans(200)),
    "jpeg 100 scans of 24 MP": lambda: jpeg(6000, 4000, sof=0xC2, after=_scans(99)),
    "jpeg sequential scans": lambda: jpeg(
        4000, 4000, sampling=(0x11, 0x11), after=segment(0xDA, b"\1\1\0\0\x3f\0") * 2_000
    ),
    "jpeg arithmetic": lambda: jpeg(SIDE, SIDE, sampling=(0x11,) * 3, sof=0xC9),
    "jpeg lossless": lambda: jpeg(SIDE, SIDE, sof=0xC3),
    "png texts": lambda: png(10, 10, 8, 0, before=chunk(b"tEXt", b"a\0b") * 60_000),
    "png profile": lambda: png(
        10, 10, 8, 0, before=chunk(b"iCCP", b"a\0\0" + deflated(zeros(900 * MIB)))
    ),
}
"""Files of about a megabyte at most."""

_EXIF_TURNED = segment(
    0xE1, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
)

BULKY: dict[str, Callable[[], bytes]] = {
    "jpeg 0xFF before a marker": lambda: jpeg(8, 8, before=b"\xff" * (60 * MIB)),
    "jpeg zeros before a marker": lambda: jpeg(8, 8, before=bytes(60 * MIB)),
    "jpeg 0xFF after the scan": lambda: jpeg(8, 8, after=b"\xff" * (60 * MIB)),
    "jpeg 0xFF00 after the scan": lambda: jpeg(8, 8, after=b"\xff\0" * (30 * MIB)),
    "jpeg restarts after the scan": lambda: jpeg(8, 8, after=b"\xff\xd0" * (30 * MIB)),
    "jpeg application segments": lambda: jpeg(8, 8, before=segment(0xE5, b"") * (15 * MIB)),
    "jpeg comments": lambda: jpeg(8, 8, before=segment(0xFE, b"") * (15 * MIB)),
    "jpeg exif segments": lambda: jpeg(8, 8, before=_EXIF * 1_000),
    "jpeg tables": lambda: jpeg(8, 8, before=segment(0xC4, b"\0" + _DC) * (2 * MIB)),
    "jpeg quantization": lambda: jpeg(
        8, 8, before=segment(0xDB, b"\0" + bytes([1] * 64)) * (MIB // 2)
    ),
    "jpeg restart intervals": lambda: jpeg(8, 8, before=segment(0xDD, b"\0\0") * (10 * MIB)),
    "jpeg a million scans": lambda: jpeg(8, 8, sof=0xC2, after=_scans(6_000_000)),
    "jpeg tables after the scan": lambda: jpeg(8, 8, sof=0xC2, after=segment(0xFE, b"") * 10**7),
    "png empty data": lambda: png(10, 10, 8, 0, before=chunk(b"IDAT", b"") * 4_000_000),
    "png palettes": lambda: png(10, 10, 8, 3, before=chunk(b"PLTE", b"abc") * 4_000_000),
    "png unknown": lambda: png(10, 10, 8, 0, before=chunk(b"abCd", b"") * 5_000_000),
    "gif comments": lambda: gif(10, 10, before=b"!\xfe\x01a\0" * 10_000_000),
    "gif comment of small blocks": lambda: gif(
        10, 10, before=b"!\xfe" + b"\x01a" * 30_000_000 + b"\0"
    ),
    "gif empty extensions": lambda: gif(10, 10, before=b"!\xfe\0" * 20_000_000),
    "gif nothing": lambda: gif(10, 10, before=b"\0" * 60_000_000),
    "bmp rle8 runs of one": lambda: bmp(5_000, 5_000, 8, 1, b"\1\0" * 25_000_000),
    "bmp rle4 runs of one": lambda: bmp(5_000, 5_000, 4, 2, b"\1\0" * 25_000_000),
    "bmp rle8 jumps": lambda: bmp(100, 100, 8, 1, b"\0\2\0\0" * 15_000_000),
    "bmp 32 bits": lambda: bmp(4_000, 4_000, 32, 0, bytes(64_000_000)),
    "ppm of 16 bits": lambda: b"P6 3000 3000 65535\n" + bytes(54_000_000),
    "ppm of 10 bits": lambda: b"P6 3000 3000 1023\n" + bytes(54_000_000),
    "pgm of 7 bits": lambda: b"P5 7000 7000 127\n" + bytes(49_000_000),
    "ppm blanks": lambda: b"P6" + b" " * 60_000_000 + b"4 4 255\n" + bytes(48),
    "ppm comment": lambda: b"P6 #" + b"a" * 60_000_000 + b"\n4 4 255\n" + bytes(48),
    "ppm comments": lambda: b"P6 " + b"#\n" * 30_000_000 + b"4 4 255\n" + bytes(48),
    "webp frames": lambda: _webp_frames(1_000_000),
    "webp chunks": lambda: _webp_chunks(7_000_000),
    "tiff many directories": lambda: tiff(10, 10, last=bytes(60 * MIB)),
}
"""Files of up to 64 MiB."""


FILES = COSTLY | BULKY

# --- measuring ------------------------------------------------------------------------------------


_PROBE = """
import sys, time
from pathlib import Path
from lineament import load_image
from lineament.errors import LineamentError
from PIL import (JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin, GifImagePlugin)
import cv2
load_image(bytes.fromhex(sys.argv[2]))
data = Path(sys.argv[1]).read_bytes()
def kb(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])
base = kb("VmRSS")
start = time.process_time()
try:
    said = "x".join(map(str, load_image(data).shape[1::-1]))
except LineamentError as error:
    said = error.code + ": " + str(error)[:150]
except BaseException as error:
    said = "CRASH " + type(error).__name__ + ": " + str(error)[:100]
print((kb("VmHWM") - base) // 1000, round(time.process_time() - start, 2), said, sep="\\t")
"""


def measure(data: bytes, *, limit_s: float = 100.0, most_bytes: int = 8 << 30) -> dict[str, Any]:
    """Decode a file in a process of its own, which may map so many bytes.

    Returns:
        ``mb``, its peak beyond what it had with the file read; ``cpu_s``; ``said``, the size or the
        error; ``stderr``, if anything was written there.
    """

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))

    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            done = subprocess.run(
                [sys.executable, "-c", _PROBE, file.name, jpeg(8, 8).hex()],
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
                preexec_fn=limited,
            )
        except subprocess.TimeoutExpired:
            return {"mb": 0, "cpu_s": limit_s, "said": f"longer than {limit_s:g} s"}
    words = done.stdout.strip().split("\t")
    if len(words) != 3:
        return {"mb": 0, "cpu_s": 0.0, "said": f"died: {done.returncode} {done.stderr[-200:]}"}
    result = {"mb": int(words[0]), "cpu_s": float(words[1]), "said": words[2]}
    return result | ({"stderr": done.stderr[:300]} if done.stderr else {})


def main() -> None:
    """Print a row per file."""
    parser = Parser(__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="names that contain it")
    options = parser.parse_args()

    def measured() -> dict[str, Any]:
        rows = {}
        chosen = {name: make for name, make in FILES.items() if options.only in name}
        for name, make in track(chosen.items(), "files", len(chosen)):
            data = make()
            rows[name] = {"bytes": len(data), **measure(data)}
        return {"files": rows}

    def show(figures: dict[str, Any]) -> None:
        rows = [
            (name, f"{row['bytes']:,}", row["mb"], f"{row['cpu_s']:.1f}", row["said"][:70])
            for name, row in figures["files"].items()
        ]
        table(("file", "bytes", "MB", "CPU s", "result"), rows)

    report(options, measured, show)


if __name__ == "__main__":
    main()

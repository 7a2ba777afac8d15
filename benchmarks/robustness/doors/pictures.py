"""Photos: damaged, hostile, and as costly as the limits let them be."""

from __future__ import annotations

import functools
import importlib.util
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from doors.case import Case, Door, Kind, Rng
from doors.damage import BYTES, Damage, Seeds, flip_anywhere, flip_header

# ---- seeds ---------------------------------------------------------------------------------------


def draw_face(rng: Rng, size_wh: tuple[int, int] = (160, 120)) -> Image.Image:
    noise = rng.integers(0, 60, (size_wh[1], size_wh[0], 3), np.uint8)
    picture = Image.fromarray(noise + np.uint8(90))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((50, 15, 110, 105), fill=(224, 172, 140))
    for x in (62, 86):
        pen.ellipse((x, 45, x + 12, 52), fill=(40, 30, 30))
    pen.polygon([(80, 55), (74, 75), (86, 75)], fill=(200, 140, 110))
    pen.arc((66, 75, 94, 92), 10, 170, fill=(150, 40, 50), width=4)
    return picture


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def draw_seeds(rng: Rng) -> Seeds:
    rgb = draw_face(rng)
    second = rgb.rotate(20)
    cut_out = rgb.copy()
    cut_out.putalpha(Image.radial_gradient("L").resize(rgb.size))
    gray16 = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    palette = rgb.quantize(64)
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "camera", 0x011A: 72.0, 0x0128: 2})
    frames = {"save_all": True, "append_images": [second]}
    seeds = {
        "jpeg": encode(rgb, "JPEG", quality=90, exif=exif),
        "jpeg progressive": encode(rgb, "JPEG", progressive=True),
        "jpeg restarts": encode(rgb, "JPEG", restart_marker_rows=1),
        "jpeg grey": encode(rgb.convert("L"), "JPEG"),
        "jpeg cmyk": encode(rgb.convert("CMYK"), "JPEG"),
        "mpo": encode(rgb, "MPO", **frames),
        "png": encode(rgb, "PNG", exif=exif),
        "png palette": encode(palette, "PNG", transparency=3),
        "png 16": encode(gray16, "PNG"),
        "png alpha": encode(cut_out, "PNG"),
        "apng": encode(rgb, "PNG", **frames),
        "webp": encode(rgb, "WEBP", exif=exif),
        "webp lossless": encode(cut_out, "WEBP", lossless=True),
        "webp animated": encode(rgb, "WEBP", **frames),
        "gif": encode(palette, "GIF"),
        "gif animated": encode(palette, "GIF", transparency=2, disposal=2, **frames),
        "bmp": encode(rgb, "BMP"),
        "bmp palette": encode(palette, "BMP"),
        "tiff": encode(rgb, "TIFF"),
        "tiff 16": encode(gray16, "TIFF"),
        **{
            f"tiff {method}": encode(rgb, "TIFF", compression=method)
            for method in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        },
        "tiff fax": encode(rgb.convert("1"), "TIFF", compression="group4"),
        "ppm": encode(rgb, "PPM"),
        "pgm": encode(rgb.convert("L"), "PPM"),
    }
    if importlib.util.find_spec("PIL._avif") is not None:
        seeds["avif"] = encode(rgb, "AVIF", exif=exif)
        seeds["avif alpha"] = encode(cut_out, "AVIF")
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        file = io.BytesIO()
        pillow_heif.from_pillow(rgb).save(file)
        seeds["heic"] = file.getvalue()
    return seeds


# ---- damage that knows formats -------------------------------------------------------------------


def mend_png(data: bytes) -> bytes:
    """The same chunks with right checksums, so that damage reaches the decoder behind them."""
    out, at = data[:8], 8
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + size]
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return out


def flip_png_and_mend(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    pngs = [seed for seed in seeds.values() if seed.startswith(b"\x89PNG")]
    if not pngs:
        return flip_anywhere(data, seeds, rng)
    return mend_png(flip_header(pngs[int(rng.integers(len(pngs)))], seeds, rng))


def png_of(width: int, height: int, depth: int = 8, color: int = 2, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + bytes(4)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    idat = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return mend_png(b"\x89PNG\r\n\x1a\n" + header + body + idat + chunk(b"IEND", b""))


def huge_dimensions(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    """A header that promises more pixels than follow; some within the limits, most beyond."""
    sides = (0, 1, 9_000, 10_954, 16_383, 30_000, 60_000, 65_535, 2**24, 2**31 - 1, 2**32 - 1)
    width, height = (sides[int(i)] for i in rng.integers(len(sides), size=2))
    short = width & 0xFFFF, height & 0xFFFF
    mutable = bytearray(data)
    if data.startswith(b"\xff\xd8"):
        at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"), 0)
        mutable[at + 5 : at + 9] = struct.pack(">HH", *reversed(short))
    elif data.startswith(b"GIF"):
        mutable[6:10] = struct.pack("<HH", *short)
        at = data.find(b",", 13)
        if rng.integers(2) and at > 0:
            mutable[at + 5 : at + 9] = struct.pack("<HH", *short)
    elif data.startswith(b"BM"):
        mutable[18:26] = struct.pack("<II", width, height)
    elif data[8:12] == b"WEBP":
        extended = b"VP8X" + struct.pack("<IB3x", 10, 0x10)
        extended += struct.pack("<I", width & 0xFFFFFF)[:3]
        extended += struct.pack("<I", height & 0xFFFFFF)[:3]
        mutable[12:] = extended + data[12:]
        mutable[4:8] = struct.pack("<I", len(mutable) - 8)
    elif data.startswith(b"II*\0"):
        for at in range(len(data) - 12):
            if data[at : at + 3] in (b"\x00\x01\x03", b"\x00\x01\x04", b"\x01\x01\x03"):
                side = width if data[at] == 0 else height
                mutable[at + 2 : at + 12] = struct.pack("<HII", 4, 1, side)
    elif b"ispe" in data:
        at = data.find(b"ispe") + 8
        mutable[at : at + 8] = struct.pack(">II", width, height)
    elif data.startswith(b"P"):
        return data[:2] + b"\n%d %d\n255\n" % (width, height) + data[15:]
    else:
        depth, color = ((8, 2), (16, 0), (1, 3), (16, 6))[int(rng.integers(4))]
        return png_of(width, height, depth, color)
    return bytes(mutable)


def hostile_exif(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    """EXIF with offsets in circles, counts without end, entries that reach past the end."""
    order, mark = (("<", b"II"), (">", b"MM"))[int(rng.integers(2))]
    entries = int(rng.choice([0, 1, 3, 500, 5000]))
    count = entries if rng.integers(2) else 0xFFFF
    offset = int(rng.choice([0, 4, 8, 8, 8, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
    body = mark + struct.pack(order + "HI", 42, offset) + struct.pack(order + "H", count)
    tags = (0x0112, 0x011A, 0x0128, 0x8769, 0x8825, 0x927C, 0xA005, 0x0201, 0x014A)
    for _ in range(entries):
        tag, kind = tags[int(rng.integers(len(tags)))], int(rng.integers(0, 16))
        size = int(rng.choice([0, 1, 2, 1000, 0x10000000, 0xFFFFFFFF]))
        where = int(rng.choice([0, 3, 8, 9, 255, 0xFFFFFFFF]))
        body += struct.pack(order + "HHII", tag, kind, size, where)
    body += struct.pack(order + "I", 8)  # the next directory is this one
    exif = (b"Exif\0\0" + body)[:65_000]
    jpegs = [seed for seed in seeds.values() if seed.startswith(b"\xff\xd8")]
    if jpegs and rng.integers(3):
        seed = jpegs[int(rng.integers(len(jpegs)))]
        times = int(rng.choice([1, 1, 40]))
        return seed[:2] + (b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif) * times + seed[2:]
    raw = exif[6:]
    chunk = struct.pack(">I", len(raw)) + b"eXIf" + raw + bytes(4)
    plain = encode(Image.new("RGB", (8, 8)), "PNG")
    return mend_png(plain[:33] + chunk + plain[33:])


def no_photo(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("face.jpg", data[:1000])
    text_bomb = b"face\0\0" + zlib.compress(bytes(20_000_000))
    bomb_chunk = struct.pack(">I", len(text_bomb)) + b"zTXt" + text_bomb + bytes(4)
    magics = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"P6 ")
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: b"",
        lambda: b"\0",
        lambda: bytes(5000),
        lambda: rng.bytes(3000),
        lambda: b"This is not a photo.\n" * 100,
        lambda: "Ünïcödé".encode() * 50,
        lambda: b"<!DOCTYPE html><html><body>404</body></html>",
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        lambda: b"%PDF-1.7\n" + rng.bytes(500),
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop",
        lambda: b"8BPS\0\1" + rng.bytes(500),
        archive.getvalue,
        lambda: magics[int(rng.integers(len(magics)))],
        lambda: magics[int(rng.integers(len(magics)))] + rng.bytes(400),
        lambda: b"RIFF" + rng.bytes(4) + b"WEBPVP8X" + rng.bytes(200),
        lambda: (
            b"\0\0\0\x1cftyp" + rng.choice([b"avif", b"heic", b"mif1", b"mp42"]) + rng.bytes(300)
        ),
        lambda: b"\xff\xd8" + b"\xff\xe0\x00\x02" * 20_000,
        lambda: b"\xff\xd8\xff" + b"\xff" * 50_000,
        lambda: b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IDAT" + bytes(4),
        lambda: png_of(8, 8, body=bomb_chunk),
        lambda: b"P6 999999999999999999999 2 255\n" + bytes(100),
        lambda: b"P6 " + b"#" * 100_000,
    )
    return kinds[int(rng.integers(len(kinds)))]()


DAMAGE: tuple[Damage, ...] = (*BYTES, flip_png_and_mend, huge_dimensions, hostile_exif, no_photo)


def make_case(seeds: Seeds, rng: Rng, number: int) -> tuple[str, bytes]:
    """Name and bytes: every damage in turn, every seed in turn."""
    damage = DAMAGE[number % len(DAMAGE)]
    names = list(seeds)
    name = names[number // len(DAMAGE) % len(names)]
    return f"{damage.__name__} of {name}", damage(seeds[name], seeds, rng)


# ---- as costly as the limits let them be ---------------------------------------------------------
# Made by hand, since an encoder would cost what the decoder is to be measured by.


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


@functools.lru_cache(2)
def _squeezed(row_bytes: int, rows: int) -> bytes:
    """Rows of zeros, deflated piece by piece."""
    engine = zlib.compressobj(1)
    block = bytes(1 << 20)
    left, parts = row_bytes * rows, []
    while left > 0:
        parts.append(engine.compress(block[: min(left, len(block))]))
        left -= len(block)
    return b"".join(parts) + engine.flush()


def png_of_zeros(width: int, height: int, depth: int, color: int) -> bytes:
    """A valid PNG; color 0 gray, 2 RGB, 4 LA, 6 RGBA."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    body = _squeezed(1 + (width * channels * depth + 7) // 8, height)
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    )


def tiff_of_zeros(width: int, height: int, bits: int, channels: int, form: int) -> bytes:
    """One strip, deflated; form 1 unsigned, 2 signed, 3 float."""
    body = _squeezed(width * channels * bits // 8, height)
    at_bits, at_forms = 8, 8 + 2 * channels
    data_at = at_forms + 2 * channels
    ifd = data_at + len(body) + (len(body) & 1)
    head = b"II*\0" + struct.pack("<I", ifd) + struct.pack("<H", bits) * channels
    head += struct.pack("<H", form) * channels
    short = channels == 1
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, bits if short else at_bits),
        (259, 3, 1, 8),
        (262, 3, 1, 1 if short else 2),
        (273, 4, 1, data_at),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(body)),
        (284, 3, 1, 1),
        *([(338, 3, 1, 2)] if channels == 4 else []),
        (339, 3, channels, form if short else at_forms),
    ]
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    padding = b"\0" * (len(body) & 1)
    return head + body + padding + struct.pack("<H", len(entries)) + tags + bytes(4)


def webp_of_one_color(width: int, height: int) -> bytes:
    """46 bytes or less of lossless WebP with as many pixels as it holds."""
    small = bytearray(encode(Image.new("RGBA", (8, 8), (9, 9, 9, 90)), "WEBP", lossless=True))
    at = small.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", small, at)
    bits = bits & ~0xFFFFFFF | (width - 1) | (height - 1) << 14
    struct.pack_into("<I", small, at, bits)
    return bytes(small)


@functools.lru_cache(2)
def _flat(width: int, height: int) -> bytes:
    return encode(Image.new("L", (width, height), 90), "JPEG", progressive=True)


def progressive(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = _flat(width, height)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + b"\xff\xd9"


def gif_with(size_wh: tuple[int, int], comments: int, frames: int) -> bytes:
    """A GIF with many small blocks before its picture."""
    data = encode(Image.new("P", (8, 8)), "GIF")
    at = data.index(b",")
    head = data[:6] + struct.pack("<HH", *size_wh) + data[10:at]
    return head + b"!\xfe\1x\0" * comments + data[at:-1] * frames + b";"


def _ppm(kind: int, side: int) -> bytes:
    if kind == 0:
        return b"P6 %d %d 65535\n" % (side, side) + bytes(side * side * 6)
    if kind == 1:
        return b"P6 %d %d 100\n" % (side, side) + bytes(side * side * 3)
    if kind == 2:
        return b"P6 " + b"#" * 20_000_000 + b"\n8 8 255\n" + bytes(192)
    return b"P6" + b" \n" * 10_000_000 + b"8 8 255\n" + bytes(192)


def _bmp_rle(side: int) -> bytes:
    body = b"\0\0" * side  # an end of line each
    palette = bytes(1024)
    head = struct.pack("<2sIHHI", b"BM", 54 + 1024 + len(body), 0, 0, 54 + 1024)
    about = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 1, 1, 256, 0)
    return head + about + palette + body


COSTLY: dict[str, Callable[[Rng], bytes]] = {
    "webp_of_46_bytes": lambda rng: webp_of_one_color(*_sides(rng, 16_383)),
    "png_one_wide": lambda rng: png_of_zeros(1, int(rng.choice([20e6, 119_999_999])), 8, 0),
    "png_rgba": lambda rng: png_of_zeros(10_900, 10_900, 8, 6),
    "png_16_bits": lambda rng: png_of_zeros(10_900, 10_900, 16, int(rng.choice([0, 2, 4, 6]))),
    "png_gray_alpha": lambda rng: png_of_zeros(10_900, 10_900, 8, 4),
    "tiff_float": lambda rng: tiff_of_zeros(9_400, 9_400, 32, 1, int(rng.choice([1, 2, 3]))),
    "tiff_rgba": lambda rng: tiff_of_zeros(9_400, 9_400, 8, 4, 1),
    "tiff_one_wide": lambda rng: tiff_of_zeros(1, 80_000_000, 8, 1, 1),
    "jpeg_scans": lambda rng: progressive(4000, 4000, int(rng.choice([100, 1500]))),
    "jpeg_scans_big": lambda rng: progressive(10_900, 10_900, 200),
    "jpeg_padding": lambda rng: (
        b"\xff\xd8" + b"\xff" * int(rng.choice([20e6, 60e6])) + encode(_plain(), "JPEG")[2:]
    ),
    "jpeg_markers": lambda rng: b"\xff\xd8" + b"\xff\xe0\0\2" * 10_000_000,
    "gif_comments": lambda rng: gif_with((8, 8), 10_000_000, 1),
    "gif_frames": lambda rng: gif_with((8_000, 8_000), 0, 20_000),
    "png_empty_blocks": lambda rng: (
        encode(_plain(), "PNG")[:33] + _chunk(b"IDAT", b"") * 4_000_000 + b"x"
    ),
    "ppm": lambda rng: _ppm(int(rng.integers(4)), 3_200),
    "bmp_rle": lambda rng: _bmp_rle(9_000),
}


def _plain() -> Image.Image:
    return Image.new("RGB", (32, 32), (200, 160, 140))


def _sides(rng: Rng, most: int) -> tuple[int, int]:
    """Sides whose product is 120 million at the most, often of one of extreme form."""
    width = int(rng.choice([most, 10_900, 7_400]))
    return width, min(most, 119_000_000 // width)


# ---- the kinds -----------------------------------------------------------------------------------

SIDE_MB = 900
"""What ``ImageLimits`` promises for one photo, and the file itself."""


def _checked(case: Case, data: Any) -> bool:
    from lineament.images import load_image

    image = load_image(data)
    fits = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size
    case.expect(fits, f"the result is {image.dtype} {image.shape}")
    return True


def _damaging(damage: Damage) -> Kind:
    def kind(case: Case) -> bool:
        seeds = case.shared
        data = damage(seeds[case.pick(list(seeds))], seeds, case.rng)
        case.start()
        return _checked(case, case.file("photo.jpg", data) if case.chance(0.2) else data)

    kind.__name__ = damage.__name__
    return kind


def _costly(name: str) -> Kind:
    def kind(case: Case) -> bool:
        data = COSTLY[name](case.rng)
        _squeezed.cache_clear()
        case.start()
        return _checked(case, data)

    kind.__name__ = name
    return kind


def costly_among_others(case: Case) -> bool:
    """A list with costly files in it: the others are read."""
    from lineament import FaceFinder
    from lineament.images.many import expand  # noqa: F401

    good = case.shared["jpeg"]
    costly = [COSTLY[name](case.rng) for name in ("webp_of_46_bytes", "gif_comments")]
    case.start()
    found = list(FaceFinder().stream([good, *costly, good]))
    case.expect(len(found) == 4, f"{len(found)} results of 4 photos")
    case.expect(found[0].error is None and found[3].error is None, "an honest photo was refused")
    return True


def through_the_pipeline(case: Case) -> bool:
    """A list of damaged photos through detector and embedder."""
    from lineament import LineamentError

    seeds = case.shared
    names = list(seeds)
    data = [
        DAMAGE[int(case.rng.integers(len(DAMAGE)))](seeds[case.pick(names)], seeds, case.rng)
        for _ in range(4)
    ]
    found = _recognizer().analyze([*data, seeds["jpeg"]])
    case.expect(len(found) == 5, f"{len(found)} results of 5 photos")
    for one in found:
        fits = one.error is None or isinstance(one.error, LineamentError)
        case.expect(fits, f"the error is {one.error!r}")
    case.expect(found[4].error is None, f"an honest photo was refused: {found[4].error}")
    return True


@functools.cache
def _recognizer() -> Any:
    from lineament import Recognizer

    return Recognizer("fast")


def _prepare(home: Path, seed: int) -> Seeds:
    _recognizer().analyze([encode(_plain(), "PNG")])
    return draw_seeds(np.random.default_rng(seed))


DOOR = Door(
    "pictures",
    (
        *(_damaging(damage) for damage in DAMAGE),
        through_the_pipeline,
        *(_damaging(damage) for damage in DAMAGE),
        costly_among_others,
        *(_damaging(damage) for damage in DAMAGE * 7),
        *(_costly(name) for name in COSTLY),
    ),
    cases=2400,
    bound_mb=SIDE_MB,
    prepare=_prepare,
)

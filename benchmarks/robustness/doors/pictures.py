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
from costly import FILES
from PIL import Image, ImageDraw

from doors.case import Case, Door, Kind, Rng
from doors.damage import BYTES, Damage, Seeds, flip_anywhere, flip_header
from lineament.images import ImageLimits

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


# ---- the kinds -----------------------------------------------------------------------------------

ENCODED = ("avif", "avif 4:4:4", "heic")
"""Those that are made by encoders, which take more than what decodes them."""
PROMISED_MB = (ImageLimits().max_memory + 2 * ImageLimits().max_bytes) / 2**20
"""What ``ImageLimits`` promises for one photo, and the file itself, which some decoders copy."""


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
        data = FILES[name]()
        case.start()
        return _checked(case, data)

    kind.__name__ = name
    return kind


def costly_among_others(case: Case) -> bool:
    """A list with costly files in it: the others are read."""
    from lineament import FaceFinder
    from lineament.images.many import expand  # noqa: F401

    good = case.shared["jpeg"]
    costly = [FILES[case.pick([name for name in FILES if name not in ENCODED])]() for _ in range(2)]
    case.bound_mb = 3 * PROMISED_MB  # they are decoded side by side
    case.limit_s = 60.0
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
    _recognizer().analyze([encode(Image.new("RGB", (32, 32)), "PNG")])
    return draw_seeds(np.random.default_rng(seed))


DOOR = Door(
    "pictures",
    (
        *(_damaging(damage) for damage in DAMAGE * 20),
        through_the_pipeline,
        *(_damaging(damage) for damage in DAMAGE * 20),
        costly_among_others,
        *(_damaging(damage) for damage in DAMAGE * 40),
        *(_costly(name) for name in FILES if name not in ENCODED),
    ),
    cases=2400,
    bound_mb=PROMISED_MB,
    prepare=_prepare,
)

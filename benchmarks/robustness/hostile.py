"""Mutated and hostile images: does anything crash, hang or leak?

    python benchmarks/robustness/hostile.py [FOLDER] [--cases 2500] [--full] [--json]

Each case is a photo that was damaged on purpose (byte flips, truncations, wrong headers, huge
dimensions, spliced formats, hostile EXIF) or no photo at all, and is a function of the seed
and its number. It runs in a worker process with a time limit: a worker that dies is a crash, one
that does not answer is a hang, and the rest goes on. An exception outside the LineamentError tree,
or a result that is no RGB uint8 image, is a crash too. ``--full`` sends the bytes through the whole
pipeline. The seeds are drawn here, or are the photos of FOLDER.

Memory: each worker notes its resident set after a third of its cases and at its end, both times
after giving free memory back to the system.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import io
import multiprocessing
import os
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, report, table

Seeds = dict[str, bytes]
Rng = np.random.Generator


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


def read_seeds(folder: Path) -> Seeds:
    from lineament.images import find_images

    paths = find_images([folder])
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths[:200]}


# ---- damage: each takes the seed, all seeds and the generator ------------------------------------


def _span(data: bytes, rng: Rng) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(rng.integers(1, 200)))


def flip_anywhere(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    mutable = bytearray(data)
    for at in rng.integers(len(data), size=rng.integers(1, 30)):
        mutable[at] ^= 1 << int(rng.integers(8))
    return bytes(mutable)


def flip_header(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    mutable = bytearray(data)
    for at in rng.integers(min(len(data), 400), size=rng.integers(1, 8)):
        mutable[at] = int(rng.integers(256))
    return bytes(mutable)


def extreme_numbers(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    mutable = bytearray(data)
    extremes = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    for at in rng.integers(min(len(data), 600), size=rng.integers(1, 5)):
        value = extremes[int(rng.integers(len(extremes)))]
        code = ("<I", ">I")[int(rng.integers(2))] if value > 0xFFFF else ("<H", ">H")[at % 2]
        mutable[at : at + struct.calcsize(code)] = struct.pack(code, value)
    return bytes(mutable)


def truncate(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data)))]


def truncate_and_pad(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    kept = truncate(data, seeds, rng)
    missing = len(data) - len(kept)
    return kept + (bytes(missing) if rng.integers(2) else rng.bytes(missing))


def remove_span(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def repeat_span(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * int(rng.integers(1, 50)) + data[end:]


def insert_noise(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    start, _ = _span(data, rng)
    return data[:start] + rng.bytes(int(rng.integers(1, 300))) + data[start:]


def _other(seeds: Seeds, rng: Rng) -> bytes:
    return list(seeds.values())[int(rng.integers(len(seeds)))]


def splice(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    other = _other(seeds, rng)
    return data[: int(rng.integers(len(data)))] + other[int(rng.integers(len(other))) :]


def wrong_header(data: bytes, seeds: Seeds, rng: Rng) -> bytes:
    size = int(rng.integers(2, 40))
    return _other(seeds, rng)[:size] + data[size:]


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


DAMAGE: tuple[Callable[[bytes, Seeds, Rng], bytes], ...] = (
    flip_anywhere,
    flip_header,
    extreme_numbers,
    truncate,
    truncate_and_pad,
    remove_span,
    repeat_span,
    insert_noise,
    splice,
    wrong_header,
    flip_png_and_mend,
    huge_dimensions,
    hostile_exif,
    no_photo,
)


def make_case(seeds: Seeds, seed: int, number: int) -> tuple[str, bytes]:
    """Name and bytes: every damage in turn, every seed in turn."""
    rng = np.random.default_rng([seed, number])
    damage = DAMAGE[number % len(DAMAGE)]
    names = list(seeds)
    name = names[number // len(DAMAGE) % len(names)]
    return f"{damage.__name__} of {name}", damage(seeds[name], seeds, rng)


# ---- workers -------------------------------------------------------------------------------------


def resident_mb() -> float:
    """Resident set after giving free memory back."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, AttributeError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def make_runner(pipeline: str) -> Callable[[int, bytes], bool]:
    """What a case goes through: True means loaded, False refused with a LineamentError."""
    from lineament.errors import LineamentError

    if pipeline == "sabotage":
        hoard: list[bytes] = []
        deeds = {0: os.abort, 1: lambda: time.sleep(3600), 2: lambda: 1 // 0}

        def misbehave(number: int, data: bytes) -> bool:
            deeds.get(number, lambda: hoard.append(b"x" * 2**20))()
            return True

        return misbehave

    if pipeline == "full":
        from lineament import Recognizer

        recognizer = Recognizer()

        def analyze(number: int, data: bytes) -> bool:
            (result,) = recognizer.analyze([data])
            if result.error is not None and not isinstance(result.error, LineamentError):
                raise TypeError(f"error is {result.error!r}")
            return result.error is None

        return analyze

    from lineament.images import load_image

    def load(number: int, data: bytes) -> bool:
        try:
            image = load_image(data)
        except LineamentError as error:
            if not 0 < len(str(error)) < 1000:
                raise TypeError(f"unfit message: {str(error)[:2000]!r}") from error
            return False
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise TypeError(f"result is {image.dtype} {image.shape}")
        return True

    return load


def serve(pipe: Connection, seeds: Seeds, seed: int, pipeline: str) -> None:
    """Answer case numbers with (outcome, detail, warnings, stderr bytes) until None comes."""
    caught: list[str] = []

    def count_warning(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        caught.append(f"{category.__name__}: {message}")

    warnings.showwarning = count_warning  # type: ignore[assignment]
    warnings.simplefilter("always")
    noise = tempfile.TemporaryFile()  # what C libraries print to stderr  # noqa: SIM115
    os.dup2(noise.fileno(), 2)
    run = make_runner(pipeline)
    pipe.send("ready")
    while (message := pipe.recv()) is not None:
        if message == "memory":
            pipe.send((resident_mb(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10))
            continue
        caught.clear()
        before = noise.seek(0, io.SEEK_END)
        try:
            _, data = make_case(seeds, seed, message)
            outcome, detail = "loaded" if run(message, data) else "refused", ""
        except BaseException:
            outcome, detail = "crash", traceback.format_exc(limit=-3)
        pipe.send((outcome, detail, list(caught), noise.seek(0, io.SEEK_END) - before))


@dataclass
class Worker:
    """A process, the case it works on and what it told about its memory."""

    arguments: tuple[Any, ...]
    todo: list[int]
    start_limit_s: float = 120.0
    number: int | None = None
    done: int = 0
    since: float = 0.0
    warm_mb: float | None = None
    growth_mb: float = 0.0
    peak_mb: float = 0.0
    process: Any = field(init=False)
    pipe: Connection = field(init=False)

    def __post_init__(self) -> None:
        """Start the process."""
        self.todo = self.todo[::-1]
        self.warm_at = len(self.todo) // 3
        self.start()

    def start(self) -> None:
        """Start, or start anew after a crash; memory is then measured anew too."""
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, *self.arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.warm_mb = None
        if not self.pipe.poll(self.start_limit_s) or self.pipe.recv() != "ready":
            raise SystemExit("a worker did not start")

    def next(self) -> bool:
        """Hand out the next case; False when there is none."""
        if self.warm_mb is None and self.done >= self.warm_at:
            self.warm_mb = self.memory()
        self.number = self.todo.pop() if self.todo else None
        if self.number is not None:
            self.since = time.monotonic()
            self.pipe.send(self.number)
        return self.number is not None

    def memory(self) -> float:
        """Resident set in MB."""
        self.pipe.send("memory")
        now, peak = self.pipe.recv()
        self.peak_mb = max(self.peak_mb, peak)
        return float(now)

    def finish(self) -> None:
        """Measure the growth and let the process end."""
        if self.warm_mb is not None:
            self.growth_mb = self.memory() - self.warm_mb
        self.pipe.send(None)
        self.process.join(10)

    def kill(self) -> None:
        """End a process that hangs."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def run(
    seeds: Seeds, seed: int, cases: int, pipeline: str, limit_s: float, workers: int
) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    """The figures, and what went wrong as (number, detail)."""
    outcomes: Counter[str] = Counter()
    wrong: list[tuple[int, str]] = []
    warned, noisy, slowest_s = 0, 0, 0.0
    team = [Worker((seeds, seed, pipeline), list(range(i, cases, workers))) for i in range(workers)]
    busy = [worker for worker in team if worker.next()]
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("hostile images", total=cases)
        while busy:
            ready = wait([worker.pipe for worker in busy], timeout=0.2)
            for worker in list(busy):
                assert worker.number is not None
                elapsed = time.monotonic() - worker.since
                if worker.pipe in ready:
                    try:
                        outcome, detail, caught, noise = worker.pipe.recv()
                    except (EOFError, OSError):
                        worker.process.join()
                        outcome, caught, noise = "crash", [], 0
                        detail = f"the process died: exit code {worker.process.exitcode}"
                        worker.start()
                elif elapsed > limit_s:
                    worker.kill()
                    outcome, detail, caught, noise = "hang", f"no answer in {limit_s:g} s", [], 0
                    worker.start()
                else:
                    continue
                outcomes[outcome] += 1
                warned += bool(caught)
                noisy += noise > 0
                slowest_s = max(slowest_s, elapsed)
                if detail:
                    wrong.append((worker.number, detail))
                worker.done += 1
                progress.advance(task)
                if not worker.next():
                    busy.remove(worker)
    for worker in team:
        worker.finish()
    figures = {
        "cases": sum(outcomes.values()),
        "crashes": outcomes["crash"],
        "hangs": outcomes["hang"],
        "loaded": outcomes["loaded"],
        "refused": outcomes["refused"],
        "rss_growth_mb": round(max(worker.growth_mb for worker in team), 1),
        "peak_rss_mb": round(max(worker.peak_mb for worker in team)),
        "slowest_s": round(slowest_s, 2),
        "cases_with_warnings": warned,
        "cases_with_stderr": noisy,
        "pipeline": pipeline,
        "seeds": len(seeds),
        "seed": seed,
    }
    return figures, wrong


def show(figures: dict[str, Any]) -> None:
    table(("measure", "value"), figures.items())


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="photos to damage")
    parser.add_argument("--cases", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="through the whole pipeline")
    parser.add_argument(
        "--sabotage", action="store_true", help="abort, hang, raise and leak: is it counted?"
    )
    parser.add_argument("--limit-s", type=float, default=20.0, help="for one case")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the bytes of crashes and hangs")
    options = parser.parse_args()
    drawn = draw_seeds(np.random.default_rng(options.seed))
    seeds = drawn if options.folder is None else read_seeds(options.folder)
    figures, wrong = run(
        seeds,
        options.seed,
        options.cases,
        "sabotage" if options.sabotage else "full" if options.full else "load_image",
        options.limit_s,
        max(1, min(options.workers, options.cases)),
    )
    for number, detail in wrong:
        name, data = make_case(seeds, options.seed, number)
        print(f"case {number}, {name}: {detail}", file=sys.stderr)
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"case-{number}").write_bytes(data)
    report(options, lambda: figures, show)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()

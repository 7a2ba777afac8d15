"""Where each millisecond of a photo goes, from its file to the embedding, beside the limits.

    python benchmarks/photo.py [--repeats 9] [--recognizer balanced] [--json]

Three JPEGs are made of the package's own photos: 640x480 with one face, 12 and 48 megapixels with
three (457 to 225, and 907 to 451 pixels), on a ground of noise at all scales, so that decoding
costs what it does for photographs. The stages:

- ``read``: the file's bytes; ``check``: its parts, limits and header;
- ``decode``: pixels, at the scales that were needed;
- ``first_look``: YuNet over the whole photo; ``closer_looks``: landmarks, and whatever else is
  looked at again in the faces found;
- ``align``: crops; ``embed``: the recognizer, on all faces;
- ``rest``: what ``whole``, the analysis in one call, takes beyond their sum.

Milliseconds are processor time on one thread, which other load on the machine changes least, and
the medians of turns in which each photo has one. ``limits`` are what the machine can do at all, in
the same run and of processor time as well: a matrix product of 1,024 x 1,024 in float32, and a
copy of 256 MB (bytes read and written).
"""

from __future__ import annotations

import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from lineament import DetectOptions, Recognizer, load_detector
from lineament.images import open_image
from lineament.models.runtime import Runtime
from lineament.pyramid import Pyramid

sys.path.insert(0, str(Path(__file__).parent))
from _harness import DEMO, Parser, at_least, report, table

PEOPLE = ("obama.jpg", "biden.jpg", "astronaut.jpg")
PHOTOS: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "640x480": (640, 480, (400,)),
    "12mp": (4000, 3000, (1600, 1300, 1100)),
    "48mp": (8000, 6000, (3200, 2600, 2200)),
}
"""Width, height, and the heights of the people's photos in it; all in pixels."""

QUALITY = 90
SIDE, COPY_BYTES = 1024, 256 << 20
STAGES = ("read", "check", "decode", "first_look", "closer_looks", "align", "embed")


def ground(width: int, height: int) -> np.ndarray:
    """Noise at all scales, as walls, leaves and clothes have it: (H, W, 3) uint8."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, 3), np.float32)
    cell = 8
    while cell < max(width, height):
        small = rng.standard_normal((height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) * cell**0.6
        cell *= 3
    total *= 35 / total.std()
    total += 120 - total.mean() + 4 * rng.standard_normal((height, width, 1)).astype(np.float32)
    return np.clip(total, 0, 255).astype(np.uint8)


def photo(width: int, height: int, people: Sequence[int]) -> bytes:
    """A JPEG with people of these heights side by side."""
    picture = Image.fromarray(ground(width, height))
    left = width // 20
    for name, tall in zip(PEOPLE, people, strict=False):
        with Image.open(DEMO / name) as portrait:
            wide = round(portrait.width * tall / portrait.height)
            person = portrait.convert("RGB").resize((wide, tall), Image.Resampling.LANCZOS)
        picture.paste(person, (left, height - tall - height // 20))
        left += wide + width // 25
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and the processor time it takes, ms."""
    started = time.process_time()
    result = call()
    return result, 1e3 * (time.process_time() - started)


class Stages:
    """One photo, stage by stage."""

    def __init__(self, path: Path, recognizer: Recognizer) -> None:
        """Take the file; load what looks at it."""
        self.path, self.recognizer = path, recognizer
        self.yunet = load_detector("yunet", turning=False, runtime=recognizer.runtime)
        self.faces = 0
        self.reductions: tuple[int, ...] = ()

    def once(self) -> dict[str, float]:
        """Milliseconds of each stage."""
        took: dict[str, float] = {}
        finder = self.recognizer.finder
        data, took["read"] = timed(self.path.read_bytes)
        pyramid, took["check"] = timed(lambda: open_image(data)[0])
        found = finder.find(data, keep_pixels=True)
        needed = [each for each in self.reductions if each > 0] or [1]
        took["decode"] = timed(lambda: [pyramid.smallest(1 / each) for each in needed])[1]
        took["first_look"] = timed(lambda: self._look(pyramid))[1]
        _, both = timed(lambda: finder.detector.detect(pyramid, finder.options))  # type: ignore[arg-type]
        took["closer_looks"] = both - took["first_look"]
        name = self.recognizer.alignment_name
        crops, took["align"] = timed(lambda: finder.crops(found, alignment=name))
        took["embed"] = timed(lambda: self.recognizer.embedder.embed(crops))[1]
        whole, took["whole"] = timed(lambda: self.recognizer.analyze(self.path, keep_pixels=False))
        self.faces = len(whole.embeddings)
        return took

    def _look(self, pyramid: Pyramid) -> None:
        self.yunet.detect(pyramid, DetectOptions())  # type: ignore[arg-type]

    def warm_up(self) -> None:
        """Load and set up everything, and see at which scales the photo is decoded."""
        pyramid = open_image(self.path)[0]
        finder = self.recognizer.finder
        finder.detector.detect(pyramid, finder.options)  # type: ignore[arg-type]
        self.recognizer.analyze(self.path, keep_pixels=False)
        self.reductions = pyramid.reductions
        for _ in range(2):
            self.once()


def limits(repeats: int) -> dict[str, float]:
    """What one thread of the machine does: GFLOP/s of SGEMM, GB/s of a copy."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((SIDE, SIDE), np.float32) for _ in range(2))
    product = np.empty_like(a)
    source, target = np.ones(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)
    gemm, copy = [], []
    for _ in range(repeats):
        gemm.append(timed(lambda: np.matmul(a, b, out=product))[1])
        copy.append(timed(lambda: np.copyto(target, source))[1])
    return {
        "sgemm_gflops": round(2e-6 * SIDE**3 / statistics.median(gemm), 1),
        "memory_gb_s": round(2e-6 * COPY_BYTES / statistics.median(copy), 1),
    }


def measure(repeats: int, preset: str) -> dict[str, Any]:
    recognizer = Recognizer(preset, runtime=Runtime(threads=1))
    figures: dict[str, Any] = {"recognizer": preset, "threads": 1, "limits": limits(repeats)}
    with tempfile.TemporaryDirectory(prefix="lineament-photo-") as folder:
        stages = {}
        for name, (width, height, people) in PHOTOS.items():
            path = Path(folder) / f"{name}.jpg"
            path.write_bytes(photo(width, height, people))
            stages[name] = Stages(path, recognizer)
            stages[name].warm_up()
        turns: dict[str, list[dict[str, float]]] = {name: [] for name in PHOTOS}
        for _ in range(repeats):
            for name, one in stages.items():
                turns[name].append(one.once())
        for name, one in stages.items():
            size = one.path.stat().st_size
            figures[name] = {**_medians(turns[name]), "faces": one.faces, "bytes": size}
            figures[name]["reductions"] = list(one.reductions)
    return figures


def _medians(turns: list[dict[str, float]]) -> dict[str, Any]:
    """Of each stage ``ms`` and its ``share`` of the whole; ``whole`` itself in ms."""
    median = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
    whole = median.pop("whole")
    median["rest"] = whole - sum(median.values())
    shares = {
        key: {"ms": round(ms, 2), "share": round(ms / whole, 4)} for key, ms in median.items()
    }
    return {**shares, "whole": {"ms": round(whole, 2), "share": 1.0}}


def show(figures: dict[str, Any]) -> None:
    names = list(PHOTOS)
    rows = []
    for stage in (*STAGES, "rest", "whole"):
        cells = [figures[name][stage] for name in names]
        rows.append(
            [stage.replace("_", " ")]
            + [f"{cell['ms']:.1f} ({100 * cell['share']:.0f} %)" for cell in cells]
        )
    table(("ms (share)", *names), rows)
    most = figures["limits"]
    print(
        f"one thread: SGEMM {most['sgemm_gflops']:.0f} GFLOP/s, "
        f"copying {most['memory_gb_s']:.1f} GB/s"
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--repeats", type=at_least(1), default=9)
    parser.add_argument("--recognizer", default="balanced", help="a preset or a model")
    options = parser.parse_args()
    report(options, lambda: measure(options.repeats, options.recognizer), show)


if __name__ == "__main__":
    main()

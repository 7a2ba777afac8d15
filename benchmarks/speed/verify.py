"""One 640x480 photo with one face, end to end: lineament against face_recognition with dlib.

    python benchmarks/speed/verify.py [--repeats 15] [--json]

Both start with the bytes of the same JPEG and end with an embedding: lineament decodes, detects,
aligns and embeds; face_recognition does ``load_image_file``, ``face_locations`` (HOG, enlarged
once) and ``face_encodings`` (one jitter), its defaults. They take turns in one run, and
the medians are compared. face_recognition is no dependency;
requirements/bench.txt says how to install it.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

import lineament

PHOTO = Path(lineament.__file__).parent / "data" / "demo" / "obama.jpg"
SIZE_WH = (640, 480)
HOW = (
    "face_recognition is not installed: run\n"
    "  .venv/bin/pip install -r requirements/bench.txt\n"
    "  .venv/bin/pip install --no-deps face-recognition==1.3.0\n"
)


def photo() -> bytes:
    """A portrait at its full height, padded to 640x480."""
    with Image.open(PHOTO) as portrait:
        picture = ImageOps.pad(portrait.convert("RGB"), SIZE_WH, color=(120, 120, 120))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()


def peer() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pkg_resources announces its end
            return importlib.import_module("face_recognition")
    except (ImportError, SystemExit) as error:  # it quits when its models are missing
        raise SystemExit(f"{HOW}({error})") from error


def milliseconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return (time.perf_counter() - start) * 1000


def measure(repeats: int) -> dict[str, Any]:
    face_recognition = peer()
    data = photo()
    recognizer = lineament.Recognizer()

    def ours() -> int:
        return len(recognizer.analyze(data).embeddings)

    def theirs() -> int:
        image = face_recognition.load_image_file(io.BytesIO(data))
        places = face_recognition.face_locations(image, number_of_times_to_upsample=1, model="hog")
        return len(face_recognition.face_encodings(image, places, num_jitters=1))

    found = {"lineament": ours(), "face_recognition": theirs()}  # warms both up
    if set(found.values()) != {1}:
        raise SystemExit(f"expected one face in the photo, found {found}")
    times: dict[str, list[float]] = {"lineament": [], "face_recognition": []}
    for _ in range(repeats):
        times["lineament"].append(milliseconds(ours))
        times["face_recognition"].append(milliseconds(theirs))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "lineament_ms": round(medians["lineament"], 2),
        "face_recognition_ms": round(medians["face_recognition"], 2),
        "speedup": round(medians["face_recognition"] / medians["lineament"], 2),
        "repeats": repeats,
        "size_wh": list(SIZE_WH),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats: expected 1 or more")
    figures = measure(options.repeats)
    if options.json:
        print(json.dumps(figures))
        return
    table = Table("", "ms a photo (median)")
    table.add_row("lineament", f"{figures['lineament_ms']:.1f}")
    table.add_row("face_recognition", f"{figures['face_recognition_ms']:.1f}")
    table.add_row("times as fast", f"{figures['speedup']:.1f}")
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()

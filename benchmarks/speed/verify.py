"""One 640x480 photo with one face, end to end: lineament against face_recognition with dlib.

    python benchmarks/speed/verify.py [--repeats 15] [--json]

Both start with the bytes of the same JPEG and end with an embedding: lineament decodes, detects,
aligns and embeds; face_recognition does ``load_image_file``, ``face_locations`` (HOG, enlarged
once) and ``face_encodings`` (one jitter), its defaults. They take turns in one run, and
the medians are compared. face_recognition is no dependency;
requirements/bench.txt says how to install it.
"""

from __future__ import annotations

import importlib
import io
import sys
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

import lineament

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import DEMO, Parser, alternate, at_least, median_ms, report, table

SIZE_WH = (640, 480)
HOW = (
    "face_recognition is not installed: run\n"
    "  .venv/bin/pip install -r requirements/bench.txt\n"
    "  .venv/bin/pip install --no-deps face-recognition==1.3.0\n"
)


def photo() -> bytes:
    """A portrait at its full height, padded to 640x480."""
    with Image.open(DEMO / "obama.jpg") as portrait:
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
    times = alternate({"lineament": ours, "face_recognition": theirs}, repeats, warm=0)
    medians = {name: median_ms(seconds) for name, seconds in times.items()}
    return {
        "lineament_ms": round(medians["lineament"], 2),
        "face_recognition_ms": round(medians["face_recognition"], 2),
        "speedup": round(medians["face_recognition"] / medians["lineament"], 2),
        "repeats": repeats,
        "size_wh": list(SIZE_WH),
    }


def show(figures: dict[str, Any]) -> None:
    table(
        ("", "ms a photo (median)"),
        (
            ("lineament", f"{figures['lineament_ms']:.1f}"),
            ("face_recognition", f"{figures['face_recognition_ms']:.1f}"),
            ("times as fast", f"{figures['speedup']:.1f}"),
        ),
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--repeats", type=at_least(1), default=15)
    options = parser.parse_args()
    report(options, lambda: measure(options.repeats), show)


if __name__ == "__main__":
    main()

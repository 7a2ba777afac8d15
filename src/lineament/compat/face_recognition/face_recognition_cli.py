"""The command ``face_recognition`` of face_recognition 1.3.0.

    python -m lineament.compat.face_recognition.face_recognition_cli KNOWN_FOLDER PHOTO_OR_FOLDER

One line for each face and each known person within the tolerance: path,name; and
``unknown_person`` or ``no_persons_found`` in the place of a name. The package installs it as
``lineament-face-recognition``, so that the original's command of the shorter name may stay.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from lineament.compat.face_recognition import api
from lineament.errors import LineamentError, OptionError
from lineament.machine import processors
from lineament.text import printable
from lineament.types import Float64Array

LONGEST_PX = 1600
"""Of the photo that is looked at: a larger one is reduced to it."""

_IMAGE = re.compile(r".*\.(jpg|jpeg|png)", re.IGNORECASE)


def image_files_in_folder(folder: str) -> list[str]:
    """Paths of the photos in a folder, not below it, sorted by name."""
    return sorted(str(path) for path in Path(folder).iterdir() if _IMAGE.match(path.name))


def threads(cpus: int) -> int:
    """How many threads ``--cpus`` asks for; all processors for -1."""
    if cpus == -1:
        return processors()
    if cpus < 1:
        raise OptionError(f"expected -1, or 1 or more, got {cpus}", option="--cpus")
    return cpus


def scan_known_people(known_people_folder: str) -> tuple[list[str], list[Float64Array]]:
    """Names and encodings of the photos in a folder; the first face of each."""
    names, encodings = [], []
    for path in image_files_in_folder(known_people_folder):
        found = api.face_encodings(api.load_image_file(path))
        if len(found) > 1:
            _say(f"WARNING: More than one face found in {path}. Only considering the first face.")
        if not found:
            _say(f"WARNING: No faces found in {path}. Ignoring file.")
            continue
        names.append(Path(path).stem)
        encodings.append(found[0])
    return names, encodings


def lines_of(
    path: str,
    names: Sequence[str],
    known: Sequence[Float64Array],
    tolerance: float = 0.6,
    show_distance: bool = False,
) -> list[str]:
    """The lines about one photo."""
    pixels = api.load_image_file(path)
    if max(pixels.shape) > LONGEST_PX:
        image = PILImage.fromarray(pixels)
        image.thumbnail((LONGEST_PX, LONGEST_PX), PILImage.Resampling.LANCZOS)
        pixels = np.array(image)

    def line(name: str, distance: float | None = None) -> str:
        return f"{path},{name},{distance}" if show_distance else f"{path},{name}"

    lines = []
    encodings = api.face_encodings(pixels)
    for encoding in encodings:
        distances = api.face_distance(known, encoding)
        near = [
            line(name, float(distance))
            for name, distance in zip(names, distances, strict=True)
            if distance <= tolerance
        ]
        lines += near or [line("unknown_person")]
    return lines if encodings else [line("no_persons_found")]


def _say(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")


def _truth(text: str) -> bool:
    if text.lower() in ("1", "true", "t", "yes", "y", "on"):
        return True
    if text.lower() in ("0", "false", "f", "no", "n", "off"):
        return False
    raise argparse.ArgumentTypeError(f"expected true or false, got {text!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 2 where it cannot work."""
    parser = argparse.ArgumentParser(
        prog="lineament-face-recognition", description="Name the people in a photo or a folder."
    )
    parser.add_argument("known_people_folder", help="one photo a person, named after them")
    parser.add_argument("image_to_check", help="a photo, or a folder of photos")
    parser.add_argument("--cpus", type=int, default=1, help="threads; -1: all processors")
    parser.add_argument(
        "--tolerance", type=float, default=0.6, help="greatest distance of one person's faces"
    )
    parser.add_argument(
        "--show-distance", type=_truth, default=False, metavar="BOOL", help="distances, too"
    )
    options = parser.parse_args(arguments)
    try:
        if not Path(options.known_people_folder).is_dir():
            raise OptionError(
                f"expected a folder, got {options.known_people_folder}",
                option="known_people_folder",
            )
        names, known = scan_known_people(options.known_people_folder)
        given = options.image_to_check
        paths = image_files_in_folder(given) if Path(given).is_dir() else [given]
        with ThreadPoolExecutor(threads(options.cpus)) as pool:
            for lines in pool.map(
                lambda path: lines_of(path, names, known, options.tolerance, options.show_distance),
                paths,
            ):
                for line in lines:
                    _say(line)
    except LineamentError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

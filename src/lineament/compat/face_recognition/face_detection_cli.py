"""The command ``face_detection`` of face_recognition 1.3.0.

    python -m lineament.compat.face_recognition.face_detection_cli PHOTO_OR_FOLDER

One line a face: path,top,right,bottom,left. The package installs it as
``lineament-face-detection``, so that the original's command of the shorter name may stay.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lineament.compat.face_recognition import api
from lineament.compat.face_recognition.face_recognition_cli import image_files_in_folder, threads
from lineament.errors import LineamentError
from lineament.text import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 2 where it cannot work."""
    parser = argparse.ArgumentParser(
        prog="lineament-face-detection", description="Find the faces of a photo or a folder."
    )
    parser.add_argument("image_to_check", help="a photo, or a folder of photos")
    parser.add_argument("--cpus", type=int, default=1, help="threads; -1: all processors")
    parser.add_argument("--model", default="hog", choices=["hog", "cnn"], help="dlib's detector")
    options = parser.parse_args(arguments)

    def lines(path: str) -> list[str]:
        boxes = api.face_locations(api.load_image_file(path), 0, options.model)
        return [f"{path},{','.join(map(str, box))}" for box in boxes]

    given = options.image_to_check
    paths = image_files_in_folder(given) if Path(given).is_dir() else [given]
    try:
        with ThreadPoolExecutor(threads(options.cpus)) as pool:
            for found in pool.map(lines, paths):
                for line in found:
                    sys.stdout.write(printable(line) + "\n")
    except LineamentError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

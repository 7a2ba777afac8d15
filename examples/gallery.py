"""A gallery in a few lines: enroll people, name the faces of a photo, draw the answer.

    python examples/gallery.py [--out names.png]

The people are those of the package's own photos.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import lineament
from lineament.gallery import Gallery
from lineament.pictures.photos import annotate, save_png

DEMO = Path(lineament.__file__).parent / "data" / "demo"
PEOPLE = {"Barack Obama": "obama.jpg", "Eileen Collins": "astronaut.jpg"}  # and not Joe Biden


def main() -> None:
    """Enroll and identify."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("names.png"))
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Gallery.create(Path(folder) / "gallery") as gallery,
    ):
        for name, photo in PEOPLE.items():
            gallery.enroll(name, DEMO / photo)
        found = gallery.identify(DEMO / "group.jpg").faces
    for face in found:
        best = face.candidates[0]
        print(f"{face.name or 'unknown':<15} most like {best.name}: {best.similarity:.3f}")
    image = lineament.load_image(DEMO / "group.jpg")
    labels = [face.name or "unknown" for face in found]
    save_png(annotate(image, [face.face for face in found], labels=labels), options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()

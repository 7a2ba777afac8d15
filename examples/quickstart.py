"""Verify and detect on the photos that the package carries, and draw both answers.

    python examples/quickstart.py [--out FOLDER]

It uses nothing but the public interface. ``lineament demo`` does the same on the command line.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lineament
from lineament import Recognizer
from lineament.pictures.photos import annotate, save_png, verdict_picture

DEMO = Path(lineament.__file__).parent / "data" / "demo"
PAIRS = {
    ("obama.jpg", "obama2.jpg"): "same",
    ("obama.jpg", "biden.jpg"): "different",
    ("obama2.jpg", "biden.jpg"): "different",
    ("obama.jpg", "astronaut.jpg"): "different",
}
"""Two photos, and the truth."""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    recognizer = Recognizer()

    names = sorted(path.name for path in DEMO.glob("*.jpg"))
    found = recognizer.analyze([DEMO / name for name in names], keep_crops=True, keep_pixels=True)
    photos = dict(zip(names, found, strict=True))  # read, detected and embedded once
    right = True
    for (a, b), truth in PAIRS.items():
        decision = recognizer.verify(photos[a], photos[b])
        right &= decision.verdict == truth
        print(f"{a:<10} {b:<14} {decision.verdict:<10} {decision.certainty.in_words}")
    for name, photo in photos.items():
        sides = ", ".join(f"{max(face.size_wh):.0f}" for face in photo.faces)
        print(f"{name:<14} {len(photo.faces)} faces: {sides} pixels")

    group, a, b = (photos[name] for name in ("group.jpg", "obama.jpg", "obama2.jpg"))
    labels = [f"{face.score:.2f}" for face in group.faces]
    save_png(annotate(group.pixels, group.faces, labels=labels), options.out / "detect.png")
    picture = verdict_picture(
        *(a.pixels, b.pixels),
        recognizer.verify(a, b),
        *(a.crops[0], b.crops[0]),
        faces_a=a.faces,
        faces_b=b.faces,
    )
    save_png(picture, options.out / "verify.png")
    print(f"wrote {options.out / 'detect.png'}, {options.out / 'verify.png'}")
    if not right:
        raise SystemExit("an answer is wrong: this should not happen, please report it")


if __name__ == "__main__":
    main()

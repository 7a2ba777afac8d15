"""Verify and detect on the photos that the package carries, and draw both answers.

    python examples/quickstart.py [--out FOLDER]

The photos are copied into the folder, so that what README shows can be tried there. It uses nothing
but the public interface. ``lineament demo`` does the same on the command line.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lineament import Recognizer
from lineament.demo import PAIRS, copy_photos
from lineament.pictures.photos import annotate, save_png, verdict_picture


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo"))
    options = parser.parse_args()
    recognizer = Recognizer()

    paths = copy_photos(options.out)
    found = recognizer.analyze(paths, keep_crops=True, keep_pixels=True)
    names = [path.stem for path in paths]
    photos = dict(zip(names, found, strict=True))  # read, detected and embedded once
    right = True
    for a, b, same in PAIRS:
        decision = recognizer.verify(photos[a], photos[b])
        right &= decision.verdict == ("same" if same else "different")
        print(f"{a:<10} {b:<14} {decision.verdict:<10} {decision.certainty.in_words}")
    for name, photo in photos.items():
        sides = ", ".join(f"{max(face.size_wh):.0f}" for face in photo.faces)
        print(f"{name:<14} {len(photo.faces)} faces: {sides} pixels")

    group, a, b = (photos[name] for name in ("group", "obama", "obama2"))
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
    print(f"the photos are in {options.out}; README says what to try on them")
    if not right:
        raise SystemExit("an answer is wrong: this should not happen, please report it")


if __name__ == "__main__":
    main()

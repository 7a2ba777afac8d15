"""Verify and detect on the photos that the package carries; ``make demo`` runs this.

    python examples/quickstart.py [--out FOLDER]

It uses nothing but the public interface, so it is also a first example.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

import lineament
from lineament import Recognizer
from lineament.pictures.photos import annotate, save_png, verdict_picture

PHOTOS = Path(lineament.__file__).parent / "data" / "demo"
PAIRS = (
    ("obama.jpg", "obama2.jpg", True),
    ("obama.jpg", "biden.jpg", False),
    ("obama2.jpg", "biden.jpg", False),
    ("obama.jpg", "astronaut.jpg", False),
)
"""Two photos, and whether they show one person."""


def verify(recognizer: Recognizer, console: Console) -> bool:
    """Print a table of decisions; returns whether all of them are right."""
    decisions = recognizer.verify(
        [PHOTOS / a for a, _, _ in PAIRS], [PHOTOS / b for _, b, _ in PAIRS]
    )
    threshold = recognizer.threshold()
    title = f"Are they the same person? (from a cosine of {threshold.value:.3f} on)"
    table = Table(title=title, title_justify="left")
    numbers = ("probability", "cosine")
    for column in ("photograph", "photograph", "answer", *numbers, "truth"):
        table.add_column(column, justify="right" if column in numbers else "left")
    right = True
    for (a, b, truth), decision in zip(PAIRS, decisions, strict=True):
        if isinstance(decision, lineament.LineamentError):
            raise decision
        right &= decision.same == truth
        color = {"same": "green", "different": "yellow", "undecided": "white"}[decision.verdict]
        answer = f"[{color}]{decision.verdict}[/]"
        table.add_row(
            a,
            b,
            answer,
            "" if decision.certainty is None else decision.certainty.in_words.partition(" (")[0],
            f"{decision.similarity:.3f}",
            "same" if truth else "different",
        )
    console.print(table)
    return right


def detect(recognizer: Recognizer, console: Console) -> None:
    """Print how many faces each photo has, and how large they are."""
    names = [path.name for path in sorted(PHOTOS.glob("*.jpg"))]
    table = Table(title="Where are faces?", title_justify="left")
    table.add_column("photograph")
    for column in ("size", "faces", "smallest", "largest"):
        table.add_column(column, justify="right")
    for name, photo in zip(
        names, recognizer.detect([PHOTOS / name for name in names]), strict=True
    ):
        if photo.error is not None or photo.size_wh is None:
            table.add_row(name, str(photo.error))
            continue
        sides = sorted(max(face.size_wh) for face in photo.faces)
        ends = (f"{sides[0]:.0f} px", f"{sides[-1]:.0f} px") if sides else ("", "")
        table.add_row(name, "{} x {}".format(*photo.size_wh), str(len(sides)), *ends)
    console.print(table)


def draw(recognizer: Recognizer, folder: Path) -> list[Path]:
    """Write the annotated collage and the verdict on the first pair."""
    folder.mkdir(parents=True, exist_ok=True)
    group = lineament.load_image(PHOTOS / "group.jpg")
    faces = recognizer.detect(group).faces
    files = [folder / "detect.png", folder / "verify.png"]
    save_png(annotate(group, faces, labels=[f"{face.score:.2f}" for face in faces]), files[0])

    images = [lineament.load_image(PHOTOS / name) for name in PAIRS[0][:2]]
    photos = recognizer.analyze(images, keep_crops=True)
    decision = recognizer.verify(*(PHOTOS / name for name in PAIRS[0][:2]))
    crops = []
    for photo in photos:
        largest = photo.largest()
        assert photo.crops is not None
        assert largest is not None
        crops.append(photo.crops[largest])
    picture = verdict_picture(
        *images, decision, *crops, faces_a=photos[0].faces, faces_b=photos[1].faces
    )
    save_png(picture, files[1])
    return files


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("demo"))
    options = parser.parse_args()
    console = Console()
    start = time.perf_counter()
    recognizer = Recognizer()
    right = verify(recognizer, console)
    detect(recognizer, console)
    console.print(f"{time.perf_counter() - start:.1f} s, loading the networks included. Pictures:")
    for file in draw(recognizer, options.out):
        print(f"  {os.path.relpath(file)}")
    if not right:
        raise SystemExit("an answer is wrong: this should not happen, please report it")


if __name__ == "__main__":
    main()

"""``lineament demo`` and ``lineament completion``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lineament.cli import options
from lineament.cli.command import argument, command, option
from lineament.cli.output import print_json, print_line, print_note, print_table, print_verbatim
from lineament.cli.targets import Target, make_folder, writing

if TYPE_CHECKING:
    from lineament.pipeline import Recognizer
    from lineament.types import Photo


PICTURE = "detect.png"


@command("lineament demo --out pictures")
@option(
    "--out",
    writes=Target(file=False, folder=True, inside=(PICTURE,)),
    metavar="DIR",
    help="Draw the answers into this folder, too.",
)
@option(
    "--photos",
    writes=Target(file=False, folder=True, resumes=True),
    metavar="DIR",
    help="Copy the photos into this folder, to try other commands on them; files that are there "
    "stay.",
)
@options.overwrite
@options.json
@options.recognizer()
def demo(out: Path | None, photos: Path | None, overwrite: bool, json: bool, **given: Any) -> int:
    """Try it on the photos that come with the package.

    Who is the same person, and where are faces? Exit code 0: all answers are right, 1: one is
    wrong, 2: error.
    """
    from lineament.demo import copy_photos, demo_photos

    paths = list(demo_photos().values())
    recognizer = options.recognizer_from(given)
    copied = [] if photos is None else copy_photos(photos)
    analyzed = recognizer.analyze(paths, keep_crops=True, keep_pixels=out is not None)
    seen = {path.name: photo for path, photo in zip(paths, analyzed, strict=True)}
    compared, right = _compare(recognizer, seen)
    found = [_measured(name, photo) for name, photo in seen.items()]
    written = []
    if out is not None:
        with writing(out / PICTURE, "out"):
            _draw(seen["group.jpg"], out)
            written.append(str(out / PICTURE))
    if json:
        print_json(
            {
                "decisions": compared,
                "photos": [photo.to_dict() | {"source": name} for name, photo in seen.items()],
                "out": None if out is None else str(out),
                "copied": [str(path) for path in copied],
                "right": right,
            }
        )
        return 0 if right else 1
    columns = ("photo A", "photo B", "answer", "probability", "score", "truth")
    rows = [
        (
            pair["a"],
            pair["b"],
            pair["verdict"],
            pair["in_words"],
            f"{pair['score']:.3f}",
            "same" if pair["truth"] else "different",
        )
        for pair in compared
    ]
    print_table(columns, rows, right=("probability", "score"))
    print_line()
    columns_ = ("photo", "size", "faces", "smallest, px", "largest, px")
    sizes = [
        (
            each["photo"],
            "{} x {}".format(*each["size_wh"]),
            str(len(each["faces_px"])),
            *(f"{each['faces_px'][end]:.0f}" if each["faces_px"] else "" for end in (0, -1)),
        )
        for each in found
    ]
    print_table(columns_, sizes, right=columns_[1:])
    if photos is not None:
        print_note(f"the photos are in {photos}, one folder per person in {photos / 'people'}")
    if not right:
        print_note("an answer is wrong: this should not happen, please report it")
    return 0 if right else 1


def _compare(
    recognizer: Recognizer, photos: Mapping[str, Photo]
) -> tuple[list[dict[str, Any]], bool]:
    from lineament.demo import PAIRS
    from lineament.errors import LineamentError

    names = [(f"{pair.a}.jpg", f"{pair.b}.jpg", pair.same) for pair in PAIRS]
    decisions = recognizer.verify(
        [photos[a] for a, _, _ in names], [photos[b] for _, b, _ in names]
    )
    rows = []
    for (a, b, truth), decision in zip(names, decisions, strict=True):
        if isinstance(decision, LineamentError):
            raise decision
        certainty = decision.certainty
        rows.append(
            {
                "a": a,
                "b": b,
                "verdict": decision.verdict,
                "probability": decision.probability,
                "in_words": "" if certainty is None else certainty.in_words.split(" (")[0],
                "score": decision.score,
                "truth": truth,
            }
        )
    right = all((row["verdict"] == "same") == row["truth"] for row in rows)
    return rows, right


def _measured(name: str, photo: Photo) -> dict[str, Any]:
    if photo.error is not None:
        raise photo.error
    sides = sorted(float(max(face.size_wh)) for face in photo.faces)
    return {"photo": name, "size_wh": photo.size_wh, "faces_px": sides}


def _draw(photo: Photo, folder: Path) -> None:
    from lineament.finder import pixels_of
    from lineament.pictures.photos import annotate, save_picture

    make_folder(folder, "out")
    labels = [f"{face.score:.2f}" for face in photo.faces]
    save_picture(annotate(pixels_of(photo), photo.faces, labels=labels), folder / PICTURE)


@command('eval "$(lineament completion bash)"')
@argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Completion of the shell: what to run for it.

    Prints a script; the example runs it, and belongs into ~/.bashrc or the like.
    """
    from click.shell_completion import get_completion_class

    from lineament.cli import app

    kind = get_completion_class(shell)
    assert kind is not None
    print_verbatim(kind(app, {}, "lineament", "_LINEAMENT_COMPLETE").source())

"""``lineament analyze PHOTO...``: how faces look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import command, option
from lineament.cli.output import (
    exit_code,
    print_error,
    print_json,
    print_line,
    print_note,
    print_pairs,
    print_photo_error,
    print_table,
)
from lineament.cli.progress import keeps, with_progress
from lineament.cli.sources import FileNames, many_sources, not_looked_at
from lineament.cli.targets import PICTURE, Target, make_folder, refuse_existing, write_csv, writing
from lineament.errors import LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.attributes.results import FaceAttributes, PhotoAttributes
    from lineament.types import Photo

DRAWN = Target(PICTURE.suffixes, folder=True)
"""A picture, or a folder of pictures."""


@command("lineament analyze party.jpg --out looks.png")
@options.images
@option(
    "--only",
    metavar="NAME,...",
    help="Of age, gender, expression, pose, eyes, mouth, gaze; age and gender alone are faster.",
    show_default="all",
    api=["only"],
)
@option(
    "--out",
    writes=DRAWN,
    metavar="PATH",
    help="Draw it: FILE.png for one photo, else a folder.",
)
@options.csv
@options.overwrite
@options.json
@options.allow_private
@options.recognizer(without=options.ONLY_FACES)
def analyze(
    images: tuple[str, ...],
    only: str | None,
    out: Path | None,
    csv: Path | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Say how faces look: age, gender, expression, head and gaze.

    Each with its doubt: an interval, a probability, "undecided". What was measured of each is
    printed with it. Exit code 0: there are faces, 1: there are none, 2: error.
    """
    from lineament.attributes import NAMES, AttributeReader
    from lineament.attributes.reader import checked_names

    names = None if only is None else [name.strip() for name in only.split(",")]
    asked = [name for name in NAMES if name in checked_names(names)]
    finder = options.finder_from(given)
    reader = AttributeReader(runtime=finder.runtime, policy=finder.policy)
    reader.load(names)  # what cannot be loaded is said once, before the work
    sources = many_sources(images)
    as_file = out is not None and not DRAWN.is_folder(out)
    if as_file and len(sources) > 1:
        raise OptionError(f"--out: expected a folder for {len(sources)} photos, got the file {out}")
    if out is not None and not as_file:
        make_folder(out, "out")
    found: list[PhotoAttributes] = []
    errors = 0
    drawn = FileNames()
    if out is not None and not as_file:
        keeps(lambda: f"{len(found)} of {len(sources)} photos are drawn and stay")
    photos = finder.stream(sources, keep_pixels=True)
    for photo in with_progress(photos, len(sources), "analyzing"):
        errors += print_photo_error(photo)
        if photo.error is not None:
            found.append(_nothing(photo))
            continue
        try:
            looks = reader.read(photo, only=names)
        except LineamentError as error:
            print_error(error)
            errors += 1
            found.append(_nothing(replace(photo, pixels=None, error=error)))
            continue
        found.append(replace(looks, photo=replace(photo, pixels=None)))
        if out is None:
            continue
        if as_file:
            with writing(out, "out"):
                _draw(looks, out, overwrite)
            continue
        try:
            _draw(looks, out / f"{drawn.stem(photo.source)}.png", overwrite)
        except LineamentError as error:
            print_error(error)
            errors += 1
    if csv is not None:
        with writing(csv, "csv"):
            write_csv(csv, (row for looks in found for row in looks.to_rows()))
    limits = _limits(asked)
    if json:
        listed = [looks.to_dict() for looks in found]
        for values in listed:
            values.pop("limits")
        print_json({"photos": listed, "limits": limits, "n_errors": errors} | not_looked_at())
    else:
        _print(found, asked)
        if any(looks.faces for looks in found):
            print_line("")
            print_pairs(limits.items())
        if out is not None and not as_file and errors < len(found):
            print_note(f"wrote {out}")
    return exit_code(errors, any(looks.faces for looks in found))


def _nothing(photo: Photo) -> PhotoAttributes:
    from lineament.attributes.results import PhotoAttributes

    return PhotoAttributes(photo, ())


def _limits(asked: Sequence[str]) -> dict[str, str]:
    from lineament.attributes import LIMITS

    return {name: LIMITS[name] for name in (*asked, "race")}


def _draw(looks: PhotoAttributes, target: Path, overwrite: bool) -> None:
    from lineament.pictures.looks import attributes_picture
    from lineament.pictures.photos import save_picture

    refuse_existing(target, overwrite)
    save_picture(attributes_picture(looks), target)


_FIGURES = ("face", "yaw", "pitch", "roll")


def _print(found: Sequence[PhotoAttributes], asked: Sequence[str]) -> None:
    """One row for each face."""
    from lineament.attributes import words

    columns: list[tuple[str, str, Callable[[FaceAttributes], str]]] = [
        ("age", "age", lambda face: words.age_words(face.age)),
        ("gender", "gender", lambda face: words.gender_words(face.gender)),
        ("expression", "expression", lambda face: words.expression_words(face.expression)),
        ("pose", "yaw", lambda face: words.head_words(face.pose)[0]),
        ("pose", "pitch", lambda face: words.head_words(face.pose)[1]),
        ("pose", "roll", lambda face: words.head_words(face.pose)[2]),
        ("eyes", "eyes", lambda face: words.eyes_words(face.eyes)),
        ("mouth", "mouth", lambda face: words.mouth_words(face.mouth)),
        ("gaze", "looks at", lambda face: words.gaze_words(face.gaze)),
    ]
    chosen = [(title, say) for name, title, say in columns if name in asked]
    rows: list[tuple[str, ...]] = []
    doubts: list[tuple[str, str]] = []
    for looks in found:
        if looks.photo.error is not None:
            continue
        if not looks.faces:
            rows.append((looks.source, "-", *[""] * len(chosen)))
        for number, face in enumerate(looks.faces, 1):
            rows.append((looks.source, str(number), *(say(face) for _, say in chosen)))
            place = f"{looks.source}, face {number}" if len(found) > 1 else f"face {number}"
            doubts += [(place if i == 0 else "", doubt) for i, doubt in enumerate(face.doubts)]
    if rows:
        print_table(("photo", "face", *(title for title, _ in chosen)), rows, right=_FIGURES)
    if doubts:
        print_line("")
        print_pairs(doubts)

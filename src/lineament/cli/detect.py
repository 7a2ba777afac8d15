"""``lineament detect IMAGE...``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.output import (
    make_folder,
    print_error,
    print_json,
    print_note,
    print_table,
    refuse_existing,
    refuse_inputs,
    with_progress,
)
from lineament.cli.sources import FileNames, many_sources
from lineament.errors import LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.types import Face, Photo

Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE...", help="Files, folders, glob patterns, URLs, or - (standard input)."
    ),
]


@options.with_recognizer(without=options.OF_THE_RECOGNIZER)
def command(
    ctx: typer.Context,
    images: Images,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="PATH",
            help="Draw the faces: FILE.png for one photo, else a folder.",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Find faces.

    Exit code 0: there are some, 1: there are none, 2: error.
    """
    finder = options.finder_from(ctx.params)
    sources = many_sources(images)
    as_file = save is not None and _is_file(save, sources)
    if save is not None and as_file:
        refuse_inputs(save, sources, "--save")
    elif save is not None:
        make_folder(save, "--save")
    found: list[Photo] = []
    errors = 0
    names = FileNames()
    photos = finder.stream(sources, keep_pixels=save is not None)
    for photo in with_progress(photos, len(sources), "detecting"):
        found.append(replace(photo, pixels=None))
        errors += report(photo)
        if save is not None and photo.error is None:
            target = save if as_file else save / f"{names.stem(photo.source)}.png"
            errors += _draw(photo, target, overwrite or as_file)
    if json:
        print_json({"images": [photo.to_dict() for photo in found], "errors": errors})
    else:
        _print(found)
        if save is not None and errors < len(found):
            print_note(f"wrote {save}")
    raise typer.Exit(exit_code(errors, any(photo.faces for photo in found)))


def exit_code(errors: int, found: bool) -> int:
    """2 after any error, else 0 when there is a face and 1 when there is none."""
    if errors:
        return 2
    return 0 if found else 1


def report(photo: Photo) -> int:
    """Print the photo's error, if it has one, and count it."""
    if photo.error is None:
        return 0
    print_error(photo.error)
    return 1


def face_in_words(face: Face | None) -> str:
    """Size, score and turn of a face."""
    if face is None:
        return "unknown"
    width, height = face.size_wh
    turned = f", turned by {face.turned_deg} degrees" if face.turned_deg else ""
    return f"{width:.0f} x {height:.0f} px, detected with {face.score:.3f}{turned}"


def _is_file(save: Path, sources: list[Any]) -> bool:
    is_png = save.suffix.lower() == ".png" and not save.is_dir()
    if is_png and len(sources) > 1:
        raise OptionError(
            f"--save: expected a folder for {len(sources)} photos, got the file {save}"
        )
    if not is_png and save.suffix and not save.is_dir() and len(sources) == 1:
        raise OptionError(f"--save: expected a name that ends in .png or a folder, got {save}")
    return is_png


def _draw(photo: Photo, target: Path, overwrite: bool) -> int:
    from lineament.finder import pixels_of
    from lineament.pictures.photos import annotate, save_png

    try:
        refuse_existing(target, overwrite)
        labels = [f"{i}  {face.score:.2f}" for i, face in enumerate(photo.faces, 1)]
        save_png(annotate(pixels_of(photo), photo.faces, labels=labels), target)
    except LineamentError as error:
        print_error(error)
        return 1
    return 0


def _print(photos: Iterable[Photo]) -> None:
    rows = []
    for photo in photos:
        if photo.error is not None:
            continue
        if not photo.faces:
            rows.append((photo.source, "-", "", "", "", ""))
        for number, face in enumerate(photo.faces, 1):
            left, top, _, _ = face.box_xyxy
            width, height = face.size_wh
            rows.append(
                (
                    photo.source,
                    str(number),
                    f"{face.score:.3f}",
                    f"{left:.0f},{top:.0f}",
                    f"{width:.0f}x{height:.0f}",
                    str(face.turned_deg),
                )
            )
    if rows:
        columns = ("photograph", "face", "score", "left,top", "size", "turned")
        print_table(columns, rows, right=columns[1:], fold=columns[:1])

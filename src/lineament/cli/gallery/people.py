"""``lineament people`` and ``lineament show NAME``."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.gallery import opening, values
from lineament.cli.output import print_json, print_note, print_pairs, print_table
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.gallery import Gallery, PersonInfo, SampleInfo

SHEET_COLUMNS, SHEET_PX = 8, 112


def list_command(
    ctx: typer.Context,
    where: values.Where = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="NAME", help="Only names after this one.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many.")
    ] = None,
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Who is in the gallery.

    Exit code 0: there is somebody, 1: there is nobody (with such metadata), 2: error.
    """
    wanted = values.filter_from(where)
    with opening.opened(ctx.params, read_only=True) as opened:
        found = opened.people(where=wanted, after=after, limit=limit)
        about = about_gallery(opened)
    if json:
        print_json(about | {"people": [listed(person) for person in found]})
    else:
        if found:
            rows = [
                (one.name, str(one.n_samples), day(one.created), metadata_in_words(one.metadata))
                for one in found
            ]
            columns = ("name", "photographs", "since", "metadata")
            print_table(columns, rows, right=columns[1:2], fold=("name", "metadata"))
        print_note(
            f"{about['gallery']}: {count(about['n_people'], 'person', 'people')}, "
            f"{count(about['n_samples'], 'photo')}, recognizer {opened_weights(about)}"
        )
    raise typer.Exit(0 if found else 1)


def show_command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom.")],
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE.png", help="Draw the enrolled faces; replaces FILE."),
    ] = None,
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """One person with all photos."""
    if save is not None and save.suffix.lower() != ".png":
        raise OptionError(f"--save: expected a file whose name ends in .png, got {save}")
    with opening.opened(ctx.params, read_only=True) as opened:
        person = opened.person(name)
        about = about_gallery(opened)
        missing = [] if save is None else _draw(opened, person, save)
    if json:
        found = about | {"person": person.to_dict()}
        print_json(found | ({} if save is None else {"out": str(save), "not_drawn": missing}))
        return
    _print(person)
    if save is not None:
        print_note(f"wrote {save}")
        if missing:
            print_note(
                f"not drawn: {', '.join(f'sample {number}' for number in missing)}: no crop is "
                "kept (--keep-crops), and the photo is not there any more"
            )


def about_gallery(gallery: Gallery) -> dict[str, Any]:
    """What every command's JSON says about the gallery."""
    return {
        "gallery": str(gallery.folder),
        "n_people": gallery.n_people,
        "n_samples": gallery.n_samples,
        "contract": asdict(gallery.contract),
    }


def opened_weights(about: dict[str, Any]) -> str:
    """The recognizer's name."""
    return str(about["contract"]["weights"])


def count(number: int, one: str, many: str | None = None) -> str:
    """A number and its noun."""
    return f"{number:,} {one if number == 1 else f'{one}s' if many is None else many}"


def listed(person: PersonInfo) -> dict[str, Any]:
    """A person in a list: without samples."""
    return {key: value for key, value in person.to_dict().items() if key != "samples"}


def day(seconds: float) -> str:
    """A time as a date, where the computer is."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d")


def metadata_in_words(metadata: Any) -> str:
    """KEY=VALUE, as the options take them."""
    return ", ".join(
        f"{key}={value if isinstance(value, str) else json_module.dumps(value, ensure_ascii=False)}"
        for key, value in metadata.items()
    )


def _print(person: PersonInfo) -> None:
    rows = [("name", person.name)]
    if person.metadata:
        rows.append(("metadata", metadata_in_words(person.metadata)))
    rows += [("since", day(person.created)), ("photographs", str(person.n_samples))]
    print_pairs(rows)
    if not person.samples:
        return
    print()
    noted = any(one.metadata for one in person.samples)
    columns = ("sample", "photograph", "face, px", "enrolled", "metadata")[: 5 if noted else 4]
    cells = []
    for one in person.samples:
        source = one.source if one.source else "-"
        row = (str(one.id), source, _size(one), day(one.added), metadata_in_words(one.metadata))
        cells.append(row[: len(columns)])
    print_table(columns, cells, right=("sample", "face, px"), fold=("photograph", "metadata"))


def _size(sample: SampleInfo) -> str:
    if sample.box_xyxy is None:
        return "-"
    left, top, right, bottom = sample.box_xyxy
    return f"{right - left:.0f}x{bottom - top:.0f}"


def _draw(gallery: Gallery, person: PersonInfo, path: Path) -> list[int]:
    """The sheet of faces; ids of the samples of which nothing can be shown."""
    import numpy as np

    from lineament.cli.gallery.pictures import sample_picture
    from lineament.pictures.photos import contact_sheet, save_png

    pictures = {one.id: sample_picture(gallery, one, SHEET_PX) for one in person.samples}
    shown = [picture for picture in pictures.values() if picture is not None]
    if not shown:
        raise OptionError(
            f"--save: nothing can be drawn of {person.name}: no crop is kept (enroll with "
            "--keep-crops), and no photo is there any more"
        )
    save_png(contact_sheet(np.stack(shown), SHEET_COLUMNS), path)
    return [number for number, picture in pictures.items() if picture is None]

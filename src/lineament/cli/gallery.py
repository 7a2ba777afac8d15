"""``lineament gallery``: who is enrolled; show, rename, merge, annotate and remove people."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lineament.cli import options
from lineament.cli.command import argument, command, option
from lineament.cli.numbers import COUNT
from lineament.cli.output import (
    print_error,
    print_json,
    print_line,
    print_note,
    print_pairs,
    print_table,
)
from lineament.cli.targets import PICTURE, Target, write_csv, writing
from lineament.errors import GalleryDamagedError, GalleryNotFoundError, OptionError
from lineament.suggest import did_you_mean, similar_path
from lineament.text import counted, printable

if TYPE_CHECKING:
    from lineament.gallery import DamagedPart, Gallery, PersonInfo, SampleInfo

ENVIRONMENT = "LINEAMENT_GALLERY"
DEFAULT_FOLDER = "gallery"
SHEET_COLUMNS, SHEET_PX = 8, 112
MOST_LISTED = 20

# --- which gallery --------------------------------------------------------------------------------


def folder_from(gallery: Path | None) -> Path:
    """The folder that the option, or else the environment, names."""
    if gallery is not None:
        return gallery
    named = os.environ.get(ENVIRONMENT, "")
    return Path(named if named else DEFAULT_FOLDER)


def open_gallery(gallery: Path | None, *, read_only: bool = False) -> Gallery:
    """The gallery, without a recognizer."""
    from lineament.gallery import Gallery

    return Gallery.open(_existing(gallery), read_only=read_only)


def open_with_recognizer(given: Mapping[str, Any], *, read_only: bool = False) -> Gallery:
    """The gallery, and the recognizer that it was made with, or that the options describe."""
    from lineament.gallery import Gallery

    folder = _existing(given["gallery"])
    made = options.recognizer_options(given)
    return Gallery.open(folder, read_only=read_only, recognizer=made)


@contextmanager
def made_if_used(folder: Path, open_or_create: Callable[[], Gallery]) -> Iterator[Gallery]:
    """Open or make a gallery; a new one into which nothing comes is not left behind."""
    from lineament.gallery import Gallery

    new, keep_folder = not Gallery.exists(folder), os.path.lexists(folder)
    opened = open_or_create()
    try:
        yield opened
    finally:
        if not new:
            opened.close()
        elif opened.discard_if_empty(keep_folder=keep_folder):
            print_note(f"{folder}: no gallery was made, since nobody was enrolled")
        else:
            _say_if_not_encrypted(folder)


def _say_if_not_encrypted(folder: Path) -> None:
    from lineament.gallery.keys import VARIABLES

    given = [name for name in VARIABLES if os.environ.get(name)]
    if given:
        print_note(
            f"note: the new gallery {folder} is not encrypted, although {given[0]} names a key: "
            "`lineament gallery encrypt` encrypts it"
        )


def _existing(gallery: Path | None) -> Path:
    from lineament.gallery import Gallery

    folder = folder_from(gallery)
    if not Gallery.exists(folder):
        near = None if os.path.lexists(folder) else similar_path(folder, folders=True)
        raise GalleryNotFoundError(
            f"{folder}: there is no gallery{did_you_mean(near)}",
            hint=f"name its folder by --gallery or {ENVIRONMENT}; `lineament gallery enroll` and "
            "`lineament gallery enroll-folder` make one",
        )
    return folder


def about_gallery(gallery: Gallery, *, warn: bool = True) -> dict[str, Any]:
    """What every command's JSON says about the gallery; what it has met of damage is said."""
    if warn:
        warn_of_damage(gallery)
    return {
        "gallery": str(gallery.folder),
        "n_people": gallery.n_people,
        "n_samples": gallery.n_samples,
        "contract": asdict(gallery.contract),
    }


def warn_of_damage(gallery: Gallery) -> None:
    """Say once how much was passed over because it is damaged."""
    found = gallery.damaged
    if found:
        print_error(
            f"{_how_many(found)} damaged: what is damaged is never taken for somebody; "
            "`lineament gallery check` names it",
            label="warning: ",
        )


def _how_many(found: Sequence[DamagedPart]) -> str:
    """Such as "2 samples and 1 person are"."""
    samples = sum(part.sample is not None for part in found)
    people = len(found) - samples
    words = [counted(samples, "sample")] if samples else []
    words += [counted(people, "person", "people")] if people else []
    return f"{' and '.join(words)} {'is' if len(found) == 1 else 'are'}"


_name = argument("name", metavar="NAME", help="Whom.")


# --- people ---------------------------------------------------------------------------------------


@command("lineament gallery people --where 'groups~night'")
@options.where
@option("--after", metavar="NAME", help="Only names after this one.")
@option("--limit", type=COUNT, metavar="N", help="At most so many.")
@option(
    "--csv", writes=Target((".csv",)), metavar="FILE.csv", help="Write a table, one row a person."
)
@options.overwrite
@options.gallery
@options.json
def people(
    where: tuple[str, ...],
    after: str | None,
    limit: int | None,
    csv: Path | None,
    overwrite: bool,
    gallery: Path | None,
    json: bool,
) -> int:
    """Who is in the gallery.

    Exit code 0: there is somebody, 1: there is nobody (with such metadata), 2: error.
    """
    from lineament.gallery.filters import parse_filter

    filters = parse_filter(where, "--where")
    with open_gallery(gallery, read_only=True) as opened:
        found = opened.people(where=filters, after=after, limit=limit)
        about = about_gallery(opened)
        notes = _notes_of(opened, filters, after, found)
    if csv is not None:
        with writing(csv, "csv"):
            write_csv(csv, map(_row, found))
    if json:
        about |= {"n_found": len(found), "notes": notes}
        print_json(about | {"people": [_listed(person) for person in found]})
    else:
        if found:
            columns = ["name", "photos", "since", "metadata"]
            rows = [
                [one.name, str(one.n_samples), _day(one.created), _metadata_in_words(one.metadata)]
                for one in found
            ]
            if any(one.expires is not None for one in found):
                columns.append("until")
                for row, one in zip(rows, found, strict=True):
                    row.append("-" if one.expires is None else _day(one.expires))
            print_table(columns, rows, right=columns[1:2])
        print_note(
            f"{about['gallery']}: {counted(about['n_people'], 'person', 'people')}, "
            f"{counted(about['n_samples'], 'photo')}, recognizer {weights_name(about)}"
        )
        for note in notes:
            print_note(f"note: {note}")
    return 0 if found else 1


def _notes_of(
    gallery: Gallery, where: Mapping[str, Any] | None, after: str | None, found: Sequence[Any]
) -> list[str]:
    """Why nobody was found, or what of the filter changes nothing."""
    if found or not gallery.n_people:
        return gallery.filter_notes(where) if found else []
    if where and not gallery.people(where=where, limit=1):
        return gallery.filter_notes(where)
    return [f"nobody comes after {after!r}"]


@command('lineament gallery show "Ada Lovelace" --save ada.png')
@_name
@option("--save", writes=PICTURE, metavar="FILE.png", help="Draw the enrolled faces.")
@options.overwrite
@options.gallery
@options.json
def show(name: str, save: Path | None, overwrite: bool, gallery: Path | None, json: bool) -> None:
    """One person with all photos."""
    with open_gallery(gallery, read_only=True) as opened:
        person = opened.person(name)
        about = about_gallery(opened)
        missing: list[int] = []
        if save is not None:
            with writing(save, "save"):
                missing = _draw_person(opened, person, save)
    if json:
        found = about | {"person": person.to_dict()}
        print_json(found | ({} if save is None else {"out": str(save), "not_drawn": missing}))
        return
    _print_person(person)
    if missing:
        print_note(
            f"not drawn: {', '.join(f'sample {number}' for number in missing)}: no crop that "
            "can be shown is kept (--keep-crops), and the photo is not there any more"
        )


@command('lineament gallery rename "Ada Byron" "Ada Lovelace"')
@_name
@argument("new_name", metavar="NEW-NAME", help="The new name.")
@options.gallery
@options.json
def rename(name: str, new_name: str, gallery: Path | None, json: bool) -> None:
    """Give a person another name."""
    with open_gallery(gallery) as opened:
        before = opened.person(name).name
        person = opened.rename(before, new_name)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    elif person.name == before:
        print_note(f"{before} is called so already: nothing was changed")
    else:
        print_line(f"{before} is {person.name} now")


@command("lineament gallery merge Ada Countess")
@argument("name", metavar="NAME", help="Who stays.")
@argument("others", nargs=-1, metavar="OTHER...", help="Who is the same person.")
@option("--force", is_flag=True, help="Unite people who do not look like one, too.")
@options.gallery
@options.json
def merge(
    name: str, others: tuple[str, ...], force: bool, gallery: Path | None, json: bool
) -> None:
    """Unite several people into one.

    The photos of OTHER become those of NAME. It cannot be undone; people who do not look like one
    are refused.
    """
    with open_gallery(gallery) as opened:
        person = opened.merge(name, others, force=force)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    else:
        print_line(f"{person.name} has {counted(person.n_samples, 'photo')} now")


@command("lineament gallery annotate Ada building=B groups='[\"night\"]'")
@_name
@argument(
    "entries",
    nargs=-1,
    required=False,
    metavar="[KEY=VALUE...]",
    help="JSON where it is JSON, else text; null removes a key.",
)
@option("--replace", is_flag=True, help="Remove all other keys.")
@options.gallery
@options.json
def annotate(
    name: str, entries: tuple[str, ...], replace: bool, gallery: Path | None, json: bool
) -> None:
    """Set a person's metadata.

    --where of `identify` and `gallery people` looks at it.
    """
    from lineament.gallery.filters import parse_metadata

    metadata = parse_metadata(entries, "annotate")
    if not metadata and not replace:
        raise OptionError("annotate: expected KEY=VALUE, got nothing")
    with open_gallery(gallery) as opened:
        opened.annotate(name, metadata, replace=replace)
        person = opened.person(name)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    else:
        words = _metadata_in_words(person.metadata)
        print_line(f"{person.name}: {words if words else 'no metadata'}")


@command("lineament gallery remove --sample 17")
@argument("name", required=False, metavar="[NAME]", help="Whom, with all photos.")
@option(
    "--sample", type=COUNT, metavar="ID", help="One photo; `lineament gallery show` has its ID."
)
@option("--damaged", is_flag=True, help="What `lineament gallery check` finds to be damaged.")
@option("--yes", "-y", is_flag=True, help="Do not ask.")
@options.gallery
@options.json
def remove(
    name: str | None,
    sample: int | None,
    damaged: bool,
    yes: bool,
    gallery: Path | None,
    json: bool,
) -> int:
    """Remove a person, or one photo, and every byte of it.

    It cannot be undone. Files that `gallery export` wrote, and backups, keep what is in them.
    """
    given = [value for value in (name, sample, damaged or None) if value is not None]
    if len(given) != 1:
        got = "neither" if not given else "both" if len(given) == 2 else "all"
        raise OptionError(f"remove: expected NAME, --sample ID or --damaged, got {got}")
    if not yes and (json or not somebody_there()):
        raise OptionError(
            "remove: there is no terminal to ask on: add --yes to remove it without a question"
        )
    with open_gallery(gallery) as opened:
        what = sample if name is None else name
        if what is not None:
            words = _in_words(opened, what)
        else:
            opened.check()
            if not opened.damaged:
                print_note("nothing is damaged: nothing was removed")
                return 0
            words = _in_words_all(opened)
        if not yes and not click.confirm(f"Remove {words} for good?", err=True):
            print_note("nothing was removed")
            return 1
        report = opened.remove_damaged() if what is None else opened.remove(what)
        about = about_gallery(opened)
    if json:
        print_json(about | {"removed": report.to_dict()})
    else:
        print_line(f"removed {words}")
    if report.n_uncached:
        photos = counted(report.n_uncached, "photo")
        print_note(
            f"the cache folder had embeddings of {photos}: they are gone, too; of copies of photos "
            "that are not where they were enrolled: `lineament cache clear`"
        )
    if not report.erased:
        print_note(
            "not erased to the last byte yet: another process is reading an older state; the next "
            "change, or opening the gallery for writing, finishes it"
        )
    return 0


def somebody_there() -> bool:
    """Whether a question would be seen and could be answered."""
    return sys.stdin is not None and sys.stdin.isatty()


def _in_words(gallery: Gallery, what: str | int) -> str:
    if isinstance(what, str):
        try:
            person = gallery.person(what)
        except GalleryDamagedError:
            return what
        return f"{person.name} with {counted(len(person.samples), 'photo')}"
    try:
        found = gallery.sample(what)
    except GalleryDamagedError:
        (part,) = [one for one in gallery.damaged if one.sample == what]
        return str(part).partition(": ")[0] + ", which is damaged"
    return f"sample {found.id} of {found.person} ({found.source if found.source else 'no source'})"


def _in_words_all(gallery: Gallery) -> str:
    """What is damaged; a person goes with all samples."""
    people = [part.person for part in gallery.damaged if part.sample is None]
    samples = [part for part in gallery.damaged if part.sample is not None]
    words = [counted(len(samples), "damaged sample")] if samples else []
    words += [f"{printable(str(name))} with all photos" for name in people]
    return " and ".join(words)


@command('lineament gallery reject "Ada Lovelace" visitor.jpg')
@_name
@argument("photo", metavar="PHOTO", help="With the face: a file, a URL, or - (stdin).")
@option(
    "--face",
    type=COUNT,
    metavar="N",
    help="Of several faces, the N-th that `identify` shows.",
    show_default="the largest",
)
@options.box
@options.gallery
@options.json
@options.allow_private
@options.recognizer(without=("choose",))
def reject(
    name: str,
    photo: str,
    face: int | None,
    box: tuple[float, float, float, float] | None,
    json: bool,
    **given: Any,
) -> None:
    """Say that a face is not a person's: "not this person".

    From then on faces that are no less like it than like the person's own photos are not named
    NAME.
    """
    from lineament.cli.sources import one_source

    if face is not None and box is not None:
        raise OptionError("expected --face or --box, got both")
    source = one_source(photo)
    with open_with_recognizer({**given, "choose": None}) as opened:
        made = opened.reject(source, name, face=None if face is None else face - 1, box=box)
        about = about_gallery(opened)
    if json:
        print_json(about | {"rejection": made.to_dict()})
    else:
        print_line(f"not {made.person}: negative example {made.id}, {made.source}")


@command("lineament gallery rejections --remove 3")
@argument("name", required=False, metavar="[NAME]", help="Whose; everybody's without.")
@option(
    "--remove",
    type=COUNT,
    metavar="ID",
    help="Remove this one, and every byte of it.",
)
@options.gallery
@options.json
def rejections(name: str | None, remove: int | None, gallery: Path | None, json: bool) -> int:
    """Faces that were said not to be a person's.

    Exit code 0: there are some, 1: there are none, 2: error.
    """
    if name is not None and remove is not None:
        raise OptionError("rejections: expected NAME or --remove ID, got both")
    with open_gallery(gallery, read_only=remove is None) as opened:
        found = opened.rejections(name) if remove is None else [opened.remove_rejection(remove)]
        about = about_gallery(opened)
    if json:
        print_json(about | {"rejections": [one.to_dict() for one in found]})
    elif remove is not None:
        print_line(f"removed negative example {found[0].id} of {found[0].person}")
    elif found:
        columns = ("example", "not", "photo", "since", "searched")
        rows = [
            (str(one.id), one.person, one.source or "-", _day(one.added),
             "yes" if one.searched else "no")
            for one in found
        ]  # fmt: skip
        print_table(columns, rows, right=columns[:1])
    else:
        print_note("nobody has negative examples")
    return 0 if found else 1


# --- in words -------------------------------------------------------------------------------------


def weights_name(about: dict[str, Any]) -> str:
    """The recognizer's name."""
    return str(about["contract"]["weights"])


def _row(person: PersonInfo) -> dict[str, Any]:
    """A person in a table: the metadata as columns."""
    about = {"name": person.name, "photos": person.n_samples, "since": _day(person.created)}
    return about | {k: v for k, v in person.metadata.items() if k not in about}


def _listed(person: PersonInfo) -> dict[str, Any]:
    """A person in a list: without samples."""
    return {key: value for key, value in person.to_dict().items() if key != "samples"}


def _day(seconds: float) -> str:
    """A time as a date, where the computer is."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d")


def _metadata_in_words(metadata: Any) -> str:
    """KEY=VALUE, as the options take them."""
    return ", ".join(
        f"{key}={value if isinstance(value, str) else json_module.dumps(value, ensure_ascii=False)}"
        for key, value in metadata.items()
    )


def terms_in_words(person: PersonInfo) -> list[tuple[str, str]]:
    """Consents of a person, and until when they are kept; [] where nothing is noted."""
    from lineament.gallery.consent import in_words

    rows = []
    for n, one in enumerate(person.consents):
        rows.append(("consent" if n == 0 else "", str(one)))
    if person.expires is not None:
        rows.append(("kept until", in_words(person.expires)))
    return rows


def _print_person(person: PersonInfo) -> None:
    rows = [("name", person.name)]
    if person.metadata:
        rows.append(("metadata", _metadata_in_words(person.metadata)))
    rows += [("since", _day(person.created)), ("photos", str(person.n_samples))]
    print_pairs([*rows, *terms_in_words(person)])
    if not person.samples:
        return
    print_line()
    noted = any(one.metadata for one in person.samples)
    columns = ("sample", "photo", "face, px", "enrolled", "metadata")[: 5 if noted else 4]
    cells = []
    for one in person.samples:
        source = one.source if one.source else "-"
        row = (str(one.id), source, _size(one), _day(one.added), _metadata_in_words(one.metadata))
        cells.append(row[: len(columns)])
    print_table(columns, cells, right=("sample", "face, px"))


def _size(sample: SampleInfo) -> str:
    if sample.box_xyxy is None:
        return "-"
    left, top, right, bottom = sample.box_xyxy
    return f"{right - left:.0f}x{bottom - top:.0f}"


def _draw_person(gallery: Gallery, person: PersonInfo, path: Path) -> list[int]:
    """The sheet of faces; ids of the samples of which nothing can be shown."""
    from lineament.pictures.identified import person_sheet, sample_picture
    from lineament.pictures.photos import save_picture

    pictures = {one.id: sample_picture(gallery, one, SHEET_PX) for one in person.samples}
    shown = [
        (picture, f"{one.id}  {Path(one.source).name}")
        for one in person.samples
        if (picture := pictures[one.id]) is not None
    ]
    if not shown:
        raise OptionError(
            f"--save: nothing can be drawn of {person.name}: no crop that can be shown is kept "
            "(enroll with --keep-crops), and no photo is there any more"
        )
    title = f"{person.name}: {counted(person.n_samples, 'photo')}"
    save_picture(person_sheet(title, shown, SHEET_COLUMNS), path)
    return [number for number, picture in pictures.items() if picture is None]

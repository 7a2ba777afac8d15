"""``lineament gallery``: enroll people, list, show and change them."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.output import (
    check_page,
    check_picture,
    count,
    print_json,
    print_note,
    print_pairs,
    print_table,
    progress_bar,
)
from lineament.cli.sources import Unreadable, many_sources
from lineament.errors import GalleryNotFoundError, ImageError, OptionError

if TYPE_CHECKING:
    from lineament.gallery import EnrollReport, Gallery, PersonInfo, Refusal, SampleInfo
    from lineament.gallery.enroll import Stream
    from lineament.gallery.folder import FolderReport, Listing

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


def _open_or_create(given: Mapping[str, Any], keep_crops: bool | None) -> Gallery:
    """The same for writing; where there is none, a new one with the recognizer of the options."""
    from lineament.gallery import Gallery

    made = options.recognizer_options(given)
    folder = folder_from(given["gallery"])
    return Gallery.open_or_create(folder, recognizer=made, keep_crops=keep_crops)


def _existing(gallery: Path | None) -> Path:
    from lineament.gallery import Gallery

    folder = folder_from(gallery)
    if not Gallery.exists(folder):
        raise GalleryNotFoundError(
            f"{folder}: there is no gallery",
            hint=f"name its folder by --gallery or {ENVIRONMENT}; `lineament gallery enroll` and "
            "`lineament gallery enroll-folder` make one",
        )
    return folder


def about_gallery(gallery: Gallery) -> dict[str, Any]:
    """What every command's JSON says about the gallery."""
    return {
        "gallery": str(gallery.folder),
        "n_people": gallery.n_people,
        "n_samples": gallery.n_samples,
        "contract": asdict(gallery.contract),
    }


# --- enroll ---------------------------------------------------------------------------------------

_set = option(
    "--set",
    "metadata",
    multiple=True,
    metavar="KEY=VALUE",
    help="Metadata of the person; may be repeated.",
)
_choose = option(
    "--choose",
    metavar="largest|central",
    help="Of a photo with several faces, take this one.",
    show_default="such a photo is refused",
)
_accept_low_quality = option(
    "--accept-low-quality", is_flag=True, help="Take small, blurred or turned faces, too."
)
_force = option(
    "--force", is_flag=True, help="Take duplicates, and faces that look like somebody else, too."
)
_keep_crops = option(
    "--keep-crops/--no-keep-crops",
    help="Keep the aligned faces too, from now on: `show` and `migrate` then need no photographs.",
    show_default="as the gallery does; no-keep-crops in a new one",
)
_name = argument("name", metavar="NAME", help="Whom.")


@command("lineament gallery create --gallery staff --recognizer sface")
@option("--keep-crops", is_flag=True, help="Keep the aligned faces of everybody, too.")
@options.gallery
@options.json
@options.recognizer(without=("choose",))
def create(keep_crops: bool, gallery: Path | None, json: bool, **given: Any) -> None:
    """Make an empty gallery.

    The recognizer that it is made with is used for it from then on. `enroll` makes a gallery
    as well, where there is none.
    """
    from lineament.gallery import Gallery, Settings

    folder = folder_from(gallery)
    recognizer = options.recognizer_from(given)
    settings = Settings(keep_crops=keep_crops)
    with Gallery.create(folder, recognizer=recognizer, settings=settings) as opened:
        about = about_gallery(opened)
    if json:
        print_json(about)
    else:
        print_note(f"{folder}: an empty gallery, recognizer {_weights(about)}")


@command('lineament gallery enroll "Ada Lovelace" ada1.jpg ada2.jpg --set building=B')
@argument("name", metavar="NAME", help="Of the person, in any script.")
@argument(
    "photos",
    nargs=-1,
    metavar="PHOTO...",
    help="Files, folders, glob patterns, URLs, or - (stdin).",
)
@_set
@_choose
@_accept_low_quality
@_force
@_keep_crops
@options.calibration
@options.gallery
@options.json
@options.recognizer(without=("choose",))
def enroll(
    name: str,
    photos: tuple[str, ...],
    metadata: tuple[str, ...],
    choose: str | None,
    accept_low_quality: bool,
    force: bool,
    keep_crops: bool | None,
    json: bool,
    **given: Any,
) -> int:
    """Enroll photos of one person.

    Makes the gallery if there is none. Refused, with the reason: photos without a face or with
    several, of low quality, duplicates, and faces that look like somebody else who is enrolled.
    Exit code 0: all were enrolled, 1: some were refused, 2: error.
    """
    from lineament.gallery.filters import parse_metadata
    from lineament.gallery.lookup import checked_name

    said = parse_metadata(metadata, "--set")
    _check_choose(choose)
    sources = many_sources(photos)
    for source in sources:
        if isinstance(source, Unreadable):  # a wrong path; nothing is made or changed
            _raise(source)
    checked_name(name)
    with _open_or_create({**given, "choose": choose}, keep_crops) as opened:
        report = opened.enroll(
            name,
            sources,
            metadata=said,
            choose=choose is not None,
            on_low_quality=_low_quality(accept_low_quality),
            force=force,
        )
        about = about_gallery(opened)
    if json:
        print_json(about | report.to_dict())
    else:
        _print_enrolled(report, name)
    return 1 if report.refused else 0


@command("lineament gallery enroll-folder ~/staff --report refused.html")
@argument(
    "folder",
    type=FILE,
    metavar="DIR",
    help="Folder with one folder per person, or with files like NAME_0001.jpg.",
)
@option("--layout", metavar="auto|folders|flat", default="auto", help="Where the names stand.")
@option(
    "--set",
    "metadata",
    multiple=True,
    metavar="KEY=VALUE",
    help="Metadata of everybody; may be repeated.",
)
@_choose
@_accept_low_quality
@_force
@_keep_crops
@options.calibration
@option(
    "--workers",
    type=int,
    metavar="N",
    help="With --ray: N actors instead of one for each CPU of the cluster.",
)
@option("--ray", metavar="ADDRESS", help="Embed on a Ray cluster: auto, HOST:PORT.")
@option(
    "--report",
    type=FILE,
    metavar="FILE.html",
    help="Write what was refused, with pictures, into one page; replaces FILE.",
)
@options.gallery
@options.json
@options.recognizer(without=("choose",))
def enroll_folder(
    folder: Path,
    layout: str,
    metadata: tuple[str, ...],
    choose: str | None,
    accept_low_quality: bool,
    force: bool,
    keep_crops: bool | None,
    workers: int | None,
    ray: str | None,
    report: Path | None,
    json: bool,
    **given: Any,
) -> int:
    """Enroll the photos of many people.

    Makes the gallery if there is none. Whatever ends it, what was enrolled stays: the same command
    goes on where it ended, and passes over the photos that are enrolled. Exit code 0: all are
    enrolled, 1: some were refused, 2: error.
    """
    from lineament.gallery.filters import parse_metadata
    from lineament.gallery.folder import list_folder

    said = parse_metadata(metadata, "--set")
    _check_choose(choose)
    check_page(report)
    listing = list_folder(folder, layout)
    with _open_or_create({**given, "choose": choose}, keep_crops) as opened:
        before = opened.n_people
        outcome = _enroll_listing(
            opened,
            listing,
            metadata=said,
            choose=choose is not None,
            on_low_quality=_low_quality(accept_low_quality),
            force=force,
            stream=_stream(opened, workers, ray),
        )
        about = about_gallery(opened)
        unchecked = not force and opened.calibration is None and opened.settings.threshold is None
        if report is not None:
            from lineament.pictures.pages.refusals import write_report

            write_report(report, opened, folder, outcome)
    new_people = about["n_people"] - before
    if json:
        print_json(
            about
            | {
                "folder": str(folder),
                **outcome.to_dict(),
                "new_people": new_people,
                "report": None if report is None else str(report),
            }
        )
    else:
        _print_outcome(outcome, new_people, folder)
        if unchecked:
            print_note(
                "note: not checked whether faces look like somebody else: there is no calibration "
                "for these embeddings"
            )
        if report is not None:
            print_note(f"wrote {report}")
    return 1 if outcome.refused else 0


def _check_choose(choose: str | None) -> None:
    """OptionError if it is no such face."""
    if choose not in (None, "largest", "central"):
        raise OptionError(f"--choose: expected largest or central, got {choose!r}")


def _low_quality(accept: bool) -> Literal["accept", "refuse"]:
    """As ``Gallery.examine`` calls it."""
    return "accept" if accept else "refuse"


def _raise(source: Any) -> None:
    try:
        source.read()
    except ImageError as error:
        raise OptionError(f"{error}; nothing was enrolled") from error


def _enroll_listing(gallery: Gallery, listing: Listing, **how: Any) -> FolderReport:
    """Enroll with a progress bar; after Ctrl-C, say what is enrolled."""
    from lineament.gallery.folder import FolderReport, enroll_folder

    report = FolderReport(listing)
    with progress_bar("enrolling") as tell:

        def progress(now: FolderReport) -> None:
            nonlocal report
            report = now
            tell(now.done, now.total)

        try:
            return enroll_folder(gallery, listing, progress=progress, **how)
        except KeyboardInterrupt:
            print_note(
                f"interrupted: {report.enrolled:,} of {report.total:,} photos are enrolled and "
                "stay; the same command goes on from there"
            )
            raise


def _stream(gallery: Gallery, workers: int | None, ray: str | None) -> Stream | None:
    """Where photos are embedded: None is this process, with its threads."""
    if workers is not None and workers < 1:
        raise OptionError(f"--workers: expected 1 or more, got {workers}")
    if ray is not None:
        from lineament.bulk.on_ray import check_ray, stream_chosen_on_ray

        check_ray(ray)
        return partial(
            stream_chosen_on_ray, recognizer=gallery.recognizer, address=ray, workers=workers
        )
    if workers is not None:
        raise OptionError("--workers: expected together with --ray ADDRESS")
    return None


_WORDS = (
    ("or let the largest or most central face be chosen", "or add --choose largest"),
    ("if it is not, enroll it by force", "if it is not, add --force"),
)
"""What the library advises, and how that is said here."""


def _refusal_in_words(refusal: Refusal) -> str:
    """Which photo, why, and what to do."""
    text = str(refusal)
    for words, here in _WORDS:
        text = text.replace(words, here)
    return text


def _print_enrolled(report: EnrollReport, name: str) -> None:
    for refusal in report.refused:
        print_note(f"refused: {_refusal_in_words(refusal)}")
    if report.enrolled and report.person is not None:
        new = "a new person" if report.created else f"{report.person.n_samples:,} in all"
        print(f"enrolled {report.person.name}: {count(len(report.enrolled), 'photo')}, {new}")
    else:
        print(f"enrolled nothing of {name}")
    for note in report.notes:
        print_note(f"note: {note}")


def _print_outcome(outcome: FolderReport, new_people: int, folder: Path) -> None:
    above = str(folder.absolute() / "_")[:-1]
    for refusal in outcome.refused[:MOST_LISTED]:
        print_note(f"refused: {_refusal_in_words(refusal).removeprefix(above)}")
    if len(outcome.refused) > MOST_LISTED:
        print_note(
            f"... and {len(outcome.refused) - MOST_LISTED:,} more refused: --report FILE.html "
            "shows all"
        )
    for words in outcome.listing.passed_over[:MOST_LISTED]:
        print_note(f"passed over: {words}")
    if len(outcome.listing.passed_over) > MOST_LISTED:
        print_note(f"... and {len(outcome.listing.passed_over) - MOST_LISTED:,} more passed over")
    speed = outcome.images_per_second
    rows = [
        ("photographs", f"{outcome.photos:,} of {len(outcome.listing.names):,} people"),
        ("enrolled", f"{outcome.enrolled:,} of {len(outcome.people):,} people, {new_people:,} new"),
    ]
    if outcome.already:
        rows.append(("enrolled already", f"{outcome.already:,}"))
    if outcome.refused:
        rows.append(("refused", f"{len(outcome.refused):,}"))
        rows += [(f"  {reason}", f"{number:,}") for reason, number in outcome.by_reason.items()]
    rows.append(
        ("time", f"{outcome.seconds:.1f} s" + ("" if speed is None else f", {speed:.1f} a second"))
    )
    print_pairs(rows)


# --- people ---------------------------------------------------------------------------------------


@command("lineament gallery people --where 'groups~night'")
@options.where
@option("--after", metavar="NAME", help="Only names after this one.")
@option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@options.gallery
@options.json
def people(
    where: tuple[str, ...], after: str | None, limit: int | None, gallery: Path | None, json: bool
) -> int:
    """Who is in the gallery.

    Exit code 0: there is somebody, 1: there is nobody (with such metadata), 2: error.
    """
    from lineament.gallery.filters import parse_filter

    wanted = parse_filter(where, "--where")
    with open_gallery(gallery, read_only=True) as opened:
        found = opened.people(where=wanted, after=after, limit=limit)
        about = about_gallery(opened)
    if json:
        print_json(about | {"people": [_listed(person) for person in found]})
    else:
        if found:
            rows = [
                (one.name, str(one.n_samples), _day(one.created), _metadata_in_words(one.metadata))
                for one in found
            ]
            columns = ("name", "photographs", "since", "metadata")
            print_table(columns, rows, right=columns[1:2], fold=("name", "metadata"))
        print_note(
            f"{about['gallery']}: {count(about['n_people'], 'person', 'people')}, "
            f"{count(about['n_samples'], 'photo')}, recognizer {_weights(about)}"
        )
    return 0 if found else 1


@command('lineament gallery show "Ada Lovelace" --save ada.png')
@_name
@option("--save", type=FILE, metavar="FILE.png", help="Draw the enrolled faces; replaces FILE.")
@options.gallery
@options.json
def show(name: str, save: Path | None, gallery: Path | None, json: bool) -> None:
    """One person with all photos."""
    if save is not None:
        check_picture(save)
    with open_gallery(gallery, read_only=True) as opened:
        person = opened.person(name)
        about = about_gallery(opened)
        missing = [] if save is None else _draw_person(opened, person, save)
    if json:
        found = about | {"person": person.to_dict()}
        print_json(found | ({} if save is None else {"out": str(save), "not_drawn": missing}))
        return
    _print_person(person)
    if save is not None:
        print_note(f"wrote {save}")
        if missing:
            print_note(
                f"not drawn: {', '.join(f'sample {number}' for number in missing)}: no crop is "
                "kept (--keep-crops), and the photo is not there any more"
            )


@command('lineament gallery rename "Ada Byron" "Ada Lovelace"')
@_name
@argument("new_name", metavar="NEW-NAME", help="The new name.")
@options.gallery
@options.json
def rename(name: str, new_name: str, gallery: Path | None, json: bool) -> None:
    """Give a person another name."""
    with open_gallery(gallery) as opened:
        person = opened.rename(name, new_name)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    else:
        print(f"{name} is {person.name} now")


@command("lineament gallery merge Ada Countess")
@argument("name", metavar="NAME", help="Who stays.")
@argument("others", nargs=-1, metavar="OTHER...", help="Who is the same person.")
@options.gallery
@options.json
def merge(name: str, others: tuple[str, ...], gallery: Path | None, json: bool) -> None:
    """Unite several people into one.

    The photos of OTHER become those of NAME.
    """
    with open_gallery(gallery) as opened:
        person = opened.merge(name, others)
        about = about_gallery(opened)
    if json:
        print_json(about | {"person": person.to_dict()})
    else:
        print(f"{person.name} has {count(person.n_samples, 'photo')} now")


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
        print(f"{person.name}: {words if words else 'no metadata'}")


@command("lineament gallery remove --sample 17")
@argument("name", required=False, metavar="[NAME]", help="Whom, with all photos.")
@option("--sample", type=int, metavar="ID", help="One photo; `lineament gallery show` has its ID.")
@option("--yes", "-y", is_flag=True, help="Do not ask.")
@options.gallery
@options.json
def remove(
    name: str | None, sample: int | None, yes: bool, gallery: Path | None, json: bool
) -> int:
    """Remove a person, or one photo, and every byte of it.

    It cannot be undone. Files that `gallery export` wrote, and backups, keep what is in them.
    """
    if (name is None) == (sample is None):
        got = "neither" if name is None else "both"
        raise OptionError(f"remove: expected NAME or --sample ID, got {got}")
    what = sample if name is None else name
    assert what is not None
    if not yes and (json or not somebody_there()):
        raise OptionError("remove: nobody is there to be asked: add --yes to remove it")
    with open_gallery(gallery) as opened:
        told = _in_words(opened, what)
        if not yes and not click.confirm(f"Remove {told} for good?", err=True):
            print_note("nothing was removed")
            return 1
        report = opened.remove(what)
        about = about_gallery(opened)
    if json:
        print_json(about | {"removed": report.to_dict()})
    else:
        print(f"removed {told}")
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
        person = gallery.person(what)
        return f"{person.name} with {count(len(person.samples), 'photo')}"
    found = gallery.sample(what)
    return f"sample {found.id} of {found.person} ({found.source if found.source else 'no source'})"


# --- in words -------------------------------------------------------------------------------------


def _weights(about: dict[str, Any]) -> str:
    """The recognizer's name."""
    return str(about["contract"]["weights"])


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


def _print_person(person: PersonInfo) -> None:
    rows = [("name", person.name)]
    if person.metadata:
        rows.append(("metadata", _metadata_in_words(person.metadata)))
    rows += [("since", _day(person.created)), ("photographs", str(person.n_samples))]
    print_pairs(rows)
    if not person.samples:
        return
    print()
    noted = any(one.metadata for one in person.samples)
    columns = ("sample", "photograph", "face, px", "enrolled", "metadata")[: 5 if noted else 4]
    cells = []
    for one in person.samples:
        source = one.source if one.source else "-"
        row = (str(one.id), source, _size(one), _day(one.added), _metadata_in_words(one.metadata))
        cells.append(row[: len(columns)])
    print_table(columns, cells, right=("sample", "face, px"), fold=("photograph", "metadata"))


def _size(sample: SampleInfo) -> str:
    if sample.box_xyxy is None:
        return "-"
    left, top, right, bottom = sample.box_xyxy
    return f"{right - left:.0f}x{bottom - top:.0f}"


def _draw_person(gallery: Gallery, person: PersonInfo, path: Path) -> list[int]:
    """The sheet of faces; ids of the samples of which nothing can be shown."""
    import numpy as np

    from lineament.pictures.identified import sample_picture
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

"""``lineament group DIR`` and ``lineament gallery name-group GROUPS.json GROUP NAME``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.enroll import refusal_in_words
from lineament.cli.gallery import made_if_used
from lineament.cli.lifecycle import consent_of, consent_option, expires_option, purpose_option
from lineament.cli.numbers import COSINE, COUNT, RATE
from lineament.cli.output import (
    exit_code,
    near,
    print_error,
    print_json,
    print_line,
    print_note,
    print_table,
)
from lineament.cli.progress import progress_bar, stages
from lineament.cli.sources import not_looked_at, say_not_looked_at
from lineament.cli.targets import JSON, PAGE, Target, make_folder, writing
from lineament.errors import OptionError
from lineament.text import counted

if TYPE_CHECKING:
    from lineament.gallery import Gallery
    from lineament.gallery.grouping import Group, GroupFace, Grouping, GroupPhoto, Thumbnails
    from lineament.gallery.regions import WrittenNames
    from lineament.pipeline import Recognizer
    from lineament.types import Image


_EMPTY = Target(file=False, folder=True, empty=True)


@command("lineament group ~/holidays --report people.html")
@argument("photos", nargs=-1, metavar="DIR...", help="Folders, files or glob patterns; films, too.")
@option(
    "--groups", type=FILE, metavar="FILE.json", help="Go on from groups that --out wrote earlier."
)
@option(
    "--out",
    writes=Target(JSON.suffixes, edits=("groups",)),
    metavar="FILE.json",
    help="Write the groups.",
)
@option("--report", writes=PAGE, metavar="FILE.html", help="Everybody's faces as one page.")
@option("--copy-to", writes=_EMPTY, metavar="DIR", help="Copy photos, one folder per group.")
@option("--link-to", writes=_EMPTY, metavar="DIR", help="The same with symbolic links.")
@option(
    "--names",
    choices=("regions",),
    help="Call groups what photo programs noted in the photos.",
)
@options.write_regions
@option(
    "--min-size",
    type=COUNT,
    default=2,
    show_default=True,
    metavar="N",
    help="Smaller groups are left out.",
)
@option(
    "--threshold",
    type=COSINE,
    metavar="COSINE",
    help="Mean similarity from which on two groups are one.",
    show_default="by the calibration and the number of faces",
)
@option("--fmr", type=RATE, metavar="RATE", help="The threshold of that false match rate.")
@options.calibration
@options.overwrite
@options.json
@options.recognizer(without=("choose",))
def group(
    photos: tuple[str, ...],
    groups: Path | None,
    out: Path | None,
    report: Path | None,
    copy_to: Path | None,
    link_to: Path | None,
    names: str | None,
    write_regions: str | None,
    min_size: int,
    threshold: float | None,
    fmr: float | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Group the faces of photos by person, without names.

    Two faces of one photo are never in one group, nor two people of one film. Photos and films
    are only read: nothing is moved
    or deleted. Exit code 0: there are groups, 1: there are none, 2: error.
    """
    from lineament.gallery.grouping import Grouping, Thumbnails, copy_photos, summary, unread
    from lineament.gallery.grouping import group as group_photos
    from lineament.images import IMAGE_SUFFIXES, list_images
    from lineament.video.sources import FILM_SUFFIXES

    if min_size < 1:
        raise OptionError(f"--min-size: expected 1 or more, got {min_size}")
    if copy_to is not None and link_to is not None:
        raise OptionError("expected --copy-to or --link-to, got both")
    listed = list_images(photos, suffixes=IMAGE_SUFFIXES | FILM_SUFFIXES)
    listed.require_readable()
    say_not_looked_at(listed.passed_over)
    sources = [Path(os.path.abspath(path)) for path in listed.paths]  # noqa: PTH100
    target = link_to if copy_to is None else copy_to
    option = "link_to" if copy_to is None else "copy_to"
    old = None if groups is None else Grouping.load(groups)
    recognizer = options.recognizer_from(given)
    films = [path for path in sources if path.suffix.lower() in FILM_SUFFIXES]
    sources = [path for path in sources if path.suffix.lower() not in FILM_SUFFIXES]
    new_films = unread(films, old)
    new = len(unread(sources, old)) + len(new_films)
    pictures = Thumbnails()
    errors = done = 0
    with progress_bar("looking for faces") as advance:

        def on_photo(photo: GroupPhoto, faces: Sequence[GroupFace], crops: Image | None) -> None:
            nonlocal errors, done
            if photo.error is not None:
                print_error(photo.error)
                errors += 1
            if report is not None:
                pictures.add(photo, faces, crops)
            done += 1
            advance(done, new)

        grouping = group_photos(
            sources,
            recognizer,
            grouping=old,
            threshold=threshold,
            fmr=fmr,
            on_photo=on_photo,
            seen=_people_of(new_films, recognizer),
        )
    if names is not None:
        grouping = _called(grouping)
    if out is not None:
        with writing(out, "out"):
            grouping.save(out, calibration=recognizer.calibration)
    if report is not None:
        with writing(report, "report"):
            _write_report(report, grouping, recognizer, pictures, min_size)
    found = grouping.groups(recognizer.calibration, min_size=min_size)
    if target is not None:
        with writing(target, option):
            make_folder(target, option)
            failed = copy_photos(grouping, found, target, link=copy_to is None, overwrite=overwrite)
            for path_, reason in failed:
                print_error(f"{path_}: {reason}")
            errors += len(failed)
    noted = _note(grouping, found, write_regions)
    errors += 0 if noted is None else len(noted.failed)
    if json:
        print_json(
            summary(grouping, found)
            | ({} if noted is None else {"regions": noted.to_dict()})
            | {
                "n_new_photos": new,
                "n_errors": errors,
                "out": None if out is None else str(out),
                "report": None if report is None else str(report),
            }
            | not_looked_at()
        )
    else:
        _print(grouping, found, new)
    return exit_code(errors, bool(found))


def _called(grouping: Grouping) -> Grouping:
    """The same with the names that the regions of the photos give groups."""
    from lineament.gallery.regions import names_of_groups

    with progress_bar("reading regions") as show:
        found = names_of_groups(grouping, progress=show)
    for number, name in found.items():
        grouping = grouping.named(number, name)
    if not found:
        print_note("no group has a name: the photos have no face regions that say one")
    return grouping


def _note(grouping: Grouping, groups: Sequence[Group], into: str | None) -> WrittenNames | None:
    """Write the names of groups to their photos' face regions; faces in doubt are left out."""
    if into is None:
        return None
    from lineament.gallery.regions import write_names

    faces = [
        (face.source, face.face.box_xyxy.tolist(), group.name)
        for group in groups
        if group.name is not None
        for member in group.members
        if not member.doubts
        for face in (grouping.faces[member.place],)
        if Path(face.source).suffix.lower() not in _films()
    ]
    with progress_bar("writing names") as show:
        noted = write_names(faces, into, progress=show)
    say_noted(noted)
    return noted


def _films() -> frozenset[str]:
    from lineament.video.sources import FILM_SUFFIXES

    return FILM_SUFFIXES


def say_noted(noted: WrittenNames) -> None:
    """What became of names that were written to face regions."""
    for source, reason in noted.failed:
        print_error(reason if source in reason else f"{source}: {reason}")
    kept = (
        f"; {counted(noted.n_kept, 'face')} with other names there keep those"
        if noted.n_kept
        else ""
    )
    print_note(f"noted {counted(noted.n_added, 'name')} in photos{kept}")


def _people_of(films: Sequence[Any], recognizer: Recognizer) -> Iterator[Any]:
    """The people of films, film by film."""
    from lineament.video.grouping import people_of_film

    for film in films:
        with stages() as show:
            what = f"looking at {film.name}"
            yield people_of_film(film, recognizer, progress=partial(show, what))


# --- what is written ------------------------------------------------------------------------------


def _write_report(
    path: Path, grouping: Grouping, recognizer: Recognizer, pictures: Thumbnails, min_size: int
) -> None:
    from lineament.files import write_atomically
    from lineament.pictures.pages.groups import groups_page

    def crop_of(place: int) -> bytes | None:
        return pictures.jpeg(grouping.faces[place])

    sheet = groups_page(grouping, crop_of, calibration=recognizer.calibration, min_size=min_size)
    write_atomically(path, sheet)


def _print(grouping: Grouping, groups: Sequence[Group], new: int) -> None:
    grouped = sum(len(group.members) for group in groups)
    rows = [
        (
            str(group.id),
            "" if group.name is None else group.name,
            str(len(group.members)),
            "" if group.cohesion is None else f"{group.cohesion:.3f}",
            "" if group.weakest is None else f"{group.weakest:.3f}",
            str(group.doubtful) if group.doubtful else "",
            near(grouping.faces[group.members[0].place].source),
        )
        for group in groups
    ]
    if rows:
        columns = ("group", "name", "faces", "similarity", "weakest", "in doubt", "for example")
        right = ("group", "faces", "similarity", "weakest", "in doubt")
        print_table(columns, rows, right=right)
    print_note(
        f"{counted(new, 'new photo')}, {counted(len(grouping.faces), 'face')}: {grouped} in "
        f"{counted(len(groups), 'group')}, {len(grouping.faces) - grouped} in none; threshold "
        f"{grouping.threshold}"
    )
    for a, b in grouping.apart:
        print_note(f"groups {a} and {b} look like one person; both were there before")


# --- names ----------------------------------------------------------------------------------------


@command('lineament gallery name-group groups.json 3 "Ada Lovelace" --gallery staff')
@argument("groups", type=FILE, metavar="GROUPS.json", help="What `lineament group --out` wrote.")
@argument("group", type=COUNT, metavar="GROUP", help="The number of the group.")
@argument("name", metavar="NAME", help="Whom it shows.")
@option("--gallery", type=FILE, metavar="DIR", help="Enroll the faces there; made if need be.")
@consent_option
@purpose_option
@expires_option
@option("--with-doubtful", is_flag=True, help="Enroll members in doubt, too.")
@options.write_regions
@option(
    "--force",
    is_flag=True,
    help="Take duplicates, and faces unlike the person's others or like somebody else's, too.",
)
@options.json
def name_group(
    groups: Path,
    group: int,
    name: str,
    gallery: Path | None,
    consent: str | None,
    purpose: tuple[str, ...],
    expires: float | None,
    with_doubtful: bool,
    write_regions: str | None,
    force: bool,
    json: bool,
) -> int:
    """Give a group a name, and enroll its faces.

    Without --gallery it gets the name only. Two groups that do not look like one person get no
    common name. Exit code 0: it has the name, and a face was enrolled,
    1: none was, 2: error.
    """
    from lineament.gallery.grouping import Grouping, name_groups

    grouping = Grouping.load(groups)
    how: dict[str, Any] = {"with_doubtful": with_doubtful, "force": force}
    how["consent"] = consent_of(consent, purpose, expires)
    if gallery is None:
        done = name_groups(grouping, {group: name}, **how)
    else:
        grouping.named(group, name)  # an error here leaves no empty gallery behind
        with made_if_used(gallery, partial(_gallery, gallery, grouping)) as opened:
            done = name_groups(grouping, {group: name}, opened, **how)
    title, left_out = done.groups[group].title, done.left_out[group]
    result: dict[str, Any] = {"group": group, "name": title, "n_left_out": left_out}
    found = True
    if gallery is not None:
        enrolled = done.reports[group]
        found = bool(enrolled.enrolled)
        result |= {"gallery": str(gallery), **enrolled.to_dict()}
        if not json:
            for refusal in enrolled.refused:
                print_note(f"refused: {refusal_in_words(refusal)}")
            for note in enrolled.notes:
                print_note(f"note: {note}")
            if left_out:
                print_note(f"left out: {left_out} in doubt; --with-doubtful enrolls them, too")
            print_line(f"enrolled {counted(len(enrolled.enrolled), 'face')} as {title}")
    done.grouping.save(groups, calibration=done.calibration)
    noted = _note(done.grouping, [done.groups[group]], write_regions)
    if noted is not None:
        result["regions"] = noted.to_dict()
    if json:
        print_json(result)
    elif gallery is None:
        print_line(f"group {group} is {title}")
    return exit_code(0 if noted is None else len(noted.failed), found)


def _gallery(folder: Path, grouping: Grouping) -> Gallery:
    from lineament.gallery import Gallery

    if Gallery.exists(folder):
        return Gallery.open(folder)
    return Gallery.create(folder, grouping.contract)

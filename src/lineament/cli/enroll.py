"""``lineament gallery create``, ``enroll NAME PHOTO...`` and ``enroll-folder DIR``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.gallery import about_gallery, folder_from, made_if_used, weights_name
from lineament.cli.gallery_keys import key_here
from lineament.cli.lifecycle import consent_of, consent_option, expires_option, purpose_option
from lineament.cli.numbers import COUNT
from lineament.cli.output import (
    near,
    print_json,
    print_line,
    print_note,
    print_pairs,
    print_table,
)
from lineament.cli.progress import GO_ON, keeps, progress_bar, with_progress
from lineament.cli.sources import Unreadable, many_sources, not_looked_at, say_not_looked_at_in
from lineament.cli.targets import PAGE, writing
from lineament.errors import ImageError, OptionError
from lineament.text import counted

if TYPE_CHECKING:
    from lineament.gallery import EnrollReport, Gallery, Refusal
    from lineament.gallery.enroll import Stream
    from lineament.gallery.folder import FolderReport, Listing
    from lineament.gallery.review import Review

MOST_LISTED = 20


def _open_or_create(
    given: Mapping[str, Any], keep_crops: bool | None
) -> AbstractContextManager[Gallery]:
    """Open a gallery for writing, or make one with the recognizer of the options."""
    from lineament.gallery import Gallery

    made = options.recognizer_options(given)
    folder = folder_from(given["gallery"])
    opened = partial(Gallery.open_or_create, folder, recognizer=made, keep_crops=keep_crops)
    return made_if_used(folder, opened)


_set = option(
    "--set",
    "metadata",
    multiple=True,
    metavar="KEY=VALUE",
    help="Metadata of the person; may be repeated.",
)
_choose = option(
    "--choose",
    choices=("largest", "central"),
    help="Of a photo with several faces, take this one.",
    show_default="such a photo is refused",
)
_accept_low_quality = option(
    "--accept-low-quality", is_flag=True, help="Take small, blurred, turned or cut faces, too."
)
_review = option(
    "--review",
    choices=("off", "standard", "strict"),
    metavar="MODE",
    help="How closely to look: off, standard or strict.",
    show_default="the gallery's",
)
_force = option(
    "--force",
    is_flag=True,
    help="Take duplicates, strangers, look-alikes, too.",
)
_keep_crops = option(
    "--keep-crops/--no-keep-crops",
    help="Keep the aligned faces too, from now on.",
    show_default="as the gallery does; no-keep-crops in a new one",
)


@command("lineament gallery create --gallery staff --recognizer sface")
@option("--keep-crops", is_flag=True, help="Keep the aligned faces of everybody, too.")
@option(
    "--encrypt",
    is_flag=True,
    help="Encrypt it with the key of the environment; see `lineament gallery new-key`.",
)
@options.index
@options.uri
@options.gallery
@options.json
@options.recognizer(without=("choose",))
def create(
    keep_crops: bool,
    encrypt: bool,
    index: str | None,
    uri: str | None,
    gallery: Path | None,
    json: bool,
    **given: Any,
) -> None:
    """Make an empty gallery.

    The recognizer that it is made with is used for it from then on. `enroll` makes a gallery
    as well, where there is none.
    """
    from lineament.gallery import Gallery, Settings

    folder = folder_from(gallery)
    recognizer = options.recognizer_from(given)
    settings = Settings(keep_crops=keep_crops)
    key = key_here() if encrypt else None
    with Gallery.create(
        folder, recognizer=recognizer, settings=settings, index=index, uri=uri, key=key
    ) as opened:
        about = about_gallery(opened) | {"index": opened.settings.index}
    if json:
        print_json(about)
    else:
        print_note(f"{folder}: an empty gallery, recognizer {weights_name(about)}")


@command('lineament gallery enroll "Ada Lovelace" ada1.jpg ada2.jpg --set building=B')
@argument("name", metavar="NAME", help="Of the person, in any script.")
@argument(
    "photos",
    nargs=-1,
    required=False,
    metavar="[PHOTO...]",
    help="Files, folders, glob patterns, URLs, or - (stdin).",
)
@option("--video", metavar="FILM", help="In place of photos: the best looks at one person there.")
@option(
    "--person",
    type=COUNT,
    metavar="N",
    help="Of a film with several people: whom, by the number that `watch` gives.",
)
@_set
@consent_option
@purpose_option
@expires_option
@options.box
@_choose
@_accept_low_quality
@_force
@_review
@_keep_crops
@options.calibration
@options.gallery
@options.json
@options.allow_private
@options.recognizer(without=("choose",))
def enroll(
    name: str,
    photos: tuple[str, ...],
    video: str | None,
    person: int | None,
    metadata: tuple[str, ...],
    consent: str | None,
    purpose: tuple[str, ...],
    expires: float | None,
    box: tuple[float, float, float, float] | None,
    choose: str | None,
    accept_low_quality: bool,
    force: bool,
    review: Review | None,
    keep_crops: bool | None,
    json: bool,
    **given: Any,
) -> int:
    """Enroll photos of one person.

    Makes the gallery if there is none. Refused, with the reason: photos without a face or with
    several, of low quality, duplicates, faces that are unlike the person's others, and faces that
    look like somebody else who is enrolled. 0: all were enrolled, 1: some were refused, 2:
    error.
    """
    from lineament.gallery.filters import parse_metadata
    from lineament.gallery.values import checked_name

    said = parse_metadata(metadata, "--set")
    allowed = consent_of(consent, purpose, expires)
    _check_video(photos, video, person)
    sources = many_sources(photos) if video is None else []
    if box is not None and len(sources) != 1:
        raise OptionError(f"expected one photo with it, got {len(sources)}", option="box")
    for source in sources:
        if isinstance(source, Unreadable):  # a wrong path; nothing is made or changed
            _raise(source)
    checked_name(name)
    keeps(f"nothing was enrolled of {name}")
    with _open_or_create({**given, "choose": choose}, keep_crops) as opened:
        if video is not None:
            report = _from_video(
                opened,
                name,
                video,
                given["allow_private"],
                person=person,
                metadata=said,
                consent=allowed,
                force=force,
                review=review,
            )
        else:
            report = opened.enroll(
                name,
                sources if box is None else sources[0],
                box=box,
                progress=with_progress,
                metadata=said,
                consent=allowed,
                choose=choose is not None,
                on_low_quality=_low_quality(accept_low_quality),
                force=force,
                review=review,
            )
        about = about_gallery(opened)
    if json:
        print_json(about | report.to_dict() | not_looked_at())
    else:
        _print_enrolled(report, name)
    return 1 if report.refused else 0


def _check_video(photos: tuple[str, ...], video: str | None, person: int | None) -> None:
    if video is not None and photos:
        raise OptionError("expected photos or --video, got both")
    if video is None and not photos:
        raise OptionError("expected photos or --video, got neither")
    if video is None and person is not None:
        raise OptionError("expected together with --video only", option="person")


def _from_video(
    gallery: Gallery,
    name: str,
    video: str,
    allow_private: bool,
    **how: Any,
) -> EnrollReport:
    from lineament.video import VideoLimits, enroll_video

    with progress_bar("watching") as show:
        return enroll_video(
            gallery,
            name,
            video,
            **how,
            limits=VideoLimits(allow_private=allow_private),
            progress=show,
        )


@command("lineament gallery enroll-folder ~/staff --report refused.html")
@argument(
    "folder",
    type=FILE,
    metavar="DIR",
    help="Folder with one folder per person, or with files like NAME_0001.jpg.",
)
@option(
    "--layout",
    choices=("auto", "folders", "flat", "regions"),
    default="auto",
    help="Where names stand; regions: as digiKam has them.",
)
@option(
    "--set",
    "metadata",
    multiple=True,
    metavar="KEY=VALUE",
    help="Metadata of everybody; may be repeated.",
)
@consent_option
@purpose_option
@expires_option
@option(
    "--dry-run",
    is_flag=True,
    help="Say who would be enrolled; write nothing.",
)
@_choose
@_accept_low_quality
@_force
@_review
@_keep_crops
@options.calibration
@option(
    "--workers",
    type=COUNT,
    metavar="N",
    help="With --ray: N actors, not one for each CPU.",
)
@option("--ray", metavar="ADDRESS", help="Embed on a Ray cluster: auto, HOST:PORT.")
@option(
    "--report",
    writes=PAGE,
    metavar="FILE.html",
    help="Page of what was refused, with pictures.",
)
@options.overwrite
@options.gallery
@options.json
@options.recognizer(without=("choose",))
def enroll_folder(
    folder: Path,
    layout: str,
    metadata: tuple[str, ...],
    consent: str | None,
    purpose: tuple[str, ...],
    expires: float | None,
    dry_run: bool,
    choose: str | None,
    accept_low_quality: bool,
    force: bool,
    review: Review | None,
    keep_crops: bool | None,
    workers: int | None,
    ray: str | None,
    report: Path | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Enroll the photos of many people.

    Makes the gallery if there is none. A person goes by the photos that agree with most of the
    others; those unlike them are refused. Names such as IMG_0001 are nobody's. Whatever ends it,
    what was enrolled stays: the same command goes on where it ended. Exit code 0: all are enrolled,
    1: some were refused, 2: error.
    """
    from lineament.gallery.filters import parse_metadata

    said = parse_metadata(metadata, "--set")
    allowed = consent_of(consent, purpose, expires)
    if layout == "regions" and (ray is not None or workers is not None or choose is not None):
        raise OptionError("--layout regions: expected without --ray, --workers and --choose")
    listing = _listed(folder, layout)
    say_not_looked_at_in(folder)
    if dry_run:
        _list_only(folder, listing, given["gallery"], json)
        return 0
    with _open_or_create({**given, "choose": choose}, keep_crops) as opened:
        before = opened.n_people
        outcome = _enroll_listing(
            opened,
            listing,
            metadata=said,
            consent=allowed,
            choose=choose is not None,
            on_low_quality=_low_quality(accept_low_quality),
            force=force,
            review=review,
            stream=_stream(opened, workers, ray),
        )
        about = about_gallery(opened)
        if report is not None:
            from lineament.pictures.pages.refusals import write_report

            with writing(report, "report"):
                write_report(report, opened, folder, outcome)
    new_people = about["n_people"] - before
    if json:
        print_json(
            about
            | {
                "folder": str(folder),
                **outcome.to_dict(),
                "n_new_people": new_people,
                "report": None if report is None else str(report),
            }
            | not_looked_at()
        )
    else:
        _print_outcome(outcome, new_people, folder)
    return 1 if outcome.refused else 0


def _listed(folder: Path, layout: str) -> Listing:
    if layout == "regions":
        from lineament.gallery.regions import list_regions

        with progress_bar("reading regions") as show:
            return list_regions(folder, progress=show)
    from lineament.gallery.folder import list_folder

    return list_folder(folder, layout)


def _list_only(folder: Path, listing: Listing, gallery: Path | None, json: bool) -> None:
    """What ``--dry-run`` says; photos that are enrolled are known by their bytes."""
    from lineament.gallery import Gallery
    from lineament.gallery.folder import count_enrolled

    target = folder_from(gallery)
    already = known = 0
    if Gallery.exists(target):
        with Gallery.open(target, read_only=True) as opened:
            already = count_enrolled(opened, listing)
            known = sum(name in opened for name in listing.names)
    new_people = len(listing.names) - known
    found = listing.to_dict()
    if json:
        print_json(
            {
                "dry_run": True,
                "gallery": str(target),
                "folder": str(folder),
                **found,
                "n_new_people": new_people,
                "n_enrolled_already": already,
            }
            | not_looked_at()
        )
        return
    rows = [(one["name"], f"{one['n_photos']:,}") for one in found["people"]]
    print_table(("name", "photos"), rows, right=("photos",))
    _print_passed_over(listing)
    pairs = [
        ("layout", listing.layout_in_words),
        ("photos", f"{len(listing.photos):,} of {counted(len(listing.names), 'person', 'people')}"),
        ("new people", f"{new_people:,}"),
    ]
    if already:
        pairs.append(("enrolled already", f"{already:,}"))
    print_pairs(pairs)
    print_note(f"{target}: nothing was changed (--dry-run)")


def _print_passed_over(listing: Listing) -> None:
    for words in listing.passed_over[:MOST_LISTED]:
        print_note(f"passed over: {words}")
    if len(listing.passed_over) > MOST_LISTED:
        print_note(f"... and {len(listing.passed_over) - MOST_LISTED:,} more passed over")


def _low_quality(accept: bool) -> Literal["accept", "refuse"]:
    """As ``Gallery.examine`` calls it."""
    return "accept" if accept else "refuse"


def _raise(source: Any) -> None:
    try:
        source.read()
    except ImageError as error:
        raise OptionError(f"{error}; nothing was enrolled") from error


def _enroll_listing(gallery: Gallery, listing: Listing, **how: Any) -> FolderReport:
    """Enroll with a progress bar; after Ctrl-C it is said what is enrolled."""
    from lineament.gallery.folder import FolderReport, enroll_folder

    report = FolderReport(listing)

    def kept() -> str:
        return f"{report.enrolled:,} of {report.total:,} photos are enrolled; {GO_ON}"

    keeps(kept)
    with progress_bar("enrolling") as advance:

        def progress(now: FolderReport) -> None:
            nonlocal report
            report = now
            advance(now.done, now.total)

        if listing.layout == "regions":
            from lineament.gallery.regions import enroll_regions

            some = {
                name: how[name]
                for name in ("metadata", "consent", "on_low_quality", "force", "review")
            }
            return enroll_regions(gallery, listing, progress=progress, **some)
        return enroll_folder(gallery, listing, progress=progress, **how)


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
    ("all the same, enroll it by force", "all the same, add --force"),
    ("or all of them by force", "or add --force for all of them"),
)
"""What the library advises, and how that is said here."""


def refusal_in_words(refusal: Refusal) -> str:
    """Which photo, why, and what to do."""
    text = str(refusal)
    for words, here in _WORDS:
        text = text.replace(words, here)
    return near(text)


def _print_enrolled(report: EnrollReport, name: str) -> None:
    for refusal in report.refused:
        print_note(f"refused: {refusal_in_words(refusal)}")
    if report.enrolled and report.person is not None:
        new = "a new person" if report.created else f"{report.person.n_samples:,} in all"
        print_line(
            f"enrolled {report.person.name}: {counted(len(report.enrolled), 'photo')}, {new}"
        )
    else:
        print_line(f"enrolled nothing of {name}")
    for note in report.notes:
        print_note(f"note: {note}")


def _enrolled_in_words(outcome: FolderReport, new_people: int) -> str:
    if not outcome.enrolled:
        return "nothing new" if outcome.already else "nothing"
    people = counted(len(outcome.people), "person", "people")
    return f"{outcome.enrolled:,} of {people}, {new_people:,} new"


def _print_outcome(outcome: FolderReport, new_people: int, folder: Path) -> None:
    above = str(folder.absolute() / "_")[:-1]
    for refusal in outcome.refused[:MOST_LISTED]:
        print_note(f"refused: {refusal_in_words(refusal).removeprefix(above)}")
    if len(outcome.refused) > MOST_LISTED:
        print_note(
            f"... and {len(outcome.refused) - MOST_LISTED:,} more refused: --report FILE.html "
            "shows all"
        )
    _print_passed_over(outcome.listing)
    for note in outcome.notes[:MOST_LISTED]:
        print_note(f"note: {note.removeprefix(above)}")
    if len(outcome.notes) > MOST_LISTED:
        print_note(f"... and {len(outcome.notes) - MOST_LISTED:,} more notes: --json has all")
    speed = outcome.images_per_second
    rows = [
        ("layout", outcome.listing.layout_in_words),
        ("photos", f"{outcome.photos:,} of {len(outcome.listing.names):,} people"),
        ("enrolled", _enrolled_in_words(outcome, new_people)),
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

"""``lineament enroll NAME PHOTO...``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lineament.cli import options
from lineament.cli.gallery import opening, values
from lineament.cli.gallery.people import about_gallery, count
from lineament.cli.output import print_json, print_note
from lineament.cli.sources import Unreadable, many_sources
from lineament.errors import ImageError, OptionError

if TYPE_CHECKING:
    from lineament.gallery import EnrollReport, Refusal

Choose = Annotated[
    str | None,
    typer.Option(
        "--choose",
        metavar="largest|central",
        help="Of a photo with several faces, take this one.",
        show_default="such a photo is refused",
    ),
]
AcceptLowQuality = Annotated[
    bool,
    typer.Option("--accept-low-quality", help="Take small, blurred or turned faces, too."),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Take duplicates, and faces that look like somebody else, too."),
]


@options.with_recognizer(without=("choose",))
def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the person, in any script.")],
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO...", help="Files, folders, glob patterns, URLs, or - (stdin)."
        ),
    ],
    metadata: values.Set = None,
    choose: Choose = None,
    accept_low_quality: AcceptLowQuality = False,
    force: Force = False,
    keep_crops: opening.KeepCrops = None,
    calibration: options.Calibration_ = None,
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Enroll photos of one person; makes the gallery if there is none.

    Refused, with the reason: photos without a face or with several, of low quality,
    duplicates, and faces that look like somebody else who is enrolled. Exit code 0: all were
    enrolled, 1: some were refused, 2: error.
    """
    said = values.metadata_from(metadata)
    check_choose(choose)
    sources = many_sources(photos)
    for source in sources:
        if isinstance(source, Unreadable):  # a wrong path; nothing is made or changed
            _raise(source)
    from lineament.gallery.lookup import checked_name

    checked_name(name)
    with opening.opened_or_made(ctx.params) as opened:
        report = opened.enroll(
            name,
            sources,
            metadata=said,
            choose=choose is not None,
            on_low_quality=low_quality(accept_low_quality),
            force=force,
        )
        about = about_gallery(opened)
    if json:
        print_json(about | report.to_dict())
    else:
        _print(report, name)
    raise typer.Exit(1 if report.refused else 0)


def check_choose(choose: str | None) -> None:
    """OptionError if it is no such face."""
    if choose not in (None, "largest", "central"):
        raise OptionError(f"--choose: expected largest or central, got {choose!r}")


def low_quality(accept: bool) -> Literal["accept", "refuse"]:
    """As ``Gallery.examine`` calls it."""
    return "accept" if accept else "refuse"


def _raise(source: Any) -> None:
    try:
        source.read()
    except ImageError as error:
        raise OptionError(f"{error}; nothing was enrolled") from error


_WORDS = (
    ("or let the largest or most central face be chosen", "or add --choose largest"),
    ("if it is not, enroll it by force", "if it is not, add --force"),
)
"""What the library advises, and how that is said here."""


def refusal_in_words(refusal: Refusal) -> str:
    """Which photo, why, and what to do."""
    text = str(refusal)
    for words, here in _WORDS:
        text = text.replace(words, here)
    return text


def _print(report: EnrollReport, name: str) -> None:
    for refusal in report.refused:
        print_note(f"refused: {refusal_in_words(refusal)}")
    if report.enrolled and report.person is not None:
        new = "a new person" if report.created else f"{report.person.n_samples:,} in all"
        print(f"enrolled {report.person.name}: {count(len(report.enrolled), 'photo')}, {new}")
    else:
        print(f"enrolled nothing of {name}")
    for note in report.notes:
        print_note(f"note: {note}")

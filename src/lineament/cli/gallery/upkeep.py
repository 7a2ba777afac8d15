"""``lineament reindex`` and ``lineament migrate``."""

from __future__ import annotations

from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.gallery import opening
from lineament.cli.gallery.people import about_gallery, count
from lineament.cli.output import print_error, print_json, print_note
from lineament.errors import OptionError

MOST_LISTED = 20
NAMING = ("preset", "recognizer", "model")


def reindex_command(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Read all of the database too, and compare.")
    ] = False,
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Build the search index anew from the database.

    It is never needed for a right answer: an index that does not fit the database is rebuilt when
    the gallery is opened. Exit code 1: --check found something wrong.
    """
    with opening.opened(ctx.params) as opened:
        samples = opened.reindex()
        problems = opened.check() if check else []
        about = about_gallery(opened)
    if json:
        print_json(about | {"indexed": samples} | ({"problems": problems} if check else {}))
    else:
        fine = "; the database is sound" if check and not problems else ""
        print(f"{about['gallery']}: indexed {count(samples, 'embedding')}{fine}")
        for problem in problems:
            print_error(problem)
    raise typer.Exit(1 if problems else 0)


@options.with_recognizer()
def migrate_command(
    ctx: typer.Context,
    gallery: opening.GalleryFolder = None,
    calibration: options.Calibration_ = None,
    json: options.Json = False,
) -> None:
    """Embed everybody anew with the recognizer named, from kept crops or the photos.

    What cannot be embedded anew stays in the database, and is not searched. Exit code 0: all were,
    1: some could not be, 2: error.
    """
    if all(ctx.params.get(name) is None for name in NAMING):
        names = ", ".join(f"--{name}" for name in NAMING)
        raise OptionError(f"migrate: expected one of {names}: which recognizer it is to be")
    parts = options.recognizer_from(ctx.params)
    with opening.opened(ctx.params) as opened:
        report = opened.migrate(parts)
        about = about_gallery(opened)
    if json:
        print_json(about | report.to_dict())
    elif report.old_contract == report.new_contract:
        print_note(f"{about['gallery']}: it is made with {parts.weights.name} already")
    else:
        print(
            f"{about['gallery']}: from {report.old_contract} to {report.new_contract}: "
            f"{report.from_crops:,} from crops, {report.from_photos:,} from photos, "
            f"{len(report.failed):,} failed"
        )
        for sample, reason in report.failed[:MOST_LISTED]:
            print_error(f"sample {sample.id} of {sample.person}: {reason}")
        if len(report.failed) > MOST_LISTED:
            print_error(f"... and {len(report.failed) - MOST_LISTED:,} more: --json has all")
    raise typer.Exit(1 if report.failed else 0)

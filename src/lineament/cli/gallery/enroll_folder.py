"""``lineament enroll-folder DIR``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.gallery import opening, values
from lineament.cli.gallery.enroll import (
    AcceptLowQuality,
    Choose,
    Force,
    check_choose,
    low_quality,
    refusal_in_words,
)
from lineament.cli.gallery.people import about_gallery
from lineament.cli.output import check_page, print_json, print_note, print_pairs, progress_bar
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.gallery import Gallery
    from lineament.gallery.enroll import Stream
    from lineament.gallery.folder import FolderReport, Listing

MOST_LISTED = 20


@options.with_recognizer(without=("choose",))
def command(
    ctx: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder with a folder a person, or with files like NAME_0001.jpg."
        ),
    ],
    layout: Annotated[
        str, typer.Option("--layout", metavar="auto|folders|flat", help="Where the names stand.")
    ] = "auto",
    metadata: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Metadata of everybody; may be repeated."),
    ] = None,
    choose: Choose = None,
    accept_low_quality: AcceptLowQuality = False,
    force: Force = False,
    keep_crops: opening.KeepCrops = None,
    calibration: options.Calibration_ = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="With --ray: N actors instead of one for each CPU of the cluster.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS", help="Embed on a Ray cluster: auto, HOST:PORT."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.html",
            help="Write what was refused, with pictures, into one page; replaces FILE.",
        ),
    ] = None,
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Enroll the photos of many people; makes the gallery if there is none.

    Whatever ends it, what was enrolled stays: the same command goes on where it ended, and passes
    over the photos that are enrolled. Exit code 0: all are enrolled, 1: some were refused,
    2: error.
    """
    from lineament.gallery.folder import LAYOUTS, list_folder

    said = values.metadata_from(metadata)
    check_choose(choose)
    check_page(report)
    if layout not in LAYOUTS:
        raise OptionError(f"--layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}")
    listing = list_folder(folder, layout)
    with opening.opened_or_made(ctx.params) as opened:
        before = opened.n_people
        outcome = _enroll(
            opened,
            listing,
            metadata=said,
            choose=choose is not None,
            on_low_quality=low_quality(accept_low_quality),
            force=force,
            stream=_stream(opened, workers, ray),
        )
        about = about_gallery(opened)
        unchecked = not force and opened.calibration is None and opened.settings.threshold is None
        if report is not None:
            from lineament.cli.gallery.refusals import write_report

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
        _print(outcome, new_people, folder)
        if unchecked:
            print_note(
                "note: not checked whether faces look like somebody else: there is no calibration "
                "for these embeddings"
            )
        if report is not None:
            print_note(f"wrote {report}")
    raise typer.Exit(1 if outcome.refused else 0)


def _enroll(gallery: Gallery, listing: Listing, **how: Any) -> FolderReport:
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


def _print(outcome: FolderReport, new_people: int, folder: Path) -> None:
    above = str(folder.absolute() / "_")[:-1]
    for refusal in outcome.refused[:MOST_LISTED]:
        print_note(f"refused: {refusal_in_words(refusal).removeprefix(above)}")
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

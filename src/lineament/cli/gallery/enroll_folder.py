"""``lineament enroll-folder DIR``."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from lineament.cli.gallery.folders import Listing, list_folder
from lineament.cli.gallery.people import about_gallery
from lineament.cli.output import check_page, print_json, print_note, print_pairs, with_progress
from lineament.errors import OptionError
from lineament.files import sha256_of_file

if TYPE_CHECKING:
    from lineament.gallery import Gallery, NewSample, Refusal
    from lineament.gallery.enroll import Stream

BATCH, BATCH_S = 256, 5.0
"""A transaction has so many photos, or what came in so many seconds: that much is done again
after a crash. Measured with ``benchmarks/speed/enroll.py``."""

MOST_LISTED = 20


@dataclass(slots=True)
class Outcome:
    """What became of the photos so far."""

    photos: int = 0
    already: int = 0
    enrolled: int = 0
    people: set[str] = field(default_factory=set)
    refused: list[Refusal] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def by_reason(self) -> dict[str, int]:
        """How many were refused for which reason, the most frequent first."""
        return dict(Counter(refusal.reason for refusal in self.refused).most_common())

    @property
    def images_per_second(self) -> float | None:
        """Photos that were looked at, enrolled or not; None when there were none."""
        looked_at = self.photos - self.already
        return round(looked_at / self.seconds, 2) if looked_at and self.seconds else None


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
            help="N processes of one thread each instead of threads; with --ray N actors.",
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
    said = values.metadata_from(metadata)
    check_choose(choose)
    check_page(report)
    listing = list_folder(folder, layout)
    with opening.opened_or_made(ctx.params) as opened:
        before = opened.n_people
        outcome = enroll_listing(
            opened,
            listing,
            metadata=said,
            choose=choose is not None,
            accept_low_quality=accept_low_quality,
            force=force,
            workers=workers,
            ray=ray,
        )
        about = about_gallery(opened)
        unchecked = not force and opened.calibration is None and opened.settings.threshold is None
        if report is not None:
            from lineament.cli.gallery.refusals import write_report

            write_report(report, opened, folder, outcome, listing)
    new_people = about["n_people"] - before
    if json:
        print_json(
            about
            | {
                "folder": str(folder),
                "layout": listing.layout,
                "people": len(listing.names),
                "new_people": new_people,
                "photographs": outcome.photos,
                "enrolled": outcome.enrolled,
                "enrolled_already": outcome.already,
                "refused": [refusal.to_dict() for refusal in outcome.refused],
                "refused_by_reason": outcome.by_reason,
                "passed_over": list(listing.passed_over),
                "seconds": round(outcome.seconds, 2),
                "images_per_second": outcome.images_per_second,
                "report": None if report is None else str(report),
            }
        )
    else:
        _print(outcome, listing, new_people, folder)
        if unchecked:
            print_note(
                "note: not checked whether faces look like somebody else: there is no calibration "
                "for these embeddings"
            )
        if report is not None:
            print_note(f"wrote {report}")
    raise typer.Exit(1 if outcome.refused else 0)


def enroll_listing(
    gallery: Gallery,
    listing: Listing,
    *,
    metadata: Mapping[str, Any] | None = None,
    choose: bool = False,
    accept_low_quality: bool = False,
    force: bool = False,
    workers: int | None = None,
    ray: str | None = None,
) -> Outcome:
    """Enroll what a folder holds, batch by batch; each batch is on the disk when it is done.

    Interrupted by Ctrl-C, what was looked at so far is enrolled before that is passed on.
    """
    from lineament.gallery import Refusal

    outcome = Outcome(photos=len(listing.photos))
    started = time.perf_counter()
    wanted = list(_not_enrolled(gallery, listing.photos))
    outcome.already = outcome.photos - len(wanted)
    names = deque(name for name, _ in wanted)
    batch: list[tuple[str, NewSample]] = []
    last = time.perf_counter()

    def commit() -> None:
        said = {} if not metadata else {name: metadata for name, _ in batch}
        made = gallery.enroll_samples(batch, metadata=said, force=force)
        for (name, _), one in zip(batch, made, strict=True):
            if isinstance(one, Refusal):
                outcome.refused.append(one)
            else:
                outcome.enrolled += 1
                outcome.people.add(name)
        batch.clear()

    examined = gallery.examine(
        (path for _, path in wanted),
        choose=choose,
        on_low_quality=low_quality(accept_low_quality),
        stream=_stream(gallery, workers, ray),
        by_path=ray is not None,
    )
    try:
        for one in with_progress(examined, len(wanted), "enrolling"):
            name = names.popleft()
            if isinstance(one, Refusal):
                outcome.refused.append(replace(one, person=name))
            else:
                batch.append((name, one))
            if len(batch) >= BATCH or (batch and time.perf_counter() - last > BATCH_S):
                commit()
                last = time.perf_counter()
    except KeyboardInterrupt:
        commit()
        print_note(
            f"interrupted: {outcome.enrolled:,} of {len(wanted):,} photos are enrolled and "
            "stay; the same command goes on from there"
        )
        raise
    commit()
    outcome.seconds = time.perf_counter() - started
    return outcome


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
        from lineament.bulk import stream_chosen_in_processes

        return partial(stream_chosen_in_processes, recognizer=gallery.recognizer, workers=workers)
    return None


def _not_enrolled(
    gallery: Gallery, photos: Sequence[tuple[str, Path]]
) -> Iterator[tuple[str, Path]]:
    """Those that are not enrolled under that name yet, by their bytes."""
    known: dict[str, set[str]] = {}
    empty = gallery.n_samples == 0
    for name, path in photos:
        if not empty and name not in known:
            there = gallery.person(name).samples if name in gallery else ()
            known[name] = {one.sha256 for one in there if one.sha256 is not None}
        if known.get(name) and _sha256(path) in known[name]:
            continue
        yield name, path


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of_file(path).hex()
    except OSError:  # told by whoever reads it
        return None


def _print(outcome: Outcome, listing: Listing, new_people: int, folder: Path) -> None:
    above = str(folder.absolute() / "_")[:-1]
    for refusal in outcome.refused[:MOST_LISTED]:
        print_note(f"refused: {refusal_in_words(refusal).removeprefix(above)}")
    if len(outcome.refused) > MOST_LISTED:
        print_note(
            f"... and {len(outcome.refused) - MOST_LISTED:,} more refused: --report FILE.html "
            "shows all"
        )
    for words in listing.passed_over[:MOST_LISTED]:
        print_note(f"passed over: {words}")
    if len(listing.passed_over) > MOST_LISTED:
        print_note(f"... and {len(listing.passed_over) - MOST_LISTED:,} more passed over")
    speed = outcome.images_per_second
    rows = [
        ("photographs", f"{outcome.photos:,} of {len(listing.names):,} people"),
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

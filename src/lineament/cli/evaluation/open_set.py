"""``lineament eval open-set DIR``."""

from __future__ import annotations

from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring
from lineament.cli.evaluation.folder import Folder, Seed


@options.with_recognizer()
def command(
    ctx: typer.Context,
    folder: Folder,
    trials: Annotated[int, typer.Option("--trials", metavar="N", help="Random trials.")] = 10,
    gallery: Annotated[
        int | None,
        typer.Option(
            "--gallery",
            metavar="N",
            help="People enrolled in a trial.",
            show_default="1000, or 84 % of those with two photos",
        ),
    ] = None,
    seed: Seed = 0,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Open-set identification in the manner of BLUFR, on a folder with a folder a person.

    In each trial people are enrolled with one photo; searched for are their other photos
    and those of people who are not enrolled.
    """
    measuring.check_report(report)
    from lineament.datasets.people_folder import read_people
    from lineament.evaluate.protocols.open_set import run_open_set

    people = read_people(folder)
    source = measuring.source_from(ctx.params)
    result, embedded = run_open_set(
        people, source, trials=trials, gallery=gallery, seed=seed, progress=measuring.comparing()
    )
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)

"""``lineament eval folder DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder with a folder of photos a person.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn by chance.")]


@options.with_recognizer()
def command(
    ctx: typer.Context,
    folder: Folder,
    seed: Seed = 0,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Any folder with a folder a person: all pairs, references a person, suspected mislabels.

    A rate is given only where the number of pairs supports it. A photo without a face stays
    in: its pairs are called different.
    """
    measuring.check_report(report)
    from lineament.datasets.people_folder import read_people
    from lineament.evaluate.protocols.folder import run_folder

    people = read_people(folder)
    source = measuring.source_from(ctx.params)
    result, embedded = run_folder(people, source, seed=seed, progress=measuring.comparing())
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)

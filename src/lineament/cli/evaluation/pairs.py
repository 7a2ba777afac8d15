"""``lineament eval pairs FILE.csv``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring
from lineament.cli.output import print_note
from lineament.errors import OptionError


@options.with_recognizer()
def command(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="With the columns file_a, file_b and same.")
    ],
    root: Annotated[
        Path | None,
        typer.Option(
            "--root", metavar="DIR", help="Where the paths start.", show_default="FILE's folder"
        ),
    ] = None,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Pairs of your own: accuracy, error rates, and what the default threshold decides.

    The column same holds 1 or 0, true or false, or same or different. Two more columns, person_a
    and person_b, say who is shown, so that no threshold is chosen on the people it is judged on.
    """
    measuring.check_report(report)
    from lineament.datasets.pairs_csv import read_pairs
    from lineament.evaluate.protocols.pairs import run_pairs

    data = read_pairs(file, root=root)
    source = measuring.source_from(ctx.params)
    try:
        threshold = source.recognizer.threshold()
    except OptionError as error:  # the other figures do not need one
        threshold = None
        print_note(f"nothing is decided: {error}")
    result, embedded = run_pairs(data, source, threshold=threshold)
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)

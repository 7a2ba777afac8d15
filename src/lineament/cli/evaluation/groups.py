"""``lineament eval groups PAIRS_OR_FOLDER ATTRIBUTES.csv``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring
from lineament.cli.evaluation.folder import Seed
from lineament.cli.output import print_table


@options.with_recognizer()
def command(
    ctx: typer.Context,
    compared: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS_OR_FOLDER",
            help="CSV file with file_a,file_b,same, or a folder with a folder a person.",
        ),
    ],
    attributes: Annotated[
        Path,
        typer.Argument(
            metavar="ATTRIBUTES.csv", help="CSV file with person or file, and attributes."
        ),
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="COLUMN",
            help="Attribute, or several as A+B; may be repeated.",
            show_default="each attribute",
        ),
    ] = None,
    fmr: options.Fmr = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="The threshold itself, a cosine.")
    ] = None,
    seed: Seed = 0,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Errors by groups of people: rates within and across groups, and the ratio worst to best.

    A group that is too small for a figure is said to be so.
    """
    measuring.check_report(report)
    from lineament.datasets.attributes import read_attributes
    from lineament.evaluate.protocols.groups import GROUP_COLUMNS, group_rows, run_groups

    source = measuring.source_from(ctx.params)
    used = source.recognizer.threshold(fmr=fmr, value=threshold)
    table = read_attributes(attributes)
    result, embedded = run_groups(
        compared, table, source, threshold=used.value, fmr=used.fmr, by=by or (), seed=seed
    )
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)
    if not json:
        for part in result.parts:
            print(f"\n{part.title}")
            print_table(GROUP_COLUMNS, group_rows(part), right=GROUP_COLUMNS[1:])

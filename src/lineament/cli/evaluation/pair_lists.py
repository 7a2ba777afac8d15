"""``lineament eval agedb DIR``, ``calfw DIR`` and ``cplfw DIR``: lists of 6,000 pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring

if TYPE_CHECKING:
    from lineament.datasets.pairs import PairList

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder with the list of pairs and the photos.")
]


@options.with_recognizer(without=("choose",))
def agedb(
    ctx: typer.Context,
    folder: Folder,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """AgeDB-30: pairs with 30 years between their photos, in ten folds.

    A photo without a face stays in: its pairs are called different.
    """
    measuring.check_report(report)
    from lineament.datasets.agedb import read_agedb

    _measure(ctx, "agedb", "AgeDB-30", folder, read_agedb(folder))


@options.with_recognizer(without=("choose",))
def calfw(
    ctx: typer.Context,
    folder: Folder,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Cross-Age LFW: pairs of different ages, in ten folds.

    A photo without a face stays in: its pairs are called different.
    """
    measuring.check_report(report)
    from lineament.datasets.pair_lists import TITLES, read_two_line_pairs

    _measure(ctx, "calfw", TITLES["calfw"], folder, read_two_line_pairs(folder, "calfw"))


@options.with_recognizer(without=("choose",))
def cplfw(
    ctx: typer.Context,
    folder: Folder,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Cross-Pose LFW: pairs of different poses, in ten folds.

    A photo without a face stays in: its pairs are called different.
    """
    measuring.check_report(report)
    from lineament.datasets.pair_lists import TITLES, read_two_line_pairs

    _measure(ctx, "cplfw", TITLES["cplfw"], folder, read_two_line_pairs(folder, "cplfw"))


def _measure(ctx: typer.Context, protocol: str, title: str, folder: Path, pairs: PairList) -> None:
    from lineament.evaluate.protocols.verification import run_pair_list

    source = measuring.source_from(ctx.params, choose="central")
    result, embedded = run_pair_list(
        pairs, source, protocol=protocol, title=title, data=str(folder)
    )
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)

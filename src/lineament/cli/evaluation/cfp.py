"""``lineament eval cfp DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.datasets.cfp import Protocol

PROTOCOLS: dict[str, tuple[Protocol, ...]] = {
    "ff": ("ff",),
    "fp": ("fp",),
    "both": ("ff", "fp"),
}


@options.with_recognizer(without=("choose",))
def command(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that holds Data and Protocol.")
    ],
    protocol: Annotated[
        str,
        typer.Option(
            "--protocol", metavar="|".join(PROTOCOLS), help="Frontal-frontal, frontal-profile."
        ),
    ] = "both",
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Celebrities in Frontal-Profile: accuracy in ten folds of 350 + 350 pairs each.

    A photo without a face stays in: its pairs are called different.
    """
    if protocol not in PROTOCOLS:
        raise OptionError(f"--protocol: expected ff, fp or both, got {protocol!r}")
    measuring.check_report(report)
    from lineament.evaluate.protocols.verification import run_cfp

    source = measuring.source_from(ctx.params, choose="central")
    result, embedded = run_cfp(folder, source, protocols=PROTOCOLS[protocol])
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)

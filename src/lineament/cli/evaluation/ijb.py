"""``lineament eval ijb DIR --set b|c --protocol 1:1|1:N``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.datasets.ijb import Protocol, Set

CHOOSE = "central"
"""The files give each face's box; the one in its middle is meant."""


@options.with_recognizer(without=("choose",))
def command(
    ctx: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder with protocol/ and the photos, or meta/ and loose_crop/.",
        ),
    ],
    which: Annotated[str, typer.Option("--set", metavar="b|c", help="IJB-B or IJB-C.")],
    protocol: Annotated[
        str, typer.Option("--protocol", metavar="1:1|1:N", help="Verification or identification.")
    ] = "1:1",
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """IJB-B and IJB-C: templates of photos and video frames, by NIST's or InsightFace's files.

    Faces are averaged within a medium, then over the media; a template without any face is like
    nobody and stays in.
    """
    kind, what = which.lower(), protocol.upper()
    if kind not in ("b", "c"):
        raise OptionError(f"--set: expected b or c, got {which!r}")
    if what not in ("1:1", "1:N"):
        raise OptionError(f"--protocol: expected 1:1 or 1:N, got {protocol!r}")
    measuring.check_report(report)
    from lineament.datasets.ijb import read_ijb
    from lineament.evaluate.protocols.templates import run_ijb

    data = read_ijb(folder, cast("Set", kind), cast("Protocol", what))
    source = measuring.source_from(ctx.params, choose=CHOOSE)
    result, embedded = run_ijb(data, source, cast("Set", kind))
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)

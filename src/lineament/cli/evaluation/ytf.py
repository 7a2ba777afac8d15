"""``lineament eval ytf DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring


@options.with_recognizer(without=("choose",))
def command(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with splits.txt and the frames.")
    ],
    frames: Annotated[
        int, typer.Option("--frames", metavar="N", help="Evenly spaced frames a video.")
    ] = 20,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """YouTube Faces: pairs of videos in ten splits, compared in three ways.

    By the mean of the frames' embeddings, by the mean weighted by quality, and by the best pair of
    frames. A frame without a face counts for nothing.
    """
    measuring.check_report(report)
    from lineament.datasets.ytf import read_ytf
    from lineament.evaluate.protocols.videos import run_ytf

    videos = read_ytf(folder, frames=frames)
    source = measuring.source_from(ctx.params, choose="central")
    result, embedded = run_ytf(videos, source)
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)

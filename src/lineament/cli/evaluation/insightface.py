"""``lineament eval bin FILE.bin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring

DETECTION = (
    "choose",
    "detector",
    "alignment",
    "min_face",
    "min_score",
    "max_faces",
    "no_turning",
)
"""Options that make no sense where the faces are aligned already."""


@options.with_recognizer(without=DETECTION)
def command(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE.bin", help="lfw.bin, cfp_fp.bin, agedb_30.bin, ...")
    ],
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """InsightFace's verification sets: pairs of aligned faces in one file.

    The file is a pickle. It is read without carrying out anything that it says; a file that asks
    for more than lists of photos and answers is refused.
    """
    measuring.check_report(report)
    from lineament.datasets.insightface_bin import read_bin
    from lineament.evaluate.protocols.verification import run_bin

    data = read_bin(file)
    source = measuring.source_from(ctx.params)
    result, _ = run_bin(data, source)
    measuring.finish(result, source, ctx)

"""``lineament eval bin FILE.bin``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import common

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
    no_cache: common.NoCache = False,
    report: common.Report = None,
    json: options.Json = False,
) -> None:
    """InsightFace's verification sets: pairs of aligned faces in one file.

    The file is a pickle. It is read without carrying out anything that it says; a file that asks
    for more than lists of photographs and answers is refused.
    """
    common.check_report(report)
    from lineament.evaluate.protocols.insightface import read_bin, run_bin

    data = read_bin(file)
    source = common.source_from(ctx.params)
    result, _ = run_bin(data, source)
    common.finish(result, source, ctx)

"""``lineament eval lfw DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.evaluate.protocols.lfw import View

VIEWS = ("1", "2", "all-pairs")
CHOOSE = "central"
"""LFW's person is the one in the middle of the photo."""


@options.with_recognizer(without=("choose",))
def command(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with pairs.txt and the photos.")
    ],
    view: Annotated[
        list[str] | None,
        typer.Option(
            "--view", metavar="|".join(VIEWS), help="May be repeated.", show_default="all three"
        ),
    ] = None,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Labeled Faces in the Wild: accuracy and error rates by its protocols.

    Of several faces the central one is taken. A photo without a face stays in: its pairs are
    called different. Embeddings are kept in the cache folder.
    """
    views = _views(view)
    measuring.check_report(report)
    from lineament.datasets.lfw import read_lfw
    from lineament.evaluate.protocols.lfw import run_lfw

    source = measuring.source_from(ctx.params, choose=CHOOSE)
    lfw = read_lfw(folder)
    result, embedded = run_lfw(
        lfw,
        source,
        views=views,
        calibration=source.recognizer.calibration,
        progress=measuring.comparing(),
    )
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)


def _views(given: list[str] | None) -> tuple[View, ...]:
    views = VIEWS if not given else tuple(dict.fromkeys(given))
    for view in views:
        if view not in VIEWS:
            raise OptionError(f"--view: expected one of {', '.join(VIEWS)}, got {view!r}")
    return cast("tuple[View, ...]", views)

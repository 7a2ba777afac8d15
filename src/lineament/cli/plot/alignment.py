"""``lineament plot alignment PHOTO``."""

from __future__ import annotations

from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.plot import drawing
from lineament.cli.sources import one_source


@options.with_recognizer()
def command(
    ctx: typer.Context,
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="A file, a URL, or - (stdin).")],
    title: drawing.Title = "",
    out: drawing.Out = None,
    json: options.Json = False,
) -> None:
    """How a face is aligned, stage by stage."""
    target = drawing.check_out(out, "alignment", json, inputs=[photo])
    from lineament.explain import alignment_stages
    from lineament.pictures.plots.alignment import alignment

    aligned = alignment_stages(options.recognizer_from(ctx.params), one_source(photo))
    plot = alignment(aligned, title=title)
    drawing.finish(plot, target, json)

"""``lineament plot grid DIR``."""

from __future__ import annotations

from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation.measuring import source_from
from lineament.cli.plot import drawing, faces

Most = Annotated[
    int, typer.Option("--most", min=2, max=150, help="More photos are sampled, N of them.")
]


@options.with_recognizer()
def command(
    ctx: typer.Context,
    photos: faces.Photos,
    out: drawing.Out = None,
    most: Most = 60,
    fmr: options.Fmr = None,
    threshold: faces.Threshold_ = None,
    seed: faces.Seed = 0,
    json: options.Json = False,
) -> None:
    """Similarity of every pair of photos, with the faces along both sides."""
    target = drawing.check_out(out, "grid", json, inputs=faces.inputs_of(photos))
    from lineament.pictures.plots.grid import grid

    source = source_from(ctx.params)
    limit = faces.threshold_of(ctx.params, source)
    known = faces.load(photos, source, crops_up_to=most, most=most, seed=seed)
    drawing.finish(grid(known, threshold=limit, most=most, seed=seed), target, json)

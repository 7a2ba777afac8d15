"""``lineament plot correlation DIR``."""

from __future__ import annotations

import typer

from lineament.cli import options
from lineament.cli.evaluation.measuring import NoCache, source_from
from lineament.cli.plot import drawing, faces


@options.with_recognizer()
def command(
    ctx: typer.Context,
    photos: faces.Photos,
    out: drawing.Out = None,
    fmr: options.Fmr = None,
    threshold: faces.Threshold_ = None,
    no_cache: NoCache = False,
    json: options.Json = False,
) -> None:
    """How alike people are, and who could unlock whose phone."""
    target = drawing.check_out(out, "correlation", json, inputs=faces.inputs_of(photos))
    from lineament.explain.faces import portraits
    from lineament.pictures.plots.correlation import correlation, listed_people

    source = source_from(ctx.params)
    limit = faces.threshold_of(ctx.params, source)
    known = faces.load(photos, source, crops_up_to=0)
    shown = {}
    if target is not None and len(known.names) > 1:
        shown = portraits(known, listed_people(known), source)
    plot = correlation(known, threshold=limit, ladder=faces.ladder_of(source), portraits=shown)
    drawing.finish(plot, target, json)

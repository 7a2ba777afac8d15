"""``lineament plot tsne DIR``."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from lineament.cli import options
from lineament.cli.evaluation.measuring import NoCache, source_from
from lineament.cli.plot import drawing, faces
from lineament.errors import OptionError

Method = Annotated[
    str, typer.Option("--method", metavar="tsne|pca|umap", help="How the plane is found.")
]


@options.with_recognizer()
def command(
    ctx: typer.Context,
    photos: faces.Photos,
    out: drawing.Out = None,
    method: Method = "tsne",
    seed: faces.Seed = 0,
    no_cache: NoCache = False,
    json: options.Json = False,
) -> None:
    """Faces on a plane, those that are alike near each other; .html shows them under the mouse."""
    inputs = faces.inputs_of(photos)
    target = drawing.check_out(out, "tsne", json, html=True, inputs=inputs)
    if method not in ("tsne", "pca", "umap"):
        raise OptionError(f"--method: expected tsne, pca or umap, got {method!r}")
    from lineament.pictures.plots.tsne import MOST_FACES, MOST_POINTS, tsne
    from lineament.pictures.plots.tsne import Method as Way

    source = source_from(ctx.params)
    known = faces.load(photos, source, crops_up_to=MOST_FACES, most=MOST_POINTS, seed=seed)
    page = target is not None and target.suffix.lower() == ".html"
    chosen = cast("Way", method)
    plot = tsne(known, method=chosen, seed=seed, page=page, threads=ctx.params.get("threads"))
    drawing.finish(plot, target, json)

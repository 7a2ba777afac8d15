"""``lineament plot histogram DIR``."""

from __future__ import annotations

from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation.measuring import NoCache, source_from
from lineament.cli.plot import drawing, faces

Person = Annotated[
    list[str] | None,
    typer.Option(
        "--person",
        metavar="NAME",
        help="Whose; may be given several times.",
        show_default="the 6 with most photos",
    ),
]


@options.with_recognizer()
def command(
    ctx: typer.Context,
    photos: faces.Photos,
    out: drawing.Out = None,
    person: Person = None,
    fmr: options.Fmr = None,
    threshold: faces.Threshold_ = None,
    no_cache: NoCache = False,
    json: options.Json = False,
) -> None:
    """How far everybody lies from one person's mean, with the rates at the threshold."""
    target = drawing.check_out(out, "histogram", json, inputs=faces.inputs_of(photos))
    from lineament.explain.faces import portraits
    from lineament.pictures.plots.histogram import chosen_people, histogram

    source = source_from(ctx.params)
    limit = faces.threshold_of(ctx.params, source)
    known = faces.load(photos, source, crops_up_to=0)
    wanted = person if person else None
    chosen, _ = chosen_people(known, wanted)
    shown = portraits(known, chosen, source) if target is not None else {}
    plot = histogram(known, people=wanted, threshold=limit, portraits=shown)
    drawing.finish(plot, target, json)

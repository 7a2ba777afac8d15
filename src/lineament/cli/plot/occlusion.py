"""``lineament plot occlusion PHOTO``."""

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
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="PHOTO",
            help="Another photo of the same person.",
            show_default="the photo as it is",
        ),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="mask, sunglasses, blur, darkness, rotation or resolution; may be repeated.",
            show_default="all of them",
        ),
    ] = None,
    title: drawing.Title = "",
    fmr: options.Fmr = None,
    threshold: drawing.Threshold_ = None,
    calibration: options.Calibration_ = None,
    out: drawing.Out = None,
    json: options.Json = False,
) -> None:
    """A photo made worse in steps: how much of each recognition bears."""
    target = drawing.check_out(out, "occlusion", json, inputs=[photo, reference])
    from lineament.explain import KINDS, degrade
    from lineament.pictures.plots.occlusion import occlusion

    recognizer = options.recognizer_from(ctx.params)
    degraded = degrade(
        recognizer,
        one_source(photo),
        reference=None if reference is None else one_source(reference),
        kinds=kinds if kinds else KINDS,
        threshold=drawing.threshold_of(ctx.params, recognizer),
    )
    plot = occlusion(degraded, title=title)
    if not json:
        for kind, series in plot.numbers["series"].items():
            end = series["fails_at"]
            fails = "no step fails" if end is None else f"fails first at {end:g}"
            print(f"{kind}: {fails} ({series['unit']})")
    drawing.finish(plot, target, json)

"""``lineament plot explain A B``."""

from __future__ import annotations

from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.plot import drawing
from lineament.cli.sources import STDIN, one_source
from lineament.errors import OptionError


@options.with_recognizer()
def command(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="Photo: a file, a URL, or - (stdin).")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    fill: Annotated[
        str,
        typer.Option("--fill", metavar="blur|gray", help="What the face is covered with."),
    ] = "blur",
    title: drawing.Title = "",
    fmr: options.Fmr = None,
    threshold: drawing.Threshold_ = None,
    calibration: options.Calibration_ = None,
    out: drawing.Out = None,
    json: options.Json = False,
) -> None:
    """Which regions of two faces carry the decision, and what would change it."""
    if a == b == STDIN:
        raise OptionError('expected "-" once: standard input is one photo')
    if fill not in ("blur", "gray"):
        raise OptionError(f"--fill: expected blur or gray, got {fill!r}")
    target = drawing.check_out(out, "explain", json, inputs=[a, b])
    from lineament.explain import explain
    from lineament.pictures import plots

    recognizer = options.recognizer_from(ctx.params)
    explanation = explain(
        recognizer,
        one_source(a),
        one_source(b),
        threshold=drawing.threshold_of(ctx.params, recognizer),
        fill="gray" if fill == "gray" else "blur",
    )
    plot = plots.explain(explanation, title=title)
    if not json:
        print(plot.numbers["decision"]["explanation"])
        for words in plot.numbers["what_would_change"]:
            print(words)
    drawing.finish(plot, target, json)

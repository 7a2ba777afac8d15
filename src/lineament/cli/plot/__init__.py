"""``lineament plot NAME ...``: one command a picture, each in its own file."""

from __future__ import annotations

import typer

from lineament.cli.plot import (
    alignment,
    barcode,
    correlation,
    explain,
    grid,
    histogram,
    occlusion,
    pose,
    report,
    tsne,
)

app = typer.Typer(
    help="Pictures of what the recognizer sees, and why it decides as it does.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)
app.command("alignment")(alignment.command)
app.command("barcode")(barcode.command)
app.command("correlation")(correlation.command)
app.command("explain")(explain.command)
app.command("grid")(grid.command)
app.command("histogram")(histogram.command)
app.command("occlusion")(occlusion.command)
app.command("pose")(pose.command)
app.command("report")(report.command)
app.command("tsne")(tsne.command)

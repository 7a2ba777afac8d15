"""``lineament plot report DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring
from lineament.cli.output import print_json, print_note, with_progress
from lineament.cli.plot import drawing
from lineament.errors import OptionError


@options.with_recognizer()
def command(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with a folder of photos a person.")
    ],
    fmr: options.Fmr = None,
    threshold: drawing.Threshold_ = None,
    calibration: options.Calibration_ = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn by chance.")] = 0,
    no_cache: measuring.NoCache = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.html",
            help="Where the page goes; replaces FILE.",
            show_default="report.html here; none with --json",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """All pictures of a folder a person as one page, which starts with a summary in words."""
    from lineament.pictures.charts.files import check_extra

    check_extra()
    if out is None and not json:
        out = Path("report.html")
    if out is not None:
        if out.suffix.lower() not in (".html", ".htm"):
            raise OptionError(f"--out: expected a file whose name ends in .html, got {out}")
        if not out.parent.is_dir():
            raise OptionError(f"--out: there is no folder {out.parent}; make it first")
    from lineament.report import report

    recognizer = options.recognizer_from(ctx.params)
    made = report(
        folder,
        recognizer,
        threshold=drawing.threshold_of(ctx.params, recognizer),
        seed=seed,
        use_cache=not no_cache,
        progress=with_progress,
        on_note=print_note,
    )
    if out is not None:
        made.save(out)
    if json:
        print_json(made.numbers)
    else:
        for words in made.numbers["summary"]:
            print(words)
    if out is not None:
        print_note(f"wrote {out}")

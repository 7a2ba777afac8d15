"""``lineament eval distractors DIR DISTRACTORS``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.evaluation import measuring
from lineament.cli.evaluation.folder import Folder, Seed
from lineament.errors import OptionError


@options.with_recognizer()
def command(
    ctx: typer.Context,
    folder: Folder,
    distractors: Annotated[
        Path,
        typer.Argument(
            metavar="DISTRACTORS", help="Folder with photos of other people, at any depth."
        ),
    ],
    sizes: Annotated[
        str | None,
        typer.Option(
            "--sizes",
            metavar="N,N,...",
            help="How many distractors.",
            show_default="10,100,1000 ... and all",
        ),
    ] = None,
    seed: Seed = 0,
    no_cache: measuring.NoCache = False,
    report: measuring.Report = None,
    json: options.Json = False,
) -> None:
    """Identification among growing numbers of distractors, in the manner of MegaFace.

    Distractors that repeat a photo of the probe set are left out and counted.
    """
    measuring.check_report(report)
    wanted = None if sizes is None else _sizes(sizes)
    from lineament.datasets.people_folder import read_people
    from lineament.evaluate.protocols.distractors import choose_distractors, run_distractors
    from lineament.images import find_images

    people = read_people(folder, min_people=1)
    chosen = choose_distractors(people, find_images([distractors]))
    source = measuring.source_from(ctx.params)
    result, embedded = run_distractors(
        people, chosen, source, sizes=wanted, seed=seed, progress=measuring.comparing()
    )
    measuring.report_unreadable(embedded)
    measuring.finish(result, source, ctx)


def _sizes(text: str) -> list[int]:
    parts = [part.strip().replace("_", "") for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 12 for part in parts):
        raise OptionError(f"--sizes: expected whole numbers with commas between them, got {text!r}")
    return [int(part) for part in parts]

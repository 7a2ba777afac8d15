"""``lineament distill PHOTOS --out RUN``."""

from __future__ import annotations

from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.training import finetune, train


def command(
    photos: finetune.Photos,
    out: finetune.Out,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher",
            metavar="NAME|RUN",
            help="Whose embeddings: a recognizer, or the folder of a run.",
            show_default="sface",
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(
            "--student",
            metavar="NAME",
            help="Architecture that learns them: mobilefacenet, iresnet18, tiny, ...",
            show_default="mobilefacenet",
        ),
    ] = None,
    labels: finetune.Labels = None,
    epochs: finetune.Epochs = None,
    lr: finetune.Rate = None,
    hold_out: finetune.HoldOut = None,
    changes: train.Set = None,
    resume: train.Resume = False,
    json: options.Json = False,
) -> None:
    """Teach an architecture the embeddings of a recognizer, for example a smaller one.

    Whom the photos show does not matter unless --labels is given. Exit code 0: done, 2: error,
    130: stopped.
    """
    from lineament.train.recipes import distill_config

    given = {
        "teacher": teacher,
        "student": student,
        "labels": labels,
        "epochs": epochs,
        "lr": lr,
        "hold_out": hold_out,
    }
    finetune.run_recipe(distill_config, photos, out, given, changes, resume, json)

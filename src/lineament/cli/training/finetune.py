"""``lineament finetune PHOTOS --out RUN``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.training import train

Photos = Annotated[
    Path,
    typer.Argument(
        metavar="PHOTOS",
        help="Aligned faces (`lineament align --people`): a folder a person, .csv, .tar or .rec.",
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the run.")]
Labels = Annotated[
    float | None,
    typer.Option(
        "--labels",
        metavar="WEIGHT",
        help="Use the people's names too: weight of ArcFace.",
        show_default="0",
    ),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", metavar="N", help="Times that each photo is seen.")
]
Rate = Annotated[float | None, typer.Option("--lr", metavar="RATE", help="Learning rate.")]
HoldOut = Annotated[
    float | None,
    typer.Option(
        "--hold-out",
        metavar="0..0.9",
        help="Share of the people to verify with, and not to train with.",
        show_default="0",
    ),
]


def command(
    photos: Photos,
    out: Out,
    recognizer: Annotated[
        str | None,
        typer.Option(
            "--recognizer",
            metavar="NAME|RUN",
            help="Where to begin: sface, mobilefacenet, or the folder of a run.",
            show_default="sface",
        ),
    ] = None,
    labels: Labels = None,
    keep: Annotated[
        float | None,
        typer.Option(
            "--keep",
            metavar="WEIGHT",
            help="Weight of staying near the recognizer as it was.",
            show_default="1",
        ),
    ] = None,
    low_resolution: Annotated[
        int | None,
        typer.Option(
            "--low-resolution", metavar="PX", help="Train for faces about so many pixels wide."
        ),
    ] = None,
    epochs: Epochs = None,
    lr: Rate = None,
    hold_out: HoldOut = None,
    changes: train.Set = None,
    resume: train.Resume = False,
    json: options.Json = False,
) -> None:
    """Train a recognizer further, on photos of your own.

    It learns to see in changed photos what it saw in the unchanged ones; --labels lets it
    learn who is who as well. Exit code 0: done, 2: error, 130: stopped.
    """
    from lineament.train.recipes import finetune_config

    given = {
        "recognizer": recognizer,
        "labels": labels,
        "keep": keep,
        "low_resolution_px": low_resolution,
        "epochs": epochs,
        "lr": lr,
        "hold_out": hold_out,
    }
    run_recipe(finetune_config, photos, out, given, changes, resume, json)


def run_recipe(
    recipe: Any,
    photos: Path,
    out: Path,
    given: dict[str, Any],
    changes: list[str] | None,
    resume: bool,
    json: bool,
) -> None:
    """Train what a recipe says; what was not given is the recipe's own."""
    chosen = {key: value for key, value in given.items() if value is not None}
    config = recipe(str(photos), str(out), overrides=changes if changes else (), **chosen)
    train.train(config, resume=resume, json=json)

"""``lineament export WHAT``: a gallery into a file, or a training run into a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from lineament.cli import options
from lineament.cli.gallery import exchange, opening
from lineament.errors import OptionError

MODEL, GALLERY = "A trained model", "A gallery"


def command(
    ctx: typer.Context,
    what: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|FILE",
            help="Folder of a training run, or one of its .pt files: its model is written. Or a "
            f"{' or '.join(exchange.SUFFIXES)} file: the gallery is written into it.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.onnx",
            help="The new file.",
            show_default="RUN/NAME.onnx",
            rich_help_panel=MODEL,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="How it is asked for.",
            show_default="the run's folder",
            rich_help_panel=MODEL,
        ),
    ] = None,
    which: Annotated[
        str | None,
        typer.Option(
            "--which",
            metavar="best|last",
            help="Which of its weights.",
            show_default="best",
            rich_help_panel=MODEL,
        ),
    ] = None,
    license: Annotated[
        str | None,
        typer.Option(
            "--license",
            metavar="SPDX",
            help="Of the new weights.",
            show_default="unknown",
            rich_help_panel=MODEL,
        ),
    ] = None,
    commercial_use: Annotated[
        str | None,
        typer.Option(
            "--commercial-use",
            metavar="yes|no|unknown",
            help="Whether that license grants it.",
            show_default="unknown",
            rich_help_panel=MODEL,
        ),
    ] = None,
    training_data: Annotated[
        str | None,
        typer.Option(
            "--training-data",
            metavar="TEXT",
            help="What it was trained on.",
            show_default="the run's folder of photos",
            rich_help_panel=MODEL,
        ),
    ] = None,
    crops: Annotated[
        bool | None,
        typer.Option(
            "--crops/--no-crops",
            help="With the aligned faces that are kept.",
            show_default="crops",
            rich_help_panel=GALLERY,
        ),
    ] = None,
    gallery: opening.GalleryFolder = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
) -> None:
    """Write a trained model as ONNX, with its entry for the pipeline; or a gallery into one file.

    A model is compared with what PyTorch computes before it is written. People who are removed from
    a gallery later stay in the file.
    """
    of_model = {
        "--out": out,
        "--name": name,
        "--which": which,
        "--license": license,
        "--commercial-use": commercial_use,
        "--training-data": training_data,
    }
    if what.suffix.lower() in exchange.SUFFIXES:
        _refuse(of_model, f"{what} says that a gallery is exported", "a training run")
        exchange.export_gallery(
            ctx, what, crops=crops is None or crops, overwrite=overwrite, json=json
        )
        return
    if not what.exists():
        raise OptionError(
            f"{what}: expected the folder of a training run, or for a gallery a new file whose "
            f"name ends in {' or '.join(exchange.SUFFIXES)}"
        )
    of_gallery = {"--crops": crops, "--gallery": gallery}
    _refuse(of_gallery, f"{what} says that a training run is exported", "a gallery")
    from lineament.cli.training.export import export_run

    export_run(
        what,
        out=out,
        name=name,
        which="best" if which is None else which,
        license=license,
        commercial_use=commercial_use,
        training_data=training_data,
        overwrite=overwrite,
        json=json,
    )


def _refuse(given: Mapping[str, object], because: str, belongs: str) -> None:
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise OptionError(f"{', '.join(wrong)}: {because}; expected only with {belongs}")

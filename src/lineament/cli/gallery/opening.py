"""Which gallery a command is about, and the recognizer that its embeddings were made with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.errors import GalleryNotFoundError

if TYPE_CHECKING:
    from lineament.gallery import Gallery

ENVIRONMENT = "LINEAMENT_GALLERY"
DEFAULT_FOLDER = "gallery"

GalleryFolder = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        metavar="DIR",
        help="Folder of the gallery.",
        show_default=f"${ENVIRONMENT}, else ./{DEFAULT_FOLDER}",
    ),
]
KeepCrops = Annotated[
    bool | None,
    typer.Option(
        "--keep-crops/--no-keep-crops",
        help="Keep the aligned faces too, from now on: `show` and `migrate` then need no "
        "photographs.",
        show_default="as the gallery does; no-keep-crops in a new one",
    ),
]


def folder_from(values: Mapping[str, Any]) -> Path:
    """The folder that the option, or else the environment, names."""
    given = values.get("gallery")
    if given is not None:
        return Path(given)  # Typer's context has text where the command gets a path
    named = os.environ.get(ENVIRONMENT, "")
    return Path(named if named else DEFAULT_FOLDER)


@contextlib.contextmanager
def opened(values: Mapping[str, Any], *, read_only: bool = False) -> Iterator[Gallery]:
    """The gallery, without a recognizer."""
    from lineament.gallery import Gallery

    folder = _there(values)
    with Gallery.open(folder, read_only=read_only) as gallery:
        yield gallery


@contextlib.contextmanager
def opened_with_recognizer(
    values: Mapping[str, Any], *, read_only: bool = False
) -> Iterator[Gallery]:
    """The gallery, and the recognizer that it was made with, or that the options describe."""
    from lineament.gallery import Gallery

    folder = _there(values)
    made = options.recognizer_options(values)
    with Gallery.open(folder, read_only=read_only, recognizer=made) as gallery:
        yield gallery


@contextlib.contextmanager
def opened_or_made(values: Mapping[str, Any]) -> Iterator[Gallery]:
    """The same for writing; where there is none, a new one with the recognizer of the options."""
    from lineament.gallery import Gallery

    made = options.recognizer_options(values)
    with (
        Gallery.open_or_create(
            folder_from(values), recognizer=made, keep_crops=values.get("keep_crops")
        ) as gallery,
    ):
        yield gallery


def _there(values: Mapping[str, Any]) -> Path:
    from lineament.gallery import Gallery

    folder = folder_from(values)
    if not Gallery.exists(folder):
        raise GalleryNotFoundError(
            f"{folder}: there is no gallery: name its folder by --gallery or {ENVIRONMENT}; "
            "`lineament enroll` and `lineament enroll-folder` make one"
        )
    return folder

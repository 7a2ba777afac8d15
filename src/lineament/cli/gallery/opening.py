"""Which gallery a command is about, and the recognizer that its embeddings were made with."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.errors import (
    ContractError,
    GalleryError,
    GalleryNotFoundError,
    OptionError,
    UnknownWeightsError,
)

if TYPE_CHECKING:
    from lineament.gallery import Gallery
    from lineament.pipeline import Recognizer
    from lineament.types import Contract

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

_MODEL = ("preset", "recognizer", "model")
_DESCRIBED = ("input_size", "color_order", "mean", "scale")


def folder_from(values: Mapping[str, Any]) -> Path:
    """The folder that the option, or else the environment, names."""
    given = values.get("gallery")
    if given is not None:
        return Path(given)  # Typer's context has text where the command gets a path
    named = os.environ.get(ENVIRONMENT, "")
    return Path(named if named else DEFAULT_FOLDER)


def exists(folder: Path) -> bool:
    """Whether there is a gallery."""
    from lineament.gallery.store import DATABASE

    return (folder / DATABASE).exists()


@contextlib.contextmanager
def opened(values: Mapping[str, Any], *, read_only: bool = False) -> Iterator[Gallery]:
    """The gallery, without a recognizer."""
    from lineament.gallery import Gallery

    folder = _there(values)
    with told_for_the_terminal(), Gallery.open(folder, read_only=read_only) as gallery:
        yield gallery


@contextlib.contextmanager
def opened_with_recognizer(
    values: Mapping[str, Any], *, read_only: bool = False
) -> Iterator[Gallery]:
    """The gallery, and the recognizer that it was made with, or that the options describe."""
    from lineament.gallery import Gallery

    folder = _there(values)
    with told_for_the_terminal():
        parts = recognizer_of(folder, values)
        with Gallery.open(folder, read_only=read_only, recognizer=parts) as gallery:
            yield gallery


@contextlib.contextmanager
def opened_or_made(values: Mapping[str, Any]) -> Iterator[Gallery]:
    """The same for writing; where there is none, a new one with the recognizer of the options."""
    from lineament.gallery import Gallery, Settings

    folder = folder_from(values)
    keep_crops: bool | None = values.get("keep_crops")
    with told_for_the_terminal():
        if exists(folder):
            parts = recognizer_of(folder, values)
            gallery = Gallery.open(folder, recognizer=parts)
        else:
            parts = options.recognizer_from(values)
            _ = parts.calibration  # an error here leaves no empty gallery behind
            settings = Settings(keep_crops=bool(keep_crops))
            gallery = Gallery.create(folder, recognizer=parts, settings=settings)
        with gallery:
            if keep_crops is not None and keep_crops != gallery.settings.keep_crops:
                gallery.configure(keep_crops=keep_crops)
            yield gallery


def _there(values: Mapping[str, Any]) -> Path:
    folder = folder_from(values)
    if not exists(folder):
        raise GalleryNotFoundError(
            f"{folder}: there is no gallery: name its folder by --gallery or {ENVIRONMENT}; "
            "`lineament enroll` and `lineament enroll-folder` make one"
        )
    return folder


def recognizer_of(folder: Path, values: Mapping[str, Any]) -> Recognizer:
    """What embeds photos for an existing gallery: the options may not contradict it.

    Raises:
        ContractError: the options describe a recognizer that makes other embeddings.
        OptionError: the gallery was made with a network of somebody's own, which is not named.
    """
    from lineament.align.alignment import parse_alignment_name

    contract = contract_of(folder)
    given = dict(values)
    named = [name for name in (*_MODEL, *_DESCRIBED) if given.get(name) is not None]
    if not named:
        given["recognizer"] = contract.weights
    if given.get("flip") is None and given.get("preset") is None:
        given["flip"] = contract.flip
    if given.get("alignment") is None:
        given["alignment"] = parse_alignment_name(contract.alignment)[0]
    try:
        parts = options.recognizer_from(given)
    except UnknownWeightsError as error:
        if named:
            raise
        raise OptionError(
            f"{folder}: the embeddings of this gallery were made by {contract.weights!r}, which "
            "is none of the package's recognizers: name its file by --model FILE.onnx"
        ) from error
    made = parts.embedder.contract
    if made != contract:
        try:
            contract.check(made)
        except ContractError as error:
            raise ContractError(
                f"{folder}: the gallery holds embeddings of {contract.id}, and the options "
                f"describe {made.id}: leave out the options of the recognizer, name another "
                "gallery, or embed this one anew by `lineament migrate`"
            ) from error
    return parts


def contract_of(folder: Path) -> Contract:
    """The contract of the gallery there, without its index: milliseconds."""
    from lineament.gallery.opened import WAIT_S
    from lineament.gallery.store import Store

    store = Store.open(folder, read_only=True, wait_s=WAIT_S)
    try:
        return store.contract
    finally:
        store.close()


_WORDS = (
    (r"see people\(\) for the names", "`lineament people` lists the names"),
    (r"see person\(\) for the numbers", "`lineament show NAME` lists the numbers"),
    (r"run\s+reindex\(\)", "run `lineament reindex`"),
    (r"let migrate\(\)", "let `lineament migrate`"),
    (r", or wait longer \(wait_s\)$", ", or try again later"),
    (r", wait longer \(wait_s\)(, or open it read-only)?$", ", or try again later"),
)
"""What the library advises, and what that is called here."""


@contextlib.contextmanager
def told_for_the_terminal() -> Iterator[None]:
    """Put commands where messages of the gallery name methods."""
    try:
        yield
    except (GalleryError, ContractError) as error:
        text = str(error)
        for pattern, words in _WORDS:
            text = re.sub(pattern, words, text)
        if text == str(error):
            raise
        raise type(error)(text) from error

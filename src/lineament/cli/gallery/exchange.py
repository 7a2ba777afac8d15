"""A gallery into a file (part of ``lineament export``), and ``lineament import FILE``."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.gallery import opening
from lineament.cli.gallery.people import about_gallery, count
from lineament.cli.output import print_json, print_note
from lineament.errors import DataError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from lineament.types import Contract

SUFFIXES = (".jsonl", ".parquet")


def export_gallery(
    ctx: typer.Context, file: Path, *, crops: bool, overwrite: bool, json: bool
) -> None:
    """Write people and embeddings into one file. Removing somebody does not reach into it."""
    if not overwrite and file.exists():
        raise OptionError(f"{file}: exists already; name another file, or add --overwrite")
    with opening.opened(ctx.params, read_only=True) as opened:
        written = opened.export(file, crops=crops)
        about = about_gallery(opened)
    if json:
        print_json(about | {"out": str(file), "samples": written})
    else:
        print_note(f"wrote {count(written, 'embedding')} to {file}")


def import_command(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` wrote.")],
    gallery: opening.GalleryFolder = None,
    json: options.Json = False,
) -> None:
    """Add what `export` wrote, all or nothing; makes the gallery if there is none.

    What is known already is passed over, so importing twice is as good as once.
    """
    _check(file)
    from lineament.gallery import Gallery

    folder = opening.folder_from(ctx.params)
    made = not Gallery.exists(folder)
    with Gallery.create(folder, contract_in(file)) if made else Gallery.open(folder) as opened:
        report = opened.import_(file)
        about = about_gallery(opened)
    if json:
        print_json(about | {"imported": report.to_dict()})
        return
    print(
        f"{folder}: {count(report.new_people, 'new person', 'new people')}, "
        f"{count(report.new_samples, 'new embedding')}, {report.known_samples:,} known already"
    )


def _check(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")


def contract_in(path: Path) -> Contract:
    """The contract of an exported file; the rest of it is checked when it is imported.

    Raises:
        OptionError: the file cannot be read.
        DataError: it is no export.
    """
    from lineament.types import Contract

    head = _head_of_lines(path) if path.suffix.lower() == ".jsonl" else _head_of_parquet(path)
    try:
        return Contract(**head["contract"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected the export of a gallery, got something else") from error


def _head_of_lines(path: Path) -> Any:
    try:
        with path.open(encoding="utf-8") as file:
            return json_module.loads(file.readline())
    except OSError as error:
        raise OptionError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected the export of a gallery, got something else") from error


def _head_of_parquet(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingExtraError("Reading Parquet files", "parquet") from error
    try:
        with path.open("rb") as file:
            return json_module.loads((parquet.read_schema(file).metadata or {})[b"lineament"])
    except OSError as error:
        if isinstance(error, pyarrow.ArrowException):
            raise DataError(f"{path}: expected the export of a gallery, got {error}") from error
        raise OptionError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except (ValueError, KeyError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: expected the export of a gallery, got something else") from error

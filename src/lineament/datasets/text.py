"""Text files of data sets: UTF-8 or an error that names the file, the byte and the remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lineament.errors import DataError
from lineament.images import describe_source
from lineament.suggest import did_you_mean, similar_path

PUBLISHED: Final = "use the file that the data set publishes"
DOWNLOAD: Final = "download it again"
SAVE: Final = "save it as UTF-8"


@contextmanager
def reading(path: Path, remedy: str = SAVE) -> Iterator[None]:
    """Make a DataError of what goes wrong while a text file is read within.

    Args:
        path: of the file, for the message.
        remedy: what to do about text in another encoding.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{describe_source(path)}: expected a readable file, got: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{describe_source(path)}: expected text in UTF-8, got byte "
            f"{error.object[error.start]:#04x} at {error.start}; {remedy}"
        ) from error


def read_text(path: Path, remedy: str = SAVE) -> str:
    """The text of a file in UTF-8, without a byte order mark; raises as ``reading``."""
    with reading(path, remedy):
        return path.read_text(encoding="utf-8-sig")


def numbered_lines(text: str) -> list[tuple[int, str]]:
    """The lines that are not blank, stripped, each with its number from 1."""
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
    return [(number, line) for number, line in lines if line]


def read_lines(path: Path, remedy: str = PUBLISHED) -> list[tuple[int, str]]:
    """``numbered_lines`` of a file.

    Raises:
        DataError: it cannot be read, is no text, or has no lines.
    """
    lines = numbered_lines(read_text(path, remedy))
    if not lines:
        raise DataError(f"{path}: expected lines, found an empty file; download it again")
    return lines


def read_bytes(path: Path) -> bytes:
    """The file's bytes; DataError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        near = did_you_mean(None if path.exists() else similar_path(path, folders=False))
        raise DataError(f"{path}: expected a readable file, got: {error.strerror}{near}") from error


def existing(path: Path, where: str) -> Path:
    """The path itself; DataError that starts with ``where`` when there is no such file."""
    if not path.is_file():
        raise DataError(
            f"{where}: expected the photo {path}, found none; unpack all of the data set's "
            "photos, or use the list that belongs to them"
        )
    return path


def folder_of(folder: str | os.PathLike[str], what: str) -> Path:
    """The folder of a data set; DataError unless it is one."""
    root = Path(folder)
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        near = did_you_mean(similar_path(root, folders=True))
        raise DataError(f"{root}: expected the folder of {what}, found {found}{near}")
    return root

"""Text files of data sets: UTF-8 or an error that names the file, the byte and the remedy."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from lineament.errors import DataError
from lineament.files import open_regular, read_regular
from lineament.images import describe_source
from lineament.suggest import did_you_mean, similar_path

PUBLISHED: Final = "use the file that the data set publishes"
DOWNLOAD: Final = "download it again"
SAVE: Final = "save it as UTF-8"

MOST_BYTES: Final = 1 << 30
"""Of a list; those of the largest data sets have a tenth of it."""


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
        return (
            read_regular(path, at_most=MOST_BYTES)
            .decode("utf-8-sig")
            .replace("\r\n", "\n")
            .replace("\r", "\n")
        )


@contextmanager
def opened_text(path: Path, remedy: str = SAVE) -> Iterator[TextIO]:
    """A file in UTF-8 for ``csv``, without a byte order mark; raises as ``reading``."""
    with reading(path, remedy), open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise DataError(
                f"{describe_source(path)}: expected at most {MOST_BYTES:,} bytes of text, got "
                f"{size:,}"
            )
        with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            yield text


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
        return read_regular(path, at_most=MOST_BYTES)
    except OSError as error:
        near = did_you_mean(None if path.exists() else similar_path(path, folders=False))
        raise DataError(f"{path}: expected a readable file, got: {error.strerror}{near}") from error


def is_file(path: Path) -> bool:
    """Whether there is such a file; of a name that no file can have, too: there is none."""
    return os.path.isfile(path)  # noqa: PTH113  (the method raises for one that is too long)


def existing(path: Path, where: str) -> Path:
    """The path itself; DataError that starts with ``where`` when there is no such file."""
    if not is_file(path):
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

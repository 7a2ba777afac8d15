"""Arguments of the command line -> photos: files, folders, globs, URLs, stdin."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any

import click

from lineament.cli.output import print_note
from lineament.errors import ImageError, LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.images import PassedOver

STDIN = "-"
STDIN_NAME = "standard input"


class _Stdin(io.BytesIO):
    """What was piped in; the attribute is what messages and results call it."""

    name = STDIN_NAME


class Unreadable:
    """Stands for arguments that yield no photo: raises their error when it is read.

    So one wrong argument among many is reported in its place and does not stop the others.
    """

    def __init__(self, name: str, error: LineamentError) -> None:
        """``error``: what reading raises."""
        self.name = name
        self._error = error

    def read(self, _size: int = -1) -> bytes:
        """Raise the error."""
        raise self._error


def is_url(argument: str) -> bool:
    """Whether it is an address, or data, rather than a path."""
    from lineament.images import path_of

    return path_of(argument) is None


def read_stdin() -> IO[bytes]:
    """The photo that is piped in.

    Raises:
        ImageError: nothing is piped in, or it has too many bytes.
    """
    from lineament.images import DEFAULT_LIMITS
    from lineament.images.sources import read_bytes

    if sys.stdin is None or sys.stdin.isatty():
        raise ImageError(f"{STDIN_NAME}: expected a photo piped in, as in  cat a.jpg | ...")
    return _Stdin(read_bytes(sys.stdin.buffer, STDIN_NAME, DEFAULT_LIMITS))


def check_stdin(*arguments: str) -> None:
    """Raise OptionError when "-" stands twice."""
    if arguments.count(STDIN) > 1:
        raise OptionError('expected "-" once: standard input is one photo')


def one_source(argument: str) -> Any:
    """One photo: a path, a URL, or "-". OptionError: it is empty."""
    _refuse_empty(argument)
    return read_stdin() if argument == STDIN else argument


def _refuse_empty(argument: str) -> None:
    if not argument.strip():
        raise OptionError("expected the path of a photo, got an empty one")


def many_sources(arguments: Iterable[str]) -> list[Any]:
    """All photos that the arguments stand for, each path once, in their order.

    Raises:
        OptionError: "-" stands there twice.
    """
    from lineament.images import PassedOver, describe_source, list_images

    passed_over = PassedOver()
    found: dict[Any, None] = {}
    for argument in arguments:
        _refuse_empty(argument)
        try:
            if argument == STDIN:
                if any(isinstance(source, _Stdin) for source in found):
                    raise OptionError('expected "-" once: standard input is one photo')
                found[read_stdin()] = None
            elif is_url(argument):
                found[argument] = None
            else:
                listed = list_images(argument)
                found.update(dict.fromkeys(listed.paths))
                passed_over += listed.passed_over
                left_out = listed.passed_over
                for (folder, _), error in zip(left_out.unreadable, left_out.errors, strict=True):
                    found[Unreadable(describe_source(folder), error)] = None
        except ImageError as error:
            found[Unreadable(describe_source(argument), error)] = None
    say_not_looked_at(passed_over)
    return list(found)


_NOT_LOOKED_AT = "lineament.not_looked_at"


def say_not_looked_at(passed_over: PassedOver) -> None:
    """Say what folders held besides photos, and keep it for ``not_looked_at``."""
    context = click.get_current_context(silent=True)
    if context is not None:
        before = context.meta.get(_NOT_LOOKED_AT)
        context.meta[_NOT_LOOKED_AT] = passed_over if before is None else before + passed_over
    others = passed_over.links or passed_over.not_files or passed_over.unreadable
    if passed_over.suffixes or others:
        print_note(f"not looked at: {passed_over.in_words}")


def say_not_looked_at_in(*folders: str | os.PathLike[str]) -> None:
    """``say_not_looked_at`` of folders that the library searches by itself."""
    from lineament.images import PassedOver, passed_over_in

    say_not_looked_at(sum(map(passed_over_in, folders), PassedOver()))


def not_looked_at() -> dict[str, Any]:
    """For the command's JSON: what was said by ``say_not_looked_at``, counted."""
    from lineament.images import PassedOver

    context = click.get_current_context(silent=True)
    found = None if context is None else context.meta.get(_NOT_LOOKED_AT)
    return {"not_looked_at": (PassedOver() if found is None else found).to_dict()}


class FileNames:
    """Names for what is written about each photo: its own, made safe and unique."""

    def __init__(self) -> None:
        """No name is taken yet."""
        self._taken: set[str] = set()

    def stem(self, source_name: str) -> str:
        """A stem that no other photo of this run has; "a.jpg" and "b/a.png" -> "a", "a~2"."""
        if source_name.startswith("data"):
            source_name = "data"
        path = source_name.partition("?")[0].rstrip("/")
        plain = PurePath(path).stem if path != STDIN_NAME else "stdin"
        safe = "".join(c if c.isalnum() or c in "-_. ()+,~" else "_" for c in plain).strip(" .")
        safe = safe.encode()[:180].decode(errors="ignore")  # names have at most 255 bytes
        stem = safe = safe if safe else "photograph"
        number = 1
        while stem.casefold() in self._taken:  # file systems may not tell capitals apart
            number += 1
            stem = f"{safe}~{number}"
        self._taken.add(stem.casefold())
        return stem

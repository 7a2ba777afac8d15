"""Arguments of the command line -> photos: files, folders, globs, URLs, stdin."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import PurePath
from typing import IO, Any, cast

from lineament.errors import ImageError, LineamentError, OptionError

STDIN = "-"
STDIN_NAME = "standard input"


class NamedBytes(io.BytesIO):
    """Bytes of a photo that can be read again, under a name."""

    def __init__(self, data: bytes, name: str) -> None:
        """``name``: for messages and results."""
        super().__init__(data)
        self.name = name


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
    """Whether it is an address rather than a path."""
    return argument[:8].lower().startswith(("http://", "https://", "data:"))


def read_stdin() -> NamedBytes:
    """The photo that is piped in.

    Raises:
        ImageError: nothing is piped in, or it has too many bytes.
    """
    from lineament.images import DEFAULT_LIMITS
    from lineament.images.sources import read_bytes

    if sys.stdin is None or sys.stdin.isatty():
        raise ImageError(f"{STDIN_NAME}: expected a photo piped in, as in  cat a.jpg | ...")
    return NamedBytes(read_bytes(sys.stdin.buffer, STDIN_NAME, DEFAULT_LIMITS), STDIN_NAME)


def one_source(argument: str, *, again: bool = False) -> Any:
    """One photo.

    Args:
        argument: a path, a URL, or "-".
        again: whether it will be read twice: then what comes over the network is kept.
    """
    if argument == STDIN:
        return read_stdin()
    if again and is_url(argument):
        return kept(argument)
    return argument


def kept(argument: str) -> NamedBytes:
    """What lies at a URL, to be read more than once."""
    from lineament.images import DEFAULT_LIMITS, describe_source
    from lineament.images.sources import read_bytes

    name = describe_source(argument)
    return NamedBytes(read_bytes(argument, name, DEFAULT_LIMITS), name)


def readable_twice(source: Any) -> Any:
    """The same source; what comes over the network is fetched now and kept."""
    if not isinstance(source, str) or not is_url(source):
        return source
    try:
        return kept(source)
    except ImageError as error:
        from lineament.images import describe_source

        return Unreadable(describe_source(source), error)


def many_sources(arguments: Iterable[str]) -> list[Any]:
    """All photos that the arguments stand for, each path once, in their order.

    Raises:
        OptionError: "-" stands there twice.
    """
    from lineament.images import describe_source, find_images

    found: dict[Any, None] = {}
    for argument in arguments:
        try:
            if argument == STDIN:
                if any(isinstance(source, NamedBytes) for source in found):
                    raise OptionError('expected "-" once: standard input is one photo')
                found[read_stdin()] = None
            elif is_url(argument):
                found[argument] = None
            else:
                found.update(dict.fromkeys(find_images([argument])))
        except ImageError as error:
            found[Unreadable(describe_source(argument), error)] = None
    return list(found)


def load_again(source: Any) -> Any:
    """Decode a photo that was read before: RGB uint8 (H, W, 3)."""
    from lineament.images import load_image

    if isinstance(source, NamedBytes):
        source.seek(0)
        return load_image(cast("IO[bytes]", source))
    return load_image(source)


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

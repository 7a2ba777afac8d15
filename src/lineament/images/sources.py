"""Stage 1, first half: the bytes of a photo, wherever they are."""

from __future__ import annotations

import base64
import binascii
import errno
import glob
import os
import re
import select
import stat
import time
from collections.abc import Callable

from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    LineamentError,
)
from lineament.files import NotAFileError, check_regular, open_regular
from lineament.images.fetch import fetch
from lineament.images.limits import ImageLimits, too_many_bytes
from lineament.images.names import LONGEST_PATH, URL_SAFE, path_of_url, text_kind
from lineament.machine import raise_if_short
from lineament.suggest import did_you_mean, similar_path
from lineament.text import reason_of

ACCEPTED = (
    "a path, an address (http, https, file, data), base64 of a file, its bytes, a binary file "
    "object, a Pillow image, or an array or tensor of (H, W), (H, W, C) or (C, H, W)"
)
"""What one photo may be, for messages."""

_DESCRIPTOR = re.compile(r"/dev/stdin|/dev/fd/\d{1,9}|/proc/(?:self|\d{1,9})/fd/\d{1,9}")
"""Paths by which shells hand over pipes: ``< file``, ``<(command)``."""


def read_bytes(source: object, name: str, limits: ImageLimits) -> bytes:
    """The bytes of a path, a URL, base64, a bytes-like or a file object, within the limits."""
    if isinstance(source, str):
        kind = text_kind(source)
        if kind == "data":
            return _read_data_uri(source, name, limits)
        if kind == "base64":
            return _decoded("base64 text", source, name, limits)
        if kind == "http":
            return fetch(source, name, limits)
        if kind == "other":
            raise ImageError(
                f"{name}: expected a path or an http(s) address, and there is no file of that "
                "name; download it first"
            )
        if kind == "file" and len(source) <= LONGEST_PATH:
            return _read_path(path_of_url(source), name, limits)
        return _read_path(source, name, limits)
    if isinstance(source, os.PathLike):
        return _read_path(os.fsdecode(source), name, limits)
    if isinstance(source, (bytes, bytearray, memoryview)):
        if memoryview(source).nbytes > limits.max_bytes:
            raise too_many_bytes(name, limits)
        return bytes(source)
    try:
        read = getattr(source, "read", None)
        if read is None:
            raise ImageError(f"expected {ACCEPTED}, got {_unfit(source)}; convert it")
        return _read_stream(read, name, limits)
    except LineamentError:
        raise
    except Exception as error:  # of whatever it is: OSError, BadZipFile, ValueError when closed
        raise_if_short(error, f"to read {name}")
        raise ImageError(
            f"{name}: the file object cannot be read ({reason_of(error)}); reopen it"
        ) from error


def _unfit(source: object) -> str:
    """What a source is instead of a photo."""
    kind = type(source).__name__
    if isinstance(source, (list, tuple, set, frozenset)) or hasattr(source, "__next__"):
        return f"{kind}: several photos are for methods that take many"
    return kind


def _read_stream(
    read: Callable[[int], object], name: str, limits: ImageLimits, deadline: float | None = None
) -> bytes:
    data = bytearray()
    while len(data) <= limits.max_bytes:
        part = read(min(2**20, limits.max_bytes + 1 - len(data)))
        if not isinstance(part, (bytes, bytearray)):
            raise ImageError(
                f"{name}: expected a file object that gives bytes, it gives "
                f'{type(part).__name__}; open it with mode "rb"'
            )
        if not part:
            return bytes(data)
        data += part
    raise too_many_bytes(name, limits)


def _read_path(path: str, name: str, limits: ImageLimits) -> bytes:
    if not path:
        raise ImageNotFoundError("expected the path of a photo, got an empty text")
    if len(path) > LONGEST_PATH:
        raise ImageNotFoundError(f"{name}: no such file; its name is too long")
    try:
        if _DESCRIPTOR.fullmatch(path) is not None:
            return _read_descriptor(path, name, limits)
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limits.max_bytes:
                raise too_many_bytes(name, limits)
            return file.read(size)
    except LineamentError:
        raise
    except NotAFileError as error:
        if error.errno != errno.EISDIR:
            raise ImageError(
                f"{name}: {error.strerror}; give a file, or what comes out of a pipe as a file "
                "object"
            ) from error
        raise _folder_error(name) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageNotFoundError(f"{name}: no such file; {missing_hint(path)}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        if os.path.isdir(path):  # noqa: PTH112  (Windows says "permission denied" for a folder)
            raise _folder_error(name) from error
        raise ImageError(
            f"{name}: cannot be read ({reason_of(error)}); check the path and its rights"
        ) from error


def _folder_error(name: str) -> ImageError:
    return ImageError(
        f"{name}: expected a photo, got a folder",
        hint="; name the files in it, or give the folder alone where many photos are "
        "taken{or_find_images}",
    )


def _read_descriptor(path: str, name: str, limits: ImageLimits) -> bytes:
    """What a shell hands over: a pipe, or a file. It may take its time, but not for ever."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    handle = os.open(path, flags)
    try:
        if not stat.S_ISFIFO(os.fstat(handle).st_mode):
            check_regular(os.fstat(handle), path, inside=False)
        deadline = time.monotonic() + limits.url_timeout_s
        poll = select.poll()
        poll.register(handle, select.POLLIN)

        def read(n_bytes: int) -> bytes:
            rest_s = deadline - time.monotonic()
            if rest_s <= 0 or not poll.poll(1000 * rest_s):
                raise TimeoutError
            return os.read(handle, n_bytes)

        return _read_stream(read, name, limits, deadline)
    except TimeoutError as error:
        raise ImageError(
            f"{name}: not all of it came within {limits.url_timeout_s:g} s",
            hint="; write it to a file first{or_timeout}",
        ) from error
    finally:
        os.close(handle)


def missing_hint(path: str) -> str:
    """What to do about a path that does not exist."""
    if path == "-":
        return '"-" is standard input on the command line only: pass sys.stdin.buffer'
    if path.startswith("~"):
        return '"~" is not expanded here: pass os.path.expanduser of it'
    if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]", path):
        return "it is a path of Windows, and this is none: name it as it is mounted here"
    plain = path.rstrip("/\\")
    if plain != path and os.path.isfile(plain):  # noqa: PTH113
        return "without the slash at its end there is one"
    if glob.has_magic(path):
        return "a pattern stands for many photos only where it is given alone"
    return f"check the path{did_you_mean(similar_path(path))}"


def _read_data_uri(uri: str, name: str, limits: ImageLimits) -> bytes:
    comma = uri.find(",", 0, LONGEST_HEAD)
    if comma < 0 or not uri[:comma].lower().endswith(";base64"):
        raise ImageFormatError(f"{name}: expected data:image/...;base64,..., got another encoding")
    return _decoded("what follows the comma", uri, name, limits, start=comma + 1)


LONGEST_HEAD = 1000
"""Characters of a data URI before its comma."""

_BLANKS = b" \t\n\r\v\f"


def _decoded(what: str, text: str, name: str, limits: ImageLimits, start: int = 0) -> bytes:
    """The bytes of base64, which may be percent-encoded and have blanks in it.

    Args:
        what: it is, for a message.
        text: long ones are refused before anything is made of them.
        name: for messages.
        limits: on bytes.
        start: where it begins in the text.
    """
    if len(text) - start > 4 * (4 * limits.max_bytes // 3 + 4):  # each percent-encoded, with blanks
        raise too_many_bytes(name, limits)
    try:
        payload = text[start:].encode("ascii")
        if start and b"%" in payload:  # as quoted-printable has it, since that is quick
            payload = binascii.a2b_qp(payload.replace(b"=", b"%3D").replace(b"%", b"="))
        payload = payload.translate(URL_SAFE, _BLANKS)
        if len(payload) // 4 * 3 - payload[-2:].count(b"=") > limits.max_bytes:
            raise too_many_bytes(name, limits)
        return base64.b64decode(payload, validate=True)
    except LineamentError:
        raise
    except ValueError as error:
        raise ImageFormatError(
            f"{name}: {what} is not base64 ({error}); encode the file again"
        ) from error

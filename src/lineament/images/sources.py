"""Stage 1, first half: the bytes of a photo, wherever they are."""

from __future__ import annotations

import base64
import glob
import os
import re
import stat
from collections.abc import Callable

from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    LineamentError,
)
from lineament.images.fetch import fetch
from lineament.images.limits import ImageLimits, too_many_bytes
from lineament.images.names import URL_SAFE, path_of_url, text_kind
from lineament.suggest import did_you_mean, similar_path
from lineament.text import reason_of

ACCEPTED = (
    "a path, an address (http, https, file, data), base64 of a file, its bytes, a binary file "
    "object, a Pillow image, or an array or tensor of (H, W), (H, W, C) or (C, H, W)"
)
"""What one photo may be, for messages."""


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
        return _read_path(path_of_url(source) if kind == "file" else source, name, limits)
    if isinstance(source, os.PathLike):
        return _read_path(os.fsdecode(source), name, limits)
    if isinstance(source, (bytes, bytearray, memoryview)):
        if memoryview(source).nbytes > limits.max_bytes:
            raise too_many_bytes(name, limits)
        return bytes(source)
    read = getattr(source, "read", None)
    if read is None:
        raise ImageError(f"expected {ACCEPTED}, got {_unfit(source)}; convert it")
    try:
        return _read_stream(read, name, limits)
    except LineamentError:
        raise
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise ImageError(
            f"{name}: the file object cannot be read ({reason_of(error)}); reopen it"
        ) from error


def _unfit(source: object) -> str:
    """What a source is instead of a photo."""
    kind = type(source).__name__
    if isinstance(source, (list, tuple, set, frozenset)) or hasattr(source, "__next__"):
        return f"{kind}: several photos are for methods that take many"
    return kind


def _read_stream(read: Callable[[int], object], name: str, limits: ImageLimits) -> bytes:
    parts: list[bytes] = []
    total = 0
    while total <= limits.max_bytes:
        part = read(min(2**20, limits.max_bytes + 1 - total))
        if not isinstance(part, (bytes, bytearray)):
            raise ImageError(
                f"{name}: expected a file object that gives bytes, it gives "
                f'{type(part).__name__}; open it with mode "rb"'
            )
        if not part:
            return b"".join(parts)
        parts.append(bytes(part))
        total += len(part)
    raise too_many_bytes(name, limits)


def _read_path(path: str, name: str, limits: ImageLimits) -> bytes:
    if not path:
        raise ImageNotFoundError("expected the path of a photo, got an empty text")
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (faster than by way of a Path)
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):  # a pipe or a device
                return _read_stream(file.read, name, limits)
            if status.st_size > limits.max_bytes:
                raise too_many_bytes(name, limits)
            return file.read(status.st_size)
    except LineamentError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageNotFoundError(f"{name}: no such file; {missing_hint(path)}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        if os.path.isdir(path):  # noqa: PTH112  (Windows says "permission denied" for a folder)
            raise ImageError(
                f"{name}: expected a photo, got a folder",
                hint="; name the files in it, or give the folder alone where many photos are "
                "taken{or_find_images}",
            ) from error
        raise ImageError(
            f"{name}: cannot be read ({reason_of(error)}); check the path and its rights"
        ) from error


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
    head, comma, payload = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ImageFormatError(f"{name}: expected data:image/...;base64,..., got another encoding")
    if "%" in payload:
        from urllib.parse import unquote

        payload = unquote(payload)
    return _decoded("what follows the comma", payload, name, limits)


def _decoded(what: str, payload: str, name: str, limits: ImageLimits) -> bytes:
    payload = "".join(payload.split()).translate(URL_SAFE)
    if len(payload) // 4 * 3 - payload[-2:].count("=") > limits.max_bytes:
        raise too_many_bytes(name, limits)
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as error:
        raise ImageFormatError(
            f"{name}: {what} is not base64 ({error}); encode the file again"
        ) from error

"""Stage 1, first half: where photos come from, and their bytes."""

from __future__ import annotations

import base64
import glob
import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image as PILImage

from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    ImageTooLargeError,
    LineamentError,
    OptionError,
)

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
    | {".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"}
)
"""Suffixes, in lower case, by which ``find_images`` knows photos in a folder."""

MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """How much one photo may cost.

    Attributes:
        max_bytes: of the file. 64 MiB holds any JPEG that a camera writes.
        max_pixels: width times height. 120 million lets the 108-megapixel sensors of telephones
            pass; decoding takes about 7 bytes a pixel, thus 0.84 GB at the most. GIF and TIFF are
            held to ``PIL.Image.MAX_IMAGE_PIXELS`` too (89 million unless somebody changed it),
            because Pillow warns about bigger ones on its own.
        url_timeout_s: seconds for a URL in all: names, redirects, headers and body.

    Raises:
        OptionError: a limit that is not positive.
    """

    max_bytes: int = 64 * 2**20
    max_pixels: int = 120_000_000
    url_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        """Validate."""
        for name in ("max_bytes", "max_pixels", "url_timeout_s"):
            if not getattr(self, name) > 0:
                raise OptionError(f"expected more than 0, got {getattr(self, name)}", option=name)


DEFAULT_LIMITS = ImageLimits()


def describe_source(source: object) -> str:
    """Short name of a source for messages and results: never its bytes, password or query."""
    if isinstance(source, (str, os.PathLike)):
        text = os.fsdecode(source)
        scheme, separator, rest = text.partition("://")
        if text[:5].lower() == "data:":
            return "data URI"
        if isinstance(source, str) and separator and scheme.isalnum():
            address, query, _ = rest.partition("?")
            host, slash, path = address.partition("/")
            text = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}{query}" + "…" * bool(query)
        if not text.isprintable():
            text = "".join(c if c.isprintable() else "?" for c in text)
        return text if len(text) <= 200 else f"{text[:99]}…{text[-100:]}"
    if isinstance(source, (bytes, bytearray)):
        return f"{len(source):,} bytes"
    if isinstance(source, memoryview):
        return f"{source.nbytes:,} bytes"
    if isinstance(source, np.ndarray):
        return f"array {source.shape} {source.dtype}"
    file_name = getattr(source, "filename", None) or getattr(source, "name", None)
    if isinstance(file_name, str):
        return describe_source(file_name)
    if isinstance(source, PILImage.Image):
        return f"Pillow image {source.width} x {source.height} {source.mode}"
    return "file object" if hasattr(source, "read") else f"{type(source).__name__} object"


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The photos that paths, folders and glob patterns stand for, each once.

    A file is taken whatever its suffix; folders (searched recursively) and glob patterns (``**``
    too; a folder they match is searched) give the files with one of ``IMAGE_SUFFIXES``, sorted.
    Hidden files and folders are skipped. Links to folders are followed only where they are named.

    Raises:
        ImageNotFoundError: a path that does not exist, or a pattern that matches nothing.
        ImageError: a folder or pattern without photos, or a folder that cannot be listed.
    """
    found: dict[Path, None] = {}
    for entry in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        text, name = os.fspath(entry), describe_source(entry)
        # os.path, since the methods of Path raise for a name that is too long
        if os.path.isdir(text):  # noqa: PTH112
            images = _images_below(Path(text))
        elif os.path.exists(text):  # noqa: PTH110
            images = [Path(text)]
        elif glob.has_magic(text):
            matches = [Path(match) for match in glob.glob(text, recursive=True)]  # noqa: PTH207
            if not matches:
                raise ImageNotFoundError(f"{name}: the pattern matches nothing; check it")
            below = [image for match in matches if match.is_dir() for image in _images_below(match)]
            images = sorted({*below, *(match for match in matches if _is_image(match))})
        else:
            raise ImageNotFoundError(f"{name}: no such file or folder; check the path")
        if not images:
            raise ImageError(
                f"{name}: expected at least one photo ({', '.join(sorted(IMAGE_SUFFIXES))}), "
                "found none; name the folder that holds them"
            )
        found.update(dict.fromkeys(images))
    return list(found)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _images_below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise ImageError(
            f"{error.filename}: the folder cannot be listed ({error.strerror}); check its rights"
        ) from error

    images = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [child for child in folders if not child.startswith(".")]
        images += [Path(parent, file) for file in files if not file.startswith(".")]
    return sorted(path for path in images if _is_image(path))


def read_bytes(source: object, name: str, limits: ImageLimits) -> bytes:
    """The bytes of a path, a URL, a data URI, a bytes-like or a file object, within the limits."""
    if isinstance(source, str):
        start = source[:8].lower()
        if start.startswith("data:"):
            return _read_data_uri(source, name, limits)
        if start.startswith(("http://", "https://")):
            return _read_url(source, name, limits)
        scheme, separator, _ = source.partition("://")
        if separator and scheme.isalnum():
            raise ImageError(f"{name}: expected an http(s) URL or a path; download it first")
    if isinstance(source, (str, os.PathLike)):
        return _read_path(os.fsdecode(source), name, limits)
    if isinstance(source, (bytes, bytearray, memoryview)):
        if memoryview(source).nbytes > limits.max_bytes:
            _refuse_size(name, limits)
        return bytes(source)
    read = getattr(source, "read", None)
    if read is None:
        raise ImageError(
            "expected a path, a URL, bytes, a binary file object, a Pillow image or a NumPy array, "
            f"got {type(source).__name__}; convert it"
        )
    try:
        return _read_stream(read, name, limits)
    except LineamentError:
        raise
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise ImageError(f"{name}: the file object cannot be read ({error}); reopen it") from error


def _refuse_size(name: str, limits: ImageLimits) -> NoReturn:
    raise ImageTooLargeError(
        f"{name}: expected at most {limits.max_bytes:,} bytes, got more; make the photo "
        "smaller or raise max_bytes"
    )


def _read_stream(
    read: Callable[[int], object], name: str, limits: ImageLimits, deadline: float | None = None
) -> bytes:
    parts: list[bytes] = []
    total = 0
    while total <= limits.max_bytes:
        part = read(min(2**20, limits.max_bytes + 1 - total))
        if not isinstance(part, (bytes, bytearray)):
            raise ImageError(
                f"{name}: expected a file object that gives bytes, it gives "
                f'{type(part).__name__}; open it with mode "rb"'
            )
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError
        if not part:
            return b"".join(parts)
        parts.append(bytes(part))
        total += len(part)
    _refuse_size(name, limits)


def _read_path(path: str, name: str, limits: ImageLimits) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  (faster than by way of a Path)
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):  # a pipe or a device
                return _read_stream(file.read, name, limits)
            if status.st_size > limits.max_bytes:
                _refuse_size(name, limits)
            return file.read(status.st_size)
    except LineamentError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageNotFoundError(f"{name}: no such file; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        if os.path.isdir(path):  # noqa: PTH112  (Windows says "permission denied" for a folder)
            raise ImageError(
                f"{name}: expected a photo, got a folder; name the files in it, or let "
                "find_images list them"
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise ImageError(
            f"{name}: cannot be read ({reason}); check the path and its rights"
        ) from error


def _read_data_uri(uri: str, name: str, limits: ImageLimits) -> bytes:
    head, comma, payload = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ImageFormatError(f"{name}: expected data:image/...;base64,..., got another encoding")
    if "%" in payload:
        from urllib.parse import unquote

        payload = unquote(payload)
    payload = "".join(payload.split())
    if len(payload) // 4 * 3 - payload[-2:].count("=") > limits.max_bytes:
        _refuse_size(name, limits)
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as error:
        raise ImageFormatError(
            f"{name}: what follows the comma is not base64 ({error}); encode the file again"
        ) from error


def _read_url(url: str, name: str, limits: ImageLimits) -> bytes:
    """Fetch in a thread: neither looking up a name nor a dripping header heeds a socket timeout."""
    import threading

    outcome: list[bytes | Exception] = []

    def work() -> None:
        try:
            outcome.append(_fetch(url, name, limits))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=work, name="lineament-fetch", daemon=True)
    thread.start()
    thread.join(limits.url_timeout_s)
    result = outcome[0] if outcome else TimeoutError()
    if isinstance(result, bytes):
        return result
    if isinstance(result, LineamentError):
        raise result
    if isinstance(getattr(result, "reason", result), TimeoutError):
        raise ImageError(
            f"{name}: no complete answer within {limits.url_timeout_s:g} s; try again or raise "
            "url_timeout_s"
        ) from result
    reason = getattr(result, "reason", None) or str(result) or type(result).__name__
    raise ImageError(f"{name}: cannot be fetched ({reason}); check the address") from result


def _fetch(url: str, name: str, limits: ImageLimits) -> bytes:
    import string
    from urllib import parse, request
    from urllib.error import HTTPError

    class Redirects(request.HTTPRedirectHandler):
        max_redirections = MAX_REDIRECTS

        def redirect_request(self, *args: Any) -> request.Request | None:
            if parse.urlsplit(args[-1]).scheme not in ("http", "https"):
                return None  # the parent would follow ftp; None makes it an HTTPError
            return super().redirect_request(*args)

    opener = request.OpenerDirector()  # build_opener would add file, ftp and data
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        Redirects(),
    ):
        opener.add_handler(handler)
    if "@" in parse.urlsplit(url).netloc:
        raise ImageError(
            f"{name}: expected an address without user and password; download it first"
        )
    deadline = time.monotonic() + limits.url_timeout_s
    asked = request.Request(parse.quote(url, safe=string.punctuation))
    asked.add_header("User-Agent", "lineament")
    try:
        with opener.open(asked, timeout=limits.url_timeout_s) as answer:
            length = answer.headers.get("Content-Length", "")
            if length.isdecimal() and int(length) > limits.max_bytes:
                _refuse_size(name, limits)
            data = _read_stream(answer.read1, name, limits, deadline)
    except HTTPError as error:
        with error:
            if error.code in (404, 410):
                raise ImageNotFoundError(
                    f"{name}: the server answers {error.code} (not found); check the address"
                ) from error
            if 300 <= error.code < 400:
                raise ImageError(
                    f"{name}: expected at most {MAX_REDIRECTS} redirects, to http or https only; "
                    "give the final address"
                ) from error
            raise ImageError(
                f"{name}: the server answers {error.code} ({error.msg}); check the address"
            ) from error
    if length.isdecimal() and len(data) < int(length):
        raise ImageFormatError(
            f"{name}: expected {int(length):,} bytes, the connection ended after {len(data):,}; "
            "try again"
        )
    return data

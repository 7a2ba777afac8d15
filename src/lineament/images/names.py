"""Stage 1: what a text stands for - a path, an address, data - and what sources are called.

A text is a path when a file or folder of exactly that name exists, whatever it looks like. Else

    data:image/png;base64,...    is a data URI
    http://..., https://...      is fetched
    file:///home/me/a%20b.jpg    is the path that it encodes
    ftp://..., s3://...          is refused: only http and https are fetched
    /9j/4AAQSkZJRg...            the base64 of a picture's first bytes: is decoded
    anything else                is a path: "C://photos/a.jpg" and "C:\\photos\\a.jpg" too, since
                                 one letter before the colon is a drive, not a scheme
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import Literal

import numpy as np
from PIL import Image as PILImage

from lineament.images.formats import PLUGINS, sniff
from lineament.text import printable

TextKind = Literal["path", "file", "http", "data", "base64", "other"]
"""What ``text_kind`` tells apart; "file" is a file URL, "other" a URL that is not fetched."""

LONGEST_NAME = 200
"""Characters of a name in a message; the middle of longer ones is left out."""

LONGEST_PATH = 2**16
"""Characters; longer texts stand for no file, and are not shown to the system."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{1,40}):")
_BASE64 = re.compile(r"[A-Za-z0-9+/\-_\s]{96}[A-Za-z0-9+/\-_=\s]*")


URL_SAFE = bytes.maketrans(b"-_", b"+/")
"""Makes ordinary base64 of the one whose letters may stand in addresses."""


def text_kind(text: str) -> TextKind:
    """What a text stands for; see the module."""
    scheme = _SCHEME.match(text)
    if scheme is None:
        return "base64" if _is_base64(text) and not _exists(text) else "path"
    name, address = scheme[1].lower(), text.startswith("//", scheme.end())
    if not (address or name in ("data", "file")) or _exists(text):
        return "path"
    if name in ("data", "file"):
        return "data" if name == "data" else "file"
    return "http" if name in ("http", "https") else "other"


def _exists(text: str) -> bool:
    return len(text) <= LONGEST_PATH and os.path.exists(text)  # noqa: PTH110


def _is_base64(text: str) -> bool:
    """Whether it is the base64 of a picture, by its first bytes."""
    if len(text) < 128 or _BASE64.fullmatch(text, 0, 128) is None:
        return False
    try:
        head = base64.b64decode("".join(text[:96].split())[:64].encode().translate(URL_SAFE))
    except binascii.Error:
        return False
    return sniff(head) in PLUGINS


def path_of(source: str | os.PathLike[str]) -> str | None:
    """The path that a text or path stands for, as a text; None for an address or data."""
    text = os.fsdecode(source)
    if not isinstance(source, str):
        return text
    kind = text_kind(text)
    if kind == "file" and len(text) <= LONGEST_PATH:
        return path_of_url(text)
    return text if kind in ("path", "file") else None


def path_of_url(url: str) -> str:
    """The path of a file URL, which may be percent-encoded; "//server/share" keeps its server."""
    from urllib.parse import unquote_to_bytes

    rest = url.partition(":")[2]
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        rest = slash + path if host.lower() in ("", "localhost") else rest
    if os.name == "nt":
        rest = re.sub(r"^/+(?=[A-Za-z]:)", "", rest)
    decoded = os.fsdecode(unquote_to_bytes(os.fsencode(rest)))
    return rest if os.path.exists(rest) else decoded  # noqa: PTH110


def source_name(source: object) -> str:
    """What results, JSON and files call a source: for a file its true name, as it was given.

    ``os.path.exists(source_name(path))`` holds for whatever path could be read, names with control
    characters and bytes that are no UTF-8 (as ``os.fsdecode`` has them) among them. Of an address
    the user, password and query are left out, of data its bytes. To show it to a person, pass it
    through ``text.printable``; ``describe_source`` does.
    """
    try:
        return _name(source)
    except Exception:  # an object's own: it is said when it is read
        return f"{type(source).__name__} object"


def _name(source: object) -> str:
    if isinstance(source, str):
        kind = text_kind(source)
        if kind == "file":
            return path_of_url(source) if len(source) <= LONGEST_PATH else "file URL"
        if kind in ("http", "other"):
            scheme, _, rest = source.partition("://")
            address, query, _ = rest.partition("?")
            host, slash, path = address.partition("/")
            return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}{query}" + "…" * bool(query)
        if kind == "data":
            return "data URI"
        return "base64 text" if kind == "base64" else source
    if isinstance(source, os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, (bytes, bytearray)):
        return f"{len(source):,} bytes"
    if isinstance(source, memoryview):
        return f"{source.nbytes:,} bytes"
    if isinstance(source, np.ndarray):
        return f"array {source.shape} {source.dtype}"
    file_name = getattr(source, "filename", None) or getattr(source, "name", None)
    if isinstance(file_name, (str, bytes)) and file_name:
        return source_name(os.fsdecode(file_name))
    if isinstance(source, PILImage.Image):
        return f"Pillow image {source.width} x {source.height} {source.mode}"
    if hasattr(source, "read"):
        return "file object"
    shape, dtype = getattr(source, "shape", None), getattr(source, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{type(source).__name__} {tuple(shape)} {dtype}"
    return f"{type(source).__name__} object"


def describe_source(source: object) -> str:
    """``source_name`` for messages: printable, and of a long one the beginning and the end."""
    name = source_name(source)
    half = LONGEST_NAME // 2
    text = printable(name if len(name) <= LONGEST_PATH else f"{name[:half]}…{name[-half:]}")
    if len(text) <= LONGEST_NAME:
        return text
    return f"{text[: half - 1]}…{text[-half:]}"

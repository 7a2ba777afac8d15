"""JSON and TOML forms: read strictly by their types, written, described by a schema.

Forms are ``msgspec.Struct`` classes or dataclasses. What does not fit is refused with the place:
``weights.json: Expected `float` <= 1.0 - at `$.thresholds[0].fmr```.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from lineament.errors import DataError, LineamentError
from lineament.files import read_regular

T = TypeVar("T")

LARGEST_FILE = 256 << 20
"""Bytes that a file of JSON is read up to, where it is only asked what it is."""

_UNFIT = (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError)
"""What msgspec raises: for another form, for lone surrogates, for deep nesting."""


def decode(
    data: bytes | str,
    kind: type[T],
    *,
    what: str,
    error: type[LineamentError] = DataError,
    strict: bool = True,
) -> T:
    """Read JSON as ``kind``.

    Args:
        data: the text; as bytes in UTF-8.
        kind: of the value: a Struct, a dataclass, ``list[...]``, ``dict[...]``, ...
        what: names the file or value in the message.
        error: raised for text that is not JSON or does not fit.
        strict: False lets "1" pass for a number.

    Raises:
        error: with the reason and the place in the value.
    """
    try:
        value: T = read_json(data, kind, strict=strict)
        return value
    except _UNFIT as reason:
        raise error(f"{what}: {_printable(reason)}") from reason


def read_json(data: bytes | str, kind: Any = Any, *, strict: bool = True) -> Any:
    """``decode`` that raises msgspec's own errors.

    Names of files that are no UTF-8 stand in JSON as the escapes of lone surrogates, which msgspec
    refuses and Python's own reader takes.
    """
    try:
        return msgspec.json.decode(data, type=kind, strict=strict)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        try:
            text = data if isinstance(data, str) else bytes(data).decode()
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError("it is no text in UTF-8") from error
        if "\\ud" not in text.lower():
            raise
        try:
            import json  # here: importing models stays cheap

            value = json.loads(text)
        except ValueError as error:
            raise msgspec.DecodeError(str(error)) from error
        return msgspec.convert(value, kind, strict=strict)


def decode_toml(
    data: bytes | str, kind: type[T], *, what: str, error: type[LineamentError] = DataError
) -> T:
    """Read TOML as ``kind``; arguments and errors as ``decode``."""
    try:
        return msgspec.toml.decode(data, type=kind)
    except _UNFIT as reason:
        raise error(f"{what}: {_printable(reason)}") from reason


def convert(
    value: object, kind: type[T], *, what: str, error: type[LineamentError] = DataError
) -> T:
    """Make ``kind`` of plain values (dicts, lists, numbers); arguments and errors as ``decode``."""
    try:
        return msgspec.convert(value, kind)
    except _UNFIT as reason:
        raise error(f"{what}: {_printable(reason)}") from reason


def renamed(values: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """The values with new keys for old ones; an old key beside its new one stays, to be refused."""
    new = {old: name for old, name in names.items() if name not in values}
    return {new.get(key, key): value for key, value in values.items()}


KINDS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "a file of groups": lambda v: v.get("lineament") == "groups",
    "a plan of what is anonymized": lambda v: v.get("lineament") == "anonymize",
    "the export of a gallery": lambda v: v.get("lineament") == "gallery",
    "embeddings in JSON lines": lambda v: "contract" in v and v.get("lineament") == "embeddings",
    "a manifest of models": lambda v: "schema" in v and "weights" in v,
    "the card of a model": lambda v: {"sha256", "task", "name"} <= v.keys(),
    "a calibration": lambda v: {"points", "contract", "llr"} <= v.keys(),
    "the file of an ensemble": lambda v: {"members", "fusion"} <= v.keys(),
    "an error that --json printed": lambda v: {"error", "code", "hint"} <= v.keys(),
}
"""What the JSON files of this package are called, and how each is told from the others."""

_BYTES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a photo"),
    (b"\xff\xd8\xff", "a photo"),
    (b"GIF8", "a photo"),
    (b"PAR1", "a parquet file"),
    (b"PK\x03\x04", "a .npz or zip file"),
    (b"SQLite format 3\0", "a database, such as a gallery has"),
    (b"%PDF", "a PDF file"),
)


def kind_of(content: object) -> str | None:
    """Recognize a file that was given in the place of another one.

    Args:
        content: the file's bytes, or the value that its JSON holds.

    Returns:
        What it is, in words, such as "a file of groups"; None when that cannot be told.
    """
    if isinstance(content, bytes):
        for start, words in _BYTES:
            if content.startswith(start):
                return words
        if not content.strip():
            return "an empty file"
        try:
            content = msgspec.json.decode(content.split(b"\n", 1)[0])
        except (msgspec.DecodeError, RecursionError):
            return None
    if not isinstance(content, Mapping):
        return None
    return next((words for words, fits in KINDS.items() if fits(content)), None)


def kind_of_file(path: str | os.PathLike[str]) -> str | None:
    """``kind_of`` the file; None, too, when it cannot be read."""
    try:
        data = read_regular(path, at_most=LARGEST_FILE)
    except (OSError, ValueError):
        return None
    try:
        return kind_of(msgspec.json.decode(data))
    except (msgspec.DecodeError, RecursionError):
        return kind_of(data)


def plain(value: object) -> Any:
    """Dicts, lists, numbers and text of a form, ready for JSON; paths become text."""
    return msgspec.to_builtins(value, enc_hook=_plain)


def encode(value: object, *, indent: int = 1) -> bytes:
    """JSON in UTF-8 with a newline at its end; ``indent`` 0: on one line."""
    try:
        text = msgspec.json.encode(value, enc_hook=_plain)
    except UnicodeEncodeError:  # a file's name that is no UTF-8: as an escape
        import json

        return json.dumps(plain(value), indent=indent or None).encode() + b"\n"
    return (msgspec.json.format(text, indent=indent) if indent else text) + b"\n"


def schema(kind: Any) -> dict[str, Any]:
    """The JSON schema (2020-12) of a form."""
    return msgspec.json.schema(kind)


def _plain(value: object) -> object:
    """NumPy's numbers and arrays, and paths."""
    to_list = getattr(value, "tolist", None)
    if to_list is not None:
        return to_list()
    return str(value)


def _printable(reason: Exception) -> str:
    """What an error says, short, and without control characters that a file may have brought."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(reason))
    return text if len(text) <= 400 else f"{text[:397]}..."

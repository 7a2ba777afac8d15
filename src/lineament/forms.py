"""JSON and TOML forms: read strictly by their types, written, described by a schema.

Forms are ``msgspec.Struct`` classes or dataclasses. What does not fit is refused with the place:
``weights.json: Expected `float` <= 1.0 - at `$.thresholds[0].fmr```.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from lineament.errors import DataError, LineamentError

T = TypeVar("T")


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
        return msgspec.json.decode(data, type=kind, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as reason:
        raise error(f"{what}: {_printable(reason)}") from reason


def decode_toml(
    data: bytes | str, kind: type[T], *, what: str, error: type[LineamentError] = DataError
) -> T:
    """Read TOML as ``kind``; arguments and errors as ``decode``."""
    try:
        return msgspec.toml.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as reason:
        raise error(f"{what}: {_printable(reason)}") from reason


def convert(
    value: object, kind: type[T], *, what: str, error: type[LineamentError] = DataError
) -> T:
    """Make ``kind`` of plain values (dicts, lists, numbers); arguments and errors as ``decode``."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as reason:
        raise error(f"{what}: {_printable(reason)}") from reason


def renamed(values: Mapping[str, T], names: Mapping[str, str]) -> dict[str, T]:
    """The values with new keys for old ones; an old key beside its new one stays, to be refused."""
    new = {old: name for old, name in names.items() if name not in values}
    return {new.get(key, key): value for key, value in values.items()}


def plain(value: object) -> Any:
    """Dicts, lists, numbers and text of a form, ready for JSON; paths become text."""
    return msgspec.to_builtins(value, enc_hook=_plain)


def encode(value: object, *, indent: int = 1) -> bytes:
    """JSON in UTF-8 with a newline at its end; ``indent`` 0: on one line."""
    text = msgspec.json.encode(value, enc_hook=_plain)
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

"""Tables of options: dataclasses whose fields say which values each key may have.

    epochs: int = option(20, "times that every photo is seen", ge=1)

msgspec converts and checks the values; the messages name table, key, and what was expected.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from lineament.errors import OptionError

T = TypeVar("T")

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def option(default: Any, about: str, **limits: Any) -> Any:
    """A key of a table.

    Args:
        default: its value; of a dict a copy.
        about: what it means, in a few words.
        limits: ``ge``, ``gt``, ``le``, ``lt``, as ``msgspec.Meta`` has them.
    """
    meta = {"meta": msgspec.Meta(description=about, **limits)}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=meta)
    return dataclasses.field(default=default, metadata=meta)


def kinds(table: Any) -> dict[str, Any]:
    """The type of each key of a table, ``Annotated`` with its limits."""
    hints = get_type_hints(table)
    return {
        key.name: Annotated[hints[key.name], key.metadata["meta"]]
        if key.metadata
        else hints[key.name]
        for key in dataclasses.fields(table)
    }


def read_table(name: str, kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a table of plain values.

    Args:
        name: of the table, for messages.
        kind: its dataclass.
        values: as TOML has them: lists for tuples, whole numbers for any.

    Raises:
        OptionError: an unknown key, or a value that its key cannot have.
    """
    known = kinds(kind)
    for key in values:
        if key not in known:
            raise OptionError(unknown(key, list(known), "key"), option=f"{name}.{key}")
    return kind(**{key: checked(f"{name}.{key}", v, known[key]) for key, v in values.items()})


def check_table(name: str, table: Any) -> None:
    """Check every value of a table that exists; raises as ``read_table``."""
    for key, kind in kinds(type(table)).items():
        checked(f"{name}.{key}", getattr(table, key), kind)


def checked(place: str, value: Any, kind: Any) -> Any:
    """``value`` as ``kind``; OptionError unless it may be one."""
    for number in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise OptionError(f"expected a finite number, got {number}", option=place)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        bare = _bare(kind)[0]
        near = _near(str(value), get_args(bare)) if get_origin(bare) is Literal else ""
        raise OptionError(
            f"expected {_expected(kind)}, got {value!r}{near}", option=place
        ) from error


def unknown(name: str, known: Sequence[str], what: str) -> str:
    """The message for a name that does not exist, with those that do."""
    return f"there is no such {what}; expected one of {', '.join(known)}{_near(name, known)}"


def lines(table: type) -> list[str]:
    """For an example: each key with its default, and what it means in a comment."""
    found = []
    for key in dataclasses.fields(table):
        kind, meta = _bare(kinds(table)[key.name])
        words = [meta.description] if meta is not None and meta.description else []
        if get_origin(kind) is Literal:
            words.append(" | ".join(get_args(kind)))
        default = {} if key.default is dataclasses.MISSING else key.default
        line = f"{key.name} = {json.dumps(default)}"  # of these, JSON and TOML have the same text
        found.append(f"{line:<26}  # {': '.join(words)}" if words else line)
    return found


def parse_value(text: str) -> Any:
    """The TOML value that ``text`` is; where it is none, the text itself: ``arcface``."""
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return found["value"] if list(found) == ["value"] else text


def _bare(kind: Any) -> tuple[Any, msgspec.Meta | None]:
    if get_origin(kind) is Annotated:
        bare, meta = get_args(kind)[:2]
        return bare, meta
    return kind, None


def _expected(kind: Any) -> str:
    bare, meta = _bare(kind)
    if get_origin(bare) is Literal:
        return f"one of {', '.join(get_args(bare))}"
    if get_origin(bare) is tuple:
        return f"a list of {_WORDS[get_args(bare)[0]].removeprefix('a ')}"
    if get_origin(bare) is dict:
        return "a table, { name = value }"
    words = _WORDS[bare]
    if meta is None:
        return words
    if meta.ge is not None and meta.le is not None:
        return f"{words} from {meta.ge:g} to {meta.le:g}"
    limits = {"at least": meta.ge, "above": meta.gt, "at most": meta.le, "less than": meta.lt}
    return ", ".join(
        [words, *(f"{w} {limit:g}" for w, limit in limits.items() if limit is not None)]
    )


def _near(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=2)
    return f"; did you mean {' or '.join(close)}?" if close else ""

"""KEY=VALUE on the command line -> metadata, and filters of metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lineament.errors import OptionError

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Metadata of the person; may be repeated."),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help="Only people with such metadata: 'building=B', 'age>=18', 'groups~night'; may be "
        "repeated, and then all have to hold.",
    ),
]

_FILTER = re.compile(r"([^=!<>~]+)(!=|<=|>=|=|<|>|~)(.*)", re.DOTALL)
_LAYOUT = "KEY=VALUE, KEY!=VALUE, <, <=, >, >= or KEY~VALUE (a list that holds it)"


def metadata_from(given: Sequence[str] | None, option: str = "--set") -> dict[str, Any]:
    """Metadata by name; JSON where the value is JSON, otherwise text.

    Raises:
        OptionError: there is no "=", or a key comes twice.
    """
    found: dict[str, Any] = {}
    for text in [] if given is None else given:
        key, sign, value = text.partition("=")
        key = key.strip()
        if not sign or not key:
            raise OptionError(f"{option}: expected KEY=VALUE, got {text!r}")
        if key in found:
            raise OptionError(f"{option}: expected each key once, got {key!r} twice")
        found[key] = value_from(value)
    return found


def value_from(text: str) -> Any:
    """What stands behind the sign: JSON where it is JSON, otherwise the text itself."""

    def refuse(name: str) -> Any:  # NaN and Infinity are words here
        raise ValueError(name)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text


def filter_from(given: Sequence[str] | None) -> dict[str, Any] | None:
    """A filter as ``lineament.gallery.filters`` takes it; None without any.

    Raises:
        OptionError: an entry that cannot be read, or two that cannot be joined.
    """
    if not given:
        return None
    found: dict[str, Any] = {}
    for text in given:
        match = _FILTER.fullmatch(text)
        if match is None:
            raise OptionError(f"--where: expected {_LAYOUT}, got {text!r}")
        key, sign, value = match[1].strip(), match[2], value_from(match[3])
        if not key:
            raise OptionError(f"--where: expected {_LAYOUT}, got {text!r}")
        plain = sign == "=" and (value is None or isinstance(value, list))
        if plain and key not in found:
            found[key] = value  # one of a list, or absent: these stand alone
            continue
        name = "has" if sign == "~" else sign
        there = found.setdefault(key, {})
        if plain or not isinstance(there, dict) or name in there:
            raise OptionError(
                f"--where: {key!r} comes twice in a way that cannot be joined; one of several "
                f'values is \'{key}=["A", "B"]\''
            )
        there[name] = value
    return found

"""Metadata filters: which people a search is among.

A filter is a mapping; all of its entries have to hold:

    {"building": "B"}                     equal; None: the key is absent, or null
    {"building": ["B", "C"]}              one of these
    {"age": {">=": 18, "<": 65}}          comparisons: = != < <= > >=; none holds for an absent key
    {"groups": {"has": "night shift"}}    the value is a list that holds this

Values are text, numbers, true and false. Text equals text only, never a number; numbers of any size
are compared as exactly as they are written. Keys and text are compared in Unicode's normal form
NFC, and text is ordered by its characters' code points.

``parse_filter`` reads one from texts such as "building=B", "age>=18", "groups~night shift", as a
command line or a query string has them.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from lineament.errors import OptionError
from lineament.text import in_short

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_ENTRY = re.compile(r"([^=!<>~]+)(!=|<=|>=|=|<|>|~)(.*)", re.DOTALL)
_LAYOUT = "KEY=VALUE, KEY!=VALUE, <, <=, >, >= or KEY~VALUE (a list that holds it)"
_MOST_IN_WORDS = 12
"""Entries of a filter, and values of a list, that a message names."""

Fits = Callable[[Mapping[str, Any]], bool]
"""Whether somebody with such metadata is among those searched."""
_Test = Callable[[Any], bool]
_Plain = tuple[str, Any]
"""The kind of a value, and the value: "text", "number" or "truth"."""


def predicate(where: Mapping[str, Any]) -> Fits:
    """A filter as a function of somebody's metadata, which may hold anything that JSON holds.

    Args:
        where: the filter; any number of entries, lists of any length.

    Raises:
        OptionError: it is no such mapping; the message names the entry.
    """
    tests = [
        (normal(name), test) for name, wanted in _entries(where) for test in _tests(name, wanted)
    ]

    def fits(metadata: Mapping[str, Any]) -> bool:
        if not all(map(str.isascii, metadata)):
            metadata = {normal(name): value for name, value in metadata.items()}
        return all(test(metadata.get(name)) for name, test in tests)

    return fits


def normal(text: str) -> str:
    """The form in which keys and text are compared: NFC, of all but very long ones."""
    # It takes time with the square of the marks on one letter: 4 s for 64,000 of them.
    return text if text.isascii() or len(text) > 1000 else unicodedata.normalize("NFC", text)


def _entries(where: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    if not isinstance(where, Mapping):
        raise OptionError(
            f"expected a mapping of names to values, got {in_short(where)}", option="where"
        )
    for name, wanted in where.items():
        if not isinstance(name, str) or not name:
            raise OptionError(f"expected names of metadata, got {in_short(name)}", option="where")
        yield name, wanted


def _tests(name: str, wanted: Any) -> list[_Test]:
    """What a value has to pass; None stands for an absent one."""
    if isinstance(wanted, Mapping):
        if not wanted:
            raise OptionError(f"{in_short(name)}: expected a comparison, got none", option="where")
        return [_compared(name, sign, value) for sign, value in wanted.items()]
    if isinstance(wanted, (list, tuple, set, frozenset)):
        choices = {_typed(value, name) for value in wanted}
        return [lambda value: _plain(value) in choices]
    if wanted is None:
        return [lambda value: value is None]
    one = _typed(wanted, name)
    return [lambda value: _plain(value) == one]


def _compared(name: str, sign: Any, wanted: Any) -> _Test:
    holds = COMPARISONS.get(sign) if isinstance(sign, str) else None
    if holds is not None:
        kind, right = _typed(wanted, name)

        def test(value: Any) -> bool:
            left = _plain(value)
            return left is not None and left[0] == kind and holds(left[1], right)

        return test
    if sign != "has":
        raise OptionError(
            f"{in_short(name)}: expected one of {', '.join(COMPARISONS)} or has, got "
            f"{in_short(sign)}",
            option="where",
        )
    one = _typed(wanted, name)
    return lambda value: isinstance(value, list) and any(_plain(each) == one for each in value)


def _plain(value: Any) -> _Plain | None:
    """Numbers are one kind, true and false another, text a third; None for everything else."""
    if isinstance(value, bool):
        return "truth", value
    if isinstance(value, (int, float)):
        return "number", value
    return ("text", normal(value)) if isinstance(value, str) else None


def _typed(value: Any, name: str) -> _Plain:
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(
            f"{in_short(name)}: expected a finite number, got {value}", option="where"
        )
    found = _plain(value)
    if found is None:
        raise OptionError(
            f"{in_short(name)}: expected text, a number, true or false, got {in_short(value)}",
            option="where",
        )
    return found


def in_words(where: Mapping[str, Any]) -> str:
    """A filter as ``parse_filter`` reads it, "building=B and age>=18"; a long one in short."""
    parts = []
    for name, wanted in where.items():
        key = in_short(name, 200, quoted=False)
        if isinstance(wanted, Mapping):
            signs = {"has": "~"}
            parts += [
                f"{key}{signs.get(sign, sign)}{_in_words(one)}" for sign, one in wanted.items()
            ]
        else:
            parts.append(f"{key}={_in_words(wanted)}")
    left = len(parts) - _MOST_IN_WORDS
    more = [f"{left:,} more"] if left > 0 else []
    return " and ".join([*parts[:_MOST_IN_WORDS], *more])


def _in_words(one: Any) -> str:
    if isinstance(one, str):
        short = in_short(one, 200, quoted=False)
        return short if parse_value(one) == one else json.dumps(short, ensure_ascii=False)
    if isinstance(one, (list, tuple, set, frozenset)):
        values = [_quoted(value) for value in islice(one, _MOST_IN_WORDS)]
        if isinstance(one, (set, frozenset)):
            values.sort()
        left = len(one) - len(values)
        return f"[{', '.join(values)}{f' and {left:,} more' if left else ''}]"
    return _quoted(one)


def _quoted(one: Any) -> str:
    if isinstance(one, str):
        return json.dumps(in_short(one, 200, quoted=False), ensure_ascii=False)
    if one is None or isinstance(one, bool):
        return json.dumps(one)
    return in_short(one)


def key(where: Mapping[str, Any]) -> bytes:
    """32 bytes, the same for the same filter. OptionError: it is none."""

    def typed(value: Any, name: str) -> _Plain:
        kind, found = _typed(value, name)
        return kind, hex(found) if isinstance(found, int) else found  # of any number of digits

    def plain(wanted: Any, name: str) -> Any:
        if isinstance(wanted, Mapping):
            return [(in_short(sign), typed(value, name)) for sign, value in wanted.items()]
        if isinstance(wanted, (list, tuple, set, frozenset)):
            return [typed(value, name) for value in wanted]
        return None if wanted is None else typed(wanted, name)

    text = repr([(name, plain(wanted, name)) for name, wanted in _entries(where)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


# --- from text ------------------------------------------------------------------------------------


def parse_filter(entries: Sequence[str] | None, option: str = "where") -> dict[str, Any] | None:
    """Read a filter from texts; None without any.

    Args:
        entries: such as "building=B", "age>=18" (several of one key are joined), "groups~night".
        option: named in messages.

    Raises:
        OptionError: an entry that cannot be read, or two that cannot be joined.

    Examples:
        >>> parse_filter(["age>=18", "age<65", "groups~night"])
        {'age': {'>=': 18, '<': 65}, 'groups': {'has': 'night'}}
    """
    if not entries:
        return None
    found: dict[str, Any] = {}
    for text in entries:
        match = _ENTRY.fullmatch(text)
        name = "" if match is None else match[1].strip()
        if match is None or not name:
            raise OptionError(f"expected {_LAYOUT}, got {in_short(text, 200)}", option=option)
        sign, value = match[2], parse_value(match[3])
        alone = sign == "=" and (value is None or isinstance(value, list))
        if alone and name not in found:
            found[name] = value  # one of a list, or absent: these cannot be joined
            continue
        comparison = "has" if sign == "~" else sign
        there = found.setdefault(name, {})
        if alone or not isinstance(there, dict) or comparison in there:
            raise OptionError(
                f"{in_short(name)} comes twice in a way that cannot be joined; one of several "
                f'values is \'{in_short(name, quoted=False)}=["A", "B"]\'',
                option=option,
            )
        there[comparison] = value
    return found


def parse_metadata(entries: Sequence[str] | None, option: str = "set") -> dict[str, Any]:
    """Read metadata from texts KEY=VALUE; values as ``parse_value``.

    Raises:
        OptionError: there is no "=", or a key comes twice.

    Examples:
        >>> parse_metadata(["building=B", "age=42"])
        {'building': 'B', 'age': 42}
    """
    found: dict[str, Any] = {}
    for text in entries if entries is not None else ():
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign or not name:
            raise OptionError(f"expected KEY=VALUE, got {in_short(text, 200)}", option=option)
        if name in found:
            raise OptionError(f"expected each key once, got {in_short(name)} twice", option=option)
        found[name] = parse_value(value)
    return found


def parse_value(text: str) -> Any:
    """Read a value: JSON where it is JSON, otherwise the text itself ("NaN" is text, too)."""

    def refuse(name: str) -> Any:
        raise ValueError(name)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text

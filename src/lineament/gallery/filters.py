"""Metadata filters: which people a search is among.

A filter is a mapping; all of its entries have to hold:

    {"building": "B"}                     equal; None: the key is absent, or null
    {"building": ["B", "C"]}              one of these
    {"age": {">=": 18, "<": 65}}          comparisons: = != < <= > >=; none holds for an absent key
    {"groups": {"has": "night shift"}}    the value is a list that holds this

Values are text, numbers, true and false. Text equals text only, never a number.

``parse_filter`` reads one from texts such as "building=B", "age>=18", "groups~night shift", as a
command line or a query string has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lineament.errors import OptionError

COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")

_ENTRY = re.compile(r"([^=!<>~]+)(!=|<=|>=|=|<|>|~)(.*)", re.DOTALL)
_LAYOUT = "KEY=VALUE, KEY!=VALUE, <, <=, >, >= or KEY~VALUE (a list that holds it)"


def condition(where: Mapping[str, Any], column: str) -> tuple[str, list[Any]]:
    """A filter as SQL.

    Args:
        where: the filter.
        column: that holds the metadata as JSON.

    Returns:
        A condition, and the values of its parameters.

    Raises:
        OptionError: it is no such mapping.
    """
    if not isinstance(where, Mapping):
        raise OptionError(
            f"expected a mapping of names to values, got {where!r:.80}", option="where"
        )
    parts: list[str] = ["1"]
    values: list[Any] = []
    for name, wanted in where.items():
        if not isinstance(name, str) or not name:
            raise OptionError(f"expected names of metadata, got {name!r}", option="where")
        # By the key itself: SQLite's JSON paths have no way to quote every name.
        found = f"(SELECT {{}} FROM json_each({column}) e WHERE e.key = ?)"
        if isinstance(wanted, Mapping):
            if not wanted:
                raise OptionError(f"{name}: expected a comparison, got none", option="where")
            for sign, value in wanted.items():
                if sign in COMPARISONS:
                    parts.append(found.format(f"e.value {sign} ? AND {_type('e')} = ?"))
                    values += [*_typed(value, name), name]
                elif sign == "has":
                    inner = (
                        "EXISTS (SELECT 1 FROM json_each(e.value) h WHERE h.value = ? AND "
                        f"{_type('h')} = ?)"
                    )
                    parts.append(found.format(f"e.type = 'array' AND {inner}"))
                    values += [*_typed(value, name), name]
                else:
                    raise OptionError(
                        f"{name}: expected one of {', '.join(COMPARISONS)} or has, got {sign!r}",
                        option="where",
                    )
        elif isinstance(wanted, (list, tuple, set, frozenset)):
            choices = list(wanted)
            each = " OR ".join([f"(e.value = ? AND {_type('e')} = ?)"] * len(choices))
            parts.append(found.format(each) if choices else "0")
            for value in choices:
                values += _typed(value, name)
            values += [name] if choices else []
        elif wanted is None:
            absent = (
                f"EXISTS (SELECT 1 FROM json_each({column}) e WHERE e.key = ? AND e.type <> 'null')"
            )
            parts.append(f"NOT {absent}")
            values.append(name)
        else:
            parts.append(found.format(f"e.value = ? AND {_type('e')} = ?"))
            values += [*_typed(wanted, name), name]
    return " AND ".join(parts), values


def in_words(where: Mapping[str, Any]) -> str:
    """A filter as ``parse_filter`` reads it: "building=B and age>=18"."""

    def value(one: Any) -> str:
        text = one if isinstance(one, str) else None
        if text is not None and parse_value(text) == text:
            return text
        if isinstance(one, (set, frozenset)):
            one = sorted(one, key=repr)
        return json.dumps(one, ensure_ascii=False, default=repr)

    parts = []
    for name, wanted in where.items():
        if isinstance(wanted, Mapping):
            signs = {"has": "~"}
            parts += [f"{name}{signs.get(sign, sign)}{value(one)}" for sign, one in wanted.items()]
        else:
            parts.append(f"{name}={value(wanted)}")
    return " and ".join(parts)


def key(where: Mapping[str, Any]) -> str:
    """The same text for the same filter."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(k): plain(v) for k, v in value.items()}
        return sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else value

    return json.dumps(plain(where), sort_keys=True, default=repr)


def _type(alias: str) -> str:
    """Numbers are one type, true and false another, text a third."""
    return (
        f"CASE {alias}.type WHEN 'integer' THEN 'number' WHEN 'real' THEN 'number' "
        f"WHEN 'true' THEN 'truth' WHEN 'false' THEN 'truth' ELSE {alias}.type END"
    )


def _typed(value: Any, name: str) -> list[Any]:
    if isinstance(value, bool):
        return [int(value), "truth"]
    if isinstance(value, (int, float)):
        return [value, "number"]
    if isinstance(value, str):
        return [value, "text"]
    raise OptionError(
        f"{name}: expected text, a number, true or false, got {value!r:.60}", option="where"
    )


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
            raise OptionError(f"expected {_LAYOUT}, got {text!r}", option=option)
        sign, value = match[2], parse_value(match[3])
        alone = sign == "=" and (value is None or isinstance(value, list))
        if alone and name not in found:
            found[name] = value  # one of a list, or absent: these cannot be joined
            continue
        comparison = "has" if sign == "~" else sign
        there = found.setdefault(name, {})
        if alone or not isinstance(there, dict) or comparison in there:
            raise OptionError(
                f"{name!r} comes twice in a way that cannot be joined; one of several "
                f'values is \'{name}=["A", "B"]\'',
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
            raise OptionError(f"expected KEY=VALUE, got {text!r}", option=option)
        if name in found:
            raise OptionError(f"expected each key once, got {name!r} twice", option=option)
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

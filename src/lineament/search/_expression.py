"""Metadata filters in Milvus's language; the same filters as ``lineament.gallery.filters``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lineament.errors import OptionError

COMPARISONS = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

NOTHING = "id < 0"
"""Holds for no vector: ids are 0 or more."""


def among(ids: Iterable[int]) -> str:
    """The vectors of these ids."""
    return f"id in [{','.join(map(str, ids))}]"


def expression(where: Mapping[str, Any], field: str = "metadata") -> str:
    """A filter as an expression over the JSON field ``field``; "" when it has no entries.

    Raises:
        OptionError: it is no such mapping.
    """
    if not isinstance(where, Mapping):
        raise OptionError(
            f"expected a mapping of names to values, got {where!r:.80}", option="where"
        )
    return " and ".join(
        part for name, wanted in where.items() for part in _parts(name, wanted, field)
    )


def _parts(name: str, wanted: Any, field: str) -> list[str]:
    if not isinstance(name, str) or not name:
        raise OptionError(f"expected names of metadata, got {name!r}", option="where")
    if not name.isprintable():
        raise OptionError(f"expected names that can be printed, got {name!r}", option="where")
    found = f"{field}[{json.dumps(name, ensure_ascii=False)}]"
    if isinstance(wanted, Mapping):
        if not wanted:
            raise OptionError(f"{name}: expected a comparison, got none", option="where")
        return [_compared(name, found, sign, value) for sign, value in wanted.items()]
    if isinstance(wanted, list | tuple | set | frozenset):
        each = [f"{found} == {_literal(name, value)}" for value in wanted]
        return [f"({' or '.join(each)})" if each else NOTHING]
    if wanted is None:
        return [f"not (exists {found})"]
    return [f"{found} == {_literal(name, wanted)}"]


def _compared(name: str, found: str, sign: str, value: Any) -> str:
    if sign in COMPARISONS:
        # != alone would hold where the key is absent, too.
        present = f"exists {found} and " if sign == "!=" else ""
        return f"({present}{found} {COMPARISONS[sign]} {_literal(name, value)})"
    if sign == "has":
        return f"json_contains({found}, {_literal(name, value)})"
    raise OptionError(
        f"{name}: expected one of {', '.join(COMPARISONS)}, has; got {sign!r}", option="where"
    )


def _literal(name: str, value: Any) -> str:
    if isinstance(value, str):
        if not value.isprintable():
            raise OptionError(
                f"{name}: expected text that can be printed, got {value!r}", option="where"
            )
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise OptionError(
        f"{name}: expected text, a number, true or false, got {value!r:.60}", option="where"
    )

"""Metadata filters in Milvus's language; the same filters as ``lineament.gallery.filters``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from lineament.errors import OptionError
from lineament.text import in_short

COMPARISONS = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

MOST_CHOICES = 10_000
"""Values of "one of these", in one expression."""

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
            f"expected a mapping of names to values, got {in_short(where)}", option="where"
        )
    return " and ".join(
        part for name, wanted in where.items() for part in _parts(name, wanted, field)
    )


def _parts(name: str, wanted: Any, field: str) -> list[str]:
    if not isinstance(name, str) or not name:
        raise OptionError(f"expected names of metadata, got {in_short(name)}", option="where")
    if not name.isprintable():
        raise OptionError(
            f"expected names that can be printed, got {in_short(name)}", option="where"
        )
    found = f"{field}[{json.dumps(name, ensure_ascii=False)}]"
    if isinstance(wanted, Mapping):
        if not wanted:
            raise OptionError(f"{in_short(name)}: expected a comparison, got none", option="where")
        return [_compared(name, found, sign, value) for sign, value in wanted.items()]
    if isinstance(wanted, list | tuple | set | frozenset):
        if len(wanted) > MOST_CHOICES:
            raise OptionError(
                f"{in_short(name)}: expected at most {MOST_CHOICES:,} values, got {len(wanted):,}",
                option="where",
            )
        each = [f"{found} == {_literal(name, value)}" for value in wanted]
        return [_one_of(each) if each else NOTHING]
    if wanted is None:
        return [f"not (exists {found})"]
    return [f"{found} == {_literal(name, wanted)}"]


def _one_of(conditions: list[str]) -> str:
    """Joined in pairs: the server reads an expression as deep as it is nested."""
    while len(conditions) > 4:
        conditions = [
            f"({' or '.join(conditions[i : i + 4])})" for i in range(0, len(conditions), 4)
        ]
    return f"({' or '.join(conditions)})"


def _compared(name: str, found: str, sign: Any, value: Any) -> str:
    if isinstance(sign, str) and sign in COMPARISONS:
        # != alone would hold where the key is absent, too.
        present = f"exists {found} and " if sign == "!=" else ""
        return f"({present}{found} {COMPARISONS[sign]} {_literal(name, value)})"
    if sign == "has":
        return f"json_contains({found}, {_literal(name, value)})"
    raise OptionError(
        f"{in_short(name)}: expected one of {', '.join(COMPARISONS)}, has; got {in_short(sign)}",
        option="where",
    )


def _literal(name: str, value: Any) -> str:
    if isinstance(value, str):
        if not value.isprintable():
            raise OptionError(
                f"{in_short(name)}: expected text that can be printed, got {in_short(value)}",
                option="where",
            )
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(
            f"{in_short(name)}: expected a finite number, got {value}", option="where"
        )
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise OptionError(
            f"{in_short(name)}: expected a whole number of 64 bits, got {in_short(value)}",
            option="where",
        )
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise OptionError(
        f"{in_short(name)}: expected text, a number, true or false, got {in_short(value)}",
        option="where",
    )

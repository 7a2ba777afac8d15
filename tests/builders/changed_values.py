"""Values of a JSON file, changed at one place: what a file of others may hold."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

VALUES: list[Any] = [
    *(None, True, -1, 0, 1, 2, -2, 0.5, 1e-300, 1e308, 1e15, -1e15, 10**18, 10**400),
    *(float("nan"), float("inf"), "x", "NaN", "\x1b[2J", "\ud800", ""),
    *([], {}, [1, 2], [[1]], [5.0] * 10, {"a": 1}),
]


def places(value: Any, path: tuple[Any, ...] = (), most: int = 25) -> Iterator[tuple[Any, ...]]:
    """The ways to all values; of more than ``most`` of a kind to the first two and the last."""
    if path:
        yield path
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, (list, tuple)):
        keys = list(range(len(value)))
    for key in keys if len(keys) <= most else [*keys[:2], keys[-1]]:
        yield from places(value[key], (*path, key), most)


def changed(values: Any, every: int) -> Iterator[tuple[str, Any]]:
    """Copies of a file's values, each with one change."""
    changes = [("set", value) for value in VALUES]
    changes += [(how, None) for how in ("delete", "reverse", "again", "many")]
    todo = [(path, *change) for path in places(values) for change in changes]
    for path, how, value in todo[::every]:
        made = copy.deepcopy(values)
        holder = made
        for key in path[:-1]:
            holder = holder[key]
        old = holder[path[-1]]
        if how == "set":
            holder[path[-1]] = value
        elif how == "delete":
            del holder[path[-1]]
        elif how == "reverse":
            holder[path[-1]] = old[::-1] if isinstance(old, list) else [old]
        elif how == "again" and isinstance(holder, dict):
            holder[f"{path[-1]}2"] = old
        elif how == "again":
            holder.append(old)
        else:
            holder[path[-1]] = old * 1000 if isinstance(old, (list, str)) else [old] * 1000
        yield f"{path} {how} {str(value)[:20]!r}", made

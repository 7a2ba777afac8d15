"""What an ONNX file may ask of an engine; looked at before one sees it.

An ONNX file is a program. Engines believe it: they read the files that it names, follow what calls
itself until the process dies, and unfold in memory what is a few lines in the file. So a small
reader of the format (protocol buffers, messages in messages) goes over it first, and refuses

- weights that lie in another file ("external data"): the SHA-256 would not cover them;
- tensors that say they hold more numbers than the file has bytes for;
- steps that need each other, loops, deep nesting, and more steps than networks have, also after
  functions are put in the place of their calls.

What is left is a list of steps that ends. How long a step takes, and how much memory, only the
engine can tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lineament.errors import WeightsError
from lineament.text import printable

MOST_STEPS = 5_000
"""Of a network; the largest that recognize faces have 3,000. OpenVINO takes time by the square."""

DEEPEST = 8
"""Graphs in graphs (the branches of an ``If``): OpenVINO takes time by the power of it."""

MOST_CALLS = 32
"""Functions that call functions that call ...: ONNX Runtime goes down until its stack ends."""

MOST_NUMBERS = 1 << 28
"""Of a tensor that is given by its few values that are not 0: written out it takes 4 bytes each."""

_MOST_FIELDS = 1_000_000
"""Values and messages in a file; a step has about 20."""

_ENDLESS = {"Loop", "Scan"}
_OWN = {"", "ai.onnx"}

# Messages of onnx.proto3, by the numbers of those fields that are messages in their turn; a field
# that stands there at most once has a "1" at its end: protocol buffers merge what comes twice.
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph1", 20: "training", 25: "function"},
    "training": {1: "graph1", 2: "graph1"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 15: "sparse"},
    "value": {},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor1",
        6: "graph1",
        10: "tensor",
        11: "graph",
        22: "sparse1",
        23: "sparse",
    },
    "sparse": {1: "tensor1", 2: "tensor1"},
    "tensor": {},
}


class _RefusedError(ValueError):
    """Why, in words that follow "got"."""


@dataclass
class _Message:
    """A message: its number in the one around it, its size in bytes, its fields, its messages."""

    kind: str
    number: int
    size: int
    values: dict[int, list[Any]] = field(default_factory=dict)
    inner: list[_Message] = field(default_factory=list)

    def texts(self, number: int) -> list[str]:
        found = self.values.get(number, [])
        return [bytes(v).decode(errors="replace") for v in found if not isinstance(v, int)]

    def text(self, number: int) -> str:
        return (self.texts(number) or [""])[-1]


def check_graph(data: bytes, name: str) -> None:
    """Refuse an ONNX file that an engine must not see.

    Args:
        data: the file.
        name: of the model, for the message.

    Raises:
        WeightsError: it is no ONNX file, or one of those above; says what to do.
    """
    try:
        budget = [_MOST_FIELDS, MOST_STEPS]
        model = _read(memoryview(data), "model", 0, 0, budget)
        graphs = [inner for inner in model.inner if inner.kind == "graph"]
        if not graphs:
            raise _RefusedError("something else")
        functions = _functions(model)
        for graph in [*graphs, *(found for found, _ in functions.values())]:
            _check_steps(graph)
        _check_calls(graphs[0], functions)
    except _RefusedError as reason:
        raise WeightsError(
            f"{name}: expected an ONNX graph with one input and its weights inside, got {reason}"
        ) from None


# --- the format -----------------------------------------------------------------------------------


def _number(data: memoryview, at: int) -> tuple[int, int]:
    """A number in 7 bits a byte, and where it ends."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), at
        shift += 7
    raise _RefusedError("something else, or a damaged file")


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Numbers of fields with their values; those of 4 and 8 bytes as bytes."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _number(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _number(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise _RefusedError("something else, or a damaged file")
        if not key >> 3 or length > len(data) - at:
            raise _RefusedError("something else, or a damaged file")
        yield key >> 3, data[at : at + length]
        at += length


def input_shapes(data: bytes) -> list[tuple[int | None, ...]]:
    """The shapes of a network's inputs, as its file states them; None for sides that are free.

    Args:
        data: an ONNX file that passed ``check_graph``.
    """
    found: list[tuple[int | None, ...]] = []
    for graph in _inside(memoryview(data), _GRAPH):
        weights = {bytes(name) for part in _inside(graph, 5) for name in _inside(part, 8)}
        for value in _inside(graph, 11):
            if bytes(next(_inside(value, 1), memoryview(b""))) in weights:
                continue  # old files list them among the inputs
            shape: list[int | None] = []
            for kind in _inside(value, 2):
                for tensor in _inside(kind, 1):
                    for sides in _inside(tensor, 2):
                        shape += [_side(side) for side in _inside(sides, 1)]
            found.append(tuple(shape))
    return found


_GRAPH = 7


def _inside(data: memoryview, number: int) -> Iterator[memoryview]:
    """The messages and texts of one field."""
    for key, value in fields(data):
        if key == number and not isinstance(value, int):
            yield value


def _side(data: memoryview) -> int | None:
    sizes = [value for key, value in fields(data) if key == 1 and isinstance(value, int)]
    return sizes[-1] if sizes and 0 < sizes[-1] < 1 << 31 else None


def _read(data: memoryview, kind: str, at: int, depth: int, budget: list[int]) -> _Message:
    """A message with all that is in it; ``at``: its number, ``depth``: graphs around it."""
    found = _Message(kind, at, len(data))
    known, once = _MESSAGES[kind], set()
    if kind == "graph":
        depth += 1
        if depth > DEEPEST:
            raise _RefusedError(f"one with graphs in graphs more than {DEEPEST} deep")
    for number, value in fields(data):
        budget[0] -= 1
        if budget[0] < 0:
            raise _RefusedError(f"one of more than {_MOST_FIELDS:,} values")
        if known.get(number) == "node":
            budget[1] -= 1
            if budget[1] < 0:
                raise _RefusedError(f"one of more than {MOST_STEPS:,} steps")
        inner = known.get(number)
        if inner is None:
            found.values.setdefault(number, []).append(value)
            continue
        if isinstance(value, int):
            raise _RefusedError("something else, or a damaged file")
        if inner.endswith("1"):
            if number in once:
                raise _RefusedError(f"a damaged one: a {inner[:-1]} stands there twice")
            once.add(number)
        found.inner.append(_read(value, inner.rstrip("1"), number, depth, budget))
    if kind == "tensor":
        _check_tensor(found)
    elif kind == "sparse" and _size_of(found, 3) > MOST_NUMBERS:
        raise _RefusedError(f"one with a sparse tensor of more than {MOST_NUMBERS:,} numbers")
    return found


def _size_of(tensor: _Message, number: int) -> int:
    """How many numbers a tensor says that it has."""
    sides: list[int] = []
    for value in tensor.values.get(number, []):
        if isinstance(value, int):
            sides.append(value)
            continue
        at = 0
        while at < len(value):
            side, at = _number(value, at)
            sides.append(side)
    if len(sides) > 64 or any(side >= 1 << 63 for side in sides):  # the latter: below 0
        raise _RefusedError("one with a tensor of no possible shape")
    return math.prod(sides)


def _check_tensor(tensor: _Message) -> None:
    name = printable(tensor.text(8))[:80]
    places = tensor.values.get(14, [])
    if 13 in tensor.values or any(not isinstance(v, int) or v & 0xFFFFFFFF for v in places):
        raise _RefusedError(
            f'one whose tensor "{name}" lies in another file, which the SHA-256 does not cover: '
            "save the model as one file, as  onnx.save(onnx.load(PATH), NEW)  does"
        )
    # 2 bits are the least that a number takes.
    if _size_of(tensor, 1) > 4 * tensor.size:
        raise _RefusedError(f'one whose tensor "{name}" says it has more numbers than the file')


# --- the steps ------------------------------------------------------------------------------------


def _functions(model: _Message) -> dict[tuple[str, str, str], tuple[_Message, int]]:
    """The functions of a model by domain, name and overload, with a place in the file each."""
    found = {}
    for at, inner in enumerate(model.inner):
        if inner.kind == "function":
            key = (inner.text(10), inner.text(1), inner.text(13))
            if key in found:
                raise _RefusedError("a damaged one: a function stands there twice")
            found[key] = inner, at
    return found


def _nodes(graph: _Message) -> list[_Message]:
    return [inner for inner in graph.inner if inner.kind == "node"]


def _graphs(node: _Message) -> list[_Message]:
    """The graphs that are attributes of a step."""
    return [g for a in node.inner for g in a.inner if g.kind == "graph"]


def _all_nodes(graph: _Message) -> Iterator[_Message]:
    """The steps of a graph and those of the graphs in it."""
    for node in _nodes(graph):
        yield node
        for inner in _graphs(node):
            yield from _all_nodes(inner)


def _needs(node: _Message) -> set[str]:
    """The values that a step needs; those that the graphs in it take from outside as well."""
    needed = set(node.texts(1))
    for graph in _graphs(node):
        values = [inner for inner in graph.inner if inner.kind == "value"]
        outputs = {value.text(1) for value in values if value.number == 12}
        made = {value.text(1) for value in values if value.number == 11}
        for inner in _nodes(graph):
            outputs |= _needs(inner)
            made |= set(inner.texts(2))
        needed |= outputs - made
    return needed


def _check_steps(graph: _Message) -> None:
    """Loops, and steps that wait for each other; in the graphs inside as well."""
    nodes = _nodes(graph)
    makers: dict[str, int] = {}
    for at, node in enumerate(nodes):
        if node.text(4) in _ENDLESS and node.text(7) in _OWN:
            raise _RefusedError(f"one with a loop ({node.text(4)}), which may never end")
        for output in node.texts(2):
            if output and makers.setdefault(output, at) != at:
                raise _RefusedError("a damaged one: two steps make the same value")
        for inner in _graphs(node):
            _check_steps(inner)
    waits = [{makers[name] for name in _needs(node) if name in makers} for node in nodes]
    users: list[list[int]] = [[] for _ in nodes]
    for at, needed in enumerate(waits):
        for step in needed:
            users[step].append(at)
    ready = [at for at, needed in enumerate(waits) if not needed]
    left = [len(needed) for needed in waits]
    done = 0
    while ready:
        done += 1
        for user in users[ready.pop()]:
            left[user] -= 1
            if not left[user]:
                ready.append(user)
    if done < len(nodes):
        raise _RefusedError("one with steps that wait for each other")


def _check_calls(
    graph: _Message, functions: dict[tuple[str, str, str], tuple[_Message, int]]
) -> None:
    """Functions in the place of their calls: how many steps that makes, and how deep it goes."""
    known: dict[int, tuple[int, int]] = {}

    def unfolded(body: _Message, depth: int) -> tuple[int, int]:
        """Its steps, and how many calls are inside of each other in it."""
        if depth > MOST_CALLS:
            raise _RefusedError("one with functions that call each other without end")
        total = height = 0
        for node in _all_nodes(body):
            total += 1
            called = functions.get((node.text(7), node.text(4), node.text(8)))
            if called is not None:
                function, at = called
                if at not in known:
                    known[at] = unfolded(function, depth + 1)
                total += known[at][0]
                height = max(height, known[at][1] + 1)
            if total > MOST_STEPS:
                raise _RefusedError(f"one of more than {MOST_STEPS:,} steps")
            if height > MOST_CALLS:
                raise _RefusedError("one with functions that call each other without end")
        return total, height

    unfolded(graph, 0)

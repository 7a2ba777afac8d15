"""Frozen graphs of TensorFlow (.pb): cut to what recognition needs, without TensorFlow.

A frozen graph often still takes what training needed: a switch between training and use
("phase_train"), the share of values that are dropped, a queue of photos. ``prepared`` fixes the
switches, takes the place of the queue, and leaves out all that the embedding does not depend on;
OpenVINO's front end reads the rest (``lineament.weights._front_ends``).

    GraphDef  node 1                  AttrValue    s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8
    NodeDef   name 1, op 2, input 3,  TensorProto  dtype 1, tensor_shape 2, tensor_content 4,
              device 4, attr 5                     float_val 5, bool_val 11
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lineament.weights.file import refuse
from lineament.weights.wire import fields, message, text_of

MOST_NODES: Final = 50_000

FLOAT, BOOL = 1, 10
"""Of TensorFlow's DataType."""

_IMAGES = ("input", "image_batch", "images", "image", "img_input", "input_1", "inputs", "data", "x")
"""What the photos are called, the likeliest first."""

_OUTPUTS = ("embeddings", "embedding", "output", "Identity", "MobileFaceNet/Logits/embedding")
_SWITCHES = ("phase_train", "is_training", "training", "learning_phase", "train_mode")
_SHARES = ("keep_prob", "dropout")
_LOOPS = {"Enter", "Exit", "NextIteration", "While", "StatelessWhile", "PyFunc", "EagerPyFunc"}


@dataclass
class _Node:
    name: str = ""
    op: str = ""
    inputs: list[str] = field(default_factory=list)
    attributes: dict[str, memoryview] = field(default_factory=dict)
    others: list[tuple[int, Any]] = field(default_factory=list)

    def kind(self, key: str) -> int | None:
        """A type among the attributes."""
        for number, value in fields(self.attributes.get(key, memoryview(b""))):
            if number == 6 and isinstance(value, int):
                return value
        return None

    def shape(self) -> tuple[int | None, ...] | None:
        """The shape among the attributes; None where it is open as a whole."""
        for number, value in fields(self.attributes.get("shape", memoryview(b""))):
            if number != 7 or isinstance(value, int):
                continue
            sides: list[int | None] = []
            for part, dim in fields(value):
                if part == 3:
                    return None
                if part == 2 and not isinstance(dim, int):
                    sizes = [n for at, n in fields(dim) if at == 1 and isinstance(n, int)]
                    sides.append(sizes[-1] if sizes and 0 < sizes[-1] < 1 << 31 else None)
            return tuple(sides)
        return None


@dataclass(frozen=True)
class Prepared:
    """A graph of one input and one output.

    Attributes:
        data: the frozen graph.
        input, output: their names.
        shape: of the input, as far as it is known.
        notes: what was fixed and cut.
    """

    data: bytes
    input: str
    output: str
    shape: tuple[int | None, ...] | None
    notes: tuple[str, ...]


def is_graph(data: bytes) -> bool:
    """Whether it looks like a frozen graph."""
    try:
        for number, value in fields(memoryview(data)):
            if number != 1 or isinstance(value, int):
                return False
            node = _node(value)
            return bool(node.name and node.op)
    except ValueError:
        pass
    return False


def _node(data: memoryview) -> _Node:
    node = _Node()
    for number, value in fields(data):
        if number == 1:
            node.name = text_of(value)
        elif number == 2:
            node.op = text_of(value)
        elif number == 3:
            node.inputs.append(text_of(value))
        elif number == 5 and not isinstance(value, int):
            key, held = "", memoryview(b"")
            for part, inner in fields(value):
                if part == 1:
                    key = text_of(inner)
                elif part == 2 and not isinstance(inner, int):
                    held = inner
            node.attributes[key] = held
        else:
            node.others.append((number, value))
    return node


def prepared(data: bytes, *, output: str | None = None) -> Prepared:
    """The graph that makes embeddings of photos.

    Args:
        data: the whole file.
        output: the node whose value is the embedding; None: the usual names, or the only node whose
            value no other one takes.

    Raises:
        Refusal: it is no frozen graph, it needs other inputs, or has several outputs.
    """
    nodes: dict[str, _Node] = {}
    rest: list[tuple[int, Any]] = []
    for number, value in fields(memoryview(data)):
        if number == 1 and not isinstance(value, int):
            node = _node(value)
            if not node.name or not node.op or node.name in nodes:
                raise refuse("a damaged graph (a node without a name, or one name twice)")
            nodes[node.name] = node
            if len(nodes) > MOST_NODES:
                raise refuse(f"a graph of more than {MOST_NODES:,} nodes")
        elif number in (2, 3, 4):
            rest.append((number, value))
    if not nodes:
        raise refuse("something else")
    end = _end(nodes, output)
    needed = list(_needed(nodes, end, None))
    image = _image(nodes, needed)
    needed = list(_needed(nodes, end, image))
    if image not in needed:
        raise refuse(f"a graph whose {end!a} does not depend on its photos")
    notes: list[str] = []
    parts: list[bytes] = []
    shape: tuple[int | None, ...] | None = None
    wanted = set(needed)
    for name, node in nodes.items():
        if name not in wanted:
            continue
        if node.op in _LOOPS:
            raise refuse(f"a graph with {node.op}, which is not run")
        if name == image:
            shape = node.shape() if node.op.startswith("Placeholder") else None
            shape = shape if shape is not None and len(shape) == 4 else None
            if not node.op.startswith("Placeholder"):
                notes.append(f"It is cut at {name}, in whose place the photos are given.")
            parts.append(message(1, _placeholder(name, shape)))
        elif node.op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"):
            parts.append(message(1, _fixed(node, notes)))
        else:
            parts.append(message(1, _written(node)))
    left_out = len(nodes) - len(wanted)
    if left_out:
        notes.append(
            f"{left_out:,} of {len(nodes):,} nodes are left out: {end} needs none of them."
        )
    parts += [message(number, value) for number, value in rest]
    return Prepared(b"".join(parts), image, end, shape, tuple(notes))


def _source(name: str) -> str:
    """The node that an input names: "^a" and "a:1" are of "a"."""
    return name.removeprefix("^").partition(":")[0]


def _needed(nodes: dict[str, _Node], end: str, stop: str | None) -> Iterator[str]:
    """The nodes on which one depends, itself among them, not beyond ``stop``."""
    seen: set[str] = set()
    pending = [end]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in nodes:
            raise refuse(f"a damaged graph (no node {name[:80]!a})")
        yield name
        if name != stop:
            pending += [_source(each) for each in nodes[name].inputs if not each.startswith("^")]


def _end(nodes: dict[str, _Node], output: str | None) -> str:
    if output is not None:
        name = output.partition(":")[0]
        if name not in nodes:
            raise refuse(f"a graph without a node {name[:80]!a}")
        return name
    for name in _OUTPUTS:
        if name in nodes:
            return name
    taken = {_source(each) for node in nodes.values() for each in node.inputs}
    ends = [
        name
        for name, node in nodes.items()
        if name not in taken and node.op not in ("NoOp", "Const", "Assert", "Placeholder")
    ]
    if len(ends) != 1:
        shown = ", ".join(ends[:6]) or "none"
        raise refuse(f"a graph of {len(ends)} outputs ({shown}): say which one by output")
    return ends[0]


def _image(nodes: dict[str, _Node], needed: list[str]) -> str:
    """The node that is given photos."""
    open_ = [
        name
        for name in needed
        if nodes[name].op in ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
        and nodes[name].kind("dtype") in (FLOAT, None)
        and not _is_setting(name)
    ]
    with_sides = [name for name in open_ if len(nodes[name].shape() or ()) == 4]
    for some in (with_sides, open_):
        if len(some) == 1:
            return some[0]
        for name in _IMAGES:
            if name in some:
                return name
    for name in _IMAGES:
        if name in needed:
            return name
    raise refuse("a graph without an input for photos")


def _is_setting(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    return any(word in last for word in (*_SWITCHES, *_SHARES))


def _placeholder(name: str, shape: tuple[int | None, ...] | None) -> bytes:
    parts = [message(1, name.encode()), message(2, b"Placeholder")]
    parts.append(_attribute("dtype", message(6, FLOAT)))
    if shape is not None:
        dims = [message(2, message(1, -1 if side is None else side)) for side in shape]
        parts.append(_attribute("shape", message(7, b"".join(dims))))
    return b"".join(parts)


def _attribute(key: str, value: bytes) -> bytes:
    return message(5, message(1, key.encode()) + message(2, value))


def _fixed(node: _Node, notes: list[str]) -> bytes:
    """A constant, or the default value, in the place of a setting of training."""
    kind = node.kind("dtype")
    last = node.name.rpartition("/")[2].lower()
    switch = kind == BOOL or any(word in last for word in _SWITCHES)
    parts = [message(1, node.name.encode())]
    if kind == BOOL or (kind is not None and switch):
        notes.append(f"{node.name} is fixed to False: the network recognizes, and learns nothing.")
        number = message(11, 0) if kind == BOOL else message(4, bytes(_WIDTHS.get(kind, 4)))
    elif kind == FLOAT and any(word in last for word in _SHARES):
        value = 1.0 if "keep" in last else 0.0
        notes.append(f"{node.name} is fixed to {value:g}: nothing is dropped.")
        number = message(4, struct.pack("<f", value))
    elif node.op == "PlaceholderWithDefault":
        types = _attribute("T", bytes(node.attributes.get("dtype", b"")))
        given = [message(3, each.encode()) for each in node.inputs if not each.startswith("^")]
        return b"".join((*parts, message(2, b"Identity"), *given, types))
    else:
        raise refuse(f"a graph that takes {node.name[:80]!a} besides photos")
    tensor = message(1, kind or BOOL) + message(2, b"") + number
    parts += [message(2, b"Const"), _attribute("dtype", message(6, kind or BOOL))]
    return b"".join((*parts, _attribute("value", message(8, tensor))))


_WIDTHS = {1: 4, 2: 8, 3: 4, 9: 8}
"""Bytes of float, double, int32 and int64."""


def _written(node: _Node) -> bytes:
    """The node without what only orders it after others."""
    parts = [message(1, node.name.encode()), message(2, node.op.encode())]
    parts += [message(3, each.encode()) for each in node.inputs if not each.startswith("^")]
    for key, value in node.attributes.items():
        parts.append(message(5, message(1, key.encode()) + message(2, value)))
    parts += [message(number, value) for number, value in node.others]
    return b"".join(parts)

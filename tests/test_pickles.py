"""The machine for pickles: it makes what Python makes of plain values, and does nothing else."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from lineament.pickles import (
    FURTHER,
    OPCODES,
    DamagedPickleError,
    Machine,
    RefusedPickleError,
)

PLAIN = {
    "none": None,
    "truth": [True, False],
    "numbers": [0, 1, -1, 255, 65_536, 1 << 40, -(1 << 70), 0.5, float("inf")],
    "text": ["", "a", "é", "張", "x" * 300, "y" * 70_000],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "nested": {"a": {"b": [[[]], {}]}},
}


class Open(Machine):
    """A reader that notes what it is asked, and knows sets."""

    also = FURTHER

    def __init__(self, most_steps: int = 10_000) -> None:
        super().__init__(most_steps)
        self.asked: list[Any] = []

    def named(self, module: str, name: str) -> Any:
        self.asked.append((module, name))
        return f"<{module}.{name}>"

    def called(self, made: Any, arguments: tuple[Any, ...]) -> Any:
        self.asked.append((made, arguments))
        return ["called"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_those_of_python(protocol: int) -> None:
    same = ["again"]
    value = {**PLAIN, "one": same, "other": same}
    data = pickle.dumps(value, protocol)
    machine, stream = Machine(10_000), io.BytesIO(data + b"rest")
    found = machine.run(stream)
    assert found == value
    assert found["one"] is found["other"]
    assert stream.read() == b"rest"
    assert machine.is_empty


def test_one_after_the_other() -> None:
    stream = io.BytesIO(pickle.dumps([1]) + pickle.dumps({"a": b"b"}))
    machine = Machine(100)
    assert machine.run(stream) == [1]
    assert machine.run(stream) == {"a": b"b"}
    with pytest.raises(DamagedPickleError):
        machine.run(stream)


def test_sets_are_lists_where_a_reader_knows_them() -> None:
    for value in ({1, 2}, frozenset({1, 2})):
        data = pickle.dumps(value, 4)
        assert sorted(Open().run(io.BytesIO(data))) == [1, 2]
        with pytest.raises(RefusedPickleError, match="no plain value"):
            Machine(100).run(io.BytesIO(data))


class _Calls:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_names_are_questions(tmp_path: Path, protocol: int) -> None:
    data = pickle.dumps([_Calls(f"touch {tmp_path / 'mark'}")], protocol)
    with pytest.raises(RefusedPickleError, match=rf"it names '{os.system.__module__}\.system'"):
        Machine(100).run(io.BytesIO(data))
    machine = Open()
    assert machine.run(io.BytesIO(data)) == [["called"]]
    name = f"<{os.system.__module__}.system>"
    assert machine.asked[1] == (name, (f"touch {tmp_path / 'mark'}",))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "pickle"),
        (b".", "pop from empty"),
        (b"(.", "pop from empty"),
        (b"e.", "no MARK"),
        (b"1.", "no MARK"),
        (b"2.", "index out of range"),
        (b"\x85.", "more values"),
        (b"(K\x01\x86.", "more values"),  # not across a mark
        (b"h\x05.", "Memo value not found at index 5"),
        (b"(K\x01d.", "a key without a value"),
        (b"K\x01]R.", "something else than a tuple"),
        (b"\x80\x04C\x02osC\x06system\x93.", "a name that is no text"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f].", "a frame of"),
        (b"X\xff\xff\xff\x7fabc.", "expected"),
        (b"]", "exhausted"),
    ],
)
def test_what_is_damaged(data: bytes, words: str) -> None:
    with pytest.raises(DamagedPickleError, match=words):
        Open().run(io.BytesIO(data))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x80\x09].", "protocol 9"),
        (b"K\x01K\x02a.", "appends to something that is no list"),
        (b"]K\x01K\x02s.", "no dict"),
        (b"}K\x01K\x02s.", "a key that is no text but int"),
        (b"}]K\x02s.", "a key that is no text but list"),
        (b"]Nb.", "no state"),
        (b"]K\x01\x85R.", "calls something"),
        (b"Pmodule\n.", "PERSID at byte 0"),
        (b"\x80\x02NQ.", "BINPERSID at byte 3"),
        (b"\x80\x02])\x81.", "NEWOBJ at byte"),
        (b"(ios\nsystem\n.", "INST at byte 1"),
        (b"(]o.", "OBJ at byte 2"),
        (b"\x80\x02\x82\x01.", "EXT1 at byte 2"),
        (b"\x80\x05\x97.", "NEXT_BUFFER at byte 2"),
        (b"](N" + b"2" * 200 + b"e.", "more than 100 steps"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(RefusedPickleError, match=words):
        Machine(100).run(io.BytesIO(data))


def test_what_reads_calls_or_extends_is_in_no_vocabulary() -> None:
    never = {"INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER"}
    assert not never & (OPCODES | FURTHER)

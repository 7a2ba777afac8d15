"""Read the values that a pickle holds by a machine that can do nothing else (``pickles``).

It makes None, True, False, numbers, text, bytes, lists, tuples, dicts whose keys are text, and
NumPy's arrays of numbers or of these values. A name in the file stands for one of a dozen words
that this file knows; every other one ends the reading. Arrays are as long as their bytes, and
nothing is compared. Protocols 0 to 5.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lineament.errors import DataError
from lineament.pickles import DamagedPickleError, Machine, RefusedPickleError

MOST_BYTES: Final = 1 << 30
"""Of a file."""
MOST_STEPS: Final = 100_000_000
"""Opcodes that are carried out: a minute or two."""

Progress = Callable[[int, int], None]

_KINDS: Final = ("b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
_ARRAYS: Final = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC: Final = ("numpy.core.numeric", "numpy._core.numeric")


@dataclass(eq=False, slots=True)
class _Name:
    """What a name in the file stands for: a word, and nothing that could be called."""

    word: str


@dataclass(eq=False, slots=True)
class _DType:
    kind: str

    def built(self, state: Any) -> None:
        # (version, byte order, sub-array, names, fields, size, alignment, flags)
        if type(state) is not tuple or len(state) < 5 or state[2:5] != (None, None, None):
            raise RefusedPickleError("it makes a dtype with fields")
        if state[1] not in ("|", "<", "="):
            raise RefusedPickleError("it makes a dtype of another byte order")


@dataclass(eq=False, slots=True)
class _Array:
    """A NumPy array that is being made."""

    value: Any = None

    def built(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise RefusedPickleError("it makes an array out of something else")
        _, shape, dtype, fortran, data = state
        self.value = _array(data, dtype, shape, bool(fortran))


_SINGLE: Final = {
    **{(one, "_reconstruct"): "reconstruct" for one in _ARRAYS},
    **{(one, "scalar"): "scalar" for one in _ARRAYS},
    **{(one, "_frombuffer"): "frombuffer" for one in _NUMERIC},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("collections", "OrderedDict"): "dict",
    ("collections", "defaultdict"): "dict",
    **{(one, "list"): "list" for one in ("builtins", "__builtin__")},
    **{(one, "dict"): "dict" for one in ("builtins", "__builtin__")},
    **{(one, "bytes"): "bytes" for one in ("builtins", "__builtin__")},
    **{(one, "bytearray"): "bytes" for one in ("builtins", "__builtin__")},
}
"""The names that may stand in a file."""


def read_pickle(data: bytes, name: str, progress: Progress | None = None) -> Any:
    """The values in a pickle; arrays of numbers as NumPy's, arrays of objects as lists.

    Args:
        data: the whole file.
        name: of it, for messages.
        progress: called with bytes read and bytes in all.

    Raises:
        DataError: it is damaged or too large, or asks for anything but values; nothing of it was
            carried out.
    """
    if len(data) > MOST_BYTES:
        raise DataError(f"{name}: expected at most {MOST_BYTES:,} bytes, got {len(data):,}")
    stream = io.BytesIO(data)
    machine = _Machine(len(data), progress)
    try:
        found = machine.run(stream)
        if stream.tell() != len(data):
            more = len(data) - stream.tell()
            raise RefusedPickleError(f"{more:,} more bytes stand behind its end")
        if not machine.is_empty:
            raise DamagedPickleError("it leaves more than one value")
        return _whole(found)
    except RefusedPickleError as error:
        raise DataError(
            f"{name}: refused: {error}. Only plain values and arrays of numbers are read; nothing "
            "in the file was carried out"
        ) from error
    except MemoryError as error:
        raise DataError(f"{name}: there is not enough memory to read it") from error
    except DamagedPickleError as error:
        raise DataError(f"{name}: expected a whole pickle, got a damaged one: {error}") from error


class _Machine(Machine):
    def __init__(self, size: int, progress: Progress | None) -> None:
        super().__init__(MOST_STEPS)
        self._size, self._progress = size, progress
        self._bytes_left = size  # that texts may be encoded to: one may be named often

    def progressed(self, at: int) -> None:
        if self._progress is not None:
            self._progress(at, self._size)

    def named(self, module: str, name: str) -> Any:
        word = _SINGLE.get((module, name))
        return super().named(module, name) if word is None else _Name(word)

    def built(self, target: Any, state: Any) -> None:
        if type(target) not in (_Array, _DType):
            raise RefusedPickleError("it changes something that is no array")
        target.built(state)

    def called(self, made: Any, arguments: tuple[Any, ...]) -> Any:
        if type(made) is not _Name:
            raise RefusedPickleError("it calls something that is no name")
        return self._made(made.word, arguments)

    def _made(self, word: str, given: tuple[Any, ...]) -> Any:
        if word == "dict" and all(type(one) is _Name and one.word == "list" for one in given):
            return {}
        if word == "bytes" and not given:
            return b""
        if word == "encode" and len(given) == 2:
            return self._encoded(*given)
        if word == "reconstruct" and len(given) == 3:
            if type(given[0]) is not _Name or given[0].word != "ndarray":
                raise RefusedPickleError("it makes an array of another class")
            return _Array()
        if word == "dtype" and given:
            return _dtype(given[0])
        if word == "scalar" and len(given) == 2:
            return _array(given[1], given[0], (), False).item()
        if word == "frombuffer" and len(given) == 4:
            data, dtype, shape, order = given
            made = _Array()
            made.value = _array(data, dtype, shape, order not in ("C", b"C"))
            return made
        raise RefusedPickleError(f"it calls {word} with something else than it takes")

    def _encoded(self, text: Any, encoding: Any) -> bytes:
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise RefusedPickleError("it encodes something else than bytes")
        self._bytes_left -= len(text)
        if self._bytes_left < 0:
            raise RefusedPickleError("it makes more bytes than the file has")
        return text.encode("latin1")


def _dtype(text: Any) -> _DType:
    text = text.decode("latin1") if type(text) is bytes else text
    kind = text.lstrip("|<=") if type(text) is str else ""
    if kind not in (*_KINDS, "O8", "O", "O4"):
        raise RefusedPickleError("it makes an array of something else than numbers")
    return _DType(kind[:1] if kind[:1] == "O" else kind)


def _array(data: Any, dtype: Any, shape: Any, fortran: bool) -> Any:
    """An array, or for one of objects the list of them."""
    if type(dtype) is not _DType or type(shape) is not tuple or len(shape) > 4:
        raise RefusedPickleError("it makes an array of something else than numbers")
    if any(type(side) is not int or not 0 <= side < 1 << 32 for side in shape):
        raise RefusedPickleError("it makes an array of another shape than numbers")
    count = math.prod(shape)
    if dtype.kind == "O":
        if type(data) is not list or len(data) != count or len(shape) > 1:
            raise RefusedPickleError("it makes an array of objects of another length")
        return data if shape else data[0]
    data = data.encode("latin1") if type(data) is str else data
    expected = count * int(dtype.kind[1])
    if type(data) not in (bytes, bytearray) or len(data) != expected:
        raise RefusedPickleError(f"it makes an array of {expected:,} bytes out of something else")
    made = np.frombuffer(bytes(data), f"<{dtype.kind}")
    return made.reshape(shape, order="F" if fortran else "C")


def _whole(value: Any) -> Any:
    """Arrays in the place of what makes them, in lists and dicts four deep: no store goes deeper.

    Each list and dict is looked at once, however often it is referred to.
    """
    return _without_makers(value, 4, {})


def _without_makers(value: Any, depth: int, done: dict[int, Any]) -> Any:
    if type(value) is _Array:
        if value.value is None:
            raise RefusedPickleError("it has an array whose contents never came")
        value = value.value
    if type(value) in (_Name, _DType):
        raise RefusedPickleError("it holds a name in the place of a value")
    if depth == 0 or type(value) not in (list, tuple, dict):
        return value
    if id(value) in done:
        return done[id(value)]
    if type(value) is dict:
        entries: dict[str, Any] = {}
        done[id(value)] = entries
        entries.update({k: _without_makers(one, depth - 1, done) for k, one in value.items()})
        return entries
    items: list[Any] = []
    done[id(value)] = items
    items.extend(_without_makers(one, depth - 1, done) for one in value)
    return items

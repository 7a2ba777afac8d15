"""Read the values that a pickle holds by an interpreter that can do nothing else.

A pickle is a program for a machine with a stack. This is such a machine, without what makes that
one dangerous: it calls no function and makes no object but None, True, False, numbers, text, bytes,
lists, tuples, dicts whose keys are text, and NumPy's arrays of numbers or of these values. A name
in the file stands for one of a dozen words that this file knows; every other one, and every opcode
that could call, extend or look something up, ends the reading. Protocols 0 to 5.

Work and memory stay within a multiple of the file's size: each opcode takes a byte or more and adds
one reference, keys are hashed as text, nothing is compared, and arrays are as long as their bytes.
(``lineament.datasets.safe_pickle`` reads data sets of photos with the C machine, which knows no
dicts of arrays.)
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lineament.errors import DataError

MOST_BYTES: Final = 1 << 30
"""Of a file."""
MOST_STEPS: Final = 100_000_000
"""Opcodes that are carried out: a minute or two."""
EVERY: Final = 1 << 16
"""Steps between two reports."""

Progress = Callable[[int, int], None]

_PUSHED: Final = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        *("BYTEARRAY8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    }
)
"""Opcodes that push what stands behind them."""
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_KINDS: Final = ("b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")
_ARRAYS: Final = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC: Final = ("numpy.core.numeric", "numpy._core.numeric")


class _RefusedError(Exception):
    """The file asks for something that is not on the list."""


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
            raise _RefusedError("it makes a dtype with fields")
        if state[1] not in ("|", "<", "="):
            raise _RefusedError("it makes a dtype of another byte order")


@dataclass(eq=False, slots=True)
class _Array:
    """A NumPy array that is being made."""

    value: Any = None

    def built(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise _RefusedError("it makes an array out of something else")
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
    try:
        return _whole(_Machine(data).run(progress))
    except _RefusedError as error:
        raise DataError(
            f"{name}: refused: {error}. Only plain values and arrays of numbers are read; nothing "
            "in the file was carried out"
        ) from error
    except MemoryError as error:
        raise DataError(f"{name}: there is not enough memory to read it") from error
    except Exception as error:  # pickletools raises what its readers of arguments do
        reason = str(error)[:200] or type(error).__name__
        raise DataError(f"{name}: expected a whole pickle, got a damaged one: {reason}") from error


class _Machine:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._bytes_left = len(data)  # that texts may be encoded to: one may be named often

    def run(self, progress: Progress | None) -> Any:
        """Carry the opcodes out up to STOP; what is on the stack then."""
        handlers = {
            name[1:]: getattr(self, name)
            for name in dir(self)
            if name.startswith("_") and name[1:].isupper()
        }
        total, end = len(self._data), 0
        for steps, (opcode, argument, at) in enumerate(pickletools.genops(self._data), 1):
            name, end = opcode.name, (at or 0) + 1
            if name in _PUSHED:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name == "STOP":
                break
            else:
                handler = handlers.get(name)
                if handler is None:
                    raise _RefusedError(f"{name} at byte {at:,} is no plain value")
                handler(argument)
            if steps % EVERY == 0:
                if steps > MOST_STEPS:
                    raise _RefusedError(f"it has more than {MOST_STEPS:,} steps")
                if progress is not None:
                    progress(end, total)
        if end != total:
            raise _RefusedError(f"{total - end:,} more bytes stand behind its end")
        (result,) = self._stack
        return result

    def _pop_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    # --- opcodes; each is called by its name, with "_" before it ----------------------------------

    def _PROTO(self, version: int) -> None:  # noqa: N802
        if version > 5:
            raise _RefusedError(f"it is of protocol {version}, expected 0 to 5")

    def _FRAME(self, _: Any) -> None:  # noqa: N802
        pass

    def _MARK(self, _: Any) -> None:  # noqa: N802
        self._marks.append(self._stack)
        self._stack = []

    def _POP(self, _: Any) -> None:  # noqa: N802
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _POP_MARK(self, _: Any) -> None:  # noqa: N802
        self._pop_mark()

    def _DUP(self, _: Any) -> None:  # noqa: N802
        self._stack.append(self._stack[-1])

    def _MEMOIZE(self, _: Any) -> None:  # noqa: N802
        self._memo[len(self._memo)] = self._stack[-1]

    def _PUT(self, place: Any) -> None:  # noqa: N802
        self._memo[int(place)] = self._stack[-1]

    _BINPUT = _LONG_BINPUT = _PUT

    def _GET(self, place: Any) -> None:  # noqa: N802
        self._stack.append(self._memo[int(place)])

    _BINGET = _LONG_BINGET = _GET

    def _EMPTY_LIST(self, _: Any) -> None:  # noqa: N802
        self._stack.append([])

    def _LIST(self, _: Any) -> None:  # noqa: N802
        items = self._pop_mark()
        self._stack.append(items)

    def _APPEND(self, _: Any) -> None:  # noqa: N802
        item = self._stack.pop()
        self._list().append(item)

    def _APPENDS(self, _: Any) -> None:  # noqa: N802
        items = self._pop_mark()
        self._list().extend(items)

    def _list(self) -> list[Any]:
        found = self._stack[-1]
        if type(found) is not list:
            raise _RefusedError("it appends to something that is no list")
        return found

    def _TUPLE(self, _: Any) -> None:  # noqa: N802
        items = self._pop_mark()
        self._stack.append(tuple(items))

    def _TUPLE1(self, _: Any) -> None:  # noqa: N802
        self._last(1)

    def _TUPLE2(self, _: Any) -> None:  # noqa: N802
        self._last(2)

    def _TUPLE3(self, _: Any) -> None:  # noqa: N802
        self._last(3)

    def _last(self, n: int) -> None:
        if len(self._stack) < n:
            raise _RefusedError("it takes more values than there are")
        items = tuple(self._stack[-n:])
        del self._stack[-n:]
        self._stack.append(items)

    def _EMPTY_DICT(self, _: Any) -> None:  # noqa: N802
        self._stack.append({})

    def _DICT(self, _: Any) -> None:  # noqa: N802
        items = self._pop_mark()
        made: dict[str, Any] = {}
        self._set(made, items)
        self._stack.append(made)

    def _SETITEM(self, _: Any) -> None:  # noqa: N802
        value, key = self._stack.pop(), self._stack.pop()
        self._set(self._stack[-1], [key, value])

    def _SETITEMS(self, _: Any) -> None:  # noqa: N802
        items = self._pop_mark()
        self._set(self._stack[-1], items)

    def _set(self, target: Any, items: list[Any]) -> None:
        if type(target) is not dict or len(items) % 2:
            raise _RefusedError("it sets an entry of something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:
                raise _RefusedError(f"it has a key that is no text but {type(key).__name__}")
            target[key] = value

    def _GLOBAL(self, argument: str) -> None:  # noqa: N802
        module, _, name = argument.partition(" ")
        self._name(module, name)

    def _STACK_GLOBAL(self, _: Any) -> None:  # noqa: N802
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module, name)

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise _RefusedError("it has a name that is no text")
        word = _SINGLE.get((module, name))
        if word is None:
            raise _RefusedError(f"it names {f'{module}.{name}'[:120]!a}")
        self._stack.append(_Name(word))

    def _BUILD(self, _: Any) -> None:  # noqa: N802
        state, target = self._stack.pop(), self._stack[-1]
        if type(target) not in (_Array, _DType):
            raise _RefusedError("it changes something that is no array")
        target.built(state)

    def _REDUCE(self, _: Any) -> None:  # noqa: N802
        arguments, called = self._stack.pop(), self._stack.pop()
        if type(called) is not _Name or type(arguments) is not tuple:
            raise _RefusedError("it calls something that is no name")
        self._stack.append(self._made(called.word, arguments))

    def _made(self, word: str, given: tuple[Any, ...]) -> Any:
        if word == "dict" and all(type(one) is _Name and one.word == "list" for one in given):
            return {}
        if word == "bytes" and not given:
            return b""
        if word == "encode" and len(given) == 2:
            return self._encoded(*given)
        if word == "reconstruct" and len(given) == 3:
            if type(given[0]) is not _Name or given[0].word != "ndarray":
                raise _RefusedError("it makes an array of another class")
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
        raise _RefusedError(f"it calls {word} with something else than it takes")

    def _encoded(self, text: Any, encoding: Any) -> bytes:
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise _RefusedError("it encodes something else than bytes")
        self._bytes_left -= len(text)
        if self._bytes_left < 0:
            raise _RefusedError("it makes more bytes than the file has")
        return text.encode("latin1")


def _dtype(text: Any) -> _DType:
    text = text.decode("latin1") if type(text) is bytes else text
    kind = text.lstrip("|<=") if type(text) is str else ""
    if kind not in (*_KINDS, "O8", "O", "O4"):
        raise _RefusedError("it makes an array of something else than numbers")
    return _DType(kind[:1] if kind[:1] == "O" else kind)


def _array(data: Any, dtype: Any, shape: Any, fortran: bool) -> Any:
    """An array, or for one of objects the list of them."""
    if type(dtype) is not _DType or type(shape) is not tuple or len(shape) > 4:
        raise _RefusedError("it makes an array of something else than numbers")
    if any(type(side) is not int or not 0 <= side < 1 << 32 for side in shape):
        raise _RefusedError("it makes an array of another shape than numbers")
    count = math.prod(shape)
    if dtype.kind == "O":
        if type(data) is not list or len(data) != count or len(shape) > 1:
            raise _RefusedError("it makes an array of objects of another length")
        return data if shape else data[0]
    data = data.encode("latin1") if type(data) is str else data
    expected = count * int(dtype.kind[1])
    if type(data) not in (bytes, bytearray) or len(data) != expected:
        raise _RefusedError(f"it makes an array of {expected:,} bytes out of something else")
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
            raise _RefusedError("it has an array whose contents never came")
        value = value.value
    if type(value) in (_Name, _DType):
        raise _RefusedError("it holds a name in the place of a value")
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

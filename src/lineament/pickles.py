"""A machine for pickles that can do nothing by itself: no import, no call, no attribute.

A pickle is a program for a machine with a stack. ``Machine`` carries its opcodes out and makes
None, True, False, numbers, text, bytes, lists, tuples and dicts. Whatever else a file asks for is a
question to the methods below, and each of them refuses: ``named`` (a name stands for what?),
``called``, ``built`` (an object gets a state), ``referred`` (to something outside). Readers are
subclasses that know a few words more: ``weights.pytorch``, ``gallery.foreign`` and
``datasets.safe_pickle``. What they return for a name must be nothing that could be called.

Work and memory stay within a multiple of the file's size, apart from the numbers and texts of a
file itself: an opcode takes a byte or more and adds one reference.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Iterator
from typing import Any, Final

MOST_PROTOCOL: Final = 5
EVERY: Final = 1 << 16
"""Steps between two calls of ``progressed``."""


class RefusedPickleError(Exception):
    """The file asks for something that its reader does not do; says what, after "it"."""


class DamagedPickleError(Exception):
    """The file is no whole pickle; says why."""


_PUSHED: Final = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    }
)
"""Opcodes that push what stands behind them."""
_STRINGS: Final = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


class Machine:
    """Carries out one pickle after the other; a base of readers.

    Attributes:
        also: opcodes of ``FURTHER`` that this reader knows besides ``OPCODES``.
        steps_left: opcodes that may still be carried out.
    """

    also: frozenset[str] = frozenset()

    def __init__(self, most_steps: int) -> None:
        """Start with nothing.

        Args:
            most_steps: opcodes of all pickles together.
        """
        self.steps_left = most_steps
        self._most_steps = most_steps
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._stream = io.BytesIO()

    def run(self, stream: io.BytesIO) -> Any:
        """The value of the pickle at which the stream stands; it stands behind it then.

        Raises:
            RefusedPickleError: it asks for something that is not on the list.
            DamagedPickleError: it is none, or not whole.
        """
        self._stack, self._marks, self._memo, self._stream = [], [], {}, stream
        try:
            return self._run(pickletools.genops(stream))
        except (RefusedPickleError, DamagedPickleError, MemoryError):
            raise
        except Exception as error:  # pickletools raises what its readers of arguments do
            raise DamagedPickleError(str(error)[:200] or type(error).__name__) from error

    def _run(self, opcodes: Iterator[tuple[Any, Any, int | None]]) -> Any:
        for opcode, argument, at in opcodes:
            name = opcode.name
            self.steps_left -= 1
            if self.steps_left < 0:
                raise RefusedPickleError(f"it has more than {self._most_steps:,} steps")
            if self.steps_left % EVERY == 0:
                self.progressed((at or 0) + 1)
            if name in _PUSHED:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in _STRINGS:
                self._stack.append(self.string(argument))
            elif name == "STOP":
                break
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name in self.also:
                _FURTHER[name](self, argument)
            else:
                raise RefusedPickleError(f"it has {name} at byte {at:,}, which is no plain value")
        return self._stack.pop()

    @property
    def is_empty(self) -> bool:
        """Whether nothing but the value was on the stack of the last pickle."""
        return not self._stack and not self._marks

    # --- what readers say -------------------------------------------------------------------------

    def progressed(self, at: int) -> None:
        """Hear from time to time at which byte it is."""

    def string(self, text: str) -> Any:
        """What a ``str`` of Python 2 becomes; its bytes are the text's letters in Latin-1."""
        return text

    def named(self, module: str, name: str) -> Any:
        """What stands for a name: nothing that could be called."""
        raise RefusedPickleError(f"it names {f'{module}.{name}'[:120]!a}")

    def called(self, made: Any, arguments: tuple[Any, ...]) -> Any:
        """What comes of calling what stands for a name."""
        raise RefusedPickleError("it calls something that is no name")

    def built(self, target: Any, state: Any) -> None:
        """Give an object its state."""
        raise RefusedPickleError("it changes something that has no state")

    def referred(self, described: Any) -> Any:
        """What stands for something outside of the pickle."""
        raise RefusedPickleError("it refers to something outside")

    def extended(self, target: Any, items: list[Any]) -> None:
        """Append to a list."""
        if type(target) is not list:
            raise RefusedPickleError("it appends to something that is no list")
        target.extend(items)

    def entered(self, target: Any, keys: list[Any], values: list[Any]) -> None:
        """Set entries of a dict; keys are text, unless a reader takes others."""
        if type(target) is not dict:
            raise RefusedPickleError("it sets an entry of something that is no dict")
        for key, value in zip(keys, values, strict=True):
            if type(key) is not str:
                raise RefusedPickleError(f"it has a key that is no text but {type(key).__name__}")
            target[key] = value

    # --- the opcodes ------------------------------------------------------------------------------

    def _marked(self) -> list[Any]:
        """What stands above the last mark; it is taken away with the mark."""
        if not self._marks:
            raise DamagedPickleError("there is no MARK")
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise DamagedPickleError("it takes more values than there are")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise DamagedPickleError(f"Memo value not found at index {place}")
        self._stack.append(self._memo[place])

    def _proto(self, version: int) -> None:
        if version > MOST_PROTOCOL:
            raise RefusedPickleError(f"it is of protocol {version}, expected 0 to {MOST_PROTOCOL}")

    def _frame(self, length: int) -> None:
        if length > self._stream.getbuffer().nbytes - self._stream.tell():
            raise DamagedPickleError(f"it has a frame of {length:,} bytes, which are not there")

    def _extend(self, items: list[Any]) -> None:
        self.extended(self._stack[-1], items)

    def _set(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise DamagedPickleError("it has a key without a value")
        self.entered(self._stack[-1], items[::2], items[1::2])

    def _dict(self, items: list[Any]) -> None:
        self._stack.append({})
        self._set(items)

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise DamagedPickleError("STACK_GLOBAL with a name that is no text")
        self._stack.append(self.named(module, name))

    def _call(self) -> None:
        made, arguments = self._last(2)
        if type(arguments) is not tuple:
            raise DamagedPickleError("it calls with something else than a tuple")
        self._stack.append(self.called(made, arguments))

    def _build(self) -> None:
        target, state = self._last(2)
        self._stack.append(target)
        self.built(target, state)

    def _refer(self) -> None:
        self._stack.append(self.referred(*self._last(1)))

    def _push(self, value: Any) -> None:
        self._stack.append(value)


_Step = Callable[[Machine, Any], object]
_PUTS: Final = ("PUT", "BINPUT", "LONG_BINPUT")
_GETS: Final = ("GET", "BINGET", "LONG_BINGET")
_STEPS: Final[dict[str, _Step]] = {
    **dict.fromkeys(_PUTS, lambda m, place: m._put(int(place))),
    **dict.fromkeys(_GETS, lambda m, place: m._get(int(place))),
    "MEMOIZE": lambda m, _: m._put(len(m._memo)),
    "PROTO": lambda m, version: m._proto(version),
    "FRAME": lambda m, length: m._frame(length),
    "MARK": lambda m, _: m._mark(),
    "POP": lambda m, _: m._pop(),
    "POP_MARK": lambda m, _: m._marked(),
    "DUP": lambda m, _: m._push(m._stack[-1]),
    "EMPTY_LIST": lambda m, _: m._push([]),
    "LIST": lambda m, _: m._push(m._marked()),
    "APPEND": lambda m, _: m._extend(m._last(1)),
    "APPENDS": lambda m, _: m._extend(m._marked()),
    "TUPLE": lambda m, _: m._push(tuple(m._marked())),
    "TUPLE1": lambda m, _: m._push(tuple(m._last(1))),
    "TUPLE2": lambda m, _: m._push(tuple(m._last(2))),
    "TUPLE3": lambda m, _: m._push(tuple(m._last(3))),
    "EMPTY_DICT": lambda m, _: m._push({}),
    "DICT": lambda m, _: m._dict(m._marked()),
    "SETITEM": lambda m, _: m._set(m._last(2)),
    "SETITEMS": lambda m, _: m._set(m._marked()),
    "GLOBAL": lambda m, name: m._name(*name.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m._name(*m._last(2)),
    "REDUCE": lambda m, _: m._call(),
    "BUILD": lambda m, _: m._build(),
}
_FURTHER: Final[dict[str, _Step]] = {
    "EMPTY_SET": lambda m, _: m._push([]),
    "ADDITEMS": lambda m, _: m._extend(m._marked()),
    "FROZENSET": lambda m, _: m._push(m._marked()),
    "NEWOBJ": lambda m, _: m._call(),
    "BINPERSID": lambda m, _: m._refer(),
}
OPCODES: Final = frozenset({*_PUSHED, *_STRINGS, *_CONSTANTS, "STOP", *_STEPS})
"""Those of plain values, which every reader knows."""
FURTHER: Final = frozenset(_FURTHER)
"""Those that a reader may know besides; a set becomes a list."""

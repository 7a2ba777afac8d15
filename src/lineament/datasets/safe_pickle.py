"""Read the few things that a pickle of photos and answers needs, and nothing else.

A pickle is a program, and Python's own reader runs whatever it says. This one is an interpreter of
its own (opcodes: Python's ``Lib/pickletools.py``; protocols 0 to 5, also as Python 2 writes them).
It never imports, looks up or calls anything that a file names. What it can build:

- lists, tuples, bytes, str, whole numbers, True, False and None;
- ``PlainArray``: the bytes of a NumPy array of uint8 or bool, as ``cv2.imencode`` returns encoded
  photos. The opcodes that name NumPy's functions put inert tokens on the stack, and an array
  is put together here from arguments that are checked one by one; NumPy is not asked.

Text that Python 3 writes for bytes at protocols 0 to 2 (``_codecs.encode(text, "latin1")``) is
turned into bytes here. Any other name, and any other opcode that builds or calls, is refused with
its name and place. Memory stays within a small multiple of the file: no length is believed before
the bytes are there, and a file may not make more objects or bytes than its size allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from lineament.errors import DataError

FREE_STEPS: Final = 50_000
"""Opcodes that any file may have ..."""

BYTES_A_STEP: Final = 64
"""... and one more for so many bytes: a file of photos has one for 200 bytes or more, and a
file made of opcodes that each make an object would take 100 times its own size."""

LONGEST_NUMBER: Final = 20
"""Digits of a whole number that is written as text."""

LATIN_1: Final = ("latin1", "latin-1", "latin_1", "iso-8859-1", "iso8859-1")

_ENCODE: Final = "_codecs.encode"
_EMPTY_BYTES: Final = "bytes"
_NDARRAY: Final = "numpy.ndarray"
_DTYPE: Final = "numpy.dtype"
_RECONSTRUCT: Final = "numpy _reconstruct"
_SCALAR: Final = "numpy scalar"
_FROM_BUFFER: Final = "numpy _frombuffer"

NAMES: Final = {
    ("_codecs", "encode"): _ENCODE,
    ("__builtin__", "bytes"): _EMPTY_BYTES,
    ("builtins", "bytes"): _EMPTY_BYTES,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): _SCALAR,
    ("numpy._core.multiarray", "scalar"): _SCALAR,
    ("numpy.core.numeric", "_frombuffer"): _FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): _FROM_BUFFER,
}
"""The names that a file may mention. None of them is looked up: they stand for what is computed
here."""

REFUSED: Final = {
    b"P": "PERSID",
    b"Q": "BINPERSID",
    b"i": "INST",
    b"o": "OBJ",
    b"\x81": "NEWOBJ",
    b"\x92": "NEWOBJ_EX",
    b"\x82": "EXT1",
    b"\x83": "EXT2",
    b"\x84": "EXT4",
    b"\x97": "NEXT_BUFFER",
    b"\x98": "READONLY_BUFFER",
    b"F": "FLOAT",
    b"G": "BINFLOAT",
    b"}": "EMPTY_DICT",
    b"d": "DICT",
    b"s": "SETITEM",
    b"u": "SETITEMS",
    b"\x8f": "EMPTY_SET",
    b"\x90": "ADDITEMS",
    b"\x91": "FROZENSET",
}
"""Opcodes that exist and have no place in a file of photos; for the message."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A name that the file mentioned: inert."""

    name: str


@dataclass(eq=False, slots=True)
class _DType:
    kind: str
    built: bool = False


@dataclass(eq=False, slots=True)
class PlainArray:
    """The contents of a NumPy array.

    Attributes:
        kind: "u1" (uint8) or "b1" (bool).
        shape: its shape; () of an array whose contents never came.
        data: its elements, a byte each.
    """

    kind: str = ""
    shape: tuple[int, ...] = ()
    data: bytes = field(default=b"", repr=False)


def read_plain_pickle(data: bytes, name: str) -> Any:
    """Return what the pickle holds; see the module for what that may be.

    Args:
        data: the whole file.
        name: of the file, for messages.

    Raises:
        DataError: the file is cut short, damaged or too long for what it holds, or asks for
            anything that is not on the list; the message names the opcode and its place.
    """
    return _Reader(data, name).run()


class _Reader:
    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._name = name
        self._at = 0
        self._opcode_at = 0
        self._opcode = ""
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._bytes_left = len(data)

    def run(self) -> Any:
        if not self._data:
            raise DataError(f"{self._name}: expected a pickle, got an empty file")
        steps = FREE_STEPS + len(self._data) // BYTES_A_STEP
        for _ in range(steps):
            self._opcode_at = self._at
            code = self._take(1)
            if code == b".":
                return self._stop()
            if code in REFUSED:
                self._opcode = REFUSED[code]
                raise self._refused("it makes or fetches objects of other kinds")
            found = _OPCODES.get(code)
            if found is None:
                self._opcode = f"0x{code[0]:02x}"
                raise self._wrong("expected an opcode of pickle, got a byte that is none")
            self._opcode, do = found
            do(self)
        raise self._wrong(f"expected at most {steps:,} opcodes in a file of this size, got more")

    # --- reading --------------------------------------------------------------------------------

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise self._wrong(
                f"expected {count:,} more bytes, found {len(self._data) - self._at:,}: the file is "
                "cut short or no pickle"
            )
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self._take(size), "little", signed=signed)

    def _line(self) -> bytes:
        end = self._data.find(b"\n", self._at)
        if end < 0:
            raise self._wrong("expected a line, found the end of the file: it is cut short")
        line = self._data[self._at : end]
        self._at = end + 1
        return line

    def _whole(self, line: bytes) -> int:
        if not (len(line) <= LONGEST_NUMBER and re.fullmatch(rb"-?[0-9]+", line)):
            raise self._wrong(f"expected a whole number, got {line[:40]!r}")
        return int(line)

    def _text(self, raw: bytes, encoding: str = "utf-8") -> str:
        try:
            # As Python writes text: halves of surrogate pairs may stand alone.
            errors = "surrogatepass" if encoding == "utf-8" else "strict"
            return raw.decode(encoding, errors)
        except UnicodeDecodeError as error:
            raise self._wrong(f"expected text, got bytes that are none ({error.reason})") from error

    # --- the stack ------------------------------------------------------------------------------

    def _floor(self) -> int:
        return self._marks[-1] if self._marks else 0

    def _pop(self) -> Any:
        if len(self._stack) <= self._floor():
            raise self._wrong("expected a value on the stack, found none")
        return self._stack.pop()

    def _top(self) -> Any:
        if len(self._stack) <= self._floor():
            raise self._wrong("expected a value on the stack, found none")
        return self._stack[-1]

    def _pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise self._wrong("expected a mark on the stack, found none")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _stop(self) -> Any:
        self._opcode = "STOP"
        if len(self._stack) != 1 or self._marks:
            raise self._wrong(f"expected one value at the end, found {len(self._stack)}")
        if self._at != len(self._data):
            raise self._wrong(
                f"expected the end of the file, found {len(self._data) - self._at:,} more bytes"
            )
        return self._stack[0]

    # --- opcodes --------------------------------------------------------------------------------

    def _proto(self) -> None:
        version = self._number(1)
        if version > 5:
            raise self._wrong(f"expected protocol 0 to 5, got {version}")

    def _frame(self) -> None:
        size = self._number(8)
        if size > len(self._data) - self._at:
            raise self._wrong(
                f"expected a frame within the file, got one of {size:,} bytes where "
                f"{len(self._data) - self._at:,} are left: the file is cut short"
            )

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _pop_one(self) -> None:
        # A mark on top goes first, as Python's reader does.
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise self._wrong(f"expected a list, got {_kind(target)}")
        target.extend(items)

    def _append_one(self) -> None:
        item = self._pop()
        self._append([item])

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def _int_line(self) -> None:
        line = self._line()
        if line in (b"00", b"01"):  # how protocol 0 and 1 write False and True
            self._push(line == b"01")
        else:
            self._push(self._whole(line))

    def _long_line(self) -> None:
        line = self._line()
        self._push(self._whole(line[:-1] if line.endswith(b"L") else line))

    def _long(self, size: int) -> None:
        count = self._number(size)
        if count > 8:
            raise self._wrong(f"expected a number of at most 8 bytes, got one of {count:,}")
        self._push(self._number(count, signed=True))

    def _string_line(self) -> None:
        line = self._line().strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
            raise self._wrong(f"expected a quoted string, got {line[:40]!r}")
        self._push(self._unescaped(line[1:-1]))

    def _unescaped(self, quoted: bytes) -> bytes:
        def one(match: re.Match[bytes]) -> bytes:
            escape = match[1]
            if len(escape) == 3:
                return bytes([int(escape[1:], 16)])
            if escape not in _ESCAPES:
                raise self._wrong(
                    f"expected an escape of Python 2, got \\{escape.decode('latin1')}"
                )
            return _ESCAPES[escape]

        return re.sub(rb"\\(x[0-9a-fA-F]{2}|.|$)", one, quoted, flags=re.DOTALL)

    def _bytes(self, size: int, *, signed: bool = False) -> None:
        count = self._number(size, signed=signed)
        if count < 0:
            raise self._wrong(f"expected a length of at least 0, got {count}")
        self._push(self._take(count))

    def _unicode(self, size: int) -> None:
        self._push(self._text(self._take(self._number(size))))

    def _unicode_line(self) -> None:
        self._push(self._text(self._line(), "raw-unicode-escape"))

    def _put(self, index: int) -> None:
        if index < 0:
            raise self._wrong(f"expected a place of at least 0, got {index}")
        self._memo[index] = self._top()

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise self._wrong(f"expected a place that was stored before, got {index}")
        self._push(self._memo[index])

    def _name_lines(self) -> None:
        module, name = self._line(), self._line()
        self._token(module[:200].decode("latin1"), name[:200].decode("latin1"))

    def _name_on_stack(self) -> None:
        name, module = self._pop(), self._pop()
        if type(module) is not str or type(name) is not str:
            raise self._refused("it names something without text")
        self._token(module, name)

    def _token(self, module: str, name: str) -> None:
        meant = NAMES.get((module, name))
        if meant is None:
            raise self._refused(f"it names {module[:80]!a} {name[:80]!a}")
        self._push(_Token(meant))

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if type(function) is not _Token or type(arguments) is not tuple:
            raise self._refused(f"it calls {_kind(function)} with {_kind(arguments)}")
        self._push(self._computed(function.name, arguments))

    def _computed(self, name: str, arguments: tuple[Any, ...]) -> Any:
        kinds = tuple(type(value) for value in arguments)
        if name == _ENCODE and kinds == (str, str) and arguments[1].lower() in LATIN_1:
            return self._encoded(arguments[0])
        if name == _EMPTY_BYTES and arguments == ():
            return b""
        if name == _DTYPE and arguments and kinds[0] in (str, bytes):
            kind = _dtype(arguments[0])
            if kind and len(arguments) <= 3 and all(k in (bool, int) for k in kinds[1:]):
                return _DType(kind)
        if name == _RECONSTRUCT and len(arguments) == 3:
            array, shape, code = arguments
            if (
                type(array) is _Token
                and array.name == _NDARRAY
                and _is_shape(shape)
                and type(code) in (str, bytes)
            ):
                return PlainArray()
        if name == _SCALAR and kinds == (_DType, bytes) and len(arguments[1]) == 1:
            value = arguments[1][0]
            return bool(value) if arguments[0].kind == "b1" else value
        if name == _FROM_BUFFER and kinds[:3] == (bytes, _DType, tuple) and len(arguments) == 4:
            return self._filled(PlainArray(), arguments[1], arguments[2], arguments[0])
        raise self._refused(f"it calls {name} with something else than photos need")

    def _encoded(self, text: str) -> bytes:
        # One text may be encoded again and again, so what that makes is counted.
        self._bytes_left -= len(text)
        if self._bytes_left < 0:
            raise self._wrong("expected no more bytes than the file has, got a file that repeats")
        try:
            return text.encode("latin1")
        except UnicodeEncodeError as error:
            raise self._wrong(f"expected bytes written as text, got {error.reason}") from error

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        # (version, byte order, sub-array, names, fields, size, alignment, flags)
        if (
            type(target) is _DType
            and not target.built
            and type(state) is tuple
            and len(state) in (8, 9)
            and state[2:5] == (None, None, None)
        ):
            target.built = True
            return
        # (version, shape, dtype, Fortran order, data)
        if (
            type(target) is PlainArray
            and not target.kind
            and type(state) is tuple
            and len(state) == 5
            and type(state[2]) is _DType
            and type(state[4]) is bytes
        ):
            self._filled(target, state[2], state[1], state[4])
            return
        raise self._refused(f"it sets the state of {_kind(target)}")

    def _filled(self, array: PlainArray, dtype: _DType, shape: Any, data: bytes) -> PlainArray:
        if not _is_shape(shape):
            raise self._wrong("expected the shape of an array, got something else")
        count = 1
        for side in shape:
            count *= side
        if count != len(data):
            raise self._wrong(f"expected {count:,} elements of an array, got {len(data):,}")
        array.kind, array.shape, array.data = dtype.kind, shape, data
        return array

    # --- errors ---------------------------------------------------------------------------------

    def _wrong(self, what: str) -> DataError:
        where = f"{self._name}: {self._opcode or 'the file'} at byte {self._opcode_at:,}"
        return DataError(f"{where}: {what}")

    def _refused(self, what: str) -> DataError:
        return DataError(
            f"{self._name}: refused {self._opcode} at byte {self._opcode_at:,}: {what}. Only lists "
            "of encoded photos and of answers are read; nothing in the file was carried out"
        )


def _dtype(name: str | bytes) -> str:
    plain = name if isinstance(name, str) else name.decode("latin1")
    return {"u1": "u1", "|u1": "u1", "b1": "b1", "|b1": "b1"}.get(plain, "")


def _is_shape(value: Any) -> bool:
    # Sides of more than 32 bits do not occur, and their product could grow without bounds.
    return (
        type(value) is tuple
        and len(value) <= 4
        and all(type(side) is int and 0 <= side < 1 << 32 for side in value)
    )


def _kind(value: Any) -> str:
    return value.name if isinstance(value, _Token) else type(value).__name__.strip("_")


_ESCAPES: Final = {
    b"\\": b"\\",
    b"'": b"'",
    b'"': b'"',
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
}
"""What Python 2's ``repr`` writes, besides "\\x" and two digits."""

_OPCODES: Final[dict[bytes, tuple[str, Callable[[_Reader], None]]]] = {
    b"\x80": ("PROTO", _Reader._proto),
    b"\x95": ("FRAME", _Reader._frame),
    b"(": ("MARK", _Reader._mark),
    b"0": ("POP", _Reader._pop_one),
    b"1": ("POP_MARK", lambda r: (r._pop_to_mark(), None)[1]),
    b"2": ("DUP", lambda r: r._push(r._top())),
    b"]": ("EMPTY_LIST", lambda r: r._push([])),
    b"l": ("LIST", lambda r: r._push(r._pop_to_mark())),
    b"a": ("APPEND", _Reader._append_one),
    b"e": ("APPENDS", lambda r: r._append(r._pop_to_mark())),
    b")": ("EMPTY_TUPLE", lambda r: r._push(())),
    b"t": ("TUPLE", lambda r: r._push(tuple(r._pop_to_mark()))),
    b"\x85": ("TUPLE1", lambda r: r._tuple(1)),
    b"\x86": ("TUPLE2", lambda r: r._tuple(2)),
    b"\x87": ("TUPLE3", lambda r: r._tuple(3)),
    b"N": ("NONE", lambda r: r._push(None)),
    b"\x88": ("NEWTRUE", lambda r: r._push(True)),
    b"\x89": ("NEWFALSE", lambda r: r._push(False)),
    b"I": ("INT", _Reader._int_line),
    b"J": ("BININT", lambda r: r._push(r._number(4, signed=True))),
    b"K": ("BININT1", lambda r: r._push(r._number(1))),
    b"M": ("BININT2", lambda r: r._push(r._number(2))),
    b"L": ("LONG", _Reader._long_line),
    b"\x8a": ("LONG1", lambda r: r._long(1)),
    b"\x8b": ("LONG4", lambda r: r._long(4)),
    b"S": ("STRING", _Reader._string_line),
    b"T": ("BINSTRING", lambda r: r._bytes(4, signed=True)),
    b"U": ("SHORT_BINSTRING", lambda r: r._bytes(1)),
    b"B": ("BINBYTES", lambda r: r._bytes(4)),
    b"C": ("SHORT_BINBYTES", lambda r: r._bytes(1)),
    b"\x8e": ("BINBYTES8", lambda r: r._bytes(8)),
    b"\x96": ("BYTEARRAY8", lambda r: r._bytes(8)),
    b"V": ("UNICODE", _Reader._unicode_line),
    b"X": ("BINUNICODE", lambda r: r._unicode(4)),
    b"\x8c": ("SHORT_BINUNICODE", lambda r: r._unicode(1)),
    b"\x8d": ("BINUNICODE8", lambda r: r._unicode(8)),
    b"p": ("PUT", lambda r: r._put(r._whole(r._line()))),
    b"q": ("BINPUT", lambda r: r._put(r._number(1))),
    b"r": ("LONG_BINPUT", lambda r: r._put(r._number(4))),
    b"\x94": ("MEMOIZE", lambda r: r._put(len(r._memo))),
    b"g": ("GET", lambda r: r._get(r._whole(r._line()))),
    b"h": ("BINGET", lambda r: r._get(r._number(1))),
    b"j": ("LONG_BINGET", lambda r: r._get(r._number(4))),
    b"c": ("GLOBAL", _Reader._name_lines),
    b"\x93": ("STACK_GLOBAL", _Reader._name_on_stack),
    b"R": ("REDUCE", _Reader._reduce),
    b"b": ("BUILD", _Reader._build),
}

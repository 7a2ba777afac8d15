"""Read pickles of plain values and NumPy arrays, and execute nothing that they say.

A pickle is a program. Its opcodes are listed first, without being carried out
(``pickletools.genops``), and must all be on an allow-list; then a machine that can do nothing else
(``pickles``) carries them out. A name never stands for what it names, but for one of a few words,
and what is called is a function of this file that checks its arguments: NumPy is not asked. Read
are lists, tuples, dicts, bytes, text, numbers, True, False, None, and ``PlainArray`` for NumPy's
arrays, at protocols 0 to 5, and 1 and 2 as Python 2 writes them.

Memory stays within a small multiple of the file: the number of opcodes, the places in the memo, the
lengths of texts and the sizes of arrays are checked against the file's size. Dicts and tuples are
not read from one file: a hash of nested tuples takes the time, and the stack, that a file wants.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lineament.errors import DataError
from lineament.pickles import (
    MOST_PROTOCOL,
    OPCODES,
    DamagedPickleError,
    Machine,
    RefusedPickleError,
)

MOST_BYTES: Final = 1 << 30
"""Of a file. InsightFace's verification sets take up to 90 MB."""

FREE_STEPS: Final = 50_000
"""Opcodes that any file may have ..."""

BYTES_PER_STEP: Final = 8
"""... and one more for so many bytes: a list of floats has one for 9."""

_DICTS: Final = frozenset(("EMPTY_DICT", "DICT"))
_TUPLES: Final = frozenset(("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"))
_KINDS: Final = ("b1", "u1", "i4", "i8", "f4", "f8")


@dataclass(eq=False, slots=True)
class PlainArray:
    """The contents of a NumPy array.

    Attributes:
        kind: "b1", "u1", "i4", "i8", "f4" or "f8"; "" of an array whose contents never came.
        shape: its shape.
        data: its elements, little endian, in C order.
    """

    kind: str = ""
    shape: tuple[int, ...] = ()
    data: bytes = b""

    def array(self) -> npt.NDArray[Any]:
        """The array, read-only."""
        return np.frombuffer(self.data, f"<{self.kind}").reshape(self.shape)

    def built(self, state: Any) -> None:
        """Take (version, shape, dtype, Fortran order, data), as the pickle has it."""
        _, shape, dtype, fortran, data = state
        if fortran and sum(side > 1 for side in shape) > 1:
            raise RefusedPickleError("it makes an array in Fortran order")
        self._fill(dtype, shape, data)

    def _fill(self, dtype: Any, shape: Any, data: Any) -> PlainArray:
        if type(dtype) is not _DType or type(shape) is not tuple or len(shape) > 4:
            raise RefusedPickleError("it makes an array of something else than numbers")
        if any(type(side) is not int or not 0 <= side < 1 << 32 for side in shape):
            raise RefusedPickleError("it makes an array of another shape than numbers")
        expected = math.prod(shape) * int(dtype.kind[1])
        if type(data) not in (bytes, bytearray) or len(data) != expected:
            raise RefusedPickleError(
                f"it makes an array of {expected:,} bytes out of something else"
            )
        self.kind, self.shape, self.data = dtype.kind, shape, bytes(data)
        return self


@dataclass(eq=False, slots=True)
class _DType:
    kind: str

    def built(self, state: Any) -> None:
        # (version, byte order, sub-array, names, fields, size, alignment, flags)
        if type(state) is not tuple or state[1] not in ("|", "<", b"|", b"<"):
            raise RefusedPickleError("it makes a dtype of another byte order")
        if state[2:5] != (None, None, None):
            raise RefusedPickleError("it makes a dtype with fields")


@dataclass(frozen=True, eq=False, slots=True)
class _Maker:
    """Stands for a name: no class and no function, so that nothing can change or extend it."""

    name: str
    make: Callable[..., Any]


_KEYS: Final = (str, bytes, int, float, bool, type(None))


class _Machine(Machine):
    def __init__(self, data: bytes) -> None:
        super().__init__(len(data) + 1)
        self._bytes_left = len(data)  # that texts may be encoded to: one may be repeated
        self._makers = {
            ("_codecs", "encode"): _Maker("_codecs.encode", self._encode),
            ("__builtin__", "bytes"): _Maker("bytes", lambda: b""),
            ("builtins", "bytes"): _Maker("bytes", lambda: b""),
            ("numpy", "ndarray"): _Maker("numpy.ndarray", _ndarray),
            ("numpy", "dtype"): _Maker("numpy.dtype", _dtype),
        }
        for core in ("numpy.core", "numpy._core"):
            self._makers |= {
                (f"{core}.multiarray", "_reconstruct"): _Maker("_reconstruct", _reconstruct),
                (f"{core}.multiarray", "scalar"): _Maker("scalar", _scalar),
                (f"{core}.numeric", "_frombuffer"): _Maker("_frombuffer", _from_buffer),
            }

    def string(self, text: str) -> bytes:
        return text.encode("latin-1")

    def named(self, module: str, name: str) -> _Maker:
        maker = self._makers.get((module, name))
        if maker is None:
            raise RefusedPickleError(f"it names {module[:80]!a} {name[:80]!a}")
        return maker

    def called(self, made: Any, arguments: tuple[Any, ...]) -> Any:
        if type(made) is not _Maker:
            raise DamagedPickleError("it calls something that is no name")
        return made.make(*arguments)

    def built(self, target: Any, state: Any) -> None:
        if type(target) is _Maker:
            raise RefusedPickleError(f"it changes {target.name}")
        if type(target) not in (PlainArray, _DType):
            raise DamagedPickleError("it changes something that is no array")
        target.built(state)

    def entered(self, target: Any, keys: list[Any], values: list[Any]) -> None:
        if type(target) is not dict or any(type(key) not in _KEYS for key in keys):
            raise DamagedPickleError("it sets an entry of no dict, or by something else than a key")
        target.update(zip(keys, values, strict=True))

    def _encode(self, text: Any, encoding: Any) -> bytes:
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise RefusedPickleError(
                "it calls _codecs.encode with something else than bytes as text"
            )
        self._bytes_left -= len(text)
        if self._bytes_left < 0:
            raise RefusedPickleError("it makes more bytes than the file has")
        return text.encode("latin1")


def read_plain_pickle(data: bytes, name: str) -> Any:
    """Return what the pickle holds; see the module for what that may be.

    Args:
        data: the whole file.
        name: of the file, for messages.

    Raises:
        DataError: the file is cut short, damaged or too large, has more opcodes than its size
            allows, or asks for anything that is not on the list; nothing of it was executed.
    """
    _check(data, name)
    try:
        return _Machine(data).run(io.BytesIO(data))
    except RefusedPickleError as error:
        raise _refused(name, str(error)) from error
    except (DamagedPickleError, MemoryError) as error:
        raise DataError(f"{name}: expected a pickle of photos, got: {str(error)[:200]}") from error


def _check(data: bytes, name: str) -> None:
    """Look at the opcodes, carrying none out."""
    if not data:
        raise DataError(f"{name}: expected a pickle, got an empty file")
    if len(data) > MOST_BYTES:
        raise DataError(f"{name}: expected at most {MOST_BYTES:,} bytes, got {len(data):,}")
    most = FREE_STEPS + len(data) // BYTES_PER_STEP
    seen: set[str] = set()
    steps, end = 0, 0
    try:
        for steps, (opcode, argument, at) in enumerate(pickletools.genops(data)):
            where, end = f"{opcode.name} at byte {at:,}", (at or 0) + 1
            seen.add(opcode.name)
            if opcode.name not in OPCODES:
                raise _refused(name, "only lists of plain values are read", where)
            if steps > most:
                raise _refused(name, "it has more opcodes than its size allows", where)
            if "PUT" in opcode.name and not 0 <= int(argument or 0) <= most:
                raise _refused(name, f"expected a place up to {most:,} in the memo", where)
            if opcode.name == "PROTO" and int(argument or 0) > MOST_PROTOCOL:
                raise _refused(name, f"expected protocol 0 to 5, got {argument}", where)
    except DataError:
        raise
    except Exception as error:  # ValueError, and whatever the arguments of opcodes raise
        raise DataError(f"{name}: expected a whole pickle, got: {str(error)[:200]}") from error
    if seen & _DICTS and seen & _TUPLES:
        raise _refused(name, "it has dicts and tuples")
    if end != len(data):
        raise DataError(
            f"{name}: expected the end of the pickle, got {len(data) - end:,} more bytes"
        )


def _refused(name: str, why: str, where: str = "") -> DataError:
    return DataError(
        f"{name}: refused{where and ' ' + where}: {why}. Only lists of encoded photos and of "
        "answers are read; nothing in the file was carried out"
    )


# --- what names stand for -------------------------------------------------------------------------


def _ndarray(*_: Any) -> Any:
    raise RefusedPickleError("it calls numpy.ndarray")


def _dtype(name: Any, *flags: Any) -> _DType:
    text = name.decode("latin1") if type(name) is bytes else name
    kind = text.lstrip("|<") if type(text) is str else ""
    if kind not in _KINDS or len(flags) > 2 or any(type(f) not in (bool, int) for f in flags):
        raise RefusedPickleError("it calls numpy.dtype with something else than a kind of numbers")
    return _DType(kind)


def _reconstruct(array: Any, _shape: Any, _code: Any) -> PlainArray:
    if type(array) is not _Maker or array.make is not _ndarray:
        raise RefusedPickleError("it makes an array of another class")
    return PlainArray()


def _scalar(dtype: Any, data: Any) -> Any:
    return PlainArray()._fill(dtype, (), data).array().item()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> PlainArray:
    if order not in ("C", b"C") and sum(side > 1 for side in shape) > 1:
        raise RefusedPickleError("it makes an array in Fortran order")
    return PlainArray()._fill(dtype, shape, data)

"""Tensors of files that PyTorch wrote, read without PyTorch and without running what they say.

Two layouts are read: the zip archive of today (``NAME/data.pkl``, and the numbers in
``NAME/data/KEY``), and the one before version 1.6: pickles one after the other, then the numbers.

A pickle is a program. A machine that can do nothing else (``pickles``) makes dicts, lists, texts,
numbers and descriptions of tensors of it. A name never stands for what it names; what is not known
here is refused, but for a few kinds of values that training keeps beside the weights
(``argparse.Namespace``, numbers of NumPy), which become ``_Inert`` and are passed over.

Checkpoints hold the weights among other things. They are looked for under the usual names
("state_dict", "model", ...), and "module.", which training on several cards adds, is taken away.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lineament.pickles import FURTHER, DamagedPickleError, Machine, RefusedPickleError
from lineament.weights.file import (
    MOST_SIDES,
    MOST_TENSORS,
    Array,
    Contents,
    array_of,
    refuse,
    size_of,
    widened,
)

LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
LEGACY_HEAD: Final = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickle of that number, with which files of the layout before 1.6 begin."""

MOST_STEPS: Final = 2_000_000
"""Opcodes: a checkpoint with its optimizer has 100,000."""

MOST_MEMBERS: Final = 100_000
LARGEST_PICKLE: Final = 256 << 20
INFLATION: Final = 20
"""Members that are compressed may be so many times as large as the file, all together."""

KINDS: Final = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

WRAPPERS: Final = (
    "state_dict",
    "model_state_dict",
    "net_state_dict",
    "model",
    "net",
    "network",
    "backbone",
    "encoder",
    "weights",
    "params",
    "ema",
)
"""Where checkpoints keep the weights, the likeliest first."""

_PASSED_OVER = (
    "argparse Namespace",
    "collections Counter",
    "collections defaultdict",
    "easydict EasyDict",
    "numpy dtype",
    "numpy ndarray",
    "numpy.core.multiarray _reconstruct",
    "numpy.core.multiarray scalar",
    "numpy._core.multiarray _reconstruct",
    "numpy._core.multiarray scalar",
    "pathlib PosixPath",
    "pathlib WindowsPath",
    "pathlib PurePosixPath",
    "pathlib._local PosixPath",
    "torch Size",
    "torch device",
    "yacs.config CfgNode",
)
"""Names of values that are no weights: what stands for them holds nothing and does nothing."""

_Bytes = bytes | memoryview


class _Inert:
    """Stands for a value that is passed over."""


@dataclass(frozen=True, slots=True)
class _Name:
    """Stands for a name that the machine knows."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """Numbers in the file: their key, kind and count."""

    key: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor as the pickle describes it."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Machine(Machine):
    """Carries out the pickles of one file; sets become lists.

    Attributes:
        storages: what they refer to, by key.
        passed_over: names of values that are no weights.
    """

    also = FURTHER

    def __init__(self) -> None:
        super().__init__(MOST_STEPS)
        self.storages: dict[str, _Storage] = {}
        self.passed_over: set[str] = set()

    def run(self, stream: io.BytesIO) -> Any:
        """As the machine's. Refusal: it is no pickle, or names something that is not known."""
        try:
            return super().run(stream)
        except RefusedPickleError as error:
            raise refuse(
                f"a pickle that is not read, since {error}: nothing in it was carried out"
            ) from error
        except DamagedPickleError as error:
            raise refuse(f"a damaged pickle ({str(error)[:120]})") from error

    def named(self, module: str, name: str) -> Any:
        full = f"{module} {name}"
        if full in _CALLED or (module in ("torch", "torch.storage") and name in KINDS):
            return _Name(full)
        if module == "torch" and name in _TYPES:
            return _Inert()
        if full in _PASSED_OVER or module.split(".")[0] in ("pytorch_lightning", "lightning"):
            self.passed_over.add(f"{module}.{name}")
            return _Inert()
        raise RefusedPickleError(f"it names {module[:80]!a} {name[:80]!a}")

    def referred(self, described: Any) -> _Storage:
        if not isinstance(described, tuple) or len(described) < 5 or described[0] != "storage":
            raise RefusedPickleError("it refers to something else than numbers")
        _, kind, key, _, count = described[:5]
        if not isinstance(kind, _Name) or type(count) is not int or count < 0:
            raise RefusedPickleError("it refers to numbers of no known kind")
        made = KINDS.get(kind.name.rpartition(" ")[2])
        if made is None or not isinstance(key, str | int):
            raise RefusedPickleError("it refers to numbers of no known kind")
        known = self.storages.setdefault(str(key), _Storage(str(key), made, count))
        return _Storage(known.key, made, count)

    def called(self, made: Any, arguments: tuple[Any, ...]) -> Any:
        if isinstance(made, _Inert):
            return made
        if not isinstance(made, _Name):
            raise DamagedPickleError("it calls what is no name")
        call = _CALLED.get(made.name)
        if call is None:
            raise RefusedPickleError(f"it calls {made.name[:80]!a}")
        return call(*arguments)

    def built(self, target: Any, state: Any) -> None:
        """Nothing: of what is made here nothing has attributes."""

    def extended(self, target: Any, items: list[Any]) -> None:
        if not isinstance(target, _Inert):
            super().extended(target, items)

    def entered(self, target: Any, keys: list[Any], values: list[Any]) -> None:
        if type(target) is dict:
            target.update(_plain(zip(keys, values, strict=True)))
        elif not isinstance(target, _Inert):
            raise DamagedPickleError("it sets an item of what is no dict")


def _plain(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Keys are texts and whole numbers: what has others is passed over."""
    return {k: v for k, v in pairs if type(k) in (str, int, bool)}


_TYPE_NAMES: Final = (
    "float32 float64 float16 bfloat16 int8 int16 int32 int64 uint8 bool float double half "
    "long int short contiguous_format preserve_format channels_last strided"
)
_TYPES = frozenset(_TYPE_NAMES.split())


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    whole = isinstance(storage, _Storage) and type(offset) is int and offset >= 0
    sides = all(
        isinstance(row, tuple | list) and all(type(side) is int and side >= 0 for side in row)
        for row in (shape, strides)
    )
    if not whole or not sides or len(shape) != len(strides) or len(shape) > MOST_SIDES:
        raise RefusedPickleError("it has a tensor of no possible shape")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _of_type(function: Any, _type: Any, arguments: Any, _state: Any = None) -> Any:
    call = _CALLED.get(function.name) if isinstance(function, _Name) else None
    if call is None or call is _of_type or not isinstance(arguments, tuple):
        raise RefusedPickleError("it has a tensor of a class of its own")
    return call(*arguments)


_CALLED: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": lambda *pairs: (
        {} if not pairs else _plain((key, value) for key, value in pairs[0])
    ),
    "__builtin__ set": list,
    "builtins set": list,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
    "torch._utils _rebuild_parameter_with_state": _parameter,
    "torch._tensor _rebuild_from_type_v2": _of_type,
    "torch.nn.parameter Parameter": _parameter,
    "torch Tensor": _parameter,
}


# --- the two layouts ------------------------------------------------------------------------------


def is_archive(data: bytes) -> bool:
    """Whether a zip archive is one of PyTorch's."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        return False
    return any(name.endswith("/data.pkl") or name == "data.pkl" for name in names)


def read_pytorch(data: bytes) -> Contents:
    """The tensors of a file, by name.

    Args:
        data: the whole file.

    Raises:
        Refusal: it is no such file, or asks for something else than tensors.
    """
    machine = _Machine()
    if data[:2] == b"PK":
        root, bytes_of = _archive(data, machine)
    elif data.startswith(LEGACY_HEAD):
        root, bytes_of = _legacy(data, machine)
    else:
        raise refuse("something else")
    found, notes = _weights_in(root)
    held: dict[str, _Bytes] = {}
    tensors: dict[str, Array] = {}
    room = 2 * len(data)  # of copies
    for name, tensor in found.items():
        key = tensor.storage.key
        if key not in held:
            held[key] = bytes_of(key)
        array, copied = _array(tensor, memoryview(held[key]), name)
        room -= array.nbytes if copied else 0
        if room < 0:
            raise refuse("tensors that take several times as much room as the file")
        tensors[name] = array
    if machine.passed_over:
        names = ", ".join(sorted(machine.passed_over)[:5])
        notes.append(f"Passed over, since they are no weights: values of {names}.")
    return Contents(tensors, tuple(notes))


def _archive(data: bytes, machine: _Machine) -> tuple[Any, Callable[[str], _Bytes]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        infos = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise refuse(f"a damaged archive ({str(error)[:100]})") from error
    if len(infos) > MOST_MEMBERS:
        raise refuse(f"an archive of {len(infos):,} files")
    pickles = [name for name in infos if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(pickles) != 1:
        raise refuse("an archive without PyTorch's data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in infos or f"{folder}code/" in infos:
        raise refuse(
            "a program of TorchScript: save its weights alone, as  "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW)  does"
        )
    left = [INFLATION * len(data) + (1 << 20)]

    def member(name: str, most: int) -> _Bytes:
        info = infos.get(name)
        if info is None:
            raise refuse(f"an archive without {name[:80]!a}")
        if info.file_size > most:
            raise refuse(f"an archive whose {name[:80]!a} says it has {info.file_size:,} bytes")
        if info.compress_type == zipfile.ZIP_STORED:
            return _stored(data, info)
        left[0] -= info.file_size
        if left[0] < 0:
            raise refuse(f"an archive that unfolds to more than {INFLATION} times its size")
        try:
            with archive.open(info) as opened:
                read = opened.read(info.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, RuntimeError) as bad:
            raise refuse(f"a damaged archive ({str(bad)[:100]})") from bad
        except NotImplementedError as bad:
            raise refuse(f"an archive compressed in a way that is not read ({bad})") from bad
        if len(read) != info.file_size:
            raise refuse("a damaged archive (a file of another length)")
        return read

    if f"{folder}byteorder" in infos and bytes(member(f"{folder}byteorder", 16)) == b"big":
        raise refuse("numbers with their highest byte first: save it on an ordinary machine")
    text = bytes(member(f"{folder}data.pkl", LARGEST_PICKLE))
    root = machine.run(io.BytesIO(text))
    return root, lambda key: member(f"{folder}data/{key}", len(data) * INFLATION)


def _stored(data: bytes, info: zipfile.ZipInfo) -> memoryview:
    """The bytes of a file that is not compressed, where they lie."""
    at = info.header_offset
    head = data[at : at + 30]
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise refuse("a damaged archive (a file without its head)")
    start = at + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    found = memoryview(data)[start : start + info.file_size]
    if len(found) != info.file_size:
        raise refuse("an archive that was cut short")
    if zlib.crc32(found) != info.CRC:
        raise refuse(f"a damaged archive (the checksum of {info.filename[:80]!a})")
    return found


def _legacy(data: bytes, machine: _Machine) -> tuple[Any, Callable[[str], _Bytes]]:
    stream = io.BytesIO(data)
    if machine.run(stream) != LEGACY_MAGIC or machine.run(stream) != 1001:
        raise refuse("something else")
    told = machine.run(stream)
    if isinstance(told, dict) and told.get("little_endian") is False:
        raise refuse("numbers with their highest byte first: save it on an ordinary machine")
    root = machine.run(stream)
    keys = machine.run(stream)
    if not isinstance(keys, list):
        raise refuse("a damaged file (the list of its storages is none)")
    at, found = stream.tell(), {}
    for key in map(str, keys):
        storage = machine.storages.get(key)
        if storage is None:
            raise refuse("a damaged file (numbers that nothing refers to)")
        count = int.from_bytes(data[at : at + 8], "little")
        width = np.dtype("<u2" if storage.kind == "bf16" else storage.kind).itemsize
        end = at + 8 + count * width
        if end > len(data):
            raise refuse("a file that was cut short")
        found[key] = memoryview(data)[at + 8 : end]
        at = end

    def bytes_of(key: str) -> _Bytes:
        if key not in found:
            raise refuse("a damaged file (numbers that are not there)")
        return found[key]

    return root, bytes_of


def _array(tensor: _Tensor, data: memoryview, name: str) -> tuple[Array, bool]:
    """The numbers of a tensor, and whether they were copied."""
    kind = tensor.storage.kind
    dtype = np.dtype("<u2" if kind == "bf16" else kind)
    room = len(data) // dtype.itemsize
    count = size_of(tensor.shape, room, name)
    last = sum((side - 1) * step for side, step in zip(tensor.shape, tensor.strides, strict=True))
    if count and tensor.offset + last >= room:
        raise refuse(f"a tensor {name[:80]!a} that reaches beyond its numbers")
    plain, step = True, 1
    for side, stride in zip(reversed(tensor.shape), reversed(tensor.strides), strict=True):
        plain = plain and (side <= 1 or stride == step)
        step *= side
    if plain or not count:
        start = tensor.offset * dtype.itemsize if count else 0
        part = data[start : start + count * dtype.itemsize]
        return array_of(part, kind, tensor.shape, name), kind == "bf16"
    row = np.frombuffer(data, dtype)[tensor.offset :]
    steps = tuple(stride * dtype.itemsize for stride in tensor.strides)
    values: Array = np.ascontiguousarray(
        np.lib.stride_tricks.as_strided(row, tensor.shape, steps, writeable=False)
    )
    return (widened(values) if kind == "bf16" else values), True


# --- which of them are the weights ----------------------------------------------------------------


def _weights_in(root: Any) -> tuple[dict[str, _Tensor], list[str]]:
    """The weights, by their names in the network, and what was done to find them."""
    notes: list[str] = []
    where, found = _chosen(root)
    if where:
        notes.append(f'The weights were taken from "{where}".')
    names = list(found)
    while names and all(name.startswith("module.") for name in names):
        found = {name.removeprefix("module."): tensor for name, tensor in found.items()}
        names = list(found)
    return found, notes


def _chosen(root: Any) -> tuple[str, dict[str, _Tensor]]:
    """The dict that has the weights: where it stands, and its tensors."""
    if isinstance(root, _Tensor):
        return "", {"tensor": root}
    best: tuple[int, str, dict[str, _Tensor]] | None = None
    for where, value in _dicts(root):
        flat = _flat(value)
        if not flat:
            continue
        last = where.rpartition(".")[2]
        # A whole dict of tensors goes before one that also holds an optimizer's.
        rank = WRAPPERS.index(last) if last in WRAPPERS else len(WRAPPERS) + (where != "")
        if any(isinstance(each, _Tensor) for each in value.values()) and (
            best is None or rank < best[0]
        ):
            best = rank, where, flat
    if best is None:
        raise refuse("a file without tensors by name")
    return best[1], best[2]


def _dicts(root: Any) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Dicts in dicts, three deep, each once."""
    seen: set[int] = set()
    pending: list[tuple[str, Any, int]] = [("", root, 0)]
    while pending:
        where, value, depth = pending.pop(0)
        if not isinstance(value, dict) or id(value) in seen:
            continue
        seen.add(id(value))
        yield where, value
        if depth < 3:
            for key, inner in list(value.items())[:MOST_TENSORS]:
                pending.append((f"{where}.{key}" if where else str(key), inner, depth + 1))


def _flat(value: dict[Any, Any]) -> dict[str, _Tensor]:
    """The tensors of a dict."""
    if len(value) > MOST_TENSORS:
        raise refuse(f"more than {MOST_TENSORS:,} tensors")
    return {str(key): each for key, each in value.items() if isinstance(each, _Tensor)}

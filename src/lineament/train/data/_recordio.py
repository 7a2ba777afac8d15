"""InsightFace's training sets: ``train.rec`` with ``train.idx``, in MXNet's RecordIO. No MXNet.

A ``.rec`` file is a row of records (MXNet, ``dmlc/recordio.h``), all numbers little-endian:

    uint32  magic, 0xced7230a
    uint32  kind in the upper 3 bits, length in bytes in the lower 29
    ...     so many bytes, then zeros up to a multiple of 4

Kind 0 is a whole record. Where the magic number itself stands at a multiple of 4 in the data, the
record is cut there: kinds 1, 2, ..., 2, 3 are its parts, and the magic between them is left out.

The data of a record (``mxnet.recordio.IRHeader``): uint32 flag, float32 label, uint64 id, uint64
id2; with flag > 0 that many float32 follow, which replace the label; then the photo as a file.

InsightFace: record 0 has no photo; its first label is the number of the record behind the last
photo, its second the one behind the last person. Photos begin at record 1. Each person
has a record too, whose two labels are the first photo and the one behind the last. Sets
without such a record 0 have photos only.

``.idx`` has a line "number<tab>offset" for each record; without it the records are counted. The
file ``property`` has "people,height,width". Names of people are not in these formats: they are read
from ``names.json``, a list, where that file lies beside the others.

A label is a float32: whole numbers above 16,777,216 are rounded by it.
"""

from __future__ import annotations

import json
import math
import os
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lineament.datasets.people_folder import plain
from lineament.errors import DataError
from lineament.files import read_regular
from lineament.images import describe_source
from lineament.train.data._random_access import RandomFile
from lineament.train.data.face_set import read_photo
from lineament.types import Image, IntArray

MAGIC = 0xCED7230A
MOST_LENGTH = (1 << 29) - 1
EXACT = 1 << 24
"""Up to here float32 holds every whole number."""

MOST_NAMES_BYTES = MOST_INDEX_BYTES = 1 << 30

_MAGIC = struct.pack("<I", MAGIC)
_HEAD = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")
_START = struct.Struct("<IIIfQQf")  # both, and the first of several labels
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


@dataclass(frozen=True, eq=False)
class Records:
    """A ``FaceSet`` of a ``.rec`` file.

    Attributes:
        people: P names; the numbers as text where there is no ``names.json``.
        labels: (N,) int64.
        file: the records.
        numbers: (N,) the record of each photo.
        offset: (N,) where it begins.
        notes: sentences on what was left out.
    """

    people: tuple[str, ...]
    labels: IntArray
    file: RandomFile
    numbers: IntArray
    offset: IntArray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.numbers)

    def name(self, index: int) -> str:
        """The file and the record."""
        return f"{self.file}, record {self.numbers[index]}"

    def read(self, index: int) -> Image:
        """The pixels, upright."""
        name = self.name(index)
        data, _ = read_record(self.file, int(self.offset[index]))
        _, _, begin = _header(data, name)
        return read_photo(data[begin:], name)


def read_recordio(path: str | os.PathLike[str]) -> Records:
    """Read which photos a ``.rec`` file has; decodes none of them.

    People are in the order of their numbers in the file, photos in the order of the records.

    Args:
        path: of the ``.rec`` file; ``.idx`` and ``names.json`` are looked for beside it.

    Raises:
        DataError: no such file, a damaged one, labels that are no numbers of people. The message
            says where.
    """
    source = Path(path)
    file = RandomFile(source)
    index = source.with_suffix(".idx")
    if index.is_file():
        numbers, offsets = _read_index(index, file)
    else:
        offsets = np.fromiter(_scan(file), np.int64)
        numbers = np.arange(len(offsets), dtype=np.int64)
    if not len(offsets):
        raise DataError(f"{file}: expected records, found none; the file is empty, copy it anew")
    wanted = _photos(file, numbers, offsets)
    numbers, offsets = numbers[wanted], offsets[wanted]
    labels = np.fromiter(_labels(file, numbers, offsets), np.int64, count=len(numbers))
    # In sets with more than EXACT photos, people's records may look like photos.
    real = labels >= 0
    labels, numbers, offsets = labels[real], numbers[real], offsets[real]
    if not len(labels):
        raise DataError(f"{file}: expected photos, found none")
    known, consecutive = np.unique(labels, return_inverse=True)
    names = _read_names(source.with_name("names.json"))
    if names is not None and known[-1] >= len(names):
        raise DataError(
            f"{describe_source(source.with_name('names.json'))}: expected a name for each of "
            f"{known[-1] + 1:,} people, got {len(names):,}; remove the file to use numbers"
        )
    return Records(
        people=tuple(str(i) if names is None else names[i] for i in known.tolist()),
        labels=consecutive.astype(np.int64),
        file=file,
        numbers=numbers,
        offset=offsets,
    )


def read_record(file: RandomFile, offset: int) -> tuple[bytes, int]:
    """The data of the record at a place, and where the next one begins.

    Raises:
        DataError: there is no record there, or it is damaged.
    """
    parts: list[bytes] = []
    while True:
        kind, length = _head(file, offset, first=not parts)
        parts.append(file.read(offset + 8, length, "a record"))
        offset = _after(file, offset, length)
        if kind in (_WHOLE, _LAST):
            return _MAGIC.join(parts), offset


# --- reading --------------------------------------------------------------------------------------


def _head(file: RandomFile, offset: int, *, first: bool) -> tuple[int, int]:
    """Kind and length of the part of a record at a place."""
    magic, word = _HEAD.unpack(file.read(offset, 8, "the head of a record"))
    kind, length = word >> 29, word & MOST_LENGTH
    if magic != MAGIC or kind not in ((_WHOLE, _FIRST) if first else (_MIDDLE, _LAST)):
        what = "the beginning" if first else "the next part"
        raise DataError(
            f"{file}, at {offset:,}: expected {what} of a record (0x{MAGIC:08x}), got "
            f"0x{magic:08x} of kind {kind}; the file is damaged, or the .idx file is another set's"
        )
    return kind, length


def _after(file: RandomFile, offset: int, length: int) -> int:
    """Where the next part begins. The very last padding may be missing."""
    return min(offset + 8 + length + -length % 4, max(file.size, offset + 8 + length))


def _scan(file: RandomFile) -> Iterator[int]:
    """Where each record begins."""
    offset = 0
    while offset < file.size:
        yield offset
        first = True
        while True:
            kind, length = _head(file, offset, first=first)
            if offset + 8 + length > file.size:
                raise DataError(
                    f"{file}, at {offset:,}: expected a record of {length:,} bytes, but the file "
                    f"has {file.size:,}; it is cut short, copy it anew"
                )
            offset = _after(file, offset, length)
            first = False
            if kind in (_WHOLE, _LAST):
                break


def _read_header(file: RandomFile, offset: int, number: int) -> tuple[int, float, bool]:
    """Flag and first label of a record, and whether it has no photo."""
    if offset + _START.size <= file.size:  # the usual case in one go: there may be millions
        start = file.read(offset, _START.size, "a record")
        magic, word, flag, label, _, _, more = _START.unpack(start)
        end = _HEADER.size + 4 * flag
        whole = magic == MAGIC and word >> 29 == _WHOLE
        if whole and end <= word & MOST_LENGTH <= file.size - offset - 8:
            return flag, more if flag else label, end == word & MOST_LENGTH
    data, _ = read_record(file, offset)
    flag, label, end = _header(data, f"{file}, record {number}")
    return flag, label, end == len(data)


def _header(data: bytes, where: str) -> tuple[int, float, int]:
    """Flag, first label and end of the header of a record, from the record's data."""
    if len(data) < _HEADER.size:
        raise DataError(
            f"{where}: expected a header of {_HEADER.size} bytes, got {len(data)}; the set is "
            "damaged, or not one of photos"
        )
    flag, label, _, _ = _HEADER.unpack_from(data)
    end = _HEADER.size + 4 * flag
    if end > len(data):
        raise DataError(
            f"{where}: expected {flag:,} labels, but the record has {len(data):,} bytes; the set "
            "is damaged"
        )
    if flag:
        (label,) = struct.unpack_from("<f", data, _HEADER.size)
    return flag, label, end


def _labels(file: RandomFile, numbers: IntArray, offsets: IntArray) -> Iterator[int]:
    """Whom each record shows; -1 for one without a photo, where that can be."""
    for number, offset in zip(numbers.tolist(), offsets.tolist(), strict=True):
        flag, label, empty = _read_header(file, offset, number)
        if empty and flag and number >= EXACT:
            yield -1
            continue
        if empty:
            raise DataError(
                f"{file}, record {number}: expected a photo, found none; the set is damaged"
            )
        if not (0 <= label < 2**31 and label == int(label)):  # nor NaN
            raise DataError(
                f"{file}, record {number}: expected the number of a person, got {label}"
            )
        yield int(label)


def _photos(file: RandomFile, numbers: IntArray, offsets: IntArray) -> IntArray:
    """The places in ``numbers``, which are sorted, of the records that hold photos."""
    first, last = int(numbers[0]), int(numbers[-1])
    where = f"{file}, record {first}"
    _, label, empty = _read_header(file, int(offsets[0]), first)
    if first != 0 or not empty:
        return np.arange(len(numbers))
    if not math.isfinite(label) or not 2 <= label <= last + 2:
        raise DataError(
            f"{where}: expected the number of the record behind the last photo (2 to "
            f"{last + 1:,}), got {label}; the set is damaged or has no photos"
        )
    end = int(label)
    found = np.flatnonzero((numbers >= 1) & (numbers < end))
    # In large sets the label is rounded; what is not there is not missed then.
    if len(found) != end - 1 and end <= EXACT:
        wrong = np.flatnonzero(numbers[found] != np.arange(1, len(found) + 1))
        missing = int(wrong[0]) + 1 if len(wrong) else len(found) + 1
        raise DataError(
            f"{file}: expected {end - 1:,} photos, found {len(found):,}; record {missing} "
            "is not there, copy the .rec and .idx files anew"
        )
    return found


def _read_index(path: Path, file: RandomFile) -> tuple[IntArray, IntArray]:
    """The records' numbers, sorted, and their places."""
    shown = describe_source(path)
    try:
        text = read_regular(path, at_most=MOST_INDEX_BYTES)
    except OSError as error:
        raise DataError(f"{shown}: expected a readable file, got: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numbers that are none are a warning
            values = np.fromstring(text.decode("ascii"), np.int64, sep=" ")
    except (ValueError, OverflowError, DeprecationWarning) as error:
        raise DataError(
            f'{shown}: expected lines "number<tab>offset", got something else ({error}); remove '
            "the file to have the records counted"
        ) from error
    table = values[: len(values) // 2 * 2].reshape(-1, 2)
    table = table[np.argsort(table[:, 0], kind="stable")]
    numbers, offsets = table[:, 0].copy(), table[:, 1].copy()
    fits = (numbers >= 0).all() and (offsets >= 0).all() and (offsets < file.size).all()
    if len(values) % 2 or not fits or (np.diff(numbers) == 0).any():
        raise DataError(
            f"{shown}: expected each record's number once, with its place in {file} of "
            f"{file.size:,} bytes; the two do not belong together: remove the .idx file to have "
            "the records counted"
        )
    return numbers, offsets


def _read_names(path: Path) -> list[str] | None:
    if not path.is_file():
        return None
    file = RandomFile(path, keep_open=False)
    if file.size > MOST_NAMES_BYTES:
        raise DataError(f"{file}: expected at most {MOST_NAMES_BYTES:,} bytes, got {file.size:,}")
    try:
        names = json.loads(file.read(0, file.size, "names"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: expected JSON, got: {error}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise DataError(f"{file}: expected a list of names")
    names = [plain(name) for name in names]
    if len(set(names)) != len(names):
        raise DataError(f"{file}: expected each name once; join those people, or rename them")
    return names

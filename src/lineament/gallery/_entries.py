"""The entries of an exported file, read one by one: lines of JSON, or rows of parquet.

The file may come from anybody. No more of it is held than one entry, or a few rows, whatever it
says of itself; an entry that does not fit is named, and the next one is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec
import numpy as np

from lineament.errors import DataError, MissingExtraError, OptionError
from lineament.files import open_regular
from lineament.gallery import values
from lineament.gallery._pages import (
    LONGEST_FOOTER,
    Footer,
    UnfitPagesError,
    read_footer,
    rows_at_once,
)
from lineament.gallery._types import NewSample
from lineament.gallery.consent import Consent, read_consents
from lineament.text import printable, stored
from lineament.types import Contract, Embedding

LONGEST_LINE = 4 << 20
"""Bytes: metadata, a crop and a vector of the longest kinds fit in."""
LONGEST_HEAD = 64 << 10
"""Bytes of the first line."""


class Row(msgspec.Struct):
    """A sample and its person, or a person without samples; a row of a parquet file."""

    person: str
    person_metadata: str  # JSON
    person_created: float
    uid: bytes | None = None
    vector: bytes | None = None
    source: str | None = None
    sha256: bytes | None = None
    face: str | None = None  # JSON: ``values.Seen``
    metadata: str | None = None  # JSON
    added: float | None = None
    crop: bytes | None = None
    source_bytes: bytes | None = None  # of a file's name that is no UTF-8
    person_consents: str | None = None  # JSON: a list of ``gallery.Consent``
    person_kept_until: float | None = None
    person_rejections: str | None = None  # JSON: a list of ``RejectedFace``


ARROW = (
    *("string", "string", "double", "binary", "binary", "string", "binary", "string", "string"),
    *("double", "binary", "binary", "string", "double", "string"),
)
"""The types of these fields in parquet."""


_LATER = ("crop", "source_bytes", "person_consents", "person_kept_until", "person_rejections")
"""Columns that files of earlier versions, or without crops, lack."""


class Entry(NamedTuple):
    """One entry of a file.

    Attributes:
        place: where it is: "line 7", "row 7".
        row: what stands there; None where that cannot be read.
        problem: why not.
        person: whom it is about, if that is known.
    """

    place: str
    row: Row | None
    problem: str = ""
    person: str | None = None


class Checked(NamedTuple):
    """An entry that fits: a person, and the person's sample if there is one."""

    name: str
    metadata: str
    created: float
    uid: bytes | None = None
    sample: NewSample | None = None
    added: float = 0.0
    crop: bytes | None = None
    consents: tuple[Consent, ...] = ()
    kept_until: float | None = None
    rejections: tuple[tuple[NewSample, float], ...] = ()


def checked(row: Row, contract: Contract) -> Checked:
    """An entry of which each value fits.

    Raises:
        OptionError: one does not; the message names it, and says what was expected.
    """
    name = values.checked_name(row.person)
    metadata = values.checked_metadata(_object(row.person_metadata, "metadata"))
    created = _time(row.person_created, "created")
    consents = read_consents("[]" if row.person_consents is None else row.person_consents)
    kept_until = (
        None if row.person_kept_until is None else _time(row.person_kept_until, "kept_until")
    )
    rejections = _rejected(row.person_rejections, contract)
    if row.uid is None:
        if any(one is not None for one in (row.vector, row.sha256, row.crop, row.source_bytes)):
            raise OptionError("expected 16 bytes, got none", option="uid")
        return Checked(
            name,
            metadata,
            created,
            consents=consents,
            kept_until=kept_until,
            rejections=rejections,
        )
    uid = values.checked_bytes(row.uid, 16, "uid")
    vector = values.checked_bytes(row.vector, 4 * contract.dimension, "vector")
    if row.sha256 is not None:
        values.checked_bytes(row.sha256, 32, "sha256")
    if row.source_bytes is not None and len(row.source_bytes) > values.LONGEST_SOURCE:
        raise OptionError(
            f"expected at most {values.LONGEST_SOURCE:,} bytes, got {len(row.source_bytes):,}",
            option="source_bytes",
        )
    named = row.source if row.source_bytes is None else stored(row.source_bytes)
    source = values.checked_source(named)
    seen = values.decode_seen("" if row.face is None else row.face)
    sample_metadata = _object(row.metadata, "metadata of the sample")
    values.checked_metadata(sample_metadata)
    if row.crop is not None:
        values.check_crop(row.crop)
    sample = NewSample(
        Embedding(np.frombuffer(vector, "<f4"), seen.norm, contract),
        source,
        row.sha256,
        seen.face,
        seen.quality,
        metadata=sample_metadata,
    )
    return Checked(
        name,
        metadata,
        created,
        uid,
        sample,
        _time(row.added, "added"),
        row.crop,
        consents,
        kept_until,
        rejections,
    )


class RejectedFace(msgspec.Struct):
    """A negative example of a person; the vector in base64."""

    source: str
    sha256: str | None
    added: float
    vector: bytes


_REJECTED = msgspec.json.Decoder(list[RejectedFace])


def _rejected(text: str | None, contract: Contract) -> tuple[tuple[NewSample, float], ...]:
    """Negative examples, each with its time. OptionError: one of them does not fit."""
    if text is None:
        return ()
    try:
        faces = _REJECTED.decode(text)
        found = []
        for one in faces:
            vector = values.checked_bytes(one.vector, 4 * contract.dimension, "vector")
            sha256 = None if one.sha256 is None else bytes.fromhex(one.sha256)
            if sha256 is not None:
                values.checked_bytes(sha256, 32, "sha256")
            made = Embedding(np.frombuffer(vector, "<f4"), 1.0, contract)
            new = NewSample(made, values.checked_source(one.source), sha256)
            found.append((new, _time(one.added, "added")))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if isinstance(error, OptionError):
            raise
        raise OptionError(printable(str(error))[:200], option="rejections") from error
    if len(found) > values.MOST_REJECTIONS:
        raise OptionError(
            f"expected at most {values.MOST_REJECTIONS}, got {len(found):,}", option="rejections"
        )
    return tuple(found)


def _object(text: str | None, what: str) -> dict[str, Any]:
    found = values.read_metadata("" if text is None else text)
    if found is None:
        raise OptionError("expected a JSON object of names and values", option=what)
    return found


def _time(seconds: object, what: str) -> float:
    try:
        return values.checked_time(seconds)
    except OptionError as error:
        raise OptionError(error.message, option=what) from error


# --- JSON lines -----------------------------------------------------------------------------------


class _Person(msgspec.Struct):
    name: str
    metadata: msgspec.Raw
    created: float
    consents: msgspec.Raw = msgspec.Raw(b"[]")
    kept_until: float | None = None
    rejections: msgspec.Raw = msgspec.Raw(b"[]")


class _Sample(msgspec.Struct):
    person: str
    uid: str
    source: str
    sha256: str | None
    added: float
    face: msgspec.Raw
    metadata: msgspec.Raw
    vector: bytes
    crop: bytes | None = None
    source_bytes: str | None = None


class _Line(msgspec.Struct):
    person: _Person | None = None
    sample: _Sample | None = None


_LINE = msgspec.json.Decoder(_Line)


def head_of_lines(path: Path) -> bytes:
    """The first line. OSError: the file cannot be read, or is none."""
    with open_regular(path) as file:
        return file.readline(LONGEST_HEAD).removeprefix(b"\xef\xbb\xbf")


def read_lines(path: Path) -> Iterator[Entry]:
    """The entries after the first line. OSError: as ``head_of_lines``."""
    person: Row | None = None
    with open_regular(path) as file:
        _pass_over(file, file.readline(LONGEST_HEAD))
        number = 1
        while text := file.readline(LONGEST_LINE + 1):
            number += 1
            place, name = f"line {number}", None
            try:
                if len(text) > LONGEST_LINE:
                    raise OptionError(f"expected at most {LONGEST_LINE:,} bytes, got more")
                if not text.endswith(b"\n"):
                    raise OptionError("it is cut short")
                line = _LINE.decode(text)
                if line.person is not None:
                    name = line.person.name
                    about = bytes(line.person.metadata).decode()
                    person = Row(
                        name,
                        about,
                        line.person.created,
                        person_consents=bytes(line.person.consents).decode(),
                        person_kept_until=line.person.kept_until,
                        person_rejections=bytes(line.person.rejections).decode(),
                    )
                    yield Entry(place, person, person=name)
                    continue
                if line.sample is None:
                    raise OptionError("it is neither a person nor a sample of one")
                name = line.sample.person
                if person is None or name != person.person:
                    raise OptionError("it is no sample of the person before it")
                yield Entry(place, _sample_row(line.sample, person), person=name)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                yield Entry(place, None, printable(str(error))[:300], name)
            _pass_over(file, text)


def _pass_over(file: BinaryIO, text: bytes) -> None:
    """Leave out the rest of a line of which the beginning was read."""
    while text and not text.endswith(b"\n"):
        text = file.readline(1 << 20)


def _sample_row(sample: _Sample, person: Row) -> Row:
    return Row(
        person.person,
        person.person_metadata,
        person.person_created,
        bytes.fromhex(sample.uid),
        sample.vector,
        sample.source,
        None if sample.sha256 is None else bytes.fromhex(sample.sha256),
        bytes(sample.face).decode(),
        bytes(sample.metadata).decode(),
        sample.added,
        sample.crop,
        None if sample.source_bytes is None else bytes.fromhex(sample.source_bytes),
        person.person_consents,
        person.person_kept_until,
        person.person_rejections,
    )


# --- parquet --------------------------------------------------------------------------------------

_TYPES = {
    "string": {"string", "large_string"},
    "binary": {"binary", "large_binary"},
    "double": {"double", "float"},
}
"""What other programs make of them when they write such a file anew."""


def arrow() -> tuple[Any, Any]:
    """``pyarrow`` and its parquet. MissingExtraError: it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("exchanging Parquet files", "parquet") from error
    return pyarrow, pyarrow.parquet


def head_of_parquet(path: Path) -> bytes:
    """What stands in the place of the first line.

    Raises:
        OSError: the file cannot be read, or is none.
        DataError: it is damaged.
    """
    arrow()
    with open_regular(path) as file:
        head = _footer(path, file).metadata.get(b"lineament", b"null")
        return head if len(head) <= LONGEST_HEAD else b"null"


def read_parquet(path: Path) -> Iterator[Entry]:
    """The entries; raises as ``head_of_parquet``."""
    with open_regular(path) as file:
        footer = _footer(path, file)
        opened, columns = _opened(path, file, footer)
        first = 1
        for number, group in enumerate(footer.groups):
            after = first + group.rows
            try:
                size = rows_at_once(file, group, {*columns})
                for batch in opened.iter_batches(
                    size, row_groups=[number], columns=columns, use_threads=False
                ):
                    for at in range(batch.num_rows):
                        yield _entry_of(batch, at, first)
                        first += 1
            except MemoryError:
                raise DataError(f"{path}: there is not enough memory to read it") from None
            except Exception as error:  # pyarrow has many kinds, and not all are its own
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # the system's
                place = f"row {first}" if first + 1 == after else f"rows {first} to {after - 1}"
                yield Entry(place, None, _reason(error))
            first = after


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:300]


def _entry_of(batch: Any, at: int, number: int) -> Entry:
    found: dict[str, Any] = {}
    try:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            found[name] = column[at].as_py()
        row = msgspec.convert(found, Row)
    except (msgspec.ValidationError, UnicodeDecodeError, ValueError) as error:
        name = found.get("person")
        return Entry(f"row {number}", None, printable(str(error))[:300], name)
    return Entry(f"row {number}", row, person=row.person)


def _footer(path: Path, file: BinaryIO) -> Footer:
    try:
        return read_footer(file)
    except UnfitPagesError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: expected the export of a gallery, got a damaged one ({_reason(error)}): export "
        "it again"
    )


def _opened(path: Path, file: BinaryIO, footer: Footer) -> tuple[Any, list[str]]:
    """The file as pyarrow has it, and which of its columns are ours.

    DataError: it is damaged, or they are of other kinds, or missing.
    """
    parquet = arrow()[1]
    file.seek(0)
    try:
        opened = parquet.ParquetFile(
            file,
            pre_buffer=False,
            buffer_size=1 << 16,
            thrift_string_size_limit=LONGEST_FOOTER,
            thrift_container_size_limit=1_000_000,
        )
        there = [(field.name, str(field.type)) for field in opened.schema_arrow]
    except Exception as error:  # pyarrow has many kinds, and not all are its own
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's
        raise _damaged(path, error) from error
    kinds = dict(there)
    problems = []
    for name, kind in zip(Row.__struct_fields__, ARROW, strict=True):
        got = kinds.get(name)
        if got is None and name in _LATER:
            continue
        if got not in _TYPES[kind] or sum(other == name for other, _ in there) > 1:
            problems.append(f"{name}: {kind}, got {got if got else 'none'}")
    if footer.rows > os.fstat(file.fileno()).st_size:
        problems.append(f"fewer rows than {footer.rows:,}")
    if problems:
        words = printable("; ".join(problems))[:300]
        raise DataError(f"{path}: expected the export of a gallery, with {words}: export it again")
    return opened, [name for name in Row.__struct_fields__ if name in kinds]

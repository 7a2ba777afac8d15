"""A gallery as one file, JSON lines or parquet, and back.

JSON lines: the first line is ``{"lineament": "gallery", "version": 1, "contract": {...}}``; then
``{"person": {...}}`` before the first of the person's ``{"sample": {...}}``. Vectors and crops are
base64 of little-endian float32 and of PNG. Parquet: one row a sample, or a person without samples;
the first line's object stands in the file's metadata under ``lineament``.

Samples have ids that are unique over all galleries, so that what was imported once is known.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from lineament import forms
from lineament.errors import (
    DataError,
    GalleryError,
    LineamentError,
    MissingExtraError,
    OptionError,
)
from lineament.files import replacing
from lineament.gallery import _checking as checking
from lineament.gallery import _editing as editing
from lineament.gallery import lookup, values
from lineament.gallery._damage import LEAST_ID
from lineament.gallery._schema import log_change
from lineament.gallery._store import Store
from lineament.gallery._types import ImportReport, NewSample, PersonInfo
from lineament.text import printable, stored
from lineament.types import Contract, Embedding

VERSION = 1
SUFFIXES = (".jsonl", ".parquet")
_PEOPLE, _SAMPLES = 1024, 64
"""Read at once."""
ROWS = 4096
"""Of a parquet file's row group."""


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

    @property
    def name(self) -> str | None:
        """The photo's true name."""
        return self.source if self.source_bytes is None else stored(self.source_bytes)


_ARROW = (
    *("string", "string", "double", "binary", "binary", "string", "binary", "string", "string"),
    *("double", "binary", "binary"),
)
"""The types of these fields in parquet."""


class _Person(msgspec.Struct):
    name: str
    metadata: msgspec.Raw
    created: float


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


def checked_suffix(path: Path) -> str:
    """The ending, which says how people are written: ".jsonl" or ".parquet"; else OptionError."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OptionError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")
    return suffix


def export(store: Store, path: Path, *, crops: bool) -> int:
    """Write people and samples to a file; how many samples."""
    writer = {".jsonl": _write_lines, ".parquet": _write_parquet}[checked_suffix(path)]
    head = {"lineament": "gallery", "version": VERSION, "contract": asdict(store.contract)}
    try:
        with store.reading(), replacing(path, durable=True) as file:
            lookup.note_lost(store)
            return writer(file, head, _rows(store, crops))
    except OSError as error:
        raise OptionError(
            f"{path}: cannot be written ({error.strerror}): name a file in a folder that exists "
            "and that you may write to"
        ) from error


def import_(store: Store, path: Path) -> tuple[ImportReport, list[str]]:
    """Add what ``export`` wrote, all or nothing; samples that are there already stay.

    Returns:
        What was done, and the names of the people who got a sample.
    """
    store.contract.check(contract_in(path))
    read = _read_lines if path.suffix.lower() == ".jsonl" else _read_parquet
    try:
        return _add_all(store, read(path), path)
    except OSError as error:
        raise _unreadable(path, error) from error


def contract_in(path: Path) -> Contract:
    """The contract of an exported file, of which only the head is read.

    Raises:
        OptionError: another suffix, or the file cannot be read.
        DataError: it is no export, or of another version.
        MissingExtraError: parquet without pyarrow.
    """
    read = {".jsonl": _head_of_lines, ".parquet": _head_of_parquet}[checked_suffix(path)]
    try:
        head = msgspec.json.decode(read(path))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (msgspec.DecodeError, RecursionError):
        head = None
    if not isinstance(head, dict) or head.get("lineament") != "gallery":
        kind = forms.kind_of(path.read_bytes()[: 1 << 20])
        raise DataError(
            f"{path}: expected the export of a gallery, got "
            f"{'something else' if kind is None else kind}"
        )
    if head.get("version") != VERSION:
        raise DataError(
            f"{path}: expected an export of version {VERSION}, got {head.get('version')!r}: update "
            "lineament, or export it again"
        )
    return forms.convert(head.get("contract"), Contract, what=f"{path}: the contract is damaged")


def _unreadable(path: Path, error: OSError) -> OptionError:
    return OptionError(
        f"{path}: cannot be read ({error.strerror})", hint="check the path and its rights"
    )


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: expected the export of a gallery, got a damaged one ({error}): export it again; "
        "nothing was imported"
    )


# --- rows -----------------------------------------------------------------------------------------


def _rows(store: Store, crops: bool) -> Iterator[Row]:
    """People and samples, by person; people without samples have a row without a sample.

    What is damaged, and what stands in a damaged place of the file, is passed over and noted.
    """
    connection = store.connection
    persons, samples = lookup.owned_samples(store)
    after = LEAST_ID
    while True:
        numbers = [
            row[0]
            for row in connection.execute(
                "SELECT id FROM people WHERE id > ? ORDER BY id LIMIT ?", (after, _PEOPLE)
            ).fetchall()
        ]
        if not numbers:
            return
        after = numbers[-1]
        found = lookup.people_of(store, numbers)
        sound = {one.id: one for one in found if one.id not in store.damage.people}
        first = np.searchsorted(persons, numbers[0])
        last = np.searchsorted(persons, numbers[-1], side="right")
        owned = zip(persons[first:last].tolist(), samples[first:last].tolist(), strict=True)
        with_samples = set()
        for number, row in _sample_rows(store, sound, [*owned], crops):
            with_samples.add(number)
            yield row
        for number in sorted(set(sound) - with_samples):
            yield Row(*_about(sound[number]))


def _about(person: PersonInfo) -> tuple[str, str, float]:
    return person.name, json.dumps(person.metadata, ensure_ascii=False), person.created


def _sample_rows(
    store: Store, people: Mapping[int, PersonInfo], owned: Sequence[tuple[int, int]], crops: bool
) -> Iterator[tuple[int, Row]]:
    """The sound samples of people, by person: whose it is, and the row."""
    connection = store.connection
    for start in range(0, len(owned), _SAMPLES):
        some = owned[start : start + _SAMPLES]
        sound = checking.note_samples(store, sorted(sample for _, sample in some))
        rows = connection.execute(
            "SELECT s.id, s.uid, v.vector, s.source, s.sha256, s.face, s.metadata, s.added, "
            f"{'c.png' if crops else 'NULL'} FROM samples s JOIN vectors v ON v.sample = s.id "
            "LEFT JOIN crops c ON c.sample = s.id WHERE s.id IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(sound)),),
        )
        by_sample = {sample: values for sample, *values in rows}
        for person, sample in some:
            if sample not in by_sample or person not in people:
                continue
            row = Row(*_about(people[person]), *by_sample[sample])
            if isinstance(row.source, bytes):  # a file's name that is no UTF-8
                row.source, row.source_bytes = printable(stored(row.source)), row.source
            yield person, row


def _add_all(store: Store, rows: Iterator[Row], path: Path) -> tuple[ImportReport, list[str]]:
    new_people = new_samples = known = 0
    touched: dict[str, None] = {}
    with store.writing() as connection:
        people: dict[str, int] = {}
        run: list[int] = []
        for number, row in enumerate(rows, 1):
            try:
                name = values.checked_name(row.person)
                if name not in people:
                    found = lookup.find_person(store, name)
                    if found is None:
                        metadata = values.checked_metadata(json.loads(row.person_metadata))
                        found = editing.add_person(
                            store, connection, name, metadata, row.person_created
                        )
                        new_people += 1
                    people[name] = found
                if row.uid is None:
                    continue
                added = _add_row(store, connection, people[name], row.uid, row)
            except GalleryError:
                raise
            except (OptionError, DataError, ValueError, TypeError) as error:
                raise DataError(
                    f"{path}: entry {number} is damaged ({error}): export it again; nothing was "
                    "imported"
                ) from error
            if added is None:
                known += 1
            else:
                new_samples += 1
                touched[name] = None
                run.append(added)
        if run:
            log_change(connection, "added", run[0], run[-1])
    return ImportReport(new_people, new_samples, known), list(touched)


def _add_row(
    store: Store, connection: sqlite3.Connection, person: int, uid: bytes, row: Row
) -> int | None:
    """Add a sample to a person; its id, or None when it is there already."""
    if len(uid) != 16:
        raise DataError(f"uid: expected 16 bytes, got {len(uid)}")
    there = connection.execute(
        "SELECT 1 FROM uids WHERE uid = ? AND contract = ?", (uid, store.contract_id)
    ).fetchone()
    if there is not None:
        return None
    if row.vector is None or row.source is None or row.added is None:
        raise DataError("expected a vector, a source and a time, got none")
    seen = forms.decode(row.face or "", values.Seen, what="face")
    new = NewSample(
        Embedding(np.frombuffer(row.vector, "<f4"), seen.norm, store.contract),
        row.name or "",
        row.sha256,
        seen.face,
        seen.quality,
        metadata=json.loads(row.metadata or ""),
    )
    return editing.add_sample(
        store,
        connection,
        person,
        store.contract_id,
        new,
        uid=uid,
        added=row.added,
        png=row.crop if store.settings.keep_crops else None,
    )


# --- files ----------------------------------------------------------------------------------------


def _write_lines(file: BinaryIO, head: dict[str, Any], rows: Iterator[Row]) -> int:
    count = 0

    def line(value: dict[str, Any]) -> None:
        file.write(json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    line(head)
    last = None
    for row in rows:
        if row.person != last:
            last = row.person
            metadata = json.loads(row.person_metadata)
            line({"person": {"name": last, "metadata": metadata, "created": row.person_created}})
        if row.uid is None:
            continue
        count += 1
        sample = {
            "person": last,
            "uid": row.uid.hex(),
            "source": row.source,
            "sha256": None if row.sha256 is None else row.sha256.hex(),
            "added": row.added,
            "face": json.loads(row.face or "null"),
            "metadata": json.loads(row.metadata or "null"),
            "vector": base64.b64encode(row.vector or b"").decode(),
        }
        if row.source_bytes is not None:
            sample["source_bytes"] = row.source_bytes.hex()
        if row.crop is not None:
            sample["crop"] = base64.b64encode(row.crop).decode()
        line({"sample": sample})
    return count


def _head_of_lines(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline()


def _read_lines(path: Path) -> Iterator[Row]:
    decoder = msgspec.json.Decoder(_Line)
    person: Row | None = None
    with path.open("rb") as file:
        file.readline()
        for number, text in enumerate(file, 2):
            try:
                value = decoder.decode(text)
                if not text.endswith(b"\n"):
                    raise DataError(f"{path}: line {number} is cut short: export it again")
                one, sample = value.person, value.sample
                if one is not None:
                    person = Row(one.name, bytes(one.metadata).decode(), one.created)
                    yield person
                elif sample is not None and person is not None and sample.person == person.person:
                    yield _sample_row(sample, person)
                else:
                    raise DataError(
                        f"{path}: line {number} is neither a person nor a sample of one: "
                        "export it again; nothing was imported"
                    )
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                if isinstance(error, LineamentError):
                    raise
                raise _damaged(path, error) from error


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
    )


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("exchanging Parquet files", "parquet") from error
    return pyarrow, pyarrow.parquet


def _write_parquet(file: BinaryIO, head: dict[str, Any], rows: Iterator[Row]) -> int:
    arrow, parquet = _arrow()
    count = 0
    schema = arrow.schema(
        [
            (name, arrow.type_for_alias(kind))
            for name, kind in zip(Row.__struct_fields__, _ARROW, strict=True)
        ],
        metadata={"lineament": json.dumps(head)},
    )
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        block: list[dict[str, Any]] = []
        for row in rows:
            count += row.uid is not None
            block.append(msgspec.structs.asdict(row))
            if len(block) >= ROWS:
                writer.write_table(arrow.Table.from_pylist(block, schema=schema))
                block = []
        writer.write_table(arrow.Table.from_pylist(block, schema=schema))
    return count


def _head_of_parquet(path: Path) -> bytes:
    arrow, parquet = _arrow()
    try:
        with path.open("rb") as file:
            return bytes((parquet.read_schema(file).metadata or {}).get(b"lineament", b"null"))
    except arrow.ArrowException as error:
        raise _damaged(path, error) from error


def _read_parquet(path: Path) -> Iterator[Row]:
    arrow, parquet = _arrow()
    try:
        with path.open("rb") as raw, parquet.ParquetFile(raw) as file:
            for batch in file.iter_batches(ROWS):
                yield from msgspec.convert(batch.to_pylist(), list[Row])
    except (arrow.ArrowException, msgspec.ValidationError) as error:
        raise _damaged(path, error) from error

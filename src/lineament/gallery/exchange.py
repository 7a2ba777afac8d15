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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from lineament import forms
from lineament.errors import ConsentError, DataError, OptionError
from lineament.files import open_regular, replacing
from lineament.gallery import _checking as checking
from lineament.gallery import _editing as editing
from lineament.gallery import _rejections as rejecting
from lineament.gallery import _terms as terms
from lineament.gallery import lookup
from lineament.gallery._damage import pages
from lineament.gallery._entries import (
    ARROW,
    Checked,
    Entry,
    Row,
    arrow,
    checked,
    head_of_lines,
    head_of_parquet,
    read_lines,
    read_parquet,
)
from lineament.gallery._schema import log_change
from lineament.gallery._store import Store
from lineament.gallery._types import DamagedEntry, ImportReport, OnDamaged, PersonInfo
from lineament.gallery.values import LONGEST_NAME
from lineament.text import in_short, printable, stored
from lineament.types import Contract

VERSION = 1
SUFFIXES = (".jsonl", ".parquet")
_SAMPLES = 64
"""Read at once."""
ROWS, ROWS_BYTES = 4096, 32 << 20
"""Of a parquet file's row group."""
MOST_NAMED = 1000
"""Entries of a file that do not fit, in a report; of the others it is said how many they are."""


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


def import_(
    store: Store, path: Path, *, damaged: OnDamaged = "refuse"
) -> tuple[ImportReport, list[str]]:
    """Add what ``export`` wrote; samples that are there already stay.

    Args:
        store: of the gallery.
        path: of the file; it may come from anybody.
        damaged: "refuse" adds all or nothing, "skip" what fits.

    Returns:
        What was done, and the names of the people who got a sample.
    """
    store.contract.check(contract_in(path))
    read = read_lines if path.suffix.lower() == ".jsonl" else read_parquet
    try:
        return add_all(store, read(path), path, damaged)
    except OSError as error:
        raise _unreadable(path, error) from error


def contract_in(path: Path) -> Contract:
    """The contract of an exported file, of which only the head is read.

    Raises:
        OptionError: another suffix, or the file cannot be read.
        DataError: it is no export, or of another version.
        MissingExtraError: parquet without pyarrow.
    """
    read = {".jsonl": head_of_lines, ".parquet": head_of_parquet}[checked_suffix(path)]
    try:
        head = msgspec.json.decode(read(path))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (msgspec.DecodeError, RecursionError):
        head = None
    if not isinstance(head, dict) or head.get("lineament") != "gallery":
        with open_regular(path) as file:
            kind = forms.kind_of(file.read(1 << 20))
        raise DataError(
            f"{path}: expected the export of a gallery, got "
            f"{'something else' if kind is None else kind}"
        )
    if head.get("version") != VERSION:
        raise DataError(
            f"{path}: expected an export of version {VERSION}, got "
            f"{in_short(head.get('version'))}: update lineament, or export it again"
        )
    return forms.convert(head.get("contract"), Contract, what=f"{path}: the contract is damaged")


def _unreadable(path: Path, error: OSError) -> OptionError:
    return OptionError(
        f"{path}: cannot be read ({error.strerror})", hint="check the path and its rights"
    )


# --- rows -----------------------------------------------------------------------------------------


def _rows(store: Store, crops: bool) -> Iterator[Row]:
    """People and samples, by person; people without samples have a row without a sample.

    What is damaged, and what stands in a damaged place of the file, is passed over and noted.
    """
    persons, samples = lookup.owned_samples(store)
    gone = lookup.expired(store)
    for numbers in pages(partial(lookup.next_people, store)):
        found = [one for one in lookup.people_of(store, numbers) if one.id not in gone]
        sound = {one.id: one for one in found if one.id not in store.damage.people}
        first = np.searchsorted(persons, numbers[0])
        last = np.searchsorted(persons, numbers[-1], side="right")
        owned = zip(persons[first:last].tolist(), samples[first:last].tolist(), strict=True)
        with_samples = set()
        for number, row in _sample_rows(store, sound, [*owned], crops):
            if number not in with_samples:
                row.person_rejections = _rejected(store, sound[number])
            with_samples.add(number)
            yield row
        for number in sorted(set(sound) - with_samples):
            row = _about(sound[number])
            row.person_rejections = _rejected(store, sound[number])
            yield row


def _about(person: PersonInfo, *values: Any) -> Row:
    """A row of a person, and of a sample with those values."""
    metadata = json.dumps(person.metadata, ensure_ascii=False)
    row = Row(person.name, metadata, person.created, *values)
    if person.consents:
        records = [one.to_dict() for one in person.consents]
        row.person_consents = json.dumps(records, ensure_ascii=False)
    row.person_kept_until = person.kept_until
    return row


def _rejected(store: Store, person: PersonInfo) -> str | None:
    """The negative examples of a person, in the person's first row; None: there are none."""
    found = rejecting.exported(store, person)
    return json.dumps(found) if found else None


def _sample_rows(
    store: Store, people: Mapping[int, PersonInfo], owned: Sequence[tuple[int, int]], crops: bool
) -> Iterator[tuple[int, Row]]:
    """The sound samples of people, by person: whose it is, and the row."""
    connection = store.connection
    for start in range(0, len(owned), _SAMPLES):
        some = owned[start : start + _SAMPLES]
        sound = checking.note_samples(store, sorted(sample for _, sample in some))
        wanted = ("v.vector", "s.source", "s.sha256", "s.face", "s.metadata")
        rows = connection.execute(
            f"SELECT s.id, s.uid, {', '.join(map(store.column, wanted))}, s.added, "
            f"{store.column('x.png') if crops else 'NULL'} FROM samples s JOIN vectors v ON "
            "v.sample = s.id LEFT JOIN crops x ON x.sample = s.id WHERE s.id IN "
            "(SELECT value FROM json_each(?))",
            (json.dumps(sorted(sound)),),
        )
        by_sample = {sample: values for sample, *values in rows}
        for person, sample in some:
            if sample not in by_sample or person not in people:
                continue
            row = _about(people[person], *by_sample[sample])
            if isinstance(row.source, bytes):  # a file's name that is no UTF-8
                row.source, row.source_bytes = printable(stored(row.source)), row.source
            yield person, row


def add_all(
    store: Store, entries: Iterable[Entry], path: Path, damaged: OnDamaged
) -> tuple[ImportReport, list[str]]:
    """Add entries of a file, all in one transaction; arguments and result as ``import_``."""
    new_people = new_samples = known = n_damaged = 0
    touched: dict[str, None] = {}
    passed_over: list[DamagedEntry] = []
    with store.writing() as connection:
        people: dict[str, int] = {}
        run: list[int] = []
        for entry in entries:
            try:
                if entry.row is None:
                    raise OptionError(entry.problem)
                one = checked(entry.row, store.contract)
                if one.name not in people:
                    people[one.name], new = _imported(store, connection, one)
                    new_people += new
            except (OptionError, ConsentError) as error:
                which = DamagedEntry(entry.place, _shown(entry.person), str(error))
                if damaged == "refuse":
                    raise DataError(
                        f"{path}: {which}; nothing was imported",
                        hint="export it again, or {skip_damaged}",
                    ) from error
                n_damaged += 1
                if len(passed_over) < MOST_NAMED:
                    passed_over.append(which)
                continue
            if one.uid is None or one.sample is None:
                continue
            if _is_known(store, connection, one.uid):
                known += 1
                continue
            added = editing.add_sample(
                store,
                connection,
                people[one.name],
                store.contract_id,
                one.sample,
                uid=one.uid,
                added=one.added,
                png=one.crop if store.settings.keep_crops else None,
            )
            new_samples += 1
            touched[one.name] = None
            run.append(added)
        if run:
            log_change(connection, "added", run[0], run[-1])
    report = ImportReport(
        new_people, new_samples, known, n_damaged=n_damaged, damaged=tuple(passed_over)
    )
    return report, list(touched)


def _imported(store: Store, connection: sqlite3.Connection, one: Checked) -> tuple[int, bool]:
    """The person of an entry, with what the entry says of consents; whether the person is new.

    ConsentError: the gallery takes nobody without one.
    """
    number = lookup.find_person(store, one.name)
    person = None if number is None else lookup.one_person(store, number)
    known = None if person is None else person.consents
    if not one.consents or known:
        terms.check_enrolled(store.settings, one.name, person, None)
    for consent in one.consents:
        terms.check_consent(store.settings, consent, one.name)
    new = number is None
    if number is None:
        number = editing.add_person(store, connection, one.name, one.metadata, one.created)
    for consent in one.consents:
        terms.add_consent(store, connection, number, consent)
    for rejected, added in one.rejections:
        rejecting.add(store, connection, number, rejected, added=added)
    ends = [one.kept_until, None if person is None else person.kept_until]
    end = min((each for each in ends if each is not None), default=None)
    if one.kept_until is not None and end != (None if person is None else person.kept_until):
        terms.keep_until(store, connection, number, end)
    return number, new


def _shown(name: object) -> str | None:
    return in_short(name, LONGEST_NAME, quoted=False) if isinstance(name, str) else None


def _is_known(store: Store, connection: sqlite3.Connection, uid: bytes) -> bool:
    found = connection.execute(
        "SELECT 1 FROM uids WHERE uid = ? AND contract = ?", (uid, store.contract_id)
    )
    return found.fetchone() is not None


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
            person = {"name": last, "metadata": metadata, "created": row.person_created}
            if row.person_consents is not None:
                person["consents"] = json.loads(row.person_consents)
            if row.person_kept_until is not None:
                person["kept_until"] = row.person_kept_until
            if row.person_rejections is not None:
                person["rejections"] = json.loads(row.person_rejections)
            line({"person": person})
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


def _write_parquet(file: BinaryIO, head: dict[str, Any], rows: Iterator[Row]) -> int:
    pyarrow, parquet = arrow()
    count = 0
    schema = pyarrow.schema(
        [
            (name, pyarrow.type_for_alias(kind))
            for name, kind in zip(Row.__struct_fields__, ARROW, strict=True)
        ],
        metadata={"lineament": json.dumps(head)},
    )
    # Few values at a time: what a page holds is looked at after each such piece.
    with parquet.ParquetWriter(file, schema, compression="zstd", write_batch_size=32) as writer:
        block: list[dict[str, Any]] = []
        size = 0
        for row in rows:
            count += row.uid is not None
            block.append(msgspec.structs.asdict(row))
            size += sum(len(value) for value in (row.vector, row.crop) if value is not None)
            if len(block) >= ROWS or size >= ROWS_BYTES:
                writer.write_table(pyarrow.Table.from_pylist(block, schema=schema))
                block, size = [], 0
        writer.write_table(pyarrow.Table.from_pylist(block, schema=schema))
    return count

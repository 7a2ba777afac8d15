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
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lineament.errors import DataError, LineamentError, MissingExtraError, OptionError
from lineament.gallery import editing, lookup
from lineament.gallery.schema import log_change
from lineament.gallery.store import Store
from lineament.gallery.types import ImportReport, NewSample
from lineament.types import Contract, Embedding, Quality

VERSION = 1
ROWS = 4096
"""Of a parquet file's row group."""

_FIELDS = (
    ("person", "string"),
    ("person_metadata", "string"),
    ("person_created", "double"),
    ("uid", "binary"),
    ("vector", "binary"),
    ("source", "string"),
    ("sha256", "binary"),
    ("face", "string"),
    ("metadata", "string"),
    ("added", "double"),
    ("crop", "binary"),
)
Row = dict[str, Any]


def export(store: Store, path: Path, *, crops: bool) -> int:
    """Write people and samples to a file; how many samples."""
    writer = {".jsonl": _write_lines, ".parquet": _write_parquet}.get(path.suffix.lower())
    if writer is None:
        raise OptionError(f"{path}: expected a name ending in .jsonl or .parquet")
    with store.reading(), _replacing(path) as beside:
        head = {"lineament": "gallery", "version": VERSION, "contract": asdict(store.contract)}
        return writer(beside, head, _rows(store, crops))


def import_(store: Store, path: Path) -> ImportReport:
    """Add what ``export`` wrote, all or nothing; samples that are there already stay."""

    def check(head: Any) -> None:
        store.contract.check(_contract_of(head, path))

    with _reading(path) as read:
        return _add_all(store, read(path, check), path)


def contract_in(path: Path) -> Contract:
    """Read the contract of an exported file; the rest of it is checked when it is imported.

    Raises:
        OptionError: the file cannot be read, or has another ending.
        DataError: it is no export.
    """
    found: list[Contract] = []
    with _reading(path) as read:
        for _ in read(path, lambda head: found.append(_contract_of(head, path))):
            break
    return found[0]


@contextmanager
def _reading(path: Path) -> Iterator[Callable[[Path, Callable[[Any], None]], Iterator[Row]]]:
    reader = {".jsonl": _read_lines, ".parquet": _read_parquet}.get(path.suffix.lower())
    if reader is None:
        raise OptionError(f"{path}: expected a name ending in .jsonl or .parquet")
    try:
        yield reader
    except OSError as error:
        raise OptionError(
            f"{path}: cannot be read ({error.strerror})", hint="check the path and its rights"
        ) from error


# --- rows -----------------------------------------------------------------------------------------


def _rows(store: Store, crops: bool) -> Iterator[Row]:
    """People and samples, by person; people without samples have a row without a sample."""
    png = "c.png" if crops else "NULL"
    cursor = store.connection.execute(
        "SELECT l.name, l.metadata, p.created, s.uid, v.vector, s.source, s.sha256, s.face, "
        f"s.metadata, s.added, {png} FROM people p JOIN labels l ON l.id = p.label "
        "LEFT JOIN owners o ON o.person = p.id AND o.contract = ? LEFT JOIN samples s ON "
        "s.id = o.sample LEFT JOIN vectors v ON v.sample = o.sample LEFT JOIN crops c ON "
        "c.sample = o.sample ORDER BY p.id, o.sample",
        (store.contract_id,),
    )
    names = [name for name, _ in _FIELDS]
    for values in cursor:
        yield dict(zip(names, values, strict=True))


def _add_all(store: Store, rows: Iterator[Row], path: Path) -> ImportReport:
    new_people = new_samples = known = 0
    with store.writing() as connection:
        people: dict[str, int] = {}
        run: list[int] = []
        for number, row in enumerate(rows, 1):
            try:
                name = lookup.checked_name(row["person"])
                if name not in people:
                    found = lookup.find_person(store, name)
                    if found is None:
                        metadata = lookup.checked_metadata(json.loads(row["person_metadata"]))
                        found = editing.add_person(
                            store, connection, name, metadata, float(row["person_created"])
                        )
                        new_people += 1
                    people[name] = found
                if row["uid"] is None:
                    continue
                added = _add_row(store, connection, people[name], row)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                if isinstance(error, LineamentError) and not isinstance(error, OptionError):
                    raise
                raise DataError(
                    f"{path}: entry {number} is damaged ({error}): export it again; nothing was "
                    "imported"
                ) from error
            if added is None:
                known += 1
            else:
                new_samples += 1
                run.append(added)
        if run:
            log_change(connection, "added", run[0], run[-1])
    return ImportReport(new_people, new_samples, known)


def _add_row(store: Store, connection: sqlite3.Connection, person: int, row: Row) -> int | None:
    uid = bytes(row["uid"])
    if len(uid) != 16:
        raise DataError(f"uid: expected 16 bytes, got {len(uid)}")
    there = connection.execute(
        "SELECT 1 FROM uids WHERE uid = ? AND contract = ?", (uid, store.contract_id)
    ).fetchone()
    if there is not None:
        return None
    seen = json.loads(row["face"])
    quality = None
    if seen.get("quality") is not None:
        quality = Quality(**seen["quality"])
    vector = np.frombuffer(row["vector"], "<f4")
    new = NewSample(
        Embedding(vector, float(seen["norm"]), store.contract),
        str(row["source"]),
        None if row["sha256"] is None else bytes(row["sha256"]),
        lookup.face_of(row["face"]),
        quality,
        metadata=json.loads(row["metadata"]),
    )
    kept = store.settings.keep_crops and row["crop"] is not None
    png = bytes(row["crop"]) if kept else None
    return editing.add_sample(
        store,
        connection,
        person,
        store.contract_id,
        new,
        uid=uid,
        added=float(row["added"]),
        png=png,
    )


def _contract_of(head: Any, path: Path) -> Contract:
    if not isinstance(head, dict) or head.get("lineament") != "gallery":
        raise DataError(f"{path}: expected the export of a gallery, got something else")
    if head.get("version") != VERSION:
        raise DataError(
            f"{path}: expected an export of version {VERSION}, got {head.get('version')!r}: update "
            "lineament, or export it again"
        )
    try:
        return Contract(**head["contract"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: the contract is damaged", hint="export it again") from error


# --- files ----------------------------------------------------------------------------------------


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path beside; what was written there takes the other's place, on the disk, at the end."""
    beside = path.parent / f".lineament-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        try:
            yield beside
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OptionError(
            f"{path}: cannot be written ({error.strerror}): name a file in a folder that exists "
            "and that you may write to"
        ) from error


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def _write_lines(path: Path, head: Row, rows: Iterator[Row]) -> int:
    count = 0
    with path.open("x", encoding="utf-8", newline="\n") as file:

        def line(value: Row) -> None:
            file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")

        line(head)
        last = None
        for row in rows:
            if row["person"] != last:
                last = row["person"]
                metadata = json.loads(row["person_metadata"])
                created = row["person_created"]
                line({"person": {"name": last, "metadata": metadata, "created": created}})
            if row["uid"] is None:
                continue
            count += 1
            sample = {
                "person": last,
                "uid": row["uid"].hex(),
                "source": row["source"],
                "sha256": None if row["sha256"] is None else row["sha256"].hex(),
                "added": row["added"],
                "face": json.loads(row["face"]),
                "metadata": json.loads(row["metadata"]),
                "vector": _text(row["vector"]),
            }
            if row["crop"] is not None:
                sample["crop"] = _text(row["crop"])
            line({"sample": sample})
    return count


def _read_lines(path: Path, check: Callable[[Any], None]) -> Iterator[Row]:
    empty: Row = {name: None for name, _ in _FIELDS}
    people: dict[str, Row] = {}
    with path.open(encoding="utf-8") as file:
        try:
            check(json.loads(file.readline() or "null"))
            for number, text in enumerate(file, 2):
                value = json.loads(text)
                if not text.endswith("\n"):
                    raise DataError(f"{path}: line {number} is cut short: export it again")
                if "person" in value:
                    person = value["person"]
                    row = {
                        "person": person["name"],
                        "person_metadata": json.dumps(person["metadata"]),
                        "person_created": person["created"],
                    }
                    people = {person["name"]: row}
                    yield {**empty, **row}
                    continue
                sample = value["sample"]
                digest = sample["sha256"]
                yield {
                    **people[sample["person"]],
                    "uid": bytes.fromhex(sample["uid"]),
                    "vector": _bytes(sample["vector"]),
                    "source": sample["source"],
                    "sha256": None if digest is None else bytes.fromhex(digest),
                    "face": json.dumps(sample["face"]),
                    "metadata": json.dumps(sample["metadata"]),
                    "added": sample["added"],
                    "crop": _bytes(sample.get("crop")),
                }
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, LineamentError):
                raise
            raise DataError(
                f"{path}: expected the export of a gallery, got a damaged one ({error}): export it "
                "again; nothing was imported"
            ) from error


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("parquet", "parquet") from error
    return pyarrow, pyarrow.parquet


def _write_parquet(path: Path, head: Row, rows: Iterator[Row]) -> int:
    arrow, parquet = _arrow()
    count = 0
    schema = arrow.schema(
        [(name, arrow.type_for_alias(kind)) for name, kind in _FIELDS],
        metadata={"lineament": json.dumps(head)},
    )
    with parquet.ParquetWriter(str(path), schema, compression="zstd") as writer:
        block: list[Row] = []
        for row in rows:
            count += row["uid"] is not None
            block.append(row)
            if len(block) >= ROWS:
                writer.write_table(arrow.Table.from_pylist(block, schema=schema))
                block = []
        writer.write_table(arrow.Table.from_pylist(block, schema=schema))
    return count


def _read_parquet(path: Path, check: Callable[[Any], None]) -> Iterator[Row]:
    arrow, parquet = _arrow()
    try:
        with path.open("rb") as raw, parquet.ParquetFile(raw) as file:
            found = file.schema_arrow.metadata
            head = None if found is None else found.get(b"lineament")
            check(None if head is None else json.loads(head))
            for batch in file.iter_batches(ROWS):
                yield from batch.to_pylist()
    except (arrow.ArrowException, ValueError) as error:
        if isinstance(error, LineamentError):
            raise
        raise DataError(
            f"{path}: expected the export of a gallery, got a damaged one ({error}): export it "
            "again; nothing was imported"
        ) from error

"""CompreFace's faces: a dump of its database, or a table of them.

CompreFace (1.x) keeps ``subject (id, api_key, subject_name)`` and ``embedding (id, subject_id,
embedding double precision[], calculator, img_id)`` in PostgreSQL; its REST interface gives neither
out. Read are

    docker exec compreface-postgres-db pg_dump -U postgres -t subject -t embedding frs > faces.sql

in the plain format (COPY), and the table that psql writes as CSV with a head:

    \\copy (SELECT subject_name, embedding, calculator, api_key FROM embedding JOIN subject
           ON subject.id = subject_id) TO 'faces.csv' CSV HEADER

``calculator`` names the network: "facenet.Calculator@20180402-114759". Nothing of the SQL is
carried out.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from lineament.errors import DataError, OptionError
from lineament.files import open_regular
from lineament.gallery.foreign._pickles import MOST_BYTES, Progress
from lineament.gallery.foreign._rows import Found, Sample, vector_of

LONGEST_LINE: Final = 4 << 20
"""Bytes of a row; one of a table that is not wanted, a photo's, may be longer."""
_COPY: Final = re.compile(
    rb'COPY (?:"?\w+"?\.)?"?(?P<table>\w+)"? \((?P<columns>[\w", ]+)\) FROM stdin;\s*'
)
_WANTED: Final = {
    "subject": ("id", "api_key", "subject_name"),
    "embedding": ("subject_id", "embedding", "calculator"),
}
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def read(path: Path, model: str | None, collection: str | None, progress: Progress | None) -> Found:
    """Read a dump or a table; arguments and errors as ``read_store``."""
    if path.is_dir():
        raise OptionError(f"{path}: expected a dump (.sql) or a table (.csv), got a folder")
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            file.seek(0)
            if size > MOST_BYTES * 16:
                raise DataError(f"{path}: expected at most {MOST_BYTES * 16:,} bytes")
            head = file.read(8)
            file.seek(0)
            if head.startswith((b"PGDMP", b"\x1f\x8b", b"BZh", b"PK")):
                raise DataError(
                    f"{path}: expected a dump as text, got a packed one",
                    hint="unpack it (pg_restore -f faces.sql, gunzip)",
                )
            rows = (
                _of_table(file, path)
                if path.suffix.lower() == ".csv"
                else _of_dump(file, path, size, progress)
            )
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror})", hint="check the path and its rights"
        ) from error
    return _chosen(rows, path, model, collection)


_Row = tuple[str, str, Any, str, str]
"""Place, name, embedding, calculator, key of the collection."""


def _chosen(rows: list[_Row], path: Path, model: str | None, collection: str | None) -> Found:
    if not rows:
        raise DataError(f"{path}: expected subjects with embeddings, found none")
    rows, notes = _only(rows, 4, collection, "collection", path, "collections of faces")
    rows, more = _only(rows, 3, model, "model", path, "networks (calculators)")
    samples = [Sample(place, name, vector) for place, name, vector, _, _ in rows]
    return Found("compreface", rows[0][3] or "unnamed", (), samples, (*notes, *more))


def _only(
    rows: list[_Row], at: int, wanted: str | None, option: str, path: Path, what: str
) -> tuple[list[_Row], tuple[str, ...]]:
    counts = Counter(row[at] for row in rows)
    if wanted is None:
        if len(counts) > 1:
            shown = ", ".join(f"{name} ({n:,})" for name, n in counts.most_common(8))
            raise OptionError(f"{path}: has several {what}: name one of {shown}", option=option)
        return rows, ()
    if wanted not in counts:
        raise OptionError(
            f"expected one of {', '.join(list(counts)[:8])}, got {wanted!r}", option=option
        )
    left_out = len(rows) - counts[wanted]
    notes = (f"{left_out:,} embeddings of other {what} are left out",) if left_out else ()
    return [row for row in rows if row[at] == wanted], notes


# --- pg_dump --------------------------------------------------------------------------------------


def _of_dump(file: BinaryIO, path: Path, size: int, progress: Progress | None) -> list[_Row]:
    subjects: dict[str, tuple[str, str]] = {}
    faces: list[tuple[str, str, Any, str]] = []
    seen = set()
    for table, number, values in _tables(file, path, size, progress):
        seen.add(table)
        if table == "subject":
            subjects[values[0] or ""] = (values[2] or "", values[1] or "")
        else:
            owner, numbers, calculator = values
            place = f"line {number}"
            faces.append((place, owner or "", _numbers(numbers, path, place), calculator or ""))
    if missing := set(_WANTED) - seen:
        raise DataError(
            f"{path}: expected the tables subject and embedding, found no rows of "
            f"{' and '.join(sorted(missing))}",
            hint="dump both by pg_dump without --inserts",
        )
    rows = []
    for place, owner, vector, calculator in faces:
        if owner not in subjects:
            raise DataError(f"{path}: {place}: its subject is not in the dump")
        rows.append((place, subjects[owner][0], vector, calculator, subjects[owner][1]))
    return rows


def _tables(
    file: BinaryIO, path: Path, size: int, progress: Progress | None
) -> Iterator[tuple[str, int, list[str | None]]]:
    """Table, line, and the wanted columns, of each row of the wanted tables."""
    inside: str | None = None
    at: list[int] = []
    number, others = 0, False
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        whole = line.endswith(b"\n")
        if progress is not None and number % 1024 == 0:
            progress(file.tell(), size)
        if inside is None and not others:
            start = _COPY.fullmatch(line)
            if start is not None:
                table = start["table"].decode()
                columns = [c.strip().strip('"') for c in start["columns"].decode().split(",")]
                if table in _WANTED and set(_WANTED[table]) <= set(columns):
                    inside, at = table, [columns.index(name) for name in _WANTED[table]]
                else:
                    others = True
        elif line.rstrip(b"\r\n") == b"\\.":
            inside, others = None, False
        elif inside is not None:
            if not whole:
                raise DataError(f"{path}: line {number}: it is cut short, or too long")
            yield inside, number, _values(line, at, path, number)
        while not whole and (rest := file.readline(1 << 20)):
            whole = rest.endswith(b"\n")
    if inside is not None or others:
        raise DataError(f"{path}: expected a whole dump, it is cut short")


def _values(line: bytes, at: list[int], path: Path, number: int) -> list[str | None]:
    try:
        cells = line.decode().rstrip("\r\n").split("\t")
        chosen = [cells[i] for i in at]
    except (UnicodeDecodeError, IndexError) as error:
        raise DataError(f"{path}: line {number}: expected a row of the dump") from error
    return [None if cell == "\\N" else _ESCAPED.sub(_unescaped, cell) for cell in chosen]


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[1])


def _numbers(text: str | None, path: Path, place: str) -> Any:
    """``{0.1,-0.2}``, as PostgreSQL writes arrays; "[...]" of JSON, too."""
    body = (text or "").strip()
    if body[:1] + body[-1:] not in ("{}", "[]"):
        raise DataError(f"{path}: {place}: expected an embedding such as {{0.1,-0.2}}")
    try:
        found = vector_of(np.array(body[1:-1].split(","), np.float64))
    except ValueError:
        found = None
    if found is None:
        raise DataError(f"{path}: {place}: expected an embedding: finite numbers, not all 0")
    return found


# --- CSV ------------------------------------------------------------------------------------------


def _of_table(file: BinaryIO, path: Path) -> list[_Row]:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise DataError(f"{path}: expected at most {MOST_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected text in UTF-8") from error
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    try:
        table = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise DataError(f"{path}: expected CSV, got: {error}") from error
    rows = []
    for number, cells in enumerate(table, 1):
        place = f"row {number}"
        name = cells.get("subject_name") or cells.get("subject")
        if not name or cells.get("embedding") is None:
            raise DataError(f"{path}: {place}: expected the columns subject_name and embedding")
        vector = _numbers(cells["embedding"], path, place)
        rows.append(
            (place, name, vector, cells.get("calculator") or "", cells.get("api_key") or "")
        )
    return rows

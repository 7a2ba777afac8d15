"""Parquet from others: exports of galleries."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from doors import people
from doors.case import Case, Door
from doors.damage import NUMBERS, TEXTS, anything, damaged, special_file
from doors.exports import CROPS, taken_in


def rows(case: Case, n: int = 3) -> list[dict[str, Any]]:
    """The rows of an export."""
    made = people.lines(case.rng, n)
    known = {person["name"]: person for person in people.people_in(made)}
    return [
        {
            "person": sample["person"],
            "person_metadata": json.dumps(known[sample["person"]]["metadata"]),
            "person_created": known[sample["person"]]["created"],
            "uid": bytes.fromhex(sample["uid"]),
            "vector": base64.b64decode(sample["vector"]),
            "source": sample["source"],
            "sha256": bytes.fromhex(sample["sha256"]),
            "face": json.dumps(sample["face"]),
            "metadata": json.dumps(sample["metadata"]),
            "added": sample["added"],
            "crop": base64.b64decode(sample["crop"]),
            "source_bytes": None,
        }
        for sample in people.samples_in(made)
    ]


def _head() -> dict[str, Any]:
    return {"lineament": "gallery", "version": 1, "contract": asdict(people.CONTRACT)}


def _types() -> dict[str, Any]:
    import pyarrow as arrow

    text, data, number = arrow.string(), arrow.binary(), arrow.float64()
    kinds = [text, text, number, data, data, text, data, text, text, number, data, data]
    names = "person person_metadata person_created uid vector source sha256 face metadata added"
    return dict(zip([*names.split(), "crop", "source_bytes"], kinds, strict=True))


def _write(case: Case, columns: dict[str, Any], head: Any, **options: Any) -> Path:
    import pyarrow as arrow
    from pyarrow import parquet

    table = arrow.table(columns)
    if head is not None:
        text = head if isinstance(head, (bytes, str)) else json.dumps(head)
        table = table.replace_schema_metadata({"lineament": text})
    path = case.folder / "in.parquet"
    parquet.write_table(table, path, **options)
    return path


def _columns(made: list[dict[str, Any]]) -> dict[str, Any]:
    import pyarrow as arrow

    return {name: arrow.array([row[name] for row in made], kind) for name, kind in _types().items()}


def values(case: Case) -> bool:
    """Values of the right types that make no sense."""
    made = rows(case)
    row = case.pick(made)
    key = case.pick(list(row))
    if key in ("person_created", "added"):
        row[key] = float(
            case.pick([n for n in NUMBERS if abs(n) < 1e308 or n != n or n in (1e400,)])
        )
    elif key in ("person_metadata", "metadata", "face"):
        row[key] = case.pick(["{", "", "null", "[]", json.dumps(anything(case.rng)), None])
    elif key in ("person", "source"):
        row[key] = case.pick([t for t in TEXTS if "\udce9" not in t])
    elif key == "crop":
        row[key] = case.pick(CROPS)(case.rng)
    else:
        row[key] = case.pick([None, b"", b"\0", row[key] and row[key][:-1], b"x" * 100_000])
    if row["person"] is None or row["person_metadata"] is None:
        row["person"] = row["person"] or ""
    return taken_in(case, _write(case, _columns(made), _head()))


def types(case: Case) -> bool:
    """Columns of other types, too few, too many."""
    import pyarrow as arrow

    columns = _columns(rows(case))
    n = len(columns["uid"])
    name = case.pick(list(columns))
    kind = case.rng.integers(10)
    others: tuple[Any, ...] = (
        arrow.array([1] * n),
        arrow.nulls(n),
        arrow.array([[1.0, 2.0]] * n),
        arrow.array([{"a": 1}] * n),
        arrow.array(["1970-01-01"] * n),
        arrow.array([b"\xff\xfe"] * n),
        arrow.array([0] * n, arrow.timestamp("ns")),
        arrow.array([True] * n),
    )
    if kind < len(others):
        columns[name] = others[kind]
    elif kind == 8:
        del columns[name]
    else:
        columns["more"] = others[0]
    return taken_in(case, _write(case, columns, _head()))


def head(case: Case) -> bool:
    """The object in the file's metadata."""
    made: Any = case.pick(
        [
            None,
            "{",
            "[" * 100_000,
            b"\xff\xfe",
            "x" * 20_000_000,
            anything(case.rng),
            {**_head(), "version": case.pick([0, 2, "1", None, 10**30])},
            {**_head(), "contract": anything(case.rng)},
            {**_head(), "contract": {**asdict(people.CONTRACT), "dimension": case.pick(NUMBERS)}},
        ]
    )
    return taken_in(case, _write(case, _columns(rows(case)), made))


def bombs(case: Case) -> bool:
    """Small files of large content."""
    import pyarrow as arrow

    kind = case.rng.integers(5)
    row = rows(case)[0]
    n = int(case.rng.choice([64, 4096]))
    big = int(case.rng.choice([1 << 16, 1 << 19]))
    if kind == 0:
        row["crop"] = bytes(big)
    elif kind == 1:
        row["person_metadata"] = json.dumps({"a": "x" * big})
    elif kind == 2:
        row["vector"] = bytes(big)
    elif kind == 3:
        row["source"] = "x" * big
    else:
        row["face"] = " " * big + row["face"]
    from pyarrow import parquet

    schema = arrow.schema(list(_types().items()), metadata={"lineament": json.dumps(_head())})
    path = case.folder / "in.parquet"
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, n, 64):  # all in one row group
            uids = [{**row, "uid": i.to_bytes(16, "big")} for i in range(start, start + 64)]
            writer.write_batch(arrow.RecordBatch.from_pylist(uids, schema=schema))
    case.say(f"{path.stat().st_size:,} bytes, {n} x {big:,}")
    return taken_in(case, path, look=False)


def damaged_bytes(case: Case) -> bool:
    """Bytes of the file are others."""
    path = _write(case, _columns(rows(case)), _head(), compression=case.pick(["zstd", "none"]))
    data = path.read_bytes()
    if case.chance(0.5):  # the footer is what a reader believes
        cut = max(0, len(data) - 3000)
        path.write_bytes(data[:cut] + damaged(data[cut:], case.rng))
    else:
        path.write_bytes(damaged(data, case.rng))
    return taken_in(case, path)


def layouts(case: Case) -> bool:
    """Row groups, pages, encodings and compressions of all kinds."""
    made = rows(case, 4)
    options = {
        "row_group_size": case.pick([1, 2, 100]),
        "compression": case.pick(["zstd", "snappy", "gzip", "brotli", "lz4", "none"]),
        "use_dictionary": bool(case.rng.integers(2)),
        "data_page_version": case.pick(["1.0", "2.0"]),
        "data_page_size": case.pick([1, 100, 1 << 20]),
        "version": case.pick(["1.0", "2.6"]),
    }
    accepted = taken_in(case, _write(case, _columns(made), _head(), **options))
    case.expect(accepted, f"refused a sound file: {options}")
    return accepted


def special_files(case: Case) -> bool:
    """In the place of the file stands something else."""
    path = special_file(
        case,
        "in.parquet",
        "in{}.parquet",
        b"PAR1",
        lambda path: path.write_bytes(b"PAR1" + bytes(10) + b"PAR1"),
    )
    return taken_in(case, path)


DOOR = Door(
    "parquet",
    (
        values,
        types,
        values,
        damaged_bytes,
        values,
        head,
        damaged_bytes,
        bombs,
        layouts,
        damaged_bytes,
        special_files,
    ),
    cases=500,
    bound_mb=400.0,
    prepare=people.prepare,
)

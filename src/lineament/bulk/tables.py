"""Embeddings as rows, and the files that hold them: .npz, .parquet, .jsonl.

One row a face: "source", "face" (its number in the photo), "box_xyxy", "score", "norm" and
"vector". A file has a header with the contract that says how the vectors were made.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lineament import models
from lineament.detect import DETECTORS
from lineament.errors import DataError, LineamentError, MissingExtraError
from lineament.files import open_regular
from lineament.machine import raise_if_short
from lineament.pipeline import Recognizer
from lineament.text import bytes_unless_utf8, printable
from lineament.types import Contract, Embedding, Face, Photo

Row = dict[str, Any]
Result = Photo

SUFFIXES = (".npz", ".parquet", ".jsonl")
FORMAT = 1
"""Version of what stands in the files; a reader refuses what it does not know."""

MOST_PACKED = 100
"""By how much a part in Parquet may be bigger when it is read; vectors pack by 1.1."""


def made_by(recognizer: Recognizer) -> dict[str, Any]:
    """What rows depend on, apart from the photo and the version, as values for JSON."""
    names = DETECTORS.get(recognizer.finder.detector_name, ())
    return {
        "contract": asdict(recognizer.embedder.contract),
        "detector": recognizer.finder.detector_name,
        "detector_sha256": {name: models.get(name).sha256 for name in names},
        "options": asdict(recognizer.finder.options),
        "turning": recognizer.finder.turning,
        "choose": recognizer.finder.choose,
    }


def rows_of(photo: Result, source: str | None = None) -> list[Row] | LineamentError:
    """The rows of a photo, [] where there is no face, or why it could not be read.

    Args:
        photo: from ``Recognizer.stream`` (all its faces) or ``stream_chosen`` (the one it is of).
        source: its name in the rows; None takes the photo's own.
    """
    if photo.error is not None:
        return photo.error
    name = photo.source if source is None else source
    numbered = zip(photo.selected, photo.embeddings, strict=True)
    return [_row(name, i, photo.faces[i], embedding) for i, embedding in numbered]


def _row(source: str, index: int, face: Face, embedding: Embedding) -> Row:
    return {
        "source": source,
        "face": index,
        "box_xyxy": [round(float(v), 2) for v in face.box_xyxy],
        "score": round(face.score, 6),
        "norm": round(embedding.norm, 6),
        # Nine digits hold a float32 exactly.
        "vector": [float(f"{v:.9g}") for v in embedding.vector.tolist()],
    }


def header(contract: Contract) -> dict[str, Any]:
    """What stands at the head of a file: what it is, its version, the contract."""
    return {"lineament": "embeddings", "format": FORMAT, "contract": asdict(contract)}


def check_suffix(suffix: str) -> None:
    """Raise MissingExtraError when files of that suffix cannot be written here."""
    if suffix == ".parquet":
        _pyarrow()


def encode(
    suffix: str, rows: Sequence[Row], contract: Contract, notes: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a file.

    Args:
        suffix: one of ``SUFFIXES``, or ".csv", which nothing here reads.
        rows: from ``rows_of``.
        contract: of all their vectors.
        notes: more texts to keep, by name (.npz and .parquet only).

    Raises:
        MissingExtraError: parquet without pyarrow.
    """
    notes = {} if notes is None else notes
    if suffix == ".csv":
        return as_csv([_flat(row, contract) for row in rows], _columns(contract))
    if suffix == ".npz":
        return _npz(rows, contract, notes)
    if suffix == ".parquet":
        return _parquet(rows, contract, notes)
    assert suffix == ".jsonl"
    assert not notes
    lines = [json.dumps(line) for line in (header(contract), *rows)]
    return ("\n".join(lines) + "\n").encode()


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> bytes:
    """A table as CSV: RFC 4180, UTF-8, the names of the columns first.

    A missing value is an empty cell, a list or a mapping is JSON. A file's name that is no UTF-8
    has the bytes that it has on the disk.

    Args:
        rows: flat values by the names of the columns, such as ``to_rows`` of a result gives.
        columns: their names and order; those of the rows, as they come, when left out.
    """
    import csv

    names = list(columns) or list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _cell(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _columns(contract: Contract) -> list[str]:
    """Of embeddings as CSV: a column a number, since a list in a cell is read by few."""
    numbers = (f"v{i}" for i in range(contract.dimension))
    corners = ("left", "top", "right", "bottom")
    return ["source", "face", *corners, "score", "norm", "contract", *numbers]


def _flat(row: Row, contract: Contract) -> dict[str, Any]:
    corners = dict(zip(("left", "top", "right", "bottom"), row["box_xyxy"], strict=True))
    numbers = {f"v{i}": value for i, value in enumerate(row["vector"])}
    return {**row, **corners, "contract": contract.id, **numbers}


def _npz(rows: Sequence[Row], contract: Contract, notes: Mapping[str, str]) -> bytes:
    """Arrays by the names of the rows' keys in the plural, "header" (JSON text), and the notes."""
    n = len(rows)
    file = io.BytesIO()
    arrays = {
        "header": np.array(json.dumps(header(contract))),
        "sources": np.array([row["source"] for row in rows], dtype=str),
        "faces": np.array([row["face"] for row in rows], np.int64),
        "boxes_xyxy": np.array([row["box_xyxy"] for row in rows], np.float32).reshape(n, 4),
        "scores": np.array([row["score"] for row in rows], np.float32),
        "norms": np.array([row["norm"] for row in rows], np.float32),
        "vectors": np.array([row["vector"] for row in rows], np.float32).reshape(
            n, contract.dimension
        ),
    }
    np.savez(file, **arrays, **{name: np.array(text) for name, text in notes.items()})  # type: ignore[arg-type]
    return file.getvalue()


def _parquet(rows: Sequence[Row], contract: Contract, notes: Mapping[str, str]) -> bytes:
    """Columns by the names of the rows' keys; the header is the schema's metadata "lineament".

    Parquet's texts are UTF-8: of a file's name that is none, "source" is what is printed of it, and
    "source_bytes", null of all others, has the bytes.
    """
    pa = _pyarrow()
    import pyarrow.parquet as parquet

    schema = pa.schema(
        [
            ("source", pa.string()),
            ("face", pa.int64()),
            ("box_xyxy", pa.list_(pa.float32(), 4)),
            ("score", pa.float32()),
            ("norm", pa.float32()),
            ("vector", pa.list_(pa.float32(), contract.dimension)),
            ("source_bytes", pa.binary()),
        ],
        metadata={
            "lineament": json.dumps(header(contract)),
            **{f"lineament.{name}": text for name, text in notes.items()},
        },
    )
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(map(_in_utf8, rows)), schema=schema), file)
    return file.getvalue()


def _in_utf8(row: Row) -> Row:
    data = bytes_unless_utf8(row["source"])
    return row if data is None else row | {"source": printable(row["source"]), "source_bytes": data}


def _with_true_name(row: Row) -> Row:
    data = row.pop("source_bytes", None)
    return row if data is None else row | {"source": os.fsdecode(data)}


def read_note(path: Path, name: str) -> str:
    """One of the notes that were given to ``encode``; the vectors are not read.

    Args:
        path: of an .npz or .parquet file, in a folder of ours that may come from somebody else.
        name: of the note.

    Raises:
        DataError: the file is damaged, has no such note, or is a link, a pipe or a device.
        MissingExtraError: parquet without pyarrow.
    """
    if path.suffix == ".parquet":
        _pyarrow()
        import pyarrow.parquet as parquet
    try:
        with open_regular(path, inside=True) as file:
            if path.suffix == ".parquet":
                metadata = parquet.read_schema(file).metadata
                return str(metadata[f"lineament.{name}".encode()].decode())
            with _unpacked(file) as arrays:
                return _text(arrays[name])
    except Exception as error:  # whatever damaged bytes make of a parser
        raise_if_short(error, f"to read {path}")
        raise _damaged(path, error) from error


def read_rows(path: Path) -> list[Row]:
    """All rows of an .npz or .parquet file; path and errors as ``read_note``."""
    if path.suffix == ".parquet":
        _pyarrow()
        import pyarrow.parquet as parquet
    try:
        with open_regular(path, inside=True) as file:
            if path.suffix == ".parquet":
                size = os.fstat(file.fileno()).st_size
                table = parquet.ParquetFile(file)
                packed = sum(
                    table.metadata.row_group(i).total_byte_size
                    for i in range(table.metadata.num_row_groups)
                )
                if packed > MOST_PACKED * size:
                    raise DataError(f"{packed:,} bytes in a file of {size:,}")
                rows: list[Row] = table.read().to_pylist()
                return list(map(_with_true_name, rows))
            names = ("sources", "faces", "boxes_xyxy", "scores", "norms", "vectors")
            keys = ("source", "face", "box_xyxy", "score", "norm", "vector")
            with _unpacked(file) as arrays:
                columns = [arrays[name] for name in names]
        if len({len(column) for column in columns}) != 1:
            raise DataError("its columns have several lengths")
        lists = [column.tolist() for column in columns]
        return [dict(zip(keys, row, strict=True)) for row in zip(*lists, strict=True)]
    except Exception as error:  # whatever damaged bytes make of a parser
        raise_if_short(error, f"to read {path}")
        raise _damaged(path, error) from error


def _unpacked(file: BinaryIO) -> np.lib.npyio.NpzFile:
    """The arrays of an .npz file that ``np.savez`` wrote, which packs nothing."""
    with zipfile.ZipFile(file) as archive:
        packed = any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist())
        room = sum(each.file_size for each in archive.infolist())
    if packed or room > os.fstat(file.fileno()).st_size:
        raise DataError("it is packed")
    file.seek(0)
    arrays = np.load(file, allow_pickle=False)
    assert isinstance(arrays, np.lib.npyio.NpzFile)
    return arrays


def _text(array: npt.NDArray[Any]) -> str:
    if array.shape != ():
        raise DataError("expected a text")
    return str(array)


def _damaged(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())
    return DataError(f"{path}: expected a file of embeddings, it is damaged ({reason}): remove it")


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("writing Parquet files", "parquet") from error
    return pyarrow

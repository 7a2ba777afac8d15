"""A folder of bulk embeddings that came from somebody else, or that others can write to."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_things import run

from builders import make_contract
from lineament.bulk._parts import NOTE, Parts, Record
from lineament.bulk.tables import read_note, read_rows
from lineament.errors import DataError, LineamentError

USE = """
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_foreign_folders import used, write

for i, kind in enumerate(THINGS):
    for j, name in enumerate(sys.argv[3:]):
        place = Path(sys.argv[1]) / f"{kind} {name}"
        place.mkdir()
        own = outside(place)
        folder = place / "job"
        write(folder)
        put(kind, folder / name, own)
        tried(lambda: used(folder, restart=(i + j) % 2 == 0))
        assert is_unchanged(own), (kind, name)
"""

CONTRACT = make_contract(dimension=2)


def parts(folder: Path, restart: bool = False) -> Parts:
    return Parts(
        folder,
        contract=CONTRACT,
        made_by={},
        root=folder.parent,
        suffix=".npz",
        restart=restart,
        on_note=lambda _: None,
    )


def row(source: str) -> dict[str, Any]:
    box = [0.0, 0.0, 9.0, 9.0]
    return {"source": source, "face": 0, "box_xyxy": box, "score": 0.5, "norm": 1.0,
            "vector": [1.0, 0.0]}  # fmt: skip


def write(folder: Path) -> None:
    with parts(folder) as job:
        for number, names in enumerate((("a", "b"), ("c",))):
            records = [Record(name, 1, 1, None, 1, None) for name in names]
            job.write(number, records, [row(name) for name in names])
        job.save()


def used(folder: Path, restart: bool = False) -> None:
    with parts(folder, restart) as job:
        done = set(job.done)
        assert done <= {"a", "b", "c"}
        job.forget({number: {name} for name, (number, _) in job.done.items() if name == "a"})
        number = next(job.free_numbers())
        job.write(number, [Record("a", 1, 1, None, 1, None)], [row("a")])
        job.save()
    with parts(folder) as job:
        assert set(job.done) == done | {"a"}
        for path in folder.glob("part-*"):
            assert read_rows(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
def test_whatever_stands_in_the_place_of_a_file(tmp_path: Path) -> None:
    names = ("manifest.json", "errors.jsonl", ".lock", "part-000000.npz", ".lineament-1-2.tmp")
    run(USE, tmp_path, Path(__file__).parent, *names)


@pytest.mark.parametrize(
    "note",
    [
        *("", "[", "{}", "[[]]", "[1]", '[["a", 1, 1, null, -1, null]]', "[" * 50_000),
        '[["a", 1, 1, null, 1e999, null]]',
        '[["a", 1, 1, null, 1, null, 7]]',
        '[[{"a": 1}, 1, 1, null, 1, null]]',
    ],
)
def test_a_part_that_says_nonsense_is_made_again(tmp_path: Path, note: str) -> None:
    folder = tmp_path / "job"
    write(folder)
    rewritten(folder / "part-000000.npz", **{NOTE: np.array(note)})
    used(folder)


def rewritten(path: Path, **values: Any) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    data = io.BytesIO()
    np.savez(data, **{**arrays, **values})
    path.write_bytes(data.getvalue())


@pytest.mark.parametrize(
    "values",
    [
        {"vectors": np.zeros((2, 5), np.float32)},
        {"vectors": np.zeros((1 << 40, 0), np.float32)},
        {"vectors": np.array([["x", "y"]] * 2)},
        {"faces": np.array([1 << 62, -1])},
        {"faces": np.array(1)},
        {"boxes_xyxy": np.array([[np.nan] * 4] * 2)},
        {"scores": np.array([[1, 2], [3, 4]])},
        {"sources": np.array([1, 2])},
        {"sources": np.array([b"a", b"b"])},
    ],
    ids=str,
)
def test_rows_that_make_no_sense(tmp_path: Path, values: dict[str, Any]) -> None:
    folder = tmp_path / "job"
    write(folder)
    rewritten(folder / "part-000000.npz", **values)
    try:
        used(folder)
    except LineamentError:
        (folder / "part-000000.npz").unlink()  # as it says
        used(folder)


@pytest.mark.parametrize("text", ["[" * 50_000, "{", "[]", '{"lineament": 1}', "null", "\0"])
def test_a_manifest_that_says_nonsense(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "job"
    write(folder)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="name another folder"):
        used(folder)


def test_packed_parts_are_not_unpacked(tmp_path: Path) -> None:
    write(tmp_path / "job")
    path = tmp_path / "job" / "part-000000.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez_compressed(path, **{**arrays, NOTE: np.array(" " * 10_000_000)})
    for read in (lambda: read_note(path, NOTE), lambda: read_rows(path)):
        with pytest.raises(DataError, match="packed"):
            read()


def test_parquet_that_packs_too_well(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    path = tmp_path / "part-000000.parquet"
    table = pa.table({"source": ["x" * 1_000_000] * 4, "face": [0, 1, 2, 3]})
    parquet.write_table(table, path, compression="zstd", use_dictionary=False)
    with pytest.raises(DataError, match="bytes in a file of"):
        read_rows(path)

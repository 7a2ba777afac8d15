"""Matlab files that SciPy wrote, read without it; and damaged ones."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from lineament.datasets.matlab import read_mat
from lineament.errors import DataError

scipy_io = pytest.importorskip("scipy.io")


def saved(values: dict[str, Any], *, compressed: bool = True) -> bytes:
    out = io.BytesIO()
    scipy_io.savemat(out, values, do_compression=compressed)
    return out.getvalue()


def cell(*items: Any) -> np.ndarray:
    array = np.empty((len(items), 1), object)
    for i, item in enumerate(items):
        array[i, 0] = item
    return array


@pytest.mark.parametrize("compressed", [True, False])
def test_what_scipy_writes(compressed: bool) -> None:
    values = {
        "numbers": np.arange(6.0).reshape(2, 3),
        "bytes": np.array([[1, 2, 255]], np.uint8),
        "text": "Jos\u00e9 Maria",
        "cells": cell("a", np.array([[7]]), cell("inner")),
        "struct": {"name": "x", "age": 35},
    }
    found = read_mat(saved(values, compressed=compressed), "x.mat")
    np.testing.assert_array_equal(found["numbers"], values["numbers"])
    assert found["bytes"].dtype == np.uint8
    assert found["bytes"].tolist() == [[1, 2, 255]]
    assert found["text"] == "Jos\u00e9 Maria"
    cells = found["cells"]
    assert cells.shape == (3, 1)
    assert cells[0, 0] == "a"
    assert cells[2, 0][0, 0] == "inner"
    struct = found["struct"].ravel()[0]
    assert struct["name"] == "x"
    assert struct["age"].item() == 35


def test_matlab_counts_down_the_columns() -> None:
    array = np.empty((2, 3), object)
    for row in range(2):
        for column in range(3):
            array[row, column] = f"{row}{column}"
    found = read_mat(saved({"c": array}), "x.mat")["c"]
    assert found.tolist() == array.tolist()


def test_damaged_files_are_data_errors_only() -> None:
    data = saved({"splits": cell({"a": "x", "b": np.arange(5)}, "y")}, compressed=False)
    for end in range(0, len(data) - 1, 5):
        if end == 128:  # the header alone is a file without variables
            continue
        with pytest.raises(DataError):
            read_mat(data[:end], "x.mat")
    random = np.random.default_rng(0)
    errors = 0
    for _ in range(1500):
        changed = bytearray(data)
        for _ in range(3):
            changed[int(random.integers(124, len(data)))] = int(random.integers(256))
        try:
            read_mat(bytes(changed), "x.mat")
        except DataError:
            errors += 1
    assert errors > 300


def test_other_formats_and_bombs() -> None:
    head = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    packed = zlib.compress(bytes(100 << 20), 9)
    bomb = head + (15).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + packed
    for data, words in (
        (b"", "Matlab file"),
        (b"PK" * 100, "Matlab file"),
        (b"MATLAB 7.3 MAT-file".ljust(128), r"7\.3"),
        (bomb, "at most 64 MiB"),
        (head + b"\x0e\0\0\0\xff\xff\xff\x7f", "cut short"),
    ):
        with pytest.raises(DataError, match=words):
            read_mat(data, "x.mat")


@pytest.mark.parametrize("depth", [17, 10_000])
def test_cells_in_one_another_without_end(depth: int) -> None:
    """Each says that it holds one more: SciPy's reader follows them until the stack ends."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content

    header = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<ii", 1, 1))
    header += struct.pack("<II", 1, 0)  # no name
    data = b""
    for _ in range(min(depth, 100)):
        data = element(14, header + data)
    if depth > 100:  # lengths that lie, as a short file would have them
        data = (struct.pack("<II", 14, 1 << 20) + header) * depth
    with pytest.raises(DataError):
        read_mat(b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + data, "x.mat")

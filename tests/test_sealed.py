"""Files encrypted in chunks: of any length, read from any place, refused when changed."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from lineament import sealed
from lineament.errors import DataError
from lineament.sealed import CHUNK, HEAD, TAG, SealedReader, SealedWriter

pytest.importorskip("cryptography")

KEY, ABOUT = bytes(range(32)), b"a test"
LENGTHS = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 77)


def content(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def written(data: bytes, *, step: int = 1 << 30, key: bytes = KEY, about: bytes = ABOUT) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, key, about)
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
    writer.close()
    return file.getvalue()


def read(data: bytes, *, key: bytes = KEY, about: bytes = ABOUT) -> bytes:
    with SealedReader(io.BytesIO(data), key, about, "f") as reader:
        return reader.readall()


@pytest.mark.parametrize("length", LENGTHS)
def test_there_and_back(length: int) -> None:
    data = content(length)
    for step in (1 << 30, CHUNK, 300_001):
        found = written(data, step=step)
        assert len(found) == HEAD + length + TAG * (length // CHUNK + 1)
        assert read(found) == data
        assert length < 100 or data[10:42] not in found


def test_twice_is_never_the_same() -> None:
    one, two = written(b"the same" * 9), written(b"the same" * 9)
    assert one[HEAD:] != two[HEAD:]


def test_from_any_place() -> None:
    data = content(2 * CHUNK + 77)
    with SealedReader(io.BytesIO(written(data)), KEY, ABOUT, "f") as reader:
        assert reader.size == len(data)
        for at in (0, 5, CHUNK - 3, CHUNK, 2 * CHUNK + 70, 9 * CHUNK, CHUNK - 9):
            assert reader.seek(at) == reader.tell() == at
            assert reader.read_bytes(6) == data[at : at + 6] if at < CHUNK * 3 else True
            reader.seek(at)
            assert data.startswith(reader.read(100_000), min(at, len(data)))
        assert reader.seek(-7, 2) == len(data) - 7
        assert reader.read(100) == data[-7:]
        with pytest.raises(DataError, match="too early"):
            reader.read_bytes(1)


def test_an_archive_within() -> None:
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("a.jpg", content(1000))
        archive.writestr("b.jpg", content(CHUNK + 5))
    reader = SealedReader(io.BytesIO(written(plain.getvalue())), KEY, ABOUT, "f")
    with reader, zipfile.ZipFile(io.BufferedReader(reader)) as archive:
        assert archive.testzip() is None
        assert archive.read("b.jpg") == content(CHUNK + 5)


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def chunk(data: bytes, number: int) -> bytes:
    start = HEAD + number * (CHUNK + TAG)
    return data[start : start + CHUNK + TAG]


@pytest.mark.parametrize(
    "case",
    [
        *("magic", "version", "key", "first", "middle", "last", "tag"),
        *("empty", "head alone", "cut", "cut at a chunk", "longer", "swapped", "repeated"),
        *("of another file", "another key", "another place"),
    ],
)
def test_what_was_changed_is_refused(case: str) -> None:
    data, other = written(content(2 * CHUNK + 77)), written(content(2 * CHUNK + 77))
    head, end = data[:HEAD], chunk(data, 2)
    wrong = {
        "magic": changed(data, 3),
        "version": changed(data, 16),
        "key": changed(data, 40),
        "first": changed(data, HEAD),
        "middle": changed(data, HEAD + CHUNK + TAG + 9),
        "last": changed(data, len(data) - TAG - 5),
        "tag": changed(data, len(data) - 1),
        "empty": b"",
        "head alone": head,
        "cut": data[:-5],
        "cut at a chunk": data[: -len(end)],
        "longer": data + b"more",
        "swapped": head + chunk(data, 1) + chunk(data, 0) + end,
        "repeated": head + chunk(data, 0) + chunk(data, 0) + end,
        "of another file": head + chunk(other, 0) + chunk(other, 1) + end,
        "another key": written(content(2 * CHUNK + 77), key=bytes(32)),
        "another place": written(content(2 * CHUNK + 77), about=b"another"),
    }[case]
    with pytest.raises(DataError, match="f: cannot be decrypted"):
        read(wrong)


def test_shredded(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(written(b"secret"))
    sealed.shred_at(path)
    data = path.read_bytes()
    assert not data[sealed.KEY_AT : HEAD].strip(b"\0")
    with pytest.raises(DataError, match="another key"):
        read(data)

"""InsightFace's RecordIO against bytes that are put together here, and against damage."""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from recordio_writer import record_bytes, write_recordio

from lineament.errors import DataError, OptionError
from lineament.train.data import open_faces
from lineament.train.data._random_access import RandomFile
from lineament.train.data._recordio import (
    read_record,
    read_recordio,
)
from lineament.types import Image

MAGIC = bytes.fromhex("0a23d7ce")


def part(kind: int, data: bytes) -> bytes:
    """One part of a record, written from the format's description."""
    assert len(data) < 2**29
    word = (kind << 29) + len(data)
    padded = data + b"\0" * ((4 - len(data) % 4) % 4)
    return MAGIC + word.to_bytes(4, "little") + padded


def image_record(label: float | Sequence[float], data: bytes, number: int = 0) -> bytes:
    """A header and a photo, not yet a record."""
    if isinstance(label, (int, float)):
        return struct.pack("<IfQQ", 0, label, number, 0) + data
    floats = b"".join(struct.pack("<f", value) for value in label)
    return struct.pack("<IfQQ", len(label), 0.0, number, 0) + floats + data


def picture(seed: int, side: int = 12) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def png(image: Image) -> bytes:
    file = io.BytesIO()
    PILImage.fromarray(image).save(file, "PNG")
    return file.getvalue()


def insightface(
    folder: Path, labels: Sequence[int], *, index: bool = True, header: bool = True
) -> Path:
    """A set as InsightFace's own scripts write it; photo i is ``picture(i)``."""
    count = len(labels)
    people = sorted(set(labels))
    records: list[tuple[int, bytes]] = []
    if header:
        records.append((0, image_record([count + 1, count + 1 + len(people)], b"")))
    for i, label in enumerate(labels):
        records.append((i + 1, image_record(float(label), png(picture(i)), i + 1)))
    if header:
        for j, person in enumerate(people):
            own = [i + 1 for i, label in enumerate(labels) if label == person]
            records.append((count + 1 + j, image_record([own[0], own[-1] + 1], b"")))
    folder.mkdir(exist_ok=True)
    path = folder / "train.rec"
    data = b""
    lines = ""
    for number, record in records:
        lines += f"{number}\t{len(data)}\n"
        data += part(0, record)
    path.write_bytes(data)
    if index:
        (folder / "train.idx").write_text(lines)
    (folder / "property").write_text(f"{len(people)},112,112")
    return path


class Made:
    """A set in memory."""

    people = ("Ada Lovelace", "김구", "Zoë")
    labels = np.array([1, 0, 2, 1, 1, 0])

    def __len__(self) -> int:
        return 6

    def name(self, index: int) -> str:
        return f"made {index}"

    def read(self, index: int) -> Image:
        return picture(index)


class TestReading:
    @pytest.mark.parametrize("index", [True, False])
    def test_a_set_as_insightface_writes_it(self, tmp_path: Path, index: bool) -> None:
        path = insightface(tmp_path, [0, 0, 1, 2, 2, 2], index=index)
        for found in (read_recordio(path), open_faces(path), open_faces(tmp_path)):
            assert found.people == ("0", "1", "2")
            assert found.labels.tolist() == [0, 0, 1, 2, 2, 2]
            assert found.labels.dtype == np.int64
            assert len(found) == 6
            for i in range(6):
                assert np.array_equal(found.read(i), picture(i))
            assert found.name(3) == f"{path}, record 4"

    @pytest.mark.parametrize("index", [True, False])
    def test_without_a_header_record(self, tmp_path: Path, index: bool) -> None:
        path = insightface(tmp_path, [5, 3, 5], index=index, header=False)
        found = read_recordio(path)
        assert found.people == ("3", "5")
        assert found.labels.tolist() == [1, 0, 1]
        assert np.array_equal(found.read(1), picture(1))

    def test_several_labels_of_a_photo(self, tmp_path: Path) -> None:
        data = part(0, image_record([2.0, 0.5, 7.0], png(picture(4))))
        path = tmp_path / "train.rec"
        path.write_bytes(data + part(0, image_record(0.0, png(picture(5)))))
        found = read_recordio(path)
        assert found.people == ("0", "2")
        assert np.array_equal(found.read(0), picture(4))

    def test_a_record_in_several_parts(self, tmp_path: Path) -> None:
        # A BMP keeps pixels as they are: the magic number is put among them, at multiples of 4
        # of the record twice, and once beside them.
        pixels = np.zeros((16, 16, 3), np.uint8)
        file = io.BytesIO()
        PILImage.fromarray(pixels).save(file, "BMP")
        data = bytearray(image_record(1.0, file.getvalue()))
        begin = len(data) - 16 * 16 * 3
        begin += -begin % 4
        for at in (begin + 40, begin + 44, begin + 101):
            data[at : at + 4] = MAGIC
        pieces = [data[: begin + 40], b"", data[begin + 48 :]]
        assert all(len(piece) % 4 == 0 for piece in pieces[:-1])
        record = b"".join(part(kind, bytes(p)) for kind, p in zip((1, 2, 3), pieces, strict=True))
        path = tmp_path / "train.rec"
        path.write_bytes(record + part(0, image_record(0.0, png(picture(1)))))
        found = read_recordio(path)
        assert found.labels.tolist() == [1, 0]
        shown = found.read(0)
        stored = PILImage.open(io.BytesIO(bytes(data[24:]))).convert("RGB")
        assert np.array_equal(shown, np.asarray(stored))
        assert shown.any()
        assert np.array_equal(found.read(1), picture(1))
        assert record_bytes(bytes(data)) == record  # and so is it written

    def test_the_last_padding_may_be_missing(self, tmp_path: Path) -> None:
        data = image_record(0.0, png(picture(0)))
        while len(data) % 4 == 0:
            data = image_record(0.0, png(picture(0)) + b"\0")
        path = tmp_path / "train.rec"
        path.write_bytes(part(0, data)[: 8 + len(data)])
        assert np.array_equal(read_recordio(path).read(0), picture(0))

    def test_threads_and_other_processes_read_alike(self, tmp_path: Path) -> None:
        found = read_recordio(insightface(tmp_path, list(range(40))))
        assert np.array_equal(found.read(7), picture(7))
        copy = pickle.loads(pickle.dumps(found))
        with ThreadPoolExecutor(8) as pool:
            for i, image in zip(range(40), pool.map(copy.read, range(40)), strict=True):
                assert np.array_equal(image, picture(i))
        found.file.close()
        assert np.array_equal(found.read(8), picture(8))

    def test_few_photos_are_dropped(self, tmp_path: Path) -> None:
        insightface(tmp_path, [0, 0, 1, 2, 2])
        found = open_faces(tmp_path, least_photos=2)
        assert found.people == ("0", "2")
        assert found.labels.tolist() == [0, 0, 1, 1]
        assert np.array_equal(found.read(2), picture(3))


class TestWriting:
    @pytest.mark.parametrize("index", [True, False])
    def test_round_trip(self, tmp_path: Path, index: bool) -> None:
        path = write_recordio(Made(), tmp_path / "set")
        if not index:
            path.with_suffix(".idx").unlink()
        found = open_faces(path)
        order = [1, 5, 0, 3, 4, 2]  # by person
        assert found.people == Made.people
        assert found.labels.tolist() == [0, 0, 1, 1, 1, 2]
        for i, old in enumerate(order):
            assert np.array_equal(found.read(i), picture(old))
        assert (tmp_path / "set" / "property").read_text() == "3,12,12\n"
        names = sorted(file.name for file in (tmp_path / "set").iterdir() if index)
        assert names == ["names.json", "property", "train.idx", "train.rec"][: 4 * index]

    def test_the_headers_are_insightfaces(self, tmp_path: Path) -> None:
        path = write_recordio(Made(), tmp_path)
        lines = [line.split("\t") for line in (tmp_path / "train.idx").read_text().splitlines()]
        offsets = {int(number): int(offset) for number, offset in lines}
        assert sorted(offsets) == list(range(10))
        data = path.read_bytes()

        def record(number: int) -> bytes:
            at = offsets[number]
            assert data[at : at + 4] == MAGIC
            length = int.from_bytes(data[at + 4 : at + 8], "little")
            return data[at + 8 : at + 8 + length]

        assert struct.unpack("<IfQQff", record(0)) == (2, 0, 0, 0, 7, 10)
        people = [struct.unpack("<IfQQff", record(n))[4:] for n in (7, 8, 9)]
        assert people == [(1, 3), (3, 6), (6, 7)]
        assert struct.unpack_from("<IfQQ", record(3)) == (0, 1.0, 3, 0)
        assert record(3)[24:28] == b"\x89PNG"

    def test_jpeg(self, tmp_path: Path) -> None:
        path = write_recordio(Made(), tmp_path, quality=90)
        assert path.read_bytes().count(b"\xff\xd8\xff\xe0") >= 6
        error = np.abs(open_faces(path).read(2).astype(int) - picture(0)).mean()
        assert 0 < error < 60  # 85 between two such pictures

    def test_nothing_is_overwritten_and_nothing_half_written(self, tmp_path: Path) -> None:
        class Breaks(Made):
            def read(self, index: int) -> Image:
                if index == 4:
                    raise DataError("made 4: broken")
                return picture(index)

        with pytest.raises(DataError, match="made 4"):
            write_recordio(Breaks(), tmp_path / "set")
        assert list((tmp_path / "set").iterdir()) == []
        path = write_recordio(Made(), tmp_path / "set")
        with pytest.raises(OptionError, match="exists already"):
            write_recordio(Made(), tmp_path / "set")
        assert len(open_faces(path)) == 6
        (tmp_path / "file").write_text("")
        with pytest.raises(OptionError, match="cannot be written"):
            write_recordio(Made(), tmp_path / "file" / "below")
        with pytest.raises(OptionError, match="quality"):
            write_recordio(Made(), tmp_path / "other", quality=0)

    def test_any_bytes_come_back(self, tmp_path: Path) -> None:
        random = np.random.default_rng(3)
        written = []
        for _ in range(200):
            pieces = [
                MAGIC if random.random() < 0.4 else random.bytes(int(random.integers(0, 7)))
                for _ in range(int(random.integers(0, 12)))
            ]
            written.append(b"".join(pieces))
        path = tmp_path / "any.rec"
        path.write_bytes(b"".join(map(record_bytes, written)))
        file = RandomFile(path)
        offset = 0
        for data in written:
            found, offset = read_record(file, offset)
            assert found == data
        assert offset == file.size


class TestDamage:
    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            read_recordio(tmp_path / "train.rec")
        (tmp_path / "train.rec").mkdir()
        with pytest.raises(DataError, match="got a folder"):
            read_recordio(tmp_path / "train.rec")
        (tmp_path / "empty.rec").write_bytes(b"")
        with pytest.raises(DataError, match="found none"):
            read_recordio(tmp_path / "empty.rec")

    @pytest.mark.parametrize(
        ("label", "message"),
        [
            (float("nan"), "record 0: expected the number of a person, got nan"),
            (float("inf"), "got inf"),
            (-1.0, "got -1"),
            (1.5, "got 1.5"),
        ],
    )
    def test_labels_that_are_none(self, tmp_path: Path, label: float, message: str) -> None:
        path = tmp_path / "train.rec"
        path.write_bytes(part(0, image_record(label, png(picture(0)))))
        with pytest.raises(DataError, match=message):
            read_recordio(path)

    @pytest.mark.parametrize("end", [float("nan"), 0.0, 1.0, 9e9])
    def test_a_first_record_that_counts_wrong(self, tmp_path: Path, end: float) -> None:
        path = tmp_path / "train.rec"
        header = part(0, image_record([end, 5.0], b""))
        path.write_bytes(header + part(0, image_record(0.0, png(picture(0)))))
        with pytest.raises(DataError, match="record 0: expected the number of the record behind"):
            read_recordio(path)

    def test_a_record_that_is_missing(self, tmp_path: Path) -> None:
        path = insightface(tmp_path, [0, 0, 1])
        index = tmp_path / "train.idx"
        index.write_text(
            "".join(
                index.read_text().splitlines(keepends=True)[:2]
                + index.read_text().splitlines(keepends=True)[3:]
            )
        )
        with pytest.raises(DataError, match="record 2 is not there"):
            read_recordio(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("0\tzero\n", "expected lines"),
            ("0\t0\n1\n", "each record's number once"),
            ("0\t0\n0\t0\n", "each record's number once"),
            ("0\t0\n1\t99999999\n", "do not belong together"),
            ("0\t0\n1\t-4\n", "do not belong together"),
            ("0\t0\n1\t8\n", "the beginning of a record"),
        ],
    )
    def test_an_index_of_something_else(self, tmp_path: Path, text: str, message: str) -> None:
        path = insightface(tmp_path, [0, 1], header=False)
        (tmp_path / "train.idx").write_text(text)
        with pytest.raises(DataError, match=message):
            read_recordio(path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "expected JSON"),
            ("{}", "expected a list"),
            ('["a", 3]', "expected a list"),
            ('["a", "a", "b"]', "each name once"),
            ('["a"]', "a name for each of 2 people, got 1"),
        ],
    )
    def test_names_that_do_not_fit(self, tmp_path: Path, text: str, message: str) -> None:
        path = insightface(tmp_path, [0, 1])
        (tmp_path / "names.json").write_text(text)
        with pytest.raises(DataError, match=message):
            read_recordio(path)

    def test_a_length_that_is_a_lie_costs_no_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "train.rec"
        path.write_bytes(MAGIC + struct.pack("<I", 2**29 - 1) + image_record(0.0, b"x" * 100))
        with pytest.raises(DataError, match=r"536,870,911 bytes.*cut short"):
            read_recordio(path)
        flags = part(0, struct.pack("<IfQQ", 2**32 - 1, 0, 0, 0) + b"x" * 100)
        path.write_bytes(flags)
        with pytest.raises(DataError, match="expected 4,294,967,295 labels"):
            read_recordio(path)

    @pytest.mark.parametrize("kinds", [(2,), (3,), (1, 1), (1, 0), (4,), (7,), (1, 2)])
    def test_parts_out_of_order(self, tmp_path: Path, kinds: tuple[int, ...]) -> None:
        path = tmp_path / "train.rec"
        data = image_record(0.0, png(picture(0)))
        path.write_bytes(b"".join(part(kind, data) for kind in kinds))
        with pytest.raises(DataError, match=f"{path}"):
            read_recordio(path)

    def test_a_broken_photo_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "train.rec"
        path.write_bytes(part(0, image_record(0.0, b"no photo, really")))
        found = read_recordio(path)
        with pytest.raises(DataError, match=r"train\.rec, record 0: expected a photo"):
            found.read(0)

    def test_a_file_that_shrinks(self, tmp_path: Path) -> None:
        path = insightface(tmp_path, [0, 1])
        found = read_recordio(path)
        with path.open("r+b") as file:
            file.truncate(200)
        with pytest.raises(DataError, match="has become shorter"):
            found.read(1)

    @pytest.mark.parametrize("index", [True, False])
    def test_fuzz_gives_data_errors_only(self, tmp_path: Path, index: bool) -> None:
        path = insightface(tmp_path, [0, 0, 1, 2], index=index)
        whole = path.read_bytes()
        lines = (tmp_path / "train.idx").read_bytes() if index else b""
        random = np.random.default_rng(11)
        messages: list[str] = []
        for turn in range(200):
            data, text = bytearray(whole), bytearray(lines)
            for _ in range(int(random.integers(1, 4))):
                target = text if index and random.random() < 0.3 else data
                at = int(random.integers(0, len(target)))
                match int(random.integers(0, 4)):
                    case 0:
                        target[at] = int(random.integers(0, 256))
                    case 1:
                        del target[at:]
                        target += b"\n"
                    case 2:
                        del target[at : at + int(random.integers(1, 9))]
                    case _:
                        target[at : at + 4] = random.bytes(4)
            if turn % 3 == 0:  # aim at the heads of records
                data[int(random.integers(0, min(60, len(data))))] = int(random.integers(0, 256))
            path.write_bytes(data)
            if index:
                (tmp_path / "train.idx").write_bytes(text)
            try:
                found = read_recordio(path)
                for i in range(len(found)):
                    assert found.read(i).dtype == np.uint8
            except DataError as error:
                messages.append(str(error))
        assert len(messages) > 60
        assert all(str(tmp_path) in message for message in messages)


def test_names_are_written_as_they_are(tmp_path: Path) -> None:
    write_recordio(Made(), tmp_path)
    assert json.loads((tmp_path / "names.json").read_text("utf-8")) == list(Made.people)

"""Sets of photos in all forms, their loader, what is checked about them, and crops of them."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from recordio_writer import write_recordio

from lineament.datasets.people_folder import read_people
from lineament.errors import DataError, OptionError, TrainError
from lineament.train.data import (
    Augment,
    FaceSet,
    PeopleBatches,
    RandomBatches,
    Selection,
    check_faces,
    notes_of,
    open_faces,
    with_least_photos,
)
from lineament.train.data.aligning import crop_names
from lineament.train.data.augment import NOTHING, STRONG, augment
from lineament.train.data.crops import Batch, Crops, Loader, loader, worker_errors
from lineament.train.data.face_set import without_unreadable
from lineament.train.data.leakage import (
    evaluation_people,
    leakage,
    leakage_by_face,
    normalized,
)
from lineament.train.data.shards import expand_braces, write_shards
from lineament.types import Image

PEOPLE = {"Zoë Saldaña": 3, "ada": 4, "김구": 1, "bo_bo": 2}


def picture(seed: int, size_wh: tuple[int, int] = (16, 16)) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("people")
    seed = 0
    for person, count in PEOPLE.items():
        (root / person).mkdir()
        for i in range(count):
            PILImage.fromarray(picture(seed)).save(root / person / f"{i}.png")
            seed += 1
        (root / person / ".hidden.png").write_text("x")
        (root / person / "notes.txt").write_text("x")
    return root


@pytest.fixture
def faces(folder: Path) -> FaceSet:
    return open_faces(folder)


def same_sets(a: FaceSet, b: FaceSet) -> bool:
    assert len(a) == len(b)
    assert a.people == b.people
    assert a.labels.tolist() == b.labels.tolist()
    return all(np.array_equal(a.read(i), b.read(i)) for i in range(len(a)))


class TestFolders:
    def test_people_and_photos_are_sorted(self, folder: Path, faces: FaceSet) -> None:
        assert faces.people == ("Zoë Saldaña", "ada", "bo_bo", "김구")
        assert faces.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]
        assert faces.labels.dtype == np.int64
        assert faces.name(4) == str(folder / "ada" / "1.png")
        assert np.array_equal(faces.read(4), picture(4))
        assert notes_of(faces) == ()

    def test_exif_is_applied(self, tmp_path: Path) -> None:
        (tmp_path / "p").mkdir()
        image = PILImage.fromarray(picture(0, (8, 4)))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "p" / "a.png", exif=exif)
        assert open_faces(tmp_path).read(0).shape == (8, 4, 3)

    def test_least_photos(self, folder: Path) -> None:
        found = open_faces(folder, least_photos=3)
        assert found.people == ("Zoë Saldaña", "ada")
        assert found.labels.tolist() == [0] * 3 + [1] * 4
        assert np.array_equal(found.read(5), picture(5))
        assert notes_of(found) == (
            "2 of 4 people have fewer than 3 photos and were left out, with 3 of 10 photos",
        )
        with pytest.raises(DataError, match=r"at least 5 photos, found 4 people with at mo"):
            open_faces(folder, least_photos=5)
        with pytest.raises(OptionError, match="least_photos"):
            open_faces(folder, least_photos=0)

    def test_folders_that_are_none(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="found nothing of that name"):
            open_faces(tmp_path / "none")
        with pytest.raises(DataError, match="found nothing and no folders"):
            open_faces(tmp_path)
        (tmp_path / "a.jpg").write_text("")
        with pytest.raises(DataError, match="found a file of another kind"):
            open_faces(tmp_path / "a.jpg")
        with pytest.raises(DataError, match="1 photos and no folders"):
            open_faces(tmp_path)
        (tmp_path / "empty").mkdir()
        (tmp_path / "a.jpg").unlink()
        with pytest.raises(DataError, match="found none"):
            open_faces(tmp_path)

    def test_an_unreadable_photo_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "p").mkdir()
        (tmp_path / "p" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        found = open_faces(tmp_path)
        with pytest.raises(DataError, match=r"p.a\.png: the PNG image is broken"):
            found.read(0)


class TestSelection:
    def test_labels_are_consecutive_again(self, faces: FaceSet) -> None:
        some = Selection(faces, [9, 1, 8, 2])
        assert some.people == ("Zoë Saldaña", "bo_bo", "김구")
        assert some.labels.tolist() == [2, 0, 1, 0]
        assert some.name(0) == faces.name(9)
        assert np.array_equal(some.read(2), faces.read(8))
        assert with_least_photos(some, 1) is some
        for bad in ([], [10], [-1]):
            with pytest.raises((DataError, OptionError)):
                Selection(faces, bad)


class TestCsv:
    def write(self, path: Path, rows: list[list[str]]) -> Path:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows(rows)
        return path

    def test_the_same_as_the_folder(self, folder: Path, faces: FaceSet) -> None:
        rows = [["Person", "ignored", "path"]]
        for i in range(len(faces)):
            path = Path(faces.name(i))
            shown = str(path if i % 2 else path.relative_to(folder))
            rows += [[faces.people[faces.labels[i]], "x,y", shown], []]
        file = self.write(folder / "list.csv", rows)
        try:
            assert same_sets(open_faces(file), faces)
            assert open_faces(file, least_photos=4).people == ("ada",)
        finally:
            file.unlink()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "line 1: expected the columns path and person.*got nothing"),
            ("path;person\n", "line 1: expected the columns"),
            ("path,person,path\n", "line 1: expected the columns"),
            ("path,person\n", "a list without lines"),
            ("path,person\n\na.png,\n", "line 3: expected a path and a person"),
            ("path,person\na.png,a\na.png\n", "line 3: expected a path and a person"),
            ("path,person\na.png,a\nb.png,b\na.png,b\n", "line 4: expected one person for a.png"),
            ('path,person\n"a.png,a\n', "line 2: expected CSV"),
            ("path,person\nnone.png,a\n", "line 2: expected a photo at .*none.png, found"),
        ],
    )
    def test_bad_lists(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "list.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            open_faces(tmp_path / "list.csv")

    def test_other_encodings_and_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "list.csv").write_bytes("path,person\na.png,Zoë\n".encode("latin-1"))
        with pytest.raises(DataError, match="expected text in UTF-8, got byte 0xeb"):
            open_faces(tmp_path / "list.csv")
        with pytest.raises(DataError, match="No such file"):
            open_faces(tmp_path / "none.csv")


class TestShards:
    def test_the_same_as_the_folder(self, faces: FaceSet, tmp_path: Path) -> None:
        written = write_shards(faces, tmp_path / "out", per_shard=4)
        assert [path.name for path in written] == [f"faces-{i:06d}.tar" for i in range(3)]
        assert sorted((tmp_path / "out").iterdir()) == written
        for path in (tmp_path / "out", tmp_path / "out" / "faces-{000000..000002}.tar"):
            found = open_faces(path)
            assert same_sets(found, faces)
        assert found.name(5) == f"{written[1]}, 000000005.png"
        assert same_sets(pickle.loads(pickle.dumps(found)), faces)
        part = open_faces(written[1])
        assert part.people == ("ada", "bo_bo")
        with tarfile.open(written[0]) as tar:  # by Python's own reader
            assert tar.getnames()[:3] == ["000000000.cls", "000000000.json", "000000000.png"]
            stored = tar.extractfile("000000003.json")
            assert stored is not None
            assert json.load(stored)["person"] == "ada"

    @pytest.mark.filterwarnings("ignore::ResourceWarning")  # it leaves files open
    def test_webdataset_reads_them(self, faces: FaceSet, tmp_path: Path) -> None:
        import webdataset

        (path,) = write_shards(faces, tmp_path)
        source = webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)
        samples = list(source.decode("rgb8"))
        del source
        gc.collect()
        assert [sample["cls"] for sample in samples] == faces.labels.tolist()
        assert all(np.array_equal(sample["png"], faces.read(i)) for i, sample in enumerate(samples))

    def test_equal_sets_give_equal_bytes(self, faces: FaceSet, tmp_path: Path) -> None:
        (a,), (b,) = (write_shards(faces, tmp_path / name) for name in "ab")
        assert a.read_bytes() == b.read_bytes()
        (c,) = write_shards(faces, tmp_path / "c", quality=80)
        assert open_faces(c).people == faces.people

    def test_nothing_is_overwritten_or_left_half(self, faces: FaceSet, tmp_path: Path) -> None:
        class Breaks(Selection):
            def read(self, index: int) -> Image:
                if index == 7:
                    raise DataError("photo 7: broken")
                return super().read(index)

        with pytest.raises(DataError, match="photo 7"):
            write_shards(Breaks(faces, range(10)), tmp_path, per_shard=3)
        assert list(tmp_path.iterdir()) == []
        (path,) = write_shards(faces, tmp_path)
        with pytest.raises(OptionError, match="expected no shards of the name faces"):
            write_shards(faces, tmp_path)
        write_shards(faces, tmp_path, name="others")
        assert len(open_faces(tmp_path)) == 20
        for values in ({"per_shard": 0}, {"name": "../x"}, {"name": ""}, {"quality": 101}):
            with pytest.raises(OptionError):
                write_shards(faces, tmp_path / "more", **values)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="cannot be written"):
            write_shards(faces, path / "below")

    def make(self, path: Path, members: dict[str, bytes]) -> Path:
        with tarfile.open(path, "w") as tar:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    def png(self, seed: int = 0) -> bytes:
        file = io.BytesIO()
        PILImage.fromarray(picture(seed)).save(file, "PNG")
        return file.getvalue()

    def test_numbers_for_people_and_names_with_folders(self, tmp_path: Path) -> None:
        members = {
            "a.b/1.png": self.png(1),
            "a.b/1.cls": b"10\n",
            "a.b/2.cls": b"9",
            "a.b/2.seg.npy": b"other things",
            "a.b/2.PNG": self.png(2),
            "a.b/.DS_Store": b"",
        }
        found = open_faces(self.make(tmp_path / "x.tar", members))
        assert found.people == ("9", "10")
        assert found.labels.tolist() == [1, 0]
        assert np.array_equal(found.read(1), picture(2))

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            ({}, "found none"),
            ({"a.cls": b"1"}, "one photo for a, found 0"),
            ({"a.png": b"", "a.jpg": b"", "a.cls": b"1"}, "one photo for a, found 2"),
            ({"a.png": b""}, "expected a.json or a.cls"),
            ({"a.png": b"", "a.cls": b"one"}, "a.cls: expected the number of a person, got 'one'"),
            ({"a.png": b"", "a.cls": b"1" * 99999}, "a.cls: expected at most 65,536 bytes"),
            ({"a.png": b"", "a.json": b"{"}, "a.json: expected JSON"),
            ({"a.png": b"", "a.json": b"[1]"}, "a.json: expected"),
            ({"a.png": b"", "a.json": b"[" * 60000}, "a.json: expected JSON"),
            ({"a.png": b"", "a.json": b'{"person": " "}'}, "a.json: expected"),
            (
                {"a.png": b"", "a.cls": b"1", "b.png": b"", "b.json": b'{"person": "x"}'},
                "names or numbers of people, found both",
            ),
        ],
    )
    def test_bad_members(self, tmp_path: Path, members: dict[str, bytes], message: str) -> None:
        with pytest.raises(DataError, match=message):
            open_faces(self.make(tmp_path / "x.tar", members))

    def test_bad_files(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            open_faces(tmp_path / "none.tar")
        with pytest.raises(DataError, match="No such file"):
            open_faces(tmp_path / "{a,b}.tar")
        with tarfile.open(tmp_path / "zipped.tar", "w:gz"):
            pass
        with pytest.raises(DataError, match="expected an uncompressed tar file"):
            open_faces(tmp_path / "zipped.tar")

    def test_a_broken_photo_is_named(self, tmp_path: Path) -> None:
        found = open_faces(self.make(tmp_path / "x.tar", {"a.png": b"no", "a.cls": b"0"}))
        with pytest.raises(DataError, match=r"x\.tar, a\.png: expected a photo"):
            found.read(0)

    def test_fuzz_gives_data_errors_only(self, tmp_path: Path) -> None:
        members: dict[str, bytes] = {}
        for i in range(4):
            members |= {f"{i}.png": self.png(i), f"{i}.cls": str(i % 2).encode()}
        path = self.make(tmp_path / "x.tar", members)
        whole = path.read_bytes()
        heads = [i for i in range(0, len(whole), 512) if whole[i + 257 : i + 262] == b"ustar"]
        assert len(heads) == 8
        random = np.random.default_rng(4)
        messages: list[str] = []
        for turn in range(150):
            data = bytearray(whole)
            head = int(random.choice(heads))
            for _ in range(int(random.integers(1, 4))):
                data[head + int(random.integers(0, 512))] = int(random.integers(0, 256))
            if turn % 2:  # with a checksum that fits, so that the values are believed
                data[head + 148 : head + 156] = b" " * 8
                checksum = sum(data[head : head + 512])
                data[head + 148 : head + 156] = b"%06o\0 " % checksum
            if turn % 5 == 0:
                del data[int(random.integers(0, len(data))) :]
            path.write_bytes(data)
            try:
                found = open_faces(path)
                for i in range(len(found)):
                    found.read(i)
            except DataError as error:
                messages.append(str(error))
        assert len(messages) > 50
        assert all("x.tar" in message for message in messages)

    def test_a_negative_size_does_not_go_in_circles(self, tmp_path: Path) -> None:
        path = self.make(tmp_path / "x.tar", {"a.png": self.png(), "a.cls": b"0"})
        data = bytearray(path.read_bytes())
        data[124:136] = b"\xff" * 10 + b"\xfc\x00"  # base 256: -1024
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"x\.tar"):
            open_faces(path)

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("a-{08..10}.tar", ["a-08.tar", "a-09.tar", "a-10.tar"]),
            ("a-{8..10}", ["a-8", "a-9", "a-10"]),
            ("{2..0}", ["2", "1", "0"]),
            ("{x,y}/{1..2}", ["x/1", "x/2", "y/1", "y/2"]),
            ("plain{}.tar", ["plain{}.tar"]),
        ],
    )
    def test_braces(self, pattern: str, names: list[str]) -> None:
        assert expand_braces(pattern) == names

    def test_braces_have_a_limit(self) -> None:
        for pattern in ("{0..999999999999}", "{0..999}{0..999}", "{a,b}" * 40):
            with pytest.raises(DataError, match="at most 100,000 shards"):
                expand_braces(pattern)


class TestRecordIO:
    def test_the_same_as_the_folder(self, faces: FaceSet, tmp_path: Path) -> None:
        write_recordio(faces, tmp_path)
        assert same_sets(open_faces(tmp_path), faces)


class TestChecking:
    @pytest.fixture
    def broken(self, tmp_path: Path) -> FaceSet:
        for person in "ab":
            (tmp_path / person).mkdir()
            for i in range(40):
                PILImage.fromarray(picture(i, (4, 4))).save(tmp_path / person / f"{i:02d}.png")
        (tmp_path / "a" / "07.png").write_text("text")
        (tmp_path / "b" / "39.png").write_bytes(b"")
        return open_faces(tmp_path)

    def test_unreadable_photos_are_listed(self, broken: FaceSet) -> None:
        told: list[tuple[int, int]] = []
        bad = check_faces(broken, progress=lambda done, total: told.append((done, total)))
        assert [name for name, _ in bad] == [broken.name(7), broken.name(79)]
        assert "expected a photo" in bad[0][1]
        assert told == [(i, 80) for i in range(1, 81)]

    def test_they_can_be_left_out(self, broken: FaceSet, faces: FaceSet) -> None:
        good = without_unreadable(broken)
        assert len(good) == 78
        assert notes_of(good)[0].startswith("2 of 80 photos cannot be read")
        assert check_faces(good) == []
        assert without_unreadable(faces) is faces


class TestCrops:
    def test_an_item(self, faces: FaceSet) -> None:
        crops = Crops(faces, 16, STRONG, seed=5)
        crops.set_epoch(3)
        augmented, plain, label, index = crops[8]
        assert augmented.dtype == plain.dtype == torch.uint8
        assert plain.shape == (3, 16, 16)
        assert np.array_equal(plain.permute(1, 2, 0).numpy(), faces.read(8))
        wanted = augment(faces.read(8), STRONG, (5, 3, 8, 0))
        assert np.array_equal(augmented.permute(1, 2, 0).numpy(), wanted)
        assert (label, index) == (2, 8)
        assert len(crops) == 10
        assert crops.notes == ()
        crops.set_epoch(4)
        assert not torch.equal(crops[8].augmented, augmented)
        with pytest.raises(OptionError, match="expected 0 to 9, got 10"):
            crops[10]

    def test_other_sizes_are_resized_and_told(self, tmp_path: Path) -> None:
        (tmp_path / "p").mkdir()
        flat = np.full((30, 20, 3), 77, np.uint8)
        PILImage.fromarray(flat).save(tmp_path / "p" / "a.png")
        crops = Crops(open_faces(tmp_path), 16, NOTHING)
        for workers in (1, 0):
            feed = Loader(crops, RandomBatches([0], 1), workers=workers)
            (batch,) = feed.epoch(0)
            feed.close()
            assert batch.plain.shape == (1, 3, 16, 16)
            assert (batch.augmented == 77).all()
            (note,) = crops.notes
            assert note.startswith("there are photos of 20 x 30 pixels")

    @pytest.mark.parametrize("change", [{"size_px": 0}, {"size_px": 16.0}, {"seed": -1}])
    def test_bad_options(self, faces: FaceSet, change: dict[str, Any]) -> None:
        with pytest.raises(OptionError):
            Crops(faces, **{"size_px": 16, "seed": 0} | change)


def epochs(feed: Loader, count: int) -> Iterator[Batch]:
    for epoch in range(count):
        yield from feed.epoch(epoch)
    feed.close()


def equal(a: Batch, b: Batch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


class TestLoader:
    @pytest.mark.parametrize("kind", ["random", "people"])
    def test_workers_change_nothing(self, faces: FaceSet, kind: str) -> None:
        sampler = (
            RandomBatches(faces.labels, 4, 1)
            if kind == "random"
            else PeopleBatches(faces.labels, 2, 3, 1)
        )
        runs = []
        for workers in (0, 2):
            feed = loader(Crops(faces, 16, STRONG, 2), sampler, workers)
            assert len(feed) == len(sampler) > 0
            runs.append(list(epochs(feed, 3)))
        assert len(runs[0]) == len(runs[1]) == 3 * len(sampler)
        assert all(equal(a, b) for a, b in zip(*runs, strict=True))
        planned = [batch for epoch in range(3) for batch in sampler.batches(epoch)]
        for batch, wanted in zip(runs[0], planned, strict=True):
            assert batch.indices.tolist() == wanted.tolist()
            assert batch.labels.tolist() == faces.labels[wanted].tolist()
            assert batch.labels.dtype == torch.int64
            first = batch.plain[0].permute(1, 2, 0).numpy()
            assert np.array_equal(first, faces.read(int(wanted[0])))

    def test_processes_get_parts_of_the_same_batches(self, faces: FaceSet) -> None:
        sampler = RandomBatches(faces.labels, 4, 1)

        def batches(rank: int, world: int) -> list[Batch]:
            return list(epochs(loader(Crops(faces, 16, STRONG), sampler, 0, rank, world), 2))

        whole, first, second = batches(0, 1), batches(0, 2), batches(1, 2)
        assert len(whole) == 4
        for a, b, c in zip(whole, first, second, strict=True):
            assert equal(a, Batch(*(torch.cat(pair) for pair in zip(b, c, strict=True))))
        with pytest.raises(OptionError, match="multiple of the 3 processes, got 4"):
            loader(Crops(faces, 16), sampler, 0, 0, 3)

    def test_an_epoch_can_be_entered_in_its_middle(self, faces: FaceSet) -> None:
        feed = loader(Crops(faces, 16, STRONG), PeopleBatches(faces.labels, 1, 2), 0)
        whole = list(feed.epoch(1))
        rest = list(feed.epoch(1, skip=2))
        assert len(rest) == len(whole) - 2 > 0
        assert all(equal(a, b) for a, b in zip(whole[2:], rest, strict=True))

    def test_a_photo_that_comes_twice_is_augmented_twice(self, faces: FaceSet) -> None:
        batch, *_ = loader(
            Crops(faces, 16, Augment(brightness=0.5)), PeopleBatches(faces.labels, 3, 8)
        ).epoch(0)
        numbers = batch.indices.tolist()
        places = [i for i, number in enumerate(numbers) if number == numbers[0]]
        assert len(places) >= 2
        a, b = places[:2]
        assert torch.equal(batch.plain[a], batch.plain[b])
        assert not torch.equal(batch.augmented[a], batch.augmented[b])

    @pytest.mark.parametrize("workers", [0, 2])
    def test_an_unreadable_photo_is_named(self, tmp_path: Path, workers: int) -> None:
        (tmp_path / "p").mkdir()
        for i in range(8):
            PILImage.fromarray(picture(i)).save(tmp_path / "p" / f"{i}.png")
        crops = Crops(open_faces(tmp_path), 16)
        feed = loader(crops, RandomBatches([0] * 8, 2), workers)
        assert len(list(feed.epoch(0))) == 4
        broken = tmp_path / "p" / "5.png"
        good = broken.read_bytes()
        broken.write_text("text")
        with pytest.raises(DataError, match=r"p.5\.png: expected a photo") as caught:
            list(feed.epoch(1))
        assert "Traceback" not in str(caught.value)
        broken.write_bytes(good)
        assert len(list(feed.epoch(2))) == 4  # and it goes on
        feed.close()

    def test_a_killed_worker_is_a_clear_error(self, folder: Path) -> None:
        class Deadly(Selection):
            def read(self, index: int) -> Image:
                if index == 6:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().read(index)

        crops = Crops(Deadly(open_faces(folder), range(10)), 16)
        feed = Loader(crops, RandomBatches([0] * 10, 2), workers=1)
        with pytest.raises(TrainError, match="use fewer workers"), worker_errors():
            list(feed.epoch(0))

    @pytest.mark.parametrize("workers", [0, 1])
    def test_the_global_generators_stay_as_they_are(self, faces: FaceSet, workers: int) -> None:
        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[union-attr]
        feed = loader(Crops(faces, 16, STRONG), RandomBatches(faces.labels, 4), workers)
        assert len(list(epochs(feed, 2))) == 4
        assert torch.equal(before[0], torch.get_rng_state())
        assert (before[1] == np.random.get_state()[1]).all()

    def test_an_epoch_that_is_left_early(self, faces: FaceSet) -> None:
        feed = loader(Crops(faces, 16, STRONG), RandomBatches(faces.labels, 2), 1)
        first = next(feed.epoch(0))
        whole = list(feed.epoch(0))
        assert len(whole) == 5
        assert equal(whole[0], first)
        feed.close()

    def test_other_errors_pass(self) -> None:
        for error in (RuntimeError("shapes"), DataError("x"), OSError("y")):
            with pytest.raises(type(error), match=str(error)), worker_errors():
                raise error

    @pytest.mark.parametrize("change", [{"workers": -1}, {"ahead": 0}, {"workers": 1.0}])
    def test_bad_options(self, faces: FaceSet, change: dict[str, Any]) -> None:
        with pytest.raises(OptionError):
            Loader(Crops(faces, 16), RandomBatches([0] * 10, 2), **change)


class TestLeakage:
    @pytest.mark.parametrize(
        ("a", "b"),
        [
            ("Renée_Zellweger", "renee zellweger"),
            ("Jean-Luc  Picard", "JEAN_LUC_PICARD"),
            ("Lech_Wałęsa", "lech walesa"),
            ("Strauß", "STRAUSS"),
            ("Søren O'Neil Jr.", "soren_oneil_jr"),
            ("Zoe\u0308", "Zoë"),
        ],
    )
    def test_names_that_are_one(self, a: str, b: str) -> None:
        assert normalized(a) == normalized(b)
        assert leakage([a], [b, "Somebody Else"]).shared == ((a, b),)

    def test_names_that_are_two(self) -> None:
        names = ["Ada Lovelace", "Ada Love", "김구", "김 구", "Ada Lovelace 2", ""]
        assert len({normalized(name) for name in names}) == len(names)

    def test_the_finding(self) -> None:
        leak = leakage(["a b", "c", "d", "A_B"], ["A B", "x", "C", "y", "_"])
        assert leak.found
        assert leak.shared == (("A_B", "A B"), ("a b", "A B"), ("c", "C"))
        assert leak.message.startswith(
            "2 people of the 5 people of the evaluation set are in the training set by name: A B"
        )
        assert (leak.training_people, leak.evaluation_people) == (4, 5)
        assert json.loads(json.dumps(leak.to_dict()))["shared"][2] == ["c", "C"]
        none = leakage(["a"], ["b"])
        assert not none.found
        assert none.message.startswith("nobody of the 1 people")
        numbers = leakage(["0", "1"], ["Ada"])
        assert numbers.numbered
        assert "leakage_by_face" in numbers.message
        many = leakage([f"p{i}" for i in range(30)], [f"P{i}" for i in range(30)])
        assert "and 20 more" in many.message

    def test_people_of_lfws_lists(self, tmp_path: Path) -> None:
        file = tmp_path / "pairs.txt"
        file.write_text("2\t1\nAda_L\t1\t4\nBo\t1\tCy_D\t3\nAda_L\t2\t3\nEve\t1\tBo\t2\n")
        assert evaluation_people(file) == ("Ada_L", "Bo", "Cy_D", "Eve")
        file.write_text("3\nAda_L\t5\nBo 2\n\nZoë Saldaña\n")
        assert evaluation_people(file) == ("Ada_L", "Bo", "Zoë Saldaña")
        file.write_text("10 300\n")
        with pytest.raises(DataError, match="expected names of people, found none"):
            evaluation_people(file)
        with pytest.raises(DataError, match="No such file"):
            evaluation_people(tmp_path / "none.txt")

    def test_people_of_folders_and_sets(self, folder: Path, faces: FaceSet, tmp_path: Path) -> None:
        wanted = tuple(sorted(PEOPLE))
        assert evaluation_people(folder) == wanted
        write_recordio(faces, tmp_path)
        assert evaluation_people(tmp_path) == wanted
        assert evaluation_people(tmp_path / "train.rec") == wanted

    def test_by_face(self) -> None:
        random = np.random.default_rng(0)
        centers = random.normal(size=(7, 64))
        train = np.repeat(np.arange(5), 4)
        asked = np.repeat([6, 2, 5], 3)  # the second is person 2 of the training set
        first = centers[train] + 0.3 * random.normal(size=(20, 64))
        first[0] = centers[4]  # a photo under a wrong name
        second = 7 * (centers[asked] + 0.3 * random.normal(size=(9, 64)))
        labels = np.repeat([0, 1, 2], 3)
        names = ["t0", "t1", "Ada_L", "t3", "t4"]
        for block in (1, 1024):
            (pair,) = leakage_by_face(
                first, train, names, second, labels, ["e0", "ada l", "e2"],
                threshold=0.7, block=block,
            )  # fmt: skip
            assert (pair.training, pair.evaluation, pair.same_name) == ("Ada_L", "ada l", True)
            unit = [
                np.mean(x / np.linalg.norm(x, axis=1, keepdims=True), axis=0)
                for x in (first[train == 2], second[labels == 1])
            ]
            cosine = unit[0] @ unit[1] / np.linalg.norm(unit[0]) / np.linalg.norm(unit[1])
            assert pair.similarity == pytest.approx(cosine, abs=1e-6)
        all_pairs = leakage_by_face(first, train, names, second, labels, "xyz", threshold=-1)
        assert len(all_pairs) == 15
        assert all_pairs[0].similarity == max(pair.similarity for pair in all_pairs)

    @pytest.mark.parametrize(
        "change",
        [
            {"threshold": 1.5},
            {"threshold": float("nan")},
            {"block": 0},
            {"train_labels": [0]},
            {"train_labels": [0, 2]},
            {"train_labels": [0.0, 1.0]},
            {"train_embeddings": np.zeros((2, 3))},
            {"train_embeddings": np.full((2, 3), np.nan)},
            {"train_embeddings": np.ones((2, 4))},
            {"evaluation_embeddings": np.ones(3)},
        ],
    )
    def test_by_face_refuses(self, change: dict[str, Any]) -> None:
        values: dict[str, Any] = {
            "train_embeddings": np.ones((2, 3)),
            "train_labels": [0, 1],
            "train_people": ["a", "b"],
            "evaluation_embeddings": np.ones((1, 3)),
            "evaluation_labels": [0],
            "evaluation_people": ["c"],
            "threshold": 0.5,
        }
        assert len(leakage_by_face(**values)) == 2
        with pytest.raises(OptionError):
            leakage_by_face(**values | change)


class TestCropNames:
    def test_names_never_clash(self, tmp_path: Path) -> None:
        for name in ("ada/1.jpg", "ada/1.PNG", "ada/2.jpg", "ada/x/2.jpg", "bo/1.jpg"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("")
        assert crop_names(read_people(tmp_path)) == [
            *("ada/1.PNG.png", "ada/1.jpg.png", "ada/2.png", "ada/x/2.png", "bo/1.png")
        ]


def test_sources_need_no_torch(folder: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = sys.modules["webdataset"] = None
from lineament.train.data import open_faces, Augment, RandomBatches, check_faces, Leak
from lineament.train.data.augment import STRONG, augment
faces = open_faces({str(folder)!r})
assert check_faces(faces) == []
print(len(faces), augment(faces.read(0), STRONG, 1).shape)
from lineament.errors import MissingExtraError
from lineament.train.data import shards
from lineament.train.data import _files as files
from lineament.train.data import _recordio as recordio
from importlib import import_module
writing = lambda: shards.write_shards(faces, "x")
for what in (writing, lambda: import_module("lineament.train.data.crops")):
    try:
        what()
    except MissingExtraError as error:
        print("webdataset" in str(error))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split("\n")[:3] == ["10 (16, 16, 3)", "True", "True"]

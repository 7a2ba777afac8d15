"""Zips of strangers: what is refused as a whole, what is passed over, and bombs."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lineament.errors import DataError
from lineament.server.jobs.archives import ArchiveLimits, check_archive, unpack

PHOTO = bytes(range(256)) * 8
LIMITS = ArchiveLimits(members=50, bytes=4 << 20, ratio=50, depth=3)


def packed(
    *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def linked(target: str, kind: int = stat.S_IFLNK) -> bytes:
    info = zipfile.ZipInfo("Ann/1.jpg")
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return packed((info, target.encode()))


def encrypted() -> bytes:
    data = bytearray(packed(("Ann/1.jpg", PHOTO)))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    data[6] |= 1
    return bytes(data)


def renamed(old: bytes, new: bytes) -> bytes:
    """A name that zipfile would not write."""
    assert len(old) == len(new)
    return packed((old.decode(), PHOTO)).replace(old, new)


def lying(size: int) -> bytes:
    """A member of zeros that says it is small."""
    real = 40 << 20
    data = bytearray(packed(("Ann/1.jpg", bytes(real)), method=zipfile.ZIP_DEFLATED))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(mark)
        assert struct.unpack_from("<I", data, place + at)[0] == real
        struct.pack_into("<I", data, place + at, size)
    return bytes(data)


def overlapping(count: int = 40) -> bytes:
    """Many members that share one packed kernel (Fifield, "A better zip bomb", 2019)."""
    kernel = zlib.compress(bytes(1 << 20), 9)[2:-4]
    name = b"Ann/0.jpg"
    crc = zlib.crc32(bytes(1 << 20))
    head = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, crc, len(kernel), 1 << 20, 9, 0)
    body = head + name + kernel
    directory = b""
    for number in range(count):
        each = b"Ann/%d.jpg" % number
        directory += struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, crc, len(kernel), 1 << 20, len(each),
            0, 0, 0, 0, 0, 0,
        ) + each  # fmt: skip
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + end


def long_directory() -> bytes:
    """A list of members that alone is longer than memory should hold, as the end says."""
    data = bytearray(packed(("Ann/1.jpg", PHOTO)))
    struct.pack_into("<I", data, len(data) - 10, 1 << 30)
    return bytes(data)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "no zip": lambda: b"PK\3\4 not really",
    "empty": lambda: b"",
    "nothing in it": packed,
    "parent": lambda: packed(("../1.jpg", PHOTO)),
    "parent inside": lambda: packed(("Ann/../../1.jpg", PHOTO)),
    "absolute": lambda: packed(("/etc/1.jpg", PHOTO)),
    "drive": lambda: packed(("C:/1.jpg", PHOTO)),
    "backslash": lambda: packed(("..\\1.jpg", PHOTO)),
    "nul": lambda: renamed(b"Ann/1.jpgx.txt", b"Ann/1.jpg\0.txt"),
    "control": lambda: packed(("Ann/\n1.jpg", PHOTO)),
    "empty folder name": lambda: packed(("Ann//1.jpg", PHOTO)),
    "deep": lambda: packed(("a/b/c/d/1.jpg", PHOTO)),
    "long name": lambda: packed((f"{'a' * 300}/1.jpg", PHOTO)),
    "link": lambda: linked("/etc/passwd"),
    "device": lambda: linked("", stat.S_IFCHR),
    "password": encrypted,
    "lzma": lambda: packed(("Ann/1.jpg", PHOTO), method=zipfile.ZIP_LZMA),
    "twice": lambda: packed(("Ann/1.jpg", PHOTO), ("ann/1.JPG", PHOTO)),
    "many": lambda: packed(*((f"Ann/{n}.jpg", b"x") for n in range(51))),
    "large": lambda: packed(*((f"Ann/{n}.jpg", bytes(2 << 20)) for n in range(3))),
    "ratio": lambda: packed(("Ann/1.jpg", bytes(3 << 20)), method=zipfile.ZIP_DEFLATED),
    "says less": lambda: lying(1000),
    "shares bytes": overlapping,
    "long list": long_directory,
    "file and folder": lambda: packed(("Ann.jpg", PHOTO), ("Ann.jpg/1.jpg", PHOTO)),
    "folder and file": lambda: packed(("Ann.jpg/1.jpg", PHOTO), ("Ann.jpg", PHOTO)),
    "cut": lambda: packed(("Ann/1.jpg", PHOTO))[:-60],
    "damaged": lambda: packed(("Ann/1.jpg", PHOTO)).replace(PHOTO[:64], bytes(64), 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zips_are_refused_and_nothing_leaves_the_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "upload").mkdir()
    archive, folder = tmp_path / "upload" / "archive.zip", tmp_path / "upload" / "files"
    folder.mkdir()
    archive.write_bytes(HOSTILE[name]())

    def take() -> None:  # as a server does: first by what the archive says, then all of it
        check_archive(archive, LIMITS)
        unpack(archive, folder, limits=LIMITS)

    with pytest.raises(DataError):
        take()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]
    assert all(path.is_relative_to(folder) for path in written)
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert sum(path.stat().st_size for path in written) <= LIMITS.bytes


def test_photos_are_unpacked_and_the_rest_is_named(tmp_path: Path) -> None:
    inner = packed(("Eve/1.jpg", PHOTO))
    archive = tmp_path / "archive.zip"
    archive.write_bytes(
        packed(
            ("Jose\u0301/1.jpg", PHOTO),
            ("Ann/film.mp4", b"film"),
            ("Ann/", b""),
            ("inner.zip", inner),
            ("Ann/notes.txt", b"text"),
            ("__MACOSX/Ann/._1.jpg", b"x"),
            ("Ann/.hidden.jpg", b"x"),
        )
    )
    folder = tmp_path / "files"
    folder.mkdir()
    assert check_archive(archive) == 2
    seen: list[tuple[int, int]] = []
    passed_over = unpack(archive, folder, progress=lambda n, total: seen.append((n, total)))
    assert passed_over == ["inner.zip: no photo or film", "Ann/notes.txt: no photo or film"]
    assert seen == [(1, 2), (2, 2)]
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"Jos\u00e9/1.jpg", "Ann/film.mp4"}
    assert (folder / "Jos\u00e9" / "1.jpg").read_bytes() == PHOTO


@pytest.mark.slow
def test_zip64_is_measured_by_its_own_record(tmp_path: Path) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for number in range(66_000):
            made.writestr(f"{number}.jpg", b"")
    with pytest.raises(DataError, match="at most 50 members"):
        check_archive(archive, LIMITS)
    assert check_archive(archive) == 66_000

"""WebDataset: photos in .tar files, a few thousand in each ("shards").

The files of one photo follow each other and have one name up to the first dot:

    00000012.png      the photo: png, jpg, webp, ... whatever lineament reads
    00000012.json     {"person": "Ada Lovelace"}, or
    00000012.cls      the person's number, as text

(https://github.com/webdataset/webdataset). The webdataset package reads shards from the beginning
to the end, which a sampler of people cannot use. So the tables of contents are read once, when a
set is opened, and photos then from their places. The package writes them: ``write_shards``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament.datasets.people_folder import plain
from lineament.errors import DataError, MissingExtraError, OptionError
from lineament.files import open_new
from lineament.images import IMAGE_SUFFIXES, describe_source
from lineament.train.data._random_access import RandomFile
from lineament.train.data.face_set import FaceSet, read_photo
from lineament.types import Image, IntArray

MOST_SHARDS = 100_000
MOST_KEPT_OPEN = 200
"""Systems allow a process 256 or 1,024 open files; with more shards, each read opens one."""

MOST_LABEL_BYTES = 1 << 16
BLOCK = 512
"""POSIX: a tar file consists of blocks of so many bytes, and ends with empty ones."""

_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")


@dataclass(frozen=True, eq=False)
class Shards:
    """A ``FaceSet`` of .tar files.

    Attributes:
        people: P names; numbers as text where the shards have numbers only.
        labels: (N,) int64.
        files: the shards.
        members: N names within the shards, for messages.
        shard: (N,) the number of each photo's shard.
        offset, size: (N,) where its bytes are.
        notes: sentences on what was left out.
    """

    people: tuple[str, ...]
    labels: IntArray
    files: tuple[RandomFile, ...]
    members: tuple[str, ...]
    shard: IntArray
    offset: IntArray
    size: IntArray
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.members)

    def name(self, index: int) -> str:
        """The shard and the name in it."""
        return f"{self.files[self.shard[index]]}, {self.members[index]}"

    def read(self, index: int) -> Image:
        """The pixels, upright."""
        name = self.name(index)
        file = self.files[self.shard[index]]
        data = file.read(int(self.offset[index]), int(self.size[index]), self.members[index])
        return read_photo(data, name)


def holds_shards(folder: Path) -> bool:
    """Whether there are .tar files in a folder."""
    try:
        return any(_is_shard(path) for path in folder.iterdir())
    except OSError:
        return False


def read_shards(path: str | os.PathLike[str]) -> Shards:
    """Read the tables of contents of shards.

    People are sorted by name (numbers by value), photos are in the shards' order.

    Args:
        path: a .tar file, a folder of them, or a pattern with braces: ``faces-{000..009}.tar``,
            ``{a,b}.tar``.

    Raises:
        DataError: no shards, a damaged one, a photo without a person or the other way round.
    """
    files = tuple(_shards_of(Path(path)))
    kept = len(files) <= MOST_KEPT_OPEN
    opened = tuple(RandomFile(file, keep_open=kept) for file in files)
    members: list[str] = []
    persons: list[str | int] = []
    places: list[tuple[int, int, int]] = []
    for number, file in enumerate(opened):
        for sample in _samples(file):
            members.append(sample.member)
            persons.append(sample.person)
            places.append((number, sample.offset, sample.size))
    if not members:
        raise DataError(
            f"{describe_source(Path(path))}: expected photos in the shards, found none; each "
            "is NAME.png (or another kind) with NAME.json or NAME.cls after it"
        )
    numbers = [person for person in persons if isinstance(person, int)]
    if numbers and len(numbers) != len(persons):
        raise DataError(
            f"{describe_source(Path(path))}: expected names or numbers of people, found both; "
            'write {"person": NAME} for all photos, or for none'
        )
    ordered: list[str | int] = sorted(set(persons))
    label_of = {person: label for label, person in enumerate(ordered)}
    table = np.array(places, np.int64)
    return Shards(
        people=tuple(str(person) for person in ordered),
        labels=np.array([label_of[person] for person in persons], np.int64),
        files=opened,
        members=tuple(members),
        shard=table[:, 0],
        offset=table[:, 1],
        size=table[:, 2],
    )


def write_shards(
    faces: FaceSet,
    folder: str | os.PathLike[str],
    *,
    per_shard: int = 10_000,
    name: str = "faces",
    quality: int | None = None,
) -> list[Path]:
    """Write a set as shards ``NAME-000000.tar`` and so on; equal sets give equal bytes.

    Args:
        faces: the set.
        folder: it is made if need be; no shards of that name may be in it.
        per_shard: photos in a shard.
        name: how the shards' names begin.
        quality: of JPEG, 1 to 100; None writes PNG, with exactly the same pixels.

    Returns:
        The shards.

    Raises:
        DataError: a photo cannot be read.
        OptionError: the folder cannot be written to, or there are such shards already. Then no new
            shard is left behind.
        MissingExtraError: the webdataset package is not installed.
    """
    try:
        from webdataset.writer import ShardWriter
    except ImportError as error:
        raise MissingExtraError("writing WebDataset shards", "train") from error
    if per_shard < 1:
        raise OptionError(f"expected 1 or more, got {per_shard}", option="per_shard")
    if not re.fullmatch(r"[\w.-]+", name):
        raise OptionError(f"expected letters, digits, _, - and dots, got {name!r}", option="name")
    out = Path(folder)
    # Under other names until all are there: a set without its end looks like a set.
    parts: list[Path] = []
    opened: list[Any] = []

    def next_part(number: str) -> Any:
        for file in opened:
            file.close()
        parts.append(out / f".{name}-{int(number):06d}.tar.part")
        opened[:] = [open_new(parts[-1])]
        return opened[0]

    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(path.name.startswith(f"{name}-") and _is_shard(path) for path in out.iterdir()):
            raise OptionError(
                f"{describe_source(out)}: expected no shards of the name {name}, found some; name "
                "another folder, or remove them"
            )
        try:
            options: dict[str, Any] = {"verbose": 0, "encoder": False, "user": "", "group": ""}
            options |= {"mtime": 0.0, "maxcount": per_shard, "maxsize": 2**62}
            writer = ShardWriter("%d", opener=next_part, **options)
            try:
                for i in range(len(faces)):
                    writer.write(_members_of(faces, i, quality))
            except BaseException:
                with contextlib.suppress(OSError, ValueError):
                    writer.close()  # or it would write when it is collected, into closed files
                raise
            writer.close()
        finally:
            for file in opened:
                file.close()
        written = []
        for part in parts:
            target = part.with_name(part.name[1 : -len(".part")])
            part.rename(target)
            written.append(target)
        return written
    except OSError as error:
        raise OptionError(
            f"{describe_source(out)}: shards cannot be written ({error.strerror}); name a folder "
            "that you may write to, on a disk with space"
        ) from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _members_of(faces: FaceSet, index: int, quality: int | None) -> dict[str, Any]:
    label = int(faces.labels[index])
    described = {"person": faces.people[label], "name": faces.name(index)}
    return {
        "__key__": f"{index:09d}",
        "png" if quality is None else "jpg": encoded(faces.read(index), quality),
        "cls": str(label).encode(),
        "json": json.dumps(described).encode(),
    }


def encoded(image: Image, quality: int | None) -> bytes:
    """A picture as the bytes of a PNG (no quality) or JPEG file.

    Raises:
        OptionError: a quality that is none.
    """
    from PIL import Image as PILImage

    if quality is not None and not 1 <= quality <= 100:
        raise OptionError(f"expected 1 to 100, or None for PNG, got {quality!r}", option="quality")
    file = io.BytesIO()
    picture = PILImage.fromarray(image)
    if quality is None:
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sample:
    member: str
    person: str | int
    offset: int
    size: int


def _is_shard(path: Path) -> bool:
    return path.suffix.lower() == ".tar" and not path.name.startswith(".") and path.is_file()


def _shards_of(path: Path) -> Iterator[Path]:
    shown = describe_source(path)
    if path.is_dir():
        try:
            found = sorted(inside for inside in path.iterdir() if _is_shard(inside))
        except OSError as error:
            raise DataError(
                f"{shown}: expected a folder that can be read, got: {error.strerror}"
            ) from error
    elif _BRACES.search(str(path)) and not path.exists():
        found = [Path(text) for text in expand_braces(str(path))]
    else:
        found = [path]
    if not found:
        raise DataError(f"{shown}: expected .tar files, found none; check the path")
    if len(found) > MOST_SHARDS:
        raise DataError(f"{shown}: expected at most {MOST_SHARDS:,} shards, found {len(found):,}")
    yield from found


def expand_braces(pattern: str) -> list[str]:
    """All names that a pattern stands for: ``a-{08..10}`` -> a-08, a-09, a-10; ``{x,y}`` -> x, y.

    Raises:
        DataError: it stands for more than ``MOST_SHARDS`` names.
    """
    done, todo = [""], pattern
    while (match := _BRACES.search(todo)) is not None:
        first, last, words = match.groups()
        if words is None:
            count = abs(int(last) - int(first)) + 1
            if count * len(done) > MOST_SHARDS:
                raise DataError(
                    f"{pattern}: expected at most {MOST_SHARDS:,} shards, got a pattern for more"
                )
            step = 1 if int(last) >= int(first) else -1
            width = max(len(first), len(last)) if "0" in (first[0], last[0]) else 0
            options: Sequence[str] = [
                str(n).zfill(width) for n in range(int(first), int(last) + step, step)
            ]
        else:
            options = words.split(",")
        before = todo[: match.start()]
        done = [head + before + option for head in done for option in options]
        if len(done) > MOST_SHARDS:
            raise DataError(
                f"{pattern}: expected at most {MOST_SHARDS:,} shards, got a pattern for more"
            )
        todo = todo[match.end() :]
    return [head + todo for head in done]


def _samples(file: RandomFile) -> Iterator[_Sample]:
    key: str | None = None
    group: dict[str, tarfile.TarInfo] = {}
    for member in _members(file):
        stem, kind = _key(member.name)
        if kind is None or stem.rpartition("/")[2].startswith("."):
            continue
        if stem != key:
            yield from _sample(file, key, group)
            key, group = stem, {}
        if kind in group:
            raise DataError(f"{file}: expected one {kind} for {stem}, found two")
        group[kind] = member
    yield from _sample(file, key, group)


def _key(name: str) -> tuple[str, str | None]:
    """ "a/b.c.png" -> ("a/b", "c.png"): the name ends at the first dot after the folders."""
    folder, slash, last = name.rpartition("/")
    stem, dot, kind = last.partition(".")
    if not stem and dot:  # a hidden file
        return name, None
    return folder + slash + stem, kind.lower() if dot else None


def _sample(
    file: RandomFile, key: str | None, group: dict[str, tarfile.TarInfo]
) -> Iterator[_Sample]:
    if key is None:
        return
    pictures = [kind for kind in group if f".{kind}" in IMAGE_SUFFIXES]
    if len(pictures) != 1:
        raise DataError(
            f"{file}: expected one photo for {key}, found {len(pictures)} among "
            f"{', '.join(sorted(group))}"
        )
    member = group[pictures[0]]
    yield _Sample(member.name, _person(file, key, group), member.offset_data, member.size)


def _person(file: RandomFile, key: str, group: dict[str, tarfile.TarInfo]) -> str | int:
    if "json" in group:
        try:
            described = json.loads(_small(file, group["json"]))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{file}, {key}.json: expected JSON, got: {error}") from error
        person = described.get("person") if isinstance(described, dict) else None
        if isinstance(person, str) and person.strip():
            return plain(person)
        if isinstance(person, int) and not isinstance(person, bool) and person >= 0:
            return person
        if person is not None or "cls" not in group:
            raise DataError(
                f'{file}, {key}.json: expected {{"person": NAME}}, got '
                f"{json.dumps(described)[:200]}"
            )
    if "cls" not in group:
        raise DataError(
            f"{file}: expected {key}.json or {key}.cls with the person of the photo, found "
            f"{', '.join(sorted(group))}"
        )
    text = _small(file, group["cls"]).strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise DataError(
            f"{file}, {key}.cls: expected the number of a person, got "
            f"{text[:40].decode('utf-8', 'replace')!r}"
        )
    return int(text)


def _small(file: RandomFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MOST_LABEL_BYTES:
        raise DataError(
            f"{file}, {member.name}: expected at most {MOST_LABEL_BYTES:,} bytes, got "
            f"{member.size:,}"
        )
    return file.read(member.offset_data, member.size, member.name)


def _members(file: RandomFile) -> Iterator[tarfile.TarInfo]:
    """The regular files in a shard. A table of contents that breaks off is an error."""
    end = 0
    try:
        with tarfile.open(file.path, "r:") as tar:
            while True:
                member = tar.next()
                tar.members = []  # type: ignore[attr-defined]  # it keeps them all otherwise
                if member is None:
                    end = tar.offset
                    break
                # A negative size would lead it back to a place where it has been.
                if member.size < 0 or member.offset_data + member.size > file.size:
                    raise DataError(
                        f"{file}: expected {member.name} with {member.size:,} bytes at "
                        f"{member.offset_data:,}, but the file has {file.size:,}; it is cut short "
                        "or damaged, copy it anew"
                    )
                if member.issparse():
                    raise DataError(f"{file}: expected {member.name} in one piece, got holes in it")
                if member.isreg():
                    yield member
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{file}: expected an uncompressed tar file, got: {error}; copy or write it anew"
        ) from error
    except OSError as error:
        raise DataError(
            f"{file}: expected a file that can be read, got: {error.strerror}"
        ) from error
    rest = file.read(end, min(BLOCK, file.size - end), "the end") if end < file.size else b""
    if any(rest):
        raise DataError(
            f"{file}: expected another file or the end at {end:,}, got something else; the shard "
            "is cut short or damaged, copy it anew"
        )

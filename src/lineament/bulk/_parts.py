"""The folder that bulk embedding writes: parts, a manifest, a list of what could not be read.

    part-000000.parquet     rows, and in the note "images" what became of each photo
    manifest.json           contract, options, finished parts
    errors.jsonl            photos that could not be read, and why

The parts are the truth: each is written beside, synchronized, and renamed, and says itself which
photos it stands for, those without a face and those with an error too. Manifest and list are
derived from them, so it is no matter if they lag behind when the power fails.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from lineament import forms
from lineament.bulk.tables import Row, check_suffix, encode, read_note, read_rows
from lineament.errors import ContractError, DataError, OptionError
from lineament.files import (
    Lock,
    NotAFileError,
    locked,
    make_way,
    read_regular,
    remove_all,
    replace_file,
    sha256_of_file,
    write_atomically,
)
from lineament.text import reason_of
from lineament.types import Contract

MANIFEST, ERRORS, LOCK = "manifest.json", "errors.jsonl", ".lock"
KIND = "bulk embeddings"
FORMAT = 1
NOTE = "images"

SAVE_EVERY_S = 10.0
"""The manifest grows with the parts; writing it with each would take longer and longer."""

MOST_MANIFEST = 1 << 28
"""Bytes; a part takes 90."""

_PART = re.compile(r"part-(\d{6,})\.(npz|parquet)")
_BESIDE = re.compile(r"\.lineament-.*\.tmp")


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one photo.

    Attributes:
        name: path below the root, with "/".
        size: of the file in bytes; -1 when it could not be asked for.
        mtime_ns: when it was changed, nanoseconds; -1 likewise.
        sha256: of its bytes, or None when that was not wanted.
        faces: how many rows it has.
        error: why it could not be read, or None.
    """

    name: str
    size: int
    mtime_ns: int
    sha256: str | None
    faces: int
    error: str | None


_Values = tuple[str, int, int, str | None, int, str | None]
"""Of a record, as it stands in a part."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A finished part, in numbers, and its records with errors."""

    images: int
    faces: int
    errors: tuple[Record, ...]


class _Manifest(msgspec.Struct, kw_only=True):
    """``manifest.json``."""

    lineament: str = KIND
    format: int = FORMAT
    contract: Contract
    made_by: dict[str, Any]
    root: str
    suffix: Literal[".npz", ".parquet"]
    images: int
    complete: bool = False
    parts: list[dict[str, Any]]


class Parts:
    """The folder, open for writing; a context manager that holds its lock."""

    def __init__(
        self,
        folder: Path,
        *,
        contract: Contract,
        made_by: dict[str, Any],
        root: Path,
        suffix: str | None,
        restart: bool,
        on_note: Callable[[str], None],
    ) -> None:
        """Name what is to be written; nothing happens before ``__enter__``.

        Args:
            folder: it is made, unless it exists; its parent must exist.
            contract: of all vectors.
            made_by: what the rows depend on; a folder that was made otherwise is refused.
            root: the folder that names are relative to.
            suffix: of the parts; None takes what is there, else parquet, else npz.
            restart: remove what is there first.
            on_note: called with what the user should know, in words.
        """
        self.folder = folder
        self.contract = contract
        self.made_by = made_by
        self.root = root
        self.done: dict[str, tuple[int, Record]] = {}
        self.found = 0
        self.complete = False
        self._suffix = suffix
        self._restart = restart
        self._note = on_note
        self._parts: dict[int, _Part] = {}
        self._twice: dict[int, set[str]] = {}
        self._saved_s = 0.0
        self._lock: Lock | None = None

    def __enter__(self) -> Parts:
        """Lock the folder and read what is finished.

        Raises:
            OptionError: another process is writing to it, it holds something else, another root's
                or other faces' rows, or it cannot be written to.
            ContractError: it holds embeddings that were made in another way.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = locked(self.folder / LOCK, busy=self._busy)
        except OSError as error:
            reason = "it is a file" if isinstance(error, FileExistsError) else reason_of(error)
            if isinstance(error, NotAFileError):
                reason = f"{LOCK}: {reason}"
            raise OptionError(
                f"{self.folder}: cannot be made or written to ({reason}); name another folder"
            ) from error
        try:
            self._open()
        except OSError as error:
            self.__exit__()
            raise OptionError(
                f"{self.folder}: cannot be read or written ({reason_of(error)}); name another "
                "folder"
            ) from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def suffix(self) -> str:
        """Of the parts: ".parquet" or ".npz"."""
        assert self._suffix is not None
        return self._suffix

    @property
    def faces(self) -> int:
        """Rows in all parts."""
        return sum(part.faces for part in self._parts.values())

    @property
    def errors(self) -> list[tuple[str, Record]]:
        """Photos that could not be read, and the part that says so."""
        return [
            (self._path(number).name, record)
            for number, part in sorted(self._parts.items())
            for record in part.errors
        ]

    def __len__(self) -> int:
        """Number of parts."""
        return len(self._parts)

    def free_numbers(self) -> Iterator[int]:
        """Numbers without a part, from 0 on: a shard that was lost gets its old number again."""
        number = 0
        while True:
            if number not in self._parts:
                yield number
            number += 1

    def write(self, number: int, records: Sequence[Record], rows: Sequence[Row]) -> None:
        """Put a part in place, on the disk when this returns; one of that number is replaced."""
        note = json.dumps([list(asdict(record).values()) for record in records])
        path = self._path(number)
        _write_durably(path, encode(self.suffix, rows, self.contract, {NOTE: note}))
        self._learn(number, records)
        if time.monotonic() - self._saved_s > SAVE_EVERY_S:
            self.save()

    def forget(self, stale: dict[int, set[str]]) -> None:
        """Take photos out of parts, so that they can be embedded again.

        Args:
            stale: names by the number of the part that has them.
        """
        for number, names in stale.items():
            path = self._path(number)
            records = [record for record in self._read(path) if record.name not in names]
            rows = [row for row in read_rows(path) if row["source"] not in names]
            for name in names:
                if self.done.get(name, (None,))[0] == number:
                    del self.done[name]
            if records:
                try:
                    self.write(number, records, rows)
                except (ValueError, TypeError, OverflowError) as error:
                    raise DataError(
                        f"{path}: expected a file of embeddings, what is in it makes no sense "
                        f"({reason_of(error)}): remove it"
                    ) from error
            else:
                path.unlink()
                del self._parts[number]

    def save(self) -> None:
        """Write the manifest and the list of errors."""
        parts = [
            {
                "file": self._path(number).name,
                "images": part.images,
                "faces": part.faces,
                "errors": len(part.errors),
            }
            for number, part in sorted(self._parts.items())
        ]
        manifest = _Manifest(
            contract=self.contract,
            made_by=self.made_by,
            root=str(self.root),
            suffix=self.suffix,  # type: ignore[arg-type]
            images=self.found,
            complete=self.complete,
            parts=parts,
        )
        lines = [
            json.dumps({"source": record.name, "reason": record.error, "part": part}) + "\n"
            for part, record in self.errors
        ]
        with suppress(OSError):  # writing says what is wrong
            make_way(self.folder / ERRORS)
        write_atomically(self.folder / ERRORS, "".join(lines).encode())
        write_atomically(self.folder / MANIFEST, forms.encode(manifest))
        self._saved_s = time.monotonic()

    # --- inside -----------------------------------------------------------------------------------

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}{self.suffix}"

    def _open(self) -> None:
        manifest = self._manifest()
        if manifest is None:
            strangers = [path.name for path in self.folder.iterdir() if not _is_beside(path)]
            if strangers:
                raise OptionError(
                    f"{self.folder}: expected an empty folder or one of bulk embeddings, it holds "
                    f"{sorted(strangers)[0]}; name another folder"
                )
        elif self._restart:
            self._empty()
            manifest = None
        for path in self.folder.iterdir():  # nobody else writes here: what is left is of the dead
            if _BESIDE.fullmatch(path.name):
                remove_all(path)
        if manifest is not None:
            self._check(manifest)
            self._suffix = manifest.suffix
        elif self._suffix is None:
            self._suffix = ".parquet" if _has_pyarrow() else ".npz"
        check_suffix(self.suffix)
        if manifest is None:
            self.save()  # first of all, so that the parts are never without one
            return
        for path in sorted(self.folder.iterdir()):
            match = _PART.fullmatch(path.name)
            if match is None:
                continue
            try:
                records = self._read(path)
            except DataError as error:
                self._note(f"{error}: its photos are embedded again")
                remove_all(path)  # of a link the link alone
                continue
            self._learn(int(match[1]), records)
        self.forget(self._twice)
        self._twice = {}

    def _learn(self, number: int, records: Sequence[Record]) -> None:
        for record in records:
            if self.done.setdefault(record.name, (number, record))[0] != number:
                self._twice.setdefault(number, set()).add(record.name)
        self._parts[number] = _Part(
            len(records),
            sum(record.faces for record in records),
            tuple(record for record in records if record.error is not None),
        )

    def _read(self, path: Path) -> list[Record]:
        text = read_note(path, NOTE)
        try:
            records = [Record(*values) for values in forms.read_json(text, list[_Values])]
        except (msgspec.DecodeError, RecursionError) as error:
            raise DataError(f"{path}: expected a list of photos, it is damaged") from error
        if any(record.faces < 0 for record in records):
            raise DataError(f"{path}: expected a list of photos, it is damaged")
        return records

    def _manifest(self) -> _Manifest | None:
        path = self.folder / MANIFEST
        try:
            data = read_regular(path, inside=True, at_most=MOST_MANIFEST)
            kind = forms.read_json(data)
            if not isinstance(kind, dict) or (kind.get("lineament"), kind.get("format")) != (
                KIND,
                FORMAT,
            ):
                raise DataError(
                    f"{path}: written by another version of lineament, or something else; name "
                    "another folder"
                )
            manifest: _Manifest = forms.read_json(data, _Manifest)
            return manifest
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            raise DataError(
                f"{path}: expected the manifest of bulk embeddings, it is damaged or something "
                "else; name another folder"
            ) from error

    def _check(self, manifest: _Manifest) -> None:
        remedy = "name another folder, or {restart}"
        try:
            manifest.contract.check(self.contract)
        except ContractError as error:
            raise ContractError(
                f"{self.folder}: holds embeddings that were made by "
                f"{manifest.contract.weights}, expected {self.contract.weights} with the same "
                "alignment and options",
                hint=remedy,
            ) from error
        theirs, mine = manifest.made_by, json.loads(json.dumps(self.made_by))
        differing = sorted(
            key for key in {*theirs, *mine} - {"contract"} if theirs.get(key) != mine.get(key)
        )
        if differing:
            raise OptionError(
                f"{self.folder}: was made with other options ({', '.join(differing)})", hint=remedy
            )
        root = Path(manifest.root)
        # A folder that was moved has another name and the same photos.
        if root != self.root and root.is_dir() and not root.samefile(self.root):
            raise OptionError(f"{self.folder}: holds the photos of {root}", hint=remedy)
        self.complete = manifest.complete

    def _busy(self, _: str) -> OptionError:
        return OptionError(
            f"{self.folder}: another process is writing to it; wait for it, or name another folder"
        )

    def _empty(self) -> None:
        """Remove what is ours; the manifest last, since without it the parts are strangers."""
        for path in self.folder.iterdir():
            if _PART.fullmatch(path.name) or path.name == ERRORS:
                remove_all(path)
        (self.folder / MANIFEST).unlink()


def sha256_of(path: str) -> str | None:
    """Of a file's bytes; None when it cannot be read."""
    try:
        return sha256_of_file(path).hex()
    except (OSError, ValueError):
        return None


def _is_beside(path: Path) -> bool:
    return path.name == LOCK or _BESIDE.fullmatch(path.name) is not None


def _has_pyarrow() -> bool:
    import importlib.util

    return importlib.util.find_spec("pyarrow") is not None


def _write_durably(path: Path, data: bytes) -> None:
    try:
        replace_file(path, data, durable=True)
    except OSError as error:
        raise OptionError(
            f"{path}: cannot be written ({error.strerror}); make room, or check the folder's "
            "rights, and start again to go on"
        ) from error


def names_of(values: Collection[tuple[int, str]]) -> dict[int, set[str]]:
    """Names by the number of their part."""
    found: dict[int, set[str]] = {}
    for number, name in values:
        found.setdefault(number, set()).add(name)
    return found

"""Jobs as rows of one SQLite file, each with a folder for what was sent and what came out."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Literal, get_args

from lineament.errors import GalleryKeyError
from lineament.files import remove_all
from lineament.results import Outcome
from lineament.server.jobs.vault import Vault
from lineament.server.tables import add_columns, opened

JobKind = Literal["enroll", "group", "tune", "anonymize", "reindex", "expire"]
KINDS: tuple[JobKind, ...] = get_args(JobKind)

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
OVER: tuple[JobState, ...] = ("done", "failed", "cancelled")

KEPT_UNREAD_S = 3600.0
"""Seconds for which a job is shown that the server cannot read any more."""

UPLOAD, RESULT = "upload", "result"
"""Folders of a job."""


@dataclass(frozen=True, slots=True)
class Job(Outcome):
    """Long work, and how far it is.

    Attributes:
        id: of the job.
        kind: what is done.
        gallery: to which, or None.
        owner: id of the key that sent it.
        options: as sent.
        state: "queued", "running", "done", "failed" or "cancelled".
        done, total: how much of it is done, and how much there is; 0 of 0 before that is known.
        what: what is being done, in words.
        result: what the library says, as JSON; None before, and where it was removed.
        file: name of the file that can be fetched; None: there is none.
        problem: why it failed, as ``LineamentError.to_dict`` has it.
        attempts: how often it was begun; more than once after the process ended meanwhile.
        created, started, ended: seconds since 1970, or None.
        expires: when it is forgotten, with its result; None while it is not over.
    """

    id: str
    kind: JobKind
    gallery: str | None
    owner: str
    options: dict[str, Any] = field(default_factory=dict)
    state: JobState = "queued"
    done: int = 0
    total: int = 0
    what: str = ""
    result: dict[str, Any] | None = None
    file: str | None = None
    problem: dict[str, Any] | None = None
    attempts: int = 0
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    expires: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in OVER

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "gallery": self.gallery,
            "state": self.state,
            "progress": {"done": self.done, "total": self.total, "what": self.what},
            "result": self.result,
            "file": self.file,
            "problem": self.problem,
            "attempts": self.attempts,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "expires": self.expires,
        }


_COLUMNS = tuple(each.name for each in fields(Job))
_AS_JSON = ("options", "result", "problem")
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, kind TEXT NOT NULL, gallery TEXT, "
    "owner TEXT NOT NULL, options TEXT, state TEXT NOT NULL, done INTEGER, total INTEGER, "
    "what TEXT, result TEXT, file TEXT, problem TEXT, attempts INTEGER, created REAL, "
    "started REAL, ended REAL, expires REAL, once BLOB)"
)


class JobStore:
    """The rows and folders of a server's jobs."""

    def __init__(self, folder: Path, vault: Vault | None = None) -> None:
        """Open it.

        Args:
            folder: of the server's data.
            vault: keeps what names people; None: as it is.
        """
        self.vault = Vault(folder) if vault is None else vault
        self._path, self._folder = folder / "jobs.sqlite", folder / "jobs"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._open() as connection:
            add_columns(connection, "jobs", once="BLOB")

    def _open(self) -> AbstractContextManager[Connection]:
        return opened(self._path, _SCHEMA)

    def new_folder(self) -> tuple[str, Path]:
        """An id, and its folder, for what is sent; the row is added when all of it is there."""
        number = secrets.token_hex(8)
        folder = self._folder / number
        (folder / UPLOAD).mkdir(parents=True, mode=0o700)
        return number, folder

    def folder(self, number: str) -> Path:
        """The folder of a job."""
        return self._folder / number

    def add(self, job: Job, once: bytes | None = None) -> None:
        """Note a job, and the token of the request that sent it."""
        names = ", ".join((*_COLUMNS, "once"))
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        with self._open() as connection:
            connection.execute(
                f"INSERT INTO jobs ({names}) VALUES ({marks})", (*self._row(job), once)
            )

    def sent(self, once: bytes) -> str | None:
        """The id of the job that was sent under a token; None: none was, or it is forgotten."""
        with self._open() as connection:
            row = connection.execute("SELECT id FROM jobs WHERE once = ?", (once,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, job: Job) -> None:
        """Note what became of a job."""
        columns = ", ".join(f"{name} = ?" for name in _COLUMNS)
        with self._open() as connection:
            connection.execute(f"UPDATE jobs SET {columns} WHERE id = ?", (*self._row(job), job.id))

    def all(self) -> list[Job]:
        """All jobs, the oldest first."""
        with self._open() as connection:
            rows = connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM jobs ORDER BY rowid"
            ).fetchall()
        return [self._job(row) for row in rows]

    def remove(self, number: str) -> None:
        """Forget a job, with its files."""
        with self._open() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (number,))
        self.clear(number)

    def clear(self, number: str, *, keep_result: bool = False) -> None:
        """Delete a job's files, all or all but the result."""
        folder = self._folder / number
        if not keep_result:
            if folder.exists():
                remove_all(folder)
            return
        for entry in folder.iterdir() if folder.exists() else ():
            if entry.name != RESULT:
                remove_all(entry)

    def clear_strays(self, known: Sequence[str]) -> None:
        """Delete folders of what was never sent to its end."""
        for entry in self._folder.iterdir():
            if entry.name not in known:
                remove_all(entry)

    def _row(self, job: Job) -> tuple[Any, ...]:
        values = {name: getattr(job, name) for name in _COLUMNS}
        for name in _AS_JSON:
            values[name] = self.vault.seal(job.id, name, json.dumps(values[name]))
        return tuple(values.values())

    def _job(self, row: Sequence[Any]) -> Job:
        values = dict(zip(_COLUMNS, row, strict=True))
        try:
            for name in _AS_JSON:
                values[name] = json.loads(self.vault.unseal(values["id"], name, values[name]))
        except GalleryKeyError as error:  # the server has another key now: it cannot be done
            values |= {"options": {}, "result": None, "file": None, "problem": error.to_dict()}
            now = time.time()
            values |= {"state": "failed", "ended": now, "expires": now + KEPT_UNREAD_S}
        return replace(Job("", "enroll", None, ""), **values)

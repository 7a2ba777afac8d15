"""The line of jobs: one after the other in one thread, looked at, cancelled, begun again.

When the process ends, however that is, jobs that were running are in the line again at the next
start: those that can go on do, the others begin anew (``kinds``). After ``MOST_ATTEMPTS`` a job
has failed with an error that says so, since it may be what ends the process. What was sent is
deleted when a job is over, its result some hours later.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Condition, Event, RLock, Thread
from typing import Any

from lineament.errors import BusyError, LineamentError, NotFoundError, ServiceError
from lineament.gallery import Gallery
from lineament.machine import raise_if_short
from lineament.pipeline import Recognizer
from lineament.server.auditing import Audit
from lineament.server.feed import Feed
from lineament.server.jobs.archives import unpack, unpacked_bytes
from lineament.server.jobs.kinds import KINDS_OF_JOBS, Doing, without_root
from lineament.server.jobs.store import RESULT, UPLOAD, Job, JobStore
from lineament.server.jobs.vault import Vault
from lineament.server.roles import Principal

logger = logging.getLogger("lineament.server")

MOST_ATTEMPTS = 3
MOST_WAITING, MOST_OF_ONE = 200, 20
"""Jobs in the line, of all and of one key."""

SPARE_BYTES = 1 << 30
"""The disk keeps so much free."""

SAY_S, NOTE_S, CLEAN_S = 0.25, 2.0, 60.0
"""Seconds between two reports of progress to followers, to the disk, and between two cleanings."""


class EndedError(KeyboardInterrupt):
    """A job is to end: enrolling keeps what was looked at, as it does for Ctrl-C."""


class Jobs:
    """The jobs of the process that writes."""

    def __init__(
        self,
        folder: Path,
        recognizer: Callable[[], Recognizer],
        gallery: Callable[[str], Gallery],
        *,
        keep_h: float,
        audit: Audit | None = None,
        vault: Vault | None = None,
    ) -> None:
        """Do none yet.

        Args:
            folder: of the server's data.
            recognizer, gallery: as the server has them.
            keep_h: hours for which results can be fetched.
            audit: the server's: an entry says how each job ended.
            vault: keeps what is sent and what comes out; None: as it is.
        """
        self.store = JobStore(folder, vault)
        self._root = folder
        self._recognizer, self._gallery, self._keep_h = recognizer, gallery, keep_h
        self._audit = audit
        self._jobs: dict[str, Job] = {}  # as they came: several may come in one millisecond
        self._feeds: dict[str, Feed] = {}
        self._changed = Condition(RLock())
        self._stop = Event()
        self._cancelled: set[str] = set()
        self._thread: Thread | None = None
        self._started = False

    def start(self) -> None:
        """Read what there is, and go on with it; a second call does nothing."""
        with self._changed:
            if self._started:
                return
            self._started = True
        for job in self.store.all():
            if job.state == "running":
                job = replace(job, state="queued", what="waiting after a restart")
                if job.attempts >= MOST_ATTEMPTS:
                    error = ServiceError(
                        f"the server ended {job.attempts} times while it did this",
                        hint="send it again, in smaller parts",
                    )
                    job = self._over(job, "failed", problem=error.to_dict())
                self.store.put(job)
            if job.over:  # the process may have ended between noting that and deleting
                self._clear(job)
            self._jobs[job.id] = job
        self.store.clear_strays(list(self._jobs))
        self.store.vault.clear_strays()
        self._thread = Thread(target=self._run, name="lineament-jobs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; the job that runs is in the line again at the next start."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(60)
        for feed in self._feeds.values():
            feed.end()

    # --- for callers ------------------------------------------------------------------------------

    def check_room(self, owner: str, coming: int) -> None:
        """Before a body is read.

        Args:
            owner: id of the key.
            coming: bytes of the body, as far as that is known.

        Raises:
            BusyError: the line is full, or the disk.
        """
        with self._changed:
            waiting = [job for job in self._jobs.values() if not job.over]
        own = sum(job.owner == owner for job in waiting)
        if len(waiting) >= MOST_WAITING or own >= MOST_OF_ONE:
            raise BusyError(
                f"expected at most {MOST_OF_ONE} jobs of one key and {MOST_WAITING} in the line, "
                "got one more",
                hint="ask again later",
                retry_after_s=30,
            )
        if shutil.disk_usage(self.store.folder("")).free < 2 * coming + SPARE_BYTES:
            raise BusyError("there is no room for it", hint="ask again later", retry_after_s=60)

    def sent(self, once: bytes | None) -> Job | None:
        """The job that the same request has sent before; None: none."""
        if once is None:
            return None
        with self._changed:
            return self._jobs.get(self.store.sent(once) or "")

    def add(self, job: Job, once: bytes | None = None) -> Job:
        """Put a job in the line; what was sent lies in its folder.

        Args:
            job: new.
            once: token of the request: one that came in meanwhile under it is returned instead.
        """
        job = replace(job, created=round(time.time(), 3), what="waiting")
        with self._changed:
            before = self.sent(once)
            if before is not None:
                return before
            self.store.add(job, once)
            self._jobs[job.id] = job
            self._changed.notify_all()
        self.feed(job.id)
        return job

    def get(self, number: str, principal: Principal) -> Job:
        """A job of one's own; admins see those of their galleries. NotFoundError: there is none."""
        with self._changed:
            job = self._jobs.get(number)
        if job is None or not _sees(principal, job):
            raise NotFoundError(f"expected the id of a job, got {number!r:.80}")
        return job

    def list(self, principal: Principal) -> list[Job]:
        """The jobs that somebody may see, the oldest first."""
        with self._changed:
            jobs = list(self._jobs.values())
        return [job for job in jobs if _sees(principal, job)]

    def end(self, number: str) -> None:
        """Cancel a job that is not over; forget one that is."""
        with self._changed:
            job = self._jobs[number]
            if job.state == "running":
                self._cancelled.add(number)
            elif job.state == "queued":
                self._put(self._over(job, "cancelled"))
            else:
                del self._jobs[number]
                self._feeds.pop(number, None)
                self.store.remove(number)

    def file_of(self, job: Job) -> Path:
        """The file of a result. NotFoundError: there is none (yet, or any more)."""
        path = None if job.file is None else self.store.folder(job.id) / RESULT / job.file
        if path is None or not path.is_file():
            raise NotFoundError(f"the job has no file: it is {job.state}")
        return path

    def feed(self, number: str) -> Feed:
        """What happens to a job: kinds "state" and "progress"."""
        with self._changed:
            feed = self._feeds.get(number)
            if feed is None:
                job = self._jobs[number]
                feed = self._feeds[number] = Feed(most=1000)
                feed.add("state", job.to_dict())
                if job.over:
                    feed.end()
            return feed

    def forget(self, gallery: str) -> None:
        """Remove the results of a gallery's jobs, which name people: somebody was removed."""
        with self._changed:
            for job in list(self._jobs.values()):
                if job.gallery == gallery and job.over and job.result is not None:
                    self.store.clear(job.id)
                    self._feeds.pop(job.id, None)
                    self._jobs[job.id] = replace(job, result=None, file=None)
                    self.store.put(self._jobs[job.id])

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        cleaned = 0.0
        while not self._stop.is_set():
            if time.monotonic() - cleaned > CLEAN_S or not cleaned:
                self._clean()
                cleaned = time.monotonic()
            with self._changed:
                waiting = [job for job in self._jobs.values() if job.state == "queued"]
                if not waiting:
                    self._changed.wait(CLEAN_S)
                    continue
                job = waiting[0]
                job = replace(
                    job, state="running", started=round(time.time(), 3), done=0, total=0,
                    what="starting", attempts=job.attempts + 1,
                )  # fmt: skip
                self._put(job)
            self._do(job)

    def _do(self, job: Job) -> None:
        progress = _Progress(self, job.id)
        try:
            result, file = self._done(job, progress)
        except EndedError:
            latest = self._jobs[job.id]
            if job.id in self._cancelled:
                self._put(self._over(latest, "cancelled"))
            else:  # the server stops: that was no attempt
                self._put(replace(latest, state="queued", attempts=latest.attempts - 1))
        except LineamentError as error:
            problem = without_root(error.to_dict(), self._root)
            self._put(self._over(self._jobs[job.id], "failed", problem=problem))
        except Exception as error:
            try:
                raise_if_short(error)
                logger.exception("job %s failed", job.id)
                shown = LineamentError("the server failed; its log has the reason")
            except LineamentError as short:
                shown = short
            problem = shown.to_dict()
            self._put(self._over(self._jobs[job.id], "failed", problem=problem))
        else:
            self._put(self._over(self._jobs[job.id], "done", result=result, file=file))
        finally:
            self._cancelled.discard(job.id)

    def _done(self, job: Job, progress: _Progress) -> tuple[dict[str, Any], str | None]:
        """Do it: where files are encrypted, in a folder of plain ones for as long as it takes."""
        folder, vault = self.store.folder(job.id), self.store.vault
        sent, kept = folder / UPLOAD, folder / RESULT
        if kept.exists():
            shutil.rmtree(kept)  # of an attempt that did not end
        kept.mkdir(parents=True, mode=0o700)
        if not vault.encrypted:
            return self._done_in(job, sent / "files", kept, progress)
        with vault.working(folder, _room(vault, sent)) as work:
            files, out = work / "files", work / "result"
            out.mkdir()
            vault.take_out(sent / "files", files)
            result, file = self._done_in(job, files, out, progress)
            if file is not None:
                vault.keep(out / file, kept / file)
            return result, file

    def _done_in(
        self, job: Job, files: Path, out: Path, progress: _Progress
    ) -> tuple[dict[str, Any], str | None]:
        self._root = files
        archive = self.store.folder(job.id) / UPLOAD / "archive.zip"
        passed_over: list[str] = []
        if archive.exists():
            if files.exists():
                shutil.rmtree(files)
            files.mkdir()
            passed_over = unpack(
                archive,
                files,
                progress=lambda n, total: progress("unpacking", n, total),
                opened=self.store.vault.open,
            )
        gallery = None if job.gallery is None else self._gallery(job.gallery)
        kind = KINDS_OF_JOBS[job.kind]
        options = kind.options.model_validate(job.options)
        progress("starting", 0, 0)
        key = None if self._audit is None else self._audit.signing_key
        doing = Doing(files, out, gallery, self._recognizer, options, progress, key)
        result, file = kind.run(doing)
        progress.check()
        result = without_root(without_root(result, files), out)
        if passed_over:
            result["passed_over"] = [*result.get("passed_over", []), *passed_over]
        return result, file

    def _over(self, job: Job, state: Any, **more: Any) -> Job:
        now = round(time.time(), 3)
        return replace(job, state=state, ended=now, expires=now + 3600 * self._keep_h, **more)

    def _put(self, job: Job) -> None:
        """Note a new state, and say so; what was sent is deleted where nothing more happens.

        Whoever is told that it is over finds it in the audit log, and what was sent gone. A process
        that is killed on the way has the job still to do, or only what was sent still to delete.
        """
        with self._changed:
            if job.over:
                self._note(job)
            self.store.put(job)
            if job.over:
                self._clear(job)
            self._jobs[job.id] = job
            feed = self.feed(job.id)
            feed.add("state", job.to_dict())
            if job.over:
                feed.end()

    def _clear(self, job: Job) -> None:
        """Delete what was sent for a job that is over, and what came out where nobody wants it."""
        self.store.clear(job.id, keep_result=job.state == "done" and job.file is not None)

    def _note(self, job: Job) -> None:
        """An entry of the audit log says how a job ended."""
        if self._audit is not None:
            result = job.result or {}
            counts = {name: value for name, value in result.items() if isinstance(value, int)}
            about: dict[str, Any] = {name: n for name, n in counts.items() if name[:2] == "n_"}
            self._audit.log.append(
                job.kind, job.owner, job.gallery, outcome=job.state, job=job.id, **about
            )

    def _say(self, number: str, what: str, done: int, total: int, *, on_disk: bool) -> None:
        with self._changed:
            job = replace(self._jobs[number], what=what, done=done, total=total)
            self._jobs[number] = job
            if on_disk:
                self.store.put(job)
        self.feed(number).add("progress", job.to_dict()["progress"])

    def _ends(self, number: str) -> bool:
        return self._stop.is_set() or number in self._cancelled

    def _clean(self) -> None:
        now = time.time()
        with self._changed:
            for job in list(self._jobs.values()):
                if job.expires is not None and job.expires <= now:
                    del self._jobs[job.id]
                    self._feeds.pop(job.id, None)
                    self.store.remove(job.id)


class _Progress:
    """What kinds call: says it now and then, and ends the job by an exception."""

    def __init__(self, jobs: Jobs, number: str) -> None:
        self._jobs, self._number = jobs, number
        self._said = self._noted = 0.0
        self._what = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        self.check()
        now = time.monotonic()
        if what == self._what and done < total and now - self._said < SAY_S:
            return
        on_disk = now - self._noted >= NOTE_S
        self._what, self._said = what, now
        self._noted = now if on_disk else self._noted
        self._jobs._say(self._number, what, done, total, on_disk=on_disk)

    def check(self) -> None:
        """EndedError: the job is to end."""
        if self._jobs._ends(self._number):
            raise EndedError


def _room(vault: Vault, sent: Path) -> int:
    """Bytes that a job's plain files take, with what comes out."""
    archive = sent / "archive.zip"
    if archive.exists():
        return 2 * unpacked_bytes(archive, vault.open)
    return 2 * sum(path.stat().st_size for path in sent.rglob("*") if path.is_file())


def _sees(principal: Principal, job: Job) -> bool:
    return job.owner == principal.id or principal.may("admin", job.gallery or "*")

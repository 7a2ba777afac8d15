"""Fetch one file by HTTP: resumable, checked, atomic, safe when two processes want it at once.

The bytes go to ``NAME.part`` beside the target, with a note of the server's validator in
``NAME.part.json``; the target's name exists only once the size and the SHA-256 are right. A lock
(released by the system when its holder dies) keeps two processes from writing one ``.part``.

A server has ``TIMEOUT_S`` for its answer's head, and again for each ``LEAST_BYTES`` of the file:
one that drips is left, and another attempt goes on from there. Asked are public addresses, and this
machine where a card says so itself, since manifests may come from others; no redirect leads from
one to the other (``lineament.web``). ``LINEAMENT_ALLOW_PRIVATE`` allows all. What is stored is what
the SHA-256 says, whoever sends it.

HTTP: ranges and If-Range as in RFC 9110, sections 13.1.5 and 14.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from lineament import web
from lineament.errors import WeightsDownloadError, WeightsHashError
from lineament.files import (
    locked,
    open_regular,
    read_regular,
    sha256_of_file,
    sync_file,
    sync_folder,
)
from lineament.text import reason_of

CHUNK = 1 << 18
ATTEMPTS = 6
BACKOFF_S = 0.5  # before the second attempt, doubled before each further one: 15.5 s in all
TIMEOUT_S = 30.0  # for the head of an answer, and for each LEAST_BYTES of its body
LEAST_BYTES = 1 << 15  # thus about 1 KiB a second
LONGEST_NOTE = 1 << 16  # bytes of NAME.part.json
LOCK_WAIT_S = 600.0  # then a holder that hangs is not waited for any longer

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})

Progress = Callable[[int, int], None]


class _TemporaryError(Exception):
    """This attempt failed; another one may not."""


@dataclass(frozen=True)
class _Job:
    url: str
    target: Path
    sha256: str
    size: int
    what: str
    progress: Progress | None

    def failed(self, reason: str) -> WeightsDownloadError:
        return WeightsDownloadError(
            f"{self.what}: download from {self.url} failed: {reason}. {self._by_hand()}"
        )

    def _by_hand(self) -> str:
        return (
            f"To do it by hand, put the file at {self.target} "
            f"({self.size} bytes, SHA-256 {self.sha256})."
        )


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str,
    size: int,
    what: str,
    progress: Progress | None = None,
) -> None:
    """Put the file behind ``url`` at ``target``.

    An interrupted download goes on where it stopped, if the server can; what is there of it stays
    when this fails.

    Args:
        url: an http or https address.
        target: where the file goes; its folder is made.
        sha256: what the file must hash to, lower-case hexadecimal.
        size: what the file must measure, in bytes. Not one byte more is stored.
        what: the file in words, for messages.
        progress: called with the bytes that are there and ``size``, at first with those of an
            earlier attempt.

    Raises:
        WeightsDownloadError: it could not be fetched, or ``LINEAMENT_OFFLINE`` forbids it.
        WeightsHashError: the server sends another file.
    """
    job = _Job(url, target, sha256, size, what, progress)
    if _is_set("LINEAMENT_OFFLINE"):
        raise job.failed("LINEAMENT_OFFLINE forbids downloads; unset it to allow this one")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target) as alone:
            if _is_complete(job, target):  # another process was faster
                return
            if alone:
                _download(job, target.with_name(f"{target.name}.part"))
                return
            # No lock to be had: a name of its own costs the resuming, and harms nobody.
            part = target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
            try:
                _download(job, part)
            finally:
                _drop(part)
    except OSError as error:
        raise job.failed(f"{error}; LINEAMENT_CACHE chooses another folder") from error


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in ("", "0", "false", "no")


def _download(job: _Job, part: Path) -> None:
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(BACKOFF_S * 2 ** (attempt - 1))
        try:
            resumed = _transfer(job, part)
        except _TemporaryError as error:
            reason = str(error)
            continue
        digest = sha256_of_file(part, inside=True).hex()
        if digest == job.sha256:
            _install(part, job.target)
            return
        _drop(part)
        if not resumed:
            raise WeightsHashError(
                f"{job.what}: {job.url} is not the promised file: expected SHA-256 {job.sha256}, "
                f"got {digest}. Nothing was installed. {job._by_hand()}"
            )
        reason = "the two parts of a resumed download did not fit together"
    raise job.failed(f"{reason} ({ATTEMPTS} attempts; what has arrived is kept for the next time)")


def _transfer(job: _Job, part: Path) -> bool:
    """Bring ``part`` to its full size; returns whether it began with bytes of an earlier attempt.

    Raises:
        _TemporaryError: worth another attempt.
        WeightsDownloadError: not worth one.
    """
    start, validator = _begun(job, part)
    if start == job.size:
        return True
    headers = {"User-Agent": "lineament", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if validator is not None:
            headers["If-Range"] = validator
    with _open(job, part, headers) as answer:
        start = _agreed_start(job, part, answer, start)
        if not start:
            _begin(job, part, answer)
        _report(job, start)
        with open_regular(part, inside=True, writing=True) as file:
            file.seek(start)
            done = start
            for block in _blocks(answer, job.size + 1 - start):
                done += len(block)
                if done > job.size:
                    break
                file.write(block)
                file.flush()  # what has arrived survives a kill
                _report(job, done)
    if done > job.size:
        _drop(part)
        raise job.failed(f"the server sends more than the promised {job.size} bytes")
    if done < job.size:
        raise _TemporaryError(f"the connection ended after {done} of {job.size} bytes")
    return start > 0


@contextmanager
def _open(job: _Job, part: Path, headers: dict[str, str]) -> Iterator[web.Answer]:
    """The server's answer, if it is one with bytes of the file."""
    with ExitStack() as stack:
        try:
            allow_private = _is_set("LINEAMENT_ALLOW_PRIVATE")
            asked = web.open_url(
                job.url,
                web.Deadline(TIMEOUT_S),
                headers=headers,
                allow_private=allow_private,
                allow_own=True,
            )
            answer = stack.enter_context(asked)
        except web.PrivateAddressError as error:
            raise job.failed(
                "it leads to this machine or to a network of its own, by a redirect or by itself; "
                "LINEAMENT_ALLOW_PRIVATE=1 allows that"
            ) from error
        except web.WebError as error:  # an address that is none, a redirect that is not followed
            raise job.failed(reason_of(error)) from error
        except (OSError, HTTPException) as error:
            raise _TemporaryError(_words_of(error)) from error
        except ValueError as error:  # a broken redirect
            raise job.failed(web.brief(str(error))) from error
        if answer.status == 416 and "Range" in headers:  # the file there is shorter than ours
            _drop(part)
            raise _TemporaryError("the server refused to resume")
        if answer.status in TEMPORARY:
            raise _TemporaryError(f"HTTP {answer.words}")
        if answer.status not in (200, 206):
            raise job.failed(f"HTTP {answer.words}")
        yield answer


def _blocks(answer: web.Answer, most: int) -> Iterator[bytes]:
    """The body as it comes, about so many bytes; the deadline is put off while they come."""
    since = LEAST_BYTES
    while most > 0:
        if since >= LEAST_BYTES:
            since = 0
            answer.deadline.put_off(TIMEOUT_S)
        try:
            block = answer.read(min(CHUNK, most))
        except (OSError, HTTPException) as error:
            raise _TemporaryError(f"the connection broke: {_words_of(error)}") from error
        if not block:
            return
        most -= len(block)
        since += len(block)
        yield block


def _words_of(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"less than {LEAST_BYTES:,} bytes within {TIMEOUT_S:g} s"
    return web.brief(reason_of(error))


def _agreed_start(job: _Job, part: Path, answer: web.Answer, asked: int) -> int:
    """At which byte the answer begins: ``asked``, or 0 when the server sends the whole file."""
    total = answer.length
    if answer.status == 206:
        unit, _, rest = (answer.header("Content-Range") or "").partition(" ")
        span, _, whole = rest.partition("/")
        if unit != "bytes" or span.partition("-")[0] != str(asked):
            _drop(part)
            raise _TemporaryError(
                f"asked for bytes from {asked}, the server sends {web.brief(rest) or 'none'}"
            )
        total = web.number_of(whole)
    else:
        asked = 0
    if total is not None and total != job.size:
        raise job.failed(
            f"expected a file of {job.size} bytes, the server announces {total}: "
            "it is another file, or an error page"
        )
    return asked


def _begun(job: _Job, part: Path) -> tuple[int, str | None]:
    """How many bytes are there from earlier, and the validator the server gave with them."""
    try:
        text = read_regular(_note(part), inside=True, at_most=LONGEST_NOTE)
        note = json.loads(text)
        with open_regular(part, inside=True) as file:
            start = os.fstat(file.fileno()).st_size
        validator = note["validator"]
        usable = note["url"] == job.url and note["sha256"] == job.sha256 and start <= job.size
        usable = usable and (validator is None or _is_plain(validator))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        usable = False  # nobody but us should write here, but a cache is not to be trusted
    if not usable:
        _drop(part)
        return 0, None
    return start, validator


def _is_plain(validator: object) -> bool:
    """Whether it may stand in a header."""
    return (
        isinstance(validator, str)
        and validator.isascii()
        and validator.isprintable()
        and len(validator) <= 1000
    )


def _begin(job: _Job, part: Path, answer: web.Answer) -> None:
    """An empty file for the bytes, and the note beside it, whatever had these names before."""
    # If-Range takes a strong validator only (RFC 9110, 13.1.5); W/ marks a weak one. Without one
    # the range is asked for all the same: the SHA-256 tells whether the parts fit together.
    etag = answer.header("ETag")
    strong = etag is not None and etag.startswith('"')
    validator = etag if strong else answer.header("Last-Modified")
    note = {
        "url": job.url,
        "sha256": job.sha256,
        "validator": validator if _is_plain(validator) else None,
    }
    _drop(part)  # the note must never stand beside bytes that it does not describe
    with _note(part).open("x", encoding="utf-8") as file:
        file.write(json.dumps(note))
    part.open("xb").close()


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _report(job: _Job, done: int) -> None:
    if job.progress is not None:
        job.progress(done, job.size)


def _is_complete(job: _Job, path: Path) -> bool:
    try:
        return path.stat().st_size == job.size and sha256_of_file(path).hex() == job.sha256
    except OSError:
        return False


def _install(part: Path, target: Path) -> None:
    with open_regular(part, inside=True, writing=True) as file:
        sync_file(file)
    part.replace(target)
    _note(part).unlink(missing_ok=True)
    sync_folder(target.parent)


@contextmanager
def _locked(target: Path) -> Iterator[bool]:
    """Hold the lock of a download; False where locks do not work or a holder hangs."""
    try:
        lock = locked(
            target.with_name(f".{target.name}.lock"),
            busy=WeightsDownloadError,
            wait_s=LOCK_WAIT_S,
        )
    except WeightsDownloadError:
        yield False
        return
    with lock:
        yield lock.works

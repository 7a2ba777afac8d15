"""``embed_many``: photos by the million into a folder, each exactly once."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from lineament.bulk._parts import Parts, Record, names_of, sha256_of
from lineament.bulk.on_ray import check_ray, stream_on_ray
from lineament.bulk.tables import Result, Row, made_by, rows_of
from lineament.errors import LineamentError, OptionError
from lineament.images import PassedOver, list_images
from lineament.pipeline import Recognizer
from lineament.results import Outcome

SHARD = 1000
"""Photos in a part: what a crash costs at the most, a minute's work or so."""

Same = Literal["stat", "sha256"]


@dataclass(frozen=True, slots=True)
class BulkProgress:
    """How far it is.

    Attributes:
        done: photos of this run that are finished.
        total: photos of this run.
        images_per_second: since the first result.
        seconds_left: at that rate; None before there is one.
    """

    done: int
    total: int
    images_per_second: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class BulkReport(Outcome):
    """What ``embed_many`` did.

    Attributes:
        folder: where the parts lie.
        images: photos that were found.
        earlier: of these, how many were finished before.
        embedded: how many were read now, with a face or without.
        changed: how many of these had been finished before, and changed since.
        gone: photos in the parts that are found no more; their rows stay.
        faces: rows in all parts.
        errors: photos in all parts that could not be read: see errors.jsonl.
        parts: number of parts.
        seconds: from the start to the end.
        images_per_second: from the first result to the last; None without any.
        machines: how many machines took part.
        passed_over: what folders held besides photos.
    """

    folder: Path
    images: int
    earlier: int
    embedded: int
    changed: int
    gone: int
    faces: int
    errors: int
    parts: int
    seconds: float
    images_per_second: float | None
    machines: int
    passed_over: PassedOver = field(default_factory=PassedOver)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        counts = ("earlier", "embedded", "changed", "gone", "faces", "errors", "parts", "machines")
        return {
            "folder": str(self.folder),
            "n_photos": self.images,
            **{f"n_{name}": getattr(self, name) for name in counts},
            "seconds": self.seconds,
            "photos_per_second": self.images_per_second,
            "not_looked_at": self.passed_over.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class _Photo:
    """One that is to be embedded."""

    name: str
    path: str
    size: int
    mtime_ns: int


@dataclass(slots=True)
class _Shard:
    """A part that is being filled: places among the photos, and what came so far."""

    number: int
    places: range
    results: dict[int, tuple[Record, list[Row]]]


def embed_many(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    out_folder: str | os.PathLike[str],
    recognizer: Recognizer,
    *,
    workers: int | None = None,
    ray: str | None = None,
    shard_size: int = SHARD,
    resume: bool = True,
    retry_errors: bool = False,
    one_face: bool = False,
    same: Same = "stat",
    suffix: str | None = None,
    on_progress: Callable[[BulkProgress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> BulkReport:
    """Embed photos into the parts of a folder; go on where an earlier run ended.

    A photo is known by its path below the folder that was named (below the deepest common
    folder of several). One that is finished is not read again while its size and time of change
    stay the same. After ``kill -9`` or a power failure at most the parts that were being filled are
    done again; Ctrl-C, and any error, writes these first. No photo is ever in two parts.

    Args:
        sources: folders, files and glob patterns.
        out_folder: where the parts go (see ``bulk.parts``); its parent must exist.
        recognizer: what embeds.
        ray: address of a Ray cluster, see ``bulk.on_ray``; None embeds in this process, with a
            thread for each core.
        workers: with ``ray``: actors; None: as many as the cluster has CPUs.
        shard_size: photos in a part.
        resume: False removes an earlier run's parts first.
        retry_errors: read again what could not be read.
        one_face: embed the face that each photo is of, not all.
        same: "sha256" keeps a hash of each file, too, so that one whose time of change alone is
            new is not embedded again.
        suffix: ".parquet" or ".npz" for a new folder; None takes parquet where pyarrow is there.
        on_progress: called after each photo.
        on_note: called with what does not stop it, in words.

    Raises:
        ImageError: there are no photos.
        OptionError: an option makes no sense, the folder is in use, was made with other options or
            of other photos, or cannot be written to.
        ContractError: the folder's embeddings, or a worker's, are made in another way.
        MissingExtraError: Ray, or pyarrow for a folder of parquet, is missing.
        LineamentError: the cluster failed; the finished parts stay.
    """
    started = time.perf_counter()
    _check_options(workers, ray, shard_size, same, suffix)
    if ray is not None:
        check_ray(ray)
    sources = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    listed = list_images(sources)
    listed.require_readable()
    paths = [Path(os.path.abspath(path)) for path in listed.paths]  # noqa: PTH100
    root = _root(sources, paths)
    way = {**made_by(recognizer), "one_face": one_face}
    folder = Parts(
        Path(out_folder),
        contract=recognizer.embedder.contract,
        made_by=way,
        root=root,
        suffix=suffix,
        restart=not resume,
        on_note=_silent if on_note is None else on_note,
    )
    with folder as parts:
        todo, changed, gone = _todo(parts, paths, root, retry_errors, same)
        parts.found, parts.complete = len(paths), not todo
        parts.save()
        shards = _shards(parts, len(todo), shard_size)
        results = _results(todo, recognizer, workers, ray, one_face, same)
        clock = _Clock(len(todo), on_progress)
        machines: set[str] = set()
        try:
            with contextlib.closing(results):
                for place, record, rows, machine in results:
                    machines.add(machine)
                    shard = shards[place // shard_size]
                    shard.results[place] = (record, rows)
                    if len(shard.results) == len(shard.places):
                        _write(parts, shard)
                    clock.tick()
        finally:
            for shard in shards.values():  # none are left unless something stopped it
                if shard.results:
                    _write(parts, shard)
            parts.complete = all(not shard.places for shard in shards.values())
            parts.save()
        return BulkReport(
            folder=Path(out_folder),
            images=len(paths),
            earlier=len(paths) - len(todo),
            embedded=clock.done,
            changed=changed,
            gone=gone,
            faces=parts.faces,
            errors=len(parts.errors),
            parts=len(parts),
            seconds=round(time.perf_counter() - started, 3),
            images_per_second=clock.rate,
            machines=len(machines),
            passed_over=listed.passed_over,
        )


def _silent(_: str) -> None:
    pass


def _check_options(
    workers: int | None, ray: str | None, shard_size: int, same: str, suffix: str | None
) -> None:
    if workers is not None and workers < 1:
        raise OptionError(f"expected 1 or more, got {workers}", option="workers")
    if workers is not None and ray is None:
        raise OptionError(
            "expected together with the address of a Ray cluster",
            option="workers",
            hint="{ray}",
        )
    if shard_size < 1:
        raise OptionError(f"expected 1 or more, got {shard_size}", option="shard_size")
    if same not in ("stat", "sha256"):
        raise OptionError(f'expected "stat" or "sha256", got {same!r}', option="same")
    if suffix not in (None, ".parquet", ".npz"):
        raise OptionError(f'expected ".parquet" or ".npz", got {suffix!r}', option="suffix")


def _root(sources: Sequence[Any], paths: Sequence[Path]) -> Path:
    """The folder that names are relative to."""
    if len(sources) == 1 and Path(sources[0]).is_dir():
        return Path(os.path.abspath(sources[0]))  # noqa: PTH100  (links stay as they are named)
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError as error:  # Windows: several drives
        raise OptionError("expected photos of one drive, got several", option="sources") from error


def _todo(
    parts: Parts, paths: Sequence[Path], root: Path, retry_errors: bool, same: Same
) -> tuple[list[_Photo], int, int]:
    """What is not finished, how much of it had been, and how much that was is gone."""
    todo: list[_Photo] = []
    stale: list[tuple[int, str]] = []
    changed = known = 0
    for path in paths:
        name = path.relative_to(root).as_posix()
        try:
            status = path.stat()
            size, mtime_ns = status.st_size, status.st_mtime_ns
        except OSError:  # reading it will say why
            size = mtime_ns = -1
        photo = _Photo(name, str(path), size, mtime_ns)
        if name not in parts.done:
            todo.append(photo)
            continue
        known += 1
        number, record = parts.done[name]
        is_same = _is_same(record, photo, same)
        if is_same and not (retry_errors and record.error is not None):
            continue
        changed += not is_same
        stale.append((number, name))
        todo.append(photo)
    gone = len(parts.done) - known
    parts.forget(names_of(stale))
    return todo, changed, gone


def _is_same(record: Record, photo: _Photo, same: Same) -> bool:
    if record.size != photo.size:
        return False
    if record.mtime_ns == photo.mtime_ns:
        return True
    known = same == "sha256" and record.sha256 is not None
    return known and record.sha256 == sha256_of(photo.path)


def _shards(parts: Parts, n: int, shard_size: int) -> dict[int, _Shard]:
    """Equal runs of photos, with the lowest numbers that are free."""
    starts = range(0, n, shard_size)
    numbers = islice(parts.free_numbers(), len(starts))
    return {
        i: _Shard(number, range(start, min(start + shard_size, n)), {})
        for i, (start, number) in enumerate(zip(starts, numbers, strict=True))
    }


def _write(parts: Parts, shard: _Shard) -> None:
    """In the order of the photos. Doing it twice does no harm: the number is the same."""
    filled = [shard.results[place] for place in sorted(shard.results)]
    parts.write(
        shard.number,
        [record for record, _ in filled],
        [row for _, rows in filled for row in rows],
    )
    if len(filled) == len(shard.places):
        shard.places = range(0)
    shard.results = {}


def _results(
    todo: Sequence[_Photo],
    recognizer: Recognizer,
    workers: int | None,
    ray: str | None,
    one_face: bool,
    same: Same,
) -> Generator[tuple[int, Record, list[Row], str], None, None]:
    """Place, record, rows and machine of each photo, in any order."""
    if not todo:
        return
    hashes: dict[int, str | None] = {}

    def paths() -> Iterator[str]:
        for place, photo in enumerate(todo):
            if same == "sha256":
                hashes[place] = sha256_of(photo.path)
            yield photo.path

    # Closed in words: what goes wrong while a cluster is left must not be swallowed.
    with contextlib.closing(_stream(paths(), recognizer, workers, ray, one_face)) as stream:
        for place, result, machine in stream:
            photo = todo[place]
            rows = rows_of(result, photo.name)
            error = None
            if isinstance(rows, LineamentError):
                error, rows = str(rows), []
            digest = hashes.pop(place, None)
            record = Record(photo.name, photo.size, photo.mtime_ns, digest, len(rows), error)
            yield place, record, rows, machine


def _stream(
    paths: Iterator[str],
    recognizer: Recognizer,
    workers: int | None,
    ray: str | None,
    one_face: bool,
) -> Generator[tuple[int, Result, str], None, None]:
    if ray is not None:
        listed = list(paths)
        yield from stream_on_ray(listed, recognizer, ray, one_face=one_face, workers=workers)
        return
    results: Iterator[Result] = (
        recognizer.stream_chosen(paths) if one_face else recognizer.stream(paths)
    )
    for place, result in enumerate(results):
        yield place, result, "here"


class _Clock:
    """Counts photos; its rate leaves out the time until the first result."""

    def __init__(self, total: int, on_progress: Callable[[BulkProgress], None] | None) -> None:
        self.done = 0
        self.rate: float | None = None
        self._total = total
        self._tell = on_progress
        self._first_s = 0.0

    def tick(self) -> None:
        """One more is finished."""
        now = time.perf_counter()
        if self.done == 0:
            self._first_s = now
        self.done += 1
        if self.done > 1 and now > self._first_s:
            self.rate = round((self.done - 1) / (now - self._first_s), 2)
        if self._tell is not None:
            left = (self._total - self.done) / self.rate if self.rate else None
            rate = 0.0 if self.rate is None else self.rate
            self._tell(BulkProgress(self.done, self._total, rate, left))

"""Files and folders: photos and films looked at, and written anew in the same structure.

    found = list_files(["~/party"])
    plan, failed = make_plan(found, finder)             looks only
    for done in write_plan(plan, "party-anonymous", finder): ...

A file that cannot be read is reported in its place, and the others go on. What is written has its
name only when it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from lineament.anonymize._threads import in_threads
from lineament.anonymize.covering import Method
from lineament.anonymize.films import (
    film_name,
    look_at_film,
    render_film,
)
from lineament.anonymize.people import Who
from lineament.anonymize.photos import load, look, render
from lineament.anonymize.plan import Plan, PlannedFile, PlannedFilm, PlannedPhoto
from lineament.anonymize.regions import Shape
from lineament.anonymize.writing import encode_photo, photo_name
from lineament.errors import ImageError, LineamentError, OptionError, VideoError
from lineament.files import sha256_of_file, write_atomically
from lineament.finder import FaceFinder
from lineament.images import IMAGE_SUFFIXES, PassedOver, describe_source, list_images
from lineament.images.formats import sniff
from lineament.machine import memory_error
from lineament.results import Outcome
from lineament.text import reason_of
from lineament.types import StageProgress
from lineament.video.sources import FILM_SUFFIXES


@dataclass(frozen=True, slots=True)
class FileList:
    """What is to be anonymized.

    Attributes:
        root: the folder that was named, or the one that all files are in.
        files: photos and films, as they lie.
        passed_over: what folders hold besides.
    """

    root: Path
    files: tuple[Path, ...]
    passed_over: PassedOver

    def name(self, path: Path) -> str:
        """Return the path from the root, with "/"."""
        return Path(os.path.relpath(path, self.root)).as_posix()


def list_files(paths: Iterable[str | os.PathLike[str]]) -> FileList:
    """Return the photos and films that paths, folders and patterns stand for.

    Raises:
        ImageNotFoundError: a path that does not exist, or a pattern that matches nothing.
        ImageError: nothing that could be anonymized, or a folder that cannot be listed.
    """
    given = list(paths)
    listed = list_images(given, suffixes=IMAGE_SUFFIXES | FILM_SUFFIXES)
    listed.require_readable()
    files = [Path(os.path.abspath(path)) for path in listed.paths]  # noqa: PTH100
    if len(given) == 1 and Path(given[0]).is_dir():
        root = Path(os.path.abspath(given[0]))  # noqa: PTH100
    else:
        root = Path(os.path.commonpath([path.parent for path in files]))
    return FileList(root, tuple(files), listed.passed_over)


_FILMS = {"a video", "a sound or video"}
"""What the first bytes of films say they are."""


def is_film(path: Path) -> bool:
    """Whether a file is a film, by its ending, or by its first bytes where that says nothing."""
    suffix = path.suffix.lower()
    if suffix in FILM_SUFFIXES or suffix in IMAGE_SUFFIXES:
        return suffix in FILM_SUFFIXES
    try:
        with path.open("rb") as file:
            return sniff(file.read(512)) in _FILMS
    except OSError:
        return False


def written_name(file: PlannedFile) -> str:
    """Return the path of the anonymized file below the folder of results."""
    path = PurePosixPath(file.path)
    make = film_name if isinstance(file, PlannedFilm) else photo_name
    return path.with_name(make(path.name)).as_posix()


def refuse_written(found: FileList, out: str | os.PathLike[str]) -> None:
    """Refuse a folder that holds results already, before anything is looked at.

    Raises:
        OptionError: a file of the name of a result exists; it says how many do.
    """
    targets = [Path(out, *PurePosixPath(_new_name(found, path)).parts) for path in found.files]
    there = [target for target in targets if os.path.lexists(target)]
    if there:
        more = "" if len(there) == 1 else f", and {len(there) - 1} others"
        raise OptionError(
            f"{there[0]} exists already{more}",
            option="out",
            hint="; name another folder, or add --overwrite to replace files",
        )


def _new_name(found: FileList, path: Path) -> str:
    name = PurePosixPath(found.name(path))
    return name.with_name((film_name if is_film(path) else photo_name)(name.name)).as_posix()


# --- looking --------------------------------------------------------------------------------------


Failed = list[tuple[str, LineamentError]]


def make_plan(
    found: FileList,
    finder: FaceFinder,
    who: Who | None = None,
    *,
    method: Method = "blur",
    shape: Shape = "ellipse",
    every: int = 1,
    progress: StageProgress | None = None,
) -> tuple[Plan, Failed]:
    """Look at files, and decide about each face and track.

    Args:
        found: as ``list_files`` returns it.
        finder: that covers need: ``thorough_finder``.
        who: whom to cover; None: everybody.
        method, shape: for the plan.
        every: of films so-manieth frames are looked at.
        progress: called as the work goes on.

    Returns:
        The plan, and of each file that could not be read its path and why.
    """
    who = Who() if who is None else who
    plan = Plan(root=str(found.root), files=[], method=method, shape=shape)
    failed: Failed = []
    look_at = partial(_look, found, finder, who, every, progress)
    photos = [path for path in found.files if not is_film(path)]
    films = [path for path in found.files if is_film(path)]
    done: dict[Path, PlannedFile | LineamentError] = {}
    for path, planned in zip(photos, in_threads(look_at, photos, finder.workers), strict=True):
        done[path] = planned
        _say(progress, "looking at photos", len(done), len(photos))
    for path in films:
        done[path] = look_at(path)
    for path in found.files:
        planned = done[path]
        if isinstance(planned, LineamentError):
            failed.append((str(path), planned))
        else:
            plan.files.append(planned)
    return plan, failed


def _look(
    found: FileList,
    finder: FaceFinder,
    who: Who,
    every: int,
    progress: StageProgress | None,
    path: Path,
) -> PlannedFile | LineamentError:
    name = found.name(path)
    try:
        if is_film(path):
            told = _told(progress, f"looking at {name}")
            return look_at_film(path, finder, who, name=name, every=every, progress=told)
        return look(load(path, finder.limits), finder, who, name)
    except Exception as error:
        return _expected(error, f"to look at {name}")


def _expected(error: Exception, doing: str) -> LineamentError:
    """The error of one file among many; what is no such error is raised."""
    if isinstance(error, LineamentError):
        return error
    short = memory_error(error, doing)
    if short is None:
        raise error
    return short


def _say(progress: StageProgress | None, what: str, done: int, total: int) -> None:
    if progress is not None:
        progress(what, done, total)


def _told(progress: StageProgress | None, what: str) -> Callable[[int, int], None] | None:
    return None if progress is None else partial(progress, what)


# --- writing --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class WrittenFile(Outcome):
    """What became of one file.

    Attributes:
        source: the file that was read.
        kind: "photo" or "film".
        out: the file that was written; None after an error.
        n_faces, n_hidden: faces of a photo, tracks of a film, and how many of them are covered.
        n_frames: frames of a film that were written; None of a photo.
        error: why nothing was written, or None.
    """

    source: str
    kind: str
    out: str | None
    n_faces: int
    n_hidden: int
    n_frames: int | None = None
    error: LineamentError | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "source": self.source,
            "kind": self.kind,
            "out": self.out,
            "n_faces": self.n_faces,
            "n_hidden": self.n_hidden,
            "n_frames": self.n_frames,
            "error": None if self.error is None else str(self.error),
        }


def write_plan(
    plan: Plan,
    out: str | os.PathLike[str],
    finder: FaceFinder,
    *,
    root: str | os.PathLike[str] | None = None,
    as_file: bool = False,
    overwrite: bool = False,
    progress: StageProgress | None = None,
) -> Iterator[WrittenFile]:
    """Write every file of a plan, covered as it says.

    Args:
        plan: as ``make_plan`` or ``Plan.load`` returns it.
        out: a folder, in which files have the places that they have in the root; it is made.
        finder: whose landmarker is asked for the shape "mesh".
        root: where the files lie, in place of the plan's.
        as_file: ``out`` is the file to be written; the plan is of one.
        overwrite: replace files that exist.
        progress: called as the work goes on.

    Yields:
        One for each file, in the plan's order. A file that is not the one that was looked at, or
        cannot be read or written, has an ``error``.

    Raises:
        OptionError: ``as_file`` with a plan of several files.
    """
    if as_file and len(plan.files) != 1:
        raise OptionError(f"expected a folder for {len(plan.files)} files, got {out}", option="out")

    def write(file: PlannedFile) -> WrittenFile:
        target = Path(out) if as_file else Path(out, *PurePosixPath(written_name(file)).parts)
        place = plan.place(file, root)
        return _written(plan, file, place, target, finder, overwrite, progress)

    number = 0
    for is_photo, files in groupby(plan.files, key=lambda each: isinstance(each, PlannedPhoto)):
        # A film has threads of its own, and must end at once where somebody interrupts it.
        for done in in_threads(write, list(files), finder.workers if is_photo else 1):
            number += 1
            yield done
            _say(progress, "writing", number, len(plan.files))


def _written(
    plan: Plan,
    file: PlannedFile,
    place: Path,
    target: Path,
    finder: FaceFinder,
    overwrite: bool,
    progress: StageProgress | None,
) -> WrittenFile:
    is_photo = isinstance(file, PlannedPhoto)
    kind = "photo" if is_photo else "film"
    listed: Sequence[Any] = file.faces if isinstance(file, PlannedPhoto) else file.tracks
    n_faces, n_hidden = len(listed), sum(each.hide for each in listed)
    try:
        _check_target(place, target, overwrite)
        frames = None
        if isinstance(file, PlannedPhoto):
            _write_photo(plan, file, place, target, finder)
        else:
            _check_same(place, file, _sha256_of(place))
            _make_folder(target.parent)
            frames = render_film(
                place,
                file,
                target,
                method=plan.method,
                shape=plan.shape,
                finder=finder,
                progress=_told(progress, f"writing {file.path}"),
            )
    except Exception as error:
        return WrittenFile(
            str(place), kind, None, n_faces, n_hidden, None, _expected(error, f"to write {target}")
        )
    return WrittenFile(str(place), kind, str(target), n_faces, n_hidden, frames)


def _write_photo(
    plan: Plan, file: PlannedPhoto, place: Path, target: Path, finder: FaceFinder
) -> None:
    loaded = load(place, finder.limits)
    _check_same(place, file, loaded.sha256)
    height, width = loaded.pixels.shape[:2]
    if (width, height) != tuple(file.size_wh):
        raise ImageError(
            f"{describe_source(place)}: expected {file.size_wh[0]} x {file.size_wh[1]} pixels, as "
            f"the plan has it, got {width} x {height}"
        )
    pixels = render(loaded.pixels, file.faces, plan.method, plan.shape, finder)
    data = encode_photo(pixels, target.name)
    _make_folder(target.parent)
    write_atomically(target, data)


def _sha256_of(place: Path) -> str:
    try:
        return sha256_of_file(place).hex()
    except (OSError, ValueError) as error:
        raise VideoError(
            f"{describe_source(place)}: cannot be read ({reason_of(error)})"
        ) from error


def _check_same(place: Path, file: PlannedFile, sha256: str) -> None:
    """Refuse a file that is not the one that was looked at: faces would be elsewhere."""
    if sha256 != file.sha256:
        raise OptionError(
            f"{describe_source(place)}: expected the file that was looked at, its bytes are "
            "others; make a new plan",
            option="apply",
        )


def _check_target(place: Path, target: Path, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if target.exists() and place.exists() and target.samefile(place):
        raise OptionError(f"{target} is the file that is read; name another folder", option="out")
    if not overwrite:
        raise OptionError(
            f"{target} exists already",
            option="out",
            hint="; name another one, or add --overwrite to replace it",
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"the folder {folder} cannot be made ({error.strerror})", option="out"
        ) from error

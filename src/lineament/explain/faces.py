"""Photos -> faces with names, embeddings and crops: what every picture starts from.

load_people("photos/", source)     one folder per person, a folder of photos, or a list of them
faces.sample(60), faces.select(rows), faces.means()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lineament.datasets.people_folder import plain, read_any
from lineament.datasets.source import Embedded
from lineament.errors import DataError, NoFaceError, OptionError
from lineament.images import describe_source
from lineament.types import FloatArray, Image, IntArray

FEWEST_PEOPLE = 12
"""A sample has at least so many people, if there are: blocks are seen against others."""

NO_FACE = "no face was found"


class CropSource(Protocol):
    """What embeds photos; ``evaluate.embedding.RecognizerSource`` is one."""

    @property
    def recognizer(self) -> Any:
        """Has ``stream_chosen``, as ``pipeline.Recognizer`` has; asked where crops are wanted."""
        ...

    def photos(self, paths: Sequence[Path], /) -> Embedded:
        """Embed the face that each photo is of, from the cache where it is known."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Faces:
    """N photos with a face each, of P people.

    Attributes:
        paths: N photos.
        names: P people, each with at least one photo; no name twice.
        person: (N,) int64: for each photo the place of its person in ``names``.
        vectors: (N, D) float32 of length 1.
        norms: (N,) float32: lengths before scaling.
        crops: (N, S, S, 3) uint8 RGB, the aligned faces (S is 112 for most recognizers); None when
            they were not asked for.
        left_out: photos that are not among them, each with the reason.
        notes: what the reader of a picture should know, such as that photos were sampled.
        named: False when nothing says who is in the photos: each is then a "person" of its own
            and has the name of its file.
        relative: N names of the photos for people: NFC, below the folder, with slashes.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    person: IntArray
    vectors: FloatArray
    norms: FloatArray
    crops: Image | None = None
    left_out: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()
    named: bool = True
    relative: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        n = len(self.paths)
        if not self.relative:
            object.__setattr__(self, "relative", tuple(plain(path.name) for path in self.paths))
        lengths = [len(self.person), len(self.vectors), len(self.norms), len(self.relative)]
        if self.crops is not None:
            lengths.append(len(self.crops))
        if set(lengths) != {n} or self.vectors.ndim != 2:
            raise OptionError(
                f"expected {n} rows in person, vectors, norms and crops, got {lengths}",
                option="faces",
            )
        if not np.array_equal(np.unique(self.person), np.arange(len(self.names))):
            raise OptionError("expected at least one photo of each person in names", option="faces")

    def __len__(self) -> int:
        """N."""
        return len(self.paths)

    @property
    def counts(self) -> IntArray:
        """(P,) int64: photos of each person."""
        return np.bincount(self.person, minlength=len(self.names))

    def of(self, person: int) -> IntArray:
        """(M,) int64: the rows of one person, ascending."""
        return np.flatnonzero(self.person == person)

    def name(self, row: int) -> str:
        """Whose face is in that row."""
        return self.names[int(self.person[row])]

    def means(self) -> FloatArray:
        """(P, D) float32: each person's mean vector, scaled to length 1."""
        sums = np.zeros((len(self.names), self.vectors.shape[1]))
        np.add.at(sums, self.person, self.vectors.astype(np.float64))
        return unit(sums)

    def select(self, rows: npt.ArrayLike, *notes: str) -> Faces:
        """Some of the photos in the order given, and their people; ``notes`` are added."""
        chosen = np.asarray(rows, np.int64)
        kept, person = np.unique(self.person[chosen], return_inverse=True)
        return replace(
            self,
            paths=tuple(self.paths[row] for row in chosen),
            names=tuple(self.names[k] for k in kept),
            person=person.astype(np.int64).reshape(-1),
            vectors=self.vectors[chosen],
            norms=self.norms[chosen],
            crops=None if self.crops is None else self.crops[chosen],
            notes=(*self.notes, *notes),
            relative=tuple(self.relative[row] for row in chosen),
        )

    def sample(self, most: int, *, seed: int = 0) -> Faces:
        """At most so many photos, drawn as ``draw`` does; the note says so."""
        if len(self) <= most:
            return self
        rows = draw(self.person, most, seed=seed)
        people = len(np.unique(self.person[rows]))
        return self.select(rows, _sampled(len(rows), len(self), people, len(self.names), seed))


def typical(faces: Faces, person: int) -> int:
    """The row of the photo that is nearest to its person's mean."""
    own = faces.of(person)
    vectors = faces.vectors[own].astype(np.float64)
    return int(own[np.argmax(vectors @ vectors.sum(axis=0))])


def with_crops(faces: Faces, recognizer: Any, *, leave_out: bool = False) -> Faces:
    """The same faces with their crops, found again; for the few that are shown of a large set.

    Args:
        faces: without crops.
        recognizer: has ``stream_chosen``, as ``pipeline.Recognizer`` has.
        leave_out: go on without those whose face is not found any more, as long as one is.

    Raises:
        NoFaceError: a photo has changed, and its face is not found any more.
    """
    _, _, crops, missing = _with_crops(recognizer, list(faces.paths), None)
    if missing and not (leave_out and crops):
        i, why = next(iter(missing.items()))
        raise NoFaceError(f"{faces.relative[i]}: {why}; the photo was changed, try again")
    some = faces.select(list(crops)) if missing else faces
    return replace(some, crops=np.stack(list(crops.values())))


def portraits(faces: Faces, people: Iterable[int], source: CropSource) -> dict[str, Image]:
    """{name: (S, S, 3)}: each one's most typical face; from the crops, or else found again."""
    rows = [typical(faces, person) for person in dict.fromkeys(people)]
    some = faces.select(rows)
    if some.crops is None:
        some = with_crops(some, source.recognizer)
    assert some.crops is not None
    return {some.name(row): some.crops[row] for row in range(len(some))}


def unit(vectors: npt.NDArray[np.floating[Any]]) -> FloatArray:
    """Scale rows to length 1; a row of zeros stays."""
    wide = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return (wide / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def draw(person: IntArray, most: int, *, seed: int = 0) -> IntArray:
    """Rows of a sample, ascending: people at random, those with several photos first.

    Of each person at most ``most / FEWEST_PEOPLE`` photos are taken (2 at least), until there
    are ``most``; where that leaves room, the rest of it is filled at random.
    """
    if most < 1:
        raise OptionError(f"expected at least 1 photo, got {most}", option="most")
    if len(person) <= most:
        return np.arange(len(person), dtype=np.int64)
    rng = np.random.default_rng(seed)
    each = max(2, most // FEWEST_PEOPLE)
    order = rng.permutation(len(person))
    by_person: dict[int, list[int]] = {}
    for row in order.tolist():
        by_person.setdefault(int(person[row]), []).append(row)
    groups = sorted(by_person.values(), key=lambda rows: len(rows) < 2)  # stable: at random
    taken: list[int] = []
    for rows in groups:
        taken += rows[: min(each, most - len(taken))]
        if len(taken) == most:
            break
    if len(taken) < most:
        rest = np.setdiff1d(order, taken, assume_unique=True)
        taken += rng.permutation(rest)[: most - len(taken)].tolist()
    return np.sort(np.array(taken, np.int64))


def load_people(
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    source: CropSource,
    *,
    keep_crops: bool = True,
    most: int | None = None,
    seed: int = 0,
    least: int = 2,
    progress: Callable[[Iterable[Any], int, str], Iterable[Any]] | None = None,
) -> Faces:
    """Read photos, find the face that each is of, and embed it.

    Args:
        photos: a folder with one folder per person; a folder of photos, or several
            photos, and then each has the name of its file, with its folder where two files
            have one name.
        source: embeds. Without ``keep_crops`` it is asked for all photos at once and may have
            them in its cache; with it, its recognizer looks at each photo.
        keep_crops: keep the aligned faces.
        most: more photos are sampled, as ``draw`` does, before any is opened.
        seed: of the sample.
        least: fewer faces than this are an error.
        progress: shows how far it is while crops are made; without crops the source shows it.

    Returns:
        The faces that were found, sorted by person and path; the others in ``left_out``.

    Raises:
        DataError: the folder is not laid out so, or there are too few photos.
        NoFaceError: fewer than ``least`` photos show a face that could be found.
    """
    listed = read_any(photos)
    paths, names, person = list(listed.paths), listed.names, listed.person
    relative = [listed.relative(i) for i in range(len(paths))]
    total, people = len(paths), len(names)
    if total < least:
        raise DataError(
            f"{_shown(photos)}: expected at least {least} photos, found {total}; add some"
        )
    notes: tuple[str, ...] = ()
    if most is not None and total > most:
        rows = draw(person, most, seed=seed)
        paths, relative = [paths[row] for row in rows], [relative[row] for row in rows]
        person = person[rows]
        notes = (_sampled(len(rows), total, len(np.unique(person)), people, seed),)
    vectors, norms, crops, missing = (
        _with_crops(source.recognizer, paths, progress)
        if keep_crops
        else _without_crops(source, paths)
    )
    found = np.array([i for i in range(len(paths)) if i not in missing], np.int64)
    if len(found) < least:
        reasons = "; ".join(f"{relative[i]}: {why}" for i, why in list(missing.items())[:3])
        raise NoFaceError(
            f"{_shown(photos)}: expected at least {least} photos with a face, found "
            f"{len(found)} in {len(paths):,} photos ({reasons}); name photos in which "
            "faces are larger or better lit"
        )
    left_out = tuple((paths[i], why) for i, why in missing.items())
    if left_out:
        notes += (_left_out_note(list(missing.values())),)
    kept, of_found = np.unique(person[found], return_inverse=True)
    return Faces(
        paths=tuple(paths[i] for i in found),
        names=tuple(names[k] for k in kept),
        person=of_found.astype(np.int64).reshape(-1),
        vectors=vectors[found],
        norms=norms[found],
        crops=np.stack([crops[i] for i in found]) if keep_crops else None,
        left_out=left_out,
        notes=notes,
        named=listed.layout != "unnamed",
        relative=tuple(relative[i] for i in found),
    )


def photos_in(photos: Any) -> list[Path]:
    """What ``load_people`` would open; raises DataError as it does."""
    return list(read_any(photos).paths)


# --- what there is --------------------------------------------------------------------------------


def _shown(photos: Any) -> str:
    if isinstance(photos, (str, os.PathLike)):
        return describe_source(photos)
    every = [describe_source(each) for each in photos]
    return ", ".join(every[:3]) + (" ..." if len(every) > 3 else "")


def _sampled(n: int, total: int, people: int, all_people: int, seed: int) -> str:
    of = f" of {people:,} of {all_people:,} people" if all_people != total else ""
    return f"{n:,} of {total:,} photos{of}, drawn at random (seed {seed})"


def _left_out_note(reasons: list[str]) -> str:
    without = sum(reason == NO_FACE for reason in reasons)
    parts = [f"{without:,} without a face"] if without else []
    if without < len(reasons):
        parts.append(f"{len(reasons) - without:,} that could not be read")
    return f"left out: {' and '.join(parts)}"


# --- embedding ------------------------------------------------------------------------------------

_Found = tuple[FloatArray, FloatArray, dict[int, Image], dict[int, str]]
"""(N, D) vectors, (N,) norms, crops and reasons by their rows; no crops where none were wanted."""


def _without_crops(source: CropSource, paths: list[Path]) -> _Found:
    some = source.photos(paths)
    missing = {
        i: str(some.unreadable[i]) if i in some.unreadable else NO_FACE
        for i in np.flatnonzero(~some.found).tolist()
    }
    return some.vectors, some.norms, {}, missing


def _with_crops(recognizer: Any, paths: list[Path], progress: Any) -> _Found:
    photos = recognizer.stream_chosen(list(paths))
    if progress is not None:
        photos = progress(photos, len(paths), "looking for faces")
    vectors: list[FloatArray | None] = []
    norms = np.zeros(len(paths), np.float32)
    crops: dict[int, Image] = {}
    missing: dict[int, str] = {}
    for i, photo in enumerate(photos):
        if photo.embedding is None:
            vectors.append(None)
            missing[i] = NO_FACE if photo.error is None else str(photo.error)
            continue
        vectors.append(photo.embedding.vector)
        norms[i], crops[i] = photo.embedding.norm, photo.crop
    width = next((len(v) for v in vectors if v is not None), 1)
    table = np.zeros((len(paths), width), np.float32)
    for i, vector in enumerate(vectors):
        if vector is not None:
            table[i] = vector
    return table, norms, crops, missing

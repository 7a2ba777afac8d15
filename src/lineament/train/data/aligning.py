"""Photos, one folder per person -> aligned crops, one folder per person: the training set.

    SOURCE/Ada Lovelace/letters/2.jpg  ->  OUT/Ada Lovelace/letters/2.png

One crop per photo: that of the face which the finder chooses (``choose``). A photo of
several people belongs to one folder only, so the others in it are not that person.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from lineament.datasets.people_folder import People, read_people
from lineament.errors import OptionError
from lineament.finder import DEFAULT_ALIGNMENT, FaceFinder
from lineament.images import describe_source
from lineament.pictures.photos import save_png
from lineament.results import Outcome
from lineament.types import Photo, ProgressBar

Existing = Literal["refuse", "resume", "overwrite"]


@dataclass(frozen=True, slots=True)
class Aligned(Outcome):
    """What became of a folder of photos.

    Attributes:
        people: people with a crop, also with one that was there before.
        written: crops that were written now.
        kept: photos that had a crop before.
        without_face: photos in which no face was found.
        failed: (photo, why) of those that could not be read.
    """

    people: int
    written: int
    kept: int
    without_face: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]

    @property
    def photos(self) -> int:
        """All of them."""
        return self.written + self.kept + len(self.without_face) + len(self.failed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "n_photos": self.photos,
            "n_people": self.people,
            "n_written": self.written,
            "n_kept": self.kept,
            "n_without_face": len(self.without_face),
            "n_failed": len(self.failed),
            "without_face": list(self.without_face),
            "failed": [{"source": name, "error": reason} for name, reason in self.failed],
        }


def align_people(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    finder: FaceFinder,
    *,
    alignment: str = DEFAULT_ALIGNMENT,
    existing: Existing = "refuse",
    progress: ProgressBar[Photo] | None = None,
) -> Aligned:
    """Cut the faces out of the photos of people.

    Crops are written one by one, each at once or not at all, so that a run which was broken off
    goes on with ``existing="resume"``. The result does not depend on where it was broken off.

    Args:
        source: a folder with one folder per person.
        out: where the crops go, as PNG; it is made if need be, and lies outside ``source``.
        finder: finds the faces, and chooses one.
        alignment: how it is cut out, as ``FaceFinder.crops`` takes it.
        existing: what happens where there is a crop already: "refuse" writes nothing at all,
            "resume" keeps it, "overwrite" makes it anew.
        progress: what the photos pass through, to show how far it is.

    Raises:
        DataError: ``source`` is not laid out like that.
        OptionError: ``out`` lies in ``source``, holds crops already, or cannot be written to.
    """
    if existing not in get_args(Existing):
        raise OptionError(
            f"expected one of {', '.join(get_args(Existing))}, got {existing!r}", option="existing"
        )
    people = read_people(source, min_people=1)
    target = Path(out)
    if target.resolve().is_relative_to(Path(source).resolve()):
        raise OptionError(
            f"{describe_source(target)}: expected a folder outside of the photos' own, whose "
            "folders are people; name another one"
        )
    crops = [target / name for name in crop_names(people)]
    there = [crop.exists() for crop in crops]
    if existing == "refuse" and any(there):
        raise OptionError(
            f"{describe_source(crops[there.index(True)])}: exists already, as do "
            f"{sum(there) - 1:,} more",
            hint="; name another folder, or {resume_or_overwrite}",
        )
    if existing == "overwrite":
        there = [False] * len(crops)
    _make_folder(target)
    todo = [i for i, done in enumerate(there) if not done]
    without_face: list[str] = []
    failed: list[tuple[str, str]] = []
    with_crop = {int(people.person[i]) for i, done in enumerate(there) if done}
    written = 0
    sources = [people.paths[i] for i in todo]

    def cut(photo: Photo) -> Photo:
        made = finder.crops(photo, photo.chosen, alignment=alignment)
        return replace(photo, selected=photo.chosen, crops=made)

    photos: Iterable[Photo] = finder.stream(sources, then=cut)
    if progress is not None:
        photos = progress(photos, len(todo), "aligning")
    for i, photo in zip(todo, photos, strict=True):
        if photo.error is not None:
            failed.append((photo.source, str(photo.error)))
        elif photo.crop is None:
            without_face.append(photo.source)
        else:
            _make_folder(crops[i].parent)
            save_png(photo.crop, crops[i])
            with_crop.add(int(people.person[i]))
            written += 1
    return Aligned(
        people=len(with_crop),
        written=written,
        kept=sum(there),
        without_face=tuple(without_face),
        failed=tuple(failed),
    )


def crop_names(people: People) -> list[str]:
    """For each photo the path of its crop below the output folder: PERSON/PHOTO.png.

    Photos that differ in their suffixes only keep them: 1.jpg and 1.webp give 1.jpg.png and
    1.webp.png.
    """
    below = [path.relative_to(people.folder) for path in people.paths]
    stems = [path.with_suffix("") for path in below]
    # File systems may not tell capitals apart.
    taken = Counter(str(stem).casefold() for stem in stems)
    return [
        f"{stem if taken[str(stem).casefold()] == 1 else path}.png"
        for path, stem in zip(below, stems, strict=True)
    ]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error
        raise OptionError(
            f"{describe_source(folder)}: the folder cannot be made ({reason}); name another one"
        ) from error

"""Photos in a folder a person: how most people keep them, and how LFW is laid out.

    DIR/Ada Lovelace/1.jpg
    DIR/Ada Lovelace/letters/2.png     folders within a person's folder are that person's too
    DIR/김구/portrait.webp              names in any script

Files that are no photos by their suffix, and whatever starts with ".", are passed over.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lineament.errors import DataError
from lineament.images import IMAGE_SUFFIXES, describe_source
from lineament.types import IntArray

_LAYOUT = "one folder a person, like DIR/NAME/1.jpg"


@dataclass(frozen=True, eq=False, slots=True)
class People:
    """The photos of a folder with a folder a person.

    Attributes:
        folder: whose folders are the people; below the one that was named if that held only it.
        paths: N photos, sorted by person and path.
        names: P people, sorted; NFC, since file systems differ in how they keep accents.
        person: (N,) int64: for each photo the place of its person in ``names``.
    """

    folder: Path
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    person: IntArray

    @property
    def counts(self) -> IntArray:
        """(P,) int64: how many photos each person has, at least 1."""
        return np.bincount(self.person, minlength=len(self.names))

    def of(self, person: int) -> IntArray:
        """(M,) int64: the places of one person's photos in ``paths``, ascending."""
        return np.flatnonzero(self.person == person)

    def relative(self, index: int) -> str:
        """Path of photo ``index`` below ``folder``, with slashes, as attribute files name it.

        The text is NFC, as ``names`` is.
        """
        return plain(self.paths[index].relative_to(self.folder).as_posix())


def read_people(folder: str | os.PathLike[str], *, min_people: int = 2) -> People:
    """List the photos of a folder with a folder a person; opens no photo.

    A folder that holds nothing but one folder of folders, as archives are packed, stands for that
    one.

    Args:
        folder: its folders are the people.
        min_people: fewer are refused.

    Raises:
        DataError: no such folder, photos outside the people's folders, a person's folder
            without photos, two folders of one name, too few people.
    """
    root = Path(folder)
    shown = describe_source(root)
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        raise DataError(f"{shown}: expected {_LAYOUT}, found {what} of that name; check the path")
    folders, photos = _listing(root)
    while len(folders) == 1 and not photos:
        inner, inside = _listing(folders[0])
        if inside or not inner:
            break
        root, (folders, photos) = folders[0], (inner, inside)
        shown = describe_source(root)
    if not folders:
        found = f"{len(photos):,} photos" if photos else "nothing"
        raise DataError(
            f"{shown}: expected {_LAYOUT}, found {found} and no folders; put the photos of "
            "each person into a folder of their own"
        )
    if photos:
        raise DataError(
            f"{shown}: expected all photos in the folder of a person, found "
            f"{len(photos):,} outside, such as {describe_source(photos[0].name)}; move "
            "them into a folder or away"
        )
    people: dict[str, list[Path]] = {}
    for person in folders:
        name = plain(person.name)
        if name in people:
            raise DataError(
                f"{shown}: expected one folder a person, found two of the name {name} (spelt with "
                "different code points); join them"
            )
        people[name] = _photos_of(person)
    if len(people) < min_people:
        raise DataError(
            f"{shown}: expected at least {min_people} people ({_LAYOUT}), found {len(people)} "
            f"({', '.join(people)}); name the folder whose folders are the people"
        )
    names = tuple(sorted(people))
    return People(
        folder=root,
        paths=tuple(path for name in names for path in people[name]),
        names=names,
        person=np.repeat(np.arange(len(names)), [len(people[name]) for name in names]),
    )


def plain(name: str) -> str:
    """A name as it is compared and shown: NFC, and what is not UTF-8 as "?"."""
    whole = name.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", whole)


def _photos_of(person: Path) -> list[Path]:
    folders, photos = _listing(person)
    shown = describe_source(person)
    if not photos and folders:
        raise DataError(
            f"{shown}: expected photos of one person, found only folders, such as "
            f"{describe_source(folders[0].name)}; name the folder whose folders are the people"
        )
    if not photos:
        raise DataError(
            f"{shown}: expected photos ({', '.join(sorted(IMAGE_SUFFIXES))}), found none; "
            "remove the folder or fill it"
        )
    found = list(photos)
    while folders:
        deeper: list[Path] = []
        for folder in folders:
            if folder.is_symlink():  # it could lead in a circle
                continue
            inner, inside = _listing(folder)
            deeper += inner
            found += inside
        folders = deeper
    return sorted(found)


def _listing(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the photos in a folder, sorted; hidden ones left out."""
    folders: list[Path] = []
    photos: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(Path(entry.path))
                elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:  # noqa: PTH122
                    photos.append(Path(entry.path))
    except OSError as error:
        raise DataError(
            f"{describe_source(folder)}: expected a folder that can be read, got: {error.strerror}"
        ) from error
    return sorted(folders), sorted(photos)

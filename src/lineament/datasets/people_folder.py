"""Photos in folders: the only reader of who is in which photo by how the files lie.

    DIR/Ada Lovelace/1.jpg              "folders": one folder per person
    DIR/Ada Lovelace/letters/2.png      folders within a person's folder are that person's too
    DIR/김구/portrait.webp               names in any script

    DIR/Ada_Lovelace_0001.jpg           "numbered": the person's name, then a number
    DIR/IMG_1234.jpg                    "unnamed": each photo stands for itself, as no number of
                                        a camera's is a person's

Files that are no photos by their suffix, and whatever starts with ".", are skipped. No photo is
opened.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from lineament.datasets.photo_names import why_nobody
from lineament.errors import DataError, ImageError, LineamentError
from lineament.images import IMAGE_SUFFIXES, describe_source, find_images
from lineament.suggest import did_you_mean, similar_path
from lineament.types import IntArray

Layout = Literal["folders", "numbered", "unnamed"]

_LAYOUT: Final = "one folder per person, like DIR/NAME/1.jpg"
_COPY: Final = re.compile(
    r"(?<=\d)(?: ?\(\d+\)|[ _-]+(?:copy|kopie|copia|edited|bearbeitet).*)", re.IGNORECASE
)
_NUMBERED: Final = re.compile(r"(.*?\D)??[ _.\-]*\(?[0-9]+\)?", re.DOTALL)


@dataclass(frozen=True, eq=False, slots=True)
class People:
    """N photos of P people.

    Attributes:
        folder: that the photos lie below; below the one that was named if that held only it.
        paths: N photos, sorted by person and path (those without names in the order given).
        names: P people, each once, in the order of their photos. NFC, since file systems differ
            in how they keep accents.
        person: (N,) int64: for each photo the index of its person in ``names``.
        layout: how the photos lie.
        skipped: folders and files that hold no photo of a person, each with the reason.
    """

    folder: Path
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    person: IntArray
    layout: Layout = "folders"
    skipped: tuple[str, ...] = ()

    @property
    def counts(self) -> IntArray:
        """(P,) int64: how many photos each person has, at least 1."""
        return np.bincount(self.person, minlength=len(self.names))

    def of(self, person: int) -> IntArray:
        """(M,) int64: the places of one person's photos in ``paths``, ascending."""
        return np.flatnonzero(self.person == person)

    def name(self, index: int) -> str:
        """Who is in photo ``index``."""
        return self.names[int(self.person[index])]

    def relative(self, index: int) -> str:
        """Path of photo ``index`` below ``folder``, with slashes, as attribute files name it.

        The text is NFC, as ``names`` is. Without names it is the name of the file.
        """
        path = self.paths[index]
        if self.layout == "unnamed":
            return plain(path.name)
        return plain(path.relative_to(self.folder).as_posix())


def plain(name: str) -> str:
    """A name as it is compared and shown: NFC, and what is not UTF-8 as "?"."""
    whole = name.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", whole)


def read_people(
    folder: str | os.PathLike[str],
    *,
    min_people: int = 2,
    strays: Literal["refuse", "skip"] = "refuse",
    name_of_folder: Callable[[str], str] = plain,
) -> People:
    """List the photos of a folder with one folder per person.

    Args:
        folder: its folders are the people.
        min_people: fewer are refused.
        strays: "refuse" expects nothing else: photos outside the people's folders, a folder
            without photos or with deeper ones only, and two folders of one name are errors, and
            a folder that holds nothing but one folder of folders, as archives are packed, stands
            for that one. "skip" lists those in ``skipped``, joins two folders of one name,
            and takes each folder for a person, at whatever depth its photos lie.
        name_of_folder: makes a person's name of the folder's; with "skip" it may raise a
            LineamentError, and the folder is skipped for that reason.

    Raises:
        DataError: no such folder, too few people, or with "refuse" what is said above.
    """
    root = Path(folder)
    shown = describe_source(root)
    if not root.is_dir():
        what = "a file" if root.exists() else "nothing"
        near = did_you_mean(similar_path(root, folders=True))
        raise DataError(
            f"{shown}: expected {_LAYOUT}, found {what} of that name; check the path{near}"
        )
    folders, photos = _listing(root)
    skipped: list[str] = []
    if strays == "refuse":
        root, folders = _without_wrapper(root, folders, photos)
        people = _strict(root, folders, name_of_folder)
    else:
        people = _lenient(folders, photos, name_of_folder, skipped)
    if len(people) < min_people:
        raise DataError(
            f"{describe_source(root)}: expected at least {min_people} people ({_LAYOUT}), found "
            f"{len(people)} ({', '.join(people)}); name the folder whose folders are the people"
        )
    return _people(root, people, "folders", skipped)


def read_numbered(folder: str | os.PathLike[str], *, checked_name: Callable[[str], str]) -> People:
    """List the photos of a folder whose files have their people's names, then a number.

    Names that cameras, phones and programs give are nobody's (``photo_names``): such photos are
    among ``skipped``.

    Args:
        folder: that holds the photos; folders in it are skipped.
        checked_name: the name as it is kept; may raise a LineamentError, and the photo is then
            among ``skipped`` for that reason.

    Raises:
        DataError: the folder cannot be read.
    """
    people: dict[str, list[Path]] = {}
    skipped: list[str] = []
    for path in _listing(Path(folder))[1]:
        nobody = why_nobody(path.stem)
        if nobody is not None:
            skipped.append(f"{path.name}: no person's name: {nobody}")
            continue
        try:
            people.setdefault(checked_name(name_in(path.stem)), []).append(path)
        except LineamentError as error:
            skipped.append(f"{path.name}: {error}")
    return _people(Path(folder), people, "numbered", skipped)


def read_any(
    photos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    min_people: int = 1,
) -> People:
    """List one folder per person, or else a folder of photos, or several photos and folders.

    Without one folder per person nothing says who is in a photo: each is a "person" of its own,
    with the name of its file, with its suffix and then its folder where two have one name.

    Raises:
        DataError: one folder that is neither, or no photos in one of several.
    """
    if isinstance(photos, (str, os.PathLike)):
        photos = [photos]
    sources = [Path(each) for each in photos]
    if len(sources) == 1 and (sources[0].is_dir() or not sources[0].exists()):
        folder = sources[0]
        if _is_flat(folder):
            return unnamed(sorted(find_images([folder])), folder)
        return read_people(folder, min_people=min_people)
    found: list[Path] = []
    for each in sources:
        if each.is_dir():
            try:
                found += find_images([each])
            except ImageError as error:
                raise DataError(str(error)) from error
        else:
            found.append(each)
    return unnamed(dict.fromkeys(found), Path())


def unnamed(paths: Iterable[Path], folder: Path) -> People:
    """Photos of which nothing says who is in them, in the order given: see ``read_any``."""
    paths = tuple(paths)
    stems = [plain(path.stem) for path in paths]
    files = [plain(path.name) for path in paths]
    longer = [plain(f"{path.parent.name}/{path.name}") for path in paths]
    names: dict[str, None] = {}
    counts = [Counter(texts) for texts in (stems, files, longer)]
    for candidates in zip(stems, files, longer, strict=True):
        short = next(
            (name for name, n in zip(candidates, counts, strict=True) if n[name] == 1),
            candidates[-1],
        )
        name, number = short, 1
        while name in names:
            number += 1
            name = f"{short} ({number})"
        names[name] = None
    return People(folder, paths, tuple(names), np.arange(len(paths), dtype=np.int64), "unnamed")


def name_in(stem: str) -> str:
    """The name in a file's name: without the number at its end; "_" stands for a space.

    "Ada_Lovelace_0001" -> "Ada Lovelace", "김구-2" -> "김구", "Ada (3)" -> "Ada", and the copy
    "Ada_0001 (1)" -> "Ada". A stem that is nothing but a number is no name; which others are
    nobody's, ``photo_names`` knows.
    """
    copied = _COPY.search(stem)
    if copied is not None and copied.end() == len(stem):
        stem = stem[: copied.start()]
    match = _NUMBERED.fullmatch(stem)
    rest = stem if match is None else match[1]
    return "" if rest is None else rest.replace("_", " ").strip(" .-")


def _people(
    root: Path, people: dict[str, list[Path]], layout: Layout, skipped: list[str]
) -> People:
    names = tuple(sorted(people))
    return People(
        folder=root,
        paths=tuple(path for name in names for path in people[name]),
        names=names,
        person=np.repeat(np.arange(len(names)), [len(people[name]) for name in names]),
        layout=layout,
        skipped=tuple(skipped),
    )


def _without_wrapper(
    root: Path, folders: list[Path], photos: list[Path]
) -> tuple[Path, list[Path]]:
    """The folder whose folders are the people, and those."""
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
    return root, folders


def _strict(
    root: Path, folders: list[Path], name_of_folder: Callable[[str], str]
) -> dict[str, list[Path]]:
    people: dict[str, list[Path]] = {}
    for person in folders:
        name = name_of_folder(person.name)
        if name in people:
            raise DataError(
                f"{describe_source(root)}: expected one folder per person, found two of the name "
                f"{name} (spelt with different code points); join them"
            )
        people[name] = _photos_of(person)
    return people


def _lenient(
    folders: list[Path],
    photos: list[Path],
    name_of_folder: Callable[[str], str],
    skipped: list[str],
) -> dict[str, list[Path]]:
    people: dict[str, list[Path]] = {}
    reasons = {photo.name: "it lies outside of the people's folders" for photo in photos}
    for person in folders:
        try:
            name = name_of_folder(person.name)
            people.setdefault(name, []).extend(find_images([person]))
        except ImageError:
            reasons[f"{person.name}/"] = "no photos"
        except LineamentError as error:
            reasons[f"{person.name}/"] = str(error)
    skipped += [f"{entry}: {reasons[entry]}" for entry in sorted(reasons)]
    return {name: paths for name, paths in people.items() if paths}


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


def _is_flat(folder: Path) -> bool:
    """A folder that can be read, with photos and no folders that hold any."""
    try:
        folders, _ = _listing(folder)
        found = find_images([folder])
    except LineamentError:
        return False  # read_people says what is wrong
    inside = {path.parent for path in found}
    return not any(entry in inside for entry in folders)


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
            f"{did_you_mean(similar_path(folder, folders=True))}"
        ) from error
    return sorted(folders), sorted(photos)

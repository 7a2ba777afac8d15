"""Stage 1: the photos that paths, folders and patterns stand for, and what a search leaves out."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineament.errors import ImageError, ImageNotFoundError
from lineament.images.names import describe_source, path_of
from lineament.images.sources import missing_hint
from lineament.results import Outcome

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
    | {".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif"}
)
"""Suffixes, in lower case, by which photos are known in a folder."""

MOST_SUFFIXES = 5
"""So many suffixes are named in words."""


@dataclass(frozen=True, slots=True)
class PassedOver(Outcome):
    """What a search for photos saw and left out. False when that is nothing.

    Attributes:
        suffixes: number of files that are no photos by their suffix, by suffix ("" for none).
        hidden: files and folders whose name begins with ".".
        links: links that were not followed: to folders, which might lead in a circle, and to
            nowhere.
        not_files: pipes, sockets and devices that have a photo's suffix.
        unreadable: folders that cannot be listed, with the reason. What is in them was not looked
            at.
    """

    suffixes: Mapping[str, int] = field(default_factory=dict)
    hidden: int = 0
    links: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()
    not_files: int = 0

    @property
    def other_files(self) -> int:
        """Number of files that are no photos by their suffix."""
        return sum(self.suffixes.values())

    @property
    def errors(self) -> list[ImageError]:
        """What to say of each folder that cannot be listed."""
        return [
            ImageError(
                f"{describe_source(folder)}: the folder cannot be listed ({reason}); check its "
                "rights"
            )
            for folder, reason in self.unreadable
        ]

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.suffixes or self.hidden or self.links or self.not_files or self.unreadable)

    def __add__(self, other: PassedOver) -> PassedOver:
        """What two searches left out together."""
        return PassedOver(
            dict(Counter(self.suffixes) + Counter(other.suffixes)),
            self.hidden + other.hidden,
            self.links + other.links,
            self.unreadable + other.unreadable,
            self.not_files + other.not_files,
        )

    @property
    def in_words(self) -> str:
        """For people: "12 files that are no photos by their suffix (.txt 11, none 1), 3 hidden"."""
        words = []
        if self.suffixes:
            counts = sorted(self.suffixes.items(), key=lambda item: (-item[1], item[0]))
            named = [f"{suffix or 'none'} {n:,}" for suffix, n in counts[:MOST_SUFFIXES]]
            more = ["..."] if len(counts) > MOST_SUFFIXES else []
            are = (
                "1 file that is no photo"
                if self.other_files == 1
                else (f"{self.other_files:,} files that are no photos")
            )
            words.append(f"{are} by the suffix ({', '.join(named + more)})")
        if self.hidden:
            words.append(f"{self.hidden:,} hidden")
        if self.links:
            words.append(f"{self.links:,} link{'' if self.links == 1 else 's'} not followed")
        if self.not_files:
            are = "pipe, socket or device" if self.not_files == 1 else "pipes, sockets or devices"
            words.append(f"{self.not_files:,} {are}")
        words += [
            f"the folder {describe_source(folder)}, which cannot be listed ({reason})"
            for folder, reason in self.unreadable
        ]
        return ", ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "other_files": self.other_files,
            "suffixes": dict(sorted(self.suffixes.items())),
            "hidden": self.hidden,
            "links": self.links,
            "not_files": self.not_files,
            "unreadable": [
                {"folder": folder, "reason": reason} for folder, reason in self.unreadable
            ],
        }


@dataclass(frozen=True, slots=True)
class ImageList:
    """The photos that were found, and what was passed over on the way.

    Attributes:
        paths: each once, in the order of what was named; those of a folder sorted.
        passed_over: what folders and patterns held besides.
    """

    paths: tuple[Path, ...]
    passed_over: PassedOver = PassedOver()

    def require_readable(self) -> None:
        """Raise ImageError when a folder could not be listed."""
        for error in self.passed_over.errors:
            raise error


def find_images(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The photos that paths, folders and glob patterns stand for, each once.

    A file is taken whatever its suffix; folders (searched recursively) and glob patterns (``**``
    too; a folder they match is searched) give the files with one of ``IMAGE_SUFFIXES``, sorted.
    Hidden files and folders are skipped. Links to folders are followed only where they are named.
    ``list_images`` says what was left out.

    Raises:
        ImageNotFoundError: a path that does not exist, or a pattern that matches nothing.
        ImageError: a folder or pattern without photos, or a folder that cannot be listed.
    """
    found = list_images(paths)
    found.require_readable()
    return list(found.paths)


def list_images(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    suffixes: Collection[str] = IMAGE_SUFFIXES,
) -> ImageList:
    """``find_images``, with what was passed over; folders that cannot be listed are part of that.

    Args:
        paths: files, folders and glob patterns.
        suffixes: by which files of folders and patterns are taken, in lower case: those of films,
            too, where these are wanted.

    Raises:
        ImageNotFoundError: a path that does not exist, or a pattern that matches nothing.
        ImageError: a folder or pattern without photos, of which all could be listed.
    """
    found: dict[Path, None] = {}
    passed_over = PassedOver()
    for entry in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        images, left_out = _images_of(entry, suffixes)
        found.update(dict.fromkeys(images))
        passed_over += left_out
    return ImageList(tuple(found), passed_over)


def passed_over_in(folder: str | os.PathLike[str]) -> PassedOver:
    """What a search of a folder leaves out; nothing where there is no folder."""
    walk = _Walk()
    if os.path.isdir(folder):  # noqa: PTH112
        walk.folder(os.fsdecode(folder))
    return walk.passed_over()


def is_pattern(text: str) -> bool:
    """Whether a text is a glob pattern: there is no file of that name."""
    return glob.has_magic(text) and not os.path.lexists(text)


def _images_of(
    entry: str | os.PathLike[str], suffixes: Collection[str]
) -> tuple[list[Path], PassedOver]:
    text, name = path_of(entry), describe_source(entry)
    if text is None:
        raise ImageError(f"{name}: expected a path, got an address or data; give it alone")
    walk = _Walk(suffixes)
    # os.path, since the methods of Path raise for a name that is too long
    if os.path.isdir(text):  # noqa: PTH112
        walk.folder(text)
    elif os.path.exists(text):  # noqa: PTH110
        return [Path(text)], PassedOver()
    elif glob.has_magic(text):
        matches = _matches(text)
        if not matches:
            raise ImageNotFoundError(f"{name}: the pattern matches nothing; check it")
        for match in matches:
            if os.path.isdir(match):  # noqa: PTH112
                walk.folder(match)
            else:
                walk.file(match, named=True)
    elif not text:
        raise ImageNotFoundError("expected the path of a photo or folder, got an empty text")
    else:
        raise ImageNotFoundError(f"{name}: no such file or folder; {missing_hint(text)}")
    left_out = walk.passed_over()
    if not walk.images and not left_out.unreadable:
        held = f": {left_out.in_words}" if left_out else ""
        raise ImageError(
            f"{name}: expected at least one photo ({', '.join(sorted(suffixes))}), "
            f"found none{held}; name the folder that holds them"
        )
    return sorted(walk.images), left_out


def _matches(pattern: str) -> list[str]:
    """What a pattern matches, each once. ``**`` follows no links, which may lead in circles."""
    first, *more = re.split(r"(?:^|(?<=/))(?:\*\*/)+(?:\*\*$)?|(?:^|(?<=/))\*\*$", pattern)
    if not more:
        return glob.glob(pattern)  # noqa: PTH207
    found = {Path(path) for path in (glob.glob(first) if first else ["."])}  # noqa: PTH207
    for part in more:
        below: set[Path] = set()
        for root in found:
            for parent, folders, files in os.walk(root):
                folders[:] = [name for name in folders if not name.startswith(".")]
                seen = [*folders, *(name for name in files if not name.startswith("."))]
                names = glob.glob(part, root_dir=parent) if part else seen  # noqa: PTH207
                below.update(Path(os.path.normpath(Path(parent, name))) for name in names)
        found = below
    return [str(path) for path in found]


class _Walk:
    """Collects the photos of folders, each once, and counts what is left out."""

    def __init__(self, suffixes: Collection[str] = IMAGE_SUFFIXES) -> None:
        self._suffixes = suffixes
        self.images: set[Path] = set()
        self._others: set[Path] = set()
        self._hidden: set[Path] = set()
        self._links: set[Path] = set()
        self._not_files: set[Path] = set()
        self._unreadable: dict[str, str] = {}

    def folder(self, root: str) -> None:
        """Search a folder."""

        def note(error: OSError) -> None:
            self._unreadable[str(error.filename)] = str(error.strerror)

        for parent, folders, files in os.walk(root, onerror=note):
            for child in list(folders):
                path = Path(parent, child)
                if child.startswith("."):
                    self._hidden.add(path)
                    folders.remove(child)
                elif os.path.islink(path):  # noqa: PTH114  (of a name that is too long: False)
                    self._links.add(path)
                    folders.remove(child)
            for name in files:
                self.file(os.path.join(parent, name))  # noqa: PTH118

    def file(self, path: str, *, named: bool = False) -> None:
        """Take a file, or count it; a hidden one only where a pattern named it."""
        name = os.path.basename(path)  # noqa: PTH119
        if name.startswith(".") and not named:
            self._hidden.add(Path(path))
        elif os.path.splitext(name)[1].lower() not in self._suffixes:  # noqa: PTH122
            self._others.add(Path(path))
        elif os.path.isfile(path):  # noqa: PTH113
            self.images.add(Path(path))
        elif os.path.exists(path):  # noqa: PTH110
            self._not_files.add(Path(path))
        else:  # a link to nowhere
            self._links.add(Path(path))

    def passed_over(self) -> PassedOver:
        """What was left out."""
        suffixes = Counter(path.suffix.lower() for path in self._others)
        unreadable = tuple(sorted(self._unreadable.items()))
        return PassedOver(
            dict(suffixes), len(self._hidden), len(self._links), unreadable, len(self._not_files)
        )

"""The photos of a folder with their people's names.

    DIR/Ada Lovelace/1.jpg       a folder a person; folders within it are that person's too
    DIR/Ada_Lovelace_0001.jpg    flat: the name, then a number

Hidden files, and files that are no photos by their suffix, are passed over.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from lineament.errors import ImageError, LineamentError, OptionError

LAYOUTS = ("auto", "folders", "flat")

_NUMBERED = re.compile(r"(.*?\D)??[ _.\-]*\(?[0-9]+\)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds.

    Attributes:
        layout: "folders" or "flat".
        photos: (name, path), by name and path.
        passed_over: why a folder or file is in no list, in words.
    """

    layout: str
    photos: tuple[tuple[str, Path], ...]
    passed_over: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The people, each once, in their order."""
        return list(dict.fromkeys(name for name, _ in self.photos))


def list_folder(folder: Path, layout: str = "auto") -> Listing:
    """List the photos; opens none of them.

    Args:
        folder: that holds them.
        layout: one of ``LAYOUTS``; "auto" is "folders" where there is a folder with photos.

    Raises:
        OptionError: no such folder or layout, or no photo in it.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"--layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}")
    if not folder.is_dir():
        what = "it is a file" if folder.exists() else "there is nothing of that name"
        raise OptionError(f"{folder}: expected a folder, but {what}; check the path")
    if layout != "flat":
        found = _folders(folder)
        if found.photos:
            return found
    if layout != "folders":
        found = _flat(folder)
        if found.photos:
            return found
    raise OptionError(
        f"{folder}: expected a folder a person ({folder.name}/NAME/1.jpg) or photos called by "
        f"their names ({folder.name}/NAME_0001.jpg), found no photo"
    )


def _folders(folder: Path) -> Listing:
    from lineament.images import find_images

    photos: list[tuple[str, Path]] = []
    passed_over: list[str] = []
    for entry in _entries(folder):
        if not entry.is_dir():
            if _is_photo(entry):
                passed_over.append(f"{entry.name}: it lies outside of the people's folders")
            continue
        try:
            name = _checked(entry.name)
            photos += [(name, path) for path in find_images([entry])]
        except ImageError:
            passed_over.append(f"{entry.name}/: no photos")
        except LineamentError as error:
            passed_over.append(f"{entry.name}/: {error}")
    return Listing("folders", tuple(photos), tuple(passed_over))


def _flat(folder: Path) -> Listing:
    photos: list[tuple[str, Path]] = []
    passed_over: list[str] = []
    for entry in _entries(folder):
        if not _is_photo(entry) or entry.is_dir():
            continue
        try:
            photos.append((_checked(name_of(entry.stem)), entry))
        except OptionError as error:
            passed_over.append(f"{entry.name}: {error}")
    return Listing("flat", tuple(sorted(photos)), tuple(passed_over))


def name_of(stem: str) -> str:
    """The name in a file's name: without the number at its end; "_" stands for a space.

    "Ada_Lovelace_0001" -> "Ada Lovelace", "김구-2" -> "김구", "Ada (3)" -> "Ada". A stem that is
    nothing but a number is no name.
    """
    match = _NUMBERED.fullmatch(stem)
    rest = stem if match is None else match[1]
    return "" if rest is None else rest.replace("_", " ").strip(" .-")


def _checked(name: str) -> str:
    from lineament.gallery.naming import checked_name

    # Names of files that are no UTF-8 come with lone surrogates, which no name may hold.
    return checked_name(unicodedata.normalize("NFC", name))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise OptionError(
            f"{folder}: the folder cannot be read ({error.strerror}); check its rights"
        ) from error


def _is_photo(path: Path) -> bool:
    from lineament.images import IMAGE_SUFFIXES

    return path.suffix.lower() in IMAGE_SUFFIXES

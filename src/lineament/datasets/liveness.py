"""Photos and films of living people and of attacks, in the layouts of the usual data sets.

    NUAA            ClientRaw/PERSON/*.jpg, ImposterRaw/PERSON/*.jpg (or ...Face), also below raw/
    CASIA-FASD      train_release/PERSON/1.avi, ... HR_4.avi; test_release/...
    Replay-Attack   train/real/*.mov, train/attack/fixed/*.mov, attack/hand/*.mov; devel, test
    CelebA-Spoof    Data/train/PERSON/live/*, Data/train/PERSON/spoof/*; metas/*/*_label.json
    folders         real/PERSON/* or live/..., and one folder for each kind of attack

Which one a folder has is seen by the names in it. A ``Presentation`` is what somebody shows to a
camera once, in the words of ISO/IEC 30107-1: a film, or photos of one person in their order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lineament.datasets.text import opened_text
from lineament.errors import DataError
from lineament.images.find import IMAGE_SUFFIXES

LIVE = "live"
"""The kind of presentations that are none of attacks."""

FILM_SUFFIXES = frozenset({".avi", ".mov", ".mp4", ".mkv", ".m4v", ".webm"})
LIVE_FOLDERS = frozenset({"live", "real", "bonafide", "bona_fide", "client", "genuine"})

_CASIA = {
    **dict.fromkeys(("1", "2", "HR_1"), LIVE),
    **dict.fromkeys(("3", "4", "HR_2"), "warped photo"),
    **dict.fromkeys(("5", "6", "HR_3"), "cut photo"),
    **dict.fromkeys(("7", "8", "HR_4"), "video replay"),
}
"""Name of a film -> what it shows: Zhang et al., "A face antispoofing database with diverse
attacks", ICB 2012, section 3."""

_CELEBA_KIND, _CELEBA_TYPES = (
    40,
    (
        *(LIVE, "photo", "poster", "A4", "face mask", "upper body mask", "region mask"),
        *("PC", "pad", "phone", "3D mask"),
    ),
)
"""Place of the type in a line of labels, and the types: Zhang et al., "CelebA-Spoof", ECCV 2020."""

LARGEST_LABELS = 1 << 30


@dataclass(frozen=True)
class Presentation:
    """Something shown to a camera.

    Attributes:
        kind: ``LIVE``, or the kind of attack.
        person: whom it shows.
        files: photos in their order, or one film.
        is_film: which of the two.
    """

    kind: str
    person: str
    files: tuple[Path, ...]
    is_film: bool


@dataclass(frozen=True)
class LivenessSet:
    """All of a data set.

    Attributes:
        folder: where it lies.
        layout: its name: "NUAA", "CASIA-FASD", "Replay-Attack", "CelebA-Spoof" or "folders".
        presentations: living ones first, then by kind and person.
    """

    folder: Path
    layout: str
    presentations: tuple[Presentation, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of attacks, by name."""
        return tuple(sorted({each.kind for each in self.presentations} - {LIVE}))


def read_liveness(folder: Path) -> LivenessSet:
    """Find out the layout of a folder, and list what is in it.

    Raises:
        DataError: no folder, none of the layouts, or nothing living or no attack in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder with photos or films")
    for layout, read in _LAYOUTS.items():  # noqa: B007
        found = list(read(folder))
        if found:
            break
    else:
        raise DataError(
            f"{folder}: expected the layout of {', '.join(_LAYOUTS)}: for example real/PERSON/ and "
            "print/PERSON/ with photos"
        )
    kinds = {each.kind for each in found}
    if LIVE not in kinds or len(kinds) < 2:
        missing = "living people" if LIVE not in kinds else "attacks"
        raise DataError(
            f"{folder}: expected living people and attacks ({layout}), found no {missing}"
        )
    found.sort(
        key=lambda each: (each.kind != LIVE, each.kind, each.person, _natural(each.files[0]))
    )
    return LivenessSet(folder, layout, tuple(found))


# --- layouts --------------------------------------------------------------------------------------


def _nuaa(folder: Path) -> Iterator[Presentation]:
    for root in (folder, *(folder / name for name in ("raw", "Raw", "Detectedface"))):
        for suffix in ("Raw", "Face"):
            for name, kind in (("Client", LIVE), ("Imposter", "print")):
                yield from _people(root / f"{name}{suffix}", kind)


def _casia(folder: Path) -> Iterator[Presentation]:
    parts = [folder / name for name in ("train_release", "test_release")]
    roots = [part for part in parts if part.is_dir()] or [folder]
    for root in roots:
        for person in _folders(root):
            for film in _films(person):
                if film.stem in _CASIA and film.suffix.lower() == ".avi":
                    name = f"{root.name}/{person.name}"
                    yield Presentation(_CASIA[film.stem], name, (film,), is_film=True)


def _replay(folder: Path) -> Iterator[Presentation]:
    parts = [folder / name for name in ("train", "devel", "test")]
    roots = [part for part in parts if part.is_dir()] or [folder]
    for root in roots:
        for name in ("real", "attack"):
            films = sorted(p for p in (root / name).rglob("*") if p.suffix.lower() == ".mov")
            for film in films:
                person = re.search(r"client\d+", film.name)
                yield Presentation(
                    LIVE if name == "real" else _replay_kind(film),
                    film.stem if person is None else person[0],
                    (film,),
                    is_film=True,
                )


def _replay_kind(film: Path) -> str:
    """attack_mobile_client001_session01_mobile_photo_adverse: "mobile photo"; print: "print"."""
    medium = film.name.split("_")[1] if film.name.startswith("attack_") else "attack"
    what = re.search(r"_(photo|video)_", film.name)
    return medium if medium == "print" or what is None else f"{medium} {what[1]}"


def _celeba(folder: Path) -> Iterator[Presentation]:
    data = folder / "Data" if (folder / "Data").is_dir() else folder
    types = _celeba_types(folder)
    for part in (data / "train", data / "test"):
        for person in _folders(part):
            for name in ("live", "spoof"):
                by_kind: dict[str, list[Path]] = {}
                for photo in _photos(person / name):
                    key = "/".join(photo.parts[-5:])
                    kind = LIVE if name == "live" else types.get(key, "spoof")
                    by_kind.setdefault(kind, []).append(photo)
                for kind, photos in by_kind.items():
                    yield Presentation(kind, person.name, tuple(photos), is_film=False)


def _celeba_types(folder: Path) -> dict[str, str]:
    """Data/test/ID/spoof/NAME -> the type of attack, where there are labels."""
    found: dict[str, str] = {}
    for file in sorted((folder / "metas").glob("*/*_label.json")):
        with opened_text(file) as text:
            try:
                labels = json.loads(text.read(LARGEST_LABELS))
                for path, values in labels.items():
                    kind = _CELEBA_TYPES[values[_CELEBA_KIND]]
                    found[path] = "spoof" if kind == LIVE else kind
            except (ValueError, TypeError, AttributeError, IndexError, RecursionError) as error:
                raise DataError(
                    f"{file}: expected a JSON object of paths with lists of labels"
                ) from error
    return found


def _plain(folder: Path) -> Iterator[Presentation]:
    for kind in _folders(folder):
        name = LIVE if kind.name.lower() in LIVE_FOLDERS else kind.name
        yield from _people(kind, name)
        for film in _films(kind):
            yield Presentation(name, film.stem, (film,), is_film=True)
        photos = _photos(kind)
        if photos:
            yield Presentation(name, "", photos, is_film=False)


_LAYOUTS: dict[str, Callable[[Path], Iterator[Presentation]]] = {
    "NUAA": _nuaa,
    "CASIA-FASD": _casia,
    "Replay-Attack": _replay,
    "CelebA-Spoof": _celeba,
    "folders": _plain,
}


# --- files ----------------------------------------------------------------------------------------


def _people(folder: Path, kind: str) -> Iterator[Presentation]:
    for person in _folders(folder):
        photos = _photos(person)
        if photos:
            yield Presentation(kind, person.name, photos, is_film=False)
        for film in _films(person):
            yield Presentation(kind, person.name, (film,), is_film=True)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    shown = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted((path for path in shown if path.is_dir()), key=_natural)


def _photos(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path in _files(folder) if path.suffix.lower() in IMAGE_SUFFIXES)


def _films(folder: Path) -> list[Path]:
    return [path for path in _files(folder) if path.suffix.lower() in FILM_SUFFIXES]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    shown = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted((path for path in shown if path.is_file()), key=_natural)


def _natural(path: Path) -> tuple[tuple[int, str], ...]:
    """For sorting: numbers in a name by their value, so that frame 10 comes after frame 9."""
    parts = re.split(r"(\d+)", path.name)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)

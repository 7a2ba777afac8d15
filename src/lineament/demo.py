"""The photos that the package carries: something to try it on.

    >>> import lineament
    >>> photos = lineament.demo_photos()
    >>> lineament.verify(photos["obama"], photos["obama2"]).verdict  # doctest: +SKIP
    'same'

Where they come from and who took them stands beside them, in ``data/demo/PROVENANCE.md``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from lineament.errors import OptionError

FOLDER = Path(__file__).parent / "data" / "demo"

PEOPLE = {
    "Barack Obama": ("obama", "obama2"),
    "Joe Biden": ("biden",),
    "Eileen Collins": ("astronaut",),
}
"""Whom the photos show; "group" is a collage of all of them, and of the same faces again."""


class Pair(NamedTuple):
    """Two of the photos, and the truth."""

    a: str
    b: str
    same: bool


PAIRS = (
    Pair("obama", "obama2", True),
    Pair("obama", "biden", False),
    Pair("obama2", "biden", False),
    Pair("obama", "astronaut", False),
)


def demo_photos() -> dict[str, Path]:
    """The photos by name: "astronaut", "biden", "group", "obama" and "obama2".

    Returns:
        Paths of JPEG files that exist, in the order of their names.
    """
    return {path.stem: path for path in sorted(FOLDER.glob("*.jpg"))}


def copy_photos(folder: str | os.PathLike[str]) -> list[Path]:
    """Copy the photos to where they can be tried, with one folder per person beside them.

        FOLDER/obama.jpg, obama2.jpg, biden.jpg, astronaut.jpg, group.jpg
        FOLDER/people/Barack Obama/obama.jpg ...

    A file that is there already stays as it is.

    Args:
        folder: made where it does not exist.

    Returns:
        The five photos' paths in ``folder``.

    Raises:
        OptionError: the folder or a file cannot be made.
    """
    target = Path(folder)
    photos = demo_photos()
    places = {target / path.name: path for path in photos.values()}
    for person, names in PEOPLE.items():
        places |= {target / "people" / person / photos[n].name: photos[n] for n in names}
    try:
        for place, path in places.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(place):  # a link to nothing is there, too
                with place.open("xb") as file:
                    file.write(path.read_bytes())
    except OSError as error:
        raise OptionError(
            f"{target}: the photos cannot be copied there ({error.strerror}): name a folder that "
            "can be written to"
        ) from error
    return [target / path.name for path in photos.values()]

"""Photos that lie in the file system: the path of each, and whom it shows.

``read_people_folder`` takes one folder per person, as ``lineament.datasets.people_folder`` says.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lineament.datasets.people_folder import read_people
from lineament.images import describe_source
from lineament.train.data.face_set import read_photo
from lineament.types import Image, IntArray


@dataclass(frozen=True, eq=False)
class Photos:
    """A ``FaceSet`` of files.

    Attributes:
        people: P names.
        labels: (N,) int64, 0 to P - 1.
        paths: N photos.
        notes: what is worth telling about the set.
    """

    people: tuple[str, ...]
    labels: IntArray
    paths: tuple[Path, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.paths)

    def name(self, index: int) -> str:
        """The path."""
        return describe_source(self.paths[index])

    def read(self, index: int) -> Image:
        """The pixels, upright."""
        return read_photo(self.paths[index], self.name(index))


def read_people_folder(folder: str | os.PathLike[str]) -> Photos:
    """List a folder with a folder a person; opens no photo.

    People are sorted by name, photos by path. Hidden files, and files that are no photos
    by their suffix, are passed over.

    Raises:
        DataError: no such folder, nobody in it, an empty person's folder, photos outside.
    """
    people = read_people(folder, min_people=1)
    return Photos(people.names, people.person, people.paths)

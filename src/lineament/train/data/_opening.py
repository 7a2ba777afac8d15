"""A set of photos from whatever form it has: a folder, a list, shards, or RecordIO."""

from __future__ import annotations

import os
from pathlib import Path

from lineament.errors import DataError
from lineament.train.data._files import read_csv, read_people_folder
from lineament.train.data._recordio import read_recordio
from lineament.train.data.face_set import FaceSet, with_least_photos
from lineament.train.data.shards import holds_shards, read_shards


def open_faces(path: str | os.PathLike[str], *, least_photos: int = 1) -> FaceSet:
    """Open a set of photos, whatever form it has; reads no photo.

    - a folder with one folder per person;
    - a folder with ``train.rec``, or a ``.rec`` file: InsightFace's RecordIO;
    - a ``.csv`` file with the columns path and person;
    - a ``.tar`` file, a folder of them, or a pattern such as ``shards/faces-{000..009}.tar``:
      WebDataset.

    Args:
        path: what to open.
        least_photos: people with fewer photos are left out; ``notes`` of the result says how
            many.

    Raises:
        DataError: nothing there, or not laid out as it should be, or nobody is left.
        OptionError: ``least_photos`` is less than 1.
    """
    return with_least_photos(_open(path), least_photos)


def _open(path: str | os.PathLike[str]) -> FaceSet:
    place = Path(path)
    suffix = place.suffix.lower()
    if suffix == ".tar":
        return read_shards(place)
    if place.is_dir():
        if (place / "train.rec").is_file():
            return read_recordio(place / "train.rec")
        if holds_shards(place):
            return read_shards(place)
        return read_people_folder(place)
    if suffix == ".csv":
        return read_csv(place)
    if suffix == ".rec":
        return read_recordio(place)
    what = "a file of another kind" if place.exists() else "nothing of that name"
    raise DataError(
        f"{place}: expected a folder with one folder per person, a .csv list, .tar shards or a "
        f".rec file, found {what}; check the path"
    )

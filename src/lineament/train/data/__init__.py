"""From photos to batches.

    seam        what a set of photos is, and parts of sets
    folders     a folder a person
    csv_list    a list: path,person
    shards      WebDataset: .tar files
    recordio    InsightFace: train.rec, train.idx; without MXNet
    aligning    photos -> aligned crops, a folder a person
    checking    which photos cannot be read
    augment     what happens to a photo at random
    samplers    which photos make a batch
    crops       tensors, workers, the part of each process (needs PyTorch)
    leakage     people of an evaluation set who are in the training set

``open_faces`` knows the sources apart. Only ``crops`` loads PyTorch. The functions ``augment`` and
``leakage`` are to be had from the modules of their names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.errors import DataError
from lineament.train.data.augment import Augment, augmented_sheet
from lineament.train.data.face_set import FaceSet, Selection, notes_of, with_least_photos
from lineament.train.data.samplers import PeopleBatches, RandomBatches

if TYPE_CHECKING:
    from lineament.train.data.checking import check_faces
    from lineament.train.data.crops import Crops, loader
    from lineament.train.data.leakage import Leak

__all__ = [
    "Augment",
    "Crops",
    "FaceSet",
    "Leak",
    "PeopleBatches",
    "RandomBatches",
    "Selection",
    "augmented_sheet",
    "check_faces",
    "loader",
    "notes_of",
    "open_faces",
    "with_least_photos",
]

_HOMES = {
    "Crops": "crops",
    "Leak": "leakage",
    "check_faces": "checking",
    "loader": "crops",
}


def open_faces(path: str | os.PathLike[str], *, least_photos: int = 1) -> FaceSet:
    """Open a set of photos, whatever form it has; reads no photo.

    - a folder with a folder a person;
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
        from lineament.train.data.shards import read_shards

        return read_shards(place)
    if place.is_dir():
        if (place / "train.rec").is_file():
            from lineament.train.data.recordio import read_recordio

            return read_recordio(place / "train.rec")
        from lineament.train.data.shards import holds_shards, read_shards

        if holds_shards(place):
            return read_shards(place)
        from lineament.train.data.folders import read_people_folder

        return read_people_folder(place)
    if suffix == ".csv":
        from lineament.train.data.csv_list import read_csv

        return read_csv(place)
    if suffix == ".rec":
        from lineament.train.data.recordio import read_recordio

        return read_recordio(place)
    what = "a file of another kind" if place.exists() else "nothing of that name"
    raise DataError(
        f"{place}: expected a folder with a folder a person, a .csv list, .tar shards or a .rec "
        f"file, found {what}; check the path"
    )


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"lineament.train.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lineament.train.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

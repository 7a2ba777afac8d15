"""InsightFace's verification sets: lfw.bin, cfp_fp.bin, agedb_30.bin, calfw.bin, cplfw.bin, ...

A file is a pickle of two lists, as ``lfw2pack.py`` and ``agedb2pack.py`` of
github.com/deepinsight/insightface write it: 2 P photos, aligned to 112x112 pixels and encoded
(bytes, or arrays of uint8 from ``cv2.imencode``), pair after pair; and P answers, whether both of a
pair show one person. Accuracy is that of its ``verification.py``: ten folds in the order of the
pairs, each judged with the threshold of the others.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament.datasets.safe_pickle import PlainArray, read_plain_pickle
from lineament.datasets.text import read_bytes
from lineament.errors import DataError
from lineament.types import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class BinSet:
    """A verification set.

    Attributes:
        file: where it was read from.
        photos: N encoded photos, each once.
        pairs: (P, 2) int64: places in ``photos``.
        same: (P,) bool.
        numbers: (P, 2) int64: places in the file's own list, for messages.
    """

    file: Path
    photos: tuple[bytes, ...]
    pairs: IntArray
    same: BoolArray
    numbers: IntArray


def read_bin(file: str | os.PathLike[str]) -> BinSet:
    """Read the file, executing nothing of it (see ``datasets.safe_pickle``).

    Raises:
        DataError: it is no such file, cut short, or asks for something to be carried out.
    """
    path = Path(file)
    found = read_plain_pickle(read_bytes(path), str(path))
    if type(found) not in (tuple, list) or len(found) != 2:
        raise DataError(f"{path}: expected two lists, photos and answers, got {_kind(found)}")
    photos = _photos(path, found[0])
    same = _answers(path, found[1])
    if len(photos) != 2 * len(same):
        raise DataError(
            f"{path}: expected two photos for each of {len(same):,} answers, got "
            f"{len(photos):,}; download the file again"
        )
    if len(same) < 2:
        raise DataError(f"{path}: expected at least 2 pairs, got {len(same)}")
    places: dict[bytes, int] = {}
    rows = [places.setdefault(photo, len(places)) for photo in photos]
    return BinSet(
        path,
        tuple(places),
        np.array(rows, np.int64).reshape(-1, 2),
        np.array(same, bool),
        np.arange(len(rows), dtype=np.int64).reshape(-1, 2),
    )


def _photos(path: Path, found: Any) -> list[bytes]:
    if type(found) is not list:
        raise DataError(f"{path}: expected a list of photos, got {_kind(found)}")
    photos = []
    for number, photo in enumerate(found):
        if type(photo) is PlainArray:
            # One column or row of bytes, as cv2.imencode returns them.
            if photo.kind != "u1" or max(photo.shape, default=0) != len(photo.data):
                raise DataError(
                    f"{path}: expected photo {number} encoded (JPEG or PNG) in one row of "
                    f"uint8, got an array {photo.shape} of {photo.kind or 'nothing'}"
                )
            photo = photo.data
        if type(photo) is bytearray:
            photo = bytes(photo)
        if type(photo) is not bytes:
            raise DataError(f"{path}: expected photo {number} as bytes, got {_kind(photo)}")
        photos.append(photo)
    return photos


def _answers(path: Path, found: Any) -> list[bool]:
    if type(found) is PlainArray and found.kind == "b1" and len(found.shape) == 1:
        return [bool(value) for value in found.data]
    if type(found) is not list:
        raise DataError(f"{path}: expected a list of answers, got {_kind(found)}")
    for number, answer in enumerate(found):
        if type(answer) not in (bool, int) or answer not in (0, 1):
            raise DataError(
                f"{path}: expected answer {number} to be true or false, got {_kind(answer)}"
            )
    return [bool(answer) for answer in found]


def _kind(value: Any) -> str:
    length = f" of {len(value):,}" if isinstance(value, (list, tuple, bytes, str)) else ""
    return f"{type(value).__name__}{length}"

"""WIDER FACE: photos with all their annotated faces, as a table beside a folder of photos.

DIR/annotations.csv    file, x, y, w, h (pixels, the top left corner and the size), and easy,
                       medium, hard (0 or 1): the subsets that a face belongs to
DIR/images/            the photos
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lineament.datasets.text import opened_text
from lineament.errors import DataError
from lineament.types import BoolArray, Float64Array

SUBSETS = ("easy", "medium", "hard")
"""From large and plain faces to all that are big enough to be annotated; each holds the former."""
CSV_FILE = "annotations.csv"
CSV_COLUMNS = ("file", "x", "y", "w", "h", *SUBSETS)


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """A photo and all of its annotated faces.

    Attributes:
        path: where the photo lies.
        boxes_xyxy: (G, 4) float64, pixels: left, top, left + width, top + height. G may be 0.
        subsets: for each of ``SUBSETS`` (G,) bool: whether the face belongs to it.
    """

    path: Path
    boxes_xyxy: Float64Array
    subsets: dict[str, BoolArray]


def read_wider_csv(folder: str | os.PathLike[str]) -> tuple[AnnotatedImage, ...]:
    """Read ``annotations.csv``, whose photos lie in ``images/`` beside it.

    The columns are file, x, y, w, h (pixels, the top left corner and the size) and easy, medium,
    hard (0 or 1). Photos are returned sorted by name; one without a line has no faces.

    Raises:
        DataError: when something is missing or not as described; the message names the line.
    """
    root = Path(folder)
    file, images = root / CSV_FILE, root / "images"
    if not file.is_file() or not images.is_dir():
        raise DataError(
            f"{root}: expected {CSV_FILE} and a folder images/ with the photos, found "
            f"{'no ' if not file.is_file() else ''}{CSV_FILE} and "
            f"{'no ' if not images.is_dir() else ''}folder images/"
        )
    suffixes = {".jpg", ".jpeg", ".png"}
    faces: dict[str, list[tuple[list[float], list[bool]]]] = {
        path.name: []
        for path in sorted(images.iterdir())
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    }
    for line, row in _rows(file):
        name = row["file"]
        if name not in faces:
            raise DataError(
                f"{file}, line {line}: expected a photo of images/, found no {name!r} there; "
                "copy it there, or remove its lines"
            )
        x, y, width, height = (_pixels(file, line, key, row[key]) for key in "xywh")
        if width < 0 or height < 0:
            raise DataError(
                f"{file}, line {line}: expected w and h of 0 or more, got {width:g} and {height:g}"
            )
        flags = [_flag(file, line, key, row[key]) for key in SUBSETS]
        faces[name].append(([x, y, x + width, y + height], flags))
    if not any(faces.values()):
        raise DataError(f"{file}: expected lines of faces, found none; copy the whole file again")
    return tuple(
        AnnotatedImage(
            path=images / name,
            boxes_xyxy=np.array([box for box, _ in found], np.float64).reshape(-1, 4),
            subsets={
                subset: np.array([flags[k] for _, flags in found], bool)
                for k, subset in enumerate(SUBSETS)
            },
        )
        for name, found in faces.items()
    )


def _rows(file: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with opened_text(file) as stream:
            reader = csv.reader(stream, strict=True)
            table = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{file}: expected a table in UTF-8, got: {error}") from error
    header = tuple(name.strip() for name in table[0][1]) if table else ()
    if header != CSV_COLUMNS:
        raise DataError(
            f"{file}: expected the first line {','.join(CSV_COLUMNS)!r}, got {','.join(header)!r}"
        )
    for line, row in table[1:]:
        if len(row) != len(CSV_COLUMNS):
            raise DataError(
                f"{file}, line {line}: expected {len(CSV_COLUMNS)} columns, got {len(row)}"
            )
    return [(line, dict(zip(CSV_COLUMNS, row, strict=True))) for line, row in table[1:]]


def _pixels(file: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(f"{file}, line {line}: expected pixels in column {column}, got {text!r}")
    return value


def _flag(file: Path, line: int, column: str, text: str) -> bool:
    if text.strip() not in ("0", "1"):
        raise DataError(f"{file}, line {line}: expected 0 or 1 in column {column}, got {text!r}")
    return text.strip() == "1"

"""YouTube Faces: 3,425 videos of 1,595 people, and 5,000 pairs of videos in ten splits.

Wolf, Hassner, Maoz, "Face Recognition in Unconstrained Videos with Matched Background Similarity",
CVPR 2011 (cs.tau.ac.il/~wolf/ytfaces). The folder as published:

- ``splits.txt``: a line of headings, "split number, pair number in split, first name, second name,
  is same", and 5,000 lines such as "1, 1, Sadie_Frost/1, Sadie_Frost/5, 1";
- ``frame_images_DB/NAME/VIDEO/VIDEO.FRAME.jpg``, and ``frame_images_DB/NAME.labeled_faces.txt``
  with the face in each frame: "NAME\\VIDEO\\FILE,ignored,x,y,width,height,ignored,ignored", x and y
  its center;
- or ``aligned_images_DB/NAME/VIDEO/aligned_detect_VIDEO.FRAME.jpg``, the face in the middle.

The published corrections of labels are not applied: published figures do not, either.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lineament.datasets.text import folder_of, is_file, read_lines
from lineament.errors import DataError, OptionError
from lineament.types import BoolArray, FloatArray, IntArray

PAIRS: Final = 5000
FRAMES: Final = 20
"""Evenly spaced frames a video; neighboring frames tell the same."""
IMAGE_FOLDERS: Final = ("frame_images_DB", "aligned_images_DB")
_SUFFIXES: Final = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, eq=False)
class Videos:
    """Videos and their pairs.

    Attributes:
        folder: that was read.
        names: V of them, "NAME/VIDEO".
        frames: the frames of each, chosen evenly, in order.
        boxes_xyxy: (N, 4) float32 pixels: where the face is in each frame, of all videos one after
            another; NaN where no file says.
        pairs: (P, 2) int64: places in ``names``.
        same: (P,) bool.
        folds: (P,) int64: the split of each pair.
    """

    folder: Path
    names: tuple[str, ...]
    frames: tuple[tuple[Path, ...], ...]
    boxes_xyxy: FloatArray
    pairs: IntArray
    same: BoolArray
    folds: IntArray


def read_ytf(folder: str | os.PathLike[str], *, frames: int = FRAMES) -> Videos:
    """Read the pairs and the names of the frames; opens no frame.

    Args:
        folder: see the module.
        frames: at most so many evenly spaced ones a video.

    Raises:
        DataError: ``splits.txt`` or a video is missing, or not laid out as published; the message
            names the file and the line.
        OptionError: frames below 1.
    """
    if frames < 1:
        raise OptionError(f"expected at least 1, got {frames}", option="frames")
    root = folder_of(folder, "YouTube Faces")
    file = root / "splits.txt"
    if not file.is_file():
        raise DataError(f"{root}: expected splits.txt beside {IMAGE_FOLDERS[0]}, found none")
    base = next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)
    if base is None:
        raise DataError(
            f"{root}: expected the frames in {' or '.join(IMAGE_FOLDERS)}, found neither"
        )
    places: dict[str, int] = {}
    chosen: list[tuple[Path, ...]] = []
    pairs: list[tuple[int, int]] = []
    same: list[bool] = []
    folds: list[int] = []
    lines = read_lines(file)
    for number, line in lines[1:] if _is_heading(lines[0][1]) else lines:
        where = f"{file}, line {number}"
        fold, names, answer = _split(line, where)
        for name in names:
            if name not in places:
                places[name] = len(places)
                chosen.append(_frames(base / name, frames, where))
        pairs.append((places[names[0]], places[names[1]]))
        same.append(answer)
        folds.append(fold)
    if not pairs:
        raise DataError(f"{file}: expected pairs of videos, found the headings alone")
    return Videos(
        folder=root,
        names=tuple(places),
        frames=tuple(chosen),
        boxes_xyxy=_boxes(base, tuple(places), chosen),
        pairs=np.array(pairs, np.int64),
        same=np.array(same, bool),
        folds=np.array(folds, np.int64),
    )


def _is_heading(line: str) -> bool:
    return not line.partition(",")[0].strip().isdigit()


def _split(line: str, where: str) -> tuple[int, tuple[str, str], bool]:
    columns = [column.strip() for column in line.split(",")]
    # The published file has the pair's number; some copies leave it out.
    if len(columns) >= 5 and columns[1].isascii() and columns[1].isdigit():
        del columns[1]
    if (
        len(columns) < 4
        or not (columns[0].isascii() and columns[0].isdigit() and len(columns[0]) < 5)
        or columns[3] not in ("0", "1")
        or not all(re.fullmatch(r"[^/\\]+/[^/\\]+", name) for name in columns[1:3])
    ):
        raise DataError(
            f'{where}: expected split, number, NAME/VIDEO, NAME/VIDEO and 1 or 0, such as "1, 1, '
            f'Sadie_Frost/1, Sadie_Frost/5, 1", got {line[:80]!r}'
        )
    if columns[1] == columns[2]:
        raise DataError(f"{where}: expected two videos, got {columns[1]} twice")
    return int(columns[0]), (columns[1], columns[2]), columns[3] == "1"


def _frames(folder: Path, wanted: int, where: str) -> tuple[Path, ...]:
    try:
        names = [path.name for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES]
    except OSError as error:
        raise DataError(
            f"{where}: expected the frames of a video in {folder}, got: {error.strerror}; unpack "
            "the whole archive"
        ) from error
    names = sorted((n for n in names if not n.startswith(".")), key=_by_number)
    if not names:
        raise DataError(f"{where}: expected frames (JPEG) in {folder}, found none")
    count = min(wanted, len(names))
    # The middles of as many equal stretches.
    picked = ((np.arange(count) + 0.5) * len(names) / count).astype(int)
    return tuple(folder / names[i] for i in picked)


def _by_number(name: str) -> tuple[list[int], str]:
    # "0.99.jpg" comes before "0.100.jpg".
    return [int(digits[:18]) for digits in re.findall(r"[0-9]+", name)], name


def _boxes(base: Path, names: tuple[str, ...], frames: list[tuple[Path, ...]]) -> FloatArray:
    """Where the faces are, as NAME.labeled_faces.txt says; NaN of other frames."""
    boxes: list[tuple[float, float, float, float]] = []
    known: dict[str, dict[str, tuple[float, float, float, float]]] = {}
    unknown = (np.nan,) * 4
    for name, paths in zip(names, frames, strict=True):
        person = name.partition("/")[0]
        if person not in known:
            file = base / f"{person}.labeled_faces.txt"
            known[person] = _labels(file) if is_file(file) else {}
        boxes += [known[person].get(f"{name}/{path.name}", unknown) for path in paths]
    return np.array(boxes, np.float32).reshape(-1, 4)


def _labels(file: Path) -> dict[str, tuple[float, float, float, float]]:
    found: dict[str, tuple[float, float, float, float]] = {}
    for number, line in read_lines(file):
        columns = [column.strip() for column in line.split(",")]
        try:
            x, y, width, height = (float(value) for value in columns[2:6])
        except ValueError:
            width = height = 0.0
        if not (0 < width < 1e5 and 0 < height < 1e5 and abs(x) < 1e5 and abs(y) < 1e5):
            raise DataError(
                f"{file}, line {number}: expected NAME\\VIDEO\\FILE,0,x,y,width,height,..., got "
                f"{line[:80]!r}"
            )
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        found[columns[0].replace("\\", "/")] = box
    return found

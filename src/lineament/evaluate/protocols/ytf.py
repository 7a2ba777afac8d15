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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lineament.datasets.source import Embedded, FaceSource
from lineament.errors import DataError, OptionError
from lineament.evaluate.protocols.verification import (
    folder_of,
    read_lines,
    size_note,
    verification_part,
)
from lineament.evaluate.result import PairShown, Published, Result
from lineament.evaluate.templates import pair_best, pair_cosine, pool_mean
from lineament.quality import POOLING_POWER
from lineament.types import BoolArray, FloatArray, IntArray

PAIRS: Final = 5000
FRAMES: Final = 20
"""Evenly spaced frames a video; neighboring frames tell the same."""

IMAGE_FOLDERS: Final = ("frame_images_DB", "aligned_images_DB")
_SUFFIXES: Final = (".jpg", ".jpeg", ".png")

PUBLISHED_YTF: Final = tuple(
    Published(
        name,
        value / 100,
        "Deng et al., ArcFace, CVPR 2019, Table 4",
        f"trained on {images} photos",
    )
    for name, images, value in (
        ("DeepID", "0.2 M", 93.20),
        ("Deep Face", "4.4 M", 91.4),
        ("VGG Face", "2.6 M", 97.30),
        ("FaceNet", "200 M", 95.10),
        ("Center Loss", "0.7 M", 94.9),
        ("Range Loss", "5 M", 93.70),
        ("Marginal Loss", "3.8 M", 95.98),
        ("SphereFace", "0.5 M", 95.0),
        ("CosFace", "5 M", 97.6),
        ("ArcFace, MS1MV2, R100", "5.8 M", 98.02),
    )
)

Weight = Callable[[Embedded], npt.ArrayLike]
"""(N,) numbers of at least 0: how much each frame counts in a video's mean."""


@dataclass(frozen=True, eq=False)
class Videos:
    """Videos and their pairs.

    Attributes:
        folder: that was read.
        names: V of them, "NAME/VIDEO".
        frames: the frames of each, chosen evenly, in order.
        boxes_xyxy: (N, 4) float32 pixels: where the face is in each frame, of all videos one after
            another; NaN where nothing tells.
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


def by_norm(embedded: Embedded) -> FloatArray:
    """A power of the embedding's length before scaling: poor frames tend to have short ones.

    See ``lineament.quality.pooling_weights``, which says why that power.
    """
    return embedded.norms**POOLING_POWER


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


def run_ytf(
    videos: Videos, source: FaceSource, *, weight: Weight = by_norm
) -> tuple[Result, Embedded]:
    """Embed the frames, and compare the videos in three ways.

    A frame without a face counts for nothing; the pairs of a video without any face score -1.

    Args:
        videos: from ``read_ytf``.
        source: what embeds.
        weight: of the frames in part "weighted".
    """
    paths = [path for frames in videos.frames for path in frames]
    known = not np.isnan(videos.boxes_xyxy).all()
    embedded = source.photos(paths, boxes_xyxy=videos.boxes_xyxy if known else None)
    count = len(videos.names)
    groups = np.repeat(np.arange(count), [len(frames) for frames in videos.frames])
    groups = np.where(embedded.found, groups, -1)
    vectors, pairs = embedded.vectors, videos.pairs
    mean = pool_mean(vectors, groups, count=count)
    weighted = pool_mean(vectors, groups, weights=weight(embedded), count=count)
    scores = {
        "mean": ("mean of the frames", pair_cosine(mean, pairs)),
        "weighted": ("mean weighted by quality", pair_cosine(weighted, pairs)),
        "best_pair": ("best pair of frames", pair_best(vectors, groups, pairs, count=count)),
    }
    seen = np.bincount(groups[groups >= 0], minlength=count) > 0
    without_face = int((~seen[pairs].all(axis=1)).sum())

    def show(place: int, same: bool, score: float) -> PairShown:
        a, b = (videos.frames[i][len(videos.frames[i]) // 2] for i in pairs[place])
        return PairShown(str(a), str(b), same, score)

    result = Result(
        protocol="ytf",
        title="YouTube Faces",
        data=str(videos.folder),
        images=len(paths),
        faces_found=int(embedded.found.sum()),
        errors=len(embedded.unreadable),
        parts=tuple(
            verification_part(
                key, title, values, videos.same, videos.folds, without_face=without_face, show=show
            )
            for key, (title, values) in scores.items()
        ),
        published=PUBLISHED_YTF,
        published_of=("mean", "accuracy_mean"),
        run={"videos": count},
        notes=size_note("YouTube Faces", len(pairs), PAIRS),
    )
    return result, embedded


def _is_heading(line: str) -> bool:
    return not line.partition(",")[0].strip().isdigit()


def _split(line: str, where: str) -> tuple[int, tuple[str, str], bool]:
    columns = [column.strip() for column in line.split(",")]
    # The pair's number is told in the published file, and left out in some copies.
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
            known[person] = _labels(file) if file.is_file() else {}
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

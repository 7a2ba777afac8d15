"""Average precision of face detectors, as WIDER FACE's published evaluation computes it.

Yang, Luo, Loy, Tang, "WIDER FACE: A Face Detection Benchmark", CVPR 2016, arXiv:1511.06523, and the
evaluation program that its authors publish with it. Its rules, each of which moves the result:

- boxes are compared as if their corners were pixels that they contain: a box from 10 to 20 is 11
  wide;
- the detections of a photo are taken by falling score; each is compared with the face that it
  overlaps most, found already or not, and matches it from an intersection over union of 0.5;
- a detection whose face is outside the subset (easy, medium, hard) is removed: neither right nor
  wrong;
- a second detection of one face is wrong: it counts as a detection and finds nothing new;
- a photo without any annotated face is left out, with whatever was detected in it;
- scores are stretched so that the lowest of all photos is 0 and the highest 1, and precision
  and recall are taken at the 1,000 thresholds 0.999, 0.998 ... 0;
- average precision is the area under the curve whose precision is made to fall: at each recall the
  highest precision at that recall or a higher one (Pascal VOC since 2010).

``AveragePrecision.exact`` differs in one point: every score is a threshold. Where most of a
detector's scores lie close to 1, the thousand thresholds miss the start of the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.datasets.wider import SUBSETS, AnnotatedImage
from lineament.errors import OptionError
from lineament.results import Outcome
from lineament.types import BoolArray, Face, Float64Array, IntArray

LEAST_IOU = 0.5
THRESHOLDS = 1000


@dataclass(frozen=True, eq=False)
class AveragePrecision(Outcome):
    """How good a detector is on one subset.

    Attributes:
        ap: average precision by the published rules, 0 to 1.
        exact: the same with every score as a threshold, 0 to 1.
        recall: the share, 0 to 1, of the subset's faces that any detection matches.
        faces: how many the subset has.
        detections: how many were counted: all but those removed.
    """

    ap: float
    exact: float
    recall: float
    faces: int
    detections: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return dict(vars(self))


def boxes_and_scores(faces: Sequence[Face]) -> Float64Array:
    """Return (D, 5) float64 for ``average_precision``: left, top, right, bottom, score."""
    rows = [[*face.box_xyxy.tolist(), face.score] for face in faces]
    return np.array(rows, np.float64).reshape(-1, 5)


def average_precision(
    images: Sequence[AnnotatedImage], detections: Sequence[npt.ArrayLike]
) -> dict[str, AveragePrecision]:
    """Compare detections with the annotated faces, for each of ``SUBSETS``.

    Args:
        images: what is there.
        detections: for each photo in the same order (D, 5): left, top, right, bottom in
            pixels, and a score of any range; D may be 0, the order does not matter. Detectors are
            judged best by all they find, down to low scores.

    Raises:
        OptionError: for other shapes, numbers that are not finite, or a subset without a face.
    """
    if len(images) != len(detections):
        raise OptionError(
            f"expected detections for each of {len(images)} photos, got {len(detections)}"
        )
    found = [_detections(rows, image.path) for rows, image in zip(detections, images, strict=True)]
    every = np.concatenate([np.zeros(0), *(rows[:, 4] for rows in found)])
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 0.0)
    matches = [_match(image.boxes_xyxy, rows) for image, rows in zip(images, found, strict=True)]
    return {
        subset: _judge(
            [image.subsets[subset] for image in images],
            matches,
            # All scores alike: each detection is as certain as the most certain one.
            [
                (rows[:, 4] - low) / (high - low) if high > low else rows[:, 4] * 0 + 1
                for rows in found
            ],
            subset,
        )
        for subset in SUBSETS
    }


def _judge(
    wanted: list[BoolArray], matches: list[IntArray], scores: list[Float64Array], subset: str
) -> AveragePrecision:
    """``matches``: for each detection its face's place, or -1; by falling score."""
    faces = int(sum(int(flags.sum()) for flags in wanted))
    if faces == 0:
        raise OptionError(f"expected faces of the subset {subset!r}, found none in the annotations")
    counted, right = [np.zeros(0)], [np.zeros(0, bool)]
    for flags, face_of, certainty in zip(wanted, matches, scores, strict=True):
        if not flags.size:
            continue
        kept = (face_of < 0) | flags[face_of]  # flags[-1] is read and not used
        first = np.zeros(len(face_of), bool)
        first[np.unique(face_of, return_index=True)[1]] = True
        counted.append(certainty[kept])
        right.append((first & (face_of >= 0))[kept])
    order = np.argsort(-np.concatenate(counted), kind="stable")
    certainty = np.concatenate(counted)[order]
    true = np.append(0, np.cumsum(np.concatenate(right)[order]))  # by how many are taken
    # Tied scores are taken together, so each threshold takes a number of detections.
    exact = np.searchsorted(-certainty, -np.unique(certainty)[::-1], side="right")
    grid = 1 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
    taken = np.searchsorted(-certainty, -grid, side="right")
    return AveragePrecision(
        ap=_area(true[taken], taken, faces),
        exact=_area(true[exact], exact, faces),
        recall=float(true[-1] / faces),
        faces=faces,
        detections=len(certainty),
    )


def _area(true: IntArray, taken: IntArray, faces: int) -> float:
    """``true`` of ``taken`` detections are right, at falling thresholds."""
    recall = np.append(0.0, true / faces)
    precision = true / np.maximum(taken, 1)  # nothing taken: no recall is gained there either
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * falling))


def _match(faces_xyxy: Float64Array, detections: Float64Array) -> IntArray:
    """For each detection the place of the face that it overlaps most, or -1 below ``LEAST_IOU``."""
    if not len(faces_xyxy) or not len(detections):
        return np.full(len(detections), -1, np.int64)
    overlap = _iou(detections[:, :4], faces_xyxy)  # (D, G)
    best = overlap.argmax(axis=1)
    return np.where(overlap[np.arange(len(best)), best] >= LEAST_IOU, best, -1)


def _iou(a_xyxy: Float64Array, b_xyxy: Float64Array) -> Float64Array:
    """(A, 4), (B, 4) -> (A, B); the corners are pixels inside the boxes."""
    top_left = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    bottom_right = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    both = np.clip(bottom_right - top_left + 1, 0, None).prod(axis=2)
    area_a = (a_xyxy[:, 2:] - a_xyxy[:, :2] + 1).prod(axis=1)
    area_b = (b_xyxy[:, 2:] - b_xyxy[:, :2] + 1).prod(axis=1)
    return np.asarray(both / (area_a[:, None] + area_b - both), np.float64)


def _detections(rows: npt.ArrayLike, path: Path) -> Float64Array:
    try:
        array = np.asarray(rows, np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError(f"detections of {path.name}: expected numbers (D, 5)") from error
    if array.size == 0:
        return np.zeros((0, 5))
    if array.ndim != 2 or array.shape[1] != 5:
        raise OptionError(
            f"detections of {path.name}: expected (D, 5): left, top, right, bottom, score; "
            f"got {array.shape}"
        )
    if not np.isfinite(array).all() or (array[:, 2:4] < array[:, :2]).any():
        raise OptionError(
            f"detections of {path.name}: expected finite numbers with left <= right and "
            "top <= bottom, got others"
        )
    return array[np.argsort(-array[:, 4], kind="stable")]

"""Faces at any roll: each is looked at again in crops that are turned.

A detector made for upright faces finds nearly every face at any roll if it is asked for what it is
unsure of: on photographs of LFW turned in steps of 15 degrees YuNet's box is there at a score of
``WEAK_SCORE`` or more for 98 % of them at the worst angle. What it says of their score and
landmarks is wrong. So the turn is found for each face by itself, not for the photo, in three steps:

1. what is certain upright stays as it is and costs nothing;
2. of everything else a small crop is looked at in ``TURNS`` of 15 degrees: the score over the
   angle has its peak where the face is upright (``Turns``), and upright has a prior that this
   evidence has to overcome;
3. the detector itself looks at the crop that is turned upright, and what it finds there is the
   face: box, score, landmarks.

The idea of turning candidates rather than photos is that of Shi, Shan, Kan, Wu, Chen, "Real-Time
Rotation-Invariant Face Detection with Progressive Calibration Networks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lineament.detect.boxes import intersections, nms
from lineament.detect.detector import DetectOptions, Detector, see
from lineament.detect.refine import DEFAULT_SCORE, Refined
from lineament.detect.yunet import cell_centers, cell_scores
from lineament.geometry import matrices, to_photo_xy, turned_squares, warp
from lineament.models.runtime import Model
from lineament.pose import wrapped_deg
from lineament.pyramid import Pyramid
from lineament.types import Face, Float64Array, FloatArray, Image

CERTAIN_SCORE = 0.9
CERTAIN_READING = 0.75
"""A face that reaches both is upright: 95 % of LFW's are, of those turned by 180 degrees 0.3 %."""

LEAST_SHARE = 0.6
"""Beside certain faces, others are looked at again from this share of the largest one's size on:
what is smaller stays as it was found, and a crowd costs no more."""

WEAK_BESIDE, COVERED_BESIDE = 0.15, 0.15
"""Beside other faces, what scored less in the first look is not looked at again, nor what covers a
greater share of one's box, or the reverse. At the worst angle 96 % of LFW's turned faces reach the
score, and only half of what else is there."""

MOST_LOOKS = 16
"""So many candidates of a photo, the best, are looked at again."""

STEP_DEG = 15
TURNS: FloatArray = np.arange(0, 360, STEP_DEG, dtype=np.float32)
FINE, ROUGH = (96, 1.5), (64, 1.6)
"""Side of the crops in pixels, and of the square they show over the longer side of the box. On
profiles of CFP the first finds the roll of 98.3 % to within 45 degrees, the second that of 98.0 %,
and steps of 30 degrees that of 96.9 %; on LFW all of them find it always."""

EVERY: Sequence[int] = range(6)
QUARTERS, EIGHTHS, OTHERS = (0,), (3,), (1, 2, 4, 5)

PLAIN_SCORE, PLAIN_MARGIN = 0.8, 0.06
"""What was found upright, and scores so much there, and so much more than at the other three
quarters of a turn, is upright: 96 % of LFW's and 92 % of CFP's profiles that are not certain, and 1
and 2 % of those that are turned."""

LEAST_QUARTER, LEAST_EIGHTH = 0.3, 0.65
"""What was not certain enough to be found, and scores less at the four quarters, or at the eight
steps of 45 degrees, is no face. Of LFW's turned faces 98 and 99 % reach them, of what is in the
ground of its photos 30 and 5 %."""

AGAIN_PX = 160
AGAIN_SHARE = 2.2
CENTRAL = 0.35
"""The detector looks again at a square of so many pixels that shows so many longer sides of the
box; what it finds counts within the last share of one from its middle."""

LEVEL_DEG = 8.0
"""If the landmarks of that look say that it was off by more, there is one more."""

LEAST_AGAIN_SCORE = 0.2
MOST_TILT_DEG = 60.0


FEATURES = ("peak", "score", "reading", "tilt")
"""What speaks for a face that is upright at a turn: the mean score of three neighbouring turns; the
score of the detector's second look, and how certain it is that the face was read upright; the tilt
left in that look, in shares of ``MOST_TILT_DEG``."""

WITH_ONET: FloatArray = np.array([12.62, -0.44, 3.53, -3.12, -11.11], np.float32)
WITHOUT: FloatArray = np.array([17.45, 0, 0, 0, -13.66], np.float32)
"""Weights of the features in the log odds of a logistic regression, and what is added: of what is
not certain in turned photos of LFW View 1 and profiles of CFP, and in photos without people
(``scripts/fit/turning.py``); for detectors with the O-Net, and without."""

STRONG_EVIDENCE, WEAK_EVIDENCE = -1.0, 0.0
"""Log odds from which on a candidate is a face that is turned, if it was found upright, too, and if
its score was too low for that."""

DOUBTED_EVIDENCE, DOUBTED_SCORE = -2.0, 0.8
DOUBTED = 0.5
"""A face that was found upright with less than this score, and seen again with less, and for which
fewer log odds speak at any turn, has its score lowered by this factor: below the least
unless less is asked for: 30 of 36 such in photos without people, no profile of CFP."""

DOUBTED_PX = 48
"""Smaller ones beside other faces are not doubted: on the sample of WIDER FACE, of those that would
go, 26 of 36 are faces, and of the larger ones 1 of 13."""

SAME = 0.45
"""Two boxes with this intersection over union are of one face."""

COVERED = 0.5
"""A turned face, or a weak one, of whose box another one's covers so much, or the reverse, is a
part of that one's face."""


class Turns:
    """The weights ``yunet`` over turned crops of what may be a face."""

    def __init__(self, model: Model) -> None:
        """``model``: the weights ``yunet``."""
        self._model = model

    def scores(
        self,
        image: Image | Pyramid,
        center_xy: Float64Array,
        side: float,
        turns: Sequence[int] = EVERY,
        how: tuple[int, float] = FINE,
    ) -> FloatArray:
        """How much turns of a candidate look like an upright face.

        Args:
            image: the photo.
            center_xy: (2,), of the candidate.
            side: the longer side of its box.
            turns: numbers of ``TURNS`` below 90 degrees; each stands for the three that are
                quarters of a turn further, too, whose crops cost nothing.
            how: ``FINE`` or ``ROUGH``.

        Returns:
            (4, n) scores, 0 to 1, of the turn and the three others: (24,) in the order of
            ``TURNS`` when all are asked for and made flat.
        """
        n, (size_px, share) = len(turns), how
        centers, sides = np.repeat(center_xy[None], n, axis=0), np.full(n, side * share)
        squares = turned_squares(centers, sides, TURNS[list(turns)], size_px)
        crops = warp(image, squares, size_px).transpose(0, 3, 1, 2)  # (n, 3, size, size)
        batch = np.empty((4, *crops.shape), np.float32)
        for quarter, part in enumerate(batch):
            part[:] = np.rot90(crops, quarter, axes=(2, 3))
        cells = self._model(batch.reshape(-1, *crops.shape[1:]))[0]  # (4 n, cells, 16)
        scores, boxes = cell_scores(cells), cell_centers(cells, size_px)
        apart = np.abs(boxes - (size_px - 1) / 2).max(axis=2)
        central: FloatArray = np.where(apart < size_px / 4, scores, 0).max(axis=1)
        return central.reshape(4, n)


class Turning:
    """A detector that finds faces at any roll; see the module's docstring."""

    takes_levels = True

    def __init__(
        self,
        detector: Detector,
        yunet: Callable[[], Model],
        again: Callable[[], Detector] | None = None,
    ) -> None:
        """Take the detectors.

        Args:
            detector: looks at the photo.
            yunet: called for the weights of that name when the first crops are looked at.
            again: called for what looks at crops of one size, in place of ``detector``: an engine
                sets itself up anew for each other size.
        """
        self.inner = detector
        self._yunet, self._again = yunet, again

    @property
    def turns(self) -> Turns:
        """What looks at turned crops."""
        return Turns(self._yunet())

    @property
    def again(self) -> Detector:
        """What looks at a crop that is turned upright."""
        return self.inner if self._again is None else self._again()

    def detect(self, image: Image | Pyramid, options: DetectOptions) -> list[Face]:
        """The faces, the most certain first; coordinates as given."""
        seen = see(self.inner, image, replace(options, max_faces=None))
        scores = np.array([face.score for face in seen.faces])
        sure = (scores >= CERTAIN_SCORE) & (seen.upright >= CERTAIN_READING)
        found = [face for face, is_sure in zip(seen.faces, sure, strict=True) if is_sure]
        doubtful = [face for face, is_sure in zip(seen.faces, sure, strict=True) if not is_sure]
        weak = seen.weak
        if weak is None:  # the detector cannot say: other looks at the photo may
            weak = [] if found else self._turned_looks(image, options)
        least_side = LEAST_SHARE * max((max(face.size_wh) for face in found), default=0.0)
        looks = 0
        doubted = []
        for face in doubtful:
            if max(face.size_wh) >= least_side and looks < MOST_LOOKS:
                looks += 1
                again = self._examined(image, face, options, strong=True)
                if again is None:
                    doubted.append(face)
                else:
                    found.append(again)
            else:
                found.append(face)
        if found:  # a crowd
            found += [face for face in doubted if max(face.size_wh) < DOUBTED_PX]
            doubted = [face for face in doubted if max(face.size_wh) >= DOUBTED_PX]
        found += [less for face in doubted if (less := _doubted(face, options)) is not None]
        least_score = WEAK_BESIDE if found else 0.0
        for face in weak:
            if looks == MOST_LOOKS or face.score < least_score:
                break
            if max(face.size_wh) >= least_side and not _is_covered(face, found, COVERED_BESIDE):
                looks += 1
                again = self._examined(image, face, options, strong=False)
                if again is not None and not _is_covered(again, found, COVERED):
                    found.append(again)
        return _one_each(found)[: options.max_faces]

    def _examined(
        self, image: Image | Pyramid, face: Face, options: DetectOptions, *, strong: bool
    ) -> Face | None:
        """The face as it is seen the right way up, or None: no face, upright and weak, doubted."""
        center, side = np.array(face.center_xy), max(face.size_wh)
        if strong:
            quarters = self.turns.scores(image, center, side, QUARTERS)
            if quarters[0, 0] >= max(PLAIN_SCORE, quarters[1:].max() + PLAIN_MARGIN):
                return face
            eighths = self.turns.scores(image, center, side, EIGHTHS)
            margin = quarters[0, 0] - max(quarters[1:].max(), eighths.max())
            if margin >= PLAIN_MARGIN and face.score >= DOUBTED_SCORE:
                return face
            others = self.turns.scores(image, center, side, OTHERS)
            scores = np.hstack([quarters, others[:, :2], eighths, others[:, 2:]]).ravel()
        else:
            quarters = self.turns.scores(image, center, side, QUARTERS, ROUGH)
            if quarters.max() < LEAST_QUARTER:
                return None
            eighths = self.turns.scores(image, center, side, EIGHTHS, ROUGH)
            if max(quarters.max(), eighths.max()) < LEAST_EIGHTH:
                return None
            scores = self.turns.scores(image, center, side).ravel()
        smooth = smoothed(scores)
        best = int(smooth.argmax())
        is_upright = best in (0, 1, len(TURNS) - 1)
        if is_upright and not strong:
            return None
        again, row = self.features(image, center, side, best, smooth[best])
        weights = WITH_ONET if isinstance(self.inner, Refined) else WITHOUT
        evidence = float(row @ weights[:-1] + weights[-1])
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        enough = STRONG_EVIDENCE if strong else WEAK_EVIDENCE
        if is_upright or again is None or again.score < least or evidence < enough:
            if not strong:
                return None
            surest = face.score if again is None else max(face.score, again.score)
            doubted = evidence < DOUBTED_EVIDENCE and surest < DOUBTED_SCORE
            return None if doubted else face
        roll = again.roll_deg
        far = abs(wrapped_deg(roll - TURNS[best])) > LEVEL_DEG
        center = np.array(again.center_xy) if far else center
        angle = roll if far else float(TURNS[best])
        return self._look_again(self.again, image, center, side, angle)[0] or again

    def features(
        self, image: Image | Pyramid, center: Float64Array, side: float, turn: int, peak: float
    ) -> tuple[Face | None, FloatArray]:
        """The detector's second look at a candidate, turned, and what it says for a face there.

        Args:
            image: the photo.
            center, side: (2,), and the longer side of its box.
            turn: the number of one of ``TURNS``.
            peak: the mean score there.

        Returns:
            What the look found, and ``FEATURES`` (4,).
        """
        roll = float(TURNS[turn])
        judge = self.again
        if isinstance(judge, Refined):
            judge = judge.plain()
        again, reading = self._look_again(judge, image, center, side, roll)
        score = LEAST_AGAIN_SCORE if again is None else again.score
        tilt = 0.0 if again is None else abs(wrapped_deg(again.roll_deg - roll))
        row = np.array([peak, score, reading, min(tilt / MOST_TILT_DEG, 1)], np.float32)
        return again, row

    def _look_again(
        self,
        detector: Detector,
        image: Image | Pyramid,
        center: Float64Array,
        side: float,
        roll: float,
    ) -> tuple[Face | None, float]:
        """What a detector sees in the middle of a crop that is turned upright, and how surely."""
        squares = turned_squares(
            center[None], np.array([side * AGAIN_SHARE]), np.array([roll]), AGAIN_PX
        )
        crop = warp(image, squares, AGAIN_PX)[0]
        seen = see(detector, crop, DetectOptions(min_score=LEAST_AGAIN_SCORE))
        near = [i for i, face in enumerate(seen.faces) if _is_central(face)]
        if not near:
            return None, 0.0
        best = max(near, key=lambda i: seen.faces[i].score)
        return _turned_back(seen.faces[best], squares, roll), float(seen.upright[best])

    def _turned_looks(self, image: Image | Pyramid, options: DetectOptions) -> list[Face]:
        """What other detectors see in the photo turned by quarters, the best first."""
        image = Pyramid.of(image).pixels
        found = []
        height, width = image.shape[:2]
        middle = np.array([(width - 1 + (height - 1) * 1j) / 2])
        plain = replace(options, max_faces=None)
        for turns in (1, 3, 2):
            turned = np.ascontiguousarray(np.rot90(image, turns))  # counter-clockwise
            roll = 90.0 * turns
            target = (turned.shape[1] - 1 + (turned.shape[0] - 1) * 1j) / 2
            matrix = matrices(np.exp(-1j * np.radians(np.array([roll]))), middle, target)
            found += [_turned_back(face, matrix, roll) for face in self.inner.detect(turned, plain)]
        return sorted(found, key=lambda face: -face.score)


def upright_only(detector: Detector) -> Detector:
    """The same detector without looks at what is turned, where it is a ``Turning``."""
    return detector.inner if isinstance(detector, Turning) else detector


def smoothed(scores: FloatArray) -> FloatArray:
    """The mean (24,) of the scores of three neighbouring turns, the middle one counted twice."""
    neighbors = np.roll(scores, 1) + np.roll(scores, -1)
    return ((scores + neighbors / 2) / 2).astype(np.float32)


def _doubted(face: Face, options: DetectOptions) -> Face | None:
    """A face for which nothing speaks: with a lower score where one so low is asked for."""
    score = face.score * DOUBTED
    if options.min_score is None or score < options.min_score:
        return None
    return replace(face, score=score)


def _is_central(face: Face) -> bool:
    """Whether a face lies in the middle of the crop of a second look."""
    apart = np.abs(np.array(face.center_xy) - (AGAIN_PX - 1) / 2)
    return bool(apart.max() < AGAIN_PX / AGAIN_SHARE * CENTRAL)


def _is_covered(face: Face, others: list[Face], share: float) -> bool:
    """Whether more than a share of a box, or of another one's, lies in both."""
    if not others:
        return False
    boxes = np.stack([other.box_xyxy for other in others])
    common = intersections(face.box_xyxy[None], boxes)[0]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return bool((common > share * np.minimum(areas, np.prod(face.size_wh))).any())


def _turned_back(face: Face, matrix: Float64Array, roll: float) -> Face:
    """Move a face from a crop that was turned to the photo.

    Its box is the one around the ellipse that fills the box in the crop.
    """
    (center,) = to_photo_xy(np.array([[face.center_xy]]), matrix)[0]
    scale = np.sqrt(abs(np.linalg.det(matrix[0, :, :2])))
    wide, high = np.array(face.size_wh) / scale / 2
    angle = np.radians(roll)
    half = np.array(
        [
            np.hypot(wide * np.cos(angle), high * np.sin(angle)),
            np.hypot(wide * np.sin(angle), high * np.cos(angle)),
        ]
    )
    points = face.landmarks_xy
    moved = None if points is None else to_photo_xy(points[None], matrix)[0].astype(np.float32)
    box = np.concatenate([center - half, center + half]).astype(np.float32)
    return Face(box, face.score, moved, turned_deg=round(roll) % 360)


def _one_each(faces: list[Face]) -> list[Face]:
    """The faces, the best first, without those that a better one of the same place covers."""
    if not faces:
        return []
    boxes = np.stack([face.box_xyxy for face in faces])
    scores = np.array([face.score for face in faces], np.float32)
    kept: list[Face] = []
    for i in nms(boxes, scores, SAME):
        if not (faces[i].turned_deg and _is_covered(faces[i], kept, COVERED)):
            kept.append(faces[i])
    return kept

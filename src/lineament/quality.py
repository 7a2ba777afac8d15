"""Stage 3, its measures: a face and its crop in, how good they are for recognition out.

    measure()          face, aligned crop and the embedding's norm -> Quality
    quality_of()       the same for an embedded face; None where quality is not defined
    head_pose()        five landmarks -> eye distance, yaw, pitch
    QualityLimits      beyond which a decision is called "undecided", with the reasons in words
    least_norm()       the norm's limit, from the genuine pairs of a fitting set
    pooling_weights()  what each counts when several photos of a person are averaged

The limits come from LFW View 1, degraded in steps: ``benchmarks/accuracy/quality.py`` prints the
measurements, ``docs/concepts/quality.md`` holds them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace

import cv2
import numpy as np
import numpy.typing as npt

from lineament.align.alignment import NATIVE_PX
from lineament.errors import OptionError, WeightsError
from lineament.models import Card
from lineament.types import Embedding, Face, Float64Array, Image, Quality

FACE_XYZ = np.array(
    [
        [-0.5, 0, 0],
        [0.5, 0, 0],
        [0, 0.5426, 0.6451],
        [-0.3897, 1.1055, 0.1298],
        [0.3897, 1.1055, 0.1298],
    ]
)
"""(5, 3) float64: an average face in the order of ``LANDMARK_NAMES``; x to the viewer's right, y
down, z towards the viewer, in distances between the eyes' centers. From MediaPipe's canonical face
(``canonical_face_model.obj``, Apache-2.0): eyes halfway between vertices 33 and 133 (362 and 263),
nose tip halfway between 4 and 1 (where it lies between eyes and mouth as in the ArcFace template),
mouth corners 61 and 291."""
FACE_XYZ.flags.writeable = False

# (3, 5): maps the five points to the 2x3 camera in the least squares sense.
_CAMERA = np.linalg.pinv(FACE_XYZ - FACE_XYZ.mean(axis=0))

BOX_EYES = 1 / 3.0
"""Distance of the eyes over the box's longer side, for faces without landmarks: ``align.BOX_SIDE``
says where the 3.0 comes from."""

_INNER = (slice(28, 104), slice(20, 92))
# Rows and columns of the 112 crop from the brows to the lower lip: background, hair and the black
# outside of the photo would be measured instead of the face.

_FINE_PX, _COARSE_PX = 1.0, 2.0
# The band of detail: finer than this and it is noise and JPEG blocks, coarser and it is the face's
# own light and shade.

_TINY = 1e-9


def head_pose(landmarks_xy: npt.NDArray[np.floating]) -> tuple[float, float, float]:
    """Fit an average 3D face to five landmarks.

    Scaled orthographic projection: the affine camera (2x3) that is nearest to the landmarks in the
    least squares sense, then the rotation nearest to it (its polar factor). On LFW View 1 yaw
    agrees to 5 degrees, from 0 to 45, with what the foreshortening of the eyes' distance against
    the distance from eyes to mouth says; it is the lower one of the two.

    Args:
        landmarks_xy: (5, 2), pixels, in the order of ``LANDMARK_NAMES``.

    Returns:
        The distance of the eyes in pixels, had the face been frontal; yaw and pitch as in
        ``Quality``. The roll in the plane of the photo changes none of them.

    Raises:
        OptionError: another shape, a number that is not finite, or points that coincide.
    """
    points = np.asarray(landmarks_xy, dtype=np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise OptionError(
            f"expected 5 points (5, 2), all finite, got {np.shape(landmarks_xy)}: "
            f"{points.tolist()}",
            option="landmarks",
        )
    camera = (_CAMERA @ (points - points.mean(axis=0))).T  # ((3, 5) @ (5, 2)).T -> (2, 3)
    u, scales, vt = np.linalg.svd(camera, full_matrices=False)
    if not scales[1] > _TINY * (1 + np.abs(points).max()):
        raise OptionError(
            f"expected points that do not lie on one line, got {points.tolist()}",
            option="landmarks",
        )
    (a, b, c), (d, e, f) = (u @ vt).tolist()  # the first two rows of R
    # R = Rz(roll) Rx(pitch) Ry(yaw). In the image the face's y axis, R's second column, points
    # along (-sin(roll), cos(roll)): what turns it to (0, 1) takes the roll out.
    length = math.hypot(b, e)
    sin, cos = (b / length, e / length) if length > _TINY else (0.0, 1.0)
    yaw = math.atan2(c * cos - f * sin, a * cos - d * sin)
    # R[2, 1] from the cross product of the first two rows. y points down, z at the viewer: it is
    # positive when the lower half of the face comes forward.
    pitch = math.atan2(c * d - a * f, length)
    return float(scales.mean()), math.degrees(yaw), math.degrees(pitch)


def quality_of(face: Face, crop: Image | None, embedding: Embedding) -> Quality | None:
    """Measure an embedded face, where that is defined.

    The measures, and the limits that they are held against, were fitted on crops of ArcFace's
    template: for a recognizer that takes others (dlib's, or no template) there is no quality.

    Args:
        face: as the detector returned it.
        crop: (S, S, 3) uint8, RGB: the face as the recognizer saw it; None when it was not kept.
        embedding: of that crop.
    """
    if crop is None or not embedding.contract.alignment.startswith("arcface-"):
        return None
    return measure(face, crop, embedding.norm)


def measure(face: Face, crop: Image, norm: float | None = None) -> Quality:
    """Measure one face.

    Args:
        face: as the detector returned it.
        crop: (S, S, 3) uint8, RGB: the same face, aligned with "five-points".
        norm: length of its embedding before scaling; None when it has none.

    Raises:
        OptionError: a crop of another shape or type, or landmarks that coincide.
    """
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3:
        raise OptionError(
            f"expected RGB, uint8, (S, S, 3), got {crop.dtype}, {crop.shape}: make it with "
            "align_faces",
            option="crop",
        )
    if face.landmarks_xy is None:
        size, yaw, pitch = max(face.size_wh) * BOX_EYES, None, None
    else:
        size, yaw, pitch = head_pose(face.landmarks_xy)
    if crop.shape[:2] != (NATIVE_PX, NATIVE_PX):
        smaller = max(crop.shape[:2]) > NATIVE_PX
        how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        crop = cv2.resize(crop, (NATIVE_PX, NATIVE_PX), interpolation=how)  # type: ignore[assignment]
    gray = cv2.cvtColor(crop[_INNER], cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(gray))
    return Quality(
        size_px=size,
        sharpness=_least_detail(gray) / deviation if deviation > 0 else None,
        yaw_deg=yaw,
        pitch_deg=pitch,
        brightness=mean / 255,
        contrast=deviation / 255,
        norm=norm,
    )


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Within which a photo has to be for decisions about it to be reliable; None: no limit.

    Attributes:
        least_size_px, least_sharpness, greatest_turn_deg, least_brightness, greatest_brightness,
        least_contrast: of the values of ``Quality`` with these names.
        least_norm: of the embedding's norm. It holds for one contract, so it belongs to a
            calibration; ``least_norm()`` finds it.
    """

    least_size_px: float | None = None
    least_sharpness: float | None = None
    greatest_turn_deg: float | None = None
    least_brightness: float | None = None
    greatest_brightness: float | None = None
    least_contrast: float | None = None
    least_norm: float | None = None

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        for name, value in asdict(self).items():
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise OptionError(
                    f"{name}: expected None or a finite number of 0 or more, got {value}"
                )

    def problems(self, quality: Quality) -> tuple[str, ...]:
        """Say in words what lies beyond a limit: the number, the limit, and what to do.

        What was not measured is no problem, with one exception: a crop of one color has no
        sharpness and falls under every limit for it.
        """
        q = quality
        sharpness = 0.0 if q.sharpness is None else q.sharpness
        found: list[str] = []
        if self.least_size_px is not None and q.size_px < self.least_size_px:
            found.append(
                f"the face is {_number(q.size_px, self.least_size_px)} px between the eyes, below "
                f"{self.least_size_px:g} px: use a larger photo"
            )
        if self.least_sharpness is not None and sharpness < self.least_sharpness:
            found.append(
                f"the face is blurred: sharpness {_number(sharpness, self.least_sharpness)}, below "
                f"{self.least_sharpness:g}: use a photo in focus and without motion"
            )
        if (
            self.greatest_turn_deg is not None
            and q.turn_deg is not None
            and q.turn_deg > self.greatest_turn_deg
        ):
            found.append(
                f"the face is turned by {_number(q.turn_deg, self.greatest_turn_deg)} degrees, "
                f"above {self.greatest_turn_deg:g}: use a photo from the front"
            )
        if self.least_brightness is not None and q.brightness < self.least_brightness:
            found.append(
                f"the face is dark: brightness {_number(q.brightness, self.least_brightness)}, "
                f"below {self.least_brightness:g}: use a photo with more light on the face"
            )
        if self.greatest_brightness is not None and q.brightness > self.greatest_brightness:
            found.append(
                "the face is overexposed: brightness "
                f"{_number(q.brightness, self.greatest_brightness)}, above "
                f"{self.greatest_brightness:g}: use a photo with less light on the face"
            )
        if self.least_contrast is not None and q.contrast < self.least_contrast:
            found.append(
                f"the face is flat: contrast {_number(q.contrast, self.least_contrast)}, below "
                f"{self.least_contrast:g}: use a photo without haze, and not nearly black or "
                "white"
            )
        if self.least_norm is not None and q.norm is not None and q.norm < self.least_norm:
            found.append(
                f"the recognizer sees little of a face: embedding norm "
                f"{_number(q.norm, self.least_norm)}, below {self.least_norm:g}: use a photo "
                "that is sharper, larger, from the front, or shows more of the face"
            )
        return tuple(found)

    def to_dict(self) -> dict[str, float | None]:
        """Plain numbers, ready for JSON; ``QualityLimits(**values)`` is the way back."""
        return asdict(self)


DEFAULT_LIMITS = QualityLimits(
    least_size_px=12,
    least_sharpness=0.07,
    greatest_turn_deg=45,
    least_brightness=0.1,
    greatest_brightness=0.82,
    least_contrast=0.035,
)
"""For a recognizer that was not measured: those of the weaker one that was."""

MISSED_LEVEL = 0.1
"""FNMR from which on a decision is not relied upon; eight times that of ordinary photos."""

MOST_SHARE = 0.02
"""Of genuine pairs that ``least_norm`` may call undecided: more would help nobody."""

LEAST_PAIRS = 30
"""Below the limit: from fewer, a share of misses cannot be told (the rule of 30)."""


def limits_of(card: Card) -> QualityLimits:
    """The limits for an embedder: those of its card, else ``DEFAULT_LIMITS``.

    The bundled ones were fitted on LFW View 1 at the default threshold: where one bad photo is
    missed in more than ``MISSED_LEVEL`` of its genuine pairs, or two equally bad ones match five
    times as often as wanted. The turn is the exception: up to 45 degrees View 1 shows too small a
    rise to place a limit, and beyond it has too few pairs to show any. The norm's limit belongs to
    a contract and stands in its calibration. ``docs/concepts/quality.md`` has the figures.

    Raises:
        WeightsError: the card names a limit that there is not.
    """
    try:
        return replace(DEFAULT_LIMITS, **card.quality_limits)
    except TypeError as error:
        names = ", ".join(field.name for field in fields(QualityLimits))
        raise WeightsError(f"{card.name}: quality_limits: expected {names}, got {error}") from error


def least_norm(
    norms_a: npt.ArrayLike,
    norms_b: npt.ArrayLike,
    scores: npt.ArrayLike,
    threshold: float,
    *,
    level: float = MISSED_LEVEL,
    most_share: float = MOST_SHARE,
    least_pairs: int = LEAST_PAIRS,
) -> float | None:
    """Find the norm below which genuine pairs are missed too often.

    The pairs are put in the order of the lesser of their two norms. The limit is where
    ``sum(missed - level)`` over the pairs below it is greatest. That is where the isotonic
    regression of the misses on the norm (a share that only falls as the norm grows) crosses
    ``level``: every pair below has an estimated FNMR above it.

    Args:
        norms_a, norms_b: (N,) of the two photos of N genuine pairs.
        scores: (N,) of these pairs; higher is more alike.
        threshold: below it a pair is missed.
        level: the FNMR, between 0 and 1.
        most_share: of the pairs that may lie below, above 0 up to 1.
        least_pairs: that must lie below.

    Returns:
        The limit, halfway between two norms; None when the pairs do not support one.

    Raises:
        OptionError: arrays of different or wrong shape, numbers that are not finite, or a share
            out of its range.
    """
    a, b, values = (np.asarray(v, dtype=np.float64) for v in (norms_a, norms_b, scores))
    if a.ndim != 1 or not a.shape == b.shape == values.shape:
        raise OptionError(
            f"expected three arrays of one shape (N,), got {a.shape}, {b.shape} and {values.shape}",
            option="least_norm",
        )
    if not (np.isfinite(a) & np.isfinite(b) & np.isfinite(values)).all():
        raise OptionError(
            "expected finite norms and scores, got others: leave them out", option="least_norm"
        )
    if not (0 < level < 1 and 0 < most_share <= 1):
        raise OptionError(
            "expected a level between 0 and 1 and a share above 0 up to 1, got "
            f"{level} and {most_share}",
            option="least_norm",
        )
    if len(a) == 0:
        return None
    norms, group = np.unique(np.minimum(a, b), return_inverse=True)  # pairs of equal norm together
    pairs = np.cumsum(np.bincount(group))
    missed = np.cumsum(np.bincount(group, weights=values < threshold))
    excess = missed - level * pairs
    excess[pairs > most_share * len(a)] = -np.inf
    excess[-1] = -np.inf  # a limit above all norms that were seen says nothing
    # Of equal ones the last, as far as float64 can tell: there the share is ``level`` exactly.
    best = int(np.flatnonzero(excess >= excess.max() - _TINY)[-1])
    if not excess[best] > 0 or pairs[best] < least_pairs:
        return None
    return float((norms[best] + norms[best + 1]) / 2)


POOLING_POWER = 4.0
"""See ``pooling_weights``."""


def pooling_weights(norms: npt.ArrayLike, *, power: float = POOLING_POWER) -> Float64Array:
    """What each of several photos of one person counts when their unit vectors are averaged.

    ``norm ** power``, scaled to sum 1. A power of 0 is the plain mean; 1 is the mean of the
    network's outputs as they were before scaling. On templates of LFW View 1 in which one of two or
    three photos is spoiled, powers of 2 to 4 gain much where it is very bad, and change
    nothing that can be told where it is not; beyond, the best photo stands nearly alone, and
    errors rise again (``docs/concepts/quality.md``).

    Args:
        norms: (N,), of embeddings of one contract, above 0.
        power: 0 or more.

    Returns:
        (N,) float64, sum 1.

    Raises:
        OptionError: norms that are not finite or not above 0, none at all, or a power below 0.
    """
    values = np.asarray(norms, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise OptionError(
            f"expected one or more finite numbers above 0, shape (N,), got {values.tolist()}",
            option="norms",
        )
    if not (math.isfinite(power) and power >= 0):
        raise OptionError(f"expected a finite number of 0 or more, got {power}", option="power")
    weights = (values / values.max()) ** power  # at most 1: no overflow
    result: Float64Array = weights / weights.sum()
    return result


def _least_detail(gray: npt.NDArray[np.float32]) -> float:
    """Root mean square slope of the band between the two Gaussians, where it is flattest.

    The lesser eigenvalue of the structure tensor (Förstner and Gülch, 1987), averaged over the
    face: the mean squared slope in the direction that has least.
    """
    fine, coarse = (cv2.GaussianBlur(gray, (0, 0), sigma) for sigma in (_FINE_PX, _COARSE_PX))
    band = cv2.subtract(fine, coarse)
    across = cv2.subtract(band[1:-1, 2:], band[1:-1, :-2]).ravel()
    down = cv2.subtract(band[2:, 1:-1], band[:-2, 1:-1]).ravel()
    xx, yy, xy = (
        float(p @ q) / len(across) for p, q in ((across, across), (down, down), (across, down))
    )
    least = (xx + yy) / 2 - math.hypot((xx - yy) / 2, xy)
    return math.sqrt(max(least, 0.0))  # rounding may bring it below 0


def _number(value: float, limit: float) -> str:
    """With as many digits as it takes to differ from the limit."""
    for digits in range(2, 7):
        text = f"{value:.{digits}g}"
        if float(text) != limit:
            return text
    return f"{value:g}"

"""Stage 3 in three dimensions: a turned face as it would look from the front.

    fit_camera()     68 points -> the affine camera that sees the generic face there
    visibility()     camera -> how much of each triangle of the face it sees
    frontalize()     photo and 68 points -> crop of the face from the front

Section 2 of Taigman, Yang, Ranzato, Wolf, "DeepFace: Closing the Gap to Human-Level Performance in
Face Verification", CVPR 2014. An affine camera is fitted to the points of the face; what it does
not explain, the residuals, are added to the points of the generic face seen from the front, so that
a person keeps their own proportions; and the photo is warped piece by piece, affinely in each
triangle, from its points to those. What is turned away is filled from the other half of the face.

What differs from the paper: its generic face is a mean of 3-D scans, ours (``data/frontal.json``)
was found in photos (``scripts/fit/frontal.py``); it has 67 points, we the 68 of
``align.landmarks68``, and some above the brows and around the face. The face lies in the crop as
the ArcFace template would have it.

Recognizers should be trained on such crops; how the bundled ones, which were not, do on them, is in
``docs/concepts/alignment.md``.

The generic face's axes: x to the viewer's right, y down, z at the viewer. Its unit is the distance
between the eyes, its origin the point between them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from lineament.align.alignment import MAX_SIZE_PX, MIN_SIZE_PX, template_xy
from lineament.align.landmarks68 import BROWS, CHIN, FOREHEAD, JAW, five_of_68
from lineament.errors import DataError, OptionError
from lineament.files import DATA
from lineament.geometry import to_crop_xy, warp
from lineament.types import Float64Array, Image

FILE = DATA / "frontal.json"

NATIVE_PX = 152
"""Side of DeepFace's crops."""

Fill = Literal["mirror", "none"]
"""What stands where the camera does not see the face: the other half's pixels, or what the warp
stretches over it."""

MIRRORED = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
     45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
     *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
)  # fmt: skip
"""(68,): the number of each point's counterpart on the other half of the face."""
MIRRORED.flags.writeable = False

RING = 2.3
"""Half the side of the square of anchors around the face, in distances of the eyes, about
``RING_MIDDLE_Y``. Between face and anchors the background is warped without a break; the anchors
themselves only turn, scale and shift. A crop of the template reaches 1.6 to each side, and the
generic face 1.2, so that the square holds both."""

RING_MIDDLE_Y = 0.5
RING_A_SIDE = 4

SEEN_FROM, SEEN_TO = 0.2, 0.5
"""Of the area that a triangle has from the front, what the camera must see of it for its own pixels
to be used: none up to the first share, all from the second on. At the first a pixel of the
photo would be stretched over ten."""

_SOFT = 0.03  # of the crop's side: how far the seam between the halves is spread
_OVERSAMPLING = 2.0  # of the picture that is warped, so that it is not blurred twice
_TINY = 1e-9
_BITS = 4  # of a pixel's fraction, as OpenCV draws


@dataclass(frozen=True, slots=True)
class GenericFace:
    """The face that cameras are fitted to.

    Attributes:
        vertices_xyz: (V, 3) float64: the 68 points, 10 of the forehead, then the anchors.
        covariance: (136, 136) float64: of the errors of the 68 points as x0, y0, x1, y1, ...
        triangles: (T, 3) int64, numbers of vertices.
        mirrored: (V,) int64, the counterpart of each vertex on the other half.
    """

    vertices_xyz: Float64Array
    covariance: Float64Array
    triangles: npt.NDArray[np.int64]
    mirrored: npt.NDArray[np.int64]

    @property
    def points_xyz(self) -> Float64Array:
        """(68, 3): the points that are found in photos."""
        return self.vertices_xyz[:68]


@lru_cache(maxsize=1)
def generic_face() -> GenericFace:
    """Read ``data/frontal.json``.

    Raises:
        DataError: the file cannot be read or is not what ``scripts/fit/frontal.py`` writes.
    """
    try:
        stored = json.loads(FILE.read_text(encoding="utf-8"))
        points = np.array(stored["points_xyz"], np.float64)
        blocks = np.array(stored["covariances"], np.float64)  # (68, 3): xx, xy, yy
        triangles = np.array(stored["triangles"], np.int64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{FILE}: expected the generic face, got {error!r}: reinstall the package, or write "
            "the file again with scripts/fit/frontal.py"
        ) from error
    if points.shape != (68, 3) or blocks.shape != (68, 3) or triangles.shape[1:] != (3,):
        raise DataError(
            f"{FILE}: expected 68 points, 68 covariances and triangles, got the shapes "
            f"{points.shape}, {blocks.shape} and {triangles.shape}"
        )
    vertices, mirrored = mesh(points)
    covariance = np.zeros((136, 136))
    x, y = np.arange(0, 136, 2), np.arange(1, 136, 2)
    covariance[x, x], covariance[y, y] = blocks[:, 0], blocks[:, 2]
    covariance[x, y] = covariance[y, x] = blocks[:, 1]
    for array in (vertices, mirrored, covariance, triangles):
        array.flags.writeable = False
    return GenericFace(vertices, covariance, triangles, mirrored)


def mesh(points_xyz: Float64Array) -> tuple[Float64Array, npt.NDArray[np.int64]]:
    """Add the forehead and the anchors to 68 points (68, 3): vertices (V, 3), mirrored (V,).

    The forehead's points are the brows' raised as in ``landmarks.face_hull_mask``; the anchors lie
    on a square, ``RING``, at the depth of the jaw line's mean.
    """
    up = FOREHEAD * (points_xyz[BROWS, 1].mean() - points_xyz[CHIN, 1])
    forehead = points_xyz[BROWS] + [0.0, up, 0.0]
    steps = np.linspace(-RING, RING, RING_A_SIDE + 1)
    square = [(x, y) for y in steps for x in steps if max(abs(x), abs(y)) == RING]
    depth = points_xyz[JAW, 2].mean()
    ring = np.array([(x, y + RING_MIDDLE_Y, depth) for x, y in square])
    across = [square.index((-x, y)) for x, y in square]
    mirrored = np.concatenate([MIRRORED, np.arange(77, 67, -1), np.array(across) + 78])
    return np.concatenate([points_xyz, forehead, ring]), mirrored.astype(np.int64)


def fit_camera(
    points_xy: npt.NDArray[np.floating],
    shape_xyz: npt.NDArray[np.floating],
    covariance: npt.NDArray[np.floating] | None = None,
) -> Float64Array:
    """Fit the affine camera that sees a shape at given points, by generalized least squares.

    The camera P, (2, 4), with the least ``r^T Sigma^-1 r``, where ``r = x - P [X; 1]`` holds the
    residuals of all points and Sigma their covariance. With the Cholesky factor of Sigma,
    ``Sigma = L L^T``, that is the ordinary least squares of ``L^-1 r`` (section 2 of the paper).

    Args:
        points_xy: (P, 2), P of at least 4.
        shape_xyz: (P, 3).
        covariance: (2 P, 2 P), in the order x0, y0, x1, y1, ..., up to a factor; None is the
            identity.

    Returns:
        (2, 4) float64: ``points ~ P[:, :3] @ xyz + P[:, 3]``.

    Raises:
        OptionError: shapes that do not fit, numbers that are not finite, a shape that is flat, or
            a covariance that is none.
    """
    points = np.asarray(points_xy, np.float64)
    shape = np.asarray(shape_xyz, np.float64)
    n = len(points)
    if points.ndim != 2 or shape.ndim != 2 or points.shape != (n, 2) or shape.shape != (n, 3):
        raise OptionError(
            f"expected points (P, 2) and a shape (P, 3), got {points.shape} and {shape.shape}",
            option="fit_camera",
        )
    if not (np.isfinite(points).all() and np.isfinite(shape).all()):
        raise OptionError("expected finite numbers, got NaN or infinity", option="fit_camera")
    ones = np.concatenate([shape, np.ones((n, 1))], axis=1)
    design = np.zeros((n, 2, 8))
    design[:, 0, :4] = design[:, 1, 4:] = ones
    left, right = design.reshape(2 * n, 8), points.reshape(2 * n)
    if covariance is not None:
        sigma = np.asarray(covariance, np.float64)
        if sigma.shape != (2 * n, 2 * n):
            raise OptionError(
                f"expected shape {(2 * n, 2 * n)}, got {sigma.shape}", option="covariance"
            )
        try:
            factor = np.linalg.cholesky(sigma)
        except np.linalg.LinAlgError as error:
            raise OptionError(
                "expected a symmetric positive definite matrix, got another", option="covariance"
            ) from error
        whitened = np.linalg.solve(factor, np.column_stack([left, right]))
        left, right = whitened[:, :8], whitened[:, 8]
    found, _, rank, _ = np.linalg.lstsq(left, right, rcond=None)
    if rank < 8:
        raise OptionError(
            f"expected a shape of at least 4 points that do not lie in a plane, got {n}",
            option="fit_camera",
        )
    return np.asarray(found.reshape(2, 4))


def visibility(camera: Float64Array) -> Float64Array:
    """How much the camera sees of each triangle of the generic face, against the frontal view.

    The signed area of the triangle as the camera sees it, over the area from the front times the
    camera's scale squared: 1 from the front, more where a triangle is turned to the camera, 0 where
    it is seen from its edge, less than 0 where it is turned away.

    Args:
        camera: (2, 4).

    Returns:
        (T,) float64; the triangles that touch an anchor have no side and are always 1.

    Raises:
        OptionError: another shape, or a camera that sees the face from behind or from its edge.
    """
    face = generic_face()
    scale, _ = _scale_and_turn(camera)
    xyz = face.vertices_xyz
    seen = _areas((xyz @ camera[:, :3].T)[face.triangles])
    front = _areas(xyz[:, :2][face.triangles])
    return np.where((face.triangles >= 78).any(axis=1), 1.0, seen / (scale**2 * front))


def frontalize(
    image: Image,
    points_xy: npt.NDArray[np.floating],
    *,
    size_px: int = NATIVE_PX,
    fill: Fill = "mirror",
) -> Image:
    """Warp a face to how it would look from the front.

    Args:
        image: (H, W, 3) uint8, a photo or any crop of it.
        points_xy: (68, 2), pixels of that picture, as ``landmarks.landmarks68`` finds them. The
            head may be turned in the plane by any angle, and out of it as far as the points are
            found: to about 45 degrees.
        size_px: side of the crop.
        fill: see ``Fill``.

    Returns:
        (size_px, size_px, 3) uint8, the channels in the picture's order. What lies outside of the
        picture is black.

    Raises:
        OptionError: another shape or type, points that coincide, lie on one line, or have left and
            right swapped, a size outside of 8 to 4096 pixels, or no such fill.
    """
    _check_size(size_px)
    if fill not in get_args(Fill):
        raise OptionError(
            f"expected one of {', '.join(get_args(Fill))}, got {fill!r}", option="fill"
        )
    points = np.asarray(points_xy, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise OptionError(
            f"expected shape (68, 2), all finite, got {points.shape}"
            f"{'' if np.isfinite(points).all() else ' with NaN or infinity'}",
            option="points",
        )
    face = generic_face()
    # The covariances are those of an upright face, so the second fit is of the points turned back.
    _, turn = _scale_and_turn(fit_camera(points, face.points_xyz))
    camera = turn @ fit_camera(points @ turn, face.points_xyz, face.covariance)
    scale, turn = _scale_and_turn(camera)
    seen = visibility(camera)
    trust = _of_vertices(np.clip((seen - SEEN_FROM) / (SEEN_TO - SEEN_FROM), 0.0, 1.0))

    # Residuals as seen from the front, in distances of the eyes: without the camera's turn and
    # scale. Those of points that the camera does not see are of the outline in front of them.
    projected = face.points_xyz @ camera[:, :3].T + camera[:, 3]
    residuals = (points - projected) @ turn / scale  # (68, 2) @ (2, 2), the turn's inverse
    sure = trust[:68, None]
    residuals = sure * residuals + (1 - sure) * sure[MIRRORED] * residuals[MIRRORED] * [-1.0, 1.0]
    target = face.vertices_xyz[:, :2].copy()
    target[:68] += residuals
    target[68:78] += residuals[BROWS]

    # The forehead goes with the brows; the anchors stay where the outline's middle puts them.
    source = np.zeros_like(target)
    source[:68] = points
    raised = face.vertices_xyz[68:78] - face.points_xyz[BROWS]
    source[68:78] = points[BROWS] + raised @ camera[:, :3].T
    outline = [*range(17), *range(68, 78)]
    middle = source[outline].mean(axis=0) - scale * target[outline].mean(axis=0) @ turn.T
    source[78:] = scale * target[78:] @ turn.T + middle

    # A picture of the face upright, twice as fine as the crop: the paper's 2-D alignment.
    unit_px, origin = _frame(size_px)
    side = math.ceil(2 * RING * unit_px * _OVERSAMPLING) + 1
    factor = _OVERSAMPLING * unit_px / scale
    upright = np.zeros((1, 2, 3))
    upright[0, :, :2] = factor * turn.T
    corner = np.array([-RING, RING_MIDDLE_Y - RING]) * unit_px * _OVERSAMPLING
    upright[0, :, 2] = -upright[0, :, :2] @ middle - corner
    picture = warp(image, upright, side)[0]
    source = to_crop_xy(source[None], upright)[0]
    target = target * unit_px + origin

    labels = _labels(target, size_px)
    own = _remap(picture, target, source, labels)
    if fill == "none" or seen.min() >= SEEN_TO:
        return own
    other = _remap(picture, target, source[face.mirrored], labels)
    # A half that is seen no better than what it shall replace replaces nothing.
    share = _over_triangles(np.maximum(trust, 1 - trust[face.mirrored]), target, labels)
    share = np.clip((share - 0.25) * 2.0, 0.0, 1.0)
    share = np.clip(cv2.GaussianBlur(share, (0, 0), max(_SOFT * size_px, 0.3)), 0.0, 1.0)
    mixed = share[..., None] * own + (1 - share[..., None]) * other
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _check_size(size_px: int) -> None:
    if not MIN_SIZE_PX <= size_px <= MAX_SIZE_PX or size_px != int(size_px):
        raise OptionError(
            f"expected a whole number from {MIN_SIZE_PX} to {MAX_SIZE_PX}, got {size_px}",
            option="size_px",
        )


def _scale_and_turn(camera: Float64Array) -> tuple[float, Float64Array]:
    """Pixels of a unit, and the turn in the plane of the photo (2, 2), of a camera.

    The rotation is the camera's polar factor, ``Rz(turn) Rx(pitch) Ry(yaw)``, as in
    ``pose.head_pose``.
    """
    if camera.shape != (2, 4) or not np.isfinite(camera).all():
        raise OptionError(f"expected shape (2, 4), all finite, got {camera.shape}", option="camera")
    u, scales, vt = np.linalg.svd(camera[:, :3], full_matrices=False)
    rotation = u @ vt  # (2, 3)
    if not scales[1] > _TINY * (1 + np.abs(camera).max()):
        raise OptionError(
            "expected a face, got points that coincide or lie on one line", option="points"
        )
    if np.linalg.det(rotation[:, :2]) < _TINY:
        raise OptionError(
            "expected a face seen from the front, got one seen from behind: left and right "
            "may be swapped",
            option="points",
        )
    x, y = rotation[:, 1]  # along (-sin, cos): where the face's y axis points in the photo
    length = math.hypot(x, y)
    turn = np.array([[y, x], [-x, y]]) / length
    return float(scales.mean()), turn


@lru_cache(maxsize=32)
def _frame(size_px: int) -> tuple[float, Float64Array]:
    """Pixels of a unit, and where the origin lies in a crop, (2,).

    The generic face's five landmarks come nearest to the template, which is centered first: it is
    not quite symmetric.
    """
    five = five_of_68(generic_face().points_xyz[None, :, :2])[0].astype(np.float64)
    wanted = template_xy(size_px)
    y_mean, y_wanted = five[:, 1].mean(), wanted[:, 1].mean()
    moved, goal = five - [0.0, y_mean], wanted - [wanted[:, 0].mean(), y_wanted]
    unit_px = float((moved * goal).sum() / (moved**2).sum())
    return unit_px, np.array([(size_px - 1) / 2, y_wanted - unit_px * y_mean])


def _areas(corners_xy: Float64Array) -> Float64Array:
    """Twice the signed areas of triangles (T, 3, 2): (T,)."""
    (a, b), (c, d) = ((corners_xy[:, k] - corners_xy[:, 0]).T for k in (1, 2))
    return np.asarray(a * d - b * c)


def _of_vertices(values: Float64Array) -> Float64Array:
    """The mean of each vertex's triangles (T,) -> (V,); an anchor has its nearest point's."""
    face = generic_face()
    n = len(face.vertices_xyz)
    inner = (face.triangles < 78).all(axis=1)
    corners = face.triangles[inner]
    total = np.bincount(corners.ravel(), np.repeat(values[inner], 3), minlength=n)
    count = np.bincount(corners.ravel(), minlength=n)
    means = total / np.maximum(count, 1)
    xy = face.vertices_xyz[:, :2]
    outline = [*range(17), *range(68, 78)]
    near = np.linalg.norm(xy[78:, None] - xy[outline], axis=2).argmin(axis=1)
    means[78:] = means[outline][near]
    return np.asarray(means)


def _labels(target: Float64Array, size_px: int) -> npt.NDArray[np.int32]:
    """Which triangle each pixel of the crop lies in, (S, S); of several the one in front."""
    face = generic_face()
    labels = np.full((size_px, size_px), -1, np.int32)
    depth = face.vertices_xyz[:, 2][face.triangles].mean(axis=1)
    depth[(face.triangles >= 78).any(axis=1)] -= 10.0
    areas = _areas(target[face.triangles])
    corners = np.rint(target[face.triangles] * 2**_BITS).astype(np.int32)
    for number in np.argsort(depth, kind="stable").tolist():
        if areas[number] > _TINY:  # a triangle that was turned over by residuals is left out
            cv2.fillConvexPoly(labels, corners[number], number, cv2.LINE_8, _BITS)
    return labels


def _inverse(target: Float64Array) -> Float64Array:
    """(T, 3, 3): from (x, y, 1) of a pixel to the shares of the triangle's corners."""
    face = generic_face()
    corners = np.concatenate([target, np.ones((len(target), 1))], axis=1)[face.triangles]
    flat = np.abs(np.linalg.det(corners)) < _TINY
    corners[flat] = np.eye(3)
    return np.asarray(np.linalg.inv(corners).transpose(0, 2, 1))


def _over_triangles(
    values: Float64Array, target: Float64Array, labels: npt.NDArray[np.int32]
) -> Float64Array:
    """Spread values of the vertices, (V,) or (V, C), linearly: (S, S) or (S, S, C)."""
    face = generic_face()
    # (T, 3, 3) corners' shares from (x, y, 1), with (T, 3, C) values -> (T, C, 3)
    of_corners = values[:, None] if values.ndim == 1 else values
    rows = of_corners[face.triangles].transpose(0, 2, 1) @ _inverse(target)
    size_px = len(labels)
    x, y = np.meshgrid(np.arange(size_px), np.arange(size_px))
    chosen = rows[labels]  # (S, S, C, 3)
    spread = chosen[..., 0] * x[..., None] + chosen[..., 1] * y[..., None] + chosen[..., 2]
    return np.asarray(spread[..., 0] if values.ndim == 1 else spread)


def _remap(
    picture: Image, target: Float64Array, source: Float64Array, labels: npt.NDArray[np.int32]
) -> Image:
    """Warp the picture so that the vertices go from ``source`` to ``target``."""
    where = _over_triangles(source, target, labels).astype(np.float32)
    where[labels < 0] = -1e4
    warped = cv2.remap(picture, where[..., 0], where[..., 1], cv2.INTER_CUBIC)
    return np.asarray(warped, np.uint8)

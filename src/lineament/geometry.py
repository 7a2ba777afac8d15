"""Geometry of the plane: similarities between points, and pictures warped by them.

    similarity_transforms()      points and where they shall go -> one 2x3 matrix a face
    turned_squares()             centers, sides and angles -> the matrices of upright crops
    warp()                       photo and matrices -> crops
    to_crop_xy(), to_photo_xy()  points there and back

It knows no stage: detectors look again through it, alignment cuts faces out with it. All matrices
map the photo's pixels to the crop's, both with the top left pixel's center at (0, 0): the side of a
crop of n pixels reaches from -0.5 to n - 0.5.
"""

from __future__ import annotations

import math
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.pyramid import Pyramid
from lineament.raster import IN_PART, without_raster
from lineament.types import Float64Array, Image

ARCFACE_TEMPLATE_XY = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""(5, 2) float64: where the landmarks go in a crop of 112 pixels, in the order of
``LANDMARK_NAMES``. From InsightFace (``arcface_dst``), the code of Deng et al., "ArcFace: Additive
Angular Margin Loss for Deep Face Recognition", CVPR 2019, arXiv:1801.07698."""
ARCFACE_TEMPLATE_XY.flags.writeable = False

# Cubic rather than linear: with SFace on LFW View 1, TAR at FMR 1e-4 is 99.03 % instead of 98.87 %.
_INTERPOLATION = cv2.INTER_CUBIC

# Below this scale (crop pixels per pixel of the photo) the four taps of the cubic kernel leave
# pixels of the photo out, and fine patterns come out as coarse ones that do not exist.
_LEAST_DIRECT_SCALE = 0.5

# One block holds at most so many pixels a side, so that a nonsensical face costs no memory.
_MOST_SHRINK = 1024

_TINY = 1e-12  # of squared lengths: a millionth of the length


def similarity_transforms(
    landmarks_xy: npt.NDArray[np.floating], template: npt.NDArray[np.floating]
) -> Float64Array:
    """Return for each face the similarity that maps its landmarks onto the template.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    PAMI 13(4), 1991, eq. 40-42: the turn, scale and shift with the least sum of squared distances,
    never a reflection. In the plane it has a closed form: write points as complex numbers, centered
    as z and w; then the factor ``a = sum(conj(z) w) / sum(|z|^2)`` holds scale and turn in one.

    Args:
        landmarks_xy: (N, P, 2), pixels.
        template: (P, 2), where they shall go.

    Returns:
        (N, 2, 3) float64: ``template ~ M[:, :2] @ xy + M[:, 2]``.

    Raises:
        OptionError: shapes that do not fit, a number that is not finite, or landmarks without a
            solution, such as points that all coincide.
    """
    source = np.ascontiguousarray(landmarks_xy, dtype=np.float64)
    target = np.ascontiguousarray(template, dtype=np.float64)
    if target.ndim != 2 or target.shape[1] != 2 or source.ndim != 3:
        raise OptionError(
            "expected landmarks (N, P, 2) and a template (P, 2), "
            f"got {source.shape} and {target.shape}",
            option="similarity_transforms",
        )
    if source.shape[1:] != target.shape:
        raise OptionError(
            f"expected shape (N, {target.shape[0]}, 2) as the template has "
            f"{target.shape[0]} points, got {source.shape}",
            option="landmarks",
        )
    z, w = source.view(np.complex128)[..., 0], target.view(np.complex128)[..., 0]  # (N, P), (P,)
    z_mean, w_mean = z.mean(axis=1), w.mean()
    z, w = z - z_mean[:, None], w - w_mean
    cross = z.conj() @ w  # (N, P) @ (P,) -> (N,)
    spread = (z.real**2 + z.imag**2).sum(axis=1)
    # Negated so that NaN counts as bad. The first catches points that coincide, as far as float32
    # can tell; the second those that fit no better in any turn, whose scale would be zero.
    distant = (z_mean.real**2 + z_mean.imag**2) * len(w)
    good = spread > _TINY * distant
    good &= cross.real**2 + cross.imag**2 > _TINY * spread * np.vdot(w, w).real
    if not good.all():
        i = int(np.argmin(good))
        raise OptionError(
            f"landmarks of face {i}: expected {len(w)} points that differ, "
            f"got {np.round(source[i], 2).tolist()}"
        )
    return matrices(cross / spread, z_mean, w_mean)


def turned_squares(
    centers_xy: npt.NDArray[np.floating],
    sides: npt.NDArray[np.floating],
    rolls_deg: npt.NDArray[np.floating],
    size_px: int,
) -> Float64Array:
    """Return the matrices that cut squares out of a photo and turn what is in them upright.

    Args:
        centers_xy: (N, 2), pixels of the photo.
        sides: (N,), of the squares, pixels of the photo.
        rolls_deg: (N,), by how much what they show is turned clockwise for the viewer.
        size_px: side of the crops.

    Returns:
        (N, 2, 3) float64.
    """
    factor = size_px / np.asarray(sides, np.float64) * np.exp(-1j * np.radians(rolls_deg))
    centers = np.asarray(centers_xy, np.float64)
    middle = (size_px - 1) / 2 * (1 + 1j)
    return matrices(factor, centers[:, 0] + 1j * centers[:, 1], middle)


SLACK = 1.25
"""A level of a photo (``lineament.pyramid``) serves a crop whose pixels are up to so many times as
fine, along a side, as its own."""


def warp(
    image: Image | Pyramid,
    transforms: Float64Array,
    size: int | tuple[int, int],
    *,
    slack: float = SLACK,
) -> Image:
    """Cut crops out of a photo by similarity transforms.

    Cubic interpolation, black outside of the photo. Where the crop is less than half as large
    as what it shows, that part of the photo is first averaged down by the whole number that
    brings the remaining scale to between 1/2 and 1: otherwise most of its pixels would be left out
    and fine patterns would alias. Only that part is touched: the cost does not depend on the size
    of the photo. A printed raster is smoothed away before (``lineament.raster``).

    Args:
        image: (H, W, 3) uint8; or a photo's levels, of which for each crop the coarsest that is
            there and serves is taken.
        transforms: (N, 2, 3), from the photo's pixels to the crop's.
        size: side of the crops, or their width and height.
        slack: how many times as fine as a level's the crop's pixels may be.

    Returns:
        (N, height, width, 3) uint8.

    Raises:
        OptionError: an image of another shape or type, or a matrix that cannot be inverted.
    """
    if isinstance(image, np.ndarray) and (
        image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3
    ):
        raise OptionError(
            f"expected RGB, uint8, (H, W, 3), got {image.dtype}, {image.shape}: "
            "read it with lineament.images",
            option="image",
        )
    if transforms.ndim != 3 or transforms.shape[1:] != (2, 3):
        raise OptionError(f"expected shape (N, 2, 3), got {transforms.shape}", option="transforms")
    width, height = size if isinstance(size, tuple) else (size, size)
    crops = np.zeros((len(transforms), height, width, 3), np.uint8)
    for crop, matrix in zip(crops, transforms.tolist(), strict=True):
        if isinstance(image, Pyramid):
            level = image.level(_scale(matrix) / slack)
            _warp_one(level.pixels, level.from_level(matrix), crop)
        else:
            _warp_one(image, matrix, crop)
    return crops


def to_crop_xy(
    points_xy: npt.NDArray[np.floating], transforms: npt.NDArray[np.floating]
) -> Float64Array:
    """Map points of the photo, (N, P, 2), to the N crops: (N, P, 2) float64, pixels."""
    points = np.asarray(points_xy, dtype=np.float64)
    # (N, P, 2) @ (N, 2, 2) -> (N, P, 2)
    moved: Float64Array = points @ transforms[:, :, :2].transpose(0, 2, 1)
    return moved + transforms[:, None, :, 2]


def to_photo_xy(
    points_xy: npt.NDArray[np.floating], transforms: npt.NDArray[np.floating]
) -> Float64Array:
    """Map points of the N crops, (N, P, 2), back to the photo: (N, P, 2) float64, pixels.

    Raises:
        OptionError: a matrix that cannot be inverted.
    """
    shifted = np.asarray(points_xy, dtype=np.float64) - transforms[:, None, :, 2]
    try:
        inverse = np.linalg.inv(np.asarray(transforms[:, :, :2], dtype=np.float64))
    except np.linalg.LinAlgError as error:
        raise OptionError(
            "expected matrices that can be inverted, got a scale of zero", option="transforms"
        ) from error
    back: Float64Array = shifted @ inverse.transpose(0, 2, 1)  # (N, P, 2) @ (N, 2, 2)
    return back


def matrices(
    factor: npt.NDArray[np.complexfloating],
    source: npt.NDArray[np.complexfloating],
    target: complex,
) -> Float64Array:
    """Return (N, 2, 3): multiply by ``factor`` (N,) so that ``source`` (N,) goes to ``target``."""
    shift = target - factor * source
    rows = [factor.real, -factor.imag, shift.real, factor.imag, factor.real, shift.imag]
    stacked: Float64Array = np.stack(rows, axis=1).astype(np.float64, copy=False)
    return stacked.reshape(-1, 2, 3)


def _scale(matrix: list[list[float]]) -> float:
    """Pixels of the crop per pixel of the photo, along a side; 1 where it has none."""
    (a, b, _), (c, d, _) = matrix
    scale = math.sqrt(abs(a * d - b * c))
    return scale if math.isfinite(scale) and scale > 0 else 1.0


def _warp_one(image: Image, matrix: list[list[float]], crop: Image) -> None:
    """Fill ``crop`` (h, w, 3), which must be black; ``matrix`` maps the photo to it.

    Plain floats: for one face, arrays of six numbers would cost more than the warp itself.
    """
    (a, b, x_shift), (c, d, y_shift) = matrix
    det = a * d - b * c
    if not math.isfinite(det + x_shift + y_shift) or abs(det) < _TINY:
        raise OptionError(
            f"expected a matrix that can be inverted, got {matrix}", option="transforms"
        )
    scale = math.sqrt(abs(det))
    shrink = 1 if scale >= _LEAST_DIRECT_SCALE else min(math.floor(1 / scale), _MOST_SHRINK)

    # What of the photo the crop shows, with a margin for the cubic kernel. It is cut out even
    # when nothing is shrunk: OpenCV does not warp pictures of more than 32766 pixels a side.
    height, width = crop.shape[:2]
    low, right_edge, low_edge = -0.5, width - 0.5, height - 0.5
    corners = [
        ((d * u - b * v) / det, (a * v - c * u) / det)
        for u, v in (
            (low - x_shift, low - y_shift),
            (low - x_shift, low_edge - y_shift),
            (right_edge - x_shift, low - y_shift),
            (right_edge - x_shift, low_edge - y_shift),
        )
    ]
    margin = 3 * shrink
    left = max(math.floor(min(x for x, _ in corners)) - margin, 0)
    right = min(math.ceil(max(x for x, _ in corners)) + margin + 1, image.shape[1])
    top = max(math.floor(min(y for _, y in corners)) - margin, 0)
    bottom = min(math.ceil(max(y for _, y in corners)) + margin + 1, image.shape[0])
    if left >= right or top >= bottom:
        return
    part = without_raster(image[top:bottom, left:right], IN_PART)
    if shrink > 1:
        # To whole blocks; what is added is outside of the photo or of the crop.
        add_x, add_y = -(right - left) % shrink, -(bottom - top) % shrink
        if add_x or add_y:
            part = cast("Image", cv2.copyMakeBorder(part, 0, add_y, 0, add_x, cv2.BORDER_CONSTANT))
        wh = (part.shape[1] // shrink, part.shape[0] // shrink)
        part = cast("Image", cv2.resize(part, wh, interpolation=cv2.INTER_AREA))

    # A pixel p of the part is p * shrink + offset in the photo: edges scale, centers do not.
    offset_x, offset_y = left + (shrink - 1) / 2, top + (shrink - 1) / 2
    from_part = np.array(
        [
            [a * shrink, b * shrink, a * offset_x + b * offset_y + x_shift],
            [c * shrink, d * shrink, c * offset_x + d * offset_y + y_shift],
        ]
    )
    cv2.warpAffine(part, from_part, (width, height), dst=crop, flags=_INTERPOLATION)

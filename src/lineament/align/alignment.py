"""Stage 3: the photo and its faces in, crops of one size out, each face in the same place.

    similarity_transforms()   landmarks and template -> one 2x3 matrix a face
    face_transforms()         faces and a method -> one 2x3 matrix a face
    warp()                    photo and matrices -> crops
    align_faces()             the two above in one call
    to_crop_xy(), to_photo_xy()  points there and back

Three methods, so that what alignment is worth can be measured:

- ``five-points``: the similarity (turn, scale, shift) that brings the five landmarks nearest to a
  template: ArcFace's, or that of dlib's network, whichever the recognizer was trained on. Use the
  other methods for comparisons only.
- ``eyes``: a square about the middle of the box, turned so that the line through the eyes is level:
  the angle is ``atan2(y_right - y_left, x_right - x_left)``. Its side is the box's longer side
  times ``BOX_SIDE``. Scale and place come from the box alone.
- ``crop``: the same square without the turn. Only faces that the detector found in a turned
  photo are turned back, by their ``turned_deg``.

What they are worth measures ``benchmarks/accuracy/ablation.py``. Most of what "eyes" and "crop"
lose is place, and not turn: the middle of a box lies below the middle of the template's
crop, by 0.09 of the longer side. They stay as they are because that is what pipelines without a
template do.

All matrices map the photo's pixels to the crop's, both with the top left pixel's center at
(0, 0), as everywhere in lineament: the side of a crop of n pixels reaches from -0.5 to n - 0.5.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Literal, cast

import cv2
import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.types import Face, Float64Array, Image

AlignMethod = Literal["five-points", "eyes", "crop"]

Template = Literal["arcface", "dlib"]
"""Where "five-points" puts the landmarks; the names that contracts begin with."""


ALIGNMENT_NAMES: dict[AlignMethod, str] = {
    "five-points": "arcface",
    "eyes": "eyes",
    "crop": "crop",
}
"""What the methods are called in a contract: ``alignment_name`` appends the size. "five-points" is
called by its template's name, of which ArcFace's is the usual one."""

NATIVE_PX = 112

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

DLIB_NATIVE_PX = 150

DLIB_TEMPLATE_XY = np.array(
    [
        [46.368, 44.3541],
        [101.0506, 44.2093],
        [73.3826, 76.646],
        [49.4598, 104.3195],
        [97.9081, 104.5498],
    ]
)
"""(5, 2) float64: the same in the chips of 150 pixels that dlib's network was trained on, with the
padding of 0.25. dlib cuts them by five other landmarks, the eyes' corners and the base of the nose;
here is where ours lie in its chips of LFW View 1, scaled so that chips cut by either set have the
same size on average (``scripts/fit/dlib_template.py``)."""
DLIB_TEMPLATE_XY.flags.writeable = False

_TEMPLATES: dict[Template, tuple[Float64Array, int]] = {
    "arcface": (ARCFACE_TEMPLATE_XY, NATIVE_PX),
    "dlib": (DLIB_TEMPLATE_XY, DLIB_NATIVE_PX),
}
"""Landmarks, and the side of the crop that they are given for."""

MIN_SIZE_PX, MAX_SIZE_PX = 8, 4096

BOX_SIDE = 1.06
"""Side of the squares of "eyes" and "crop" as a multiple of the box's longer side. On LFW the
longer side of YuNet's and MTCNN's boxes is 3.0 eye distances and the template's crop 3.18: with
this margin the face is about as large as with "five-points", and what differs is place and turn."""

# Cubic rather than linear: with SFace on LFW View 1, TAR at FMR 1e-4 is 99.03 % instead of 98.87 %.
_INTERPOLATION = cv2.INTER_CUBIC

# Below this scale (crop pixels per pixel of the photo) the four taps of the cubic kernel leave
# pixels of the photo out, and fine patterns come out as coarse ones that do not exist.
_LEAST_DIRECT_SCALE = 0.5

# One block holds at most so many pixels a side, so that a nonsensical face costs no memory.
_MOST_SHRINK = 1024

_TINY = 1e-12  # of squared lengths: a millionth of the length


def alignment_name(
    method: AlignMethod = "five-points",
    size_px: int = NATIVE_PX,
    template: Template = "arcface",
) -> str:
    """Return the alignment's name in a contract: "arcface-112", "dlib-150", "eyes-112", ...

    Args:
        method: see the module's docstring.
        size_px: side of the crop.
        template: of "five-points"; the other methods have none.

    Raises:
        OptionError: no such method or template, or a size outside of 8 to 4096 pixels.
    """
    _check(method, size_px, template)
    return f"{template if method == 'five-points' else ALIGNMENT_NAMES[method]}-{size_px}"


def parse_alignment_name(name: str) -> tuple[AlignMethod, int, Template]:
    """Return a contract's alignment as ``alignment_name`` takes it; the inverse of it.

    Methods without a template have "arcface" there.

    Raises:
        OptionError: it is not the name of an alignment.
    """
    match = re.fullmatch(r"([a-z]+)-([1-9][0-9]{0,3})", name)
    names: dict[str, tuple[AlignMethod, Template]] = {
        prefix: (method, "arcface") for method, prefix in ALIGNMENT_NAMES.items()
    } | {template: ("five-points", template) for template in _TEMPLATES}
    if match is not None and match[1] in names:
        method, template = names[match[1]]
        size_px = int(match[2])
        _check(method, size_px, template)
        return method, size_px, template
    wanted = ", ".join(f"{prefix}-{NATIVE_PX}" for prefix in names)
    raise OptionError(f"expected a name such as {wanted}, got {name!r}", option="alignment")


def template_of(alignment: str | None) -> Template:
    """Return the template that a weights entry's alignment asks for.

    Entries are free in what they call their alignment: "arcface" unless it is another template's.
    """
    prefix = "" if alignment is None else alignment.rpartition("-")[0]
    return next((name for name in _TEMPLATES if name == prefix), "arcface")


def template_xy(size_px: int = NATIVE_PX, template: Template = "arcface") -> Float64Array:
    """Return a template for a crop of ``size_px``: (5, 2) float64, pixels.

    Templates are scaled about the pixels' edges, ``(xy + 0.5) * size_px / 112 - 0.5`` for ArcFace's
    of 112 pixels: a crop of any size then shows exactly what the crop of 112 pixels shows, as if
    that one had been resized. (InsightFace multiplies the coordinates themselves, which scales
    about the center of the top left pixel: at 224 pixels its crop lies half a pixel off.)

    Raises:
        OptionError: no such template, or a size outside of 8 to 4096 pixels.
    """
    _check("five-points", size_px, template)
    xy, native_px = _TEMPLATES[template]
    return (xy + 0.5) * (size_px / native_px) - 0.5


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
    return _matrices(cross / spread, z_mean, w_mean)


def face_transforms(
    faces: Sequence[Face],
    *,
    method: AlignMethod = "five-points",
    size_px: int = NATIVE_PX,
    template: Template = "arcface",
) -> Float64Array:
    """Return for each face the matrix from the photo to its crop: (N, 2, 3) float64.

    Args:
        faces: as a detector returns them. "five-points" and "eyes" need their landmarks.
        method: see the module's docstring.
        size_px: side of the crop.
        template: of "five-points".

    Raises:
        OptionError: no such method or template, a size outside of 8 to 4096 pixels, a face without
            the landmarks that the method needs, or landmarks that coincide.
    """
    _check(method, size_px, template)
    if not faces:
        return np.zeros((0, 2, 3))
    if method == "five-points":
        return similarity_transforms(_landmarks(faces, method), template_xy(size_px, template))
    boxes = np.array([face.box_xyxy for face in faces], dtype=np.float64)  # (N, 4)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) * BOX_SIDE
    if method == "eyes":
        eyes = _landmarks(faces, method)[:, :2]
        across = eyes[:, 1] - eyes[:, 0]
        if not across.any(axis=1).all():
            raise OptionError(
                "expected two eyes in two places, got eyes that coincide", option="landmarks"
            )
        angle = np.arctan2(across[:, 1], across[:, 0])
    else:
        angle = np.radians([float(face.turned_deg) for face in faces])
    # y points down: the factor exp(-i t) turns counter-clockwise for the viewer.
    factor = size_px / side * np.exp(-1j * angle)
    return _matrices(factor, middle[:, 0] + 1j * middle[:, 1], (size_px - 1) / 2 * (1 + 1j))


def align_faces(
    image: Image,
    faces: Sequence[Face],
    *,
    method: AlignMethod = "five-points",
    size_px: int = NATIVE_PX,
    template: Template = "arcface",
) -> Image:
    """Cut the faces out of a photo, each upright and in the same place.

    Args:
        image: (H, W, 3) uint8.
        faces: as a detector returns them. "five-points" and "eyes" need their landmarks.
        method: "five-points", "eyes" or "crop"; see the module's docstring.
        size_px: side of the crops; 112 is what the ArcFace template was made for, 150 dlib's.
        template: of "five-points"; each recognizer wants its own (``template_of``).

    Returns:
        (N, size_px, size_px, 3) uint8, the channels in the photo's order. What lies outside
        of the photo is black.

    Raises:
        OptionError: as ``face_transforms``, or an image of another shape or type.
    """
    transforms = face_transforms(faces, method=method, size_px=size_px, template=template)
    return warp(image, transforms, size_px)


def warp(image: Image, transforms: Float64Array, size_px: int = NATIVE_PX) -> Image:
    """Cut crops out of a photo by similarity transforms.

    Cubic interpolation, black outside of the photo. Where the crop is less than half as large
    as what it shows, that part of the photo is first averaged down by the whole number that
    brings the remaining scale to between 1/2 and 1: otherwise most of its pixels would be left out
    and fine patterns would alias. Only that part is touched: the cost does not depend on the size
    of the photo.

    Args:
        image: (H, W, 3) uint8.
        transforms: (N, 2, 3), from the photo's pixels to the crop's.
        size_px: side of the crops.

    Returns:
        (N, size_px, size_px, 3) uint8.

    Raises:
        OptionError: an image of another shape or type, or a matrix that cannot be inverted.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise OptionError(
            f"expected RGB, uint8, (H, W, 3), got {image.dtype}, {image.shape}: "
            "read it with lineament.images",
            option="image",
        )
    if transforms.ndim != 3 or transforms.shape[1:] != (2, 3):
        raise OptionError(f"expected shape (N, 2, 3), got {transforms.shape}", option="transforms")
    crops = np.zeros((len(transforms), size_px, size_px, 3), np.uint8)
    for crop, matrix in zip(crops, transforms.tolist(), strict=True):
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


def _check(method: str, size_px: int, template: str = "arcface") -> None:
    if template not in _TEMPLATES:
        raise OptionError(
            f"expected one of {', '.join(_TEMPLATES)}, got {template!r}", option="template"
        )
    if method not in ALIGNMENT_NAMES:
        raise OptionError(
            f"expected one of {', '.join(ALIGNMENT_NAMES)}, got {method!r}", option="method"
        )
    if not MIN_SIZE_PX <= size_px <= MAX_SIZE_PX or size_px != int(size_px):
        raise OptionError(
            f"expected a whole number from {MIN_SIZE_PX} to {MAX_SIZE_PX}, got {size_px}",
            option="size_px",
        )


def _landmarks(faces: Sequence[Face], method: AlignMethod) -> Float64Array:
    """Return the landmarks of all faces, (N, 5, 2) float64."""
    for i, face in enumerate(faces):
        if face.landmarks_xy is None:
            raise OptionError(
                f'method "{method}" needs five landmarks, face {i} has none: detect with "mtcnn" '
                'or "yunet", which give them, or take the method "crop"'
            )
    return np.array([face.landmarks_xy for face in faces], dtype=np.float64)


def _matrices(
    factor: npt.NDArray[np.complexfloating],
    source: npt.NDArray[np.complexfloating],
    target: complex,
) -> Float64Array:
    """Return (N, 2, 3): multiply by ``factor`` (N,) so that ``source`` (N,) goes to ``target``."""
    shift = target - factor * source
    rows = [factor.real, -factor.imag, shift.real, factor.imag, factor.real, shift.imag]
    stacked: Float64Array = np.stack(rows, axis=1).astype(np.float64, copy=False)
    return stacked.reshape(-1, 2, 3)


def _warp_one(image: Image, matrix: list[list[float]], crop: Image) -> None:
    """Fill ``crop`` (n, n, 3), which must be black; ``matrix`` maps the photo to it.

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
    size = len(crop)
    low, high = -0.5, size - 0.5
    corners = [
        ((d * u - b * v) / det, (a * v - c * u) / det)
        for u, v in (
            (low - x_shift, low - y_shift),
            (low - x_shift, high - y_shift),
            (high - x_shift, low - y_shift),
            (high - x_shift, high - y_shift),
        )
    ]
    margin = 3 * shrink
    left = max(math.floor(min(x for x, _ in corners)) - margin, 0)
    right = min(math.ceil(max(x for x, _ in corners)) + margin + 1, image.shape[1])
    top = max(math.floor(min(y for _, y in corners)) - margin, 0)
    bottom = min(math.ceil(max(y for _, y in corners)) + margin + 1, image.shape[0])
    if left >= right or top >= bottom:
        return
    part = image[top:bottom, left:right]
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
    cv2.warpAffine(part, from_part, (size, size), dst=crop, flags=_INTERPOLATION)

"""Stage 3: the photo and its faces in, crops of one size out, each face in the same place.

    similarity_transforms()   landmarks and template -> one 2x3 matrix a face
    face_transforms()         faces and a method -> one 2x3 matrix a face
    warp()                    photo and matrices -> crops
    align_faces()             the two above in one call
    to_crop_xy(), to_photo_xy()  points there and back

How crops are made is a value, ``Alignment``, and its name stands in contracts: "arcface-112",
"dlib-150", "eyes-112", "crop-112", "arcface-96x112". A template is added by ``register_template``.

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
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from lineament.arguments import checked
from lineament.errors import OptionError
from lineament.types import Face, Float64Array, Image

AlignMethod = Literal["five-points", "eyes", "crop", "frontal"]
"""What is done; "frontal" is done by ``lineament.align.frontal``, with 68 points."""

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

METHODS: tuple[AlignMethod, ...] = ("five-points", "eyes", "crop")
"""The methods of this file, which need no more than what a detector gives."""

TEMPLATES: dict[str, tuple[Float64Array, tuple[int, int]]] = {
    "arcface": (ARCFACE_TEMPLATE_XY, (NATIVE_PX, NATIVE_PX)),
    "dlib": (DLIB_TEMPLATE_XY, (DLIB_NATIVE_PX, DLIB_NATIVE_PX)),
}
"""Where "five-points" puts the landmarks, and width and height of the crop that holds for."""

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


def register_template(
    name: str, points_xy: npt.NDArray[np.floating], size_wh: tuple[int, int]
) -> None:
    """Add a template for "five-points"; ``Alignment("five-points", ..., name)`` then uses it.

    Args:
        name: lower-case letters and digits, the first a letter; contracts begin with it.
        points_xy: (5, 2), pixels of the crop, in the order of ``LANDMARK_NAMES``.
        size_wh: width and height of that crop.

    Raises:
        OptionError: the name is taken or no name, or the points are not five.
    """
    points = np.array(points_xy, dtype=np.float64)
    if not re.fullmatch("[a-z][a-z0-9]*", name) or name in ("eyes", "crop", "frontal"):
        raise OptionError(f"expected lower-case letters and digits, got {name!r}", option="name")
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise OptionError(f"expected 5 points (5, 2), got {points.tolist()}", option="points_xy")
    there = TEMPLATES.get(name)
    if there is not None and not (np.array_equal(there[0], points) and there[1] == size_wh):
        raise OptionError(f"there is another template called {name!r}", option="name")
    points.flags.writeable = False
    TEMPLATES[name] = points, size_wh


@dataclass(frozen=True, slots=True)
class Alignment:
    """How crops are made, as a value.

    Attributes:
        method: see the module's docstring.
        size_wh: width and height of the crops, 8 to 4096 pixels each.
        template: of "five-points", one of ``TEMPLATES``; "arcface" for the others.
        margin: how much more is shown, as a share of the crop's side: 0.2 shows 1.2 times as much,
            -0.2 less, about the same middle.
    """

    method: AlignMethod = "five-points"
    size_wh: tuple[int, int] = (NATIVE_PX, NATIVE_PX)
    template: str = "arcface"
    margin: float = 0.0

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        if self.method not in get_args(AlignMethod):
            raise OptionError(
                f"expected one of {', '.join(METHODS)}, got {self.method!r}", option="method"
            )
        if self.template not in TEMPLATES:
            raise OptionError(
                f"expected one of {', '.join(TEMPLATES)}, got {self.template!r}", option="template"
            )
        for side in self.size_wh:
            _check_size(side)
        if not -0.9 <= self.margin <= 10:
            raise OptionError(f"expected -0.9 to 10, got {self.margin}", option="margin")
        if self.method != "five-points":
            object.__setattr__(self, "template", "arcface")

    @classmethod
    def square(
        cls, size_px: int, method: AlignMethod = "five-points", template: str = "arcface"
    ) -> Alignment:
        """Of as many pixels a side. OptionError: a value that there is not."""
        return cls(method, (size_px, size_px), template)

    @classmethod
    def parse(cls, name: str) -> Alignment:
        """Read a contract's alignment; the inverse of ``str``.

        Raises:
            OptionError: it is not the name of an alignment.
        """
        match = _NAME.fullmatch(name)
        if match is not None and match["kind"] in (*TEMPLATES, "eyes", "crop", "frontal"):
            kind, width = match["kind"], int(match["width"])
            height = width if match["height"] is None else int(match["height"])
            margin = 0.0 if match["margin"] is None else float(match["margin"])
            if kind in TEMPLATES:
                found = cls("five-points", (width, height), kind, margin)
            else:
                found = cls(cast("AlignMethod", kind), (width, height), margin=margin)
            if str(found) == name:
                return found
        names = ", ".join(f"{kind}-{NATIVE_PX}" for kind in (*TEMPLATES, "eyes", "crop"))
        raise OptionError(f"expected a name such as {names}, got {name!r}", option="alignment")

    def __str__(self) -> str:
        """Its name in a contract: "arcface-112", "arcface-96x112", "crop-224-m0.2"."""
        width, height = self.size_wh
        kind = self.template if self.method == "five-points" else self.method
        size = f"{width}" if width == height else f"{width}x{height}"
        margin = f"-m{self.margin:g}" if self.margin else ""
        return f"{kind}-{size}{margin}"

    @property
    def template_xy(self) -> Float64Array:
        """(5, 2) float64: where "five-points" puts the landmarks, pixels of the crop."""
        points = template_xy(self.size_wh, self.template)
        if not self.margin:
            return points
        middle = (np.array(self.size_wh) - 1) / 2
        return middle + (points - middle) / (1 + self.margin)


_NAME = re.compile(
    r"(?P<kind>[a-z][a-z0-9]*)-(?P<width>[1-9][0-9]{0,3})(?:x(?P<height>[1-9][0-9]{0,3}))?"
    r"(?:-m(?P<margin>-?[0-9]+(?:\.[0-9]+)?))?"
)


def alignment_of(
    asked: str | None, size_wh: tuple[int, int] | None, method: AlignMethod | None = None
) -> Alignment:
    """Return the alignment that a model's card asks for.

    Args:
        asked: the card's; cards are free in what they call theirs: five points of ArcFace's
            template, unless it is the name of another.
        size_wh: of the network's input; None: it takes any, and gets 112.
        method: in place of the card's.

    Raises:
        OptionError: no such method, or a size outside of 8 to 4096 pixels.
    """
    size = (NATIVE_PX, NATIVE_PX) if size_wh is None else size_wh
    try:
        found = Alignment.parse("" if asked is None else asked)
    except OptionError:
        kind = "" if asked is None else asked.rpartition("-")[0]
        found = Alignment(template=kind if kind in TEMPLATES else "arcface")
    chosen = found.method if method is None else method
    return replace(found, method=chosen, size_wh=size)


def template_xy(size: int | tuple[int, int] = NATIVE_PX, template: str = "arcface") -> Float64Array:
    """Return a template for a crop of that size: (5, 2) float64, pixels.

    Templates are scaled about the pixels' edges, ``(xy + 0.5) * size / 112 - 0.5`` for ArcFace's
    of 112 pixels: a crop of any size then shows exactly what the crop of 112 pixels shows, as if
    that one had been resized. (InsightFace multiplies the coordinates themselves, which scales
    about the center of the top left pixel: at 224 pixels its crop lies half a pixel off.) A crop of
    another shape shows the middle of that: 96x112 is the usual narrow crop, 8 pixels less on
    either side.

    Args:
        size: side of the crop, or its width and height.
        template: one of ``TEMPLATES``.

    Raises:
        OptionError: no such template, or a size outside of 8 to 4096 pixels.
    """
    width, height = Alignment("five-points", _pair(size), template).size_wh
    xy, (native_width, native_height) = TEMPLATES[template]
    scale = max(width / native_width, height / native_height)
    points: Float64Array = (xy + 0.5) * scale - 0.5
    if width * native_height != height * native_width:
        points = points + (np.array([width, height]) - scale * np.array(TEMPLATES[template][1])) / 2
    return points


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
    faces: Sequence[Face], alignment: Alignment | str = "arcface-112"
) -> Float64Array:
    """Return for each face the matrix from the photo to its crop: (N, 2, 3) float64.

    Args:
        faces: as a detector returns them. "five-points" and "eyes" need their landmarks.
        alignment: the value, or its name.

    Raises:
        OptionError: no such alignment, a face without the landmarks that the method needs, or
            landmarks that coincide.
    """
    wanted = Alignment.parse(alignment) if isinstance(alignment, str) else alignment
    method = wanted.method
    if method == "frontal":
        raise OptionError(
            f"expected {', '.join(METHODS)}, got frontal, which takes 68 points",
            option="method",
            hint="{frontal}",
        )
    if not faces:
        return np.zeros((0, 2, 3))
    if method == "five-points":
        return similarity_transforms(_landmarks(faces, method), wanted.template_xy)
    boxes = np.array([face.box_xyxy for face in faces], dtype=np.float64)  # (N, 4)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) * BOX_SIDE
    if wanted.margin:
        side = side * (1 + wanted.margin)
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
    width, height = wanted.size_wh
    # y points down: the factor exp(-i t) turns counter-clockwise for the viewer.
    factor = max(width, height) / side * np.exp(-1j * angle)
    target = (width - 1) / 2 + (height - 1) / 2 * 1j
    return _matrices(factor, middle[:, 0] + 1j * middle[:, 1], target)


@checked
def align_faces(
    image: Image, faces: Sequence[Face], alignment: Alignment | str = "arcface-112"
) -> Image:
    """Cut the faces out of a photo, each upright and in the same place.

    Args:
        image: (H, W, 3) uint8.
        faces: as a detector returns them. "five-points" and "eyes" need their landmarks.
        alignment: the value, or its name: "arcface-112", "dlib-150", "eyes-112", "crop-224", ...;
            each embedder takes its own (``Recognizer.alignment_name``).

    Returns:
        (N, height, width, 3) uint8, the channels in the photo's order. What lies outside of the
        photo is black.

    Raises:
        OptionError: as ``face_transforms``, or an image of another shape or type.
    """
    wanted = Alignment.parse(alignment) if isinstance(alignment, str) else alignment
    return warp(image, face_transforms(faces, wanted), wanted.size_wh)


def warp(image: Image, transforms: Float64Array, size: int | tuple[int, int] = NATIVE_PX) -> Image:
    """Cut crops out of a photo by similarity transforms.

    Cubic interpolation, black outside of the photo. Where the crop is less than half as large
    as what it shows, that part of the photo is first averaged down by the whole number that
    brings the remaining scale to between 1/2 and 1: otherwise most of its pixels would be left out
    and fine patterns would alias. Only that part is touched: the cost does not depend on the size
    of the photo.

    Args:
        image: (H, W, 3) uint8.
        transforms: (N, 2, 3), from the photo's pixels to the crop's.
        size: side of the crops, or their width and height.

    Returns:
        (N, height, width, 3) uint8.

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
    width, height = _pair(size)
    crops = np.zeros((len(transforms), height, width, 3), np.uint8)
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


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def _check_size(size_px: int) -> None:
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
                f'method "{method}" needs five landmarks, face {i} has none: take a detector that '
                'gives them, "yunet", "mtcnn", "blazeface+onet" or "ultralight+onet"; alone, '
                '"blazeface" and "ultralight" only find faces'
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
    cv2.warpAffine(part, from_part, (width, height), dst=crop, flags=_INTERPOLATION)

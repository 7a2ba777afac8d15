"""Stage 3: the photo and its faces in, crops of one size out, each face in the same place.

    face_transforms()   faces and a method -> one 2x3 matrix a face
    align_faces()       the crops, by ``geometry.warp``

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

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from lineament.arguments import checked
from lineament.errors import OptionError
from lineament.geometry import ARCFACE_TEMPLATE_XY, matrices, similarity_transforms, warp
from lineament.types import Face, Float64Array, Image

AlignMethod = Literal["five-points", "eyes", "crop", "frontal"]
"""What is done; "frontal" is done by ``lineament.align.frontal``, with 68 points."""

NATIVE_PX = 112

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


def at_native_px(crop: Image) -> Image:
    """Return an aligned crop (S, S, 3) in the size that measures of it are defined for, 112."""
    if crop.shape[:2] == (NATIVE_PX, NATIVE_PX):
        return crop
    how = cv2.INTER_AREA if max(crop.shape[:2]) > NATIVE_PX else cv2.INTER_CUBIC
    return cv2.resize(crop, (NATIVE_PX, NATIVE_PX), interpolation=how)  # type: ignore[return-value]


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
    return matrices(factor, middle[:, 0] + 1j * middle[:, 1], target)


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

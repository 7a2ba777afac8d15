"""The values that flow through the pipeline: frozen, validated where they are made.

Conventions that hold everywhere:

- images are RGB, uint8, shape (H, W, 3);
- coordinates are pixels of the photo, x to the right, y down, the top left pixel's center at
  (0, 0), as floats;
- "left" and "right" of landmarks are as the viewer sees them: the left eye is the one with the
  smaller x on an upright frontal face;
- similarity means that higher is more alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

import numpy as np
import numpy.typing as npt

from lineament.errors import (
    ContractError,
    LineamentError,
    NoFaceError,
    OptionError,
    SeveralFacesError,
)
from lineament.pose import HeadPose, head_pose, wrapped_deg
from lineament.results import Outcome, Pictured, flat, no_truth
from lineament.text import in_short, per_cent, printable

if TYPE_CHECKING:
    from lineament.pyramid import Pyramid

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Image = npt.NDArray[np.uint8]
"""A photo: RGB, uint8, (H, W, 3)."""

ColorOrder = Literal["rgb", "bgr"]

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is in all."""
StageProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is in all."""
ProgressBar = Callable[[Iterable[T], int, str], Iterable[T]]
"""Wraps (items, how many, what is being done) and yields the items."""

NO_FACE_SCORE = -1.0
"""The similarity of a pair in which a face is missing: the least that a cosine can be."""

LANDMARK_NAMES = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner")


MOST_DIMENSIONS = 1 << 16
"""Of an embedding: the largest of published networks have 4,096."""
_HEX = frozenset("0123456789abcdef")

LIKELY_SHARE = 0.75
"""Of the best face's score; real faces of LFW and of the WIDER sample of some size reach it."""


def _frozen(values: Any, shape: tuple[int, ...], what: str) -> FloatArray:
    try:
        with np.errstate(over="ignore"):  # what overflows is refused below, as infinite
            array = np.array(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise OptionError(f"expected numbers of shape {shape}: {error}", option=what) from error
    if array.shape != shape:
        raise OptionError(f"expected shape {shape}, got {array.shape}", option=what)
    if not np.isfinite(array).all():
        raise OptionError(f"expected finite numbers, got {array.tolist()}", option=what)
    array.flags.writeable = False
    return array


def _as_array(values: npt.NDArray[Any], dtype: Any, copy: bool | None) -> npt.NDArray[Any]:
    """For ``__array__``; ``copy`` is only given by NumPy 2."""
    if copy is None:
        return np.asarray(values, dtype=dtype)
    return np.array(values, dtype=dtype, copy=copy)


Boxed = Literal["found", "weak", "box"]
"""How a face was found whose box somebody drew: see ``Face.boxed``."""


@dataclass(frozen=True, eq=False, slots=True)
class Face(Outcome):
    """One face in one photo.

    Attributes:
        box_xyxy: (4,) float32, pixels: left, top, right, bottom. May reach past the photo.
        score: the detector's confidence, 0 to 1. Scores of two detectors are not comparable.
        landmarks_xy: (5, 2) float32, pixels, in the order of ``LANDMARK_NAMES``, or None when the
            detector has none.
        turned_deg: whole degrees from 0 to 359: by how much the photo had to be turned
            counter-clockwise for the detector to see the face as it does an upright one; 0 where it
            did so at once. The coordinates are those of the photo as it was given.
        boxed: how a face was found whose box somebody drew: "found", or "weak": only where a lower
            score was enough, or "box": not at all, so that box and landmarks are those of the
            drawn box. None: the detector found it by itself.
    """

    box_xyxy: FloatArray
    score: float
    landmarks_xy: FloatArray | None = None
    turned_deg: int = 0
    boxed: Boxed | None = None

    def __post_init__(self) -> None:
        """Validate, and make the arrays read-only; OptionError says what is wrong."""
        box = _frozen(self.box_xyxy, (4,), "box_xyxy")
        if not (box[2] > box[0] and box[3] > box[1]):
            raise OptionError(
                f"expected left < right and top < bottom, got {box.tolist()}", option="box_xyxy"
            )
        if not 0 <= self.score <= 1:
            raise OptionError(f"expected 0 to 1, got {self.score}", option="score")
        if self.turned_deg not in range(360):
            raise OptionError(
                f"expected whole degrees from 0 to 359, got {self.turned_deg}", option="turned_deg"
            )
        object.__setattr__(self, "box_xyxy", box)
        object.__setattr__(self, "score", float(self.score))
        if self.landmarks_xy is not None:
            points = _frozen(self.landmarks_xy, (5, 2), "landmarks_xy")
            object.__setattr__(self, "landmarks_xy", points)

    @property
    def size_wh(self) -> tuple[float, float]:
        """Width and height of the box in pixels."""
        left, top, right, bottom = (float(v) for v in self.box_xyxy)
        return right - left, bottom - top

    @property
    def center_xy(self) -> tuple[float, float]:
        """Center of the box in pixels."""
        left, top, right, bottom = (float(v) for v in self.box_xyxy)
        return (left + right) / 2, (top + bottom) / 2

    @property
    def roll_deg(self) -> float:
        """How far the head is tilted in the plane of the photo, above -180 to 180.

        Positive clockwise for the viewer: its top leans towards the viewer's right; a face upside
        down has 180. From the landmarks (``pose.head_pose``); without any, or where they coincide,
        ``turned_deg``.
        """
        pose = self.pose
        return wrapped_deg(self.turned_deg) if pose is None else pose.roll_deg

    @property
    def pose(self) -> HeadPose | None:
        """How the head is held: yaw, pitch and roll in degrees, from the landmarks.

        ``HeadPose`` says their signs. None without landmarks, or where they coincide.
        """
        if self.landmarks_xy is None:
            return None
        try:
            return head_pose(self.landmarks_xy)
        except OptionError:
            return None

    def crop(self, photo: Photo | Image, *, margin: float = 0.0) -> Image:
        """Cut the box out of the photo, as far as it lies inside; a copy.

        ``FaceFinder.crops`` cuts faces out upright and aligned.

        Args:
            photo: that the face was found in, with its pixels; or the pixels, (H, W, 3) uint8.
            margin: so much of the box's width and height is added on each side, 0 or more.

        Returns:
            (H', W', 3) uint8.

        Raises:
            OptionError: a photo without pixels, or one in which the box does not lie.
        """
        pixels = photo.needed_pixels() if isinstance(photo, Photo) else photo
        if not isinstance(pixels, np.ndarray) or pixels.ndim != 3:
            raise OptionError(
                f"expected a Photo or pixels (H, W, 3), got {type(photo).__name__}", option="photo"
            )
        if not (isinstance(margin, (int, float)) and 0 <= margin <= 100):
            raise OptionError(f"expected a number of 0 or more, got {margin!r}", option="margin")
        (width, height), (left, top, right, bottom) = self.size_wh, self.box_xyxy.tolist()
        low = [math.floor(left - margin * width), math.floor(top - margin * height)]
        high = [math.ceil(right + margin * width) + 1, math.ceil(bottom + margin * height) + 1]
        across, down = (slice(max(a, 0), max(b, 0)) for a, b in zip(low, high, strict=True))
        cut = pixels[down, across].copy()
        if not cut.size:
            raise OptionError(
                f"expected the photo of this face, its box {self.box_xyxy.tolist()} lies outside "
                f"of {pixels.shape[1]} x {pixels.shape[0]} pixels",
                option="photo",
            )
        return cut

    def __repr__(self) -> str:
        """In short."""
        (width, height), (left, top) = self.size_wh, self.box_xyxy[:2]
        turned = f", turned by {self.turned_deg} degrees" if self.turned_deg else ""
        return (
            f"Face({width:.0f} x {height:.0f} px at ({left:.0f}, {top:.0f}), "
            f"score {self.score:.3f}{turned})"
        )

    def to_rows(self) -> list[dict[str, Any]]:
        """One row: the box as four columns."""
        return [_face_row(self)]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return {
            "box_xyxy": [round(float(v), 2) for v in self.box_xyxy],
            "score": round(self.score, 4),
            "landmarks_xy": None
            if self.landmarks_xy is None
            else [[round(float(x), 2), round(float(y), 2)] for x, y in self.landmarks_xy],
            "turned_deg": self.turned_deg,
            **_angles(self),
            **({} if self.boxed is None else {"boxed": self.boxed}),
        }


def _angles(face: Face) -> dict[str, float | None]:
    pose = face.pose
    return {
        "yaw_deg": None if pose is None else _degrees(pose.yaw_deg),
        "pitch_deg": None if pose is None else _degrees(pose.pitch_deg),
        "roll_deg": _degrees(face.roll_deg),
    }


def _face_row(face: Face | None) -> dict[str, Any]:
    angles = ("yaw_deg", "pitch_deg", "roll_deg")
    names = ("left", "top", "right", "bottom", "score", "turned_deg", *angles)
    if face is None:
        return dict.fromkeys(names)
    box = [round(float(v), 2) for v in face.box_xyxy]
    turn = (face.turned_deg, *_angles(face).values())
    return dict(zip(names, [*box, round(face.score, 4), *turn], strict=True))


def _degrees(angle_deg: float) -> float:
    """To two digits, and still above -180."""
    value = round(angle_deg, 2) + 0.0  # no -0.0
    return 180.0 if value == -180 else value


Flip = bool | Literal["concatenate"]
"""What is made of the crop and its mirror image: nothing, the mean, or both one after the other."""

FlipOption = Flip | Literal["none", "mean"]


def flip_of(option: FlipOption) -> Flip:
    """Return the value of an option: "none" is False, "mean" is True.

    Raises:
        OptionError: it is none of these.
    """
    if isinstance(option, bool) or option == "concatenate":
        return option
    if option not in ("none", "mean"):
        raise OptionError(
            f"expected none, mean or concatenate, or true or false, got {option!r}", option="flip"
        )
    return option == "mean"


FOREIGN = "foreign"
"""How the alignment of embeddings begins that another package made: nothing here can make more."""


@dataclass(frozen=True, slots=True)
class Contract(Outcome):
    """How an embedding was made. Two embeddings can be compared when their contracts are equal.

    Attributes:
        weights: name of the recognizer's weights, for people to read.
        weights_sha256: of the weights file: what counts.
        alignment: how the crop was made, for example "arcface-112".
        color_order: of the crop that the network saw.
        flip: whether the embedding is the mean over the crop and its mirror image; or
            "concatenate": both one after the other, twice as long.
        dimension: length of the vector.
    """

    weights: str
    weights_sha256: str
    alignment: str
    color_order: Literal["rgb", "bgr", "gray"]
    flip: Flip
    dimension: int

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        object.__setattr__(self, "flip", flip_of(self.flip))
        for what in ("weights", "alignment"):
            text = getattr(self, what)
            if not isinstance(text, str) or not 0 < len(text) <= 300 or printable(text) != text:
                raise OptionError(
                    f"expected 1 to 300 characters that can be printed, got {in_short(text)}",
                    option=what,
                )
        digest = self.weights_sha256
        if not isinstance(digest, str) or len(digest) != 64 or set(digest) - _HEX:
            raise OptionError(
                f"expected 64 digits 0 to 9 and a to f, got {in_short(digest)}",
                option="weights_sha256",
            )
        if self.color_order not in ("rgb", "bgr", "gray"):
            raise OptionError(
                f"expected rgb, bgr or gray, got {in_short(self.color_order)}", option="color_order"
            )
        if type(self.dimension) is not int or not 1 <= self.dimension <= MOST_DIMENSIONS:
            raise OptionError(
                f"expected 1 to {MOST_DIMENSIONS:,}, got {in_short(self.dimension)}",
                option="dimension",
            )

    @property
    def is_foreign(self) -> bool:
        """Whether another package made the embeddings: photos cannot be embedded in this way."""
        return self.alignment.startswith(FOREIGN)

    @property
    def id(self) -> str:
        """Short name, for files: equal contracts have equal ids."""
        flip = self.flip if isinstance(self.flip, str) else ("flip" if self.flip else "plain")
        name = f"{self.weights}-{self.weights_sha256[:12]}"
        return f"{name}-{self.alignment}-{self.color_order}-{flip}-{self.dimension}"

    def __repr__(self) -> str:
        """In short: ``id``."""
        return f"Contract({self.id})"

    def check(self, other: Contract) -> None:
        """Raise ContractError, naming what differs, unless ``other`` is the same contract."""
        mine, theirs = asdict(self), asdict(other)
        differing = [key for key in mine if key != "weights" and mine[key] != theirs[key]]
        if differing:
            what = ", ".join(f"{key} {mine[key]} and {theirs[key]}" for key in differing)
            raise ContractError(
                f"expected two embeddings made in the same way, got {self.weights} and "
                f"{other.weights} with different {what}: embed both photos again with the "
                "same recognizer and options"
            )


@dataclass(frozen=True, eq=False, slots=True)
class Embedding(Outcome):
    """What a recognizer makes of one face.

    ``np.asarray(embedding)`` is its vector, ``a @ b`` and ``a.similarity(b)`` are the cosine of
    two. Embeddings that were made in different ways are refused there. Equality is identity: two
    photos never give equal numbers, so compare by similarity.

    Attributes:
        vector: (D,) float32 of length 1.
        norm: length of the network's output before it was scaled to 1. Poor photos (small,
            blurred, turned, covered) tend to have short ones; comparable within a contract only.
        contract: how it was made.
    """

    vector: FloatArray
    norm: float
    contract: Contract

    def __post_init__(self) -> None:
        """Validate, and make the vector read-only; OptionError says what is wrong."""
        vector = _frozen(self.vector, (self.contract.dimension,), "vector")
        with np.errstate(over="ignore"):  # then it is infinite
            length = float(np.linalg.norm(vector))
        if abs(length - 1) > 1e-3:
            raise OptionError(f"expected length 1, got {length:.4f}", option="vector")
        if not (np.isfinite(self.norm) and self.norm > 0):
            raise OptionError(f"expected a finite number above 0, got {self.norm}", option="norm")
        object.__setattr__(self, "vector", vector)
        object.__setattr__(self, "norm", float(self.norm))

    def similarity(self, other: Embedding) -> float:
        """Return the cosine of two embeddings, -1 to 1; higher is more alike.

        Raises:
            ContractError: they were made in different ways.
            OptionError: no embedding.
        """
        if not isinstance(other, Embedding):
            raise OptionError(f"expected an Embedding, got {type(other).__name__}", option="other")
        self.contract.check(other.contract)
        return float(np.clip(self.vector @ other.vector, -1, 1))

    @overload
    def __matmul__(self, other: Embedding) -> float: ...
    @overload
    def __matmul__(self, other: npt.NDArray[Any]) -> Any: ...
    def __matmul__(self, other: object) -> Any:
        """With an embedding as ``similarity``; with an array (D,) or (D, N) as the vector does."""
        if isinstance(other, Embedding):
            return self.similarity(other)
        return self.vector @ other if isinstance(other, np.ndarray) else NotImplemented

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """For NumPy: the vector, (D,) float32."""
        return _as_array(self.vector, dtype, copy)

    def __len__(self) -> int:
        """The dimension, D."""
        return len(self.vector)

    def __repr__(self) -> str:
        """In short."""
        contract = self.contract
        return f"Embedding({contract.weights}, {len(self)} dimensions, norm {self.norm:.3g})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: all numbers of the vector, too."""
        return {
            "vector": [float(f"{v:.9g}") for v in self.vector],  # enough for float32
            "norm": round(self.norm, 4),
            "contract": asdict(self.contract),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One row: weights, norm, and the vector in one cell."""
        return [{"weights": self.contract.weights, "norm": self.norm, "vector": self.vector}]


LivenessOutcome = Literal["live", "attack", "unsure"]
LivenessMethod = Literal["passive", "active"]
_LIVENESS_ORDER = ("attack", "unsure", "live")
Verdict = Literal["same", "different", "undecided", "not_live"]


@dataclass(frozen=True, slots=True)
class Liveness(Outcome):
    """Whether a face is of somebody who was there, not of a print or a screen.

    It is neither true nor false: ``if liveness:`` raises. Ask ``liveness.outcome == "live"``.

    Attributes:
        outcome: "live"; "attack": a picture of a face, or somebody else than began; "unsure": this
            cannot be told, and must not be taken for live.
        score: 0 (an attack) to 1 (live); comparable within a method only. None where nothing could
            be measured.
        method: "passive" looks at one photo or a few; "active" asks for something to be done.
        cues: what was measured, by name, each in its own unit.
        reasons: why the outcome is not "live", in words, each with what to do; () when it is.
    """

    outcome: LivenessOutcome
    score: float | None
    method: LivenessMethod
    cues: dict[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        for what, value, known in (
            ("outcome", self.outcome, get_args(LivenessOutcome)),
            ("method", self.method, get_args(LivenessMethod)),
        ):
            if value not in known:
                raise OptionError(
                    f"expected {', '.join(known)}, got {in_short(value)}", option=what
                )
        if self.score is not None and not 0 <= self.score <= 1:
            raise OptionError(f"expected 0 to 1 or None, got {self.score}", option="score")
        if (self.outcome == "live") == bool(self.reasons):
            raise OptionError(
                f"expected reasons unless live, got {len(self.reasons)} with {self.outcome}",
                option="reasons",
            )

    @property
    def live(self) -> bool:
        """Whether the outcome is "live": "unsure" is not."""
        return self.outcome == "live"

    @property
    def severity(self) -> tuple[int, float]:
        """For sorting, the one that counts first: attacks, what is unsure, then by the score."""
        score = -1.0 if self.score is None else self.score
        return _LIVENESS_ORDER.index(self.outcome), score

    def __bool__(self) -> bool:
        """TruthValueError: "unsure" is neither."""
        return no_truth(self, 'liveness.live, or liveness.outcome == "attack"')

    def __repr__(self) -> str:
        """In short."""
        score = "" if self.score is None else f", score {self.score:.2f}"
        return f"Liveness({self.outcome}, {self.method}{score})"

    def __str__(self) -> str:
        """In words, for people."""
        score = "" if self.score is None else f", score {self.score:.2f}"
        return "\n".join([f"{self.outcome} ({self.method}{score})", *self.reasons])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "outcome": self.outcome,
            "score": None if self.score is None else round(self.score, 4),
            "method": self.method,
            "cues": {name: round(float(value), 4) for name, value in self.cues.items()},
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, eq=False, slots=True)
class Photo(Pictured):
    """One photo or video frame: its pixels, the faces in it, and which of them it is of.

    ``FaceFinder`` makes it of a source; ``Recognizer`` adds embeddings. Whatever takes a source
    takes a ``Photo`` too, and then neither decodes nor detects again.

    It is a sequence of its faces: ``len(photo)``, ``photo[0]``, ``for face in photo``, and
    ``if photo`` for "there is a face". Of a photo that could not be read all of these raise its
    error, since nobody has looked for faces there; ``photo.faces`` is () then.
    ``np.asarray(photo)`` is its pixels.

    Attributes:
        source: name of the photo, for messages and results.
        size_wh: its width and height in pixels; None when it could not be read.
        faces: the most certain first.
        index: number of the face that the photo is of, in ``faces`` (see ``FaceFinder.choose``);
            None when there is none.
        pixels: (H, W, 3) uint8, RGB, upright; None when they were not kept, or not readable, and
            of a JPEG as long as nobody needed all of them (``needed_pixels()`` decodes them).
        selected: numbers of the faces that ``crops`` and ``embeddings`` are of, in their order.
        embeddings: one for each of ``selected``; () when nothing was embedded.
        crops: (N, S, S, 3) uint8, the aligned faces of ``selected``; None when not kept.
        checks: whether each of ``selected`` is of somebody who was there; () when that was not
            checked.
        time_s: seconds since the video's beginning, of a frame; None otherwise.
        frame: number of the frame, from 0; None when it is none.
        sha256: of the file's bytes, or of the array, when it was asked for (``digest``).
        detector: name of what looked for faces; None as long as nothing has.
        error: why there is nothing, or None. A photo without faces is no error here: see
            ``problem``.
        pyramid: the pixels at the scales that were asked for; None when they were not kept.
    """

    source: str
    size_wh: tuple[int, int] | None
    faces: tuple[Face, ...] = ()
    index: int | None = None
    pixels: Image | None = None
    selected: tuple[int, ...] = ()
    embeddings: tuple[Embedding, ...] = ()
    crops: Image | None = None
    time_s: float | None = None
    frame: int | None = None
    sha256: bytes | None = None
    detector: str | None = None
    error: LineamentError | None = None
    pyramid: Pyramid | None = None
    checks: tuple[Liveness, ...] = ()

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        n, lengths = len(self.selected), []
        if self.checks:
            lengths.append(len(self.checks))
        if self.embeddings:
            lengths.append(len(self.embeddings))
        if self.crops is not None:
            lengths.append(len(self.crops))
        if any(length != n for length in lengths):
            raise OptionError(
                f"expected {n} embeddings, crops and checks, as selected, got {lengths}",
                option="photo",
            )
        if not all(0 <= i < len(self.faces) for i in (*self.selected, *self.chosen)):
            raise OptionError(
                f"expected numbers of {len(self.faces)} faces, got {self.selected} and "
                f"{self.index}",
                option="photo",
            )

    @classmethod
    def from_pixels(
        cls,
        pixels: Image,
        source: str,
        *,
        time_s: float | None = None,
        frame: int | None = None,
    ) -> Photo:
        """A photo in which nothing has been looked for yet, such as a frame of a video.

        Args:
            pixels: (H, W, 3) uint8, RGB, upright.
            source: its name.
            time_s: seconds since the video's beginning.
            frame: number of the frame, from 0.

        Raises:
            OptionError: pixels of another shape or type.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise OptionError(
                f"{source}: expected RGB pixels, uint8 of shape (H, W, 3), got {pixels.dtype} of "
                f"shape {pixels.shape}"
            )
        size_wh = (pixels.shape[1], pixels.shape[0])
        return cls(source, size_wh, pixels=pixels, time_s=time_s, frame=frame)

    @property
    def chosen(self) -> tuple[int, ...]:
        """``index`` as a selection: () when there is none."""
        return () if self.index is None else (self.index,)

    @property
    def face(self) -> Face | None:
        """The face that the photo is of."""
        return None if self.index is None else self.faces[self.index]

    @property
    def embedding(self) -> Embedding | None:
        """Of the face that the photo is of; None when that was not embedded."""
        if self.index not in self.selected or not self.embeddings:
            return None
        return self.embeddings[self.selected.index(self.index)]

    @property
    def crop(self) -> Image | None:
        """(S, S, 3) uint8: the face that the photo is of, aligned; None when it was not kept."""
        if self.index not in self.selected or self.crops is None:
            return None
        crop: Image = self.crops[self.selected.index(self.index)]
        return crop

    @property
    def liveness(self) -> Liveness | None:
        """Whether the face that the photo is of is alive; None when that was not checked."""
        if self.index not in self.selected or not self.checks:
            return None
        return self.checks[self.selected.index(self.index)]

    @property
    def problem(self) -> LineamentError | None:
        """Why the photo is of nobody: its error, NoFaceError, or SeveralFacesError where none of
        several may be chosen; None when it is of a face.
        """
        if self.error is not None or self.index is not None:
            return self.error
        if len(self.faces) > 1:
            return SeveralFacesError(
                f"{self.source}: expected one face, found {len(self.faces)}: cut the photo, say by "
                "a box which is meant, or let the largest or most central face be chosen"
            )
        detector = "" if self.detector is None else f" with the detector {self.detector}"
        return NoFaceError(
            f"{self.source}: no face was found{detector}",
            hint="try a photo in which the face is larger or better lit, or {lower_limits}",
        )

    def require(self) -> int:
        """Return the number of the face that the photo is of.

        Raises:
            NoFaceError: there is none.
            SeveralFacesError: there are several, and none of them was to be chosen.
            LineamentError: ``error``, when the photo could not be read.
        """
        problem = self.problem
        if problem is not None:
            raise problem
        assert self.index is not None
        return self.index

    def needed_pixels(self) -> Image:
        """Return the pixels, decoded now if they have not been.

        Raises:
            OptionError: they were not kept.
            LineamentError: ``error``, when the photo could not be read.
        """
        if self.error is not None:
            raise self.error
        if self.pixels is None and self.pyramid is not None:
            return self.pyramid.pixels
        if self.pixels is None:
            raise OptionError(
                f"{self.source}: expected a photo with its pixels, they were not kept",
                hint="find it with keep_pixels=True",
            )
        return self.pixels

    def _found(self) -> tuple[Face, ...]:
        if self.error is not None:
            raise self.error
        return self.faces

    def __len__(self) -> int:
        """How many faces; raises ``error``."""
        return len(self._found())

    def __iter__(self) -> Iterator[Face]:
        """The faces; raises ``error``."""
        return iter(self._found())

    @overload
    def __getitem__(self, number: int) -> Face: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[Face, ...]: ...
    def __getitem__(self, number: int | slice) -> Face | tuple[Face, ...]:
        """The face of that number; raises ``error``."""
        return self._found()[number]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """For NumPy: the pixels, (H, W, 3) uint8; raises as ``needed_pixels``."""
        return _as_array(self.needed_pixels(), dtype, copy)

    def __repr__(self) -> str:
        """In short."""
        if self.error is not None:
            return f"Photo({self.source!r}, error: {self.error})"
        size = "" if self.size_wh is None else f", {self.size_wh[0]} x {self.size_wh[1]}"
        count = len(self.faces)
        faces = {0: "no face", 1: "1 face"}.get(count, f"{count} faces")
        if self.detector is None and not count:
            faces = "not looked at"
        return f"Photo({self.source!r}{size}, {faces})"

    def narrowed(self, numbers: tuple[int, ...], contract: Contract) -> Photo | None:
        """The same photo with some of its selected faces only.

        Args:
            numbers: of the faces.
            contract: how their embeddings must have been made.

        Returns:
            None unless all of these have an embedding of that contract, and a crop.
        """
        if not numbers or self.crops is None or not set(numbers) <= set(self.selected):
            return None
        if not self.embeddings or self.embeddings[0].contract != contract:
            return None
        rows = [self.selected.index(i) for i in numbers]
        embeddings = tuple(self.embeddings[row] for row in rows)
        checks = tuple(self.checks[row] for row in rows) if self.checks else ()
        return replace(
            self, selected=numbers, embeddings=embeddings, crops=self.crops[rows], checks=checks
        )

    def largest(self) -> int | None:
        """Number of the face with the largest box; None without a face.

        Only faces with at least ``LIKELY_SHARE`` of the best score count: a shadow on the wall that
        looks a little like a large face is not whom the photo is of.
        """
        best = max((face.score for face in self.faces), default=0.0)
        areas = [
            face.size_wh[0] * face.size_wh[1] if face.score >= LIKELY_SHARE * best else 0.0
            for face in self.faces
        ]
        return None if not areas else int(np.argmax(areas))

    def most_central(self) -> int | None:
        """Number of the face nearest to the photo's center, measured in its own widths."""
        if self.size_wh is None or not self.faces:
            return None
        center = (np.array(self.size_wh, dtype=float) - 1) / 2
        apart = [
            float(np.linalg.norm(np.array(face.center_xy) - center)) / max(face.size_wh)
            for face in self.faces
        ]
        return int(np.argmin(apart))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; pixels and embeddings are left out."""
        when = {"time_s": self.time_s, "frame": self.frame}
        return {
            "source": self.source,
            "size_wh": None if self.size_wh is None else list(self.size_wh),
            **{key: value for key, value in when.items() if value is not None},
            "faces": [face.to_dict() for face in self.faces],
            "error": None if self.error is None else str(self.error),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One row a face; a photo without any has one row, too."""
        about = {
            "source": self.source,
            "time_s": self.time_s,
            "frame": self.frame,
            "error": None if self.error is None else str(self.error),
        }
        faces: list[tuple[int | None, Face | None]] = [*enumerate(self.faces)] or [(None, None)]
        return [{**about, "face": number, **_face_row(face)} for number, face in faces]


@dataclass(frozen=True, slots=True)
class Quality(Outcome):
    """How good one photo of a face is for recognition.

    Attributes:
        size_px: distance of the eyes in pixels of the photo, had the face been frontal: the
            scale of the 3D face that fits the landmarks, so that a turned head is not called small.
            Without landmarks a third of the box's longer side.
        sharpness: detail of 1 to 2 pixels of the aligned crop of 112, in the direction that has
            least of it (motion blurs one direction only), over the crop's standard deviation; 0
            upwards, 0.14 on most photos. Changes with neither brightness nor contrast, and
            noise is not told from detail. None for a crop of one color.
        yaw_deg: how far the face is turned to the side, -90 to 90; positive towards the viewer's
            right. None without landmarks. Of a single profile it is uncertain by 8 degrees.
        pitch_deg: how far up, -90 to 90; positive up. None without landmarks. Coarse: a long nose
            and a bowed head look the same in five points.
        brightness: mean gray level of the face, 0 to 1.
        contrast: standard deviation of the gray levels, 0 to 0.5.
        norm: length of the embedding before it was scaled to 1; None when not embedded.
            Comparable within a contract only.
        roll_deg: how far the head is tilted in the plane of the photo, above -180 to 180; positive
            clockwise for the viewer. None without landmarks.
        visible_share: how much of the face, from brows to chin, the photo's border leaves, 0 to 1;
            None where the photo's size is not known.
        recognizability: how much of an identity the recognizer finds in the face, whatever spoiled
            it, 0 (nothing: all such faces look alike) to 1 (a clean photo):
            ``lineament.recognizability``. None for a recognizer that it was not fitted for.
            Comparable within a contract only.
    """

    size_px: float
    sharpness: float | None
    yaw_deg: float | None
    pitch_deg: float | None
    brightness: float
    contrast: float
    norm: float | None
    roll_deg: float | None = None
    visible_share: float | None = None
    recognizability: float | None = None

    @property
    def turn_deg(self) -> float | None:
        """How far the face is turned to either side: ``abs(yaw_deg)``."""
        return None if self.yaw_deg is None else abs(self.yaw_deg)

    def __repr__(self) -> str:
        """In short."""
        parts = [f"{self.size_px:.0f} px between the eyes"]
        if self.sharpness is not None:
            parts.append(f"sharpness {self.sharpness:.3f}")
        if self.yaw_deg is not None and self.pitch_deg is not None:
            roll = "" if self.roll_deg is None else f", roll {self.roll_deg:+.0f}"
            parts.append(f"yaw {self.yaw_deg:+.0f}, pitch {self.pitch_deg:+.0f}{roll} degrees")
        parts.append(f"brightness {self.brightness:.2f}, contrast {self.contrast:.2f}")
        if self.visible_share is not None and self.visible_share < 1:
            parts.append(f"{self.visible_share:.2f} of it in the photo")
        if self.norm is not None:
            parts.append(f"norm {self.norm:.3g}")
        if self.recognizability is not None:
            parts.append(f"recognizability {self.recognizability:.2f}")
        return f"Quality({', '.join(parts)})"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return {
            key: None if value is None else round(value, 4) for key, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class Threshold(Outcome):
    """From which score on two faces count as one person, and where that comes from.

    Attributes:
        value: in the unit of ``metric``.
        metric: name of the comparison.
        fmr: the false match rate it is meant for, 0 to 1; None when a person set it by hand.
        data: what it was fitted on, in words.
        impostor_pairs: how many pairs of two people it was fitted on; None when set by hand.
        low, high: 95 % interval of ``value``: how far it moves when the people that it was fitted
            on are drawn anew; None where that is not known.
    """

    value: float
    metric: str
    fmr: float | None
    data: str
    impostor_pairs: int | None
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = asdict(self)
        values["n_impostor_pairs"] = values.pop("impostor_pairs")
        return values

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if self.fmr is None:
            return self.data
        pairs = "" if self.impostor_pairs is None else f", {self.impostor_pairs:,} impostor pairs"
        return f"false match rate {self.fmr:g} on {self.data}{pairs}"

    def __str__(self) -> str:
        """In words, for people."""
        return f"{self.value:.3f} ({self.origin})"

    def __repr__(self) -> str:
        """In short."""
        aim = self.data if self.fmr is None else f"for a false match rate of {self.fmr:g}"
        return f"Threshold({self.value:.3f} {self.metric}, {aim})"


@dataclass(frozen=True, slots=True)
class Certainty(Outcome):
    """How probable it is that two photos show one person, and what that rests on.

    Attributes:
        probability: 0 to 1.
        low, high: its 95 % interval: how far it moves when the people of the data are drawn anew.
            It does not cover that your photos may differ from those of the data.
        llr: natural logarithm of the likelihood ratio: how much more likely the score is for one
            person than for two.
        prior: the share of genuine pairs that was taken for granted, 0 to 1.
        data: what the calibration was fitted on, in words.
        people, genuine_pairs, impostor_pairs: how much that is.
    """

    probability: float
    low: float
    high: float
    llr: float
    prior: float
    data: str
    people: int
    genuine_pairs: int
    impostor_pairs: int

    @property
    def in_words(self) -> str:
        """The probability and its interval, in per cent, never rounded up to certainty."""
        value, low, high = (per_cent(p) for p in (self.probability, self.low, self.high))
        return f"{value} ({low.removesuffix(' %')} to {high})"

    def __repr__(self) -> str:
        """In short."""
        return f"Certainty({self.in_words}, prior {self.prior:g})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values = asdict(self)
        for name in ("people", "genuine_pairs", "impostor_pairs"):
            values[f"n_{name}"] = values.pop(name)
        return values

    @property
    def origin(self) -> str:
        """What it rests on, in words."""
        return (
            f"{self.data}: {self.people:,} people, {self.genuine_pairs:,} genuine and "
            f"{self.impostor_pairs:,} impostor pairs; prior {self.prior:g}"
        )


@dataclass(frozen=True, eq=False, slots=True)
class Decision(Pictured):
    """Whether two faces are of the same person, and what that rests on.

    It is neither true nor false: ``if verify(a, b):`` raises, as ``if array:`` does in NumPy,
    because there are more answers and code with two ends would let the others through. Ask
    ``decision.verdict == "same"`` where the answer must be relied upon, or ``decision.same`` for
    the bare threshold.

    Attributes:
        same: whether the score reaches the threshold. ``verdict`` may leave the answer open.
        score: of the two embeddings, in the unit of ``metric``.
        metric: name of the comparison, for example "cosine".
        similarity: cosine of the two embeddings, -1 to 1; higher is more alike.
        threshold: what the score was held against.
        margin: how far the score lies from the threshold, in the metric's unit; positive on the
            side of "same", whatever the metric's direction.
        source_a, source_b: names of the photos.
        face_a, face_b: the faces that were compared; None when only embeddings were given.
        others_a, others_b: how many more faces each photo has.
        norm_a, norm_b: lengths of the embeddings before scaling (see ``Embedding``).
        contract: how both embeddings were made.
        certainty: the probability, with its interval; None without a calibration.
        quality_a, quality_b: of the faces; None when only embeddings were given.
        reasons: why the answer is open, each with what to do; () when it is not.
        liveness_a, liveness_b: whether the faces are of somebody who was there; None where that
            was not checked.
        crop_a, crop_b: (S, S, 3) uint8, the aligned faces, for pictures; None in lists, where
            they would fill the memory, and when only embeddings were given.
    """

    same: bool
    score: float
    metric: str
    similarity: float
    threshold: Threshold
    margin: float
    source_a: str
    source_b: str
    face_a: Face | None
    face_b: Face | None
    others_a: int
    others_b: int
    norm_a: float
    norm_b: float
    contract: Contract
    certainty: Certainty | None = None
    quality_a: Quality | None = None
    quality_b: Quality | None = None
    reasons: tuple[str, ...] = ()
    crop_a: Image | None = None
    crop_b: Image | None = None
    liveness_a: Liveness | None = None
    liveness_b: Liveness | None = None

    def __bool__(self) -> bool:
        """TruthValueError: "undecided" is neither."""
        return no_truth(
            self, 'decision.verdict == "same" (sure), or decision.same (past the threshold)'
        )

    def __repr__(self) -> str:
        """In short."""
        parts = [
            f"{self.metric} {self.score:.3f}",
            f"threshold {self.threshold.value:.3f}",
            *([] if self.certainty is None else [f"one person: {self.certainty.in_words}"]),
            f"{self.source_a!r}, {self.source_b!r}",
        ]
        return f"Decision({self.verdict}, {', '.join(parts)})"

    @property
    def liveness(self) -> Liveness | None:
        """Of both faces the check that counts: one that failed before one that did not.

        None when nothing was checked.
        """
        checks = [each for each in (self.liveness_a, self.liveness_b) if each is not None]
        return min(checks, key=lambda each: each.severity) if checks else None

    @property
    def verdict(self) -> Verdict:
        """The answer.

        "not_live" when a face was checked and is not known to be alive, whoever it is of;
        "undecided" when there are ``reasons`` not to rely on the answer.
        """
        if self.liveness is not None and not self.liveness.live:
            return "not_live"
        if self.reasons:
            return "undecided"
        return "same" if self.same else "different"

    @property
    def not_live_reasons(self) -> tuple[str, ...]:
        """Why the verdict is "not_live", each with the photo's name; () when it is not."""
        return tuple(
            f"{source}: {reason}"
            for source, check in (
                (self.source_a, self.liveness_a),
                (self.source_b, self.liveness_b),
            )
            if check is not None
            for reason in check.reasons
        )

    @property
    def probability(self) -> float | None:
        """That both show one person, 0 to 1; None without a calibration."""
        return None if self.certainty is None else self.certainty.probability

    @property
    def verdict_in_words(self) -> str:
        """The answer for people."""
        words = {"same": "the same person", "different": "different people"}
        if self.verdict == "not_live":
            assert self.liveness is not None
            if self.liveness.outcome == "attack":
                return "not live: a face is a picture of one"
            return "not live: whether both faces are alive cannot be told"
        if self.verdict != "undecided":
            return words[self.verdict]
        if self.probability is not None and (self.probability >= 0.5) != self.same:
            if self.same:
                return "undecided: alike enough for the threshold, yet rather two people"
            return "undecided: not alike enough for the threshold, yet rather one person"
        return "undecided, rather " + words["same" if self.same else "different"]

    def __str__(self) -> str:
        """The decision in words."""
        side = "past" if self.same else "short of"
        lines = [
            f"{self.verdict_in_words}: {self.metric} {self.score:.3f} is {abs(self.margin):.3f} "
            f"{side} the threshold {self.threshold}"
        ]
        for source, others in ((self.source_a, self.others_a), (self.source_b, self.others_b)):
            if others:
                faces = "1 other face" if others == 1 else f"{others} other faces"
                lines.append(f"{printable(source)} has {faces}; one was compared")
        if self.certainty is not None:
            certainty = self.certainty
            lines.append(f"one person is {certainty.in_words} probable ({certainty.origin})")
        lines += [f"not live because {reason}" for reason in self.not_live_reasons]
        lines += [f"undecided because {reason}" for reason in self.reasons]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "same": self.same,
            "verdict": self.verdict,
            "reasons": [*self.not_live_reasons, *self.reasons],
            "probability": self.probability,
            "certainty": None if self.certainty is None else self.certainty.to_dict(),
            "score": round(self.score, 6),
            "metric": self.metric,
            "similarity": round(self.similarity, 6),
            "threshold": self.threshold.to_dict(),
            "margin": round(self.margin, 6),
            "a": _side(self.source_a, self.face_a, self.others_a, self.norm_a, self.quality_a)
            | _checked(self.liveness_a),
            "b": _side(self.source_b, self.face_b, self.others_b, self.norm_b, self.quality_b)
            | _checked(self.liveness_b),
            "contract": asdict(self.contract),
            "explanation": str(self),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One row: the answer first; the faces' boxes and landmarks are left out."""
        certainty = {} if self.certainty is None else asdict(self.certainty)
        threshold = self.threshold.to_dict()
        sides = {}
        for name, norm, others, quality in (
            ("a", self.norm_a, self.others_a, self.quality_a),
            ("b", self.norm_b, self.others_b, self.quality_b),
        ):
            measures = {} if quality is None else quality.to_dict()
            sides[name] = {"n_other_faces": others, **measures, "norm": round(norm, 4)}
        return [
            {
                "source_a": self.source_a,
                "source_b": self.source_b,
                "verdict": self.verdict,
                "same": self.same,
                "score": self.score,
                "metric": self.metric,
                "similarity": self.similarity,
                "margin": self.margin,
                **flat({"threshold": threshold}),
                **{key: certainty.get(key) for key in ("probability", "low", "high", "prior")},
                "reasons": "; ".join([*self.not_live_reasons, *self.reasons]),
                **({} if self.liveness is None else {"liveness": self.liveness.outcome}),
                "weights": self.contract.weights,
                **flat(sides),
            }
        ]


def _side(
    source: str, face: Face | None, others: int, norm: float, quality: Quality | None
) -> dict[str, Any]:
    return {
        "source": source,
        "face": None if face is None else face.to_dict(),
        "n_other_faces": others,
        "embedding_norm": round(norm, 4),
        "quality": None if quality is None else quality.to_dict(),
    }


def _checked(check: Liveness | None) -> dict[str, Any]:
    """The key "liveness" of a face that was checked."""
    return {} if check is None else {"liveness": check.to_dict()}

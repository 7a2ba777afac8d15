"""What was found in a source: a photo and its faces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt

from lineament.errors import LineamentError, NoFaceError, OptionError, SeveralFacesError
from lineament.pose import HeadPose, head_pose, wrapped_deg
from lineament.results import Outcome, Pictured
from lineament.types._arrays import FloatArray, Image, as_array, frozen
from lineament.types._embeddings import Contract, Embedding
from lineament.types._liveness import Liveness

if TYPE_CHECKING:
    from lineament.pyramid import Pyramid

LIKELY_SHARE = 0.75
"""Of the best face's score; real faces of LFW and of the WIDER sample of some size reach it."""

LANDMARK_NAMES = ("left eye", "right eye", "nose tip", "left mouth corner", "right mouth corner")


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
        box = frozen(self.box_xyxy, (4,), "box_xyxy")
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
            points = frozen(self.landmarks_xy, (5, 2), "landmarks_xy")
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
        return as_array(self.needed_pixels(), dtype, copy)

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

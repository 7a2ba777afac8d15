"""What is said of how faces look: values, each with the doubt that is known of it.

    PhotoAttributes    a photo: ``FaceAttributes`` of each face
    Age, Gender, Expression, Eye, Mouth, Gaze     of one face

Left and right are as the viewer sees them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lineament.pose import HeadPose
from lineament.results import Outcome, Pictured
from lineament.types import Face, Photo

GenderVerdict = Literal["woman", "man", "undecided"]
ExpressionName = Literal[
    "neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised", "undecided"
]
EyeState = Literal["open", "shut", "undecided"]


@dataclass(frozen=True, slots=True)
class Age(Outcome):
    """How old a face looks.

    Attributes:
        years: the estimate.
        low, high: most people of known age lay in between (``attributes.age.ERRORS``).
    """

    years: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Gender(Outcome):
    """Whether a face looks like those of women or of men.

    Attributes:
        verdict: "undecided" where neither is probable enough.
        woman, man: probabilities, 0 to 1, where as many women as men are expected; they sum to 1.
    """

    verdict: GenderVerdict
    woman: float
    man: float


@dataclass(frozen=True, slots=True)
class Expression(Outcome):
    """What a face expresses, as far as a network sees it; not what anybody feels.

    Attributes:
        verdict: the most probable one, or "undecided" where none is probable enough.
        probabilities: of each name, 0 to 1; they sum to 1.
    """

    verdict: ExpressionName
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Eye(Outcome):
    """One eye.

    Attributes:
        state: "undecided" where it is half shut. Who looks down has shut eyes.
        shut: how far it is shut, 0 to 1 (the blendshape "eyeBlink").
        opening: distance of the lids over the eye's width.
    """

    state: EyeState
    shut: float
    opening: float


@dataclass(frozen=True, slots=True)
class Mouth(Outcome):
    """The mouth.

    Attributes:
        state: a smile that shows teeth is a shut mouth, or undecided.
        jaw: how far the jaw is down, 0 to 1 (the blendshape "jawOpen").
        opening: distance of the lips' inner edges over the mouth's width.
    """

    state: EyeState
    jaw: float
    opening: float


@dataclass(frozen=True, slots=True)
class Gaze(Outcome):
    """Where a face looks. Zeros of the head: straight ahead; of the camera: into it.

    Attributes:
        head_right_deg, head_up_deg: of the head: how far the eyes are turned to the viewer's right
            and up.
        camera_right_deg, camera_up_deg: of the camera, the head's turn included.
        sources: 2: the mesh and the pixels say so; 1: the mesh alone, which is less sure.
    """

    head_right_deg: float
    head_up_deg: float
    camera_right_deg: float
    camera_up_deg: float
    sources: int


@dataclass(frozen=True, slots=True)
class FaceAttributes(Outcome):
    """What is said of one face.

    What nobody asked for (``only``) is None.

    Attributes:
        face: as it was found.
        number: in ``Photo.faces``, from 0.
        age, gender, expression: how it looks.
        pose: how the head is held.
        eyes: the left and the right one, as the viewer sees them.
        mouth: whether it is open.
        gaze: where it looks; None, too, where an eye is shut or the head is turned far to a side.
        presence: how certain the mesh's network is that it sees a face, 0 to 1; None without mesh.
        doubts: why less is to be believed of what is said here, in words; () where nothing is
            known against it.
    """

    face: Face
    number: int
    age: Age | None = None
    gender: Gender | None = None
    expression: Expression | None = None
    pose: HeadPose | None = None
    eyes: tuple[Eye, Eye] | None = None
    mouth: Mouth | None = None
    gaze: Gaze | None = None
    presence: float | None = None
    doubts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            **self.face.to_dict(),
            "age": _plain(self.age, 1),
            "gender": _plain(self.gender, 4),
            "expression": _plain(self.expression, 4),
            "pose": _plain(self.pose, 2),
            "eyes": None if self.eyes is None else [_plain(eye, 4) for eye in self.eyes],
            "mouth": _plain(self.mouth, 4),
            "gaze": _plain(self.gaze, 1),
            "presence": None if self.presence is None else round(self.presence, 4),
            "doubts": list(self.doubts),
        }


@dataclass(frozen=True, slots=True)
class PhotoAttributes(Pictured):
    """What is said of the faces of one photo; a sequence of ``FaceAttributes``.

    Attributes:
        photo: as it was found, with its pixels where they were kept.
        faces: those that were looked at, in their order.
    """

    photo: Photo
    faces: tuple[FaceAttributes, ...]

    @property
    def source(self) -> str:
        """Name of the photo."""
        return self.photo.source

    def __len__(self) -> int:
        """The number of faces."""
        return len(self.faces)

    def __getitem__(self, number: int) -> FaceAttributes:
        """One face."""
        return self.faces[number]

    def __iter__(self) -> Iterator[FaceAttributes]:
        """The faces."""
        return iter(self.faces)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, with the limits of what is said."""
        from lineament.attributes.limits import LIMITS

        values = self.photo.to_dict()
        values["faces"] = [face.to_dict() for face in self.faces]
        return values | {"limits": dict(LIMITS)}


def _plain(result: Outcome | None, digits: int) -> dict[str, Any] | None:
    return None if result is None else _rounded(result.to_dict(), digits)


def _rounded(values: Mapping[str, Any], digits: int) -> dict[str, Any]:
    """Numbers with so many digits behind the point, whatever is in between left as it is."""
    done: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            done[name] = _rounded(value, digits)
        else:
            done[name] = round(value, digits) if isinstance(value, float) else value
    return done

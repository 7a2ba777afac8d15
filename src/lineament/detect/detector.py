"""What a detector is, what it can be asked for, and which there are.

A detector is any object with the method of ``Detector``. A class or function that makes one is
registered by name, with the models that it takes:

    @register_detector("mine", models=("my-model",))
    class Mine:
        def __init__(self, model): ...
        def detect(self, image, options): ...

"mine" then stands for it everywhere, and "mine+onet" for it with the O-Net's landmarks. So do
"KIND:FILE" for a file of the user's and the name of its card (``lineament.detect.kinds``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from lineament import models
from lineament.arguments import check_fields, checked
from lineament.detect import kinds
from lineament.errors import OptionError
from lineament.forks import lock
from lineament.models import LicensePolicy
from lineament.models.registry import Entry, Registry
from lineament.models.runtime import Model, Runtime, load_model
from lineament.pyramid import Pyramid
from lineament.types import Face, FloatArray, Image

if TYPE_CHECKING:
    from lineament.detect.landmarks import ProfileLandmarks

Made = TypeVar("Made")

LEAST_FACE_PX = 10.0
"""Below this no detector here is of use, and no recognizer."""

LEAST_FACE_SHARE = 1 / 150
"""Of the photo's longer side: 27 pixels in 12 megapixels. Smaller faces are looked for only
when asked for, since the time grows with the square. Of a photo longer than 16:9 it is of the
longer side that 16:9 has at its area, so that time goes by area, and a screenshot thirty times as
high as wide hides no faces."""

LONGEST_SHAPE = 16 / 9


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """Options of ``Detector.detect``.

    Attributes:
        min_face_px: faces whose longer side is shorter than this many pixels of the photo are
            not looked for, and not returned. Greater values are faster. None is 10 pixels, or
            1/150 of the photo's longer side where that is more (of long ones less).
        min_score: least score, 0 to 1; None takes the detector's own default.
        max_faces: return at most so many, the best; None returns all.
    """

    min_face_px: float | None = None
    min_score: float | None = None
    max_faces: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        check_fields(self)
        if self.min_face_px is not None and not 4 <= self.min_face_px <= 100_000:
            raise OptionError(
                f"expected 4 or more pixels, got {self.min_face_px}", option="min_face_px"
            )
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise OptionError(f"expected 0 to 1, got {self.min_score}", option="min_score")
        if self.max_faces is not None and self.max_faces < 1:
            raise OptionError(f"expected 1 or more, got {self.max_faces}", option="max_faces")

    def least_face_px(self, image: Image | Pyramid) -> float:
        """``min_face_px``, or its default for this photo."""
        if self.min_face_px is not None:
            return self.min_face_px
        height, width = image.shape[:2]
        longer = min(float(max(height, width)), math.sqrt(LONGEST_SHAPE * height * width))
        return max(LEAST_FACE_PX, LEAST_FACE_SHARE * longer)


class Detector(Protocol):
    """Finds faces. Calls from several threads are safe."""

    def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
        """Return the faces of one photo, the most certain first; [] when there are none."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """What a detector saw in a photo, before anything was turned.

    Attributes:
        faces: as ``Detector.detect`` returns them.
        upright: (N,) for each how certain it is that it was read upright, 0 to 1.
        weak: what may be a face, but is not certain enough to be called one upright: the best
            first. None: the detector cannot say.
    """

    faces: list[Face]
    upright: FloatArray
    weak: list[Face] | None = None


@runtime_checkable
class SeeingDetector(Detector, Protocol):
    """A detector that also says what it is unsure of."""

    def see(self, image: Image, options: DetectOptions, /) -> Seen:
        """The faces of one photo, and what may be others."""
        ...


def detect(detector: Detector, image: Image | Pyramid, options: DetectOptions) -> list[Face]:
    """``detector.detect`` on a photo's levels, where it takes them, else on its pixels."""
    return detector.detect(_taken(detector, image), options)


def see(detector: Detector, image: Image | Pyramid, options: DetectOptions) -> Seen:
    """``detector.see`` where it has that, else what can be made of ``detector.detect``."""
    image = _taken(detector, image)
    if isinstance(detector, SeeingDetector):
        return detector.see(image, options)
    faces = detector.detect(image, options)
    return Seen(faces, np.ones(len(faces), np.float32))


def _taken(detector: Detector, image: Image | Pyramid) -> Image:
    """What a detector is given; those of the package whose ``takes_levels`` is true take both."""
    if isinstance(image, Pyramid) and not getattr(detector, "takes_levels", False):
        return image.pixels
    return image  # type: ignore[return-value]


# --- which there are ------------------------------------------------------------------------------

DEFAULT_DETECTOR = "yunet+onet"

_REFINED = "+onet"
_ONET = "mtcnn-o"
_YUNET = "yunet"
_OF_PROFILES = ("landmarks68", "facemesh")
"""What "+onet" asks, too, where a head is turned far to a side, if the policy accepts both."""

_DETECTORS: Registry[Callable[..., Detector]] = Registry(
    "detector",
    {
        "yunet": Entry("lineament.detect.yunet:YuNet", (_YUNET,)),
        "mtcnn": Entry("lineament.detect.mtcnn:MTCNN", ("mtcnn-p", "mtcnn-r", _ONET)),
        "blazeface": Entry("lineament.detect.blazeface:BlazeFace", ("blazeface-full",)),
        "ultralight": Entry("lineament.detect.ultralight:UltraLight", ("ultralight-320",)),
        "dlib-hog": Entry("lineament.detect.by_dlib:Hog"),
    },
)

_WRAPPERS: Registry[Callable[..., Detector]] = Registry(
    "wrapper of a detector",
    {
        "onet": Entry("lineament.detect.refine:Refined", (_ONET,)),
        "turning": Entry("lineament.detect.turning:Turning", (_YUNET,)),
        "file": Entry("lineament.detect.recognize:build"),
    },
)

register_detector = _DETECTORS.register
"""Decorator of a class or function that takes loaded models and returns a ``Detector``."""


class _Names(Mapping[str, tuple[str, ...]]):
    """Names of detectors and of the models each needs. "+onet" adds landmarks, or finer ones.

    Files of the user's, "KIND:FILE", are found, and not listed, unless a manifest names them.
    """

    def __getitem__(self, name: str) -> tuple[str, ...]:
        base = name.removesuffix(_REFINED)
        needed = _models_of(base)
        if needed is None or (base != name and _ONET in needed):
            raise KeyError(name)
        return needed if base == name else (*needed, _ONET)

    def __iter__(self) -> Iterator[str]:
        yield DEFAULT_DETECTOR
        own = (card.name for card in models.entries("detector") if kinds.is_kind(card))
        for base in dict.fromkeys([*_DETECTORS.names(), *own]):
            yield base
            if base + _REFINED in self and base + _REFINED != DEFAULT_DETECTOR:
                yield base + _REFINED

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _models_of(base: str) -> tuple[str, ...] | None:
    """The models that a detector takes; None: there is none of that name."""
    file = kinds.file_of(base)
    if file is not None:
        return (kinds.card_of_file(*file).name,)
    entry = _DETECTORS.find(base)
    if entry is not None:
        return entry.models
    own = (card.name for card in models.entries("detector") if kinds.is_kind(card))
    return (base,) if base in own else None


DETECTORS: Mapping[str, tuple[str, ...]] = _Names()
"""Names of detectors, and of the models each needs. "+onet" adds landmarks, or finer ones."""


def check_detector(name: str, policy: LicensePolicy) -> None:
    """Return if there is a detector of that name and the policy accepts its models.

    Raises:
        OptionError: there is no detector of that name.
        LicenseError: the policy refuses one of its models.
    """
    if name not in DETECTORS:
        raise OptionError(
            f"expected one of {', '.join(DETECTORS)}, got {name!r}",
            option="detector",
            hint=f"a file of your own is KIND:FILE, with {', '.join(kinds.KINDS)}, or "
            f"{kinds.ANY}:FILE",
        )
    for model in DETECTORS[name]:
        policy.check(models.get(model))


def detector_code(name: str) -> str | None:
    """The SHA-256 of the file that brings a detector; None for the package's own."""
    base = name.removesuffix(_REFINED)
    return None if _DETECTORS.find(base) is None else _DETECTORS.code_sha256(base)


@checked
def load_detector(
    name: str = DEFAULT_DETECTOR,
    *,
    turning: bool = True,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> Detector:
    """Build a detector.

    Args:
        name: one of ``DETECTORS``, or "KIND:FILE" for a file of your own
            (``lineament.detect.kinds``).
        turning: find faces at any roll; False looks for upright ones only.
        runtime: engine, device and threads.
        policy: which licenses may be used.

    Raises:
        OptionError: there is no detector of that name.
        WeightsError: its models are missing, damaged or refused, or a file is not of its kind.
        MissingExtraError: it needs a package that is not installed.
    """
    policy = LicensePolicy.active() if policy is None else policy
    check_detector(name, policy)

    def load(model: str, *, crops: bool = True) -> Model:
        return load_model(models.get(model), runtime=runtime, policy=policy, few_sizes=crops)

    base = name.removesuffix(_REFINED)
    own = models.get(DETECTORS[base][0]) if _DETECTORS.find(base) is None else None

    def build(*, crops: bool) -> Detector:
        """For photos, which have many sizes, or for crops of one."""
        plain: Detector
        if own is not None:
            plain = _WRAPPERS.builder("file")(own, runtime=runtime, policy=policy, crops=crops)
        else:
            needed = (load(model, crops=crops) for model in DETECTORS[base])
            plain = _DETECTORS.builder(base)(*needed)
        if base == name:
            return plain
        return _WRAPPERS.builder("onet")(
            plain, load(_ONET, crops=crops), profiles if accepted else None
        )

    accepted = all(policy.refusal(models.get(model)) is None for model in _OF_PROFILES)
    profiles = _Later(lambda: _profile_landmarks(*map(load, (_ONET, *_OF_PROFILES))))
    detector = build(crops=False)
    if not turning:
        return detector
    policy.check(models.get(_YUNET))
    return _WRAPPERS.builder("turning")(
        detector, _Later(lambda: load(_YUNET)), _Later(lambda: build(crops=True))
    )


def _profile_landmarks(onet: Model, landmarks68: Model, mesh: Model) -> ProfileLandmarks:
    from lineament.detect.landmarks import ProfileLandmarks

    return ProfileLandmarks(onet, landmarks68, mesh)


class _Later(Generic[Made]):
    """Makes something when it is first asked for, once. Calls from several threads are safe."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._made: Made | None = None
        self._lock = lock()

    def __call__(self) -> Made:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

"""How old a face looks, and whether it looks male, by one network.

    estimate_ages()     photo and faces -> years
    AgeEstimator        the same from a loaded network; from aligned crops, too
    crop_ages()         aligned crops -> years, the network loaded when it is needed
    age_of()            years -> ``Age``, with the interval that people of known age lay in

The network is AgeGenderNet of face-api.js (the model "age-gender"), an Xception with two middle
blocks (Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017,
arXiv:1610.02357). It says how old a face *looks*. Published (README of face-api.js): a mean error
of 4.5 years over the data of its training; 1.5 for those of 0 to 3 years, 3.1 from 4 to 8, 4.8 from
9 to 18, 6.2 from 60 to 80. Here: 6.0 on photos of LFW View 1 of 82 people whose year of birth is
known, nearly all of them adults, each person counting once (``benchmarks/accuracy/ages.py``).

It wants the detector's box; a square of the aligned face that is as large does as well, so crops
that were kept for recognition will do. On View 1 the ages of both correlate with 0.96 and differ by
3.2 years on average; those of a box and its mirror image do so by 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from lineament import models
from lineament.align.alignment import NATIVE_PX, Alignment, face_transforms
from lineament.arguments import checked
from lineament.attributes.results import Age
from lineament.errors import OptionError
from lineament.geometry import ARCFACE_TEMPLATE_XY, similarity_transforms, warp
from lineament.models import LicensePolicy
from lineament.models.runtime import Model, Runtime, load_model
from lineament.types import Face, Float64Array, FloatArray, Image, Photo

MODEL = "age-gender"

INPUT_PX = 112
"""Side of the network's input."""

SQUARE_PX, DOWN_PX = 106, 10
"""What the network is shown, in pixels of the ArcFace crop of 112: a square of that side, so far
below the crop's middle. YuNet's boxes on View 1, in the median: 13 to 119 from the crop's top. What
lies below the crop, 7 pixels, is black where there is no more than the crop."""

BATCH = 64

ERRORS = ((30.0, -7.0, 11.0), (60.0, -24.0, 11.0), (120.0, -8.0, 12.0))
"""Up to how many estimated years, and between what further years nine of ten people of known age
lay then: the 61 people of LFW View 1 that ``benchmarks/accuracy/ages.py`` names and whose first
names ``benchmarks/accuracy/looking/names.py`` has, a face and its mirror image averaged. Of 120
other people 79 % lie within (``benchmarks/attributes.py``)."""


@dataclass(frozen=True, eq=False, slots=True)
class Attributes:
    """What N faces look like.

    Attributes:
        years: (N,) float32: how old.
        male: (N,) float32, 0 to 1: how certain the network is that the face is a man's; its
            name for the rest is female.
        mirrored: (N,) float32: the same of the mirror images; None where they were not looked at.
    """

    years: FloatArray
    male: FloatArray
    mirrored: FloatArray | None = None

    def __len__(self) -> int:
        """The number of faces."""
        return len(self.years)


class AgeEstimator:
    """Estimates ages by a loaded network. Calls from several threads are safe."""

    def __init__(self, model: Model) -> None:
        """``model``: "age-gender"."""
        self._model = model

    def read(self, image: Image, faces: Sequence[Face]) -> Attributes:
        """Look at faces of a photo.

        Args:
            image: (H, W, 3) uint8, RGB.
            faces: as a detector returns them. Those without landmarks are shown as their box has
                them, not turned upright.

        Raises:
            OptionError: an image of another shape or type, or landmarks that coincide.
        """
        return self.read_shown(self.shown(image, faces))

    def shown(self, image: Image, faces: Sequence[Face]) -> Image:
        """Cut faces out as the network has them: (N, 112, 112, 3) uint8; arguments as ``read``."""
        return warp(image, _transforms(faces), INPUT_PX)

    def read_both(self, shown: Image) -> Attributes:
        """Look at pictures that are cut so and at their mirror images; the years are means."""
        one = self.read_shown(shown)
        other = self.read_shown(np.ascontiguousarray(shown[:, :, ::-1]))
        years = (one.years + other.years) / np.float32(2)
        return Attributes(years, one.male, other.male)

    def read_crops(self, crops: Image, alignment: str = f"arcface-{NATIVE_PX}") -> Attributes:
        """Look at faces that were cut out for recognition.

        Args:
            crops: (N, height, width, 3) uint8, RGB.
            alignment: how they were made, as contracts name it; of those with a template.

        Raises:
            OptionError: crops of another shape or type, or an alignment without a template.
        """
        wanted = Alignment.parse(alignment)
        if wanted.method != "five-points":
            raise OptionError(
                f'expected crops by a template, such as "arcface-112", got {alignment!r}',
                option="alignment",
            )
        if crops.ndim != 4 or crops.dtype != np.uint8 or crops.shape[3] != 3:
            raise OptionError(
                f"expected uint8 of shape (N, height, width, 3), got {crops.dtype}, {crops.shape}",
                option="crops",
            )
        matrix = similarity_transforms(wanted.template_xy[None], _input_template_xy())
        shown = np.zeros((len(crops), INPUT_PX, INPUT_PX, 3), np.uint8)
        for place, crop in zip(shown, crops, strict=True):
            place[:] = warp(crop, matrix, INPUT_PX)[0]
        return self.read_shown(shown)

    def read_shown(self, shown: Image) -> Attributes:
        """Look at pictures that are cut as the network has them: (N, 112, 112, 3) uint8, RGB."""
        years = np.zeros(len(shown), np.float32)
        male = np.zeros(len(shown), np.float32)
        for start in range(0, len(shown), BATCH):
            part = slice(start, start + BATCH)
            batch = np.ascontiguousarray(shown[part].transpose(0, 3, 1, 2), dtype=np.float32)
            years[part], male[part] = self._model(batch)
        return Attributes(np.maximum(years, np.float32(0)), male)


def load_age_estimator(
    *, runtime: Runtime | None = None, policy: LicensePolicy | None = None
) -> AgeEstimator:
    """Load the network; it is compiled once per process.

    Args:
        runtime: engine, device and threads; None asks the environment.
        policy: which licenses may be used; None asks the environment.

    Raises:
        WeightsError: its file is missing, damaged or refused.
    """
    return AgeEstimator(load_model(models.get(MODEL), runtime=runtime, policy=policy))


def crop_ages(
    alignment: str, *, runtime: Runtime | None = None, policy: LicensePolicy | None = None
) -> Callable[[Image], FloatArray] | None:
    """Return a function from aligned crops, (N, height, width, 3), to years, (N,).

    The network is loaded when it is first called.

    Args:
        alignment: how the crops are made, as contracts name it.
        runtime, policy: as for ``load_age_estimator``.

    Returns:
        None where the alignment has no template, or the policy refuses the network.
    """
    policy = LicensePolicy.active() if policy is None else policy
    by_template = Alignment.parse(alignment).method == "five-points"
    if not by_template or policy.refusal(models.get(MODEL)) is not None:
        return None
    return partial(_years_of_crops, alignment=alignment, runtime=runtime, policy=policy)


def _years_of_crops(
    crops: Image, *, alignment: str, runtime: Runtime | None, policy: LicensePolicy
) -> FloatArray:
    estimator = load_age_estimator(runtime=runtime, policy=policy)
    return estimator.read_crops(crops, alignment).years


def age_of(years: float) -> Age:
    """Years as ``AgeEstimator.read_both`` has them, with their interval (``ERRORS``)."""
    below, above = next(
        (low, high) for most, low, high in ERRORS if years < most or most == ERRORS[-1][0]
    )
    return Age(years, max(0.0, years + below), years + above)


@checked
def estimate_ages(
    photo: Photo | Image,
    faces: Sequence[Face] | None = None,
    *,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
) -> FloatArray:
    """How old faces look.

    Args:
        photo: as a finder returns it, with its pixels; or the pixels, (H, W, 3) uint8, RGB.
        faces: of that photo; None takes all of a ``Photo``.
        runtime, policy: as for ``load_age_estimator``.

    Returns:
        (N,) float32, years.

    Raises:
        OptionError: pixels without faces, or a photo without its pixels.
        WeightsError: the network is missing, damaged or refused.
    """
    if faces is None:
        if not isinstance(photo, Photo):
            raise OptionError("expected the faces of these pixels, got none", option="faces")
        faces = photo.faces
    pixels = photo.needed_pixels() if isinstance(photo, Photo) else photo
    return load_age_estimator(runtime=runtime, policy=policy).read(pixels, faces).years


def _transforms(faces: Sequence[Face]) -> Float64Array:
    """Return the matrices from the photo to the input, (N, 2, 3)."""
    matrices = np.zeros((len(faces), 2, 3))
    for place, face in zip(matrices, faces, strict=True):
        if face.landmarks_xy is None:
            place[:] = face_transforms([face], Alignment.square(INPUT_PX, "crop"))[0]
        else:
            five = np.asarray(face.landmarks_xy, np.float64)
            place[:] = similarity_transforms(five[None], _input_template_xy())[0]
    return matrices


def _input_template_xy() -> Float64Array:
    """Return where the five landmarks lie in the input: (5, 2), pixels."""
    middle = (NATIVE_PX - 1) / 2 + np.array([0.0, DOWN_PX])
    points: Float64Array = (ARCFACE_TEMPLATE_XY - middle) * INPUT_PX / SQUARE_PX
    return points + (INPUT_PX - 1) / 2

"""Photos as they could have been: mirrored, in other light, smaller, compressed, covered.

What happens depends on the options and a seed only, never on global random state; ``Crops`` makes
the seed of (run's seed, epoch, photo), so that workers, processes and restarts change nothing.
All random numbers are drawn in one go, whatever is switched on: turning one operation on leaves
the others as they were.

The operations, in their order:

    flip              mirrored left to right
    rotation, scaling, shift
                      as if the alignment had missed a little; edges are repeated
    brightness, contrast, saturation
                      y = b x,  then y = m + c (y - m) with m the mean gray,  then
                      y = g + s (y - g) with g the pixel's gray; rounded once, at the end.
                      b, c, s are uniform on 1 - strength to 1 + strength
    gray              without color (ITU-R BT.601 luma)
    blur              Gaussian
    low resolution    made as small as ``least_px`` to ``most_px`` and enlarged again, each with an
                      interpolation drawn anew, as AdaFace does (Kim, Jain, Liu, CVPR 2022), or
                      always in the ways that ``shrinking`` and ``enlarging`` name
    jpeg              compressed and decoded
    erasing           a rectangle filled with noise (Zhong et al., "Random Erasing Data
                      Augmentation", AAAI 2020)

OpenCV does the work. Kornia has the same operations, but for batches on a GPU: photo by
photo on a processor they take more than ten times as long
(``benchmarks/training/augmentation.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import cv2
import numpy as np
from msgspec import Meta

from lineament.errors import OptionError
from lineament.train.data.face_set import FaceSet
from lineament.train.tables import check_table, checked, option
from lineament.types import Image

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601: what red, green and blue add to gray."""

SHRINKING = (
    cv2.INTER_NEAREST,
    cv2.INTER_LINEAR,
    cv2.INTER_AREA,
    cv2.INTER_CUBIC,
    cv2.INTER_LANCZOS4,
)
SHRINKING_NAMES = ("nearest", "linear", "area", "cubic", "lanczos")
"""Of ``SHRINKING``, in its order."""
ENLARGING = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
ENLARGING_NAMES = ("linear", "cubic", "lanczos")
"""Of ``ENLARGING``, in its order."""

ERASED_ASPECT = 0.3
"""Height by width of an erased rectangle is 0.3 to 1 / 0.3 (Zhong et al.)."""

_CHANGES = (
    *("flip", "gray", "blur", "low_resolution", "jpeg", "erasing"),
    *("brightness", "contrast", "saturation", "rotation_deg", "scaling", "shift"),
)
"""Keys that are 0 where nothing changes."""

_DRAWS = 24


@dataclass(frozen=True, slots=True)
class Augment:
    """How often, and how much, photos are changed. By default they are mirrored only.

    Attributes:
        flip, gray, blur, low_resolution, jpeg, erasing: probabilities, 0 to 1.
        rotation_deg: greatest angle, to either side, in degrees.
        scaling: strength, 0 (off) to 0.5: sizes are drawn from 1 - strength to 1 + strength.
        shift: greatest way to each side, up and down, as a share of the side.
        brightness, contrast, saturation: strengths, 0 (off) to 1: factors are drawn from
            1 - strength to 1 + strength.
        blur_most_px: greatest standard deviation of the blur, in pixels of the crop; the least is
            a tenth of it.
        least_px, most_px: shorter side of the reduced picture, drawn uniformly; both included.
            A picture that is not larger stays as it is.
        shrinking: how it is reduced: "any", drawn anew each time, or one of ``SHRINKING_NAMES``.
            Only "area" is what a camera does with a face that is far away; the others leave pixels
            out, as careless software does.
        enlarging: how it is enlarged again: "any", or one of ``ENLARGING_NAMES``. The pipeline
            enlarges small faces in the way of "cubic".
        jpeg_least, jpeg_most: quality, 1 to 100, drawn uniformly.
        erasing_least, erasing_most: share of the area that is covered, more than 0 and less than 1.
    """

    flip: float = option(
        0.5, "probability; so are gray, blur, low_resolution, jpeg and erasing", ge=0, le=1
    )
    rotation_deg: float = option(0.0, "greatest angle to either side", ge=0, le=180)
    scaling: float = option(0.0, "0 to 0.5: sizes from 1 - it to 1 + it", ge=0, le=0.5)
    shift: float = option(0.0, "greatest way, as a share of the side", ge=0, le=0.5)
    brightness: float = option(0.0, "0 to 1: factors from 1 - it to 1 + it", ge=0, le=1)
    contrast: float = option(0.0, "0 to 1: factors from 1 - it to 1 + it", ge=0, le=1)
    saturation: float = option(0.0, "0 to 1: factors from 1 - it to 1 + it", ge=0, le=1)
    gray: float = option(0.0, "", ge=0, le=1)
    blur: float = option(0.0, "", ge=0, le=1)
    blur_most_px: float = option(2.0, "greatest standard deviation", ge=0.1, le=100)
    low_resolution: float = option(0.0, "", ge=0, le=1)
    least_px: int = option(16, "shorter side of the reduced picture, at least", ge=1, le=4096)
    most_px: int = option(64, "and at most", ge=1, le=4096)
    shrinking: Literal["any", "nearest", "linear", "area", "cubic", "lanczos"] = option(
        "any", "how it is reduced"
    )
    enlarging: Literal["any", "linear", "cubic", "lanczos"] = option(
        "any", "how it is enlarged again"
    )
    jpeg: float = option(0.0, "", ge=0, le=1)
    jpeg_least: int = option(30, "quality", ge=1, le=100)
    jpeg_most: int = option(95, "", ge=1, le=100)
    erasing: float = option(0.0, "", ge=0, le=1)
    erasing_least: float = option(0.02, "share of the area", ge=1e-4, le=0.99)
    erasing_most: float = option(0.2, "", ge=1e-4, le=0.99)

    def __post_init__(self) -> None:
        """Check every value; OptionError names its key."""
        check_table("augment", self)
        for low, high in (
            ("least_px", "most_px"),
            ("jpeg_least", "jpeg_most"),
            ("erasing_least", "erasing_most"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise OptionError(
                    f"expected {low} not above {high}, got {getattr(self, low)} and "
                    f"{getattr(self, high)}",
                    option="augment",
                )

    @property
    def changes_nothing(self) -> bool:
        """Whether photos stay as they are."""
        return not any(getattr(self, name) for name in _CHANGES)


NOTHING = Augment(flip=0.0)
"""Photos stay as they are."""

STRONG = Augment(
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    gray=0.05,
    blur=0.15,
    low_resolution=0.2,
    jpeg=0.2,
    erasing=0.1,
)
"""A bit of everything, to begin with where photos from cameras of all kinds will come."""


def augment(image: Image, options: Augment, seed: int | Sequence[int]) -> Image:
    """Change a photo at random.

    Args:
        image: (H, W, 3) uint8 RGB; it is not written to.
        options: what may happen.
        seed: one or several whole numbers of 0 or more; equal ones give equal pictures.

    Returns:
        (H, W, 3) uint8 RGB, contiguous; ``image`` itself where nothing happens to it.

    Raises:
        OptionError: an image of another shape or type.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise OptionError(
            f"expected RGB, uint8, (H, W, 3), got {image.dtype} of shape {image.shape}",
            option="image",
        )
    if options.changes_nothing:
        return image
    random = np.random.default_rng(seed)
    draw = random.random(_DRAWS).tolist()
    # 0 to 5: does it happen? 6 to 8: color. 9 and later: how much. 18 to 21: place.
    if draw[0] < options.flip:
        image = np.asarray(cv2.flip(image, 1), np.uint8)
    if options.rotation_deg or options.scaling or options.shift:
        image = _moved(
            image,
            options.rotation_deg * (2 * draw[18] - 1),
            1 + options.scaling * (2 * draw[19] - 1),
            (options.shift * (2 * draw[20] - 1), options.shift * (2 * draw[21] - 1)),
        )
    if options.brightness or options.contrast or options.saturation:
        image = _colored(
            image,
            1 + options.brightness * (2 * draw[6] - 1),
            1 + options.contrast * (2 * draw[7] - 1),
            1 + options.saturation * (2 * draw[8] - 1),
        )
    if draw[1] < options.gray:
        image = _gray(image)
    if draw[2] < options.blur:
        image = _blurred(image, options.blur_most_px * (0.1 + 0.9 * draw[9]))
    if draw[3] < options.low_resolution:
        side_px = _whole(draw[10], options.least_px, options.most_px)
        way, back = int(draw[11] * len(SHRINKING)), int(draw[12] * len(ENLARGING))
        if options.shrinking != "any":
            way = SHRINKING_NAMES.index(options.shrinking)
        if options.enlarging != "any":
            back = ENLARGING_NAMES.index(options.enlarging)
        image = _reduced(image, side_px, SHRINKING[way], ENLARGING[back])
    if draw[4] < options.jpeg:
        image = _compressed(image, _whole(draw[13], options.jpeg_least, options.jpeg_most))
    if draw[5] < options.erasing:
        share = options.erasing_least + draw[14] * (options.erasing_most - options.erasing_least)
        image = _erased(image, share, draw[15:18], random)
    return np.ascontiguousarray(image, np.uint8)


def augmented_sheet(
    faces: FaceSet,
    options: Augment,
    *,
    people: int = 8,
    versions: int = 10,
    seed: int = 0,
    size_px: int = 112,
) -> Image:
    """Lay out what the options do, for eyes: a row a photo, as it is and in versions.

    ``lineament.pictures.photos.save_png`` writes it.

    Args:
        faces: photos are taken at even distances from it.
        options: what may happen.
        people: rows, at most as many as there are photos.
        versions: changed pictures in a row, after the plain one.
        seed: of the changes.
        size_px: side of the crops.

    Raises:
        OptionError: less than one row or version.
        DataError: a photo cannot be read.
    """
    from lineament.pictures.photos import contact_sheet

    checked("people", people, Annotated[int, Meta(ge=1, le=1000)])
    checked("versions", versions, Annotated[int, Meta(ge=1, le=100)])
    chosen = np.unique(np.linspace(0, len(faces) - 1, people).round().astype(int))
    rows: list[Image] = []
    for index in chosen.tolist():
        plain = resized(faces.read(index), size_px)
        rows.append(plain)
        rows += [augment(plain, options, (seed, version, index)) for version in range(versions)]
    return contact_sheet(np.stack(rows), versions + 1)


def resized(image: Image, size_px: int) -> Image:
    """The picture as a square of ``size_px``; the same object where it is one already."""
    height, width = image.shape[:2]
    if (height, width) == (size_px, size_px):
        return image
    smaller = min(height, width) > size_px
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size_px, size_px), interpolation=how), np.uint8)


def _colored(image: Image, brightness: float, contrast: float, saturation: float) -> Image:
    """All three as one matrix, so that values are rounded and cut off once."""
    luma = np.array(LUMA)
    mean_gray = brightness * float(luma @ np.array(cv2.mean(image)[:3]))
    matrix = np.empty((3, 4))
    mixing = saturation * np.eye(3) + (1 - saturation) * luma[None, :]  # (3, 3)
    matrix[:, :3] = brightness * contrast * mixing
    matrix[:, 3] = (1 - contrast) * mean_gray
    return np.asarray(cv2.transform(image, matrix), np.uint8)


def _moved(image: Image, angle_deg: float, scale: float, shift_xy: tuple[float, float]) -> Image:
    height, width = image.shape[:2]
    middle = (width - 1) / 2, (height - 1) / 2
    matrix = cv2.getRotationMatrix2D(middle, angle_deg, scale)  # (2, 3)
    matrix[:, 2] += shift_xy[0] * width, shift_xy[1] * height
    moved = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def _gray(image: Image) -> Image:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), np.uint8)


def _blurred(image: Image, deviation_px: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), deviation_px), np.uint8)


def _reduced(image: Image, side_px: int, shrinking: int, enlarging: int) -> Image:
    height, width = image.shape[:2]
    scale = side_px / min(height, width)
    if scale >= 1:
        return image
    size_wh = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size_wh, interpolation=shrinking)
    return np.asarray(cv2.resize(small, (width, height), interpolation=enlarging), np.uint8)


def _compressed(image: Image, quality: int) -> Image:
    # The encoder takes the first channel for blue; so does the decoder. What differs is which
    # colors lose most, so the channels are put in the order it expects.
    blue_first = np.ascontiguousarray(image[:, :, ::-1])
    _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]


def _erased(
    image: Image, share: float, draw: Sequence[float], random: np.random.Generator
) -> Image:
    height, width = image.shape[:2]
    aspect = math.exp((2 * draw[0] - 1) * -math.log(ERASED_ASPECT))
    area = share * height * width
    tall = min(height, max(1, round(math.sqrt(area * aspect))))
    wide = min(width, max(1, round(math.sqrt(area / aspect))))
    top = int(draw[1] * (height - tall + 1))
    left = int(draw[2] * (width - wide + 1))
    covered = image.copy()
    covered[top : top + tall, left : left + wide] = random.integers(
        0, 256, (tall, wide, 3), np.uint8
    )
    return covered


def _whole(draw: float, least: int, most: int) -> int:
    return least + int(draw * (most - least + 1))

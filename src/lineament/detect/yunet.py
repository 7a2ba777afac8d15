"""YuNet over as many scales of the photo as it takes.

Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023.
The network looks at cells of 8, 16 and 32 pixels and finds faces of about 10 to 300 pixels of what
it is given, so the scales are chosen by what there is to find (measured by
``benchmarks/accuracy/detect.py``):

1. the photo as it is, or as much smaller as ``min_face_px`` allows;
2. enlarged, when the first look shows small faces, or nothing at all;
3. reduced, when the first look shows a very large face, or nothing that is certain: faces that fill
   the frame;
4. between the two, by halves, when that shows a face too large for the first look.

Large photos are looked at in a copy reduced by whole halves (``lineament.pyramid``), where it has
nearly as many pixels as the first look asks for: ``SPARED``.

Where the first look shows nothing certain and the photo has a printed raster or is very dark, the
others, and a second first look, are at a copy without it or a brighter one.

``looks`` says what of it are faces. Inputs past ``TILE_PX`` go through in overlapping tiles, so
memory stays bounded.
"""

from __future__ import annotations

import cv2
import numpy as np

from lineament.detect.border import completed
from lineament.detect.boxes import intersection_over_union, intersections, nms
from lineament.detect.detector import DetectOptions, Seen
from lineament.detect.looks import (
    RANGE_PX,
    STEP,
    WHOLE_SCORE,
    Look,
    agreed,
    confirmed,
    longer_sides,
)
from lineament.models.runtime import Model
from lineament.pyramid import Level, Pyramid
from lineament.raster import without_raster
from lineament.types import Face, FloatArray, Image

DEFAULT_SCORE = 0.6
"""Least score; the publisher's demonstration takes 0.6 too (OpenCV Zoo)."""

STRIDES = (8, 16, 32)

LEAST_NET_PX = 15.0
"""A face of this many pixels of the network's input is found with certainty enough: on the WIDER
sample enlarging past that point loses more precision than it gains in recall."""

MOST_ENLARGED = 1.5
"""Greater enlargement lost average precision on the WIDER sample, on every level."""

SPARED = 0.88
"""A first look that is smaller by no more than this, along a side, may be taken instead: a reduced
copy as it is. The least faces then have 13 pixels in place of 15."""

GAINED = 1.2
"""What is enlarged by less than this against the first look is not looked at again."""

SMALL_NET_PX = 32.0
LARGE_NET_PX = 200.0
"""Faces below or above this many pixels of the first look call for another scale."""

CERTAIN = 0.8
HINT_SCORE = 0.25
"""A candidate of this score, though not reported, calls for a closer look."""

DARK_LEVELS, BRIGHT_LEVELS = 60.0, 200.0
"""A photo whose brightest hundredth is below the one is brightened to the other where nothing
certain is found. Of 30 faces of LFW at a twentieth of their brightness 11 are found without."""

WEAK_SCORE = 0.1
MOST_WEAK = 32
"""Faces that are turned have a score of at least the first in 98 % of all turns of LFW's; so many
of what is below the least score are handed on, the best."""

WEAK_CANDIDATES = 150
"""Cells below ``HINT_SCORE`` that are looked at, the best: a crowd has thousands of them, and
comparing all took three times as long as the network (98 ms for 27, a photo of 19 faces)."""

REDUCED_SIDE_PX = 160
"""The longer side of the reduced photo: faces that fill it are well inside the range. Of a photo
more than twice as long as wide, twice its shorter side: no face is longer than that."""

TILE_PX = 1920
TILE_OVERLAP_PX = 320
"""An input of more than ``TILE_PX`` squared pixels goes through in tiles of equal size, none longer
than that, which share so many pixels with their neighbors: the largest face of a look is whole in
one of them (``looks.RANGE_PX``)."""

TILE_EDGE = 0.1
"""A box this close to a tile's edge, in lengths of its longer side, may be a part of a face."""

MOST_CANDIDATES = 5000
"""So many of the best cells are looked at: FaceDetectorYN's default too (OpenCV, ``top_k``). It
bounds time and memory when a score of 0 is asked for."""

SUPPRESSION = 0.45
VOTES_AT_ONCE = 1 << 20  # pairs of boxes; bounds the memory of a crowd
VOTE = 0.6
"""Boxes that overlap this much are averaged, weighted by their scores: on the WIDER sample it adds
0.3 to 0.5 points of average precision to plain suppression."""


class YuNet:
    """Fast, with good boxes and rough landmarks."""

    takes_levels = True

    def __init__(self, model: Model) -> None:
        """``model``: the weights ``yunet``."""
        self._model = model

    def detect(self, image: Image | Pyramid, options: DetectOptions) -> list[Face]:
        """Return the faces, the most certain first; an empty list when there are none."""
        return self.see(image, options).faces

    def see(self, image: Image | Pyramid, options: DetectOptions) -> Seen:
        """The same, and what may be faces that are turned, down to a score of ``WEAK_SCORE``."""
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        floor = min(least, WEAK_SCORE)
        least_face_px = options.least_face_px(image)
        finest = min(MOST_ENLARGED, LEAST_NET_PX / least_face_px)
        level = Pyramid.of(image).smallest(min(1.0, finest) * SPARED)
        # From here on pixels are the level's.
        image, finest = level.pixels, finest * level.reduction
        least_face_px /= level.reduction
        size_wh = image.shape[1], image.shape[0]
        longer = _reach(size_wh)
        first = min(1.0, finest)
        if finest < GAINED:
            finest = first
        small = _scaled(image, size_wh, first)  # of it the coarser ones are made
        looks = [self._look(small, size_wh, first, floor)]
        certain = _is_certain(looks)
        if not certain:
            better = _brightened(without_raster(image))
            if better is not image:
                small = _scaled(better, size_wh, first)
                looks.append(self._look(small, size_wh, first, floor))
                certain = _is_certain(looks)
        hint = min(least, HINT_SCORE)
        seen = np.concatenate([look.rows for look in looks])
        sizes = longer_sides(seen[seen[:, 0] >= hint]) * first
        if finest > first and (len(sizes) == 0 or (sizes < SMALL_NET_PX).any()):
            looks.append(self._look(small, size_wh, finest, floor))  # first is 1 then
        if longer * first > 2 * REDUCED_SIDE_PX and (not certain or (sizes > LARGE_NET_PX).any()):
            looks += self._reduced(small, size_wh, first, floor)
        rows = agreed(looks, SUPPRESSION, hint)
        most = min(MOST_CANDIDATES, int((rows[:, 0] >= hint).sum()) + WEAK_CANDIDATES)
        rows = rows[np.argsort(-rows[:, 0], kind="stable")[:most]]
        rows = _merge(_without_cut(rows, least))
        rows = completed(image, confirmed(rows, looks), self._run, SUPPRESSION)
        rows = _in_photo(rows[longer_sides(rows) >= least_face_px], level)
        faces = [
            Face(row[1:5], min(float(row[0]), 1.0), row[5:15].reshape(5, 2))
            for row in rows[: MOST_WEAK + int((rows[:, 0] >= least).sum())]
        ]
        count = sum(face.score >= least for face in faces)
        strong = faces[:count][: options.max_faces]
        return Seen(strong, np.ones(len(strong), np.float32), faces[count:])

    def _reduced(
        self, image: Image, photo_wh: tuple[int, int], first: float, floor: float
    ) -> list[Look]:
        """The coarsest look, and those between it and the first for faces beyond its range."""
        coarsest = self._look(image, photo_wh, REDUCED_SIDE_PX / _reach(photo_wh), floor)
        looks = [coarsest]
        wholes = coarsest.rows[coarsest.rows[:, 0] >= WHOLE_SCORE]
        if (longer_sides(wholes) * first > RANGE_PX).any():
            scale = first / 2
            while scale > STEP * coarsest.scale:
                looks.append(self._look(image, photo_wh, scale, floor))
                scale /= 2
        return looks

    def _look(self, image: Image, photo_wh: tuple[int, int], scale: float, least: float) -> Look:
        """A photo of a size at one scale, in tiles where it is large; ``image``: it, or smaller."""
        image = _scaled(image, photo_wh, scale)
        size_wh = image.shape[1], image.shape[0]
        parts = []
        (lefts, wide), (tops, high) = _tiles(size_wh)
        for top in tops:
            for left in lefts:
                tile = image[top : top + high, left : left + wide]
                rows = self._run(tile, least)
                rows[:, 1:] += np.tile(np.array([left, top], np.float32), 7)
                edges = left, top, left + tile.shape[1], top + tile.shape[0]
                parts.append(np.column_stack([rows, _is_cut(rows, edges, size_wh)]))
        rows = np.concatenate(parts)
        # Pixel centers are whole numbers on both sides, hence the halves.
        ratio = np.divide(photo_wh, size_wh, dtype=np.float32)
        rows[:, 1:15] = (rows[:, 1:15] + 0.5) * np.tile(ratio, 7) - 0.5
        return Look(scale, rows)

    def _run(self, image: Image, least: float) -> FloatArray:
        height, width = image.shape[:2]
        # Multiples of 32 for the network; few different sizes, since each new one costs a set-up.
        wide, high = (-(-n // 32) * 32 for n in (width, height))
        batch = np.zeros((1, 3, high, wide), np.float32)
        for channel, plane in enumerate(cv2.split(image)):  # several times as fast as transpose
            batch[0, channel, :height, :width] = plane
        cells = self._model(batch)[0][0]  # (cells, 16)
        scores = cell_scores(cells)
        likely = np.flatnonzero(scores >= least)
        cells, scores = cells[likely], scores[likely]
        corner, stride = _grid(likely, high, wide)
        rows = [scores[:, None], _decoded(cells, corner, stride)]
        return np.concatenate(rows, axis=1, dtype=np.float32)


def _in_photo(rows: FloatArray, level: Level) -> FloatArray:
    """Boxes and landmarks of a level in pixels of the photo."""
    if level.reduction > 1:
        rows[:, 1:15] = level.to_photo_xy(rows[:, 1:15].reshape(-1, 7, 2)).reshape(-1, 14)
    return rows


def _brightened(image: Image) -> Image:
    """A very dark photo as bright as others; the same object for the others."""
    step = 1 + max(image.shape[:2]) // 500
    bright = float(np.percentile(image[::step, ::step], 99))
    if not 0 < bright < DARK_LEVELS:
        return image
    return np.asarray(cv2.convertScaleAbs(image, alpha=BRIGHT_LEVELS / bright), np.uint8)


def _is_certain(looks: list[Look]) -> bool:
    return any((look.rows[:, 0] >= CERTAIN).any() for look in looks)


def _reach(size_wh: tuple[int, int]) -> int:
    """What the reduced look is measured by, pixels: the longer side of all but long photos."""
    return min(max(size_wh), 2 * min(size_wh))


def _scaled(image: Image, photo_wh: tuple[int, int], scale: float) -> Image:
    """A photo of that size at a scale, made of itself or of a smaller copy of it."""
    size_wh = max(1, round(photo_wh[0] * scale)), max(1, round(photo_wh[1] * scale))
    if size_wh == (image.shape[1], image.shape[0]):
        return image
    shrinks = size_wh[0] * size_wh[1] < image.shape[0] * image.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size_wh, interpolation=method), np.uint8)


def cell_scores(cells: FloatArray) -> FloatArray:
    """Scores (..., cells) of the network's output (..., cells, 16): class times object, rooted."""
    scores: FloatArray = np.sqrt(np.clip(cells[..., 0], 0, 1) * np.clip(cells[..., 1], 0, 1))
    return scores


def cell_centers(cells: FloatArray, side_px: int) -> FloatArray:
    """Centers (..., cells, 2) of the boxes in the network's output for squares, pixels."""
    corner, stride = _grid(np.arange(cells.shape[-2]), side_px, side_px)
    centers: FloatArray = (cells[..., 2:4] + corner) * stride
    return centers


def decode_squares(cells: FloatArray, side_px: int) -> FloatArray:
    """Boxes and five landmarks (..., cells, 14) of the network's output for squares, pixels."""
    return _decoded(cells, *_grid(np.arange(cells.shape[-2]), side_px, side_px))


def _decoded(cells: FloatArray, corner: FloatArray, stride: FloatArray) -> FloatArray:
    """Boxes and landmarks (..., n, 14) of cells (..., n, 16) at places of the grid (``_grid``)."""
    center = (cells[..., 2:4] + corner) * stride
    half = np.exp(np.minimum(cells[..., 4:6], 10)) * stride / 2
    points = (cells[..., 6:].reshape(*cells.shape[:-1], 5, 2) + corner[:, None]) * stride[:, None]
    flat = points.reshape(*cells.shape[:-1], 10)
    return np.concatenate([center - half, center + half, flat], axis=-1, dtype=np.float32)


def _grid(cells: np.ndarray, height: int, width: int) -> tuple[FloatArray, FloatArray]:
    """Column and row (n, 2) and stride (n, 1) of cells given by their number in the output."""
    corner = np.empty((len(cells), 2), np.float32)
    stride = np.empty((len(cells), 1), np.float32)
    first = 0
    for step in STRIDES:
        columns, count = width // step, (width // step) * (height // step)
        here = (cells >= first) & (cells < first + count)
        row, column = np.divmod(cells[here] - first, columns)
        corner[here] = np.stack([column, row], axis=1)
        stride[here] = step
        first += count
    return corner, stride


def _tiles(size_wh: tuple[int, int]) -> tuple[tuple[list[int], int], tuple[list[int], int]]:
    """Where tiles begin, and how long they are: across, and down."""
    wide, high = size_wh
    if wide * high <= TILE_PX**2:
        return ([0], wide), ([0], high)
    return _tile_starts(wide), _tile_starts(high)


def _tile_starts(length: int) -> tuple[list[int], int]:
    """Where tiles with overlap begin so that they cover ``length`` pixels, and their length."""
    count = max(1, -(-(length - TILE_OVERLAP_PX) // (TILE_PX - TILE_OVERLAP_PX)))
    if count == 1:
        return [0], length
    tile = -(-(length + (count - 1) * TILE_OVERLAP_PX) // count)
    tile = min(TILE_PX, -(-tile // 32) * 32)  # the network's input is a multiple anyway
    return [round(i * (length - tile) / (count - 1)) for i in range(count)], tile


def _is_cut(
    rows: FloatArray, edges: tuple[int, int, int, int], size_wh: tuple[int, int]
) -> FloatArray:
    """(N,) 1 where a box reaches an edge of its tile behind which the photo goes on."""
    margin = TILE_EDGE * longer_sides(rows)
    left, top, right, bottom = edges
    cut = (left > 0) & (rows[:, 1] < left + margin)
    cut |= (top > 0) & (rows[:, 2] < top + margin)
    cut |= (right < size_wh[0]) & (rows[:, 3] > right - margin)
    cut |= (bottom < size_wh[1]) & (rows[:, 4] > bottom - margin)
    return cut.astype(np.float32)


def _without_cut(rows: FloatArray, least: float) -> FloatArray:
    """Drop what the edge of a tile cut where a whole face of at least ``least`` covers it."""
    cut = rows[:, 15] > 0
    whole, parts = rows[~cut & (rows[:, 0] >= least)], rows[cut]
    if len(whole) == 0 or len(parts) == 0:
        return rows
    common = intersections(parts[:, 1:5], whole[:, 1:5])  # (parts, whole)
    area = (parts[:, 3:5] - parts[:, 1:3]).prod(axis=1)
    stays = (common < VOTE * area[:, None]).all(axis=1)
    return np.concatenate([rows[~cut], parts[stays]])


def _merge(rows: FloatArray) -> FloatArray:
    """Suppression with box voting: the best of each cluster, its box the weighted mean."""
    keep = nms(rows[:, 1:5], rows[:, 0], SUPPRESSION)
    best = rows[keep].copy()
    step = 1 + VOTES_AT_ONCE // max(1, len(rows))
    for start in range(0, len(best), step):
        boxes = best[start : start + step, 1:5]
        weights = (intersection_over_union(boxes, rows[:, 1:5]) >= VOTE) * rows[:, 0]
        boxes[:] = weights @ rows[:, 1:5] / weights.sum(axis=1, keepdims=True)
    return best

"""Files of OpenCV's cascades: XML as OpenCV writes it, or the same numbers as the package has them.

A file is read by the names of its elements and by nothing else: definitions of types and entities,
which could make a small file a large one, are refused.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

from lineament.errors import WeightsError
from lineament.text import reason_of
from lineament.types import Float64Array, FloatArray

MOST_NODES = 100_000
"""Of all trees; the largest of OpenCV's files has 13,000."""

MOST_SIDE_PX = 256
MOST_DEPTH = 16

Rectangle = tuple[int, int, int, int]


class _RefusedError(ValueError):
    """What came in place of a cascade, in words that follow "got"."""


class Tree(NamedTuple):
    """One weak classifier.

    Attributes:
        features: the feature of each node.
        thresholds: of each node.
        children: (left, right) of each node: the number of a node above 0, or minus a leaf's.
        leaves: what it answers.
    """

    features: tuple[int, ...]
    thresholds: tuple[float, ...]
    children: tuple[tuple[int, int], ...]
    leaves: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Cascade:
    """A cascade.

    Attributes:
        size_wh: of its window, pixels.
        stages: the trees of each stage.
        thresholds: of each stage.
        rectangles: of each feature its rectangles (left, top, right, bottom) with their weights.
    """

    size_wh: tuple[int, int]
    stages: tuple[tuple[Tree, ...], ...]
    thresholds: tuple[float, ...]
    rectangles: tuple[tuple[tuple[Rectangle, float], ...], ...]

    @staticmethod
    def answer(tree: Tree, values: Sequence[FloatArray]) -> Float64Array:
        """What a tree says of windows, from the values of its nodes' features."""
        leaves = np.array(tree.leaves)
        low = values[0] < np.float32(tree.thresholds[0])
        if len(values) == 1:
            left, right = tree.children[0]
            first: Float64Array = np.where(low, leaves[-left], leaves[-right])
            return first
        at = np.where(low, tree.children[0][0], tree.children[0][1])
        for node in range(1, len(values)):  # children come after their parents
            low = values[node] < np.float32(tree.thresholds[node])
            chosen = np.where(low, tree.children[node][0], tree.children[node][1])
            at = np.where(at == node, chosen, at)
        answers: Float64Array = leaves[-at]
        return answers


def read_cascade(data: bytes, name: str, *, own: bool = False) -> Cascade:
    """Read a cascade.

    Args:
        data: the XML file.
        name: for messages.
        own: it is the package's own file, ``packed``, whose hash was compared.

    Raises:
        WeightsError: it is none, or one of other features than upright Haar-like ones.
    """
    try:
        cascade = _unpacked(data) if own else _from_xml(data)
        _check(cascade)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise _refused(name, reason_of(error)) from error
    except ElementTree.ParseError as error:
        raise _refused(name, reason_of(error)) from error
    return cascade


def _refused(name: str, reason: str) -> WeightsError:
    return WeightsError(
        f"{name}: expected a cascade of Haar-like features in OpenCV's XML, got: {reason}",
        hint="haarcascade_frontalface_default.xml is one, of the packages opencv-python 4 "
        "(cv2/data) and Debian's opencv-data",
    )


def is_cascade(start: bytes) -> bool:
    """Whether a file begins as one of OpenCV's cascades."""
    return b"opencv-cascade-classifier" in start or b"opencv-haar-classifier" in start


def _from_xml(data: bytes) -> Cascade:
    # A NUL: UTF-16, in which definitions would not be seen here.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\x00" in data:
        raise _RefusedError("XML with definitions of its own")
    root = ElementTree.fromstring(data)
    cascade = next(iter(root), None)
    if root.tag != "opencv_storage" or cascade is None:
        raise _RefusedError(f"XML of another kind (<{root.tag}>)")
    if cascade.get("type_id") == "opencv-haar-classifier":
        raise _RefusedError("the format of OpenCV 1, which OpenCV 4's files are not in")
    kind = _text(cascade, "featureType")
    if kind != "HAAR":
        raise _RefusedError(f"features of the type {kind}")
    stages, thresholds, n_nodes = [], [], 0
    for stage in _child(cascade, "stages"):
        trees = [_tree(each) for each in _child(stage, "weakClassifiers")]
        stages.append(tuple(trees))
        thresholds.append(float(_text(stage, "stageThreshold")))
        n_nodes += sum(len(tree.features) for tree in trees)
        if n_nodes > MOST_NODES:
            raise _RefusedError(f"more than {MOST_NODES:,} nodes")
    rectangles = []
    for feature in _child(cascade, "features"):
        tilted = feature.find("tilted")
        if tilted is not None and (tilted.text or "").strip() not in ("", "0"):
            raise _RefusedError("tilted features, which are not supported")
        each = []
        for rectangle in _child(feature, "rects"):
            *place, weight = (rectangle.text or "").split()
            left, top, width, height = (int(value) for value in place)
            each.append(((left, top, left + width, top + height), float(weight)))
        rectangles.append(tuple(each))
    size = int(_text(cascade, "width")), int(_text(cascade, "height"))
    # OpenCV lowers each threshold by this, so that what was computed otherwise passes, too.
    lowered = tuple(value - 1e-5 for value in thresholds)
    return Cascade(size, tuple(stages), lowered, tuple(rectangles))


def _tree(element: Any) -> Tree:
    numbers = _text(element, "internalNodes").split()
    if not numbers or len(numbers) % 4:
        raise _RefusedError(f"a tree of {len(numbers)} numbers")
    nodes = [numbers[i : i + 4] for i in range(0, len(numbers), 4)]
    return Tree(
        tuple(int(node[2]) for node in nodes),
        tuple(float(node[3]) for node in nodes),
        tuple((int(node[0]), int(node[1])) for node in nodes),
        tuple(float(value) for value in _text(element, "leafValues").split()),
    )


def _child(element: Any, tag: str) -> Any:
    found = element.find(tag)
    if found is None:
        raise _RefusedError(f"<{element.tag}> without <{tag}>")
    return found


def _text(element: Any, tag: str) -> str:
    return (_child(element, tag).text or "").strip()


def _check(cascade: Cascade) -> None:
    """Numbers that fit together; _RefusedError says which do not."""
    wide, high = cascade.size_wh
    if not (4 <= wide <= MOST_SIDE_PX and 4 <= high <= MOST_SIDE_PX):
        raise _RefusedError(f"a window of {wide}x{high} pixels")
    if not cascade.stages or not all(cascade.stages):
        raise _RefusedError("a stage without trees")
    for each in cascade.rectangles:
        if not 1 <= len(each) <= 3:
            raise _RefusedError(f"a feature of {len(each)} rectangles")
        for (left, top, right, bottom), weight in each:
            if not (0 <= left < right <= wide and 0 <= top < bottom <= high):
                raise _RefusedError("a rectangle outside of its window")
            if not np.isfinite(weight):
                raise _RefusedError("a weight that is not finite")
    numbers = list(cascade.thresholds)
    for trees in cascade.stages:
        for tree in trees:
            numbers += [*tree.thresholds, *tree.leaves]
            n = len(tree.features)
            if n > MOST_DEPTH:
                raise _RefusedError(f"a tree of {n} nodes")
            if not all(0 <= feature < len(cascade.rectangles) for feature in tree.features):
                raise _RefusedError("a tree of a feature that is not there")
            for node, pair in enumerate(tree.children):
                for child in pair:
                    if not (node < child < n if child > 0 else -child < len(tree.leaves)):
                        raise _RefusedError("a tree with a branch to nowhere")
    if not np.isfinite(numbers).all():
        raise _RefusedError("a number that is not finite")


# --- the package's own ----------------------------------------------------------------------------


def packed(cascade: Cascade) -> bytes:
    """The numbers of a cascade of stumps as a NumPy archive: a twentieth of the XML."""
    trees = [tree for stage in cascade.stages for tree in stage]
    flat = [one for each in cascade.rectangles for one in each]
    target = io.BytesIO()
    np.savez_compressed(
        target,
        size_wh=np.array(cascade.size_wh, np.int16),
        trees=np.array([len(stage) for stage in cascade.stages], np.int32),
        stage_thresholds=np.array(cascade.thresholds, np.float64),
        features=np.array([tree.features[0] for tree in trees], np.int32),
        thresholds=np.array([tree.thresholds[0] for tree in trees], np.float32),
        leaves=np.array(
            [[tree.leaves[-child] for child in tree.children[0]] for tree in trees], np.float32
        ),
        rectangles=np.array([place for place, _ in flat], np.int16),
        weights=np.array([weight for _, weight in flat], np.float32),
        counts=np.array([len(each) for each in cascade.rectangles], np.int8),
    )
    return target.getvalue()


def _unpacked(data: bytes) -> Cascade:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        part = {name: file[name] for name in file.files}
    places = [tuple(row) for row in part["rectangles"].tolist()]
    pairs = list(zip(places, part["weights"].tolist(), strict=True))
    ends = np.cumsum(part["counts"], dtype=np.int64).tolist()
    rectangles = tuple(
        tuple(pairs[start:end]) for start, end in zip([0, *ends], ends, strict=False)
    )
    rows = zip(
        part["features"].tolist(),
        part["thresholds"].tolist(),
        part["leaves"].tolist(),
        strict=True,
    )
    trees = [Tree((f,), (t,), ((0, -1),), tuple(leaves)) for f, t, leaves in rows]
    ends = np.cumsum(part["trees"], dtype=np.int64).tolist()
    stages = tuple(tuple(trees[start:end]) for start, end in zip([0, *ends], ends, strict=False))
    wide, high = part["size_wh"].tolist()
    return Cascade((wide, high), stages, tuple(part["stage_thresholds"].tolist()), rectangles)

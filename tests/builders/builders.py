"""Values and tiny networks for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lineament import models
from lineament.datasets.source import Embedded
from lineament.detect import DetectOptions
from lineament.errors import ImageFormatError
from lineament.models import Card
from lineament.types import Contract, Embedding, Face, Image

LANDMARKS_XY = np.array([[40, 40], [60, 40], [50, 52], [42, 62], [58, 62]], np.float32)
"""A frontal face in the box that ``make_face`` has by default."""


def make_face(
    box_xyxy: tuple[float, ...] = (30, 25, 70, 75),
    score: float = 0.9,
    landmarks: bool = True,
    turned_deg: int = 0,
) -> Face:
    left, top, right, bottom = box_xyxy
    share = (LANDMARKS_XY - [30, 25]) / [40, 50]
    points = share * [right - left, bottom - top] + [left, top]
    return Face(np.array(box_xyxy), score, points if landmarks else None, turned_deg)


def make_contract(**changes: Any) -> Contract:
    values: dict[str, Any] = {
        "weights": "net",
        "weights_sha256": "ab" * 32,
        "alignment": "arcface-112",
        "color_order": "rgb",
        "flip": False,
        "dimension": 4,
    }
    return Contract(**values | changes)


def make_embedding(values: Any, norm: float = 1.0, **changes: Any) -> Embedding:
    """``values`` scaled to length 1."""
    vector = np.asarray(values, np.float64)
    vector = vector / np.linalg.norm(vector)
    return Embedding(
        vector.astype(np.float32), norm, make_contract(dimension=len(vector), **changes)
    )


class FakeDetector:
    """Finds what it is told to find, and remembers what it was shown."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)
        self.seen: list[Image] = []

    def detect(self, image: Image, options: DetectOptions, /) -> list[Face]:
        self.seen.append(image)
        return list(self.faces)


def save_network(
    path: Path,
    nodes: list[onnx.NodeProto],
    *,
    constants: dict[str, np.ndarray] | None = None,
    inputs: dict[str, list[Any]] | None = None,
    output: list[Any] | None = None,
) -> Path:
    """Write an ONNX file: ``nodes`` from the input "x" to the output "y"."""
    inputs = {"x": ["N", 3, 8, 8]} if inputs is None else inputs
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def save_flatten(
    path: Path, *, channels: int = 3, side: int = 8, batch: int | str = "N", alter: str = ""
) -> Path:
    """A "recognizer" whose embedding is its input, row by row; ``alter`` makes it useless."""
    constants = {"shape": np.array([batch if isinstance(batch, int) else -1, channels * side**2])}
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["flat"])]
    if alter == "zero":
        nodes.append(helper.make_node("Sub", ["flat", "flat"], ["y"]))
    else:
        nodes.append(helper.make_node("Identity", ["flat"], ["y"]))
    return save_network(
        path,
        nodes,
        constants=constants,
        inputs={"x": [batch, channels, side, side]},
        output=[batch, channels * side**2],
    )


def tiny_recognizer(
    path: Path, *, channels: int = 3, side: int = 8, batch: int | str = "N", **spec: Any
) -> Card:
    """The entry of ``save_flatten``'s file."""
    save_flatten(path, channels=channels, side=side, batch=batch)
    values: dict[str, Any] = {
        "size_wh": [side, side],
        "color_order": "rgb",
        "mean": 0.0,
        "scale": 1.0,
    }
    return models.from_file(path, **values | spec)


class TableSource:
    """A ``FaceSource`` that looks embeddings up, and remembers what it was asked for.

    ``table``: path -> vector of any length above 0, or None when the photo shows no face;
    an encoded crop is looked up by its bytes. The norm is the vector's length. What is not in the
    table cannot be read.
    """

    def __init__(self, table: Mapping[Any, Any], dimension: int | None = None) -> None:
        self.table = {self._key(k): None if v is None else np.asarray(v) for k, v in table.items()}
        known = [len(v) for v in self.table.values() if v is not None]
        self.dimension = known[0] if dimension is None else dimension
        self.asked: list[Any] = []
        self.boxes_xyxy: Any = None

    def photos(self, paths: Sequence[Path], *, boxes_xyxy: Any = None) -> Embedded:
        self.boxes_xyxy = boxes_xyxy
        return self._looked_up(paths)

    def crops(self, images: Sequence[bytes]) -> Embedded:
        return self._looked_up(images)

    @staticmethod
    def _key(key: Any) -> Any:
        return key if isinstance(key, bytes) else str(key)

    def _looked_up(self, keys: Sequence[Any]) -> Embedded:
        self.asked += list(keys)
        vectors = np.zeros((len(keys), self.dimension), np.float32)
        norms = np.zeros(len(keys), np.float32)
        unreadable: dict[int, Any] = {}
        for i, key in enumerate(keys):
            if self._key(key) not in self.table:
                unreadable[i] = ImageFormatError(f"{key}: not in the table")
                continue
            vector = self.table[self._key(key)]
            if vector is not None:
                norms[i] = np.linalg.norm(vector)
                vectors[i] = vector / norms[i]
        return Embedded(vectors, norms, norms > 0, unreadable)

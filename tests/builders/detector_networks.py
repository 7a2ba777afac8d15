"""Networks of face detectors with known answers: faces, encoded as each family has them.

``encode`` is the inverse of what ``lineament.detect`` decodes, written anew from the publications,
one face at a time. A network that always answers so is an ONNX graph of constants; what it is fed
is added with a factor of 0, so that engines cannot leave the input out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

Array = np.ndarray
LOW = 1e-4
"""The score of cells without a face."""


class Known(NamedTuple):
    """A face in pixels of the network's input, counted from its edge."""

    score: float
    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...]

    @property
    def center(self) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return (left + right) / 2, (top + bottom) / 2

    @property
    def size(self) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return right - left, bottom - top


def logit(share: float) -> float:
    return math.log(share / (1 - share))


def _level(face: Known, strides: Sequence[int]) -> int:
    """The stride of which the face is about five cells wide."""
    return min(range(len(strides)), key=lambda i: abs(math.log(max(face.size) / strides[i] / 5)))


def _cell(face: Known, stride: int) -> tuple[int, int]:
    return int(face.center[0] // stride), int(face.center[1] // stride)


def scrfd(
    faces: Sequence[Known],
    size: tuple[int, int],
    *,
    strides: Sequence[int] = (8, 16, 32),
    anchors: int = 2,
    points: bool = True,
    batch: bool = False,
) -> list[Array]:
    scores, boxes, marks = [], [], []
    for level, stride in enumerate(strides):
        columns, rows = math.ceil(size[0] / stride), math.ceil(size[1] / stride)
        n = columns * rows * anchors
        score, box, mark = np.full((n, 1), LOW), np.zeros((n, 4)), np.zeros((n, 10))
        for face in faces:
            if _level(face, strides) != level:
                continue
            column, row = _cell(face, stride)
            at = (row * columns + column) * anchors + anchors - 1
            x, y = column * stride, row * stride
            left, top, right, bottom = face.box
            score[at] = face.score
            box[at] = np.array([x - left, y - top, right - x, bottom - y]) / stride
            mark[at] = (np.array(face.points) - (x, y)).reshape(10) / stride
        scores, boxes, marks = [*scores, score], [*boxes, box], [*marks, mark]
    outputs = [*scores, *boxes, *(marks if points else [])]
    return [each[None] for each in outputs] if batch else outputs


def retinaface(
    faces: Sequence[Known], size: tuple[int, int], *, logits: bool = False
) -> list[Array]:
    strides, sides = (8, 16, 32), ((16, 32), (64, 128), (256, 512))
    parts: list[list[Array]] = [[], [], []]
    for level, stride in enumerate(strides):
        columns, rows = math.ceil(size[0] / stride), math.ceil(size[1] / stride)
        n = columns * rows * 2
        box, score, mark = np.zeros((n, 4)), np.zeros((n, 2)), np.zeros((n, 10))
        score[:] = (logit(1 - LOW), 0) if logits else (1 - LOW, LOW)
        for face in faces:
            if _level(face, strides) != level:
                continue
            column, row = _cell(face, stride)
            at, side = (row * columns + column) * 2, sides[level][0]
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            box[at, :2] = (np.array(face.center) - (x, y)) / (0.1 * side)
            box[at, 2:] = np.log(np.array(face.size) / side) / 0.2
            mark[at] = ((np.array(face.points) - (x, y)) / (0.1 * side)).reshape(10)
            score[at] = (0, logit(face.score)) if logits else (1 - face.score, face.score)
        for part, values in zip(parts, (box, score, mark), strict=True):
            part.append(values)
    return [np.concatenate(part)[None] for part in parts]


def centerface(faces: Sequence[Known], size: tuple[int, int]) -> list[Array]:
    columns, rows = size[0] // 4, size[1] // 4
    heat = np.full((1, 1, rows, columns), LOW)
    sizes, offsets = np.zeros((1, 2, rows, columns)), np.zeros((1, 2, rows, columns))
    marks = np.zeros((1, 10, rows, columns))
    for face in faces:
        column, row = _cell(face, 4)
        heat[0, 0, row, column] = face.score
        sizes[0, :, row, column] = np.log(face.size[1] / 4), np.log(face.size[0] / 4)
        offsets[0, :, row, column] = (
            face.center[1] / 4 - row - 0.5,
            face.center[0] / 4 - column - 0.5,
        )
        for i, (x, y) in enumerate(face.points):
            marks[0, 2 * i, row, column] = (y - face.box[1]) / face.size[1]
            marks[0, 2 * i + 1, row, column] = (x - face.box[0]) / face.size[0]
    return [heat, sizes, offsets, marks]


def yolo_columns(
    faces: Sequence[Known],
    size: tuple[int, int],
    *,
    channels: int = 20,
    strides: Sequence[int] = (8, 16, 32),
) -> list[Array]:
    n = sum(math.ceil(size[0] / s) * math.ceil(size[1] / s) for s in strides)
    out = np.zeros((1, channels, n))
    for i, face in enumerate(faces):
        row = [*face.center, *face.size, face.score]
        if channels == 20:
            row += [value for x, y in face.points for value in (x, y, 0.9)]
        elif channels == 15:
            row += [value for point in face.points for value in point]
        out[0, :, 7 * i + 3] = row
    return [out]


def yolo_anchors(faces: Sequence[Known], size: tuple[int, int]) -> list[Array]:
    n = 3 * sum(math.ceil(size[0] / s) * math.ceil(size[1] / s) for s in (8, 16, 32))
    out = np.zeros((1, n, 16))
    for i, face in enumerate(faces):
        points = np.array(face.points).reshape(10)
        certain = face.score**0.25
        out[0, 11 * i + 5] = [*face.center, *face.size, certain, *points, face.score / certain]
    return [out]


def yolo_suppressed(
    faces: Sequence[Known], size: tuple[int, int], *, columns: int = 21
) -> list[Array]:
    out = np.zeros((1, 300, columns))
    for i, face in enumerate(faces):
        row = [*face.box, face.score, 0]
        if columns == 21:
            row += [value for x, y in face.points for value in (x, y, 0.9)]
        elif columns == 16:
            row += [value for point in face.points for value in point]
        out[0, i] = row
    return [out]


def yolo_maps(faces: Sequence[Known], size: tuple[int, int], *, points: bool = True) -> list[Array]:
    """A distance of d cells is a chance of 1 - f for floor(d), and f for the next."""
    outputs = []
    for level, stride in enumerate((8, 16, 32)):
        columns, rows = math.ceil(size[0] / stride), math.ceil(size[1] / stride)
        out = np.zeros((1, 80 if points else 65, rows, columns))
        out[0, 64] = logit(LOW)
        for face in faces:
            if _level(face, (8, 16, 32)) != level:
                continue
            column, row = _cell(face, stride)
            x, y = column + 0.5, row + 0.5
            left, top, right, bottom = (value / stride for value in face.box)
            for side, distance in enumerate((x - left, y - top, right - x, bottom - y)):
                whole = int(distance)
                chances = np.full(16, 1e-9)
                chances[whole], chances[whole + 1] = 1 - distance + whole, distance - whole
                out[0, 16 * side : 16 * side + 16, row, column] = np.log(chances + 1e-9)
            out[0, 64, row, column] = logit(face.score)
            for i, (px, py) in enumerate(face.points if points else ()):
                out[0, 65 + 3 * i, row, column] = (px / stride - column) / 2
                out[0, 66 + 3 * i, row, column] = (py / stride - row) / 2
        outputs.append(out)
    return outputs


def yolov3(faces: Sequence[Known], size: tuple[int, int], *, last: bool = False) -> list[Array]:
    anchors = {8: (16, 30), 16: (62, 45), 32: (156, 198)}  # the middle one of each three
    outputs = []
    for stride in (32, 16, 8):
        columns, rows = math.ceil(size[0] / stride), math.ceil(size[1] / stride)
        out = np.zeros((1, 18, rows, columns))
        out[0, 4::6] = logit(LOW)
        for face in faces:
            if (8, 16, 32)[_level(face, (8, 16, 32))] != stride:
                continue
            column, row = _cell(face, stride)
            certain = face.score**0.5
            out[0, 6:12, row, column] = [
                logit(face.center[0] / stride - column),
                logit(face.center[1] / stride - row),
                math.log(face.size[0] / anchors[stride][0]),
                math.log(face.size[1] / anchors[stride][1]),
                logit(certain),
                logit(certain),
            ]
        outputs.append(out.transpose(0, 2, 3, 1) if last else out)
    return outputs


def ssd(faces: Sequence[Known], size: tuple[int, int]) -> list[Array]:
    out = np.zeros((1, 1, 20, 7))
    out[..., 1] = 1
    for i, face in enumerate(faces):
        out[0, 0, i, 2] = face.score
        out[0, 0, i, 3:] = np.array(face.box) / np.tile(size, 2)
    return [out]


def ssd_lists(faces: Sequence[Known], size: tuple[int, int]) -> list[Array]:
    boxes, scores = np.zeros((1, 50, 4)), np.zeros((1, 50))
    for i, face in enumerate(faces):
        boxes[0, 3 * i] = np.array(face.box) / np.tile(size, 2)
        scores[0, 3 * i] = face.score
    return [boxes, scores]


def write(
    path: Path, outputs: Sequence[Array], size: tuple[int, int], *, last: bool = False
) -> Path:
    """Write a network that answers ``outputs`` to every picture of that width and height."""
    nodes, constants = [helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0)], []
    constants.append(numpy_helper.from_array(np.float32(0), "zero"))
    nodes.append(helper.make_node("Mul", ["mean", "zero"], ["nothing"]))
    infos = []
    for i, output in enumerate(outputs):
        constants.append(numpy_helper.from_array(output.astype(np.float32), f"known{i}"))
        nodes.append(helper.make_node("Add", [f"known{i}", "nothing"], [f"out{i}"]))
        infos.append(helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, output.shape))
    shape = [1, size[1], size[0], 3] if last else [1, 3, size[1], size[0]]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "known", [image], infos, constants)
    opsets = [helper.make_opsetid("", 13)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


def write_spots(path: Path, channel: int = 0) -> Path:
    """A CenterFace of any size that takes bright spots of 4x4 pixels for faces of 40x48 pixels.

    The heat is the mean of one channel of what the network is fed over 4x4 pixels.
    """

    def constant(name: str, values: object, kind: type = np.float32) -> None:
        constants.append(numpy_helper.from_array(np.array(values, kind), name))

    constants: list[TensorProto] = []
    constant("channel", [channel], np.int64)
    constant("zero", 0)
    constant("sizes", np.log(np.array([48 / 4, 40 / 4])).reshape(1, 2, 1, 1))
    marks = [(0.4, 0.3), (0.4, 0.7), (0.6, 0.5), (0.8, 0.35), (0.8, 0.65)]
    constant("marks", np.array(marks).reshape(1, 10, 1, 1))
    constant("offsets", np.zeros((1, 2, 1, 1)))
    nodes = [
        helper.make_node("Gather", ["image", "channel"], ["one"], axis=1),
        helper.make_node("AveragePool", ["one"], ["heat"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Mul", ["heat", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "sizes"], ["size"]),
        helper.make_node("Add", ["nothing", "offsets"], ["offset"]),
        helper.make_node("Add", ["nothing", "marks"], ["mark"]),
    ]
    names = (("heat", 1), ("size", 2), ("offset", 2), ("mark", 10))
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, k, "h", "w"])
        for name, k in names
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "H", "W"])
    graph = helper.make_graph(nodes, "spots", [image], infos, constants)
    opsets = [helper.make_opsetid("", 13)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path

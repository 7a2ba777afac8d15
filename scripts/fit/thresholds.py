"""Fit the thresholds of the bundled recognizers on LFW View 1 and write them into the manifest.

All pairs of the 4,992 photos that View 1 names (12.5 million pairs of two people) give, for
each recognizer, with and without flip, and for each metric, the threshold at which the wanted share
of impostor pairs is let in. View 2 plays no part. Rates below 1e-5 are not fitted: fewer than 30
false matches would stand behind them (the rule of 30, Doddington et al. 2000).

Run:  python -m scripts.fit.thresholds ../shared/lfw [RECOGNIZER ...]      (all, if none is named)
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
from rich.progress import track

from lineament import models
from lineament.datasets.lfw import LFW, read_lfw
from lineament.decide.metrics import METRICS, Metric
from lineament.embed import load_embedder
from lineament.evaluate.protocols.lfw import images_of
from lineament.pipeline import Recognizer
from lineament.types import Image

MANIFEST = Path(__file__).resolve().parents[2] / "src" / "lineament" / "data" / "manifest.json"
RATES = (1e-2, 1e-3, 1e-4, 1e-5)
DIGITS = 5


def impostor_scores(vectors: np.ndarray, person: np.ndarray, metric: Metric) -> np.ndarray:
    """Scores of all pairs of two people, each pair once."""
    parts = []
    for start in range(0, len(vectors), 256):
        rows = metric.matrix(vectors[start : start + 256], vectors[start:])
        other = person[start : start + 256, None] != person[None, start:]
        later = np.arange(rows.shape[1])[None] > np.arange(rows.shape[0])[:, None]
        parts.append(rows[other & later])
    return np.concatenate(parts)


def threshold(scores: np.ndarray, rate: float, metric: Metric) -> float:
    """The loosest threshold, rounded to the strict side, that lets no more than ``rate`` in."""
    allowed = math.floor(rate * len(scores))
    sign = 1 if metric.higher_is_more_alike else -1
    # The first score that must stay out; anything past it will do.
    limit = sign * float(np.partition(-sign * scores, allowed)[allowed] * -1)
    scale = 10**DIGITS
    strict = math.floor(limit * scale) + 1 if sign > 0 else math.ceil(limit * scale) - 1
    return strict / scale


def cut(lfw: LFW, numbers: np.ndarray, name: str) -> Image:
    """The faces as a recognizer wants them: (N, S, S, 3) uint8."""
    crops = []
    chosen = Recognizer(name, choose="central").stream_chosen(lfw.path(int(i)) for i in numbers)
    for item in track(chosen, f"{name}: detect and align", total=len(numbers)):
        if item.error is not None:
            raise item.error
        crops.append(item.crop)
    return np.stack(crops)


def main() -> None:
    manifest = json.loads(MANIFEST.read_text())
    known = [entry["name"] for entry in manifest["weights"] if entry["task"] == "recognizer"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lfw", type=Path, help="the folder of Labeled Faces in the Wild")
    parser.add_argument("recognizers", nargs="*", metavar="RECOGNIZER", help=", ".join(known))
    options = parser.parse_args()
    for name in options.recognizers:
        if name not in known:
            parser.error(f"expected {', '.join(known)}, got {name}")
    names = options.recognizers if options.recognizers else known
    lfw = read_lfw(options.lfw)
    numbers = images_of(lfw, ("1",))
    person = lfw.person[numbers]
    cut_as, crops = None, np.zeros((0, 0, 0, 3), np.uint8)
    # One alignment after the other: the crops of one fill a third of a gigabyte.
    for entry in sorted(manifest["weights"], key=lambda entry: str(entry["alignment"])):
        if entry["name"] not in names:
            continue
        if entry["alignment"] != cut_as:
            crops, cut_as = cut(lfw, numbers, entry["name"]), entry["alignment"]
        entry["thresholds"] = []
        for flip in (True,) if entry.get("members") else (False, True):
            embedder = load_embedder(models.get(entry["name"]), flip=flip)
            blocks = range(0, len(crops), 256)
            parts = [
                embedder.embed(crops[start : start + 256])
                for start in track(blocks, f"{entry['name']} flip={flip}")
            ]
            unit = np.concatenate([vectors for vectors, _ in parts])
            raw = unit * np.concatenate([norms for _, norms in parts])[:, None]
            for metric in METRICS.values():
                scores = impostor_scores(unit if metric.unit else raw, person, metric)
                for rate in RATES:
                    entry["thresholds"].append(
                        {
                            "metric": metric.name,
                            "threshold": threshold(scores, rate, metric),
                            "fmr": rate,
                            "flip": flip,
                            "data": f"LFW View 1, all pairs of {len(unit):,} photos",
                            "n_impostor_pairs": len(scores),
                        }
                    )
    MANIFEST.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    print(f"{MANIFEST.name}: thresholds written; now run scripts/build/update_cards.py")


if __name__ == "__main__":
    main()

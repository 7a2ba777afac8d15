"""Count what the thresholds of the package's calibrations cost: genuine pairs that they keep out.

Of LFW View 1, on which the calibrations were fitted (``scripts.fit.calibrations``, which counts
them, too): each point of a calibration gets ``false_non_matches``; nothing else in it changes.

Run:  python -m scripts.fit.misses ../shared/lfw [NAME ...]
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from rich.progress import track

from lineament import models
from lineament.datasets.lfw import read_lfw
from lineament.decide.calibration import Calibration, bundled_name
from lineament.embed import load_embedder
from lineament.evaluate.protocols.lfw import images_of
from lineament.pipeline import Recognizer
from scripts.fit.calibrations import flips_of


def genuine_scores(unit: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Cosines of all pairs of two photos of one person."""
    scores = []
    for who in np.unique(person):
        own = unit[person == who]
        above = np.triu_indices(len(own), 1)
        scores.append((own @ own.T)[above])
    return np.concatenate(scores)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cards = [models.get(name) for name in sys.argv[2:]] or models.entries("embedder")
    lfw = read_lfw(sys.argv[1])
    rows = images_of(lfw, ("1",))
    several = np.flatnonzero(np.bincount(lfw.person[rows]) > 1)
    rows = rows[np.isin(lfw.person[rows], several)]
    person = lfw.person[rows]
    for card in cards:
        crops = []
        chosen = Recognizer(card, choose="central").stream_chosen(lfw.path(int(i)) for i in rows)
        for item in track(chosen, f"{card.name}: detect and align", total=len(rows)):
            if item.error is not None:
                raise item.error
            crops.append(item.crop)
        for flip in flips_of(card):
            path = card.folder / bundled_name(flip)
            if not path.exists():
                continue
            embedder = load_embedder(card, flip=flip)
            parts = [
                embedder.embed(np.stack(crops[start : start + 256]))[0]
                for start in range(0, len(crops), 256)
            ]
            found = Calibration.load(path)
            scores = genuine_scores(np.concatenate(parts), person)
            if len(scores) != found.n_genuine_pairs:
                sys.exit(f"{path}: {found.n_genuine_pairs} genuine pairs, got {len(scores)}")
            points = tuple(
                replace(point, false_non_matches=int((scores < point.value).sum()))
                for point in found.points
            )
            replace(found, points=points).save(path)
            print(path.parent.name, path.name, *(p.false_non_matches for p in points))


if __name__ == "__main__":
    main()

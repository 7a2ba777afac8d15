"""Fit the package's own calibrations on LFW View 1 and write them beside the manifest.

For each bundled recognizer, with and without the mirror image: all pairs of the 4,992 photos
that View 1 names. View 2 plays no part. Equal input gives equal files.

Run:  python -m scripts.fit.calibrations ../shared/lfw [NAME ...]
"""

from __future__ import annotations

import sys

import numpy as np
from rich.progress import track

from lineament import models
from lineament.datasets.lfw import read_lfw
from lineament.decide.calibration import FOLDER, bundled_name
from lineament.decide.metrics import DEFAULT_METRIC
from lineament.embed import load_embedder
from lineament.evaluate.protocols.lfw import images_of
from lineament.fit.calibrate import fit
from lineament.pipeline import Recognizer

DATA = "LFW View 1"
SEED = 1


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    entries = [models.get(name) for name in sys.argv[2:]] or models.entries("embedder")
    lfw = read_lfw(sys.argv[1])
    rows = images_of(lfw, ("1",))
    FOLDER.mkdir(exist_ok=True)
    for entry in entries:
        crops = []
        recognizer = Recognizer(entry, choose="central")
        chosen = recognizer.stream_chosen(lfw.path(int(i)) for i in rows)
        for item in track(chosen, f"{entry.name}: detect and align", total=len(rows)):
            if item.error is not None:
                raise item.error
            crops.append(item.crop)
        for flip in (True,) if entry.members else (False, True):
            embedder = load_embedder(entry, flip=flip)
            parts = [
                embedder.embed(np.stack(crops[start : start + 256]))[0]
                for start in track(range(0, len(crops), 256), f"{entry.name} flip={flip}")
            ]
            fitted = fit(
                np.concatenate(parts),
                lfw.person[rows],
                contract=embedder.contract,
                data=DATA,
                metric=DEFAULT_METRIC,
                seed=SEED,
            )
            made = fitted.calibration
            target = FOLDER / bundled_name(made.contract, made.metric)
            made.save(target)
            print(
                f"{target.name}: {entry.name} flip={flip}: {made.method}, Cllr {made.cllr:.4f} "
                f"(least {made.min_cllr:.4f}), ECE {made.ece:.2%}, {len(made.score)} knots, "
                f"{target.stat().st_size:,} bytes"
            )


if __name__ == "__main__":
    main()

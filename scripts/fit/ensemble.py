"""Fit the package's ensembles on LFW View 1 and write their files.

The 4,992 photos that View 1 names go through the real pipeline once a member (embeddings are
kept for a second run). Options of each kind are chosen by cross-validation over people:
the shares of the mean by the mean TAR at false match rates of 1e-3, 1e-4 and 1e-5, depth and number
of trees by the log loss. View 2 plays no part. Equal embeddings give equal files.

Run:  python -m scripts.fit.ensemble ../shared/lfw [KIND ...]
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

import lineament
from lineament import Recognizer, models
from lineament.datasets.lfw import read_lfw
from lineament.datasets.source import RecognizerSource
from lineament.decide.ensemble_file import FOLDER, FORMAT
from lineament.decide.fusion import Side, feature_names
from lineament.evaluate.protocols.lfw import images_of
from scripts.fit import fusions
from scripts.fit.fusions import (
    DEPTHS,
    ROUNDS,
    SHARES,
    Figures,
    PairSet,
    fit_boosted,
    fit_logistic_fusion,
    fit_mean,
    folds_of,
    judge,
    meaning_of,
    out_of_fold,
    pair_set,
    staged,
)

MEMBERS = ("sface", "mobilefacenet", "dlib-resnet")
DATA = "LFW View 1"
SEED = 1
KINDS = ("mean", "logistic", "boosted")


def embed(paths: list[Path]) -> list[Side]:
    """What each member makes of the photos."""
    sides = []
    for name in MEMBERS:
        recognizer = Recognizer(name, flip=True, choose="central")
        source = RecognizerSource(
            recognizer,
            progress=lambda items, total, what: track(items, what, total, console=Console()),
        )
        made = source.photos(paths)
        if not made.found.all():
            sys.exit(f"{name}: expected a face in every photo of View 1")
        sides.append(Side(made.vectors, made.norms))
    return sides


def mean_tar(figures: Figures) -> float:
    return float(np.mean([figures.tar[fmr] for fmr in (1e-3, 1e-4, 1e-5)]))


def show(label: str, figures: Figures) -> None:
    rates = "  ".join(f"{fmr:g}: {100 * tar:.2f}" for fmr, tar in figures.tar.items())
    print(f"{label:28s} log loss {figures.loss:.6f}  TAR {rates}", flush=True)


def fit_kind(
    kind: str, pairs: PairSet, fold: np.ndarray, names: tuple[str, ...]
) -> tuple[dict[str, Any], np.ndarray, str | None]:
    """(the fusion as the file has it, scores out of fold, the trees' text)."""
    if kind == "boosted":
        tried = {}
        for depth in DEPTHS:
            scores = out_of_fold(
                pairs, fold, lambda a, b, d=depth: staged(a, b, names, depth=d, rounds=ROUNDS)
            )
            for k, rounds in enumerate(ROUNDS):
                figures = judge(pairs, scores[:, k])
                show(f"{rounds} trees of depth {depth}", figures)
                tried[depth, rounds] = figures.loss, scores[:, k]
        depth, rounds = min(tried, key=lambda key: tried[key][0])
        text = fit_boosted(pairs, names, depth=depth, rounds=rounds)
        digest = hashlib.sha256(text.encode()).hexdigest()
        values = {"depth": depth, "rounds": rounds, "sha256": digest}
        return values, tried[depth, rounds][1], text
    if kind == "logistic":
        scores = out_of_fold(
            pairs, fold, lambda a, b: fit_logistic_fusion(a, names).fuse(b.features)
        )
        fusion = fit_logistic_fusion(pairs, names)
    else:
        found = {}
        for shares in SHARES:
            scores = out_of_fold(
                pairs, fold, lambda a, b, s=shares: fit_mean(a, s).fuse(b.features)
            )
            figures = judge(pairs, scores)
            show(f"shares {shares}", figures)
            found[shares] = mean_tar(figures), scores
        shares = max(found, key=lambda key: found[key][0])
        scores, fusion = found[shares][1], fit_mean(pairs, shares)
    arrays = {
        key: [float(f"{v:.9g}") for v in getattr(fusion, key)] for key in ("mean", "sd", "weights")
    }
    return {**arrays, "bias": float(f"{fusion.bias:.9g}")}, scores, None


def main() -> None:
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(KINDS):
        sys.exit(__doc__)
    lfw = read_lfw(sys.argv[1])
    rows = images_of(lfw, ("1",))
    sides = embed([lfw.path(int(row)) for row in rows])
    names = feature_names(MEMBERS)
    pairs = pair_set(sides, lfw.person[rows], seed=SEED)
    fold = folds_of(pairs, seed=SEED)
    for kind in sys.argv[2:] or KINDS:
        fusion, scores, trees = fit_kind(kind, pairs, fold, names)
        figures = judge(pairs, scores)
        show(kind, figures)
        meaning = meaning_of(pairs, scores, fold, seed=SEED)
        entries = [models.get(name) for name in MEMBERS]
        values = {
            "format": FORMAT,
            "kind": kind,
            "members": [
                {"name": e.name, "weights_sha256": e.sha256, "alignment": e.alignment}
                for e in entries
            ],
            "features": list(names),
            "fusion": fusion,
            **fusions.to_dict(meaning),
            "tar_out_of_fold": {f"{fmr:g}": round(tar, 6) for fmr, tar in figures.tar.items()},
            "data": DATA,
            "n_people": pairs.n_people,
            "n_photographs": len(rows),
            "n_genuine_pairs": int(pairs.same.sum()),
            "n_impostor_pairs": pairs.n_impostor,
            "created_by": f"lineament {lineament.__version__}",
        }
        if trees is not None:
            (FOLDER / kind / "trees.txt").write_bytes(trees.encode())
        path = FOLDER / kind / "ensemble.json"
        lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
        size = path.stat().st_size + (0 if trees is None else len(trees))
        print(f"{kind}: {meaning.method}, Cllr {meaning.cllr:.4f}, {size:,} bytes", flush=True)


if __name__ == "__main__":
    main()

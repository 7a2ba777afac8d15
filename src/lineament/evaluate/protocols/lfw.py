"""LFW's three protocols as one ``Result``, with what others published beside it."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import numpy as np

from lineament.datasets.lfw import LFW, Pairs
from lineament.datasets.source import Embedded, FaceSource
from lineament.decide.calibration import Calibration
from lineament.evaluate.lfw import View, images_of, lfw_report, pair_scores
from lineament.evaluate.metrics import PairCounts
from lineament.evaluate.protocols.calibrated import calibration_part
from lineament.evaluate.result import PairShown, Part, Published, Result, Scores
from lineament.types import FloatArray, Progress

_TABLE_4 = "Deng et al., ArcFace, CVPR 2019, Table 4"

PUBLISHED_LFW = tuple(
    Published(name, value / 100, _TABLE_4, f"trained on {images} photos")
    for name, images, value in (
        ("DeepID", "0.2 M", 99.47),
        ("Deep Face", "4.4 M", 97.35),
        ("VGG Face", "2.6 M", 98.95),
        ("FaceNet", "200 M", 99.63),
        ("Baidu", "1.3 M", 99.13),
        ("Center Loss", "0.7 M", 99.28),
        ("Range Loss", "5 M", 99.52),
        ("Marginal Loss", "3.8 M", 99.48),
        ("SphereFace", "0.5 M", 99.42),
        ("SphereFace+", "0.5 M", 99.47),
        ("CosFace", "5 M", 99.73),
        ("ArcFace, MS1MV2, R100", "5.8 M", 99.83),
    )
)
"""The seeds of this project compare these on View 2 (unrestricted, labeled outside data)."""

WORST = 8
"""So many pairs of each kind are shown."""


def run_lfw(
    lfw: LFW,
    source: FaceSource,
    *,
    views: Collection[View] = ("1", "2", "all-pairs"),
    calibration: Calibration | None = None,
    progress: Progress | None = None,
) -> tuple[Result, Embedded]:
    """Embed the photos that the views compare, and measure.

    Args:
        lfw: from ``read_lfw``.
        source: what embeds them.
        views: which protocols to follow.
        calibration: judged on View 2's pairs when there is one (it must not be fitted on them).
        progress: called with (pairs done, all pairs) while all pairs are compared.

    Raises:
        OptionError: no view or an unknown one.
    """
    rows = images_of(lfw, views)
    embedded = source.photos([lfw.path(int(row)) for row in rows])
    n = len(lfw.images)
    vectors = np.zeros((n, embedded.vectors.shape[1]), np.float32)
    found = np.zeros(n, bool)
    vectors[rows], found[rows] = embedded.vectors, embedded.found
    started = time.perf_counter()
    report = lfw_report(lfw, vectors, found, views=views, progress=progress)
    parts: list[Part] = []
    if report.view1 is not None:
        parts.append(
            Part(
                "view1",
                "View 1",
                report.view1.to_dict(),
                scores=_scores(lfw.view1_test, vectors, found),
                threshold=report.view1.threshold,
                worst=worst_pairs(lfw, lfw.view1_test, vectors, found, report.view1.threshold),
            )
        )
    if report.view2 is not None:
        threshold = float(report.view2.thresholds.mean())
        parts.append(
            Part(
                "view2",
                "View 2",
                report.view2.to_dict(),
                scores=_scores(lfw.view2_folds, vectors, found),
                threshold=threshold,
                worst=worst_pairs(lfw, lfw.view2_folds, vectors, found, threshold),
            )
        )
        if calibration is not None:
            parts.append(
                calibration_part(_scores(lfw.view2_folds, vectors, found), calibration, "View 2")
            )
    if report.all_pairs is not None:
        counts: PairCounts = report.counts  # type: ignore[assignment]
        parts.append(
            Part(
                "all_pairs",
                "all pairs",
                report.all_pairs.to_dict(),
                scores=counts,
                threshold=report.all_pairs.threshold_at_fmr.get(1e-4),
            )
        )
    result = Result(
        protocol="lfw",
        title="Labeled Faces in the Wild",
        data=str(lfw.folder),
        images=report.images,
        faces_found=report.faces_found,
        errors=len(embedded.unreadable),
        parts=tuple(parts),
        published=PUBLISHED_LFW if report.view2 is not None else (),
        published_of=("view2", "accuracy_mean"),
        run={"compare_s": round(time.perf_counter() - started, 3)},
    )
    return result, embedded


def worst_pairs(
    lfw: LFW, pairs: Pairs, vectors: FloatArray, found: Any, threshold: float
) -> tuple[PairShown, ...]:
    """The pairs on the wrong side of the threshold, the farthest from it first."""
    scores = pair_scores(pairs, vectors, found).ravel()
    same = pairs.same.ravel()
    places = pairs.indices.reshape(-1, 2)
    beyond = np.where(same, threshold - scores, scores - threshold)
    shown: list[PairShown] = []
    for kind in (True, False):
        wrong = np.flatnonzero((same == kind) & (beyond > 0))
        for i in wrong[np.argsort(-beyond[wrong], kind="stable")][:WORST]:
            a, b = (str(lfw.path(int(place))) for place in places[i])
            shown.append(PairShown(a, b, kind, float(scores[i])))
    return tuple(shown)


def _scores(pairs: Pairs, vectors: FloatArray, found: Any) -> Scores:
    return Scores.of(pair_scores(pairs, vectors, found), pairs.same)

"""Labeled Faces in the Wild: 13,233 photos of 5,749 people, and its protocols.

Huang, Ramesh, Berg, Learned-Miller, "Labeled Faces in the Wild: A Database for Studying Face
Recognition in Unconstrained Environments", University of Massachusetts, technical report 07-49,
2007.

- View 1 (``pairsDevTrain.txt``, ``pairsDevTest.txt``) is for choosing models, options, thresholds.
- View 2 (``pairs.txt``) is for reporting: ten folds, the threshold of each from the other nine.
- All pairs compares every photo with every other one: 87.5 million pairs, enough to measure
  false match rates of one in a million, which View 2's 3,000 impostor pairs cannot.

A photo in which no face was found stays in: its pairs score -1, the least similarity there
is, so they are called different. Dropping them would reward a detector that gives up.

All rates and accuracies here are shares from 0 to 1 (99.45 % is 0.9945).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lineament import forms
from lineament.datasets.lfw import LFW, Pairs
from lineament.datasets.source import Embedded, FaceSource
from lineament.decide.calibration import Calibration
from lineament.decide.metrics import Metric
from lineament.errors import OptionError
from lineament.evaluate.metrics import (
    accuracy,
    auc,
    best_threshold,
    check_unit_rows,
    eer,
    kfold_accuracy,
    tar_at_fmr,
)
from lineament.evaluate.pair_counts import PairCounts, all_pairs
from lineament.evaluate.protocols._calibrated import calibration_part
from lineament.evaluate.protocols.verification import (
    pair_cosines,
    scores_by,
    turned_note,
    worst_of,
)
from lineament.evaluate.result import PairShown, Part, Published, Result, Scores, by_text
from lineament.results import Outcome
from lineament.types import BoolArray, Float64Array, FloatArray, IntArray, Progress

View = Literal["1", "2", "all-pairs"]
VIEW_2_FMRS = (1e-1, 1e-2, 1e-3, 1e-4)
"""View 2 has 3,000 impostor pairs: at 1e-4 none of them may match, so that TAR is a lower bound."""
ALL_PAIRS_FMRS = (1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True)
class View1Report:
    """View 1: the threshold from its training pairs, judged on its test pairs; shares 0 to 1."""

    threshold: float
    accuracy_train: float
    accuracy_test: float
    auc_test: float
    pairs: int
    pairs_without_face: int


@dataclass(frozen=True, eq=False)
class View2Report:
    """View 2, shares 0 to 1; AUC, EER and TAR are those of the ten folds' pairs together.

    Attributes:
        accuracy_mean: the mean of ten folds.
        accuracy_se: the standard error of that mean.
        accuracies: (10,) float64, one a fold.
        thresholds: (10,) float64: what each fold was judged with.
        auc: area under the ROC curve.
        eer: equal error rate.
        tar_at_fmr: TAR for each false match rate.
        pairs: how many were compared.
        pairs_without_face: how many of them scored -1 because a face is missing.
    """

    accuracy_mean: float
    accuracy_se: float
    accuracies: Float64Array
    thresholds: Float64Array
    auc: float
    eer: float
    tar_at_fmr: Mapping[float, float]
    pairs: int
    pairs_without_face: int


@dataclass(frozen=True, eq=False)
class AllPairsReport:
    """All pairs, shares 0 to 1.

    Attributes:
        tar_at_fmr: TAR for each false match rate.
        threshold_at_fmr: the similarity needed for each false match rate.
        genuine_pairs: how many show one person.
        impostor_pairs: how many show two.
        pairs_without_face: how many of both scored -1 because a face is missing.
    """

    tar_at_fmr: Mapping[float, float]
    threshold_at_fmr: Mapping[float, float]
    genuine_pairs: int
    impostor_pairs: int
    pairs_without_face: int


@dataclass(frozen=True, eq=False)
class LFWReport(Outcome):
    """What LFW says of one set of embeddings.

    Attributes:
        images: how many photos the views that were asked for compare.
        faces_found: in how many of those a face was found.
        view1: None unless asked for.
        view2: None unless asked for.
        all_pairs: None unless asked for.
        counts: what ``all_pairs`` was computed from; no part of ``to_dict``.
    """

    images: int
    faces_found: int
    view1: View1Report | None
    view2: View2Report | None
    all_pairs: AllPairsReport | None
    counts: PairCounts | None = None

    def to_dict(self) -> dict[str, Any]:
        """Nested plain numbers, ready for JSON, without the views that were not asked for."""
        views = {"view1": self.view1, "view2": self.view2, "all_pairs": self.all_pairs}
        return {"n_photos": self.images, "n_faces_found": self.faces_found} | {
            name: measures_of(view) for name, view in views.items() if view is not None
        }


def measures_of(view: View1Report | View2Report | AllPairsReport) -> dict[str, Any]:
    """Plain numbers, ready for JSON; keys of maps from rates are like "1e-3"."""
    return {
        name: by_text(value) if isinstance(value, Mapping) else forms.plain(value)
        for name, value in vars(view).items()
    }


def lfw_report(
    lfw: LFW,
    embeddings: npt.ArrayLike,
    found: npt.ArrayLike | None = None,
    *,
    views: Collection[View] = ("1", "2", "all-pairs"),
    view2_fmrs: Iterable[float] = VIEW_2_FMRS,
    all_pairs_fmrs: Iterable[float] = ALL_PAIRS_FMRS,
    metric: Metric | None = None,
    norms: npt.ArrayLike | None = None,
    progress: Progress | None = None,
) -> LFWReport:
    """Measure embeddings by LFW's protocols.

    Args:
        lfw: from ``read_lfw``.
        embeddings: (N, D) float32 unit vectors in the order of ``lfw.images``. Only the rows of
            ``images_of(lfw, views)`` are looked at; the others, and those without a face, may hold
            anything.
        found: (N,) bool, False where no face was found; None: all were found.
        views: which protocols to follow.
        view2_fmrs: false match rates for View 2's TAR.
        all_pairs_fmrs: false match rates for the TAR of all pairs.
        metric: of views 1 and 2, from ``decide.metrics.get_metric``; None: the cosine. Scores and
            thresholds are turned so that higher is more alike.
        norms: (N,) lengths of the embeddings before scaling, for metrics that need them.
        progress: called with (pairs done, all pairs) while all pairs are compared.

    Raises:
        OptionError: for other shapes, vectors not of length 1, an unknown view, or all pairs by
            another metric than the cosine.
    """
    rows = images_of(lfw, views)
    vectors, seen = _checked(lfw, embeddings, found, rows)
    _check_metric(metric, norms, views)
    if metric is None:
        score: Score = partial(pair_scores, vectors=vectors, seen=seen)
    else:
        score = partial(_scored, metric, vectors, norms, seen)
    counts = (
        all_pairs(vectors, lfw.person, found=seen, progress=progress)
        if "all-pairs" in views
        else None
    )
    return LFWReport(
        images=len(rows),
        faces_found=int(seen[rows].sum()),
        view1=_report_view1(lfw, score, seen) if "1" in views else None,
        view2=_report_view2(lfw, score, seen, tuple(view2_fmrs)) if "2" in views else None,
        all_pairs=None if counts is None else _report_all_pairs(counts, tuple(all_pairs_fmrs)),
        counts=counts,
    )


def images_of(lfw: LFW, views: Collection[View]) -> IntArray:
    """Return (V,) int64, ascending: the photos, by place, that these views compare.

    Raises:
        OptionError: for no view or an unknown one.
    """
    if isinstance(views, str) or not views or set(views) - set(get_args(View)):
        raise OptionError(
            f"expected some of {', '.join(get_args(View))}, got {views!r}", option="views"
        )
    if "all-pairs" in views:
        return np.arange(len(lfw.images))
    pairs = {"1": lfw.view1_pairs, "2": lfw.view2_folds}
    return np.unique(np.concatenate([pairs[view].indices.ravel() for view in views]))


Score = Callable[[Pairs], FloatArray]
"""Scores pairs, in the shape of ``pairs.same``; higher is more alike."""


def _check_metric(
    metric: Metric | None, norms: npt.ArrayLike | None, views: Collection[View]
) -> None:
    if metric is not None and metric.name != "cosine" and "all-pairs" in views:
        raise OptionError(
            f"expected views 1 and 2 with the metric {metric.name}, got all-pairs, which compares "
            "by the cosine",
            option="views",
        )
    if metric is not None and not metric.unit and norms is None:
        raise OptionError(
            f"expected the lengths of the embeddings with the metric {metric.name}, got none",
            option="norms",
        )


def _scored(
    metric: Metric,
    vectors: npt.NDArray[np.float32],
    norms: npt.ArrayLike | None,
    seen: BoolArray,
    pairs: Pairs,
) -> FloatArray:
    lengths = np.ones(len(vectors), np.float32) if norms is None else np.asarray(norms, np.float32)
    flat = scores_by(metric, vectors, lengths, seen, pairs.indices.reshape(-1, 2))
    return flat.reshape(pairs.same.shape)


def _report_view1(lfw: LFW, score: Score, seen: BoolArray) -> View1Report:
    train, test = lfw.view1_train, lfw.view1_test
    train_scores, test_scores = (score(p) for p in (train, test))
    threshold = best_threshold(train_scores, train.same)
    return View1Report(
        threshold=threshold,
        accuracy_train=accuracy(train_scores, train.same, threshold),
        accuracy_test=accuracy(test_scores, test.same, threshold),
        auc_test=auc(test_scores, test.same),
        pairs=len(train) + len(test),
        pairs_without_face=_without_face(train, seen) + _without_face(test, seen),
    )


def _report_view2(lfw: LFW, score: Score, seen: BoolArray, fmrs: tuple[float, ...]) -> View2Report:
    folds = lfw.view2_folds
    scores = score(folds)  # (K, M)
    result = kfold_accuracy(scores, folds.same)
    flat, same = scores.ravel(), folds.same.ravel()
    return View2Report(
        accuracy_mean=result.mean,
        accuracy_se=result.standard_error,
        accuracies=result.accuracies,
        thresholds=result.thresholds,
        auc=auc(flat, same),
        eer=eer(flat, same),
        tar_at_fmr=dict(zip(fmrs, tar_at_fmr(flat[same], flat[~same], fmrs).tolist(), strict=True)),
        pairs=len(folds),
        pairs_without_face=_without_face(folds, seen),
    )


def _report_all_pairs(counts: PairCounts, fmrs: tuple[float, ...]) -> AllPairsReport:
    return AllPairsReport(
        tar_at_fmr={fmr: counts.tar_at_fmr(fmr) for fmr in fmrs},
        threshold_at_fmr={fmr: counts.threshold_at_fmr(fmr) for fmr in fmrs},
        genuine_pairs=counts.n_genuine,
        impostor_pairs=counts.n_impostor,
        pairs_without_face=counts.n_without_face,
    )


def _checked(
    lfw: LFW, embeddings: npt.ArrayLike, found: npt.ArrayLike | None, rows: IntArray
) -> tuple[npt.NDArray[np.float32], BoolArray]:
    vectors = np.asarray(embeddings, dtype=np.float32)
    n = len(lfw.images)
    if vectors.ndim != 2 or len(vectors) != n:
        raise OptionError(
            f"expected ({n}, D), one row for each of LFW's photos in order, got {vectors.shape}",
            option="embeddings",
        )
    seen = np.ones(n, bool) if found is None else np.asarray(found)
    if seen.shape != (n,) or seen.dtype != np.bool_:
        raise OptionError(f"expected ({n},) bool, got {seen.shape} {seen.dtype}", option="found")
    needed = np.zeros(n, bool)
    needed[rows] = True
    check_unit_rows(vectors, needed & seen)
    return vectors, seen


def pair_scores(
    pairs: Pairs, vectors: npt.NDArray[np.float32], seen: BoolArray
) -> npt.NDArray[np.float32]:
    """The cosine of each pair, in the shape of ``pairs.same``; -1 where a face is missing."""
    return pair_cosines(vectors, seen, pairs.indices)


def _without_face(pairs: Pairs, seen: BoolArray) -> int:
    return int((~seen[pairs.indices].all(axis=-1)).sum())


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


def run_lfw(
    lfw: LFW,
    source: FaceSource,
    *,
    views: Collection[View] = ("1", "2", "all-pairs"),
    calibration: Calibration | None = None,
    metric: Metric | None = None,
    progress: Progress | None = None,
) -> tuple[Result, Embedded]:
    """Embed the photos that the views compare, and measure.

    Args:
        lfw: from ``read_lfw``.
        source: what embeds them.
        views: which protocols to follow.
        calibration: judged on View 2's pairs when there is one (it must not be fitted on them).
        metric: of views 1 and 2, as ``lfw_report`` takes it; None: the cosine. Of another no
            calibration is judged.
        progress: called with (pairs done, all pairs) while all pairs are compared.

    Raises:
        OptionError: no view or an unknown one, or all pairs by another metric than the cosine.
    """
    rows = images_of(lfw, views)
    other = metric is not None and metric.name != "cosine"
    _check_metric(metric, (), views)
    embedded = source.photos([lfw.path(int(row)) for row in rows])
    n = len(lfw.images)
    vectors = np.zeros((n, embedded.vectors.shape[1]), np.float32)
    found = np.zeros(n, bool)
    vectors[rows], found[rows] = embedded.vectors, embedded.found
    score: Score = partial(pair_scores, vectors=vectors, seen=found)
    norms = np.zeros(n, np.float32)
    norms[rows] = embedded.norms
    if metric is not None and other:
        score = partial(_scored, metric, vectors, norms, found)
    started = time.perf_counter()
    report = lfw_report(
        lfw,
        vectors,
        found,
        views=views,
        metric=metric if other else None,
        norms=norms,
        progress=progress,
    )
    parts: list[Part] = []
    if report.view1 is not None:
        parts.append(
            Part(
                "view1",
                "View 1",
                measures_of(report.view1),
                scores=_scores(lfw.view1_test, score),
                threshold=report.view1.threshold,
                worst=_worst(lfw, lfw.view1_test, score, report.view1.threshold),
            )
        )
    if report.view2 is not None:
        threshold = float(report.view2.thresholds.mean())
        parts.append(
            Part(
                "view2",
                "View 2",
                measures_of(report.view2),
                scores=_scores(lfw.view2_folds, score),
                threshold=threshold,
                worst=_worst(lfw, lfw.view2_folds, score, threshold),
            )
        )
        if calibration is not None and not other:
            parts.append(calibration_part(_scores(lfw.view2_folds, score), calibration, "View 2"))
    if report.all_pairs is not None:
        counts: PairCounts = report.counts  # type: ignore[assignment]
        parts.append(
            Part(
                "all_pairs",
                "all pairs",
                measures_of(report.all_pairs),
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
        run={"compare_s": round(time.perf_counter() - started, 3)}
        | ({"metric": metric.name} if metric is not None else {}),
        notes=(turned_note(metric),) if metric is not None and other else (),
    )
    return result, embedded


def _worst(lfw: LFW, pairs: Pairs, score: Score, threshold: float) -> tuple[PairShown, ...]:
    places = pairs.indices.reshape(-1, 2)

    def show(place: int, same: bool, score: float) -> PairShown:
        a, b = (str(lfw.path(int(i))) for i in places[place])
        return PairShown(a, b, same, score)

    scores = score(pairs).ravel()
    return worst_of(scores, pairs.same.ravel(), threshold, show)


def _scores(pairs: Pairs, score: Score) -> Scores:
    return Scores.of(score(pairs), pairs.same)

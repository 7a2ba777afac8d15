"""Pictures: the numbers behind them by independent computations, and that everything is seen."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import MissingExtraError, OptionError
from lineament.evaluate import curves
from lineament.evaluate.curves import (
    ReliabilityBin,
    det_points,
    eer_point,
    operating_points,
    reliability_bins,
    score_histogram,
    thinned,
)
from lineament.evaluate.metrics import eer
from lineament.evaluate.pair_counts import PairCounts, all_pairs
from lineament.evaluate.result import Scores
from lineament.pictures import charts
from lineament.pictures.charts import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')


def scores_of(n_genuine: int = 900, n_impostor: int = 6000, *, digits: int = 3) -> Scores:
    """Rounded, so that many scores are tied."""
    rng = np.random.default_rng(5)
    genuine = np.clip(rng.normal(0.55, 0.14, n_genuine), -0.99, 1)
    impostor = np.clip(rng.normal(0.1, 0.12, n_impostor), -0.99, 1)
    return Scores(
        np.round(genuine, digits).astype(np.float32), np.round(impostor, digits).astype(np.float32)
    )


def labeled(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    values = np.concatenate([scores.genuine, scores.impostor])
    return values, np.arange(len(values)) < len(scores.genuine)


def counted(**options: float) -> tuple[PairCounts, np.ndarray, np.ndarray]:
    """All pairs of 400 vectors: (the counts, genuine scores, impostor scores)."""
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(100), 4)
    vectors = rng.normal(size=(100, 12))[people] + 0.45 * rng.normal(size=(400, 12))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = np.ones(400, bool)
    found[[7, 390]] = False
    counts = all_pairs(vectors, people, found=found, block=400, **options)  # type: ignore[arg-type]
    a, b = np.triu_indices(400, 1)
    table = vectors @ vectors.T
    cosines = np.where(found[a] & found[b], table[a, b], np.float32(-1))
    same = people[a] == people[b]
    return counts, cosines[same], cosines[~same]


# --- numbers --------------------------------------------------------------------------------------


def test_the_full_curve_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores = scores_of()
    values, same = labeled(scores)
    fmr, tar, thresholds = metrics.roc_curve(same, values, drop_intermediate=False)
    points = det_points(scores, most=None)
    np.testing.assert_allclose(points.fmr, fmr, rtol=0, atol=1e-12)
    np.testing.assert_allclose(1 - points.fnmr, tar, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(points.thresholds, thresholds)
    fpr, fnr, at = metrics.det_curve(same, values)
    ours = {t: (f, m) for f, m, t in zip(*points, strict=True)}
    finite = np.isfinite(at)
    assert finite.sum() > 300
    np.testing.assert_allclose(
        [ours[t] for t in at[finite]], np.stack([fpr, fnr], 1)[finite], rtol=0, atol=1e-12
    )


def test_counts_that_hold_all_scores_give_the_same_curve() -> None:
    counts, genuine, impostor = counted(exact_up_to_fmr=1.0)
    assert len(counts.impostor_tail) == len(impostor)
    expected = det_points(Scores(genuine, impostor), most=None)
    for ours, theirs in zip(det_points(counts, most=None), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_counts_give_exact_points_from_tail_and_histogram() -> None:
    counts, genuine, impostor = counted(exact_up_to_fmr=0.02)
    assert len(counts.impostor_tail) < 0.03 * len(impostor)
    fmr, fnmr, thresholds = det_points(counts, most=None)
    assert (np.diff(thresholds) < 0).all()
    assert (np.diff(fmr) >= 0).all()
    assert (np.diff(fnmr) <= 0).all()
    assert (fmr[0], fnmr[0], fmr[-1], fnmr[-1]) == (0, 1, 1, 0)
    in_tail = thresholds > counts.impostor_tail[-1]
    places = np.append(np.flatnonzero(in_tail)[::7], np.flatnonzero(~in_tail)[::997])
    assert len(places) > 90
    brute = [(impostor.astype(float) >= t).mean() for t in thresholds[places]]
    np.testing.assert_allclose(fmr[places], brute, rtol=0, atol=1e-12)
    brute = [(genuine.astype(float) < t).mean() for t in thresholds[places]]
    np.testing.assert_allclose(fnmr[places], brute, rtol=0, atol=1e-12)
    assert set(counts.impostor_tail[:-1].astype(float)) <= set(thresholds) | {
        float(counts.impostor_tail[-1])
    }


def test_counts_leave_no_gap_between_tail_and_histogram() -> None:
    counts, _, _ = counted(exact_up_to_fmr=0.02)
    _, _, thresholds = det_points(counts, most=None)
    lowest = float(counts.impostor_tail[-1])
    below = thresholds[thresholds <= lowest]
    one_bin = 2 / len(counts.impostor_histogram)
    assert lowest - below[0] < one_bin
    np.testing.assert_allclose(np.diff(below), -one_bin)
    assert below[-1] == thinned(det_points(counts, most=None), 100).thresholds[-1] == -1


def test_ties_that_the_tail_cut_through_are_not_left_out() -> None:
    impostor = np.array([0.5, 0.4, 0.4, 0.4, 0.1, -0.3], np.float32)
    histogram = np.histogram(impostor, np.linspace(-1, 1, 65))[0].astype(np.int64)
    genuine = np.array([0.3, 0.45], np.float32)
    counts = PairCounts(genuine, impostor[:2], len(impostor), histogram)
    fmr, fnmr, thresholds = det_points(counts, most=None)
    assert len(thresholds) > 40
    assert fmr.tolist() == [(impostor.astype(float) >= t).mean() for t in thresholds]
    assert fnmr.tolist() == [(genuine.astype(float) < t).mean() for t in thresholds]


def test_thinned_points_are_points_of_the_curve_and_keep_its_shape() -> None:
    rng = np.random.default_rng(1)
    scores = Scores(
        rng.normal(0.75, 0.1, 9000).astype(np.float32),
        rng.normal(0.1, 0.12, 60_000).astype(np.float32),
    )
    full, few = det_points(scores, most=None), det_points(scores)
    assert len(full.fmr) > 20_000
    assert 200 < len(few.fmr) <= 500
    every = set(zip(*(v.tolist() for v in full), strict=True))
    assert set(zip(*(v.tolist() for v in few), strict=True)) < every
    assert [v[0] for v in few] == [v[0] for v in full]
    assert [v[-1] for v in few] == [v[-1] for v in full]
    for log in (False, True):
        corners, dots = (axes_of(points, log, floor=1e-5) for points in (few, full))
        some = np.unique(np.r_[0:300, len(dots) - 300 : len(dots), 0 : len(dots) : 23])
        assert distances(dots[some], corners).max() < 0.01


def axes_of(points: curves.DetPoints, log: bool, floor: float) -> np.ndarray:
    """(P, 2): where the points lie in a picture one wide and one high."""
    both = np.stack([points.fmr, points.fnmr], 1)
    return 1 - np.log10(np.maximum(both, floor)) / np.log10(floor) if log else both


def distances(dots: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """How far each dot lies from the line through the corners."""
    start, step = corners[:-1], np.diff(corners, axis=0)
    length = np.maximum((step**2).sum(1), 1e-30)
    along = np.clip(((dots[:, None] - start) * step).sum(2) / length, 0, 1)
    return np.linalg.norm(dots[:, None] - (start + along[..., None] * step), axis=2).min(1)


def test_few_points_stay_as_they_are() -> None:
    points = det_points(scores_of(4, 5), most=None)
    assert thinned(points, 500) is points
    assert len(thinned(points, 3).fmr) <= 3
    flat = curves.DetPoints(*np.array([[0, 0.5, 1, 1, 1], [1, 0, 0, 0, 0], [np.inf, 3, 2, 1, 0]]))
    assert thinned(flat, 4).thresholds[[0, -1]].tolist() == [np.inf, 0]


def test_eer_is_that_of_the_metrics() -> None:
    scores = scores_of()
    assert eer_point(det_points(scores, most=None)) == pytest.approx(
        eer(*labeled(scores)), abs=1e-12
    )
    apart = Scores(np.array([0.9, 0.8], np.float32), np.array([0.1, 0.2], np.float32))
    assert eer_point(det_points(apart, most=None)) == 0


@pytest.mark.parametrize("kind", ["scores", "counts"])
def test_operating_points_obtain_what_is_counted(kind: str) -> None:
    if kind == "scores":
        scores: Scores | PairCounts = scores_of()
        assert isinstance(scores, Scores)
        genuine, impostor = scores.genuine, scores.impostor
    else:
        scores, genuine, impostor = counted(exact_up_to_fmr=0.02)
    points = operating_points(scores, (1e-2, 1e-3, 1e-7))
    assert [point.wanted for point in points] == [1e-2, 1e-3]  # 1e-7 of 80,000 cannot be measured
    for point in points:
        assert (impostor.astype(float) >= point.threshold).mean() == point.fmr <= point.wanted
        assert (genuine.astype(float) < point.threshold).mean() == point.fnmr
        lower = np.sort(impostor)[::-1][round(point.fmr * len(impostor))]
        assert (impostor >= lower).mean() > point.wanted


@pytest.mark.parametrize(("n_genuine", "n_impostor"), [(0, 5), (5, 0)])
def test_curves_need_both_kinds(n_genuine: int, n_impostor: int) -> None:
    with pytest.raises(OptionError, match=f"got {n_genuine} genuine and {n_impostor} impostor"):
        det_points(scores_of(n_genuine, n_impostor))


def test_curves_refuse_what_is_no_number() -> None:
    with pytest.raises(OptionError, match="finite"):
        det_points(Scores(np.array([0.5, np.nan], np.float32), np.array([0.1], np.float32)))
    with pytest.raises(OptionError, match="at least 2"):
        det_points(scores_of(), most=1)


def test_histogram_counts_every_pair_with_a_face() -> None:
    scores = scores_of()
    odd = Scores(np.append(scores.genuine, np.float32(-1)), scores.impostor)
    counted_ = score_histogram(odd, 50)
    assert counted_.without_face == 1
    both = np.concatenate([scores.genuine, scores.impostor]).astype(float)
    expected = [
        [((kind >= low) & (kind < high)).sum() for low, high in
         zip(counted_.edges[:-1], [*counted_.edges[1:-1], np.inf], strict=True)]
        for kind in (scores.genuine.astype(float), scores.impostor.astype(float))
    ]  # fmt: skip
    assert counted_.genuine.tolist() == expected[0]
    assert counted_.impostor.tolist() == expected[1]
    assert (counted_.edges[0], counted_.edges[-1]) == (both.min(), both.max())


def test_histogram_of_counts_is_that_of_the_scores() -> None:
    counts, genuine, impostor = counted(exact_up_to_fmr=0.02)
    made = score_histogram(counts, 60)
    assert made.without_face == (genuine == -1).sum() + (impostor == -1).sum() > 700
    assert 30 <= len(made.genuine) <= 60
    for values, bins in ((genuine, made.genuine), (impostor, made.impostor)):
        seen = values[values != -1].astype(float)
        assert bins.tolist() == np.histogram(seen, made.edges)[0].tolist()
        assert bins.sum() == len(seen)


def test_equal_scores_have_a_histogram_and_none_has_not() -> None:
    one = Scores(np.full(3, 0.5, np.float32), np.zeros(0, np.float32))
    assert score_histogram(one).genuine.sum() == 3
    with pytest.raises(OptionError, match="got none"):
        score_histogram(Scores(np.zeros(0, np.float32), np.zeros(0, np.float32)))


def test_reliability_bins_from_curves() -> None:
    bins = reliability_bins(
        {
            "reliability": {"0.9": 0.8, "0.1": 0.2},
            "reliability_count": {"0.9": 10, "0.1": 100},
            "reliability_low": {"0.9": 0.5},
            "reliability_high": {"0.9": 0.95},
        }
    )
    assert bins == [ReliabilityBin(0.1, 0.2, 100), ReliabilityBin(0.9, 0.8, 10, 0.5, 0.95)]
    assert bins[1].interval() == (0.5, 0.95)
    # Wilson's of 20 in 100, from a table
    assert bins[0].interval() == pytest.approx((0.13337, 0.28883), abs=1e-5)
    assert ReliabilityBin(0.5, 0.5).interval() is None
    with pytest.raises(OptionError, match="'high'"):
        reliability_bins({"reliability": {"high": 0.8}})


# --- what is drawn --------------------------------------------------------------------------------

NAMES = ("women, under 30", "наши <&> $x_1$", "عربي", "a name " * 12, "中文 \ud800 \x00 😀")
RATES = np.array([1e-3, 2e-4, 0.0, 0.02, np.nan])
MATRIX = np.outer(RATES + 1e-3, [0.5, 1, 2, 4, 1])
FEW = np.eye(5, dtype=bool)
BINS = [ReliabilityBin(0.02, 0.01, 2000), ReliabilityBin(0.5, 0.6, 20), ReliabilityBin(1, 1, 900)]
REFERENCES = {"mean": {"1": 0.9, "2": 0.95, "10": 0.99}, "best": {"1": 0.9, "2": 0.93}}

DRAWN: dict[str, Callable[[], Figure]] = {
    "roc": lambda: charts.roc(scores_of(), title="ROC " * 40, threshold=0.4),
    "roc of counts": lambda: charts.roc(counted(exact_up_to_fmr=0.02)[0], threshold=9.0),
    "roc of three": lambda: charts.roc({name: scores_of() for name in NAMES}),
    "det": lambda: charts.det(scores_of(), title="DET", threshold=0.4),
    "det of few": lambda: charts.det(scores_of(3, 4)),
    "scores": lambda: charts.score_distribution(scores_of(), title=NAMES[1], threshold=0.4),
    "scores linear": lambda: charts.score_distribution(scores_of(), log=False),
    "scores of counts": lambda: charts.score_distribution(counted()[0], threshold=0.8),
    "references": lambda: charts.lines(REFERENCES, xlabel="references", ylabel="share"),
    "sizes": lambda: charts.lines({"fpir": {"10": 0.01, "100": 0.012, "4000": 0.009}}),
    "names": lambda: charts.lines({"a": dict.fromkeys(NAMES, 3.5)}, title="by name"),
    "reliability": lambda: charts.reliability(BINS, title="View 2"),
    "reliability of two": lambda: charts.reliability({"a": BINS, "b": BINS[:2]}),
    "matrix": lambda: charts.group_matrix(NAMES, MATRIX, too_few=FEW, title=NAMES[4]),
    "matrix of one": lambda: charts.group_matrix(["all"], [[0.0]]),
    "groups": lambda: charts.group_rates(
        NAMES,
        {"FMR": RATES, "FNMR": RATES * 10},
        intervals={"FMR": np.stack([RATES / 2, RATES * 2], 1)},
        too_few={"FMR": FEW[0]},
    ),
}


def in_the_picture(figure: Figure) -> list[str]:
    """Texts that stick out of the picture or lie across another one of their axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    hidden = labels_out_of_range(figure)
    boxes = {
        text: text.get_window_extent()
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_text().strip() and text not in hidden
    }
    wrong = [
        f"sticks out: {text.get_text()!r}"
        for text, box in boxes.items()
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    for axes in figure.axes:
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            shown = [boxes[label] for label in labels if label in boxes]
            flat = all(label.get_rotation() == 0 for label in labels)
            for a, b in pairwise(shown if flat else []):
                apart = a.x1 < b.x0 or b.x1 < a.x0 or a.y1 < b.y0 or b.y1 < a.y0
                wrong += [] if apart else [f"labels across each other at {a}"]
    return wrong


def labels_out_of_range(figure: Figure) -> set[object]:
    """Labels that matplotlib keeps and does not draw."""
    hidden: set[object] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-6 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low - margin <= tick.get_loc() <= high + margin:
                    hidden |= {tick.label1, tick.label2}
    return hidden


@pytest.mark.parametrize("name", DRAWN)
def test_pictures_are_not_blank_and_nothing_is_cut_off(name: str) -> None:
    figure = DRAWN[name]()
    assert in_the_picture(figure) == []
    picture = np.asarray(PILImage.open(io.BytesIO(files.to_bytes(figure, "png"))).convert("RGB"))
    assert picture.shape[1] >= 800
    ink = (picture.astype(int) < 200).any(2)
    assert 0.004 < ink.mean() < 0.9
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    assert np.ptp(rows) > 0.85 * len(picture)  # it fills the picture
    assert np.ptp(columns) > 0.85 * picture.shape[1]


def test_a_text_that_is_cut_off_would_be_noticed() -> None:
    figure = DRAWN["det"]()
    figure.text(0.9, 0.5, "much too long to fit here")
    assert len(in_the_picture(figure)) == 1
    figure = DRAWN["det"]()
    figure.axes[0].set_xticks([0.1, 0.101], ["too wide", "too wide"])
    assert len(in_the_picture(figure)) == 1


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_roc_shows_the_points() -> None:
    scores = scores_of()
    figure = charts.roc(scores, threshold=0.4)
    axes = figure.axes[0]
    expected = det_points(scores)
    x, y = (np.asarray(values) for values in axes.get_lines()[0].get_data())
    np.testing.assert_array_equal(x[expected.fmr > 0], expected.fmr[expected.fmr > 0])
    np.testing.assert_array_equal(y, 1 - expected.fnmr)
    assert axes.get_xscale() == "log"
    low = np.sort(scores.impostor)[::-1]
    tar = [(scores.genuine > low[k]).mean() for k in (60, 6)]
    fmr = (scores.impostor.astype(float) >= 0.4).mean()
    assert legend(figure) == [
        f"FMR 1 %: TAR {tar[0] * 100:.4g} %",
        f"FMR 0.1 %: TAR {tar[1] * 100:.4g} %",
        f"EER {eer(*labeled(scores)) * 100:.3g} %",
        f"threshold 0.4: FMR {fmr * 100:.2g} %",
        "fewer than 30 errors seen: uncertain",
    ]
    marks = {line.get_label(): line.get_data() for line in axes.get_lines()[1:]}
    at = marks[legend(figure)[3]]
    assert float(np.asarray(at[0])[0]) == fmr
    assert float(np.asarray(at[1])[0]) == (scores.genuine.astype(float) >= 0.4).mean()


def test_the_det_shows_the_points_on_two_logarithmic_axes() -> None:
    scores = scores_of()
    axes = charts.det(scores).axes[0]
    expected = det_points(scores)
    shown = (expected.fmr > 0) & (expected.fnmr > 0)
    x, y = (np.asarray(values) for values in axes.get_lines()[0].get_data())
    np.testing.assert_array_equal(x[shown], expected.fmr[shown])
    np.testing.assert_array_equal(y[shown], expected.fnmr[shown])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_xlim() == (1e-4, 1)  # 6,000 impostor pairs


@pytest.mark.parametrize("log", [True, False])
def test_the_histogram_shows_the_counts(log: bool) -> None:
    scores = scores_of()
    axes = charts.score_distribution(scores, threshold=0.4, log=log).axes[0]
    expected = score_histogram(scores)
    from matplotlib.patches import StepPatch

    shown = [p.get_data().values for p in axes.patches if isinstance(p, StepPatch)]
    assert len(shown) == 4  # each kind: an area and its outline
    for pair, counts in zip((shown[:2], shown[2:]), (expected.genuine, expected.impostor),
                            strict=True):  # fmt: skip
        values = counts if log else counts / counts.sum()
        np.testing.assert_allclose(pair, np.stack([values, values]))
    assert axes.get_yscale() == ("log" if log else "linear")
    assert np.asarray(axes.get_lines()[0].get_xdata()).tolist() == [0.4, 0.4]


def test_lines_stand_at_their_numbers_in_order() -> None:
    axes = charts.lines({"a": {"10": 0.9, "2": 0.8, "1": float("nan")}}).axes[0]
    x, y = axes.get_lines()[0].get_data()
    assert (np.asarray(x).tolist(), np.asarray(y).tolist()) == ([2, 10], [0.8, 0.9])
    with pytest.raises(OptionError, match="got none"):
        charts.lines({"a": {"1": float("nan")}})


def test_reliability_shows_bins_and_how_many() -> None:
    figure = charts.reliability(BINS)
    top, bottom = figure.axes
    line = next(line for line in top.get_lines() if "observed" in str(line.get_label()))
    assert np.asarray(line.get_xdata()).tolist() == [0.02, 0.5, 1]
    assert np.asarray(line.get_ydata()).tolist() == [0.01, 0.6, 1]
    assert np.asarray(bottom.get_lines()[0].get_ydata()).tolist() == [2000, 20, 900]
    whole = charts.reliability([ReliabilityBin(0.2, 0.3)])
    assert len(whole.axes) == 1  # nobody said how many
    with pytest.raises(OptionError, match="got none"):
        charts.reliability([])


def test_the_matrix_says_its_numbers() -> None:
    figure = charts.group_matrix(
        ["a", "b"], [[0.001, 0.02], [0.02, np.nan]], too_few=[[False, True], [True, False]]
    )
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.1 %", "too few", "too few", "none"]
    assert sum(patch.get_hatch() is not None for patch in axes.patches) == 2
    with pytest.raises(OptionError, match=r"expected \(2, 2\)"):
        charts.group_matrix(["a", "b"], [[1.0]])


def test_group_rates_stand_where_they_belong() -> None:
    figure = charts.group_rates(["a", "b"], {"FMR": [0.01, 0.2]}, too_few={"FMR": [False, True]})
    dots = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o"][:2]
    assert [float(np.asarray(dot.get_xdata())[0]) for dot in dots] == [0.01, 0.2]
    assert [float(np.asarray(dot.get_ydata())[0]) for dot in dots] == [1, 0]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True]
    with pytest.raises(OptionError, match="2 groups"):
        charts.group_rates(["a", "b"], {"FMR": [0.01]})


def test_letters_without_a_font_are_boxes_and_no_warning() -> None:
    figure = charts.lines({"x": {"1": 1.0}}, title="ab\U000e0041 \ue000 $a_1$ é Ж ع")
    assert figure.get_suptitle() == "ab□ □ $a_1$ é Ж ع"
    from matplotlib.text import Text

    named = DRAWN["names"]()
    texts = [text for text in named.findobj(Text) if isinstance(text, Text)]
    assert any("$x_1$" in text.get_text() for text in texts)
    assert not [text.get_text() for text in texts if text.get_parse_math()]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "begins"), [("png", b"\x89PNG"), ("SVG", b"<?xml"), ("pdf", b"%PDF")]
)
def test_save(tmp_path: Path, ending: str, begins: bytes) -> None:
    target = tmp_path / f"picture.{ending}"
    target.write_bytes(b"old")
    files.save(DRAWN["references"](), target)
    assert target.read_bytes().startswith(begins)
    assert list(tmp_path.iterdir()) == [target]


def test_save_refuses_other_endings_and_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.jpg, \.svg or \.pdf"):
        files.save(DRAWN["references"](), tmp_path / "picture.gif")
    with pytest.raises(OptionError, match="no folder"):
        files.save(DRAWN["references"](), tmp_path / "nowhere" / "picture.png")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    for draw in (charts.check_extra, DRAWN["roc"], DRAWN["scores"], DRAWN["matrix"]):
        with pytest.raises(
            MissingExtraError, match=r"pip install .*(matplotlib|lineament\[plot\])"
        ):
            draw()


def test_matplotlib_is_loaded_late_and_left_as_it_was() -> None:
    code = """
import sys
from lineament.pictures import charts
from lineament.pictures.charts import files
from lineament.pictures.pages import result as report
print("matplotlib" in sys.modules)
import matplotlib
before = matplotlib.rcParams.copy()  # dict() would look for a screen, with pyplot
files.to_bytes(charts.lines({"a": {"1": 0.5, "2": 0.6}}))
print(matplotlib.rcParams.copy() == before, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True", "False"]

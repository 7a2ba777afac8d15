"""Fits of calibrations against scikit-learn, brute force and data made with a known answer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lineament.decide.calibration import RULE_OF_30, Calibration
from lineament.decide.metrics import METRICS, score_matrix
from lineament.errors import OptionError
from lineament.evaluate.pair_counts import all_pairs
from lineament.fit.calibrate import Fitted, fit
from lineament.fit.calibrate._galleries import reference_exponent
from lineament.fit.calibrate.likelihood import Curve, fit_isotonic, fit_logistic
from lineament.types import Contract

linear_model = pytest.importorskip("sklearn.linear_model")

CONTRACT = Contract("test", "0" * 64, "arcface-112", "rgb", False, 16)


def people(
    count: int, photos: int = 2, spread: float = 0.7, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors about a center for each person, and who is who."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(count, 16))
    who = np.repeat(np.arange(count), photos)
    vectors = centers[who] + spread * random.normal(size=(len(who), 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), who


def fitted(vectors: np.ndarray, who: Any, **options: Any) -> Fitted:
    values = {"contract": CONTRACT, "data": "made-up people", "n_bootstrap": 40} | options
    return fit(vectors, who, **values)


@pytest.fixture(scope="module")
def crowd() -> tuple[np.ndarray, np.ndarray]:
    return people(300)


@pytest.fixture(scope="module")
def made(crowd: tuple[np.ndarray, np.ndarray]) -> Fitted:
    return fitted(*crowd)


# --- the two ways ---------------------------------------------------------------------------------


def test_logistic_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(0.6, 0.2, 50), random.normal(0.1, 0.2, 400)])
    y = np.arange(450) < 50
    a, b = fit_logistic(x, y, ~y)
    weights = np.where(y, 1 / 50, 1 / 400) * 225
    theirs = linear_model.LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000)
    theirs.fit(x[:, None], y, sample_weight=weights)
    assert (a, b) == pytest.approx((theirs.coef_[0, 0], theirs.intercept_[0]), rel=1e-5)
    # At the optimum the gradient vanishes: exact, where the other's solver stops earlier
    p = 1 / (1 + np.exp(-(a * x + b)))
    assert weights @ (p - y) == pytest.approx(0, abs=1e-9)
    assert weights @ ((p - y) * x) == pytest.approx(0, abs=1e-9)


def test_logistic_of_separated_pairs() -> None:
    x, y = np.array([0.0, 0.1, 0.9, 1.0]), np.array([False, False, True, True])
    with pytest.raises(OptionError, match="separates"):
        fit_logistic(x, y, ~y)
    a, b = fit_logistic(x, y, ~y, unseen=(0.01, 0.01))
    assert a > 0
    assert a * 0.5 + b == pytest.approx(0, abs=1e-9)
    with pytest.raises(OptionError, match="one kind"):
        fit_logistic(x, y, np.zeros(4))


def test_isotonic_by_hand() -> None:
    # genuine at 1, 3, 4; impostor at 0, 2, 2: blocks {0}, {1, 2, 2}, {3, 4}
    curve = fit_isotonic(
        [0.0, 1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1, 1], [1, 0, 2, 0, 0], unseen=(0.05, 0.01)
    )
    middle = math.log((1 / 3) / (2 / 3))
    np.testing.assert_allclose(curve.alike, [0, 5 / 3, 3.5], atol=1e-9)
    np.testing.assert_allclose(curve.llr, [math.log(0.05), middle, -math.log(0.01)], atol=1e-9)
    assert curve([-9.0])[0] == curve.llr[0]
    assert curve(5 / 6) == pytest.approx((curve.llr[0] + middle) / 2)


def test_isotonic_of_scores_that_say_nothing() -> None:
    curve = fit_isotonic([0.0, 1.0], [1, 0], [0, 1], unseen=(0.1, 0.1))
    np.testing.assert_allclose(curve([0.0, 0.5, 1.0]), 0, atol=1e-12)
    assert isinstance(curve, Curve)


# --- the fit --------------------------------------------------------------------------------------


def test_counts_and_thresholds_are_those_of_all_pairs(
    made: Fitted, crowd: tuple[np.ndarray, np.ndarray]
) -> None:
    counts = all_pairs(*crowd, exact_up_to_fmr=1.0)
    calibration = made.calibration
    assert calibration.n_impostor_pairs == counts.n_impostor == 300 * 299 // 2 * 4
    assert calibration.n_genuine_pairs == counts.n_genuine == 300
    assert (calibration.n_people, calibration.n_photos) == (300, 600)
    # 179,400 impostor pairs: 30 false matches at 1.7e-4, so 3e-4 is the last
    assert [point.fmr for point in calibration.points] == [3e-2, 1e-2, 3e-3, 1e-3, 3e-4]
    for point in calibration.points:
        exact = counts.threshold_at_fmr(point.fmr)
        assert 0 <= point.value - exact <= 1.1e-6
        assert point.false_matches <= point.fmr * counts.n_impostor
        assert point.false_non_matches == round(counts.fnmr_at(point.value) * counts.n_genuine)
        assert point.low < point.value < point.high


def test_llr_is_that_of_the_densities() -> None:
    # Scores of which the likelihood ratio is known: two people's angle is given by construction
    vectors, who = people(800, seed=3)
    calibration = fitted(vectors, who, n_bootstrap=20, fpirs=()).calibration
    scores = score_matrix(vectors, vectors)
    same = who[:, None] == who[None]
    pairs = np.triu(np.ones_like(same), 1)
    genuine, impostor = scores[same & pairs], scores[~same & pairs]
    checked = 0
    for low, high in ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 0.7)):
        share = ((genuine >= low) & (genuine < high)).mean()
        other = ((impostor >= low) & (impostor < high)).mean()
        assert calibration.llr_of((low + high) / 2) == pytest.approx(
            math.log(share / other), abs=0.35
        )
        checked += 1
    assert checked == 4
    assert (calibration.llr_low <= calibration.llr).all()


def test_probabilities_hold_for_other_people(made: Fitted) -> None:
    from lineament.evaluate.scoring import reliability

    vectors, who = people(400, seed=9)
    counts = all_pairs(vectors, who, exact_up_to_fmr=1.0)
    scores = np.concatenate([counts.genuine, counts.impostor_tail])
    same = np.arange(len(scores)) < counts.n_genuine
    weights = np.where(same, 1 / counts.n_genuine, 1 / counts.n_impostor)
    table = reliability(made.calibration.probabilities(scores), same, weights=weights)
    assert table.ece < 0.03
    assert made.calibration.ece < 0.03
    assert made.reliability.ece == pytest.approx(made.calibration.ece, abs=1e-6)
    assert made.calibration.min_cllr < made.calibration.cllr < 0.5


def test_the_method_is_the_one_of_lower_cllr(made: Fitted) -> None:
    best = min(made.cllr_by_method, key=lambda name: made.cllr_by_method[name])
    assert made.calibration.method == best
    assert made.calibration.cllr == pytest.approx(made.cllr_by_method[best], abs=1e-6)
    assert set(made.to_dict()["cllr_by_method"]) == {"logistic", "isotonic"}


def test_equal_input_gives_an_equal_calibration(
    made: Fitted, crowd: tuple[np.ndarray, np.ndarray]
) -> None:
    vectors, who = crowd
    shuffled = np.random.default_rng(1).permutation(len(who))
    names = np.array([f"person {k:04d}" for k in who])
    again = fitted(vectors, names)
    assert again.calibration.to_dict() == made.calibration.to_dict()
    other = fitted(vectors[shuffled], names[shuffled])
    assert [p.value for p in other.calibration.points] == [p.value for p in made.calibration.points]


@pytest.mark.slow
def test_intervals_are_those_of_people_not_of_pairs(
    crowd: tuple[np.ndarray, np.ndarray],
) -> None:
    vectors, who = crowd
    # The same people, each photo three times: no new evidence, so no narrower interval
    three = np.repeat(np.arange(len(who)), 3)
    one, more = (
        fitted(v, w, fmrs=(1e-2,), fpirs=(), n_bootstrap=100).calibration.points[0]
        for v, w in ((vectors, who), (vectors[three], who[three]))
    )
    assert more.high - more.low == pytest.approx(one.high - one.low, rel=0.5)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_every_metric_has_its_direction(metric: str) -> None:
    vectors, who = people(40, seed=4)
    calibration = fitted(vectors, who, metric=metric, n_bootstrap=20, fmrs=(0.03,)).calibration
    sign = 1 if METRICS[metric].higher_is_more_alike else -1
    assert (np.diff(sign * calibration.score) > 0).all()
    alike = np.sort(calibration.score)[::sign]
    assert calibration.probability(alike[-1]).value > 0.9
    assert calibration.probability(alike[0]).value < 0.1
    scores = score_matrix(vectors, vectors, metric)[who[:, None] != who[None]]
    (point,) = calibration.points
    passing = (sign * scores.astype(float) >= sign * point.value).mean()
    assert passing == pytest.approx(0.03, abs=2e-3)
    again = Calibration.from_dict(calibration.to_dict())
    assert again.to_dict() == calibration.to_dict()


def test_separated_people_are_no_certain_match() -> None:
    calibration = fitted(*people(40, spread=0.01)).calibration
    assert calibration.cllr < 0.1
    assert calibration.llr[-1] <= math.log(40 * 39 / 2 / 3) + 1e-3
    assert calibration.llr[0] >= -math.log(40 / 3) - 1e-3
    assert calibration.probability(1.0).value < 0.997


def test_scores_that_say_nothing() -> None:
    vectors = np.ones((16, 16), np.float32) / 4
    calibration = fitted(vectors, np.repeat(np.arange(8), 2)).calibration
    assert calibration.probability(1.0).value == pytest.approx(0.5, abs=1e-6)
    assert calibration.cllr == pytest.approx(1, abs=1e-6)


def test_photos_without_a_face_are_left_out() -> None:
    vectors, who = people(30)
    found = np.arange(60) != 7
    spoilt = vectors.copy()
    spoilt[7] = np.nan
    a = fitted(spoilt, who, found=found, n_bootstrap=20)
    b = fitted(vectors[found], who[found], n_bootstrap=20)
    assert a.calibration.to_dict() == b.calibration.to_dict()
    with pytest.raises(OptionError, match="finite"):
        fitted(spoilt, who)


def test_too_few_pairs_support_no_threshold() -> None:
    calibration = fitted(*people(10)).calibration  # 180 impostor pairs
    assert calibration.points == ()
    assert calibration.identification is None
    with pytest.raises(OptionError, match="rule of 30"):
        calibration.threshold(1e-2)
    with pytest.raises(OptionError, match="too few people"):
        calibration.identification_threshold(10)


@pytest.mark.parametrize(
    ("who", "message"),
    [
        ([0] * 8, "1 people"),
        ([0, 0, 1, 1, 2, 2, 2, 2], "3 people"),
        ([0, 0, 1, 2, 3, 4, 5, 6], "1 of them"),
        (list(range(8)), "0 of them"),
    ],
)
def test_too_few_people_are_refused(who: list[int], message: str) -> None:
    vectors, _ = people(4)
    with pytest.raises(OptionError, match=message):
        fitted(vectors, who)


@pytest.mark.parametrize(
    "options",
    [
        {"n_bootstrap": 1},
        {"confidence": 1.0},
        {"fmrs": (0.0,)},
        {"fpirs": (1.0,)},
        {"metric": "manhattan"},
        {"found": np.zeros(8, int)},
        {"found": np.zeros(8, bool)},
        {"people": np.arange(7)},
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    vectors, who = people(4)
    values = {"people": who, "contract": CONTRACT, "data": "x"} | options
    with pytest.raises(OptionError, match="expected"):
        fit(vectors, **values)


# --- galleries ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_galleries_get_the_wanted_share_of_false_alarms() -> None:
    # Fitted on 1,500 people, tried on others, with galleries drawn at random
    vectors, who = people(1500, 2, seed=5)
    calibration = fitted(vectors, who, n_bootstrap=20).calibration
    table = calibration.identification
    assert table is not None
    assert table.n_probe_people == 1500
    assert table.fpir[0] >= RULE_OF_30 / 1500
    others, _ = people(3000, 1, seed=6)
    random = np.random.default_rng(7)
    for size in (10, 100, 1000):
        wanted = 0.05
        at = calibration.identification_threshold(size, fpir=wanted)
        assert not at.extrapolated
        alarms = []
        for _ in range(200 if size == 10 else 10):
            order = random.permutation(len(others))
            gallery, probes = others[order[:size]], others[order[size : size + 2000]]
            alarms.append((probes @ gallery.T).max(axis=1) >= at.value)
        assert np.mean(alarms) == pytest.approx(wanted, rel=0.25)


def test_references_that_are_equal_add_nothing_and_independent_ones_multiply() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(400, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    who = np.repeat(np.arange(200), 2)
    assert reference_exponent(vectors, who, "cosine") > 0.9
    assert reference_exponent(np.repeat(vectors[:200], 2, axis=0), who, "cosine") < 0.05
    assert reference_exponent(vectors, np.arange(400), "cosine") == 1


def test_progress_is_told(crowd: tuple[np.ndarray, np.ndarray]) -> None:
    told: list[tuple[str, int, int]] = []
    fitted(*people(40), n_bootstrap=20, progress=lambda *step: told.append(step))
    last = {what: (done, total) for what, done, total in told}
    assert len(last) >= 4
    assert {done - total for done, total in last.values()} == {0}


def test_the_contract_is_kept(made: Fitted) -> None:
    made.calibration.check(replace(CONTRACT, weights="another name"), "cosine")
    assert made.calibration.created_by.startswith("lineament ")

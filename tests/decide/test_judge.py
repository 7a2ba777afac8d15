from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders import make_contract, make_embedding
from lineament.decide.calibration import Calibration, OperatingPoint
from lineament.decide.comparison import compare
from lineament.decide.conditions import Conditions
from lineament.decide.judge import Judge
from lineament.decide.metrics import MetricName
from lineament.decide.thresholds import own_threshold
from lineament.errors import ContractError, OptionError
from lineament.quality import QualityLimits
from lineament.types import Decision, FloatArray, Image, Quality, Threshold

GOOD = Quality(60, 0.14, 3, -4, 0.45, 0.2, 12)


def calibration(**changes: Any) -> Calibration:
    """LLR = 10 * (cosine - 0.3) between -0.7 and 0.7."""
    score = np.array([-0.4, 1.0])
    values: dict[str, Any] = {
        "contract": make_contract(dimension=2),
        "metric": "cosine",
        "method": "logistic",
        "score": score,
        "llr": 10 * (score - 0.3),
        "llr_low": 10 * (score - 0.3) - 0.5,
        "llr_high": 10 * (score - 0.3) + 0.5,
        "data": "made up",
        "n_people": 10,
        "n_photos": 30,
        "n_genuine_pairs": 30,
        "n_impostor_pairs": 405,
        "cllr": 0.1,
        "min_cllr": 0.1,
        "ece": 0.01,
    }
    return Calibration(**values | changes)


def decision(cosine: float, threshold: float = 0.4, **changes: Any) -> Decision:
    made = compare(
        make_embedding([1, 0]),
        make_embedding([cosine, np.sqrt(1 - cosine**2)]),
        Threshold(threshold, "cosine", 1e-4, "made up", 405),
        sources=("a.jpg", "b.jpg"),
        qualities=(GOOD, GOOD),
    )
    return replace(made, **changes)


def test_the_probability_is_that_of_the_calibration() -> None:
    judged = Judge(calibration()).assess(decision(0.5))
    assert judged.certainty is not None
    odds = np.exp(10 * (0.5 - 0.3) + np.array([0, -0.5, 0.5]))
    expected = odds / (1 + odds)
    found = (judged.certainty.probability, judged.certainty.low, judged.certainty.high)
    assert found == pytest.approx(tuple(expected), rel=1e-6)
    assert judged.probability == judged.certainty.probability
    assert judged.certainty.llr == pytest.approx(2, rel=1e-6)
    assert judged.verdict == "same"
    assert judged.reasons == ()


def test_the_prior_moves_the_probability_and_not_the_answer() -> None:
    half, rare = (Judge(calibration(), prior).assess(decision(0.9)) for prior in (0.5, 0.01))
    assert half.probability is not None
    assert rare.probability is not None
    odds = half.probability / (1 - half.probability)
    assert rare.probability / (1 - rare.probability) == pytest.approx(odds / 99, rel=1e-6)
    assert half.same == rare.same


@pytest.mark.parametrize(
    ("cosine", "threshold", "verdict", "reason"),
    [
        (0.5, 0.4, "same", ""),
        (0.1, 0.4, "different", ""),
        (0.35, 0.4, "undecided", "falls short of the threshold for a false match rate of 0.0001"),
        (0.25, 0.2, "undecided", "passes the threshold for a false match rate of 0.0001, yet"),
    ],
)
def test_threshold_and_probability_must_agree(
    cosine: float, threshold: float, verdict: str, reason: str
) -> None:
    judged = Judge(calibration()).assess(decision(cosine, threshold))
    assert judged.verdict == verdict
    assert reason in " ".join(judged.reasons)
    assert judged.same == (cosine >= threshold)


def test_a_score_within_the_thresholds_interval_is_open() -> None:
    threshold = Threshold(0.4, "cosine", 1e-4, "made up", 405, low=0.38, high=0.43)
    for cosine, verdict in ((0.37, "undecided"), (0.39, "undecided"), (0.42, "undecided")):
        judged = Judge(calibration()).assess(decision(cosine, threshold=0.4))
        judged = Judge(calibration()).assess(replace(judged, threshold=threshold))
        assert judged.verdict == verdict
    judged = Judge().assess(replace(decision(0.42), threshold=threshold))
    assert "0.380 to 0.430" in judged.reasons[0]
    assert Judge().assess(replace(decision(0.44), threshold=threshold)).verdict == "same"
    assert Judge().assess(replace(decision(0.37), threshold=threshold)).verdict == "different"


def test_a_poor_photo_leaves_the_answer_open() -> None:
    poor = replace(GOOD, size_px=5.0)
    judged = Judge(calibration()).assess(decision(0.9, quality_b=poor))
    assert judged.verdict == "undecided"
    assert judged.verdict_in_words == "undecided, rather the same person"
    assert judged.reasons[0].startswith("b.jpg: the face is 5")
    assert "undecided because b.jpg" in str(judged)
    assert judged.to_dict()["verdict"] == "undecided"


def test_the_calibrations_limits_go_before_the_others() -> None:
    judge = Judge(calibration(quality={"least_norm": 20.0}), limits=QualityLimits(least_size_px=10))
    assert judge.all_limits == QualityLimits(least_size_px=10, least_norm=20)
    judged = judge.assess(decision(0.9))
    assert [reason.split(":")[0] for reason in judged.reasons] == ["a.jpg", "b.jpg"]
    assert "norm" in judged.reasons[0]


def test_without_a_calibration_there_is_no_probability() -> None:
    judged = Judge().assess(decision(0.9))
    assert judged.certainty is None
    assert judged.probability is None
    assert judged.verdict == "same"


def test_a_calibration_of_other_embeddings_is_refused() -> None:
    other = calibration(contract=make_contract(dimension=2, weights_sha256="cd" * 32))
    with pytest.raises(ContractError, match="fitted on made up"):
        Judge(other).assess(decision(0.9))


def test_bad_priors_and_metrics_are_refused() -> None:
    for prior in (0, 1, -1, float("nan")):
        with pytest.raises(OptionError, match="prior: expected a share between 0 and 1"):
            Judge(prior=prior)
    score = np.array([2.0, 0.0])
    with pytest.raises(OptionError, match="decisions need one for cosine"):
        Judge(calibration(metric="euclidean_l2", score=score))


def test_certainty_in_words_never_rounds_up_to_certainty() -> None:
    judged = Judge(calibration(llr=[-7, 13.0], llr_low=[-7, 12], llr_high=[-7, 14])).assess(
        decision(0.999999)
    )
    assert judged.certainty is not None
    assert judged.certainty.in_words.startswith("99.9998 %")
    assert "100" not in judged.certainty.in_words


def test_a_decision_at_another_metric_has_the_cosines_probability() -> None:
    a, b = make_embedding([1, 0]), make_embedding([0.6, 0.8])
    judged = Judge(calibration()).assess(compare(a, b, own_threshold(1.2, "euclidean_l2")))
    by_cosine = Judge(calibration()).assess(compare(a, b, own_threshold(0.4, "cosine")))
    assert judged.probability == by_cosine.probability


# --- children -------------------------------------------------------------------------------------


class Ages:
    """Years by the first value of a crop, and how many crops were looked at."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, crops: Image) -> FloatArray:
        self.seen += len(crops)
        return crops[:, 0, 0, 0].astype(np.float32)


def aged(years: int) -> Image:
    return np.full((112, 112, 3), years, np.uint8)


@pytest.mark.parametrize(
    ("years", "looks", "verdict"),
    [
        ((3, 4), 2, "undecided"),
        ((13, 13), 2, "undecided"),
        ((13, 14), 2, "same"),
        ((3, 40), 2, "undecided"),
        ((40, 9), 2, "undecided"),
        ((40, 10), 2, "same"),
        ((40, 60), 2, "same"),
        ((9, None), 1, "undecided"),
        ((None, 9), 1, "undecided"),
        ((None, 10), 1, "same"),
        ((None, None), 0, "same"),
    ],
)
def test_two_children_are_undecided(
    years: tuple[int | None, int | None], looks: int, verdict: str
) -> None:
    ages = Ages()
    crops = tuple(None if age is None else aged(age) for age in years)
    judged = Judge(calibration(), ages=ages).assess(decision(0.9), crops=(crops[0], crops[1]))
    assert judged.verdict == verdict
    assert ages.seen == looks
    assert judged.same
    plain = Judge(calibration()).assess(decision(0.9))
    if verdict == "same":
        assert judged.certainty == plain.certainty
        return
    (reason,) = judged.reasons
    assert "the calibration rests on adults" in reason
    assert judged.certainty is not None
    assert plain.certainty is not None
    # No surer than 26 % of two small children's pairs allow, 8 % at the upper end.
    assert judged.certainty.llr == pytest.approx(np.log(1 / 0.26))
    expected = (1 / (1 + 0.26), 0.5, 1 / (1 + 0.08))
    found = judged.certainty
    assert (found.probability, found.low, found.high) == pytest.approx(expected)
    assert plain.certainty.low > expected[2]


def test_the_words_name_the_ages() -> None:
    judge = Judge(calibration(), ages=Ages())
    both = judge.assess(decision(0.9), crops=(aged(3), aged(5)))
    assert both.reasons[0].startswith(
        "both faces look like those of children (about 3 and 5 years): "
    )
    one = judge.assess(decision(0.9), crops=(None, aged(5)))
    assert one.reasons[0].startswith("b.jpg: the face looks like that of a child (about 5 years): ")
    assert "undecided because both faces" in str(both)
    assert both.to_dict()["reasons"] == list(both.reasons)


def test_ages_are_asked_only_where_the_score_passes() -> None:
    ages = Ages()
    judge = Judge(calibration(), ages=ages)
    crops = (aged(3), aged(3))
    assert judge.assess(decision(0.1), crops=crops).verdict == "different"
    assert ages.seen == 0


def test_poor_photos_of_children_claim_no_more_than_good_ones() -> None:
    judge = Judge(calibration(), ages=Ages())
    poor = replace(GOOD, size_px=5.0)
    judged = judge.assess(decision(0.9, quality_b=poor), crops=(aged(3), aged(3)))
    assert judged.verdict == "undecided"
    assert len(judged.reasons) == 2
    assert judged.certainty is not None
    assert judged.certainty.probability == pytest.approx(1 / 1.26)


def test_a_lower_certainty_of_children_stays() -> None:
    rare = Judge(calibration(), prior=0.01, ages=Ages())
    judged = rare.assess(decision(0.9), crops=(aged(3), aged(3)))
    assert judged.certainty is not None
    assert judged.certainty.probability == pytest.approx(1 / (1 + 99 * 0.26))
    assert judged.certainty.low == 0.01
    unsure = calibration(llr=[-7, 1.0], llr_low=[-7, 0.5], llr_high=[-7, 1.5])
    judged = Judge(unsure, ages=Ages()).assess(decision(0.99), crops=(aged(3), aged(3)))
    assert judged.certainty is not None
    assert judged.certainty.llr < 1
    assert judged.certainty.high < 1 / (1 + 0.08)
    without = Judge(ages=Ages()).assess(decision(0.9), crops=(aged(3), aged(3)))
    assert without.verdict == "undecided"
    assert without.certainty is None


# --- both photos bad ------------------------------------------------------------------------------


def conditions() -> Conditions:
    """Threshold and score 0.2 higher for two faces of 0.6, nothing at all below 0.4."""
    return Conditions(
        knots=[0.4, 0.6, 1.0],
        threshold_rise=[[2.0, 0.2, 0.0], [0.2, 0.2, 0.0], [0.0, 0.0, 0.0]],
        llr_rise=[[0.0, 0.1, 0.1], [0.1, 0.1, 0.1], [0.1, 0.1, 0.0]],
        trust=[[0.0, 0.5, 0.5], [0.5, 0.5, 0.8], [0.5, 0.8, 1.0]],
        data="made up",
    )


def left(recognizability: float | None) -> Quality:
    return replace(GOOD, recognizability=recognizability)


@pytest.mark.parametrize(
    ("cosine", "qualities", "verdict"),
    [
        (0.55, (0.6, 0.6), "undecided"),
        (0.61, (0.6, 0.6), "same"),
        (0.55, (0.6, 1.0), "same"),
        (0.55, (1.0, 0.4), "same"),
        (0.55, (0.8, 0.6), "same"),  # the rise is 0.1
        (0.45, (0.8, 0.6), "undecided"),
        (0.99, (0.4, 0.3), "undecided"),
        (0.55, (None, 0.6), "same"),
        (0.55, (None, None), "same"),
        (0.05, (0.6, 0.6), "different"),
    ],
)
def test_of_two_bad_faces_more_is_asked(
    cosine: float, qualities: tuple[float | None, float | None], verdict: str
) -> None:
    a, b = (left(each) for each in qualities)
    given = decision(cosine, quality_a=a, quality_b=b)
    judged = Judge(calibration(conditions=conditions())).assess(given)
    assert judged.verdict == verdict
    assert judged.same == (cosine >= 0.4)
    turned = replace(given, quality_a=b, quality_b=a)
    assert Judge(calibration(conditions=conditions())).assess(turned).verdict == verdict
    assert Judge(calibration()).assess(given).verdict == ("same" if judged.same else "different")


def test_the_reason_says_what_it_takes_and_what_to_do() -> None:
    judge = Judge(calibration(conditions=conditions()))
    judged = judge.assess(decision(0.55, quality_a=left(0.6), quality_b=left(0.59)))
    reason = judged.reasons[0]
    assert "strangers look alike in photos like these two (recognizability 0.60 and 0.59)" in reason
    assert "passes the threshold 0.400, yet for such faces it takes 0.600" in reason
    assert "compare a photo of either person that is clear" in reason
    assert judged.to_dict()["reasons"] == list(judged.reasons)
    worst = judge.assess(decision(0.99, quality_a=left(0.4), quality_b=left(0.4)))
    assert "for such faces no score is enough" in worst.reasons[0]


def test_the_llr_and_the_probability_are_those_of_such_faces() -> None:
    judge = Judge(calibration(conditions=conditions()))
    judged = judge.assess(decision(0.7, quality_a=left(0.6), quality_b=left(0.6)))
    assert judged.certainty is not None
    assert judged.certainty.llr == pytest.approx(0.5 * 10 * (0.7 - 0.1 - 0.3), rel=1e-6)
    assert judged.certainty.low < judged.certainty.probability < judged.certainty.high
    clean = decision(0.7, quality_a=left(1.0), quality_b=left(1.0))
    assert judge.assess(clean).certainty == Judge(calibration()).assess(clean).certainty


def test_a_score_that_is_no_evidence_leaves_the_prior() -> None:
    judge = Judge(calibration(conditions=conditions()), prior=0.2)
    judged = judge.assess(decision(0.99, quality_a=left(0.1), quality_b=left(0.2)))
    assert judged.certainty is not None
    assert judged.certainty.llr == 0
    assert judged.certainty.probability == pytest.approx(0.2)
    plain = Judge(calibration(), prior=0.2)
    low, high = (plain.assess(decision(c)).certainty for c in (-0.4, 1.0))
    assert low is not None
    assert high is not None
    assert judged.certainty.low <= low.low
    assert judged.certainty.high >= high.high - 1e-9


@pytest.mark.parametrize("metric", ["euclidean_l2", "angular", "euclidean"])
def test_thresholds_of_other_metrics_rise_alike(metric: MetricName) -> None:
    points = (OperatingPoint(1e-4, 0.4, 0.4, 0.4, 30),)
    judge = Judge(calibration(conditions=conditions(), points=points, n_impostor_pairs=300_000))
    value = {"euclidean_l2": math.sqrt(1.2), "angular": math.acos(0.4) / math.pi}.get(metric, 1.2)
    threshold = Threshold(value, metric, 1e-4, "made up", 405)

    def judged(cosine: float, threshold: Threshold) -> Decision:
        a, b = make_embedding([1, 0]), make_embedding([cosine, np.sqrt(1 - cosine**2)])
        made = compare(a, b, threshold, qualities=(left(0.6), left(0.6)))
        assert made.same
        return judge.assess(made)

    assert judged(0.55, threshold).verdict == "undecided"
    assert "it takes 0.600" in judged(0.55, threshold).reasons[0]
    assert judged(0.65, threshold).verdict == "same"
    if metric != "euclidean":  # by hand: the cosine is known all the same
        by_hand = own_threshold(value, metric)
        assert judged(0.55, by_hand).verdict == "undecided"
        assert judged(0.65, by_hand).verdict == "same"


def test_a_threshold_by_hand_rises_too() -> None:
    judge = Judge(calibration(conditions=conditions()))
    given = decision(0.75, quality_a=left(0.6), quality_b=left(0.6))
    for value, verdict in ((0.5, "same"), (0.6, "undecided")):
        made = replace(given, threshold=own_threshold(value, "cosine"), same=True)
        assert judge.assess(made).verdict == verdict


def test_children_in_two_bad_photos_have_both_reasons() -> None:
    judge = Judge(calibration(conditions=conditions()), ages=Ages())
    given = decision(0.55, quality_a=left(0.6), quality_b=left(0.6))
    judged = judge.assess(given, crops=(aged(3), aged(3)))
    assert judged.verdict == "undecided"
    assert "strangers look alike in photos like these two" in judged.reasons[0]
    assert "look like those of children" in judged.reasons[-1]
    assert judged.certainty is not None
    adults = judge.assess(given, crops=(aged(40), aged(40)))
    assert adults.certainty is not None
    assert judged.certainty.probability <= adults.certainty.probability


def test_a_face_below_the_least_recognizability_is_undecided() -> None:
    judge = Judge(calibration(quality={"least_recognizability": 0.5}))
    judged = judge.assess(decision(0.9, quality_a=left(0.49), quality_b=left(1.0)))
    assert judged.verdict == "undecided"
    assert judged.reasons[0].startswith("a.jpg: too little of an identity is left in the face")
    assert "recognizability 0.49, below 0.5" in judged.reasons[0]
    for enough in (0.5, None):
        ok = judge.assess(decision(0.9, quality_a=left(enough), quality_b=left(enough)))
        assert ok.verdict == "same"


def test_past_the_threshold_conditions_decide_about_faces_of_little_recognizability() -> None:
    """A bad photo against a clean one makes misses, not false matches."""
    judge = Judge(calibration(quality={"least_recognizability": 0.65}, conditions=conditions()))
    pair = {"quality_a": left(0.6), "quality_b": left(1.0)}
    assert judge.assess(decision(0.9, **pair)).verdict == "same"
    missed = judge.assess(decision(0.05, **pair))
    assert missed.verdict == "undecided"
    assert missed.reasons[0].startswith("a.jpg: too little of an identity is left in the face")
    unknown = decision(0.9, quality_a=left(0.6), quality_b=left(None))
    assert judge.assess(unknown).verdict == "undecided"


def test_reasons_name_what_seems_to_be_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {(0,): "", (1,): "the eyes seem to be covered"}
    monkeypatch.setattr(
        "lineament.decide.judge.covered_in_words",
        lambda crop: "" if crop is None else words[tuple(crop.ravel())],
    )
    crops = (np.zeros((1, 1, 1), np.uint8), np.ones((1, 1, 1), np.uint8))
    judge = Judge(calibration(quality={"least_recognizability": 0.65}, conditions=conditions()))
    both = decision(0.55, quality_a=left(0.6), quality_b=left(0.6))
    assert (
        judge.assess(both, crops=crops)
        .reasons[0]
        .endswith("uncovered; b.jpg: the eyes seem to be covered")
    )
    assert judge.assess(both).reasons[0].endswith("uncovered")
    missed = judge.assess(replace(both, same=False), crops=crops)
    assert missed.reasons[0].endswith("uncovered")
    assert missed.reasons[1].endswith("uncovered (the eyes seem to be covered)")

"""Calibrations: what scores mean, refusals in words, files good and hostile."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament import models
from lineament.decide.calibration import (
    FORMAT,
    Calibration,
    Identification,
    OperatingPoint,
    bundled,
    bundled_name,
)
from lineament.errors import ContractError, DataError, LineamentError, OptionError
from lineament.types import Contract

CONTRACT = Contract("net", "ab" * 32, "arcface-112", "rgb", False, 8)


def identification(**changes: Any) -> Identification:
    sizes, rates = np.array([1, 10, 100, 1000]), np.array([0.01, 0.1])
    # A threshold that rises by 0.05 with each tenfold size, and falls by 0.1 with the rate's
    table = 0.3 + 0.05 * np.log10(sizes)[:, None] - 0.1 * np.log10(rates / 0.01)[None]
    values: dict[str, Any] = {
        "n_people": sizes,
        "fpir": rates,
        "threshold": table,
        "low": table - 0.01,
        "high": table + 0.02,
        "n_probe_people": 3000,
        "reference_exponent": 0.5,
    }
    return Identification(**values | changes)


def calibration(**changes: Any) -> Calibration:
    values: dict[str, Any] = {
        "contract": CONTRACT,
        "metric": "cosine",
        "method": "isotonic",
        "score": [0.0, 0.2, 0.4, 0.8],
        "llr": [-4.0, 0.0, 4.0, 8.0],
        "llr_low": [-5.0, -1.0, 3.0, 7.0],
        "llr_high": [-3.0, 1.0, 5.0, 8.0],
        "data": "made-up people",
        "n_people": 1000,
        "n_photos": 2000,
        "n_genuine_pairs": 1000,
        "n_impostor_pairs": 300_000,
        "cllr": 0.1,
        "min_cllr": 0.09,
        "ece": 0.01,
        "points": (
            OperatingPoint(1e-2, 0.3, 0.29, 0.32, 3000),
            OperatingPoint(1e-4, 0.5, 0.45, 0.6, 30),
        ),
        "identification": identification(),
        "quality": {"norm": 5.0},
        "created_by": "lineament test",
    }
    return Calibration(**values | changes)


# --- what a score means ---------------------------------------------------------------------------


def test_llr_is_a_line_between_knots_and_constant_outside() -> None:
    made = calibration()
    np.testing.assert_allclose(
        made.llr_of([[-1, 0.1], [0.3, 0.6], [0.8, 1]]), [[-4, -2], [2, 6], [8, 8]], atol=1e-12
    )


@pytest.mark.parametrize("prior", [0.5, 0.01, 0.999])
def test_probability_is_bayes(prior: float) -> None:
    made = calibration()
    value, low, high = made.probability(0.3, prior)
    for p, llr in ((value, 2.0), (low, 1.0), (high, 3.0)):
        ratio = math.exp(llr)
        assert p == pytest.approx(ratio * prior / (ratio * prior + 1 - prior), abs=1e-12)
    assert made.probabilities([0.3], prior)[0] == value


def test_what_a_threshold_costs(tmp_path: Path) -> None:
    """The share of genuine pairs that it keeps out, where they were counted."""
    points = (
        OperatingPoint(1e-2, 0.3, 0.29, 0.32, 3000, 10),
        OperatingPoint(1e-4, 0.5, 0.45, 0.6, 30, 50),
    )
    made = calibration(points=points)
    assert [made.threshold(rate).fnmr for rate in (1e-2, 1e-3, 1e-4)] == [0.01, 0.03, 0.05]
    made.save(tmp_path / "made.json")
    assert Calibration.load(tmp_path / "made.json").points == points
    assert calibration().threshold(1e-2).fnmr is None
    with pytest.raises(DataError, match="false_non_matches"):
        OperatingPoint(1e-2, 0.3, 0.29, 0.32, 3000, -1)


def test_score_where_is_the_inverse() -> None:
    made = calibration()
    for prior in (0.5, 0.1):
        for score in (0.05, 0.2, 0.35, 0.79):
            p = made.probability(score, prior).value
            assert made.score_where(p, prior) == pytest.approx(score, abs=1e-9)
    with pytest.raises(OptionError, match=r"supports 0.0179\d+ to 0.9996\d+ .* more people"):
        made.score_where(0.99999)
    flat = calibration(llr=[-4.0, 0.0, 0.0, 8.0], llr_low=[-5.0] * 4, llr_high=[8.0] * 4)
    assert flat.score_where(0.5) == pytest.approx(0.2)


def test_a_distance_has_the_other_direction() -> None:
    made = calibration(
        metric="euclidean",
        score=[0.8, 0.4, 0.2, 0.0],
        points=(
            OperatingPoint(1e-2, 0.5, 0.4, 0.6, 3000),
            OperatingPoint(1e-3, 0.3, 0.2, 0.4, 300),
        ),
        identification=None,
    )
    np.testing.assert_allclose(made.llr_of([0.9, 0.3, -1]), [-4, 2, 8], atol=1e-12)
    assert made.score_where(made.probability(0.3).value) == pytest.approx(0.3)
    assert 0.3 < made.threshold(3e-3).plain.value < 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(OptionError, match="finite"):
        calibration().probability(bad)


@pytest.mark.parametrize("prior", [0, 1, -1, math.nan])
def test_priors_that_are_none_are_refused(prior: float) -> None:
    with pytest.raises(OptionError, match="prior"):
        calibration().probability(0.3, prior)


# --- thresholds -----------------------------------------------------------------------------------


def test_thresholds_as_fitted_and_between() -> None:
    made = calibration()
    exact = made.threshold(1e-4)
    assert (exact.plain.value, exact.low, exact.high, exact.false_matches) == (0.5, 0.45, 0.6, 30)
    assert (exact.plain.fmr, exact.plain.impostor_pairs) == (1e-4, 300_000)
    assert not exact.interpolated
    between = made.threshold(1e-3)
    assert between.plain.value == pytest.approx(0.4, abs=1e-12)
    assert between.interpolated
    assert "300 false matches" in str(between)


@pytest.mark.parametrize(
    ("fmr", "message"),
    [
        (9e-5, r"only 27 false matches .*rule of 30\), so 0.0001 .* below 1e-05"),
        (0.5, "there are: 0.01, 0.0001"),
        (0.0, "between 0 and 1"),
        (math.nan, "between 0 and 1"),
    ],
)
def test_thresholds_that_are_refused(fmr: float, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        calibration().threshold(fmr)


def test_the_nearest_rate_has_a_threshold() -> None:
    made = calibration()
    assert [made.rate_nearest(fmr) for fmr in (1e-3, 1e-6, 0.5)] == [1e-3, 1e-4, 1e-2]
    with pytest.raises(OptionError, match=r"too few .* rule of 30"):
        calibration(points=()).rate_nearest(1e-4)


def test_the_rate_it_was_tuned_for_comes_first(tmp_path: Path) -> None:
    made = calibration(wanted_fmr=1e-2)
    assert (made.default_rate(1e-4), calibration().default_rate(1e-4)) == (1e-2, 1e-4)
    made.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json").wanted_fmr == 1e-2
    assert "wanted_fmr" not in calibration().to_dict()
    with pytest.raises(DataError, match=r"one of the rates of the points, got 0\.5"):
        calibration(wanted_fmr=0.5)


def test_galleries_between_the_sizes_of_the_table() -> None:
    made = calibration()
    at = made.identification_threshold(100)
    assert (at.value, at.extrapolated) == (pytest.approx(0.4, abs=1e-12), False)
    assert (at.low, at.high) == (pytest.approx(0.39), pytest.approx(0.42))
    assert at.plain.value == at.value
    assert made.identification_threshold(30).value == pytest.approx(0.3 + 0.05 * math.log10(30))
    middle = made.identification_threshold(10, fpir=10**-1.5).value
    assert middle == pytest.approx(0.3, abs=1e-12)
    # Four references, exponent 1/2: as twice the people
    four = made.identification_threshold(50, references=4)
    assert four.value == pytest.approx(at.value, abs=1e-12)


def test_galleries_beyond_the_table_say_so() -> None:
    at = calibration().identification_threshold(100_000)
    assert at.extrapolated
    assert at.value == pytest.approx(0.55, abs=1e-9)
    assert at.low == pytest.approx(0.55 - 0.01 - 0.1 / 4)
    assert at.high == pytest.approx(0.55 + 0.02 + 0.1 / 4)
    assert "extrapolated" in str(at)
    assert "extrapolated" not in str(calibration().identification_threshold(1000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "at least one person"),
        ((1, 0.5), "at least one reference"),
        ((1, math.nan), "at least one reference"),
        ((1, 1, 0.001), "3,000 people .* rule of 30"),
        ((1, 1, 0.5), "supports 0.01 to 0.1"),
        ((1, 1, 1.0), "between 0 and 1"),
    ],
)
def test_galleries_that_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        calibration().identification_threshold(*arguments)


def test_check_says_what_differs() -> None:
    made = calibration()
    made.check(replace(CONTRACT, weights="other name"), "cosine")
    with pytest.raises(ContractError, match=r"net-ab.*plain.*net-ab.*flip.*lineament tune"):
        made.check(replace(CONTRACT, flip=True), "cosine")
    with pytest.raises(OptionError, match="for the metric cosine, got angular"):
        made.check(CONTRACT, "angular")


# --- values that make no sense --------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"score": [0.0, 0.2, 0.2, 0.8]},
        {"score": [0.0, 0.2]},
        {"score": [[0.0, 0.2, 0.4, 0.8]]},
        {"llr": [-4.0, 0.0, -1.0, 8.0]},
        {"llr": [-4.0, 0.0, math.nan, 8.0]},
        {"llr_low": [-3.0, 0.5, 3.0, 7.0]},
        {"llr_high": [-3.0, 1.0, 5.0, 7.0]},
        {"score": ["a", "b", "c", "d"]},
        {"method": "magic"},
        {"n_people": 1},
        {"n_impostor_pairs": 0},
        {"ece": 1.5},
        {"cllr": -1.0},
        {
            "points": (
                OperatingPoint(1e-4, 0.5, 0.4, 0.6, 1),
                OperatingPoint(1e-2, 0.6, 0.6, 0.6, 1),
            )
        },
        {
            "points": (
                OperatingPoint(1e-2, 0.5, 0.4, 0.6, 1),
                OperatingPoint(1e-4, 0.4, 0.4, 0.6, 1),
            )
        },
    ],
)
def test_calibrations_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="expected"):
        calibration(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_people": [10, 1, 100, 1000]},
        {"n_people": [0, 1, 100, 1000]},
        {"fpir": [0.1, 0.01]},
        {"fpir": [0.0, 0.1]},
        {"low": np.ones((4, 2))},
        {"threshold": np.ones((2, 4))},
        {"n_probe_people": 0},
        {"reference_exponent": 1.5},
    ],
)
def test_tables_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="expected"):
        identification(**changes)


def test_nothing_can_be_changed_afterwards() -> None:
    made = calibration()
    with pytest.raises(ValueError, match="read-only"):
        made.llr[0] = 9
    with pytest.raises(AttributeError):
        made.data = "other"  # type: ignore[misc]


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"identification": None, "points": (), "quality": {}}])
def test_files_come_back_as_they_were(changes: dict[str, Any], tmp_path: Path) -> None:
    made = calibration(**changes)
    made.save(tmp_path / "a.json")
    again = Calibration.load(tmp_path / "a.json")
    assert again.to_dict() == made.to_dict()
    assert again.contract == made.contract
    again.save(tmp_path / "b.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()


def change(values: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    """The values with one of them replaced; ``...`` removes it."""
    values = json.loads(json.dumps(values))
    *parents, last = path.split(".")
    owner: Any = values
    for key in parents:
        owner = owner[int(key) if key.isdigit() else key]
    if new is ...:
        del owner[last]
    else:
        owner[int(last) if last.isdigit() else last] = new
    return values


HOSTILE = [
    ("format", FORMAT + 1, "update lineament"),
    ("format", 0, "expected format 1, got 0"),
    ("format", "1", r"Expected `int`, got `str` - at `\$.format`"),
    ("format", True, r"at `\$.format`"),
    ("metric", "manhattan", "metric"),
    ("metric", 5, r"Expected `str`, got `int` - at `\$.metric`"),
    ("method", "pickle", "method"),
    ("score", ..., "missing required field `score`"),
    ("identification", ..., "missing required field `identification`"),
    ("n_photographs", ..., "missing required field `n_photographs`"),
    ("extra", 1, "unknown field `extra`"),
    ("score", "0.1", r"Expected `array`, got `str` - at `\$.score`"),
    ("score.0", "0.0", r"Expected `float`, got `str` - at `\$.score\[0\]`"),
    ("score.0", [0.0], r"Expected `float`, got `array` - at `\$.score\[0\]`"),
    ("score.0", True, r"Expected `float`, got `bool` - at `\$.score\[0\]`"),
    ("score.0", 10**400, r"at `\$.score\[0\]`"),
    ("llr.0", 1e300, r"Expected `float` <= 1000000000000000.0 - at `\$.llr\[0\]`"),
    ("llr.1", None, r"at `\$.llr\[1\]`"),
    ("n_people", 1.5, r"Expected `int`, got `float` - at `\$.n_people`"),
    ("n_people", 10**400, "n_people"),
    ("contract", [], r"Expected `object`, got `array` - at `\$.contract`"),
    ("contract.flip", 1, r"at `\$.contract.flip`"),
    ("contract.dimension", ..., "missing required field `dimension`"),
    ("points.0", 3, r"Expected `object`, got `int` - at `\$.points\[0\]`"),
    ("points.0.low", 0.31, "low <= value"),
    ("points.0.value", "x", r"Expected `float`, got `str` - at `\$.points\[0\].value`"),
    ("points", {}, r"Expected `array`, got `object` - at `\$.points`"),
    ("metrics", {"euclidean": [[0.01]]}, r"at `\$.metrics"),
    ("metrics", {"manhattan": []}, "manhattan"),
    ("metrics", {"euclidean": [[2.0, 1.0]]}, "metrics"),
    ("metrics", {"euclidean": [[0.01, 1.0], [0.1, 0.5]]}, "metrics"),
    ("identification", [], r"at `\$.identification`"),
    ("identification", 5, r"at `\$.identification`"),
    ("identification.n_people.0", 1.5, r"at `\$.identification.n_people\[0\]`"),
    ("identification.threshold.0", [0.3], "threshold"),
    ("identification.threshold.0", 0.3, r"at `\$.identification.threshold\[0\]`"),
    ("identification.threshold", [], "identification|threshold"),
    ("identification.fpir", [], "fpir"),
    ("quality", {"norm": "high"}, r"Expected `float`, got `str` - at `\$.quality"),
    ("quality", [], r"Expected `object`, got `array` - at `\$.quality`"),
]


@pytest.mark.parametrize(("path", "new", "message"), HOSTILE)
def test_hostile_files_are_refused_in_words(
    path: str, new: Any, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "hostile.json"
    file.write_text(json.dumps(change(calibration().to_dict(), path, new)), "utf-8")
    with pytest.raises(DataError, match=message) as caught:
        Calibration.load(file)
    assert str(caught.value).startswith(str(file))
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04\x95pickle",
        b"[]",
        b"5",
        b"null",
        b'"text"',
        b"{",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1, "cllr": NaN}',
        b" " * (5 << 20),
    ],
)
def test_files_that_are_no_calibration(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(data)
    with pytest.raises(DataError, match=r"(?i)expected|required"):
        Calibration.load(file)


def test_not_a_number_in_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    calibration().save(file)
    file.write_text(file.read_text("utf-8").replace('"cllr": 0.1', '"cllr": NaN'), "utf-8")
    assert "NaN" in file.read_text("utf-8")
    with pytest.raises(DataError, match="cllr"):
        Calibration.load(file)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path, "nul\0"):
        with pytest.raises(OptionError, match="calibration file"):
            Calibration.load(path)
    with pytest.raises(LineamentError, match="no folder"):
        calibration().save(tmp_path / "no" / "a.json")


# --- the package's own ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["sface", "mobilefacenet", "sface-int8", "mobilefacenet-int8", "sface-mobilefacenet-int8"],
)
@pytest.mark.parametrize("flip", [False, True])
def test_bundled_calibrations(name: str, flip: bool) -> None:
    entry = models.get(name)
    assert entry.alignment is not None
    assert entry.dimension is not None
    contract = Contract(
        name, entry.sha256, entry.alignment, entry.input.color_order, flip, entry.dimension
    )
    made = bundled(contract, "cosine")
    assert made is not None
    assert made.data == "LFW View 1"
    assert (made.n_people, made.n_photos) == (3095, 4992)
    assert (made.n_genuine_pairs, made.n_impostor_pairs) == (3192, 12_454_344)
    assert (entry.folder / bundled_name(flip)).stat().st_size < 40_000
    assert not entry.thresholds  # they all stand here, from one fit
    for fmr in (1e-2, 1e-3, 1e-4, 1e-5):
        whole = made.threshold_of("cosine", fmr)
        assert whole is not None
        assert whole.low is not None
        assert whole.high is not None
        assert whole.low <= whole.value <= whole.high
        assert whole.value == made.threshold(fmr).plain.value
        for metric in ("euclidean", "euclidean_l2", "angular", "chi_square"):
            other = made.threshold_of(metric, fmr)
            assert other is not None
            assert other.value < dict(made.rates_of(metric)).get(0.1, np.inf)
        l2 = made.threshold_of("euclidean_l2", fmr)
        assert l2 is not None
        assert l2.value**2 == pytest.approx(2 - 2 * whole.value)
        angle = made.threshold_of("angular", fmr)
        assert angle is not None
        assert np.cos(np.pi * angle.value) == pytest.approx(whole.value)
    assert made.threshold_of("euclidean", 3e-4) is None
    assert made.identification_threshold(1000).value > made.identification_threshold(10).value
    assert made.probability(0.9).value > 0.999
    assert made.probability(0.0).value < 0.01
    assert bundled(contract, "angular") is None
    assert bundled(replace(contract, weights_sha256="0" * 64), "cosine") is None

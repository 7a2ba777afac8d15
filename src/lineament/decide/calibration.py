"""What a score means: likelihood ratio, probability, and thresholds with what they rest on.

A ``Calibration`` is fitted on photos of known people (``lineament.fit.calibrate``) and
holds for one contract and one metric. It says no more than its data can:

- between its knots the log-likelihood ratio (LLR) is a straight line, outside it is that of the
  outermost knot;
- the rule of three says what may be where nothing was seen, so the LLR stays between
  -log(people with two photos / 3) and log(pairs of people / 3): even two equal photos are
  no certain match;
- thresholds exist down to the false match rate at which 30 false matches stand behind them.

The rule of 30 (Doddington et al., "The NIST speaker recognition evaluation", Speech Communication
2000, section 5): with 30 errors or more the true rate lies within 30 % of the measured one, 90 % of
the time. The rule of three: when none of n was seen, the rate is below 3 / n, 95 % of the time.

The file is JSON: ``{"format": 1, ...}``, keys as the attributes.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from lineament import forms
from lineament.decide._calibration_file import FORMAT, compact, plain, read_values
from lineament.decide._operating_points import (
    RULE_OF_3,
    RULE_OF_30,
    FittedThreshold,
    Identification,
    IdentificationThreshold,
    OperatingPoint,
    Probability,
    freeze,
    supported,
)
from lineament.decide.conditions import CLEAN, Condition, Conditions
from lineament.decide.metrics import SIAMESE, get_metric
from lineament.errors import ContractError, DataError, OptionError
from lineament.files import TooManyBytesError, read_regular, write_atomically
from lineament.models.catalog import file_beside, name_by_flip
from lineament.results import Outcome
from lineament.suggest import did_you_mean, similar_path
from lineament.text import printable, reason_of
from lineament.types import Contract, Flip, Float64Array, Threshold

__all__ = [
    "DEFAULT_FPIR",
    "DEFAULT_PRIOR",
    "FORMAT",
    "RULE_OF_3",
    "RULE_OF_30",
    "Calibration",
    "FittedThreshold",
    "Identification",
    "IdentificationThreshold",
    "Method",
    "OperatingPoint",
    "Probability",
    "bundled",
    "supported",
]

Method = Literal["logistic", "isotonic"]

DEFAULT_PRIOR = 0.5
DEFAULT_FPIR = 0.01
MOST_BYTES = 4 << 20
"""Of a file; the bundled ones have less than 40 kB."""

_OF_COSINE: dict[str, Callable[[float], float]] = {
    "euclidean_l2": lambda cosine: math.sqrt(max(0.0, 2 - 2 * cosine)),
    "angular": lambda cosine: math.acos(max(-1.0, min(1.0, cosine))) / math.pi,
}
"""Metrics that are monotone functions of the cosine."""

_TAIL = 10
"""The threshold's slope beyond the largest gallery is that of the last tenth of the sizes."""


@dataclass(frozen=True, eq=False, slots=True)
class Calibration(Outcome):
    """What scores of one contract and metric mean.

    Attributes:
        contract: what it holds for; two fused models have one too.
        metric: name of the comparison, as in ``lineament.decide.metrics``.
        method: how the LLR was fitted: "logistic" or "isotonic".
        score: (K,) float64: knots in the metric's unit, the least alike first.
        llr: (K,) natural log-likelihood ratio at the knots, never falling.
        llr_low, llr_high: (K,) its 95 % band, bootstrap over people.
        data: what it was fitted on, in words.
        n_people, n_photos, n_genuine_pairs, n_impostor_pairs: how much that is.
        cllr, min_cllr: in bits, cross-validated over people.
        ece: expected calibration error, a share, cross-validated, at prior 0.5.
        points: thresholds for false match rates, the largest rate first.
        metrics: thresholds of other metrics, fitted on the same pairs, by name: false match rate
            and value. What follows from the cosine (``threshold_of``) does not stand there.
        identification: thresholds for galleries; None when the data are too few.
        quality: limits of what was seen to be reliable, by name.
        conditions: how much more alike strangers look in bad photos, and what scores mean there;
            None: nothing is known of it.
        created_by: program and version.
        wanted_fmr: the false match rate that it was tuned for; None: no particular one.
        head_sha256: of the learned similarity that the thresholds of "siamese" in ``metrics`` are
            for; None: there are none.
    """

    contract: Contract
    metric: str
    method: Method
    score: Float64Array
    llr: Float64Array
    llr_low: Float64Array
    llr_high: Float64Array
    data: str
    n_people: int
    n_photos: int
    n_genuine_pairs: int
    n_impostor_pairs: int
    cllr: float
    min_cllr: float
    ece: float
    points: tuple[OperatingPoint, ...] = ()
    metrics: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    identification: Identification | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    conditions: Conditions | None = None
    created_by: str = "lineament"
    wanted_fmr: float | None = None
    head_sha256: str | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only; DataError says what is wrong."""
        for name in ("score", "llr", "llr_low", "llr_high"):
            freeze(self, name, np.float64)
        if self.score.ndim != 1 or len(self.score) < 2:
            raise DataError(f"score: expected at least two knots, got shape {self.score.shape}")
        if not self.score.shape == self.llr.shape == self.llr_low.shape == self.llr_high.shape:
            raise DataError("expected score, llr, llr_low and llr_high of one length")
        if (np.diff(self._sign * self.score) <= 0).any():
            raise DataError("score: expected knots that get more alike from one to the next")
        for name in ("llr", "llr_low", "llr_high"):
            if (np.diff(getattr(self, name)) < 0).any():
                raise DataError(f"{name}: expected numbers that never fall")
        if not ((self.llr_low <= self.llr) & (self.llr <= self.llr_high)).all():
            raise DataError("expected llr_low <= llr <= llr_high")
        if self.method not in get_args(Method):
            raise DataError(f'method: expected "logistic" or "isotonic", got {self.method!r}')
        if (
            min(self.n_people, self.n_photos) < 2
            or min(self.n_genuine_pairs, self.n_impostor_pairs) < 1
        ):
            raise DataError("expected at least two people, and genuine and impostor pairs")
        if not (self.cllr >= 0 and self.min_cllr >= 0 and 0 <= self.ece <= 1):
            raise DataError("expected cllr and min_cllr of at least 0, and ece from 0 to 1")
        rates = [point.fmr for point in self.points]
        values = [self._sign * point.value for point in self.points]
        if sorted(set(rates), reverse=True) != rates or sorted(values) != values:
            raise DataError("points: expected falling rates and thresholds that get stricter")
        for name, rows in self.metrics.items():
            sign = 1 if get_metric(name).higher_is_more_alike else -1
            fmrs, values = [rate for rate, _ in rows], [sign * value for _, value in rows]
            if sorted(set(fmrs), reverse=True) != fmrs or not all(0 < rate < 1 for rate in fmrs):
                raise DataError(f"metrics: {name}: expected falling rates between 0 and 1")
            if sorted(values) != values or not np.isfinite(values).all():
                raise DataError(f"metrics: {name}: expected thresholds that get stricter")
        if (SIAMESE in self.metrics) != (self.head_sha256 is not None):
            raise DataError(
                f"head_sha256: expected the hash of the head that the thresholds of {SIAMESE!r} "
                "are for, and none without them"
            )
        if self.wanted_fmr is not None and self.wanted_fmr not in rates:
            raise DataError(
                f"wanted_fmr: expected one of the rates of the points, got {self.wanted_fmr:g}"
            )

    def __repr__(self) -> str:
        """In short."""
        return (
            f"Calibration({printable(self.contract.weights)}, {self.metric}, {self.n_people:,} "
            f"people in {self.n_photos:,} photos of {printable(self.data)})"
        )

    def to_rows(self) -> list[dict[str, Any]]:
        """One row for each threshold that was fitted, the largest false match rate first."""
        points = [asdict(point) for point in self.points]
        return [{"weights": self.contract.weights, "metric": self.metric, **row} for row in points]

    @property
    def _sign(self) -> int:
        """1 when a higher score is more alike, else -1."""
        return 1 if get_metric(self.metric).higher_is_more_alike else -1

    def check(self, contract: Contract, metric: str) -> None:
        """Return if this calibration holds for such scores.

        Raises:
            ContractError: embeddings of this contract were not what it was fitted on.
            OptionError: it is for another metric.
        """
        try:
            self.contract.check(contract)
        except ContractError as error:
            raise ContractError(
                f"the calibration was fitted on {self.data} for {self.contract.id}, got embeddings "
                f"of {contract.id}: use a calibration fitted with the same recognizer and options, "
                "or fit one (lineament tune)"
            ) from error
        if metric != self.metric:
            raise OptionError(
                f"the calibration is for the metric {self.metric}, got {metric}: compare with "
                f"{self.metric}, or fit another calibration (lineament tune)"
            )

    # --- what a score means -----------------------------------------------------------------------

    def condition(self, a: float | None, b: float | None) -> Condition:
        """What holds for two faces of that recognizability (``Quality.recognizability``)."""
        return CLEAN if self.conditions is None else self.conditions.at(a, b)

    def llr_of(self, scores: npt.ArrayLike, condition: Condition = CLEAN) -> Float64Array:
        """Natural log-likelihood ratios of scores in the metric's unit: any shape, float64.

        Args:
            scores: in the metric's unit.
            condition: of the two faces, from ``condition``; for cosines only.

        Raises:
            OptionError: a score is not finite.
        """
        return self._at(scores, self.llr, condition)

    def probabilities(self, scores: npt.ArrayLike, prior: float = DEFAULT_PRIOR) -> Float64Array:
        """Probabilities that pairs with these scores show one person: any shape, 0 to 1.

        Args:
            scores: in the metric's unit.
            prior: the share of genuine pairs among those that you compare, 0 to 1.

        Raises:
            OptionError: a score is not finite, or the prior is not between 0 and 1.
        """
        return _sigmoid(self._at(scores, self.llr) + _log_odds(prior, "prior"))

    def probability(
        self, score: float, prior: float = DEFAULT_PRIOR, condition: Condition = CLEAN
    ) -> Probability:
        """The same for one score, with the 95 % interval. Arguments and errors as ``llr_of``."""
        odds = _log_odds(prior, "prior")
        value, low, high = (
            float(_sigmoid(self._at(score, knots, condition) + odds))
            for knots in (self.llr, self.llr_low, self.llr_high)
        )
        if condition.trust == 0:  # the score is no evidence: it may be anything
            ends = min(self.llr_low[0], 0.0), max(self.llr_high[-1], 0.0)
            low, high = (float(_sigmoid(end + odds)) for end in ends)
        return Probability(value, low, high)

    def score_where(self, probability: float, prior: float = DEFAULT_PRIOR) -> float:
        """The least alike score, in the metric's unit, whose probability reaches this one.

        Raises:
            OptionError: a share is not between 0 and 1, or no score reaches it: the data behind
                the calibration support no such claim.
        """
        wanted = _log_odds(probability, "probability") - _log_odds(prior, "prior")
        if wanted > self.llr[-1] or wanted < self.llr[0]:
            least, most = (
                float(_sigmoid(end + _log_odds(prior, "prior"))) for end in self.llr[[0, -1]]
            )
            raise OptionError(
                f"{self.data} supports {least:.6g} to {most:.8g} at a prior of "
                f"{prior:g}, got {probability:g}: ask for one of those, or fit on more people",
                option="probability",
            )
        place = int(np.searchsorted(self.llr, wanted, side="left"))
        if place == 0:
            return float(self.score[0])
        share = (wanted - self.llr[place - 1]) / (self.llr[place] - self.llr[place - 1])
        return float(self.score[place - 1] + share * (self.score[place] - self.score[place - 1]))

    def _at(
        self, scores: npt.ArrayLike, knots: Float64Array, condition: Condition = CLEAN
    ) -> Float64Array:
        values = np.asarray(scores, dtype=np.float64)
        if not np.isfinite(values).all():
            raise OptionError("expected finite numbers, got NaN or infinity", option="score")
        alike = self._sign * values - condition.llr_rise
        return condition.trust * np.interp(alike, self._sign * self.score, knots)

    # --- thresholds -------------------------------------------------------------------------------

    @property
    def least_fmr(self) -> float:
        """The smallest false match rate with 30 false matches behind it."""
        return RULE_OF_30 / self.n_impostor_pairs

    def default_rate(self, otherwise: float) -> float:
        """The rate it was tuned for, else the fitted one nearest to ``otherwise``.

        Raises:
            OptionError: none was fitted: the data support no threshold.
        """
        return self.rate_nearest(otherwise) if self.wanted_fmr is None else self.wanted_fmr

    def rate_nearest(self, fmr: float) -> float:
        """``fmr`` itself where ``threshold`` has an answer for it, else the nearest that has one.

        Raises:
            OptionError: there is none: the data are too few for any threshold.
        """
        if not self.points:
            raise OptionError(
                f"the calibration has no thresholds: {self.data} has {self.n_impostor_pairs:,} "
                f"impostor pairs, which are too few ({RULE_OF_30} of them must pass: rule of 30): "
                "set a threshold by hand, or fit on more people"
            )
        return min(max(fmr, self.points[-1].fmr), self.points[0].fmr)

    def threshold(self, fmr: float) -> FittedThreshold:
        """The threshold for a wanted false match rate, 0 to 1.

        Between two rates that were fitted it is interpolated over the rate's logarithm.

        Raises:
            OptionError: the data do not support that rate; the message says why.
        """
        if not 0 < fmr < 1:
            raise OptionError(f"expected a rate between 0 and 1, got {fmr:g}", option="fmr")
        if fmr < self.least_fmr * (1 - 1e-9):
            n = self.n_impostor_pairs
            raise OptionError(
                f"no threshold for a false match rate of {fmr:g}: among the {n:,} impostor pairs "
                f"of {self.data} only {fmr * n:.3g} false matches would stand behind it, and a "
                f"rate needs {RULE_OF_30} (rule of 30), so {self.least_fmr:.2g} is the least here; "
                f"even if none had been seen, nothing below {RULE_OF_3 / n:.2g} could be claimed "
                "(rule of three): ask for a larger rate, or fit on more people"
            )
        rates = np.array([point.fmr for point in self.points])
        near = np.flatnonzero(np.isclose(rates, fmr, rtol=1e-6, atol=0))
        if len(near):
            return self._fitted(self.points[int(near[0])], fmr, interpolated=False)
        if len(rates) == 0 or not rates[-1] < fmr < rates[0]:
            known = ", ".join(f"{rate:g}" for rate in rates) if len(rates) else "none"
            raise OptionError(
                f"no threshold for a false match rate of {fmr:g} was fitted on {self.data}; there "
                f"are: {known}: ask for one of them or one between, or fit another calibration"
            )
        right = int(np.argmax(rates < fmr))
        a, b = self.points[right - 1], self.points[right]
        share = math.log(fmr / a.fmr) / math.log(b.fmr / a.fmr)
        value, low, high = (
            (1 - share) * x + share * y
            for x, y in ((a.value, b.value), (a.low, b.low), (a.high, b.high))
        )
        count = round(fmr * self.n_impostor_pairs)
        missed = None
        if a.false_non_matches is not None and b.false_non_matches is not None:
            missed = round((1 - share) * a.false_non_matches + share * b.false_non_matches)
        point = OperatingPoint(fmr, value, low, high, count, missed)
        return self._fitted(point, fmr, interpolated=True)

    def threshold_of(self, metric: str, fmr: float) -> Threshold | None:
        """The threshold of any metric for a false match rate that was fitted; None: it was not.

        Of euclidean_l2 and angular it follows from that of the cosine, which orders pairs alike.
        """
        data = f"{self.data}, all pairs of {self.n_photos:,} photos"
        for point in self.points:
            if math.isclose(point.fmr, fmr, rel_tol=1e-6) and metric == self.metric:
                found = Threshold(point.value, metric, point.fmr, data, self.n_impostor_pairs)
                return replace(found, low=point.low, high=point.high)
        for rate, value in self.rates_of(metric):
            if math.isclose(rate, fmr, rel_tol=1e-6):
                return Threshold(value, metric, rate, data, self.n_impostor_pairs)
        return None

    def rates_of(self, metric: str) -> tuple[tuple[float, float], ...]:
        """False match rates that were fitted for a metric, with the thresholds."""
        if metric == self.metric:
            return tuple((point.fmr, point.value) for point in self.points)
        if self.metric == "cosine" and metric in _OF_COSINE:
            return tuple((point.fmr, _OF_COSINE[metric](point.value)) for point in self.points)
        return tuple(self.metrics.get(metric, ()))

    def _fitted(self, point: OperatingPoint, fmr: float, *, interpolated: bool) -> FittedThreshold:
        plain = Threshold(point.value, self.metric, fmr, self.data, self.n_impostor_pairs)
        missed = point.false_non_matches
        return FittedThreshold(
            plain, point.low, point.high, point.false_matches, interpolated,
            None if missed is None else missed / self.n_genuine_pairs,
        )  # fmt: skip

    def identification_threshold(
        self, n_people: int, references: float = 1, fpir: float = DEFAULT_FPIR
    ) -> IdentificationThreshold:
        """The threshold for searching a gallery, so that few strangers are given a name.

        Interpolated over the logarithms of the gallery's size and of the rate. Beyond the largest
        gallery of the data it is a straight line in the logarithm of the size, which errs to the
        strict side where impostor scores fall off faster than exponentially; the interval then
        includes a fourth of the extrapolated step.

        Args:
            n_people: enrolled, at least 1.
            references: photos a person, at least 1, on average; the best one is the score.
            fpir: the share of searches for people not enrolled that may find somebody, 0 to 1.

        Raises:
            OptionError: a value out of range, or one that the data do not support.
        """
        if n_people < 1 or not (math.isfinite(references) and references >= 1):
            raise OptionError(
                "expected at least one person with at least one reference, got "
                f"{n_people} and {references}"
            )
        if not 0 < fpir < 1:
            raise OptionError(f"expected a share between 0 and 1, got {fpir}", option="fpir")
        table = self.identification
        if table is None:
            raise OptionError(
                f"the calibration has no thresholds for galleries: {self.data} has too few people "
                "for them; set a threshold by hand, or fit on more people"
            )
        tolerance = 1 + 1e-9
        if not table.fpir[0] / tolerance <= fpir <= table.fpir[-1] * tolerance:
            raise OptionError(
                f"no threshold for an FPIR of {fpir:g}: {table.n_probe_people:,} people of "
                f"{self.data} were searched for, which supports {table.fpir[0]:.2g} to "
                f"{table.fpir[-1]:.2g} ({RULE_OF_30} of them must be mistaken: rule of 30): ask "
                "for one of those, or fit on more people"
            )
        size = math.log(n_people * references**table.reference_exponent)
        sizes = np.log(table.n_people)
        rate, rates = math.log(fpir), np.log(table.fpir)
        value, low, high = (
            np.array([np.interp(rate, rates, row) for row in part])
            for part in (table.threshold, table.low, table.high)
        )
        at = [float(np.interp(size, sizes, part)) for part in (value, low, high)]
        beyond = size - float(sizes[-1])
        extrapolated = beyond > 1e-9
        if extrapolated:
            step = beyond * _tail_slope(sizes, value)
            at = [at[0] + step, at[1] + step, at[2] + step]
            at[1] -= abs(step) / 4
            at[2] += abs(step) / 4
        return IdentificationThreshold(
            value=at[0],
            low=at[1],
            high=at[2],
            metric=self.metric,
            n_people=n_people,
            references=references,
            fpir=fpir,
            extrapolated=extrapolated,
            data=self.data,
        )

    # --- files ------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; ``from_dict`` reads them."""
        values: dict[str, Any] = {"format": FORMAT}
        for item in fields(self):
            key = "n_photographs" if item.name == "n_photos" else item.name
            values[key] = plain(getattr(self, item.name))
        for key in ("wanted_fmr", "head_sha256"):
            if getattr(self, key) is None:
                del values[key]
        if not self.metrics:
            del values["metrics"]
        if self.conditions is None:
            del values["conditions"]
        return values

    @classmethod
    def from_dict(cls, values: Any, where: str = "calibration") -> Calibration:
        """Read what ``to_dict`` made; everything is checked.

        Args:
            values: of a JSON file.
            where: what to call it in messages.

        Raises:
            DataError: a key is missing, unknown, of the wrong type or out of range, or the format
                is newer than this version.
        """
        kind = forms.kind_of(values)
        if kind not in (None, "a calibration"):
            raise DataError(f"{where}: expected a calibration, got {kind}")
        try:
            return cls(**read_values(values))
        except (DataError, OptionError) as error:
            raise DataError(
                f"{where}: {error}; it is no calibration of this version: fit it again"
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, at once or not at all. OptionError: it cannot be written."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)
        write_atomically(path, (compact(text) + "\n").encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Calibration:
        """Read a file.

        Raises:
            OptionError: there is no such file, or it cannot be read.
            DataError: it is no calibration, a broken one, or one of a newer version.
        """
        try:
            data = read_regular(path, at_most=MOST_BYTES)
        except TooManyBytesError as error:
            raise DataError(
                f"{path}: expected a calibration of at most {MOST_BYTES >> 20} MiB"
            ) from error
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
            missing = isinstance(error, FileNotFoundError)
            near = did_you_mean(similar_path(path, folders=False) if missing else None)
            raise OptionError(
                f"{path}: expected a calibration file, got: "
                f"{reason_of(error)}{near}; `lineament tune` writes one"
            ) from error
        try:
            values = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{path}: expected a calibration, got {forms.kind_of(data) or reason_of(error)}: "
                "`lineament tune` writes one"
            ) from error
        return cls.from_dict(values, str(path))


def bundled(contract: Contract, metric: str) -> Calibration | None:
    """The package's own calibration for such scores, or None when it has none.

    It stands in the folder of the model with the contract's hash, whatever it is called elsewhere.
    """
    path = file_beside(contract, bundled_name(contract.flip))
    if path is None:
        return None
    calibration = _load_once(path)
    try:
        calibration.check(contract, metric)
    except (ContractError, OptionError):  # other crops, or another metric
        return None
    return calibration


@lru_cache(maxsize=16)
def _load_once(path: Path) -> Calibration:
    return Calibration.load(path)


def bundled_name(flip: Flip) -> str:
    """The name of a calibration's file in its model's folder."""
    return name_by_flip("calibration.json", flip)


def _log_odds(share: float, what: str) -> float:
    if not 0 < share < 1:
        raise OptionError(f"expected a share between 0 and 1, got {share}", option=what)
    return math.log(share) - math.log1p(-share)


def _sigmoid(log_odds: npt.ArrayLike) -> Float64Array:
    # exp of minus the softplus: neither end overflows
    return np.asarray(np.exp(-np.logaddexp(0, -np.asarray(log_odds, dtype=np.float64))))


def _tail_slope(sizes: Float64Array, values: Float64Array) -> float:
    """Slope of the threshold over the logarithm of the size, at the largest sizes."""
    tail = sizes >= sizes[-1] - math.log(_TAIL)
    x, y = sizes[tail] - sizes[tail].mean(), values[tail]
    return 0.0 if len(x) < 2 else float((x * y).sum() / (x * x).sum())

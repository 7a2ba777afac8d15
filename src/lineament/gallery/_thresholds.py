"""From which similarity on a face gets a name: by calibration, following the gallery's size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lineament.decide.calibration import Calibration
from lineament.decide.judge import CALIBRATED_METRIC
from lineament.decide.metrics import SIAMESE
from lineament.decide.siamese import SiameseHead
from lineament.decide.thresholds import DEFAULT_FMR, learned_threshold, own_threshold
from lineament.errors import OptionError, WeightsError
from lineament.gallery._types import Settings
from lineament.models import get
from lineament.types import Contract, Threshold


def search_threshold(
    calibration: Calibration | None,
    contract: Contract,
    settings: Settings,
    *,
    n_people: int,
    references: float,
    fpir: float,
) -> Threshold:
    """The threshold of a search among ``n_people``.

    One set by hand comes first, then the calibration's for galleries of that size, then the one for
    a false match rate of ``fpir / n_people``: N people raise about N times the false alarms of one.

    Args:
        calibration: for the contract; None when there is none.
        contract: of the embeddings.
        settings: of the gallery.
        n_people: 1 or more.
        references: samples a person, on average, 1 or more.
        fpir: the share of faces of people not enrolled that may get a name, 0 to 1.

    Raises:
        OptionError: the data support no such rate, or there are none.
    """
    checked_share(fpir, "fpir")
    if settings.threshold is not None:
        chosen = own_threshold(settings.threshold, CALIBRATED_METRIC)
        return replace(chosen, data="set by hand in the gallery's settings")
    if calibration is not None and calibration.identification is not None:
        # Fitted for the best of several. Centroids of strangers reach as high: with the threshold
        # for one photo they let in 1.5 to 3 times what is wanted (docs/how-to/gallery.md). The mean
        # of several does not.
        many = 1.0 if settings.person_score == "mean" else references
        found = calibration.identification_threshold(n_people, max(1.0, many), fpir)
        return replace(found.plain, low=found.low, high=found.high)
    return _by_rate(calibration, contract, fpir / n_people, n_people)


def learned_search_threshold(
    head: SiameseHead, calibration: Calibration | None, n_people: int, fpir: float
) -> Threshold:
    """The threshold of a search by a model's learned similarity: for ``fpir / n_people``.

    Raises:
        OptionError: no thresholds were fitted for it.
        ContractError: they are for another head of the same model.
    """
    checked_share(fpir, "fpir")
    rates = () if calibration is None else calibration.rates_of(SIAMESE)
    if calibration is None or len(rates) < 2:
        raise OptionError(
            f"no thresholds were fitted for the learned similarity of {head.contract.weights}",
            hint="{threshold}, or fit a calibration (`lineament tune`)",
        )
    learned_threshold(head, calibration, rates[0][0])  # says so if they are for another head
    return _at_rate(sorted(rates), fpir / n_people, n_people, calibration.data, None, SIAMESE, None)


def same_threshold(
    calibration: Calibration | None, contract: Contract, fmr: float = DEFAULT_FMR
) -> Threshold | None:
    """The one for 1:1 comparisons at a false match rate; None where there are no data."""
    try:
        return _by_rate(calibration, contract, fmr, 1)
    except OptionError:
        return None


def _by_rate(
    calibration: Calibration | None, contract: Contract, fmr: float, n_people: int
) -> Threshold:
    points, data, pairs = _points(calibration, contract)
    if len(points) < 2:
        raise OptionError(
            f"no thresholds are known for {contract.id}",
            hint="{threshold}, or fit a calibration (`lineament tune`)",
        )
    return _at_rate(points, fmr, n_people, data, pairs, CALIBRATED_METRIC, 1.0)


def _at_rate(
    points: Sequence[tuple[float, float]],
    fmr: float,
    n_people: int,
    data: str,
    pairs: int | None,
    metric: str,
    greatest: float | None,
) -> Threshold:
    """Between and beyond rates that were fitted, ascending: a line over the rate's logarithm."""
    rates = np.log([rate for rate, _ in points])  # ascending
    values = np.array([value for _, value in points])
    wanted = math.log(fmr)
    value = float(np.interp(wanted, rates, values))
    beyond = wanted < rates[0] - 1e-9
    if beyond:
        slope = (values[1] - values[0]) / (rates[1] - rates[0])
        value = float(values[0] + slope * (wanted - rates[0]))
        value = value if greatest is None else min(greatest, value)
    if n_people == 1:
        data += ", extrapolated beyond it" if beyond else ""
        return Threshold(value, metric, fmr, data, pairs)
    text = (
        f"false match rate {fmr:.2g}, the wanted rate of false alarms over {n_people:,} people, on "
        f"{data}{', extrapolated beyond the data' if beyond else ''}; no calibration for galleries"
    )
    return Threshold(value, metric, None, text, None)


def _points(
    calibration: Calibration | None, contract: Contract
) -> tuple[Sequence[tuple[float, float]], str, int | None]:
    """False match rates and thresholds, ascending by rate; what they rest on."""
    if calibration is not None:
        points = sorted((point.fmr, point.value) for point in calibration.points)
        return points, calibration.data, calibration.n_impostor_pairs
    try:
        weights = get(contract.weights)
    except WeightsError:
        return [], "", None
    if weights.sha256 != contract.weights_sha256 or weights.alignment != contract.alignment:
        return [], "", None
    known = [
        t for t in weights.thresholds if (t.metric, t.flip) == (CALIBRATED_METRIC, contract.flip)
    ]
    if not known:
        return [], "", None
    return sorted((t.fmr, t.threshold) for t in known), known[0].data, known[0].n_impostor_pairs


def checked_share(value: float, what: str) -> float:
    """A share between 0 and 1, exclusive; OptionError otherwise."""
    if not (math.isfinite(value) and 0 < value < 1):
        raise OptionError(f"expected a share between 0 and 1, got {value}", option=what)
    return value

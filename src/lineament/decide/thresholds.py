"""Thresholds: of a card, of a model's own calibration, or set by hand."""

from __future__ import annotations

import math

import numpy as np

from lineament.decide.calibration import Calibration, bundled
from lineament.decide.judge import CALIBRATED_METRIC
from lineament.decide.metrics import SIAMESE, get_metric
from lineament.decide.siamese import SiameseHead
from lineament.errors import ContractError, OptionError
from lineament.models import Card
from lineament.types import Contract, Flip, Threshold

DEFAULT_FMR = 1e-4
"""One impostor in ten thousand is let in: what FIDO's biometric certification asks of 1:1."""


def find_threshold(
    card: Card, metric: str, *, flip: Flip, alignment: str, fmr: float = DEFAULT_FMR
) -> Threshold:
    """The threshold of a model for a wanted false match rate.

    What the card states comes first, then its own calibration.

    Args:
        card: of the embedder.
        metric: name of the comparison.
        flip: whether embeddings are averaged over the mirrored crop.
        alignment: of the crops; what a card states holds for the one that it names.
        fmr: the false match rate wanted.

    Raises:
        OptionError: none was fitted for that; the message names those there are.
    """
    get_metric(metric)
    stated = [t for t in card.thresholds if (t.metric, t.flip) == (metric, flip)]
    if alignment != card.alignment:
        stated = []
    for t in stated:
        if math.isclose(t.fmr, fmr, rel_tol=1e-6):
            return Threshold(t.threshold, t.metric, t.fmr, t.data, t.n_impostor_pairs)
    fitted = own_calibration(card, flip=flip, alignment=alignment)
    found = None if fitted is None else fitted.threshold_of(metric, fmr)
    if found is not None:
        return found
    rates = {t.fmr for t in stated}
    rates |= set() if fitted is None else {rate for rate, _ in fitted.rates_of(metric)}
    there_are = (
        f"there are some for {', '.join(f'{rate:g}' for rate in sorted(rates))}"
        if rates
        else "there is none for these weights, this alignment and this way to compare"
    )
    raise OptionError(
        f"no threshold of {card.name} was fitted for a false match rate of {fmr:g} with "
        f"{metric}; {there_are}: choose one of them, or state the threshold itself"
    )


def learned_threshold(
    head: SiameseHead, calibration: Calibration | None, fmr: float | None
) -> Threshold:
    """The threshold of a model's learned similarity: of the metric "siamese".

    Args:
        head: of the model.
        calibration: for its embeddings; its thresholds must be those of this head.
        fmr: the false match rate wanted, 0 to 1; None: ``DEFAULT_FMR``, or what the calibration was
            tuned for.

    Raises:
        OptionError: none was fitted for that rate.
        ContractError: the calibration's thresholds are for another head of the same model.
    """
    wanted = DEFAULT_FMR if fmr is None else checked_rate(fmr)
    if fmr is None and calibration is not None and calibration.wanted_fmr is not None:
        wanted = calibration.wanted_fmr
    rates = () if calibration is None else calibration.rates_of(SIAMESE)
    if calibration is None or not rates:
        raise OptionError(
            f"no threshold was fitted for the learned similarity of {head.contract.weights}",
            option="threshold",
            hint="{threshold}, or fit a calibration (`lineament tune`)",
        )
    if calibration.head_sha256 != head.sha256:
        raise ContractError(
            f"the calibration's thresholds for {SIAMESE!r} are of another learned similarity than "
            f"{head.contract.weights} has now: fit them again (lineament tune)"
        )
    found = calibration.threshold_of(SIAMESE, wanted)
    if found is None:
        known = ", ".join(f"{rate:g}" for rate, _ in rates)
        raise OptionError(
            f"no threshold of {head.contract.weights} was fitted for a false match rate of "
            f"{wanted:g} with {SIAMESE}; there are some for {known}: choose one of them, or state "
            "the threshold itself",
            option="fmr",
        )
    return found


def own_calibration(card: Card, *, flip: Flip, alignment: str) -> Calibration | None:
    """The calibration in a model's folder for such embeddings; None: there is none."""
    if card.dimension is None:
        return None
    dimension = 2 * card.dimension if flip == "concatenate" else card.dimension
    contract = Contract(card.name, card.sha256, alignment, card.input.color_order, flip, dimension)
    return bundled(contract, CALIBRATED_METRIC)


def own_threshold(value: float, metric: str) -> Threshold:
    """A threshold that the user sets by hand, in the unit of ``metric``.

    Raises:
        OptionError: no number, or one that no two embeddings can have.
    """
    chosen = get_metric(metric)
    return Threshold(
        checked_threshold(value, chosen.name, chosen.least, chosen.greatest),
        chosen.name,
        None,
        "set by hand",
        None,
    )


def checked_threshold(
    value: float, metric: str, least: float = -np.inf, greatest: float | None = None
) -> float:
    """The one check of a threshold set by hand: a number within the metric's range.

    Args:
        value: the threshold.
        metric: its name, for the message.
        least, greatest: the range; None: as far as numbers go.

    Raises:
        OptionError: it is none.
    """
    if not _is_number(value) or not np.isfinite(value):
        raise OptionError(f"expected a finite number, got {value!r}", option="threshold")
    if value < least or (greatest is not None and value > greatest):
        span = f"{least:g} or more" if greatest is None else f"{least:g} to {greatest:g}"
        raise OptionError(f"expected a {metric} of {span}, got {value:g}", option="threshold")
    return float(value)


_NUMBERS = (int, float, np.integer, np.floating)


def _is_number(value: object) -> bool:
    return isinstance(value, _NUMBERS) and not isinstance(value, bool)


def refuse_both(fmr: float | None, threshold: object) -> None:
    """The one check that a rate or a threshold is given, and not both.

    Raises:
        OptionError: both are.
    """
    if fmr is not None and threshold is not None:
        raise OptionError("expected a false match rate or a threshold, got both")


def checked_rate(value: float, option: str = "fmr") -> float:
    """The one check of a rate that is asked for: a share between 0 and 1, the ends excluded.

    Raises:
        OptionError: it is none.
    """
    if not _is_number(value) or not 0 < value < 1:
        shown = f"{value:g}" if isinstance(value, _NUMBERS) else repr(value)
        raise OptionError(f"expected a rate between 0 and 1, got {shown}", option=option)
    return float(value)

"""Fit thresholds and probabilities to a user's own photos, one folder per person.

    read_people -> examine -> clean -> fit -> Tuned: a Calibration, and what is known of it

Nothing is deleted or moved; what does not count is listed with the reason. A false match rate that
the photos cannot support is refused, with what it would take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.datasets.people_folder import People
from lineament.decide.agreement import unlike_below
from lineament.decide.calibration import (
    RULE_OF_30,
    Calibration,
    bundled,
    supported,
)
from lineament.decide.metrics import DEFAULT_METRIC
from lineament.decide.siamese import SiameseHead
from lineament.decide.thresholds import DEFAULT_FMR
from lineament.errors import OptionError
from lineament.evaluate.fairness import rates_of_all_pairs
from lineament.evaluate.pair_counts import all_pairs
from lineament.evaluate.result import rate_text
from lineament.fit._support import (
    check_enough,
    impostor_pairs,
    pairs_needed,
    rate_to_fit,
    rounded_up,
)
from lineament.fit.calibrate import FMRS, FOLDS, N_BOOTSTRAP, fit
from lineament.fit.calibrate.resampling import drawn_folds
from lineament.fit.clean import DUPLICATE_COSINE, Cleaning, clean
from lineament.fit.conditions import raised, unchanged
from lineament.fit.examine import Examined
from lineament.fit.learned import learned_thresholds
from lineament.fit.norm_limit import least_norm
from lineament.fit.tuned import AtThreshold, Tuned, TunedConditions, Unseen
from lineament.quality import DEFAULT_LIMITS, QualityLimits
from lineament.types import (
    BoolArray,
    Contract,
    Float64Array,
    FloatArray,
    IntArray,
    StageProgress,
)

RATES_DRAWN = 200
"""Replicas of the bootstrap behind the intervals of rates."""


def tune(
    people: People,
    examined: Examined,
    *,
    contract: Contract,
    fmr: float | None = None,
    keep_suspects: bool = False,
    duplicate: float = DUPLICATE_COSINE,
    limits: QualityLimits = DEFAULT_LIMITS,
    head: SiameseHead | None = None,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> Tuned:
    """Clean, fit, and hold what was fitted against the package's own.

    Args:
        people: from ``read_people``.
        examined: its photos, in that order.
        contract: of the embeddings.
        fmr: the wanted false match rate, 0 to 1. None: ``DEFAULT_FMR`` if the photos support
            it, else the least rate that they do.
        keep_suspects: fit on photos whose name is suspected, too.
        duplicate: the cosine above which two photos of one person are one picture.
        limits: of quality, beyond which photos are counted.
        head: the model's learned similarity: thresholds of the metric "siamese" are fitted, too.
        n_bootstrap: replicas for the intervals of the calibration.
        seed: of all that is random here.
        progress: called as ``calibrate.fit`` does.

    Raises:
        DataError: too few people, no two different photos of one person, or too few pairs.
        OptionError: the photos do not support the wanted rate, or a value is out of range.
        ContractError: the head is for other embeddings.
    """
    if fmr is not None and not 0 < fmr < 1:
        raise OptionError(f"expected a rate between 0 and 1, got {fmr:g}", option="fmr")
    embedded = examined.embedded
    cleaning = clean(
        embedded.vectors,
        people.person,
        embedded.found,
        digests=examined.digests,
        duplicate=duplicate,
        norms=embedded.norms,
        unlike=unlike_below(bundled(contract, DEFAULT_METRIC)),
    )
    used = cleaning.distinct if keep_suspects else cleaning.trusted
    sizes = np.bincount(people.person[used], minlength=len(people.names))
    check_enough(sizes, len(people.paths), int(used.sum()))
    n_impostor = impostor_pairs(sizes)
    least = rounded_up(RULE_OF_30 / n_impostor)
    wanted = rate_to_fit(fmr, sizes, n_impostor, least)

    who, vectors = people.person[used], embedded.vectors[used]
    made = fit(
        vectors,
        who,
        contract=contract,
        data=_in_words(people, sizes),
        fmrs={*FMRS, wanted, least},
        n_bootstrap=n_bootstrap,
        seed=seed,
        progress=progress,
    )
    threshold = made.calibration.threshold(wanted)
    at = threshold.plain.value
    theirs, theirs_data = _bundled(contract, wanted)
    guarded = fmr is None and wanted > DEFAULT_FMR and theirs_data is not None
    conditions = carried(
        bundled(contract, DEFAULT_METRIC),
        vectors,
        who,
        _recognizability(examined)[used],
        at,
        None if guarded else wanted,
    )
    if conditions is None:
        quality = _least_norm(vectors, who, embedded.norms[used], at)
    else:
        quality = dict(conditions.limits)
    calibration = replace(
        made.calibration,
        quality=quality,
        conditions=None if conditions is None else conditions.raised.conditions,
        wanted_fmr=None if guarded else wanted,
    )
    if head is not None:
        head.check(contract)
        rates = {*FMRS, wanted, least}
        learned = learned_thresholds(head, vectors, embedded.norms[used], who, rates)
        if learned:
            calibration = replace(
                calibration, metrics={"siamese": learned}, head_sha256=head.sha256
            )
    made = replace(made, calibration=calibration)
    pairs = all_pairs(vectors, who)
    everyone = keep_suspects or not cleaning.suspects
    other = cleaning.trusted if keep_suspects else cleaning.distinct
    other_value = (
        None
        if not cleaning.suspects
        else _threshold_of(embedded.vectors[other], people.person[other], wanted)
    )
    own_value = pairs.threshold_at_fmr(wanted)
    return Tuned(
        people=people,
        examined=examined,
        cleaning=cleaning,
        used=used,
        calibration=calibration,
        fitted=made,
        fmr=wanted,
        threshold=threshold,
        own=_at(vectors, who, at, seed),
        unseen=on_unseen_people(vectors, who, wanted, seed=seed),
        bundled_data=theirs_data,
        bundled=None if theirs is None else _at(vectors, who, theirs, seed),
        with_suspects=own_value if everyone else other_value,
        without_suspects=other_value if keep_suspects and cleaning.suspects else own_value,
        low_quality=_beyond(limits, calibration, examined, used),
        conditions=conditions,
        pairs=pairs,
        notes=tuple(_notes(fmr, wanted, sizes, cleaning, people, guarded=guarded)),
    )


def carried(
    theirs: Calibration | None,
    vectors: FloatArray,
    person: IntArray,
    recognizability: Float64Array,
    threshold: float,
    fmr: float | None,
) -> TunedConditions | None:
    """What a tuned calibration has from the package's own about bad photos; None: it has nothing.

    Args:
        theirs: the package's own for the contract, if any.
        vectors, person, recognizability: (N, D), (N,) and (N,) of the photos that count.
        threshold: the cosine for ``fmr`` among them.
        fmr: the wanted false match rate; None where decisions keep the package's thresholds, and
            so the rises that belong to them.
    """
    if theirs is None or theirs.conditions is None:
        return None
    own = theirs.conditions
    if fmr is None:
        found = unchanged(own)
    else:
        found = raised(own, vectors, person, recognizability, threshold, fmr)
    if found.fitted.any():
        words = f"{own.data}; thresholds of two bad photos partly by {len(vectors):,} own photos"
        found = found._replace(conditions=replace(found.conditions, data=words))
    limits = {k: v for k, v in theirs.quality.items() if k == "least_recognizability"}
    return TunedConditions(own, found, limits, int(np.isfinite(recognizability).sum()))


def _recognizability(examined: Examined) -> Float64Array:
    """(N,) of the photos; NaN where it is not known."""
    values = [None if q is None else q.recognizability for q in examined.quality]
    return np.array([math.nan if v is None else v for v in values], np.float64)


def on_unseen_people(
    vectors: npt.NDArray[np.float32], person: npt.NDArray[Any], fmr: float, *, seed: int = 0
) -> Unseen | None:
    """Cross-validate a threshold: fit it on four fifths of the people, try it on the others.

    None where a fold's people have too few pairs to fit the rate on (rule of 30).
    """
    codes = np.unique(person, return_inverse=True)[1].reshape(-1)
    thresholds: list[float] = []
    errors = np.zeros(4, np.int64)
    fold = drawn_folds(np.bincount(codes), FOLDS, np.random.default_rng(seed))[codes]
    for test in (fold == k for k in range(FOLDS)):
        value = _threshold_of(vectors[~test], codes[~test], fmr)
        if value is None:
            return None
        thresholds.append(value)
        counts = all_pairs(vectors[test], codes[test])
        errors += [
            round(counts.fmr_at(value) * counts.n_impostor) if counts.n_impostor else 0,
            counts.n_impostor,
            round(counts.fnmr_at(value) * counts.n_genuine) if counts.n_genuine else 0,
            counts.n_genuine,
        ]
    matches, impostor, misses, genuine = errors.tolist()
    return Unseen(tuple(thresholds), matches, impostor, misses, genuine)


def _in_words(people: People, sizes: IntArray) -> str:
    n, several = int(sizes.sum()), int((sizes > 0).sum())
    return f"{people.folder.absolute().name}, {n:,} photos of {several:,} people"


def _at(vectors: npt.NDArray[np.float32], who: IntArray, value: float, seed: int) -> AtThreshold:
    rates = rates_of_all_pairs(
        vectors,
        who,
        np.zeros(len(who), np.int64),
        ("all",),
        threshold=value,
        draws=RATES_DRAWN,
        seed=seed,
    )
    return AtThreshold(value, rates.fmr[0, 0], rates.fnmr[0, 0])


def _threshold_of(
    vectors: npt.NDArray[np.float32], who: npt.NDArray[Any], fmr: float
) -> float | None:
    sizes = np.unique(who, return_counts=True)[1].astype(np.int64)
    if not supported(fmr, impostor_pairs(sizes)):
        return None
    return all_pairs(vectors, who).threshold_at_fmr(fmr)


def _bundled(contract: Contract, fmr: float) -> tuple[float | None, str | None]:
    theirs = bundled(contract, DEFAULT_METRIC)
    if theirs is None:
        return None, None
    try:
        return theirs.threshold(fmr).plain.value, theirs.data
    except OptionError:  # it has none for this rate
        return None, theirs.data


def _least_norm(
    vectors: npt.NDArray[np.float32], who: IntArray, norms: npt.NDArray[Any], threshold: float
) -> dict[str, float]:
    first: list[IntArray] = []
    second: list[IntArray] = []
    scores: list[Float64Array] = []
    for name in np.unique(who):
        mine = np.flatnonzero(who == name)
        a, b = np.triu_indices(len(mine), 1)
        first.append(mine[a])
        second.append(mine[b])
        scores.append(np.asarray((vectors[mine] @ vectors[mine].T)[a, b], np.float64))
    one, two = np.concatenate(first), np.concatenate(second)
    limit = least_norm(norms[one], norms[two], np.concatenate(scores), threshold)
    return {} if limit is None else {"least_norm": round(limit, 4)}


def _beyond(
    limits: QualityLimits, calibration: Calibration, examined: Examined, used: BoolArray
) -> dict[str, int]:
    """By name of the limit; "any" counts photos, the others overlap."""
    every = replace(limits, **calibration.quality)
    measured = [q for q, use in zip(examined.quality, used.tolist(), strict=True) if use and q]
    counts: dict[str, int] = {"measured": len(measured)}
    for item in fields(every):
        value = getattr(every, item.name)
        if value is not None:
            alone = QualityLimits(**{item.name: value})
            counts[item.name] = sum(bool(alone.problems(q)) for q in measured)
    counts["any"] = sum(bool(every.problems(q)) for q in measured)
    return counts


def _notes(
    asked: float | None,
    fmr: float,
    sizes: IntArray,
    cleaning: Cleaning,
    people: People,
    *,
    guarded: bool,
) -> Iterator[str]:
    n_people = int((sizes > 0).sum())
    if asked is None and fmr != DEFAULT_FMR:
        yield (
            f"the photos do not support the default rate of {DEFAULT_FMR:g}, which needs "
            f"{pairs_needed(DEFAULT_FMR):,} pairs of two people: the threshold is for "
            f"{rate_text(fmr)}, the least that they do support"
        )
    if guarded:
        yield (
            "keep the package's threshold: the one of these photos lets "
            f"{fmr / DEFAULT_FMR:,.0f} times as many strangers pass. The calibration "
            "gives the probabilities; decisions keep the "
            f"package's threshold unless the rate is asked for, as in --fmr {rate_text(fmr)}"
        )
    if n_people < RULE_OF_30:
        yield (
            f"{n_people} people are few: pairs of the same two people are nearly one observation, "
            "so the intervals are wide, and may still be too narrow"
        )
    for person in cleaning.not_examined:
        yield f"too many photos to look for wrong names among them: {people.names[person]}"

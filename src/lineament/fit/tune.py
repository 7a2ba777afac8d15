"""Fit thresholds and probabilities to a user's own photos, a folder a person.

    read_people -> examine -> clean -> fit -> Tuned: a Calibration, and what is known of it

Nothing is deleted or moved; what does not count is listed with the reason. A false match rate that
the photos cannot support is refused, with what it would take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.datasets.people_folder import People
from lineament.decide.calibration import (
    RULE_OF_30,
    Calibration,
    FittedThreshold,
    bundled,
    supported,
)
from lineament.decide.metrics import DEFAULT_FMR, DEFAULT_METRIC
from lineament.errors import DataError, OptionError
from lineament.evaluate.fairness import LEAST_PEOPLE, Rate, rates_of_all_pairs
from lineament.evaluate.metrics import PairCounts, all_pairs, interval_of_rate
from lineament.evaluate.result import rate_text
from lineament.fit.calibrate import FMRS, FOLDS, N_BOOTSTRAP, Fitted, fit
from lineament.fit.clean import DUPLICATE_COSINE, Cleaning, Suspect, clean
from lineament.fit.examine import Examined
from lineament.fit.norm_limit import least_norm
from lineament.quality import DEFAULT_LIMITS, QualityLimits
from lineament.types import BoolArray, Contract, Float64Array, IntArray, StageProgress

LEAST_SEVERAL = 5
"""People with two photos or more that are needed: one for each fold."""

LARGEST_RATE = FMRS[0]
"""Photos that do not even support this rate are too few to fit anything."""

RATES_DRAWN = 200
"""Replicas of the bootstrap behind the intervals of rates."""


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What a threshold gives on the photos that count.

    Attributes:
        value: cosine.
        fmr, fnmr: with counts and intervals (bootstrap over people, or Wilson's where wider).
    """

    value: float
    fmr: Rate
    fnmr: Rate

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"value": self.value, "fmr": _rate(self.fmr), "fnmr": _rate(self.fnmr)}


@dataclass(frozen=True, slots=True)
class Unseen:
    """What thresholds fitted on some of the people give on the others, all folds together.

    Attributes:
        thresholds: of the folds.
        false_matches, impostor_pairs, misses, genuine_pairs: on people that were not fitted on.
    """

    thresholds: tuple[float, ...]
    false_matches: int
    impostor_pairs: int
    misses: int
    genuine_pairs: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values: dict[str, Any] = asdict(self)
        for name, errors, trials in (
            ("fmr", self.false_matches, self.impostor_pairs),
            ("fnmr", self.misses, self.genuine_pairs),
        ):
            values[name] = errors / trials if trials else None
            values[f"{name}_interval"] = interval_of_rate(errors, trials) if trials else None
        return values


@dataclass(frozen=True, eq=False)
class Tuned:
    """What ``tune`` found.

    Attributes:
        people, examined, cleaning: what it was given, and what of it counts.
        used: (N,) bool: the photos that were fitted on.
        calibration: to be saved.
        fitted: how well it fits, cross-validated.
        fmr: the rate of ``threshold``: as wanted, or the least that the photos support when
            none was asked for.
        threshold: for that rate.
        own: what it gives here.
        unseen: what it gives on people that it was not fitted on; None where the folds are too
            small for the rate.
        bundled_data: what the package's own calibration was fitted on; None without one.
        bundled: what its threshold for the same rate gives here.
        with_suspects, without_suspects: the threshold with the suspects, and without; None where
            their pairs do not support the rate.
        low_quality: by limit, how many of the photos used are beyond it.
        pairs: the scores of all pairs used.
        notes: sentences that the reader of the figures must know.
    """

    people: People
    examined: Examined
    cleaning: Cleaning
    used: BoolArray
    calibration: Calibration
    fitted: Fitted
    fmr: float
    threshold: FittedThreshold
    own: AtThreshold
    unseen: Unseen | None
    bundled_data: str | None
    bundled: AtThreshold | None
    with_suspects: float | None
    without_suspects: float | None
    low_quality: Mapping[str, int]
    pairs: PairCounts
    notes: tuple[str, ...]

    @property
    def several_faces(self) -> IntArray:
        """Places of the photos with several faces."""
        return np.flatnonzero(self.examined.faces > 1)

    @property
    def without_face(self) -> IntArray:
        """Places of the photos that were read and have no face."""
        missing = np.flatnonzero(~self.examined.embedded.found)
        return missing[~np.isin(missing, list(self.examined.embedded.unreadable))]

    def name(self, photo: int) -> str:
        """Path below the folder."""
        return self.people.relative(photo)

    @property
    def comparison(self) -> str:
        """The threshold beside the package's own, in one sentence."""
        at = f"a false match rate of {self.fmr:g}"
        if self.bundled is None:
            return f"The package has no threshold of its own for these parts and {at}."
        own, theirs = self.threshold, self.bundled.value
        difference = own.plain.value - theirs
        side = "higher" if difference > 0 else "lower"
        words = (
            f"For {at} your photos need a threshold of {own.plain.value:.3f}, "
            f"{abs(difference):.3f} {side} than the package's {theirs:.3f}, which comes from "
            f"{self.bundled_data}"
        )
        if own.low <= theirs <= own.high:
            words += (
                "; the package's lies within the interval of yours, so other people before the "
                "same cameras could have given the package's as well"
            )
        return f"{words}."

    def to_dict(self) -> dict[str, Any]:
        """All figures and lists, ready for JSON; photos by their paths below the folder."""
        made, cleaning, embedded = self.calibration, self.cleaning, self.examined.embedded
        return {
            "folder": str(self.people.folder),
            "people": len(self.people.names),
            "photographs": len(self.people.paths),
            "used": {
                "people": made.n_people,
                "photographs": made.n_photos,
                "genuine_pairs": made.n_genuine_pairs,
                "impostor_pairs": made.n_impostor_pairs,
            },
            "fmr": self.fmr,
            "least_fmr": made.least_fmr,
            "threshold": {
                "value": self.threshold.plain.value,
                "low": self.threshold.low,
                "high": self.threshold.high,
                "false_matches": self.threshold.false_matches,
                "here": self.own.to_dict(),
                "on_unseen_people": None if self.unseen is None else self.unseen.to_dict(),
            },
            "thresholds": [asdict(point) for point in made.points],
            "bundled": None
            if self.bundled is None
            else {"data": self.bundled_data, **self.bundled.to_dict()},
            "suspects_effect": {
                "with": self.with_suspects,
                "without": self.without_suspects,
            },
            "calibration": self.fitted.to_dict(),
            "quality": dict(made.quality),
            "low_quality": dict(self.low_quality),
            "cleaning": {
                "limits": cleaning.limits._asdict(),
                "unreadable": [
                    {"photograph": self.name(i), "error": str(error)}
                    for i, error in sorted(embedded.unreadable.items())
                ],
                "no_face": [self.name(i) for i in self.without_face.tolist()],
                "several_faces": [
                    {
                        "photograph": self.name(i),
                        "faces": int(self.examined.faces[i]),
                        "taken_box_xyxy": [round(float(v), 1) for v in self.examined.box_xyxy[i]],
                    }
                    for i in self.several_faces.tolist()
                ],
                "duplicates": [
                    {
                        "photograph": self.name(d.photo),
                        "of": self.name(d.of),
                        "score": round(d.score, 5),
                        "exact": d.exact,
                    }
                    for d in cleaning.duplicates
                ],
                "suspects": [self._suspect(suspect) for suspect in cleaning.suspects],
                "suspects_kept": bool((self.used & ~cleaning.trusted).any()),
            },
            "notes": list(self.notes),
        }

    def _suspect(self, suspect: Suspect) -> dict[str, Any]:
        return {
            "kind": suspect.kind,
            "photographs": [self.name(i) for i in suspect.photos],
            "person": self.people.names[suspect.person],
            "other": None if suspect.other is None else self.people.names[suspect.other],
            "own_score": None if suspect.own is None else round(suspect.own, 5),
            "other_score": None if suspect.towards is None else round(suspect.towards, 5),
        }


def tune(
    people: People,
    examined: Examined,
    *,
    contract: Contract,
    fmr: float | None = None,
    keep_suspects: bool = False,
    duplicate: float = DUPLICATE_COSINE,
    limits: QualityLimits = DEFAULT_LIMITS,
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
        n_bootstrap: replicas for the intervals of the calibration.
        seed: of all that is random here.
        progress: called as ``calibrate.fit`` does.

    Raises:
        DataError: too few people, no two different photos of one person, or too few pairs.
        OptionError: the photos do not support the wanted rate, or a value is out of range.
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
    )
    used = cleaning.distinct if keep_suspects else cleaning.trusted
    sizes = np.bincount(people.person[used], minlength=len(people.names))
    _check_enough(sizes, len(people.paths), int(used.sum()))
    n_impostor = _impostor_pairs(sizes)
    least = _rounded_up(RULE_OF_30 / n_impostor)
    wanted = _rate_to_fit(fmr, sizes, n_impostor, least)

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
    quality = _least_norm(vectors, who, embedded.norms[used], at)
    calibration = replace(made.calibration, quality=quality, wanted_fmr=wanted)
    made = replace(made, calibration=calibration)
    pairs = all_pairs(vectors, who)
    theirs, theirs_data = _bundled(contract, wanted)
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
        pairs=pairs,
        notes=tuple(_notes(fmr, wanted, sizes, cleaning, people)),
    )


def on_unseen_people(
    vectors: npt.NDArray[np.float32], person: npt.NDArray[Any], fmr: float, *, seed: int = 0
) -> Unseen | None:
    """Cross-validate a threshold: fit it on four fifths of the people, try it on the others.

    None where a fold's people have too few pairs to fit the rate on (rule of 30).
    """
    codes = np.unique(person, return_inverse=True)[1].reshape(-1)
    thresholds: list[float] = []
    errors = np.zeros(4, np.int64)
    for test in _folds(codes, seed):
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


def pairs_needed(fmr: float) -> int:
    """How many impostor pairs a false match rate takes: 30 of them must pass (rule of 30)."""
    return math.ceil(RULE_OF_30 / fmr * (1 - 1e-9))


# --- what the photos support -----------------------------------------------------------------


def _check_enough(sizes: IntArray, n_photos: int, n_used: int) -> None:
    n_people, several = int((sizes > 0).sum()), int((sizes > 1).sum())
    counted = (
        f"{n_used:,} of {n_photos:,} photos count, of {n_people:,} people, {several:,} "
        "of them with two different photos or more"
    )
    if n_people < LEAST_PEOPLE or several < LEAST_SEVERAL:
        raise DataError(
            f"expected at least {LEAST_PEOPLE} people, {LEAST_SEVERAL} of them with two different "
            f"photos that show a face, got too few: {counted} (photos without a face, "
            "duplicates and probable mislabels do not): add people and photos"
        )
    pairs = _impostor_pairs(sizes)
    if pairs < pairs_needed(LARGEST_RATE):
        raise DataError(
            f"expected at least {pairs_needed(LARGEST_RATE):,} pairs of two people, since no "
            f"threshold is worth anything without, got {pairs:,}: {counted}; it takes about "
            f"{_photos_for(LARGEST_RATE, sizes)}"
        )


def _rate_to_fit(fmr: float | None, sizes: IntArray, n_impostor: int, least: float) -> float:
    wanted = DEFAULT_FMR if fmr is None else fmr
    if supported(wanted, n_impostor):
        return wanted
    if fmr is None:
        return least
    raise OptionError(
        f"no threshold for a false match rate of {wanted:g}: it needs "
        f"{pairs_needed(wanted):,} pairs of two people, so that {RULE_OF_30} false "
        "matches stand behind it (rule of 30); the "
        f"{int(sizes.sum()):,} photos that count have {n_impostor:,}, which support "
        f"{least:g} and more: ask for such a rate, or add photos up to about "
        f"{_photos_for(wanted, sizes)}"
    )


def _photos_for(fmr: float, sizes: IntArray) -> str:
    """Such as "790 photos (79 people with 10 each, as now)"."""
    each = float(sizes[sizes > 0].mean())
    # each^2 P (P - 1) / 2 pairs of two people
    count = math.ceil(0.5 + math.sqrt(0.25 + 2 * pairs_needed(fmr) / each**2))
    count = max(count, LEAST_PEOPLE)
    return (
        f"{math.ceil(count * each):,} photos: {count:,} people with {each:.3g} each, as many "
        "a person as now"
    )


def _impostor_pairs(sizes: IntArray) -> int:
    n = int(sizes.sum())
    return (n * n - int((sizes.astype(np.int64) ** 2).sum())) // 2


def _rounded_up(rate: float) -> float:
    """To two digits; the bound itself when it has no more."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return float(f"{math.ceil(rate / step - 1e-9) * step:.2g}")


def _in_words(people: People, sizes: IntArray) -> str:
    n, several = int(sizes.sum()), int((sizes > 0).sum())
    return f"{people.folder.absolute().name}, {n:,} photos of {several:,} people"


# --- figures --------------------------------------------------------------------------------------


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
    if not supported(fmr, _impostor_pairs(sizes)):
        return None
    return all_pairs(vectors, who).threshold_at_fmr(fmr)


def _folds(codes: IntArray, seed: int) -> Iterator[BoolArray]:
    """(N,) bool, the photos to test on; those with several photos spread evenly."""
    sizes = np.bincount(codes)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-(sizes[order] > 1).astype(int), kind="stable")]
    fold = np.empty(len(sizes), np.int64)
    fold[order] = np.arange(len(sizes)) % FOLDS
    for k in range(FOLDS):
        yield fold[codes] == k


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
    asked: float | None, fmr: float, sizes: IntArray, cleaning: Cleaning, people: People
) -> Iterator[str]:
    n_people = int((sizes > 0).sum())
    if asked is None and fmr != DEFAULT_FMR:
        yield (
            f"the photos do not support the default rate of {DEFAULT_FMR:g}, which needs "
            f"{pairs_needed(DEFAULT_FMR):,} pairs of two people: the threshold is for "
            f"{rate_text(fmr)}, the least that they do support"
        )
    if n_people < RULE_OF_30:
        yield (
            f"{n_people} people are few: pairs of the same two people are nearly one observation, "
            "so the intervals are wide, and may still be too narrow"
        )
    for person in cleaning.not_examined:
        yield f"{people.names[person]}: too many photos to look for wrong names among them"


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "rate": rate.errors / rate.trials if rate.trials else None,
        "errors": rate.errors,
        "pairs": rate.trials,
        "low": rate.low,
        "high": rate.high,
        "enough": rate.enough,
    }

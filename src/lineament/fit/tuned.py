"""What ``tune`` found: the calibration, and the figures and lists that are worth knowing of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lineament.datasets.people_folder import People
from lineament.decide.calibration import (
    Calibration,
    FittedThreshold,
)
from lineament.decide.conditions import Conditions
from lineament.evaluate.fairness import Rate
from lineament.evaluate.metrics import interval_of_rate
from lineament.evaluate.pair_counts import PairCounts
from lineament.fit.calibrate import Fitted
from lineament.fit.clean import Cleaning, Suspect, looked_for
from lineament.fit.conditions import Raised
from lineament.fit.examine import Examined
from lineament.results import Outcome
from lineament.types import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class AtThreshold(Outcome):
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
class Unseen(Outcome):
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


@dataclass(frozen=True, eq=False, slots=True)
class TunedConditions(Outcome):
    """What the calibration says of two bad photos, and where it comes from.

    Attributes:
        bundled: the package's own.
        raised: what became of them.
        limits: of quality that go with them, by name; in place of one of the norm.
        n_photos: of those that count, how many's recognizability is known.
    """

    bundled: Conditions
    raised: Raised
    limits: Mapping[str, float]
    n_photos: int

    @property
    def in_words(self) -> str:
        """One sentence."""
        n = int(self.raised.fitted.sum())
        kept = (
            "for two bad photos (recognizability) the package's own thresholds, likelihood ratios "
            "and limit go with yours"
        )
        if not n:
            return f"{kept}: too few pairs of your photos are that bad to fit thresholds of them"
        levels = ", ".join(f"{k:.2f}" for k in self.bundled.knots[self.raised.fitted].tolist())
        return f"{kept}; thresholds about the recognizability {levels} are those of your pairs"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        rows = zip(
            self.bundled.knots.tolist(),
            self.raised.pairs.tolist(),
            self.raised.fitted.tolist(),
            np.diag(self.bundled.threshold_rise).tolist(),
            np.diag(self.raised.conditions.threshold_rise).tolist(),
            strict=True,
        )
        names = ("recognizability", "impostor_pairs", "fitted", "bundled_rise", "threshold_rise")
        return {
            "data": self.bundled.data,
            "n_photos": self.n_photos,
            "rises": [dict(zip(names, row, strict=True)) for row in rows],
        }


@dataclass(frozen=True, eq=False)
class Tuned(Outcome):
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
        conditions: what is known of two bad photos; None where the package has nothing for this
            contract, so that a limit of the norm was fitted instead.
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
    conditions: TunedConditions | None
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
            "n_people": len(self.people.names),
            "n_photos": len(self.people.paths),
            "used": {
                "n_people": made.n_people,
                "n_photos": made.n_photos,
                "n_genuine_pairs": made.n_genuine_pairs,
                "n_impostor_pairs": made.n_impostor_pairs,
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
            "conditions": None if self.conditions is None else self.conditions.to_dict(),
            "cleaning": {
                "limits": cleaning.limits._asdict(),
                "unreadable": [
                    {"source": self.name(i), "error": str(error)}
                    for i, error in sorted(embedded.unreadable.items())
                ],
                "without_face": [self.name(i) for i in self.without_face.tolist()],
                "several_faces": [
                    {
                        "source": self.name(i),
                        "n_faces": int(self.examined.faces[i]),
                        "taken_box_xyxy": [round(float(v), 1) for v in self.examined.box_xyxy[i]],
                    }
                    for i in self.several_faces.tolist()
                ],
                "duplicates": [
                    {
                        "source": self.name(d.photo),
                        "of": self.name(d.of),
                        "score": round(d.score, 5),
                        "exact": d.exact,
                    }
                    for d in cleaning.duplicates
                ],
                "suspects": [self._suspect(suspect) for suspect in cleaning.suspects],
                "looked_for": looked_for(cleaning),
                "alone": [self.people.names[k] for k in cleaning.alone],
                "not_judged": [self.name(i) for i in cleaning.not_judged],
                "suspects_kept": bool((self.used & ~cleaning.trusted).any()),
            },
            "notes": list(self.notes),
        }

    def _suspect(self, suspect: Suspect) -> dict[str, Any]:
        return {
            "kind": suspect.kind,
            "photos": [self.name(i) for i in suspect.photos],
            "person": self.people.names[suspect.person],
            "other": None if suspect.other is None else self.people.names[suspect.other],
            "own_score": None if suspect.own is None else round(suspect.own, 5),
            "other_score": None if suspect.towards is None else round(suspect.towards, 5),
        }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "rate": rate.errors / rate.trials if rate.trials else None,
        "n_errors": rate.errors,
        "n_pairs": rate.trials,
        "low": rate.low,
        "high": rate.high,
        "enough": rate.enough,
    }

"""What is counted of one kind of spoiling, and of all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from judging.faces import Faces, People
from judging.verdicts import DIFFERENT, SAME, UNDECIDED, Rows, Said, Verdicts
from lineament.evaluate.scoring import RELIABILITY_BINS

GOAL = 5e-4
"""Share of the impostor pairs, both spoilt, that "same" may be said of."""

LEAST_PAIRS = 2_000
"""Kinds in which fewer pairs of found faces are left are no worst ones: one pair of 2,000 is what
``GOAL`` allows."""

CHECKED = 300
"""Pairs of each kind that ``Judge.assess`` is asked about, too."""


@dataclass
class Claims:
    """Probabilities beside the truth, in bins of equal width (Guo et al., 2017).

    Attributes:
        weight, claimed, true: (B,) sums over what was added.
    """

    weight: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(RELIABILITY_BINS))
    claimed: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(RELIABILITY_BINS))
    true: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(RELIABILITY_BINS))

    def add(self, probability: npt.NDArray[np.float64], *, same: bool) -> None:
        """Add pairs that are all genuine, or all impostors: together they weigh 1."""
        if not len(probability):
            return
        bins = len(self.weight)
        place = np.minimum((probability * bins).astype(np.int64), bins - 1)
        each = np.bincount(place, minlength=bins) / len(probability)
        self.weight += each
        self.claimed += np.bincount(place, probability, bins) / len(probability)
        self.true += each * same

    def __iadd__(self, other: Claims) -> Claims:
        """Add all that another one has."""
        self.weight += other.weight
        self.claimed += other.claimed
        self.true += other.true
        return self

    @property
    def ece(self) -> float | None:
        """Expected calibration error, a share; None where nothing was added."""
        total = self.weight.sum()
        return float(np.abs(self.claimed - self.true).sum() / total) if total else None

    @property
    def too_low(self) -> float | None:
        """The part of ``ece`` in bins whose pairs are claimed to be less probable than they are."""
        return self._part(self.true - self.claimed)

    @property
    def too_high(self) -> float | None:
        """The rest of ``ece``: claimed to be more probable than they are."""
        return self._part(self.claimed - self.true)

    def _part(self, excess: npt.NDArray[np.float64]) -> float | None:
        total = self.weight.sum()
        return float(np.maximum(excess, 0).sum() / total) if total else None

    def rows(self) -> list[dict[str, float]]:
        """For each bin that is not empty: its share of the weight, mean claim, and truth."""
        total = self.weight.sum()
        return [
            {
                "share": float(weight / total),
                "claimed": float(c / weight),
                "true": float(t / weight),
            }
            for weight, c, t in zip(self.weight, self.claimed, self.true, strict=True)
            if weight > 0
        ]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of ``a`` and ``b`` whose faces were found, and what is said of them."""

    a: Faces
    b: Faces
    first: Rows
    second: Rows
    said: Said

    @classmethod
    def of(cls, rules: Verdicts, a: Faces, b: Faces, first: Rows, second: Rows) -> Pairs:
        """Leave out what was not found, and judge the rest."""
        both = a.there[first] & b.there[second]
        first, second = first[both], second[both]
        return cls(a, b, first, second, rules.of(a, b, first, second))


@dataclass(frozen=True, eq=False)
class Four:
    """The four sorts of pairs of one kind: a photo as it is and a spoilt one, or both spoilt."""

    impostors_one: Pairs
    impostors_both: Pairs
    genuine_one: Pairs
    genuine_both: Pairs

    @classmethod
    def of(cls, rules: Verdicts, people: People, clean: Faces, bad: Faces) -> Four:
        """Judge all pairs."""

        def one(first: Rows, second: Rows) -> Pairs:
            ways = np.concatenate([first, second]), np.concatenate([second, first])
            return Pairs.of(rules, clean, bad, *ways)

        return cls(
            impostors_one=one(*people.impostors),
            impostors_both=Pairs.of(rules, bad, bad, *people.impostors),
            genuine_one=one(*people.genuine),
            genuine_both=Pairs.of(rules, bad, bad, *people.genuine),
        )

    @property
    def all(self) -> tuple[Pairs, ...]:
        """In the order of the attributes."""
        return (self.impostors_one, self.impostors_both, self.genuine_one, self.genuine_both)

    def genuine(self, verdict: int) -> float | None:
        """Share of all genuine pairs with this verdict."""
        said = np.concatenate([self.genuine_one.said.verdict, self.genuine_both.said.verdict])
        return float((said == verdict).mean()) if len(said) else None

    def claims(self) -> Claims:
        """Probabilities at prior one half: each of the four sorts weighs a quarter."""
        made = Claims()
        for pairs, same in zip(self.all, (False, False, True, True), strict=True):
            made.add(pairs.said.probability, same=same)
        return made


def of_kind(
    rules: Verdicts, before: Verdicts, people: People, clean: Faces, bad: Faces
) -> tuple[dict[str, Any], Claims]:
    """Figures of one kind, and its claims.

    Args:
        rules: what is judged.
        before: the same without recognizability.
        people: whose photos.
        clean, bad: as they are, and spoilt.
    """
    four, old = (Four.of(which, people, clean, bad) for which in (rules, before))
    claims = four.claims()
    checked = differ = 0
    for pairs in four.all:
        at = (pairs.a, pairs.b, pairs.first, pairs.second)
        asked, other = rules.differences(pairs.said, *at, CHECKED // 4)
        checked, differ = checked + asked, differ + other
    figures = {
        "found": float(bad.there[clean.there].mean()),
        "flagged": float(rules.flagged(bad)[bad.there].mean()) if bad.there.any() else None,
        "recognizability": _median(bad.recognizability),
        "pairs": len(four.impostors_both.first),
        "clean_vs_spoilt": four.impostors_one.said.share(SAME),
        "spoilt_vs_spoilt": four.impostors_both.said.share(SAME),
        "spoilt_vs_spoilt_before": old.impostors_both.said.share(SAME),
        "undecided": four.genuine(UNDECIDED),
        "genuine_same": four.genuine(SAME),
        "genuine_same_before": old.genuine(SAME),
        "genuine_different": four.genuine(DIFFERENT),
        "genuine_different_before": old.genuine(DIFFERENT),
        "ece": claims.ece,
        "ece_too_low": claims.too_low,
        "ece_too_high": claims.too_high,
        "ece_before": old.claims().ece,
        "checked": checked,
        "differ": differ,
    }
    rules.forget()
    before.forget()
    return figures, claims


def _median(values: npt.NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None


def worst(
    kinds: Mapping[str, Mapping[str, Any]], names: Iterable[str], key: str
) -> tuple[str | None, float | None]:
    """The name and the figure of the kind whose figure is largest; kinds of few pairs left out."""
    found = [
        (kinds[name][key], name)
        for name in names
        if name in kinds and kinds[name]["pairs"] >= LEAST_PAIRS and kinds[name][key] is not None
    ]
    if not found:
        return None, None
    value, name = max(found)
    return name, value

"""What a ``Judge`` says of many pairs at once, by its own rules.

``Verdicts.of`` computes for arrays of pairs what ``Judge.assess`` says of one ``Decision``;
``Verdicts.differences`` asks ``Judge.assess`` about some of them and counts where it says something
else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from judging.faces import Faces
from lineament import LineamentError
from lineament.decide.calibration import Calibration
from lineament.decide.comparison import compare
from lineament.decide.judge import Judge
from lineament.quality import QualityLimits
from lineament.types import Decision, Image, Threshold

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SAME, DIFFERENT, UNDECIDED = 1, 0, -1
WORDS = {"same": SAME, "different": DIFFERENT, "undecided": UNDECIDED}

_AT_ONCE = 20_000  # pairs whose vectors are gathered


@dataclass(frozen=True, eq=False)
class Said:
    """What is said of P pairs.

    Attributes:
        score: (P,) cosines.
        probability: (P,) that both are one person.
        verdict: (P,) ``SAME``, ``DIFFERENT`` or ``UNDECIDED``.
    """

    score: Floats
    probability: Floats
    verdict: npt.NDArray[np.int64]

    def share(self, verdict: int) -> float | None:
        """Share of the pairs with that verdict; None without pairs."""
        return float((self.verdict == verdict).mean()) if len(self.verdict) else None


class Verdicts:
    """The rules of one judge and one threshold (of the cosine)."""

    def __init__(self, judge: Judge, threshold: Threshold) -> None:
        """Take both; LineamentError without a calibration."""
        if judge.calibration is None:
            raise LineamentError("expected a recognizer that has a calibration, got one without")
        self._years: dict[int, tuple[Image, npt.NDArray[np.float32]]] = {}
        self._ages = judge.ages
        self.judge = replace(judge, ages=None if judge.ages is None else self._remembered)
        self.calibration: Calibration = judge.calibration
        self.threshold = threshold

    def _remembered(self, crops: Image) -> npt.NDArray[np.float32]:
        """Ages of one crop, asked once; the crop stays alive, so that its address is its own."""
        assert self._ages is not None
        at = crops.__array_interface__["data"][0]
        if at not in self._years:
            self._years[at] = (crops, self._ages(crops))
        return self._years[at][1]

    def forget(self) -> None:
        """Let go of the crops."""
        self._years.clear()

    def flagged(self, faces: Faces, *, evident: bool = False) -> npt.NDArray[np.bool_]:
        """(V,) whether a limit of quality is exceeded.

        ``evident``: for scores that pass and are evidence. Of these the least recognizability is
        not asked where there are conditions for pairs of faces.
        """
        limits: QualityLimits = self.judge.all_limits
        if evident and self.calibration.conditions is not None:
            limits = replace(limits, least_recognizability=None)
        return np.array([q is not None and bool(limits.problems(q)) for q in faces.qualities])

    def of(self, a: Faces, b: Faces, first: Rows, second: Rows) -> Said:
        """Judge the pairs of ``first`` of ``a`` and ``second`` of ``b``: all must be there."""
        score = np.empty(len(first))
        for start in range(0, len(first), _AT_ONCE):
            at = slice(start, start + _AT_ONCE)
            rows = a.vectors[first[at]], b.vectors[second[at]]
            score[at] = np.einsum("pd,pd->p", *rows)
        score = score.clip(-1, 1)
        rise, llr_rise, trust = self._conditions(
            a.recognizability[first], b.recognizability[second]
        )
        llr = trust * np.interp(score - llr_rise, self.calibration.score, self.calibration.llr)
        odds = llr + np.log(self.judge.prior) - np.log1p(-self.judge.prior)
        probability = 1 / (1 + np.exp(-odds))
        same = score >= self.threshold.value
        evident, otherwise = (
            self.flagged(a, evident=known)[first] | self.flagged(b, evident=known)[second]
            for known in (True, False)
        )
        known = ~np.isnan(a.recognizability[first] + b.recognizability[second])
        open_ = np.where(same & known & (trust > 0), evident, otherwise)
        open_ |= same & (rise > 0) & (score < self.threshold.value + rise)
        open_ |= same != (probability >= 0.5)
        if self.threshold.low is not None and self.threshold.high is not None:
            least, most = sorted((self.threshold.low, self.threshold.high))
            open_ |= (least <= score) & (score < most)
        verdict = np.where(open_, UNDECIDED, same.astype(np.int64))
        if self.judge.ages is not None:
            for pair in np.flatnonzero(same):
                i, j = int(first[pair]), int(second[pair])
                if self.judge.children((a.photos[i].crop, b.photos[j].crop)) is not None:
                    said = self.one(a, b, i, j)
                    verdict[pair], probability[pair] = WORDS[said.verdict], said.probability
        return Said(score, probability, verdict)

    def _conditions(self, a: Floats, b: Floats) -> tuple[Any, Any, Any]:
        """The three numbers of ``Condition`` for pairs of faces of that recognizability."""
        conditions = self.calibration.conditions
        if conditions is None:
            return 0.0, 0.0, 1.0
        known = ~(np.isnan(a) | np.isnan(b))
        worse, better = np.minimum(a[known], b[known]), np.maximum(a[known], b[known])
        row, down = _place(conditions.knots, worse)
        column, right = _place(conditions.knots, better)
        made = []
        for table, clean in (
            (conditions.threshold_rise, 0.0),
            (conditions.llr_rise, 0.0),
            (conditions.trust, 1.0),
        ):
            values = np.full(len(known), clean)
            above = table[row, column] * (1 - right) + table[row, column + 1] * right
            below = table[row + 1, column] * (1 - right) + table[row + 1, column + 1] * right
            values[known] = above * (1 - down) + below * down
            made.append(values)
        return made[0], made[1], made[2]

    def one(self, a: Faces, b: Faces, i: int, j: int) -> Decision:
        """``Judge.assess`` about photo ``i`` of ``a`` and ``j`` of ``b``."""
        first, second = a.photos[i], b.photos[j]
        assert first.embedding is not None
        assert second.embedding is not None
        decision = compare(
            first.embedding,
            second.embedding,
            self.threshold,
            faces=(first.face, second.face),
            qualities=(a.qualities[i], b.qualities[j]),
        )
        return self.judge.assess(decision, crops=(first.crop, second.crop))

    def differences(
        self, said: Said, a: Faces, b: Faces, first: Rows, second: Rows, many: int
    ) -> tuple[int, int]:
        """Ask about ``many`` pairs one by one: half at random, half of the most alike.

        Returns:
            How many were asked about, and of how many something else is said: another verdict, or
            a probability that is off by more than 1e-4 (scores are float32).
        """
        rng = np.random.default_rng(len(first))
        half = min(many // 2, len(first))
        chosen = np.concatenate(
            [np.argsort(-said.score)[:half], rng.permutation(len(first))[:half]]
        )
        wrong = 0
        for pair in chosen.tolist():
            decision = self.one(a, b, int(first[pair]), int(second[pair]))
            assert decision.probability is not None
            agrees = WORDS[decision.verdict] == said.verdict[pair]
            near = abs(decision.probability - said.probability[pair]) < 1e-4
            wrong += not (agrees and near)
        return len(chosen), wrong


def _place(knots: Floats, values: Floats) -> tuple[Rows, Floats]:
    """The knot to the left of each value, and how far it is to the next one, 0 to 1."""
    inside = values.clip(knots[0], knots[-1])
    left = (np.searchsorted(knots, inside) - 1).clip(0, len(knots) - 2)
    return left, (inside - knots[left]) / (knots[left + 1] - knots[left])


def without_recognizability(judge: Judge) -> Judge:
    """The same judge, to whom all faces are alike but for the other measures of quality."""
    calibration, name = judge.calibration, "least_recognizability"
    if calibration is not None:
        limits = {key: value for key, value in calibration.quality.items() if key != name}
        calibration = replace(calibration, conditions=None, quality=limits)
    return replace(
        judge, calibration=calibration, limits=replace(judge.limits, least_recognizability=None)
    )

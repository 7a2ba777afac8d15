"""Stage 5, its second half: a decision -> how sure it is, or "undecided" with the reason in words.

A score past the threshold says "same". That is all a threshold can say, so a ``Judge`` adds:

- the probability that both photos show one person, with its interval, from a ``Calibration``;
- "undecided" where the answer should not be relied upon: a photo is beyond what was seen to
  be reliable (``lineament.quality``); both photos are so bad that strangers look alike in them, and
  the score would not pass for faces like these (``lineament.decide.conditions``); the score lies
  within the threshold's own interval, so that fitting it on other people could have turned the
  answer; the threshold and the probability disagree, as they do where a low false match rate is
  wanted and the score is fairly high; or the faces look like those of children, of whom the
  calibration knows nothing.

``Decision.same`` stays what the threshold says; ``Decision.verdict`` is what should be told.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lineament.arguments import check_fields
from lineament.covered import covered_in_words
from lineament.decide.calibration import DEFAULT_PRIOR, Calibration
from lineament.decide.comparison import compare
from lineament.decide.conditions import CLEAN, Condition
from lineament.decide.metrics import SIAMESE
from lineament.decide.siamese import require_head
from lineament.errors import OptionError
from lineament.models import Card
from lineament.quality import DEFAULT_LIMITS, LITTLE_LEFT, NOT_DETECTED, QualityLimits, quality_of
from lineament.text import per_cent
from lineament.types import (
    Certainty,
    Decision,
    Embedding,
    FloatArray,
    Image,
    Photo,
    Quality,
    Threshold,
)

CALIBRATED_METRIC = "cosine"
"""Every decision has its cosine beside the score, so one calibration serves all metrics."""

_TO_COSINE: dict[str, Callable[[float], float]] = {
    "cosine": lambda value: value,
    "euclidean_l2": lambda value: 1 - value * value / 2,
    "angular": lambda value: math.cos(math.pi * min(1.0, max(0.0, value))),
}
"""Thresholds of metrics that are monotone functions of the cosine."""

Crops = tuple[Image | None, Image | None]
"""The aligned faces of both sides, each (S, S, 3) uint8; None where one is not at hand."""

Ages = Callable[[Image], FloatArray]
"""From aligned crops, (N, S, S, 3) uint8, to the years that the faces look old, (N,)."""

CHILD_YEARS, YOUTH_YEARS = 10.0, 14.0
"""A face that looks younger than the first is held to be a child's, and so is whoever is like it
past the threshold; and so are two faces that both look younger than the second. Small children are
meant, who look alike to recognizers. One face is enough, since a child behind goggles, hands or a
hat looks any age. Of 3,192 genuine pairs of LFW View 1 two are held to be of children: of a
princess of one year, and of an actress of thirteen (``benchmarks/accuracy/ages.py``)."""

TODDLERS_FMR, CHILDREN_FMR = 0.26, 0.08
"""Share of pairs of two children of 0 to 2 and of 3 to 6 years whose score passes a threshold that
lets 1e-4 of pairs of two adults pass. From FG-NET's 1,002 photos, which are not part of this
repository, with the preset "balanced": 26.5 and 7.8 %."""

CHILDREN_LLR = -math.log(TODDLERS_FMR)
MOST_CHILDREN_LLR = -math.log(CHILDREN_FMR)
"""What a score past the threshold says at most: log(TAR / FMR), were all genuine pairs to pass. An
estimated age does not tell a child of two from one of five, so the first is the value and the
second only the upper end of its interval; the lower is that the score says nothing."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Says how sure decisions are.

    Attributes:
        calibration: for the contract of the embeddings; None: no probabilities.
        prior: share of genuine pairs among those that are compared, 0 to 1, exclusive.
        limits: of quality; the calibration's own, such as the least norm, go before them.
        ages: asked only where the score passes the threshold, for crops of the calibration's
            alignment; None: children are not told from adults.
        card: of the embedder, whose learned similarity is the metric "siamese"; None looks it up
            by the embeddings.
    """

    calibration: Calibration | None = None
    prior: float = DEFAULT_PRIOR
    limits: QualityLimits = DEFAULT_LIMITS
    ages: Ages | None = None
    card: Card | None = None

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        check_fields(self)
        if not 0 < self.prior < 1:
            raise OptionError(f"expected a share between 0 and 1, got {self.prior}", option="prior")
        if self.calibration is not None and self.calibration.metric != CALIBRATED_METRIC:
            raise OptionError(
                f"the calibration is for the metric {self.calibration.metric}; decisions need one "
                f"for {CALIBRATED_METRIC}: fit it again (lineament tune)"
            )

    @property
    def all_limits(self) -> QualityLimits:
        """The limits, those of the calibration among them."""
        if self.calibration is None or not self.calibration.quality:
            return self.limits
        return replace(self.limits, **self.calibration.quality)

    def compare(self, a: Photo, b: Photo, threshold: Threshold) -> Decision:
        """Compare the faces that two photos are of, and say how sure that is.

        Args:
            a, b: from ``Recognizer.stream_chosen``: with embedding and crop of that face.
            threshold: from ``Recognizer.threshold``.

        Raises:
            NoFaceError: one of them has no face.
            ImageError: one of them could not be read.
            ContractError: they were embedded in different ways, or as the calibration's were not.
        """
        for photo in (a, b):
            photo.require()
            if photo.embedding is None:
                raise OptionError(f"{photo.source}: expected a photo whose face was embedded")
        assert a.embedding is not None
        assert b.embedding is not None
        decision = self.held_against(a.embedding, b.embedding, threshold, **sides(a, b))
        return self.assess(decision, crops=(a.crop, b.crop))

    def held_against(
        self, a: Embedding, b: Embedding, threshold: Threshold, **about: Any
    ) -> Decision:
        """As ``compare`` of ``lineament.decide.comparison``, by the head of the embedder's card."""
        head = None
        if threshold.metric == SIAMESE:
            head = require_head(a.contract, self.card)
        return compare(a, b, threshold, head=head, **about)

    def assess(
        self,
        decision: Decision,
        certainty: Certainty | None = None,
        *,
        crops: Crops = (None, None),
    ) -> Decision:
        """The same decision with its certainty, and the reasons why it is open, if any.

        Args:
            decision: from ``lineament.decide.comparison.compare``.
            certainty: where it is known from elsewhere; None asks the calibration.
            crops: of both sides, for ``ages``, and for what of a face seems to be covered.

        Raises:
            ContractError: the calibration is for embeddings that were made in another way.
        """
        if certainty is None and self.calibration is not None:
            certainty = self.certainty(decision)
        reasons: list[str] = []
        limits = self.all_limits
        if decision.same and self._is_evidence(decision):
            # A bad photo against a clean one makes misses, and no false matches: what a score takes
            # that passes is in the conditions of the pair.
            limits = replace(limits, least_recognizability=None)
        for source, quality, crop in (
            (decision.source_a, decision.quality_a, crops[0]),
            (decision.source_b, decision.quality_b, crops[1]),
        ):
            if quality is not None:
                reasons += [
                    f"{source}: {problem}{_covered(problem, crop)}"
                    for problem in limits.problems(quality)
                ]
        for source, face in (
            (decision.source_a, decision.face_a),
            (decision.source_b, decision.face_b),
        ):
            if face is not None and face.boxed == "box":
                reasons.append(f"{source}: {NOT_DETECTED}")
        reasons += self._rise(decision, crops)
        reasons += _doubts(decision, certainty)
        if decision.same and (years := self.children(crops)):
            reasons.append(children_in_words(years, (decision.source_a, decision.source_b)))
            certainty = None if certainty is None else _of_children(certainty)
        return replace(decision, certainty=certainty, reasons=tuple(reasons))

    def children(self, crops: Crops) -> tuple[float | None, float | None] | None:
        """The years that both faces look old; None unless they look like children's.

        ``CHILD_YEARS`` says which do. A face without a crop (its years are None) is taken for what
        the other one is: they are asked about because they look alike.
        """
        if self.ages is None:
            return None
        first, second = (
            None if crop is None else float(self.ages(crop[None])[0]) for crop in crops
        )
        known = [years for years in (first, second) if years is not None]
        if not known:
            return None
        young = min(known) < CHILD_YEARS or (len(known) == 2 and max(known) < YOUTH_YEARS)
        return (first, second) if young else None

    def condition(self, a: Quality | None, b: Quality | None) -> Condition:
        """What holds for two faces of these qualities."""
        if self.calibration is None or a is None or b is None:
            return CLEAN
        return self.calibration.condition(a.recognizability, b.recognizability)

    def _is_evidence(self, decision: Decision) -> bool:
        """Whether conditions are known for these faces, by which their score is evidence."""
        a, b = decision.quality_a, decision.quality_b
        known = all(q is not None and q.recognizability is not None for q in (a, b))
        if not known or self.calibration is None or self.calibration.conditions is None:
            return False
        return self.condition(a, b).trust > 0

    def _rise(self, decision: Decision, crops: Crops) -> list[str]:
        """Why a score that passes would not for faces like these, if so."""
        rise = self.condition(decision.quality_a, decision.quality_b).threshold_rise
        if not (decision.same and rise > 0):
            return []
        limit = self._cosine_threshold(decision.threshold)
        if limit is None or decision.similarity >= limit + rise:
            return []
        assert decision.quality_a is not None
        assert decision.quality_b is not None
        a, b = decision.quality_a.recognizability, decision.quality_b.recognizability
        covered = "".join(
            f"; {source}: {words}"
            for source, words in (
                (decision.source_a, covered_in_words(crops[0])),
                (decision.source_b, covered_in_words(crops[1])),
            )
            if words
        )
        takes = f"it takes {limit + rise:.3f}" if limit + rise <= 1 else "no score is enough"
        return [
            f"strangers look alike in photos like these two (recognizability {a:.2f} and {b:.2f}): "
            f"the cosine {decision.similarity:.3f} passes the threshold {limit:.3f}, yet for such "
            f"faces {takes}: compare a photo of either person that is clear and shows the whole "
            f"face uncovered{covered}"
        ]

    def _cosine_threshold(self, threshold: Threshold) -> float | None:
        """The cosine that a threshold of any metric stands for; None: it is not known."""
        if threshold.metric in _TO_COSINE:
            return _TO_COSINE[threshold.metric](threshold.value)
        if threshold.fmr is None or self.calibration is None:
            return None
        found = self.calibration.threshold_of(CALIBRATED_METRIC, threshold.fmr)
        return None if found is None else found.value

    def certainty(self, decision: Decision) -> Certainty:
        """What the calibration says of the decision's cosine; raises as ``assess``."""
        assert self.calibration is not None
        self.calibration.check(decision.contract, CALIBRATED_METRIC)
        score = decision.similarity
        condition = self.condition(decision.quality_a, decision.quality_b)
        value, low, high = self.calibration.probability(score, self.prior, condition)
        return Certainty(
            probability=value,
            low=low,
            high=high,
            llr=float(self.calibration.llr_of(score, condition)),
            prior=self.prior,
            data=self.calibration.data,
            people=self.calibration.n_people,
            genuine_pairs=self.calibration.n_genuine_pairs,
            impostor_pairs=self.calibration.n_impostor_pairs,
        )


def _covered(problem: str, crop: Image | None) -> str:
    """What seems to be covered, after a problem that this may explain."""
    words = covered_in_words(crop) if problem.startswith(LITTLE_LEFT) else ""
    return f" ({words})" if words else ""


def sides(a: Photo, b: Photo) -> dict[str, Any]:
    """The arguments of ``compare`` that describe two photos and the faces that they are of."""
    qualities = [
        None
        if photo.face is None or photo.embedding is None
        else quality_of(photo.face, photo.crop, photo.embedding, photo.size_wh)
        for photo in (a, b)
    ]
    return {
        "sources": (a.source, b.source),
        "faces": (a.face, b.face),
        "others": (len(a.faces) - 1, len(b.faces) - 1),
        "qualities": (qualities[0], qualities[1]),
        "checks": (a.liveness, b.liveness),
    }


def children_in_words(years: tuple[float | None, float | None], sources: tuple[str, str]) -> str:
    """Why an answer about faces of such years (see ``Judge.children``) is open."""
    first, second = years
    if first is not None and second is not None and max(first, second) < YOUTH_YEARS:
        ages = f"{first:.0f} and {second:.0f}"
        what = f"both faces look like those of children (about {ages} years)"
    else:
        at = 0 if second is None or (first is not None and first < second) else 1
        own, other = years[at], years[1 - at]
        also = "" if other is None else f", the other face about {other:.0f}"
        what = f"{sources[at]}: the face looks like that of a child (about {own:.0f} years{also})"
    return (
        f"{what}: the calibration rests on adults, and small children look alike to recognizers: "
        "compare another feature, or ask a person"
    )


def _of_children(certainty: Certainty) -> Certainty:
    """The same, no surer than can be of two children."""
    odds = math.log(certainty.prior) - math.log1p(-certainty.prior)
    value, high = (1 / (1 + math.exp(-odds - llr)) for llr in (CHILDREN_LLR, MOST_CHILDREN_LLR))
    return replace(
        certainty,
        probability=min(certainty.probability, value),
        low=min(certainty.low, certainty.prior),
        high=min(certainty.high, high),
        llr=min(certainty.llr, CHILDREN_LLR),
    )


def _doubts(decision: Decision, certainty: Certainty | None) -> list[str]:
    threshold = decision.threshold
    if threshold.low is not None and threshold.high is not None:
        least, most = sorted((threshold.low, threshold.high))
        if least <= decision.score < most:
            return [
                f"the score {decision.score:.3f} lies within the threshold's own 95 % interval, "
                f"{least:.3f} to {most:.3f}: another photo of either person may tell"
            ]
    if certainty is None or decision.same == (certainty.probability >= 0.5):
        return []
    share = f"{per_cent(certainty.probability)} probable at a prior of {certainty.prior:g}"
    if decision.same:
        return [
            f"the score passes the threshold {_aim(threshold)}, yet one person is only {share}: "
            "ask for a lower false match rate, or compare another photo"
        ]
    return [
        f"the score falls short of the threshold {_aim(threshold)}, yet one person is {share}: "
        "compare another photo"
    ]


def _aim(threshold: Threshold) -> str:
    return (
        f"{threshold.value:.3f}"
        if threshold.fmr is None
        else f"for a false match rate of {threshold.fmr:g}"
    )

"""Faces -> the people they may show, in order -> names.

A person's score is a rule over the similarities of the person's samples (``Settings``). The people
among whom it is computed are those with the most alike samples, so no more than a few hundred
vectors of millions are looked at in full.

The probability that a face shows person i of N is, by Bayes' rule with the prior share ``p`` of
faces of enrolled people spread evenly over them,

    LR_i / (sum of LR_j over the candidates j + (N - candidates) + N (1 - p) / p)

where LR is the calibration's likelihood ratio of a score. Those who are no candidates count as 1
each, which is what a stranger's ratio is on average; theirs is less, so this errs to the low side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lineament.arguments import check_fields
from lineament.assignment import assign
from lineament.decide.calibration import DEFAULT_FPIR, Calibration
from lineament.decide.conditions import CLEAN, MOST_RISE, Condition
from lineament.decide.judge import (
    CALIBRATED_METRIC,
    CHILDREN_LLR,
    MOST_CHILDREN_LLR,
    children_in_words,
)
from lineament.decide.metrics import SIAMESE
from lineament.decide.siamese import SiameseHead, require_head
from lineament.decide.thresholds import own_threshold
from lineament.errors import OptionError
from lineament.gallery import lookup
from lineament.gallery._nobody import nobody_searched
from lineament.gallery._portraits import kept_crop
from lineament.gallery._rejections import any_there, rejected_by
from lineament.gallery._state import GalleryState
from lineament.gallery._thresholds import (
    checked_share,
    learned_search_threshold,
    search_threshold,
)
from lineament.gallery._types import (
    Candidate,
    Identification,
    IdentifiedPhoto,
    Settings,
    UnknownReason,
)
from lineament.gallery.consent import checked_purpose
from lineament.quality import quality_of
from lineament.search.index import Ids
from lineament.types import (
    Embedding,
    Face,
    FloatArray,
    Image,
    Liveness,
    Photo,
    Quality,
    Threshold,
)

MOST_TOP = 1000
_TRIES = 100
"""So often a search is begun again because of damage; what is damaged is left out in any case."""


PASSED_OVER = 8
"""So many more people are ranked where somebody has negative examples, who may be passed over."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked; see ``Gallery.identify``."""

    top: int = 5
    fpir: float = DEFAULT_FPIR
    threshold: float | None = None
    where: Mapping[str, Any] | None = None
    purpose: str | None = None
    one_person_per_photo: bool = True
    metric: str = CALIBRATED_METRIC

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        check_fields(self)
        if not 1 <= self.top <= MOST_TOP:
            raise OptionError(f"expected 1 to {MOST_TOP}, got {self.top}", option="top")
        checked_share(self.fpir, "fpir")
        if self.purpose is not None:
            checked_purpose(self.purpose, "purpose")
        if self.metric not in (CALIBRATED_METRIC, SIAMESE):
            raise OptionError(
                f"expected {CALIBRATED_METRIC} or {SIAMESE}, got {self.metric!r}", option="metric"
            )
        if self.threshold is not None:
            own_threshold(self.threshold, self.metric)


@dataclass(frozen=True, slots=True)
class Scored:
    """A person's score for one face, and the sample of theirs that is most alike.

    ``learned`` is the score by the model's learned similarity, where that is asked for.
    """

    person: int
    score: float
    sample: int
    learned: float | None = None


def rank_people(
    state: GalleryState,
    queries: FloatArray,
    n: int,
    *,
    settings: Settings,
    allowed: Ids | None = None,
) -> list[list[Scored]]:
    """The ``n`` most alike people to each query (Q, D), or as many as there are.

    Each is compared with its checksums before it is said: what turns out to be damaged is noted,
    and the search goes on without it.
    """
    for _ in range(_TRIES):
        found = _ranked(state, queries, n, settings, allowed)
        pairs = {(one.person, one.sample) for people_ in found for one in people_}
        if not lookup.unsound(state.store, pairs):
            break
    damage = state.store.damage
    return [
        [
            one
            for one in row
            if one.person not in damage.people and one.sample not in damage.unsearched
        ]
        for row in found
    ]


def _ranked(
    state: GalleryState, queries: FloatArray, n: int, settings: Settings, allowed: Ids | None
) -> list[list[Scored]]:
    store, index = state.store, state.index
    damage, gone = store.damage, lookup.expired(store)
    rule = settings.person_score
    # A mean over samples may put a person first whose best sample is not.
    wanted = n if rule == "best" else 4 * n + 16
    most = len(index) if allowed is None else len(allowed)
    found: list[list[Scored]] = [[] for _ in queries]
    open_ = np.arange(len(queries))
    k = max(16, 3 * wanted)
    while len(open_) and most:
        k = min(k, most)
        ids, scores = index.search(queries[open_], k, allowed)
        owners = lookup.owners_of(store, np.unique(ids[ids >= 0]).tolist())
        left = []
        for at, row_ids, row_scores in zip(open_, ids.tolist(), scores.tolist(), strict=True):
            people: dict[int, Scored] = {}
            for identifier, score in zip(row_ids, row_scores, strict=True):
                number = owners.get(identifier)  # None: removed a moment ago, or past the end
                if number is None or identifier in damage.unsearched or number in damage.people:
                    continue
                if number in gone:
                    continue
                if number not in people:
                    people[number] = Scored(number, score, identifier)
            if len(people) < wanted and k < most:
                left.append(at)
            found[at] = list(people.values())[:wanted]
        open_ = np.array(left, np.int64)
        k *= 4
    if rule != "best":
        everybody = sorted({one.person for people_ in found for one in people_})
        vectors = lookup.vectors_of(store, everybody)
        found = [
            _scored(query, people_, vectors, settings)
            for query, people_ in zip(queries, found, strict=True)
        ]
    return [people_[:n] for people_ in found]


def _scored(
    query: FloatArray,
    people: Sequence[Scored],
    vectors: Mapping[int, tuple[Ids, FloatArray]],
    settings: Settings,
) -> list[Scored]:
    """The same people by "mean" or "centroid"."""
    result = []
    for one in people:
        if one.person not in vectors:
            continue
        _, rows = vectors[one.person]
        scores = np.sort(rows.astype(np.float64) @ query.astype(np.float64))[::-1]
        if settings.person_score == "mean":
            score = float(scores[: settings.mean_of].mean())
        else:
            length = float(np.linalg.norm(rows.astype(np.float64).sum(axis=0)))
            score = float(scores.sum()) / length if length > 0 else 0.0
        result.append(replace(one, score=min(1.0, max(-1.0, score))))
    return sorted(result, key=lambda one: (-one.score, one.person))


RESCORED = 50
"""So many of the most alike people by the cosine are scored by a learned similarity."""


def _rescored(
    state: GalleryState,
    embedding: Embedding,
    people: Sequence[Scored],
    head: SiameseHead,
) -> list[Scored]:
    """The same people by the learned similarity of their samples, the most alike first.

    The rule "mean" takes the mean of the best ``Settings.mean_of``; the others the best sample.
    """
    store, metric = state.store, head.metric
    numbers = [one.person for one in people]
    vectors = lookup.vectors_of(store, numbers)
    norms = {} if metric.unit else lookup.norms_of(store, numbers)
    asked = embedding.vector[None] * np.float32(1.0 if metric.unit else embedding.norm)
    result = []
    for one in people:
        if one.person not in vectors:  # removed a moment ago, or damaged
            continue
        ids, rows = vectors[one.person]
        if not metric.unit:
            rows = rows * norms[one.person].astype(np.float32)[:, None]
        scores = metric.matrix(asked, np.asarray(rows, np.float32))[0]
        order = np.argsort(-scores, kind="stable")
        count = state.settings.mean_of if state.settings.person_score == "mean" else 1
        learned = float(scores[order[:count]].mean())
        result.append(replace(one, sample=int(ids[order[0]]), learned=learned))
    return sorted(result, key=lambda one: (-(one.learned or 0.0), one.person))


def identify_faces(
    state: GalleryState,
    embeddings: Sequence[Embedding],
    search: Search,
    *,
    together: bool,
    faces: Sequence[Face | None] | None = None,
    qualities: Sequence[Quality | None] | None = None,
) -> list[Identification]:
    """``Gallery.identify_embeddings``, with the faces and their qualities for the results."""
    store, index = state.store, state.index
    index.sync()
    for embedding in embeddings:
        store.contract.check(embedding.contract)
    if not embeddings:
        return []
    settings = store.settings
    allowed: Ids | None = None
    n_people, n_samples = lookup.totals(store)
    n_left_out: int | None = None
    if search.where is not None or search.purpose is not None:
        among = index.allowed(search.where, search.purpose)
        allowed, n_people, n_samples = among.samples, among.n_people, len(among.samples)
        n_left_out = None if search.purpose is None else among.n_left_out
    head = None
    if search.metric == SIAMESE:
        head = require_head(store.contract, state.card)
    threshold = _threshold(state, search, n_people, n_samples, head)
    n = max(search.top, 2 if head is None else RESCORED)
    if together:
        n = max(n, len(embeddings) + 1)  # so that each face has somebody left
    if any_there(store):
        n += PASSED_OVER
    queries = np.stack([embedding.vector for embedding in embeddings])
    ranked = rank_people(state, queries, n, settings=settings, allowed=allowed)
    if head is not None:
        ranked = [
            _rescored(state, embedding, row, head)[: max(search.top, 2, together * len(embeddings))]
            for embedding, row in zip(embeddings, ranked, strict=True)
        ]
    rejections = rejected_by(store, queries, [[one.person for one in row] for row in ranked])
    candidates = _candidates(state, ranked, n_people, qualities, rejections)
    if together:
        chosen = _assigned(candidates, threshold.value)
    else:
        chosen = [_best(row, threshold.value) for row in candidates]
    results = []
    for i, (row, at) in enumerate(zip(candidates, chosen, strict=True)):
        match = None if at is None else row[at]
        reason, words = (None, "") if match is not None else _unknown(state, search, row, threshold)
        shown = row[: search.top]
        if match is not None and match not in shown:
            shown = [*shown[:-1], match]
        results.append(
            Identification(
                name=None if match is None else match.name,
                match=match,
                candidates=tuple(shown),
                threshold=threshold,
                margin=row[0].compared - row[1].compared if len(row) > 1 else None,
                n_searched=n_people,
                face=None if faces is None else faces[i],
                quality=None if qualities is None else qualities[i],
                notes=_notes(state, row, at, threshold),
                reason=reason,
                reason_in_words=words,
                n_left_out=n_left_out,
            )
        )
    return results


def _best(row: Sequence[Candidate], threshold: float) -> int | None:
    """The number of the candidate who is the furthest above what it takes; None: nobody is."""
    above = [one.above(threshold) for one in row]
    at = int(np.argmax(above)) if above else 0
    return at if above and above[at] >= 0 else None


def _unknown(
    state: GalleryState, search: Search, row: Sequence[Candidate], threshold: Threshold
) -> tuple[UnknownReason, str]:
    """Why a face with these candidates has no name."""
    if not row:
        return "nobody_searched", str(nobody_searched(state, search.where, search.purpose).message)
    best = row[0]
    if best.rejected_by is not None and best.compared >= threshold.value:
        return (
            "rejected",
            f"{best} is the most alike, yet the face is no less like one that was said not to be "
            f"{best.name}'s (negative example {best.rejected_by})",
        )
    if best.compared >= threshold.value and best.above(threshold.value) < 0:
        takes = threshold.value + best.threshold_rise
        if best.score is not None:
            why = (
                "strangers look alike in photos like this one and the one enrolled, and what the "
                "learned similarity says of such faces is not known: leave the metric out"
            )
        elif takes > 1:
            why = (
                "too little of an identity is left in this photo, or in the one enrolled: for such "
                "faces no score is enough"
            )
        else:
            why = (
                "strangers look alike in photos like this one and the one enrolled: for such faces "
                f"it takes {takes:.3f}"
            )
        return "low_quality", f"{best} is the most alike, yet {why}"
    if best.compared >= threshold.value:
        return (
            "same_photo",
            f"{best} is another face of this photo, and two faces of one photo are two people",
        )
    return (
        "below_threshold",
        f"{best} is the most alike, below the threshold {threshold.value:.3f}",
    )


def _notes(
    state: GalleryState, row: Sequence[Candidate], at: int | None, threshold: Threshold
) -> tuple[str, ...]:
    """What should be known of an answer: who else it could be, and what could not be said."""
    notes = []
    if at is not None:
        others = [one for i, one in enumerate(row) if i != at]
        alike = [str(one) for one in others if one.above(threshold.value) >= 0]
        if alike and at == 0:
            verb = "reaches" if len(alike) == 1 else "reach"
            notes.append(f"{', '.join(alike[:3])} {verb} the threshold, too")
        elif at and row[0].rejected_by is not None:
            notes.append(
                f"{row[0]} is more alike, but the face is no less like one that was said not to be "
                f"{row[0].name}'s (negative example {row[0].rejected_by})"
            )
        elif at and row[0].threshold_rise > 0:
            notes.append(
                f"{row[0]} is more alike, but strangers look alike in photos like this one and the "
                "one enrolled of that person"
            )
        elif at:
            notes.append(f"{row[0]} is more alike, but is another face of this photo")
    if row and row[0].probability is None:
        notes.append(
            f"no probability: there is no calibration for embeddings of {state.contract.weights}"
        )
    return tuple(notes)


def identify_photo(
    state: GalleryState,
    analysis: Photo,
    search: Search,
) -> IdentifiedPhoto:
    """One photo with embeddings and crops, as ``Recognizer.stream`` yields it."""
    if analysis.error is not None or not analysis.faces:
        return IdentifiedPhoto(analysis.source, analysis.size_wh, (), analysis.error)
    assert analysis.crops is not None
    rows = zip(analysis.faces, analysis.crops, analysis.embeddings, strict=True)
    qualities = [
        quality_of(face, crop, embedding, analysis.size_wh) for face, crop, embedding in rows
    ]
    found = _identified(state, analysis, search, qualities)
    limits = state.recognizer.judge.all_limits
    noted = [
        one if quality is None else _of_quality(one, limits.problems(quality))
        for one, quality in zip(found, qualities, strict=True)
    ]
    answers = [
        _of_children(state, one, crop, analysis.source)
        for one, crop in zip(noted, analysis.crops, strict=True)
    ]
    if analysis.checks:
        checked = zip(answers, analysis.checks, strict=True)
        answers = [_of_liveness(one, check) for one, check in checked]
    return IdentifiedPhoto(analysis.source, analysis.size_wh, tuple(answers))


def _identified(
    state: GalleryState, analysis: Photo, search: Search, qualities: Sequence[Quality | None]
) -> list[Identification]:
    """Who the faces are; what is not alive takes no name away from another face of the photo."""
    alive = [True] * len(analysis.faces)
    if analysis.checks:
        alive = [check.live for check in analysis.checks]
    found: dict[int, Identification] = {}
    for lives in (True, False):
        numbers = [number for number, each in enumerate(alive) if each == lives]
        if not numbers:
            continue
        some = identify_faces(
            state,
            [analysis.embeddings[number] for number in numbers],
            search,
            together=search.one_person_per_photo and lives,
            faces=[analysis.faces[number] for number in numbers],
            qualities=[qualities[number] for number in numbers],
        )
        found |= dict(zip(numbers, some, strict=True))
    return [found[number] for number in range(len(alive))]


def _of_liveness(one: Identification, check: Liveness) -> Identification:
    """The same answer with the check, and without a name unless the face is alive."""
    if check.live:
        return replace(one, liveness=check)
    what = "a picture of a face" if check.outcome == "attack" else "perhaps not alive"
    words = f"{what}: {'; '.join(check.reasons)}"
    return replace(
        one, name=None, match=None, liveness=check, reason="not_live", reason_in_words=words
    )


def _of_children(
    state: GalleryState, one: Identification, crop: Image, source: str
) -> Identification:
    """The same answer, but without a name where the face or its match looks like a child's."""
    judge, match = state.recognizer.judge, one.match
    if match is None:
        return one
    years = judge.children((crop, kept_crop(state, match.sample)))
    if years is None:
        return one
    sure = _probabilities(
        state.calibration,
        state.store.settings.prior,
        [candidate.similarity for candidate in one.candidates],
        [CLEAN] * len(one.candidates),
        one.n_searched,
        most_llr=(CHILDREN_LLR, 0.0, MOST_CHILDREN_LLR),
        excluded=[candidate.rejected_by is not None for candidate in one.candidates],
    )
    candidates = tuple(
        replace(candidate, probability=p[0], low=p[1], high=p[2])
        for candidate, p in zip(one.candidates, sure, strict=True)
    )
    alike = next(candidate for candidate in candidates if candidate.rank == match.rank)
    why = children_in_words(years, (source, match.sample_source))
    return replace(
        one,
        name=None,
        match=None,
        candidates=candidates,
        reason="children",
        reason_in_words=f"{alike} is alike enough, yet {why}",
    )


def _of_quality(one: Identification, problems: Sequence[str]) -> Identification:
    """The same answer, with what is wrong with the face."""
    if not problems:
        return one
    notes = (*one.notes, *problems)
    if one.reason != "below_threshold":
        return replace(one, notes=notes)
    words = f"{one.reason_in_words}, and the face is too poor to tell"
    return replace(one, notes=notes, reason="low_quality", reason_in_words=words)


def _threshold(
    state: GalleryState,
    search: Search,
    n_people: int,
    n_samples: int,
    head: SiameseHead | None = None,
) -> Threshold:
    if search.threshold is not None:
        return own_threshold(search.threshold, search.metric)
    people = max(1, n_people)
    if head is not None:
        return learned_search_threshold(head, state.calibration, people, search.fpir)
    found = search_threshold(
        state.calibration,
        state.contract,
        state.settings,
        n_people=people,
        references=max(1.0, n_samples / people),
        fpir=search.fpir,
    )
    return found if n_people else replace(found, data="of a gallery of one: nobody was searched")


def _assigned(candidates: Sequence[Sequence[Candidate]], threshold: float) -> list[int | None]:
    """For each face the number of its candidate, so that no person is taken twice.

    The sum of what the similarities lie above the threshold is greatest.
    """
    people = sorted({one.person_id for row in candidates for one in row})
    column = {number: i for i, number in enumerate(people)}
    gains = np.full((len(candidates), len(people)), -np.inf)
    for i, row in enumerate(candidates):
        for one in row:
            above = one.above(threshold)
            if above >= 0:  # on the threshold counts, so it must be worth something
                gains[i, column[one.person_id]] = above + 1e-9
    chosen: list[int | None] = []
    for row, at in zip(candidates, assign(gains).tolist(), strict=True):
        places = [i for i, one in enumerate(row) if at >= 0 and one.person_id == people[at]]
        chosen.append(places[0] if places else None)
    return chosen


def _candidates(
    state: GalleryState,
    ranked: Sequence[Sequence[Scored]],
    n_people: int,
    qualities: Sequence[Quality | None] | None,
    rejections: Sequence[Mapping[int, tuple[int, float]]],
) -> list[list[Candidate]]:
    """People with names and probabilities."""
    store = state.store
    with store.reading():
        numbers = sorted({one.person for row in ranked for one in row})
        people = {found.id: found for found in lookup.people_of(store, numbers)}
        samples = sorted({one.sample for row in ranked for one in row})
        sources = lookup.sources_of(store, samples)
    result = []
    for i, row in enumerate(ranked):
        # Else removed a moment ago, or it cannot be read who it is.
        there = [
            one for one in row if one.person in people and one.person not in store.damage.people
        ]
        conditions = _conditions(state, there, None if qualities is None else qualities[i])
        sure = _probabilities(
            state.calibration,
            store.settings.prior,
            [one.score for one in there],
            conditions,
            n_people,
            excluded=[one.person in rejections[i] for one in there],
        )
        result.append(
            [
                Candidate(
                    rank=rank,
                    person_id=one.person,
                    name=people[one.person].name,
                    similarity=one.score,
                    probability=p[0],
                    low=p[1],
                    high=p[2],
                    sample=one.sample,
                    sample_source=sources.get(one.sample, ""),
                    n_samples=people[one.person].n_samples,
                    metadata=people[one.person].metadata,
                    threshold_rise=_rise(condition),
                    score=one.learned,
                    rejected_by=rejections[i].get(one.person, (None,))[0],
                )
                for rank, (one, p, condition) in enumerate(
                    zip(there, sure, conditions, strict=True), 1
                )
            ]
        )
    return result


def _rise(condition: Condition) -> float:
    """How much more than the threshold it takes; where a score is no evidence none is enough."""
    return condition.threshold_rise if condition.trust > 0 else MOST_RISE


def _conditions(
    state: GalleryState, row: Sequence[Scored], quality: Quality | None
) -> list[Condition]:
    """What holds for a face and the samples of its candidates; none are read for a clean face."""
    calibration = state.calibration
    seen = None if quality is None else quality.recognizability
    if calibration is None or seen is None or calibration.condition(seen, 0.0) == CLEAN:
        return [CLEAN] * len(row)
    found = lookup.qualities_of(state.store, [one.sample for one in row])
    return [
        CLEAN if sample is None else calibration.condition(seen, sample.recognizability)
        for sample in (found.get(one.sample) for one in row)
    ]


def _probabilities(
    calibration: Calibration | None,
    prior: float,
    scores: Sequence[float],
    conditions: Sequence[Condition],
    n_people: int,
    *,
    most_llr: tuple[float, float, float] = (math.inf,) * 3,
    excluded: Sequence[bool] | None = None,
) -> list[tuple[float | None, float | None, float | None]]:
    """For each candidate: the probability, and its interval from that of the likelihood ratio.

    ``most_llr``: what the logarithm of the ratio may be at most, and the ends of its interval;
    ``excluded``: who it is not, since somebody said so.
    """
    if calibration is None or not scores:
        return [(None, None, None)] * len(scores)
    most, most_low, most_high = np.exp(most_llr).tolist()
    each = list(zip(scores, conditions, strict=True))
    ratios = np.minimum(np.exp([float(calibration.llr_of(*one)) for one in each]), most)
    out = np.zeros(len(scores), np.bool_) if excluded is None else np.array(excluded, np.bool_)
    ratios[out] = 0.0
    people = max(n_people, len(scores))
    rest = people - len(scores) + people * (1 - prior) / prior
    result: list[tuple[float | None, float | None, float | None]] = []
    for (score, condition), ratio, gone in zip(each, ratios.tolist(), out.tolist(), strict=True):
        if gone:
            result.append((0.0, 0.0, 0.0))
            continue
        others = float(ratios.sum()) - ratio + rest
        pair = calibration.probability(score, 0.5, condition)
        low, high = (p / (1 - p) if p < 1 else math.inf for p in (pair.low, pair.high))
        low, high = min(low, most_low), min(high, most_high)
        result.append((ratio / (ratio + others), low / (low + others), _share(high, others)))
    return result


def _share(ratio: float, others: float) -> float:
    return 1.0 if math.isinf(ratio) else ratio / (ratio + others)

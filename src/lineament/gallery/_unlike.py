"""Whether a person's samples agree: new ones with those enrolled, two people, imported rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lineament.decide.agreement import MOST_AT_ONCE, Agreement, agree, likeness, unlike_below
from lineament.errors import OptionError, UnlikePeopleError
from lineament.gallery import lookup
from lineament.gallery._state import GalleryState
from lineament.gallery._thresholds import same_threshold
from lineament.gallery._types import NewSample, Refusal, UnlikeSample
from lineament.text import per_cent
from lineament.types import BoolArray, FloatArray

DUPLICATE = 0.98
"""Cosine from which on two embeddings are of one photo: the same one, stored again, cut or
scaled. Two photos of a person taken one after the other seldom reach it."""

PEOPLE_AT_ONCE = 256
"""Whose samples are read at once."""

Own = Mapping[int, tuple[npt.NDArray[np.int64], FloatArray]]

NOT_COMPARED = (
    "not checked whether the photos of a person agree with each other: there is no calibration for "
    "these embeddings"
)


def compared(
    state: GalleryState,
    named: Sequence[tuple[str, NewSample]],
    vectors: FloatArray,
    own: Own,
    people: Mapping[str, int | None],
    foreign: BoolArray,
    *,
    strict: bool = False,
) -> tuple[list[Refusal | None], list[str]]:
    """For each sample why it is unlike the others of its person, or None; and notes in words.

    Args:
        state: of the gallery.
        named: N samples with the names of their people.
        vectors: (N, D) of them.
        own: the enrolled samples of those who are there, from ``lookup.vectors_of``.
        people: number of each person, None for a new one.
        foreign: (N,) bool: looks like somebody else who is enrolled, so that it says nothing of
            how the others agree.
        strict: refuse what does not reach the threshold of 1:1 comparisons with one of the others,
            too, and photos that show too little of a face.

    Raises:
        OptionError: strict, and nothing says which photos agree.
    """
    refusals: list[Refusal | None] = [None] * len(named)
    places: dict[str, list[int]] = {}
    for i, (name, _) in enumerate(named):
        if not foreign[i]:
            places.setdefault(name, []).append(i)
    several = {name: rows for name, rows in places.items() if len(rows) > 1 or people[name] in own}
    limit = unlike_below(state.calibration)
    least = _required(state) if strict and several else None
    if limit is None and least is None:
        return refusals, [NOT_COMPARED] if several else []
    limit = least if limit is None else limit
    assert limit is not None
    notes: list[str] = []
    known = [number for name in several if (number := people[name]) is not None and number in own]
    greatest = lookup.greatest_norms(state.store, known)
    for name, rows in several.items():
        number = people[name]
        there = own[number][1] if number is not None and number in own else None
        top = 0.0 if number is None else greatest.get(number, 0.0)
        for start in range(0, len(rows), MOST_AT_ONCE):
            some = np.array(rows[start : start + MOST_AT_ONCE])
            norms = np.array([named[i][1].embedding.norm for i in some.tolist()])
            whole = no_copies(vectors[some])
            found = agree(vectors[some], norms, limit, own=there, own_norm=top, counts=whole)
            for k, i in enumerate(some.tolist()):
                sample = named[i][1]
                score = float(found.similarity[k])
                if found.unlike[k] or (strict and found.not_judged[k]):
                    refusals[i] = _refusal(state, name, sample, found, k, there is not None)
                elif least is not None and score < least:
                    refusals[i] = _disagrees(state, name, sample, score, least)
                else:
                    notes += _note(state, name, sample, found, k)
            kept = vectors[some[found.main]]
            there = kept if there is None else np.concatenate([there, kept])
            top = max(top, float(norms[found.main].max(initial=0.0)))
    return refusals, notes


def check_alike(state: GalleryState, name: str, others: Sequence[str]) -> None:
    """Compare people who are said to be one.

    Raises:
        UnlikePeopleError: one of ``others`` is unlike ``name``.
        UnknownPersonError: there is none of that name.
    """
    limit = unlike_below(state.calibration)
    store = state.store
    number = lookup.required_person(store, name)
    given = {other: lookup.required_person(store, other) for other in others}
    if limit is None:
        return
    vectors = lookup.vectors_of(store, [number, *given.values()])
    norms = lookup.norms_of(store, [number, *given.values()])
    for other, theirs in given.items():
        if theirs == number or number not in vectors or theirs not in vectors:
            continue
        score = likeness(vectors[number][1], vectors[theirs][1], norms[number], norms[theirs])
        if score is not None and score < limit:
            raise UnlikePeopleError(
                f"{name} and {other} do not look like one person (similarity {score:.3f}"
                f"{probability_in_words(state, score)}): nothing was changed",
                hint="if they are one all the same, {force}",
            )


def can_compare(state: GalleryState) -> bool:
    """Whether a calibration says how unlike the photos of two people are."""
    return unlike_below(state.calibration) is not None


def unlike_samples(state: GalleryState, names: Sequence[str]) -> Iterator[UnlikeSample]:
    """The samples of these people that are unlike the others of their person."""
    limit = unlike_below(state.calibration)
    if limit is None:
        return
    for start in range(0, len(names), PEOPLE_AT_ONCE):
        some = names[start : start + PEOPLE_AT_ONCE]
        numbers = {name: lookup.find_person(state.store, name) for name in some}
        there = [number for number in numbers.values() if number is not None]
        vectors = lookup.vectors_of(state.store, there)
        norms = lookup.norms_of(state.store, there)
        for name, number in numbers.items():
            if number is not None and number in vectors:
                yield from _unlike_of(state, name, *vectors[number], norms[number], limit)


def _unlike_of(
    state: GalleryState,
    name: str,
    ids: npt.NDArray[np.int64],
    vectors: FloatArray,
    norms: npt.NDArray[np.float64],
    limit: float,
) -> Iterator[UnlikeSample]:
    rows = vectors[:MOST_AT_ONCE]
    made = agree(rows, norms[:MOST_AT_ONCE], limit, counts=no_copies(rows))
    places = np.flatnonzero(made.unlike).tolist()
    sources = lookup.sources_of(state.store, [int(ids[k]) for k in places])
    for k in places:
        score, number = float(made.similarity[k]), int(ids[k])
        yield UnlikeSample(number, name, sources.get(number, ""), score, _probability(state, score))


def probability_in_words(state: GalleryState, score: float) -> str:
    """Such as ", 0.4 % probable"; "" without a calibration."""
    share = _probability(state, score)
    if share is None:
        return ""
    return f", {per_cent(share, most=1)} probable"


def _probability(state: GalleryState, score: float) -> float | None:
    calibration = state.calibration
    if calibration is None or not np.isfinite(score):
        return None
    return float(calibration.probability(score).value)


def _refusal(
    state: GalleryState,
    name: str,
    sample: NewSample,
    found: Agreement,
    k: int,
    there: bool,
) -> Refusal:
    score = float(found.similarity[k])
    alike = f"similarity {score:.3f} at most{probability_in_words(state, score)}"
    if found.undecided:
        message = (
            f"the photos of {name} do not agree with each other ({alike}), and which of them show "
            f"{name} cannot be said: enroll the right ones alone, or all of them by force"
        )
    else:
        whom = f"those of {name} that are enrolled" if there else f"the other photos of {name}"
        message = (
            f"it is unlike {whom} ({alike}): if it shows {name} all the same, enroll it by force"
        )
    return Refusal(
        sample.source,
        "unlike the others",
        message,
        name,
        similarity=score,
        probability=_probability(state, score),
    )


def _required(state: GalleryState) -> float:
    """What a strict review requires: the gallery's own threshold, else that of 1:1 comparisons."""
    if state.settings.threshold is not None:
        return state.settings.threshold
    found = same_threshold(state.calibration, state.contract)
    if found is None:
        raise OptionError(
            'expected a calibration for the review "strict", which compares the photos of a '
            f"person, got none for embeddings of {state.contract.weights}: fit one "
            '(`lineament tune`), or ask for the review "standard"',
            option="review",
        )
    return found.value


def _disagrees(
    state: GalleryState, name: str, sample: NewSample, score: float, least: float
) -> Refusal:
    return Refusal(
        sample.source,
        "unlike the others",
        f"it is not enough like the other photos of {name} for a strict review (similarity "
        f"{score:.3f} at most{probability_in_words(state, score)}, threshold {least:.3f}): use "
        "another photo",
        name,
        similarity=score,
        probability=_probability(state, score),
    )


def _note(state: GalleryState, name: str, sample: NewSample, found: Agreement, k: int) -> list[str]:
    score = float(found.similarity[k])
    if not np.isfinite(score):
        return []
    least = same_threshold(state.calibration, state.contract)
    alike = f"similarity {score:.3f} at most{probability_in_words(state, score)}"
    if found.not_judged[k]:
        return [
            f"{sample.source}: unlike the other photos of {name} ({alike}), but it shows too "
            "little of a face to be refused for that: look at it"
        ]
    if least is not None and score < least.value:
        return [f"{sample.source}: little like the other photos of {name} ({alike}): look at it"]
    return []


def no_copies(vectors: FloatArray) -> BoolArray:
    """(N,) bool: False for photos that are nearly the same as an earlier one."""
    near = np.triu(vectors @ vectors.T, 1) >= DUPLICATE
    return np.asarray(~near.any(axis=0))

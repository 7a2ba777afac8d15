"""What is let into a gallery, and what is refused, and why."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from types import MappingProxyType
from typing import Any

import numpy as np

from lineament import images
from lineament.decide.calibration import DEFAULT_FPIR
from lineament.errors import OptionError
from lineament.finder import FEW, Source
from lineament.gallery import _editing as editing
from lineament.gallery import _once as repeats
from lineament.gallery import lookup
from lineament.gallery._lookalike import Lookalikes
from lineament.gallery._ranking import rank_people
from lineament.gallery._rejections import rejected_by
from lineament.gallery._schema import log_change
from lineament.gallery._state import GalleryState
from lineament.gallery._store import Store
from lineament.gallery._terms import add_consent, check_enrolled
from lineament.gallery._thresholds import same_threshold, search_threshold
from lineament.gallery._types import (
    EnrollReport,
    NewSample,
    Refusal,
    SampleInfo,
    Settings,
)
from lineament.gallery._unlike import DUPLICATE, compared
from lineament.gallery.consent import Consent
from lineament.gallery.review import Rules
from lineament.gallery.values import check_new, checked_metadata, checked_name, checked_source
from lineament.images import describe_source, path_of
from lineament.pipeline import Recognizer
from lineament.quality import NOT_DETECTED, QualityProblem, quality_of
from lineament.types import BoolArray, FloatArray, Photo

Examined = NewSample | Refusal

Note = Callable[[Sequence[str | None], Connection, Sequence[int]], None]
"""Writes down what was added, in the transaction that adds it."""

MOST_LOOKALIKES = 128
"""Other people whom a photo may look like; more are looked at only with a threshold that is no
good."""

Stream = Callable[[Iterable[Source]], Iterator[Photo]]
"""``Recognizer.stream_chosen`` with ``digest``, or what does the same elsewhere: each photo with
the one face that it is of, in the sources' order."""


# --- photos ----------------------------------------------------------------------------------


def examine(
    recognizer: Recognizer,
    photos: Iterable[Source],
    *,
    rules: Rules,
    metadata: Mapping[str, Any],
    stream: Stream | None = None,
) -> Iterator[Examined]:
    """Check photos one by one: readable, one face, good enough; see ``Gallery.examine``."""
    checked_metadata(metadata)
    names: deque[str] = deque()

    def named() -> Iterator[Source]:
        for photo in photos:
            names.append(source_name(photo))
            yield photo

    few = isinstance(photos, (list, tuple)) and len(photos) <= FEW
    sources: Iterable[Source] = list(named()) if few else named()
    if stream is None:
        stream = partial(recognizer.stream_chosen, digest=True)
    # Of the faces of a photo at most one is enrolled: only that one is embedded.
    for photo in stream(sources):
        yield _judged(recognizer, photo, names.popleft(), rules, metadata)


def source_name(photo: Source) -> str:
    """The absolute path where there is one, so that ``migrate`` finds it; else a short name."""
    if isinstance(photo, Photo):
        is_file = os.path.isfile(photo.source)  # noqa: PTH113
        return str(Path(photo.source).absolute()) if is_file else photo.source
    path = path_of(photo) if isinstance(photo, (str, os.PathLike)) else None
    return images.source_name(photo) if path is None else str(Path(path).absolute())


def _judged(
    recognizer: Recognizer,
    photo: Photo,
    name: str,
    rules: Rules,
    metadata: Mapping[str, Any],
) -> Examined:
    if photo.error is not None:
        reason = str(photo.error).removeprefix(f"{describe_source(photo.source)}: ")
        return Refusal(name, "unreadable", reason, error=photo.error)
    if not photo.faces:
        return Refusal(
            name,
            "no face",
            "no face was found: use a photo in which the face is larger or better lit",
            error=photo.problem,
        )
    if len(photo.faces) > 1 and (rules.single or photo.face is None):
        return Refusal(
            name,
            "several faces",
            f"expected one face, found {len(photo.faces)}: cut the photo"
            + ("" if rules.strict else ", or let the largest or most central face be chosen"),
        )
    face, crop, embedding = photo.face, photo.crop, photo.embedding
    assert face is not None
    assert embedding is not None
    quality = quality_of(face, crop, embedding, photo.size_wh)
    problems = rules.problems(recognizer, quality, crop)
    if rules.strict and face.boxed == "box":
        problems = (*problems, QualityProblem("not_detected", NOT_DETECTED))
    if problems:
        return low_quality(name, problems)
    return NewSample(embedding, name, photo.sha256, face, quality, crop, metadata)


def low_quality(
    name: str, problems: Sequence[QualityProblem], person: str | None = None
) -> Refusal:
    """The refusal of a photo whose face has these problems."""
    words = "; ".join(one.message for one in problems)
    codes = tuple(one.code for one in problems)
    return Refusal(name, "low quality", words, person, problems=codes)


# --- samples --------------------------------------------------------------------------------------


def enroll_examined(
    state: GalleryState,
    name: str,
    examined: Sequence[Examined],
    metadata: Mapping[str, Any] | None,
    consent: Consent | None = None,
    *,
    rules: Rules,
    once: bytes | None = None,
) -> EnrollReport:
    """Enroll what ``examine`` let pass, for one person; arguments as ``Gallery.enroll``."""
    checked = checked_name(name)
    with state.index.mutex:  # nobody comes between looking for the token and noting it
        if once is not None:
            made = repeats.made_before(state.store, once, len(examined))
            if made is not None:
                return _enrolled_before(state.store, checked, examined, made)
        return _enroll_examined(state, checked, examined, metadata, consent, rules, once)


def _enrolled_before(
    store: Store, name: str, examined: Sequence[Examined], made: repeats.Made
) -> EnrollReport:
    """The report of a request that was done before, of what is there now."""
    samples = repeats.samples_again(store, made)
    owner = lookup.owners_of(store, [samples[0].id])[samples[0].id]
    person = lookup.one_person(store, owner)
    return EnrollReport(
        person=person,
        created=made.created,
        enrolled=tuple(samples),
        refused=tuple(
            repeats.refusal_again(reason, one, person.name)
            for one, reason in zip(examined, made.reasons, strict=True)
            if reason is not None
        ),
        repeated=True,
    )


def _enroll_examined(
    state: GalleryState,
    checked: str,
    examined: Sequence[Examined],
    metadata: Mapping[str, Any] | None,
    consent: Consent | None,
    rules: Rules,
    once: bytes | None,
) -> EnrollReport:
    store = state.store
    wanted = lookup.as_enrolled(store, checked)
    new = [(wanted, one) for one in examined if isinstance(one, NewSample)]
    before = lookup.find_person(store, wanted)

    def noted(refusals: Sequence[str | None], connection: Connection, ids: Sequence[int]) -> None:
        rest = iter(refusals)
        reasons = [next(rest) if isinstance(one, NewSample) else one.reason for one in examined]
        assert once is not None
        made = repeats.Made(before is None, ids[0], ids[-1], tuple(reasons))
        repeats.note(store, connection, once, made)

    outcome, notes = admit(
        state,
        new,
        {} if metadata is None else {wanted: metadata},
        {} if consent is None else {wanted: consent},
        rules=rules,
        note=None if once is None else noted,
    )
    notes = [*notes, *(note for _, sample in new if (note := _of_box(sample)))]
    if wanted != checked:
        notes = [*notes, f"the gallery has this name as {wanted!r}, and so it stays"]
    rest = iter(outcome)
    all_ = [next(rest) if isinstance(one, NewSample) else _meant(one, wanted) for one in examined]
    there = lookup.find_person(store, wanted)
    return EnrollReport(
        person=None if there is None else lookup.one_person(store, there),
        created=before is None and there is not None,
        enrolled=tuple(one for one in all_ if isinstance(one, SampleInfo)),
        refused=tuple(one for one in all_ if isinstance(one, Refusal)),
        notes=tuple(notes),
    )


def _of_box(sample: NewSample) -> str:
    """What should be known of a face whose box was drawn; "" where there is nothing."""
    boxed = None if sample.face is None else sample.face.boxed
    if boxed == "box":
        return f"{sample.source}: {NOT_DETECTED}"
    if boxed == "weak" and sample.face is not None:
        return (
            f"{sample.source}: the detector is not sure of a face in the box (score "
            f"{sample.face.score:.2f}): look at it"
        )
    return ""


def _meant(refusal: Refusal, name: str) -> Refusal:
    return replace(refusal, person=name)


def admit(
    state: GalleryState,
    samples: Sequence[tuple[str, NewSample]],
    metadata: Mapping[str, Mapping[str, Any]],
    consents: Mapping[str, Consent] = MappingProxyType({}),
    *,
    rules: Rules,
    note: Note | None = None,
) -> tuple[list[SampleInfo | Refusal], list[str]]:
    """Add samples of people, by name, in one transaction; arguments as ``enroll_samples``.

    Args:
        state, samples, metadata, consents, rules: as there.
        note: called in that transaction, with why each one given was refused, or None, the
            transaction's connection, and the numbers of the samples that were added.

    Returns:
        What became of each sample, and what could not be checked, in words.
    """
    store, index = state.store, state.index
    spelled = lookup.one_spelling(store, [*(name for name, _ in samples), *metadata, *consents])
    named = [(spelled[name], sample) for name, sample in samples]
    given: dict[str, dict[str, Any]] = {}
    for name, values in metadata.items():
        given.setdefault(spelled[name], {}).update(values)
    for values in given.values():
        checked_metadata(values)
    allowed = {spelled[name]: consent for name, consent in consents.items()}
    check_consents(state, dict.fromkeys(name for name, _ in named), allowed)
    for _, sample in named:
        if sample.embedding.contract != store.contract:  # 40 us quicker than to ask what differs
            store.contract.check(sample.embedding.contract)
        checked_metadata(sample.metadata)
        checked_source(sample.source)
        check_new(sample.embedding.norm, sample.face, sample.quality, sample.crop)
    if not named:
        return [], []
    with index.mutex:
        index.sync()
        n_gone = len(lookup.expired(store))  # one of whom may make room for another of that name
        refusals: list[Refusal | None] = [None] * len(named)
        notes: list[str] = []
        if rules.compared:
            refusals, notes = _refusals(state, named, strict=rules.strict)
        kept = [i for i, refusal in enumerate(refusals) if refusal is None]
        reasons = [None if one is None else one.reason for one in refusals]
        noting = None if note is None else partial(note, reasons)
        ids = _add(state, [named[i] for i in kept], given, allowed, noting) if kept else []
        if kept and (given or allowed or n_gone):
            index.finish_erasing()
        infos = dict(zip(kept, lookup.samples_of(store, ids), strict=True))
    outcome = [infos[i] if one is None else one for i, one in enumerate(refusals)]
    return outcome, notes


def admit_once(
    state: GalleryState,
    samples: Sequence[tuple[str, NewSample]],
    metadata: Mapping[str, Mapping[str, Any]],
    consents: Mapping[str, Consent],
    *,
    rules: Rules,
    once: bytes,
) -> tuple[list[SampleInfo | Refusal], list[str]]:
    """``admit``, unless it was done before under that token: then what became of them."""
    store = state.store

    def note(refusals: Sequence[str | None], connection: Connection, ids: Sequence[int]) -> None:
        made = repeats.Made(False, ids[0], ids[-1], tuple(refusals))
        repeats.note(store, connection, once, made)

    with state.index.mutex:
        made = repeats.made_before(store, once, len(samples))
        if made is None:
            return admit(state, samples, metadata, consents, rules=rules, note=note)
        added = iter(repeats.samples_again(store, made))
        return [
            next(added) if reason is None else repeats.refusal_again(reason, sample, name)
            for (name, sample), reason in zip(samples, made.reasons, strict=True)
        ], []


def check_consents(
    state: GalleryState, names: Iterable[str], consents: Mapping[str, Consent]
) -> None:
    """ConsentError: one of those who are to be enrolled has none, or none for the purpose."""
    store = state.store
    if not consents and not store.settings.require_consent and store.settings.purpose is None:
        return
    for name in names:
        number = lookup.find_person(store, name)
        known = None if number is None else lookup.one_person(store, number)
        check_enrolled(store.settings, name, known, consents.get(name))


def _add(
    state: GalleryState,
    samples: Sequence[tuple[str, NewSample]],
    metadata: Mapping[str, Mapping[str, Any]],
    consents: Mapping[str, Consent],
    noting: Callable[[Connection, list[int]], None] | None = None,
) -> list[int]:
    store, index = state.store, state.index
    index.expect()
    with store.writing() as connection:
        people: dict[str, int] = {}
        ids = []
        for name, sample in samples:
            if name not in people:
                found = lookup.find_person(store, name)
                if found is None:
                    text = checked_metadata(
                        {k: v for k, v in metadata.get(name, {}).items() if v is not None}
                    )
                    found = editing.add_person(store, connection, name, text)
                elif metadata.get(name):
                    editing.annotate(store, name, metadata[name])
                if name in consents:
                    add_consent(store, connection, found, consents[name])
                people[name] = found
            ids.append(
                editing.add_sample(store, connection, people[name], store.contract_id, sample)
            )
        change = log_change(connection, "added", ids[0], ids[-1])
        if noting is not None:
            noting(connection, ids)
    # Durable from here on.
    index.added(change, ids, np.stack([sample.embedding.vector for _, sample in samples]))
    return ids


def _refusals(
    state: GalleryState,
    named: Sequence[tuple[str, NewSample]],
    *,
    strict: bool,
) -> tuple[list[Refusal | None], list[str]]:
    """For each sample why it is refused, or None. Accepted ones before it count as enrolled."""
    store = state.store
    threshold = _threshold(state, named)
    vectors = np.stack([sample.embedding.vector for _, sample in named])
    people = {name: lookup.find_person(store, name) for name in {name for name, _ in named}}
    own = lookup.vectors_of(store, [number for number in people.values() if number is not None])
    alike = Lookalikes(state, named, vectors, own, threshold)
    near = _others(state, named, vectors, people, threshold)
    foreign = np.zeros(len(named), np.bool_)
    for i, row in near.items():
        foreign[i] = any(alike.own_similarity(i, whom, score) is None for score, whom in row)
    rejected = _rejected(state, named, vectors, people)
    unlike, notes = compared(state, named, vectors, own, people, foreign, strict=strict)
    if threshold is None:
        notes.insert(
            0,
            "not checked whether the faces look like somebody else who is enrolled: there is no "
            "calibration for these embeddings (`lineament tune` fits one)",
        )
    seen = _photos(store, named, people)
    refusals: list[Refusal | None] = []
    accepted = np.zeros(len(named), np.bool_)
    numbers = {name: i for i, name in enumerate(people)}
    whose = np.array([numbers[name] for name, _ in named])
    for i, (name, sample) in enumerate(named):
        same = accepted[:i] & (whose[:i] == whose[i])
        others = accepted[:i] & (whose[:i] != whose[i])
        scores = vectors[:i] @ vectors[i]
        number = people[name]
        nearest = float(scores[same].max()) if same.any() else -1.0
        if number is not None and number in own:
            nearest = max(nearest, float((own[number][1] @ vectors[i]).max()))
        strangers = list(near.get(i, ()))
        if threshold is not None:
            strangers += _best_of_each(named, scores, others & (scores >= threshold))
        judged = [(score, whom, alike.own_similarity(i, whom, score)) for score, whom in strangers]
        other = max(((score, whom) for score, whom, mine in judged if mine is None), default=None)
        refusal = None
        if sample.sha256 is not None and (name, sample.sha256) in seen:
            refusal = Refusal(
                sample.source,
                "duplicate",
                f"this photo of {name} is enrolled already: use another one",
                name,
                similarity=nearest if nearest >= DUPLICATE else None,
            )
        elif nearest >= DUPLICATE:
            refusal = Refusal(
                sample.source,
                "duplicate",
                f"nearly the same photo of {name} is enrolled already (similarity "
                f"{nearest:.3f}): use another one",
                name,
                similarity=nearest,
            )
        elif rejected[i] is not None:
            refusal = rejected[i]
        elif other is not None and threshold is not None:
            refusal = Refusal(
                sample.source,
                "someone else",
                f"looks like {other[1]}, who is enrolled already (similarity {other[0]:.3f}, "
                f"threshold {threshold:.3f}): is it the same person, enroll it under that name; if "
                "it is not, enroll it by force",
                name,
                other[1],
                other[0],
            )
        else:
            refusal = unlike[i]
        if refusal is None:
            accepted[i] = True
            if sample.sha256 is not None:
                seen.add((name, sample.sha256))
            notes += [
                f"{sample.source}: looks like {whom}, too (similarity {score:.3f}), but clearly "
                f"more like the other photos of {name} ({mine:.3f}): enrolled"
                for score, whom, mine in judged
                if mine is not None
            ]
        refusals.append(refusal)
    return refusals, notes


def _rejected(
    state: GalleryState,
    named: Sequence[tuple[str, NewSample]],
    vectors: FloatArray,
    people: Mapping[str, int | None],
) -> list[Refusal | None]:
    """For each sample whether somebody said of such a face that it is not that person's."""
    numbers = [people[name] for name, _ in named]
    said = rejected_by(state.store, vectors, [[] if n is None else [n] for n in numbers])
    found: list[Refusal | None] = []
    for (name, sample), number, against in zip(named, numbers, said, strict=True):
        if number is None or number not in against:
            found.append(None)
            continue
        example, score = against[number]
        words = (
            f"it is like a face that was said not to be {name}'s (negative example {example}, "
            f"similarity {score:.3f}), and no more like {name}'s photos: if it shows {name} all "
            "the same, remove that example, or enroll it by force"
        )
        found.append(Refusal(sample.source, "rejected", words, name, similarity=score))
    return found


def _others(
    state: GalleryState,
    named: Sequence[tuple[str, NewSample]],
    vectors: FloatArray,
    people: Mapping[str, int | None],
    threshold: float | None,
) -> dict[int, list[tuple[float, str]]]:
    """Place of a sample -> the other enrolled people whom it reaches the threshold with."""
    if threshold is None:
        return {}
    found: dict[int, list[tuple[float, int]]] = {}
    asked, n = np.arange(len(named)), 2
    while len(asked) and n <= MOST_LOOKALIKES:
        ranked = rank_people(state, vectors[asked], n, settings=Settings())
        said = rejected_by(
            state.store, vectors[asked], [[one.person for one in row] for row in ranked]
        )
        out = dict(zip(asked.tolist(), said, strict=True))
        again = []
        for i, row in zip(asked.tolist(), ranked, strict=True):
            found[i] = [
                (one.score, one.person)
                for one in row
                if one.score >= threshold
                and one.person != people[named[i][0]]
                and one.person not in out[i]
            ]
            if found[i] and len(row) == n and row[-1].score >= threshold:
                again.append(i)  # there may be more of them
        asked, n = np.array(again, np.int64), 4 * n
    numbers = {person for row in found.values() for _, person in row}
    names = {one.id: one.name for one in lookup.people_of(state.store, sorted(numbers))}
    return {i: [(score, names[person]) for score, person in row] for i, row in found.items() if row}


def _best_of_each(
    named: Sequence[tuple[str, NewSample]], scores: FloatArray, which: BoolArray
) -> list[tuple[float, str]]:
    """The highest score of each person among those samples."""
    best: dict[str, float] = {}
    for k in np.flatnonzero(which).tolist():
        name = named[k][0]
        best[name] = max(best.get(name, -1.0), float(scores[k]))
    return [(score, name) for name, score in best.items()]


def _photos(
    store: Store,
    named: Sequence[tuple[str, NewSample]],
    people: Mapping[str, int | None],
) -> set[tuple[str, bytes]]:
    """Which of these photos are enrolled for these people already."""
    found = set()
    with store.reading() as connection:
        for name, sample in named:
            if sample.sha256 is None or people[name] is None:
                continue
            row = connection.execute(
                "SELECT 1 FROM photographs WHERE photo_key = ? AND person = ?",
                (store.photo_key(sample.sha256), people[name]),
            ).fetchone()
            if row is not None:
                found.add((name, sample.sha256))
    return found


def _threshold(state: GalleryState, named: Sequence[tuple[str, NewSample]]) -> float | None:
    """From which similarity on a face looks like somebody else; None when that cannot be told.

    The stricter one of the verification threshold and that of a search in this gallery: with the
    first alone, one in ten new people would look like somebody among a thousand.
    """
    store, calibration = state.store, state.calibration
    n_people, n_samples = lookup.totals(store)
    people = n_people + len({name for name, _ in named})
    if store.settings.threshold is not None:
        return store.settings.threshold
    same = same_threshold(calibration, store.contract)
    try:
        many = search_threshold(
            calibration,
            store.contract,
            store.settings,
            n_people=people,
            references=max(1.0, n_samples / people),
            fpir=DEFAULT_FPIR,
        ).value
    except OptionError:
        return None if same is None else same.value
    return many if same is None else max(many, same.value)

"""Is this the person that it is said to be? One face against all samples of one person.

The person's sample that is most alike decides. A stranger is more like the best of k samples than
like one of them, so the false match rate is divided by k^g, where g is what the calibration
measured (``Identification.reference_exponent``), or 1 without one, which is the strictest it can
be. The probability takes the same factor off the likelihood ratio.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lineament.decide.comparison import compare
from lineament.decide.judge import CALIBRATED_METRIC, Judge, sides
from lineament.decide.thresholds import DEFAULT_FMR, own_threshold, refuse_both
from lineament.errors import (
    ConsentError,
    GalleryDamagedError,
    GalleryError,
    LineamentError,
    OptionError,
)
from lineament.gallery import lookup
from lineament.gallery._portraits import kept_crop
from lineament.gallery._rejections import rejected_by
from lineament.gallery._state import GalleryState
from lineament.gallery._store import Store
from lineament.gallery._thresholds import checked_share, same_threshold
from lineament.gallery._types import PersonInfo
from lineament.gallery.consent import checked_purpose
from lineament.liveness.passive import LivenessMode
from lineament.types import Certainty, Decision, Photo, Threshold

if TYPE_CHECKING:
    from lineament.finder import Source


def verify_person(
    state: GalleryState,
    name: str,
    sources: Iterable[Source],
    *,
    fmr: float | None,
    threshold: float | Threshold | None,
    liveness: LivenessMode = "off",
    purpose: str | None = None,
) -> Iterator[Decision | LineamentError]:
    """Compare the face that each photo is of with a person; see ``Gallery.verify``."""
    person = lookup.person(state.store, name)
    contract = state.store.contract.id
    lookup.check_person(state.store, person.id)
    if purpose is not None:
        check_purpose(state.store, person, purpose)
    samples, embeddings = [], []
    for sample in person.samples:
        if sample.contract == contract:
            with suppress(GalleryDamagedError):  # it is noted
                embeddings.append(lookup.embedding(state.store, sample.id))
                samples.append(sample)
    if not samples:
        raise GalleryError(f"{person.name!r} has no photo to compare with", hint="{enroll}")
    limit = person_threshold(state, len(samples), fmr=fmr, threshold=threshold)
    vectors = np.stack([embedding.vector for embedding in embeddings])
    recognizer = state.recognizer
    own = recognizer.judge
    judge = Judge(state.calibration, recognizer.prior, own.limits, own.ages)
    for photo in recognizer.stream_chosen(sources, liveness=liveness):
        if photo.problem is not None:
            yield photo.problem
            continue
        assert photo.embedding is not None
        at = int(np.argmax(vectors @ photo.embedding.vector))
        sample = samples[at]
        reference = Photo(sample.source or f"sample {sample.id}", None)
        known = {
            **sides(photo, reference),
            "faces": (photo.face, lookup.seen(state.store, sample.id).face),
            "others": (len(photo.faces) - 1, 0),
        }
        known["qualities"] = (known["qualities"][0], sample.quality)
        decision = compare(photo.embedding, embeddings[at], limit, **known)
        assessed = judge.assess(
            decision,
            _certainty(state, judge, decision, len(samples)),
            crops=(photo.crop, kept_crop(state, sample.id) if decision.same else None),
        )
        (against,) = rejected_by(state.store, photo.embedding.vector[None], [[person.id]])
        if assessed.same and person.id in against:
            number, score = against[person.id]
            words = (
                f"the face is no less like one that was said not to be {person.name}'s (negative "
                f"example {number}, similarity {score:.3f})"
            )
            assessed = replace(assessed, reasons=(words, *assessed.reasons))
        yield assessed


def check_purpose(store: Store, person: PersonInfo, purpose: str) -> None:
    """ConsentError: the person did not consent to a purpose, so nothing is compared."""
    checked_purpose(purpose, "purpose")
    with store.reading():
        if person.id in lookup.consenting(store, purpose, person.id):
            return
    raise ConsentError(
        f"{person.name!r} did not consent to {purpose!r}: nothing was compared",
        option="purpose",
        hint="name a purpose that each of the person's consents names",
    )


def _certainty(
    state: GalleryState, judge: Judge, decision: Decision, references: int
) -> Certainty | None:
    """What the calibration says of the best of so many samples."""
    if judge.calibration is None:
        return None
    found = judge.certainty(decision)
    if references == 1:
        return found
    less = _exponent(state) * math.log(references)
    odds = math.log(found.prior) - math.log1p(-found.prior) - less
    prior = 1 / (1 + math.exp(-odds))
    condition = judge.condition(decision.quality_a, decision.quality_b)
    value, low, high = judge.calibration.probability(decision.similarity, prior, condition)
    return replace(found, probability=value, low=low, high=high, llr=found.llr - less)


def _exponent(state: GalleryState) -> float:
    calibration = state.calibration
    if calibration is None or calibration.identification is None:
        return 1.0
    return calibration.identification.reference_exponent


def person_threshold(
    state: GalleryState,
    references: int,
    *,
    fmr: float | None,
    threshold: float | Threshold | None,
) -> Threshold:
    """From which similarity on a face is one of a person with so many samples.

    Raises:
        OptionError: both are given, a value out of range, or no data support that rate.
    """
    refuse_both(fmr, threshold)
    if threshold is not None:
        if isinstance(threshold, Threshold):
            if threshold.metric != CALIBRATED_METRIC:
                raise OptionError(
                    f"expected a threshold for {CALIBRATED_METRIC}, got one for {threshold.metric}",
                    option="threshold",
                )
            return threshold
        if not -1 <= threshold <= 1:
            raise OptionError(f"expected a cosine of -1 to 1, got {threshold}", option="threshold")
        return own_threshold(threshold, CALIBRATED_METRIC)
    calibration = state.calibration
    if fmr is None:
        tuned = None if calibration is None else calibration.wanted_fmr
        fmr = DEFAULT_FMR if tuned is None else tuned
    checked_share(fmr, "fmr")
    if references == 1 and calibration is not None:
        return calibration.threshold(fmr).plain
    rate = fmr / references ** _exponent(state)
    found = same_threshold(calibration, state.store.contract, rate)
    if found is None:
        raise OptionError(
            f"no thresholds are known for {state.store.contract.id}",
            hint="{threshold}, or fit a calibration (`lineament tune`)",
        )
    if references == 1:
        return found
    return replace(found, fmr=fmr, data=f"{found.data}, for the best of {references} photos")

"""Open-set identification in the manner of BLUFR, on any folder with one folder per person.

Liao, Lei, Yi, Li, "A Benchmark Study of Large-scale Unconstrained Face Recognition", IJCB 2014.
There, in each of ten trials on LFW, 1,500 of the 5,749 people are set aside for training; of the
others, 1,000 with two photos or more are enrolled with one photo each, their other
photos are the genuine probes, and all photos of the people who are not enrolled the
impostor probes. Verification compares all photos of the trial with one another. Reported is
the mean over the trials less the standard deviation (with K - 1).

The lists of BLUFR itself are not read: the trials are drawn anew, from a seed, by the same rule.
Nothing is trained here; people are set aside all the same, so that the trials differ as BLUFR's do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lineament.datasets.people_folder import People
from lineament.datasets.source import Embedded, FaceSource
from lineament.decide.calibration import RULE_OF_30, supported
from lineament.errors import DataError, OptionError
from lineament.evaluate.identification import Searches, search
from lineament.evaluate.pair_counts import all_pairs
from lineament.evaluate.result import Part, Result, Scores, rate_text
from lineament.types import IntArray, Progress

TEST_SHARE = 4249 / 5749
"""Of the people: BLUFR sets 1,500 of LFW's aside for training."""

GALLERY = 1000
"""People enrolled in BLUFR's trials on LFW ..."""

GALLERY_SHARE = 0.84
"""... which is about this share of a trial's people with two photos or more (some 1,240)."""

FMRS = (1e-3,)
FPIRS = (1e-1, 1e-2, 3e-3)
TRIALS = 10


class Trial(NamedTuple):
    """Places of photos, each (.,) int64: those of a trial, and what each is there."""

    test: IntArray
    gallery: IntArray
    genuine: IntArray
    impostor: IntArray


def draw_trials(
    people: People, *, trials: int = TRIALS, gallery: int | None = None, seed: int = 0
) -> list[Trial]:
    """Draw the trials; the same seed draws the same ones.

    Args:
        people: from ``read_people``.
        trials: how many, at least 2: of one there is no deviation.
        gallery: how many people are enrolled; None: ``GALLERY``, at most ``GALLERY_SHARE`` of a
            trial's people with two photos or more.
        seed: of the random numbers.

    Raises:
        OptionError: ``trials`` or ``gallery`` make no sense.
        DataError: too few people, or too few with two photos.
    """
    if trials < 2:
        raise OptionError(f"expected at least 2, got {trials}", option="trials")
    if gallery is not None and gallery < 1:
        raise OptionError(f"expected at least 1 person, got {gallery}", option="gallery")
    rng = np.random.default_rng(seed)
    n = len(people.names)
    n_test = max(2, round(TEST_SHARE * n))
    several = people.counts >= 2
    drawn: list[Trial] = []
    for _ in range(trials):
        chosen = rng.permutation(n)[:n_test]
        able = chosen[several[chosen]]
        wanted = min(GALLERY, max(1, int(GALLERY_SHARE * len(able))))
        size = wanted if gallery is None else gallery
        if len(able) < size or n_test - size < 1:
            raise DataError(
                f"{people.folder}: expected at least {size} people with two photos and one "
                f"person more among the {n_test} of a trial, found {len(able)} with two of {n} "
                "people in all; add people, or ask for a smaller gallery"
            )
        enrolled = rng.permutation(able)[:size]
        entries = np.array([rng.choice(people.of(int(p))) for p in enrolled], np.int64)
        test = np.flatnonzero(np.isin(people.person, chosen))
        mine = np.isin(people.person[test], enrolled)
        drawn.append(Trial(test, entries, np.setdiff1d(test[mine], entries), test[~mine]))
    return drawn


def run_open_set(
    people: People,
    source: FaceSource,
    *,
    trials: int = TRIALS,
    gallery: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Result, Embedded]:
    """Embed all photos and run the trials.

    Args:
        people: from ``read_people``.
        source: what embeds them.
        trials: see ``draw_trials``, as the next two.
        gallery: how many people are enrolled.
        seed: of the random numbers.
        progress: called with (trials done, all trials).

    Raises:
        DataError, OptionError: as ``draw_trials``.
    """
    drawn = draw_trials(people, trials=trials, gallery=gallery, seed=seed)
    embedded = source.photos(people.paths)
    vectors, found, person = embedded.vectors, embedded.found, people.person
    searched: list[Searches] = []
    rows: list[dict[str, float]] = []
    n_impostor = n_pairs_without = 0
    for number, trial in enumerate(drawn):
        probes = np.concatenate([trial.genuine, trial.impostor])
        searches = search(
            vectors[probes],
            vectors[trial.gallery],
            person[probes],
            person[trial.gallery],
            probes_found=found[probes],
            gallery_found=found[trial.gallery],
        )
        counts = all_pairs(vectors[trial.test], person[trial.test], found=found[trial.test])
        n_impostor += counts.n_impostor
        n_pairs_without += counts.n_without_face
        row = {f"tar {rate_text(f)}": counts.tar_at_fmr(f) for f in FMRS}
        for fpir, share in zip(FPIRS, searches.dir_at_fpir(FPIRS), strict=True):
            row[f"dir {rate_text(fpir)}"] = float(share)
        for fpir in FPIRS:
            row[f"threshold {rate_text(fpir)}"] = searches.threshold_at_fpir(fpir)
        row["rank 1"] = searches.rank_k(1)
        rows.append(row)
        searched.append(searches)
        if progress is not None:
            progress(number + 1, len(drawn))
    mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    sd = {key: float(np.std([row[key] for row in rows], ddof=1)) for key in rows[0]}
    n_nonmated = sum(s.n_nonmated for s in searched)
    unsupported = [f for f in FPIRS if not supported(f, n_nonmated)]
    no_fmr = [f for f in FMRS if not supported(f, n_impostor)]
    about = {
        "n_gallery": round(float(np.mean([len(t.gallery) for t in drawn]))),
        "n_probes": round(float(np.mean([len(t.genuine) for t in drawn]))),
        "n_impostor_probes": round(float(np.mean([len(t.impostor) for t in drawn]))),
        "n_people": len(people.names),
        "n_pairs_without_face": n_pairs_without,
    }
    pool = Scores(
        np.concatenate([s.mate[s.mated] for s in searched]),
        np.concatenate([s.top[~s.mated] for s in searched]),
    )
    thresholds = {
        rate_text(f): None if f in unsupported else mean[f"threshold {rate_text(f)}"] for f in FPIRS
    }
    parts = (
        Part(
            "mean",
            "mean of the trials",
            _measures(mean, unsupported, no_fmr) | {"threshold_at_fpir": thresholds} | about,
            scores=pool,
            threshold=thresholds[rate_text(1e-2)],
        ),
        Part(
            "mean_less_deviation",
            "mean less deviation",
            _measures({key: mean[key] - sd[key] for key in mean}, unsupported, no_fmr),
        ),
    )
    notes = [
        f"{trials} random trials from seed {seed} in the manner of BLUFR, not its own lists; BLUFR "
        "reports the mean less the standard deviation",
    ]
    if unsupported or no_fmr:
        rates = [f"FPIR {rate_text(f)}" for f in unsupported]
        rates += [f"FMR {rate_text(f)}" for f in no_fmr]
        notes.append(
            f"{n_nonmated:,} searches for people not enrolled and {n_impostor:,} impostor pairs, "
            f"over all trials, cannot support {', '.join(rates)}: fewer than {RULE_OF_30} errors "
            "are expected (rule of 30)"
        )
    result = Result(
        protocol="open-set",
        title="open-set identification",
        data=str(people.folder),
        images=len(people.paths),
        faces_found=int(found.sum()),
        errors=len(embedded.unreadable),
        parts=parts,
        run={"trials": rows, "seed": seed},
        notes=tuple(notes),
    )
    return result, embedded


def _measures(
    values: Mapping[str, float], no_fpir: list[float], no_fmr: list[float]
) -> dict[str, Any]:
    return {
        "tar_at_fmr": {
            rate_text(f): None if f in no_fmr else values[f"tar {rate_text(f)}"] for f in FMRS
        },
        "rank": {"1": values["rank 1"]},
        "dir_at_fpir": {
            rate_text(f): None if f in no_fpir else values[f"dir {rate_text(f)}"] for f in FPIRS
        },
    }

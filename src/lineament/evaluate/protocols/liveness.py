"""How many attacks pass a liveness check, and how many living people do not: ISO/IEC 30107-3.

APCER, attack presentation classification error rate, is the share of attacks of one kind that are
taken for living people; the largest of all kinds is the set's. BPCER, bona fide presentation
classification error rate, is the share of living people who are not taken for such; those of whom
the check is unsure, or whose face is not found, are among them, and counted beside it. ACER is the
mean of the two.

Each frame is judged by itself, and runs of five of a presentation together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lineament.datasets.liveness import LIVE, LivenessSet, Presentation
from lineament.errors import LineamentError
from lineament.evaluate.metrics import auc, eer
from lineament.evaluate.result import Part, Result, Scores
from lineament.finder import FaceFinder
from lineament.liveness.passive import PassiveLiveness, View
from lineament.types import Liveness, Photo
from lineament.video.sources import open_source

FRAMES = 5
"""That are judged together."""

FILM_FRAMES = 10
"""Evenly spaced ones of a film that are looked at."""


@dataclass(frozen=True)
class Judged:
    """What was said of a presentation, or of a part of it.

    Attributes:
        kind, person: of the presentation.
        name: of its first photo, or of the film.
        check: what was said; None where no face was found.
    """

    kind: str
    person: str
    name: str
    check: Liveness | None

    @property
    def passes(self) -> bool:
        """Whether it is taken for a living person."""
        return self.check is not None and self.check.live

    @property
    def unsure(self) -> bool:
        """Whether neither is said of it."""
        return self.check is None or self.check.outcome == "unsure"


def error_rates(judged: Sequence[Judged]) -> dict[str, object]:
    """The measures of one part: APCER by kind and the largest, BPCER, ACER, counts.

    Args:
        judged: living people and attacks.

    Returns:
        Figures by name; a rate is None where there is nothing of its class.
    """
    kinds = sorted({each.kind for each in judged} - {LIVE})
    alive = [each for each in judged if each.kind == LIVE]
    by_kind = {kind: [each for each in judged if each.kind == kind] for kind in kinds}
    apcer = {kind: _share(each.passes for each in some) for kind, some in by_kind.items()}
    worst = max(apcer.values(), default=None)
    bpcer = None if not alive else _share(not each.passes for each in alive)
    attacks = [each for each in judged if each.kind != LIVE]
    return {
        "apcer": worst,
        "bpcer": bpcer,
        "acer": None if worst is None or bpcer is None else (worst + bpcer) / 2,
        "apcer_by_kind": apcer,
        "bpcer_unsure": None if not alive else _share(each.unsure for each in alive),
        "apcer_unsure": None if not attacks else _share(each.unsure for each in attacks),
        "n_live": len(alive),
        "n_attacks": len(attacks),
    }


def _share(flags: Iterable[bool]) -> float:
    return float(np.mean(list(flags)))


def run_liveness(
    data: LivenessSet,
    finder: FaceFinder,
    passive: PassiveLiveness,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Result, list[Judged], list[Judged]]:
    """Judge a data set, frame by frame and in runs of ``FRAMES``.

    Args:
        data: from ``read_liveness``.
        finder: finds the faces; the largest of a photo is judged.
        passive: judges them.
        progress: called with how many presentations are done, and how many there are.

    Returns:
        The result, and what was judged: frames, and runs of frames.
    """
    frames: list[Judged] = []
    runs: list[Judged] = []
    unreadable: list[LineamentError] = []
    found = 0
    for done, shown in enumerate(data.presentations):
        views: list[tuple[str, View | None]] = []
        try:
            for photo in _photos_of(shown, finder):
                if photo.error is not None:
                    unreadable.append(photo.error)
                    continue
                view = None if photo.face is None else passive.look(photo, photo.face)
                found += view is not None
                views.append((photo.source, view))
        except LineamentError as error:  # a film that cannot be read, or not to its end
            unreadable.append(error)
        frames += [_judged(shown, [one], passive) for one in views]
        whole = range(0, len(views) - FRAMES + 1, FRAMES)
        runs += [_judged(shown, views[at : at + FRAMES], passive) for at in whole]
        if progress is not None:
            progress(done + 1, len(data.presentations))
    parts = [_part("one_frame", "one frame", frames)]
    if runs:
        parts.append(_part("five_frames", f"{FRAMES} frames", runs))
    result = Result(
        protocol="liveness",
        title=f"Liveness, {data.layout}",
        data=str(data.folder),
        images=len(frames),
        faces_found=found,
        errors=len(unreadable),
        parts=tuple(parts),
        run={
            "layout": data.layout,
            "n_presentations": len(data.presentations),
            "unreadable": [str(error) for error in unreadable],
        },
        notes=_notes(frames, runs),
    )
    return result, frames, runs


def _photos_of(shown: Presentation, finder: FaceFinder) -> Iterator[Photo]:
    if not shown.is_film:
        yield from finder.stream([str(path) for path in shown.files], keep_pixels=True)
        return
    (path,) = shown.files
    with open_source(path) as source:
        count = source.info.n_frames
        step = 1 if count is None else max(1, count // FILM_FRAMES)
        taken = 0
        for frame in source:
            if frame.number % step == 0 and taken < FILM_FRAMES:
                taken += 1
                yield finder.find(Photo.from_pixels(frame.pixels, str(path)))
            elif taken >= FILM_FRAMES:
                break


def _judged(
    shown: Presentation, views: Sequence[tuple[str, View | None]], passive: PassiveLiveness
) -> Judged:
    seen = [view for _, view in views if view is not None]
    check = passive.conclude(seen) if seen else None
    return Judged(shown.kind, shown.person, views[0][0], check)


def _part(key: str, title: str, judged: Sequence[Judged]) -> Part:
    values = np.array([_score(each) for each in judged], np.float32)
    alive = np.array([each.kind == LIVE for each in judged], bool)
    measures = error_rates(judged)
    if alive.any() and not alive.all():
        measures |= {"auc": auc(values, alive), "eer": eer(values, alive)}
    return Part(key, title, measures, Scores.of(values, alive))


def _score(judged: Judged) -> float:
    check = judged.check
    return 0.0 if check is None or check.score is None else check.score


def _notes(frames: Sequence[Judged], runs: Sequence[Judged]) -> tuple[str, ...]:
    notes = []
    if not runs:
        notes.append(f"no presentation has {FRAMES} frames: nothing is said of several together")
    missed = sum(each.check is None for each in frames)
    if missed:
        notes.append(f"{missed} of {len(frames)} frames have no face: none of them passes")
    return tuple(notes)

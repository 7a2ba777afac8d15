"""Whole sessions: people who do what they are asked for, and attacks, against an active session."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from lineament.liveness._challenges import Challenge, chosen
from lineament.liveness.active import ActiveOptions, ActiveSession, Checker
from lineament.types import Liveness

from . import acting, scene
from .bodies import Act, Person

RATE = 6.0
"""Frames a second."""

OPTIONS = ActiveOptions(limit_s=4.0)

LONGEST_S = 90.0

View = Callable[[Person, Act], scene.Surface]


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame, as ``lineament.video`` has them."""

    number: int
    time_s: float
    pixels: np.ndarray


def as_head(person: Person, act: Act) -> scene.Surface:
    """A living head."""
    return person.head(act)


def as_sheet(bend: acting.Bend) -> View:
    """A photo on paper."""
    return lambda person, act: person.sheet(act, bend)


def as_puppet(bend: acting.Bend) -> View:
    """A flat face whose lids and jaw move."""
    return lambda person, act: person.puppet(act, bend)


def film(
    session: ActiveSession,
    shown: Callable[[ActiveSession], tuple[Person, View]],
    actor: acting.Living | acting.Paper,
    rng: np.random.Generator,
) -> Iterator[Frame]:
    """Frames of somebody who hears the session's prompts; whoever takes one feeds it."""
    for number in range(int(LONGEST_S * RATE)):
        time_s = (number + 1) / RATE
        person, view = shown(session)
        act = actor.act(time_s, session.state().challenge)
        picture = scene.seen(view(person, act), person.background)
        yield Frame(number, time_s, scene.photographed(picture, rng))


def ended(session: ActiveSession, frames: Iterator[Frame]) -> tuple[Liveness, list[Frame]]:
    """Feed a session to its end: its result, and the frames that it took."""
    taken = []
    for frame in frames:
        taken.append(frame)
        if session.feed(frame).done:
            break
    return session.finish(), taken


def new_session(checker: Checker, seed: int) -> ActiveSession:
    """A session whose chance can be repeated."""
    return ActiveSession(checker, options=OPTIONS, rng=random.Random(seed))


def challenges_of(seed: int) -> tuple[Challenge, ...]:
    """What ``new_session`` asks for."""
    return chosen(OPTIONS.n_challenges, random.Random(seed))


def living(checker: Checker, person: Person, seed: int) -> tuple[Liveness, list[Frame]]:
    """A person before the camera."""
    rng = np.random.default_rng(seed)
    session = new_session(checker, seed)
    return ended(session, film(session, lambda _: (person, as_head), acting.Living(rng), rng))


def swapped(checker: Checker, one: Person, other: Person, seed: int) -> Liveness:
    """Another person takes the place after some of the challenges."""
    rng = np.random.default_rng(seed)
    session = new_session(checker, seed)
    after = int(rng.integers(1, len(session.challenges) + 1))

    def shown(session: ActiveSession) -> tuple[Person, View]:
        return (one if session.state().step < after else other), as_head

    return ended(session, film(session, shown, acting.Living(rng), rng))[0]


def replayed(checker: Checker, person: Person, seed: int) -> Liveness:
    """A film of an earlier session, from its beginning, before a new one."""
    _, frames = living(checker, person, seed)
    return ended(new_session(checker, seed + 1_000_000), iter(frames))[0]


def shown_photo(
    checker: Checker,
    person: Person,
    seed: int,
    view: View,
    *,
    tilts: bool,
    moves: bool,
    bend: float,
    folds: bool = True,
) -> Liveness:
    """A photo before the camera."""
    rng = np.random.default_rng(seed)
    session = new_session(checker, seed)
    actor = acting.Paper(rng, tilts=tilts, moves=moves, bend=bend, folds=folds)
    return ended(session, film(session, lambda _: (person, view), actor, rng))[0]


def attack(checker: Checker, kind: str, people: list[Person], seed: int) -> Liveness:
    """One attempt of a kind of ``KINDS``."""
    rng = np.random.default_rng([seed, 7])
    one, other = (people[i] for i in rng.choice(len(people), 2, replace=False))
    if kind == "swapped":
        return swapped(checker, one, other, seed)
    if kind == "replayed":
        return replayed(checker, one, seed)
    how, _, way = kind.partition(": ")
    bends = acting.KNOWN_BENDS | acting.OTHER_BENDS
    bend = rng.choice([-1, 1]) * rng.uniform(0.15, 0.45)
    view = (as_puppet if how == "puppet" else as_sheet)(bends[way or "flat"])
    moves = how in ("moved", "tilted") or bool(rng.integers(2))
    tilts = how not in ("still", "moved")
    return shown_photo(
        checker, one, seed, view, tilts=tilts, moves=moves and how != "still", bend=bend
    )


def obedient(checker: Checker, kind: str, people: list[Person], seed: int) -> Liveness:
    """A flat face that does all that is asked for: lids and jaw move in it, and it is turned."""
    rng = np.random.default_rng([seed, 8])
    person = people[int(rng.integers(len(people)))]
    bend = rng.choice([-1, 1]) * rng.uniform(0.15, 0.45)
    view = as_puppet((acting.KNOWN_BENDS | acting.OTHER_BENDS)[kind])
    return shown_photo(checker, person, seed, view, tilts=True, moves=False, bend=bend, folds=False)


OBEDIENT = ("flat", "upright cylinder", "leaning cylinder", "dome")
"""How the flat faces are bent that do all that is asked for, in turns."""

_BENDS = ("lying cylinder", "leaning cylinder", "wave", "cone", "dome")

KINDS = {
    "still": 16,
    "moved": 20,
    "tilted": 28,
    "bent: upright cylinder": 16,
    **{f"bent: {way}": 10 for way in _BENDS},
    "puppet: flat": 8,
    "puppet: upright cylinder": 8,
    "puppet: leaning cylinder": 7,
    "puppet: dome": 7,
    "swapped": 20,
    "replayed": 20,
}
"""Attempts of each kind among 200."""

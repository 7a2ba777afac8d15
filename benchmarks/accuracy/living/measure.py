"""Attempts by the hundred: how many attacks pass the active check, and how many people do."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lineament import Recognizer
from lineament.align import load_landmarker
from lineament.align.blendshapes import BLENDSHAPES
from lineament.datasets.lfw import LFW, read_lfw
from lineament.liveness.active import CHALLENGES

from . import attempts
from .bodies import Person

SEED = 16
PEOPLE = 20
"""Whose photos are used."""

MOST_TURNED_DEG, MOST_MOVED = 10.0, 0.3
"""Photos are of people who look at the camera with open eyes and a shut mouth."""

_MOVED = [BLENDSHAPES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen")]

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]


def people_of(lfw: LFW, recognizer: Recognizer, *, view1: bool, count: int) -> list[Person]:
    """People whose photos are fit for it, those of View 1 or all others, drawn by chance."""
    mesh: Any = load_landmarker("mesh", runtime=recognizer.finder.runtime)
    known = set(lfw.person[np.unique(lfw.view1_pairs.indices)].tolist())
    found: list[Person] = []
    seen: set[int] = set()
    for i in np.random.default_rng(SEED).permutation(len(lfw.person)):
        person = int(lfw.person[i])
        if person in seen or (person in known) is not view1:
            continue
        photo = recognizer.finder.find(lfw.path(int(i)))
        if photo.index is None:
            continue
        read = mesh.read(photo.needed_pixels(), [photo.faces[photo.index]])
        pose = read.poses()[0]
        turned = max(abs(pose.yaw_deg), abs(pose.pitch_deg + 5))  # 0 looks down by five
        if turned > MOST_TURNED_DEG or read.blendshapes[0][_MOVED].max() > MOST_MOVED:
            continue
        seen.add(person)
        found.append(Person(photo.needed_pixels(), read.points_xyz[0]))
        if len(found) == count:
            break
    return found


def measure(
    folder: Path,
    *,
    n_attacks: int,
    n_living: int,
    track: Track,
    n_obedient: int = 0,
    view1: bool = False,
    part: tuple[int, int] = (0, 1),
) -> dict[str, Any]:
    """Run attempts.

    Args:
        folder: of LFW.
        n_attacks: how many attacks, in the shares of ``attempts.KINDS``.
        n_living: how many sessions of people.
        n_obedient: how many sessions of flat faces that do all that is asked for.
        view1: with the people of View 1, whom thresholds were chosen on, or with all others.
        part: (K, N): every N-th attempt from the K-th on, so that several processes can share them.
        track: shows progress.
    """
    recognizer = Recognizer()
    asked_for = n_attacks or n_living or n_obedient
    lfw = read_lfw(folder)
    people = people_of(lfw, recognizer, view1=view1, count=PEOPLE) if asked_for else []
    first, step = part
    planned = _planned(n_attacks)[first::step]
    passed: Counter[str] = Counter()
    outcomes: dict[str, Counter[str]] = {}
    for number, kind in track(planned, "attacks", len(planned)):
        result = attempts.attack(recognizer, kind, people, SEED * 10_000 + number)
        passed[kind] += result.live
        outcomes.setdefault(kind, Counter())[result.outcome] += 1
        _say(kind, number, result)
    lived, why = 0, Counter[str]()
    asked, done = Counter[str](), Counter[str]()
    numbers = range(n_living)[first::step]
    for number in track(numbers, "people", len(numbers)):
        person = people[number % len(people)]
        seed = SEED * 20_000 + number
        result, _ = attempts.living(recognizer, person, seed)
        lived += result.live
        challenges = attempts.challenges_of(seed)
        n_done = int(result.cues["done"])
        done.update(challenges[:n_done])
        asked.update(challenges[: n_done + 1])
        if not result.live:
            why[result.reasons[0]] += 1
        _say("living", number, result)
    fooled, deep, outcomes_of = 0, 0, Counter[str]()
    numbers_of = range(n_obedient)[first::step]
    for number in track(numbers_of, "flat faces", len(numbers_of)):
        kind = attempts.OBEDIENT[number % len(attempts.OBEDIENT)]
        result = attempts.obedient(recognizer, kind, people, SEED * 30_000 + number)
        fooled += result.live
        deep += "swing" in result.cues
        outcomes_of[result.outcome] += 1
        _say(f"obedient: {kind}", number, result)
    return {
        "attacks": len(planned),
        "attacks_passed": int(sum(passed.values())),
        "live_sessions": len(numbers),
        "live_passed": round(lived / len(numbers), 4) if len(numbers) else None,
        "live_by_challenge": {
            name: {"asked": asked[name], "done": done[name]} for name in CHALLENGES if asked[name]
        },
        "people": len(people),
        "by_kind": {
            kind: {"passed": passed[kind], **dict(sorted(outcomes[kind].items()))}
            for kind in attempts.KINDS
            if kind in outcomes
        },
        "live_failures": dict(why),
        "obedient": {
            "attempts": len(numbers_of),
            "passed": fooled,
            "depth_was_asked": deep,
            **dict(sorted(outcomes_of.items())),
        },
    }


def _planned(count: int) -> list[tuple[int, str]]:
    """Numbers and kinds of ``count`` attacks, in the shares of ``attempts.KINDS``, mixed."""
    all_kinds = [kind for kind, share in attempts.KINDS.items() for _ in range(share)]
    order = np.random.default_rng(SEED).permutation(len(all_kinds))
    return [(number, all_kinds[order[number % len(order)]]) for number in range(count)]


def _say(kind: str, number: int, result: Any) -> None:
    """A line on standard error, for whoever waits or looks for what went wrong."""
    cues = " ".join(f"{name} {value:.2f}" for name, value in result.cues.items())
    print(
        f"{kind} {number}: {result.outcome}; {cues} {result.reasons}", file=sys.stderr, flush=True
    )

"""Whose eyes are seen to shut, and of whose tilted photos that is said."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lineament import Recognizer
from lineament.datasets.lfw import read_lfw
from lineament.liveness._challenges import Change, Rest, Watch
from lineament.liveness._glasses import LEAST_SIGN, glasses_sign
from lineament.liveness._looks import Look, Looker

from . import acting, scene
from .attempts import RATE
from .bodies import Act, Person
from .measure import Track, people_of

SEED, GLASSES_SEED = 5, 4
N_REST, N_SHUT = 5, 3
"""Frames before, and with shut eyes."""

TILTS_DEG = (15, 30, 45, 0, -15, -30, -45, 0)
"""Of the sheet, one frame each, while shut eyes are waited for."""

BENDS = tuple((acting.KNOWN_BENDS | acting.OTHER_BENDS).values())


def measure_lids(folder: Path, *, count: int, view1: bool, track: Track) -> dict[str, Any]:
    """Let people shut their eyes, and tilt their photos.

    Args:
        folder: of LFW.
        count: how many people, of one photo each.
        view1: people of View 1, whom the limits were chosen on, or all others.
        track: shows progress.

    Returns:
        ``people``; ``seen``: whose eyes shut; ``dark_glasses``: who would be asked to take them off
        instead; ``sheets_seen``: whose photo was said to shut its eyes, in one bend each;
        ``least_fall``: of the lids' distance, of the people without dark glasses, the least of
        their greatest, a share; ``photos_fall``: the greatest of all photos.
    """
    recognizer = Recognizer()
    lfw = read_lfw(folder)
    people = people_of(lfw, recognizer, view1=view1, count=count) if count else []
    seen = hidden = fooled = 0
    falls, of_photos = [1.0], [0.0]
    for number, person in track(enumerate(people), "lids", len(people)):
        rng = np.random.default_rng([SEED, number])
        rest = [Act(yaw_deg=rng.normal(), pitch_deg=rng.normal()) for _ in range(N_REST)]
        shut = [replace(each, blink=1.0) for each in rest[:N_SHUT]]
        heads = [person.head(each) for each in (*rest, *shut, *rest[N_SHUT:])]
        done, covered, fall = _watched(recognizer, person, heads, rng)
        seen += done and not covered
        hidden += covered
        falls += [] if covered else [fall]
        bend = rng.choice([-1, 1]) * rng.uniform(0.15, 0.45)
        held = [Act(pitch_deg=tilt, bend=bend) for tilt in TILTS_DEG]
        way = BENDS[number % len(BENDS)]
        sheets = [person.sheet(each, way) for each in (*[Act()] * N_REST, *held)]
        passed, _, fall_of_photo = _watched(recognizer, person, sheets, rng)
        fooled += passed
        of_photos.append(fall_of_photo)
        if passed or covered or not done:
            said = f"shut {done} ({fall:.2f}), behind dark glasses {covered}, "
            said += f"photo {passed} ({fall_of_photo:.2f})"
            print(f"lids {number}: {said}", file=sys.stderr, flush=True)
    return {
        "people": len(people),
        "seen": seen,
        "dark_glasses": hidden,
        "sheets_seen": fooled,
        "least_fall": round(min(falls), 3),
        "photos_fall": round(max(of_photos), 3),
    }


def count_dark_glasses(folder: Path, *, count: int, view1: bool, track: Track) -> dict[str, Any]:
    """Count photos whose people would be asked to take off dark glasses.

    Their names go to standard error, to be looked at. Arguments are those of ``measure_lids``, but
    for ``count``: of photos.
    """
    recognizer, lfw = Recognizer(), read_lfw(folder)
    known = set(lfw.person[np.unique(lfw.view1_pairs.indices)].tolist())
    order = np.random.default_rng(GLASSES_SEED).permutation(len(lfw.person)).tolist()
    drawn = [i for i in order if (int(lfw.person[i]) in known) is view1][:count]
    n_found = n_dark = 0
    for i in track(drawn, "photos", len(drawn)):
        photo = recognizer.finder.find(lfw.path(i))
        if photo.index is None:
            continue
        n_found += 1
        sign = glasses_sign(recognizer.finder.crops(photo, [photo.index])[0])
        if sign >= LEAST_SIGN:
            n_dark += 1
            print(f"dark glasses {sign:.2f}: {lfw.path(i).name}", file=sys.stderr, flush=True)
    return {"photos": n_found, "dark_glasses": n_dark}


def _watched(
    recognizer: Recognizer, person: Person, film: list[scene.Surface], rng: np.random.Generator
) -> tuple[bool, bool, float]:
    """Whether eyes shut after the frames at rest, whether dark glasses hide them, and the greatest
    fall of the lids' distance.
    """
    looker, watch = Looker(recognizer.finder), Watch("blink")
    looks: list[Look] = []
    done = hidden = False
    fall = 0.0
    for number, surface in enumerate(film):
        pixels = scene.photographed(scene.seen(surface, person.background), rng)
        look = looker.look(pixels, number / RATE)
        if look is None:
            continue
        looks.append(look)
        if number == N_REST - 1:
            hidden = looker.eyes_covered(looker.photo(pixels, look))
        elif number >= N_REST:
            change = Change.between(Rest.of(looks[:N_REST]), look)
            fall = max(fall, change.shut)
            done = watch.done(change) or done
    return done, hidden, fall

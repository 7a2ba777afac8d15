"""Liveness: attacks that pass and living people who do not, by both checks.

    python benchmarks/liveness.py DIR [--lfw LFW] [--synthetic N] [--living N]
        [--attacks N] [--sessions N] [--json]

DIR is laid out as ``lineament eval liveness`` takes it (the NUAA sample). Nothing was trained on it
here; of what the bundled network was trained on nothing is known.

apcer, bpcer, acer  one frame, as ISO/IEC 30107-3 has them, of people who had no part in choosing:
               DIR's people are halved, by turns; the log odds from which on a face is live are
               chosen on one half, in whole numbers, as those with the least ACER (of several the
               middle one), and the other half is judged by them; mean of both ways. ``halves``
               has each. ``five_frames``: the same of five frames of one presentation together.
bundled        the same with the package's own limits, for all people; whom the check is unsure of
               does not pass. ``bpcer_unsure``: how many those are among the living.
bpcer_lfw      of photos of LFW's View 1, which show living people (``--living`` of them), those
               that are not "live"; ``attack_lfw``: those that are called attacks.
synthetic      photos of View 1 shown again on paper and screens (``accuracy/recapturing``), each
               kind of ``--synthetic`` people: ``apcer`` of each kind, ``bpcer`` of the same photos
               that only went through the camera once more.
attacks, attacks_passed, live_passed   the active check: ``accuracy/active.py``; with
               ``--attacks`` and ``--sessions``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lineament import FaceFinder
from lineament.datasets.lfw import LFW, read_lfw
from lineament.datasets.liveness import LIVE, read_liveness
from lineament.evaluate.protocols.lfw import images_of
from lineament.evaluate.protocols.liveness import Judged, run_liveness
from lineament.liveness.passive import PassiveLiveness, load_passive
from lineament.types import Liveness

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "accuracy"))
from living.measure import measure as measure_active
from recapturing.kinds import KINDS, live, recaptured

from _harness import Parser, at_least, report, table, track

RATES = ("apcer", "bpcer", "acer")
SEED = 16
CANDIDATES = range(-4, 9)
"""Log odds from which on a face may be live."""


# --- people who had no part in choosing -----------------------------------------------------------


def passes(check: Liveness | None, live_from: float) -> bool:
    """Whether a check would pass with that limit; vetoes and unfit photos do not."""
    if check is None or check.score is None or not check.cues:
        return False
    return log_odds_of(check) >= live_from and check.score > 0


def log_odds_of(check: Liveness) -> float:
    assert check.score is not None
    share = min(max(check.score, 1e-12), 1 - 1e-12)
    return float(np.log(share / (1 - share)))


def rates(judged: Sequence[Judged], live_from: float) -> dict[str, float]:
    alive = [passes(each.check, live_from) for each in judged if each.kind == LIVE]
    kinds = {each.kind for each in judged} - {LIVE}
    passed = [
        np.mean([passes(each.check, live_from) for each in judged if each.kind == kind])
        for kind in kinds
    ]
    apcer, bpcer = float(max(passed)), 1 - float(np.mean(alive))
    return {"apcer": apcer, "bpcer": bpcer, "acer": (apcer + bpcer) / 2}


def in_halves(judged: Sequence[Judged]) -> dict[str, Any]:
    people = sorted({each.person for each in judged})
    parts = [set(people[0::2]), set(people[1::2])]
    halves = []
    for own, other in (parts, parts[::-1]):
        chosen_on = [each for each in judged if each.person in own]
        acer = {limit: rates(chosen_on, limit)["acer"] for limit in CANDIDATES}
        best = [limit for limit in CANDIDATES if acer[limit] <= min(acer.values()) + 1e-9]
        limit = best[len(best) // 2]
        judged_by = [each for each in judged if each.person in other]
        halves.append({"live_from": limit, "people": len(other), **rates(judged_by, limit)})
    return {
        **{key: float(np.mean([half[key] for half in halves])) for key in RATES},
        "halves": halves,
    }


# --- living material, and attacks made by computing -----------------------------------------------


def of_lfw(lfw: LFW, finder: FaceFinder, passive: PassiveLiveness, options: Any) -> dict[str, Any]:
    rows = images_of(lfw, ("1",))
    drawn = np.random.default_rng(SEED).permutation(rows)
    outcomes: list[str] = []
    faces = []
    for row in track(drawn[: options.living], "living", options.living):
        photo = finder.find(lfw.path(int(row)))
        check = None if photo.face is None else passive.check(photo, photo.face)
        outcomes.append("none" if check is None else check.outcome)
        if photo.face is not None:
            faces.append((photo.needed_pixels(), photo.face.box_xyxy))
    passed: dict[str, list[bool]] = {kind: [] for kind in (*KINDS, LIVE)}
    shown = faces[: options.synthetic]
    for seed, (pixels, box) in enumerate(track(shown, "synthetic", len(shown))):
        for kind, flags in passed.items():
            again = live(pixels, box, seed) if kind == LIVE else recaptured(pixels, box, kind, seed)
            photo = finder.find(again)
            flags.append(photo.face is not None and passive.check(photo, photo.face).live)
    return {
        "n_lfw": len(outcomes),
        "bpcer_lfw": float(np.mean([each != "live" for each in outcomes])),
        "attack_lfw": float(np.mean([each == "attack" for each in outcomes])),
        "synthetic": None
        if not shown
        else {
            "people": len(shown),
            "apcer": {kind.replace(" ", "_"): float(np.mean(passed[kind])) for kind in KINDS},
            "bpcer": 1 - float(np.mean(passed[LIVE])),
        },
    }


def run(options: Any) -> dict[str, Any]:
    finder, passive = FaceFinder(), load_passive()
    result, frames, runs = run_liveness(read_liveness(options.folder), finder, passive)
    figures: dict[str, Any] = in_halves(frames)
    if runs:
        figures["five_frames"] = in_halves(runs)
    figures["bundled"] = {part.key: dict(part.measures) for part in result.parts}
    if options.lfw is not None:
        figures |= of_lfw(read_lfw(options.lfw), finder, passive, options)
        if options.attacks or options.sessions:
            active = measure_active(
                options.lfw,
                n_attacks=options.attacks,
                n_living=options.sessions,
                view1=False,
                part=(0, 1),
                track=track,
            )
            figures |= active
    return {**figures, "n_photos": result.images, "n_faces_found": result.faces_found}


def show(figures: dict[str, Any]) -> None:
    rows = [("one frame, people not chosen on", figures)]
    rows += [("five frames, the same", figures["five_frames"])] if "five_frames" in figures else []
    rows += [(f"{key}, the package's limits", part) for key, part in figures["bundled"].items()]
    table(("", *RATES), [(name, *(f"{part[key]:.3f}" for key in RATES)) for name, part in rows])
    if "bpcer_lfw" in figures:
        print(f"LFW: {figures['bpcer_lfw']:.3f} of {figures['n_lfw']} photos do not pass")
    if figures.get("synthetic"):
        made = figures["synthetic"]
        rates_of = [(kind, f"{share:.2f}") for kind, share in made["apcer"].items()]
        table(("synthetic", "pass"), [*rates_of, ("no attack, refused", f"{made['bpcer']:.2f}")])
    if "attacks_passed" in figures:
        print(f"active: {figures['attacks_passed']} of {figures['attacks']} attacks pass")
        print(f"active: {figures['live_passed']} of the living pass")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="living people and attacks")
    parser.add_argument("--lfw", type=Path, help="folder of LFW")
    parser.add_argument("--living", type=at_least(1), default=500, help="photos of LFW")
    parser.add_argument("--synthetic", type=at_least(0), default=40, help="people of LFW")
    parser.add_argument("--attacks", type=at_least(0), default=0, help="of the active check")
    parser.add_argument("--sessions", type=at_least(0), default=0, help="of living people")
    options = parser.parse_args()
    report(options, lambda: run(options), show)


if __name__ == "__main__":
    main()

"""What a person and an attacker do when they are asked for something, moment by moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .bodies import Act

Bend = Callable[[np.ndarray, float], np.ndarray]


class Living:
    """Does what it is asked for, after a moment, and not quite the same every time.

    It sways a little, blinks by itself, and comes back to rest when a thing is done.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        """Draw how this person moves."""
        self.rng = rng
        self.phases = rng.uniform(0, 2 * np.pi, 4)
        self.sway = rng.uniform(0.3, 1.5)
        self.next_blink = rng.uniform(1, 4)
        self.asked: str | None = None
        self.before = Act()
        self.start, self.reaction, self.span, self.much = 0.0, 0.0, 1.0, 1.0

    def act(self, time_s: float, challenge: str | None) -> Act:
        """What is seen at a time, while that is asked for."""
        if challenge != self.asked:
            self.before = self.wanted(time_s)
            self.asked, self.start = challenge, time_s
            self.reaction = self.rng.uniform(0.25, 0.8)
            self.span = self.rng.uniform(0.6, 1.1)
            self.much = self.rng.uniform(0.9, 1.2)
        done = self.wanted(time_s)
        slow = 0.5 * time_s + self.phases
        shut = 0.0
        if time_s > self.next_blink:
            shut = 1.0
            if time_s > self.next_blink + 0.2:
                self.next_blink = time_s + self.rng.uniform(2, 6)
        return replace(
            done,
            yaw_deg=done.yaw_deg + self.sway * np.sin(slow[0] * 1.3),
            pitch_deg=done.pitch_deg + self.sway * np.sin(slow[1] * 1.7),
            roll_deg=done.roll_deg + self.sway * np.sin(slow[2]),
            shift_xy=(0.08 * np.sin(slow[2] * 1.1), 0.06 * np.sin(slow[3] * 0.9)),
            blink=max(done.blink, shut),
        )

    def wanted(self, time_s: float) -> Act:
        """What is done for the challenge, without sway."""
        share = (time_s - self.start - self.reaction) / self.span
        if share <= 0:
            return self.before
        up = 0.5 - 0.5 * np.cos(np.pi * min(1.0, share))
        there_and_back = np.sin(np.pi * min(1.0, share))
        target = {
            "turn_left": Act(yaw_deg=27 * self.much),
            "turn_right": Act(yaw_deg=-27 * self.much),
            "come_closer": Act(nearer=1 + 0.4 * self.much),
        }
        if self.asked in target or self.asked is None:
            return _between(self.before, target.get(self.asked or "", Act()), up)
        rest = _between(self.before, Act(), up)
        if self.asked == "nod":
            return replace(rest, pitch_deg=-19 * self.much * there_and_back)
        if self.asked == "open_mouth":
            return replace(rest, jaw=min(1.0, 0.8 * self.much) * there_and_back)
        return replace(rest, blink=float(0.1 < share < 0.8))


class Paper:
    """Holds a photo before the camera and does with it what may look like what is asked for."""

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        tilts: bool,
        moves: bool,
        bend: float,
        folds: bool = True,
    ) -> None:
        """Draw how it is held.

        ``tilts``: turns the sheet; ``moves``: shifts it; ``bend``: of a turned sheet at most;
        ``folds``: it is folded away for lids and mouth, and turned far; not where these move in it.
        """
        self.rng, self.tilts, self.moves, self.bend, self.folds = rng, tilts, moves, bend, folds
        self.turned = rng.uniform(30, 55) if folds else rng.uniform(24, 36)
        self.living = Living(rng)
        self.speed = rng.uniform(0.3, 1.2)
        self.phases = rng.uniform(0, 2 * np.pi, 4)

    def act(self, time_s: float, challenge: str | None) -> Act:
        """What is seen at a time."""
        act = Act()
        if self.moves:
            slow = self.speed * time_s + self.phases
            act = replace(
                act,
                shift_xy=(0.4 * np.sin(slow[0]), 0.3 * np.sin(slow[1])),
                roll_deg=5 * np.sin(slow[2]),
            )
        if not self.tilts:
            closer = self.living.act(time_s, challenge).nearer if self.moves else 1.0
            return replace(act, nearer=closer)
        done = self.living.act(time_s, challenge)
        yaw = done.yaw_deg * self.turned / 27
        pitch = done.pitch_deg * (2 if self.folds else 1.3)
        if self.folds and (
            done.blink or done.jaw
        ):  # the nearest that paper can do: fold away, quickly
            pitch += 35 * max(done.blink, done.jaw)
        share = max(abs(yaw) / self.turned, abs(pitch) / 35)
        return replace(
            act,
            yaw_deg=yaw,
            pitch_deg=pitch,
            roll_deg=act.roll_deg + done.roll_deg,
            nearer=done.nearer,
            blink=done.blink,
            jaw=done.jaw,
            bend=self.bend * min(1.0, share),
        )


# ---- ways to bend a sheet ------------------------------------------------------------------------


def flat(points: np.ndarray, bend: float) -> np.ndarray:
    """Not at all."""
    return points


def cylinder(axis_deg: float) -> Bend:
    """About an axis that leans by so much; a bend above 0 bulges towards the camera."""
    turn = np.radians(axis_deg)
    across = np.array([np.cos(turn), np.sin(turn)])
    along = np.array([-across[1], across[0]])

    def bent(points: np.ndarray, bend: float) -> np.ndarray:
        if abs(bend) < 1e-6:
            return points
        s, r = points[:, :2] @ across, points[:, :2] @ along
        flat_s, deep = np.sin(s * bend) / bend, (1 - np.cos(s * bend)) / bend
        xy = flat_s[:, None] * across + r[:, None] * along
        return np.concatenate([xy, points[:, 2:] + deep[:, None]], axis=1)

    return bent


def wave(points: np.ndarray, bend: float) -> np.ndarray:
    """Like a flag."""
    return np.concatenate([points[:, :2], points[:, 2:] + bend * np.sin(1.5 * points[:, :1])], 1)


def cone(points: np.ndarray, bend: float) -> np.ndarray:
    """Bent the more, the lower."""
    strength = bend * np.clip(0.5 + 0.25 * points[:, 1:2], 0, 1)
    deep = 0.5 * strength * points[:, :1] ** 2
    return np.concatenate([points[:, :2], points[:, 2:] + deep], axis=1)


def dome(points: np.ndarray, bend: float) -> np.ndarray:
    """Stretched over a ball, as wet paper or cloth."""
    deep = 0.5 * bend * (points[:, :2] ** 2).sum(axis=1, keepdims=True)
    return np.concatenate([points[:, :2], points[:, 2:] + deep], axis=1)


KNOWN_BENDS: dict[str, Bend] = {
    "flat": flat,
    "upright cylinder": cylinder(0),
    "lying cylinder": cylinder(90),
    "leaning cylinder": cylinder(40),
    "wave": wave,
}
"""What was looked at when the least swing was set."""

OTHER_BENDS: dict[str, Bend] = {"cone": cone, "dome": dome}
"""Held out."""


def _between(one: Act, other: Act, share: float) -> Act:
    def mixed(a: float, b: float) -> float:
        return a + share * (b - a)

    return Act(
        mixed(one.yaw_deg, other.yaw_deg),
        mixed(one.pitch_deg, other.pitch_deg),
        mixed(one.roll_deg, other.roll_deg),
        0.0,
        mixed(one.jaw, other.jaw),
        mixed(one.nearer, other.nearer),
    )

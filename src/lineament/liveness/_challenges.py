"""What can be asked for, and how it is told from a face that does nothing or something else."""

from __future__ import annotations

import random
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from lineament.liveness._lids import Lids
from lineament.liveness._looks import Look

Challenge = Literal["blink", "turn_left", "turn_right", "nod", "open_mouth", "come_closer"]
CHALLENGES: tuple[Challenge, ...] = get_args(Challenge)

PROMPTS: dict[Challenge, str] = {
    "blink": "Shut your eyes for a moment",
    "turn_left": "Turn your head slowly to your left",
    "turn_right": "Turn your head slowly to your right",
    "nod": "Nod: look down, then up again",
    "open_mouth": "Open your mouth wide",
    "come_closer": "Come closer to the camera",
}
"""What is said to the person; left and right are the person's own."""

UNSEEN: dict[Challenge, str] = {
    "blink": "shut both eyes for a second, with no hair and no dark glasses before them, in light",
    "open_mouth": "open the mouth wide, with nothing before it, in light",
}
"""What to do where the thing was not seen; not said for what every head shows."""

TURNS: tuple[Challenge, ...] = ("turn_left", "turn_right")
MOVING: tuple[Challenge, ...] = ("blink", "open_mouth")
"""Each session asks for one of both kinds at least: a turn shows depth, and lids and lips move in
no photo."""

TURN_DEG, NOD_DEG, CLOSER = 20.0, 10.0, 1.25
SHUT, OPEN = 0.3, 0.2
"""How much must change against the face at rest: degrees of yaw and pitch, the size's ratio, by
which share the lids' distance must fall in both eyes, and the blendshape jawOpen. The share was
chosen on 50 rendered people of LFW View 1: without dark glasses it falls by 0.36 to 1 in each
blink; in photos of them, tilted and bent, by up to 0.23."""

BACK = 0.5
"""Eyes that were shut, a mouth that was open and a head that nodded are back where they changed by
less than so much of what was asked for."""

REST_DEG, REST_CLOSER, REST_JAW = 9.0, 1.12, 0.12
"""A face at rest changes by less against how it was at first."""

MOST_FIRST_DEG = 25.0
"""At first the face must look at the camera to within so much."""

WRONG_TURN_DEG, WRONG_NOD_DEG, WRONG_CLOSER, WRONG_JAW = 17.0, 14.0, 1.3, 0.35
"""What counts as something else than what was asked for."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The face before anything is asked: medians of its first looks."""

    yaw_deg: float
    pitch_deg: float
    eyes_px: float
    lids: Lids
    jaw: float

    @classmethod
    def of(cls, looks: list[Look]) -> Rest:
        """Of at least one look."""
        return cls(
            median(look.yaw_deg for look in looks),
            median(look.pitch_deg for look in looks),
            median(look.eyes_px for look in looks),
            Lids.median(look.lids for look in looks),
            median(look.jaw for look in looks),
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A look against the face at rest.

    Attributes:
        left_deg: of yaw, to the person's left, which is the viewer's right.
        down_deg: of pitch.
        closer: ratio of the sizes.
        shut: by which share both eyes' opening has fallen; 0 where the face was foreshortened
            meanwhile, as a sheet that is tilted.
        opened: difference of the blendshape.
    """

    left_deg: float
    down_deg: float
    closer: float
    shut: float
    opened: float

    @classmethod
    def between(cls, rest: Rest, look: Look) -> Change:
        """From the one to the other."""
        return cls(
            look.yaw_deg - rest.yaw_deg,
            rest.pitch_deg - look.pitch_deg,
            look.eyes_px / rest.eyes_px,
            look.lids.shut_since(rest.lids),
            look.jaw - rest.jaw,
        )

    @property
    def at_rest(self) -> bool:
        """Nothing is done; a blink is no matter."""
        turned = max(abs(self.left_deg), abs(self.down_deg))
        moved = turned > REST_DEG or self.opened > REST_JAW
        return not moved and 1 / REST_CLOSER < self.closer < REST_CLOSER


def looks_at_camera(look: Look) -> bool:
    """Whether a session can begin with this look."""
    return abs(look.yaw_deg) < MOST_FIRST_DEG and abs(look.pitch_deg) < MOST_FIRST_DEG


def chosen(count: int, rng: random.Random) -> tuple[Challenge, ...]:
    """``count`` challenges, 2 to 6, in random order, a turn and a moving part among them."""
    first = [rng.choice(TURNS), rng.choice(MOVING)]
    others = [each for each in CHALLENGES if each not in first]
    drawn = first + rng.sample(others, count - len(first))
    rng.shuffle(drawn)
    return tuple(drawn)


class Watch:
    """Whether one challenge is done, look by look."""

    def __init__(self, challenge: Challenge) -> None:
        """Begin."""
        self.challenge = challenge
        self._reached = False

    def done(self, change: Change) -> bool:
        """Take the next look; True from the one on with which it is done."""
        if self.challenge in TURNS:
            sign = 1 if self.challenge == "turn_left" else -1
            return sign * change.left_deg >= TURN_DEG
        if self.challenge == "come_closer":
            return change.closer >= CLOSER
        value, wanted = {
            "blink": (change.shut, SHUT),
            "open_mouth": (change.opened, OPEN),
            "nod": (change.down_deg, NOD_DEG),
        }[self.challenge]
        self._reached = self._reached or value >= wanted
        return self._reached and value < BACK * wanted

    def something_else(self, change: Change) -> Challenge | None:
        """What was plainly done that nobody asked for, if anything."""
        seen: list[tuple[Challenge, bool]] = [
            ("turn_left", change.left_deg >= WRONG_TURN_DEG),
            ("turn_right", change.left_deg <= -WRONG_TURN_DEG),
            ("nod", change.down_deg >= WRONG_NOD_DEG),
            ("open_mouth", change.opened >= WRONG_JAW),
            ("come_closer", change.closer >= WRONG_CLOSER),
        ]
        return next((name for name, is_it in seen if is_it and name != self.challenge), None)

"""Ask for something and see whether it is done: blink, turn, nod, open the mouth, come closer.

    session = ActiveSession(recognizer)
    for frame in open_source(0):
        state = session.feed(frame)
        print(state.prompt)
        if state.done:
            break
    session.result          a ``Liveness``: "live", "attack" or "unsure"
    session.photo           the face as it looked into the camera, to be verified or identified

What is asked for, its order and the moments are drawn anew for each session, by the system's own
source of chance. Nothing counts that was done before it was asked for, and something else than was
asked for ends the session, so that a film of an earlier session fails. That the things are done is
read from the mesh's pose and blendshapes, which no photo moves by itself; and

- a turned face must swing out of its plane: its pixels are followed through the turn, and the nose
  must move against the cheeks as no sheet of paper lets it, flat or bent (``_parallax``);
- it must be the same person from the first frame to the last, by the recognizer;
- frames must not come again.

"attack" is said where one of these three speaks against a living person; "unsure" where what was
asked for was not seen in time. **It is no proof.** A mask in the form of a face, and a face that is
computed while somebody moves (a puppet of a photo on a screen that follows the prompts, with depth)
can do all that is asked for. What was measured is in ``docs/concepts/liveness.md``.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from lineament.arguments import check_fields, checked
from lineament.errors import OptionError
from lineament.finder import FaceFinder
from lineament.liveness._challenges import (
    CHALLENGES,
    PROMPTS,
    TURNS,
    UNSEEN,
    Challenge,
    Change,
    Rest,
    Watch,
    chosen,
    looks_at_camera,
)
from lineament.liveness._looks import Look, Looker, photo_of
from lineament.liveness._parallax import Follower
from lineament.results import Outcome
from lineament.types import Decision, Image, Liveness, LivenessOutcome, Photo

__all__ = ["CHALLENGES", "ActiveOptions", "ActiveSession", "Challenge", "SessionState", "run"]

FIRST_LOOKS, FIRST_S = 4, 0.4
"""The face at rest is the median of so many looks at least, over so long."""

LEAST_SWING, LEAST_CORRELATION = 0.08, 0.35
"""Of the depth's factor in a turn of 20 degrees or more, and of its correlation. Chosen on rendered
films of 12 people of LFW View 1: heads had 0.11 to 0.33 (0.51 to 0.88) at 20 degrees, sheets, flat,
bent and wavy, -0.05 to 0.03 (at most 0.30)."""

TYPICAL_SWING = 0.25
"""Of heads, in the median; the session's score is the least swing as a share of it."""

STILL_DEG = 3.0
"""A head that is turned by less is where its points are followed from."""

SWING_S = 1.5
"""For so long after a turn is far enough its swing may come to be seen."""

LOST_S = 1.0
"""A face that was not seen for longer has to begin anew, and so the session ends."""

COVERED_S = 1.5
"""The eyes may seem to be covered for so long before the session ends."""

EVERY_S = 0.8
"""The recognizer is asked once in so long while the face is at rest, and at the end."""

MOST_UNLIKE = 2
"""So many times in a row the recognizer may not know the face again."""

MOST_REPEATED = 3
"""So many frames may equal one that is not the one before, bit by bit: sensors have noise."""

MOST_FROZEN_S = 2.0
"""Frames may equal the one before for so long, as those of a source that is asked too often."""

LEAST_REACTION_S = 0.1
"""What is done sooner after the prompt than people react was not done for it."""


class Frame(Protocol):
    """A frame of a film, as ``lineament.video`` has them."""

    @property
    def time_s(self) -> float:
        """Seconds; they grow."""
        ...

    @property
    def pixels(self) -> Image:
        """(H, W, 3) uint8, RGB."""
        ...


class Checker(Protocol):
    """What a session needs of a ``Recognizer``."""

    @property
    def finder(self) -> FaceFinder:
        """Finds faces."""
        ...

    def verify(self, a: Any, b: Any, /) -> Any:
        """Say whether two photos are of one person."""
        ...

    def stream_chosen(self, sources: Any, /) -> Any:
        """Embed the one face that each photo is of."""
        ...


@dataclass(frozen=True, slots=True)
class ActiveOptions:
    """How much is asked for, and how long one may take.

    Attributes:
        n_challenges: 2 to 6.
        limit_s: for each of them, and for looking straight at the camera before.
        wait_s: least and longest time for which the face must rest before something is asked for;
            drawn anew each time.

    Raises:
        OptionError: a number out of range.
    """

    n_challenges: int = 4
    limit_s: float = 7.0
    wait_s: tuple[float, float] = (0.4, 1.2)

    def __post_init__(self) -> None:
        """Validate."""
        check_fields(self)
        if not 2 <= self.n_challenges <= len(CHALLENGES):
            raise OptionError(
                f"expected 2 to {len(CHALLENGES)}, got {self.n_challenges}", option="n_challenges"
            )
        if not 1 <= self.limit_s <= 600:
            raise OptionError(f"expected 1 to 600 seconds, got {self.limit_s}", option="limit_s")
        least, most = self.wait_s
        if not 0 <= least <= most <= self.limit_s / 2:
            raise OptionError(
                f"expected two times from 0 to half of the limit, the first not above the second, "
                f"got {least} and {most}",
                option="wait_s",
            )


DEFAULT_OPTIONS = ActiveOptions()


@dataclass(frozen=True, slots=True)
class SessionState(Outcome):
    """Where a session stands after a frame.

    Attributes:
        prompt: what the person should do now, in words.
        challenge: what is asked for; None while the face should rest.
        step: how many are done; ``n_steps``: of how many.
        seconds_left: to do it.
        face_seen: there is a face, and it is large enough.
        done: the session is over; ``result`` says how.
    """

    prompt: str
    challenge: Challenge | None
    step: int
    n_steps: int
    seconds_left: float
    face_seen: bool
    done: bool
    result: Liveness | None


class ActiveSession:
    """One session with one person. Not for several threads at once.

    Attributes:
        challenges: what is asked for, in that order.
        photo: the face as it looked straight into the camera at first, with its pixels; None until
            then. Once the session is over its ``liveness`` is the result, so that whoever verifies
            it gets "not_live" unless the person was there.
    """

    @checked
    def __init__(
        self,
        recognizer: Checker,
        *,
        options: ActiveOptions = DEFAULT_OPTIONS,
        rng: random.Random | None = None,
    ) -> None:
        """Draw what will be asked for.

        Args:
            recognizer: a ``Recognizer``: finds the face, and says whether it is still the same.
            options: how much is asked for.
            rng: for tests; None: the system's source of chance, which nobody foresees.
        """
        self._recognizer, self._options = recognizer, options
        self._rng = random.SystemRandom() if rng is None else rng
        self.challenges = chosen(options.n_challenges, self._rng)
        self.photo: Photo | None = None
        self._known: Photo | None = None  # the same with its embedding
        self._looker = Looker(recognizer.finder)
        self._first: list[Look] = []
        self._rest: Rest | None = None
        self._watch: Watch | None = None
        self._step = 0
        self._since = self._now = self._seen = -1.0
        self._rested_from: float | None = None
        self._covered_from: float | None = None
        self._wait = self._drawn_wait()
        self._follower: Follower | None = None
        self._turned_from: float | None = None
        self._swings: list[float] = []
        self._lost = False
        self._asked_at = -1.0
        self._unlike = 0
        self._likeness: list[float] = []
        self._digests: dict[bytes, float] = {}
        self._last_digest = b""
        self._new_at = -1.0
        self._repeated = 0
        self.result: Liveness | None = None

    # --- frames -----------------------------------------------------------------------------------

    @checked
    def feed(self, frame: Frame) -> SessionState:
        """Look at the next frame.

        Raises:
            OptionError: time does not grow, or a frame of another shape or type.
        """
        if self.result is not None:
            return self.state(face_seen=False)
        if frame.time_s <= self._now:
            raise OptionError(
                f"expected a time after {self._now:.3f} s, got {frame.time_s:.3f} s", option="frame"
            )
        if self._since < 0:
            self._since = self._seen = self._new_at = frame.time_s
        self._now = frame.time_s
        if not self._is_new(frame):
            return self.state(face_seen=True)
        look = self._looker.look(frame.pixels, frame.time_s)
        if look is None:
            self._nobody()
            return self.state(face_seen=False)
        self._seen = self._now
        if self._rest is None:
            self._begin(look, frame.pixels)
        else:
            self._go_on(self._rest, look, frame.pixels)
        return self.state(face_seen=True)

    def finish(self) -> Liveness:
        """End the session, since there are no more frames; the result stays where there is one."""
        if self.result is None:
            self._end("unsure", "the film ended before all was done: ask again")
        assert self.result is not None
        return self.result

    def state(self, *, face_seen: bool = True) -> SessionState:
        """Where the session stands."""
        challenge = None if self._watch is None else self._watch.challenge
        if self.result is not None:
            prompt = "Thank you" if self.result.live else "That was not enough"
        elif not face_seen:
            prompt = "Look into the camera, from nearer or with more light"
        elif challenge is None:
            prompt = "Look straight at the camera and keep still"
        else:
            prompt = PROMPTS[challenge]
        left = 0.0 if self.result is not None else self._since + self._options.limit_s - self._now
        return SessionState(
            prompt,
            challenge,
            self._step,
            len(self.challenges),
            round(max(0.0, left), 3),
            face_seen,
            self.result is not None,
            self.result,
        )

    # --- phases -----------------------------------------------------------------------------------

    def _begin(self, look: Look, pixels: Image) -> None:
        """Before anything is known of the face: it should look at the camera."""
        if not looks_at_camera(look):
            self._first.clear()
            self._out_of_time("nobody looked straight at the camera")
            return
        self._first.append(look)
        if len(self._first) < FIRST_LOOKS or look.time_s - self._first[0].time_s < FIRST_S:
            self._out_of_time("nobody looked straight at the camera")
            return
        rest = Rest.of(self._first)
        if not Change.between(rest, look).at_rest:
            self._first.clear()
            return
        photo = self._looker.photo(pixels, look)
        if "blink" in self.challenges and self._covered(photo):
            self._first.clear()
            return
        self._rest, self._since, self._rested_from = rest, self._now, self._now
        self.photo = photo
        self._asked_at = self._now

    def _covered(self, photo: Photo) -> bool:
        """Whether the eyes are covered, so that lids cannot be seen; ends the session in time."""
        if not self._looker.eyes_covered(photo):
            self._covered_from = None
            return False
        if self._covered_from is None:
            self._covered_from = self._now
        elif self._now - self._covered_from >= COVERED_S:
            self._end(
                "unsure",
                "the eyes are covered, and it could not be seen whether they shut: take off dark "
                "glasses, and try again",
            )
        return True

    def _go_on(self, rest: Rest, look: Look, pixels: Image) -> None:
        change = Change.between(rest, look)
        if change.at_rest and self._now - self._asked_at >= EVERY_S:
            self._check_person(look, pixels)
        if self.result is not None:
            return
        if self._watch is None:
            self._resting(change, look, pixels)
        else:
            self._acting(self._watch, change, look)

    def _resting(self, change: Change, look: Look, pixels: Image) -> None:
        """The face should be as at first, for a time that nobody knows beforehand."""
        if not change.at_rest:
            self._rested_from = None
            self._out_of_time("the face did not come to rest")
            return
        if self._rested_from is None:
            self._rested_from = self._now
        if self._now - self._rested_from < self._wait:
            return
        if self._step == len(self.challenges):
            self._check_person(look, pixels)
            if self._unlike == 0 and self.result is None:
                self._live()
            return
        self._watch = Watch(self.challenges[self._step])
        self._since, self._wait = self._now, self._drawn_wait()
        self._follower = look.follower() if self._watch.challenge in TURNS else None
        self._turned_from, self._lost = None, False

    def _acting(self, watch: Watch, change: Change, look: Look) -> None:
        if self._follower is not None:
            if abs(change.left_deg) < STILL_DEG:  # nothing is turned yet: follow from here on
                self._follower = look.follower()
            else:
                self._follower.step(look.patch)
        other = watch.something_else(change)
        if other is not None:
            self._end(
                "unsure",
                f"asked for {_words(watch.challenge)}, and seen was {_words(other)}, as a film of "
                "another session would show: do what is asked for only",
            )
            return
        if not watch.done(change):
            self._out_of_time(
                f"{_words(watch.challenge)} was asked for and not seen", UNSEEN.get(watch.challenge)
            )
            return
        if self._now - self._since < LEAST_REACTION_S:
            self._end(
                "unsure",
                f"{_words(watch.challenge)} was done before anybody could have heard of it: wait "
                "for what is asked",
            )
            return
        if self._follower is None or self._swung(self._follower):
            self._step += 1
            self._watch, self._follower = None, None
            self._since, self._rested_from = self._now, None

    def _swung(self, follower: Follower) -> bool:
        """Whether the turned face has depth; ends the session where it plainly has none."""
        swing = follower.swing()
        if self._turned_from is None:
            self._turned_from = self._now
        sign = 1 if self.challenges[self._step] == "turn_left" else -1
        if swing is None:
            self._lost = True
        else:
            slope, correlation = sign * swing.slope, sign * swing.correlation
            if slope >= LEAST_SWING and correlation >= LEAST_CORRELATION:
                self._swings.append(slope)
                return True
        if self._now - self._turned_from >= SWING_S:
            if self._lost:
                self._end("unsure", "the turn could not be followed: turn more slowly, in light")
            else:
                self._swings.append(0.0 if swing is None else sign * swing.slope)
                self._end(
                    "attack",
                    "the turned face stays flat, as a photo or a screen does: only a living face "
                    "will do",
                )
        return False

    # --- consistency ------------------------------------------------------------------------------

    def _check_person(self, look: Look, pixels: Image) -> None:
        """Whether this is still who it was at first."""
        assert self.photo is not None
        self._asked_at = self._now
        if self._known is None:
            (self._known,) = self._recognizer.stream_chosen([self.photo])
        now = photo_of(pixels, look)
        decision: Decision = self._recognizer.verify(self._known, now)
        self._likeness.append(decision.score)
        self._unlike = 0 if decision.same else self._unlike + 1
        if self._unlike >= MOST_UNLIKE:
            self._end("attack", "the face is another person's than at first: do it alone")

    def _is_new(self, frame: Frame) -> bool:
        """Whether the frame is not the one before; ends the session where frames come again."""
        digest = hashlib.blake2b(np.ascontiguousarray(frame.pixels).data, digest_size=16).digest()
        if digest == self._last_digest:
            if self._now - self._new_at > MOST_FROZEN_S:
                self._end("attack", "the picture stands still: let the camera run")
            return False
        if digest in self._digests:
            self._repeated += 1
            if self._repeated >= MOST_REPEATED:
                self._end("attack", "frames come again, as those of a film do: use the camera")
        self._digests[digest] = self._now
        self._last_digest, self._new_at = digest, self._now
        return True

    def _nobody(self) -> None:
        self._first.clear()
        if self._rest is None:
            self._out_of_time("no face was seen")
        elif self._now - self._seen > LOST_S:
            self._end("unsure", "the face was lost: stay in the picture, from beginning to end")

    # --- the end ----------------------------------------------------------------------------------

    def _out_of_time(self, reason: str, advice: str | None = None) -> None:
        if self._now - self._since > self._options.limit_s:
            what = "try again" if advice is None else f"{advice}, and try again"
            self._end("unsure", f"{reason} within {self._options.limit_s:g} seconds: {what}")

    def _live(self) -> None:
        self._watch = None
        score = min(1.0, min(self._swings) / TYPICAL_SWING)
        self._over(Liveness("live", score, "active", self._cues()))

    def _end(self, outcome: LivenessOutcome, reason: str) -> None:
        self._watch = None
        score = 0.0 if outcome == "attack" else None
        self._over(Liveness(outcome, score, "active", self._cues(), (reason,)))

    def _over(self, result: Liveness) -> None:
        self.result = result
        if self.photo is not None:
            self.photo = replace(self.photo, selected=(0,), checks=(result,))

    def _cues(self) -> dict[str, float]:
        cues = {"done": float(self._step), "asked": float(len(self.challenges))}
        cues["repeated_frames"] = float(self._repeated)
        if self._swings:
            cues["swing"] = min(self._swings)
        if self._likeness:
            cues["likeness"] = min(self._likeness)
        return cues

    def _drawn_wait(self) -> float:
        return self._rng.uniform(*self._options.wait_s)


@checked
def run(
    frames: Iterable[Frame],
    session: ActiveSession,
    show: Callable[[SessionState], None] | None = None,
) -> Liveness:
    """Feed frames until the session is over.

    Args:
        frames: such as ``lineament.video.open_source`` gives.
        session: a new one.
        show: called after each frame, to tell the person what to do.
    """
    for frame in frames:
        state = session.feed(frame)
        if show is not None:
            show(state)
        if state.done:
            break
    return session.finish()


def _words(challenge: Challenge) -> str:
    return challenge.replace("_", " ")

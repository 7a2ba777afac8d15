"""Active liveness over a network: sessions that the server draws, and frames that clients send.

A session is made by whoever wants to know (POST), and shown to by whoever stands before the camera
(a WebSocket, by the session's ticket): a service may keep its key to itself and give only the
ticket to a browser. What is asked for is drawn here, by the system's source of chance, and is said
one thing after the other; the client cannot choose it, nor how much of it. Times are those at which
frames arrive here. A session is used once, has to begin and to end in time, and its result is kept
for ``KEPT_S`` seconds, without any photo.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import Any, Literal

from lineament.errors import BusyError, ConflictError, ImageError, LineamentError, NotFoundError
from lineament.gallery import Gallery
from lineament.images import ImageLimits, load_image
from lineament.liveness.active import ActiveSession, SessionState
from lineament.pipeline import Recognizer
from lineament.server.roles import Principal
from lineament.types import Decision, Liveness, Photo
from lineament.video import VideoFrame

BEGIN_S = 120.0
"""Seconds after which a session that nobody showed anything to has expired."""

LASTING_S = 150.0
"""Seconds that a session may take from its first frame on, whatever is asked for."""

KEPT_S = 600.0
"""Seconds for which a result can be asked for."""

MOST_A_MINUTE = 30
"""Sessions that one caller may begin in a minute."""

FRAME_LIMITS = ImageLimits(max_bytes=512 << 10, max_pixels=2_100_000)
"""Of one frame: 1920 x 1080 at most."""

MOST_FRAMES_S = 60.0
"""Frames a second that may arrive, on average; those that come too fast to look at are dropped."""

State = Literal["waiting", "running", "done", "expired"]


@dataclass(slots=True)
class LivenessCheck:
    """One session.

    Attributes:
        id: of the session.
        owner: id of the key that made it.
        state: "waiting" for the first frame, "running", "done", or "expired".
        gallery, person: who it should be, of a gallery; None where nobody was named.
        purpose: what it is for: the person must have consented to it; None: nothing is asked.
        pseudonym: of the person, for the audit log.
        reference: a photo of who it should be, or None.
        liveness: how it ended; None before.
        decision: whether it is who it should be; None where nobody was named or nothing was seen.
        problem: why there is no decision although somebody was named, as ``to_dict`` has it.
    """

    id: str
    owner: str
    created: float
    begin_by: float
    session: ActiveSession | None
    gallery: str | None = None
    person: str | None = None
    reference: Photo | None = None
    state: State = "waiting"
    began: float = 0.0
    liveness: Liveness | None = None
    decision: Decision | None = None
    problem: dict[str, Any] | None = None
    frames: int = 0
    pseudonym: str | None = None
    purpose: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what was asked for is said when it is over."""
        return {
            "id": self.id,
            "state": self.state,
            "gallery": self.gallery,
            "person": self.person,
            "frames": self.frames,
            "liveness": None if self.liveness is None else self.liveness.to_dict(),
            "decision": None if self.decision is None else self.decision.to_dict(),
            "problem": self.problem,
        }


class LivenessChecks:
    """The sessions of one process.

    Attributes:
        clock: seconds that grow; frames are stamped by it.
        draw: makes what is asked for.
    """

    def __init__(
        self,
        recognizer: Callable[[], Recognizer],
        gallery: Callable[[str], Gallery],
        *,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """None yet.

        Args:
            recognizer: looks at frames.
            gallery: the gallery of a name.
            most: sessions at once, begun or not.
            clock: seconds that grow.
        """
        self._recognizer, self._gallery, self._most = recognizer, gallery, most
        self.clock = clock
        self.draw: Callable[[Recognizer], ActiveSession] = ActiveSession
        self._checks: OrderedDict[str, LivenessCheck] = OrderedDict()
        self._made: dict[str, deque[float]] = {}
        self._lock = RLock()

    # --- making and finding -----------------------------------------------------------------------

    def make(
        self,
        owner: str,
        *,
        gallery: str | None = None,
        person: str | None = None,
        purpose: str | None = None,
        photo: bytes | None = None,
        limits: ImageLimits | None = None,
    ) -> LivenessCheck:
        """Draw a session.

        Args:
            owner: id of the key.
            gallery, person: who it should be.
            purpose: what it is for, as for ``Gallery.verify``.
            photo: of who it should be; at most one of both.
            limits: on the photo.

        Raises:
            BusyError: too many sessions at once, or within a minute.
            ImageError, NoFaceError: of the photo.
            UnknownPersonError: nobody of that name is enrolled.
        """
        self._count(owner)
        recognizer = self._recognizer()
        reference = None
        if photo is not None:
            loaded = load_image(photo, limits=limits or ImageLimits())
            (reference,) = recognizer.stream_chosen([loaded])
            reference.require()
        pseudonym = None
        if gallery is not None and person is not None:
            found = self._gallery(gallery)
            pseudonym = found.pseudonym(found.person(person).name)
        now = self.clock()
        check = LivenessCheck(
            secrets.token_hex(12), owner, now, now + BEGIN_S, self.draw(recognizer),
            gallery, person, reference, pseudonym=pseudonym, purpose=purpose,
        )  # fmt: skip
        with self._lock:
            self._drop_old()
            if sum(one.state in ("waiting", "running") for one in self._checks.values()) >= (
                self._most
            ):
                raise BusyError(
                    f"expected at most {self._most} liveness sessions at once, got one more",
                    hint="ask again later",
                    retry_after_s=10,
                )
            self._checks[check.id] = check
        return check

    def _count(self, owner: str) -> None:
        with self._lock:
            now = self.clock()
            times = self._made.setdefault(owner, deque())
            while times and times[0] <= now - 60:
                times.popleft()
            if len(times) >= MOST_A_MINUTE:
                raise BusyError(
                    f"expected at most {MOST_A_MINUTE} liveness sessions a minute, got one more",
                    hint="ask again later",
                    retry_after_s=max(1, round(times[0] + 60 - now)),
                )
            times.append(now)
            for name in [name for name, each in self._made.items() if not each]:
                del self._made[name]

    def get(self, number: str, principal: Principal) -> LivenessCheck:
        """A session of one's own; admins see all. NotFoundError: there is none."""
        with self._lock:
            self._drop_old()
            check = self._checks.get(number)
        mine = check is not None and check.owner == principal.id
        if check is None or not (mine or principal.may("admin", check.gallery)):
            raise NotFoundError(f"expected the id of a liveness session, got {number!r:.80}")
        return check

    def _drop_old(self) -> None:
        now = self.clock()
        for check in list(self._checks.values()):
            late = check.state == "waiting" and now > check.begin_by
            if late or (check.state == "running" and now > check.began + LASTING_S + 30):
                check.state, check.session, check.reference = "expired", None, None
            if now > check.created + KEPT_S and check.state != "running":
                del self._checks[check.id]

    # --- running ----------------------------------------------------------------------------------

    def begin(self, number: str, principal: Principal) -> LivenessCheck:
        """Take a session up, which can be done once.

        Raises:
            NotFoundError: there is none.
            ConflictError: it was begun before, or has expired.
        """
        check = self.get(number, principal)
        with self._lock:
            if check.state != "waiting":
                raise ConflictError(
                    f"expected a session that was not used, it is {check.state}",
                    hint="make another one",
                )
            check.state, check.began = "running", self.clock()
        return check

    def feed(self, check: LivenessCheck, data: bytes, time_s: float) -> SessionState | None:
        """Look at a frame.

        Args:
            check: it runs.
            data: JPEG.
            time_s: when it arrived, by ``clock``.

        Returns:
            Where the session stands; None: it is over already.

        Raises:
            ImageError: no JPEG, or larger than ``FRAME_LIMITS``.
        """
        if data[:2] != b"\xff\xd8":
            raise ImageError("expected frames as JPEG")
        pixels = load_image(data, limits=FRAME_LIMITS)
        session = check.session
        if session is None:
            return None
        check.frames += 1
        state = session.feed(VideoFrame(check.frames, time_s - check.began + 1e-3, pixels))
        if state.done or time_s > check.began + LASTING_S:
            self.finish(check)
        return state

    def finish(self, check: LivenessCheck) -> None:
        """End a session, decide who it was, and forget the photos; a second call does nothing."""
        session, check.session = check.session, None
        if session is None:
            return
        result = session.finish()
        best, reference = session.photo, check.reference
        check.reference = None
        try:
            if best is not None and reference is not None:
                check.decision = self._recognizer().verify(reference, best)
            elif best is not None and check.gallery is not None and check.person is not None:
                people = self._gallery(check.gallery)
                check.decision = people.verify(check.person, best, purpose=check.purpose)
        except LineamentError as error:
            check.problem = error.to_dict()
        check.liveness, check.state = result, "done"

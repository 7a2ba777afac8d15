"""Requests about liveness sessions, and what is said over the WebSocket that frames go through."""

from __future__ import annotations

import io
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image as PILImage

from lineament.client._calls import PREFIX, Answer, Call, problem_of, segment
from lineament.client._errors import error_of
from lineament.client._photo_calls import reading
from lineament.client._uploads import Upload
from lineament.client._values import read
from lineament.errors import LineamentError, MissingExtraError, ServiceError, TooSlowError
from lineament.images import load_image
from lineament.liveness.active import SessionState
from lineament.results import Outcome
from lineament.text import in_short, reason_of
from lineament.types import Decision, Liveness

MOST_PIXELS, MOST_BYTES = 1920 * 1080, 512 << 10
"""Of a frame, as servers take them; larger ones are made smaller."""
QUALITIES = (90, 75, 50)
"""Of a JPEG, until it is small enough."""
ANSWER_S = 5.0
"""A frame that has no answer by then was passed over: the server had no time for it."""


@dataclass(frozen=True, eq=False, slots=True)
class LivenessSession(Outcome):
    """A session of a server: is somebody there, and is it who it should be?

    Attributes:
        id: of the session.
        state: "waiting" for the first frame, "running", "done" or "expired".
        gallery, person: who it should be, or None.
        frames: how many were looked at.
        liveness: how it ended; None before.
        decision: whether it is who it should be; None where nobody was named or nothing was seen.
        problem: why there is no decision although somebody was named, as
            ``LineamentError.to_dict`` has it.
        ticket: of a session that was just made: it opens the WebSocket ``frames_path`` once,
            without a key. None later; it is not shown when this is printed.
        frames_path: where frames go; None later.
        expires_s: seconds within which the first frame has to come; None later.
    """

    id: str
    state: Literal["waiting", "running", "done", "expired"]
    gallery: str | None
    person: str | None
    frames: int
    liveness: Liveness | None
    decision: Decision | None
    problem: dict[str, Any] | None
    ticket: str | None = field(default=None, repr=False)
    frames_path: str | None = None
    expires_s: float | None = None

    @property
    def error(self) -> LineamentError | None:
        """Why there is no decision, as the library's own error."""
        return None if self.problem is None else error_of(_detailed(self.problem), 500)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "id": self.id,
            "state": self.state,
            "gallery": self.gallery,
            "person": self.person,
            "frames": self.frames,
            "liveness": None if self.liveness is None else self.liveness.to_dict(),
            "decision": None if self.decision is None else self.decision.to_dict(),
            "problem": self.problem,
            "ticket": self.ticket,
            "frames_path": self.frames_path,
            "expires_s": self.expires_s,
        }


def create(
    photo: Upload | None, gallery: str | None, person: str | None, purpose: str | None
) -> Call[LivenessSession]:
    uploads = () if photo is None else (("photo", photo),)
    values = {"gallery": gallery, "person": person, "purpose": purpose}
    return Call(
        "POST", "/liveness/sessions", reading(LivenessSession), values=values, uploads=uploads
    )


def get(number: str) -> Call[LivenessSession]:
    return Call("GET", f"/liveness/sessions/{segment(number)}", reading(LivenessSession))


# --- the WebSocket --------------------------------------------------------------------------------


def imported() -> Any:
    """The package of WebSockets. MissingExtraError: it is not installed."""
    try:
        import websockets
    except ImportError as error:
        raise MissingExtraError("showing frames to a server", "client") from error
    return websockets


def opening(
    session: LivenessSession,
    http: Any,
    verify: bool | ssl.SSLContext,
    *,
    proxies: bool,
    timeout: float,
) -> tuple[str, dict[str, Any]]:
    """Address and options of ``websockets``' ``connect``: by the ticket, else by one's key.

    Args:
        session: to be shown to.
        http: the HTTP client, which has address and headers.
        verify: whom a certificate is to be from.
        proxies: whether the system's lead there.
        timeout: seconds until it has to be open.
    """
    address = str(http.base_url).rstrip("/").replace("http", "ws", 1)
    address += f"{PREFIX}/liveness/sessions/{segment(session.id)}/frames"
    headers = {}
    if session.ticket is not None:
        address += f"?ticket={segment(session.ticket)}"
    elif "authorization" in http.headers:
        headers["Authorization"] = http.headers["authorization"]
    options: dict[str, Any] = {
        "additional_headers": headers,
        "proxy": True if proxies else None,
        "open_timeout": timeout,
        "max_size": 1 << 20,
        "user_agent_header": "lineament",
    }
    if isinstance(verify, ssl.SSLContext) and address.startswith("wss"):
        options["ssl"] = verify
    return address, options


def refusal(error: Exception, address: str) -> LineamentError:
    """What went wrong with the WebSocket, as an error of ours."""
    from websockets.exceptions import InvalidStatus

    if isinstance(error, InvalidStatus):
        got = error.response
        headers = {name.lower(): value for name, value in got.headers.raw_items()}
        return problem_of(Answer(got.status_code, headers, bytes(got.body or b"")))
    return ServiceError(
        f"the WebSocket to {address} broke ({reason_of(error)})",
        hint="make another session; the server's log may say why",
    )


def jpeg_of(frame: Any) -> bytes:
    """A frame as a server takes it.

    Args:
        frame: bytes of a JPEG are sent as they are, unless there are too many; else pixels are
            encoded: a ``VideoFrame``, or what ``lineament.load_image`` reads.

    Raises:
        ImageError: it is none.
    """
    if isinstance(frame, bytes) and frame[:2] == b"\xff\xd8" and len(frame) <= MOST_BYTES:
        return frame
    pixels = getattr(frame, "pixels", None)
    picture = PILImage.fromarray(load_image(frame) if pixels is None else pixels)
    share = (MOST_PIXELS / (picture.width * picture.height)) ** 0.5
    if share < 1:
        size = max(1, int(picture.width * share)), max(1, int(picture.height * share))
        picture = picture.resize(size, PILImage.Resampling.BOX)
    data = b""
    for quality in QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        data = file.getvalue()
        if len(data) <= MOST_BYTES:
            break
    return data


class Exchange:
    """What was said over one WebSocket: nothing here waits.

    Attributes:
        state: the newest of the session; None before the first message.
        result: how it ended; None before.
        sent: frames so far.
        heard: when the newest message came.
    """

    def __init__(self, now: float) -> None:
        """Nothing yet."""
        self.state: SessionState | None = None
        self.result: LivenessSession | None = None
        self.sent = 0
        self.heard = now
        self._received = -1
        self._error: LineamentError | None = None

    @property
    def waits(self) -> bool:
        """Whether the answer to the newest frame is still to come."""
        return self.result is None and (self.state is None or self._received < self.sent)

    def take(self, message: str | bytes, now: float) -> None:
        """Read a message. LineamentError: a frame could not be read, and so the session ended."""
        values = _object(message)
        self.heard = now
        if "frames" in values:
            self.result = read(LivenessSession, values)
            self.state = _ended(self.result, self.state)
            if self._error is not None:
                raise self._error
        elif isinstance(values.get("problem"), Mapping):
            self._error = error_of(_detailed(values["problem"]), 400)
        else:
            self._received = int(values.get("received", 0))
            self.state = read(SessionState, {**values, "result": None})

    def check_time(self, now: float, timeout: float) -> None:
        """TooSlowError: nothing was heard for that long."""
        if now - self.heard > timeout:
            raise TooSlowError(
                f"expected an answer to a frame within {timeout:g} seconds, got none",
                hint="raise timeout, or ask again when the server has less to do",
            )


def _object(message: str | bytes) -> Mapping[str, Any]:
    """The values of a message. ServiceError: it has none."""
    try:
        values = json.loads(message)
    except ValueError:
        values = None
    if not isinstance(values, Mapping):
        raise ServiceError(f"expected JSON of a lineament server, got {in_short(message[:60])}")
    return values


def _detailed(problem: Mapping[str, Any]) -> dict[str, Any]:
    """An error as ``to_dict`` has it -> the fields of a problem."""
    text, option = str(problem.get("message")), problem.get("option")
    if isinstance(option, str):
        text = text.removeprefix(f"{option}: ")
    return {**problem, "detail": text, "hint": None}


def _ended(result: LivenessSession, before: SessionState | None) -> SessionState:
    live = result.liveness is not None and result.liveness.live
    return SessionState(
        "Thank you" if live else "That was not enough",
        None,
        0 if before is None else before.n_steps if live else before.step,
        0 if before is None else before.n_steps,
        0.0,
        True,
        True,
        result.liveness,
    )

"""Is somebody there? Sessions of active liveness, with frames over a WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from pydantic import Field

from lineament.errors import BusyError, LineamentError, OptionError
from lineament.liveness.active import SessionState
from lineament.server.access import at_writer, needs
from lineament.server.liveness import (
    BEGIN_S,
    FRAME_LIMITS,
    MOST_FRAMES_S,
    LivenessCheck,
    LivenessChecks,
)
from lineament.server.photos import json_body, parsed, read_request
from lineament.server.roles import check as check_role
from lineament.server.schemas import Answer, Options, answers, merged, photo_body
from lineament.server.sockets import AGAIN, POLICY, TOO_BIG, caller_of, problem_text, refuse

router = APIRouter(tags=["liveness"])

SILENT_S = 15.0
"""A client that sends nothing for so long is left."""


class TicketOptions(Options):
    """What a ticket is for."""

    path: str = Field(
        min_length=1, max_length=300, pattern=r"^/", examples=["/v1/streams/6b.../live"],
        description="Path of the WebSocket.",
    )  # fmt: skip


class TicketAnswer(Answer):
    """A ticket."""

    ticket: str
    path: str
    expires_s: float


class LivenessOptions(Options):
    """Who it should be; nothing can be set about what is asked for."""

    gallery: str | None = Field(None, max_length=64, description="With person.")
    person: str | None = Field(None, max_length=1000, description="With gallery.")
    purpose: str | None = Field(
        None, max_length=500, description="With person: only if every consent of theirs names it."
    )


class LivenessAnswer(Answer):
    """A session."""

    id: str
    state: Literal["waiting", "running", "done", "expired"]
    liveness: dict[str, Any] | None
    decision: dict[str, Any] | None


@router.post(
    "/tickets",
    summary="A one-use ticket, for a browser's WebSocket",
    response_model=TicketAnswer,
    **merged(
        needs("verify"),
        at_writer(),
        {
            "responses": answers(),
            "openapi_extra": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": TicketOptions.model_json_schema()}},
                }
            },
        },
    ),
)
async def issue_ticket(request: Request) -> Any:
    """Holds for half a minute, once, for one path; whoever has it acts with this key's rights."""
    options = parsed(TicketOptions, await json_body(request))
    tickets = request.app.state.lineament.tickets
    return JSONResponse(tickets.issue(request.state.principal, options.path).to_dict())


@router.post(
    "/liveness/sessions",
    status_code=201,
    summary="Draw a liveness session",
    response_model=LivenessAnswer,
    **merged(
        needs("verify"),
        at_writer(),
        photo_body(LivenessOptions, "photo", needed=False),
        {"responses": answers(404)},
    ),
)
async def create_liveness_session(request: Request) -> Any:
    """Is somebody there, and is it who it should be?

    Who it should be: a person of a gallery, or whoever is on the photo; or nobody in particular,
    with an empty body. The answer has the ticket for the frames: give that to the browser, and keep
    the key.
    """
    state = request.app.state.lineament
    photos, options, _ = await read_request(request, LivenessOptions, ("photo",), needed=False)
    photo = photos.get("photo")
    if (options.gallery is None) != (options.person is None):
        missing = "gallery" if options.gallery is None else "person"
        raise OptionError("expected gallery and person, or neither", option=missing)
    if photo is not None and options.person is not None:
        raise OptionError("expected a photo or a person, got both", option="person")
    if options.purpose is not None and options.person is None:
        raise OptionError("expected a person with it, got none", option="purpose")
    principal = request.state.principal
    if options.gallery is not None:
        check_role(principal, "verify", options.gallery)
    checks: LivenessChecks = state.liveness
    check = await state.work.run(
        checks.make,
        principal.id,
        gallery=options.gallery,
        person=options.person,
        purpose=options.purpose,
        photo=photo,
        limits=state.limits,
    )
    path = f"{request.url.path.rstrip('/')}/{check.id}/frames"
    given = state.tickets.issue(principal, path, lasting_s=BEGIN_S)
    return JSONResponse(
        check.to_dict()
        | {
            "frames_path": path,
            "ticket": given.ticket,
            "expires_s": BEGIN_S,
            "max_frame_bytes": FRAME_LIMITS.max_bytes,
        },
        201,
    )


@router.get(
    "/liveness/sessions/{session}",
    summary="How a liveness session ended",
    response_model=LivenessAnswer,
    **merged(needs("verify"), at_writer(), {"responses": answers(404)}),
)
async def get_liveness_session(request: Request, session: str) -> Any:
    """For whoever made it; ten minutes after that it is forgotten."""
    checks: LivenessChecks = request.app.state.lineament.liveness
    return JSONResponse(checks.get(session, request.state.principal).to_dict())


@router.websocket("/liveness/sessions/{session}/frames")
async def liveness_frames(socket: WebSocket, session: str) -> None:
    """Frames in, one JPEG a message; out, one JSON a frame that was looked at."""
    checks: LivenessChecks = socket.app.state.lineament.liveness
    try:
        check = checks.begin(session, caller_of(socket))
    except LineamentError as error:
        await refuse(socket, error)
        return
    await socket.accept()
    try:
        await _Conversation(socket, check).run()
    except WebSocketDisconnect:
        pass
    finally:
        await asyncio.get_running_loop().run_in_executor(None, checks.finish, check)


class _Conversation:
    """One client that shows frames: the newest counts, older ones that wait are dropped."""

    def __init__(self, socket: WebSocket, check: LivenessCheck) -> None:
        state = socket.app.state.lineament
        self._socket, self._check = socket, check
        self._checks: LivenessChecks = state.liveness
        self._work, self._stopping = state.work, state.stopping
        self._newest: tuple[bytes, float] | None = None
        self._arrived = asyncio.Event()
        self._ended: tuple[int, str] | None = None
        self._gone = False
        self._received = 0

    async def run(self) -> None:
        """Until it is over, or the client is gone."""
        assert self._check.session is not None
        await self._say(self._check.session.state())
        reader = asyncio.create_task(self._read())
        try:
            while not self._gone and not await self._step():
                pass
        finally:
            reader.cancel()
        if not self._gone:
            code, reason = self._ended or (1000, "")
            await self._socket.close(code, reason)

    async def _step(self) -> bool:
        """Look at a frame; True: it is over."""
        try:
            async with asyncio.timeout(SILENT_S):
                await self._arrived.wait()
        except TimeoutError:
            self._ended = (POLICY, f"no frame for {SILENT_S:g} seconds")
        self._arrived.clear()
        taken, self._newest = self._newest, None
        if self._ended is None and taken is not None:
            try:
                state = await self._work.run(self._checks.feed, self._check, *taken)
            except BusyError:
                return False  # the next frame may find a thread
            except LineamentError as error:
                await self._socket.send_json(problem_text(error))
                self._ended = (POLICY, "a frame could not be read")
                state = None
            if state is not None and self._check.session is not None:
                await self._say(state)
                return False
        elif self._ended is None:
            return self._gone
        await asyncio.get_running_loop().run_in_executor(None, self._finish)
        if not self._gone:
            await self._socket.send_json({"done": True} | self._check.to_dict())
        return True

    def _finish(self) -> None:
        check = self._check
        self._checks.finish(check)
        if check.gallery is not None:
            verdict = "unknown" if check.decision is None else check.decision.verdict
            outcome = None if check.liveness is None else check.liveness.outcome
            self._socket.app.state.lineament.audit.log.append(
                "verify", check.owner, check.gallery, check.pseudonym, verdict,
                session=check.id, liveness=outcome,
            )  # fmt: skip

    async def _say(self, state: SessionState) -> None:
        said = state.to_dict()
        del said["result"]
        await self._socket.send_json(said | {"received": self._received})

    async def _read(self) -> None:
        began = self._checks.clock()
        while True:
            message = await self._socket.receive()
            if message["type"] != "websocket.receive":
                self._gone = True
                self._arrived.set()
                return
            data = message.get("bytes")
            self._received += 1
            now = self._checks.clock()
            if data is None:
                self._ended = (POLICY, "frames come as binary messages")
            elif len(data) > FRAME_LIMITS.max_bytes:
                self._ended = (TOO_BIG, f"frames have at most {FRAME_LIMITS.max_bytes} bytes")
            elif self._received > MOST_FRAMES_S * (now - began + 2):
                self._ended = (POLICY, f"at most {MOST_FRAMES_S:g} frames a second")
            elif self._stopping.is_set():
                self._ended = (AGAIN, "the server stops: ask again")
            else:
                self._newest = (data, now)
            self._arrived.set()
            if self._ended is not None:
                return

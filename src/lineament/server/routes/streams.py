"""Cameras that the server watches: add, list, end; events as they happen; a preview."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Literal

from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field

from lineament.errors import LineamentError, NotFoundError
from lineament.server.access import at_writer, needs, writes
from lineament.server.answers import SSE_CONTENT, After, asked_after, events_of
from lineament.server.auditing import record
from lineament.server.photos import json_body, parsed
from lineament.server.repeats import once
from lineament.server.roles import Principal, Role, check
from lineament.server.schemas import Answer, Options, answers, merged
from lineament.server.sockets import LOST, caller_of, refuse
from lineament.server.streams.preview import BOUNDARY
from lineament.server.streams.streams import Streams
from lineament.server.streams.watching import StreamSettings, WatchedStream

router = APIRouter(tags=["streams"])


class StreamOptions(Options):
    """What to watch."""

    url: str = Field(
        min_length=1, max_length=2000, examples=["rtsp://user:password@camera.example/door"],
        description="rtsp, rtsps, http or https; it is never shown with user, password or query.",
    )  # fmt: skip
    gallery: str | None = Field(None, max_length=64, description="Whose people have names.")
    purpose: str | None = Field(
        None, max_length=500, description="Only people of whom every consent names it have names."
    )
    liveness: Literal["off", "passive"] = "off"
    give_up_s: float = Field(
        3600, ge=0, le=30 * 86_400, description="Seconds without a picture until it is ended."
    )
    label: str = Field("", max_length=100, description="For people.")


class StreamAnswer(Answer):
    """A stream."""

    id: str
    source: str
    state: Literal["connecting", "live", "lost", "ended"]
    gallery: str | None
    purpose: str | None
    n_left_out: int | None
    problem: dict[str, Any] | None


class StreamsAnswer(Answer):
    """The streams that the key may see."""

    streams: list[StreamAnswer]


def _streams(connection: Request | WebSocket) -> Streams:
    found: Streams = connection.app.state.lineament.streams
    return found


def _found(
    connection: Request | WebSocket, number: str, role: Role, principal: Principal
) -> WatchedStream:
    """A stream that the caller may see. NotFoundError, ForbiddenError."""
    stream = _streams(connection).get(number)
    if not _sees(principal, stream):
        raise NotFoundError(f"expected the id of a stream, got {number!r:.80}")
    check(principal, role, stream.settings.gallery)
    return stream


def _sees(principal: Principal, stream: WatchedStream) -> bool:
    gallery = stream.settings.gallery
    if gallery is not None:
        return principal.sees(gallery)
    return stream.owner == principal.id or principal.may("admin")


@router.post(
    "/streams",
    status_code=201,
    summary="Watch a camera or a film",
    response_model=StreamAnswer,
    **merged(
        needs("enroll"),
        writes(),
        {
            "responses": answers(404),
            "openapi_extra": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": StreamOptions.model_json_schema()}},
                }
            },
        },
    ),
)
async def add_stream(request: Request) -> Any:
    """It is watched until it is deleted, over restarts of the server; ``lineament.watch``.

    Addresses lead to the public internet, unless the server's setting stream_private is on and the
    key is an admin's. Never a path.
    """
    options = parsed(StreamOptions, await json_body(request))
    principal: Principal = request.state.principal
    check(principal, "enroll", options.gallery)
    streams = _streams(request)
    state = request.app.state.lineament

    def call() -> dict[str, Any]:
        stream = streams.add(principal, StreamSettings(**options.model_dump()), once(request))
        record(request, "add_stream", about=options.gallery, stream=stream.id)
        return stream.to_dict()

    return JSONResponse(await state.work.run(call), 201)


@router.get(
    "/streams",
    summary="What is watched",
    response_model=StreamsAnswer,
    **merged(needs("verify"), at_writer(), {"responses": answers()}),
)
async def list_streams(request: Request) -> Any:
    """The streams of the key's galleries, the oldest first."""
    seen = [one for one in _streams(request).list() if _sees(request.state.principal, one)]
    return JSONResponse({"streams": [stream.to_dict() for stream in seen]})


@router.get(
    "/streams/{stream}",
    summary="One stream and its state",
    response_model=StreamAnswer,
    **merged(needs("verify"), at_writer(), {"responses": answers(404)}),
)
async def get_stream(request: Request, stream: str) -> Any:
    """Connecting, live, lost (it is asked for again and again) or ended, and since when."""
    return JSONResponse(_found(request, stream, "verify", request.state.principal).to_dict())


@router.delete(
    "/streams/{stream}",
    status_code=204,
    summary="End a stream",
    **merged(needs("enroll"), writes(), {"responses": answers(404)}),
)
async def delete_stream(request: Request, stream: str) -> Response:
    """Its events are gone, too."""
    found = _found(request, stream, "enroll", request.state.principal)

    def call() -> None:
        _streams(request).remove(stream)
        record(request, "delete_stream", about=found.settings.gallery, stream=stream)

    await asyncio.get_running_loop().run_in_executor(None, call)
    return Response(status_code=204)


@router.get(
    "/streams/{stream}/events",
    summary="Events as they happen (server-sent events)",
    response_class=StreamingResponse,
    **merged(
        needs("verify"),
        at_writer(),
        {"responses": {**answers(404), 200: {"description": "events", "content": SSE_CONTENT}}},
    ),
)
async def stream_events(request: Request, stream: str, after: After = None) -> Any:
    """From now on, or after the number in Last-Event-ID or ``after``; 0: all that are kept.

    Kinds: appeared, identified, changed, left (the library's ``Event``), state, and gap where some
    are not kept any more. The last 10,000 are.
    """
    found = _found(request, stream, "verify", request.state.principal)
    return events_of(found.feed, request, request.app.state.lineament.stopping)


@router.get(
    "/streams/{stream}/snapshot",
    summary="The newest picture, with people marked",
    response_class=Response,
    **merged(
        needs("enroll"),
        at_writer(),
        {"responses": {**answers(404), 200: {"content": {"image/jpeg": {}}}}},
    ),
)
async def stream_snapshot(request: Request, stream: str) -> Response:
    """JPEG, at most 1280 pixels wide or high; 404 while there is none."""
    found = _found(request, stream, "enroll", request.state.principal)
    picture = found.preview.picture
    if picture is None:
        raise NotFoundError(f"there is no picture: the stream is {found.state}")
    return Response(picture, media_type="image/jpeg")


@router.get(
    "/streams/{stream}/preview.mjpeg",
    summary="Moving pictures, with people marked",
    response_class=StreamingResponse,
    **merged(
        needs("enroll"),
        at_writer(),
        {"responses": {**answers(404), 200: {"content": {"multipart/x-mixed-replace": {}}}}},
    ),
)
async def stream_preview(request: Request, stream: str) -> Any:
    """At most ten JPEGs a second, for at most four viewers at once."""
    found = _found(request, stream, "enroll", request.state.principal)
    found.preview.check_room()
    return StreamingResponse(
        found.preview.parts(request.app.state.lineament.stopping),
        media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}",
    )


@router.websocket("/streams/{stream}/live")
async def stream_live(socket: WebSocket, stream: str) -> None:
    """The same events, each a JSON text: {"id", "kind", "data"}; ``?after=`` goes on."""
    try:
        found = _found(socket, stream, "verify", caller_of(socket))
        after = asked_after(socket)
        found.feed.check_room()
    except LineamentError as error:
        await refuse(socket, error)
        return
    await socket.accept()
    stopping = socket.app.state.lineament.stopping

    async def send() -> None:
        async for entries in found.feed.follow(
            found.feed.last if after is None else after, stopping
        ):
            for entry in entries:
                await socket.send_json(entry.to_dict())
        await socket.close(LOST if stopping.is_set() else 1000)

    async def wait() -> None:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    tasks = {asyncio.create_task(send()), asyncio.create_task(wait())}
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await task

"""Liveness sessions of a server, awaited; ``_liveness`` says what the methods do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from lineament.arguments import checked
from lineament.client import _liveness_calls as calls
from lineament.client._connection import AsyncConnection
from lineament.client._liveness import ASK_S, END_S
from lineament.client._liveness_calls import ANSWER_S, Exchange, LivenessSession
from lineament.client._uploads import upload_of
from lineament.finder import Source
from lineament.liveness.active import SessionState


class AsyncServedLiveness:
    """``ServedLiveness``, awaited."""

    def __init__(self, connection: AsyncConnection) -> None:
        """For ``AsyncClient.liveness``."""
        self._connection = connection

    @checked
    async def create(
        self,
        *,
        photo: Source | None = None,
        gallery: str | None = None,
        person: str | None = None,
        purpose: str | None = None,
    ) -> LivenessSession:
        """As ``ServedLiveness.create``."""
        upload = None if photo is None else await asyncio.to_thread(upload_of, photo)
        return await self._connection.send(calls.create(upload, gallery, person, purpose))

    @checked
    async def get(self, session: str) -> LivenessSession:
        """As ``ServedLiveness.get``."""
        return await self._connection.send(calls.get(session))

    @checked
    def show(self, session: LivenessSession) -> AsyncShownSession:
        """As ``ServedLiveness.show``: ``async with``."""
        return AsyncShownSession(self._connection, session)

    @checked
    async def run(
        self,
        frames: Iterable[Any] | AsyncIterable[Any],
        session: LivenessSession,
        show: Callable[[SessionState], None] | None = None,
    ) -> LivenessSession:
        """As ``ServedLiveness.run``; frames may come from an asynchronous iterator, too."""
        async with self.show(session) as shown:
            async for frame in _each(frames):
                state = await shown.feed(frame)
                if show is not None:
                    show(state)
                if state.done:
                    break
            return await shown.finish()


async def _each(frames: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterable[Any]:
    """Frames, of which a camera's are waited for in a thread."""
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
        return
    following, end = iter(frames), object()
    while True:
        frame = await asyncio.to_thread(next, following, end)
        if frame is end:
            return
        yield frame


class AsyncShownSession:
    """``ShownSession``, awaited: ``async with client.liveness.show(session) as shown:``."""

    def __init__(self, connection: AsyncConnection, session: LivenessSession) -> None:
        """For ``AsyncServedLiveness.show``."""
        self._connection, self._session = connection, session
        self._socket: Any = None
        self._open = AsyncExitStack()
        self._said = Exchange(time.monotonic())

    async def __aenter__(self) -> Self:
        """As ``ShownSession.__enter__``."""
        calls.imported()
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        connection = self._connection
        address, options = calls.opening(
            self._session, connection.http, connection.verify,
            proxies=connection.proxies, timeout=connection.timeout,
        )  # fmt: skip
        try:
            self._socket = await self._open.enter_async_context(connect(address, **options))
        except (OSError, WebSocketException) as error:
            raise calls.refusal(error, connection.address) from error
        self._said = Exchange(time.monotonic())
        try:
            await self._hear(connection.timeout)
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """As ``ShownSession.__exit__``."""
        await self._open.aclose()

    @property
    def state(self) -> SessionState:
        """As ``ShownSession.state``."""
        assert self._said.state is not None
        return self._said.state

    async def feed(self, frame: Any) -> SessionState:
        """As ``ShownSession.feed``."""
        if self._said.result is None:
            data = await asyncio.to_thread(calls.jpeg_of, frame)
            self._said.sent += 1
            await self._send(data)
            await self._hear(ANSWER_S)
        return self.state

    async def finish(self) -> LivenessSession:
        """As ``ShownSession.finish``."""
        if self._said.result is not None:
            return self._said.result
        await self._open.aclose()
        due = time.monotonic() + END_S
        while True:
            found = await self._connection.send(calls.get(self._session.id))
            if found.state in ("done", "expired") or time.monotonic() > due:
                return found
            await asyncio.sleep(ASK_S)

    async def _send(self, data: bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await self._socket.send(data)
        except ConnectionClosed:
            return  # what was said before that is still to be heard

    async def _hear(self, most_s: float) -> None:
        from websockets.exceptions import ConnectionClosed

        while self._said.waits:
            try:
                message = await asyncio.wait_for(self._socket.recv(), most_s)
            except TimeoutError:
                self._said.check_time(time.monotonic(), self._connection.timeout)
                if self._said.state is not None:
                    return
                continue
            except ConnectionClosed as error:
                raise calls.refusal(error, self._connection.address) from error
            self._said.take(message, time.monotonic())

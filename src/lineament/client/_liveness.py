"""Liveness sessions of a server: ``client.liveness``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from lineament.arguments import checked
from lineament.client import _liveness_calls as calls
from lineament.client._connection import Connection
from lineament.client._liveness_calls import ANSWER_S, Exchange, LivenessSession
from lineament.client._uploads import upload_of
from lineament.finder import Source
from lineament.liveness.active import SessionState

END_S, ASK_S = 10.0, 0.05
"""So long the result of a session that was broken off is asked for, and how often."""


class ServedLiveness:
    """Is somebody there? The server draws what is asked for, and looks at the frames.

    Examples:
        >>> session = client.liveness.create(gallery="staff", person="Ada Lovelace")
        >>> ended = client.liveness.run(open_source(0), session, lambda state: print(state.prompt))
        >>> ended.liveness.outcome, ended.decision.verdict
        ('live', 'same')
    """

    def __init__(self, connection: Connection) -> None:
        """For ``Client.liveness``."""
        self._connection = connection

    @checked
    def create(
        self,
        *,
        photo: Source | None = None,
        gallery: str | None = None,
        person: str | None = None,
        purpose: str | None = None,
    ) -> LivenessSession:
        """Draw a session. Frames have to come within two minutes.

        A service that keeps its key to itself gives only ``ticket`` and ``frames_path`` to a
        browser, and asks how it ended with ``get``.

        Args:
            photo: of who it should be; or
            gallery, person: who it should be; with none of them nobody in particular.
            purpose: with a person, as for ``Gallery.verify``: where it was not consented to, there
                is no decision, and the session's problem says so.

        Raises:
            OptionError: a photo and a person, or only one of gallery and person.
            BusyError: too many sessions at once, or within a minute.
            NoFaceError, ImageError: of the photo.
            UnknownPersonError, GalleryNotFoundError: there is none of that name.
        """
        upload = None if photo is None else upload_of(photo)
        return self._connection.send(calls.create(upload, gallery, person, purpose))

    @checked
    def get(self, session: str) -> LivenessSession:
        """How a session stands or ended; ten minutes after it was made it is forgotten.

        Raises:
            NotFoundError: there is none of that id, or it is somebody else's.
        """
        return self._connection.send(calls.get(session))

    @checked
    def show(self, session: LivenessSession) -> ShownSession:
        """Show frames to a session, one after the other: a context manager.

        Args:
            session: a new one; it can be shown to once.
        """
        return ShownSession(self._connection, session)

    @checked
    def run(
        self,
        frames: Iterable[Any],
        session: LivenessSession,
        show: Callable[[SessionState], None] | None = None,
    ) -> LivenessSession:
        """Show frames until the session is over, as ``lineament.liveness.active.run``.

        Args:
            frames: such as ``lineament.video.open_source`` gives.
            session: a new one.
            show: called after each frame, to tell the person what to do.

        Raises:
            ConflictError: it was shown to before, or has expired.
            ImageError: a frame could not be read, which ends the session.
            ServiceError: the WebSocket broke.
        """
        with self.show(session) as shown:
            for frame in frames:
                state = shown.feed(frame)
                if show is not None:
                    show(state)
                if state.done:
                    break
            return shown.finish()


class ShownSession:
    """A session that frames are shown to: ``with client.liveness.show(session) as shown:``."""

    def __init__(self, connection: Connection, session: LivenessSession) -> None:
        """For ``ServedLiveness.show``."""
        self._connection, self._session = connection, session
        self._socket: Any = None
        self._open = ExitStack()
        self._said = Exchange(time.monotonic())

    def __enter__(self) -> Self:
        """Open the WebSocket, and hear what is asked for first."""
        calls.imported()
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        connection = self._connection
        address, options = calls.opening(
            self._session, connection.http, connection.verify,
            proxies=connection.proxies, timeout=connection.timeout,
        )  # fmt: skip
        try:
            self._socket = self._open.enter_context(connect(address, **options))
        except (OSError, WebSocketException) as error:
            raise calls.refusal(error, connection.address) from error
        self._said = Exchange(time.monotonic())
        try:
            self._hear(connection.timeout)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up: a session that is not over ends as "unsure"."""
        self._open.close()

    @property
    def state(self) -> SessionState:
        """Where the session stands, and what the person should do now."""
        assert self._said.state is not None
        return self._said.state

    def feed(self, frame: Any) -> SessionState:
        """Show the next frame, and wait until the server has looked at it, as ``ActiveSession``.

        Args:
            frame: a ``VideoFrame``, bytes of a JPEG, or what ``lineament.load_image`` reads; frames
                of more than 1920 x 1080 pixels are made smaller.

        Raises:
            ImageError: it could not be read, which ends the session.
            TooSlowError, ServiceError: the server does not answer, or the WebSocket broke.
        """
        if self._said.result is None:
            data = calls.jpeg_of(frame)
            self._said.sent += 1
            self._send(data)
            self._hear(ANSWER_S)
        return self.state

    def finish(self) -> LivenessSession:
        """How it ended; a session that is not over ends here, as "unsure"."""
        if self._said.result is not None:
            return self._said.result
        self._open.close()
        due = time.monotonic() + END_S
        while True:
            found = self._connection.send(calls.get(self._session.id))
            if found.state in ("done", "expired") or time.monotonic() > due:
                return found
            time.sleep(ASK_S)

    def _send(self, data: bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            self._socket.send(data)
        except ConnectionClosed:
            return  # what was said before that is still to be heard

    def _hear(self, most_s: float) -> None:
        from websockets.exceptions import ConnectionClosed

        while self._said.waits:
            try:
                message = self._socket.recv(most_s)
            except TimeoutError:
                self._said.check_time(time.monotonic(), self._connection.timeout)
                if self._said.state is not None:
                    return
                continue
            except ConnectionClosed as error:
                raise calls.refusal(error, self._connection.address) from error
            self._said.take(message, time.monotonic())

"""The newest frame of a stream with people marked in it, as JPEG."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from threading import Lock

import cv2
import numpy as np

from lineament.errors import BusyError
from lineament.pictures.tracked import jpeg_of
from lineament.server.feed import Stops
from lineament.server.work import soon
from lineament.video.events import Event
from lineament.video.outputs import Draw
from lineament.video.tracks import TrackedFrame

MOST_VIEWERS = 4
"""Of one stream's moving preview."""

EVERY_S, IDLE_S = 0.1, 2.0
"""Between two pictures, while somebody looks and while nobody does."""

LARGEST_PX = 1280
"""Of a picture's longer side."""

BOUNDARY = "lineament-frame"


class LatestPicture:
    """An ``Output`` of a watch that keeps one picture."""

    def __init__(self) -> None:
        """None yet."""
        self._lock = Lock()
        self._picture: bytes | None = None
        self._number = 0
        self._made_s = -IDLE_S
        self._wakers: set[Callable[[], None]] = set()
        self._ended = False

    @property
    def picture(self) -> bytes | None:
        """JPEG, at most ``IDLE_S`` older than what is seen; None: there is none (any more)."""
        return self._picture

    def take(self, frame: TrackedFrame, draw: Draw) -> None:
        """Make a picture of the frame, if it is time."""
        now = time.monotonic()
        if now - self._made_s < (EVERY_S if self._wakers else IDLE_S):
            return
        self._made_s = now
        pixels = draw()
        scale = LARGEST_PX / max(pixels.shape[:2])
        if scale < 1:
            size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        self._show(jpeg_of(pixels))

    def _show(self, data: bytes | None) -> None:
        with self._lock:
            self._picture = data
            self._number += 1
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    def finish(self, events: Sequence[Event]) -> None:
        """The watch ended; another one may go on with the same stream."""

    def discard(self) -> None:
        """The same."""

    def end(self) -> None:
        """Nothing more will come: forget the picture, and let viewers go."""
        self._ended = True
        self._show(None)

    def check_room(self) -> None:
        """BusyError: too many look already."""
        if len(self._wakers) >= MOST_VIEWERS:
            raise BusyError(
                f"expected at most {MOST_VIEWERS} who look, got one more",
                hint="ask again later; a snapshot is always there",
                retry_after_s=10,
            )

    async def parts(self, stopping: Stops) -> AsyncIterator[bytes]:
        """Pictures as parts of multipart/x-mixed-replace, the newest whenever one is taken."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            soon(loop, news.set)

        with self._lock:
            self._wakers.add(wake)
        shown = -1
        try:
            while not stopping.is_set() and not self._ended:
                news.clear()
                number, data = self._number, self._picture
                if data is not None and number != shown:
                    shown = number
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                    yield f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n"
                try:
                    async with asyncio.timeout(1.0):
                        await news.wait()
                except TimeoutError:
                    pass
        finally:
            with self._lock:
                self._wakers.discard(wake)

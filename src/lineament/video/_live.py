"""Live sources: always the newest frame, and patience with what ends and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from lineament.errors import LineamentError, OutOfMemoryError, VideoError, VideoLostError
from lineament.video._container import Container, Decoded
from lineament.video.frames import SourceInfo, SourceNote, VideoFrame, VideoLimits, size_words

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0
"""Between two attempts; each pause is twice the one before."""

_SLACK_S = 2.0
"""Given to a device beyond its limits before it is taken for stuck."""

Report = Callable[[SourceNote], None]


class LiveSource:
    """A camera or a stream. A thread reads all the time; frames that nobody waits for are dropped.

    Attributes:
        info: what is known of it.
        notes: what was noticed.
        dropped: number of frames that nobody waited for.
    """

    def __init__(
        self, opener: Callable[[], Container], limits: VideoLimits, report: Report | None = None
    ) -> None:
        """Open it for the first time.

        Args:
            opener: opens it, now and whenever it ended.
            limits: on waiting.
            report: is called with each note, from the thread that reads.

        Raises:
            VideoError: it cannot be opened.
        """
        self._opener, self._limits, self._report = opener, limits, report
        self.notes: list[SourceNote] = []
        self.dropped = 0
        first = opener()
        self.info: SourceInfo = first.info()
        self._name = self.info.name
        self._start = time.monotonic()
        self._changed = threading.Condition()
        self._newest: tuple[Container, Decoded, int, float] | None = None
        self._heard = time.monotonic()
        self._waiting_s = limits.open_timeout_s
        self._error: Exception | None = None
        self._closed = False
        self._n_frames = 0
        self._size: tuple[int, int] | None = None
        self._thread = threading.Thread(
            target=self._run, args=(first,), name="lineament-live", daemon=True
        )
        self._started = False
        self._first: Container | None = first

    def __iter__(self) -> Iterator[VideoFrame]:
        """The newest frame, whenever one is asked for; it ends when the source is closed.

        Raises:
            VideoLostError: it ended, and did not come back in time.
        """
        if not self._started and not self._closed:
            self._started, self._first = True, None
            self._heard = time.monotonic()
            self._thread.start()
        while (taken := self._take()) is not None:
            container, decoded, number, time_s = taken
            pixels = container.pixels(decoded.frame)
            size = (pixels.shape[1], pixels.shape[0])
            if self._size not in (None, size):
                self._note(SourceNote("size", size_words(self._name, size), time_s))
            self._size = size
            yield VideoFrame(number, time_s, pixels)

    def _take(self) -> tuple[Container, Decoded, int, float] | None:
        with self._changed:
            while self._newest is None and self._error is None and not self._closed:
                self._changed.wait(0.5)
                silent = time.monotonic() - self._heard
                if silent > self._waiting_s + _SLACK_S and self._newest is None:
                    self._error = VideoLostError(
                        f"{self._name}: no picture for {silent:.0f} s; check that it is running"
                    )
            taken, self._newest = self._newest, None
            if self._closed:
                return None
            if taken is None and self._error is not None:
                raise self._error
            return taken

    # --- the thread -------------------------------------------------------------------------------

    def _run(self, container: Container | None) -> None:
        try:
            while not self._closed:
                reason = self._read(container)
                if self._closed:
                    return
                container = self._again(reason)
        except Exception as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()
        finally:
            if container is not None:  # it came back just when nobody wanted it any more
                container.close()

    def _read(self, container: Container | None) -> str:
        """Read until it ends; why it did, in words."""
        if container is None:
            return "it could not be opened"
        try:
            for decoded in container.frames():
                now = time.monotonic()
                with self._changed:
                    if self._closed:
                        break
                    if self._newest is not None:
                        self.dropped += 1
                    taken = (container, decoded, self._n_frames, self._later(now))
                    self._newest = taken
                    self._n_frames += 1
                    self._heard, self._waiting_s = now, self._limits.read_timeout_s
                    self._changed.notify_all()
            return "it ended"
        except OutOfMemoryError:
            raise
        except LineamentError as error:
            return error.message.removeprefix(f"{self._name}: ")
        finally:
            container.close()

    def _later(self, now: float) -> float:
        self._last = max(now - self._start, getattr(self, "_last", -1.0) + 1e-6)
        return self._last

    def _again(self, reason: str) -> Container | None:
        """Open it once more, for as long as the limits allow. VideoLostError: in vain."""
        lost, pause = time.monotonic(), _FIRST_PAUSE_S
        give_up_s = self._limits.give_up_s
        self._note(
            SourceNote(
                "lost",
                f"{self._name}: {reason}; asking again for up to {give_up_s:g} s",
                lost - self._start,
            )
        )
        while not self._closed:
            left = lost + give_up_s - time.monotonic()
            if left <= 0:
                raise VideoLostError(
                    f"{self._name}: {reason}, and it did not come back within {give_up_s:g} s; "
                    "check that it is running"
                )
            with self._changed:
                self._heard = time.monotonic()
                self._waiting_s = pause + self._limits.open_timeout_s
                self._changed.wait_for(lambda: self._closed, min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            if self._closed:
                break
            try:
                container = self._opener()
            except VideoError as error:
                reason = error.message.removeprefix(f"{self._name}: ")
                continue
            away = time.monotonic() - lost
            self._note(
                SourceNote(
                    "returned",
                    f"{self._name}: it is back after {away:.1f} s",
                    time.monotonic() - self._start,
                )
            )
            return container
        return None

    def _note(self, note: SourceNote) -> None:
        self.notes.append(note)
        if self._report is not None:
            self._report(note)

    # --- its end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """End the walk, wherever it is, and free the device or the connection."""
        with self._changed:
            self._closed = True
            self._newest = None
            self._changed.notify_all()
        if self._first is not None:
            self._first.close()
            self._first = None
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(2.0)

    def __enter__(self) -> Self:
        """For a ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

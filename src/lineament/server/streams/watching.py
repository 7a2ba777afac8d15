"""One stream: a thread that watches it, over everything that a camera does, until it is ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Any, Literal

from lineament.errors import LineamentError, VideoError, VideoFormatError, VideoTooLargeError
from lineament.gallery import Gallery
from lineament.images import source_name
from lineament.machine import raise_if_short
from lineament.pipeline import Recognizer
from lineament.results import Outcome
from lineament.server.feed import Feed
from lineament.server.streams.preview import LatestPicture
from lineament.video import VideoLimits, open_source, watch
from lineament.video.frames import SourceNote
from lineament.video.tracks import TrackOptions
from lineament.video.watching import Watch, options_for

logger = logging.getLogger("lineament.server")

StreamState = Literal["connecting", "live", "lost", "ended"]

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
"""Between two attempts to open a stream that was not there yet; each is twice the one before."""


@dataclass(frozen=True, slots=True)
class StreamSettings(Outcome):
    """What was asked for.

    Attributes:
        url: rtsp, rtsps, http or https; it may hold a password, and is never shown.
        gallery: whose people have names; None: everybody has a number.
        liveness: "off", or "passive".
        give_up_s: seconds without a picture after which it is ended.
        label: for people.
        private: whether the address may be one of the server's own network.
        purpose: only people who consented to it have names; None: all.
    """

    url: str
    gallery: str | None = None
    liveness: Literal["off", "passive"] = "off"
    give_up_s: float = 3600.0
    label: str = ""
    private: bool = False
    purpose: str | None = None


class WatchedStream:
    """A stream that is watched.

    Attributes:
        id, owner, created: of whom, since when.
        settings: as asked for.
        feed: its events, and its states.
        preview: its newest picture.
    """

    def __init__(
        self,
        number: str,
        owner: str,
        created: float,
        settings: StreamSettings,
        *,
        recognizer: Callable[[], Recognizer],
        gallery: Callable[[str], Gallery],
        ended: Callable[[WatchedStream], None],
        problem: dict[str, Any] | None = None,
    ) -> None:
        """Do not watch yet.

        Args:
            number: its id.
            owner: id of the key that added it.
            created: seconds since 1970.
            settings: as asked for.
            recognizer, gallery: as the server has them.
            ended: called in its thread once it has ended by itself.
            problem: why it ended, of one that has.
        """
        self.id, self.owner, self.created, self.settings = number, owner, created, settings
        self.feed, self.preview = Feed(), LatestPicture()
        self._recognizer, self._gallery, self._ended = recognizer, gallery, ended
        self._state: StreamState = "connecting"
        self._since = created
        self._told = False
        self.problem = problem
        self._frames = 0
        self._noted: SourceNote | None = None
        self._lost_s: float | None = None  # of the source's clock, until it is back
        self._stop = Event()
        self._lock = Lock()
        self._watch: Watch | None = None
        self._thread: Thread | None = None

    @property
    def state(self) -> StreamState:
        """ "connecting", "live", "lost" or "ended"."""
        return self._state

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; of the address without user, password and query."""
        watched = self._watch
        size = None if watched is None else list(watched.info.size_wh)
        return {
            "id": self.id,
            "source": source_name(self.settings.url),
            "label": self.settings.label,
            "gallery": self.settings.gallery,
            "purpose": self.settings.purpose,
            "n_left_out": None if watched is None else watched.n_left_out,
            "liveness": self.settings.liveness,
            "give_up_s": self.settings.give_up_s,
            "state": self._state,
            "since": round(self._since, 3),
            "created": round(self.created, 3),
            "size_wh": size,
            "frames": self._frames,
            "last_event": self.feed.last,
            "note": None if self._noted is None else self._noted.message,
            "problem": self.problem,
        }

    def mark_ended(self) -> None:
        """It had ended before the server was started."""
        self._state = "ended"
        self.feed.end()
        self.preview.end()

    def start(self) -> None:
        """Watch, in a thread."""
        self._thread = Thread(target=self._run, name=f"lineament-stream-{self.id}", daemon=True)
        self._thread.start()

    def stop(self, *, wait_s: float = 10.0) -> None:
        """End; a second call does nothing."""
        self._stop.set()
        with self._lock:
            watched = self._watch
        if watched is not None:
            watched.close()
        if self._thread is not None:
            self._thread.join(wait_s)
        self.feed.end()
        self.preview.end()

    def forget(self, known: Callable[[str], bool]) -> None:
        """Take names out of the events that are kept: those that are not known (any more)."""

        def edit(data: dict[str, Any]) -> dict[str, Any] | None:
            gone = {
                key: None
                for key in ("name", "was_name")
                if data.get(key) is not None and not known(data[key])
            }
            return data | gone if gone else None

        self.feed.change(edit)

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        self._say("connecting")
        heard, pause = time.monotonic(), FIRST_PAUSE_S
        while not self._stop.is_set():
            before = self._frames
            try:
                live = self._follow()
                if self._stop.is_set():
                    return
                if not live:
                    self._end(None)
                    return
                error: LineamentError = VideoError(
                    f"{source_name(self.settings.url)}: it ended", hint="check that it is running"
                )
            except LineamentError as raised:
                error = raised
            except Exception as raised:
                raise_if_short(raised)
                logger.exception("stream %s failed", self.id)
                error = LineamentError("the server failed; its log has the reason")
            if self._stop.is_set():
                return
            if self._frames > before:
                heard, pause = time.monotonic(), FIRST_PAUSE_S
            if not _may_come(error) or time.monotonic() - heard + pause > self.settings.give_up_s:
                self._end(error.to_dict())
                return
            self.problem = error.to_dict()
            self._say("lost" if self._frames else "connecting")
            self._stop.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _follow(self) -> bool:
        """Watch until it ends; whether it was live."""
        chosen = self.settings
        limits = VideoLimits(allow_private=chosen.private, give_up_s=chosen.give_up_s)
        self._lost_s = None
        source = open_source(chosen.url, limits=limits, report=self._note)
        try:
            gallery = None if chosen.gallery is None else self._gallery(chosen.gallery)
            watched = watch(
                source,
                gallery,
                recognizer=self._recognizer() if gallery is None else gallery.recognizer,
                options=options_for(
                    source.info, TrackOptions(liveness=chosen.liveness, purpose=chosen.purpose)
                ),
                outputs=[self.preview],
            )
        except BaseException:
            source.close()
            raise
        with watched:
            with self._lock:
                self._watch = watched
            if self._stop.is_set():
                return source.info.live
            for frame in watched:
                self._frames += 1
                # Frames of before it was lost may still come out of the analysis.
                if self._state != "live" and self._is_new(frame.time_s):
                    self.problem = None
                    self._say("live")
                for event in frame.events:
                    self.feed.add(event.kind, self._stamped(event.to_dict()))
        for event in watched.closing_events:
            self.feed.add(event.kind, self._stamped(event.to_dict()))
        return source.info.live

    def _stamped(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"stream": self.id, "at": round(time.time(), 3)} | data

    def _is_new(self, time_s: float) -> bool:
        lost_s = self._lost_s
        return lost_s is None or time_s > lost_s

    def _note(self, note: SourceNote) -> None:
        self._noted = note
        if note.kind == "lost":
            self._lost_s = note.time_s
            self._say("lost")
        elif note.kind == "returned":
            self._lost_s = None

    def _say(self, state: StreamState) -> None:
        if state == self._state and self._told:
            return
        self._state, self._since, self._told = state, time.time(), True
        self.feed.add("state", self._stamped({"state": state, "problem": self.problem}))

    def _end(self, problem: dict[str, Any] | None) -> None:
        self.problem = problem
        self._say("ended")
        self.feed.end()
        self.preview.end()
        self._ended(self)


def _may_come(error: LineamentError) -> bool:
    """Whether asking again may help."""
    lasting = isinstance(error, (VideoFormatError, VideoTooLargeError))
    return isinstance(error, VideoError) and not lasting

"""Watch a source: decoding, analysis and output side by side, one frame after the other.

    with lineament.watch("door.mp4", "people/") as frames:
        for frame in frames:
            frame.tracks, frame.events, frame.pixels

Three threads: one decodes (of live sources: reads all the time), one follows people, one draws and
writes. Lines between them are short, so that no film fills the memory; of a live source frames are
dropped, so that what is seen is what happens now.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lineament.arguments import checked
from lineament.errors import LineamentError, OptionError
from lineament.gallery import Gallery
from lineament.machine import trim
from lineament.pipeline import Recognizer
from lineament.results import Outcome, Pictured
from lineament.types import Image, Liveness
from lineament.video._line import Line
from lineament.video.events import Event
from lineament.video.frames import (
    DEFAULT_VIDEO_LIMITS,
    FrameSource,
    SourceInfo,
    SourceNote,
    VideoFrame,
    VideoLimits,
)
from lineament.video.memory import Memory
from lineament.video.outputs import (
    AnnotatedFilm,
    BestShots,
    EventLines,
    Output,
    OutputThread,
    worth,
)
from lineament.video.people import PeopleTracker
from lineament.video.revising import Revision
from lineament.video.sources import FilmSource, open_source, opener_of
from lineament.video.tracks import BestShot, Track, TrackedFrame, TrackOptions
from lineament.video.writing import FilmWriter

WAITING_BYTES = 64 << 20
"""Decoded frames that wait at the most, and no more than ``MOST_WAITING``."""

MOST_WAITING = 6

LIVE_SHARE = 0.7
"""Of the time between two frames of a live source that looking at one may take, on average."""

_LIVE_RATE = 30.0

_TRIM_EVERY = 300
"""Frames after which freed memory is given back: pixels are made in one thread and freed in
another, which the C library is slow to do by itself. It takes some milliseconds."""

_PATIENCE_S = 3.0
"""For so long a source that was closed is waited for."""


@dataclass(frozen=True, eq=False, slots=True)
class WatchedFrame(TrackedFrame, Pictured):
    """Who is in one frame, and its pixels.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, upright.
    """

    pixels: Image


@dataclass(frozen=True, slots=True)
class Stay(Outcome):
    """One visit of a person.

    Attributes:
        from_s, to_s: when the person came, and was last seen, by the source's clock.
    """

    from_s: float
    to_s: float


@dataclass(frozen=True, eq=False, slots=True)
class WatchedPerson(Outcome):
    """Somebody who was in the picture.

    Attributes:
        id: the lasting number.
        name: in the gallery, as it was last; None: no name.
        probability: that the name is right, 0 to 1; None without a name or a calibration.
        known: whether the person had been seen before this source.
        stays: when the person was there.
        best_shot: the best look; None: none was good enough.
        liveness: whether somebody was there, and no picture, as it was judged last; None: not
            checked.
    """

    id: int
    name: str | None
    probability: float | None
    known: bool
    stays: tuple[Stay, ...]
    best_shot: BestShot | None
    liveness: Liveness | None = None

    @property
    def seconds(self) -> float:
        """How long in all."""
        return sum(stay.to_s - stay.from_s for stay in self.stays)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "probability": self.probability,
            "known": self.known,
            "stays": [
                {"from_s": round(stay.from_s, 4), "to_s": round(stay.to_s, 4)}
                for stay in self.stays
            ],
            "best_shot": None if self.best_shot is None else self.best_shot.to_dict(),
            "liveness": None if self.liveness is None else self.liveness.to_dict(),
        }


@dataclass(frozen=True, eq=False, slots=True)
class WatchSummary(Outcome):
    """What was seen of a source up to now.

    Attributes:
        video: what is known of the source.
        n_frames: number of frames that were looked at.
        n_dropped: of a live source: number of frames that came too late.
        n_events: number of events.
        duration_s: time of the last frame, by the source's clock.
        people: who was there, by number.
        noticed: what was noticed of the source.
        n_left_out: how many people of the gallery got no name, since they did not consent to the
            purpose of ``TrackOptions``; None without one.
    """

    video: SourceInfo
    n_frames: int
    n_dropped: int
    n_events: int
    duration_s: float
    people: tuple[WatchedPerson, ...]
    noticed: tuple[SourceNote, ...]
    n_left_out: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "video": self.video.to_dict(),
            "n_frames": self.n_frames,
            "n_dropped": self.n_dropped,
            "n_events": self.n_events,
            "duration_s": round(self.duration_s, 4),
            "people": [person.to_dict() for person in self.people],
            "noticed": [note.to_dict() for note in self.noticed],
            **({} if self.n_left_out is None else {"n_left_out": self.n_left_out}),
        }


@dataclass(slots=True)
class _Seen:
    """What is known of a person while watching."""

    name: str | None = None
    probability: float | None = None
    known: bool = False
    stays: list[list[float]] = field(default_factory=list)
    shot: BestShot | None = None
    liveness: Liveness | None = None


class _Diary:
    """Who was there when: what a summary is made of. Events come from the analysis alone."""

    def __init__(self) -> None:
        self._people: dict[int, _Seen] = {}
        self._lock = threading.Lock()
        self.n_frames = self.n_events = 0
        self.time_s = 0.0

    def take(self, frame: TrackedFrame) -> None:
        """A frame was looked at."""
        with self._lock:
            self.n_frames += 1
            self.time_s = frame.time_s
            self._note(frame.events)
            for track in frame.tracks:
                seen = self._people.get(track.id)
                if seen is not None:
                    _update(seen, track, frame.time_s)

    def close(self, events: Sequence[Event]) -> None:
        """The last events happened."""
        with self._lock:
            self._note(events)

    def _note(self, events: Sequence[Event]) -> None:
        self.n_events += len(events)
        for event in events:
            if event.kind == "appeared":
                seen = self._people.setdefault(event.track_id, _Seen(known=event.known))
                seen.stays.append([event.time_s, event.time_s])
            elif event.kind == "changed" and event.was_id is not None:
                self._move(event)
            seen = self._people.setdefault(event.track_id, _Seen(known=event.known))
            if event.kind == "left" and seen.stays:
                seen.stays[-1][1] = max(seen.stays[-1][1], event.time_s)
            seen.name = event.name
            seen.probability = event.probability

    def _move(self, event: Event) -> None:
        """A visit turned out to be somebody else's."""
        assert event.was_id is not None
        before = self._people.get(event.was_id)
        if before is None or not before.stays:
            return
        seen = self._people.setdefault(event.track_id, _Seen(known=event.known))
        seen.stays.append(before.stays.pop())
        if not before.stays:
            del self._people[event.was_id]

    def people(self) -> tuple[WatchedPerson, ...]:
        """Who was there, by number."""
        with self._lock:
            return tuple(
                WatchedPerson(
                    number,
                    seen.name,
                    seen.probability,
                    seen.known,
                    tuple(Stay(*stay) for stay in seen.stays),
                    seen.shot,
                    seen.liveness,
                )
                for number, seen in sorted(self._people.items())
            )


def _update(seen: _Seen, track: Track, time_s: float) -> None:
    if track.seen and seen.stays:
        seen.stays[-1][1] = max(seen.stays[-1][1], time_s)
    if track.name is not None and track.name == seen.name:
        seen.probability = track.probability
    if track.liveness is not None:
        seen.liveness = track.liveness
    shot = track.best_shot
    if shot is not None and (seen.shot is None or worth(shot) >= worth(seen.shot)):
        seen.shot = shot


class Watch:
    """A source that is watched: walk over it for ``WatchedFrame``s, once.

    Attributes:
        info: what is known of the source.
        closing_events: what happened with the end: who was still there has left. Empty before.
    """

    def __init__(
        self,
        source: FrameSource,
        tracker: PeopleTracker,
        outputs: Sequence[Output] = (),
        *,
        resources: ExitStack | None = None,
        notes: list[SourceNote] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Use ``watch``.

        Args:
            source: it is open, and closed in the end.
            tracker: follows people.
            outputs: what gets every frame as well.
            resources: closed in the end.
            notes: of the source, as they grow; None: the source's own.
            progress: see ``watch``.

        Raises:
            OptionError: it is to be revised, and can be read once only.
        """
        self.info = source.info
        self.closing_events: tuple[Event, ...] = ()
        self._source, self._tracker, self._outputs = source, tracker, outputs
        self._resources = ExitStack() if resources is None else resources
        self._notes = notes
        self._diary = _Diary()
        most = _waiting(source.info)
        self._frames: Line[VideoFrame] | None = None if self.info.live else Line(most)
        self._found: Line[WatchedFrame] = Line(1 if self.info.live else most)
        self._most = most
        self._threads: list[tuple[threading.Thread, float | None]] = []
        self._writing: OutputThread | None = None
        self._started = self._closed = self._left_early = False
        self._progress = progress
        self._revision: Revision | None = None
        self._again = opener_of(source) if tracker.options.revise else None
        if tracker.options.revise and self._again is None:
            raise OptionError(
                f"{source.info.name}: expected a film or a folder of frames, which can be read "
                "twice",
                option="revise",
            )

    # --- for the caller ---------------------------------------------------------------------------

    @property
    def is_revised(self) -> bool:
        """Whether the film is followed to its end before the first frame comes."""
        return self._again is not None

    def __iter__(self) -> Iterator[WatchedFrame]:
        """The frames, in order.

        What goes wrong in any thread is raised here, after all frames before it. Leaving the walk,
        also by Ctrl-C, finishes everything that is written.

        Raises:
            VideoError: the source cannot be read any further.
            OptionError: an output cannot be written any more.
        """
        self._start()
        try:
            yield from self._found
        finally:
            self.close()
        self._raise_of_outputs()

    @property
    def n_left_out(self) -> int | None:
        """As ``WatchSummary`` has it, up to now."""
        return self._tracker.n_left_out

    def run(self) -> WatchSummary:
        """Watch to the end; raises as walking does."""
        for _ in self:
            pass
        return self.summary()

    def summary(self) -> WatchSummary:
        """What was seen up to now."""
        notes = self._source.notes if self._notes is None else self._notes
        return WatchSummary(
            self.info,
            self._diary.n_frames,
            getattr(self._source, "dropped", 0),
            self._diary.n_events,
            self._diary.time_s,
            self._diary.people(),
            tuple(notes),
            self._tracker.n_left_out,
        )

    def close(self) -> None:
        """Stop, and finish everything that is written; a second call does nothing.

        Raises:
            OptionError: an output cannot be written; only where nothing else is raised already.
        """
        if self._closed:
            return
        self._closed = True
        self._found.leave()
        self._source.close()
        if self._frames is not None:
            self._frames.leave()
        for thread, patience_s in self._threads:
            thread.join(patience_s)
        if not self._started:
            for output in self._outputs:
                with suppress(LineamentError, OSError):
                    output.discard()
        self._resources.close()

    def __enter__(self) -> Self:
        """For a ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and finish."""
        self.close()
        if kind is None:
            self._raise_of_outputs()

    def _raise_of_outputs(self) -> None:
        if self._writing is not None and self._writing.error is not None:
            error, self._writing.error = self._writing.error, None
            raise error

    # --- the threads ------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._started or self._closed:
            return
        self._started = True
        if self._outputs:
            self._writing = OutputThread(self._outputs, self._most, self._stop)
        targets: list[tuple[str, Callable[[], None], float | None]] = [
            ("analysis", self._analyse, None)
        ]
        if self._frames is not None:  # a generator of others may wait for ever
            targets.append(("decoding", self._decode, _PATIENCE_S))
        for name, target, patience_s in targets:
            thread = threading.Thread(target=target, name=f"lineament-{name}", daemon=True)
            self._threads.append((thread, patience_s))
            thread.start()

    def _stop(self) -> None:
        """An output failed: nobody needs further frames."""
        self._source.close()

    def _decode(self) -> None:
        assert self._frames is not None
        error: BaseException | None = None
        try:
            for frame in self._source:
                if not self._frames.put(frame):
                    break
        except BaseException as raised:
            error = raised
        self._frames.end(error)

    def _analyse(self) -> None:
        error: BaseException | None = None
        frames = self._source if self._frames is None else self._frames
        try:
            if self._tracker.options.revise:
                self._look_twice(frames)
            else:
                for frame in frames:
                    if not self._hand_on(self._look(frame)):
                        break
        except BaseException as raised:
            error = raised
        try:
            self.closing_events = self._finish()
        except BaseException as raised:
            error = raised if error is None else error
        self._diary.close(self.closing_events)
        if self._writing is not None:
            self._writing.end(self.closing_events)
        self._found.end(error)

    def _hand_on(self, found: WatchedFrame) -> bool:
        """Give a frame to the outputs and to the caller; False: nobody takes any more."""
        if self._writing is not None and not self._writing.put(found):
            return False
        return self._found.put(found) or self._left_early

    def _look_twice(self, frames: Iterable[VideoFrame]) -> None:
        """Follow people to the end first, then say of each frame who is in it."""
        for number, frame in enumerate(frames, 1):
            self._tracker.step(frame)
            if self._progress is not None:
                self._progress(number)
            if number % _TRIM_EVERY == 0:
                trim()
        self._left_early = self._closed  # what was seen up to then is written nevertheless
        self._tracker.finish()
        self._revision = self._tracker.revision()
        assert self._again is not None
        with self._again() as again:
            for _, frame in zip(range(len(self._revision)), again, strict=False):
                tracked = self._revision.step(frame)
                if not self._hand_on(self._watched(tracked, frame)):
                    if isinstance(self._source, FilmSource):
                        self._source.ended = False  # the sound goes as far as the pictures
                    break

    def _finish(self) -> tuple[Event, ...]:
        return self._tracker.finish() if self._revision is None else self._revision.finish()

    def _look(self, frame: VideoFrame) -> WatchedFrame:
        return self._watched(self._tracker.step(frame), frame)

    def _watched(self, tracked: TrackedFrame, frame: VideoFrame) -> WatchedFrame:
        found = WatchedFrame(
            tracked.number,
            tracked.time_s,
            tracked.tracks,
            tracked.events,
            tracked.detected,
            frame.pixels,
        )
        self._diary.take(found)
        if self._diary.n_frames % _TRIM_EVERY == 0:
            trim()
        return found


def _waiting(info: SourceInfo) -> int:
    """How many frames may wait."""
    width, height = info.size_wh
    size = 3 * width * height
    return MOST_WAITING if not size else max(1, min(MOST_WAITING, WAITING_BYTES // size))


@checked
def watch(
    source: Any,
    gallery: Gallery | str | os.PathLike[str] | None = None,
    *,
    recognizer: Recognizer | None = None,
    memory: Memory | str | os.PathLike[str] | None = None,
    options: TrackOptions | None = None,
    out: str | os.PathLike[str] | None = None,
    events: str | os.PathLike[str] | None = None,
    shots: str | os.PathLike[str] | None = None,
    outputs: Sequence[Output] = (),
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
    rate: float | None = None,
    report: Callable[[SourceNote], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Watch:
    """Watch a camera, a film or a stream, and follow the people in it.

    Args:
        source: where frames come from; whatever ``video.open_source`` takes.
        gallery: people with names, or the folder of a gallery; None: everybody has a number only.
        recognizer: finds and embeds faces; None: the gallery's, else the default.
        memory: people seen before, or the file that they are kept in (made, if there is none);
            None: they are forgotten at the end.
        options: of the tracking; None: the defaults, and of a live source no more work than there
            is time for. With ``revise`` a film is read twice: people are followed to its end, then
            frames, events and outputs come with all of it known.
        out: a film is written there, with the people marked: .mp4, .m4v, .mov, .mkv or .webm.
        events: events are written there, a line of JSON each, as they happen.
        shots: a folder that exists: of every person the best look, ``person-NUMBER.png``.
        outputs: more of them.
        limits: on pixels, waiting and addresses.
        rate: see ``video.open_source``.
        report: is called with each note on the source, which may be in another thread.
        progress: is called, in another thread, with the number of frames that were looked at, while
            no frame comes yet since the film is followed to its end first.

    Returns:
        To be walked over, or ``run``; nothing is read before.

    Raises:
        VideoError: the source cannot be opened.
        GalleryError, ContractError, DataError: of the gallery and the memory.
        OptionError: an option that makes no sense, or an output that cannot be written.
        MissingExtraError: PyAV is not installed (the extra ``video``).
    """
    with ExitStack() as stack:
        opened = gallery
        if isinstance(gallery, (str, os.PathLike)):
            opened = stack.enter_context(Gallery.open(gallery, read_only=True))
        assert opened is None or isinstance(opened, Gallery)
        if recognizer is None:
            recognizer = Recognizer() if opened is None else opened.recognizer
        if isinstance(memory, (str, os.PathLike)):
            memory = Memory.open(memory)
        notes: list[SourceNote] = []
        frames = stack.enter_context(
            open_source(source, limits=limits, rate=rate, report=_both(notes, report))
        )
        tracker = PeopleTracker(
            recognizer,
            opened,
            memory=memory,
            options=options_for(frames.info) if options is None else options,
        )
        made: list[Output] = []
        discarding = stack.enter_context(ExitStack())
        if out is not None:
            made.append(AnnotatedFilm(FilmWriter(out, frames)))
            discarding.callback(made[-1].discard)
        if events is not None:
            made.append(EventLines(events))
            discarding.callback(made[-1].discard)
        if shots is not None:
            made.append(BestShots(Path(shots)))
        discarding.pop_all()  # from here on they are the watch's
        own = None if frames is source else notes
        return Watch(
            frames,
            tracker,
            [*made, *outputs],
            resources=stack.pop_all(),
            notes=own,
            progress=progress,
        )


def _both(
    notes: list[SourceNote], report: Callable[[SourceNote], None] | None
) -> Callable[[SourceNote], None]:
    def take(note: SourceNote) -> None:
        notes.append(note)
        if report is not None:
            report(note)

    return take


def options_for(info: SourceInfo, options: TrackOptions | None = None) -> TrackOptions:
    """Options that fit a source: of a live one no more work than there is time for.

    Args:
        info: of the source.
        options: to begin with; None: the defaults. A budget in it stays.
    """
    options = TrackOptions() if options is None else options
    if not info.live or options.budget_s is not None:
        return options
    rate = info.rate if info.rate is not None and math.isfinite(info.rate) else _LIVE_RATE
    return replace(options, budget_s=LIVE_SHARE / min(rate, 60.0))

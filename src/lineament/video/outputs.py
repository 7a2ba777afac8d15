"""Where watched frames go: an annotated film, a file of events, the best shots, a page.

Each is an ``Output``; one thread gives them every frame in turn, beside the analysis.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from lineament.errors import LineamentError, OptionError
from lineament.files import replace_file
from lineament.results import as_json
from lineament.text import reason_of
from lineament.types import Image
from lineament.video._line import Line
from lineament.video.events import Event
from lineament.video.frames import VideoFrame
from lineament.video.tracks import BestShot, TrackedFrame
from lineament.video.writing import FilmWriter

_PICTURES = "lineament.pictures.tracked"
"""Draws frames. By its name, since pictures are drawn of results at the end."""

Draw = Callable[[], Image]
"""Draws the frame at hand: (H, W, 3) uint8, RGB; once, however many ask."""


class Output(Protocol):
    """Takes frames in turn. For one thread."""

    def take(self, frame: TrackedFrame, draw: Draw) -> None:
        """Take the next frame, whose ``events`` happened in it."""
        ...

    def finish(self, events: Sequence[Event]) -> None:
        """Take the last events, and finish what is written."""
        ...

    def discard(self) -> None:
        """Give up what is not whole."""
        ...


class AnnotatedFilm:
    """Every frame, with the people marked in it, as a film."""

    def __init__(self, writer: FilmWriter) -> None:
        """``writer``: writes it."""
        self._writer = writer

    def take(self, frame: TrackedFrame, draw: Draw) -> None:
        """Write the frame."""
        self._writer.write(VideoFrame(frame.number, frame.time_s, draw()))

    def finish(self, events: Sequence[Event]) -> None:
        """Give the film its name."""
        self._writer.close()

    def discard(self) -> None:
        """Remove what was written."""
        self._writer.discard()


class EventLines:
    """Events as lines of JSON, each written whole as soon as it happens."""

    def __init__(self, path: str | os.PathLike[str] | None, file: BinaryIO | None = None) -> None:
        """Begin a file; one that exists is replaced.

        Args:
            path: of the file; None where ``file`` is given.
            file: to be written to in place of a path; it stays open.

        Raises:
            OptionError: the file cannot be written.
        """
        self._own = file is None
        self._path = "the events" if path is None else os.fspath(path)
        try:
            if file is None:
                assert path is not None
                file = Path(path).open("wb", buffering=0)  # noqa: SIM115
        except (OSError, ValueError) as error:
            raise self._unwritable(error) from error
        self._file = file

    def take(self, frame: TrackedFrame, draw: Draw) -> None:
        """Write the frame's events."""
        self._write(frame.events)

    def _write(self, events: Sequence[Event]) -> None:
        if not events:
            return
        data = "".join(f"{as_json(event.to_dict())}\n" for event in events).encode()
        try:
            place = self._file.tell() if self._own else 0
            written = self._file.write(data)
            if self._own and written is not None and written < len(data):
                self._file.truncate(place)  # whole lines only
                raise OptionError(f"{self._path}: cannot be written (the disk is full)")
            self._file.flush()
        except BrokenPipeError:  # nobody reads any more, which is no error
            raise
        except (OSError, ValueError) as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> OptionError:
        return OptionError(f"{self._path}: cannot be written ({reason_of(error)})")

    def finish(self, events: Sequence[Event]) -> None:
        """Write the last events."""
        try:
            self._write(events)
        finally:
            self.discard()

    def discard(self) -> None:
        """Close the file; the lines in it are whole."""
        if self._own:
            self._file.close()


class BestShots:
    """Of every person the best look, as ``person-NUMBER.png`` in a folder."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """``folder``: it exists."""
        self._folder = Path(folder)
        self._shots: dict[int, BestShot] = {}
        self._written: dict[int, BestShot] = {}

    def take(self, frame: TrackedFrame, draw: Draw) -> None:
        """Look for better ones, and write those of people who have left."""
        for track in frame.tracks:
            if track.best_shot is not None and track.id > 0:
                before = self._shots.get(track.id)
                if before is None or worth(track.best_shot) >= worth(before):
                    self._shots[track.id] = track.best_shot
        self._write(event.track_id for event in frame.events if event.kind == "left")

    def _write(self, numbers: Any) -> None:
        for number in numbers:
            shot = self._shots.get(number)
            if shot is None or self._written.get(number) is shot:
                continue
            path = self._folder / shot_name(number)
            try:
                data: bytes = import_module(_PICTURES).png_of(shot.picture)
                replace_file(path, data)
            except (OSError, ValueError) as error:
                raise OptionError(f"{path}: cannot be written ({reason_of(error)})") from error
            self._written[number] = shot

    def finish(self, events: Sequence[Event]) -> None:
        """Write those of all who were still there."""
        self._write(list(self._shots))

    def discard(self) -> None:
        """What is written is whole."""


def worth(shot: BestShot) -> tuple[float, float]:
    """What shots of one person are compared by: recognizability, then size."""
    seen = None if shot.quality is None else shot.quality.recognizability
    return (0.0 if seen is None else seen, float(max(shot.face.size_wh)))


def shot_name(number: int) -> str:
    """The file of a person's best shot."""
    return f"person-{number}.png"


class OutputThread:
    """Gives frames to outputs, in a thread of its own.

    Attributes:
        error: what the first output that failed raised.
    """

    def __init__(self, outputs: Sequence[Output], most: int, failed: Callable[[], None]) -> None:
        """Begin.

        Args:
            outputs: one or more.
            most: frames that wait at the most.
            failed: is called, in the thread, when one failed.
        """
        self._outputs, self._failed = list(outputs), failed
        self._line: Line[TrackedFrame] = Line(most)
        self._events: Sequence[Event] = ()
        self._ended = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="lineament-output", daemon=True)
        self._thread.start()

    def put(self, frame: TrackedFrame) -> bool:
        """Hand over a frame, as soon as there is room; False: an output failed."""
        return self._line.put(frame)

    def end(self, events: Sequence[Event]) -> None:
        """No more frames; ``events`` are the last ones. Returns when everything is finished."""
        self._events = events
        self._line.end()
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        for frame in self._line:
            self._each(_taker(frame))
            if self.error is not None:
                self._line.leave()
        self._ended.wait()
        self._each(lambda output: output.finish(self._events))

    def _each(self, act: Callable[[Output], None]) -> None:
        for output in list(self._outputs):
            try:
                act(output)
            except BaseException as error:
                self._outputs.remove(output)
                with suppress(LineamentError, OSError):
                    output.discard()
                if self.error is None:
                    self.error = error
                    self._failed()


def _taker(frame: TrackedFrame) -> Callable[[Output], None]:
    drawn: list[Image] = []

    def draw() -> Image:
        if not drawn:
            drawn.append(import_module(_PICTURES).tracked_picture(frame))
        return drawn[0]

    return lambda output: output.take(frame, draw)

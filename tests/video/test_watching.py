"""Watching: threads side by side, in order, bounded; whatever ends it, files are whole."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from films import make_film, marked, number_of, sound_of

import lineament
from builders import make_face
from lineament.errors import ImageError, OptionError, VideoError
from lineament.video import FilmWriter, VideoFrame, open_source
from lineament.video._line import Line
from lineament.video.events import Event
from lineament.video.frames import SourceInfo, SourceNote
from lineament.video.outputs import AnnotatedFilm, BestShots, EventLines
from lineament.video.people import PeopleTracker
from lineament.video.tracks import BestShot, Track, TrackedFrame, TrackOptions
from lineament.video.watching import Stay, Watch

BOX = np.array([10, 10, 30, 40], np.float32)


def shot(number: int, size: float = 20) -> BestShot:
    face = make_face((10, 10, 10 + size, 40))
    return BestShot(0.1, number, face, None, np.full((8, 8, 3), number, np.uint8))


class ScriptedTracker:
    """Follows one person, who appears in the first frame and is identified in the third.

    Attributes:
        thread: in which steps were made.
        finished: how often it was.
    """

    n_left_out = None

    def __init__(
        self, fails_at: int | None = None, pause_s: float = 0.0, revise: bool = False
    ) -> None:
        self.fails_at, self.pause_s = fails_at, pause_s
        self.options = TrackOptions(revise=revise)
        self.thread: threading.Thread | None = None
        self.finished = 0
        self.last = 0.0

    def step(self, frame: VideoFrame) -> TrackedFrame:
        time.sleep(self.pause_s)
        self.thread = threading.current_thread()
        if frame.number == self.fails_at:
            raise ZeroDivisionError
        said = {0: "appeared", 2: "identified"}.get(frame.number)
        named = frame.number >= 2
        events = ()
        if said is not None:
            kind = cast("Any", said)
            name = "Ada" if named else None
            events = (Event(kind, frame.time_s, frame.number, 1, name, 0.99 if named else None),)
        track = Track(
            1,
            BOX,
            seen=True,
            name="Ada" if named else None,
            status="named" if named else "unknown",
            probability=0.98 if named else None,
            best_shot=shot(frame.number, 20 + min(frame.number, 5)),
        )
        self.last = frame.time_s
        return TrackedFrame(frame.number, frame.time_s, (track,), events, True)

    def finish(self) -> tuple[Event, ...]:
        self.finished += 1
        return (Event("left", self.last, 9, 1, "Ada", 0.98, duration_s=self.last),)


class Twice(ScriptedTracker):
    """Says of the film's people, when it is judged from its end, that they are number 7."""

    def __init__(self, **more: Any) -> None:
        super().__init__(revise=True, **more)
        self.times: list[float] = []
        self.told: list[float] = []

    def step(self, frame: VideoFrame) -> TrackedFrame:
        tracked = super().step(frame)
        self.times.append(frame.time_s)
        return tracked

    def revision(self) -> Any:
        assert self.finished == 1
        return Revised(self)


class Revised:
    def __init__(self, tracker: Twice) -> None:
        self.tracker = tracker

    def __len__(self) -> int:
        return len(self.tracker.times)

    def step(self, frame: VideoFrame) -> TrackedFrame:
        assert frame.time_s == self.tracker.times[len(self.tracker.told)]
        self.tracker.told.append(frame.time_s)
        events = (Event("appeared", frame.time_s, 0, 7),) if frame.number == 0 else ()
        track = Track(7, BOX, seen=True, status="unknown")
        return TrackedFrame(frame.number, frame.time_s, (track,), events, True)

    def finish(self) -> tuple[Event, ...]:
        last = self.tracker.told[-1]
        return (Event("left", last, 9, 7, duration_s=last),)


def watching(source: Any, *outputs: Any, tracker: Any = None) -> Watch:
    made = ScriptedTracker() if tracker is None else tracker
    return Watch(open_source(source), cast("PeopleTracker", made), outputs)


PICTURES = [marked(k) for k in range(10)]


def test_frames_come_in_order_with_pixels_tracks_and_events() -> None:
    tracker = ScriptedTracker()
    watch = watching(PICTURES, tracker=tracker)
    frames = list(watch)
    assert [number_of(frame.pixels) for frame in frames] == list(range(10))
    assert [len(frame.events) for frame in frames] == [1, 0, 1, *[0] * 7]
    assert {frame.tracks[0].id for frame in frames} == {1}
    assert [event.kind for event in watch.closing_events] == ["left"]
    assert tracker.finished == 1
    assert tracker.thread is not threading.current_thread()
    assert list(watch) == []  # it is walked over once
    picture = frames[0].picture()
    assert picture.shape == frames[0].pixels.shape
    assert not np.array_equal(picture, frames[0].pixels)


def test_a_summary_says_who_was_there() -> None:
    summary = watching(PICTURES).run()
    (person,) = summary.people
    assert (person.id, person.name, person.probability) == (1, "Ada", 0.98)
    assert person.stays == (Stay(0.0, 0.3),)
    assert person.seconds == pytest.approx(0.3)
    assert person.best_shot is not None
    assert person.best_shot.frame == 9
    assert (summary.n_frames, summary.n_events, summary.n_dropped) == (10, 3, 0)
    json.dumps(summary.to_dict())


def test_a_film_is_told_with_all_of_it_known(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", [marked(k) for k in range(12)])
    tracker, looked_at = Twice(), list[int]()
    lines = tmp_path / "events.jsonl"
    watch = Watch(
        open_source(film),
        cast("PeopleTracker", tracker),
        [EventLines(lines)],
        progress=looked_at.append,
    )
    assert watch.is_revised
    frames = list(watch)
    assert looked_at == list(range(1, 13))
    assert [number_of(frame.pixels) for frame in frames] == list(range(12))
    assert {frame.tracks[0].id for frame in frames} == {7}
    assert [event.kind for event in watch.closing_events] == ["left"]
    assert watch.summary().people[0].id == 7
    assert [json.loads(line)["track_id"] for line in lines.read_text().splitlines()] == [7, 7]


def test_a_film_that_is_left_before_its_end_is_told_up_to_there(tmp_path: Path) -> None:
    tracker, lines = Twice(pause_s=0.01), tmp_path / "events.jsonl"
    enough = threading.Event()

    def count(number: int) -> None:
        if number == 3:
            enough.set()

    watch = Watch(
        open_source([marked(k) for k in range(10)] * 20),
        cast("PeopleTracker", tracker),
        [EventLines(lines)],
        progress=count,
    )
    watch._start()
    assert enough.wait(20)
    watch.close()
    assert 3 <= len(tracker.times) < 200
    assert tracker.told == tracker.times
    assert [json.loads(line)["kind"] for line in lines.read_text().splitlines()] == [
        "appeared",
        "left",
    ]


def test_what_can_be_read_once_only_cannot_be_told_from_its_end() -> None:
    with pytest.raises(OptionError, match="read twice") as caught:
        watching((marked(k) for k in range(3)), tracker=Twice())
    assert caught.value.option == "revise"


def test_nobody_is_there() -> None:
    class Blind(ScriptedTracker):
        def step(self, frame: VideoFrame) -> TrackedFrame:
            return TrackedFrame(frame.number, frame.time_s, (), (), True)

        def finish(self) -> tuple[Event, ...]:
            return ()

    assert watching(PICTURES, tracker=Blind()).run().people == ()
    assert watching([], tracker=Blind()).run().n_frames == 0


def test_a_visit_that_turns_out_to_be_somebody_elses_is_theirs() -> None:
    class Mistaken(ScriptedTracker):
        def step(self, frame: VideoFrame) -> TrackedFrame:
            events = {
                0: (Event("appeared", 0.0, 0, 2),),
                5: (Event("changed", frame.time_s, 5, 1, was_id=2, known=True),),
            }.get(frame.number, ())
            return TrackedFrame(frame.number, frame.time_s, (), events, True)

    (person,) = watching(PICTURES, tracker=Mistaken()).run().people
    assert person.id == 1
    assert person.stays[0].from_s == 0


class Endless:
    """A source that never ends, and says when it is closed."""

    def __init__(self, fails_at: int | None = None, live: bool = False) -> None:
        self.info = SourceInfo("endless", live, (64, 48), 30, None, None, False)
        self.notes: list[SourceNote] = []
        self.fails_at = fails_at
        self.given = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[VideoFrame]:
        while not self.closed.is_set():
            if self.given == self.fails_at:
                raise VideoError("endless: it broke")
            yield VideoFrame(self.given, self.given / 30, marked(self.given % 16))
            self.given += 1

    def close(self) -> None:
        self.closed.set()

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.mark.parametrize("live", [False, True])
def test_whoever_is_slow_is_waited_for(live: bool) -> None:
    source = Endless(live=live)
    for taken, _ in enumerate(watching(source), 1):
        time.sleep(0.01)
        if taken == 8:
            break
    assert source.closed.is_set()
    assert source.given <= 8 + 6 + 6 + 3  # lines, and what is in hands


def test_what_the_source_raises_comes_after_all_frames_before(tmp_path: Path) -> None:
    source = Endless(fails_at=5)
    path = tmp_path / "events.jsonl"
    watch = watching(source, EventLines(path))
    taken = []
    with pytest.raises(VideoError, match="it broke"):
        taken.extend(watch)
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()] == [
        "appeared",
        "identified",
        "left",
    ]
    assert source.closed.is_set()


def test_what_the_analysis_raises_reaches_the_caller() -> None:
    tracker = ScriptedTracker(fails_at=4)
    taken = []

    def walk() -> None:
        for frame in watching(Endless(), tracker=tracker):
            taken.append(frame.number)

    with pytest.raises(ZeroDivisionError):
        walk()
    assert taken == [0, 1, 2, 3]
    assert tracker.finished == 1


def test_a_generator_that_waits_for_ever_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineament.video.watching._PATIENCE_S", 0.1)
    never = threading.Event()

    def pictures() -> Iterator[np.ndarray]:
        yield marked(0)
        never.wait(30)

    for _ in watching(pictures()):
        break
    never.set()


def test_a_pipe_that_nobody_reads_is_left_as_one() -> None:
    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, _: object) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        watching(PICTURES, EventLines(None, Pipe())).run()  # type: ignore[arg-type]


def test_a_list_with_something_else_is_refused() -> None:
    with pytest.raises(ImageError):
        watching([marked(0), b"no picture"]).run()


class FullDisk:
    """An output that fails at the third frame."""

    def __init__(self) -> None:
        self.discarded = False

    def take(self, frame: TrackedFrame, draw: object) -> None:
        if frame.number == 2:
            raise OptionError("out.mp4: cannot be written")

    def finish(self, events: object) -> None:
        raise AssertionError

    def discard(self) -> None:
        self.discarded = True


def test_an_output_that_fails_ends_the_watching_and_spares_the_others(tmp_path: Path) -> None:
    failing = FullDisk()
    source = Endless()
    path = tmp_path / "events.jsonl"
    with pytest.raises(OptionError, match="cannot be written"):
        watching(source, failing, EventLines(path)).run()
    assert failing.discarded
    assert source.closed.is_set()
    assert json.loads(path.read_text().splitlines()[-1])["kind"] == "left"


def test_a_watch_that_nobody_walks_over_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("av")
    source = open_source(PICTURES)
    writer = FilmWriter(tmp_path / "out.mp4", source)
    with Watch(source, cast("PeopleTracker", ScriptedTracker()), [AnnotatedFilm(writer)]):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ends_by", ["its end", "break", "ctrl-c"])
def test_whatever_ends_it_the_film_is_whole(tmp_path: Path, ends_by: str) -> None:
    film = make_film(tmp_path / "in.mp4", [marked(k % 16) for k in range(40)], sound="aac")
    source = open_source(film)
    path = tmp_path / "out.mp4"
    writer = FilmWriter(path, source)
    tracker = cast("PeopleTracker", ScriptedTracker(pause_s=0.0 if ends_by == "its end" else 0.01))
    watch = Watch(source, tracker, [AnnotatedFilm(writer)])

    def walk() -> None:
        for frame in watch:
            if frame.number == 10 and ends_by == "ctrl-c":
                raise KeyboardInterrupt
            if frame.number == 10 and ends_by == "break":
                break

    if ends_by == "ctrl-c":
        with pytest.raises(KeyboardInterrupt):
            walk()
    else:
        walk()
    frames = list(open_source(path))
    assert len(frames) == 40 if ends_by == "its end" else 11 <= len(frames) < 40
    assert [f.time_s for f in frames] == pytest.approx([0.04 * k for k in range(len(frames))])
    assert len(sound_of(path)[1]) == pytest.approx(len(frames) * 0.04 * 44_100 / 1024, abs=3)
    blue = frames[-1].pixels[10:40, 8:13].astype(int)
    assert np.abs(blue - marked((len(frames) - 1) % 16)[10:40, 8:13]).max() > 60  # the box is drawn
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_best_shots_are_written_when_people_leave(tmp_path: Path) -> None:
    watching(PICTURES, BestShots(tmp_path)).run()
    (path,) = tmp_path.iterdir()
    assert path.name == "person-1.png"
    assert lineament.load_image(path)[0, 0, 0] == 9  # the largest, and of those the last


def test_an_output_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be written"):
        EventLines(tmp_path / "nowhere" / "events.jsonl")


def test_lines_are_whole_while_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    seen = []
    for frame in watching(Endless(), EventLines(path)):
        if frame.number == 9:
            deadline = time.monotonic() + 5
            while len(seen) < 2 and time.monotonic() < deadline:
                seen = path.read_text().splitlines()
            break
    assert [json.loads(line)["kind"] for line in seen] == ["appeared", "identified"]


def test_a_line_keeps_order_and_waits() -> None:
    line: Line[int] = Line(2)
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.extend(line))
    thread.start()
    assert all(line.put(number) for number in range(50))
    line.end()
    thread.join(5)
    assert taken == list(range(50))
    assert not line.put(1)


def test_a_line_that_is_left_lets_go() -> None:
    line: Line[int] = Line(1)
    assert line.put(1)
    results = []
    thread = threading.Thread(target=lambda: results.append(line.put(2)))
    thread.start()
    line.leave()
    thread.join(5)
    assert results == [False]
    assert list(line) == []

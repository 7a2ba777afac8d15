"""People in made-up films: numbers that last, names, events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from moving_faces import DEMO, cut_out, film

from lineament import Gallery, Recognizer
from lineament.errors import ContractError, OptionError
from lineament.gallery import Consent
from lineament.liveness.passive import PassiveLiveness, PassiveOptions
from lineament.models.runtime import Runtime
from lineament.quality import QualityLimits
from lineament.types import Face, FloatArray, Image
from lineament.video import VideoFrame
from lineament.video.events import Event
from lineament.video.memory import Memory
from lineament.video.people import PeopleTracker
from lineament.video.tracks import TrackedFrame, TrackOptions


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(runtime=Runtime(threads=1))


@pytest.fixture(scope="module")
def faces(recognizer: Recognizer) -> dict[str, Image]:
    names = ("astronaut", "obama", "biden")
    return {name: cut_out(f"{name}.jpg", recognizer.finder) for name in names}


def run(
    tracker: PeopleTracker, frames: Iterable[VideoFrame]
) -> tuple[list[TrackedFrame], list[Event]]:
    tracked = [tracker.step(frame) for frame in frames]
    events = [event for one in tracked for event in one.events]
    return tracked, [*events, *tracker.finish()]


def crossing(faces: dict[str, Image]) -> Iterable[VideoFrame]:
    """Two who cross, the one in front of the other; later the first one comes back."""
    return film(
        faces,
        {
            "astronaut": lambda t: (60 + 180 * t, 135) if t < 2 else (300, 135) if t > 4 else None,
            "obama": lambda t: (420 - 180 * t, 140) if t < 2 else None,
        },
        seconds=5,
    )


def test_numbers_last_through_a_crossing_and_a_return(
    recognizer: Recognizer, faces: dict[str, Image]
) -> None:
    tracked, events = run(PeopleTracker(recognizer), crossing(faces))
    first = {round(float(t.box_xyxy[0])) < 240: t.id for t in tracked[2].tracks}
    assert set(first) == {True, False}
    left, right = first[True], first[False]
    assert {left, right} == {1, 2}
    after = {t.id: float(t.box_xyxy[:3:2].mean()) for t in tracked[18].tracks if t.seen}
    assert after[left] > after[right]
    assert [t.id for t in tracked[-1].tracks] == [left]
    said = [(e.kind, e.track_id, e.known) for e in events]
    assert said[:2] == [("appeared", 1, False), ("appeared", 2, False)]
    assert ("appeared", left, True) in said
    assert [kind for kind, *_ in said].count("left") == 3
    assert all(len({t.id for t in one.tracks}) == len(one.tracks) for one in tracked)


def test_from_the_end_everybody_has_a_number_and_a_name_from_the_first_frame(
    recognizer: Recognizer, faces: dict[str, Image]
) -> None:
    gallery = Gallery.in_memory(recognizer=recognizer)
    gallery.enroll("Barack", DEMO / "obama2.jpg")
    tracker = PeopleTracker(recognizer, gallery, options=TrackOptions(revise=True))
    frames = list(crossing(faces))
    run(tracker, frames)
    revision = tracker.revision()
    told = [revision.step(frame) for frame in frames]
    events = [event for one in told for event in one.events] + list(revision.finish())
    assert len(revision) == len(frames)
    assert all(t.id > 0 for one in told for t in one.tracks if t.seen)
    names = {t.id: t.name for one in told for t in one.tracks}
    assert sorted(names) == [1, 2]
    (she,) = (number for number, name in names.items() if name is None)
    assert names[3 - she] == "Barack"
    come = [(e.track_id, e.known) for e in events if e.kind == "appeared"]
    assert sorted(come[:2]) == [(1, False), (2, False)]
    assert come[2:] == [(she, True)]
    assert [e.name for e in events if e.kind == "identified"] == ["Barack"]
    assert sum(e.kind == "left" for e in events) == 3
    shots = {t.id: t.best_shot for t in told[-1].tracks}
    shot = shots[she]
    assert shot is not None
    assert shot.picture.ndim == 3
    assert {one.id: one.n_visits for one in tracker.memory.people()} == {she: 2, 3 - she: 1}
    with pytest.raises(OptionError, match="revise"):
        tracker.revision()


def test_names_come_with_probabilities(recognizer: Recognizer, faces: dict[str, Image]) -> None:
    gallery = Gallery.in_memory(recognizer=recognizer)
    gallery.enroll("Barack", DEMO / "obama2.jpg")
    tracked, events = run(PeopleTracker(recognizer, gallery), crossing(faces))
    named = {t.name for one in tracked for t in one.tracks}
    assert named == {None, "Barack"}
    (identified,) = (event for event in events if event.kind == "identified")
    assert identified.name == "Barack"
    assert identified.probability is not None
    assert identified.probability > 0.9
    last = tracked[-1].tracks[0]
    assert (last.status, last.name) == ("unknown", None)
    shot = last.best_shot
    assert shot is not None
    assert shot.picture.shape[2] == 3
    assert set(last.to_dict()) >= {"id", "box_xyxy", "status"}
    assert identified.to_dict()["kind"] == "identified"


@pytest.mark.parametrize("revise", [False, True])
def test_names_are_of_those_who_consented_to_the_purpose(
    recognizer: Recognizer, faces: dict[str, Image], revise: bool
) -> None:
    gallery = Gallery.in_memory(recognizer=recognizer)
    gallery.enroll("Barack", DEMO / "obama2.jpg")
    gallery.set_consent("Barack", Consent("form", ("Access",), 1e9))
    memory = Memory()
    told: list[tuple[set[str | None], int | None]] = []
    for purpose in ("access", None, "payroll", "ACCESS"):
        options = TrackOptions(revise=revise, purpose=purpose)
        tracker = PeopleTracker(recognizer, gallery, memory=memory, options=options)
        frames = list(crossing(faces))
        tracked, _ = run(tracker, frames)
        if revise:
            revision = tracker.revision()
            tracked = [revision.step(frame) for frame in frames]
        told.append(({t.name for one in tracked for t in one.tracks}, tracker.n_left_out))
    # In the memory he has a name from the second film on; that alone is none here.
    named, nobody = {None, "Barack"}, {None}
    assert told == [(named, 0), (named, None), (nobody, 1), (named, 0)]
    with pytest.raises(OptionError) as raised:
        PeopleTracker(recognizer, options=TrackOptions(purpose="access"))
    assert raised.value.option == "purpose"
    with pytest.raises(OptionError):
        TrackOptions(purpose=" ")


def test_people_are_known_again_in_another_film(
    recognizer: Recognizer, faces: dict[str, Image], tmp_path: Path
) -> None:
    path = tmp_path / "people.npz"
    here = {"obama": lambda t: (150.0 + 20 * t, 130.0)}
    run(PeopleTracker(recognizer, memory=Memory.open(path)), film(faces, here, seconds=0.6))
    assert path.stat().st_mode & 0o077 == 0
    there = {"biden": lambda t: (100.0, 130.0), "obama": lambda t: (330.0, 150.0)}
    memory = Memory.open(path)
    tracked, events = run(PeopleTracker(recognizer, memory=memory), film(faces, there, seconds=0.6))
    assert [(e.track_id, e.known) for e in events if e.kind == "appeared"] in (
        [(1, True), (2, False)],
        [(2, False), (1, True)],
    )
    assert {t.id: t.box_xyxy[0] > 200 for t in tracked[-1].tracks} == {1: True, 2: False}
    assert [one.n_visits for one in Memory.open(path).people()] == [2, 1]


def test_a_memory_of_another_recognizer_is_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    contract = replace(recognizer.embedder.contract, weights_sha256="0" * 64)
    with pytest.raises(ContractError, match="use the recognizer and options of before"):
        PeopleTracker(recognizer, memory=Memory(contract))


def test_frames_may_change_their_size_and_show_nobody(
    recognizer: Recognizer, faces: dict[str, Image]
) -> None:
    tracker = PeopleTracker(recognizer)
    here = {"obama": lambda t: (150.0, 130.0)}
    small = list(film(faces, here, seconds=0.5))
    large = [
        VideoFrame(5 + f.number, 0.5 + f.time_s, np.repeat(np.repeat(f.pixels, 2, 0), 2, 1))
        for f in small
    ]
    empty = film(faces, {}, seconds=2, first_s=1.0)
    tracked, events = run(tracker, [*small, *large, *empty])
    assert [[t.id for t in one.tracks] for one in tracked[1:10]] == [[1]] * 9
    assert tracked[9].tracks[0].box_xyxy[0] > 150
    assert tracked[-1].tracks == ()
    assert [event.kind for event in events] == ["appeared", "left"]


def test_bad_frames_and_options_are_refused(recognizer: Recognizer) -> None:
    tracker = PeopleTracker(recognizer)
    with pytest.raises(OptionError, match="uint8"):
        tracker.step(VideoFrame(0, 0.0, np.zeros((4, 4), np.uint8)))
    with pytest.raises(OptionError, match="seconds"):
        tracker.step(VideoFrame(0, float("nan"), np.zeros((40, 40, 3), np.uint8)))
    for bad in ({"fpir": 1.0}, {"top": 0}, {"budget_s": 0.0}, {"lost_s": -1.0}):
        with pytest.raises(OptionError):
            TrackOptions(**bad)


# --- liveness -------------------------------------------------------------------------------------


class Says:
    """A network that says the same of every face, until it is asked so often."""

    def __init__(self, log_odds: float, then: float, after: int) -> None:
        self.log_odds, self.then, self.left = log_odds, then, after

    def read(self, pixels: Image, faces: Sequence[Face]) -> FloatArray:
        self.left -= 1
        return np.full(len(faces), self.log_odds if self.left >= 0 else self.then, np.float32)


def seen_by(network: Says, recognizer: Recognizer, face: Image) -> tuple[list[str], list[Event]]:
    """Which statuses there are one after the other, and the events."""
    options = PassiveOptions(limits=QualityLimits())
    checking = Recognizer(
        finder=recognizer.finder,
        embedder=recognizer.embedder,
        passive=PassiveLiveness({"says": network}, options=options),
    )
    gallery = Gallery.in_memory(recognizer=checking)
    gallery.enroll("Barack", DEMO / "obama2.jpg")
    tracker = PeopleTracker(checking, gallery, options=TrackOptions(liveness="passive"))
    still = film({"he": face}, {"he": lambda _: (200.0, 140.0)}, seconds=3)
    tracked, events = run(tracker, still)
    tracks = [track for one in tracked for track in one.tracks if track.id > 0]
    for track in tracks:
        assert track.liveness is not None
        assert (track.status == "not_live") == (not track.liveness.live)
        assert track.liveness.live or track.name is None
    return [status for status, _ in groupby(track.status for track in tracks)], events


@pytest.fixture
def no_border(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up films have faces in squares, which are borders."""
    monkeypatch.setattr("lineament.liveness.passive.sides_of", lambda *_: 0)


@pytest.mark.usefixtures("no_border")
def test_a_picture_of_somebody_gets_no_name(
    recognizer: Recognizer, faces: dict[str, Image]
) -> None:
    statuses, events = seen_by(Says(-9, -9, 0), recognizer, faces["obama"])
    assert statuses == ["not_live"]
    assert not any(event.name for event in events)


@pytest.mark.usefixtures("no_border")
def test_who_is_there_gets_one_and_loses_it_by_a_veto(
    recognizer: Recognizer, faces: dict[str, Image]
) -> None:
    statuses, events = seen_by(Says(9, 9, 0), recognizer, faces["obama"])
    assert statuses[-1] == "named"
    assert "not_live" not in statuses
    statuses, events = seen_by(Says(9, -9, 2), recognizer, faces["obama"])
    assert statuses[-1] == "not_live"
    assert [event.kind for event in events if event.was_name == "Barack"] == ["changed"]


def test_the_active_check_is_none_of_everybody_in_a_film() -> None:
    with pytest.raises(OptionError, match="asks one person") as refused:
        TrackOptions(liveness="active")
    assert "lineament liveness" in str(refused.value.hint)

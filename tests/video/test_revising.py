"""A film judged from its end, with made-up faces: stretches, groups, people, events."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from builders import make_face
from lineament.errors import OptionError
from lineament.pipeline import Recognizer
from lineament.types import FloatArray
from lineament.video import VideoFrame
from lineament.video._binding import Levels
from lineament.video._clusters import cut_apart, given_back, impostors, joined
from lineament.video._record import MOST_KEPT, Kept, Record
from lineament.video.identity import View
from lineament.video.memory import Memory
from lineament.video.revising import Revision
from lineament.video.tracks import TrackOptions

LEVELS = Levels(sure=0.5, likely=0.4, perhaps=0.3, unlike=0.2)
PIXELS = np.zeros((60, 400, 3), np.uint8)
EVA, ADA, BOB = np.eye(8, dtype=np.float32)[:3]


def like(person: FloatArray, cosine: float, other: int = 7) -> FloatArray:
    """Somebody who is as alike to that person."""
    rest = np.zeros(8, np.float32)
    rest[other] = np.sqrt(1 - cosine**2)
    return np.asarray(cosine * person + rest, np.float32)


class Film:
    """Writes a record by hand, ten frames a second; each path stays at its own place."""

    def __init__(self) -> None:
        self.record = Record()
        self.doubts: dict[int, int] = {}
        self.now = 0

    def show(self, faces: dict[int, FloatArray | None], worth: float = 0.9) -> Film:
        """A frame with paths; None: seen, and not embedded."""
        self.record.begin(VideoFrame(self.now, self.now / 10, PIXELS), detected=True)
        for number, vector in faces.items():
            if vector is not None:
                view = View(vector, 1.0, worth, self.now / 10)
                self.record.keep(number, Kept(self.record.last, view, worth, None, None))
        for number in faces:
            left = 40.0 * number
            face = make_face((left, 10, left + 30, 50))
            self.record.path(number, face, face.box_xyxy, self.doubts.get(number, 0), True)
        self.now += 1
        return self

    def doubt(self, number: int) -> Film:
        self.doubts[number] = self.doubts.get(number, 0) + 1
        return self

    def pause(self, frames: int = 20) -> Film:
        for _ in range(frames):
            self.show({})
        return self

    def groups(self) -> list[set[tuple[int, int]]]:
        """The groups, as paths and first rows of their stretches."""
        stretches = cut_apart(self.record.stretches(), LEVELS.unlike)
        found = joined(stretches, LEVELS.likely, lambda one, other: 0.0)
        return [{(s.path, int(s.at[0])) for s in group.stretches} for group in found]

    def revision(self, memory: Memory | None = None) -> Revision:
        return Revision(
            self.record,
            Memory() if memory is None else memory,
            LEVELS,
            cast("Recognizer", SimpleNamespace(calibration=None)),
            None,
            TrackOptions(),
            None,
        )

    def told(self, revision: Revision) -> tuple[list[set[int]], list[tuple[Any, ...]]]:
        """Of each frame the numbers, and all events."""
        numbers, events = [], []
        for row in range(self.now):
            frame = revision.step(VideoFrame(row, row / 10, PIXELS))
            numbers.append({track.id for track in frame.tracks})
            events += frame.events
        events += revision.finish()
        return numbers, [(e.kind, e.track_id, round(e.time_s, 1), e.known) for e in events]


def test_a_return_is_the_same_person_and_two_beside_each_other_never_are() -> None:
    film = Film().show({1: EVA, 2: ADA}).show({1: EVA, 2: ADA}).pause().show({3: like(EVA, 0.6)})
    assert film.groups() == [{(1, 0), (3, 22)}, {(2, 0)}]
    twins = Film().show({1: EVA, 2: EVA}).show({1: EVA, 2: EVA})
    assert twins.groups() == [{(1, 0)}, {(2, 0)}]
    stretches = twins.record.stretches()
    assert impostors(joined(stretches, 0.4, lambda *_: 0.0)).tolist() == pytest.approx([1.0])


def test_who_is_less_alike_than_it_takes_is_somebody_else() -> None:
    film = Film().show({1: EVA}).pause().show({2: like(EVA, 0.35)})
    assert film.groups() == [{(1, 0)}, {(2, 21)}]
    strict = joined(film.record.stretches(), 0.3, lambda one, other: 0.1)
    assert len(strict) == 2
    assert len(joined(film.record.stretches(), 0.3, lambda one, other: 0.0)) == 1


def test_a_path_goes_on_unless_its_views_speak_against_that() -> None:
    film = Film().show({1: EVA}).doubt(1).show({1: like(EVA, 0.15)}).doubt(1).show({1: None})
    assert film.groups() == [{(1, 0), (1, 1), (1, 2)}]
    exchanged = Film().show({1: EVA, 2: ADA}).show({1: EVA, 2: ADA}).doubt(1).doubt(2)
    exchanged.show({1: ADA, 2: EVA}).show({1: ADA, 2: EVA})
    assert exchanged.groups() == [{(1, 0), (2, 2)}, {(2, 0), (1, 2)}]


def test_a_path_is_cut_where_its_face_changes() -> None:
    film = Film()
    for _ in range(4):
        film.show({1: EVA})
    for _ in range(3):
        film.show({1: BOB})
    assert [(int(s.at[0]), int(s.at[-1])) for s in cut_apart(film.record.stretches(), 0.2)] == [
        (0, 3),
        (4, 6),
    ]
    blurred = Film().show({1: EVA}).show({1: BOB}, worth=0.2).show({1: EVA})
    assert len(cut_apart(blurred.record.stretches(), 0.2)) == 1


def hopping(at_hop: dict[int, FloatArray | None], worth: float = 0.9) -> Film:
    """Two people, and a frame in the middle in which the paths are so."""
    film = Film()
    for _ in range(4):
        film.show({1: EVA, 2: ADA})
    film.show(at_hop, worth)
    for _ in range(4):
        film.show({1: EVA, 2: ADA})
    return film


@pytest.mark.parametrize(
    ("at_hop", "worth", "told"),
    [
        pytest.param({1: ADA}, 0.9, {2}, id="on the other's face, who is seen nowhere else"),
        pytest.param({1: ADA, 2: ADA}, 0.9, {1, 2}, id="the other is seen beside it"),
        pytest.param({1: ADA, 2: EVA}, 0.9, {1, 2}, id="both are exchanged"),
        pytest.param({1: ADA}, 0.3, {1}, id="a blurred look says nothing"),
        pytest.param({1: BOB}, 0.9, {1}, id="a face of nobody else"),
        pytest.param({1: None}, 0.9, {1}, id="not embedded"),
    ],
)
def test_a_path_that_is_on_another_face_for_a_moment(
    at_hop: dict[int, FloatArray | None], worth: float, told: set[int]
) -> None:
    film = hopping(at_hop, worth)
    numbers, events = film.told(film.revision())
    assert numbers == [{1, 2}] * 4 + [told] + [{1, 2}] * 4
    assert [kind for kind, *_ in events] == ["appeared", "appeared", "left", "left"]


def test_exchanged_for_a_moment_each_has_its_own_face() -> None:
    film = hopping({1: ADA, 2: EVA})
    stretches = cut_apart(film.record.stretches(), LEVELS.unlike)
    found = given_back(
        joined(stretches, LEVELS.likely, lambda one, other: 0.0),
        LEVELS.unlike,
        LEVELS.likely,
        lambda one, other: 0.0,
    )
    at_hop = [{s.path for s in one.stretches if 4 in s.at} for one in found]
    assert at_hop == [{2}, {1}]
    assert [len(one.kept) for one in found] == [9, 9]
    assert [float(one.pool @ who) for one, who in zip(found, (EVA, ADA), strict=True)] == [
        pytest.approx(1.0),
        pytest.approx(1.0),
    ]


def test_a_film_is_told_from_its_end() -> None:
    film = Film().show({1: None}).show({1: EVA, 2: ADA}).show({1: None, 2: None}).pause()
    film.show({4: EVA}).show({4: None})
    numbers, events = film.told(film.revision())
    assert numbers == [{1}, {1, 2}, {1, 2}, *[set()] * 20, {1}, {1}]
    assert events == [
        ("appeared", 1, 0.0, False),
        ("appeared", 2, 0.1, False),
        ("left", 1, 0.2, False),
        ("left", 2, 0.2, False),
        ("appeared", 1, 2.3, True),
        ("left", 1, 2.4, False),
    ]
    nobody = Film().show({1: None})  # no face of it was ever embedded
    assert nobody.told(nobody.revision()) == ([{-1}], [])
    assert Film().told(Film().revision()) == ([], [])
    with pytest.raises(OptionError, match="number 5"):
        nobody.revision().step(VideoFrame(5, 0.5, PIXELS))


def test_people_of_the_memory_are_known_and_new_ones_join_them() -> None:
    memory = Memory()
    for vector in (BOB, ADA):
        person = memory.new()
        person.n_visits = 1
        memory.learn(person, View(vector, 1.0, 0.9, 0.0))
    before = memory.snapshot()
    memory.learn(memory.new(), View(EVA, 1.0, 0.9, 0.0))
    memory.restore(before)
    assert [one.id for one in memory.people()] == [1, 2]
    film = Film().show({1: EVA, 2: ADA}).show({1: EVA, 2: ADA})
    numbers, events = film.told(film.revision(memory))
    assert numbers[0] == {2, 3}
    assert sorted(events)[:2] == [("appeared", 2, 0.0, True), ("appeared", 3, 0.0, False)]
    assert [(one.id, one.n_visits) for one in memory.people()] == [(1, 1), (2, 2), (3, 1)]


def test_a_record_gives_faces_back_and_stays_small() -> None:
    film = Film()
    for k in range(5 * MOST_KEPT):
        film.show({1: EVA if k % 7 else like(EVA, 0.9)}, worth=0.5 + k / 1000)
    (stretch,) = film.record.stretches()
    assert len(stretch.kept) <= MOST_KEPT
    assert stretch.kept[0].at < 20  # of all of its length
    assert stretch.kept[-1].at == 5 * MOST_KEPT - 1
    ((number, box, face),) = film.record.faces(3)
    expected = make_face((40, 10, 70, 50))
    assert number == 1
    assert face is not None
    np.testing.assert_array_equal(box, expected.box_xyxy)
    np.testing.assert_array_equal(face.box_xyxy, expected.box_xyxy)
    assert (face.landmarks_xy is None) == (expected.landmarks_xy is None)

"""Where a face is between the frames in which it was found."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.anonymize._paths import (
    BEFORE_AFTER_S,
    EVIDENCE,
    FacePath,
    Linker,
    box_at,
    course_of,
    keyframes,
)

RATE = 25.0


def box(x: float, y: float = 50.0, side: float = 40.0) -> np.ndarray:
    return np.array([x, y, x + side, y + side], np.float32)


def linked(found: dict[int, list[tuple[np.ndarray, float]]]) -> list[FacePath]:
    linker = Linker(RATE)
    for frame, faces in found.items():
        boxes = np.array([each for each, _ in faces], np.float32).reshape(-1, 4)
        linker.step(frame, boxes, np.array([score for _, score in faces], np.float32))
    return linker.paths


def test_two_people_cross_and_are_two_paths() -> None:
    found = {n: [(box(4.0 * n), 0.9), (box(200 - 4.0 * n, 95), 0.9)] for n in range(50)}
    first, second = linked(found)
    assert first.frames == second.frames == list(range(50))
    assert [b[1] for b in first.boxes] == [50] * 50


def test_a_gap_is_one_path() -> None:
    found = {n: [(box(2.0 * n), 0.9)] if not 20 <= n < 40 else [] for n in range(60)}
    (path,) = linked(found)
    assert len(path.frames) == 40


def test_after_a_long_time_it_is_another_path() -> None:
    assert len(linked({0: [(box(0), 0.9)], 200: [(box(0), 0.9)]})) == 2


def test_another_size_or_place_is_another_path() -> None:
    assert len(linked({0: [(box(0), 0.9)], 1: [(box(90), 0.9)]})) == 2
    assert len(linked({0: [(box(0), 0.9)], 1: [(box(0, side=100), 0.9)]})) == 2


def test_evidence() -> None:
    (once,) = linked({0: [(box(0), 0.3)]})
    assert EVIDENCE > 0.3
    assert not once.is_somebody
    (twice,) = linked({0: [(box(0), 0.3)], 3: [(box(0), 0.25)]})
    assert twice.is_somebody


@pytest.mark.parametrize("speed", [0.0, 3.0, -6.0])
def test_every_frame_between_is_covered(speed: float) -> None:
    # What was not found is where it was going all the same.
    true = {n: box(500 + speed * n, 50 + speed / 2 * n) for n in range(100)}
    path = FacePath()
    for n in (*range(30, 45), *range(55, 62), 70):
        path.add(n, true[n], 0.9)
    course = course_of(path, RATE, 100)
    more = round(BEFORE_AFTER_S * RATE)
    assert (course.first, course.last) == (30 - more, 70 + more)
    keys = keyframes(course)
    frames, boxes = [n for n, _ in keys], np.array([each for _, each in keys])
    for n in range(30 - 2, 70 + 3):
        covered = box_at(frames, boxes, n)
        assert (covered[:2] <= true[n][:2] + 1).all(), n
        assert (covered[2:] >= true[n][2:] - 1).all(), n


def test_the_film_ends() -> None:
    path = FacePath()
    path.add(3, box(0), 0.9)
    course = course_of(path, RATE, 10)
    assert (course.first, course.last) == (0, 9)
    assert len(keyframes(course_of(path, RATE, 4))) >= 1


def test_weak_paths_reach_less_far() -> None:
    path = FacePath()
    for n in range(3):
        path.add(50 + n, box(0), 0.3)
    course = course_of(path, RATE, 200)
    assert course.first > 50 - BEFORE_AFTER_S * RATE


def test_few_keyframes_describe_a_course() -> None:
    path = FacePath()
    rng = np.random.default_rng(0)
    for n in range(200):
        path.add(n, box(2.0 * n + float(rng.normal(0, 0.5))), 0.9)
    course = course_of(path, RATE, 200)
    keys = keyframes(course)
    assert len(keys) < 40
    frames, boxes = [n for n, _ in keys], np.array([each for _, each in keys])
    for n in range(200):
        made, true = box_at(frames, boxes, n), course.boxes[n]
        assert (made[:2] <= true[:2] + 1e-6).all()
        assert (made[2:] >= true[2:] - 1e-6).all()
        assert np.abs(made - true).max() < 0.1 * 40

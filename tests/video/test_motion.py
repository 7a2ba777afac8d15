"""Boxes over time: prediction, pairing, and what happens to paths that are lost."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.video.motion import Paths, pair


def box(x: float, y: float, side: float = 40.0) -> np.ndarray:
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)


def center(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


@pytest.mark.parametrize("step", [0.02, 0.1, 0.3])
def test_a_steady_path_is_predicted(step: float) -> None:
    paths = Paths()
    paths.add(box(100, 100))
    for i in range(1, 15):
        paths.predict(i * step)
        paths.update(0, box(100 + 60 * i * step, 100))
    paths.predict(15 * step)
    assert center(paths.boxes_xyxy)[0] == pytest.approx([100 + 60 * 15 * step, 100], abs=8)
    assert paths.unseen_s[0] == pytest.approx(step)


def test_an_unseen_path_comes_to_rest() -> None:
    paths = Paths()
    paths.add(box(100, 100))
    for i in range(1, 10):
        paths.predict(i / 10)
        paths.update(0, box(100 + 10 * i, 100))
    paths.predict(3.0)
    first = center(paths.boxes_xyxy)[0, 0]
    paths.predict(30.0)
    assert center(paths.boxes_xyxy)[0, 0] == pytest.approx(first, abs=2)
    assert abs(paths.speeds_xy[0, 0]) < 1e-3
    paths.predict(2.0)  # a clock that goes back
    assert paths.time_s == 30.0


def test_a_path_that_is_found_again_follows_the_line_between() -> None:
    paths = Paths()
    paths.add(box(100, 100))
    for i in range(1, 6):
        paths.predict(i / 10)
        paths.update(0, box(100 + 8 * i, 100))  # 80 pixels a second to the right
    for i in range(6, 12):
        paths.predict(i / 10)  # hidden
    paths.predict(1.2)
    paths.update(0, box(105, 100))  # it had turned back
    assert paths.speeds_xy[0, 0] < 0


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0), (100, 100)])
def test_any_number_of_boxes(n: int, m: int) -> None:
    paths = Paths()
    places = [(60.0 * (i % 10), 60.0 * (i // 10)) for i in range(max(n, m))]
    for x, y in places[:n]:
        paths.add(box(x, y))
    paths.predict(0.1)
    boxes = np.array([box(x + 4, y) for x, y in places[:m]], np.float32).reshape(-1, 4)
    found = pair(paths.gains(boxes), np.ones(m, bool), 0.3)
    expected = list(range(m)) if n else [-1] * m
    assert found.path_of.tolist() == expected
    assert found.doubtful.tolist() == [False] * n


def test_uncertain_boxes_take_what_certain_ones_leave() -> None:
    paths = Paths()
    paths.add(box(100, 100))
    paths.add(box(300, 100))
    paths.predict(0.1)
    boxes = np.stack([box(102, 100), box(98, 101), box(301, 100)])
    found = pair(paths.gains(boxes), np.array([True, False, False]), 0.1)
    assert found.path_of.tolist() == [0, -1, 1]
    assert found.doubtful.tolist() == [True, False]  # the second box is as near to the first path


def test_far_and_much_larger_boxes_are_somebody_elses() -> None:
    paths = Paths()
    paths.add(box(100, 100))
    paths.predict(0.05)
    boxes = np.stack([box(100, 100, 90), box(200, 100), box(100, 100, 14)])
    assert np.isneginf(paths.gains(boxes)).all()


def test_rows_are_dropped_and_scaled_with_their_pasts() -> None:
    paths = Paths()
    numbers = [paths.add(box(100 * i, 50)) for i in range(1, 4)]
    paths.keep(np.array([True, False, True]))
    assert paths.numbers.tolist() == [numbers[0], numbers[2]]
    assert paths.add(box(10, 10)) not in numbers
    before = center(paths.boxes_xyxy)
    paths.rescale(2, 3)
    assert center(paths.boxes_xyxy) == pytest.approx(before * [2, 3])
    paths.predict(0.5)
    paths.update(0, box(200, 150))
    assert center(paths.boxes_xyxy)[0] == pytest.approx([200, 150], abs=3)


def test_going_on_is_worth_more_than_turning_back() -> None:
    paths = Paths()
    paths.add(box(100, 100))
    for i in range(1, 6):
        paths.predict(i / 10)
        paths.update(0, box(100 + 8 * i, 100))
    paths.predict(0.55)
    expected = center(paths.boxes_xyxy)[0, 0]
    ahead, behind = paths.gains(np.stack([box(expected + 12, 100), box(expected - 12, 100)]))[0]
    assert ahead > behind

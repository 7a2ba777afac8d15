"""HOTA, IDF1 and switches of films whose figures are known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lineament.errors import OptionError
from lineament.evaluate.tracking import FilmFrame, TrackingReport, tracking_report


def frame(people: list[int], tracks: list[int], overlap: float = 1.0) -> FilmFrame:
    """People and tracks in their places: the first is the first, the second the second."""
    boxes = np.zeros((len(people), len(tracks)))
    np.fill_diagonal(boxes, overlap)
    return FilmFrame(np.array(people), np.array(tracks), boxes)


def report(*frames: FilmFrame) -> TrackingReport:
    return tracking_report([list(frames)])


def test_all_right_is_one() -> None:
    found = report(frame([7, 9], [1, 2]), frame([7], [1]), frame([], []), frame([9], [2]))
    assert (found.hota, found.idf1, found.mota, found.switches) == (1, 1, 1, 0)
    assert (found.n_people, found.n_boxes, found.n_found, found.n_false) == (2, 4, 4, 0)


def test_nothing_found_is_nought() -> None:
    found = report(frame([1], []), frame([1], []))
    assert (found.hota, found.idf1, found.mota, found.switches) == (0, 0, 0, 0)


def test_a_number_that_changes_half_way() -> None:
    found = report(*[frame([1], [5])] * 4, *[frame([1], [6])] * 4)
    assert found.switches == 1
    assert found.idf1 == pytest.approx(0.5)  # the best pair agrees in 4 of 8 frames
    assert found.deta == 1
    assert found.assa == pytest.approx(0.5)  # 4 of 8 + 4 - 4
    assert found.hota == pytest.approx(math.sqrt(0.5))
    assert found.mota == pytest.approx(1 - 1 / 8)


def test_two_who_exchange_numbers() -> None:
    found = report(*[frame([1, 2], [5, 6])] * 3, *[frame([1, 2], [6, 5])] * 3)
    assert found.switches == 2
    assert found.idf1 == pytest.approx(0.5)
    assert found.assa == pytest.approx(3 / 9)  # each pair: 3 of 6 + 6 - 3


def test_a_number_that_changes_while_hidden_is_a_switch_too() -> None:
    assert report(frame([1], [5]), frame([1], []), frame([1], [6])).switches == 1
    assert report(frame([1], [5]), frame([], []), frame([1], [5])).switches == 0


def test_misses_and_false_boxes() -> None:
    found = report(frame([1], [5]), frame([1], []), frame([], [5]), frame([1], [5]))
    assert (found.n_boxes, found.n_found, found.n_false) == (3, 2, 1)
    assert found.mota == pytest.approx(1 - 2 / 3)
    assert found.idf1 == pytest.approx(2 * 2 / 6)
    assert found.deta == pytest.approx(2 / 4)


def test_overlap_counts_from_its_own_value_on() -> None:
    found = report(*[frame([1], [5], 0.6)] * 3)
    assert found.idf1 == 1
    share = 12 / 19  # of 0.05, ..., 0.95 those up to 0.6
    assert found.hota == pytest.approx(share)
    assert report(*[frame([1], [5], 0.4)] * 3).idf1 == 0


def test_films_are_counted_together() -> None:
    one, two = [frame([1], [5])] * 6, [frame([1], [7])] * 1 + [frame([1], [8])] * 1
    found = tracking_report([one, two])
    assert (found.n_people, found.n_boxes, found.switches) == (2, 8, 1)
    assert found.idf1 == pytest.approx(2 * 7 / 16)
    assert found.assa == pytest.approx((6 + 0.5 + 0.5) / 8)


def test_the_same_as_a_search_over_all_pairings() -> None:
    """IDF1 by trying every one-to-one pairing of three people and three tracks."""
    from itertools import permutations

    rng = np.random.default_rng(3)
    frames = [FilmFrame(np.arange(3), np.arange(3), rng.uniform(0, 1, (3, 3))) for _ in range(20)]
    agree = sum((one.overlap >= 0.5).astype(int) for one in frames)
    best = max(sum(agree[i, j] for i, j in enumerate(order)) for order in permutations(range(3)))
    assert report(*frames).idf1 == pytest.approx(2 * best / 120)


@pytest.mark.parametrize(
    ("people", "tracks", "overlap"),
    [
        ([1, 1], [2], [[1], [1]]),
        ([1], [2], [[1.5]]),
        ([1], [2], [[1], [1]]),
        ([1], [2, 2], [[1, 0]]),
    ],
)
def test_bad_frames_are_refused(
    people: list[int], tracks: list[int], overlap: list[list[float]]
) -> None:
    with pytest.raises(OptionError):
        FilmFrame(np.array(people), np.array(tracks), np.array(overlap, float))


def test_films_without_people_are_refused() -> None:
    with pytest.raises(OptionError, match="people"):
        tracking_report([[frame([], [1])]])


def test_the_figures_of_trackeval() -> None:
    """What trackeval 1.3.0 says of the same four made-up films."""
    rng, films = np.random.default_rng(0), []
    for _ in range(4):
        frames = []
        for _ in range(60):
            n, m = rng.integers(0, 5), rng.integers(0, 6)
            people = rng.choice(6, n, replace=False)
            tracks = rng.choice(8, m, replace=False)
            near = 0.5 * (people[:, None] == tracks[None])
            frames.append(
                FilmFrame(people, tracks, np.clip(rng.uniform(-0.3, 0.6, (n, m)) + near, 0, 1))
            )
        films.append(frames)
    found = tracking_report(films).to_dict()
    assert {
        name: found[name] for name in ("hota", "deta", "assa", "idf1", "mota")
    } == pytest.approx(
        {
            "hota": 0.12944663338997825,
            "deta": 0.1769636752245825,
            "assa": 0.10209550817018528,
            "idf1": 0.1940700808625337,
            "mota": -0.7905544147843943,
        }
    )
    assert found["switches"] == 97

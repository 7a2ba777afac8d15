"""The films of the benchmark: their truth, and what is made of tracks that are right or wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("benchmark_parts")


@pytest.fixture
def film() -> Iterator[tuple[Any, Any]]:
    from filming import script
    from filming.cast import Cutout
    from filming.render import render

    def head(level: int) -> Cutout:
        box = np.array([20, 20, 60, 60], np.float32)
        return Cutout(np.full((80, 80, 3), level, np.uint8), np.ones((80, 80), np.float32), box)

    made = script.write(3, 2, 2, size_wh=(320, 180), rate=5.0)
    return render(made, [[[head(250)]] * 2, [[head(5)]] * 2], 3)


def test_faces_are_where_the_truth_says(film: Any) -> None:
    seen = 0
    for frame, truth in film:
        assert frame.pixels.shape == (180, 320, 3)
        for person, box, visible in zip(
            truth.people.tolist(), truth.boxes_xyxy, truth.visible.tolist(), strict=True
        ):
            if visible < 0.99:
                continue
            left, top, right, bottom = (round(float(v)) for v in box)
            middle = frame.pixels[(top + bottom) // 2, (left + right) // 2].mean()
            assert abs(middle - (250, 5)[person]) < 60
            seen += 1
    assert seen > 10


def test_right_tracks_are_right_and_others_are_not(film: Any) -> None:
    from filming.measure import FilmSeen, VisitSeen, _compare, figures

    from lineament.video.tracks import Track

    names = {0: "Ann", 1: None}
    right, wrong = (FilmSeen([], {n: VisitSeen(None) for n in range(4)}, 0) for _ in range(2))
    for number, (_, truth) in enumerate(film):
        for visit, person in zip(truth.visits.tolist(), truth.people.tolist(), strict=True):
            right.visits[visit].name = wrong.visits[visit].name = names[person]
        people = list(zip(truth.people.tolist(), truth.boxes_xyxy, strict=True))
        _compare(right, truth, [Track(p + 1, b, True, None, names[p], "named") for p, b in people])
        shifted = [Track(p + 1 + 2 * number, b, True, None, "Bob", "named") for p, b in people]
        _compare(wrong, truth, shifted)
    good, bad = figures([right]), figures([wrong])
    assert (good["idf1"], good["switches"], good["identity_accuracy"]) == (1, 0, 1)
    assert bad["idf1"] < 0.3
    assert bad["switches"] > 10
    assert bad["identity_accuracy"] == 0

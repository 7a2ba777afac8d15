"""The learning rate over a run."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

from lineament.train.config import ScheduleOptions
from lineament.train.run.optimizer import learning_rate_factor


def factors(steps: int, each: int, **options: object) -> list[float]:
    schedule = ScheduleOptions(**options)  # type: ignore[arg-type]
    return [learning_rate_factor(schedule, step, steps, each) for step in range(steps)]


def test_warm_up_rises_to_one_and_then_the_rest_falls() -> None:
    found = factors(10, 5, kind="polynomial", power=1.0, warmup_steps=4)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:] == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    # Told in epochs, the longer one counts.
    assert factors(10, 5, kind="constant", warmup_epochs=1.0, warmup_steps=2)[3:6] == [0.8, 1, 1]


def test_cosine_is_the_formula_and_ends_where_it_shall() -> None:
    found = factors(9, 3, kind="cosine", end=0.1)
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * t / 9)) / 2 for t in range(9)]
    assert found == pytest.approx(expected)


def test_milestones_are_epochs() -> None:
    found = factors(8, 2, kind="step", milestones=(1.0, 3.0), factor=0.1)
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_by_epochs_the_rate_keeps_within_one() -> None:
    found = factors(6, 2, kind="polynomial", power=1.0, by="epochs")
    assert found == pytest.approx([1, 1, 2 / 3, 2 / 3, 1 / 3, 1 / 3])

"""The learning rate over a run, as a factor of its highest value: plain functions of the step.

A function keeps no state, so a resumed run has the rate that an unbroken one has.
"""

from __future__ import annotations

import math

from lineament.train.config import ScheduleOptions


def factor_at(options: ScheduleOptions, step: int, steps: int, steps_per_epoch: int) -> float:
    """The factor, 0 to 1, of the learning rate for a step.

    With t the share, 0 to 1, of what follows the warm-up::

        warm-up       (step + 1) / warm-up steps
        polynomial    end + (1 - end) (1 - t)^power
        cosine        end + (1 - end) (1 + cos(pi t)) / 2     Loshchilov, Hutter, "SGDR", ICLR 2017
        step          factor^(number of milestones that were passed)
        constant      1

    Args:
        options: of the run.
        step: how many steps were done before this one, 0 to steps - 1.
        steps: of the whole run.
        steps_per_epoch: for what is told in epochs.
    """
    warmup = max(options.warmup_steps, round(options.warmup_epochs * steps_per_epoch))
    if step < warmup:
        return (step + 1) / warmup
    at = step if options.by == "steps" else step // steps_per_epoch * steps_per_epoch
    t = min(max((at - warmup) / max(steps - warmup, 1), 0.0), 1.0)
    if options.kind == "polynomial":
        left: float = (1 - t) ** options.power
        return options.end + (1 - options.end) * left
    if options.kind == "cosine":
        return options.end + (1 - options.end) * (1 + math.cos(math.pi * t)) / 2
    if options.kind == "step":
        passed = sum(at >= epoch * steps_per_epoch for epoch in options.milestones)
        return float(options.factor**passed)
    return 1.0

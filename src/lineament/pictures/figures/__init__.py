"""Pictures of a run, with matplotlib (the extra "plot").

    roc(), det()          error curves on logarithmic axes, operating points marked
    score_distribution()  how genuine and impostor pairs score, with the threshold
    lines()               any curves, such as accuracy against references a person
    reliability()         are probabilities what they claim to be?
    group_matrix()        a rate for each pair of groups, for example FMR
    group_rates()         rates of each group, with intervals

Each returns a ``matplotlib.figure.Figure`` that belongs to the caller, in the look of
``lineament.pictures.charts``, whose ``files.save`` writes it. The numbers come from ``curves``.
"""

from __future__ import annotations

from lineament.pictures.figures.any_curves import lines
from lineament.pictures.figures.distributions import reliability, score_distribution
from lineament.pictures.figures.error_curves import det, roc
from lineament.pictures.figures.groups import group_matrix, group_rates

__all__ = [
    "det",
    "group_matrix",
    "group_rates",
    "lines",
    "reliability",
    "roc",
    "score_distribution",
]

"""Charts, with matplotlib (the extra "plot"): of a measurement, and of training.

    roc(), det()          error curves on logarithmic axes, operating points marked
    score_distribution()  how genuine and impostor pairs score, with the threshold
    lines()               any curves, such as accuracy against references per person
    reliability()         are probabilities what they claim to be?
    group_matrix()        a rate for each pair of groups, for example FMR
    group_rates()         rates of each group, with intervals
    compared_models()     models beside one another, with intervals
    training              loss and accuracy over steps, triplets, embeddings in two dimensions

and what they share with all pictures that matplotlib draws: ``colors`` of Okabe and Ito, ``text``
in letters that some font has, ``panels`` (a figure with its title, ticks and legend), ``files``.

Each returns a ``matplotlib.figure.Figure`` that belongs to the caller; ``files.save`` writes it.
pyplot and the global state of matplotlib are left alone, and no screen is needed. matplotlib is
loaded by what draws, not before.
"""

from __future__ import annotations

from lineament.pictures.charts._compared_models import compared_models
from lineament.pictures.charts._curves import lines
from lineament.pictures.charts._distributions import reliability, score_distribution
from lineament.pictures.charts._error_curves import det, roc
from lineament.pictures.charts._group_rates import group_matrix, group_rates
from lineament.pictures.charts.files import check_extra

__all__ = [
    "check_extra",
    "compared_models",
    "det",
    "group_matrix",
    "group_rates",
    "lines",
    "reliability",
    "roc",
    "score_distribution",
]

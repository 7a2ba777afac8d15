"""Labeled Faces in the Wild: 13,233 photographs of 5,749 people, and its protocols.

Huang, Ramesh, Berg, Learned-Miller, "Labeled Faces in the Wild: A Database for Studying Face
Recognition in Unconstrained Environments", University of Massachusetts, technical report 07-49,
2007.

- View 1 (``pairsDevTrain.txt``, ``pairsDevTest.txt``) is for choosing models, options, thresholds.
- View 2 (``pairs.txt``) is for reporting: ten folds, the threshold of each from the other nine.
- All pairs compares every photograph with every other one: 87.5 million pairs, enough to measure
  false match rates of one in a million, which View 2's 3,000 impostor pairs cannot.

A photograph in which no face was found stays in: its pairs score -1, the least similarity there
is, so they are called different. Dropping them would reward a detector that gives up.

All rates and accuracies here are shares from 0 to 1 (99.45 % is 0.9945).
"""

from __future__ import annotations

from lineament.evaluate.lfw.files import LFW, Pairs, read_lfw
from lineament.evaluate.lfw.views import (
    LFWReport,
    View,
    View1Fit,
    fit_threshold_view1,
    images_of,
    lfw_report,
    pair_scores,
)

__all__ = [
    "LFW",
    "LFWReport",
    "Pairs",
    "View",
    "View1Fit",
    "fit_threshold_view1",
    "images_of",
    "lfw_report",
    "pair_scores",
    "read_lfw",
]

"""How faces look: age, gender, expression, how the head is held, eyes, mouth, and where they look.

    load_attributes()   an ``AttributeReader``: a photo with faces -> ``PhotoAttributes``
    age.py, gender.py, expression.py     by networks
    openings.py, gaze.py                 by the mesh and its blendshapes
    limits.py                            how far each is to be believed; why there is no race
    results.py                           what is returned

Everything is said with its doubt: an interval, a probability, "undecided". None of it says who
somebody is or what somebody feels. ``Recognizer.attributes`` is the way in.
"""

from __future__ import annotations

from lineament.attributes.age import (
    INPUT_PX,
    AgeEstimator,
    Attributes,
    crop_ages,
    estimate_ages,
    load_age_estimator,
)
from lineament.attributes.limits import LIMITS, NO_RACE
from lineament.attributes.reader import NAMES, AttributeReader, load_attributes
from lineament.attributes.results import FaceAttributes, PhotoAttributes

__all__ = [
    "INPUT_PX",
    "LIMITS",
    "NAMES",
    "NO_RACE",
    "AgeEstimator",
    "AttributeReader",
    "Attributes",
    "FaceAttributes",
    "PhotoAttributes",
    "crop_ages",
    "estimate_ages",
    "load_age_estimator",
    "load_attributes",
]

"""How far what is said of faces is to be believed: printed with every result.

LIMITS    of each attribute, in words, with what was measured (``benchmarks/attributes.py``)
NO_RACE   why race is not among them
"""

from __future__ import annotations

from collections.abc import Mapping

NO_RACE = (
    "race is not offered, and will not be: it cannot be seen in a face, the labels that "
    "networks learn it from are guesses, and what it would be used for is to treat people apart"
)

LEAST_SIZE_PX = 48
"""Of a face's shorter side; below, nothing here was measured."""

LEAST_PRESENCE = 0.5
MOST_YAW_DEG = 45.0
"""Of the head, beyond which the far half of the mesh is a guess."""

MOST_GAZE_YAW_DEG = 35.0
"""Beyond which the far eye is hardly seen, and no gaze is told."""

YOUNG_YEARS, OLD_YEARS = 20.0, 65.0
"""Estimates beyond which a doubt is told with them."""

LIMITS: Mapping[str, str] = {
    "age": "off by 7 years on average, 79 % within the interval (120 people of press photos); "
    "people under 25 look 9 years older to it, those over 60 five years younger: children, the "
    "young and the old are the weak side",
    "gender": "97 of 100 men and 98 of 100 women of press photos, adults, are told right; other "
    "women may be called men more often than the reverse, as by the network beneath; children's is "
    "a guess; it is how a face looks, not how anybody would describe themselves",
    "expression": "nine of ten smiles are told, the others are undecided; of faces that do not "
    "smile 2 to 4 of 100 are called happy; what is called sad, angry or surprised a person sees in "
    "six of ten photos; fear and disgust could not be measured; it is not what anybody feels",
    "pose": "yaw agrees with that of five points up to 25 degrees, of profiles it is off by 12; of "
    "heads turned by more than 45 the mesh guesses the far half",
    "eyes": "all open eyes of frontal faces are told, nine of ten shut ones, the others are "
    "undecided; who looks down has shut eyes",
    "mouth": "all shut mouths are told, of open ones two of seven, four are undecided; a smile "
    "that shows teeth is shut or undecided",
    "gaze": "of frontal faces, most of whom look at the camera, it spreads by 6 degrees to the "
    "side; eyes that move are followed six tenths of the way to the side, hardly up and down",
    "race": NO_RACE,
}
"""By attribute."""

"""Which parts of a face seem to be covered: by a mask, sunglasses, a hat.

    parts_covered()    an aligned crop -> the probability that each part is covered
    covered_in_words() the same as the end of a sentence; "" where nothing seems to be

A network of two small layers looks at the crop's coarse cells
(``lineament.recognizability.crop_cues``). It was fitted on photos of LFW View 1 with covers of many
shapes and patterns drawn over them (``scripts/fit/covered.py``), and is asked only where a reason
is put into words: it decides nothing.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from lineament import machine
from lineament.errors import WeightsError
from lineament.recognizability import MOST_CUE, crop_cues
from lineament.text import reason_of
from lineament.types import FloatArray, Image

PARTS = ("eyes", "nose and mouth", "forehead")

LEAST_PROBABILITY = 0.9
"""From which on a part is named. Of clean photos of people whom the fit has not seen, 1 in 200 or
fewer have a part named (sunglasses, beards and hats among them)."""

NAMES = ("mean", "deviation", "matrix0", "offset0", "matrix1", "offset1")
"""The arrays of the file."""

FILE = Path(__file__).parent / "data" / "covered.npz"


def parts_covered(crop: Image) -> dict[str, float]:
    """Estimate what of a face is covered.

    Args:
        crop: (S, S, 3) uint8, RGB, aligned with the five points.

    Returns:
        For each of ``PARTS`` a probability.

    Raises:
        OptionError: a crop of another shape or type.
    """
    mean, deviation, *layers = _network()
    values = np.clip((crop_cues(crop[None]) - mean) / deviation, -MOST_CUE, MOST_CUE) / 2
    for number in range(0, len(layers), 2):
        if number:
            values = np.maximum(values, 0)
        values = values @ layers[number] + layers[number + 1]
    shares = 1 / (1 + np.exp(-values[0].astype(np.float64)))
    return dict(zip(PARTS, shares.tolist(), strict=True))


def covered_in_words(crop: Image | None) -> str:
    """Name what seems to be covered: "the eyes and the forehead seem to be covered"; "" if nothing.

    Args:
        crop: as for ``parts_covered``; None: it is not at hand.
    """
    if crop is None:
        return ""
    found = [f"the {part}" for part, p in parts_covered(crop).items() if p >= LEAST_PROBABILITY]
    if not found:
        return ""
    *others, last = found
    names = f"{', '.join(others)} and {last}" if others else last
    return f"{names} seem{'s' if found == ['the forehead'] else ''} to be covered"


@lru_cache(maxsize=1)
def _network() -> tuple[FloatArray, ...]:
    """Mean and deviation of the cues, then matrices and offsets in turns."""
    try:
        with np.load(FILE, allow_pickle=False) as there:
            arrays = tuple(np.asarray(there[name], np.float32) for name in NAMES)
    except Exception as error:  # a broken archive raises a dozen kinds
        machine.raise_if_short(error)
        raise WeightsError(
            f"{FILE}: expected the network of covered parts, got: {reason_of(error)}: install the "
            "package again"
        ) from error
    return arrays

"""Thresholds of a model's learned similarity, from the same photos as those of the cosine."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lineament.decide.calibration import supported
from lineament.decide.siamese import SiameseHead
from lineament.errors import OptionError
from lineament.evaluate.metrics import allowed_matches, just_above
from lineament.types import FloatArray, IntArray

_BLOCK = 128
DIGITS = 5


def learned_thresholds(
    head: SiameseHead,
    vectors: FloatArray,
    norms: FloatArray,
    person: IntArray,
    rates: Iterable[float],
) -> tuple[tuple[float, float], ...]:
    """The threshold for each false match rate that all pairs of the photos support.

    Args:
        head: of the model.
        vectors, norms: (N, D) of length 1 and (N,) float32, of photos with a face.
        person: (N,) who is who.
        rates: false match rates, 0 to 1.

    Returns:
        Rate and threshold, the largest rate first: what ``Calibration.metrics`` holds.

    Raises:
        OptionError: shapes that do not fit.
    """
    if not vectors.shape[:1] == norms.shape == person.shape:
        raise OptionError(
            f"expected (N, D), (N,) and (N,), got {vectors.shape}, {norms.shape}, {person.shape}"
        )
    sizes = np.unique(person, return_counts=True)[1].astype(np.int64)
    n_impostor = int((len(person) ** 2 - (sizes**2).sum()) // 2)
    wanted = sorted({rate for rate in rates if supported(rate, n_impostor)}, reverse=True)
    if not wanted:
        return ()
    most = allowed_matches(wanted[0], n_impostor) + 1
    rows = vectors if head.unit else vectors * norms[:, None]
    highest = np.empty(0, np.float32)
    for start in range(0, len(rows), _BLOCK):
        scores = head.matrix(rows[start : start + _BLOCK], rows[start:])
        other = person[start : start + _BLOCK, None] != person[None, start:]
        later = np.arange(scores.shape[1])[None] > np.arange(scores.shape[0])[:, None]
        highest = np.concatenate([highest, scores[other & later]])
        if len(highest) > most:
            highest = np.partition(highest, len(highest) - most)[-most:]
    highest = np.sort(highest)[::-1]
    found: list[tuple[float, float]] = []
    for rate in wanted:
        value = just_above(highest[allowed_matches(rate, n_impostor)])
        # Rounded to the strict side, and never looser than that of a larger rate.
        strict = float(np.ceil(value * 10**DIGITS) / 10**DIGITS)
        found.append((rate, max(strict, found[-1][1]) if found else strict))
    return tuple(found)

"""Thresholds for galleries, from the exact expectation over all random galleries of the people."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lineament.decide.calibration import Identification, supported
from lineament.decide.metrics import get_metric, score_matrix
from lineament.evaluate.scoring import expected_fpir
from lineament.fit.calibrate._pairs import BLOCK, LabeledEmbeddings
from lineament.fit.calibrate.resampling import DIGITS
from lineament.types import Float64Array, IntArray, StageProgress

GALLERIES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
"""Sizes of galleries, as far as the data have people."""

_DRAWS = 4
_GRID = 128
"""Thresholds between which FPIRs are interpolated: one for each 12 % of false matches."""

_LEAST_GALLERY_PEOPLE = 30


def identification(
    data: LabeledEmbeddings,
    fpirs: list[float],
    replicas: int,
    tail: float,
    random: np.random.Generator,
    progress: StageProgress,
) -> Identification | None:
    """Thresholds by gallery size; None when there are too few people."""
    n_people = len(data.sizes)
    fpirs = sorted(f for f in fpirs if supported(f, n_people))
    if n_people <= _LEAST_GALLERY_PEOPLE or not fpirs:
        return None
    pool = n_people - 1
    galleries = sorted({size for size in GALLERIES if size < pool} | {pool})
    grid: Float64Array | None = None
    draws = []
    for draw in range(_DRAWS):
        scores = _scores_of_people(data, random)
        if grid is None:
            grid = _grid(scores, min(0.9, 1.5 * max(fpirs) / galleries[0]))
        draws.append(_passing_pairs(scores, grid))
        progress("galleries", draw + 1, _DRAWS)
    assert grid is not None
    whole = np.ones(n_people)
    values: Float64Array = np.mean(
        [_gallery_thresholds(draw, data, whole, grid, galleries, fpirs) for draw in draws], axis=0
    )
    drawn = np.empty((replicas, *values.shape))
    for r in range(replicas):
        times = np.bincount(random.integers(0, n_people, n_people), minlength=n_people)
        drawn[r] = _gallery_thresholds(
            draws[r % _DRAWS], data, times.astype(np.float64), grid, galleries, fpirs
        )
        progress("galleries of people drawn anew", r + 1, replicas)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    values, low, high = (np.round(a, DIGITS) for a in (values, low, high))
    low, high = np.minimum(low, values), np.maximum(high, values)
    if data.sign < 0:
        values, low, high = -values, -high, -low
    return Identification(
        n_people=np.array(galleries),
        fpir=np.array(fpirs),
        threshold=values,
        low=low,
        high=high,
        n_probe_people=n_people,
        reference_exponent=round(reference_exponent(data.vectors, data.person, data.metric), 3),
    )


def _grid(scores: npt.NDArray[np.float32], share: float) -> Float64Array:
    """(T,) ascending thresholds: ``share`` of the pairs pass the first, none the last.

    Between them the logarithm of the share falls evenly, so that FPIRs may be interpolated.
    """
    values = scores[scores > -np.inf]
    kept = max(2, math.ceil(share * len(values)))
    if kept < len(values):
        values = np.partition(values, len(values) - kept)[-kept:]
    values = np.sort(values)[::-1].astype(np.float64)
    places = np.unique(np.geomspace(1, len(values), _GRID).astype(int)) - 1
    above = float(np.nextafter(np.float32(values[0]), np.float32(np.inf)))
    return np.unique(np.append(values[places], above))


def _scores_of_people(
    data: LabeledEmbeddings, random: np.random.Generator
) -> npt.NDArray[np.float32]:
    """(N, P) alike of each photo and one photo of each person; -inf for the own one."""
    sizes = data.sizes
    enrolled = np.cumsum(sizes) - sizes + random.integers(0, sizes)
    scores = np.empty((len(data.person), len(sizes)), np.float32)
    for start in range(0, len(scores), BLOCK):
        rows = slice(start, start + BLOCK)
        scores[rows] = data.sign * score_matrix(
            data.vectors[rows], data.vectors[enrolled], data.metric
        )
    scores[np.arange(len(scores)), data.person] = -np.inf
    return scores


def _passing_pairs(
    scores: npt.NDArray[np.float32], grid: Float64Array
) -> tuple[IntArray, npt.NDArray[np.int32]]:
    """All pairs that pass the lowest threshold: (probe * T + the highest one passed, person)."""
    probe, person = np.nonzero(scores >= grid[0])
    place = np.searchsorted(grid, scores[probe, person].astype(np.float64), side="right") - 1
    return probe * len(grid) + place, person.astype(np.int32)


def _gallery_thresholds(
    pairs: tuple[IntArray, npt.NDArray[np.int32]],
    data: LabeledEmbeddings,
    times: Float64Array,
    grid: Float64Array,
    galleries: list[int],
    fpirs: list[float],
) -> Float64Array:
    """(G, F) thresholds on the alike axis, people counting ``times``."""
    cell, person = pairs
    n, pool = len(data.person), len(times) - 1
    weights = times[data.person] / data.sizes[data.person]
    used = np.flatnonzero(weights > 0)
    table = np.bincount(cell, weights=times[person], minlength=n * len(grid))
    table = table.reshape(n, len(grid))[used]
    matching = np.cumsum(table[:, ::-1], axis=1)[:, ::-1].astype(np.int64)
    # A replica may hold a person or two more of the others than the data do.
    matching = np.minimum(matching, pool)
    values = np.empty((len(galleries), len(fpirs)))
    for row, size in enumerate(galleries):
        rates = expected_fpir(matching, pool, size, weights[used])  # falls along the grid
        logs = np.log(np.maximum(rates, 1e-12))
        values[row] = np.interp(np.log(fpirs), logs[::-1], grid[::-1])
    return np.maximum.accumulate(values, axis=0)


def reference_exponent(embeddings: npt.ArrayLike, people: npt.ArrayLike, metric: str) -> float:
    """Return g, 0 to 1: the best of k photos raises false alarms k^g-fold.

    Measured on the people with two and with three photos, against all photos of others,
    where the best of all of a person's k photos passes in one of a thousand comparisons: how
    many times as often does it pass as one of them alone? 1 without such people: the strict side.
    """
    unit = np.asarray(embeddings, dtype=np.float32)
    codes = np.unique(np.asarray(people), return_inverse=True)[1].reshape(-1)
    sign = 1 if get_metric(metric).higher_is_more_alike else -1
    sizes = np.bincount(codes)
    logs: list[tuple[float, float]] = []
    for k in (2, 3, 4, 5):
        enough = np.flatnonzero(sizes >= k)
        if len(enough) < _LEAST_GALLERY_PEOPLE:
            continue
        rows = np.stack([np.flatnonzero(codes == p)[:k] for p in enough])  # (E, k)
        best, single = [], []
        for start in range(0, len(unit), BLOCK):
            block = slice(start, start + BLOCK)
            scores = sign * score_matrix(unit[block], unit[rows.ravel()], metric)
            scores = scores.reshape(len(scores), len(enough), k)
            stranger = codes[block][:, None] != enough[None]
            best.append(scores.max(axis=2)[stranger])
            single.append(scores[stranger])  # (pairs, k)
        of_best = np.concatenate(best)
        at = np.quantile(of_best, 1 - 1e-3)
        one = float((np.concatenate(single) >= at).mean())
        if one > 0:
            logs.append((math.log(k), math.log(float((of_best >= at).mean()) / one)))
    if not logs:
        return 1.0
    x, y = np.array(logs).T
    return float(np.clip((x @ y) / (x @ x), 0, 1))

"""Do errors fall on some groups of people more than on others?

False matches and false non-matches by group and by pair of groups at one threshold, the threshold
that each group would need, and how far the worst group is from the best:

- Grother, Ngan, Hanaoka, NISTIR 8280, "Face Recognition Vendor Test, Part 3: Demographic Effects",
  2019: rates within and across groups, and the ratio of the highest to the lowest;
- Grother, NISTIR 8429, "FRVT Part 8: Summarizing Demographic Differentials", 2022: the ratio of the
  highest to the geometric mean, which one very low rate does not decide alone.

Intervals. Wilson's interval presumes independent pairs, but pairs share photos and people: a
person whom the recognizer mistakes for many moves hundreds of pairs at once. So people are drawn
with replacement, too (a bootstrap over people; a copy of a person is never an impostor of itself),
and the wider limits of the two are given.

Small groups. A rate of which fewer than 30 errors are seen or expected is not given (rule of 30),
nor one of fewer than ``LEAST_PEOPLE`` people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lineament.decide.calibration import RULE_OF_30, supported
from lineament.errors import OptionError
from lineament.evaluate.metrics import check_unit_rows, interval_of_rate, threshold_at_fmr
from lineament.evaluate.pair_counts import all_pairs
from lineament.types import NO_FACE_SCORE, Float64Array, IntArray

LEAST_PEOPLE = 10
FNMR_LEVEL = 0.01
"""A false non-match rate is given when so many genuine pairs were compared that 30 errors would be
expected at this rate, even if fewer were seen."""

DRAWS = 500
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Rate:
    """Errors of one kind in one group or pair of groups.

    Attributes:
        errors, trials: pairs.
        people: in the smaller of the two groups.
        low, high: the 95 % interval, shares 0 to 1; see the module.
        enough: whether the rate may be given.
    """

    errors: int
    trials: int
    people: int
    low: float
    high: float
    enough: bool

    @property
    def value(self) -> float | None:
        """The rate, 0 to 1, or None when too few pairs or people support one."""
        return self.errors / self.trials if self.enough else None


@dataclass(frozen=True, eq=False)
class GroupRates:
    """Errors by group.

    Attributes:
        groups: K names.
        threshold: from which similarity on two faces counted as one person.
        wanted_fmr: what the groups' own thresholds are for; None: it could not be measured.
        photos, people: (K,) int64: in each group. A person whose photos are in two groups
            counts in both.
        fmr, fnmr: by places of two groups (i <= j).
        own_threshold: (K,): the threshold at which the group's own false match rate is
            ``wanted_fmr``; None where too few pairs support it.
        overall_fmr, overall_fnmr: of all pairs whose groups are known.
        pairs_without_face: of those.
    """

    groups: tuple[str, ...]
    threshold: float
    wanted_fmr: float | None
    photos: IntArray
    people: IntArray
    fmr: dict[tuple[int, int], Rate]
    fnmr: dict[tuple[int, int], Rate]
    own_threshold: tuple[float | None, ...]
    overall_fmr: float | None
    overall_fnmr: float | None
    pairs_without_face: int

    def cell(self, i: int, j: int) -> str:
        """Name of a pair of groups: "A x B"."""
        return f"{self.groups[i]} x {self.groups[j]}"

    def differentials(self) -> dict[str, float | None]:
        """Worst to best, and worst to geometric mean, of the rates within groups.

        None where fewer than two groups have a rate, or one of them has none at all (0), since
        nothing is so many times nought.
        """
        values: dict[str, float | None] = {}
        for name, table in (("fmr", self.fmr), ("fnmr", self.fnmr)):
            rates = [table[i, i].value for i in range(len(self.groups)) if (i, i) in table]
            known = np.array([rate for rate in rates if rate is not None], np.float64)
            ok = len(known) >= 2 and known.min() > 0
            mean = math.exp(float(np.log(known).mean())) if ok else 0.0
            values[f"{name}_max_over_min"] = float(known.max() / known.min()) if ok else None
            values[f"{name}_max_over_geometric_mean"] = float(known.max() / mean) if ok else None
        own = [value for value in self.own_threshold if value is not None]
        values["threshold_spread"] = max(own) - min(own) if len(own) >= 2 else None
        return values


def rates_of_all_pairs(
    vectors: npt.ArrayLike,
    person: npt.ArrayLike,
    group: npt.ArrayLike,
    groups: Sequence[str],
    *,
    threshold: float,
    found: npt.ArrayLike | None = None,
    wanted_fmr: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> GroupRates:
    """Compare every photo with every other one.

    Args:
        vectors: (N, D) float32 unit vectors.
        person: (N,) int: who each is.
        group: (N,) int: the place of each photo's group in ``groups``, -1 for none; those
            without one are left out.
        groups: K names.
        threshold: from which similarity on two faces count as one person.
        found: (N,) bool, False without a face: the pairs score -1. None: all found.
        wanted_fmr: for the groups' own thresholds; None: the overall false match rate here.
        draws: of the bootstrap; 0: Wilson's interval alone.
        seed: of the bootstrap.

    Raises:
        OptionError: for other shapes or numbers out of range.
    """
    rows = np.asarray(vectors, np.float32)
    members, who = _members(group, groups, len(rows)), _codes(person, len(rows))
    seen = np.ones(len(rows), bool) if found is None else np.asarray(found, bool)
    use = np.flatnonzero(members >= 0)
    rows, members, seen = rows[use], members[use], seen[use]
    who = np.unique(who[use], return_inverse=True)[1].reshape(-1)
    check_unit_rows(rows, seen)
    rows = np.where(seen[:, None], rows, np.float32(0))
    k, n = len(groups), len(rows)
    wrong: dict[bool, list[IntArray]] = {True: [], False: []}
    without = 0
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        scores = rows[start:stop] @ rows[start:].T
        scores[~seen[start:stop]] = NO_FACE_SCORE
        scores[:, ~seen[start:]] = NO_FACE_SCORE
        later = np.arange(start, n) > np.arange(start, stop)[:, None]
        mine = who[start:stop, None] == who[start:]
        match = scores.astype(np.float64) >= threshold
        for same, mask in ((True, later & mine & ~match), (False, later & ~mine & match)):
            i, j = np.nonzero(mask)
            wrong[same].append(np.stack([start + i, start + j], axis=1))
        without += int((later & ~(seen[start:stop, None] & seen[start:])).sum())
    sizes = np.zeros((int(who.max(initial=-1)) + 1, k), np.float64)  # (P, K) photos
    np.add.at(sizes, (who, members), 1.0)
    tables = {}
    for same in (False, True):
        pairs = np.concatenate([*wrong[same], np.zeros((0, 2), np.int64)])
        tables[same] = _Errors(
            cell=_cells(members, pairs, k),
            left=who[pairs[:, 0]],
            right=who[pairs[:, 1]],
            trials=_all_genuine(sizes) if same else _all_impostor(sizes),
        )
    wanted = _wanted(wanted_fmr, tables[False], len(sizes))
    own: list[float | None] = []
    for g in range(k):
        mine = members == g
        value = None
        if wanted is not None and mine.sum() >= 2:
            counts = all_pairs(rows[mine], who[mine], found=seen[mine])
            if supported(wanted, counts.n_impostor) and (sizes[:, g] > 0).sum() >= LEAST_PEOPLE:
                value = counts.threshold_at_fmr(wanted)
        own.append(value)
    return _rates(tables, sizes, groups, threshold, wanted, own, without, draws, seed)


def rates_of_pairs(
    pairs: npt.ArrayLike,
    scores: npt.ArrayLike,
    same: npt.ArrayLike,
    person: npt.ArrayLike,
    group: npt.ArrayLike,
    groups: Sequence[str],
    *,
    threshold: float,
    wanted_fmr: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> GroupRates:
    """Rates of a list of pairs; those in which a photo has no group are left out.

    Args:
        pairs: (M, 2) int: places of photos.
        scores: (M,) similarities, -1 without a face.
        same: (M,) bool.
        person: (N,) int: who each photo shows.
        group: (N,) int: as ``rates_of_all_pairs``, whose other arguments these are.
        groups: K names.
        threshold: from which similarity on two faces count as one person.
        wanted_fmr: for the groups' own thresholds; None: the overall false match rate here.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        OptionError: for other shapes or numbers out of range.
    """
    places, values = np.asarray(pairs, np.int64), np.asarray(scores)
    truth, everyone = np.asarray(same, bool), np.asarray(person)
    if places.shape != (len(values), 2) or values.shape != truth.shape:
        raise OptionError(
            f"expected pairs (M, 2), scores (M,) and same (M,), got {places.shape}, "
            f"{values.shape} and {truth.shape}"
        )
    members, who = _members(group, groups, len(everyone)), _codes(everyone, len(everyone))
    use = (members[places] >= 0).all(axis=1)
    places, values, truth = places[use], values[use], truth[use]
    k = len(groups)
    wrong = (values.astype(np.float64) >= threshold) != truth
    cells = _cells(members, places, k)
    photos = np.unique(places)
    # People who are in no pair are not drawn.
    who[photos] = np.unique(who[photos], return_inverse=True)[1].reshape(-1)
    sizes = np.zeros((int(who[photos].max(initial=-1)) + 1, k), np.float64)
    np.add.at(sizes, (who[photos], members[photos]), 1.0)
    tables = {}
    for kind in (False, True):
        bad = wrong & (truth == kind)
        tables[kind] = _Errors(
            cell=cells[bad],
            left=who[places[bad, 0]],
            right=who[places[bad, 1]],
            trials=_listed(cells[truth == kind], who[places[truth == kind]], k, kind),
        )
    wanted = _wanted(wanted_fmr, tables[False], len(sizes))
    own: list[float | None] = []
    for g in range(k):
        impostors = values[~truth & (cells == g * k + g)]
        enough = wanted is not None and supported(wanted, len(impostors))
        enough = enough and (sizes[:, g] > 0).sum() >= LEAST_PEOPLE
        own.append(threshold_at_fmr(impostors, wanted) if enough and wanted is not None else None)
    without = int((values == NO_FACE_SCORE).sum())
    return _rates(tables, sizes, groups, threshold, wanted, own, without, draws, seed)


# --- counting -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class _Errors:
    """The mistaken pairs of one kind, and how many pairs there are.

    ``cell``: (E,) i * K + j of the groups, i <= j; ``left``, ``right``: (E,) the people;
    ``trials``: from (P,) how often each person is drawn to (K * K,) pairs.
    """

    cell: IntArray
    left: IntArray
    right: IntArray
    trials: Callable[[Float64Array], Float64Array]

    def count(self, drawn: Float64Array, cells: int, genuine: bool) -> Float64Array:
        weights = drawn[self.left] if genuine else drawn[self.left] * drawn[self.right]
        counts: Float64Array = np.bincount(self.cell, weights=weights, minlength=cells).astype(
            np.float64
        )
        return counts


def _cells(members: IntArray, pairs: IntArray, k: int) -> IntArray:
    both = np.sort(members[pairs], axis=1)
    cells: IntArray = both[:, 0] * k + both[:, 1]
    return cells


def _all_impostor(sizes: Float64Array) -> Callable[[Float64Array], Float64Array]:
    def trials(drawn: Float64Array) -> Float64Array:
        total = drawn @ sizes  # (P,) @ (P, K) -> (K,)
        own = (sizes * (drawn**2)[:, None]).T @ sizes  # pairs of a person with a copy of itself
        return _upper(np.outer(total, total) - own)

    return trials


def _all_genuine(sizes: Float64Array) -> Callable[[Float64Array], Float64Array]:
    def trials(drawn: Float64Array) -> Float64Array:
        table = (sizes * drawn[:, None]).T @ sizes
        table[np.diag_indices_from(table)] -= drawn @ sizes  # no photo with itself
        return _upper(table)

    return trials


def _upper(table: Float64Array) -> Float64Array:
    """Ordered pairs of photos -> pairs, at places i <= j, as (K * K,)."""
    half = np.triu(table)
    half[np.diag_indices_from(half)] /= 2
    return half.ravel()


def _listed(
    cells: IntArray, people: IntArray, k: int, genuine: bool
) -> Callable[[Float64Array], Float64Array]:
    left, right = people[:, 0], people[:, 1]

    def trials(drawn: Float64Array) -> Float64Array:
        weights = drawn[left] if genuine else drawn[left] * drawn[right]
        counts: Float64Array = np.bincount(cells, weights=weights, minlength=k * k).astype(
            np.float64
        )
        return counts

    return trials


def _wanted(given: float | None, impostors: _Errors, people: int) -> float | None:
    if given is not None:
        if not 0 < given < 1:
            raise OptionError(f"false match rate: expected 0 < rate < 1, got {given}")
        return given
    trials = float(impostors.trials(np.ones(people)).sum())
    errors = len(impostors.cell)
    return errors / trials if errors and errors < trials else None


def _rates(
    tables: dict[bool, _Errors],
    sizes: Float64Array,
    groups: Sequence[str],
    threshold: float,
    wanted: float | None,
    own: list[float | None],
    without: int,
    draws: int,
    seed: int,
) -> GroupRates:
    k, n_people = len(groups), len(sizes)
    ones = np.ones(n_people)
    rng = np.random.default_rng(seed)
    drawn = [
        np.bincount(rng.integers(0, n_people, n_people), minlength=n_people).astype(np.float64)
        for _ in range(draws if n_people else 0)
    ]
    people = (sizes > 0).sum(axis=0)
    results: dict[bool, dict[tuple[int, int], Rate]] = {}
    overall: dict[bool, float | None] = {}
    for genuine, table in tables.items():
        errors, trials = table.count(ones, k * k, genuine), table.trials(ones)
        overall[genuine] = float(errors.sum() / trials.sum()) if trials.sum() else None
        shares = np.full((len(drawn), k * k), np.nan)
        for row, weights in zip(shares, drawn, strict=True):
            number = table.trials(weights)
            np.divide(table.count(weights, k * k, genuine), number, out=row, where=number > 0)
        level = FNMR_LEVEL if genuine else wanted
        found: dict[tuple[int, int], Rate] = {}
        for i in range(k):
            for j in range(i, k):
                e, t = int(errors[i * k + j]), round(float(trials[i * k + j]))
                if t == 0:
                    continue
                low, high = interval_of_rate(e, t)
                mine = shares[:, i * k + j]
                mine = mine[np.isfinite(mine)]
                if len(mine):
                    low = min(low, float(np.quantile(mine, 0.025)))
                    high = max(high, float(np.quantile(mine, 0.975)))
                few = int(min(people[i], people[j]))
                enough = few >= LEAST_PEOPLE and (
                    e >= RULE_OF_30 or (level is not None and supported(level, t))
                )
                found[i, j] = Rate(e, t, few, low, high, enough)
        results[genuine] = found
    return GroupRates(
        groups=tuple(groups),
        threshold=threshold,
        wanted_fmr=wanted,
        photos=sizes.sum(axis=0).astype(np.int64),
        people=people.astype(np.int64),
        fmr=results[False],
        fnmr=results[True],
        own_threshold=tuple(own),
        overall_fmr=overall[False],
        overall_fnmr=overall[True],
        pairs_without_face=without,
    )


def _members(group: npt.ArrayLike, groups: Sequence[str], n: int) -> IntArray:
    members = np.asarray(group)
    if members.shape != (n,) or members.dtype.kind not in "iu":
        raise OptionError(f"expected ({n},) whole numbers, got {members.shape}", option="group")
    if members.min(initial=0) < -1 or members.max(initial=-1) >= len(groups):
        raise OptionError(f"expected -1 to {len(groups) - 1}, got others", option="group")
    return members.astype(np.int64)


def _codes(person: npt.ArrayLike, n: int) -> IntArray:
    people = np.asarray(person)
    if people.shape != (n,):
        raise OptionError(
            f"expected ({n},), one for each photo, got {people.shape}", option="person"
        )
    return np.unique(people, return_inverse=True)[1].reshape(-1).astype(np.int64)

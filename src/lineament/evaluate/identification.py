"""Rates of identification (1:N) in NumPy alone.

Conventions, beside those of ``lineament.evaluate.metrics``:

- a gallery holds one entry a person; a search compares a probe with all entries;
- a search is mated when the probe's person is enrolled, otherwise non-mated (ISO/IEC 19795-1);
- rank: 1 + the number of other entries that score at least as high as the mate. Ties count against
  the system, so that scores which are all alike identify nobody;
- FPIR(T): the share of non-mated searches in which any entry scores T or more;
- TPIR(R, T), also called DIR, the detection and identification rate: the share of mated searches
  whose mate is at rank R or better and scores T or more. FNIR is 1 - TPIR (Grother, Ngan,
  Hanaoka, NISTIR 8271, section 3). All are shares from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.evaluate.metrics import check_unit_rows, threshold_at_fmr
from lineament.types import NO_FACE_SCORE, BoolArray, Float64Array, FloatArray, IntArray

BLOCK = 512
"""Probes that are compared with the gallery at a time."""


@dataclass(frozen=True, eq=False, slots=True)
class Searches:
    """What Q searches of one gallery found: all that the rates need.

    Attributes:
        top: (Q,) float32: the highest score of any entry.
        mate: (Q,) float32: the score of the probe's own person; -inf in non-mated searches.
        rank: (Q,) int64: of the mate, from 1; 0 in non-mated searches.
        gallery: how many entries there are.
    """

    top: FloatArray
    mate: FloatArray
    rank: IntArray
    gallery: int

    @property
    def mated(self) -> BoolArray:
        """(Q,) bool: the probe's person is enrolled."""
        return self.rank > 0

    @property
    def n_mated(self) -> int:
        """How many searches are mated."""
        return int(self.mated.sum())

    @property
    def n_nonmated(self) -> int:
        """How many searches are for people who are not enrolled."""
        return len(self.rank) - self.n_mated

    def rank_k(self, k: int) -> float:
        """Share of mated searches with the mate among the ``k`` best: closed-set identification.

        Raises:
            OptionError: no mated search, or k below 1.
        """
        if k < 1:
            raise OptionError(f"expected at least 1, got {k}", option="rank")
        self._need("mated")
        return float((self.rank[self.mated] <= k).mean())

    def cmc(self, ranks: int | None = None) -> Float64Array:
        """(R,) float64: ``rank_k`` for k = 1 to R (the gallery's size when None).

        Raises:
            OptionError: as ``rank_k``.
        """
        last = self.gallery if ranks is None else ranks
        if last < 1:
            raise OptionError(f"expected at least 1, got {last}", option="ranks")
        self._need("mated")
        counts = np.bincount(self.rank[self.mated], minlength=last + 1)
        shares: Float64Array = np.cumsum(counts[1 : last + 1]) / self.n_mated
        return shares

    def fpir_at(self, threshold: float) -> float:
        """Share of non-mated searches with any entry at or above ``threshold``.

        Raises:
            OptionError: no non-mated search.
        """
        self._need("non-mated")
        return float((self.top[~self.mated].astype(np.float64) >= threshold).mean())

    def threshold_at_fpir(self, fpir: float) -> float:
        """The lowest threshold with an FPIR of at most ``fpir``, 0 <= fpir < 1.

        Raises:
            OptionError: no non-mated search, or another rate.
        """
        self._need("non-mated")
        if not 0 <= fpir < 1:
            raise OptionError(f"false positive rate: expected 0 <= rate < 1, got {fpir}")
        return threshold_at_fmr(self.top[~self.mated], fpir)

    def tpir_at(self, threshold: float, *, rank: int = 1) -> float:
        """Share of mated searches with the mate at ``threshold`` and at ``rank`` or better.

        Raises:
            OptionError: no mated search, or a rank below 1.
        """
        if rank < 1:
            raise OptionError(f"expected at least 1, got {rank}", option="rank")
        self._need("mated")
        mated = self.mated
        hit = (self.mate[mated].astype(np.float64) >= threshold) & (self.rank[mated] <= rank)
        return float(hit.mean())

    def fnir_at(self, threshold: float, *, rank: int = 1) -> float:
        """1 - ``tpir_at``."""
        return 1 - self.tpir_at(threshold, rank=rank)

    def dir_at_fpir(self, fpirs: Iterable[float], *, rank: int = 1) -> Float64Array:
        """``tpir_at`` the ``threshold_at_fpir`` of each rate: (len(fpirs),) float64."""
        return np.array(
            [self.tpir_at(self.threshold_at_fpir(f), rank=rank) for f in fpirs], np.float64
        )

    def _need(self, kind: str) -> None:
        if (self.n_mated if kind == "mated" else self.n_nonmated) == 0:
            who = "is" if kind == "mated" else "is not"
            raise OptionError(f"expected {kind} searches, of a person who {who} enrolled, got none")


def searches_of(
    scores: npt.ArrayLike, probe_people: npt.ArrayLike, gallery_people: npt.ArrayLike
) -> Searches:
    """Boil a table of scores down.

    Args:
        scores: (Q, N) similarities of each probe with each entry.
        probe_people: (Q,) who each probe is: integers, or strings.
        gallery_people: (N,) the same of the entries, each person once.

    Raises:
        OptionError: for other shapes, scores that are not finite, or a person enrolled twice.
    """
    values = np.asarray(scores, np.float32)
    probes, entries = np.asarray(probe_people), np.asarray(gallery_people)
    if values.ndim != 2 or values.shape != (len(probes), len(entries)) or not len(entries):
        raise OptionError(
            f"expected ({len(probes)}, {len(entries)}), a row a probe and a column an "
            f"entry, at least one, got {values.shape}",
            option="scores",
        )
    if not np.isfinite(values).all():
        raise OptionError("expected finite numbers, got others", option="scores")
    return _searched(values, _places(probes, entries))


def search(
    probes: npt.ArrayLike,
    gallery: npt.ArrayLike,
    probe_people: npt.ArrayLike,
    gallery_people: npt.ArrayLike,
    *,
    probes_found: npt.ArrayLike | None = None,
    gallery_found: npt.ArrayLike | None = None,
) -> Searches:
    """Compare Q probes with N entries; memory is a few times ``BLOCK * N`` floats.

    Args:
        probes: (Q, D) float32 unit vectors; rows without a face may hold anything.
        gallery: (N, D) the same.
        probe_people: (Q,) who each is: integers, or strings.
        gallery_people: (N,) the same, each person once.
        probes_found: (Q,) bool, False without a face: all its scores are -1. None: all found.
        gallery_found: (N,) the same.

    Raises:
        OptionError: for other shapes, vectors not of length 1, or a person enrolled twice.
    """
    sides = []
    for what, values, found in (
        ("probes", probes, probes_found),
        ("gallery", gallery, gallery_found),
    ):
        vectors = np.asarray(values, np.float32)
        seen = np.ones(len(vectors), bool) if found is None else np.asarray(found, bool)
        if vectors.ndim != 2 or seen.shape != vectors.shape[:1]:
            raise OptionError(
                f"expected vectors (N, D) and found (N,), got {vectors.shape} and {seen.shape}",
                option=what,
            )
        check_unit_rows(vectors, seen)
        sides.append((np.where(seen[:, None], vectors, np.float32(0)), seen))
    (left, left_seen), (right, right_seen) = sides
    people, entries = np.asarray(probe_people), np.asarray(gallery_people)
    if people.shape != left.shape[:1] or entries.shape != right.shape[:1] or not len(entries):
        raise OptionError(
            f"expected a person for each of {len(left)} probes and {len(right)} entries, at least "
            f"one, got {people.shape} and {entries.shape}"
        )
    places = _places(people, entries)
    parts = []
    for start in range(0, len(left), BLOCK):
        rows = slice(start, start + BLOCK)
        scores = left[rows] @ right.T  # (B, D) @ (D, N) -> (B, N)
        scores[~left_seen[rows]] = NO_FACE_SCORE
        scores[:, ~right_seen] = NO_FACE_SCORE
        parts.append(_searched(scores, places[rows]))
    if not parts:
        return _searched(np.zeros((0, len(right)), np.float32), places)
    return Searches(
        top=np.concatenate([part.top for part in parts]),
        mate=np.concatenate([part.mate for part in parts]),
        rank=np.concatenate([part.rank for part in parts]),
        gallery=len(right),
    )


def _places(probes: npt.NDArray[np.generic], entries: npt.NDArray[np.generic]) -> IntArray:
    """(Q,) int64: the entry of each probe's person, or -1."""
    order = np.argsort(entries, kind="stable")
    ordered = entries[order]
    twice = ordered[1:] == ordered[:-1]
    if twice.any():
        raise OptionError(
            f"expected one entry a person, got two of {ordered[1:][twice][0]}: pool them "
            "into a template first",
            option="gallery",
        )
    place = np.minimum(np.searchsorted(ordered, probes), len(ordered) - 1)
    return np.where(ordered[place] == probes, order[place], -1).astype(np.int64)


def _searched(scores: FloatArray, places: IntArray) -> Searches:
    mated = places >= 0
    mate = np.full(len(scores), -np.inf, np.float32)
    mate[mated] = scores[np.flatnonzero(mated), places[mated]]
    # The mate is at least as high as itself: the count includes it, hence starts at 1.
    rank = np.where(mated, (scores >= mate[:, None]).sum(axis=1), 0).astype(np.int64)
    return Searches(scores.max(axis=1), mate, rank, scores.shape[1])

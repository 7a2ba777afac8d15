"""All pairs of a data set, as counts and highest scores: 87.5 million of LFW's 13,233 photos."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError
from lineament.evaluate.metrics import allowed_matches, check_unit_rows, just_above
from lineament.types import NO_FACE_SCORE, BoolArray, IntArray, Progress

HISTOGRAM_BINS = 1 << 16
"""Bins over [-1, 1]: each 3.1e-5 wide, and the table (512 KiB) still fits a processor's cache."""
EXACT_UP_TO_FMR = 2e-3
"""The share of the highest impostor scores that ``all_pairs`` keeps one by one by default ..."""
EXACT_SCORES = 1 << 20
"""... and it keeps at least so many: 4 MiB, all the impostor pairs of 1,400 photos."""


@dataclass(frozen=True, eq=False)
class PairCounts:
    """The scores of all pairs, as counts from which every rate can still be computed.

    Genuine scores and the highest impostor scores are all kept, so a rate that depends on them
    alone is exact. The other impostor scores are counted in a histogram; a threshold or a rate that
    needs it errs by less than one bin (2 / bins in similarity, 3.1e-5 by default) and always to the
    pessimistic side: a higher threshold, a higher FMR, a lower TAR.

    Attributes:
        genuine: (G,) float32, ascending: the similarities of all genuine pairs.
        impostor_tail: (T,) float32, descending: the T highest similarities of impostor pairs.
        n_impostor: how many impostor pairs there are.
        impostor_histogram: (bins,) int64 over [-1, 1], all impostor pairs, the tail's included.
            Bin b counts scores from -1 + 2 b / bins up to, not including, the next bin's start;
            scores beyond the ends by rounding count in the outermost bins.
        n_without_face: pairs of either kind with a face missing; their score is -1, and counted.
    """

    genuine: npt.NDArray[np.float32]
    impostor_tail: npt.NDArray[np.float32]
    n_impostor: int
    impostor_histogram: IntArray
    n_without_face: int = 0

    @property
    def n_genuine(self) -> int:
        """How many genuine pairs there are."""
        return len(self.genuine)

    @property
    def exact_up_to_fmr(self) -> float:
        """Thresholds and TARs are exact at false match rates below this one."""
        return 1.0 if self._complete else len(self.impostor_tail) / self.n_impostor

    @property
    def _complete(self) -> bool:
        return len(self.impostor_tail) == self.n_impostor

    def threshold_at_fmr(self, fmr: float) -> float:
        """Return the lowest threshold with an FMR of at most ``fmr``, 0 <= fmr < 1.

        Exact below ``exact_up_to_fmr``; above, up to one bin of the histogram too high.

        Raises:
            OptionError: for another rate, or when there are no impostor pairs.
        """
        if self.n_impostor == 0:
            raise OptionError("a false match rate needs at least two people, got one")
        allowed = allowed_matches(fmr, self.n_impostor)
        if allowed < len(self.impostor_tail):
            return just_above(self.impostor_tail[allowed])
        bins = len(self.impostor_histogram)
        matching = np.cumsum(self.impostor_histogram[::-1])[::-1]  # pairs in bin b or above
        first = int(np.argmax(np.append(matching, 0) <= allowed))
        # A tail that ends inside this bin knows better than the bin's start does.
        edge = np.float32(-1 + 2 * first / bins)
        return min(float(edge), just_above(self.impostor_tail[-1]))

    def tar_at_fmr(self, fmr: float) -> float:
        """Return TAR, 0 to 1, at ``threshold_at_fmr(fmr)``; raises as it does."""
        return self._genuine_share(self.threshold_at_fmr(fmr), matching=True)

    def fnmr_at(self, threshold: float) -> float:
        """Return the share of genuine pairs below ``threshold``; always exact.

        Raises:
            OptionError: when there are no genuine pairs.
        """
        return self._genuine_share(threshold, matching=False)

    def _genuine_share(self, threshold: float, matching: bool) -> float:
        if self.n_genuine == 0:
            raise OptionError(
                "a true accept rate needs two photos of one person, got one photo each"
            )
        # As float64: a threshold that float32 cannot hold must not be rounded.
        accepted = self.genuine.astype(np.float64) >= threshold
        return float((accepted == matching).mean())

    def fmr_at(self, threshold: float) -> float:
        """Return the share of impostor pairs at or above ``threshold``.

        Exact when the threshold lies above the lowest score of the tail; below, an upper bound
        that counts the whole bin in which the threshold falls.

        Raises:
            OptionError: when there are no impostor pairs.
        """
        if self.n_impostor == 0:
            raise OptionError("a false match rate needs at least two people, got one")
        if self._complete or threshold > self.impostor_tail[-1]:
            tail = self.impostor_tail.astype(np.float64)
            return float((tail >= threshold).sum() / self.n_impostor)
        first = _bins(np.array([threshold], np.float32), len(self.impostor_histogram))[0]
        return float(self.impostor_histogram[first:].sum() / self.n_impostor)


def all_pairs(
    embeddings: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    found: npt.ArrayLike | None = None,
    block: int = 512,
    exact_up_to_fmr: float | None = None,
    progress: Progress | None = None,
) -> PairCounts:
    """Compare every embedding with every other one, each pair once.

    Memory is a few times ``block * N`` floats, the genuine scores and the highest impostor
    scores, never the N * N matrix: 0.2 GB for the 87 million pairs of LFW.

    Args:
        embeddings: (N, D) float32 unit vectors; the similarity is their cosine, the dot product.
            Rows without a face may hold anything.
        labels: (N,) who is who: integers, or strings.
        found: (N,) bool, False where no face was found; the pairs of such a row score -1 and are
            counted as all others. None: all were found.
        block: rows that are compared at a time.
        exact_up_to_fmr: the share of the highest impostor scores to keep one by one. None:
            ``EXACT_UP_TO_FMR`` or ``EXACT_SCORES``, whichever is more.
        progress: called with (pairs done, all pairs) after each block.

    Raises:
        OptionError: for other shapes, fewer than two rows, vectors that are not finite or not of
            length 1, or options out of range.
    """
    vectors = np.asarray(embeddings, dtype=np.float32)
    people = np.asarray(labels)
    if vectors.ndim != 2 or len(vectors) < 2 or people.shape != vectors.shape[:1]:
        raise OptionError(
            "expected embeddings (N, D) and labels (N,) with N >= 2, "
            f"got {vectors.shape} and {people.shape}"
        )
    if block < 1:
        raise OptionError(f"expected at least 1 row, got {block}", option="block")
    if exact_up_to_fmr is not None and not 0 < exact_up_to_fmr <= 1:
        raise OptionError(
            f"expected 0 < rate <= 1, got {exact_up_to_fmr}", option="exact_up_to_fmr"
        )
    # Sorted by person, the genuine pairs lie near the diagonal and everything else is impostors:
    # no comparison of labels for each of N * N pairs.
    codes = np.unique(people, return_inverse=True)[1].reshape(-1)
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    missing = _missing(found, len(vectors))
    check_unit_rows(vectors, ~missing)
    if missing.any():
        vectors = np.where(missing[:, None], np.float32(0), vectors)
    vectors, missing = vectors[order], missing[order]
    sizes = np.bincount(codes)
    ends = np.cumsum(sizes)[codes]  # one past the last row of the same person

    n = len(vectors)
    n_pairs = n * (n - 1) // 2
    n_genuine = int((sizes * (sizes - 1) // 2).sum())
    n_seen = n - int(missing.sum())
    n_impostor = n_pairs - n_genuine
    keep = (
        max(math.ceil(n_impostor * EXACT_UP_TO_FMR), EXACT_SCORES)
        if exact_up_to_fmr is None
        else math.ceil(n_impostor * exact_up_to_fmr)
    )
    tail = _Tail(min(n_impostor, keep + 1))
    histogram = np.zeros(HISTOGRAM_BINS, np.int64)
    genuine: list[npt.NDArray[np.float32]] = []
    for start in range(0, n, block):
        stop = min(start + block, n)
        edge = int(ends[stop - 1])
        scores = vectors[start:stop] @ vectors[start:].T  # (B, D) @ (D, N - start)
        scores[missing[start:stop]] = NO_FACE_SCORE
        scores[:, missing[start:]] = NO_FACE_SCORE
        # Near the diagonal: each pair once, genuine and impostor separately.
        strip = scores[:, : edge - start]
        later = np.arange(start, edge) > np.arange(start, stop)[:, None]
        mine = codes[start:edge] == codes[start:stop, None]
        genuine.append(strip[later & mine])
        for impostors in (strip[later & ~mine], scores[:, edge - start :]):
            tail.add(impostors)
            histogram += np.bincount(
                _bins(impostors, HISTOGRAM_BINS).reshape(-1), minlength=HISTOGRAM_BINS
            )
        if progress is not None:
            left = n - stop
            progress(n_pairs - left * (left - 1) // 2, n_pairs)
    return PairCounts(
        genuine=np.sort(np.concatenate(genuine)),
        impostor_tail=tail.descending(),
        n_impostor=n_impostor,
        impostor_histogram=histogram,
        n_without_face=n_pairs - n_seen * (n_seen - 1) // 2,
    )


@dataclass
class _Tail:
    """The ``keep`` highest of all scores that pass by."""

    keep: int
    _cut: float = -math.inf
    _held: int = 0
    _parts: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def add(self, scores: npt.NDArray[np.float32]) -> None:
        above = scores[scores > self._cut]  # those equal to the cut: enough of them are held
        if above.size:
            self._parts.append(above)
            self._held += above.size
        if self._held > 2 * self.keep:
            self._shrink()

    def _shrink(self) -> None:
        held = np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
        if self.keep and len(held) > self.keep:
            held = np.partition(held, len(held) - self.keep)[len(held) - self.keep :]
            self._cut = float(held.min())
        self._parts, self._held = [held], len(held)

    def descending(self) -> npt.NDArray[np.float32]:
        self._shrink()
        return np.sort(self._parts[0])[::-1].copy()


def _bins(scores: npt.NDArray[np.float32], bins: int) -> npt.NDArray[np.int32]:
    # `bins` is a power of two, so the starts of the bins are exact and only the sum is rounded: a
    # score within 6e-8 below a start may count in the bin above it, never the other way round.
    places = scores + np.float32(1)
    places *= np.float32(bins / 2)
    return np.clip(places, 0, bins - 1, out=places).astype(np.int32)


def _missing(found: npt.ArrayLike | None, count: int) -> BoolArray:
    if found is None:
        return np.zeros(count, bool)
    flags = np.asarray(found)
    if flags.shape != (count,) or flags.dtype != np.bool_:
        raise OptionError(
            f"expected ({count},) bool, one for each embedding, got {flags.shape} {flags.dtype}",
            option="found",
        )
    return ~flags

"""A compressed scan of every vector by turbovec, and the exact cosine of the best few.

turbovec (MIT) keeps 4 bits a number: it scans one bit of each, then all four of the candidates
(TurboQuant, arXiv:2504.19874; RaBitQ, arXiv:2405.12497). Its own scores never leave this module:
they choose the candidates, whose full vectors, mapped from the disk, decide.

What is compressed is not the vector but ``(vector - mean) @ axes``, ``WIDTH`` numbers or more:

- a longer vector is turned to its principal axes and cut where next to nothing is left (the 512
  numbers of the MobileFaceNet here span 192 dimensions), which halves memory and time;
- a shorter one is turned into the larger space, so that one bit of each number says more about it;
- the mean, the same for all, says nothing about who it is, and would cost bits. Leaving it out of
  the vectors but not of the query changes all cosines by the same number.

Measured on a million invented people (``benchmarks/speed/search.py``), candidates of one query,
share of the exact ten best that are among them:

| numbers | compressed | candidates | share | time of the scan, relative |
|---|---|---|---|---|
| 512 | 512 x 4 bits | 32 | 1.0000 | 1 |
| 512 | 512 x 2 bits | 200 | 1.0000 | 0.8 |
| 512 | 256 x 4 bits, principal axes | 320 | 1.0000 | 0.4 |
| 128 | 128 x 4 bits | 400 | 0.9915 | 0.65 |
| 128 | 128 x 4 bits, no scan of first bits | 64 | 1.0000 | 0.9 |
| 128 | 256 x 4 bits, lifted | 200, 320 | 0.9990, 0.9995 | 0.4 |
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lineament.errors import DataError, IndexFileError, MissingExtraError
from lineament.search import _index_files as files
from lineament.search._index_files import Header, Part, damaged
from lineament.search._rows import Rows
from lineament.search._slots import Slots
from lineament.search.exact import ExactIndex, rank, scan
from lineament.search.index import Ids
from lineament.types import FloatArray

CROSSOVER = 32768
"""Vectors from which on the compressed scan is faster: measured on two cores, 40,000 of 128 numbers
and 20,000 of 512."""

BITS = 4
WIDTH = 256
"""Least numbers of a compressed vector. At 128 the first bits alone lose one in twenty of the ten
best among a million SFace-like vectors; at 256 one in a thousand."""

LOST = 2e-3
"""Standard deviation of what the cut axes add to a cosine between strangers, at most."""

SAMPLE = 8192
"""Vectors that mean and axes are computed from."""

REFIT = 8
"""How many times larger an index may get before ``save`` computes them again."""

SHORTLIST, SHORTLIST_PER_K = 240, 8
"""Candidates of a query for k results: 240 + 8 k; see the table above."""

BATCH_FACTOR = 2
"""turbovec chooses less well among the first bits when it is given several queries at once: a
million SFace-like vectors lose 3.5 in a thousand of the ten best with the same shortlist, and none
with twice as many."""

FEW = 4096
"""Allowed ids up to which the plain computation is faster."""

ENCODE_ROWS = 16384
BATCH = 512


def load_turbovec() -> Any:
    """The package; MissingExtraError when it is not installed."""
    try:
        import turbovec
    except ImportError as error:
        raise MissingExtraError("searching in a compressed index", "index") from error
    return turbovec


class Projection:
    """From vectors to what is compressed.

    Attributes:
        mean: (D,) float32.
        axes: (D, W) float32; the columns are orthonormal, or the rows are.
        fitted: number of vectors there were when it was computed; 0 when there were too few.
    """

    def __init__(self, mean: FloatArray, axes: FloatArray, fitted: int) -> None:
        """Take the arrays over."""
        self.mean, self.axes, self.fitted = mean, axes, fitted

    @classmethod
    def fit(cls, vectors: FloatArray, count: int) -> Projection:
        """From a sample (S, D) of ``count`` vectors; of few vectors, the plain one."""
        number, dimension = vectors.shape
        if number < 4 * dimension:
            return cls(np.zeros(dimension, np.float32), _lift(dimension), 0)
        mean = vectors.mean(axis=0)
        if dimension <= WIDTH:
            return cls(mean, _lift(dimension), count)
        centered = vectors - mean
        shares, axes = np.linalg.eigh(centered.T @ centered / number)
        # Between strangers, axis i adds to the cosine what has variance shares[i] ** 2.
        lost = np.sqrt(np.cumsum(np.square(shares)))[::-1]  # lost[i]: by keeping i of them
        kept = int(np.argmax(np.append(lost, 0) <= LOST))
        width = min(max(WIDTH, -(-kept // 64) * 64), dimension // 8 * 8)
        return cls(mean, np.ascontiguousarray(axes[:, ::-1][:, :width], np.float32), count)

    @property
    def width(self) -> int:
        """W."""
        return int(self.axes.shape[1])

    def stored(self, vectors: FloatArray) -> FloatArray:
        """(N, D) -> (N, W), for the index."""
        stored: FloatArray = np.matmul(vectors - self.mean, self.axes, dtype=np.float32)
        return stored

    def asked(self, queries: FloatArray) -> FloatArray:
        """(Q, D) -> (Q, W), for queries."""
        asked: FloatArray = np.matmul(queries, self.axes, dtype=np.float32)
        return asked

    def to_bytes(self) -> bytes:
        """For the file."""
        return self.mean.astype("<f4").tobytes() + self.axes.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, dimension: int, fitted: int) -> Projection:
        """From the file; ValueError when the length does not fit."""
        values = np.frombuffer(data, "<f4").astype(np.float32)
        return cls(values[:dimension], values[dimension:].reshape(dimension, -1), fitted)


def _lift(dimension: int) -> FloatArray:
    # turbovec turns what it gets at random, zeros among it; its lengths are multiples of 8.
    return np.eye(dimension, max(WIDTH, -(-dimension // 8) * 8), dtype=np.float32)


class TurboIndex(ExactIndex):
    """As ``Index``: exact while it is small, with a compressed scan in front from there on."""

    def __init__(self, dimension: int, *, contract: str = "", codes_from: int = CROSSOVER) -> None:
        """Empty.

        Args:
            dimension: of the vectors.
            contract: the id of the embeddings' contract; files of another are refused.
            codes_from: vectors from which on they are compressed.

        Raises:
            MissingExtraError: turbovec is not installed.
        """
        super().__init__(dimension, contract=contract)
        self._turbovec = load_turbovec()
        self._codes_from = codes_from
        self._codes: Any = None
        self._projection: Projection | None = None

    def _insert(self, ids: Ids, vectors: FloatArray) -> None:
        super()._insert(ids, vectors)
        if self._codes is None:
            if len(self) >= max(1, self._codes_from):
                self._encode()
        elif self._projection is not None:
            self._compress(vectors)
            if self._projection.fitted == 0 and len(self) >= 4 * self.dimension:
                self._encode()

    def _drop(self, identifier: int) -> None:
        slot = int(self._rows.slots_of(np.array([identifier]))[0])
        self._rows.remove(slot)
        if self._codes is not None:
            self._codes.swap_remove(slot)

    def _encode(self) -> None:
        """Compress everything anew."""
        count = len(self)
        some = min(count, max(SAMPLE, 4 * self.dimension))
        sample = np.linspace(0, count - 1, some).astype(np.int64)
        self._projection = Projection.fit(self._rows.take(sample), count)
        self._codes = self._turbovec.TurboQuantIndex(self._projection.width, BITS)
        for _, vectors in self._rows.blocks():
            self._compress(vectors)
        self._codes.prepare()

    def _compress(self, vectors: FloatArray) -> None:
        assert self._projection is not None
        for start in range(0, len(vectors), ENCODE_ROWS):
            stored = self._projection.stored(vectors[start : start + ENCODE_ROWS])
            self._codes.add(np.ascontiguousarray(stored, np.float32))

    def _find(self, queries: FloatArray, k: int, slots: Slots | None) -> tuple[Ids, FloatArray]:
        among = len(self) if slots is None else len(slots)
        shortlist = (SHORTLIST + SHORTLIST_PER_K * k) * (1 if len(queries) == 1 else BATCH_FACTOR)
        if self._projection is None or among <= max(FEW, 2 * shortlist):
            return scan(self._rows, queries, k, slots)
        ids = np.full((len(queries), k), -1, np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        mask = None
        if slots is not None:
            mask = np.zeros(len(self), np.bool_)
            mask[slots] = True
        for start in range(0, len(queries), BATCH):
            some = queries[start : start + BATCH]
            asked = np.ascontiguousarray(self._projection.asked(some))
            _, found = self._codes.search(asked, shortlist, mask=mask)  # (Q, shortlist)
            for i, candidates in enumerate(found.astype(np.int64)):
                at = start + i
                rank(self._rows, queries[at], np.sort(candidates), ids[at], scores[at])
        return ids, scores

    def save(self, folder: Path, state: str) -> None:
        """As ``Index.save``."""
        with self._lock.write():
            self._refit()
            if self._projection is None:
                self._rows.save(folder, state)
            else:
                extra = {"fitted": self._projection.fitted}
                self._rows.save(folder, state, self._parts, extra)

    def _refit(self) -> None:
        projection = self._projection
        if projection is not None and len(self) >= REFIT * max(1, projection.fitted):
            self._encode()

    def _own_parts(self) -> tuple[dict[str, bytes], dict[str, int]]:
        self._refit()
        if self._projection is None:
            return {}, {}
        parts = {"projection": self._projection.to_bytes(), "codes": self._codes.to_bytes()}
        return parts, {"fitted": self._projection.fitted}

    def _take(self, rows: Rows, parts: dict[str, bytes], extra: dict[str, int]) -> None:
        codes: Any = None
        projection: Projection | None = None
        if {"codes", "projection"} <= parts.keys():
            axes, fitted = parts["projection"], extra.get("fitted", 0)
            try:
                projection = Projection.from_bytes(axes, self.dimension, fitted)
                codes = self._turbovec.TurboQuantIndex.from_bytes(parts["codes"])
            except BaseException as error:
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise
                codes = projection = None  # of another version of turbovec: made anew below
            if codes is not None and projection is not None:
                if (len(codes), codes.dim) != (rows.count, projection.width):
                    raise DataError("its codes do not fit the vectors")
                codes.prepare()
        self._put(rows, codes, projection)

    def _put(self, rows: Rows, codes: Any, projection: Projection | None) -> None:
        with self._lock.write():
            self._rows, self._codes, self._projection = rows, codes, projection
            if codes is None and rows.count >= max(1, self._codes_from):
                self._encode()  # what was saved had none: an exact index, or fewer vectors

    def _parts(self, folder: Path) -> dict[str, Part]:
        assert self._projection is not None
        return {
            "codes": files.write_part_with(
                folder, "codes", lambda path: self._codes.write(str(path))
            ),
            "projection": files.write_part(folder, "projection", self._projection.to_bytes()),
        }

    def _load(self, folder: Path, header: Header, writer: bool, most: int | None) -> None:
        rows = Rows(self.dimension, self._rows.contract)
        rows.load(folder, header, writer=writer, most=most)
        self._put(rows, *self._read_codes(folder, header))

    def _read_codes(self, folder: Path, header: Header) -> tuple[Any, Projection | None]:
        if "codes" not in header.parts:
            return None, None
        path = folder / header.parts["codes"].name
        size = header.parts["projection"].size if "projection" in header.parts else 0
        width = size // (4 * self.dimension) - 1
        if not 8 <= width <= max(WIDTH, self.dimension + 7):
            raise damaged(path, "its projection cannot be one")
        # turbovec's tables grow with the square of the width, 4 bits a number come to them.
        room = header.count * (width // 2 + 8) + 8 * width * width + (1 << 20)
        axes = files.read_part(folder, header, "projection", 4 * self.dimension * (width + 1))
        try:
            projection = Projection.from_bytes(axes, self.dimension, header.extra["fitted"])
            with files.open_part(folder, header, "codes", at_most=room):
                codes = self._turbovec.TurboQuantIndex.load(str(path))
            # A mean of vectors of length 1, and orthonormal rows or columns; False for NaN.
            small = np.abs(np.frombuffer(axes, "<f4")) <= 1 + 1e-3
            fits = small.all() and projection.fitted >= 0
            if not fits or (len(codes), codes.dim) != (header.count, width):
                raise damaged(path, "does not fit the vectors")
            codes.prepare()
        except IndexFileError:
            raise
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            # A panic of Rust is a BaseException, too.
            raise damaged(path, f"cannot be used ({error})") from error
        return codes, projection

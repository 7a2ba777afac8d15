"""Search in a gallery of N people: the index, plain NumPy and FAISS Flat on the same data, one run.

    python benchmarks/speed/search.py [--n 1000000] [--dimension 512|128] [--queries 200]
                                [--engines turbo,exact,faiss] [--folder DIR] [--json]

Invented people, drawn in blocks, whose cosines are those measured on LFW: between strangers
0.01 +- 0.10 with 512 numbers (MobileFaceNet) and 0.11 +- 0.087 with 128 (SFace), 0.71 between two
photos of one person. One person in ten has a near-duplicate among the others, with 0.6; half
of the queries ask for such people.

``hit_at_1`` is the share of queries whose best is the exact best, ``hit_at_10`` the share of the
exact ten best that are among the ten. ``memory_mb`` is what building, saving and opening took at
most of memory that the system cannot take back (mapped pages of a file it can; they are
``mapped_mb``). ``open_s`` includes the first query, ``add_one_ms`` one vector into the full index;
``add_and_find_ms`` also the search that finds it. FAISS Flat keeps all in memory. Linux only.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.search import open_index

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]

STRANGERS = {512: (0.01, 0.10), 128: (0.108, 0.0873)}
"""Mean and standard deviation of cosines between strangers on LFW, by dimension; measured with the
default detector and both recognizers."""

MATES, TWINS = 0.71, 0.6
TWIN_SHARE = 0.1
BLOCK = 50_000
K = 10
ENGINES = ("turbo", "exact", "faiss")
REST_S = 0.2
"""Between engines: the threads of one spin for a while after a call and slow the next one down."""


def spectrum(dimension: int, mean: float, deviation: float) -> npt.NDArray[np.float64]:
    """Variances of the axes, falling exponentially, so that cosines have that deviation.

    Vectors of length 1 whose mean has the squared length ``mean`` have variances that sum to
    1 - ``mean``; cosines between them have a variance that is the sum of the squared variances.
    """
    low, high = 1e-3, 1e6
    for _ in range(100):
        slope = (low * high) ** 0.5
        shares = np.exp(-np.arange(dimension) / slope)
        shares *= (1 - mean) / shares.sum()
        low, high = (slope, high) if (shares**2).sum() > deviation**2 else (low, slope)
    return shares


class People:
    """The gallery, drawn again the same each time, and those who ask for somebody in it."""

    def __init__(self, n: int, dimension: int, queries: int) -> None:
        """Draw what does not grow with ``n``."""
        self.n, self.dimension = n, dimension
        mean, deviation = STRANGERS[dimension]
        rng = np.random.default_rng(0)
        turn, _ = np.linalg.qr(rng.standard_normal((dimension, dimension)))
        scale = np.sqrt(spectrum(dimension, mean, deviation))
        self._axes = (scale[:, None] * turn).astype(np.float32)
        center = rng.standard_normal(dimension)
        self._center = (center / np.linalg.norm(center) * mean**0.5).astype(np.float32)
        self._twins = int(min(BLOCK, n) * TWIN_SHARE / 2)  # pairs a block
        first = next(self.blocks())[1]
        twins = rng.integers(0, max(1, self._twins), queries // 2)
        others = rng.integers(0, len(first), queries - queries // 2)
        self.asked = np.concatenate([twins, others])
        self.queries = self._near(first[self.asked], MATES, rng)

    def _draw(self, count: int, rng: np.random.Generator) -> Vectors:
        vectors = rng.standard_normal((count, self.dimension), np.float32) @ self._axes
        vectors += self._center
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def _near(self, vectors: Vectors, cosine: float, rng: np.random.Generator) -> Vectors:
        other = self._draw(len(vectors), rng)
        other -= np.einsum("nd,nd->n", vectors, other)[:, None] * vectors
        other /= np.linalg.norm(other, axis=1, keepdims=True)
        return (cosine * vectors + (1 - cosine**2) ** 0.5 * other).astype(np.float32)

    def blocks(self) -> Iterator[tuple[Numbers, Vectors]]:
        """Ids (B,) and vectors (B, D); the first of a block have their twins at its end."""
        for start in range(0, self.n, BLOCK):
            rng = np.random.default_rng([1, start])
            vectors = self._draw(min(BLOCK, self.n - start), rng)
            if 0 < self._twins <= len(vectors) // 2:
                vectors[-self._twins :] = self._near(vectors[: self._twins], TWINS, rng)
            yield np.arange(start, start + len(vectors)), vectors

    def truth(self) -> Numbers:
        """(Q, K) ids of the exact best, by plain multiplication."""
        best = np.full((len(self.queries), K), -2, np.float32)
        ids = np.full(best.shape, -1, np.int64)
        for numbers, vectors in self.blocks():
            scores = np.concatenate([best, self.queries @ vectors.T], axis=1)
            owners = np.concatenate([ids, np.tile(numbers, (len(ids), 1))], axis=1)
            order = np.argpartition(-scores, K, axis=1)[:, :K]
            best = np.take_along_axis(scores, order, axis=1)
            ids = np.take_along_axis(owners, order, axis=1)
        return np.take_along_axis(ids, np.argsort(-best, axis=1), axis=1)


def memory_mb() -> tuple[float, float]:
    """What this process holds: memory of its own, and mapped pages of files."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    sizes = {words[0]: int(words[1]) / 1024 for words in lines if words[0].startswith("Rss")}
    return sizes["RssAnon:"], sizes["RssFile:"]


class OurEngine:
    """One of the index's kinds, saved into a folder and opened again."""

    def __init__(self, kind: str, people: People, folder: Path) -> None:
        """Make an empty one."""
        self._kind, self._people, self._folder = kind, people, folder / kind
        self._index = open_index(kind, dimension=people.dimension)
        self._index.save(self._folder, "empty")  # so that what does not fit into memory has a place

    def add(self, ids: Numbers, vectors: Vectors) -> None:
        """A block more."""
        self._index.add(ids, vectors)

    def finish(self) -> None:
        """Write the files."""
        self._index.save(self._folder, "full")

    def reopen(self) -> None:
        """As a new process would, up to the first answer."""
        self._index = open_index(self._kind, dimension=self._people.dimension)
        self._index.load(self._folder, writer=True)
        self.search(self._people.queries[:1])

    def search(self, queries: Vectors) -> Numbers:
        """(Q, K) ids."""
        return self._index.search(queries, K)[0]


class Faiss:
    """FAISS's IndexFlatIP, with as many threads as it likes."""

    def __init__(self, people: People) -> None:
        """Make an empty one."""
        import faiss

        self._index = faiss.IndexFlatIP(people.dimension)

    def add(self, ids: Numbers, vectors: Vectors) -> None:
        """A block more."""
        self._index.add(vectors)

    def finish(self) -> None:
        """It is in memory only."""

    def search(self, queries: Vectors) -> Numbers:
        """(Q, K) ids."""
        found: Numbers = self._index.search(queries, K)[1]
        return found


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def measure(
    make: Callable[[], OurEngine | Faiss], people: People, truth: Numbers
) -> dict[str, float]:
    """Build one engine and ask it everything."""
    before, mapped = memory_mb()
    engine = make()
    build_s = most = 0.0
    for ids, vectors in people.blocks():
        build_s += timed(lambda ids=ids, vectors=vectors: engine.add(ids, vectors))[0]
        held = memory_mb()[0] - before - vectors.nbytes / 2**20
        most = max(most, held)
    build_s += timed(engine.finish)[0]
    result: dict[str, float] = {"build_s": build_s}
    if isinstance(engine, OurEngine):
        most = max(most, memory_mb()[0] - before)
        result["open_s"] = timed(engine.reopen)[0]
    time.sleep(REST_S)
    times, found = [], []
    for query in people.queries:
        seconds, ids = timed(lambda query=query: engine.search(query[None]))
        times.append(seconds * 1000)
        found.append(ids[0])
    batch_s, batch = timed(lambda: engine.search(people.queries))
    result["p50_ms"], result["p99_ms"] = np.quantile(times, [0.5, 0.99])
    result["batch_qps"] = len(people.queries) / batch_s
    result["hit_at_1"], result["hit_at_10"] = hits(np.array(found), truth)
    result["batch_hit_at_10"] = hits(batch, truth)[1]
    most = max(most, memory_mb()[0] - before)
    result["memory_mb"], result["mapped_mb"] = most, max(0.0, memory_mb()[1] - mapped)
    if isinstance(engine, OurEngine):
        result |= measure_adding(engine, people)
    return result


def hits(found: Numbers, truth: Numbers) -> tuple[float, float]:
    first = float((found[:, 0] == truth[:, 0]).mean())
    among = (found[:, :, None] == truth[:, None, :]).any(axis=1)  # (Q, K): is truth's j-th found
    return first, float(among.mean())


def measure_adding(engine: OurEngine, people: People) -> dict[str, float]:
    adds, finds = [], []
    for i, vector in enumerate(people.queries[:50]):
        new = np.array([people.n + i])
        seconds, _ = timed(lambda new=new, vector=vector: engine.add(new, vector[None]))
        searching, ids = timed(lambda vector=vector: engine.search(vector[None]))
        if ids[0, 0] != new[0]:
            raise SystemExit(f"vector {new[0]} was added and is not found")
        adds.append(seconds * 1000)
        finds.append((seconds + searching) * 1000)
    return {"add_one_ms": float(np.median(adds)), "add_and_find_ms": float(np.median(finds))}


def run(n: int, dimension: int, queries: int, engines: list[str], folder: Path) -> dict[str, Any]:
    people = People(n, dimension, queries)
    truth = people.truth()
    results = {}
    for name in engines:
        make: Callable[[], OurEngine | Faiss]
        if name == "faiss":
            make = lambda: Faiss(people)  # noqa: E731
        else:
            make = lambda name=name: OurEngine(name, people, folder)  # noqa: E731
        results[name] = {k: round(v, 4) for k, v in measure(make, people, truth).items()}
    report: dict[str, Any] = {"n": n, "dimension": dimension, "queries": queries}
    main = next((results[name] for name in ENGINES if name in results), {})
    report |= main
    report["mates_first"] = float((truth[:, 0] == people.asked).mean())
    if "faiss" in results and main is not results["faiss"]:
        report["faiss_flat_p50_ms"] = results["faiss"]["p50_ms"]
        ratio = results["faiss"]["p50_ms"] / main["p50_ms"]
        report["speedup_over_faiss_flat"] = round(ratio, 1)
    return {**report, "engines": results}


def show(figures: dict[str, Any]) -> None:
    engines = figures["engines"]
    table(
        ("figure", *engines),
        (
            (key, *(f"{row[key]:.4g}" if key in row else None for row in engines.values()))
            for key in dict.fromkeys(key for row in engines.values() for key in row)
        ),
        title=f"{figures['n']:,} vectors of {figures['dimension']}",
    )
    if "speedup_over_faiss_flat" in figures:
        print(f"{figures['speedup_over_faiss_flat']} times as fast as FAISS Flat")


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--n", type=at_least(100), default=1_000_000)
    parser.add_argument("--dimension", type=int, choices=sorted(STRANGERS), default=512)
    parser.add_argument("--queries", type=at_least(2), default=200)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one by default")
    options = parser.parse_args()
    engines = options.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"engines: expected some of {', '.join(ENGINES)}, got {', '.join(unknown)}")
    for name, module in (("turbo", "turbovec"), ("faiss", "faiss")):
        if name in engines and importlib.util.find_spec(module) is None:
            print(f"{module} is not installed (requirements/test.txt): left out", file=sys.stderr)
            engines.remove(name)
    if not engines:
        parser.error("engines: expected one that is installed")
    if not sys.platform.startswith("linux"):
        parser.error("memory is read from /proc: Linux only")
    with tempfile.TemporaryDirectory(prefix="lineament-search-", dir=options.folder) as folder:
        report(
            options,
            lambda: run(options.n, options.dimension, options.queries, engines, Path(folder)),
            show,
        )


if __name__ == "__main__":
    main()

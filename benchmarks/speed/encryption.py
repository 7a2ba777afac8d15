"""An encrypted gallery of N people against the same one as it is, one run, in turns.

    python benchmarks/speed/encryption.py [--n 100000] [--dimension 512|128] [--queries 200]
                                [--people 200] [--repeats 3] [--reading] [--folder DIR] [--json]

Invented people as in ``search.py``, one photo each, with a name, metadata and a photo's name. The
gallery is made as it is, copied, and the copy encrypted, which ``encrypt_s`` is the time of
(``reencrypt_s``: with a new data key, ``rotate_s``: with another key of the owner's, ``decrypt_s``:
back again). Then both are opened in turns (``open``: until the first search is answered), searched
(``identify``: one face, all candidates read from the database and compared with their checksums;
``identify_32``: 32 faces at once; ``filter``: with a metadata filter that no search had before, for
which everybody's metadata are read, ``first_filter``: the first such search after each of several
openings), and enrolled into (``enroll``: one new person with one embedding, on the disk when it
returns; ``enroll_100``: a hundred in one transaction). ``..._ratio`` is the median of the quotients
of pairs of calls, of which either may be the first, ``..._processor_ratio`` that of the time that
processors worked for this process, the steadier one on a busy computer; ``files_mb`` what is on the
disk. No photo is embedded, which takes the same time in both: of whole calls with photos the ratios
are nearer to 1.
"""

from __future__ import annotations

import itertools
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lineament.gallery import Gallery, Key, NewSample, Settings, new_key_file
from lineament.types import Contract, Embedding
from search import STRANGERS, People

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track

BATCH = 1000
FACES = 32


def contract_of(dimension: int) -> Contract:
    """Of embeddings that nobody makes."""
    return Contract("invented", "ab" * 32, "arcface-112", "rgb", False, dimension)


def sample_of(vector: Any, contract: Contract, name: str) -> NewSample:
    array = np.asarray(vector, np.float64)
    unit = (array / np.linalg.norm(array)).astype(np.float32)
    return NewSample(Embedding(unit, 20.0, contract), source=f"/photos/staff/{name}/1.jpg")


def fill(folder: Path, people: People, contract: Contract) -> None:
    """The gallery as it is, with its index files."""
    with Gallery.create(folder, contract, settings=Settings(threshold=0.5)) as gallery:
        for ids, vectors in track(people.blocks(), "enrolling"):
            for start in range(0, len(ids), BATCH):
                names = [f"invented person {i}" for i in ids[start : start + BATCH].tolist()]
                some = vectors[start : start + BATCH]
                gallery.enroll_samples(
                    [(n, sample_of(v, contract, n)) for n, v in zip(names, some, strict=True)],
                    metadata={n: {"building": "ABC"[len(n) % 3], "floor": len(n)} for n in names},
                    force=True,
                )
        gallery.reindex()


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def compared(
    name: str,
    ways: dict[str, Callable[[], object]],
    repeats: int,
    figures: dict[str, Any],
    *,
    warm: int = 1,
    unit: str = "ms",
) -> None:
    """Medians of both, and of the quotients of pairs; which is first is drawn for each pair."""
    rng = random.Random(0)
    clock: dict[str, list[float]] = {way: [] for way in ways}
    work: dict[str, list[float]] = {way: [] for way in ways}
    for i in range(warm + repeats):
        order = list(ways)
        rng.shuffle(order)
        for way in order:
            started, worked = time.perf_counter(), time.process_time()
            ways[way]()
            if i >= warm:
                clock[way].append(time.perf_counter() - started)
                work[way].append(time.process_time() - worked)
    for way in ways:
        median = statistics.median(clock[way])
        figures[f"{name}_{way}_{unit}"] = round(median * {"ms": 1e3, "s": 1.0}[unit], 4)
    for seconds, ending in ((clock, "ratio"), (work, "processor_ratio")):
        pairs = zip(seconds["encrypted"], seconds["open"], strict=True)
        figures[f"{name}_{ending}"] = round(statistics.median(one / two for one, two in pairs), 4)


def run(options: Any, folder: Path) -> dict[str, Any]:
    people = People(options.n, options.dimension, options.queries)
    contract = contract_of(options.dimension)
    figures: dict[str, Any] = {"n": options.n, "dimension": options.dimension}
    figures["queries"] = options.queries
    places = {"open": folder / "open", "encrypted": folder / "encrypted"}
    fill(places["open"], people, contract)
    shutil.copytree(places["open"], places["encrypted"])
    key = new_key_file(folder / "key")
    with Gallery.open(places["encrypted"]) as gallery:
        figures["encrypt_s"] = round(timed(lambda: gallery.encrypt(key)), 3)
    for way, place in places.items():
        figures[f"files_{way}_mb"] = round(size_mb(place), 1)
    keys: dict[str, Key | None] = {"open": None, "encrypted": key}
    asked = [Embedding(v / np.linalg.norm(v), 20.0, contract) for v in people.queries]

    def opened(way: str) -> Gallery:
        gallery = Gallery.open(places[way], read_only=True, key=keys[way])
        gallery.identify_embeddings(asked[:1])
        return gallery

    ways = {way: (lambda way=way: opened(way).close()) for way in places}
    compared("open", ways, options.repeats, figures, unit="s")
    galleries = {way: opened(way) for way in places}
    same = [g.identify_embeddings(asked[:50]) for g in galleries.values()]
    if [str(one) for one in same[0]] != [str(one) for one in same[1]]:
        raise SystemExit("the encrypted gallery gives other answers")

    def searches(size: int) -> dict[str, Callable[[], object]]:
        blocks = [asked[i : i + size] for i in range(0, len(asked) - size + 1, size)]

        def one(way: str) -> Callable[[], object]:
            turns = itertools.cycle(blocks)
            return lambda: galleries[way].identify_embeddings(next(turns))

        return {way: one(way) for way in galleries}

    compared("identify", searches(1), options.queries, figures, warm=3)
    at_once = max(10, options.queries // 8)
    compared("identify_32", searches(min(FACES, len(asked))), at_once, figures)
    floors = {way: itertools.count(1) for way in galleries}
    filters = {
        way: (
            lambda way=way: galleries[way].identify_embeddings(
                asked[:1], where={"floor": {">": -next(floors[way])}}
            )
        )
        for way in galleries
    }
    fresh = {way: [opened(way) for _ in range(options.repeats)] for way in places}

    def first_filter(way: str) -> None:
        with fresh[way].pop() as gallery:
            gallery.identify_embeddings(asked[:1], where={"floor": {">": -1}})

    ways = {way: (lambda way=way: first_filter(way)) for way in places}
    compared("first_filter", ways, options.repeats, figures, warm=0)
    compared("filter", filters, options.repeats, figures)
    for gallery in galleries.values():
        gallery.close()
    if options.reading:
        return figures
    galleries = {way: Gallery.open(places[way], key=keys[way]) for way in places}
    rng = np.random.default_rng(7)
    numbers = {way: itertools.count() for way in places}

    def enrolls(size: int) -> dict[str, Callable[[], object]]:
        def one(way: str) -> Callable[[], object]:
            def call() -> object:
                new = [f"new {size} {next(numbers[way])}" for _ in range(size)]
                drawn = rng.standard_normal((size, options.dimension))
                return galleries[way].enroll_samples(
                    [(n, sample_of(v, contract, n)) for n, v in zip(new, drawn, strict=True)]
                )

            return call

        return {way: one(way) for way in galleries}

    compared("enroll", enrolls(1), options.people, figures, warm=3)
    compared("enroll_100", enrolls(100), max(5, options.people // 20), figures)
    galleries["open"].close()
    with galleries["encrypted"] as gallery:
        second = new_key_file(folder / "key2")
        figures["rotate_s"] = round(timed(lambda: gallery.rotate_key(second)), 4)
        again = timed(lambda: gallery.rotate_key(key, reencrypt=True))
        figures["reencrypt_s"] = round(again, 3)
        figures["decrypt_s"] = round(timed(gallery.decrypt), 3)
    return figures


def show(figures: dict[str, Any]) -> None:
    rows: list[tuple[Any, ...]] = []
    for name, unit in (
        *(("identify", "ms"), ("identify_32", "ms"), ("first_filter", "ms"), ("filter", "ms")),
        ("open", "s"),
        *(("enroll", "ms"), ("enroll_100", "ms")),
    ):
        if f"{name}_ratio" not in figures:
            continue
        both = [figures[f"{name}_{way}_{unit}"] for way in ("open", "encrypted")]
        rows.append(
            (
                f"{name}, {unit}",
                *both,
                *(figures[f"{name}_{ending}"] for ending in ("ratio", "processor_ratio")),
            )
        )
    both = [figures[f"files_{way}_mb"] for way in ("open", "encrypted")]
    rows.append(("files, MB", *both, round(both[1] / both[0], 3), None))
    table(
        ("figure", "open", "encrypted", "ratio", "of processors"),
        rows,
        title=f"{figures['n']:,} people, vectors of {figures['dimension']}",
    )
    table(
        ("change", "seconds"),
        [
            (key, figures[f"{key}_s"])
            for key in ("encrypt", "rotate", "reencrypt", "decrypt")
            if f"{key}_s" in figures
        ],
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--n", type=at_least(100), default=100_000)
    parser.add_argument("--dimension", type=int, choices=sorted(STRANGERS), default=512)
    parser.add_argument("--queries", type=at_least(50), default=200)
    parser.add_argument("--people", type=at_least(10), default=200, help="enrolled one by one")
    parser.add_argument("--repeats", type=at_least(1), default=3, help="of opening")
    parser.add_argument("--reading", action="store_true", help="leave out enrolling and new keys")
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lineament-encryption-", dir=options.folder) as folder:
        report(options, lambda: run(options, Path(folder)), show)


if __name__ == "__main__":
    main()

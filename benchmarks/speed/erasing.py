"""What people's data cost in a gallery of N people: erasing, expiring, handing over, the audit log.

    python benchmarks/speed/erasing.py [--n 100000] [--dimension 512|128] [--expired 1000]
                              [--entries 2000] [--folder DIR] [--json]

Invented people as in ``search.py``, one photo each, with a name, metadata, a photo's name and a
consent. ``erase_s``: one person erased for good, the database written anew, the files searched
(``searched_mb``) and the receipt signed; ``remove_s``: the same without that (``Gallery.remove``);
``..._cpu_s`` is the time of the processors. ``left`` counts what the raw bytes of the files still
hold of those erased, looked for here too. ``identify_ms`` and ``identify_expired_ms``: a search
before, and while ``--expired`` people have expired and are still there; ``expire_s``: those erased
together. ``export_s``: one person written to a zip file. ``append_us`` and ``append_keyed_us``: an
entry of an audit log, on the disk when it returns; ``verify_us``: an entry of a chain that is
followed.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lineament.audit import AuditLog, verify
from lineament.gallery import Consent, Gallery, NewSample, Settings
from lineament.signing import SigningKey, make_key
from lineament.types import Contract, Embedding
from search import STRANGERS, People

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track

BATCH = 1000
CONSENT = Consent("form 17", ("access",), 1e9)


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    started = clock()
    call()
    return clock() - started


def both(figures: dict[str, Any], name: str, call: Callable[[], object]) -> None:
    """Seconds of the clock on the wall, and of the processors."""
    spent = []
    figures[f"{name}_s"] = round(timed(lambda: spent.append(timed(call, time.process_time))), 3)
    figures[f"{name}_cpu_s"] = round(spent[0], 4)


def embedded(vector: Any, contract: Contract) -> Embedding:
    array = np.asarray(vector, np.float64)
    return Embedding((array / np.linalg.norm(array)).astype(np.float32), 20.0, contract)


def fill(folder: Path, people: People, contract: Contract) -> Gallery:
    """A gallery with its index files."""
    gallery = Gallery.create(folder, contract, settings=Settings(threshold=0.5))
    for ids, vectors in track(people.blocks(), "enrolling"):
        for start in range(0, len(ids), BATCH):
            names = [f"invented person {i:07d}" for i in ids[start : start + BATCH].tolist()]
            some = zip(names, vectors[start : start + BATCH], strict=True)
            gallery.enroll_samples(
                [(n, NewSample(embedded(v, contract), f"/photos/{n}/1.jpg")) for n, v in some],
                metadata={n: {"email": f"{n}@example.org"} for n in names},
                consents=dict.fromkeys(names, CONSENT),
                force=True,
            )
    gallery.reindex()
    return gallery


def left_of(folder: Path, pieces: list[bytes]) -> int:
    """How often the pieces stand in the files, in another way than ``Gallery.erase`` looks."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(data.count(piece) for data in map(Path.read_bytes, files) for piece in pieces)


def search_ms(gallery: Gallery, asked: list[Embedding]) -> float:
    times = [timed(lambda one=one: gallery.identify_embeddings([one])) for one in asked]
    return round(statistics.median(times) * 1e3, 3)


def run(options: Any, folder: Path) -> dict[str, Any]:
    people = People(options.n, options.dimension, 100)
    contract = Contract("invented", "ab" * 32, "arcface-112", "rgb", False, options.dimension)
    figures: dict[str, Any] = {"n": options.n, "dimension": options.dimension}
    make_key(folder / "key")
    key = SigningKey.load(folder / "key")
    asked = [embedded(v, contract) for v in people.queries]
    with fill(folder / "g", people, contract) as gallery:
        names = [one.name for one in gallery.people(limit=options.expired + 3)]

        def traces(some: list[str]) -> list[bytes]:
            found = []
            for name in some:
                sample = gallery.person(name).samples[0]
                vector = gallery.embedding(sample.id).vector.tobytes()
                found += [name.encode(), vector[:32], vector[-32:]]
            return found

        first, second, third, *others = names
        both(figures, "export", lambda: gallery.export_person(first, folder / "one.zip"))
        pieces = traces([first, second])
        both(figures, "remove", lambda: gallery.remove(first))
        receipts = []
        both(figures, "erase", lambda: receipts.append(gallery.erase(second, signing_key=key)))
        figures["searched_mb"] = round(receipts[0].n_bytes / 1e6, 1)
        figures["clean"] = receipts[0].clean
        figures["identify_ms"] = search_ms(gallery, asked)
        some = others[: options.expired]
        pieces += traces([third, *some[:20]])
        for name in track(some, "expiring"):
            gallery.keep_until(name, 1.1e9)
        figures["n_expired"] = options.n - 2 - gallery.n_people
        figures["identify_expired_ms"] = search_ms(gallery, asked)
        gallery.erase(third)
        both(figures, "expire", lambda: gallery.expire(signing_key=key))
        figures["left"] = left_of(folder / "g", pieces)
    for name, secret in (("append_us", None), ("append_keyed_us", bytes(32))):
        path = folder / f"{name}.jsonl"
        with AuditLog.open(path, key=secret) as log:
            times = [
                timed(lambda i=i, log=log: log.append("identify", "key", "g", "ab" * 32, i=i))
                for i in range(options.entries)
            ]
        figures[name] = round(statistics.median(times) * 1e6, 1)
    seconds = timed(lambda: verify(path, key=bytes(32)))
    figures["verify_us"] = round(seconds / options.entries * 1e6, 1)
    return figures


def show(figures: dict[str, Any]) -> None:
    rows = [(name, value) for name, value in figures.items() if name not in ("n", "dimension")]
    title = f"{figures['n']:,} people, vectors of {figures['dimension']}"
    table(("figure", "value"), rows, title=title)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--n", type=at_least(100), default=100_000)
    parser.add_argument("--dimension", type=int, choices=sorted(STRANGERS), default=512)
    parser.add_argument("--expired", type=at_least(1), default=1000)
    parser.add_argument("--entries", type=at_least(10), default=2000)
    parser.add_argument("--folder", type=Path, help="for the files; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lineament-erasing-", dir=options.folder) as folder:
        report(options, lambda: run(options, Path(folder)), show)


if __name__ == "__main__":
    main()

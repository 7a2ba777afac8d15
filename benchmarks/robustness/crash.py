"""A process that enrolls and removes is killed at random: is all there that it acknowledged?

    python benchmarks/robustness/crash.py [--kills 200] [--json]

A child opens the gallery and enrolls, removes, renames and merges people, with embeddings drawn at
random. It says over a pipe what it is about to do and what is done. After a random time it is
killed with SIGKILL. Then the gallery is opened, compared with what was said, and searched for every
person; the next child goes on with it. ``lost`` counts acknowledged changes that are not there (or
half there), ``unopenable`` the times that the gallery could not be opened or its checks failed. A
change that was begun but not acknowledged may be there as a whole or not at all.

Killing a process shows that the order of the writes is right. It does not cut the power: that what
is written reaches the disk rests on SQLite's ``synchronous=FULL`` and on the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from lineament import Contract, Embedding, LineamentError
from lineament.gallery import Gallery, NewSample, SampleInfo, Settings

sys.path.insert(0, str(Path(__file__).parents[1]))
from _harness import Parser, at_least, report, table

DIMENSION = 128
CONTRACT = Contract("random", "00" * 32, "arcface-112", "rgb", False, DIMENSION)
FEW, MANY = 40, 120
"""People between whom the gallery's size wanders."""

State = dict[str, list[int]]
"""Name -> seeds of the person's embeddings."""


def embedding(seed: int) -> Embedding:
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return Embedding((vector / np.linalg.norm(vector)).astype(np.float32), 1.0, CONTRACT)


def after(state: State, step: list[Any]) -> State:
    """What a step makes of a state."""
    kind, name, *rest = step
    new = {key: list(seeds) for key, seeds in state.items()}
    if kind == "enroll":
        new[name] = [*new.get(name, []), *rest[0]]
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
        made = gallery.enroll_samples([(name, new_sample(seed)) for seed in rest[0]], force=True)
        assert all(isinstance(one, SampleInfo) for one in made)
    elif kind == "remove":
        gallery.remove(name)
    elif kind == "remove sample":
        wanted = str(rest[0])
        gallery.remove(next(s.id for s in gallery.person(name).samples if s.source == wanted))
    elif kind == "rename":
        gallery.rename(name, rest[0])
    else:
        gallery.merge(name, rest[0])


def new_sample(seed: int) -> NewSample:
    return NewSample(embedding(seed), source=str(seed))


def child(folder: Path, seed: int) -> None:
    """Until it is killed."""
    rng = random.Random(seed)
    with Gallery.open(folder) as gallery:
        state = contents(gallery)
        print(json.dumps(["open"]), flush=True)
        while True:
            step = next_step(state, rng)
            print(json.dumps(["begin", *step]), flush=True)
            perform(gallery, step)
            state = after(state, step)
            print(json.dumps(["done"]), flush=True)
            if rng.random() < 0.02:
                gallery.reindex()


def contents(gallery: Gallery) -> State:
    return {
        info.name: sorted(int(s.source) for s in gallery.person(info.name).samples)
        for info in gallery.people()
    }


def problems(gallery: Gallery, state: State) -> list[str]:
    """What the database's and the index's own checks say, and who is not found."""
    found = gallery.check()
    seeds = [(name, seed) for name, seeds in state.items() for seed in seeds]
    answers = gallery.identify_embeddings([embedding(seed) for _, seed in seeds], top=1)
    for (name, seed), answer in zip(seeds, answers, strict=True):
        if answer.name != name:
            found.append(f"{name} ({seed}) is not found: {answer}")
    return found


def sorted_state(state: State) -> State:
    return {name: sorted(seeds) for name, seeds in state.items()}


def run(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    Gallery.create(folder, CONTRACT, settings=Settings(threshold=0.9)).close()
    state: State = {}
    figures = {"kills": 0, "acknowledged": 0, "lost": 0, "unopenable": 0}
    details: list[str] = []
    started = time.perf_counter()
    for number in range(kills):
        command = [sys.executable, __file__, "--child", str(folder), str(rng.getrandbits(32))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()
        if json.loads(first or "null") != ["open"]:
            figures["unopenable"] += 1
            details.append(f"kill {number}: the child could not open the gallery")
            process.kill()
            process.wait()
            break
        time.sleep(rng.choice((rng.uniform(0, 0.05), rng.uniform(0, 0.6))))
        os.kill(process.pid, signal.SIGKILL)
        lines = process.stdout.read().splitlines(keepends=True)
        process.wait()
        figures["kills"] += 1
        begun: list[Any] | None = None
        for line in lines:
            if not line.endswith("\n"):  # cut by the kill
                break
            word, *step = json.loads(line)
            if word == "begin":
                begun = step
            else:
                assert begun is not None
                state, begun = after(state, begun), None
                figures["acknowledged"] += 1
        wanted = [sorted_state(state)]
        if begun is not None:
            wanted.append(sorted_state(after(state, begun)))
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
    return {**figures, "seconds": round(time.perf_counter() - started, 1), "details": details}


def show(figures: dict[str, Any]) -> None:
    table(("figure", "value"), figures.items())


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--kills", type=at_least(1), default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--child", nargs=2, metavar=("DIR", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(Path(options.child[0]), int(options.child[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        report(options, lambda: run(Path(folder) / "gallery", options.kills, options.seed), show)


if __name__ == "__main__":
    main()

"""What a kind of cases gets, and what it says."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator


class WrongError(Exception):
    """Something was answered that is not so, or accepted that must not be: counts as a crash."""


class AbsentError(Exception):
    """This machine lacks what the case needs; it is passed over and not counted."""


@dataclass
class Case:
    """One case: where it works, and its generator.

    Attributes:
        number: of the case in its door.
        rng: a function of the seed, the door and the number.
        folder: empty, and the case's own: whatever it makes and writes belongs here.
        outside: a folder of files that nothing may touch.
        shared: what the door's ``prepare`` returned.
        bound_mb: memory above what the process had, promised for this case.
        limit_s: processor seconds, promised for this case.
        allowed: addresses that may be connected to.
        may_read_outside: whether opening a file of ``outside`` to read it is no escape.
        may_read_apart: whether lineament's own process for reading files of weights is no escape.
        verbose: say what is done.
    """

    number: int
    rng: Rng
    folder: Path
    outside: Path
    shared: Any
    bound_mb: float
    limit_s: float
    allowed: set[tuple[str, int]] = field(default_factory=set)
    may_read_outside: bool = True
    may_read_apart: bool = False
    verbose: bool = False
    escapes: list[str] = field(default_factory=list)
    start: Callable[[], None] = lambda: None  # from now on it is lineament's time and memory

    def expect(self, holds: object, what: str) -> None:
        """Raise WrongError unless it holds."""
        if not holds:
            raise WrongError(what)

    def say(self, *words: object) -> None:
        """Print what is done, with ``--case``."""
        if self.verbose:
            print(*words, flush=True)

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of these, drawn."""
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        """Whether, drawn."""
        return bool(self.rng.random() < share)

    def file(self, name: str, data: bytes) -> Path:
        """A file of the case's own."""
        path = self.folder / name
        path.write_bytes(data)
        return path


Kind = Callable[[Case], bool | None]


@dataclass(frozen=True)
class Door:
    """A way in.

    Attributes:
        name: of it.
        kinds: in turn: case i is one of kind i modulo their number.
        cases: how many there are in all.
        bound_mb: memory above what the process had, promised for a case unless it says otherwise.
        limit_s: processor seconds for a case.
        prepare: called once in each worker; what it returns is ``Case.shared``.
        growth_mb: what a worker's resident memory may grow by over its last two thirds.
    """

    name: str
    kinds: tuple[Kind, ...]
    cases: int
    bound_mb: float = 256.0
    limit_s: float = 20.0
    prepare: Callable[[Path, int], Any] = lambda home, seed: None
    growth_mb: float = 100.0

    def kind(self, number: int) -> Kind:
        """The kind of a case."""
        return self.kinds[number % len(self.kinds)]


def rng_of(seed: int, door: str, number: int) -> Rng:
    """The generator of a case."""
    return np.random.default_rng([seed, zlib.crc32(door.encode()), number])

"""People who were seen, named or not: recognized when they return, also in another film.

A memory holds of each person the best views (embeddings, no pixels), a lasting number, and the name
if there is one. ``save`` writes it as a NumPy archive without pickles; ``open`` reads it again and
sees that it is for embeddings of the same contract. Embeddings are biometric data: the file can be
read by its owner only.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lineament import machine
from lineament.errors import ContractError, DataError, OptionError
from lineament.files import TooManyBytesError, read_regular, write_atomically
from lineament.results import Outcome
from lineament.text import reason_of
from lineament.types import Contract, FloatArray, IntArray
from lineament.video.identity import MOST_VIEWS, View, Views

FORMAT = 1
MOST_BYTES = 2 << 30
MOST_PEOPLE = 100_000
"""Of a file: both far past what a film shows."""


@dataclass(slots=True)
class Person:
    """Somebody who was seen.

    Attributes:
        id: the lasting number, from 1.
        views: the best.
        name: in the gallery that was asked last; None: no name.
        n_visits: how often the person came into the picture.
        beside: numbers of people who were seen at the same time, so that they are others; of this
            session.
    """

    id: int
    views: Views = field(default_factory=Views)
    name: str | None = None
    n_visits: int = 0
    beside: set[int] = field(default_factory=set)


class Snapshot(NamedTuple):
    """Everybody in a memory at one time, and the number that was to be given next."""

    next_number: int
    people: dict[int, Person]


@dataclass(frozen=True, slots=True)
class RememberedPerson(Outcome):
    """What is known of a person in a memory.

    Attributes:
        id: the lasting number, from 1.
        name: or None.
        n_views: embeddings that are kept.
        n_visits: how often the person came into the picture.
    """

    id: int
    name: str | None
    n_views: int
    n_visits: int


class Memory:
    """People who were seen. For one thread.

    Attributes:
        contract: of the embeddings; None as long as nobody is in it.
        path: of the file; None: it is kept nowhere.
    """

    def __init__(self, contract: Contract | None = None, path: Path | None = None) -> None:
        """An empty one; ``Memory.open`` reads a file."""
        self.contract = contract
        self.path = path
        self._people: dict[int, Person] = {}
        self._next = 1
        self._pools: tuple[IntArray, FloatArray] | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Memory:
        """Read a file; one that does not exist yet is an empty memory that ``save`` will write.

        Raises:
            DataError: it is no such file.
            OptionError: it cannot be read, or the folder does not exist.
        """
        place = Path(path)
        if not place.exists():
            if not place.parent.is_dir():
                raise OptionError(
                    f"{place}: expected a file in a folder that exists", option="remember"
                )
            return cls(path=place)
        try:
            data = read_regular(place, at_most=MOST_BYTES)
        except TooManyBytesError as error:
            raise DataError(f"{place}: expected a memory of people, got a larger file") from error
        except (OSError, ValueError) as error:
            raise OptionError(
                f"{place}: cannot be read: {reason_of(error)}", option="remember"
            ) from error
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return cls._from(dict(arrays), place)
        except Exception as error:  # a broken archive raises a dozen kinds
            machine.raise_if_short(error)
            raise DataError(
                f"{place}: expected a memory of people (--remember), got: {reason_of(error)}: name "
                "another file, or remove it to begin anew"
            ) from error

    def check(self, contract: Contract) -> None:
        """Return if embeddings of this contract can be compared with those in the memory.

        Raises:
            ContractError: they were made in another way.
        """
        if self.contract is None:
            self.contract = contract
            return
        try:
            self.contract.check(contract)
        except ContractError as error:
            where = "the memory" if self.path is None else str(self.path)
            raise ContractError(
                f"{where}: the people in it were embedded with {self.contract.id}, this recognizer "
                f"makes {contract.id}: use the recognizer and options of before, or another file"
            ) from error

    def __len__(self) -> int:
        """How many people."""
        return len(self._people)

    def __getitem__(self, number: int) -> Person:
        """The person of that number; KeyError: there is none."""
        return self._people[number]

    def people(self) -> tuple[RememberedPerson, ...]:
        """Who is in it, by number."""
        return tuple(
            RememberedPerson(one.id, one.name, len(one.views), one.n_visits)
            for one in self._people.values()
        )

    def new(self) -> Person:
        """Add somebody."""
        person = Person(self._next)
        self._people[person.id] = person
        self._next += 1
        return person

    def named(self, name: str) -> Person | None:
        """Who is called so."""
        return next((one for one in self._people.values() if one.name == name), None)

    def learn(self, person: Person, view: View) -> bool:
        """Take in a view of somebody; return whether the pool changed."""
        changed = person.views.add(view)
        if changed:
            self._pools = None
        return changed

    def merge(self, person: Person, other: Person) -> None:
        """``other`` turned out to be ``person``: take over the views, and forget the number."""
        for view in other.views.listed:
            person.views.add(view)
        person.beside |= other.beside
        self.forget(other)

    def forget(self, person: Person) -> None:
        """Remove somebody; the number is not given again unless it was the last one."""
        self._people.pop(person.id, None)
        if person.id == self._next - 1:
            self._next = person.id
        self._pools = None

    def snapshot(self) -> Snapshot:
        """All people as they are now, for ``restore``."""
        people = {
            number: Person(number, one.views.copy(), one.name, one.n_visits)
            for number, one in self._people.items()
        }
        return Snapshot(self._next, people)

    def restore(self, before: Snapshot) -> None:
        """Forget what was learnt since a snapshot, which is used up by that."""
        self._next, self._people = before.next_number, before.people
        self._pools = None

    def similarities(self, vector: FloatArray) -> tuple[IntArray, FloatArray]:
        """Numbers of all people who have views, (P,), and a vector's cosines to them, (P,)."""
        if self._pools is None:
            known = [one for one in self._people.values() if len(one.views)]
            ids = np.array([one.id for one in known], np.int64)
            pools = [one.views.pooled() for one in known]
            self._pools = ids, np.array(pools, np.float32).reshape(len(ids), len(vector))
        ids, pools_of = self._pools
        return ids, (pools_of @ vector if len(ids) else np.zeros(0, np.float32))

    # --- files ------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str] | None = None) -> None:
        """Write the file; one that exists is replaced, and nobody ever sees half of it.

        Args:
            path: None: where it was opened.

        Raises:
            OptionError: it cannot be written, or there is no path.
        """
        place = self.path if path is None else Path(path)
        if place is None:
            raise OptionError("expected the path of a file, this memory has none", option="path")
        people = [one for one in self._people.values() if len(one.views)]
        views = [view for one in people for view in one.views.listed]
        head = {
            "format": FORMAT,
            "kind": "lineament memory",
            "contract": None if self.contract is None else asdict(self.contract),
            "next": self._next,
            "people": [
                {
                    "id": one.id,
                    "name": one.name,
                    "n_visits": one.n_visits,
                    "n_views": len(one.views),
                }
                for one in people
            ],
        }
        worth = [np.nan if v.recognizability is None else v.recognizability for v in views]
        dimension = 0 if self.contract is None else self.contract.dimension
        target = io.BytesIO()
        np.savez(
            target,
            head=np.array(json.dumps(head)),
            vectors=np.array([v.vector for v in views], np.float32).reshape(-1, dimension),
            norms=np.array([v.norm for v in views], np.float32),
            recognizability=np.array(worth, np.float32),
            times=np.array([v.time_s for v in views], np.float64),
        )
        write_atomically(place, target.getvalue(), private=True)

    @classmethod
    def _from(cls, arrays: dict[str, Any], path: Path) -> Memory:
        head = json.loads(str(arrays["head"]))
        if head["kind"] != "lineament memory" or head["format"] != FORMAT:
            raise DataError(f"expected format {FORMAT}, got {head['kind']} {head['format']}")
        contract = None if head["contract"] is None else Contract(**head["contract"])
        memory = cls(contract, path)
        vectors = np.asarray(arrays["vectors"], np.float32)
        rows = [np.asarray(arrays[name]) for name in ("norms", "recognizability", "times")]
        counts = [int(one["n_views"]) for one in head["people"]]
        if len(counts) > MOST_PEOPLE or not all(1 <= n <= MOST_VIEWS for n in counts):
            raise DataError(f"expected 1 to {MOST_VIEWS} views of each person")
        dimension = 0 if contract is None else contract.dimension
        if vectors.shape != (sum(counts), dimension) or any(len(r) != len(vectors) for r in rows):
            raise DataError("expected as many views as the people have")
        if len(vectors) and np.abs(np.linalg.norm(vectors, axis=1) - 1).max() > 1e-3:
            raise DataError("expected vectors of length 1")
        at = 0
        for one, count in zip(head["people"], counts, strict=True):
            person = Person(int(one["id"]), name=one["name"], n_visits=int(one["n_visits"]))
            for i in range(at, at + count):
                norm, worth, time_s = (float(row[i]) for row in rows)
                seen = None if np.isnan(worth) else worth
                person.views.add(View(vectors[i], norm, seen, time_s))
            at += count
            memory._people[person.id] = person
        memory._next = max([int(head["next"]), *(number + 1 for number in memory._people)])
        if len(memory._people) != len(counts) or min(memory._people, default=1) < 1:
            raise DataError("expected people with numbers that differ, from 1 on")
        return memory

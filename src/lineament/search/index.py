"""What an index of vectors does, whoever does it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lineament.types import FloatArray

Ids = npt.NDArray[np.int64]


class Index(Protocol):
    """Vectors by id, and the nearest ones to a query. Derived from a database, never the truth.

    Ids are whole numbers from 0 up; small ones without large gaps, as a database counts them, take
    the least memory. All methods may be called from several threads; searches run side by side.
    """

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        ...

    def __len__(self) -> int:
        """How many vectors there are."""
        ...

    def __contains__(self, identifier: object) -> bool:
        """Whether there is a vector of that id."""
        ...

    def add(self, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> None:
        """Add vectors; they can be found at once. One whose id is there already is replaced.

        Args:
            ids: (N,) whole numbers of 0 or more, each once.
            vectors: (N, D) float32 of length 1.

        Raises:
            OptionError: other shapes, negative or repeated ids, vectors that are not of length 1.
        """
        ...

    def remove(self, ids: npt.ArrayLike) -> int:
        """Remove vectors, at once; how many of the ids (N,) there were. Others are passed over."""
        ...

    def search(
        self, queries: npt.ArrayLike, k: int, *, allowed: npt.ArrayLike | None = None
    ) -> tuple[Ids, FloatArray]:
        """The nearest vectors to each query.

        Args:
            queries: (Q, D) float32 of length 1.
            k: how many a query, 1 or more.
            allowed: (A,) the ids to choose among, in any order; None for all. Ids that are not in
                the index are passed over.

        Returns:
            Ids (Q, k) int64 and their cosines (Q, k) float32, computed from the full vectors, the
            most alike first, equal ones by id. Where there are fewer than k: -1 and -inf.

        Raises:
            OptionError: other shapes, queries that are not of length 1, k below 1.
            IndexFileError: the file of the vectors was damaged or replaced: load again, and if
                that fails too, rebuild.
        """
        ...

    def save(self, folder: Path, state: str) -> None:
        """Bring the files in ``folder`` up to date, so that ``load`` has all of it again.

        Whoever opens the folder sees the old files or the new ones. When this returns, nothing of
        a removed vector stands in the files any more. Only one process may save into a folder;
        that is for the caller to see to.

        Args:
            folder: made if need be. Nothing else may be in it.
            state: up to where in the database's history the index is; ``load`` returns it.

        Raises:
            OptionError: the folder cannot be written to.
        """
        ...

    def load(self, folder: Path, *, writer: bool = False, most: int | None = None) -> str:
        """Take over what ``save`` left in ``folder``, in place of what is there; returns the state.

        Args:
            folder: the one that was saved into.
            writer: whether this process is the one that saves into the folder: it finishes what a
                crash interrupted.
            most: vectors that there can be; more are damage, and not read. None: any number.

        Raises:
            IndexFileError: there is nothing, or it is damaged, of another version or of another
                contract: rebuild. The index is as it was before.
        """
        ...

    def vectors(self, ids: npt.ArrayLike) -> tuple[Ids, FloatArray]:
        """Those of ``ids`` that are there, ascending, and their vectors (N, D)."""
        ...

    def check(self) -> None:
        """Read everything and compare the checksums; IndexFileError if one differs."""
        ...

    @property
    def follows_writer(self) -> bool:
        """Whether what the saving process changes shows here by itself, as on a server.

        Such an index must not be told of those changes by ``add`` and ``remove``.
        """
        ...

    def close(self) -> None:
        """Let go of what is connected; used again, it connects again."""
        ...

    def settle(self) -> None:
        """Do now, or wait for, what makes searches as fast as they get. It may take minutes.

        Searches are right without it. Engines of others are built in a thread of their own once a
        search finds that they are due; this waits for them.

        Raises:
            IndexFileError: the engine could not be built.
        """
        ...

    def compact(self) -> bool:
        """Rewrite what holds removed vectors; False: a server does so in its own time.

        An index in files of ours has nothing to do: ``save`` overwrites what was removed.
        """
        ...

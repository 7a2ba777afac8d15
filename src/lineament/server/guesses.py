"""Wrong keys and passwords: counted for all processes of a server, so that who guesses is refused.

What is counted has a kind ("key", "address", "user") and a name, such as the caller's address. It
is forgotten so many seconds after the last wrong one; once there are too many, nothing more is
accepted under that name, or counted, until then.

To ask is to read one row. To count waits for no disk (SQLite's log, ``synchronous = NORMAL``): what
a process counted outlives it, but a machine that loses its power may forget the last ones. Who is
refused causes no write at all. Of each kind about ``MOST_ROWS`` names are kept; those with the
fewest wrong ones go first. So a flood fills no disk, and drives out no name with more wrong ones.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lineament.server.tables import Shared, opened

MOST_ROWS = 10_000
"""Names of a kind that are remembered."""

_TIDY = 256
"""Writes of a process after which it looks for rows that are too many or too old."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS guesses (kind TEXT NOT NULL, who TEXT NOT NULL, "
    "count INTEGER NOT NULL, until REAL NOT NULL, PRIMARY KEY (kind, who)) WITHOUT ROWID"
)


@dataclass(frozen=True, slots=True)
class Guess:
    """What is counted.

    Attributes:
        kind: which limit it is under.
        who: an address, or a user's name.
        most: wrong ones after which it is refused.
        lasting_s: seconds from the last one until it is forgotten.
    """

    kind: str
    who: str
    most: int
    lasting_s: float


class Guesses:
    """The wrong ones of one server; several processes may use the same file."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open the store of a data folder; it is made if need be, readable by its owner alone.

        Args:
            folder: of the server's data; it exists.
            clock: seconds since 1970.
        """
        path, self._clock = folder / "guesses.sqlite", clock
        self._table = Shared(path, "PRAGMA synchronous = NORMAL")
        self._writes = 0
        with opened(path, "PRAGMA journal_mode = WAL", _SCHEMA):
            pass

    def left_s(self, guess: Guess) -> float:
        """Seconds for which it is refused; 0.0: it is not. Writes nothing."""
        with self._table.held() as connection:
            return self._left_s(connection, guess)

    def _left_s(self, connection: sqlite3.Connection, guess: Guess) -> float:
        row = connection.execute(
            "SELECT count, until FROM guesses WHERE kind = ? AND who = ?", (guess.kind, guess.who)
        ).fetchone()
        return 0.0 if row is None or row[0] < guess.most else max(0.0, row[1] - self._clock())

    def count(self, *guesses: Guess) -> tuple[Guess, float] | None:
        """Count a wrong one under each of these, unless one of them is refused: then under none.

        Returns:
            The first that is refused, and the seconds that are left; None: all were counted.
        """
        with self._table.held() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for guess in guesses:
                    if left_s := self._left_s(connection, guess):
                        return guess, left_s
                now = self._clock()
                for guess in guesses:
                    connection.execute(
                        "INSERT INTO guesses VALUES (?1, ?2, 1, ?4) ON CONFLICT (kind, who) DO "
                        "UPDATE SET count = CASE WHEN until <= ?3 THEN 1 ELSE count + 1 END, "
                        "until = ?4",
                        (guess.kind, guess.who, now, now + guess.lasting_s),
                    )
                if self._writes % _TIDY == 0:  # the first time, too: a process may end soon
                    self._tidy(connection, now)
                self._writes += 1
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # one was refused, or the disk is full
                    connection.execute("ROLLBACK")
        return None

    def _tidy(self, connection: sqlite3.Connection, now: float) -> None:
        connection.execute("DELETE FROM guesses WHERE until <= ?", (now,))
        for kind, count in connection.execute(
            "SELECT kind, count(*) FROM guesses GROUP BY kind"
        ).fetchall():
            if count > MOST_ROWS:
                connection.execute(
                    "DELETE FROM guesses WHERE (kind, who) IN (SELECT kind, who FROM guesses "
                    "WHERE kind = ? ORDER BY count, until LIMIT ?)",
                    (kind, count - MOST_ROWS),
                )

    def forget(self, *guesses: Guess) -> None:
        """A right one came: nothing is counted under these any more."""
        with self._table.held() as connection:
            for guess in guesses:
                connection.execute(
                    "DELETE FROM guesses WHERE kind = ? AND who = ?", (guess.kind, guess.who)
                )

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        self._table.close()

"""Who guesses is refused, by every process; what is right is only read, and a flood stays small."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from lineament.errors import UnauthorizedError
from lineament.server import guesses
from lineament.server.guesses import Guess, Guesses
from lineament.server.keys import LOCKED_S, MOST_FAILURES, KeyStore
from lineament.server.users import UserStore

WRONG = "lin_000000000000_" + "A" * 43
RIGHT_NOW = 1_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = RIGHT_NOW

    def __call__(self) -> float:
        return self.now


def refused(store: KeyStore, key: str = WRONG, host: str = "guesser") -> str:
    with pytest.raises(UnauthorizedError) as caught:
        store.principal(key, host=host)
    return caught.value.message


def writes(folder: Path, what: Callable[[], object]) -> bool:
    """Whether something was written to the file of guesses meanwhile."""
    with closing(sqlite3.connect(folder / "guesses.sqlite")) as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
        what()
        return bool(connection.execute("PRAGMA data_version").fetchone() != before)


def rows(folder: Path) -> list[tuple[str, str, int]]:
    with closing(sqlite3.connect(folder / "guesses.sqlite")) as connection:
        return connection.execute(
            "SELECT kind, who, count FROM guesses ORDER BY count DESC, kind, who"
        ).fetchall()


def test_an_address_is_refused_by_all_processes_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    with (
        closing(KeyStore(tmp_path, clock=clock)) as one,
        closing(KeyStore(tmp_path, clock=clock)) as other,
    ):
        key = one.add("verify")
        for _ in range(MOST_FAILURES // 2):
            assert "wrong or revoked" in refused(one)
            assert "wrong or revoked" in refused(other)
            clock.now += LOCKED_S / 2
        assert "too many" in refused(one)
        assert "too many" in refused(other, key)
        assert one.principal(key, host="home").role == "verify"
        one.close()
    with closing(KeyStore(tmp_path, clock=clock)) as later:
        assert "too many" in refused(later, key)
        clock.now += LOCKED_S / 2 + 1
        assert later.principal(key, host="guesser").role == "verify"
        assert "wrong or revoked" in refused(later)
        assert rows(tmp_path) == [("key", "guesser", 1)]


def test_right_keys_and_refused_addresses_write_nothing(tmp_path: Path) -> None:
    with closing(KeyStore(tmp_path)) as store:
        key = store.add("verify")
        assert not writes(tmp_path, lambda: store.principal(key, host="home"))
        assert writes(tmp_path, lambda: refused(store))
        assert not writes(tmp_path, lambda: store.principal(key, host="guesser"))
        for _ in range(MOST_FAILURES - 1):
            refused(store)
        assert not writes(tmp_path, lambda: refused(store))
        assert rows(tmp_path) == [("key", "guesser", MOST_FAILURES)]


def test_a_wrong_key_is_wrong_even_if_it_cannot_be_counted(tmp_path: Path) -> None:
    with closing(KeyStore(tmp_path)) as store:
        key = store.add("verify")
        with store._guesses._table.held() as connection:
            connection.execute("PRAGMA query_only = ON")  # as on a full disk
        for _ in range(2):
            assert "wrong or revoked" in refused(store)
        assert store.principal(key, host="guesser").role == "verify"
        with store._guesses._table.held() as connection:
            connection.execute("PRAGMA query_only = OFF")
        refused(store)
        assert rows(tmp_path) == [("key", "guesser", 1)]


def test_a_flood_stays_small_and_drives_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guesses, "MOST_ROWS", 50)
    with closing(Guesses(tmp_path)) as store:
        for _ in range(3):
            store.count(Guess("user", "anna", 50, 300.0))
            store.count(Guess("key", "10.0.0.1", 20, 60.0))
        for n in range(2_000):
            store.count(Guess("key", f"2001:db8::{n:x}", 20, 60.0))
            store.count(Guess("user", f"made-up-{n}", 50, 300.0))
        found = rows(tmp_path)
        assert found[:2] == [("key", "10.0.0.1", 3), ("user", "anna", 3)]
        assert len(found) <= 2 * 50 + 256
        size = sum(path.stat().st_size for path in tmp_path.iterdir())
        assert size < 8 << 20


def test_what_is_over_goes(tmp_path: Path) -> None:
    clock = Clock()
    with closing(Guesses(tmp_path, clock=clock)) as store:
        store.count(Guess("key", "early", 20, 60.0))
        clock.now += 61
    with closing(Guesses(tmp_path, clock=clock)) as store:
        store.count(Guess("key", "late", 20, 60.0))
        assert rows(tmp_path) == [("key", "late", 1)]
        store.forget(Guess("key", "late", 20, 60.0))
        assert rows(tmp_path) == []


def test_none_is_counted_where_one_is_refused(tmp_path: Path) -> None:
    address, user = Guess("address", "a", 10, 300.0), Guess("user", "anna", 2, 300.0)
    with closing(Guesses(tmp_path)) as store:
        assert [store.count(address, user) for _ in range(2)] == [None, None]
        again = store.count(address, user)
        assert again is not None
        assert again[0] is user
        assert 0 < again[1] <= 300
        assert rows(tmp_path) == [("address", "a", 2), ("user", "anna", 2)]
        assert store.left_s(address) == 0.0
        assert store.left_s(user) > 0.0


def test_guesses_at_the_same_time_are_all_counted(tmp_path: Path) -> None:
    guess = Guess("address", "a", 10, 300.0)
    stores = [Guesses(tmp_path) for _ in range(3)]
    try:
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda n: stores[n % 3].count(guess), range(60)))
    finally:
        for store in stores:
            store.close()
    assert sum(one is None for one in found) == 10
    assert rows(tmp_path) == [("address", "a", 10)]


@pytest.mark.skipif(os.name != "posix", reason="there are no such rights here")
def test_the_files_are_their_owners(tmp_path: Path) -> None:
    with closing(Guesses(tmp_path)) as store:
        store.count(Guess("key", "a", 20, 60.0))
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_where_they_were_counted_before_is_cleared(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "users.sqlite")) as connection:
        connection.execute("CREATE TABLE guesses (who TEXT PRIMARY KEY, count, until)")
        connection.execute("INSERT INTO guesses VALUES ('address:10.0.0.1', 3, 1e12)")
        connection.commit()
    UserStore(tmp_path).close()
    assert b"10.0.0.1" not in (tmp_path / "users.sqlite").read_bytes()

"""Keys of a server: until when they hold, and tables that an earlier version made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lineament.errors import ConflictError, NotFoundError, OptionError, UnauthorizedError
from lineament.server.keys import KeyStore, read_expiry

DAY_S = 86_400.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (2e9, 2e9),
        ("12h", 1e9 + DAY_S / 2),
        (" 90D ", 1e9 + 90 * DAY_S),
        ("4 w", 1e9 + 28 * DAY_S),
        ("2027-01-31T17:00:00Z", 1801414800.0),
    ],
)
def test_when_a_key_expires(given: float | str | None, expected: float | None) -> None:
    assert read_expiry(given, 1e9) == expected


@pytest.mark.parametrize(
    "given", ["", "d", "0d", "-1d", "1.5d", "1y", "soon", "1999-01-01", 1e9, 0, float("nan"), 1e15]
)
def test_what_is_no_time_to_come(given: float | str) -> None:
    with pytest.raises(OptionError) as raised:
        read_expiry(given, 1e9)
    assert raised.value.option == "expires"


def test_an_expired_key_is_refused_as_a_revoked_one(tmp_path: Path) -> None:
    now = [1e9]
    with closing(KeyStore(tmp_path, clock=lambda: now[0])) as store:
        key, revoked, lasting = (
            store.add("admin", expires="1d"),
            store.add("admin"),
            store.add("admin"),
        )
        store.revoke(revoked.split("_")[1])
        assert store.info(key.split("_")[1]).expires == 1e9 + DAY_S
        now[0] += DAY_S - 1
        assert store.principal(key, host="a").role == "admin"
        now[0] += 1
        words = []
        for one in (key, revoked):
            with pytest.raises(UnauthorizedError) as raised:
                store.principal(one, host="a")
            words.append(str(raised.value))
        assert words[0] == words[1]
        assert store.principal(lasting, host="a").role == "admin"
        assert [one.expires for one in store.list()].count(None) == 2
        with pytest.raises(NotFoundError):
            store.info("0" * 12)


def test_one_key_is_made_under_a_token(tmp_path: Path) -> None:
    now = [1e9]
    with closing(KeyStore(tmp_path, clock=lambda: now[0])) as store:
        key = store.add("verify", once=b"t")
        with pytest.raises(ConflictError, match=key.split("_")[1]):
            store.add("verify", once=b"t")
        store.add("verify", once=b"u")
        now[0] += DAY_S + 1
        store.add("verify", once=b"t")
        assert len(store.list()) == 3


def test_keys_of_an_earlier_version_hold(tmp_path: Path) -> None:
    with closing(KeyStore(tmp_path)) as store:
        key = store.add("enroll", galleries=["staff"], label="door")
    with closing(sqlite3.connect(tmp_path / "keys.sqlite")) as connection:
        connection.execute("ALTER TABLE keys DROP COLUMN expires")
        connection.execute("ALTER TABLE keys DROP COLUMN once")
        connection.commit()
    with closing(KeyStore(tmp_path)) as store, closing(KeyStore(tmp_path)) as other:
        assert store.principal(key, host="a").galleries == ("staff",)
        (found,) = other.list()
        assert (found.label, found.revoked, found.expires) == ("door", None, None)
        other.add("verify", expires="1h")
        assert len(store.list()) == 2

"""Keys, users, the audit log and tickets through the client; keys that do not hold any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from answering import answering
from server_under_test import DEMO, Served, run_server
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lineament import AsyncClient, Client
from lineament.audit import AuditHead
from lineament.client import AuditCheck, NewKey, ServedKey, ServedUser
from lineament.errors import (
    ConflictError,
    ForbiddenError,
    LineamentError,
    NotFoundError,
    OptionError,
    ServiceError,
    UnauthorizedError,
)
from lineament.server.settings import ServerSettings
from lineament.signing import VerifyKey

PASSWORD, OTHER = "correct horse battery", "battery horse correct"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of its own: wrong keys are counted, by the address that they come from."""
    yield from run_server(ServerSettings(data=tmp_path_factory.mktemp("admin"), port=0, threads=2))


@pytest.fixture
def admin(own: Served) -> Iterator[Client]:
    with Client(own.address, key=own.keys["admin"]) as made:
        yield made


# --- keys -----------------------------------------------------------------------------------------


def test_keys_expire(own: Served, admin: Client) -> None:
    before = time.time()
    made = admin.keys.make("verify", label="visit", expires="90d")
    assert made.expires is not None
    assert before <= made.expires - 90 * 86_400 <= time.time()
    assert next(one for one in admin.keys.all() if one.id == made.id).expires == made.expires
    assert admin.keys.make(expires=4e9).expires == 4e9
    assert admin.keys.make(expires="2090-01-31T00:00Z").expires == 3789504000
    for wrong in ("tomorrow", "0d", "2020-01-31", 1e9, "90", "x" * 41):
        with pytest.raises(OptionError) as refused:
            admin.keys.make(expires=wrong)
        assert refused.value.option == "expires"


def test_a_key_is_made_listed_used_and_revoked(own: Served, admin: Client) -> None:
    made = admin.keys.make("enroll", galleries=["staff"], label="door")
    assert isinstance(made, NewKey)
    assert (made.role, made.galleries) == ("enroll", ("staff",))
    assert made.key not in repr(made)
    listed = admin.keys.all()
    assert all(type(one) is ServedKey for one in listed)
    (mine,) = [one for one in listed if one.id == made.id]
    assert (mine.role, mine.galleries, mine.label) == ("enroll", ("staff",), "door")
    assert (mine.revoked, mine.expires, made.expires) == (None, None, None)
    with Client(own.address, key=made.key) as door:
        assert door.models().recognizer
        with pytest.raises(ForbiddenError, match="admin"):
            door.keys.all()
        with pytest.raises(ForbiddenError, match="'other'"):
            door.gallery("other").info()
        before = time.time()
        admin.keys.revoke(made.id)
        with pytest.raises(UnauthorizedError, match="wrong or revoked") as refused:
            door.models()
        assert refused.value.code == "unauthorized"
        with pytest.raises(UnauthorizedError):
            door.gallery("staff").identify(DEMO / "obama.jpg")
        with pytest.raises(UnauthorizedError):
            next(door.streams.events("x"))
        with pytest.raises(UnauthorizedError):
            next(door.streams.preview("x"))
    (mine,) = [one for one in admin.keys.all() if one.id == made.id]
    assert mine.revoked is not None
    assert before - 1 <= mine.revoked
    admin.keys.revoke(made.id)  # it stays so
    with pytest.raises(NotFoundError):
        admin.keys.revoke("0" * 12)


def test_an_admin_of_some_galleries_has_keys_of_these_alone(own: Served, admin: Client) -> None:
    some = admin.keys.make("admin", galleries=["staff"])
    with Client(own.address, key=some.key) as client:
        with pytest.raises(ForbiddenError):
            client.keys.make("verify")
        made = client.keys.make("verify", galleries=["staff"])
        assert {one.id for one in client.keys.all()} >= {some.id, made.id}
        assert all(one.galleries == ("staff",) for one in client.keys.all())
        with pytest.raises(NotFoundError):
            client.keys.revoke(own.keys["verify"].split("_")[1])
        for ask in (client.users.all, client.audit.verify, lambda: next(client.audit.entries())):
            with pytest.raises(ForbiddenError, match="all galleries"):
                ask()


def test_what_no_key_can_be(admin: Client) -> None:
    with pytest.raises(OptionError) as failed:
        admin.keys.make("boss")  # type: ignore[arg-type]
    assert failed.value.option == "role"
    with pytest.raises(OptionError) as failed:
        admin.keys.make("verify", galleries=["../etc"])
    assert failed.value.option == "galleries"


def test_a_key_is_not_made_twice_after_a_broken_connection() -> None:
    with answering(lambda n: None) as (address, seen):
        with Client(address) as client, pytest.raises(ServiceError, match="broke"):
            client.keys.make("verify")
        assert len(seen) == 1

        async def ask() -> None:
            async with AsyncClient(address) as client:
                await client.users.add("anna", PASSWORD)

        with pytest.raises(ServiceError, match="broke"):
            asyncio.run(ask())
        assert len(seen) == 2


@pytest.mark.parametrize("key", ["lin_000000000000_" + "A" * 43, "x", None])
def test_keys_that_never_held(
    own: Served, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LINEAMENT_KEY", raising=False)
    with Client(own.address, key=key) as client:
        for ask in (client.models, client.keys.all, client.jobs.all, client.liveness.create):
            with pytest.raises(UnauthorizedError):
                ask()
        assert client.health()["status"] == "ok"

    async def ask_awaited() -> None:
        async with AsyncClient(own.address, key=key) as asking:
            await asking.galleries()

    with pytest.raises(UnauthorizedError):
        asyncio.run(ask_awaited())


# --- users ----------------------------------------------------------------------------------------


def logged_in(address: str, password: str) -> int:
    with httpx.Client(base_url=f"{address}/v1") as page:
        return page.post("/session", json={"name": "anna", "password": password}).status_code


def test_a_user_is_made_changed_and_removed(own: Served, admin: Client) -> None:
    made = admin.users.add("anna", PASSWORD, role="enroll", galleries=["staff"])
    assert type(made) is ServedUser
    assert (made.name, made.role, made.galleries) == ("anna", "enroll", ("staff",))
    assert admin.users.all() == [made]
    with pytest.raises(ConflictError, match="anna"):
        admin.users.add("anna", PASSWORD)
    with pytest.raises(OptionError) as failed:
        admin.users.add("bea", "short")
    assert failed.value.option == "password"
    assert logged_in(own.address, PASSWORD) == 200
    changed = admin.users.change("anna", role="verify")
    assert (changed.role, changed.galleries) == ("verify", ("staff",))
    admin.users.change("anna", password=OTHER, galleries=["*"])
    assert logged_in(own.address, PASSWORD) == 401
    with httpx.Client(base_url=f"{own.address}/v1") as page:
        page.post("/session", json={"name": "anna", "password": OTHER})
        assert page.get("/models").status_code == 200
        admin.users.remove("anna")
        assert page.get("/models").json()["code"] == "unauthorized"
    assert admin.users.all() == []
    for gone in (admin.users.remove, admin.users.change):
        with pytest.raises(NotFoundError, match="anna"):
            gone("anna")


def test_users_are_for_admins(own: Served) -> None:
    with Client(own.address, key=own.keys["enroll"]) as client:
        for ask in (client.users.all, lambda: client.users.add("eve", PASSWORD, role="admin")):
            with pytest.raises(ForbiddenError, match="'admin'"):
                ask()


# --- the audit log, tickets -----------------------------------------------------------------------


def test_the_audit_log(own: Served, admin: Client, tmp_path: Path) -> None:
    made = admin.keys.make("verify", label="audited")
    admin.keys.revoke(made.id)
    newest = list(admin.audit.entries(newest=True, limit=2))
    assert [one.action for one in newest] == ["revoke key", "make key"]
    assert [one.details["key"] for one in newest] == [made.id] * 2
    assert newest[0].n == newest[1].n + 1
    oldest = list(admin.audit.entries())
    assert [one.n for one in oldest] == list(range(1, newest[0].n + 1))
    assert list(admin.audit.entries(action="make key"))[-1] == newest[1]
    assert list(admin.audit.entries(until=1.0)) == []
    assert list(admin.audit.entries(limit=0)) == []
    found = admin.audit.verify()
    assert type(found) is AuditCheck
    assert (found.whole, found.problem, found.last_hash) == (True, None, newest[0].hash)
    assert isinstance(found.head, AuditHead)
    assert found.head.n == found.n_entries == newest[0].n
    key = admin.audit.signing_key()
    path = tmp_path / "server.pub"
    path.write_text(key.public_key)
    public = VerifyKey.load(path)
    assert public.fingerprint == key.fingerprint
    assert found.head.is_signed_by(public)


def test_many_entries_come_page_by_page(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from lineament.client import _pages

    for _ in range(5):  # each is an entry
        admin.keys.revoke(admin.keys.make().id)
    expected = [one.n for one in admin.audit.entries(newest=True)]
    monkeypatch.setattr(_pages, "PAGE", 2)
    assert len(expected) > 4
    assert [one.n for one in admin.audit.entries(newest=True)] == expected
    assert [one.n for one in admin.audit.entries(newest=True, limit=3)] == expected[:3]


def test_a_ticket_is_used_once(own: Served, admin: Client) -> None:
    path = "/v1/streams/none/live"
    given = admin.ticket(path)
    assert given.path == path
    assert given.expires_s > 0
    assert given.ticket not in repr(given)
    address = own.address.replace("http", "ws", 1) + f"{path}?ticket={given.ticket}"
    for status in (404, 401):  # there is no such stream; the ticket is used up
        with pytest.raises(InvalidStatus) as refused:
            connect(address, proxy=None)
        assert refused.value.response.status_code == status
    with pytest.raises(OptionError):
        admin.ticket("elsewhere")


def test_the_awaited_client_does_the_same(own: Served, admin: Client) -> None:
    async def ask() -> None:
        async with AsyncClient(own.address, key=own.keys["admin"]) as client:
            made = await client.keys.make("verify", label="awaited")
            assert made.id in {one.id for one in await client.keys.all()}
            await client.keys.revoke(made.id)
            user = await client.users.add("ben", PASSWORD)
            assert await client.users.all() == [user]
            assert (await client.users.change("ben", role="admin")).role == "admin"
            await client.users.remove("ben")
            entries = [one async for one in client.audit.entries(newest=True, limit=1)]
            assert entries[0].action == "revoke key"
            assert (await client.audit.verify()).whole
            assert await client.audit.signing_key() == admin.audit.signing_key()
            assert (await client.ticket("/v1/streams/x/live")).expires_s > 0
            async with AsyncClient(own.address, key=made.key) as revoked:
                for call in (revoked.models(), revoked.keys.all(), revoked.liveness.create()):
                    with pytest.raises(UnauthorizedError):
                        await call

    asyncio.run(ask())


def test_who_guesses_is_locked_out_with_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lineament.server import keys

    monkeypatch.setattr(keys, "MOST_FAILURES", 3)
    for served in run_server(ServerSettings(data=tmp_path, port=0, threads=2, page=False)):
        with Client(served.address, key="lin_000000000000_" + "A" * 43, retries=0) as guesser:
            said: list[str] = []
            for _ in range(4):
                with pytest.raises(LineamentError) as refused:
                    guesser.models()
                assert type(refused.value) is UnauthorizedError
                said.append(str(refused.value))
        assert "too many wrong keys" in said[-1]
        with (
            Client(served.address, key=served.keys["admin"], retries=0) as right,
            pytest.raises(UnauthorizedError, match="too many wrong keys"),
        ):
            right.keys.all()

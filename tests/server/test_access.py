"""Every operation, by everybody: made of the table of routes, so no route is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from server_under_test import Served, run_server

from lineament.server import keys
from lineament.server.app import PREFIX, ROUTERS
from lineament.server.examples import EXAMPLES
from lineament.server.roles import ROLES, Role
from lineament.server.settings import ServerSettings
from lineament.server.table import Operation, operations

TABLE = operations(ROUTERS)
PUBLIC = {"health", "ready", "log_in", "who", "log_out"}
"""What wants no key; the last two want the cookie of a session."""


@dataclass(frozen=True)
class Caller:
    """Somebody who calls.

    Attributes:
        role: of the key; None: there is none that holds.
        galleries: for which the key is.
        key: what is sent.
    """

    role: Role | None
    galleries: tuple[str, ...]
    key: str | None

    def may(self, operation: Operation, gallery: str) -> int:
        """Which status they get for an operation about that gallery; 0: neither 401 nor 403."""
        if operation.role is None:
            return 0
        if self.role is None:
            return 401
        if ROLES.index(self.role) < ROLES.index(operation.role):
            return 403
        if "*" in self.galleries:
            return 0
        foreign = gallery not in self.galleries
        return 403 if operation.everywhere or (operation.gallery and foreign) else 0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "MOST_FAILURES", 1_000_000)
        data = tmp_path_factory.mktemp("access")
        for served in run_server(ServerSettings(data=data, port=0, threads=2)):
            with served.client("admin") as client:
                made = client.post("/galleries", json={"name": "staff"})
                assert made.status_code == 201
            yield served


@pytest.fixture(scope="module")
def callers(served: Served) -> dict[str, Caller]:
    store = served.app.state.lineament.keys  # type: ignore[attr-defined]
    found = {
        "nobody": Caller(None, (), None),
        "guesser": Caller(None, (), "lin_000000000000_" + "A" * 43),
        "stranger": Caller(None, (), "x" * 10_000),
    }
    revoked = store.add("admin")
    store.revoke(revoked.split("_")[1])
    found["revoked"] = Caller(None, (), revoked)
    past = keys.KeyStore(served.settings.data, clock=lambda: 1e9)
    found["expired"] = Caller(None, (), past.add("admin", expires=1e9 + 1))
    past.close()
    for role in ROLES:
        for galleries in (("*",), ("staff", "nowhere"), ("other",)):
            found[f"{role} of {galleries[0]}"] = Caller(
                role, galleries, store.add(role, galleries=galleries)
            )
    return found


def test_what_wants_no_key_is_listed_here() -> None:
    assert {one.id for one in TABLE if one.role is None} == PUBLIC
    assert all(one.gallery for one in TABLE if "{gallery}" in one.path)
    assert all(one.role != "verify" for one in TABLE if one.writes)


@pytest.mark.parametrize("operation", TABLE, ids=lambda one: one.id)
def test_only_who_may_does(
    operation: Operation, served: Served, callers: dict[str, Caller]
) -> None:
    """Of a gallery that there is, and one that there is not: refusals are the same for both.

    Requests of those who may are sent without a body and for a gallery that is not there, so they
    change nothing.
    """
    example = EXAMPLES[operation.id]
    with httpx.Client(base_url=served.address + PREFIX, verify=False, timeout=60) as client:
        for name, caller in callers.items():
            texts = set()
            for gallery in ("nowhere", "staff"):
                expected = caller.may(operation, gallery)
                if expected == 0 and gallery == "staff":
                    continue
                url = example.url(operation.path, {"gallery": gallery, "key": "0" * 12})
                headers = {} if caller.key is None else {"Authorization": f"Bearer {caller.key}"}
                answer = client.request(operation.method, url, headers=headers)
                where = (name, operation.id, gallery, answer.status_code, answer.text)
                if expected == 0 and operation.id not in ("who", "new_password"):
                    assert answer.status_code not in (401, 403), where
                    assert answer.status_code < 500, where
                elif expected != 0:
                    assert answer.status_code == expected, where
                    problem = answer.json()
                    texts.add((problem["code"], problem["detail"].replace(gallery, "GALLERY")))
            assert len(texts) <= 1, (name, texts)


def test_lists_have_ones_own(served: Served, callers: dict[str, Caller]) -> None:
    seen = {}
    for name, caller in callers.items():
        if caller.role is None:
            continue
        headers = {"X-API-Key": str(caller.key)}
        with httpx.Client(
            base_url=served.address + PREFIX, verify=False, headers=headers
        ) as client:
            listed = client.get("/galleries").json()["galleries"]
            seen[name] = [one["name"] for one in listed]
            if caller.role == "admin" and "*" not in caller.galleries:
                found = client.get("/keys").json()["keys"]
                assert found
                assert all(set(key["galleries"]) <= set(caller.galleries) for key in found)
    assert seen == {name: [] if name.endswith("of other") else ["staff"] for name in seen}


def test_an_admin_of_a_gallery_gives_no_more_than_they_have(
    served: Served, callers: dict[str, Caller]
) -> None:
    headers = {"Authorization": f"Bearer {callers['admin of other'].key}"}
    with httpx.Client(base_url=served.address + PREFIX, verify=False, headers=headers) as client:
        for galleries in (["*"], ["staff"], ["other", "staff"]):
            answer = client.post("/keys", json={"role": "verify", "galleries": galleries})
            assert answer.status_code == 403, galleries
        assert client.post("/galleries", json={"name": "staff"}).status_code == 403
        assert client.post("/galleries", json={"name": "third"}).status_code == 403
        foreign = served.app.state.lineament.keys.list()[0].id  # type: ignore[attr-defined]
        assert client.delete(f"/keys/{foreign}").status_code == 404
        made = client.post("/keys", json={"role": "admin", "galleries": ["other"]})
        assert made.status_code == 201
        assert client.delete(f"/keys/{made.json()['id']}").status_code == 204
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    with httpx.Client(base_url=served.address + PREFIX, verify=False, headers=headers) as client:
        assert client.get("/models").status_code == 401

"""Under one Idempotency-Key a change is made once, and nothing about people lies about."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from server_under_test import Served

from lineament.errors import ConflictError
from lineament.server.repeats import KEPT_S, RepeatStore

KEY = "Idempotency-Key"


def test_a_request_that_is_sent_again_gets_the_same_answer(server: Served) -> None:
    with server.client("admin") as client:
        body, headers = {"name": "repeated"}, {KEY: "5b7c9d1e-once"}
        first = client.post("/galleries", json=body, headers=headers)
        second = client.post("/galleries", json=body, headers=headers)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"
        assert second.headers["content-type"] == "application/json"
        assert second.headers["x-request-id"] != first.headers["x-request-id"]
        other = client.post("/galleries", json={"name": "another"}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (409, "conflict")
        elsewhere = client.patch("/galleries/repeated", json={"settings": {}}, headers=headers)
        assert elsewhere.status_code == 409
        assert client.post("/galleries", json=body).status_code == 409


def test_what_failed_is_not_kept(server: Served) -> None:
    with server.client("admin") as client:
        headers = {KEY: "failed-first"}
        wrong = client.post("/galleries", json={"name": "Wrong"}, headers=headers)
        assert wrong.status_code == 422
        assert client.post("/galleries", json={"name": "right"}, headers=headers).status_code == 201


def test_the_boundary_of_a_form_is_no_difference(server: Served, photos: dict[str, bytes]) -> None:
    with server.client("admin") as client:
        client.post("/galleries", json={"name": "forms"})
        answers = [
            client.post(
                "/galleries/forms/people/-/samples",
                files={"images": photos["obama"]},
                data={"name": "Ada"},
                headers={KEY: "form"},
            )
            for _ in range(2)
        ]
        assert answers[0].json() == answers[1].json()
        assert answers[1].json()["created"] is True
        assert answers[1].headers["idempotency-replayed"] == "true"
        assert client.get("/galleries/forms").json()["n_samples"] == 1


def test_a_key_is_of_its_caller(server: Served) -> None:
    store = server.app.state.lineament.keys  # type: ignore[attr-defined]
    headers = {KEY: "shared"}
    with server.client("admin") as client:
        assert client.post("/galleries", json={"name": "first"}, headers=headers).status_code == 201
    other = {**headers, "Authorization": f"Bearer {store.add('admin')}"}
    less = {**headers, "Authorization": f"Bearer {store.add('enroll')}"}
    with server.client(None) as client:
        body = {"name": "first"}
        assert client.post("/galleries", json=body, headers=other).status_code == 409
        assert client.post("/galleries", json=body, headers=less).status_code == 403
        assert client.post("/galleries", json=body, headers=headers).status_code == 401


@pytest.mark.parametrize("right", [True, False])
def test_who_calls_is_found_out_once(
    server: Served, right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = server.app.state.lineament.keys  # type: ignore[attr-defined]
    found, calls = store.principal, []

    def counted(key: str, *, host: str) -> object:
        calls.append(host)
        return found(key, host=host)

    monkeypatch.setattr(store, "principal", counted)
    key = server.keys["admin"] if right else "lin_wrong"
    with server.client(None) as client:
        client.headers["authorization"] = f"Bearer {key}"
        for n in (1, 2):  # the second time the answer was kept
            answer = client.post("/galleries", json={"name": "asked"}, headers={KEY: "asked"})
            assert answer.status_code == (201 if right else 401)
            assert len(calls) == n


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
def test_keys_that_are_none(server: Served, key: str) -> None:
    with server.client("admin") as client:
        answer = client.post(
            "/galleries", json={"name": "none"}, headers={KEY: key.encode("utf-8")}
        )
        assert (answer.status_code, answer.json()["option"]) == (422, KEY)


def test_many_at_once_make_one(server: Served) -> None:
    def ask(_: int) -> tuple[int, str]:
        with server.client("admin") as client:
            answer = client.post("/galleries", json={"name": "race"}, headers={KEY: "race"})
            return answer.status_code, answer.json().get("code", "")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(16)))
    assert {status for status, _ in found} <= {201, 409}
    assert (201, "") in found
    assert all(code == "conflict" for status, code in found if status == 409)


def test_new_keys_are_kept_nowhere(server: Served) -> None:
    with server.client("admin") as client:
        bodies = [
            client.post("/keys", json={"role": "verify"}, headers={KEY: "k"}).json()["key"]
            for _ in range(2)
        ]
    assert bodies[0] != bodies[1]
    for path in server.settings.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(key.split("_", 2)[2].encode() in data for key in bodies), path


class TestStore:
    NAME = "Ada Lovelace, of whom nothing stays"

    def answer(self) -> dict[str, object]:
        return {"status": 200, "type": "application/json", "body": self.NAME}

    def test_answers_are_unreadable_on_the_disk(self, tmp_path: Path) -> None:
        store = RepeatStore(tmp_path)
        assert store.begin("caller", "key", b"r", "staff") is None
        store.finish("caller", "key", self.answer())
        assert store.begin("caller", "key", b"r", "staff") == self.answer()
        for path in tmp_path.iterdir():
            assert self.NAME.encode() not in path.read_bytes()
            assert path.stat().st_mode & 0o077 == 0
        assert store.begin("other", "key", b"r", "staff") is None

    def test_they_go_with_a_person_of_the_gallery(self, tmp_path: Path) -> None:
        store = RepeatStore(tmp_path)
        for gallery in ("staff", "guests"):
            store.begin("caller", gallery, b"r", gallery)
            store.finish("caller", gallery, self.answer())
        with closing(sqlite3.connect(tmp_path / "requests.sqlite")) as connection:
            (sealed,) = connection.execute(
                "SELECT answer FROM answers WHERE gallery = 'staff'"
            ).fetchone()
        store.forget("staff")
        assert sealed not in (tmp_path / "requests.sqlite").read_bytes()
        assert store.begin("caller", "staff", b"r", "staff") is None
        assert store.begin("caller", "guests", b"r", "guests") == self.answer()

    def test_a_day_later_they_are_gone(self, tmp_path: Path) -> None:
        now = [1e9]
        store = RepeatStore(tmp_path, clock=lambda: now[0])
        store.begin("caller", "key", b"r", None)
        store.finish("caller", "key", self.answer())
        now[0] += KEPT_S + 1
        assert store.begin("caller", "key", b"another", None) is None

    def test_what_a_process_did_not_finish_may_be_sent_again(self, tmp_path: Path) -> None:
        store = RepeatStore(tmp_path)
        store.begin("caller", "key", b"r", None)
        with pytest.raises(ConflictError):
            store.begin("caller", "key", b"r", None)
        reader = RepeatStore(tmp_path, writes=False)
        with pytest.raises(ConflictError):
            reader.begin("caller", "key", b"r", None)
        assert RepeatStore(tmp_path).begin("caller", "key", b"r", None) is None

"""Under one Idempotency-Key a change is made once, and nothing about people lies about."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

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


def test_new_keys_are_kept_nowhere_and_made_once(server: Served) -> None:
    with server.client("admin") as client:
        n_keys = len(client.get("/keys").json()["keys"])
        made = [
            client.post("/keys", json={"role": "verify"}, headers={KEY: key}).json()
            for key in ("k", "other")
        ]
        bodies = [one["key"] for one in made]
        again = client.post("/keys", json={"role": "verify"}, headers={KEY: "k"})
        assert (again.status_code, again.json()["code"]) == (409, "conflict")
        assert made[0]["id"] in again.json()["detail"]
        assert len(client.get("/keys").json()["keys"]) == n_keys + 2
        wrong = client.post("/keys", json={"role": "verify"}, headers={KEY: "a b"})
        assert (wrong.status_code, wrong.json()["option"]) == (422, KEY)
    assert bodies[0] != bodies[1]
    for path in server.settings.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(key.split("_", 2)[2].encode() in data for key in bodies), path


class TestKilledBeforeTheNote:
    """The process ended after the change, and nothing says what its answer was."""

    @staticmethod
    def killed(server: Served) -> None:
        """What is left of the answers after ``kill -9`` and a new start."""
        path = server.settings.data / "requests.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE answers SET answer = NULL")
            connection.commit()
        RepeatStore(server.settings.data)

    def test_photos_by_force(self, server: Served, photos: dict[str, bytes]) -> None:
        with server.client("admin") as client:
            client.post("/galleries", json={"name": "forced"})

            def ask(key: str) -> Any:
                return client.post(
                    "/galleries/forced/people/-/samples",
                    files=[("images", photos["obama"]), ("images", b"no photo")],
                    data={"name": "Ada", "force": "true"},
                    headers={KEY: key},
                )

            first = ask("once")
            self.killed(server)
            again = ask("once")
            assert again.json() == first.json()
            assert [one["reason"] for one in again.json()["photos"]] == [None, "unreadable"]
            assert again.headers["idempotency-replayed"] == "true"
            assert client.get("/galleries/forced").json()["n_samples"] == 1
            assert ask("another").status_code == 200
            assert client.get("/galleries/forced").json()["n_samples"] == 2
            entries = client.get("/audit", params={"action": "enroll"}).json()["entries"]
            told = [one["details"].get("repeated") for one in entries if one["gallery"] == "forced"]
            assert told == [None, True, None]

    def test_another_request_under_its_key_is_refused(self, server: Served) -> None:
        with server.client("admin") as client:
            client.post("/galleries", json={"name": "begun"}, headers={KEY: "begun"})
            self.killed(server)
            other = client.post("/galleries", json={"name": "other"}, headers={KEY: "begun"})
            assert other.status_code == 409
            again = client.post("/galleries", json={"name": "begun"}, headers={KEY: "begun"})
            assert again.json()["code"] == "gallery_exists"

    def test_a_consent_is_not_put_back(self, server: Served, photos: dict[str, bytes]) -> None:
        first = {"reference": "form 1", "purposes": ["access"], "given": 1e9}
        second = {"reference": "form 2", "purposes": ["access"], "given": 1.1e9}
        with server.client("admin") as client:
            client.post("/galleries", json={"name": "consents"})
            client.post(
                "/galleries/consents/people/-/samples",
                files={"images": photos["obama"]}, data={"name": "Ada"},
            )  # fmt: skip
            path = "/galleries/consents/people/-/consent?name=Ada"
            client.put(path, json=first, headers={KEY: "first"})
            client.put(path, json=second, headers={KEY: "second"})
            self.killed(server)
            late = client.put(path, json=first, headers={KEY: "first"})
            assert [one["reference"] for one in late.json()["consents"]] == ["form 2"]

    def test_streams(self, server: Served) -> None:
        body = {"url": "rtsp://camera.invalid/door", "label": "door"}
        with server.client("admin") as client:
            first = client.post("/streams", json=body, headers={KEY: "stream"})
            assert first.status_code == 201
            self.killed(server)
            again = client.post("/streams", json=body, headers={KEY: "stream"})
            assert again.json()["id"] == first.json()["id"]
            listed = client.get("/streams").json()["streams"]
            assert [one["label"] for one in listed].count("door") == 1
            client.delete(f"/streams/{first.json()['id']}")

    def test_jobs(self, server: Served, photos: dict[str, bytes]) -> None:
        with server.client("admin") as client:

            def ask(key: str | None) -> Any:
                return client.post(
                    "/jobs",
                    data={"kind": "group"},
                    files=[("files", ("a.jpg", photos["obama"]))],
                    headers={} if key is None else {KEY: key},
                )

            first, again, other, without = ask("job"), ask("job"), ask("other-job"), ask(None)
            assert {one.status_code for one in (first, again, other, without)} == {202}
            assert again.json()["id"] == first.json()["id"]
            assert again.headers["location"] == first.headers["location"]
            assert again.headers["idempotency-replayed"] == "true"
            assert len({one.json()["id"] for one in (first, other, without)}) == 3
            assert ask("a b").status_code == 422
            for one in (first, other, without):
                client.delete(f"/jobs/{one.json()['id']}")


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
        started = RepeatStore(tmp_path)
        with pytest.raises(ConflictError):
            started.begin("caller", "key", b"another", None)
        assert started.begin("caller", "key", b"r", None) is None
        with pytest.raises(ConflictError):
            started.begin("caller", "key", b"r", None)

    def test_tokens_differ_by_all_that_makes_a_request(self, tmp_path: Path) -> None:
        store = RepeatStore(tmp_path)
        asked = [("a", "k", b"r"), ("b", "k", b"r"), ("a", "l", b"r"), ("a", "k", b"s")]
        assert len({store.token(*one) for one in asked}) == 4
        assert RepeatStore(tmp_path).token(*asked[0]) == store.token(*asked[0])

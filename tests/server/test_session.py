"""Logging in to the page: passwords, one-time codes, cookies, what changes want, who is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import httpx
import pytest
from server_under_test import Served

from lineament.errors import BusyError, OptionError, UnauthorizedError
from lineament.server.sessions import (
    CODE_S,
    COOKIE,
    CSRF_HEADER,
    IDLE_S,
    WHOLE_S,
    Sessions,
    login_code,
)
from lineament.server.users import GUESSES_ADDRESS, LOCKED_S, UserStore

PASSWORD = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_who_has_name_and_password_gets_a_session(server: Served) -> None:
    with server.client("admin") as admin:
        made = admin.post("/users", json={"name": "vera", "password": PASSWORD, "role": "verify"})
        assert made.status_code == 201, made.text
        assert "password" not in made.text
        assert "hash" not in made.text
    with server.client(None) as client:
        assert client.get("/session").json()["role"] is None
        answer = client.post("/session", json={"name": "vera", "password": PASSWORD})
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Secure" not in cookie  # this server speaks http
        told = client.get("/session").json()
        assert (told["user"], told["role"], told["galleries"]) == ("vera", "verify", ["*"])
        assert client.get("/models").status_code == 200
        assert client.get("/users").status_code == 403
        assert client.delete("/session").status_code == 403  # without the header
        done = client.delete("/session", headers={CSRF_HEADER: told["csrf"]})
        assert done.status_code == 204
        assert client.get("/models").status_code == 401


def test_the_cookie_is_kept_as_a_hash(server: Served) -> None:
    sessions = server.app.state.lineament.logins
    cookie = sessions.begin(None)
    with sqlite3.connect(server.settings.data / "sessions.sqlite") as connection:
        rows = connection.execute("SELECT hash FROM sessions").fetchall()
    connection.close()
    assert all(cookie.encode() not in row[0] and len(row[0]) == 32 for row in rows)
    assert sessions.find(cookie) is not None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({CSRF_HEADER: "0" * 64}, 403),
        ({CSRF_HEADER: "é".encode()}, 403),
        ({"right": "yes"}, 422),
        ({"right": "yes", "origin": "https://evil.example"}, 403),
    ],
)
def test_changes_by_a_session_want_its_header(
    server: Served, headers: dict[str, str], status: int
) -> None:
    sessions = server.app.state.lineament.logins
    cookie = sessions.begin(None)
    if headers.get("right"):
        headers = {**headers, CSRF_HEADER: sessions.find(cookie).csrf}
    with httpx.Client(base_url=f"{server.address}/v1", cookies={COOKIE: cookie}) as client:
        answer = client.post("/users", json={"name": "?", "password": PASSWORD}, headers=headers)
    assert answer.status_code == status, answer.text


def test_a_page_of_another_site_cannot_log_in(server: Served) -> None:
    with server.client(None) as client:
        answer = client.post(
            "/session",
            json={"name": "vera", "password": PASSWORD},
            headers={"origin": "https://evil.example"},
        )
    assert answer.status_code == 403


def test_a_one_time_code_holds_once(server: Served) -> None:
    code = login_code(server.settings.data, always=True)
    with server.client(None) as client:
        first = client.post("/session", json={"code": code})
        assert first.status_code == 200
        assert (first.json()["user"], first.json()["role"]) == (None, "admin")
        assert client.get("/users").status_code == 200
    with server.client(None) as client:
        assert client.post("/session", json={"code": code}).status_code == 401


def test_codes_and_sessions_end(tmp_path: Path) -> None:
    clock = Clock()
    sessions = Sessions(tmp_path, UserStore(tmp_path, clock=clock), clock=clock)
    old, new = sessions.make_code(), sessions.make_code()
    with pytest.raises(UnauthorizedError):
        sessions.use_code(old, host="a")
    clock.now += CODE_S
    with pytest.raises(UnauthorizedError):
        sessions.use_code(new, host="a")
    cookie, began = sessions.begin(None), clock.now
    while clock.now < began + WHOLE_S - IDLE_S:  # somebody at work all day
        clock.now += IDLE_S - 1
        assert sessions.find(cookie) is not None
    clock.now = began + WHOLE_S
    assert sessions.find(cookie) is None
    idle = sessions.begin(None)
    clock.now += IDLE_S
    assert sessions.find(idle) is None


def test_who_guesses_is_refused_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    users = UserStore(tmp_path, clock=clock)
    users.add("anna", PASSWORD, "enroll", galleries=["staff"])
    for _ in range(GUESSES_ADDRESS):
        with pytest.raises(UnauthorizedError):
            users.check("anna", "x" * 300, host="guesser")  # too long to be hashed: quick
    with pytest.raises(BusyError) as refused:
        users.check("anna", PASSWORD, host="guesser")
    assert 0 < refused.value.retry_after_s <= LOCKED_S
    assert UserStore(tmp_path, clock=clock).check("anna", PASSWORD, host="home").name == "anna"
    clock.now += LOCKED_S + 1
    assert users.check("anna", PASSWORD, host="guesser").galleries == ("staff",)


def test_names_that_there_are_not_are_refused_in_the_same_words(tmp_path: Path) -> None:
    users = UserStore(tmp_path)
    users.add("anna", PASSWORD, "verify")
    told = []
    for name in ("anna", "nobody"):
        with pytest.raises(UnauthorizedError) as refused:
            users.check(name, "wrong wrong wrong", host="a")
        told.append(refused.value.message)
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"name": "../x"}, "name"),
        ({"name": ""}, "name"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"role": "root"}, "role"),
        ({"galleries": []}, "galleries"),
        ({"galleries": ["../etc"]}, "galleries"),
    ],
)
def test_users_have_names_passwords_and_roles(
    tmp_path: Path, change: dict[str, object], option: str
) -> None:
    values = {"name": "anna", "password": PASSWORD, "role": "verify", "galleries": ["*"]} | change
    with pytest.raises(OptionError) as refused:
        UserStore(tmp_path).add(**values)
    assert refused.value.option == option


def test_a_role_that_is_taken_away_is_gone_at_once(server: Served) -> None:
    with server.client("admin") as admin:
        admin.post("/users", json={"name": "eva", "password": PASSWORD, "role": "admin"})
        again = admin.post("/users", json={"name": "eva", "password": PASSWORD})
        assert again.status_code == 409
        with server.client(None) as client:
            client.post("/session", json={"name": "eva", "password": PASSWORD})
            assert client.get("/users").status_code == 200
            admin.patch("/users/eva", json={"role": "verify"})
            assert client.get("/users").status_code == 403
            assert admin.delete("/users/eva").status_code == 204
            assert client.get("/models").status_code == 401
        assert admin.delete("/users/eva").status_code == 404


def test_a_new_password_ends_the_other_sessions(server: Served) -> None:
    fresh = PASSWORD + " staple"
    with server.client("admin") as admin:
        admin.post("/users", json={"name": "otto", "password": PASSWORD})
    with server.client(None) as one, server.client(None) as other:
        for client in (one, other):
            told = client.post("/session", json={"name": "otto", "password": PASSWORD}).json()
        wrong = other.post(
            "/session/password",
            json={"old": "something else", "new": fresh},
            headers={CSRF_HEADER: told["csrf"]},
        )
        assert wrong.status_code == 401
        done = other.post(
            "/session/password",
            json={"old": PASSWORD, "new": fresh},
            headers={CSRF_HEADER: told["csrf"]},
        )
        assert done.status_code == 200, done.text
        assert other.get("/models").status_code == 200
        assert one.get("/models").status_code == 401
        assert one.post("/session", json={"name": "otto", "password": fresh}).status_code == 200


def test_a_link_is_made_while_there_is_no_admin(tmp_path: Path) -> None:
    assert login_code(tmp_path) is not None
    UserStore(tmp_path).add("anna", PASSWORD, "admin")
    assert login_code(tmp_path) is None
    assert login_code(tmp_path, always=True) is not None


def test_what_is_kept_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    Sessions(tmp_path, UserStore(tmp_path)).begin(None)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name

"""One thing of each kind that a server has: made over HTTP, and again when a request removed it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from _harness import DEMO
from doors.served import Target

GALLERY, PERSON = "own", "Ada"
OTHER = "Augusta"
"""Somebody else of the same gallery."""
USER, PASSWORD = "vera", "correct horse battery"
ABSENT_CAMERA = "http://camera.invalid/door"
PATIENCE_S = 120.0

_PLACES = {
    "gallery": "/galleries/{gallery}",
    "person": "/galleries/{gallery}/people/{person}",
    "sample": "/galleries/{gallery}/samples/{sample}",
    "rejection": "/galleries/{gallery}/people/{person}/rejections",
    "session": "/liveness/sessions/{session}",
    "other": "/galleries/{gallery}/people/{other}",
    "stream": "/streams/{stream}",
    "live": "/streams/{live}",
    "job": "/jobs/{job}",
}
"""Parameter of a path -> where one sees whether it is there."""


class Things:
    """Makes them with an administrator's key.

    Streams are such that have ended, since the events of others have no end; but for "live".
    """

    def __init__(self, target: Target, session: Any, camera: str) -> None:
        """Make none yet.

        Args:
            target: the server.
            session: of ``requests``.
            camera: address of one that shows pictures.
        """
        self._address = f"http://127.0.0.1:{target.port}/v1"
        self._headers = {"Authorization": f"Bearer {target.keys['admin']}"}
        self._session = session
        self._camera = camera
        self._known: dict[str, str] = {}
        self._makers: dict[str, Callable[[], str]] = {
            "gallery": self._gallery,
            "person": self._person,
            "sample": self._sample,
            "rejection": self._rejection,
            "other": self._other,
            "session": self._liveness,
            "stream": self._stream,
            "live": self._live,
            "job": self._job,
            "key": self._key,
            "name": self._user,
        }

    def known(self) -> dict[str, str]:
        """Parameter of a path -> a value of it that the server has."""
        if not self._known:
            self._ask("DELETE", f"/galleries/{GALLERY}")  # one with crops takes its place
            self._ask("DELETE", f"/users/{USER}")  # of an earlier run on the same server
        for name, make in self._makers.items():
            if name not in self._known or not self._there(name):
                self._known[name] = make()
        return dict(self._known)

    def make_room(self, *paths: str) -> None:
        """Delete what a request is to make."""
        for path in paths:
            self._ask("DELETE", path)

    def log_in(self) -> dict[str, str]:
        """Headers of a request by the user's cookie; another password is made the first again."""
        values = {"name": USER, "password": PASSWORD}
        answer = self._ask("POST", "/session", json=values)
        if answer.status_code != 200:
            self._ask("PATCH", f"/users/{USER}", json={"password": PASSWORD})
            answer = self._ask("POST", "/session", json=values)
        cookie = answer.headers["set-cookie"].partition(";")[0]
        self._session.cookies.clear()
        return {"Cookie": cookie, "X-CSRF-Token": answer.json()["csrf"]}

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        return self._session.request(
            method, self._address + path, headers=self._headers, timeout=PATIENCE_S, **more
        )

    def _there(self, name: str) -> bool:
        if name == "key":
            return True  # whoever was revoked is listed still
        if name == "name":
            return any(one["name"] == USER for one in self._ask("GET", "/users").json()["users"])
        answer = self._ask("GET", _PLACES[name].format(**self._known))
        if name in ("stream", "live"):
            there = answer.status_code == 200
            return there and (answer.json()["state"] == "ended") == (name == "stream")
        if name == "rejection":
            numbers = [str(one["id"]) for one in answer.json().get("rejections", [])]
            return self._known[name] in numbers
        return bool(answer.status_code == 200)

    def _made(self, path: str, **more: Any) -> Any:
        answer = self._ask("POST", path, **more)
        if not 200 <= answer.status_code < 300:
            raise RuntimeError(f"POST {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    # --- each makes one, and returns its value ----------------------------------------------------

    def _gallery(self) -> str:
        settings = {"keep_crops": True}
        self._made("/galleries", json={"name": GALLERY, "settings": settings})
        return GALLERY

    def _enrolled(self) -> bool:
        found = self._sent(PERSON, "obama.jpg")
        if found is None:
            return False
        self._known["person"] = str(found["person"]["id"])
        self._known["sample"] = str(found["photos"][0]["sample"])
        return self._there("person") and self._there("sample")

    def _sent(self, name: str, photo: str) -> Any:
        answer = self._ask(
            "POST",
            f"/galleries/{GALLERY}/people/-/samples",
            data={"name": name, "force": "true"},
            files={"images": (DEMO / photo).read_bytes()},
        )
        found = answer.json()
        if answer.status_code != 200 or found["photos"][0]["sample"] is None:
            return None
        return found

    def _other(self) -> str:
        found = self._sent(OTHER, "obama2.jpg")
        return "0" if found is None else str(found["person"]["id"])

    def _person(self) -> str:
        if not self._enrolled():  # a request changed the settings, or who is kept until when
            self._ask("DELETE", f"/galleries/{GALLERY}")
            self._gallery()
            if not self._enrolled():
                raise RuntimeError("nobody can be enrolled")
        return self._known["person"]

    def _sample(self) -> str:
        self._person()
        return self._known["sample"]

    def _rejection(self) -> str:
        files = {"image": (DEMO / "biden.jpg").read_bytes()}
        path = f"/galleries/{GALLERY}/people/{self._known['person']}/reject"
        return str(self._made(path, files=files)["id"])

    def _liveness(self) -> str:
        answer = self._ask("POST", "/liveness/sessions")
        if answer.status_code == 429:  # so many a minute: the one that expired will do
            return self._known.get("session", "none")
        return str(answer.json()["id"])

    def _stream(self) -> str:
        number = str(self._made("/streams", json={"url": ABSENT_CAMERA, "give_up_s": 0})["id"])
        self._until(f"/streams/{number}", "ended")
        return number

    def _live(self) -> str:
        number = str(self._made("/streams", json={"url": self._camera})["id"])
        self._until(f"/streams/{number}", "live")
        return number

    def _job(self) -> str:
        files = {"files": ("obama.jpg", (DEMO / "obama.jpg").read_bytes())}
        number = str(self._made("/jobs", data={"kind": "anonymize"}, files=files)["id"])
        self._until(f"/jobs/{number}", "done")
        return number

    def _key(self) -> str:
        return str(self._made("/keys", json={"role": "verify", "label": "drawn"})["id"])

    def _user(self) -> str:
        self._made("/users", json={"name": USER, "password": PASSWORD, "role": "verify"})
        return USER

    def _until(self, path: str, state: str) -> None:
        due = time.monotonic() + PATIENCE_S
        while (found := self._ask("GET", path).json())["state"] != state:
            if time.monotonic() > due:
                raise RuntimeError(f"{path}: {found}")
            time.sleep(0.02)

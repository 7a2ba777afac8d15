"""Many clients at once: nothing fails on the server's side, and the sums are right."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from server_under_test import Served

from lineament.gallery import Gallery

pytestmark = pytest.mark.slow

ROUNDS, CLIENTS = 4, 8


def test_many_enroll_search_and_remove(server: Served, photos: dict[str, bytes]) -> None:
    with server.client("admin") as client:
        assert client.post("/galleries", json={"name": "busy"}).status_code == 201
    gallery: Gallery = server.app.state.lineament.galleries.get("busy")  # type: ignore[attr-defined]
    statuses: Counter[int] = Counter()
    lock = threading.Lock()
    place = "/galleries/busy"

    def client_of(number: int) -> int:
        """One client; how many people of its it leaves."""
        left = 0
        with server.client("enroll") as client:

            def ask(method: str, path: str, **given: object) -> dict[str, object]:
                while True:
                    answer = client.request(method, path, **given)  # type: ignore[arg-type]
                    with lock:
                        statuses[answer.status_code] += 1
                    if answer.status_code not in (429, 503):
                        break
                    assert answer.headers["retry-after"]
                found: dict[str, object] = answer.json()
                return found

            for round_ in range(ROUNDS):
                name = f"client {number} round {round_}"
                files = {"images": photos[("obama", "biden")[number % 2]]}
                report = ask(
                    "POST", f"{place}/people/-/samples", files=files,
                    data={"name": name, "force": "true"},
                )  # fmt: skip
                assert report["created"], report
                person = report["person"]["id"]  # type: ignore[index]
                left += 1
                found = ask("POST", f"{place}/identify", files={"image": photos["obama2"]})
                assert len(found["faces"]) == 1  # type: ignore[arg-type]
                renamed = ask("PATCH", f"{place}/people/{person}", json={"name": f"{name}, too"})
                assert renamed["id"] == person
                if round_ % 2:
                    gone = ask("DELETE", f"{place}/people/{person}")
                    assert gone["people"] == [f"{name}, too"], gone
                    left -= 1
                ask("GET", f"{place}/people?limit=5")
        return left

    with ThreadPoolExecutor(CLIENTS) as pool:
        left = sum(pool.map(client_of, range(CLIENTS)))
    assert set(statuses) <= {200, 429, 503}, statuses
    assert left == CLIENTS * ROUNDS / 2
    assert gallery.n_people == gallery.n_samples == left
    assert gallery.check() == []
    with server.client("admin") as client:
        client.delete(place)

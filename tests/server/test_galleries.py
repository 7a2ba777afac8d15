"""Galleries and their people over HTTP: as the library has them, whatever the names are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gallery_builders import CONTRACT, vectors
from server_under_test import Served

from lineament.gallery import Gallery, NewSample
from lineament.gallery._store import Store
from lineament.pipeline import Recognizer
from lineament.server.galleries import Galleries
from lineament.types import Contract, Embedding

HOSTILE = (
    "a/b",
    "../../etc/passwd",
    "..",
    ".",
    "-",
    "17",
    "%2F",
    "a?b=c#d",
    "x/samples",
    "'; DROP TABLE people; --",
    "Робърт",
    "محمد",
    "張偉",
    "Ada\u0301",
    "👩‍💻",
    "a" * 200,
)
IMPOSSIBLE = (
    "",
    " ",
    "a" * 201,
    "a" * 10_000,
    "nul\x00",
    "esc\x1b[31m",
    "line\nbreak",
    "\u202eabc",
)


def embedding(vector: np.ndarray, contract: Contract) -> Embedding:
    return Embedding(np.asarray(vector / np.linalg.norm(vector), np.float32), 20.0, contract)


def fill(gallery: Gallery, names: list[str]) -> None:
    """People with drawn embeddings."""
    drawn = vectors(len(names), seed=len(names), dimension=gallery.contract.dimension)
    gallery.enroll_samples(
        [(n, NewSample(embedding(v, gallery.contract))) for n, v in zip(names, drawn, strict=True)],
        metadata={name: {"number": i, "even": i % 2 == 0} for i, name in enumerate(names)},
        force=True,
    )


@pytest.fixture
def client(server: Served) -> Iterator[httpx.Client]:
    with server.client("admin") as client:
        yield client


def made(server: Served, name: str) -> Gallery:
    """A new gallery of the server."""
    with server.client("admin") as client:
        client.delete(f"/galleries/{name}")
        assert client.post("/galleries", json={"name": name}).status_code == 201
    gallery: Gallery = server.app.state.lineament.galleries.get(name)  # type: ignore[attr-defined]
    return gallery


@pytest.mark.parametrize("name", ["", "Staff", "../x", "a/b", "a" * 65, "é", "-x", "CON."])
def test_names_of_galleries_are_no_paths(client: httpx.Client, name: str) -> None:
    answer = client.post("/galleries", json={"name": name})
    assert (answer.status_code, answer.json()["option"]) == (422, "name")
    found = client.get(f"/galleries/{name.replace('/', '%2F') or '%20'}")
    assert found.status_code == 404


def test_a_gallery_is_made_once(client: httpx.Client) -> None:
    body = {"name": "twice", "settings": {"threshold": 0.5}}
    first, second = client.post("/galleries", json=body), client.post("/galleries", json=body)
    assert (first.status_code, second.status_code) == (201, 409)
    assert second.json()["code"] == "gallery_exists"
    assert client.get("/galleries/twice").json() == first.json()
    assert first.json()["settings"]["threshold"] == 0.5
    changed = client.patch("/galleries/twice", json={"settings": {"threshold": None}})
    assert changed.json()["settings"]["threshold"] is None
    wrong = client.patch("/galleries/twice", json={"settings": {"folder": "/etc"}})
    assert (wrong.status_code, wrong.json()["option"]) == (422, "settings")
    assert str(wrong.json()).count("/etc") == 0
    assert client.delete("/galleries/twice").status_code == 204
    assert client.get("/galleries/twice").status_code == 404


@pytest.mark.parametrize("name", HOSTILE)
def test_anybody_can_be_called_by_name_and_number(server: Served, name: str) -> None:
    gallery = made(server, "hostile")
    fill(gallery, [name, "somebody else"])
    expected = gallery.person(name).to_dict()
    with server.client("enroll") as client:
        by_name = client.get("/galleries/hostile/people/-", params={"name": name})
        by_number = client.get(f"/galleries/hostile/people/{expected['id']}")
        assert by_name.json() == by_number.json() == json.loads(json.dumps(expected))
        both = client.get("/galleries/hostile/people/1", params={"name": name})
        assert both.status_code == 422
        renamed = client.patch(
            f"/galleries/hostile/people/{expected['id']}",
            json={"name": "Ada", "metadata": {"a": 1}},
        )
        assert renamed.json()["name"] == "Ada"
        assert renamed.json()["metadata"]["a"] == 1
        back = client.patch("/galleries/hostile/people/-?name=Ada", json={"name": name})
        assert back.json()["id"] == expected["id"]
        gone = client.delete("/galleries/hostile/people/-", params={"name": name})
        assert gone.status_code == 200, gone.text
        again = client.get(f"/galleries/hostile/people/{expected['id']}")
        assert (again.status_code, again.json()["code"]) == (404, "unknown_person")
    assert [person.name for person in gallery.people()] == ["somebody else"]


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_names_that_nobody_can_have(server: Served, name: str) -> None:
    gallery = made(server, "impossible")
    fill(gallery, ["Ada"])
    with server.client("enroll") as client:
        found = client.get("/galleries/impossible/people/-", params={"name": name})
        assert found.status_code == 404
        renamed = client.patch("/galleries/impossible/people/1", json={"name": name})
        assert (renamed.status_code, renamed.json()["option"]) == (422, "name")
        assert "\x1b" not in renamed.text
        assert len(renamed.text) < 2000
    assert gallery.person("Ada").id == 1


@pytest.mark.parametrize("place", ["0x1", "1.0", "+1", "9" * 19, "%2e%2e", "a", "1%2F2", "١"])
def test_paths_take_numbers_alone(client: httpx.Client, place: str) -> None:
    client.post("/galleries", json={"name": "numbers"})
    answer = client.get(f"/galleries/numbers/people/{place}")
    assert answer.status_code in (404, 422), answer.text
    answer = client.get(f"/galleries/numbers/samples/{place}")
    assert answer.status_code in (404, 422), answer.text


def test_text_that_is_no_unicode(client: httpx.Client) -> None:
    """A lone half of a character, as JSON can have it, breaks nothing."""
    client.post("/galleries", json={"name": "numbers"})
    for body in ('{"name": "\\ud800"}', '{"\\ud800": 1}', '{"metadata": {"\\ud800": "\\udfff"}}'):
        answer = client.patch(
            "/galleries/numbers/people/1",
            content=body,
            headers={"content-type": "application/json"},
        )
        assert 400 <= answer.status_code < 500, answer.text


NAMES = tuple(f"person {n:03}" for n in range(25))


@pytest.fixture(scope="module")
def people(server: Served) -> Iterator[httpx.Client]:
    fill(made(server, "pages"), list(NAMES))
    with server.client("verify") as client:
        yield client


@pytest.mark.parametrize("limit", [1, 7, 25, 26])
def test_everybody_is_on_one(people: httpx.Client, limit: int) -> None:
    found, after = [], None
    for _ in range(30):
        params = {"limit": limit} | ({} if after is None else {"after": after})
        answer = people.get("/galleries/pages/people", params=params).json()
        assert 0 < len(answer["people"]) <= limit
        assert answer["n_people"] == len(NAMES)
        found += [person["name"] for person in answer["people"]]
        after = answer["next"]
        if after is None:
            break
    assert tuple(found) == NAMES


def test_some_are_chosen(people: httpx.Client) -> None:
    part = people.get("/galleries/pages/people", params={"q": "PERSON 01"}).json()
    assert [one["name"] for one in part["people"]] == [n for n in NAMES if "01" in n[:9]]
    where = {"where": ["number>=3", "even=true"], "limit": 2}
    first = people.get("/galleries/pages/people", params=where).json()
    assert [one["metadata"]["number"] for one in first["people"]] == [4, 6]
    second = people.get("/galleries/pages/people", params=where | {"after": first["next"]})
    assert [one["metadata"]["number"] for one in second.json()["people"]] == [8, 10]


@pytest.mark.parametrize(
    ("params", "option"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"after": "!"}, "after"),
        ({"after": "////"}, "after"),
        ({"where": "="}, "where"),
    ],
)
def test_what_is_no_page(people: httpx.Client, params: dict[str, str], option: str) -> None:
    answer = people.get("/galleries/pages/people", params=params)
    assert (answer.status_code, answer.json()["option"]) == (422, option), answer.text


def test_metadata_are_written_anew_or_added(server: Served) -> None:
    gallery = made(server, "metadata")
    fill(gallery, ["Ada", "Bob"])
    with server.client("enroll") as client:
        anew = client.put("/galleries/metadata/people/1", json={"metadata": {"a": [1, "x"]}})
        assert anew.json()["metadata"] == {"a": [1, "x"]}
        more = client.patch("/galleries/metadata/people/1", json={"metadata": {"b": 2, "a": None}})
        assert more.json()["metadata"] == {"b": 2}
        nothing = client.patch("/galleries/metadata/people/1", json={})
        assert nothing.status_code == 422
        taken = client.patch("/galleries/metadata/people/1", json={"name": "Bob"})
        assert (taken.status_code, taken.json()["code"]) == (409, "person_exists")
        unlike = client.post("/galleries/metadata/people/1/merge", json={"others": [2]})
        assert (unlike.status_code, unlike.json()["code"]) == (409, "unlike_people")
        united = client.post(
            "/galleries/metadata/people/1/merge", json={"others": [2], "force": True}
        )
        assert united.json()["n_samples"] == 2
        alone = client.post("/galleries/metadata/people/1/merge", json={"others": [77]})
        assert alone.status_code == 404
    assert [person.name for person in gallery] == ["Ada"]


@pytest.mark.parametrize("writes", [True, False])
@pytest.mark.parametrize("own", [True, False])
def test_a_gallery_is_opened_once_and_shares_the_networks_that_fit(
    tmp_path: Path, writes: bool, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = Recognizer()
    contract = recognizer.embedder.contract if own else CONTRACT
    Gallery.create(tmp_path / "staff", contract).close()
    opened = []
    open_store = Store.open.__func__  # type: ignore[attr-defined]

    def counted(cls: type[Store], folder: Path, **options: Any) -> Store:
        opened.append(folder)
        store: Store = open_store(cls, folder, **options)
        return store

    monkeypatch.setattr(Store, "open", classmethod(counted))
    galleries = Galleries(tmp_path, lambda: recognizer, writes=writes)
    try:
        gallery = galleries.get("staff")
        assert galleries.get("staff") is gallery
        assert gallery.contract == contract
        assert gallery.n_people == 0
        if own:
            assert gallery.recognizer is recognizer
        assert len(opened) == 1
    finally:
        galleries.close()

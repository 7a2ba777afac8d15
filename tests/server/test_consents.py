"""Consents, exports, receipts and the audit log over HTTP."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from server_under_test import Served, run_server

from lineament.gallery.receipts import Receipt
from lineament.server.settings import ServerSettings
from lineament.signing import VerifyKey

pytestmark = pytest.mark.slow

NAME = "Barack Hussein Obama, the one to be forgotten"
CONSENT = {"reference": "form 17", "purposes": ["access"], "given": 1.7e9}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("consents")
    yield from run_server(ServerSettings(data=data, port=0, threads=2))


@pytest.fixture
def client(own: Served, photos: dict[str, bytes]) -> Iterator[httpx.Client]:
    """Of a gallery "staff" with one person."""
    with own.client("admin") as client:
        client.delete("/galleries/staff")
        body = {"name": "staff", "settings": {"keep_crops": True}}
        assert client.post("/galleries", json=body).status_code == 201
        made = client.post(
            "/galleries/staff/people/-/samples",
            files={"images": photos["obama"]},
            data={"name": NAME, "consent": json.dumps(CONSENT), "metadata": '{"badge": "b-4711"}'},
            headers={"Idempotency-Key": f"enroll {time.monotonic_ns()}".replace(" ", "-")},
        )
        assert made.json()["created"], made.text
        yield client


def files_with(folder: Path, what: bytes) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file() and what in p.read_bytes()]


def test_a_search_for_a_purpose(client: httpx.Client, photos: dict[str, bytes]) -> None:
    def search(**data: str) -> httpx.Response:
        files = {"image": photos["obama2"]}
        return client.post("/galleries/staff/identify", files=files, data=data)

    found = search(purpose="Access").json()
    assert found["faces"][0]["name"] == NAME
    assert (found["faces"][0]["n_left_out"], found["people_not_searched"]) == (0, [])
    none = search(purpose="payroll").json()
    assert none["faces"][0]["candidates"] == []
    assert [one["reason"] for one in none["not_searched"]] == ["nobody_searched"]
    assert none["people_not_searched"] == [
        {
            "reason": "purpose",
            "n_people": 1,
            "message": "1 person was not searched: they did not consent to the purpose",
        }
    ]
    assert "people_not_searched" not in search().json()
    wrong = search(purpose=" ")
    assert (wrong.status_code, wrong.json()["option"]) == (422, "purpose")


def test_a_comparison_for_a_purpose(client: httpx.Client, photos: dict[str, bytes]) -> None:
    def compare(purpose: str | None) -> httpx.Response:
        return client.post(
            "/galleries/staff/people/-/verify",
            files={"image": photos["obama2"]},
            data={"name": NAME} | ({} if purpose is None else {"purpose": purpose}),
        )

    assert compare("Access").json()["verdict"] == compare(None).json()["verdict"] == "same"
    refused = compare("payroll")
    assert (refused.status_code, refused.json()["code"]) == (422, "consent_missing")
    assert refused.json()["option"] == "purpose"
    assert compare(" ").status_code == 422
    entries = client.get("/audit", params={"action": "verify", "newest": True}).json()["entries"]
    assert [one["outcome"] for one in entries[:3]] == ["no consent", "same", "same"]


def test_consents_are_those_of_the_library(client: httpx.Client) -> None:
    place = "/galleries/staff/people/1/consent"
    assert client.get(place).json()["consents"][0]["reference"] == "form 17"
    more = {**CONSENT, "reference": "form 18", "expires": 4e9, "add": True}
    assert len(client.put(place, json=more).json()["consents"]) == 2
    assert client.get(place).json()["expires"] == 4e9
    only = client.put(place, json={**more, "add": False}).json()["consents"]
    assert [one["reference"] for one in only] == ["form 18"]
    for wrong, option in (
        ({"given": "x"}, "given"),
        ({"expires": 1.0}, "expires"),
        ({"x": 1}, "x"),
    ):
        answer = client.put(place, json=CONSENT | wrong)
        assert (answer.status_code, answer.json()["option"]) == (422, option)
    assert client.delete(place).json() == {"consents": [], "expires": None, "kept_until": None}


def test_nothing_is_left_of_who_is_erased(own: Served, client: httpx.Client) -> None:
    data = own.settings.data
    number = client.get("/galleries/staff/people/1").json()["samples"][0]["id"]
    crop = client.get(f"/galleries/staff/samples/{number}/crop").content
    found = own.app.state.lineament.galleries.get("staff")  # type: ignore[attr-defined]
    vector = found.embedding(number).vector.tobytes()
    needles = {
        "name": NAME.encode(),
        "crop": crop[2000:2200],
        "vector": vector[:200],
        "badge": b"b-4711",
    }
    assert all(files_with(data, what) for what in needles.values())
    gone = client.delete("/galleries/staff/people/1", params={"receipt": "true"})
    assert gone.json()["erased"] is True, gone.text
    left = {name: files_with(data, what) for name, what in needles.items()}
    assert not any(left.values()), left


def test_receipts_are_signed(own: Served, client: httpx.Client, tmp_path: Path) -> None:
    answer = client.delete("/galleries/staff/people/1", params={"receipt": "true"}).json()
    (tmp_path / "key.pub").write_text(client.get("/signing-key").json()["public_key"])
    (tmp_path / "receipt.json").write_text(json.dumps(answer["receipt"]))
    receipt = Receipt.load(tmp_path / "receipt.json")
    key = VerifyKey.load(tmp_path / "key.pub")
    assert receipt.verify(key)
    assert receipt.n_samples == 1
    assert client.get("/signing-key").json()["fingerprint"] == receipt.key
    entry = client.get("/audit", params={"action": "erase", "newest": "true"}).json()["entries"][0]
    assert entry["person"] == receipt.person


def test_an_export_has_what_is_known(own: Served, client: httpx.Client) -> None:
    answer = client.get("/galleries/staff/people/-/export", params={"name": NAME})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        about = json.loads(file.read("person.json"))
    assert NAME in json.dumps(about)
    assert "form 17" in json.dumps(about)
    with own.client("enroll") as other:
        assert other.get("/galleries/staff/people/1/export").status_code == 403


def test_who_expired_is_erased(client: httpx.Client) -> None:
    past = client.patch("/galleries/staff/people/1", json={"kept_until": 1.0})
    assert past.status_code == 404, past.text
    assert client.get("/galleries/staff/people/1").status_code == 404
    assert client.get("/galleries/staff/people").json()["people"] == []
    receipts = client.post("/galleries/staff/expire").json()["receipts"]
    assert [one["reason"] for one in receipts] == ["expired"]
    assert client.post("/galleries/staff/expire").json()["receipts"] == []


def test_the_audit_log_has_all_of_it_and_no_names(
    own: Served, client: httpx.Client, photos: dict[str, bytes]
) -> None:
    before = client.get("/audit", params={"newest": "true", "limit": 1}).json()["entries"][0]["n"]
    client.post("/galleries/staff/identify", files={"image": photos["obama2"]})
    client.post(
        "/galleries/staff/people/1/verify", files={"image": photos["biden"]}, data={"fmr": "1e-3"}
    )
    client.get("/galleries/staff/people")
    client.patch("/galleries/staff/people/1", json={"name": "Ada"})
    entries = client.get("/audit", params={"newest": "true", "limit": 3}).json()["entries"]
    assert [(one["action"], one["outcome"]) for one in entries] == [
        ("rename", "done"),
        ("verify", "different"),
        ("identify", "found"),
    ]
    assert [one["n"] for one in entries] == [before + 3, before + 2, before + 1]
    assert {one["gallery"] for one in entries} == {"staff"}
    log = own.settings.data / "audit" / "audit.jsonl"
    assert b"Obama" not in log.read_bytes()
    found, after = [], None
    for _ in range(100):
        params = {"limit": 4} | ({} if after is None else {"after": after})
        page = client.get("/audit", params=params).json()
        found += [one["n"] for one in page["entries"]]
        after = page["next"]
        if after is None:
            break
    assert found == list(range(1, before + 4))
    assert client.get("/audit", params={"after": "AAAA"}).status_code == 422
    assert client.get("/audit/verify").json()["whole"] is True


def test_a_changed_audit_log_is_found(client: httpx.Client, own: Served) -> None:
    log = own.settings.data / "audit" / "audit.jsonl"
    whole = log.read_bytes()
    try:
        log.write_bytes(whole.replace(b'"enroll"', b'"enrolL"', 1))
        report = client.get("/audit/verify").json()
        assert report["whole"] is False
        assert report["problem"]
        assert report["head"] is None
    finally:
        log.write_bytes(whole)
    assert client.get("/audit/verify").json()["whole"] is True

"""The server where only its data folder and /tmp can be written to, as in the image.

No container is at hand in tests: the same is made of namespaces (``builders/read_only.py``). What
the server tries to write elsewhere is a fault even where it goes on without it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from films import make_film
from raw_server import RawServer, serving
from read_only import UNSHARE, USER, WRITES, possible
from server_processes import Processes, run_processes
from server_under_test import DEMO

import lineament
from lineament.gallery.keys import new_key_file

pytestmark = pytest.mark.slow

SOURCES = Path(lineament.__file__).parents[1]
PATIENCE_S = 300.0
SCRIPT = Path(__file__).parents[1] / "builders" / "read_only.py"


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def sealed(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """`lineament serve` with two workers; with a key of galleries, or without."""
    reason = possible()
    if reason is not None:
        pytest.skip(f"nothing was made read-only: {reason}")
    home = tmp_path_factory.mktemp(request.param)
    environment = {"LINEAMENT_SERVER_STREAM_PRIVATE": "true", "PYTHONPATH": str(SOURCES)}
    data, secret = home / "data", home / "secret"
    for folder in (data, secret):
        folder.mkdir()
    if request.param == "encrypted":
        new_key_file(secret / "key")
        environment["LINEAMENT_GALLERY_KEY_FILE"] = str(secret / "key")
    kept = map(str, (data, secret, SOURCES, sys.prefix, sys.base_prefix))
    before = [*UNSHARE, sys.executable, str(SCRIPT), *kept, "--"]
    with run_processes(data, before=before, environment=environment) as made:
        yield made


def test_each_kind_of_operation_works(sealed: Processes, tmp_path: Path) -> None:
    me = Path(f"/proc/{sealed.children()[0]}")
    mounts = (me / "mountinfo").read_text().splitlines()
    writable = {line.split()[4] for line in mounts if "rw" in line.split()[5].split(",")}
    assert writable == {"/proc", "/tmp", str(data_of(sealed))}
    assert f" {USER} " in f"{(me / 'uid_map').read_text()} "
    rights = dict(line.split(":\t") for line in (me / "status").read_text().splitlines())
    assert int(rights["CapEff"], 16) == 0

    with sealed.client() as client:
        people(client)
        jobs(client, tmp_path)
        stream(client)
        other_kinds(client)
        done(client.delete("/galleries/staff"), 204)
    assert wanted(sealed) == []


def data_of(sealed: Processes) -> Path:
    return sealed.log.with_suffix("")


def wanted(sealed: Processes) -> list[str]:
    """Where the server wanted to write, besides the two places."""
    return [line for line in sealed.log.read_text().splitlines() if line.startswith(WRITES)]


def done(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content and "json" in answer.headers["content-type"] else answer


def photo(name: str) -> bytes:
    return (DEMO / f"{name}.jpg").read_bytes()


def people(client: httpx.Client) -> None:
    done(client.post("/galleries", json={"name": "staff", "settings": {"keep_crops": True}}), 201)
    found = done(
        client.post(
            "/galleries/staff/people/-/samples",
            params={"name": "Ada"},
            files={"images": photo("obama")},
        )
    )
    person, sample = found["person"]["id"], found["photos"][0]["sample"]
    files = {"image": photo("obama2")}
    who = done(client.post("/galleries/staff/identify", files=files))
    assert who["faces"][0]["name"] == "Ada"
    verified = done(client.post(f"/galleries/staff/people/{person}/verify", files=files))
    assert verified["verdict"] == "same"
    done(client.get(f"/galleries/staff/samples/{sample}/crop"))
    consent = {"reference": "form 7", "purposes": ["access"], "given": 1.7e9}
    done(client.put(f"/galleries/staff/people/{person}/consent", json=consent))
    assert done(client.get(f"/galleries/staff/people/{person}/export")).content[:2] == b"PK"
    receipt = done(client.delete(f"/galleries/staff/people/{person}", params={"receipt": "true"}))
    assert receipt["erased"], receipt
    done(client.get("/audit/verify"))


def jobs(client: httpx.Client, folder: Path) -> None:
    pytest.importorskip("av")
    frames = [np.full((96, 128, 3), 20 * n, np.uint8) for n in range(5)]
    film = make_film(folder / "film.mp4", frames).read_bytes()
    for values, files in (
        ({"kind": "enroll", "gallery": "staff", "person": "Eve"}, ("a.jpg", photo("astronaut"))),
        ({"kind": "reindex", "gallery": "staff"}, None),
        ({"kind": "group"}, ("group.jpg", photo("group"))),
        ({"kind": "anonymize"}, ("group.jpg", photo("group"))),
        ({"kind": "anonymize"}, ("film.mp4", film)),
        ({"kind": "expire", "gallery": "staff"}, None),
    ):
        if files is None:
            job = done(client.post("/jobs", json=values), 202)
        else:
            job = done(client.post("/jobs", data=values, files={"files": files}), 202)
        job = until(client, f"/jobs/{job['id']}", "done", "failed", "canceled")
        assert job["state"] == "done", job
        if job["file"]:
            assert len(done(client.get(f"/jobs/{job['id']}/result")).content) > 100


def stream(client: httpx.Client) -> None:
    def answer(server: RawServer, connection: Any) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=next\r\n\r\n"
        connection.sendall(head.encode())
        data = photo("obama")
        part = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        while not server.stopped.wait(0.2):
            connection.sendall(part.encode() + data + b"\r\n")

    with serving(door=answer) as camera:
        values = {"url": camera.url("door"), "gallery": "staff"}
        number = done(client.post("/streams", json=values), 201)["id"]
        until(client, f"/streams/{number}", "live")
        with client.stream("GET", f"/streams/{number}/events", params={"after": 0}) as events:
            for line in events.iter_lines():
                if "appeared" in line:
                    break
        done(client.get(f"/streams/{number}/snapshot"))
        done(client.delete(f"/streams/{number}"), 204)


def other_kinds(client: httpx.Client) -> None:
    """Photos alone, liveness, keys, users, and the page."""
    for path in ("/detect", "/embed", "/attributes", "/quality", "/anonymize"):
        done(client.post(path, files={"image": photo("obama")}))
    done(client.post("/compare", files={"a": photo("obama"), "b": photo("obama2")}))
    done(client.post("/liveness/sessions"), 201)
    done(client.post("/keys", json={"role": "verify"}), 201)
    user = {"name": "anna", "password": "correct horse battery", "role": "verify"}
    done(client.post("/users", json=user), 201)
    done(client.post("/session", json={"name": "anna", "password": user["password"]}))
    assert httpx.get(str(client.base_url).removesuffix("/v1/") + "/").status_code == 200
    metrics = str(client.base_url).removesuffix("/v1/") + "/metrics"
    assert "lineament_requests" in client.get(metrics).text


def until(client: httpx.Client, path: str, *states: str) -> Any:
    due = time.monotonic() + PATIENCE_S
    while time.monotonic() < due:
        found = done(client.get(path))
        if found["state"] in states:
            return found
        if found["state"] == "ended":
            break
        time.sleep(0.1)
    raise AssertionError(json.dumps(found))

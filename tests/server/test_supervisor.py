"""Several processes: who writes, what readers see, and what happens when one is killed."""

from __future__ import annotations

import io
import json
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from server_processes import Processes, run_processes
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from lineament.errors import ServiceError
from lineament.gallery import Gallery
from lineament.server.run import serve
from lineament.server.settings import ServerSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with run_processes(tmp_path_factory.mktemp("data")) as made:
        with made.client() as client:
            assert client.post("/galleries", json={"name": "staff"}).status_code == 201
        yield made


def ask(processes: Processes, method: str, path: str, **options: object) -> httpx.Response:
    """On a connection of its own, so that any of the workers may get it."""
    with processes.client() as client:
        return client.request(method, path, **options)  # type: ignore[arg-type]


def enroll(processes: Processes, name: str, photo: bytes) -> httpx.Response:
    path = "/galleries/staff/people/-/samples"
    return ask(
        processes, "POST", path, files={"images": photo}, data={"name": name, "force": "true"}
    )


def test_a_reader_sees_what_was_written_before(
    processes: Processes, photos: dict[str, bytes]
) -> None:
    number = None
    files = {"image": photos["obama"]}
    for round_ in range(3):
        name = f"person-{round_}"
        enroll(processes, name, photos["obama"])
        for _ in range(8):  # of both workers, in all likelihood
            listed = ask(processes, "GET", "/galleries/staff/people").json()["people"]
            number = next(person["id"] for person in listed if person["name"] == name)
            found = ask(processes, "POST", "/galleries/staff/identify", files=files)
            assert found.status_code == 200, found.text
            assert name in found.text
        path = f"/galleries/staff/people/{number}"
        assert ask(processes, "DELETE", path).status_code in (200, 204)
        for _ in range(8):
            assert ask(processes, "GET", path).status_code == 404


def test_a_gallery_made_again_under_a_name_is_another(processes: Processes) -> None:
    for _ in range(3):
        assert ask(processes, "POST", "/galleries", json={"name": "new"}).status_code == 201
        for _ in range(6):
            assert ask(processes, "GET", "/galleries/new/people").status_code == 200
        assert ask(processes, "DELETE", "/galleries/new").status_code in (200, 204)
        for _ in range(6):
            assert ask(processes, "GET", "/galleries/new/people").status_code == 404


def test_jobs_streams_and_sessions_are_the_writers(
    processes: Processes, photos: dict[str, bytes]
) -> None:
    """Whichever worker is asked; what is long goes through it piece by piece."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("obama", "obama2", "astronaut"):
            archive.writestr(f"{name}.jpg", photos[name])
        archive.writestr("notes.txt", os.urandom(8 << 20))
    content = file.getvalue()

    def pieces() -> Iterator[bytes]:  # without a Content-Length
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    kind = {"content-type": "application/zip"}
    for body in (content, pieces()):
        sent = ask(processes, "POST", "/jobs", params={"kind": "group"}, content=body, headers=kind)
        assert sent.status_code == 202, sent.text
        number = sent.json()["id"]
        told = ask(processes, "GET", f"/jobs/{number}/events").text
        assert "event: progress" in told
        done = ask(processes, "GET", f"/jobs/{number}").json()
        assert (done["state"], done["result"]["n_photos"]) == ("done", 3)
        assert done["result"]["passed_over"] == ["notes.txt: no photo or film"]
    refused = ask(processes, "POST", "/jobs", params={"kind": "no"}, content=content, headers=kind)
    assert (refused.status_code, refused.json()["option"]) == (422, "kind")
    for _ in range(4):
        session = ask(processes, "POST", "/liveness/sessions").json()
        address = processes.address.replace("http", "ws", 1)
        path = f"{session['frames_path']}?ticket={session['ticket']}"
        with connect(address + path, proxy=None) as socket:
            assert json.loads(socket.recv(60))["n_steps"] == 4
        ticket = ask(processes, "POST", "/tickets", json={"path": "/v1/streams/none/live"}).json()
        with pytest.raises(InvalidStatus) as caught:
            connect(f"{address}/v1/streams/none/live?ticket={ticket['ticket']}", proxy=None)
        assert caught.value.response.status_code == 404


def test_the_writer_believes_nobody(processes: Processes) -> None:
    with processes.client() as client:
        forged = {
            "Authorization": "Bearer lin_000000000000_" + 43 * "A",
            "X-Lineament-Caller": json.dumps({"client": ["10.0.0.1", 1], "scheme": "https"}),
            "X-Lineament-Worker": 64 * "0",
        }
        assert client.post("/galleries", json={"name": "x"}, headers=forged).status_code == 401
    data = processes.log.with_suffix("")
    path = data / "writer.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o077 == 0
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        headers = {"Authorization": f"Bearer {processes.key}"}
        answer = client.get("http://x/v1/galleries", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_what_lives_in_the_writer_is_reached_through_every_worker(processes: Processes) -> None:
    made = ask(processes, "POST", "/liveness/sessions")
    assert made.status_code == 201, made.text
    session = made.json()
    for _ in range(6):
        assert ask(processes, "GET", f"/liveness/sessions/{session['id']}").status_code == 200
        assert ask(processes, "GET", "/jobs").status_code == 200
        assert ask(processes, "GET", "/streams").status_code == 200
    address = processes.address.replace("http", "ws", 1)
    frames = f"{address}{session['frames_path']}"
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{frames}?ticket=wrong", proxy=None)
    assert refused.value.response.status_code == 401
    with connect(f"{frames}?ticket={session['ticket']}", proxy=None) as socket:
        assert "received" in json.loads(socket.recv(30))
        socket.send("no frame")
        assert json.loads(socket.recv(30))["done"] is True
        with pytest.raises(ConnectionClosed):
            socket.recv(30)
    assert socket.close_code == 1008


def test_the_figures_are_of_all_processes(processes: Processes, photos: dict[str, bytes]) -> None:
    def count() -> float:
        with processes.client() as client:
            text = client.get(f"{processes.address}/metrics").text
        wanted = 'lineament_requests_total{method="POST",route="/v1/detect",status="200"} '
        return sum(float(x.removeprefix(wanted)) for x in text.splitlines() if wanted in x)

    before = count()
    for _ in range(6):
        answer = ask(processes, "POST", "/detect", files={"image": photos["obama"]})
        assert answer.status_code == 200
    due = time.monotonic() + 60  # each is counted after its answer, and another process is asked
    while count() - before < 6 and time.monotonic() < due:
        time.sleep(0.05)
    assert count() - before == 6


def test_what_is_killed_comes_back_and_nothing_acknowledged_is_lost(
    tmp_path: Path, photos: dict[str, bytes]
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    acknowledged: list[str] = []
    refused: list[tuple[int, str]] = []
    with run_processes(data) as processes:
        assert ask(processes, "POST", "/galleries", json={"name": "staff"}).status_code == 201
        going = True

        def enroll_all() -> None:
            number = 0
            while going:
                number += 1
                name = f"p{number}"
                try:
                    answer = enroll(processes, name, photos["obama"])
                except httpx.TransportError:
                    continue
                if answer.status_code in (200, 201):
                    acknowledged.append(name)
                else:
                    refused.append((answer.status_code, answer.headers.get("retry-after", "")))

        with ThreadPoolExecutor(1) as pool:
            enrolling = pool.submit(enroll_all)
            for victim in ("writer", "worker-1", "writer", "worker-2", "writer"):
                before = len(acknowledged)
                due = time.monotonic() + 300  # of a busy machine
                while len(acknowledged) < before + 2 and time.monotonic() < due:
                    time.sleep(0.01)
                children = processes.children()
                os.kill(processes.find(victim), signal.SIGKILL)
                while sorted(processes.children()) == sorted(children):
                    time.sleep(0.01)
            before = len(acknowledged)
            due = time.monotonic() + 300  # of a busy machine
            while len(acknowledged) < before + 2 and time.monotonic() < due:
                time.sleep(0.01)
            going = False
            enrolling.result()
        assert len(acknowledged) > before
        assert all(status == 503 and retry for status, retry in refused), refused
        assert '"level": "warning"' in processes.log.read_text()
    with Gallery.open(data / "galleries" / "staff", read_only=True) as gallery:
        assert {person.name for person in gallery.people()} >= set(acknowledged)
        assert gallery.check() == []


def test_a_process_that_cannot_start_ends_all(tmp_path: Path) -> None:
    settings = ServerSettings(data=tmp_path, port=0, workers=2, recognizer="no-such", page=False)
    with pytest.raises(ServiceError, match="no-such"):
        serve(settings)

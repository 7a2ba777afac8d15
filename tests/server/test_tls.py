"""Https with several processes: requests, writes that go to the writer, WebSockets, strangers."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from certificates import make_certificate
from server_processes import Processes, run_processes
from server_under_test import DEMO

from lineament import Client, Decision
from lineament.client import _liveness
from lineament.errors import OptionError, ServiceError
from lineament.server.settings import ServerSettings

BLANK = np.full((240, 320, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(folder)
    options = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    data = folder / "data"
    data.mkdir(mode=0o700)
    with run_processes(data, *options, certificate=certificate) as made:
        yield made


@pytest.mark.slow
def test_two_workers_and_a_writer_speak_https(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_liveness, "ANSWER_S", 120.0)  # of a busy machine
    assert processes.address.startswith("https://127.0.0.1:")
    assert len(processes.children()) == 3
    for number in range(4):  # each on a connection of its own: of both workers, in all likelihood
        with Client(
            processes.address,
            key=processes.key,
            certificate=processes.certificate,
            timeout=120,
        ) as client:
            assert client.ready()["status"] == "ready"
            decision = client.verify(DEMO / "obama.jpg", DEMO / "obama2.jpg")
            assert isinstance(decision, Decision)
            assert decision.same
            gallery = client.create_gallery(f"staff-{number}")  # by the writer
            gallery.enroll("Barack Obama", DEMO / "obama.jpg")
            assert gallery.identify(DEMO / "obama2.jpg").names == ("Barack Obama",)
            session = client.liveness.create()  # the writer's, over wss through a worker
            with client.liveness.show(session) as shown:
                assert not shown.feed(BLANK).face_seen
                ended = shown.finish()
            assert ended.liveness is not None
            assert ended.liveness.outcome == "unsure"
            job = client.jobs.create("group", photos=[DEMO / "obama.jpg", DEMO / "obama2.jpg"])
            assert client.jobs.wait(job.id).state == "done"


@pytest.mark.slow
def test_the_cookie_of_the_page_is_for_https_alone(processes: Processes) -> None:
    with processes.client() as admin:
        password = "correct horse battery"
        made = admin.post("/users", json={"name": "vera", "password": password})
        assert made.status_code == 201
    with httpx.Client(base_url=processes.address, verify=processes.verify) as page:
        answer = page.post("/v1/session", json={"name": "vera", "password": password})
        assert answer.status_code == 200
        assert "Secure" in answer.headers["set-cookie"]
        assert page.get("/v1/models").status_code == 200  # by whichever worker


@pytest.mark.slow
def test_who_does_not_know_the_certificate_sends_nothing(processes: Processes) -> None:
    with (
        Client(processes.address, key=processes.key, retries=0) as client,
        pytest.raises(ServiceError, match=r"(?i)certificate"),
    ):
        client.health()
    with (
        Client(processes.address.replace("https", "http"), retries=0) as client,
        pytest.raises(ServiceError),
    ):
        client.health()
    parts = urlsplit(processes.address)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((parts.hostname, parts.port), 30) as raw,
        old.wrap_socket(raw) as wrapped,
    ):
        assert wrapped.version() in ("TLSv1.2", "TLSv1.3")


def test_a_certificate_wants_its_key(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with pytest.raises(OptionError) as failed:
        ServerSettings(data=tmp_path, tls_certificate=certificate)
    assert failed.value.option == "tls_key"
    with pytest.raises(OptionError) as failed:
        ServerSettings(data=tmp_path, tls_key=key)
    assert failed.value.option == "tls_certificate"

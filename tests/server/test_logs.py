"""What a busy server writes down, and what it never does."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server_under_test import Served, run_server

from lineament.server.logs import JsonLines, TextLines
from lineament.server.settings import ServerSettings

CANARY = "Zacharias Canarius"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    yield from run_server(ServerSettings(data=tmp_path, port=0, threads=2))


class Kept(logging.Handler):
    """Keeps what both forms of the log would write."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.parsed: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = JsonLines("test").format(record)
        self.parsed.append(json.loads(line))
        self.lines += [line, TextLines("test").format(record)]

    def wait_for(self, status: int) -> None:
        """Until a request that ended so is written down, which comes after its answer."""
        deadline = time.monotonic() + 30
        while all(line.get("status") != status for line in list(self.parsed)):
            assert time.monotonic() < deadline, f"no request with status {status} in the log"
            time.sleep(0.01)


@pytest.fixture
def log() -> Iterator[Kept]:
    kept, logger = Kept(), logging.getLogger()
    loggers = [logging.getLogger(name) for name in ("lineament", "uvicorn.error")]
    before = [each.level for each in loggers]
    logger.addHandler(kept)
    for each in loggers:
        each.setLevel(logging.INFO)
    yield kept
    logger.removeHandler(kept)
    for each, level in zip(loggers, before, strict=True):
        each.setLevel(level)


def test_no_names_keys_or_photos_are_in_the_log(
    served: Served, log: Kept, photos: dict[str, bytes]
) -> None:
    photo = photos["obama"]
    secret = base64.b64encode(photo).decode()
    with served.client("admin") as client:
        assert client.post("/galleries", json={"name": "staff"}).status_code == 201
        person = f"/galleries/staff/people/{CANARY}"
        made = client.post(
            "/galleries/staff/people/-/samples",
            files={"images": (f"{CANARY}.jpg", photo)},
            data={"name": CANARY},
        )
        assert made.status_code == 200, made.text
        client.get(person)
        client.get("/galleries/staff/people", params={"q": CANARY})
        client.post("/galleries/staff/identify", files={"image": photo})
        client.post("/detect", json={"image": secret, CANARY: 1})
        client.get(f"/{CANARY}", headers={"X-Request-Id": "of-the-client"})
        client.request("QWERTY", f"/{CANARY}")
    with served.client(None) as client:
        assert client.get("/models", headers={"X-API-Key": CANARY}).status_code == 401
    log.wait_for(401)
    key_ids = {key.split("_")[1] for key in served.keys.values()}
    text = "\n".join(log.lines)
    canaries = [CANARY, "Zacharias", secret[100:140], *(k[17:] for k in served.keys.values())]
    for canary in canaries:
        assert canary not in text
    requests = [line for line in log.parsed if "route" in line]
    routes = {line["route"] for line in requests}
    assert "/v1/galleries/{gallery}/people/{person}" in routes
    assert {"other", "/v1/detect"} <= routes
    assert {line["key"] for line in requests} & key_ids  # a server of other tests may write, too
    assert any(line["request"] == "of-the-client" for line in requests)
    assert {line["status"] for line in requests} >= {200, 201, 401, 404, 422}
    assert all(line["ms"] >= 0 for line in requests)


def test_figures_for_prometheus(served: Served, photos: dict[str, bytes]) -> None:
    with served.client("admin") as client:
        client.post("/galleries", json={"name": "staff"})
        client.post(
            "/galleries/staff/people/-/samples",
            files={"images": photos["obama"]},
            data={"name": CANARY},
        )
        client.get(f"/nothing/{CANARY}")
        answer = client.get(f"{served.address}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert 'lineament_gallery_people{gallery="staff"} 1.0' in lines
    assert 'lineament_requests_total{method="GET",route="other",status="404"} 1.0' in lines
    for name in ("lineament_batch_faces_count", "lineament_work_seconds_count"):
        assert float(next(x for x in lines if x.startswith(f"{name} ")).split()[1]) >= 1
    memory = next(x for x in lines if x.startswith("lineament_memory_bytes "))
    assert float(memory.split()[1]) >= 0
    assert CANARY not in answer.text
    with served.client("enroll") as client:
        assert client.get(f"{served.address}/metrics").status_code == 403
    with served.client(None) as client:
        assert client.get(f"{served.address}/metrics").status_code == 401

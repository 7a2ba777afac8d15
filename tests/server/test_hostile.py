"""Requests that nobody would send by mistake: every operation answers them, none breaks.

``LINEAMENT_HOSTILE_REQUESTS=5000`` sends as many.
"""

from __future__ import annotations

import base64
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from server_under_test import Served, run_server

from lineament.server import keys
from lineament.server.app import ROUTERS
from lineament.server.examples import EXAMPLES, NUMBERS, PHOTO
from lineament.server.settings import ServerSettings
from lineament.server.table import Operation, operations

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("LINEAMENT_HOSTILE_REQUESTS", "300"))
LEFT_OUT = {"log_in", "remove_user", "attributes"}
"""What takes seconds each."""
TABLE = [one for one in operations(ROUTERS) if one.id not in LEFT_OUT]

SECRET = "what nobody may read"

PLACES = (
    *("staff", "staff", "nowhere", "1", "2", "\x00", "..", "9" * 18, "9" * 25, "-", "ä", "\x01"),
    *("a/b", "%", "';--", "${x}", "\r\nX-Injected: 1", "[]", "٣"),
)
VALUES: tuple[Any, ...] = (
    *("", "x", "\ud800", "../../etc/passwd", "' OR 1=1 --", "\x00", "a" * 5000, "lin_", "0" * 12),
    *(-1, 0, 1, 1.5, 10**30, 1e308, float("inf"), float("nan"), True, False, None),
    *([], {}, [[]], {"a": {"b": 1}}, ["x"] * 2000, [None], {"<": None}, {"x": {"<": [1]}}),
    *([10**30], [-1], [1.5], {"": 1}, {"a": "\ud800"}, "{" * 3000, "[" * 100_000, "2026-01-01"),
    *("/9j/", "data:image/png;base64,AAAA", {"url": "http://169.254.169.254/"}, {"url": 1}),
    *({"url": "file:///etc/passwd"}, {"url": "http://127.0.0.1:1/"}, "/etc/passwd"),
)
QUERY = (
    *("name", "q", "where", "limit", "after", "newest", "since", "until", "fmr", "action", "actor"),
    *("person", "outcome", "gallery", "receipt", "min_score", "image"),
)
FIELDS = (
    *("metadata", "where", "consent", "settings", "liveness", "force", "review", "top", "name"),
    *("box", "box_a", "face", "kept_until", "galleries", "others", "given", "purposes", "\ud800"),
)
BODIES = (
    *(b"", b"{", b"\xff\xfe", b"null", b"[]", b"[" * 200_000, b'{"a":' * 100_000),
    *(b"--x\r\n", b"--x--", b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n'),
)
KINDS = (
    *("application/json", "application/json; charset=foo", "image/jpeg", "text/plain", "x", ""),
    *("multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary="),
)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, bytes]) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "MOST_FAILURES", 1_000_000)
        folder = tmp_path_factory.mktemp("hostile")
        (folder / "secret.txt").write_text(SECRET)
        settings = ServerSettings(data=folder / "data", port=0, threads=2)
        for served in run_server(settings):
            with served.client("admin") as client:
                fill(client, photos)
            yield served


def fill(client: httpx.Client, photos: dict[str, bytes]) -> None:
    """Have a gallery with somebody in it."""
    client.post("/galleries", json={"name": "staff", "settings": {"keep_crops": True}})
    client.post(
        "/galleries/staff/people/-/samples",
        params={"name": "Ada"},
        files={"images": photos["obama"]},
    )


def as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


def drawn(
    random_: random.Random, operation: Operation, photos: dict[str, bytes]
) -> tuple[str, dict[str, Any]]:
    """A path, and what else ``httpx`` is given."""
    example = EXAMPLES[operation.id]
    url = example.url(operation.path)
    if random_.random() < 0.4:
        url = operation.path
        for name in NUMBERS:
            url = url.replace(f"{{{name}}}", quote(random_.choice(PLACES), safe=""))
    given: dict[str, Any] = {"headers": {}}
    if random_.random() < 0.6:
        names = random_.sample(QUERY, 3)
        given["params"] = {name: as_text(random_.choice(VALUES))[:3000] for name in names}
    body = dict(example.body or {"x": 1})
    for name in body:
        if random_.random() < 0.4:
            body[name] = random_.choice(VALUES)
    if random_.random() < 0.3:
        body[random_.choice(FIELDS)] = random_.choice(VALUES)
    pictures = [name for name in body if name in ("image", "images", "a", "b", "photo", "files")]
    form = random_.random()
    if form < 0.6:
        given["content"] = json.dumps(body).encode()
        given["headers"]["content-type"] = "application/json"
    elif form < 0.75:
        given["content"] = random_.choice(BODIES)
        given["headers"]["content-type"] = random_.choice(KINDS)
    elif form < 0.95:
        rest = {k: v for k, v in body.items() if k not in pictures}
        given["data"] = {as_text(k): as_text(v) for k, v in rest.items()}
        parts = (photos["obama"], b"", b"GIF89a", photos["obama"][:500])
        given["files"] = {
            name: (random_.choice(("a.jpg", "../../x", "\x00")), random_.choice(parts))
            for name in pictures or ["image"]
        }
    if random_.random() < 0.2:
        given["headers"]["Idempotency-Key"] = random_.choice(("a", "b", str(random_.random())))
    return url, given


def test_nothing_breaks(own: Served, photos: dict[str, bytes]) -> None:
    random_ = random.Random(18)
    found: Counter[int] = Counter()
    with own.client("admin") as client:
        for _ in range(REQUESTS):
            operation = random_.choice(TABLE)
            url, given = drawn(random_, operation, photos)
            with client.stream(operation.method, url, **given) as answer:
                endless = answer.headers.get("content-type", "").startswith(
                    ("text/event-stream", "multipart/")
                )
                text = "" if endless else answer.read().decode("utf-8", "replace")
            found[answer.status_code] += 1
            assert answer.status_code < 500 or answer.status_code == 503, (operation.id, url, text)
            assert "x-injected" not in answer.headers
            for word in ("Traceback", str(own.settings.data), "root:x:", "sqlite", "SELECT "):
                assert word not in text, (operation.id, url, text)
            if operation.id == "delete_gallery" and answer.status_code == 204:
                fill(client, photos)
    assert found[200] > REQUESTS / 20
    assert found[422] > REQUESTS / 20


@pytest.mark.parametrize("name", ["image", "images", "a"])
def test_photos_never_stand_in_an_address(own: Served, photos: dict[str, bytes], name: str) -> None:
    coded = base64.urlsafe_b64encode(photos["obama"][:1500]).decode()
    with own.client("admin") as client:
        for place in ("/detect", "/galleries/staff/identify", "/galleries/staff/people/1/verify"):
            answer = client.post(place, params={name: coded})
            assert answer.status_code == 422, answer.text
            assert coded not in answer.text
            answer = client.post(place, params={name: coded}, files={"image": photos["obama"]})
            assert answer.status_code == 422, answer.text


def test_names_of_files_lead_nowhere(own: Served, photos: dict[str, bytes]) -> None:
    with own.client("admin") as client:
        for name in ("../secret.txt", str(own.settings.data.parent / "secret.txt"), "/etc/passwd"):
            answer = client.post(
                "/galleries/staff/people/-/samples",
                params={"name": "Eve", "force": "true"},
                files={"images": (name, photos["biden"])},
            )
            assert answer.status_code == 200
            assert SECRET not in answer.text
            sample = answer.json()["enrolled"][0]
            assert sample["source"] == "photo 1"
            client.delete(f"/galleries/staff/samples/{sample['id']}")


@pytest.mark.parametrize(
    ("place", "given", "status", "option"),
    [
        ("/embed", {"box": None}, 200, None),
        ("/detect", {"box": None, "min_score": 0.5}, 200, None),
        ("/detect", {"box": []}, 422, "box"),
        ("/detect", {"box": [0, 0, 1]}, 422, "box"),
        ("/detect", {"box": ["a", 0, 1, 1]}, 422, "box.0"),
        ("/galleries/staff/identify", {"box": None, "where": None}, 200, None),
        ("/galleries/staff/identify", {"where": [None, None]}, 422, "where"),
        ("/galleries/staff/identify", {"where": "{" * 5000}, 422, "where"),
    ],
)
def test_nothing_and_half_of_something(
    own: Served, place: str, given: dict[str, Any], status: int, option: str | None
) -> None:
    """Found by schemathesis."""
    with own.client("admin") as client:
        answer = client.post(place, json={"image": PHOTO} | given)
    assert answer.status_code == status, answer.text
    assert answer.json().get("option") == option

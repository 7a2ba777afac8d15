"""Every operation has an example, it is described with it, and the example works."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from server_under_test import Served, run_server

from lineament.server.app import PREFIX, ROUTERS
from lineament.server.examples import EXAMPLES, PHOTO, Example
from lineament.server.links import LINKS
from lineament.server.settings import ServerSettings
from lineament.server.table import Operation, operations

TABLE = operations(ROUTERS)
MADE = {"create_liveness_session": "session", "add_stream": "stream", "create_job": "job"}
ENDLESS = ("stream_events", "stream_preview")
"""Answers that only their reader ends."""

LATER = (*ENDLESS, "stream_snapshot", "job_events", "job_result")
"""Links to what is not there at once, or has no end."""

OF_SESSION = ("log_in", "who", "new_password", "log_out")
"""By a cookie, without a key."""

ORDER = (
    *("health", "ready", "list_models", "detect", "compare", "embed", "quality", "attributes"),
    *("group", "list_thresholds", "create_gallery", "list_galleries", "get_gallery"),
    *(
        "change_gallery",
        "enroll",
        "put_consent",
        "get_consents",
        "export_person",
        "delete_consents",
        "list_people",
        "get_person",
        "put_person",
        "get_sample",
    ),
    *(
        "get_crop",
        "identify",
        "verify_person",
        "reject",
        "list_rejections",
        "delete_rejection",
        "change_person",
        "merge_people",
        "delete_sample",
    ),
    *("delete_person", "expire_people", "list_audit", "verify_audit", "get_signing_key"),
    *("rotate_key", "delete_gallery", "make_key", "list_keys", "revoke_key"),
    *("add_user", "users", "change_user", "log_in", "who", "new_password", "log_out"),
    *("remove_user", "anonymize", "issue_ticket", "create_liveness_session"),
    *("get_liveness_session", "add_stream", "list_streams", "get_stream", "stream_events"),
    *("stream_snapshot", "stream_preview", "delete_stream", "create_job", "list_jobs", "get_job"),
    *("job_events", "job_result", "delete_job"),
)
"""In which each finds what it needs, made by those before it."""


def test_each_operation_has_an_example() -> None:
    assert {operation.id for operation in TABLE} == EXAMPLES.keys()
    assert len({operation.id for operation in TABLE}) == len(TABLE)


def test_the_description_has_them(server: Served) -> None:
    with server.client(None) as client:
        schema = client.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    described = {
        (method.upper(), path.removeprefix(PREFIX)): operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    assert described.keys() == {(one.method, one.path) for one in TABLE}
    for one in TABLE:
        operation, example = described[one.method, one.path], EXAMPLES[one.id]
        assert operation["operationId"] == one.id
        assert operation["summary"]
        assert operation["x-codeSamples"][0]["source"].startswith("curl")
        if example.body is not None:
            content = operation["requestBody"]["content"]["application/json"]
            assert content["example"] == example.body
            unknown = example.body.keys() - content["schema"]["properties"].keys()
            assert not unknown, one.id
        named = {parameter["name"] for parameter in operation.get("parameters", [])}
        assert example.query.keys() <= named, one.id


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of these tests alone."""
    data = tmp_path_factory.mktemp("examples")
    yield from run_server(ServerSettings(data=data, port=0, threads=2))


def body_of(example: Example, photos: list[bytes]) -> Any:
    """The example with real photos."""
    left = [base64.b64encode(photo).decode() for photo in photos]

    def filled(value: Any) -> Any:
        if value == PHOTO:
            return left.pop(0)
        return [filled(one) for one in value] if isinstance(value, list) else value

    return {name: filled(value) for name, value in (example.body or {}).items()}


@pytest.mark.slow
def test_the_examples_work(own: Served, photos: dict[str, bytes]) -> None:
    """One after the other, each by a key with the role that the table says."""
    by_id = {operation.id: operation for operation in TABLE}
    assert set(ORDER) == by_id.keys()
    values: dict[str, str] = {}
    session = own.client(None)
    for name in ORDER:
        operation, example = by_id[name], EXAMPLES[name]
        if name == "merge_people":
            _enroll_another(own, photos)
        if name == "add_stream":  # the gallery of before was deleted
            with own.client() as admin:
                admin.post("/galleries", json={"name": "staff"})
        shown = ("biden",) if name == "reject" else ("obama", "obama2")
        with own.client(operation.role) as keyed:
            client = session if name in OF_SESSION else keyed
            answer = send(client, operation, example, values, [photos[name] for name in shown])
        assert answer.status_code == example.status, f"{name}: {answer.text}"
        if name in MADE:
            values[MADE[name]] = answer.json()["id"]
        if name == "add_stream":
            streams = own.app.state.lineament.streams  # type: ignore[attr-defined]
            streams.get(values["stream"]).preview._show(photos["obama"])
        if name == "create_job":  # its events end with it
            with own.client(operation.role) as follower:
                follower.get(f"/jobs/{values['job']}/events")
        if name == "make_key":
            values["key"] = answer.json()["id"]
        if name in ("log_in", "new_password"):
            session.headers["X-CSRF-Token"] = answer.json()["csrf"]
        if name == "enroll":
            assert answer.json()["photos"][0]["sample"] == 1, answer.text
        with own.client("admin") as follower:
            follow(follower, operation, example, values, answer)
    session.close()


def send(
    client: httpx.Client,
    operation: Operation,
    example: Example,
    values: dict[str, str],
    photos: list[bytes],
) -> Any:
    body = body_of(example, photos) if example.body is not None else None
    if operation.id in ENDLESS:
        with client.stream(operation.method, example.url(operation.path, values)) as answer:
            return answer
    return client.request(operation.method, example.url(operation.path, values), json=body)


def follow(
    client: httpx.Client,
    operation: Operation,
    example: Example,
    values: dict[str, str],
    answer: httpx.Response,
) -> None:
    """Go on as the links of the description say, where that changes nothing."""
    path = operation.pattern.fullmatch(example.url(operation.path, values).partition("?")[0])
    assert path is not None
    for link in LINKS.get(operation.id, ()):
        given = {}
        for parameter, value in link.values.items():
            if value.startswith("$response.body#/"):
                at = answer.json()
                for step in value.removeprefix("$response.body#/").split("/"):
                    at = at[int(step)] if isinstance(at, list) else at[step]
                given[parameter] = at
            else:
                given[parameter] = path.groupdict().get(value.rpartition(".")[2], value)
        if given.get("after", "") is None:  # the last page
            continue
        assert None not in given.values(), f"{operation.id} to {link.to}"
        target = next(one for one in TABLE if one.id == link.to)
        if target.method != "GET" or target.id in LATER:
            continue
        url = target.path
        for parameter in target.pattern.groupindex:
            url = url.replace(f"{{{parameter}}}", quote(str(given.pop(parameter)), safe=""))
        found = client.get(url, params=given)
        assert found.status_code == 200, f"{operation.id} to {target.id}: {found.text}"


def _enroll_another(served: Served, photos: dict[str, bytes]) -> None:
    with served.client("enroll") as client:
        answer = client.post(
            "/galleries/staff/people/-/samples",
            params={"name": "Augusta", "force": True},
            files={"images": photos["obama2"]},
        )
    assert answer.json()["person"]["id"] == 2, answer.text


def test_no_photo_lies_about(tmp_path: Path) -> None:
    """The photo of the examples can be read."""
    from lineament.images import load_image

    assert load_image(base64.b64decode(PHOTO)).shape == (1, 1, 3)

"""What every request passes through, and the first routes."""

from __future__ import annotations

import base64

import pytest
from server_under_test import Served

from lineament import Recognizer


def test_a_comparison_is_that_of_the_library(server: Served, photos: dict[str, bytes]) -> None:
    expected = Recognizer().verify(photos["obama"], photos["obama2"]).to_dict()
    with server.client("verify") as client:
        files = {"a": photos["obama"], "b": photos["obama2"]}
        answer = client.post("/compare", files=files)
        coded = {name: base64.b64encode(data).decode() for name, data in files.items()}
        again = client.post("/compare", json=coded)
    assert answer.status_code == again.status_code == 200
    assert answer.json() == again.json() == expected
    assert answer.json()["verdict"] == "same"


def test_a_raw_body_is_a_photo(server: Served, photos: dict[str, bytes]) -> None:
    with server.client("verify") as client:
        answer = client.post(
            "/detect?max_faces=1", content=photos["group"], headers={"content-type": "image/jpeg"}
        )
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["faces"]) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer lin_000000000000_" + "A" * 43}, 401),
        ({"X-API-Key": "../../etc/passwd"}, 401),
    ],
)
def test_who_has_no_key_gets_nothing(server: Served, headers: dict[str, str], status: int) -> None:
    with server.client(None) as client:
        answer = client.get("/models", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthorized"
    assert answer.json()["request"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "code", "option"),
    [
        ({"image": "/etc/passwd"}, "image_unreadable", "image"),
        ({"image": {"url": "http://127.0.0.1/"}}, "image_unreadable", "image"),
        ({}, "image_unreadable", "image"),
        ({"image": "AAAA", "size": 3}, "option_invalid", "size"),
        ({"image": "AAAA"}, "image_format", None),
    ],
)
def test_what_cannot_be_read_is_said(
    server: Served, body: dict[str, object], code: str, option: str | None
) -> None:
    with server.client("verify") as client:
        answer = client.post("/detect", json=body)
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["option"]) == (code, option)

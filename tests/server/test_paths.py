"""No answer names a folder of the server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_under_test import Served
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lineament.server.paths import Paths


def answered(response: Response, data: Path) -> Any:
    async def give(request: Any) -> Response:
        return response

    app = Paths(Starlette(routes=[Route("/", give)]), data=data)

    async def ask() -> Any:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get("/")

    return asyncio.run(ask())


@pytest.mark.parametrize("name", ["data", 'a "quoted" one', "dätä \u4e2d"])
def test_messages_begin_with_the_gallerys_name(tmp_path: Path, name: str) -> None:
    data = tmp_path / name
    text = f"{data / 'galleries' / 'staff'}: nobody is enrolled; see {data / 'keys.sqlite'}"
    for body in (JSONResponse({"a": text}), JSONResponse([text] * 50)):
        answer = answered(body, data)
        assert str(tmp_path) not in answer.text
        assert int(answer.headers["content-length"]) == len(answer.content)
        found = answer.json()
        first = found[0] if isinstance(found, list) else found["a"]
        assert first == "staff: nobody is enrolled; see the server's folder/keys.sqlite"


def test_what_names_none_stays(tmp_path: Path) -> None:
    values = {"name": "galleries/staff", "n": [1.5, None]}
    assert answered(JSONResponse(values), tmp_path / "data").json() == values
    text = f"{tmp_path}/data/galleries/x"  # no answer of ours: a download
    assert answered(PlainTextResponse(text), tmp_path / "data").text == text
    assert answered(JSONResponse("/data/x"), Path("/data")).json() == "/data/x"


def test_an_empty_gallery_is_called_by_its_name(server: Served, photos: dict[str, bytes]) -> None:
    with server.client("admin") as client:
        assert client.post("/galleries", json={"name": "nobody-here"}).status_code == 201
        answer = client.post("/galleries/nobody-here/identify", files={"image": photos["obama"]})
        assert answer.status_code == 200
        assert str(server.settings.data) not in answer.text
        (face,) = answer.json()["faces"]
        assert face["reason_in_words"].startswith("nobody-here: nobody is enrolled")
        assert client.delete("/galleries/nobody-here").status_code == 204

"""The links of the description lead somewhere: each target is there, with parameters that it has.

That the values stand where the links say is seen in ``test_examples``, which follows them.
"""

from __future__ import annotations

from typing import Any

import pytest
from server_under_test import Served

from lineament.server.app import ROUTERS
from lineament.server.links import LINKS, Link
from lineament.server.table import operations

OPERATIONS = {operation.id: operation for operation in operations(ROUTERS)}
STEPS = [(name, link) for name, links in LINKS.items() for link in links]


@pytest.fixture(scope="module")
def described(server: Served) -> dict[str, Any]:
    with server.client(None) as client:
        schema = client.get("/openapi.json").json()
    return {
        operation["operationId"]: operation
        for methods in schema["paths"].values()
        for operation in methods.values()
    }


@pytest.mark.parametrize(("name", "link"), STEPS, ids=[f"{n} to {to.to}" for n, to in STEPS])
def test_a_link_leads_to_an_operation(name: str, link: Link, described: dict[str, Any]) -> None:
    parameters = {one["name"]: one for one in described[link.to].get("parameters", ())}
    assert link.values.keys() <= parameters.keys()
    needed = {name for name, one in parameters.items() if one["in"] == "path"}
    assert needed <= link.values.keys()
    own = {f"$request.path.{one}" for one in OPERATIONS[name].pattern.groupindex}
    for value in link.values.values():
        assert value in own or value == "-" or value.startswith("$response.body#/")


def test_the_description_has_them(described: dict[str, Any]) -> None:
    found = {
        name: {
            link: one
            for answer in operation["responses"].values()
            for link, one in answer.get("links", {}).items()
        }
        for name, operation in described.items()
    }
    assert {name: links.keys() for name, links in found.items() if links} == {
        name: {link.to for link in links} for name, links in LINKS.items()
    }
    first = described["create_job"]["responses"]["202"]["links"]["get_job"]
    assert first == {"operationId": "get_job", "parameters": {"job": "$response.body#/id"}}


def test_what_makes_a_thing_leads_to_it() -> None:
    """Whatever a path names is in an answer that somebody finds."""
    given = {name for _, link in STEPS for name in link.values}
    for operation in OPERATIONS.values():
        assert operation.pattern.groupindex.keys() <= given, operation.id

"""What goes on from an answer: the links of the OpenAPI description (OpenAPI 3.1, Link Object).

A link says that a value of the answer, or of its request, is a parameter of another operation.
Programs that read the description find their way by them, and so do the tests that draw requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lineament.server.examples import EXAMPLES


@dataclass(frozen=True, slots=True)
class Link:
    """A step from one operation to another.

    Attributes:
        to: operation id.
        values: of its parameters: texts, or expressions that begin with ``$``.
        words: when it is of use; "": always.
    """

    to: str
    values: Mapping[str, str]
    words: str = ""


def _body(place: str) -> str:
    return f"$response.body#/{place}"


def _links(targets: str, values: Mapping[str, str], words: str = "") -> tuple[Link, ...]:
    return tuple(Link(target, values, words) for target in targets.split())


_GALLERY = {"gallery": "$request.path.gallery"}
_PERSON = _GALLERY | {"person": "$request.path.person"}
_NO_MORE = "`next` is null on the last page"


def _next(operation: str, values: Mapping[str, str] | None = None) -> tuple[Link, ...]:
    return _links(operation, {**(values or {}), "after": _body("next")}, _NO_MORE)


LINKS: dict[str, tuple[Link, ...]] = {
    "create_gallery": (
        *_links(
            "get_gallery change_gallery list_people identify delete_gallery",
            {"gallery": _body("name")},
        ),
        *_links("enroll", {"gallery": _body("name"), "person": "-"}, "`name` says who"),
    ),
    "list_galleries": (
        *_links("get_gallery", {"gallery": _body("galleries/0/name")}),
        *_next("list_galleries"),
    ),
    "list_people": (
        *_links("get_person", _GALLERY | {"person": _body("people/0/id")}),
        *_next("list_people", _GALLERY),
    ),
    "get_person": (
        *_links("get_sample get_crop", _GALLERY | {"sample": _body("samples/0/id")}),
        *_links("enroll", _GALLERY | {"person": _body("id")}, "more photos of the same person"),
    ),
    "enroll": (
        *_links(
            "get_person change_person put_consent verify_person reject export_person delete_person",
            _GALLERY | {"person": _body("person/id")},
            "`person` is null where no photo passed and nobody was there",
        ),
        *_links(
            "get_sample get_crop delete_sample",
            _GALLERY | {"sample": _body("photos/0/sample")},
            "of a photo that passed; else `sample` is null",
        ),
        *_links("identify", _GALLERY),
    ),
    "put_consent": _links("get_consents delete_consents", _PERSON),
    "reject": _links("delete_rejection", _GALLERY | {"rejection": _body("id")}),
    "list_rejections": (
        *_links("delete_rejection", _GALLERY | {"rejection": _body("rejections/0/id")}),
        *_next("list_rejections", _PERSON),
    ),
    "list_audit": (*_links("verify_audit", {}), *_next("list_audit")),
    "list_keys": (*_links("revoke_key", {"key": _body("keys/0/id")}), *_next("list_keys")),
    "make_key": _links("revoke_key", {"key": _body("id")}),
    "users": _links("change_user remove_user", {"name": _body("users/0/name")}),
    "add_user": _links("change_user remove_user", {"name": _body("name")}),
    "create_liveness_session": _links("get_liveness_session", {"session": _body("id")}),
    "list_streams": _links("get_stream", {"stream": _body("streams/0/id")}),
    "add_stream": _links(
        "get_stream stream_events stream_snapshot stream_preview delete_stream",
        {"stream": _body("id")},
    ),
    "list_jobs": _links("get_job", {"job": _body("jobs/0/id")}),
    "create_job": _links("get_job job_events delete_job", {"job": _body("id")}),
    "get_job": _links("job_result", {"job": _body("id")}, "once `file` is not null"),
}
"""Operation id -> where its answer leads."""


def link(schema: dict[str, Any]) -> None:
    """Put the links into an OpenAPI description, at the answer of each operation's example."""
    for methods in schema["paths"].values():
        for operation in methods.values():
            name = operation.get("operationId", "")
            found = {one.to: _described(one) for one in LINKS.get(name, ())}
            if found:
                answer = operation["responses"].setdefault(str(EXAMPLES[name].status), {})
                answer["links"] = found


def _described(one: Link) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": one.to, "parameters": dict(one.values)}
    return described | ({"description": one.words} if one.words else {})

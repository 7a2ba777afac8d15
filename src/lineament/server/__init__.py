"""The pipeline over HTTP: ``lineament serve``, or ``create_app`` for a server of your own.

    settings    what can be set, from flags, environment and a file, with the origin of each value
    app         create_app: the routes, what every request passes through, start and end
    state       what all requests share: recognizer, galleries, keys
    access      roles, and which of them a route wants; keys: who calls
    users       who logs in to the page; sessions: their cookies, one-time codes
    limits      bytes and seconds of a request
    table       the table of routes: what each is, and which role it wants
    people      who is meant by a path: a number, or "-" and a name
    bodies      what requests may say beside their photos; paging: lists page by page
    repeats     requests that are sent again under an Idempotency-Key
    auditing    what the audit log says of requests
    examples    a request for each operation: for the OpenAPI description and the tests
    paths       takes the server's folders out of answers
    work        the threads that compute, and the line before them
    photos      photos out of a request's body
    problems    errors as problem+json (RFC 9457), by the codes of ``lineament.errors``
    schemas     what is documented in the OpenAPI description
    static      the files of page/: what browsers see
    routes/     one module a topic: parse -> call the library -> answer

A request goes: limits (bytes, seconds) -> access (who calls, may they) -> photos (bytes of the
body) -> work (a thread; a full line answers 429) -> the library -> JSON as ``to_dict`` gives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lineament.server.app import create_app as create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> object:
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lineament.server.app import create_app  # needs FastAPI, settings and keys do not

    return create_app

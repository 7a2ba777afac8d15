"""Every route says which role it wants; who calls is found out before anything else is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from lineament.errors import UnauthorizedError
from lineament.server.roles import Principal, Role, check

ROLE_KEY, GALLERY_KEY = "x-lineament-role", "x-lineament-gallery"
"""Where the OpenAPI description says what a route wants."""

EVERYWHERE_KEY = "x-lineament-everywhere"
"""Where it says that the key has to be for all galleries."""

WRITES_KEY, SECRET_KEY = "x-lineament-writes", "x-lineament-secret"
"""Where it says that a route changes something, and that its answer is kept nowhere."""


def principal_of(request: Request) -> Principal:
    """Who calls: by ``Authorization: Bearer KEY``, ``X-API-Key: KEY``, or the page's session.

    It is found out once for each request, and stands in its ``state.principal`` from then on.

    Raises:
        UnauthorizedError: no key, or a wrong or revoked one, or too many wrong ones before.
    """
    known: Principal | None = getattr(request.state, "principal", None)
    if known is None:
        known = request.state.principal = _found(request)
    return known


def _found(request: Request) -> Principal:
    state = request.app.state.lineament
    header = request.headers.get("authorization", "")
    scheme, _, text = header.partition(" ")
    if scheme.lower() == "bearer" and text.strip():
        key = text.strip()
    else:
        key = request.headers.get("x-api-key", "").strip()
    if key:
        found: Principal = state.keys.principal(key, host=host_of(request))
        return found
    for session in state.sessions:
        principal: Principal | None = session(request)
        if principal is not None:
            return principal
    raise UnauthorizedError(
        "expected a key, got none",
        hint="send it as `Authorization: Bearer KEY`; `lineament keys add` makes one",
    )


def host_of(request: HTTPConnection) -> str:
    """The caller's address, of which wrong keys and passwords are counted."""
    return request.client.host if request.client is not None else "unknown"


def needs(role: Role, *, gallery: bool = False, everywhere: bool = False) -> dict[str, Any]:
    """Options of a route that wants a role: ``@router.get("/x", **needs("verify"))``.

    Args:
        role: the least.
        gallery: whether the key has to be for the gallery of the path parameter ``gallery``.
        everywhere: whether it has to be for all galleries: the route is about all of them.

    Returns:
        ``dependencies``, and what stands in the OpenAPI description.
    """

    async def checked(request: Request) -> None:
        principal = principal_of(request)
        named = request.path_params["gallery"] if gallery else None
        check(principal, role, named, everywhere=everywhere)

    depends: Callable[[Request], Awaitable[None]] = checked
    return {
        "dependencies": [Depends(depends)],
        "openapi_extra": {
            ROLE_KEY: role,
            GALLERY_KEY: gallery,
            EVERYWHERE_KEY: everywhere,
            "security": [{"bearer": []}, {"header": []}, {"session": []}],
        },
    }


WRITER_KEY = "x-lineament-writer"
"""Where it says that a route is answered by the process that writes, though it changes nothing."""


def at_writer() -> dict[str, Any]:
    """Options of a route about what only the process that writes has: jobs, streams, sessions."""
    return {"openapi_extra": {WRITER_KEY: True}}


def writes(*, secret: bool = False) -> dict[str, Any]:
    """Options of a route that changes galleries or what else is in the data folder.

    Such requests are answered by the process that writes, and may be repeated under an
    ``Idempotency-Key`` (``repeats``).

    Args:
        secret: whether the answer has something that is kept nowhere, such as a new key: then it
            is not kept for a repeated request either.
    """
    return {"openapi_extra": {WRITES_KEY: True, **({SECRET_KEY: True} if secret else {})}}

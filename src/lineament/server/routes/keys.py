"""Keys over HTTP: an admin of some galleries gives and takes keys of those alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from lineament.errors import ForbiddenError, NotFoundError
from lineament.server.access import needs, writes
from lineament.server.auditing import record
from lineament.server.bodies import MakeKey, json_body
from lineament.server.keys import KeyInfo
from lineament.server.paging import After, Limit, page, read_cursor
from lineament.server.photos import read_options
from lineament.server.roles import Principal
from lineament.server.schemas import Answer, answers, merged

router = APIRouter(tags=["keys"])


class KeysAnswer(Answer):
    """Keys without their secrets, the oldest first."""

    keys: list[dict[str, Any]]
    next: str | None


class KeyAnswer(Answer):
    """A new key; it is shown once."""

    key: str
    id: str
    expires: float | None


def _own(principal: Principal, galleries: tuple[str, ...]) -> bool:
    return all(principal.sees(name) for name in galleries)


@router.get(
    "/keys",
    summary="Keys, without their secrets",
    response_model=KeysAnswer,
    **merged(needs("admin"), {"responses": answers()}),
)
async def list_keys(request: Request, after: After = None, limit: Limit = 100) -> Any:
    """The oldest first, also those that do not hold; an admin of some galleries sees theirs."""
    state = request.app.state.lineament
    principal, last = request.state.principal, read_cursor(after)

    def call() -> dict[str, Any]:
        own = [key for key in state.keys.list() if _own(principal, key.galleries)]
        places = [place for place, key in enumerate(own) if key.id == last]
        start = 0 if last is None else places[0] + 1 if places else len(own)
        return page(
            "keys", own[start : start + limit + 1], limit,
            key=lambda one: str(one.id), shown=lambda one: one.to_dict(),
        )  # fmt: skip

    return JSONResponse(await state.work.run(call))


@router.post(
    "/keys",
    summary="Make a key",
    status_code=201,
    response_model=KeyAnswer,
    **merged(needs("admin"), writes(secret=True), json_body(MakeKey), {"responses": answers(409)}),
)
async def make_key(request: Request) -> Any:
    """It is shown in this answer and kept nowhere: sent again, the request is refused (409).

    With an Idempotency-Key, that is; the refusal names the key that was made.
    """
    state = request.app.state.lineament
    options = await read_options(request, MakeKey)
    once = state.repeats.token_of(request, await request.body())
    galleries = tuple(options.galleries)
    if not _own(request.state.principal, galleries):
        raise ForbiddenError("expected galleries of your own key, got others")

    def call() -> dict[str, Any]:
        key: str = state.keys.add(
            options.role,
            galleries=galleries,
            label=options.label,
            expires=options.expires,
            once=once,
        )
        number = key.split("_")[1]
        expires = state.keys.info(number).expires
        record(request, "make key", key=number, role=options.role, expires=expires)
        return {
            "key": key,
            "id": number,
            "role": options.role,
            "galleries": list(galleries),
            "expires": expires,
        }

    return JSONResponse(await state.work.run(call), 201)


@router.delete(
    "/keys/{key}",
    summary="Revoke a key",
    status_code=204,
    response_class=Response,
    response_model=None,
    **merged(needs("admin"), writes(), {"responses": answers(404)}),
)
async def revoke_key(
    request: Request, key: Annotated[str, Path(max_length=64, description="Its id.")]
) -> Any:
    """From now on it is refused."""
    state = request.app.state.lineament
    principal = request.state.principal

    def call() -> None:
        found: list[KeyInfo] = state.keys.list()
        if not any(one.id == key and _own(principal, one.galleries) for one in found):
            raise NotFoundError(f"expected the id of a key, got {key!r}")
        state.keys.revoke(key)
        record(request, "revoke key", key=key)

    await state.work.run(call)
    return Response(status_code=204)

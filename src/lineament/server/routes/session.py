"""Who is logged in to the page, and its users."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from lineament.errors import ForbiddenError, OptionError, UnauthorizedError
from lineament.server import bodies
from lineament.server.access import host_of, needs
from lineament.server.photos import json_body, parsed
from lineament.server.roles import Role
from lineament.server.schemas import Options, answers, merged
from lineament.server.sessions import COOKIE, SessionInfo, check_origin
from lineament.server.users import MOST_PASSWORD

router = APIRouter(tags=["session"])


class Login(Options):
    """By name and password, or by a one-time code."""

    name: str | None = Field(None, max_length=64, examples=["anna"])
    password: str | None = Field(None, max_length=4 * MOST_PASSWORD)
    code: str | None = Field(None, max_length=128)


class NewUser(Options):
    """A user to be made."""

    name: str = Field(max_length=64, examples=["anna"])
    password: str = Field(max_length=4 * MOST_PASSWORD)
    role: Role = "verify"
    galleries: list[str] = Field(default=["*"], max_length=1000)


class UserChange(Options):
    """What is to be another; the rest stays."""

    password: str | None = Field(None, max_length=4 * MOST_PASSWORD)
    role: Role | None = None
    galleries: list[str] | None = Field(None, max_length=1000)


class NewPassword(Options):
    """Of the user who is logged in."""

    old: str = Field(max_length=4 * MOST_PASSWORD)
    new: str = Field(max_length=4 * MOST_PASSWORD)


def _told(found: SessionInfo) -> dict[str, Any]:
    principal = found.principal
    return {
        "user": None if found.user is None else found.user.name,
        "role": principal.role,
        "galleries": list(principal.galleries),
        "csrf": found.csrf,
        "ends": found.ends,
    }


@router.post(
    "/session",
    summary="Log in",
    **merged(
        bodies.json_body(Login), {"responses": answers()}, {"openapi_extra": {"security": []}}
    ),
)
async def log_in(request: Request) -> Any:
    """Begin a session; the cookie is in the answer, and the value of the header X-CSRF-Token."""
    state = request.app.state.lineament
    check_origin(request)
    login = parsed(Login, await json_body(request))
    sessions, host = state.logins, host_of(request)
    if login.code is not None:
        cookie = await state.work.run(sessions.use_code, login.code, host=host)
    elif login.name is not None and login.password is not None:
        user = await state.work.run(sessions.users.check, login.name, login.password, host=host)
        cookie = sessions.begin(user.name)
    else:
        raise OptionError("expected name and password, or a code", option="name")
    before = request.cookies.get(COOKIE)
    if before is not None:
        sessions.end(before)
    found = sessions.find(cookie)
    if found is None:
        raise UnauthorizedError("the user was removed meanwhile")
    response = JSONResponse(_told(found))
    _set(response, request, cookie)
    return response


@router.get("/session", summary="Who is logged in", responses=answers())
async def who(request: Request) -> Any:
    """The user, what they may, and the value of the header X-CSRF-Token; nulls of nobody."""
    cookie = request.cookies.get(COOKIE, "")
    found = request.app.state.lineament.logins.find(cookie) if cookie else None
    if found is None:
        return JSONResponse(
            {"user": None, "role": None, "galleries": [], "csrf": None, "ends": None}
        )
    return JSONResponse(_told(found))


@router.delete(
    "/session", summary="Log out", status_code=204, response_model=None, responses=answers()
)
async def log_out(request: Request) -> Any:
    """End the session; the cookie is taken back."""
    sessions = request.app.state.lineament.logins
    if sessions.principal(request) is not None:
        sessions.end(request.cookies[COOKIE])
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


@router.post(
    "/session/password",
    summary="Choose another password",
    **merged(needs("verify"), bodies.json_body(NewPassword), {"responses": answers()}),
)
async def new_password(request: Request) -> Any:
    """Of the user who is logged in; all their other sessions end."""
    state = request.app.state.lineament
    cookie = request.cookies.get(COOKIE, "")
    found = state.logins.find(cookie) if cookie else None
    if found is None or found.user is None:
        raise ForbiddenError("expected a user of the page, got a key or a one-time login")
    change = parsed(NewPassword, await json_body(request))
    users, name = state.logins.users, found.user.name
    await state.work.run(users.check, name, change.old, host=host_of(request))
    await state.work.run(users.change, name, password=change.new)
    state.logins.end_all(name)
    fresh = state.logins.begin(name)
    response = JSONResponse(_told(state.logins.find(fresh)))
    _set(response, request, fresh)
    return response


def _set(response: Response, request: Request, cookie: str) -> None:
    response.set_cookie(
        COOKIE, cookie, path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip


@router.get(
    "/users",
    summary="Users of the page",
    **merged(needs("admin", everywhere=True), {"responses": answers()}),
)
async def users(request: Request) -> Any:
    """By name, with role and galleries."""
    found = request.app.state.lineament.logins.users.list()
    return JSONResponse({"users": [user.to_dict() for user in found]})


@router.post(
    "/users",
    summary="Make a user",
    status_code=201,
    **merged(
        needs("admin", everywhere=True), bodies.json_body(NewUser), {"responses": answers(409)}
    ),
)
async def add_user(request: Request) -> Any:
    """With a password that they can change."""
    state = request.app.state.lineament
    new = parsed(NewUser, await json_body(request))
    user = await state.work.run(
        state.logins.users.add, new.name, new.password, new.role, galleries=new.galleries
    )
    return JSONResponse(user.to_dict(), 201)


@router.patch(
    "/users/{name}",
    summary="Change a user",
    **merged(
        needs("admin", everywhere=True), bodies.json_body(UserChange), {"responses": answers(404)}
    ),
)
async def change_user(request: Request, name: str) -> Any:
    """Another role or other galleries hold from the next request on; a new password logs out."""
    state = request.app.state.lineament
    change = parsed(UserChange, await json_body(request))
    user = await state.work.run(
        state.logins.users.change,
        name,
        password=change.password,
        role=change.role,
        galleries=change.galleries,
    )
    if change.password is not None:
        state.logins.end_all(name)
    return JSONResponse(user.to_dict())


@router.delete(
    "/users/{name}",
    summary="Remove a user",
    status_code=204,
    response_model=None,
    **merged(needs("admin", everywhere=True), {"responses": answers(404)}),
)
async def remove_user(request: Request, name: str) -> Any:
    """Their sessions end at once."""
    state = request.app.state.lineament
    state.logins.users.remove(name)
    state.logins.end_all(name)
    return Response(status_code=204)

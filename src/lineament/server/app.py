"""The application: routes, what every request passes through, start and end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteError
from starlette.middleware.cors import CORSMiddleware

import lineament
from lineament.errors import LineamentError
from lineament.machine import memory_error
from lineament.server import static
from lineament.server.admission import Admission, Admitting
from lineament.server.examples import describe
from lineament.server.forwarding import Forwarding, Writer
from lineament.server.limits import Limits
from lineament.server.links import link
from lineament.server.metrics import Observed
from lineament.server.paths import Paths
from lineament.server.photos import option_error
from lineament.server.problems import problem, problem_of, status_of
from lineament.server.repeats import Repeats
from lineament.server.routes import (
    anonymize,
    consents,
    faces,
    galleries,
    jobs,
    keys,
    liveness,
    looks,
    metrics,
    people,
    rejections,
    samples,
    search,
    service,
    session,
    streams,
)
from lineament.server.settings import ServerSettings
from lineament.server.state import ServerState
from lineament.server.table import operations

logger = logging.getLogger("lineament.server")

ROUTERS = (
    service.router,
    faces.router,
    anonymize.router,
    looks.router,
    galleries.router,
    people.router,
    rejections.router,
    samples.router,
    search.router,
    consents.router,
    keys.router,
    session.router,
    liveness.router,
    streams.router,
    jobs.router,
)
PREFIX = "/v1"


def create_app(
    settings: ServerSettings | None = None,
    *,
    writes: bool = True,
    writer: Writer | None = None,
    inner: bool = False,
) -> FastAPI:
    """Make the application, for ``lineament serve`` or another ASGI server.

    Args:
        settings: None takes those of the environment.
        writes: whether this process is the one that changes galleries.
        writer: the process to which requests that change something are passed on; None: none is.
        inner: whether other processes of this server pass requests on to this one, and count and
            log them.

    Raises:
        OptionError: the settings are wrong.
    """
    if settings is None:
        from lineament.server.settings import load_settings

        settings = load_settings()[0]
    state = ServerState(settings, writes=writes)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.get_running_loop().run_in_executor(None, state.load)
        app.state.ready = True
        taking = asyncio.ensure_future(state.metrics.take(state.work))
        try:
            yield
        finally:
            app.state.ready = False
            taking.cancel()
            await asyncio.get_running_loop().run_in_executor(None, state.close)

    app = FastAPI(
        title="lineament",
        version=lineament.__version__,
        summary="Face recognition: detect, compare, enroll, identify.",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
    )
    app.state.lineament = state
    app.state.ready = False
    _answer_errors(app)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(metrics.router)
    table = operations(ROUTERS)
    app.add_middleware(Repeats, table=table, prefix=PREFIX, store=state.repeats)
    if settings.page:
        app.include_router(static.router)
    if settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type", "x-api-key", "idempotency-key"],
        )
    admission = app.state.admission = Admission(
        state.work,
        max_body_bytes=settings.max_body_bytes,
        max_waiting_bytes=settings.max_waiting_bytes,
    )
    if writer is not None:
        app.add_middleware(
            Forwarding, writer=writer, table=table, prefix=PREFIX,
            timeout_s=settings.request_timeout_s + 1,
        )  # fmt: skip
    state.stopping = admission.stopping
    app.add_middleware(Admitting, admission=admission, to_disk=(f"{PREFIX}/jobs",))
    app.add_middleware(
        Limits,
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
        uploads={f"{PREFIX}/jobs": (settings.max_upload_bytes, settings.upload_timeout_s)},
    )
    app.add_middleware(Paths, data=settings.data)  # every answer passes it
    if not inner:
        app.add_middleware(Observed, metrics=state.metrics, table=table, prefix=PREFIX)
    _describe(app)
    return app


def _number(request: Request) -> str | None:
    number: str | None = getattr(request.state, "request_id", None)
    return number


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(LineamentError)
    async def _own(request: Request, error: LineamentError) -> JSONResponse:
        if status_of(error) >= 500:
            logger.error("request %s failed: %s", _number(request), error.code)
        return problem_of(error, _number(request))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_of(option_error(error.errors()), _number(request))

    @app.exception_handler(StarletteError)
    async def _http(request: Request, error: StarletteError) -> JSONResponse:
        codes = {404: "not_found", 405: "method_not_allowed", 406: "not_acceptable"}
        code = codes.get(error.status_code, "option_invalid")
        return problem(
            error.status_code, code, str(error.detail), request=_number(request),
            headers=error.headers,
        )  # fmt: skip

    @app.exception_handler(Exception)
    async def _other(request: Request, error: Exception) -> JSONResponse:
        short = memory_error(error)
        if short is not None:
            return problem_of(short, _number(request))
        logger.exception("request %s failed", _number(request), exc_info=error)
        return problem(
            500, "error", "the server failed; its log has the reason under the request's id",
            request=_number(request),
        )  # fmt: skip


def _describe(app: FastAPI) -> None:
    """Add to the OpenAPI description how keys are sent, examples and links."""
    made = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            schema.setdefault("components", {})["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "session": {"type": "apiKey", "in": "cookie", "name": "lineament"},
            }
            describe(schema)
            link(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]

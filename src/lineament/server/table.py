"""The table of routes: what each operation is, which role it wants, whether it changes something.

Made of the routers, whatever the framework keeps of them; the docs, the tests of access and the
middleware that has to know an operation before it is called all read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.routing import APIRoute

from lineament.server.access import (
    EVERYWHERE_KEY,
    GALLERY_KEY,
    ROLE_KEY,
    SECRET_KEY,
    WRITER_KEY,
    WRITES_KEY,
)
from lineament.server.roles import Role


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        id: of the OpenAPI description: the name of the function that answers.
        method: "GET", "POST", ...
        path: under the prefix, with ``{names}``.
        summary: in words.
        topic: of the module that has it.
        role: the least; None: no key is needed.
        gallery: whether the key has to be for the gallery of the path.
        everywhere: whether the key has to be for all galleries.
        writes: whether it changes galleries or the data folder.
        at_writer: whether the process that writes has to answer it.
        secret: whether its answer is kept nowhere.
        pattern: matches such paths; its groups are the values.
    """

    id: str
    method: str
    path: str
    summary: str
    topic: str
    role: Role | None
    gallery: bool
    everywhere: bool
    writes: bool
    at_writer: bool
    secret: bool
    pattern: re.Pattern[str]


def operations(routers: Iterable[APIRouter]) -> list[Operation]:
    """All operations in the order of the routers; not WebSockets."""
    found = []
    for router in routers:
        for route in router.routes:
            if not isinstance(route, APIRoute):
                continue
            extra = route.openapi_extra or {}
            for method in sorted(route.methods or ()):
                found.append(
                    Operation(
                        id=route.name,
                        method=method,
                        path=route.path,
                        summary=route.summary or "",
                        topic=str(next(iter(route.tags), "")),
                        role=extra.get(ROLE_KEY),
                        gallery=bool(extra.get(GALLERY_KEY)),
                        everywhere=bool(extra.get(EVERYWHERE_KEY)),
                        writes=bool(extra.get(WRITES_KEY)),
                        at_writer=bool(extra.get(WRITES_KEY) or extra.get(WRITER_KEY)),
                        secret=bool(extra.get(SECRET_KEY)),
                        pattern=route.path_regex,
                    )
                )
    return found


def find(
    table: Iterable[Operation], method: str, path: str
) -> tuple[Operation, dict[str, str]] | None:
    """The operation that answers a request, and the values of its path; None: there is none.

    Args:
        table: of ``operations``.
        method: of the request.
        path: decoded, without the prefix.
    """
    for operation in table:
        if operation.method == method and (match := operation.pattern.match(path)):
            return operation, match.groupdict()
    return None

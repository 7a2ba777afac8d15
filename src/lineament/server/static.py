"""The files of the page: read once, sent with headers that let nothing in from elsewhere.

    GET /                      index.html: never kept, so that a new version is seen at once
    GET /page/VERSION/PATH     scripts, style, words: kept for a year; VERSION is a hash of them all

Nothing is built: the scripts are modules that browsers load as they stand. The policy lets the page
load from this server alone, and run no script that stands in a page.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

from lineament.errors import NotFoundError

router = APIRouter(include_in_schema=False)

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_LEAST_PACKED = 1000


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent.

    Attributes:
        kind: its media type.
        data: its bytes.
        packed: the same by gzip; None where that is not worth it.
    """

    kind: str
    data: bytes
    packed: bytes | None


@cache
def page_files() -> tuple[str, dict[str, PageFile]]:
    """The version of the page, and its files by their path inside it."""
    found = dict(_walk(files("lineament.server").joinpath("page"), ""))
    digest = hashlib.sha256()
    for path, data in sorted(found.items()):
        digest.update(f"{path}\0{len(data)}\0".encode() + data)
    version = digest.hexdigest()[:16]
    found["index.html"] = found["index.html"].replace(b"BASE/", f"/page/{version}/".encode())
    return version, {path: _file(path, data) for path, data in found.items()}


def _walk(folder: Traversable, before: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        path = before + entry.name
        if entry.is_dir():
            found += _walk(entry, f"{path}/")
        elif path.endswith(tuple(KINDS)):
            found.append((path, entry.read_bytes()))
    return found


def _file(path: str, data: bytes) -> PageFile:
    kind = KINDS[path[path.rindex(".") :]]
    packed = gzip.compress(data, mtime=0) if len(data) >= _LEAST_PACKED else None
    return PageFile(kind, data, packed)


@router.get("/", name="page")
async def index(request: Request) -> Response:
    """The page."""
    version, found = page_files()
    return _answer(request, found["index.html"], "no-cache", version)


@router.get("/page/{version}/{path:path}", name="page_file")
async def page_file(request: Request, version: str, path: str) -> Response:
    """A file of the page."""
    current, found = page_files()
    if version != current or path not in found or path == "index.html":
        raise NotFoundError("expected a file of the page", hint="load the page again")
    return _answer(request, found[path], "public, max-age=31536000, immutable", version)


def _answer(request: Request, file: PageFile, keep: str, version: str) -> Response:
    tag = f'"{version}"'
    headers = {
        "Cache-Control": keep,
        "ETag": tag,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": POLICY,
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            file.packed, media_type=file.kind, headers=headers | {"Content-Encoding": "gzip"}
        )
    return Response(file.data, media_type=file.kind, headers=headers)

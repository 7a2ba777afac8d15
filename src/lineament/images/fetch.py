"""Photos from http and https addresses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lineament.errors import (
    ImageError,
    ImageFormatError,
    ImageNotFoundError,
    LineamentError,
)
from lineament.images.limits import ImageLimits, too_many_bytes
from lineament.text import reason_of

MAX_REDIRECTS = 5


def fetch(url: str, name: str, limits: ImageLimits) -> bytes:
    """The bytes behind an http(s) address.

    Fetched in a thread: neither looking up a name nor a dripping header heeds a socket's timeout.
    """
    import threading

    outcome: list[bytes | Exception] = []

    def work() -> None:
        try:
            outcome.append(_fetch(url, name, limits))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=work, name="lineament-fetch", daemon=True)
    thread.start()
    thread.join(limits.url_timeout_s)
    result = outcome[0] if outcome else TimeoutError()
    if isinstance(result, bytes):
        return result
    if isinstance(result, LineamentError):
        raise result
    if isinstance(getattr(result, "reason", result), TimeoutError):
        raise ImageError(
            f"{name}: no complete answer within {limits.url_timeout_s:g} s",
            hint="; try again{or_timeout}",
        ) from result
    reason = reason_of(getattr(result, "reason", None) or result)
    raise ImageError(f"{name}: cannot be fetched ({reason}); check the address") from result


def _fetch(url: str, name: str, limits: ImageLimits) -> bytes:
    import string
    from urllib import parse, request
    from urllib.error import HTTPError

    class Redirects(request.HTTPRedirectHandler):
        max_redirections = MAX_REDIRECTS

        def redirect_request(self, *args: Any) -> request.Request | None:
            if parse.urlsplit(args[-1]).scheme not in ("http", "https"):
                return None  # the parent would follow ftp; None makes it an HTTPError
            return super().redirect_request(*args)

    opener = request.OpenerDirector()  # build_opener would add file, ftp and data
    for handler in (
        request.ProxyHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPErrorProcessor(),
        Redirects(),
    ):
        opener.add_handler(handler)
    if "@" in parse.urlsplit(url).netloc:
        raise ImageError(
            f"{name}: expected an address without user and password; download it first"
        )
    deadline = time.monotonic() + limits.url_timeout_s
    asked = request.Request(parse.quote(url, safe=string.punctuation))
    asked.add_header("User-Agent", "lineament")
    try:
        with opener.open(asked, timeout=limits.url_timeout_s) as answer:
            length = answer.headers.get("Content-Length", "")
            if length.isdecimal() and int(length) > limits.max_bytes:
                raise too_many_bytes(name, limits)
            data = _read_body(answer.read1, name, limits, deadline)
    except HTTPError as error:
        with error:
            if error.code in (404, 410):
                raise ImageNotFoundError(
                    f"{name}: the server answers {error.code} (not found); check the address"
                ) from error
            if 300 <= error.code < 400:
                raise ImageError(
                    f"{name}: expected at most {MAX_REDIRECTS} redirects, to http or https only; "
                    "give the final address"
                ) from error
            raise ImageError(
                f"{name}: the server answers {error.code} ({error.msg}); check the address"
            ) from error
    if length.isdecimal() and len(data) < int(length):
        raise ImageFormatError(
            f"{name}: expected {int(length):,} bytes, the connection ended after {len(data):,}; "
            "try again"
        )
    return data


def _read_body(
    read: Callable[[int], bytes], name: str, limits: ImageLimits, deadline: float
) -> bytes:
    parts: list[bytes] = []
    total = 0
    while total <= limits.max_bytes:
        part = read(min(2**20, limits.max_bytes + 1 - total))
        if time.monotonic() > deadline:
            raise TimeoutError
        if not part:
            return b"".join(parts)
        parts.append(part)
        total += len(part)
    raise too_many_bytes(name, limits)

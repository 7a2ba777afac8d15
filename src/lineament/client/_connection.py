"""What sends a request, again where that may help: one class that waits, one that is awaited."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from lineament.client._calls import Answer, Call
from lineament.client._pages import PageCall, Pages
from lineament.client._uploads import Upload, upload_of
from lineament.client._work_calls import EventReader, PictureReader, ServedEvent
from lineament.errors import (
    LineamentError,
    MissingExtraError,
    OptionError,
    ServiceError,
    TooSlowError,
)
from lineament.images import expand
from lineament.text import reason_of
from lineament.types import ColorOrder

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

KEY_VARIABLE = "LINEAMENT_KEY"
"""Of the environment: the key, unless one is given."""
TIMEOUT_S, RETRIES = 60.0, 3
AT_ONCE = 8
"""Requests of one list of photos that the awaited client has under way."""
_OWN = ("127.0.0.1", "localhost", "::1")


def _options(
    address: str, key: str | None, timeout: float, certificate: str | os.PathLike[str] | None
) -> dict[str, Any]:
    """Arguments of ``httpx.Client``. OptionError: one of them is wrong."""
    try:
        import httpx
    except ImportError as error:
        raise MissingExtraError("calling a server", "client") from error
    try:
        parts = urlsplit(address)
        host, known = parts.hostname, parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        host, known = None, False
    if not known or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise OptionError(
            f"expected an address such as http://127.0.0.1:8000, got {address!r:.200}",
            option="address",
        )
    if not 0 < timeout < float("inf"):
        raise OptionError(f"expected seconds above 0, got {timeout}", option="timeout")
    key = os.environ.get(KEY_VARIABLE) if key is None else key
    headers = {"User-Agent": "lineament", "Accept": "application/json"}
    if key:
        if not key.isascii() or not key.isprintable() or key != key.strip():
            raise OptionError(
                "expected a key as `lineament keys add` printed it, got other characters",
                option="key",
            )
        headers["Authorization"] = f"Bearer {key}"
    verify: bool | ssl.SSLContext = True
    if certificate is not None:
        try:
            verify = ssl.create_default_context(cafile=os.fspath(certificate))
        except OSError as error:
            raise OptionError(
                f"{os.fspath(certificate)!s}: expected a PEM file ({reason_of(error)})",
                option="certificate",
            ) from error
    return {
        "base_url": address.rstrip("/").removesuffix("/v1"),
        "headers": headers,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, 10.0)),
        "follow_redirects": False,
        "verify": verify,
        "trust_env": host not in _OWN,  # no proxy leads to this machine
    }


class _Connection:
    """Address, and what is made of failures.

    Attributes:
        address: of the server.
        retries, timeout: as ``Client`` has them.
        verify: whom a certificate is to be from, as httpx has it.
        proxies: whether the system's lead there.
    """

    verify: bool | ssl.SSLContext
    proxies: bool

    def __init__(self, address: str, retries: int, timeout: float) -> None:
        if not 0 <= retries <= 100:
            raise OptionError(f"expected 0 to 100, got {retries}", option="retries")
        self.address, self.retries, self.timeout = address, retries, timeout

    def failure(self, error: Exception) -> ServiceError:
        """What httpx says, as an error of ours."""
        import httpx

        if isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout)):
            return TooSlowError(
                f"expected an answer of {self.address} within {self.timeout:g} seconds, got none",
                hint="raise timeout, or send smaller photos",
            )
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return ServiceError(
                f"{self.address} cannot be reached ({reason_of(error)})",
                hint="check the address, and that `lineament serve` runs there",
            )
        return ServiceError(
            f"the connection to {self.address} broke ({reason_of(error)})",
            hint="ask again; the server's log may say why",
        )

    def pause_after_failure(self, call: Call[Any], attempt: int, error: Exception) -> float:
        """Seconds before it is sent again. ServiceError: it is not."""
        import httpx

        waited = isinstance(error, httpx.TimeoutException)
        never = waited or not (call.repeatable or isinstance(error, httpx.ConnectError))
        pause_s = None if never or attempt > self.retries else call.pause_s(attempt, None)
        if pause_s is None:
            raise self.failure(error) from error
        return pause_s

    def pause_after(self, call: Call[Any], attempt: int, answer: Answer) -> float | None:
        """Seconds before it is sent again; None: the answer is the last word."""
        return None if attempt > self.retries else call.pause_s(attempt, answer)


class Connection(_Connection):
    """Sends, and waits."""

    def __init__(
        self,
        address: str,
        key: str | None,
        timeout: float,
        retries: int,
        certificate: str | os.PathLike[str] | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect to nothing yet."""
        super().__init__(address, retries, timeout)
        options = _options(address, key, timeout, certificate)
        self.verify, self.proxies = options["verify"], options["trust_env"]
        import httpx

        self.http: httpx.Client = httpx.Client(**options)
        self._sleep = sleep

    def send(self, call: Call[T]) -> T:
        """Send a request and read its answer. LineamentError: what went wrong."""
        import httpx

        attempt = 0
        while True:
            attempt += 1
            try:
                got = self.http.send(self.http.build_request(**call.options()))
            except httpx.HTTPError as error:
                self._sleep(self.pause_after_failure(call, attempt, error))
                continue
            answer = Answer(got.status_code, got.headers, got.content, call.names)
            pause_s = self.pause_after(call, attempt, answer)
            if pause_s is None:
                return call.result(answer)
            self._sleep(pause_s)

    def entries(self, call: PageCall, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Entries of a list, page by page, as they are asked for; ``limit``: at most so many."""
        pages = Pages(call, limit)
        while (following := pages.following()) is not None:
            yield from pages.take(self.send(following))

    def send_each(
        self,
        sources: Any,
        call: Callable[[Upload], Call[T]],
        color_order: ColorOrder | None = None,
    ) -> list[tuple[Any, T | LineamentError]]:
        """One request a photo: each photo with its result, or with the error in its place."""
        results: list[tuple[Any, T | LineamentError]] = []
        for source in expand(sources):
            try:
                done: T | LineamentError = self.send(
                    call(upload_of(source, color_order=color_order))
                )
            except LineamentError as error:
                done = error.as_result()
            results.append((source, done))
        return results

    def events(
        self, call: Callable[[int | None], Call[ServedEvent]], after: int | None
    ) -> Iterator[ServedEvent]:
        """Events as they come, until the server ends them; goes on where a connection broke."""
        import httpx

        reader, attempt = EventReader(after), 0
        while True:
            attempt += 1
            asked = call(reader.last)
            try:
                request = self.http.build_request(**asked.options())
                got = self.http.send(request, stream=True)
                try:
                    if got.status_code != 200:
                        answer = Answer(got.status_code, got.headers, got.read())
                        pause_s = self.pause_after(asked, attempt, answer)
                        if pause_s is None:
                            asked.result(answer)
                            return
                        self._sleep(pause_s)
                        continue
                    for line in got.iter_lines():
                        for event in reader.feed(line):
                            attempt = 0  # it works: the next break is a new one
                            yield event
                    return
                finally:
                    got.close()
            except httpx.HTTPError as error:
                self._sleep(self.pause_after_failure(asked, attempt, error))

    def pictures(self, call: Call[bytes]) -> Iterator[bytes]:
        """JPEGs as they come, until the server ends them."""
        import httpx

        reader = PictureReader()
        try:
            with self.http.stream(**call.options()) as got:
                if got.status_code != 200:
                    call.result(Answer(got.status_code, got.headers, got.read()))
                for data in got.iter_bytes():
                    yield from reader.feed(data)
        except httpx.HTTPError as error:
            raise self.failure(error) from error

    def close(self) -> None:
        """Hang up."""
        self.http.close()


class AsyncConnection(_Connection):
    """Sends, and is awaited."""

    def __init__(
        self,
        address: str,
        key: str | None,
        timeout: float,
        retries: int,
        certificate: str | os.PathLike[str] | None,
    ) -> None:
        """Connect to nothing yet."""
        super().__init__(address, retries, timeout)
        options = _options(address, key, timeout, certificate)
        self.verify, self.proxies = options["verify"], options["trust_env"]
        import httpx

        self.http: httpx.AsyncClient = httpx.AsyncClient(**options)

    async def send(self, call: Call[T]) -> T:
        """Send a request and read its answer. LineamentError: what went wrong."""
        import httpx

        attempt = 0
        while True:
            attempt += 1
            try:
                got = await self.http.send(self.http.build_request(**call.options()))
            except httpx.HTTPError as error:
                await asyncio.sleep(self.pause_after_failure(call, attempt, error))
                continue
            answer = Answer(got.status_code, got.headers, got.content, call.names)
            pause_s = self.pause_after(call, attempt, answer)
            if pause_s is None:
                return call.result(answer)
            await asyncio.sleep(pause_s)

    async def entries(
        self, call: PageCall, limit: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """As ``Connection.entries``."""
        pages = Pages(call, limit)
        while (following := pages.following()) is not None:
            for entry in pages.take(await self.send(following)):
                yield entry

    async def send_photo(
        self, source: Any, call: Callable[[Upload], Call[T]], color_order: ColorOrder | None = None
    ) -> T:
        """One request about a photo, which is read in a thread."""
        upload = await asyncio.to_thread(upload_of, source, color_order=color_order)
        return await self.send(call(upload))

    async def send_each(
        self,
        sources: Any,
        call: Callable[[Upload], Call[T]],
        color_order: ColorOrder | None = None,
    ) -> list[tuple[Any, T | LineamentError]]:
        """One request a photo, ``AT_ONCE`` under way: each photo with its result, or its error."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(source: Any) -> tuple[Any, T | LineamentError]:
            async with gate:
                try:
                    return source, await self.send_photo(source, call, color_order)
                except LineamentError as error:
                    return source, error.as_result()

        return list(await asyncio.gather(*(one(source) for source in expand(sources))))

    async def events(
        self, call: Callable[[int | None], Call[ServedEvent]], after: int | None
    ) -> AsyncIterator[ServedEvent]:
        """Events as they come, until the server ends them; goes on where a connection broke."""
        import httpx

        reader, attempt = EventReader(after), 0
        while True:
            attempt += 1
            asked = call(reader.last)
            try:
                request = self.http.build_request(**asked.options())
                got = await self.http.send(request, stream=True)
                try:
                    if got.status_code != 200:
                        answer = Answer(got.status_code, got.headers, await got.aread())
                        pause_s = self.pause_after(asked, attempt, answer)
                        if pause_s is None:
                            asked.result(answer)
                            return
                        await asyncio.sleep(pause_s)
                        continue
                    async for line in got.aiter_lines():
                        for event in reader.feed(line):
                            attempt = 0  # it works: the next break is a new one
                            yield event
                    return
                finally:
                    await got.aclose()
            except httpx.HTTPError as error:
                await asyncio.sleep(self.pause_after_failure(asked, attempt, error))

    async def pictures(self, call: Call[bytes]) -> AsyncIterator[bytes]:
        """JPEGs as they come, until the server ends them."""
        import httpx

        reader = PictureReader()
        try:
            async with self.http.stream(**call.options()) as got:
                if got.status_code != 200:
                    call.result(Answer(got.status_code, got.headers, await got.aread()))
                async for data in got.aiter_bytes():
                    for picture in reader.feed(data):
                        yield picture
        except httpx.HTTPError as error:
            raise self.failure(error) from error

    async def close(self) -> None:
        """Hang up."""
        await self.http.aclose()

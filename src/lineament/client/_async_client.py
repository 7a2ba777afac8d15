"""The client that is awaited; ``Client`` says what its methods do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, overload

from lineament.anonymize.covering import Method
from lineament.anonymize.regions import Shape
from lineament.arguments import checked
from lineament.attributes.results import PhotoAttributes
from lineament.client import _admin_calls as admin_calls
from lineament.client import _gallery_calls as gallery_calls
from lineament.client import _photo_calls as calls
from lineament.client._admin_calls import Ticket
from lineament.client._async_admin import AsyncServedAudit, AsyncServedKeys, AsyncServedUsers
from lineament.client._async_gallery import AsyncServedGallery, all_uploads
from lineament.client._async_jobs import AsyncServedJobs, AsyncServedStreams
from lineament.client._async_liveness import AsyncServedLiveness
from lineament.client._calls import Call
from lineament.client._connection import AT_ONCE, RETRIES, TIMEOUT_S, AsyncConnection
from lineament.client._photo_calls import AnonymizedPhoto, ServedModels
from lineament.client._uploads import Upload, upload_of
from lineament.errors import LineamentError, OptionError
from lineament.finder import Source
from lineament.gallery import Settings
from lineament.images import Many, is_many, source_name
from lineament.liveness.passive import LivenessMode
from lineament.pipeline import paired
from lineament.types import ColorOrder, Decision, Embedding, Photo, Quality, Threshold


class AsyncClient:
    """``Client``, awaited: the same methods, arguments, results and errors.

    Of a list of photos so many requests are under way at once; results are in the list's order.

    Attributes:
        address: of the server.
        jobs: long work.
        streams: cameras and streams that it watches.
        liveness: sessions of active liveness: is somebody there?
        keys, users, audit: for those who run it: keys, users of its page, its audit log.

    Examples:
        >>> async with lineament.AsyncClient("http://127.0.0.1:8000", key="lin_...") as client:
        ...     decision = await client.verify("a.jpg", "b.jpg")
    """

    @checked
    def __init__(
        self,
        address: str,
        *,
        key: str | None = None,
        timeout: float = TIMEOUT_S,
        retries: int = RETRIES,
        certificate: str | os.PathLike[str] | None = None,
    ) -> None:
        """As ``Client``."""
        self._connection = AsyncConnection(address, key, timeout, retries, certificate)
        self.address = address
        self.jobs = AsyncServedJobs(self._connection)
        self.streams = AsyncServedStreams(self._connection)
        self.liveness = AsyncServedLiveness(self._connection)
        self.keys = AsyncServedKeys(self._connection)
        self.users = AsyncServedUsers(self._connection)
        self.audit = AsyncServedAudit(self._connection)

    def __repr__(self) -> str:
        """In short; the key is not shown."""
        return f"AsyncClient({self.address!r})"

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        await self._connection.close()

    # --- the server -------------------------------------------------------------------------------

    async def health(self) -> dict[str, Any]:
        """As ``Client.health``."""
        return await self._connection.send(calls.health())

    async def ready(self) -> dict[str, Any]:
        """As ``Client.ready``."""
        return await self._connection.send(calls.ready())

    async def models(self) -> ServedModels:
        """As ``Client.models``."""
        return await self._connection.send(calls.models())

    @checked
    async def ticket(self, path: str) -> Ticket:
        """As ``Client.ticket``."""
        return await self._connection.send(admin_calls.ticket(path))

    # --- photos -----------------------------------------------------------------------------------

    @overload
    async def detect(
        self,
        source: Many,
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
        color_order: ColorOrder | None = None,
    ) -> list[Photo]: ...
    @overload
    async def detect(
        self,
        source: Source,
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
        color_order: ColorOrder | None = None,
    ) -> Photo: ...
    @checked
    async def detect(
        self,
        source: Any,
        *,
        min_score: float | None = None,
        max_faces: int | None = None,
        color_order: ColorOrder | None = None,
    ) -> Photo | list[Photo]:
        """As ``Client.detect``."""

        def call(upload: Upload) -> Call[Photo]:
            return calls.detect(upload, min_score, max_faces)

        if not is_many(source):
            return await self._connection.send_photo(source, call, color_order)
        return [
            Photo(source_name(one), None, error=done) if isinstance(done, LineamentError) else done
            for one, done in await self._connection.send_each(source, call, color_order)
        ]

    @overload
    async def verify(
        self,
        a: Many,
        b: Many,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> list[Decision | LineamentError]: ...
    @overload
    async def verify(
        self,
        a: Source,
        b: Source,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Decision: ...
    @checked
    async def verify(
        self,
        a: Any,
        b: Any,
        *,
        threshold: Threshold | float | None = None,
        fmr: float | None = None,
        liveness: LivenessMode = "off",
        color_order: ColorOrder | None = None,
    ) -> Decision | list[Decision | LineamentError]:
        """As ``Client.verify``."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def decide(x: Any, y: Any) -> Decision:
            async with gate:
                first, second = [
                    await asyncio.to_thread(upload_of, one, color_order=color_order)
                    for one in (x, y)
                ]
                return await self._connection.send(
                    calls.verify(first, second, threshold, fmr, liveness)
                )

        async def decided(x: Any, y: Any) -> Decision | LineamentError:
            try:
                return await decide(x, y)
            except LineamentError as error:
                return error.as_result()

        if not is_many(a) and not is_many(b):
            return await decide(a, b)
        unique, pairs = paired(a, b)
        return list(await asyncio.gather(*(decided(unique[i], unique[j]) for i, j in pairs)))

    @overload
    async def embed(
        self, source: Many, *, color_order: ColorOrder | None = None
    ) -> list[Embedding | LineamentError]: ...
    @overload
    async def embed(
        self, source: Source, *, color_order: ColorOrder | None = None
    ) -> Embedding: ...
    @overload
    async def embed(
        self, source: Source, *, faces: Sequence[int], color_order: ColorOrder | None = None
    ) -> tuple[Embedding, ...]: ...
    @checked
    async def embed(
        self,
        source: Any,
        *,
        faces: Sequence[int] | None = None,
        color_order: ColorOrder | None = None,
    ) -> Embedding | tuple[Embedding, ...] | list[Embedding | LineamentError]:
        """As ``Client.embed``."""

        def call(upload: Upload) -> Call[tuple[Embedding, ...]]:
            return calls.embed(upload, faces)

        if not is_many(source):
            found = await self._connection.send_photo(source, call, color_order)
            return found[0] if faces is None else found
        if faces is not None:
            raise OptionError("expected one photo, not a list, with faces", option="faces")
        return [
            done if isinstance(done, LineamentError) else done[0]
            for _, done in await self._connection.send_each(source, call, color_order)
        ]

    @overload
    async def attributes(
        self,
        source: Many,
        *,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> list[PhotoAttributes | LineamentError]: ...
    @overload
    async def attributes(
        self,
        source: Source,
        *,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> PhotoAttributes: ...
    @checked
    async def attributes(
        self,
        source: Any,
        *,
        only: Sequence[str] | None = None,
        color_order: ColorOrder | None = None,
    ) -> PhotoAttributes | list[PhotoAttributes | LineamentError]:
        """As ``Client.attributes``."""

        def call(upload: Upload) -> Call[PhotoAttributes]:
            return calls.attributes(upload, only)

        if not is_many(source):
            return await self._connection.send_photo(source, call, color_order)
        sent = await self._connection.send_each(source, call, color_order)
        return [done for _, done in sent]

    @checked
    async def quality(
        self, source: Source, *, color_order: ColorOrder | None = None
    ) -> tuple[Quality | None, ...]:
        """As ``Client.quality``."""
        return await self._connection.send_photo(source, calls.quality, color_order)

    @checked
    async def group(
        self,
        photos: Any,
        *,
        min_size: int = 2,
        threshold: float | None = None,
        fmr: float | None = None,
    ) -> dict[str, Any]:
        """As ``Client.group``."""
        uploads = await all_uploads(photos)
        return await self._connection.send(calls.group(uploads, min_size, threshold, fmr))

    @checked
    async def anonymize(
        self,
        source: Source,
        *,
        method: Method = "blur",
        shape: Shape = "ellipse",
        gallery: str | None = None,
        keep: str | None = None,
        only: str | None = None,
        color_order: ColorOrder | None = None,
    ) -> AnonymizedPhoto:
        """As ``Client.anonymize``."""
        return await self._connection.send_photo(
            source,
            lambda upload: calls.anonymize(upload, method, shape, gallery, keep, only),
            color_order,
        )

    @checked
    async def thresholds(self, *, fmr: float | None = None) -> dict[str, Any]:
        """As ``Client.thresholds``."""
        return await self._connection.send(calls.thresholds(fmr))

    # --- galleries --------------------------------------------------------------------------------

    @checked
    def gallery(self, name: str) -> AsyncServedGallery:
        """As ``Client.gallery``."""
        return AsyncServedGallery(self._connection, name)

    async def galleries(self) -> list[str]:
        """As ``Client.galleries``."""
        entries = self._connection.entries(gallery_calls.galleries)
        return [one["name"] async for one in entries]

    @checked
    async def create_gallery(
        self, name: str, settings: Settings | None = None
    ) -> AsyncServedGallery:
        """As ``Client.create_gallery``."""
        await self._connection.send(gallery_calls.create_gallery(name, settings))
        return self.gallery(name)

    @checked
    async def delete_gallery(self, name: str) -> None:
        """As ``Client.delete_gallery``."""
        await self._connection.send(gallery_calls.delete_gallery(name))

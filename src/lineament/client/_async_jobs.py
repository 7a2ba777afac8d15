"""Long work and watched streams of a server, awaited; ``_jobs`` says what the methods do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from lineament.arguments import checked
from lineament.client import _work_calls as calls
from lineament.client._async_gallery import all_uploads
from lineament.client._connection import AsyncConnection
from lineament.client._work_calls import ServedEvent, ServedJob, ServedStream
from lineament.files import write_atomically
from lineament.liveness.passive import LivenessMode


class AsyncServedJobs:
    """``ServedJobs``, awaited."""

    def __init__(self, connection: AsyncConnection) -> None:
        """For ``AsyncClient.jobs``."""
        self._connection = connection

    @checked
    async def create(
        self,
        kind: str,
        *,
        photos: Any = None,
        archive: str | os.PathLike[str] | None = None,
        gallery: str | None = None,
        **options: Any,
    ) -> ServedJob:
        """As ``ServedJobs.create``."""
        sent = [] if photos is None else await all_uploads(photos)
        return await self._connection.send(calls.create_job(kind, sent, archive, gallery, options))

    async def all(self) -> list[ServedJob]:
        """As ``ServedJobs.all``."""
        return await self._connection.send(calls.jobs())

    @checked
    async def get(self, job: str) -> ServedJob:
        """As ``ServedJobs.get``."""
        return await self._connection.send(calls.job(job))

    @checked
    async def end(self, job: str) -> None:
        """As ``ServedJobs.end``."""
        await self._connection.send(calls.end_job(job))

    @checked
    async def save_result(self, job: str, path: str | os.PathLike[str]) -> None:
        """As ``ServedJobs.save_result``."""
        data = await self._connection.send(calls.job_result(job))
        await asyncio.to_thread(write_atomically, path, data)

    @checked
    def events(self, job: str, *, after: int | None = None) -> AsyncIterator[ServedEvent]:
        """As ``ServedJobs.events``."""
        return self._connection.events(lambda last: calls.job_events(job, last), after)

    @checked
    async def wait(self, job: str) -> ServedJob:
        """As ``ServedJobs.wait``."""
        async for _ in self.events(job):
            pass
        done = await self.get(job)
        if done.error is not None:
            raise done.error
        return done


class AsyncServedStreams:
    """``ServedStreams``, awaited."""

    def __init__(self, connection: AsyncConnection) -> None:
        """For ``AsyncClient.streams``."""
        self._connection = connection

    @checked
    async def add(
        self,
        url: str,
        *,
        gallery: str | None = None,
        purpose: str | None = None,
        liveness: LivenessMode = "off",
        give_up_s: float = 3600,
        label: str = "",
    ) -> ServedStream:
        """As ``ServedStreams.add``."""
        values = {
            "url": url,
            "gallery": gallery,
            "purpose": purpose,
            "liveness": liveness,
            "give_up_s": give_up_s,
            "label": label,
        }
        return await self._connection.send(calls.add_stream(values))

    async def all(self) -> list[ServedStream]:
        """As ``ServedStreams.all``."""
        return await self._connection.send(calls.streams())

    @checked
    async def get(self, stream: str) -> ServedStream:
        """As ``ServedStreams.get``."""
        return await self._connection.send(calls.stream(stream))

    @checked
    async def end(self, stream: str) -> None:
        """As ``ServedStreams.end``."""
        await self._connection.send(calls.end_stream(stream))

    @checked
    async def snapshot(self, stream: str) -> bytes:
        """As ``ServedStreams.snapshot``."""
        return await self._connection.send(calls.snapshot(stream))

    @checked
    def preview(self, stream: str) -> AsyncIterator[bytes]:
        """As ``ServedStreams.preview``."""
        return self._connection.pictures(calls.preview(stream))

    @checked
    def events(self, stream: str, *, after: int | None = None) -> AsyncIterator[ServedEvent]:
        """As ``ServedStreams.events``."""
        return self._connection.events(lambda last: calls.stream_events(stream, last), after)

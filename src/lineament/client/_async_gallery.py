"""A gallery of a server, awaited; ``ServedGallery`` says what its methods do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, overload

from lineament.arguments import checked
from lineament.client import _gallery_calls as calls
from lineament.client._calls import Call
from lineament.client._connection import AsyncConnection
from lineament.client._gallery_calls import GalleryInfo
from lineament.client._uploads import Upload, upload_of
from lineament.client._values import read
from lineament.decide.calibration import DEFAULT_FPIR
from lineament.errors import LineamentError, NotFoundError, OptionError
from lineament.files import write_atomically
from lineament.finder import Source
from lineament.gallery import (
    EnrollReport,
    IdentifiedPhoto,
    PersonInfo,
    Rejection,
    RemovalReport,
    SampleInfo,
    Settings,
)
from lineament.gallery.consent import Consent
from lineament.gallery.receipts import Receipt
from lineament.gallery.review import OnLowQuality, Review
from lineament.images import Many, expand, is_many, source_name
from lineament.liveness.passive import LivenessMode
from lineament.types import Decision, Threshold


async def all_uploads(photos: Any) -> list[Upload]:
    """The photos of one request, read in a thread."""
    return await asyncio.to_thread(lambda: [upload_of(photo) for photo in expand(photos)])


class AsyncServedGallery:
    """``ServedGallery``, awaited: ``client.gallery("staff")`` of an ``AsyncClient``.

    Attributes:
        name: of the gallery on that server.
    """

    def __init__(self, connection: AsyncConnection, name: str) -> None:
        """For ``AsyncClient.gallery``."""
        self._connection, self.name = connection, name

    def __repr__(self) -> str:
        """In short."""
        return f"<gallery {self.name!r} of {self._connection.address}>"

    # --- what it is -------------------------------------------------------------------------------

    async def info(self) -> GalleryInfo:
        """As ``ServedGallery.info``."""
        return await self._connection.send(calls.gallery_info(self.name))

    async def configure(self, **changes: Any) -> Settings:
        """As ``ServedGallery.configure``."""
        return (await self._connection.send(calls.configure(self.name, changes))).settings

    async def rotate_key(self) -> GalleryInfo:
        """As ``ServedGallery.rotate_key``."""
        return await self._connection.send(calls.rotate_key(self.name))

    # --- enrolling --------------------------------------------------------------------------------

    @checked
    async def enroll(
        self,
        name: str,
        photos: Any,
        *,
        metadata: Mapping[str, Any] | None = None,
        consent: Consent | None = None,
        sample_metadata: Mapping[str, Any] | None = None,
        choose: bool = False,
        on_low_quality: OnLowQuality = "refuse",
        force: bool = False,
        review: Review | None = None,
        box: Sequence[float] | None = None,
    ) -> EnrollReport:
        """As ``ServedGallery.enroll``."""
        many, uploads = is_many(photos), await all_uploads(photos)
        report = await self._connection.send(
            calls.enroll(
                self.name,
                name,
                uploads,
                {
                    "metadata": metadata,
                    "consent": consent,
                    "sample_metadata": sample_metadata,
                    "choose": choose,
                    "on_low_quality": on_low_quality,
                    "force": force,
                    "review": review,
                    "box": calls.numbers(box),
                },
            )
        )
        return report if many else report.raise_for_refused()

    # --- identifying and verifying ----------------------------------------------------------------

    @overload
    async def identify(
        self,
        photos: Many,
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        one_person_per_photo: bool = True,
        liveness: LivenessMode = "off",
    ) -> list[IdentifiedPhoto]: ...
    @overload
    async def identify(
        self,
        photos: Source,
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        one_person_per_photo: bool = True,
        liveness: LivenessMode = "off",
    ) -> IdentifiedPhoto: ...
    @checked
    async def identify(
        self,
        photos: Any,
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        one_person_per_photo: bool = True,
        liveness: LivenessMode = "off",
    ) -> IdentifiedPhoto | list[IdentifiedPhoto]:
        """As ``ServedGallery.identify``."""

        def call(upload: Upload) -> Call[IdentifiedPhoto]:
            return calls.identify(
                self.name,
                upload,
                top=top,
                fpir=fpir,
                threshold=threshold,
                where=where,
                purpose=purpose,
                one_person_per_photo=one_person_per_photo,
                liveness=liveness,
            )

        if not is_many(photos):
            return await self._connection.send(call(await asyncio.to_thread(upload_of, photos)))
        return [
            IdentifiedPhoto(source_name(one), None, error=done)
            if isinstance(done, LineamentError)
            else done
            for one, done in await self._connection.send_each(photos, call)
        ]

    @overload
    async def verify(
        self,
        name: str,
        photos: Many,
        *,
        fmr: float | None = None,
        threshold: float | Threshold | None = None,
        liveness: LivenessMode = "off",
        purpose: str | None = None,
    ) -> list[Decision | LineamentError]: ...
    @overload
    async def verify(
        self,
        name: str,
        photos: Source,
        *,
        fmr: float | None = None,
        threshold: float | Threshold | None = None,
        liveness: LivenessMode = "off",
        purpose: str | None = None,
        box: Sequence[float] | None = None,
    ) -> Decision: ...
    @checked
    async def verify(
        self,
        name: str,
        photos: Any,
        *,
        fmr: float | None = None,
        threshold: float | Threshold | None = None,
        liveness: LivenessMode = "off",
        purpose: str | None = None,
        box: Sequence[float] | None = None,
    ) -> Decision | list[Decision | LineamentError]:
        """As ``ServedGallery.verify``."""

        def call(upload: Upload) -> Call[Decision]:
            return calls.verify(
                self.name,
                name,
                upload,
                fmr=fmr,
                threshold=threshold,
                liveness=liveness,
                purpose=purpose,
                box=box,
            )

        if box is not None and is_many(photos):
            raise OptionError("expected one photo, not a list, with a box", option="box")
        if not is_many(photos):
            return await self._connection.send(call(await asyncio.to_thread(upload_of, photos)))
        return [done for _, done in await self._connection.send_each(photos, call)]

    # --- people -----------------------------------------------------------------------------------

    @checked
    async def people(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        part: str | None = None,
        limit: int | None = None,
    ) -> list[PersonInfo]:
        """As ``ServedGallery.people``."""
        entries = self._connection.entries(partial(calls.people, self.name, where, part), limit)
        return [read(PersonInfo, one) async for one in entries]

    @checked
    async def person(self, name: str) -> PersonInfo:
        """As ``ServedGallery.person``."""
        return await self._connection.send(calls.person(self.name, name))

    @checked
    async def sample(self, sample: int) -> SampleInfo:
        """As ``ServedGallery.sample``."""
        return await self._connection.send(calls.sample(self.name, sample))

    @checked
    async def crop(self, sample: int) -> bytes | None:
        """As ``ServedGallery.crop``."""
        try:
            return await self._connection.send(calls.crop(self.name, sample))
        except NotFoundError:
            return None

    @checked
    async def annotate(
        self, name: str, metadata: Mapping[str, Any], *, replace: bool = False
    ) -> None:
        """As ``ServedGallery.annotate``."""
        await self._connection.send(calls.annotate(self.name, name, metadata, replace))

    @checked
    async def rename(self, name: str, new_name: str) -> PersonInfo:
        """As ``ServedGallery.rename``."""
        return await self._connection.send(calls.rename(self.name, name, new_name))

    @checked
    async def merge(
        self, name: str, others: str | Sequence[str], *, force: bool = False
    ) -> PersonInfo:
        """As ``ServedGallery.merge``."""
        given: Iterable[str] = [others] if isinstance(others, str) else others
        numbers = [(await self.person(other)).id for other in given]
        return await self._connection.send(calls.merge(self.name, name, numbers, force))

    @checked
    async def remove(self, what: str | int) -> RemovalReport:
        """As ``ServedGallery.remove``."""
        return await self._connection.send(calls.remove(self.name, what))

    @checked
    async def set_consent(
        self, name: str, consent: Consent | None, *, add: bool = False
    ) -> PersonInfo:
        """As ``ServedGallery.set_consent``."""
        await self._connection.send(calls.set_consent(self.name, name, consent, add))
        return await self.person(name)

    @checked
    async def keep_until(self, name: str, when: float | None) -> PersonInfo | None:
        """As ``ServedGallery.keep_until``."""
        try:
            return await self._connection.send(calls.keep_until(self.name, name, when))
        except NotFoundError:  # that time is over
            return None

    # --- negative examples ------------------------------------------------------------------------

    @checked
    async def reject(
        self,
        photo: Source,
        name: str,
        *,
        face: int | None = None,
        box: Sequence[float] | None = None,
    ) -> Rejection:
        """As ``ServedGallery.reject``."""
        upload = await asyncio.to_thread(upload_of, photo)
        return await self._connection.send(calls.reject(self.name, upload, name, face, box))

    @checked
    async def rejections(self, name: str) -> list[Rejection]:
        """As ``ServedGallery.rejections``."""
        entries = self._connection.entries(partial(calls.rejections, self.name, name))
        return [read(Rejection, one) async for one in entries]

    @checked
    async def remove_rejection(self, number: int) -> Rejection:
        """As ``ServedGallery.remove_rejection``."""
        return await self._connection.send(calls.remove_rejection(self.name, number))

    # --- people's data ----------------------------------------------------------------------------

    @checked
    async def erase(self, name: str) -> Receipt:
        """As ``ServedGallery.erase``."""
        return await self._connection.send(calls.erase(self.name, name))

    async def expire(self) -> list[Receipt]:
        """As ``ServedGallery.expire``."""
        return await self._connection.send(calls.expire(self.name))

    @checked
    async def export_person(self, name: str, path: str | os.PathLike[str]) -> None:
        """As ``ServedGallery.export_person``."""
        data = await self._connection.send(calls.export_person(self.name, name))
        await asyncio.to_thread(write_atomically, path, data)

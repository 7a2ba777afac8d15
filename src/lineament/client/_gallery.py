"""A gallery of a server, with the methods of ``Gallery``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, overload

from lineament.arguments import checked
from lineament.client import _gallery_calls as calls
from lineament.client._calls import Call
from lineament.client._connection import Connection
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


class ServedGallery:
    """A gallery of a server: ``client.gallery("staff")``.

    Methods, arguments, results and errors are those of ``Gallery``. Nothing is asked until one is
    called, so a gallery that is not there is found out then. The server keeps no names of files:
    samples of photos that were enrolled by it are called "photo 1", "photo 2", ...

    Attributes:
        name: of the gallery on that server.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        """For ``Client.gallery``."""
        self._connection, self.name = connection, name

    def __repr__(self) -> str:
        """In short."""
        return f"<gallery {self.name!r} of {self._connection.address}>"

    # --- what it is -------------------------------------------------------------------------------

    def info(self) -> GalleryInfo:
        """How many are in it, how it works, and how its embeddings are made.

        Raises:
            GalleryNotFoundError: the server has none of that name.
        """
        return self._connection.send(calls.gallery_info(self.name))

    def configure(self, **changes: Any) -> Settings:
        """Change settings by name, for good; returns all. OptionError: no such setting or value."""
        return self._connection.send(calls.configure(self.name, changes)).settings

    def rotate_key(self) -> GalleryInfo:
        """Give an encrypted gallery the key that is in place on the server now.

        Raises:
            ConflictError: it is not encrypted, or the server's environment names no key.
        """
        return self._connection.send(calls.rotate_key(self.name))

    # --- enrolling --------------------------------------------------------------------------------

    @checked
    def enroll(
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
        """Enroll photos of one person, as ``Gallery.enroll``: all that pass, in one transaction.

        Args:
            name: of the person.
            photos: one photo, or many; all go in one request.
            metadata, consent, sample_metadata, choose, on_low_quality, force, review, box: as for
                ``Gallery.enroll``.

        Raises:
            ImageError, NoFaceError, EnrollRefusedError: the one photo was refused.
            LineamentError: as ``Gallery.enroll``; nothing was changed.
        """
        many, uploads = is_many(photos), [upload_of(photo) for photo in expand(photos)]
        report = self._connection.send(
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
    def identify(
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
    def identify(
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
    def identify(
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
        """Who is in a photo? Every face in it, as ``Gallery.identify``.

        Args:
            photos: one photo, or many.
            top, fpir, threshold, where, purpose, one_person_per_photo, liveness: as for
                ``Gallery.identify``.

        Raises:
            ImageError: a photo could not be read; in a list, it takes the result's place.
            OptionError: an option out of range.
        """

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
            return self._connection.send(call(upload_of(photos)))
        return [
            IdentifiedPhoto(source_name(one), None, error=done)
            if isinstance(done, LineamentError)
            else done
            for one, done in self._connection.send_each(photos, call)
        ]

    @overload
    def verify(
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
    def verify(
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
    def verify(
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
        """Is this the person that it is said to be? As ``Gallery.verify``.

        Args:
            name: of the person.
            photos: one photo, or many.
            fmr, threshold, liveness, purpose: as for ``Gallery.verify``.
            box: of one photo: where the face is.

        Raises:
            UnknownPersonError: nobody has that name.
            ConsentError: the person did not consent to the purpose.
            ImageError, NoFaceError: of one photo; in a list, it takes the decision's place.
        """

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
            return self._connection.send(call(upload_of(photos)))
        return [done for _, done in self._connection.send_each(photos, call)]

    # --- people -----------------------------------------------------------------------------------

    @checked
    def people(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        part: str | None = None,
        limit: int | None = None,
    ) -> list[PersonInfo]:
        """The people, by name, without their samples.

        Args:
            where: only those with such metadata.
            part: only names that contain this.
            limit: at most so many.
        """
        entries = self._connection.entries(partial(calls.people, self.name, where, part), limit)
        return [read(PersonInfo, one) for one in entries]

    def __iter__(self) -> Iterator[PersonInfo]:
        """The people, by name, without their samples."""
        return iter(self.people())

    @checked
    def person(self, name: str) -> PersonInfo:
        """One person with all samples. UnknownPersonError: there is none of that name."""
        return self._connection.send(calls.person(self.name, name))

    @checked
    def sample(self, sample: int) -> SampleInfo:
        """One sample. UnknownPersonError: there is none of that number."""
        return self._connection.send(calls.sample(self.name, sample))

    @checked
    def crop(self, sample: int) -> bytes | None:
        """The kept aligned face as PNG; None when there is none."""
        try:
            return self._connection.send(calls.crop(self.name, sample))
        except NotFoundError:
            return None

    @checked
    def annotate(self, name: str, metadata: Mapping[str, Any], *, replace: bool = False) -> None:
        """Add to a person's metadata, or put others in its place; a value of None removes a key."""
        self._connection.send(calls.annotate(self.name, name, metadata, replace))

    @checked
    def rename(self, name: str, new_name: str) -> PersonInfo:
        """Give a person another name. PersonExistsError: it is taken; ``merge`` unites two."""
        return self._connection.send(calls.rename(self.name, name, new_name))

    @checked
    def merge(self, name: str, others: str | Sequence[str], *, force: bool = False) -> PersonInfo:
        """Give ``others``' samples to ``name``, and remove the others, as ``Gallery.merge``.

        Raises:
            UnlikePeopleError: one of them does not look like ``name``; nothing was changed.
            UnknownPersonError: there is none of that name.
        """
        given: Iterable[str] = [others] if isinstance(others, str) else others
        numbers = [self.person(other).id for other in given]
        return self._connection.send(calls.merge(self.name, name, numbers, force))

    @checked
    def remove(self, what: str | int) -> RemovalReport:
        """Remove a person by name, or a sample by number, and every byte of it.

        Raises:
            UnknownPersonError: there is none.
        """
        return self._connection.send(calls.remove(self.name, what))

    @checked
    def set_consent(self, name: str, consent: Consent | None, *, add: bool = False) -> PersonInfo:
        """Write down what a person consented to, as ``Gallery.set_consent``.

        Args:
            name: of the person.
            consent: in the place of what is there; None takes all away.
            add: add it to what is there.
        """
        self._connection.send(calls.set_consent(self.name, name, consent, add))
        return self.person(name)

    @checked
    def keep_until(self, name: str, when: float | None) -> PersonInfo | None:
        """Say until when a person stays, as ``Gallery.keep_until``.

        Args:
            name: of the person.
            when: seconds since 1970, UTC; None: as the consents and the gallery say.

        Returns:
            The person; None: that time is over, so that nobody of the name is found any more.

        Raises:
            UnknownPersonError: there is none of that name.
        """
        try:
            return self._connection.send(calls.keep_until(self.name, name, when))
        except NotFoundError:  # that time is over
            return None

    # --- negative examples ------------------------------------------------------------------------

    @checked
    def reject(
        self,
        photo: Source,
        name: str,
        *,
        face: int | None = None,
        box: Sequence[float] | None = None,
    ) -> Rejection:
        """Say that a photo is not of this person: searches remember it, as ``Gallery.reject``.

        Args:
            photo: in which somebody was taken for the person.
            name: of the person.
            face: its number as ``identify`` has the faces; None: the main one.
            box: where the face is, instead.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        upload = upload_of(photo)
        return self._connection.send(calls.reject(self.name, upload, name, face, box))

    @checked
    def rejections(self, name: str) -> list[Rejection]:
        """The negative examples of a person, by number."""
        entries = self._connection.entries(partial(calls.rejections, self.name, name))
        return [read(Rejection, one) for one in entries]

    @checked
    def remove_rejection(self, number: int) -> Rejection:
        """Remove a negative example, and every byte of it; what it was.

        Raises:
            UnknownPersonError: there is none of that number.
        """
        return self._connection.send(calls.remove_rejection(self.name, number))

    # --- people's data ----------------------------------------------------------------------------

    @checked
    def erase(self, name: str) -> Receipt:
        """Remove a person, see that nothing of them is left, and give a receipt for it.

        The server signs it; ``client.audit.signing_key`` has what checks it.
        """
        return self._connection.send(calls.erase(self.name, name))

    def expire(self) -> list[Receipt]:
        """Erase everybody who expired; a receipt for each."""
        return self._connection.send(calls.expire(self.name))

    @checked
    def export_person(self, name: str, path: str | os.PathLike[str]) -> None:
        """Write all that the server knows of a person into a zip file.

        Args:
            name: of the person.
            path: of the file; one that exists is replaced.
        """
        write_atomically(path, self._connection.send(calls.export_person(self.name, name)))

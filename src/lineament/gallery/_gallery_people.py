"""The part of ``Gallery`` about people: listed, changed, removed; consents; "not this person"."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineament.arguments import checked
from lineament.audit import AuditLog
from lineament.datasets.kept import forget_photos
from lineament.errors import LineamentError, OptionError
from lineament.gallery import _checking as checking
from lineament.gallery import _editing as editing
from lineament.gallery import _erasure as erasure
from lineament.gallery import _rejections as rejecting
from lineament.gallery import _terms as terms
from lineament.gallery import enroll as enrollment
from lineament.gallery import lookup
from lineament.gallery._gallery_base import GalleryBase
from lineament.gallery._once import checked_token
from lineament.gallery._types import NewSample, PersonInfo, Rejection, RemovalReport, SampleInfo
from lineament.gallery._unlike import check_alike
from lineament.gallery.consent import Consent
from lineament.gallery.person_export import PersonExport
from lineament.gallery.person_export import export_person as write_person
from lineament.gallery.receipts import Receipt
from lineament.images import is_many
from lineament.signing import SigningKey
from lineament.types import Embedding


class GalleryPeople(GalleryBase):
    """People and samples of a gallery: see ``Gallery``."""

    @checked
    def people(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        after: str | None = None,
        limit: int | None = None,
        part: str | None = None,
    ) -> list[PersonInfo]:
        """The people, by name, without their samples.

        Args:
            where: only those with such metadata.
            after: only names after this one: for reading page by page.
            limit: at most so many.
            part: only names that contain this text, in capitals or not.
        """
        return lookup.people(self._state.store, where=where, after=after, limit=limit, part=part)

    @checked
    def name_of(self, number: int) -> str:
        """The name of the person of that number (``PersonInfo.id``), which a new name leaves.

        Raises:
            UnknownPersonError: there is none.
        """
        return lookup.name_of(self._state.store, number)

    @checked
    def person(self, name: str) -> PersonInfo:
        """One person with all samples.

        Raises:
            UnknownPersonError: there is none of that name.
            GalleryDamagedError: somebody else wrote into the database, and the person's metadata
                cannot be read; ``people`` has {} for them.
        """
        return lookup.person(self._state.store, name)

    @checked
    def sample(self, sample: int) -> SampleInfo:
        """One sample. UnknownPersonError: there is none of that number."""
        lookup.require_kept(self._state.store, sample)
        return lookup.sample(self._state.store, sample)

    @checked
    def crop(self, sample: int) -> bytes | None:
        """The kept aligned face as PNG; None when there is none."""
        lookup.require_kept(self._state.store, sample)
        return lookup.crop(self._state.store, sample)

    @checked
    def embedding(self, sample: int) -> Embedding:
        """The embedding of one sample."""
        lookup.require_kept(self._state.store, sample)
        return lookup.embedding(self._state.store, sample)

    @checked
    def annotate(self, name: str, metadata: Mapping[str, Any], *, replace: bool = False) -> None:
        """Add to a person's metadata, or put others in its place; a value of None removes a key."""
        with self._state.changing():
            editing.annotate(self._state.store, name, metadata, replacing=replace)

    @checked
    def rename(self, name: str, new_name: str) -> PersonInfo:
        """Give a person another name. PersonExistsError: it is taken; ``merge`` unites two."""
        with self._state.changing():
            editing.rename(self._state.store, name, new_name)
        return self.person(new_name)

    @checked
    def merge(self, name: str, others: str | Sequence[str], *, force: bool = False) -> PersonInfo:
        """Give ``others``' samples to ``name``, and remove the others; metadata are united.

        All consents are kept, and the earliest end holds (``lineament.gallery.consent``).

        Args:
            name: who stays.
            others: who is the same person.
            force: unite people who do not look like one, too.

        Raises:
            UnlikePeopleError: one of them does not look like ``name``; nothing was changed.
            UnknownPersonError: there is none of that name.
        """
        given = [others] if isinstance(others, str) else list(others)
        with self._state.changing():
            if not force:
                check_alike(self._state, name, given)
            editing.merge(self._state.store, name, given)
        return self.person(name)

    @checked
    def remove(self, what: str | int) -> RemovalReport:
        """Remove a person by name, or a sample by number, and every byte of it.

        Gone, when the report says ``erased``: from the database and its write-ahead log, from kept
        crops and from the index. A person whose last sample goes stays, without samples. What the
        cache folder has of the enrolled photos goes, too, at their paths and of copies of theirs
        (``lineament.datasets.kept.forget_photos`` says which it finds).

        Raises:
            UnknownPersonError: there is none.
        """
        photos = lookup.photos_of(self._state.store, what)
        with self._state.changing() as change:
            people, samples = editing.remove(self._state.store, what)
        return self._removed(people, samples, photos, change.erased)

    @checked
    def erase(
        self, name: str, *, signing_key: SigningKey | None = None, absent: bool = False
    ) -> Receipt:
        """Remove a person, see that not a byte is left, and say so in a receipt.

        As ``remove``; then the database is written anew, whatever that takes, and every file of the
        gallery's folder is searched for the name, the vectors, the crops and all else that was
        there. Exports, copies (``save``) and backups that others made are not reached.

        Args:
            name: of the person, who may have expired.
            signing_key: signs the receipt; None leaves it unsigned.
            absent: where nobody has that name, see that nothing of it is there, and say that: after
                an erasing that a crash ended before its receipt.

        Returns:
            The receipt. ``clean`` is False where something was found all the same, in a file that
            somebody put into the folder; ``found`` names it.

        Raises:
            UnknownPersonError: there is none of that name.
            GalleryLockedError: removed, but another process reads an older state: no receipt yet.
        """
        return erasure.erase(self._state, name, signing_key, absent=absent)

    @checked
    def expire(self, *, signing_key: SigningKey | None = None) -> list[Receipt]:
        """Erase all people who expired, each with a receipt; see ``erase``.

        They were found by nothing from the second on in which they expired; this removes them for
        good. Something has to call it: a server does, or a line in a crontab.
        """
        return erasure.expire(self._state, signing_key)

    @checked
    def pseudonym(self, name: str) -> str:
        """What stands for a person in receipts and audit logs: 64 figures and letters.

        A keyed hash of the name, in capitals or not, with a secret of this gallery's: nobody gets
        from it to the name without both. It says nothing of whether the person is there, and
        another name is another pseudonym.
        """
        return erasure.pseudonym(self._state.store, name)

    @checked
    def export_person(
        self, name: str, path: str | os.PathLike[str], *, audit: AuditLog | None = None
    ) -> PersonExport:
        """Write all that is known of one person into a ``.zip`` file, to be handed over.

        See ``lineament.gallery.person_export`` for what is in it. The file is there as a whole or
        not at all.

        Args:
            name: of the person.
            path: of the file.
            audit: a log whose entries about the person, by the present name, come in, too.

        Raises:
            UnknownPersonError: there is none of that name.
            GalleryDamagedError: the name, the metadata or the consents are damaged.
            OptionError: another suffix, or the file cannot be written.
        """
        return write_person(self._state.store, name, Path(path), audit)

    def remove_damaged(self) -> RemovalReport:
        """Remove all samples and people that ``check`` finds to be damaged; see ``remove``.

        A damaged person goes with all samples.
        """
        store = self._state.store
        checking.find_damage(store)
        photos = [one for n in store.damage.samples for one in lookup.photos_of(store, n)]
        with self._state.changing() as change:
            people, samples = editing.remove_damaged(store)
        return self._removed(people, samples, photos, change.erased)

    def _removed(
        self,
        people: Sequence[str],
        samples: Sequence[int],
        photos: Sequence[tuple[str, bytes | None]],
        erased: bool,
    ) -> RemovalReport:
        try:
            uncached = forget_photos(photos)
        except (LineamentError, OSError, ValueError):  # the cache folder cannot be written to
            uncached = 0
        return RemovalReport(tuple(people), tuple(samples), erased, uncached)

    # --- consents, and until when -----------------------------------------------------------------

    @checked
    def set_consent(
        self,
        name: str,
        consent: Consent | None,
        *,
        add: bool = False,
        once: str | bytes | None = None,
    ) -> PersonInfo:
        """Write down a person's consent, in the place of what is there, which is overwritten.

        Args:
            name: of the person.
            consent: None takes it away; in a gallery that takes nobody without one, remove the
                person instead.
            add: keep the others, too: then each of them has to allow a purpose, and the first that
                ends ends all.
            once: a token of this request, as for ``enroll``: sent again, it changes nothing.

        Raises:
            UnknownPersonError: there is none of that name.
            ConsentError: it does not allow what the gallery is for, or one is needed.
        """
        store = self._state.store
        with self._state.changing():
            token = checked_token(once)
            number = terms.set_consent(store, name, consent, add=add, once=token)
        return self.person(self.name_of(number))

    @checked
    def keep_until(self, name: str, when: float | None) -> PersonInfo | None:
        """Say until when a person stays, whatever the gallery's retention is.

        A consent that ends earlier ends it earlier.

        Args:
            name: of the person.
            when: seconds since 1970, UTC; None: as the consents and the gallery say.

        Returns:
            The person; None: that time is over, so that nobody of the name is found any more.

        Raises:
            UnknownPersonError: there is none of that name.
        """
        with self._state.changing():
            terms.set_end(self._state.store, name, when)
        return self.person(name) if name in self else None

    # --- negative examples ------------------------------------------------------------------------

    @checked
    def reject(
        self,
        what: Any,
        name: str,
        *,
        face: int | None = None,
        box: Sequence[float] | None = None,
    ) -> Rejection:
        """Say that a face is not a person's: "not this person".

        Searches remember it as a negative example: a face that is at least as alike to it as to
        the person's own samples is not named this person (reason "rejected"), nor verified or
        enrolled as this person.

        Args:
            what: the photo, the ``Embedding`` or the ``NewSample`` of the face.
            name: whom it does not show.
            face: number of the face in the photo, as ``identify`` has them; None: the one that the
                photo is of (``Recognizer.choose``).
            box: where the face is, as for ``FaceFinder.find``.

        Returns:
            The example; the one that is there, if nearly the same photo was rejected before.

        Raises:
            UnknownPersonError: nobody has that name.
            ImageError, NoFaceError: of the photo.
            OptionError: there is no such face, or it is one of the person's own samples.
        """
        if box is not None:
            what = self.recognizer.finder.boxed(what, box)
        new = self._one_face(what, face)
        with self._state.changing():
            number = rejecting.reject(self._state.store, name, new)
        return next(one for one in self.rejections(name) if one.id == number)

    @checked
    def rejections(self, name: str | None = None) -> list[Rejection]:
        """The negative examples of a person, or of everybody.

        Raises:
            UnknownPersonError: nobody has that name.
        """
        return rejecting.rejections(self._state.store, name)

    @checked
    def remove_rejection(self, number: int) -> Rejection:
        """Remove a negative example, and every byte of it; what it was.

        Raises:
            UnknownPersonError: there is none of that number.
        """
        with self._state.changing():
            return rejecting.remove(self._state.store, number)

    def _one_face(self, what: Any, face: int | None) -> NewSample:
        if isinstance(what, (Embedding, NewSample)):
            if face is not None:
                raise OptionError("expected a photo with it, got an embedding", option="face")
            return NewSample(what) if isinstance(what, Embedding) else what
        if is_many(what):
            raise OptionError("expected one photo, got many", option="what")
        if face is None:
            (photo,) = self.recognizer.stream_chosen([what], digest=True)
            photo.require()
            assert photo.embedding is not None
            embedding = photo.embedding
        else:
            (photo,) = self.recognizer.stream([what], faces="all", digest=True)
            photo.require()
            if not 0 <= face < len(photo.embeddings):
                raise OptionError(
                    f"expected a number from 0 to {len(photo.embeddings) - 1} of the faces of "
                    f"{photo.source}, got {face}",
                    option="face",
                )
            embedding = photo.embeddings[face]
        return NewSample(embedding, enrollment.source_name(photo), photo.sha256)

"""Stage 7, wired: read this file first.

    photos --enrollment.examine--> NewSample or Refusal --enrollment.admit--> database, index
    photos --Recognizer.stream--> faces --ranking--> people --assignment--> Identification

``Gallery`` keeps the database (``store``), the index (``derived``) and the recognizer together and
calls the functions of the other modules in order. A change is in the database, on the disk, before
a method returns; then the index has it too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from lineament.decide.calibration import DEFAULT_FPIR
from lineament.finder import Source
from lineament.gallery import editing, exchange, lookup, migration, ranking
from lineament.gallery import enroll as enrollment
from lineament.gallery.state import OpenGallery
from lineament.gallery.types import (
    EnrollReport,
    Identification,
    IdentifiedPhoto,
    ImportReport,
    MigrationReport,
    NewSample,
    OnLowQuality,
    PersonInfo,
    Refusal,
    RemovalReport,
    SampleInfo,
)
from lineament.pipeline import Recognizer
from lineament.types import Embedding


class Gallery(OpenGallery):
    """People and their samples in one folder.

    One process may write, any number may read beside it and see each change at their next search.
    One object may be used from several threads. Use it as a context manager, or ``close`` it.
    """

    # --- enrolling --------------------------------------------------------------------------------

    def enroll(
        self,
        name: str,
        photos: Source | list[Any] | tuple[Any, ...],
        *,
        metadata: Mapping[str, Any] | None = None,
        sample_metadata: Mapping[str, Any] | None = None,
        choose: bool = False,
        on_low_quality: OnLowQuality = "refuse",
        force: bool = False,
    ) -> EnrollReport:
        """Enroll photos of one person, new or known; all that pass, in one transaction.

        Args:
            name: of the person: any script, 1 to 200 characters after NFC, none of them control.
            photos: one photo or a list.
            metadata: of the person; keys that are there already get the new values.
            sample_metadata: of each of these samples.
            choose: take the face that a photo with several is of (``Recognizer.choose``)
                instead of refusing it.
            on_low_quality: "refuse", or "accept".
            force: enroll duplicates, and faces that look like somebody else, too.

        Returns:
            What was enrolled and what was refused, each with the reason. A refusal is no error.

        Raises:
            OptionError: a bad name or bad metadata.
            GalleryReadOnlyError, GalleryLockedError: nothing was changed.
        """
        sources = photos if isinstance(photos, (list, tuple)) else [photos]
        lookup.checked_name(name)
        examined = list(
            self.examine(
                sources,
                choose=choose,
                on_low_quality=on_low_quality,
                metadata={} if sample_metadata is None else sample_metadata,
            )
        )
        return enrollment.enroll_examined(
            self._store, self._index, self.calibration, name, examined, metadata, force=force
        )

    def enroll_embeddings(
        self,
        name: str,
        samples: Sequence[Embedding | NewSample],
        *,
        metadata: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> EnrollReport:
        """The same for embeddings that were made elsewhere.

        Raises:
            ContractError: they were made in another way than those in the gallery.
        """
        given = [NewSample(s) if isinstance(s, Embedding) else s for s in samples]
        return enrollment.enroll_examined(
            self._store, self._index, self.calibration, name, given, metadata, force=force
        )

    def examine(
        self,
        photos: Iterable[Source],
        *,
        choose: bool = False,
        on_low_quality: OnLowQuality = "refuse",
        metadata: Mapping[str, Any] | None = None,
        stream: enrollment.Stream | None = None,
    ) -> Iterator[NewSample | Refusal]:
        """The first half of ``enroll``, photo by photo as they come, in their order.

        Checks each photo by itself: readable, one face, good enough. Changes nothing, so that
        many people's photos can go through it in one stream; ``enroll_samples`` is the rest.

        Args:
            photos, choose, on_low_quality, metadata: as for ``enroll``.
            stream: what embeds instead of this gallery's recognizer in this process, such as
                ``lineament.bulk.on_ray.stream_chosen_on_ray``; the recognizer must be an equal one.
        """
        return enrollment.examine(
            self.recognizer,
            photos,
            choose=choose,
            on_low_quality=on_low_quality,
            metadata={} if metadata is None else metadata,
            stream=stream,
        )

    def enroll_samples(
        self,
        samples: Sequence[tuple[str, NewSample]],
        *,
        metadata: Mapping[str, Mapping[str, Any]] | None = None,
        force: bool = False,
    ) -> list[SampleInfo | Refusal]:
        """The second half of ``enroll`` for many people at once, in one transaction.

        Args:
            samples: name and sample each.
            metadata: of people, by name.
            force: look for neither duplicates nor faces that look like somebody else.

        Returns:
            One for each sample, in their order.
        """
        outcome, _ = enrollment.admit(
            self._store,
            self._index,
            self.calibration,
            samples,
            {} if metadata is None else metadata,
            force=force,
        )
        return outcome

    # --- identifying ------------------------------------------------------------------------------

    @overload
    def identify(
        self,
        photos: list[Any] | tuple[Any, ...],
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
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
    ) -> IdentifiedPhoto: ...
    def identify(
        self,
        photos: Source | list[Any] | tuple[Any, ...],
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> IdentifiedPhoto | list[IdentifiedPhoto]:
        """Who is in a photo? Every face in it; no two faces of one get the same name.

        Args:
            photos: one photo or a list.
            top: how many candidates a face.
            fpir: wanted: the share of faces of people not enrolled that get a name, 0 to 1.
            threshold: cosine from which on a face gets a name, instead of one for ``fpir``.
            where: only among people with such metadata (``lineament.gallery.filters``).

        Raises:
            ImageError: a photo could not be read; in a list, it takes the result's place.
            OptionError: an option out of range, or no data to set a threshold by.
        """
        many = isinstance(photos, (list, tuple))
        sources = photos if isinstance(photos, (list, tuple)) else [photos]
        found = list(
            self.identify_stream(sources, top=top, fpir=fpir, threshold=threshold, where=where)
        )
        if many:
            return found
        if found[0].error is not None:
            raise found[0].error
        return found[0]

    def identify_stream(
        self,
        photos: Iterable[Source],
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Iterator[IdentifiedPhoto]:
        """The same photo by photo as they come, in their order."""
        search = ranking.Search(top=top, fpir=fpir, threshold=threshold, where=where)
        recognizer = self.recognizer
        for analysis in recognizer.stream(photos, keep_crops=True):
            yield ranking.identify_photo(
                self._store, self._index, self.calibration, recognizer, analysis, search
            )

    def identify_embeddings(
        self,
        embeddings: Sequence[Embedding],
        *,
        together: bool = False,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> list[Identification]:
        """Whose embeddings are these?

        Args:
            embeddings: of N faces.
            together: whether they are faces of one photo, thus of N people.
            top, fpir, threshold, where: as for ``identify``.

        Raises:
            ContractError: they were made in another way than those in the gallery.
        """
        search = ranking.Search(top=top, fpir=fpir, threshold=threshold, where=where)
        return ranking.identify_faces(
            self._store, self._index, self.calibration, embeddings, search, together=together
        )

    # --- people -----------------------------------------------------------------------------------

    def people(
        self,
        *,
        where: Mapping[str, Any] | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[PersonInfo]:
        """The people, by name, without their samples.

        Args:
            where: only those with such metadata.
            after: only names after this one: for reading page by page.
            limit: at most so many.
        """
        return lookup.people(self._store, where=where, after=after, limit=limit)

    def person(self, name: str) -> PersonInfo:
        """One person with all samples. UnknownPersonError: there is none of that name."""
        return lookup.person(self._store, name)

    def sample(self, sample: int) -> SampleInfo:
        """One sample. UnknownPersonError: there is none of that number."""
        return lookup.sample(self._store, sample)

    def crop(self, sample: int) -> bytes | None:
        """The kept aligned face as PNG; None when there is none."""
        return lookup.crop(self._store, sample)

    def embedding(self, sample: int) -> Embedding:
        """The embedding of one sample."""
        return lookup.embedding(self._store, sample)

    def annotate(self, name: str, metadata: Mapping[str, Any], *, replace: bool = False) -> None:
        """Add to a person's metadata, or put others in its place; a value of None removes a key."""
        self._index.expect()
        editing.annotate(self._store, name, metadata, replacing=replace)
        self._index.finish_erasing()

    def rename(self, name: str, new_name: str) -> PersonInfo:
        """Give a person another name. PersonExistsError: it is taken; ``merge`` unites two."""
        self._index.expect()
        editing.rename(self._store, name, new_name)
        self._index.finish_erasing()
        return self.person(new_name)

    def merge(self, name: str, others: str | Sequence[str]) -> PersonInfo:
        """Give ``others``' samples to ``name``, and remove the others; metadata are united."""
        wanted = [others] if isinstance(others, str) else list(others)
        self._index.expect()
        editing.merge(self._store, name, wanted)
        self._index.finish_erasing()
        return self.person(name)

    def remove(self, what: str | int) -> RemovalReport:
        """Remove a person by name, or a sample by number, and every byte of it.

        Gone, when the report says ``erased``: from the database and its write-ahead log, from kept
        crops and from the index. A person whose last sample goes stays, without samples.

        Raises:
            UnknownPersonError: there is none.
        """
        self._index.expect()
        people, samples = editing.remove(self._store, what)
        self._index.removed(samples)
        return RemovalReport(tuple(people), tuple(samples), self._index.finish_erasing())

    # --- upkeep -----------------------------------------------------------------------------------

    def export(self, path: str | os.PathLike[str], *, crops: bool = True) -> int:
        """Write people and samples to a ``.jsonl`` or ``.parquet`` file; how many samples.

        The file is there as a whole or not at all. Removing somebody does not reach into it.

        Raises:
            OptionError: another suffix, or the file cannot be written.
            MissingExtraError: parquet without pyarrow.
        """
        return exchange.export(self._store, Path(path), crops=crops)

    def import_(self, path: str | os.PathLike[str]) -> ImportReport:
        """Read what ``export`` wrote, all or nothing; what is known already is passed over.

        Raises:
            ContractError: its embeddings were made in another way.
            DataError: the file is no export, or damaged.
        """
        self._index.expect()
        report = exchange.import_(self._store, Path(path))
        self._index.sync(force=True)
        return report

    def reindex(self) -> int:
        """Build the index anew from the database; how many samples it has."""
        self._index.rebuild()
        return self._index.save()

    def compact(self) -> None:
        """Give back the room of what was removed. Removals do it themselves from time to time."""
        self._index.compact()

    def check(self) -> list[str]:
        """Read everything and compare; what is wrong, in words. [] means all is well."""
        return [*self._store.check(), *self._index.check()]

    def migrate(self, recognizer: Recognizer) -> MigrationReport:
        """Embed every sample anew with another recognizer: from its crop, else its photo.

        Searches go on with the old embeddings until all is done. What was interrupted is taken up
        again by the next call. Afterwards this gallery uses ``recognizer``.
        """
        report = migration.migrate(self._store, self._index, recognizer)
        self._recognizer = self._given_recognizer = recognizer
        self._checked = None
        self._given_calibration = None
        return report

"""Stage 7, wired: read this file first.

    photos --enroll.examine--> NewSample or Refusal --enroll.admit--> database, index
    photos --Recognizer.stream--> faces --ranking--> people --assign--> Identification

``Gallery`` calls the functions of the other modules with the parts of an open gallery
(``GalleryState``). A change is in the database, on the disk, before a method returns; then the
index has it too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from dataclasses import replace as replaced
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

from lineament.arguments import checked
from lineament.audit import AuditLog
from lineament.datasets.kept import forget_photos
from lineament.decide.calibration import DEFAULT_FPIR, Calibration
from lineament.decide.judge import CALIBRATED_METRIC
from lineament.errors import LineamentError, MissingExtraError, OptionError
from lineament.finder import Source
from lineament.gallery import _checking as checking
from lineament.gallery import _editing as editing
from lineament.gallery import _encryption as encryption
from lineament.gallery import _erasure as erasure
from lineament.gallery import _migration as migration
from lineament.gallery import _nobody as nobody
from lineament.gallery import _portraits as portraits
from lineament.gallery import _ranking as ranking
from lineament.gallery import _rejections as rejecting
from lineament.gallery import _terms as terms
from lineament.gallery import _verification as verification
from lineament.gallery import enroll as enrollment
from lineament.gallery import exchange, lookup
from lineament.gallery._entries import Entry
from lineament.gallery._state import GalleryState
from lineament.gallery._store import DATABASE, MEMORY, Store, discard
from lineament.gallery._types import (
    DamagedPart,
    EnrollReport,
    Identification,
    IdentifiedPhoto,
    ImportReport,
    MigrationReport,
    NewSample,
    OnDamaged,
    PersonInfo,
    Refusal,
    Rejection,
    RemovalReport,
    SampleInfo,
    Settings,
)
from lineament.gallery._unlike import can_compare, check_alike, unlike_samples
from lineament.gallery.consent import Consent, checked_purpose
from lineament.gallery.keys import Key
from lineament.gallery.person_export import PersonExport
from lineament.gallery.person_export import export_person as write_person
from lineament.gallery.receipts import Receipt
from lineament.gallery.review import OnLowQuality, Review, rules_of
from lineament.gallery.values import checked_name
from lineament.images import Many, expand, is_many
from lineament.liveness.passive import LivenessMode
from lineament.pipeline import DEFAULT_RECOGNIZER, Recognizer
from lineament.results import Outcome
from lineament.search import check_installed, index_kind, own_kind
from lineament.signing import SigningKey
from lineament.text import counted
from lineament.types import Contract, Decision, Embedding, ProgressBar, Quality, Threshold

_COLUMNS = ("name", "n_samples", "created")
WAIT_S = 5.0
"""How long another writer is waited for."""


class Gallery(Outcome):
    """People and their samples, in one folder or in memory.

    ``Gallery.open_or_create(folder)`` is the usual way to have one; ``in_memory`` leaves no file.
    One process may write, any number may read beside it and see each change at their next search.
    Within one process a folder may be opened any number of times: the objects share it, and the
    last one that is closed leaves it to others. One object may be used from several threads. Use
    it as a context manager, or ``close`` it.

    Methods that take one photo raise its error; what takes a list has errors and refusals in its
    results (docs/concepts/errors.md).

    Examples:
        >>> with Gallery.open_or_create("family") as gallery:
        ...     gallery.enroll("Ada Lovelace", ["ada1.jpg", "ada2.jpg"]).raise_for_refused()
        ...     print(gallery.identify("party.jpg"))
    """

    def __init__(self, state: GalleryState) -> None:
        """For ``create`` and ``open``; use those."""
        self._state = state

    # --- opening and closing ----------------------------------------------------------------------

    @classmethod
    @checked
    def create(
        cls,
        folder: str | os.PathLike[str],
        contract: Contract | None = None,
        *,
        recognizer: Recognizer | None = None,
        calibration: Calibration | None = None,
        settings: Settings | None = None,
        index: str | None = None,
        uri: str | None = None,
        wait_s: float = WAIT_S,
        key: Key | None = None,
    ) -> Self:
        """Make an empty gallery and open it for writing; ``open_or_create`` takes an old one, too.

        Args:
            folder: made if need be; it may hold other things, but no gallery. ":memory:" is none.
            contract: of the embeddings; None takes the recognizer's.
            recognizer: for photos; None makes the default one when it is first needed.
            calibration: what scores mean; None takes the recognizer's or the package's own.
            settings: None takes the defaults.
            index: what searches, in place of the settings' one: see ``lineament.search.KINDS``, or
                one of ``lineament.search.SERVERS``.
            uri: the address of a server; ``LINEAMENT_INDEX_SERVERS`` has to name it, too.
            wait_s: seconds to wait for another writer.
            key: encrypts it (docs/how-to/protection.md); None makes one that is not encrypted.

        Raises:
            GalleryExistsError: there is one already.
            GalleryKeyError: the key cannot be read.
            GalleryError: the folder cannot be written to.
            ContractError: contract and recognizer, or calibration, do not fit.
        """
        if contract is None:
            recognizer = Recognizer(DEFAULT_RECOGNIZER) if recognizer is None else recognizer
            contract = recognizer.embedder.contract
        elif recognizer is not None:
            recognizer.embedder.contract.check(contract)
        if calibration is not None:
            calibration.check(contract, CALIBRATED_METRIC)
        if index is not None or uri is not None:
            chosen = Settings() if settings is None else settings
            kind = index_kind(chosen.index if index is None else index, uri)
            settings = replaced(chosen, index=kind)
        if folder == MEMORY:
            _no_key(key)
            return cls(
                GalleryState.in_memory(
                    contract,
                    Settings(keep_crops=True) if settings is None else settings,
                    recognizer,
                    calibration,
                )
            )
        chosen = Settings() if settings is None else settings
        Store.create(Path(folder), contract, chosen, key)
        return cls.open(
            folder, recognizer=recognizer, calibration=calibration, wait_s=wait_s, key=key
        )

    @classmethod
    @checked
    def in_memory(
        cls,
        *,
        recognizer: Recognizer | Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
        settings: Settings | None = None,
    ) -> Self:
        """Make an empty gallery that leaves no file; it is gone when it is closed.

        It does what one in a folder does. ``save`` writes it into a folder.

        Args:
            recognizer: for photos; options of ``Recognizer`` by name make one; None takes the
                default one.
            calibration: what scores mean; None takes the recognizer's or the package's own.
            settings: None takes the defaults, with the aligned faces kept.

        Raises:
            OptionError, WeightsError: there is no such recognizer.
            ContractError: recognizer and calibration do not fit.
        """
        return cls.create(
            MEMORY, recognizer=_made(recognizer), calibration=calibration, settings=settings
        )

    @classmethod
    @checked
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        read_only: bool = False,
        recognizer: Recognizer | Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] | None = None,
        key: Key | None = None,
    ) -> Self:
        """Open a gallery that exists.

        Args:
            folder: of the gallery; ":memory:" makes an empty one, as ``in_memory``.
            read_only: True leaves the writing to others.
            recognizer: for photos. Options of ``Recognizer`` by name complete the one that the
                gallery was made with, and may not contradict it. None makes that one when it is
                first needed.
            calibration: what scores mean; None takes the recognizer's or the package's own.
            wait_s: seconds to wait for another writer, now and at each change.
            clock: says how late it is, in seconds since 1970, for consents that end and people who
                expire; None: the computer's.
            key: of an encrypted gallery; None takes the one that the environment names
                (``Key.from_environment``).

        Raises:
            GalleryNotFoundError: there is none.
            GalleryKeyError: it is encrypted, and the key is missing or another one; or a key was
                given, and it is not encrypted.
            GalleryLockedError: another process has it open for writing. This one may open it again.
            GalleryDamagedError, GalleryVersionError: the database is damaged, foreign, or newer.
            ContractError: recognizer or calibration are for other embeddings.
            OptionError: options of a recognizer that make no sense.

        Examples:
            >>> with Gallery.open("office", recognizer={"detector": "yunet"}) as gallery:
            ...     found = gallery.identify("door.jpg")
        """
        if folder == MEMORY:
            _no_key(key)
            opened = cls.in_memory(recognizer=recognizer, calibration=calibration)
        else:
            opened = cls(
                GalleryState.open(
                    Path(folder),
                    read_only=read_only,
                    recognizer=recognizer,
                    calibration=calibration,
                    wait_s=wait_s,
                    key=key,
                )
            )
        if clock is not None:
            opened._state.store.clock = clock
        return opened

    @classmethod
    @checked
    def open_or_create(
        cls,
        folder: str | os.PathLike[str],
        *,
        recognizer: Recognizer | Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
        keep_crops: bool | None = None,
        wait_s: float = WAIT_S,
        key: Key | None = None,
    ) -> Self:
        """Open a gallery for writing; where there is none, make one with this recognizer.

        Args:
            folder, recognizer, calibration, wait_s, key: as for ``open`` and ``create``.
            keep_crops: the setting of that name; None leaves it as it is.

        Raises:
            LineamentError: as ``open`` and ``create``; then no empty gallery is left behind.
        """
        if cls.exists(folder):
            gallery = cls.open(
                folder, recognizer=recognizer, calibration=calibration, wait_s=wait_s, key=key
            )
        else:
            recognizer = _made(recognizer)
            if recognizer is not None and calibration is None:
                _ = recognizer.calibration  # an error here leaves no empty gallery behind
            gallery = cls.create(
                folder, recognizer=recognizer, calibration=calibration, wait_s=wait_s, key=key
            )
        try:
            if keep_crops is not None and keep_crops != gallery.settings.keep_crops:
                gallery.configure(keep_crops=keep_crops)
        except BaseException:
            gallery.close()
            raise
        return gallery

    @staticmethod
    @checked
    def exists(folder: str | os.PathLike[str]) -> bool:
        """Whether the folder holds a gallery."""
        return os.path.lexists(Path(folder) / DATABASE)  # what it is, opening says

    @checked
    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write everything that is in it now into another folder, as a gallery of its own.

        Raises:
            GalleryExistsError: there is a gallery already.
            GalleryError: the folder cannot be written to.
        """
        self._state.store.copy(Path(folder))

    def discard_if_empty(self, *, keep_folder: bool = True) -> bool:
        """Close it, and remove its files if nobody is in it; whether they were.

        For a gallery that was just made, and into which nothing came.

        Args:
            keep_folder: leave the folder even if nothing else is in it.
        """
        store = self._state.store
        folder, empty = store.folder, self.n_people == 0 and store.is_in_place
        self.close()
        if not empty or folder is None:
            return False
        discard(folder, keep_folder=keep_folder)
        return True

    def close(self) -> None:
        """Bring the index files up to date and let others write. Closing twice does nothing."""
        self._state.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # --- what it is -------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where it is, as it was named; ":memory:" where it is in memory."""
        return self._state.folder

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self._state.store.read_only

    @property
    def contract(self) -> Contract:
        """How the embeddings that are searched were made."""
        return self._state.store.contract

    @property
    def settings(self) -> Settings:
        """As they stand in the database."""
        return self._state.store.settings

    def configure(self, **changes: Any) -> Settings:
        """Change settings by name, for good; returns all. OptionError: no such setting or value."""
        try:
            new = replaced(self.settings, **changes)
        except TypeError as error:
            known = ", ".join(Settings().to_dict())
            raise OptionError(
                f"expected {known}, got {', '.join(changes)}: choose among these", option="settings"
            ) from error
        old = self.settings
        self._state.store.save_settings(new)
        if new.index != old.index:
            self._state.index.move()
        return new

    @property
    def n_people(self) -> int:
        """How many people are in it."""
        return lookup.totals(self._state.store)[0]

    @property
    def n_samples(self) -> int:
        """How many samples of the gallery's contract are in it."""
        return lookup.totals(self._state.store)[1]

    def __len__(self) -> int:
        """How many people are in it."""
        return self.n_people

    def __contains__(self, name: object) -> bool:
        """Whether somebody of that name is in it, in capitals or not."""
        return isinstance(name, str) and lookup.find_person(self._state.store, name) is not None

    def __iter__(self) -> Iterator[PersonInfo]:
        """The people, by name, without their samples."""
        return iter(self.people())

    def __repr__(self) -> str:
        """Where it is and what is in it, in one line."""
        if self._state.is_closed:
            return f"<Gallery {str(self.folder)!r}: closed>"
        people, samples = lookup.totals(self._state.store)
        of_people, of_samples = counted(people, "person", "people"), counted(samples, "sample")
        made_by = self.contract.weights
        return f"<Gallery {str(self.folder)!r}: {of_people}, {of_samples}, recognizer {made_by}>"

    def _repr_html_(self) -> str:
        """The people with their portraits, for notebooks."""
        return portraits.gallery_html(self._state, repr(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: where it is, and its people without their samples."""
        return {
            "gallery": str(self.folder),
            "n_people": self.n_people,
            "n_samples": self.n_samples,
            "contract": asdict(self.contract),
            "people": [{k: v for k, v in p.to_dict().items() if k != "samples"} for p in self],
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One row a person: name, n_samples, created, and the keys of the metadata."""
        return [
            {"name": p.name, "n_samples": p.n_samples, "created": p.created}
            | {key: value for key, value in p.metadata.items() if key not in _COLUMNS}
            for p in self
        ]

    def to_pandas(self) -> Any:
        """The people as a ``pandas.DataFrame``: name, n_samples, created, and their metadata.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError(
                "making a table of pandas", "pandas", package="pandas"
            ) from error
        rows = self.to_rows()
        columns = list(dict.fromkeys([*_COLUMNS, *(key for row in rows for key in row)]))
        made = pd.DataFrame(rows, columns=columns)
        made["created"] = pd.to_datetime(made["created"], unit="s", utc=True)
        return made

    @property
    def recognizer(self) -> Recognizer:
        """What embeds photos: the one given, else the one of the contract.

        Raises:
            ContractError: it makes other embeddings than are in the gallery.
            WeightsError: there are no such weights.
        """
        return self._state.recognizer

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean: the one given, else the given recognizer's, else the package's own.

        Raises:
            ContractError: the given recognizer makes other embeddings than are in the gallery.
        """
        return self._state.calibration

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
        progress: ProgressBar[Any] | None = None,
    ) -> EnrollReport:
        """Enroll photos of one person, new or known; all that pass, in one transaction.

        Args:
            name: of the person: any script, 1 to 200 characters after NFC, with something to be
                seen, and nothing that nobody sees or that turns the direction of writing around.
            photos: one photo, or many: a list, a folder, a pattern, ... (``images.many``).
            metadata: of the person; keys that are there already get the new values.
            consent: of the person; it is added to those that are there. Another one for somebody
                who is known: see ``set_consent``.
            sample_metadata: of each of these samples.
            choose: take the face that a photo with several is of (``Recognizer.choose``)
                instead of refusing it.
            on_low_quality: "refuse", or "accept".
            force: enroll duplicates, and faces that are unlike the others of the person or look
                like somebody else, too.
            review: how closely photos are looked at; None takes the gallery's setting. "off": a
                face must be there, nothing else. "standard": as said here. "strict": with higher
                limits of quality, nothing covered, no photo with several faces, and in agreement
                with the person's other photos; without the three exceptions above.
            box: of one photo: where the face is, as for ``FaceFinder.find``; other faces in it are
                no reason to refuse it.
            progress: shows how far it is; given the photos, how many, and what is being done.

        Returns:
            What was enrolled and what was refused, each with the reason. Of a list a refusal is no
            error: ``raise_for_refused`` makes it one.

        Raises:
            ImageError: the one photo could not be read.
            NoFaceError: it has no face.
            EnrollRefusedError: it was refused for another reason; ``refusal`` has it.
            OptionError: a bad name or bad metadata.
            ConsentError: the gallery takes nobody without a consent, or it does not allow what the
                gallery is for.
            GalleryReadOnlyError, GalleryLockedError: nothing was changed.
        """
        checked_name(name)
        if box is not None:
            photos = self.recognizer.finder.boxed(photos, box)
        many, sources = is_many(photos), list(expand(photos))
        enrollment.check_consents(self._state, [name], {} if consent is None else {name: consent})
        rules = rules_of(
            self.settings.review, review, choose=choose, on_low_quality=on_low_quality, force=force
        )
        looked: Iterable[NewSample | Refusal] = self.examine(
            sources,
            choose=choose,
            on_low_quality=on_low_quality,
            metadata={} if sample_metadata is None else sample_metadata,
            review=review,
        )
        if progress is not None:
            looked = progress(looked, len(sources), "enrolling")
        examined = list(looked)
        report = enrollment.enroll_examined(
            self._state, name, examined, metadata, consent, rules=rules
        )
        return report if many else report.raise_for_refused()

    @checked
    def enroll_embeddings(
        self,
        name: str,
        samples: Sequence[Embedding | NewSample],
        *,
        metadata: Mapping[str, Any] | None = None,
        consent: Consent | None = None,
        force: bool = False,
        review: Review | None = None,
    ) -> EnrollReport:
        """The same for embeddings that were made elsewhere: they are compared, not looked at.

        Raises:
            ContractError: they were made in another way than those in the gallery.
        """
        given = [NewSample(s) if isinstance(s, Embedding) else s for s in samples]
        rules = rules_of(self.settings.review, review, force=force)
        return enrollment.enroll_examined(self._state, name, given, metadata, consent, rules=rules)

    @checked
    def examine(
        self,
        photos: Iterable[Source],
        *,
        choose: bool = False,
        on_low_quality: OnLowQuality = "refuse",
        metadata: Mapping[str, Any] | None = None,
        review: Review | None = None,
        stream: enrollment.Stream | None = None,
    ) -> Iterator[NewSample | Refusal]:
        """The first half of ``enroll``, photo by photo as they come, in their order.

        Checks each photo by itself: readable, one face, good enough. Changes nothing, so that
        many people's photos can go through it in one stream; ``enroll_samples`` is the rest.

        Args:
            photos, choose, on_low_quality, metadata, review: as for ``enroll``.
            stream: what embeds instead of this gallery's recognizer in this process, such as
                ``lineament.bulk.on_ray.stream_chosen_on_ray``; the recognizer must be an equal one.
        """
        return enrollment.examine(
            self.recognizer,
            photos,
            rules=rules_of(
                self.settings.review, review, choose=choose, on_low_quality=on_low_quality
            ),
            metadata={} if metadata is None else metadata,
            stream=stream,
        )

    @checked
    def enroll_samples(
        self,
        samples: Sequence[tuple[str, NewSample]],
        *,
        metadata: Mapping[str, Mapping[str, Any]] | None = None,
        consents: Mapping[str, Consent] | None = None,
        force: bool = False,
        review: Review | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> list[SampleInfo | Refusal]:
        """The second half of ``enroll`` for many people at once, in one transaction.

        Args:
            samples: name and sample each.
            metadata: of people, by name.
            consents: of people, by name; added to those that are there.
            force: look for neither duplicates nor faces that are unlike the others of their
                person or look like somebody else.
            review: as for ``enroll``.
            on_note: called with what could not be checked, and what should be looked at.

        Returns:
            One for each sample, in their order.
        """
        outcome, notes = enrollment.admit(
            self._state,
            samples,
            {} if metadata is None else metadata,
            {} if consents is None else consents,
            rules=rules_of(self.settings.review, review, force=force),
        )
        if on_note is not None:
            for note in notes:
                on_note(note)
        return outcome

    # --- identifying ------------------------------------------------------------------------------

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
        metric: str = "cosine",
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
        metric: str = "cosine",
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
        metric: str = "cosine",
        liveness: LivenessMode = "off",
    ) -> IdentifiedPhoto | list[IdentifiedPhoto]:
        """Who is in a photo? Every face in it.

        A face without a name has a ``reason``: nobody was alike enough, the photo's other face is
        that person, nobody was searched (an empty gallery, a filter that nobody matches), ...

        Args:
            photos: one photo, or many: a list, a folder, a pattern, ... (``images.many``).
            top: how many candidates a face.
            fpir: wanted: the share of faces of people not enrolled that get a name, 0 to 1.
            threshold: from which on a face gets a name, instead of one for ``fpir``: a cosine, or
                what ``metric`` gives.
            where: only among people with such metadata (``lineament.gallery.filters``).
            purpose: what the search is for: only among people who have a consent, and of whom every
                consent names it, in capitals or not. ``Identification.n_left_out`` counts the rest.
            one_person_per_photo: two faces of one photo are two people, so no two get the same
                name. False for collages, mirrors and contact sheets.
            metric: "siamese" scores the most alike people by the model's learned similarity, where
                it has one; else "cosine".
            liveness: "passive" checks whether each face is of somebody who was there; one of which
                that is not known gets no name (reason "not_live"). "active" needs a film.

        Raises:
            ImageError: a photo could not be read; in a list, it takes the result's place.
            OptionError: an option out of range, or no data to set a threshold by.
        """
        many, sources = is_many(photos), list(expand(photos))
        found = list(
            self.identify_stream(
                sources,
                top=top,
                fpir=fpir,
                threshold=threshold,
                where=where,
                purpose=purpose,
                one_person_per_photo=one_person_per_photo,
                metric=metric,
                liveness=liveness,
            )
        )
        if many:
            return found
        if found[0].error is not None:
            raise found[0].error
        return found[0]

    @checked
    def check_search(
        self, where: Mapping[str, Any] | None = None, *, purpose: str | None = None
    ) -> list[str]:
        """See that a search would be among somebody, before a door depends on it.

        ``identify`` itself says of each face that nobody was searched (``Identification.reason``).

        Args:
            where, purpose: as for ``identify``.

        Returns:
            What should be known of it, in words: keys that nobody has, how many people have no
            consent for the purpose.

        Raises:
            NobodySearchedError: nobody is enrolled, nobody matches, or nobody consented; the
                message says which keys and values there are.
        """
        if purpose is not None:
            checked_purpose(purpose, "purpose")
        return nobody.check_search(self._state, where, purpose)

    @checked
    def filter_notes(self, where: Mapping[str, Any] | None) -> list[str]:
        """What should be known of a filter: that nobody matches it, keys that nobody has."""
        if where and not self.people(where=where, limit=1):
            return [nobody.nobody_matches(self._state.store, where)]
        return nobody.filter_notes(self._state.store, where)

    def metadata_keys(self) -> dict[str, int]:
        """Keys of the people's metadata -> how many people have them; the most common first."""
        return lookup.metadata_keys(self._state.store)

    @checked
    def identify_stream(
        self,
        photos: Iterable[Source],
        *,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        one_person_per_photo: bool = True,
        metric: str = "cosine",
        liveness: LivenessMode = "off",
    ) -> Iterator[IdentifiedPhoto]:
        """The same photo by photo as they come, in their order."""
        search = ranking.Search(
            top=top,
            fpir=fpir,
            threshold=threshold,
            where=where,
            purpose=purpose,
            one_person_per_photo=one_person_per_photo,
            metric=metric,
        )
        for photo in self.recognizer.stream(photos, keep_crops=True, liveness=liveness):
            yield ranking.identify_photo(self._state, photo, search)

    @checked
    def identify_embeddings(
        self,
        embeddings: Sequence[Embedding],
        *,
        together: bool = False,
        top: int = 5,
        fpir: float = DEFAULT_FPIR,
        threshold: float | None = None,
        where: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        metric: str = "cosine",
        qualities: Sequence[Quality | None] | None = None,
    ) -> list[Identification]:
        """Whose embeddings are these?

        Args:
            embeddings: of N faces.
            together: whether they are faces of one photo, thus of N people.
            qualities: of the N faces, where they are known: it takes more for faces in which
                strangers look alike.
            top, fpir, threshold, where, purpose, metric: as for ``identify``.

        Raises:
            ContractError: they were made in another way than those in the gallery.
        """
        search = ranking.Search(
            top=top, fpir=fpir, threshold=threshold, where=where, purpose=purpose, metric=metric
        )
        if qualities is not None and len(qualities) != len(embeddings):
            raise OptionError(
                f"expected {len(embeddings)}, one for each embedding, got {len(qualities)}",
                option="qualities",
            )
        return ranking.identify_faces(
            self._state, embeddings, search, together=together, qualities=qualities
        )

    # --- verifying --------------------------------------------------------------------------------

    @overload
    def verify(
        self,
        name: str,
        photos: Many,
        *,
        fmr: float | None = None,
        threshold: float | Threshold | None = None,
        liveness: LivenessMode = "off",
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
        box: Sequence[float] | None = None,
    ) -> Decision | list[Decision | LineamentError]:
        """Is this the person that it is said to be? 1:1, against all samples of one person.

        The sample that is most alike decides; it is ``source_b`` of the decision. With several
        samples the threshold is a little stricter and the probability a little lower than between
        two photos, so that the false match rate stays what it is said to be.

        Args:
            name: of the person.
            photos: one photo, or many: a list, a folder, a pattern, ... (``images.many``).
            fmr: wanted: the share of other people's photos that are taken for this person; None
                takes the rate that the calibration was tuned for, else 1e-4.
            threshold: cosine from which on it is the person, instead of one for ``fmr``.
            liveness: as for ``identify``: a face that is not known to be alive makes the verdict
                "not_live".
            box: of one photo: where the face is, as for ``FaceFinder.find``.

        Raises:
            UnknownPersonError: nobody has that name.
            ImageError, NoFaceError: of one photo; in a list, it takes the decision's place.
            OptionError: a value out of range, or no data to set a threshold by.
        """
        if box is not None:
            photos = self.recognizer.finder.boxed(photos, box)
        many, sources = is_many(photos), list(expand(photos))
        found = list(
            verification.verify_person(
                self._state, name, sources, fmr=fmr, threshold=threshold, liveness=liveness
            )
        )
        if many:
            return [one.as_result() if isinstance(one, LineamentError) else one for one in found]
        (decision,) = found
        if isinstance(decision, LineamentError):
            raise decision
        return decision

    # --- people -----------------------------------------------------------------------------------

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
    def set_consent(self, name: str, consent: Consent | None, *, add: bool = False) -> PersonInfo:
        """Write down a person's consent, in the place of what is there, which is overwritten.

        Args:
            name: of the person.
            consent: None takes it away; in a gallery that takes nobody without one, remove the
                person instead.
            add: keep the others, too: then each of them has to allow a purpose, and the first that
                ends ends all.

        Raises:
            UnknownPersonError: there is none of that name.
            ConsentError: it does not allow what the gallery is for, or one is needed.
        """
        store = self._state.store
        with self._state.changing():
            terms.set_consent(store, name, consent, add=add)
        return self.person(name)

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

    # --- upkeep -----------------------------------------------------------------------------------

    @checked
    def export(self, path: str | os.PathLike[str], *, crops: bool = True) -> int:
        """Write people and samples to a ``.jsonl`` or ``.parquet`` file; how many samples.

        The file is there as a whole or not at all. Removing somebody does not reach into it. What
        is damaged is passed over, and ``damaged`` names it.

        Raises:
            OptionError: another suffix, or the file cannot be written.
            MissingExtraError: parquet without pyarrow.
        """
        return exchange.export(self._state.store, Path(path), crops=crops)

    @checked
    def import_(
        self, path: str | os.PathLike[str], *, damaged: OnDamaged = "refuse"
    ) -> ImportReport:
        """Read what ``export`` wrote; what is known already is passed over.

        Samples are taken as they are: what is unlike the others of its person is in the report.

        Args:
            path: of the file. It may come from anybody: each value in it is checked
                (docs/how-to/gallery.md).
            damaged: what to do about entries that do not fit: "refuse" adds all or nothing, "skip"
                adds the others, and the report names those that were passed over.

        Raises:
            ContractError: its embeddings were made in another way.
            DataError: the file is no export, or damaged; the message names the entry.
        """
        with self._state.changing():
            report, names = exchange.import_(self._state.store, Path(path), damaged=damaged)
        unlike = unlike_samples(self._state, names)
        return replaced(report, unlike=tuple(unlike), compared=can_compare(self._state))

    def import_entries(
        self, entries: Iterable[Entry], path: Path, *, damaged: OnDamaged
    ) -> ImportReport:
        """The same for entries that were read from a file of another kind.

        ``lineament.gallery.foreign.import_store`` makes them of other packages' stores.
        """
        with self._state.changing():
            report, _ = exchange.add_all(self._state.store, entries, path, damaged)
        return report

    def reindex(self, *, index: str | None = None, uri: str | None = None) -> int:
        """Build the index anew from the database, or another one; how many samples it has.

        An engine that is built beside the searches otherwise (``lineament.search.engines``) is
        built before this returns.

        Args:
            index: what is to search from now on, as for ``create``; None leaves it.
            uri: the address of a server.

        Raises:
            OptionError: no such index, or a server that ``LINEAMENT_INDEX_SERVERS`` does not name.
            MissingExtraError: the engine's package is not installed.
            IndexServerError: the server cannot be reached, or refused.

        What is damaged is passed over, and ``damaged`` names it. What is noted twice in the
        database (numbers of people, hashes of photos) is noted anew where it is wrong.
        """
        editing.mend_notes(self._state.store)
        if index is not None or uri is not None:
            kind = index_kind(self.settings.index if index is None else index, uri)
        else:
            kind = self.settings.index
        if kind != self.settings.index:
            own_kind(kind)
            check_installed(kind)
            self.configure(index=kind)
        else:
            self._state.index.rebuild()
        self._state.index.settle()
        return self._state.index.save()

    # --- encryption -------------------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        """Whether vectors, names, metadata, photos' names and crops are encrypted on the disk."""
        return self._state.store.sealing.encrypted

    @checked
    def encrypt(self, key: Key, *, progress: Callable[[int, int], None] | None = None) -> bool:
        """Encrypt this gallery, in one transaction; other processes need the key from then on.

        Afterwards nothing of a vector, name or crop stands as it is in any file of the folder, the
        index's among them. Copies that were made before are not changed.

        Args:
            key: opens it from now on.
            progress: called with (rows that were rewritten, all rows).

        Returns:
            Whether what was written before is erased from the files; False: another process has the
            gallery open, and it is erased by whoever opens it for writing once that has ended.

        Raises:
            GalleryKeyError: it is encrypted already, or the key cannot be read.
            OptionError: its index is on a server, which has the vectors as they are; or it is in
                memory.
            MissingExtraError: ``cryptography`` is not installed.
        """
        return encryption.encrypt(self._state, key, progress)

    @checked
    def decrypt(self, *, progress: Callable[[int, int], None] | None = None) -> None:
        """Write everything as it is, in one transaction: who has the folder can read it then.

        Args:
            progress: as for ``encrypt``.

        Raises:
            GalleryKeyError: it is not encrypted.
        """
        encryption.decrypt(self._state, progress)

    @checked
    def rotate_key(
        self,
        key: Key,
        *,
        reencrypt: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> bool:
        """Give it another key, in one transaction; others that have it open read on.

        Args:
            key: opens it from now on.
            reencrypt: also change the key that the values are encrypted with, and rewrite them all:
                for when somebody may have had the old key and a copy of the gallery. Others that
                have it open need the new key at their next search then.
            progress: as for ``encrypt``; only with ``reencrypt``.

        Returns:
            Whether the old key opens nothing in the files any more; as for ``encrypt``.

        Raises:
            GalleryKeyError: it is not encrypted, or the key cannot be read.
        """
        return encryption.rotate(self._state, key, reencrypt=reencrypt, progress=progress)

    def compact(self) -> None:
        """Give back the room of what was removed. Removals do it themselves from time to time."""
        self._state.index.compact()

    def check(self) -> list[str]:
        """Read everything and compare; what is wrong, in words. [] means all is well.

        Every sample and person with its checksums, the vectors' values, the tables with each other,
        and the index with the database. The checksums find accidents and careless edits; they prove
        nothing against somebody who forges, since their secret stands in the same file. In an
        encrypted gallery the secret is encrypted, too.
        """
        found = checking.problems(self._state.store)
        return [*found, *self._state.index.check()]

    @property
    def damaged(self) -> tuple[DamagedPart, ...]:
        """What was found to be damaged since it was opened; ``check`` looks at everything."""
        return checking.parts(self._state.store)

    @checked
    def migrate(
        self, recognizer: Recognizer, *, progress: Callable[[int, int], None] | None = None
    ) -> MigrationReport:
        """Embed every sample anew with another recognizer: from its crop, else its photo.

        Searches go on with the old embeddings until all is done. What was interrupted is taken up
        again by the next call. Afterwards this gallery uses ``recognizer``.

        Args:
            recognizer: which it is to be.
            progress: called with (samples looked at, all samples).
        """
        report = migration.migrate(self._state, recognizer, progress)
        self._state.use(recognizer)
        return report


def _made(recognizer: Recognizer | Mapping[str, Any] | None) -> Recognizer | None:
    """A recognizer of its options by name; None counts as left out."""
    if not isinstance(recognizer, Mapping):
        return recognizer
    return Recognizer(**{name: each for name, each in recognizer.items() if each is not None})


def _no_key(key: Key | None) -> None:
    if key is not None:
        raise OptionError(
            "expected no key for a gallery in memory, got one: nothing of it is on a disk",
            option="key",
        )

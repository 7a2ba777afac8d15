"""Stage 7, wired: read this file first.

    photos --enroll.examine--> NewSample or Refusal --enroll.admit--> database, index
    photos --Recognizer.stream--> faces --ranking--> people --assign--> Identification

``Gallery`` calls the functions of the other modules with the parts of an open gallery
(``GalleryState``). Its methods stand in files by what they are for: ``_gallery_base`` (what it is),
``_gallery_enrolling``, ``_gallery_searching`` (identify, verify), ``_gallery_people`` (people,
consents, negative examples), ``_gallery_upkeep`` (files, index, encryption); opening and closing
are here. A change is in the database, on the disk, before a method returns; then the
index has it too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from dataclasses import replace as replaced
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lineament.arguments import checked
from lineament.decide.calibration import Calibration
from lineament.decide.judge import CALIBRATED_METRIC
from lineament.errors import MissingExtraError, OptionError
from lineament.gallery import _portraits as portraits
from lineament.gallery import lookup
from lineament.gallery._gallery_enrolling import GalleryEnrolling
from lineament.gallery._gallery_searching import GallerySearching
from lineament.gallery._gallery_upkeep import GalleryUpkeep
from lineament.gallery._state import GalleryState
from lineament.gallery._store import DATABASE, MEMORY, Store, discard
from lineament.gallery._types import PersonInfo, Settings
from lineament.gallery.keys import Key
from lineament.pipeline import DEFAULT_RECOGNIZER, Recognizer
from lineament.results import Outcome
from lineament.search import index_kind
from lineament.text import counted
from lineament.types import Contract

_COLUMNS = ("name", "n_samples", "created")
WAIT_S = 5.0
"""How long another writer is waited for."""


class Gallery(GalleryEnrolling, GallerySearching, GalleryUpkeep, Outcome):
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

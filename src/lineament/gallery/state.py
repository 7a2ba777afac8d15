"""An open gallery and its parts: database, index, recognizer, calibration, settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lineament.align.alignment import parse_alignment_name
from lineament.decide.calibration import Calibration, bundled
from lineament.decide.judge import CALIBRATED_METRIC
from lineament.errors import (
    ContractError,
    GalleryDamagedError,
    GalleryError,
    OptionError,
    UnknownWeightsError,
)
from lineament.gallery import lookup
from lineament.gallery.index_sync import SyncedIndex
from lineament.gallery.store import DATABASE, Store
from lineament.gallery.types import Settings
from lineament.models import PRESETS
from lineament.pipeline import DEFAULT_RECOGNIZER, Recognizer
from lineament.types import Contract

WAIT_S = 5.0
"""How long another writer is waited for."""


class OpenGallery:
    """What every method of ``Gallery`` needs."""

    def __init__(
        self,
        store: Store,
        *,
        recognizer: Recognizer | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        """For ``create`` and ``open``; use those."""
        self._store = store
        self._recognizer = self._given_recognizer = recognizer
        self._given_calibration = calibration
        self._checked: Contract | None = None
        self._bundled: tuple[Contract, Calibration | None] | None = None
        self._searcher: SyncedIndex | None = SyncedIndex(store)

    # --- opening and closing ----------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        contract: Contract | None = None,
        *,
        recognizer: Recognizer | None = None,
        calibration: Calibration | None = None,
        settings: Settings | None = None,
        wait_s: float = WAIT_S,
    ) -> Self:
        """Make an empty gallery and open it for writing.

        Args:
            folder: made if need be; it may hold other things, but no gallery.
            contract: of the embeddings; None takes the recognizer's.
            recognizer: for photos; None makes the default one when it is first needed.
            calibration: what scores mean; None takes the recognizer's or the package's own.
            settings: None takes the defaults.
            wait_s: seconds to wait for another writer.

        Raises:
            GalleryExistsError: there is one already.
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
        chosen = Settings() if settings is None else settings
        Store.create(Path(folder), contract, chosen)
        return cls.open(folder, recognizer=recognizer, calibration=calibration, wait_s=wait_s)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        read_only: bool = False,
        recognizer: Recognizer | Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
        wait_s: float = WAIT_S,
    ) -> Self:
        """Open a gallery.

        Args:
            folder: of the gallery.
            read_only: True leaves the writing to others.
            recognizer: for photos; options of ``Recognizer`` by name complete the one of the
                gallery's contract, as ``recognizer_for`` does; None makes that one when it is
                first needed.
            calibration: what scores mean; None takes the recognizer's or the package's own.
            wait_s: seconds to wait for another writer, now and at each change.

        Raises:
            GalleryNotFoundError: there is none.
            GalleryLockedError: another process has it open for writing.
            GalleryDamagedError, GalleryVersionError: the database is damaged, foreign, or newer.
            ContractError: recognizer or calibration are for other embeddings.
            OptionError: options of a recognizer that make no sense.

        Examples:
            >>> with Gallery.open("office", recognizer={"detector": "yunet"}) as gallery:
            ...     found = gallery.identify("door.jpg")
        """
        store = Store.open(Path(folder), read_only=read_only, wait_s=wait_s)
        try:
            if isinstance(recognizer, Mapping):
                recognizer = recognizer_for(store.contract, recognizer, str(folder))
            gallery = cls(store, recognizer=recognizer, calibration=calibration)
            if calibration is not None:
                calibration.check(store.contract, CALIBRATED_METRIC)
            gallery._index.open()
            if not read_only:
                gallery._finish_erasing()
        except BaseException:
            store.close()
            raise
        return gallery

    @classmethod
    def open_or_create(
        cls,
        folder: str | os.PathLike[str],
        *,
        recognizer: Recognizer | Mapping[str, Any] | None = None,
        calibration: Calibration | None = None,
        keep_crops: bool | None = None,
        wait_s: float = WAIT_S,
    ) -> Self:
        """Open a gallery for writing; where there is none, make one with this recognizer.

        Args:
            folder, recognizer, calibration, wait_s: as for ``open`` and ``create``.
            keep_crops: the setting of that name; None leaves it as it is.

        Raises:
            LineamentError: as ``open`` and ``create``; then no empty gallery is left behind.
        """
        if cls.exists(folder):
            gallery = cls.open(
                folder, recognizer=recognizer, calibration=calibration, wait_s=wait_s
            )
        else:
            if isinstance(recognizer, Mapping):
                recognizer = Recognizer(**_given(recognizer))
            if recognizer is not None and calibration is None:
                _ = recognizer.calibration  # an error here leaves no empty gallery behind
            gallery = cls.create(
                folder, recognizer=recognizer, calibration=calibration, wait_s=wait_s
            )
        try:
            if keep_crops is not None and keep_crops != gallery.settings.keep_crops:
                gallery.configure(keep_crops=keep_crops)
        except BaseException:
            gallery.close()
            raise
        return gallery

    @staticmethod
    def exists(folder: str | os.PathLike[str]) -> bool:
        """Whether the folder holds a gallery."""
        return (Path(folder) / DATABASE).exists()

    def close(self) -> None:
        """Bring the index files up to date and let others write. Closing twice does nothing."""
        if self._searcher is not None:
            searcher, self._searcher = self._searcher, None
            try:
                searcher.close()
            finally:
                self._store.close()

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
        """Where it is."""
        return self._store.folder

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self._store.read_only

    @property
    def contract(self) -> Contract:
        """How the embeddings that are searched were made."""
        return self._store.contract

    @property
    def settings(self) -> Settings:
        """As they stand in the database."""
        return self._store.settings

    def configure(self, **changes: Any) -> Settings:
        """Change settings by name, for good; returns all. OptionError: no such setting or value."""
        try:
            new = replace(self.settings, **changes)
        except TypeError as error:
            known = ", ".join(Settings().to_dict())
            raise OptionError(
                f"expected {known}, got {', '.join(changes)}: choose among these", option="settings"
            ) from error
        old = self.settings
        self._store.save_settings(new)
        if new.index != old.index:
            self._index.rebuild()
        return new

    @property
    def n_people(self) -> int:
        """How many people are in it."""
        return lookup.totals(self._store)[0]

    @property
    def n_samples(self) -> int:
        """How many samples of the gallery's contract are in it."""
        return lookup.totals(self._store)[1]

    def __len__(self) -> int:
        """How many people are in it."""
        return self.n_people

    def __contains__(self, name: object) -> bool:
        """Whether somebody of that name is in it."""
        return isinstance(name, str) and lookup.find_person(self._store, name) is not None

    @property
    def recognizer(self) -> Recognizer:
        """What embeds photos: the one given, else the one of the contract.

        Raises:
            ContractError: it makes other embeddings than are in the gallery.
            WeightsError: there are no such weights.
        """
        contract = self.contract
        if self._recognizer is None:
            self._recognizer = recognizer_of(contract)
        if self._checked != contract:
            made = self._recognizer.embedder.contract
            try:
                contract.check(made)
            except ContractError as error:
                raise ContractError(
                    f"{self.folder}: the gallery holds embeddings of {contract.id}, the recognizer "
                    f"makes {made.id}",
                    hint="open it with that recognizer, or let {migrate} embed everything anew "
                    "with this one",
                ) from error
            self._checked = contract
        return self._recognizer

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean: the one given, else the given recognizer's, else the package's own.

        Raises:
            ContractError: the given recognizer makes other embeddings than are in the gallery.
        """
        if self._given_calibration is not None:
            return self._given_calibration
        if self._given_recognizer is not None:
            return self.recognizer.calibration
        contract = self.contract
        if self._bundled is None or self._bundled[0] != contract:
            self._bundled = contract, bundled(contract, CALIBRATED_METRIC)
        return self._bundled[1]

    def _finish_erasing(self) -> None:
        """What a crash left to be erased; on a full disk it waits for the next time."""
        try:
            self._index.finish_erasing()
        except GalleryDamagedError:
            raise
        except GalleryError:
            return

    @property
    def _index(self) -> SyncedIndex:
        if self._searcher is None:
            raise self._store.closed()
        return self._searcher


# --- the recognizer of a contract -----------------------------------------------------------------


def recognizer_of(contract: Contract, options: Mapping[str, Any] | None = None) -> Recognizer:
    """Make the recognizer that a contract describes: its network, alignment and mirror image.

    Args:
        contract: of embeddings.
        options: arguments of ``Recognizer`` by name; they come first, None counts as left out. A
            preset brings its own ``flip``.

    Raises:
        UnknownWeightsError: the package has no such network.
        OptionError, WeightsError: an option makes no sense, or the policy refuses the network.
    """
    given = _given({} if options is None else options)
    name = given.setdefault("recognizer", contract.weights)
    if not (isinstance(name, str) and name in PRESETS):  # a preset brings its own
        given.setdefault("flip", contract.flip)
    given.setdefault("alignment", parse_alignment_name(contract.alignment)[0])
    return Recognizer(**given)


def recognizer_for(contract: Contract, options: Mapping[str, Any], where: str) -> Recognizer:
    """The same, and it makes embeddings of that contract.

    Args:
        contract, options: as for ``recognizer_of``.
        where: names the gallery in messages.

    Raises:
        ContractError: the options describe a recognizer that makes other embeddings.
        OptionError: the network is somebody's own, and the options do not name it.
    """
    try:
        recognizer = recognizer_of(contract, options)
    except UnknownWeightsError as error:
        if options.get("recognizer") is not None:
            raise
        raise OptionError(
            f"{where}: the embeddings of this gallery were made by {contract.weights!r}, which "
            "is none of the package's recognizers",
            hint="{model}",
        ) from error
    made = recognizer.embedder.contract
    try:
        contract.check(made)
    except ContractError as error:
        raise ContractError(
            f"{where}: the gallery holds embeddings of {contract.id}, and the options describe "
            f"{made.id}",
            hint="leave out the options of the recognizer, name another gallery, or embed this one "
            "anew by {migrate}",
        ) from error
    return recognizer


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}

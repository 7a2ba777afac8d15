"""What an open gallery consists of: database, index, recognizer, calibration.

Functions of the other modules take a ``GalleryState``; ``Gallery`` is its public face. A folder
that this process has open for writing is not opened twice: several states share its database and
index (``_Opened``), each with a recognizer and a calibration of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from lineament.align.alignment import Alignment
from lineament.decide.calibration import Calibration, bundled
from lineament.decide.judge import CALIBRATED_METRIC
from lineament.errors import (
    ContractError,
    GalleryDamagedError,
    GalleryError,
    OptionError,
    UnknownWeightsError,
)
from lineament.gallery._index_sync import SyncedIndex
from lineament.gallery._place import check_files
from lineament.gallery._store import DATABASE, Store, closed
from lineament.gallery._types import Settings
from lineament.gallery.keys import Key
from lineament.models import PRESETS, Card
from lineament.pipeline import Recognizer
from lineament.types import Contract


@dataclass(slots=True)
class Change:
    """What ``GalleryState.changing`` did.

    Attributes:
        erased: whether nothing of what was removed or overwritten stands in the files any more.
    """

    erased: bool = False


class _Opened:
    """A database and its index, open once in this process.

    Attributes:
        store, index: the two.
        key: of the file and the process: a child that was forked shares nothing with its parent.
        users: the states that were not closed; one that was dropped is not among them.
    """

    def __init__(self, store: Store) -> None:
        """Take an open store; the index is not loaded yet."""
        self.store = store
        self.index = SyncedIndex(store)
        self.key = _file_key(store.folder) or (id(self), 0, os.getpid())
        self.users: WeakSet[GalleryState] = WeakSet()


_OPEN: WeakValueDictionary[tuple[int, int, int], _Opened] = WeakValueDictionary()
"""What this process has open for writing."""
_OPENING = Lock()


def _after_fork() -> None:
    """Another thread of the parent may have held it; in the child that thread does not exist."""
    global _OPENING  # noqa: PLW0603
    _OPENING = Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def _file_key(folder: Path) -> tuple[int, int, int] | None:
    """The database's file, whatever its path is called; another one after it was replaced."""
    try:
        found = (folder / DATABASE).stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, os.getpid()


def _opened_here(folder: Path) -> _Opened | None:
    key = _file_key(folder)
    opened = None if key is None else _OPEN.get(key)
    if opened is not None:
        check_files(folder / DATABASE)  # not by a link in somebody else's folder
    return opened


class GalleryState:
    """The parts of one open gallery."""

    def __init__(
        self,
        folder: Path,
        opened: _Opened,
        recognizer: Recognizer | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        """Put an open database and index, and what was given for them, together.

        Args:
            folder: as it was named.
            opened: the two; they are closed with the last state that uses them.
            recognizer: for photos; None makes the one of the contract when it is first needed.
            calibration: what scores mean; None takes the recognizer's or the package's own.
        """
        self.folder = folder
        self._opened: _Opened | None = opened
        opened.users.add(self)
        self._recognizer = self._given_recognizer = recognizer
        self._given_calibration = calibration
        self._checked: Contract | None = None
        self._bundled: tuple[Contract, Calibration | None] | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        read_only: bool,
        recognizer: Recognizer | Mapping[str, Any] | None,
        calibration: Calibration | None,
        wait_s: float,
        key: Key | None = None,
    ) -> GalleryState:
        """Open database and index; arguments and errors as ``Gallery.open``."""
        with _OPENING:  # of two threads that open one folder, the second shares what the first made
            opened = _opened_here(folder) if not read_only else None
            new = opened is None
            if opened is None:
                opened = _Opened(Store.open(folder, read_only=read_only, wait_s=wait_s, key=key))
            else:
                opened.store.check_key(key)
            try:
                state = cls._of(folder, opened, recognizer, calibration)
                if new:
                    opened.index.open()
                    if not read_only:
                        state._finish_erasing()
                        _OPEN[opened.key] = opened
            except BaseException:
                if new:
                    opened.store.close()
                raise
        return state

    @classmethod
    def in_memory(
        cls,
        contract: Contract,
        settings: Settings,
        recognizer: Recognizer | None,
        calibration: Calibration | None,
    ) -> GalleryState:
        """An empty gallery in memory; arguments and errors as ``Gallery.in_memory``."""
        opened = _Opened(Store.in_memory(contract, settings))
        try:
            state = cls._of(opened.store.folder, opened, recognizer, calibration)
            opened.index.open()
        except BaseException:
            opened.store.close()
            raise
        return state

    @classmethod
    def _of(
        cls,
        folder: Path,
        opened: _Opened,
        recognizer: Recognizer | Mapping[str, Any] | None,
        calibration: Calibration | None,
    ) -> GalleryState:
        store = opened.store
        if isinstance(recognizer, Mapping):
            recognizer = recognizer_for(store.contract, recognizer, str(folder))
        if calibration is not None:
            calibration.check(store.contract, CALIBRATED_METRIC)
        return cls(folder, opened, recognizer, calibration)

    def close(self) -> None:
        """Leave the gallery; the last one to leave brings the index files up to date and unlocks.

        Twice does nothing.
        """
        with _OPENING:
            opened, self._opened = self._opened, None
            if opened is None:
                return
            opened.users.discard(self)
            if opened.users:
                return
            if _OPEN.get(opened.key) is opened:
                del _OPEN[opened.key]
            try:
                opened.index.close()
            finally:
                opened.store.close()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._opened is None

    def _finish_erasing(self) -> None:
        """Erase what a crash left; on a full disk it waits for the next time."""
        try:
            self.index.finish_erasing()
        except GalleryDamagedError:
            raise
        except GalleryError:
            return

    @property
    def store(self) -> Store:
        """The database. GalleryClosedError: the gallery was closed."""
        if self._opened is None:
            raise closed(self.folder)
        return self._opened.store

    @property
    def index(self) -> SyncedIndex:
        """The index. GalleryClosedError: the gallery was closed."""
        if self._opened is None:
            raise closed(self.folder)
        return self._opened.index

    @property
    def contract(self) -> Contract:
        """How the embeddings that are searched were made."""
        return self.store.contract

    @property
    def settings(self) -> Settings:
        """As they stand in the database."""
        return self.store.settings

    @contextmanager
    def changing(self) -> Iterator[Change]:
        """Change the database inside; then the index follows, and what was overwritten is erased.

        Yields:
            The change; ``erased`` is set when the block has ended.
        """
        change = Change()
        self.index.expect()
        yield change
        change.erased = self.index.finish_erasing()

    def use(self, recognizer: Recognizer) -> None:
        """Take another recognizer, with its own calibration, from now on.

        Raises:
            ContractError: it makes other embeddings than are in the gallery.
        """
        self._check(recognizer)
        self._recognizer = self._given_recognizer = recognizer
        self._given_calibration = None
        self._checked = None

    def _check(self, recognizer: Recognizer) -> None:
        contract, made = self.contract, recognizer.embedder.contract
        try:
            contract.check(made)
        except ContractError as error:
            raise ContractError(
                f"{self.folder}: the gallery holds embeddings of {contract.id}, the "
                f"recognizer makes {made.id}",
                hint="open it with that recognizer, or let {migrate} embed everything anew "
                "with this one",
            ) from error

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
            self._check(self._recognizer)
            self._checked = contract
        return self._recognizer

    @property
    def card(self) -> Card | None:
        """Of the model that was given or loaded; None: it is the one of the contract's hash."""
        return None if self._recognizer is None else self._recognizer.weights

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


# --- the recognizer of a contract -----------------------------------------------------------------


def recognizer_of(contract: Contract, options: Mapping[str, Any] | None = None) -> Recognizer:
    """Make the recognizer that a contract describes: its network, alignment and mirror image.

    Args:
        contract: of embeddings.
        options: arguments of ``Recognizer`` by name; they come first, None counts as left out. A
            preset brings its own ``flip``.

    Raises:
        ContractError: another package made the embeddings.
        UnknownWeightsError: the package has no such network.
        OptionError, WeightsError: an option makes no sense, or the policy refuses the network.
    """
    if contract.is_foreign:
        raise ContractError(
            f"the embeddings are {contract.weights}'s, which another package made: no photo can be "
            "embedded so here, since it is found and cut in another way there",
            hint="compare them with that package's own embeddings, or enroll the photos anew in "
            "another gallery",
        )
    given = _given({} if options is None else options)
    name = given.setdefault("recognizer", contract.weights)
    if not (isinstance(name, str) and name in PRESETS):  # a preset brings its own
        given.setdefault("flip", contract.flip)
    given.setdefault("alignment", Alignment.parse(contract.alignment).method)
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

"""What all parts of ``Gallery`` rest on: its state, what it holds, what embeds."""

from __future__ import annotations

from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from lineament.arguments import checked
from lineament.decide.calibration import Calibration
from lineament.errors import OptionError
from lineament.gallery import lookup
from lineament.gallery._state import GalleryState
from lineament.gallery._types import Settings
from lineament.pipeline import Recognizer
from lineament.results import Outcome
from lineament.types import Contract


class GalleryBase(Outcome):
    """An open gallery: see ``Gallery``."""

    def __init__(self, state: GalleryState) -> None:
        """For ``create`` and ``open``; use those."""
        self._state = state

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

    @property
    def recognizer(self) -> Recognizer:
        """What embeds photos: the one given, else the one of the contract.

        Raises:
            ContractError: it makes other embeddings than are in the gallery.
            WeightsError: there are no such weights.
        """
        return self._state.recognizer

    @checked
    def use(self, recognizer: Recognizer) -> None:
        """Embed photos with another recognizer from now on; nothing in the gallery changes.

        Its calibration is taken, too, in the place of one that was given. A program with several
        galleries lets those of one contract share a recognizer so: the contract is known when a
        gallery is open, and no network is loaded before.

        Args:
            recognizer: one that makes the embeddings that the gallery holds.

        Raises:
            ContractError: it makes others; the gallery keeps the one that it had.
        """
        self._state.use(recognizer)

    @property
    def calibration(self) -> Calibration | None:
        """What scores mean: the one given, else the given recognizer's, else the package's own.

        Raises:
            ContractError: the given recognizer makes other embeddings than are in the gallery.
        """
        return self._state.calibration

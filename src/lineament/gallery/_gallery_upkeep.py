"""The part of ``Gallery`` for its upkeep: files in and out, index, encryption, checks, models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace as replaced
from pathlib import Path

from lineament.arguments import checked
from lineament.gallery import _checking as checking
from lineament.gallery import _editing as editing
from lineament.gallery import _encryption as encryption
from lineament.gallery import _migration as migration
from lineament.gallery import exchange
from lineament.gallery._entries import Entry
from lineament.gallery._gallery_base import GalleryBase
from lineament.gallery._types import DamagedPart, ImportReport, MigrationReport, OnDamaged
from lineament.gallery._unlike import can_compare, unlike_samples
from lineament.gallery.keys import Key
from lineament.pipeline import Recognizer
from lineament.search import check_installed, index_kind, own_kind


class GalleryUpkeep(GalleryBase):
    """Upkeep of a gallery: see ``Gallery``."""

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

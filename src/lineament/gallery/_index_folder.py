"""The files of a gallery's index: as they are, or in an encrypted gallery one encrypted file.

The encrypted one has a key of its own, which stands in it encrypted with the gallery's data key
(``lineament.sealed``). Whoever removes a sample overwrites that key, which costs the same for any
number of samples; the file is written anew later, as a whole, and not more often than writing it
should take time.
"""

from __future__ import annotations

import time
from contextlib import suppress

from lineament.files import is_real_folder, remove_all
from lineament.gallery._sealing import Encrypted
from lineament.gallery._store import INDEX, Store
from lineament.search import SEALED, Index, load_sealed, save_sealed, wipe_files

SHARE = 20.0
"""The encrypted file, which is written as a whole, is written again after so many times as long as
it took: changes that follow each other closely pay a twentieth of their time for it."""

LEAST_BEHIND, BEHIND_SHARE = 1000, 0.01
"""Samples that the encrypted file may lack when the gallery is closed: so many, and that share of
all. They are taken over from the database when it is opened, in some hundredths of a second."""


class IndexFolder:
    """Where the index of one open gallery is saved."""

    def __init__(self, store: Store) -> None:
        """Nothing is read yet."""
        self._store = store
        self.path = store.folder.absolute() / INDEX  # wherever the process goes
        self._saved_at = -float("inf")
        self._took_s = 0.0

    @property
    def encrypted(self) -> bool:
        """Whether it holds the encrypted file."""
        return self._store.sealing.encrypted

    def load(self, index: Index, *, most: int) -> str:
        """As ``Index.load``."""
        sealing = self._store.sealing
        if isinstance(sealing, Encrypted):
            return load_sealed(index, self.path, sealing.data_key, _about(sealing), most=most)
        return index.load(self.path, writer=not self._store.read_only, most=most)

    def save(self, index: Index, state: str) -> None:
        """As ``Index.save``."""
        if not is_real_folder(self.path):
            with suppress(OSError):
                remove_all(self.path)  # a link, perhaps to somebody's own files
        sealing, started = self._store.sealing, time.monotonic()
        if isinstance(sealing, Encrypted):
            save_sealed(index, self.path, state, sealing.data_key, _about(sealing))
        else:
            index.save(self.path, state)
        self._saved_at = time.monotonic()
        self._took_s = self._saved_at - started

    @property
    def affordable(self) -> bool:
        """Whether writing it again is worth its time: see ``SHARE``."""
        return not self.encrypted or time.monotonic() - self._saved_at >= SHARE * self._took_s

    def near(self, n_behind: int, count: int) -> bool:
        """Whether it lacks so little that it need not be written when the gallery is closed."""
        return self.encrypted and n_behind <= max(LEAST_BEHIND, BEHIND_SHARE * count)

    def forget(self) -> None:
        """Remove the files; in an encrypted gallery nothing of them can be read any more."""
        if self.encrypted:
            wipe_files(self.path)
        with suppress(OSError):
            remove_all(self.path)

    def tidy(self) -> None:
        """Overwrite what is not encrypted: a crash may have left it when the gallery was."""
        if self.encrypted:
            wipe_files(self.path, keep={SEALED})


def _about(sealing: Encrypted) -> bytes:
    return b"lineament index\0%b%b" % (sealing.gallery, sealing.version.encode())

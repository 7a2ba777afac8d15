"""The index beside the database: loaded, kept in step by the change log, saved, wiped.

The index on the disk says up to which change it knows the database, and that change's mark, a
random number: an index of another gallery, or of another history of this one (a backup that was
restored), has other marks and is built anew. In the memory it follows its own process's changes
directly, and those of others by ``PRAGMA data_version`` and the change log, before each search.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lineament.errors import GalleryError, IndexFileError, LineamentError, OptionError
from lineament.gallery import filters, lookup
from lineament.gallery._damage import is_corrupt
from lineament.gallery._index_folder import IndexFolder
from lineament.gallery._schema import get, put
from lineament.gallery._store import Store
from lineament.search import Index, open_index, own_kind
from lineament.search.index import Ids
from lineament.types import FloatArray

SAVE_EVERY = 20_000
"""So many changes may have to be taken over when a gallery is opened; then the index is saved."""

DEAD_SHARE, LEAST_DEAD = 0.25, 1000
"""When overwritten samples are deleted: that share of all, and at least so many."""

_TRIES = 3
_NO_STATE = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading a state raises that somebody else wrote."""

MOST_DAMAGED = 1000
"""So many damaged samples are noted beside the index, to be named when it is opened."""


class SyncedIndex:
    """The index of one open gallery. Calls from several threads are safe."""

    def __init__(self, store: Store) -> None:
        """Nothing is read yet: ``open`` does."""
        self._store = store
        self._files = IndexFolder(store)
        self._folder = self._files.path
        self._mutex = threading.RLock()
        self._change = 0
        self._version = -1
        self._behind = False  # an error kept the index from following a change
        self._expecting = False  # this process is changing something
        self._saved_change = -1  # of the files; -1 when there are none of ours
        self._saved_samples = -1  # the largest sample id that may stand in the files
        self._filters: dict[
            tuple[bytes, str | None], tuple[tuple[int, frozenset[int]], lookup.Among]
        ] = {}
        self._index: Index = self._empty()

    def _empty(self) -> Index:
        store = self._store
        return open_index(
            own_kind(store.settings.index),
            dimension=store.contract.dimension,
            contract=store.contract.id,
            name=f"gallery_{store.uid}",
        )

    @property
    def mutex(self) -> threading.RLock:
        """Held over what has to see one state of index and database; taken before the store's."""
        return self._mutex

    # --- opening and saving -----------------------------------------------------------------------

    def open(self) -> None:
        """Load the files and take over what changed since; build anew where that cannot be done."""
        if not self._store.on_disk:
            self.rebuild()
            return
        with self._mutex:
            if not self._is_reader:
                self._files.tidy()
            for _ in range(_TRIES):  # the writer may replace the files while they are read
                if self._load():
                    self.sync(force=True)
                    return
                if not os.path.lexists(self._folder):
                    break
            self.rebuild()
            if not self._store.read_only and len(self._index) >= SAVE_EVERY:
                self._try_to_save()

    def _load(self) -> bool:
        index = self._empty()
        with self._store.reading() as connection:
            most = _largest(connection)
        try:
            state = json.loads(self._files.load(index, most=most))
            gallery, change, mark = state["gallery"], int(state["change"]), state["mark"]
        except (IndexFileError, OptionError, *_NO_STATE):
            return False
        with self._store.reading() as connection:
            if gallery != self._store.uid or mark != _mark(connection, change):
                return False
            largest = _largest(connection)
        self._index, self._change, self._version = index, change, -1
        self._saved_change = change
        if isinstance(state.get("damaged"), list):  # was it mended, or removed?
            pairs = lookup.owners_of(self._store, [n for n in state["damaged"] if type(n) is int])
            lookup.unsound(self._store, [(person, sample) for sample, person in pairs.items()])
        # Without it perhaps more than stand in the files: then they are saved once for nothing.
        saved = state.get("samples")
        self._saved_samples = saved if type(saved) is int else largest
        return True

    def rebuild(self) -> None:
        """Build the index anew from the database, in memory, without what is damaged there."""
        with self._mutex, self._store.reading() as connection:
            self._store.refresh()
            self._store.damage.clear()
            index = self._empty()
            version = self._store.data_version()
            change = _last_change(connection)
            for ids, vectors in lookup.all_vectors(self._store):
                index.add(ids, vectors)
            lookup.note_lost(self._store)
            self._index, self._change, self._version = index, change, version
            self._behind = False
            self._saved_change = -1

    def move(self) -> None:
        """Build the index that the settings now name, and remove what the old one leaves.

        Raises:
            IndexServerError: the old index is on a server that cannot be reached: its vectors are
                still there, and the new index is in place.
        """
        with self._mutex:
            old = self._index
            self._forget_files()
            self.rebuild()
            drop = getattr(old, "drop", None)
            if drop is not None and not self._store.read_only:
                drop()
            old.close()

    def settle(self) -> None:
        """As ``Index.settle``."""
        with self._mutex:
            self._index.settle()

    @property
    def _is_reader(self) -> bool:
        """Whether there are no files that this index writes."""
        return self._store.read_only or not self._store.on_disk

    def save(self) -> int:
        """Bring the files up to date; how many vectors there are."""
        with self._mutex:
            if self._is_reader:
                return len(self._index)
            with self._store.reading() as connection:
                mark = _mark(connection, self._change)
                largest = _largest(connection)
            if not self._store.is_in_place:
                raise GalleryError(
                    f"{self._folder}: the gallery's files were removed, moved or replaced while it "
                    "was open: its index was not written",
                    hint="open the gallery again",
                )
            state: dict[str, Any] = {"gallery": self._store.uid, "change": self._change}
            state |= {"mark": mark, "samples": largest}
            damaged = sorted(self._store.damage.unsearched)
            if damaged:
                state["damaged"] = damaged[:MOST_DAMAGED]
            try:
                self._files.save(self._index, json.dumps(state))
            except (OptionError, IndexFileError):
                self._forget_files()
                raise
            self._saved_change = self._change
            self._saved_samples = largest
            return len(self._index)

    def _try_to_save(self) -> None:
        """The files save time, and the database has it all: a full disk is no error here."""
        try:
            self.save()
        except (LineamentError, OSError):
            self._forget_files()

    def close(self) -> None:
        """Save what is not saved yet."""
        with self._mutex:
            if not (self._is_reader or self._behind or self._is_saved()):
                self._try_to_save()
            self._index.close()

    def _is_saved(self) -> bool:
        """Whether the files have all of it, or nearly all."""
        if self._saved_change in (self._change, -1) or not self._files.encrypted:
            return self._saved_change == self._change
        try:
            with self._store.reading() as connection:
                behind = max(_largest(connection) - self._saved_samples, 0)
        except LineamentError:
            return False
        return self._files.near(behind + self._change - self._saved_change, len(self._index))

    def _forget_files(self) -> None:
        """Remove the index's files; the database has it all."""
        if not self._is_reader and self._store.is_in_place:
            self._files.forget()
            self._saved_change = self._saved_samples = -1

    def check(self) -> list[str]:
        """What is wrong with the index, in words."""
        self.sync()
        try:
            self._index.check()
        except IndexFileError as error:
            return [str(error)]
        n_sound = n_other = 0
        with self._store.reading():
            for ids, vectors in lookup.all_vectors(self._store):
                n_sound += len(ids)
                there, rows = self._index.vectors(ids)
                same = np.isin(ids, there)
                n_other += int((~same).sum())
                n_other += int((rows != vectors[same]).any(axis=1).sum())
        passed_over = np.array(sorted(self._store.damage.unsearched), np.int64)
        extra = len(self._index) - n_sound - len(self._index.vectors(passed_over)[0])
        if n_other or extra > 0:
            return [
                f"{self._folder}: {n_other:,} of {n_sound:,} vectors are not those of the "
                f"database, and {max(extra, 0):,} are too many: run reindex()"
            ]
        return []

    # --- keeping up -------------------------------------------------------------------------------

    def sync(self, *, force: bool = False) -> None:
        """Take over what changed in the database; next to nothing when nothing did."""
        with self._mutex:
            version = self._store.data_version()
            known = version == self._version and not self._expecting and not self._behind
            if known and not force:
                return
            with self._store.reading() as connection:
                self._store.refresh()  # settings may be others now
                last, self._version = _last_change(connection), self._store.data_version()
                self._expecting = False
                if last == self._change and not self._behind:
                    return
                rows = connection.execute(
                    "SELECT number, kind, first, last FROM changes WHERE number > ? "
                    "ORDER BY number",
                    (self._change,),
                ).fetchall()
                unknown = len(rows) != last - self._change or not all(map(_is_change, rows))
                if unknown or self._behind or any(row[1] == "contract" for row in rows):
                    self.rebuild()
                    return
                self._follow(rows)
                self._change = last
            self._save_if_due()

    def _follow(self, rows: Sequence[tuple[int, str, int, int]]) -> None:
        if self._index.follows_writer:
            return
        removed = [row[2] for row in rows if row[1] == "removed"]
        if removed:
            self._store.damage.forget_samples(removed)
            self._index.remove(np.array(removed, np.int64))
        ranges = [[row[2], row[3]] for row in rows if row[1] == "added"]
        joined: list[list[int]] = []
        for first, last in ranges:
            if joined and first == joined[-1][1] + 1:
                joined[-1][1] = last
            else:
                joined.append([first, last])
        for first, last in joined:
            for ids, vectors in lookup.all_vectors(self._store, after=first - 1, last=last):
                self._index.add(ids, vectors)

    def expect(self) -> None:
        """Say before a change by this process, which ``PRAGMA data_version`` does not tell of.

        Whatever interrupts the change between its being durable and its being in the index, the
        next search looks into the log.
        """
        self._expecting = True

    def added(self, change: int, ids: Sequence[int], vectors: FloatArray) -> None:
        """Take over what this process just added: change number ``change``."""
        with self._mutex:
            if change != self._change + 1:
                self.sync(force=True)
                return
            try:
                self._index.add(np.array(ids, np.int64), vectors)
            except BaseException:
                self._behind = True  # it is in the database: the next search reads it there
                raise
            self._change = change
            self._expecting = False
            self._save_if_due()

    def _save_if_due(self) -> None:
        lacking = self._change - max(self._saved_change, 0)
        if lacking < 1 or self._is_reader or not self._files.affordable:
            return
        with self._store.reading() as connection:
            largest = _largest(connection)
        new = largest - max(self._saved_samples, 0)
        if new >= SAVE_EVERY or self._change - self._saved_change >= SAVE_EVERY // 4:
            self._try_to_save()

    # --- erasing ----------------------------------------------------------------------------------

    def finish_erasing(self) -> bool:
        """See that what was removed is gone from all files; False if another process is in the way.

        The database remembers that this is to be done, so that a crash in between changes nothing.
        """
        store = self._store
        with self._mutex:
            self.sync(force=True)
            with store.reading() as connection:
                pending = get(connection, "erasing")
                row = connection.execute("SELECT value FROM totals WHERE name = 'dead'").fetchone()
                dead = row[0] if row is not None and isinstance(row[0], int) else 0
                samples = lookup.totals(store)[1]
            if pending is None:
                return True
            self._wipe_files()
            if pending == "vacuum" or (
                dead >= LEAST_DEAD and dead >= DEAD_SHARE * (samples + dead)
            ):
                store.vacuum()
            if not store.empty_log():
                return False
            with store.writing() as connection:
                connection.execute("DELETE FROM settings WHERE name = 'erasing'")
            return self._index.compact()

    def _wipe_files(self) -> None:
        """What stands in the index's files and was removed, for whoever removed it."""
        if self._saved_change == self._change:
            return
        with self._store.reading() as connection:
            removed = connection.execute(
                "SELECT count(*) FROM changes WHERE number > ? AND kind IN ('removed', 'contract')",
                (self._saved_change,),
            ).fetchone()[0]
        if self._saved_change < 0:
            self._forget_files()
        elif removed and not self._files.encrypted:
            self._try_to_save()
        elif removed:
            self._forget_files()
            if self._files.affordable and len(self._index) >= SAVE_EVERY:
                self._try_to_save()

    def compact(self) -> None:
        """Delete what was overwritten, and write the database's file anew."""
        with self._mutex:
            with self._store.writing() as connection:
                put(connection, "erasing", "vacuum")
            self.finish_erasing()

    # --- searching --------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many vectors there are."""
        return len(self._index)

    def search(
        self, queries: FloatArray, k: int, allowed: Ids | None = None
    ) -> tuple[Ids, FloatArray]:
        """As ``Index.search``; damaged files are replaced by an index built anew."""
        try:
            return self._index.search(queries, k, allowed=allowed)
        except IndexFileError:
            with self._mutex:
                if not self._load():
                    self.rebuild()
                self.sync(force=True)
            try:
                return self._index.search(queries, k, allowed=allowed)
            except IndexFileError:
                self.rebuild()
                return self._index.search(queries, k, allowed=allowed)

    def allowed(self, where: Mapping[str, Any] | None, purpose: str | None = None) -> lookup.Among:
        """The samples of people with such metadata, and with consents for a purpose."""
        key = (
            filters.key({} if where is None else where),
            None if purpose is None else purpose.casefold(),
        )
        with self._mutex:
            kept = self._filters.get(key)
            state = self._change, lookup.expired(self._store)
            if kept is not None and kept[0] == state:
                return kept[1]
            found = lookup.samples_where(self._store, where, purpose)
            if len(self._filters) >= 16:
                self._filters.clear()
            self._filters[key] = (state, found)
            return found


def _is_change(row: tuple[Any, ...]) -> bool:
    """Whether a row of the log is one that ``log_change`` writes; others may have."""
    return isinstance(row[1], str) and all(
        isinstance(number, int) and 0 <= number < 1 << 62 for number in row[2:]
    )


def _last_change(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT max(number) FROM changes").fetchone()[0]
    return 0 if found is None else int(found)


def _largest(connection: sqlite3.Connection) -> int:
    """The largest number of a sample, removed ones among them: there are no more than so many."""
    try:
        found = connection.execute("SELECT max(id) FROM samples").fetchone()[0]
    except sqlite3.Error as error:
        if not is_corrupt(error):
            raise
        found = connection.execute("SELECT max(sample) FROM vectors").fetchone()[0]
    return 0 if found is None else int(found)


def _mark(connection: sqlite3.Connection, change: int) -> int | None:
    """The mark of a change; None when it is not in the log. Change 0 is the empty gallery: 0."""
    if change == 0:
        return 0
    if not 0 < change < 1 << 63:
        return None
    row = connection.execute("SELECT mark FROM changes WHERE number = ?", (change,)).fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else None

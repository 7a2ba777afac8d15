"""A gallery that exists is encrypted, decrypted, or given other keys.

All values are rewritten in one transaction, so that a crash leaves the one state or the other. What
was written before still stands in gaps of the file, in its log and in the index's files; the same
transaction notes that this is to be erased, as after a removal (``SyncedIndex.finish_erasing``);
who opens the gallery for writing next does it where a crash was in between.

What is damaged stays so: its checksum is not written anew, and what cannot be decrypted is left as
it is.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable

from lineament.errors import GalleryKeyError, OptionError
from lineament.gallery import _sealing as sealing
from lineament.gallery._damage import pages
from lineament.gallery._once import sound_notes
from lineament.gallery._rejections import sound_negatives
from lineament.gallery._schema import (
    DETAILS,
    DETAILS_FROM,
    IDENTITY,
    IDENTITY_FROM,
    PERSON,
    PERSON_FROM,
    TERMS,
    ask_erasing,
    keyed,
    photo_key,
    put,
    put_all,
    register,
    reseal_samples,
    seal_person,
    seal_rejected,
    seal_requests,
    seal_terms,
)
from lineament.gallery._sealing import FIELDS, Encrypted, Open, Sealing
from lineament.gallery._state import GalleryState
from lineament.gallery._store import PSEUDONYMS, Store, refuse_server
from lineament.gallery.keys import Key
from lineament.sealed import KEY

_BLOCK = 512
"""Rows that are read at once."""

Progress = Callable[[int, int], None]


def encrypt(state: GalleryState, key: Key, progress: Progress | None = None) -> bool:
    """Encrypt a gallery; see ``Gallery.encrypt``."""
    store = state.store
    if not store.on_disk:
        raise OptionError(
            "expected a gallery in a folder, got one in memory: nothing of it is on a disk",
            option="gallery",
        )
    if store.sealing.encrypted:
        raise GalleryKeyError(
            f"{store.folder}: the gallery is encrypted already", hint="{rotate_key}"
        )
    refuse_server(store.settings.index)
    own = sealing.made()
    row = sealing.wrapped(own, key.read())
    return _change(state, own, row, key, progress)


def decrypt(state: GalleryState, progress: Progress | None = None) -> None:
    """Write everything as it is; see ``Gallery.decrypt``."""
    _required(state.store)
    _change(state, Open(), None, None, progress)


def rotate(
    state: GalleryState, key: Key, *, reencrypt: bool = False, progress: Progress | None = None
) -> bool:
    """Give a gallery another key; see ``Gallery.rotate_key``."""
    store = state.store
    own = _required(store)
    data = key.read()
    if reencrypt:
        new = sealing.made(own.gallery)
        return _change(state, new, sealing.wrapped(new, data), key, progress)
    with state.index.mutex:
        with store.writing() as connection:
            put(connection, sealing.ROW, sealing.wrapped(own, data))  # as long as it was
            ask_erasing(connection)
        store.take(key, own, store.secret)
        return state.index.finish_erasing()


def _required(store: Store) -> Encrypted:
    if not isinstance(store.sealing, Encrypted):
        raise GalleryKeyError(f"{store.folder}: the gallery is not encrypted", hint="{encrypt}")
    return store.sealing


def _change(
    state: GalleryState, new: Sealing, row: str | None, key: Key | None, progress: Progress | None
) -> bool:
    """Rewrite everything with another sealing and another secret; whether the old is erased.

    Args:
        state: of the gallery.
        new: how values are written from now on.
        row: of the settings, which says so; None: they are not encrypted.
        key: with which the gallery is opened from now on.
        progress: called with (rows rewritten, all rows).
    """
    store = state.store
    with state.index.mutex:
        state.index.sync()
        secret, first = secrets.token_bytes(KEY), store.pseudonym_key()
        with store.writing() as connection:
            try:
                _rewrite(store, connection, new, secret, progress)
                if isinstance(new, Encrypted):
                    assert row is not None
                    sealed = sealing.sealed_secret(new, secret)
                    put_all(connection, {sealing.ROW: row, "secret": sealed})
                    put(connection, PSEUDONYMS, sealing.sealed_secret(new, first))
                else:
                    connection.execute("DELETE FROM settings WHERE name = ?", (sealing.ROW,))
                    put_all(connection, {"secret": secret.hex()})
                    put(connection, PSEUDONYMS, first.hex())
                put(connection, "erasing", "vacuum")
            except BaseException:
                store.sealing.register(connection)
                register(connection, store.secret)
                raise
        store.take(key, new, secret)
        state.index.rebuild()
        return state.index.finish_erasing()


def _rewrite(
    store: Store,
    connection: sqlite3.Connection,
    new: Sealing,
    secret: bytes,
    progress: Progress | None,
) -> None:
    """All values and what is computed from them, inside ``writing``."""
    store.delete_overwritten(connection)
    samples = connection.execute(
        f"SELECT o.sample, k.identity IS {IDENTITY}, k.details IS {DETAILS} FROM {IDENTITY_FROM} "
        f"{DETAILS_FROM} JOIN checksums k ON k.sample = o.sample"
    ).fetchall()
    people = connection.execute(
        f"SELECT p.id FROM {PERSON_FROM} JOIN person_checksums y ON y.person = p.id WHERE "
        f"y.checksum = {PERSON}"
    ).fetchall()
    terms = connection.execute(
        f"SELECT t.person FROM terms t WHERE t.checksum = {TERMS}"
    ).fetchall()
    negatives, notes = sound_negatives(connection), sound_notes(connection)
    names = connection.execute(
        f"SELECT p.id, {store.column('l.name')}, p.name_key FROM people p JOIN labels l ON "
        "l.id = p.label"
    ).fetchall()
    photos = connection.execute(
        f"SELECT {store.column('s.sha256')}, o.person, s.id FROM samples s JOIN owners o ON "
        "o.sample = s.id"
    ).fetchall()
    old_key, new_key = keyed(store.secret), keyed(secret)
    for number, name, key in names:
        if isinstance(name, str):
            data = name.encode("utf-8", "surrogateescape")
            if old_key(data) == key:  # else it is damaged
                values = (new_key(data), number)
                connection.execute("UPDATE people SET name_key = ? WHERE id = ?", values)
    key_of = photo_key(secret)
    connection.execute("DELETE FROM photographs")
    connection.executemany(
        "INSERT OR IGNORE INTO photographs VALUES (?, ?, ?)",
        [(key_of(sha256), *owner) for sha256, *owner in photos if isinstance(sha256, bytes)],
    )
    _rewrite_values(store, connection, new, progress)
    new.register(connection)
    register(connection, secret)
    for number in people:
        seal_person(connection, number[0])
    for number in terms:
        seal_terms(connection, number[0])
    seal_rejected(connection, negatives)
    seal_requests(connection, notes)
    sound = [number for number, fits, _ in samples if fits], [row[0] for row in samples if row[2]]
    for start in range(0, max(map(len, sound)), _BLOCK):
        some = sound[0][start : start + _BLOCK], sound[1][start : start + _BLOCK]
        reseal_samples(connection, some)


def _rewrite_values(
    store: Store, connection: sqlite3.Connection, new: Sealing, progress: Progress | None
) -> None:
    old = store.sealing
    counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in FIELDS]
    done, total = 0, sum(counts)
    for table, (key, columns) in FIELDS.items():
        settings = ", ".join(f"{column} = ?" for column in columns)

        def after(number: int, table: str = table, key: str = key) -> list[int]:
            query = f"SELECT {key} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT ?"
            return [row[0] for row in connection.execute(query, (number, _BLOCK))]

        for numbers in pages(after):
            rows = connection.execute(
                f"SELECT {key}, {', '.join(columns)} FROM {table} WHERE {key} BETWEEN ? AND ?",
                (numbers[0], numbers[-1]),
            ).fetchall()
            changed = []
            for number, *values in rows:
                found = []
                for column, value in zip(columns, values, strict=True):
                    plain = old.unseal(table, column, number, value)
                    if isinstance(plain, (str, bytes)):  # else there is nothing, or it is damaged
                        value = new.seal(table, column, number, plain)
                    found.append(value)
                changed.append((*found, number))
            connection.executemany(f"UPDATE {table} SET {settings} WHERE {key} = ?", changed)
            done += len(rows)
            if progress is not None:
                progress(done, total)

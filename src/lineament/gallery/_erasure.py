"""People erased for good, and what says so.

The person is overwritten and removed, the database is written anew without what was overwritten,
the log is cut, the index follows; then every byte of the folder is searched for what was there.
The first of these steps notes, in the same transaction, that the others are to follow: after a
crash the next who opens the gallery for writing does them.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from lineament.datasets.kept import forget_photos
from lineament.errors import GalleryError, GalleryLockedError, LineamentError, UnknownPersonError
from lineament.gallery import _editing as editing
from lineament.gallery import _once as once
from lineament.gallery import lookup
from lineament.gallery._leftovers import Needles, Searched, of_others, search
from lineament.gallery._place import stray
from lineament.gallery._schema import get, put
from lineament.gallery._sealing import FIELDS
from lineament.gallery._state import GalleryState
from lineament.gallery._store import DATABASE, Store
from lineament.gallery.receipts import Reason, Receipt
from lineament.gallery.values import normal_name
from lineament.search import SERVERS
from lineament.signing import SigningKey
from lineament.suggest import folded
from lineament.text import reason_of

_KINDS = {
    ("labels", "name"): "name",
    ("labels", "metadata"): "metadata",
    ("consents", "record"): "consent",
    ("negatives", "source"): "photo's name",
    ("negatives", "sha256"): "photo's hash",
    ("negatives", "vector"): "vector",
    ("samples", "source"): "photo's name",
    ("samples", "sha256"): "photo's hash",
    ("samples", "face"): "face's place",
    ("samples", "metadata"): "sample's metadata",
    ("vectors", "vector"): "vector",
    ("crops", "png"): "crop",
}
"""What the columns hold, in words."""


def pseudonym(store: Store, name: str) -> str:
    """See ``Gallery.pseudonym``."""
    text = folded(normal_name(name)).encode("utf-8", "surrogatepass")
    data = b"lineament person\0" + text
    return hmac.new(store.pseudonym_key(), data, hashlib.sha256).hexdigest()


def erase(
    state: GalleryState, name: str, key: SigningKey | None, *, absent: bool = False
) -> Receipt:
    """Erase a person; see ``Gallery.erase``."""
    store = state.store
    number = lookup.find_person(store, name, even_expired=True)
    if number is None and not absent:
        with suppress(UnknownPersonError):
            lookup.required_person(store, name)
        raise UnknownPersonError(
            f"{name!r:.200}: nobody of that name is in the gallery",
            hint="{absent}",
        )
    people = {} if number is None else {number: "request"}
    spelled = normal_name(name)
    if number is not None:
        spelled = lookup.one_person(store, number).name
    receipts = _erase(state, people, key, {} if number is not None else {spelled: "absent"})
    return receipts[0]


def expire(state: GalleryState, key: SigningKey | None) -> list[Receipt]:
    """Erase all who expired; see ``Gallery.expire``."""
    with state.index.mutex:
        gone = sorted(lookup.expired(state.store))
        return _erase(state, dict.fromkeys(gone, "expired"), key, {}) if gone else []


def _erase(
    state: GalleryState,
    people: Mapping[int, Reason | str],
    key: SigningKey | None,
    names: Mapping[str, Reason | str],
) -> list[Receipt]:
    """Erase people by number, and look for ``names`` of nobody."""
    store, index = state.store, state.index
    with index.mutex:
        index.sync()
        needles = Needles()
        whose: list[tuple[str, Reason | str, int]] = []
        photos: list[tuple[str, bytes | None]] = []
        for number, reason in people.items():
            name = lookup.one_person(store, number).name
            samples = _collect(store, number, needles)
            photos += lookup.photos_of_person(store, number)
            whose.append((pseudonym(store, name), reason, samples))
        for name, reason in names.items():
            needles.add("name", name)
            needles.add("key", store.key(name.encode("utf-8", "surrogatepass")))
            whose.append((pseudonym(store, name), reason, 0))
        with state.changing(), store.writing() as connection:
            for number in people:
                editing.drop_person(store, connection, number)
            put(connection, "erasing", "vacuum")
        with store.reading() as connection:
            pending = get(connection, "erasing")
        if pending is not None or not store.empty_log():
            raise GalleryLockedError(
                f"{state.folder}: {'they are' if len(people) > 1 else 'the person is'} removed, "
                "but another process reads an older state of the gallery, whose bytes have to stay "
                "until it is done: there is no receipt yet",
                hint="end that process, then {absent}",
            )
        removed = store.clock()
        try:
            uncached = forget_photos(photos)
        except (LineamentError, OSError, ValueError):  # the cache folder cannot be written to
            uncached = 0
        searched, found = _search(state, needles)
        checked = store.clock()
    return [
        Receipt(
            gallery=store.uid,
            person=person,
            reason=reason,  # type: ignore[arg-type]
            n_samples=samples,
            removed=removed,
            checked=checked,
            n_files=searched.n_files,
            n_bytes=searched.n_bytes,
            searched=dict(needles.values),
            found=tuple(found),
            n_uncached=uncached,
            on_server=store.settings.index.partition("+")[0].partition(":")[0] in SERVERS,
        ).signed(key)
        for person, reason, samples in whose
    ]


# --- what there was -------------------------------------------------------------------------------


def _collect(store: Store, number: int, needles: Needles) -> int:
    """Take what says who a person is from the database; how many samples there are."""
    with store.reading() as connection:
        samples = lookup.samples_of_person(store, number, all_contracts=True)
        (label, key) = connection.execute(
            "SELECT label, name_key FROM people WHERE id = ?", (number,)
        ).fetchone()
        consents = connection.execute("SELECT consent FROM consented WHERE person = ?", (number,))
        negatives = connection.execute("SELECT negative FROM rejected WHERE person = ?", (number,))
        rows = {
            "labels": [label],
            "negatives": [row[0] for row in negatives.fetchall()],
            "consents": [row[0] for row in consents],
            "samples": samples,
            "vectors": samples,
            "crops": samples,
        }
        needles.add("key", key)
        for token in once.tokens_of(connection, number, samples):
            needles.add("key", token)
        for table, numbers in rows.items():
            _collect_rows(store, table, numbers, needles)
        uids = connection.execute(
            "SELECT uid FROM samples WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(samples),),
        )
        for (uid,) in uids:
            needles.add("key", uid)
        keys = connection.execute(
            "SELECT p.photo_key FROM photographs p WHERE p.person = ? AND NOT EXISTS (SELECT 1 "
            "FROM photographs o WHERE o.photo_key = p.photo_key AND o.person <> p.person)",
            (number,),
        )
        for (photo_key,) in keys:
            if isinstance(photo_key, int) and photo_key >= 1 << 47:  # SQLite has it in 8 bytes
                needles.add("key", photo_key.to_bytes(8, "big"))
    return len(samples)


def _collect_rows(store: Store, table: str, numbers: Sequence[int], needles: Needles) -> None:
    key, columns = FIELDS[table]
    found = store.connection.execute(
        f"SELECT {key}, {', '.join(columns)} FROM {table} WHERE {key} IN "
        "(SELECT value FROM json_each(?))",
        (json.dumps(list(numbers)),),
    )
    for number, *values in found:
        for column, value in zip(columns, values, strict=True):
            kind = _KINDS[table, column]
            needles.add(kind, value)
            if store.sealing.encrypted:
                needles.add(kind, store.unseal(table, column, number, value))


# --- what is left ---------------------------------------------------------------------------------


def _search(state: GalleryState, needles: Needles) -> tuple[Searched, list[str]]:
    """Search all files; where something is left, in words."""
    store = state.store
    if not store.on_disk:
        return Searched(0, 0, {}), []
    start, _, end = stray(DATABASE, "\0").partition("\0")
    for path in store.folder.glob(f"{start}*{end}"):  # of a creation that a crash interrupted
        path.unlink(missing_ok=True)
    try:
        searched = search(store.folder, needles)
        if any(file.startswith("index") for file in searched.found):
            state.index.rebuild()
            state.index.save()
            searched = search(store.folder, needles)
    except OSError as error:
        raise GalleryError(
            f"{store.folder}: what was erased is gone from the database, but not all files of the "
            f"folder can be searched ({reason_of(error)}): there is no receipt",
            hint="check their rights, then {absent}",
        ) from error
    found = []
    others: dict[bytes, int] = {}
    for file, hits in searched.found.items():
        left: dict[str, int] = {}
        for piece, count in hits.items():
            if piece not in others:
                others[piece] = of_others(store, piece)
            allowed = others[piece]
            if file != DATABASE and allowed and file.startswith("index"):
                continue  # the same vector of somebody who is enrolled
            if count > allowed:
                kind = needles.kinds[piece]
                left[kind] = left.get(kind, 0) + count - allowed
        found += [f"{file}: {kind} ({count})" for kind, count in left.items()]
    return searched, found

"""What was made under a token: the same request, sent again, makes nothing a second time.

The note stands in the transaction of the change itself, so that after a crash either both are
there or neither. It has no words of anybody: a keyed hash of the token, when it was, the numbers of
the samples that were added or of the person that was changed, and for each photo whether it was
added or a code of why it was refused. It goes with the last of these samples, with the person, and
after ``ONCE_KEPT_S`` seconds.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec

from lineament.errors import GalleryDamagedError, GalleryError, OptionError
from lineament.gallery import lookup
from lineament.gallery._schema import REQUESTED, seal_requests
from lineament.gallery._store import Store
from lineament.gallery._types import NewSample, Refusal, SampleInfo
from lineament.gallery.values import ONCE_KEPT_S

LONGEST_TOKEN = 1024
_OUTCOME = msgspec.json.Decoder(tuple[bool, tuple[str | None, ...]])
_GENERIC = "it was refused when this request came the first time"


class Made(NamedTuple):
    """What was made under a token.

    Attributes:
        created: whether the person was new.
        first, last: numbers of the samples that were added; 0 and 0: none was.
        reasons: for each photo why it was refused; None: it was added.
        person: number of the person that was changed; None where it was samples.
    """

    created: bool
    first: int
    last: int
    reasons: tuple[str | None, ...]
    person: int | None = None


def checked_token(once: str | bytes | None) -> bytes | None:
    """A token as bytes. OptionError: it is empty or too long."""
    if once is None:
        return None
    data = once.encode("utf-8", "surrogatepass") if isinstance(once, str) else bytes(once)
    if not 0 < len(data) <= LONGEST_TOKEN:
        raise OptionError(f"expected 1 to {LONGEST_TOKEN} bytes, got {len(data)}", option="once")
    return data


def _key(store: Store, token: bytes) -> bytes:
    """Its hash, which stays the same when the gallery is encrypted or given other keys."""
    return hashlib.blake2b(
        token, key=store.pseudonym_key(), person=b"lineament once", digest_size=32
    ).digest()


def made_before(store: Store, token: bytes, n_photos: int | None = None) -> Made | None:
    """What was made under a token; None: nothing.

    Args:
        store: the gallery's.
        token: as it was given.
        n_photos: how many photos the request has; None where it has none.

    Raises:
        GalleryError: it was another request.
        GalleryDamagedError: the note is damaged.
    """
    with store.reading() as connection:
        row = connection.execute(
            "SELECT q.id, q.made, q.first, q.last, q.person, q.outcome, q.checksum IS "
            f"{REQUESTED} FROM requests q WHERE q.token = ?",
            (_key(store, token),),
        ).fetchone()
    if row is None:
        return None
    number, when, first, last, person, outcome, sound = row
    if not sound:
        raise _damaged(store, number)
    if when < store.clock() - ONCE_KEPT_S:
        return None
    try:
        created, reasons = _OUTCOME.decode(outcome)
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError) as error:
        raise _damaged(store, number) from error
    n_added = reasons.count(None)
    if person is None and (last - first + 1 if first else 0) != n_added:
        raise _damaged(store, number)
    if (person is None) != (n_photos is not None) or n_photos not in (None, len(reasons)):
        raise GalleryError(
            "expected the same request as before under this token, got another one",
            option="once",
            hint="use a new token for each new request",
        )
    return Made(created, first, last, reasons, person)


def _damaged(store: Store, number: int) -> GalleryDamagedError:
    return GalleryDamagedError(
        f"{store.path}: the note of what this request made, when it came before, is damaged (note "
        f"{number}): nothing was changed",
        hint="look whether it is there; reindexing deletes such notes",
    )


def note(store: Store, connection: sqlite3.Connection, token: bytes, made: Made) -> None:
    """Note what was made; inside the transaction that makes it. Old notes go."""
    now = store.clock()
    key = _key(store, token)
    connection.execute("DELETE FROM requests WHERE made < ? OR token = ?", (now - ONCE_KEPT_S, key))
    added = connection.execute(
        "INSERT INTO requests (token, made, first, last, person, outcome, checksum) VALUES "
        "(?, ?, ?, ?, ?, ?, 0)",
        (key, float(now), made.first, made.last, made.person,
         json.dumps([made.created, list(made.reasons)])),
    ).lastrowid  # fmt: skip
    assert added is not None
    seal_requests(connection, [added])


def samples_again(store: Store, made: Made) -> list[SampleInfo]:
    """The samples that were added. GalleryError: some were removed since, or expired."""
    numbers = list(range(made.first, made.last + 1)) if made.last else []
    found = lookup.samples_of(store, numbers)
    gone = lookup.expired(store)
    if gone:
        owners = lookup.owners_of(store, numbers)
        found = [one for one in found if owners.get(one.id) not in gone]
    if len(found) < len(numbers):
        raise GalleryError(
            f"this request was done before, and {len(numbers) - len(found):,} of the "
            f"{len(numbers):,} samples that it added are gone since: nothing was changed",
            option="once",
            hint="use a new token to enroll them again",
        )
    return found


def refusal_again(reason: str, photo: NewSample | Refusal, name: str) -> Refusal:
    """The refusal of a photo that was refused the first time; the words may be other ones."""
    if isinstance(photo, Refusal) and photo.reason == reason:
        return replace(photo, person=name)
    return Refusal(photo.source, reason, _GENERIC, name)  # type: ignore[arg-type]


# --- the ends of notes ----------------------------------------------------------------------------


def drop_of_samples(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete the notes of which no sample is left; the samples are removed already."""
    for note_id, _, first, last in _notes_of_samples(connection, numbers):
        left = connection.execute(
            "SELECT 1 FROM owners WHERE sample BETWEEN ? AND ? LIMIT 1", (first, last)
        ).fetchone()
        if left is None:
            connection.execute("DELETE FROM requests WHERE id = ?", (note_id,))


def drop_of_person(connection: sqlite3.Connection, number: int) -> None:
    """Delete the notes of changes of a person, who is removed."""
    connection.execute("DELETE FROM requests WHERE person = ?", (number,))


def give_requests(connection: sqlite3.Connection, number: int, other: int) -> None:
    """A person is another one: changes of ``other`` were changes of ``number``."""
    sound = _notes_where(connection, f"q.person = ? AND q.checksum IS {REQUESTED}", other)
    connection.execute("UPDATE requests SET person = ? WHERE person = ?", (number, other))
    seal_requests(connection, sound)


def tokens_of(connection: sqlite3.Connection, person: int, samples: Sequence[int]) -> list[bytes]:
    """The hashes of the tokens under which a person, or samples of theirs, were changed."""
    found = [
        row[0]
        for row in connection.execute("SELECT token FROM requests WHERE person = ?", (person,))
    ]
    found += [token for _, token, _, _ in _notes_of_samples(connection, samples)]
    return list(dict.fromkeys(found))


def _notes_of_samples(
    connection: sqlite3.Connection, numbers: Sequence[int]
) -> list[tuple[int, bytes, int, int]]:
    """Id, token, and first and last sample of the notes that these samples came under, once each.

    Each sample came under one note at most, so it is that which begins next before it.
    """
    found = {}
    for number in numbers:
        row = connection.execute(
            "SELECT id, token, first, last FROM requests WHERE first BETWEEN 1 AND ? "
            "ORDER BY first DESC LIMIT 1",
            (number,),
        ).fetchone()
        if row is not None and number <= row[3]:
            found[row[0]] = row
    return list(found.values())


def sound_notes(connection: sqlite3.Connection) -> list[int]:
    """Numbers of the notes that are what was written."""
    return _notes_where(connection, f"q.checksum IS {REQUESTED}")


def damaged_notes(connection: sqlite3.Connection) -> list[int]:
    """Numbers of the notes that are not what was written."""
    return _notes_where(connection, f"q.checksum IS NOT {REQUESTED}")


def _notes_where(connection: sqlite3.Connection, condition: str, *values: int) -> list[int]:
    query = f"SELECT q.id FROM requests q WHERE {condition} ORDER BY q.id"
    return [row[0] for row in connection.execute(query, values)]


def drop_damaged(connection: sqlite3.Connection) -> None:
    """Delete the notes that are not what was written."""
    for number in damaged_notes(connection):
        connection.execute("DELETE FROM requests WHERE id = ?", (number,))

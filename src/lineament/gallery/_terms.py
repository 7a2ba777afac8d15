"""What holds for a person, in SQL: consents, and until when they are kept.

Functions that take a connection are part of the caller's transaction.
"""

from __future__ import annotations

import sqlite3

from lineament.errors import ConsentError
from lineament.gallery import _once as repeats
from lineament.gallery import lookup
from lineament.gallery._blanking import blank
from lineament.gallery._schema import ask_erasing, log_change, seal_person, seal_terms
from lineament.gallery._store import Store
from lineament.gallery._types import PersonInfo, Settings
from lineament.gallery.consent import Consent, as_record, checked_moment, first_end


def add_terms(store: Store, connection: sqlite3.Connection, number: int) -> None:
    """The row of a person who was just added: no consent, no end."""
    connection.execute("INSERT INTO terms VALUES (?, NULL, NULL, 0)", (number,))
    seal_terms(connection, number)
    store.kept_expired = None


def add_consent(
    store: Store, connection: sqlite3.Connection, number: int, consent: Consent
) -> None:
    """Add a record to those of a person, unless the very same is there."""
    if consent in lookup.check_person(store, number).consents:
        return
    row = store.next_row(connection, "consents")
    record = store.seal("consents", "record", row, as_record(consent))
    connection.execute("INSERT INTO consents VALUES (?, ?)", (row, record))
    connection.execute("INSERT INTO consented VALUES (?, ?)", (row, number))
    _end_anew(store, connection, number)


def drop_consents(store: Store, connection: sqlite3.Connection, number: int) -> None:
    """Overwrite the records of a person."""
    rows = connection.execute("SELECT consent FROM consented WHERE person = ?", (number,))
    for (consent,) in rows.fetchall():
        connection.execute("DELETE FROM consented WHERE consent = ?", (consent,))
        blank(connection, "consents", "id", consent)
    ask_erasing(connection)


def drop_terms(store: Store, connection: sqlite3.Connection, number: int) -> None:
    """Overwrite all of it, of a person who is removed."""
    drop_consents(store, connection, number)
    connection.execute("DELETE FROM terms WHERE person = ?", (number,))
    store.kept_expired = None


def unite_terms(store: Store, connection: sqlite3.Connection, number: int, other: int) -> None:
    """Give a person the consents of another one, who is the same, and the earlier end of both."""
    connection.execute("UPDATE consented SET person = ? WHERE person = ?", (number, other))
    ends = "SELECT min(kept_until) FROM terms WHERE person IN (?, ?)"
    (end,) = connection.execute(ends, (number, other)).fetchone()
    keep_until(store, connection, number, end)
    if store.settings.retention_days is not None:  # it counts from the first enrollment of both
        connection.execute(
            "UPDATE people SET created = (SELECT min(created) FROM people WHERE id IN (?1, ?2)) "
            "WHERE id = ?1",
            (number, other),
        )
        seal_person(connection, number)


def keep_until(
    store: Store, connection: sqlite3.Connection, number: int, when: float | None
) -> None:
    """Give a person an end of their own, or take it away."""
    connection.execute("UPDATE terms SET kept_until = ? WHERE person = ?", (when, number))
    _end_anew(store, connection, number)


def _end_anew(store: Store, connection: sqlite3.Connection, number: int) -> None:
    """Write anew what follows from the terms of a person that were just changed."""
    rows = connection.execute(
        "SELECT r.id, r.record FROM consented n JOIN consents r ON r.id = n.consent WHERE "
        "n.person = ?",
        (number,),
    ).fetchall()
    consents = [lookup.consent_of(store, *row) for row in rows]
    (own,) = connection.execute(
        "SELECT kept_until FROM terms WHERE person = ?", (number,)
    ).fetchone()
    connection.execute(
        "UPDATE terms SET expires = ? WHERE person = ?", (first_end(own, consents), number)
    )
    seal_terms(connection, number)
    store.kept_expired = None
    log_change(connection, "person", number, number)


# --- whole changes --------------------------------------------------------------------------------


def set_consent(
    store: Store, name: str, consent: Consent | None, *, add: bool, once: bytes | None = None
) -> int:
    """Put a record in the place of a person's; their number. See ``Gallery.set_consent``."""
    if once is not None and (made := repeats.made_before(store, once)) is not None:
        assert made.person is not None
        return made.person
    check_consent(store.settings, consent, name)
    if consent is None and store.settings.require_consent:
        raise ConsentError(
            f"{name!r}: this gallery keeps nobody without a consent: nothing was changed",
            hint="remove the person, or give the consent that takes its place",
        )
    with store.writing() as connection:
        number = lookup.required_person(store, name)
        lookup.check_person(store, number)
        if not add:
            drop_consents(store, connection, number)
            _end_anew(store, connection, number)
        if consent is not None:
            add_consent(store, connection, number, consent)
        if once is not None:
            repeats.note(store, connection, once, repeats.Made(False, 0, 0, (), number))
    return number


def set_end(store: Store, name: str, when: float | None) -> None:
    """Give a person an end of their own; see ``Gallery.keep_until``."""
    if when is not None:
        checked_moment(when, "when")
    with store.writing() as connection:
        number = lookup.required_person(store, name)
        lookup.check_person(store, number)
        keep_until(store, connection, number, None if when is None else float(when))


def check_consent(settings: Settings, consent: Consent | None, name: str) -> None:
    """ConsentError: a consent does not allow what the gallery is for."""
    if consent is None or settings.purpose is None or consent.allows(settings.purpose):
        return
    raise ConsentError(
        f"{name!r}: this gallery is for {settings.purpose!r}, and the consent "
        f"{consent.reference!r} is for {', '.join(map(repr, consent.purposes))}: nothing was "
        "changed",
        hint="ask for that purpose, or use another gallery",
    )


def check_enrolled(
    settings: Settings, name: str, person: PersonInfo | None, consent: Consent | None
) -> None:
    """ConsentError: somebody who is to be enrolled has no consent, or none for the purpose.

    Args:
        settings: of the gallery.
        name: of the person.
        person: as it stands in the gallery; None: it is new.
        consent: that is given now.
    """
    known = () if person is None else person.consents
    for one in (*known, *([] if consent is None else [consent])):
        check_consent(settings, one, name)
    if settings.require_consent and consent is None and not known:
        raise ConsentError(
            f"{name!r}: this gallery takes nobody without a consent: nobody was enrolled",
            hint="{consent}",
        )

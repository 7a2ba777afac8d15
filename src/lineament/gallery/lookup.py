"""People and samples in SQL, read. ``changes`` is the other half."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lineament.errors import GalleryDamagedError, OptionError, UnknownPersonError
from lineament.gallery import filters
from lineament.gallery._damage import (
    LEAST_ID,
    NOT_WRITTEN,
    UNREADABLE,
    is_corrupt,
    kept_vectors,
    pages,
    read_around,
)
from lineament.gallery._schema import (
    DETAILS,
    DETAILS_FROM,
    IDENTITY,
    IDENTITY_FROM,
    PERSON,
    PERSON_FROM,
    RECORDS,
    TERMS,
    identity_of,
    read_contract,
)
from lineament.gallery._store import Store
from lineament.gallery._types import PersonInfo, SampleInfo
from lineament.gallery.consent import DAY_S, Consent, first_end, read_consent
from lineament.gallery.values import (
    LATEST,
    LONGEST_NAME,
    Seen,
    checked_name,
    checked_time,
    decode_seen,
    normal_name,
    read_metadata,
    read_time,
)
from lineament.suggest import MOST_NAMES, did_you_mean, folded, similar_names
from lineament.text import in_short, stored
from lineament.types import Contract, Embedding, FloatArray, Quality

_CHUNK = 16384
_MOST_TEXTS = 200_000
"""People whose decrypted metadata are kept: some 60 MB."""
_TINY = 1e-9
"""In place of a length that cannot be read: its photo counts least."""
_PERSON = (
    f"p.created, y.checksum IS {PERSON}, (SELECT count(*) FROM owners o "
    f"WHERE o.person = p.id AND o.contract = ?), t.kept_until, t.checksum IS {TERMS}, {RECORDS}"
)
_PEOPLE = (
    f"{PERSON_FROM} LEFT JOIN person_checksums y ON y.person = p.id LEFT JOIN terms t ON "
    "t.person = p.id"
)
_SAMPLE = f"x.png IS NOT NULL, p.id, s.contract, k.details, {DETAILS}"
_JOINED = (
    f"{IDENTITY_FROM} {DETAILS_FROM} LEFT JOIN labels l ON l.id = p.label "
    "LEFT JOIN checksums k ON k.sample = o.sample"
)


def _person_columns(store: Store) -> str:
    """What ``_person_info`` reads, as SQL over ``_PEOPLE``."""
    return f"p.id, {store.column('l.name')}, {store.column('l.metadata')}, {_PERSON}"


def _sample_columns(store: Store) -> str:
    """What ``_sample_info`` reads, as SQL over ``_JOINED``."""
    name, source, sha256, face, metadata = map(
        store.column, ("l.name", "s.source", "s.sha256", "s.face", "s.metadata")
    )
    return (
        f"o.sample, {name}, o.contract, {source}, {sha256}, {face}, s.added, {metadata}, {_SAMPLE}"
    )


def totals(store: Store) -> tuple[int, int]:
    """How many people, and how many samples of the gallery's contract; without the expired."""
    with store.reading():
        people, samples = _noted_totals(store)
        gone = expired(store)
        if gone:
            theirs = _samples_of_expired(store, gone)
            people, samples = max(0, people - len(gone)), max(0, samples - theirs)
        return people, samples


def _samples_of_expired(store: Store, gone: frozenset[int]) -> int:
    """How many samples of the gallery's contract they have; kept while nothing changes."""
    state = store.connection.total_changes, store.data_version(), store.contract_id
    kept = store.kept_gone
    if kept is None or kept[0] != state or kept[1] is not gone:
        (number,) = store.connection.execute(
            "SELECT count(*) FROM owners WHERE contract = ? AND person IN "
            "(SELECT value FROM json_each(?))",
            (store.contract_id, json.dumps([*gone])),
        ).fetchone()
        kept = store.kept_gone = state, gone, int(number)
    return kept[2]


def expired(store: Store) -> frozenset[int]:
    """Ids of the people who are there still, and whose time is over (``gallery.consent``).

    Kept until somebody else expires, or something changes; ``_terms`` says that of this process.
    """
    now = store.clock()
    with store.reading() as connection:
        state = store.data_version(), store.settings
        kept = store.kept_expired
        if kept is not None and kept[0] == state and kept[1] <= now < kept[2]:
            return kept[3]
        days = store.retention_days()
        try:
            rows = connection.execute("SELECT person FROM terms WHERE expires <= ?", (now,))
            found = {row[0] for row in rows}
            following = connection.execute(
                "SELECT min(expires) FROM terms WHERE expires > ?", (now,)
            )
            next_ = [following.fetchone()[0]]
            if days is not None:
                born = now - days * DAY_S
                rows = connection.execute(
                    "SELECT p.id FROM people p JOIN terms t ON t.person = p.id WHERE "
                    "p.created <= ? AND t.expires IS NULL",
                    (born,),
                )
                found |= {row[0] for row in rows}
                following = connection.execute(
                    "SELECT min(created) FROM people WHERE created > ?", (born,)
                )
                youngest = following.fetchone()[0]
                next_.append(None if youngest is None else youngest + days * DAY_S)
        except sqlite3.Error as error:
            if not is_corrupt(error):
                raise
            raise GalleryDamagedError(
                f"{store.path}: until when people are kept cannot be read: restore a backup"
            ) from error
        until = min((one for one in next_ if isinstance(one, float)), default=math.inf)
        # The sum above may be rounded to a little more than what the comparison in SQL is with.
        store.kept_expired = state, now, until - 1e-3, frozenset(found)
        return store.kept_expired[3]


def require_kept(store: Store, number: int) -> None:
    """UnknownPersonError: the sample is of somebody who expired."""
    gone = expired(store)
    if gone and not gone.isdisjoint(owners_of(store, [number]).values()):
        raise unknown_sample(number)


def _noted_totals(store: Store) -> tuple[int, int]:
    with store.reading() as connection:
        try:
            found = dict(connection.execute("SELECT name, value FROM totals"))
        except sqlite3.Error as error:
            if not is_corrupt(error):
                raise
            found = {}
        people, samples = found.get("people"), found.get("samples")
        if isinstance(people, int) and isinstance(samples, int):
            return people, samples
        return counted_totals(store)  # the notes are damaged


def counted_totals(store: Store) -> tuple[int, int]:
    """The same, counted."""
    with store.reading() as connection:
        (people,) = connection.execute("SELECT count(*) FROM people").fetchone()
        (samples,) = connection.execute(
            "SELECT count(*) FROM owners WHERE contract = ?", (store.contract_id,)
        ).fetchone()
    return int(people), int(samples)


def find_person(store: Store, name: str, *, even_expired: bool = False) -> int | None:
    """The id of the person of that name; else of the only one whose name differs by case alone.

    Who expired is not there, unless ``even_expired``.
    """
    try:
        wanted = normal_name(name)
        data = wanted.encode()
    except (OptionError, UnicodeEncodeError):
        return None
    with store.reading() as connection:
        key = store.key(data)
        gone: frozenset[int] = frozenset() if even_expired else expired(store)
        row = connection.execute("SELECT id FROM people WHERE name_key = ?", (key,)).fetchone()
        if row is not None and row[0] not in gone:
            return int(row[0])
        same = [each for each in names_by_form(store).get(_form(wanted), ()) if each not in gone]
        return same[0] if len(same) == 1 else None


def as_enrolled(store: Store, name: str) -> str:
    """A checked name as it stands in the gallery, in capitals or not; itself when it is new."""
    number = find_person(store, name)
    return name if number is None else one_person(store, number).name


def one_spelling(store: Store, names: Iterable[str]) -> dict[str, str]:
    """Names -> checked ones, the same for those that differ by case alone.

    As they stand in the gallery; new ones as the first of them is written.
    """
    found: dict[str, str] = {}
    new: dict[str, str] = {}
    for name in dict.fromkeys(names):
        checked = checked_name(name)
        number = find_person(store, checked)
        if number is None:
            found[name] = new.setdefault(folded(checked), checked)
        else:
            found[name] = one_person(store, number).name
    return found


def names_by_form(store: Store) -> Mapping[int, Sequence[int]]:
    """Hash of a name without regard to case -> ids of people; inside ``reading``.

    Made when somebody is not found by the very name, and kept until another process changes
    something; ``name_changed`` keeps it in step with this one.
    """
    state = store.data_version()
    kept = store.kept_names
    if kept is None or kept[0] != state:
        found: dict[int, list[int]] = {}
        rows = store.connection.execute(
            f"SELECT p.id, {store.column('l.name')} FROM people p JOIN labels l ON l.id = p.label"
        )
        for number, name in rows:
            if isinstance(name, str):
                found.setdefault(_form(name), []).append(number)
        kept = store.kept_names = (state, found)
    return kept[1]


def name_changed(store: Store, number: int, old: str | None, new: str | None) -> None:
    """Take over that this process added, renamed or removed a person; inside ``writing``."""
    if store.kept_names is None:
        return
    found = store.kept_names[1]
    if old is not None:
        left = [each for each in found.pop(_form(old), []) if each != number]
        if left:
            found[_form(old)] = left
    if new is not None:
        found.setdefault(_form(new), []).append(number)


_VARIANTS = dict.fromkeys((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
"""Variation selectors, which choose among a character's pictures: of an ideograph, of an emoji."""


def _form(name: str) -> int:
    """What names share that differ by case or in the variant of a character alone.

    Eight bytes of a hash: a million whole names would take four times the room.
    """
    form = folded(name.translate(_VARIANTS)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(form, digest_size=8).digest(), "big")


def required_person(store: Store, name: str, *, even_expired: bool = False) -> int:
    """``find_person``; UnknownPersonError, with names that are alike, when there is none."""
    found = find_person(store, name, even_expired=even_expired)
    if found is not None:
        return found
    with store.reading() as connection:
        gone = expired(store)
        names = [
            row[0]
            for row in connection.execute(
                f"SELECT {store.column('l.name')}, p.id FROM people p JOIN labels l ON "
                "l.id = p.label ORDER BY p.id LIMIT ?",
                (MOST_NAMES,),
            )
            if isinstance(row[0], str) and row[1] not in gone
        ]
    shown, near, same = in_short(name, 4 * LONGEST_NAME), [], []
    if isinstance(name, str) and len(name) <= 4 * LONGEST_NAME:  # as long as names can be
        near = [repr(each) for each in similar_names(name, names)]
        same = [each for each in names if folded(each) == folded(name)]
    if len(same) > 1:
        raise UnknownPersonError(
            f"{shown}: several people are called so, but for capitals: "
            f"{', '.join(map(repr, same))}",
            hint="write the name as it is there",
        )
    raise UnknownPersonError(
        f"{shown}: nobody of that name is in the gallery{did_you_mean(near)}", hint="{people}"
    )


def people(
    store: Store,
    *,
    where: Mapping[str, Any] | None,
    after: str | None,
    limit: int | None,
    part: str | None = None,
) -> list[PersonInfo]:
    """The people by name, without samples; arguments as ``Gallery.people``."""
    fits = None if where is None else filters.predicate(where)
    if limit is not None and limit < 1:
        raise OptionError(f"expected 1 or more, got {limit}", option="limit")
    values = [] if after is None else [_sortable(after)]
    with store.reading() as connection:
        condition = "1" if after is None else f"{store.column('l.name')} > ?"
        rows = connection.execute(
            f"SELECT {_person_columns(store)} FROM {_PEOPLE} WHERE {condition} ORDER BY 2",
            (store.contract_id, *values),
        )
        gone = expired(store)
        found: Iterator[PersonInfo] = (
            _person_info(store, row) for row in rows if row[0] not in gone
        )
        if part is not None:
            wanted = folded(_sortable(part, "part"))
            found = (one for one in found if wanted in folded(one.name))
        if fits is not None:
            found = (one for one in found if fits(one.metadata))
        return list(islice(found, limit))


def name_of(store: Store, number: int) -> str:
    """The name of a person by id. UnknownPersonError: there is none, or they expired."""
    with store.reading():
        found = people_of(store, [number])
        if not found or number in expired(store):
            raise UnknownPersonError(
                f"{number}: nobody of that number is in the gallery", hint="{people}"
            )
        return found[0].name


def _sortable(name: str, option: str = "after") -> str:
    """Text that names are compared with: it need not be a name, but like those it is in NFC."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise OptionError(
            f"expected text in Unicode, got {in_short(name)}", option=option
        ) from None
    # Names are shorter, and NFC takes time with the square of the marks on one letter.
    return unicodedata.normalize("NFC", name[: 4 * LONGEST_NAME])


def _person_info(store: Store, row: tuple[Any, ...]) -> PersonInfo:
    """A person, without samples, as far as the row can be read; what is damaged is noted."""
    number, name, metadata, created, sealed, n_samples, own_end, terms_sealed, records = row
    values, why = read_metadata(metadata), None
    consents, kept_until = _terms_of(store, own_end, terms_sealed, records)
    if not isinstance(name, str) or not name.strip():
        name, why = f"damaged person {number}", "the name is missing"
    elif values is None:
        why = "the metadata cannot be read"
    elif not _is_time(created):
        why = "the time is none of the years 1 to 9999"
    elif not sealed:
        why = "the name or the metadata are not what was written"
    elif consents is None:
        why = "the consents, or until when they are kept, are not what was written"
    if why is not None:
        store.damage.person(number, why)
    expires = first_end(kept_until, consents or ())
    if expires is None and store.settings.retention_days is not None:
        expires = min(LATEST, read_time(created) + store.settings.retention_days * DAY_S)
    return PersonInfo(
        id=number,
        name=name,
        metadata={} if values is None else values,
        created=read_time(created),
        n_samples=n_samples,
        consents=consents or (),
        expires=expires,
        kept_until=kept_until,
    )


def _terms_of(
    store: Store, own_end: object, sealed: object, records: object
) -> tuple[tuple[Consent, ...] | None, float | None]:
    """A person's consents, and their own end; None in place of the first: they are damaged."""
    if not sealed or not isinstance(records, str):
        return None, None
    if own_end is not None and not isinstance(own_end, float):
        return None, None
    try:
        found = [(number, bytes.fromhex(record)) for number, record in json.loads(records)]
        return tuple(consent_of(store, *one) for one in found), own_end
    except (OptionError, ValueError):
        return None, own_end


def consent_of(store: Store, number: int, record: object) -> Consent:
    """A record as it stands in the row of that number. OptionError: it is damaged."""
    return read_consent(store.unseal("consents", "record", number, record))


def _is_time(value: object) -> bool:
    try:
        checked_time(value)
    except OptionError:
        return False
    return True


def check_person(store: Store, number: int) -> PersonInfo:
    """A person without samples. GalleryDamagedError: something is wrong; it says what helps."""
    found = one_person(store, number)
    why = store.damage.people.get(number)
    if why is not None:
        raise GalleryDamagedError(
            f"{found.name!r} is damaged: {why}",
            hint="restore a backup, {replace_metadata}, or remove the person",
        )
    return found


def person(store: Store, name: str, *, even_damaged: bool = False) -> PersonInfo:
    """One person with all samples; those that are damaged are passed over, and noted.

    Raises:
        UnknownPersonError: there is none of that name.
        GalleryDamagedError: the name or the metadata are; not with ``even_damaged``.
    """
    with store.reading():
        number = required_person(store, name)
        found = (one_person if even_damaged else check_person)(store, number)
        samples = tuple(samples_of(store, samples_of_person(store, number)))
    return replace(found, samples=samples)


_PAGE = 1024
"""People whose numbers are read at once."""


def next_people(store: Store, after: int) -> list[int]:
    """Ids of the people next to a number, for ``pages``; inside ``reading``."""
    rows = store.connection.execute(
        "SELECT id FROM people WHERE id > ? ORDER BY id LIMIT ?", (after, _PAGE)
    )
    return [row[0] for row in rows]


def people_of(store: Store, numbers: Sequence[int]) -> list[PersonInfo]:
    """People by id, without samples, in no order; who cannot be read is noted, and passed over."""
    with store.reading() as connection:

        def fetch(some: Sequence[int]) -> list[tuple[Any, ...]]:
            return connection.execute(
                f"SELECT {_person_columns(store)} FROM {_PEOPLE} WHERE p.id IN "
                "(SELECT value FROM json_each(?))",
                (store.contract_id, json.dumps(list(some))),
            ).fetchall()

        def unreadable(number: int) -> None:
            store.damage.person(number, UNREADABLE)

        rows = read_around(list(numbers), fetch, unreadable)
        return [_person_info(store, row) for row in rows]


def one_person(store: Store, number: int) -> PersonInfo:
    """One of them. GalleryDamagedError: the row cannot be read."""
    found = people_of(store, [number])
    if not found:
        why = store.damage.people.get(number, "the row is missing")
        raise GalleryDamagedError(f"person {number} is damaged: {why}: restore a backup")
    return found[0]


def samples_of_person(store: Store, number: int, *, all_contracts: bool = False) -> list[int]:
    """Ids of a person's samples, ascending; inside ``reading``.

    As the table has it: an index of the database may be damaged, too. With ``all_contracts`` also
    those that a migration which was interrupted has made already.
    """
    rows = store.connection.execute(
        "SELECT sample FROM owners WHERE person = ? AND (? OR contract = ?)",
        (number, all_contracts, store.contract_id),
    )
    owners = owners_of(store, [row[0] for row in rows.fetchall()])
    return sorted(sample for sample, person_ in owners.items() if person_ == number)


def owned_samples(store: Store) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Numbers of people, ascending, and of their samples (N,) of the gallery's contract.

    Without those who expired. Inside ``reading``; past indexes of the database, and around its
    damaged places.
    """
    connection = store.connection
    try:
        rows = connection.execute(
            "SELECT person, sample FROM owners NOT INDEXED WHERE contract = ?", (store.contract_id,)
        ).fetchall()
    except sqlite3.Error as error:
        if not is_corrupt(error):
            raise
        ids = [row[0] for row in connection.execute("SELECT sample FROM checksums").fetchall()]
        rows = [(person_, sample) for sample, person_ in owners_of(store, ids).items()]
    gone = expired(store)
    sane = [row for row in rows if all(isinstance(one, int) for one in row) and row[0] not in gone]
    found = np.array(sorted(sane), np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def sample(store: Store, number: int) -> SampleInfo:
    """One sample.

    Raises:
        UnknownPersonError: there is none of that number.
        GalleryDamagedError: it is damaged.
    """
    found = samples_of(store, [number])
    if not found:
        if is_there(store, number):
            raise damaged_sample(store, number)
        raise unknown_sample(number)
    return found[0]


def _identifier(number: int) -> int:
    """A sample's number as SQLite takes it; no sample has one that is 0."""
    return int(number) if LEAST_ID <= number < -LEAST_ID else 0


def photos_of(store: Store, what: str | int) -> list[tuple[str, bytes | None]]:
    """Names and hashes of the photos of a person, or of a sample, as far as they can be read.

    Raises:
        UnknownPersonError: there is none.
    """
    with store.reading():
        if isinstance(what, str):
            number = required_person(store, what, even_expired=True)
            return _photos_where(store, "o.person", number)
        if isinstance(what, bool) or not isinstance(what, (int, np.integer)):
            return []
        number = _identifier(what)
        if not is_there(store, number):
            raise unknown_sample(what)
        return _photos_where(store, "s.id", number)


def photos_of_person(store: Store, number: int) -> list[tuple[str, bytes | None]]:
    """The same of a person by number."""
    return _photos_where(store, "o.person", number)


def _photos_where(store: Store, column: str, number: int) -> list[tuple[str, bytes | None]]:
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT {store.column('s.source')}, {store.column('s.sha256')} FROM samples s "
            f"LEFT JOIN owners o ON o.sample = s.id WHERE {column} = ?",
            (number,),
        ).fetchall()
    return [
        (stored(source), sha256 if isinstance(sha256, bytes) and len(sha256) == 32 else None)
        for source, sha256 in rows
        if isinstance(source, (str, bytes))
    ]


def is_there(store: Store, number: int) -> bool:
    """Whether there is a sample of that number, however damaged."""
    with store.reading() as connection:
        row = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM owners WHERE sample = ?1) OR "
            "EXISTS (SELECT 1 FROM checksums WHERE sample = ?1)",
            (_identifier(number),),
        ).fetchone()
    return bool(row[0])


def damaged_sample(store: Store, number: int) -> GalleryDamagedError:
    """The error for a sample that is there, and damaged."""
    store.damage.sample(number, "it belongs to nobody")  # unless something else was found
    why = store.damage.samples[number]
    return GalleryDamagedError(
        f"sample {number} is damaged: {why}", hint="{remove_sample}, or restore a backup"
    )


def unknown_sample(number: int) -> UnknownPersonError:
    """The error for a sample that is not there."""
    return UnknownPersonError(
        f"sample {number}: there is none of that number in the gallery", hint="{person}"
    )


def samples_of(store: Store, numbers: Sequence[int]) -> list[SampleInfo]:
    """Samples by id, ascending; those that are not there, or damaged, are passed over."""
    wanted = sorted({_identifier(n) for n in numbers})
    with store.reading() as connection:

        def fetch(ids: Sequence[int]) -> list[tuple[Any, ...]]:
            return connection.execute(
                f"SELECT {_sample_columns(store)} FROM {_JOINED} WHERE o.sample IN "
                "(SELECT value FROM json_each(?)) ORDER BY o.sample",
                (json.dumps(list(ids)),),
            ).fetchall()

        def unreadable(number: int) -> None:
            store.damage.sample(number, UNREADABLE, searched=True)

        rows = read_around(wanted, fetch, unreadable)
        contracts = contract_names(connection)
        found = [_sample_info(store, contracts, row) for row in rows]
    return [one for one in found if one is not None]


def first_sample(store: Store, person: int) -> SampleInfo | None:
    """The first sample of a person, of the gallery's contract if there is one; None without any."""
    with store.reading() as connection:
        rows = connection.execute(
            "SELECT sample FROM owners WHERE person = ? ORDER BY contract <> ?, sample LIMIT 16",
            (person, store.contract_id),
        ).fetchall()
        found = (samples_of(store, row) for row in rows)
        return next((some[0] for some in found if some), None)


def _sample_info(
    store: Store, contracts: Mapping[int, str], row: tuple[Any, ...]
) -> SampleInfo | None:
    """A sample; None when what is noted of it is damaged, which is noted."""
    why = _why_no_details(row)
    number, name, contract, source, sha256, face, added, metadata, has_crop = row[:9]
    if why is None and contract not in contracts:
        why = "how its embedding was made is missing"
    if why is not None:
        store.damage.sample(number, why, searched=True)
        return None
    seen = decode_seen(face)
    return SampleInfo(
        id=number,
        person=name if isinstance(name, str) else "",
        source=stored(source),
        sha256=sha256,
        box_xyxy=seen.box_xyxy,
        detector_score=seen.score,
        quality=seen.quality,
        norm=seen.norm,
        contract=contracts[contract],
        added=added,
        has_crop=bool(has_crop),
        metadata=read_metadata(metadata) or {},
        boxed=seen.boxed,
    )


def _why_no_details(row: tuple[Any, ...]) -> str | None:
    """What is wrong with a row of ``_sample_columns``, or None."""
    _, _, contract, source, sha256, face, added, metadata, _, person_, made, written, found = row
    if made is None and source is None and face is None:
        return "its row in the table of samples is missing"
    if person_ is None:
        return "its person is missing"
    if made != contract:
        return "how its embedding was made is not what was written"
    if not isinstance(source, (str, bytes)):
        return "the name of its photo cannot be read"
    if sha256 is not None and not (isinstance(sha256, bytes) and len(sha256) == 32):
        return "the hash of its photo cannot be read"
    try:
        decode_seen(face)
    except OptionError as error:
        return f"what was seen of it cannot be read ({error})"
    if read_metadata(metadata) is None:
        return "its metadata cannot be read"
    if not _is_time(added):
        return "its time is none of the years 1 to 9999"
    if written is None:
        return "its checksum is missing"
    return NOT_WRITTEN if written != found else None


def contract_names(connection: sqlite3.Connection) -> dict[int, str]:
    """Number of its row -> id of a contract; there are few."""
    names = {}
    for (number,) in connection.execute("SELECT id FROM contracts").fetchall():
        with suppress(GalleryDamagedError):  # of samples that are not searched
            names[number] = contract_of(connection, number).id
    return names


def contract_of(connection: sqlite3.Connection, number: int) -> Contract:
    """A contract by the number of its row."""
    row = connection.execute(
        "SELECT weights, weights_sha256, alignment, color_order, flip, dimension FROM contracts "
        "WHERE id = ?",
        (number,),
    ).fetchone()
    return read_contract(row)


def crop(store: Store, number: int) -> bytes | None:
    """The kept aligned face of a sample as PNG; None when there is none, or it is damaged."""
    with store.reading() as connection:
        row = connection.execute(
            f"SELECT {store.column('x.png')}, k.details IS {DETAILS} FROM {_JOINED} "
            "WHERE o.sample = ?",
            (_identifier(number),),
        ).fetchone()
    if row is None or row[0] is None:
        return None
    if not row[1] or not isinstance(row[0], bytes):
        store.damage.sample(int(number), NOT_WRITTEN, searched=True)
        return None
    return row[0]


def embedding(store: Store, number: int) -> Embedding:
    """The embedding of a sample.

    Raises:
        UnknownPersonError: there is none of that number.
        GalleryDamagedError: it is damaged.
    """
    with store.reading() as connection:
        row = connection.execute(
            f"SELECT o.sample, v.vector, k.identity, {IDENTITY}, {store.column('s.face')}, "
            f"o.contract, c.id FROM {_JOINED} WHERE o.sample = ?",
            (number,),
        ).fetchone()
        if row is None:
            raise (
                damaged_sample(store, number)
                if is_there(store, number)
                else (unknown_sample(number))
            )
        contract = None if row[6] is None else contract_of(connection, row[5])
        opened = store.opened([row[:4]])
    if contract is not None:
        _, vectors = kept_vectors(store.damage, opened, contract.dimension)
        if len(vectors):
            return Embedding(vectors[0], _norm(store, number, row[4]), contract)
    store.damage.sample(number, "how its embedding was made is missing")
    raise damaged_sample(store, number)


def seen(store: Store, number: int) -> Seen:
    """What was seen of a sample.

    Raises:
        UnknownPersonError: there is none of that number.
        GalleryDamagedError: it is damaged.
    """
    with store.reading() as connection:
        row = connection.execute(
            f"SELECT {store.column('s.face')} FROM samples s JOIN owners o ON o.sample = s.id "
            "WHERE s.id = ?",
            (_identifier(number),),
        ).fetchone()
    if row is None:
        raise damaged_sample(store, number) if is_there(store, number) else unknown_sample(number)
    return read_seen(row[0])


def _norm(store: Store, number: int, face: Any) -> float:
    """The length of an embedding before scaling; a tiny one where it cannot be read."""
    seen = _decoded(store, number, face)
    return _TINY if seen is None else seen.norm


def _decoded(store: Store, number: int, face: Any) -> Seen | None:
    """What was seen of a sample, from its column; None, and noted, where it cannot be read."""
    try:
        return decode_seen(face)
    except OptionError as error:
        store.damage.sample(number, f"what was seen of it cannot be read ({error})", searched=True)
        return None


def read_seen(text: Any) -> Seen:
    """Read the column "face". GalleryDamagedError: it is no such JSON."""
    try:
        return decode_seen(text)
    except OptionError as error:
        raise GalleryDamagedError(
            f"what was seen of a sample is damaged ({error})", hint="restore a backup"
        ) from error


def owners_of(store: Store, numbers: Iterable[int]) -> dict[int, int]:
    """Sample -> person, for those samples that are there."""
    with store.reading() as connection:

        def fetch(some: Sequence[int]) -> list[tuple[int, int]]:
            return connection.execute(
                "SELECT sample, person FROM owners WHERE typeof(person) = 'integer' AND sample IN "
                "(SELECT value FROM json_each(?))",
                (json.dumps(list(some)),),
            ).fetchall()

        return dict(read_around([_identifier(n) for n in numbers], fetch, _noter(store)))


def sources_of(store: Store, numbers: Sequence[int]) -> dict[int, str]:
    """Sample -> name of its photo, for those samples that are there."""
    rows = _column_of(store, "source", numbers)
    return {number: stored(source) for number, source in rows if isinstance(source, (str, bytes))}


def qualities_of(store: Store, numbers: Sequence[int]) -> dict[int, Quality]:
    """Sample -> what was measured of its face, for those that are there and were measured."""
    rows = _column_of(store, "face", numbers)
    known = {number: _decoded(store, number, face) for number, face in rows}
    return {
        number: seen.quality
        for number, seen in known.items()
        if seen is not None and seen.quality is not None
    }


def _column_of(
    store: Store, column: Literal["source", "face"], numbers: Sequence[int]
) -> list[tuple[int, Any]]:
    """Numbers and one column of those samples that are there; what cannot be read is noted."""
    with store.reading() as connection:

        def fetch(some: Sequence[int]) -> list[tuple[int, Any]]:
            return connection.execute(
                f"SELECT s.id, {store.column(f's.{column}')} FROM samples s JOIN owners o ON "
                "o.sample = s.id WHERE s.id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(some)),),
            ).fetchall()

        def unreadable(number: int) -> None:
            store.damage.sample(number, UNREADABLE, searched=True)

        return read_around([_identifier(n) for n in numbers], fetch, unreadable)


def unsound(store: Store, pairs: Iterable[tuple[int, int]]) -> int:
    """Compare people and samples that a search found with their checksums, before they are named.

    Args:
        store: the gallery's.
        pairs: numbers of a person and of a sample of theirs.

    Returns:
        How many new ones are damaged; they are noted.
    """
    there = {sample: person for person, sample in pairs}
    before = len(store.damage)
    with store.reading() as connection:

        def fetch(ids: Sequence[int]) -> list[tuple[Any, ...]]:
            return connection.execute(
                f"SELECT o.sample, v.vector, k.identity, {IDENTITY}, o.person FROM {IDENTITY_FROM} "
                "LEFT JOIN checksums k ON k.sample = o.sample WHERE o.sample IN "
                "(SELECT value FROM json_each(?))",
                (json.dumps(list(ids)),),
            ).fetchall()

        rows = read_around(sorted(there), fetch, _noter(store))
        found = store.opened([row[:4] for row in rows])
        kept_vectors(store.damage, found, store.contract.dimension)

        def sealed(some: Sequence[int]) -> list[tuple[int]]:
            return connection.execute(
                f"SELECT p.id FROM {_PEOPLE} WHERE p.id IN (SELECT value FROM json_each(?)) AND "
                f"y.checksum = {PERSON} AND t.checksum = {TERMS}",
                (json.dumps(list(some)),),
            ).fetchall()

        people_ = sorted(set(there.values()))
        fine = read_around(people_, sealed, lambda _: None)
        doubtful = set(people_).difference(row[0] for row in fine)
        if doubtful:
            people_of(store, sorted(doubtful))
    return len(store.damage) - before


def vectors_of(
    store: Store, persons: Sequence[int]
) -> dict[int, tuple[npt.NDArray[np.int64], FloatArray]]:
    """Person -> ids (N,) and vectors (N, D) of the sound samples of the gallery's contract."""
    with store.reading() as connection:
        rows = connection.execute(
            f"SELECT o.sample, v.vector, k.identity, {IDENTITY}, o.person FROM {IDENTITY_FROM} "
            "LEFT JOIN checksums k ON k.sample = o.sample WHERE "
            "o.person IN (SELECT value FROM json_each(?)) AND o.contract = ? ORDER BY o.sample",
            (json.dumps([int(p) for p in persons]), store.contract_id),
        ).fetchall()
        rows = store.opened(rows)
    by_person: dict[int, list[tuple[int, Any, Any, Any]]] = {}
    for *row, number in rows:
        by_person.setdefault(number, []).append(tuple(row))
    kept = {
        number: kept_vectors(store.damage, some, store.contract.dimension)
        for number, some in by_person.items()
    }
    return {number: found for number, found in kept.items() if len(found[0])}


def norms_of(store: Store, persons: Sequence[int]) -> dict[int, npt.NDArray[np.float64]]:
    """Person -> (N,) lengths of the embeddings before scaling, in the order of ``vectors_of``."""
    found = {}
    for person_, (ids, _) in vectors_of(store, persons).items():
        with store.reading() as connection:
            rows = dict(
                connection.execute(
                    f"SELECT s.id, {store.column('s.face')} FROM samples s WHERE s.id IN "
                    "(SELECT value FROM json_each(?))",
                    (json.dumps(ids.tolist()),),
                ).fetchall()
            )
        found[person_] = np.array([_norm(store, n, rows.get(n)) for n in ids.tolist()])
    return found


def greatest_norms(store: Store, persons: Sequence[int]) -> dict[int, float]:
    """Person -> the greatest of them."""
    if not persons:
        return {}
    return {number: float(norms.max()) for number, norms in norms_of(store, persons).items()}


def all_vectors(
    store: Store, *, after: int = 0, last: int | None = None
) -> Iterator[tuple[npt.NDArray[np.int64], FloatArray]]:
    """Ids and vectors of the gallery's contract, ascending, in blocks; inside ``reading``.

    Damaged ones are passed over and noted in ``store.damage``.
    """
    most = (1 << 62) if last is None else last
    identity = identity_of(store.connection, store.secret, store.contract_id)
    for ids in pages(partial(_sample_ids, store, most), after):
        rows = [
            (number, vector, written, identity(number, vector, key))
            for number, vector, written, key in read_around(
                ids, partial(_vector_rows, store), _noter(store)
            )
        ]
        yield kept_vectors(store.damage, store.opened(rows), store.contract.dimension)


def _sample_ids(store: Store, last: int, after: int) -> list[int]:
    """The next numbers of samples of the gallery's contract."""
    rows = store.connection.execute(
        "SELECT sample FROM owners WHERE sample > ? AND sample <= ? AND contract = ? "
        "ORDER BY sample LIMIT ?",
        (after, last, store.contract_id, _CHUNK),
    )
    return [row[0] for row in rows]


def _vector_rows(store: Store, ids: Sequence[int]) -> list[tuple[int, Any, Any, Any]]:
    """Of a run of ids: number, vector, checksum of the identity, and the person's key."""
    return store.connection.execute(
        "SELECT o.sample, v.vector, k.identity, p.name_key FROM owners o LEFT JOIN vectors v ON "
        "v.sample = o.sample LEFT JOIN people p ON p.id = o.person LEFT JOIN checksums k ON "
        "k.sample = o.sample WHERE o.sample BETWEEN ? AND ? AND o.contract = ? ORDER BY o.sample",
        (ids[0], ids[-1], store.contract_id),
    ).fetchall()


def note_lost(store: Store) -> None:
    """Note samples that no search comes upon: of nobody, of a missing person or contract."""
    try:
        _note_lost(store)
    except sqlite3.Error as error:
        if not is_corrupt(error):
            raise  # else ``check`` says that the file is damaged


def _note_lost(store: Store) -> None:
    rows = store.connection.execute(
        "SELECT k.sample, o.sample, p.id FROM checksums k "
        "LEFT JOIN owners o ON o.sample = k.sample LEFT JOIN people p ON p.id = o.person "
        "WHERE p.id IS NULL OR o.contract NOT IN (SELECT id FROM contracts)"
    )
    for number, owned, person_ in rows.fetchall():
        if owned is None:
            why = "it belongs to nobody"
        elif person_ is None:
            why = "its person is missing"
        else:
            why = "how its embedding was made is missing"
        store.damage.sample(number, why)


def _noter(store: Store) -> Callable[[int], None]:
    """Notes a sample whose row cannot be read."""
    return lambda number: store.damage.sample(number, UNREADABLE)


@dataclass(frozen=True, eq=False, slots=True)
class Among:
    """Whom a search is among.

    Attributes:
        samples: their ids, ascending.
        n_people: how many people that is.
        n_left_out: how many more there would be, had their consents named the purpose.
    """

    samples: npt.NDArray[np.int64]
    n_people: int
    n_left_out: int


def samples_where(store: Store, where: Mapping[str, Any] | None, purpose: str | None) -> Among:
    """The samples of people with such metadata, and with consents for a purpose."""
    fits = filters.predicate({} if where is None else where)
    with store.reading() as connection:
        people = {number for number, metadata in _metadata_of_all(store) if fits(metadata)}
        rows = connection.execute(
            "SELECT sample, person FROM owners WHERE contract = ?", (store.contract_id,)
        )
        found = [(sample, person) for sample, person in rows if person in people]
        allowed = people if purpose is None else consenting(store, purpose)
    numbers = np.array([one for one in found if one[1] in allowed], np.int64).reshape(-1, 2)
    n_people = len(np.unique(numbers[:, 1]))
    return Among(np.sort(numbers[:, 0]), n_people, len({one[1] for one in found}) - n_people)


def consenting(store: Store, purpose: str, person: int | None = None) -> set[int]:
    """Ids of the people who have a consent, and of whom every consent names that purpose.

    Args:
        store: the gallery's; inside ``reading``.
        purpose: in capitals or not.
        person: look at this one alone.
    """
    wanted, kept = purpose.casefold(), store.kept_purposes
    people: dict[int, bool] = {}
    query = "SELECT n.person, r.id, r.record FROM consented n JOIN consents r ON r.id = n.consent"
    one = () if person is None else (person,)
    for number, row, record in store.connection.execute(
        query + (" WHERE n.person = ?" if one else ""), one
    ):
        known = kept.get(row)
        if known is None or known[0] != record:  # thus whatever is written is followed
            try:
                purposes = consent_of(store, row, record).purposes
            except OptionError:  # it is damaged: nobody knows what it allows
                purposes = ()
            known = record, frozenset(each.casefold() for each in purposes)
            if len(kept) < _MOST_TEXTS:
                kept[row] = known
        people[number] = people.get(number, True) and wanted in known[1]
    return {number for number, allowed in people.items() if allowed}


def _metadata_of_all(store: Store) -> Iterator[tuple[int, dict[str, Any]]]:
    """Ids of people and their metadata, but for those that cannot be read, or expired."""
    gone = expired(store)
    for number, text in _metadata_texts(store):
        metadata = None if number in gone else read_metadata(text)
        if metadata is not None:
            yield number, metadata


def _metadata_texts(store: Store) -> Iterator[tuple[int, Any]]:
    """Ids of people and their metadata as text; what was decrypted for one search is kept."""
    rows = store.connection.execute(
        "SELECT p.id, l.id, l.metadata FROM people p JOIN labels l ON l.id = p.label"
    )
    if not store.sealing.encrypted:
        yield from ((number, text) for number, _, text in rows)
        return
    kept, unseal = store.kept_texts, store.sealing.opener("labels", "metadata")
    for number, label, sealed in rows:
        known = kept.get(label)
        if known is None or known[0] != sealed:  # thus whatever is written is followed
            known = sealed, unseal(label, sealed)
            if len(kept) < _MOST_TEXTS:
                kept[label] = known
        yield number, known[1]


def metadata_keys(store: Store) -> dict[str, int]:
    """Keys of the people's metadata -> how many people have them; the most common first."""
    found: Counter[str] = Counter()
    with store.reading():
        for _, metadata in _metadata_of_all(store):
            found.update(key for key, value in metadata.items() if value is not None)
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def metadata_values(store: Store, key: str, most: int) -> tuple[list[str], bool]:
    """The most common values of a key, as filters have them; whether there are more."""
    found: Counter[str] = Counter()
    wanted = filters.normal(key)
    with store.reading():
        for _, metadata in _metadata_of_all(store):
            for name, value in metadata.items():
                if filters.normal(name) == wanted:
                    found[value if isinstance(value, str) else json.dumps(value)] += 1
    values = sorted(found, key=lambda one: (-found[one], one))
    return values[:most], len(values) > most

"""Whom a search is among: nobody is an error that says why, and so is a filter nobody can match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from lineament.errors import NobodySearchedError
from lineament.gallery import filters, lookup
from lineament.gallery._state import GalleryState
from lineament.gallery._store import Store
from lineament.gallery.values import LONGEST_KEY
from lineament.suggest import did_you_mean, similar_names
from lineament.text import counted, in_short

MOST_KEYS, MOST_VALUES = 12, 5
"""Of the metadata, that a message names."""


def check_search(
    state: GalleryState, where: Mapping[str, Any] | None, purpose: str | None = None
) -> list[str]:
    """See that a search would be among somebody; see ``Gallery.check_search``."""
    if where is None and purpose is None:
        if not lookup.totals(state.store)[1]:
            raise nobody_searched(state, where)
        return []
    state.index.sync()
    among = state.index.allowed(where, purpose)
    if not among.n_people:
        raise nobody_searched(state, where, purpose)
    notes = filter_notes(state.store, where)
    if purpose is not None and among.n_left_out:
        notes.append(left_out(among.n_left_out, purpose))
    return notes


def left_out_now(state: GalleryState, where: Mapping[str, Any] | None, purpose: str) -> int:
    """How many people a search leaves out; see ``Gallery.left_out``."""
    state.index.sync()
    return state.index.allowed(where, purpose).n_left_out


def left_out(number: int, purpose: str) -> str:
    """That so many people are not searched, since they did not consent to a purpose."""
    return (
        f"{counted(number, 'person is', 'people are')} not searched: they did not consent to "
        f"{purpose!r}"
    )


def nobody_searched(
    state: GalleryState, where: Mapping[str, Any] | None, purpose: str | None = None
) -> NobodySearchedError:
    """The error for a search among nobody: why that is, and what could be meant."""
    store = state.store
    n_people, n_samples = lookup.totals(store)
    if not n_people:
        return NobodySearchedError(
            f"{state.folder}: nobody is enrolled, so nobody was searched", hint="{enroll}"
        )
    if n_samples and purpose is not None:
        among = state.index.allowed(where, purpose)
        if among.n_left_out:
            of = "" if where is None else f" who match {filters.in_words(where)}"
            return NobodySearchedError(
                f"of the {counted(among.n_left_out, 'person', 'people')}{of} nobody consented to "
                f"{purpose!r}, so nobody was searched",
                option="purpose",
                hint="name a purpose that consents name, or write down the consents",
            )
    if not n_samples or where is None:
        return NobodySearchedError(
            f"{state.folder}: of the {counted(n_people, 'person', 'people')} in the gallery nobody "
            "has an embedding that can be searched, so nobody was searched",
            hint="{enroll}",
        )
    return NobodySearchedError(
        f"nobody of the {counted(n_people, 'person', 'people')} in the gallery matches "
        f"{filters.in_words(where)}, so nobody was searched",
        option="where",
        hint=what_there_is(store, where),
    )


def nobody_matches(store: Store, where: Mapping[str, Any]) -> str:
    """That a filter matches nobody of so many people, and what could be meant."""
    n_people = lookup.totals(store)[0]
    if not n_people:
        return "nobody is enrolled"
    return (
        f"nobody of {counted(n_people, 'person', 'people')} matches {filters.in_words(where)}: "
        f"{what_there_is(store, where)}"
    )


def what_there_is(store: Store, where: Mapping[str, Any]) -> str:
    """Which keys and values the people's metadata have, near those of a filter that fails."""
    keys = lookup.metadata_keys(store)
    if not keys:
        return "nobody has any metadata"
    missing = _missing(where, keys)
    if missing:
        near = [
            each
            for name in missing[:MOST_KEYS]
            if len(name) <= LONGEST_KEY
            for each in similar_names(name, keys, 1)
        ]
        absent = f"nobody has {_some(missing)}{did_you_mean(near)}"
        return f"{absent}; keys that exist: {_some([*keys])}"
    parts = []
    for name in islice(where, MOST_KEYS):
        values, more_values = lookup.metadata_values(store, name, MOST_VALUES)
        shown = [in_short(value, LONGEST_KEY, quoted=False) for value in values]
        parts.append(
            f"{in_short(name, LONGEST_KEY, quoted=False)} is {', '.join(shown)}"
            f"{' or another' if more_values else ''}"
        )
    return f"values that exist: {'; '.join(parts)}"


def _missing(where: Mapping[str, Any], keys: Mapping[str, int]) -> list[str]:
    """Names in a filter that are no key of anybody's metadata."""
    there = set(map(filters.normal, keys))
    return [name for name in where if filters.normal(name) not in there]


def _some(names: Sequence[str]) -> str:
    shown = [in_short(name, LONGEST_KEY, quoted=False) for name in names[:MOST_KEYS]]
    more = f" and {len(names) - len(shown):,} more" if len(names) > len(shown) else ""
    return f"{', '.join(shown)}{more}"


def filter_notes(store: Store, where: Mapping[str, Any] | None) -> list[str]:
    """Of a filter that somebody matches: the keys that nobody has, so that they change nothing."""
    if not where:
        return []
    keys = lookup.metadata_keys(store)
    missing = _missing(where, keys)
    if not missing:
        return []
    return [
        f"{filters.in_words({name: where[name] for name in missing})} leaves nobody out: "
        + what_there_is(store, dict.fromkeys(missing))
    ]

"""Filters, against a plain evaluation in Python."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doors import people
from doors.case import Case, Door
from doors.damage import NUMBERS, TEXTS, anything
from lineament import Gallery, LineamentError
from lineament.gallery import Settings
from lineament.gallery.filters import in_words, parse_filter, parse_metadata

SIGNS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
KEYS = ("a", "b", "list", "", " ", "a.b", "$", '"', "[0]", "key'", "Ünï", "\x1b[2J", "x" * 300)
VALUES: tuple[Any, ...] = (
    "B",
    "C",
    "",
    "18",
    "true",
    "null",
    "zoë",
    "'; --",
    0,
    1,
    18,
    18.0,
    -3,
    0.5,
    1e300,
    2**53,
    2**53 + 1,
    2**62,
    2**63 - 1,
    -(2**63),
    True,
    False,
    None,
    [],
    ["B"],
    ["B", 18, True, None],
    [["B"]],
    {},
    {"B": "B"},
    {"a": [1]},
)


def kind_of(value: Any) -> str | None:
    """What a value is compared with: texts, numbers and truths are never equal to each other."""
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else None


def alike(a: Any, sign: str, b: Any) -> bool:
    """One comparison."""
    return kind_of(a) is not None and kind_of(a) == kind_of(b) and bool(SIGNS[sign](a, b))


def matches(metadata: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """A filter as its documentation says."""
    for key, wanted in where.items():
        there = metadata.get(key)
        if isinstance(wanted, Mapping):
            for sign, value in wanted.items():
                if sign == "has":
                    held = isinstance(there, list) and any(alike(x, "=", value) for x in there)
                else:
                    held = alike(there, sign, value)
                if not held:
                    return False
        elif isinstance(wanted, (list, tuple, set, frozenset)):
            if not any(alike(there, "=", value) for value in wanted):
                return False
        elif wanted is None:
            if there is not None:
                return False
        elif not alike(there, "=", wanted):
            return False
    return True


def _gallery(case: Case, n: int = 8) -> tuple[Gallery, dict[str, dict[str, Any]]]:
    gallery = Gallery.create(":memory:", people.CONTRACT, settings=Settings(threshold=0.6))
    known: dict[str, dict[str, Any]] = {f"person {i}": {} for i in range(n)}
    gallery.enroll_samples(
        [(name, people.new_sample(i, 0)) for i, name in enumerate(known)], force=True
    )
    for name in known:
        for _ in range(int(case.rng.integers(5))):
            key = case.pick(KEYS if case.chance(0.3) else KEYS[:3])
            value = case.pick(VALUES)
            try:
                gallery.annotate(name, {key: value})
            except LineamentError:  # what is no metadata is not there to be filtered
                continue
            if value is None:
                known[name].pop(key, None)
            else:
                known[name][key] = value
    return gallery, known


def _compared(case: Case, where: Mapping[str, Any], *, sound: bool = True) -> bool:
    gallery, known = _gallery(case)
    case.say(known, where)
    with gallery:
        try:
            found = [person.name for person in gallery.people(where=where)]
            searched = gallery.identify_embeddings([people.embedding(0)], where=where)
            gallery.filter_notes(where)
        except LineamentError as error:
            case.say(str(error))
            case.expect("disk" not in str(error), f"a misleading message: {error}")
            case.expect(not sound, f"refused {where!r:.200}: {error}")
            case.expect(gallery.n_people == 8, "the gallery is of no use any more")
            return False
        wanted = [name for name, metadata in known.items() if matches(metadata, where)]
        case.expect(found == wanted, f"{where!r:.300} of {known}: {found}, not {wanted}")
        best = searched[0].name
        expected = "person 0" if "person 0" in wanted else None
        case.expect(best == expected, f"searched among {wanted}: {best!r}")
        in_words(where)
    return True


def _value(case: Case) -> Any:
    return case.pick([value for value in VALUES if kind_of(value) is not None])


def comparisons(case: Case) -> bool:
    """Of values of every kind."""
    where: dict[str, Any] = {}
    for _ in range(int(case.rng.integers(1, 4))):
        key = case.pick(KEYS[:3] if case.chance(0.7) else [key for key in KEYS if key])
        kind = case.rng.integers(5)
        if kind == 0:
            where[key] = _value(case)
        elif kind == 1:
            where[key] = None
        elif kind == 2:
            where[key] = [_value(case) for _ in range(int(case.rng.integers(4)))]
        elif kind == 3:
            where[key] = {"has": _value(case)}
        else:
            signs = case.rng.permutation(list(SIGNS))[: int(case.rng.integers(1, 3))]
            where[key] = {str(sign): _value(case) for sign in signs}
    return _compared(case, where)


def long_lists(case: Case) -> bool:
    """One of very many, and very many entries."""
    n = int(case.rng.choice([900, 3000, 40_000]))
    kind = case.rng.integers(4)
    choices = [*range(n), *VALUES[:8]]
    if kind == 0:
        return _compared(case, {"a": choices})
    if kind == 1:
        return _compared(case, {f"k{i}": None for i in range(n)}, sound=n < 1000)
    if kind == 2:
        return _compared(case, {"a": [str(i) for i in range(n)] + ["B"]})
    return _compared(
        case, {"a": {"has": "B"}, **{f"k{i}": [i, "B"] for i in range(n // 10)}}, sound=n < 1000
    )


def numbers(case: Case) -> bool:
    """Of any size."""
    value = case.pick(NUMBERS)
    where = case.pick(
        [{"a": value}, {"a": [value, "B"]}, {"a": {"<=": value}}, {"list": {"has": value}}]
    )
    return _compared(case, where, sound=False)


def texts(case: Case) -> bool:
    """As keys and values."""
    text = case.pick(TEXTS)
    where = case.pick(
        [{text: 1}, {"a": text}, {"a": [text]}, {"a": {">": text}}, {"list": {"has": text}}]
    )
    return _compared(case, where, sound=False)


def nonsense(case: Case) -> bool:
    """What is no filter at all."""
    where = case.pick(
        [
            {"a": anything(case.rng)},
            {"a": {case.pick(TEXTS): 1}},
            {"a": {"has": anything(case.rng)}},
            {"a": {"=": anything(case.rng)}},
            {1: 2},
            {"a": {}},
            {"a": [anything(case.rng)]},
            {"a": b"x"},
            {"a": {"<": None}},
        ]
    )
    return _compared(case, where, sound=False)


def as_text(case: Case) -> bool:
    """As the command line has them: read, said in words, read again."""
    parts = []
    for _ in range(int(case.rng.integers(1, 4))):
        sign = case.pick([*SIGNS, "~", "~~", "", "=="])
        parts.append(
            case.pick([*KEYS, *TEXTS]) + sign + str(case.pick([*VALUES, *TEXTS, *NUMBERS[:-3]]))
        )
    case.say(parts)
    if case.chance(0.3):
        return parse_metadata(parts) is not None
    where = parse_filter(parts)
    assert where is not None
    words = in_words(where)
    case.expect(isinstance(words, str), "no words")
    return _compared(case, where, sound=False)


def huge_numbers_kept(case: Case) -> bool:
    """Metadata with integers of any size: kept as they are, or refused."""
    value = case.pick([v for v in NUMBERS if isinstance(v, int)])
    gallery = Gallery.create(":memory:", people.CONTRACT, settings=Settings(threshold=0.6))
    with gallery:
        gallery.enroll_samples([("A", people.new_sample(0, 0))], metadata={"A": {"a": value}})
        (person,) = gallery.people()
        case.expect(person.metadata["a"] == value, f"{value} became {person.metadata['a']}")
        if abs(value) < 2**63:
            found = [p.name for p in gallery.people(where={"a": value})]
            case.expect(found == ["A"], f"{value} is not found")
    return True


DOOR = Door(
    "filters",
    (
        comparisons,
        comparisons,
        long_lists,
        comparisons,
        numbers,
        texts,
        comparisons,
        nonsense,
        as_text,
        huge_numbers_kept,
    ),
    cases=800,
    bound_mb=200.0,
    prepare=lambda home, seed: Path(home),
)

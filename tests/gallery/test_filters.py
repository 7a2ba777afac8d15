"""Filters against a plain reading of what they say, over values and filters of every kind."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from gallery_builders import embed, make_gallery, vectors

from lineament.errors import OptionError
from lineament.gallery import Gallery, filters
from lineament.search._expression import MOST_CHOICES, expression

KEYS = ["age", "name", "Zoe\u0308", "a b", 'quo"ted\\', "new\nline", "nul\0", "[*]", "$.age", "%"]
NUMBERS = [0, -0.0, 1, 1.0, True, False, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), 0.1]
TEXTS = [
    "",
    "1",
    "a",
    "A",
    "*",
    "%a%",
    "a'b",
    "\0",
    "Zo\u00eb",
    "Zoe\u0308",
    "true",
    "null",
    "\U0001f600",
]
BEYOND = [2**63, 2**64, -(2**63) - 1, 10**30, 10**5000, 1e308, "caf\udce9"]
"""What filters may hold and metadata may not, or not everywhere."""


def drawn(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(NUMBERS)
    if kind < 0.7:
        return rng.choice(TEXTS)
    if kind < 0.75 or depth > 2:
        return None
    if kind < 0.92:
        return [drawn(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): drawn(rng, depth + 1)}


def a_filter(rng: random.Random) -> dict[str, Any]:
    def value() -> Any:
        return rng.choice(rng.choice([NUMBERS, TEXTS, BEYOND]))

    def entry() -> Any:
        kind = rng.randrange(4)
        if kind == 0:
            return value()
        if kind == 1:
            return [value() for _ in range(rng.randrange(5))]
        if kind == 2:
            return None
        signs = rng.sample([*filters.COMPARISONS, "has"], rng.randrange(1, 3))
        return {sign: value() for sign in signs}

    return {rng.choice(KEYS): entry() for _ in range(rng.randrange(3))}


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else "another"


def nfc(value: Any) -> Any:
    return value.replace("e\u0308", "\u00eb") if isinstance(value, str) else value


def holds(metadata: dict[str, Any], where: dict[str, Any]) -> bool:
    """What the module's first lines say, as it is written there."""

    def same(a: Any, b: Any) -> bool:
        return kind(a) == kind(b) != "another" and bool(nfc(a) == nfc(b))

    for name, wanted in where.items():
        there = {nfc(key): value for key, value in metadata.items()}.get(nfc(name))
        if isinstance(wanted, dict):
            for sign, value in wanted.items():
                if sign == "has":
                    fits = isinstance(there, list) and any(same(one, value) for one in there)
                elif kind(there) != kind(value) or kind(there) == "another":
                    fits = False
                else:
                    a, b = nfc(there), nfc(value)
                    fits = {
                        "=": a == b,
                        "!=": a != b,
                        "<": a < b,
                        "<=": a <= b,
                        ">": a > b,
                        ">=": a >= b,
                    }[sign]
                if not fits:
                    return False
        elif isinstance(wanted, list):
            if not any(same(there, one) for one in wanted):
                return False
        elif wanted is None:
            if there is not None:
                return False
        elif not same(there, wanted):
            return False
    return True


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A gallery of people with metadata of every kind, and those metadata."""
    rng = random.Random(0)
    known: dict[str, dict[str, Any]] = {}
    with make_gallery(tmp_path_factory.mktemp("filters") / "g") as gallery:
        for i, vector in enumerate(vectors(60)):
            metadata = {key: drawn(rng) for key in rng.sample(KEYS, rng.randrange(6))}
            gallery.enroll_embeddings(f"{i:02}", [embed(vector)], metadata=metadata, force=True)
            known[f"{i:02}"] = {k: v for k, v in metadata.items() if v is not None}
        yield gallery, known


@pytest.mark.parametrize("number", [400, pytest.param(1500, marks=pytest.mark.slow)])
def test_filters_say_what_they_say(people: tuple[Gallery, dict[str, Any]], number: int) -> None:
    gallery, known = people
    rng = random.Random(1)
    found = 0
    for turn in range(number):
        where = a_filter(rng)
        expected = [name for name, metadata in known.items() if holds(metadata, where)]
        assert [one.name for one in gallery.people(where=where)] == expected, where
        found += bool(expected)
        if turn % 25 == 0:
            (answer,) = gallery.identify_embeddings([embed(vectors(1)[0])], where=where)
            assert answer.n_searched == len(expected)
            gallery.filter_notes(where)
            assert len(filters.in_words(where)) < 3000
    assert found > number / 5


def test_filters_of_any_length(people: tuple[Gallery, dict[str, Any]]) -> None:
    gallery, known = people
    one = next(name for name, metadata in known.items() if kind(metadata.get("age")) == "text")
    age = known[one]["age"]
    many = [*range(10, 300_000), age]
    assert one in [person.name for person in gallery.people(where={"age": many})]
    assert gallery.people(where={f"key {i}": "x" for i in range(20_000)}) == []
    assert len(gallery.people(where={f"key {i}": None for i in range(5_000)})) == len(known)
    (answer,) = gallery.identify_embeddings([embed(vectors(1)[0])], where={"age": many})
    assert answer.n_searched
    for where in ({"age": many}, {f"key {i}": "x" for i in range(2_000)}):
        assert len(" ".join([filters.in_words(where), *gallery.filter_notes(where)])) < 5_000


DEEP = "very deep"
"""Stands for a list that is nested 100,000 times, which pytest could not name."""


def with_depth(where: Any) -> Any:
    if where == DEEP:
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        return deep
    if isinstance(where, dict):
        return {key: with_depth(value) for key, value in where.items()}
    return where


@pytest.mark.parametrize(
    "where",
    [
        *({"age": {"<": value}} for value in (float("nan"), float("inf"), -float("inf"))),
        *({"age": value} for value in (float("nan"), [1, float("inf")], b"x", 1j, [[1]], [None])),
        *({"age": {sign: 1}} for sign in ("like", "", "==", 3, None, "HAS", "\udce9")),
        *({"age": {"=": value}} for value in (None, [1], {"a": 1}, DEEP)),
        {"age": DEEP},
        {"age": {"has": DEEP}},
        {"": 1},
        {3: 1},
        {("a",): 1},
        DEEP,
        "age=1",
    ],
    ids=repr,
)
def test_what_is_no_filter_is_named(people: tuple[Gallery, dict[str, Any]], where: Any) -> None:
    gallery, _ = people
    where = with_depth(where)
    for call in (
        lambda: gallery.people(where=where),
        lambda: gallery.check_search(where),
        lambda: gallery.identify_embeddings([embed(vectors(1)[0])], where=where),
        lambda: expression(where),
    ):
        with pytest.raises(OptionError, match="where") as caught:
            call()
        assert len(str(caught.value)) < 400
        if isinstance(where, dict) and "age" in where:
            assert "age" in str(caught.value)


def test_equal_filters_alone_have_one_key() -> None:
    filters_ = [
        *(
            {"a": {1}},
            {"a": ["1"]},
            {"a": {"!=": 1}},
            {"a": 1},
            {"a": "1"},
            {"a": True},
            {"a": None},
        ),
        *({"a": {"=": 1}}, {"a": []}, {"b": 1}, {}, {"a": 10**5000}, {"a": 10**5001}),
        *({"a": "x\udce9"}, {"a": "x\\udce9"}, {"a": ["1", "2"]}, {"a": ["1, 2"]}),
    ]
    assert len({filters.key(where) for where in filters_}) == len(filters_)
    assert filters.key({"a": [1, "x"]}) == filters.key({"a": [1, "x"]})


@pytest.mark.parametrize(
    "text",
    [
        "age<1e999",
        "age>=-1e999",
        "=1",
        "age",
        "",
        "!=3",
        "\0",
        "a" * 10**6,
        "[" * 10**5,
    ],
)
def test_entries_of_any_kind_are_read_or_refused(
    people: tuple[Gallery, dict[str, Any]], text: str
) -> None:
    gallery, _ = people
    with pytest.raises(OptionError, match="where") as caught:
        gallery.people(where=filters.parse_filter([text]))
    assert len(str(caught.value)) < 500


def test_entries_that_hold_anything(people: tuple[Gallery, dict[str, Any]]) -> None:
    gallery, _ = people
    for entry in (
        "name=caf\udce9",
        "caf\udce9=1",
        "name=" + "[" * 100_000,
        "age=" + "9" * 100_000,
        "age<" + "9" * 4000,
        'age=["' + '", "'.join(map(str, range(50_000))) + '"]',
        'name="\\ud800"',
        'name={"a": 1}'[:6] + "x" * 70_000,
    ):
        assert isinstance(gallery.people(where=filters.parse_filter([entry])), list)


def test_expressions_of_a_server_are_bounded_and_quoted() -> None:
    for key in KEYS:
        for value in TEXTS:
            try:
                text = expression({key: value})
            except OptionError:
                assert not (key.isprintable() and value.isprintable())
                continue
            name, _, literal = text.partition("] == ")
            assert json.loads(name.removeprefix("metadata[")) == key
            assert json.loads(literal) == value
    long = expression({"a": list(range(MOST_CHOICES))})
    deepest = depth = 0
    for letter in long:
        depth += (letter == "(") - (letter == ")")
        deepest = max(deepest, depth)
    assert deepest < 10
    assert long.count("==") == MOST_CHOICES
    for where in ({"a": list(range(MOST_CHOICES + 1))}, {"a": 2**63}, {"a": [10**5000]}):
        with pytest.raises(OptionError, match="where"):
            expression(where)


def test_metadata_that_were_tampered_with_match_nothing(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=4) as gallery:
        for number, text in ((1, "{"), (2, '["building"]'), (3, '{"building": 1e999}')):
            with gallery._state.store.writing() as connection:
                connection.execute("UPDATE labels SET metadata = ? WHERE id = ?", (text, number))
        assert [one.name for one in gallery.people(where={"building": "B"})] == ["person 3"]
        assert gallery.people(where={"building": {"has": "B"}}) == []
        assert gallery.metadata_keys() == {"building": 1, "number": 1}

"""PostgreSQL with pgvector and Qdrant, real ones; Elasticsearch and OpenSearch as documented."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elastic_server import ElasticServer
from index_contract import DIMENSION, IndexContract, Make, Vectors, agree, brute, like, people
from index_contract import filled as filled
from postgres import a_postgres as a_postgres

from lineament.errors import (
    IndexContractError,
    IndexFileError,
    IndexServerError,
    MissingExtraError,
    OptionError,
)
from lineament.search import Index, check_kind, index_kind, open_index, own_kind
from lineament.search.servers import pgvector
from lineament.search.servers.server import ServerIndex

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # what their packages say of each other
]

KINDS = ("pgvector", "pgvector-graph", "qdrant", "elasticsearch", "opensearch")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """ "NAME:ADDRESS" of a server that runs for this test."""
    name = request.param.partition("-")[0]
    if name == "pgvector":
        if request.param != name:  # the graph is made by ``save``, of whatever there is
            monkeypatch.setattr(pgvector, "EXACT_UP_TO", 0)
        yield f"pgvector:{request.getfixturevalue('a_postgres')}"
    elif name == "qdrant":
        pytest.importorskip("qdrant_client")
        yield "qdrant::memory:"
    else:
        pytest.importorskip({"opensearch": "opensearchpy"}.get(name, name))
        with ElasticServer(name) as server:
            yield f"{name}:{server.address}"
            assert server.complaints == []


@pytest.fixture
def opened(kind: str) -> Iterator[Callable[..., Any]]:
    """Opens indices of one name; in one process, a Qdrant in memory is shared by them."""
    made: list[Any] = []
    name = f"t{secrets.token_hex(6)}"

    def open_(contract: str = "c", dimension: int = DIMENSION) -> Any:
        index = open_index(kind, dimension=dimension, contract=contract, name=name)
        if kind.startswith("qdrant") and made:
            index._backend = made[0]._backend  # type: ignore[attr-defined]
        made.append(index)
        return index

    yield open_
    for index in made:
        index.close()


@pytest.fixture
def make(opened: Callable[..., Any]) -> Make:
    return opened


class TestContract(IndexContract):
    """Of all servers: the same queries as the other indices, and the same answers."""


def test_loads_what_was_saved_and_sees_the_writers_changes(opened: Callable[..., Any]) -> None:
    writer, vectors = opened(), people(700)
    reader = opened()
    with pytest.raises(IndexFileError, match="nothing was saved"):
        reader.load()
    writer.add(np.arange(700), vectors)
    writer.save(None, "first")
    assert reader.load() == "first"
    assert reader.follows_writer
    assert not writer.follows_writer
    agree(reader, dict(enumerate(vectors)), vectors[:5])
    writer.remove([3])
    writer.add([3000], -vectors[3:4])
    known = {i: v for i, v in enumerate(vectors) if i != 3} | {3000: -vectors[3]}
    agree(reader, known, vectors[:5])
    with pytest.raises(OptionError, match="loaded for reading"):
        reader.add([5000], vectors[:1])
    ids, rows = reader.vectors([3000, 4, 3])
    assert ids.tolist() == [4, 3000]
    np.testing.assert_array_equal(rows, np.stack([vectors[4], -vectors[3]]))
    assert len(reader) == 700
    assert 4 in reader
    assert 3 not in reader
    reader.check()


def test_one_writes(opened: Callable[..., Any]) -> None:
    first, vectors = opened(), people(20)
    first.add(np.arange(10), vectors[:10])
    first.save(None, "1")
    second = opened()
    second.load(writer=True)
    for change in (
        lambda: first.add([10], vectors[10:11]),
        lambda: first.remove([1]),
        lambda: first.save(None, "2"),
        first.drop,
    ):
        with pytest.raises(IndexFileError, match="another process writes"):
            change()
    second.add([10], vectors[10:11])
    agree(second, dict(enumerate(vectors[:11])), vectors[:3], 4)


def test_contracts_and_dimensions_do_not_mix(opened: Callable[..., Any]) -> None:
    index, vectors = opened(), people(5)
    index.add(np.arange(5), vectors)
    index.save(None, "1")
    for contract, dimension in (("d", DIMENSION), ("c", 8)):
        with pytest.raises(IndexContractError, match="cannot be compared"):
            opened(contract, dimension).load()


def test_a_new_index_takes_the_place_of_an_old_one_in_one_step(
    opened: Callable[..., Any],
) -> None:
    old, vectors = opened(), people(40)
    old.add(np.arange(10), vectors[:10])
    old.save(None, "old")
    reader = opened()
    reader.load()
    new = opened()
    new.add(np.arange(40), vectors)
    agree(reader, dict(enumerate(vectors[:10])), vectors[:3], 4)  # nobody sees the new one yet
    new.save(None, "new")
    with pytest.raises((IndexFileError, IndexServerError)):
        reader.check()
    assert reader.load() == "new"
    agree(reader, dict(enumerate(vectors)), vectors[:3], 4)
    backend = new._backend
    assert backend.collections(f"{new._name}_") == [new._collection]


def test_what_a_crash_leaves_is_dropped_by_the_next_writer(opened: Callable[..., Any]) -> None:
    index, vectors = opened(), people(10)
    index.add(np.arange(10), vectors)
    index.save(None, "1")
    stray = f"{index._name}_{'0' * 16}"
    index._backend.create(stray, DIMENSION)
    foreign = f"{index._name}x_{'0' * 16}"
    index._backend.create(foreign, DIMENSION)
    again = opened()
    again.load(writer=True)
    left = set(index._backend.collections(index._name))
    assert left == {index._collection, foreign}
    index._backend.drop(foreign)


def test_drop_leaves_nothing(opened: Callable[..., Any]) -> None:
    index, vectors = opened(), people(10)
    index.add(np.arange(10), vectors)
    index.save(None, "1")
    index.drop()
    assert len(index) == 0
    assert index._backend.collections(f"{index._name}_") == []
    with pytest.raises(IndexFileError, match="nothing was saved"):
        opened().load()


def test_filters_of_many_ids(opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for in pieces where the server takes no more at once."""
    index, vectors = opened(), people(2000)
    index.add(np.arange(2000), vectors)
    monkeypatch.setattr(type(index._backend), "most_allowed", 600)
    allowed = np.random.default_rng(0).permutation(2000)[:1500]
    queries = like(vectors[:10], 0.7, np.random.default_rng(1))
    ids, _ = index.search(queries, 10, allowed=allowed)
    expected, _ = brute({int(i): vectors[i] for i in allowed}, queries, 10)
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize("name", ["contract'; DROP TABLE x; --", "\x00", "ä" * 50, '"', "%s {}"])
def test_contracts_and_states_are_values_never_code(
    opened: Callable[..., Any], name: str, kind: str
) -> None:
    if "\x00" in name and kind.startswith("pgvector"):
        pytest.skip("PostgreSQL has no NUL characters; no contract has one either")
    index, vectors = opened(contract=name), people(3)
    index.add(np.arange(3), vectors)
    index.save(None, name)
    assert opened(contract=name).load() == name


@pytest.mark.parametrize(
    "uri",
    [
        "pgvector:postgresql://me:secret@host/db",
        "pgvector:postgresql://host/db?password=secret",
        "pgvector:postgresql://host/db?options=-c%20log_statement",
        "pgvector:http://host",
        "pgvector:",
        "qdrant:http://host:6333?api-key=secret",
        "qdrant:http://me:secret@host",
        "qdrant:ftp://host",
        "qdrant:",
        "elasticsearch:http://me:secret@host:9200",
        "elasticsearch:host:9200",
        "opensearch:https://host:0",
        "solr:http://host",
    ],
)
def test_addresses_that_cannot_be(uri: str) -> None:
    with pytest.raises(OptionError, match="expected") as caught:
        check_kind(uri)
    assert "secret" not in str(caught.value)


def test_names_and_addresses() -> None:
    assert index_kind("exact") == "exact"
    assert index_kind("qdrant", "http://h:6333") == "qdrant:http://h:6333"
    with pytest.raises(OptionError, match="expected an address"):
        index_kind("pgvector")
    with pytest.raises(OptionError, match="expected no address"):
        index_kind("exact", "http://h")


def test_a_server_is_asked_only_when_the_user_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINEAMENT_INDEX_SERVERS", raising=False)
    kind = "pgvector:postgresql://elsewhere/db"
    with pytest.raises(OptionError, match="nothing was sent there"):
        own_kind(kind)
    monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", "http://a postgresql://elsewhere/db")
    assert own_kind(kind) == kind
    monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", "none")
    assert own_kind(kind) == "auto"


@pytest.mark.parametrize(
    ("kind", "package"),
    [
        ("pgvector:postgresql://127.0.0.1:9/db", "psycopg"),
        ("qdrant:http://127.0.0.1:9", "qdrant_client"),
        ("elasticsearch:http://127.0.0.1:9", "elasticsearch"),
        ("opensearch:http://127.0.0.1:9", "opensearchpy"),
    ],
)
def test_nobody_answers(kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(package)
    for name in ("PGVECTOR_PASSWORD", "QDRANT_API_KEY", "ELASTICSEARCH_API_KEY"):
        monkeypatch.setenv(f"LINEAMENT_{name}", "a-secret-word")
    monkeypatch.setenv("LINEAMENT_OPENSEARCH_LOGIN", "me:a-secret-word")
    index = open_index(kind, dimension=4, contract="c")
    with pytest.raises(IndexServerError, match="failed to") as caught:
        index.load(Path("unused"))
    assert "a-secret-word" not in str(caught.value)
    assert kind.partition(":")[2] in str(caught.value)
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtraError, match="pip install"):
        open_index(kind, dimension=4)


def test_a_connection_that_was_cut_is_made_anew(a_postgres: str) -> None:
    index = open_index(f"pgvector:{a_postgres}", dimension=DIMENSION, name="cut", contract="c")
    assert isinstance(index, ServerIndex)
    vectors = people(5)
    index.add(np.arange(5), vectors)
    backend: Any = index._backend
    pid = backend._run("SELECT pg_backend_pid()")[0][0]
    other = pgvector.PgvectorBackend(a_postgres)
    other._run("SELECT pg_terminate_backend(%s)", (pid,))
    other.close()
    with pytest.raises(IndexServerError, match="failed to answer"):
        len(index)
    assert len(index) == 5
    index.close()


def test_the_graph_is_used_and_found_too_little_is_completed(
    a_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgvector, "EXACT_UP_TO", 0)
    index = open_index(f"pgvector:{a_postgres}", dimension=DIMENSION, name="graph", contract="c")
    assert isinstance(index, ServerIndex)
    vectors = people(3000)
    index.add(np.arange(3000), vectors)
    index.save(None, "1")
    backend: Any = index._backend
    names = backend._run(
        "SELECT indexdef FROM pg_indexes WHERE tablename = %s", (index._collection,)
    )
    assert any("hnsw" in row[0] for row in names)
    ids, _ = index.search(vectors[:50], 1)
    assert ids[:, 0].tolist() == list(range(50))
    allowed = np.arange(2000, 2700)
    ids, _ = index.search(vectors[:20], 600, allowed=allowed)
    expected, _ = brute({int(i): vectors[i] for i in allowed}, vectors[:20], 600)
    np.testing.assert_array_equal(ids, expected)
    index.drop()
    index.close()


def test_qdrant_in_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    kind = f"qdrant:{tmp_path / 'vectors'}"
    vectors: Vectors = people(12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index: Index = open_index(kind, dimension=DIMENSION, contract="c", name="f")
        index.add(np.arange(12), vectors)
        index.save(tmp_path, "1")
        index.close()
        again = open_index(kind, dimension=DIMENSION, contract="c", name="f")
        assert again.load(tmp_path, writer=True) == "1"
        agree(again, dict(enumerate(vectors)), vectors[:3], 4)
        again.close()
        with pytest.raises(OptionError, match="no such folder"):
            open_index(f"qdrant:{tmp_path}/a/b", dimension=4).load(tmp_path)

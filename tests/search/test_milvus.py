"""The tests of the other engines, and what a server adds, against Milvus Lite."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of packages that pymilvus and Milvus Lite import
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")

from index_contract import DIMENSION, IndexContract, Make, agree, brute, like, people
from index_contract import filled as filled

from lineament.errors import (
    ContractError,
    IndexFileError,
    IndexServerError,
    MissingExtraError,
    OptionError,
)
from lineament.search._expression import expression
from lineament.search.milvus import MilvusIndex, open_milvus
from lineament.search.milvus_server import MilvusOptions, load_pymilvus


class TestContract(IndexContract):
    """Of Milvus."""


numbers = itertools.count()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One file for all tests: opening one takes as long as most of them."""
    path = str(tmp_path_factory.mktemp("milvus") / "all.db")
    client = load_pymilvus().MilvusClient(path)
    yield path
    left = [name for name in client.list_collections() if name.startswith("other")]
    client.close()
    assert left == []


@pytest.fixture
def collections(database: str) -> Iterator[Any]:
    """What collections there are whose names start with this, seen past the package."""
    client = load_pymilvus().MilvusClient(database)
    yield lambda name: [found for found in client.list_collections() if found.startswith(name)]
    client.close()


@pytest.fixture
def name() -> str:
    return f"test{next(numbers):03}"


@pytest.fixture
def make(database: str, name: str) -> Iterator[Make]:
    made: list[MilvusIndex] = []

    def empty() -> MilvusIndex:
        made.append(MilvusIndex(DIMENSION, contract="c", uri=database, name=name, replace=True))
        return made[-1]

    yield empty
    for index in made:
        index.close()


def test_is_there_after_a_crash(tmp_path: Path) -> None:
    """Every change that returned, without a second save and without an orderly end."""
    code = f"""
import os, sys
import numpy as np
sys.path.insert(0, {str(Path(__file__).parents[1] / "builders")!r})
from lineament.search.milvus import MilvusIndex
from index_contract import people
vectors = people(300)
index = MilvusIndex(64, contract="c", uri={str(tmp_path / "a.db")!r})
index.add(np.arange(200), vectors[:200])
index.save(state="first")
index.add(np.arange(200, 300), vectors[200:])
index.remove([7])
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == -9, done.stderr
    index, known = MilvusIndex(64, contract="c", uri=str(tmp_path / "a.db")), people(300)
    assert index.load() == "first"
    there = {i: vector for i, vector in enumerate(known) if i != 7}
    assert len(index) == len(there)
    agree(index, there, known[:20])
    index.close()


def test_save_replaces_what_was_there(make: Make, name: str, collections: Any) -> None:
    old, new, vectors = make(), make(), people(60)
    with pytest.raises(IndexFileError, match="nothing was saved"):
        old.load()
    old.add(np.arange(30), vectors[:30])
    old.save(state="1")
    reader = make()
    assert reader.load() == "1"
    new.add(np.arange(60), vectors)
    assert len(reader) == 30
    assert len(collections(name)) == 2
    new.save(state="2")
    assert len(collections(name)) == 1
    with pytest.raises(IndexFileError, match="load again"):
        reader.search(vectors[:1], 1)
    assert reader.load() == "2"
    agree(reader, dict(enumerate(vectors)), vectors[:5])


def test_readers_see_the_writer_and_change_nothing(make: Make) -> None:
    writer, reader, vectors = make(), make(), people(50)
    writer.save(state="empty")
    assert reader.load() == "empty"
    assert (writer.follows_writer, reader.follows_writer) == (False, True)
    writer.add(np.arange(50), vectors)
    writer.remove([3])
    agree(reader, {i: v for i, v in enumerate(vectors) if i != 3}, vectors[:8])
    for change in (lambda: reader.add([60], vectors[:1]), lambda: reader.remove([1])):
        with pytest.raises(OptionError, match="writer=True"):
            change()
    assert len(writer) == 49


def test_one_writer(make: Make) -> None:
    first, second, vectors = make(), make(), people(20)
    first.add(np.arange(10), vectors[:10])
    first.save(state="x")
    second.load(writer=True)
    with pytest.raises(IndexFileError, match="another process writes"):
        first.add([11], vectors[11:12])
    with pytest.raises(IndexFileError, match="another process writes"):
        first.save(state="y")
    second.add([10], vectors[10:11])
    agree(first, dict(enumerate(vectors[:11])), vectors[:5])


def test_what_was_never_saved_is_dropped(make: Make, name: str, collections: Any) -> None:
    index = make()
    index.add([1], people(1))
    assert len(collections(name)) == 1
    index.close()
    assert collections(name) == []
    assert len(index) == 0
    index.add([1], people(1))
    index.save()
    index.close()
    assert len(collections(name)) == 1
    index.drop()
    assert collections(name) == []
    with pytest.raises(IndexFileError, match="nothing was saved"):
        index.load()


@pytest.mark.parametrize(("dimension", "contract"), [(DIMENSION, "d"), (DIMENSION + 8, "c")])
def test_contracts_are_not_mixed(
    make: Make, database: str, name: str, dimension: int, contract: str
) -> None:
    index, vectors = make(), people(10)
    index.add(np.arange(10), vectors)
    index.save()
    other = MilvusIndex(dimension, contract=contract, uri=database, name=name)
    with pytest.raises(ContractError, match=f"{dimension} numbers and contract '{contract}'"):
        other.load()
    with pytest.raises(IndexFileError):  # so a gallery rebuilds
        other.load()
    other.add([1], people(1, dimension=dimension))
    with pytest.raises(ContractError):
        other.save()
    other.close()
    agree(index, dict(enumerate(vectors)), vectors[:3])


def test_nothing_is_replaced_unasked(make: Make, database: str, name: str) -> None:
    index = make()
    index.add([1], people(1))
    index.save()
    other = MilvusIndex(DIMENSION, contract="c", uri=database, name=name)
    other.add([2], people(1))
    with pytest.raises(OptionError, match="replace=True"):
        other.save()
    other.close()
    assert 1 in index


def test_collections_of_others_are_refused(make: Make, database: str, name: str) -> None:
    client = load_pymilvus().MilvusClient(database)
    client.create_collection("other", dimension=DIMENSION)
    client.create_alias("other", name)
    with pytest.raises(IndexFileError, match="not an index of lineament's"):
        make().load()
    client.drop_alias(name)
    client.drop_collection("other")
    client.close()


def test_pages_and_vectors(make: Make) -> None:
    index, vectors = make(), people(700)
    assert list(index.pages()) == []
    index.add(np.arange(700), vectors)
    index.remove(np.arange(100, 200))
    pages = list(index.pages(128))
    assert max(len(ids) for ids, _ in pages) <= 128
    ids = np.concatenate([ids for ids, _ in pages])
    np.testing.assert_array_equal(ids, np.r_[0:100, 200:700])
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in pages]), vectors[ids])
    some, rows = index.vectors([650, 150, 3, 3, 10**9])
    assert some.tolist() == [3, 650]
    np.testing.assert_array_equal(rows, vectors[[3, 650]])
    with pytest.raises(OptionError, match="size"):
        next(index.pages(0))


STAFF: list[dict[str, Any] | None] = [
    {"building": "B", "age": 30, "groups": ["night shift", "fire"], "on duty": True},
    {"building": "B", "age": 41.5, "groups": ["fire"], "on duty": False},
    {"building": "C", "age": "30", 'quo"ted\\': "it's"},
    {"age": 17, "building": None},
    None,
    {"building": 'B"] or id >= 0 or metadata["x'},
]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, {0, 1, 2, 3, 4, 5}),
        ({"building": "B"}, {0, 1}),
        ({"building": ["B", "C"]}, {0, 1, 2}),
        ({"building": []}, set()),
        ({"building": None}, {3, 4}),
        ({"age": 30}, {0}),
        ({"age": "30"}, {2}),
        ({"age": {">=": 18, "<": 65}}, {0, 1}),
        ({"age": {"<": 18}}, {3}),
        ({"building": {"!=": "B"}}, {2, 5}),
        ({"building": {"=": "C"}}, {2}),
        ({"groups": {"has": "night shift"}}, {0}),
        ({"groups": {"has": "fire"}, "on duty": False}, {1}),
        ({"on duty": True}, {0}),
        ({'quo"ted\\': "it's"}, {2}),
        ({"building": 'B"] or id >= 0 or metadata["x'}, {5}),
    ],
)
def test_metadata_filters(make: Make, where: dict[str, Any], found: set[int]) -> None:
    index, vectors = make(), people(len(STAFF))
    index.add(np.arange(len(STAFF)), vectors, metadata=STAFF)
    ids, _ = index.search(vectors[:1], len(STAFF), where=where)
    assert {int(i) for i in ids[0] if i >= 0} == found
    ids, _ = index.search(vectors[:1], len(STAFF), where=where, allowed=[0, 2, 3])
    assert {int(i) for i in ids[0] if i >= 0} == found & {0, 2, 3}
    paged = [int(i) for some, _ in index.pages(2, where=where) for i in some]
    assert sorted(paged) == sorted(found)


def test_not_equal_asks_for_the_key() -> None:
    """Milvus Lite does not need it."""
    name = 'metadata["a"]'
    assert expression({"a": {"!=": 1}}) == f"(exists {name} and {name} != 1)"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("building", "expected a mapping"),
        ({"": 1}, "names of metadata"),
        ({3: 1}, "names of metadata"),
        ({"a\n": 1}, "can be printed"),
        ({"a": "\x00"}, "can be printed"),
        ({"a": {}}, "expected a comparison"),
        ({"a": {"like": "x"}}, "got 'like'"),
        ({"a": object()}, "expected text, a number"),
        ({"a": {">": None}}, "expected text, a number"),
    ],
)
def test_filters_that_make_no_sense(where: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        expression(where)


def test_metadata_that_makes_no_sense(make: Make) -> None:
    index = make()
    with pytest.raises(OptionError, match="expected 1 entries, got 2"):
        index.add([1], people(1), metadata=[{}, {}])
    with pytest.raises(OptionError, match="plain values"):
        index.add([1], people(1), metadata=[{"a": {1, 2}}])
    assert len(index) == 0


@pytest.mark.parametrize("index_type", ["HNSW", "IVF_SQ8", "DISKANN"])
def test_recall_of_approximate_indexes(database: str, name: str, index_type: str) -> None:
    options = MilvusOptions(
        index_type=index_type, build={"nlist": 16, "M": 16, "efConstruction": 100}
    )
    index, vectors = MilvusIndex(DIMENSION, uri=database, name=name, options=options), people(2000)
    index.add(np.arange(2000), vectors)
    client = load_pymilvus().MilvusClient(database)
    (collection,) = (found for found in client.list_collections() if found.startswith(name))
    client.flush(collection)  # what is not on the disk yet is searched without an index
    assert client.describe_index(collection, "vector")["index_type"] == index_type
    client.close()
    queries = like(vectors[:100], 0.71, np.random.default_rng(2))
    ids, scores = index.search(queries, 10)
    expected_ids, expected = brute(dict(enumerate(vectors)), queries, 10)
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(ids, expected_ids, strict=True)]
    assert np.mean(shares) > 0.99
    same = ids == expected_ids
    assert same.mean() > 0.95
    np.testing.assert_allclose(scores[same], expected[same], atol=1e-6)  # the full vectors' scores
    index.close()


def test_k_has_a_limit(make: Make) -> None:
    with pytest.raises(OptionError, match="up to 16320, got 16321"):
        make().search(people(1), 16321)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("folder/file.sqlite", "ends in .db"),
        ("ftp://host:1", "expected http://HOST:PORT"),
        ("http://", "expected http://HOST:PORT"),
        ("http://host:port", "expected http://HOST:PORT"),
        ("http://root:secret@host:19530", "without credentials"),
        ("https://host?token=secret", "without credentials"),
    ],
)
def test_addresses_that_cannot_be(uri: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        MilvusIndex(8, uri=uri)
    assert "secret" not in str(caught.value)


def test_options_that_make_no_sense(tmp_path: Path) -> None:
    for settings, words in (
        ({"index_type": "LSH"}, "expected one of FLAT, HNSW, IVF_SQ8, DISKANN, AUTOINDEX"),
        ({"shards": 0}, "1 to 16"),
        ({"replicas": 0}, "1 or more"),
        ({"timeout_s": 0}, "above 0"),
    ):
        with pytest.raises(OptionError, match=words):
            MilvusOptions(**settings)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="letters, digits and _"):
        MilvusIndex(8, uri="a.db", name="a b")
    with pytest.raises(OptionError, match="dimension"):
        MilvusIndex(0, uri="a.db")
    with pytest.raises(OptionError, match="no such folder"):
        MilvusIndex(8, uri=str(tmp_path / "none" / "a.db")).load()
    with pytest.raises(OptionError, match="milvus:URI"):
        open_milvus("exact", dimension=8)


def test_options_by_size() -> None:
    shapes = [
        (options.index_type, options.shards, options.replicas)
        for options in map(MilvusOptions.for_vectors, (10**5, 10**6, 10**8, 10**9, 10**10))
    ]
    assert shapes == [
        ("FLAT", 1, 1),
        ("HNSW", 1, 1),
        ("HNSW", 1, 2),
        ("DISKANN", 8, 2),
        ("DISKANN", 8, 2),
    ]
    assert MilvusOptions.for_vectors(10**9, replicas=3, index_type="IVF_SQ8").replicas == 3


SECRET = "root:Tr0ub4dor"

FAILURES = """
import socket, sys
import numpy as np
from lineament.errors import LineamentError
from lineament.search.milvus import MilvusIndex
from lineament.search.milvus_server import MilvusOptions
options = MilvusOptions(timeout_s=1)
def tell(index, use):
    try:
        use(index)
    except LineamentError as error:
        print(type(error).__name__, error)
    print(index, index._options)
uses = (lambda i: i.load(), lambda i: i.add([1], np.eye(1, 8)), lambda i: i.save())
with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))  # nobody listens
    for use in uses:
        tell(MilvusIndex(8, uri=f"http://127.0.0.1:{taken.getsockname()[1]}", options=options), use)
with socket.create_server(("127.0.0.1", 0)) as silent:
    uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
    tell(MilvusIndex(8, uri=uri, options=options), uses[0])
tell(MilvusIndex(8, uri=sys.argv[1] + "/taken.db"), uses[0])
here = MilvusIndex(8, uri=sys.argv[1] + "/mine.db")
tell(here, uses[0])
tell(here, lambda i: (i.save(), i._query("no such (expression", ["id"])))
"""


def test_failures_are_told_without_tracebacks_and_secrets(tmp_path: Path) -> None:
    """In a process of its own: pytest takes what is logged."""
    other = MilvusIndex(8, uri=str(tmp_path / "taken.db"))
    other.save()
    environment = {**os.environ, "LINEAMENT_MILVUS_TOKEN": SECRET}
    done = subprocess.run(
        [sys.executable, "-c", FAILURES, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    other.close()
    assert (done.returncode, done.stderr) == (0, "")
    told = [line for line in done.stdout.splitlines() if not line.startswith("MilvusIndex(")]
    words = [
        *["IndexServerError http://127.0.0.1:.*is the server running"] * 4,
        "IndexServerError .*/taken.db: .*no other process has open",
        "IndexFileError .*/mine.db: .*nothing was saved",
        "IndexServerError .*/mine.db: Milvus failed to query",
    ]
    assert len(told) == len(words)
    assert all(re.match(*pair) for pair in zip(words, told, strict=True)), told
    assert "Tr0ub4dor" not in done.stdout


def test_what_the_server_says_is_shown_without_the_token(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAMENT_MILVUS_TOKEN", SECRET)
    index = make()
    index.add([1], people(1))

    def refuse(*_: object, **__: object) -> None:
        raise load_pymilvus().MilvusException(code=65535, message=f"denied: {SECRET}\nTr0ub4dor")

    monkeypatch.setattr(index._server.client, "search", refuse)  # type: ignore[attr-defined]
    with pytest.raises(IndexServerError, match="failed to search: denied") as caught:
        index.search(people(1), 1)
    assert "Tr0ub4dor" not in str(caught.value)


def test_open_milvus(database: str, name: str) -> None:
    vectors = people(9)
    for state in ("old", "new"):  # the second replaces the first
        index = open_milvus(f"milvus:{database}", dimension=DIMENSION, contract="c", name=name)
        index.add(np.arange(9), vectors)
        index.save(state=state)
        index.close()
    assert index.load(writer=True) == "new"
    index.check()
    index.compact()
    agree(index, dict(enumerate(vectors)), vectors)
    assert json.loads(json.dumps(repr(index))).endswith(f"name='{name}')")
    index.close()


def test_a_server_by_its_address(tmp_path: Path) -> None:
    """Milvus Lite as a process of its own, so that two clients see one collection."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            for _ in range(300):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            options = MilvusOptions(token=SECRET, index_type="FLAT", shards=2)
            uri, vectors = f"http://127.0.0.1:{port}", people(400)
            writer = MilvusIndex(DIMENSION, uri=uri, options=options)
            writer.add(np.arange(400), vectors)
            writer.save(state="x")
            reader = MilvusIndex(DIMENSION, uri=uri, options=options)
            assert reader.load() == "x"
            writer.remove(np.arange(200))
            agree(reader, dict(enumerate(vectors[200:], 200)), vectors[:10])
        finally:
            server.terminate()
    with pytest.raises(IndexServerError) as caught:
        reader.search(vectors[:1], 1)
    assert "Tr0ub4dor" not in str(caught.value)


def test_without_pymilvus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*pymilvus"):
        MilvusIndex(8, uri="http://localhost:19530").load()

"""FAISS, USearch, NMSLIB and Annoy against brute force: candidates of theirs, answers of ours."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_contract import DIMENSION, IndexContract, Make, Vectors, agree, brute, like, people
from index_contract import filled as filled

from lineament.errors import IndexFileError, MissingExtraError
from lineament.search import Index, check_installed, engines, open_index
from lineament.search import _index_files as files
from lineament.search.engines import BUILDERS, PACKAGES, engine, faiss
from lineament.search.engines.engine import EngineIndex

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of SWIG's types
]

FIXED = ("nmslib", "annoy")
"""They cannot be changed once they were built."""


def make_index(name: str, build_from: int = 1) -> EngineIndex:
    return EngineIndex(
        DIMENSION, contract="c", name=name, build=BUILDERS[name], build_from=build_from
    )


@pytest.fixture(params=list(BUILDERS))
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Of an engine that is installed; it is asked from the first vector on."""
    pytest.importorskip(request.param.partition("-")[0])
    monkeypatch.setattr(engine, "FEW", 0)
    monkeypatch.setattr(faiss, "VISITED_SHARE", 1.0)  # nothing is approximate but the graphs
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    return str(request.param)


@pytest.fixture
def make(name: str) -> Make:
    """An empty index."""
    return lambda: make_index(name)


class TestContract(IndexContract):
    """Of all engines; their graphs and trees find everything among 2,000."""


def built(name: str, count: int = 2000) -> tuple[EngineIndex, Vectors]:
    index, vectors = make_index(name), people(count)
    index.add(np.arange(count), vectors)
    index.settle()
    assert index._engine is not None
    return index, vectors


def test_the_engine_is_what_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index, vectors = built(name)
    scans: list[int] = []
    scan = engine.scan
    monkeypatch.setattr(engine, "scan", lambda *a: (scans.append(1), scan(*a))[1])
    index.search(vectors[:5], 5)
    assert scans == []


def test_vectors_that_came_later_are_found(name: str) -> None:
    index, vectors = built(name)
    new = people(30, seed=8)
    index.add(np.arange(5000, 5030), new)
    ids, scores = index.search(new, 1)
    assert ids[:, 0].tolist() == list(range(5000, 5030))
    np.testing.assert_allclose(scores, 1, atol=1e-6)
    index.add([5003], -new[3:4])
    assert index.search(new[3:4], 1)[0][0, 0] != 5003
    assert index.search(-new[3:4], 1)[0][0, 0] == 5003
    index.remove([5004])
    assert index.search(new[4:5], 1)[0][0, 0] != 5004
    assert index.search(vectors[:50], 1)[0][:, 0].tolist() == list(range(50))


def test_the_engine_is_kept_in_files(name: str, tmp_path: Path) -> None:
    index, vectors = built(name)
    folder = tmp_path / "index"
    index.save(folder, "here")
    again = make_index(name)
    assert again.load(folder, writer=True) == "here"
    assert again._engine is not None
    ids, _ = again.search(vectors[:40], 1)
    assert ids[:, 0].tolist() == list(range(40))
    again.save(folder, "there")  # the file that is in use is replaced
    ids, _ = again.search(vectors[:40], 1)
    assert ids[:, 0].tolist() == list(range(40))
    again.check()
    index.load(folder)
    agree(open_loaded("exact", folder), dict(enumerate(vectors)), vectors[:5])


def open_loaded(kind: str, folder: Path) -> Index:
    index = open_index(kind, dimension=DIMENSION, contract="c")
    index.load(folder)
    return index


def test_nothing_removed_stands_in_the_files(name: str, tmp_path: Path) -> None:
    index, vectors = built(name)
    folder = tmp_path / "index"
    index.save(folder, "1")
    index.remove(np.arange(300, 320))
    index.save(folder, "2")
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not any(vectors[i].tobytes() in content for i in range(300, 320))
    assert vectors[0].tobytes() in content
    roles = files.read_header(folder).parts
    assert ("engine" in roles) == (name not in FIXED)
    again = make_index(name)
    again.load(folder, writer=True)
    again.settle()
    known = {i: vector for i, vector in enumerate(vectors) if not 300 <= i < 320}
    ids, _ = again.search(vectors[:20], 1)
    assert ids[:, 0].tolist() == list(range(20))
    expected, _ = brute(known, vectors[300:320], 1)
    ids, _ = again.search(vectors[300:320], 1)
    assert (ids == expected).mean() > 0.9


def test_files_of_others_are_built_anew(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Native code reads an engine's file only if this user wrote it."""
    index, vectors = built(name)
    folder = tmp_path / "index"
    index.save(folder, "1")
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "of somebody else"))
    read: list[Path | None] = []
    build = BUILDERS[name]

    def watched(dimension: int, count: int, blocks: Any, path: Path | None) -> Any:
        read.append(path)
        return build(dimension, count, blocks, path)

    foreign = EngineIndex(DIMENSION, contract="c", name=name, build=watched, build_from=1)
    assert foreign.load(folder) == "1"
    assert read == []
    assert foreign._engine is None
    foreign.settle()
    assert read == [None]
    ids, _ = foreign.search(vectors[:20], 1)
    assert ids[:, 0].tolist() == list(range(20))


def test_a_damaged_file_of_the_engine_is_found(name: str, tmp_path: Path) -> None:
    index, _ = built(name, 600)
    folder = tmp_path / "index"
    index.save(folder, "1")
    header = files.read_header(folder)
    for role in ("engine", "labels", "seal"):
        path = folder / header.parts[role].name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(IndexFileError, match="checksum differs"):
            make_index(name).load(folder)
        path.write_bytes(good)
    assert make_index(name).load(folder) == "1"


def test_building_goes_on_beside_searches(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes while an engine is built is in it afterwards, and searches stay right."""
    waiting, go_on = threading.Event(), threading.Event()
    build = BUILDERS[name]

    def slow(dimension: int, count: int, blocks: Any, path: Path | None) -> Any:
        made = build(dimension, count, blocks, path)
        waiting.set()
        assert go_on.wait(30)
        return made

    index = EngineIndex(DIMENSION, contract="c", name=name, build=slow, build_from=1)
    vectors = people(1500)
    index.add(np.arange(1000), vectors[:1000])
    index.search(vectors[:1], 1)
    assert waiting.wait(30)
    index.remove(np.arange(100))
    index.add(np.arange(1000, 1500), vectors[1000:])
    index.add([200], -vectors[200:201])
    known = {i: vectors[i] for i in range(100, 1500)} | {200: -vectors[200]}
    agree(index, known, vectors[::300])
    assert index._engine is None
    go_on.set()
    index.settle()
    assert index._engine is not None
    queries = like(vectors[::10], 0.8, np.random.default_rng(0))
    ids, scores = index.search(queries, 5)
    expected, best = brute(known, queries, 5)
    assert (ids == expected).mean() > 0.97
    assert not set(ids.ravel().tolist()) & set(range(100))
    assert (scores[:, 0] >= best[:, 0] - 1e-6).mean() > 0.97


def test_an_engine_that_fails_is_said_and_searches_stay_exact(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("no room")

    index = EngineIndex(DIMENSION, contract="c", name=name, build=broken, build_from=1)
    vectors = people(300)
    index.add(np.arange(300), vectors)
    with pytest.raises(IndexFileError, match=r"could not be built .no room.: searches compare"):
        index.settle()
    agree(index, dict(enumerate(vectors)), vectors[:5])
    with pytest.raises(IndexFileError, match="no room"):
        index.check()


def test_engines_are_built_anew_when_much_was_removed(name: str) -> None:
    index, vectors = built(name)
    first = index._engine
    index.remove(np.arange(900))
    index.search(vectors[:1], 1)
    index.settle()
    assert index._engine is not first
    assert index._n_dead == 0
    ids, _ = index.search(vectors[900:1000], 1)
    assert ids[:, 0].tolist() == list(range(900, 1000))


def test_faiss_takes_the_layout_that_fits_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    assert [faiss.layout_for(n) for n in (1, 20_000, 20_001, 1_000_000, 1_000_001)] == [
        *("flat", "flat", "hnsw", "hnsw", "ivf")
    ]
    monkeypatch.setattr(faiss, "FLAT_UP_TO", 500)
    monkeypatch.setattr(faiss, "HNSW_UP_TO", 1500)
    index, vectors = make_index("faiss"), people(2000)
    for end, layout in ((400, "flat"), (1200, "hnsw"), (2000, "ivf")):
        index.add(np.arange(end - 400, end), vectors[end - 400 : end])
        if end > 400:
            index.add(np.arange(end - 800, end - 400), vectors[end - 800 : end - 400])
        index.search(vectors[:1], 1)
        index.settle()
        assert index._engine is not None
        assert index._engine._layout == layout  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine_name", list(PACKAGES))
def test_a_missing_package_is_named(engine_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, engine_name, None)
    with pytest.raises(MissingExtraError, match=r"pip install"):
        check_installed(engine_name)
    with pytest.raises(MissingExtraError, match=r"pip install"):
        open_index(engine_name, dimension=8)


def test_every_engine_has_a_package() -> None:
    assert {kind.partition("-")[0] for kind in BUILDERS} == set(PACKAGES)
    assert engines.BUILDERS is BUILDERS

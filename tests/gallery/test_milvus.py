"""A gallery whose vectors lie in Milvus gives the answers of one whose index is exact."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what they import warns
    pytest.importorskip("pymilvus")
    pytest.importorskip("milvus_lite")

from gallery_builders import embed, make_gallery, turned, vectors

from lineament.gallery import Gallery

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _our_own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINEAMENT_MILVUS_SERVERS", str(tmp_path / "vectors.db"))


def test_the_same_answers_as_exact(tmp_path: Path) -> None:
    asked = [embed(turned(vector, 0.8)) for vector in vectors(12)] + [embed(vectors(1, seed=5)[0])]
    where = {"building": "A"}
    told = {}
    for kind in ("exact", f"milvus:{tmp_path / 'vectors.db'}"):
        folder = tmp_path / kind.partition(":")[0]
        with make_gallery(folder, people=12, index=kind) as gallery:
            removed = gallery.remove("person 3")
            assert removed.erased == (kind == "exact")  # a server rewrites its files later
        with Gallery.open(folder) as gallery:
            answers = gallery.identify_embeddings(asked, top=3)
            some = gallery.identify_embeddings(asked, top=3, where=where)
        told[kind.partition(":")[0]] = [
            [(c.name, round(c.similarity, 5)) for c in answer.candidates]
            for answer in (*answers, *some)
        ]
    assert told["exact"] == told["milvus"]
    assert len(told["exact"]) == 26
    assert "person 3" not in {name for row in told["milvus"] for name, _ in row}
    assert {name for row in told["milvus"][13:] for name, _ in row} == {
        f"person {i}" for i in range(0, 12, 2)
    }


def test_a_gallery_outlives_its_server(tmp_path: Path) -> None:
    """The vectors are derived: another index is built from the database."""
    file = tmp_path / "vectors.db"
    with make_gallery(tmp_path / "g", people=5, index=f"milvus:{file}") as gallery:
        before = gallery.identify_embeddings([embed(vectors(5)[2])])
        gallery.configure(index="exact")
    for path in (file, *tmp_path.glob("vectors.db*")):
        if path.is_file():
            path.unlink()
    with Gallery.open(tmp_path / "g") as gallery:
        after = gallery.identify_embeddings([embed(vectors(5)[2])])
    assert [c.name for c in before[0].candidates] == [c.name for c in after[0].candidates]
    np.testing.assert_allclose(after[0].candidates[0].similarity, 1, atol=1e-5)

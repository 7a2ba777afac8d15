"""Tables as CSV: of embeddings, of faces, of who is in a photo, of who is enrolled."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import lineament
from lineament.bulk.tables import as_csv
from lineament.cli import app

DEMO = Path(lineament.__file__).parent / "data" / "demo"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def test_cells() -> None:
    rows = [
        {"a": 'x, "y"\nz', "b": None, "c": float("nan"), "d": True, "e": [1, 2], "f": 0.1},
        {"a": "張偉", "g": np.float32(0.5), "h": {"k": "é"}},
    ]
    data = as_csv(rows)
    assert data.startswith(b"a,b,c,d,e,f,g,h\r\n")
    first, second = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert first == {
        "a": 'x, "y"\nz',
        "b": "",
        "c": "",
        "d": "true",
        "e": "[1, 2]",
        "f": "0.1",
        "g": "",
        "h": "",
    }
    assert (second["a"], second["g"], second["h"]) == ("張偉", "0.5", '{"k": "é"}')
    assert as_csv([], ["a", "b"]) == b"a,b\r\n"
    assert as_csv([{"a": os.fsdecode(b"caf\xe9.jpg")}]) == b"a\r\ncaf\xe9.jpg\r\n"


def test_embeddings(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    assert call("embed", DEMO / "obama.jpg", "--out", out).exit_code == 0
    (row,) = table(out)
    known = lineament.Recognizer().embed(DEMO / "obama.jpg")
    vector = [float(row[f"v{i}"]) for i in range(len(known.vector))]
    assert np.allclose(vector, known.vector, atol=1e-6)
    assert row["source"] == str(DEMO / "obama.jpg")
    assert row["contract"] == known.contract.id
    before = out.read_bytes()
    assert call("embed", DEMO / "biden.jpg", "--out", out).exit_code == 2
    assert out.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_faces_and_names_of_files_that_are_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(DEMO / "obama.jpg", odd)
    Path("broken.jpg").write_bytes(b"nothing")
    done = call("detect", odd, "broken.jpg", DEMO / "group.jpg", "--csv", "faces.csv")
    assert done.exit_code == 2
    rows = table(Path("faces.csv"))
    assert Path(rows[0]["source"]).name == odd
    assert float(rows[0]["right"]) > float(rows[0]["left"]) > 0
    assert rows[1]["face"] == ""
    assert "broken.jpg" in rows[1]["error"]
    assert [row["face"] for row in rows[2:]] == [str(i) for i in range(len(rows) - 2)]


def test_people_and_who_is_in_a_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = 'Barack "B." Obama, 2'
    assert call("gallery", "enroll", name, DEMO / "obama.jpg", "--set", "building=B").exit_code == 0
    assert call("gallery", "people", "--csv", "people.csv").exit_code == 0
    (person,) = table(Path("people.csv"))
    assert (person["name"], person["photos"], person["building"]) == (name, "1", "B")
    assert call("identify", DEMO / "obama2.jpg", "--csv", "who.csv").exit_code == 0
    (face,) = table(Path("who.csv"))
    assert face["name"] == name
    assert float(face["similarity"]) > 0.4

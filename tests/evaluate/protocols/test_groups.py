"""Errors by groups from files: attributes, folders and lists of pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import TableSource
from lineament.datasets.attributes import read_attributes
from lineament.datasets.people_folder import read_people
from lineament.errors import DataError, OptionError
from lineament.evaluate.protocols.groups import group_rows, run_groups

T = 0.5


@pytest.fixture
def crowd(tmp_path: Path) -> tuple[Path, TableSource]:
    """60 people with 3 photos each; the women's faces are alike."""
    rng = np.random.default_rng(0)
    table = {}
    common = rng.normal(size=10)
    for p in range(60):
        center = rng.normal(size=10) + (0.9 * common if p % 2 else 0)
        for i in range(3):
            path = tmp_path / "photos" / f"p{p}" / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            table[path] = center + 0.7 * rng.normal(size=10)
    return tmp_path / "photos", TableSource(table)


def people_table(root: Path, *, rows: int = 60) -> Path:
    file = root.parent / "attributes.csv"
    lines = [f"p{p},{'fm'[p % 2 == 0]},{'young' if p < 30 else 'old'}\n" for p in range(rows)]
    file.write_text("person,sex,age\n" + "".join(lines), encoding="utf-8-sig")
    return file


def count(root: Path, source: TableSource, sex: Any, fmr: bool) -> dict[str, tuple[int, int]]:
    """(errors, pairs) by pair of groups, pair by pair."""
    people = read_people(root)
    table: dict[str, tuple[int, int]] = {}
    for i, a in enumerate(people.paths):
        for j, b in enumerate(people.paths[:i]):
            same = people.person[i] == people.person[j]
            if same == fmr:
                continue
            u, v = source.table[str(a)], source.table[str(b)]
            wrong = (u @ v / np.sqrt((u @ u) * (v @ v)) >= T) == fmr
            key = " x ".join(sorted((sex(a), sex(b))))
            errors, pairs = table.get(key, (0, 0))
            table[key] = (errors + int(wrong), pairs + 1)
    return table


def sex_of(path: Path) -> str:
    return "fm"[int(path.parent.name[1:]) % 2 == 0]


def test_a_folder_against_a_count(crowd: tuple[Path, TableSource]) -> None:
    root, source = crowd
    attributes = read_attributes(people_table(root))
    assert (attributes.key, attributes.columns) == ("person", ("sex", "age"))
    result, _ = run_groups(root, attributes, source, threshold=T, fmr=0.01)
    assert [part.key for part in result.parts] == ["by_sex", "by_age"]
    part = result.part("by_sex")
    found = part.measures
    assert found["groups"] == ["f", "m"]
    assert found["n_people"] == {"f": 30, "m": 30}
    for name in ("fmr", "fnmr"):
        expected = count(root, source, sex_of, name == "fmr")
        assert {k: (found[f"{name}_errors"][k], n) for k, n in found[f"{name}_pairs"].items()} == (
            expected
        )
        for cell, (errors, pairs) in expected.items():
            if errors < 30 and pairs < 3000:
                assert found[name][cell] is None
                assert cell in part.curves[f"{name}_too_few"]
            else:
                assert found[name][cell] == pytest.approx(errors / pairs, abs=1e-9)
                assert part.curves[name][cell] == found[name][cell]
                low, high = found[f"{name}_interval"][cell]
                assert low < errors / pairs < high
    fmrs = found["fmr"]
    assert fmrs["f x f"] > fmrs["f x m"] > 0
    assert found["fmr_max_over_min"] == pytest.approx(fmrs["f x f"] / fmrs["m x m"])
    assert found["threshold_at_fmr"]["1e-2, f"] > found["threshold_at_fmr"]["1e-2, m"]
    assert any("sex: the FMR of f is" in note and "that of m" in note for note in result.notes)
    assert any("bootstrap over people" in note for note in result.notes)
    assert ("sex: FMR f x f", f"{100 * fmrs['f x f']:.2f} %") in result.rows()
    table = {row[0]: row for row in group_rows(part)}
    assert list(table) == ["f x f", "m x m", "f x m"]
    assert table["f x m"][1] == f"{100 * fmrs['f x m']:.3f} %"
    assert table["f x f"][-1] == f"{found['threshold_at_fmr']['1e-2, f']:.4f}"
    assert table["f x m"][4:7] == ("no pairs", "", "0")
    values = result.to_dict()["by_sex"]
    assert values["curves"]["fmr"] == part.curves["fmr"]


def test_columns_joined_missing_rows_and_small_groups(crowd: tuple[Path, TableSource]) -> None:
    root, source = crowd
    attributes = read_attributes(people_table(root, rows=42))
    result, _ = run_groups(root, attributes, source, threshold=T, fmr=0.02, by=["Sex+age", "age"])
    part = result.parts[0]
    assert (part.key, part.title) == ("by_sex_age", "Sex+age")
    assert part.measures["n_people"] == {"f, old": 6, "f, young": 15, "m, old": 6, "m, young": 15}
    assert part.measures["fmr"]["f, old x f, old"] is None
    assert part.measures["fmr"]["f, young x f, young"] is not None
    assert "54 of 180 photos have no row" in " ".join(result.notes)
    assert any("too small for an FMR: f, old (135 pairs, 6 people)" in n for n in result.notes)
    assert [part.key for part in result.parts] == ["by_sex_age", "by_age"]
    with pytest.raises(OptionError, match=r"by: expected some of sex, age .* got 'height'"):
        run_groups(root, attributes, source, threshold=T, by=["height"])


def test_attributes_of_files(crowd: tuple[Path, TableSource]) -> None:
    root, source = crowd
    file = root.parent / "of files.csv"
    lines = [f"p{p}/{i}.jpg,{'old' if i == 2 else 'young'}\n" for p in range(60) for i in range(3)]
    lines[5] = "p1/2.jpg,\n"  # unknown
    file.write_text("File,age\n" + "".join(lines))
    result, _ = run_groups(root, read_attributes(file), source, threshold=T, fmr=0.01)
    part = result.part("by_age")
    assert part.measures["n_photos"] == {"old": 59, "young": 120}
    assert part.measures["n_people"] == {"old": 59, "young": 60}
    assert part.measures["fnmr_pairs"] == {"old x young": 118, "young x young": 60}


def test_a_list_of_pairs(crowd: tuple[Path, TableSource]) -> None:
    root, source = crowd
    rng = np.random.default_rng(1)
    rows = [(p, 0, p, i) for p in range(60) for i in (1, 2)]
    rows += [(p, int(rng.integers(3)), q, 0) for p in range(60) for q in range(p)]
    lines = [f"photos/p{p}/{i}.jpg,photos/p{q}/{j}.jpg,{int(p == q)}\n" for p, i, q, j in rows]
    file = root.parent / "pairs.csv"
    file.write_text("file_a,file_b,same\n" + "".join(lines))
    attributes = read_attributes(people_table(root))
    result, _ = run_groups(file, attributes, source, threshold=T, fmr=0.05, by=["sex"])
    part = result.part("by_sex")
    assert sum(part.measures["fnmr_pairs"].values()) == 120
    assert part.measures["n_people"] == {"f": 30, "m": 30}
    assert part.measures["fmr_pairs"] == {"f x f": 435, "f x m": 900, "m x m": 435}
    scores = {
        (a, b): float(u @ v / np.sqrt((u @ u) * (v @ v)))
        for a, u in source.table.items()
        for b, v in source.table.items()
    }
    expected = {"f x f": 0, "f x m": 0, "m x m": 0}
    for p, i, q, j in rows:
        a, b = (root / f"p{p}" / f"{i}.jpg", root / f"p{q}" / f"{j}.jpg")
        if p != q and scores[str(a), str(b)] >= T:
            expected[" x ".join(sorted((sex_of(a), sex_of(b))))] += 1
    assert part.measures["fmr_errors"] == expected
    assert sum(expected.values()) > 10
    by_file = root.parent / "of files.csv"
    first = next(i for p, i, q, _ in rows if (p, q) == (1, 0))
    by_file.write_text(f"file,sex\n./photos/p0/0.jpg,m\nphotos/p1/{first}.jpg,f\n")
    few, _ = run_groups(file, read_attributes(by_file), source, threshold=T)
    assert few.part("by_sex").measures["fmr_pairs"] == {"f x m": 1}
    one_kind = root.parent / "one.csv"
    one_kind.write_text("file_a,file_b,same\n" + lines[0])
    with pytest.raises(DataError, match="found 1 of one kind only"):
        run_groups(one_kind, attributes, source, threshold=T)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found an empty file"),
        ("name,sex\nA,f\n", 'line 1: expected a heading with either "person" or "file"'),
        ("person,file,sex\nA,b,f\n", "line 1: expected a heading"),
        ("person\nA\n", "line 1: expected a heading"),
        ("person,sex,SEX\nA,f,f\n", "line 1: expected a heading"),
        ("person,sex\n", "expected rows below the heading"),
        ("person,sex\nA,f\nB\n", "line 3: expected 2 columns as in the heading, got 1"),
        ("person,sex\nA,f\n\nA,m\n", "line 4: expected one row a person, got a second one of A"),
        ("person,sex\n,f\n", "line 2: expected the name of a person"),
        ('person,sex\n"A,f\n', "expected a table with commas"),
    ],
)
def test_spoiled_attributes(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_attributes(file)


def test_foreign_attributes(tmp_path: Path, crowd: tuple[Path, TableSource]) -> None:
    root, source = crowd
    file = tmp_path / "a.csv"
    with pytest.raises(DataError, match="expected a readable file"):
        read_attributes(file)
    file.write_bytes(b"person,sex\nA,\xff\n")
    with pytest.raises(DataError, match="expected text in UTF-8"):
        read_attributes(file)
    for text, message in (
        ("person,sex\nq0,f\n", "such as 'p0', found none; the column 'person' names 'q0'"),
        ("person,sex\np0,\n", "expected values in the column sex, found none"),
        (
            "person,born\n" + "".join(f"p{p},{1900 + p}\n" for p in range(60)),
            "at most 20 groups in the column born, found 60",
        ),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=message):
            run_groups(root, read_attributes(file), source, threshold=T)

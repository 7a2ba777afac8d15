"""People and samples: enrolled, listed, renamed, merged, removed."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from gallery_builders import CONTRACT, embed, make_gallery, turned, vectors

from builders import make_contract
from lineament.errors import (
    ContractError,
    OptionError,
    PersonExistsError,
    UnknownPersonError,
)
from lineament.gallery import Gallery, NewSample, SampleInfo, Settings
from lineament.gallery._editing import add_person
from lineament.gallery._schema import MIGRATIONS, contract_number, read_contract
from lineament.types import Contract


def test_enrolled_and_there_after_closing(tmp_path: Path) -> None:
    first, second = vectors(2)
    with make_gallery(tmp_path / "g") as gallery:
        report = gallery.enroll_embeddings("Ada", [embed(first)], metadata={"role": "engineer"})
        assert report.created
        assert [sample.person for sample in report.enrolled] == ["Ada"]
        assert report.refused == ()
        again = gallery.enroll_embeddings("Ada", [embed(turned(first, 0.7))], metadata={"age": 36})
        assert not again.created
        gallery.enroll_embeddings("Bob", [embed(second)])
    with Gallery.open(tmp_path / "g") as gallery:
        assert (gallery.n_people, gallery.n_samples) == (2, 3)
        ada = gallery.person("Ada")
        assert ada.metadata == {"role": "engineer", "age": 36}
        assert len(ada.samples) == ada.n_samples == 2
        assert gallery.contract == CONTRACT
        kept = gallery.embedding(ada.samples[0].id)
        np.testing.assert_array_equal(kept.vector, embed(first).vector)
        assert "Ada" in gallery
        assert "Eve" not in gallery
        assert gallery.check() == []


@pytest.mark.parametrize(
    "name", ["Zoë", "王小明", "محمد", "עדה", "Ада", "O'Brien; DROP", "👩‍🔬", "नेहा"]
)
def test_names_in_any_script(tmp_path: Path, name: str) -> None:
    with make_gallery(tmp_path / "g") as gallery:
        decomposed = unicodedata.normalize("NFD", name)
        gallery.enroll_embeddings(decomposed, [embed(vectors(1)[0])])
        assert [info.name for info in gallery.people()] == [unicodedata.normalize("NFC", name)]
        assert gallery.person(name).id == gallery.person(decomposed).id


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "x" * 201, "a\u202eb", "\ud800", 7])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with make_gallery(tmp_path / "g") as gallery:
        with pytest.raises(OptionError, match="name: expected"):
            gallery.enroll_embeddings(name, [embed(vectors(1)[0])])
        assert gallery.n_people == 0


@pytest.mark.parametrize(
    "metadata", [{"a": float("nan")}, {1: 2}, {"a": object()}, {"a": "x" * 70000}]
)
def test_metadata_that_are_none(tmp_path: Path, metadata: dict[str, object]) -> None:
    with make_gallery(tmp_path / "g") as gallery:
        with pytest.raises(OptionError, match="metadata: expected"):
            gallery.enroll_embeddings("Ada", [embed(vectors(1)[0])], metadata=metadata)
        assert gallery.n_people == 0


def test_duplicates_and_doubles_are_refused(tmp_path: Path) -> None:
    first, second, third = vectors(3)
    with make_gallery(tmp_path / "g") as gallery:
        digest = bytes(32)
        gallery.enroll_embeddings("Ada", [NewSample(embed(first), "1.jpg", digest)])
        new = [
            NewSample(embed(turned(first, 0.7)), "same bytes", digest),
            NewSample(embed(turned(first, 0.99)), "nearly the same"),
            NewSample(embed(turned(first, 0.8, seed=2)), "another one"),
        ]
        report = gallery.enroll_embeddings("Ada", new)
        assert [(r.source, r.reason) for r in report.refused] == [
            ("same bytes", "duplicate"),
            ("nearly the same", "duplicate"),
        ]
        assert report.refused[1].similarity == pytest.approx(0.99, abs=1e-4)
        assert [sample.source for sample in report.enrolled] == ["another one"]

        report = gallery.enroll_embeddings("Eve", [embed(turned(first, 0.9)), embed(second)])
        (refusal,) = report.refused
        assert (refusal.reason, refusal.other) == ("someone else", "Ada")
        assert refusal.similarity == pytest.approx(0.9, abs=1e-4)
        assert len(report.enrolled) == 1
        forced = gallery.enroll_embeddings("Eve", [embed(turned(first, 0.9))], force=True)
        assert len(forced.enrolled) == 1

        # Within one batch, too.
        batch = [
            ("Mia", NewSample(embed(third))),
            ("Mia", NewSample(embed(turned(third, 0.995)))),
            ("Noa", NewSample(embed(turned(third, 0.9, seed=5)))),
        ]
        made = gallery.enroll_samples(batch)
        assert isinstance(made[0], SampleInfo)
        assert [getattr(one, "reason", None) for one in made] == [None, "duplicate", "someone else"]
        assert "Noa" not in gallery


def test_without_any_threshold_the_report_says_what_was_not_checked(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", threshold=None) as gallery:
        report = gallery.enroll_embeddings("Ada", [embed(vectors(1)[0])])
        assert len(report.enrolled) == 1
        assert "no calibration" in report.notes[0]
        with pytest.raises(OptionError, match="no thresholds are known"):
            gallery.identify_embeddings([embed(vectors(1)[0])])


def test_each_way_to_flip_has_its_row() -> None:
    connection = sqlite3.connect(":memory:")
    for statement in MIGRATIONS[0].split(";\n"):
        connection.execute(statement)
    made = [Contract("a", "ab" * 32, "arcface-112", "rgb", f, 4) for f in (False, True)]
    made.append(Contract("a", "ab" * 32, "arcface-112", "rgb", "concatenate", 4))
    numbers = [contract_number(connection, contract) for contract in made]
    assert numbers == [contract_number(connection, contract) for contract in made] == [1, 2, 3]
    columns = "weights, weights_sha256, alignment, color_order, flip, dimension"
    rows = connection.execute(f"SELECT {columns} FROM contracts ORDER BY id").fetchall()
    assert [row[4] for row in rows] == [0, 1, 2]  # 0 and 1 as in older galleries
    assert [read_contract(row) for row in rows] == made


def test_contracts_are_not_mixed(tmp_path: Path) -> None:
    other = make_contract(dimension=32, flip=True)
    with make_gallery(tmp_path / "g", people=2) as gallery:
        with pytest.raises(ContractError, match="flip"):
            gallery.enroll_embeddings("Ada", [embed(vectors(1)[0], other)])
        with pytest.raises(ContractError, match="flip"):
            gallery.identify_embeddings([embed(vectors(1)[0], other)])
        assert gallery.n_samples == 2


def test_a_number_becomes_a_truth(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=1) as gallery:
        for value in (1, True, 1.0, 1):
            gallery.annotate("person 0", {"present": value})
            kept = gallery.person("person 0").metadata["present"]
            assert (kept, type(kept)) == (value, type(value))
        gallery.annotate("person 0", {"present": True})
        assert gallery.people(where={"present": 1}) == []


def test_rename_merge_annotate(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=4) as gallery:
        number = gallery.person("person 0").id
        assert gallery.rename("person 0", "Ada").id == number
        with pytest.raises(PersonExistsError, match="merge"):
            gallery.rename("Ada", "person 1")
        with pytest.raises(UnknownPersonError, match="person 0"):
            gallery.person("person 0")
        gallery.annotate("Ada", {"number": None, "age": 36})
        assert gallery.person("Ada").metadata == {"building": "A", "age": 36}
        merged = gallery.merge("Ada", ["person 1", "person 2"])
        assert (merged.n_samples, merged.metadata["building"]) == (3, "A")
        assert gallery.n_people == 2
        answers = gallery.identify_embeddings([embed(v) for v in vectors(4)])
        assert [answer.name for answer in answers] == ["Ada", "Ada", "Ada", "person 3"]
        with pytest.raises(OptionError, match="other people"):
            gallery.merge("Ada", "Ada")
        assert gallery.n_people == 2
        assert gallery.check() == []


def test_remove_a_sample_and_a_person(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=3) as gallery:
        number = gallery.person("person 1").samples[0].id
        report = gallery.remove(number)
        assert (report.samples, report.people, report.erased) == ((number,), (), True)
        assert gallery.person("person 1").n_samples == 0
        assert gallery.remove("person 2").people == ("person 2",)
        assert (gallery.n_people, gallery.n_samples) == (2, 1)
        answers = gallery.identify_embeddings([embed(v) for v in vectors(3)])
        assert [answer.name for answer in answers] == ["person 0", None, None]
        for gone in (number, 999):
            with pytest.raises(UnknownPersonError, match=f"sample {gone}"):
                gallery.remove(gone)


def test_people_page_by_page(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=5) as gallery:
        assert [p.name for p in gallery.people(limit=2)] == ["person 0", "person 1"]
        assert [p.name for p in gallery.people(after="person 2")] == ["person 3", "person 4"]
        assert [p.name for p in gallery.people(where={"building": "B"})] == ["person 1", "person 3"]


def test_settings_last(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g") as gallery:
        gallery.configure(person_score="centroid", keep_crops=True)
        with pytest.raises(OptionError, match="settings: expected"):
            gallery.configure(color="red")
        with pytest.raises(OptionError, match="person_score: expected"):
            gallery.configure(person_score="worst")
    with Gallery.open(tmp_path / "g") as gallery:
        assert gallery.settings == Settings(keep_crops=True, person_score="centroid", threshold=0.6)


def test_threads(tmp_path: Path) -> None:
    drawn = vectors(60)
    with make_gallery(tmp_path / "g") as gallery:

        def work(i: int) -> str | None:
            gallery.enroll_samples([(f"person {i}", NewSample(embed(drawn[i])))], force=True)
            if i % 10 == 0:
                gallery.remove(f"person {i}")
            return gallery.identify_embeddings([embed(drawn[i])])[0].name

        with ThreadPoolExecutor(4) as pool:
            names = list(pool.map(work, range(60)))
        assert names == [None if i % 10 == 0 else f"person {i}" for i in range(60)]
        assert gallery.n_samples == 54
        assert gallery.check() == []


# --- names, in capitals or not --------------------------------------------------------------------


def named(folder: Path, *names: str) -> Gallery:
    gallery = make_gallery(folder)
    for name, vector in zip(names, vectors(len(names)), strict=True):
        gallery.enroll_samples([(name, NewSample(embed(vector)))], force=True)
    return gallery


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("obama", "Obama"),
        ("OBAMA", "Obama"),
        ("  obama ", "Obama"),
        ("ada  lovelace", "Ada Lovelace"),
        ("ada\N{NO-BREAK SPACE}lovelace", "Ada Lovelace"),
        ("rené", "René"),
        ("RENÉ", "René"),
        ("strasse", "Straße"),
        ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
        ("ｏｂａｍａ", "Obama"),
        ("李小龍\U000e0100", "李小龍"),
        ("Anna \u2764\ufe0f", "Anna \u2764"),
    ],
)
def test_people_are_found_whatever_the_case(tmp_path: Path, typed: str, meant: str) -> None:
    everybody = ("Obama", "Ada Lovelace", "René", "Straße", "Σίσυφος", "李小龍", "Anna \u2764")
    with named(tmp_path / "g", *everybody) as gallery:
        assert typed in gallery
        assert gallery.person(typed).name == meant
        gallery.annotate(typed, {"seen": True})
        assert gallery.person(meant).metadata["seen"] is True
        report = gallery.enroll_embeddings(typed, [embed(vectors(9)[8])], force=True)
        assert report.person is not None
        assert (report.person.name, report.created) == (meant, False)
        assert len(gallery) == 7
        assert gallery.rename(typed, "Somebody").name == "Somebody"
        assert typed not in gallery
        assert gallery.rename("somebody", meant).name == meant
        assert gallery.remove(typed).people == (meant,)
        assert typed not in gallery


@pytest.mark.parametrize(
    ("typed", "suggested"),
    [
        ("obma", "(did you mean 'Barack Obama'?)"),
        ("obama", "(did you mean 'Barack Obama'?)"),
        ("Barak Obama", "(did you mean 'Barack Obama'?)"),
        ("rene", "(did you mean 'René'?)"),
        ("Zzyzx", "is in the gallery: "),
        ("", "is in the gallery: "),
    ],
)
def test_somebody_who_is_not_there_may_be_somebody_else(
    tmp_path: Path, typed: str, suggested: str
) -> None:
    with named(tmp_path / "g", "Barack Obama", "René", "Joe") as gallery:
        assert typed not in gallery
        for ask in (gallery.person, gallery.remove, lambda name: gallery.rename(name, "X")):
            with pytest.raises(UnknownPersonError, match=re.escape(suggested)):
                ask(typed)


def test_the_very_name_goes_before_one_in_other_capitals(tmp_path: Path) -> None:
    with named(tmp_path / "g", "Ada") as gallery:
        with gallery._state.store.writing() as connection:
            add_person(gallery._state.store, connection, "ADA")  # as galleries of before have it
        assert gallery.person("Ada").name == "Ada"
        assert gallery.person("ADA").name == "ADA"
        with pytest.raises(UnknownPersonError, match=r"several people.*'Ada', 'ADA'"):
            gallery.person("ada")
        assert gallery.rename("ADA", "Bob").name == "Bob"
        assert gallery.person("ada").name == "Ada"


def test_names_of_one_batch_and_of_other_processes(tmp_path: Path) -> None:
    drawn = vectors(4)
    other_contract = make_contract(dimension=32, weights_sha256="cd" * 32)
    with (
        make_gallery(tmp_path / "g") as gallery,
        Gallery.open(tmp_path / "g", read_only=True) as other,
    ):
        assert "ada" not in other  # the names are read, and kept
        samples = [("Ada", drawn[0]), ("ADA", drawn[1]), ("Bob", drawn[2])]
        gallery.enroll_samples([(n, NewSample(embed(v))) for n, v in samples], force=True)
        assert [(one.name, one.n_samples) for one in gallery] == [("Ada", 2), ("Bob", 1)]
        assert "ada" in other
        with pytest.raises(PersonExistsError):
            gallery.rename("bob", "ada")
        gallery.merge("ada", "BOB")
        assert "bob" not in other
        with pytest.raises(ContractError):  # what was taken back is not kept
            gallery.enroll_embeddings("Eve", [embed(drawn[3], other_contract)])
        assert "eve" not in gallery

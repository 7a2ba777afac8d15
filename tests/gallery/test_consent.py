"""Consents: written at enrollment or later, asked for, kept by merge, rename, export and import."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from gallery_builders import embed, make_gallery, vectors

import lineament
from lineament.errors import (
    ConsentError,
    DataError,
    GalleryDamagedError,
    NobodySearchedError,
    OptionError,
    UnknownPersonError,
)
from lineament.gallery import Consent, Gallery, NewSample, new_key_file
from lineament.gallery._store import DATABASE
from lineament.gallery.consent import read_moment

FORM = Consent("form 17", ("access", "attendance"), 1e9, "her mother", "signed form", 4e9)
OTHER = Consent("form 18", ("access",), 1.1e9, expires=3e9)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"reference": ""}, "reference"),
        ({"reference": " form"}, "reference"),
        ({"reference": "a\nb"}, "reference"),
        ({"reference": "x" * 501}, "reference"),
        ({"purposes": ()}, "purposes"),
        ({"purposes": ("",)}, "purposes"),
        ({"purposes": ("a", "a")}, "purposes"),
        ({"purposes": "access"}, "purposes"),
        ({"purposes": tuple(map(str, range(33)))}, "purposes"),
        ({"given": float("nan")}, "given"),
        ({"given": 1e12}, "given"),
        ({"given": "now"}, "given"),
        ({"expires": 1e9}, "expires"),
        ({"expires": float("inf")}, "expires"),
        ({"by": "\u202emother"}, "by"),
        ({"method": 3}, "method"),
    ],
)
def test_what_is_no_consent_is_refused(changes: dict[str, Any], option: str) -> None:
    values = {"reference": "form 17", "purposes": ("access",), "given": 1e9}
    with pytest.raises(OptionError) as raised:
        Consent(**{**values, **changes})
    assert raised.value.option == option


def test_dates_are_read() -> None:
    assert read_moment("2027-01-31T18:00+01:00", "expires") == 1801414800.0
    assert read_moment("2027-01-31T17:00:00Z", "expires") == 1801414800.0
    for text in ("", "tomorrow", "2027-13-01", "31.1.2027", "2027-01-31T99"):
        with pytest.raises(OptionError, match="expected a date such as"):
            read_moment(text, "expires")


def test_it_is_written_at_enrollment_and_survives(tmp_path: Path) -> None:
    v = vectors(4)
    with make_gallery(tmp_path / "g", people=1) as gallery:
        report = gallery.enroll_embeddings("Ada", [embed(v[1])], consent=FORM)
        assert report.person is not None
        assert report.person.consents == (FORM,)
        gallery.enroll_embeddings("Ada", [embed(v[2])], consent=FORM, force=True)  # the very same
        assert gallery.person("ada").consents == (FORM,)
        gallery.rename("Ada", "Augusta")
    with Gallery.open(tmp_path / "g", read_only=True) as gallery:
        found = gallery.person("Augusta")
        assert (found.consents, found.expires, found.kept_until) == ((FORM,), 4e9, None)
        assert found.to_dict()["consents"][0]["purposes"] == ["access", "attendance"]
        assert {one.name: one.consents for one in gallery} == {"Augusta": (FORM,), "person 0": ()}
        assert gallery.check() == []


def test_it_is_replaced_added_and_withdrawn(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=1) as gallery:
        assert gallery.set_consent("person 0", FORM).consents == (FORM,)
        assert gallery.set_consent("person 0", OTHER).consents == (OTHER,)
        both = gallery.set_consent("person 0", FORM, add=True)
        assert (both.consents, both.expires) == ((OTHER, FORM), 3e9)
        gone = gallery.set_consent("person 0", None)
        assert (gone.consents, gone.expires) == ((), None)
        with pytest.raises(UnknownPersonError):
            gallery.set_consent("nobody", FORM)
        assert gallery.check() == []
    for path in (tmp_path / "g").rglob("*"):  # what was replaced is overwritten
        if path.is_file():
            assert b"her mother" not in path.read_bytes(), path


def test_a_gallery_can_ask_for_it(tmp_path: Path) -> None:
    v = vectors(6)
    with make_gallery(tmp_path / "g", require_consent=True, purpose="Access") as gallery:
        with pytest.raises(ConsentError, match="takes nobody without a consent") as raised:
            gallery.enroll_embeddings("Ada", [embed(v[1])])
        assert raised.value.code == "consent_missing"
        assert "Ada" not in gallery
        other = Consent("form 3", ("payroll",), 1e9)
        with pytest.raises(ConsentError, match="is for 'payroll'"):
            gallery.enroll_embeddings("Ada", [embed(v[1])], consent=other)
        both = [("Ada", NewSample(embed(v[1]))), ("Eve", NewSample(embed(v[2])))]
        with pytest.raises(ConsentError, match="'Eve'"):
            gallery.enroll_samples(both, consents={"Ada": FORM})
        assert gallery.n_people == 0
        gallery.enroll_samples(both, consents={"Ada": FORM, "Eve": OTHER})
        gallery.enroll_embeddings("ada", [embed(v[3])], force=True)  # it is there
        with pytest.raises(ConsentError, match="keeps nobody"):
            gallery.set_consent("Ada", None)
        with pytest.raises(ConsentError, match="is for 'payroll'"):
            gallery.set_consent("Ada", other)
        assert gallery.person("Ada").consents == (FORM,)


def test_two_people_become_one_with_both(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=3) as gallery:
        gallery.set_consent("person 0", FORM)
        gallery.set_consent("person 1", OTHER)
        gallery.keep_until("person 1", 3.5e9)
        gallery.keep_until("person 0", 3.7e9)
        found = gallery.merge("person 0", ["person 1", "person 2"], force=True)
        assert found.consents == (FORM, OTHER)
        assert (found.expires, found.kept_until) == (3e9, 3.5e9)
        assert gallery.check() == []


ATTENDANCE, ACCESS = (
    Consent(f"form {purpose}", (purpose,), 1e9) for purpose in ("Attendance", "access")
)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_search_for_a_purpose_is_among_who_consented_to_it(
    tmp_path: Path, encrypted: bool
) -> None:
    v = vectors(4)
    with make_gallery(tmp_path / "g", people=4) as gallery:
        if encrypted:
            gallery.encrypt(new_key_file(tmp_path / "key"))

        def found(*purpose: str, **more: Any) -> list[str | None]:
            given = {"purpose": purpose[0]} if purpose else {}
            answers = gallery.identify_embeddings([embed(one) for one in v], **given, **more)
            assert all(purpose or one.n_left_out is None for one in answers)
            counts = {(one.n_searched, one.n_left_out) for one in answers}
            assert len(counts) == 1
            searched.append(counts.pop())
            return [one.name for one in answers]

        searched: list[tuple[int, int | None]] = []
        everybody = [f"person {n}" for n in range(4)]
        assert found() == everybody
        assert found("attendance") == [None] * 4  # nobody consented to anything
        gallery.set_consent("person 0", FORM)  # access and attendance
        gallery.set_consent("person 1", ATTENDANCE)
        gallery.set_consent("person 2", ACCESS)
        assert found("attendance") == ["person 0", "person 1", None, None]
        assert found("ACCESS") == ["person 0", None, "person 2", None]
        assert found("payroll") == [None] * 4
        assert found() == everybody
        assert found("access", where={"building": "A"}) == ["person 0", None, "person 2", None]
        assert found("access", where={"building": "B"}) == [None] * 4
        gallery.set_consent("person 0", OTHER, add=True)  # each has to allow it
        assert found("attendance") == [None, "person 1", None, None]
        gallery.set_consent("person 1", None)
        assert found("attendance") == [None] * 4
        gallery.set_consent("person 3", ATTENDANCE)
        gallery.merge("person 3", ["person 0"], force=True)
        assert found("attendance") == [None] * 4
        gallery.remove("person 2")
        assert found("access") == [None] * 4
        assert searched == [
            (4, None), (0, 4), (2, 2), (2, 2), (0, 4), (4, None), (2, 0), (0, 2),
            (1, 3), (0, 4), (0, 3), (0, 2),
        ]  # fmt: skip


def test_one_person_is_compared_for_a_purpose(tmp_path: Path) -> None:
    photo = Path(lineament.__file__).parent / "data" / "demo" / "obama.jpg"
    with Gallery.create(tmp_path / "g") as gallery:
        gallery.enroll("Ada", photo)
        for purpose in ("access", "payroll"):
            with pytest.raises(ConsentError, match="nothing was compared") as raised:
                gallery.verify("Ada", tmp_path / "no such photo.jpg", purpose=purpose)
            assert raised.value.option == "purpose"
        gallery.set_consent("Ada", FORM)
        assert gallery.verify("Ada", photo, purpose="ACCESS").same
        (listed,) = gallery.verify("Ada", [photo], purpose="access")
        assert listed.same  # type: ignore[union-attr]
        assert (gallery.left_out("access"), gallery.left_out("payroll")) == (0, 1)
        gallery.set_consent("Ada", OTHER, add=True)  # each has to allow it
        with pytest.raises(ConsentError):
            gallery.verify("Ada", [photo], purpose="attendance")
        assert gallery.verify("Ada", photo).same
        for wrong in ("", " x"):
            with pytest.raises(OptionError):
                gallery.verify("Ada", photo, purpose=wrong)
            with pytest.raises(OptionError):
                gallery.left_out(wrong)


def test_why_nobody_was_searched_for_a_purpose(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=3) as gallery:
        gallery.set_consent("person 0", ACCESS)
        (one,) = gallery.identify_embeddings([embed(vectors(1)[0])], purpose="access")
        assert (one.name, one.to_dict()["n_left_out"]) == ("person 0", 2)
        assert gallery.check_search(purpose="access") == [
            "2 people are not searched: they did not consent to 'access'"
        ]
        (none,) = gallery.identify_embeddings([embed(vectors(1)[0])], purpose="payroll")
        assert none.reason == "nobody_searched"
        assert "of the 3 people nobody consented to 'payroll'" in none.reason_in_words
        with pytest.raises(NobodySearchedError, match="nobody consented") as raised:
            gallery.check_search(purpose="payroll")
        assert raised.value.option == "purpose"
        with pytest.raises(NobodySearchedError, match="who match building=B nobody consented"):
            gallery.check_search({"building": "B"}, purpose="access")
        with pytest.raises(NobodySearchedError, match=r"nobody of the 3 people .* matches"):
            gallery.check_search({"building": "C"}, purpose="access")
        for wrong in ("", " x", "x" * 501):
            with pytest.raises(OptionError) as refused:
                gallery.identify_embeddings([embed(vectors(1)[0])], purpose=wrong)
            assert refused.value.option == "purpose"
        for name in ("person 0", "person 1", "person 2"):
            gallery.set_consent(name, ACCESS)
        assert gallery.check_search(purpose="access") == []
        assert (
            gallery.identify_embeddings([embed(vectors(1)[0])], purpose="access")[0].to_dict()[
                "n_left_out"
            ]
            == 0
        )


def test_nobody_knows_what_a_damaged_consent_allows(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        gallery.set_consent("person 0", ACCESS)
        gallery.set_consent("person 1", ACCESS)
    with closing(sqlite3.connect(tmp_path / "g" / DATABASE)) as connection:
        connection.execute("UPDATE consents SET record = 'rubbish' WHERE id = 1")
        connection.commit()
    with Gallery.open(tmp_path / "g") as gallery:
        answers = gallery.identify_embeddings([embed(one) for one in vectors(2)], purpose="access")
        assert [one.name for one in answers] == [None, "person 1"]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_exports_carry_it(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"all{suffix}"
    with make_gallery(tmp_path / "a", people=3) as gallery:
        gallery.set_consent("person 0", FORM)
        gallery.set_consent("person 0", OTHER, add=True)
        gallery.keep_until("person 1", 3.5e9)
        gallery.export(path)
        before = {one.name: (one.consents, one.expires, one.kept_until) for one in gallery}
    with make_gallery(tmp_path / "b") as gallery:
        gallery.import_(path)
        gallery.import_(path)
        assert {one.name: (one.consents, one.expires, one.kept_until) for one in gallery} == before
        assert gallery.check() == []
    with make_gallery(tmp_path / "c", require_consent=True) as gallery:
        with pytest.raises(DataError, match="without a consent"):
            gallery.import_(path)
        report = gallery.import_(path, damaged="skip")
        entries = {".jsonl": 4, ".parquet": 2}[suffix]  # a person's line, and a sample's
        assert (report.n_damaged, [one.name for one in gallery]) == (entries, ["person 0"])


def test_a_file_of_somebody_else_with_rubbish_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    with make_gallery(tmp_path / "a", people=1) as gallery:
        gallery.set_consent("person 0", FORM)
        gallery.export(path)
    text = path.read_text("utf-8")
    for wrong in ('"purposes": 3', '"purposes": [], "x": ["a"]', '"purposes": ["\\u202e"]'):
        path.write_text(text.replace('"purposes": ["access", "attendance"]', wrong), "utf-8")
        with make_gallery(tmp_path / wrong.encode().hex()[:40]) as gallery:
            with pytest.raises(DataError, match="consents"):
                gallery.import_(path)
            assert gallery.n_people == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consents SET record = replace(record, 'access', 'succes')",
        "UPDATE terms SET expires = 1e10",
        "UPDATE terms SET kept_until = 1e10",
        "DELETE FROM consented",
        "DELETE FROM terms",
        "UPDATE consents SET record = 'x'",
    ],
)
def test_damage_is_found_and_nobody_is_named_by_it(tmp_path: Path, statement: str) -> None:
    v = vectors(2)
    with make_gallery(tmp_path / "g", people=2) as gallery:
        gallery.set_consent("person 1", FORM)
    with closing(sqlite3.connect(tmp_path / "g" / DATABASE)) as connection:
        connection.execute(f"{statement} ".replace("DELETE FROM terms", "DELETE FROM terms "))
        connection.commit()
    with Gallery.open(tmp_path / "g") as gallery:
        assert gallery.identify_embeddings([embed(v[1])])[0].name is None
        assert any("person 1: the consents" in problem for problem in gallery.check())
        with pytest.raises(GalleryDamagedError, match="the consents"):
            gallery.person("person 1")
        gallery.remove("person 1")
        assert [problem for problem in gallery.check() if "person 1" in problem] == []

"""Who expired is found by nothing from that second on, and is removed for good when asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gallery_builders import embed, make_gallery, vectors

from lineament.errors import OptionError, UnknownPersonError
from lineament.gallery import Consent, Gallery, NewSample
from lineament.gallery.consent import DAY_S

END = 2e9
BEFORE = np.nextafter(END, 0)


class Clock:
    """Says what it is told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def opened(folder: Path, clock: Clock, *, read_only: bool = False) -> Gallery:
    return Gallery.open(folder, clock=clock, read_only=read_only)


def is_found(gallery: Gallery, name: str, number: int) -> set[bool]:
    """By everything that finds somebody; all should agree."""
    vector = embed(vectors(4)[number])
    (one,) = gallery.identify_embeddings([vector])
    (filtered,) = gallery.identify_embeddings([vector], where={"number": number})
    by_sample = []
    for ask in (gallery.sample, gallery.embedding, gallery.crop):
        try:
            ask(number + 1)
            by_sample.append(True)
        except UnknownPersonError:
            by_sample.append(False)
    try:
        gallery.person(name)
        by_name = True
    except UnknownPersonError:
        by_name = False
    return {
        one.name == name,
        filtered.name == name,
        any(each.name == name for each in one.candidates),
        name in gallery,
        any(each.name == name for each in gallery),
        any(each.name == name for each in gallery.people(where={"number": number})),
        by_name,
        gallery.n_people == 4,
        gallery.n_samples == 4,
        one.n_searched == 4,
        *by_sample,
    }


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("way", ["consent", "own end", "retention"])
def test_to_the_very_second(tmp_path: Path, way: str, read_only: bool) -> None:
    clock = Clock(END - 30 * DAY_S)
    make_gallery(tmp_path / "g", people=4).close()
    with opened(tmp_path / "g", clock) as gallery:
        if way == "consent":
            gallery.set_consent("person 2", Consent("form", ("access",), 1e9, expires=END))
        elif way == "own end":
            gallery.keep_until("person 2", END)
        else:
            gallery.remove("person 2")
            sample = NewSample(embed(vectors(4)[2]))
            metadata = {"person 2": {"number": 2}}
            gallery.enroll_samples([("person 2", sample)], metadata=metadata, force=True)
            for name in ("person 0", "person 1", "person 3"):
                gallery.keep_until(name, 4e9)
            gallery.configure(retention_days=30)
    with opened(tmp_path / "g", clock, read_only=read_only) as gallery:
        for now, there in ((BEFORE, True), (END, False), (3e9, False), (BEFORE, True)):
            clock.now = now
            found = is_found(gallery, "person 2", 2)
            if way == "retention":  # its sample has another number
                found = {gallery.n_people == 4, "person 2" in gallery}
                (one,) = gallery.identify_embeddings([embed(vectors(4)[2])])
                found.add(one.name == "person 2")
            assert found == {there}, now


def test_a_new_gallery_knows_the_time_by_itself(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2) as gallery:
        assert gallery.keep_until("person 1", 1e9) is None
        assert [one.name for one in gallery] == ["person 0"]


def test_verify_and_export_pass_over_them(tmp_path: Path) -> None:
    clock = Clock(END)
    with make_gallery(tmp_path / "g", people=3) as gallery:
        gallery.keep_until("person 1", END)
    with opened(tmp_path / "g", clock) as gallery:
        with pytest.raises(UnknownPersonError):
            gallery.verify("person 1", "photo.jpg")
        with pytest.raises(UnknownPersonError, match="nobody of that name"):
            gallery.annotate("person 1", {"a": 1})
        assert gallery.export(tmp_path / "all.jsonl") == 2
        assert "person 1" not in (tmp_path / "all.jsonl").read_text("utf-8")
        with pytest.raises(UnknownPersonError):
            gallery.export_person("person 1", tmp_path / "one.zip")
        assert gallery.metadata_keys() == {"building": 2, "number": 2}


def test_the_name_is_free_again(tmp_path: Path) -> None:
    clock = Clock(END)
    with make_gallery(tmp_path / "g", people=3) as gallery:
        gallery.keep_until("person 1", END)
        gallery.keep_until("person 2", END)
    with opened(tmp_path / "g", clock) as gallery:
        report = gallery.enroll_embeddings("person 1", [embed(vectors(9)[8])])
        assert report.created
        assert report.person is not None
        assert (report.person.metadata, report.person.expires) == ({}, None)
        assert gallery.rename("person 0", "person 2").name == "person 2"
        assert (gallery.n_people, len(gallery.expire())) == (2, 0)
        assert gallery.check() == []


def test_expire_removes_all_of_them_for_good(tmp_path: Path) -> None:
    clock = Clock(1.5e9)
    with make_gallery(tmp_path / "g", people=6) as gallery:
        for number in (1, 3):
            gallery.keep_until(f"person {number}", END)
    with opened(tmp_path / "g", clock) as gallery:
        assert gallery.expire() == []
        clock.now = END
        names = {gallery.pseudonym("person 1"), gallery.pseudonym("person 3")}
        receipts = gallery.expire()
        assert {one.person for one in receipts} == names
        assert {(one.reason, one.n_samples, one.clean) for one in receipts} == {
            ("expired", 1, True)
        }
        assert gallery.expire() == []
        clock.now = 1.5e9  # they do not come back
        assert gallery.n_people == 4
        assert gallery.check() == []
    for path in (tmp_path / "g").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"person 1" not in data, path
            assert embed(vectors(6)[3]).vector.tobytes() not in data, path


def test_an_end_that_is_given_comes_before_the_retention(tmp_path: Path) -> None:
    with make_gallery(tmp_path / "g", people=2, retention_days=1.5) as gallery:
        one, other = gallery.person("person 0"), gallery.person("person 1")
        assert one.expires == one.created + 1.5 * DAY_S
        assert gallery.keep_until("person 1", 4e9).expires == 4e9  # type: ignore[union-attr]
        assert gallery.keep_until("person 1", None).expires == other.expires  # type: ignore[union-attr]
        assert gallery.configure(retention_days=None).retention_days is None
        assert gallery.person("person 0").expires is None
        for wrong in (0, -1, float("nan"), "x", 1e9, True):
            with pytest.raises(OptionError) as raised:
                gallery.configure(retention_days=wrong)
            assert raised.value.option == "retention_days"


def test_a_reader_sees_what_the_writer_says(tmp_path: Path) -> None:
    clock = Clock(END)
    with (
        make_gallery(tmp_path / "g", people=2) as gallery,
        opened(tmp_path / "g", clock, read_only=True) as reader,
    ):
        assert reader.n_people == 2
        gallery.keep_until("person 1", END)
        assert reader.n_people == 1
        assert reader.identify_embeddings([embed(vectors(2)[1])])[0].name is None
        gallery.configure(retention_days=1)  # "person 0" was enrolled before END
        clock.now = 1e10
        assert reader.n_people == 0

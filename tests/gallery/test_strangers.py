"""Nobody is enrolled as somebody else in silence: every way into a gallery, with drawn faces.

The contract is the default recognizer's, so that its calibration says what a similarity means.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament import models
from lineament.decide.agreement import unlike_below
from lineament.decide.calibration import bundled
from lineament.errors import TruthValueError, UnlikePeopleError
from lineament.gallery import FolderReport, Gallery, Listing, NewSample, Refusal, enroll_folder
from lineament.gallery import folder as folders
from lineament.gallery.grouping import GroupFace, group_faces, name_groups
from lineament.types import Contract, Embedding, Face, Threshold

CARD = models.get("sface")
CONTRACT = Contract(CARD.name, CARD.sha256, CARD.alignment, CARD.input.color_order, False, 128)


def photos(seed: int, number: int, *, name: str = "", norm: float = 10.0) -> list[NewSample]:
    """Samples of one drawn person: cosines of about 0.6 to each other, 0 to other people."""
    rng = np.random.default_rng(seed)
    center = rng.normal(size=128)
    center /= np.linalg.norm(center)
    rows = np.sqrt(0.6) * center + np.sqrt(0.4 / 128) * rng.normal(size=(number, 128))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    title = name if name else f"p{seed}"
    return [
        NewSample(Embedding(row.astype(np.float32), norm, CONTRACT), f"{title}_{k}.jpg")
        for k, row in enumerate(rows)
    ]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.create(tmp_path / "g", CONTRACT) as opened:
        yield opened


def reasons(found: Any) -> dict[str, str]:
    return {one.source: one.reason for one in found.refused}


def test_the_calibration_says_what_is_unlike() -> None:
    limit = unlike_below(bundled(CONTRACT, "cosine"))
    assert limit is not None
    assert 0.25 < limit < 0.4
    assert unlike_below(None) is None


def test_a_photo_unlike_those_that_are_enrolled_is_refused(gallery: Gallery) -> None:
    assert len(gallery.enroll_embeddings("Ada", photos(1, 2)).enrolled) == 2
    report = gallery.enroll_embeddings("Ada", photos(2, 1))
    (refusal,) = report.refused
    assert refusal.reason == "unlike the others"
    assert refusal.similarity is not None
    assert refusal.similarity < 0.33
    assert refusal.probability is not None
    assert refusal.probability < 0.12
    assert refusal.to_dict()["probability"] == refusal.probability
    assert "% probable" in str(refusal)
    assert gallery.person("Ada").n_samples == 2
    with pytest.raises(TruthValueError):
        bool(report)
    assert len(gallery.enroll_embeddings("Ada", photos(2, 1), force=True).enrolled) == 1


def test_a_new_person_is_the_majority(gallery: Gallery) -> None:
    three, stranger = photos(1, 3), photos(2, 1)
    report = gallery.enroll_embeddings("Ada", [*stranger, *three])
    assert reasons(report) == {"p2_0.jpg": "unlike the others"}
    assert [one.source for one in report.enrolled] == ["p1_0.jpg", "p1_1.jpg", "p1_2.jpg"]


def test_of_two_that_disagree_none_is_taken(gallery: Gallery) -> None:
    report = gallery.enroll_embeddings("Ada", [*photos(1, 1), *photos(2, 1)])
    assert set(reasons(report).values()) == {"unlike the others"}
    assert all("cannot be said" in one.message for one in report.refused)
    assert report.enrolled == ()
    assert "Ada" not in gallery


def test_a_copy_has_no_vote(gallery: Gallery) -> None:
    one, other = photos(1, 1)[0], photos(2, 1)[0]
    report = gallery.enroll_embeddings("Ada", [one, other, other])
    assert [refusal.source for refusal in report.refused] == [one.source] + [other.source] * 2


def test_many_people_at_once_each_by_their_own(gallery: Gallery) -> None:
    named = [("Ada", one) for one in [*photos(1, 3), *photos(2, 1, name="wrong")]]
    named += [("Bob", one) for one in photos(2, 3)]
    outcome = gallery.enroll_samples(named)
    refused = [one.source for one in outcome if isinstance(one, Refusal)]
    assert refused == ["wrong_0.jpg"]  # and Bob does not look like Ada because of it


def test_what_cannot_be_judged_is_noted(gallery: Gallery) -> None:
    gallery.enroll_embeddings("Ada", photos(1, 2))
    report = gallery.enroll_embeddings("Ada", photos(2, 1, norm=5.0))
    assert len(report.enrolled) == 1
    assert any("too little of a face" in note for note in report.notes)


def test_without_a_calibration_it_is_said(tmp_path: Path) -> None:
    other = Contract("x", "0" * 64, CONTRACT.alignment, CONTRACT.color_order, False, 128)
    samples = [
        NewSample(Embedding(one.embedding.vector, 1.0, other))
        for one in (*photos(1, 1), *photos(2, 1))
    ]
    with Gallery.create(tmp_path / "other", other) as opened:
        report = opened.enroll_embeddings("Ada", samples)
    assert len(report.enrolled) == 2
    assert any("agree with each other" in note for note in report.notes)


def test_people_who_are_unlike_are_not_merged(gallery: Gallery) -> None:
    for name, seed in (("Ada", 1), ("Bob", 2)):
        gallery.enroll_embeddings(name, photos(seed, 3))
    gallery.enroll_embeddings("Countess", photos(1, 6)[3:], force=True)
    with pytest.raises(UnlikePeopleError, match=r"similarity .*% probable.*force=True"):
        gallery.merge("Ada", ["Countess", "Bob"])
    assert gallery.n_people == 3
    assert gallery.merge("Ada", "Countess").n_samples == 6
    assert gallery.merge("Ada", "Bob", force=True).n_samples == 9


def test_imported_samples_are_named(gallery: Gallery, tmp_path: Path) -> None:
    gallery.enroll_embeddings("Ada", [*photos(1, 3), *photos(2, 1)], force=True)
    gallery.enroll_embeddings("Bob", photos(3, 2))
    gallery.export(tmp_path / "all.jsonl")
    with Gallery.create(tmp_path / "new", CONTRACT) as opened:
        report = opened.import_(tmp_path / "all.jsonl")
        assert report.compared
        (one,) = report.unlike
        assert (one.person, one.source) == ("Ada", "p2_0.jpg")
        assert one.probability is not None
        assert one.probability < 0.12
        assert opened.sample(one.id).source == "p2_0.jpg"
        json.dumps(report.to_dict())


def test_groups_of_two_people_get_no_common_name(gallery: Gallery) -> None:
    faces = [
        GroupFace(one.source, 0, Face(np.float32([0, 0, 9, 9]), 0.9), one.embedding)
        for one in (*photos(1, 3), *photos(2, 3))
    ]
    grouping = group_faces(faces, CONTRACT, Threshold(0.4, "cosine", None, "drawn", None))
    done = name_groups(grouping, {1: "Ada"}, gallery)
    with pytest.raises(UnlikePeopleError, match="group 1 is Ada already"):
        name_groups(done.grouping, {2: "Ada"}, gallery)
    with pytest.raises(UnlikePeopleError):
        name_groups(done.grouping, {2: "Ada"})
    forced = name_groups(done.grouping, {2: "Ada"}, gallery, force=True)
    assert len(forced.reports[2].enrolled) == 3
    later = name_groups(grouping, {2: "Ada"}, gallery)  # the file does not know of it
    assert later.reports[2].enrolled == ()


def folder_of(samples: dict[str, list[NewSample]]) -> tuple[Listing, Any]:
    """A listing, and ``Gallery.examine`` for it that opens no photo."""
    named = {one.source: one for many in samples.values() for one in many}
    listing = Listing(
        "folders", tuple((name, Path(one.source)) for name in samples for one in samples[name])
    )

    def examine(self: Gallery, paths: Any, **options: Any) -> Iterator[NewSample]:
        for path in paths:
            yield named[str(path)]

    return listing, examine


def test_a_folder_goes_by_the_majority_of_all_its_photos(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "BATCH", 2)
    wrong = photos(3, 2, name="a_wrong")
    listing, examine = folder_of({"Ada": [*wrong, *photos(1, 5)], "Bob": photos(2, 3)})
    monkeypatch.setattr(Gallery, "examine", examine)
    report = enroll_folder(gallery, listing)
    assert [one.source for one in report.refused] == ["a_wrong_0.jpg", "a_wrong_1.jpg"]
    assert report.by_reason == {"unlike the others": 2}
    assert (gallery.person("Ada").n_samples, gallery.person("Bob").n_samples) == (5, 3)
    with pytest.raises(TruthValueError):
        bool(report)


def test_an_interrupted_folder_goes_by_the_majority_of_the_whole(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = photos(3, 1, name="a_wrong")
    listing, examine = folder_of({"Ada": [*wrong, *photos(1, 3)]})

    def interrupted(self: Gallery, paths: Any, **options: Any) -> Iterator[NewSample]:
        yield next(examine(self, paths))
        raise KeyboardInterrupt

    monkeypatch.setattr(Gallery, "examine", interrupted)
    seen: list[FolderReport] = []
    with pytest.raises(KeyboardInterrupt):
        enroll_folder(gallery, listing, progress=seen.append)
    assert gallery.n_samples == 0
    monkeypatch.setattr(Gallery, "examine", examine)
    report = enroll_folder(gallery, listing)
    assert [one.source for one in report.refused] == ["a_wrong_0.jpg"]


def test_a_huge_folder_is_committed_in_pieces(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_OF_A_PERSON", 4)
    listing, examine = folder_of({"Ada": [*photos(1, 10), *photos(3, 6, name="wrong")]})
    monkeypatch.setattr(Gallery, "examine", examine)
    report = enroll_folder(gallery, listing)
    assert (report.enrolled, report.by_reason) == (10, {"unlike the others": 6})


def test_an_empty_new_gallery_is_discarded(tmp_path: Path) -> None:
    for keep in (False, True):
        folder = tmp_path / "new"
        opened = Gallery.create(folder, CONTRACT)
        assert opened.discard_if_empty(keep_folder=keep)
        assert folder.exists() == keep
        assert not Gallery.exists(folder)
    assert list((tmp_path / "new").iterdir()) == []
    opened = Gallery.create(tmp_path / "new", CONTRACT)
    opened.enroll_embeddings("Ada", photos(1, 1))
    assert not opened.discard_if_empty()
    assert Gallery.exists(tmp_path / "new")

"""Who is covered: in doubt, everybody."""

from __future__ import annotations

import pytest
from gallery_builders import embed, make_gallery, turned, vectors

from lineament.anonymize.people import Who, who_of
from lineament.decide.thresholds import own_threshold
from lineament.errors import OptionError, UnknownPersonError
from lineament.gallery import Candidate, Gallery, Identification


def person(name: str, similarity: float, probability: float | None) -> Candidate:
    return Candidate(1, 1, name, similarity, probability, None, None, 1, f"{name}.jpg", 1, {})


def face(
    name: str | None, *candidates: Candidate, reason: str | None = "below_threshold"
) -> Identification:
    match = next((each for each in candidates if each.name == name), None)
    return Identification(
        name,
        match,
        candidates,
        own_threshold(0.5, "cosine"),
        None,
        3,
        reason=None if name is not None else reason,  # type: ignore[arg-type]
        reason_in_words="" if name is not None else "why",
    )


ADA = face("Ada", person("Ada", 0.8, 0.99))
BOB = face("Bob", person("Bob", 0.8, 0.995), person("Ada", 0.1, 0.001))
HARDLY_ADA = face("Ada", person("Ada", 0.6, 0.9))
STRANGER = face(None, person("Bob", 0.2, 0.002))
LIKE_ADA = face(None, person("Bob", 0.4, 0.4), person("Ada", 0.38, 0.02))
POOR = face(None, person("Bob", 0.3, 0.005), reason="low_quality")


@pytest.mark.parametrize(
    ("one", "keep_all", "keep_ada", "only_ada"),
    [
        (ADA, False, False, True),
        (BOB, False, True, False),
        (HARDLY_ADA, True, True, True),
        (STRANGER, True, True, False),
        (LIKE_ADA, True, True, True),
        (POOR, True, True, True),
    ],
)
def test_one_face(one: Identification, keep_all: bool, keep_ada: bool, only_ada: bool) -> None:
    ada = frozenset({"Ada"})
    assert Who().choice(one).hide == keep_all
    assert Who(keep=ada).choice(one).hide == keep_ada
    assert Who(only=ada).choice(one).hide == only_ada
    assert Who(only=ada).choice(one).reason


def test_without_a_calibration_the_threshold_serves() -> None:
    near = face(None, person("Ada", 0.36, None))
    far = face(None, person("Ada", 0.34, None))
    assert Who(only=frozenset({"Ada"})).choice(near).hide
    assert not Who(only=frozenset({"Ada"})).choice(far).hide


@pytest.fixture
def gallery(tmp_path: object) -> Gallery:
    return make_gallery(tmp_path / "g", people=4)  # type: ignore[operator]


def test_views_of_one_path(gallery: Gallery) -> None:
    first, second = vectors(4)[:2]
    sure = embed(turned(first, 0.9))
    unsure = embed(turned(first, 0.3))
    other = embed(turned(second, 0.9))
    all_kept = who_of(gallery, None, None)

    def shown(*views: tuple[int, object], who: Who = all_kept) -> tuple[tuple[int, int], ...]:
        found = who.of_views(views, 10)  # type: ignore[arg-type]
        assert found.choice.hide != bool(found.shown) or who.only is not None
        return found.shown

    assert shown((0, sure), (8, sure), (16, sure)) == ((0, 16),)
    assert shown((0, sure)) == ()  # one view is not enough
    assert shown((0, sure), (30, sure)) == ()  # who knows who was there meanwhile
    assert shown((0, sure), (5, unsure), (9, sure)) == ((0, 9),)
    assert shown((0, sure), (8, sure), (12, unsure), (16, unsure)) == ((0, 8),)
    assert shown((0, sure), (4, other), (8, sure)) == ()  # it is not one person
    assert shown((0, sure), (4, sure), (8, other), (12, other)) == ((0, 4), (8, 12))
    assert shown((0, unsure), (4, unsure)) == ()
    assert all_kept.of_views([], 10).choice.hide
    keep = who_of(gallery, "person 1", None)
    assert shown((0, sure), (4, sure), (8, other), (12, other), who=keep) == ((8, 12),)
    assert keep.of_views([(0, sure), (4, sure)], 10).choice.reason.startswith("not among")
    only = who_of(gallery, None, ["person 1"])
    assert only.of_views([(0, sure), (4, sure)], 10).choice.hide is False
    assert only.of_views([(0, sure), (4, sure), (8, other)], 10).choice.hide is True
    assert Who().of_views([], 10).choice.hide is True


def test_names(gallery: Gallery) -> None:
    assert who_of(gallery, "person 1", None).keep == {"person 1"}
    assert who_of(None, None, None) == Who()
    with pytest.raises(UnknownPersonError):
        who_of(gallery, ["person 9"], None)
    with pytest.raises(OptionError, match="expected a gallery"):
        who_of(None, None, "Ada")
    with pytest.raises(OptionError, match="got both"):
        who_of(gallery, "person 1", "person 2")

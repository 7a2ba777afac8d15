"""The page of groups: who is shown, what is said about those who are not, and nothing unescaped."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from builders import make_contract, make_face
from lineament.gallery.grouping import GroupFace, Grouping, GroupPhoto
from lineament.pictures.pages import groups as sheets
from lineament.pictures.pages.groups import groups_page
from lineament.types import Embedding, Threshold

CONTRACT = make_contract(dimension=2)


def grouping(sizes: list[int], *, wide: int = 0) -> Grouping:
    """Groups of these sizes, of equal faces; ``wide``: so many of the first at 60 degrees."""
    faces, ids = [], []
    for group, size in enumerate(sizes, 1):
        for i in range(size):
            vector = [0.5, 0.75**0.5] if group == 1 and i < wide else [1.0, 0.0]
            embedding = Embedding(np.array(vector, np.float32), 5.0, CONTRACT)
            faces.append(GroupFace(f"/x/<{group}>-{i}.jpg", 0, make_face(), embedding))
            ids.append(group)
    photos = tuple(GroupPhoto(face.source, 1) for face in faces)
    threshold = Threshold(0.9, "cosine", None, "set by hand", None)
    return Grouping(CONTRACT, threshold, photos, tuple(faces), np.array(ids), len(sizes) + 1)


def page_of(value: Grouping, **options: int) -> tuple[str, list[int]]:
    asked: list[int] = []

    def crop_of(place: int) -> bytes | None:
        asked.append(place)
        return None if place == 0 else b"jpeg"

    return groups_page(value, crop_of, **options).decode(), asked


def test_everybody_is_shown_once_and_escaped() -> None:
    html, asked = page_of(grouping([3, 2, 1, 1]))
    assert sorted(asked) == list(range(7))
    assert html.count("<img") == 6
    assert html.count("cannot be shown") == 1
    assert "<1>" not in html
    assert "&lt;1&gt;" in html
    assert re.findall("<h2>(.*?)</h2>", html) == ["Person 1", "Person 2", "2 faces alone"]
    assert html.count("<details>") == 1
    assert "7 photos, 7 faces: 5 faces in 2 groups, 2 in no group." in html
    assert "are shown" not in html


def test_of_large_groups_a_part_with_all_in_doubt_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sheets, "MOST_SHOWN", 10)
    html, asked = page_of(grouping([50], wide=3))
    assert len(asked) == 10
    assert set(asked) >= {0, 1, 2}  # the three at 60 degrees, last
    assert asked[-3:] == sorted(asked[-3:])
    assert html.count(" ?</figcaption>") == 3
    assert "10 of 50 are shown" in html
    assert "3 in doubt" in html


def test_more_groups_and_more_single_faces_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MOST_GROUPS", 2)
    monkeypatch.setattr(sheets, "MOST_SINGLE", 3)
    html, asked = page_of(grouping([4, 3, 2, 2, 1, 1, 1, 1, 1]))
    assert len(asked) == 4 + 3 + 3
    assert "2 smaller groups are not shown" in html
    assert "3 of 5 are shown" in html
    larger, _ = page_of(grouping([4, 3, 1]), min_size=4)
    assert "4 faces in groups of fewer than 4" in larger


def test_names_pairs_and_what_was_not_read() -> None:
    value = replace(
        grouping([3, 2, 1]),
        names={2: "Ada & Co", 3: "Grace"},
        apart=((1, 2),),
        photos=(
            *grouping([3, 2, 1]).photos,
            GroupPhoto("empty.jpg", 0),
            GroupPhoto("bad.jpg", 0, "no <image>"),
        ),
    )
    html, _ = page_of(value)
    titles = ["Person 1", "Ada &amp; Co (group 2)", "Grace (group 3)", "Not read: 1 photo"]
    assert re.findall("<h2>(.*?)</h2>", html) == titles
    assert "<td>person 1</td><td>Ada &amp; Co</td>" in html
    assert "1 photo without a face" in html
    assert "no &lt;image&gt;" in html


def test_nobody() -> None:
    value = Grouping(CONTRACT, grouping([1]).threshold, (), (), np.zeros(0, np.int64), 1)
    html, asked = page_of(value)
    assert asked == []
    assert "0 photos, 0 faces" in html

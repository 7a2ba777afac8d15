"""Which parts of a face seem to be covered, and how that is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lineament
from lineament import FaceFinder, covered
from lineament.covered import PARTS, covered_in_words, parts_covered
from lineament.errors import OptionError, WeightsError
from lineament.types import Image

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def crop() -> Image:
    photo = FaceFinder().find(DEMO / "obama.jpg")
    return np.asarray(FaceFinder().crops(photo, [photo.require()])[0])


@pytest.fixture
def another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    covered._network.cache_clear()
    monkeypatch.setattr(covered, "FILE", tmp_path / "covered.npz")
    yield tmp_path / "covered.npz"
    covered._network.cache_clear()


def test_an_uncovered_face_has_no_part_covered(crop: Image) -> None:
    found = parts_covered(crop)
    assert tuple(found) == PARTS
    assert all(0 <= p < 0.5 for p in found.values())
    assert covered_in_words(crop) == ""
    assert covered_in_words(None) == ""


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        (slice(68, 112), slice(14, 98), "the nose and mouth seem to be covered"),
        (slice(42, 62), slice(12, 100), "the eyes seem to be covered"),
    ],
)
@pytest.mark.parametrize("color", [(20, 20, 24), (150, 190, 215)])
def test_what_is_covered_is_named(
    crop: Image, rows: slice, columns: slice, words: str, color: tuple[int, int, int]
) -> None:
    changed = crop.copy()
    changed[rows, columns] = color
    assert covered_in_words(changed) == words


def test_several_parts_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    said = dict.fromkeys(PARTS, 0.95)
    monkeypatch.setattr(covered, "parts_covered", lambda _: said)
    blank = np.zeros((112, 112, 3), np.uint8)
    everything = "the eyes, the nose and mouth and the forehead seem to be covered"
    assert covered_in_words(blank) == everything
    said |= {"eyes": 0.1, "nose and mouth": 0.1}
    assert covered_in_words(blank) == "the forehead seems to be covered"


def test_other_crops_are_refused() -> None:
    with pytest.raises(OptionError, match=r"expected \(N, S, S, 3\)"):
        parts_covered(np.zeros((112, 90, 3), np.uint8))


def test_a_damaged_file_is_named(another_file: Path) -> None:
    another_file.write_bytes(b"no archive")
    with pytest.raises(WeightsError, match=r"covered\.npz: expected the network of covered parts"):
        covered_in_words(np.zeros((112, 112, 3), np.uint8))

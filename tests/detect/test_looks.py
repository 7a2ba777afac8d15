"""What looks at several scales say about one another, on boxes made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.detect import looks
from lineament.detect.looks import RANGE_PX, Look, agreed, confirmed, longer_sides
from lineament.types import FloatArray

Box = tuple[float, float, float, float]

WHOLE = (100, 100, 1100, 1100)  # 1000 pixels: 1000 of a first look, 125 of one an eighth as large
COARSE, FINE = 0.125, 1.0


def look(scale: float, *faces: tuple[float, Box]) -> Look:
    rows = [[score, *box, *[0.0] * 11] for score, box in faces]
    return Look(scale, np.array(rows, np.float32).reshape(-1, 16))


def both(coarse: FloatArray, fine: FloatArray) -> FloatArray:
    """Faces of a coarse and of a fine look, with their scales."""
    rows = np.concatenate([coarse, fine])
    scales = np.float32([COARSE] * len(coarse) + [FINE] * len(fine))
    return np.column_stack([rows, scales]).astype(np.float32)


def kept(*given: Look) -> list[tuple[float, Box]]:
    rows = agreed(given, 0.45)
    assert rows.shape[1] == 17
    return sorted((round(float(row[0]), 2), tuple(row[1:5].tolist())) for row in rows)


@pytest.mark.parametrize(
    ("box", "stays"),
    [
        ((300, 300, 500, 500), False),  # an eye and a cheek
        ((560, 560, 600, 600), False),  # too small for the coarse look, but in the middle of a face
        ((20, 300, 320, 600), False),  # over its border by a third
        ((1040, 1040, 1090, 1090), True),  # small, in the corner of the box: beside the face
        ((1050, 300, 1300, 550), True),  # a neighbor that hides a little of it
        ((1300, 300, 1500, 500), True),  # elsewhere
        ((1300, 300, 1700, 700), False),  # elsewhere, but beyond the range of the fine look
        ((90, 120, 1080, 1090), True),  # the face itself
    ],
)
def test_a_finer_look_at_a_large_face(box: Box, stays: bool) -> None:
    coarse, fine = look(COARSE, (0.9, WHOLE)), look(FINE, (0.95, box))
    for given in ((coarse, fine), (fine, coarse)):
        assert kept(*given) == sorted([(0.9, WHOLE), *([(0.95, box)] if stays else [])])


def test_what_the_coarse_look_sees_too_stays() -> None:
    inner = (300, 300, 500, 500)
    coarse = look(COARSE, (0.9, WHOLE), (0.3, inner))
    assert (0.95, inner) in kept(coarse, look(FINE, (0.95, inner)))
    beyond = (1300, 300, 1700, 700)
    assert (0.7, beyond) in kept(look(COARSE, (0.3, beyond)), look(FINE, (0.7, beyond)))


def test_a_doubtful_whole_hides_nothing() -> None:
    inner = (300, 300, 500, 500)
    assert (0.95, inner) in kept(look(COARSE, (0.5, WHOLE)), look(FINE, (0.95, inner)))


def test_faces_in_the_range_of_both_are_left_alone() -> None:
    """The same boxes, a fifth as large: the fine look sees the whole, too, and is believed."""
    whole, inner = (20, 20, 220, 220), (60, 60, 100, 100)
    assert RANGE_PX > 200
    both = kept(look(COARSE, (0.9, whole)), look(FINE, (0.95, inner)))
    assert both == [(0.9, whole), (0.95, inner)]


def test_scales_that_hardly_differ_have_no_say() -> None:
    inner = (300, 300, 500, 500)
    assert len(kept(look(1.0, (0.9, WHOLE)), look(1.5, (0.95, inner)))) == 2
    assert len(kept(look(1.0, (0.9, WHOLE)), look(1.7, (0.95, inner)))) == 1


def test_empty_looks() -> None:
    assert kept(look(FINE), look(COARSE)) == []
    assert kept(look(FINE, (0.9, (0, 0, 50, 50))), look(COARSE)) == [(0.9, (0, 0, 50, 50))]
    assert kept(look(FINE), look(COARSE, (0.9, WHOLE))) == [(0.9, WHOLE)]


@pytest.mark.parametrize(
    ("box", "score", "missed"),
    [
        ((1300, 300, 1700, 700), 0.3, True),  # 50 pixels of the coarse look, which hardly sees it
        ((1300, 300, 1700, 700), 0.6, False),
        ((1300, 300, 1520, 520), 0.0, False),  # 27 pixels: may be missed
        ((2900, 300, 3300, 700), 0.0, False),  # far from the large one
        ((200, 1200, 1150, 2150), 0.0, False),  # as large itself
    ],
)
def test_a_face_beside_a_large_one_is_confirmed(box: Box, score: float, missed: bool) -> None:
    coarse, fine = look(COARSE, (0.9, WHOLE), (score, box)), look(FINE, (0.8, box))
    faces = both(coarse.rows[:1], fine.rows)
    stay = confirmed(faces, [fine, coarse])
    assert stay[:, 0].tolist() == pytest.approx([0.9] if missed else [0.9, 0.8])
    faces[0, 0] = 0.5  # without a large face that is certain
    assert len(confirmed(faces, [fine, coarse])) == 2


def test_a_spot_beside_a_large_face_gets_the_mean_of_its_scores() -> None:
    spot = (1300, 300, 1380, 380)
    middle = look(0.25, (0.9, WHOLE), (0.4, spot))  # 20 pixels; 10 of the coarse look: not asked
    fine = look(FINE, (0.8, spot))
    looks_at = [fine, middle, look(COARSE, (0.9, WHOLE))]
    faces = both(middle.rows[:1], fine.rows)
    assert confirmed(faces, looks_at)[:, 0].tolist() == pytest.approx([0.9, 0.6])
    assert faces[1, 0] == pytest.approx(0.8)
    looks_at[1] = look(0.25, (0.9, WHOLE))
    assert confirmed(faces, looks_at)[:, 0].tolist() == pytest.approx([0.9, 0.4])
    looks_at[1] = look(0.25, (0.9, WHOLE), (0.95, spot))  # never more than its own
    assert confirmed(faces, looks_at)[:, 0].tolist() == pytest.approx([0.9, 0.8])


def test_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)

    def some(count: int, size: float, scale: float) -> Look:
        corner = rng.uniform(0, 2000, (count, 2))
        boxes = np.hstack([corner, corner + size * rng.uniform(0.5, 1.5, (count, 1))])
        rest = np.zeros((count, 11))
        scores = rng.uniform(0.3, 1, (count, 1))
        return Look(scale, np.hstack([scores, boxes, rest]).astype(np.float32))

    given = some(40, 900, COARSE), some(200, 150, FINE)
    whole: FloatArray = agreed(given, 0.45)
    assert 40 < len(whole) < 240
    stay = confirmed(whole, given)
    monkeypatch.setattr(looks, "PAIRS_AT_ONCE", 1)
    np.testing.assert_array_equal(agreed(given, 0.45), whole)
    np.testing.assert_array_equal(confirmed(whole, given), stay)
    assert longer_sides(whole).min() > 0

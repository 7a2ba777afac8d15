"""What the benchmark of attributes looks at: names, labels, eyes that were moved."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lineament.attributes.gaze import EYE_RADIUS, LIDS

pytestmark = pytest.mark.usefixtures("benchmark_parts")


def test_no_name_is_both() -> None:
    from looking.names import BORN, MEN, WOMEN, is_man, labeled

    assert not MEN & WOMEN
    assert min(len(MEN), len(WOMEN)) > 300
    assert (is_man("John_Smith"), is_man("Mary_Smith"), is_man("Kim_Smith")) == (True, False, None)
    assert labeled(["Mary_A", "Kim_B"]) == {"Mary_A": False}
    assert all(1900 < year < 2000 for year in BORN.values())


def test_people_of_view1_are_those_of_its_pairs(tmp_path: object) -> None:
    from pathlib import Path

    from looking.names import people_of_view1

    folder = Path(str(tmp_path))
    (folder / "pairsDevTrain.txt").write_text("2\nAna_A\t1\t2\nBob_B\t1\tCleo_C\t3\n")
    (folder / "pairsDevTest.txt").write_text("1\nDan_D\t1\t4\n")
    assert people_of_view1(folder) == {"Ana_A", "Bob_B", "Cleo_C", "Dan_D"}


def test_no_label_contradicts_another() -> None:
    from looking import labels

    for one, other in (
        (labels.ATT_SMILING, labels.ATT_NOT_SMILING),
        (labels.ATT_SHUT, labels.ATT_OPEN),
        (labels.ATT_MOUTH_OPEN, labels.ATT_MOUTH_SHUT),
        (labels.LFW_SMILING, labels.LFW_NOT_SMILING),
        *((set(yes), set(no)) for yes, no in labels.LFW_LOOKS.values()),
    ):
        assert one
        assert not set(one) & set(other)
    assert {"5/1", "5/9"} <= labels.ATT_SMILING


@pytest.mark.parametrize("right", [-20, 15])
def test_an_iris_moves_by_the_angle(right: int) -> None:
    from looking.moving import moved_eyes

    points = np.zeros((478, 3), np.float32)
    image = np.full((200, 400, 3), 150, np.uint8)
    y, x = np.mgrid[:200, :400]
    for iris, middle, lids in ((468, 120, LIDS[0]), (473, 280, LIDS[1])):
        for k, lid in enumerate(lids):
            angle = 2 * math.pi * k / len(lids)
            points[lid] = (middle - 40 * math.cos(angle), 100 + 25 * math.sin(angle), 0)
        points[iris] = (middle, 100, 0)
        for k in range(4):
            turn = k * math.pi / 2
            points[iris + 1 + k] = (middle + 12 * math.cos(turn), 100 + 12 * math.sin(turn), 0)
        opening = ((x - middle) / 40) ** 2 + ((y - 100) / 25) ** 2 < 1
        image[opening] = 230
        image[np.hypot(x - middle, y - 100) < 12] = 40
    made = moved_eyes(image, points, 160.0, right, 0)
    for middle in (120, 280):
        dark = (made[..., 0] < 80) & (np.abs(x - middle) < 60)
        shift = 160 * EYE_RADIUS * math.sin(math.radians(right))
        assert x[dark].mean() == pytest.approx(middle + shift, abs=1.5)
        assert y[dark].mean() == pytest.approx(100, abs=1)

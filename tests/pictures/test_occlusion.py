"""A photo made worse: what is drawn, and the numbers against the pipeline itself."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import NoFaceError, OptionError
from lineament.pipeline import Recognizer
from lineament.types import Image

pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')

from lineament.explain.degrade import (
    KINDS,
    LEVELS,
    Subject,
    degrade,
    fails_at,
    subject_of,
    worse,
)
from lineament.pictures.charts.files import to_bytes
from lineament.pictures.plots.occlusion import occlusion


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest.fixture(scope="module")
def subject(recognizer: Recognizer, astronaut: Image) -> Subject:
    photo = recognizer.finder.find(astronaut)
    return subject_of(recognizer.finder, photo)


def test_the_window_has_the_face_in_its_middle(subject: Subject, recognizer: Recognizer) -> None:
    (face,) = recognizer.detect(subject.image).faces
    np.testing.assert_allclose(face.center_xy, (len(subject.image) - 1) / 2, atol=4)
    points = np.asarray(face.landmarks_xy, float)
    apart = float(np.hypot(*(points[1] - points[0])))
    assert subject.eyes_px == pytest.approx(apart, rel=0.1)


def test_each_way_does_what_it_says(subject: Subject) -> None:
    image = subject.image
    np.testing.assert_array_equal(worse(subject, "rotation", 180), image[::-1, ::-1])
    linear = (worse(subject, "darkness", 0.1) / 255.0) ** 2.2
    bright = image > 100
    ratio = linear[bright] / (image[bright] / 255.0) ** 2.2
    assert np.median(ratio) == pytest.approx(0.1, rel=0.05)
    small = worse(subject, "resolution", 8)
    assert len(small) == round(len(image) * 8 / subject.eyes_px)
    assert worse(subject, "blur", 0.2).std() < image.std()


@pytest.mark.parametrize("level", LEVELS["mask"])
def test_a_mask_covers_the_way_from_the_chin(subject: Subject, level: float) -> None:
    changed = (worse(subject, "mask", level) != subject.image).any(axis=2)
    eyes = subject.points_xy[36:48].mean(axis=0)
    chin = subject.points_xy[8]

    def covered(share: float) -> bool:
        x, y = np.rint(chin + share * (eyes - chin)).astype(int)
        return bool(changed[y, x])

    assert covered(level - 0.08)
    assert not covered(level + 0.08)
    assert not covered(1.0)


def test_lenses_grow_over_the_eyes(subject: Subject) -> None:
    dark = [(worse(subject, "sunglasses", v) < 40).all(axis=2) for v in LEVELS["sunglasses"]]
    assert all(a.sum() < b.sum() for a, b in pairwise(dark))
    for eye in (subject.points_xy[36:42], subject.points_xy[42:48]):
        x, y = np.rint(eye.mean(axis=0)).astype(int)
        assert dark[0][y, x]


def test_numbers_are_those_of_the_pipeline(
    recognizer: Recognizer, subject: Subject, astronaut: Image
) -> None:
    plot = occlusion(degrade(recognizer, astronaut, kinds=["blur", "mask"]))
    assert list(plot.numbers["series"]) == ["mask", "blur"]
    against = recognizer.embed(astronaut).vector
    threshold = plot.numbers["threshold"]["value"]
    for kind in ("mask", "blur"):
        steps = plot.numbers["series"][kind]["steps"]
        assert [step["level"] for step in steps] == [None, *LEVELS[kind]]
        third = recognizer.embed(worse(subject, kind, LEVELS[kind][2])).vector
        assert steps[3]["similarity"] == pytest.approx(float(third @ against), abs=2e-4)
        wrong = [s["level"] for s in steps if s["similarity"] < threshold]
        assert plot.numbers["series"][kind]["fails_at"] == (wrong[0] if wrong else None)
    assert plot.numbers["series"]["blur"]["fails_at"] is not None
    with PILImage.open(io.BytesIO(to_bytes(plot.figure, "png"))) as picture:
        assert np.asarray(picture.convert("L")).std() > 20


def test_a_face_that_is_lost_is_said_so(
    recognizer: Recognizer, astronaut: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LEVELS, "darkness", (0.5, 1e-9))
    plot = occlusion(degrade(recognizer, astronaut, kinds=["darkness"]))
    steps = plot.numbers["series"]["darkness"]["steps"]
    assert [step["face_found"] for step in steps] == [True, True, False]
    assert steps[2]["similarity"] is None
    assert plot.numbers["series"]["darkness"]["fails_at"] == 1e-9
    assert any(text.get_text() == "no face" for text in plot.figure.texts)
    assert fails_at([]) is None


def test_what_makes_no_sense_is_refused(
    recognizer: Recognizer, subject: Subject, astronaut: Image
) -> None:
    with pytest.raises(OptionError, match="kinds: expected some of mask"):
        degrade(recognizer, astronaut, kinds=["hat"])
    with pytest.raises(OptionError, match="got none"):
        degrade(recognizer, astronaut, kinds=[])
    with pytest.raises(OptionError, match="level"):
        worse(subject, KINDS[0], float("nan"))
    with pytest.raises(NoFaceError, match="no face was found"):
        degrade(recognizer, np.full((80, 80, 3), 90, np.uint8))

"""A person's photos by yaw: numbers by hand, order, sampling, and what is said of failures."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.decide.judge import Judge
from lineament.decide.thresholds import own_threshold
from lineament.errors import ImageNotFoundError, NoFaceError, OptionError
from lineament.pose import FACE_XYZ, true_yaw_deg
from lineament.types import Contract, Embedding, Face, Photo, Threshold

pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')

from lineament.explain.pose import By, compare_poses, degrees, pose_of
from lineament.pictures.charts.files import to_bytes
from lineament.pictures.plots.plot import Plot
from lineament.pictures.plots.pose import pose


def drawn(
    photos: Sequence[Photo],
    threshold: Threshold,
    judge: Judge,
    *,
    by: By = "yaw",
    reference: Photo | None = None,
    title: str = "",
    most: int = 24,
) -> Plot:
    """Compared and drawn."""
    poses = compare_poses(photos, threshold, judge, by=by, reference=reference)
    return pose(poses, title=title, most=most)


CONTRACT = Contract("w", "0" * 64, "arcface-112", "rgb", False, 4)


def landmarks(yaw_deg: float) -> np.ndarray:
    """Five points of the average head, turned about the vertical axis and projected.

    By as much as detectors show it turned.
    """
    shown = np.arange(0, 66, 0.01)
    seen = np.interp(abs(yaw_deg), [true_yaw_deg(each) for each in shown], shown)
    yaw = math.copysign(math.radians(seen), yaw_deg)
    turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0]])
    return (60 * (FACE_XYZ @ turn.T) + [100, 80]).astype(np.float32)


def photo(name: str, yaw_deg: float, cosine: float, norm: float = 10.0) -> Photo:
    """Whose cosine with that of cosine 1 is ``cosine``."""
    rng = np.random.default_rng(abs(hash(name)) % 1000)
    vector = np.array([cosine, math.sqrt(1 - cosine**2), 0, 0], np.float32)
    box = np.array([50, 40, 150, 160], np.float32)
    crop = rng.integers(0, 255, (112, 112, 3)).astype(np.uint8)
    face = Face(box, 0.9, landmarks(yaw_deg))
    return Photo(
        name,
        (200, 200),
        (face,),
        index=0,
        selected=(0,),
        embeddings=(Embedding(vector, norm, CONTRACT),),
        crops=crop[None],
    )


def without_face(name: str) -> Photo:
    return Photo(name, (200, 200))


PHOTOS = [
    photo("far right.jpg", 60, 0.2),
    photo("front.jpg", 1, 1.0, norm=12),
    photo("covered front.jpg", 0.5, 0.9, norm=4),
    photo("left.jpg", -35, 0.5),
    without_face("nobody.jpg"),
]


def test_numbers_are_those_that_were_put_in() -> None:
    plot = drawn(PHOTOS, own_threshold(0.4, "cosine"), Judge())
    assert plot.numbers["reference"]["source"] == "front.jpg"  # the longer embedding
    rows = plot.numbers["photos"]
    assert [row["source"] for row in rows] == ["left.jpg", "covered front.jpg", "far right.jpg"]
    np.testing.assert_allclose([row["yaw_deg"] for row in rows], [-35, 0.5, 60], atol=0.1)
    np.testing.assert_allclose([row["similarity"] for row in rows], [0.5, 0.9, 0.2], atol=1e-5)
    assert [row["same"] for row in rows] == [True, True, False]
    assert [row["source"] for row in plot.numbers["without_face"]] == ["nobody.jpg"]
    assert "1 of 3 photos falls short of the threshold 0.400" in plot.numbers["summary"]
    assert "+60°" in plot.numbers["summary"]


def test_the_picture_shows_something() -> None:
    plot = drawn(PHOTOS, own_threshold(0.4, "cosine"), Judge(), title="김구 $x$ " * 20)
    with PILImage.open(io.BytesIO(to_bytes(plot.figure, "png"))) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels.min(axis=2) < 250).mean() > 0.05
    assert plot.figure.axes[0].images  # the reference's face
    offsets = plot.figure.axes[-1].lines[0].get_xdata()
    np.testing.assert_allclose(sorted(offsets), [-35, 0.5], atol=0.1)


def test_many_faces_are_sampled_with_both_ends() -> None:
    many = [photo(f"{k}.jpg", yaw, 0.9) for k, yaw in enumerate(np.linspace(-40, 40, 30))]
    plot = drawn(many, own_threshold(0.4, "cosine"), Judge(), most=5)
    assert plot.numbers["n_faces_shown"] == 5
    assert len(plot.numbers["photos"]) == 29
    texts = " ".join(text.get_text() for text in plot.figure.texts)
    assert "5 of 29 faces are shown" in texts
    assert "−40°" in texts
    assert "+40°" in texts


def test_a_reference_of_ones_own() -> None:
    plot = drawn(
        PHOTOS[:1], own_threshold(0.4, "cosine"), Judge(), reference=photo("other.jpg", 10, 0.2)
    )
    assert plot.numbers["reference"]["source"] == "other.jpg"
    assert plot.numbers["photos"][0]["similarity"] == pytest.approx(1.0, abs=1e-5)
    assert plot.numbers["summary"].startswith("The only photo reaches")


def test_too_little_is_refused() -> None:
    judge, threshold = Judge(), own_threshold(0.4, "cosine")
    with pytest.raises(NoFaceError, match="two photos or more"):
        drawn(PHOTOS[-2:], threshold, judge)
    with pytest.raises(NoFaceError, match="beside the reference"):
        drawn(PHOTOS[-1:], threshold, judge, reference=PHOTOS[0])
    with pytest.raises(NoFaceError, match="no face"):
        drawn(PHOTOS, threshold, judge, reference=PHOTOS[-1])
    with pytest.raises(OptionError, match="cosine"):
        drawn(PHOTOS, own_threshold(0.4, "euclidean"), judge)
    with pytest.raises(OptionError, match="most"):
        drawn(PHOTOS, threshold, judge, most=1)
    gone = Photo("x", None, error=ImageNotFoundError("x: no such file"))
    plot = drawn([*PHOTOS, gone], threshold, judge)
    assert plot.numbers["without_face"][-1]["error"] == "x: no such file"


def test_degrees_have_a_real_sign() -> None:
    assert [degrees(v) for v in (4.4, -12.0, -0.2)] == ["+4°", "−12°", "0°"]
    assert pose_of(PHOTOS[-1]) is None


def test_by_what_is_seen_of_the_face() -> None:
    """The longest embedding first, whatever the turn."""
    threshold = own_threshold(0.55, "cosine")
    numbers = drawn(PHOTOS, threshold, Judge(), by="norm").numbers
    rows = [(row["source"], row["norm"]) for row in numbers["photos"]]
    assert rows == [("far right.jpg", 10), ("left.jpg", 10), ("covered front.jpg", 4)]
    assert numbers["by"] == "norm"
    assert numbers["summary"] == (
        "2 of 3 photos fall short of the threshold 0.550, embeddings of length 10.0 down to "
        "4.0; the longest of them 10.0."
    )
    with pytest.raises(OptionError, match='by: expected "yaw" or "norm"'):
        drawn(PHOTOS, threshold, Judge(), by="age")  # type: ignore[arg-type]

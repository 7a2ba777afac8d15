"""Occlusion maps against embeddings one by one, and the words of the verdict."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import NoFaceError, OptionError
from lineament.pipeline import Recognizer
from lineament.types import Image

pytest.importorskip("matplotlib", reason='pictures need the extra "plot"')

from lineament.explain.occlusion_map import (
    STEPS,
    OcclusionMap,
    covered_crops,
    explain,
    occlusion_map,
)
from lineament.pictures import plots
from lineament.pictures.charts.files import to_bytes
from lineament.pictures.plots.explain import overlay
from lineament.pictures.plots.plot import Plot


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(flip=False)  # hundreds of crops, each as it is


@pytest.fixture(scope="module")
def darker(astronaut: Image) -> Image:
    """The same face, smaller, darker, and at the bottom."""
    small = np.asarray(PILImage.fromarray(astronaut).resize((400, 430)))
    return np.ascontiguousarray(small // 2)


@pytest.fixture(scope="module")
def plot(recognizer: Recognizer, astronaut: Image, darker: Image) -> Plot:
    return plots.explain(explain(recognizer, astronaut, darker))


def test_a_patch_covers_its_place_and_nothing_else(astronaut: Image) -> None:
    crop = np.ascontiguousarray(astronaut[60:172, 160:272])
    covered, centers, patch = covered_crops(crop, "gray")
    assert covered.shape == (STEPS**2, 112, 112, 3)
    mean = np.rint(crop.reshape(-1, 3).mean(axis=0))
    row, column = 3, 8
    one = covered[row * STEPS + column].astype(int)
    y, x = round(centers[row]), round(centers[column])
    assert np.abs(one[y - 5 : y + 6, x - 5 : x + 6] - mean).max() <= 1
    far = np.ones((112, 112), bool)
    reach = patch // 2 + 4
    far[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach] = False
    np.testing.assert_array_equal(one[far], crop[far])
    everywhere = (covered != crop).any(axis=(0, 3))
    assert everywhere.mean() > 0.99  # no pixel of the face is passed over


@pytest.mark.slow
def test_the_map_is_what_single_crops_give(recognizer: Recognizer, astronaut: Image) -> None:
    crop = next(iter(recognizer.stream_chosen([astronaut]))).crop
    assert crop is not None
    other = recognizer.embedder.embed(crop[None, :, ::-1].copy())[0][0]
    found = occlusion_map(recognizer, crop, other, fill="blur")
    covered, _, _ = covered_crops(crop, "blur")
    plain = float(recognizer.embedder.embed(crop[None])[0][0] @ other)
    for row, column in ((0, 0), (5, 6), (11, 3)):
        one = recognizer.embedder.embed(covered[row * STEPS + column][None])[0][0]
        assert found.change[row, column] == pytest.approx(float(one @ other) - plain, abs=1e-4)
    assert np.abs(found.change[4:8, 4:8]).mean() > np.abs(found.change[[0, -1]]).mean()


def test_smoothing_keeps_what_is_even_and_its_place() -> None:
    centers = (np.arange(STEPS) + 0.5) * 112 / STEPS - 0.5
    even = OcclusionMap(np.full((STEPS, STEPS), -0.3), centers, 25)
    np.testing.assert_allclose(even.smooth(112), -0.3)
    peak = np.zeros((STEPS, STEPS))
    peak[2, 9] = 1
    smooth = OcclusionMap(peak, centers, 25).smooth(112)
    y, x = np.unravel_index(smooth.argmax(), smooth.shape)
    assert abs(y - centers[2]) <= 1
    assert abs(x - centers[9]) <= 1


def test_colors_are_gray_for_nothing_and_two_for_the_ends(astronaut: Image) -> None:
    crop = np.ascontiguousarray(astronaut[60:172, 160:272])
    none = overlay(crop, np.zeros((112, 112)), 0.1).astype(int)
    assert (none.max(axis=2) - none.min(axis=2)).max() <= 3
    good, bad = (overlay(crop, np.full((112, 112), v), 0.1).astype(int) for v in (0.1, -0.1))
    assert (good[:, :, 2] > good[:, :, 0]).all()
    assert (bad[:, :, 0] > bad[:, :, 2]).all()


def test_the_decision_is_that_of_verify(
    plot: Plot, recognizer: Recognizer, astronaut: Image, darker: Image
) -> None:
    decision = recognizer.verify(astronaut, darker)
    assert plot.numbers["decision"]["similarity"] == round(decision.similarity, 6)
    assert plot.numbers["decision"]["verdict"] == decision.verdict == "same"
    tried = {each["fmr"]: each for each in plot.numbers["thresholds"]}
    assert tried[1e-4]["value"] == pytest.approx(decision.threshold.value, abs=1e-6)
    assert all(each["reached"] == (decision.similarity >= each["value"]) for each in tried.values())
    change = np.array(plot.numbers["change_a"])
    assert change.shape == (STEPS, STEPS)
    words = " ".join(plot.numbers["what_would_change"])
    assert f"as little as {decision.similarity + change.min():.3f}" in words
    assert "bridge of the nose" in plot.numbers["regions_a"]


def test_the_picture_says_the_verdict(plot: Plot) -> None:
    texts = " ".join(text.get_text() for text in plot.figure.texts)
    assert texts.startswith("The same person: similarity")
    for words in ("threshold", "margin", "probability", "What would change it", "sharpness"):
        assert words in texts
    with PILImage.open(io.BytesIO(to_bytes(plot.figure, "png"))) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (pixels[:, :, 2] - pixels[:, :, 0] > 60).mean() > 0.005  # blue somewhere


def test_what_cannot_be_explained(recognizer: Recognizer, astronaut: Image) -> None:
    with pytest.raises(NoFaceError):
        explain(recognizer, astronaut, np.full((90, 90, 3), 120, np.uint8))
    covered = np.zeros((112, 112, 3), np.uint8)
    with pytest.raises(OptionError, match="fill"):
        occlusion_map(recognizer, covered, np.zeros(128, np.float32), fill="red")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="cosine"):
        explain(
            recognizer, astronaut, astronaut, threshold=recognizer.threshold("angular", value=1)
        )

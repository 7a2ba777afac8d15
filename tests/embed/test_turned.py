"""Faces that are turned far to a side are embedded twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from builders import make_contract
from lineament import Recognizer, load_embedder, models
from lineament.align.alignment import align_faces
from lineament.embed import embed_faces
from lineament.embed._turned import moved_mirrors
from lineament.types import Contract, FloatArray, Image, Photo

FRONTAL = np.array([[38, 52], [74, 52], [56, 72], [42, 92], [70, 92]], np.float32)
LEFT = np.array([[38, 52], [74, 52], [36, 72], [42, 92], [70, 92]], np.float32)
RIGHT = (LEFT * [-1, 1] + [111, 0])[[1, 0, 2, 4, 3]].astype(np.float32)


@dataclass
class Means:
    """An embedder: the mean colors of a crop's halves, which is no unit vector; what it saw."""

    contract: Contract = field(default_factory=lambda: make_contract(alignment="arcface-112"))
    size_wh: tuple[int, int] = (112, 112)
    seen: list[Image] = field(default_factory=list)

    def embed(self, crops: Image, /) -> tuple[FloatArray, FloatArray]:
        self.seen.append(crops)
        halves = crops.reshape(len(crops), 112, 2, 56, 3).mean(axis=(1, 3)).reshape(len(crops), 6)
        norms = np.linalg.norm(halves, axis=1)
        return np.float32(halves / norms[:, None]), np.float32(norms)


def some_crops(n: int) -> Image:
    return np.random.default_rng(n).integers(1, 255, (n, 112, 112, 3), np.uint8)


@pytest.mark.parametrize(
    ("landmarks", "alignment", "twice"),
    [
        ([FRONTAL, None], "arcface-112", []),
        ([LEFT, FRONTAL, RIGHT], "arcface-112", [0, 2]),
        ([LEFT, RIGHT], "dlib-112", []),
        ([], "arcface-112", []),
    ],
)
def test_turned_faces_are_embedded_twice(
    landmarks: list[FloatArray | None], alignment: str, twice: list[int]
) -> None:
    embedder = Means(make_contract(alignment=alignment))
    crops = some_crops(len(landmarks))
    vectors, norms = embed_faces(embedder, crops, landmarks)
    (seen,) = embedder.seen
    assert len(seen) == len(crops) + len(twice)
    alone, lengths = Means().embed(crops)
    np.testing.assert_array_equal(norms, lengths)
    for i in range(len(crops)):
        expected = alone[i].astype(np.float64)
        if i in twice:
            second = moved_mirrors(crops[i : i + 1], np.array([landmarks[i] is LEFT]))
            expected = expected + Means().embed(second)[0][0]
            expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(vectors[i], expected, atol=1e-6)


def test_the_second_crop_is_mirrored_smaller_and_moved() -> None:
    crop = np.zeros((1, 112, 112, 3), np.uint8)
    crop[0, 30:34, 40:44] = 255  # its middle is (41.5, 31.5)
    for left, sign in ((True, 1), (False, -1)):
        (moved,) = moved_mirrors(crop, np.array([left]))
        ys, xs = np.nonzero(moved[..., 0] > 127)
        x = 55.5 + 0.94 * (41.5 - 55.5) + 2 * sign
        assert xs.mean() == pytest.approx(111 - x, abs=0.3)
        assert ys.mean() == pytest.approx(55.5 + 0.94 * (31.5 - 55.5) + 1, abs=0.3)
        assert (moved[..., 0].astype(float).sum() / 255) == pytest.approx(16 * 0.94**2, rel=0.03)


def test_faces_that_look_to_either_side_are_treated_alike() -> None:
    crop = some_crops(1)
    flipped = np.ascontiguousarray(crop[:, :, ::-1])
    one = moved_mirrors(crop, np.array([True]))
    other = moved_mirrors(flipped, np.array([False]))
    assert np.abs(one.astype(int) - other[:, :, ::-1].astype(int)).max() <= 1


def test_the_pipeline_does_it(astronaut: Image) -> None:
    recognizer = Recognizer("mobilefacenet")
    photo = recognizer.detect(astronaut)
    face = replace(photo.faces[0], landmarks_xy=(LEFT * 0.9 + [180, 60]).astype(np.float32))
    turned: Photo = replace(photo, faces=(face,), pixels=astronaut)
    (seen,) = recognizer.stream([turned])
    crops = align_faces(astronaut, [face])
    embedder = load_embedder(models.get("mobilefacenet"), flip=False)
    expected = embed_faces(embedder, crops, [face.landmarks_xy])[0][0]
    assert seen.embeddings[0].vector @ expected == pytest.approx(1, abs=1e-5)
    assert seen.embeddings[0].vector @ embedder.embed(crops)[0][0] < 0.999

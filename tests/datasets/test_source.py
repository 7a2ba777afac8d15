from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lineament import DetectOptions, Recognizer, align_faces, load_image
from lineament.datasets.source import RecognizerSource, way_of
from lineament.errors import DataError, OptionError
from lineament.files import DATA

DEMO = DATA / "demo"
OBAMA, BIDEN, GROUP = DEMO / "obama.jpg", DEMO / "biden.jpg", DEMO / "group.jpg"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer("mobilefacenet", choose="central")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LINEAMENT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_same_as_the_pipelines_own(recognizer: Recognizer, cached: Path) -> None:
    noise = cached / "noise.png"
    cv2.imwrite(str(noise), np.full((80, 80, 3), 127, np.uint8))
    broken = cached / "broken.jpg"
    broken.write_bytes(b"no photo")
    source = RecognizerSource(recognizer)
    found = source.photos([OBAMA, noise, broken, BIDEN, OBAMA])
    assert found.found.tolist() == [True, False, False, True, True]
    assert list(found.unreadable) == [2]
    own = recognizer.embed([OBAMA, BIDEN])
    for place, embedding in ((0, own[0]), (3, own[1]), (4, own[0])):
        assert not isinstance(embedding, Exception)
        np.testing.assert_array_equal(found.vectors[place], embedding.vector)
        assert found.norms[place] == pytest.approx(embedding.norm)
    assert not found.vectors[[1, 2]].any()
    assert source.images_embedded == 3  # the repeated one once, the broken one not at all
    again = RecognizerSource(recognizer)
    np.testing.assert_array_equal(again.photos([BIDEN, OBAMA]).vectors, found.vectors[[3, 0]])
    assert again.images_embedded == 0
    assert again.images_per_second is None
    assert RecognizerSource(recognizer, use_cache=False).photos([OBAMA]).found.all()


def test_a_box_says_which_face(recognizer: Recognizer, cached: Path) -> None:
    faces = recognizer.analyze(GROUP)
    assert len(faces.faces) > 2
    boxes = np.array([face.box_xyxy for face in faces.faces] + [np.full(4, np.nan)])
    source = RecognizerSource(recognizer)
    found = source.photos([GROUP] * len(boxes), boxes_xyxy=boxes)
    assert found.found.all()
    similar = found.vectors[:-1] @ np.array([e.vector for e in faces.embeddings]).T
    assert (similar.argmax(axis=1) == np.arange(len(faces.faces))).all()
    assert (np.diag(similar) > 0.9).all()
    again = RecognizerSource(recognizer).photos([GROUP] * len(boxes), boxes_xyxy=boxes)
    np.testing.assert_array_equal(again.vectors, found.vectors)


@pytest.mark.parametrize("box", [(1e9, 1e9, 2e9, 2e9), (-50, -50, -10, -10), (-1e9, 0, 1e9, 1e9)])
def test_a_box_outside_of_the_photo(
    recognizer: Recognizer, cached: Path, box: tuple[float, ...]
) -> None:
    found = RecognizerSource(recognizer).photos([OBAMA], boxes_xyxy=[box])
    assert found.found.tolist() == [True]


def test_boxes_of_another_shape_are_refused(recognizer: Recognizer, cached: Path) -> None:
    with pytest.raises(OptionError, match=r"boxes_xyxy: expected \(1, 4\)"):
        RecognizerSource(recognizer).photos([OBAMA], boxes_xyxy=[[1, 2, 3]])


def test_aligned_faces_are_embedded_as_they_are(recognizer: Recognizer, cached: Path) -> None:
    image = load_image(OBAMA)
    faces = recognizer.detect(OBAMA).faces
    crop = align_faces(image, faces)[0]
    encoded = cv2.imencode(".png", crop[..., ::-1])[1].tobytes()
    found = RecognizerSource(recognizer).crops([encoded] * 65)
    vectors, norms = recognizer.embedder.embed(crop[None])
    np.testing.assert_allclose(found.vectors, np.repeat(vectors, 65, 0), atol=1e-5)
    np.testing.assert_allclose(found.norms, np.repeat(norms, 65), rtol=1e-4)
    small = cv2.imencode(".png", crop[:50, :50])[1].tobytes()
    with pytest.raises(DataError, match="face 1: expected 112x112 pixels, got 50x50"):
        RecognizerSource(recognizer).crops([encoded, small])
    with pytest.raises(DataError, match="face 0: expected an encoded photo"):
        RecognizerSource(recognizer).crops([b"nothing"])
    with pytest.raises(OptionError, match="takes faces aligned as dlib-150"):
        RecognizerSource(Recognizer("dlib-resnet")).crops([encoded])


@pytest.mark.parametrize(
    "changes",
    [
        {"flip": True},
        {"choose": "largest"},
        {"detector": "mtcnn"},
        {"turning": False},
        {"options": DetectOptions(min_face_px=50)},
    ],
)
def test_what_changes_vectors_changes_the_way(
    recognizer: Recognizer, changes: dict[str, Any]
) -> None:
    other = Recognizer("mobilefacenet", **{"choose": "central"} | changes)
    assert way_of(other) != way_of(recognizer)
    assert way_of(Recognizer("mobilefacenet", choose="central")) == way_of(recognizer)

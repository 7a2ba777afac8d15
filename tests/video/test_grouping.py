"""People of films join groups of photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from films import make_film

from lineament import Recognizer, load_image
from lineament.demo import demo_photos
from lineament.gallery.grouping import group
from lineament.types import Image
from lineament.video.grouping import people_of_film

pytest.importorskip("av")
DEMO = demo_photos()


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer("fast")


def small(name: str) -> Image:
    image = load_image(DEMO[name])[:420]
    scale = 200 / image.shape[0]
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people side by side, who sway; the first one is away for a while."""
    left, right = small("obama2"), small("biden")
    frames = []
    for n in range(30):
        frame = np.full((220, 500, 3), 120, np.uint8)
        x = 10 + n // 2
        if not 10 <= n < 20:
            frame[10:210, x : x + left.shape[1]] = left
        frame[10:210, 250 + x : 250 + x + right.shape[1]] = right
        frames.append(frame)
    times = [100 * n for n in range(30)]
    return make_film(tmp_path_factory.mktemp("films") / "two.mp4", frames, times)


def test_everybody_in_a_film_is_one_face(film: Path, recognizer: Recognizer) -> None:
    told: list[int] = []
    found = people_of_film(film, recognizer, progress=lambda done, _: told.append(done))
    assert found.photo.source == str(film)
    assert found.photo.error is None
    assert found.photo.n_faces == len(found.faces) == 2
    assert [face.number for face in found.faces] == [0, 1]
    assert found.crops is not None
    assert found.crops.shape == (2, 112, 112, 3)
    assert told == list(range(1, 31))


def test_films_and_photos_are_grouped_together(film: Path, recognizer: Recognizer) -> None:
    said: list[str] = []
    grouping = group(
        [DEMO["obama"], DEMO["astronaut"]],
        recognizer,
        seen=[people_of_film(film, recognizer)],
        on_photo=lambda photo, *_: said.append(Path(photo.source).name),
    )
    assert said == ["obama.jpg", "astronaut.jpg", "two.mp4"]
    (both,) = grouping.groups(recognizer.calibration, min_size=2)
    members = {Path(grouping.faces[member.place].source).name for member in both.members}
    assert members == {"obama.jpg", "two.mp4"}
    assert len(grouping.faces) == 4


def test_a_film_that_cannot_be_read(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no film")
    found = people_of_film(path, recognizer)
    assert found.photo.error is not None
    assert found.faces == ()
    grouping = group([DEMO["obama"]], recognizer, seen=[found])
    assert [photo.error is None for photo in grouping.photos] == [True, False]

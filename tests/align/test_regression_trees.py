"""dlib's landmarks: its files read, its points found, and what is no such file refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dlib_files import predictor_file, whole

from builders import make_face
from lineament.align.regression_trees import read_predictor
from lineament.errors import OptionError, WeightsError
from lineament.types import Image

MEAN_XY = np.array([[0.9, 0.2], [0.65, 0.22], [0.1, 0.2], [0.35, 0.22], [0.5, 0.6]])
BOXES = [(179, 83, 266, 170), (-40, 10, 80, 130), (400, 420, 560, 580)]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dlib") / "five.dat"
    path.write_bytes(
        predictor_file(MEAN_XY, n_steps=4, n_trees=20, depth=4, n_pixels=60, correction=0.02)
    )
    return path


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("gray", [False, True])
def test_the_points_are_those_of_dlib(
    astronaut: Image, file: Path, box: tuple[int, ...], gray: bool
) -> None:
    dlib = pytest.importorskip("dlib")
    image = np.ascontiguousarray(astronaut[..., 1] if gray else astronaut)
    parts = dlib.shape_predictor(str(file))(image, dlib.rectangle(*box)).parts()
    expected = [[part.x, part.y] for part in parts]
    found = read_predictor(file).locate_in(image, box)
    np.testing.assert_array_equal(found, expected)


def test_the_trees_move_the_points(astronaut: Image, file: Path) -> None:
    predictor = read_predictor(file)
    found = predictor.locate_in(astronaut, BOXES[0])
    start = np.floor(MEAN_XY * 87 + [179, 83] + 0.5)
    assert 0 < np.abs(found - start).max() < 40


def test_as_a_landmarker(astronaut: Image, file: Path) -> None:
    predictor = read_predictor(file)
    faces = [make_face(box) for box in BOXES]
    found = predictor.locate(astronaut, faces)
    assert found.shape == (3, 5, 2)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[1], predictor.locate_in(astronaut, BOXES[1]))
    assert predictor.locate(astronaut, []).shape == (0, 5, 2)


def test_a_point_at_the_mean_of_no_trees(astronaut: Image, tmp_path: Path) -> None:
    path = tmp_path / "still.dat"
    path.write_bytes(predictor_file(np.array([[0.5, 0.5], [0.0, 1.0]])))
    found = read_predictor(path).locate_in(astronaut, (100, 100, 200, 300))
    assert found.tolist() == [[150, 200], [100, 300]]


def test_pixels_of_another_kind(file: Path) -> None:
    with pytest.raises(OptionError, match="image: expected uint8"):
        read_predictor(file).locate_in(np.zeros((9, 9), np.float32), BOXES[0])


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it ends too early"),
        (b"\x01\x02", "another version"),
        (b"\x01\x01\x01", "it ends too early"),
        (whole(1) + whole(10) + whole(1), "a mean shape of -10 x -1"),
        (b"\x09" + bytes(9), "begins no number"),
        (b"\x00\x00", "begins no number"),
        (b"no file of dlib's", "expected a shape predictor"),
    ],
)
def test_what_is_no_predictor(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "file.dat"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=words):
        read_predictor(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_predictor(tmp_path / "none.dat")
    with pytest.raises(WeightsError, match="cannot be read"):
        read_predictor(tmp_path)


def test_damaged_files_are_errors(tmp_path: Path, astronaut: Image) -> None:
    """Whatever is changed or cut off: an error of ours, or points all the same."""
    good, path = predictor_file(MEAN_XY, correction=0.01), tmp_path / "file.dat"
    draw, refused = np.random.default_rng(5), 0
    for number in range(120):
        data = bytearray(good)
        if number % 3 == 0:
            del data[int(draw.integers(len(data))) :]
        else:
            for _ in range(int(draw.integers(1, 4))):
                data[int(draw.integers(len(data)))] = int(draw.integers(256))
        path.write_bytes(bytes(data))
        try:
            predictor = read_predictor(path)
        except WeightsError:
            refused += 1
            continue
        assert predictor.mean_xy.shape[1] == 2
    assert 60 < refused < 120


def test_a_number_of_a_pixel_that_there_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file.dat"
    path.write_bytes(predictor_file(MEAN_XY, beyond=12))
    with pytest.raises(WeightsError, match="that there is not"):
        read_predictor(path)

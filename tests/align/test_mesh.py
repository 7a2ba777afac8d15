"""478 points: the network against the .tflite, the points against MTCNN, turned and mirrored."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from astronaut_face import BOX, EYE_DISTANCE, FIVE

from lineament import models
from lineament.align import load_landmarker
from lineament.align.mesh import (
    INPUT_PX,
    MOST_LOOKS,
    Mesh,
    first_transforms,
    five_of_478,
    look,
    mesh,
    mesh_transforms,
)
from lineament.align.mesh_points import MIRRORED
from lineament.align.mesh_pose import pose_of_mesh
from lineament.errors import OptionError
from lineament.models.runtime import Model, Runtime, load_model
from lineament.types import Face, FloatArray, Image

GOLDEN = Path(__file__).parent.parent / "golden" / "facemesh.npz"  # scripts.build.facemesh --golden


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(models.get("facemesh"))


@pytest.fixture(scope="module")
def found(model: Model, astronaut: Image) -> Mesh:
    return mesh(model, astronaut, [Face(BOX, 0.99, FIVE)])


def turned(photo: Image, angle_deg: float) -> tuple[Image, np.ndarray]:
    """The photo turned clockwise about its middle, and the matrix (2, 3) that does it."""
    height, width = photo.shape[:2]
    middle = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, -angle_deg, 1.0)
    return cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_CUBIC), matrix


def moved(xy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return xy @ matrix[:, :2].T + matrix[:, 2]


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_network_computes_what_the_tflite_computed(engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    golden = np.load(GOLDEN)
    image = golden["coarse"].repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)
    run = load_model(models.get("facemesh"), runtime=Runtime(engine=engine))
    points, logits = run(image)
    assert points.shape == (2, 478, 3)
    assert logits.shape == (2,)
    assert np.abs(points - golden["points"]).max() / INPUT_PX < 1e-4
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-3)


def test_batch_is_free(model: Model) -> None:
    image = np.load(GOLDEN)["coarse"].repeat(16, axis=2).repeat(16, axis=3).astype(np.float32)
    together = model(image[[0, 1, 0]])
    for row, number in enumerate([0, 1, 0]):
        alone = model(image[[number]])
        np.testing.assert_allclose(together[0][row], alone[0][0], atol=0.02)
        np.testing.assert_allclose(together[1][row], alone[1][0], atol=1e-3)


def test_no_faces(astronaut: Image) -> None:
    def never(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        raise AssertionError("no faces, and the network runs")

    none = mesh(never, astronaut, [])
    assert none.points_xyz.shape == (0, 478, 3)
    assert none.presence.shape == (0,)
    assert five_of_478(none.points_xyz).shape == (0, 5, 2)


@pytest.mark.parametrize("five", [FIVE, None], ids=["landmarks", "box only"])
def test_points_agree_with_mtcnn(model: Model, astronaut: Image, five: np.ndarray | None) -> None:
    got = mesh(model, astronaut, [Face(BOX, 0.99, five)])
    assert got.points_xyz.shape == (1, 478, 3)
    assert got.points_xyz.dtype == got.presence.dtype == np.float32
    error = np.linalg.norm(five_of_478(got.points_xyz)[0] - FIVE, axis=1) / EYE_DISTANCE
    assert error.max() < 0.09
    assert error.mean() < 0.05
    assert got.presence[0] > 0.95


def test_points_are_those_of_the_scheme(found: Mesh) -> None:
    x, y, z = found.points_xyz[0].T
    assert x[33] < x[468] < x[133] < x[4] < x[362] < x[473] < x[263]  # eyes and the nose's tip
    assert y[10] < y[105] < y[159] < y[468] < y[145] < y[4] < y[0] < y[13] < y[17] < y[152]
    assert x[234] < x[61] < x[291] < x[454]
    assert z.argmin() in (1, 4, 5, 44, 274, 45, 275, 19)  # the nose's tip is nearest
    assert z[[234, 454]].min() > z[[33, 263]].max()  # the ears lie behind the eyes
    for iris in (468, 473):  # four points around the center of each iris
        around = found.points_xyz[0, iris + 1 : iris + 5, :2]
        away = np.linalg.norm(around - found.points_xyz[0, iris, :2], axis=1)
        assert away.min() / EYE_DISTANCE > 0.03
        assert away.max() / EYE_DISTANCE < 0.2


def test_locate_has_the_points_of_the_photo(model: Model, astronaut: Image, found: Mesh) -> None:
    located = load_landmarker("mesh").locate(astronaut, [Face(BOX, 0.99, FIVE)])
    assert located.shape == (1, 478, 2)
    assert located.dtype == np.float32
    np.testing.assert_allclose(located, found.points_xyz[:, :, :2], atol=0.02)


def test_mirrored_photo_gives_mirrored_points(model: Model, astronaut: Image, found: Mesh) -> None:
    width = astronaut.shape[1]
    order = [1, 0, 2, 4, 3]
    other = np.stack([width - 1 - FIVE[order, 0], FIVE[order, 1]], 1)
    box = np.array([width - 1 - BOX[2], BOX[1], width - 1 - BOX[0], BOX[3]])
    photo = np.ascontiguousarray(astronaut[:, ::-1])
    mirrored = mesh(model, photo, [Face(box, 0.9, other)])
    back = five_of_478(mirrored.points_xyz)[0][order]
    back[:, 0] = width - 1 - back[:, 0]
    difference = (back - five_of_478(found.points_xyz)[0]) / EYE_DISTANCE
    assert np.abs(difference).max() < 0.05
    assert abs(difference[:, 0].mean()) < 0.01  # one pixel of the input is 0.012


def test_numbers_of_the_mirror_image(found: Mesh) -> None:
    assert (MIRRORED[MIRRORED] == np.arange(478)).all()
    middle = {int(i) for i in np.flatnonzero(np.arange(478) == MIRRORED)}
    assert {0, 1, 2, 4, 5, 6, 10, 13, 14, 17, 152, 168} <= middle
    pairs = {33: 263, 133: 362, 61: 291, 78: 308, 234: 454, 468: 473, 469: 476, 470: 475}
    for left, right in pairs.items():
        assert MIRRORED[left] == right
    # The photo's face is nearly frontal: turned by its roll, its mirror image lies on itself.
    points = found.points_xyz[0, :, :2]
    across = points[263] - points[33]
    angle = np.arctan2(across[1], across[0])
    upright = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright -= upright[list(middle)].mean(axis=0)
    back = upright[MIRRORED] * [-1, 1]
    assert np.linalg.norm(back - upright, axis=1).mean() / EYE_DISTANCE < 0.06


def test_mirror_image_is_a_second_opinion(model: Model, astronaut: Image, found: Mesh) -> None:
    face = Face(BOX, 0.99, FIVE)
    transforms = first_transforms([face])
    straight, _ = look(model, astronaut, transforms)
    mirrored, presence = look(model, astronaut, transforms, mirrored=True)
    apart = np.linalg.norm(mirrored - straight, axis=2)[0] / EYE_DISTANCE
    assert 0 < apart.mean() < 0.04
    assert apart.max() < 0.15
    assert presence[0] > 0.95
    both = mesh(model, astronaut, [face], mirrored=True)
    other, _ = look(
        model, astronaut, mesh_transforms(found.points_xyz, roll_of(found)), mirrored=True
    )
    np.testing.assert_allclose(both.points_xyz, (found.points_xyz + other) / 2, atol=0.05)


def roll_of(found: Mesh) -> np.ndarray:
    return np.radians([pose_of_mesh(each).roll_deg for each in found.points_xyz])


@pytest.mark.parametrize("angle", [-150, -90, -40, 25, 65, 180])
def test_landmarks_turn_the_crop_upright(
    model: Model, astronaut: Image, found: Mesh, angle: float
) -> None:
    photo, matrix = turned(astronaut, angle)
    corners = moved(BOX.reshape(2, 2), matrix)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0) + 1])
    got = mesh(model, photo, [Face(box, 0.9, moved(FIVE, matrix))])
    wanted = moved(found.points_xyz[0, :, :2], matrix)
    apart = np.linalg.norm(got.points_xyz[0, :, :2] - wanted, axis=1)
    assert apart.max() / EYE_DISTANCE < 0.05
    assert np.abs(got.points_xyz[0, :, 2] - found.points_xyz[0, :, 2]).max() / EYE_DISTANCE < 0.1


@pytest.mark.parametrize(("angle", "believed"), [(30, 0), (-35, 0), (90, 90), (205, 180)])
def test_box_alone_is_looked_at_until_it_is_level(
    model: Model, astronaut: Image, found: Mesh, angle: float, believed: int
) -> None:
    photo, matrix = turned(astronaut, angle)
    middle = moved(BOX.reshape(2, 2).mean(axis=0), matrix)
    box = np.concatenate([middle - 55, middle + 55])
    got = mesh(model, photo, [Face(box, 0.9, turned_deg=believed)])
    wanted = moved(found.points_xyz[0, :, :2], matrix)
    apart = np.linalg.norm(got.points_xyz[0, :, :2] - wanted, axis=1)
    assert apart.mean() / EYE_DISTANCE < 0.04


def test_only_what_is_not_level_is_looked_at_again(model: Model, astronaut: Image) -> None:
    looks: list[int] = []

    def counted(batch: FloatArray, /) -> tuple[FloatArray, ...]:
        looks.append(len(batch))
        return model(batch)

    photo, matrix = turned(astronaut, 40)
    middle = moved(BOX.reshape(2, 2).mean(axis=0), matrix)
    box = np.concatenate([middle - 55, middle + 55])
    faces = [Face(box, 0.9, moved(FIVE, matrix)), Face(box, 0.9)]
    mesh(counted, photo, faces)
    assert looks[:2] == [2, 2]
    assert set(looks[2:]) == {1}
    assert len(looks) <= MOST_LOOKS


def test_mixed_faces_keep_their_order(model: Model, astronaut: Image) -> None:
    faces = [Face(BOX, 0.9), Face(BOX, 0.9, FIVE), Face(BOX + 20, 0.5)]
    together = mesh(model, astronaut, faces)
    apart = [mesh(model, astronaut, [each]) for each in faces]
    wanted = np.concatenate([each.points_xyz for each in apart])
    np.testing.assert_allclose(together.points_xyz, wanted, atol=0.1)
    np.testing.assert_allclose(
        together.presence, np.concatenate([each.presence for each in apart]), atol=0.01
    )
    assert not np.array_equal(first_transforms(faces)[0], first_transforms(faces)[1])


def test_size_of_the_photo_does_not_matter(model: Model, astronaut: Image, found: Mesh) -> None:
    """Twice as large by repeated pixels: points and depth double."""
    double = astronaut.repeat(2, axis=0).repeat(2, axis=1)
    large = mesh(model, double, [Face(BOX * 2 + 0.5, 0.9, FIVE * 2 + 0.5)]).points_xyz[0]
    large[:, :2] -= 0.5
    apart = np.linalg.norm(large / 2 - found.points_xyz[0], axis=1)
    assert apart.max() / EYE_DISTANCE < 0.05


def test_square_about_a_mesh() -> None:
    points = np.full((1, 478, 2), (20.0, 40.0))
    points[0, 0], points[0, 1] = (10, 20), (30, 60)  # 40 high: the square is 60 wide about (20, 40)
    matrix = mesh_transforms(points, np.zeros(1))[0]
    np.testing.assert_allclose(matrix[:, :2], np.eye(2) * 256 / 60)
    np.testing.assert_allclose(moved(np.array([[20.0, 40.0]]), matrix), [[127.5, 127.5]])
    lying = mesh_transforms(points, np.full(1, np.pi / 2))[0]  # its top is on the viewer's right
    above = moved(np.array([[30.0, 40.0]]), lying)[0]
    assert above[0] == pytest.approx(127.5)
    assert above[1] < 127.5 - 10


def test_five_of_478_takes_the_right_points() -> None:
    points = np.zeros((2, 478, 3), np.float32)
    points[1, :, 0] = np.arange(478)
    points[1, :, 2] = 7
    got = five_of_478(points)
    np.testing.assert_allclose(got[1, :, 0], [468, 473, 2.5, 61, 291])
    assert not got[0].any()
    assert not got[:, :, 1].any()
    with pytest.raises(OptionError, match=r"expected shape \(N, 478, 2\) or \(N, 478, 3\)"):
        five_of_478(points[0])


def test_a_face_of_one_color_has_no_presence(model: Model) -> None:
    gray = np.full((300, 300, 3), 128, np.uint8)
    got = mesh(model, gray, [Face(np.array([100, 100, 200, 200]), 0.5)])
    assert got.presence[0] < 0.5
    assert np.isfinite(got.points_xyz).all()

"""The frontal crop against shapes and cameras that are known, and against rendered faces."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from lineament import models
from lineament.align import frontal
from lineament.align.alignment import Alignment, template_xy
from lineament.align.frontal import (
    FILE,
    MIRRORED,
    fit_camera,
    frontalize,
    generic_face,
    visibility,
)
from lineament.align.landmarks68 import LEFT_EYE, RIGHT_EYE, five_of_68, landmarks68
from lineament.cli import app
from lineament.errors import DataError, OptionError
from lineament.geometry import similarity_transforms, warp
from lineament.images import load_image
from lineament.models.runtime import load_model
from lineament.pipeline import Recognizer

MIDDLE = np.array([160.0, 130.0])
UNIT_PX = 60.0


def rotation(yaw_deg: float, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> np.ndarray:
    y, p, r = np.radians([yaw_deg, pitch_deg, roll_deg])
    about_y = [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]
    about_x = [[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]]
    about_z = [[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_x) @ np.array(about_y)


def camera_of(*angles_deg: float, unit_px: float = UNIT_PX) -> np.ndarray:
    return np.column_stack([unit_px * rotation(*angles_deg)[:2], MIDDLE])


def seen_at(camera: np.ndarray) -> np.ndarray:
    return generic_face().points_xyz @ camera[:, :3].T + camera[:, 3]


def rendered(camera: np.ndarray) -> np.ndarray:
    """The generic face in 320 x 320, by ray casting: each pixel is solved for its place on it.

    Colors are smooth waves over the face's own x and y, mirrored as faces are; gray around it.
    """
    face = generic_face()
    inner = face.triangles[(face.triangles < 78).all(axis=1)]
    corners = face.vertices_xyz[inner]  # (T, 3, 3)
    flat = corners @ camera[:, :3].T + camera[:, 3]
    depth = corners @ np.cross(camera[0, :3], camera[1, :3])
    image = np.full((320, 320, 3), 128.0)
    nearest = np.full((320, 320), -np.inf)
    for at, far, xyz in zip(flat, depth, corners, strict=True):
        basis = np.column_stack([at[1] - at[0], at[2] - at[0]])
        if np.linalg.det(basis) < 1e-6:
            continue
        (left, top), (right, bottom) = np.floor(at.min(axis=0)), np.ceil(at.max(axis=0))
        y, x = np.mgrid[int(top) : int(bottom) + 1, int(left) : int(right) + 1]
        from_corner = np.stack([x, y]) - at[0][:, None, None]
        u, v = np.einsum("ij,jhw->ihw", np.linalg.inv(basis), from_corner)
        z = (1 - u - v) * far[0] + u * far[1] + v * far[2]
        hit = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (z > nearest[y, x])
        fx, fy = ((1 - u - v) * xyz[0, k] + u * xyz[1, k] + v * xyz[2, k] for k in (0, 1))
        waves = np.stack(
            [np.cos(5 * fx) * np.sin(4 * fy), np.sin(3 * fy + 1), np.cos(7 * fx) * np.cos(2 * fy)],
            axis=-1,
        )
        image[y[hit], x[hit]] = 128 + 100 * waves[hit]
        nearest[y[hit], x[hit]] = z[hit]
    return np.rint(image).astype(np.uint8)


@pytest.fixture(scope="module")
def front() -> np.ndarray:
    return rendered(camera_of(0))


def face_mask(size_px: int) -> np.ndarray:
    """Where the generic face lies in a crop: a little inside of its outline."""
    mask = np.zeros((size_px, size_px), np.uint8)
    five = five_of_68(seen_at(camera_of(0))[None])
    matrix = similarity_transforms(five, template_xy(size_px))[0]
    outline = seen_at(camera_of(0))[:27] @ matrix[:, :2].T + matrix[:, 2]
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(outline).astype(np.int32)), 255)
    return cv2.erode(mask, np.ones((7, 7), np.uint8)) > 0


# --- the file ------------------------------------------------------------------------------------


def test_the_file() -> None:
    stored = json.loads(FILE.read_text("utf-8"))
    assert np.shape(stored["points_xyz"]) == (68, 3)
    assert np.shape(stored["covariances"]) == (68, 3)
    assert "Tomasi and Kanade" in stored["source"]
    assert "LFW View 1" in stored["source"]
    face = generic_face()
    assert face.vertices_xyz.shape == (94, 3)
    assert set(face.triangles.ravel().tolist()) == set(range(94))
    assert np.linalg.eigvalsh(face.covariance).min() > 0
    with pytest.raises(ValueError, match="read-only"):
        face.vertices_xyz[0] = 0


def test_the_face_is_symmetric_and_a_face() -> None:
    face = generic_face()
    np.testing.assert_array_equal(MIRRORED[MIRRORED], np.arange(68))
    np.testing.assert_array_equal(face.vertices_xyz[face.mirrored] * [-1, 1, 1], face.vertices_xyz)
    blocks = np.array([face.covariance[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] for i in range(68)])
    np.testing.assert_allclose(blocks[MIRRORED] * [[1, -1], [-1, 1]], blocks, rtol=0.011)
    points = face.points_xyz
    left, right = points[LEFT_EYE].mean(axis=0), points[RIGHT_EYE].mean(axis=0)
    np.testing.assert_allclose(right - left, [1, 0, 0], atol=1e-3)
    # Of people (Farkas 1994), with 62 mm between the pupils: the tip of the nose 30 to 45 mm before
    # the eyes, the ends of the jaw line 40 to 90 mm behind.
    assert 30 / 62 < points[30, 2] < 45 / 62
    assert -90 / 62 < points[0, 2] < -40 / 62
    assert (np.diff(points[:9, 2]) > 0).all()  # from the ear to the chin it comes forward
    assert (np.diff(points[27:31, 2]) > 0).all()  # and so does the bridge of the nose
    assert np.median(blocks[:17, 0, 0]) > 2 * np.median(blocks[17:, 0, 0])  # the outline is vague


def test_the_triangles_cover_the_square_once() -> None:
    face = generic_face()
    a, b, c = (face.vertices_xyz[face.triangles[:, k], :2] for k in range(3))
    (ux, uy), (vx, vy) = (b - a).T, (c - a).T
    areas = (ux * vy - uy * vx) / 2
    assert areas.min() > 0
    assert areas.sum() == pytest.approx((2 * frontal.RING) ** 2, abs=1e-9)


@pytest.mark.parametrize(
    "text", ["", "{}", '{"points_xyz": [[1, 2, 3]], "covariances": [[1]], "triangles": [[1]]}']
)
def test_a_broken_file(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "frontal.json").write_text(text)
    monkeypatch.setattr(frontal, "FILE", tmp_path / "frontal.json")
    with pytest.raises(DataError, match=r"frontal\.json: expected"):
        generic_face.__wrapped__()


# --- the camera ----------------------------------------------------------------------------------


def test_a_known_camera_is_found() -> None:
    rng = np.random.default_rng(0)
    for trial in range(20):
        shape, camera = rng.normal(size=(68, 3)), rng.normal(size=(2, 4))
        half = rng.normal(size=(136, 136))
        points = shape @ camera[:, :3].T + camera[:, 3]
        sigma = None if trial % 2 else half @ half.T + np.eye(136)
        np.testing.assert_allclose(fit_camera(points, shape, sigma), camera, atol=1e-9)


def test_generalised_least_squares_against_the_normal_equations() -> None:
    rng = np.random.default_rng(1)
    shape, points = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    half = rng.normal(size=(18, 18))
    sigma = half @ half.T + 0.1 * np.eye(18)
    design = np.zeros((18, 8))
    for i in range(9):
        design[2 * i, :4] = design[2 * i + 1, 4:] = [*shape[i], 1]
    weight = np.linalg.inv(sigma)
    expected = np.linalg.solve(design.T @ weight @ design, design.T @ weight @ points.ravel())
    found = fit_camera(points, shape, sigma)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-7)
    assert np.abs(found - fit_camera(points, shape)).max() > 1e-3  # the covariance counts


def test_visibility() -> None:
    assert visibility(camera_of(0, 0, 0)) == pytest.approx(1.0)
    # A turn in the plane hides nothing; a turn of the head hides its other side.
    np.testing.assert_allclose(visibility(camera_of(30, 5, 0)), visibility(camera_of(30, 5, 77)))
    face = generic_face()
    middle = face.vertices_xyz[face.triangles].mean(axis=1)
    outer = (face.triangles < 78).all(axis=1) & (np.abs(middle[:, 0]) > 0.8)
    # Rotated so that z comes to the right, the left half is nearer to the viewer.
    seen = visibility(camera_of(40))
    assert seen[outer & (middle[:, 0] < 0)].min() > 1
    assert seen[outer & (middle[:, 0] > 0)].max() < 0.4


# --- the crop ------------------------------------------------------------------------------------


def test_a_frontal_face_stays_as_five_points_put_it(front: np.ndarray) -> None:
    points = seen_at(camera_of(0))
    crop = frontalize(front, points, size_px=112)
    plain = warp(front, similarity_transforms(five_of_68(points[None]), template_xy(112)), 112)[0]
    mask = face_mask(112)
    assert mask.mean() > 0.3
    # The template is not quite symmetric, our frame is: they differ by half a pixel.
    difference = np.abs(crop.astype(float) - plain)[mask]
    assert difference.mean() < 6


@pytest.mark.parametrize("angles", [(25, 0, 0), (-25, 10, 20), (40, 0, -60), (-10, -10, 180)])
def test_a_turned_face_is_brought_back(front: np.ndarray, angles: tuple[float, ...]) -> None:
    expected = frontalize(front, seen_at(camera_of(0))).astype(float)
    assert expected.shape == (152, 152, 3)
    camera = camera_of(*angles)
    photo, points = rendered(camera), seen_at(camera)
    crop = frontalize(photo, points)
    flat = warp(photo, similarity_transforms(five_of_68(points[None]), template_xy(152)), 152)[0]
    mask = face_mask(152)
    error = np.abs(crop - expected)[mask].mean()
    error_flat = np.abs(flat - expected)[mask].mean()
    assert error < 8  # of 255, the waves' amplitude being 100
    assert error < 0.4 * error_flat


def test_the_hidden_half_is_filled_from_the_other(front: np.ndarray) -> None:
    expected = frontalize(front, seen_at(camera_of(0))).astype(float)
    camera = camera_of(45)
    photo, points = rendered(camera), seen_at(camera)
    mask = face_mask(152)
    mask[:, :100] = False  # the face's left is near: what is hidden lies on the right
    filled, stretched = (
        np.abs(frontalize(photo, points, fill=fill) - expected)[mask].mean()
        for fill in ("mirror", "none")
    )
    assert filled < 0.6 * stretched


def test_mirrored_photo_gives_the_mirrored_crop() -> None:
    camera = camera_of(20, 5, 10)
    photo, points = rendered(camera), seen_at(camera)
    mirrored = points[MIRRORED] * [-1, 1] + [photo.shape[1] - 1, 0]
    one = frontalize(photo, points).astype(float)
    other = frontalize(np.ascontiguousarray(photo[:, ::-1]), mirrored)[:, ::-1]
    # Diagonals of the triangulation differ here and there, so that single pixels do.
    assert np.abs(one - other).mean() < 1


def test_a_person_keeps_proportions(front: np.ndarray) -> None:
    """Residuals are added to the generic face: a point of the lips that is low stays low."""
    points = seen_at(camera_of(0))
    image = np.full_like(front, 60)
    points[57] += [0, 0.1 * UNIT_PX]
    cv2.circle(image, np.rint(points[57]).astype(int).tolist(), 3, (255, 255, 255), -1)
    crop = frontalize(image, points, size_px=224).astype(float)
    y, x = (axis.mean() for axis in np.nonzero(crop[..., 0] > 180))
    matrix = similarity_transforms(five_of_68(seen_at(camera_of(0))[None]), template_xy(224))[0]
    expected = matrix[:, :2] @ np.rint(points[57]) + matrix[:, 2]
    assert np.hypot(x - expected[0], y - expected[1]) < 2


def test_a_turn_in_the_plane_changes_nothing() -> None:
    camera = camera_of(15)
    photo, points = rendered(camera), seen_at(camera)
    photo[..., 0] = np.where(photo[..., 0] == 128, np.arange(320) // 2, photo[..., 0])
    points += np.random.default_rng(2).normal(0, 0.04 * UNIT_PX, (68, 2))  # residuals
    lying = np.ascontiguousarray(np.rot90(photo))  # (x, y) comes to (y, 319 - x)
    turned = np.column_stack([points[:, 1], 319 - points[:, 0]])
    one, other = frontalize(photo, points).astype(float), frontalize(lying, turned)
    assert np.abs(one - other).mean() < 1.5


def test_outside_of_the_photo_is_black(front: np.ndarray) -> None:
    crop = frontalize(front[:, 150:], seen_at(camera_of(0)) - [150, 0])
    assert (crop[:, :50] == 0).all()
    assert (crop[20:130, 90:130] > 0).any(axis=2).all()


def test_the_name() -> None:
    assert str(Alignment.square(152, "frontal")) == "frontal-152"
    assert str(Alignment.parse("frontal-112")) == "frontal-112"


# --- bad input -----------------------------------------------------------------------------------


def bad(change: str) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    image, points = np.zeros((320, 320, 3), np.uint8), seen_at(camera_of(0))
    options: dict[str, object] = {}
    if change == "gray":
        image = image[..., 0]
    elif change == "float":
        image = image.astype(np.float32)
    elif change == "67":
        points = points[:67]
    elif change == "nan":
        points[3, 1] = np.nan
    elif change == "one place":
        points[:] = 5.0
    elif change == "a line":
        points[:, 1] = points[:, 0]
    elif change == "swapped":
        points[:, 0] *= -1
    elif change == "size":
        options["size_px"] = 4
    else:
        options["fill"] = change
    return image, points, options


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("gray", "image: expected RGB"),
        ("float", "image: expected RGB"),
        ("67", r"shape \(68, 2\)"),
        ("nan", "NaN"),
        ("one place", "coincide"),
        ("a line", "one line"),
        ("swapped", "left and right"),
        ("size", "size_px: expected a whole number"),
        ("copy", "fill: expected one of mirror, none"),
    ],
)
def test_bad_input(change: str, message: str) -> None:
    image, points, options = bad(change)
    with pytest.raises(OptionError, match=message):
        frontalize(image, points, **options)


def test_bad_cameras() -> None:
    points, shape = np.zeros((6, 2)), np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(OptionError, match=r"points \(P, 2\)"):
        fit_camera(points[:5], shape)
    with pytest.raises(OptionError, match="do not lie in a plane"):
        fit_camera(points, shape * [1, 1, 0])
    with pytest.raises(OptionError, match="finite"):
        fit_camera(points, np.full((6, 3), np.inf))
    with pytest.raises(OptionError, match=r"covariance: expected shape \(12, 12\)"):
        fit_camera(points, shape, np.eye(6))
    with pytest.raises(OptionError, match="positive definite"):
        fit_camera(points, shape, -np.eye(12))
    with pytest.raises(OptionError, match="camera: expected shape"):
        visibility(np.zeros((3, 4)))
    with pytest.raises(OptionError, match="size_px"):
        Alignment.square(5000, "frontal")


# --- the command ---------------------------------------------------------------------------------


def test_the_command_writes_the_librarys_crop(tmp_path: Path) -> None:
    photo = FILE.parent / "demo" / "astronaut.jpg"
    done = CliRunner().invoke(
        app, ["align", str(photo), "--out", str(tmp_path), "--method", "frontal", "--json"]
    )
    assert done.exit_code == 0, done.output
    (item,) = json.loads(done.stdout)["photos"]
    (path,) = item["crops"]
    image = load_image(photo)
    (face,) = Recognizer().detect(image).faces
    points = landmarks68(load_model(models.get("landmarks68")), image, [face])[0]
    np.testing.assert_array_equal(load_image(path), frontalize(image, points))


def test_the_command_refuses_what_does_not_go_together(tmp_path: Path) -> None:
    arguments = ["align", "a.jpg", "--out", str(tmp_path), "--method", "frontal", "--cut-out"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "expected without --cut-out" in done.stderr

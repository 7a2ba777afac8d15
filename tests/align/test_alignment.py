"""Alignment: the transforms against Umeyama's matrices, the crops against what they show."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from lineament.align.alignment import (
    BOX_SIDE,
    TEMPLATES,
    Alignment,
    align_faces,
    alignment_of,
    face_transforms,
    register_template,
    template_xy,
)
from lineament.errors import OptionError
from lineament.geometry import (
    ARCFACE_TEMPLATE_XY,
    similarity_transforms,
    to_crop_xy,
    to_photo_xy,
    warp,
)
from lineament.types import Face, Float64Array, Image


def noise(height: int = 250, width: int = 250, seed: int = 0) -> Image:
    """Less than what counts as a printed raster, which is smoothed away (``lineament.raster``)."""
    return np.random.default_rng(seed).integers(80, 176, (height, width, 3), dtype=np.uint8)


def smooth(height: int = 300, width: int = 300) -> Image:
    """A photo without fine detail, so that interpolation hardly matters."""
    full = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(full, (0, 0), 6)
    return cv2.normalize(blurred, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def face(landmarks: object = None, box: object = (60, 60, 180, 190), turned_deg: int = 0) -> Face:
    return Face(np.array(box), 0.9, None if landmarks is None else np.array(landmarks), turned_deg)


def template_at(x: float, y: float) -> Float64Array:
    """Landmarks for which the crop of 112 pixels is the photo's part at (x, y)."""
    return ARCFACE_TEMPLATE_XY + np.array([x, y])


def matrix(scale: float, degrees: float, shift: tuple[float, float]) -> Float64Array:
    """(2, 3): turn clockwise for the viewer (y down), scale, shift."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def umeyama(source: Float64Array, target: Float64Array) -> Float64Array:
    """Eq. 38-43 of the paper, by singular values, for one pair of point sets."""
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(t.T @ s / len(s))
    sign = np.array([1.0, np.linalg.det(u) * np.linalg.det(vt)])
    rotation = u @ np.diag(sign) @ vt
    scale = (d * sign).sum() / (s**2).sum(1).mean()
    return np.column_stack([scale * rotation, mean_t - scale * rotation @ mean_s])


def test_no_faces() -> None:
    for method in ("five-points", "eyes", "crop"):
        crops = align_faces(noise(), [], Alignment.square(160, method))
        assert crops.shape == (0, 160, 160, 3)
        assert crops.dtype == np.uint8
    assert similarity_transforms(np.zeros((0, 5, 2)), template_xy()).shape == (0, 2, 3)
    assert to_photo_xy(np.zeros((0, 68, 2)), np.zeros((0, 2, 3))).shape == (0, 68, 2)


def test_transforms_are_umeyamas() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 500, (200, 5, 2))
    points[:100] = ARCFACE_TEMPLATE_XY * 2 + rng.normal(0, 3, (100, 5, 2))
    points[100:120, :, 0] *= -1  # mirrored: a reflection would fit better, and is not allowed
    wanted = np.stack([umeyama(p, ARCFACE_TEMPLATE_XY) for p in points])
    found = similarity_transforms(points, ARCFACE_TEMPLATE_XY)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-8)


def test_transforms_are_least_squares() -> None:
    rng = np.random.default_rng(2)
    points = ARCFACE_TEMPLATE_XY * 1.7 + rng.normal(0, 8, (20, 5, 2))
    # The same problem as linear equations in (a, b, x, y): u = a x - b y + s, v = b x + a y + t.
    for p, found in zip(points, similarity_transforms(points, ARCFACE_TEMPLATE_XY), strict=True):
        rows = [[[x, -y, 1, 0], [y, x, 0, 1]] for x, y in p]
        system = np.array(rows, dtype=float).reshape(10, 4)
        a, b, s, t = np.linalg.lstsq(system, ARCFACE_TEMPLATE_XY.reshape(10), rcond=None)[0]
        np.testing.assert_allclose(found, [[a, -b, s], [b, a, t]], atol=1e-8)


@pytest.mark.parametrize("degrees", [0, 30, 90, 179, -135])
@pytest.mark.parametrize("scale", [0.05, 1.0, 3.5])
def test_known_similarity_is_recovered(scale: float, degrees: float) -> None:
    known = matrix(scale, degrees, (-20.5, 333.0))
    rng = np.random.default_rng(3)
    points = rng.uniform(-50, 900, (4, 5, 2))
    for p in points:
        target = p @ known[:, :2].T + known[:, 2]
        found = similarity_transforms(p[None], target)
        np.testing.assert_allclose(found, known[None], atol=1e-9)


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.full((5, 2), 77.7), "face 1: expected 5 points that differ"),
        (np.full((5, 2), np.nan), "face 1"),
        (np.full((5, 2), 0.0), "face 1"),
    ],
)
def test_degenerate_landmarks(landmarks: Float64Array, message: str) -> None:
    both = np.stack([ARCFACE_TEMPLATE_XY, landmarks])
    with pytest.raises(OptionError, match=message):
        similarity_transforms(both, ARCFACE_TEMPLATE_XY)


def test_shapes_must_fit() -> None:
    with pytest.raises(OptionError, match=r"expected landmarks \(N, P, 2\)"):
        similarity_transforms(ARCFACE_TEMPLATE_XY, ARCFACE_TEMPLATE_XY)
    with pytest.raises(OptionError, match=r"expected shape \(N, 5, 2\).*got \(1, 4, 2\)"):
        similarity_transforms(ARCFACE_TEMPLATE_XY[None, :4], ARCFACE_TEMPLATE_XY)


def test_template_scales_about_edges() -> None:
    np.testing.assert_array_equal(template_xy(), ARCFACE_TEMPLATE_XY)
    # The middle of the first two pixels of a crop of 224 is the first pixel of a crop of 112.
    np.testing.assert_allclose(template_xy(224), ARCFACE_TEMPLATE_XY * 2 + 0.5)


@pytest.mark.parametrize("method", ["five-points", "eyes", "crop"])
def test_sizes_show_the_same(method: str) -> None:
    photo, turned = smooth(), ARCFACE_TEMPLATE_XY @ matrix(1.2, 12, (0, 0))[:, :2].T + [80, 60]
    small = align_faces(photo, [face(turned)], Alignment.square(112, method))[0]
    large = align_faces(photo, [face(turned)], Alignment.square(224, method))[0]
    halved = large.reshape(112, 2, 112, 2, 3).astype(float).mean(axis=(1, 3))
    # For comparison, a crop that lies half of its pixels off, as if centers had been scaled.
    off = (large[1:, 1:].astype(float) + large[:-1, :-1])[1::2, 1::2] / 2
    assert np.abs(halved - small).mean() < 0.8
    assert np.abs(off - small[1:, 1:]).mean() > 1.6


def test_identity_is_exact() -> None:
    photo = noise()
    crop = align_faces(photo, [face(template_at(60, 33))])[0]
    np.testing.assert_array_equal(crop, photo[33:145, 60:172])


def test_quarter_turn_is_exact() -> None:
    photo = noise(112, 112)
    x, y = ARCFACE_TEMPLATE_XY.T
    # In np.rot90(photo) the pixel (x, y) lies at (y, 111 - x).
    crop = align_faces(np.ascontiguousarray(np.rot90(photo)), [face(np.stack([y, 111 - x], 1))])[0]
    np.testing.assert_array_equal(crop, photo)


def test_faces_keep_their_order_and_strides_do_not_matter() -> None:
    photo = smooth()
    faces = [face(ARCFACE_TEMPLATE_XY * s + [x, 40]) for s, x in ((1.0, 100), (1.7, 20), (0.6, 9))]
    together = align_faces(photo, faces)
    one_by_one = np.concatenate([align_faces(photo, [each]) for each in faces])
    np.testing.assert_array_equal(together, one_by_one)
    assert np.abs(together[0].astype(int) - together[1]).mean() > 5
    flipped = photo[:, ::-1]
    np.testing.assert_array_equal(
        align_faces(flipped, faces), align_faces(np.ascontiguousarray(flipped), faces)
    )


def test_outside_is_black() -> None:
    photo = np.full((100, 100, 3), 200, np.uint8)
    crop = align_faces(photo, [face(template_at(-30, 50))])[0]
    assert (crop[:48, 33:] == 200).all()
    assert not crop[:, :28].any()
    assert not crop[53:].any()
    assert not align_faces(photo, [face(template_at(5000, 0))]).any()
    assert not align_faces(photo, [face(box=(-900, -900, -800, -800))], "crop-112").any()


@pytest.mark.parametrize("scale", [2.3, 3.0, 4.7, 9.0])
def test_fine_patterns_become_gray(scale: float) -> None:
    side = int(112 * scale) + 40
    y, x = np.mgrid[:side, :side]
    photo = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    landmarks = (ARCFACE_TEMPLATE_XY + 0.5) * scale - 0.5 + 20
    inner = align_faces(photo, [face(landmarks)])[0, 4:-4, 4:-4].astype(float)
    # What the plain warp makes of it: coarse patterns, or all black, or all white.
    plain = similarity_transforms(landmarks[None], template_xy())[0]
    aliased = cv2.warpAffine(photo, plain, (112, 112), flags=cv2.INTER_CUBIC)[4:-4, 4:-4]
    assert np.abs(aliased - 127.5).mean() > 50
    assert abs(inner.mean() - 127.5) < 1
    assert np.abs(inner - 127.5).max() < 40


@pytest.mark.parametrize("scale", [1.9, 2.0, 2.1, 3.0, 5.6, 9.9])
@pytest.mark.parametrize("at", [(13.0, 7.0), (-40.0, 21.0), (50.3, 33.7)])
def test_shrinking_moves_nothing(scale: float, at: tuple[float, float]) -> None:
    """A ramp shows in every crop pixel where in the photo it came from."""
    height, width = 240, 250
    y, x = np.mgrid[:height, :width]
    # Rounded at random: rounding half up would look like a shift.
    chance = np.random.default_rng(4).uniform(0, 1, (height, width, 1))
    photo = np.floor(np.stack([x, y, 0 * x], axis=2) * 0.97 + chance).astype(np.uint8)
    m = matrix(1 / scale, 25, (0, 0))
    m[:, 2] = -m[:, :2] @ at
    crop = warp(photo, m[None], 64)[0]
    v, u = np.mgrid[:64, :64]
    origin = np.linalg.solve(m[:, :2], np.stack([u.ravel(), v.ravel()]) - m[:, 2:])
    ox, oy = origin.reshape(2, 64, 64)
    edge = 4 * scale
    inside = (ox > edge) & (ox < width - edge) & (oy > edge) & (oy < height - edge)
    assert inside.sum() > 100
    error_x = crop[..., 0][inside] / 0.97 - ox[inside]
    error_y = crop[..., 1][inside] / 0.97 - oy[inside]
    assert abs(error_x.mean()) < 0.3
    assert abs(error_y.mean()) < 0.3
    assert max(np.abs(error_x).max(), np.abs(error_y).max()) < 3
    outside = (ox < -edge) | (ox > width + edge) | (oy < -edge) | (oy > height + edge)
    assert not crop[outside].any()


def test_photos_longer_than_opencv_warps() -> None:
    photo = np.zeros((150, 40_000, 3), np.uint8)
    photo[20:132, 35_000:35_112] = noise(112, 112)
    crop = align_faces(photo, [face(template_at(35_000, 20))])[0]
    # float32 landmarks at 35 000 are exact to 1/512 pixel
    difference = np.abs(crop.astype(int) - noise(112, 112))
    assert difference.mean() < 2


def test_points_go_there_and_back() -> None:
    rng = np.random.default_rng(5)
    transforms = similarity_transforms(rng.uniform(0, 400, (6, 5, 2)), ARCFACE_TEMPLATE_XY)
    points = rng.uniform(-100, 500, (6, 68, 2))
    crop_xy = to_crop_xy(points, transforms)
    by_hand = transforms[4, :, :2] @ points[4, 60] + transforms[4, :, 2]
    np.testing.assert_allclose(crop_xy[4, 60], by_hand)
    np.testing.assert_allclose(to_photo_xy(crop_xy, transforms), points, atol=1e-6)
    inverse = cv2.invertAffineTransform(transforms[2])
    np.testing.assert_allclose(
        to_photo_xy(points, transforms)[2], points[2] @ inverse[:, :2].T + inverse[:, 2], rtol=1e-9
    )


def test_eyes_become_level_and_the_middle_of_the_box_stays() -> None:
    landmarks = ARCFACE_TEMPLATE_XY @ matrix(1.0, 35, (0, 0))[:, :2].T + [120, 40]
    one = face(landmarks, box=(50, 70, 150, 210))
    m = face_transforms([one], "eyes-160")
    eyes = to_crop_xy(one.landmarks_xy[None, :2], m)[0]
    assert abs(eyes[0, 1] - eyes[1, 1]) < 1e-4
    assert eyes[0, 0] < eyes[1, 0]
    np.testing.assert_allclose(to_crop_xy(np.array([[[100, 140]]]), m)[0, 0], [79.5, 79.5])
    assert np.linalg.det(m[0, :, :2]) ** 0.5 == pytest.approx(160 / (140 * BOX_SIDE))


def test_crop_is_the_square_about_the_middle_of_the_box() -> None:
    m = face_transforms([face(box=(50, 70, 150, 210))], "crop-160")
    half = 70 * BOX_SIDE
    corners = to_photo_xy(np.array([[[-0.5, -0.5], [159.5, 159.5]]]), m)[0]
    np.testing.assert_allclose(corners, [[100 - half, 140 - half], [100 + half, 140 + half]])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_crop_turns_faces_upright(turns: int) -> None:
    upright = smooth(200, 240)
    box = np.array([[90.0, 40], [170, 150]])
    lying, corners = upright, box
    for _ in range(turns):  # clockwise: (x, y) goes to (height - 1 - y, x)
        corners = np.stack([lying.shape[0] - 1 - corners[:, 1], corners[:, 0]], 1)
        lying = np.ascontiguousarray(np.rot90(lying, -1))
    turned_box = np.concatenate([corners.min(0), corners.max(0)])
    found = align_faces(lying, [face(None, turned_box, 90 * turns)], "crop-112")
    wanted = align_faces(upright, [face(None, box.ravel())], "crop-112")
    assert np.abs(found.astype(int) - wanted).max() <= 2
    not_turned = align_faces(lying, [face(None, turned_box)], "crop-112")
    assert np.abs(not_turned.astype(int) - wanted).mean() > 10


@pytest.mark.parametrize("method", ["five-points", "eyes"])
def test_methods_that_need_landmarks_say_who_has_them(method: str) -> None:
    faces = [face(ARCFACE_TEMPLATE_XY), face()]
    with pytest.raises(
        OptionError, match='face 1 has none: take a detector that gives them, "yunet"'
    ):
        align_faces(noise(), faces, Alignment.square(112, method))


def test_eyes_that_coincide() -> None:
    landmarks = ARCFACE_TEMPLATE_XY.copy()
    landmarks[1] = landmarks[0]
    with pytest.raises(OptionError, match="eyes that coincide"):
        align_faces(noise(), [face(landmarks)], "eyes-112")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"size_px": 112, "method": "six-points"},
            "expected one of five-points, eyes, crop, got 'six-points'",
        ),
        ({"size_px": 7}, "expected a whole number from 8 to 4096, got 7"),
        ({"size_px": 4097}, "got 4097"),
        ({"size_px": 112.5}, "got 112.5"),
    ],
)
def test_options_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        align_faces(noise(), [face(ARCFACE_TEMPLATE_XY)], Alignment.square(**arguments))


@pytest.mark.parametrize(
    "image",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.float32)],
)
def test_images_are_checked(image: Image) -> None:
    with pytest.raises(OptionError, match="expected RGB, uint8"):
        align_faces(image, [face(ARCFACE_TEMPLATE_XY)])


def test_matrices_are_checked() -> None:
    with pytest.raises(OptionError, match="can be inverted"):
        warp(noise(), np.zeros((1, 2, 3)), 112)
    with pytest.raises(OptionError, match="can be inverted"):
        warp(noise(), np.full((1, 2, 3), np.nan), 112)
    with pytest.raises(OptionError, match="scale of zero"):
        to_photo_xy(np.zeros((1, 4, 2)), np.zeros((1, 2, 3)))
    with pytest.raises(OptionError, match=r"got \(2, 3\)"):
        warp(noise(), np.zeros((2, 3)), 112)


@pytest.mark.parametrize(
    ("method", "size_px", "name"),
    [
        ("five-points", 112, "arcface-112"),
        ("eyes", 160, "eyes-160"),
        ("crop", 8, "crop-8"),
    ],
)
def test_names(method: str, size_px: int, name: str) -> None:
    made = Alignment.square(size_px, method)
    assert str(made) == name
    assert Alignment.parse(name) == made
    assert (made.method, made.size_wh, made.template) == (method, (size_px, size_px), "arcface")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "arcface",
        "arcface-",
        "arcface-0112",
        "vgg-150",
        "dlib-7",
        "arcface-7",
        "arcface-112 ",
        "arcface-112x112",
        "arcface-96x7",
        "arcface-112-m0",
        "arcface-112-m0.20",
        "arcface-112-m99",
    ],
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(OptionError, match="expected"):
        Alignment.parse(name)


# --- other shapes, margins, templates -------------------------------------------------------------


def test_a_narrow_crop_is_the_middle_of_the_square_one() -> None:
    """The 96x112 of SphereFace and CosFace: ArcFace's template, 8 pixels less on either side."""
    narrow = Alignment.parse("arcface-96x112")
    np.testing.assert_allclose(narrow.template_xy, ARCFACE_TEMPLATE_XY - [8, 0])
    photo = smooth()
    faces = [face(template_at(60, 33))]
    wide = align_faces(photo, faces)
    found = align_faces(photo, faces, narrow)
    assert found.shape == (1, 112, 96, 3)
    assert np.abs(found.astype(int) - wide[:, :, 8:-8].astype(int)).max() <= 1
    flat = align_faces(photo, faces, "arcface-112x96")
    assert flat.shape == (1, 96, 112, 3)
    assert np.abs(flat.astype(int) - wide[:, 8:-8].astype(int)).max() <= 1


@pytest.mark.parametrize("method", ["eyes", "crop"])
def test_a_narrow_crop_of_a_box_is_the_middle_of_the_square_one(method: str) -> None:
    photo, faces = smooth(), [face(template_at(60, 33))]
    wide = align_faces(photo, faces, f"{method}-112")
    found = align_faces(photo, faces, f"{method}-96x112")
    assert np.abs(found.astype(int) - wide[:, :, 8:-8].astype(int)).max() <= 1


@pytest.mark.parametrize("kind", ["arcface", "eyes", "crop"])
def test_a_margin_shows_more_about_the_same_middle(kind: str) -> None:
    photo, faces = smooth(), [face(template_at(60, 33))]
    large = face_transforms(faces, f"{kind}-112-m0.5")[0]
    usual = face_transforms(faces, f"{kind}-112")[0]
    middle = np.array([55.5, 55.5])
    np.testing.assert_allclose(large[:, :2] * 1.5, usual[:, :2], atol=1e-9)
    np.testing.assert_allclose((large[:, 2] - middle) * 1.5, usual[:, 2] - middle, atol=1e-9)
    assert align_faces(photo, faces, f"{kind}-112-m0.5").shape == (1, 112, 112, 3)


@pytest.mark.parametrize(
    "name", ["arcface-112", "arcface-96x112", "dlib-150-m0.2", "crop-224-m-0.1", "frontal-152"]
)
def test_names_come_back(name: str) -> None:
    assert str(Alignment.parse(name)) == name


def test_templates_are_added_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineament.align.alignment.TEMPLATES", dict(TEMPLATES))
    points = np.array([[30, 40], [66, 40], [48, 60], [34, 80], [62, 80.0]])
    register_template("mine", points, (96, 96))
    register_template("mine", points, (96, 96))
    np.testing.assert_array_equal(Alignment.parse("mine-96").template_xy, points)
    np.testing.assert_allclose(Alignment.parse("mine-192").template_xy, points * 2 + 0.5)
    assert alignment_of("mine-96", (96, 96)) == Alignment.parse("mine-96")
    for name, given in (
        ("mine", points + 1),
        ("crop", points),
        ("Mine", points),
        ("x", points[:4]),
    ):
        with pytest.raises(OptionError):
            register_template(name, given, (96, 96))


@pytest.mark.parametrize(
    ("asked", "size_wh", "method", "name"),
    [
        ("arcface-112", (112, 112), None, "arcface-112"),
        ("dlib-150", (150, 150), None, "dlib-150"),
        ("dlib-150", (150, 150), "crop", "crop-150"),
        ("crop-224-m0.3", (224, 224), None, "crop-224-m0.3"),
        ("arcface-112", (96, 112), None, "arcface-96x112"),
        ("mine", None, None, "arcface-112"),
        (None, (160, 160), "eyes", "eyes-160"),
    ],
)
def test_the_alignment_of_a_card(
    asked: str | None, size_wh: tuple[int, int] | None, method: Any, name: str
) -> None:
    assert str(alignment_of(asked, size_wh, method)) == name


def test_frontal_crops_need_more_than_five_points() -> None:
    with pytest.raises(OptionError, match="68 points"):
        align_faces(noise(), [face(ARCFACE_TEMPLATE_XY)], "frontal-152")

"""What augmentation does to pixels: each operation alone, recomputed or measured."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import DataError, OptionError
from lineament.pictures.photos import save_png
from lineament.train.data.augment import NOTHING, STRONG, Augment, augment, augmented_sheet
from lineament.types import Image


def only(**values: Any) -> Augment:
    return Augment(**{"flip": 0.0} | values)


@pytest.fixture(scope="module")
def face(astronaut: Image) -> Image:
    image = np.ascontiguousarray(astronaut[80:192, 170:282])
    image.flags.writeable = False  # nothing may write to it
    return image


def luma(image: Image) -> np.ndarray:
    return image.astype(float) @ [0.299, 0.587, 0.114]


class TestOperations:
    def test_nothing(self, face: Image) -> None:
        assert augment(face, NOTHING, 1) is face
        assert NOTHING.changes_nothing
        assert not Augment().changes_nothing

    def test_flip_is_exact(self, face: Image) -> None:
        assert np.array_equal(augment(face, only(flip=1.0), 3), face[:, ::-1])

    def test_flip_happens_as_often_as_it_should(self, face: Image) -> None:
        small = face[:8, :8].copy()
        flipped = [
            np.array_equal(augment(small, only(flip=0.3), (0, i)), small[:, ::-1])
            for i in range(2000)
        ]
        assert abs(np.mean(flipped) - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 2000)

    def test_brightness_is_a_factor(self, face: Image) -> None:
        factors = []
        for seed in range(40):
            changed = augment(face, only(brightness=0.4), seed).astype(float)
            inside = (face > 30) & (face < 150)  # nothing is cut off there
            factor = np.median(changed[inside] / face[inside])
            assert np.abs(changed[inside] - factor * face[inside]).max() < 1.6
            factors.append(factor)
        assert 0.6 <= min(factors) < 0.7
        assert 1.3 < max(factors) <= 1.4

    def test_contrast_leaves_the_mean_gray(self, face: Image) -> None:
        image = (face // 2 + 60).astype(np.uint8)  # so that nothing is cut off
        spreads = []
        for seed in range(20):
            changed = augment(image, only(contrast=0.3), seed)
            assert luma(changed).mean() == pytest.approx(luma(image).mean(), abs=0.6)
            spreads.append(luma(changed).std() / luma(image).std())
        assert 0.69 < min(spreads) < 0.85
        assert 1.15 < max(spreads) < 1.31

    def test_saturation_leaves_the_luma(self, face: Image) -> None:
        image = (face // 2 + 60).astype(np.uint8)
        colors = []
        for seed in range(20):
            changed = augment(image, only(saturation=0.5), seed)
            assert np.abs(luma(changed) - luma(image)).max() < 1.5
            colors.append(np.ptp(changed, axis=2).mean() / np.ptp(image, axis=2).mean())
        assert 0.49 < min(colors) < 0.7
        assert 1.3 < max(colors) < 1.52

    def test_colors_together_are_the_written_equations(self, face: Image) -> None:
        options = only(brightness=0.2, contrast=0.2, saturation=0.2)
        image = (face // 3 + 80).astype(np.uint8)
        b, c, s = 1 + 0.2 * (2 * np.random.default_rng(9).random(20)[6:9] - 1)
        y = b * image
        y = luma(y).mean() + c * (y - luma(y).mean())
        y = luma(y)[..., None] + s * (y - luma(y)[..., None])
        assert np.abs(augment(image, options, 9) - y).max() < 0.75  # OpenCV's fixed point

    def test_gray_has_no_color(self, face: Image) -> None:
        changed = augment(face, only(gray=1.0), 0)
        assert (np.ptp(changed, axis=2) == 0).all()
        assert np.abs(changed[..., 0] - luma(face)).max() < 1

    def test_blur_lowers_high_frequencies(self) -> None:
        image = noise()
        kept = []
        for seed in range(20):
            changed = augment(image, only(blur=1.0, blur_most_px=3.0), seed)
            assert luma(changed).mean() == pytest.approx(luma(image).mean(), abs=1)
            kept.append(high(changed, 28) / high(image, 28))
        assert max(kept) < 0.9
        assert min(kept) < 0.01

    @pytest.mark.parametrize("side", [8, 16, 24])
    def test_low_resolution_bounds_the_spectrum(self, side: int) -> None:
        image = noise()
        options = only(low_resolution=1.0, least_px=side, most_px=side)
        for seed in range(30):
            changed = augment(image, options, seed)
            assert changed.shape == image.shape
            # A picture of `side` pixels has at most side / 2 periods; enlarging it with a kernel
            # of finite length leaves a little beyond that.
            assert high(changed, side) < 0.03 * high(image, side)
            centered = luma(changed) - luma(changed).mean()
            # Rows and columns are mixtures of `side` ones; rounding adds a norm of about 5.
            assert np.linalg.matrix_rank(centered, tol=7) <= side
            assert np.linalg.matrix_rank(luma(image) - luma(image).mean(), tol=7) > 100

    def test_low_resolution_draws_all_sides(self, face: Image) -> None:
        from lineament.train.data import augment as module

        sides = {module._whole(draw, 16, 20) for draw in np.linspace(0, 1, 500, endpoint=False)}
        assert sides == {16, 17, 18, 19, 20}
        same = only(low_resolution=1.0, least_px=112, most_px=200)
        assert np.array_equal(augment(face, same, 0), face)

    def test_reduced_by_means_of_areas(self, face: Image) -> None:
        small = face.reshape(28, 4, 28, 4, 3).mean((1, 3)).round().astype(np.uint8)  # 4x4 pixels
        ways = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
        wanted = [cv2.resize(small, (112, 112), interpolation=way).astype(int) for way in ways]
        options = only(low_resolution=1.0, least_px=28, most_px=28, shrinking="area")
        found = set()
        for seed in range(12):
            changed = augment(face, options, seed)
            off = [int(np.abs(changed - one).max()) for one in wanted]
            assert min(off) <= 2  # means that end in .5 are rounded up or down
            found.add(off.index(min(off)))
        assert found == {0, 1, 2}

    @pytest.mark.parametrize(
        ("name", "way"),
        [
            ("linear", cv2.INTER_LINEAR),
            ("cubic", cv2.INTER_CUBIC),
            ("lanczos", cv2.INTER_LANCZOS4),
        ],
    )
    def test_enlarged_always_in_one_way(self, face: Image, name: str, way: int) -> None:
        small = face.reshape(28, 4, 28, 4, 3).mean((1, 3)).round().astype(np.uint8)
        wanted = cv2.resize(small, (112, 112), interpolation=way).astype(int)
        options = only(
            low_resolution=1.0, least_px=28, most_px=28, shrinking="area", enlarging=name
        )
        off = [int(np.abs(augment(face, options, seed) - wanted).max()) for seed in range(6)]
        assert max(off) <= 2

    def test_jpeg_is_what_another_encoder_makes(self, face: Image) -> None:
        options = only(jpeg=1.0, jpeg_least=20, jpeg_most=20)
        changed = augment(face, options, 0)
        file = io.BytesIO()
        PILImage.fromarray(face).save(file, "JPEG", quality=20)
        other = np.asarray(PILImage.open(file)).astype(int)
        error = np.abs(changed.astype(int) - face).mean()
        assert error > 2
        assert np.abs(changed - other).mean() < 0.3 * error

    def test_erasing_fills_one_rectangle(self, face: Image) -> None:
        options = only(erasing=1.0, erasing_least=0.1, erasing_most=0.2)
        places = set()
        for seed in range(40):
            touched = (augment(face, options, seed) != face).any(axis=2)
            rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
            tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert touched.mean() > 0.99 * tall * wide / touched.size
            assert 0.09 < tall * wide / touched.size < 0.21
            assert 0.28 < tall / wide < 3.5
            places.add((rows[0], columns[0]))
        assert len(places) > 30


def noise() -> Image:
    """Far from 0 and 255, so that nothing is cut off."""
    return np.random.default_rng(2).integers(96, 160, (112, 112, 3), np.uint8)


def high(image: Image, periods: int) -> float:
    """Energy above so many periods across the picture."""
    spectrum = np.abs(np.fft.fft2(luma(image) - luma(image).mean())) ** 2
    f = np.abs(np.fft.fftfreq(112) * 112)
    return float(spectrum[np.maximum(f[:, None], f[None, :]) > periods].sum())


class TestSeeds:
    def test_equal_seeds_give_equal_pictures(self, face: Image) -> None:
        first = augment(face, STRONG, (1, 2, 3))
        np.random.seed(0)
        state = np.random.get_state()[1].copy()  # type: ignore[union-attr]
        assert np.array_equal(first, augment(face, STRONG, (1, 2, 3)))
        assert (np.random.get_state()[1] == state).all()  # nobody drew from the global generator

    def test_seeds_are_independent(self, face: Image) -> None:
        options = only(brightness=0.5)
        means = np.array(
            [
                [augment(face, options, (0, epoch, i)).mean() for i in range(60)]
                for epoch in range(2)
            ]
        )
        assert len(set(means[0])) == 60
        assert abs(np.corrcoef(means)[0, 1]) < 0.5
        assert abs(np.corrcoef(means[0, :-1], means[0, 1:])[0, 1]) < 0.5

    def test_one_operation_more_leaves_the_others(self, face: Image) -> None:
        for seed in range(5):
            plain = augment(face, only(flip=0.5, brightness=0.3), seed)
            gray = augment(face, only(flip=0.5, brightness=0.3, gray=1.0), seed)
            assert np.abs(luma(plain) - gray[..., 0]).max() < 1


class TestOptions:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"flip": 1.1}, "flip: expected a number from 0 to 1, got 1.1"),
            ({"jpeg": -0.1}, "jpeg: expected"),
            ({"blur": float("nan")}, "blur: expected"),
            ({"gray": True}, "gray: expected"),
            ({"brightness": 2.0}, "brightness: expected"),
            ({"erasing": "often"}, "erasing: expected"),
            (
                {"shrinking": "linaer"},
                "shrinking: expected one of any, nearest, linear, area",
            ),
            ({"least_px": 0}, "least_px: expected a whole number"),
            ({"most_px": 20.5}, "most_px: expected a whole number"),
            ({"shrinking": "sharp"}, "shrinking: expected one of any, nearest, .*got 'sharp'"),
            (
                {"enlarging": "area"},
                "enlarging: expected one of any, linear, cubic, lanczos, got",
            ),
            ({"least_px": 65}, "least_px not above most_px, got 65 and 64"),
            ({"jpeg_least": 96}, "jpeg_least not above jpeg_most"),
            ({"jpeg_most": 101}, "jpeg_most: expected"),
            ({"erasing_least": 0.5}, "erasing_least not above"),
            ({"erasing_most": 1.0}, "erasing_most: expected"),
            ({"blur_most_px": 0}, "blur_most_px: expected"),
        ],
    )
    def test_bad_values(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(OptionError, match=message):
            Augment(**values)

    def test_bad_images(self, face: Image) -> None:
        for bad in (face.astype(float), face[..., 0], face[:0]):
            with pytest.raises(OptionError, match="expected RGB, uint8"):
                augment(bad, STRONG, 0)

    def test_everything_on_any_size(self) -> None:
        names = "flip gray blur low_resolution jpeg erasing brightness contrast saturation"
        often = dict.fromkeys(names.split(), 1.0)
        options = Augment(**often, blur_most_px=5, least_px=1, most_px=3, jpeg_least=1)  # type: ignore[arg-type]
        for size_hw in ((1, 1), (1, 9), (7, 5), (224, 160)):
            image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
            changed = augment(image, options, 4)
            assert changed.shape == image.shape
            assert changed.flags.c_contiguous


class _Two:
    people = ("a", "b")
    labels = np.array([0, 1])

    def __init__(self, face: Image) -> None:
        self.face = face

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> Image:
        if index > 1:
            raise DataError("no such photo")
        return self.face if index else self.face[::2, ::2]


def test_the_sheet_shows_plain_pictures_first(face: Image, tmp_path: Any) -> None:
    sheet = augmented_sheet(_Two(face), STRONG, people=5, versions=3)
    assert sheet.shape == (2 * 116 + 4, 4 * 116 + 4, 3)
    assert np.array_equal(sheet[120:232, 4:116], face)
    wanted = augment(face, STRONG, (0, 2, 1))
    assert np.array_equal(sheet[120:232, 4 + 3 * 116 : 4 + 3 * 116 + 112], wanted)
    save_png(sheet, tmp_path / "sheet.png")
    with PILImage.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (4 * 116 + 4, 2 * 116 + 4)
    with pytest.raises(OptionError, match="versions"):
        augmented_sheet(_Two(face), STRONG, versions=0)

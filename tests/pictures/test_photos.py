"""Pictures: what is marked and where, what stays as it was, sizes, and files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament.errors import OptionError
from lineament.pictures.fonts import font_for
from lineament.pictures.photos import (
    BLUE,
    ORANGE,
    PANEL_PX,
    VERMILLION,
    _wrapped,
    annotate,
    contact_sheet,
    save_png,
    verdict_picture,
)
from lineament.types import Contract, Decision, Face, Image, Threshold

CONTRACT = Contract("sface", "0" * 64, "arcface-112", "rgb", False, 128)


def plain(width: int, height: int) -> Image:
    return np.full((height, width, 3), 128, np.uint8)


def face(left: float, top: float, side: float, *, landmarks: bool = True) -> Face:
    shares = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    points = shares * side + [left, top] if landmarks else None
    return Face(np.array([left, top, left + side, top + side]), 0.9, points)


def is_color(picture: Image, color: tuple[int, int, int]) -> np.ndarray:
    return (picture == np.array(color, np.uint8)).all(axis=2)


def decision(same: bool, **changes: object) -> Decision:
    return replace(
        Decision(
            same=same,
            score=0.5 if same else 0.1,
            metric="cosine",
            similarity=0.5 if same else 0.1,
            threshold=Threshold(0.3, "cosine", 1e-4, "LFW View 1", 1234567),
            margin=0.2 if same else -0.2,
            source_a="a.jpg",
            source_b="b.jpg",
            face_a=face(100, 80, 90),
            face_b=face(30, 20, 40),
            others_a=0,
            others_b=0,
            norm_a=1.0,
            norm_b=1.0,
            contract=CONTRACT,
        ),
        **changes,
    )


class TestAnnotate:
    def test_without_faces_the_photo_is_unchanged(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
        assert np.array_equal(annotate(image, []), image)

    def test_the_argument_is_not_drawn_on(self) -> None:
        image = plain(500, 400)
        annotate(image, [face(100, 100, 80)], labels=["x"])
        assert (image == 128).all()

    def test_the_box_surrounds_the_face_and_leaves_it_visible(self) -> None:
        picture = annotate(plain(500, 400), [face(100, 120, 80, landmarks=False)])
        rows, columns = np.nonzero(is_color(picture, ORANGE))
        assert abs(columns.min() - 100) <= 3
        assert abs(columns.max() - 180) <= 3
        assert abs(rows.min() - 120) <= 3
        assert abs(rows.max() - 200) <= 3
        assert (picture[125:195, 105:175] == 128).all()

    def test_landmarks_are_marked_where_they_are(self) -> None:
        one = face(100, 120, 100)
        picture = annotate(plain(500, 400), [one])
        assert one.landmarks_xy is not None
        marked = [
            tuple(picture[round(float(y)), round(float(x))].tolist()) for x, y in one.landmarks_xy
        ]
        assert marked == [(86, 180, 233)] * 5

    @pytest.mark.parametrize(
        ("left", "top"), [(100, 100), (0, 0), (419, 0), (0, 319), (419, 319), (200, 2)]
    )
    def test_labels_are_drawn_but_never_over_the_face(self, left: int, top: int) -> None:
        faces = [face(left, top, 80, landmarks=False)]
        without = annotate(plain(500, 400), faces)
        picture = annotate(plain(500, 400), faces, labels=["1  0.93"])
        assert picture.shape == without.shape
        changed = (picture != without).any(axis=2)
        assert changed.sum() > 200
        assert not changed[top : top + 81, left : left + 81].any()

    def test_a_face_that_fills_the_frame_gets_its_label_beneath(self) -> None:
        image = plain(400, 400)
        faces = [face(1, 1, 397, landmarks=False)]
        picture = annotate(image, faces, labels=["somebody"])
        assert picture.shape[1] == 400
        assert picture.shape[0] > 410
        assert np.array_equal(picture[:400], annotate(image, faces))

    def test_labels_of_neighbors_do_not_overlap(self) -> None:
        faces = [face(100 + 40 * i, 150, 36, landmarks=False) for i in range(6)]
        both = annotate(plain(500, 400), faces, labels=["00000"] * 6)
        ink = sum(
            int((annotate(plain(500, 400), faces, labels=labels) != 128).any(axis=2).sum())
            for labels in [["00000" if i == k else " " for i in range(6)] for k in range(6)]
        )
        alone = int((annotate(plain(500, 400), faces) != 128).any(axis=2).sum())
        together = int((both != 128).any(axis=2).sum())
        assert alone < together <= ink

    @pytest.mark.parametrize("size", [(60, 54), (1, 1), (319, 10)])
    def test_a_tiny_photo_is_enlarged_by_a_whole_number(self, size: tuple[int, int]) -> None:
        picture = annotate(plain(*size), [])
        times = picture.shape[1] // size[0]
        assert picture.shape == (size[1] * times, size[0] * times, 3)
        assert max(picture.shape) >= 320

    def test_lines_grow_with_the_photo(self) -> None:
        def thickness(side: int) -> int:
            picture = annotate(plain(side, side), [face(side / 4, side / 4, side / 2)])
            return int(is_color(picture, ORANGE)[side // 2 + side // 32, : side // 2].sum())

        assert thickness(400) < thickness(1600) < thickness(4000)

    def test_a_box_past_the_edge_is_fine(self) -> None:
        picture = annotate(plain(400, 400), [face(-50, -60, 200)], labels=["x"])
        assert is_color(picture, ORANGE).any()

    def test_refusals(self) -> None:
        with pytest.raises(OptionError, match=r"expected one for each of 1 faces, got 2"):
            annotate(plain(9, 9), [face(0, 0, 5)], labels=["a", "b"])
        with pytest.raises(OptionError, match="RGB, uint8"):
            annotate(np.zeros((9, 9), np.uint8), [])
        with pytest.raises(OptionError, match="float64"):
            annotate(np.zeros((9, 9, 3)), [])  # type: ignore[arg-type]


class TestVerdictPicture:
    @pytest.mark.parametrize(("same", "color"), [(True, BLUE), (False, VERMILLION)])
    def test_the_band_says_which(self, same: bool, color: tuple[int, int, int]) -> None:
        crop = plain(112, 112)
        picture = verdict_picture(plain(400, 300), plain(200, 100), decision(same), crop, crop)
        band = is_color(picture, color)
        assert band[-5].all()
        assert not band[: PANEL_PX + 100].all(axis=1).any()
        assert band[-120:].mean() > 0.5

    def test_the_crops_and_the_chosen_faces_are_in_it(self) -> None:
        red, green = plain(112, 112), plain(112, 112)
        red[:], green[:] = (255, 0, 0), (0, 255, 0)
        picture = verdict_picture(plain(400, 300), plain(200, 100), decision(True), red, green)
        left, right = is_color(picture, (255, 0, 0)), is_color(picture, (0, 255, 0))
        assert left.sum() == right.sum() > 100**2
        assert np.nonzero(left)[1].max() < np.nonzero(right)[1].min()
        assert np.nonzero(left)[0].min() == np.nonzero(right)[0].min()
        orange = np.nonzero(is_color(picture[:PANEL_PX], ORANGE))[1]
        middle = picture.shape[1] // 2
        assert (orange < middle).any()
        assert (orange > middle).any()

    def test_other_faces_are_thin_and_of_another_color(self) -> None:
        crop, what = plain(112, 112), decision(True)
        assert what.face_a is not None
        faces = [what.face_a, face(250, 100, 90)]
        alone = verdict_picture(plain(400, 300), plain(200, 100), what, crop, crop)
        more = verdict_picture(plain(400, 300), plain(200, 100), what, crop, crop, faces_a=faces)
        changed = (alone != more).any(axis=2)
        scale = PANEL_PX / 300
        assert changed[:, 16 + int(240 * scale) : 16 + int(350 * scale)].sum() > 300
        assert is_color(more, ORANGE).sum() == is_color(alone, ORANGE).sum()

    @pytest.mark.parametrize(
        ("a", "b"),
        [((4000, 100), (100, 4000)), ((1, 1), (3000, 2000)), ((64, 64), (640, 480))],
    )
    def test_any_sizes(self, a: tuple[int, int], b: tuple[int, int]) -> None:
        crop = plain(112, 112)
        bare = decision(False, face_a=None, face_b=None)
        picture = verdict_picture(plain(*a), plain(*b), bare, crop, crop)
        height, width, _ = picture.shape
        assert 500 <= width <= 2000
        assert PANEL_PX + 168 <= height <= 1100

    def test_a_panorama_shows_the_part_around_the_face(self) -> None:
        image = plain(3000, 300)
        image[:, 2700:] = (10, 200, 10)
        crop = plain(112, 112)
        picture = verdict_picture(
            image, plain(300, 300), decision(True, face_a=face(2800, 100, 90)), crop, crop
        )
        assert is_color(picture, (10, 200, 10)).sum() > 50_000

    def test_long_names_in_any_script(self) -> None:
        crop = plain(112, 112)
        name = "/a/" + "very long name " * 60 + "漢字.jpg"
        long = decision(True, source_a=name, source_b="x" * 900)
        picture = verdict_picture(plain(300, 300), plain(300, 300), long, crop, crop)
        short = verdict_picture(plain(300, 300), plain(300, 300), decision(True), crop, crop)
        assert picture.shape[1] == short.shape[1]
        assert 0 < picture.shape[0] - short.shape[0] < 40


def test_wrapping_keeps_all_words_or_both_ends() -> None:
    text = "one two three four five six seven eight nine ten"
    lines = _wrapped(text, 15, 90, most=20)
    assert " ".join(lines) == text
    widths = [font_for("", 15).getlength(line) for line in lines]
    assert len(widths) > 3
    assert max(widths) <= 90
    two = _wrapped(text, 15, 90, most=2)
    assert len(two) == 2
    assert two[0].startswith("one")
    assert two[1].endswith("ten")
    assert "…" in "".join(two)
    assert _wrapped("", 15, 90, most=2) == []


class TestContactSheet:
    def test_crops_stand_in_reading_order(self) -> None:
        crops = np.stack([np.full((10, 12, 3), i * 20, np.uint8) for i in range(5)])
        sheet = contact_sheet(crops, 3)
        assert sheet.shape == (4 + 2 * 14, 4 + 3 * 16, 3)
        for i in range(5):
            top, left = 4 + i // 3 * 14, 4 + i % 3 * 16
            assert (sheet[top : top + 10, left : left + 12] == i * 20).all()
        assert (sheet[18:, 36:] > 240).all()

    def test_refusals(self) -> None:
        with pytest.raises(OptionError, match="crops"):
            contact_sheet(np.zeros((0, 8, 8, 3), np.uint8), 2)
        with pytest.raises(OptionError, match="columns: expected 1 or more, got 0"):
            contact_sheet(np.zeros((1, 8, 8, 3), np.uint8), 0)


class TestSavePng:
    def test_round_trip_replaces_and_leaves_nothing_else(self, tmp_path: Path) -> None:
        image = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
        path = tmp_path / "a.png"
        path.write_text("old")
        save_png(image, path)
        with PILImage.open(path) as file:
            assert np.array_equal(np.asarray(file), image)
        assert list(tmp_path.iterdir()) == [path]

    def test_errors_say_what_is_wrong(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="there is no folder"):
            save_png(plain(3, 3), tmp_path / "no" / "a.png")
        with pytest.raises(OptionError, match="it is a folder"):
            save_png(plain(3, 3), tmp_path)
        with pytest.raises(OptionError, match="cannot be written"):
            save_png(plain(3, 3), tmp_path / "a\0.png")
        assert list(tmp_path.iterdir()) == []

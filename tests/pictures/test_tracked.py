"""People marked in a frame: what is said, in which color, and that nothing is covered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import make_face
from lineament.gallery import Candidate
from lineament.pictures.photos import ORANGE, PAPER, SKY, VERMILLION
from lineament.pictures.tracked import color_of, jpeg_of, label_of, tracked_picture
from lineament.types import Liveness
from lineament.video.tracks import Track
from lineament.video.watching import WatchedFrame

NAMED = Track(
    3,
    np.array([200, 150, 280, 250], np.float32),
    seen=True,
    face=make_face(),
    name="Ada Lovelace",
    status="named",
    probability=0.9987,
)
UNKNOWN = Track(4, np.array([400, 150, 480, 250], np.float32), seen=True, status="unknown")
NEW = Track(-1, np.array([500, 300, 540, 350], np.float32), seen=True)


def frame(*tracks: Track, gray: int = 128, size_wh: tuple[int, int] = (640, 480)) -> WatchedFrame:
    pixels = np.full((size_wh[1], size_wh[0], 3), gray, np.uint8)
    return WatchedFrame(0, 0.0, tracks, (), True, pixels)


@pytest.mark.parametrize(
    ("track", "words", "color"),
    [
        (NAMED, "Ada Lovelace  99.9 %  #3", SKY),
        (replace(NAMED, probability=None), "Ada Lovelace  #3", SKY),
        (replace(NAMED, name="x" * 50), f"{'x' * 31}…  99.9 %  #3", SKY),
        (UNKNOWN, "person 4", ORANGE),
        (
            replace(NAMED, liveness=Liveness("attack", None, "passive", {}, ("it is a screen",))),
            "not live  #3",
            VERMILLION,
        ),
        (NEW, "", PAPER),
    ],
)
def test_what_is_said_of_a_face(track: Track, words: str, color: tuple[int, int, int]) -> None:
    assert label_of(track) == words
    assert color_of(track) == color


def test_with_a_gallery_somebody_is_unknown() -> None:
    candidate = object.__new__(Candidate)
    assert label_of(replace(UNKNOWN, candidates=(candidate,))) == "unknown  #4"


@pytest.mark.parametrize("gray", [0, 255])
def test_marks_show_on_light_and_dark(gray: int) -> None:
    picture = tracked_picture(frame(NAMED, UNKNOWN, NEW, gray=gray))
    for track in (NAMED, UNKNOWN, NEW):
        left, top, right, _ = track.box_xyxy.astype(int)
        edge = picture[top - 4 : top + 5, (left + right) // 2].astype(int)
        assert edge.max() - edge.min() > 100
    inside = picture[180:220, 220:260]
    assert (inside == gray).all()  # the face itself is not touched


def test_the_frame_keeps_its_size_and_pixels() -> None:
    given = frame(NAMED)
    before = given.pixels.copy()
    for size_wh in ((640, 480), (160, 120), (24, 16)):
        assert tracked_picture(frame(NAMED, size_wh=size_wh)).shape == (size_wh[1], size_wh[0], 3)
    tracked_picture(given)
    assert np.array_equal(given.pixels, before)
    assert np.array_equal(tracked_picture(frame()), before)


def test_boxes_that_reach_out_of_the_frame_are_drawn() -> None:
    beyond = replace(NAMED, box_xyxy=np.array([-50, -20, 700, 600], np.float32))
    outside = replace(NAMED, box_xyxy=np.array([-90, -90, -20, -20], np.float32))
    assert tracked_picture(frame(beyond, outside)).shape == (480, 640, 3)


def test_of_a_face_that_is_hidden_only_the_corners_are_drawn() -> None:
    seen = tracked_picture(frame(NAMED))
    hidden = tracked_picture(frame(replace(NAMED, seen=False)))
    assert (seen[200, 195:206] != 128).any()
    assert (hidden[200, 195:206] == 128).all()
    assert (hidden[155, 195:206] != 128).any()


def test_a_hundred_faces_have_room() -> None:
    rows = [(64 * (k % 10) + 8, 48 * (k // 10) + 8) for k in range(100)]
    tracks = [
        replace(NAMED, id=k + 1, box_xyxy=np.array([x, y, x + 30, y + 30], np.float32))
        for k, (x, y) in enumerate(rows)
    ]
    picture = tracked_picture(frame(*tracks))
    for x, y in rows:
        assert (picture[y + 8 : y + 22, x + 8 : x + 22] == 128).all()  # no label on a face


def test_a_jpeg_has_the_colors() -> None:
    import cv2

    picture = np.zeros((16, 16, 3), np.uint8)
    picture[..., 0] = 255
    back = cv2.imdecode(np.frombuffer(jpeg_of(picture), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert back[8, 8, 2] > 240
    assert back[8, 8, 0] < 20

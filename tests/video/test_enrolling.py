"""People enrolled from films: the best looks, that differ, at the one who is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from builders import make_contract, make_face
from lineament.errors import NoFaceError, OptionError
from lineament.gallery import NewSample
from lineament.types import Embedding, Quality
from lineament.video.enrolling import _Looks, _whose, different, worth

CONTRACT = make_contract()


def sample(recognizability: float, turned: float = 0.0, seed: int = 0) -> NewSample:
    """A look at one person; ``turned``: how far the nose is from the middle, pixels."""
    vector = np.zeros(CONTRACT.dimension, np.float32)
    vector[0], vector[1] = 1.0, 0.1 * seed
    vector /= np.linalg.norm(vector)
    face = make_face()
    assert face.landmarks_xy is not None
    points = face.landmarks_xy.copy()
    points[2, 0] += turned
    face = replace(face, landmarks_xy=points)
    quality = object.__new__(Quality)
    object.__setattr__(quality, "recognizability", recognizability)
    return NewSample(Embedding(vector, 1.0, CONTRACT), f"film#t={turned}", None, face, quality)


def test_the_best_look_comes_first_and_others_differ() -> None:
    frontal, better, left, right = sample(0.8), sample(0.9), sample(0.7, -6), sample(0.6, 6)
    assert left.face is not None
    assert left.face.pose is not None
    chosen = different([right, frontal, left, better], 5)
    assert [worth(one) for one in chosen] == [0.9, 0.7, 0.6]  # the frontal ones are alike
    assert different([right, frontal, left, better], 2) == chosen[:2]


def test_looks_that_are_unlike_differ_at_one_pose() -> None:
    chosen = different([sample(0.9), sample(0.8, seed=1), sample(0.7, seed=9)], 5)
    assert [worth(one) for one in chosen] == [0.9, 0.7]


def looks(from_s: float, to_s: float) -> _Looks:
    return _Looks(from_s, to_s, n_frames=round(25 * (to_s - from_s)))


def test_of_several_people_it_must_be_said_who_is_meant() -> None:
    seen = {1: looks(0, 10), 2: looks(5, 8)}
    words = r"2 people are in it: 1 \(0\.0 to 10\.0 s\), 2 \(5\.0 to 8\.0 s\).*shots"
    with pytest.raises(OptionError, match=words) as caught:
        _whose(seen, None, "door.mp4")
    assert caught.value.option == "person"
    assert _whose(seen, 2, "door.mp4") is seen[2]
    with pytest.raises(OptionError, match=r"expected one of 1 .* got 3"):
        _whose(seen, 3, "door.mp4")


def test_who_passes_by_is_no_reason_to_ask() -> None:
    seen = {1: looks(0, 10), 2: looks(5, 5.3), 3: looks(7, 7.6)}
    assert _whose(seen, None, "door.mp4") is seen[1]
    with pytest.raises(NoFaceError, match="nobody is in it"):
        _whose({}, None, "door.mp4")


def test_a_live_source_is_refused() -> None:
    from lineament.pipeline import Recognizer
    from lineament.video import SourceInfo, SourceNote, VideoFrame
    from lineament.video.enrolling import best_views

    class Camera:
        info = SourceInfo("camera 0", True, (64, 48), 30, None, None, False)
        notes: tuple[SourceNote, ...] = ()

        def __iter__(self) -> Iterator[VideoFrame]:
            raise AssertionError

        def close(self) -> None:
            pass

        def __enter__(self) -> Camera:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    recognizer = Recognizer()
    with pytest.raises(OptionError, match="record it first"):
        best_views(Camera(), recognizer)
    with pytest.raises(OptionError, match="most: expected 1 or more"):
        best_views([], recognizer, most=0)

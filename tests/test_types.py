"""The values refuse what makes no sense, and say what they are."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from builders import LANDMARKS_XY, make_contract, make_embedding, make_face
from lineament.decide.comparison import compare
from lineament.decide.thresholds import own_threshold
from lineament.errors import ContractError, ImageNotFoundError, OptionError
from lineament.types import Contract, Embedding, Face, Photo, Threshold, flip_of


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"box_xyxy": [1, 2, 3]}, r"box_xyxy: expected shape \(4,\), got \(3,\)"),
        ({"box_xyxy": [[1, 2, 3, 4]]}, r"box_xyxy: expected shape \(4,\), got \(1, 4\)"),
        ({"box_xyxy": [5, 2, 5, 4]}, "expected left < right and top < bottom, got .5.0, 2.0"),
        ({"box_xyxy": [5, 4, 6, 3]}, "left < right and top < bottom"),
        ({"box_xyxy": [1, 2, np.nan, 4]}, "finite numbers, got .1.0, 2.0, nan"),
        ({"box_xyxy": [1, 2, 1e300, 4]}, "finite numbers, got .1.0, 2.0, inf"),
        ({"landmarks_xy": LANDMARKS_XY[:4]}, r"landmarks_xy: expected shape \(5, 2\), got \(4, 2"),
        ({"landmarks_xy": LANDMARKS_XY * np.inf}, "landmarks_xy: expected finite"),
        ({"score": 1.01}, "score: expected 0 to 1, got 1.01"),
        ({"score": -0.01}, "score: expected 0 to 1"),
        ({"score": float("nan")}, "score: expected 0 to 1, got nan"),
        ({"turned_deg": 360}, "turned_deg: expected whole degrees from 0 to 359, got 360"),
        ({"turned_deg": -90}, "turned_deg: expected whole degrees from 0 to 359, got -90"),
    ],
)
def test_face_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Face(**{"box_xyxy": [1, 2, 3, 4], "score": 0.5} | changes)


def test_face_takes_the_ends_of_its_ranges() -> None:
    assert Face([0, 0, 1, 1], 0).score == 0
    assert Face([-5, -5, 1e6, 1], 1, None, 270).turned_deg == 270


def test_face_keeps_its_own_read_only_arrays() -> None:
    box, points = np.array([1.0, 2, 4, 8]), LANDMARKS_XY.copy()
    face = Face(box, 0.5, points)
    box[:], points[:] = 0, 0
    assert face.box_xyxy.tolist() == [1, 2, 4, 8]
    assert face.box_xyxy.dtype == np.float32
    np.testing.assert_array_equal(face.landmarks_xy, LANDMARKS_XY)
    with pytest.raises(ValueError, match="read-only"):
        face.box_xyxy[0] = 3
    assert face.landmarks_xy is not None
    with pytest.raises(ValueError, match="read-only"):
        face.landmarks_xy[0] = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        face.score = 1.0  # type: ignore[misc]


def test_face_measures_and_writes_itself() -> None:
    face = Face([1.234, 2, 4.5, 8], np.float32(0.123456), LANDMARKS_XY, 90)
    assert face.size_wh == (pytest.approx(3.266, abs=1e-5), 6.0)
    assert face.center_xy == (pytest.approx(2.867, abs=1e-5), 5.0)
    written = json.loads(json.dumps(face.to_dict()))
    assert face.pose is not None
    assert written.pop("pitch_deg") == pytest.approx(face.pose.pitch_deg, abs=0.01)
    assert abs(written.pop("yaw_deg")) < 0.01
    assert written == {
        "box_xyxy": [1.23, 2.0, 4.5, 8.0],
        "score": 0.1235,
        "landmarks_xy": [[40, 40], [60, 40], [50, 52], [42, 62], [58, 62]],
        "turned_deg": 90,
        "roll_deg": 0.0,
    }
    blind = Face([1, 2, 3, 4], 0.5).to_dict()
    assert [blind[key] for key in ("landmarks_xy", "yaw_deg", "pitch_deg")] == [None] * 3


@pytest.mark.parametrize(
    ("landmarks", "turned_deg", "roll_deg"),
    [
        (None, 0, 0),
        (None, 90, 90),
        (None, 180, 180),
        (None, 270, -90),
        (np.ones((5, 2)), 270, -90),
        (LANDMARKS_XY, 270, 0),
        (LANDMARKS_XY @ [[0, 1], [-1, 0]], 0, 90),  # down becomes left: the top is at the right
        (-LANDMARKS_XY, 0, 180),
        (LANDMARKS_XY @ [[0, -1], [1, 0]], 0, -90),
    ],
)
def test_the_roll_is_that_of_the_landmarks_else_of_the_turned_photo(
    landmarks: Any, turned_deg: int, roll_deg: float
) -> None:
    face = Face([1, 2, 3, 4], 0.5, landmarks, turned_deg)
    assert face.roll_deg == pytest.approx(roll_deg, abs=1e-4)
    for written in (face.to_dict(), face.to_rows()[0]):
        assert written["roll_deg"] == roll_deg
        assert str(written["roll_deg"]) != "-0.0"


def test_contracts_that_differ_are_named() -> None:
    mine = make_contract()
    mine.check(make_contract(weights="the same file by another name"))
    theirs = make_contract(weights="other", alignment="eyes-112", flip=True, dimension=8)
    with pytest.raises(ContractError) as caught:
        mine.check(theirs)
    message = str(caught.value)
    assert "got net and other" in message
    assert "alignment arcface-112 and eyes-112" in message
    assert "flip False and True" in message
    assert "dimension 4 and 8" in message
    assert "color_order" not in message
    assert "embed both photos again" in message


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "cd" * 32},
        {"alignment": "crop-112"},
        {"color_order": "bgr"},
        {"flip": True},
        {"dimension": 5},
    ],
)
def test_every_part_of_a_contract_counts(change: dict[str, Any]) -> None:
    mine, theirs = make_contract(), make_contract(**change)
    assert mine != theirs
    assert mine.id != theirs.id
    with pytest.raises(ContractError, match=next(iter(change))):
        mine.check(theirs)


def test_contract_id_can_name_a_file() -> None:
    contract = Contract("sface", "0123456789abcdef" * 4, "arcface-112", "rgb", True, 128)
    assert contract.id == "sface-0123456789ab-arcface-112-rgb-flip-128"
    assert dataclasses.replace(contract, flip=False).id.endswith("-plain-128")


@pytest.mark.parametrize(
    ("vector", "norm", "message"),
    [
        ([1, 0, 0], 1, r"vector: expected shape \(4,\), got \(3,\)"),
        ([2, 0, 0, 0], 1, "expected length 1, got 2.0000"),
        ([0, 0, 0, 0], 1, "expected length 1, got 0.0000"),
        ([np.nan, 0, 0, 0], 1, "finite"),
        ([1, 0, 0, 0], 0, "norm: expected a finite number above 0, got 0"),
        ([1, 0, 0, 0], np.nan, "norm: expected a finite"),
    ],
)
def test_embedding_refuses(vector: list[float], norm: float, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Embedding(np.array(vector), norm, make_contract())


def photo(*boxes: tuple[float, ...], size_wh: tuple[int, int] | None = (100, 50)) -> Photo:
    return Photo("p.jpg", size_wh, tuple(make_face(box) for box in boxes))


def test_largest_face() -> None:
    assert photo().largest() is None
    # 20 by 20 beats 39 by 10: by area, not by the longer side; the first of equals is taken
    assert photo((0, 0, 39, 10), (0, 0, 20, 20), (30, 30, 50, 50)).largest() == 1


def test_most_central_face_is_measured_in_its_own_widths() -> None:
    assert photo().most_central() is None
    assert photo((0, 0, 5, 5), size_wh=None).most_central() is None
    # The center is (49.5, 24.5). The small face's is 10 pixels away, two of its widths; the large
    # one's 20 pixels, half of its width.
    small, large = (57, 22, 62, 27), (9.5, 4.5, 49.5, 44.5)
    assert photo(small, large).most_central() == 1
    assert photo(large, (47, 22, 52, 27)).most_central() == 1
    assert photo((0, 0, 5, 5), (95, 45, 99, 49), (44, 20, 55, 29)).most_central() == 2


def test_analysis_writes_itself() -> None:
    written = photo((1, 2, 3, 4)).to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written["size_wh"] == [100, 50]
    assert [face["box_xyxy"] for face in written["faces"]] == [[1, 2, 3, 4]]
    assert written["error"] is None
    failed = Photo("x", None, error=ImageNotFoundError("x: there is no such file")).to_dict()
    assert failed == {
        "source": "x",
        "size_wh": None,
        "faces": [],
        "error": "x: there is no such file",
    }


def test_threshold_in_words() -> None:
    fitted = Threshold(0.3214, "cosine", 1e-4, "LFW View 1", 1_234_567)
    assert str(fitted) == (
        "0.321 (false match rate 0.0001 on LFW View 1, 1,234,567 impostor pairs)"
    )
    assert str(own_threshold(0.0, "cosine")) == "0.000 (set by hand)"


def test_decision_in_words_and_as_json() -> None:
    a, b = make_embedding([1, 0, 0, 0], 7.5), make_embedding([0.6, 0.8, 0, 0], 9)
    decision = compare(
        a,
        b,
        own_threshold(0.5, "cosine"),
        sources=("a.jpg", "b.jpg"),
        faces=(make_face(), None),
        others=(1, 2),
    )
    assert str(decision) == (
        "the same person: cosine 0.600 is 0.100 past the threshold 0.500 (set by hand)\n"
        "a.jpg has 1 other face; one was compared\n"
        "b.jpg has 2 other faces; one was compared"
    )
    written = json.loads(json.dumps(decision.to_dict()))
    assert written["same"] is True
    assert written["score"] == pytest.approx(0.6, abs=1e-6)
    assert written["margin"] == pytest.approx(0.1, abs=1e-6)
    assert written["threshold"] == {
        "value": 0.5,
        "metric": "cosine",
        "fmr": None,
        "data": "set by hand",
        "n_impostor_pairs": None,
        "low": None,
        "high": None,
    }
    assert written["a"] == {
        "source": "a.jpg",
        "face": make_face().to_dict(),
        "n_other_faces": 1,
        "embedding_norm": 7.5,
        "quality": None,
    }
    assert written["b"]["face"] is None
    assert written["contract"] == dataclasses.asdict(a.contract)
    assert written["explanation"] == str(decision)


def test_a_refusal_in_words() -> None:
    a, b = make_embedding([1, 0, 0, 0]), make_embedding([0, 1, 0, 0])
    words = str(compare(a, b, own_threshold(1.0, "euclidean_l2")))
    assert words == (
        "different people: euclidean_l2 1.414 is 0.414 short of the threshold 1.000 (set by hand)"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("none", False), ("mean", True), (False, False), (True, True), ("concatenate", "concatenate")],
)
def test_flip_by_name_and_as_old_files_have_it(option: Any, value: Any) -> None:
    assert flip_of(option) == value
    assert Contract("a", "ab" * 32, "arcface-112", "rgb", option, 4).flip == value


@pytest.mark.parametrize("option", ["both", None, 2, ""])
def test_flips_that_are_none(option: Any) -> None:
    with pytest.raises(OptionError, match="flip: expected none, mean or concatenate"):
        Contract("a", "ab" * 32, "arcface-112", "rgb", option, 4)

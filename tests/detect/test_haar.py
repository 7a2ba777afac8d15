"""Cascades of Haar-like features: OpenCV 4's boxes, and files that are none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from lineament import models
from lineament.detect import DetectOptions, load_detector, recognize_detector
from lineament.detect.cascade_file import packed, read_cascade
from lineament.detect.haar import Haar, grouped
from lineament.errors import WeightsError
from lineament.files import DATA
from lineament.models import catalog
from lineament.types import Image

GOLDEN: dict[str, list[list[int]]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "haar.json").read_text("utf-8")
)
CARD = models.get("haar")
OWN = (DATA / "models" / "haar" / "cascade.npz").read_bytes()
SAMPLE = Path(os.environ.get("LINEAMENT_DATA", Path(__file__).parents[3] / "shared"))
NEIGHBORS = 3  # of scripts/golden/haar.py


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_registered", {})


def by_opencv(name: str) -> Path:
    """Where a photo of the golden file lies."""
    own = DATA / "demo" / name
    path = own if own.is_file() else SAMPLE / "wider_sample" / "images" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


def check(name: str) -> None:
    image = np.asarray(PILImage.open(by_opencv(name)).convert("RGB"))
    boxes, counts = Haar(OWN, CARD).boxes(image, 24, NEIGHBORS)
    found = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], counts]).astype(int)
    assert sorted(found.tolist()) == GOLDEN[name]


def test_the_boxes_are_those_of_opencv_4() -> None:
    assert len(GOLDEN) == 15
    check("astronaut.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in GOLDEN if name != "astronaut.jpg"])
def test_the_boxes_of_more_photos_are_those_of_opencv_4(name: str) -> None:
    check(name)


@pytest.mark.slow
def test_scores_count_windows(astronaut: Image) -> None:
    (face,) = load_detector("haar", turning=False).detect(astronaut, DetectOptions(min_face_px=60))
    assert face.score == pytest.approx(39 / 49)
    np.testing.assert_allclose(face.box_xyxy, [176.5, 65.5, 271.5, 160.5])
    few = load_detector("haar", turning=False).detect(
        astronaut, DetectOptions(min_face_px=60, min_score=0.8)
    )
    assert few == []


# --- a small cascade, against a plain reading of the papers ---------------------------------------

RECTANGLES = ("0 0 6 8 -1.", "0 0 3 8 2.", "0 0 6 4 2.", "2 2 2 4 6.")


def small_xml(tilted: int = 0, kind: str = "HAAR", child: str = "-1") -> bytes:
    """Two stages of a 6x8 window; the second has a tree of two nodes."""

    def rects(*numbers: int) -> str:
        inside = "".join(f"<_>{RECTANGLES[i]}</_>" for i in numbers)
        return f"<_><rects>{inside}</rects><tilted>{tilted}</tilted></_>"

    return f"""<?xml version="1.0"?>
    <opencv_storage><cascade type_id="opencv-cascade-classifier"><stageType>BOOST</stageType>
    <featureType>{kind}</featureType><height>8</height><width>6</width><stages>
    <_><stageThreshold>0.5</stageThreshold><weakClassifiers>
    <_><internalNodes>0 -1 0 -0.05</internalNodes><leafValues>0. 1.</leafValues></_>
    </weakClassifiers></_>
    <_><stageThreshold>0.3</stageThreshold><weakClassifiers>
    <_><internalNodes>1 {child} 1 0.1 -2 -3 2 0.2</internalNodes>
    <leafValues>0.9 0.2 0.4 0.1</leafValues></_>
    </weakClassifiers></_>
    </stages><features>{rects(0, 1)}{rects(0, 2)}{rects(0, 3)}</features></cascade>
    </opencv_storage>""".encode()


def is_face(window: np.ndarray) -> bool:
    """The two stages in so many words, on one window (8, 6)."""
    gray = window.astype(float)
    inner = gray[1:7, 1:5]
    spread = np.sqrt(max(0.0, inner.size * (inner**2).sum() - inner.sum() ** 2))
    if spread <= 0 or inner.size / spread >= 0.1:
        return False
    first = (2 * gray[:, :3].sum() - gray.sum()) / spread
    if first < -0.05:
        return False
    second = (2 * gray[:4].sum() - gray.sum()) / spread
    third = (6 * gray[2:6, 2:4].sum() - gray.sum()) / spread
    answer = 0.2 if second >= 0.1 else 0.4 if third < 0.2 else 0.1
    return answer >= 0.3


def test_a_small_cascade_by_hand() -> None:
    rng = np.random.default_rng(3)
    gray = rng.integers(0, 256, (8, 6), dtype=np.uint8)
    haar = Haar(small_xml(), CARD.replace(folder=Path()))
    hits = 0
    for _ in range(60):  # photos of one window each
        gray = rng.integers(0, 256, (8, 6), dtype=np.uint8)
        boxes, _ = haar.boxes(np.repeat(gray[..., None], 3, axis=2), 6)
        assert bool(len(boxes)) == is_face(gray)
        hits += len(boxes)
    assert 5 < hits < 55


def test_groups_by_hand() -> None:
    windows = np.array([[0, 0, 40, 40], [2, 1, 42, 40], [4, 2, 42, 42], [200, 0, 40, 40]])
    boxes, counts = grouped(windows, 1)
    assert boxes.tolist() == [[2, 1, 43, 42]]
    assert counts.tolist() == [3]
    assert [len(each) for each in grouped(windows, 0)] == [2, 2]
    assert [len(each) for each in grouped(np.zeros((0, 4), np.int64), 3)] == [0, 0]


# --- files ----------------------------------------------------------------------------------------


def test_a_file_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "cascade.xml"
    path.write_bytes(small_xml())
    assert recognize_detector(path) == "haar"
    image = np.repeat(np.tile(np.arange(6, dtype=np.uint8) * 40, (8, 1))[..., None], 3, axis=2)
    for name in (f"haar:{path}", f"file:{path}"):
        load_detector(name, turning=False).detect(image, DetectOptions(min_face_px=4))


def test_the_packages_own_is_packed_without_loss() -> None:
    cascade = read_cascade(OWN, "haar", own=True)
    assert len(cascade.stages) == 25
    assert sum(map(len, cascade.stages)) == 2913
    assert packed(cascade) == OWN


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<not closed", "got"),
        (OWN, "got"),
        (b"\x00\xff", "got"),
        (b"<other/>", r"XML of another kind \(<other>\)"),
        (b"<opencv_storage/>", "XML of another kind"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><opencv_storage/>', "definitions of its own"),
        (
            b'<opencv_storage><c type_id="opencv-haar-classifier"/></opencv_storage>',
            "the format of OpenCV 1",
        ),
        (small_xml(kind="LBP"), "features of the type LBP"),
        (small_xml(tilted=1), "tilted features"),
        (small_xml(child="-9"), "a branch to nowhere"),
        (small_xml(child="0"), None),
        (small_xml().replace(b"0 0 6 8", b"0 0 9 8"), "outside of its window"),
        (small_xml().replace(b"0.5", b"nan"), "not finite"),
        (small_xml().replace(b"<height>8", b"<height>8000"), "a window of 6x8000"),
        (small_xml().replace(b"<width>6</width>", b""), "without <width>"),
    ],
)
def test_files_that_are_none(data: bytes, message: str | None) -> None:
    if message is None:
        read_cascade(data, "face.xml")
        return
    with pytest.raises(WeightsError, match=f"face.xml: expected a cascade.*{message}") as caught:
        read_cascade(data, "face.xml")
    assert "haarcascade_frontalface_default.xml" in str(caught.value.hint)


def test_damaged_files_are_an_error_and_no_crash() -> None:
    rng = np.random.default_rng(5)
    good = small_xml()
    refused = 0
    for _ in range(150):
        bad = bytearray(good)
        for at in rng.integers(0, len(bad), 3):
            bad[at] = rng.integers(0, 256)
        try:
            cascade = read_cascade(bytes(bad), "face.xml")
        except WeightsError:
            refused += 1
            continue
        assert cascade.stages
    assert refused > 50

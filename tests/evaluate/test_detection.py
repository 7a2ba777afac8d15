"""Average precision: by hand, and against the published rules written out as plain loops."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament.datasets.wider import SUBSETS, AnnotatedImage, read_wider_csv
from lineament.errors import DataError, OptionError
from lineament.evaluate.detection import average_precision, boxes_and_scores
from lineament.types import Face


def image(*faces: tuple[float, float, float, float, int, int, int]) -> AnnotatedImage:
    rows = np.array(faces, float).reshape(-1, 7)
    return AnnotatedImage(
        Path("photo.jpg"),
        np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1),
        {name: rows[:, 4 + k] == 1 for k, name in enumerate(SUBSETS)},
    )


A = (0, 0, 99, 99)
B = (200, 0, 299, 99)
C = (400, 0, 499, 99)
NOWHERE = (600, 300, 699, 399)
THREE = image((0, 0, 99, 99, 1, 1, 1), (200, 0, 99, 99, 0, 1, 1), (400, 0, 99, 99, 0, 0, 1))


def test_by_hand() -> None:
    found = [(*NOWHERE, 0.7), (*A, 0.9), (*C, 0.5), (*A, 0.8), (*B, 0.6), (*NOWHERE, 0.4)]
    result = average_precision([THREE], [found])
    # hard: right, wrong (a second time), wrong, right, right, wrong:
    # precision 1 at recall 1/3; then 2/4, 3/5, so 3/5 at both
    assert result["hard"].exact == pytest.approx(1 / 3 + 2 / 3 * 3 / 5, abs=1e-12)
    # medium: C is removed: right, wrong, wrong, right, wrong
    assert result["medium"].exact == pytest.approx(1 / 2 + 1 / 2 * 2 / 4, abs=1e-12)
    # easy: B and C are removed; A is found first of all
    assert result["easy"].exact == pytest.approx(1.0, abs=1e-12)
    assert [result[s].faces for s in SUBSETS] == [1, 2, 3]
    assert [result[s].detections for s in SUBSETS] == [4, 5, 6]
    assert [result[s].recall for s in SUBSETS] == [1.0, 1.0, 1.0]
    for subset in SUBSETS:  # scores far enough apart for the thousand thresholds
        assert result[subset].ap == pytest.approx(result[subset].exact, abs=1e-12)


def test_a_second_detection_of_a_face_is_wrong() -> None:
    one = image((0, 0, 99, 99, 1, 1, 1), (200, 0, 99, 99, 1, 1, 1))
    twice = average_precision([one], [[(*A, 0.9), (*A, 0.8), (*B, 0.7)]])["easy"]
    assert twice.exact == pytest.approx(1 / 2 + 1 / 2 * 2 / 3, abs=1e-12)
    once = average_precision([one], [[(*A, 0.9), (*B, 0.7)]])["easy"]
    assert once.exact == 1.0


def test_the_thousand_thresholds_miss_what_lies_between_them() -> None:
    # After stretching 1, 0.9995 and 0: the first threshold, 0.999, takes the first two together.
    found = [(*A, 1.0), (*NOWHERE, 0.9995), (*B, 0.0)]
    result = average_precision([image((0, 0, 99, 99, 1, 1, 1), (200, 0, 99, 99, 1, 1, 1))], [found])
    assert result["easy"].exact == pytest.approx(1 / 2 + 1 / 2 * 2 / 3, abs=1e-12)
    assert result["easy"].ap == pytest.approx(2 / 3, abs=1e-12)


def test_corners_are_pixels_inside_the_box() -> None:
    face = image((0, 0, 9, 9, 1, 1, 1))  # 10 by 10 pixels
    half = [(0, 0, 9, 4, 0.5)]  # 10 by 5 of them: an intersection over union of exactly one half
    assert average_precision([face], [half])["easy"].recall == 1.0
    less = [(0, 0, 9, 3.9, 0.5)]
    assert average_precision([face], [less])["easy"].recall == 0.0


def test_photos_without_a_face_are_left_out() -> None:
    base = average_precision([THREE], [[(*A, 0.9)]])["hard"]
    more = average_precision([image(), THREE], [[(*NOWHERE, 0.95), (*B, 0.2)], [(*A, 0.9)]])["hard"]
    assert (more.exact, more.detections) == (base.exact, base.detections) == (1 / 3, 1)


def test_nothing_found() -> None:
    for nothing in ([], np.zeros((0, 5))):
        result = average_precision([THREE], [nothing])["hard"]
        assert (result.ap, result.exact, result.recall, result.detections) == (0, 0, 0, 0)


def test_faces_become_rows() -> None:
    faces = [Face(np.array([1, 2, 3, 4]), 0.5), Face(np.array([5, 6, 8, 9]), 0.25)]
    assert boxes_and_scores(faces).tolist() == [[1, 2, 3, 4, 0.5], [5, 6, 8, 9, 0.25]]
    assert boxes_and_scores([]).shape == (0, 5)


def published(images: Any, detections: Any, subset: str, every_score: bool = False) -> float:
    """The rules one by one, without regard to speed."""
    stretched = [s for rows in detections for *_, s in rows]
    low, high = min(stretched), max(stretched)
    scores = sorted({(s - low) / (high - low) for s in stretched}, reverse=True)
    levels = scores if every_score else [1 - (t + 1) / 1000 for t in range(1000)]
    proposals, hits = np.zeros(len(levels)), np.zeros(len(levels))
    total = 0
    for photo, rows in zip(images, detections, strict=True):
        wanted = photo.subsets[subset]
        total += int(wanted.sum())
        if len(wanted) == 0:
            continue
        for t, level in enumerate(levels):
            hit = set()
            for left, top, right, bottom, score in rows:
                if (score - low) / (high - low) < level:
                    continue
                best, best_iou = -1, 0.0
                for k, (x1, y1, x2, y2) in enumerate(photo.boxes_xyxy):
                    width = min(right, x2) - max(left, x1) + 1
                    height = min(bottom, y2) - max(top, y1) + 1
                    if width <= 0 or height <= 0:
                        continue
                    both = width * height
                    one = (right - left + 1) * (bottom - top + 1)
                    iou = both / (one + (x2 - x1 + 1) * (y2 - y1 + 1) - both)
                    if iou > best_iou:
                        best, best_iou = k, iou
                if best_iou >= 0.5 and not wanted[best]:
                    continue
                proposals[t] += 1
                if best_iou >= 0.5:
                    hit.add(best)
            hits[t] += len(hit)
    area, before = 0.0, 0.0
    for t in range(len(levels)):
        later = [hits[u] / proposals[u] for u in range(t, len(levels)) if proposals[u]]
        if hits[t] / total > before:
            area += (hits[t] / total - before) * max(later)
            before = hits[t] / total
    return area


@pytest.mark.slow
def test_agrees_with_the_published_rules() -> None:
    rng = np.random.default_rng(0)
    images, detections = [], []
    for _ in range(4):
        corner, size = rng.uniform(0, 100, (6, 2)), rng.uniform(15, 40, (6, 2))
        level = rng.integers(0, 4, 6)
        images.append(
            image(*np.column_stack([corner, size, level >= 3, level >= 2, level >= 1]).tolist())
        )
        chosen = rng.integers(0, 6, 14)
        boxes = images[-1].boxes_xyxy[chosen] + rng.normal(0, 4, (14, 4))
        scores = np.round(rng.uniform(0.02, 0.95, 14), 2)  # some are tied
        detections.append(np.column_stack([boxes, scores]).tolist())
    result = average_precision(images, detections)
    for subset in SUBSETS:
        assert result[subset].ap == pytest.approx(published(images, detections, subset), abs=1e-9)
        exact = published(images, detections, subset, every_score=True)
        assert result[subset].exact == pytest.approx(exact, abs=1e-9)
        assert 0.1 < result[subset].ap < 1


@pytest.mark.parametrize(
    ("images", "detections", "message"),
    [
        ([THREE], [], "each of 1 photos, got 0"),
        ([THREE], [[(1, 2, 3, 4)]], r"expected \(D, 5\)"),
        ([THREE], [[(1, 2, 3, 4, float("nan"))]], "finite"),
        ([THREE], [[(5, 2, 3, 4, 0.5)]], "left <= right"),
        ([THREE], [["abcde"]], "expected numbers"),
        ([image((0, 0, 9, 9, 0, 1, 1))], [[]], "subset 'easy'"),
    ],
)
def test_what_makes_no_sense_is_refused(images: Any, detections: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        average_precision(images, detections)


CSV = (
    "file,x,y,w,h,easy,medium,hard\nb.jpg,1,2,3,4,0,1,1\nb.jpg,5,6,7,8,1,1,1\na.jpg,0,0,9,9,0,0,0\n"
)


def folder(root: Path, text: str = CSV) -> Path:
    (root / "images").mkdir()
    for name in ("a.jpg", "b.jpg", "c.jpg", ".hidden.jpg", "notes.txt"):
        (root / "images" / name).write_bytes(b"")
    (root / "annotations.csv").write_text(text, encoding="utf-8")
    return root


def test_reads_the_table(tmp_path: Path) -> None:
    images = read_wider_csv(folder(tmp_path))
    assert [one.path for one in images] == [tmp_path / "images" / f"{n}.jpg" for n in "abc"]
    assert images[1].boxes_xyxy.tolist() == [[1, 2, 4, 6], [5, 6, 12, 14]]
    assert images[1].subsets["easy"].tolist() == [False, True]
    assert images[1].subsets["hard"].tolist() == [True, True]
    assert images[0].subsets["hard"].tolist() == [False]
    assert images[2].boxes_xyxy.shape == (0, 4)


def changed(old: str, new: str) -> Callable[[Path], Any]:
    return lambda root: (root / "annotations.csv").write_text(CSV.replace(old, new), "utf-8")


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (lambda root: (root / "annotations.csv").unlink(), "found no annotations.csv and folder"),
        (lambda root: (root / "images").rename(root / "x"), "csv and no folder images/"),
        (changed("b.jpg,5", "d.jpg,5"), "line 3: .* no 'd.jpg'"),
        (changed("5,6,7,8", "5,6,-7,8"), "line 3: expected w and h"),
        (changed("5,6,7,8", "5,six,7,8"), "line 3: expected pixels in column y, got 'six'"),
        (changed("5,6,7,8", "5,inf,7,8"), "line 3: expected pixels in column y, got 'inf'"),
        (changed("0,1,1", "0,1,2"), "line 2: expected 0 or 1 in column hard, got '2'"),
        (changed(",0,0,0", ",0,0"), "line 4: expected 8 columns, got 7"),
        (changed("easy,", ""), "expected the first line 'file,x,y,w,h,easy"),
        (changed(CSV, ""), "expected the first line"),
        (changed(CSV, CSV.splitlines()[0]), "expected lines of faces"),
        (lambda root: (root / "annotations.csv").write_bytes(b"\xff\xfe"), "UTF-8"),
    ],
)
def test_what_is_malformed_is_named(
    tmp_path: Path, breaks: Callable[[Path], Any], message: str
) -> None:
    root = folder(tmp_path)
    breaks(root)
    with pytest.raises(DataError, match=message):
        read_wider_csv(root)


def test_the_real_sample() -> None:
    given = os.environ.get("LINEAMENT_DATA")
    data = Path(given) if given is not None else Path(__file__).parents[2].parent / "shared"
    sample = data / "wider_sample"
    if not sample.is_dir():
        pytest.skip(f"no {sample}; set LINEAMENT_DATA to the folder that holds wider_sample/")
    images = read_wider_csv(sample)
    assert len(images) == 100
    lines = (sample / "annotations.csv").read_text().splitlines()[1:]
    assert sum(len(one.boxes_xyxy) for one in images) == len(lines)
    # The annotations themselves, as detections: all are found, and nothing else.
    perfect = [np.column_stack([one.boxes_xyxy, one.subsets["hard"]]) for one in images]
    for subset, result in average_precision(images, perfect).items():
        assert result.faces == sum(int(one.subsets[subset].sum()) for one in images)
        assert result.recall == pytest.approx(1.0)
        assert result.exact == pytest.approx(1.0)

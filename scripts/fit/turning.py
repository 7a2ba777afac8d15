"""Fit the weights by which ``lineament.detect.turning`` tells faces that are turned from none.

Candidates are what the first look is not certain of: in photos of LFW View 1 that are turned by
multiples of 15 degrees, in profiles of CFP upright and turned, and in photos without people. Each
is looked at again at the peaks of its scores over the angle; a turn is right where it is within
``RIGHT_DEG`` of the photo's. Printed are the weights, and for several least log odds, fitted on one
half of people and photos and counted on the other: the candidates found at the right turn, and the
photos without people with a face.

Run:  python -m scripts.fit.turning ../shared/lfw ../shared/cfp_sample FOLDER_WITHOUT_PEOPLE
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from rich.progress import track
from sklearn.linear_model import LogisticRegression

from lineament.datasets.lfw import read_lfw
from lineament.detect import DetectOptions, load_detector
from lineament.detect import turning as t
from lineament.detect.detector import see
from lineament.evaluate.protocols.lfw import images_of
from lineament.images import find_images, load_image
from lineament.models.runtime import Runtime
from lineament.pose import wrapped_deg

PEOPLE, PROFILES, WITHOUT = 110, 160, 450
TURNS_EACH = 4
RIGHT_DEG = 23.0
MOST = 12  # candidates of a photo
SEED = 3


def turned(image: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """The photo on its own gray ground, turned clockwise, and the matrix (2, 3) to it."""
    height, width = image.shape[:2]
    side = int(np.ceil(np.hypot(height, width)))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -angle, 1)
    matrix[:, 2] += (side - np.array([width, height])) / 2
    fill = (127, 127, 127)
    return (
        cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderValue=fill),
        matrix,
    )


def photos(lfw: Path, cfp: Path, without: Path) -> Iterator[tuple[str, np.ndarray, float, object]]:
    """Group, photo, its turn, and center and side of its face."""
    rng = np.random.default_rng(SEED)
    detector = load_detector(turning=False)
    data = read_lfw(lfw)
    names = [data.path(i) for i in images_of(data, ("1",))]
    for path in rng.permutation(np.array(names, object))[:PEOPLE]:
        image = load_image(path)
        faces = detector.detect(image, DetectOptions())
        if not faces:
            continue
        face = max(faces, key=lambda face: max(face.size_wh) * face.score)
        for angle in rng.choice(np.arange(-180, 180, 15), TURNS_EACH, replace=False):
            picture, matrix = turned(image, float(angle))
            center = matrix[:, :2] @ np.array(face.center_xy) + matrix[:, 2]
            yield f"lfw {path}", picture, float(angle), (center, max(face.size_wh))
    profiles = sorted((cfp / "Images").glob("*/profile/*.jpg"))
    for path in rng.permutation(np.array(profiles, object))[:PROFILES]:
        image = load_image(path)
        file = cfp / "Fiducials" / path.parts[-3] / "profile" / f"{path.stem}.txt"
        points = np.loadtxt(file, delimiter=",")
        side = 2.4 * np.linalg.norm(points[12:18].mean(0) - points[25:30].mean(0))
        for angle in (0, rng.choice(np.arange(-180, 180, 15))):
            picture, matrix = turned(image, float(angle))
            center = matrix[:, :2] @ points[9:].mean(0) + matrix[:, 2]
            yield f"cfp {path.parts[-3]}", picture, float(angle), (center, float(side))
    for path in rng.permutation(np.array(sorted(find_images(without)), object))[:WITHOUT]:
        yield f"without {path}", load_image(path), 0.0, None


def main(lfw: Path, cfp: Path, without: Path) -> None:
    detector = load_detector(runtime=Runtime(threads=1))
    assert isinstance(detector, t.Turning)
    rows, right, upright, group, strong = [], [], [], [], []
    for name, image, angle, face in track(list(photos(lfw, cfp, without)), "candidates"):
        seen = see(detector.inner, image, DetectOptions())
        sure = (np.array([f.score for f in seen.faces]) >= t.CERTAIN_SCORE) & (
            seen.upright >= t.CERTAIN_READING
        )
        unsure = [(f, True) for f, is_sure in zip(seen.faces, sure, strict=True) if not is_sure]
        unsure += [(f, False) for f in seen.weak or []]
        for found, is_strong in unsure[:MOST]:
            center, side = np.array(found.center_xy), max(found.size_wh)
            if face is not None:
                apart = np.linalg.norm(center - face[0]) / face[1]
                if apart > 0.35 or not 0.5 < side / face[1] < 2:
                    continue
            smooth = t.smoothed(detector.turns.scores(image, center, side).ravel())
            best = int(smooth.argmax())
            rows.append(detector.features(image, center, side, best, smooth[best])[1])
            off = abs(wrapped_deg(float(t.TURNS[best]) - angle))
            right.append(face is not None and off <= RIGHT_DEG)
            upright.append(best in (0, 1, len(t.TURNS) - 1))
            group.append(name)
            strong.append(is_strong)
    report(np.array(rows), np.array(right), np.array(upright), group, np.array(strong))


def report(
    x: np.ndarray, right: np.ndarray, upright: np.ndarray, group: list[str], strong: np.ndarray
) -> None:
    half = np.array([crc32(name.encode()) % 2 for name in group])
    kinds = np.array([name.split()[0] for name in group])
    for label, columns in (("with the O-Net", range(4)), ("without", (0,))):
        odds = np.zeros(len(x))
        for h in (0, 1):
            model = LogisticRegression(C=3, max_iter=3000)
            model.fit(x[half != h][:, columns], right[half != h])
            odds[half == h] = model.decision_function(x[half == h][:, columns])
        model = LogisticRegression(C=3, max_iter=3000).fit(x[:, columns], right)
        print(label, *(f"{value:.2f}" for value in (*model.coef_[0], *model.intercept_)))
        for least in (-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5):
            line = [f"  {least:+.1f}"]
            for kind in ("lfw", "cfp"):
                line.append(f"{kind} {np.mean(((odds >= least) & right)[kinds == kind]):.3f}")
            for what, turned_too, is_strong in (
                ("turned weak", True, False),
                ("turned strong", True, True),
                ("upright strong", False, True),
            ):
                those = (kinds == "without") & (odds >= least)
                those &= (upright != turned_too) & (strong == is_strong)
                count = len({group[i] for i in np.flatnonzero(those)})
                line.append(f"without people, {what} {count}")
            print(", ".join(line))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))

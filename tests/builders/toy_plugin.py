"""A plugin, as somebody else would write one: a detector, an embedder and a landmarker of no use.

The photos that they understand are flat: each face is a white square with a colored middle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lineament import models
from lineament.align import register_landmarker
from lineament.align.frontal import generic_face
from lineament.detect import DetectOptions, register_detector
from lineament.embed import Embedder, register_embedder
from lineament.types import Contract, Face, FloatArray, Image

PLACES = np.array([[0.34, 0.46], [0.66, 0.46], [0.5, 0.64], [0.37, 0.82], [0.63, 0.82]])
"""Where the landmarks lie in a square, as shares of its side."""


@register_detector("toy")
class ToyDetector:
    """Finds white squares of 40 pixels at multiples of 80."""

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return a face for each."""
        found = []
        for top in range(0, image.shape[0] - 40, 80):
            for left in range(0, image.shape[1] - 40, 80):
                if (image[top + 1 : top + 3, left + 1 : left + 39] == 255).all():
                    points = PLACES * 40 + [left, top]
                    box = np.array([left, top, left + 40, top + 40], np.float32)
                    found.append(Face(box, 0.9, points.astype(np.float32)))
        return found[: options.max_faces]


@register_landmarker("toy")
class ToyLandmarker:
    """The points of the generic face, as large as the box."""

    def locate(self, image: Image, faces: Sequence[Face]) -> FloatArray:
        """Return (N, 68, 2)."""
        shape = generic_face().points_xyz[:, :2]
        shape = (shape - shape.mean(axis=0)) / np.ptp(shape, axis=0).max()
        points = [np.array(face.center_xy) + shape * face.size_wh[0] for face in faces]
        return np.array(points, np.float32).reshape(-1, 68, 2)


@dataclass(frozen=True)
class ToyEmbedder:
    """The mean color of each ninth of the crop, from -1 to 1."""

    contract: Contract
    size_wh: tuple[int, int] = (48, 96)

    def embed(self, crops: Image) -> tuple[FloatArray, FloatArray]:
        """Return (N, 27) and (N,)."""
        blocks = crops.reshape(-1, 3, 32, 3, 16, 3).mean(axis=(2, 4)).reshape(-1, 27)
        vectors = (blocks / 128 - 1).astype(np.float32) + np.float32(1e-3)
        norms = np.linalg.norm(vectors, axis=1)
        return vectors / norms[:, None], norms


@register_embedder("toy")
def load_toy(card: models.Card, *, flip: bool, alignment: str | None, **_: Any) -> Embedder:
    """Build it."""
    assert card.alignment is not None
    used = card.alignment if alignment is None else alignment
    return ToyEmbedder(Contract(card.name, card.sha256, used, "rgb", flip, 27))


models.add(
    models.Card(
        name="toy",
        task="embedder",
        builder="toy",
        sha256=hashlib.sha256(b"toy, version 1").hexdigest(),
        bytes=1,
        input=models.InputSpec((48, 96), "rgb", 0.0, 1.0),
        dimension=27,
        alignment="arcface-48x96",
        license_code="MIT",
        license_weights="MIT",
        commercial_use="yes",
        training_data="none",
    )
)

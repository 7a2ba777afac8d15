"""A network looks at a face and what surrounds it: skin, or paper and screens?

The network is MiniFASNet, a layout of Minivision's Silent-Face-Anti-Spoofing (2020), as the npm
package faceplugin-face-recognition-js carries it (the model "minifasnet-128"). It has three
classes, live, flat picture and mask; one number is made of them, the natural logarithm of the odds
of "live".

What it is shown was chosen on photographs (``benchmarks/liveness.py``): RGB turned into BGR by its
first layer, 0 to 255, a square around the detector's box of ``SCALES`` times its longer side, and
the photo's border repeated where that reaches past it. The package itself feeds it RGB and moves
the square into the photo; so the network cannot tell prints from faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from lineament import models
from lineament.errors import OptionError
from lineament.models import LicensePolicy
from lineament.models.runtime import Model, Runtime, load_model
from lineament.types import Face, FloatArray, Image

MODEL = "minifasnet-128"

SCALES = (1.3, 1.8, 2.4)
"""Sides of the squares that it is shown, in longer sides of the box; their logits are averaged."""

INPUT_PX = 128
LIVE = 0
"""Its class of living faces."""


class TextureNetwork(Protocol):
    """Tells living faces by how they look."""

    def read(self, pixels: Image, faces: Sequence[Face]) -> FloatArray:
        """Look at faces of one photo, (H, W, 3) uint8, RGB: (N,) log odds of "live"."""
        ...


class MiniFASNet:
    """The bundled network. Calls from several threads are safe."""

    def __init__(self, model: Model) -> None:
        """``model``: "minifasnet-128"."""
        self._model = model

    def read(self, pixels: Image, faces: Sequence[Face]) -> FloatArray:
        """Look at faces of one photo.

        Args:
            pixels: (H, W, 3) uint8, RGB.
            faces: as a detector returns them.

        Returns:
            (N,) float32: natural logarithm of the odds of "live", mean over ``SCALES``.
        """
        if not faces:
            return np.zeros(0, np.float32)
        shown = [square_around(pixels, face, scale, INPUT_PX) for face in faces for scale in SCALES]
        batch = np.stack(shown).transpose(0, 3, 1, 2).astype(np.float32, order="C")
        (logits,) = self._model(batch)  # (N * len(SCALES), 3)
        odds = live_log_odds(logits, LIVE).reshape(len(faces), len(SCALES))
        mean: FloatArray = odds.mean(1, dtype=np.float32)
        return mean


def live_log_odds(logits: FloatArray, live: int) -> FloatArray:
    """Of (N, C) logits: log odds of the class ``live`` against all others, (N,) float32."""
    others = np.delete(logits, live, axis=1)
    most = others.max(1)
    rest = most + np.log(np.exp(others - most[:, None]).sum(1))
    odds: FloatArray = np.subtract(logits[:, live], rest, dtype=np.float32)
    return odds


def square_around(pixels: Image, face: Face, scale: float, side_px: int) -> Image:
    """The photo's square around a face, scaled; its border is repeated beyond it.

    Args:
        pixels: (H, W, 3) uint8, RGB.
        face: whose box is in its middle.
        scale: the square's side, in longer sides of the box.
        side_px: of what is returned.

    Returns:
        (side_px, side_px, 3) uint8.

    Raises:
        OptionError: pixels of another shape or type.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise OptionError(
            f"expected RGB pixels, uint8 of shape (H, W, 3), got {pixels.dtype} of shape "
            f"{pixels.shape}",
            option="pixels",
        )
    x, y = face.center_xy
    factor = side_px / (max(face.size_wh) * scale)
    middle = (side_px - 1) / 2
    matrix = np.array([[factor, 0, middle - factor * x], [0, factor, middle - factor * y]])
    if factor < 1 / 1.5:  # each pixel stands for several
        # Only what is seen is blurred: photos can be large.
        reach = max(face.size_wh) * scale / 2 + 4 / factor
        left, top = max(0, int(x - reach)), max(0, int(y - reach))
        right, bottom = int(x + reach) + 2, int(y + reach) + 2
        part = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
        if part.size:
            pixels = np.asarray(cv2.GaussianBlur(part, (0, 0), 0.4 / factor), np.uint8)
            matrix[:, 2] += matrix[:, :2] @ np.array([left, top], np.float64)
    size = (side_px, side_px)
    cut = cv2.warpAffine(
        pixels, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)


def load_texture(
    *, runtime: Runtime | None = None, policy: LicensePolicy | None = None
) -> MiniFASNet:
    """Load the bundled network; it is compiled once per process.

    Args:
        runtime: engine, device and threads; None asks the environment.
        policy: which licenses may be used; None asks the environment.

    Raises:
        WeightsError: its file is missing, damaged or refused.
    """
    return MiniFASNet(load_model(models.get(MODEL), runtime=runtime, policy=policy))

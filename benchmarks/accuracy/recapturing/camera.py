"""A camera that looks at a plane: perspective, lens, pixels, noise, sharpening, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lineament.types import Image
from recapturing.media import GAMMA, Plane, Rng


@dataclass(frozen=True)
class Camera:
    """How a camera makes a picture.

    Attributes:
        lens_px: blur of the lens, standard deviation in pixels of the picture.
        noise: standard deviation in gray levels, of mid-gray.
        sharpening: how much of the picture's detail is added to it.
        exposure: the light is multiplied by it.
        jpeg: qualities, one for each time that it is saved.
    """

    lens_px: float = 0.5
    noise: float = 2.0
    sharpening: float = 0.3
    exposure: float = 1.0
    jpeg: tuple[int, ...] = (90,)

    def look(self, plane: Plane, matrix: npt.NDArray[np.float64], behind: Plane, rng: Rng) -> Image:
        """Take a picture.

        Args:
            plane: what is held before the camera.
            matrix: (3, 3), from the plane's pixels to the picture's.
            behind: what is behind it, (h, w, 3), as large as the picture.
            rng: of the noise.
        """
        height, width = behind.shape[:2]
        per_px = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))  # pixels of the picture by the plane's
        # A pixel is a square that gathers light: 2 x 2 looks at a plane blurred by half of one.
        sigma = np.hypot(self.lens_px, 0.25) / per_px
        seen = cv2.GaussianBlur(plane, (0, 0), sigma) if sigma > 0.3 else plane
        twice = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]]) @ matrix
        size = (2 * width, 2 * height)
        front = cv2.warpPerspective(seen, twice, size, flags=cv2.INTER_LINEAR)
        whole = np.ones(plane.shape[:2], np.float32)
        covered = cv2.warpPerspective(whole, twice, size, flags=cv2.INTER_LINEAR)[..., None]
        light = front + (1 - covered) * cv2.resize(behind, size, interpolation=cv2.INTER_LINEAR)
        light = cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA)
        return self.developed(light, rng)

    def developed(self, light: Plane, rng: Rng) -> Image:
        """Pixels of light: noise, the usual gamma, sharpening, JPEG."""
        light = np.clip(light * self.exposure, 0, None)
        light = light + rng.normal(0, self.noise / 255 * 0.6, light.shape) * np.sqrt(light + 0.05)
        bright = np.clip(light, 0, 1).astype(np.float32) ** np.float32(1 / GAMMA)
        soft = cv2.GaussianBlur(bright, (0, 0), 1.0)
        bright = bright + self.sharpening * (bright - soft)
        pixels: Image = np.round(np.clip(bright, 0, 1) * 255).astype(np.uint8)
        for quality in self.jpeg:
            _, coded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
            assert decoded is not None
            pixels = np.ascontiguousarray(decoded[..., ::-1])
        return pixels

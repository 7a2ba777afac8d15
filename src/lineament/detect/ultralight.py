"""UltraLight RFB-320: a small single-shot detector without landmarks.

Linzaer, "Ultra-Light-Fast-Generic-Face-Detector-1MB", model version-RFB-320. It sees the whole
photo at 320x240, so a face needs about a twentieth of its width to be found.
"""

from __future__ import annotations

import cv2
import numpy as np

from lineament.detect.boxes import nms
from lineament.detect.detector import DetectOptions
from lineament.models.runtime import Model
from lineament.types import Face, Image

DEFAULT_SCORE = 0.7
"""Least score; the author's demonstration takes 0.7."""

INPUT_WH = (320, 240)
SUPPRESSION = 0.3
"""Greatest overlap of two faces; as in the author's demonstration."""


class UltraLight:
    """The lightest detector here; kept for comparison, YuNet is as fast and finds more."""

    def __init__(self, model: Model) -> None:
        """``model``: the weights ``ultralight-320``."""
        self._model = model

    def detect(self, image: Image, options: DetectOptions) -> list[Face]:
        """Return the faces, the most certain first, without landmarks."""
        least = DEFAULT_SCORE if options.min_score is None else options.min_score
        height, width = image.shape[:2]
        # The network was trained on stretched photos, so the aspect ratio is not kept.
        shrinks = width > INPUT_WH[0] or height > INPUT_WH[1]
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        small = cv2.resize(image, INPUT_WH, interpolation=method)
        scores, boxes = self._model(small.transpose(2, 0, 1)[None].astype(np.float32))
        score = scores[0, :, 1]
        likely = score >= least
        score, shares = score[likely], boxes[0][likely]
        size_wh = np.array([width, height], np.float32)
        pixels = shares * np.tile(size_wh, 2) - np.float32(0.5)
        sides = (pixels[:, 2:] - pixels[:, :2]).max(axis=1, initial=0)
        sound = (sides >= options.least_face_px(image)) & (pixels[:, 2:] > pixels[:, :2]).all(
            axis=1
        )
        pixels, score = pixels[sound], score[sound]
        keep = nms(pixels, score, SUPPRESSION)[: options.max_faces]
        return [Face(pixels[i], min(float(score[i]), 1.0)) for i in keep]

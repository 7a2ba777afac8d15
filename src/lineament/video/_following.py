"""What is known of each face that is followed, beside its motion: views, identity, what is due."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from lineament.types import Face, FloatArray, Image
from lineament.video.identity import View, Views
from lineament.video.memory import Person

NEW_SPACING_S, DOUBT_SPACING_S, OPEN_SPACING_S, BETTER_SPACING_S = 0.03, 0.06, 0.3, 0.4
"""Seconds between two embeddings of one face: before it is settled who it is, when that is in
doubt, while a name is open, and when the face is larger or turned less than ever before."""

CLOSELY_SPACING_S = 0.06
"""Likewise between others, where the film is judged from its end."""

FEW_SPACING_S, GOOD, ENOUGH_GOOD = 0.13, 0.95, 16
"""For that judgment alone a face is embedded after so many seconds, until there are so many views
of such a recognizability."""

FIRST_REFRESH_S, MOST_REFRESH_S = 1.0, 4.0
"""Seconds until a face that is settled is embedded again, growing with their number."""

PATCH_PX = 12
"""Cells of a face along a side (``patch_of``)."""

BETTER = 1.2
"""So many times as good a look at a face is worth a new embedding."""


@dataclass(eq=False, slots=True)
class Followed:
    """One continuous path of a face, and whose it is.

    Attributes:
        face: as it was last seen.
        since_s: since when it is nobody's, or in doubt.
        patch: what the face looks like, for a comparison from frame to frame (``patch_of``).
        seen: whether in this frame.
        person: whose face it is; None: not settled.
        doubted: it may have been exchanged with somebody else's.
        views: since the path began, or since it is in doubt.
        strikes: views in a row that are unlike the person.
        embedded_s: when last; minus infinity: never.
        n_embedded: how often.
        kept_s: when a view was kept for the film's end last; minus infinity: never.
        n_good: good views that were kept since the path began, or was in doubt.
        look: how good the best look that was embedded was (``look_of``).
        is_over: the person was found elsewhere; the path is to be given up.
        n_doubts: how often it may have been exchanged.
    """

    face: Face
    since_s: float
    patch: FloatArray | None
    seen: bool = True
    person: Person | None = None
    doubted: bool = False
    views: Views = field(default_factory=Views)
    strikes: list[View] = field(default_factory=list)
    embedded_s: float = -math.inf
    n_embedded: int = 0
    kept_s: float = -math.inf
    n_good: int = 0
    look: float = 0.0
    is_over: bool = False
    n_doubts: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether it is known whose it is, without a doubt."""
        return self.person is not None and not self.doubted

    def doubt(self, now_s: float) -> None:
        """From here on it must be shown anew who this is."""
        self.doubted, self.embedded_s, self.since_s = self.person is not None, -math.inf, now_s
        self.views = Views()
        self.strikes.clear()
        self.n_doubts += 1
        self.n_good = 0

    def is_short_of_views(self, now_s: float) -> bool:
        """Whether one more view helps where the film is judged from its end."""
        return (
            self.seen
            and self.face.landmarks_xy is not None
            and self.n_good < ENOUGH_GOOD
            and now_s - self.kept_s >= FEW_SPACING_S
        )

    def urgency(self, now_s: float, *, is_open: bool, closely: bool = False) -> float:
        """How much an embedding now would help: 0 not at all; 3 and more: as soon as possible.

        Args:
            now_s: the time.
            is_open: whether the person's name is not yet sure.
            closely: each look counts, since others are near and the film is judged from its end.
        """
        if not self.seen or self.face.landmarks_xy is None:
            return 0.0
        since = now_s - self.embedded_s
        if self.person is None:
            return 4.0 if since >= NEW_SPACING_S else 0.0
        if self.doubted or self.strikes:
            return 3.0 if since >= DOUBT_SPACING_S else 0.0
        if is_open and since >= OPEN_SPACING_S:
            return 2.0
        better = look_of(self.face) / max(self.look, 1e-6)
        if better >= BETTER and since >= BETTER_SPACING_S:
            return 1 + min(0.5, better / 10)
        refresh = min(MOST_REFRESH_S, FIRST_REFRESH_S * (1 + self.n_embedded / 4))
        if since >= refresh:
            return 1.0
        return 0.5 if closely and since >= CLOSELY_SPACING_S else 0.0


def patch_of(pixels: Image, box_xyxy: FloatArray) -> FloatArray | None:
    """What a face looks like in a few cells, (144,) of length 1; None where nothing is to be seen.

    The product of two says how alike they are: of one face in two frames after one another 0.97 in
    the median, of two people 0.45.
    """
    left, top, right, bottom = (round(float(v)) for v in box_xyxy)
    cut = pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0), 1]
    if min(cut.shape) < PATCH_PX // 2:
        return None
    small = cv2.resize(
        np.ascontiguousarray(cut), (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA
    )
    smooth = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.0)
    smooth -= smooth.mean()
    length = float(np.linalg.norm(smooth))
    return None if length < 1 else np.asarray(smooth.ravel() / length, np.float32)


def look_of(face: Face) -> float:
    """How good a look at a face is before it is embedded: its size, less where it is turned.

    The size counts up to that of a recognizer's crop: more pixels show no more there.
    """
    pose = face.pose
    if pose is None:
        return 0.0
    turned = math.cos(math.radians(min(80.0, abs(pose.yaw_deg)))) ** 2
    return min(1.0, pose.eyes_px / 38.0) * turned * face.score

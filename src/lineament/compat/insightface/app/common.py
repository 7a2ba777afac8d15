"""``Face``: what is known of one face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

KNOWN = (
    *("bbox", "kps", "det_score", "embedding", "gender", "age", "landmark_2d_106"),
    *("landmark_3d_68", "pose", "liveness", "mask"),
)
"""What a face of insightface's may have; what was not computed is None."""


class Face(dict[str, Any]):
    """One face: entries are attributes, too.

    ``bbox`` (4,) float32: left, top, right, bottom; ``kps`` (5, 2) float32: eyes, nose, corners of
    the mouth, from the viewer's left; ``det_score``; ``embedding`` (D,) float32 as the network has
    it; ``age``; ``gender`` (1: a man, 0: a woman) and ``sex`` ("M" or "F"); ``pose`` (3,) float32:
    pitch, yaw, roll in degrees, positive up, to the viewer's right, clockwise. A known attribute
    that was not computed is None; one that insightface has not is an AttributeError, so that a
    misspelt one is found.
    """

    def __init__(self, d: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Take entries from a mapping and from arguments; mappings in them become faces."""
        super().__init__()
        for key, value in {**({} if d is None else d), **kwargs}.items():
            self[key] = value

    def __setitem__(self, key: str, value: Any) -> None:
        """Set an entry."""
        if isinstance(value, Mapping) and not isinstance(value, Face):
            value = Face(value)
        super().__setitem__(key, value)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set the entry of that name."""
        self[name] = value

    def __getattr__(self, name: str) -> Any:
        """The entry of that name; None where it is a known one that was not computed."""
        if name in self:
            return self[name]
        if name in KNOWN:
            return None
        raise AttributeError(f"a Face has no attribute {name!r}: it may have {', '.join(KNOWN)}")

    @property
    def embedding_norm(self) -> Any:
        """Length of the embedding; None without one."""
        vector = self.embedding
        return None if vector is None else np.linalg.norm(vector)

    @property
    def normed_embedding(self) -> Any:
        """The embedding of length 1; None without one."""
        vector = self.embedding
        return None if vector is None else vector / self.embedding_norm

    @property
    def sex(self) -> str | None:
        """ "M" or "F"; None where the gender was not computed."""
        gender = self.gender
        return None if gender is None else ("M" if gender else "F")

"""``face_align``: crops by five points."""

from __future__ import annotations

from lineament.compat.insightface.utils import face_align

__all__ = ["face_align"]

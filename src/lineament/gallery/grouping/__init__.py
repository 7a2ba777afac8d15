"""Stage 7, beside the gallery: faces -> people without names.

``group_faces`` groups the faces of many photos, ``assign_new`` adds the faces of more
photos to groups that are there. ``link`` is the bare computation on vectors.
"""

from __future__ import annotations

from lineament.gallery.grouping.linking import Linked, grouping_prior, grouping_threshold, link
from lineament.gallery.grouping.people import (
    Group,
    GroupFace,
    Grouping,
    GroupPhoto,
    Member,
    assign_new,
    group_faces,
)

__all__ = [
    "Group",
    "GroupFace",
    "GroupPhoto",
    "Grouping",
    "Linked",
    "Member",
    "assign_new",
    "group_faces",
    "grouping_prior",
    "grouping_threshold",
    "link",
]

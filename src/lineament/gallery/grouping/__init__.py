"""Stage 7, beside the gallery: faces -> people without names.

photos    group: photos -> Grouping; name_groups: its groups -> people of a gallery
people    Grouping and its file; group_faces, assign_new: for faces embedded already
linking   link: the bare computation on vectors
"""

from __future__ import annotations

from lineament.gallery.grouping._groups import (
    Group,
    GroupFace,
    Grouping,
    GroupPhoto,
    Member,
    assign_new,
    group_faces,
)
from lineament.gallery.grouping._linking import Linked, grouping_prior, grouping_threshold, link
from lineament.gallery.grouping.photos import (
    NamedGroups,
    Thumbnails,
    copy_photos,
    group,
    name_groups,
    summary,
    unread,
)

__all__ = [
    "Group",
    "GroupFace",
    "GroupPhoto",
    "Grouping",
    "Linked",
    "Member",
    "NamedGroups",
    "Thumbnails",
    "assign_new",
    "copy_photos",
    "group",
    "group_faces",
    "grouping_prior",
    "grouping_threshold",
    "link",
    "name_groups",
    "summary",
    "unread",
]

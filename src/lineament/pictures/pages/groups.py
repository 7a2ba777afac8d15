"""The groups of ``lineament group`` as one self-contained page: everybody's faces, small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath

from lineament.decide.calibration import Calibration
from lineament.gallery.grouping import Group, Grouping, Member
from lineament.pictures.pages.page import Picture, Section, Table, Tile, page
from lineament.text import counted

MOST_SHOWN = 36
"""Faces of one group."""
MOST_GROUPS = 300
MOST_SINGLE = 180
"""Faces of those that are alone."""
MOST_LISTED = 200
"""Photos that could not be read."""

CropOf = Callable[[int], bytes | None]
"""The place of a face in ``Grouping.faces`` -> an encoded JPEG of it, or None."""


def groups_page(
    grouping: Grouping,
    crop_of: CropOf,
    *,
    calibration: Calibration | None = None,
    min_size: int = 2,
) -> bytes:
    """Return the page, in UTF-8.

    Args:
        grouping: what is shown.
        crop_of: pictures of the faces; asked for those that are shown.
        calibration: for probabilities; None leaves them out.
        min_size: smaller groups come last, folded together.
    """
    everyone = grouping.groups(calibration)
    large = [g for g in everyone if len(g.members) >= min_size or g.name is not None]
    small = [g for g in everyone if len(g.members) < min_size and g.name is None]
    sections = [_summary(grouping, large, small)]
    sections += [_group(grouping, group, crop_of) for group in large[:MOST_GROUPS]]
    if len(large) > MOST_GROUPS:
        words = f"{len(large) - MOST_GROUPS:,} smaller groups are not shown; the file has them."
        sections.append(Section("More groups", (words,)))
    if small:
        sections.append(_small(grouping, small, crop_of, min_size))
    failed = [photo for photo in grouping.photos if photo.error is not None]
    if failed:
        rows = [(photo.source, str(photo.error)) for photo in failed[:MOST_LISTED]]
        sections.append(
            Section(
                f"Not read: {counted(len(failed), 'photo')}",
                _shown_of(len(rows), len(failed)),
                (Table(("photo", "why"), rows),),
                folded=True,
            )
        )
    return page("People in photos", sections)


def _summary(grouping: Grouping, large: Sequence[Group], small: Sequence[Group]) -> Section:
    grouped = sum(len(group.members) for group in large)
    alone = sum(len(group.members) for group in small)
    read = sum(photo.error is None for photo in grouping.photos)
    failed = len(grouping.photos) - read
    empty = sum(photo.error is None and photo.n_faces == 0 for photo in grouping.photos)
    words = [
        f"{counted(read, 'photo')}, {counted(len(grouping.faces), 'face')}: "
        f"{counted(grouped, 'face')} in {counted(len(large), 'group')}, "
        f"{alone:,} in no group"
        + (f"; {counted(empty, 'photo')} without a face" if empty else "")
        + (f"; {counted(failed, 'photo')} could not be read." if failed else "."),
        "A group is what the program takes for one person. Two groups are made one while the mean "
        f"similarity of their faces reaches {grouping.threshold}. Similarity is the cosine of two "
        "embeddings, -1 to 1. Two faces of one photo are never in one group.",
    ]
    doubtful = sum(group.doubtful for group in large)
    if doubtful:
        words.append(
            f"{counted(doubtful, 'face')} in doubt, marked with “?”: they come last in their "
            "group; look at them before you give it a name."
        )
    titles = {group.id: group.title for group in (*large, *small)}
    pairs = [(titles[a], titles[b]) for a, b in grouping.apart if a in titles and b in titles]
    tables: tuple[Table, ...] = ()
    if pairs:
        caption = "Look like one person, and were two groups before"
        tables = (Table(("group", "and"), pairs[:MOST_LISTED], caption=caption),)
    return Section("", tuple(words), tables)


def _group(grouping: Grouping, group: Group, crop_of: CropOf) -> Section:
    shown = _sample(group.members)
    words = [counted(len(group.members), "photo")]
    if group.cohesion is not None and group.weakest is not None:
        words.append(f"mean similarity {group.cohesion:.2f}, weakest {group.weakest:.2f}")
    if group.doubtful:
        words.append(f"{group.doubtful:,} in doubt")
    paragraphs = ("; ".join(words) + ".", *_shown_of(len(shown), len(group.members)))
    number = "" if group.name is None else f" (group {group.id})"
    title = group.title[:1].upper() + group.title[1:] if group.name is None else group.title
    tiles = tuple(_tile(grouping, member, crop_of) for member in shown)
    return Section(title + number, paragraphs, faces=tiles)


def _small(grouping: Grouping, small: Sequence[Group], crop_of: CropOf, min_size: int) -> Section:
    members = [member for group in small for member in group.members]
    tiles = tuple(_tile(grouping, member, crop_of) for member in members[:MOST_SINGLE])
    what = "alone" if min_size <= 2 else f"in groups of fewer than {min_size}"
    return Section(
        f"{counted(len(members), 'face')} {what}",
        _shown_of(len(tiles), len(members)),
        faces=tiles,
        folded=True,
    )


def _sample(members: Sequence[Member]) -> list[Member]:
    """All of them, or those in doubt and an even choice of the others."""
    if len(members) <= MOST_SHOWN:
        return [*(m for m in members if not m.doubts), *(m for m in members if m.doubts)]
    doubtful = [member for member in members if member.doubts][-MOST_SHOWN // 2 :]
    sure = [member for member in members if not member.doubts]
    n = min(MOST_SHOWN - len(doubtful), len(sure))
    spread = [round(i * (len(sure) - 1) / max(1, n - 1)) for i in range(n)]  # the last one, too
    return [*(sure[i] for i in spread), *doubtful]


def _shown_of(shown: int, total: int) -> tuple[str, ...]:
    if shown >= total:
        return ()
    return (f"{shown:,} of {total:,} are shown, spread over all; the file has them all.",)


def _tile(grouping: Grouping, member: Member, crop_of: CropOf) -> Tile:
    face = grouping.faces[member.place]
    name = PurePath(face.source).name
    data = crop_of(member.place)
    picture = Picture(
        b"" if data is None else data,
        "image/jpeg",
        f"face {face.number + 1} of {name}" if data is not None else "cannot be shown",
    )
    text = "" if member.support is None else f"{member.support:.2f}{' ?' if member.doubts else ''}"
    return Tile((picture,), (name,), text)

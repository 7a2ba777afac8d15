"""Group the people of photos: find and embed faces, group them, copy photos, name groups.

    photos --Recognizer.stream--> GroupFace --assign_new--> Grouping --name_groups--> Gallery

``people`` has the values and the grouping of faces that are embedded already.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from lineament import images
from lineament.align.alignment import align_faces
from lineament.decide.agreement import likeness, unlike_below
from lineament.decide.calibration import Calibration, bundled
from lineament.decide.judge import CALIBRATED_METRIC
from lineament.errors import LineamentError, OptionError, UnlikePeopleError
from lineament.files import beside, sha256_of_file
from lineament.gallery._gallery import Gallery
from lineament.gallery._types import EnrollReport, NewSample
from lineament.gallery.consent import Consent
from lineament.gallery.grouping._groups import Group, GroupFace, Grouping, GroupPhoto, assign_new
from lineament.gallery.grouping._linking import grouping_threshold
from lineament.images import ImageSource, expand, load_image, path_of
from lineament.pipeline import Recognizer
from lineament.quality import quality_of
from lineament.text import per_cent
from lineament.types import Image

MOST_KEPT = 100_000
"""Thumbnails that ``Thumbnails`` keeps, 4 kB each; others are read from the photos again."""

OnPhoto = Callable[[GroupPhoto, Sequence[GroupFace], Image | None], None]
"""Called with a photo, its faces and their crops (N, S, S, 3); None: it could not be read."""


def group(
    photos: Iterable[ImageSource],
    recognizer: Recognizer,
    *,
    grouping: Grouping | None = None,
    threshold: float | None = None,
    fmr: float | None = None,
    on_photo: OnPhoto | None = None,
    seen: Iterable[tuple[GroupPhoto, Sequence[GroupFace], Image | None]] = (),
) -> Grouping:
    """Group the faces of photos by person.

    Args:
        photos: a folder, a pattern, or what ``find_images`` lists. Those that ``grouping`` has read
            are passed over.
        recognizer: finds and embeds the faces.
        grouping: the photos are added to it; its groups stay.
        threshold: mean cosine from which on two groups are one person; None: by ``fmr``, or else
            by the calibration and the number of faces (``grouping_threshold``).
        fmr: false match rate of that threshold, 0 to 1.
        on_photo: called after each photo, in their order.
        seen: what was looked at elsewhere, such as films (``video.grouping.people_of_film``): the
            file, its faces, of which no two are one person, and their crops. It is taken after the
            photos, one by one.

    Returns:
        The grouping. Photos that could not be read are in it, with the error.

    Raises:
        OptionError: no threshold is given, and there is no calibration to take it from.
        ContractError: ``grouping`` holds embeddings of another recognizer.

    Examples:
        >>> found = group(find_images(["holidays/"]), Recognizer())
        >>> [(one.title, len(one.members)) for one in found.groups(min_size=2)]
        [('person 1', 12), ('person 2', 7)]
    """
    contract = recognizer.embedder.contract
    if grouping is not None:
        grouping.contract.check(contract)
    if threshold is None and fmr is None and recognizer.calibration is None:
        raise OptionError(
            f"{contract.weights} has no calibration to take a threshold from: state a threshold, "
            "or fit a calibration (lineament tune) and pass it"
        )
    new = unread(photos, grouping)
    faces: list[GroupFace] = []
    looked_at: list[GroupPhoto] = []
    results = recognizer.stream(new, keep_crops=True)
    for source, found in zip(new, results, strict=True):
        name = source_name(source)
        photo = GroupPhoto(name, len(found.faces))
        mine: list[GroupFace] = []
        if found.error is not None:
            photo = GroupPhoto(name, 0, str(found.error))
        elif found.crops is not None:
            rows = zip(found.faces, found.embeddings, found.crops, strict=True)
            for number, (face, embedding, crop) in enumerate(rows):
                quality = quality_of(face, crop, embedding, found.size_wh)
                limits = recognizer.judge.all_limits
                problems = () if quality is None else limits.problems(quality)
                mine.append(GroupFace(name, number, face, embedding, problems))
        looked_at.append(photo)
        faces += mine
        if on_photo is not None:
            on_photo(photo, mine, found.crops)
    for photo, found_faces, crops in seen:
        looked_at.append(photo)
        faces += found_faces
        if on_photo is not None:
            on_photo(photo, found_faces, crops)
    n_faces = len(faces) + (0 if grouping is None else len(grouping.faces))
    if threshold is not None or fmr is not None:
        chosen = recognizer.threshold(value=threshold, fmr=fmr)
    else:
        assert recognizer.calibration is not None
        chosen = grouping_threshold(recognizer.calibration, n_faces)
    old = Grouping.empty(contract, chosen) if grouping is None else grouping
    return assign_new(old, faces, chosen, photos=looked_at)


def unread(photos: Iterable[ImageSource], grouping: Grouping | None) -> list[ImageSource]:
    """The photos that ``grouping`` has not read yet; what failed is tried again."""
    read = set() if grouping is None else {p.source for p in grouping.photos if p.error is None}
    return [photo for photo in expand(photos) if source_name(photo) not in read]


def source_name(photo: ImageSource) -> str:
    """What a grouping calls a photo: its absolute path where it has one."""
    path = path_of(photo) if isinstance(photo, (str, os.PathLike)) else None
    if path is not None:
        return os.path.abspath(path)  # noqa: PTH100 (without "..")
    return images.source_name(photo)


# --- pictures of the faces ------------------------------------------------------------------------


class Thumbnails:
    """JPEG pictures of grouped faces: kept while photos are read, or made from the photos again.

    ``add`` is an ``OnPhoto`` for ``group``.
    """

    def __init__(self, most_kept: int = MOST_KEPT) -> None:
        """Keep at most so many."""
        self._most_kept = most_kept
        self._kept: dict[tuple[str, int], bytes] = {}

    def add(self, photo: GroupPhoto, faces: Sequence[GroupFace], crops: Image | None) -> None:
        """Keep the faces of a photo."""
        if crops is None or len(self._kept) >= self._most_kept:
            return
        for face, crop in zip(faces, crops, strict=True):
            self._kept[photo.source, face.number] = _jpeg(crop)

    def jpeg(self, face: GroupFace) -> bytes | None:
        """The aligned face; None when it is not kept and the photo is gone or was changed."""
        kept = self._kept.get((face.source, face.number))
        if kept is not None:
            return kept
        crop = crop_of(face)
        return None if crop is None else _jpeg(crop)


def crop_of(face: GroupFace) -> Image | None:
    """Align a face again from its photo, as its contract says: (S, S, 3) uint8.

    None when the photo cannot be read any more. Files are read, addresses are not fetched: a
    grouping may come from somebody else.
    """
    seen = _seen_again(face)
    return None if seen is None else seen[0]


def _seen_again(face: GroupFace) -> tuple[Image, tuple[int, int]] | None:
    """The crop, and width and height of its photo."""
    path = path_of(face.source)
    if path is None:
        return None
    try:
        image = load_image(Path(path))
        crops = align_faces(image, [face.face], face.embedding.contract.alignment)
    except LineamentError:
        return None
    return crops[0], (image.shape[1], image.shape[0])


def _jpeg(crop: Image) -> bytes:
    file = io.BytesIO()
    PILImage.fromarray(crop).save(file, "JPEG", quality=85)
    return file.getvalue()


# --- folders --------------------------------------------------------------------------------------


def copy_photos(
    grouping: Grouping,
    groups: Sequence[Group],
    folder: str | os.PathLike[str],
    *,
    link: bool = False,
    overwrite: bool = False,
) -> list[tuple[str, str]]:
    """Copy the photos of groups, one folder per group; photos of several people are in several.

    Args:
        grouping: holds the faces.
        groups: of it.
        folder: new or empty; made if need be.
        link: make symbolic links instead of copies.
        overwrite: take a folder that holds something; files of the same name are replaced.

    Returns:
        What could not be copied: path and reason.

    Raises:
        OptionError: the folder holds something, or cannot be made.
    """
    root = Path(folder)
    if not overwrite:
        check_empty(root)
    failed: list[tuple[str, str]] = []
    folders: set[str] = set()
    for one in groups:
        name = _folder_name(one.title)
        if name.casefold() in folders:
            name = f"{name} ({one.id})"
        folders.add(name.casefold())
        below = root / name
        try:
            below.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OptionError(
                f"{below}: the folder cannot be made ({error.strerror}); name another one"
            ) from error
        taken: set[str] = set()
        for member in sorted(one.members, key=lambda m: m.place):
            source = Path(grouping.faces[member.place].source)
            copy = below / _free(source.name, taken)
            try:
                with beside(copy) as new:
                    if link:
                        new.symlink_to(source)
                    else:
                        shutil.copy2(source, new)
            except OSError as error:
                failed.append((str(source), f"not put into {below} ({error.strerror})"))
    return failed


def check_empty(folder: Path) -> None:
    """Raise OptionError unless the folder does not exist yet, or is empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OptionError(f"expected a new or an empty folder, {folder} is neither")


def _folder_name(title: str) -> str:
    safe = "".join(c if c.isalnum() or c in "-_. ()+,'" else "_" for c in title).strip(" .")
    safe = safe.encode()[:180].decode(errors="ignore")
    return safe if safe else "person"


def _free(name: str, taken: set[str]) -> str:
    """The file's name, or with a number when another photo of the group has it."""
    path = Path(name)
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{path.stem}~{number}{path.suffix}"
    taken.add(free.casefold())
    return free


# --- names ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class NamedGroups:
    """What ``name_groups`` did.

    Attributes:
        grouping: with the names.
        groups: the named groups, by id.
        calibration: that was used; None without one.
        left_out: how many doubtful members of each were not to be enrolled, by id.
        reports: what became of their faces in the gallery, by id; {} without a gallery.
    """

    grouping: Grouping
    groups: Mapping[int, Group]
    calibration: Calibration | None
    left_out: Mapping[int, int]
    reports: Mapping[int, EnrollReport] = field(default_factory=dict)


def name_groups(
    grouping: Grouping,
    names: Mapping[int, str],
    gallery: Gallery | None = None,
    *,
    calibration: Calibration | None = None,
    consent: Consent | None = None,
    with_doubtful: bool = False,
    force: bool = False,
) -> NamedGroups:
    """Give groups their people's names, and enroll their faces in a gallery.

    Nothing is detected or embedded again; the photos are read for their digests and crops.

    Args:
        grouping: holds the groups.
        names: group id -> name.
        gallery: whose contract is the grouping's; None enrolls nobody.
        calibration: says which members are in doubt; None: the package's own.
        consent: of all these people, as for ``Gallery.enroll``.
        with_doubtful: enroll members in doubt, too.
        force: as for ``Gallery.enroll``.

    Raises:
        OptionError: there is no such group, or a bad name.
        ConsentError: the gallery takes nobody without a consent.
        UnlikePeopleError: another group has that name, and the two do not look like one person.
        ContractError: the gallery holds embeddings of another recognizer.
    """
    if calibration is None:
        calibration = bundled(grouping.contract, CALIBRATED_METRIC)
    for number, name in names.items():
        grouping = grouping.named(number, name)
        if not force:
            check_one_person(grouping, number, calibration)
    groups = {one.id: one for one in grouping.groups(calibration) if one.id in names}
    left_out: dict[int, int] = {}
    reports: dict[int, EnrollReport] = {}
    for number in names:
        found = groups[number]
        members = [m for m in found.members if with_doubtful or not m.doubts]
        left_out[number] = len(found.members) - len(members)
        if gallery is not None:
            samples = [sample_of(grouping.faces[m.place]) for m in members]
            reports[number] = gallery.enroll_embeddings(
                found.title, samples, consent=consent, force=force
            )
    return NamedGroups(grouping, groups, calibration, left_out, reports)


def check_one_person(grouping: Grouping, number: int, calibration: Calibration | None) -> None:
    """Raise UnlikePeopleError where a group has the name of another one and is unlike it."""
    limit = unlike_below(calibration)
    if limit is None or calibration is None:
        return
    vectors = grouping.vectors
    norms = np.array([face.embedding.norm for face in grouping.faces])
    mine = grouping.group == number
    for other, name in grouping.names.items():
        if other == number or name != grouping.names[number]:
            continue
        theirs = grouping.group == other
        score = likeness(vectors[mine], vectors[theirs], norms[mine], norms[theirs])
        if score is not None and score < limit:
            share = per_cent(calibration.probability(score).value, most=1)
            raise UnlikePeopleError(
                f"group {other} is {name} already, and group {number} does not look like the same "
                f"person (similarity {score:.3f}, {share} probable): nothing was changed",
                hint="if they are one all the same, {force}",
            )


def sample_of(face: GroupFace) -> NewSample:
    """What a gallery enrolls of a face: with digest, crop and quality while its photo is there."""
    try:
        digest = sha256_of_file(face.source)
    except (OSError, ValueError):
        digest = None
    seen = None if digest is None else _seen_again(face)
    crop, size_wh = (None, None) if seen is None else seen
    return NewSample(
        face.embedding,
        source=face.source,
        sha256=digest,
        face=face.face,
        quality=None if crop is None else quality_of(face.face, crop, face.embedding, size_wh),
        crop=crop,
    )


# --- JSON -----------------------------------------------------------------------------------------


def summary(grouping: Grouping, groups: Sequence[Group]) -> dict[str, Any]:
    """Groups as plain values, ready for JSON, without embeddings (``Grouping.to_dict`` has them).

    Args:
        grouping: holds the faces.
        groups: of it, such as ``Grouping.groups(min_size=2)``.
    """
    return {
        "n_photos": len(grouping.photos),
        "n_faces": len(grouping.faces),
        "threshold": grouping.threshold.to_dict(),
        "groups": [
            {
                "id": one.id,
                "name": one.name,
                "n_faces": len(one.members),
                "cohesion": one.cohesion,
                "llr": one.llr,
                "weakest": one.weakest,
                "faces": [
                    {
                        "source": grouping.faces[member.place].source,
                        "number": grouping.faces[member.place].number,
                        "support": member.support,
                        "probability": member.probability,
                        "doubts": list(member.doubts),
                    }
                    for member in one.members
                ],
            }
            for one in groups
        ],
        "apart": [list(pair) for pair in grouping.apart],
        "unreadable": [
            {"source": photo.source, "error": photo.error}
            for photo in grouping.photos
            if photo.error is not None
        ],
    }

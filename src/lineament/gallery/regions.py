"""Names that photo libraries noted in photos, as people's names; and people's names noted there.

list_regions(folder)             who is in which photo, by the regions of digiKam, Lightroom,
                                 Picasa, ... (``lineament.images.regions``)
enroll_regions(gallery, listing) each face that lies where a region says
names_of_groups(grouping)        what groups of faces are called there
write_names(faces, into)         the way back: into sidecars, or into the photos
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lineament.arguments import checked
from lineament.errors import LineamentError, OptionError
from lineament.gallery._gallery import Gallery
from lineament.gallery._types import NewSample, Refusal
from lineament.gallery.consent import Consent
from lineament.gallery.enroll import low_quality, source_name
from lineament.gallery.folder import FolderReport, Listing, not_enrolled
from lineament.gallery.grouping import Grouping
from lineament.gallery.review import OnLowQuality, Review, Rules, rules_of
from lineament.gallery.values import checked_name
from lineament.images import list_images
from lineament.images.regions import (
    Region,
    Written,
    match,
    read_regions,
    upright_size,
    write_regions,
)
from lineament.quality import quality_of
from lineament.results import Outcome
from lineament.text import counted
from lineament.types import Photo

COMMIT: Final = 4000
"""Samples after which those so far are committed."""
LEAST_SHARE: Final = 2 / 3
"""Of a group's faces with names, those that have to have the same."""


@checked
def list_regions(
    folder: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None
) -> Listing:
    """List the faces with names in a folder's photos, folders in it included.

    Args:
        folder: that holds them.
        progress: called with photos read and photos in all.

    Raises:
        OptionError: no such folder, or no face with a name in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise OptionError(f"{root}: expected a folder; check the path")
    paths = sorted(map(Path, list_images([root]).paths))
    found: list[tuple[str, Path]] = []
    passed_over: list[str] = []
    for number, path in enumerate(paths, 1):
        shown = path.relative_to(root).as_posix()
        try:
            regions = read_regions(path)
        except LineamentError as error:
            passed_over.append(f"{shown}: {error}")
            regions = []
        for name in dict.fromkeys(region.name for region in regions if region.name is not None):
            try:
                found.append((checked_name(name), path))
            except LineamentError as error:
                passed_over.append(f"{shown}: {error}")
        if progress is not None:
            progress(number, len(paths))
    if not found:
        raise OptionError(
            f"{root}: expected photos with face regions that have names, found none in "
            f"{counted(len(paths), 'photo')}"
        )
    return Listing("regions", tuple(sorted(found)), tuple(passed_over))


@checked
def enroll_regions(
    gallery: Gallery,
    listing: Listing,
    *,
    metadata: Mapping[str, Any] | None = None,
    consent: Consent | None = None,
    on_low_quality: OnLowQuality = "refuse",
    force: bool = False,
    review: Review | None = None,
    progress: Callable[[FolderReport], None] | None = None,
) -> FolderReport:
    """Enroll the faces that lie where regions with names are.

    Photos that are enrolled under a name already, by their bytes, are passed over for that name.

    Args:
        gallery: open for writing.
        listing: what ``list_regions`` returned.
        metadata, consent, on_low_quality, force, review: as for ``enroll_folder``; "strict" refuses
            photos with several faces here, too.
        progress: called with the report after each photo, and after the last transaction.
    """
    rules = rules_of(gallery.settings.review, review, on_low_quality=on_low_quality, force=force)
    report = FolderReport(listing)
    started = time.perf_counter()
    wanted: dict[Path, set[str]] = defaultdict(set)
    for name, path in not_enrolled(gallery, listing.photos):
        wanted[path].add(name)
    report.already = len(listing.photos) - sum(map(len, wanted.values()))
    batch: list[tuple[str, NewSample]] = []

    def commit() -> None:
        some = sorted(batch, key=lambda pair: pair[0])
        batch.clear()
        given = {name: metadata for name, _ in some} if metadata else {}
        consents = {} if consent is None else {name: consent for name, _ in some}
        outcome = gallery.enroll_samples(
            some,
            metadata=given,
            consents=consents,
            force=force,
            review=review,
            on_note=report.notes.append,
        )
        for (name, _), one in zip(some, outcome, strict=True):
            if isinstance(one, Refusal):
                report.refused.append(one)
            else:
                report.enrolled += 1
                report.people.add(name)
        report.seconds = time.perf_counter() - started
        if progress is not None:
            progress(report)

    paths = sorted(wanted)
    photos = gallery.recognizer.stream(paths, keep_crops=True, digest=True)
    try:
        for path, photo in zip(paths, photos, strict=True):
            for name, one in _samples(gallery, path, photo, wanted[path], rules):
                if isinstance(one, Refusal):
                    report.refused.append(one)
                else:
                    batch.append((name, one))
                report.done += 1
            if progress is not None:
                progress(report)
            if len(batch) >= COMMIT:
                commit()
    except KeyboardInterrupt:
        commit()
        raise
    commit()
    return report


def _samples(
    gallery: Gallery, path: Path, photo: Photo, names: set[str], rules: Rules
) -> Iterable[tuple[str, NewSample | Refusal]]:
    """For each name the face of its region, or why it is refused."""
    source = source_name(path)
    if photo.error is not None or photo.size_wh is None:
        for name in sorted(names):
            reason = str(photo.error)
            yield name, Refusal(source, "unreadable", reason, name, error=photo.error)
        return
    regions = [one for one in read_regions(path) if one.name is not None]
    boxes = [face.box_xyxy.tolist() for face in photo.faces]
    places = {number: i for i, number in enumerate(match(boxes, photo.size_wh, regions)) if
              number >= 0}  # fmt: skip
    for number, region in enumerate(regions):
        name = checked_name(str(region.name)) if region.name else ""
        if name not in names:
            continue
        if number not in places:
            words = f"no face was found where the region of {name} is"
            yield name, Refusal(source, "no face", words, name)
            continue
        if rules.strict and len(photo.faces) > 1:
            words = f"expected one face, found {len(photo.faces)}: cut the photo"
            yield name, Refusal(source, "several faces", words, name)
            continue
        i = places[number]
        crop = None if photo.crops is None else photo.crops[i]
        face, embedding = photo.faces[i], photo.embeddings[i]
        quality = quality_of(face, crop, embedding, photo.size_wh)
        problems = rules.problems(gallery.recognizer, quality, crop)
        if problems:
            yield name, low_quality(source, problems, name)
            continue
        kept = crop if gallery.settings.keep_crops else None
        yield name, NewSample(embedding, source, photo.sha256, face, quality, kept)


# --- groups ---------------------------------------------------------------------------------------


@checked
def names_of_groups(
    grouping: Grouping, *, progress: Callable[[int, int], None] | None = None
) -> dict[int, str]:
    """What the regions of the photos call groups: group id -> name.

    A group has the name of at least two thirds of its faces that have one; of several groups that
    one name is for, the one with the most such faces gets it. Groups with names keep those.
    """
    by_photo: dict[str, list[int]] = defaultdict(list)
    for place, face in enumerate(grouping.faces):
        by_photo[face.source].append(place)
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for number, (source, places) in enumerate(by_photo.items(), 1):
        for place, name in _names_at(grouping, source, places):
            counts[int(grouping.group[place])][name] += 1
        if progress is not None:
            progress(number, len(by_photo))
    taken = set(grouping.names.values())
    wanted = []
    for group, names in counts.items():
        name, n = names.most_common(1)[0]
        if group not in grouping.names and n >= LEAST_SHARE * names.total():
            wanted.append((-n, group, name))
    found: dict[int, str] = {}
    for _, group, name in sorted(wanted):
        if name not in taken:
            taken.add(name)
            found[group] = name
    return found


def _names_at(grouping: Grouping, source: str, places: Sequence[int]) -> list[tuple[int, str]]:
    try:
        regions = [one for one in read_regions(source) if one.name is not None]
        size_wh = upright_size(source) if regions else (1, 1)
        boxes = [grouping.faces[place].face.box_xyxy.tolist() for place in places]
        found = [
            (place, checked_name(str(regions[number].name)))
            for place, number in zip(places, match(boxes, size_wh, regions), strict=True)
            if number >= 0
        ]
    except LineamentError:  # a film, a photo of another kind, or one that is gone
        return []
    return found


# --- back -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WrittenNames(Outcome):
    """What ``write_names`` did.

    Attributes:
        written: one for each photo.
        failed: photos that could not be, with the reasons.
    """

    written: tuple[Written, ...]
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def n_added(self) -> int:
        """How many names were written."""
        return sum(len(one.added) for one in self.written)

    @property
    def n_kept(self) -> int:
        """How many faces have another name there, which stayed."""
        return sum(len(one.kept) for one in self.written)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "n_added": self.n_added,
            "n_kept": self.n_kept,
            "photos": [one.to_dict() for one in self.written],
            "failed": [{"source": source, "error": error} for source, error in self.failed],
        }


@checked
def write_names(
    faces: Iterable[tuple[str, Any, str]],
    into: str = "sidecars",
    *,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenNames:
    """Note who is who in photos, for photo programs.

    Args:
        faces: of each the photo's path, the box (left, top, right, bottom in pixels of the photo
            as it is shown) and the name.
        into: "sidecars", or "files": the photos themselves (``images.regions.write_regions``).
        progress: called with photos written and photos in all.
    """
    by_photo: dict[str, list[tuple[Any, str]]] = defaultdict(list)
    for source, box, name in faces:
        by_photo[source].append((box, name))
    written: list[Written] = []
    failed: list[tuple[str, str]] = []
    for number, (source, named) in enumerate(by_photo.items(), 1):
        try:
            size_wh = upright_size(source)
            regions = [Region(name, _shares(box, size_wh)) for box, name in named]
            written.append(write_regions(source, regions, into=into))
        except LineamentError as error:
            failed.append((source, str(error)))
        if progress is not None:
            progress(number, len(by_photo))
    return WrittenNames(tuple(written), tuple(failed))


def _shares(box: Any, size_wh: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box in pixels as shares of the photo, as far as it is in it."""
    left, top, right, bottom = (
        min(1.0, max(0.0, float(value) / side))
        for value, side in zip(box, size_wh * 2, strict=True)
    )
    return left, top, right, bottom

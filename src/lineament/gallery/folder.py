"""Enroll a folder of photos: list it, enroll it batch by batch, go on where a run ended.

    DIR/Ada Lovelace/1.jpg       "folders": one folder per person, searched recursively
    DIR/Ada_Lovelace_0001.jpg    "flat": files named by the person and a number

Hidden files, and files whose suffix is not a photo's, are ignored. Files and folders that are
called what cameras, phones and programs call them, or by a date, are nobody's
(``lineament.datasets.photo_names``) and are passed over.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lineament.datasets.people_folder import People, read_numbered, read_people
from lineament.datasets.photo_names import why_album
from lineament.errors import OptionError
from lineament.files import sha256_of_file
from lineament.gallery._gallery import Gallery
from lineament.gallery._types import NewSample, Refusal
from lineament.gallery.consent import Consent
from lineament.gallery.enroll import Stream
from lineament.gallery.review import OnLowQuality, Review, rules_of
from lineament.gallery.values import checked_name
from lineament.results import Outcome, no_truth
from lineament.suggest import did_you_mean, similar_path

LAYOUTS = ("auto", "folders", "flat")

_LAYOUTS_IN_WORDS = {
    "folders": "one folder per person",
    "flat": "files named by the person and a number",
    "regions": "face regions that photo programs noted",
}
_NOBODY = "no person's name"

BATCH, BATCH_S = 256, 5.0
"""Photos per transaction, and seconds after which a smaller one is committed, as soon as all photos
of a person were looked at: a person goes by the majority of the whole folder. What a crash loses.
Measured with ``benchmarks/speed/enroll.py``."""

MOST_OF_A_PERSON = 2000
"""Photos after which those of one person are committed, so that memory is bounded: the others are
compared with them."""


@dataclass(frozen=True, slots=True)
class Listing(Outcome):
    """The photos of a folder with their people's names.

    Attributes:
        layout: "folders", "flat", or "regions" (``gallery.regions``).
        photos: (name, path) pairs, sorted by name and path.
        passed_over: folders and files that were left out, each with the reason.
    """

    layout: str
    photos: tuple[tuple[str, Path], ...]
    passed_over: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The people, each once, in the order of ``photos``."""
        return list(dict.fromkeys(name for name, _ in self.photos))

    @property
    def layout_in_words(self) -> str:
        """How the names were read, for people."""
        return _LAYOUTS_IN_WORDS[self.layout]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: who is in how many photos."""
        counts = Counter(name for name, _ in self.photos)
        return {
            "layout": self.layout,
            "people": [{"name": name, "n_photos": counts[name]} for name in self.names],
            "n_photos": len(self.photos),
            "passed_over": list(self.passed_over),
        }


@dataclass(slots=True)
class FolderReport(Outcome):
    """What became of a folder's photos; up to date while ``enroll_folder`` runs.

    Attributes:
        listing: what was to be enrolled.
        already: photos that were enrolled by an earlier run.
        done: photos looked at in this run.
        enrolled: photos enrolled in this run; those are on the disk.
        people: names of the people they show.
        refused: what was not enrolled, with the reasons.
        seconds: how long it took.
        notes: what could not be checked, and which photos should be looked at, in words.
    """

    listing: Listing
    already: int = 0
    done: int = 0
    enrolled: int = 0
    people: set[str] = field(default_factory=set)
    refused: list[Refusal] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """TruthValueError: a report is there even if nothing was enrolled."""
        return no_truth(self, "report.enrolled (how many were), or report.refused")

    @property
    def photos(self) -> int:
        """How many photos the folder holds."""
        return len(self.listing.photos)

    @property
    def total(self) -> int:
        """How many of them this run looks at."""
        return self.photos - self.already

    @property
    def by_reason(self) -> dict[str, int]:
        """Number of refusals by reason, the most frequent first."""
        return dict(Counter(refusal.reason for refusal in self.refused).most_common())

    @property
    def images_per_second(self) -> float | None:
        """Photos looked at per second, enrolled or not; None when there were none."""
        return round(self.total / self.seconds, 2) if self.total and self.seconds else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "layout": self.listing.layout,
            "n_people_found": len(self.listing.names),
            "n_photos": self.photos,
            "n_enrolled": self.enrolled,
            "n_enrolled_already": self.already,
            "refused": [refusal.to_dict() for refusal in self.refused],
            "n_refused_by_reason": self.by_reason,
            "notes": list(self.notes),
            "passed_over": list(self.listing.passed_over),
            "seconds": round(self.seconds, 2),
            "photos_per_second": self.images_per_second,
        }


def enroll_folder(
    gallery: Gallery,
    folder: str | os.PathLike[str] | Listing,
    *,
    layout: str = "auto",
    metadata: Mapping[str, Any] | None = None,
    consent: Consent | None = None,
    choose: bool = False,
    on_low_quality: OnLowQuality = "refuse",
    force: bool = False,
    review: Review | None = None,
    named_from: str | os.PathLike[str] | None = None,
    stream: Stream | None = None,
    progress: Callable[[FolderReport], None] | None = None,
) -> FolderReport:
    """Enroll the photos of many people; each batch is on the disk when it is committed.

    Photos that are enrolled under that name already, by their bytes, are passed over, so the same
    call goes on where one that was interrupted ended. Ctrl-C (KeyboardInterrupt) enrolls what was
    looked at so far before it is passed on.

    Args:
        gallery: open for writing.
        folder: to list, or a listing.
        layout: one of ``LAYOUTS``, as for ``list_folder``.
        metadata: of all these people.
        consent: of all these people: one form that each of them signed, such as a contract.
        choose, on_low_quality, force, review: as for ``Gallery.enroll``.
        named_from: samples and refusals are named by their paths from this folder, for photos that
            will not stay where they are; None: by whole paths, where ``migrate`` finds them.
        stream: as for ``Gallery.examine``.
        progress: called with the report after each photo, and after the last transaction, also
            when that follows an interruption.

    Raises:
        OptionError: no such folder or layout, no photo in it, a bad option.
        GalleryReadOnlyError, GalleryLockedError: what was committed before stays.

    Examples:
        >>> report = enroll_folder(gallery, "staff/")
        >>> report.enrolled, report.by_reason
        (120, {'several faces': 3})
    """
    rules_of(
        gallery.settings.review, review, choose=choose, on_low_quality=on_low_quality, force=force
    )
    listing = folder if isinstance(folder, Listing) else list_folder(folder, layout)
    report = FolderReport(listing)
    tell = _nothing if progress is None else progress
    started = time.perf_counter()
    new = list(not_enrolled(gallery, listing.photos))
    report.already = len(listing.photos) - len(new)
    coming = deque(new)
    batch: list[tuple[str, NewSample]] = []
    whose = ""

    def commit(until: int | None = None) -> None:
        some = batch[:until]
        given = {name: metadata for name, _ in some} if metadata else {}
        consents = {} if consent is None else {name: consent for name, _ in some}
        outcome = gallery.enroll_samples(
            some, metadata=given, consents=consents, force=force, review=review, on_note=noted
        )
        for (name, _), one in zip(some, outcome, strict=True):
            if isinstance(one, Refusal):
                report.refused.append(one)
            else:
                report.enrolled += 1
                report.people.add(name)
        del batch[:until]
        report.seconds = time.perf_counter() - started

    def noted(note: str) -> None:
        if note not in report.notes:
            report.notes.append(note)

    examined = gallery.examine(
        (path for _, path in new),
        choose=choose,
        on_low_quality=on_low_quality,
        review=review,
        stream=stream,
    )
    committed = time.perf_counter()
    try:
        for one in examined:
            name, path = coming.popleft()
            if named_from is not None:
                one = replace(one, source=Path(os.path.relpath(path, named_from)).as_posix())
            whole = name != whose  # all photos of those in the batch were looked at
            late = time.perf_counter() - committed > BATCH_S
            full = len(batch) >= BATCH or (late and bool(batch))
            if (whole and full) or len(batch) >= MOST_OF_A_PERSON:
                commit()
                committed = time.perf_counter()
            whose = name
            if isinstance(one, Refusal):
                report.refused.append(replace(one, person=name))
            else:
                batch.append((name, one))
            report.done += 1
            tell(report)
    except KeyboardInterrupt:
        # The majority of half a folder may be another one: that person is looked at again.
        commit(sum(name != whose for name, _ in batch))
        tell(report)
        raise
    commit()
    tell(report)
    return report


def count_enrolled(gallery: Gallery, listing: Listing) -> int:
    """How many of these photos are enrolled under their names already; reads their bytes."""
    return len(listing.photos) - sum(1 for _ in not_enrolled(gallery, listing.photos))


def list_folder(folder: str | os.PathLike[str], layout: str = "auto") -> Listing:
    """List the photos of a folder by person; opens none of them.

    Args:
        folder: that holds them.
        layout: one of ``LAYOUTS``; "auto" is "folders" where there is a folder with photos,
            else "flat", and passes over folders that are called by a date or as cameras call
            theirs; "folders" takes each for a person.

    Raises:
        OptionError: no such folder or layout, no photo in it, or none that is said to be
            somebody's.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"expected one of {', '.join(LAYOUTS)}, got {layout!r}", option="layout")
    root = Path(folder)
    if not root.is_dir():
        what = "it is a file" if root.exists() else "there is nothing of that name"
        raise OptionError(
            f"{root}: expected a folder, but {what}; check the path"
            f"{did_you_mean(similar_path(root, folders=True))}"
        )
    found: People | None = None
    skipped: tuple[str, ...] = ()
    if layout != "flat":
        name_of_folder = _checked if layout == "folders" else _checked_person
        found = read_people(root, min_people=0, strays="skip", name_of_folder=name_of_folder)
        skipped = found.skipped
    if layout != "folders" and not (found and found.paths):
        found = read_numbered(root, checked_name=_checked)
        # What is said of a photo by its name says more than that it lies beside the folders.
        skipped = (*(words for words in skipped if words.partition(":")[0][-1:] == "/"),
                   *found.skipped)  # fmt: skip
    if found and found.paths:
        return Listing(
            layout="flat" if found.layout == "numbered" else "folders",
            photos=tuple((found.name(i), path) for i, path in enumerate(found.paths)),
            passed_over=skipped,
        )
    raise OptionError(
        f"{root}: expected one folder per person ({root.name}/NAME/1.jpg) or photos named after "
        f"people ({root.name}/NAME_0001.jpg), found {_found(skipped)}"
    )


def _found(skipped: Sequence[str]) -> str:
    """What there is instead of people's photos, and what to do with it."""
    nobody = [words for words in skipped if _NOBODY in words]
    if not nobody:
        return "no photo"
    some = "; ".join(nobody[:2])
    more = f" and {len(nobody) - 2:,} more" if len(nobody) > 2 else ""
    return (
        f"none that is said to be somebody's ({some}{more}): nobody was enrolled; put the photos "
        "of each person into a folder of their own; lineament group finds out which belong "
        "together"
    )


def _checked(name: str) -> str:
    # Names of files that are not UTF-8 come with lone surrogates, which no name may hold.
    return checked_name(name)


def _checked_person(name: str) -> str:
    """The same for a folder, unless it is called as albums are."""
    album = why_album(name)
    if album is not None:
        raise OptionError(f'{_NOBODY}: {album}; the layout "folders" takes it for a person')
    return _checked(name)


def not_enrolled(
    gallery: Gallery, photos: Sequence[tuple[str, Path]]
) -> Iterator[tuple[str, Path]]:
    """The photos that are not enrolled under that name yet, by their bytes."""
    enrolled: dict[str, set[bytes]] = {}
    empty = gallery.n_samples == 0
    for name, path in photos:
        if not empty and name not in enrolled:
            there = gallery.person(name).samples if name in gallery else ()
            enrolled[name] = {one.sha256 for one in there if one.sha256 is not None}
        if enrolled.get(name) and _sha256(path) in enrolled[name]:
            continue
        yield name, path


def _sha256(path: Path) -> bytes | None:
    try:
        return sha256_of_file(path)
    except OSError:  # whoever reads the photo reports it
        return None


def _nothing(_: FolderReport) -> None:
    pass

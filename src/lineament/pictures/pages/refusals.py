"""The page of what was refused: pictures, and beside them those of whom they look like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lineament.files import write_atomically
from lineament.pictures.pages.page import Picture, Section, Table, Tile, page, sentence, thumbnail

if TYPE_CHECKING:
    from lineament.gallery import Gallery, Refusal, SampleInfo
    from lineament.gallery.folder import FolderReport

MOST_PICTURES = 200
"""Of one reason: a page of thousands opens in no browser. The others are listed."""

WHAT_TO_DO = {
    "unreadable": "Not a photo, or a damaged one: replace the file.",
    "no face": "No face was found: use a photo in which it is larger or better lit.",
    "several faces": "Cut the photo, or let one of the faces be chosen: --choose largest or "
    "--choose central.",
    "low quality": "Too small, too blurred, turned too far or too dark for reliable recognition: "
    "use a better photo, or --accept-low-quality.",
    "duplicate": "The same photo of the same person is enrolled already: nothing is missing.",
    "unlike the others": "Unlike the other photos of the person: put it where it belongs, or, if "
    "it shows the person all the same, enroll it by --force.",
    "rejected": "Like a face that was said not to be this person's: put it where it belongs, or "
    "remove that negative example by `lineament gallery rejections`.",
    "someone else": "Looks like somebody else who is enrolled (on the right). Is it the same "
    "person: unite the two by `lineament gallery merge`, or move the photo into the right folder. "
    "Are they two people who look alike: enroll it by --force.",
}


def write_report(path: Path, gallery: Gallery, folder: Path, outcome: FolderReport) -> None:
    """Write the page; a file that exists is replaced."""
    rows = [
        ("photos", f"{outcome.photos:,}"),
        ("people", f"{len(outcome.listing.names):,}"),
        ("enrolled now", f"{outcome.enrolled:,}"),
        ("enrolled already", f"{outcome.already:,}"),
        ("refused", f"{len(outcome.refused):,}"),
        *((f"— {reason}", f"{number:,}") for reason, number in outcome.by_reason.items()),
    ]
    sections = [
        Section(
            "",
            (
                f"Enrolled from {folder} into {gallery.folder}.",
                *(("Nothing was refused.",) if outcome.done and not outcome.refused else ()),
                *outcome.notes,
            ),
            (Table(("", ""), rows, numbers=(1,)),),
        )
    ]
    for reason, number in outcome.by_reason.items():
        some = [one for one in outcome.refused if one.reason == reason]
        left = some[MOST_PICTURES:]
        tables: tuple[Table, ...] = ()
        if left:
            tables = (
                Table(
                    ("photo", "person", "why"),
                    [(one.source, _person(one), one.message) for one in left],
                    caption=f"{len(left):,} more",
                ),
            )
        tiles = tuple(_tile(gallery, one) for one in some[:MOST_PICTURES])
        title = f"{reason.capitalize()}: {number:,}"
        sections.append(Section(title, (WHAT_TO_DO[reason],), tables, tiles=tiles))
    if outcome.listing.passed_over:
        rows_over = [(words,) for words in outcome.listing.passed_over]
        sections.append(Section("Passed over", (), (Table(("",), rows_over),)))
    write_atomically(path, page("What was not enrolled", sections))


def _person(refusal: Refusal) -> str:
    return "" if refusal.person is None else refusal.person


def _named(person: str | None, source: str) -> str:
    """Whose photo it is and which; the name once where the file bears it, too."""
    file = Path(source).name
    return file if file and (not person or file.startswith(person)) else f"{person}: {file}"


def _tile(gallery: Gallery, refusal: Refusal) -> Tile:
    pictures = [thumbnail(refusal.source, alt=f"refused photo of {_person(refusal)}")]
    names = [_named(refusal.person, refusal.source)]
    whose = refusal.other if refusal.reason == "someone else" else None
    if refusal.reason == "duplicate":
        whose = refusal.person
    if whose is not None:
        found = _enrolled(gallery, whose, refusal)
        pictures.append(
            Picture(b"", "image/jpeg", "cannot be shown")
            if found is None
            else _picture(gallery, found)
        )
        names.append(whose if found is None else _named(whose, found.source))
    return Tile(tuple(pictures), tuple(names), sentence(refusal.message))


def _enrolled(gallery: Gallery, name: str, refusal: Refusal) -> SampleInfo | None:
    """The person's enrolled photo; the very same file where there is one."""
    if name not in gallery:
        return None
    samples = gallery.person(name).samples
    same = [one for one in samples if one.source == refusal.source]
    return next(iter([*same, *samples]), None)


def _picture(gallery: Gallery, sample: SampleInfo) -> Picture:
    alt = f"enrolled photo of {sample.person}"
    if sample.source and Path(sample.source).is_file():
        return thumbnail(sample.source, alt=alt)
    crop = gallery.crop(sample.id)
    if crop is None:
        return Picture(b"", "image/jpeg", "the photo is not there any more")
    return Picture(crop, "image/png", alt)

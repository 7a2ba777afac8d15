"""``lineament identify PHOTO...``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import argument, command, option
from lineament.cli.output import (
    count,
    exit_code,
    print_error,
    print_json,
    print_line,
    print_note,
    print_table,
    with_progress,
)
from lineament.cli.sources import many_sources
from lineament.cli.targets import PICTURE, writing
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.gallery import Candidate, Gallery, Identification, IdentifiedPhoto
    from lineament.types import Image, Photo, Threshold

SHOWN_TOP, SHOWN_FPIR = 5, 0.01
"""As ``Gallery.identify`` has them; a test compares."""


@command("lineament identify party.jpg --where building=B")
@argument(
    "photos",
    nargs=-1,
    metavar="PHOTO...",
    help="Files, folders, glob patterns, URLs, or - (stdin).",
)
@option(
    "--top", type=int, metavar="K", default=SHOWN_TOP, show_default=True, help="Candidates a face."
)
@option(
    "--fpir",
    type=float,
    metavar="RATE",
    help="Share of strangers' faces that may get a name.",
    show_default=str(SHOWN_FPIR),
)
@option("--threshold", type=float, metavar="COSINE", help="From which on a face gets a name.")
@options.where
@options.calibration
@option(
    "--save",
    writes=PICTURE,
    metavar="FILE.png",
    help="Draw one photo with names and best matches.",
)
@options.overwrite
@options.gallery
@options.json
@options.recognizer(without=("choose",))
def identify(
    photos: tuple[str, ...],
    top: int,
    fpir: float | None,
    threshold: float | None,
    where: tuple[str, ...],
    save: Path | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> int:
    """Who is in a photo? Every face in it.

    A face gets a name when the most alike person reaches the threshold, which follows the number of
    people searched; otherwise it is unknown. Exit code 0: somebody was identified, 1: nobody was,
    2: error.
    """
    if fpir is not None and threshold is not None:
        raise OptionError("expected --fpir or --threshold, got both")
    from lineament.gallery.filters import parse_filter

    filters = parse_filter(where)
    sources = many_sources(photos)
    if save is not None and len(sources) != 1:
        raise OptionError(f"--save: expected one photo, got {len(sources)}")
    from lineament.cli.gallery import about_gallery, open_with_recognizer

    found: list[IdentifiedPhoto] = []
    errors = 0
    with open_with_recognizer(given, read_only=True) as opened:
        if save is not None:  # found here, so that the pixels are there to draw on
            sources = list(opened.recognizer.finder.stream(sources, keep_pixels=True))
        stream = opened.identify_stream(
            sources,
            top=top,
            fpir=SHOWN_FPIR if fpir is None else fpir,
            threshold=threshold,
            where=filters,
        )
        for photo in with_progress(stream, len(sources), "identifying"):
            found.append(photo)
            if photo.error is not None:
                errors += 1
                print_error(photo.error)
        about = about_gallery(opened)
        if save is not None and found[0].error is None:
            with writing(save, "save"):
                _draw_found(opened, sources[0], found[0], save)
    if json:
        print_json(about | {"photos": [one.to_dict() for one in found], "n_errors": errors})
    else:
        _print_found(found, about)
    return exit_code(errors, any(face.known for one in found for face in one.faces))


def _print_found(found: Sequence[IdentifiedPhoto], about: dict[str, Any]) -> None:
    said: list[str] = []
    first = True
    for photo in found:
        if photo.error is not None:
            continue
        if not photo.faces:
            print_line(f"{photo.source}: no face was found")
            continue
        for number, face in enumerate(photo.faces, 1):
            if not first:
                print_line()
            first = False
            _print_face(photo, number, face)
            text = _threshold_in_words(face.threshold)
            if text not in said:
                said.append(text)
    if said:
        print_line()
    for text in said:
        print_line(f"threshold {text}")
    if not about["n_people"]:
        print_note(f"{about['gallery']}: nobody is enrolled")


def _print_face(photo: IdentifiedPhoto, number: int, face: Identification) -> None:
    which = f", face {number} of {len(photo.faces)}" if len(photo.faces) > 1 else ""
    place = ""
    if face.face is not None and which:
        left, top, _, _ = face.face.box_xyxy
        place = f" at {left:.0f},{top:.0f}"
    print_line(f"{photo.source}{which}{place}: {'unknown' if face.name is None else face.name}")
    if face.candidates:
        rows = [
            (
                f"  {one.rank}",
                one.name,
                f"{one.similarity:.3f}",
                _probability_in_words(one),
                Path(one.sample_source).name,
            )
            for one in face.candidates
        ]
        columns = ("  rank", "person", "similarity", "probability", "photo")
        print_table(columns, rows, right=columns[2:4])
    for words in _facts(face):
        print_line(f"  {words}")


def _threshold_in_words(threshold: Threshold) -> str:
    """The calibration's words begin with the value already."""
    words = threshold.origin
    return words if words.startswith(f"{threshold.value:.3f} ") else str(threshold)


def _facts(face: Identification) -> list[str]:
    """The margin and the notes, a line each."""
    lines = []
    if face.margin is not None:
        lines.append(
            f"margin {face.margin:.3f} to the runner-up, among "
            f"{count(face.n_people, 'person', 'people')}"
        )
    return [*lines, *face.notes]


def _probability_in_words(candidate: Candidate) -> str:
    """In per cent, never rounded to certainty; "-" without a calibration."""
    if candidate.probability is None:
        return "-"
    if candidate.probability < 0.0005:
        return "< 0.1 %"
    if candidate.probability > 0.9995:
        return "> 99.9 %"
    return f"{100 * candidate.probability:.1f} %"


def _draw_found(gallery: Gallery, source: Photo, photo: IdentifiedPhoto, path: Path) -> None:
    from lineament.finder import pixels_of
    from lineament.pictures.identified import CARD_PX, identified_picture, sample_picture
    from lineament.pictures.photos import save_picture

    best: list[Image | None] = []
    words: list[list[str]] = []
    for number, face in enumerate(photo.faces, 1):
        match = face.match if face.match is not None else next(iter(face.candidates), None)
        if match is None:
            best.append(None)
            words.append([f"{number}  unknown", "nobody to compare with"])
            continue
        best.append(sample_picture(gallery, gallery.sample(match.sample), CARD_PX))
        sure = "" if match.probability is None else f", {_probability_in_words(match)}"
        margin = "" if face.margin is None else f"margin {face.margin:.3f}"
        words.append(
            [
                f"{number}  {'unknown' if face.name is None else face.name}",
                f"most alike: {match.name}"
                if face.name is None
                else Path(match.sample_source).name,
                f"similarity {match.similarity:.3f}{sure}",
                f"threshold {face.threshold.value:.3f}",
                margin,
            ]
        )
    save_picture(identified_picture(pixels_of(source), photo, best, words), path)

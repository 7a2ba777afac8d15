"""``lineament identify PHOTO...`` and ``lineament gallery verify NAME PHOTO``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import argument, command, option
from lineament.cli.numbers import COSINE, COUNT, FINITE
from lineament.cli.options import SHOWN_FPIR
from lineament.cli.output import (
    exit_code,
    print_error,
    print_json,
    print_line,
    print_note,
    print_table,
    say_undrawn,
)
from lineament.cli.progress import progress_bar, with_progress
from lineament.cli.sources import many_sources, not_looked_at, one_source
from lineament.cli.targets import PICTURE, write_csv, writing
from lineament.cli.terminal import VERBOSITY
from lineament.errors import OptionError
from lineament.text import counted

if TYPE_CHECKING:
    from lineament.gallery import Candidate, Gallery, Identification, IdentifiedPhoto
    from lineament.gallery.regions import WrittenNames
    from lineament.liveness.passive import LivenessMode
    from lineament.types import Image, Photo

SHOWN_TOP = 5
"""As ``Gallery.identify`` has it; a test compares."""


@command("lineament identify party.jpg --where building=B")
@argument(
    "photos",
    nargs=-1,
    metavar="PHOTO...",
    help="Files, folders, glob patterns, URLs, or - (stdin).",
)
@option(
    "--top",
    type=COUNT,
    metavar="K",
    default=SHOWN_TOP,
    show_default=True,
    help="Candidates a face.",
)
@options.fpir("Share of strangers' faces that may get a name.")
@options.learned
@option("--threshold", type=FINITE, metavar="NUMBER", help="From which on a face gets a name.")
@option(
    "--allow-repeats",
    is_flag=True,
    help="Let faces of one photo be one person: collages.",
    api=["one_person_per_photo"],
)
@options.where
@option("--purpose", metavar="WORDS", help="Search only people who consented to this.")
@options.calibration
@options.liveness
@option(
    "--save",
    writes=PICTURE,
    metavar="FILE.png",
    help="Draw one photo with names and best matches.",
)
@options.write_regions
@options.csv
@options.overwrite
@options.gallery
@options.json
@options.allow_private
@options.recognizer(without=("choose",))
def identify(
    photos: tuple[str, ...],
    top: int,
    fpir: float | None,
    metric: str,
    threshold: float | None,
    where: tuple[str, ...],
    purpose: str | None,
    allow_repeats: bool,
    liveness: LivenessMode,
    save: Path | None,
    write_regions: str | None,
    csv: Path | None,
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
        notes = opened.check_search(filters, purpose=purpose)
        if fpir is not None and opened.settings.threshold is not None:
            notes.append("--fpir changes nothing: the gallery's settings have a threshold")
        if save is not None:  # found here, so that the pixels are there to draw on
            sources = list(opened.recognizer.finder.stream(sources, keep_pixels=True))
        stream = opened.identify_stream(
            sources,
            top=top,
            fpir=SHOWN_FPIR if fpir is None else fpir,
            threshold=threshold,
            where=filters,
            purpose=purpose,
            one_person_per_photo=not allow_repeats,
            metric=metric,
            liveness=liveness,
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
    if csv is not None:
        with writing(csv, "csv"):
            write_csv(csv, (row for photo in found for row in photo.to_rows()))
    noted = None if write_regions is None else _note(found, write_regions)
    errors += 0 if noted is None else len(noted.failed)
    if json:
        about |= {} if noted is None else {"regions": noted.to_dict()}
        about |= {"n_searched": _n_searched(found), "notes": notes} | not_looked_at()
        print_json(about | {"photos": [one.to_dict() for one in found], "n_errors": errors})
    else:
        _print_found(found, verbose=VERBOSITY.verbose, quiet=VERBOSITY.quiet)
        for note in notes:
            print_note(f"note: {note}")
    return exit_code(errors, any(face.known for one in found for face in one.faces))


def _note(found: Sequence[IdentifiedPhoto], into: str) -> WrittenNames:
    """Write who was identified to the photos' face regions."""
    from lineament.cli.group import say_noted
    from lineament.gallery.regions import write_names

    faces = [
        (photo.source, face.face.box_xyxy.tolist(), face.name)
        for photo in found
        for face in photo.faces
        if face.name is not None and face.face is not None
    ]
    with progress_bar("writing names") as show:
        noted = write_names(faces, into, progress=show)
    say_noted(noted)
    return noted


def _n_searched(found: Sequence[IdentifiedPhoto]) -> int | None:
    """Among how many people was searched; None when there was no face to search for."""
    return next((face.n_searched for photo in found for face in photo.faces), None)


def _print_found(found: Sequence[IdentifiedPhoto], *, verbose: bool, quiet: bool) -> None:
    """All about one face, one line for each of several; as ``--verbose`` and ``--quiet`` say."""
    readable = [photo for photo in found if photo.error is None]
    n_faces = sum(len(photo.faces) for photo in readable)
    if quiet or (n_faces > 1 and not verbose):
        _print_lines(readable)
    else:
        first = True
        for photo in readable:
            for number, face in enumerate(photo.faces, 1):
                if not first:
                    print_line()
                first = False
                _print_face(photo, number, face)
    for photo in readable:
        if not photo.faces:
            print_line(f"{photo.source}: no face was found")
    if quiet:
        return
    said = dict.fromkeys(str(face.threshold) for photo in readable for face in photo.faces)
    if said:
        print_line()
    for text in said:
        print_line(f"threshold {text}")
    if n_faces > 1 and not verbose:
        print_note("--verbose shows all candidates and notes of every face")


def _print_lines(found: Sequence[IdentifiedPhoto]) -> None:
    """A table: one line for each face."""
    columns = ("photo", "face", "person", "similarity", "probability", "why")
    rows = []
    for photo in found:
        for number, face in enumerate(photo.faces, 1):
            best = _best(face)
            rows.append(
                (
                    photo.source,
                    str(number),
                    "unknown" if face.name is None else face.name,
                    "-" if best is None else f"{best.similarity:.3f}",
                    "-" if best is None else best.probability_in_words,
                    _why(face),
                )
            )
    if rows:
        print_table(columns, rows, right=(columns[1], *columns[3:5]))


def _best(face: Identification) -> Candidate | None:
    return face.match if face.match is not None else next(iter(face.candidates), None)


_WHY = {
    "nobody_searched": "nobody was searched",
    "below_threshold": "below the threshold; most alike",
    "low_quality": "too poor to tell; most alike",
    "same_photo": "another face of this photo is",
    "rejected": "said not to be; most alike",
    "children": "both look like children; most alike",
    "not_live": "not live; most alike",
}


def _why(face: Identification) -> str:
    """Why a face is unknown, in a few words; "" when it has a name."""
    if face.reason is None:
        return ""
    best = _best(face)
    return _WHY[face.reason] + ("" if best is None else f" {best.name}")


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
                one.probability_in_words,
                Path(one.sample_source).name,
            )
            for one in face.candidates
        ]
        columns = ("  rank", "person", "similarity", "probability", "photo")
        print_table(columns, rows, right=columns[2:4])
    for words in _facts(face):
        print_line(f"  {words}")


def _facts(face: Identification) -> list[str]:
    """Why it is unknown, the margin, and the notes, a line each."""
    lines = [face.reason_in_words] if face.reason is not None else []
    if face.margin is not None:
        lines.append(
            f"margin {face.margin:.3f} to the runner-up, among "
            f"{counted(face.n_searched, 'person', 'people')}"
        )
    elif face.candidates:
        lines.append(f"among {counted(face.n_searched, 'person', 'people')}")
    return [*lines, *face.notes]


def _draw_found(gallery: Gallery, source: Photo, photo: IdentifiedPhoto, path: Path) -> None:
    from lineament.finder import pixels_of
    from lineament.pictures.identified import CARD_PX, identified_picture, sample_picture
    from lineament.pictures.photos import save_picture

    best: list[Image | None] = []
    words: list[list[str]] = []
    for number, face in enumerate(photo.faces, 1):
        match = _best(face)
        if match is None:
            best.append(None)
            words.append([f"{number}  unknown", _why(face)])
            continue
        best.append(sample_picture(gallery, gallery.sample(match.sample), CARD_PX))
        sure = "" if match.probability is None else f", {match.probability_in_words}"
        margin = "" if face.margin is None else f"margin {face.margin:.3f}"
        words.append(
            [
                f"{number}  {'unknown' if face.name is None else face.name}",
                Path(match.sample_source).name if face.name is not None else _why(face),
                f"similarity {match.similarity:.3f}{sure}",
                f"threshold {face.threshold.value:.3f}",
                margin,
            ]
        )
    save_picture(identified_picture(pixels_of(source), photo, best, words), path)
    say_undrawn(line for lines in words for line in lines)


# --- one person -----------------------------------------------------------------------------------


@command('lineament gallery verify "Ada Lovelace" door.jpg', name="verify")
@argument("name", metavar="NAME", help="Who it is said to be.")
@argument("photo", metavar="PHOTO", help="A file, a URL, or - (stdin).")
@options.fmr
@option("--threshold", type=COSINE, metavar="COSINE", help="From which on it is the person.")
@option("--purpose", metavar="WORDS", help="Compare only if the person consented to this.")
@options.calibration
@options.box
@options.liveness
@options.gallery
@options.json
@options.allow_private
@options.recognizer()
def verify_person(
    name: str,
    photo: str,
    fmr: float | None,
    threshold: float | None,
    purpose: str | None,
    box: tuple[float, float, float, float] | None,
    liveness: LivenessMode,
    json: bool,
    **given: Any,
) -> int:
    """Is a photo of this person?

    The most alike of the person's photos decides; the threshold follows their number. Exit code 0:
    it is, 1: it is not, or that is undecided or not live, 2: error.
    """
    if fmr is not None and threshold is not None:
        raise OptionError("expected --fmr or --threshold, got both")
    from lineament.cli.gallery import about_gallery, open_with_recognizer
    from lineament.cli.recognize import print_decision

    with open_with_recognizer(given, read_only=True) as opened:
        person = opened.person(name)
        decision = opened.verify(
            person.name,
            one_source(photo),
            fmr=fmr,
            threshold=threshold,
            liveness=liveness,
            purpose=purpose,
            box=box,
        )
        about = about_gallery(opened)
    if json:
        told = {"person": person.name, "n_samples_of_person": person.n_samples}
        print_json(about | told | decision.to_dict())
    else:
        words = {"same": "this is", "different": "this is not", "undecided": "undecided:"}
        words["not_live"] = "not live, so nothing is said of"
        print_line(f"{words[decision.verdict]} {person.name}")
        print_decision(decision)
    return 0 if decision.verdict == "same" else 1

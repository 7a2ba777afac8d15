"""``lineament find PHOTO FOLDER...``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.numbers import COUNT, FINITE
from lineament.cli.options import SHOWN_FPIR
from lineament.cli.output import (
    exit_code,
    print_error,
    print_json,
    print_line,
    print_note,
    print_table,
)
from lineament.cli.progress import progress_bar
from lineament.cli.sources import one_source
from lineament.cli.targets import PICTURE, writing
from lineament.text import counted, probability_in_words

if TYPE_CHECKING:
    from lineament.gallery.find import FindResult
    from lineament.pipeline import Recognizer
    from lineament.types import Photo

SHOWN_TOP = 10
"""``--top`` is for a screen; in Python all are returned."""


@command("lineament find obama.jpg ~/Pictures --save found.png")
@argument("photo", metavar="PHOTO", help="Who is looked for: a file, a URL, or - (stdin).")
@argument("folders", nargs=-1, metavar="FOLDER...", help="Where: folders, files, glob patterns.")
@option(
    "--top",
    type=COUNT,
    metavar="K",
    default=SHOWN_TOP,
    show_default=True,
    help="So many photos, the most alike first.",
)
@options.fpir("Share of searches for people in none of the photos that may find somebody.")
@options.learned
@option("--threshold", type=FINITE, metavar="NUMBER", help="From which on it is the same person.")
@options.calibration
@option("--save", type=FILE, metavar="FILE.png", writes=PICTURE, help="Draw the most alike faces.")
@options.overwrite
@options.no_cache
@options.json
@options.allow_private
@options.recognizer()
def find(
    photo: str,
    folders: tuple[str, ...],
    top: int,
    fpir: float | None,
    metric: str,
    threshold: float | None,
    save: Path | None,
    overwrite: bool,
    no_cache: bool,
    json: bool,
    **given: Any,
) -> int:
    """Find the photos of a folder that show the person of a photo.

    All faces of each photo are compared; the photos are listed by the face that is most alike. The
    threshold follows the number of faces. Faces are kept in the cache folder, so that the second
    time takes seconds. Exit code 0: the person was found, 1: in no photo, 2: error.
    """
    from lineament.errors import OptionError
    from lineament.gallery.find import find as find_photos

    if fpir is not None and threshold is not None:
        raise OptionError("expected --fpir or --threshold, got both")
    recognizer = options.recognizer_from(given)
    (query,) = recognizer.stream_chosen([one_source(photo)], keep_pixels=save is not None)
    query.require()
    with progress_bar("looking for the face") as advance:
        found = find_photos(
            query,
            folders,
            recognizer=recognizer,
            top=top,
            fpir=SHOWN_FPIR if fpir is None else fpir,
            threshold=threshold,
            metric=metric,
            cache=not no_cache,
            progress=advance,
        )
    for source, error in found.failed:
        text = str(error)
        print_error(text if source in text else f"{source}: {text}")
    if save is not None and found.photos:
        with writing(save, "save"):
            _draw(save, query, found, recognizer)
    if json:
        print_json({**found.to_dict(), "n_errors": len(found.failed)})
    else:
        _print_found(found)
    return exit_code(len(found.failed), found.n_same > 0)


def _print_found(found: FindResult) -> None:
    if found.photos:
        columns = ("similarity", "probability", "verdict", "face", "photo")
        rows = [
            (
                f"{one.similarity:.3f}",
                probability_in_words(one.probability),
                one.verdict,
                f"{one.face + 1} of {one.n_faces}",
                one.source,
            )
            for one in found.photos
        ]
        print_table(columns, rows, right=columns[:2])
        print_line()
    print_line(found.in_words)
    print_line(f"threshold {found.threshold}")
    doubts = list(dict.fromkeys(r for one in found.photos for r in one.decision.reasons))
    for reason in doubts[:5]:
        print_note(f"undecided: {reason}")
    if found.left_out:
        print_note(f"left out, since it is the photo itself: {', '.join(found.left_out)}")
    if found.n_cached:
        print_note(f"{counted(found.n_cached, 'photo')} of these from the cache (--no-cache)")


def _draw(path: Path, query: Photo, found: FindResult, recognizer: Recognizer) -> None:
    from lineament.errors import LineamentError
    from lineament.images import load_image
    from lineament.pictures.identified import CARD_PX, cut_out, found_picture
    from lineament.pictures.photos import save_picture

    assert query.pixels is not None
    assert query.face is not None
    cards = []
    for one in found.photos:
        face = one.decision.face_b
        try:
            image = load_image(one.source, limits=recognizer.finder.limits)
            assert face is not None
            picture = cut_out(image, face.box_xyxy.tolist(), CARD_PX)
        except LineamentError:  # it was removed meanwhile
            picture = None
        words = [
            f"{one.rank}  {one.verdict}",
            Path(one.source).name,
            f"similarity {one.similarity:.3f}, {probability_in_words(one.probability)}",
            f"threshold {found.threshold.value:.3f}",
        ]
        cards.append((picture, one.verdict == "same", words))
    wanted = cut_out(query.pixels, query.face.box_xyxy.tolist(), CARD_PX)
    save_picture(found_picture(wanted, cards), path)

"""``lineament plot`` of many faces: barcode, correlation, grid, histogram, tsne, pose, report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.eval import source_from
from lineament.cli.numbers import MOST, Number
from lineament.cli.output import print_json, print_line, print_note
from lineament.cli.plot import FORMATS, check_extra, finish, out_, threshold_, threshold_of, title_
from lineament.cli.progress import with_progress
from lineament.cli.sources import many_sources, not_looked_at, say_not_looked_at_in
from lineament.cli.targets import PAGE, writing
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.datasets.source import RecognizerSource
    from lineament.explain.faces import Faces
    from lineament.types import Threshold

_photos = argument(
    "photos",
    nargs=-1,
    type=FILE,
    metavar="DIR",
    help="Folder with one folder of photos per person; or a folder of photos, or some.",
)

LADDER = (1e-2, 1e-3, 1e-4, 1e-5)
"""False match rates of which it is said which a pair still passes."""


CROPS_UP_TO = 60
"""Of so few photos all crops are kept; of more, those that are shown are read again."""


def _threshold_or_none(
    source: RecognizerSource, fmr: float | None, value: float | None
) -> Threshold | None:
    """The same; None when the recognizer has none and none is asked for."""
    try:
        return threshold_of(source.recognizer, fmr, value)
    except OptionError as error:
        if fmr is not None or value is not None:
            raise
        print_note(f"note: no threshold is drawn: {error}")
        return None


def _ladder_of(source: RecognizerSource) -> list[Threshold]:
    """The thresholds for the rates of ``LADDER``, as far as there are any."""
    found: list[Threshold] = []
    for fmr in LADDER:
        try:
            found.append(source.recognizer.threshold(fmr=fmr))
        except OptionError:
            continue
    return found


def _load(
    photos: tuple[Path, ...],
    source: RecognizerSource,
    *,
    crops_up_to: int,
    most: int | None = None,
    seed: int = 0,
) -> Faces:
    """Read the faces; what is left out is said on stderr.

    Args:
        photos: the argument.
        source: embeds.
        crops_up_to: with more photos the embeddings come from the cache, without crops.
        most: more are sampled.
        seed: of the sample.
    """
    from lineament.explain.faces import load_people, photos_in

    number = len(photos_in(list(photos)))
    say_not_looked_at_in(*photos)
    shown = number if most is None else min(number, most)
    faces = load_people(
        list(photos),
        source,
        keep_crops=shown <= crops_up_to,
        most=most,
        seed=seed,
        progress=with_progress,
    )
    for path, why in faces.left_out:
        print_note(f"left out: {path}: {why}" if str(path) not in why else f"left out: {why}")
    return faces


@command("lineament plot barcode a.jpg a2.jpg b.jpg")
@argument(
    "photos",
    nargs=-1,
    type=FILE,
    metavar="DIR | A B [C]",
    help="A folder, of which a true and a false pair are picked; or two photos, or three: "
    "then A and C are the other pair.",
)
@out_("barcode")
@options.overwrite
@options.fmr
@threshold_
@options.no_cache
@options.json
@options.recognizer()
def barcode(
    photos: tuple[Path, ...],
    out: Path | None,
    fmr: float | None,
    threshold: float | None,
    no_cache: bool,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """Embeddings as barcodes: a true pair and a false one.

    With the squared difference of the two.
    """
    check_extra()
    from lineament.explain.faces import with_crops
    from lineament.pictures.plots.barcode import barcode as draw
    from lineament.pictures.plots.barcode import pick_pairs

    one_folder = len(photos) == 1
    if not one_folder and len(photos) > 3:
        raise OptionError(f"expected a folder, or 2 or 3 photos, got {len(photos)}")
    source = source_from(given, no_cache=no_cache)
    limit = _threshold_or_none(source, fmr, threshold)
    known = _load(photos, source, crops_up_to=CROPS_UP_TO)
    if one_folder:
        picked = pick_pairs(known)
        rows = list(dict.fromkeys(row for pair in picked for row in pair))
        known = known.select(rows)
        if known.crops is None:
            known = with_crops(known, source.recognizer)
        pairs = [(rows.index(a), rows.index(b)) for a, b in picked]
    elif known.left_out:
        raise OptionError("expected a face in each photo; see above which has none")
    else:
        pairs = [(0, other) for other in range(1, len(known))]
    finish(draw(known, pairs=pairs, threshold=limit), out, json)


@command("lineament plot correlation ~/staff")
@_photos
@out_("correlation")
@options.overwrite
@options.fmr
@threshold_
@options.no_cache
@options.json
@options.recognizer()
def correlation(
    photos: tuple[Path, ...],
    out: Path | None,
    fmr: float | None,
    threshold: float | None,
    no_cache: bool,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """How alike people are, and who passes for whom.

    Who could unlock whose phone, at which rates.
    """
    check_extra()
    from lineament.explain.faces import portraits
    from lineament.pictures.plots.correlation import correlation as draw
    from lineament.pictures.plots.correlation import listed_people

    source = source_from(given, no_cache=no_cache)
    limit = _threshold_or_none(source, fmr, threshold)
    known = _load(photos, source, crops_up_to=0)
    shown = {}
    if out is not None and len(known.names) > 1:
        shown = portraits(known, listed_people(known), source)
    plot = draw(known, threshold=limit, ladder=_ladder_of(source), portraits=shown)
    finish(plot, out, json)


@command("lineament plot grid ~/staff --most 40")
@_photos
@out_("grid")
@options.overwrite
@option(
    "--most",
    type=Number(2, 150, whole=True),
    metavar="N",
    default=60,
    show_default=True,
    help="More photos are sampled, N of them.",
)
@options.fmr
@threshold_
@options.seed
@options.json
@options.recognizer()
def grid(
    photos: tuple[Path, ...],
    out: Path | None,
    most: int,
    fmr: float | None,
    threshold: float | None,
    seed: int,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """Similarity of every pair of photos, with the faces."""
    check_extra()
    from lineament.pictures.plots.grid import grid as draw

    source = source_from(given)
    limit = _threshold_or_none(source, fmr, threshold)
    known = _load(photos, source, crops_up_to=most, most=most, seed=seed)
    finish(draw(known, threshold=limit, most=most, seed=seed), out, json)


@command("lineament plot histogram ~/staff --person Ada")
@_photos
@out_("histogram")
@options.overwrite
@option(
    "--person",
    multiple=True,
    metavar="NAME",
    help="Whose; may be given several times.",
    show_default="the 6 with most photos",
)
@options.fmr
@threshold_
@options.no_cache
@options.json
@options.recognizer()
def histogram(
    photos: tuple[Path, ...],
    out: Path | None,
    person: tuple[str, ...],
    fmr: float | None,
    threshold: float | None,
    no_cache: bool,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """How far everybody lies from one person's mean.

    With the rates at the threshold.
    """
    check_extra()
    from lineament.explain.faces import portraits
    from lineament.pictures.plots.histogram import chosen_people
    from lineament.pictures.plots.histogram import histogram as draw

    source = source_from(given, no_cache=no_cache)
    limit = _threshold_or_none(source, fmr, threshold)
    known = _load(photos, source, crops_up_to=0)
    names = list(person) if person else None
    chosen, _ = chosen_people(known, names)
    shown = portraits(known, chosen, source) if out is not None else {}
    plot = draw(known, people=names, threshold=limit, portraits=shown)
    finish(plot, out, json)


@command("lineament plot tsne ~/staff --out people.html")
@_photos
@out_("tsne", (*FORMATS, ".html"))
@options.overwrite
@option("--method", choices=("tsne", "pca", "umap"), default="tsne", help="How the plane is found.")
@options.seed
@options.no_cache
@options.json
@options.recognizer()
def tsne(
    photos: tuple[Path, ...],
    out: Path | None,
    method: str,
    seed: int,
    no_cache: bool,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """Faces on a plane, those that are alike near each other.

    An .html file shows them under the mouse.
    """
    check_extra()
    from lineament.pictures.plots.tsne import MOST_FACES, MOST_POINTS
    from lineament.pictures.plots.tsne import tsne as draw

    source = source_from(given, no_cache=no_cache)
    known = _load(photos, source, crops_up_to=MOST_FACES, most=MOST_POINTS, seed=seed)
    page = out is not None and out.suffix.lower() == ".html"
    plot = draw(known, method=cast("Any", method), seed=seed, page=page, threads=given["threads"])
    finish(plot, out, json)


def _refuse_people(photos: tuple[str, ...], sources: list[Any]) -> None:
    """Raise OptionError for a folder of people, who would be taken for one person."""
    for photo in photos:
        whole = Path(photo).absolute()
        below = [Path(s).absolute() for s in sources if isinstance(s, (str, os.PathLike))]
        inside = [p.relative_to(whole).parts for p in below if whole in p.parents]
        folders = sorted({parts[0] for parts in inside if len(parts) > 1})
        if len(folders) > 1:
            raise OptionError(
                f"expected the photos of one person, {photo} holds {len(folders)} folders",
                hint=f"; name one of them, such as {Path(photo) / folders[0]}",
            )


@command("lineament plot pose ~/staff/Ada --by norm")
@argument("photos", nargs=-1, metavar="PHOTOS...", help="A person's photos: a folder, or files.")
@option(
    "--by",
    choices=("yaw", "norm"),
    default="yaw",
    help="Order: the turn of the head, or how much is seen of the face (covered or not).",
)
@option(
    "--reference",
    metavar="PHOTO",
    help="What they are held against.",
    show_default="the least turned of them",
)
@option(
    "--most",
    type=Number(2, MOST, whole=True),
    metavar="N",
    default=24,
    show_default=True,
    help="Faces to show; others are sampled.",
)
@title_
@options.fmr
@threshold_
@options.calibration
@out_("pose")
@options.overwrite
@options.json
@options.allow_private
@options.recognizer()
def pose(
    photos: tuple[str, ...],
    by: str,
    reference: str | None,
    most: int,
    title: str,
    fmr: float | None,
    threshold: float | None,
    out: Path | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """A person's photos by the turn of the head.

    Or by how much is seen of the face.
    """
    sources = many_sources(photos)
    _refuse_people(photos, sources)
    check_extra()
    from lineament.explain import compare_poses
    from lineament.pictures.plots.pose import pose as draw

    recognizer = options.recognizer_from(given)
    seen = list(with_progress(recognizer.stream_chosen(sources), len(sources), "looking at faces"))
    for photo in seen:
        if photo.error is not None:
            print_note(f"note: {photo.error}")
    against = None
    if reference is not None:
        (against,) = recognizer.stream_chosen([reference])
    folder = Path(photos[0])
    if not title and len(photos) == 1 and folder.is_dir():
        title = folder.absolute().name.replace("_", " ")
    poses = compare_poses(
        seen,
        threshold_of(recognizer, fmr, threshold),
        recognizer.judge,
        by=cast("Any", by),
        reference=against,
    )
    plot = draw(poses, title=title, most=most)
    if not json:
        print_line(plot.numbers["summary"])
    finish(plot, out, json)


@command("lineament plot report ~/staff --out staff.html")
@options.people_folder
@options.fmr
@threshold_
@options.calibration
@options.seed
@options.no_cache
@out_("report", PAGE.suffixes)
@options.overwrite
@options.json
@options.recognizer()
def report(
    folder: Path,
    fmr: float | None,
    threshold: float | None,
    seed: int,
    no_cache: bool,
    out: Path | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """All pictures of a folder of people as one page.

    The page starts with a summary in words.
    """
    check_extra()
    from lineament.report import report as draw

    recognizer = options.recognizer_from(given)
    say_not_looked_at_in(folder)
    made = draw(
        folder,
        recognizer,
        threshold=threshold_of(recognizer, fmr, threshold),
        seed=seed,
        use_cache=not no_cache,
        progress=with_progress,
        on_note=print_note,
    )
    if out is not None:
        with writing(out, "out"):
            made.save(out)
    if json:
        print_json(made.numbers | not_looked_at())
    else:
        for words in made.numbers["summary"]:
            print_line(words)

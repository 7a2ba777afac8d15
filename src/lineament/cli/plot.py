"""``lineament plot NAME ...``: one command a picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.eval import source_from
from lineament.cli.output import check_page, print_json, print_note, refuse_inputs, with_progress
from lineament.cli.sources import check_stdin, many_sources, one_source
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.datasets.source import RecognizerSource
    from lineament.explain.faces import Faces
    from lineament.pictures.plots.plot import Plot
    from lineament.pipeline import Recognizer
    from lineament.types import Threshold

_out = option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Where the picture goes: .png, .svg or .pdf, with some also .html; replaces FILE.",
    show_default="the command's name.png here; none with --json",
    api=["path"],
)
_title = option(
    "--title", metavar="TEXT", default="", help="Above the picture; a default if empty."
)
_threshold = option("--threshold", type=float, metavar="COSINE", help="The threshold itself.")
_photo = argument("photo", metavar="PHOTO", help="A file, a URL, or - (stdin).")
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


# --- what the commands share ----------------------------------------------------------------------


def _threshold_of(recognizer: Recognizer, fmr: float | None, value: float | None) -> Threshold:
    """The threshold that the options ask for, or else the default one.

    Raises:
        OptionError: --fmr and --threshold together, or a rate for which there is no threshold.
    """
    if fmr is not None and value is not None:
        raise OptionError("expected --fmr or --threshold, got both")
    return recognizer.threshold(fmr=fmr, value=value)


def _threshold_or_none(
    source: RecognizerSource, fmr: float | None, value: float | None
) -> Threshold | None:
    """The same; None when the recognizer has none and none is asked for."""
    try:
        return _threshold_of(source.recognizer, fmr, value)
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


def _inputs_of(photos: Iterable[Path]) -> list[Path]:
    """All photos that the argument stands for."""
    from lineament.explain.faces import photos_in

    return photos_in(list(photos))


def _check_out(
    out: Path | None, name: str, json: bool, *, html: bool = False, inputs: Iterable[object] = ()
) -> Path | None:
    """Where the picture goes; None: nowhere, since only the numbers are asked for.

    Called before the long work, so that what cannot be written is refused at once.

    Args:
        out: the option.
        name: of the command, for the default.
        json: the option.
        html: whether the picture has a page.
        inputs: photos that are read, and must not be replaced.

    Raises:
        OptionError: another ending, no such folder, or one of the photos.
        MissingExtraError: matplotlib is missing.
    """
    from lineament.pictures.charts.files import check_extra
    from lineament.pictures.plots.plot import check_path

    check_extra()
    if out is None:
        if json:
            return None
        out = Path(f"{name}.png")
    check_path(out, html=html)
    refuse_inputs(out, inputs, "--out")
    return out


def _finish(plot: Plot, out: Path | None, json: bool) -> None:
    """Write the picture and print the numbers, as far as they are asked for."""
    from lineament.pictures.plots.plot import save

    if out is not None:
        save(plot, out)
    if json:
        print_json(plot.numbers)
    if out is not None:
        print_note(f"wrote {out}")


# --- one face, or two -----------------------------------------------------------------------------


@command("lineament plot alignment a.jpg --out alignment.svg")
@_photo
@_title
@_out
@options.json
@options.recognizer()
def alignment(photo: str, title: str, out: Path | None, json: bool, **given: Any) -> None:
    """How a face is aligned, stage by stage."""
    target = _check_out(out, "alignment", json, inputs=[photo])
    from lineament.explain import alignment_stages
    from lineament.pictures.plots.alignment import alignment as draw

    aligned = alignment_stages(options.recognizer_from(given), one_source(photo))
    plot = draw(aligned, title=title)
    _finish(plot, target, json)


@command("lineament plot explain a.jpg b.jpg --out why.png")
@options.pair
@option("--fill", choices=("blur", "gray"), default="blur", help="What the face is covered with.")
@_title
@options.fmr
@_threshold
@options.calibration
@_out
@options.json
@options.recognizer()
def explain(
    a: str,
    b: str,
    fill: str,
    title: str,
    fmr: float | None,
    threshold: float | None,
    out: Path | None,
    json: bool,
    **given: Any,
) -> None:
    """Which regions of two faces carry the decision.

    And what would change it.
    """
    check_stdin(a, b)
    target = _check_out(out, "explain", json, inputs=[a, b])
    from lineament.explain import explain as work
    from lineament.pictures import plots

    recognizer = options.recognizer_from(given)
    explanation = work(
        recognizer,
        one_source(a),
        one_source(b),
        threshold=_threshold_of(recognizer, fmr, threshold),
        fill=cast("Any", fill),
    )
    plot = plots.explain(explanation, title=title)
    if not json:
        print(plot.numbers["decision"]["explanation"])
        for words in plot.numbers["what_would_change"]:
            print(words)
    _finish(plot, target, json)


@command("lineament plot occlusion a.jpg --kind mask --kind blur")
@_photo
@option(
    "--reference",
    metavar="PHOTO",
    help="Another photo of the same person.",
    show_default="the photo as it is",
)
@option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="KIND",
    help="mask, sunglasses, blur, darkness, rotation or resolution; may be repeated.",
    show_default="all of them",
)
@_title
@options.fmr
@_threshold
@options.calibration
@_out
@options.json
@options.recognizer()
def occlusion(
    photo: str,
    reference: str | None,
    kinds: tuple[str, ...],
    title: str,
    fmr: float | None,
    threshold: float | None,
    out: Path | None,
    json: bool,
    **given: Any,
) -> None:
    """A photo made worse in steps: what it bears.

    How much of a mask, of blur, of darkness ... recognition still bears.
    """
    target = _check_out(out, "occlusion", json, inputs=[photo, reference])
    from lineament.explain import KINDS, degrade
    from lineament.pictures.plots.occlusion import occlusion as draw

    recognizer = options.recognizer_from(given)
    degraded = degrade(
        recognizer,
        one_source(photo),
        reference=None if reference is None else one_source(reference),
        kinds=kinds if kinds else KINDS,
        threshold=_threshold_of(recognizer, fmr, threshold),
    )
    plot = draw(degraded, title=title)
    if not json:
        for kind, series in plot.numbers["series"].items():
            end = series["fails_at"]
            fails = "no step fails" if end is None else f"fails first at {end:g}"
            print(f"{kind}: {fails} ({series['unit']})")
    _finish(plot, target, json)


# --- many faces -----------------------------------------------------------------------------------


@command("lineament plot barcode a.jpg a2.jpg b.jpg")
@argument(
    "photos",
    nargs=-1,
    type=FILE,
    metavar="DIR | A B [C]",
    help="A folder, of which a true and a false pair are picked; or two photos, or three: "
    "then A and C are the other pair.",
)
@_out
@options.fmr
@_threshold
@options.no_cache
@options.json
@options.recognizer()
def barcode(
    photos: tuple[Path, ...],
    out: Path | None,
    fmr: float | None,
    threshold: float | None,
    no_cache: bool,
    json: bool,
    **given: Any,
) -> None:
    """Embeddings as barcodes: a true pair and a false one.

    With the squared difference of the two.
    """
    target = _check_out(out, "barcode", json, inputs=_inputs_of(photos))
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
    _finish(draw(known, pairs=pairs, threshold=limit), target, json)


@command("lineament plot correlation ~/staff")
@_photos
@_out
@options.fmr
@_threshold
@options.no_cache
@options.json
@options.recognizer()
def correlation(
    photos: tuple[Path, ...],
    out: Path | None,
    fmr: float | None,
    threshold: float | None,
    no_cache: bool,
    json: bool,
    **given: Any,
) -> None:
    """How alike people are, and who passes for whom.

    Who could unlock whose phone, at which rates.
    """
    target = _check_out(out, "correlation", json, inputs=_inputs_of(photos))
    from lineament.explain.faces import portraits
    from lineament.pictures.plots.correlation import correlation as draw
    from lineament.pictures.plots.correlation import listed_people

    source = source_from(given, no_cache=no_cache)
    limit = _threshold_or_none(source, fmr, threshold)
    known = _load(photos, source, crops_up_to=0)
    shown = {}
    if target is not None and len(known.names) > 1:
        shown = portraits(known, listed_people(known), source)
    plot = draw(known, threshold=limit, ladder=_ladder_of(source), portraits=shown)
    _finish(plot, target, json)


@command("lineament plot grid ~/staff --most 40")
@_photos
@_out
@option(
    "--most",
    type=click.IntRange(2, 150),
    metavar="N",
    default=60,
    show_default=True,
    help="More photos are sampled, N of them.",
)
@options.fmr
@_threshold
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
    json: bool,
    **given: Any,
) -> None:
    """Similarity of every pair of photos, with the faces."""
    target = _check_out(out, "grid", json, inputs=_inputs_of(photos))
    from lineament.pictures.plots.grid import grid as draw

    source = source_from(given)
    limit = _threshold_or_none(source, fmr, threshold)
    known = _load(photos, source, crops_up_to=most, most=most, seed=seed)
    _finish(draw(known, threshold=limit, most=most, seed=seed), target, json)


@command("lineament plot histogram ~/staff --person Ada")
@_photos
@_out
@option(
    "--person",
    multiple=True,
    metavar="NAME",
    help="Whose; may be given several times.",
    show_default="the 6 with most photos",
)
@options.fmr
@_threshold
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
    json: bool,
    **given: Any,
) -> None:
    """How far everybody lies from one person's mean.

    With the rates at the threshold.
    """
    target = _check_out(out, "histogram", json, inputs=_inputs_of(photos))
    from lineament.explain.faces import portraits
    from lineament.pictures.plots.histogram import chosen_people
    from lineament.pictures.plots.histogram import histogram as draw

    source = source_from(given, no_cache=no_cache)
    limit = _threshold_or_none(source, fmr, threshold)
    known = _load(photos, source, crops_up_to=0)
    names = list(person) if person else None
    chosen, _ = chosen_people(known, names)
    shown = portraits(known, chosen, source) if target is not None else {}
    plot = draw(known, people=names, threshold=limit, portraits=shown)
    _finish(plot, target, json)


@command("lineament plot tsne ~/staff --out people.html")
@_photos
@_out
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
    json: bool,
    **given: Any,
) -> None:
    """Faces on a plane, those that are alike near each other.

    An .html file shows them under the mouse.
    """
    target = _check_out(out, "tsne", json, html=True, inputs=_inputs_of(photos))
    from lineament.pictures.plots.tsne import MOST_FACES, MOST_POINTS
    from lineament.pictures.plots.tsne import tsne as draw

    source = source_from(given, no_cache=no_cache)
    known = _load(photos, source, crops_up_to=MOST_FACES, most=MOST_POINTS, seed=seed)
    page = target is not None and target.suffix.lower() == ".html"
    plot = draw(known, method=cast("Any", method), seed=seed, page=page, threads=given["threads"])
    _finish(plot, target, json)


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
    type=click.IntRange(min=2),
    metavar="N",
    default=24,
    show_default=True,
    help="Faces to show; others are sampled.",
)
@_title
@options.fmr
@_threshold
@options.calibration
@_out
@options.json
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
    json: bool,
    **given: Any,
) -> None:
    """A person's photos by the turn of the head.

    Or by how much is seen of the face.
    """
    sources = many_sources(photos)
    target = _check_out(out, "pose", json, inputs=[*sources, reference])
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
        _threshold_of(recognizer, fmr, threshold),
        recognizer.judge,
        by=cast("Any", by),
        reference=against,
    )
    plot = draw(poses, title=title, most=most)
    if not json:
        print(plot.numbers["summary"])
    _finish(plot, target, json)


@command("lineament plot report ~/staff --out staff.html")
@options.people_folder
@options.fmr
@_threshold
@options.calibration
@options.seed
@options.no_cache
@option(
    "--out",
    type=FILE,
    metavar="FILE.html",
    help="Where the page goes; replaces FILE.",
    show_default="report.html here; none with --json",
)
@options.json
@options.recognizer()
def report(
    folder: Path,
    fmr: float | None,
    threshold: float | None,
    seed: int,
    no_cache: bool,
    out: Path | None,
    json: bool,
    **given: Any,
) -> None:
    """All pictures of a folder of people as one page.

    The page starts with a summary in words.
    """
    from lineament.pictures.charts.files import check_extra

    check_extra()
    if out is None and not json:
        out = Path("report.html")
    if out is not None:
        check_page(out, "--out")
    from lineament.report import report as draw

    recognizer = options.recognizer_from(given)
    made = draw(
        folder,
        recognizer,
        threshold=_threshold_of(recognizer, fmr, threshold),
        seed=seed,
        use_cache=not no_cache,
        progress=with_progress,
        on_note=print_note,
    )
    if out is not None:
        made.save(out)
    if json:
        print_json(made.numbers)
    else:
        for words in made.numbers["summary"]:
            print(words)
    if out is not None:
        print_note(f"wrote {out}")

"""``lineament plot NAME ...``: one command a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lineament.cli import options
from lineament.cli.command import F, argument, command, option
from lineament.cli.numbers import COSINE
from lineament.cli.output import print_json, print_line, print_note
from lineament.cli.sources import check_stdin, not_looked_at, one_source
from lineament.cli.targets import PICTURE, Given, Target, writing
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.pictures.plots.plot import Plot
    from lineament.pipeline import Recognizer
    from lineament.types import Threshold

FORMATS = (*PICTURE.suffixes, ".svg", ".pdf")
title_ = option(
    "--title", metavar="TEXT", default="", help="Above the picture; a default if empty."
)
threshold_ = option("--threshold", type=COSINE, metavar="COSINE", help="The threshold itself.")
_photo = argument("photo", metavar="PHOTO", help="A file, a URL, or - (stdin).")


# --- what the commands share ----------------------------------------------------------------------


def out_(name: str, formats: tuple[str, ...] = FORMATS) -> Callable[[F], F]:
    """The option --out of ``plot NAME``: a picture, NAME.png when it is left out."""
    own = f"{name}{'.png' if '.png' in formats else formats[0]}"

    def default(given: Given) -> Path | None:
        return None if given["json"] else Path(own)

    words = ", ".join(each for each in formats if each not in (".jpeg", ".htm"))
    return option(
        "--out",
        writes=Target(formats, default=default),
        metavar="FILE",
        help=f"Where it goes: {words}.",
        show_default=f"{own} here; none with --json",
        api=["path"],
    )


def threshold_of(recognizer: Recognizer, fmr: float | None, value: float | None) -> Threshold:
    """The threshold that the options ask for, or else the default one.

    Raises:
        OptionError: --fmr and --threshold together, or a rate for which there is no threshold.
    """
    if fmr is not None and value is not None:
        raise OptionError("expected --fmr or --threshold, got both")
    return recognizer.threshold(fmr=fmr, value=value)


def check_extra() -> None:
    """Raise MissingExtraError unless matplotlib is there."""
    from lineament.pictures.charts import files

    files.check_extra()


def finish(plot: Plot, out: Path | None, json: bool) -> None:
    """Write the picture and print the numbers, as far as they are asked for."""
    from lineament.pictures.fonts import BOX
    from lineament.pictures.plots.plot import save

    if out is not None:
        with writing(out, "out"):
            save(plot, out)
        if plot.has_boxes:
            print_note(f"note: some letters are drawn as {BOX}: no font of this system has them")
    if json:
        print_json({**plot.numbers, **not_looked_at()})


# --- one face, or two -----------------------------------------------------------------------------


@command("lineament plot alignment a.jpg --out alignment.svg")
@_photo
@title_
@out_("alignment")
@options.overwrite
@options.json
@options.allow_private
@options.recognizer()
def alignment(
    photo: str, title: str, out: Path | None, overwrite: bool, json: bool, **given: Any
) -> None:
    """How a face is aligned, stage by stage."""
    check_extra()
    from lineament.explain import alignment_stages
    from lineament.pictures.plots.alignment import alignment as draw

    aligned = alignment_stages(options.recognizer_from(given), one_source(photo))
    plot = draw(aligned, title=title)
    finish(plot, out, json)


@command("lineament plot explain a.jpg b.jpg --out why.png")
@options.pair
@option("--fill", choices=("blur", "gray"), default="blur", help="What the face is covered with.")
@title_
@options.fmr
@threshold_
@options.calibration
@out_("explain")
@options.overwrite
@options.json
@options.allow_private
@options.recognizer()
def explain(
    a: str,
    b: str,
    fill: str,
    title: str,
    fmr: float | None,
    threshold: float | None,
    out: Path | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """Which regions of two faces carry the decision.

    And what would change it.
    """
    check_stdin(a, b)
    check_extra()
    from lineament.explain import explain as work
    from lineament.pictures import plots

    recognizer = options.recognizer_from(given)
    explanation = work(
        recognizer,
        one_source(a),
        one_source(b),
        threshold=threshold_of(recognizer, fmr, threshold),
        fill=cast("Any", fill),
    )
    plot = plots.explain(explanation, title=title)
    if not json:
        print_line(plot.numbers["decision"]["explanation"])
        for words in plot.numbers["what_would_change"]:
            print_line(words)
    finish(plot, out, json)


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
@title_
@options.fmr
@threshold_
@options.calibration
@out_("occlusion")
@options.overwrite
@options.json
@options.allow_private
@options.recognizer()
def occlusion(
    photo: str,
    reference: str | None,
    kinds: tuple[str, ...],
    title: str,
    fmr: float | None,
    threshold: float | None,
    out: Path | None,
    overwrite: bool,
    json: bool,
    **given: Any,
) -> None:
    """A photo made worse in steps: what it bears.

    How much of a mask, of blur, of darkness ... recognition still bears.
    """
    check_extra()
    from lineament.explain import KINDS, degrade
    from lineament.pictures.plots.occlusion import occlusion as draw

    recognizer = options.recognizer_from(given)
    degraded = degrade(
        recognizer,
        one_source(photo),
        reference=None if reference is None else one_source(reference),
        kinds=kinds if kinds else KINDS,
        threshold=threshold_of(recognizer, fmr, threshold),
    )
    plot = draw(degraded, title=title)
    if not json:
        for kind, series in plot.numbers["series"].items():
            end = series["fails_at"]
            fails = "no step fails" if end is None else f"fails first at {end:g}"
            print_line(f"{kind}: {fails} ({series['unit']})")
    finish(plot, out, json)

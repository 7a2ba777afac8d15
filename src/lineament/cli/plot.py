"""``lineament plot NAME ...``: one command a picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.output import print_json, print_line, print_note, refuse_inputs
from lineament.cli.sources import check_stdin, one_source
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.pictures.plots.plot import Plot
    from lineament.pipeline import Recognizer
    from lineament.types import Threshold

out_ = option(
    "--out",
    type=FILE,
    metavar="FILE",
    help="Where the picture goes: .png, .svg or .pdf, with some also .html; replaces FILE.",
    show_default="the command's name.png here; none with --json",
    api=["path"],
)
title_ = option(
    "--title", metavar="TEXT", default="", help="Above the picture; a default if empty."
)
threshold_ = option("--threshold", type=float, metavar="COSINE", help="The threshold itself.")
_photo = argument("photo", metavar="PHOTO", help="A file, a URL, or - (stdin).")


# --- what the commands share ----------------------------------------------------------------------


def threshold_of(recognizer: Recognizer, fmr: float | None, value: float | None) -> Threshold:
    """The threshold that the options ask for, or else the default one.

    Raises:
        OptionError: --fmr and --threshold together, or a rate for which there is no threshold.
    """
    if fmr is not None and value is not None:
        raise OptionError("expected --fmr or --threshold, got both")
    return recognizer.threshold(fmr=fmr, value=value)


def check_out(
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


def finish(plot: Plot, out: Path | None, json: bool) -> None:
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
@title_
@out_
@options.json
@options.recognizer()
def alignment(photo: str, title: str, out: Path | None, json: bool, **given: Any) -> None:
    """How a face is aligned, stage by stage."""
    target = check_out(out, "alignment", json, inputs=[photo])
    from lineament.explain import alignment_stages
    from lineament.pictures.plots.alignment import alignment as draw

    aligned = alignment_stages(options.recognizer_from(given), one_source(photo))
    plot = draw(aligned, title=title)
    finish(plot, target, json)


@command("lineament plot explain a.jpg b.jpg --out why.png")
@options.pair
@option("--fill", choices=("blur", "gray"), default="blur", help="What the face is covered with.")
@title_
@options.fmr
@threshold_
@options.calibration
@out_
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
    target = check_out(out, "explain", json, inputs=[a, b])
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
    finish(plot, target, json)


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
@out_
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
    target = check_out(out, "occlusion", json, inputs=[photo, reference])
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
    finish(plot, target, json)

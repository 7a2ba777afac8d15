"""What the commands of ``lineament plot`` share: where the picture goes, and the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli.output import print_json, print_note, refuse_inputs
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.pictures.plots.plot import Plot
    from lineament.pipeline import Recognizer
    from lineament.types import Threshold

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Where the picture goes: .png, .svg or .pdf, with some also .html; replaces FILE.",
        show_default="the command's name.png here; none with --json",
    ),
]
Title = Annotated[str, typer.Option("--title", help="Above the picture; a default if empty.")]
Threshold_ = Annotated[
    float | None, typer.Option("--threshold", help="The threshold itself, a cosine similarity.")
]


def threshold_of(values: Mapping[str, Any], recognizer: Recognizer) -> Threshold:
    """The threshold that the options ask for, or else the default one.

    Raises:
        OptionError: --fmr and --threshold together, or a rate for which there is no threshold.
    """
    fmr, value = values.get("fmr"), values.get("threshold")
    if fmr is not None and value is not None:
        raise OptionError("expected --fmr or --threshold, got both")
    if fmr is not None and not 0 < fmr < 1:
        raise OptionError(f"--fmr: expected a rate between 0 and 1, got {fmr:g}")
    return recognizer.threshold(fmr=fmr, value=value)


def check_out(
    out: Path | None, name: str, json: bool, *, html: bool = False, inputs: Iterable[object] = ()
) -> Path | None:
    """Where the picture goes; None: nowhere, since only the numbers are wanted.

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
    """Write the picture and print the numbers, as far as they are wanted."""
    from lineament.pictures.plots.plot import save

    if out is not None:
        save(plot, out)
    if json:
        print_json(plot.numbers)
    if out is not None:
        print_note(f"wrote {out}")

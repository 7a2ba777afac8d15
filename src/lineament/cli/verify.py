"""``lineament verify A B``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.output import print_json, print_note, print_pairs, refuse_inputs
from lineament.cli.sources import STDIN, load_again, one_source
from lineament.errors import LineamentError, OptionError

if TYPE_CHECKING:
    from lineament.pipeline import Chosen, Recognizer
    from lineament.types import Decision, Threshold


@options.with_recognizer()
def command(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="Photograph: a file, a URL, or - (stdin).")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    metric: options.Metric = None,
    fmr: Annotated[
        float | None,
        typer.Option(
            "--fmr",
            metavar="RATE",
            help="False match rate that the threshold is for.",
            show_default=options.SHOWN_DEFAULTS["fmr"],
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", help="The threshold itself, in the metric's unit."),
    ] = None,
    calibration: options.Calibration_ = None,
    prior: Annotated[
        float | None,
        typer.Option(
            "--prior",
            metavar="0..1",
            help="Share of pairs of one person among those you compare; for the probability.",
            show_default=options.SHOWN_DEFAULTS["prior"],
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", metavar="FILE.png", help="Draw both faces and the verdict; replaces FILE."
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Are two photographs of the same person?

    Exit code 0: the same, 1: different or undecided, 2: error.
    """
    if a == b == STDIN:
        raise OptionError('expected "-" once: standard input is one photograph')
    if save is not None:
        _check_save(save, a, b)
    from lineament.pipeline import decide_chosen

    parts = options.recognizer_from(ctx.params)
    wanted = _threshold(parts, metric, fmr, threshold)
    same_path = a == b
    sources = [one_source(a, again=save is not None)]
    if not same_path:
        sources.append(one_source(b, again=save is not None))
    photos = list(parts.stream_chosen(sources))
    first, second = photos[0], photos[-1]
    decision = decide_chosen(first, second, wanted, parts.judge)
    if isinstance(decision, LineamentError):
        raise decision
    if save is not None:
        _draw(save, (sources[0], sources[-1]), (first, second), decision)
    if json:
        print_json(decision.to_dict())
    else:
        _print(decision)
        if save is not None:
            print_note(f"wrote {save}")
    raise typer.Exit(0 if decision.verdict == "same" else 1)


def _check_save(save: Path, a: str, b: str) -> None:
    if save.suffix.lower() != ".png":
        raise OptionError(f"--save: expected a file whose name ends in .png, got {save}")
    refuse_inputs(save, (a, b), "--save")


def _threshold(
    recognizer: Recognizer, metric: str | None, fmr: float | None, value: float | None
) -> Threshold:
    from lineament.compare import DEFAULT_METRIC, get_metric

    name = get_metric(DEFAULT_METRIC if metric is None else metric).name
    if fmr is not None and value is not None:
        raise OptionError("expected --fmr or --threshold, got both")
    if fmr is not None and not 0 < fmr < 1:
        raise OptionError(f"--fmr: expected a rate between 0 and 1, got {fmr:g}")
    try:
        return recognizer.threshold(name, fmr=fmr, value=value)
    except OptionError as error:
        if value is not None:
            raise
        raise OptionError(f"{error} (--fmr RATE or --threshold NUMBER)") from error


def _draw(
    path: Path, sources: tuple[Any, Any], photos: tuple[Chosen, Chosen], decision: Decision
) -> None:
    from lineament.draw import save_png, verdict_picture

    crops = [photo.crop for photo in photos]
    assert crops[0] is not None
    assert crops[1] is not None
    picture = verdict_picture(
        load_again(sources[0]),
        load_again(sources[1]),
        decision,
        crops[0],
        crops[1],
        faces_a=photos[0].analysis.faces,
        faces_b=photos[1].analysis.faces,
    )
    save_png(picture, path)


def _print(decision: Decision) -> None:
    threshold, certainty = decision.threshold, decision.certainty
    print(decision.verdict_in_words)
    rows = [("because" if i == 0 else "", reason) for i, reason in enumerate(decision.reasons)]
    if certainty is not None:
        rows += [("probability", certainty.in_words), ("  from", certainty.origin)]
    rows += [
        ("score", f"{decision.score:.3f} {decision.metric}"),
        ("threshold", f"{threshold.value:.3f}{_interval(threshold)}"),
        ("  for", threshold.origin),
        ("margin", f"{decision.margin:+.3f}"),
        ("recognizer", decision.contract.weights),
        *_face_rows("face A", decision.source_a, decision.face_a, decision.others_a),
        *_face_rows("face B", decision.source_b, decision.face_b, decision.others_b),
    ]
    print_pairs(rows)


def _interval(threshold: Threshold) -> str:
    if threshold.low is None or threshold.high is None:
        return ""
    return f" ({threshold.low:.3f} to {threshold.high:.3f})"


def _face_rows(name: str, source: str, face: Any, others: int) -> list[tuple[str, str]]:
    from lineament.cli.detect import face_in_words

    more = {0: "no other face", 1: "1 other face"}.get(others, f"{others} other faces")
    return [(name, source), ("", f"{face_in_words(face)}; {more}")]

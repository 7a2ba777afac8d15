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
    recognizer: options.Recognizer_ = None,
    model: options.Model = None,
    input_size: options.InputSize = None,
    color_order: options.ColorOrder = None,
    mean: options.Mean = None,
    scale: options.Scale = None,
    detector: options.Detector = None,
    alignment: options.Alignment = None,
    flip: options.Flip = None,
    choose: options.Choose = None,
    min_face: options.MinFace = None,
    min_score: options.MinScore = None,
    max_faces: options.MaxFaces = None,
    no_turning: options.NoTurning = False,
    engine: options.Engine = None,
    device: options.Device = None,
    threads: options.Threads = None,
    licence_policy: options.Policy = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", metavar="FILE.png", help="Draw both faces and the verdict; replaces FILE."
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Are two photographs of the same person?

    Exit code 0: the same, 1: different, 2: error.
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
    decision = decide_chosen(first, second, wanted)
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
    raise typer.Exit(0 if decision.same else 1)


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
    threshold = decision.threshold
    print("the same person" if decision.same else "different people")
    print_pairs(
        [
            ("score", f"{decision.score:.3f} {decision.metric}"),
            ("threshold", f"{threshold.value:.3f}"),
            ("  for", threshold.origin),
            ("margin", f"{decision.margin:+.3f}"),
            ("recognizer", decision.contract.weights),
            *_face_rows("face A", decision.source_a, decision.face_a, decision.others_a),
            *_face_rows("face B", decision.source_b, decision.face_b, decision.others_b),
        ]
    )


def _face_rows(name: str, source: str, face: Any, others: int) -> list[tuple[str, str]]:
    from lineament.cli.detect import face_in_words

    more = {0: "no other face", 1: "1 other face"}.get(others, f"{others} other faces")
    return [(name, source), ("", f"{face_in_words(face)}; {more}")]

"""``lineament verify A B``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.output import print_json, print_note, print_pairs, refuse_inputs
from lineament.cli.sources import STDIN, one_source
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.ensemble import Ensemble
    from lineament.pipeline import Recognizer
    from lineament.types import Decision, Photo, Threshold


@options.with_recognizer()
def command(
    ctx: typer.Context,
    a: Annotated[str, typer.Argument(metavar="A", help="Photo: a file, a URL, or - (stdin).")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    metric: options.Metric = None,
    fusion: Annotated[
        str | None,
        typer.Option(
            "--fusion",
            metavar="boosted|logistic|mean",
            help="Several recognizers and metrics at once: slower, surer.",
        ),
    ] = None,
    fmr: options.Fmr = None,
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
    """Are two photos of the same person?

    Exit code 0: the same, 1: different or undecided, 2: error.
    """
    if a == b == STDIN:
        raise OptionError('expected "-" once: standard input is one photo')
    if save is not None:
        _check_save(save, a, b)
    from lineament.pipeline import compare_photos

    parts = options.recognizer_from(ctx.params)
    ensemble = None if fusion is None else _ensemble(fusion, parts, ctx.params)
    wanted = _threshold(parts if ensemble is None else ensemble, metric, fmr, threshold)
    same_path = a == b
    sources = [one_source(a)] if same_path else [one_source(a), one_source(b)]
    if ensemble is None:
        photos = list(parts.stream_chosen(sources, keep_pixels=save is not None))
        decision = compare_photos(photos[0], photos[-1], wanted, parts.judge)
    else:
        seen = [ensemble.look(source) for source in sources]
        photos = [one.photo for one in seen]
        decision = ensemble.decide(seen[0], seen[-1], wanted)
    if save is not None:
        _draw(save, photos[0], photos[-1], decision)
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


_NOT_WITH_FUSION = (
    *("preset", "recognizer", "model", "input_size", "color_order", "mean", "scale"),
    *("alignment", "flip", "metric", "calibration"),
)


def _ensemble(kind: str, parts: Recognizer, given: Mapping[str, Any]) -> Ensemble:
    from lineament.ensemble import Ensemble

    refused = [name for name in _NOT_WITH_FUSION if given.get(name) is not None]
    if refused:
        names = ", ".join("--" + name.replace("_", "-") for name in refused)
        raise OptionError(f"{names}: expected without --fusion, which brings its own")
    return Ensemble.load(kind, finder=parts.finder, prior=parts.prior)


def _threshold(
    parts: Recognizer | Ensemble, metric: str | None, fmr: float | None, value: float | None
) -> Threshold:
    from lineament.decide.metrics import DEFAULT_METRIC, get_metric
    from lineament.pipeline import Recognizer

    name = get_metric(DEFAULT_METRIC if metric is None else metric).name
    if fmr is not None and value is not None:
        raise OptionError("expected --fmr or --threshold, got both")
    if fmr is not None and not 0 < fmr < 1:
        raise OptionError(f"--fmr: expected a rate between 0 and 1, got {fmr:g}")
    try:
        if isinstance(parts, Recognizer):
            return parts.threshold(name, fmr=fmr, value=value)
        return parts.threshold(fmr=fmr, value=value)
    except OptionError as error:
        if value is not None:
            raise
        raise OptionError(f"{error} (--fmr RATE or --threshold NUMBER)") from error


def _draw(path: Path, a: Photo, b: Photo, decision: Decision) -> None:
    from lineament.pictures.photos import save_png, verdict_picture

    assert a.pixels is not None
    assert b.pixels is not None
    assert a.crop is not None
    assert b.crop is not None
    picture = verdict_picture(
        a.pixels,
        b.pixels,
        decision,
        a.crop,
        b.crop,
        faces_a=a.faces,
        faces_b=b.faces,
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

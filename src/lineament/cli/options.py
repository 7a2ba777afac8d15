"""The options that several commands share, and the Recognizer that they describe.

Options that are left out stay None: their defaults have one home, the library. What the help shows
as a default is repeated here, because importing the library for it would make the help slow; a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.pipeline import Recognizer
    from lineament.runtime import Runtime
    from lineament.weights import LicencePolicy, Weights

SHOWN_DEFAULTS = {
    "recognizer": "sface",
    "detector": "yunet+onet",
    "metric": "cosine",
    "fmr": "0.0001",
    "min_face": "10, or 1/150 of the longer side",
    "choose": "largest",
    "alignment": "five-points",
    "flip": "no-flip",
}

PARTS, NETWORKS, SPEED = "Parts", "Own network", "Engine"


def _recognizers() -> list[str]:
    from lineament import weights

    return [entry.name for entry in weights.entries("recognizer")]


def _detectors() -> list[str]:
    from lineament.detect import DETECTORS

    return list(DETECTORS)


def _metrics() -> list[str]:
    from lineament.compare import METRICS

    return list(METRICS)


Recognizer_ = Annotated[
    str | None,
    typer.Option(
        "--recognizer",
        metavar="NAME",
        help="Recognizer; see `lineament models`.",
        show_default=SHOWN_DEFAULTS["recognizer"],
        autocompletion=_recognizers,
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="FILE.onnx",
        help="A recognizer of your own, described by the next four options or FILE.toml beside it.",
    ),
]
InputSize = Annotated[
    str | None,
    typer.Option("--input-size", metavar="PX", help="Side of the crops that --model takes."),
]
ColorOrder = Annotated[
    str | None,
    typer.Option("--color-order", metavar="rgb|bgr|gray", help="Channels that --model takes."),
]
Mean = Annotated[
    float | None,
    typer.Option("--mean", help="--model is fed (x - MEAN) * SCALE, x from 0 to 255."),
]
Scale = Annotated[float | None, typer.Option("--scale", help="See --mean.")]
Detector = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="NAME",
        help="Detector: yunet, mtcnn, blazeface, ...",
        show_default=SHOWN_DEFAULTS["detector"],
        autocompletion=_detectors,
    ),
]
Alignment = Annotated[
    str | None,
    typer.Option(
        "--alignment",
        metavar="five-points|eyes|crop",
        help="How faces are aligned.",
        show_default=SHOWN_DEFAULTS["alignment"],
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="Average over the mirrored face.",
        show_default=SHOWN_DEFAULTS["flip"],
    ),
]
Choose = Annotated[
    str | None,
    typer.Option(
        "--choose",
        metavar="largest|central",
        help="Whom a photograph with several faces is of.",
        show_default=SHOWN_DEFAULTS["choose"],
    ),
]
MinFace = Annotated[
    float | None,
    typer.Option(
        "--min-face",
        metavar="PX",
        help="Least size of a face.",
        show_default=SHOWN_DEFAULTS["min_face"],
    ),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score", metavar="0..1", help="Least score of a face.", show_default="the detector's"
    ),
]
MaxFaces = Annotated[
    int | None, typer.Option("--max-faces", metavar="N", help="Most faces in a photograph.")
]
NoTurning = Annotated[
    bool, typer.Option("--no-turning", help="Do not try photographs that lie on a side.")
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", metavar="auto|openvino|onnxruntime", help="What runs the networks."),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="auto|cpu|cuda|coreml|directml", help="Where they run."),
]
Threads = Annotated[
    int | None, typer.Option("--threads", metavar="N", help="Threads; all cores when left out.")
]
Policy = Annotated[
    str | None,
    typer.Option(
        "--licence-policy",
        metavar="POLICY",
        help="Which licences weights may have: any, commercial, spdx:MIT,Apache-2.0 ...",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Metric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="cosine, euclidean, euclidean_l2, angular or chi_square.",
        show_default=SHOWN_DEFAULTS["metric"],
        autocompletion=_metrics,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


def policy_from(text: str | None) -> LicencePolicy:
    """The licence policy that an option, or else the environment, asks for."""
    from lineament.weights import LicencePolicy

    return LicencePolicy.active() if text is None else LicencePolicy.parse(text)


def recognizer_from(values: Mapping[str, Any], *, crop_px: int | None = None) -> Recognizer:
    """Build what the options describe; nothing is loaded yet.

    Args:
        values: the command's parameters by name, as Typer's context has them; None and missing ones
            leave the library's default.
        crop_px: side of the crops, for a command that embeds nothing.

    Raises:
        LineamentError: an option has a value that makes no sense, or the policy refuses something.
    """
    from lineament.align import alignment_name
    from lineament.detect import DetectOptions
    from lineament.pipeline import Recognizer

    given = {name: value for name, value in values.items() if value is not None}
    if "alignment" in given:  # the library's message calls it a method
        try:
            alignment_name(given["alignment"])
        except OptionError as error:
            raise OptionError(
                f"alignment: expected five-points, eyes or crop, got {given['alignment']!r}"
            ) from error
    names = {"min_face": "min_face_px", "min_score": "score_threshold", "max_faces": "max_faces"}
    options = DetectOptions(**{names[k]: v for k, v in given.items() if k in names})
    parts = {k: given[k] for k in ("detector", "alignment", "flip", "choose") if k in given}
    weights = _weights_from(given)
    if weights.task != "recognizer":
        raise OptionError(
            f"--recognizer: expected a recognizer, got {weights.name}, a {weights.task} network; "
            "`lineament models` lists what there is"
        )
    if crop_px is not None:
        weights = replace(weights, input=replace(weights.input, size_wh=(crop_px, crop_px)))
    return Recognizer(
        weights,
        options=options,
        turning=not given.get("no_turning", False),
        runtime=runtime_from(given),
        policy=policy_from(given.get("licence_policy")),
        **parts,
    )


def _weights_from(given: Mapping[str, Any]) -> Weights:
    from lineament import weights
    from lineament.pipeline import DEFAULT_RECOGNIZER

    described = [n for n in ("input_size", "color_order", "mean", "scale") if n in given]
    if "model" not in given:
        if described:
            options = ", ".join("--" + name.replace("_", "-") for name in described)
            raise OptionError(f"{options}: expected together with --model only")
        return weights.get(given.get("recognizer", DEFAULT_RECOGNIZER))
    if "recognizer" in given:
        raise OptionError("expected --recognizer or --model, got both")
    spec = {name: given[name] for name in described if name != "input_size"}
    if "input_size" in given:
        sides = given["input_size"].lower().split("x")
        if len(sides) > 2 or not all(side.isdecimal() for side in sides):
            raise OptionError(
                f"--input-size: expected pixels such as 112 or 112x112, got {given['input_size']!r}"
            )
        spec["size_wh"] = [int(sides[0]), int(sides[-1])]
    return weights.from_file(given["model"], **spec)


def runtime_from(given: Mapping[str, Any]) -> Runtime:
    """Engine, device and threads as the options say, or else the environment."""
    from lineament.runtime import Runtime

    names = ("engine", "device", "threads")
    chosen = {name: given[name] for name in names if given.get(name) is not None}
    return replace(Runtime.from_environment(), **chosen)

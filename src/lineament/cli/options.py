"""The options that several commands share, and the Recognizer that they describe.

Options that are left out stay None: their defaults have one home, the library. What the help shows
as a default is repeated here, because importing the library for it would make the help slow; a test
compares the two.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.finder import FaceFinder
    from lineament.models import Card, LicensePolicy
    from lineament.models.runtime import Runtime
    from lineament.pipeline import Recognizer

SHOWN_DEFAULTS = {
    "preset": "balanced",
    "detector": "yunet+onet",
    "metric": "cosine",
    "fmr": "0.0001",
    "min_face": "10, or 1/150 of the longer side",
    "choose": "largest",
    "alignment": "five-points",
    "flip": "no-flip",
    "prior": "0.5",
}

PARTS, NETWORKS, SPEED = "Parts", "Own network", "Engine"


def _recognizers() -> list[str]:
    from lineament import models

    return [entry.name for entry in models.entries("embedder")]


def _detectors() -> list[str]:
    from lineament.detect import DETECTORS

    return list(DETECTORS)


def _metrics() -> list[str]:
    from lineament.decide.metrics import METRICS

    return list(METRICS)


Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="fast|balanced|accurate",
        help="Recognizer and its options, by what they are good for.",
        show_default=SHOWN_DEFAULTS["preset"],
    ),
]
Recognizer_ = Annotated[
    str | None,
    typer.Option(
        "--recognizer",
        metavar="NAME",
        help="Recognizer; see `lineament models`.",
        show_default="the preset's",
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
        help="Whom a photo with several faces is of.",
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
    int | None, typer.Option("--max-faces", metavar="N", help="Most faces in a photo.")
]
NoTurning = Annotated[
    bool, typer.Option("--no-turning", help="Do not try photos that lie on a side.")
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
        "--license-policy",
        metavar="POLICY",
        help="Which licenses weights may have: any, commercial, spdx:MIT,Apache-2.0 ...",
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
Fmr = Annotated[
    float | None,
    typer.Option(
        "--fmr",
        metavar="RATE",
        help="False match rate that the threshold is for.",
        show_default=SHOWN_DEFAULTS["fmr"],
    ),
]
Calibration_ = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE.json",
        help="Thresholds and probabilities of your own, from `lineament tune`.",
        show_default="the package's, from LFW View 1",
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]


def policy_from(text: str | None) -> LicensePolicy:
    """The license policy that an option, or else the environment, asks for."""
    from lineament.models import LicensePolicy

    return LicensePolicy.active() if text is None else LicensePolicy.parse(text)


def finder_from(values: Mapping[str, Any]) -> FaceFinder:
    """Build the ``FaceFinder`` that the options describe; nothing is loaded yet.

    Args:
        values: the command's parameters by name; None and missing ones leave the library's default.

    Raises:
        LineamentError: an option has a value that makes no sense, or the policy refuses something.
    """
    from lineament.finder import FaceFinder

    return FaceFinder(**_finding(values))


def recognizer_from(values: Mapping[str, Any]) -> Recognizer:
    """Build the ``Recognizer`` that the options describe; as ``finder_from``."""
    from lineament.models import DEFAULT_PRESET
    from lineament.pipeline import Recognizer

    return Recognizer(**{"recognizer": DEFAULT_PRESET, **recognizer_options(values)})


def recognizer_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``Recognizer`` that the options give; "recognizer" only where it is named.

    Arguments and errors as ``finder_from``.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if "alignment" in given:
        check_alignment(given["alignment"])
    parts = _finding(given) | {k: given[k] for k in ("alignment", "flip", "prior") if k in given}
    if "calibration" in given:
        from lineament.decide.calibration import Calibration

        parts["calibration"] = Calibration.load(given["calibration"])
    weights = _weights_from(given)
    if weights is not None and not isinstance(weights, str) and weights.task != "embedder":
        raise OptionError(
            f"--recognizer: expected a recognizer, got {weights.name}, a {weights.task} network; "
            "`lineament models` lists what there is"
        )
    return parts if weights is None else parts | {"recognizer": weights}


def check_alignment(method: Any) -> None:
    """OptionError unless there is such a method; the library's message calls it a method."""
    from lineament.align.alignment import alignment_name

    try:
        alignment_name(method)
    except OptionError as error:
        raise OptionError(
            f"expected five-points, eyes or crop, got {method!r}", option="alignment"
        ) from error


def _finding(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``FaceFinder`` that the options give."""
    from lineament.detect import DetectOptions

    given = {name: value for name, value in values.items() if value is not None}
    names = {"min_face": "min_face_px", "min_score": "score_threshold", "max_faces": "max_faces"}
    return {k: given[k] for k in ("detector", "choose") if k in given} | {
        "options": DetectOptions(**{names[k]: v for k, v in given.items() if k in names}),
        "turning": not given.get("no_turning", False),
        "runtime": runtime_from(given),
        "policy": policy_from(given.get("license_policy")),
    }


def _weights_from(given: Mapping[str, Any]) -> Card | str | None:
    """An entry, or the name of a preset; None when none is named."""
    from lineament import models
    from lineament.models import PRESETS

    described = [n for n in ("input_size", "color_order", "mean", "scale") if n in given]
    if "model" not in given:
        if described:
            options = ", ".join("--" + name.replace("_", "-") for name in described)
            raise OptionError(f"{options}: expected together with --model only")
        if "recognizer" in given and "preset" in given:
            raise OptionError("expected --preset or --recognizer, got both")
        if "recognizer" in given:
            return models.get(given["recognizer"])
        preset = given.get("preset")
        if preset is not None and preset not in PRESETS:
            raise OptionError(f"--preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
        return None if preset is None else str(preset)
    if "recognizer" in given or "preset" in given:
        raise OptionError("expected one of --preset, --recognizer and --model, got two")
    spec = {name: given[name] for name in described if name != "input_size"}
    if "input_size" in given:
        sides = given["input_size"].lower().split("x")
        if len(sides) > 2 or not all(side.isdecimal() for side in sides):
            raise OptionError(
                f"--input-size: expected pixels such as 112 or 112x112, got {given['input_size']!r}"
            )
        spec["size_wh"] = [int(sides[0]), int(sides[-1])]
    return models.from_file(given["model"], **spec)


def runtime_from(given: Mapping[str, Any]) -> Runtime:
    """Engine, device and threads as the options say, or else the environment."""
    from lineament.models.runtime import Runtime

    names = ("engine", "device", "threads")
    chosen = {name: given[name] for name in names if given.get(name) is not None}
    return replace(Runtime.from_environment(), **chosen)


# --- the options of the recognizer, for every command that has one -----------------------------

_RECOGNIZER_OPTIONS: dict[str, tuple[Any, Any]] = {
    "preset": (Preset, None),
    "recognizer": (Recognizer_, None),
    "model": (Model, None),
    "input_size": (InputSize, None),
    "color_order": (ColorOrder, None),
    "mean": (Mean, None),
    "scale": (Scale, None),
    "detector": (Detector, None),
    "alignment": (Alignment, None),
    "flip": (Flip, None),
    "choose": (Choose, None),
    "min_face": (MinFace, None),
    "min_score": (MinScore, None),
    "max_faces": (MaxFaces, None),
    "no_turning": (NoTurning, False),
    "engine": (Engine, None),
    "device": (Device, None),
    "threads": (Threads, None),
    "license_policy": (Policy, None),
}

OF_THE_RECOGNIZER = (
    *("preset", "recognizer", "model", "input_size", "color_order", "mean", "scale"),
    *("alignment", "flip", "choose"),
)
"""Left out by commands that only look for faces."""

Command = Callable[..., None]


def with_recognizer(*, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Give a command the options that describe a ``Recognizer``, after its own.

    The command takes ``ctx: typer.Context`` and finds their values in ``ctx.params``, which
    ``recognizer_from`` understands.

    Args:
        without: names of options that make no sense for the command.
    """
    unknown = set(without) - _RECOGNIZER_OPTIONS.keys()
    assert not unknown, unknown

    def decorate(function: Command) -> Command:
        own = list(inspect.signature(function, eval_str=True).parameters.values())
        names = [parameter.name for parameter in own]
        shared = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
            for name, (annotation, default) in _RECOGNIZER_OPTIONS.items()
            if name not in without
        ]

        def command(**values: Any) -> None:
            function(**{name: values[name] for name in names})

        # Typer reads the signature and the annotations, so both tell of all options.
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + shared
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__name__, command.__doc__ = function.__name__, function.__doc__
        command.__module__ = function.__module__
        return command

    return decorate

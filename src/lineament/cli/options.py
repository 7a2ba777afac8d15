"""The options that several commands share, and the Recognizer that they describe.

Options that are left out stay None: their defaults have one home, the library. What the help shows
as a default is repeated here, because importing the library for it would make the help slow; a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem

from lineament.cli.command import FILE, F, argument, option
from lineament.cli.numbers import COUNT, FINITE, MOST, RATE, SEED, SHARE, Box, Number
from lineament.cli.targets import PAGE, Target
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

SHOWN_FPIR = 0.01
"""The library's, of searches: ``Gallery.identify`` and ``find``; tests compare."""

PHOTOS, RECOGNIZER, FACES, ENGINE = "Photos", "Recognizer", "Detector", "Engine"


def _completed(names: Collection[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _recognizers(_: object, __: object, incomplete: str) -> list[CompletionItem]:
    from lineament import models

    return _completed([entry.name for entry in models.entries("embedder")], incomplete)


def _detectors(_: object, __: object, incomplete: str) -> list[CompletionItem]:
    from lineament.detect import DETECTORS

    return _completed(list(DETECTORS), incomplete)


def _landmarkers(_: object, __: object, incomplete: str) -> list[CompletionItem]:
    from lineament.align.landmarker import LANDMARKERS

    return _completed(list(LANDMARKERS.names()), incomplete)


def _metrics(_: object, __: object, incomplete: str) -> list[CompletionItem]:
    from lineament.decide.metrics import METRIC_NAMES

    return _completed(list(METRIC_NAMES), incomplete)


# --- single options -------------------------------------------------------------------------------

json = option("--json", is_flag=True, help="Print one JSON object.")
overwrite = option("--overwrite", is_flag=True, help="Replace files that exist.")
seed = option("--seed", type=SEED, default=0, help="Of what is drawn by chance.")
metric = option(
    "--metric",
    metavar="NAME",
    help="cosine, euclidean, euclidean_l2, angular, chi_square, or siamese where a model has it.",
    show_default=SHOWN_DEFAULTS["metric"],
    shell_complete=_metrics,
)
learned = option(
    "--metric",
    metavar="cosine|siamese",
    default="cosine",
    show_default=True,
    choices=("cosine", "siamese"),
    help="How faces are compared; siamese: the model's learned similarity, if it has one.",
)
fmr = option(
    "--fmr",
    type=RATE,
    metavar="RATE",
    help="False match rate that the threshold is for.",
    show_default=SHOWN_DEFAULTS["fmr"],
)
calibration = option(
    "--calibration",
    type=FILE,
    metavar="FILE.json",
    help="Thresholds and probabilities of your own, from `lineament tune`.",
    show_default="the package's, from LFW View 1",
)
liveness = option(
    "--liveness",
    choices=("off", "passive", "active"),
    default="off",
    show_default=True,
    help="Check that faces are alive, not prints or screens; active needs a film.",
)
choose = option(
    "--choose",
    metavar="largest|central|only",
    help="Whom a photo with several faces is of; only: refuse it.",
    show_default=SHOWN_DEFAULTS["choose"],
)
engine = option(
    "--engine", metavar="auto|openvino|onnxruntime", help="What runs the networks.", family=ENGINE
)
threads = option(
    "--threads", type=COUNT, metavar="N", help="Threads; all cores when left out.", family=ENGINE
)
license_policy = option(
    "--license-policy",
    metavar="POLICY",
    help="Which licenses weights may have: any, commercial, spdx:MIT,Apache-2.0 ...",
    family=ENGINE,
)
write_regions = option(
    "--write-regions",
    choices=("sidecars", "files"),
    help="Note names for photo programs.",
    api=["into"],
)
gallery = option(
    "--gallery",
    type=FILE,
    metavar="DIR",
    help="Folder of the gallery.",
    show_default="$LINEAMENT_GALLERY, else ./gallery",
)
index = option(
    "--index",
    metavar="NAME",
    help="What searches: auto, exact, turbo, faiss, usearch, nmslib, annoy; on a server milvus, "
    "pgvector, qdrant, elasticsearch, opensearch. See docs/how-to/scale.md.",
    show_default="auto: exact, compressed when it is large",
)
uri = option(
    "--uri",
    metavar="ADDRESS",
    help="Of the index's server; $LINEAMENT_INDEX_SERVERS has to name it, too.",
)
box = option(
    "--box",
    type=Box(),
    metavar="L,T,R,B",
    help="Where the face is: left, top, right, bottom, px.",
)
where = option(
    "--where",
    multiple=True,
    metavar="FILTER",
    help="Only people with such metadata: 'building=B', 'age>=18', 'groups~night'; may be "
    "repeated, and then all have to hold.",
)
no_cache = option("--no-cache", is_flag=True, help="Embed all photos again, and keep nothing.")
report = option(
    "--report",
    writes=PAGE,
    metavar="FILE.html",
    help="Write figures and pictures into one page that needs nothing else.",
)
images = argument(
    "images",
    nargs=-1,
    metavar="IMAGE...",
    help="Files, folders, glob patterns, URLs, or - (standard input).",
)
csv = option(
    "--csv", writes=Target((".csv",)), metavar="FILE.csv", help="Write a table, one row a face."
)
allow_private = option(
    "--allow-private",
    is_flag=True,
    help="URLs may lead to this machine and its networks, not to public addresses only.",
    family=PHOTOS,
)
people_folder = argument(
    "folder", type=FILE, metavar="DIR", help="Folder with one folder of photos per person."
)


def fpir(words: str) -> Callable[[F], F]:
    """``--fpir`` of a search; ``words``: what the rate is of."""
    return option("--fpir", type=RATE, metavar="RATE", help=words, show_default=str(SHOWN_FPIR))


def rate(function: F) -> F:
    """``--rate`` of sources of frames."""
    return option(
        "--rate",
        type=Number(0.01, 1000),
        metavar="FPS",
        help="Frames a second of a folder.",
        show_default="30",
    )(function)


def landmarks(words: str) -> Callable[[F], F]:
    """``--landmarks`` of a command; ``words``: what it is for."""
    return option(
        "--landmarks",
        metavar="landmarks68|mesh",
        help=words,
        shell_complete=_landmarkers,
        api=["landmarker"],
    )


def pair(function: F) -> F:
    """The arguments A and B: two photos."""
    function = argument("b", metavar="B", help="The other one.")(function)
    return argument("a", metavar="A", help="Photo: a file, a URL, or - (stdin).")(function)


# --- the options of the recognizer, for every command that has one --------------------------------

_RECOGNIZER_OPTIONS: dict[str, Any] = {
    "preset": option(
        "--preset",
        metavar="fast|balanced|accurate",
        help="Recognizer and its options, by what they are good for.",
        show_default=SHOWN_DEFAULTS["preset"],
        family=RECOGNIZER,
    ),
    "recognizer": option(
        "--recognizer",
        metavar="NAME",
        help="Recognizer; see `lineament models list`.",
        show_default="the preset's",
        shell_complete=_recognizers,
        family=RECOGNIZER,
    ),
    "model": option(
        "--model",
        type=FILE,
        metavar="FILE.onnx",
        help="A recognizer of your own, described by the next four options or FILE.toml beside it.",
        family=RECOGNIZER,
    ),
    "input_size": option(
        "--input-size",
        metavar="PX",
        help="Side of the crops that --model takes.",
        family=RECOGNIZER,
    ),
    "color_order": option(
        "--color-order",
        metavar="rgb|bgr|gray",
        help="Channels that --model takes.",
        family=RECOGNIZER,
    ),
    "mean": option(
        "--mean",
        type=FINITE,
        metavar="FLOAT",
        help="--model is fed (x - MEAN) * SCALE, x from 0 to 255.",
        family=RECOGNIZER,
    ),
    "scale": option("--scale", type=FINITE, metavar="FLOAT", help="See --mean.", family=RECOGNIZER),
    "alignment": option(
        "--alignment",
        metavar="five-points|eyes|crop",
        help="How faces are aligned.",
        show_default=SHOWN_DEFAULTS["alignment"],
        family=RECOGNIZER,
    ),
    "flip": option(
        "--flip/--no-flip",
        help="Average over the mirrored face.",
        show_default=SHOWN_DEFAULTS["flip"],
        family=RECOGNIZER,
    ),
    "detector": option(
        "--detector",
        metavar="NAME",
        help="yunet, mtcnn, or blazeface, ultralight, haar, dlib-hog with +onet; KIND:FILE: yours.",
        show_default=SHOWN_DEFAULTS["detector"],
        shell_complete=_detectors,
        family=FACES,
    ),
    "choose": option(
        "--choose",
        metavar="largest|central|only",
        help="Whom a photo with several faces is of; only: refuse it.",
        show_default=SHOWN_DEFAULTS["choose"],
        family=FACES,
    ),
    "min_face": option(
        "--min-face",
        type=Number(4, MOST),
        metavar="PX",
        help="Least size of a face.",
        show_default=SHOWN_DEFAULTS["min_face"],
        api=["min_face_px"],
        family=FACES,
    ),
    "min_score": option(
        "--min-score",
        type=SHARE,
        metavar="0..1",
        help="Least score of a face.",
        show_default="the detector's",
        family=FACES,
    ),
    "max_faces": option(
        "--max-faces", type=COUNT, metavar="N", help="Most faces in a photo.", family=FACES
    ),
    "no_turning": option(
        "--no-turning", is_flag=True, help="Look for upright faces only.", family=FACES
    ),
    "engine": engine,
    "device": option(
        "--device", metavar="auto|cpu|cuda|coreml|directml", help="Where they run.", family=ENGINE
    ),
    "threads": threads,
    "license_policy": license_policy,
}

ONLY_FACES = (
    *("preset", "recognizer", "model", "input_size", "color_order", "mean", "scale"),
    *("alignment", "flip", "choose"),
)
"""Left out by commands that only look for faces."""

ONLY_CROPS = ("choose", "detector", "alignment", "min_face", "min_score", "max_faces", "no_turning")
"""Left out by commands whose faces are aligned already."""


def recognizer(*, without: Collection[str] = ()) -> Callable[[F], F]:
    """Give a command the options that describe a ``Recognizer``, after its own.

    The command gets them as keywords, collects them as ``**given``, and hands them to
    ``recognizer_from``.

    Args:
        without: names of options that make no sense for the command.
    """
    unknown = set(without) - _RECOGNIZER_OPTIONS.keys()
    assert not unknown, unknown

    def decorate(function: F) -> F:
        for name, add in reversed(_RECOGNIZER_OPTIONS.items()):
            if name not in without:
                function = add(function)
        return function

    return decorate


# --- what they describe ---------------------------------------------------------------------------


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
            "`lineament models list` lists what there is"
        )
    return parts if weights is None else parts | {"recognizer": weights}


def check_alignment(method: Any) -> None:
    """OptionError unless there is such a method; the library's message calls it a method."""
    from lineament.align.alignment import METHODS

    if method not in METHODS:
        raise OptionError(f"expected five-points, eyes or crop, got {method!r}", option="alignment")


def _finding(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``FaceFinder`` that the options give."""
    from lineament.detect import DetectOptions
    from lineament.images import DEFAULT_LIMITS

    given = {name: value for name, value in values.items() if value is not None}
    names = {"min_face": "min_face_px", "min_score": "min_score", "max_faces": "max_faces"}
    if "landmarks" in given:
        given["landmarker"] = given["landmarks"]
    return {k: given[k] for k in ("detector", "landmarker", "choose") if k in given} | {
        "options": DetectOptions(**{names[k]: v for k, v in given.items() if k in names}),
        "turning": not given.get("no_turning", False),
        "limits": replace(DEFAULT_LIMITS, allow_private=given.get("allow_private", False)),
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
            return _named(given["recognizer"])
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


def _named(name: str) -> Card:
    """The recognizer of that name. OptionError: there is none; it says which there are."""
    from lineament import models
    from lineament.errors import UnknownWeightsError
    from lineament.models import PRESETS

    try:
        return models.get(name)
    except UnknownWeightsError as error:
        if name in PRESETS:
            hint = f"{name} is a preset: --preset {name}"
        else:
            import difflib

            known = [entry.name for entry in models.entries("embedder")]
            close = difflib.get_close_matches(name.lower(), [*known, *PRESETS], n=1)
            meant = f'Did you mean "{close[0]}"? ' if close else ""
            hint = (
                f"{meant}There are {', '.join(known)}, those of the file that "
                f"LINEAMENT_MANIFEST names, and the presets {', '.join(PRESETS)} (--preset)"
            )
        raise OptionError(
            f"no recognizer is called {name!r}", option="recognizer", hint=hint
        ) from error


def runtime_from(given: Mapping[str, Any]) -> Runtime:
    """Engine, device and threads as the options say, or else the environment."""
    from lineament.models.runtime import Runtime

    names = ("engine", "device", "threads")
    chosen = {name: given[name] for name in names if given.get(name) is not None}
    return replace(Runtime.from_environment(), **chosen)

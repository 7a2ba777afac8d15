"""Command line and library are one: the same names, defaults and refusals."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as PILImage

from builders import FakeDetector, make_face
from lineament.cli import app
from lineament.cli.command import Group, Option
from lineament.detect import DetectOptions
from lineament.ensemble import Ensemble
from lineament.errors import LineamentError
from lineament.finder import FaceFinder
from lineament.gallery import Gallery
from lineament.models import LicensePolicy, from_file
from lineament.models.runtime import Runtime
from lineament.pipeline import Recognizer

RECOGNIZER = (
    *("pipeline:Recognizer", "finder:FaceFinder", "detect:DetectOptions"),
    *("models.runtime:Runtime", "models.cards:InputSpec", "models:from_file"),
)
"""What the options that describe a recognizer are arguments of."""

GALLERY = ("gallery:Gallery.open", "gallery:Settings")

LIBRARY: dict[str, tuple[str, ...]] = {
    "verify": ("pipeline:Recognizer.verify",),
    "detect": ("finder:FaceFinder.find",),
    "identify": ("gallery:Gallery.identify", *GALLERY, "gallery.regions:write_names"),
    "watch": (
        "video.watching:watch",
        "video.people:TrackOptions",
        "video.frames:VideoLimits",
        *GALLERY,
    ),
    "liveness": (
        "liveness.active:ActiveOptions",
        "liveness.active:ActiveSession",
        "video.sources:open_source",
        "pipeline:Recognizer.verify",
    ),
    "group": (
        "gallery.grouping.photos:group",
        "gallery.grouping.photos:copy_photos",
        "gallery.regions:write_names",
        "gallery.regions:names_of_groups",
    ),
    "find": ("gallery.find:find",),
    "anonymize": (
        "anonymize.photos:anonymize",
        "anonymize.folders:make_plan",
        "anonymize.folders:write_plan",
    ),
    "analyze": ("pipeline:Recognizer.attributes",),
    "align": ("finder:FaceFinder.crops", "train.data.aligning:align_people"),
    "embed": ("pipeline:Recognizer.analyze", "bulk:embed_many"),
    "tune": ("fit.tune:tune",),
    "serve": ("server.settings:ServerSettings", "server.settings:load_settings"),
    "gallery create": ("gallery:Gallery.create", *GALLERY),
    "gallery enroll": (
        "gallery:Gallery.enroll",
        "video.enrolling:enroll_video",
        "gallery:Consent",
        *GALLERY,
    ),
    "gallery enroll-folder": (
        "gallery.folder:enroll_folder",
        "bulk:embed_many",
        "gallery:Consent",
        *GALLERY,
    ),
    "gallery name-group": (
        "gallery.grouping.photos:name_groups",
        "gallery.regions:write_names",
        "gallery:Consent",
    ),
    "gallery verify": ("gallery:Gallery.verify", *GALLERY),
    "gallery people": ("gallery:Gallery.people",),
    "gallery show": ("gallery:Gallery.person",),
    "gallery rename": ("gallery:Gallery.rename",),
    "gallery merge": ("gallery:Gallery.merge",),
    "gallery annotate": ("gallery:Gallery.annotate",),
    "gallery check": ("gallery:Gallery.check",),
    "gallery reject": ("gallery:Gallery.reject", *GALLERY),
    "gallery rejections": ("gallery:Gallery.rejections", "gallery:Gallery.remove_rejection"),
    "gallery remove": ("gallery:Gallery.remove",),
    "gallery consent": ("gallery:Gallery.set_consent", "gallery:Consent", *GALLERY),
    "gallery keep": ("gallery:Gallery.keep_until", *GALLERY),
    "gallery configure": ("gallery:Settings", *GALLERY),
    "gallery erase": ("gallery:Gallery.erase", *GALLERY),
    "gallery expire": ("gallery:Gallery.expire", *GALLERY),
    "gallery export-person": ("gallery:Gallery.export_person", *GALLERY),
    "audit verify": ("audit:verify",),
    "audit show": ("audit:read_entries",),
    "receipt verify": ("gallery.receipts:Receipt.verify",),
    "receipt key": ("signing:make_key",),
    "gallery export": ("gallery:Gallery.export",),
    "gallery import": ("gallery:Gallery.import_",),
    "gallery reindex": ("gallery:Gallery.reindex",),
    "gallery new-key": ("gallery.keys:new_key_file",),
    "gallery encrypt": ("gallery:Gallery.encrypt",),
    "gallery decrypt": ("gallery:Gallery.decrypt",),
    "gallery rotate-key": ("gallery:Gallery.rotate_key",),
    "gallery migrate": ("gallery:Gallery.migrate", *GALLERY),
    "import": ("gallery.foreign:read_store", "gallery.foreign:import_store", "gallery:Settings"),
    "models compare": ("evaluate.protocols.models:compare_models",),
    "models add": ("zoo.adding:add_model",),
    "models remove": ("models.added:remove",),
    "models verify-weights": ("models.verifying:verify_weights",),
    "models quantize": ("quantize:quantize",),
    "eval agedb": ("evaluate.protocols.verification:run_pair_list",),
    "eval bin": ("evaluate.protocols.verification:run_bin",),
    "eval calfw": ("evaluate.protocols.verification:run_pair_list",),
    "eval cfp": ("evaluate.protocols.verification:run_cfp",),
    "eval cplfw": ("evaluate.protocols.verification:run_pair_list",),
    "eval distractors": ("evaluate.protocols.distractors:run_distractors",),
    "eval folder": ("evaluate.protocols.folder:run_folder",),
    "eval liveness": (
        "evaluate.protocols.liveness:run_liveness",
        "datasets.liveness:read_liveness",
    ),
    "eval groups": ("evaluate.protocols.groups:run_groups", "pipeline:Recognizer.threshold"),
    "eval ijb": ("evaluate.protocols.templates:run_ijb", "datasets.ijb:read_ijb"),
    "eval lfw": ("evaluate.protocols.lfw:run_lfw",),
    "eval open-set": ("evaluate.protocols.open_set:run_open_set",),
    "eval pairs": ("evaluate.protocols.pairs:run_pairs",),
    "eval ytf": ("evaluate.protocols.videos:run_ytf",),
    "plot alignment": ("pictures.plots:alignment",),
    "plot barcode": ("pictures.plots:barcode", "pipeline:Recognizer.threshold"),
    "plot correlation": ("pictures.plots:correlation", "pipeline:Recognizer.threshold"),
    "plot explain": ("pictures.plots:explain", "explain:explain", "pipeline:Recognizer.threshold"),
    "plot grid": ("pictures.plots:grid", "pipeline:Recognizer.threshold"),
    "plot histogram": ("pictures.plots:histogram", "pipeline:Recognizer.threshold"),
    "plot occlusion": (
        "explain.degrade:degrade",
        "pictures.plots:occlusion",
        "pipeline:Recognizer.threshold",
    ),
    "plot pose": (
        "explain.pose:compare_poses",
        "pictures.plots:pose",
        "pipeline:Recognizer.threshold",
    ),
    "plot report": ("report:report", "pipeline:Recognizer.threshold"),
    "plot tsne": ("pictures.plots:tsne",),
}

WITHOUT = {
    "demo": "runs other commands on the photos of the package",
    "completion": "is about the shell",
    **dict.fromkeys(("cache list", "cache size", "cache clear"), "functions of datasets.kept"),
    "models list": "prints what lineament.models.entries returns",
    "models show": "prints a card",
    "models licenses": "prints texts",
    **dict.fromkeys(
        ("train run", "train example", "train finetune", "train distill", "train toy"),
        "its options are keys of the configuration, which has tests of its own",
    ),
    **dict.fromkeys(("keys add", "keys list", "keys revoke"), "methods of server.keys.KeyStore"),
    "keys login": "a method of server.users.UserStore",
    "train export": "its options are fields of the card that is written",
}

OTHER_DEFAULTS = {("find", "top"): "the library returns all, a terminal shows the best"}

NOT_IN_LIBRARY = {
    "json": "how the answer is printed",
    "csv": "how the answer is printed",
    "save": "the library draws with result.save()",
    "report": "the library writes pages with pictures.pages",
    "out": "the library returns the values",
    "overwrite": "of files that the command writes",
    "print_config": "the origins that load_settings returns",
    "no_cache": "the library takes a source, with a cache or without",
    "yes": "asks a person",
    "dry_run": "list_folder is the library's",
    "check": "a method of its own, Gallery.check",
    "crops": "a flag of two words",
    "damaged": "a method of its own, Gallery.remove_damaged",
    "preview": "video.preview.Preview is an output of watch",
    "port": "of video.preview.Preview",
    "allow_private": "of the limits, an ImageLimits, with which a finder is made",
    "audit": "AuditLog.append",
    "last": "the library yields all",
    "receipt": "the library writes it with receipt.save()",
    "receipts": "the library writes them with receipt.save()",
    "withdraw": "None in the place of a consent",
}

OTHER_NAMES = {
    "at_once": ("revise", "the other way round"),
    "embedding_output": ("output", "--output would be read as --out"),
    "preset": ("recognizer", "the library takes presets, names and cards in one argument"),
    "model": ("path", "of from_file, which makes a card"),
    "input_size": ("size_wh", "the card's word"),
    "min_face": ("min_face_px", "names of the library have their unit"),
    "no_turning": ("turning", "a flag says what differs from the default"),
    "license_policy": ("policy", "a LicensePolicy, which parses the text"),
    "photos": ("crops", "of quantize: photos are aligned first"),
    "gallery": ("folder", "the gallery is the object"),
    "encrypt": ("key", "the key that the environment names"),
    "new_key_file": ("key", "a Key says where it is"),
    "new_key_command": ("key", "a Key says where it is"),
    "new_key_variable": ("key", "a Key says where it is"),
    "allow_repeats": ("one_person_per_photo", "a flag says what differs from the default"),
    "fusion": ("kind", "of Ensemble.load"),
    "no_ensemble": ("ensemble", "a flag says what differs from the default"),
    "copy_to": ("folder", "of copy_photos"),
    "link_to": ("link", "of copy_photos"),
    "groups": ("grouping", "the file of one"),
    "min_size": ("groups", "the caller chooses the groups"),
    "size": ("alignment", "part of its name: arcface-112"),
    "people": ("source", "a folder for each person"),
    "all_faces": ("faces", '"all", or "chosen"'),
    "accept_low_quality": ("on_low_quality", '"accept", or "refuse"'),
    "near_duplicate": ("duplicate", "of tune"),
    "remove": ("number", "of remove_rejection"),
    "sample": ("what", "a person by name or a sample by number"),
    "name": ("what", "a person by name or a sample by number"),
    "aligned": ("crops", "photos are aligned first"),
    "most": ("crops", "the caller chooses the crops"),
    "kinds": ("degraded", "of the picture's values"),
    "by": ("poses", "of the picture's values"),
    "fill": ("fill", "of explain"),
    "protocol": ("protocols", "one or both"),
    "view": ("views", "one or both"),
    "frames": ("videos", "read with so many"),
    "root": ("data", "read with that folder"),
    "person": ("people", "repeated"),
    "resume": ("existing", "of align_people"),
    "where": ("where", "typed as a condition"),
    "ray": ("stream", "bulk.on_ray makes one"),
    "workers": ("stream", "bulk.on_ray makes one"),
    "keep_crops": ("settings", "of a gallery"),
    "apply": ("plan", "Plan.load reads the file"),
    "landmarks": ("landmarker", "by the name of what finds them"),
    "video": ("source", "of enroll_video"),
    "remember": ("memory", "people seen before, or their file"),
    "give_up": ("give_up_s", "names of the library have their unit"),
    "limit": ("limit_s", "names of the library have their unit"),
    "challenges": ("n_challenges", "counts of the library begin with n"),
    "photo": ("a", "one of the two that are verified"),
    "skip_damaged": ("damaged", '"refuse", or "skip"'),
    "write_regions": ("into", "of gallery.regions.write_names"),
    "config": ("file", "of settings"),
    "until": ("when", "of Gallery.keep_until"),
    "purpose": ("purposes", "repeated"),
    "about": ("person_key", "Gallery.pseudonym gives it of a name"),
    "hash_key": ("key", "read from that file"),
    "public_key": ("key", "of Receipt.verify"),
    "names": ("grouping", "gallery.regions.names_of_groups says what its groups are called"),
}
"""Option -> parameter where their names differ, and why; used only where no parameter has its
name."""


def leaves(group: Group = app, before: str = "") -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for name in group.entries:
        each = group.get_command(click.Context(group), name)
        assert each is not None
        if isinstance(each, Group):
            found |= leaves(each, f"{before}{name} ")
        else:
            found[before + name] = each
    return found


COMMANDS = leaves()


def options_of(name: str) -> list[str]:
    """Names of a command's options; its arguments are what the call is about."""
    return [str(each.name) for each in COMMANDS[name].params if isinstance(each, click.Option)]


def parameters_of(places: tuple[str, ...]) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for place in places:
        module, _, path = place.partition(":")
        value: Any = import_module(f"lineament.{module}")
        for name in path.split("."):
            value = getattr(value, name)
        found = {**inspect.signature(value).parameters, **found}
    return found


def test_every_command_has_its_place_in_the_library() -> None:
    assert LIBRARY.keys() | WITHOUT.keys() == COMMANDS.keys()
    assert not LIBRARY.keys() & WITHOUT.keys()


@pytest.mark.parametrize("name", LIBRARY)
def test_options_are_parameters(name: str) -> None:
    parameters = parameters_of((*LIBRARY[name], *RECOGNIZER))
    strange = []
    for option in options_of(name):
        if option in parameters or option in NOT_IN_LIBRARY:
            continue
        other, _ = OTHER_NAMES.get(option, ("", ""))
        if other not in {*parameters, *parameters_of(("ensemble:Ensemble.load",))}:
            strange.append(option)
    assert strange == [], f"{name}: neither parameters of {LIBRARY[name]} nor explained"


def test_only_options_that_there_are_are_explained() -> None:
    used = {option for name in LIBRARY for option in options_of(name)}
    assert used >= NOT_IN_LIBRARY.keys() | OTHER_NAMES.keys()


@pytest.mark.parametrize("name", LIBRARY)
def test_defaults_are_the_librarys(name: str) -> None:
    parameters = parameters_of((*LIBRARY[name], *RECOGNIZER))
    for each in COMMANDS[name].params:
        if not isinstance(each, Option) or not isinstance(each.default, (int, float, str)):
            continue
        if each.default in (False, "") or (name, each.name) in OTHER_DEFAULTS:
            continue
        parameter = parameters.get(str(each.name))
        if parameter is None or parameter.default is inspect.Parameter.empty:
            continue
        assert each.default == parameter.default, each.name


# --- the same refusals ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refusals")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
    PILImage.fromarray(pixels).save(folder / "a.png")
    finder = FaceFinder(FakeDetector(make_face()))
    with Gallery.create(folder / "gallery", recognizer=Recognizer(finder=finder)) as gallery:
        gallery.enroll("Ada", pixels, force=True, on_low_quality="accept")
    return folder


def _verify(**options: Any) -> Callable[[Path], Any]:
    return lambda folder: Recognizer().verify(folder / "a.png", folder / "a.png", **options)


def _identify(**options: Any) -> Callable[[Path], Any]:
    return lambda folder: Gallery.open(folder / "gallery").identify(folder / "a.png", **options)


PAIR = ("verify", "a.png", "a.png")
SEARCH = ("identify", "a.png", "--gallery", "gallery")
FIND = ("detect", "a.png")
REFUSED: list[tuple[tuple[str, ...], str, str, Callable[[Path], Any]]] = [
    (PAIR, "--threshold", "99", _verify(threshold=99)),
    (PAIR, "--threshold", "-5", _verify(threshold=-5)),
    (PAIR, "--threshold", "nan", _verify(threshold=float("nan"))),
    (
        (*PAIR, "--metric", "euclidean_l2"),
        "--threshold",
        "3",
        _verify(threshold=3.0, metric="euclidean_l2"),
    ),
    ((*PAIR, "--metric", "angular"), "--threshold", "-1", _verify(threshold=-1, metric="angular")),
    (PAIR, "--fmr", "0", _verify(fmr=0)),
    (PAIR, "--fmr", "2", _verify(fmr=2)),
    (PAIR, "--fmr", "nan", _verify(fmr=float("nan"))),
    (PAIR, "--fmr", "1e-09", _verify(fmr=1e-9)),
    (PAIR, "--prior", "0", lambda _: Recognizer(prior=0)),
    (PAIR, "--prior", "1.5", lambda _: Recognizer(prior=1.5)),
    (PAIR, "--calibration", "nope.json", lambda _: Recognizer(calibration="nope.json")),
    (PAIR, "--choose", "best", lambda _: Recognizer(choose="best")),  # type: ignore[arg-type]
    (PAIR, "--detector", "nope", lambda _: Recognizer(detector="nope")),
    (PAIR, "--recognizer", "nope", lambda _: Recognizer("nope")),
    (PAIR, "--model", "nope.onnx", lambda _: from_file("nope.onnx")),
    (PAIR, "--engine", "nope", lambda _: Runtime("nope")),  # type: ignore[arg-type]
    (PAIR, "--device", "nope", lambda _: Runtime(device="nope")),  # type: ignore[arg-type]
    (PAIR, "--threads", "0", lambda _: Runtime(threads=0)),
    (PAIR, "--license-policy", "nope", lambda _: LicensePolicy.parse("nope")),
    (PAIR, "--fusion", "nope", lambda _: Ensemble.load("nope")),
    (
        FIND,
        "--min-face",
        "1",
        lambda _: DetectOptions(min_face_px=1),
    ),
    (FIND, "--min-score", "2", lambda _: DetectOptions(min_score=2)),
    (FIND, "--min-score", "nan", lambda _: DetectOptions(min_score=float("nan"))),
    (FIND, "--max-faces", "0", lambda _: DetectOptions(max_faces=0)),
    (SEARCH, "--threshold", "99", _identify(threshold=99)),
    (SEARCH, "--threshold", "-5", _identify(threshold=-5)),
    (SEARCH, "--threshold", "nan", _identify(threshold=float("nan"))),
    (SEARCH, "--top", "0", _identify(top=0)),
    (SEARCH, "--fpir", "0", _identify(fpir=0.0)),
    (SEARCH, "--fpir", "1", _identify(fpir=1.0)),
    (SEARCH, "--purpose", "", _identify(purpose="")),
    (SEARCH, "--purpose", " x", _identify(purpose=" x")),
]


@pytest.mark.parametrize(
    ("arguments", "option", "value", "call"),
    REFUSED,
    ids=[f"{arguments[0]} {option} {value}" for arguments, option, value, _ in REFUSED],
)
def test_both_refuse_the_same(
    arguments: tuple[str, ...],
    option: str,
    value: str,
    call: Callable[[Path], Any],
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(LineamentError) as caught:
        call(files)
    shown = CliRunner().invoke(app, [*arguments, f"{option}={value}"])
    assert shown.exit_code == 2
    said = " ".join(shown.stderr.split())
    assert option in said or str(caught.value) in said
    assert value in said
    assert value.removesuffix(".0") in str(caught.value)

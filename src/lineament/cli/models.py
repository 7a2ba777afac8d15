"""``lineament models``: list networks, show one, licenses, int8, add those of the user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.numbers import COSINE, COUNT, SHARE, Number
from lineament.cli.output import (
    print_json,
    print_line,
    print_note,
    print_pairs,
    print_rule,
    print_table,
    print_text,
)
from lineament.cli.progress import stages
from lineament.cli.targets import FOLDER
from lineament.errors import OptionError
from lineament.text import per_cent

if TYPE_CHECKING:
    from lineament.models import Card, LicensePolicy
    from lineament.quantize import Quantized


@command("lineament models list --license-policy commercial", name="list")
@options.license_policy
@options.json
def list_(license_policy: str | None, json: bool) -> None:
    """List the networks and their licenses.

    With a license policy the table says which of them it refuses.
    """
    from lineament import models

    policy = options.policy_from(license_policy)
    known = models.entries()
    if json:
        found = [_described(entry, policy) for entry in known]
        print_json({"policy": str(policy), "weights": found})
        return
    restricted = str(policy) != "any"
    columns: tuple[str, ...] = ("name", "task", "MB", "license", "business", "measured")
    rows = []
    for entry in known:
        row = [
            entry.name,
            entry.task,
            f"{entry.bytes / 1e6:.2f}",
            entry.license_weights,
            entry.commercial_use,
            _score(entry),
        ]
        rows.append([*row, "refused" if policy.refusal(entry) else "ok"] if restricted else row)
    if restricted:
        columns = (*columns, "policy")
    print_table(columns, rows, right=("MB",))
    if restricted:
        for entry in known:
            reason = policy.refusal(entry)
            if reason is not None:
                print_note(f"{entry.name}: {reason}")


@command("lineament models show sface")
@argument("name", metavar="NAME", help="Of a network; see `lineament models list`.")
@options.license_policy
@options.json
def show(name: str, license_policy: str | None, json: bool) -> None:
    """All that is known about a network."""
    from lineament import models

    described = _described(models.get(name), options.policy_from(license_policy))
    if json:
        print_json(described)
        return
    rows = []
    for key, value in described.items():
        if isinstance(value, dict):
            rows += [(f"{key}.{inner}", _words(each)) for inner, each in value.items()]
        elif value is not None and value != []:
            rows.append((key, _words(value)))
    print_pairs(rows)


@command("lineament models licenses", name="licenses")
@options.license_policy
@options.json
def licenses(license_policy: str | None, json: bool) -> None:
    """Print the texts of the licenses."""
    from lineament import models

    known = models.entries()
    policy = options.policy_from(license_policy)
    if json:
        found = [
            {**_described(entry, policy), "license_text": models.license_text(entry)}
            for entry in known
        ]
        print_json({"policy": str(policy), "weights": found})
        return
    names: dict[str | None, list[str]] = {}
    for entry in known:
        refused = "" if policy.refusal(entry) is None else ", refused by the policy"
        names.setdefault(models.license_text(entry), []).append(
            f"{entry.name} ({entry.license_weights}{refused})"
        )
    for text, of in names.items():
        print_rule()
        print_line(", ".join(of))
        print_rule()
        print_text("The manifest names no license text." if text is None else text.rstrip())
        print_line()


def _described(entry: Card, policy: LicensePolicy) -> dict[str, Any]:
    from lineament import models

    return {
        **entry.to_dict(),
        "present": models.is_present(entry),
        "refused": policy.refusal(entry),
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return f"{len(value)} entries" if len(value) > 6 else ", ".join(map(_words, value))
    return str(value)


def _score(entry: Any) -> str:
    """The one score that says most, in a few characters; --json has all of them."""
    measured = entry.measured
    if "lfw_view2" in measured:
        return f"LFW {per_cent(measured['lfw_view2'].value / 100, 2)}"
    areas = [measured.get(f"wider_face_ap_{part}") for part in ("easy", "medium", "hard")]
    if all(area is not None for area in areas):
        return "AP " + "/".join(f"{100 * area.value:.0f}" for area in areas)
    for name, score in measured.items():
        return f"{name} {score.value:g}"
    return "-"


# --- models of the user's own ---------------------------------------------------------------------


def _channels(value: str | None, option_name: str) -> float | tuple[float, float, float] | None:
    """One number, or three with commas between them."""
    if value is None:
        return None
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) == 3:
        return numbers[0], numbers[1], numbers[2]
    raise OptionError(f"expected a number, or three with commas, got {value!r}", option=option_name)


def _size(value: str | None) -> tuple[int, int] | None:
    """Width and height: "112" or "96x112"."""
    if value is None:
        return None
    sides = value.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdecimal() for side in sides):
        raise OptionError(
            f"expected a size such as 112 or 96x112, got {value!r}", option="input_wh"
        )
    width, height = int(sides[0]), int(sides[-1])
    if not (0 < width <= 4096 and 0 < height <= 4096):
        raise OptionError(f"expected 1 to 4096 pixels, got {value!r}", option="input_wh")
    return width, height


@command("lineament models add 20180402-114759-vggface2.pt")
@argument(
    "file",
    type=FILE,
    metavar="FILE",
    help="Weights: .pth, .pt, .ckpt, .safetensors, .h5, .keras, .onnx, .caffemodel, .dat, .pb, "
    ".tflite or .xml.",
)
@option("--as", "name", metavar="NAME", help="How it is asked for.", show_default="its own name")
@option("--network", metavar="NAME", help="Which published network it is, where two fit.")
@option("--input-wh", metavar="WxH", help="Size of the crops, where the file leaves it open.")
@option(
    "--channels",
    "color_order",
    choices=("rgb", "bgr", "gray"),
    help="Channels that a network takes that is not known.",
)
@option("--mean", metavar="FLOAT[,F,F]", help="It is fed (x - MEAN) * SCALE, x from 0 to 255.")
@option("--scale", metavar="FLOAT[,F,F]", help="See --mean.")
@option("--alignment", metavar="NAME", help="How its crops are made: arcface-112, crop-160-m0.2.")
@option(
    "--embedding-output",
    metavar="NAME",
    help="Which of several outputs has the embeddings.",
    api=["output"],
)
@option("--license", metavar="SPDX", help="License of the weights.", show_default="as published")
@option(
    "--commercial-use",
    choices=("yes", "no", "unknown"),
    help="Whether it grants commercial use.",
    show_default="as published",
)
@options.overwrite
@options.json
def add(
    file: Path,
    name: str | None,
    network: str | None,
    input_wh: str | None,
    color_order: Any,
    mean: str | None,
    scale: str | None,
    alignment: str | None,
    embedding_output: str | None,
    license: str | None,
    commercial_use: Any,
    overwrite: bool,
    json: bool,
) -> None:
    """Use a file of weights that you have.

    What it is, is read off the file; nothing in it is executed. It is converted once, and known by
    its name from then on. There is no threshold until `lineament tune` or `lineament eval lfw`.
    """
    from lineament.zoo.adding import add_model

    with stages() as progress:
        added = add_model(
            file,
            name=name,
            network=network,
            input_wh=_size(input_wh),
            color_order=color_order,
            mean=_channels(mean, "mean"),
            scale=_channels(scale, "scale"),
            alignment=alignment,
            output=embedding_output,
            license=license,
            commercial_use=commercial_use,
            overwrite=overwrite,
            progress=progress,
        )
    if json:
        print_json(added.to_dict())
        return
    rows = [
        ("added", added.name),
        ("recognized as", added.title or "a network of its own"),
        ("license", f"{added.license}, commercial use: {added.commercial_use}"),
    ]
    if added.input_wh is not None:
        rows.append(("crops", f"{added.input_wh[0]}x{added.input_wh[1]} pixels"))
    if added.alignment is not None:
        rows += [("alignment", added.alignment), ("embedding", f"{added.dimension} numbers")]
    if added.difference:
        rows.append(("difference", f"{added.difference:.1e} from its source"))
    rows.append(("file", added.file))
    print_pairs(rows)
    for note in added.notes:
        print_note(note)
    use = "--detector" if added.task == "detector" else "--recognizer"
    print_note(f"{use} {added.name} takes it; `lineament models remove {added.name}` removes it")


@command("lineament models remove facenet-512-vggface2")
@argument("name", metavar="NAME", help="Of a model that was added.")
@options.json
def remove(name: str, json: bool) -> None:
    """Forget a model that was added, and delete its file."""
    from lineament.models import added

    card = added.remove(name)
    if json:
        print_json({"removed": card.name, "file": str(card.path)})
    else:
        print_line(f"removed {card.name}")


@command("lineament models verify-weights all", name="verify-weights")
@argument("name", metavar="NAME|all", help="Of a network; all: of each that there is.")
@options.json
def verify_weights(name: str, json: bool) -> int:
    """Compare files of weights with their hashes.

    Exit code 0: all are right, 1: one is not.
    """
    from lineament.models import verifying

    found = verifying.verify_weights(name)
    wrong = [each for each in found if not each]
    if json:
        print_json({"weights": [each.to_dict() for each in found], "n_wrong": len(wrong)})
    else:
        words = {"joined": "no file of its own", "absent": "not downloaded"}
        print_table(
            ("name", "state", "SHA-256"),
            [(each.name, words.get(each.state, each.state), each.sha256[:16]) for each in found],
        )
        for each in wrong:
            print_note(str(each.reason))
    return int(bool(wrong))


# --- quantize -------------------------------------------------------------------------------------


@command("lineament models quantize sface --photos ~/staff --out int8")
@argument(
    "recognizer",
    metavar="RECOGNIZER|MODEL.onnx",
    help="Name of a recognizer, or an ONNX file with its description beside it (.toml).",
)
@option(
    "--photos",
    type=FILE,
    required=True,
    metavar="FOLDER",
    help="Photos of faces, a few hundred; with one folder per person, accuracy is measured by "
    "verification.",
)
@option(
    "--out",
    writes=FOLDER,
    required=True,
    metavar="DIR",
    help="Folder for the model and its manifest.json.",
)
@option("--name", metavar="NAME", help="How it is asked for.", show_default="RECOGNIZER-int8")
@option("--aligned", is_flag=True, help="The photos are crops, from `lineament align`.")
@option(
    "--max-loss",
    type=SHARE,
    metavar="0..1",
    help="Most true accept rate it may lose; where the photos can measure it.",
    show_default="0.01",
)
@option(
    "--min-cosine",
    type=COSINE,
    metavar="COSINE",
    help="Least mean cosine to the original's embeddings; where they cannot.",
    show_default="0.99",
)
@option(
    "--min-speedup",
    type=Number(0, 1e6),
    metavar="TIMES",
    help="Least speed-up.",
    show_default="1.1",
)
@option("--subset", type=COUNT, metavar="N", help="Most crops to calibrate on.", show_default="300")
@option("--most", type=COUNT, metavar="N", help="Most photos read.", show_default="2000")
@options.seed
@options.overwrite
@options.json
@options.engine
@options.threads
@options.license_policy
def quantize(
    recognizer: str,
    photos: Path,
    out: Path,
    name: str | None,
    aligned: bool,
    max_loss: float | None,
    min_cosine: float | None,
    min_speedup: float | None,
    subset: int | None,
    most: int | None,
    seed: int,
    overwrite: bool,
    json: bool,
    engine: str | None,
    threads: int | None,
    license_policy: str | None,
) -> None:
    """Make an int8 version of a recognizer.

    For processors: smaller and faster. It is written only if it is faster and loses little on
    photos that it was not calibrated on. Half of the photos, at most --subset, are for the
    calibration.
    """
    from lineament import models
    from lineament import quantize as work
    from lineament.quantize.crops import crops_of

    file = recognizer.lower().endswith(".onnx")
    weights = models.from_file(recognizer) if file else models.get(recognizer)
    runtime = options.runtime_from({"engine": engine, "threads": threads})
    policy = options.policy_from(license_policy)
    limits = {
        "min_speedup": min_speedup,
        "max_loss": max_loss,
        "min_cosine": min_cosine,
        "subset": subset,
    }
    given: dict[str, Any] = {key: value for key, value in limits.items() if value is not None}
    work.check_options(weights, out=out, name=name, overwrite=overwrite, **given)
    with stages() as progress:
        crops = crops_of(
            photos,
            weights,
            aligned=aligned,
            seed=seed,
            runtime=runtime,
            policy=policy,
            progress=progress,
            **({} if most is None else {"most": most}),
        )
        made = work.quantize(
            weights,
            crops.images,
            people=crops.people,
            out=out,
            name=name,
            seed=seed,
            overwrite=overwrite,
            runtime=runtime,
            policy=policy,
            progress=progress,
            **given,
        )
    if crops.skipped:
        print_note(
            f"{crops.skipped:,} of {crops.photos:,} photos cannot be read, or show no "
            "face: they were passed over"
        )
    if json:
        print_json(made.to_dict() | {"n_photos": crops.photos, "n_skipped": crops.skipped})
    else:
        print_pairs(_rows(made))
        print_note(
            f"LINEAMENT_MANIFEST={made.manifest} makes the name {made.weights.name} known; "
            "`lineament tune` finds its thresholds"
        )


def _rows(made: Quantized) -> list[tuple[str, str]]:
    agreement = made.agreement
    rows = [
        ("written", str(made.weights.path)),
        ("size", f"{made.weights.bytes / 1e6:.1f} MB, {made.bytes_before / 1e6:.1f} MB before"),
    ]
    rows += [
        (
            f"speed, {speed.batch} at once",
            f"{speed.speedup:.2f} times ({speed.low:.2f} to {speed.high:.2f}), "
            f"{speed.after_ms:.2f} ms a crop",
        )
        for speed in made.speeds
    ]
    rows.append(
        (
            "cosine to the original",
            f"{agreement.mean_cosine:.4f}, least {agreement.least_cosine:.4f}, "
            f"{agreement.crops:,} crops",
        )
    )
    found = agreement.verification
    if found is not None:
        rows.append(
            (
                f"TAR at FMR {found.fmr:g}",
                f"{per_cent(found.tar_after, 2)}, {per_cent(found.tar_before, 2)} before "
                f"({found.same_pairs:,} pairs of one person)",
            )
        )
    rows.append(("calibrated on", f"{made.calibrated_on:,} crops"))
    return rows

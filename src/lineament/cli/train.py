"""``lineament train``: run, finetune, distill, toy, export."""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lineament.cli import options
from lineament.cli.command import FILE, argument, command, option
from lineament.cli.numbers import ABOVE_ZERO, COUNT, WEIGHT, Number
from lineament.cli.output import (
    print_json,
    print_note,
    print_pairs,
    print_table,
    print_verbatim,
)
from lineament.cli.progress import stages
from lineament.cli.targets import RUN_FOLDER, Target, make_folder, writing
from lineament.errors import MissingExtraError, OptionError
from lineament.text import per_cent

if TYPE_CHECKING:
    from lineament.models.cards import CommercialUse
    from lineament.train.run.loop import Progress, Run

EXIT_STOPPED = 130

_changes = option(
    "--set",
    "changes",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Change a key. May be repeated.",
)
_resume = option(
    "--resume", is_flag=True, help="Go on from the last checkpoint in the run's folder."
)

# --- run ------------------------------------------------------------------------------------------


@command("lineament train run my.toml --set run.epochs=3 --out runs/1")
@argument("config", required=False, metavar="[CONFIG]", help="TOML file.")
@_changes
@_resume
@option(
    "--out", writes=RUN_FOLDER, metavar="DIR", help="Folder for the run.", show_default="run.out"
)
@options.json
def run(
    config: str | None, changes: tuple[str, ...], resume: bool, out: Path | None, json: bool
) -> int:
    """Train a recognizer as a configuration says.

    `lineament train example` shows what can be said. Ctrl-C ends the run after the step at hand;
    --resume goes on, with the same outcome. On several processes: torchrun --nproc-per-node N
    -m lineament train run ... Exit code 0: done, 2: error, 130: stopped.
    """
    if config is None and not changes and not (resume and out is not None):
        raise OptionError(
            "expected a CONFIG, --set, or --resume with --out; `lineament train example` shows one"
        )
    from lineament.train.config import load_config

    path: str | Path | None = config
    if config is None and resume and out is not None:
        path = out / "config.toml"
        if not path.is_file():
            raise OptionError(f"--resume: expected the folder of a run, with {path}, found none")
    given = load_config(path, changes)
    if out is not None:
        given = given.changed(run={"out": str(out)})
    return _train(given, resume=resume, json=json)


@command("lineament train example > my.toml")
@options.json
def example(json: bool) -> None:
    """Print a configuration with every key."""
    from lineament.train import config

    if json:
        print_json({"toml": config.example()})
    else:
        print_verbatim(config.example())


def _train(config: Any, *, resume: bool, json: bool) -> int:
    """Run, with a progress bar, and say what came of it; returns the exit code."""
    _check_torch()
    from lineament.train.run.loop import fit

    with _showing() as show:
        run = fit(config, resume=resume, progress=show, note=print_note)
    if os.environ.get("RANK", "0") == "0":  # the other processes of the run have nothing to add
        if run.stopped:
            print_note(
                f"interrupted: {run.step:,} of {run.steps:,} steps are done and kept; run the same "
                "command again with --resume to go on"
            )
        if json:
            print_json(_values(run))
        else:
            _summarize(run)
    return EXIT_STOPPED if run.stopped else 0


def _check_torch() -> None:
    """Raise MissingExtraError unless PyTorch is there."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("training", "train") from error


def _values(run: Run) -> dict[str, Any]:
    return {
        "run": str(run.folder),
        "steps": run.step,
        "of": run.steps,
        "stopped": run.stopped,
        "best": None if run.best is None else vars(run.best),
        "verified": [{"step": step, **figures} for step, figures in run.verified],
        "n_people": len(run.people),
        "leaks": run.leaks,
        "seconds": round(run.seconds, 1),
    }


def _summarize(run: Run) -> None:
    folder = shlex.quote(str(run.folder))
    rows = [("run", str(run.folder)), ("steps", f"{run.step:,} of {run.steps:,}")]
    best = run.best
    if best is not None:
        value = f"{best.value:.4f}" if best.figure == "loss" else per_cent(best.value, 2)
        rows.append(("best", f"{best.figure} {value}, after epoch {best.epoch:g}"))
        rows.append(("model", str(run.folder / "best.pt")))
    if run.stopped:
        rows.append(("go on", f"lineament train run --resume --out {folder}"))
    else:
        rows.append(("export", f"lineament train export {folder}"))
    print_pairs(rows)


@contextmanager
def _showing() -> Iterator[Callable[[Progress], None]]:
    """A progress bar, and a line for each verification."""
    verified: dict[str, float] = {}
    with stages() as bar:

        def show(now: Progress) -> None:
            nonlocal verified
            bar("training", now.step, now.steps, f"epoch {now.epoch}/{now.epochs}, {_figures(now)}")
            if now.verified != verified:
                verified = now.verified
                print_note(f"epoch {now.epoch}/{now.epochs}, step {now.step:,}: {_figures(now)}")

        yield show


def _figures(now: Progress) -> str:
    words = [f"loss {now.loss:.3f}", f"lr {now.learning_rate:.2g}", f"{now.photos_per_s:.0f}/s"]
    words += [
        f"{name} {per_cent(now.verified[name], 2)}" for name in ("accuracy", "auc") if now.verified
    ]
    return ", ".join(words)


# --- recipes --------------------------------------------------------------------------------------

_photos = argument(
    "photos",
    type=FILE,
    metavar="PHOTOS",
    help="Aligned faces (`lineament align --people`): one folder per person, .csv, .tar or .rec.",
)
_out = option("--out", writes=RUN_FOLDER, required=True, metavar="DIR", help="Folder for the run.")
_labels = option(
    "--labels",
    type=WEIGHT,
    metavar="WEIGHT",
    help="Use the people's names too: weight of ArcFace.",
    show_default="0",
    api=["loss.weight"],
)
_epochs = option(
    "--epochs", type=COUNT, metavar="N", help="Times that each photo is seen.", api=["run.epochs"]
)
_lr = option("--lr", type=ABOVE_ZERO, metavar="RATE", help="Learning rate.", api=["optimizer.lr"])
_hold_out = option(
    "--hold-out",
    type=Number(0, 0.9, noun="a share"),
    metavar="0..0.9",
    help="Share of the people to verify with, and not to train with.",
    show_default="0",
    api=["verify.people"],
)


@command("lineament train finetune crops --out runs/mine --epochs 3")
@_photos
@_out
@option(
    "--recognizer",
    metavar="NAME|RUN",
    help="Where to begin: sface, mobilefacenet, or the folder of a run.",
    show_default="sface",
)
@_labels
@option(
    "--keep",
    type=WEIGHT,
    metavar="WEIGHT",
    help="Weight of staying near the recognizer as it was.",
    show_default="1",
    api=["teacher.weight"],
)
@option(
    "--low-resolution",
    "low_resolution_px",
    type=COUNT,
    metavar="PX",
    help="Train for faces about so many pixels wide.",
)
@_epochs
@_lr
@_hold_out
@_changes
@_resume
@options.json
def finetune(
    photos: Path, out: Path, changes: tuple[str, ...], resume: bool, json: bool, **given: Any
) -> int:
    """Train a recognizer further, on photos of your own.

    It learns to see in changed photos what it saw in the unchanged ones; --labels lets it
    learn who is who as well. Exit code 0: done, 2: error, 130: stopped.
    """
    from lineament.train.recipes import finetune_config

    return _run_recipe(finetune_config, photos, out, given, changes, resume, json)


@command("lineament train distill crops --student tiny --out runs/small")
@_photos
@_out
@option(
    "--teacher",
    metavar="NAME|RUN",
    help="Whose embeddings: a recognizer, or the folder of a run.",
    show_default="sface",
)
@option(
    "--student",
    metavar="NAME",
    help="Architecture that learns them: mobilefacenet, iresnet18, tiny, ...",
    show_default="mobilefacenet",
)
@_labels
@_epochs
@_lr
@_hold_out
@_changes
@_resume
@options.json
def distill(
    photos: Path, out: Path, changes: tuple[str, ...], resume: bool, json: bool, **given: Any
) -> int:
    """Teach an architecture a recognizer's embeddings.

    For example a smaller one. Whom the photos show does not matter unless --labels is given. Exit
    code 0: done, 2: error, 130: stopped.
    """
    from lineament.train.recipes import distill_config

    return _run_recipe(distill_config, photos, out, given, changes, resume, json)


def _run_recipe(
    recipe: Any,
    photos: Path,
    out: Path,
    given: dict[str, Any],
    changes: tuple[str, ...],
    resume: bool,
    json: bool,
) -> int:
    """Train what a recipe says; what was not given is the recipe's own."""
    chosen = {key: value for key, value in given.items() if value is not None}
    config = recipe(str(photos), str(out), overrides=changes, **chosen)
    return _train(config, resume=resume, json=json)


# --- toy ------------------------------------------------------------------------------------------

TOY_KEYS = ("people", "photos_each", "losses", "epochs", "size_px", "seed")
"""What ``--set`` may change; see ``lineament.train.toy.toy``."""


@command("lineament train toy ~/staff --out toy --set people=8")
@argument("folder", type=FILE, metavar="FOLDER", help="One folder of photos per person.")
@option(
    "--out",
    writes=Target(file=False, folder=True, inside=("toy.png", "toy.json")),
    required=True,
    metavar="DIR",
    help="Folder for toy.png and toy.json.",
)
@option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help=f"Change one of {', '.join(TOY_KEYS)}. May be repeated.",
)
@options.overwrite
@options.json
def toy(folder: Path, out: Path, changes: tuple[str, ...], overwrite: bool, json: bool) -> None:
    """What the losses do, drawn in two dimensions.

    Trains the people with the most photos into two dimensions, once with each loss.
    """
    from lineament.train.tables import parse_value

    given: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if equals == "" or key.strip() not in TOY_KEYS:
            raise OptionError(
                f"--set: expected one of {', '.join(TOY_KEYS)} with =VALUE, got {change}"
            )
        given[key.strip()] = parse_value(text.strip())
    _check_torch()
    from lineament.pictures.charts.training import check_extra
    from lineament.train import toy as work

    check_extra()
    for key, value in given.items():
        default = inspect.signature(work.toy).parameters[key].default
        expected = (list, tuple) if key == "losses" else type(default)
        if not isinstance(value, expected) or isinstance(value, bool):
            kind = "a list of names" if key == "losses" else "a whole number"
            raise OptionError(f"{key}: expected {kind}, got {value!r}")
    with stages() as show:
        result = work.toy(folder, progress=show, **given)
    for note in result.notes:
        print_note(note)
    with writing(out / "toy.png", "out"):
        make_folder(out, "out")
        result.save(out / "toy.png")
    if json:
        print_json({**result.to_dict(), "out": str(out / "toy.png")})
        return
    rows = [
        (
            each.name,
            f"{each.within_deg:.1f}",
            f"{each.least_between_deg:.1f}",
            per_cent(each.accuracy),
        )
        for each in result.losses
    ]
    headings = ("loss", "within a person, degrees", "least between two", "accuracy")
    print_table(headings, rows, right=headings[1:])
    print_pairs([("picture", str(out / "toy.png"))])


# --- export ---------------------------------------------------------------------------------------


@command("lineament train export runs/1 --name mine --license MIT")
@argument(
    "run", type=FILE, metavar="RUN", help="Folder of a training run, or one of its .pt files."
)
@option(
    "--out",
    writes=Target((".onnx",)),
    metavar="FILE.onnx",
    help="The new file.",
    show_default="RUN/NAME.onnx",
)
@option("--name", metavar="NAME", help="How it is asked for.", show_default="the run's folder")
@option(
    "--which",
    choices=("best", "last"),
    default="best",
    show_default=True,
    help="Which of its weights.",
)
@option("--license", metavar="SPDX", help="Of the new weights.", show_default="unknown")
@option(
    "--commercial-use",
    choices=("yes", "no", "unknown"),
    help="Whether that license grants it.",
    show_default="unknown",
)
@option(
    "--training-data",
    metavar="TEXT",
    help="What it was trained on.",
    show_default="the run's folder of photos",
)
@options.overwrite
@options.json
def export(
    run: Path,
    out: Path | None,
    name: str | None,
    which: str,
    license: str | None,
    commercial_use: str | None,
    training_data: str | None,
    overwrite: bool,
    json: bool,
) -> None:
    """Write a trained model as ONNX, with its entry.

    The model is compared with what PyTorch computes before it is written; the entry in
    manifest.json beside it makes its name known to the pipeline.
    """
    _check_torch()
    from lineament.train.model.export_run import export_run

    made = export_run(
        run,
        out,
        name=name,
        which=which,
        license=license,
        commercial_use=cast("CommercialUse | None", commercial_use),
        training_data=training_data,
        overwrite=overwrite,
    )
    card = made.card
    if json:
        print_json(
            {
                "out": str(made.path),
                "manifest": str(made.manifest),
                "checkpoint": str(made.checkpoint),
                "weights": card.to_dict(),
            }
        )
        return
    print_pairs(
        [
            ("written", str(made.path)),
            ("from", str(made.checkpoint)),
            ("network", str(made.origin)),
            ("embedding", f"{card.dimension} numbers, crops {card.alignment}"),
            ("size", f"{card.bytes / 1e6:.1f} MB"),
        ]
    )
    print_note(
        f"export LINEAMENT_MANIFEST={shlex.quote(str(made.manifest))} makes the name known: "
        f"`lineament verify A.jpg B.jpg --recognizer {card.name}`; it has no thresholds yet: "
        f"`lineament tune PEOPLE --recognizer {card.name}` finds them"
    )

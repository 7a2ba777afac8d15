"""``lineament train CONFIG``, and ``lineament train toy FOLDER``."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.output import print_json, print_note, print_pairs
from lineament.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lineament.train.run.loop import Progress, Run

EXIT_STOPPED = 130

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Change a key. May be repeated."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the last checkpoint in the run's folder.")
]
RunFolder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Folder for the run.", show_default="run.out"),
]


def command(
    config: Annotated[
        str | None,
        typer.Argument(metavar="CONFIG", help='TOML file; or the word "toy".', show_default=False),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Of toy: a folder a person.", show_default=False),
    ] = None,
    changes: Set = None,
    resume: Resume = False,
    out: RunFolder = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a configuration with every key, and end.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Train a recognizer as a configuration says.

    --example shows what can be said. Ctrl-C ends the run after the step at hand; --resume goes on,
    with the same outcome. On several processes: torchrun --nproc-per-node N -m lineament train ...

    "toy FOLDER --out DIR" trains the people with the most photos into two dimensions, once
    with each loss, and draws them. Exit code 0: done, 2: error, 130: stopped.
    """
    if example:
        from lineament.train.config import example as text

        print(text(), end="")
        return
    if config == "toy":
        from lineament.cli.training.toy import run_toy

        run_toy(folder, changes, out, json)
        return
    if folder is not None:
        raise OptionError(f"expected one CONFIG, got {config} and {folder}")
    if config is None and not changes and not (resume and out is not None):
        raise OptionError("expected a CONFIG, --set, or --resume with --out; --example shows one")
    from lineament.train.config import load_config

    path: str | Path | None = config
    if config is None and resume and out is not None:
        path = out / "config.toml"
        if not path.is_file():
            raise OptionError(f"--resume: expected the folder of a run, with {path}, found none")
    given = load_config(path, changes if changes is not None else ())
    if out is not None:
        given = given.changed(run={"out": str(out)})
    train(given, resume=resume, json=json)


def train(config: Any, *, resume: bool, json: bool) -> None:
    """Run, with a progress bar, and say what came of it; ``typer.Exit`` where it was stopped."""
    check_torch()
    from lineament.train.run.loop import fit

    with _showing() as show:
        run = fit(config, resume=resume, progress=show, note=print_note)
    if os.environ.get("RANK", "0") == "0":  # the other processes of the run have nothing to add
        if json:
            print_json(_values(run))
        else:
            _summarize(run)
    if run.stopped:
        raise typer.Exit(EXIT_STOPPED)


def check_torch() -> None:
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
        "people": len(run.people),
        "leaks": run.leaks,
        "seconds": round(run.seconds, 1),
    }


def _summarize(run: Run) -> None:
    folder = shlex.quote(str(run.folder))
    rows = [("run", str(run.folder)), ("steps", f"{run.step:,} of {run.steps:,}")]
    best = run.best
    if best is not None:
        value = f"{best.value:.4f}" if best.figure == "loss" else f"{best.value:.2%}"
        rows.append(("best", f"{best.figure} {value}, after epoch {best.epoch:g}"))
        rows.append(("model", str(run.folder / "best.pt")))
    if run.stopped:
        rows.append(("go on", f"lineament train --resume --out {folder}"))
    else:
        rows.append(("export", f"lineament export {folder}"))
    print_pairs(rows)


@contextmanager
def _showing() -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on a terminal; elsewhere a line for each verification."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None, epoch="", figures="")
        begun: list[int] = []

        def show(now: Progress) -> None:
            if not begun:  # of a resumed run only what is left counts for the time
                begun.append(now.step - 1)
                bar.reset(task, total=now.steps, completed=now.step - 1)
            bar.update(
                task,
                completed=now.step,
                epoch=f"{now.epoch}/{now.epochs}",
                figures=_figures(now),
            )

        yield show


def _lines() -> Callable[[Progress], None]:
    last: list[dict[str, float]] = [{}]

    def show(now: Progress) -> None:
        if now.verified != last[0]:
            last[0] = now.verified
            print_note(f"epoch {now.epoch}/{now.epochs}, step {now.step:,}: {_figures(now)}")

    return show


def _figures(now: Progress) -> str:
    words = [f"loss {now.loss:.3f}", f"lr {now.learning_rate:.2g}", f"{now.photos_per_s:.0f}/s"]
    words += [f"{name} {now.verified[name]:.2%}" for name in ("accuracy", "auc") if now.verified]
    return ", ".join(words)

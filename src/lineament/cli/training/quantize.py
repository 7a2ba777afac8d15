"""``lineament quantize RECOGNIZER --photos FOLDER --out DIR``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineament.cli import options
from lineament.cli.output import print_json, print_note, print_pairs

if TYPE_CHECKING:
    from lineament.models import Card
    from lineament.quantize import Quantized
    from lineament.types import StageProgress


def command(
    recognizer: Annotated[
        str,
        typer.Argument(
            metavar="RECOGNIZER|MODEL.onnx",
            help="Name of a recognizer, or an ONNX file with its description beside it (.toml).",
        ),
    ],
    photos: Annotated[
        Path,
        typer.Option(
            "--photos",
            metavar="FOLDER",
            help="Photos of faces, a few hundred; in a folder a person, accuracy is measured "
            "by verification.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder for the model and its manifest.json."),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="How it is asked for.", show_default="RECOGNIZER-int8"
        ),
    ] = None,
    aligned: Annotated[
        bool,
        typer.Option("--aligned", help="The photos are crops, from `lineament align`."),
    ] = False,
    max_loss: Annotated[
        float | None,
        typer.Option(
            "--max-loss",
            metavar="0..1",
            help="Most true accept rate it may lose; where the photos can measure it.",
            show_default="0.01",
        ),
    ] = None,
    min_cosine: Annotated[
        float | None,
        typer.Option(
            "--min-cosine",
            metavar="COSINE",
            help="Least mean cosine to the original's embeddings; where they cannot.",
            show_default="0.99",
        ),
    ] = None,
    min_speedup: Annotated[
        float | None,
        typer.Option("--min-speedup", metavar="TIMES", help="Least speed-up.", show_default="1.1"),
    ] = None,
    subset: Annotated[
        int | None,
        typer.Option(
            "--subset", metavar="N", help="Most crops to calibrate on.", show_default="300"
        ),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("--most", metavar="N", help="Most photos read.", show_default="2000"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is drawn by chance.")] = 0,
    overwrite: options.Overwrite = False,
    engine: options.Engine = None,
    threads: options.Threads = None,
    license_policy: options.Policy = None,
    json: options.Json = False,
) -> None:
    """Make an int8 version of a recognizer, for processors: smaller and faster.

    It is written only if it is faster and loses little on photos that it was not calibrated
    on. Half of the photos, at most --subset, are for the calibration.
    """
    from lineament import quantize as work
    from lineament.quantize.crops import crops_of

    weights = _weights(recognizer)
    runtime = options.runtime_from({"engine": engine, "threads": threads})
    policy = options.policy_from(license_policy)
    limits = {"least_speedup": min_speedup, "most_loss": max_loss, "least_cosine": min_cosine}
    given: dict[str, Any] = {key: value for key, value in limits.items() if value is not None}
    if subset is not None:
        given["subset"] = subset
    work.check_options(weights, out=out, name=name, overwrite=overwrite, **given)
    with _bar() as progress:
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
        print_json(made.to_dict() | {"photographs": crops.photos, "skipped": crops.skipped})
    else:
        print_pairs(_rows(made))
        print_note(
            f"LINEAMENT_MANIFEST={made.manifest} makes the name {made.weights.name} known; "
            "`lineament tune` finds its thresholds"
        )


def _weights(recognizer: str) -> Card:
    from lineament import models

    if recognizer.lower().endswith(".onnx"):
        return models.from_file(recognizer)
    return models.get(recognizer)


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
                f"{100 * found.tar_after:.2f} %, {100 * found.tar_before:.2f} % before "
                f"({found.same_pairs:,} pairs of one person)",
            )
        )
    rows.append(("calibrated on", f"{made.calibrated_on:,} crops"))
    return rows


@contextmanager
def _bar() -> Iterator[StageProgress | None]:
    """One bar on stderr for each thing that is done, when that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    layout = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # NNCF has bars of its own on a stdout that is turned away: rich must leave that alone.
    console = Console(stderr=True)
    with Bars(*layout, TimeRemainingColumn(), console=console, redirect_stdout=False) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in bars.tasks:  # what ended before its time is done as well
                    bars.update(task.id, total=task.completed)
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield show

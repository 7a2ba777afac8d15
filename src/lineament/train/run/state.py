"""How far a run is, what of it stands in ``last.pt``, and whether that is of the same set-up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import distributed, nn

from lineament.errors import CheckpointError
from lineament.train.config import TrainConfig
from lineament.train.data import FaceSet
from lineament.train.model.checkpoint import (
    LAST,
    load_into,
    random_state,
    read_checkpoint,
    set_random_state,
    write_checkpoint,
)
from lineament.train.run.components import Parts
from lineament.train.run.distributed import World
from lineament.train.run.log import Window

MAY_CHANGE: dict[str, tuple[str, ...] | None] = {
    "run": ("out", "device", "threads", "epochs", "steps"),
    "data": ("path", "workers"),
    "checkpoint": None,
    "leakage": ("against",),
    "log": None,
    "verify": ("images", "pairs", "every", "unit"),
}
"""What may be another value when a run goes on; None is the whole table."""

_NEW_RUN = (
    "take that back, or begin a new run from these weights: backbone.start with the old run's "
    "folder, and another run.out"
)


@dataclass(frozen=True)
class Best:
    """What ``best.pt`` holds.

    Attributes:
        figure: "auc", "accuracy", ..., or "loss" where nothing is verified.
        value: of it; a share from 0 to 1, or the mean loss of an epoch.
        step: after which it was measured.
        epoch: epochs that were done by then, in part.
    """

    figure: str
    value: float
    step: int
    epoch: float


@dataclass
class Standing:
    """How far a run is.

    Attributes:
        step: steps done.
        epoch: epochs done.
        done_batches: batches done of the present epoch.
        skipped: steps in a row that half precision has skipped.
        window: sums since the last row of the log.
        epoch_loss: sums over the present epoch.
        verified: (step, figures) of each verification.
        best: what best.pt holds.
    """

    step: int = 0
    epoch: int = 0
    done_batches: int = 0
    skipped: int = 0
    window: Window = field(default_factory=Window)
    epoch_loss: Window = field(default_factory=Window)
    verified: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    best: Best | None = None


def save_state(folder: Path, standing: Standing, parts: Parts, world: World) -> None:
    """Write last.pt; every process's shard of the loss before it.

    Raises:
        CheckpointError: in every process, when one of them cannot write.
    """
    random_states = [random_state(world.device)]
    if world.many:
        held: list[Any] = [None] * world.size
        distributed.all_gather_object(held, random_states[0])
        random_states = held
    failed: CheckpointError | None = None
    try:
        if parts.sharded and not world.first:
            write_checkpoint(
                _shard_path(folder, world.rank, standing.step),
                {"loss": _state(parts.loss), "optimizer": parts.optimizer.state_dict()},
            )
    except CheckpointError as error:
        failed = error
    _end_together(world, failed)
    try:
        if world.first:
            write_checkpoint(folder / LAST, _values(standing, parts, world, random_states))
    except CheckpointError as error:
        failed = error
    _end_together(world, failed)
    if parts.sharded and not world.first:
        for old in folder.glob(f"last.rank{world.rank}.step*.pt"):
            if old != _shard_path(folder, world.rank, standing.step):
                old.unlink(missing_ok=True)


def _end_together(world: World, failed: CheckpointError | None) -> None:
    if world.any(failed is not None):
        raise (
            failed
            if failed is not None
            else CheckpointError("another process could not write its checkpoint; see its message")
        )


def _shard_path(folder: Path, rank: int, step: int) -> Path:
    return folder / f"last.rank{rank}.step{step}.pt"


def _values(
    standing: Standing, parts: Parts, world: World, random_states: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "origin": parts.origin.to_dict(),
        "backbone": parts.backbone.state_dict(),
        "ema": None if parts.average is None else parts.average.state(),
        "loss": _state(parts.loss),
        "distillation": _state(parts.distillation),
        "optimizer": parts.optimizer.state_dict(),
        "precision": parts.precision.state(),
        "config": parts.config.to_dict(),
        "step": standing.step,
        "epoch": standing.epoch,
        "done_batches": standing.done_batches,
        "skipped": standing.skipped,
        "window": standing.window.state(),
        "epoch_loss": standing.epoch_loss.state(),
        "verified": [[step, figures] for step, figures in standing.verified],
        "best": None if standing.best is None else vars(standing.best),
        "random": random_states,
        "world": world.size,
        "people": list(parts.faces.people),
        "labels_sha256": labels_sha256(parts.faces),
        "sharded": parts.sharded,
    }


def restore_state(
    saved: dict[str, Any],
    folder: Path,
    parts: Parts,
    world: World,
    note: Callable[[str], None],
) -> Standing:
    """Fill the parts of a run with what ``last.pt`` holds, and set the generators.

    Raises:
        CheckpointError: its weights do not fit, or a shard of it is missing.
    """
    path = folder / LAST
    mine = saved
    if parts.sharded and not world.first:
        mine = read_checkpoint(_shard_path(folder, world.rank, saved["step"]))
    load_into(parts.backbone, saved["backbone"], path, "backbone")
    if parts.loss is not None:
        load_into(parts.loss, mine["loss"], path, "loss")
    if parts.distillation is not None:
        load_into(parts.distillation, saved["distillation"], path, "teacher's projection")
    if parts.average is not None:
        parts.average.load(saved["ema"])
    try:
        parts.optimizer.load_state_dict(mine["optimizer"])
    except ValueError as error:
        raise CheckpointError(f"{path}: its optimizer does not fit: {error}") from error
    parts.precision.load(saved["precision"])
    if saved["world"] == world.size:
        set_random_state(saved["random"][world.rank], world.device)
    elif world.many or saved["world"] > 1:
        note(
            f"the run had {saved['world']} processes and goes on with {world.size}: its global "
            "batches stay the same, random numbers of the backbone do not"
        )
    return Standing(
        step=saved["step"],
        epoch=saved["epoch"],
        done_batches=saved["done_batches"],
        skipped=saved["skipped"],
        window=Window(**saved["window"]),
        epoch_loss=Window(**saved["epoch_loss"]),
        verified=[(step, dict(figures)) for step, figures in saved["verified"]],
        best=None if saved["best"] is None else Best(**saved["best"]),
    )


def check_state(
    saved: dict[str, Any], folder: Path, config: TrainConfig, faces: FaceSet, world: World
) -> None:
    """See that a run can go on with these people and this configuration.

    Raises:
        CheckpointError: it cannot; the message says what is another now.
    """
    path = folder / LAST
    then, now = saved["people"], list(faces.people)
    if then != now:
        gone = [name for name in then if name not in set(now)]
        new = [name for name in now if name not in set(then)]
        changes = [
            f"{len(names)} {word} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for names, word in ((gone, "gone"), (new, "new"))
            if names
        ]
        raise CheckpointError(
            f"{path}: it was trained with {len(then)} people, there are {len(now)} now: "
            f"{' and '.join(changes) or 'in another order'}; {_NEW_RUN}"
        )
    if saved["labels_sha256"] != labels_sha256(faces):
        raise CheckpointError(
            f"{path}: the same {len(now)} people have other photos now ({len(faces):,} in "
            f"all); {_NEW_RUN}"
        )
    changed = _changed(saved["config"], config.to_dict())
    if changed:
        raise CheckpointError(f"{path}: changed since: {', '.join(changed)}; {_NEW_RUN}")
    if saved["sharded"] and saved["world"] != world.size:
        raise CheckpointError(
            f"{path}: the loss is spread over {saved['world']} processes, and {world.size} are "
            f"running; start {saved['world']}"
        )


def labels_sha256(faces: FaceSet) -> str:
    """What tells whether the photos are those of before."""
    return hashlib.sha256(np.asarray(faces.labels, np.int64).tobytes()).hexdigest()


def _changed(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What may not change, and did: "loss.name (arcface, now cosface)"."""
    found = []
    for table, keys in now.items():
        free = MAY_CHANGE.get(table, ())
        if free is None:
            continue
        for key, value in keys.items():
            before = then.get(table, {}).get(key)
            same = before == value or (
                isinstance(before, (list, tuple)) and list(before) == list(value)
            )
            if key not in free and not same:
                found.append(f"{table}.{key} ({before}, now {value})")
    return found


def _state(module: nn.Module | None) -> dict[str, Any] | None:
    return None if module is None else dict(module.state_dict())

"""How far a run is, what of it stands in ``last.pt``, and whether that is of the same set-up."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from lineament.errors import CheckpointError, OptionError
from lineament.train.config import TrainConfig
from lineament.train.data import FaceSet
from lineament.train.model.checkpoint import (
    BEST,
    LAST,
    load_into,
    read_checkpoint,
    write_checkpoint,
)
from lineament.train.run._components import Components
from lineament.train.run._distributed import World
from lineament.train.run._log import Window

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
class RunState:
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


def open_run_folder(
    folder: Path, resume: bool, world: World, note: Callable[[str], None]
) -> dict[str, Any] | None:
    """Make the folder of a run, or read its last checkpoint.

    Raises:
        OptionError: it cannot be made, or holds a run and ``resume`` is false.
        CheckpointError: its checkpoint is damaged.
    """
    last = folder / LAST
    exists = world.from_first(last.exists())
    if exists and not resume:
        raise OptionError(
            f"{folder} holds a run already; go on with --resume, or name another folder",
            option="run.out",
        )
    if exists:
        return read_checkpoint(last)
    if resume:
        note(f"{folder} has no checkpoint yet: the run begins anew")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(
            f"the folder {folder} cannot be made ({error.strerror})", option="run.out"
        ) from error
    return None


def save_best(folder: Path, best: Best, components: Components) -> None:
    """Write best.pt: the network as it is verified and exported.

    Raises:
        CheckpointError: it cannot be written.
    """
    write_checkpoint(
        folder / BEST,
        {
            "origin": components.origin.to_dict(),
            "backbone": components.trained_network().state_dict(),
            "ema": None,
            "config": components.config.to_dict(),
            "best": vars(best),
            "people": list(components.faces.people),
        },
    )


def save_state(folder: Path, state: RunState, components: Components, world: World) -> None:
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
        if components.sharded and not world.first:
            write_checkpoint(
                _shard_path(folder, world.rank, state.step),
                {"loss": _state(components.loss), "optimizer": components.optimizer.state_dict()},
            )
    except CheckpointError as error:
        failed = error
    _end_together(world, failed)
    try:
        if world.first:
            write_checkpoint(folder / LAST, _values(state, components, world, random_states))
    except CheckpointError as error:
        failed = error
    _end_together(world, failed)
    if components.sharded and not world.first:
        for old in folder.glob(f"last.rank{world.rank}.step*.pt"):
            if old != _shard_path(folder, world.rank, state.step):
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
    state: RunState, components: Components, world: World, random_states: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "origin": components.origin.to_dict(),
        "backbone": components.backbone.state_dict(),
        "ema": None if components.average is None else components.average.state(),
        "loss": _state(components.loss),
        "distillation": _state(components.distillation),
        "optimizer": components.optimizer.state_dict(),
        "precision": components.precision.state(),
        "config": components.config.to_dict(),
        "step": state.step,
        "epoch": state.epoch,
        "done_batches": state.done_batches,
        "skipped": state.skipped,
        "window": state.window.state(),
        "epoch_loss": state.epoch_loss.state(),
        "verified": [[step, figures] for step, figures in state.verified],
        "best": None if state.best is None else vars(state.best),
        "random": random_states,
        "world": world.size,
        "people": list(components.faces.people),
        "labels_sha256": labels_sha256(components.faces),
        "sharded": components.sharded,
    }


def restore_state(
    saved: dict[str, Any],
    folder: Path,
    components: Components,
    world: World,
    note: Callable[[str], None],
) -> RunState:
    """Restore the components of a run from what ``last.pt`` holds, and set the generators.

    Raises:
        CheckpointError: its weights do not fit, or a shard of it is missing.
    """
    path = folder / LAST
    mine = saved
    if components.sharded and not world.first:
        mine = read_checkpoint(_shard_path(folder, world.rank, saved["step"]))
    load_into(components.backbone, saved["backbone"], path, "backbone")
    if components.loss is not None:
        load_into(components.loss, mine["loss"], path, "loss")
    if components.distillation is not None:
        load_into(components.distillation, saved["distillation"], path, "teacher's projection")
    if components.average is not None:
        components.average.load(saved["ema"])
    try:
        components.optimizer.load_state_dict(mine["optimizer"])
    except ValueError as error:
        raise CheckpointError(f"{path}: its optimizer does not fit: {error}") from error
    components.precision.load(saved["precision"])
    if saved["world"] == world.size:
        set_random_state(saved["random"][world.rank], world.device)
    elif world.many or saved["world"] > 1:
        note(
            f"the run had {saved['world']} processes and goes on with {world.size}: its global "
            "batches stay the same, random numbers of the backbone do not"
        )
    return RunState(
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


def seed_all(seed: int) -> None:
    """Seed the global generators of PyTorch, NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def random_state(device: torch.device) -> dict[str, Any]:
    """Of every generator that the run draws from, as plain values and tensors."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": [str(kind), torch.tensor(np.asarray(keys, np.int64)), position, has_gauss, cached],
        "python": random.getstate(),
    }


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Restore what ``random_state`` returned."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))

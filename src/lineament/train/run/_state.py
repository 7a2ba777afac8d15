"""How far a run is, what of it stands in ``last.pt``, and whether that is of the same set-up."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from msgspec import Meta
from torch import distributed, nn

from lineament.errors import CheckpointError, OptionError
from lineament.text import printable
from lineament.train.config import TrainConfig
from lineament.train.data import FaceSet
from lineament.train.losses.loss import Loss
from lineament.train.model.checkpoint import (
    BEST,
    LAST,
    Origin,
    as_form,
    fitting,
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


Count = Annotated[int, Meta(ge=0, le=1 << 53)]


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


@dataclass(frozen=True)
class Saved:
    """What ``last.pt`` holds; ``save_state`` writes it."""

    origin: Origin
    backbone: dict[str, Any]
    ema: dict[str, Any] | None
    loss: dict[str, Any] | None
    distillation: dict[str, Any] | None
    optimizer: dict[str, Any]
    precision: dict[str, float]
    config: dict[str, dict[str, Any]]
    step: Count
    epoch: Count
    done_batches: Count
    skipped: Count
    window: Window
    epoch_loss: Window
    verified: list[tuple[Count, dict[str, float]]]
    best: Best | None
    random: list[dict[str, Any]]
    world: Annotated[int, Meta(ge=1, le=1 << 20)]
    people: list[str]
    labels_sha256: str
    sharded: bool


@dataclass(frozen=True)
class _Shard:
    """What the file of another process than the first holds."""

    loss: dict[str, Any] | None
    optimizer: dict[str, Any]


def open_run_folder(
    folder: Path, resume: bool, world: World, note: Callable[[str], None]
) -> Saved | None:
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
        return as_form(read_checkpoint(last), Saved, last)
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
    """Write best.pt: the network as it is verified and exported, with a learned similarity.

    Raises:
        CheckpointError: it cannot be written.
    """
    write_checkpoint(
        folder / BEST,
        {
            "origin": components.origin.to_dict(),
            "backbone": components.trained_network().state_dict(),
            "ema": None,
            "loss": _state(components.loss) if _is_similarity(components.loss) else None,
            "config": components.config.to_dict(),
            "best": vars(best),
            "people": list(components.faces.people),
        },
    )


def _is_similarity(loss: Loss | None) -> bool:
    return loss is not None and loss.is_similarity


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
    saved: Saved,
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
    mine: Saved | _Shard = saved
    if components.sharded and not world.first:
        shard = _shard_path(folder, world.rank, saved.step)
        mine = as_form(read_checkpoint(shard), _Shard, shard)
    load_into(components.backbone, saved.backbone, path, "backbone")
    if components.loss is not None:
        load_into(components.loss, mine.loss or {}, path, "loss")
    if components.distillation is not None:
        load_into(components.distillation, saved.distillation or {}, path, "teacher's projection")
    if components.average is not None:
        with fitting(path, "mean of weights"):
            kept = saved.ema or {}
            load_into(components.average.module, kept["weights"], path, "mean of weights")
            components.average.load(kept)
    with fitting(path, "optimizer"):
        _load_optimizer(components.optimizer, mine.optimizer)
    with fitting(path, "precision"):
        components.precision.load(saved.precision)
    if saved.world == world.size:
        with fitting(path, "state of random numbers"):
            set_random_state(saved.random[world.rank], world.device)
    elif world.many or saved.world > 1:
        note(
            f"the run had {saved.world} processes and goes on with {world.size}: its global "
            "batches stay the same, random numbers of the backbone do not"
        )
    return RunState(
        step=saved.step,
        epoch=saved.epoch,
        done_batches=saved.done_batches,
        skipped=saved.skipped,
        window=saved.window,
        epoch_loss=saved.epoch_loss,
        verified=saved.verified,
        best=saved.best,
    )


_STATE_OF = {
    torch.optim.SGD: {"momentum_buffer"},
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
}
"""What the optimizers keep of each parameter."""


def _load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """As its ``load_state_dict``, which believes the types, the sizes and the names.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: the state is of something else.
    """
    mine, theirs = optimizer.state_dict()["param_groups"], saved["param_groups"]
    if len(mine) != len(theirs):
        raise ValueError(f"expected {len(mine)} groups of parameters, got {len(theirs)}")
    groups = []
    for now, then in zip(mine, theirs, strict=True):
        for key, value in now.items():
            if key in then and not _alike(value, then[key]):
                raise ValueError(f"{key}: expected a value such as {value!r}")
        if now["params"] != then["params"]:
            raise ValueError("it is of other parameters")
        groups.append(now | {key: value for key, value in then.items() if key in now})
    wanted = _STATE_OF[type(optimizer)]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, values in saved["state"].items():
        shape = parameters[index].shape
        if not set(values) <= wanted or (len(values) < len(wanted)) or index < 0:
            raise ValueError(f"expected {', '.join(sorted(wanted))} of each parameter")
        for key, value in values.items():
            if value is None and key == "momentum_buffer":
                continue
            size = torch.Size() if key == "step" else shape
            if value.shape != size or not value.is_floating_point():
                raise ValueError(f"expected {key} of shape {tuple(size)}")
            if not bool(torch.isfinite(value).all()):
                raise ValueError(f"{key} has values that are no finite numbers")
    optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})


def _alike(one: object, other: object) -> bool:
    """Whether a setting may have the other value: a number for a number, the same otherwise."""
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_alike, one, other))
    if type(one) in (int, float) and type(other) in (int, float):
        return math.isfinite(other)  # type: ignore[arg-type]
    return type(one) is type(other) and one == other


def check_state(
    saved: Saved, folder: Path, config: TrainConfig, faces: FaceSet, world: World
) -> None:
    """See that a run can go on with these people and this configuration.

    Raises:
        CheckpointError: it cannot; the message says what is another now.
    """
    path = folder / LAST
    then, now = saved.people, list(faces.people)
    if then != now:
        gone = [name for name in then if name not in set(now)]
        new = [name for name in now if name not in set(then)]
        changes = [
            f"{len(names)} {word} ({printable(', '.join(names[:3]))[:200]}"
            f"{', ...' if len(names) > 3 else ''})"
            for names, word in ((gone, "gone"), (new, "new"))
            if names
        ]
        raise CheckpointError(
            f"{path}: it was trained with {len(then)} people, there are {len(now)} now: "
            f"{' and '.join(changes) or 'in another order'}; {_NEW_RUN}"
        )
    if saved.labels_sha256 != labels_sha256(faces):
        raise CheckpointError(
            f"{path}: the same {len(now)} people have other photos now ({len(faces):,} in "
            f"all); {_NEW_RUN}"
        )
    with fitting(path, "configuration"):
        changed = _changed(saved.config, config.to_dict())
    if changed:
        raise CheckpointError(f"{path}: changed since: {', '.join(changed)}; {_NEW_RUN}")
    if saved.sharded and saved.world != world.size:
        raise CheckpointError(
            f"{path}: the loss is spread over {saved.world} processes, and {world.size} are "
            f"running; start {saved.world}"
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
                found.append(f"{table}.{key} ({printable(str(before))[:80]}, now {value})")
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
    if keys.shape != (624,) or type(position) is not int or not 0 <= position <= 624:
        raise ValueError("NumPy's is damaged")  # NumPy would believe the position
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))

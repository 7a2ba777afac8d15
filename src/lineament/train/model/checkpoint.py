"""The state of a run on the disk: written at once or not at all, and read back exactly.

A run's folder holds ``last.pt``, from which it goes on, and ``best.pt``, the weights that verified
best. Both are PyTorch files of plain values and tensors; reading one runs no code of it.
"""

from __future__ import annotations

import errno
import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lineament.errors import CheckpointError, MissingExtraError, OptionError
from lineament.files import replace_file
from lineament.machine import raise_if_short

try:
    import torch
except ImportError as error:
    raise MissingExtraError("training", "train") from error

from lineament.train.backbones import make_backbone
from lineament.train.backbones.backbone import Backbone
from lineament.train.config import TrainConfig, load_config

VERSION = 1
CONFIG, LAST, BEST = "config.toml", "last.pt", "best.pt"


@dataclass(frozen=True)
class Origin:
    """What builds a network again, before its weights are filled in.

    Attributes:
        kind: "backbone", an architecture by name, or "bundled", a recognizer that comes along.
        name: of either.
        dimension: D.
        size_px: side of its crops.
        options: of the architecture.
    """

    kind: str
    name: str
    dimension: int
    size_px: int
    options: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """For messages."""
        options = "".join(f", {key} {value}" for key, value in self.options.items())
        return f"{self.name} ({self.dimension} dimensions, {self.size_px} px{options})"


def built(origin: Origin) -> Backbone:
    """The network, with weights that mean nothing yet (or the bundled ones)."""
    if origin.kind == "bundled":
        from lineament.train.backbones.bundled import load_bundled

        return load_bundled(origin.name)
    return make_backbone(
        origin.name, dimension=origin.dimension, size_px=origin.size_px, **origin.options
    )


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write plain values and tensors; whatever goes wrong, the file that was there stays whole.

    Raises:
        CheckpointError: the disk is full, or the folder cannot be written to.
    """
    buffer = io.BytesIO()
    torch.save({"lineament": VERSION, **state}, buffer)
    try:
        replace_file(path, buffer.getbuffer(), durable=True)
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "make room" if error.errno == errno.ENOSPC else "see that it can be written to"
        kept = f"; the one of before is whole: {remedy}, and go on with --resume"
        raise CheckpointError(
            f"{path}: the checkpoint of {len(buffer.getbuffer()) / 1e6:.1f} MB cannot be written "
            f"({reason}){kept if path.exists() else f': {remedy}'}"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what ``write_checkpoint`` wrote, tensors on the CPU.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it is something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such checkpoint") from error
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        what = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"{path}: expected a checkpoint of a run, cannot be read: {what}"
        ) from error
    if not isinstance(state, dict) or state.get("lineament") != VERSION:
        got = state.get("lineament") if isinstance(state, dict) else type(state).__name__
        raise CheckpointError(f"{path}: expected a checkpoint of version {VERSION}, got {got}")
    return state


def load_run(folder: str | os.PathLike[str], which: str = "best") -> Backbone:
    """Load the network of a run, in evaluation mode, with EMA the mean of its weights.

    Args:
        folder: of the run; or a checkpoint file itself.
        which: "best" or "last"; a run without ``best.pt`` has "last" only.

    Raises:
        CheckpointError: no run, or its file is damaged.
        OptionError: ``which`` is neither.
    """
    return load_model(folder, which)[0]


def load_model(folder: str | os.PathLike[str], which: str = "best") -> tuple[Backbone, Origin]:
    """As ``load_run``, with what the network was built as."""
    path = checkpoint_path(folder, which)
    state = read_checkpoint(path)
    origin = Origin(**state["origin"])
    backbone = built(origin)
    weights = state.get("ema")
    weights = state["backbone"] if weights is None else weights["weights"]
    load_into(backbone, weights, path, "backbone")
    return backbone.eval(), origin


def checkpoint_path(folder: str | os.PathLike[str], which: str = "best") -> Path:
    """The file of a run that holds its weights; raises as ``load_run``."""
    if which not in ("best", "last"):
        raise OptionError(f"expected best or last, got {which!r}", option="which")
    place = Path(folder)
    if place.is_file():
        return place
    if not (place / LAST).exists() and not (place / BEST).exists():
        raise CheckpointError(f"{folder}: expected the folder of a run, with {LAST}, found none")
    return place / BEST if which == "best" and (place / BEST).exists() else place / LAST


def run_config(folder: str | os.PathLike[str]) -> TrainConfig:
    """The configuration that a run was started with.

    Raises:
        CheckpointError: there is no run in the folder.
        OptionError: its file is damaged.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise CheckpointError(f"{folder}: expected the folder of a run, with {CONFIG}, found none")
    return load_config(path)


def load_into(module: torch.nn.Module, weights: Mapping[str, Any], path: Path, what: str) -> None:
    """Load weights; CheckpointError when they are of another network."""
    try:
        module.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise_if_short(error, "to load the weights")
        first = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: its {what} does not fit: {first}") from error

"""The state of a run on the disk: written at once or not at all, and read back exactly.

A run's folder holds ``last.pt``, from which it goes on, and ``best.pt``, the weights that verified
best. Both are PyTorch files of plain values and tensors; reading one runs no code of it.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from msgspec import Meta

from lineament import forms
from lineament.errors import CheckpointError, LineamentError, MissingExtraError, OptionError
from lineament.files import open_regular, replace_file
from lineament.machine import free_bytes, raise_if_short
from lineament.text import printable, reason_of

try:
    import torch
except ImportError as error:
    raise MissingExtraError("training", "train") from error

from lineament.train.backbones import make_backbone
from lineament.train.backbones.backbone import MOST_DIMENSIONS, MOST_PX, Backbone
from lineament.train.config import TrainConfig, load_config
from lineament.train.model import _contents

if TYPE_CHECKING:
    from lineament.train.losses.siamese import Siamese

Form = TypeVar("Form")

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

    kind: Literal["backbone", "bundled"]
    name: str
    dimension: Annotated[int, Meta(ge=1, le=MOST_DIMENSIONS)]
    size_px: Annotated[int, Meta(ge=1, le=MOST_PX)]
    options: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """For messages."""
        options = "".join(f", {key} {value}" for key, value in self.options.items())
        return f"{self.name} ({self.dimension} dimensions, {self.size_px} px{options})"


@dataclass(frozen=True)
class _Model:
    """What every checkpoint holds."""

    origin: Origin
    backbone: dict[str, Any]
    ema: dict[str, Any] | None
    loss: dict[str, Any] | None = None

    @property
    def weights(self) -> dict[str, Any]:
        """With EMA the mean ones."""
        found = self.backbone if self.ema is None else self.ema.get("weights")
        return found if isinstance(found, dict) else {}


def built(origin: Origin) -> Backbone:
    """The network, with weights that mean nothing yet (or the bundled ones)."""
    if origin.kind == "bundled":
        from lineament.train.backbones.bundled import load_bundled

        return load_bundled(origin.name)
    return make_backbone(
        origin.name, dimension=origin.dimension, size_px=origin.size_px, **origin.options
    )


def rebuilt(origin: Origin, weights: Mapping[str, Any], path: Path) -> Backbone:
    """``built`` for the weights of a checkpoint, which are not filled in yet.

    Args:
        origin: what builds it.
        weights: those that it will have: one for which they do not fit is not built, since it could
            need any amount of memory.
        path: of the checkpoint, for the message.

    Raises:
        CheckpointError: it cannot be built, or is another one than the weights are of.
    """
    try:
        with torch.device("meta") if origin.kind == "backbone" else nullcontext():
            backbone = built(origin)  # the shapes alone
        other = _contents.same_network(backbone, dict(weights))
        if other is None and origin.kind == "backbone":
            backbone = built(origin)
    except (LineamentError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        if not isinstance(error, LineamentError):
            raise_if_short(error, "to build the network")
        raise CheckpointError(
            f"{path}: its network cannot be built: {printable(str(error))[:200]}"
        ) from error
    if other is not None:
        raise CheckpointError(f"{path}: its backbone does not fit: {printable(other)[:200]}")
    return backbone


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
    size = 0
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            state = _contents.read(file)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such checkpoint") from error
    except Exception as error:  # PyTorch's reader raises whatever a damaged file leads it to
        if size > free_bytes() // 4:
            raise_if_short(error, "to read the checkpoint")
        what = printable(" ".join(reason_of(error).split()))[:120]
        raise CheckpointError(
            f"{path}: expected a checkpoint of a run, cannot be read: {what}",
            hint="name another one (best.pt, last.pt), or begin a new run",
        ) from error
    got = state.get("lineament") if isinstance(state, dict) else type(state).__name__
    # A tensor would be compared by its numbers.
    if not isinstance(state, dict) or type(got) is not type(VERSION) or got != VERSION:
        got = printable(repr(got))[:80] if isinstance(got, (str, int, float)) else "something else"
        raise CheckpointError(f"{path}: expected a checkpoint of version {VERSION}, got {got}")
    return state


def as_form(state: Mapping[str, Any], kind: type[Form], path: Path) -> Form:
    """What a checkpoint holds as a dataclass.

    Raises:
        CheckpointError: a value is missing, or of another type or size.
    """
    try:
        return forms.convert(dict(state), kind, what=str(path), error=CheckpointError)
    except CheckpointError:
        raise
    except _UNFIT as error:  # what is asked of a tensor that should be a dict
        raise CheckpointError(f"{path}: it has a tensor in the place of values") from error


@contextmanager
def fitting(path: Path, what: str) -> Iterator[None]:
    """Let what goes wrong with values of a checkpoint be a CheckpointError.

    Args:
        path: of the checkpoint.
        what: is being restored, for the message: "optimizer".
    """
    try:
        yield
    except LineamentError:
        raise
    except _UNFIT as error:
        raise_if_short(error, f"to restore the {what}")
        reason = printable(" ".join(reason_of(error).split()))[:200]
        raise CheckpointError(f"{path}: its {what} does not fit: {reason}") from error


_UNFIT = (
    *(RuntimeError, TypeError, ValueError, AttributeError),
    *(LookupError, ArithmeticError, AssertionError),
)
"""What Python and PyTorch raise for values of another kind than they expect."""


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
    saved = as_form(read_checkpoint(path), _Model, path)
    backbone = rebuilt(saved.origin, saved.weights, path)
    load_into(backbone, saved.weights, path, "backbone")
    return backbone.eval(), saved.origin


def load_similarity(path: Path, config: TrainConfig, dimension: int) -> Siamese | None:
    """Load the learned similarity of a checkpoint; None: the run learned none.

    Files of versions that did not keep it in ``best.pt`` have none there.

    Args:
        path: of the checkpoint.
        config: of its run.
        dimension: D.

    Raises:
        CheckpointError: the file is damaged.
        OptionError: the configuration's loss cannot be built.
    """
    from lineament.train.losses import make_loss
    from lineament.train.losses.siamese import Siamese

    if config.loss.weight == 0:
        return None
    saved = as_form(read_checkpoint(path), _Model, path)
    if not saved.loss or set(saved.loss) != {"alpha", "beta"}:
        return None
    loss = make_loss(config.loss.name, dimension, 1, **config.loss.options)
    if not isinstance(loss, Siamese):
        return None
    load_into(loss, saved.loss, path, "loss")
    return loss


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
    with fitting(path, what):
        other = _contents.same_network(module, dict(weights))
        if other is not None:
            raise CheckpointError(f"{path}: its {what} does not fit: {printable(other)[:200]}")
        module.load_state_dict(weights)

"""One run on several processes: who is who, gathering with gradients, batch norm over all of them.

``torchrun --nproc-per-node 2 -m lineament train run CONFIG`` starts the processes, and gives each
its number by environment variables. NCCL carries the numbers between GPUs, gloo between CPUs.

Every process takes its part of each global batch through the backbone; the embeddings of all parts
are gathered, and every process computes the loss of the whole batch. So a loss means the same on
one process and on many, triplets across processes included. With W processes::

    gather            forward: all embeddings in rank order; backward: W times the own rows
    data parallel     mean over processes of the backbone's gradients: the W cancels

Parameters of the loss see the whole batch everywhere: equal gradients, no communication.

What differs is rounding. It grows where it turns the sign of a number before a ReLU or PReLU, as a
change of the weights in their last bits does on one process.
"""

from __future__ import annotations

import datetime
import inspect
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from lineament.errors import OptionError, TrainError

WAIT = datetime.timedelta(hours=2)
"""For the others: rank 0 verifies alone, and that takes its time. The end of a process is noticed
at once, whatever this says."""


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Attributes:
        rank: this one's number, 0 to size - 1.
        size: how many there are.
        device: what this one computes on.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    def many(self) -> bool:
        """Whether there are others."""
        return self.size > 1

    def gather(self, rows: Tensor, counts: Sequence[int] | None = None) -> Tensor:
        """(n, ...) of each process -> (sum of all n, ...), in rank order, with gradients.

        Args:
            rows: this process's.
            counts: n of each process; None where all have as many.
        """
        if not self.many:
            return rows
        if counts is None:
            counts = [len(rows)] * self.size
        gathered: Tensor = _Gather.apply(rows.contiguous(), self.rank, tuple(counts))  # type: ignore[no-untyped-call]
        return gathered

    def sum(self, value: Tensor) -> Tensor:
        """The sum over processes, no gradient."""
        total = value.detach().clone()
        if self.many:
            distributed.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        if not self.many:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)

    def from_first(self, value: Any) -> Any:
        """What the first process has, a plain value; the others' own is not looked at."""
        if not self.many:
            return value
        held = [value if self.first else None]
        distributed.broadcast_object_list(held, src=0, device=self.device)
        return held[0]

    def equalize(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the first one's values."""
        if self.many:
            with torch.no_grad():
                for tensor in tensors:
                    distributed.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Until every process is here."""
        if self.many:
            self.sum(torch.zeros(1, device=self.device))


@contextmanager
def world_of(device: str) -> Iterator[World]:
    """Join the processes that ``torchrun`` started, or be alone.

    Args:
        device: "auto", or as ``torch.device`` has it.

    Raises:
        OptionError: no such device here.
        TrainError: the processes cannot find each other, or one of them ended.
    """
    size = _from_environment("WORLD_SIZE", 1)
    rank = _from_environment("RANK", 0)
    found = _device(device, _from_environment("LOCAL_RANK", 0))
    if found.type == "cuda":
        torch.cuda.set_device(found)
    world = World(rank, size, found)
    if not world.many:
        yield world
        return
    mine = not distributed.is_initialized()
    try:
        if mine:
            backend = "nccl" if found.type == "cuda" else "gloo"
            distributed.init_process_group(backend, rank=rank, world_size=size, timeout=WAIT)
        yield world
    except (distributed.DistBackendError, distributed.DistNetworkError) as error:
        raise TrainError(_lost(rank, size, error)) from error
    except RuntimeError as error:
        if any(word in str(error).lower() for word in ("gloo", "nccl", "connection", "peer")):
            raise TrainError(_lost(rank, size, error)) from error
        raise
    finally:
        if mine and distributed.is_initialized():
            distributed.destroy_process_group()


def _lost(rank: int, size: int, error: Exception) -> str:
    return (
        f"process {rank} of {size} lost the others: one of them ended, see its message; go on from "
        f"the last checkpoint with --resume ({' '.join(str(error).split())[:200]})"
    )


def _from_environment(name: str, default: int) -> int:
    text = os.environ.get(name)
    try:
        return default if text is None else int(text)
    except ValueError:
        raise OptionError(
            f"{name}: expected a whole number, as torchrun sets it, got {text}"
        ) from None


def _device(name: str, local_rank: int) -> torch.device:
    there = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if there else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(
            f"expected auto, cpu, cuda, cuda:1, ..., got {name}", option="run.device"
        ) from error
    if device.type == "cuda":
        if not there:
            raise OptionError(
                f"expected a CUDA device for {name}, PyTorch sees none", option="run.device"
            )
        index = local_rank if device.index is None else device.index
        if index >= torch.cuda.device_count():
            raise OptionError(f"there is no cuda:{index} here", option="run.device")
        return torch.device("cuda", index)
    return device


def data_parallel(module: nn.Module, device: torch.device) -> DistributedDataParallel:
    """``module``, whose gradients are the mean over processes after every backward pass."""
    # Batch norms have the same statistics everywhere; no need to send them. PyTorch 2.13 has
    # another name for that.
    known = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    if device.type == "cuda":
        options["device_ids"] = [device.index]
    return DistributedDataParallel(module, **options)


class _Gather(torch.autograd.Function):
    """See the module: the gradient of the whole loss, scaled for the mean over processes."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, rank: int, counts: tuple[int, ...]) -> Tensor:
        ctx.start, ctx.rows, ctx.size = sum(counts[:rank]), len(rows), len(counts)
        sent = rows  # gloo sends tensors of one shape only: fewer rows are filled up
        if min(counts) < max(counts):
            sent = rows.new_zeros((max(counts), *rows.shape[1:]))
            sent[: len(rows)] = rows
        parts = [torch.empty_like(sent) for _ in counts]
        distributed.all_gather(parts, sent)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.start : ctx.start + ctx.rows] * ctx.size, None, None


class _Sum(torch.autograd.Function):
    """The sum over processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = value.clone()
        distributed.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total, group=ctx.group)
        return total, None


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm with the statistics of the whole, global batch, on any device.

    Ioffe, Szegedy, "Batch Normalization", ICML 2015, over the photos of all processes. PyTorch
    has this for GPUs alone (``SyncBatchNorm``). The mean comes first and the variance from
    differences to it, so that nothing is lost to cancellation. It takes two rounds of messages.
    Processes may have different numbers of photos.
    """

    group: _Group

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected (N, C, ...), got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, ...) of this process -> the same shape."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        axes = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        own = x.new_full((1,), x.numel() // x.shape[1])
        sums = self._sum(torch.cat([x.sum(axes), own]))  # (C + 1,)
        count = sums[-1].detach()
        mean = sums[:-1] / count  # (C,)
        centered = x - mean.view(shape)
        variance = self._sum(centered.square().sum(axes)) / count  # (C,)
        if self.track_running_stats and self.running_mean is not None:
            assert self.num_batches_tracked is not None
            assert self.running_var is not None
            self.num_batches_tracked.add_(1)
            momentum = self.momentum
            if momentum is None:
                momentum = 1 / float(self.num_batches_tracked)
            unbiased = variance.detach() * (count / (count - 1).clamp_min(1))
            self.running_mean.lerp_(mean.detach(), momentum)
            self.running_var.lerp_(unbiased, momentum)
        y = centered * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(input.dtype)

    def _sum(self, value: Tensor) -> Tensor:
        total: Tensor = _Sum.apply(value, self.group.handle)  # type: ignore[no-untyped-call]
        return total


@dataclass(frozen=True)
class _Group:
    """Processes that talk among themselves. A copy of a network talks to the same ones."""

    handle: Any
    size: int

    def __deepcopy__(self, memo: object) -> _Group:
        return self


def share_batch_norm(module: nn.Module, world: World) -> nn.Module:
    """Replace every batch norm in ``module``, which keeps its parameters; returns the new one."""
    # A group of their own: what data parallelism sends at the same time cannot mix with it.
    return _shared(module, _Group(distributed.new_group(), world.size))


def _shared(module: nn.Module, group: _Group) -> nn.Module:
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        shared = SharedBatchNorm(
            module.num_features,
            module.eps,
            module.momentum,
            module.affine,
            module.track_running_stats,
        )
        shared.group = group
        shared.weight, shared.bias = module.weight, module.bias  # the very same parameters
        shared.running_mean, shared.running_var = module.running_mean, module.running_var
        shared.num_batches_tracked = module.num_batches_tracked
        shared.train(module.training)
        return shared
    for name, child in module.named_children():
        changed = _shared(child, group)
        if changed is not child:
            setattr(module, name, changed)
    return module

"""PartialFC: a margin head over a sample of the classes, spread over processes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor

from lineament.errors import CheckpointError, OptionError
from lineament.train._registry import looked_up
from lineament.train.losses import LOSSES
from lineament.train.losses.head import (
    Margin,
    check_batch,
    check_number,
    check_whole,
    full_precision,
    margin_loss,
)
from lineament.train.losses.loss import Loss, LossValue

MARGINS: dict[str, str] = {
    name: LOSSES[name]
    for name in (
        *("normalized-softmax", "a-softmax", "cosface", "arcface", "combined", "curricularface"),
        *("magface", "adaface"),
    )
}
"""What ``margin`` may be: the losses of one center a class and no other parameters."""

_BLOCK = 4096
"""Classes whose first centers are drawn together: each process draws only the blocks it needs, and
all of them together what a single one would."""

_PRIME = 2**61 - 1


class PartialFC(Loss):
    """Cross-entropy over the classes of the batch and a random sample of the others.

        S    = the classes of the batch, and others drawn at random, rate C in all
        loss = mean over i of  -log( exp z_iy / sum over j in S of exp z_ij )

    with z_ij of the margin loss named by ``margin``. X. An et al., "Partial FC", ICCVW 2021
    (arXiv:2010.05222), and "Killing Two Birds with One Stone", CVPR 2022 (arXiv:2203.15565).
    At rate 1 it is the whole loss.

    Where ``torch.distributed`` runs, process r of W holds the classes from ``first`` on, about
    C / W of them, and draws among these; the sums over classes run over all processes. Every
    process must be given the same, global batch.

    The centers are no parameters of an optimizer: that would keep gradients, and walk over, all C
    of them. ``forward`` makes a copy of the rows in S, backward leaves their gradients in it, and
    ``update`` moves them. Between two updates several batches may pass; their gradients add up. The
    move is the one of ``torch.optim.SGD``:

        g <- g + weight_decay w,   v <- momentum v + g,   w <- w - learning_rate v

    for the rows that were in S since the last update. The others rest: neither decay nor the v of
    earlier steps moves them, and their v stays as it is until they are drawn again. (An optimizer
    over all rows would let them coast on.) Rows are drawn anew in each ``forward``.

    In eval mode the loss is over all C classes, whatever the rate.

    Attributes:
        centers: (C_r, D) of this process, a buffer: in ``state_dict``, of each process its own.
        velocity: (C_r, D), v; there is none where momentum is 0.
        first: number of the first class of this process.
        sharded: whether there are several processes.

    Args:
        dimension: D.
        classes: C, at least as many as processes.
        margin: one of ``MARGINS``.
        margin_options: its options, as ``make_loss`` takes them for the loss of that name.
        rate: share of the classes in S, more than 0, at most 1; more where the batch has more.
        momentum: 0 to less than 1.
        weight_decay: at least 0.
        seed: of the first centers and of the draws; None draws one from PyTorch's global generator,
            which must then be in the same state in all processes. What is drawn depends on the
            seed, the process and the number of draws so far, so a resumed run draws the same.
    """

    centers: Tensor
    velocity: Tensor | None

    def __init__(
        self,
        dimension: int,
        classes: int,
        *,
        margin: str = "arcface",
        margin_options: Mapping[str, Any] | None = None,
        rate: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        seed: int | None = None,
    ) -> None:
        """Take the arguments above."""
        super().__init__(dimension, classes)
        check_number("loss partial-fc, rate", rate, 0, 1, open_least=True)
        check_number("loss partial-fc, momentum", momentum, 0, 1, open_most=True)
        check_number("loss partial-fc, weight_decay", weight_decay, 0)
        if seed is None:
            seed = int(torch.randint(2**31, ()))
        check_whole("loss partial-fc, seed", seed, 0)
        self.margin = make_margin(margin, {} if margin_options is None else margin_options)
        self.rate = rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.seed = seed
        self.draws = 0
        self.rank, self.world, self.group = _processes()
        self.sharded = self.world > 1
        if classes < self.world:
            raise OptionError(
                f"loss partial-fc: expected at least a class a process, got {classes} classes "
                f"and {self.world} processes"
            )
        self.first = classes * self.rank // self.world
        self.last = classes * (self.rank + 1) // self.world
        self.register_buffer("centers", _draw(self.first, self.last, dimension, seed))
        velocity = torch.zeros_like(self.centers) if momentum else None
        self.register_buffer("velocity", velocity)
        self._pending: list[tuple[Tensor | None, Tensor]] = []
        self._spare: Tensor | None = None

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """See ``Loss.forward``."""
        check_batch(embeddings, labels, self.dimension, self.classes)
        if len(labels) == 0:
            return LossValue(full_precision(embeddings).sum() * 0)
        inside = (labels >= self.first) & (labels < self.last)
        local = torch.where(inside, labels - self.first, -1)  # (N,)
        learns = self.training and torch.is_grad_enabled()
        index = self._sample(local[inside]) if self.training else None
        if index is None:
            rows = self.centers.detach()  # (C_r, D), the same memory
        else:
            rows = self._copied(index)  # (S, D)
            # ``index`` is sorted and holds every class of the batch: the place of each in it.
            local = torch.where(inside, torch.searchsorted(index, local), -1)
        if learns:
            rows.requires_grad_()
            self._pending.append((index, rows))
        with torch.autocast(embeddings.device.type, enabled=False):
            value = margin_loss(embeddings, rows, local, self.margin, group=self.group)
        return LossValue(value.loss, {**value.figures, "classes_drawn": float(len(rows))})

    def advance(self, step: int, steps: int) -> None:
        """See ``Loss.advance``."""
        self.margin.advance(step, steps)

    def gradient_norm(self) -> Tensor:
        """(): length of the gradient of all centers of all processes that waits for ``update``.

        For clipping: its square and the ones of the parameters' gradients add up. With several
        processes all of them must call it.
        """
        self._add_up()
        total = torch.zeros((), device=self.centers.device)
        for _, rows in self._pending:
            if rows.grad is not None:
                total = total + rows.grad.square().sum()
        if self.group is not None:
            import torch.distributed as dist

            dist.all_reduce(total, group=self.group)
        return total.sqrt()

    @torch.no_grad()
    def update(self, learning_rate: float, *, grad_scale: float = 1.0) -> None:
        """Move the centers drawn since the last call, and forget their gradients.

        Args:
            learning_rate: at least 0.
            grad_scale: what the gradients are multiplied with first: the factor of clipping, and 1
                over the scale of a ``GradScaler``. 0 throws them away and moves nothing, also where
                they are not finite, as a skipped step must.
        """
        self._add_up()
        pending, self._pending = self._pending, []
        if grad_scale == 0:
            return
        for index, rows in pending:
            gradient = rows.grad
            if gradient is None:
                continue
            rows = rows.detach()
            if grad_scale != 1:
                gradient.mul_(grad_scale)
            if self.weight_decay:
                gradient.add_(rows, alpha=self.weight_decay)
            if self.velocity is not None:
                if index is None:
                    gradient = self.velocity.mul_(self.momentum).add_(gradient)
                else:
                    gradient.add_(self.velocity[index], alpha=self.momentum)
                    self.velocity.index_copy_(0, index, gradient)
            # Without an index, ``rows`` is the centers themselves.
            rows.add_(gradient, alpha=-learning_rate)
            if index is not None:
                self.centers.index_copy_(0, index, rows)
                self._spare = rows

    def get_extra_state(self) -> dict[str, int]:
        """What the draws depend on, and which part of the classes this is."""
        return {
            "seed": self.seed,
            "draws": self.draws,
            "rank": self.rank,
            "world": self.world,
            "classes": self.classes,
        }

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Go on drawing where the saved run stopped.

        Raises:
            CheckpointError: saved by another process, or for another number of them, or of classes.
        """
        for key, mine in (("world", self.world), ("rank", self.rank), ("classes", self.classes)):
            if state.get(key) != mine:
                raise CheckpointError(
                    f"loss partial-fc: expected the state of {key} {mine}, got {state.get(key)}; "
                    "resume with as many processes and classes as the run had, each with its file"
                )
        self.seed = state["seed"]
        self.draws = state["draws"]
        self._pending = []

    def _sample(self, own: Tensor) -> Tensor | None:
        """Numbers of this process's classes to take, sorted; None for all."""
        count = self.last - self.first
        wanted = round(self.rate * count)
        self.draws += 1
        if wanted >= count:
            return None
        generator = torch.Generator()
        mixed = ((self.seed * 1_000_003 + self.rank) * 1_000_003 + self.draws) % _PRIME
        generator.manual_seed(mixed)
        taken = torch.zeros(count, dtype=torch.bool)
        taken[own.cpu()] = True
        missing = wanted - int(taken.count_nonzero())
        while missing > 0:
            # Of numbers drawn with repetition, the first new ones: every set is as likely as
            # another, and it costs a fifth of a permutation of all classes.
            drawn = torch.randint(count, (missing,), generator=generator)
            taken[drawn] = True
            missing = wanted - int(taken.count_nonzero())
        return taken.nonzero()[:, 0].to(self.centers.device)

    def _copied(self, index: Tensor) -> Tensor:
        """The centers of that index, in the memory of the last step's copy where it fits.

        New memory would cost as much as the copying. A second backward through the last step is
        noticed by autograd, since its rows have changed.
        """
        spare, self._spare = self._spare, None
        wanted = (len(index), self.dimension)
        if spare is None or spare.shape != wanted or spare.dtype != self.centers.dtype:
            return self.centers.index_select(0, index)
        if spare.device != self.centers.device:
            return self.centers.index_select(0, index)
        return torch.index_select(self.centers, 0, index, out=spare)

    def _add_up(self) -> None:
        """Make one pending part of several: the sum of their gradients, each row once."""
        pending = [(index, rows) for index, rows in self._pending if rows.grad is not None]
        if len(pending) < 2:
            self._pending = pending
            return
        device = self.centers.device
        every = torch.arange(len(self.centers), device=device)
        if any(index is None for index, _ in pending):
            union, rows = None, self.centers.detach()
        else:
            taken = torch.zeros(len(self.centers), dtype=torch.bool, device=device)
            for index, _ in pending:
                taken[index] = True
            union = taken.nonzero()[:, 0]
            rows = self.centers[union]
        total = torch.zeros_like(rows)
        for index, part in pending:
            own = every if index is None else index
            place = own if union is None else torch.searchsorted(union, own)
            assert part.grad is not None
            total.index_add_(0, place, part.grad)
        rows.requires_grad_()
        rows.grad = total
        self._pending = [(union, rows)]


def make_margin(name: str, options: Mapping[str, Any]) -> Margin:
    """The margin of the loss of that name.

    Raises:
        OptionError: it is none of ``MARGINS``, or an option is unknown or has an impossible value.
    """
    if not isinstance(options, Mapping):
        raise OptionError(
            f"loss partial-fc, margin_options: expected a table of options, got {options!r}"
        )
    kind = looked_up("loss partial-fc, margin", MARGINS, name, options, ())
    return cast("Margin", kind(**options))


def _processes() -> tuple[int, int, Any]:
    """Rank, number of processes, and their group; 0, 1 and None where there is one process."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return 0, 1, None
    return dist.get_rank(), dist.get_world_size(), dist.group.WORLD


def _draw(first: int, last: int, dimension: int, seed: int) -> Tensor:
    """(last - first, D): rows of one long drawn matrix, whichever rows are asked for."""
    centers = torch.empty(last - first, dimension)
    generator = torch.Generator()
    for block in range(first // _BLOCK, -(-last // _BLOCK)):
        generator.manual_seed((seed * 1_000_003 + block) % _PRIME)
        rows = torch.empty(_BLOCK, dimension).normal_(std=0.01, generator=generator)
        start = block * _BLOCK
        low, high = max(first, start), min(last, start + _BLOCK)
        centers[low - first : high - first] = rows[low - start : high - start]
    return centers

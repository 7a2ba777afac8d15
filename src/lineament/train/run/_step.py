"""One step of a run: batches in, one move of the weights out, and figures to log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from lineament.errors import DivergedError, OptionError
from lineament.files import write_atomically
from lineament.train.config import TrainConfig
from lineament.train.data.crops import Batch
from lineament.train.model.checkpoint import LAST
from lineament.train.model.teacher import Remembered, clean_places
from lineament.train.run._components import Components
from lineament.train.run._distributed import World
from lineament.train.run.optimizer import learning_rate_factor
from lineament.types import IntArray

NAN_BATCH = "nan-batch.txt"
NAMED = 8
"""Photos of a batch that a message names."""

MOST_SKIPPED = 20
"""Steps in a row that half precision may skip while its scale is being found: 2^20 in all."""


class Stepper:
    """Moves the weights.

    Attributes:
        skipped: steps in a row that half precision has skipped.
    """

    def __init__(self, config: TrainConfig, world: World, components: Components) -> None:
        """Begin with no step skipped."""
        self.config, self.world, self.components = config, world, components
        self.folder = Path(config.run.out)
        self.skipped = 0

    def take(
        self, group: Sequence[tuple[Batch, IntArray]], step: int, epoch: int
    ) -> dict[str, float]:
        """Take one step of the optimizer over one batch or several.

        Args:
            group: for each batch the part of this process, and the numbers of all its photos.
            step: how many were done before.
            epoch: how many were done before; for messages.

        Returns:
            Figures to log, "loss" and "lr" among them.

        Raises:
            DivergedError: the loss or the gradient is no finite number.
        """
        config = self.config
        if self.components.loss is not None:
            self.components.loss.advance(step, self.components.steps)
        rate = learning_rate_factor(
            config.schedule, step, self.components.steps, self.components.steps_per_epoch
        )
        for param_group in self.components.optimizer.param_groups:
            param_group["lr"] = config.optimizer.lr * param_group["factor"] * rate
        self.components.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for number, (batch, indices) in enumerate(group):
            last = number == len(group) - 1
            net, precision = self.components.net, self.components.precision
            # Gradients are sent once, with the last batch.
            waits: AbstractContextManager[None] = nullcontext()
            if isinstance(net, DistributedDataParallel) and not last:
                waits = net.no_sync()
            with waits:
                total, figures = self._forward(batch, indices, step)
                precision.scaled(total / len(group)).backward()  # type: ignore[no-untyped-call]
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(group)
        norm = self._gradient_norm() / self.components.precision.scale
        learning_rate = config.optimizer.lr * rate
        finite = math.isfinite(sums["loss"]) and math.isfinite(norm)
        if not finite:
            indices = np.concatenate([numbers for _, numbers in group])
            self._not_finite(sums["loss"], norm, indices, step, epoch)
            if self.components.loss is not None:
                self.components.loss.update(0.0, grad_scale=0.0)
        else:
            self.skipped = 0
            clip = config.optimizer.clip_norm
            shorter = min(1.0, clip / (norm + 1e-6)) if clip > 0 else 1.0
            scale = shorter / self.components.precision.scale
            if scale != 1:
                for parameter in self.components.parameters():
                    if parameter.grad is not None:
                        parameter.grad.mul_(scale)
            self.components.optimizer.step()
            if self.components.loss is not None:
                self.components.loss.update(
                    learning_rate * config.optimizer.head_lr_factor, grad_scale=scale
                )
            if self.components.average is not None:
                self.components.average.update(self.components.backbone)
        self.components.precision.adjust(finite)
        more = {"lr": learning_rate, "grad_norm": norm}
        if self.components.precision.scale != 1:
            more["loss_scale"] = self.components.precision.scale
        return sums | more

    def _forward(
        self, batch: Batch, indices: IntArray, step: int
    ) -> tuple[Tensor, dict[str, float | Tensor]]:
        """The whole loss of one global batch, of which ``batch`` is this process's part."""
        config, world, device = self.config, self.world, self.world.device
        seen = batch.augmented.to(device, non_blocking=True)  # (n, 3, S, S)
        count = len(batch.labels)
        clean, clean_counts = self._clean(count)  # (n,) bool
        if clean_counts:
            seen = torch.cat([seen, batch.plain[clean].to(device)])  # (n + k, 3, S, S)
        layout = torch.channels_last if config.run.channels_last else torch.contiguous_format
        with self.components.precision.autocast():
            crops = seen.float().contiguous(memory_format=layout)
            embedded = self.components.net(crops)  # (n + k, D)
        own = embedded.float()
        everybody = world.gather(own[:count])  # (N, D)
        labels = self.components.labels[torch.from_numpy(indices)].to(device)  # (N,)
        figures: dict[str, float | Tensor] = {}
        total = everybody.new_zeros(())
        if self.components.loss is not None:
            with self._loss_random(step):
                value = self.components.loss(everybody, labels)
            total = total + config.loss.weight * value.loss
            figures |= value.figures
            if self.components.distillation is not None:
                figures["label_loss"] = value.loss.detach()
        if self.components.distillation is not None:
            taught = self._teacher_embeddings(batch, seen, clean)  # (n + k, T)
            rows, targets = [everybody], [world.gather(taught[:count])]
            if clean_counts:
                rows.append(world.gather(own[count:], clean_counts))
                targets.append(world.gather(taught[count:], clean_counts))
            term = self.components.distillation(torch.cat(rows), torch.cat(targets))
            total = total + config.teacher.weight * term
            figures["teacher_loss"] = term.detach()
        figures["loss"] = total.detach()
        return total, figures

    def _clean(self, count: int) -> tuple[Tensor, list[int]]:
        """Which of ``count`` photos the student also sees as they are.

        Returns:
            (count,) bool; and how many each process has, nothing where nobody has any.
        """
        share = 0.0 if self.components.distillation is None else self.config.teacher.clean
        chosen = clean_places(count * self.world.size, share).view(self.world.size, count)
        return chosen[self.world.rank], chosen.sum(1).tolist() if chosen.any() else []

    @torch.no_grad()
    def _teacher_embeddings(self, batch: Batch, seen: Tensor, clean: Tensor) -> Tensor:
        """The teacher's embeddings: of the photos, then of those that are seen clean.

        Args:
            batch: this process's part.
            seen: (n + k, 3, S, S) what the student sees.
            clean: (n,) bool, which k of the photos are in it as they are too.
        """
        assert self.components.teacher is not None
        if self.config.teacher.sees == "augmented":
            assert not isinstance(self.components.teacher, Remembered)
            return self.components.teacher.embed(seen)
        if isinstance(self.components.teacher, Remembered):
            taught = self.components.teacher.embed(batch.plain, batch.indices)
        else:
            taught = self.components.teacher.embed(batch.plain.to(self.world.device))
        taught = taught.to(self.world.device)
        return torch.cat([taught, taught[clean.to(taught.device)]])

    @contextmanager
    def _loss_random(self, step: int) -> Iterator[None]:
        """The same random numbers for the loss in every process, whatever the backbones drew."""
        device = self.world.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed((self.config.run.seed << 31) + step)
            yield

    def _gradient_norm(self) -> float:
        """The length of the whole gradient, all processes' shards of the loss in it."""
        shard: set[int] = set()
        if self.components.sharded and self.components.loss is not None:
            shard = {id(parameter) for parameter in self.components.loss.parameters()}
        mine = torch.zeros((), device=self.world.device)
        shared = torch.zeros((), device=self.world.device)
        for parameter in self.components.parameters():
            if parameter.grad is None:
                continue
            square = torch.linalg.vector_norm(parameter.grad.detach(), dtype=torch.float32).square()
            if id(parameter) in shard:
                mine = mine + square
            else:
                shared = shared + square
        if self.components.sharded:
            mine = self.world.sum(mine)
        waiting = None if self.components.loss is None else self.components.loss.gradient_norm()
        if waiting is not None:  # summed over processes already
            shared = shared + waiting.square()
        return float((mine + shared).sqrt())

    def _not_finite(
        self, loss: float, norm: float, indices: IntArray, step: int, epoch: int
    ) -> None:
        """Skip a step in half precision, whose scale is too large; or say which batch it was."""
        self.skipped += 1
        if self.config.run.precision == "fp16" and self.skipped <= MOST_SKIPPED:
            return
        what = "gradient" if math.isfinite(loss) else "loss"
        value = norm if math.isfinite(loss) else loss
        names = list(dict.fromkeys(self.components.faces.name(int(i)) for i in indices))
        where = ""
        if self.world.first:
            path = self.folder / NAN_BATCH
            try:
                text = "".join(f"{name}\n" for name in names)
                write_atomically(path, text.encode("utf-8", "surrogateescape"))
                where = f" (all: {path})"
            except OptionError:
                where = ""
        few = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        last = self.folder / LAST
        kept = f"; {last} is from before" if last.exists() else ""
        raise DivergedError(
            f"the {what} is {value} in epoch {epoch + 1}, step {step + 1}, with the "
            f"photos {few}{where}{kept}; lower optimizer.lr, lengthen the warm-up, or set "
            "optimizer.clip_norm"
        )

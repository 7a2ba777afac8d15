"""The components of a run, built from its configuration: network, loss, optimizer, batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from lineament.errors import OptionError
from lineament.train.backbones.backbone import Backbone
from lineament.train.config import TrainConfig
from lineament.train.data import FaceSet, PeopleBatches, RandomBatches
from lineament.train.data.crops import Crops, Loader
from lineament.train.data.samplers import Sampler
from lineament.train.losses import make_loss
from lineament.train.losses.loss import Loss
from lineament.train.model.checkpoint import Origin
from lineament.train.model.last_layer import whiten
from lineament.train.model.start import Mode, starting_backbone
from lineament.train.model.teacher import Distillation, Remembered, Teacher, load_teacher
from lineament.train.run._distributed import World, data_parallel, share_batch_norm
from lineament.train.run.optimizer import Average, Precision, parameter_groups

TEACHER_CACHE = "teacher.f32"


class Components:
    """The components of a run.

    Attributes:
        backbone: the network; ``origin`` says what builds it again.
        net: what crops go through: the backbone, or with many processes its data parallel wrapper.
        mode: which stages of it are trained.
        loss: of the labels, or None.
        teacher, distillation: the other model and its term, or None.
        optimizer: of everything that is trained.
        average: the running mean of the weights, or None.
        precision: fp32, bf16 or fp16.
        sharded: whether each process has its own part of the loss.
        sampler, loader, crops: the batches.
        labels: (N,) int64 of the training set.
    """

    def __init__(
        self,
        config: TrainConfig,
        world: World,
        faces: FaceSet,
        note: Callable[[str], None],
        old: tuple[Backbone, Origin] | None = None,
    ) -> None:
        """Build everything; raises what each component raises.

        Args:
            config: says what.
            world: the processes.
            faces: the training set, as it is trained with.
            note: called with sentences for the user.
            old: the backbone of a run that goes on: what it started from is not needed again.
        """
        self.config, self.world, self.faces = config, world, faces
        self._build(old, note)
        self._plan(note)

    def _build(self, old: tuple[Backbone, Origin] | None, note: Callable[[str], None]) -> None:
        config, world = self.config, self.world
        device = world.device
        backbone: nn.Module
        if old is None:
            backbone, self.origin = starting_backbone(config.backbone, config.data.size_px)
        else:
            backbone, self.origin = old
        if world.many:
            backbone = share_batch_norm(backbone, world)
        if config.run.channels_last:
            backbone = backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.backbone = cast("Backbone", backbone.to(device))
        self.mode = Mode(self.backbone, config.backbone)
        self.crops = Crops(self.faces, self.backbone.size_px, config.augment, config.run.seed)
        if old is None and config.backbone.whitened:
            note(f"the last layer is set from {len(self.crops)} photos")
            whiten(self.backbone, self.crops, config.backbone.whitened)
            world.equalize(self.backbone.parameters())
        self.loss: Loss | None = None
        if config.loss.weight > 0:
            self.loss = make_loss(
                config.loss.name,
                self.backbone.dimension,
                len(self.faces.people),
                **config.loss.options,
            ).to(device)
        self.teacher: Teacher | Remembered | None = None
        self.distillation: Distillation | None = None
        if config.teacher.name != "":
            teacher = load_teacher(
                config.teacher.name, device, config.run.threads, flip=config.teacher.flip
            )
            self.distillation = Distillation(self.backbone.dimension, teacher.dimension).to(device)
            self.teacher = teacher
        learned = [part for part in (self.loss, self.distillation) if part is not None]
        self.groups = parameter_groups(self.backbone, learned, config.optimizer)
        if not self.groups:
            raise OptionError(
                "everything is frozen, nothing is left to train", option="backbone.frozen"
            )
        options = config.optimizer
        for group in self.groups:
            group["lr"] = options.lr * group["factor"]
        self.optimizer: torch.optim.Optimizer
        if options.name == "sgd":
            self.optimizer = torch.optim.SGD(self.groups, momentum=options.momentum)
        else:
            self.optimizer = torch.optim.AdamW(self.groups)
        self.net: nn.Module = self.backbone
        if world.many and any(p.requires_grad for p in self.backbone.parameters()):
            self.net = data_parallel(self.backbone, device)
        self.sharded = self.loss is not None and self.loss.sharded and world.many
        self.average = None
        if config.ema.decay > 0:
            self.average = Average(self.backbone, config.ema.decay)
        self.precision = Precision(config.run.precision, device)

    def _plan(self, note: Callable[[str], None]) -> None:
        """The batches, and how many steps they make."""
        config = self.config
        labels = np.asarray(self.faces.labels)
        kind = config.sampler.kind
        if kind == "auto":
            kind = "random" if self.loss is None or self.loss.wants == "photos" else "people"
        self.sampler: Sampler
        if kind == "people":
            people = PeopleBatches(
                labels, config.sampler.people, config.sampler.photos, config.run.seed
            )
            for text in people.notes:
                note(text)
            self.sampler = people
        else:
            # A small set fills its one batch up.
            drop = config.sampler.batch <= len(labels)
            self.sampler = RandomBatches(labels, config.sampler.batch, config.run.seed, drop)
        if self.sampler.batch < 2 * self.world.size:
            raise OptionError(
                "expected at least 2 photos for each of the "
                f"{self.world.size} processes, got {self.sampler.batch}",
                option="sampler.batch",
            )
        self.loader = Loader(
            self.crops,
            self.sampler,
            workers=config.data.workers,
            rank=self.world.rank,
            world=self.world.size,
        )
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.batches_per_epoch = len(self.sampler)
        self.steps_per_epoch = math.ceil(self.batches_per_epoch / config.optimizer.accumulate)
        self.steps = config.run.steps
        if self.steps == 0:
            self.steps = config.run.epochs * self.steps_per_epoch
        self.epochs = math.ceil(self.steps / self.steps_per_epoch)

    def remember_teacher(self, folder: Path, *, resumed: bool) -> None:
        """Compute each embedding of a teacher that sees plain photos once in the run."""
        if self.teacher is None or self.config.teacher.sees != "plain":
            return
        assert not isinstance(self.teacher, Remembered)
        suffix = f".rank{self.world.rank}" if self.world.rank else ""
        self.teacher = Remembered(
            self.teacher,
            len(self.faces),
            folder / f"{TEACHER_CACHE}{suffix}",
            resumed=resumed,
        )

    def parameters(self) -> list[nn.Parameter]:
        """All that are trained."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def trained_network(self) -> Backbone:
        """What is verified and kept: with EMA the mean of the weights."""
        return self.backbone if self.average is None else self.average.module

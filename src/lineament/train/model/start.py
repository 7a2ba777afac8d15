"""The network that a run begins with, its weights, and which of its stages are trained."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lineament.errors import OptionError
from lineament.train.backbones import make_backbone
from lineament.train.backbones.backbone import Backbone
from lineament.train.config import BackboneOptions
from lineament.train.model.checkpoint import Origin, load_model

DEFAULT_BACKBONE = "mobilefacenet"


def starting_backbone(options: BackboneOptions, size_px: int) -> tuple[Backbone, Origin]:
    """Build the network that a run begins with; also returns what builds it again.

    Args:
        options: the run's table [backbone].
        size_px: side of the crops; 0 is the backbone's own.

    Raises:
        OptionError: no such architecture or start, or the start is of another one.
        CheckpointError: the start's file is damaged.
    """
    if options.start == "":
        name = DEFAULT_BACKBONE if options.name == "" else options.name
        backbone = make_backbone(
            name,
            dimension=None if options.dimension == 0 else options.dimension,
            size_px=None if size_px == 0 else size_px,
            **options.options,
        )
        return backbone, Origin(
            "backbone", name, backbone.dimension, backbone.size_px, dict(options.options)
        )
    backbone, origin = _started(options.start)
    checks = {
        "name": (options.name, origin.name),
        "dimension": (options.dimension, backbone.dimension),
    }
    for key, (asked, found) in checks.items():
        if asked not in ("", 0, found):
            raise OptionError(
                f"backbone.{key}: expected {found}, as backbone.start {options.start} has it, got "
                f"{asked}; leave it out"
            )
    if options.options and options.options != origin.options:
        raise OptionError(
            f"expected {origin.options}, as backbone.start has them; leave them out",
            option="backbone.options",
        )
    if size_px not in (0, backbone.size_px):
        raise OptionError(
            f"expected {backbone.size_px}, as backbone.start, got {size_px}", option="data.size_px"
        )
    return backbone, origin


def _started(start: str) -> tuple[Backbone, Origin]:
    if Path(start).exists():
        return load_model(start)
    from lineament.train.backbones.bundled import BUNDLED, load_bundled

    if start not in BUNDLED:
        raise OptionError(
            f"expected {', '.join(BUNDLED)}, the folder of a run, or a checkpoint, got {start!r}",
            option="backbone.start",
        )
    backbone = load_bundled(start)
    return backbone, Origin("bundled", start, backbone.dimension, backbone.size_px)


class Mode:
    """Which stages of a backbone are trained; restores that after every verification."""

    def __init__(self, backbone: Backbone, options: BackboneOptions) -> None:
        """Freeze what ``options.frozen`` names; OptionError for stages that there are not."""
        stages = dict(backbone.stages())
        unknown = [name for name in options.frozen if name not in stages]
        if unknown:
            raise OptionError(
                f"expected some of {', '.join(stages)}, got {', '.join(unknown)}",
                option="backbone.frozen",
            )
        self.backbone = backbone
        self.still = [module for name in options.frozen for module in stages[name]]
        for module in self.still:
            module.requires_grad_(False)
        self.fixed_norm = options.fixed_batch_norm

    def train(self) -> None:
        """Training mode, but for what is frozen or fixed."""
        self.backbone.train()
        for module in self.still:
            module.eval()
        if self.fixed_norm:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

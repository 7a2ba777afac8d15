"""A finished run as an ONNX file with its entry, and where its weights and lessons come from."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from lineament import models
from lineament.errors import OptionError
from lineament.models import Card
from lineament.models.cards import CommercialUse
from lineament.train.config import TrainConfig
from lineament.train.model.checkpoint import (
    Origin,
    checkpoint_path,
    load_model,
    load_similarity,
    run_config,
)
from lineament.train.model.export import export_onnx


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that was written.

    Attributes:
        card: its entry; ``card.name`` is what it is asked for by.
        path: the ONNX file.
        manifest: the file that holds the entry; ``LINEAMENT_MANIFEST`` names it.
        checkpoint: the file that the weights are from.
        origin: the kind and the name of the network.
    """

    card: Card
    path: Path
    manifest: Path
    checkpoint: Path
    origin: Origin


def export_run(
    run: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    which: str = "best",
    license: str | None = None,
    commercial_use: CommercialUse | None = None,
    training_data: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the model of a run as ONNX, with its entry in manifest.json beside it.

    What a run with the loss "siamese" has learned is written with it: the model's metric "siamese".

    Args:
        run: the folder of a run, or one of its checkpoints.
        path: of the new file; None: NAME.onnx in the folder of the run.
        name: what the model is asked for by; None: after the folder.
        which: of the weights of a folder, "best" or "last".
        license: of the new weights, as SPDX names it; None: unknown.
        commercial_use: whether that license grants it; None: "no" where a recognizer that the model
            begins with or learns from forbids it, else "unknown".
        training_data: what it was trained on; None: the folder of photos of the configuration.
        overwrite: whether files are replaced.

    Raises:
        OptionError: an argument has a wrong value, or a file exists.
        CheckpointError: the run has no such weights, or they are damaged.
        ExportError: the written network does not do what the trained one does.
    """
    known = get_args(CommercialUse)
    if commercial_use not in (None, *known):
        raise OptionError(
            f"expected {', '.join(known[:-1])} or {known[-1]}, got {commercial_use}",
            option="commercial_use",
        )
    if not Path(run).exists():
        raise OptionError(f"{run}: expected the folder of a training run, found none")
    source = checkpoint_path(run, which)
    backbone, origin = load_model(source)
    folder = Path(run) if Path(run).is_dir() else Path(run).parent
    config = run_config(folder)
    parents = _parents(config, origin.name if origin.kind == "bundled" else "")
    own = _name_after(folder) if name is None else name
    target = folder / f"{own}.onnx" if path is None else Path(path)
    card = export_onnx(
        backbone,
        target,
        name=own,
        training_data=_data(config, parents) if training_data is None else training_data,
        license_weights="unknown" if license is None else license,
        commercial_use=_use(parents) if commercial_use is None else commercial_use,
        notes=_notes(parents),
        similarity=load_similarity(source, config, backbone.dimension),
        overwrite=overwrite,
    )
    manifest = target.absolute().with_name("manifest.json")
    return Exported(card, target, manifest, source, origin)


def _name_after(folder: Path) -> str:
    plain = re.sub(r"[^a-z0-9._-]+", "-", folder.absolute().name.lower()).strip("-._")
    if plain == "":
        raise OptionError(f"expected a name, as {folder} gives none: a-z, 0-9, -", option="name")
    return plain[:64]


def _parents(config: TrainConfig, bundled: str) -> list[Card]:
    """The recognizers that the model begins with or learns from."""
    entries = {entry.name: entry for entry in models.entries("embedder")}
    names = dict.fromkeys((bundled, config.backbone.start, config.teacher.name))
    return [entries[name] for name in names if name in entries]


def _use(parents: list[Card]) -> CommercialUse:
    """What the publishers of its parents forbid, it may not allow; the rest its user must say."""
    return "no" if any(parent.commercial_use == "no" for parent in parents) else "unknown"


def _data(config: TrainConfig, parents: list[Card]) -> str:
    text = f"photos of {Path(config.data.path).name}" if config.data.path else "unknown"
    return text + "".join(f"; before that, as {parent.name} was" for parent in parents)


def _notes(parents: list[Card]) -> str | None:
    if not parents:
        return None
    return "Derived from " + " and ".join(
        f"{parent.name} (weights {parent.license_weights}, commercial use {parent.commercial_use})"
        for parent in parents
    )

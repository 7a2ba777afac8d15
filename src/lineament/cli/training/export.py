"""``lineament export RUN``: a trained model as an ONNX file that the pipeline takes by name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lineament.cli.output import print_json, print_note, print_pairs
from lineament.errors import OptionError

if TYPE_CHECKING:
    from lineament.models import Card
    from lineament.models.cards import CommercialUse
    from lineament.train.config import TrainConfig


def export_run(
    run: Path,
    *,
    out: Path | None,
    name: str | None,
    which: str,
    license: str | None,
    commercial_use: str | None,
    training_data: str | None,
    overwrite: bool,
    json: bool,
) -> None:
    """Write RUN/NAME.onnx, or ``out``, with its entry in manifest.json beside it."""
    from lineament.cli.training.train import check_torch

    check_torch()
    from lineament.train.model.checkpoint import checkpoint_path, load_model, run_config
    from lineament.train.model.export import export_onnx

    if commercial_use not in (None, "yes", "no", "unknown"):
        raise OptionError(f"--commercial-use: expected yes, no or unknown, got {commercial_use}")
    source = checkpoint_path(run, which)
    backbone, origin = load_model(source)
    folder = run if run.is_dir() else run.parent
    config = run_config(folder)
    parents = _parents(config, origin.name if origin.kind == "bundled" else "")
    known = name if name is not None else name_from(folder)
    target = folder / f"{known}.onnx" if out is None else out
    use = commercial_use if commercial_use is not None else _use(parents)
    written = export_onnx(
        backbone,
        target,
        name=known,
        training_data=training_data if training_data is not None else _data(config, parents),
        license_weights="unknown" if license is None else license,
        commercial_use=cast("CommercialUse", use),
        notes=_notes(parents),
        overwrite=overwrite,
    )
    manifest = target.absolute().with_name("manifest.json")
    if json:
        print_json(
            {
                "out": str(target),
                "manifest": str(manifest),
                "checkpoint": str(source),
                "weights": written.to_dict(),
            }
        )
        return
    print_pairs(
        [
            ("written", str(target)),
            ("from", str(source)),
            ("network", str(origin)),
            ("embedding", f"{written.dimension} numbers, crops {written.alignment}"),
            ("size", f"{written.bytes / 1e6:.1f} MB"),
        ]
    )
    print_note(
        f"export LINEAMENT_MANIFEST={shlex.quote(str(manifest))} makes the name known: "
        f"`lineament verify A.jpg B.jpg --recognizer {known}`; it has no thresholds yet: "
        f"`lineament tune PEOPLE --recognizer {known}` finds them"
    )


def name_from(folder: Path) -> str:
    """A name for the manifest, of the folder's."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", folder.absolute().name.lower()).strip("-._")
    if plain == "":
        raise OptionError(f"--name: expected a name, as {folder} gives none: a-z, 0-9, -")
    return plain[:64]


def _parents(config: TrainConfig, bundled: str) -> list[Card]:
    """The recognizers that the model has its weights or its lessons from."""
    from lineament import models

    entries = {entry.name: entry for entry in models.entries("embedder")}
    names = dict.fromkeys((bundled, config.backbone.start, config.teacher.name))
    return [entries[name] for name in names if name in entries]


def _use(parents: list[Card]) -> str:
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

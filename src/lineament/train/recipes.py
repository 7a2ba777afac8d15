"""Configurations for the usual tasks, so that nobody has to begin with an empty file.

    finetune_config()  a model that is there already, on photos of one's own
    distill_config()   another architecture, made to give the embeddings of a model that is there

Each returns a ``TrainConfig`` like any other; every key can be changed after that. Loads no
PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lineament.errors import OptionError
from lineament.train.config import TrainConfig, from_dict, override

LOW_RESOLUTION_SPREAD = 1.5
"""Fine-tuning for faces of S pixels shows faces of S / this to S * this: it holds around S."""


def finetune_config(
    photos: str,
    out: str,
    *,
    recognizer: str = "sface",
    labels: float = 0.0,
    keep: float = 1.0,
    low_resolution_px: int | None = None,
    epochs: int = 2,
    lr: float = 1e-4,
    hold_out: float = 0.0,
    overrides: Sequence[str] = (),
) -> TrainConfig:
    """What ``lineament train finetune`` runs: all weights, slowly, held near the model as it was.

    The student sees changed photos, the teacher, which is the model as it was, sees them
    unchanged; that the two agree is all that is asked when ``labels`` is 0. Part of each batch is
    shown unchanged to the student too, so that it does not get worse on good photos.

    Args:
        photos: the training set, as ``data.path``.
        out: folder of the run.
        recognizer: "sface", "mobilefacenet", or the folder of a run: where the weights begin.
        labels: weight of ArcFace on the people's names; 0 does not use them.
        keep: weight of staying near the model as it was.
        low_resolution_px: train for faces that are about so many pixels wide.
        epochs: times that every photo is seen.
        lr: the highest learning rate, of AdamW.
        hold_out: share of the people to verify with instead of training with them.
        overrides: ``table.key=value``, as for ``load_config``.

    Raises:
        OptionError: a value that cannot be, or neither ``labels`` nor ``keep``.
    """
    if keep < 0 or (labels == 0 and keep == 0):
        least = "above 0 where labels are not used" if labels == 0 else "at least 0"
        raise OptionError(f"expected {least}, got {keep:g}", option="keep")
    values: dict[str, Any] = {
        "run": {"out": out, "epochs": epochs, "channels_last": True},
        "data": {"path": photos},
        "sampler": {"batch": 32},
        # A few thousand photos are too few to estimate the statistics anew.
        "backbone": {"start": recognizer, "fixed_batch_norm": True},
        "loss": {"name": "arcface", "weight": labels, "options": {"scale": 32.0, "margin": 0.3}},
        "optimizer": {
            "name": "adamw",
            "lr": lr,
            "head_lr_factor": 10.0,
            "weight_decay": 0.0,
            "clip_norm": 1.0,
        },
        "schedule": {"kind": "cosine", "warmup_steps": 20},
        "verify": {"people": hold_out},
    }
    if keep > 0:
        values["teacher"] = {"name": recognizer, "weight": keep, "sees": "plain", "clean": 0.25}
    if low_resolution_px is not None:
        if low_resolution_px < 4:
            raise OptionError(
                f"expected at least 4, got {low_resolution_px}", option="low_resolution_px"
            )
        values["augment"] = {
            "low_resolution": 1.0,
            "least_px": max(2, round(low_resolution_px / LOW_RESOLUTION_SPREAD)),
            "most_px": round(low_resolution_px * LOW_RESOLUTION_SPREAD),
        }
    return _with(values, overrides)


def distill_config(
    photos: str,
    out: str,
    *,
    teacher: str = "sface",
    student: str = "mobilefacenet",
    labels: float = 0.0,
    epochs: int = 20,
    lr: float = 1e-3,
    hold_out: float = 0.0,
    overrides: Sequence[str] = (),
) -> TrainConfig:
    """What ``lineament train distill`` runs: an architecture learns a model's embeddings.

    Args:
        photos: the training set; with ``labels`` 0 it does not matter who is on them.
        out: folder of the run.
        teacher: a recognizer by name, or the folder of a run.
        student: an architecture of ``lineament.train.backbones``. Its embeddings get the teacher's
            length where the architecture allows it; else set ``backbone.dimension``.
        labels: weight of ArcFace on the people's names; 0 does not use them.
        epochs, lr, hold_out, overrides: as for ``finetune_config``.

    Raises:
        OptionError: a value that cannot be.
    """
    values: dict[str, Any] = {
        "run": {"out": out, "epochs": epochs},
        "data": {"path": photos},
        "augment": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
        "sampler": {"batch": 64},
        "backbone": {"name": student},
        "loss": {"name": "arcface", "weight": labels},
        # The teacher sees what the student sees: its embeddings of a changed photo are as much
        # to be learned as those of the photo itself.
        "teacher": {"name": teacher, "weight": 1.0, "sees": "augmented"},
        "optimizer": {"name": "adamw", "lr": lr, "weight_decay": 0.05},
        "schedule": {"kind": "cosine", "warmup_epochs": 1.0},
        "verify": {"people": hold_out},
    }
    return _with(values, overrides)


def _with(values: dict[str, Any], overrides: Sequence[str]) -> TrainConfig:
    for text in overrides:
        override(values, text)
    return from_dict(values)

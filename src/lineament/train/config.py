"""What a run is: frozen dataclasses, read from a TOML file and changed by ``table.key=value``.

    [data]
    path = "crops"
    [backbone]
    name = "mobilefacenet"
    [loss]
    name = "arcface"
    options = { margin = 0.4 }

Each table is a dataclass here, each key one of its fields; ``example`` writes them all with what
they mean. Loads no PyTorch: names of losses and backbones are checked where those are made.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lineament import forms
from lineament.errors import MissingExtraError, OptionError
from lineament.files import read_regular, write_atomically
from lineament.text import reason_of
from lineament.train.data.augment import Augment
from lineament.train.tables import (
    check_table,
    kinds,
    lines,
    option,
    parse_value,
    read_table,
    unknown,
)

MOST_BYTES = 4 << 20
"""Of a configuration; those that we know have 3,000."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where the run is written, how long it is, and on what it runs."""

    out: str = option("", "the run's folder")
    seed: int = option(0, "of everything that is drawn by chance", ge=0, le=2**32 - 1)
    device: str = option("auto", 'auto, cpu, cuda, cuda:1, ...; "auto" is cuda where there is one')
    precision: Literal["fp32", "bf16", "fp16"] = option("fp32", "of the backbone's arithmetic")
    channels_last: bool = option(
        False, "numbers of a pixel side by side: faster convolutions, other rounding"
    )
    threads: int = option(0, "of PyTorch on the CPU; 0 leaves its own choice", ge=0, le=1024)
    epochs: int = option(20, "times that every photo is seen", ge=1)
    steps: int = option(0, "optimizer steps in place of epochs; 0: by epochs", ge=0)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The training photos: aligned faces, with who they show."""

    path: str = option("", "one folder per person, .csv, .tar or a folder of .tar, or .rec")
    least_photos: int = option(1, "people with fewer photos are left out", ge=1)
    size_px: int = option(0, "side of the crops; 0: what the backbone takes", ge=0, le=1024)
    workers: int = option(0, "processes that read photos; 0: none", ge=0, le=256)


@dataclass(frozen=True, kw_only=True)
class SamplerOptions:
    """How photos come together in batches."""

    kind: Literal["auto", "random", "people"] = option("auto", '"auto": what the loss wants')
    batch: int = option(128, "photos in one batch, over all processes", ge=2)
    people: int = option(32, 'people in one batch of kind "people"', ge=2)
    photos: int = option(4, 'photos of each of them in kind "people"', ge=2)


@dataclass(frozen=True, kw_only=True)
class BackboneOptions:
    """The network."""

    name: str = option("", 'its architecture; "" is that of `start`, or mobilefacenet')
    dimension: int = option(0, "length of the embedding; 0: the architecture's own", ge=0)
    options: dict[str, Any] = option({}, "of the architecture")  # noqa: RUF009
    start: str = option("", "weights to begin with: a bundled recognizer, a run, or a checkpoint")
    frozen: tuple[str, ...] = option((), "stages that stay as they are, by name")
    fixed_batch_norm: bool = option(False, "keep the statistics of all batch norms as they are")
    whitened: int = option(
        0, "times that each photo is seen to set the last layer before step 1; 0: off", ge=0
    )


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """What the labels ask for."""

    name: str = option("arcface", "one of lineament.train.losses")
    weight: float = option(1.0, "0: labels are not used", ge=0)
    options: dict[str, Any] = option({}, "of the loss: margin, ...")  # noqa: RUF009


@dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """Another model, whose embeddings the trained one learns.

    Its term is the mean of 1 - cos(student's, teacher's embedding). Where the two lengths differ, a
    linear layer is learned between them; it is no part of the trained model.
    """

    name: str = option("", 'a bundled recognizer or a run; "": none')
    weight: float = option(1.0, "of its term; the loss of the labels has loss.weight", ge=0)
    sees: Literal["plain", "augmented"] = option(
        "plain", "the crop as it is, or as the student sees it"
    )
    clean: float = option(0.0, "share of the batch that the student also sees as it is", ge=0, le=1)
    flip: bool = option(False, "its embedding is the mean over the crop and its mirror image")


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """How weights are moved."""

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = option(0.1, "the highest learning rate", gt=0)
    head_lr_factor: float = option(1.0, "times lr for the loss's own parameters", ge=0)
    momentum: float = option(0.9, "of sgd", ge=0, le=0.9999)
    weight_decay: float = option(5e-4, "not on norms, biases and slopes of PReLU", ge=0)
    clip_norm: float = option(5.0, "longest gradient; longer ones are scaled; 0: off", ge=0)
    accumulate: int = option(1, "batches in one step of the optimizer", ge=1)


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """How the learning rate goes from lr to its end."""

    kind: Literal["polynomial", "cosine", "step", "constant"] = "polynomial"
    by: Literal["epochs", "steps"] = option("steps", "whether it changes every step or every epoch")
    warmup_epochs: float = option(0.0, "rising from 0 to lr before that", ge=0)
    warmup_steps: int = option(0, "the same in steps; the longer one counts", ge=0)
    power: float = option(2.0, 'of "polynomial"', gt=0)
    end: float = option(0.0, "share of lr at the end (polynomial, cosine)", ge=0, le=1)
    milestones: tuple[float, ...] = option((), 'epochs after which "step" lowers it')
    factor: float = option(0.1, 'by which "step" lowers it', gt=0, le=1)


@dataclass(frozen=True, kw_only=True)
class EmaOptions:
    """A running mean of the weights, which is what is verified and exported."""

    decay: float = option(0.0, "0.999 for example; 0: off", ge=0, le=0.99999)


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """How often the state of the run is written."""

    every: int = option(1, "last.pt is written every so many `unit`; 0: at the end only", ge=0)
    unit: Literal["epochs", "steps"] = "epochs"


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Verification while training, on people that are not trained with."""

    images: str = option("", "crops of the pairs: one folder per person, or another data path")
    pairs: str = option("", 'lines "name n m" and "name1 n name2 m", as LFW View 1 has them')
    people: float = option(
        0.0, "without pairs: share of the training people to hold out", ge=0, le=0.9
    )
    every: int = option(1, "in `unit`; 0: at the end only", ge=0)
    unit: Literal["epochs", "steps"] = "epochs"
    best: Literal["auc", "accuracy", "tar_at_fmr_1e-2", "tar_at_fmr_1e-3"] = option(
        "auc", "which figure best.pt has the highest of"
    )


@dataclass(frozen=True, kw_only=True)
class LeakageOptions:
    """People of evaluation sets that are in the training set."""

    against: tuple[str, ...] = option((), "folders of people, or lists of pairs")
    action: Literal["warn", "refuse", "drop"] = option("warn", '"drop" leaves them out of training')


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """What is written of the run while it goes."""

    csv: bool = option(True, "log.csv")
    curves: bool = option(True, "curves.png, drawn now and then and at the end")
    tensorboard: bool = option(False, "events in tensorboard/")
    every: int = option(20, "steps in one row", ge=1)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A run. Every table has its defaults; only ``data.path`` and ``run.out`` must be given."""

    run: RunOptions = field(default_factory=RunOptions)
    data: DataOptions = field(default_factory=DataOptions)
    augment: Augment = field(default_factory=Augment)
    sampler: SamplerOptions = field(default_factory=SamplerOptions)
    backbone: BackboneOptions = field(default_factory=BackboneOptions)
    loss: LossOptions = field(default_factory=LossOptions)
    teacher: TeacherOptions = field(default_factory=TeacherOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    ema: EmaOptions = field(default_factory=EmaOptions)
    checkpoint: CheckpointOptions = field(default_factory=CheckpointOptions)
    verify: VerifyOptions = field(default_factory=VerifyOptions)
    leakage: LeakageOptions = field(default_factory=LeakageOptions)
    log: LogOptions = field(default_factory=LogOptions)

    def __post_init__(self) -> None:
        """Check every value; OptionError names its table and key."""
        for table in dataclasses.fields(self):
            check_table(table.name, getattr(self, table.name))
        if self.teacher.name == "" and self.loss.weight == 0:
            raise OptionError(
                "0 means that labels are not used, and there is no teacher either: "
                "set teacher.name, or a weight above 0",
                option="loss.weight",
            )
        if self.teacher.name != "" and self.loss.weight == 0 and self.teacher.weight == 0:
            raise OptionError(
                "expected above 0, as loss.weight is 0, got 0", option="teacher.weight"
            )
        if (self.verify.pairs == "") != (self.verify.images == ""):
            raise OptionError(
                "expected with verify.images: the list, and the crops that it names",
                option="verify.pairs",
            )
        if self.verify.pairs != "" and self.verify.people > 0:
            raise OptionError("expected 0 where verify.pairs is given", option="verify.people")

    def to_dict(self) -> dict[str, Any]:
        """Tables as plain values, ready for JSON or TOML."""
        return dataclasses.asdict(self)

    def changed(self, **tables: Mapping[str, Any]) -> TrainConfig:
        """The same with other values: ``config.changed(run={"epochs": 3})``; checked.

        Raises:
            OptionError: an unknown table or key, or a value that it cannot have.
        """
        values = self.to_dict()
        for table, keys in tables.items():
            values[table] = values.get(table, {}) | dict(keys)
        return from_dict(values)


def load_config(
    path: str | os.PathLike[str] | None = None, overrides: Sequence[str] = ()
) -> TrainConfig:
    """Read a TOML file, and change what ``overrides`` say.

    Args:
        path: of the file; None begins with the defaults.
        overrides: each "table.key=value", the value as TOML has it; bare words are text:
            "loss.name=arcface", "backbone.options.norm=group", "run.epochs=3".

    Raises:
        OptionError: the file cannot be read, is no TOML, or has an unknown table or key, or a value
            that the key cannot have; the message says which are known.
    """
    values: dict[str, Any] = {}
    where = "" if path is None or overrides else f"{path}: "  # it may be an override's fault
    if path is not None:
        try:
            text = read_regular(path, at_most=MOST_BYTES).decode()
            values = _spelled(tomllib.loads(text.replace("\r\n", "\n")))
        except (
            OSError,
            ValueError,
            RecursionError,
        ) as error:  # ValueError: no UTF-8, a NUL in the path, no TOML
            kind = None if isinstance(error, OSError) else forms.kind_of_file(path)
            raise OptionError(
                f"{path}: expected a configuration in TOML, got "
                f"{f': {reason_of(error)}' if kind is None else kind}".replace("got :", "got:")
            ) from error
    for text in overrides:
        override(values, text)
    try:
        return from_dict(values)
    except OptionError as error:
        if where == "":
            raise
        raise OptionError(f"{where}{error}") from error


OLD_KEYS = {"grey": "gray", "centre_weight": "center_weight", "centres": "centers"}
"""Keys of files that were written before the spelling became American; they are still read."""


def _spelled(values: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with today's keys."""
    return {
        key: _spelled(value) if isinstance(value, Mapping) else value
        for key, value in forms.renamed(values, OLD_KEYS).items()
    }


def from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """A config of tables as ``TrainConfig.to_dict`` or ``tomllib`` has them; raises OptionError."""
    known = kinds(TrainConfig)
    tables: dict[str, Any] = {}
    for name, table in values.items():
        if name not in known:
            raise OptionError(unknown(name, list(known), "table"), option=name)
        if not isinstance(table, Mapping):
            raise OptionError(f"expected a table, [{name}], got {table!r}", option=name)
        tables[name] = read_table(name, known[name], table)
    return TrainConfig(**tables)


def save_config(config: TrainConfig, path: str | os.PathLike[str]) -> None:
    """Write every key of every table; ``load_config`` reads an equal one.

    Raises:
        OptionError: the file cannot be written.
    """
    write_atomically(path, to_toml(config).encode())


def to_toml(config: TrainConfig) -> str:
    """The text that ``save_config`` writes.

    Raises:
        OptionError: the options of a backbone or loss hold a value that TOML does not have.
        MissingExtraError: tomli-w is not installed.
    """
    try:
        import tomli_w
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    try:
        return tomli_w.dumps(config.to_dict())
    except TypeError as error:
        raise OptionError(
            f"expected options of text, numbers, true, false, lists and tables: {error}"
        ) from error


def example() -> str:
    """A file with every table and key at its default, and what each means."""
    text = ["# What a run of `lineament train` is. Every key has the value that it has without it."]
    for name, kind in kinds(TrainConfig).items():
        about_it = (kind.__doc__ or "").strip().splitlines()
        text += ["", f"# {about_it[0]}", f"[{name}]", *lines(kind)]
    return "\n".join(text) + "\n"


def override(values: dict[str, Any], change: str) -> None:
    """Set "table.key=value" in the tables that ``from_dict`` takes; OptionError if it is none."""
    place, equals, text = change.partition("=")
    parts = [part.strip() for part in place.split(".")]
    if equals == "" or len(parts) < 2 or "" in parts:
        raise OptionError(f"expected table.key=value, got {change!r}")
    table: Any = values
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise OptionError(f"{part} is no table", option=place)
    table[parts[-1]] = parse_value(text.strip())


def absolute_paths(config: TrainConfig) -> TrainConfig:
    """The same with paths that hold from any folder: those that exist, and the run's own."""

    def fixed(text: str) -> str:
        return str(Path(text).absolute()) if text and Path(text).exists() else text

    return config.changed(
        run={"out": str(Path(config.run.out).absolute()) if config.run.out else ""},
        data={"path": fixed(config.data.path)},
        backbone={"start": fixed(config.backbone.start)},
        teacher={"name": fixed(config.teacher.name)},
        verify={"images": fixed(config.verify.images), "pairs": fixed(config.verify.pairs)},
        leakage={"against": tuple(map(fixed, config.leakage.against))},
    )

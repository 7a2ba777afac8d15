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
import difflib
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from lineament.errors import OptionError
from lineament.files import write_atomically
from lineament.train.data.augment import Augment
from lineament.train.toml_text import from_text, key_text, to_text

T = TypeVar("T")

UNITS = ("epochs", "steps")


def _option(
    default: Any,
    about: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A key: its default, what it means, and which values it may have."""
    about_it = {"about": about, "least": least, "above": above, "most": most, "choices": choices}
    return field(default=default, metadata=about_it)


def _table_of_options(about: str) -> Any:
    """A key that holds a table of whatever names; empty by default."""
    about_it = {"about": about, "least": None, "above": None, "most": None, "choices": ()}
    return field(default_factory=dict, metadata=about_it)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where the run is written, how long it is, and on what it runs."""

    out: str = _option("", "the run's folder")
    seed: int = _option(0, "of everything that is drawn by chance", least=0, most=2**32 - 1)
    device: str = _option("auto", 'auto, cpu, cuda, cuda:1, ...; "auto" is cuda where there is one')
    precision: str = _option(
        "fp32", "of the backbone's arithmetic", choices=("fp32", "bf16", "fp16")
    )
    channels_last: bool = _option(
        False, "numbers of a pixel side by side: faster convolutions, other rounding"
    )
    threads: int = _option(0, "of PyTorch on the CPU; 0 leaves its own choice", least=0, most=1024)
    epochs: int = _option(20, "times that every photo is seen", least=1)
    steps: int = _option(0, "optimizer steps in place of epochs; 0: by epochs", least=0)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """The training photos: aligned faces, with who they show."""

    path: str = _option("", "folder a person, .csv, .tar or a folder of .tar, or .rec")
    least_photos: int = _option(1, "people with fewer photos are left out", least=1)
    size_px: int = _option(0, "side of the crops; 0: what the backbone takes", least=0, most=1024)
    workers: int = _option(0, "processes that read photos; 0: none", least=0, most=256)


@dataclass(frozen=True, kw_only=True)
class SamplerOptions:
    """How photos come together in batches."""

    kind: str = _option("auto", '"auto": what the loss wants', choices=("auto", "random", "people"))
    batch: int = _option(128, "photos in one batch, over all processes", least=2)
    people: int = _option(32, 'people in one batch of kind "people"', least=2)
    photos: int = _option(4, 'photos of each of them in kind "people"', least=2)


@dataclass(frozen=True, kw_only=True)
class BackboneOptions:
    """The network."""

    name: str = _option("", 'its architecture; "" is that of `start`, or mobilefacenet')
    dimension: int = _option(0, "length of the embedding; 0: the architecture's own", least=0)
    options: dict[str, Any] = _table_of_options("of the architecture")  # noqa: RUF009
    start: str = _option("", "weights to begin with: a bundled recognizer, a run, or a checkpoint")
    frozen: tuple[str, ...] = _option((), "stages that stay as they are, by name")
    fixed_batch_norm: bool = _option(False, "keep the statistics of all batch norms as they are")
    whitened: int = _option(
        0, "times that each photo is seen to set the last layer before step 1; 0: off", least=0
    )


@dataclass(frozen=True, kw_only=True)
class LossOptions:
    """What the labels ask for."""

    name: str = _option("arcface", "one of lineament.train.losses")
    weight: float = _option(1.0, "0: labels are not used", least=0)
    options: dict[str, Any] = _table_of_options("of the loss: margin, ...")  # noqa: RUF009


@dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """Another model, whose embeddings the trained one shall have.

    Its term is the mean of 1 - cos(student's, teacher's embedding). Where the two lengths differ, a
    linear layer is learned between them; it is no part of the trained model.
    """

    name: str = _option("", 'a bundled recognizer or a run; "": none')
    weight: float = _option(1.0, "of its term; the loss of the labels has loss.weight", least=0)
    sees: str = _option(
        "plain", "the crop as it is, or as the student sees it", choices=("plain", "augmented")
    )
    clean: float = _option(
        0.0, "share of the batch that the student also sees as it is", least=0, most=1
    )
    flip: bool = _option(False, "its embedding is the mean over the crop and its mirror image")


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """How weights are moved."""

    name: str = _option("sgd", "", choices=("sgd", "adamw"))
    lr: float = _option(0.1, "the highest learning rate", above=0)
    head_lr_factor: float = _option(1.0, "times lr for the loss's own parameters", least=0)
    momentum: float = _option(0.9, "of sgd", least=0, most=0.9999)
    weight_decay: float = _option(5e-4, "not on norms, biases and slopes of PReLU", least=0)
    clip_norm: float = _option(5.0, "longest gradient; longer ones are scaled; 0: off", least=0)
    accumulate: int = _option(1, "batches in one step of the optimizer", least=1)


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """How the learning rate goes from lr to its end."""

    kind: str = _option("polynomial", "", choices=("polynomial", "cosine", "step", "constant"))
    by: str = _option("steps", "whether it changes every step or every epoch", choices=UNITS)
    warmup_epochs: float = _option(0.0, "rising from 0 to lr before that", least=0)
    warmup_steps: int = _option(0, "the same in steps; the longer one counts", least=0)
    power: float = _option(2.0, 'of "polynomial"', above=0)
    end: float = _option(0.0, "share of lr at the end (polynomial, cosine)", least=0, most=1)
    milestones: tuple[float, ...] = _option((), 'epochs after which "step" lowers it')
    factor: float = _option(0.1, 'by which "step" lowers it', above=0, most=1)


@dataclass(frozen=True, kw_only=True)
class EmaOptions:
    """A running mean of the weights, which is what is verified and exported."""

    decay: float = _option(0.0, "0.999 for example; 0: off", least=0, most=0.99999)


@dataclass(frozen=True, kw_only=True)
class CheckpointOptions:
    """How often the state of the run is written."""

    every: int = _option(1, "last.pt is written every so many `unit`; 0: at the end only", least=0)
    unit: str = _option("epochs", "", choices=UNITS)


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Verification while training, on people that are not trained with."""

    images: str = _option("", "crops of the pairs: a folder a person, or another data path")
    pairs: str = _option("", 'lines "name n m" and "name1 n name2 m", as LFW View 1 has them')
    people: float = _option(
        0.0, "without pairs: share of the training people to hold out", least=0, most=0.9
    )
    every: int = _option(1, "in `unit`; 0: at the end only", least=0)
    unit: str = _option("epochs", "", choices=UNITS)
    best: str = _option(
        "auc",
        "which figure best.pt has the highest of",
        choices=("auc", "accuracy", "tar_at_fmr_1e-2", "tar_at_fmr_1e-3"),
    )


@dataclass(frozen=True, kw_only=True)
class LeakageOptions:
    """People of evaluation sets that are in the training set."""

    against: tuple[str, ...] = _option((), "folders of people, or lists of pairs")
    action: str = _option(
        "warn", '"drop" leaves them out of training', choices=("warn", "refuse", "drop")
    )


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """What is written of the run while it goes."""

    csv: bool = _option(True, "log.csv")
    curves: bool = _option(True, "curves.png, drawn now and then and at the end")
    tensorboard: bool = _option(False, "events in tensorboard/")
    every: int = _option(20, "steps in one row", least=1)


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
            found = getattr(self, table.name)
            if table.name != "augment":  # which checks itself
                _check_table(table.name, found)
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
            values = tomllib.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, a NUL in the path, no TOML
            reason = getattr(error, "strerror", None) or str(error)
            raise OptionError(f"{path}: expected a TOML file, cannot be read: {reason}") from error
    for text in overrides:
        override(values, text)
    try:
        return from_dict(values)
    except OptionError as error:
        raise OptionError(f"{where}{error}") from error


def from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """A config of tables as ``TrainConfig.to_dict`` or ``tomllib`` has them; raises OptionError."""
    hints = get_type_hints(TrainConfig)
    tables: dict[str, Any] = {}
    for name, table in values.items():
        if name not in hints:
            raise OptionError(f"{_unknown(name, list(hints), 'table')}", option=name)
        if not isinstance(table, Mapping):
            raise OptionError(f"expected a table, [{name}], got {table!r}", option=name)
        tables[name] = _table(name, hints[name], table)
    return TrainConfig(**tables)


def save_config(config: TrainConfig, path: str | os.PathLike[str]) -> None:
    """Write every key of every table; ``load_config`` reads an equal one.

    Raises:
        OptionError: the file cannot be written.
    """
    write_atomically(path, to_toml(config).encode())


def to_toml(config: TrainConfig) -> str:
    """The text that ``save_config`` writes."""
    lines: list[str] = []
    for name, table in config.to_dict().items():
        lines += [f"[{name}]", *(f"{key_text(k)} = {to_text(v)}" for k, v in table.items()), ""]
    return "\n".join(lines)


def example() -> str:
    """A file with every table and key at its default, and what each means."""
    lines = [
        "# What a run of `lineament train` is. Every key has the value that it has without it."
    ]
    for name, kind in get_type_hints(TrainConfig).items():
        about = (kind.__doc__ or "").strip().splitlines()
        lines += ["", f"# {about[0]}", f"[{name}]"]
        for key in dataclasses.fields(kind):
            default = key.default if key.default is not dataclasses.MISSING else {}
            words = key.metadata.get("about", _ABOUT_AUGMENT.get(key.name, ""))
            choices = " | ".join(key.metadata.get("choices", ()))
            words = ": ".join(part for part in (words, choices) if part)
            line = f"{key.name} = {to_text(default)}"
            lines.append(f"{line:<26}  # {words}" if words else line)
    return "\n".join(lines) + "\n"


_STRENGTH = "0 to 1: factors from 1 - it to 1 + it"
_ABOUT_AUGMENT = {
    "flip": "probability; so are gray, blur, low_resolution, jpeg and erasing",
    "brightness": _STRENGTH,
    "contrast": _STRENGTH,
    "saturation": _STRENGTH,
    "rotation_deg": "greatest angle to either side",
    "scaling": "0 to 0.5: sizes from 1 - it to 1 + it",
    "shift": "greatest way, as a share of the side",
    "blur_most_px": "greatest standard deviation",
    "least_px": "shorter side of the reduced picture, at least",
    "most_px": "and at most",
    "shrinking": "any, nearest, linear, area, cubic, lanczos: how it is reduced",
    "enlarging": "any, linear, cubic, lanczos: how it is enlarged again",
    "jpeg_least": "quality",
    "erasing_least": "share of the area",
}


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
    table[parts[-1]] = from_text(text.strip())


def _table(name: str, kind: type[T], values: Mapping[str, Any]) -> T:
    hints = get_type_hints(kind)
    known: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            raise OptionError(_unknown(key, list(hints), "key"), option=f"{name}.{key}")
        known[key] = _converted(f"{name}.{key}", value, hints[key])
    try:
        return kind(**known)
    except OptionError as error:  # of a table that checks itself
        if error.option is not None and error.option.startswith(name):
            raise
        raise OptionError(str(error), option=name) from error


def _converted(place: str, value: Any, kind: Any) -> Any:
    """``value`` as ``kind``: whole numbers are floats too, lists are tuples."""
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        if not isinstance(value, (list, tuple)):
            raise OptionError(f"expected a list of {_words(item)}, got {value!r}", option=place)
        return tuple(_converted(place, one, item) for one in value)
    if get_origin(kind) is dict:
        if not isinstance(value, Mapping):
            raise OptionError(f"expected a table, {{ name = value }}, got {value!r}", option=place)
        return dict(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise OptionError(f"expected {_words(kind)}, got {value!r}", option=place)
    return value


def _words(kind: type) -> str:
    return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[kind]


def _check_table(name: str, table: Any) -> None:
    hints = get_type_hints(type(table))
    for key in dataclasses.fields(table):
        place, value, limits = f"{name}.{key.name}", getattr(table, key.name), key.metadata
        checked = _converted(place, value, hints[key.name])
        if limits["choices"] and checked not in limits["choices"]:
            near = _near(str(checked), limits["choices"])
            raise OptionError(
                f"expected one of {', '.join(limits['choices'])}, got {checked!r}{near}",
                option=place,
            )
        for number in checked if isinstance(checked, tuple) else (checked,):
            if isinstance(number, float) and not math.isfinite(number):
                raise OptionError(f"expected a finite number, got {number}", option=place)
        least, above, most = limits["least"], limits["above"], limits["most"]
        if (
            (least is not None and checked < least)
            or (above is not None and checked <= above)
            or (most is not None and checked > most)
        ):
            words = [
                f"{word} {limit:g}" if isinstance(limit, float) else f"{word} {limit}"
                for word, limit in (("at least", least), ("above", above), ("at most", most))
                if limit is not None
            ]
            raise OptionError(f"expected {' and '.join(words)}, got {checked}", option=place)


def _unknown(name: str, known: Sequence[str], what: str) -> str:
    return f"there is no such {what}; expected one of {', '.join(known)}{_near(name, known)}"


def _near(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=2)
    return f"; did you mean {' or '.join(close)}?" if close else ""


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

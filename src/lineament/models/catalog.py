"""Which models there are: the package's own, those of manifests, and those of plugins.

One folder is one model: ``data/models/NAME`` holds ``card.json``, ``model.onnx``, its calibrations
(``lineament.decide.calibration.bundled``) and the text of its license.

A manifest is a JSON file, ``{"schema": 1, "weights": [card, ...]}``, or a ``card.json``. Paths in
it are relative to its own folder.
"""

from __future__ import annotations

import json
import os
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from lineament import forms
from lineament.errors import OptionError, UnknownWeightsError, WeightsError
from lineament.files import DATA
from lineament.models.cards import (
    NAME_CHARACTERS,
    NAME_RULE,
    TASKS,
    Card,
    CardForm,
    ColorOrder,
    CommercialUse,
    InputSpec,
    Layout,
    PerChannel,
    Side,
    Task,
    is_name,
    made,
    shown,
)

FOLDER = DATA / "models"
SCHEMA = 1
LARGEST_TEXT_FILE = 4 << 20
"""In bytes: a manifest beyond is a mistake or an attack."""


class Preset(NamedTuple):
    """An embedder with its options, by what they are good for."""

    recognizer: str
    flip: bool


PRESETS = {
    "fast": Preset("mobilefacenet", flip=False),
    "balanced": Preset("sface", flip=False),
    "accurate": Preset("sface-mobilefacenet", flip=True),
}
"""What each takes and is worth: ``benchmarks/accuracy/presets.py``."""

DEFAULT_PRESET = "balanced"

_added: list[Path] = []
_registered: dict[str, Card] = {}


def add_manifest(path: str | Path) -> list[Card]:
    """Read one more manifest for the rest of this process; returns its cards.

    Raises:
        WeightsError: the file is no manifest, or a name in it is taken already.
    """
    manifest = Path(path).absolute()
    new = manifest not in _manifests()
    if new:
        _added.append(manifest)
    try:
        _own()
    except WeightsError:
        if new:  # one bad manifest must not spoil what worked before
            _added.remove(manifest)
        raise
    return read_manifest(manifest)


def add(card: Card) -> Card:
    """Add a model for the rest of this process, as a plugin does; returns the card.

    Raises:
        WeightsError: another model has that name.
    """
    if _registered.get(card.name, card) != card or card.name in bundled_names():
        raise WeightsError(f'the name "{card.name}" is taken by another model: rename this one')
    _registered[card.name] = card
    return card


def entries(task: Task | None = None) -> list[Card]:
    """All models that there are, or those of one task.

    Raises:
        WeightsError: a manifest is unusable, or two manifests use one name: a name must not mean
            another file because a manifest was added.
    """
    if task is not None and task not in TASKS:
        raise OptionError(f"expected one of {', '.join(TASKS)}, got {task!r}", option="task")
    own = sorted(
        (_bundled(name) for name in bundled_names()), key=lambda card: TASKS.index(card.task)
    )
    return [card for card in (*own, *_own().values()) if task is None or card.task == task]


def get(name: str) -> Card:
    """The card of that name.

    Raises:
        UnknownWeightsError: there is none; the message lists the names and the closest ones.
    """
    own = _own()
    if name in own:
        return own[name]
    if name in bundled_names():
        return _bundled(name)
    from lineament.models.registry import load_plugins

    if load_plugins() and name in (own := _own()):
        return own[name]
    import difflib

    names = sorted([*bundled_names(), *own])
    close = difflib.get_close_matches(str(name).lower(), names, n=1)
    hint = f' Did you mean "{close[0]}"?' if close else ""
    raise UnknownWeightsError(
        f"no weights are called {name!r}.{hint} Known: {', '.join(names)}. "
        "A manifest of your own is added with LINEAMENT_MANIFEST=file.json."
    )


def by_hash(sha256: str, likely: str = "") -> Card | None:
    """The package's own model with that file, whatever it is called elsewhere; None: there is none.

    Args:
        sha256: of the file, 64 hexadecimal digits.
        likely: its name, most probably: it is read first.
    """
    names = sorted(bundled_names(), key=lambda name: name != likely)
    cards = (_bundled(name) for name in names)
    return next((card for card in cards if card.sha256 == sha256), None)


@cache
def bundled_names() -> tuple[str, ...]:
    """Names of the package's own models, in the order of the alphabet."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/card.json")))


@cache
def _bundled(name: str) -> Card:
    path = FOLDER / name / "card.json"
    form = forms.decode(_read(path), CardForm, what=str(path), error=WeightsError)
    return made(form, path.parent)


def _manifests() -> list[Path]:
    chosen = os.environ.get("LINEAMENT_MANIFEST")
    paths = [Path(chosen).absolute()] if chosen else []
    return list(dict.fromkeys([*paths, *_added]))


def _own() -> dict[str, Card]:
    """The cards of manifests and plugins by their names, which nobody else has."""
    if os.environ.get("LINEAMENT_PLUGINS"):
        from lineament.models.registry import load_plugins

        load_plugins(installed=False)
    found = dict(_registered)
    homes: dict[str, str] = dict.fromkeys(found, "a plugin")
    for manifest in _manifests():
        for card in read_manifest(manifest):
            other = homes.get(card.name)
            if other is None and card.name in bundled_names():
                other = str(FOLDER / card.name)
            if other is not None:
                raise WeightsError(
                    f'{manifest}: the name "{card.name}" is taken by {other}; rename the entry'
                )
            found[card.name], homes[card.name] = card, str(manifest)
    return found


# --- manifests ------------------------------------------------------------------------------------


def read_manifest(path: Path) -> list[Card]:
    """The cards of a manifest, in its order. Read again only when the file has changed.

    Raises:
        WeightsError: it is not a manifest; the message names the card and the key.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise WeightsError(f"manifest: {error}") from error
    return list(_parse_manifest(path, state.st_mtime_ns, state.st_size))


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    weights: list[Any]


@lru_cache(maxsize=32)
def _parse_manifest(path: Path, mtime_ns: int, size: int) -> tuple[Card, ...]:
    """The cards; the other arguments only make the cache notice that the file has changed."""

    import json  # not needed at every start

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):  # which of the two would count is not for a parser to guess
            raise WeightsError(f"{path}: a key occurs twice among {shown(list(values))}")
        return values

    try:
        raw = json.loads(_read(path).decode("utf-8-sig"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: expected a manifest in JSON: {error}") from error
    if isinstance(raw, dict) and "sha256" in raw:  # a card.json
        raw = {"schema": SCHEMA, "weights": [raw]}
    manifest = forms.convert(raw, _Manifest, what=str(path), error=WeightsError)
    if manifest.schema != SCHEMA:
        raise WeightsError(
            f'{path}: key "schema": expected {SCHEMA}, the only one that this version reads, got '
            f"{manifest.schema}"
        )
    found: dict[str, Card] = {}
    for i, value in enumerate(manifest.weights):
        name = value.get("name") if isinstance(value, dict) else None
        label = f"weights {shown(name)}" if isinstance(name, str) else f"weights[{i}]"
        where = f"{path}: {label}"
        card = made(forms.convert(value, CardForm, what=where, error=WeightsError), path.parent)
        if card.file is None and card.url is None and not card.members and card.builder is None:
            raise WeightsError(f'{where}: expected a path at "file" or an address at "url"')
        if card.name in found:
            raise WeightsError(f"{where}: the name occurs twice")
        found[card.name] = card
    return tuple(found.values())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_TEXT_FILE + 1)
    except OSError as error:
        raise WeightsError(f"{path}: {error}") from error
    if len(data) > LARGEST_TEXT_FILE:
        raise WeightsError(f"{path}: expected at most {LARGEST_TEXT_FILE} bytes of text, got more")
    return data


# --- a file of the user's own ---------------------------------------------------------------------


class _Described(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What ``from_file`` and ``model.toml`` may say of a file."""

    size_wh: Literal["dynamic"] | tuple[Side, Side]
    color_order: ColorOrder
    mean: PerChannel
    scale: PerChannel
    layout: Layout = "nchw"
    name: str | None = None
    task: Literal["embedder", "detector", "landmarker", "recognizer", "landmarks"] = "embedder"
    dimension: Annotated[int, Meta(ge=1, le=1 << 16)] | None = None
    alignment: str | None = None
    license_code: str = "unknown"
    license_weights: str = "unknown"
    commercial_use: CommercialUse = "unknown"
    training_data: str = "unknown"
    paper: str | None = None
    notes: str | None = None


def from_file(path: str | Path, **spec: Any) -> Card:
    """Describe an ONNX file that no manifest knows; its hash is computed.

    The description comes from the arguments and from a TOML file beside it (``model.onnx`` and
    ``model.toml``); an argument that is not None goes before the TOML's key of the same name.

        size_wh = [112, 112]      # or "dynamic": the network takes any size
        color_order = "rgb"       # or "bgr", "gray"
        mean = 127.5              # the network is fed (x - mean) * scale, x from 0 to 255;
        scale = 0.0078125         # one number, or three, one a channel

    These four have no default, because a wrong guess costs accuracy and no error shows it. The
    others have: name (the file's), task ("embedder"), layout ("nchw"), dimension (None: as
    loaded), alignment ("arcface-112" for embedders), license_code, license_weights,
    commercial_use and training_data ("unknown": the policy "commercial" refuses the file until you
    state it), paper, notes.

    Raises:
        WeightsError: the file cannot be read, a key is unknown, missing or of the wrong type.
    """
    from lineament.files import sha256_of_file

    path = Path(path).absolute()
    beside = path.with_suffix(".toml")
    values = _read_toml(beside) if beside.is_file() else {}
    values |= {key: value for key, value in spec.items() if value is not None}
    try:
        digest, size = sha256_of_file(path).hex(), path.stat().st_size
    except OSError as error:
        raise WeightsError(f"weights file: {error}") from error
    where = f"{path.name}: input spec"
    try:
        said = forms.convert(values, _Described, what=where, error=WeightsError)
    except WeightsError as error:
        keys = ", ".join(_Described.__struct_fields__)
        raise WeightsError(f"{error}; the keys are {keys}") from error
    name = "".join(c if c in NAME_CHARACTERS else "-" for c in path.stem.lower()).strip("._-")
    alignment = "arcface-112" if said.task in ("embedder", "recognizer") else None
    described = {key: getattr(said, key) for key in _Described.__struct_fields__[5:]} | {
        "name": (name[:64] if name else "model") if said.name is None else said.name,
        "alignment": alignment if said.alignment is None else said.alignment,
        "sha256": digest,
        "bytes": size,
    }
    given = None if said.size_wh == "dynamic" else said.size_wh
    try:
        network = InputSpec(given, said.color_order, said.mean, said.scale, said.layout)
        return made(CardForm(**described, input=network, file=path.name), path.parent)
    except WeightsError as error:
        raise WeightsError(f"{where}: {error}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_read(path).decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise WeightsError(f"{path}: expected TOML: {error}") from error


def check_name(name: object) -> None:
    """Raise OptionError unless a manifest may have an entry of that name."""
    if not is_name(name):
        raise OptionError(f"expected {NAME_RULE}, got {name!r}", option="name")


def other_entries(
    manifest: Path, name: str, target: Path, *, overwrite: bool
) -> list[dict[str, Any]]:
    """Entries of a manifest to which one is added, as they stand there; [] without a manifest.

    Args:
        manifest: its path.
        name: of the entry that will be added.
        target: its file.
        overwrite: an entry of that name may be replaced.

    Raises:
        OptionError: the name is taken, or the file belongs to another entry.
        WeightsError: the manifest is unusable.
    """
    if not manifest.exists():
        return []
    for card in read_manifest(manifest):  # checked as a whole before anything is added
        if card.name == name and not overwrite:
            raise OptionError(
                f"{manifest} has {name!r} already: choose another, or overwrite", option="name"
            )
        if card.name != name and card.file == target.name:
            raise OptionError(f"{target}: it belongs to {card.name!r} of {manifest.name}")
    raw = json.loads(manifest.read_text(encoding="utf-8-sig"))["weights"]
    return [entry for entry in raw if entry["name"] != name]

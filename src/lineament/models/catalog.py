"""Which models there are: the package's own, those of manifests, and those of plugins.

One folder is one model: ``data/models/NAME`` holds ``card.json``, ``model.onnx``, its calibrations
(``lineament.decide.calibration.bundled``) and the text of its license.

A manifest is a JSON file, ``{"schema": 1, "weights": [card, ...]}``, or a ``card.json``. Paths in
it are relative to its own folder.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lineament import forms
from lineament.errors import OptionError, UnknownWeightsError, WeightsError
from lineament.files import DATA
from lineament.models.cards import TASKS, Card, CardForm, Task, made, read_text

if TYPE_CHECKING:
    from lineament.types import Contract, Flip

FOLDER = DATA / "models"


class Preset(NamedTuple):
    """An embedder with its options, by what they are good for."""

    recognizer: str
    flip: bool


PRESETS = {
    "fast": Preset("sface-int8", flip=False),
    "balanced": Preset("sface-mobilefacenet-int8", flip=False),
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
    there = _registered.get(card.name, card)
    if there.to_dict() != card.to_dict() or card.name in bundled_names():
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


def by_contract(contract: Contract) -> Card | None:
    """The model that made embeddings, the package's own or another that is known; None: neither."""
    found = by_hash(contract.weights_sha256, contract.weights)
    if found is not None:
        return found
    return next((c for c in _own().values() if c.sha256 == contract.weights_sha256), None)


def file_beside(contract: Contract, name: str) -> Path | None:
    """A file in the folder of the package's own model that a contract is of; None: none is there.

    Args:
        contract: of embeddings; the model counts, whatever it is called elsewhere.
        name: of the file, for example from ``name_by_flip``.
    """
    card = by_hash(contract.weights_sha256, contract.weights)
    path = None if card is None else card.folder / name
    return None if path is None or not path.is_file() else path


def name_by_flip(name: str, flip: Flip) -> str:
    """The name of a file that a model has for each way to flip: "calibration-mirrored.json"."""
    stem, _, kind = name.rpartition(".")
    if flip == "concatenate":
        return f"{stem}-concatenated.{kind}"
    return f"{stem}-mirrored.{kind}" if flip else name


@cache
def bundled_names() -> tuple[str, ...]:
    """Names of the package's own models, in the order of the alphabet."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob("*/card.json")))


@cache
def _bundled(name: str) -> Card:
    path = FOLDER / name / "card.json"
    form = forms.decode(read_text(path), CardForm, what=str(path), error=WeightsError)
    return made(form, path.parent)


def _manifests() -> list[Path]:
    chosen = os.environ.get("LINEAMENT_MANIFEST")
    paths = [Path(chosen).absolute()] if chosen else []
    own = _own_manifest()
    return list(dict.fromkeys([*paths, *_added, *([] if own is None else [own])]))


def _own_manifest() -> Path | None:
    """That of the models that the user added (``lineament.models.added``)."""
    from lineament.models import added  # few starts have any

    return added.manifest()


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


def read_manifest(path: Path) -> list[Card]:
    """The cards of a manifest, in its order. Read again only when the file has changed.

    Raises:
        WeightsError: it is not a manifest; the message names the card and the key.
    """
    from lineament.models.manifest import read_manifest  # few starts need it

    return read_manifest(path)


def from_file(path: str | Path, **spec: Any) -> Card:
    """Describe an ONNX file that no manifest has; its hash is computed.

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
    from lineament.models.manifest import from_file  # few starts need it

    return from_file(path, **spec)

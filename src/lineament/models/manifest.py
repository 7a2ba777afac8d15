"""Descriptions of models from files of the user: manifests, and ONNX files with a TOML beside them.

Imported only where there are any: the package's own cards need none of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lineament import forms
from lineament.errors import OptionError, WeightsError
from lineament.models.cards import (
    LARGEST_FILE,
    LONGEST,
    NAME_CHARACTERS,
    NAME_RULE,
    SCHEMA,
    Card,
    CardForm,
    ColorOrder,
    CommercialUse,
    HeadFile,
    InputSpec,
    Layout,
    PerChannel,
    Side,
    is_name,
    made,
    read_text,
    shown,
)
from lineament.text import reason_of


def read_manifest(path: Path) -> list[Card]:
    """The cards of a manifest, in its order. Read again only when the file has changed.

    Raises:
        WeightsError: it is not a manifest; the message names the card and the key.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise WeightsError(
            f"{path}: expected a manifest of models, got: {reason_of(error)}",
            hint="LINEAMENT_MANIFEST names its file",
        ) from error
    return list(_parse_manifest(path, state.st_mtime_ns, state.st_size))


OLD_KEYS = {
    "licence_code": "license_code",
    "licence_weights": "license_weights",
    "licence_file": "license_file",
}
"""Keys of files that were written before the spelling became American; they are still read."""


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    weights: list[Any]


@lru_cache(maxsize=32)
def _parse_manifest(path: Path, mtime_ns: int, size: int) -> tuple[Card, ...]:
    """The cards; the other arguments only make the cache notice that the file has changed."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):  # which of the two would count is not for a parser to guess
            raise WeightsError(f"{path}: a key occurs twice among {shown(list(values))}")
        return values

    try:
        text = read_text(path)
        raw = json.loads(text.decode("utf-8-sig"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        kind = forms.kind_of(text)
        raise WeightsError(
            f"{path}: expected a manifest of models in JSON, got "
            f"{reason_of(error) if kind is None else kind}"
        ) from error
    if isinstance(raw, dict) and "sha256" in raw:  # a card.json
        raw = {"schema": SCHEMA, "weights": [raw]}
    kind = forms.kind_of(raw)
    if kind not in (None, "a manifest of models"):
        raise WeightsError(f"{path}: expected a manifest of models, got {kind}")
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
        if isinstance(value, dict):
            value = forms.renamed(value, OLD_KEYS)
        card = made(forms.convert(value, CardForm, what=where, error=WeightsError), path.parent)
        if card.file is None and card.url is None and not card.members and card.builder is None:
            raise WeightsError(f'{where}: expected a path at "file" or an address at "url"')
        if card.name in found:
            raise WeightsError(f"{where}: the name occurs twice")
        found[card.name] = card
    return tuple(found.values())


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
    dimension: Annotated[int, Meta(ge=1, le=LONGEST)] | None = None
    alignment: str | None = None
    license_code: str = "unknown"
    license_weights: str = "unknown"
    commercial_use: CommercialUse = "unknown"
    training_data: str = "unknown"
    paper: str | None = None
    siamese: HeadFile | None = None
    notes: str | None = None


def from_file(path: str | Path, *, defaults: Mapping[str, Any] | None = None, **spec: Any) -> Card:
    """As ``lineament.models.from_file``; ``defaults``: what holds where nothing else says."""
    import hashlib

    from lineament.files import read_regular

    path = Path(path).absolute()
    beside = path.with_suffix(".toml")
    values = forms.renamed(_read_toml(beside), OLD_KEYS) if beside.is_file() else {}
    values = {**(defaults or {}), **values}
    values |= {key: value for key, value in spec.items() if value is not None}
    try:
        data = read_regular(path, at_most=LARGEST_FILE)
    except OSError as error:
        raise WeightsError(f"{path}: expected an ONNX file, got: {reason_of(error)}") from error
    kind = forms.kind_of(data)
    if kind is not None:
        raise WeightsError(f"{path}: expected an ONNX file, got {kind}")
    digest, size = hashlib.sha256(data).hexdigest(), len(data)
    where = f"{path.name}: input spec"
    try:
        said = forms.convert(values, _Described, what=where, error=WeightsError)
    except WeightsError as error:
        keys = ", ".join(_Described.__struct_fields__[4:])
        raise WeightsError(
            f"{error}; needed are size_wh (two numbers, or dynamic), color_order (rgb, bgr or "
            f"gray), mean and scale; there are also {keys}"
        ) from error
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
        return tomllib.loads(read_text(path).decode())
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise WeightsError(f"{path}: expected TOML, got: {reason_of(error)}") from error


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
    raw = json.loads(read_text(manifest).decode("utf-8-sig"))["weights"]
    return [entry for entry in raw if entry["name"] != name]

"""How an added model is kept: its file, its entry, and that it does what its source did."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lineament.align.alignment import Alignment
from lineament.embed import load_embedder
from lineament.errors import ExportError, OptionError
from lineament.files import read_regular, write_atomically
from lineament.models import Card, InputSpec, LicensePolicy, added, catalog, read_manifest
from lineament.models.cards import LARGEST_FILE, SCHEMA, SPDX_CHARACTERS, CommercialUse
from lineament.models.manifest import check_name, other_entries
from lineament.models.runtime import Runtime, load_model
from lineament.text import printable
from lineament.weights import WeightsFile
from lineament.zoo._added import Added, Said, name_of_file
from lineament.zoo._graphs import (
    Known,
    channels_of,
    dimension_of,
    known_graph,
    sides_of,
)
from lineament.zoo._layout import Published

if TYPE_CHECKING:
    from lineament.train.backbones.backbone import Backbone

PARITY = 1e-4
"""The most by which a number of the kept network's output may differ from its source's, in shares
of the largest one."""

_WORDS = {
    "input_wh": "size",
    "color_order": "channels",
    "mean": "mean",
    "scale": "scale",
    "alignment": "alignment",
}
"""What has to be said, in words that the library and the command line share."""

UNTUNED = "There is no threshold until `lineament tune` or `lineament eval lfw` has made one."


def name_of(name: str, overwrite: bool) -> str:
    """The name, if it is free.

    Raises:
        OptionError: it cannot be one, or is taken.
    """
    check_name(name)
    mine = {card.name for card in added.cards()}
    if name in catalog.bundled_names():
        raise OptionError(f"{name!r} is one of the bundled networks: choose another", option="name")
    if name in mine and not overwrite:
        raise OptionError(
            f"{name!r} was added already: choose another, or overwrite it", option="name"
        )
    if name not in mine and any(card.name == name for card in catalog.entries()):
        raise OptionError(f"{name!r} is the name of another model: choose another", option="name")
    return name


def keep_backbone(
    file: WeightsFile,
    backbone: Backbone,
    published: Published,
    name: str | None,
    said: Said,
    *,
    overwrite: bool,
) -> Added:
    """Write a network of PyTorch as ONNX; it makes the same embeddings to ``PARITY``, or none is
    written.
    """
    from lineament.train.model.export import export_onnx

    named = name_of(published.name if name is None else name, overwrite)
    granted = (
        published.commercial or None if published.license == "unknown" else published.commercial
    )
    license, commercial = _license(published.license, granted, said)
    notes = [*file.notes, *([] if published.notes is None else [f"{published.notes}."])]
    with added.changing() as place:
        card = export_onnx(
            backbone,
            place / f"{named}.onnx",
            name=named,
            training_data=published.training_data,
            license_code="unknown",
            license_weights=license,
            commercial_use=commercial,
            paper=published.paper,
            notes=_origin(file, published.title, published.notes),
            size_wh=published.input_wh,
            overwrite=overwrite,
        )
    return _result(file, card, published.title, notes, card.input.size_wh, 0.0)


def keep_graph(
    file: WeightsFile, name: str | None, said: Said, network: str | None, *, overwrite: bool
) -> Added:
    """Keep a network that runs as it is."""
    assert file.graph is not None
    if network is not None:
        raise OptionError(
            f"{file.path}: it brings its own network: leave this out", option="network"
        )
    if len(file.graph.inputs) != 1:
        names = ", ".join(port.name for port in file.graph.inputs[:6])
        raise OptionError(
            f"{file.path}: expected a network of one input, got {len(file.graph.inputs)} ({names})"
        )
    known = known_graph(file)
    spec, alignment = _fed(file, known, said)
    named = name_of(
        name or (known.name if known is not None else name_of_file(file.path)), overwrite
    )
    if known is None:
        license, commercial = _license("unknown", None, said)
    else:
        license, commercial = _license(known.license, False, said)
    title = None if known is None else known.title
    notes = [*file.notes, *([] if known is None else [f"{known.notes}."])]
    data = file.graph.data
    ending = "onnx" if file.format == "onnx" else "zip"
    card = Card(
        name=named,
        task="embedder",
        file=f"{named}.{ending}",
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        input=spec,
        dimension=dimension_of(file.graph),
        alignment=alignment,
        license_code="unknown",
        license_weights=license,
        commercial_use=commercial,
        training_data="unknown" if known is None else known.training_data,
        notes=_origin(file, title, None if known is None else known.notes),
    )
    difference = None
    with tempfile.TemporaryDirectory(prefix="lineament-added-") as made:
        tried = _written(Path(made), card, data, overwrite=False)
        embedder = load_embedder(tried, flip=False, policy=LicensePolicy())
        card = card.replace(dimension=embedder.contract.dimension)
        difference = _difference(file, tried)
        crops = np.random.default_rng(0).integers(0, 256, (2, *_hw(embedder.size_wh), 3), np.uint8)
        embedder.embed(crops)
    with added.changing() as place:
        kept = _written(place, card, data, overwrite=overwrite)
    return _result(file, kept, title, notes, kept.input.size_wh, difference)


def keep_detector(path: Path, described: Card, name: str, said: Said, *, overwrite: bool) -> Added:
    """Keep a detector of a known kind."""
    data = read_regular(path, at_most=LARGEST_FILE)
    license, commercial = said.license, said.commercial_use
    card = described.replace(
        name=name,
        file=f"{name}.onnx",
        license_weights=described.license_weights if license is None else _spdx(license),
        commercial_use=described.commercial_use if commercial is None else commercial,
        notes=f"Added from {printable(path.name)}, a detector of the kind {described.builder}.",
    )
    with added.changing() as place:
        kept = _written(place, card, data, overwrite=overwrite)
    return Added(
        name=name,
        task="detector",
        title=described.builder,
        path=str(path),
        format="onnx",
        source_sha256=kept.sha256,
        file=str(kept.path),
        sha256=kept.sha256,
        bytes=kept.bytes,
        license=kept.license_weights,
        commercial_use=kept.commercial_use,
        input_wh=kept.input.size_wh,
        dimension=None,
        alignment=None,
        difference=None,
        notes=(),
    )


def _hw(size_wh: tuple[int, int]) -> tuple[int, int]:
    return size_wh[1], size_wh[0]


def _fed(file: WeightsFile, known: Known | None, said: Said) -> tuple[InputSpec, str]:
    """How the network is fed: as it is known, or as it is said."""
    assert file.graph is not None
    size, layout = sides_of(file.graph)
    if size is not None and said.input_wh not in (None, size) and file.format == "onnx":
        raise OptionError(
            f"{file.path}: it takes crops of {size[0]}x{size[1]} pixels", option="input_wh"
        )
    if known is not None:
        size = size or (known.side, known.side)
        if said.given():
            raise OptionError(
                f"{file.path}: {known.title} is fed as it was published; leave out "
                f"{', '.join(said.given())}, or give the file another name"
            )
        spec = InputSpec(size, known.color_order, known.mean, known.scale, layout)  # type: ignore[arg-type]
        return spec, known.alignment
    missing = said.missing()
    size = size or said.input_wh
    if size is None:
        missing.insert(0, "input_wh")
    if missing:
        took = "" if size is None else f", which takes crops of {size[0]}x{size[1]} pixels,"
        raise OptionError(
            f"{file.path}: how this network{took} is fed stands nowhere in its file, and a wrong "
            f"guess would show in no error: say its {', '.join(_WORDS[each] for each in missing)}",
            option=missing[0],
            hint="; its publishers say what it was trained on",
        )
    assert size is not None
    assert said.color_order is not None
    assert said.mean is not None
    assert said.scale is not None
    assert said.alignment is not None
    expected = 1 if said.color_order == "gray" else 3
    found = channels_of(file.graph)
    if found not in (None, expected):
        raise OptionError(
            f"{file.path}: it takes {found} colors, {said.color_order} has {expected}",
            option="color_order",
        )
    made = Alignment.parse(said.alignment)
    if made.size_wh != size:
        raise OptionError(
            f"expected crops of {size[0]}x{size[1]} pixels, as the network takes them, "
            f"{said.alignment} makes {made.size_wh[0]}x{made.size_wh[1]}",
            option="alignment",
        )
    return InputSpec(size, said.color_order, said.mean, said.scale, layout), said.alignment  # type: ignore[arg-type]


def _difference(file: WeightsFile, tried: Card) -> float | None:
    """Between a converted network and its source; None where nothing was converted."""
    assert file.graph is not None
    if file.graph.example is None:
        return None
    given, expected = file.graph.example
    runtime = Runtime(engine="openvino", device="cpu")
    found = load_model(tried, runtime=runtime, policy=LicensePolicy())(given)[0]
    scale = max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(found.reshape(1, -1) - expected).max()) / scale
    if not difference <= PARITY:
        raise ExportError(
            f"{file.path}: the converted network's output differs by {difference:.2g} from its "
            f"source's, more than {PARITY:g}; nothing was written"
        )
    return difference


def _written(place: Path, card: Card, data: bytes, *, overwrite: bool) -> Card:
    """Write the file and the entry; the entry, as it is read again."""
    manifest = place / added.MANIFEST
    assert card.file is not None
    others = other_entries(manifest, card.name, place / card.file, overwrite=overwrite)
    listed = {"schema": SCHEMA, "weights": [*others, card.to_dict()]}
    text = json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
    write_atomically(place / card.file, data)
    write_atomically(manifest, text.encode())
    return next(each for each in read_manifest(manifest) if each.name == card.name)


def _spdx(license: str) -> str:
    """A licence's name as a card takes it."""
    made = "".join(c if c in SPDX_CHARACTERS else "-" for c in license).strip("-")
    return made or "unknown"


def _license(license: str, commercial: bool | None, said: Said) -> tuple[str, CommercialUse]:
    """Licence and commercial use: what is said goes before what is known."""
    found: CommercialUse = "unknown" if commercial is None else "yes" if commercial else "no"
    if said.license is not None:
        license = said.license
    if said.commercial_use is not None:
        found = said.commercial_use
    return _spdx(license), found


def _origin(file: WeightsFile, title: str | None, more: str | None) -> str:
    """One line on where a model came from."""
    what = "" if title is None else f"{title}. "
    text = f"{what}Added from {printable(file.path.name)}, SHA-256 {file.sha256}."
    return text if more is None else f"{text} {more}."


def _result(
    file: WeightsFile,
    card: Card,
    title: str | None,
    notes: list[str],
    input_wh: tuple[int, int] | None,
    difference: float | None,
) -> Added:
    return Added(
        name=card.name,
        task=card.task,
        title=title,
        path=str(file.path),
        format=file.format,
        source_sha256=file.sha256,
        file=str(card.path),
        sha256=card.sha256,
        bytes=card.bytes,
        license=card.license_weights,
        commercial_use=card.commercial_use,
        input_wh=input_wh,
        dimension=card.dimension,
        alignment=card.alignment,
        difference=difference,
        notes=(*notes, UNTUNED),
    )

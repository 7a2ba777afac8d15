"""A trained backbone -> an ONNX file that the pipeline takes by name.

    export_onnx()   writes FILE.onnx, its entry in manifest.json beside it, and FILE.toml;
                    with a learned similarity FILE.siamese.npz, too

Nothing is written unless the network, as the pipeline itself will run it, makes the same embeddings
as PyTorch does. With ``LINEAMENT_MANIFEST=.../manifest.json`` the new name is known everywhere:
``Recognizer(name)``, ``lineament verify --recognizer NAME``; the TOML file serves ``--model FILE``.

PyTorch's older exporter is used, the one by tracing: the newer one needs another package and fixes
the batch size of some networks. Its notices are for us and not for users, so they are held back.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import torch

from lineament.align.alignment import alignment_of
from lineament.decide.siamese import SiameseHead
from lineament.errors import (
    ExportError,
    MissingExtraError,
    OptionError,
    WeightsError,
)
from lineament.files import write_atomically
from lineament.machine import raise_if_short
from lineament.models import Card, HeadFile, InputSpec, LicensePolicy, Measurement, read_manifest
from lineament.models.cards import SCHEMA, CommercialUse, StatedThreshold
from lineament.models.catalog import bundled_names
from lineament.models.manifest import check_name, other_entries
from lineament.models.runtime import Engine, Runtime, load_model
from lineament.train.backbones.backbone import Backbone
from lineament.train.losses.siamese import Siamese
from lineament.types import Contract, FloatArray, Image

PARITY = 1e-4
"""The most by which a coordinate of a unit embedding may differ from PyTorch's."""

OPSET = 17  # what every ONNX Runtime since 1.13 (2022) and OpenVINO since 2023.0 read

BATCHES = (1, 3)
"""Numbers of crops in one call for which the embeddings are compared."""

_ENGINES: tuple[Engine, ...] = ("openvino", "onnxruntime")


def export_onnx(
    backbone: Backbone,
    path: str | Path,
    *,
    name: str,
    training_data: str = "unknown",
    license_code: str = "unknown",
    license_weights: str = "unknown",
    commercial_use: CommercialUse = "unknown",
    paper: str | None = None,
    notes: str | None = None,
    measured: Mapping[str, Measurement] | None = None,
    thresholds: Sequence[StatedThreshold] = (),
    crops: Image | None = None,
    similarity: Siamese | None = None,
    size_wh: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> Card:
    """Write a backbone so that the pipeline can use it; it is not changed.

    Float32, any batch size, RGB from 0 to 255 (the scaling is in the graph), no flip.

    Args:
        backbone: on any device, in any mode; it is written as it computes in evaluation mode.
        path: of the new file, which ends with ".onnx", in a folder that exists. ``manifest.json``
            in that folder gets an entry, or is made; other entries in it stay as they are.
        name: how it will be asked for: up to 64 lower-case letters, digits, ".", "_" and "-".
        training_data: what it was trained on, in words.
        license_code, license_weights: SPDX identifiers, or "unknown". What is fine-tuned or
            distilled from other weights is derived from them: name theirs.
        commercial_use: whether ``license_weights`` grants it; the policy "commercial" refuses
            "unknown".
        paper, notes: one line each.
        measured: scores by name.
        thresholds: measured for these weights.
        crops: (N, S, S, 3) uint8, RGB, N at least 3: what embeddings are compared on; None makes
            some patterns up.
        similarity: what was learned with it: the model's metric "siamese".
        size_wh: width and height of the crops, for a network whose crops are no squares; None: the
            backbone's ``size_px``.
        overwrite: replace the file, and the entry of that name, if they exist.

    Returns:
        The entry, as ``lineament.models`` will return it.

    Raises:
        OptionError: the name, the path or the crops will not do, or exist already.
        ExportError: PyTorch cannot write this network, or its embeddings differ by more than
            ``PARITY`` between PyTorch and an engine. Nothing is written.
        WeightsError: manifest.json is there and is none, or the entry is not valid in one.
    """
    target = Path(path).absolute()
    manifest = target.with_name("manifest.json")
    beside = target.with_suffix(".toml")
    _check_name(name)
    head_path = target.with_suffix(".siamese.npz")
    written = (target, beside) if similarity is None else (target, beside, head_path)
    others = _check_target(target, manifest, written, name, overwrite)
    size = (backbone.size_px, backbone.size_px) if size_wh is None else size_wh
    examples = _examples(size) if crops is None else _checked(crops, size)
    wanted = _embed(backbone, examples)
    data = _graph(backbone, name, size)
    digest = hashlib.sha256(data).hexdigest()
    head = None
    if similarity is not None:
        head = _head(similarity, backbone, name, digest, training_data)
        _check_head(head, similarity, wanted)
    entry = Card(
        name=name,
        task="embedder",
        sha256=digest,
        bytes=len(data),
        input=InputSpec(size, "rgb", 0.0, 1.0),
        dimension=backbone.dimension,
        alignment=backbone.alignment,
        license_code=license_code,
        license_weights=license_weights,
        commercial_use=commercial_use,
        training_data=training_data,
        file=target.name,
        paper=paper,
        measured={} if measured is None else dict(measured),
        thresholds=tuple(thresholds),
        siamese=None if head is None else HeadFile(head_path.name, head.sha256),
        notes=notes,
    )
    listed = {"schema": SCHEMA, "weights": [*others, entry.to_dict()]}
    text = json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
    with tempfile.TemporaryDirectory(prefix="lineament-export-") as folder:
        (Path(folder) / target.name).write_bytes(data)
        tried = Path(folder) / manifest.name
        tried.write_text(text, encoding="utf-8")
        read = {weights.name: weights for weights in read_manifest(tried)}[name]
        _check_parity(read, examples, wanted)
    write_atomically(target, data)
    if head is not None:
        head.save(head_path)
    write_atomically(beside, _toml(entry).encode())
    write_atomically(manifest, text.encode())
    return read.replace(folder=target.parent)


def _check_name(name: str) -> None:
    check_name(name)
    if name in bundled_names():
        raise OptionError(f"{name!r} is one of the bundled networks: choose another", option="name")


def _head(
    similarity: Siamese, backbone: Backbone, name: str, digest: str, data: str
) -> SiameseHead:
    """What was learned, for the embeddings that the written file will make."""
    side = backbone.size_px
    alignment = str(alignment_of(backbone.alignment, (side, side)))
    contract = Contract(name, digest, alignment, "rgb", False, backbone.dimension)
    return similarity.head(contract, data)


def _check_head(head: SiameseHead, similarity: Siamese, vectors: FloatArray) -> None:
    """Compare the scores of the written head with PyTorch's."""
    left, right = np.triu_indices(len(vectors))
    with torch.inference_mode():
        still = copy.deepcopy(similarity).cpu().float()
        by_torch = still.log_odds(*(torch.from_numpy(vectors[rows]) for rows in (left, right)))
    wanted = by_torch.numpy()
    difference = np.abs(head.rows(vectors[left], vectors[right]) - wanted)
    if not (difference <= PARITY * np.maximum(1, np.abs(wanted))).all():
        raise ExportError(
            f"expected the learned similarity of PyTorch to {PARITY:g}, got a difference of "
            f"{difference.max():.2g}; nothing was written"
        )


def _check_target(
    target: Path, manifest: Path, written: Sequence[Path], name: str, overwrite: bool
) -> list[dict[str, Any]]:
    """The entries of the manifest that stay, as they stand there."""
    if target.suffix != ".onnx":
        raise OptionError(f"{target}: expected a name that ends with .onnx")
    if not target.parent.is_dir():
        raise OptionError(f"{target}: there is no folder {target.parent}: make it first")
    if not overwrite:
        for file in written:
            if file.exists():
                raise OptionError(f"{file}: it exists already: choose another name, or overwrite")
    return other_entries(manifest, name, target, overwrite=overwrite)


def _examples(size_wh: tuple[int, int]) -> Image:
    """(3, H, W, 3): blotches of color with a little noise, the same each time."""
    random = np.random.default_rng(0)
    crops = np.empty((max(BATCHES), size_wh[1], size_wh[0], 3), np.uint8)
    for crop in crops:
        coarse = random.integers(0, 256, (8, 8, 3)).astype(np.float32)
        smooth = cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC)
        crop[:] = np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255)
    return crops


def _checked(crops: Image, size_wh: tuple[int, int]) -> Image:
    given = np.asarray(crops)
    good = given.ndim == 4 and given.shape[1:] == (size_wh[1], size_wh[0], 3)
    if not good or given.dtype != np.uint8 or len(given) < max(BATCHES):
        raise OptionError(
            f"expected uint8 of shape (N, {size_wh[1]}, {size_wh[0]}, 3) with N at least "
            f"{max(BATCHES)}, got {given.dtype} of shape {given.shape}",
            option="crops",
        )
    return given


def _still(backbone: Backbone) -> Backbone:
    """A copy on the CPU, in float32 and in evaluation mode."""
    return copy.deepcopy(backbone).cpu().float().eval()


def _batch(crops: Image) -> FloatArray:
    return np.ascontiguousarray(crops.transpose(0, 3, 1, 2), dtype=np.float32)  # (n, 3, S, S)


def _unit(outputs: FloatArray, who: str) -> FloatArray:
    norms = np.linalg.norm(outputs.astype(np.float64), axis=1)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ExportError(
            f"{who} makes embeddings of no length, or that are no numbers: train it before it is "
            "written, and with a lower learning rate if it was"
        )
    unit: FloatArray = (outputs / norms[:, None]).astype(np.float32)
    return unit


def _embed(backbone: Backbone, crops: Image) -> FloatArray:
    """(N, D) unit vectors, by PyTorch, one crop at a time."""
    still = _still(backbone)
    with torch.inference_mode():
        rows = [still(torch.from_numpy(_batch(crops[i : i + 1]))) for i in range(len(crops))]
    outputs = torch.cat(rows).numpy()
    if outputs.shape != (len(crops), backbone.dimension):
        raise ExportError(
            f"expected embeddings of shape ({len(crops)}, {backbone.dimension}), since the "
            f"backbone says so, got {outputs.shape}"
        )
    return _unit(outputs, "The backbone")


def _graph(backbone: Backbone, name: str, size_wh: tuple[int, int]) -> bytes:
    """The ONNX file."""
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("writing an ONNX file", "train") from error
    still = _still(backbone)
    example = torch.from_numpy(_batch(_examples(size_wh)[:2]))
    file = io.BytesIO()
    try:
        with _silence(), torch.no_grad():
            torch.onnx.export(
                still,
                (example,),
                file,  # type: ignore[arg-type,unused-ignore]
                input_names=["crops"],
                output_names=["embeddings"],
                dynamic_axes={"crops": {0: "N"}, "embeddings": {0: "N"}},
                opset_version=OPSET,
                dynamo=False,
            )
        model = onnx.load_model_from_string(file.getvalue())
        for node in model.graph.node:
            node.ClearField("doc_string")  # lines of the source, with this machine's folders
        model.graph.name = name
        model.producer_name = "lineament"
        model.producer_version = ""
        onnx.checker.check_model(model)
    except Exception as error:  # the exporter's errors share no base but this one
        raise_if_short(error, "to write the network")
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(
            f"PyTorch cannot write this network as ONNX ({reason}): use layers that ONNX has"
        ) from error
    data: bytes = model.SerializeToString(deterministic=True)
    return data


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporter's notices, and the graph of what it cannot write, from the user.

    The graph is printed by C++, and the switch for it is broken (PyTorch 2.13 turns it on again),
    so the function is exchanged.
    """
    printing = getattr(torch._C, "_jit_onnx_log", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if printing is None:
            yield
            return
        torch._C._jit_onnx_log = lambda *_: None
        try:
            yield
        finally:
            torch._C._jit_onnx_log = printing


def _check_parity(weights: Card, crops: Image, wanted: FloatArray) -> None:
    """Compare what the pipeline's engines make of the file with what PyTorch made."""
    tried = 0
    for engine in _ENGINES:
        runtime = Runtime(engine=engine, device="cpu")
        try:
            runtime.resolved()
        except MissingExtraError:
            continue
        tried += 1
        try:
            model = load_model(weights, runtime=runtime, policy=LicensePolicy())
        except WeightsError as error:
            raise ExportError(f"{engine} does not understand the file: {error}") from error
        for batch in BATCHES:
            for start in range(0, len(crops) - batch + 1, batch):
                part = slice(start, start + batch)
                try:
                    made = model(_batch(crops[part]))[0]
                except Exception as error:
                    raise_if_short(error)
                    raise ExportError(
                        f"{engine} cannot run the file on {batch} crops at once: its layers "
                        "depend on the number of crops"
                    ) from error
                if made.shape != wanted[part].shape:
                    raise ExportError(
                        f"{engine}, {batch} crops at once: expected embeddings of shape "
                        f"{wanted[part].shape}, got {made.shape}: its layers depend on the number "
                        "of crops"
                    )
                unit = _unit(made, f"The file, run by {engine},")
                difference = float(np.abs(unit - wanted[part]).max())
                if not difference <= PARITY:
                    raise ExportError(
                        f"{engine}, {batch} crops at once: expected the embeddings of PyTorch to "
                        f"{PARITY:g}, got a difference of {difference:.2g}; nothing was written. "
                        "Does the network do something at random, or depend on the batch?"
                    )
    if not tried:
        raise MissingExtraError("checking the written file", "", package="openvino")


def _toml(entry: Card) -> str:
    """What ``weights.from_file`` reads beside the file."""
    import tomli_w

    spec = entry.input
    assert spec.size_wh is not None
    values: dict[str, Any] = {
        "name": entry.name,
        "size_wh": list(spec.size_wh),
        "color_order": spec.color_order,
        "mean": spec.mean,
        "scale": spec.scale,
        "dimension": entry.dimension,
        "alignment": entry.alignment,
        "license_code": entry.license_code,
        "license_weights": entry.license_weights,
        "commercial_use": entry.commercial_use,
        "training_data": entry.training_data,
        "paper": entry.paper,
        "siamese": None if entry.siamese is None else msgspec.to_builtins(entry.siamese),
        "notes": entry.notes,
    }
    return tomli_w.dumps({key: value for key, value in values.items() if value is not None})

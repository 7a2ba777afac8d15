"""HDF5 files of Keras: their arrays, written as plain ones. Runs in a process of its own.

Two layouts: one group a layer, whose names stand in attributes ("layer_names", "weight_names"), and
that of Keras 3, "layers/conv2d/vars/0". Texts in a file that describe layers are read as JSON at
most; the code that "Lambda" layers carry is neither decoded nor run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lineament.errors import MissingExtraError
from lineament.weights.file import MOST_SIDES, MOST_TENSORS, Array, refuse
from lineament.weights.safetensors import safetensors_bytes

INFLATION = 20
"""Compressed arrays may be so many times as large as the file, all together."""

LARGEST_TEXT = 16 << 20

TENSORS = "tensors.safetensors"


def read_hdf5(file: str, bytes: int) -> dict[str, Any]:
    """Write the arrays of a file as ``TENSORS``, under "LAYER/VALUE" names.

    Args:
        file: its name.
        bytes: its size.

    Returns:
        ``lambdas``: how many layers have code of their own; ``layers``: kinds and names of the
        layers, if the file describes them.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("reading Keras' files", "models") from error
    tensors: dict[str, Array] = {}
    with h5py.File(file, "r") as opened:
        told = _layers(opened.attrs.get("model_config"))
        root = opened.get("model_weights", opened)
        left = INFLATION * bytes + (1 << 20)
        for name, dataset in _datasets(h5py, root):
            array, left = _array(dataset, name, left)
            if array is not None:
                tensors[name] = array
    if not tensors:
        raise refuse("a file without weights")
    with Path(TENSORS).open("wb") as written:
        for part in safetensors_bytes(tensors):
            written.write(part)
    return {"layers": told, "lambdas": sum(kind == "Lambda" for kind, _ in told)}


def _datasets(h5py: Any, root: Any) -> list[tuple[str, Any]]:
    """The arrays with their names, in the file's order."""
    names = _texts(root.attrs.get("layer_names"))
    found: list[tuple[str, Any]] = []
    if names:
        for layer in names:
            group = _plain(h5py, root, layer)
            listed = _texts(group.attrs.get("weight_names"))
            leaves = [each.partition(":")[0].rpartition("/")[2] for each in listed]
            for each, leaf in zip(listed, leaves, strict=True):
                own = leaves.count(leaf) == 1
                rest = each.partition(":")[0].removeprefix(f"{layer}/")
                name = f"{layer}/{leaf if own else rest}"
                found.append((name, _plain(h5py, group, each)))
    else:
        _walk(h5py, root, "", found, 0)
    if len(found) > MOST_TENSORS:
        raise refuse(f"more than {MOST_TENSORS:,} arrays")
    return found


def _plain(h5py: Any, group: Any, path: str) -> Any:
    """What a path leads to, if no link on it leads out of the file."""
    where = group
    for step in path.split("/"):
        if not step:
            continue
        if not isinstance(where, h5py.Group) or step not in where:
            raise refuse(f"a file without the array {path[:80]!a} that it lists")
        if not isinstance(where.get(step, getlink=True), h5py.HardLink):
            raise refuse("a file with links to other places")
        where = where[step]
    return where


def _walk(h5py: Any, group: Any, path: str, found: list[tuple[str, Any]], depth: int) -> None:
    if depth > 12 or len(found) > MOST_TENSORS:
        raise refuse("a file of folders in folders without end")
    for step in group:
        if not isinstance(group.get(step, getlink=True), h5py.HardLink):
            raise refuse("a file with links to other places")
        inner = group[step]
        name = f"{path}/{step}" if path else str(step)
        if isinstance(inner, h5py.Group):
            _walk(h5py, inner, name, found, depth + 1)
        elif isinstance(inner, h5py.Dataset):
            found.append((name, inner))


def _array(dataset: Any, name: str, left: int) -> tuple[Array | None, int]:
    """The numbers, and how many bytes may still come; None for what holds no numbers."""
    if dataset.dtype.kind not in "fiub" or dataset.shape is None:
        return None, left
    if dataset.external or dataset.is_virtual:
        raise refuse("a file whose numbers lie in other files")
    if len(dataset.shape) > MOST_SIDES:
        raise refuse(f"an array {name[:80]!a} of no possible shape")
    left -= int(dataset.nbytes)
    if left < 0:
        raise refuse(f"arrays of more than {INFLATION} times the file's size")
    array = np.asarray(dataset[()])
    if array.dtype.kind == "f" and array.dtype.itemsize not in (2, 4, 8):
        array = array.astype(np.float64)
    return array, left


def _texts(value: Any) -> list[str]:
    """A list of texts in an attribute; [] where there is none."""
    if value is None:
        return []
    rows = np.asarray(value).ravel()
    if len(rows) > MOST_TENSORS:
        raise refuse(f"more than {MOST_TENSORS:,} layers")
    return [
        each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in rows
    ]


def _layers(value: Any) -> list[tuple[str, str]]:
    """Kinds and names of the layers that a description names; [] without one."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str) or len(value) > LARGEST_TEXT:
        return []
    try:
        return layers_of(json.loads(value))
    except (ValueError, RecursionError):
        return []


def layers_of(described: Any) -> list[tuple[str, str]]:
    """Kinds and names of the layers of a Keras model, in its order, those of models in it too."""
    found: list[tuple[str, str]] = []
    pending = [described]
    while pending and len(found) <= MOST_TENSORS:
        value = pending.pop()
        if not isinstance(value, dict):
            continue
        config = value.get("config")
        inner = config.get("layers") if isinstance(config, dict) else None
        if isinstance(inner, list):
            pending += reversed(inner)
        elif isinstance(config, list):  # a Sequential of old
            pending += reversed(config)
        elif isinstance(config, dict):
            kind, name = value.get("class_name"), config.get("name")
            if isinstance(kind, str) and isinstance(name, str):
                found.append((kind[:200], name[:200]))
    return found

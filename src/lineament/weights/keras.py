"""Weights of Keras: .h5 files, and the .keras archives of Keras 3.

Arrays are called "LAYER/VALUE": "conv2d_1/kernel", "bn/moving_mean". An .keras archive names its
arrays by the layers' kinds and numbers ("layers/conv2d/vars/0"); the description beside them
(config.json) says what the layers are called, and the kind of a layer what its values are.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from typing import Any, Final

from lineament.weights.apart import read_apart
from lineament.weights.file import Array, Contents, refuse
from lineament.weights.safetensors import read_safetensors

HDF5_HEAD: Final = b"\x89HDF\r\n\x1a\n"

_WEIGHTS, _CONFIG = "model.weights.h5", "config.json"
_LARGEST_CONFIG = 16 << 20
_INFLATION = 20
_VALUES: Final = {
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "PReLU": ("alpha",),
    "DepthwiseConv2D": ("depthwise_kernel", "bias"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "LayerNormalization": ("gamma", "beta"),
}
"""Of kinds of layers, in their order; all others have "kernel" and "bias"."""


def is_keras_archive(data: bytes) -> bool:
    """Whether a zip archive is a model of Keras 3."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {_WEIGHTS, _CONFIG} <= set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        return False


def read_keras_h5(data: bytes) -> Contents:
    """The arrays of an .h5 file.

    Raises:
        Refusal: it is no such file, or a damaged one.
        MissingExtraError: h5py is not installed (the extra ``models``).
    """
    tensors, answer = _hdf5(data)
    return Contents(tensors, _notes(int(answer.get("lambdas", 0))))


def read_keras_archive(data: bytes) -> Contents:
    """The arrays of a .keras archive. Raises as ``read_keras_h5``."""
    from lineament.weights._hdf5 import layers_of

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            config = _member(archive, _CONFIG, _LARGEST_CONFIG)
            inner = _member(archive, _WEIGHTS, _INFLATION * len(data))
        layers = layers_of(json.loads(config))
    except (zipfile.BadZipFile, zlib.error, OSError, KeyError, EOFError, RuntimeError) as error:
        raise refuse(f"a damaged archive ({str(error)[:100]})") from error
    except (json.JSONDecodeError, UnicodeError, RecursionError) as error:
        raise refuse(f"an archive whose config.json is no JSON ({str(error)[:100]})") from error
    tensors, _ = _hdf5(inner)
    return Contents(named(tensors, layers), _notes(sum(kind == "Lambda" for kind, _ in layers)))


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > most:
        raise refuse(f"an archive whose {name} says it has {info.file_size:,} bytes")
    with archive.open(info) as opened:
        data = opened.read(most + 1)
    if len(data) > most:
        raise refuse(f"an archive whose {name} is too large")
    return data


def _hdf5(data: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    from lineament.weights._hdf5 import TENSORS

    with read_apart("read_hdf5", {"weights.h5": data}) as (answer, folder):
        written = (folder / TENSORS).read_bytes()
    return dict(read_safetensors(written).tensors), answer


def _notes(lambdas: int) -> tuple[str, ...]:
    if not lambdas:
        return ()
    count = "One layer has" if lambdas == 1 else f"{lambdas} layers have"
    return (f"{count} code of its own (Lambda): it was neither read nor run.",)


def snake(kind: str) -> str:
    """A layer's kind as Keras 3 names its folder: "Conv2D" -> "conv2d"."""
    text = re.sub(r"\W+", "", kind)
    text = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", text)
    return re.sub("([a-z])([A-Z])", r"\1_\2", text).lower()


def named(tensors: dict[str, Array], layers: list[tuple[str, str]]) -> dict[str, Array]:
    """Arrays of Keras 3 by the names of their layers and values; in the layers' order.

    Args:
        tensors: by path, "layers/conv2d_1/vars/0".
        layers: kinds and names.
    """
    by_folder: dict[str, dict[int, Array]] = {}
    for path, array in tensors.items():
        start, _, at = path.rpartition("/vars/")
        if at.isdecimal():
            by_folder.setdefault(start.rpartition("/")[2], {})[int(at)] = array
    counts: dict[str, int] = {}
    found: dict[str, Array] = {}
    for kind, name in layers:
        folder = snake(kind)
        number = counts.get(folder, 0)
        counts[folder] = number + 1
        held = by_folder.get(f"{folder}_{number}" if number else folder, {})
        values = _VALUES.get(kind, ("kernel", "bias"))
        if kind == "BatchNormalization":  # without a factor, or without an offset, too
            values = values[4 - len(held) :] if len(held) in (2, 3) else values
        for place, array in sorted(held.items()):
            found[f"{name}/{values[place] if place < len(values) else place}"] = array
    return found or dict(tensors)

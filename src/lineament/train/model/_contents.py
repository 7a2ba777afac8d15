"""What a checkpoint may hold: plain values and tensors, no more than its file has bytes for.

A checkpoint may come from somebody else. PyTorch runs none of its code (``weights_only``); it does
build what the file describes, though: tensors of 10^12 numbers that are all the same one, sparse
ones, lists in lists without end. ``read`` refuses that before anything is computed with it.
"""

from __future__ import annotations

import math
import os
import pickletools
import re
import warnings
import zipfile
from typing import Any, BinaryIO

import torch

DEEPEST = 32
"""Values in values; a checkpoint has 6."""

MOST_VALUES = 50_000_000
"""The names of people, mostly."""

_LARGEST_PICKLE = 1 << 30
_GLOBALS = re.compile(
    r"collections OrderedDict|torch [A-Z][A-Za-z]*Storage|torch\.nn\.parameter Parameter"
    r"|torch\._utils _rebuild_(tensor_v2|parameter)"
)
"""What the pickles of ``torch.save`` name for plain values and tensors."""


def read(file: BinaryIO) -> Any:
    """The values of a file of ``torch.save``, tensors on the CPU.

    Args:
        file: open for reading, at its beginning.

    Raises:
        ValueError: it holds something that no checkpoint has.
        Exception: whatever ``zipfile`` and PyTorch raise for damaged files.
    """
    size = os.fstat(file.fileno()).st_size
    _check_archive(file, size)
    file.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = torch.load(file, map_location="cpu", weights_only=True)
    _check_values(state, size)
    return state


def _check_archive(file: BinaryIO, size: int) -> None:
    """Nothing is packed (``torch.save`` packs nothing), and only tensors are described."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
            raise ValueError("its parts are packed")
        if sum(e.file_size for e in entries) > size:
            raise ValueError("its parts are longer than the file")
        if len({e.filename for e in entries}) < len(entries):
            raise ValueError("two of its parts have one name")
        pickles = [e for e in entries if e.filename.endswith(".pkl")]
        if len(pickles) != 1 or pickles[0].file_size > _LARGEST_PICKLE:
            raise ValueError("expected one description of its values")
        data = archive.read(pickles[0])
    for operation, named, _ in pickletools.genops(data):
        name = operation.name
        if name == "STACK_GLOBAL" or (name == "GLOBAL" and not _GLOBALS.fullmatch(str(named))):
            raise ValueError(f"it holds what is no plain value ({str(named)[:60]})")


def _check_values(state: Any, size: int) -> None:
    left, tensor_bytes = min(MOST_VALUES, size), 0
    waiting: list[tuple[Any, int]] = [(state, 0)]
    while waiting:
        value, depth = waiting.pop()
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise ValueError("more values in values than the file has bytes for")
        if isinstance(value, torch.Tensor):
            tensor_bytes += _bytes_of(value)
            if tensor_bytes > 2 * size:  # one that stands there twice is the same one
                raise ValueError("more numbers than the file has bytes for")
        elif isinstance(value, dict):
            if not all(isinstance(key, (str, int)) for key in value):
                raise ValueError("a key that is neither a name nor a number")
            waiting += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, (list, tuple)):
            waiting += [(inner, depth + 1) for inner in value]
        elif not (value is None or isinstance(value, (str, int, float))):
            raise ValueError(f"it holds what is no plain value ({type(value).__name__})")


def _bytes_of(tensor: torch.Tensor) -> int:
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise ValueError("a tensor of a kind that no checkpoint has")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise ValueError("a tensor of a kind that no checkpoint has")
    if tensor.is_complex():
        raise ValueError("a tensor of complex numbers")
    needed = tensor.numel() * tensor.element_size()
    if needed > tensor.untyped_storage().nbytes():
        raise ValueError("a tensor of more numbers than it brings")
    return needed


def same_network(backbone: torch.nn.Module, weights: dict[str, Any]) -> str | None:
    """Whether weights are those of a network, which may be on the device "meta"; None: they are.

    Returns:
        What is different, in words.
    """
    expected = backbone.state_dict()
    missing = [name for name in expected if name not in weights]
    extra = [name for name in weights if name not in expected]
    if missing or extra:
        named = ", ".join(str(name)[:40] for name in [*missing, *extra][:3])
        return f"{len(missing)} weights are missing, {len(extra)} too many ({named})"
    for name, wanted in expected.items():
        found = weights[name]
        if not isinstance(wanted, torch.Tensor):  # numbers that a module keeps besides
            if not _counts(found) or found.keys() != wanted.keys():
                return f"{name} is damaged"
            continue
        if not isinstance(found, torch.Tensor):
            return f"{name} is no tensor"
        if found.shape != wanted.shape:
            return f"{name} has the shape {tuple(found.shape)}, expected {tuple(wanted.shape)}"
        if found.is_floating_point() != wanted.is_floating_point():
            return f"{name} has numbers of another kind"
        if found.is_floating_point() and not math.isfinite(float(found.double().sum())):
            return f"{name} has values that are no finite numbers"
    return None


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        type(v) is int and 0 <= v < 1 << 62 for v in value.values()
    )

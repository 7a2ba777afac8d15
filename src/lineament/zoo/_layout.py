"""What a family of published weights says of itself: names, shapes, and how numbers are stored.

A layout is one published network in one form of file. For each value of our backbone it knows under
which name the file has it and how it lies there (``Stored``): Keras keeps the kernels of
convolutions as (height, width, ins, outs), PyTorch as (outs, ins, height, width).

Nothing here needs PyTorch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

Framework = Literal["pytorch", "keras", "caffe", "dlib", "onnx", "tensorflow"]
Channels = Literal["rgb", "bgr", "gray"]
Flip = Literal["none", "concat", "sum"]
PerChannel = float | tuple[float, float, float]

NO_THRESHOLDS = "none until tune or eval lfw has made one"


@dataclass(frozen=True, slots=True)
class Published:
    """Weights that others published, and all that must be known to use them.

    Attributes:
        name: ours, for example "facenet-512-vggface2".
        title: in words.
        backbone: the architecture, one of ``train.backbones.BACKBONES``; "" where the file brings
            its own graph.
        source: address of the publication.
        framework: of the published file.
        license: SPDX identifier of the weights, or "unknown".
        commercial: whether the weights may be used for business: only where a license says so and
            the data it was trained on do not forbid it.
        input_wh: width and height of the crops, pixels.
        channels: "rgb", "bgr" or "gray" (0.299 R + 0.587 G + 0.114 B).
        mean, scale: the network is fed ``(pixel - mean) * scale``, one number or one a channel in
            the order of ``channels``.
        alignment: which of our alignments comes nearest to the crops of its training.
        flip: what is made of the crop and its mirror image: "none" takes the crop alone, "concat"
            puts both embeddings behind each other, "sum" adds them.
        embedding_size: D, numbers of an embedding, with the flip.
        whitened: each crop is brought to mean 0 and deviation 1 by itself, in place of ``mean`` and
            ``scale``.
        training_data: what is known of it.
        paper: where the network is described.
        thresholds: where thresholds come from.
        notes: traps.
    """

    name: str
    title: str
    backbone: str
    source: str
    framework: Framework
    license: str
    commercial: bool
    input_wh: tuple[int, int]
    channels: Channels
    mean: PerChannel
    scale: PerChannel
    alignment: str
    flip: Flip
    embedding_size: int
    whitened: bool = False
    training_data: str = "unknown"
    paper: str | None = None
    thresholds: str = NO_THRESHOLDS
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """How a file keeps a value.

    Attributes:
        shape: our shape -> the file's.
        ours: the file's array, our shape -> ours.
    """

    shape: Callable[[Shape], Shape]
    ours: Callable[[Array, Shape], Array]


def _reshaped(array: Array, shape: Shape) -> Array:
    return array.reshape(shape)


SAME = Stored(lambda shape: shape, _reshaped)

KERAS_CONV = Stored(
    lambda shape: (shape[2], shape[3], shape[1], shape[0]),
    lambda array, _: array.transpose(3, 2, 0, 1),
)
"""(height, width, ins, outs) -> (outs, ins, height, width)."""

KERAS_DEPTHWISE = Stored(
    lambda shape: (shape[2], shape[3], shape[0], 1),
    lambda array, _: array.transpose(2, 3, 0, 1),
)
"""(height, width, channels, 1) -> (channels, 1, height, width)."""

KERAS_DENSE = Stored(lambda shape: (shape[1], shape[0]), lambda array, _: array.T)
"""(ins, outs) -> (outs, ins)."""

KERAS_SLOPES = Stored(lambda shape: (1, 1, *shape), _reshaped)
"""PReLU with one slope a channel, shared over the picture."""


def keras_dense_after(grid_hw: tuple[int, int]) -> Stored:
    """A linear layer on a picture that Keras flattened with its channels last.

    (height width channels, outs) -> (outs, channels height width).
    """
    height, width = grid_hw

    def ours(array: Array, shape: Shape) -> Array:
        channels = shape[1] // (height * width)
        placed = array.reshape(height, width, channels, shape[0])
        return placed.transpose(3, 2, 0, 1).reshape(shape)

    return Stored(lambda shape: (shape[1], shape[0]), ours)


def linear_of_conv(grid_hw: tuple[int, int]) -> Stored:
    """A linear layer that the file has as a convolution over the whole picture."""
    return Stored(
        lambda shape: (shape[0], shape[1] // (grid_hw[0] * grid_hw[1]), *grid_hw), _reshaped
    )


def keras_linear_of_conv(grid_hw: tuple[int, int]) -> Stored:
    """The same in Keras' order."""
    height, width = grid_hw
    return Stored(
        lambda shape: (height, width, shape[1] // (height * width), shape[0]),
        lambda array, shape: array.transpose(3, 2, 0, 1).reshape(shape),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One value of our backbone.

    Attributes:
        ours: its key in the backbone's ``state_dict``.
        theirs: its name in the file; where ``constant`` is given, it may be missing there.
        stored: how it lies there.
        constant: what it is where the file does not have it.
    """

    ours: str
    theirs: str
    stored: Stored = SAME
    constant: float | None = None


def same_names(names: Iterable[str]) -> dict[str, str]:
    """Each name for itself: that of files whose names are the rows'."""
    return {name: name for name in names}


@dataclass(frozen=True, slots=True)
class Layout:
    """A published network in one form of file.

    Attributes:
        published: what it is.
        telltale: the name of a value that these files have, and few others. What stands before it,
            such as "module." or "backbone.", stands before all names of the network.
        rows: our keys and shapes -> the rows.
        options: of the backbone, beside its name.
        norm_eps: of all batch normalizations, where the files were trained with another.
        ignored: names that training left there (matched from their beginning): heads, counters.
        canonical: the file's names -> those that the rows have.
        hints: names beside the network's, with their shapes, that tell it from others with the same
            names and shapes: the head of its training.
        asked: whether it is taken only where it is asked for by its name.
    """

    published: Published
    telltale: str
    rows: Callable[[Shapes], Iterable[Row]]
    options: Mapping[str, object] = field(default_factory=dict)
    norm_eps: float | None = None
    ignored: tuple[str, ...] = ()
    canonical: Callable[[Iterable[str]], dict[str, str]] = same_names
    hints: Shapes = field(default_factory=dict)
    asked: bool = False

    @property
    def format(self) -> Framework:
        """The framework of its files."""
        return self.published.framework


def renamed(
    rename: Callable[[str], str], stored: Callable[[str, Shape], Stored] = lambda *_: SAME
) -> Callable[[Shapes], Iterable[Row]]:
    """Rows from a function of names, for files that have all values.

    Args:
        rename: our key -> their name.
        stored: our key and shape -> how it lies there.
    """
    return lambda shapes: [Row(key, rename(key), stored(key, shapes[key])) for key in shapes]


def by_parts(
    parts: Mapping[str, str], stored: Callable[[str, Shape], Stored] = lambda *_: SAME
) -> Callable[[Shapes], Iterable[Row]]:
    """Rows where each layer has a name of its own: "stem.0" -> "conv1".

    Raises:
        KeyError: a layer that ``parts`` has not; a mistake of the family's file.
    """

    def rename(key: str) -> str:
        layer, _, value = key.rpartition(".")
        return f"{parts[layer]}.{value}"

    return renamed(rename, stored)


_NUMBERED = re.compile(
    r"(conv2d|convolution2d|depthwise_conv2d|batch_normalization|activation|p_re_lu|re_lu|dense)"
    r"(?:_(\d+))?$"
)


def keras_names(names: Iterable[str]) -> dict[str, str]:
    """Bring the names of a Keras H5 file to one form: "conv1/kernel".

    The folder of all weights ("model_weights"), the layer's name when it stands twice, and ":0" are
    left out. Layers without a name of their own ("conv2d_7") are counted by kind, in their order,
    whatever their numbers begin with: "conv2d@0". Slopes count as "prelu@0" whatever their layer is
    called.

    Returns:
        The file's name -> the canonical one.
    """
    parted: dict[str, tuple[str, str]] = {}
    numbers: dict[str, set[tuple[int, str]]] = {}
    for name in names:
        steps = [step for step in name.partition(":")[0].split("/") if step]
        if not steps:
            continue
        layer = steps[-2] if len(steps) > 1 else ""
        parted[name] = layer, steps[-1]
        found = _NUMBERED.fullmatch(layer)
        if found is not None:
            kind = "prelu" if steps[-1] == "alpha" else found[1].replace("convolution", "conv")
            number = int(found[2]) if found[2] else 0
            numbers.setdefault(kind, set()).add((number, layer))
    counted = {
        (kind, layer): f"{kind}@{i}"
        for kind, layers in numbers.items()
        for i, (_, layer) in enumerate(sorted(layers))
    }
    made = {}
    for name, (layer, value) in parted.items():
        found = _NUMBERED.fullmatch(layer)
        if found is not None:
            kind = "prelu" if value == "alpha" else found[1].replace("convolution", "conv")
            layer = counted[kind, layer]
        made[name] = f"{layer}/{value}" if layer else value
    return made


_KERAS_VALUES = {
    "weight": "kernel",
    "bias": "bias",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def keras_value(value: str, *, norm: bool = False, slope: bool = False) -> str:
    """Keras' word for a value of a layer: "weight" -> "kernel", "gamma" or "alpha"."""
    if norm and value in ("weight", "bias"):
        return {"weight": "gamma", "bias": "beta"}[value]
    return "alpha" if slope else _KERAS_VALUES[value]


def as_float32(array: Array) -> npt.NDArray[np.float32]:
    """A copy in float32, in one piece, whatever the file's type."""
    return np.array(array, np.float32, order="C")

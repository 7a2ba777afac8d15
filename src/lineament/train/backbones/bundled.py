"""The bundled recognizers as PyTorch modules: the same outputs, and every weight can be trained.

Their ONNX graphs are walked node by node, and each node becomes the layer it came from: Conv a
``Conv2d``, BatchNormalization a ``BatchNorm2d`` (or 1d), PRelu a ``PReLU``, Gemm a ``Linear``.
Nodes that only unpack constants (SFace's int8 blocks) are computed once, here.

What that means for fine-tuning:

- ``sface`` has its 29 batch normalizations as its graph does, with the running statistics of its
  training. Unless they are kept still (``eval()`` on those layers), they drift towards your data.
- ``mobilefacenet`` has none: its exporter folded them into the convolutions, which have a bias
  instead. They cannot be told apart again; train it with a lower learning rate.
- There is no dropout: it was left out when the graphs were written.

Weights that are int8 in the file become float32 and stay so: a fine-tuned SFace is four times as
large as the bundled one until it is quantized.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lineament import models
from lineament.errors import MissingExtraError, OptionError, WeightsError
from lineament.models import LicensePolicy
from lineament.models.graph import check_graph
from lineament.train.backbones.backbone import Backbone

if TYPE_CHECKING:
    import onnx

Constant = npt.NDArray[Any]
Constants = dict[str, Constant]

BUNDLED = ("sface", "mobilefacenet")


class FixedScaling(nn.Module):
    """``x - constant`` or ``x * constant``, as the graph scales its input; not trained."""

    constant: Tensor

    def __init__(self, kind: str, constant: Constant) -> None:
        """``kind``: "Sub" or "Mul"."""
        super().__init__()
        self.kind = kind
        self.register_buffer("constant", _tensor(constant), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """Any shape that the constant broadcasts to."""
        return values - self.constant if self.kind == "Sub" else values * self.constant

    def extra_repr(self) -> str:
        """What is printed between the brackets."""
        return f"{self.kind}, {self.constant.flatten().tolist()}"


class Addition(nn.Module):
    """The end of a residual block."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Two of one shape."""
        return left + right


class GraphBackbone(Backbone):
    """A network that was read from an ONNX graph.

    Its layers lie in stages: ``stage1``, ``stage2`` ... each at half the resolution of the one
    before, and ``output`` from where the picture becomes a vector. Layers are numbered by kind
    within their stage (``stage2.conv1``, ``stage2.norm1``, ``stage2.prelu1``).
    """

    def __init__(
        self,
        plan: list[tuple[str, str, nn.Module, tuple[str, ...], str]],
        *,
        read: str,
        made: str,
        dimension: int,
        size_px: int,
        alignment: str,
    ) -> None:
        """Nothing is checked: ``load_bundled`` makes these.

        Args:
            plan: in order of execution: stage, name, layer, the values it reads, the one it makes.
            read: the value that the crops are.
            made: the value that is the embedding.
            dimension, size_px, alignment: as ``Backbone`` has them.
        """
        super().__init__()
        self.dimension = dimension
        self.size_px = size_px
        self.alignment = alignment
        self._read, self._made = read, made
        self._steps = [(stage, name, inputs, output) for stage, name, _, inputs, output in plan]
        for stage, name, layer, _, _ in plan:
            if not hasattr(self, stage):
                self.add_module(stage, nn.ModuleDict())
            self.get_submodule(stage).add_module(name, layer)
        last = {value: i for i, (*_, inputs, _) in enumerate(self._steps) for value in inputs}
        self._spent = [
            tuple({v for v in inputs if last[v] == i and v != made})
            for i, (*_, inputs, _) in enumerate(self._steps)
        ]

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) float, RGB, 0 to 255 -> (N, D), not of unit length."""
        expected = (3, self.size_px, self.size_px)
        # While tracing, sizes are no plain numbers, and what is traced was checked before.
        tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if not tracing and (crops.dim() != 4 or tuple(crops.shape[1:]) != expected):
            raise OptionError(
                f"expected (N, {', '.join(map(str, expected))}), got {tuple(crops.shape)}: "
                f"align or resize them to {self.size_px} pixels",
                option="crops",
            )
        values = {self._read: crops}
        for (stage, name, inputs, output), spent in zip(self._steps, self._spent, strict=True):
            layer = self.get_submodule(stage).get_submodule(name)
            made = layer(*(values[key] for key in inputs))
            for key in spent:  # so that evaluation needs no memory for all layers at once
                del values[key]
            values[output] = made
        return values[self._made]


def load_bundled(name: str, *, policy: LicensePolicy | None = None) -> GraphBackbone:
    """A recognizer of ``lineament.models`` as a module in evaluation mode, to be trained.

    Args:
        name: "sface" or "mobilefacenet"; an entry of your own will do if its graph is made of the
            same kinds of layers (those of ``export_onnx`` mostly are).
        policy: which licenses may be used; None asks the environment. What is trained from these
            weights is derived from them: their license goes on to hold.

    Raises:
        UnknownWeightsError: there is no such entry.
        WeightsError: the file is missing or damaged, the policy refuses it, or the graph holds a
            node that this module knows no trainable layer for.
        MissingExtraError: ``onnx`` is not installed.
    """
    entry = models.get(name)
    if entry.task != "embedder" or entry.alignment is None or entry.members:
        raise WeightsError(
            f"{name}: expected one recognition network, such as {' or '.join(BUNDLED)}, got "
            + (f"one that joins {len(entry.members)}" if entry.members else f"a {entry.task}")
        )
    spec = entry.input
    if (spec.color_order, spec.mean, spec.scale) != ("rgb", 0, 1) or spec.size_wh is None:
        raise WeightsError(
            f"{name}: expected a network that takes RGB from 0 to 255 at a fixed size and scales "
            f"by itself, got {spec.color_order}, mean {spec.mean}, scale {spec.scale}, size "
            f"{spec.size_wh}"
        )
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingExtraError("training a bundled recognizer", "train") from error
    data = models.read(entry, policy=policy)
    check_graph(data, name)
    try:
        graph = onnx.load_model_from_string(data).graph
    except Exception as error:  # protobuf's DecodeError is no ValueError in all its versions
        raise WeightsError(f"{name}: expected an ONNX graph ({error})") from error
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    read = [value.name for value in graph.input if value.name not in constants]
    if len(read) != 1 or not graph.output:
        raise WeightsError(f"{name}: expected a graph with one input, got {len(read)}")
    plan = _plan(name, graph, constants)
    backbone = GraphBackbone(
        plan,
        read=read[0],
        made=graph.output[0].name,
        dimension=entry.dimension or 0,
        size_px=spec.size_wh[0],
        alignment=entry.alignment,
    ).eval()
    if entry.dimension is None:
        with torch.inference_mode():
            backbone.dimension = int(backbone(torch.zeros(1, 3, *spec.size_wh)).shape[1])
    return backbone


def _plan(
    name: str, graph: onnx.GraphProto, constants: Constants
) -> list[tuple[str, str, nn.Module, tuple[str, ...], str]]:
    """The graph's layers in order, each with its stage; constants are computed on the way."""
    import onnx

    plan: list[tuple[str, str, nn.Module, tuple[str, ...], str]] = []
    numbers: dict[tuple[str, str], int] = {}
    stage, trained = 1, False  # a stage begins at a convolution with a stride, unless none came yet
    output = False
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            constants[node.output[0]] = onnx.numpy_helper.to_array(attributes["value"])
            continue
        if node.op_type in _FOLDED and all(key in constants for key in node.input):
            arguments = [constants[key] for key in node.input]
            constants[node.output[0]] = _FOLDED[node.op_type](arguments, attributes)
            continue
        inputs = tuple(key for key in node.input if key and key not in constants)
        found = _Node(
            node.op_type,
            len(inputs),
            [constants[key] for key in node.input if key in constants],
            attributes,
        )
        make = _LAYERS.get(node.op_type)
        in_order = inputs == tuple(node.input[: len(inputs)])  # "constant - x" is no FixedScaling
        layer = make(found) if make is not None and in_order else None
        if layer is None:
            said = {key: v for key, v in attributes.items() if isinstance(v, int | float | list)}
            raise WeightsError(
                f"{name}: node {node.name if node.name else node.output[0]!r}: there is no "
                f"trainable layer for {node.op_type} with {len(inputs)} inputs, "
                f"{len(found.constants)} constants and {said}; known are {', '.join(_LAYERS)}. "
                f"Bundled networks that can be trained: {', '.join(BUNDLED)}"
            )
        if isinstance(layer, nn.Conv2d):
            if layer.stride != (1, 1) and trained:
                stage += 1
            # A kernel as large as its picture makes a vector of it (mobilefacenet's 7x7).
            output |= layer.padding == (0, 0) and layer.kernel_size != (1, 1)
        output |= isinstance(layer, nn.Flatten | nn.Linear)
        trained |= any(True for _ in layer.parameters())
        where = "output" if output else f"stage{stage}"
        kind = _NAMES.get(node.op_type, node.op_type.lower())
        number = numbers[where, kind] = numbers.get((where, kind), 0) + 1
        plan.append((where, f"{kind}{number}", layer, inputs, node.output[0]))
    return plan


def _tensor(values: Constant) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))  # a copy: what is read is read-only


def _reshaped(values: Constant, shape: Constant) -> Constant:
    # ONNX: 0 keeps the size that is there, -1 takes what is left.
    return values.reshape([values.shape[i] if n == 0 else int(n) for i, n in enumerate(shape)])


def _cast(values: Constant, to: int) -> Constant:
    import onnx

    return values.astype(onnx.helper.tensor_dtype_to_np_dtype(to))


_FOLDED: dict[str, Callable[[list[Constant], dict[str, Any]], Constant]] = {
    "Cast": lambda args, attributes: _cast(args[0], attributes["to"]),
    "Sub": lambda args, _: args[0] - args[1],
    "Mul": lambda args, _: args[0] * args[1],
    "Add": lambda args, _: args[0] + args[1],
    "Reshape": lambda args, _: _reshaped(args[0], args[1]),
    "Identity": lambda args, _: args[0],
}
"""What may happen to constants before a layer uses them."""


@dataclass(frozen=True)
class _Node:
    """One node of a graph: ``inputs`` values come from other nodes, the constants after them."""

    kind: str
    inputs: int
    constants: list[Constant]
    attributes: dict[str, Any]


def _conv(node: _Node) -> nn.Module | None:
    attributes, constants = node.attributes, node.constants
    if node.inputs != 1 or len(constants) not in (1, 2) or constants[0].ndim != 4:
        return None
    pads = list(attributes.get("pads", (0, 0, 0, 0)))  # top, left, bottom, right
    if pads[:2] != pads[2:] or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        return None
    weight, group = constants[0], int(attributes.get("group", 1))
    layer = nn.Conv2d(
        weight.shape[1] * group,
        weight.shape[0],
        weight.shape[2:],
        stride=tuple(attributes.get("strides", (1, 1))),
        padding=(pads[0], pads[1]),
        dilation=tuple(attributes.get("dilations", (1, 1))),
        groups=group,
        bias=len(constants) == 2,
    )
    return _filled(layer, weight=weight, bias=constants[1] if len(constants) == 2 else None)


def _norm(node: _Node) -> nn.Module | None:
    known = node.inputs == 1 and len(node.constants) == 4
    if not known or node.attributes.get("training_mode", 0) != 0:
        return None
    gamma, beta, mean, variance = node.constants
    # ONNX's momentum is the share of the old statistics, PyTorch's that of the new ones.
    momentum = 1 - float(node.attributes.get("momentum", 0.9))
    layer = _Norm(len(gamma), eps=float(node.attributes.get("epsilon", 1e-5)), momentum=momentum)
    return _filled(layer, weight=gamma, bias=beta, running_mean=mean, running_var=variance)


class _Norm(nn.BatchNorm2d):
    """Over channels, whether a picture follows them or nothing does."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected (N, C) or (N, C, H, W), got {tuple(input.shape)}")


def _prelu(node: _Node) -> nn.Module | None:
    if node.inputs != 1 or len(node.constants) != 1:
        return None
    slopes = node.constants[0]  # one for all, or one a channel: (C, 1, 1)
    if slopes.size > 1 and slopes.shape[1:] != (1, 1):
        return None
    return _filled(nn.PReLU(slopes.size), weight=slopes.ravel())


def _linear(node: _Node) -> nn.Module | None:
    attributes, constants = node.attributes, node.constants
    plain = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
    plain = plain and attributes.get("transA", 0) == 0
    if node.inputs != 1 or len(constants) not in (1, 2) or not plain:
        return None
    weight = constants[0] if attributes.get("transB", 0) == 1 else constants[0].T  # (D, inputs)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=len(constants) == 2)
    return _filled(layer, weight=weight, bias=constants[1] if len(constants) == 2 else None)


def _flatten(node: _Node) -> nn.Module | None:
    if node.kind == "Flatten":
        plain = not node.constants and node.attributes.get("axis", 1) == 1
    else:  # Reshape to (photos, whatever there is of each)
        plain = len(node.constants) == 1 and node.constants[0].shape == (2,)
        plain = plain and int(node.constants[0][0]) in (0, -1)
    return nn.Flatten() if plain and node.inputs == 1 else None


def _scaling(node: _Node) -> nn.Module | None:
    known = node.inputs == 1 and len(node.constants) == 1
    return FixedScaling(node.kind, node.constants[0]) if known else None


def _addition(node: _Node) -> nn.Module | None:
    return Addition() if node.inputs == 2 else None


def _relu(node: _Node) -> nn.Module | None:
    return nn.ReLU() if node.inputs == 1 else None


_LAYERS: dict[str, Callable[[_Node], nn.Module | None]] = {
    "Conv": _conv,
    "BatchNormalization": _norm,
    "PRelu": _prelu,
    "Relu": _relu,
    "Gemm": _linear,
    "Flatten": _flatten,
    "Reshape": _flatten,
    "Sub": _scaling,
    "Mul": _scaling,
    "Add": _addition,
}
"""Node -> layer; None where the node does more than the layer can."""

_NAMES = {
    "BatchNormalization": "norm",
    "Gemm": "linear",
    "Reshape": "flatten",
    "Sub": "shift",
    "Mul": "scale",
}


def _filled(layer: nn.Module, **values: Constant | None) -> nn.Module:
    with torch.no_grad():
        for name, value in values.items():
            if value is not None:
                getattr(layer, name).copy_(_tensor(value))
    return layer

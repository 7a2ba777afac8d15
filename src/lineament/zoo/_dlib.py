"""dlib's recognizer of 29 convolutions in PyTorch, so that any file of it becomes an ONNX file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lineament.train.backbones.backbone import Backbone
from lineament.weights.dlib_file import BLOCKS, SIZE
from lineament.zoo._layout import Published

DLIB = Published(
    name="dlib-resnet-own",
    title="dlib's recognizer, a ResNet of 29 convolutions",
    backbone="",
    source="http://dlib.net",
    framework="dlib",
    license="unknown",
    commercial=False,
    input_wh=(SIZE, SIZE),
    channels="rgb",
    mean=0.0,
    scale=1.0,
    alignment="dlib-150",
    flip="none",
    embedding_size=128,
    paper="D. E. King, Dlib-ml: A Machine Learning Toolkit, JMLR 10, 2009",
    notes="Its vectors are meant for euclidean distances and are not of unit length",
)
"""Of a file that somebody trained; dlib's own one is in the package."""

SCALE = 256.0
"""What dlib's ``input_rgb_image_sized`` divides by, which the file does not say."""


class DlibResNet(Backbone):
    """RGB of 0 to 255 -> (N, 128), as dlib gives it.

    Where a block halves its picture, dlib adds two arrays of different sizes: what one lacks, in
    rows, columns or channels, counts as zero.
    """

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the tensors of ``lineament.weights.dlib_file``."""
        super().__init__()
        self.dimension, self.size_px, self.alignment = 128, SIZE, "dlib-150"
        self.values = nn.ParameterDict(
            {
                name.replace(".", "_"): nn.Parameter(
                    torch.from_numpy(np.array(array, np.float32)), requires_grad=False
                )
                for name, array in tensors.items()
            }
        )
        self.eval()

    def _layer(self, x: Tensor, name: str, *, stride: int, padding: int) -> Tensor:
        """A convolution and the factors behind it."""
        weight, bias = self.values[f"conv{name}_weight"], self.values[f"conv{name}_bias"]
        x = functional.conv2d(x, weight, bias, stride=stride, padding=padding)
        factor, offset = (self.values[f"affine{name}_{key}"] for key in ("weight", "bias"))
        made: Tensor = x * factor[:, None, None] + offset[:, None, None]
        return made

    def forward(self, crops: Tensor) -> Tensor:
        """(N, 3, 150, 150) float, RGB, 0 to 255 -> (N, 128)."""
        x = (crops - self.values["mean"][:, None, None]) / SCALE
        x = self._layer(x, "0", stride=2, padding=0).relu()
        x = functional.max_pool2d(x, 3, 2)
        size, channels = ((SIZE - 7) // 2 + 1 - 3) // 2 + 1, BLOCKS[0][0]
        for number, (wide, halves) in enumerate(BLOCKS, start=1):
            before = x
            x = self._layer(
                x, f"{number}a", stride=2 if halves else 1, padding=0 if halves else 1
            ).relu()
            x = self._layer(x, f"{number}b", stride=1, padding=1)
            if halves:
                ours, pooled = (size - 3) // 2 + 1, (size - 2) // 2 + 1
                before = functional.avg_pool2d(before, 2, 2)
                size = max(ours, pooled)
                x = functional.pad(x, (0, size - ours, 0, size - ours))
                short = size - pooled
                before = functional.pad(before, (0, short, 0, short, 0, wide - channels))
            x = (x + before).relu()
            channels = wide
        made: Tensor = x.mean((2, 3)) @ self.values["dense_weight"]
        return made

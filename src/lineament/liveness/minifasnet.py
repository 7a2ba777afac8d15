"""Minivision's own networks, from files of yours: they are in no package of a registry.

    network = read_minifasnet("2.7_80x80_MiniFASNetV2.pth")
    passive = load_passive(networks={"v2": network})    beside the bundled one

The files are those of Silent-Face-Anti-Spoofing (Apache License 2.0), under their published names:
``2.7_80x80_MiniFASNetV2.pth`` is shown a rectangle of 2.7 times the box, 80 pixels a side;
``4_0_0_80x80_MiniFASNetV1SE.pth`` one of 4. How wide each layer is follows from its tensors, so the
other widths that were published (and files of retrained networks) are read as well. PyTorch (the
extra ``train``) reads and runs them; nothing that a file says is executed (``weights_only``).

The architecture, by the names of its tensors: a convolution (``conv1``) and one by channel
(``conv2_dw``); blocks of a pointwise, a channelwise and a pointwise convolution, of stride 2
(``conv_23``, ``conv_34``, ``conv_45``) and with shortcuts (``conv_3``, ``conv_4``, ``conv_5``),
whose last has a squeeze and excitation in the variants "SE"; a channelwise convolution over all
that is left (``conv_6_dw``), and two dense layers. Classes: flat picture, live, mask.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lineament.arguments import checked
from lineament.errors import MissingExtraError, WeightsError
from lineament.files import open_regular
from lineament.liveness.texture import live_log_odds
from lineament.types import Face, FloatArray, Image

LIVE = 1
CLASSES = 3
LARGEST_BYTES = 64 << 20
"""The published files have 1.8 MB."""

_NAME = re.compile(r"(?:(\d+(?:\.\d+)?)|org)(?:_\d+)*_(\d{2,4})x(\d{2,4})_\w+")
_STEPS = (("conv_23", "conv_3"), ("conv_34", "conv_4"), ("conv_45", "conv_5"))


class MiniFASNetFile:
    """A network of Silent-Face-Anti-Spoofing. Calls from several threads are safe.

    Attributes:
        name: of its file.
        scale: sides of the rectangle that it is shown, in those of the box; None: the whole photo.
        size_hw: of its input, pixels.
    """

    def __init__(
        self, state: Mapping[str, Any], name: str, scale: float | None, size_hw: tuple[int, int]
    ) -> None:
        """Take tensors by their published names; ``read_minifasnet`` reads a file.

        Raises:
            WeightsError: they are not those of such a network.
        """
        self.name, self.scale, self.size_hw = name, scale, size_hw
        self._state = {key.removeprefix("module."): value for key, value in state.items()}
        logits = self._logits(np.zeros((1, 3, *size_hw), np.float32))
        if logits.shape != (1, CLASSES):
            raise WeightsError(f"{name}: expected {CLASSES} classes, got {logits.shape[-1]}")

    def read(self, pixels: Image, faces: Sequence[Face]) -> FloatArray:
        """Look at faces of one photo, (H, W, 3) uint8, RGB: (N,) log odds of "live"."""
        if not faces:
            return np.zeros(0, np.float32)
        shown = np.stack([self._shown(pixels, face) for face in faces])
        batch = shown[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32, order="C")  # BGR
        return live_log_odds(self._logits(batch), LIVE)

    def _shown(self, pixels: Image, face: Face) -> Image:
        part = pixels
        if self.scale is not None:
            left, top, right, bottom = rectangle_inside(pixels.shape[:2], face, self.scale)
            part = pixels[top : bottom + 1, left : right + 1]
        return np.asarray(cv2.resize(part, self.size_hw[::-1]), np.uint8)

    # --- the network ------------------------------------------------------------------------------

    def _logits(self, batch: FloatArray) -> FloatArray:
        import torch

        try:
            with torch.inference_mode():
                logits = self._run(torch.from_numpy(batch))
        except KeyError as error:
            raise WeightsError(
                f"{self.name}: expected the tensor {error.args[0]!r}, as MiniFASNet has it, found "
                "none of that name"
            ) from error
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{self.name}: its tensors do not fit together as those of MiniFASNet do: {error}"
            ) from error
        found: FloatArray = logits.numpy().astype(np.float32)
        return found

    def _run(self, x: Any) -> Any:
        from torch.nn import functional

        x = self._block(x, "conv1", stride=2, padding=1)
        x = self._block(x, "conv2_dw", padding=1)
        for down, rest in _STEPS:
            x = self._three(x, down, stride=2)
            for number in range(self._count(rest)):
                x = x + self._three(x, f"{rest}.model.{number}")
        x = self._block(x, "conv_6_sep")
        x = self._block(x, "conv_6_dw").flatten(1)
        x = functional.linear(x, self._state["linear.weight"])
        return functional.linear(self._normal(x, "bn"), self._state["prob.weight"])

    def _count(self, name: str) -> int:
        start = f"{name}.model."
        return len({key.split(".")[2] for key in self._state if key.startswith(start)})

    def _three(self, x: Any, name: str, stride: int = 1) -> Any:
        x = self._block(x, f"{name}.conv")
        x = self._block(x, f"{name}.conv_dw", stride=stride, padding=1)
        x = self._block(x, f"{name}.project")
        if f"{name}.se_module.fc1.weight" not in self._state:
            return x
        share = x.mean((2, 3), keepdim=True)
        for number in (1, 2):
            share = self._convolved(share, f"{name}.se_module.fc{number}")
            share = self._normal(share, f"{name}.se_module.bn{number}")
            share = share.relu() if number == 1 else share.sigmoid()
        return x * share

    def _block(self, x: Any, name: str, *, stride: int = 1, padding: int = 0) -> Any:
        """A convolution, its normalization, and PReLU where there is one."""
        from torch.nn import functional

        x = self._convolved(x, f"{name}.conv", stride=stride, padding=padding)
        x = self._normal(x, f"{name}.bn")
        slope = self._state.get(f"{name}.prelu.weight")
        return x if slope is None else functional.prelu(x, slope)

    def _convolved(self, x: Any, name: str, *, stride: int = 1, padding: int = 0) -> Any:
        """Channel by channel where the weights have one input."""
        from torch.nn import functional

        weight = self._state[f"{name}.weight"]
        groups = x.shape[1] // weight.shape[1]
        return functional.conv2d(x, weight, stride=stride, padding=padding, groups=groups)

    def _normal(self, x: Any, name: str) -> Any:
        from torch.nn import functional

        mean, variance, weight, bias = (
            self._state[f"{name}.{key}"]
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, weight, bias)


def rectangle_inside(
    shape_hw: Sequence[int], face: Face, scale: float
) -> tuple[int, int, int, int]:
    """The box made larger, and moved into the photo, as Silent-Face-Anti-Spoofing does it.

    Args:
        shape_hw: height and width of the photo.
        face: whose box it is.
        scale: by how much; less where the photo is smaller.

    Returns:
        left, top, right, bottom: pixels, the last ones among them.
    """
    height, width = shape_hw[:2]
    box_w, box_h = face.size_wh
    scale = min((height - 1) / box_h, (width - 1) / box_w, scale)
    x, y = face.center_xy
    sides = []
    for middle, side, most in ((x, box_w * scale, width - 1), (y, box_h * scale, height - 1)):
        low = min(max(middle - side / 2, 0.0), most - side)
        sides.append((int(max(low, 0.0)), int(min(low + side, most))))
    (left, right), (top, bottom) = sides
    return left, top, right, bottom


@checked
def read_minifasnet(path: str | os.PathLike[str]) -> MiniFASNetFile:
    """Read a file of Silent-Face-Anti-Spoofing.

    Args:
        path: its name has to be as published: SCALE_HEIGHTxWIDTH_NAME.pth, since the scale and the
            size stand nowhere else.

    Raises:
        MissingExtraError: PyTorch is not installed (the extra ``train``).
        WeightsError: another name, no such file, or it holds something else.
    """
    file = Path(path)
    matched = _NAME.fullmatch(file.stem)
    if matched is None or file.suffix != ".pth":
        raise WeightsError(
            f"{file}: expected a name such as 2.7_80x80_MiniFASNetV2.pth: what the network is "
            "shown stands in it"
        )
    scale, height, width = matched.groups()
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("reading MiniFASNet's files", "train") from error
    try:
        with open_regular(file) as opened:
            if os.fstat(opened.fileno()).st_size > LARGEST_BYTES:
                raise WeightsError(f"{file}: expected at most {LARGEST_BYTES >> 20} MB")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state = torch.load(opened, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # whatever zipfile, pickle and PyTorch raise for damaged files
        raise WeightsError(f"{file}: expected tensors as PyTorch saves them: {error}") from error
    whole = isinstance(state, Mapping) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    )
    if not whole:
        raise WeightsError(f"{file}: expected tensors by name")
    factor = None if scale is None else float(scale)
    return MiniFASNetFile(state, file.name, factor, (int(height), int(width)))

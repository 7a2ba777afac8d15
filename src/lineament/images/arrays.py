"""Stage 1: arrays and tensors of any library -> NumPy; values of any depth -> uint8.

What values mean is decided by the largest of them, since neither an array nor a file of 16 bits
says how many bits its sensor had:

    uint8                  as they are
    bool                   False is black, True is white
    other integers         by the smallest of 8, 10, 12, 14 and 16 bits that holds the largest:
                           0 to 255 as 8 bits, 0 to 1023 as 10 bits, ...
    floats up to 1         from 0 (black) to 1 (white)
    floats above 2         as integers are: 0 to 255 as 8 bits, ...

Anything else - negative, between 1 and 2, above 65535, not finite - is refused.
"""

from __future__ import annotations

import sys
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from lineament.errors import ImageError, ImageFormatError
from lineament.machine import raise_if_short

CHANNELS = (1, 3, 4)
"""Numbers of channels: gray, RGB, RGBA."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits of a value, as sensors and formats have them."""

ROUNDING = 1e-6
"""What the rounding of a resize may add to floats from 0 to 1."""


def is_array(source: object) -> bool:
    """Whether it is an array or a tensor of any library."""
    if isinstance(source, (str, bytes, type)):  # NumPy's own texts have the method too
        return False
    return isinstance(source, np.ndarray) or hasattr(type(source), "__array__")


def as_array(source: Any) -> npt.NDArray[Any]:
    """An array or tensor as NumPy's, with its channels last: (H, W), (H, W, C), (N, H, W, C).

    (C, H, W) is told from (H, W, C) by which axis can be the channels; where both can, tensors of
    PyTorch have them first and others last.

    Raises:
        ImageError: it cannot be converted.
    """
    torch = sys.modules.get("torch")
    is_tensor = torch is not None and isinstance(source, torch.Tensor)
    array: npt.NDArray[Any]
    try:
        if is_tensor:
            assert torch is not None
            tensor = source.detach().cpu()
            array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        else:
            array = np.asarray(source)
    except Exception as error:  # of whatever library it is
        raise_if_short(error)
        raise ImageError(
            f"{type(source).__name__}: cannot be made a NumPy array ({error}); convert it"
        ) from error
    if array.ndim in (3, 4) and array.shape[-3] in CHANNELS:
        last_can = array.shape[-1] in CHANNELS
        large = min(array.shape[-2:]) > max(CHANNELS)
        if is_tensor or (large and not last_can):
            array = np.moveaxis(array, -3, -1)
    return array


def bits_of(kind: np.dtype[Any], low: float, high: float) -> int:
    """How many bits values have, of which these are the least and the largest; see the module.

    Returns:
        One of ``DEPTHS``; 0 for floats up to 1, and 1 for truth values.

    Raises:
        ImageFormatError: of another type, or outside of what is known.
    """
    if kind == np.bool_:
        return 1
    if kind.kind not in "uif":
        raise ImageFormatError(
            f"expected integers, floats or truth values, got {kind}; convert them"
        )
    if kind.kind == "f":
        if low >= -ROUNDING and high <= 1 + ROUNDING:
            return 0
        if not (low >= 0 and 2 <= high < 2 ** DEPTHS[-1]):  # NaN fails as well
            raise ImageFormatError(
                f"expected floats from 0 to 1, or from 0 to 255, got {low:g} to {high:g}; clip "
                "what lies a little outside, and undo a normalization"
            )
    elif not (low >= 0 and high < 2 ** DEPTHS[-1]):
        raise ImageFormatError(
            f"expected integers from 0 to 65535, got {low:.0f} to {high:.0f}; save or convert it "
            "with 8 or 16 bits"
        )
    return next(bits for bits in DEPTHS if high <= 2**bits - 1)


def to_uint8(values: npt.NDArray[Any], bits: int | None = None) -> npt.NDArray[np.uint8]:
    """Values of any depth as 0 to 255; see the module.

    Args:
        values: of any shape, at least one.
        bits: of ``bits_of``, where these are part of a picture; None looks for itself.

    Raises:
        ImageFormatError: as ``bits_of``.
    """
    if values.dtype == np.uint8:
        return cast("npt.NDArray[np.uint8]", values)
    if bits is None:
        bits = bits_in(values)
    if bits == 1:
        return values.astype(np.uint8) * np.uint8(255)
    if bits == 0:
        return cast("npt.NDArray[np.uint8]", np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))
    return scaled(values, 2**bits - 1)


def bits_in(values: npt.NDArray[Any]) -> int:
    """``bits_of`` an array: at least one value."""
    if values.dtype.kind not in "uif":
        return bits_of(values.dtype, 0, 0)
    return bits_of(values.dtype, float(values.min()), float(values.max()))


def scaled(values: npt.NDArray[Any], largest: int) -> npt.NDArray[np.uint8]:
    """Values from 0 to ``largest`` as 0 to 255, rounded."""
    result: npt.NDArray[np.uint8]
    if values.dtype.kind == "f":
        result = np.rint(values * (255 / largest)).astype(np.uint8)
    elif largest == 255:
        result = values.astype(np.uint8)
    else:
        wide = values.astype(np.uint32)
        # (v * 255 + 32895) >> 16 is v / 257 rounded, for every 16-bit v, and faster
        result = (
            (wide * 255 + 32895) >> 16
            if largest == 65535
            else (wide * 255 + largest // 2) // largest
        ).astype(np.uint8)
    return result

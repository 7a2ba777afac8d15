"""Arrays by their kinds, how they are checked, and what long work calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from lineament.errors import OptionError

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Image = npt.NDArray[np.uint8]
"""A photo: RGB, uint8, (H, W, 3)."""

ColorOrder = Literal["rgb", "bgr"]

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is in all."""
StageProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is in all."""
ProgressBar = Callable[[Iterable[T], int, str], Iterable[T]]
"""Wraps (items, how many, what is being done) and yields the items."""


def frozen(values: Any, shape: tuple[int, ...], what: str) -> FloatArray:
    try:
        with np.errstate(over="ignore"):  # what overflows is refused below, as infinite
            array = np.array(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise OptionError(f"expected numbers of shape {shape}: {error}", option=what) from error
    if array.shape != shape:
        raise OptionError(f"expected shape {shape}, got {array.shape}", option=what)
    if not np.isfinite(array).all():
        raise OptionError(f"expected finite numbers, got {array.tolist()}", option=what)
    array.flags.writeable = False
    return array


def as_array(values: npt.NDArray[Any], dtype: Any, copy: bool | None) -> npt.NDArray[Any]:
    """For ``__array__``; ``copy`` is only given by NumPy 2."""
    if copy is None:
        return np.asarray(values, dtype=dtype)
    return np.array(values, dtype=dtype, copy=copy)

"""Stage 1: binary PNM files - PBM (P4), PGM (P5), PPM (P6) - read here.

Pillow reads those whose largest value is neither 255 nor 65535 pixel by pixel in Python, and walks
over blanks and comments byte by byte: seconds and minutes for a file of some megabytes. The format
is short: https://netpbm.sourceforge.net/doc/ppm.html.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.errors import ImageFormatError
from lineament.images.arrays import bits_in, scaled, to_uint8
from lineament.images.pixels import rows_at_once
from lineament.types import Image

LONGEST_HEADER = 4096
"""Bytes, with its comments."""

_GAP = rb"(?:[ \t\r\n\v\f]|#[^\r\n]*[\r\n])+"
_SIZE = re.compile(rb"P([456])" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})")
_LARGEST = re.compile(_GAP + rb"(\d{1,5})")


class Pnm:
    """A file whose header was read.

    Attributes:
        size_wh: width and height in pixels.
    """

    def __init__(self, data: bytes) -> None:
        """Read the header.

        Raises:
            ImageFormatError: it is none.
        """
        head = data[:LONGEST_HEADER]
        size = _SIZE.match(head)
        largest = None if size is None or size[1] == b"4" else _LARGEST.match(head, size.end())
        end = None if size is None else size.end() if size[1] == b"4" else largest and largest.end()
        if size is None or end is None or not head[end : end + 1].isspace():
            raise ImageFormatError("got a PNM file without a plain header; save it as PNG")
        self._data, self._start = data, end + 1
        self._kind = int(size[1])
        self._largest = 1 if largest is None else int(largest[1])
        self.size_wh = int(size[2]), int(size[3])
        if not 0 < self._largest < 2**16:
            raise ImageFormatError(f"expected values up to 1 to 65535, got up to {self._largest}")

    def pixels(self) -> Image:
        """RGB, (H, W, 3).

        Raises:
            ImageFormatError: no pixels, or values above the largest that its header names.
            ValueError: it is cut short.
        """
        width, height = self.size_wh
        if not width * height:
            raise ImageFormatError("got a PNM file without pixels")
        channels = 3 if self._kind == 6 else 1
        depth = np.dtype(np.uint8 if self._largest < 256 else ">u2")
        row = -(-width // 8) if self._kind == 4 else width * channels * depth.itemsize
        if len(self._data) - self._start < row * height:
            raise ValueError(f"expected {row * height:,} bytes of pixels")
        count = row * height // depth.itemsize
        values: npt.NDArray[Any] = np.frombuffer(self._data, depth, count, self._start).reshape(
            height, -1
        )
        bits = bits_in(values) if self._largest == 65535 else None
        pixels = np.empty((height, width, 3), np.uint8)
        step = rows_at_once(width)
        part: npt.NDArray[Any]
        for top in range(0, height, step):
            strip = values[top : top + step]
            if self._kind == 4:
                black = np.unpackbits(strip, axis=1, count=width)
                part = (1 - black) * np.uint8(255)
            elif self._largest == 255:
                part = strip
            elif self._largest == 65535:
                part = to_uint8(strip, bits)
            else:
                if strip.max() > self._largest:
                    raise ImageFormatError(
                        f"expected values up to {self._largest}, as its header says, got "
                        f"{strip.max()}"
                    )
                part = scaled(strip, self._largest)
            pixels[top : top + step] = part.reshape(len(strip), width, channels)
        return pixels

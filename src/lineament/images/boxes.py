"""Stage 1: what an AVIF or HEIC file is made of, before its decoder walks over it.

Both are boxes in boxes (ISO/IEC 14496-12, 23008-12). Their decoders look for each of n items among
the n that they have: 80,000 items, which are a megabyte, take minutes. And libavif believes what a
file says of its size, and scales whatever comes, so that 64 x 64 pixels may be 16,384 x 16,384 to
decode: the sizes are read where the decoder of AV1 reads them (AV1 Bitstream, 5.5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from lineament.images.plain import MOST_PARTS, too_many

MOST_ITEMS = 5_000
"""Items, properties or references of a file. 48 megapixels of a telephone have about 200."""

MOST_SAMPLES = 20_000
"""Entries of a table of an animation: 11 minutes at 30 pictures a second."""

_CONTAINERS = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"iprp": 0, b"ipco": 0}
_CONTAINERS |= {b"meta": 4}
"""Boxes with boxes in them, and the bytes before those."""
_TABLES = {b"stts": 4, b"stsc": 4, b"stsz": 8, b"stco": 4, b"co64": 4, b"stss": 4, b"elst": 4}
"""Boxes with a table, and where its length stands."""


class Boxes:
    """The boxes of a file, counted.

    Attributes:
        frames_wh: widths and heights that the decoder of AV1 will take, by sequence headers.
    """

    def __init__(self, data: bytes) -> None:
        """Walk over the boxes.

        Raises:
            ImageTooLargeError: too many boxes, items or entries.
            ValueError: it is damaged.
        """
        self._data = data
        self._idat = (0, 0)
        self._places: list[tuple[int, list[tuple[int, int]]]] = []
        self._chunks: list[int] = []
        self._count = 0
        try:
            self._walk(0, len(data), 0)
            self.frames_wh = tuple(self._frames())
        except (struct.error, IndexError) as error:
            raise ValueError("its boxes are damaged") from error

    def _walk(self, at: int, end: int, depth: int) -> None:
        for kind, start, stop in self._boxes(at, end, MOST_PARTS):
            if kind in _CONTAINERS and depth < 8:
                self._walk(start + _CONTAINERS[kind], stop, depth + 1)
            elif kind == b"iinf":
                self._items(start, stop)
            elif kind == b"iref":
                self._references(start, stop)
            elif kind == b"iloc":
                self._locations(start)
            elif kind == b"ipma":
                self._limit(self._unpack("I", start + 4)[0], "items", MOST_ITEMS)
            elif kind == b"idat":
                self._idat = start, stop
            elif kind in _TABLES:
                (count,) = self._unpack("I", start + _TABLES[kind])
                self._limit(count, "pictures of an animation", MOST_SAMPLES)
                if kind in (b"stco", b"co64") and count:
                    form = "I" if kind == b"stco" else "Q"
                    self._chunks += self._unpack(f"{count}{form}", start + 8)

    def _boxes(self, at: int, end: int, most: int) -> Iterator[tuple[bytes, int, int]]:
        """Kind, start and end of what is in each box."""
        count = 0
        while at + 8 <= end:
            (size,), kind = self._unpack("I", at), self._data[at + 4 : at + 8]
            start = at + 8
            if size == 1:
                (size,) = self._unpack("Q", start)
                start += 8
            stop = end if size == 0 else at + size
            if stop < start:
                raise ValueError("its boxes are damaged")
            count += 1
            self._count += 1
            self._limit(count, "boxes", most)
            self._limit(self._count, "boxes", MOST_PARTS)
            yield kind, start, min(stop, end)
            at = stop

    def _items(self, start: int, stop: int) -> None:
        version = self._data[start]
        (count,) = self._unpack("I" if version else "H", start + 4)
        self._limit(count, "items", MOST_ITEMS)
        sum(1 for _ in self._boxes(start + (8 if version else 6), stop, MOST_ITEMS))

    def _references(self, start: int, stop: int) -> None:
        """From an item to others, each of which may be one that there was none of."""
        form = "I" if self._data[start] else "H"
        total = 0
        for _, at, _ in self._boxes(start + 4, stop, MOST_ITEMS):
            total += self._unpack("H", at + struct.calcsize(form))[0]
            self._limit(total, "references between items", MOST_ITEMS)

    def _locations(self, start: int) -> None:
        """Where items lie: pieces of the file, or of its idat box."""
        version = self._data[start]
        sizes = self._unpack("BB", start + 4)
        offset_size, length_size = sizes[0] >> 4, sizes[0] & 15
        base_size, index_size = sizes[1] >> 4, sizes[1] & 15 if version in (1, 2) else 0
        form = "I" if version == 2 else "H"
        (count,) = self._unpack(form, start + 6)
        self._limit(count, "items", MOST_ITEMS)
        at = start + 6 + struct.calcsize(form)
        extents = 0
        for _ in range(count):
            at += struct.calcsize(form)
            method = 0
            if version in (1, 2):
                method = self._unpack("H", at)[0] & 15
                at += 2
            base, at = self._number(at + 2, base_size)
            (pieces,) = self._unpack("H", at)
            at += 2
            extents += pieces
            self._limit(extents, "pieces of items", MOST_ITEMS)
            found = []
            for _ in range(pieces):
                at += index_size
                offset, at = self._number(at, offset_size)
                length, at = self._number(at, length_size)
                found.append((base + offset, length))
            self._places.append((method, found))

    def _frames(self) -> Iterator[tuple[int, int]]:
        parts = 0
        for method, pieces in self._places:
            shift, end = self._idat if method == 1 else (0, len(self._data))
            stream = b"".join(
                self._data[shift + at : min(end, shift + at + length) if length else end]
                for at, length in pieces
            )
            for size_wh in _sequence_sizes(stream):
                parts += 1
                self._limit(parts, "headers", MOST_ITEMS)
                yield size_wh
        for at in self._chunks[:MOST_ITEMS]:
            yield from _sequence_sizes(self._data[at : at + 4096])

    def _number(self, at: int, size: int) -> tuple[int, int]:
        return int.from_bytes(self._data[at : at + size], "big"), at + size

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(f">{form}", self._data, at)

    def _limit(self, count: int, what: str, most: int) -> None:
        if count > most:
            raise too_many(what, most)


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, n: int) -> int:
        self._left -= n
        if self._left < 0:
            raise ValueError("a header is cut short")
        return self._value >> self._left & ((1 << n) - 1)

    def read_uvlc(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros) if zeros < 32 else (1 << 32) - 1


def _sequence_sizes(stream: bytes) -> Iterator[tuple[int, int]]:
    """Largest widths and heights of the AV1 sequences of a stream; none where it is no AV1."""
    at = units = 0
    while at < len(stream) and units < 1_000:
        units += 1
        head = stream[at]
        if head & 0x81:  # forbidden or reserved bits: no AV1
            return
        at += 2 if head & 4 else 1
        size = shift = 0
        if head & 2:
            for _ in range(8):
                byte = stream[at] if at < len(stream) else 0
                at += 1
                size |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
        else:
            size = len(stream) - at
        if head >> 3 & 15 == 1:
            try:
                yield _sequence_size(_Bits(stream[at : at + min(size, 512)]))
            except ValueError:
                return
        at += size


def _sequence_size(bits: _Bits) -> tuple[int, int]:
    """``sequence_header_obu`` up to the size of its frames."""
    bits.read(4)  # profile, still picture
    if bits.read(1):  # a reduced header
        bits.read(5)
    else:
        model_bits = 0
        if bits.read(1):  # timing
            bits.read(64)
            if bits.read(1):
                bits.read_uvlc()
            if bits.read(1):  # decoder model
                model_bits = bits.read(5) + 1
                bits.read(42)
        with_delay = bits.read(1)
        for _ in range(bits.read(5) + 1):  # operating points
            bits.read(12)
            if bits.read(5) > 7:
                bits.read(1)
            if model_bits and bits.read(1):
                bits.read(2 * model_bits + 1)
            if with_delay and bits.read(1):
                bits.read(4)
    widths, heights = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(widths) + 1, bits.read(heights) + 1

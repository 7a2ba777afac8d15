"""Stage 1: which page of a TIFF is the photo.

A TIFF is a chain of directories, each of which describes one picture and may name further ones
(tag 330, SubIFDs). Cameras and editors put a small copy first, for file browsers; raw files (DNG,
NEF, ARW, PEF, ...) are TIFFs whose full picture is what the sensor saw, which nothing here
develops. Adobe, "TIFF Revision 6.0" (1992); "Digital Negative Specification 1.7.1" (2023).

The decoder is given the file with a directory of the photo's page alone, in which nothing stands
but what makes pixels: Pillow reads every tag of every directory, whatever its length, and warns.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lineament.errors import ImageFormatError
from lineament.images.plain import Plain, too_many

MOST_PAGES = 64
"""Directories that are looked at: a chain may be endless, and the photo is among the first."""

MOST_ENTRIES = 512
"""Tags of a directory that are looked at."""

FULL_SHARE = 0.9
"""Of the sensor's width and height: a preview of a raw file that has so much shows all of it."""

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 259, 262
_MAKE, _ORIENTATION, _SAMPLES, _SUB_DIRECTORIES, _SAMPLE_FORMAT = 271, 274, 277, 330, 339
_DNG_VERSION = 50706
_NEEDED = frozenset(
    {_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _MAKE, _ORIENTATION}
    | {_SAMPLES, _SUB_DIRECTORIES, _SAMPLE_FORMAT, _DNG_VERSION}
)
MOST_STRIPS = 70_000
"""Strips or tiles: a file whose rows are strips has as many as it is high."""

MOST_SCANS = 20
"""Of the JPEG in a strip or tile."""

_SINGLE = frozenset({256, 257, 259, 262, 266, 277, 278, 284, 292, 293, 317, 322, 323, 531})
"""Tags that make pixels and have one value; the others: bits, places and lengths of strips and of
tiles, colors, kinds of extra samples, formats of samples, tables of a JPEG, coefficients,
subsampling, black and white."""
_SEVERAL = {258: 8, 273: MOST_STRIPS, 279: MOST_STRIPS, 320: 3 << 16, 324: MOST_STRIPS}
_SEVERAL |= {325: MOST_STRIPS, 338: 8, 339: 8, 347: 1 << 16, 529: 3, 530: 2, 532: 6}

_READ = {1: "plain", 2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 7: "JPEG", 8: "deflate"}
_READ |= {32946: "deflate", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}
"""Compressions that are read. Not the JPEG of before 1995 (6), which nobody specified in full."""
_PLAIN, _JPEG = 1, 7
_YCBCR = 6

_SENSOR = (32803, 34892)
"""Photometric interpretations of what a sensor saw: a color filter array, linear raw."""
_RAW_COMPRESSION = (32767, 34713, 65535, 262, 65000)
"""Sony ARW, Nikon NEF, Pentax PEF, Kodak: raw whatever else the directory says."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 13: 4, 16: 8, 18: 8}
"""Bytes of a value, by its type: the types that needed tags have."""
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_RAW_NAMES = {"nikon": "Nikon NEF", "sony": "Sony ARW", "pentax": "Pentax PEF"}
_RAW_NAMES |= {"samsung": "Samsung SRW", "epson": "Epson ERF", "hasselblad": "Hasselblad 3FR"}


@dataclass(frozen=True, slots=True)
class Page:
    """One directory of a TIFF.

    Attributes:
        offset: where it stands.
        size_wh: width and height in pixels, as they are stored; (0, 0) where it does not say.
        reduced: whether it is marked as a smaller copy of another one, or as a mask.
        sensor: whether it is what a sensor saw.
        floats: whether its values are floats.
        samples: values of a pixel.
        orientation: EXIF's, 1 to 8; None when it does not say.
    """

    offset: int
    size_wh: tuple[int, int]
    reduced: bool
    sensor: bool
    floats: bool
    samples: int
    orientation: int | None


class Tiff:
    """The directories of a TIFF's bytes. What is damaged is left out: the decoder will say so.

    Attributes:
        pages: in the order of the chain, each before those that it names.
        raw: what kind of raw file it is, in words; None when it is none.
    """

    def __init__(self, data: bytes) -> None:
        """Read the directories; no pixels."""
        self._data = data
        self._order = "<" if data.startswith(b"II") else ">"
        self._big = data[2:4] in (b"+\0", b"\0+")
        self._make, self._is_dng = "", False
        self.pages = tuple(self._walk())
        named = next((name for make, name in _RAW_NAMES.items() if make in self._make), "TIFF")
        is_raw = self._is_dng or any(page.sensor for page in self.pages)
        self.raw = ("DNG" if self._is_dng else named) if is_raw else None

    def _walk(self) -> Iterator[Page]:
        seen: set[int] = set()
        at = 8 if self._big else 4
        pending = [self._number(at, "Q" if self._big else "I")]
        while pending and len(seen) < MOST_PAGES:
            offset = pending.pop()
            if not offset or offset in seen:
                continue
            seen.add(offset)
            try:
                tags, following = self._directory(offset)
            except struct.error:
                continue
            if following:
                pending.append(following)
            pending += reversed(tags.get(_SUB_DIRECTORIES, []))
            if _DNG_VERSION in tags:
                self._is_dng = True
            if _WIDTH in tags:
                yield self._page(offset, tags)

    def _page(self, offset: int, tags: dict[int, list[int]]) -> Page:
        def first(tag: int, default: int) -> int:
            values = tags.get(tag)
            return values[0] if values else default

        subfile = first(_SUBFILE, 0)
        return Page(
            offset=offset,
            size_wh=(first(_WIDTH, 0), first(_HEIGHT, 0)),
            reduced=bool(subfile & 0b101) or first(_OLD_SUBFILE, 1) == 2,
            sensor=first(_PHOTOMETRIC, 0) in _SENSOR or first(_COMPRESSION, 1) in _RAW_COMPRESSION,
            floats=first(_SAMPLE_FORMAT, 1) == 3,
            samples=first(_SAMPLES, 1),
            orientation=first(_ORIENTATION, 0) or None,
        )

    def _directory(self, offset: int) -> tuple[dict[int, list[int]], int]:
        """The whole numbers of a directory's tags, and where the next one stands."""
        head, entry = ("Q", 20) if self._big else ("H", 12)
        count = self._number(offset, head)
        start = offset + struct.calcsize(head)
        tags: dict[int, list[int]] = {}
        for at in range(start, start + entry * min(count, MOST_ENTRIES), entry):
            with contextlib.suppress(struct.error):  # of tags that point out of the file
                self._read_tag(at, tags)
        following = start + entry * count
        return tags, self._number(following, "Q" if self._big else "I", 0)

    def _read_tag(self, at: int, tags: dict[int, list[int]]) -> None:
        tag, kind = struct.unpack_from(self._order + "HH", self._data, at)
        if tag not in _NEEDED:
            return
        amount = self._number(at + 4, "Q" if self._big else "I")
        place = at + (12 if self._big else 8)
        if _SIZES.get(kind, 1) * amount > (8 if self._big else 4):
            place = self._number(place, "Q" if self._big else "I")
        if tag == _MAKE:
            text = bytes(self._data[place : place + min(amount, 64)])
            self._make = self._make or text.decode("ascii", "replace").lower()
        elif kind in _WHOLE_NUMBERS and amount:
            form = f"{self._order}{min(amount, MOST_PAGES)}{_WHOLE_NUMBERS[kind]}"
            tags[tag] = list(struct.unpack_from(form, self._data, place))

    def _number(self, at: int, kind: str, default: int | None = None) -> int:
        try:
            return int(struct.unpack_from(self._order + kind, self._data, at)[0])
        except struct.error:
            if default is None:
                raise
            return default

    def plain(self, page: Page) -> Plain:
        """The same file with a directory of that page alone, and in it what makes pixels.

        Raises:
            ValueError: it is damaged.
            ImageFormatError: compressed in a way that is not read.
            ImageTooLargeError: too many strips, or scans of a JPEG in them.
        """
        head, entry = ("Q", 20) if self._big else ("H", 12)
        number = "Q" if self._big else "I"
        room = 8 if self._big else 4
        count = self._number(page.offset, head)
        start = page.offset + struct.calcsize(head)
        entries: dict[int, bytes] = {}
        values: dict[int, list[int]] = {}
        for at in range(start, start + entry * min(count, MOST_ENTRIES), entry):
            tag, kind = struct.unpack_from(self._order + "HH", self._data, at)
            if tag in entries or not (tag in _SINGLE or tag in _SEVERAL) or kind not in _SIZES:
                continue
            amount = self._number(at + 4, number)
            place = at + 4 + room
            if _SIZES[kind] * amount > room:
                place = self._number(place, number)
            amount = min(amount, 1) if tag in _SINGLE else amount
            most = _SEVERAL.get(tag, 1)
            if amount > most and most == MOST_STRIPS:
                raise too_many("strips or tiles", most)
            if not 0 < amount <= most or place + _SIZES[kind] * amount > len(self._data):
                raise ValueError(f"tag {tag} is damaged")
            entries[tag] = struct.pack(self._order + "HH" + number, tag, kind, amount)
            if kind in _WHOLE_NUMBERS:
                form = f"{self._order}{amount}{_WHOLE_NUMBERS[kind]}"
                values[tag] = list(struct.unpack_from(form, self._data, place))
            if _SIZES[kind] * amount > room:
                entries[tag] += struct.pack(self._order + number, place)
            else:
                held = self._data[place : place + _SIZES[kind] * amount]
                entries[tag] += held.ljust(room, b"\0")
        flaw = self._flaw(values)
        directory = struct.pack(self._order + head, len(entries))
        directory += b"".join(entries[tag] for tag in sorted(entries)) + bytes(room)
        at = 8 if self._big else 4
        place = len(self._data) + len(self._data) % 2
        data = b"".join(
            (
                self._data[:at],
                struct.pack(self._order + number, place),
                self._data[at + room :],
                bytes(len(self._data) % 2),
                directory,
            )
        )
        pixels = max(1, page.size_wh[0] * page.size_wh[1])
        return Plain(data, page.size_wh, held_bytes=_held_bytes(values) / pixels, flaw=flaw)

    def _flaw(self, values: dict[int, list[int]]) -> str:
        """What is wrong with the strips or tiles; "" when nothing is."""
        compression = values.get(_COMPRESSION, [_PLAIN])[0]
        if compression not in _READ:
            raise ImageFormatError(
                f"got a TIFF whose compression ({compression}) is not read; save it as PNG"
            )
        places = values.get(324) or values.get(273) or []
        lengths = values.get(325) or values.get(279) or []
        if compression == _PLAIN:
            row, high, height = _strip(values)
            lengths = [row * high] * len(places)
            if 322 not in values and high:  # the last strip may have fewer rows
                across = -(-height // high)
                lengths = [row * min(high, height - k % across * high) for k in range(len(places))]
        if any(place + n > len(self._data) for place, n in zip(places, lengths, strict=False)):
            return "it is cut short"
        if compression != _PLAIN and sum(lengths) > 2 * len(self._data) + (1 << 20):
            return "its strips lie in one another"
        if compression == _JPEG:
            for place, length in zip(places, lengths, strict=False):
                if self._data.count(b"\xff\xda", place, place + length) > MOST_SCANS:
                    raise too_many("scans in a strip", MOST_SCANS)
        return ""


def _strip(values: dict[int, list[int]]) -> tuple[int, int, int]:
    """Bytes of a row of a strip or tile, rows of it, and rows of the picture."""
    width, height = values.get(_WIDTH, [0])[0], values.get(_HEIGHT, [0])[0]
    wide, high = width, min(height, values.get(278, [height])[0])
    if 322 in values:
        wide, high = values[322][0], values.get(323, [0])[0]
    samples = values.get(_SAMPLES, [1])[0]
    bits = max(values.get(258, [1])) * (1 if values.get(284, [1])[0] == 2 else samples)
    return -(-wide * bits // 8), high, height


def _held_bytes(values: dict[int, list[int]]) -> int:
    """Of the strip or tile that the decoder holds beside the picture: all of it, in one strip."""
    row, high, _ = _strip(values)
    if values.get(_COMPRESSION, [_PLAIN])[0] == _PLAIN:
        return 0
    if values.get(_PHOTOMETRIC, [0])[0] == _YCBCR:
        row = max(row, 4 * values.get(322, values.get(_WIDTH, [0]))[0])  # libtiff makes RGBA of it
    return row * high


def photo_in(data: bytes) -> Plain:
    """The file with its photo as the only page.

    Args:
        data: of a TIFF.

    Returns:
        The file; its orientation is the page's, else that of the first one.

    Raises:
        ValueError: it is damaged.
        ImageFormatError: a raw file without a full-size preview, reduced copies only, or of a kind
            that is not read.
        ImageTooLargeError: of too many parts.
    """
    try:
        tiff = Tiff(data)
        if not tiff.pages:
            raise ValueError("it has no page")
        page = _chosen(tiff)
        if page.floats and page.samples > 1:
            raise ImageFormatError(
                f"got a float TIFF of {page.samples} channels; save it with 8 or 16 bits"
            )
        plain = tiff.plain(page)
    except struct.error as error:
        raise ValueError("it is cut short") from error
    orientation = page.orientation or tiff.pages[0].orientation or 1
    return replace(plain, orientation=orientation)


def _chosen(tiff: Tiff) -> Page:
    pages = tiff.pages
    if tiff.raw is not None:
        sensor = [page.size_wh for page in pages if page.sensor]
        previews = [page for page in pages if not page.sensor]
        largest = max(previews, key=lambda page: page.size_wh[0] * page.size_wh[1], default=None)
        if largest is not None and sensor and _shows_all(largest.size_wh, sensor):
            return largest
        raise ImageFormatError(
            f"got a raw file ({tiff.raw}), of which nothing but a small preview could be "
            "shown; convert it to JPEG or TIFF"
        )
    for page in pages:
        if not page.reduced:
            return page
    width, height = pages[0].size_wh
    raise ImageFormatError(
        f"got a TIFF whose pages are all marked as reduced copies or masks (the first is "
        f"{width} x {height}); save the full picture as its first page"
    )


def _shows_all(size_wh: tuple[int, int], sensor: list[tuple[int, int]]) -> bool:
    """Whether a preview is as large as the largest picture of the sensor, in either direction."""
    longest, shortest = max((max(wh), min(wh)) for wh in sensor)
    return max(size_wh) >= FULL_SHARE * longest and min(size_wh) >= FULL_SHARE * shortest

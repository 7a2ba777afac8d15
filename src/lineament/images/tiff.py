"""Stage 1: which page of a TIFF is the photo.

A TIFF is a chain of directories, each of which describes one picture and may name further ones
(tag 330, SubIFDs). Cameras and editors put a small copy first, for file browsers; raw files (DNG,
NEF, ARW, PEF, ...) are TIFFs whose full picture is what the sensor saw, which nothing here
develops. Adobe, "TIFF Revision 6.0" (1992); "Digital Negative Specification 1.7.1" (2023).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lineament.errors import ImageFormatError

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
_SENSOR = (32803, 34892)
"""Photometric interpretations of what a sensor saw: a color filter array, linear raw."""
_RAW_COMPRESSION = (32767, 34713, 65535, 262, 65000)
"""Sony ARW, Nikon NEF, Pentax PEF, Kodak: raw whatever else the directory says."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
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

    def starting_at(self, page: Page) -> bytes:
        """The same file with that page first, for a decoder that knows no other."""
        at, kind = (8, "Q") if self._big else (4, "I")
        size = struct.calcsize(kind)
        offset = struct.pack(self._order + kind, page.offset)
        return self._data[:at] + offset + self._data[at + size :]


def photo_in(data: bytes) -> tuple[bytes, int | None]:
    """The file with its photo as the first page, and how that page is turned.

    Args:
        data: of a TIFF.

    Returns:
        ``data`` itself where the first page is the photo, or where nothing can be told; EXIF's
        orientation, None where the page itself says it.

    Raises:
        ImageFormatError: a raw file without a full-size preview, or reduced copies only.
    """
    try:
        tiff = Tiff(data)
    except struct.error:
        return data, None
    if not tiff.pages:
        return data, None
    page = _chosen(tiff)
    if page.floats and page.samples > 1:
        raise ImageFormatError(
            f"got a float TIFF of {page.samples} channels; save it with 8 or 16 bits"
        )
    if page is tiff.pages[0]:
        return data, None
    orientation = None if page.orientation is not None else tiff.pages[0].orientation
    return tiff.starting_at(page), orientation


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

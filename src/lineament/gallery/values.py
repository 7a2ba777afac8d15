"""The values of a gallery that may come from others, and what each of them has to be.

One schema for all doors: enrollment, ``annotate`` and ``rename`` refuse with it what does not fit
(OptionError), ``import_`` does so entry by entry, and what stands in a database that somebody else
made is read with it: what does not fit there is damaged, and the rest of the gallery works.

What is let in can be listed, shown, exported, imported again and embedded anew.
"""

from __future__ import annotations

import json
import math
import struct
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, TypeGuard

import msgspec
import numpy as np

from lineament.errors import LineamentError, OptionError
from lineament.text import bytes_unless_utf8, in_short, is_shown, is_visible, printable
from lineament.types import Boxed, Face, Image, Quality

LONGEST_NAME = 200
"""Characters, after NFC; 800 bytes at the most."""
MOST_METADATA = 64 << 10
"""Bytes of JSON."""
MOST_KEYS, LONGEST_KEY, DEEPEST = 1_000, 200, 32
"""Of metadata: keys of the whole, characters of a key, lists and objects within each other."""
INTEGERS = range(-(1 << 63), 1 << 64)
"""What readers of JSON hold exactly."""
MOST_REJECTIONS = 100
"""Negative examples of one person."""
ONCE_KEPT_S = 86_400.0
"""Seconds for which a gallery remembers the token of a request (``Gallery.enroll``, ``once``)."""

LONGEST_SOURCE = 32 << 10
"""Bytes of a photo's name."""
EARLIEST, LATEST = -62135596800 + 2 * 86400, 253402300799 - 2 * 86400
"""Seconds since 1970: the years 1 to 9999, wherever on Earth they are shown."""
FARTHEST_PX = 1_000_000
"""Of a box or a landmark from the photo's corner."""
LONGEST_EMBEDDING = 1e9
"""Before it was scaled to 1."""
MOST_CROP_PX, MOST_CROP = 512, 1 << 20
"""Of a kept face: pixels of a side, bytes of PNG."""


# --- names ----------------------------------------------------------------------------------------


def normal_name(name: str) -> str:
    """A name in the form in which it is kept and looked for: NFC, no white space at its ends.

    Raises:
        OptionError: it is no text, or longer than any name.
    """
    if not isinstance(name, str):
        raise OptionError(f"expected text, got {type(name).__name__}", option="name")
    # NFC takes time with the square of the marks on one letter; it shortens to a quarter at most.
    if len(name) > 4 * LONGEST_NAME:
        raise _too_long(len(name))
    return unicodedata.normalize("NFC", name).strip()


def checked_name(name: str) -> str:
    """The name, as ``normal_name``, of somebody who is new.

    Anything that can be seen and does not act, in any script. Characters that nobody sees are
    refused, since two people's names could differ by them alone; joiners and variation selectors
    are taken where a script or an emoji needs them. Letters that look alike are not told apart.

    Raises:
        OptionError: it is no such name; the message shows it escaped.
    """
    normal = normal_name(name)
    if not normal:
        raise OptionError(
            "expected at least one character that is no white space, got none", option="name"
        )
    if len(normal) > LONGEST_NAME:
        raise _too_long(len(normal))
    bad = dict.fromkeys(c for at, c in enumerate(normal) if not is_shown(normal, at))
    if bad:
        shown = "".join(ascii(c)[1:-1] if c in bad else c for c in normal)
        raise OptionError(
            f"expected no control characters and none that nobody sees, got "
            f"{', '.join(f'U+{ord(c):04X}' for c in [*bad][:8])} in '{shown}': leave them out",
            option="name",
        )
    if not any(map(is_visible, normal)):
        raise OptionError(
            f"expected at least one letter, figure or sign, got "
            f"'{''.join(ascii(c)[1:-1] for c in normal)}'",
            option="name",
        )
    return normal


def _too_long(length: int) -> OptionError:
    return OptionError(
        f"expected at most {LONGEST_NAME} characters, got {length:,}: shorten it", option="name"
    )


# --- metadata -------------------------------------------------------------------------------------


def checked_metadata(metadata: Mapping[str, Any]) -> str:
    """Metadata as JSON.

    Raises:
        OptionError: they are no plain values by name, or too many, too long, too deep; numbers that
            are not finite, or whole ones beyond 64 bits; text that is no Unicode. The message names
            the key.
    """
    if not isinstance(metadata, Mapping) or not all(isinstance(k, str) for k in metadata):
        raise OptionError(
            f"expected a mapping of names to values, got {in_short(metadata)}", option="metadata"
        )
    for key, value in metadata.items():
        if not key:
            raise OptionError("expected names of one character or more", option="metadata")
        problem = _problem_of(key, value)
        if problem is not None:
            raise OptionError(f"{problem} (key {in_short(key)})", option="metadata")
    return written(metadata)


def written(metadata: Mapping[str, Any]) -> str:
    """Metadata that were checked, one by one, as JSON. OptionError: they are too many together."""
    if len(metadata) > MOST_KEYS:
        raise OptionError(
            f"expected at most {MOST_KEYS:,} keys, got {len(metadata):,}", option="metadata"
        )
    try:
        text = json.dumps(dict(metadata), ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise OptionError(f"expected plain values for JSON: {error}", option="metadata") from error
    if size > MOST_METADATA:
        raise OptionError(
            f"expected at most {MOST_METADATA:,} bytes, got {size:,}", option="metadata"
        )
    return text


def _problem_of(key: str, value: Any) -> str | None:
    """Why a key and its value are no metadata; looks at no more than would be taken."""
    left = MOST_METADATA
    open_: list[Iterator[Any]] = [iter([key, value])]
    while open_:
        one = next(open_[-1], open_)
        if one is open_:
            open_.pop()
            continue
        left -= 1
        if isinstance(one, str):
            left -= len(one)
            if bytes_unless_utf8(one) is not None or not _is_unicode(one):
                return f"expected text in Unicode, got {in_short(one)}"
        elif isinstance(one, Mapping):
            if not all(isinstance(each, str) for each in one):
                return f"expected names of values, got {in_short(one)}"
            if any(len(each) > LONGEST_KEY for each in one):
                return f"expected keys of at most {LONGEST_KEY} characters"
            open_.append(iter([*one.keys(), *one.values()]))
        elif isinstance(one, (list, tuple)):
            open_.append(iter(one))
        elif isinstance(one, float) and not math.isfinite(one):
            return f"expected a finite number, got {one}"
        elif isinstance(one, int) and one not in INTEGERS:
            return (
                f"expected a whole number of at most 64 bits, got {in_short(one)}: write it as text"
            )
        elif one is not None and not isinstance(one, (bool, int, float)):
            return f"expected text, a number, true, false, a list or an object, got {in_short(one)}"
        if len(open_) > DEEPEST:
            return f"expected at most {DEEPEST} lists and objects within each other"
        if left < 0:
            return f"expected at most {MOST_METADATA:,} bytes"
    return None if len(key) <= LONGEST_KEY else f"expected at most {LONGEST_KEY} characters"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_METADATA = msgspec.json.Decoder(dict[str, Any])


def read_metadata(text: object) -> dict[str, Any] | None:
    """Metadata as they stand in a database; None for what is no JSON object."""
    try:
        return _METADATA.decode(text)  # type: ignore[arg-type]
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError):
        return None


# --- times, photos --------------------------------------------------------------------------------


def checked_time(seconds: object) -> float:
    """Seconds since 1970 that can be shown as a date. OptionError: they cannot."""
    if not _is_number(seconds) or not EARLIEST <= seconds <= LATEST:
        raise OptionError(
            f"expected seconds since 1970 in the years 1 to 9999, got {in_short(seconds)}"
        )
    return float(seconds)


def read_time(seconds: object) -> float:
    """A time as it stands in a database; 1970 for what is none."""
    try:
        return checked_time(seconds)
    except OptionError:
        return 0.0


def checked_source(name: object) -> str:
    """The name of a photo. OptionError: it is none."""
    if not isinstance(name, str):
        raise OptionError(f"expected the name of a photo, got {in_short(name)}", option="source")
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > LONGEST_SOURCE or "\0" in name:
        got = "a NUL character" if "\0" in name else f"{size:,}"
        raise OptionError(
            f"expected the name of a photo, at most {LONGEST_SOURCE:,} bytes, got {got}",
            option="source",
        )
    return name


def checked_bytes(value: object, length: int, what: str) -> bytes:
    """Bytes of a certain number. OptionError: there are more, or fewer, or it is something else."""
    if not isinstance(value, bytes) or len(value) != length:
        got = f"{len(value):,}" if isinstance(value, bytes) else in_short(value)
        raise OptionError(f"expected {length:,} bytes, got {got}", option=what)
    return value


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


# --- what was seen of a face ----------------------------------------------------------------------


class Seen(msgspec.Struct, frozen=True):
    """What was seen of a face when it was enrolled, as it stands in ``samples.face`` in JSON.

    Attributes:
        norm: length of the embedding before scaling.
        box_xyxy, score, landmarks_xy, turned_deg, boxed: of the ``Face``; the first two are None
            when only an embedding was enrolled.
        quality: of it, where it was measured.
    """

    norm: float
    box_xyxy: tuple[float, float, float, float] | None = None
    score: float | None = None
    landmarks_xy: list[list[float]] | None = None
    turned_deg: int = 0
    boxed: Boxed | None = None
    quality: Quality | None = None

    @property
    def face(self) -> Face | None:
        """Where it was in the photo."""
        if self.box_xyxy is None or self.score is None:
            return None
        return Face(self.box_xyxy, self.score, self.landmarks_xy, self.turned_deg, self.boxed)  # type: ignore[arg-type]


_SEEN = msgspec.json.Decoder(Seen)
_QUALITY: Mapping[str, tuple[float, float]] = {
    "size_px": (0, FARTHEST_PX),
    "sharpness": (0, 1e6),
    "yaw_deg": (-180, 180),
    "pitch_deg": (-180, 180),
    "brightness": (0, 1),
    "contrast": (0, 1),
    "norm": (0, LONGEST_EMBEDDING),
    "roll_deg": (-180, 180),
    "visible_share": (0, 1),
    "recognizability": (0, 1),
}
"""Within which the measures lie."""
_ALWAYS = {"size_px", "brightness", "contrast"}


def decode_seen(text: str | bytes) -> Seen:
    """Read the column.

    Raises:
        OptionError: it is no such JSON, or a number is beyond its bounds; the message names it.
    """
    try:
        seen = _SEEN.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError, TypeError) as error:
        raise OptionError(printable(str(error))[:200], option="face") from error
    check_seen(seen.norm, seen.face, seen.quality)
    if (seen.box_xyxy is None) != (seen.score is None):
        raise OptionError("expected a box and a score, or neither", option="face")
    return seen


def check_new(norm: float, face: Face | None, quality: Quality | None, crop: Image | None) -> None:
    """See that what somebody enrolls is within bounds. OptionError: it is not."""
    check_seen(norm, face, quality)
    if crop is not None and max(crop.shape) > MOST_CROP_PX:
        raise OptionError(
            f"expected a crop of at most {MOST_CROP_PX} pixels a side, got {crop.shape}",
            option="crop",
        )


def check_seen(norm: float, face: Face | None, quality: Quality | None) -> None:
    """See that what was seen of a face is within bounds. OptionError: it is not."""
    if not (_is_number(norm) and 0 < norm <= LONGEST_EMBEDDING):
        raise OptionError(
            f"expected a number above 0, at most {LONGEST_EMBEDDING:g}, got {in_short(norm)}",
            option="norm",
        )
    if face is not None:
        points = (
            [face.box_xyxy] if face.landmarks_xy is None else [face.box_xyxy, face.landmarks_xy]
        )
        farthest = max(float(np.abs(one).max()) for one in points)
        if not farthest <= FARTHEST_PX:
            raise OptionError(
                f"expected pixels, at most {FARTHEST_PX:,}, got {farthest:g}", option="box_xyxy"
            )
    if quality is None:
        return
    for name, value in asdict(quality).items():
        low, high = _QUALITY[name]
        missing = value is None and name not in _ALWAYS
        if not missing and not (_is_number(value) and low <= value <= high):
            raise OptionError(
                f"{name}: expected a number from {low:g} to {high:g}, got {in_short(value)}",
                option="quality",
            )


# --- kept faces -----------------------------------------------------------------------------------

_PNG = b"\x89PNG\r\n\x1a\n"
_HARMLESS = {b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"sBIT", b"bKGD", b"tIME", b"tEXt"}


def check_crop(png: bytes) -> tuple[int, int]:
    """See that it is a kept face as this package writes them, and whole; its width and height.

    PNG of three channels of 8 bits, not interlaced, of at most ``MOST_CROP_PX`` a side. No decoder
    is needed, and no more memory than the pixels take.

    Raises:
        OptionError: it is something else, or damaged.
    """
    if not isinstance(png, bytes) or not png.startswith(_PNG):
        raise OptionError("expected a picture in PNG, got something else", option="crop")
    if len(png) > MOST_CROP:
        raise OptionError(
            f"expected a picture of at most {MOST_CROP:,} bytes, got {len(png):,}", option="crop"
        )
    chunks = list(_chunks(png))
    names = [name for name, _ in chunks]
    if names[:1] != [b"IHDR"] or names[-1:] != [b"IEND"] or len(chunks[0][1]) != 13:
        raise _damaged_crop()
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    if kind != [8, 2, 0, 0, 0] or not (0 < width <= MOST_CROP_PX and 0 < height <= MOST_CROP_PX):
        raise OptionError(
            f"expected three channels of 8 bits, at most {MOST_CROP_PX} pixels a side, got "
            f"{width:,} x {height:,} of another kind",
            option="crop",
        )
    if not set(names[1:-1]) <= {b"IDAT", *_HARMLESS}:
        raise _damaged_crop()
    row = 1 + 3 * width
    try:
        unpack = zlib.decompressobj()
        packed = b"".join(data for name, data in chunks if name == b"IDAT")
        pixels = unpack.decompress(packed, row * height + 1)
    except zlib.error as error:
        raise _damaged_crop() from error
    if len(pixels) != row * height or not unpack.eof or max(pixels[::row]) > 4:
        raise _damaged_crop()
    return width, height


def _chunks(png: bytes) -> Iterable[tuple[bytes, bytes]]:
    at = len(_PNG)
    while at < len(png):
        if at + 12 > len(png):
            raise _damaged_crop()
        length, name = struct.unpack_from(">I4s", png, at)
        end = at + 8 + length
        if end + 4 > len(png) or zlib.crc32(png[at + 4 : end]) != int.from_bytes(
            png[end : end + 4]
        ):
            raise _damaged_crop()
        yield name, png[at + 8 : end]
        at = end + 4


def _damaged_crop() -> LineamentError:
    return OptionError("expected a picture in PNG, got a damaged one", option="crop")

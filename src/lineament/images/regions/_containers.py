"""Where XMP stands in a JPEG, PNG, WebP or TIFF file; and the same file with another packet.

What is written has every other byte of the file as it was, but for lengths that a container keeps
of itself. Sources: XMP Specification Part 3 (Adobe, 2020), 1.1; PNG, 11.3.3; WebP Container
Specification.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lineament.errors import ImageFormatError, LineamentError, OptionError
from lineament.images.formats import sniff
from lineament.images.plain import MOST_PARTS, exif_orientation, plain_jpeg, plain_png
from lineament.images.regions._xml import MOST_BYTES
from lineament.images.tiff import photo_in

_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED: Final = b"http://ns.adobe.com/xmp/extension/\0"
_KEYWORD: Final = b"XML:com.adobe.xmp\0"
_MOST_IN_SEGMENT: Final = 65533 - len(_XMP)
READ: Final = ("JPEG", "PNG", "WebP", "TIFF")
WRITTEN: Final = ("JPEG", "PNG", "WebP")


@dataclass(frozen=True, slots=True)
class Held:
    """What a file says besides its pixels.

    Attributes:
        kind: "JPEG", "PNG", "WebP" or "TIFF".
        size_wh: width and height in pixels, as they are stored.
        orientation: EXIF's, 1 to 8.
        packet: XMP; b"" where there is none.
        extended: of a JPEG: what of it did not fit into the packet, by its name there.
    """

    kind: str
    size_wh: tuple[int, int]
    orientation: int
    packet: bytes = b""
    extended: tuple[tuple[str, bytes], ...] = ()

    @property
    def sideways(self) -> bool:
        """Whether width and height change places when it is turned upright."""
        return 5 <= self.orientation <= 8


def held_in(data: bytes, name: str) -> Held:
    """Read a file.

    Raises:
        ImageFormatError: of another kind, or damaged.
    """
    kind = sniff(data) if data else "nothing"
    if kind not in READ:
        raise ImageFormatError(f"{name}: expected {', '.join(READ)}, got {kind}")
    try:
        if kind == "JPEG":
            return _of_jpeg(data)
        if kind == "PNG":
            plain = plain_png(data)
            texts = [_text(data[a:b]) for kind_, a, b in _chunks(data) if kind_ == b"iTXt"]
            packet = next((text for text in texts if text is not None), b"")
            return Held(kind, plain.size_wh or (1, 1), _turn(plain.orientation), packet)
        return _of_webp(data) if kind == "WebP" else _of_tiff(data)
    except LineamentError:
        raise
    except (struct.error, IndexError, ValueError, zlib.error, OSError, SyntaxError) as error:
        raise ImageFormatError(
            f"{name}: the {kind} image is broken or cut short ({str(error)[:200]})"
        ) from error


def _turn(orientation: int | None) -> int:
    """An orientation that there is; others are taken for 1, as the decoder does."""
    return orientation if orientation is not None and 1 <= orientation <= 8 else 1


def with_packet(data: bytes, packet: bytes, name: str) -> bytes:
    """The file with another packet in the place of its own, or with one where it has none.

    Raises:
        OptionError: it is of a kind that is not written, or the packet is too long for it.
        ImageFormatError: it is damaged.
    """
    kind = sniff(data) if data else "nothing"
    if kind not in WRITTEN:
        raise OptionError(
            f"{name}: regions are written into {', '.join(WRITTEN)} only, got {kind}: write a "
            "sidecar"
        )
    try:
        make = {"JPEG": _into_jpeg, "PNG": _into_png, "WebP": _into_webp}[kind]
        return make(data, packet, name)
    except LineamentError:
        raise
    except (struct.error, IndexError, ValueError) as error:
        raise ImageFormatError(f"{name}: the {kind} image is broken or cut short") from error


# --- JPEG -----------------------------------------------------------------------------------------


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment before the picture itself."""
    at = 2
    for _ in range(MOST_PARTS):
        if data[at] != 0xFF:
            raise ValueError("no marker where one should be")
        while data[at + 1] == 0xFF:
            at += 1
        marker = data[at + 1]
        if marker in (0xDA, 0xD9):
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(data):
            raise ValueError("a segment is cut short")
        yield marker, at, end
        at = end


def _of_jpeg(data: bytes) -> Held:
    plain = plain_jpeg(data)
    packet = b""
    parts: dict[str, dict[int, bytes]] = {}
    totals: dict[str, int] = {}
    for marker, at, end in _segments(data):
        body = data[at + 4 : end]
        if marker != 0xE1:
            continue
        if body.startswith(_XMP) and not packet:
            packet = body[len(_XMP) :]
        elif body.startswith(_EXTENDED):
            head = body[len(_EXTENDED) :]
            digest = head[:32].decode("latin-1").upper()
            total, offset = struct.unpack_from(">II", head, 32)
            if total > MOST_BYTES:
                raise ValueError("its extended XMP is too long")
            totals[digest] = total
            parts.setdefault(digest, {})[offset] = head[40:]
    extended = tuple(
        (digest, whole)
        for digest, pieces in parts.items()
        if (whole := _joined(pieces, totals[digest], digest)) is not None
    )
    return Held("JPEG", plain.size_wh or (1, 1), _turn(plain.orientation), packet, extended)


def _joined(pieces: dict[int, bytes], total: int, digest: str) -> bytes | None:
    """The pieces of extended XMP, if all are there and their digest is what it should be."""
    whole = b""
    for offset in sorted(pieces):
        if offset != len(whole):
            return None
        whole += pieces[offset]
    if len(whole) != total:
        return None
    found = hashlib.md5(whole, usedforsecurity=False).hexdigest()
    return whole if found.upper() == digest else None


def _into_jpeg(data: bytes, packet: bytes, name: str) -> bytes:
    if len(packet) > _MOST_IN_SEGMENT:
        raise OptionError(
            f"{name}: the XMP would be {len(packet):,} bytes, a JPEG holds {_MOST_IN_SEGMENT:,} in "
            "one piece: write a sidecar"
        )
    body = _XMP + packet
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    place = 2
    for marker, at, end in _segments(data):
        content = data[at + 4 : end]
        if marker == 0xE1 and content.startswith(_XMP):
            return data[:at] + segment + data[end:]
        if marker == 0xE0 or (marker == 0xE1 and content.startswith(b"Exif\0")):
            place = end
    return data[:place] + segment + data[place:]


# --- PNG ------------------------------------------------------------------------------------------


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each chunk."""
    at = 8
    for _ in range(MOST_PARTS):
        if at + 12 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            raise ValueError("a chunk is cut short")
        yield data[at + 4 : at + 8], at + 8, at + 8 + length
        at += 12 + length


def _text(content: bytes) -> bytes | None:
    """The XMP in an iTXt chunk; None: it is another text."""
    if not content.startswith(_KEYWORD):
        return None
    packed = content[len(_KEYWORD)]
    at = len(_KEYWORD) + 2
    for _ in range(2):  # language, translated keyword
        at = content.index(b"\0", at) + 1
    if not packed:
        return content[at:]
    unpacked = zlib.decompressobj()
    text = unpacked.decompress(content[at:], MOST_BYTES)
    if unpacked.unconsumed_tail:
        raise ValueError("its XMP is too long")
    return text


def _into_png(data: bytes, packet: bytes, name: str) -> bytes:
    content = _KEYWORD + b"\0\0\0\0" + packet
    made = struct.pack(">I", len(content)) + b"iTXt" + content
    made += struct.pack(">I", zlib.crc32(b"iTXt" + content))
    place = None
    for kind, start, end in _chunks(data):
        if kind == b"iTXt" and data[start:end].startswith(_KEYWORD):
            return data[: start - 8] + made + data[end + 4 :]
        if kind == b"IHDR":
            place = end + 4
    if place is None:
        raise ValueError("it has no head")
    return data[:place] + made + data[place:]


# --- WebP -----------------------------------------------------------------------------------------


def _pieces(data: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start and end of the content, and start of the next, of each chunk."""
    (size,) = struct.unpack_from("<I", data, 4)
    at, stop = 12, min(len(data), 8 + size)
    for _ in range(MOST_PARTS):
        if at + 8 > stop:
            return
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length
        if end > stop:
            raise ValueError("a chunk is cut short")
        after = end + length % 2
        yield data[at : at + 4], at + 8, end, min(after, stop)
        at = after


def _of_webp(data: bytes) -> Held:
    size_wh, orientation, packet = (1, 1), 1, b""
    for kind, start, end, _ in _pieces(data):
        if kind in (b"VP8X", b"VP8 ", b"VP8L") and size_wh == (1, 1):
            size_wh = _size_of_webp(kind, data[start:end])[:2]
        elif kind == b"EXIF":
            orientation = exif_orientation(data[start:end].removeprefix(b"Exif\0\0"))
        elif kind == b"XMP " and not packet:
            packet = data[start:end]
    return Held("WebP", size_wh, _turn(orientation), packet)


def _size_of_webp(kind: bytes, content: bytes) -> tuple[int, int, bool]:
    """Width, height, and whether it has transparency."""
    if kind == b"VP8X":
        width = int.from_bytes(content[4:7], "little") + 1
        return width, int.from_bytes(content[7:10], "little") + 1, bool(content[0] & 16)
    if kind == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    width, height = struct.unpack_from("<HH", content, 6)
    return width & 0x3FFF, height & 0x3FFF, False


def _into_webp(data: bytes, packet: bytes, name: str) -> bytes:
    made = b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
    first = next(_pieces(data))
    kind, start, end, _ = first
    if kind == b"VP8X":
        head = b"VP8X" + data[start - 4 : start] + bytes([data[start] | 4]) + data[start + 1 : end]
        rest = 12 + len(head)
    else:
        width, height, alpha = _size_of_webp(kind, data[start:end])
        flags = 4 | (16 if alpha else 0)
        content = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little")
        head = b"VP8X" + struct.pack("<I", 10) + content + (height - 1).to_bytes(3, "little")
        rest = 12
    (size,) = struct.unpack_from("<I", data, 4)
    stop = min(len(data), 8 + size)
    body, tail = data[rest:stop], data[stop:]
    for kind, start, _, after in _pieces(data):
        if kind == b"XMP ":
            body = data[rest : start - 8] + made + data[after:stop]
            break
    else:
        body += b"\0" * (len(body) % 2) + made
    content = b"WEBP" + head + body
    return b"RIFF" + struct.pack("<I", len(content)) + content + tail


# --- TIFF -----------------------------------------------------------------------------------------


def _of_tiff(data: bytes) -> Held:
    """The first directory's size, orientation and packet (TIFF 6.0, section 2; BigTIFF)."""
    photo_in(data)  # counts its parts
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    at, step = at + (8 if big else 2), 20 if big else 12
    numbers, packet = {256: 1, 257: 1, 274: 1}, b""
    for place in range(at, at + step * min(count, MOST_PARTS), step):
        tag, kind = struct.unpack_from(order + "HH", data, place)
        (length,) = struct.unpack_from(order + ("Q" if big else "I"), data, place + 4)
        value = place + (12 if big else 8)
        if tag in numbers and kind in (3, 4):
            numbers[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, value)[0]
        elif tag == 700 and kind in (1, 7):
            if length > (8 if big else 4):
                (value,) = struct.unpack_from(order + ("Q" if big else "I"), data, value)
            if length > MOST_BYTES or value + length > len(data):
                raise ValueError("its XMP is cut short, or too long")
            packet = data[value : value + length]
    return Held("TIFF", (max(1, numbers[256]), max(1, numbers[257])), _turn(numbers[274]), packet)

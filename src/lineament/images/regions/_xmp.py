"""Face regions in a packet of XMP: read, and added to what is there.

    mwg-rs:Regions     of the Metadata Working Group (Guidelines 2.0, 5.9): digiKam, Lightroom,
                       Picasa; boxes by their middle, as shares of width and height
    MP:RegionInfo      of Microsoft's photo programs: boxes by their corner, as such shares

What is written is the first, into the list that is there, or else as a description of its own;
every other byte of the packet stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from lineament.errors import DataError, OptionError
from lineament.images.regions._frame import Box, stored, upright
from lineament.images.regions._xml import (
    AREA,
    DIMENSIONS,
    MP,
    MPREG,
    MPRI,
    MWG,
    NOTE,
    RDF,
    Element,
    parse,
)

MOST_REGIONS: Final = 10_000
_HEAD: Final = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_TAIL: Final = '\n<?xpacket end="w"?>'
_EMPTY: Final = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="{RDF}">\n </rdf:RDF>\n</x:xmpmeta>'
)


@dataclass(frozen=True, slots=True)
class Found:
    """A region of a packet.

    Attributes:
        name: of the person; None where there is none.
        kind: "Face", "Pet", ... as it stands there; "" where it does not say.
        box: in the photo as it is shown.
        schema: "mwg" or "mp".
        place: start and end of its item in the packet.
    """

    name: str | None
    kind: str
    box: Box
    schema: str
    place: tuple[int, int]


def read(packet: bytes, size_wh: tuple[int, int], orientation: int, name: str) -> list[Found]:
    """The regions of a packet that are sound; raises as ``parse``."""
    root = parse(packet, name)
    lying = _lies_as_stored(root, size_wh, orientation)
    found: list[Found] = []
    for regions in root.all_named(f"{MWG} Regions"):
        for item in _list(regions, f"{MWG} RegionList"):
            one = _of_mwg(item, size_wh)
            if one is not None:
                found.append(one)
    for info in root.all_named(f"{MP} RegionInfo"):
        for item in _list(info, f"{MPRI} Regions"):
            one = _of_mp(item)
            if one is not None:
                found.append(one)
    if len(found) > MOST_REGIONS:
        raise DataError(f"{name}: expected at most {MOST_REGIONS:,} regions, got {len(found):,}")
    if not lying:
        return found
    return [
        Found(one.name, one.kind, upright(one.box, orientation), one.schema, one.place)
        for one in found
    ]


def has_extended(packet: bytes, name: str) -> bool:
    """Whether a part of it stands elsewhere in a JPEG."""
    root = parse(packet, name)
    return any(True for _ in root.all_named(f"{NOTE} HasExtendedXMP")) or any(
        f"{NOTE} HasExtendedXMP" in one.attributes for one in root.all_named(f"{RDF} Description")
    )


def _list(structure: Element, name: str) -> list[Element]:
    field = structure.fields().get(name)
    return field.items() if isinstance(field, Element) else []


def _lies_as_stored(root: Element, size_wh: tuple[int, int], orientation: int) -> bool:
    """Whether boxes are of the photo as it is stored, and not as it is shown.

    They should be of the stored one; some programs write the other. The size that they are for
    tells which, where it is not nearly square and the photo lies on its side.
    """
    if orientation < 5:
        return True
    for regions in root.all_named(f"{MWG} Regions"):
        field = regions.fields().get(f"{MWG} AppliedToDimensions")
        if not isinstance(field, Element):
            continue
        about = field.fields()
        width, height = (_number(about.get(f"{DIMENSIONS} {key}")) for key in "wh")
        if width and height and width != height and size_wh[0] != size_wh[1]:
            return (width > height) == (size_wh[0] > size_wh[1])
    return True


def _number(value: object) -> float | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _of_mwg(item: Element, size_wh: tuple[int, int]) -> Found | None:
    about = item.fields()
    field = about.get(f"{MWG} Area")
    if not isinstance(field, Element):
        return None
    values = field.fields()
    numbers = [_number(values.get(f"{AREA} {key}")) for key in "xywh"]
    if any(one is None for one in numbers):
        return None
    x, y, w, h = (float(one) for one in numbers if one is not None)
    if values.get(f"{AREA} unit") == "pixel":
        x, w = x / size_wh[0], w / size_wh[0]
        y, h = y / size_wh[1], h / size_wh[1]
    box = _inside((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    kind, who = about.get(f"{MWG} Type"), about.get(f"{MWG} Name")
    if box is None:
        return None
    return Found(_name(who), kind if isinstance(kind, str) else "", box, "mwg",
                 (item.start, item.end))  # fmt: skip


def _of_mp(item: Element) -> Found | None:
    about = item.fields()
    rectangle, who = about.get(f"{MPREG} Rectangle"), about.get(f"{MPREG} PersonDisplayName")
    if not isinstance(rectangle, str):
        return None
    numbers = [_number(each.strip()) for each in rectangle.split(",")[:5]]
    if len(numbers) != 4 or any(one is None for one in numbers):
        return None
    x, y, w, h = (float(one) for one in numbers if one is not None)
    box = _inside((x, y, x + w, y + h))
    return None if box is None else Found(_name(who), "Face", box, "mp", (item.start, item.end))


def _name(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _inside(box: Box) -> Box | None:
    """The part of it in the photo; None: there is none."""
    left, top = max(0.0, box[0]), max(0.0, box[1])
    right, bottom = min(1.0, box[2]), min(1.0, box[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


# --- writing --------------------------------------------------------------------------------------


def with_regions(
    packet: bytes,
    new: Sequence[tuple[str, Box]],
    gone: Sequence[Found],
    size_wh: tuple[int, int],
    orientation: int,
    name: str,
) -> bytes:
    """A packet with faces added to its list.

    Args:
        packet: as it is; b"": there is none yet.
        new: names and boxes of the photo as it is shown.
        gone: regions of it that these replace; those of the Working Group alone.
        size_wh, orientation: of the photo as it is stored.
        name: of the file, for messages.

    Raises:
        DataError: as ``parse``.
        OptionError: it is in another encoding than UTF-8.
    """
    if not packet.strip(b"\0 \r\n\t"):
        packet = (_HEAD + _EMPTY + _TAIL).encode()
    try:
        packet.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OptionError(f"{name}: expected XMP in UTF-8: write a sidecar") from error
    root = parse(packet, name)
    lying = _lies_as_stored(root, size_wh, orientation)
    rows = [_item(who, stored(box, orientation) if lying else box) for who, box in new]
    edits = [(*one.place, b"") for one in gone if one.schema == "mwg"]
    place = _end_of_list(root)
    if place is not None:
        edits.append((place, place, "".join(rows).encode()))
    else:
        edits += [(one.start, one.end, b"") for one in root.all_named(f"{MWG} Regions")]
        edits.append(_new_description(root, rows, size_wh, name))
    for start, end, text in sorted(edits, reverse=True):
        packet = packet[:start] + text + packet[end:]
    parse(packet, name)  # what was made is XML as well
    return packet


def _end_of_list(root: Element) -> int | None:
    """Where the next item of the list of regions goes; None: there is no list with an end."""
    for regions in root.all_named(f"{MWG} Regions"):
        field = regions.fields().get(f"{MWG} RegionList")
        if not isinstance(field, Element):
            continue
        for child in field.children:
            if child.name in (f"{RDF} Bag", f"{RDF} Seq") and child.inside_end < child.end:
                return child.inside_end
    return None


def _item(who: str, box: Box) -> str:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    w, h = box[2] - box[0], box[3] - box[1]
    return (
        f'<rdf:li xmlns:rdf="{RDF}" xmlns:mwg-rs="{MWG}" xmlns:stArea="{AREA}" '
        'rdf:parseType="Resource">'
        f"<mwg-rs:Name>{escape(who)}</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type>"
        f'<mwg-rs:Area stArea:x="{x:.6f}" stArea:y="{y:.6f}" stArea:w="{w:.6f}" '
        f'stArea:h="{h:.6f}" stArea:unit="normalized"/></rdf:li>'
    )


def _new_description(
    root: Element, rows: Sequence[str], size_wh: tuple[int, int], name: str
) -> tuple[int, int, bytes]:
    """The edit that adds a description with the regions."""
    top = root if root.name == f"{RDF} RDF" else next(root.all_named(f"{RDF} RDF"), None)
    if top is None or (top.inside_end == top.end):
        raise DataError(f"{name}: expected XMP with an rdf:RDF that has an end")
    about = next(
        (one.attributes.get(f"{RDF} about", "") for one in top.children if one.attributes), ""
    )
    text = (
        f'<rdf:Description xmlns:rdf="{RDF}" rdf:about={quoteattr(about)} xmlns:mwg-rs="{MWG}" '
        f'xmlns:stDim="{DIMENSIONS}"><mwg-rs:Regions rdf:parseType="Resource">'
        f'<mwg-rs:AppliedToDimensions stDim:w="{size_wh[0]}" stDim:h="{size_wh[1]}" '
        'stDim:unit="pixel"/><mwg-rs:RegionList><rdf:Bag>'
        f"{''.join(rows)}</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions></rdf:Description>\n"
    )
    return top.inside_end, top.inside_end, text.encode()

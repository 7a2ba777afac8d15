"""XMP packets as trees that know where each element stands, so that one can be changed alone.

A packet may come from anybody. Declarations of document types and entities, which XMP has no use
for, are refused before anything is expanded; bytes, depth and number of elements are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from lineament.errors import DataError

MOST_BYTES: Final = 16 << 20
MOST_DEPTH: Final = 64
MOST_ELEMENTS: Final = 500_000

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MWG: Final = "http://www.metadataworkinggroup.com/schemas/regions/"
DIMENSIONS: Final = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"
AREA: Final = "http://ns.adobe.com/xmp/sType/Area#"
MP: Final = "http://ns.microsoft.com/photo/1.2/"
MPRI: Final = "http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
MPREG: Final = "http://ns.microsoft.com/photo/1.2/t/Region#"
NOTE: Final = "http://ns.adobe.com/xmp/note/"


@dataclass(eq=False, slots=True)
class Element:
    """One element.

    Attributes:
        name: namespace and local name, with a space between them.
        attributes: by such names.
        start, end: where it begins, and where what follows it does; bytes of the packet.
        inside_end: where its end tag begins; ``end`` where it has none ("<a/>").
        children: elements in it.
        text: in it, before its first child.
    """

    name: str
    attributes: dict[str, str]
    start: int
    end: int = 0
    inside_end: int = 0
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all_named(self, name: str) -> Iterator[Element]:
        """Those of that name in it, at any depth, in their order."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all_named(name)

    def fields(self) -> dict[str, str | Element]:
        """A structure's fields: attributes, children, and those of a Description in it."""
        found: dict[str, str | Element] = dict(self.attributes)
        for child in self.children:
            if child.name == f"{RDF} Description":
                found |= child.fields()
            elif child.children or not child.text.strip():
                found[child.name] = child
            else:
                found[child.name] = child.text.strip()
        return found

    def items(self) -> list[Element]:
        """The items of the list that it holds (Bag, Seq or Alt)."""
        kinds = {f"{RDF} {kind}" for kind in ("Bag", "Seq", "Alt")}
        return [
            item
            for child in self.children
            if child.name in kinds
            for item in child.children
            if item.name == f"{RDF} li"
        ]


def parse(packet: bytes, name: str) -> Element:
    """The tree of a packet.

    Args:
        packet: XMP, with or without its wrapper.
        name: of the file, for messages.

    Raises:
        DataError: no XML, damaged, too large or too deep, or with declarations.
    """
    if len(packet) > MOST_BYTES:
        raise DataError(
            f"{name}: expected at most {MOST_BYTES:,} bytes of XMP, got {len(packet):,}"
        )
    reader = _Reader(packet, name)
    try:
        reader.parser.Parse(packet, True)
    except expat.ExpatError as error:
        raise DataError(f"{name}: expected XMP, got damaged XML ({error})") from error
    if reader.root is None:
        raise DataError(f"{name}: expected XMP, got no element")
    return reader.root


class _Reader:
    def __init__(self, packet: bytes, name: str) -> None:
        self._packet, self._name = packet, name
        self._open: list[Element] = []
        self._count = 0
        self.root: Element | None = None
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.StartDoctypeDeclHandler = self._declared
        self.parser.EntityDeclHandler = self._declared
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _declared(self, *_: object) -> None:
        raise DataError(f"{self._name}: expected XMP, got XML with a declaration of a type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS or len(self._open) >= MOST_DEPTH:
            raise DataError(
                f"{self._name}: expected at most {MOST_ELEMENTS:,} elements, {MOST_DEPTH} deep"
            )
        element = Element(name, attributes, self.parser.CurrentByteIndex)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _: str) -> None:
        element, at = self._open.pop(), self.parser.CurrentByteIndex
        element.end = _tag_end(self._packet, at)
        closing = self._packet[at : at + 2] == b"</"
        element.inside_end = at if closing else element.end

    def _text(self, text: str) -> None:
        if self._open and not self._open[-1].children:
            self._open[-1].text += text


def _tag_end(packet: bytes, at: int) -> int:
    """Where the tag that begins there ends; ">" may stand in a value."""
    quote = 0
    for place in range(at, len(packet)):
        byte = packet[place]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == 62:  # ">"
            return place + 1
    return len(packet)

"""Networks of OpenVINO's own format in one file: its XML and its numbers, in a zip archive.

What cannot be written as ONNX without the framework that it came from (TensorFlow's frozen graphs
and TensorFlow Lite) is kept so. Such a file runs with OpenVINO only. As an ONNX file, it is a
program: ``check_ir`` looks at it before an engine does.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from lineament.errors import WeightsError
from lineament.models.graph import MOST_STEPS
from lineament.text import printable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

XML, NUMBERS = "model.xml", "model.bin"

_LARGEST_XML = 64 << 20
_LARGEST_NUMBERS = 1 << 31
_MOST_LAYERS = 4 * MOST_STEPS
"""Constants are layers, too."""

_NOT_READ = {"TensorIterator", "Loop", "If", "ReadValue", "Assign", "FrameworkNode"}
"""Layers that repeat others, choose between them, remember, or belong to another program."""


def pack_ir(xml: bytes, numbers: bytes) -> bytes:
    """The file of a network: the same bytes for the same network."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ((XML, xml), (NUMBERS, numbers)):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return made.getvalue()


def is_ir(data: bytes) -> bool:
    """Whether it is such a file."""
    return data[:4] == b"PK\x03\x04" and data[30 : 30 + len(XML)] == XML.encode()


def unpack_ir(data: bytes, name: str) -> tuple[bytes, bytes]:
    """The XML and the numbers.

    Args:
        data: the file.
        name: of the model, for the message.

    Raises:
        WeightsError: it is no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if [info.filename for info in infos] != [XML, NUMBERS]:
                raise _unfit(name, "an archive of other files")
            for info, most in zip(infos, (_LARGEST_XML, _LARGEST_NUMBERS), strict=True):
                # What is stored as it is cannot unfold to more than the file has.
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
                    raise _unfit(name, "an archive that is compressed, or too large")
            return archive.read(XML), archive.read(NUMBERS)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, RuntimeError) as error:
        raise _unfit(name, f"a damaged archive ({printable(str(error))[:100]})") from error


def parsed(xml: bytes, name: str) -> Element:
    """The XML of a network.

    Args:
        xml: the text, in UTF-8; with definitions of its own ("<!") it is refused before it is
            parsed, since entities grow without end.
        name: of the model, for the message.

    Raises:
        WeightsError: it is too long, or no XML.
    """
    if len(xml) > _LARGEST_XML:
        raise _unfit(name, f"{len(xml):,} bytes of XML")
    try:
        text = xml.decode("utf-8")  # as a text, whatever encoding it says it has
        if "<!" in text.replace("<!--", ""):
            raise _unfit(name, "XML with definitions of its own")
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise _unfit(name, f"no XML ({printable(str(error))[:100]})") from error


def _unfit(name: str, got: str) -> WeightsError:
    return WeightsError(f"{name}: expected a network of OpenVINO, got {got}")


def check_ir(xml: bytes, n_numbers: int, name: str) -> None:
    """Refuse a network that an engine must not see.

    Args:
        xml: its layers.
        n_numbers: bytes of the numbers beside it.
        name: of the model, for the message.

    Raises:
        WeightsError: it is none, it has loops, more layers than networks have, or a layer whose
            numbers lie beyond the file.
    """
    root = parsed(xml, name)
    layers = root.findall("layers/layer")
    if root.tag != "net" or not layers:
        raise _unfit(name, "other XML")
    if len(layers) > _MOST_LAYERS:
        raise _unfit(name, f"one of more than {_MOST_LAYERS:,} layers")
    if sum(1 for _ in root.iter("layer")) != len(layers):
        raise _unfit(name, "one with networks inside of layers")
    for layer in layers:
        kind = layer.get("type", "")
        if kind in _NOT_READ or "extension" in layer.get("version", ""):
            raise _unfit(name, f"one with a layer {printable(kind)[:40]}, which is not run")
        data = layer.find("data")
        if kind == "Const" and not _inside(data, n_numbers):
            raise _unfit(name, "one whose numbers lie beyond its file")
    _check_order(root, len(layers), name)


def _inside(data: Element | None, n_numbers: int) -> bool:
    try:
        start, size = (int(data.get(key, "")) for key in ("offset", "size"))  # type: ignore[union-attr]
    except (ValueError, AttributeError):
        return False
    return start >= 0 and size >= 0 and start + size <= n_numbers


def _check_order(root: Element, n_layers: int, name: str) -> None:
    """Layers that wait for each other."""
    users: dict[str, list[str]] = {}
    left: dict[str, int] = {layer.get("id", ""): 0 for layer in root.findall("layers/layer")}
    for edge in root.findall("edges/edge"):
        giver, taker = edge.get("from-layer", ""), edge.get("to-layer", "")
        if giver not in left or taker not in left:
            raise _unfit(name, "one with a connection to a layer that is not there")
        users.setdefault(giver, []).append(taker)
        left[taker] += 1
    ready = [layer for layer, count in left.items() if not count]
    done = 0
    while ready:
        done += 1
        for user in users.get(ready.pop(), ()):
            left[user] -= 1
            if not left[user]:
                ready.append(user)
    if done < n_layers:
        raise _unfit(name, "one with layers that wait for each other")

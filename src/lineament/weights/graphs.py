"""Networks that are not ONNX files: TensorFlow, TensorFlow Lite, OpenVINO.

They become a container of OpenVINO's format (``lineament.models.ir``): read by its front ends in a
process of its own, written, and compared there with what was read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from lineament.models.ir import check_ir, pack_ir, parsed
from lineament.weights._front_ends import EXAMPLE, NUMBERS, XML
from lineament.weights.apart import read_apart
from lineament.weights.file import (
    MOST_TENSORS,
    Array,
    Contents,
    Format,
    Graph,
    Port,
    array_of,
    refuse,
)
from lineament.weights.safetensors import read_safetensors
from lineament.weights.tensorflow import prepared

LARGEST_DIFFERENCE: Final = 1e-4
"""Between a network as it was read and as it is kept, of its output's largest number."""

_KINDS: Final = {
    "f64": "<f8",
    "f32": "<f4",
    "f16": "<f2",
    "bf16": "bf16",
    "i64": "<i8",
    "i32": "<i4",
    "i16": "<i2",
    "i8": "i1",
    "u8": "u1",
}


def read_graph(
    data: bytes,
    kind: Format,
    *,
    numbers: bytes = b"",
    output: str | None = None,
    size_wh: tuple[int, int] | None = None,
) -> Contents:
    """Read a network, and have it in one input and one output of rows.

    Args:
        data: the whole file.
        kind: "tensorflow", "tflite" or "openvino".
        numbers: of "openvino": the .bin file.
        output: the output that counts, where there are several.
        size_wh: width and height of the photos, where the file leaves them open.

    Raises:
        Refusal: it cannot be read, has another input, or an output that is no row.
        MissingExtraError: OpenVINO is not installed.
    """
    notes: tuple[str, ...] = ()
    size = None if size_wh is None else list(size_wh)
    if kind == "tensorflow":
        cut = prepared(data, output=output)
        notes, files = cut.notes, {"model.pb": cut.data}
        output = None
    elif kind == "tflite":
        files = {"model.tflite": data}
    else:
        check_ir(data, len(numbers), "the network")
        files = {"model.xml": data, "model.bin": numbers}
    with read_apart("convert", files, output=output, size_wh=size) as (answer, folder):
        return _made(answer, folder, notes)


def _made(answer: dict[str, Any], folder: Path, notes: tuple[str, ...]) -> Contents:
    xml = (folder / XML).read_bytes()
    numbers = (folder / NUMBERS).read_bytes()
    check_ir(xml, len(numbers), "the network")
    example = read_safetensors((folder / EXAMPLE).read_bytes()).tensors
    graph = Graph(
        (_port(answer["taken"]),),
        (Port(_port(answer["outputs"][0]).name, (None, answer["dimension"])),),
        pack_ir(xml, numbers),
        (example["input"], example["output"]),
    )
    return Contents(_constants(xml, numbers), (*notes, *answer["notes"]), graph)


def _port(told: Any) -> Port:
    name, sides = told
    shape = None if sides is None else tuple(sides)
    return Port(str(name), shape)


def _constants(xml: bytes, numbers: bytes) -> dict[str, Array]:
    """The numbers of the layers, by name; those of kinds that NumPy does not have are left out."""
    found: dict[str, Array] = {}
    for layer in parsed(xml, "the network").findall("layers/layer"):
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None:
            continue
        kind = _KINDS.get(data.get("element_type", ""))
        sides = [side for side in data.get("shape", "").split(",") if side.strip()]
        if kind is None or not all(side.strip().isdecimal() for side in sides):
            continue
        start, size = int(data.get("offset", "0")), int(data.get("size", "0"))
        name = layer.get("name", "")
        part = memoryview(numbers)[start : start + size]
        found[name] = array_of(part, kind, tuple(map(int, sides)), name)
        if len(found) > MOST_TENSORS:
            raise refuse(f"more than {MOST_TENSORS:,} tensors")
    return found

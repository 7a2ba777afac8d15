"""Networks of TensorFlow, TensorFlow Lite and OpenVINO, read by OpenVINO and written in its format.

Runs in a process of its own (``lineament.weights.apart``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lineament.models.runtime import openvino_core, openvino_module
from lineament.weights.file import refuse
from lineament.weights.safetensors import safetensors_bytes

XML, NUMBERS, EXAMPLE = "made.xml", "made.bin", "example.safetensors"

LARGEST_SIDE = 1 << 12

_PLAIN = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}


def convert(
    file: str, bytes: int, output: str | None = None, size_wh: list[int] | None = None
) -> dict[str, Any]:
    """Read a network, give it one input of a known size and an output of rows, and write it.

    Args:
        file: its name, whose ending says the format.
        bytes: its size.
        output: the name of the output that counts; None: the first one of rows.
        size_wh: width and height of its photos, where the file leaves them open.

    Returns:
        ``inputs`` and ``outputs`` as (name, sides) of the file, and ``notes``. Beside the network
        stands ``EXAMPLE``: an input and what the network as it was read makes of it.
    """
    openvino = openvino_module()
    core = openvino_core()
    network = core.read_model(file)
    described = {
        "inputs": [_port(each) for each in network.inputs],
        "outputs": [_port(each) for each in network.outputs],
    }
    if len(network.inputs) != 1:
        names = ", ".join(name for name, _ in described["inputs"][:6])
        raise refuse(f"a network of {len(network.inputs)} inputs ({names})")
    notes: list[str] = []
    shape = _shape(network, size_wh)
    network.reshape([1, *shape[1:]])
    example = np.random.default_rng(0).uniform(-1, 1, (1, *shape[1:])).astype(np.float32)
    taken = _taken(network, output)
    before = np.asarray(core.compile_model(network, "CPU", _PLAIN)([example])[taken], np.float32)
    network = _single(openvino, network, taken)
    try:
        network.reshape([-1, *shape[1:]])
        core.compile_model(network, "CPU", _PLAIN)([np.repeat(example, 3, 0)])
    except RuntimeError:
        network.reshape([1, *shape[1:]])
        notes.append("It takes one photo at a time.")
    openvino.save_model(network, XML, compress_to_fp16=False)
    with Path(EXAMPLE).open("wb") as written:
        for part in safetensors_bytes({"input": example, "output": before.reshape(1, -1)}):
            written.write(part)
    rows = network.outputs[0].get_partial_shape()
    return {
        **described,
        "taken": [described["inputs"][0][0], [1, *shape[1:]]],
        "dimension": int(rows[1].get_length()) if rows[1].is_static else None,
        "notes": notes,
    }


def _port(port: Any) -> tuple[str, list[int | None] | None]:
    name = sorted(port.get_names())[0] if port.get_names() else port.get_node().get_friendly_name()
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return name.removesuffix(":0"), None
    return name.removesuffix(":0"), [s.get_length() if s.is_static else None for s in shape]


def _shape(network: Any, size_wh: list[int] | None) -> list[int]:
    """The input's sides: batch, height, width, channels or batch, channels, height, width."""
    shape = network.inputs[0].get_partial_shape()
    if shape.rank.is_dynamic or len(shape) != 4:
        if size_wh is None or not shape.rank.is_dynamic:
            raise refuse("a network whose input is no photo, or of unknown size: give input_wh")
        return [1, size_wh[1], size_wh[0], 3]
    sides = [s.get_length() if s.is_static else None for s in shape]
    first = sides[1] in (1, 3) and sides[3] not in (1, 3)  # channels stand before the sides
    high = 2 if first else 1
    for at, given in ((high, 1), (high + 1, 0)):
        if size_wh is not None:  # it may take other sizes than the one it was saved with
            sides[at] = size_wh[given]
    if sides[1 if first else 3] is None:
        sides[1 if first else 3] = 3
    known = [side for side in sides[1:] if side is not None]
    if len(known) < 3:
        raise refuse("a network that leaves the size of its photos open: give input_wh")
    if any(not 0 < side <= LARGEST_SIDE for side in known):
        raise refuse(f"a network for photos of {known}")
    return [1, *known]


def _taken(network: Any, output: str | None) -> int:
    """The number of the output that counts."""
    names = [_port(each)[0] for each in network.outputs]
    if output is not None:
        wanted = output.removesuffix(":0")
        for at, each in enumerate(network.outputs):
            if wanted in {name.removesuffix(":0") for name in each.get_names()} | {names[at]}:
                return at
        raise refuse(f"a network of the outputs {', '.join(names[:6])}, none is {wanted[:80]!a}")
    rows = [at for at, each in enumerate(network.outputs) if _width(each) is not None]
    if len(rows) != 1:
        raise refuse(
            f"a network of the outputs {', '.join(names[:6])}: say which one is the embedding, by "
            "output"
        )
    return rows[0]


def _width(port: Any) -> int | None:
    """How many numbers a photo gets, of an output with one row for each."""
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic or len(shape) < 2:
        return None
    sides = [s.get_length() if s.is_static else None for s in list(shape)[1:]]
    known = [side for side in sides if side != 1]
    return known[0] if len(known) == 1 else (1 if not known else None)


def _single(openvino: Any, network: Any, taken: int) -> Any:
    """The network with that output alone, as rows."""
    value = network.outputs[taken].get_node().input_value(0)
    name = _port(network.outputs[taken])[0]
    if len(value.get_partial_shape()) != 2:
        rows = openvino.opset13.constant(np.array([0, -1], np.int64))
        value = openvino.opset13.reshape(value, rows, True).output(0)
    made = openvino.Model([value], network.get_parameters(), "network")
    made.outputs[0].get_tensor().set_names({name})
    return made

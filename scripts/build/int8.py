"""Build sface-int8 and mobilefacenet-int8 from the bundled float networks and LFW's View 1.

Quantized by ``lineament.quantize`` (NNCF) with 300 crops of View 1. The files hold no weights:
those are computed from the float network's when a file is read (``lineament.models.borrowed``), so
that the package carries them once. Equal photos and versions give equal bytes.

Run:  python -m scripts.build.int8 LFW
      python -m scripts.build.update_cards
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from lineament import FaceFinder, models
from lineament.datasets.lfw import read_lfw
from lineament.embed.network import load_network
from lineament.evaluate.protocols.lfw import images_of
from lineament.models.borrowed import assembled
from lineament.models.runtime import Runtime
from lineament.quantize._networks import int8_graph, plain_graph
from scripts.onnx_edit import constants, set_constants
from scripts.packages import MODELS_DIR

NAMES = ("sface", "mobilefacenet")
CROPS = 300
"""To calibrate on, as ``lineament.quantize.SUBSET``."""

Values = dict[str, npt.NDArray[np.generic]]


def calibration_crops(folder: Path) -> npt.NDArray[np.uint8]:
    """Crops (300, 112, 112, 3) of photos of View 1, drawn by chance; in the order of the photos."""
    lfw = read_lfw(folder)
    rows = images_of(lfw, ("1",))
    drawn = rows[np.random.default_rng(0).permutation(len(rows))]
    finder = FaceFinder(choose="central", runtime=Runtime(threads=1))
    found: dict[int, npt.NDArray[np.uint8]] = {}
    for row in drawn:
        photo = finder.find(lfw.path(int(row)))
        if photo.index is not None:
            found[int(row)] = finder.crops(photo, [photo.index])[0]
        if len(found) == CROPS:
            break
    return np.stack([found[row] for row in sorted(found)])


def source_of(name: str, values: Values) -> str:
    """The name, in the float file, of the weights that an int8 tensor was made of."""
    plain = re.sub(r"^q_output_(ConvBnFusion_W_)?|(_reshaped)?_1$", "", name)
    for candidate in (plain, f"{plain}_dequantized"):
        if candidate in values or f"{candidate}/q" in values:
            return candidate
    raise ValueError(f"{name}: no weights of that name in the float network")


def float_weights(name: str, values: Values) -> npt.NDArray[np.float64]:
    """Weights (C, ...) of the float file, from their blocks if need be."""
    if name in values:
        return values[name].astype(np.float64)
    weights = values[f"{name}/q"].astype(np.float64)
    if f"{name}/z" in values:
        weights -= values[f"{name}/z"].astype(np.float64)
    return weights * values[f"{name}/s"].astype(np.float64)


def channel_factors(
    quantized: npt.NDArray[np.int8], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """By what each channel's weights were multiplied before they were rounded, (C,).

    Each weight bounds it from both sides, (q - 0.5) / w <= factor <= (q + 0.5) / w; the middle of
    what is left for the channel is taken.
    """
    q = quantized.reshape(len(quantized), -1).astype(np.float64)
    w = weights.reshape(len(q), -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(q - 0.5) / w, (q + 0.5) / w])
    low = np.where(w == 0, -np.inf, ends.min(0))
    high = np.where(w == 0, np.inf, ends.max(0))
    high = np.where(np.abs(q) == 127, np.inf, high)  # it stands for all beyond, too
    low, high = low.max(1), high.min(1)
    bounded = np.isfinite(low) & np.isfinite(high)
    middle = np.where(bounded, (np.where(bounded, low, 0) + np.where(bounded, high, 0)) / 2, low)
    return np.where(np.isfinite(middle), middle, 0).astype(np.float32)


def drop_zero_points(graph: onnx.GraphProto) -> None:
    """Leave out zero points of 0 where values are scaled back: engines have fewer steps to read."""
    values = constants(graph)
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and not values[node.input[2]].any():
            del node.input[2]
    set_constants(graph, values)


def without_weights(int8: bytes, other: bytes) -> bytes:
    """An int8 network without those of its weights that can be made of the other's."""
    model = onnx.load_model_from_string(int8)
    values = constants(onnx.load_model_from_string(other).graph)
    drop_zero_points(model.graph)
    del model.graph.value_info[:]
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.INT8 or len(tensor.dims) < 2:
            continue
        source = source_of(tensor.name, values)
        factors = channel_factors(numpy_helper.to_array(tensor), float_weights(source, values))
        said = {"int8_of": source, "shape": list(tensor.dims)}
        tensor.CopyFrom(numpy_helper.from_array(factors, tensor.name))
        tensor.doc_string = json.dumps(said)
    return model.SerializeToString(deterministic=True)


def check(own: bytes, other: bytes, int8: bytes, name: str) -> None:
    """Refuse a file from which another network comes.

    NNCF rounds after it has scaled in two steps, here it is one: a weight in a million that lies at
    a half may come out as its neighbor.
    """
    made = constants(onnx.load_model_from_string(assembled(own, other, name)).graph)
    wanted = constants(onnx.load_model_from_string(int8).graph)
    different = total = 0
    for key, values in made.items():
        value = wanted[key]
        off = np.abs(values.astype(np.float64) - value)
        if off.max(initial=0) > (1 if value.dtype == np.int8 else 0):
            raise ValueError(f"{name}: {key} is not what NNCF made")
        different, total = different + int((off > 0).sum()), total + off.size
    if different > 1e-4 * total:
        raise ValueError(f"{name}: {different:,} of {total:,} weights are not those of NNCF")
    print(f"{name}: {different} of {total:,} weights are neighbors of NNCF's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lfw", type=Path, metavar="LFW", help="its folder")
    options = parser.parse_args()
    crops = calibration_crops(options.lfw)
    for name in NAMES:
        card = models.get(name)
        embedder = load_network(card, flip=False, runtime=Runtime(threads=1))
        int8 = int8_graph(plain_graph(card, None), embedder, crops, name, None)
        own = without_weights(int8, models.read(card))
        check(own, models.read(card), int8, f"{name}-int8")
        path = MODELS_DIR / f"{name}-int8" / "int8.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(own)
        print(f"{name}-int8: {len(own):,} bytes")


if __name__ == "__main__":
    main()

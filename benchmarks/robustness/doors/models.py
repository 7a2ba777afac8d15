"""Networks and their descriptions from others: ONNX, TOML, cards, manifests."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from doors.case import AbsentError, Case, Door
from doors.damage import NUMBERS, TEXTS, anything, changed, damaged, special_file
from lineament import load_embedder, models
from lineament.files import DATA
from lineament.models.runtime import Runtime

DIMENSION = 16
SPEC = {"size_wh": [112, 112], "color_order": "rgb", "mean": 0.0, "scale": 1.0}


def _onnx() -> Any:
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise AbsentError("onnx is not installed") from error
    return onnx


def network(tensor: Callable[[Any], Any] | None = None, seed: int = 0) -> Any:
    """A small network; ``tensor`` changes its weights' tensor."""
    onnx = _onnx()
    h = onnx.helper
    weights = np.random.default_rng(seed).standard_normal((DIMENSION, 3, 3, 3)).astype(np.float32)
    kernel = onnx.numpy_helper.from_array(weights, "w")
    if tensor is not None:
        kernel = tensor(kernel)
    number = onnx.TensorProto.FLOAT
    graph = h.make_graph(
        [
            h.make_node("Conv", ["x", "w"], ["c"], strides=[8, 8]),
            h.make_node("GlobalAveragePool", ["c"], ["p"]),
            h.make_node("Flatten", ["p"], ["y"]),
        ],
        "g",
        [h.make_tensor_value_info("x", number, ["n", 3, 112, 112])],
        [h.make_tensor_value_info("y", number, ["n", DIMENSION])],
        [kernel],
    )
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8)


def _run(case: Case, data: bytes, spec: dict[str, Any] | None = None) -> bool:
    path = case.file("model.onnx", data)
    engine = case.pick(["openvino", "onnxruntime"])
    case.say(engine, f"{len(data):,} bytes")
    given = SPEC if spec is None else spec
    case.start()
    card = models.from_file(path, dimension=DIMENSION, **given)
    embedder = load_embedder(card, flip=False, runtime=Runtime(engine=engine))
    crops = case.rng.integers(0, 256, (2, 112, 112, 3), np.uint8)
    vectors, norms = embedder.embed(crops)
    case.expect(vectors.shape == (2, DIMENSION), f"vectors of {vectors.shape}")
    case.expect(np.isfinite(vectors).all() and np.isfinite(norms).all(), "vectors are not finite")
    return True


def damaged_bytes(case: Case) -> bool:
    """Bytes of the file are others."""
    return _run(case, damaged(network().SerializeToString(), case.rng))


def shapes(case: Case) -> bool:
    """Dimensions and attributes that do not fit, or are enormous."""
    model = network()
    graph = model.graph
    kind = case.rng.integers(8)
    big = int(case.pick([0, 1, 7, 10**5, 2**31, 2**62]))
    if kind == 0:
        graph.initializer[0].dims[int(case.rng.integers(4))] = big
    elif kind == 1:
        graph.input[0].type.tensor_type.shape.dim[int(case.rng.integers(1, 4))].dim_value = big
    elif kind == 2:
        graph.output[0].type.tensor_type.shape.dim[1].dim_value = big
    elif kind == 3:
        graph.node[0].attribute[0].ints[0] = big
    elif kind == 4:
        graph.node[1].op_type = case.pick(["Loop", "If", "Nothing", "NonZero", "Reshape", "Scan"])
    elif kind == 5:
        graph.node[1].input[0] = case.pick(["y", "nowhere", ""])
    elif kind == 6:
        graph.node[1].domain = case.pick(["com.microsoft", "evil.ops", "ai.onnx.ml"])
    else:
        del graph.initializer[:]
    return _run(case, model.SerializeToString())


def bombs(case: Case) -> bool:
    """Small files that ask for much: constants made by the graph, long loops."""
    onnx = _onnx()
    h = onnx.helper
    model = network()
    kind = case.rng.integers(3)
    nodes = model.graph.node
    if kind == 0:  # a constant of gigabytes
        shape = onnx.numpy_helper.from_array(np.array([1 << 15, 1 << 15], np.int64), "s")
        model.graph.initializer.append(shape)
        more = [
            h.make_node("ConstantOfShape", ["s"], ["k"]),
            h.make_node("ReduceSum", ["k"], ["r"], keepdims=0),
            h.make_node("Add", ["p", "r"], ["q"]),
        ]
    elif kind == 1:  # tiled again and again
        tile = onnx.numpy_helper.from_array(np.array([1, 1, 20_000, 20_000], np.int64), "s")
        model.graph.initializer.append(tile)
        more = [
            h.make_node("Tile", ["p", "s"], ["k"]),
            h.make_node("GlobalAveragePool", ["k"], ["q"]),
        ]
    else:  # a chain of a hundred thousand nodes
        names = ["p", *(f"n{i}" for i in range(100_000)), "q"]
        more = [h.make_node("Neg", [a], [b]) for a, b in itertools.pairwise(names)]
    last = nodes.pop()
    last.input[0] = "q"
    nodes.extend([*more, last])
    case.bound_mb = 6_000.0  # a network may need what it needs; refused or not, no crash
    return _run(case, model.SerializeToString())


def _external(location: str) -> Callable[[Any], Any]:
    onnx = _onnx()

    def change(tensor: Any) -> Any:
        size = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        return tensor

    return change


def external_data(case: Case) -> bool:
    """Weights in another file, which no hash covers: refused, wherever they are."""
    onnx = _onnx()
    h = onnx.helper
    beside = case.file("weights.bin", case.rng.bytes(DIMENSION * 27 * 4))
    location = case.pick(
        [
            "weights.bin",
            "./weights.bin",
            str(beside),
            "../../outside/weights.bin",
            str(case.outside / "weights.bin"),
            "/dev/zero",
            "",
            "absent.bin",
            "*/_ORT_MEM_ADDR_/*",
            "model.onnx",
        ]
    )
    case.may_read_outside = False
    kind = case.rng.integers(5)
    if kind < 2:
        model = network(_external(location))
    else:
        inner = _external(location)(
            onnx.numpy_helper.from_array(np.zeros((1, DIMENSION, 1, 1), np.float32), "e")
        )
        model = network()
        nodes = model.graph.node
        if kind == 2:  # in a node's attribute
            nodes.insert(0, h.make_node("Constant", [], ["e"], value=inner))
        elif kind == 3:  # in the graph of a branch
            value = h.make_tensor_value_info("e", onnx.TensorProto.FLOAT, [1, DIMENSION, 1, 1])
            branch = h.make_graph([h.make_node("Identity", ["k"], ["e"])], "b", [], [value])
            inner.name = "k"
            branch.initializer.append(inner)
            true = onnx.numpy_helper.from_array(np.array(True), "t")
            model.graph.initializer.append(true)
            nodes.insert(0, h.make_node("If", ["t"], ["e"], then_branch=branch, else_branch=branch))
        else:  # in a function
            body = [h.make_node("Constant", [], ["o"], value=inner)]
            function = h.make_function("own", "F", [], ["o"], body, [h.make_opsetid("", 13)])
            model.functions.append(function)
            model.opset_import.append(h.make_opsetid("own", 1))
            nodes.insert(0, h.make_node("F", [], ["e"], domain="own"))
        last = nodes.pop()
        nodes.append(h.make_node("Add", ["p", "e"], ["a"]))
        last.input[0] = "a"
        nodes.append(last)
    case.say(kind, location)
    _run(case, model.SerializeToString())
    case.expect(False, f"weights outside of the file were accepted: {location!r}, {kind}")
    return True


def descriptions(case: Case) -> bool:
    """The TOML beside a model, and the options in its place."""
    _onnx()
    values: dict[str, Any] = {
        **SPEC,
        "name": "theirs",
        "layout": "nchw",
        "task": "embedder",
        "dimension": DIMENSION,
        "alignment": "arcface-112",
        "license_code": "MIT",
    }
    key = case.pick(list(values))
    values[key] = case.pick(
        [*NUMBERS, *TEXTS, [112], [1 << 20, 1 << 20], [0, 0], [1, 2, 3], "gray"]
    )
    case.say(key, values[key])
    if case.chance(0.5):
        lines = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in values.items()]
        text = "\n".join(lines).encode(errors="replace")
        if case.chance(0.3):
            text = damaged(text, case.rng)
        case.file("model.toml", text)
        path = case.file("model.onnx", network().SerializeToString())
        card = models.from_file(path)
    else:
        path = case.file("model.onnx", network().SerializeToString())
        card = models.from_file(path, **values)
    embedder = load_embedder(card, flip=False)
    size = card.input.size_wh
    if size is not None and size[0] * size[1] < 10**6:
        embedder.embed(case.rng.integers(0, 256, (1, size[1], size[0], 3), np.uint8))
    return True


def manifests(case: Case) -> bool:
    """Cards that say something else, read from a manifest."""
    base = json.loads((DATA / "models" / case.pick(["sface", "yunet"]) / "card.json").read_bytes())
    kind = case.rng.integers(6)
    if kind == 0:
        base["file"] = case.pick(
            [
                "../../outside/weights.bin",
                str(case.outside / "weights.bin"),
                "/dev/zero",
                "",
                "a\0b",
            ]
        )
    elif kind == 1:
        base.update(
            file=None, url=case.pick(["file:///etc/passwd", "http://10.0.0.1/x", "ftp://x/"])
        )
    elif kind == 2:
        base["license_file"] = case.pick(["../../outside/private.key", "/etc/passwd"])
    elif kind == 3:
        base["name"] = case.pick(TEXTS)
    else:
        base = changed(base, case.rng, times=int(case.rng.integers(1, 3)))
    case.may_read_outside = False
    manifest = {"schema": 1, "weights": [base]}
    if case.chance(0.2):
        manifest = changed(manifest, case.rng)
    data = json.dumps(manifest).encode(errors="replace")
    if case.chance(0.15):
        data = damaged(data, case.rng)
    for card in models.read_manifest(case.file("manifest.json", data)):
        repr(card)
        case.expect(card.path is None or case.folder in card.path.parents, f"a file at {card.path}")
        models.license_text(card)
        models.is_present(card)
        models.read(card)
    return True


def changed_files(case: Case) -> bool:
    """A file of weights that is not the one that its card promises."""
    from lineament import LineamentError

    model = network(seed=case.number + 1)  # what was loaded before is not read again
    path = case.file("model.onnx", model.SerializeToString())
    card = models.from_file(path, dimension=DIMENSION, **SPEC)
    data = bytearray(path.read_bytes())
    kind = case.rng.integers(4)
    if kind == 0:
        data[int(case.rng.integers(len(data)))] ^= 1
        path.write_bytes(data)
    elif kind == 1:
        path.unlink()
        os.mkfifo(path)
    elif kind == 2:
        path.unlink()
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"")
    try:
        load_embedder(card, flip=False)
    except LineamentError:
        return False
    case.expect(False, f"other weights were accepted ({kind})")
    return True


def special_files(case: Case) -> bool:
    """In the place of a file stands something else."""
    path = special_file(case, "model.onnx", "x{}.onnx", b"x")
    if case.chance(0.5):
        models.from_file(path, dimension=DIMENSION, **SPEC)
    else:
        models.read_manifest(path)
    return True


def options(case: Case) -> bool:
    """Recognizers by names and options that somebody typed."""
    from lineament import Recognizer

    Recognizer(case.pick([*TEXTS, anything(case.rng)]))
    return True


def _prepare(home: Path, seed: int) -> None:
    try:
        model = network()
    except AbsentError:
        return
    path = home / "tmp" / "warm.onnx"
    path.write_bytes(model.SerializeToString())
    card = models.from_file(path, dimension=DIMENSION, **SPEC)
    for engine in ("openvino", "onnxruntime"):
        embedder = load_embedder(card, flip=False, runtime=Runtime(engine=engine))
        embedder.embed(np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), np.uint8))


DOOR = Door(
    "models",
    (
        damaged_bytes,
        external_data,
        shapes,
        manifests,
        descriptions,
        damaged_bytes,
        external_data,
        manifests,
        changed_files,
        special_files,
        shapes,
        options,
        *(damaged_bytes, manifests) * 12,
        bombs,
    ),
    cases=700,
    bound_mb=400.0,
    limit_s=30.0,
    prepare=_prepare,
)

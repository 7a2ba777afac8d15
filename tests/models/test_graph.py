"""What an ONNX file may ask of an engine: files that are refused, and files that are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from builders import tiny_recognizer
from lineament import models
from lineament.errors import WeightsError
from lineament.models import graph as graphs
from lineament.models.graph import check_graph
from lineament.models.runtime import Runtime, load_model

SPEC: dict[str, Any] = {"size_wh": [8, 8], "color_order": "rgb", "mean": 0.0, "scale": 1.0}
ONE = numpy_helper.from_array(np.ones(4, np.float32), "w")


def network(
    nodes: Sequence[NodeProto],
    tensors: Sequence[TensorProto] = (),
    functions: Sequence[Any] = (),
) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(tensors),
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)


def outside(name: str = "w", location: str = "weights.bin") -> TensorProto:
    """A tensor whose numbers lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def chain(n: int) -> list[NodeProto]:
    names = ["x", *(f"v{i}" for i in range(1, n)), "y"]
    return [helper.make_node("Relu", [names[i]], [names[i + 1]]) for i in range(n)]


def branching(depth: int) -> ModelProto:
    """A branch in a branch in a branch ..."""
    inner = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["o0"])],
        "g0",
        [],
        [helper.make_tensor_value_info("o0", TensorProto.FLOAT, None)],
    )
    for i in range(1, depth):
        node = helper.make_node("If", ["c"], [f"o{i}"], then_branch=inner, else_branch=inner)
        output = helper.make_tensor_value_info(f"o{i}", TensorProto.FLOAT, None)
        inner = helper.make_graph([node], f"g{i}", [], [output])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    return network([node], [numpy_helper.from_array(np.array(True), "c")])


def functions(n: int, calls: int) -> ModelProto:
    """``n`` functions, each of which calls the one before so many times."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    made = []
    for i in range(n):
        names = ["a", *(f"t{k}" for k in range(1, calls)), "b"]
        nodes = [
            helper.make_node(
                f"f{i - 1}" if i else "Relu", [names[k]], [names[k + 1]], domain="d" if i else ""
            )
            for k in range(calls)
        ]
        made.append(helper.make_function("d", f"f{i}", ["a"], ["b"], nodes, opsets))
    return network([helper.make_node(f"f{n - 1}", ["x"], ["y"], domain="d")], functions=tuple(made))


def calling_itself() -> ModelProto:
    model = functions(2, 1)
    model.functions[0].node[0].op_type = "f1"
    model.functions[0].node[0].domain = "d"
    return model


def with_loop() -> ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Relu", ["a"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("d", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, None),
        ],
    )
    return network([helper.make_node("Loop", ["", "", "x"], ["y"], body=body)])


def circle_through_a_branch() -> ModelProto:
    inner = helper.make_graph(
        [], "g", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)]
    )
    return network(
        [
            helper.make_node("If", ["c"], ["a"], then_branch=inner, else_branch=inner),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Relu", ["b"], ["y"]),
        ],
        [numpy_helper.from_array(np.array(True), "c")],
    )


def sized(*dims: int, **values: Any) -> ModelProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, **values)
    return network([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])


def sparse(*dims: int) -> ModelProto:
    model = network(chain(1))
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    model.graph.sparse_initializer.add(values=values, indices=indices, dims=dims)
    return model


def in_place(where: str) -> ModelProto:
    """A network with a tensor outside, at each of the places where there may be tensors."""
    model = network([helper.make_node("Add", ["x", "w"], ["y"])], [ONE])
    node = model.graph.node[0]
    if where == "initializer":
        model.graph.initializer[0].CopyFrom(outside())
    elif where == "memory":  # ONNX Runtime's own mark for an address
        model.graph.initializer[0].CopyFrom(outside(location="*/_ORT_MEM_ADDR_/*"))
    elif where == "only said where":
        model.graph.initializer[0].external_data.add(key="location", value="weights.bin")
    elif where == "attribute":
        node.attribute.append(helper.make_attribute("value", outside()))
    elif where == "attribute of tensors":
        node.attribute.add(name="values", type=9).tensors.append(outside())
    elif where == "branch":
        inner = helper.make_graph([], "g", [], [], [outside()])
        node.attribute.append(helper.make_attribute("then_branch", inner))
    elif where == "branches":
        inner = helper.make_graph([], "g", [], [], [outside()])
        node.attribute.append(helper.make_attribute("branches", [inner]))
    elif where == "function":
        model.CopyFrom(functions(1, 1))
        attribute = helper.make_attribute("value", outside())
        model.functions[0].node[0].attribute.append(attribute)
    elif where == "default of a function":
        model.CopyFrom(functions(1, 1))
        model.functions[0].attribute_proto.append(helper.make_attribute("value", outside()))
    elif where == "training":
        model.training_info.add().algorithm.initializer.append(outside())
    elif where == "sparse values":
        model.graph.sparse_initializer.add(values=outside(), indices=ONE, dims=[4])
    elif where == "sparse indices":
        model.graph.sparse_initializer.add(values=ONE, indices=outside(), dims=[4])
    elif where == "sparse attribute":
        node.attribute.add(name="v", type=11).sparse_tensor.values.CopyFrom(outside())
    else:
        raise KeyError(where)
    return model


@pytest.mark.parametrize(
    "where",
    [
        *("initializer", "memory", "only said where", "attribute", "attribute of tensors"),
        *("branch", "branches", "function", "default of a function", "training"),
        *("sparse values", "sparse indices", "sparse attribute"),
    ],
)
def test_weights_in_another_file_are_refused(where: str) -> None:
    data = in_place(where).SerializeToString()
    with pytest.raises(WeightsError, match=r"lies in another file.*onnx\.save") as caught:
        check_graph(data, "net")
    assert str(caught.value).startswith("net: ")


def test_weights_in_the_working_directory_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(np.ones(4, np.float32).tobytes())
    path = tmp_path / "net.onnx"
    path.write_bytes(in_place("initializer").SerializeToString())
    card = models.from_file(path, **SPEC)
    for engine in ("openvino", "onnxruntime"):
        with pytest.raises(WeightsError, match="another file"):
            load_model(card, runtime=Runtime(engine))  # type: ignore[arg-type]


def twice(number: int, model: ModelProto) -> bytes:
    """What protocol buffers merge: a graph in two pieces."""
    data = model.SerializeToString()
    return data + bytes([number << 3 | 2, 0])


REFUSED: dict[str, tuple[Callable[[], ModelProto | bytes], str]] = {
    "many steps": (lambda: network(chain(graphs.MOST_STEPS + 1)), "steps"),
    "graphs in graphs": (lambda: branching(graphs.DEEPEST + 1), "deep"),
    "thousands of graphs in graphs": (lambda: nested_bytes(10_000), "deep|damaged"),
    "functions in functions": (lambda: functions(graphs.MOST_CALLS + 3, 1), "call each other"),
    "functions that double": (lambda: functions(20, 2), "steps"),
    "a function that calls itself": (calling_itself, "without end"),
    "a loop": (with_loop, "loop"),
    "a circle": (
        lambda: network(
            [helper.make_node("Add", ["x", "y"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
        ),
        "wait for each other",
    ),
    "a circle through a branch": (circle_through_a_branch, "wait for each other"),
    "a value made twice": (lambda: network([*chain(1), *chain(1)]), "same value"),
    "a big tensor": (lambda: sized(10**6, 10**6, raw_data=bytes(16)), "more numbers"),
    "a big tensor without data": (lambda: sized(10**12), "more numbers"),
    "a big tensor of one float": (lambda: sized(10**6, float_data=[1.0]), "more numbers"),
    "a tensor below nothing": (lambda: sized(-1, 4, raw_data=bytes(16)), "shape"),
    "a tensor of 100 axes": (lambda: sized(*[1] * 100, raw_data=bytes(4)), "shape"),
    "a tensor beyond 64 bits": (lambda: sized(2**62, 2**62, raw_data=bytes(4)), "more numbers"),
    "a big sparse tensor": (lambda: sparse(10**6, 10**6), "sparse"),
    "two graphs": (lambda: twice(7, network(chain(1))), "twice"),
    "no graph": (ModelProto, "something else"),
    "nothing": (lambda: b"", "something else"),
    "text": (lambda: b"<?xml version='1.0'?><net/>", "something else"),
    "a number without end": (lambda: b"\xff" * 20, "damaged"),
    "groups": (lambda: b"\x0b\x0c", "damaged"),
    "a length beyond the end": (lambda: b"\x3a\xff\xff\xff\x7f", "damaged"),
    "a graph that is a number": (lambda: b"\x38\x01", "damaged"),
    "half a file": (lambda: network(chain(9)).SerializeToString()[:-20], "damaged"),
}


def nested_bytes(depth: int) -> bytes:
    """Deeper than the package ``onnx`` writes: graph > node > attribute > graph > ..."""

    def message(number: int, content: bytes) -> bytes:
        n, length = len(content), b""
        while n >= 128:
            length += bytes([n & 127 | 128])
            n >>= 7
        return bytes([number << 3 | 2]) + length + bytes([n]) + content

    data = b""
    for _ in range(depth):
        data = message(1, message(5, message(6, data)))
    return message(7, data)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_engine_must_see(kind: str) -> None:
    make, reason = REFUSED[kind]
    made = make()
    data = made if isinstance(made, bytes) else made.SerializeToString()
    with pytest.raises(WeightsError, match=f"net: expected an ONNX graph.*({reason})"):
        check_graph(data, "net")


ACCEPTED: dict[str, Callable[[], ModelProto]] = {
    "steps": lambda: network(chain(300)),
    "steps in any order": lambda: network(chain(9)[::-1]),
    "branches": lambda: branching(graphs.DEEPEST - 1),
    "functions": lambda: functions(8, 2),
    "typed data": lambda: sized(4, float_data=[1, 2, 3, 4]),
    "no numbers": lambda: sized(0),
    "a number": lambda: sized(float_data=[1.0]),
    "a sparse tensor": lambda: sparse(4),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_what_engines_may_see(kind: str) -> None:
    check_graph(ACCEPTED[kind]().SerializeToString(), "net")


@pytest.mark.parametrize(
    "entry", [e for e in models.entries() if (e.file or "").endswith(".onnx")], ids=str
)
def test_the_packages_own(entry: models.Card) -> None:
    """``read`` does not look at them each time: here they are looked at."""
    assert entry.path is not None
    check_graph(entry.path.read_bytes(), entry.name)


def test_damaged_files_are_errors_of_ours() -> None:
    """Cut anywhere, and with any byte changed."""
    data = in_place("default of a function").SerializeToString()
    good = functions(3, 2).SerializeToString()
    rng = np.random.default_rng(0)
    for whole in (data, good):
        for _ in range(1500):
            changed = bytearray(whole)
            for _ in range(rng.integers(1, 4)):
                changed[rng.integers(len(changed))] = rng.integers(256)
            del changed[rng.integers(len(changed) // 2, 2 * len(changed)) :]
            with suppress(WeightsError):
                check_graph(bytes(changed), "net")


# --- what engines see -----------------------------------------------------------------------------


def as_card(path: Path, model: ModelProto) -> models.Card:
    onnx.save(model, path)
    return models.from_file(path, **SPEC)


def repeated(n: int) -> ModelProto:
    """What doubles in size n times."""
    names = ["x", *(f"c{i}" for i in range(1, n)), "c"]
    nodes = [helper.make_node("Concat", [names[i]] * 2, [names[i + 1]], axis=3) for i in range(n)]
    return network([*nodes, helper.make_node("ReduceMax", ["c"], ["y"], keepdims=0)])


def filled(n: int) -> ModelProto:
    value = numpy_helper.from_array(np.ones(1, np.float32))
    return network(
        [
            helper.make_node("ConstantOfShape", ["s"], ["c"], value=value),
            helper.make_node("ReduceSum", ["c"], ["r"], keepdims=0),
            helper.make_node("Add", ["x", "r"], ["y"]),
        ],
        [numpy_helper.from_array(np.array([n]), "s")],
    )


@pytest.mark.parametrize("model", [repeated(40), filled(10**10)], ids=["doubling", "filling"])
def test_values_of_gigabytes_are_refused_before_they_are_made(
    tmp_path: Path, model: ModelProto
) -> None:
    with pytest.raises(WeightsError, match="GB"):
        load_model(as_card(tmp_path / "net.onnx", model), runtime=Runtime("openvino"))


STRANGE: dict[str, ModelProto] = {
    "texts": network([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.STRING)]),
    "double": network([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.DOUBLE)]),
    "a list": network([helper.make_node("SequenceConstruct", ["x"], ["y"])]),
    "an operator that nobody has": network([helper.make_node("Wipe\x1b[2J\n", ["x"], ["y"])]),
    "a missing input": network([helper.make_node("Add", ["x", "q"], ["y"])]),
    "no steps": network([]),
    "one number": network([helper.make_node("ReduceMax", ["x"], ["y"], keepdims=0)]),
    "a picture": network(chain(1)),
}


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("kind", STRANGE)
def test_strange_networks_are_errors_of_ours(tmp_path: Path, kind: str, engine: Any) -> None:
    from lineament.embed import load_embedder

    model = STRANGE[kind]
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    card = as_card(tmp_path / "net.onnx", model)
    with pytest.raises(WeightsError) as caught:
        load_embedder(card, flip=False, runtime=Runtime(engine))
    assert "\x1b" not in str(caught.value)


def test_nothing_of_what_is_refused_reaches_an_engine(tmp_path: Path) -> None:
    """In a process of its own: some of these have ended processes."""
    paths = []
    for kind in ("a function that calls itself", "thousands of graphs in graphs", "a circle"):
        made = REFUSED[kind][0]()
        paths.append(tmp_path / f"{len(paths)}.onnx")
        paths[-1].write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    paths.append(tmp_path / "memory.onnx")
    paths[-1].write_bytes(in_place("memory").SerializeToString())
    code = """
import sys
from lineament import models
from lineament.errors import WeightsError
from lineament.models.runtime import load_model
for path in sys.argv[1:]:
    try:
        card = models.from_file(path, size_wh=[8, 8], color_order="rgb", mean=0, scale=1)
        load_model(card)
    except WeightsError:
        print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["refused"] * 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_in_the_place_of_files(tmp_path: Path) -> None:
    card = tiny_recognizer(tmp_path / "net.onnx")
    (tmp_path / "net.onnx").unlink()
    os.mkfifo(tmp_path / "net.onnx")
    with pytest.raises(WeightsError):
        models.read(card)
    with pytest.raises(WeightsError, match="pipe"):
        models.from_file(tmp_path / "net.onnx", **SPEC)
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(WeightsError, match="pipe"):
        models.read_manifest(tmp_path / "manifest.json")
    os.mkfifo(tmp_path / "license.txt")
    with pytest.raises(WeightsError, match="pipe"):
        models.license_text(card.replace(license_file="license.txt"))

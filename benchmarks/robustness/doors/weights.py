"""Files of weights from others, in every format that is read: pickles, HDF5, graphs, blobs."""

from __future__ import annotations

import io
import json
import marshal
import os
import pickle
import struct
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np

from doors.case import AbsentError, Case, Door
from doors.damage import NUMBERS, TEXTS, changed, damaged, special_file
from lineament.weights import read_weights

LARGEST = 64 << 20
"""Bytes that the arrays of a case may have: its file has a few thousand."""


def _read(case: Case, name: str, data: bytes, **options: Any) -> bool:
    path = case.file(name, data)
    case.say(name, f"{len(data):,} bytes")
    case.may_read_apart = True  # HDF5 and OpenVINO's front ends are asked in a process of their own
    case.may_read_outside = False
    case.start()
    found = read_weights(path, **options)
    arrays = found.tensors.values()
    case.expect(all(isinstance(array, np.ndarray) for array in arrays), "what is no array")
    size = sum(array.nbytes for array in arrays)
    case.expect(size <= LARGEST, f"arrays of {size:,} bytes")
    repr(found)
    return True


# --- seeds ----------------------------------------------------------------------------------------


def _put(number: int, value: int | bytes | str) -> bytes:
    """A field of protocol buffers."""
    if isinstance(value, int):
        return _varint(number * 8) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number * 8 + 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    value %= 1 << 64
    found = []
    while True:
        found.append(value % 128 + (128 if value > 127 else 0))
        value //= 128
        if not value:
            return bytes(found)


def _caffe(rng: np.random.Generator) -> bytes:
    parts = [_put(1, "net")]
    for name, shape in (("conv", (4, 3, 2, 2)), ("dense", (5, 16))):
        numbers = rng.standard_normal(shape).astype("<f4").tobytes()
        sides = _put(7, _put(1, b"".join(map(_varint, shape))))
        blob = _put(7, sides + _put(5, numbers))
        parts.append(_put(100, _put(1, name) + _put(2, "Convolution") + blob))
    return b"".join(parts)


def _node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    parts = [_put(1, name), _put(2, op), *(_put(3, each) for each in inputs)]
    parts += [_put(5, _put(1, key) + _put(2, value)) for key, value in attributes.items()]
    return _put(1, b"".join(parts))


def _graph(rng: np.random.Generator) -> bytes:
    def constant(name: str, values: Any, kind: int) -> bytes:
        sides = b"".join(_put(2, _put(1, side)) for side in values.shape)
        tensor = _put(1, kind) + _put(2, sides) + _put(4, values.tobytes())
        return _node(name, "Const", dtype=_put(6, kind), value=_put(8, tensor))

    real = _put(6, 1)
    shape = _put(7, b"".join(_put(2, _put(1, side)) for side in (-1, 8, 8, 3)))
    return b"".join(
        [
            _node("input", "Placeholder", dtype=real, shape=shape),
            _node("phase_train", "Placeholder", dtype=_put(6, 10)),
            constant("axes", np.array([1, 2], "<i4"), 3),
            _node("mean", "Mean", "input", "axes", T=real, Tidx=_put(6, 3), keep_dims=_put(5, 0)),
            constant("dense", rng.standard_normal((3, 4)).astype("<f4"), 1),
            _node("embeddings", "MatMul", "mean", "dense", T=real),
            _put(4, _put(1, 27)),
        ]
    )


def _ir() -> tuple[bytes, bytes]:
    def port(number: int, *sides: int) -> str:
        dims = "".join(f"<dim>{side}</dim>" for side in sides)
        return f'<port id="{number}" precision="FP32">{dims}</port>'

    def layer(number: int, kind: str, data: str, inner: str) -> str:
        return (
            f'<layer id="{number}" name="{kind}{number}" type="{kind}" version="opset1">'
            f"{data}{inner}</layer>"
        )

    photo, dense, made = (1, 3, 8, 8), (192, 4), (1, 4)
    shape = 'element_type="f32" shape="{}"'
    layers = [
        layer(
            0,
            "Parameter",
            f"<data {shape.format('1,3,8,8')}/>",
            f"<output>{port(0, *photo)}</output>",
        ),
        layer(
            1,
            "Const",
            f'<data {shape.format("192,4")} offset="16" size="3072"/>',
            f"<output>{port(0, *dense)}</output>",
        ),
        layer(
            2,
            "Const",
            '<data element_type="i64" shape="2" offset="0" size="16"/>',
            '<output><port id="0" precision="I64"><dim>2</dim></port></output>',
        ),
        layer(
            3,
            "Reshape",
            '<data special_zero="true"/>',
            f'<input>{port(0, *photo)}<port id="1" precision="I64"><dim>2</dim></port></input>'
            f"<output>{port(2, 1, 192)}</output>",
        ),
        layer(
            4,
            "MatMul",
            '<data transpose_a="false" transpose_b="false"/>',
            f"<input>{port(0, 1, 192)}{port(1, *dense)}</input><output>{port(2, *made)}</output>",
        ),
        layer(5, "Result", "", f"<input>{port(0, *made)}</input>"),
    ]
    edges = ((0, 0, 3, 0), (2, 0, 3, 1), (3, 2, 4, 0), (1, 0, 4, 1), (4, 2, 5, 0))
    joined = "".join(
        f'<edge from-layer="{a}" from-port="{b}" to-layer="{c}" to-port="{d}"/>'
        for a, b, c, d in edges
    )
    xml = (
        '<?xml version="1.0"?><net name="n" version="11"><layers>'
        f"{''.join(layers)}</layers><edges>{joined}</edges><rt_info/></net>"
    )
    return xml.encode(), struct.pack("<2q", 0, -1) + bytes(3072)


def _tflite(rng: np.random.Generator) -> bytes:
    """A photo, flattened, times a matrix."""
    try:
        import flatbuffers
        import tflite
    except ImportError:
        return b""
    b = flatbuffers.Builder(4096)

    def numbers(start: Any, values: Any) -> int:
        start(b, len(values))
        for value in reversed(values):
            b.PrependInt32(int(value))
        end: int = b.EndVector()
        return end

    def offsets(start: Any, values: list[int]) -> int:
        start(b, len(values))
        for value in reversed(values):
            b.PrependUOffsetTRelative(value)
        end: int = b.EndVector()
        return end

    def buffer(data: bytes) -> int:
        vector = b.CreateByteVector(data) if data else None
        tflite.BufferStart(b)
        if vector is not None:
            tflite.BufferAddData(b, vector)
        end: int = tflite.BufferEnd(b)
        return end

    def tensor(name: str, shape: tuple[int, ...], at: int, kind: int = 0) -> int:
        text = b.CreateString(name)
        sides = numbers(tflite.TensorStartShapeVector, shape)
        tflite.TensorStart(b)
        tflite.TensorAddShape(b, sides)
        tflite.TensorAddType(b, kind)
        tflite.TensorAddBuffer(b, at)
        tflite.TensorAddName(b, text)
        end: int = tflite.TensorEnd(b)
        return end

    def code(kind: int) -> int:
        tflite.OperatorCodeStart(b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(b, kind)
        tflite.OperatorCodeAddBuiltinCode(b, kind)
        end: int = tflite.OperatorCodeEnd(b)
        return end

    def step(opcode: int, inputs: list[int], outputs: list[int], kind: int, given: int) -> int:
        into = numbers(tflite.OperatorStartInputsVector, inputs)
        out = numbers(tflite.OperatorStartOutputsVector, outputs)
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, opcode)
        tflite.OperatorAddInputs(b, into)
        tflite.OperatorAddOutputs(b, out)
        tflite.OperatorAddBuiltinOptionsType(b, kind)
        tflite.OperatorAddBuiltinOptions(b, given)
        end: int = tflite.OperatorEnd(b)
        return end

    weights = rng.standard_normal((4, 192)).astype("<f4").tobytes()
    buffers = [buffer(data) for data in (b"", struct.pack("<2i", 1, 192), weights)]
    tensors = [
        tensor("photo", (1, 8, 8, 3), 0),
        tensor("sides", (2,), 1, 2),
        tensor("row", (1, 192), 0),
        tensor("dense", (4, 192), 2),
        tensor("embedding", (1, 4), 0),
    ]
    tflite.ReshapeOptionsStart(b)
    reshape = tflite.ReshapeOptionsEnd(b)
    tflite.FullyConnectedOptionsStart(b)
    dense = tflite.FullyConnectedOptionsEnd(b)
    steps = [step(0, [0, 1], [2], 17, reshape), step(1, [2, 3, -1], [4], 8, dense)]
    held = offsets(tflite.SubGraphStartTensorsVector, tensors)
    done = offsets(tflite.SubGraphStartOperatorsVector, steps)
    into = numbers(tflite.SubGraphStartInputsVector, [0])
    out = numbers(tflite.SubGraphStartOutputsVector, [4])
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, held)
    tflite.SubGraphAddInputs(b, into)
    tflite.SubGraphAddOutputs(b, out)
    tflite.SubGraphAddOperators(b, done)
    graphs = offsets(tflite.ModelStartSubgraphsVector, [tflite.SubGraphEnd(b)])
    codes = offsets(tflite.ModelStartOperatorCodesVector, [code(22), code(9)])
    kept = offsets(tflite.ModelStartBuffersVector, buffers)
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, kept)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _keras(code: str | None = None) -> bytes:
    try:
        import h5py
    except ImportError:
        return b""
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"conv", b"bn"]
        for layer, values in (("conv", ("kernel", "bias")), ("bn", ("gamma", "moving_mean"))):
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [f"{layer}/{value}:0".encode() for value in values]
            for value in values:
                inner.create_dataset(f"{layer}/{value}:0", data=np.ones((3, 4), "<f4"))
        layers: list[Any] = [{"class_name": "Conv2D", "config": {"name": "conv"}}]
        if code is not None:
            layers.append(
                {"class_name": "Lambda", "config": {"name": "f", "function": [code, None, None]}}
            )
        described = {"class_name": "Model", "config": {"name": "m", "layers": layers}}
        file.attrs["model_config"] = json.dumps(described)
    return made.getvalue()


def _torch() -> tuple[bytes, bytes]:
    """A dict of one tensor, in both layouts; by hand, since importing PyTorch takes long."""
    pickled = (
        b"\x80\x02}q\x00X\x08\x00\x00\x00a.weightctorch._utils\n_rebuild_tensor_v2\n"
        b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
        b"X\x03\x00\x00\x00cpuK\x0ctQK\x00K\x03K\x04\x86K\x04K\x01\x86\x89"
        b"ccollections\nOrderedDict\n)RtRs."
    )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/data/0", bytes(48))
    head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    legacy = head + b"\x80\x02M\xe9\x03.\x80\x02}q\x00." + pickled
    keys = b"\x80\x02]q\x00X\x01\x00\x00\x000a."
    return made.getvalue(), legacy + keys + struct.pack("<q", 12) + bytes(48)


def _safetensors() -> bytes:
    told = {
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    }
    text = json.dumps(told).encode()
    return struct.pack("<Q", len(text)) + text + bytes(32)


def _dlib() -> bytes:
    name = b"loss_metric_2"
    return b"\1\1\1" + bytes([len(name)]) + name + bytes(range(1, 200)) * 3


# --- kinds ----------------------------------------------------------------------------------------

ENDINGS = {
    "zip": "pth",
    "legacy": "pt",
    "safetensors": "safetensors",
    "h5": "h5",
    "caffe": "caffemodel",
    "graph": "pb",
    "tflite": "tflite",
    "dlib": "dat",
}


def _mutant(case: Case, kind: str) -> bool:
    seed = case.shared[kind]
    if not seed:
        raise AbsentError(f"what makes a file of the kind {kind} is not installed")
    return _read(case, f"x.{ENDINGS[kind]}", damaged(seed, case.rng, case.shared))


def pytorch_mutants(case: Case) -> bool:
    """Bytes of a PyTorch file are others."""
    return _mutant(case, case.pick(["zip", "legacy"]))


def blob_mutants(case: Case) -> bool:
    """Bytes of a Caffe, dlib or safetensors file are others."""
    return _mutant(case, case.pick(["caffe", "caffe", "safetensors", "dlib"]))


def h5_mutants(case: Case) -> bool:
    """Bytes of an HDF5 file are others."""
    return _mutant(case, "h5")


def graph_mutants(case: Case) -> bool:
    """Bytes of a frozen graph are others."""
    return _mutant(case, "graph")


def tflite_mutants(case: Case) -> bool:
    """Bytes of a TensorFlow Lite file are others."""
    return _mutant(case, "tflite")


class _Runs:
    """Starts something as it is unpickled."""

    def __init__(self, how: tuple[Any, ...]) -> None:
        self.how = how

    def __reduce__(self) -> tuple[Any, ...]:
        return self.how


def evil_pickles(case: Case) -> bool:
    """Pickles that run something, in each of the layouts, or want all memory or time."""
    mark = str(case.outside / "ran")
    script = f"open({mark!r}, 'w').close()"
    evil = case.pick(
        [
            pickle.dumps(_Runs((os.system, (f"echo x > {mark}",))), int(case.rng.integers(6))),
            pickle.dumps(_Runs((exec, (script,))), int(case.rng.integers(2, 6))),
            pickle.dumps(_Runs((eval, (script,))), 2),
            f"cbuiltins\nexec\n(V{script}\ntR.".encode(),
            f"(V{script}\nibuiltins\nexec\n.".encode(),
            f"cbuiltins\ngetattr\n(cos\nsystem\nV__call__\ntR(Vecho > {mark}\ntR.".encode(),
            b"ctorch.hub\nload\n(Vx\nVy\ntR.",
            b"ctorch._utils\n_rebuild_tensor_v2\n(I1\nI2\nI3\nI4\ntR.",
            b"ctorch\nload\n(V/etc/passwd\ntR.",
            b"ccollections\nOrderedDict\n(lp0\ng0\natRp1\ng1\ng1\ns.",
            b"\x80\x02" + b"]q\x00" + b"h\x00\x85q\x00" * 5000 + b".",
            b"\x80\x02}(" + b"K\x01\x85q\x01" + b"h\x01h\x01\x86q\x01" * 60 + b"K\x02u.",
            b"\x80\x02(" + b"K\x01" * 200_000 + b"t.",
            b"\x80\x02\x8b\xff\xff\xff\x7f.",
            b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
            b"\x80\x02" + b"(" * 100_000 + b".",
            b"I" + b"9" * 100_000 + b"\n.",
            b"\x80\x02r\xff\xff\xff\x7f.",
        ]
    )
    layout = int(case.rng.integers(3))
    if layout == 0:
        return _read(case, "x.pth", evil)
    if layout == 1:
        head = case.shared["legacy"][:15]
        return _read(case, "x.pth", head + b"\x80\x02M\xe9\x03.\x80\x02}q\x00." + evil)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", case.pick([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as file:
        file.writestr("archive/data.pkl", evil)
        file.writestr("archive/data/0", bytes(100))
        file.writestr(f"../../outside/{case.number}", "x")
    return _read(case, "x.pth", made.getvalue())


def zip_bombs(case: Case) -> bool:
    """Archives that unfold to gigabytes, or lie about their files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        kind = case.rng.integers(3)
        if kind == 0:
            file.writestr("a/data.pkl", bytes(int(case.pick([1 << 20, 300 << 20]))))
        elif kind == 1:
            file.writestr("config.json", "[" * int(case.pick([10, 1 << 20])))
            file.writestr("model.weights.h5", bytes(int(case.pick([0, 1 << 20, 200 << 20]))))
        else:
            for number in range(int(case.pick([10, 20_000]))):
                file.writestr(f"a/data/{number}", b"")
            file.writestr("a/data.pkl", b"}.")
    case.bound_mb = 900.0
    return _read(case, "x.keras", made.getvalue())


def headers(case: Case) -> bool:
    """The header of a safetensors file says something else."""
    told: Any = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    told = changed(told, case.rng, times=int(case.rng.integers(1, 4)))
    if case.chance(0.3) and isinstance(told, dict):
        told["b"] = {"dtype": "F32", "shape": case.pick([*NUMBERS, [1 << 62, 4]])}
    text = json.dumps(told).encode(errors="replace")
    length = case.pick([len(text), len(text) + 8, 1 << 40, 0])
    return _read(case, "x.safetensors", struct.pack("<Q", length) + text + bytes(24))


def lambdas(case: Case) -> bool:
    """HDF5 with code, with links that lead out, and with arrays that are not there."""
    mark = str(case.outside / "ran")
    code = marshal.dumps(compile(f"open({mark!r}, 'w').close()", "x", "exec"))
    data = _keras(b64encode(code).decode())
    if not data:
        raise AbsentError("h5py is not installed")
    import h5py

    made = io.BytesIO(data)
    kind = case.rng.integers(6)
    with h5py.File(made, "r+") as file:
        inner = file["model_weights/conv/conv"]
        secret = str(case.outside / "weights.bin")
        if kind:
            del inner["bias:0"]
        if kind == 1:
            inner["bias:0"] = h5py.ExternalLink(secret, "/x")
        elif kind == 2:
            inner.create_dataset("bias:0", (4,), "f4", external=[(secret, 0, 16)])
        elif kind == 3:
            inner.create_dataset("bias:0", (1 << 30,), "f4", chunks=True, compression="gzip")
        elif kind == 4:
            inner["bias:0"] = h5py.SoftLink("/model_weights/conv/conv/bias:0")
        elif kind == 5:
            file["model_weights"].attrs["layer_names"] = [case.pick(["conv", "../..", "/", "conv"])]
    accepted = _read(case, "x.h5", made.getvalue())
    case.expect(kind in (0, 5), f"numbers from elsewhere were accepted ({kind})")
    return accepted


def layers(case: Case) -> bool:
    """OpenVINO's XML says something else, or names what it must not."""
    xml, numbers = _ir()
    kind = case.rng.integers(7)
    if kind == 0:
        xml = damaged(xml, case.rng)
    elif kind == 1:
        bomb = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
        start = f'<?xml version="1.0"?><!DOCTYPE n [<!ENTITY a0 "x">{bomb}]><net>&a11;</net>'
        xml = start.encode()
    elif kind == 2:
        word = case.pick([b"Loop", b"TensorIterator", b"If", b"FrameworkNode", b"Nothing"])
        xml = xml.replace(b'type="Reshape"', b'type="' + word + b'"')
    elif kind == 3:
        text = str(case.pick([-1, 1, 1 << 62, 3073, "x"])).encode()
        xml = xml.replace(b'offset="16"', b'offset="' + text + b'"')
    elif kind == 4:
        text = str(case.pick(["0,0", "-1,4", "192,1000000000", "192,5", ""])).encode()
        xml = xml.replace(b'shape="192,4"', b'shape="' + text + b'"')
    elif kind == 5:
        xml = xml.replace(b'from-layer="0"', b'from-layer="4"')
    else:
        numbers = damaged(numbers, case.rng)
    case.file("x.bin", numbers)
    return _read(case, "x.xml", xml)


def options(case: Case) -> bool:
    """Outputs and sizes that are none."""
    sizes = [None, (0, 0), (-1, 5), (1 << 20, 1 << 20), (8, 8), (9, 7)]
    output = case.pick([None, "embeddings", "nothing", "mean", *TEXTS])
    return _read(case, "x.pb", case.shared["graph"], output=output, size_wh=case.pick(sizes))


def special_files(case: Case) -> bool:
    """In the place of a file stands something else."""
    path = special_file(case, "x.pth", "x{}.pth", b"x")
    read_weights(path)
    return True


def _prepare(home: Path, seed: int) -> dict[str, bytes]:
    rng = np.random.default_rng(seed)
    zipped, legacy = _torch()
    return {
        "zip": zipped,
        "legacy": legacy,
        "safetensors": _safetensors(),
        "h5": _keras(),
        "caffe": _caffe(rng),
        "graph": _graph(rng),
        "tflite": _tflite(rng),
        "dlib": _dlib(),
    }


DOOR = Door(
    "weights",
    (
        pytorch_mutants,
        evil_pickles,
        blob_mutants,
        h5_mutants,
        pytorch_mutants,
        graph_mutants,
        blob_mutants,
        tflite_mutants,
        evil_pickles,
        headers,
        lambdas,
        layers,
        pytorch_mutants,
        blob_mutants,
        h5_mutants,
        zip_bombs,
        graph_mutants,
        special_files,
        tflite_mutants,
        options,
    ),
    cases=2000,
    bound_mb=400.0,
    limit_s=30.0,
    prepare=_prepare,
)

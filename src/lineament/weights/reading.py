"""``read_weights``: which format a file has is seen in its bytes, and its reader is called."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from lineament.arguments import checked
from lineament.errors import WeightsError
from lineament.files import TooManyBytesError, read_regular
from lineament.models.cards import LARGEST_FILE
from lineament.text import reason_of
from lineament.weights import caffe, dlib_file, keras, onnx_file, pytorch, safetensors, tensorflow
from lineament.weights.file import (
    FORMATS,
    MOST_TENSORS,
    Contents,
    Format,
    Refusal,
    WeightsFile,
    error_of,
)
from lineament.weights.graphs import read_graph
from lineament.weights.wire import fields

_ANY: Final = "a file of weights"


@checked
def read_weights(
    path: str | os.PathLike[str],
    *,
    output: str | None = None,
    size_wh: tuple[int, int] | None = None,
) -> WeightsFile:
    """Read a file of weights, without the framework that wrote it; nothing in it is executed.

    Args:
        path: of the file; of OpenVINO's format the .xml, the .bin beside it has the same name.
        output: of a network with several outputs, the one that counts.
        size_wh: width and height of the photos, where a network leaves them open.

    Raises:
        WeightsError: it cannot be read, it is none of ``FORMATS``, or it is damaged.
        MissingExtraError: a package is missing: h5py for Keras' files.
    """
    file = Path(path)
    data = _read(file)
    kind = format_of(data, file.name)
    try:
        contents = _contents(file, data, kind, output, size_wh)
        if len(contents.tensors) > MOST_TENSORS:
            raise error_of(file, FORMATS[kind], f"more than {MOST_TENSORS:,} tensors")
    except Refusal as refusal:
        raise error_of(file, FORMATS[kind], refusal) from refusal
    except WeightsError as error:
        if str(file) in str(error):
            raise
        raise WeightsError(f"{file}: {error.message}", hint=error.hint) from error
    except ValueError as error:  # what the reader of protocol buffers says
        raise error_of(file, FORMATS[kind], error) from error
    return WeightsFile(
        path=file,
        format=kind,
        tensors=contents.tensors,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        graph=contents.graph,
        notes=contents.notes,
    )


def _read(file: Path) -> bytes:
    try:
        return read_regular(file, at_most=LARGEST_FILE)
    except TooManyBytesError as error:
        raise WeightsError(f"{file}: {reason_of(error)}") from error
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file}: expected {_ANY}, got: {reason_of(error)}") from error


def _contents(
    file: Path,
    data: bytes,
    kind: Format,
    output: str | None,
    size_wh: tuple[int, int] | None,
) -> Contents:
    if kind == "pytorch":
        return pytorch.read_pytorch(data)
    if kind == "safetensors":
        return safetensors.read_safetensors(data)
    if kind == "keras-h5":
        return keras.read_keras_h5(data)
    if kind == "keras":
        return keras.read_keras_archive(data)
    if kind == "onnx":
        return onnx_file.read_onnx(data, str(file))
    if kind == "caffe":
        return caffe.read_caffe(data)
    if kind == "dlib":
        return dlib_file.read_dlib(data)
    numbers = b""
    if kind == "openvino":
        numbers = _read(file.with_suffix(".bin"))
    return read_graph(data, kind, numbers=numbers, output=output, size_wh=size_wh)


def format_of(data: bytes, name: str) -> Format:
    """The format of a file, by its bytes; its name only where two would be possible.

    Args:
        data: the whole file.
        name: of it.

    Raises:
        WeightsError: it is none of ``FORMATS``.
    """
    if data[:2] == b"PK":
        if pytorch.is_archive(data):
            return "pytorch"
        if keras.is_keras_archive(data):
            return "keras"
        raise error_of(name, _ANY, "an archive of something else", _HINT)
    if data.startswith(keras.HDF5_HEAD):
        return "keras-h5"
    if data[4:8] == b"TFL3":
        return "tflite"
    if data.startswith(pytorch.LEGACY_HEAD):
        return "pytorch"
    start = data[:200].lstrip()
    if start.startswith((b"<?xml", b"<net")):
        return "openvino"
    if dlib_file.is_dlib(data):
        return "dlib"
    if safetensors.is_safetensors(data):
        return "safetensors"
    if data[:1] == b"\x80" and data[1:2] in b"\2\3\4\5":
        raise error_of(
            name,
            _ANY,
            "a pickle, which may run anything",
            "save the weights with torch.save or safetensors",
        )
    found = _buffers(data)
    if found is None:
        raise error_of(name, _ANY, "something else", _HINT)
    return found


def _buffers(data: bytes) -> Format | None:
    """Which of the formats of protocol buffers it is."""
    try:
        top = [(number, isinstance(value, int)) for number, value in fields(memoryview(data))]
    except ValueError:
        top = []
    if not top or len(top) > 1_000_000:
        return None
    if (7, False) in top and (1, True) in top:
        return "onnx"
    if tensorflow.is_graph(data):
        return "tensorflow"
    return "caffe" if caffe.is_caffe(data) else None


_HINT = "formats that are read: " + "; ".join(FORMATS.values())

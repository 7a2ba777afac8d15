"""Weights of dlib's recognizer, a ResNet of 29 convolutions, from its .dat file.

The format (dlib's ``serialize.h`` and ``dnn/core.h`` describe it): a network is written from its
output to its input, each layer as a version number followed by the layer below; behind the input
come the layers' parameters, from the input to the output. An integer is a byte that holds its sign
and length, then its bytes, lowest first; a real number is two integers, mantissa and exponent of 2;
a text is its length and its bytes.

Tensors: ``mean`` (3,), the color that is taken from each pixel; ``conv0.weight``, ``conv0.bias``
and ``affine0.weight``, ``affine0.bias``; of block 1 to 14 the same with "1a", "1b"; and
``dense.weight``, (256, 128), inputs first.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from lineament.weights.file import Array, Contents, array_of, refuse, size_of

SIZE: Final = 150
BLOCKS: Final = (
    *((32, False),) * 3,
    *((64, True), *((64, False),) * 3),
    *((128, True), *((128, False),) * 2),
    *((256, True), *((256, False),) * 2),
    (256, True),
)
"""Channels of the residual blocks, and whether they halve the picture, from the input on: the
network ``anet_type`` of dlib's example dnn_face_recognition_ex.cpp."""

_WRAPPERS: Final = {"tag": 1, "skip": 1}


class _Reader:
    """Reads dlib's values one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> memoryview:
        piece = memoryview(self.data)[self.at : self.at + count]
        if count < 0 or len(piece) != count:
            raise refuse("a file that was cut short, or something else")
        self.at += count
        return piece

    def whole(self) -> int:
        (head,) = self.take(1)
        length = head & 15
        if head & 0x70 or not 1 <= length <= 8:
            raise refuse(f"something else at byte {self.at - 1:,}")
        value = int.from_bytes(self.take(length), "little")
        return -value if head & 0x80 else value

    def real(self) -> float:
        mantissa, exponent = self.whole(), self.whole()
        if not -2000 < exponent < 1000:
            raise refuse("a number that is none")
        return math.ldexp(float(mantissa), exponent)

    def text(self) -> str:
        length = self.whole()
        if not 0 <= length <= 100:
            raise refuse(f"something else at byte {self.at:,}")
        return bytes(self.take(length)).decode("ascii", "replace")

    def expect(self, found: object, wanted: object) -> None:
        if found != wanted:
            raise refuse(f"{found!a} at byte {self.at:,}, where its recognizer has {wanted!a}")

    def tensor(self) -> Array:
        """A tensor as one row: little-endian float32 behind a version and a shape."""
        self.expect(self.whole(), 2)
        shape = tuple(self.whole() for _ in range(4))
        count = size_of(shape, len(self.data) // 4, "")
        return array_of(self.take(4 * count), "<f4", (count,), "")

    def shape(self) -> tuple[int, ...]:
        """An alias: the shape of a part of another tensor."""
        self.expect(self.whole(), 1)
        found = tuple(self.whole() for _ in range(4))
        size_of(found, len(self.data), "")
        return found


def is_dlib(data: bytes) -> bool:
    """Whether it begins as a network of dlib's does, one that was trained by distances."""
    try:
        reader = _Reader(data[:64])
        return reader.whole() in (1, 2) and reader.text().startswith("loss_")
    except ValueError:
        return False


def read_dlib(data: bytes) -> Contents:
    """The weights by layer.

    Raises:
        Refusal: it is another network than the recognizer.
    """
    reader = _Reader(data)
    reader.expect((reader.whole(), reader.text()), (1, "loss_metric_2"))
    for _ in range(2):
        reader.real()  # margin and distance of training
    layers = _layers()
    # Going down: version 2 is a layer; 1 a tag or a skip, of which nothing else is stored; 3 the
    # layer above the input.
    for at, (kind, _) in enumerate(reversed(layers)):
        last = at == len(layers) - 1
        reader.expect(reader.whole(), _WRAPPERS.get(kind, 3 if last else 2))
    reader.expect(reader.text(), "input_rgb_image_sized")
    tensors: dict[str, Array] = {"mean": np.array([reader.real() for _ in range(3)])}
    reader.expect((reader.whole(), reader.whole()), (SIZE, SIZE))
    for at, (kind, name) in enumerate(layers):
        if kind in _WRAPPERS:
            continue
        reader.expect(reader.text(), kind)
        tensors |= _layer(reader, kind, name)
        for _ in range(3):
            reader.take(1)  # state of training: true or false
        for _ in range(3):
            reader.expect(len(reader.tensor()), 0)  # gradients and a stored output: none
        if at == 0:
            reader.expect(reader.whole(), 1)  # pictures a sample
    reader.expect(reader.at, len(data))
    return Contents(tensors)


def _layer(reader: _Reader, kind: str, name: str) -> dict[str, Array]:
    """A layer's parameters."""
    if kind == "con_4":
        values = reader.tensor()
        for _ in range(7):  # filters, height, width, strides y x, paddings y x
            reader.whole()
        shape, biases = reader.shape(), reader.shape()
        for _ in range(4):
            reader.real()  # rates of learning
        count = math.prod(shape)
        reader.expect((len(values), math.prod(biases)), (count + shape[0], shape[0]))
        weight = values[:count].reshape(shape)
        return {f"{name}.weight": weight, f"{name}.bias": values[count:]}
    if kind == "affine_":
        values = reader.tensor()
        shape = reader.shape()
        reader.expect(reader.shape(), shape)
        reader.expect(reader.whole(), 0)  # one factor a channel
        reader.expect(len(values), 2 * shape[1])
        return {f"{name}.weight": values[: shape[1]], f"{name}.bias": values[shape[1] :]}
    if kind in ("max_pool_2", "avg_pool_2"):
        for _ in range(6):
            reader.whole()
    if kind == "fc_2":
        outputs, inputs = reader.whole(), reader.whole()
        values = reader.tensor()
        reader.expect(reader.shape(), (inputs, outputs, 1, 1))
        reader.expect(len(values), inputs * outputs)
        reader.shape()
        reader.expect(reader.whole(), 1)  # no bias
        for _ in range(4):
            reader.real()
        return {f"{name}.weight": values.reshape(inputs, outputs)}
    return {}


def _layers() -> list[tuple[str, str]]:
    """Kinds and names of the layers from the input to the output, tags and skips among them."""
    found = [("con_4", "conv0"), ("affine_", "affine0"), ("relu_", ""), ("max_pool_2", "")]
    for number, (_, halves) in enumerate(BLOCKS, start=1):
        found.append(("tag", ""))
        for part in ("a", "b"):
            found += [("con_4", f"conv{number}{part}"), ("affine_", f"affine{number}{part}")]
            found += [("relu_", "")] if part == "a" else []
        # The block's result is put aside, the picture before it fetched and halved.
        found += [("tag", ""), ("skip", ""), ("avg_pool_2", "")] if halves else []
        found += [("add_prev_", ""), ("relu_", "")]
    return [*found, ("avg_pool_2", ""), ("fc_2", "dense")]

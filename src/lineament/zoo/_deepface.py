"""DeepFace of 2014 and DeepID as deepface publishes them, for Keras and for PyTorch.

DeepFace: S. Ghosh's network, trained on VGGFace2; the layers' names are those of the paper, "C1" to
"F8". DeepID: "Conv1" to "Conv4", and "fc11" and "fc12", which are added.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import (
    KERAS_CONV,
    SAME,
    Array,
    Framework,
    Layout,
    Published,
    Row,
    Shape,
    Shapes,
    Stored,
    keras_dense_after,
    keras_names,
    keras_value,
)

_L4, _L5, _L6 = 55, 25, 21
_PLACES = {"L4": _L4, "L5": _L5, "L6": _L6}


def _local_from_keras(array: Array, shape: Shape) -> Array:
    """(places, height width ins, outs), the channels last -> (places, ins height width, outs)."""
    places, inputs, outs = shape
    kernel = {1296: 9, 784: 7, 400: 5}[inputs]
    placed = array.reshape(places, kernel, kernel, 16, outs)
    return placed.transpose(0, 3, 1, 2, 4).reshape(shape)


_KERAS_LOCAL = Stored(lambda shape: shape, _local_from_keras)
_TORCH_LOCAL = Stored(
    lambda shape: (shape[0], shape[2], shape[1]), lambda array, _: array.transpose(0, 2, 1)
)
"""(places, outs, ins height width) -> (places, ins height width, outs)."""


def _keras_local_bias(side: int) -> Stored:
    """(height, width, outs) -> (places, 1, outs)."""
    return Stored(lambda shape: (side, side, shape[2]), lambda array, shape: array.reshape(shape))


def _torch_local_bias(side: int) -> Stored:
    """(outs, height, width) -> (places, 1, outs)."""
    return Stored(
        lambda shape: (shape[2], side, side),
        lambda array, shape: array.transpose(1, 2, 0).reshape(shape),
    )


def _face_rows(shapes: Shapes, *, keras: bool) -> Iterator[Row]:
    for key in shapes:
        layer, _, value = key.rpartition(".")
        name = layer.partition(".")[0].upper()
        stored = SAME
        if name in _PLACES and value == "bias":
            side = _PLACES[name]
            stored = _keras_local_bias(side) if keras else _torch_local_bias(side)
        elif name in _PLACES:
            stored = _KERAS_LOCAL if keras else _TORCH_LOCAL
        elif keras and value == "weight":
            stored = keras_dense_after((_L6, _L6)) if name == "F7" else KERAS_CONV
        theirs = f"{name}/{keras_value(value)}" if keras else f"{name}.{value}"
        yield Row(key, theirs, stored)


def _id_rows(shapes: Shapes, *, keras: bool) -> Iterator[Row]:
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, at = layer.split(".")
        stored = SAME
        if stage == "output":
            name = "fc11" if at == "third" else "fc12"
            if keras and value == "weight":
                stored = keras_dense_after((5, 4) if at == "third" else (4, 3))
        else:
            name = stage.capitalize()
            if keras and value == "weight":
                stored = KERAS_CONV
        theirs = f"{name}/{keras_value(value)}" if keras else f"{name}.{value}"
        yield Row(key, theirs, stored)


def _face_keras(shapes: Shapes) -> Iterator[Row]:
    return _face_rows(shapes, keras=True)


def _face_torch(shapes: Shapes) -> Iterator[Row]:
    return _face_rows(shapes, keras=False)


def _id_keras(shapes: Shapes) -> Iterator[Row]:
    return _id_rows(shapes, keras=True)


def _id_torch(shapes: Shapes) -> Iterator[Row]:
    return _id_rows(shapes, keras=False)


def _deepface(framework: Framework) -> Published:
    return Published(
        name="deepface-2014",
        title="DeepFace of 2014, trained by S. Ghosh",
        backbone="deepface",
        source="https://github.com/swghosh/DeepFace",
        framework=framework,
        license="MIT",
        commercial=False,
        input_wh=(152, 152),
        channels="rgb",
        mean=0.0,
        scale=1 / 255,
        alignment="eyes-152",
        flip="none",
        embedding_size=4096,
        training_data="VGGFace2 (3.3 M photos of 9,131 people; research only)",
        paper="Taigman et al., DeepFace, CVPR 2014",
        notes="trained on faces that were not turned to the front",
    )


def _deepid(framework: Framework) -> Published:
    return Published(
        name="deepid",
        title="DeepID of deepface",
        backbone="deepid",
        source="https://github.com/serengil/deepface_models",
        framework=framework,
        license="unknown",
        commercial=False,
        input_wh=(47, 55),
        channels="rgb",
        mean=0.0,
        scale=1 / 255,
        alignment="eyes-47x55",
        flip="none",
        embedding_size=160,
        training_data="unknown",
        paper="Sun, Wang, Tang, CVPR 2014",
        notes="the input of its training is not documented: fed as deepface does, but in RGB",
    )


LAYOUTS: tuple[Layout, ...] = (
    Layout(_deepface("keras"), "L4/kernel", _face_keras, ignored=("F8/",), canonical=keras_names),
    Layout(_deepface("pytorch"), "L4.weight", _face_torch, ignored=(r"F8\.",)),
    Layout(_deepid("keras"), "fc12/kernel", _id_keras, canonical=keras_names),
    Layout(_deepid("pytorch"), "fc12.weight", _id_torch),
)

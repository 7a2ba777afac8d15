"""ArcFace's residual networks as InsightFace and MagFace store them, and deepface's in Keras.

InsightFace's arcface_torch and MagFace have the same layers under the same names; MagFace puts
"features.module." before them, feeds BGR of 0 to 1, and takes the length of an embedding as the
quality of the photo. deepface's "ArcFace" is the network of 34 layers, for Keras and for PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import (
    KERAS_CONV,
    KERAS_SLOPES,
    Framework,
    Layout,
    Published,
    Row,
    Shapes,
    Stored,
    keras_dense_after,
    keras_names,
    keras_value,
)

_UNIT = ("bn1", "conv1", "bn2", "prelu", "conv2", "bn3")
_STEM = ("conv1", "bn1", "prelu")
_PAPER = "Deng et al., ArcFace, CVPR 2019, arXiv:1801.07698"
_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}


def insightface_rows(shapes: Shapes) -> Iterator[Row]:
    """arcface_torch: "layer1.0.bn1.weight", "layer2.0.downsample.0.weight", "fc.bias"."""
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        if stage == "stem":
            theirs = _STEM[int(rest[0])]
        elif stage == "output":
            theirs = {"0": "bn2", "3": "fc", "4": "features"}[rest[0]]
        else:
            unit, way, at = rest
            part = _UNIT[int(at)] if way == "path" else f"downsample.{at}"
            theirs = f"layer{stage.removeprefix('stage')}.{unit}.{part}"
        yield Row(key, f"{theirs}.{value}")


def _keras_rows(shapes: Shapes) -> Iterator[Row]:
    """deepface on Keras: "conv2_block1_1_conv/kernel", "conv2_block1_0_bn/gamma"."""
    unit = ("1_bn", "1_conv", "2_bn", "1_prelu", "2_conv", "3_bn")
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        stored: Stored | None = None
        if stage == "stem":
            theirs = ("conv1_conv", "conv1_bn", "conv1_prelu")[int(rest[0])]
        elif stage == "output":
            theirs = {"0": "batch_normalization@0", "3": "dense@0", "4": "embedding"}[rest[0]]
            if (rest[0], value) == ("3", "weight"):
                stored = keras_dense_after((7, 7))
        else:
            number, way, at = rest
            part = unit[int(at)] if way == "path" else ("0_conv", "0_bn")[int(at)]
            theirs = f"conv{int(stage[-1]) + 1}_block{int(number) + 1}_{part}"
        slope = theirs.endswith("prelu")
        norm = not slope and not theirs.endswith("conv") and theirs != "dense@0"
        if stored is None and slope:
            stored = KERAS_SLOPES
        elif stored is None and len(shapes[key]) == 4:
            stored = KERAS_CONV
        name = f"{theirs}/{keras_value(value, norm=norm, slope=slope)}"
        yield Row(key, name) if stored is None else Row(key, name, stored)


def _deepface_rows(shapes: Shapes) -> Iterator[Row]:
    """deepface on PyTorch: "backbone.conv2.0.bn_1.weight", "dense.weight", "embedding.bias"."""
    unit = ("bn_1", "conv_1", "bn_2", "prelu_1", "conv_2", "bn_3")
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        if stage == "stem":
            theirs = ("backbone.conv1_conv", "backbone.conv1_bn", "backbone.conv1_prelu")[
                int(rest[0])
            ]
        elif stage == "output":
            theirs = {"0": "bn", "3": "dense", "4": "embedding"}[rest[0]]
        else:
            number, way, at = rest
            part = unit[int(at)] if way == "path" else ("conv_0", "bn_0")[int(at)]
            theirs = f"backbone.conv{int(stage[-1]) + 1}.{number}.{part}"
        yield Row(key, f"{theirs}.{value}")


def _arcface(layers: int) -> Layout:
    published = Published(
        name=f"arcface-r{layers}",
        title=f"ArcFace of InsightFace, {layers} layers (arcface_torch)",
        backbone=f"iresnet{layers}",
        source="https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch",
        framework="pytorch",
        license="unknown",
        commercial=False,
        input_wh=(112, 112),
        channels="rgb",
        mean=127.5,
        scale=1 / 127.5,
        alignment="arcface-112",
        flip="none",
        embedding_size=512,
        training_data="MS1MV2, MS1MV3 or Glint360K (research only, says InsightFace)",
        paper=_PAPER,
        notes="InsightFace: its models are for non-commercial research only",
    )
    return Layout(published, _last(layers), insightface_rows, ignored=(r"fc\d*\.", r"weight$"))


def _magface(layers: int) -> Layout:
    published = Published(
        name=f"magface-r{layers}",
        title=f"MagFace, {layers} layers",
        backbone=f"iresnet{layers}",
        source="https://github.com/IrvingMeng/MagFace",
        framework="pytorch",
        license="Apache-2.0",
        commercial=False,
        input_wh=(112, 112),
        channels="bgr",
        mean=0.0,
        scale=1 / 255,
        alignment="arcface-112",
        flip="none",
        embedding_size=512,
        training_data="MS1MV2 (research only)",
        paper="Meng et al., MagFace, CVPR 2021, arXiv:2103.06627",
        notes="the length of an embedding tells the quality of the photo",
    )
    return Layout(
        published, "features.module." + _last(layers), _magface_rows, norm_eps=2e-5, ignored=()
    )


def _magface_rows(shapes: Shapes) -> Iterator[Row]:
    for row in insightface_rows(shapes):
        yield Row(row.ours, f"features.module.{row.theirs}")


def _last(layers: int) -> str:
    """The last unit tells how many layers there are, together with the third stage's."""
    return f"layer3.{_UNITS[layers][2] - 1}.bn3.running_var"


def _deepface(framework: Framework) -> Layout:
    published = Published(
        name="arcface-r34-deepface",
        title="ArcFace of deepface, 34 layers",
        backbone="iresnet34",
        source="https://github.com/serengil/deepface_models",
        framework=framework,
        license="MIT",
        commercial=False,
        input_wh=(112, 112),
        channels="rgb",
        mean=127.5,
        scale=1 / 128,
        alignment="arcface-112",
        flip="none",
        embedding_size=512,
        training_data="MS1M (research only)",
        paper=_PAPER,
        notes=(
            "deepface feeds it BGR of 0 to 1 from a box; here it gets what it was trained on, so "
            "distances are not those of deepface"
        ),
    )
    if framework == "keras":
        return Layout(
            published,
            "conv5_block3_3_bn/gamma",
            _keras_rows,
            norm_eps=2e-5,
            canonical=keras_names,
        )
    return Layout(published, "backbone.conv5.2.bn_3.weight", _deepface_rows, norm_eps=2e-5)


LAYOUTS: tuple[Layout, ...] = (
    *(_arcface(layers) for layers in _UNITS),
    *(_magface(layers) for layers in _UNITS),
    _deepface("keras"),
    _deepface("pytorch"),
)

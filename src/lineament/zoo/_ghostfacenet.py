"""GhostFaceNetV1 of width 1.3 as its authors (Keras) and deepface (PyTorch) store it.

In Keras only the last four layers have names; all others are counted by kind, in the order in which
they were made: that of our modules.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import (
    KERAS_CONV,
    KERAS_DEPTHWISE,
    KERAS_SLOPES,
    SAME,
    Framework,
    Layout,
    Published,
    Row,
    Shapes,
    Stored,
    keras_names,
    keras_value,
)

_OUTPUT = {"1": "gdc_dw", "2": "gdc_bn", "3": "gdc_conv", "5": "pre_embedding"}
_KERAS_OUTPUT = {"1": "GDC_dw", "2": "GDC_batchnorm", "3": "GDC_conv", "5": "pre_embedding"}
_PARTS = {"1": "conv", "2": "bn", "3": "prelu"}


def _torch_rows(shapes: Shapes) -> Iterator[Row]:
    """deepface: "bottlenecks.3.ghost_1.primary.conv.weight", "bottlenecks.3.se.reduce.bias"."""
    units: list[str] = []
    last: dict[str, int] = {}  # of each unit, where its second ghost module stands
    for key in shapes:
        stage, unit, *rest = key.split(".")
        if rest[:1] == ["path"]:
            last[f"{stage}.{unit}"] = int(rest[1])
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        if stage == "stem":
            theirs = f"stem.{_PARTS[rest[0]]}"
        elif stage == "output":
            theirs = f"tail.{_PARTS[rest[1]]}" if rest[0] == "0" else _OUTPUT[rest[0]]
        else:
            unit = f"{stage}.{rest[0]}"
            if units[-1:] != [unit]:
                units.append(unit)
            way, at, *part = rest[1:]
            theirs = f"bottlenecks.{len(units) - 1}."
            if way == "shortcut":
                theirs += f"shortcut.{at}.{_PARTS[part[0]]}"
            elif part[0] in ("first", "second"):
                ghost = "ghost_2" if int(at) == last[unit] else "ghost_1"
                half = "primary" if part[0] == "first" else "cheap"
                theirs += f"{ghost}.{half}.{_PARTS[part[1]]}"
            elif part[0] == "weigh":
                theirs += "se." + {"1": "reduce", "2": "prelu", "3": "expand"}[part[1]]
            else:
                theirs += f"downsample.{_PARTS[part[0]]}"
        yield Row(key, f"{theirs}.{value}")


def _keras_rows(shapes: Shapes) -> Iterator[Row]:
    """The authors: "conv2d_7/kernel", "depthwise_conv2d_3/depthwise_kernel"."""
    counts: dict[str, int] = {}
    layers: dict[str, str] = {}
    for key, shape in shapes.items():
        layer, _, value = key.rpartition(".")
        norm = f"{layer}.running_mean" in shapes
        slope = not norm and f"{layer}.bias" not in shapes and len(shape) == 1
        depthwise = len(shapes[f"{layer}.weight"]) == 4 and shapes[f"{layer}.weight"][1] == 1
        if layer not in layers:
            stage, _, at = layer.rpartition(".")
            kind = "batch_normalization" if norm else "prelu" if slope else "conv2d"
            kind = "depthwise_conv2d" if depthwise else kind
            if stage == "output":
                layers[layer] = _KERAS_OUTPUT[at]
            else:
                layers[layer] = f"{kind}@{counts.setdefault(kind, 0)}"
                counts[kind] += 1
        stored: Stored = SAME
        if len(shape) == 4:
            stored = KERAS_DEPTHWISE if depthwise else KERAS_CONV
        elif slope:
            stored = KERAS_SLOPES
        word = keras_value(value, norm=norm, slope=slope)
        yield Row(key, f"{layers[layer]}/{'depthwise_kernel' if depthwise else word}", stored)


def _entry(framework: Framework) -> Published:
    return Published(
        name="ghostfacenet-v1",
        title="GhostFaceNetV1, width 1.3, stride 1",
        backbone="ghostfacenet",
        source="https://github.com/HamadYA/GhostFaceNets",
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
        training_data="MS1MV3 (research only)",
        paper="Alansari et al., GhostFaceNets, IEEE Access 2023",
        notes="deepface feeds it BGR of 0 to 1; here it gets what it was trained on",
    )


LAYOUTS: tuple[Layout, ...] = (
    Layout(_entry("keras"), "GDC_dw/depthwise_kernel", _keras_rows, canonical=keras_names),
    Layout(_entry("pytorch"), "bottlenecks.0.ghost_1.primary.conv.weight", _torch_rows),
)

"""Light CNN as its authors publish it: "module.group1.conv_a.filter.weight"."""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import Layout, Published, Row, Shapes

_BLOCKS = (1, 2, 3, 4)


def _nine_rows(shapes: Shapes) -> Iterator[Row]:
    """Nine layers: a sequence with its maxima, "features.2.conv_a.filter.bias"."""
    places = {"stage1": 2, "stage2": 4, "stage3": 6, "stage4": 7}
    for key in shapes:
        stage, at, _, *rest = key.split(".")
        value = rest[-1]
        if stage == "stem":
            yield Row(key, f"features.0.filter.{value}")
        elif stage == "output":
            yield Row(key, f"fc1.filter.{value}")
        else:
            part = "conv_a" if at == "0" else "conv"
            yield Row(key, f"features.{places[stage]}.{part}.filter.{value}")


def _rows(shapes: Shapes) -> Iterator[Row]:
    """Twenty-nine layers: "block2.1.conv2.filter.weight", "group2.conv.filter.weight"."""
    for key in shapes:
        stage, at, *rest = key.split(".")
        value = rest[-1]
        number = stage.removeprefix("stage")
        if stage == "stem":
            theirs = "conv1.filter"
        elif stage == "output":
            theirs = "fc.filter" if rest[0] == "layer" else "fc"
        elif rest[0] == "path":  # path.1.layer.weight
            theirs = f"block{number}.{at}.conv{int(rest[1]) + 1}.filter"
        else:
            first = int(at) == _BLOCKS[int(number) - 1]
            theirs = f"group{number}.{'conv_a' if first else 'conv'}.filter"
        yield Row(key, f"{theirs}.{value}")


def _entry(form: str) -> Published:
    return Published(
        name=f"lightcnn-{form}",
        title=f"Light CNN-{form} of its authors",
        backbone=f"lightcnn{form}",
        source="https://github.com/AlfredXiangWu/LightCNN",
        framework="pytorch",
        license="unknown",
        commercial=False,
        input_wh=(128, 128),
        channels="gray",
        mean=0.0,
        scale=1 / 255,
        alignment="arcface-128",
        flip="none",
        embedding_size=256,
        training_data="MS-Celeb-1M, cleaned (withdrawn; research only)",
        paper="Wu et al., A Light CNN, TIFS 2018, arXiv:1511.02683",
        notes="in the crops of its training the eyes lie at 40 of 128 pixels, the mouth 48 below",
    )


LAYOUTS: tuple[Layout, ...] = (
    Layout(_entry("9"), "features.7.conv.filter.weight", _nine_rows, ignored=(r"fc2\.",)),
    Layout(_entry("29"), "fc.filter.weight", _rows, ignored=(r"fc2\.",)),
    Layout(_entry("29v2"), "group4.conv.filter.weight", _rows, ignored=(r"fc2\.",)),
)

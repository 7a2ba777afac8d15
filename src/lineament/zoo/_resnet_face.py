"""The gray ResNet-18 of arcface-pytorch, whose weights ailia's ArcFace sample carries."""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import Layout, Published, Row, Shapes

_UNIT = ("bn0", "conv1", "bn1", "prelu", "conv2", "bn2")


def _rows(shapes: Shapes) -> Iterator[Row]:
    """ "layer1.0.bn0.weight", "layer2.0.downsample.1.bias", "fc5.weight"."""
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        if stage == "stem":
            theirs = ("conv1", "bn1", "prelu")[int(rest[0])]
        elif stage == "output":
            theirs = {"0": "bn4", "3": "fc5", "4": "bn5"}[rest[0]]
        else:
            unit, way, at = rest
            part = _UNIT[int(at)] if way == "path" else f"downsample.{at}"
            theirs = f"layer{stage.removeprefix('stage')}.{unit}.{part}"
        yield Row(key, f"{theirs}.{value}")


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        Published(
            name="arcface-r18-gray",
            title="ArcFace of arcface-pytorch and of ailia's sample: gray, both views",
            backbone="resnet-face18",
            source="https://github.com/ronghuaiyang/arcface-pytorch",
            framework="pytorch",
            license="unknown",
            commercial=False,
            input_wh=(128, 128),
            channels="gray",
            mean=127.5,
            scale=1 / 127.5,
            alignment="arcface-128",
            flip="concat",
            embedding_size=1024,
            training_data="CASIA-WebFace (0.5 M photos of 10,575 people; research only)",
            paper="Deng et al., ArcFace, CVPR 2019, arXiv:1801.07698",
        ),
        "layer1.0.bn0.weight",
        _rows,
    ),
)

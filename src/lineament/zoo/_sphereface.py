"""SphereFace-20: the authors' Caffe blobs, and two forms for PyTorch; CosFace has the same network.

- SphereFace (W. Liu): "conv1_1/0" weights, "conv1_1/1" bias, "relu1_1/0" slopes, "fc5/0". The bias
  of its units is there and was kept at 0.
- sphereface_pytorch (clcarwin): "conv1_1.weight", "relu1_1.weight", "fc5.weight"; the units learn
  their bias.
- CosFace_pytorch (MuggleWang): "layer1.2.conv1.weight"; the units have none.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import Framework, Layout, Published, Row, Shapes

_SPHEREFACE = "Liu et al., SphereFace, CVPR 2017, arXiv:1704.08063"
_CASIA = "CASIA-WebFace (0.5 M photos of 10,575 people; research only)"


def _numbered(key: str) -> tuple[str, str]:
    """Our key -> "conv2_3" or "relu2_3" or "fc5", and the value."""
    layer, _, value = key.rpartition(".")
    stage, *rest = layer.split(".")
    if stage == "output":
        return "fc5", value
    number = stage.removeprefix("stage")
    if len(rest) == 1:
        return (f"conv{number}_1" if rest[0] == "0" else f"relu{number}_1"), value
    unit, _, at = rest
    place = 2 * (int(unit) - 2) + 2 + int(at) // 2
    return (f"conv{number}_{place}" if int(at) % 2 == 0 else f"relu{number}_{place}"), value


def _torch_rows(shapes: Shapes) -> Iterator[Row]:
    for key in shapes:
        layer, value = _numbered(key)
        yield Row(key, f"{layer}.{value}")


def _caffe_rows(shapes: Shapes) -> Iterator[Row]:
    for key in shapes:
        layer, value = _numbered(key)
        yield Row(key, f"{layer}/{'0' if value == 'weight' else '1'}")


def _cosface_rows(shapes: Shapes) -> Iterator[Row]:
    parts = ("conv1", "prelu1", "conv2", "prelu2")
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        if stage == "output":
            yield Row(key, f"fc.{value}")
            continue
        at = rest[0] if len(rest) == 1 else f"{rest[0]}.{parts[int(rest[2])]}"
        yield Row(key, f"layer{stage.removeprefix('stage')}.{at}.{value}")


def _entry(
    name: str,
    title: str,
    source: str,
    *,
    framework: Framework = "pytorch",
    license: str = "MIT",
    channels: str = "bgr",
    paper: str = _SPHEREFACE,
) -> Published:
    return Published(
        name=name,
        title=title,
        backbone="spherenet20",
        source=source,
        framework=framework,
        license=license,
        commercial=False,
        input_wh=(96, 112),
        channels=channels,  # type: ignore[arg-type]
        mean=127.5,
        scale=1 / 128,
        alignment="arcface-96x112",
        flip="none",
        embedding_size=512,
        training_data=_CASIA,
        paper=paper,
    )


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        _entry(
            "sphereface-20",
            "SphereFace-20 of its authors",
            "https://github.com/wy1iu/sphereface",
            framework="caffe",
        ),
        "conv4_3/0",
        _caffe_rows,
        options={"narrow": True, "bias": True},
        ignored=("fc6/",),
    ),
    Layout(
        _entry(
            "sphereface-20-pytorch",
            "SphereFace-20 of sphereface_pytorch",
            "https://github.com/clcarwin/sphereface_pytorch",
        ),
        "conv4_3.weight",
        _torch_rows,
        options={"narrow": True, "bias": True},
        ignored=(r"fc6\.",),
    ),
    Layout(
        _entry(
            "cosface-20",
            "CosFace of CosFace_pytorch, on SphereFace's network of 20 layers",
            "https://github.com/MuggleWang/CosFace_pytorch",
            license="unknown",
            channels="rgb",
            paper="Wang et al., CosFace, CVPR 2018, arXiv:1801.09414",
        ),
        "layer4.2.conv2.weight",
        _cosface_rows,
        options={"narrow": True},
    ),
)

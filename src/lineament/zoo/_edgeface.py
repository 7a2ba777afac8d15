"""EdgeFace as its authors store it: timm's EdgeNeXt with linear layers of low rank.

"model.stages.1.blocks.2.xca.qkv.linear1.weight". The positions' sines and cosines are no weights.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import Layout, Published, Row, Shapes

_WIDENED = {"0": "norm", "1": "mlp.fc1", "3": "mlp.fc2"}


def _rows(shapes: Shapes) -> Iterator[Row]:
    for key in shapes:
        stage, at, *rest = key.split(".")
        if stage == "stem":
            theirs = ".".join(["stem", at, *rest])
        elif stage == "output":  # 1 norm, 3 linear
            theirs = "head.norm." + rest[0] if at == "1" else _low_rank("head.fc", rest)
        else:
            number = int(stage.removeprefix("stage")) - 1
            before = 0 if number == 0 else 2  # norm and convolution that halve the grid
            if int(at) < before:
                theirs = f"stages.{number}.downsample.{at}.{rest[0]}"
            else:
                theirs = f"stages.{number}.blocks.{int(at) - before}.{_block(rest)}"
        yield Row(key, theirs)


def _block(rest: list[str]) -> str:
    first = rest[0]
    if first == "widened":
        theirs = _WIDENED[rest[1]]
        return f"{theirs}.{rest[2]}" if rest[1] == "0" else _low_rank(theirs, rest[2:])
    if first == "attention":
        if rest[1] == "temperature":
            return "xca.temperature"
        return _low_rank("xca.qkv" if rest[1] == "qkv" else "xca.proj", rest[2:])
    if first == "places":
        return f"pos_embd.token_projection.{rest[2]}"
    names = {
        "depthwise": "conv_dw",
        "scale": "gamma",
        "convolutions": "convs",
        "norm": "norm_xca",
        "attention_scale": "gamma_xca",
    }
    return ".".join([names[first], *rest[1:]])


def _low_rank(layer: str, rest: list[str]) -> str:
    """0 and 1 of the two factors -> "linear1" and "linear2"."""
    return f"{layer}.linear{int(rest[0]) + 1}.{rest[1]}"


def _layout(size: str, gamma: float, telltale: str) -> Layout:
    published = Published(
        name=f"edgeface-{size}",
        title=f"EdgeFace-{size.upper()}, gamma {gamma}",
        backbone=f"edgeface-{size}",
        source="https://github.com/otroshi/edgeface",
        framework="pytorch",
        license="BSD-3-Clause",
        commercial=False,
        input_wh=(112, 112),
        channels="rgb",
        mean=127.5,
        scale=1 / 127.5,
        alignment="arcface-112",
        flip="none",
        embedding_size=512,
        training_data="WebFace12M or WebFace4M (research only)",
        paper="George et al., EdgeFace, TBIOM 2024, arXiv:2307.01838",
    )
    return Layout(published, telltale, _rows)


LAYOUTS: tuple[Layout, ...] = (
    _layout("xs", 0.6, "stages.1.blocks.2.xca.qkv.linear1.weight"),
    _layout("s", 0.5, "stages.1.blocks.2.xca.qkv.linear1.weight"),
)

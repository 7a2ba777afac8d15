"""MobileFaceNet of InsightFace_Pytorch: "conv_3.model.0.conv_dw.bn.weight", 512 numbers."""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import Layout, Published, Row, Shapes

_STAGES = {
    # our stage -> the unit with a stride, and those after it
    "stage1": ("conv_23", "conv_3"),
    "stage2": ("conv_34", None),
    "stage3": (None, "conv_4"),
    "stage4": ("conv_45", None),
    "stage5": (None, "conv_5"),
}
_PARTS = ("conv", "bn", "prelu")


def _rows(shapes: Shapes) -> Iterator[Row]:
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        at = int(rest[-1])
        if stage == "stem":
            theirs = f"{'conv1' if at < 3 else 'conv2_dw'}.{_PARTS[at % 3]}"
        elif stage == "output":
            theirs = {
                **{i: f"conv_6_sep.{_PARTS[i]}" for i in range(3)},
                **{3 + i: f"conv_6_dw.{_PARTS[i]}" for i in range(2)},
                6: "linear",
                7: "bn",
            }[at]
        else:
            first, others = _STAGES[stage]
            unit = int(rest[0])
            if first is not None and unit == 0:
                block = first
            else:
                block = f"{others}.model.{unit - (first is not None)}"
            theirs = f"{block}.{('conv', 'conv_dw', 'project')[at // 3]}.{_PARTS[at % 3]}"
        yield Row(key, f"{theirs}.{value}")


LAYOUTS: tuple[Layout, ...] = (
    Layout(
        Published(
            name="arcface-mobilefacenet",
            title="ArcFace of InsightFace_Pytorch, MobileFaceNet",
            backbone="mobilefacenet",
            source="https://github.com/TreB1eN/InsightFace_Pytorch",
            framework="pytorch",
            license="MIT",
            commercial=False,
            input_wh=(112, 112),
            channels="rgb",
            mean=127.5,
            scale=1 / 127.5,
            alignment="arcface-112",
            flip="none",
            embedding_size=512,
            training_data="MS1M, cleaned (research only)",
            paper="Chen et al., MobileFaceNets, CCBR 2018, arXiv:1804.07573",
        ),
        "conv_6_dw.bn.running_var",
        _rows,
        options={"dimension": 512},
    ),
)

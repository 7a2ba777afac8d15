"""IR-50 and IR-SE-50 of face.evoLVe and InsightFace_Pytorch, and the networks of AdaFace.

All three number the units through: "body.3.res_layer.1.weight". AdaFace's last normalization has no
factors, and its checkpoints put "model." before the network's names and keep the head beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import Layout, Published, Row, Shapes

_UNITS = {18: (2, 2, 2, 2), 50: (3, 4, 14, 3), 101: (3, 13, 30, 3)}


def _rows(shapes: Shapes) -> Iterator[Row]:
    units: list[str] = []
    for key in shapes:
        stage, _, rest = key.partition(".")
        if stage == "stem":
            yield Row(key, f"input_layer.{rest}")
        elif stage == "output":
            yield Row(key, f"output_layer.{rest}")
        else:
            unit, way, at, value = rest.split(".", 3)
            if units[-1:] != [f"{stage}.{unit}"]:
                units.append(f"{stage}.{unit}")
            body = f"body.{len(units) - 1}"
            if way == "shortcut":
                yield Row(key, f"{body}.shortcut_layer.{at}.{value}")
            elif value.startswith("weigh."):  # of squeeze and excitation: 1 and 3
                number = "fc1" if value[6] == "1" else "fc2"
                yield Row(key, f"{body}.res_layer.{at}.{number}.weight")
            else:
                yield Row(key, f"{body}.res_layer.{at}.{value}")


def _entry(
    name: str,
    title: str,
    backbone: str,
    source: str,
    *,
    license: str = "MIT",
    channels: str = "rgb",
    training_data: str = "MS1M, cleaned (research only)",
    paper: str = "Deng et al., ArcFace, CVPR 2019, arXiv:1801.07698",
    notes: str | None = None,
) -> Published:
    return Published(
        name=name,
        title=title,
        backbone=backbone,
        source=source,
        framework="pytorch",
        license=license,
        commercial=False,
        input_wh=(112, 112),
        channels=channels,  # type: ignore[arg-type]
        mean=127.5,
        scale=1 / 127.5,
        alignment="arcface-112",
        flip="none",
        embedding_size=512,
        training_data=training_data,
        paper=paper,
        notes=notes,
    )


def _adaface(layers: int) -> Layout:
    published = _entry(
        f"adaface-ir{layers}",
        f"AdaFace, IR-{layers}",
        f"adaface-ir{layers}",
        "https://github.com/mk-minchul/AdaFace",
        channels="bgr",
        training_data="MS1MV2, MS1MV3, WebFace4M or WebFace12M (research only)",
        paper="Kim, Jain, Liu, AdaFace, CVPR 2022, arXiv:2204.00964",
        notes="the length of an embedding tells the quality of the photo",
    )
    last = sum(_UNITS[layers]) - 1
    return Layout(published, f"body.{last}.res_layer.5.running_var", _rows)


_EVOLVE = "https://github.com/ZhaoJ9014/face.evoLVe"
_TRE = "https://github.com/TreB1eN/InsightFace_Pytorch"

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        _entry(
            "arcface-ir50",
            "ArcFace of face.evoLVe, IR-50 (InsightFace_Pytorch has the same layers)",
            "ir50",
            _EVOLVE,
        ),
        "body.23.res_layer.4.running_var",
        _rows,
    ),
    Layout(
        _entry(
            "arcface-ir-se50",
            "ArcFace of InsightFace_Pytorch, IR-SE-50 (face.evoLVe has the same layers)",
            "ir-se50",
            _TRE,
        ),
        "body.23.res_layer.5.fc1.weight",
        _rows,
    ),
    *(_adaface(layers) for layers in _UNITS),
)

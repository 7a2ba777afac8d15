"""FaceNet's usual network, Inception-ResNet-v1, as three libraries store it.

- facenet-pytorch (T. Esler): 512-D, trained on VGGFace2 or CASIA-WebFace by D. Sandberg in
  TensorFlow and converted.
- deepface: 128-D (Sandberg's 20170512-110547, MS-Celeb-1M) and 512-D (20180402-114759, VGGFace2),
  for Keras and for PyTorch. The normalizations have no factors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lineament.zoo._layout import (
    KERAS_CONV,
    KERAS_DENSE,
    SAME,
    Layout,
    Published,
    Row,
    Shape,
    Shapes,
    keras_names,
    keras_value,
)

STEM = ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a", "conv2d_4b")
"""The six convolutions of our stem, at 0, 3, 6, 10, 13, 16: a maximum lies after the third."""

_STEM_AT = (0, 3, 6, 10, 13, 16)

PAPER = (
    "Schroff, Kalenichenko, Philbin, FaceNet, CVPR 2015, arXiv:1503.03832; "
    "Szegedy et al., AAAI 2017, arXiv:1602.07261"
)
_VGGFACE2 = "VGGFace2 (3.3 M photos of 9,131 people; research only)"


def units(shapes: Shapes) -> Iterator[tuple[str, str, str]]:
    """Where a convolution with its normalization lies: our key, what it is, the value.

    Yields for each of our keys: the key; the place as "stem 1a conv", "blocks_a 3 branch 1 0 norm",
    "blocks_a 3 linear", "output linear", "output norm"; the value ("weight", "running_mean").
    """
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        if stage == "stem":
            at = max(i for i, first in enumerate(_STEM_AT) if first <= int(rest[0]))
            kind = "conv" if int(rest[0]) == _STEM_AT[at] else "norm"
            yield key, f"stem {STEM[at].removeprefix('conv2d_')} {kind}", value
        elif stage == "output":
            yield key, f"output {'linear' if rest == ['3'] else 'norm'}", value
        elif rest[-1] == "linear":
            yield key, f"{stage} {rest[0]} linear", value
        else:  # blocks: 3.branches.1.4; reductions: 1.4
            block = rest[0] if stage.startswith("blocks") else "0"
            branch, at_text = rest[-2:]
            kind = "conv" if int(at_text) % 3 == 0 else "norm"
            yield key, f"{stage} {block} branch {branch} {int(at_text) // 3} {kind}", value


def _esler(shapes: Shapes) -> Iterator[Row]:
    """facenet-pytorch: "repeat_1.0.branch1.1.conv.weight"; a lone convolution has no number."""
    stages = {"reduction_a": "mixed_6a", "reduction_b": "mixed_7a"}
    repeats = {"blocks_a": "repeat_1", "blocks_b": "repeat_2", "blocks_c": "repeat_3"}
    for key, place, value in units(shapes):
        words = place.split()
        if words[0] == "stem":
            theirs = f"conv2d_{words[1]}.{'conv' if words[2] == 'conv' else 'bn'}"
        elif words[0] == "output":
            theirs = "last_linear" if words[1] == "linear" else "last_bn"
        else:
            if words[0] in stages:
                block = stages[words[0]]
            elif words[:2] == ["blocks_c", "5"]:
                block = "block8"
            else:
                block = f"{repeats[words[0]]}.{words[1]}"
            if words[2] == "linear":
                theirs = f"{block}.conv2d"
            else:
                branch, at, kind = words[3:]
                alone = branch == "0" and words[0] != "reduction_b"
                number = "" if alone else f".{at}"
                theirs = f"{block}.branch{branch}{number}.{'conv' if kind == 'conv' else 'bn'}"
        yield Row(key, f"{theirs}.{value}")


def _serengil(shapes: Shapes) -> Iterator[Row]:
    """deepface on PyTorch: "block35.0.branch_1.1.conv.weight"."""
    stems = {"1a": "3x3", "2a": "3x3", "2b": "3x3", "3b": "1x1", "4a": "3x3", "4b": "3x3"}
    blocks = {"blocks_a": "block35", "blocks_b": "block17", "blocks_c": "block8"}
    stages = {"reduction_a": "mixed_6a", "reduction_b": "mixed_7a"}
    for key, place, value in units(shapes):
        words = place.split()
        if words[0] == "stem":
            theirs = f"conv2d_{words[1]}_{stems[words[1]]}.{'conv' if words[2] == 'conv' else 'bn'}"
        elif words[0] == "output":
            theirs = "bottleneck" if words[1] == "linear" else "bottleneck_bn"
        else:
            found = words[0] in stages
            block = stages[words[0]] if found else f"{blocks[words[0]]}.{words[1]}"
            if words[2] == "linear":
                theirs = f"{block}.up"
            else:
                branch, at, kind = words[3:]
                alone = branch == "0" and words[0] != "reduction_b"
                number = "" if alone else f".{at}"
                theirs = f"{block}.branch_{branch}{number}.{'conv' if kind == 'conv' else 'bn'}"
        yield Row(key, f"{theirs}.{value}")


def _keras_rows(shapes: Shapes) -> Iterator[Row]:
    """deepface on Keras: "Block35_1_Branch_1_Conv2d_0b_3x3/kernel", "..._BatchNorm/beta"."""
    stems = {"1a": "3x3", "2a": "3x3", "2b": "3x3", "3b": "1x1", "4a": "3x3", "4b": "3x3"}
    blocks = {"blocks_a": "Block35", "blocks_b": "Block17", "blocks_c": "Block8"}
    kernels = {"blocks_a": ("3x3", "3x3"), "blocks_b": ("1x7", "7x1"), "blocks_c": ("1x3", "3x1")}
    reductions = {
        # branch and number -> the end of the name: what has a stride is "1a"
        "reduction_a": {"00": "1a_3x3", "10": "0a_1x1", "11": "0b_3x3", "12": "1a_3x3"},
        "reduction_b": {
            "00": "0a_1x1",
            "01": "1a_3x3",
            "10": "0a_1x1",
            "11": "1a_3x3",
            "20": "0a_1x1",
            "21": "0b_3x3",
            "22": "1a_3x3",
        },
    }
    for key, place, value in units(shapes):
        words = place.split()
        norm = words[-1] == "norm"
        if words[0] == "stem":
            theirs = f"Conv2d_{words[1]}_{stems[words[1]]}"
        elif words[0] == "output":
            theirs = "Bottleneck"
        elif words[0] in reductions:
            branch, at = words[3:5]
            stage = "Mixed_6a" if words[0] == "reduction_a" else "Mixed_7a"
            theirs = f"{stage}_Branch_{branch}_Conv2d_{reductions[words[0]][branch + at]}"
        else:
            theirs = f"{blocks[words[0]]}_{int(words[1]) + 1}"
            if words[2] == "linear":
                theirs += "_Conv2d_1x1"
            else:
                branch, at = words[3:5]
                ends = (
                    "0a_1x1",
                    *(f"0{a}_{k}" for a, k in zip("bc", kernels[words[0]], strict=True)),
                )
                end = "1x1" if branch == "0" else ends[int(at)]
                theirs += f"_Branch_{branch}_Conv2d_{end}"
        sides = len(shapes[key])
        stored = KERAS_CONV if sides == 4 else KERAS_DENSE if sides == 2 else SAME
        name = f"{theirs}{'_BatchNorm' if norm else ''}/{keras_value(value, norm=norm)}"
        # Their normalizations have no factors.
        yield Row(key, name, stored, 1.0 if norm and value == "weight" else None)


def _entry(
    name: str,
    title: str,
    source: str,
    dimension: int,
    *,
    license: str = "unknown",
    training_data: str = _VGGFACE2,
    whitened: bool = False,
    notes: str | None = None,
    framework: str = "pytorch",
) -> Published:
    return Published(
        name=name,
        title=title,
        backbone="inception-resnet-v1",
        source=source,
        framework=framework,  # type: ignore[arg-type]
        license=license,
        commercial=False,
        input_wh=(160, 160),
        channels="rgb",
        mean=127.5,
        scale=1 / 128,
        # Boxes with 32 of 160 pixels of margin: 1.25 times the box, which is 1.06 * 1.18.
        alignment="crop-160-m0.18",
        flip="none",
        embedding_size=dimension,
        whitened=whitened,
        training_data=training_data,
        paper=PAPER,
        notes=notes,
    )


def _layout(
    published: Published, telltale: str, rows: Callable[[Shapes], Iterator[Row]], **more: object
) -> Layout:
    return Layout(
        published,
        telltale,
        rows,
        options={"dimension": published.embedding_size},
        **more,  # type: ignore[arg-type]
    )


_ESLER = "https://github.com/timesler/facenet-pytorch"
_DEEPFACE = "https://github.com/serengil/deepface_models"
_FED_OTHERWISE = (
    "deepface feeds it BGR of 0 to 1; here it gets what it was trained on, so distances are not "
    "those of deepface"
)
_LOGITS = (r"logits\.",)


def _classes(count: int) -> dict[str, Shape]:
    return {"logits.weight": (count, 512)}


LAYOUTS: tuple[Layout, ...] = (
    _layout(
        _entry(
            "facenet-512-vggface2",
            "FaceNet of facenet-pytorch, trained on VGGFace2",
            _ESLER,
            512,
            license="MIT",
        ),
        "last_linear.weight",
        _esler,
        ignored=_LOGITS,
        hints=_classes(8631),
    ),
    _layout(
        _entry(
            "facenet-512-casia",
            "FaceNet of facenet-pytorch, trained on CASIA-WebFace",
            _ESLER,
            512,
            license="MIT",
            training_data="CASIA-WebFace (0.5 M photos of 10,575 people; research only)",
        ),
        "last_linear.weight",
        _esler,
        ignored=_LOGITS,
        hints=_classes(10575),
    ),
    *(
        _layout(
            _entry(
                f"facenet-{dimension}-deepface",
                f"FaceNet of deepface, {dimension} numbers",
                _DEEPFACE,
                dimension,
                license="MIT",
                training_data=data,
                whitened=dimension == 128,
                notes=_FED_OTHERWISE,
                framework=framework,
            ),
            telltale,
            rows,
            **more,
        )
        for dimension, data in ((128, "MS-Celeb-1M (withdrawn; research only)"), (512, _VGGFACE2))
        for framework, telltale, rows, more in (
            ("keras", "Bottleneck/kernel", _keras_rows, {"canonical": keras_names}),
            ("pytorch", "bottleneck.weight", _serengil, {}),
        )
    ),
)

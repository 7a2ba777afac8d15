"""Networks that run as they are, known by their files' names and by what goes in and comes out.

A graph says its sizes and not what its numbers mean: whether it was trained on RGB or BGR, of -1 to
1 or of 0 to 255. That is known of the files here, from those who published them; of all others the
user has to say it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lineament.models.cards import ColorOrder, PerChannel
from lineament.weights import Graph, WeightsFile

_RESEARCH = "LicenseRef-insightface-non-commercial-research"
_INSIGHTFACE = (
    "insightface's model packages are for non-commercial research alone, as their publishers say"
)


@dataclass(frozen=True, slots=True)
class Known:
    """A network and how it is fed.

    Attributes:
        name: what it is called when no other name is given.
        title: in words.
        files: of its file's name, without ending: a pattern, lower case.
        side: of its square photos, pixels.
        dimension: length of the embedding.
        color_order, mean, scale, alignment: as in a card.
        license: SPDX identifier of the weights, or a name of its own.
        training_data: as far as it is known.
        notes: what else one should know.
    """

    name: str
    title: str
    files: str
    side: int
    dimension: int
    color_order: ColorOrder
    mean: PerChannel
    scale: PerChannel
    alignment: str
    license: str = _RESEARCH
    training_data: str = "unknown"
    notes: str = _INSIGHTFACE


def _insightface(name: str, title: str, files: str, data: str) -> Known:
    return Known(
        name, title, files, 112, 512, "rgb", 127.5, 1 / 127.5, "arcface-112", training_data=data
    )


KNOWN: tuple[Known, ...] = (
    _insightface(
        "w600k-r50",
        "ArcFace ResNet-50 of insightface's buffalo_l",
        "w600k_r50",
        "WebFace600K, a part of WebFace260M (research only)",
    ),
    _insightface(
        "w600k-mbf",
        "ArcFace MobileFaceNet of insightface's buffalo_s",
        "w600k_mbf",
        "WebFace600K, a part of WebFace260M (research only)",
    ),
    _insightface(
        "glintr100",
        "ArcFace ResNet-100 of insightface's antelopev2",
        "glintr100|glint360k.*r100.*",
        "Glint360K (research only)",
    ),
    _insightface(
        "glint360k-r50",
        "ArcFace ResNet-50 of insightface, Glint360K",
        "glint360k.*r50.*",
        "Glint360K (research only)",
    ),
    _insightface(
        "arcface-r100",
        "ArcFace ResNet-100 of insightface",
        "(arcface|ms1mv[23])?_?r100(_fp16|_ms1mv[23])?|arcface_w600k_r100|webface_r100",
        "MS-Celeb-1M or WebFace (withdrawn; research only)",
    ),
    Known(
        "arcface-r100-onnx-zoo",
        "ArcFace ResNet-100 of the ONNX model zoo",
        r"(arcface-)?(arcfaceresnet100|resnet100)[-_]?(8|11|11-int8)?",
        112,
        512,
        "rgb",
        0.0,
        1.0,
        "arcface-112",
        license="Apache-2.0",
        training_data="MS-Celeb-1M, refined (withdrawn; research only)",
        notes="Its scaling lies in the graph. Its licence is that of the zoo; its data were for "
        "research alone",
    ),
    Known(
        "facenet-512-tensorflow",
        "FaceNet of D. Sandberg, frozen graph of 2018",
        "2018040[28]-[0-9]{6}",
        160,
        512,
        "rgb",
        127.5,
        1 / 128,
        "crop-160-m0.18",
        license="MIT",
        training_data="VGGFace2 or CASIA-WebFace (research only)",
        notes="Its code's licence is MIT; its data were for research alone",
    ),
)
"""The licence of each is what its publishers state; none of them grants commercial use."""


def known_graph(file: WeightsFile) -> Known | None:
    """What a network is, by the name of its file and its sizes; None: it is none that is known."""
    assert file.graph is not None
    stem = file.path.stem.lower()
    for known in KNOWN:
        if not re.fullmatch(known.files, stem):
            continue
        side, dimension = sides_of(file.graph)[0], dimension_of(file.graph)
        if side in (None, (known.side, known.side)) and dimension in (None, known.dimension):
            # MXNet's files scale by themselves: insightface's own loader tells them by that.
            if known.mean == 127.5 and scales_itself(file):
                return replace(known, mean=0.0, scale=1.0)
            return known
    return None


def scales_itself(file: WeightsFile) -> bool:
    """Whether an ONNX file subtracts and multiplies among its first steps, before it looks."""
    if file.format != "onnx":
        return False
    from lineament.weights.onnx_file import first_steps

    assert file.graph is not None
    steps = first_steps(file.graph.data, 8)
    return any(step.startswith("Sub") for step in steps) and any(
        step.startswith("Mul") for step in steps
    )


def sides_of(graph: Graph) -> tuple[tuple[int, int] | None, str]:
    """Width and height of the photos (None: left open), and the layout, "nchw" or "nhwc"."""
    shape = graph.inputs[0].shape
    if shape is None or len(shape) != 4:
        return None, "nchw"
    last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    height, width = (shape[1], shape[2]) if last else (shape[2], shape[3])
    found = None if width is None or height is None else (width, height)
    return found, "nhwc" if last else "nchw"


def channels_of(graph: Graph) -> int | None:
    """How many colors the photos have; None: left open."""
    shape = graph.inputs[0].shape
    if shape is None or len(shape) != 4:
        return None
    return shape[3] if sides_of(graph)[1] == "nhwc" else shape[1]


def dimension_of(graph: Graph) -> int | None:
    """The length of the embedding, as far as the file says it."""
    shape = graph.outputs[0].shape if graph.outputs else None
    return shape[1] if shape is not None and len(shape) == 2 else None

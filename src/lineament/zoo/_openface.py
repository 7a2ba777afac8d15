"""OpenFace's nn4.small2 as two libraries store it.

- OpenFacePytorch (T. Kim), converted from the authors' Torch file: "layer14.seq_list.0.1_conv".
- deepface, for Keras ("inception_3a_3x3_conv1/kernel") and PyTorch. Its local response
  normalization looks at 11 channels and does not divide by their number, where the authors' looks
  at 5 and does: a window of 11 with 11 times the factor.
"""

from __future__ import annotations

from collections.abc import Iterator

from lineament.zoo._layout import (
    KERAS_CONV,
    KERAS_DENSE,
    SAME,
    Framework,
    Layout,
    Published,
    Row,
    Shapes,
    keras_names,
    keras_value,
)

_STEM = {"0": "1", "1": "2", "5": "6", "6": "7", "8": "9", "9": "10"}
_NUMBERS = {"3a": 14, "3b": 15, "3c": 16, "4a": 17, "4e": 18, "5a": 19, "5b": 21}
_BRANCHES = ("3x3", "5x5", "pool", "1x1")


def _branch(block: str, at: str) -> str:
    """Which of the four branches the one of that number is: blocks 5a and 5b have no 5x5."""
    number = int(at)
    return _BRANCHES[number + 1 if block.startswith("5") and number else number]


def _kim(shapes: Shapes) -> Iterator[Row]:
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        if stage == "stem":
            theirs = f"layer{_STEM[rest[0]]}"
        elif stage == "output":
            theirs = "layer25"
        else:
            block = stage.removeprefix("inception")
            _, branch, at = rest
            pooled = _branch(block, branch) == "pool"
            kind = "bn" if (int(at) - int(pooled)) % 3 == 1 else "conv"
            theirs = f"layer{_NUMBERS[block]}.seq_list.{branch}.{int(at) + 1}_{kind}"
        yield Row(key, f"{theirs}.{value}")


def _serengil(shapes: Shapes, *, keras: bool) -> Iterator[Row]:
    for key in shapes:
        layer, _, value = key.rpartition(".")
        stage, *rest = layer.split(".")
        norm = False
        if stage == "stem":
            norm = rest[0] in ("1", "6", "9")
            number = {"0": 1, "1": 1, "5": 2, "6": 2, "8": 3, "9": 3}[rest[0]]
            kind = "bn" if norm else "conv"
            theirs = f"{kind}{number}" if keras else f"conv{number}.{kind}"
        elif stage == "output":
            theirs = "dense_layer"
        else:
            block = stage.removeprefix("inception")
            branch = _branch(block, rest[1])
            at = int(rest[2]) - int(branch == "pool")
            norm = at % 3 == 1
            kind = "bn" if norm else "conv"
            number = at // 3
            if keras:
                counted = "" if branch in ("pool", "1x1") else str(number + 1)
                theirs = f"inception_{block}_{branch}_{kind}{counted}"
            else:
                counted = "" if branch in ("pool", "1x1") else f".{number}"
                theirs = f"inception_{block}.branch_{branch}{counted}.{kind}"
        if not keras:
            yield Row(key, f"{theirs}.{value}")
            continue
        sides = len(shapes[key])
        stored = KERAS_CONV if sides == 4 else KERAS_DENSE if sides == 2 else SAME
        yield Row(key, f"{theirs}/{keras_value(value, norm=norm)}", stored)


def _keras_rows(shapes: Shapes) -> Iterator[Row]:
    return _serengil(shapes, keras=True)


def _torch_rows(shapes: Shapes) -> Iterator[Row]:
    return _serengil(shapes, keras=False)


def _entry(name: str, title: str, source: str, framework: Framework) -> Published:
    return Published(
        name=name,
        title=title,
        backbone="openface",
        source=source,
        framework=framework,
        license="Apache-2.0",
        commercial=False,
        input_wh=(96, 96),
        channels="rgb",
        mean=0.0,
        scale=1 / 255,
        alignment="eyes-96",
        flip="none",
        embedding_size=128,
        training_data="CASIA-WebFace and FaceScrub (research only)",
        paper="Amos et al., OpenFace, CMU-CS-16-118, 2016",
        notes="its own crops lie by the eyes' outer corners and the nose, tighter than ours",
    )


_DEEPFACE = "https://github.com/serengil/deepface_models"
_OF_DEEPFACE = "OpenFace nn4.small2, of deepface"
_WIDE = {"window": 11, "alpha": 11e-4}

LAYOUTS: tuple[Layout, ...] = (
    Layout(
        _entry(
            "openface",
            "OpenFace nn4.small2, of OpenFacePytorch",
            "https://github.com/thnkim/OpenFacePytorch",
            "pytorch",
        ),
        "layer14.seq_list.0.1_conv.weight",
        _kim,
    ),
    Layout(
        _entry("openface-deepface", _OF_DEEPFACE, _DEEPFACE, "keras"),
        "inception_3a_3x3_conv1/kernel",
        _keras_rows,
        options=_WIDE,
        canonical=keras_names,
    ),
    Layout(
        _entry("openface-deepface", _OF_DEEPFACE, _DEEPFACE, "pytorch"),
        "inception_3a.branch_3x3.0.conv.weight",
        _torch_rows,
        options=_WIDE,
    ),
)

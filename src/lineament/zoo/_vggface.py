"""VGG-Face in three forms of file.

- deepface for Keras: sixteen convolutions without names of their own, the last three of which are
  the wide layers; and for PyTorch, "conv1_1.weight", "fc6.weight" of (4096, 512, 7, 7).
- The authors' Caffe blobs, "conv1_1/0", and the same for PyTorch with linear layers
  (VGG_FACE.caffemodel, vgg_face_dag.pth of S. Albanie).

All give the 4,096 numbers of the last layer but one; "fc8", the 2,622 people of its training, stays
in the file, unless the network is asked for by its name with 2622.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lineament.zoo._layout import (
    KERAS_CONV,
    SAME,
    Framework,
    Layout,
    Published,
    Row,
    Shapes,
    Stored,
    keras_linear_of_conv,
    keras_names,
    keras_value,
    linear_of_conv,
    same_names,
)

_COUNTS = (2, 2, 3, 3, 3)
_GRID = (7, 7)


def _named(key: str) -> tuple[str, str]:
    """Our key -> "conv3_2" or "fc6", and the value."""
    layer, _, value = key.rpartition(".")
    stage, at = layer.split(".")
    if stage.startswith("stage"):
        return f"conv{stage.removeprefix('stage')}_{int(at) // 2 + 1}", value
    return stage, value


def _wide(name: str, value: str, convolution: Callable[[tuple[int, int]], Stored]) -> Stored:
    if value == "bias" or not name.startswith("fc"):
        return SAME
    return convolution(_GRID if name == "fc6" else (1, 1))


def _linear_rows(shapes: Shapes) -> Iterator[Row]:
    for key in shapes:
        name, value = _named(key)
        yield Row(key, f"{name}.{value}")


def _conv_rows(shapes: Shapes) -> Iterator[Row]:
    for key in shapes:
        name, value = _named(key)
        yield Row(key, f"{name}.{value}", _wide(name, value, linear_of_conv))


def _caffe_rows(shapes: Shapes) -> Iterator[Row]:
    for key in shapes:
        name, value = _named(key)
        yield Row(key, f"{name}/{'0' if value == 'weight' else '1'}")


def _keras_rows(shapes: Shapes) -> Iterator[Row]:
    order = [f"conv{i}_{k + 1}" for i, count in enumerate(_COUNTS, start=1) for k in range(count)]
    order += ["fc6", "fc7", "fc8"]
    for key in shapes:
        name, value = _named(key)
        stored = _wide(name, value, keras_linear_of_conv)
        if stored is SAME and value == "weight":
            stored = KERAS_CONV
        yield Row(key, f"conv2d@{order.index(name)}/{keras_value(value)}", stored)


def _entry(
    name: str, title: str, source: str, framework: Framework, *, bgr: bool = False
) -> Published:
    mean = (129.1863, 104.7624, 93.5940)
    return Published(
        name=name,
        title=title,
        backbone="vggface",
        source=source,
        framework=framework,
        license="CC-BY-NC-4.0",
        commercial=False,
        input_wh=(224, 224),
        channels="bgr" if bgr else "rgb",
        mean=mean[::-1] if bgr else mean,
        scale=1.0,
        alignment="eyes-224",
        flip="none",
        embedding_size=4096,
        training_data="VGG-Face (2.6 M photos of 2,622 people; research only)",
        paper="Parkhi, Vedaldi, Zisserman, Deep Face Recognition, BMVC 2015",
        notes=None
        if "deepface" not in name
        else "deepface feeds it BGR of 0 to 1; here it gets what it was trained on, so distances "
        "are not those of deepface",
    )


_DEEPFACE = "https://github.com/serengil/deepface_models"
_OXFORD = "https://www.robots.ox.ac.uk/~vgg/software/vgg_face/"
_ALBANIE = "https://www.robots.ox.ac.uk/~albanie/pytorch-models.html"
_FC8 = (r"fc8[./]",)
_KERAS_FC8 = (r"conv2d@15/",)


def _layouts(
    published: Published,
    telltale: str,
    rows: Callable[[Shapes], Iterator[Row]],
    ignored: tuple[str, ...],
) -> Iterator[Layout]:
    """The embedding of fc7, and that of fc8 for those who ask for it by name."""
    canonical = keras_names if published.framework == "keras" else same_names
    yield Layout(published, telltale, rows, ignored=ignored, canonical=canonical)
    classes = replace(published, name=f"{published.name}-2622", embedding_size=2622)
    options = {"last": "fc8", "dimension": 2622}
    yield Layout(classes, telltale, rows, options=options, canonical=canonical, asked=True)


LAYOUTS: tuple[Layout, ...] = (
    *_layouts(
        _entry("vggface-deepface", "VGG-Face of deepface", _DEEPFACE, "keras"),
        "conv2d@14/kernel",
        _keras_rows,
        _KERAS_FC8,
    ),
    *_layouts(
        _entry("vggface-deepface", "VGG-Face of deepface", _DEEPFACE, "pytorch"),
        "conv5_3.weight",
        _conv_rows,
        _FC8,
    ),
    *_layouts(
        _entry("vggface", "VGG-Face of its authors", _OXFORD, "caffe", bgr=True),
        "conv5_3/0",
        _caffe_rows,
        _FC8,
    ),
    *_layouts(
        _entry("vggface", "VGG-Face of its authors, converted", _ALBANIE, "pytorch"),
        "conv5_3.weight",
        _linear_rows,
        _FC8,
    ),
)

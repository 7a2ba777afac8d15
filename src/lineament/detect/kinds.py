"""Detectors from files of the user's: which kinds there are, and what a file is.

    load_detector("scrfd:det_10g.onnx")             a file of a kind
    load_detector("file:face.onnx+onet")            the kind is read off the file
    recognize_detector("face.onnx")                 "scrfd", "yolo", ..., or None

Such a name stands for a detector everywhere; its networks are checked, hashed and licensed as all
others. What a file does not say itself may stand in a TOML file beside it (``face.toml``), with the
keys of ``lineament.models.from_file``: license_weights, commercial_use, size_wh, color_order, mean
and scale. A card of a manifest whose task is "detector" and whose ``builder`` is a kind is a
detector under its own name.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from lineament import models
from lineament.errors import WeightsError
from lineament.files import read_regular
from lineament.models import Card
from lineament.models.cards import LARGEST_FILE
from lineament.models.graph import check_graph, input_shapes
from lineament.text import reason_of


class Kind(NamedTuple):
    """One kind of detector.

    Attributes:
        target: "module:attribute": the ``Head`` of a network, or what is called with the bytes of
            the file and its card.
        is_network: whether the file is an ONNX network.
        what: in words, for lists and messages.
    """

    target: str
    is_network: bool
    what: str


KINDS: Mapping[str, Kind] = {
    "scrfd": Kind("lineament.detect.scrfd:HEAD", True, "SCRFD, or insightface's RetinaFace"),
    "retinaface": Kind("lineament.detect.retinaface:HEAD", True, "RetinaFace of PyTorch"),
    "centerface": Kind("lineament.detect.centerface:HEAD", True, "CenterFace"),
    "yolo": Kind("lineament.detect.yolo:HEAD", True, "YOLOv5-face, YOLOv8-face, YOLO11-face"),
    "yolov3": Kind("lineament.detect.yolov3:HEAD", True, "YOLOv3-face"),
    "ssd": Kind("lineament.detect.ssd:HEAD", True, "OpenCV's SSD, as ONNX"),
    "ssd-mobilenet": Kind("lineament.detect.ssd:HEAD_MOBILENET", True, "face-api's SSD"),
    "haar": Kind("lineament.detect.haar:Haar", False, "OpenCV's cascades, as XML"),
    "mmod": Kind("lineament.detect.by_dlib:Mmod", False, "dlib's network of faces"),
}
"""Kinds of files, by their names in "KIND:FILE"."""

ANY = "file"
"""In place of a kind: it is read off the file."""

_RECOGNIZE = "lineament.detect.recognize:recognize_detector"


def file_of(name: str) -> tuple[str, Path] | None:
    """Kind (or "file") and path of a name "KIND:FILE"; None: it is not of that form."""
    kind, colon, path = name.partition(":")
    if not colon or not path or (kind != ANY and kind not in KINDS):
        return None
    return kind, Path(path).absolute()


def card_of_file(kind: str, path: Path) -> Card:
    """The card of a file of the user's, which ``lineament.models.get`` knows from then on.

    Raises:
        WeightsError: the file cannot be read, or is not of that kind.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise WeightsError(
            f"{path}: expected a file of the kind {kind}, got: {reason_of(error)}"
        ) from error
    beside = path.with_suffix(".toml")
    said = beside.stat().st_mtime_ns if beside.is_file() else 0
    return models.add(_card_of_file(kind, path, state.st_mtime_ns, state.st_size, said))


@lru_cache(maxsize=64)
def _card_of_file(kind: str, path: Path, *_state: int) -> Card:
    """As ``card_of_file``; the other arguments make the cache notice that a file has changed."""
    if kind == ANY:
        found = _imported(_RECOGNIZE)(path)
        if found is None:
            kinds = "; ".join(f"{name}: {each.what}" for name, each in KINDS.items())
            raise WeightsError(
                f"{path}: expected a detector of a known kind, got a file of none ({kinds})",
                hint="if it is one of these, say which: KIND:FILE names what it should have",
            )
        kind = found
    card = described(path, KINDS[kind], target(kind) if KINDS[kind].is_network else None)
    card = card.replace(builder=kind)
    # What is said of the file is part of the name, since it is part of what the detector does.
    said = hashlib.sha256(json.dumps(card.to_dict(), sort_keys=True).encode()).hexdigest()
    return card.replace(name=f"{kind}-{card.name[:40]}-{said[:8]}")


def described(path: Path, kind: Kind | None, head: Any) -> Card:
    """The card of a file, from what it says itself, the TOML beside it and the kind's defaults.

    Args:
        path: of the file.
        kind: None: it is not known yet; a network, probably.
        head: of the kind, where it is one of networks.
    """
    from lineament.models.manifest import from_file

    defaults: dict[str, Any] = {"size_wh": "dynamic", "color_order": "rgb", "mean": 0.0}
    defaults |= {"scale": 1.0, "task": "detector"}
    if head is not None:
        defaults |= {"color_order": head.color_order, "mean": head.mean, "scale": head.scale}
        if head.size_wh is not None:
            defaults["size_wh"] = list(head.size_wh)
    if kind is None or kind.is_network:
        defaults |= _input_of(path)
    card = from_file(path, defaults=defaults)
    if card.task != "detector":
        raise WeightsError(f"{path}: expected a detector, got the description of: {card.task}")
    return card


def _input_of(path: Path) -> dict[str, Any]:
    """Size and layout of the input, as far as an ONNX file states them."""
    try:
        data = read_regular(path, at_most=LARGEST_FILE)
    except OSError as error:
        raise WeightsError(f"{path}: expected an ONNX file, got: {reason_of(error)}") from error
    check_graph(data, path.name)
    shapes = input_shapes(data)
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise WeightsError(
            f"{path}: expected one input (1, 3, height, width), got {len(shapes)} of "
            f"{', '.join(str(shape) for shape in shapes) or 'no shape'}"
        )
    batch, *sides = shapes[0]
    if batch not in (None, 1):
        raise WeightsError(
            f"{path}: expected a batch of 1, or a free one, got one of {batch}",
            hint="export it again with a free batch, height and width",
        )
    last = sides[2] == 3 and sides[0] != 3
    width, height = (sides[1], sides[0]) if last else (sides[2], sides[1])
    found: dict[str, Any] = {"layout": "nhwc"} if last else {}
    if width is not None and height is not None:
        found["size_wh"] = [width, height]
    return found


def is_kind(card: Card) -> bool:
    """Whether a card is a detector of one of the kinds."""
    return card.task == "detector" and card.builder in KINDS


def target(kind: str) -> Any:
    """The ``Head`` of a kind, or what is called with a file of it; imported."""
    return _imported(KINDS[kind].target)


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)

"""``add_model``: a file of weights that the user has -> a model that is known by a name.

    added = add_model("20180402-114759-vggface2.pt")     what it is, is read off the file
    added = add_model("mine.onnx", name="mine", color_order="rgb", mean=127.5, scale=1 / 127.5,
                      alignment="arcface-112")
    Recognizer(added.name)

Weights of a published network (``lineament.zoo.published``) become an ONNX file, which makes the
same embeddings as PyTorch does; a file that brings its own network stays as it is, or becomes one
of OpenVINO's. How a network is fed is known of published ones; of all others it has to be said.
There is no threshold until ``lineament tune`` or ``lineament eval lfw`` has made one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lineament.arguments import checked
from lineament.errors import MissingExtraError, OptionError, WeightsError
from lineament.models import Card, catalog
from lineament.models.cards import ColorOrder, CommercialUse
from lineament.models.manifest import check_name
from lineament.weights import FORMATS, WeightsFile, read_weights
from lineament.zoo import _keeping
from lineament.zoo._added import Added, Said, name_of_file

if TYPE_CHECKING:
    from lineament.train.backbones.backbone import Backbone
    from lineament.zoo.published import Match, Published

Progress = Callable[[str, int, int], None]

_STEPS = 3


@checked
def add_model(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    network: str | None = None,
    input_wh: tuple[int, int] | None = None,
    color_order: ColorOrder | None = None,
    mean: float | tuple[float, float, float] | None = None,
    scale: float | tuple[float, float, float] | None = None,
    alignment: str | None = None,
    output: str | None = None,
    license: str | None = None,
    commercial_use: CommercialUse | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Added:
    """Make a file of weights a model that is known by its name, on this machine.

    Args:
        path: of the file; nothing in it is executed.
        name: what it is to be called; None: as its publishers call it, else as its file is called.
        network: which published network it is, where several have the same names and shapes.
        input_wh: width and height of the crops, where the file leaves them open.
        color_order, mean, scale: how a network that is not known is fed: ``(x - mean) * scale``, x
            from 0 to 255; one number, or one a channel.
        alignment: how the crops of one that is not known are made, for example "arcface-112".
        output: of a network with several outputs, the one with the embeddings.
        license: SPDX identifier of the weights, where it is known better than from the file.
        commercial_use: whether it grants commercial use.
        overwrite: replace a model that was added under that name.
        progress: called with what is done, and how far it is.

    Returns:
        What was added.

    Raises:
        WeightsError: the file cannot be read, or is of no network that is known; what is missing is
            named.
        OptionError: it is not known how the network is fed, the name is taken, or what is said does
            not fit.
        ExportError: the converted network does not make the same embeddings.
        MissingExtraError: converting needs PyTorch (the extra ``train``), or reading h5py
            (``models``).
    """
    show = _nothing if progress is None else progress
    said = Said(input_wh, color_order, mean, scale, alignment, license, commercial_use)
    show("reading the file", 0, _STEPS)
    if name is not None:
        check_name(name)
    detector = _detector_of(Path(path))
    if detector is not None:
        _refuse_options(said, detector.builder or "detector", network)
        kept = _keeping.name_of(name or name_of_file(Path(path)), overwrite)
        return _keeping.keep_detector(Path(path), detector, kept, said, overwrite=overwrite)
    file = read_weights(path, output=output, size_wh=input_wh)
    bundled = catalog.by_hash(file.sha256)
    if bundled is not None:
        raise OptionError(
            f"{file.path}: expected a model that is not there yet, it is {bundled.name} of the "
            "package"
        )
    if file.graph is not None:
        show("checking the network", 1, _STEPS)
        return _keeping.keep_graph(file, name, said, network, overwrite=overwrite)
    backbone, published = _network(file, network)
    if said.given():
        raise OptionError(
            f"{file.path}: {published.title} is fed as it was published; leave out "
            f"{', '.join(said.given())}"
        )
    show("writing it as ONNX", 1, _STEPS)
    return _keeping.keep_backbone(file, backbone, published, name, said, overwrite=overwrite)


def _nothing(_what: str, _done: int, _total: int) -> None:
    pass


def _refuse_options(said: Said, kind: str, network: str | None) -> None:
    names = [*said.given(), *(["network"] if network is not None else [])]
    if names:
        raise OptionError(
            f"a detector ({kind}) is fed as its kind is; leave out {', '.join(names)}"
        )


def _detector_of(path: Path) -> Card | None:
    """The card of a detector; None: it is none, or not one of ONNX."""
    from lineament.detect.kinds import card_of_file
    from lineament.detect.recognize import recognize_detector

    if path.suffix.lower() != ".onnx" or not path.is_file():
        return None
    kind = recognize_detector(path)
    return None if kind is None else card_of_file(kind, path.absolute())


_FRAMEWORKS = {
    "pytorch": "pytorch",
    "safetensors": "pytorch",
    "keras-h5": "keras",
    "keras": "keras",
    "caffe": "caffe",
}


def _network(file: WeightsFile, network: str | None) -> tuple[Backbone, Published]:
    """The network of a file of weights, with its numbers."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"making a network of {FORMATS[file.format]} weights", "train"
        ) from error
    if file.format == "dlib":
        from lineament.zoo._dlib import DLIB, DlibResNet

        return DlibResNet(file.tensors), DLIB
    from lineament.zoo.published import build

    match = _match(file, network)
    return build(match, file.tensors), match.published


def _match(file: WeightsFile, network: str | None) -> Match:
    """Which published network it is."""
    from lineament.zoo.published import names, recognize

    match = recognize(file.shapes, _FRAMEWORKS[file.format], name=network)
    if match is None:
        some = list(file.shapes)[:3]
        raise WeightsError(
            f"{file.path}: expected the weights of a network that is known, got "
            f"{len(file.shapes):,} tensors of another one ({', '.join(some)}, ...)",
            hint=f"known are {', '.join(names())}; any other one can be added as ONNX",
        )
    if not match.complete:
        raise WeightsError(
            f"{file.path}: expected all of {match.published.title}, but {match.why_not()}"
        )
    if match.also and network is None:
        either = " or ".join((match.published.name, *match.also))
        raise OptionError(
            f"{file.path}: it may be {either}, which have the same layers and are fed in other "
            "ways: say which one it is",
            option="network",
        )
    return match

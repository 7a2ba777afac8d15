"""Backbones by name: crops in, embeddings out. One file an architecture.

There is a table of them in docs/reference/backbones.md.

Importing this loads no PyTorch; ``make_backbone`` does. Every backbone takes RGB of 0 to 255 and
scales it by itself (``backbone.Backbone``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lineament.train._registry import looked_up

if TYPE_CHECKING:
    from lineament.train.backbones.backbone import Backbone

BACKBONES: dict[str, str] = {
    "shallow": "lineament.train.backbones.shallow:shallow",
    "oriented": "lineament.train.backbones.oriented:oriented",
    "tiny": "lineament.train.backbones.tiny:tiny",
    "mobilefacenet": "lineament.train.backbones.mobilefacenet:mobilefacenet",
    "edgeface-xs": "lineament.train.backbones.edgeface:edgeface_xs",
    "edgeface-s": "lineament.train.backbones.edgeface:edgeface_s",
    "iresnet18": "lineament.train.backbones.iresnet:iresnet18",
    "iresnet34": "lineament.train.backbones.iresnet:iresnet34",
    "iresnet50": "lineament.train.backbones.iresnet:iresnet50",
    "iresnet100": "lineament.train.backbones.iresnet:iresnet100",
    "ir50": "lineament.train.backbones.iresnet:ir50",
    "ir-se50": "lineament.train.backbones.iresnet:ir_se50",
    "adaface-ir18": "lineament.train.backbones.iresnet:adaface_ir18",
    "adaface-ir50": "lineament.train.backbones.iresnet:adaface_ir50",
    "adaface-ir101": "lineament.train.backbones.iresnet:adaface_ir101",
    "resnet-face18": "lineament.train.backbones.resnet_face:resnet_face18",
    "ghostfacenet": "lineament.train.backbones.ghostfacenet:ghostfacenet",
    "lightcnn9": "lineament.train.backbones.lightcnn:lightcnn9",
    "lightcnn29": "lineament.train.backbones.lightcnn:lightcnn29",
    "lightcnn29v2": "lineament.train.backbones.lightcnn:lightcnn29v2",
    "spherenet20": "lineament.train.backbones.spherenet:spherenet20",
    "inception-resnet-v1": "lineament.train.backbones.inception_resnet:inception_resnet_v1",
    "openface": "lineament.train.backbones.openface:openface",
    "vggface": "lineament.train.backbones.vggface:vggface",
    "deepid": "lineament.train.backbones.deepid:deepid",
    "deepface": "lineament.train.backbones.deepface:deepface",
}
"""Name -> "module:function". The function takes ``dimension``, ``size_px`` and the options of its
architecture by keyword, each with its default."""


def make_backbone(
    name: str, *, dimension: int | None = None, size_px: int | None = None, **options: Any
) -> Backbone:
    """Build a backbone with fresh weights, drawn from PyTorch's global generator.

    Args:
        name: one of ``BACKBONES``.
        dimension: D, length of the embedding; None is the architecture's own.
        size_px: side of the square crops; None is the architecture's own.
        options: of the architecture, see its function.

    Raises:
        OptionError: no such backbone or option, or a value that it cannot have.
        MissingExtraError: PyTorch is not installed.
    """
    function = looked_up("backbone", BACKBONES, name, options, _COMMON)
    if dimension is not None:
        options["dimension"] = dimension
    if size_px is not None:
        options["size_px"] = size_px
    backbone: Backbone = function(**options)
    return backbone


_COMMON = ("dimension", "size_px")

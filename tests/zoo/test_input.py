"""How published networks are fed: channels, scaling, whitening, both views; and as ONNX files."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx.reference import ReferenceEvaluator  # noqa: E402
from torch import nn  # noqa: E402

from lineament.train.backbones.backbone import Backbone  # noqa: E402
from lineament.zoo._input import Mirrored, PublishedInput  # noqa: E402
from lineament.zoo.published import entry  # noqa: E402


def photos(seed: int = 0) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (2, 3, 6, 4)).astype(np.float32)


def fed(crops: npt.NDArray[np.float32], **changes: Any) -> npt.NDArray[np.float32]:
    published = replace(entry("deepid"), input_wh=(4, 6), **changes)
    made: npt.NDArray[np.float32] = PublishedInput(published)(torch.from_numpy(crops)).numpy()
    return made


def test_one_number_for_all_channels() -> None:
    crops = photos()
    made = fed(crops, mean=127.5, scale=1 / 128)
    np.testing.assert_allclose(made, (crops - 127.5) / 128, atol=1e-6)


def test_numbers_of_channels_stand_in_the_order_of_the_channels() -> None:
    crops = photos()
    made = fed(crops, channels="bgr", mean=(1.0, 2.0, 3.0), scale=(0.1, 0.2, 0.4))
    for at, (channel, mean, scale) in enumerate([(2, 1.0, 0.1), (1, 2.0, 0.2), (0, 3.0, 0.4)]):
        np.testing.assert_allclose(made[:, at], (crops[:, channel] - mean) * scale, atol=1e-4)


def test_gray_is_one_channel() -> None:
    crops = photos()
    made = fed(crops, channels="gray", mean=0.0, scale=1 / 255)
    gray = crops[:, 0] * 0.299 + crops[:, 1] * 0.587 + crops[:, 2] * 0.114
    np.testing.assert_allclose(made, gray[:, None] / 255, atol=1e-5)


def test_whitened_crops_have_mean_0_and_deviation_1_each() -> None:
    crops = photos() * np.array([1, 0.1], np.float32)[:, None, None, None]
    made = fed(crops, whitened=True)
    np.testing.assert_allclose(made.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(made.std((1, 2, 3)), 1, atol=1e-5)
    assert np.isfinite(fed(np.full((1, 3, 6, 4), 7, np.float32), whitened=True)).all()


class Body(Backbone):
    """The input itself as the embedding."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        published = replace(entry("deepid"), input_wh=(4, 6), **changes)
        self.dimension, self.size_px, self.width_px, self.alignment = 24, 6, 4, "eyes-4x6"
        self.scaling = PublishedInput(published)

    def forward(self, crops: Any) -> Any:
        return self.scaling(crops)[:, 0].flatten(1)


@pytest.mark.parametrize("adds", [False, True])
def test_both_views(adds: bool) -> None:
    network = Mirrored(Body(mean=0.0, scale=1.0), adds=adds)
    crops = photos()
    made = network(torch.from_numpy(crops)).numpy()
    straight, mirrored = crops[:, 0].reshape(2, -1), crops[:, 0, :, ::-1].reshape(2, -1)
    wanted = straight + mirrored if adds else np.concatenate([straight, mirrored], axis=1)
    np.testing.assert_allclose(made, wanted)
    assert network.dimension == made.shape[1]


@pytest.mark.parametrize("changes", [{"channels": "bgr"}, {"channels": "gray"}, {"whitened": True}])
@pytest.mark.filterwarnings("ignore")
def test_as_an_onnx_file(changes: dict[str, Any]) -> None:
    network: nn.Module = Mirrored(Body(mean=3.0, scale=0.5, **changes), adds=False).eval()
    crops = torch.from_numpy(photos())
    file = io.BytesIO()
    axes = {"crops": {0: "N"}}
    torch.onnx.export(
        network,
        (crops,),
        file,
        input_names=["crops"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    graph = onnx.load_model_from_string(file.getvalue())
    made = ReferenceEvaluator(graph).run(None, {"crops": photos(1)[:1]})[0]
    np.testing.assert_allclose(made, network(torch.from_numpy(photos(1)[:1])).numpy(), atol=1e-4)

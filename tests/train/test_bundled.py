# ruff: noqa: E402 - torch may not be installed
"""The bundled recognizers as PyTorch modules: equal to what the engine computes, and trainable."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from onnx import NodeProto, TensorProto, helper
from torch import nn

import lineament
from builders import save_network
from lineament import Recognizer, models
from lineament.align.alignment import align_faces
from lineament.embed import load_embedder
from lineament.errors import LicenseError, OptionError, UnknownWeightsError, WeightsError
from lineament.images import load_image
from lineament.models import LicensePolicy
from lineament.train.backbones.bundled import BUNDLED, GraphBackbone, load_bundled
from lineament.types import FloatArray, Image

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def crops() -> Image:
    """(4, 112, 112, 3): three people, aligned by the pipeline, and one of them small and back."""
    recognizer = Recognizer("mobilefacenet")
    made = []
    for name in ("astronaut", "biden", "obama"):
        found = recognizer.detect(DEMO / f"{name}.jpg")
        made.append(align_faces(load_image(DEMO / f"{name}.jpg"), found.faces[:1])[0])
    small = cv2.resize(made[0], (24, 24), interpolation=cv2.INTER_AREA)
    made.append(cv2.resize(small, (112, 112), interpolation=cv2.INTER_CUBIC))
    return np.stack(made)


def batch(crops: Image) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float()


@pytest.fixture(scope="module", params=BUNDLED)
def backbone(request: pytest.FixtureRequest) -> GraphBackbone:
    return load_bundled(request.param)


def name_of(backbone: GraphBackbone) -> str:
    return "sface" if backbone.dimension == 128 else "mobilefacenet"


def test_outputs_are_those_of_the_engine(backbone: GraphBackbone, crops: Image) -> None:
    vectors, norms = load_embedder(models.get(name_of(backbone)), flip=False).embed(crops)
    with torch.inference_mode():
        outputs = backbone(batch(crops)).numpy()
    lengths = np.linalg.norm(outputs, axis=1)
    assert np.abs(outputs / lengths[:, None] - vectors).max() < 1e-5
    np.testing.assert_allclose(lengths, norms, rtol=1e-5)
    # The crops differ, so that an answer that ignores them would be noticed.
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1


def test_every_parameter_gets_a_gradient(backbone: GraphBackbone, crops: Image) -> None:
    trained = copy.deepcopy(backbone).train()
    outputs = trained(batch(crops))
    outputs.backward(torch.linspace(-1, 1, outputs.numel()).reshape(outputs.shape))
    gradients = {name: values.grad for name, values in trained.named_parameters()}
    assert len(gradients) > 100
    silent = [name for name, grad in gradients.items() if grad is None or not grad.any()]
    assert silent == []


def test_a_step_makes_the_loss_smaller(crops: Image) -> None:
    trained = load_bundled("mobilefacenet")
    wanted = nn.functional.normalize(trained(batch(crops[:1]))).detach()
    optimizer = torch.optim.SGD(trained.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        loss = 1 - (nn.functional.normalize(trained(batch(crops[3:]))) * wanted).sum()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[1] < losses[0]


def test_layers_are_what_they_were() -> None:
    def count(name: str, kind: type[nn.Module]) -> int:
        return sum(isinstance(layer, kind) for layer in load_bundled(name).modules())

    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.PReLU, nn.Linear, nn.Dropout)
    assert [count("sface", kind) for kind in kinds] == [27, 29, 27, 1, 0]
    assert [count("mobilefacenet", kind) for kind in kinds] == [50, 0, 33, 0, 0]


def test_stages_halve_the_resolution() -> None:
    sides: dict[str, list[int]] = {}

    def sides_of(name: str) -> dict[str, int]:
        backbone = load_bundled(name)
        sides.clear()
        for stage, [module] in backbone.stages():
            last = [layer for layer in module.modules() if isinstance(layer, nn.PReLU)]
            for layer in last[-1:]:
                layer.register_forward_hook(
                    lambda _, __, out, stage=stage: sides.update({stage: out.shape[-1]})
                )
        with torch.inference_mode():
            backbone(torch.zeros(1, 3, 112, 112))
        return dict(sides)

    assert sides_of("sface") == {f"stage{i + 1}": 112 >> i for i in range(5)}
    assert sides_of("mobilefacenet") == {f"stage{i + 1}": 56 >> i for i in range(4)}
    backbone = load_bundled("sface")
    staged = [v for _, modules in backbone.stages() for m in modules for v in m.parameters()]
    assert sorted(map(id, staged)) == sorted(map(id, backbone.parameters()))
    assert backbone.stages()[-1][0] == "output"


def test_statistics_move_in_training_only(crops: Image) -> None:
    backbone = load_bundled("sface")
    norm = next(layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d))
    mean = norm.running_mean.clone()
    backbone(batch(crops))
    assert torch.equal(norm.running_mean, mean)
    shifted = next(layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d))
    seen: list[torch.Tensor] = []
    shifted.register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    backbone.train()(batch(crops))
    # The momentum of the graph is 0.9: a tenth of the new mean.
    expected = 0.9 * mean + 0.1 * seen[0].mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-4, atol=1e-4)


def test_a_wrong_size_is_refused() -> None:
    with pytest.raises(OptionError, match=r"expected \(N, 3, 112, 112\), got \(1, 3, 96, 96\)"):
        load_bundled("mobilefacenet")(torch.zeros(1, 3, 96, 96))


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("sfaec", UnknownWeightsError, "sface"),
        ("yunet", WeightsError, "got a detector"),
        ("sface-mobilefacenet", WeightsError, "joins"),
        ("dlib-resnet", WeightsError, "no trainable layer for .*; known are Conv"),
    ],
)
def test_what_cannot_be_trained(name: str, error: type[WeightsError], words: str) -> None:
    with pytest.raises(error, match=words):
        load_bundled(name)


def test_the_license_policy_holds() -> None:
    with pytest.raises(LicenseError, match="sface"):
        load_bundled("sface", policy=LicensePolicy.parse("any;deny:sface"))


# --- other people's graphs ------------------------------------------------------------------------

random = np.random.default_rng(7)


def values(*shape: int) -> FloatArray:
    return random.normal(0, 0.5, shape).astype(np.float32)


def added(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nodes: list[NodeProto],
    constants: dict[str, np.ndarray],
) -> models.Card:
    """A small network in a manifest of its own, called "small"."""
    save_network(tmp_path / "small.onnx", nodes, constants=constants, output=["N", 4])
    entry = models.from_file(
        tmp_path / "small.onnx", size_wh=[8, 8], color_order="rgb", mean=0, scale=1
    )
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"schema": 1, "weights": [entry.to_dict()]}))
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(manifest))
    return models.get("small")


def small_graph() -> tuple[list[NodeProto], dict[str, np.ndarray]]:
    """int8 weights that are unpacked, an uneven stride, a residual block, all in one."""
    nodes = [
        helper.make_node("Mul", ["x", "factor"], ["scaled"]),
        helper.make_node("Cast", ["q"], ["qf"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["qf", "s"], ["w"]),
        helper.make_node("Conv", ["scaled", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("PRelu", ["c", "slope"], ["p"]),
        helper.make_node("Conv", ["p", "dw"], ["d"], pads=[1, 1, 1, 1], group=6),
        helper.make_node("Relu", ["d"], ["r"]),
        helper.make_node("Add", ["p", "r"], ["sum"]),
        helper.make_node("Flatten", ["sum"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc"], ["g"]),
        helper.make_node("BatchNormalization", ["g", "ga", "be", "mu", "va"], ["y"], epsilon=0.01),
    ]
    constants = {
        "factor": np.float32(1 / 128).reshape(1),
        "q": random.integers(-127, 128, (6, 3, 3, 3)).astype(np.int8),
        "s": np.full((6, 1, 1, 1), 0.01, np.float32),
        "b": values(6),
        "slope": values(6, 1, 1),
        "dw": values(6, 1, 3, 3),
        "fc": values(96, 4),
        "ga": values(4),
        "be": values(4),
        "mu": values(4),
        "va": np.abs(values(4)),
    }
    return nodes, constants


def test_a_network_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = added(tmp_path, monkeypatch, *small_graph())
    crops = random.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    vectors, norms = load_embedder(entry, flip=False).embed(crops)
    backbone = load_bundled("small")
    assert (backbone.dimension, backbone.size_px) == (4, 8)
    with torch.inference_mode():
        outputs = backbone(batch(crops)).numpy()
    np.testing.assert_allclose(outputs, vectors * norms[:, None], rtol=1e-4, atol=1e-5)
    assert norms.min() > 0.01


CHANGES = {
    "padding of one side": ("Conv", {"pads": [0, 0, 1, 1]}),
    "a scaled product": ("Gemm", {"alpha": 2.0}),
    "an unknown node": ("Relu", {"op_type": "Sigmoid"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_no_layer_does(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, constants = small_graph()
    kind, attributes = CHANGES[change]
    node = next(node for node in nodes if node.op_type == kind)
    for name, value in attributes.items():
        if name == "op_type":
            node.op_type = value
            continue
        kept = [item for item in node.attribute if item.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])
    added(tmp_path, monkeypatch, nodes, constants)
    with pytest.raises(WeightsError, match=f"no trainable layer for {node.op_type}"):
        load_bundled("small")


def test_a_constant_minus_the_input_is_no_scaling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, constants = small_graph()
    nodes[0] = helper.make_node("Sub", ["factor", "x"], ["scaled"])
    added(tmp_path, monkeypatch, nodes, constants)
    with pytest.raises(WeightsError, match="no trainable layer for Sub"):
        load_bundled("small")


def test_a_network_that_is_scaled_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added(tmp_path, monkeypatch, *small_graph())
    manifest = tmp_path / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"color_order": "rgb"', '"color_order": "bgr"')
    )
    with pytest.raises(WeightsError, match="got bgr"):
        load_bundled("small")

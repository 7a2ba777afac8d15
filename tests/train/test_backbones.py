"""Backbones: parameters against the papers' tables, layers against loops, gradients, batches."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from lineament.embed import load_embedder  # noqa: E402
from lineament.errors import OptionError  # noqa: E402
from lineament.models import read_manifest  # noqa: E402
from lineament.models.runtime import ENGINES, Runtime  # noqa: E402
from lineament.train.backbones import BACKBONES, make_backbone  # noqa: E402
from lineament.train.backbones import edgeface as edgeface_module  # noqa: E402
from lineament.train.backbones import ghostfacenet as ghostfacenet_module  # noqa: E402
from lineament.train.backbones.backbone import Backbone  # noqa: E402
from lineament.train.backbones.deepface import LocallyConnected2d  # noqa: E402
from lineament.train.backbones.lightcnn import MaxFeature  # noqa: E402
from lineament.train.model.export import export_onnx  # noqa: E402

SMALL: dict[str, dict[str, Any]] = {
    "shallow": {"size_px": 16},
    "oriented": {"size_px": 24},
    "tiny": {"size_px": 16},
    "mobilefacenet": {"size_px": 32},
    "edgeface-xs": {"size_px": 64},
    "iresnet18": {"size_px": 16, "dimension": 16},
    "ir-se50": {"size_px": 16, "dimension": 16},
    "spherenet20": {"size_px": 16},
    "inception-resnet-v1": {"size_px": 80},
    "deepface": {"size_px": 72, "dimension": 32, "initial": "he"},
    "deepid": {"size_px": 40},
    "lightcnn9": {"size_px": 16},
    "ghostfacenet": {"size_px": 32},
    "adaface-ir18": {"size_px": 16, "dimension": 16},
    "resnet-face18": {"size_px": 16, "dimension": 16},
    "lightcnn29": {"size_px": 16},
    "lightcnn29v2": {"size_px": 16},
    "openface": {"size_px": 96},
    "vggface": {"size_px": 32, "dimension": 16},
}
"""One of each kind, with crops so small that a step takes a moment."""

LONGER = ("adaface-ir18", "resnet-face18", "lightcnn29", "lightcnn29v2", "openface", "vggface")
"""Those for which a step takes more than a moment."""

EACH = [pytest.param(name, marks=pytest.mark.slow) if name in LONGER else name for name in SMALL]

SIZES_PX = {
    "shallow": 48,
    "oriented": 48,
    "inception-resnet-v1": 160,
    "deepface": 152,
    **dict.fromkeys(("resnet-face18", "lightcnn9", "lightcnn29", "lightcnn29v2"), 128),
    "openface": 96,
    "vggface": 224,
    "deepid": 55,
}
DIMENSIONS = {
    **dict.fromkeys(("shallow", "tiny", "mobilefacenet", "inception-resnet-v1", "openface"), 128),
    **dict.fromkeys(("lightcnn9", "lightcnn29", "lightcnn29v2"), 256),
    "oriented": 200,
    "deepface": 4096,
    "vggface": 4096,
    "deepid": 160,
}


@pytest.fixture(autouse=True)
def _own_random_numbers() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def on_meta(name: str, **options: Any) -> Backbone:
    with torch.device("meta"):
        return make_backbone(name, **options)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def crops(count: int, size_px: int, seed: int = 0) -> torch.Tensor:
    """Squares of random colors: large ones, as finer noise looks everywhere the same."""
    few = -(size_px // -8)
    values = np.random.default_rng(seed).integers(0, 256, (count, 3, few, few))
    values = values.repeat(8, axis=2).repeat(8, axis=3)[:, :, :size_px, :size_px]
    return torch.from_numpy(values).float()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def warmed(name: str) -> Backbone:
    """A small backbone, in eval mode, whose running figures are not those of the beginning."""
    backbone = make_backbone(name, **SMALL[name])
    for module in backbone.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.momentum = 1.0
    with torch.no_grad():
        backbone.train()(crops(4, backbone.size_px, seed=7))
    return backbone.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SMALL))
def test_what_is_written_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    backbone = warmed(name)
    card = export_onnx(backbone, tmp_path / "mine.onnx", name="mine")
    images = crops(3, backbone.size_px, seed=5)
    with torch.inference_mode():
        wanted = nn.functional.normalize(backbone(images)).numpy()
    pixels = np.ascontiguousarray(images.numpy().astype(np.uint8).transpose(0, 2, 3, 1))
    for engine in ENGINES:
        read = {each.name: each for each in read_manifest(tmp_path / "manifest.json")}["mine"]
        assert read.sha256 == card.sha256
        vectors, _ = load_embedder(read, flip=False, runtime=Runtime(engine)).embed(pixels)
        assert vectors.shape == (3, backbone.dimension)
        assert np.abs(vectors - wanted).max() < 1e-4
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-3


# --- Parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "exact", "in_the_paper"),
    [
        # InsightFace's list of models
        ("iresnet18", {}, 24_025_600, "24.0"),
        ("iresnet34", {}, 34_139_328, "34.1"),
        ("iresnet50", {}, 43_590_848, "43.6"),
        ("iresnet100", {}, 65_156_160, "65.2"),
        ("ir50", {}, 43_574_976, "43.6"),
        ("ir-se50", {}, 43_797_696, "43.8"),
        # arXiv:2307.01838, table 1
        ("edgeface-xs", {}, 1_770_492, "1.77"),
        ("edgeface-s", {}, 3_652_520, "3.65"),
        # The networks known as FaceNet
        ("inception-resnet-v1", {"dimension": 128}, 22_793_728, "22.8"),
        ("inception-resnet-v1", {"dimension": 512}, 23_482_624, "23.5"),
        # The paper's "less than 1 million" is without the normalizations, see below.
        ("mobilefacenet", {}, 1_003_136, "1.0"),
        ("spherenet20", {}, 24_501_952, "24.5"),
        ("deepface", {}, 102_412_864, "102.4"),
        ("spherenet20", {"narrow": True}, 22_666_944, "22.7"),
        ("spherenet20", {"narrow": True, "bias": True}, 22_670_656, "22.7"),
        # arXiv:2204.00964's networks, without factors at the end
        ("adaface-ir18", {}, 24_020_352, "24.0"),
        ("adaface-ir50", {}, 43_585_600, "43.6"),
        ("adaface-ir101", {}, 65_150_912, "65.2"),
        # VGG-16 without its classes, and VGG-Face with its 2,622
        ("vggface", {}, 134_260_544, "134.3"),
        ("vggface", {"last": "fc8", "dimension": 2622}, 145_002_878, "145.0"),
        # OpenFace's list of models: "nn4.small2, 3733968"
        ("openface", {}, 3_733_968, "3.73"),
        ("ghostfacenet", {}, 4_060_260, "4.1"),
        ("deepid", {}, 395_080, "0.40"),
        ("resnet-face18", {}, 25_627_081, "25.6"),
        ("lightcnn9", {}, 5_480_864, "5.5"),
        ("lightcnn29", {}, 12_573_280, "12.6"),
        ("lightcnn29v2", {}, 10_475_872, "10.5"),
        ("tiny", {}, 296_432, "0.3"),
        ("shallow", {}, 601_888, "0.60"),
        ("oriented", {}, 3 * 8 * 11 * 11 + 8 * 18 * 18 + 8 * 8 * 8 * 200 + 200, "0.11"),
    ],
)
def test_number_of_parameters(
    name: str, options: dict[str, Any], exact: int, in_the_paper: str
) -> None:
    count = parameters(on_meta(name, **options))
    assert count == exact
    places = len(in_the_paper.partition(".")[2])
    assert f"{count / 1e6:.{places}f}" == in_the_paper


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("iresnet18", (2, 2, 2, 2)),
        ("iresnet34", (3, 4, 6, 3)),
        ("iresnet50", (3, 4, 14, 3)),
        ("iresnet100", (3, 13, 30, 3)),
    ],
)
def test_iresnet_from_its_table(name: str, units: tuple[int, ...]) -> None:
    expected, ins = 3 * 9 * 64 + 2 * 64 + 64, 64
    for outs, count in zip((64, 128, 256, 512), units, strict=True):
        for i in range(count):
            expected += 2 * ins + ins * 9 * outs + 2 * outs + outs + outs * 9 * outs + 2 * outs
            expected += ins * outs + 2 * outs if i == 0 else 0
            ins = outs
    expected += 2 * 512 + 512 * 49 * 512 + 512 + 2 * 512
    assert parameters(on_meta(name)) == expected


def test_mobilefacenet_with_its_normalizations_folded_away_has_the_papers_size() -> None:
    backbone = on_meta("mobilefacenet")
    folded = parameters(backbone)
    for module in backbone.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            folded -= module.num_features  # a factor and a shift become a shift
    assert f"{folded / 1e6:.2f}" == "0.99"
    assert f"{folded * 4 / 1e6:.1f}" == "4.0"  # MB


def test_mobilefacenet_makes_as_many_multiplications_as_the_paper_says() -> None:
    assert round(multiplications(on_meta("mobilefacenet")) / 1e6) == 221


@pytest.mark.parametrize(("name", "mflops"), [("edgeface-xs", 154), ("edgeface-s", 306.1)])
def test_edgeface_makes_about_as_many_operations_as_the_paper_says(
    name: str, mflops: float
) -> None:
    # The paper's count has the norms and activations, too.
    assert 2 * multiplications(on_meta(name)) / 1e6 == pytest.approx(mflops, rel=0.02)


def multiplications(backbone: Backbone) -> int:
    """Of convolutions, local and linear layers, for one crop."""
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features
        elif isinstance(module, LocallyConnected2d):
            total += module.weight.numel()

    for module in backbone.modules():
        module.register_forward_hook(count)
    size_px = backbone.size_px
    backbone.eval()(torch.zeros(1, 3, size_px, size_px, device="meta"))
    return total


def test_spherenet_from_its_table() -> None:
    expected, ins = 0, 3
    for outs, units in ((64, 1), (128, 2), (256, 4), (512, 1)):
        expected += ins * 9 * outs + outs + outs  # with a bias, PReLU
        expected += units * 2 * (outs * 9 * outs + outs)
        ins = outs
    body = expected
    assert parameters(on_meta("spherenet20")) == body + 512 * 7 * 7 * 512 + 512
    # 20 layers: 4 + 2 * 8 convolutions; the linear one is counted as the paper's "FC1".
    convolutions = [m for m in on_meta("spherenet20").modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 20


def test_deepface_from_its_figure() -> None:
    backbone = on_meta("deepface")
    grids: list[tuple[int, ...]] = []
    layers = (nn.Conv2d, nn.MaxPool2d, LocallyConnected2d)
    found = [module for module in backbone.modules() if isinstance(module, layers)]
    for module in found:
        module.register_forward_hook(lambda _m, _i, output: grids.append(tuple(output.shape[1:])))
    backbone.eval()(torch.zeros(1, 3, 152, 152, device="meta"))
    assert grids == [
        (32, 142, 142),
        (32, 71, 71),
        (16, 63, 63),
        (16, 55, 55),
        (16, 25, 25),
        (16, 21, 21),
    ]
    assert [type(module) for module in found].count(nn.MaxPool2d) == 1  # after the first only
    local = (
        55 * 55 * (16 * 81 + 1) * 16 + 25 * 25 * (16 * 49 + 1) * 16 + 21 * 21 * (16 * 25 + 1) * 16
    )
    f7, f8 = 21 * 21 * 16 * 4096 + 4096, 4096 * 4030 + 4030
    convolutions = 3 * 121 * 32 + 32 + 32 * 81 * 16 + 16
    assert parameters(backbone) == convolutions + local + f7
    total = parameters(backbone) + f8
    assert total / 1e6 == pytest.approx(120, rel=0.01)  # "more than 120 million"
    assert (total - convolutions) / total > 0.95  # "more than 95 %" local and fully connected


@pytest.mark.parametrize("initial", ["paper", "he"])
def test_deepface_begins_as_the_paper_or_as_he(initial: str) -> None:
    backbone = make_backbone("deepface", size_px=72, dimension=64, initial=initial)
    layers = {stage: parts[0][0 if stage != "f7" else 1] for stage, parts in backbone.stages()}
    inputs = {"c1": 363, "c3": 2592, "l4": 1296, "l5": 784, "l6": 400, "f7": 16}
    assert list(layers) == list(inputs)
    for stage, layer in layers.items():
        expected = 0.01 if initial == "paper" else (2 / inputs[stage]) ** 0.5
        assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.1)
        assert layer.bias.unique().tolist() == [0.5 if initial == "paper" else 0.0]


@pytest.mark.parametrize("width", [24, 32])
def test_tiny_is_tiny_whatever_its_crops(width: int) -> None:
    counts = [parameters(on_meta("tiny", size_px=s, width=width)) for s in (16, 64, 112)]
    assert counts == sorted(counts)
    assert counts[-1] < (500_000 if width == 24 else 530_000)
    # One weight for each of the 7x7 places of each channel, or none
    averaged = parameters(on_meta("tiny", size_px=112, width=width, pool="average"))
    assert counts[-1] - averaged == 49 * 4 * width


def test_low_rank_layers_have_the_rank_of_the_paper() -> None:
    layer = edgeface_module._LowRank(100, 300, 0.6)
    assert [tuple(part.weight.shape) for part in layer] == [(60, 100), (300, 60)]
    assert layer[0].bias is None
    assert edgeface_module._LowRank(3, 300, 0.1)[0].out_features == 2


# --- What every backbone promises -----------------------------------------------------------------


def test_the_table_in_the_documentation() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "backbones.md"
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+?)` \| (.*?) \|$", text, re.MULTILINE)
    assert [name for name, _ in rows] == list(BACKBONES)
    for name, row in rows:
        backbone = on_meta(name)
        dimension, size_px, millions, multiplied, options, _ = row.split(" |", 5)
        assert (int(dimension), int(size_px)) == (backbone.dimension, backbone.size_px)
        assert millions.strip() == f"{parameters(backbone) / 1e6:.2f}"
        assert multiplied.strip() == f"{multiplications(backbone) / 1e6:.0f}"
        for option in re.findall("`(.+?)`", options):
            with pytest.raises(OptionError, match=f"backbone {name}, {option}: expected"):
                make_backbone(name, **{option: -1})


@pytest.mark.parametrize("name", EACH)
def test_dimension_and_size_are_options(name: str) -> None:
    size_px = {"deepface": 73, "inception-resnet-v1": 99, "oriented": 126}.get(name, 128)
    backbone = on_meta(name, dimension=3, size_px=size_px).eval()
    assert backbone.alignment == f"arcface-{size_px}"
    assert backbone(torch.zeros(2, 3, size_px, size_px, device="meta")).shape == (2, 3)


@pytest.mark.parametrize("name", BACKBONES)
def test_shapes_and_stages_which_are_all_of_it_in_the_order_of_the_data(name: str) -> None:
    backbone = on_meta(name).eval()
    size_px = SIZES_PX.get(name, 112)
    assert (backbone.size_px, backbone.alignment) == (size_px, f"arcface-{size_px}")
    assert backbone.dimension == DIMENSIONS.get(name, 512)
    stages = backbone.stages()
    held = [parameter for _, parts in stages for part in parts for parameter in part.parameters()]
    assert len(held) == len({id(parameter) for parameter in held})
    assert {id(p) for p in held} == {id(p) for p in backbone.parameters()}
    order: list[str] = []
    for stage, parts in stages:
        assert any(True for part in parts for _ in part.parameters()), stage
        parts[0].register_forward_hook(lambda _m, _i, _o, stage=stage: order.append(stage))
    embeddings = backbone(torch.zeros(5, 3, size_px, size_px, device="meta"))
    assert embeddings.shape == (5, backbone.dimension)
    assert len(order) >= 3
    assert order == [stage for stage, _ in stages]


@pytest.mark.parametrize("name", EACH)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    backbone = make_backbone(name, **SMALL[name]).train()
    embeddings = backbone(crops(4, backbone.size_px))
    assert torch.isfinite(embeddings).all()
    (embeddings * torch.randn_like(embeddings)).sum().backward()
    learning = [(key, p) for key, p in backbone.named_parameters() if p.requires_grad]
    assert len(learning) > (3 if name == "oriented" else 10)
    for key, parameter in learning:
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().max() > 0, key
    fixed = [key for key, p in backbone.named_parameters() if not p.requires_grad]
    assert fixed == (["output.4.weight"] if name.startswith("iresnet") else [])


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
def test_the_order_of_memory_changes_nothing_but_rounding(name: str) -> None:
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        backbone = warmed(name).double().to(memory_format=layout)
        # Not flat anywhere, or rounding decides on which side of a kink an edge of 0 lies.
        photos = crops(3, backbone.size_px, seed=1).double()
        photos += torch.rand(photos.shape, dtype=torch.float64, generator=seeded()) * 20
        embeddings = backbone(photos.contiguous(memory_format=layout))
        embeddings.square().mean().backward()
        found.append((embeddings, *(p.grad for p in backbone.parameters() if p.requires_grad)))
    for usual, last in zip(*found, strict=True):
        scale = float(usual.detach().abs().max())
        torch.testing.assert_close(last, usual, rtol=1e-8, atol=1e-10 * scale)


@pytest.mark.parametrize("name", EACH)
def test_each_crop_for_itself_in_eval_mode(name: str) -> None:
    backbone = warmed(name)
    photos = crops(3, backbone.size_px, seed=1)
    with torch.no_grad():
        together = backbone(photos)
        alone = torch.cat([backbone(photo[None]) for photo in photos])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5 * float(together.abs().max()))
    assert (together[0] - together[1]).abs().max() > 1e-3 * together.abs().max()


@pytest.mark.parametrize("name", ["tiny", "edgeface-xs", "spherenet20"])
def test_the_same_seed_makes_the_same_network(name: str) -> None:
    outputs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        backbone = make_backbone(name, **SMALL[name]).eval()
        with torch.no_grad():
            outputs.append(backbone(crops(2, backbone.size_px)))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


@pytest.mark.parametrize("name", ["tiny", "mobilefacenet", "edgeface-xs", "spherenet20"])
def test_bfloat16_is_near_float32(name: str) -> None:
    backbone = warmed(name)
    photos = crops(2, backbone.size_px)
    with torch.no_grad():
        exact = backbone(photos)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = backbone(photos).float()
    cosine = nn.functional.cosine_similarity(exact, rough)
    assert cosine.min() > 0.99
    assert not torch.equal(exact, rough)


def test_group_norm_does_not_look_at_the_batch_even_in_training() -> None:
    photos = crops(3, 32)
    deviations = {}
    for norm in ("group", "batch"):
        backbone = make_backbone("tiny", size_px=32, norm=norm, width=8).train()
        with torch.no_grad():
            deviations[norm] = float((backbone(photos)[:2] - backbone(photos[:2])).abs().max())
    assert deviations["group"] < 1e-5
    assert deviations["batch"] > 1e-2


@pytest.mark.parametrize(
    ("name", "black", "white"),
    [
        ("tiny", -1.0, 1.0),
        ("mobilefacenet", -127.5 / 128, 127.5 / 128),
        ("deepface", 0.0, 1.0),
        ("iresnet18", -1.0, 1.0),
    ],
)
def test_pixels_are_scaled_inside(name: str, black: float, white: float) -> None:
    backbone = make_backbone(name, **SMALL[name])
    size_px = backbone.size_px
    extremes = torch.stack(
        [torch.zeros(3, size_px, size_px), torch.full((3, size_px, size_px), 255.0)]
    )
    scaled = backbone.get_submodule("scaling")(extremes)
    assert scaled[0].unique().tolist() == [black]
    assert scaled[1].unique().tolist() == [white]


@pytest.mark.parametrize("shape", [(1, 3, 32, 32), (1, 1, 16, 16), (3, 16, 16)])
def test_crops_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match=r"expected \(N, 3, 16, 16\), got"):
        make_backbone("tiny", size_px=16)(torch.zeros(shape))


# --- Narrow and gray crops ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "columns"),
    [
        ("deepid", {}, slice(4, 51)),
        ("spherenet20", {"size_px": 112, "narrow": True}, slice(8, 104)),
    ],
)
def test_narrow_networks_see_the_middle_columns(
    name: str, options: dict[str, Any], columns: slice
) -> None:
    backbone = make_backbone(name, **options).eval()
    photos = crops(2, backbone.size_px)
    cut = torch.zeros_like(photos)
    cut[..., columns] = photos[..., columns]
    scaled = backbone.get_submodule("scaling")(photos)
    assert scaled.shape == (2, 3, backbone.size_px, backbone.width_px)
    with torch.no_grad():
        assert torch.equal(backbone(photos), backbone(cut))


@pytest.mark.parametrize("name", ["resnet-face18", "lightcnn9"])
def test_gray_networks_see_shares_of_red_green_and_blue(name: str) -> None:
    scaling = make_backbone(name, **SMALL[name]).get_submodule("scaling")
    colors = torch.tensor([[255.0, 0, 0], [0, 255.0, 0], [0, 0, 255.0], [255.0, 255.0, 255.0]])
    made = scaling(colors[:, :, None, None].expand(4, 3, 16, 16))
    assert made.shape == (4, 1, 16, 16)
    white, black = (1.0, 0.0) if name == "lightcnn9" else (1.0, -1.0)
    expected = torch.tensor([0.299, 0.587, 0.114, 1.0]) * (white - black) + black
    torch.testing.assert_close(made[:, 0, 3, 5], expected)


# --- Layers against loops -------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [1, 2])
def test_locally_connected_against_a_loop(stride: int) -> None:
    layer = LocallyConnected2d(2, 3, 3, size_px=8, stride=stride).double()
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    y = layer(x).detach().numpy()
    side = (8 - 3) // stride + 1
    assert y.shape == (2, 3, side, side)
    weight = layer.weight.detach().numpy().reshape(side, side, 2, 3, 3, 3)
    bias = layer.bias.detach().numpy().reshape(side, side, 3)
    expected = np.zeros_like(y)
    for n, o, i, j in np.ndindex(*expected.shape):
        window = x[n, :, stride * i : stride * i + 3, stride * j : stride * j + 3].numpy()
        expected[n, o, i, j] = bias[i, j, o] + (weight[i, j, ..., o] * window).sum()
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


def test_locally_connected_with_equal_weights_is_a_convolution() -> None:
    convolution = nn.Conv2d(4, 5, 3, stride=2).double()
    layer = LocallyConnected2d(4, 5, 3, size_px=9, stride=2).double()
    with torch.no_grad():
        layer.weight.copy_(convolution.weight.flatten(1).T[None])
        layer.bias.copy_(convolution.bias)
    x = torch.randn(3, 4, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(layer(x), convolution(x))
    assert torch.autograd.gradcheck(layer, x[:1].requires_grad_())


def test_attention_between_channels_against_a_loop() -> None:
    attention = edgeface_module._BetweenChannels(8, 2, 1.0).double()
    nn.init.uniform_(attention.temperature, 0.5, 2.0)
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    qkv = attention.qkv(x).detach().numpy()
    mixed = np.zeros((2, 5, 8))
    for n in range(2):
        for head in range(2):
            own = slice(4 * head, 4 * head + 4)
            q, k, v = (qkv[n, :, 8 * part : 8 * part + 8][:, own] for part in range(3))
            q, k = q / np.linalg.norm(q, axis=0), k / np.linalg.norm(k, axis=0)
            weights = np.exp(q.T @ k * attention.temperature[head].item())
            weights /= weights.sum(axis=1, keepdims=True)
            mixed[n, :, own] = v @ weights.T
    expected = attention.mix(torch.from_numpy(mixed))
    torch.testing.assert_close(attention(x), expected)


def test_split_convolutions_hand_on_what_they_found() -> None:
    block = edgeface_module._Attention(10, 3, 2, 1.0, 4, placed=False).double().eval()
    assert block.split == [4, 4, 2]
    seen: list[torch.Tensor] = []
    block.norm.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    x = torch.randn(1, 10, 4, 4, dtype=torch.float64)
    y = block(x)
    first = block.convolutions[0](x[:, :4])
    second = block.convolutions[1](x[:, 4:8] + first)
    expected = torch.cat([first, second, x[:, 8:]], dim=1)
    torch.testing.assert_close(seen[0].transpose(1, 2).reshape(1, 10, 4, 4), expected)
    assert (y - x).abs().max() < 1e-4  # layer scales of 1e-6: at first nearly the identity
    assert not torch.equal(y, x)


def test_places_are_told_by_sines_and_cosines() -> None:
    waves = edgeface_module._Places(6, 5).waves[0].numpy()
    assert waves.shape == (64, 5, 5)
    for wave, row, column in [(0, 0, 3), (1, 2, 0), (7, 4, 1), (31, 3, 3)]:
        period = 10000 ** (2 * (wave // 2) / 32)
        function = np.cos if wave % 2 else np.sin
        for position, channel in ((row, wave), (column, 32 + wave)):
            expected = function(2 * np.pi * (position + 1) / 5 / period)
            assert waves[channel, row, column] == pytest.approx(expected, abs=1e-5)


def test_max_feature_maps_take_the_larger_half() -> None:
    layer = nn.Conv2d(3, 8, 1)
    made = MaxFeature(layer)(photos := torch.randn(2, 3, 5, 5))
    expected = np.maximum(*np.split(layer(photos).detach().numpy(), 2, axis=1))
    assert np.array_equal(made.detach().numpy(), expected)


@pytest.mark.parametrize(("kernel", "stride", "before"), [(3, 2, 0), (5, 2, 1), (3, 1, 1)])
def test_padding_is_that_of_keras(kernel: int, stride: int, before: int) -> None:
    # "same": ceil(side / stride) places; of an odd lack one more at the right and bottom
    layer = ghostfacenet_module._Convolution(1, 1, kernel, stride=stride)
    x = torch.randn(1, 1, 8, 8)
    made = layer[1](layer[0](x))
    assert made.shape[-1] == -(-8 // stride)
    lacking = (made.shape[-1] - 1) * stride + kernel - 8
    padded = nn.functional.pad(x, (before, lacking - before, before, lacking - before))
    assert torch.equal(layer[1](padded), made)


# --- Bad options, and what an import costs --------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "resnet",
            {},
            "expected one of shallow, oriented, tiny, mobilefacenet, .*deepface, got 'resnet'",
        ),
        ("tiny", {"depth": 3}, "expected options among width, norm, pool, got depth"),
        ("tiny", {"pool": "max"}, "pool: expected one of depthwise, average, got 'max'"),
        ("mobilefacenet", {"width": 1}, "expected options among none, got width"),
        ("tiny", {"dimension": 0}, "dimension: expected a whole number from 1 to"),
        ("tiny", {"dimension": 2.0}, "dimension: .* got 2.0"),
        ("tiny", {"dimension": True}, "dimension: .* got True"),
        ("tiny", {"size_px": 100}, "size_px: .* multiple of 16, got 100"),
        ("tiny", {"size_px": "112"}, "size_px: .* got '112'"),
        ("tiny", {"width": 12}, "width: .* multiple of 8, got 12"),
        ("tiny", {"norm": "layer"}, "norm: expected one of batch, group, got 'layer'"),
        ("mobilefacenet", {"size_px": 16}, "size_px: expected a whole number from 32"),
        ("edgeface-xs", {"gamma": 0}, "gamma: expected a number above 0, to 1, got 0"),
        ("edgeface-s", {"gamma": float("nan")}, "gamma: .* got nan"),
        ("iresnet50", {"dropout": 1.0}, "dropout: .* got 1.0"),
        ("ir50", {"dropout": "half"}, "dropout: .* got 'half'"),
        ("spherenet20", {"size_px": 96.0}, "size_px: .* got 96.0"),
        ("inception-resnet-v1", {"size_px": 64}, "size_px: expected a whole number from 80"),
        ("deepface", {"size_px": 71}, "size_px: expected a whole number from 72"),
        ("deepface", {"dropout": -0.1}, "dropout: .* got -0.1"),
        ("vggface", {"last": "fc6"}, "last: expected one of fc7, fc8, got 'fc6'"),
        ("vggface", {"size_px": 100}, "size_px: .* multiple of 32, got 100"),
        ("openface", {"window": 0}, "window: expected a whole number from 1 to 63, got 0"),
        ("ghostfacenet", {"width": 0}, "width: expected a number above 0, to 4, got 0"),
        ("deepid", {"size_px": 39}, "size_px: expected a whole number from 40"),
        ("lightcnn29", {"dropout": 1}, "backbone lightcnn29, dropout: .* got 1"),
        ("spherenet20", {"narrow": True, "size_px": 96}, "multiple of 112, got 96"),
        ("deepface", {"initial": "ones"}, "initial: expected one of paper, he, got 'ones'"),
    ],
)
def test_bad_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        on_meta(name, **options)


@pytest.mark.slow
def test_the_smallest_crops_that_are_allowed_work() -> None:
    least = {
        "oriented": 18,
        "mobilefacenet": 32,
        "edgeface-xs": 32,
        "deepface": 72,
        "inception-resnet-v1": 80,
        "openface": 96,
        "vggface": 32,
        "ghostfacenet": 32,
        "deepid": 40,
    }
    for name in SMALL:
        size_px = least.get(name, 16)
        backbone = on_meta(name, size_px=size_px).eval()
        output = backbone(torch.zeros(2, 3, size_px, size_px, device="meta"))
        assert output.shape == (2, backbone.dimension)


def test_the_list_of_backbones_loads_no_torch_and_says_when_it_is_missing() -> None:
    code = """
import sys
import lineament.train.backbones as backbones
from lineament.errors import MissingExtraError
assert "torch" not in sys.modules
sys.modules["torch"] = None
try:
    backbones.make_backbone("tiny")
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert '"torch>=' in done.stdout

"""Networks of Silent-Face-Anti-Spoofing from files: random weights in the published layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament.errors import WeightsError
from lineament.liveness.minifasnet import read_minifasnet, rectangle_inside
from lineament.liveness.passive import load_passive
from lineament.types import Face

torch = pytest.importorskip("torch")
WIDTHS = (8, 8, 12, 12, 8)
"""Fewer channels than the published networks have; their names and kinds of layers are the same."""


def block(
    name: str, out: int, into: int, side: int, prelu: bool = True
) -> Iterator[tuple[str, Any]]:
    yield f"{name}.conv.weight", torch.randn(out, into, side, side) * 0.3
    for key, value in (("weight", 1.0), ("bias", 0.1), ("running_mean", 0.0), ("running_var", 1.0)):
        yield f"{name}.bn.{key}", torch.full((out,), value)
    yield f"{name}.bn.num_batches_tracked", torch.tensor(1)
    if prelu:
        yield f"{name}.prelu.weight", torch.full((out,), 0.25)


def three(name: str, channels: int, middle: int, *, se: bool = False) -> Iterator[tuple[str, Any]]:
    yield from block(f"{name}.conv", middle, channels, 1)
    yield from block(f"{name}.conv_dw", middle, 1, 3)
    yield from block(f"{name}.project", channels, middle, 1, prelu=False)
    for number, (out, into) in enumerate(((channels // 4, channels), (channels, channels // 4)), 1):
        if se:
            layer = dict(block("x", out, into, 1, prelu=False))
            yield f"{name}.se_module.fc{number}.weight", layer["x.conv.weight"]
            for key in ("weight", "bias", "running_mean", "running_var"):
                yield f"{name}.se_module.bn{number}.{key}", layer[f"x.bn.{key}"]


def state(*, se: bool) -> dict[str, Any]:
    torch.manual_seed(3)
    found = dict(block("conv1", 8, 3, 3)) | dict(block("conv2_dw", 8, 1, 3))
    for down, rest, count in (
        ("conv_23", "conv_3", 4),
        ("conv_34", "conv_4", 6),
        ("conv_45", "conv_5", 2),
    ):
        found |= dict(three(down, 8, 12))
        for number in range(count):
            found |= dict(three(f"{rest}.model.{number}", 8, 12, se=se and number == count - 1))
    found |= dict(block("conv_6_sep", 16, 8, 1)) | dict(block("conv_6_dw", 16, 1, 5, prelu=False))
    found["linear.weight"] = torch.randn(10, 16) * 0.3
    found |= {
        key.removeprefix("b."): v for key, v in block("b", 10, 1, 1, prelu=False) if ".bn." in key
    }
    found["prob.weight"] = torch.randn(3, 10)
    return {f"module.{key}": value for key, value in found.items()}


@pytest.fixture(scope="module")
def face() -> Face:
    points = np.array([[40, 45], [60, 45], [50, 55], [42, 65], [58, 65]])
    return Face(np.array([30, 30, 70, 78]), 0.9, points)


@pytest.mark.parametrize(
    ("name", "se", "scale"),
    [
        ("2.7_80x80_MiniFASNetV2.pth", False, 2.7),
        ("4_0_0_80x80_MiniFASNetV1SE.pth", True, 4.0),
        ("org_80x80_MiniFASNetV1.pth", False, None),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_published_names_are_read_and_run(
    tmp_path: Path, face: Face, name: str, se: bool, scale: float | None, legacy: bool
) -> None:
    path = tmp_path / name
    torch.save(state(se=se), path, _use_new_zipfile_serialization=not legacy)
    network = read_minifasnet(path)
    assert (network.scale, network.size_hw) == (scale, (80, 80))
    pixels = np.random.default_rng(0).integers(0, 256, (120, 110, 3)).astype(np.uint8)
    one, two = network.read(pixels, [face, face])
    assert one == pytest.approx(two, rel=1e-5)  # a place in a batch may round otherwise
    assert np.isfinite(one)
    assert network.read(255 - pixels, [face])[0] != one
    both = load_passive(networks={"mine": network}).look(pixels, face)
    assert set(both.cues) >= {"texture", "mine"}


def test_the_layers_compute_what_pytorchs_modules_do(tmp_path: Path) -> None:
    """The first two blocks against nn.Module; squeeze and excitation by hand."""
    path = tmp_path / "2.7_80x80_MiniFASNetV2.pth"
    values = state(se=True)
    torch.save(values, path)
    network = read_minifasnet(path)
    x = torch.randn(2, 3, 16, 16)
    plain = {key.removeprefix("module."): value for key, value in values.items()}
    convolution = torch.nn.Conv2d(3, 8, 3, 2, 1, bias=False)
    normal, slope = torch.nn.BatchNorm2d(8).eval(), torch.nn.PReLU(8)
    convolution.weight.data = plain["conv1.conv.weight"]
    normal.bias.data[:] = 0.1
    expected = slope(normal(convolution(x)))
    got = network._block(x, "conv1", stride=2, padding=1)
    torch.testing.assert_close(got, expected)
    name = "conv_3.model.3"
    inside = network._three(expected, name)
    for part in ("conv", "conv_dw", "project"):
        expected = network._block(expected, f"{name}.{part}", padding=int(part == "conv_dw"))
    squeezed = expected.mean((2, 3))
    for number, bend in ((1, torch.relu), (2, torch.sigmoid)):
        weight = plain[f"{name}.se_module.fc{number}.weight"][:, :, 0, 0]
        squeezed = bend((squeezed @ weight.T) / (1 + 1e-5) ** 0.5 + 0.1)
    torch.testing.assert_close(inside, expected * squeezed[:, :, None, None])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("mine.pth", {}, "expected a name such as 2.7_80x80"),
        ("2.7_80x80_A.onnx", {}, "expected a name such as 2.7_80x80"),
        ("2.7_80x80_A.pth", {"module.conv1.conv.weight": None}, "expected the tensor 'conv1.conv"),
        ("2.7_80x80_A.pth", {"module.prob.weight": torch.zeros(2, 10)}, "3 classes, got 2"),
        ("2.7_80x80_A.pth", {"module.linear.weight": torch.zeros(2, 9)}, "do not fit together"),
        ("2.7_80x80_A.pth", {"more": [1]}, "expected tensors by name"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, change: dict[str, Any], message: str) -> None:
    values = {key: v for key, v in (state(se=False) | change).items() if v is not None}
    torch.save(values, tmp_path / name)
    with pytest.raises(WeightsError, match=message):
        read_minifasnet(tmp_path / name)


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "2.7_80x80_MiniFASNetV2.pth"
    with pytest.raises(WeightsError, match="expected tensors as PyTorch saves them"):
        read_minifasnet(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="expected tensors as PyTorch saves them"):
        read_minifasnet(path)


def test_the_rectangle_is_moved_into_the_photo(face: Face) -> None:
    assert rectangle_inside((400, 400), face, 1.0) == (30, 30, 70, 78)
    left, top, right, bottom = rectangle_inside((400, 400), face, 2.0)
    assert (left, top, right, bottom) == (10, 6, 90, 102)
    assert rectangle_inside((400, 400), face, 4.0)[:2] == (0, 0)
    left, top, right, bottom = rectangle_inside((97, 400), face, 4.0)  # twice is all there is
    assert (top, bottom, right - left) == (0, 96, 80)

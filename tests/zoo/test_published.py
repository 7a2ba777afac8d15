"""Published weights: recognized by names and shapes, and the same embeddings as their own code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

torch = pytest.importorskip("torch")

from published_weights import GOLDEN, crops, golden, made_up  # noqa: E402

from lineament.align.alignment import Alignment  # noqa: E402
from lineament.errors import OptionError, WeightsError  # noqa: E402
from lineament.train.backbones import BACKBONES  # noqa: E402
from lineament.zoo import published  # noqa: E402
from lineament.zoo.published import Match, build, entry, names, recognize  # noqa: E402

Shapes = dict[str, tuple[int, ...]]

with np.load(GOLDEN) as _stored:
    WITH_GOLDEN = sorted({key.partition("/")[0] for key in _stored})

LAYOUTS = {f"{each.published.name}-{each.format}": each for each in published._LAYOUTS}
LIGHT = {"deepid", "ghostfacenet-v1", "edgeface-xs"}
"""Networks that take a moment: the others are for the slow run."""


def slow_unless_light(names_: list[str]) -> list[Any]:
    return [
        name if name.rpartition("-")[0] in LIGHT or name in LIGHT else _slow(name)
        for name in names_
    ]


def _slow(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow)


def shapes_of_file(layout: Any) -> Shapes:
    """Names and shapes as the published file has them."""
    ours = published._our_shapes(layout)
    return {row.theirs: row.stored.shape(ours[row.ours]) for row in layout.rows(ours)}


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[np.float32]]:
    return {name: made_up(name, shape) for name, shape in shapes.items()}


def embedded(network: Any, name: str) -> npt.NDArray[np.float32]:
    width, height = entry(name).input_wh
    pixels = np.ascontiguousarray(crops(name, height, width).transpose(0, 3, 1, 2), np.float32)
    with torch.no_grad():
        return unit(network(torch.from_numpy(pixels)).numpy())


def unit(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)


def match_of(shapes: Shapes, format: str, name: str | None = None) -> Match:
    match = recognize(shapes, format, name=name)
    assert match is not None
    return match


# --- Against other people's code ------------------------------------------------------------------


@pytest.mark.parametrize("name", slow_unless_light(WITH_GOLDEN))
def test_the_same_embeddings_as_their_own_code(name: str) -> None:
    shapes, wanted = golden(name)
    match = match_of(shapes, "pytorch")
    assert name in (match.published.name, *match.also)
    match = match_of(shapes, "pytorch", name)
    assert match.complete, match.why_not()
    made = embedded(build(match, weights(shapes)), name)
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, unit(wanted), rtol=0, atol=1e-5)
    assert np.linalg.norm(made[0] - made[1]) > 1e-3  # they are not the same whatever the crop


# --- Every layout, with weights made here ---------------------------------------------------------


@pytest.mark.parametrize("key", LAYOUTS)
def test_a_file_is_recognized(key: str) -> None:
    layout = LAYOUTS[key]
    shapes = shapes_of_file(layout)
    assert len(shapes) == len(list(layout.rows(published._our_shapes(layout))))
    name = layout.published.name if layout.asked else None
    match = match_of({**shapes, **layout.hints}, layout.format, name)
    assert match.complete, match.why_not()
    assert layout.published.name in (match.published.name, *match.also)
    assert match_of(shapes, layout.format, layout.published.name).published == layout.published


@pytest.mark.parametrize("key", slow_unless_light(list(LAYOUTS)))
def test_a_file_becomes_a_network(key: str) -> None:
    layout = LAYOUTS[key]
    shapes = shapes_of_file(layout)
    name = layout.published.name
    tensors = weights(shapes)
    network = build(match_of(shapes, layout.format, name), tensors)
    assert not network.training
    made = embedded(network, name)
    assert made.shape == (2, layout.published.embedding_size)
    assert network.dimension == layout.published.embedding_size
    assert np.isfinite(made).all()
    # Nothing is left out: every number of the file lies in the network.
    body = getattr(network, "body", network)
    state = body.state_dict()
    rows = list(layout.rows(published._our_shapes(layout)))
    assert {row.ours for row in rows} == {k for k in state if not k.endswith("num_batches_tracked")}
    for row in rows:
        ours, theirs = state[row.ours].numpy(), tensors[row.theirs]
        assert np.array_equal(np.sort(ours, axis=None), np.sort(theirs, axis=None)), row.ours


@pytest.mark.parametrize("name", names())
def test_the_table_says_what_must_be_known(name: str) -> None:
    found = entry(name)
    assert found.backbone in BACKBONES
    assert found.source.startswith("https://")
    assert not found.commercial or found.license != "unknown"
    assert str(Alignment.parse(found.alignment)) == found.alignment
    assert Alignment.parse(found.alignment).size_wh == found.input_wh
    for value in (found.mean, found.scale):
        assert isinstance(value, float) or (len(value) == 3 and found.channels != "gray")
    assert found.thresholds.startswith("none")


def test_the_table_in_the_documentation() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "backbones.md"
    found = {}
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 7 and cells[1].startswith("`"):
            found[cells[1].strip("`")] = cells[2:]
    assert list(found) == names()
    for name, (backbone, crop, dimension, files, license) in found.items():
        each = [layout.published for layout in LAYOUTS.values() if layout.published.name == name]
        width, height = each[0].input_wh
        assert backbone == f"`{each[0].backbone}`"
        assert crop == f"{width}x{height} {each[0].channels}"
        assert int(dimension) == each[0].embedding_size
        assert files == ", ".join(published_.framework for published_ in each)
        assert license == each[0].license
    assert not any(layout.published.commercial for layout in LAYOUTS.values())


# --- Files that are not as they should be ---------------------------------------------------------


def facenet_shapes() -> Shapes:
    return golden("facenet-512-vggface2")[0]


def test_prefixes_and_leftovers_of_training() -> None:
    shapes = {f"module.{key}": shape for key, shape in facenet_shapes().items()}
    shapes |= {"module.logits.bias": (8631,), "optimizer.step": (), "epoch": ()}
    match = match_of(shapes, "pytorch")
    assert match.complete
    assert match.prefix == "module."
    assert {"module.logits.bias", "optimizer.step", "epoch"} <= set(match.ignored)


def test_a_network_below_a_prefix_is_the_same() -> None:
    shapes, wanted = golden("ghostfacenet-v1")
    tensors = {f"state_dict.model.{key}": made_up(key, shape) for key, shape in shapes.items()}
    tensors["state_dict.head.kernel"] = np.zeros((512, 10), np.float32)
    match = match_of({key: value.shape for key, value in tensors.items()}, "pytorch")
    assert match.prefix == "state_dict.model."
    made = embedded(build(match, tensors), "ghostfacenet-v1")
    np.testing.assert_allclose(made, unit(wanted), rtol=0, atol=1e-5)


def test_the_head_of_its_training_tells_what_it_was_trained_on() -> None:
    shapes = facenet_shapes()
    assert match_of(shapes, "pytorch").published.name == "facenet-512-vggface2"
    assert match_of(shapes, "pytorch").also == ()
    casia = {**shapes, "logits.weight": (10575, 512), "logits.bias": (10575,)}
    assert match_of(casia, "pytorch").published.name == "facenet-512-casia"
    bare = {key: shape for key, shape in shapes.items() if not key.startswith("logits")}
    match = match_of(bare, "pytorch")
    assert {match.published.name, *match.also} == {"facenet-512-vggface2", "facenet-512-casia"}


def test_what_is_missing_wrong_or_too_much_is_named() -> None:
    shapes = facenet_shapes()
    del shapes["repeat_1.0.branch0.conv.weight"], shapes["conv2d_1a.bn.bias"]
    shapes["last_linear.weight"] = (256, 1792)
    shapes["attention.weight"] = (3, 3)
    match = match_of(shapes, "pytorch")
    assert set(match.missing) == {"repeat_1.0.branch0.conv.weight", "conv2d_1a.bn.bias"}
    assert match.wrong == (("last_linear.weight", (512, 1792), (256, 1792)),)
    assert match.unexpected == ("attention.weight",)
    assert not match.complete
    with pytest.raises(
        WeightsError, match=r"lacks .*conv2d_1a\.bn\.bias.*\(512, 1792\).*attention"
    ):
        build(match, {})


@pytest.mark.parametrize(
    ("shapes", "format"),
    [
        ({}, "pytorch"),
        ({"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512)}, "pytorch"),
        ({"last_linear.weight": (512, 1792)}, "pytorch"),
        (json.loads('{"last_linear.weight": [512, 1792]}'), "onnx"),
    ],
)
def test_what_is_none_of_them(shapes: Shapes, format: str) -> None:
    assert recognize(shapes, format) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.astype(np.int64), "expected real numbers, got int64"),
        (lambda a: np.full_like(a, np.nan), "expected finite numbers"),
        (lambda a: a[:1], "expected shape"),
    ],
)
def test_numbers_that_are_none(change: Any, message: str) -> None:
    shapes, _ = golden("ghostfacenet-v1")
    tensors = weights(shapes)
    tensors["stem.conv.weight"] = change(tensors["stem.conv.weight"])
    with pytest.raises(WeightsError, match=rf"stem\.conv\.weight: {message}"):
        build(match_of(shapes, "pytorch"), tensors)


def test_variances_are_never_negative() -> None:
    shapes, _ = golden("ghostfacenet-v1")
    tensors = weights(shapes)
    tensors["stem.bn.running_var"] = -tensors["stem.bn.running_var"]
    with pytest.raises(WeightsError, match="expected variances of 0 or more"):
        build(match_of(shapes, "pytorch"), tensors)


def test_half_precision_becomes_float32_and_other_crops_are_refused() -> None:
    shapes, _ = golden("ghostfacenet-v1")
    tensors = {key: value.astype(np.float16) for key, value in weights(shapes).items()}
    before = torch.random.get_rng_state()
    network = build(match_of(shapes, "pytorch"), tensors)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32, torch.int64}
    with pytest.raises(OptionError, match=r"expected \(N, 3, 112, 112\), got"):
        network(torch.zeros(1, 3, 96, 96))


def test_names_that_there_are_not() -> None:
    with pytest.raises(OptionError, match=r"expected one of vggface-deepface, .*got 'vgg'"):
        entry("vgg")
    with pytest.raises(OptionError, match="expected a file of pytorch, got one of caffe"):
        entry("facenet-512-vggface2", "caffe")
    with pytest.raises(OptionError, match="expected a file of pytorch"):
        recognize(facenet_shapes(), "caffe", name="facenet-512-vggface2")

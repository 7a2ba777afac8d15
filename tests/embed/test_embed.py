"""Embeddings: what the network is fed, batches, flips, and the bundled recognizers' values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from builders import save_flatten, tiny_recognizer
from lineament import models
from lineament.embed import BATCH, Embedder, load_embedder, wrap
from lineament.embed.network import NetworkEmbedder
from lineament.errors import LicenseError, OptionError, WeightsError
from lineament.models import Card, InputSpec, LicensePolicy
from lineament.models.cards import View
from lineament.models.runtime import Runtime, load_model
from lineament.types import Contract, Image

GOLDEN = Path(__file__).parent.parent / "golden" / "embed.npz"
"""By scripts/golden/embed.py: an aligned face, and what the packages' own files make of it."""

ENGINES = ("openvino", "onnxruntime")
RECOGNIZERS = ("sface", "mobilefacenet")


@pytest.fixture(scope="module")
def crops() -> Image:
    """Noise of 19 colors and textures, (19, 112, 112, 3): more than a batch."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (BATCH + 3, 14, 14, 3), dtype=np.uint8)
    return np.stack([cv2.resize(crop, (112, 112)) for crop in small]).astype(np.uint8)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("color_order", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize(
    ("mean", "scale"), [(0.0, 1.0), (127.5, 1 / 128), ((1.0, 2.0, 3.0), (0.5, 0.25, 0.1))]
)
def test_what_a_network_is_fed(
    crops: Image, layout: Any, color_order: Any, mean: Any, scale: Any
) -> None:
    """Pixel by pixel, recomputed in float64."""
    if color_order == "gray" and isinstance(mean, tuple):
        pytest.skip("a gray crop has one channel")
    spec = InputSpec((112, 112), color_order, mean, scale, layout)
    entry = models.get("sface").replace(input=spec)
    embedder = NetworkEmbedder(
        entry, load_embedder(entry, flip=False).contract, (112, 112), lambda x: (x,)
    )
    fed = embedder.prepare(crops[:2])
    channels = {
        "rgb": [crops[..., i] for i in (0, 1, 2)],
        "bgr": [crops[..., i] for i in (2, 1, 0)],
        "gray": [crops @ np.array([0.299, 0.587, 0.114])],
    }[color_order]
    assert fed.dtype == np.float32
    assert fed.flags.c_contiguous
    for i, channel in enumerate(channels):
        one_mean, one_scale = np.ravel(mean)[i % np.size(mean)], np.ravel(scale)[i % np.size(mean)]
        got = fed[:, i] if layout == "nchw" else fed[..., i]
        wanted = (channel[:2].astype(np.float64) - one_mean) * one_scale
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-4)


# --- the bundled recognizers ----------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", RECOGNIZERS)
def test_golden_embedding(name: str, engine: Any) -> None:
    embedder = load_embedder(models.get(name), flip=False, runtime=Runtime(engine))
    with np.load(GOLDEN) as golden:
        (vector,), (norm,) = embedder.embed(golden["crop"][None])
        expected = golden[name]
    length = np.linalg.norm(expected)
    assert vector.shape == (embedder.contract.dimension,) == expected.shape
    np.testing.assert_allclose(vector, expected / length, atol=1e-3)
    assert norm == pytest.approx(length, rel=1e-3)


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_a_batch_is_as_good_as_one_by_one(name: str, crops: Image) -> None:
    embedder = load_embedder(models.get(name), flip=False)
    together, norms = embedder.embed(crops)
    apart = [embedder.embed(crop[None]) for crop in crops]
    assert together.shape == (len(crops), embedder.contract.dimension)
    assert together.dtype == norms.dtype == np.float32
    np.testing.assert_allclose(together, np.concatenate([v for v, _ in apart]), atol=1e-4)
    np.testing.assert_allclose(norms, np.concatenate([n for _, n in apart]), rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert abs((together @ together.T)[np.triu_indices(len(crops), 1)]).max() < 0.999


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_flip_is_the_mean_of_two_outputs(name: str, crops: Image) -> None:
    plain = load_embedder(models.get(name), flip=False)
    both = load_embedder(models.get(name), flip=True)
    assert (plain.contract.flip, both.contract.flip) == (False, True)
    crops = crops[:3]
    one, one_norm = plain.embed(crops)
    two, two_norm = plain.embed(np.ascontiguousarray(crops[:, :, ::-1]))
    mean = (one * one_norm[:, None] + two * two_norm[:, None]) / 2
    lengths = np.linalg.norm(mean, axis=1)
    got, norms = both.embed(crops)
    np.testing.assert_allclose(got, mean / lengths[:, None], atol=1e-5)
    np.testing.assert_allclose(norms, lengths, rtol=1e-5)
    assert not np.allclose(got, one, atol=1e-2)


def test_sface_expands_its_blocks() -> None:
    """The first convolutions of the graph, by NumPy from the int8 blocks in float64."""
    graph = onnx.load(models.get("sface").path).graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    first = convolutions[0]
    stem = first.input[1]
    while f"{stem}/q" not in values:  # Reshape steps lie between
        (stem,) = [node.input[0] for node in graph.node if stem in node.output]
    shape = values[next(n for n in graph.node if first.input[1] in n.output).input[1]]
    # q: (rows, blocks, block) int8; z, s: (rows, blocks, 1)
    q, z, s = (values[f"{stem}/{part}"].astype(np.float64) for part in "qzs")
    assert values[f"{stem}/q"].dtype == np.int8
    kernel = ((q - z) * s).reshape(shape)
    assert kernel.shape[1:] == (3, 3, 3)

    # What feeds the convolution: undo nothing, ask the graph for both of its ends.
    ends = onnx.ModelProto()
    ends.CopyFrom(onnx.load(models.get("sface").path))
    for name in (first.input[0], first.output[0]):
        ends.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnx_session(ends.SerializeToString())
    image = np.random.default_rng(1).uniform(0, 255, (1, 3, 112, 112)).astype(np.float32)
    before, after = session.run([first.input[0], first.output[0]], {graph.input[0].name: image})
    attributes = {a.name: list(a.ints) for a in first.attribute}
    assert attributes["strides"] in ([1, 1], [2, 2])
    stride, (pad, *_) = attributes["strides"][0], attributes["pads"]
    padded = np.pad(before.astype(np.float64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    expected = np.einsum("nchwij,ocij->nohw", windows[:, :, ::stride, ::stride], kernel)
    if len(first.input) > 2:
        expected += bias_of(graph, values, first.input[2])[:, None, None]
    np.testing.assert_allclose(after, expected, atol=1e-4)


def onnx_session(graph: bytes) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def bias_of(graph: onnx.GraphProto, values: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name in values:
        return values[name].astype(np.float64)
    q, z, s = (values[f"{name}/{part}"].astype(np.float64) for part in "qzs")
    return ((q - z) * s).reshape(-1)


# --- what the network is fed ----------------------------------------------------------------------


def fed(embedder: Embedder, crop: Image) -> np.ndarray:
    """The input as the network saw it, (C, S, S): these networks return it as their embedding."""
    vectors, norms = embedder.embed(crop[None])
    channels = 1 if embedder.contract.color_order == "gray" else 3
    return (vectors[0] * norms[0]).reshape(channels, *embedder.size_wh[::-1])


@pytest.fixture
def crop() -> Image:
    return np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("order", "planes"), [("rgb", [0, 1, 2]), ("bgr", [2, 1, 0])])
def test_color_order(
    tmp_path: Path, crop: Image, order: str, planes: list[int], engine: Any
) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx", color_order=order)
    embedder = load_embedder(entry, flip=False, runtime=Runtime(engine))
    assert embedder.contract.color_order == order
    expected = [crop[:, :, plane] for plane in planes]
    np.testing.assert_allclose(fed(embedder, crop), expected, rtol=1e-5, atol=1e-3)


def test_gray(tmp_path: Path, crop: Image) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx", channels=1, color_order="gray")
    embedder = load_embedder(entry, flip=False)
    assert embedder.contract.dimension == 64
    gray = fed(embedder, crop)[0]
    np.testing.assert_allclose(gray, cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), atol=0.51)


def test_scaling(tmp_path: Path, crop: Image) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx", mean=127.5, scale=1 / 128, color_order="bgr")
    expected = (crop[:, :, ::-1].transpose(2, 0, 1).astype(np.float64) - 127.5) / 128
    got = fed(load_embedder(entry, flip=False), crop)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_flip_turns_left_to_right(tmp_path: Path, crop: Image) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx")
    mirrored = crop[:, ::-1].astype(np.float64)
    expected = ((crop + mirrored) / 2).transpose(2, 0, 1)
    got = fed(load_embedder(entry, flip=True), crop)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("flip", ["none", "mean", "concatenate"])
def test_other_shapes_layouts_and_scaling_by_channel(layout: Any, flip: Any) -> None:
    spec = InputSpec((6, 8), "bgr", (1.0, 2.0, 3.0), (0.5, 0.25, 2.0), layout)
    card = models.get("sface").replace(input=spec, dimension=8 * 6 * 3)
    length = 8 * 6 * 3 * (2 if flip == "concatenate" else 1)
    contract = Contract("mine", "ab" * 32, "arcface-6x8", "bgr", flip, length)
    seen: list[tuple[int, ...]] = []

    def flat(batch: np.ndarray) -> tuple[np.ndarray, ...]:
        seen.append(batch.shape)
        return (batch.reshape(len(batch), -1),)

    embedder = NetworkEmbedder(card, contract, (6, 8), flat)
    crops = np.random.default_rng(3).integers(0, 256, (2, 8, 6, 3), dtype=np.uint8)
    vectors, norms = embedder.embed(crops)
    planes = (crops[..., ::-1].astype(np.float64) - [1, 2, 3]) * [0.5, 0.25, 2]
    mirrored = planes[:, :, ::-1]
    planes = (planes + mirrored) / 2 if flip == "mean" else planes
    planes, mirrored = (
        p if layout == "nhwc" else p.transpose(0, 3, 1, 2) for p in (planes, mirrored)
    )
    assert set(seen) == {planes.shape}
    expected = planes.reshape(2, -1)
    if flip == "concatenate":  # as ArcFace's evaluation: both, one after the other
        expected = np.concatenate([expected, mirrored.reshape(2, -1)], axis=1)
    np.testing.assert_allclose(vectors * norms[:, None], expected, rtol=1e-5, atol=1e-3)
    with pytest.raises(OptionError, match=r"\(N, 8, 6, 3\)"):
        embedder.embed(crops.transpose(0, 2, 1, 3))


def test_concatenated_embeddings_are_another_contract(tmp_path: Path, crop: Image) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx")
    plain = load_embedder(entry, flip=False)
    both = load_embedder(entry, flip="concatenate")
    assert both.contract.dimension == 2 * plain.contract.dimension
    assert both.contract.flip == "concatenate"
    assert "-concatenate-" in both.contract.id
    (one,), (length,) = plain.embed(crop[None])
    (other,), (other_length,) = plain.embed(crop[None, :, ::-1])
    (vector,), (norm,) = both.embed(crop[None])
    expected = np.concatenate([one * length, other * other_length])
    np.testing.assert_allclose(vector * norm, expected, rtol=1e-5)
    with pytest.raises(OptionError, match="mirror image"):
        load_embedder(models.get("sface-mobilefacenet"), flip="concatenate")


def test_other_sizes(tmp_path: Path) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx", side=128)
    embedder = load_embedder(entry, flip=False, alignment="arcface-128")
    assert embedder.size_wh == (128, 128)
    assert embedder.contract.alignment == "arcface-128"
    crops = np.full((2, 128, 128, 3), 7, np.uint8)
    vectors, norms = embedder.embed(crops)
    assert vectors.shape == (2, 128 * 128 * 3)
    np.testing.assert_allclose(norms, 7 * 128 * np.sqrt(3), rtol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_that_takes_one_crop_at_a_time(tmp_path: Path, engine: Any) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx", batch=1)
    embedder = load_embedder(entry, flip=False, runtime=Runtime(engine))
    assert embedder.batch == 1
    crops = np.random.default_rng(3).integers(1, 256, (5, 8, 8, 3), dtype=np.uint8)
    vectors, norms = embedder.embed(crops)
    flat = crops.transpose(0, 3, 1, 2).reshape(5, -1).astype(np.float64)
    np.testing.assert_allclose(vectors * norms[:, None], flat, rtol=1e-5, atol=1e-3)


def test_wrapped_embeddings_carry_norm_and_contract(crops: Image) -> None:
    embedder = load_embedder(models.get("mobilefacenet"), flip=True)
    vectors, norms = embedder.embed(crops[:2])
    wrapped = wrap(vectors, norms, embedder.contract)
    assert [item.norm for item in wrapped] == norms.tolist()
    np.testing.assert_array_equal([item.vector for item in wrapped], vectors)
    assert all(item.contract is embedder.contract for item in wrapped)
    entry = models.get("mobilefacenet")
    assert embedder.contract.weights_sha256 == entry.sha256
    assert embedder.contract.alignment == "arcface-112"
    assert embedder.contract.dimension == 512


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((112, 112, 3), np.uint8),
        np.zeros((1, 112, 112, 1), np.uint8),
        np.zeros((1, 3, 112, 112), np.uint8),
        np.zeros((1, 160, 160, 3), np.uint8),
        np.zeros((1, 112, 112, 3), np.float32),
    ],
    ids=lambda wrong: f"{wrong.dtype}{wrong.shape}",
)
def test_wrong_crops(wrong: Any) -> None:
    embedder = load_embedder(models.get("mobilefacenet"), flip=False)
    with pytest.raises(OptionError, match=r"expected uint8 of shape \(N, 112, 112, 3\), got") as e:
        embedder.embed(wrong)
    assert f"{wrong.dtype} of shape {wrong.shape}" in str(e.value)


@pytest.mark.parametrize("name", RECOGNIZERS)
def test_no_crops(name: str) -> None:
    embedder = load_embedder(models.get(name), flip=True)
    vectors, norms = embedder.embed(np.zeros((0, 112, 112, 3), np.uint8))
    assert vectors.shape == (0, embedder.contract.dimension)
    assert norms.shape == (0,)
    assert wrap(vectors, norms, embedder.contract) == ()


def test_a_detector_is_no_recognizer() -> None:
    with pytest.raises(OptionError, match="yunet: expected a recognizer, got a detector network"):
        load_embedder(models.get("yunet"), flip=False)


def test_the_policy_is_asked(tmp_path: Path) -> None:
    entry = tiny_recognizer(tmp_path / "net.onnx")
    with pytest.raises(LicenseError, match="unknown"):
        load_embedder(entry, flip=False, policy=LicensePolicy.parse("commercial"))


def test_wrong_descriptions(tmp_path: Path) -> None:
    wide = tiny_recognizer(tmp_path / "wide.onnx", size_wh=[8, 16])
    with pytest.raises(WeightsError, match=r"does not take an input of shape \(1, 3, 16, 8\)"):
        load_embedder(wide, flip=False)
    long = tiny_recognizer(tmp_path / "long.onnx", dimension=193)
    with pytest.raises(WeightsError, match="long: expected embeddings of length 193, got 192"):
        load_embedder(long, flip=False)
    large = tiny_recognizer(tmp_path / "large.onnx", size_wh=[12, 12])
    with pytest.raises(WeightsError, match=r"does not take an input of shape \(1, 3, 12, 12\)"):
        load_embedder(large, flip=False)
    gray = tiny_recognizer(tmp_path / "gray.onnx", channels=3, color_order="gray")
    with pytest.raises(WeightsError, match=r"does not take an input of shape \(1, 1, 8, 8\)"):
        load_embedder(gray, flip=False)


def test_a_network_that_returns_nothing_of_use(tmp_path: Path) -> None:
    spec = {"size_wh": [8, 8], "color_order": "rgb", "mean": 0.0, "scale": 1.0}
    zero = models.from_file(save_flatten(tmp_path / "zero.onnx", alter="zero"), **spec)
    with pytest.raises(WeightsError, match="zero: the network returned vectors of no length"):
        load_embedder(zero, flip=False).embed(np.ones((1, 8, 8, 3), np.uint8))


def test_an_entry_that_names_another_length() -> None:

    entry = models.get("mobilefacenet").replace(dimension=128)
    embedder = load_embedder(entry, flip=False)
    with pytest.raises(WeightsError, match=r"expected a first output of shape \(1, 128\), got"):
        embedder.embed(np.ones((1, 112, 112, 3), np.uint8))


def test_recognizers_share_a_compiled_network() -> None:
    entry = models.get("mobilefacenet")
    assert load_embedder(entry, flip=False)._model is load_embedder(entry, flip=True)._model
    assert load_model(entry) is load_embedder(entry, flip=False)._model


def joined_by_views(first: View, second: View) -> Card:
    """SFace and MobileFaceNet, without a norm's coordinate."""
    entry = models.get("sface-mobilefacenet").replace(norm_term=None, dimension=128 + 512)
    members = (entry.members[0].replace(view=first), entry.members[1].replace(view=second))
    return entry.replace(members=members)


class TestJoined:
    """Several networks as one vector."""

    def test_the_cosine_is_the_weighted_mean_of_the_members(self, crops: Image) -> None:
        entry = models.get("sface-mobilefacenet").replace(norm_term=None, dimension=128 + 512)
        vectors, norms = load_embedder(entry, flip=True).embed(crops)
        parts = {
            name: load_embedder(models.get(name), flip=True).embed(crops)
            for name in ("sface", "mobilefacenet")
        }
        expected = 0.8 * parts["sface"][0] @ parts["sface"][0].T
        expected += 0.2 * parts["mobilefacenet"][0] @ parts["mobilefacenet"][0].T
        np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)
        np.testing.assert_allclose(norms, parts["sface"][1], rtol=1e-6)

    def test_the_last_coordinate_tells_of_the_norm(self, crops: Image) -> None:
        entry = models.get("sface-mobilefacenet")
        term = entry.norm_term
        assert term is not None
        vectors, norms = load_embedder(entry, flip=True).embed(crops)
        assert vectors.shape == (len(crops), 641)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        shares = np.minimum(np.maximum((norms - term.mean) / term.sd, term.least), term.most)
        wanted = term.offset - term.slope * shares
        np.testing.assert_allclose(
            vectors[:, -1] / np.linalg.norm(vectors[:, :-1], axis=1), wanted, atol=1e-5
        )

    def test_it_is_fitted_with_the_mirror_image(self) -> None:
        with pytest.raises(OptionError, match="leave the option out"):
            load_embedder(models.get("sface-mobilefacenet"), flip=False)

    @pytest.mark.slow
    def test_each_member_sees_what_its_view_says(self, crops: Image) -> None:
        mirrored = np.ascontiguousarray(crops[:, :, ::-1])
        sface, other = (models.get(name) for name in ("sface", "mobilefacenet"))
        expected = {
            "crop": load_embedder(other, flip=False).embed(crops)[0],
            "mirror": load_embedder(other, flip=False).embed(mirrored)[0],
            "both": load_embedder(other, flip=True).embed(crops)[0],
        }
        first, norms = load_embedder(sface, flip=False).embed(crops)
        for view, second in expected.items():
            entry = joined_by_views("crop", view)
            vectors, lengths = load_embedder(entry, flip=False).embed(crops)
            np.testing.assert_allclose(vectors[:, :128], np.sqrt(0.8) * first, atol=1e-6)
            np.testing.assert_allclose(vectors[:, 128:], np.sqrt(0.2) * second, atol=1e-6)
            np.testing.assert_allclose(lengths, norms, rtol=1e-6)

    def test_with_flip_all_members_see_both(self, crops: Image) -> None:
        wanted = load_embedder(joined_by_views("both", "both"), flip=True)
        got = load_embedder(joined_by_views("crop", "mirror"), flip=True)
        np.testing.assert_allclose(got.embed(crops)[0], wanted.embed(crops)[0], atol=1e-6)
        assert got.contract.flip is wanted.contract.flip is True
        assert load_embedder(joined_by_views("crop", "both"), flip=False).contract.flip is False

    def test_flips_that_it_was_not_fitted_with(self) -> None:
        with pytest.raises(OptionError, match="expected none or mean, got concatenate"):
            load_embedder(joined_by_views("crop", "both"), flip="concatenate")
        term = models.get("sface-mobilefacenet").norm_term
        entry = joined_by_views("crop", "both").replace(norm_term=term, dimension=641)
        with pytest.raises(OptionError, match="fitted without the mirror image"):
            load_embedder(entry, flip=True)
        assert load_embedder(entry, flip=False).contract.dimension == 641

    def test_wrong_crops_are_refused_by_the_members(self, crops: Image) -> None:
        embedder = load_embedder(joined_by_views("mirror", "crop"), flip=False)
        for wrong in (crops[0], crops.astype(np.float32), crops[:, :100]):
            with pytest.raises(OptionError, match="expected uint8 of shape"):
                embedder.embed(wrong)

    def test_members_must_add_up(self) -> None:
        entry = models.get("sface-mobilefacenet").replace(dimension=640)
        with pytest.raises(WeightsError, match=r"expected 640 coordinates, .* make 641"):
            load_embedder(entry, flip=True)

    def test_members_must_take_the_same_crops(self) -> None:
        entry = models.get("sface-mobilefacenet")
        members = (entry.members[0].replace(name="dlib-resnet"), entry.members[1])
        with pytest.raises(WeightsError, match="take the same crops, got dlib-resnet"):
            load_embedder(entry.replace(members=members), flip=True)

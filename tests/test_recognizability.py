"""How much identity is left in a face: what crops look like, estimates, and their files."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import lineament
from builders import make_contract
from lineament import Recognizer, recognizability
from lineament.errors import OptionError, WeightsError
from lineament.models import get
from lineament.models.catalog import bundled_names
from lineament.quality import quality_of
from lineament.recognizability import (
    CELLS,
    N_CUES,
    Recognizability,
    bundled,
    bundled_name,
    crop_cues,
    recognizability_of,
)
from lineament.types import Embedding, Photo

DEMO = Path(lineament.__file__).parent / "data" / "demo"


@pytest.fixture(scope="module")
def photo() -> Photo:
    (found,) = Recognizer("sface").stream_chosen([DEMO / "obama.jpg"])
    return found


def estimate(dimension: int = 4, seed: int = 0, **changes: Any) -> Recognizability:
    rng = np.random.default_rng(seed)
    sizes = (dimension + 1 + N_CUES, 8, 1)
    layers = tuple(
        (
            (rng.normal(size=(a, b)) / np.sqrt(a)).astype(np.float16).astype(np.float32),
            rng.normal(size=b).astype(np.float32),
        )
        for a, b in itertools.pairwise(sizes)
    )
    values: dict[str, Any] = {
        "contract": make_contract(dimension=dimension),
        "log_norm": 2.5,
        "cue_mean": rng.normal(size=N_CUES).astype(np.float32),
        "cue_sd": np.full(N_CUES, 0.5, np.float32),
        "layers": layers,
        "clean": 0.17,
    }
    return Recognizability(**values | changes)


def faces(n: int, seed: int = 1) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    norms = rng.uniform(5, 15, n).astype(np.float32)
    return vectors, norms, rng.integers(0, 256, (n, 112, 112, 3), np.uint8)


# --- what crops look like -------------------------------------------------------------------------


def test_cues_are_what_a_few_lines_of_numpy_say() -> None:
    crop = faces(1)[2][0]
    values = crop.astype(np.float64) / 255
    gray = values @ [0.299, 0.587, 0.114]
    cells = gray.reshape(CELLS, 16, CELLS, 16).swapaxes(1, 2).reshape(CELLS, CELLS, -1)
    found = crop_cues(crop[None]).reshape(5, CELLS, CELLS)
    np.testing.assert_allclose(found[0], cells.mean(2), atol=1e-3)
    np.testing.assert_allclose(found[1], np.log(cells.std(2) + 0.004), atol=1e-2)
    color = values.reshape(CELLS, 16, CELLS, 16, 3).mean((1, 3))
    np.testing.assert_allclose(found[3], color[..., 0] - cells.mean(2), atol=1e-3)
    np.testing.assert_allclose(found[4], color[..., 2] - cells.mean(2), atol=1e-3)


def test_cues_are_the_same_every_time_alone_and_together() -> None:
    crops = faces(3)[2]
    together = crop_cues(crops)
    assert together.shape == (3, N_CUES)
    assert together.dtype == np.float32
    for crop, row in zip(crops, together, strict=True):
        assert (crop_cues(crop[None])[0] == row).all()
    assert crop_cues(crops[:0]).shape == (0, N_CUES)


def test_blur_and_flat_crops_lose_detail_and_stay_finite() -> None:
    crop = faces(1)[2][0]
    smooth = cv2.GaussianBlur(crop, (0, 0), 3)
    sharp, dull = (crop_cues(each[None]).reshape(5, -1)[2] for each in (crop, smooth))
    assert (dull < sharp - 1).all()
    assert np.isfinite(crop_cues(np.zeros((1, 112, 112, 3), np.uint8))).all()


def test_larger_crops_look_the_same(photo: Photo) -> None:
    assert photo.crop is not None
    larger = cv2.resize(photo.crop, (224, 224), interpolation=cv2.INTER_CUBIC)
    one, two = (crop_cues(each[None])[0].reshape(5, -1) for each in (photo.crop, larger))
    np.testing.assert_allclose(one[[0, 3, 4]], two[[0, 3, 4]], atol=0.02)


@pytest.mark.parametrize(
    ("crops", "words"),
    [
        (np.zeros((112, 112, 3), np.uint8), r"expected \(N, S, S, 3\)"),
        (np.zeros((1, 112, 96, 3), np.uint8), r"expected \(N, S, S, 3\)"),
        (np.zeros((1, 112, 112), np.uint8), r"expected \(N, S, S, 3\)"),
        (np.zeros((1, 112, 112, 3), np.float32), "expected uint8"),
    ],
)
def test_other_crops_are_refused(crops: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        crop_cues(crops)


# --- estimates ------------------------------------------------------------------------------------


def test_the_estimate_is_that_of_two_small_layers() -> None:
    made = estimate()
    vectors, norms, crops = faces(50)
    inputs = made.inputs(vectors, norms, crops)
    assert inputs.shape == (50, 4 + 1 + N_CUES)
    np.testing.assert_allclose(inputs[:, 4], 4 * (np.log(norms) - 2.5), rtol=1e-4)
    (w0, b0), (w1, b1) = made.layers
    y = np.maximum(inputs.astype(np.float64) @ w0 + b0, 0) @ w1 + b1
    alike = 0.08 + 0.1 * np.exp(np.clip(y[:, 0], -4, 3))
    found = made.of(vectors, norms, crops)
    np.testing.assert_allclose(found, np.minimum(1, 0.17 / alike), rtol=1e-4)
    assert ((found > 0) & (found <= 1)).all()
    assert len(set(found.tolist())) > 20


def test_whatever_comes_in_a_share_comes_out() -> None:
    made = estimate()
    vectors = np.full((3, 4), 0.5, np.float32)
    crops = np.stack([np.zeros((112, 112, 3)), np.full((112, 112, 3), 255), np.eye(112)[..., None]
                      .repeat(3, 2) * 255]).astype(np.uint8)  # fmt: skip
    for norm in (0.0, 1e-9, 1.0, 1e6):
        found = made.of(vectors, np.full(3, norm, np.float32), crops)
        assert ((found > 0) & (found <= 1)).all()


# --- files ----------------------------------------------------------------------------------------


def test_a_file_gives_the_estimate_back(tmp_path: Path) -> None:
    made = estimate()
    made.save(tmp_path / "r.npz")
    read = Recognizability.load(tmp_path / "r.npz")
    assert read.contract == made.contract
    some = faces(20)
    assert (read.of(*some) == made.of(*some)).all()
    first = (tmp_path / "r.npz").read_bytes()
    read.save(tmp_path / "again.npz")
    assert len((tmp_path / "again.npz").read_bytes()) == len(first)


def _rewritten(path: Path, **changes: Any) -> Path:
    """The file with other arrays; of ``head`` other keys, None for one that is not there."""
    estimate().save(path)
    with np.load(path) as file:
        arrays = dict(file)
    head = json.loads(str(arrays["head"])) | changes.pop("head", {})
    arrays["head"] = np.array(json.dumps({k: v for k, v in head.items() if v is not None}))
    arrays |= changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"matrix0": None},
        {"cue_mean": None},
        {"matrix0": np.zeros((3, 8), np.float16)},
        {"matrix1": np.zeros((9, 1), np.float16)},
        {"matrix1": np.zeros((8, 2), np.float16), "offset1": np.zeros(2, np.float32)},
        {"matrix1": np.full((8, 1), np.nan, np.float16)},
        {"offset0": np.zeros((8, 1), np.float32)},
        {"offset1": np.array(["a"])},
        {"cue_sd": np.ones(N_CUES - 1, np.float32)},
        {"cue_mean": np.full(N_CUES, np.inf, np.float32)},
        {"cue_mean": np.array([None] * N_CUES, object)},
        {"head": {"n_layers": 0}},
        {"head": {"n_layers": 3}},
        {"head": {"n_layers": None}},
        {"head": {"clean": float("nan")}},
        {"head": {"log_norm": [1, 2]}},
        {"head": {"contract": {"weights": "x"}}},
        {"head": {"contract": 7}},
    ],
)
def test_damaged_files_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    path = _rewritten(tmp_path / "r.npz", **changes)
    with pytest.raises(WeightsError, match=r"r\.npz: expected an estimate of recognizability"):
        Recognizability.load(path)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    estimate().save(path)
    whole = path.read_bytes()
    for data in (b"", b"PK", whole[: len(whole) // 2], whole[:200] + b"\0" * 50 + whole[250:]):
        path.write_bytes(data)
        with pytest.raises(WeightsError):
            Recognizability.load(path)
    np.save(tmp_path / "x.npy", np.zeros(3))
    (tmp_path / "x.npy").rename(path)
    for each in (path, tmp_path / "none.npz", tmp_path):
        with pytest.raises(WeightsError):
            Recognizability.load(each)


# --- the package's own ----------------------------------------------------------------------------


def test_each_way_of_flipping_has_a_file_of_its_own() -> None:
    names = {bundled_name(flip) for flip in (False, True, "concatenate")}
    assert len(names) == 3


def test_the_packages_own_fit_their_models() -> None:
    """Each belongs to its model's contract, and is read."""
    for name in bundled_names():
        card = get(name)
        for path in card.folder.glob("recognizability*.npz"):
            made = Recognizability.load(path)
            assert made.contract.weights_sha256 == card.sha256
            assert path.name == bundled_name(made.contract.flip)
            assert bundled(made.contract) is not None


@pytest.fixture
def own(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> Recognizability:
    """An estimate in the place of the package's own for SFace."""
    assert photo.embedding is not None
    made = replace(estimate(photo.embedding.contract.dimension), contract=photo.embedding.contract)
    monkeypatch.setattr(recognizability, "_load_once", lambda path: made)
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    return made


def test_quality_has_it(photo: Photo, own: Recognizability) -> None:
    assert photo.embedding is not None
    assert photo.crop is not None
    assert photo.face is not None
    found = recognizability_of(photo.embedding, photo.crop)
    assert found is not None
    (expected,) = own.of(
        photo.embedding.vector[None],
        np.array([photo.embedding.norm], np.float32),
        photo.crop[None],
    )
    assert found == float(expected)
    quality = quality_of(photo.face, photo.crop, photo.embedding, photo.size_wh)
    assert quality is not None
    assert quality.recognizability == found
    assert quality.to_dict()["recognizability"] == round(found, 4)
    assert f"recognizability {found:.2f}" in repr(quality)


@pytest.mark.parametrize(
    "changes",
    [
        {"alignment": "arcface-224"},
        {"color_order": "bgr"},
        {"weights_sha256": "cd" * 32},
        {"weights": "mine", "weights_sha256": "00" * 32},
    ],
)
def test_other_embeddings_have_none(
    photo: Photo, own: Recognizability, changes: dict[str, Any]
) -> None:
    assert photo.embedding is not None
    assert photo.crop is not None
    contract = replace(photo.embedding.contract, **changes)
    other = Embedding(photo.embedding.vector, photo.embedding.norm, contract)
    assert bundled(contract) is None
    assert recognizability_of(other, photo.crop) is None

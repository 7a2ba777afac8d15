"""The learned similarity of a model: its scores, its file, and that it stays with its model."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lineament import models
from lineament.decide.comparison import compare
from lineament.decide.metrics import METRIC_NAMES, get_metric, score_matrix, score_rows
from lineament.decide.siamese import FORMS, SiameseHead, find_head, head_of, require_head
from lineament.decide.thresholds import learned_threshold, own_threshold
from lineament.errors import (
    ContractError,
    DataError,
    OptionError,
    WeightsError,
    WeightsHashError,
)
from lineament.fit.calibrate import fit
from lineament.models import HeadFile
from lineament.types import Contract, Embedding

D = 12
CONTRACT = Contract("mine", "ab" * 32, "arcface-112", "rgb", False, D)
KINDS = [(form, features) for form, several in FORMS.items() for features in several]


def vectors(n: int, seed: int, d: int = D) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def made(form: Any = "absolute", features: Any = "unit", *, seed: int = 5) -> SiameseHead:
    """A head whose weights are all below 0."""
    alpha = -np.random.default_rng(seed).uniform(0.1, 3, D).astype(np.float32)
    return SiameseHead(CONTRACT, form, features, alpha, 1.75, "some people")


def plainly(head: SiameseHead, a: np.ndarray, b: np.ndarray) -> float:
    """The log-odds of two vectors, number by number, as the docstring has them."""

    def f(vector: np.ndarray) -> list[float]:
        x = [float(value) for value in vector]
        if head.features == "raw":
            return x
        if head.features == "sigmoid":
            x = [1 / (1 + math.exp(-value)) for value in x]
        if head.features == "non-negative":
            x = [max(0.0, value) for value in x]
        length = math.sqrt(sum(value * value for value in x))
        return [value / length for value in x] if length else x

    z = head.beta
    for alpha, p, q in zip(head.alpha.tolist(), f(a), f(b), strict=True):
        if head.form == "absolute":
            z += alpha * abs(p - q)
        elif p + q > 0:
            z += alpha * (p - q) ** 2 / (p + q)
    return z


@pytest.mark.parametrize(("form", "features"), KINDS)
def test_scores_are_those_of_the_formula(form: str, features: str) -> None:
    head = made(form, features)
    a, b = vectors(7, 1), vectors(5, 2)
    a[0] = -np.abs(a[0])  # nothing is left of it where features are not negative
    if not head.unit:
        a, b = a * 3, b * np.float32(0.5)
    expected = np.array([[plainly(head, x, y) for y in b] for x in a])
    np.testing.assert_allclose(head.matrix(a, b), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(head.rows(a[:5], b), np.diag(expected), rtol=1e-5, atol=1e-5)
    by_name = score_matrix(a, b, "siamese", head=head)
    np.testing.assert_allclose(by_name, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        score_rows(a[:5], b, "siamese", head=head), np.diag(expected), rtol=1e-5, atol=1e-5
    )
    if head.unit:  # lengths play no part
        np.testing.assert_allclose(
            score_matrix(a * 7, b, "siamese", head=head), expected, rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize(("form", "features"), KINDS)
def test_symmetric_and_most_alike_itself(form: str, features: str) -> None:
    head = made(form, features)
    a = vectors(30, 3)
    scores = head.matrix(a, a)
    np.testing.assert_allclose(scores, scores.T, rtol=1e-5, atol=1e-6)  # sums in another order
    np.testing.assert_array_equal(head.rows(a[:1], a[1:2]), head.rows(a[1:2], a[:1]))
    np.testing.assert_allclose(np.diag(scores), head.beta, rtol=1e-6)
    assert head.falls
    assert (scores <= head.beta + 1e-6).all()
    assert (scores < head.beta - 1e-3).mean() > 0.9  # or all would be alike


@pytest.mark.parametrize("form", FORMS)
def test_the_score_falls_as_one_feature_moves_away(form: str) -> None:
    """Of features as they are: nothing else changes."""
    head = made(form, "raw" if form == "absolute" else "non-negative")
    f = np.abs(vectors(1, 4))
    for k in range(D):
        far = np.repeat(f, 9, axis=0)
        far[:, k] += np.linspace(0, 2, 9).astype(np.float32)
        scores = head._scored(f, far)
        assert (np.diff(scores) < 0).all(), k


def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    head, a, b = made(), vectors(9, 1), vectors(8, 2)
    whole = head.matrix(a, b)
    for n_bytes in (1, 3 * 4 * D, 20 * 4 * D):
        monkeypatch.setattr("lineament.decide.siamese.BLOCK_BYTES", n_bytes)
        np.testing.assert_allclose(head.matrix(a, b), whole, rtol=1e-6)
    assert head.matrix(a[:0], b).shape == (0, 8)
    assert head.matrix(a, b[:0]).shape == (9, 0)


def test_the_metric_needs_a_head() -> None:
    assert METRIC_NAMES[-1] == "siamese"
    metric = get_metric("siamese")
    assert metric.higher_is_more_alike
    for score in (score_matrix, score_rows):
        with pytest.raises(OptionError, match="expected the head of a model") as caught:
            score([[1, 2]], [[1, 2]], "siamese")
        assert caught.value.option == "head"


def embedding(vector: np.ndarray, contract: Contract = CONTRACT, norm: float = 2.0) -> Embedding:
    return Embedding(vector, norm, contract)


@pytest.mark.parametrize("features", ["unit", "raw"])
def test_two_embeddings_are_compared(features: str) -> None:
    head = made(features=features)
    a, b = vectors(2, 1)
    decision = compare(embedding(a), embedding(b), own_threshold(0.0, "siamese"), head=head)
    factor = 1 if features == "unit" else 2
    assert decision.metric == "siamese"
    assert decision.score == pytest.approx(plainly(head, a * factor, b * factor), rel=1e-5)
    assert decision.similarity == pytest.approx(float(a @ b), rel=1e-5)
    assert decision.same == (decision.score >= 0)


def test_other_embeddings_are_refused() -> None:
    head = made()
    for other in (
        replace(CONTRACT, weights_sha256="cd" * 32),
        replace(CONTRACT, flip=True),
        replace(CONTRACT, alignment="eyes-112"),
    ):
        a, b = (embedding(vector, other) for vector in vectors(2, 1))
        with pytest.raises(ContractError, match="learned similarity was fitted for mine-"):
            compare(a, b, own_threshold(0.0, "siamese"), head=head)


def test_a_model_without_a_head_says_so() -> None:
    a, b = (embedding(vector) for vector in vectors(2, 1))
    with pytest.raises(OptionError, match="of mine, got 'siamese'") as caught:
        compare(a, b, own_threshold(0.0, "siamese"))
    assert caught.value.option == "metric"
    assert find_head(CONTRACT) is None


@pytest.mark.parametrize(
    ("form", "features", "alpha", "message"),
    [
        ("chi-square", "unit", np.zeros(D), "belong together"),
        ("cubic", "unit", np.zeros(D), "belong together"),
        ("absolute", "unit", np.zeros(D - 1), "expected 12 weights"),
        ("absolute", "unit", np.full(D, np.nan), "finite"),
    ],
)
def test_heads_that_are_none(form: Any, features: Any, alpha: np.ndarray, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        SiameseHead(CONTRACT, form, features, alpha, 1.0, "x")


# --- files ----------------------------------------------------------------------------------------


def test_the_file_goes_there_and_back(tmp_path: Path) -> None:
    head = made("chi-square", "non-negative")
    head.save(tmp_path / "head.npz")
    data = (tmp_path / "head.npz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == head.sha256
    again = SiameseHead.from_bytes(data, "x")
    assert (again.form, again.features, again.beta, again.data) == (
        *("chi-square", "non-negative", 1.75),
        "some people",
    )
    assert again.contract == CONTRACT
    np.testing.assert_array_equal(again.alpha, head.alpha)
    assert again.to_bytes() == data
    with pytest.raises(ValueError, match="read-only"):
        again.alpha[0] = 1


def zipped(**parts: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(f"{name}.npy", data)
    return target.getvalue()


def saved(values: Any, **options: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, values, **options)
    return target.getvalue()


def hostile() -> dict[str, bytes]:
    whole = made().to_bytes()
    about = json.dumps({"format": 1})
    alpha = saved(np.zeros(D, np.float32))
    return {
        "nothing": b"",
        "text": b"no head at all",
        "half": whole[: len(whole) // 2],
        "a pickle": zipped(about=saved(np.array([{"a": 1}], object)), alpha=alpha),
        "too little": zipped(about=saved(np.array(about)), alpha=alpha),
        "another format": zipped(about=saved(np.array('{"format": 9}')), alpha=alpha),
        "a bomb": zipped(about=saved(np.array(about)), alpha=saved(np.zeros(1 << 20))),
        "no weights": zipped(about=saved(np.array(about))),
    }


@pytest.mark.parametrize("kind", hostile())
def test_files_that_are_no_head(kind: str) -> None:
    with pytest.raises(WeightsError, match=r"^there: expected a learned similarity"):
        SiameseHead.from_bytes(hostile()[kind], "there")


def test_damaged_files_never_crash() -> None:
    whole, rng = made().to_bytes(), np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(whole)
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
        try:
            SiameseHead.from_bytes(bytes(data), "there")
        except WeightsError:
            continue


def test_the_card_names_the_file_and_its_hash(tmp_path: Path) -> None:
    sface = models.get("sface")
    contract = replace(CONTRACT, weights_sha256=sface.sha256)
    head = replace(made(), contract=contract)
    head.save(tmp_path / "own.npz")
    card = sface.replace(folder=tmp_path, siamese=HeadFile("own.npz", head.sha256))
    assert card.to_dict()["siamese"] == {"file": "own.npz", "sha256": head.sha256}
    assert head_of(card).sha256 == head.sha256  # type: ignore[union-attr]
    assert require_head(contract, card).beta == head.beta
    with pytest.raises(ContractError, match="was fitted for"):
        require_head(replace(contract, flip=True), card)
    with pytest.raises(WeightsHashError, match="not the promised file"):
        head_of(card.replace(siamese=HeadFile("own.npz", "0" * 64)))
    with pytest.raises(WeightsError, match=r"none\.npz: expected its learned similarity"):
        head_of(card.replace(siamese=HeadFile("none.npz", head.sha256)))
    with pytest.raises(WeightsError, match="of another model"):
        head_of(card.replace(sha256="1" * 64))
    for wrong in ("../own.npz", "/own.npz", ""):
        with pytest.raises(WeightsError, match="file"):
            HeadFile(wrong, head.sha256)


# --- thresholds -----------------------------------------------------------------------------------


def people(n: int = 40, photos: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centers = np.repeat(vectors(n, 8), photos, axis=0)
    rows = centers + rng.normal(scale=0.15, size=centers.shape)
    return rows.astype(np.float32), np.repeat(np.arange(n), photos)


def test_no_threshold_until_there_is_a_calibration_of_this_head() -> None:
    head = made()
    with pytest.raises(OptionError, match="no threshold was fitted for the learned") as caught:
        learned_threshold(head, None, None)
    assert caught.value.option == "threshold"
    rows, who = people()
    cosine = fit(rows, who, contract=CONTRACT, data="toys", n_bootstrap=20).calibration
    with pytest.raises(OptionError, match="no threshold was fitted for the learned"):
        learned_threshold(head, cosine, 1e-2)
    known = replace(
        cosine, metrics={"siamese": ((1e-2, 0.5), (1e-3, 1.5))}, head_sha256=head.sha256
    )
    assert learned_threshold(head, known, 1e-3).value == 1.5
    assert learned_threshold(head, known, 1e-3).metric == "siamese"
    with pytest.raises(OptionError, match=r"there are some for 0\.01, 0\.001"):
        learned_threshold(head, known, 1e-4)
    with pytest.raises(ContractError, match="another learned similarity"):
        learned_threshold(made(seed=6), known, 1e-3)
    again = type(known).from_dict(json.loads(json.dumps(known.to_dict())))
    assert again.head_sha256 == head.sha256
    with pytest.raises(DataError, match="head_sha256"):
        replace(cosine, metrics={"siamese": ((1e-2, 0.5),)})
    with pytest.raises(DataError, match="head_sha256"):
        replace(cosine, head_sha256=head.sha256)

"""The learned similarity of a model wherever scores are taken: searches, protocols, tuning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import lineament
from lineament import Gallery, Recognizer, models
from lineament.cli import app
from lineament.decide.calibration import Calibration
from lineament.decide.siamese import SiameseHead
from lineament.errors import ContractError, OptionError
from lineament.fit.calibrate import fit
from lineament.fit.learned import learned_thresholds
from lineament.models import HeadFile, catalog
from lineament.types import Contract, Embedding

DEMO = Path(lineament.__file__).parent / "data" / "demo"
D = 16
CONTRACT = Contract("mine", "ab" * 32, "arcface-112", "rgb", False, D)


def unit(n: int, seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def head_with(contract: Contract = CONTRACT, **changes: Any) -> SiameseHead:
    alpha = -np.random.default_rng(4).uniform(0, 8, contract.dimension).astype(np.float32)
    head = SiameseHead(contract, "absolute", "unit", alpha, 4.0, "toys")
    return replace(head, **changes)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SiameseHead:
    """A model of no network, whose head is known."""
    head = head_with()
    head.save(tmp_path / "head.npz")
    card = models.get("sface").replace(
        name="mine",
        sha256=CONTRACT.weights_sha256,
        dimension=D,
        folder=tmp_path,
        siamese=HeadFile("head.npz", head.sha256),
    )
    monkeypatch.setitem(catalog._registered, "mine", card)
    return head


def people(n: int = 30, photos: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = np.repeat(unit(n, 8), photos, axis=0) + rng.normal(scale=0.12, size=(n * photos, D))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.repeat(np.arange(n), photos)


def calibration(head: SiameseHead, *, learned: bool = True) -> Calibration:
    rows, who = people()
    made = fit(rows, who, contract=CONTRACT, data="toys", n_bootstrap=20).calibration
    if not learned:
        return made
    norms = np.ones(len(rows), np.float32)
    rates = learned_thresholds(head, rows, norms, who, (3e-2, 1e-2))
    return replace(made, metrics={"siamese": rates}, head_sha256=head.sha256)


def gallery_of(made: Calibration | None) -> tuple[Gallery, np.ndarray]:
    rows, who = people()
    gallery = Gallery.create(":memory:", CONTRACT, calibration=made)
    for number in np.unique(who):
        mine = [Embedding(row, 2.0, CONTRACT) for row in rows[who == number][:2]]
        gallery.enroll_embeddings(f"p{number:02}", mine)
    return gallery, rows[who == who][2::3]


def test_thresholds_are_those_of_all_pairs() -> None:
    rows, who = people()
    norms = np.random.default_rng(1).uniform(1, 9, len(rows)).astype(np.float32)
    for head in (head_with(), head_with(features="raw", alpha=np.full(D, -0.3, np.float32))):
        used = rows if head.unit else rows * norms[:, None]
        pairs = [
            float(head.rows(used[i : i + 1], used[j : j + 1])[0])
            for i in range(len(rows))
            for j in range(i)
            if who[i] != who[j]
        ]
        found = learned_thresholds(head, rows, norms, who, (1e-2, 3e-2, 1e-4))
        assert [rate for rate, _ in found] == [3e-2, 1e-2], "1e-4 has too few pairs"
        for rate, value in found:
            passing = sum(score >= value for score in pairs)
            assert passing <= rate * len(pairs)
            assert sum(score >= value - 1e-3 for score in pairs) >= passing
            assert sum(score >= value - 0.1 for score in pairs) > rate * len(pairs)


def test_identify_scores_the_candidates_again(known: SiameseHead) -> None:
    gallery, probes = gallery_of(calibration(known))
    rows, who = people()
    asked = [Embedding(row, 2.0, CONTRACT) for row in probes[:4]]
    found = gallery.identify_embeddings(asked, metric="siamese", top=4, fpir=0.5)
    plain = gallery.identify_embeddings(asked, top=4, threshold=0.5)
    for number, (one, cosine) in enumerate(zip(found, plain, strict=True)):
        assert one.threshold.metric == "siamese"
        assert "score" not in cosine.candidates[0].to_dict()
        scores = {
            f"p{person:02}": max(
                float(known.rows(probes[number][None], row[None])[0])
                for row in rows[who == person][:2]
            )
            for person in np.unique(who)
        }
        best = sorted(scores, key=lambda name: -scores[name])[:4]
        assert [candidate.name for candidate in one.candidates] == best
        for candidate in one.candidates:
            assert candidate.score == pytest.approx(scores[candidate.name], rel=1e-4)
            assert candidate.to_dict()["score"] == pytest.approx(candidate.score, abs=1e-5)
            assert -1 <= candidate.similarity <= 1
        assert one.name == (best[0] if scores[best[0]] >= one.threshold.value else None)
    assert any(one.name is not None for one in found)


def test_a_threshold_of_the_metric_decides(known: SiameseHead) -> None:
    gallery, probes = gallery_of(None)
    asked = [Embedding(probes[0], 2.0, CONTRACT)]
    (loose,) = gallery.identify_embeddings(asked, metric="siamese", threshold=-50)
    (strict,) = gallery.identify_embeddings(asked, metric="siamese", threshold=50)
    assert loose.name is not None
    assert strict.name is None
    assert strict.reason == "below_threshold"
    with pytest.raises(OptionError, match="no thresholds were fitted for the learned"):
        gallery.identify_embeddings(asked, metric="siamese")
    with pytest.raises(OptionError, match="expected cosine or siamese"):
        gallery.identify_embeddings(asked, metric="angular")


def test_thresholds_of_another_head_are_refused(known: SiameseHead) -> None:
    other = replace(known, beta=known.beta + 1)
    gallery, probes = gallery_of(calibration(other))
    with pytest.raises(ContractError, match="of another learned similarity"):
        gallery.identify_embeddings([Embedding(probes[0], 2.0, CONTRACT)], metric="siamese")


def test_no_name_where_strangers_look_alike(known: SiameseHead) -> None:
    """What a rise of the cosine's threshold is in the head's unit is not known."""
    gallery, probes = gallery_of(None)
    (one,) = gallery.identify_embeddings(
        [Embedding(probes[0], 2.0, CONTRACT)], metric="siamese", threshold=-50
    )
    candidate = one.candidates[0]
    assert candidate.above(-50) > 0
    assert replace(candidate, threshold_rise=0.01).above(-50) < 0
    assert replace(candidate, threshold_rise=0.01, score=None).above(-1) > 0


# --- the pipeline and the command line ------------------------------------------------------------


@pytest.fixture
def headed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recognizer:
    """SFace with a head of equal weights, in a manifest."""
    card = models.get("sface")
    contract = Contract("headed", card.sha256, "arcface-112", "rgb", False, 128)
    head = SiameseHead(contract, "absolute", "unit", np.full(128, -1.0), 6.0, "nobody")
    head.save(tmp_path / "head.npz")
    (tmp_path / "headed.onnx").write_bytes(models.read(card))
    own = card.replace(
        name="headed",
        file="headed.onnx",
        weights_of=None,
        siamese=HeadFile("head.npz", head.sha256),
    )
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"schema": 1, "weights": [own.to_dict()]}))
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(manifest))
    monkeypatch.setattr(catalog, "_added", [])
    return Recognizer("headed")


def test_two_photos_and_a_folder(headed: Recognizer) -> None:
    same, other = DEMO / "obama2.jpg", DEMO / "biden.jpg"
    decisions = headed.verify(
        [DEMO / "obama.jpg"] * 2, [same, other], metric="siamese", threshold=-4.0
    )
    vectors = headed.encode([DEMO / "obama.jpg", same, other]).vectors
    for decision, vector in zip(decisions, vectors[1:], strict=True):
        expected = 6.0 - float(np.abs(vectors[0] - vector).sum())
        assert decision.score == pytest.approx(expected, abs=1e-3)  # type: ignore[union-attr]
        assert decision.metric == "siamese"  # type: ignore[union-attr]
    with pytest.raises(OptionError, match="no threshold was fitted for the learned"):
        headed.verify(DEMO / "obama.jpg", same, metric="siamese")
    found = lineament.find(
        DEMO / "obama.jpg",
        [same, other],
        recognizer=headed,
        metric="siamese",
        threshold=-4.0,
        cache=False,
    )
    assert Path(found.photos[0].source).name == "obama2.jpg"
    assert found.photos[0].to_dict()["score"] == pytest.approx(decisions[0].score, abs=1e-3)  # type: ignore[union-attr]


def test_a_model_without_a_head_is_told_so() -> None:
    without = Recognizer("dlib-resnet")
    with pytest.raises(OptionError, match="no learned similarity"):
        without.threshold("siamese", value=1.0)
    result = CliRunner().invoke(
        app,
        [
            *("verify", str(DEMO / "obama.jpg"), str(DEMO / "obama2.jpg")),
            *("--recognizer", "dlib-resnet", "--metric", "siamese", "--threshold", "0"),
        ],
    )
    assert result.exit_code == 2
    assert "no learned similarity" in result.stderr


def test_pairs_are_measured_by_it(headed: Recognizer, tmp_path: Path) -> None:
    from lineament.datasets.pairs_csv import read_pairs
    from lineament.datasets.source import RecognizerSource
    from lineament.decide.thresholds import own_threshold
    from lineament.evaluate.protocols.pairs import run_pairs

    file = tmp_path / "pairs.csv"
    file.write_text("file_a,file_b,same\nobama.jpg,obama2.jpg,1\nobama.jpg,biden.jpg,0\n")
    data = read_pairs(file, root=DEMO)
    source = RecognizerSource(headed, use_cache=False)
    head = headed.head
    assert head is not None
    result, _ = run_pairs(
        data, source, threshold=own_threshold(-4.0, "siamese"), metric=head.metric
    )
    vectors = headed.encode([DEMO / f"{n}.jpg" for n in ("obama", "obama2", "biden")]).vectors
    part = result.part("pairs")
    assert part.scores.genuine[0] == pytest.approx(  # type: ignore[union-attr]
        6 - float(np.abs(vectors[0] - vectors[1]).sum()), abs=1e-3
    )
    assert part.scores.impostor[0] == pytest.approx(  # type: ignore[union-attr]
        6 - float(np.abs(vectors[0] - vectors[2]).sum()), abs=1e-3
    )
    assert result.to_dict()["metric"] == "siamese"
    assert any("siamese" in note for note in result.notes)
    with pytest.raises(OptionError, match="expected one for siamese, got one for cosine"):
        run_pairs(data, source, threshold=own_threshold(0.3, "cosine"), metric=head.metric)

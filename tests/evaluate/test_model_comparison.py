"""Models, metrics and alignments beside one another, on people that were made for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image as Pictures

from lineament import models
from lineament.cli import app
from lineament.decide.metrics import METRICS, get_metric
from lineament.decide.siamese import SiameseHead
from lineament.embed import embed_faces, load_embedder
from lineament.errors import DataError, LicenseError, OptionError
from lineament.evaluate.metrics import best_threshold
from lineament.evaluate.protocols import _model_pairs as reading
from lineament.evaluate.protocols import models as protocol
from lineament.evaluate.protocols.models import (
    ModelComparison,
    compare_models,
    held_out_accuracy,
    tar_with_interval,
)
from lineament.evaluate.protocols.verification import scores_by
from lineament.finder import FaceFinder
from lineament.models import HeadFile, LicensePolicy, catalog
from lineament.types import Contract

DEMO = Path(models.__file__).parents[1] / "data" / "demo"
KEYS = {"model", "metric", "alignment", "accuracy", "tar_at_fmr_1e-3", "ms", "megabytes", "license"}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people, three photos each: the photos of the package, and paler ones."""
    folder = tmp_path_factory.mktemp("people")
    for name in ("obama", "biden", "astronaut"):
        for number, gain in enumerate((1.0, 0.9, 0.8)):
            _save(Pictures.open(DEMO / f"{name}.jpg"), gain, folder / name / f"{number}.png")
    group = FaceFinder().find(DEMO / "group.jpg")
    left, top, right, bottom = (round(v) for v in group.faces[0].box_xyxy)
    margin = right - left
    whole = Pictures.open(DEMO / "group.jpg")
    cut = whole.crop((left - margin, top - margin, right + margin, bottom + margin))
    for number, gain in enumerate((1.0, 0.9, 0.8)):
        _save(cut.resize((400, 400)), gain, folder / "somebody" / f"{number}.png")
    return folder


def _save(picture: Pictures.Image, gain: float, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    picture.convert("RGB").point(lambda value: value * gain).save(path)


@pytest.fixture(scope="module")
def found(people: Path) -> ModelComparison:
    return compare_models(
        people, models=["sface-int8"], metrics=["cosine", "euclidean"], alignments=["five-points"]
    )


def test_rows_and_their_keys(found: ModelComparison) -> None:
    rows = found.to_rows()
    assert {(row["model"], row["metric"], row["alignment"]) for row in rows} == {
        ("sface-int8", "cosine", "arcface-112"),
        ("sface-int8", "euclidean", "arcface-112"),
    }
    for row in rows:
        assert set(row) >= KEYS
        low, high = row["accuracy_interval"]
        assert 0 <= low <= row["accuracy"] <= high <= 1
        assert row["tar_at_fmr_1e-3"] is None
        assert row["tar_interval"] is None
        assert row["ms"] > 0
        assert row["megabytes"] == pytest.approx(models.get("sface-int8").bytes / 1e6, abs=1e-3)
        assert row["license"] == "Apache-2.0"
    assert (found.n_photos, found.n_faces_found, found.n_people) == (12, 12, 4)
    assert any("too few pairs" in note for note in found.notes)
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_figures_are_those_of_an_own_computation(people: Path, found: ModelComparison) -> None:
    """Detect, embed and judge again, by other code."""
    of = reading.read_pairs_of(people)
    finder, embedder = FaceFinder(), load_embedder(models.get("sface-int8"), flip=False)
    vectors = []
    for path in of.photos:
        photo = finder.find(path)
        crops = finder.crops(photo, photo.chosen, alignment="arcface-112")
        five = photo.faces[photo.chosen[0]].landmarks_xy
        vectors.append(embed_faces(embedder, crops, [five])[0][0])
    right = 0
    cosines = np.array([float(vectors[a] @ vectors[b]) for a, b in of.pairs], np.float32)
    for fold in np.unique(of.folds):
        mine = of.folds == fold
        assert not {*of.person[of.pairs[mine]].ravel()} & {*of.person[of.pairs[~mine]].ravel()}
        at = best_threshold(cosines[~mine], of.same[~mine])
        right += int(((cosines[mine] >= at) == of.same[mine]).sum())
    row = next(row for row in found if row.metric == "cosine")
    assert row.accuracy == pytest.approx(right / len(of.same))


@pytest.mark.parametrize("name", METRICS)
def test_scores_are_turned_so_that_higher_is_more_alike(name: str) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 8)).astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    unit = vectors / norms[:, None]
    found = np.array([True] * 5 + [False])
    pairs = np.array([[0, 1], [2, 3], [4, 4], [0, 5]])
    scores = scores_by(get_metric(name), unit, norms, found, pairs)
    assert int(np.argmax(scores)) == 2, "a vector is most like itself"
    assert int(np.argmin(scores)) == 3, "no face is less alike than all"
    if name == "euclidean":
        assert scores[0] == pytest.approx(-float(np.linalg.norm(vectors[0] - vectors[1])), rel=1e-5)
    if name == "cosine":
        assert scores[0] == pytest.approx(float(unit[0] @ unit[1]), rel=1e-5)


def judged(scores: list[float], same: list[int], folds: list[int], tested: tuple[int, ...]) -> Any:
    of = reading.PairsOf(
        "toys", (), np.zeros(0, np.int64), np.zeros((len(same), 2), np.int64),
        np.array(same, bool), np.array(folds), tested, np.zeros((0, 2), np.int64),
        np.zeros(0, bool),
    )  # fmt: skip
    return held_out_accuracy(np.array(scores, np.float32), of)


def test_thresholds_are_never_of_the_pairs_that_are_judged() -> None:
    # In fold 1 all scores are higher by 10: its own threshold would be right about all of them.
    scores, same = [1, 2, 3, 4, 11, 12, 13, 14], [0, 0, 1, 1, 0, 0, 1, 1]
    folds = [0, 0, 0, 0, 1, 1, 1, 1]
    assert judged(scores, same, folds, (1,)) == (2, 4)
    assert judged(scores, same, folds, (0, 1)) == (4, 8)
    assert judged([1, 2, 3, 4] * 2, same, folds, (0, 1)) == (8, 8)


def test_the_true_accept_rate_and_its_interval() -> None:
    rng = np.random.default_rng(1)
    n = 60
    people = np.concatenate(
        [np.repeat(np.arange(n), 20)[:, None].repeat(2, 1), rng.integers(0, n, (40_000, 2))]
    )
    same = np.arange(len(people)) < 20 * n
    scores = np.where(same, rng.normal(4.2, 1, len(same)), rng.normal(0, 1, len(same)))
    value, (low, high) = tar_with_interval(scores.astype(np.float32), same, people)  # type: ignore[misc]
    at = np.sort(scores[~same])[-41]
    assert value == pytest.approx(float((scores[same] > at).mean()), abs=2e-3)
    assert low < value < high
    assert 0.01 < high - low < 0.2
    # All photos of a person alike: fewer independent observations, a wider interval.
    lumped = scores.copy()
    lumped[same] = np.repeat(rng.normal(4.2, 1, n), 20)
    _, (low_2, high_2) = tar_with_interval(lumped.astype(np.float32), same, people)  # type: ignore[misc]
    assert high_2 - low_2 > 1.3 * (high - low)
    assert tar_with_interval(scores[:25_000], same[:25_000], people[:25_000]) is None


def test_pairs_of_folders(people: Path) -> None:
    of = reading.read_pairs_of(people)
    assert (of.same.sum(), (~of.same).sum()) == (12, 12)
    assert ((of.person[of.pairs[:, 0]] == of.person[of.pairs[:, 1]]) == of.same).all()
    assert len(of.many) == 12 * 11 // 2
    assert of.many_same.sum() == 12
    assert len(reading.read_pairs_of(people, most=12).photos) == 12
    with pytest.raises(DataError, match="at least four people"):
        reading.read_pairs_of(people, most=6)
    with pytest.raises(OptionError, match="2 or more"):
        reading.read_pairs_of(people, most=1)


def test_many_pairs_are_drawn_without_repeats() -> None:
    person = np.repeat(np.arange(400), 3)
    rows = np.arange(len(person))
    pairs = reading._impostor(person, rows, 2000, np.random.default_rng(0))
    assert len(pairs) == 2000
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == 2000
    assert (person[pairs[:, 0]] != person[pairs[:, 1]]).all()
    assert len(reading._genuine(person, rows)) == 400 * 3


@pytest.mark.slow
def test_a_head_is_a_metric_of_its_model_and_alignment(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = models.get("sface-int8")
    contract = Contract(card.name, card.sha256, "arcface-112", "rgb", False, 128)
    head = SiameseHead(contract, "absolute", "unit", np.full(128, -1.0), 4.0, "nobody")
    head.save(tmp_path / "head.npz")
    own = card.replace(
        name="mine",
        folder=tmp_path,
        file="mine.onnx",
        weights_of=None,
        siamese=HeadFile("head.npz", head.sha256),
    )
    (tmp_path / "mine.onnx").write_bytes(models.read(card))
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"schema": 1, "weights": [own.to_dict()]}))
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(manifest))
    monkeypatch.setattr(catalog, "_added", [])
    monkeypatch.setattr(protocol, "loaded", _only(protocol.loaded, "mine"))
    found = compare_models(people, alignments=["five-points", "eyes"], ensemble=False)
    rows = {(row.metric, row.alignment) for row in found}
    assert {row.model for row in found} == {"mine"}, "by itself"
    assert ("siamese", "arcface-112") in rows
    assert ("siamese", "eyes-112") not in rows
    assert ("cosine", "eyes-112") in rows


def _only(load: Any, name: str) -> Any:
    """Look at all that there are, as without names, and keep one."""

    def some(names: Any, *rest: Any) -> Any:
        assert names is None
        assert name in {card.name for card in models.entries("embedder")}
        return load([name], *rest)

    return some


def test_what_cannot_be_compared_is_refused(people: Path) -> None:
    with pytest.raises(OptionError, match="siamese, got 'cos'"):
        compare_models(people, metrics=["cos"])
    with pytest.raises(OptionError, match="frontal, got 'nose'"):
        compare_models(people, alignments=["nose"])
    with pytest.raises(OptionError, match="yunet, a detector"):
        compare_models(people, models=["yunet"])
    with pytest.raises(OptionError, match="none of dlib-resnet has a learned similarity"):
        compare_models(people, models=["dlib-resnet"], metrics=["siamese"])


def test_the_policy_holds(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = models.get("sface-int8").replace(name="private", commercial_use="no")
    monkeypatch.setitem(catalog._registered, "private", card)
    policy = LicensePolicy.parse("commercial")
    with pytest.raises(LicenseError):
        compare_models(people, models=["private"], policy=policy)
    monkeypatch.setattr(models, "entries", lambda task: [card, models.get("sface-int8")])
    found = compare_models(
        people, metrics=["cosine"], alignments=["five-points"], policy=policy, ensemble=False
    )
    assert [row.model for row in found] == ["sface-int8"]
    assert any(note.startswith("private was left out: ") for note in found.notes)


@pytest.mark.slow
def test_the_ensemble_stands_below(people: Path) -> None:
    found = compare_models(people, metrics=["cosine"], alignments=["five-points"])
    assert found.rows[-1].model == "ensemble-boosted"
    assert found.rows[-1].ms > max(row.ms for row in found.rows[:-1]) / 2
    assert len(found) == len(models.entries("embedder")) + 1
    assert replace(found.rows[0], ms=0.0) in [replace(row, ms=0.0) for row in found.rows]


@pytest.mark.slow
def test_the_command_prints_a_list_and_draws(people: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = ["models", "compare", str(people), "--models", "sface-int8,mobilefacenet-int8"]
    target = tmp_path / "models.png"
    result = CliRunner().invoke(app, [*arguments, "--out", str(target), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert isinstance(rows, list)
    assert {row["model"] for row in rows} == {"sface-int8", "mobilefacenet-int8"}
    assert {row["alignment"] for row in rows} == {"arcface-112", "eyes-112", "crop-112"}
    assert all(set(row) >= KEYS for row in rows)
    with Pictures.open(target) as picture:
        assert picture.size[0] > 600
    shown = CliRunner().invoke(app, [*arguments, "--metrics", "cosine"])
    assert "too few pairs" in shown.stdout
    wrong = CliRunner().invoke(app, [*arguments, "--metrics", "cosine,,angular"])
    assert wrong.exit_code == 2
    assert "names with commas" in wrong.stderr

"""What a run may begin with: a last layer in closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from made_faces import MadeFaces, made_config

from lineament.errors import DataError, OptionError
from lineament.train.backbones import make_backbone
from lineament.train.data.crops import Crops
from lineament.train.model.checkpoint import load_run
from lineament.train.model.last_layer import SHRINKAGE, Scatter, whiten
from lineament.train.model.start import starting_backbone
from lineament.train.run.loop import fit

PEOPLE, PHOTOS, FEATURES = 12, 6, 20
ORIENTED = (
    "backbone.name=oriented",
    "backbone.options={}",
    "data.size_px=24",
    "backbone.dimension=16",
)

Matrix = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def features() -> tuple[Matrix, npt.NDArray[np.int64]]:
    """(N, F) features, far from 0, and whose they are."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(np.arange(PEOPLE), PHOTOS))
    own = random.normal(0, 2, (PEOPLE, FEATURES))
    mixing = random.normal(0, 1, (FEATURES, FEATURES))
    noise = random.normal(0, 1, (len(labels), FEATURES)) @ mixing
    return own[labels] + noise + 5, labels


def scatter_of(rows: Matrix, labels: npt.NDArray[np.int64], people: int = PEOPLE) -> Scatter:
    scatter = Scatter(rows.shape[1], people)
    for part in np.array_split(np.arange(len(rows)), 5):
        scatter.add(rows[part], labels[part])
    return scatter


def within(rows: Matrix, labels: npt.NDArray[np.int64]) -> Matrix:
    """Covariance around each person's own mean."""
    apart = np.concatenate([rows[labels == p] - rows[labels == p].mean(0) for p in range(PEOPLE)])
    return apart.T @ apart / len(rows)


class TestScatter:
    def test_people_vary_alike_in_all_directions(
        self, features: tuple[Matrix, npt.NDArray[np.int64]]
    ) -> None:
        rows, labels = features
        weight, bias = scatter_of(rows, labels).whitening(FEATURES)
        made = rows @ weight.T + bias
        assert np.allclose(made.mean(0), 0, atol=1e-9)
        # (1 - s) V + s mean(v) 1 was made 1, so V alone is what is left of that.
        found = np.linalg.eigvalsh(within(made, labels))
        before = np.linalg.eigvalsh(within(rows, labels))
        expected = before / ((1 - SHRINKAGE) * before + SHRINKAGE * before.mean())
        assert np.allclose(np.sort(found), np.sort(expected), rtol=1e-8)

    def test_few_dimensions_are_the_axes_of_most_variance(
        self, features: tuple[Matrix, npt.NDArray[np.int64]]
    ) -> None:
        rows, labels = features
        weight, _ = scatter_of(rows, labels).whitening(3)
        _, _, axes = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
        inside = weight @ axes[:3].T @ axes[:3]
        assert weight.shape == (3, FEATURES)
        assert np.allclose(inside, weight, atol=1e-9)

    def test_strangers_are_told_apart_better(
        self, features: tuple[Matrix, npt.NDArray[np.int64]]
    ) -> None:
        from lineament.evaluate.metrics import auc

        rows, labels = features
        known = labels < PEOPLE // 2
        weight, bias = scatter_of(rows[known], labels[known], PEOPLE // 2).whitening(FEATURES)
        figures = []
        for made in (rows - rows[known].mean(0), rows @ weight.T + bias):
            unit = made[~known] / np.linalg.norm(made[~known], axis=1, keepdims=True)
            i, j = np.triu_indices(len(unit), 1)
            figures.append(auc((unit @ unit.T)[i, j], labels[~known][i] == labels[~known][j]))
        assert figures[1] > figures[0] + 0.03

    def test_what_cannot_be(self, features: tuple[Matrix, npt.NDArray[np.int64]]) -> None:
        rows, labels = features
        with pytest.raises(OptionError, match=r"at most 20 dimensions .* got 21"):
            scatter_of(rows, labels).whitening(21)
        with pytest.raises(OptionError, match="at most 9 dimensions"):
            scatter_of(rows[:10], labels[:10]).whitening(12)
        with pytest.raises(DataError, match="one of each"):
            scatter_of(rows[:PEOPLE], np.arange(PEOPLE)).whitening(2)
        with pytest.raises(DataError, match="copies of one another"):
            scatter_of(np.ones((6, 4)), np.repeat([0, 1], 3)).whitening(2)


class TestWhitened:
    def test_a_run_begins_with_it(self, tmp_path: Path) -> None:
        overrides = (*ORIENTED, "backbone.whitened=3", "run.steps=1", "optimizer.lr=1e-12")
        config = made_config(tmp_path / "run", *overrides, "augment.flip=0.5")
        faces, notes = MadeFaces(), []
        fit(config, faces=faces, note=notes.append)
        assert "the last layer is set from 96 photos" in notes
        torch.manual_seed(config.run.seed)
        backbone, _ = starting_backbone(config.backbone, config.data.size_px)
        drawn = backbone.last_layer().weight.clone()
        whiten(backbone, Crops(faces, 24, config.augment, config.run.seed), 3)
        begun = load_run(tmp_path / "run", which="last")
        assert not torch.allclose(drawn, backbone.last_layer().weight, atol=1e-3)
        torch.testing.assert_close(begun.state_dict(), backbone.state_dict())
        # Over the photos that it was made from, it is what it should be.
        items = [
            Crops(faces, 24, config.augment, config.run.seed).item(epoch, i, 0)
            for epoch in range(3)
            for i in range(len(faces))
        ]
        with torch.no_grad():
            made = begun(torch.stack([item.augmented for item in items]).float()).double().numpy()
        assert np.allclose(made.mean(0), 0, atol=1e-2)
        spread = within(made, np.array([item.label for item in items]))
        variances = np.diag(spread)
        assert np.allclose(spread, np.diag(variances), atol=1e-4)
        assert 0 < variances.min() < 0.9 < variances.max() < 1 / (1 - SHRINKAGE)

    def test_a_resumed_run_does_not_begin_again(self, tmp_path: Path) -> None:
        overrides = (*ORIENTED, "backbone.whitened=2", "optimizer.lr=0.01")
        states = []
        for name, steps in (("whole", (4,)), ("halves", (2, 4))):
            for count in steps:
                config = made_config(
                    tmp_path / name, *overrides, f"run.steps={count}", "schedule.kind=constant"
                )
                run = fit(config, faces=MadeFaces(), resume=count != steps[0])
            states.append(run.backbone.state_dict())
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])

    def test_which_backbones_can(self, tmp_path: Path) -> None:
        config = made_config(tmp_path / "run", "backbone.whitened=1")
        with pytest.raises(OptionError, match=r"whitened: .*\(oriented\), got Tiny"):
            fit(config, faces=MadeFaces())
        assert not (tmp_path / "run").exists()

    def test_the_mode_stays(self) -> None:
        backbone = make_backbone("oriented", dimension=8, size_px=24).train()
        whiten(backbone, Crops(MadeFaces(), 24), 1)
        assert backbone.training
        assert not backbone.last_layer()._forward_pre_hooks

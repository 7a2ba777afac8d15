# ruff: noqa: E402 - torch may not be installed
"""What a run with the loss "siamese" learned is exported with its network, as a metric of it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from made_faces import MadeFaces, made_config

from lineament import Recognizer, models
from lineament.decide.siamese import head_of
from lineament.embed import load_embedder
from lineament.errors import ExportError, OptionError
from lineament.models import catalog
from lineament.train.losses.siamese import Siamese
from lineament.train.model import export as exporting
from lineament.train.model.checkpoint import BEST, LAST, load_run, read_checkpoint
from lineament.train.model.export_run import export_run
from lineament.train.run.loop import fit


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that learned a similarity, as chi-square."""
    folder = tmp_path_factory.mktemp("runs") / "learned"
    options = {"form": "chi-square", "features": "non-negative"}
    config = made_config(folder, "run.epochs=1").changed(
        loss={"name": "siamese", "options": options}
    )
    fit(config, faces=MadeFaces(people=6, photos=4))
    return folder


def test_the_head_is_that_of_the_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = export_run(run, tmp_path / "mine.onnx", name="mine")
    monkeypatch.setenv("LINEAMENT_MANIFEST", str(made.manifest))
    monkeypatch.setattr(catalog, "_added", [])
    card = models.get("mine")
    assert card.siamese is not None
    assert card.siamese.file == "mine.siamese.npz"
    data = (tmp_path / "mine.siamese.npz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == card.siamese.sha256
    assert json.loads(made.manifest.read_text())["weights"][0]["siamese"] == {
        "file": card.siamese.file,
        "sha256": card.siamese.sha256,
    }
    described = tomllib.loads((tmp_path / "mine.toml").read_text())
    assert described["siamese"]["sha256"] == card.siamese.sha256
    assert models.from_file(tmp_path / "mine.onnx").siamese == card.siamese

    # The file's scores of the file's embeddings are PyTorch's of PyTorch's.
    state = read_checkpoint(run / (BEST if (run / BEST).exists() else LAST))["loss"]
    learned = Siamese(16, 1, form="chi-square", features="non-negative")
    learned.load_state_dict(state)
    before = Siamese(16, 1, form="chi-square", features="non-negative")
    assert not torch.allclose(learned.alpha, before.alpha, atol=1e-4)
    backbone = load_run(run)
    side = backbone.size_px
    crops = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), np.uint8)
    with torch.inference_mode():
        rows = backbone(torch.from_numpy(crops.transpose(0, 3, 1, 2).astype(np.float32)))
        wanted = learned.log_odds(rows[:, None], rows[None]).numpy()
        chances = learned.score(rows[:, None], rows[None]).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-wanted)), chances, rtol=1e-5)
    vectors, _ = load_embedder(card, flip=False).embed(crops)
    head = head_of(card)
    assert head is not None
    np.testing.assert_allclose(head.matrix(vectors, vectors), wanted, rtol=1e-3, atol=1e-3)

    recognizer = Recognizer("mine")
    head.check(recognizer.embedder.contract)
    with pytest.raises(OptionError, match="no threshold was fitted for the learned similarity"):
        recognizer.threshold("siamese")
    assert recognizer.threshold("siamese", value=0.5).metric == "siamese"


def test_a_run_with_another_loss_has_none(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(made_config(folder, "run.epochs=1"), faces=MadeFaces(people=6, photos=4))
    made = export_run(folder, tmp_path / "mine.onnx", name="mine")
    assert made.card.siamese is None
    assert "siamese" not in made.card.to_dict()
    assert not list(tmp_path.glob("*.npz"))
    if (folder / BEST).exists():
        assert read_checkpoint(folder / BEST)["loss"] is None


def test_nothing_is_written_where_the_head_differs(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PARITY", -1.0)
    with pytest.raises(ExportError, match="learned similarity of PyTorch"):
        export_run(run, tmp_path / "mine.onnx", name="mine")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_kept(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.siamese.npz").write_bytes(b"of somebody")
    with pytest.raises(OptionError, match=r"mine\.siamese\.npz: it exists already"):
        export_run(run, tmp_path / "mine.onnx", name="mine")
    assert (tmp_path / "mine.siamese.npz").read_bytes() == b"of somebody"
    export_run(run, tmp_path / "mine.onnx", name="mine", overwrite=True)
    assert (tmp_path / "mine.siamese.npz").read_bytes() != b"of somebody"

"""``lineament train finetune``, ``distill`` and ``export``, as a user calls them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch")

from made_faces import SIZE_PX, MadeFaces

import lineament
from lineament import Recognizer, models
from lineament.cli import app
from lineament.errors import OptionError
from lineament.train.recipes import distill_config, finetune_config

DEMO = Path(lineament.__file__).parent / "data" / "demo"


def call(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def values_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MadeFaces(people=4, photos=3).write(tmp_path_factory.mktemp("faces") / "crops")


@pytest.fixture(scope="module")
def distilled(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network that was taught by MobileFaceNet for two steps."""
    out = tmp_path_factory.mktemp("runs") / "Small One"
    small = ("backbone.dimension=16", "backbone.options.width=8", f"data.size_px={SIZE_PX}")
    changes = [part for one in (*small, "sampler.batch=6") for part in ("--set", one)]
    done = call(
        *("train", "distill", faces, "--teacher", "mobilefacenet", "--student", "tiny"),
        *("--out", out, "--epochs", 1, *changes, "--json"),
    )
    values = values_of(done)
    assert values["steps"] == values["of"] == 2
    assert values["stopped"] is False
    return out


def test_distilled_run_says_what_it_was(distilled: Path) -> None:
    config = tomllib.loads((distilled / "config.toml").read_text("utf-8"))
    assert config["teacher"]["name"] == "mobilefacenet"
    assert config["loss"]["weight"] == 0
    assert config["backbone"]["name"] == "tiny"


def test_export_is_taken_by_name(
    distilled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "small.onnx"
    values = values_of(
        call("train", "export", distilled, "--out", target, "--license", "MIT", "--json")
    )
    entry = values["weights"]
    assert entry["name"] == "small-one"
    assert entry["license_weights"] == "MIT"
    assert "mobilefacenet" in entry["notes"]
    assert entry["dimension"] == 16
    assert "thresholds" not in entry  # none were measured
    monkeypatch.setenv("LINEAMENT_MANIFEST", values["manifest"])
    photo = Recognizer("small-one").analyze(DEMO / "obama.jpg")
    assert photo.embeddings[0].vector.shape == (16,)
    assert float(np.linalg.norm(photo.embeddings[0].vector)) == pytest.approx(1, abs=1e-5)
    assert models.get("small-one").sha256 == entry["sha256"]


def test_exporting_twice_needs_overwrite(distilled: Path, tmp_path: Path) -> None:
    target = tmp_path / "again.onnx"
    assert call("train", "export", distilled, "--out", target).exit_code == 0
    before = target.read_bytes()
    refused = call("train", "export", distilled, "--out", target, "--json")
    assert refused.exit_code == 2
    assert "exists already" in json.loads(refused.stdout)["error"]
    assert target.read_bytes() == before
    assert call("train", "export", distilled, "--out", target, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nowhere",), "expected the folder of a training run"),
        (("people.jsonl", "--name", "x"), "expected the folder of a training run"),
        (("{run}", "--which", "worst"), "expected best or last"),
        (("{run}", "--name", "sface"), "one of the bundled networks"),
        (("{run}", "--commercial-use", "perhaps"), "expected yes, no or unknown"),
        (("{empty}",), "expected the folder of a run"),
    ],
)
def test_export_refuses(
    arguments: tuple[str, ...], expected: str, distilled: Path, tmp_path: Path
) -> None:
    given = [
        str(distilled) if part == "{run}" else str(tmp_path) if part == "{empty}" else part
        for part in arguments
    ]
    done = call("train", "export", *given)
    assert done.exit_code == 2
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_is_exported_by_another_command(distilled: Path) -> None:
    for arguments, option in (
        (("train", "export", distilled, "--no-crops"), "--no-crops"),
        (("gallery", "export", "people.jsonl", "--license", "MIT"), "--license"),
    ):
        done = call(*arguments)
        assert done.exit_code == 2
        assert f"No such option '{option}'" in done.stderr.splitlines()[-1]


def test_finetune_begins_with_the_recognizer(faces: Path, tmp_path: Path) -> None:
    """One step at a rate of almost nothing: the bundled network, still."""
    out = tmp_path / "tuned"
    values = values_of(
        call(
            *("train", "finetune", faces, "--recognizer", "mobilefacenet", "--low-resolution", 12),
            *("--out", out, "--lr", 1e-12, "--set", "run.steps=1", "--set", "sampler.batch=4"),
            *("--labels", 0.1, "--json"),
        )
    )
    assert values["steps"] == 1
    from lineament.train.backbones.bundled import load_bundled
    from lineament.train.model.checkpoint import load_run

    tuned = load_run(out).state_dict()
    start = load_bundled("mobilefacenet").state_dict()
    assert tuned.keys() == start.keys()
    differences = [float((tuned[name] - start[name]).abs().max()) for name in start]
    assert max(differences) < 1e-9
    assert call("train", "finetune", faces, "--out", out).exit_code == 2  # a run is there


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--keep", "0"), "--keep: expected above 0"),
        (("--keep", "-1"), "--keep: expected"),
        (("--epochs", "0"), "--epochs: expected 1 or more"),
        (("--lr", "0"), "--lr: expected a number above 0"),
        (("--hold-out", "2"), "--hold-out: expected"),
        (("--low-resolution", "1"), "--low-resolution: expected at least 4"),
        (("--recognizer", "facenet"), "backbone.start: expected sface"),
        (("--set", "run.epoch=3"), "did you mean epochs"),
    ],
)
def test_finetune_refuses(
    options: tuple[str, ...], expected: str, faces: Path, tmp_path: Path
) -> None:
    done = call("train", "finetune", faces, "--out", tmp_path / "run", *options)
    assert done.exit_code == 2
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_student_is_refused(faces: Path, tmp_path: Path) -> None:
    done = call("train", "distill", faces, "--out", tmp_path / "run", "--student", "resnet")
    assert done.exit_code == 2
    assert "mobilefacenet" in done.stderr


def test_recipes_can_be_changed() -> None:
    config = finetune_config("a", "b", low_resolution_px=24, overrides=["run.seed=3"])
    assert config.run.seed == 3
    assert (config.augment.least_px, config.augment.most_px) == (16, 36)
    assert config.teacher.name == config.backbone.start == "sface"
    assert finetune_config("a", "b", labels=1.0, keep=0.0).teacher.name == ""
    assert distill_config("a", "b", student="tiny", labels=0.5).loss.weight == 0.5
    with pytest.raises(OptionError, match=r"table\.key=value"):
        distill_config("a", "b", overrides=["seed=3"])

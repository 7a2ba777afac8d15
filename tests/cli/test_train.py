"""`lineament train`: parse, run, print, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from made_faces import MadeFaces, made_config
from PIL import Image as PILImage

from lineament.cli import app
from lineament.train.config import TrainConfig, from_dict, save_config
from lineament.train.run import loop

Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        threads = torch.get_num_threads()
        given = [*map(str, arguments)]
        how = [] if given and given[0] in ("toy", "example") else ["run"]
        result = CliRunner().invoke(app, ["train", *how, *given])
        torch.set_num_threads(threads)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MadeFaces(8, 6).write(tmp_path_factory.mktemp("crops"))


@pytest.fixture
def config(tmp_path: Path, crops: Path) -> Path:
    file = tmp_path / "run.toml"
    config = made_config(tmp_path / "unused", f'data.path="{crops}"', "verify.people=0.25")
    save_config(config, file)
    return file


def test_from_a_config_to_a_model(call: Call, config: Path, tmp_path: Path) -> None:
    done = call(config, "--set", "run.epochs=1", "--out", tmp_path / "run", "--json")
    assert done.exit_code == 0
    values = json.loads(done.stdout)
    assert values["run"] == str(tmp_path / "run")
    assert (values["steps"], values["of"], values["stopped"], values["n_people"]) == (
        1,
        1,
        False,
        6,
    )
    assert values["best"]["figure"] == "auc"
    assert values["verified"][0]["auc"] == values["best"]["value"]
    assert "2 of 8 people are held out" in done.stderr
    assert "epoch 1/1, step 1: loss" in done.stderr

    again = call(config, "--out", tmp_path / "run")
    assert again.exit_code == 2
    assert "holds a run already; go on with --resume" in again.stderr
    longer = call("--resume", "--out", tmp_path / "run", "--set", "run.epochs=2")
    assert longer.exit_code == 0
    assert "2 of 2" in longer.stdout
    assert str(tmp_path / "run" / "best.pt") in longer.stdout
    assert f"lineament train export {tmp_path / 'run'}" in longer.stdout


def test_stopped_is_130_and_says_how_to_go_on(
    call: Call, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop._Training._after_step

    def interrupted(self: Any, *rest: Any) -> bool:
        if self.at.step == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, *rest)

    monkeypatch.setattr(loop._Training, "_after_step", interrupted)
    stopped = call(config, "--out", "run", "--set", "run.epochs=5")
    assert stopped.exit_code == 130
    assert "lineament train run --resume --out" in stopped.stdout
    assert "stopped after step 2 of 5" in stopped.stderr
    assert call("--resume", "--out", "run").exit_code == 0


def test_the_example_is_a_config(call: Call) -> None:
    done = call("example")
    assert done.exit_code == 0
    assert from_dict(tomllib.loads(done.stdout)) == TrainConfig()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "expected a CONFIG, --set, or --resume with --out"),
        (("none.toml",), "none.toml: expected a configuration in TOML, got: no such file"),
        (("--set", "loss.nam=x"), "loss.nam: there is no such key"),
        (
            ("--set", "run.epochs=many"),
            "run.epochs: expected a whole number, at least 1, got 'many'",
        ),
        (("--set", "run.epochs=3"), "run.out: expected the folder"),
        (("--resume", "--out", "nothing"), "expected the folder of a run"),
        (("toy", "x", "--out", "y", "--set", "width=3"), "--set: expected one of people"),
        (("toy", "x", "--out", "y", "--set", "epochs=few"), "epochs: expected a whole number"),
    ],
)
def test_mistakes_are_one_line_and_2(call: Call, arguments: tuple[str, ...], words: str) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a.toml", "b"), "unexpected extra argument (b)"),
        (("toy",), "Missing argument 'FOLDER'"),
        (("toy", "x"), "Missing option '--out'"),
    ],
)
def test_wrong_usage_is_2(call: Call, arguments: tuple[str, ...], words: str) -> None:
    done = call(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr.splitlines()[-1]


def test_toy(call: Call, crops: Path, tmp_path: Path) -> None:
    changes = ("people=3", "photos_each=6", "epochs=2", 'losses=["softmax", "arcface"]')
    options = [part for change in changes for part in ("--set", change)]
    larger = tmp_path / "larger"
    for path in crops.glob("person0[0-2]/*.png"):
        (larger / path.parent.name).mkdir(parents=True, exist_ok=True)
        PILImage.open(path).resize((112, 112)).save(larger / path.parent.name / path.name)
    done = call("toy", larger, "--out", tmp_path / "toy", *options, "--json")
    assert done.exit_code == 0
    values = json.loads(done.stdout)
    assert [loss["name"] for loss in values["losses"]] == ["softmax", "arcface"]
    assert values["people"] == ["person00", "person01", "person02"]
    assert (tmp_path / "toy" / "toy.png").stat().st_size > 1000


def test_help_and_mistakes_load_no_torch_and_its_lack_is_said(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from lineament.cli import app\n"
        "def run(*a):\n"
        "    try: app(['train', *a])\n"
        "    except SystemExit as end: return end.code\n"
        "codes = [run('--help'), run('example'), run('run', '--set', 'loss.nam=x')]\n"
        "loaded = 'torch' in sys.modules\n"
        "sys.modules['torch'] = None\n"
        "codes.append(run('run', '--set', 'run.out=x', '--set', 'data.path=y'))\n"
        "sys.exit(0 if (codes, loaded) == ([0, 0, 2, 2], False) else repr((codes, loaded)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "training needs packages that are not installed" in done.stderr
    assert '"torch>=' in done.stderr

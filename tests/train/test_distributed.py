"""Two processes are one: the same losses, the same batch norm, a clean end when one dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from distributed_run import smooth
from made_faces import MadeFaces, made_config
from torch import nn

from lineament.errors import OptionError
from lineament.train.model.checkpoint import read_checkpoint
from lineament.train.model.teacher import clean_places
from lineament.train.run._distributed import World, world_of
from lineament.train.run.loop import Run, fit

pytestmark = pytest.mark.slow
HERE = Path(__file__).parents[1] / "builders"
PROGRAM = str(HERE / "distributed_run.py")
STEPS = 50
COMMON = (
    f"run.steps={STEPS}",
    "optimizer.lr=0.02",
    "verify.people=0.25",
    "verify.every=10",
    "checkpoint.every=0",
)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=200,
    )


def alone(out: Path, *options: str) -> Run:
    with smooth():
        return fit(made_config(out, *options), faces=MadeFaces())


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    """A shard of the classes in each, batch norm over both, gradients summed: all in one run."""
    options = (
        *COMMON,
        "loss.name=partial-fc",
        "loss.options={ rate = 1.0, margin_options = { scale = 16 } }",
        "ema.decay=0.9",
        "optimizer.clip_norm=3",
        "run.channels_last=true",
    )
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = python(*torchrun, PROGRAM, str(tmp_path / "two"), "smooth", *options)
    assert done.returncode == 0, done.stderr[-2000:]
    two: dict[str, Any] = json.loads((tmp_path / "two.json").read_text())
    one = alone(tmp_path / "one", *options)
    losses = [row["loss"] for row in one.history]
    assert len(losses) == STEPS
    assert losses[-1] < 0.2 * losses[0]
    assert [row["loss"] for row in two["history"]] == pytest.approx(losses, abs=1e-4)
    assert [step for step, _ in two["verified"]] == [step for step, _ in one.verified]
    assert two["verified"][-1][1]["auc"] == pytest.approx(one.verified[-1][1]["auc"], abs=1e-3)
    states = [read_checkpoint(tmp_path / name / "last.pt") for name in ("one", "two")]
    name = "stage2.path.1.running_var"
    torch.testing.assert_close(*(s["backbone"][name] for s in states), rtol=1e-3, atol=1e-5)
    shard = read_checkpoint(tmp_path / "two" / f"last.rank1.step{STEPS}.pt")
    halves = torch.cat([states[1]["loss"]["centers"], shard["loss"]["centers"]])
    torch.testing.assert_close(halves, states[0]["loss"]["centers"], rtol=1e-3, atol=1e-5)


def test_triplets_and_a_teacher_are_those_of_one_process_too(tmp_path: Path) -> None:
    """Of 24 photos seven are seen clean too: the processes have three and four of them."""
    teacher = alone(tmp_path / "teacher", "run.steps=2").folder
    options = (
        *COMMON,
        "verify.every=0",
        "loss.name=triplet",
        'loss.options={ margin = 1.0, mining = "batch-hard" }',
        f'teacher.name="{teacher}"',
        "teacher.sees=augmented",
        "teacher.clean=0.3",
    )
    run = (2, str(tmp_path / "two"), "smooth", *options)
    done = python(PROGRAM, "phases", json.dumps([run]))
    assert done.returncode == 0, done.stderr[-2000:]
    two = json.loads((tmp_path / "two.json").read_text())["history"]
    one = alone(tmp_path / "one", *options).history
    assert len(one) == STEPS
    assert one[-1]["loss"] < 0.7 * one[0]["loss"]
    assert sum(row["triplets_active"] > 0 for row in one) > STEPS / 2
    for name in ("loss", "label_loss", "teacher_loss"):
        assert [row[name] for row in two] == pytest.approx([row[name] for row in one], abs=1e-4)


def test_a_dead_process_ends_the_other_which_says_so_and_the_run_goes_on(tmp_path: Path) -> None:
    options = ("checkpoint.every=1", "checkpoint.unit=steps", "loss.name=partial-fc")
    options = (*options, "loss.options={ rate = 0.5 }", "run.steps=5")
    run, other = str(tmp_path / "run"), str(tmp_path / "other")
    # Of the second run one process is told to stop: both do, and go on.
    phases = ((run, "kill"), (run, "resume"), (other, "stop"), (other, "resume"))
    done = python(PROGRAM, "phases", json.dumps([(2, *phase, *options) for phase in phases]))
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [[2, -9], [0, 0], [0, 0], [0, 0]]
    assert "kill, rank 0: TrainError: process 0 of 2 lost the others" in done.stderr
    rows = [json.loads(Path(f"{name}.json").read_text())["history"] for name in (run, other)]
    losses = [[row["loss"] for row in them] for them in rows]
    assert len(losses[0]) == 5
    assert losses[0] == losses[1]
    assert [path.name for path in Path(run).glob("last.rank1*")] == ["last.rank1.step5.pt"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 0.3, 0.9, 1.0])
def test_clean_photos_are_spread_over_the_global_batch(share: float) -> None:
    places = clean_places(24, share).nonzero()[:, 0]
    assert len(places) == int(24 * share)
    gaps = set(places.diff().tolist())
    assert gaps <= {int(1 / max(share, 0.01)), int(1 / max(share, 0.01)) + 1}


def test_alone_nothing_is_sent() -> None:
    with world_of("cpu") as world:
        assert (world.rank, world.size, world.many, world.first) == (0, 1, False, True)
        rows = torch.rand(3, 2, requires_grad=True)
        assert world.gather(rows) is rows
        assert world.any(True)
        assert not world.any(False)
        assert world.from_first({"a": 1}) == {"a": 1}
        module = nn.Linear(2, 2)
        world.equalize(module.parameters())
        world.wait()
    assert World(1, 4, torch.device("cpu")).many


def test_environment_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(OptionError, match="WORLD_SIZE"), world_of("cpu"):
        pass

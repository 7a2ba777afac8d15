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
from made_faces import MadeFaces, made_config
from torch import nn

from lineament.errors import OptionError
from lineament.train.checkpoint import read_checkpoint
from lineament.train.distributed import World, world_of
from lineament.train.loop import fit

HERE = Path(__file__).parent
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


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    """A shard of the classes in each, batch norm over both, gradients summed: all in one run."""
    options = (
        *COMMON,
        "loss.name=partial-fc",
        "loss.options={ rate = 1.0, margin_options = { scale = 16 } }",
        "ema.decay=0.9",
        "optimizer.clip_norm=3",
    )
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = python(*torchrun, PROGRAM, str(tmp_path / "two"), "run", *options)
    assert done.returncode == 0, done.stderr[-2000:]
    two: dict[str, Any] = json.loads((tmp_path / "two.json").read_text())
    before = torch.get_num_threads()
    one = fit(made_config(tmp_path / "one", *options), faces=MadeFaces())
    torch.set_num_threads(before)
    losses = [row["loss"] for row in one.history]
    assert len(losses) == STEPS
    assert losses[-1] < 0.2 * losses[0]
    assert two["losses"] == pytest.approx(losses, abs=1e-4)
    assert [step for step, _ in two["verified"]] == [step for step, _ in one.verified]
    assert two["verified"][-1][1]["auc"] == pytest.approx(one.verified[-1][1]["auc"], abs=1e-3)
    states = [read_checkpoint(tmp_path / name / "last.pt") for name in ("one", "two")]
    name = "stage2.path.1.running_var"
    torch.testing.assert_close(*(s["backbone"][name] for s in states), rtol=1e-3, atol=1e-5)
    shard = read_checkpoint(tmp_path / "two" / f"last.rank1.step{STEPS}.pt")
    halves = torch.cat([states[1]["loss"]["centres"], shard["loss"]["centres"]])
    torch.testing.assert_close(halves, states[0]["loss"]["centres"], rtol=1e-3, atol=1e-5)


def test_a_dead_process_ends_the_other_which_says_so_and_the_run_goes_on(tmp_path: Path) -> None:
    options = ("checkpoint.every=1", "checkpoint.unit=steps", "loss.name=partial-fc")
    options = (*options, "loss.options={ rate = 0.5 }", "run.steps=5")
    run, other = str(tmp_path / "run"), str(tmp_path / "other")
    # Of the second run one process is told to stop: both do, and go on.
    done = python(
        PROGRAM,
        "phases",
        f"{run},{run},{other},{other}",
        "kill,resume,stop,resume",
        *options,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [[2, -9], [0, 0], [0, 0], [0, 0]]
    assert "kill, rank 0: TrainError: process 0 of 2 lost the others" in done.stderr
    losses = [json.loads(Path(f"{name}.json").read_text())["losses"] for name in (run, other)]
    assert len(losses[0]) == 5
    assert losses[0] == losses[1]
    assert [path.name for path in Path(run).glob("last.rank1*")] == ["last.rank1.step5.pt"]


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

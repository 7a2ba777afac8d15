"""Runs that are interrupted: resumed they end, to the bit, as unbroken ones; and refusals."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from made_faces import MadeFaces, made_config

from lineament.errors import CheckpointError, TrainError
from lineament.train.config import TrainConfig
from lineament.train.model import checkpoint
from lineament.train.model.checkpoint import read_checkpoint, write_checkpoint
from lineament.train.run._log import Log, read_log
from lineament.train.run.loop import Progress, Run, fit, resume
from lineament.types import Image

FACES = MadeFaces()
EVERY_STEP = ("checkpoint.every=1", "checkpoint.unit=steps")


class CrashError(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def crashing(config: TrainConfig, step: int) -> None:
    """Run until after ``step``, and end without ceremony."""

    def progress(now: Progress) -> None:
        if now.step == step:
            raise CrashError

    with pytest.raises(CrashError):
        fit(config, faces=FACES, progress=progress)


def differing(a: Any, b: Any, place: str = "") -> list[str]:
    """Where two checkpoints differ, but for what names their folders."""
    if isinstance(a, torch.Tensor):
        return [] if torch.equal(a, b) else [place]
    if isinstance(a, dict):
        found = [] if a.keys() == b.keys() else [f"{place}: keys"]
        return found + [
            text
            for key in a.keys() & b.keys()
            if key not in ("out", "seconds")
            for text in differing(a[key], b[key], f"{place}.{key}")
        ]
    if isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return [f"{place}: length"]
        return [
            t
            for i, (x, y) in enumerate(zip(a, b, strict=True))
            for t in differing(x, y, f"{place}.{i}")
        ]
    return [] if a == b else [place]


def without_speed(run: Run) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "photos_per_s"} for row in run.history]


@pytest.mark.parametrize(
    ("options", "step"),
    [
        ((), 2),  # amid the first epoch
        (("verify.people=0.25", "log.every=3"), 4),
        (
            (
                "loss.name=triplet",
                "loss.options={}",
                "optimizer.name=adamw",
                "optimizer.lr=0.001",
                "ema.decay=0.9",
                "optimizer.accumulate=2",
            ),
            1,
        ),
        pytest.param(("loss.name=curricularface", "run.precision=fp16"), 5, marks=pytest.mark.slow),
        (("loss.name=partial-fc", "loss.options={ rate = 0.5 }"), 3),
        pytest.param(
            ("loss.name=centre", "loss.options={}", "data.workers=1", "run.precision=bf16"),
            2,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("teacher.name=mobilefacenet", "teacher.clean=0.25", "run.epochs=1"),
            2,
            marks=pytest.mark.slow,
        ),
        (("run.channels_last=true", "run.precision=bf16", "ema.decay=0.9"), 3),
    ],
)
def test_resumed_is_unbroken_to_the_bit(
    tmp_path: Path, options: tuple[str, ...], step: int
) -> None:
    if "teacher.name=mobilefacenet" in options:
        faces = ("sampler.batch=24",)
        options = (*options, *faces)
    whole = fit(made_config(tmp_path / "a", *options, *EVERY_STEP), faces=FACES)
    crashing(made_config(tmp_path / "b", *options, *EVERY_STEP), step)
    assert read_checkpoint(tmp_path / "b" / "last.pt")["step"] == step
    torch.rand(3)  # whatever happens in between
    told: list[str] = []
    resumed = resume(tmp_path / "b", faces=FACES, note=told.append)
    assert (resumed.step, resumed.steps) == (whole.step, whole.steps)
    states = [read_checkpoint(tmp_path / name / "last.pt") for name in "ab"]
    assert differing(*states) == []
    assert without_speed(resumed) == without_speed(whole)
    assert resumed.verified == whole.verified
    assert resumed.best == whole.best
    best = [read_checkpoint(tmp_path / name / "best.pt") for name in "ab"]
    assert differing(*best) == []


def test_resumed_from_an_older_checkpoint_takes_back_the_log(tmp_path: Path) -> None:
    options = ("checkpoint.every=3", "checkpoint.unit=steps", "log.every=1")
    whole = fit(made_config(tmp_path / "a", *options), faces=FACES)
    crashing(made_config(tmp_path / "b", *options), 5)
    assert [row["step"] for row in read_log(tmp_path / "b" / "log.csv")] == [1, 2, 3, 4, 5]
    with (tmp_path / "b" / "log.csv").open("a") as file:
        file.write("1,6,0.0")  # a line that the crash cut short
    resumed = resume(tmp_path / "b", faces=FACES)
    rows = read_log(tmp_path / "b" / "log.csv")
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert [row["loss"] for row in rows] == [row["loss"] for row in whole.history]
    assert resumed.history == rows


SIGNALS = [
    signal.SIGTERM,
    *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGINT, signal.SIGHUP)),
]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_it_after_the_step_and_it_goes_on(tmp_path: Path, number: int) -> None:
    def progress(now: Progress) -> None:
        if now.step == 3:
            os.kill(os.getpid(), number)

    told: list[str] = []
    before = signal.getsignal(number)
    config = made_config(tmp_path / "b", "data.workers=1")
    stopped = fit(config, faces=FACES, progress=progress, note=told.append)
    assert stopped.stopped
    assert stopped.step == read_checkpoint(tmp_path / "b" / "last.pt")["step"] == 4
    assert told[-1] == "stopped after step 4 of 8; --resume goes on from there"
    assert signal.getsignal(number) is before
    assert multiprocessing.active_children() == []
    whole = fit(made_config(tmp_path / "a"), faces=FACES)
    resumed = resume(tmp_path / "b", faces=FACES)
    assert not resumed.stopped
    states = [read_checkpoint(tmp_path / name / "last.pt")["backbone"] for name in "ab"]
    assert differing(*states) == []
    assert resumed.step == whole.step


def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    def progress(now: Progress) -> None:
        if now.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(made_config(tmp_path / "b"), faces=FACES, progress=progress)


def test_a_run_that_is_done_stays_so_and_can_be_made_longer(tmp_path: Path) -> None:
    config = made_config(tmp_path / "a")
    first = fit(config, faces=FACES)
    told: list[str] = []
    again = fit(config, faces=FACES, resume=True, note=told.append)
    assert told[-1] == "the run is done: 8 of 8 steps"
    assert again.step == 8
    assert again.best == first.best
    longer = fit(config.changed(run={"epochs": 3}), faces=FACES, resume=True)
    assert longer.step == 12


def test_without_a_checkpoint_it_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    told: list[str] = []
    run = fit(made_config(tmp_path / "a"), faces=FACES, resume=True, note=told.append)
    assert "begins anew" in told[0]
    assert run.step == 8
    with pytest.raises(CheckpointError, match="expected the folder of a run"):
        resume(tmp_path / "nothing", faces=FACES)


def test_what_it_started_from_is_not_needed_to_go_on(tmp_path: Path) -> None:
    fit(made_config(tmp_path / "old", "run.steps=1"), faces=FACES)
    config = made_config(
        tmp_path / "new",
        f'backbone.start="{tmp_path}/old"',
        "backbone.name=''",
        "backbone.dimension=0",
        "backbone.options={}",
        *EVERY_STEP,
    )
    crashing(config, 2)
    (tmp_path / "old").rename(tmp_path / "gone")
    assert resume(tmp_path / "new", faces=FACES).step == 8


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    config = made_config(tmp_path_factory.mktemp("short") / "run", "run.steps=2")
    fit(config, faces=FACES)
    return config


class Renamed(MadeFaces):
    def __init__(self) -> None:
        super().__init__()
        self.people = (*self.people[:-1], "stranger")


@pytest.mark.parametrize(
    ("faces", "change", "words"),
    [
        (MadeFaces(11), {}, r"with 12 people, there are 11 now: 1 gone \(person11\)"),
        (MadeFaces(13), {}, r"with 12 people, there are 13 now: 1 new \(person12\)"),
        (Renamed(), {}, r"1 gone \(person11\) and 1 new \(stranger\)"),
        (MadeFaces(12, 9), {}, r"the same 12 people have other photos now \(108 in all\)"),
        (FACES, {"loss": {"name": "cosface"}}, r"loss\.name \(arcface, now cosface\)"),
        (FACES, {"backbone": {"dimension": 8}}, r"backbone\.dimension \(16, now 8\)"),
        (FACES, {"sampler": {"batch": 12}}, r"sampler\.batch \(24, now 12\)"),
        (FACES, {"run": {"seed": 1}}, r"run\.seed \(0, now 1\)"),
        (FACES, {"augment": {"jpeg": 0.5}}, r"augment\.jpeg \(0\.0, now 0\.5\)"),
    ],
)
def test_another_set_up_is_refused(
    short: TrainConfig, faces: MadeFaces, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        fit(short.changed(**change), faces=faces, resume=True)


def test_a_full_disk_leaves_the_last_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = os.fsync, []

    def full(handle: int) -> None:
        written.append(os.fstat(handle).st_size)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    config = made_config(tmp_path / "b", *EVERY_STEP)
    with pytest.raises(CheckpointError, match=r"MB cannot be written \(No space left.*make room"):
        fit(config, faces=FACES)
    monkeypatch.undo()
    assert [p.name for p in (tmp_path / "b").iterdir() if p.suffix == ".tmp"] == []
    kept = read_checkpoint(tmp_path / "b" / "last.pt")["step"]
    assert 0 < kept < 8
    fit(made_config(tmp_path / "a"), faces=FACES)
    resume(tmp_path / "b", faces=FACES)
    states = [read_checkpoint(tmp_path / name / "last.pt")["backbone"] for name in "ab"]
    assert differing(*states) == []


def test_a_checkpoint_that_cannot_be_written_at_all(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_checkpoint(tmp_path / "nowhere" / "last.pt", {})


class Deadly(MadeFaces):
    """Kills the worker that reads the photo."""

    deadly = True

    def read(self, index: int) -> Image:
        if self.deadly and index == 40 and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(index)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_killed_worker_is_an_error_from_which_it_goes_on(tmp_path: Path) -> None:
    faces = Deadly()
    config = made_config(tmp_path / "b", "data.workers=1", *EVERY_STEP)
    with pytest.raises(TrainError, match="a worker that reads photos ended"):
        fit(config, faces=faces)
    faces.deadly = False
    assert resume(tmp_path / "b", faces=faces).step == 8


def test_the_log_learns_columns_as_they_come(tmp_path: Path) -> None:
    log = Log(tmp_path, csv=True, tensorboard=False)
    log.add({"epoch": 1, "step": 1, "loss": 0.1})
    log.add({"epoch": 1, "step": 2, "loss": 0.30000000000000004, "verify_auc": 0.5})
    log.add({"epoch": 2, "step": 3, "loss": 1e-12})
    log.close()
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[0] == "epoch,step,lr,loss,grad_norm,photos_per_s,verify_auc"
    assert lines[3] == "2,3,,1e-12,,,"
    again = Log(tmp_path, csv=True, tensorboard=False, resumed_at=2)
    assert again.rows == log.rows[:2]
    again.add({"epoch": 1, "step": 3, "loss": 7.0})
    assert read_log(tmp_path / "log.csv") == [*log.rows[:2], {"epoch": 1, "step": 3, "loss": 7.0}]

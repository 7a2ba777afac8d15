"""A run: steps, checkpoints, verification, until it is done, stopped, or has diverged.

    batch -> backbone -> gather -> loss (+ teacher's term) -> backward -> clip -> optimizer -> EMA

``fit`` is all of it. What a run is stands in ``config``; everything that it draws by chance comes
from the seed, and everything that it needs to go on is in ``last.pt``: a run that was stopped and
resumed ends with the same weights, to the bit, as one that was not.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from lineament.errors import MissingExtraError, OptionError

try:
    import torch
except ImportError as error:
    raise MissingExtraError("training", "train") from error

from lineament.train.backbones.backbone import Backbone
from lineament.train.config import TrainConfig, absolute_paths, save_config
from lineament.train.data import FaceSet, open_faces
from lineament.train.data.crops import Batch, worker_errors
from lineament.train.data.face_set import notes_of
from lineament.train.losses.loss import Loss
from lineament.train.model.checkpoint import (
    CONFIG,
    LAST,
    rebuilt,
    run_config,
)
from lineament.train.run._components import Components
from lineament.train.run._distributed import World, world_of
from lineament.train.run._log import Log, Row, Window, draw_figures
from lineament.train.run._state import (
    Best,
    RunState,
    check_state,
    open_run_folder,
    restore_state,
    save_best,
    save_state,
    seed_all,
)
from lineament.train.run._step import Stepper
from lineament.train.run._verification import hold_out, open_verification, without_leaks

DRAW_EVERY_S = 30.0
"""Between two drawings of the curves while the run goes; each takes a second."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        step: optimizer steps done, of ``steps``.
        epoch: epochs begun, of ``epochs`` (1 to epochs).
        loss: of the last step.
        learning_rate: of the last step.
        photos_per_s: lately.
        verified: the last figures of verification.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    learning_rate: float
    photos_per_s: float
    verified: dict[str, float]


@dataclass(frozen=True, eq=False)
class Run:
    """What ``fit`` made.

    Attributes:
        folder: with config.toml, last.pt, best.pt, log.csv, curves.png.
        config: as it was run.
        history: the rows of log.csv.
        verified: (step, figures) of each verification.
        best: what best.pt holds; None before the first.
        step: optimizer steps done, of ``steps``.
        steps: of the whole run.
        stopped: whether it was asked to stop before its end; ``resume`` goes on.
        backbone: the network as it is now, in evaluation mode: with EMA the mean of its weights.
        loss: with its parameters; None where labels were not used.
        people: names of the training people, in the order of the labels.
        leaks: for each evaluation set the people that are in the training set.
        seconds: that it took, since it was last begun.
    """

    folder: Path
    config: TrainConfig
    history: list[Row]
    verified: list[tuple[int, dict[str, float]]]
    best: Best | None
    step: int
    steps: int
    stopped: bool
    backbone: Backbone
    loss: Loss | None
    people: tuple[str, ...]
    leaks: dict[str, Any]
    seconds: float


def fit(
    config: TrainConfig,
    *,
    faces: FaceSet | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Run:
    """Train. Seeds PyTorch's, NumPy's and Python's global generators.

    SIGINT, SIGTERM and SIGHUP end it after the step at hand, with ``last.pt`` written; a second
    SIGINT ends it at once.

    Args:
        config: what to do; ``run.out`` must be given, and ``data.path`` unless ``faces`` is.
        faces: the training set; None opens ``data.path``.
        resume: go on from ``run.out``'s last checkpoint; without one there the run begins anew.
        progress: called after every step, in the first process.
        note: called with sentences for the user, in the first process.

    Raises:
        OptionError: an option that makes no sense, or a folder that holds a run already.
        DataError: photos or pairs are missing or unreadable.
        CheckpointError: a checkpoint is damaged, of another set-up, or cannot be written.
        DivergedError: a loss or gradient is no finite number; the batch is in ``nan-batch.txt``.
        TrainError: a worker or another process ended.
    """
    if config.run.out == "":
        raise OptionError(
            "expected the folder to write the run to; set it, or give --out", option="run.out"
        )
    if faces is None and config.data.path == "":
        raise OptionError("expected the training photos; set it", option="data.path")
    config = absolute_paths(config)
    threads, exact = torch.get_num_threads(), torch.backends.cudnn.deterministic
    try:
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        torch.backends.cudnn.deterministic = True  # or a resumed run would not be the same
        with world_of(config.run.device) as world, worker_errors():
            notify = note if note is not None and world.first else _nothing
            try:
                training = _Training(config, world, faces, notify, resume)
            except BaseException:
                with suppress(OSError):  # a run that never began leaves no empty folder behind
                    Path(config.run.out).rmdir()
                raise
            try:
                return training.run(progress if world.first else None)
            finally:
                training.close()
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = exact


def resume(
    folder: str | os.PathLike[str],
    *,
    faces: FaceSet | None = None,
    progress: Callable[[Progress], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Run:
    """Go on with the run in a folder, as it was configured; see ``fit``.

    Raises:
        CheckpointError: there is no run in the folder.
    """
    config = run_config(folder).changed(run={"out": str(folder)})
    return fit(config, faces=faces, resume=True, progress=progress, note=note)


def _nothing(text: str) -> None:
    del text


class _Training:
    """A run that goes on."""

    def __init__(
        self,
        config: TrainConfig,
        world: World,
        faces: FaceSet | None,
        note: Callable[[str], None],
        resume: bool,
    ) -> None:
        self.config, self.world, self.note = config, world, note
        self.folder = Path(config.run.out)
        saved = open_run_folder(self.folder, resume, world, note)
        if faces is None:
            faces = open_faces(config.data.path, least_photos=config.data.least_photos)
        for text in notes_of(faces):
            note(text)
        self.verification = open_verification(config.verify)
        self.faces, self.leaks = without_leaks(faces, config.leakage, self.verification, note)
        if config.verify.people > 0:
            self.faces, self.verification = hold_out(
                self.faces, config.verify.people, config.run.seed
            )
        for text in () if self.verification is None else self.verification.notes:
            note(text)
        seed_all(config.run.seed)
        if saved is not None:
            check_state(saved, self.folder, config, self.faces, world)
        old = None
        if saved is not None:
            old = rebuilt(saved.origin, saved.backbone, self.folder / LAST), saved.origin
        self.components = Components(config, world, self.faces, note, old)
        # Until here all processes drew alike, and have the same network. From here on each draws
        # for its own photos (dropout).
        seed_all(config.run.seed + 1_000_003 * (world.rank + 1))
        self.at = RunState()
        if saved is not None:
            self.at = restore_state(saved, self.folder, self.components, world, note)
        self.stepper = Stepper(config, world, self.components)
        self.stepper.skipped = self.at.skipped
        self.components.remember_teacher(self.folder, resumed=saved is not None)
        self.drawn = time.monotonic()
        self.log: Log | None = None
        if world.first:
            save_config(config, self.folder / CONFIG)
            self.log = Log(
                self.folder,
                csv=config.log.csv,
                tensorboard=config.log.tensorboard,
                resumed_at=None if saved is None else self.at.step,
            )

    def run(self, progress: Callable[[Progress], None] | None) -> Run:
        """Steps to the end, or until it is asked to stop."""
        started = time.perf_counter()
        at, components = self.at, self.components
        stopped = False
        with _stop_requests() as asked:
            if at.step >= components.steps:
                self.note(f"the run is done: {at.step} of {components.steps} steps")
            while at.step < components.steps and not stopped:
                components.mode.train()
                stopped = self._epoch(asked, progress)
        if stopped:
            self.note(
                f"stopped after step {at.step} of {components.steps}; --resume goes on from there"
            )
        self._draw()
        components.backbone.eval()
        return Run(
            folder=self.folder,
            config=self.config,
            history=[] if self.log is None else self.log.rows,
            verified=at.verified,
            best=at.best,
            step=at.step,
            steps=components.steps,
            stopped=stopped,
            backbone=components.trained_network().eval(),
            loss=components.loss,
            people=tuple(self.faces.people),
            leaks=self.leaks,
            seconds=time.perf_counter() - started,
        )

    def close(self) -> None:
        """End the loader's workers, and write what the log holds back."""
        self.components.loader.close()
        if self.log is not None:
            self.log.close()

    def _epoch(
        self, asked: Callable[[], bool], progress: Callable[[Progress], None] | None
    ) -> bool:
        """Steps to the end of an epoch or of the run; True when it was asked to stop."""
        at, components = self.at, self.components
        epoch, known = at.epoch, len(components.crops.notes)
        if at.done_batches == 0 and not components.sharded:
            # Computed alike by all; but GPUs may add in another order, and would drift apart.
            for part in (components.loss, components.distillation):
                if part is not None:
                    self.world.equalize([*part.parameters(), *part.buffers()])
        plan = components.sampler.batches(epoch)
        batches = _apart(components.loader.epoch(epoch, skip=at.done_batches))
        try:
            while at.epoch == epoch and at.step < components.steps:
                clock = time.perf_counter()
                wanted = plan[at.done_batches :][: self.config.optimizer.accumulate]
                group = [(next(batches), numbers) for numbers in wanted]
                figures = self.stepper.take(group, at.step, epoch)
                at.step += 1
                at.done_batches += len(group)
                at.skipped = self.stepper.skipped
                photos = sum(len(numbers) for numbers in wanted)
                at.window.add(figures, photos, time.perf_counter() - clock)
                at.epoch_loss.add({"loss": figures["loss"]}, photos, 0.0)
                if self._after_step(progress, figures, self.world.any(asked())):
                    return True
        finally:
            batches.close()
        for text in components.crops.notes[known:]:
            self.note(text)
        return False

    def _after_step(
        self,
        progress: Callable[[Progress], None] | None,
        figures: dict[str, float],
        stop: bool,
    ) -> bool:
        """Verify, log, save and report progress; True when the run shall stop here."""
        config, at, components = self.config, self.at, self.components
        ends_epoch = at.done_batches >= components.batches_per_epoch
        ends = at.step >= components.steps
        stop = stop and not ends
        epoch = at.epoch + 1
        done_epochs = at.epoch + at.done_batches / components.batches_per_epoch
        if ends_epoch:
            at.epoch, at.done_batches = epoch, 0
        row: Row = {}
        if self._due(config.verify.every, config.verify.unit, ends_epoch) or ends:
            row |= self._verify(done_epochs)
        if self.verification is None and (ends_epoch or ends):
            self._keep_best("loss", at.epoch_loss.mean().get("loss", np.inf), done_epochs)
        if ends_epoch:
            at.epoch_loss = Window()
        speed = at.window.photos_per_s()
        if row or at.step % config.log.every == 0 or at.step == 1 or ends:
            row = at.window.mean() | {"photos_per_s": round(speed, 1)} | row
            at.window = Window()
            if self.log is not None:
                self.log.add({"epoch": epoch, "step": at.step, **row})
                if time.monotonic() - self.drawn > DRAW_EVERY_S:
                    self._draw()
        if self._due(config.checkpoint.every, config.checkpoint.unit, ends_epoch) or ends or stop:
            save_state(self.folder, at, components, self.world)
        if progress is not None:
            progress(
                Progress(
                    step=at.step,
                    steps=components.steps,
                    epoch=epoch,
                    epochs=components.epochs,
                    loss=figures["loss"],
                    learning_rate=figures["lr"],
                    photos_per_s=speed,
                    verified=at.verified[-1][1] if at.verified else {},
                )
            )
        return stop

    def _due(self, every: int, unit: str, ends_epoch: bool) -> bool:
        if every == 0:
            return False
        if unit == "steps":
            return self.at.step % every == 0
        return ends_epoch and self.at.epoch % every == 0

    def _verify(self, done_epochs: float) -> Row:
        """Verify in the first process; the others wait for what it says."""
        if self.verification is None:
            return {}
        figures: dict[str, float] = {}
        if self.world.first:
            network = self.components.trained_network().eval()
            figures = self.verification.measure(network, self.world.device)
        self.components.mode.train()
        figures = self.world.from_first(figures)
        self.at.verified.append((self.at.step, figures))
        self._keep_best(self.config.verify.best, figures[self.config.verify.best], done_epochs)
        return {f"verify_{name}": value for name, value in figures.items()}

    def _keep_best(self, figure: str, value: float, done_epochs: float) -> None:
        best = self.at.best
        if best is not None and best.figure == figure:
            better = value < best.value if figure == "loss" else value > best.value
            if not better:
                return
        self.at.best = Best(figure, value, self.at.step, done_epochs)
        if self.world.first:
            save_best(self.folder, self.at.best, self.components)

    def _draw(self) -> None:
        if self.log is not None and self.config.log.curves:
            draw_figures(self.folder, self.log.rows, self._title())
        self.drawn = time.monotonic()

    def _title(self) -> str:
        labels = self.components.loss is not None
        what = self.config.loss.name if labels else self.config.teacher.name
        return f"{self.components.origin.name}, {what}"


def _apart(batches: Iterator[Batch]) -> Any:
    """The same batches; what the loader draws from PyTorch's generator is given back.

    It draws once where an epoch's batches begin, hence once more in a run that resumes amid one.
    """
    try:
        while True:
            state = torch.get_rng_state()
            batch = next(batches, None)
            torch.set_rng_state(state)
            if batch is None:
                return
            yield batch
    finally:
        batches.close()  # type: ignore[attr-defined]


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the signals that end a process into a request to stop.

    These are SIGINT, SIGTERM and SIGHUP; a second SIGINT is a KeyboardInterrupt.

    Yields:
        A function that says whether a stop was requested.
    """
    asked = False
    process = os.getpid()

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if os.getpid() != process:  # a worker of the loader: its parent ends it
            return
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP, nohup ignores it
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    stack.callback(signal.signal, number, signal.signal(number, ask))
        yield lambda: asked

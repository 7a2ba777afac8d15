"""Photos as tensors: the data set, and the loader that feeds one process of a run.

Items hold the photo twice: augmented, for the network that learns, and plain, for a teacher
that shall see it undisturbed. What an item is depends on (seed, epoch, number of the photo)
only, and the order of batches on (seed, epoch), so any number of workers gives the same run.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lineament.errors import DataError, LineamentError, MissingExtraError, OptionError, TrainError
from lineament.machine import raise_if_short
from lineament.train.data.augment import Augment, augment, resized
from lineament.train.data.face_set import FaceSet, notes_of
from lineament.train.data.samplers import Sampler, share

try:
    import torch
    from torch.utils.data import DataLoader, Dataset
except ImportError as error:
    raise MissingExtraError("training", "train") from error

import cv2
import numpy as np

from lineament.types import IntArray

_Key = tuple[int, int, int]
"""Epoch, number of the photo, how often it came before in this epoch."""


class Item(NamedTuple):
    """One photo.

    Attributes:
        augmented: (3, S, S) uint8 RGB.
        plain: (3, S, S) uint8 RGB.
        label: of its person.
        number: its place in the set.
    """

    augmented: torch.Tensor
    plain: torch.Tensor
    label: int
    number: int


class Batch(NamedTuple):
    """One process's part of a global batch.

    Attributes:
        augmented: (B, 3, S, S) uint8 RGB.
        plain: (B, 3, S, S) uint8 RGB.
        labels: (B,) int64.
        indices: (B,) int64, numbers in the set; ``FaceSet.name`` says what they are called.
    """

    augmented: torch.Tensor
    plain: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor


class Crops(Dataset[Item]):
    """The photos of a set, of one size, augmented."""

    def __init__(
        self, faces: FaceSet, size_px: int, augment: Augment | None = None, seed: int = 0
    ) -> None:
        """Choose what happens to the photos.

        Args:
            faces: the set.
            size_px: side of the crops; photos of another size are resized, and ``notes`` says
                so once one was met.
            augment: None is ``Augment()``.
            seed: of the augmentation, 0 or more.

        Raises:
            OptionError: a size or seed that makes no sense.
        """
        for what, value, least in (("size_px", size_px, 1), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise OptionError(
                    f"expected a whole number of {least} or more, got {value!r}", option=what
                )
        self.faces = faces
        self.size_px = size_px
        self.augment = Augment() if augment is None else augment
        self.seed = seed
        self.epoch = 0
        self._labels = np.asarray(faces.labels)
        # (height, width) of the first photo of another size, seen by all workers.
        self._other_hw = torch.zeros(2, dtype=torch.int64)
        self._other_hw.share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch ``crops[i]`` is of; the loader says so by itself."""
        self.epoch = epoch

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences, so far: on the set, and whether photos were resized."""
        height, width = self._other_hw.tolist()
        if not height:
            return notes_of(self.faces)
        return (
            *notes_of(self.faces),
            f"there are photos of {width} x {height} pixels; they are resized to "
            f"{self.size_px} x {self.size_px}. Recognizers expect aligned crops: `lineament align "
            "FOLDER --people --out DIR` makes them",
        )

    def __len__(self) -> int:
        """The number of photos."""
        return len(self.faces)

    def __getitem__(self, index: int) -> Item:
        """A photo of the present epoch. Raises DataError where it cannot be read."""
        return self.item(self.epoch, index, 0)

    def item(self, epoch: int, index: int, again: int) -> Item:
        """A photo as it is in an epoch.

        Args:
            epoch: 0 or more.
            index: number of the photo.
            again: how often it came before in this epoch: every time it is augmented differently.

        Raises:
            DataError: it cannot be read.
        """
        if not 0 <= index < len(self):
            raise OptionError(f"expected 0 to {len(self) - 1}, got {index}", option="index")
        image = self.faces.read(index)
        plain = resized(image, self.size_px)
        if plain is not image:
            height, width = image.shape[:2]
            self._other_hw[1] = width
            self._other_hw[0] = height  # last: it says that there is one
        changed = augment(plain, self.augment, (self.seed, epoch, index, again))
        first, second = (
            torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C", copy=True))
            for picture in (changed, plain)
        )
        return Item(first, second, int(self._labels[index]), index)


class Loader:
    """The batches of one process, epoch by epoch."""

    def __init__(
        self,
        crops: Crops,
        batches: Sampler,
        *,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        ahead: int = 2,
    ) -> None:
        """Set up; workers start with the first epoch and stay until ``close``.

        Args:
            crops: the photos.
            batches: what makes the global batches.
            workers: processes that read and augment; 0 does both in this process.
            rank, world: number of this process, and how many there are: it gets the ``rank``-th
                contiguous part of each global batch.
            ahead: batches that each worker prepares in advance.

        Raises:
            OptionError: a number makes no sense, or batches cannot be divided by the processes.
        """
        for what, value, least in (("workers", workers, 0), ("ahead", ahead, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise OptionError(
                    f"expected a whole number of {least} or more, got {value!r}", option=what
                )
        share(np.zeros(batches.batch, np.int64), rank, world)
        self.crops = crops
        self.batches = batches
        self.workers = workers
        self._rank, self._world, self._ahead = rank, world, ahead
        self._plan = _Plan()
        self._loader: DataLoader[Any] | None = None

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.batches)

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch.

        Args:
            epoch: 0 or more.
            skip: batches at its beginning that were had before: those after it are the same ones.

        Raises:
            DataError: a photo cannot be read; the message names it.
            TrainError: a worker was killed, or could not start.
        """
        self.crops.set_epoch(epoch)
        self._plan.keys = self._keys(epoch)[skip:]
        if self._loader is None:
            self._loader = self._make()
        finished = False
        try:
            with worker_errors():
                for made in _made(self._loader):
                    if isinstance(made, _Failed):
                        raise DataError(made.message)
                    yield made
            finished = True
        finally:
            if not finished:  # workers may still be at this epoch's batches
                self.close()

    def close(self) -> None:
        """Stop the workers; the next epoch starts new ones."""
        loader, self._loader = self._loader, None
        running = getattr(loader, "_iterator", None)
        if running is not None:
            with contextlib.suppress(RuntimeError, AttributeError):
                running._shutdown_workers()

    def _keys(self, epoch: int) -> list[list[_Key]]:
        """For each batch the keys of this process's photos."""
        batches = self.batches.batches(epoch)
        if not batches:
            return []
        whole = np.concatenate(batches)
        again = np.split(_times_before(whole), np.cumsum([len(batch) for batch in batches])[:-1])
        return [
            [
                (epoch, index, before)
                for index, before in zip(
                    share(batch, self._rank, self._world).tolist(),
                    share(times, self._rank, self._world).tolist(),
                    strict=True,
                )
            ]
            for batch, times in zip(batches, again, strict=True)
        ]

    def _make(self) -> DataLoader[Any]:
        more: dict[str, Any] = {}
        if self.workers:
            more = {
                "persistent_workers": True,
                "prefetch_factor": self._ahead,
                "worker_init_fn": _start_worker,
                "multiprocessing_context": _context(),
            }
        return DataLoader(
            _Keyed(self.crops),
            batch_sampler=self._plan,
            num_workers=self.workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # it would draw from the global one otherwise
            **more,
        )


def loader(
    crops: Crops, batches: Sampler, workers: int = 0, rank: int = 0, world: int = 1
) -> Loader:
    """The batches of process ``rank`` of ``world``; see ``Loader``."""
    return Loader(crops, batches, workers=workers, rank=rank, world=world)


@contextlib.contextmanager
def worker_errors() -> Iterator[None]:
    """What PyTorch raises about dead workers, as TrainError.

    PyTorch does so from a signal handler, at whatever point the program is: put the steps of a run
    in this too, not only the loop over batches.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, LineamentError):
            raise
        text = str(error)
        if "DataLoader" not in text and "bus error" not in text:
            raise_if_short(error, "for a step of training")
            raise
        raise _killed(error) from error
    except (OSError, MemoryError) as error:
        if isinstance(error, OSError) and "allocate" not in str(error):
            raise
        raise TrainError(
            f"workers that read photos cannot start ({error}): use fewer of them"
        ) from error


class _Failed(NamedTuple):
    """Stands for a batch of which a photo could not be read."""

    message: str


class _Plan:
    """The batches to come; DataLoader's batch sampler, which it asks anew for each epoch."""

    def __init__(self) -> None:
        self.keys: list[list[_Key]] = []

    def __iter__(self) -> Iterator[list[_Key]]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


class _Keyed(Dataset[Any]):
    """Makes a whole batch from its keys; errors become values, since PyTorch would rewrite them."""

    def __init__(self, crops: Crops) -> None:
        self.crops = crops

    def __getitems__(self, keys: Sequence[_Key]) -> Batch | _Failed:
        try:
            items = [self.crops.item(*key) for key in keys]
        except LineamentError as error:
            return _Failed(str(error))
        return Batch(
            torch.stack([item.augmented for item in items]),
            torch.stack([item.plain for item in items]),
            torch.tensor([item.label for item in items], dtype=torch.int64),
            torch.tensor([item.number for item in items], dtype=torch.int64),
        )


def _as_it_is(made: Any) -> Any:
    return made


def _start_worker(_number: int) -> None:
    cv2.setNumThreads(0)  # threads do not survive a fork, and workers share the cores anyway


def _context() -> Any:
    # Where processes fork, users' scripts need no `if __name__ == "__main__"`.
    methods = multiprocessing.get_all_start_methods()
    forks = "fork" in methods and sys.platform.startswith("linux")
    return multiprocessing.get_context("fork" if forks else None)


def _made(loader: DataLoader[Any]) -> Iterator[Any]:
    """Its batches; without the advice on forking, and on the number of workers, at the start."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        batches = iter(loader)
    while True:
        try:
            made = next(batches)
        except StopIteration:
            return
        except (ConnectionError, EOFError, FileNotFoundError) as error:
            # A batch's memory is fetched from the worker that made it, which is no more.
            raise _killed(error) from error
        yield made


def _killed(error: Exception) -> TrainError:
    return TrainError(
        f"a worker that reads photos ended before its work was done ({str(error).strip()}); "
        "it was killed, or memory ran out: use fewer workers or smaller batches, then resume"
    )


def _times_before(values: IntArray) -> IntArray:
    """For each value how often it stands before it: [7, 9, 7, 7] -> [0, 0, 1, 2]."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(ordered)])
    counts = np.empty(len(values), np.int64)
    counts[order] = np.arange(len(values)) - np.repeat(starts, lengths)
    return counts

"""The teacher, whose embeddings a student learns: a bundled recognizer, or a run."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lineament import models
from lineament.embed import Embedder, load_embedder
from lineament.errors import OptionError, UnknownWeightsError
from lineament.files import open_regular
from lineament.models.runtime import Runtime
from lineament.train.backbones.backbone import Backbone
from lineament.types import FloatArray

CACHE_BYTES = 4 << 30
"""Embeddings of plain crops are kept in memory up to this: 2 million photos in 512-D."""


class Teacher(Protocol):
    """Crops -> embeddings, without gradients."""

    dimension: int

    def embed(self, crops: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 RGB -> (N, D) float32 of length 1, on the crops' device."""


class BundledTeacher:
    """A recognizer by name, run by the pipeline's own engine."""

    def __init__(self, embedder: Embedder) -> None:
        """Take a recognizer that is loaded."""
        self._embedder = embedder
        self.dimension = embedder.contract.dimension

    def embed(self, crops: Tensor) -> Tensor:
        """See ``Teacher.embed``; crops of another size are resized."""
        images = crops.permute(0, 2, 3, 1).cpu().numpy()  # (N, S, S, 3)
        size_wh = self._embedder.size_wh
        if images.shape[2:0:-1] != size_wh:
            way = cv2.INTER_AREA if images.shape[1] > size_wh[1] else cv2.INTER_CUBIC
            images = np.stack([cv2.resize(one, size_wh, interpolation=way) for one in images])
        vectors, _ = self._embedder.embed(np.ascontiguousarray(images))
        return torch.from_numpy(vectors).to(crops.device)


class NetworkTeacher:
    """The network of a run, in PyTorch."""

    def __init__(self, backbone: Backbone, device: torch.device, *, flip: bool = False) -> None:
        """Take a network; it is put into evaluation mode, and on the device.

        With ``flip`` its outputs for the crop and its mirror image are averaged.
        """
        self._backbone = backbone.to(device).eval().requires_grad_(False)
        self._flip = flip
        self.dimension = backbone.dimension

    @torch.no_grad()
    def embed(self, crops: Tensor) -> Tensor:
        """See ``Teacher.embed``; crops of another size are resized."""
        x = crops.float()
        size = self._backbone.size_px
        if x.shape[-1] != size:
            shrinks = x.shape[-1] > size
            x = functional.interpolate(
                x, (size, size), mode="bilinear", antialias=shrinks, align_corners=False
            )
        made = self._backbone(x)  # (N, D)
        if self._flip:
            made = made + self._backbone(x.flip(3))
        return functional.normalize(made.float())


def load_teacher(name: str, device: torch.device, threads: int, *, flip: bool = False) -> Teacher:
    """Load a teacher.

    Args:
        name: a recognizer that ``lineament.models`` knows, or the folder of a run.
        device: where crops will be.
        threads: of the engine on the CPU; 0 is its own choice.
        flip: average over the crop and its mirror image; twice the time.

    Raises:
        OptionError: neither.
        CheckpointError, WeightsError: its file is damaged or refused.
    """
    if Path(name).exists():
        from lineament.train.model.checkpoint import load_run

        return NetworkTeacher(load_run(name), device, flip=flip)
    try:
        entry = models.get(name)
    except UnknownWeightsError as error:
        raise OptionError(f"{error}; or the folder of a run", option="teacher.name") from error
    if device.type == "cuda":  # the same network where the crops are
        from lineament.train.backbones.bundled import BUNDLED, load_bundled

        if name in BUNDLED:
            return NetworkTeacher(load_bundled(name), device, flip=flip)
    runtime = Runtime(threads=threads) if threads else None
    # A recognizer that joins others is defined with the mirror image.
    return BundledTeacher(load_embedder(entry, flip=flip or bool(entry.members), runtime=runtime))


class Remembered:
    """A teacher's embeddings of plain crops, each made once in a run.

    They are written beside the checkpoints: made again in another batch after a restart they could
    differ in the last bit, and a resumed run would not be equal to an unbroken one.
    """

    def __init__(self, teacher: Teacher, photos: int, path: Path, *, resumed: bool) -> None:
        """Set up.

        Args:
            teacher: makes them.
            photos: N of the training set.
            path: of the file that holds them; (N, D) float32, zeros where there is none yet.
            resumed: whether to take what the file has.
        """
        self._teacher = teacher
        self.dimension = teacher.dimension
        self._path = path
        size = photos * self.dimension * 4
        self._table = None
        if size <= CACHE_BYTES:
            self._table = np.zeros((photos, self.dimension), np.float32)
            with suppress(OSError):  # what is not there, or no file of the run's, is made again
                if resumed:
                    self._read(self._table)
                else:
                    path.unlink()

    def _read(self, table: FloatArray) -> None:
        with open_regular(self._path, inside=True) as file:
            held = np.fromfile(file, np.float32, table.size)
        table.reshape(-1)[: len(held)] = held
        # A row that was being written when the run ended has another length.
        with np.errstate(all="ignore"):  # somebody else may have written it
            fits = np.abs(np.linalg.norm(table, axis=1) - 1) <= 1e-3  # False for NaN
        table[~fits] = 0

    def embed(self, crops: Tensor, indices: Tensor) -> Tensor:
        """(N, 3, S, S) uint8 and their (N,) numbers in the training set -> (N, D) of length 1."""
        if self._table is None:
            return self._teacher.embed(crops)
        rows = indices.numpy()
        new = np.flatnonzero(~self._table[rows].any(axis=1))
        if len(new):
            made = self._teacher.embed(crops[torch.from_numpy(new).to(crops.device)])
            self._table[rows[new]] = made.cpu().numpy()
            self._write(rows[new])
        return torch.from_numpy(self._table[rows]).to(crops.device)

    def _write(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        assert self._table is not None
        try:
            if not os.path.lexists(self._path):
                self._path.open("xb").close()
            with open_regular(self._path, inside=True, writing=True) as file:
                for row in rows.tolist():
                    file.seek(row * self.dimension * 4)
                    file.write(self._table[row].tobytes())
        except OSError:  # a full disk: the checkpoint will say so; or a link in its place
            return


def clean_places(batch: int, share: float) -> Tensor:
    """Which photos of a batch the student also sees as they are; spread evenly over it.

    By the place in the global batch, so that the number of processes changes nothing. Some of them
    may have more such photos than others.

    Args:
        batch: N, photos in a global batch.
        share: 0 to 1; so many of them, rounded down.

    Returns:
        (N,) bool.
    """
    whole = (torch.arange(batch + 1, dtype=torch.float64) * share).floor()  # (N + 1,)
    return whole[1:] > whole[:-1]


class Distillation(nn.Module):
    """The teacher's term: the mean of 1 - cos(student's, teacher's embedding).

    Where the two lengths differ, a linear layer is learned from the student's to the teacher's, as
    FitNets do between layers of two widths (Romero et al., ICLR 2015).
    """

    def __init__(self, student: int, teacher: int) -> None:
        """Say how long the embeddings of both are."""
        super().__init__()
        self.projection: nn.Module = nn.Identity()
        if student != teacher:
            self.projection = nn.Linear(student, teacher, bias=False)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """(N, D), (N, T) of length 1 -> a scalar."""
        cosines = functional.cosine_similarity(self.projection(student), teacher)  # (N,)
        return (1 - cosines).mean()

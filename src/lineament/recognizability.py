"""Stage 3's last measure: how much identity a recognizer finds in a face, whatever spoiled it.

    crop_cues()              aligned crops -> what they look like in coarse cells
    Recognizability          a recognizer's own estimate: vectors, norms and crops -> 0 to 1
    recognizability_of()     the same for one embedded face; None where it was not fitted

Faces that were spoiled in one way (blurred, covered, coarse) gather in few places of the space of
embeddings, so that strangers among them look alike. How alike can be told from the place itself,
from the vector's length before scaling, and from the crop:

    t = the cosine that 5 % of the strangers reach whose photos are as bad in the same way
    recognizability = t of clean photos / t, at most 1

A network of two small layers estimates t. It was fitted on photos of LFW View 1 that were spoiled
in the ways of 84 families (``scripts/fit/recognizability.py``), and costs a few hundredths of a
millisecond.
``lineament.decide.conditions`` says what follows for decisions.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lineament import machine
from lineament.align.alignment import at_native_px
from lineament.errors import ContractError, OptionError, WeightsError
from lineament.files import sha256_of_file, write_atomically
from lineament.models.catalog import file_beside, name_by_flip
from lineament.text import reason_of
from lineament.types import Contract, Embedding, Flip, FloatArray, Image

CELLS = 7
"""Cells across a crop: 16 pixels each, about the width of an eye."""

N_CUES = 5 * CELLS * CELLS

VECTOR_SCALE = 16.0
NORM_SCALE = 4.0
"""Of the inputs, so that vectors, the norm's logarithm and cues have about the same spread."""

MOST_CUE = 6.0
"""Deviations from the mean of clean crops, beyond which a cue says no more."""

BASE, UNIT = 0.08, 0.1
"""The network's output y stands for t = BASE + UNIT * exp(y)."""


def crop_cues(crops: Image) -> FloatArray:
    """Describe crops by ``CELLS`` x ``CELLS`` cells.

    Args:
        crops: (N, S, S, 3) uint8, RGB, aligned with the five points.

    Returns:
        (N, 245) float32: of each cell the mean gray level, the logarithm of its standard deviation
        and of its detail finer than 3 pixels, and how much redder and bluer than gray it is.

    Raises:
        OptionError: crops of another shape or type.
    """
    if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
        raise OptionError(f"expected (N, S, S, 3), got {crops.shape}", option="crops")
    if crops.dtype != np.uint8:
        raise OptionError(f"expected uint8, got {crops.dtype}", option="crops")
    cues = np.empty((len(crops), 5, CELLS, CELLS), np.float32)
    for crop, row in zip(crops, cues, strict=True):
        values = at_native_px(crop).astype(np.float32) / 255
        gray = cv2.cvtColor(values, cv2.COLOR_RGB2GRAY)
        fine = gray - cv2.blur(gray, (3, 3))
        mean, color = _cells(gray), _cells(values)
        row[0] = mean
        row[1] = np.log(np.sqrt(np.maximum(_cells(gray * gray) - mean * mean, 0)) + 0.004)
        row[2] = np.log(np.sqrt(_cells(fine * fine)) + 0.001)
        row[3], row[4] = color[..., 0] - mean, color[..., 2] - mean
    return cues.reshape(len(crops), N_CUES)


def _cells(values: Any) -> Any:
    return cv2.resize(values, (CELLS, CELLS), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True, eq=False, slots=True)
class Recognizability:
    """A recognizer's own estimate.

    Attributes:
        contract: of the embeddings that it was fitted on.
        log_norm: mean of the norm's logarithm on clean photos.
        cue_mean, cue_sd: (245,) mean and standard deviation of the cues of clean photos.
        layers: matrices (I, O) and offsets (O,) of the network, the last with one output; between
            them negative values become 0.
        clean: t of clean photos.
    """

    contract: Contract
    log_norm: float
    cue_mean: FloatArray
    cue_sd: FloatArray
    layers: tuple[tuple[FloatArray, FloatArray], ...]
    clean: float

    def inputs(self, vectors: FloatArray, norms: FloatArray, crops: Image) -> FloatArray:
        """What the network sees: (N, D + 1 + 245)."""
        cues = np.clip((crop_cues(crops) - self.cue_mean) / self.cue_sd, -MOST_CUE, MOST_CUE)
        lengths = (np.log(np.maximum(norms, 1e-6)) - self.log_norm)[:, None]
        parts = (vectors * VECTOR_SCALE, lengths * NORM_SCALE, cues / 2)
        return np.concatenate(parts, axis=1).astype(np.float32)

    def of(self, vectors: FloatArray, norms: FloatArray, crops: Image) -> FloatArray:
        """Estimate the recognizability of faces.

        Args:
            vectors: (N, D) float32 of length 1.
            norms: (N,) their lengths before scaling.
            crops: (N, S, S, 3) uint8, RGB: the crops that were embedded.

        Returns:
            (N,) float32, above 0 up to 1.
        """
        return self.of_inputs(self.inputs(vectors, norms, crops))

    def of_inputs(self, inputs: FloatArray) -> FloatArray:
        """The same for what ``inputs`` returned."""
        values = inputs
        for number, (matrix, offset) in enumerate(self.layers, 1):
            values = values @ matrix + offset
            if number < len(self.layers):
                values = np.maximum(values, 0)
        alike = BASE + UNIT * np.exp(np.clip(values[:, 0], -4, 3))
        return np.minimum(1, self.clean / alike).astype(np.float32)

    # --- files ------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the file: a NumPy archive without pickles; matrices in 16 bits."""
        arrays: dict[str, Any] = {
            "head": np.array(
                json.dumps(
                    {
                        "contract": asdict(self.contract),
                        "log_norm": self.log_norm,
                        "clean": self.clean,
                        "n_layers": len(self.layers),
                    }
                )
            ),
            "cue_mean": self.cue_mean.astype(np.float32),
            "cue_sd": self.cue_sd.astype(np.float32),
        }
        for number, (matrix, offset) in enumerate(self.layers):
            arrays[f"matrix{number}"] = matrix.astype(np.float16)
            arrays[f"offset{number}"] = offset.astype(np.float32)
        target = io.BytesIO()
        np.savez_compressed(target, **arrays)
        write_atomically(path, target.getvalue())

    @classmethod
    def load(cls, path: Path) -> Recognizability:
        """Read the file. WeightsError: it is none."""
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                return cls._from(arrays)
        except Exception as error:  # a broken archive raises a dozen kinds
            machine.raise_if_short(error)
            raise WeightsError(
                f"{path}: expected an estimate of recognizability, got: {reason_of(error)}: "
                "install the package again"
            ) from error

    @classmethod
    def _from(cls, arrays: Mapping[str, Any]) -> Recognizability:
        head = json.loads(str(arrays["head"]))
        contract = Contract(**head["contract"])
        width, layers = contract.dimension + 1 + N_CUES, []
        for number in range(int(head["n_layers"])):
            matrix, offset = (arrays[f"{name}{number}"] for name in ("matrix", "offset"))
            layers.append((_checked(matrix, (width, -1)), _checked(offset, (matrix.shape[1],))))
            width = matrix.shape[1]
        if width != 1:
            raise WeightsError(f"expected one number for each face, got {width}")
        if not (math.isfinite(head["log_norm"]) and 0 < head["clean"] <= 1):
            raise WeightsError("log_norm, clean: expected a finite number, and one of 0 to 1")
        return cls(
            contract,
            float(head["log_norm"]),
            _checked(arrays["cue_mean"], (N_CUES,)),
            _checked(arrays["cue_sd"], (N_CUES,)),
            tuple(layers),
            float(head["clean"]),
        )


def _checked(values: Any, shape: tuple[int, ...]) -> FloatArray:
    """Of that shape, -1 for any length, and of finite numbers."""
    fits = values.ndim == len(shape) and all(
        wanted in (-1, n) for n, wanted in zip(values.shape, shape, strict=True)
    )
    if not fits:
        raise WeightsError(f"expected numbers of shape {shape}, got {values.shape}")
    if not np.isfinite(values).all():
        raise WeightsError("expected finite numbers, got others")
    return np.asarray(values, np.float32)


def recognizability_of(embedding: Embedding, crop: Image) -> float | None:
    """Estimate the recognizability of one face.

    Args:
        embedding: of the face.
        crop: (S, S, 3) uint8, RGB: the face as the recognizer saw it.

    Returns:
        Above 0 up to 1; None where nothing was fitted for such embeddings.
    """
    estimate = bundled(embedding.contract)
    if estimate is None:
        return None
    norms = np.array([embedding.norm], np.float32)
    return float(estimate.of(embedding.vector[None], norms, crop[None])[0])


def bundled(contract: Contract) -> Recognizability | None:
    """The package's own estimate for such embeddings, or None when it has none."""
    path = file_beside(contract, bundled_name(contract.flip))
    if path is None:
        return None
    estimate = _load_once(path)
    try:
        estimate.contract.check(contract)
    except ContractError:  # other crops
        return None
    return estimate


def bundled_sha256(contract: Contract) -> str | None:
    """The hash of that estimate's file, for caches of what it said; None: there is none."""
    path = file_beside(contract, bundled_name(contract.flip))
    return None if path is None else sha256_of_file(path).hex()


@lru_cache(maxsize=16)
def _load_once(path: Path) -> Recognizability:
    return Recognizability.load(path)


def bundled_name(flip: Flip) -> str:
    """The name of an estimate's file in its model's folder."""
    return name_by_flip("recognizability.npz", flip)

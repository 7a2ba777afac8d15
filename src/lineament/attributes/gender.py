"""Whether a face looks like those of women or of men: a probability, or "undecided".

    GenderReader          faces of a photo, and what the network of the ages says -> probabilities
    gender_of()           such a probability -> ``Gender``
    load_gender_reader()  the bundled one

The network of the ages ("age-gender") says how certain it is that a face is a man's, and errs on
women six times as often as on men. A logistic unit joins it with the embedding of "mobilefacenet-
int8", means over the face and its mirror image:

    log odds of a man = offset + weight * logit(network) + vector . embedding

It was fitted on photos of the people of LFW View 1 whose first names say it, women and men weighing
the same, and its offset is where as many women as men were mistaken (``scripts/fit/gender.py``).
What it is worth on other people: ``benchmarks/attributes.py``.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from lineament import machine, models
from lineament.align import align_faces
from lineament.attributes.age import Attributes
from lineament.attributes.results import Gender, GenderVerdict
from lineament.embed import Embedder, load_embedder
from lineament.errors import WeightsError
from lineament.files import write_atomically
from lineament.models import LicensePolicy
from lineament.models.runtime import Runtime
from lineament.text import reason_of
from lineament.types import Face, Float64Array, FloatArray, Image

MODEL = "mobilefacenet-int8"
ALIGNMENT = "arcface-112"

FILE = Path(__file__).parents[1] / "data" / "gender.npz"
NAMES = ("vector", "network", "offset")
"""The arrays of the file: (512,), (), ()."""

LEAST_PROBABILITY = 0.8
"""From which on it is said; below, of both, the verdict is "undecided"."""

_SURE = 1e-4
"""The network's certainty is taken for no nearer to 0 and 1 than this."""


@dataclass(frozen=True, eq=False, slots=True)
class GenderUnit:
    """The logistic unit.

    Attributes:
        vector: (512,) float64, for the embedding.
        network: for the network's log odds.
        offset: of the log odds.
    """

    vector: Float64Array
    network: float
    offset: float

    def man(self, male: Float64Array, vectors: Float64Array) -> Float64Array:
        """Probabilities that faces are men's.

        Args:
            male: (N, K): log odds that the network gives, of the faces and their mirror images.
            vectors: (N, 512): means of the embeddings of both.
        """
        odds = self.offset + self.network * male.mean(axis=1) + vectors @ self.vector
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -50, 50))))

    def save(self, path: Path) -> None:
        """Write the file."""
        data = io.BytesIO()
        np.savez(data, vector=self.vector, network=self.network, offset=self.offset)
        write_atomically(path, data.getvalue())


def log_odds(shares: FloatArray) -> Float64Array:
    """Log odds of shares, 0 to 1."""
    inside = np.clip(shares.astype(np.float64), _SURE, 1 - _SURE)
    return np.asarray(np.log(inside) - np.log1p(-inside))


@lru_cache(maxsize=1)
def bundled_unit() -> GenderUnit:
    """The package's own.

    Raises:
        WeightsError: its file is missing or damaged.
    """
    try:
        with np.load(FILE, allow_pickle=False) as arrays:
            vector, network, offset = (arrays[name] for name in NAMES)
    except (OSError, ValueError, KeyError) as error:
        machine.raise_if_short(error)
        raise WeightsError(
            f"{FILE.name}: expected {', '.join(NAMES)}, could not be read: {reason_of(error)}",
            hint="install the package again",
        ) from error
    return GenderUnit(vector.astype(np.float64), float(network), float(offset))


class GenderReader:
    """Says whether faces look like women's or men's. Calls from several threads are safe."""

    def __init__(self, embedder: Embedder, unit: GenderUnit) -> None:
        """``embedder``: of ``MODEL``; ``unit``: fitted on its embeddings."""
        self.embedder, self._unit = embedder, unit

    def read(self, image: Image, faces: Sequence[Face], seen: Attributes) -> Float64Array:
        """Look at faces of a photo.

        Args:
            image: (H, W, 3) uint8, RGB.
            faces: as a detector returns them.
            seen: what ``AgeEstimator.read_both`` says of them.

        Returns:
            (N,) float64, 0 to 1: the probabilities that they are men's.
        """
        return self.read_crops(align_faces(image, faces, ALIGNMENT), seen)

    def read_crops(self, crops: Image, seen: Attributes) -> Float64Array:
        """The same of faces that were cut out: (N, 112, 112, 3) uint8, RGB, as ``ALIGNMENT``."""
        sides = [seen.male] if seen.mirrored is None else [seen.male, seen.mirrored]
        odds = np.stack([log_odds(side) for side in sides], axis=1)
        return self._unit.man(odds, self.embedded(crops))

    def embedded(self, crops: Image) -> Float64Array:
        """Means of the embeddings of crops and of their mirror images: (N, 512)."""
        one, _ = self.embedder.embed(crops)
        other, _ = self.embedder.embed(np.ascontiguousarray(crops[:, :, ::-1]))
        return (one.astype(np.float64) + other) / 2


def gender_of(man: float) -> Gender:
    """A probability with its verdict."""
    verdict: GenderVerdict = "undecided"
    if man >= LEAST_PROBABILITY:
        verdict = "man"
    elif 1 - man >= LEAST_PROBABILITY:
        verdict = "woman"
    return Gender(verdict, 1 - man, man)


def load_gender_reader(
    *, runtime: Runtime | None = None, policy: LicensePolicy | None = None
) -> GenderReader:
    """Load the network of the embeddings, and the unit.

    Args:
        runtime: engine, device and threads; None asks the environment.
        policy: which licenses may be used; None asks the environment.

    Raises:
        WeightsError: a file is missing, damaged or refused.
    """
    card = models.get(MODEL)
    embedder = load_embedder(card, flip=False, alignment=ALIGNMENT, runtime=runtime, policy=policy)
    return GenderReader(embedder, bundled_unit())

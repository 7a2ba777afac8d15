"""A vector, and how it was made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from lineament.errors import ContractError, OptionError
from lineament.results import Outcome
from lineament.text import in_short, printable
from lineament.types._arrays import FloatArray, as_array, frozen

MOST_DIMENSIONS = 1 << 16
"""Of an embedding: the largest of published networks have 4,096."""
_HEX = frozenset("0123456789abcdef")


Flip = bool | Literal["concatenate"]
"""What is made of the crop and its mirror image: nothing, the mean, or both one after the other."""

FlipOption = Flip | Literal["none", "mean"]


def flip_of(option: FlipOption) -> Flip:
    """Return the value of an option: "none" is False, "mean" is True.

    Raises:
        OptionError: it is none of these.
    """
    if isinstance(option, bool) or option == "concatenate":
        return option
    if option not in ("none", "mean"):
        raise OptionError(
            f"expected none, mean or concatenate, or true or false, got {option!r}", option="flip"
        )
    return option == "mean"


FOREIGN = "foreign"
"""How the alignment of embeddings begins that another package made: nothing here can make more."""


@dataclass(frozen=True, slots=True)
class Contract(Outcome):
    """How an embedding was made. Two embeddings can be compared when their contracts are equal.

    Attributes:
        weights: name of the recognizer's weights, for people to read.
        weights_sha256: of the weights file: what counts.
        alignment: how the crop was made, for example "arcface-112".
        color_order: of the crop that the network saw.
        flip: whether the embedding is the mean over the crop and its mirror image; or
            "concatenate": both one after the other, twice as long.
        dimension: length of the vector.
    """

    weights: str
    weights_sha256: str
    alignment: str
    color_order: Literal["rgb", "bgr", "gray"]
    flip: Flip
    dimension: int

    def __post_init__(self) -> None:
        """Validate; OptionError says what is wrong."""
        object.__setattr__(self, "flip", flip_of(self.flip))
        for what in ("weights", "alignment"):
            text = getattr(self, what)
            if not isinstance(text, str) or not 0 < len(text) <= 300 or printable(text) != text:
                raise OptionError(
                    f"expected 1 to 300 characters that can be printed, got {in_short(text)}",
                    option=what,
                )
        digest = self.weights_sha256
        if not isinstance(digest, str) or len(digest) != 64 or set(digest) - _HEX:
            raise OptionError(
                f"expected 64 digits 0 to 9 and a to f, got {in_short(digest)}",
                option="weights_sha256",
            )
        if self.color_order not in ("rgb", "bgr", "gray"):
            raise OptionError(
                f"expected rgb, bgr or gray, got {in_short(self.color_order)}", option="color_order"
            )
        if type(self.dimension) is not int or not 1 <= self.dimension <= MOST_DIMENSIONS:
            raise OptionError(
                f"expected 1 to {MOST_DIMENSIONS:,}, got {in_short(self.dimension)}",
                option="dimension",
            )

    @property
    def is_foreign(self) -> bool:
        """Whether another package made the embeddings: photos cannot be embedded in this way."""
        return self.alignment.startswith(FOREIGN)

    @property
    def id(self) -> str:
        """Short name, for files: equal contracts have equal ids."""
        flip = self.flip if isinstance(self.flip, str) else ("flip" if self.flip else "plain")
        name = f"{self.weights}-{self.weights_sha256[:12]}"
        return f"{name}-{self.alignment}-{self.color_order}-{flip}-{self.dimension}"

    def __repr__(self) -> str:
        """In short: ``id``."""
        return f"Contract({self.id})"

    def check(self, other: Contract) -> None:
        """Raise ContractError, naming what differs, unless ``other`` is the same contract."""
        mine, theirs = asdict(self), asdict(other)
        differing = [key for key in mine if key != "weights" and mine[key] != theirs[key]]
        if differing:
            what = ", ".join(f"{key} {mine[key]} and {theirs[key]}" for key in differing)
            raise ContractError(
                f"expected two embeddings made in the same way, got {self.weights} and "
                f"{other.weights} with different {what}: embed both photos again with the "
                "same recognizer and options"
            )


@dataclass(frozen=True, eq=False, slots=True)
class Embedding(Outcome):
    """What a recognizer makes of one face.

    ``np.asarray(embedding)`` is its vector, ``a @ b`` and ``a.similarity(b)`` are the cosine of
    two. Embeddings that were made in different ways are refused there. Equality is identity: two
    photos never give equal numbers, so compare by similarity.

    Attributes:
        vector: (D,) float32 of length 1.
        norm: length of the network's output before it was scaled to 1. Poor photos (small,
            blurred, turned, covered) tend to have short ones; comparable within a contract only.
        contract: how it was made.
    """

    vector: FloatArray
    norm: float
    contract: Contract

    def __post_init__(self) -> None:
        """Validate, and make the vector read-only; OptionError says what is wrong."""
        vector = frozen(self.vector, (self.contract.dimension,), "vector")
        with np.errstate(over="ignore"):  # then it is infinite
            length = float(np.linalg.norm(vector))
        if abs(length - 1) > 1e-3:
            raise OptionError(f"expected length 1, got {length:.4f}", option="vector")
        if not (np.isfinite(self.norm) and self.norm > 0):
            raise OptionError(f"expected a finite number above 0, got {self.norm}", option="norm")
        object.__setattr__(self, "vector", vector)
        object.__setattr__(self, "norm", float(self.norm))

    def similarity(self, other: Embedding) -> float:
        """Return the cosine of two embeddings, -1 to 1; higher is more alike.

        Raises:
            ContractError: they were made in different ways.
            OptionError: no embedding.
        """
        if not isinstance(other, Embedding):
            raise OptionError(f"expected an Embedding, got {type(other).__name__}", option="other")
        self.contract.check(other.contract)
        return float(np.clip(self.vector @ other.vector, -1, 1))

    @overload
    def __matmul__(self, other: Embedding) -> float: ...
    @overload
    def __matmul__(self, other: npt.NDArray[Any]) -> Any: ...
    def __matmul__(self, other: object) -> Any:
        """With an embedding as ``similarity``; with an array (D,) or (D, N) as the vector does."""
        if isinstance(other, Embedding):
            return self.similarity(other)
        return self.vector @ other if isinstance(other, np.ndarray) else NotImplemented

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """For NumPy: the vector, (D,) float32."""
        return as_array(self.vector, dtype, copy)

    def __len__(self) -> int:
        """The dimension, D."""
        return len(self.vector)

    def __repr__(self) -> str:
        """In short."""
        contract = self.contract
        return f"Embedding({contract.weights}, {len(self)} dimensions, norm {self.norm:.3g})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: all numbers of the vector, too."""
        return {
            "vector": [float(f"{v:.9g}") for v in self.vector],  # enough for float32
            "norm": round(self.norm, 4),
            "contract": asdict(self.contract),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One row: weights, norm, and the vector in one cell."""
        return [{"weights": self.contract.weights, "norm": self.norm, "vector": self.vector}]

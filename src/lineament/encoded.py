"""Embeddings of many photos as one matrix, with what became of every photo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lineament.errors import LineamentError, OptionError
from lineament.results import Outcome
from lineament.text import counted
from lineament.types import BoolArray, Contract, Embedding, FloatArray, IntArray


@dataclass(frozen=True, eq=False, slots=True)
class Encoded(Outcome):
    """N photos, and the embeddings of those M that have one; from ``Recognizer.encode``.

    Where every photo has one, ``np.asarray(encoded)`` is the matrix (N, D). Where one failed, that
    raises: a matrix with fewer rows than photos would shift all labels behind the gap, and a row of
    NaN is the "most alike" one for ``np.argmax``. Choose then:

    - ``encoded.vectors`` (M, D), beside ``labels[encoded.ok]``;
    - ``encoded.filled(0)`` (N, D), with a row of your own for those that failed;
    - ``encoded.errors`` says why.

    Attributes:
        vectors: (M, D) float32 of length 1.
        norms: (M,) float32: lengths before they were scaled to 1.
        rows: (M,) int64: the numbers of their photos, ascending.
        sources: names of all N photos.
        errors: what was wrong, by number of the photo; {} when nothing was.
        contract: how they were made.
    """

    vectors: FloatArray
    norms: FloatArray
    rows: IntArray
    sources: tuple[str, ...]
    errors: Mapping[int, LineamentError]
    contract: Contract

    def __post_init__(self) -> None:
        """Make the arrays read-only; OptionError says what does not fit."""
        found, failed = self.rows.tolist(), sorted(self.errors)
        if self.vectors.shape != (len(found), self.contract.dimension):
            raise OptionError(
                f"expected shape {(len(found), self.contract.dimension)}, got {self.vectors.shape}",
                option="vectors",
            )
        if len(self.norms) != len(found) or sorted(found + failed) != list(range(len(self))):
            raise OptionError(
                f"expected a norm for each row, and each of {len(self)} photos once in rows and "
                "errors",
                option="rows",
            )
        for array in (self.vectors, self.norms, self.rows):
            array.flags.writeable = False

    @property
    def ok(self) -> BoolArray:
        """(N,) bool: which photos have an embedding."""
        mask = np.zeros(len(self), np.bool_)
        mask[self.rows] = True
        return mask

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return len(self), self.contract.dimension

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Of the vectors: float32."""
        return np.dtype(np.float32)

    def filled(self, value: float = float("nan")) -> FloatArray:
        """(N, D) float32: the rows of photos that failed hold ``value`` everywhere."""
        matrix = np.full(self.shape, value, np.float32)
        matrix[self.rows] = self.vectors
        return matrix

    def raise_for_errors(self) -> None:
        """Return if every photo has an embedding.

        Raises:
            OptionError: one has none; the message names the first, and the ways out.
        """
        if not self.errors:
            return
        number = min(self.errors)
        raise OptionError(
            f"{len(self.errors):,} of {len(self):,} photos have no embedding, the first at "
            f"{number} ({self.errors[number]})",
            hint="; take encoded.vectors with encoded.ok, or encoded.filled(value)",
        ) from self.errors[number]

    def similarity(self, other: Encoded | Embedding | None = None) -> FloatArray:
        """Cosines of all vectors with those of ``other``: (M, K), or (M,) with one embedding.

        Args:
            other: None: with themselves.

        Raises:
            ContractError: they were made in different ways.
            OptionError: neither of these.
        """
        against = self if other is None else other
        if not isinstance(against, (Encoded, Embedding)):
            raise OptionError(
                f"expected an Encoded or an Embedding, got {type(against).__name__}", option="other"
            )
        self.contract.check(against.contract)
        their = against.vector if isinstance(against, Embedding) else against.vectors.T
        cosines: FloatArray = np.clip(self.vectors @ their, -1, 1)
        return cosines

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """For NumPy: (N, D) float32; raises as ``raise_for_errors``."""
        self.raise_for_errors()
        if copy is None:
            return np.asarray(self.vectors, dtype=dtype)
        return np.array(self.vectors, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        """N, the number of photos."""
        return len(self.sources)

    def __getitem__(self, number: int) -> Embedding:
        """The embedding of a photo, by its number; raises its error."""
        if not isinstance(number, (int, np.integer)):
            raise OptionError(
                f"expected the number of a photo, got {number!r}",
                hint="np.asarray(encoded) takes what arrays take",
            )
        at = range(len(self))[int(number)]
        if at in self.errors:
            raise self.errors[at]
        row = int(np.searchsorted(self.rows, at))
        return Embedding(self.vectors[row], float(self.norms[row]), self.contract)

    def __iter__(self) -> Iterator[Embedding]:
        """The embeddings of all photos in turn; raises the error of the first that has none."""
        return (self[number] for number in range(len(self)))

    def __bool__(self) -> bool:
        """Whether there are any photos; raises as ``raise_for_errors``."""
        self.raise_for_errors()
        return len(self) > 0

    def __repr__(self) -> str:
        """In short."""
        failed = f", {len(self.errors):,} of them without an embedding" if self.errors else ""
        n, dimension = self.shape
        photos = counted(n, "photo")
        return f"Encoded({photos}{failed}, {dimension} dimensions, {self.contract.weights})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON: all numbers, too."""
        return {
            "photos": [
                {key: row[key] if key != "vector" else _plain(row[key]) for key in row}
                for row in self.to_rows()
            ],
            "contract": asdict(self.contract),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """One row a photo: its name, why it failed or None, norm and vector or None."""
        table: list[dict[str, Any]] = [
            {"source": source, "error": None, "norm": None, "vector": None}
            for source in self.sources
        ]
        for number, error in self.errors.items():
            table[number]["error"] = str(error)
        for number, norm, vector in zip(self.rows.tolist(), self.norms, self.vectors, strict=True):
            table[number] |= {"norm": float(norm), "vector": vector}
        return table


def _plain(vector: FloatArray | None) -> list[float] | None:
    return None if vector is None else [float(f"{v:.9g}") for v in vector]

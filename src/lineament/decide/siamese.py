"""The learned similarity of a model: a logistic unit on how two embeddings differ.

    SiameseHead      its numbers: scores of pairs, and the file that keeps them
    head_of()        the head that a model's card names; None: it has none
    require_head()   the head for embeddings of a contract, or an error that says what to do

Taigman, Yang, Ranzato, Wolf, "DeepFace: Closing the Gap to Human-Level Performance in Face
Verification", CVPR 2014, section 4; Koch, Zemel, Salakhutdinov, "Siamese Neural Networks for
One-shot Image Recognition", 2015. Of two embeddings with features f(a) and f(b)::

    z = beta + sum_k alpha_k |f_k(a) - f_k(b)|                              "absolute"
    z = beta + sum_k alpha_k (f_k(a) - f_k(b))^2 / (f_k(a) + f_k(b))        "chi-square"

z, the log-odds that both show one person as training had the pairs (half of each kind), is the
score of the metric "siamese": it keeps all its digits where the probability sigmoid(z) would be
rounded to 1. Both are symmetric, and every embedding scores beta against itself. Where no weight is
above 0 that is the most alike that there is.

A head belongs to the embeddings that it was fitted on: its contract is checked before it scores.
The features are computed from stored embeddings, so anchors are embedded once (``gallery``).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NoReturn, get_args

import numpy as np

from lineament import machine
from lineament.decide.metrics import BLOCK_BYTES, SIAMESE, Metric
from lineament.errors import ContractError, OptionError, WeightsError, WeightsHashError
from lineament.files import read_regular, write_atomically
from lineament.models import Card, entries
from lineament.models.catalog import by_contract
from lineament.text import printable, reason_of
from lineament.types import Contract, FloatArray

Form = Literal["absolute", "chi-square"]
Features = Literal["raw", "unit", "sigmoid", "non-negative"]

FORMS: dict[str, tuple[str, ...]] = {
    "absolute": get_args(Features),
    "chi-square": ("sigmoid", "non-negative"),
}
"""The features that each form takes: the denominator of "chi-square" must not vanish."""

MOST_BYTES = 1 << 20
"""Of a file, packed or not: 65,536 dimensions take a quarter."""

SHORTEST = 1e-12
"""A vector of features up to this length stays as it is."""

FORMAT = 1


@dataclass(frozen=True, eq=False, slots=True)
class SiameseHead:
    """The learned numbers, and the embeddings that they are for.

    Attributes:
        contract: of the embeddings; ``check`` refuses others.
        form: "absolute" or "chi-square", see the module's docstring.
        features: what f is: "raw", the embedding as the network gave it; "unit", scaled to length
            1; "sigmoid", 1 / (1 + exp(-x)) of each number, then length 1; "non-negative",
            max(0, x), then length 1.
        alpha: (D,) float32, the weights.
        beta: the offset, which is the score of an embedding against itself.
        data: what it was fitted on, in words.
    """

    contract: Contract
    form: Form
    features: Features
    alpha: FloatArray
    beta: float
    data: str

    def __post_init__(self) -> None:
        """Make the weights read-only; WeightsError says what does not fit."""
        if self.form not in FORMS or self.features not in FORMS[self.form]:
            _wrong("a form and features that belong together", f"{self.form}, {self.features}")
        alpha = np.array(self.alpha, np.float32)
        if alpha.shape != (self.contract.dimension,):
            _wrong(f"{self.contract.dimension} weights", f"shape {alpha.shape}")
        if not (np.isfinite(alpha).all() and math.isfinite(self.beta)):
            _wrong("finite numbers", "others")
        alpha.flags.writeable = False
        object.__setattr__(self, "alpha", alpha)

    def __repr__(self) -> str:
        """In short."""
        return f"SiameseHead({self.form}, {self.features}; {self.contract.id})"

    @property
    def unit(self) -> bool:
        """Whether it takes vectors of length 1; else they are as long as the network made them."""
        return self.features in ("unit", "non-negative")

    @property
    def falls(self) -> bool:
        """Whether the score never rises as features differ more: no weight is above 0."""
        return bool((self.alpha <= 0).all())

    @property
    def sha256(self) -> str:
        """Of the file that ``save`` writes: what thresholds for its scores belong to."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def metric(self) -> Metric:
        """The way to compare embeddings by this head."""
        return Metric(SIAMESE, -math.inf, None, True, self.unit, self.matrix, self.rows)

    def check(self, contract: Contract) -> None:
        """Return if the head is for such embeddings.

        Raises:
            ContractError: they were made in another way than those that it was fitted on.
        """
        try:
            self.contract.check(contract)
        except ContractError as error:
            raise ContractError(
                f"the learned similarity was fitted for {self.contract.id}, got embeddings of "
                f"{contract.id}: use the recognizer and options that it was fitted with, or "
                "another metric"
            ) from error

    # --- scores -----------------------------------------------------------------------------------

    def featured(self, vectors: FloatArray) -> FloatArray:
        """f of each row: (N, D) -> (N, D) float32."""
        x: FloatArray = np.asarray(vectors, np.float32)
        if self.features == "raw":
            return x
        if self.features == "sigmoid":
            x = (1 / (1 + np.exp(-x.clip(-80, 80)))).astype(np.float32)
        elif self.features == "non-negative":
            x = np.maximum(x, 0)
        lengths = np.asarray(np.linalg.norm(x, axis=-1, keepdims=True), np.float32)
        lengths[lengths <= SHORTEST] = 1
        scaled: FloatArray = x / lengths
        return scaled

    def rows(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Log-odds, row by row: (N, D) and (N, D) -> (N,) float32."""
        return self._scored(self.featured(a), self.featured(b))

    def matrix(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Log-odds of every row of ``a`` (N, D) against every one of ``b`` (M, D): (N, M)."""
        f, g = self.featured(a), self.featured(b)
        scores = np.empty((len(f), len(g)), np.float32)
        pairs = max(1, BLOCK_BYTES // max(1, g.itemsize * g.shape[1]))  # of one block
        columns = max(1, min(len(g), pairs))
        rows = pairs // columns
        for top in range(0, len(f), rows):
            for left in range(0, len(g), columns):
                one, other = f[top : top + rows, None], g[None, left : left + columns]
                scores[top : top + rows, left : left + columns] = self._scored(one, other)
        return scores

    def _scored(self, f: FloatArray, g: FloatArray) -> FloatArray:
        """(..., D) features of either side -> (...)."""
        terms = np.abs(f - g)
        if self.form == "chi-square":
            both = f + g
            # Divided first: the square of a small difference would be 0.
            terms = terms * np.divide(terms, both, out=np.zeros_like(both), where=both > 0)
        scores: FloatArray = terms @ self.alpha + np.float32(self.beta)
        return scores

    # --- files ------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The file: a NumPy archive without pickles; equal heads have equal bytes."""
        about = {
            "format": FORMAT,
            "contract": asdict(self.contract),
            "form": self.form,
            "features": self.features,
            "beta": float(self.beta),
            "data": self.data,
        }
        target = io.BytesIO()
        arrays = {"about": np.array(json.dumps(about)), "alpha": self.alpha}
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, values in arrays.items():
                part = io.BytesIO()
                np.save(part, values, allow_pickle=False)
                # NumPy's own writer stamps the time of writing.
                info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, part.getvalue())
        return target.getvalue()

    def save(self, path: Path) -> None:
        """Write the file, at once or not at all. OptionError: it cannot be written."""
        write_atomically(path, self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> SiameseHead:
        """Read what ``to_bytes`` made.

        Args:
            data: of the file.
            where: its name, for the message.

        Raises:
            WeightsError: it is no head, or a damaged one.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if sum(part.file_size for part in archive.infolist()) > MOST_BYTES:
                    _wrong(f"at most {MOST_BYTES:,} bytes", "more, once unpacked")
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                if about["format"] != FORMAT:
                    _wrong(f"format {FORMAT}", f"{about['format']!r:.40}: update lineament")
                return cls(
                    Contract(**about["contract"]),
                    about["form"],
                    about["features"],
                    arrays["alpha"],
                    float(about["beta"]),
                    printable(str(about["data"])),
                )
        except Exception as error:  # a broken archive raises a dozen kinds
            machine.raise_if_short(error)
            raise WeightsError(
                f"{where}: expected a learned similarity (siamese head), got: "
                f"{printable(reason_of(error))[:200]}: export the model again"
            ) from error


def head_of(card: Card) -> SiameseHead | None:
    """The head that a model's card names; None: it names none.

    Raises:
        WeightsError: the file is missing, damaged, or of another model.
        WeightsHashError: it is not the file that the card promises.
    """
    if card.siamese is None:
        return None
    return _read(card.folder / card.siamese.file, card.siamese.sha256, card.name, card.sha256)


@lru_cache(maxsize=64)
def _read(path: Path, sha256: str, name: str, weights_sha256: str) -> SiameseHead:
    try:
        data = read_regular(path, at_most=MOST_BYTES)
    except OSError as error:
        raise WeightsError(
            f'weights "{name}": {path}: expected its learned similarity, got: {reason_of(error)}: '
            "put the file back, or export the model again"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WeightsHashError(
            f'weights "{name}": {path} is not the promised file: expected SHA-256 {sha256}, got '
            f"{found}: put the right file there, or export the model again"
        )
    head = SiameseHead.from_bytes(data, str(path))
    if head.contract.weights_sha256 != weights_sha256:
        raise WeightsError(
            f'weights "{name}": {path} is the learned similarity of another model '
            f"({head.contract.id}): export the model again"
        )
    return head


def find_head(contract: Contract, card: Card | None = None) -> SiameseHead | None:
    """The head for embeddings of a contract; None: their model has none.

    Args:
        contract: of the embeddings.
        card: of their model, where it is at hand; None looks among all that there are.

    Raises:
        ContractError: the model's head is for embeddings made with other options.
        WeightsError: as ``head_of``.
    """
    if card is None or card.sha256 != contract.weights_sha256:
        card = by_contract(contract)
    head = None if card is None else head_of(card)
    if head is not None:
        head.check(contract)
    return head


def require_head(contract: Contract, card: Card | None = None) -> SiameseHead:
    """As ``find_head``.

    Raises:
        OptionError: the model has none; the message names those that have.
        ContractError, WeightsError: as ``find_head``.
    """
    head = find_head(contract, card)
    if head is not None:
        return head
    having = [known.name for known in entries("embedder") if known.siamese is not None]
    some = f"models with one: {', '.join(having)}" if having else "no model here has one"
    raise OptionError(
        f"expected a metric of {contract.weights}, got {SIAMESE!r}: the model has no learned "
        f"similarity (siamese head); {some}; `lineament train run --set "
        "loss.name=siamese` and `lineament train export` make one",
        option="metric",
    )


def _wrong(expected: str, got: str) -> NoReturn:
    raise WeightsError(f"expected {expected}, got {got}")

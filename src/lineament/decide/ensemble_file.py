"""The files of an ensemble: its members, its fusion, and what a fused score means.

One folder is one ensemble: ``data/ensembles/KIND`` holds ``ensemble.json``, and for the boosted one
``trees.txt``, LightGBM's text format, whose SHA-256 stands in the JSON.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import msgspec
import numpy as np
from msgspec import Meta

from lineament import forms
from lineament.decide.calibration import OperatingPoint
from lineament.decide.fusion import (
    BoostedFusion,
    Fusion,
    LogisticFusion,
    MeanFusion,
    feature_names,
    rises,
)
from lineament.errors import DataError, OptionError, WeightsHashError
from lineament.files import DATA, read_regular
from lineament.text import printable, reason_of
from lineament.types import Float64Array

Kind = Literal["boosted", "logistic", "mean"]
DEFAULT_KIND: Kind = "boosted"

FORMAT = 1
MOST_MEMBERS = 16

_Number = Annotated[float, Meta(ge=-1e15, le=1e15)]
_Count = Annotated[int, Meta(ge=1, le=10**15)]

FOLDER = DATA / "ensembles"
MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One recognizer: its entry, and what it was when the ensemble was fitted."""

    name: str
    weights_sha256: str
    alignment: str


@dataclass(frozen=True, eq=False, slots=True)
class Spec:
    """An ensemble as its file has it.

    Attributes:
        kind: "boosted", "logistic" or "mean".
        members: in the order of the features.
        fusion: what makes one score of a pair's features.
        score, llr, llr_low, llr_high: (L,) knots of the score's log-likelihood ratio and of its
            95 % band, bootstrap over people; straight lines between them, constant outside.
        points: thresholds, the largest false match rate first.
        data: what it was fitted on, in words.
        n_people, n_genuine_pairs, n_impostor_pairs: how much that is.
        cllr: in bits, of the log-likelihood ratios out of fold.
        sha256: of the file, of what belongs to it, and so of the members.
    """

    kind: Kind
    members: tuple[Member, ...]
    fusion: Fusion
    score: Float64Array
    llr: Float64Array
    llr_low: Float64Array
    llr_high: Float64Array
    points: tuple[OperatingPoint, ...]
    data: str
    n_people: int
    n_genuine_pairs: int
    n_impostor_pairs: int
    cllr: float
    sha256: str

    def __post_init__(self) -> None:
        """DataError unless the numbers fit together."""
        bands = (self.llr_low, self.llr, self.llr_high)
        if {array.shape for array in bands} != {self.score.shape} or len(self.score) < 2:
            raise DataError("expected score, llr, llr_low and llr_high of one length, 2 or more")
        if not all(np.isfinite(array).all() for array in (self.score, *bands)):
            raise DataError("expected finite scores and log-likelihood ratios")
        if (np.diff(self.score) <= 0).any() or any((np.diff(a) < 0).any() for a in bands):
            raise DataError("expected rising scores, and log-likelihood ratios that never fall")
        if not self.members or not self.points:
            raise DataError("expected members and points, got none")
        if len({member.name for member in self.members}) < len(self.members):
            raise DataError("expected different members")
        if not ((self.llr_low <= self.llr) & (self.llr <= self.llr_high)).all():
            raise DataError("expected llr_low <= llr <= llr_high")
        rates, values = [p.fmr for p in self.points], [p.value for p in self.points]
        if sorted(set(rates), reverse=True) != rates or sorted(values) != values:
            raise DataError("points: expected falling rates and thresholds that get stricter")


class _File(msgspec.Struct):
    """``KIND.json``; keys that are for people only are passed over."""

    format: int
    kind: str
    members: Annotated[tuple[Member, ...], Meta(max_length=MOST_MEMBERS)]
    features: tuple[str, ...]
    fusion: msgspec.Raw
    score: list[_Number]
    llr: list[_Number]
    llr_low: list[_Number]
    llr_high: list[_Number]
    points: tuple[OperatingPoint, ...]
    data: str
    n_people: _Count
    n_genuine_pairs: _Count
    n_impostor_pairs: _Count
    cllr: Annotated[float, Meta(ge=0, le=1e15)]


class _Trees(msgspec.Struct):
    """The boosted fusion in ``_File``: the hash of ``trees.txt``."""

    sha256: str


class _Linear(msgspec.Struct):
    """The other fusions in ``_File``: one number for each feature."""

    mean: list[_Number]
    sd: list[_Number]
    weights: list[_Number]
    bias: _Number


def read_spec(kind: str, folder: Path = FOLDER) -> Spec:
    """Read an ensemble's file, and check it.

    Raises:
        OptionError: there is no such kind.
        WeightsHashError: the trees are not those that the file promises.
        MissingExtraError: LightGBM is needed, and not installed.
        DataError: the file is missing, broken, or of another version.
    """
    if kind not in get_args(Kind):
        raise OptionError(f"ensemble: expected one of {', '.join(get_args(Kind))}, got {kind!r}")
    path = folder / kind / "ensemble.json"
    data = _bytes_of(path)
    try:
        file = forms.decode(data, _File, what="its values")
        if file.format != FORMAT or file.kind != kind:
            raise DataError(
                f"expected format {FORMAT} and kind {kind}, got {file.format} and {file.kind:.20}"
            )
        names = feature_names([member.name for member in file.members])
        if file.features != names:
            raise DataError(f"expected the features {', '.join(names)}")
        return Spec(
            kind=cast("Kind", kind),
            members=file.members,
            fusion=_fusion(kind, file.fusion, names, folder),
            score=np.array(file.score, np.float64),
            llr=np.array(file.llr, np.float64),
            llr_low=np.array(file.llr_low, np.float64),
            llr_high=np.array(file.llr_high, np.float64),
            points=file.points,
            data=file.data,
            n_people=file.n_people,
            n_genuine_pairs=file.n_genuine_pairs,
            n_impostor_pairs=file.n_impostor_pairs,
            cllr=file.cllr,
            sha256=hashlib.sha256(data).hexdigest(),
        )
    except (DataError, ValueError) as error:
        if isinstance(error, WeightsHashError):
            raise
        raise DataError(
            f"{path}: {printable(str(error))[:300]}: install lineament again"
        ) from error


def _bytes_of(path: Path) -> bytes:
    try:
        return read_regular(path, at_most=MOST_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise DataError(
            f"{path}: expected a file of an ensemble, got: {reason_of(error)}: install lineament "
            "again"
        ) from error


def _fusion(kind: str, values: msgspec.Raw, names: tuple[str, ...], folder: Path) -> Fusion:
    n_features = len(names)
    if kind == "boosted":
        path = folder / "boosted" / "trees.txt"
        expected = forms.decode(bytes(values), _Trees, what="fusion").sha256
        trees = _bytes_of(path)
        digest = hashlib.sha256(trees).hexdigest()
        if digest != expected:
            raise WeightsHashError(
                f"{path}: expected the trees with SHA-256 {printable(expected)[:64]}, got "
                f"{digest}: install lineament again"
            )
        return BoostedFusion(trees.decode("ascii"), n_features)
    linear = forms.decode(bytes(values), _Linear, what="fusion")
    mean, sd, weights = (
        np.array(each, np.float64) for each in (linear.mean, linear.sd, linear.weights)
    )
    if not mean.shape == weights.shape == (n_features,):
        raise DataError(f"fusion: expected {n_features} weights, got {mean.shape}")
    if (weights[rises(names)] < 0).any() or not weights.any():
        raise DataError("fusion: expected weights of scores of 0 or more")
    if kind == "mean" and abs(weights.sum() - 1) > 1e-6:
        raise DataError("fusion: expected weights that sum to 1")
    return (MeanFusion if kind == "mean" else LogisticFusion)(mean, sd, weights, linear.bias)

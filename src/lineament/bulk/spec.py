"""A recognizer and its results on the way to another process and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from lineament import __version__
from lineament.bulk.tables import Result
from lineament.detect import DETECTORS
from lineament.errors import ContractError, LineamentError, OptionError
from lineament.models import cards as weights
from lineament.pipeline import Recognizer
from lineament.types import Analysis

Spec = Mapping[str, Any]
"""The keyword arguments of ``Recognizer`` that embeddings depend on."""

Told = tuple[type[LineamentError], str, dict[str, Any]]
"""An error as what pickle can carry: not every exception can be made from its message alone."""

Packed = tuple[Result, Told | None, Told | None]


def spec_of(recognizer: Recognizer) -> dict[str, Any]:
    """What makes an equal recognizer elsewhere, with one thread unless it was told otherwise.

    Raises:
        OptionError: its detector is an object of the caller's.
    """
    if recognizer.detector_name not in DETECTORS:
        raise OptionError(
            "expected a detector by its name, got an object of your own, which cannot be sent to "
            "another process: embed in this process, without workers"
        )
    threads = recognizer.runtime.threads
    return {
        "recognizer": recognizer.weights,
        "detector": recognizer.detector_name,
        "options": recognizer.options,
        "alignment": recognizer.alignment,
        "flip": recognizer.flip,
        "turning": recognizer.turning,
        "choose": recognizer.choose,
        "limits": recognizer.limits,
        "runtime": replace(recognizer.runtime, threads=1 if threads is None else threads),
        "policy": recognizer.policy,
    }


def made_by(recognizer: Recognizer) -> dict[str, Any]:
    """All that rows depend on, apart from the photo and the version, as values for JSON."""
    names = DETECTORS.get(recognizer.detector_name, ())
    return {
        "contract": asdict(recognizer.embedder.contract),
        "detector": recognizer.detector_name,
        "detector_sha256": {name: weights.get(name).sha256 for name in names},
        "options": asdict(recognizer.options),
        "turning": recognizer.turning,
        "choose": recognizer.choose,
    }


def check_worker(wanted: Mapping[str, Any], got: Mapping[str, Any], where: str) -> None:
    """Raise ContractError unless a worker makes what this process would make."""
    differing = sorted(key for key in wanted if wanted[key] != got.get(key))
    if differing:
        raise ContractError(
            f"{where}: expected the networks, options and version of this process, "
            f"{', '.join(differing)} differ(s): install the same lineament ({__version__}) there"
        )


def fingerprint(recognizer: Recognizer) -> dict[str, Any]:
    """What ``check_worker`` compares: ``made_by`` and the version of the code."""
    return {**made_by(recognizer), "version": __version__}


def told(error: LineamentError | None) -> Told | None:
    """The error as plain values."""
    if error is None:
        return None
    more = {k: v for k, v in vars(error).items() if isinstance(v, (str, int, float))}
    return type(error), str(error), more


def retold(error: Told | None) -> LineamentError | None:
    """The error again."""
    if error is None:
        return None
    kind, text, more = error
    made = kind.__new__(kind, text)
    vars(made).update(more)
    return made


def pack(result: Result) -> Packed:
    """A result as what pickle can carry."""
    if isinstance(result, Analysis):
        return replace(result, error=None), told(result.error), None
    bare = replace(result, analysis=replace(result.analysis, error=None), error=None)
    return bare, told(result.analysis.error), told(result.error)


def unpack(packed: Packed) -> Result:
    """The result again, its arrays read-only as before."""
    result, first, second = packed
    photo = result if isinstance(result, Analysis) else result.analysis
    for face in photo.faces:
        face.box_xyxy.flags.writeable = False
        if face.landmarks_xy is not None:
            face.landmarks_xy.flags.writeable = False
    for embedding in photo.embeddings:
        embedding.vector.flags.writeable = False
    if isinstance(result, Analysis):
        return replace(result, error=retold(first))
    if result.embedding is not None:
        result.embedding.vector.flags.writeable = False
    return replace(
        result, analysis=replace(result.analysis, error=retold(first)), error=retold(second)
    )

"""Quantize a recognizer after training: calibrate, compare, refuse or write."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament import models
from lineament.embed.network import BATCH, load_network
from lineament.errors import ExportError, OptionError, WeightsError
from lineament.models import Card, LicensePolicy
from lineament.models.catalog import bundled_names
from lineament.models.manifest import check_name, other_entries
from lineament.models.runtime import Runtime
from lineament.quantize._comparison import (
    Agreement,
    Speed,
    agreement_of,
    refuse_loss,
    speed_of,
)
from lineament.quantize._networks import check_installed, int8_graph, plain_graph
from lineament.quantize._output import measured, notes, write_all
from lineament.quantize.crops import LEAST_CROPS, check_weights, side_px
from lineament.results import Outcome
from lineament.types import Image, StageProgress

SUBSET = 300
"""Crops to calibrate on: NNCF's own default; from there on the ranges hardly move."""

LEAST_SPEEDUP = 1.1
MOST_LOSS = 0.01
LEAST_COSINE = 0.99
"""The mean one that is accepted. On LFW View 1 MobileFaceNet lost 0.2 points of TAR at FMR 1e-4
with 0.995, 1.7 points with 0.95 and 3.7 points with 0.93."""


@dataclass(frozen=True, slots=True)
class Quantized(Outcome):
    """What ``quantize`` wrote.

    Attributes:
        weights: the entry, ready for ``Recognizer(weights)``.
        manifest: the file it stands in; with ``LINEAMENT_MANIFEST`` its name is known everywhere.
        made_from: name of the network it was made from.
        calibrated_on: number of crops.
        bytes_before: size of the file it was made from; ``weights.bytes`` is the new one's.
        speedup: the lesser one of ``speeds``.
        speeds: for one crop and for a full batch.
        agreement: how close the embeddings are.
    """

    weights: Card
    manifest: Path
    made_from: str
    calibrated_on: int
    bytes_before: int
    speedup: float
    speeds: tuple[Speed, ...]
    agreement: Agreement

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        verification = self.agreement.verification
        agreement = asdict(self.agreement)
        if verification is not None:
            agreement["verification"] |= {"loss": verification.loss}
        return {
            "name": self.weights.name,
            "file": str(self.weights.path),
            "manifest": str(self.manifest),
            "sha256": self.weights.sha256,
            "made_from": self.made_from,
            "calibrated_on": self.calibrated_on,
            "bytes_before": self.bytes_before,
            "bytes": self.weights.bytes,
            "speedup": self.speedup,
            "speeds": [asdict(speed) for speed in self.speeds],
            "agreement": agreement,
        }


def quantize(
    weights: str | Card,
    crops: Image,
    *,
    out: str | os.PathLike[str],
    people: Sequence[Hashable] | None = None,
    name: str | None = None,
    check: tuple[Image, Sequence[Hashable] | None] | None = None,
    min_speedup: float = LEAST_SPEEDUP,
    max_loss: float = MOST_LOSS,
    min_cosine: float = LEAST_COSINE,
    subset: int = SUBSET,
    seed: int = 0,
    overwrite: bool = False,
    runtime: Runtime | None = None,
    policy: LicensePolicy | None = None,
    progress: StageProgress | None = None,
) -> Quantized:
    """Write an int8 version of a recognizer, calibrated on your own crops.

    Args:
        weights: a recognizer of one network, or its name.
        crops: (N, S, S, 3) uint8, RGB, aligned as the recognizer wants them, N at least
            ``LEAST_CROPS``; ``quantize.crops.crops_of`` makes them.
        out: folder for NAME.onnx, the license's text as NAME.license.txt where it is known, and
            manifest.json, which is made or gets one more entry. The folder is made if need be.
        people: N names or numbers: whom each crop shows. With enough pairs
            (``LEAST_SAME``, ``LEAST_DIFFERENT``) accuracy means verification, else agreement.
        name: of the new entry; None: the recognizer's with "-int8", or with "-int8-own" where the
            package has one of that name.
        check: crops to measure the accuracy on, and whom they show; None keeps back at least half
            of ``crops`` for it.
        min_speedup: how many times as fast it must be, for one crop and for a full batch.
        max_loss: how much TAR it may lose, a share from 0 to 1 (0.01 is one point), at the
            lowest of ``FMRS`` that the pairs can measure. Only where there are enough pairs.
        min_cosine: the least mean cosine between its embeddings and the original's. Only where
            there are not.
        subset: most crops to calibrate on.
        seed: which crops those are.
        overwrite: replace files and an entry of that name.
        runtime: engine and threads; the device must be the CPU.
        policy: which licenses may be used.
        progress: called now and then.

    Raises:
        OptionError: an option makes no sense, the crops have another shape or are too few, the
            weights are no recognizer of one network, or the files exist or cannot be written.
        ExportError: the network cannot be quantized, loses too much, or is not faster. Nothing is
            written.
        MissingExtraError: NNCF, ONNX or ONNX Runtime is not installed.
    """
    source = models.get(weights) if isinstance(weights, str) else weights
    check_options(
        source,
        out=out,
        name=name,
        min_speedup=min_speedup,
        max_loss=max_loss,
        min_cosine=min_cosine,
        subset=subset,
        overwrite=overwrite,
    )
    folder = Path(out).absolute()
    name = _name(source, name)
    given = _check_crops(crops, people, source, "crops", LEAST_CROPS)
    if check is not None:
        _check_crops(check[0], check[1], source, "check", 2)
    runtime = Runtime.from_environment() if runtime is None else runtime
    runtime = runtime.resolved()
    if runtime.device != "cpu":
        raise OptionError(
            f'expected "cpu", which int8 is for, got {runtime.device!r}', option="device"
        )

    order = np.random.default_rng(seed).permutation(len(given))
    used = len(given) if check is not None else len(given) // 2
    used = min(subset, used)
    if check is None:
        rest = np.sort(order[used:])
        seen = given[rest]
        whom: Sequence[Hashable] | None = None if people is None else [people[i] for i in rest]
    else:
        seen, whom = np.asarray(check[0]), check[1]

    before = load_network(source, flip=False, runtime=runtime, policy=policy)
    graph = plain_graph(source, policy)
    data = int8_graph(graph, before, given[np.sort(order[:used])], source.name, progress)
    with tempfile.TemporaryDirectory(prefix="lineament-quantize-") as place:
        tried = source.replace(
            name=name,
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            dimension=before.contract.dimension,
            file=f"{name}.onnx",
            url=None,
            license_file=None,
            source=None,
            measured={},
            thresholds=(),
            quality_limits={},
            folder=Path(place),
        )
        (Path(place) / f"{name}.onnx").write_bytes(data)
        # Its license is that of the recognizer, which the policy has accepted by name.
        try:
            after = load_network(tried, flip=False, runtime=runtime, policy=LicensePolicy())
        except WeightsError as error:
            raise ExportError(f"{source.name}: the int8 network does not run: {error}") from error
    agreement = agreement_of(before, after, seen, whom, progress)
    refuse_loss(source.name, agreement, max_loss, min_cosine)
    speeds = tuple(speed_of(before, after, seen, batch, progress) for batch in (1, BATCH))
    slowest = min(speeds, key=lambda speed: speed.speedup)
    if not slowest.speedup >= min_speedup:
        raise ExportError(
            f"{source.name}: expected int8 to be at least {min_speedup:g} times as fast, got "
            f"{slowest.speedup:.2f} times ({slowest.before_ms:.2f} ms a crop before, "
            f"{slowest.after_ms:.2f} ms after, {slowest.batch} at once); nothing was written. "
            "Does this processor have 8-bit arithmetic, and is it busy with something else?"
        )
    entry = tried.replace(
        folder=folder,
        license_file=None if source.license_file is None else f"{name}.license.txt",
        measured=measured(agreement, slowest),
        notes=notes(source, used),
    )
    others = _check_target(folder, name, source, overwrite)  # as it is now
    manifest = write_all(folder, entry, data, others, models.license_text(source))
    return Quantized(
        weights=entry,
        manifest=manifest,
        made_from=source.name,
        calibrated_on=used,
        bytes_before=source.bytes,
        speedup=slowest.speedup,
        speeds=speeds,
        agreement=agreement,
    )


def check_options(
    weights: Card,
    *,
    out: str | os.PathLike[str],
    name: str | None = None,
    min_speedup: float = LEAST_SPEEDUP,
    max_loss: float = MOST_LOSS,
    min_cosine: float = LEAST_COSINE,
    subset: int = SUBSET,
    overwrite: bool = False,
) -> None:
    """Refuse at once what ``quantize`` would refuse, before photos are read for it.

    Raises:
        OptionError, MissingExtraError: as ``quantize``.
    """
    check_weights(weights)
    _check_target(Path(out).absolute(), _name(weights, name), weights, overwrite)
    if not 0 <= min_speedup < float("inf"):
        raise OptionError(f"expected a factor such as 1.1, got {min_speedup}", option="min_speedup")
    if not 0 <= max_loss <= 1:
        raise OptionError(f"expected a share from 0 to 1, got {max_loss}", option="max_loss")
    if not -1 <= min_cosine <= 1:
        raise OptionError(f"expected a cosine up to 1, got {min_cosine}", option="min_cosine")
    if subset < 1:
        raise OptionError(f"expected 1 crop or more, got {subset}", option="subset")
    check_installed()


def _name(weights: Card, name: str | None) -> str:
    """The wanted one, or NAME-int8; the package's own in int8 keep theirs."""
    if name is not None:
        return name
    made = f"{weights.name[:59]}-int8"
    return f"{weights.name[:55]}-int8-own" if made in bundled_names() else made


def _check_crops(
    crops: Image, people: Sequence[Hashable] | None, weights: Card, what: str, least: int
) -> Image:
    given = np.asarray(crops)
    side = side_px(weights)
    if given.ndim != 4 or given.shape[1:] != (side, side, 3) or given.dtype != np.uint8:
        raise OptionError(
            f"expected uint8 of shape (N, {side}, {side}, 3), got {given.dtype} of shape "
            f"{given.shape}",
            option=what,
        )
    if len(given) < least:
        raise OptionError(
            f"expected at least {least} faces, better {SUBSET} of many people, got {len(given)}",
            option=what,
        )
    if people is not None and len(people) != len(given):
        raise OptionError(
            f"expected {len(given)}, one for each crop, got {len(people)}", option="people"
        )
    return given


def _check_target(folder: Path, name: str, source: Card, overwrite: bool) -> list[dict[str, Any]]:
    """The entries of the manifest that stay, as they stand there; nothing is made yet."""
    check_name(name)
    for known in models.entries():
        if known.name == name and not (overwrite and known.folder == folder):
            raise OptionError(
                f"there are weights called {name!r} already: choose another", option="name"
            )
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "may not be written to" if there.is_dir() else "is a file"
        raise OptionError(
            f"{folder} cannot be used, since {there} {why}; name another folder", option="out"
        )
    target, manifest = folder / f"{name}.onnx", folder / "manifest.json"
    if source.path is not None and target.exists() and target.samefile(source.path):
        raise OptionError(f"{target}: it is the network that is read: choose another name")
    if target.exists() and not (overwrite and target.is_file()):
        raise OptionError(f"{target}: it exists already: choose another name, or overwrite")
    return other_entries(manifest, name, target, overwrite=overwrite)
